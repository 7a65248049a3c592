//! Reads the SQL files and selects those of a dialect.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::Error;
use syncwatch::sql::Dialect;

/// A file in its variant for one dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFile {
    /// Position in the order.
    pub number: i64,
    /// Name without number, dialect and ending.
    pub name: String,
    /// Full name, for errors.
    pub file_name: String,
    pub text: String,
    /// The SHA-256 of the text, in hexadecimal digits.
    pub sha256: String,
}

/// Returns the name of a dialect in file names.
fn word(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Databricks => "databricks",
        Dialect::PostgreSql => "postgresql",
        Dialect::Sqlite => "sqlite",
    }
}

/// Reads the `.sql` files of a folder in their variants for a dialect, in order.
pub fn read(folder: &Path, dialect: Dialect) -> Result<Vec<ObjectFile>, Error> {
    let unread = |path: &Path, error: io::Error| {
        let path = path.display();
        Error::new(format!("cannot read {path}: {error}"), "give the path of the folder with the SQL files")
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
    // Without files, nothing would be created and the command would succeed.
    if texts.is_empty() {
        let folder = folder.display();
        return Err(Error::new(
            format!("{folder} has no SQL files"),
            "give the path of the folder with them",
        ));
    }
    select(&texts, dialect)
}

/// Selects the variants of a dialect: its own file before the common one. Takes texts by file name.
fn select(texts: &BTreeMap<String, String>, dialect: Dialect) -> Result<Vec<ObjectFile>, Error> {
    // By number: the name and its variants by dialect; `None` is the common variant.
    let mut files: BTreeMap<i64, (String, BTreeMap<Option<&str>, &str>)> = BTreeMap::new();
    for file_name in texts.keys() {
        let (number, name, variant) = parts(file_name).ok_or_else(|| {
            let hint = "rename it to <three digits>_<name>.sql or <three digits>_<name>.<dialect>.sql, with databricks, \
                        postgresql or sqlite as dialect";
            Error::new(format!("invalid file name {file_name}"), hint)
        })?;
        let stem = format!("{number:03}_{name}");
        let (known, variants) = files.entry(number).or_insert_with(|| (stem.clone(), BTreeMap::new()));
        if *known != stem {
            return Err(Error::new(format!("{known} and {stem} have the same number"), "give each its own"));
        }
        variants.insert(variant, file_name);
    }
    let dialect = word(dialect);
    let mut selected = Vec::with_capacity(files.len());
    for (number, (stem, variants)) in files {
        let file_name = variants.get(&Some(dialect)).or_else(|| variants.get(&None)).ok_or_else(|| {
            Error::new(
                format!("{stem} has no variant for {dialect}"),
                format!("add {stem}.{dialect}.sql or {stem}.sql"),
            )
        })?;
        let text = texts.get(*file_name).cloned().unwrap_or_default();
        let name = stem.split_once('_').map(|(_, name)| name.to_owned()).unwrap_or_default();
        let sha256 = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        selected.push(ObjectFile { number, name, file_name: (*file_name).to_owned(), text, sha256 });
    }
    Ok(selected)
}

fn parts(file_name: &str) -> Option<(i64, &str, Option<&str>)> {
    let (digits, rest) = file_name.strip_suffix(".sql")?.split_once('_')?;
    if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (name, variant) = rest.split_once('.').map_or((rest, None), |(name, variant)| (name, Some(variant)));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let known = [Dialect::Databricks, Dialect::PostgreSql, Dialect::Sqlite].map(word);
    if name.is_empty() || !name.chars().all(plain) || variant.is_some_and(|variant| !known.contains(&variant))
    {
        return None;
    }
    Some((digits.parse().ok()?, name, variant))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), format!("-- {name}"))).collect()
    }

    #[test]
    fn own_file_of_a_dialect_precedes_the_common_one() {
        let texts = texts(&["010_b.sql", "002_a.sql", "002_a.databricks.sql"]);
        let names = |dialect| -> Vec<String> {
            select(&texts, dialect).unwrap().into_iter().map(|file| file.file_name).collect()
        };
        assert_eq!(names(Dialect::Databricks), ["002_a.databricks.sql", "010_b.sql"]);
        assert_eq!(names(Dialect::Sqlite), ["002_a.sql", "010_b.sql"]);
    }

    #[test]
    fn ambiguous_or_invalid_file_names_are_refused() {
        for name in ["a.sql", "01_a.sql", "001_.sql", "001_A.sql", "001_a.oracle.sql", "001_a b.sql"] {
            let refused = select(&texts(&[name]), Dialect::Sqlite).unwrap_err();
            assert!(refused.what.starts_with(&format!("invalid file name {name}")), "{refused}");
        }
        let same = select(&texts(&["001_a.sql", "001_b.sql"]), Dialect::Sqlite).unwrap_err();
        assert_eq!(same.to_string(), "001_a and 001_b have the same number; give each its own");
        let none = select(&texts(&["001_a.databricks.sql"]), Dialect::Sqlite).unwrap_err();
        assert_eq!(none.to_string(), "001_a has no variant for sqlite; add 001_a.sqlite.sql or 001_a.sql");
    }
}
