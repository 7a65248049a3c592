//! The connection string: the one place where all secrets of a connection are together, so it is written when it is
//! needed, and never shown.

use secrecy::{ExposeSecret, SecretString};

use crate::sql::Dialect;
use crate::warehouse::settings::{OdbcSettings, SettingsError};

/// Writes the connection string.
///
/// * a value of letters, digits and the like       => as it is
/// * any other (`;` `{` `}` `=` `%` `+`, spaces ...) => in braces, a closing brace within them doubled
/// * for SQLite                                    => as it is: its driver takes braces for a part of the value, so
///   a value with `;` cannot be told to it, and is an error
pub(super) fn write(settings: &OdbcSettings) -> Result<SecretString, SettingsError> {
    let error = SettingsError::of;
    if settings.driver.is_empty() {
        return Err(error("driver", "is empty: give the path of the ODBC driver's library"));
    }
    if settings.driver.contains(char::is_control) {
        return Err(error("driver", "has control characters: correct it"));
    }
    let mut text = format!("Driver={}", braced(&settings.driver));
    for (key, value) in &settings.attributes {
        let value = value.expose_secret();
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(error("attributes", "has a keyword that is no word: correct it"));
        }
        if key.eq_ignore_ascii_case("driver") || key.eq_ignore_ascii_case("dsn") {
            return Err(error(key, "is told by `driver` alone: remove it"));
        }
        // Drivers are in C, and read up to a zero; a line break is never meant.
        if value.contains(char::is_control) {
            return Err(error(key, "has control characters: correct it"));
        }
        let value = if settings.dialect == Dialect::Sqlite {
            if value.contains(';') {
                return Err(error(
                    key,
                    "has a semicolon, which SQLite's driver cannot be told: choose another path",
                ));
            }
            value.to_owned()
        } else {
            braced(value)
        };
        text.push_str(&format!(";{key}={value}"));
    }
    text.push(';');
    Ok(SecretString::from(text))
}

fn braced(value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | ':' | '\\');
    if value.chars().all(plain) { value.to_owned() } else { format!("{{{}}}", value.replace('}', "}}")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(dialect: Dialect, key: &str, value: &str) -> Result<String, SettingsError> {
        write(&OdbcSettings::new("/usr/lib/d.so", dialect).with(key, value))
            .map(|text| text.expose_secret().to_owned())
    }

    #[test]
    fn what_would_end_a_value_is_put_in_braces() {
        for (value, expected) in [
            ("plain-1.example", "plain-1.example"),
            ("p;w", "{p;w}"),
            ("p;w{}d+%41 =x", "{p;w{}}d+%41 =x}"),
            ("}", "{}}}"),
            ("", ""),
            ("a b", "{a b}"),
            ("[x]", "{[x]}"),
        ] {
            let text = written(Dialect::PostgreSql, "PWD", value).unwrap();
            assert_eq!(text, format!("Driver=/usr/lib/d.so;PWD={expected};"));
        }
    }

    #[test]
    fn what_cannot_be_told_is_refused_by_the_settings_name_alone() {
        for (dialect, key, value) in [
            (Dialect::PostgreSql, "PWD", "s3cret\0"),
            (Dialect::PostgreSql, "PWD", "s3cret\n"),
            (Dialect::PostgreSql, "P;WD", "s3cret"),
            (Dialect::PostgreSql, "", "s3cret"),
            (Dialect::PostgreSql, "Driver", "s3cret"),
            (Dialect::Sqlite, "Database", "s3cret;x"),
        ] {
            let error = written(dialect, key, value).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    proptest! {
        /// Reads values as the ODBC specification has it.
        #[test]
        fn a_value_ends_where_it_was_meant_to_end(value in "[^\\p{Cc}]{0,20}") {
            let text = written(Dialect::PostgreSql, "PWD", &value).unwrap();
            let rest = text.strip_prefix("Driver=/usr/lib/d.so;PWD=").unwrap();
            let (read, rest) = match rest.strip_prefix('{') {
                Some(inner) => {
                    let mut read = String::new();
                    let mut chars = inner.chars().peekable();
                    loop {
                        let c = chars.next().unwrap();
                        if c == '}' && chars.next_if_eq(&'}').is_none() {
                            break;
                        }
                        read.push(c);
                    }
                    (read, chars.collect::<String>())
                }
                None => (rest.split(';').next().unwrap().to_owned(), ";".to_owned()),
            };
            prop_assert_eq!(read, value);
            prop_assert_eq!(rest, ";");
        }
    }
}
