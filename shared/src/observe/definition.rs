//! Reads the live definition of a pipeline: its syncs from Census, its tables and views from the catalog of its warehouse.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use futures::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use crate::baseline::files::{ObjectFile, declared_views, select};
use crate::baseline::script::FileError;
use crate::baseline::{Definition, Live, Part, Relation, Relations, VERSION};
use crate::census::Client;
use crate::census::ErrorKind::{Gone, NotFound};
use crate::pipeline::{Pipeline, Sync};
use crate::runtime::warehouse::Asker;
use crate::sql::Dialect;
use crate::warehouse::Limits;

/// The limits of statements that read definitions: texts of views are long.
pub fn limits() -> Limits {
    Limits { value_bytes: 256 << 10, ..Limits::default() }
}

/// Syncs that are read at the same time.
const CONCURRENT_READS: usize = 10;
/// Limit for all reads of Census.
pub const CENSUS_LIMIT: Duration = Duration::from_secs(20);

/// The folder beside `pipeline.toml` with the SQL files of its tables and views.
const FILES: &str = "warehouse";

/// Reads the `.sql` files of a folder in their variants for a dialect, in order.
///
/// # Errors
/// The folder or a file cannot be read, or a name is invalid.
pub fn sql_files(folder: &Path, dialect: Dialect) -> Result<Vec<ObjectFile>, FileError> {
    let unread = |path: &Path, error: io::Error| FileError {
        what: format!("cannot read {}: {error}", path.display()),
        hint: Some("give the path of the folder with the SQL files".to_owned()),
    };
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(|error| unread(folder, error))? {
        let path = entry.map_err(|error| unread(folder, error))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if path.extension().is_some_and(|extension| extension == "sql") {
            let text = fs::read_to_string(&path).map_err(|error| unread(&path, error))?;
            texts.insert(name.to_owned(), text);
        }
    }
    select(&texts, dialect)
}

/// Reads the views that the files beside `pipeline.toml` declare into the pipeline. Without their folder there are none.
///
/// # Errors
/// A file cannot be read or is invalid.
pub fn read_declared_views(pipeline: &mut Pipeline, path: &Path) -> Result<(), FileError> {
    let folder = path.with_file_name(FILES);
    if folder.is_dir() {
        let files = sql_files(&folder, pipeline.dialect())?;
        pipeline.declared_views = declared_views(&files, &pipeline.relations(), pipeline.dialect())?;
    }
    Ok(())
}

/// Reads the syncs and relations that the pipeline names. Unreadable ones are unknown, with the reason.
pub async fn live<E: Display>(
    pipeline: &Pipeline,
    census: Result<&Client, E>,
    warehouse: Result<Asker<'_>, impl Display>,
) -> Live {
    let mut live =
        Live { definition: Definition { version: VERSION, ..Definition::default() }, syncs: BTreeMap::new() };
    let (deadline, census) = (Instant::now() + CENSUS_LIMIT, census.map_err(|error| error.to_string()));
    let census = census.as_ref();
    let read = |sync: &Sync| {
        let id = sync.id;
        async move {
            let client = *census.map_err(Clone::clone)?;
            let late = |_| format!("Census did not answer within {} s", CENSUS_LIMIT.as_secs());
            match timeout_at(deadline, client.get_definition(id)).await.map_err(late)? {
                Ok(found) => Ok(Some(found)),
                Err(error) if matches!(error.kind, NotFound { .. } | Gone { .. }) => Ok(None),
                Err(error) => Err(error.to_string()),
            }
        }
    };
    let reads: Vec<_> = pipeline.syncs.iter().map(read).collect();
    let found: Vec<_> = stream::iter(reads).buffered(CONCURRENT_READS).collect().await;
    for (sync, found) in pipeline.syncs.iter().zip(found) {
        let part = match found {
            Ok(None) => continue,
            Ok(Some((observed, definition))) => {
                live.syncs.insert(sync.key.clone(), observed);
                Part::Known(definition)
            }
            Err(why) => Part::Unknown(why),
        };
        live.definition.add_sync(&sync.key, part, pipeline.dialect());
    }
    let names = pipeline.relations();
    live.definition.relations = match warehouse {
        Ok(asker) => relations(names, pipeline.dialect(), asker).await,
        Err(why) => unknown(&names, &why.to_string()),
    };
    live
}

/// Reads tables and views from the catalog of the warehouse.
pub async fn relations(
    names: BTreeSet<&str>,
    dialect: Dialect,
    asker: Asker<'_>,
) -> BTreeMap<String, Part<Relation>> {
    let relations = Relations::new(names.clone(), dialect);
    let reads = match relations.reads() {
        Ok(reads) => reads,
        Err(error) => return unknown(&names, &error.to_string()),
    };
    let mut answers = Vec::new();
    for read in reads {
        let answer = asker.ask(&read.statement).await.map_err(|error| error.to_string());
        answers.push((read, answer));
    }
    relations.found(&answers)
}

fn unknown(names: &BTreeSet<&str>, why: &str) -> BTreeMap<String, Part<Relation>> {
    names.iter().map(|name| ((*name).to_owned(), Part::Unknown(why.to_owned()))).collect()
}
