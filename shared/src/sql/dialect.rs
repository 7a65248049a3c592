//! Differences between warehouses in SQL text: quoting and limits of names, and transactions.

/// The SQL dialect of a warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Databricks,
    PostgreSql,
    Sqlite,
}

/// A name that cannot be used for a table or column. Never returned for a short name of ordinary characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("a part of the name is empty")]
    Empty,
    /// Such characters come only from a mistake or an attack.
    #[error("it has control characters")]
    ControlCharacters,
    /// PostgreSQL would silently truncate it, and use or create an object of another name.
    #[error("a part of the name is longer than {0} bytes")]
    TooLong(usize),
    /// SQLite's ODBC driver searches for placeholders itself, and does not recognize names in backticks.
    #[error("it has a {0}, which SQLite's driver would misread; choose another name")]
    Misread(char),
    /// `catalog.schema.table` is the longest form.
    #[error("it has {found} parts, at most {most} are allowed")]
    TooManyParts { found: usize, most: usize },
}

impl Dialect {
    /// Quotes one name, which may contain any characters.
    ///
    /// Uses backticks for SQLite too: it treats an unknown name in double quotes as a string, so a misspelt column
    /// would silently be a constant.
    pub fn quote(self, name: &str) -> Result<String, BadName> {
        if name.is_empty() {
            return Err(BadName::Empty);
        }
        if name.chars().any(char::is_control) {
            return Err(BadName::ControlCharacters);
        }
        if name.len() > self.longest_name() {
            return Err(BadName::TooLong(self.longest_name()));
        }
        if self == Self::Sqlite
            && let Some(misread) = name.chars().find(|c| matches!(c, '?' | '\'' | '"' | ';' | '{' | '}'))
        {
            return Err(BadName::Misread(misread));
        }
        let mark = match self {
            Self::Databricks | Self::Sqlite => "`",
            Self::PostgreSql => "\"",
        };
        Ok(format!("{mark}{}{mark}", name.replace(mark, &mark.repeat(2))))
    }

    /// Quotes the parts of a name, and joins them with dots.
    pub fn quote_parts(self, parts: &[&str]) -> Result<String, BadName> {
        let most = match self {
            Self::Databricks | Self::PostgreSql => 3,
            // The attached database, and the table.
            Self::Sqlite => 2,
        };
        if parts.is_empty() {
            return Err(BadName::Empty);
        }
        if parts.len() > most {
            return Err(BadName::TooManyParts { found: parts.len(), most });
        }
        let quoted: Result<Vec<_>, _> = parts.iter().map(|part| self.quote(part)).collect();
        Ok(quoted?.join("."))
    }

    fn longest_name(self) -> usize {
        match self {
            // `NAMEDATALEN` is 64, including the terminating NUL.
            Self::PostgreSql => 63,
            // Neither documents a limit that we found; this one stops nonsense.
            Self::Databricks | Self::Sqlite => 255,
        }
    }

    /// Returns whether several statements can run in one transaction.
    pub fn has_transactions(self) -> bool {
        self != Self::Databricks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Dialect; 3] = [Dialect::Databricks, Dialect::PostgreSql, Dialect::Sqlite];

    #[test]
    fn names_are_quoted_by_dialect() {
        let name = "properties \"to`create";
        assert_eq!(Dialect::Databricks.quote(name).unwrap(), "`properties \"to``create`");
        assert_eq!(Dialect::PostgreSql.quote(name).unwrap(), "\"properties \"\"to`create\"");
        assert_eq!(Dialect::Sqlite.quote("properties `to create").unwrap(), "`properties ``to create`");
    }

    #[test]
    fn parts_of_a_path_are_quoted_separately() {
        assert_eq!(
            Dialect::Databricks.quote_parts(&["crm", "sfdc_dbx", "sync_audit_log"]).unwrap(),
            "`crm`.`sfdc_dbx`.`sync_audit_log`"
        );
        assert_eq!(Dialect::PostgreSql.quote_parts(&["ops", "t"]).unwrap(), "\"ops\".\"t\"");
        assert_eq!(Dialect::Sqlite.quote_parts(&["a.b"]).unwrap(), "`a.b`");
    }

    #[test]
    fn invalid_names_are_refused() {
        let refused = |dialect: Dialect, path: &str| {
            dialect.quote_parts(&path.split('.').collect::<Vec<_>>()).unwrap_err()
        };
        for dialect in ALL {
            for path in ["", ".", "a.", ".b"] {
                assert_eq!(refused(dialect, path), BadName::Empty, "{path:?}");
            }
            for path in ["a\0", "a\n; DROP TABLE b", "\u{85}"] {
                assert_eq!(refused(dialect, path), BadName::ControlCharacters, "{path:?}");
            }
            assert_eq!(dialect.quote_parts(&[]), Err(BadName::Empty));
        }
        assert_eq!(refused(Dialect::Databricks, "a.b.c.d"), BadName::TooManyParts { found: 4, most: 3 });
        assert_eq!(refused(Dialect::Sqlite, "a.b.c"), BadName::TooManyParts { found: 3, most: 2 });
        assert_eq!(refused(Dialect::PostgreSql, &"ä".repeat(32)), BadName::TooLong(63));
        assert!(Dialect::PostgreSql.quote(&"a".repeat(63)).is_ok());
        for misread in ['?', '\'', '"', ';', '{', '}'] {
            assert_eq!(refused(Dialect::Sqlite, &format!("a{misread}")), BadName::Misread(misread));
        }
    }

    proptest! {
        #[test]
        fn quoted_name_ends_with_its_quotes_and_holds_the_name(name in "[^\\p{Cc}]{1,15}") {
            for dialect in ALL {
                let Ok(quoted) = dialect.quote(&name) else {
                    prop_assert_eq!(dialect, Dialect::Sqlite);
                    continue;
                };
                let mark = quoted.chars().next().unwrap();
                let inner = quoted.strip_prefix(mark).unwrap().strip_suffix(mark).unwrap();
                // Every mark inside is doubled, so none ends the name.
                let pair = mark.to_string().repeat(2);
                prop_assert!(!inner.replace(&pair, "").contains(mark), "{quoted}");
                prop_assert_eq!(inner.replace(&pair, &mark.to_string()), name.clone());
            }
        }
    }
}
