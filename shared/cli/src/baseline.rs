//! Shows, compares and accepts the definition of the pipeline in Census and in the warehouse.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use syncwatch::aws::deployment::deployment;
use syncwatch::aws::incidents::Expected;
use syncwatch::aws::table::Outcome as Written;
use syncwatch::baseline::{Acceptance, Accepted, Change, Definition, Live, Part, UnknownPart};
use syncwatch::observe::definition::{self, limits};
use syncwatch::runtime::env;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::text::{counted, minute_utc, plain_line};

use super::arguments::Baselining;
use super::error::Error;
use super::{Answer, Operator, Outcome, WAREHOUSE_START_LIMIT, all_readable};

/// The most changes that an acceptance names.
const NAMED_CHANGES: usize = 50;

/// The accepted definition, and who accepted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub pipeline: String,
    /// The current acceptance; `None` if nothing was accepted.
    pub accepted: Option<Acceptance>,
    /// All acceptances, newest first.
    pub history: Vec<Acceptance>,
    /// String literals of SQL and values of constants are masked.
    pub definition: Option<Definition>,
}

/// The changes since the acceptance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    pub pipeline: String,
    /// When the live definition was read (UTC).
    pub at: Timestamp,
    pub accepted: Option<Acceptance>,
    /// Gravest first.
    pub changes: Vec<Change>,
    pub unknown: Vec<UnknownPart>,
}

/// A new acceptance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedNow {
    pub pipeline: String,
    /// Whether something was stored: a definition that is accepted already is not stored again.
    pub stored: bool,
    pub acceptance: Acceptance,
    /// Parts that could not be read. Those that were accepted before stay accepted.
    pub unknown: Vec<UnknownPart>,
}

fn lines(f: &mut fmt::Formatter<'_>, unknown: &[UnknownPart]) -> fmt::Result {
    for UnknownPart { what, why, accepted } in unknown {
        write!(f, "\nUnknown{}: {what}: {why}", if *accepted { ", though accepted" } else { "" })?;
    }
    Ok(())
}

fn by(f: &mut fmt::Formatter<'_>, acceptance: &Acceptance) -> fmt::Result {
    let Acceptance { number, at, by, why, .. } = acceptance;
    let line = format!("no. {number}, accepted by {by} at {}: {why}", minute_utc(*at));
    f.write_str(&plain_line(&line))
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(accepted), Some(definition)) = (&self.accepted, &self.definition) else {
            return write!(f, "No definition of {} is accepted yet.", self.pipeline);
        };
        write!(f, "{}: ", self.pipeline)?;
        by(f, accepted)?;
        for (key, sync) in &definition.syncs {
            let mappings = sync.known().and_then(|sync| sync.mappings.known());
            let mappings = mappings.map_or_else(|| "?".to_owned(), |list| counted(list.len(), "mapping"));
            let part = |part: Option<&Part<String>>| {
                part.and_then(Part::known).cloned().unwrap_or_else(|| "?".to_owned())
            };
            let sync = sync.known();
            let (source, operation) =
                (part(sync.map(|sync| &sync.source)), part(sync.map(|sync| &sync.operation)));
            let destination = part(sync.map(|sync| &sync.destination));
            let line = format!("sync {key}: {source} -> {destination}, {operation}, {mappings}");
            write!(f, "\n  {}", plain_line(&line))?;
        }
        for (name, relation) in &definition.relations {
            let columns = relation.known().and_then(|relation| relation.columns.known());
            let columns = columns.map_or_else(|| "?".to_owned(), |list| counted(list.len(), "column"));
            write!(f, "\n  relation {name}: {columns}")?;
        }
        for older in self.history.iter().filter(|older| older.number != accepted.number) {
            f.write_str("\nBefore: ")?;
            by(f, older)?;
        }
        Ok(())
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.accepted {
            None => write!(
                f,
                "No definition of {} is accepted yet. Accept the live one: syncwatch baseline accept",
                self.pipeline
            )?,
            Some(accepted) => {
                let count = counted(self.changes.len(), "change");
                write!(f, "{}: {count} since ", self.pipeline)?;
                by(f, accepted)?;
            }
        }
        for change in &self.changes {
            write!(f, "\n{change}")?;
            for line in &change.lines {
                write!(f, "\n    {line}")?;
            }
        }
        lines(f, &self.unknown)
    }
}

impl fmt::Display for AcceptedNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.stored { "Stored " } else { "Nothing to accept, the definition is still " })?;
        by(f, &self.acceptance)?;
        if self.stored {
            for change in &self.acceptance.changes {
                write!(f, "\n  {change}")?;
            }
        }
        lines(f, &self.unknown)
    }
}

