//! The connection string. It contains all secrets of a connection, so it is built only when needed and never shown.

use secrecy::{ExposeSecret, SecretString};

use crate::sql::Dialect;
use crate::warehouse::settings::{OdbcSettings, SettingsError};

/// Builds the connection string.
///
/// * a value of letters, digits and the like       => unchanged
/// * any other (`;` `{` `}` `=` `%` `+`, spaces ...) => in braces, a closing brace within them doubled
/// * for SQLite                                    => unchanged: its driver treats braces as part of the value, so a
///   value with `;` is an error
pub(super) fn write(settings: &OdbcSettings) -> Result<SecretString, SettingsError> {
    let error = SettingsError::of;
    if settings.driver.is_empty() {
        return Err(error("driver", "is empty: set the path of the ODBC driver's library"));
    }
    if settings.driver.contains(char::is_control) {
        return Err(error("driver", "has control characters: correct it"));
    }
    let mut text = format!("Driver={}", braced(&settings.driver));
    for (key, value) in &settings.attributes {
        let value = value.expose_secret();
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(error("attributes", "has an invalid keyword: use letters, digits and `_`"));
        }
        if key.eq_ignore_ascii_case("driver") || key.eq_ignore_ascii_case("dsn") {
            return Err(error(key, "is set by `driver` alone: remove it"));
        }
        // Drivers are in C and read up to a NUL; a line break is never intended.
        if value.contains(char::is_control) {
            return Err(error(key, "has control characters: correct it"));
        }
        let value = if settings.dialect == Dialect::Sqlite {
            if value.contains(';') {
                return Err(error(
                    key,
                    "has a semicolon, which SQLite's driver does not support: choose another path",
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
    fn special_characters_are_put_in_braces() {
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
    fn invalid_value_is_refused_without_showing_it() {
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
        /// Parses values by the ODBC specification.
        #[test]
        fn written_value_is_read_back(value in "[^\\p{Cc}]{0,20}") {
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
