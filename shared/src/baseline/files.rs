//! The SQL files that create the tables and views of a pipeline: which of them are for a dialect, and the views they declare.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::normalised;
use super::script::{FileError, View, divide, expand, query_of, runnable};
use crate::data_checks::object_name;
use crate::pipeline::DeclaredView;
use crate::sql::Dialect;

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

/// Selects the variants of a dialect: its own file before the common one. Takes texts by file name.
pub fn select(texts: &BTreeMap<String, String>, dialect: Dialect) -> Result<Vec<ObjectFile>, FileError> {
    // By number: the name and its variants by dialect; `None` is the common variant.
    let mut files: BTreeMap<i64, (String, BTreeMap<Option<&str>, &str>)> = BTreeMap::new();
    for file_name in texts.keys() {
        let (number, name, variant) = parts(file_name).ok_or_else(|| {
            let hint = "rename it to <three digits>_<name>.sql or <three digits>_<name>.<dialect>.sql, with databricks, \
                        postgresql or sqlite as dialect";
            FileError::new(format!("invalid file name {file_name}"), hint)
        })?;
        let stem = format!("{number:03}_{name}");
        let (known, variants) = files.entry(number).or_insert_with(|| (stem.clone(), BTreeMap::new()));
        if *known != stem {
            return Err(FileError::new(
                format!("{known} and {stem} have the same number"),
                "give each its own",
            ));
        }
        variants.insert(variant, file_name);
    }
    let dialect = word(dialect);
    let mut selected = Vec::with_capacity(files.len());
    for (number, (stem, variants)) in files {
        let file_name = variants.get(&Some(dialect)).or_else(|| variants.get(&None)).ok_or_else(|| {
            FileError::new(
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

/// Returns the views that files declare, by their name in `pipeline.toml`; of these relations only.
pub fn declared_views(
    files: &[ObjectFile],
    relations: &BTreeSet<&str>,
    dialect: Dialect,
) -> Result<BTreeMap<String, DeclaredView>, FileError> {
    // A relation whose name cannot be quoted has no file.
    let quoted = |name: &&str| Some((object_name(dialect, name).ok()?, (*name).to_owned()));
    let names: BTreeMap<String, String> = relations.iter().filter_map(quoted).collect();
    let mut declared = BTreeMap::new();
    for file in files {
        let statements = expand(&file.text, dialect).and_then(|text| divide(&text, dialect));
        let in_file = |error| FileError::plain(format!("{}: {error}", file.file_name));
        for statement in statements.map_err(in_file)? {
            let Some(View { name, .. }) = View::of(&statement, dialect) else { continue };
            if let Some(name) = names.get(name) {
                let query = normalised(query_of(&statement, dialect), dialect);
                let view = DeclaredView { query, script: runnable(statement.clone(), dialect) };
                declared.insert(name.clone(), view);
            }
        }
    }
    Ok(declared)
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
