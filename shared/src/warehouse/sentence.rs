//! Classifies failed statements by the vendors' codes and messages.

use crate::classify::scrub;
use crate::sql::{ErrorKind, ParameterValue, Statement};

/// Classifies an error by the vendor's SQLSTATE or code, and its message.
pub(super) fn from_sql_state(statement: &Statement, code: &str, message: &str) -> ErrorKind {
    let message = sentence(statement, message);
    match code {
        // 42KD1: the token is read-only (Databricks docs, "API scopes").
        "42501" | "42KD1" | "INSUFFICIENT_PERMISSIONS" | "PERMISSION_DENIED" => {
            ErrorKind::PermissionDenied { message }
        }
        // PostgreSQL uses this code for mismatched types and for undefined functions.
        "42883" if message.contains("operator does not exist") => ErrorKind::TypeMismatch { message },
        // PostgreSQL's "datatype mismatch" and text that is not a number or instant; Spark's DATATYPE_MISMATCH and
        // CAST_INVALID_INPUT.
        "42804" | "42K09" | "22P02" | "22007" | "22018" => ErrorKind::TypeMismatch { message },
        // Table, column, function, type; catalog, schema; ODBC's own codes for tables and columns.
        "42P01" | "42703" | "42883" | "42704" | "3D000" | "3F000" | "42S02" | "42S22" => {
            ErrorKind::MissingObject { message }
        }
        "28000" | "28P01" | "UNAUTHENTICATED" => ErrorKind::Refused,
        "HY008" | "CANCELLED" => ErrorKind::Cancelled,
        _ => ErrorKind::Sql { code: code.to_owned(), message },
    }
}

/// Shorter values are too common to identify a person.
const HIDDEN_FROM_CHARS: usize = 3;

/// Returns a vendor's message without its details and without the data that it quotes.
pub(super) fn sentence(statement: &Statement, message: &str) -> String {
    // After these, PostgreSQL and Spark show the failed row, the SQL and the plan.
    const DETAILS: [&str; 7] =
        ["DETAIL:", "CONTEXT:", "HINT:", "QUERY:", "== SQL", "== DataFrame", "Error while executing"];
    let end = DETAILS.iter().filter_map(|mark| message.find(mark)).min().unwrap_or(message.len());
    let mut text = message.get(..end).unwrap_or_default().to_owned();
    for parameter in statement.parameters() {
        if let ParameterValue::Text(Some(value)) = &parameter.value
            && value.chars().count() >= HIDDEN_FROM_CHARS
        {
            text = text.replace(value.as_str(), "[hidden]");
        }
    }
    match scrub(&text).trim_end_matches([';', ' ', '.']) {
        "" => "no reason given".to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement::new("coverage of properties", "SELECT :name").bind("name", "Mary Miller")
    }

    #[test]
    fn message_of_a_vendor_keeps_object_names_and_loses_data() {
        let sentence = |message| sentence(&statement(), message);
        assert_eq!(
            sentence("ERROR: relation \"ops.nosuch\" does not exist;\nError while executing the query"),
            "ERROR: relation \"ops.nosuch\" does not exist"
        );
        assert_eq!(
            sentence("ERROR: invalid input syntax for type integer: \"4711-secret\""),
            "ERROR: invalid input syntax for type integer: \"[hidden]\""
        );
        assert_eq!(
            sentence("ERROR: duplicate key\nDETAIL: Failing row contains (1, Ann Other)"),
            "ERROR: duplicate key"
        );
        assert_eq!(sentence("no value Mary Miller here"), "no value [hidden] here");
        assert_eq!(
            sentence(
                "[TABLE_OR_VIEW_NOT_FOUND] The table or view `crm`.`x` cannot be found. == SQL == SELECT 'secret'"
            ),
            "[TABLE_OR_VIEW_NOT_FOUND] The table or view `crm`.`x` cannot be found"
        );
    }

    #[test]
    fn codes_map_to_remedies() {
        let error = |code| from_sql_state(&statement(), code, "message");
        assert!(matches!(error("42501"), ErrorKind::PermissionDenied { .. }));
        assert!(matches!(error("42KD1"), ErrorKind::PermissionDenied { .. }));
        assert!(matches!(error("42P01"), ErrorKind::MissingObject { .. }));
        assert!(matches!(error("42703"), ErrorKind::MissingObject { .. }));
        assert!(matches!(error("22P02"), ErrorKind::TypeMismatch { .. }));
        assert!(matches!(error("42K09"), ErrorKind::TypeMismatch { .. }));
        let compared =
            from_sql_state(&statement(), "42883", "ERROR: operator does not exist: text > timestamp");
        assert!(matches!(compared, ErrorKind::TypeMismatch { .. }));
        assert!(matches!(error("42883"), ErrorKind::MissingObject { .. }));
        assert!(matches!(error("28P01"), ErrorKind::Refused));
        assert!(matches!(error("HY008"), ErrorKind::Cancelled));
        assert!(!error("42601").is_transient());
        assert!(error("TEMPORARILY_UNAVAILABLE").is_transient());
        assert_eq!(error("42601").to_string(), "the warehouse reports 42601: message");
    }
}