impl Compared {
    /// Returns whether nothing differs, and everything that was accepted could be compared.
    pub fn is_good(&self) -> bool {
        self.accepted.is_some() && self.changes.is_empty() && !self.unknown.iter().any(|part| part.accepted)
    }
}

impl Operator {
    /// Runs a command about the accepted definition. Only `accept` writes.
    pub(super) async fn baseline(&self, asked: &Baselining) -> Result<Answer, Error> {
        match asked {
            Baselining::Show => Ok(Answer::done(&self.show_baseline().await?)),
            Baselining::Diff => {
                let accepted = self.accepted().await?;
                let compared = self.compare(accepted.as_ref(), &self.live().await);
                Ok(Answer::new(Outcome::done_if(compared.is_good()), &compared, &compared))
            }
            Baselining::Accept { by, why } => Ok(Answer::done(&self.accept(by, why).await?)),
        }
    }

    pub(super) async fn accepted(&self) -> Result<Option<Accepted>, Error> {
        Ok(self.incidents()?.baseline(&self.pipeline.name).await?)
    }

    async fn show_baseline(&self) -> Result<Shown, Error> {
        let accepted = self.accepted().await?;
        let history = all_readable(self.incidents()?.acceptances(&self.pipeline.name).await?)?;
        let (accepted, definition) = accepted
            .map(|accepted| (accepted.acceptance, accepted.definition.shown(self.pipeline.dialect())))
            .unzip();
        Ok(Shown { pipeline: self.pipeline.name.clone(), accepted, history, definition })
    }

    fn compare(&self, accepted: Option<&Accepted>, live: &Live) -> Compared {
        let definition = accepted.map(|accepted| &accepted.definition);
        let (changes, unknown) = live.compare(definition, &self.pipeline, self.now);
        Compared {
            pipeline: self.pipeline.name.clone(),
            at: self.now,
            accepted: accepted.map(|accepted| accepted.acceptance.clone()),
            changes,
            unknown,
        }
    }

    async fn accept(&self, by: &str, why: &str) -> Result<AcceptedNow, Error> {
        let (pipeline, accepted) = (&self.pipeline.name, self.accepted().await?);
        let live = self.live().await;
        let Compared { changes, unknown, .. } = self.compare(accepted.as_ref(), &live);
        let mut definition = live.definition;
        let mut number = 1;
        if let Some(accepted) = &accepted {
            definition.keep_unknown(&accepted.definition);
            if definition == accepted.definition {
                let acceptance = accepted.acceptance.clone();
                return Ok(AcceptedNow { pipeline: pipeline.clone(), stored: false, acceptance, unknown });
            }
            number = accepted.acceptance.number.saturating_add(1);
        }
        if definition.syncs.values().all(|sync| sync.known().is_none())
            && definition.relations.values().all(|relation| relation.known().is_none())
        {
            let why = unknown.into_iter().map(|part| part.why).next().unwrap_or_default();
            return Err(Error::new(format!("nothing could be read: {why}"), "syncwatch doctor"));
        }
        let stored = definition.stored().map_err(Error::plain)?;
        let mut named: Vec<String> = changes.iter().take(NAMED_CHANGES).map(ToString::to_string).collect();
        if let Some(more) = changes.len().checked_sub(NAMED_CHANGES).filter(|more| *more > 0) {
            named.push(format!("and {} more", counted(more, "change")));
        }
        let acceptance =
            Acceptance { number, at: self.now, by: by.to_owned(), why: why.to_owned(), changes: named };
        let expected = match &accepted {
            None => Expected::Absent,
            Some(accepted) => Expected::Version(accepted.acceptance.number),
        };
        match self.incidents()?.accept(pipeline, &acceptance, &stored, expected).await? {
            Written::Written => {
                Ok(AcceptedNow { pipeline: pipeline.clone(), stored: true, acceptance, unknown })
            }
            Written::Lost(other) => {
                let other = other.map(|other| format!(" by {}", other.by)).unwrap_or_default();
                let what = format!("another definition was accepted meanwhile{other}; nothing was stored");
                Err(Error::new(what, "syncwatch baseline diff"))
            }
        }
    }

    /// Reads the live definition. What cannot be read is unknown, with its reason.
    pub(super) async fn live(&self) -> Live {
        let secret = || self.setting(env::WAREHOUSE_SECRET);
        let base_url = self.env.optional(env::DATABRICKS_URL.name);
        let warehouse = self.warehouse_by(secret, base_url, limits(), WAREHOUSE_START_LIMIT).await;
        let asker = warehouse.as_ref().map(|warehouse| Asker::new(warehouse, WAREHOUSE_START_LIMIT));
        let mut live = definition::live(&self.pipeline, self.census().await.as_ref(), asker).await;
        let prefix = format!("{}-", self.prefix());
        live.definition.deployment = deployment(&self.sdk, &prefix, &prefix).await;
        live
    }
}
