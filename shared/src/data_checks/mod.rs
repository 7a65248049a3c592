//! Data checks: declared in `pipeline.toml`, compiled into few statements, judged by a few figures.
//!
//! * [`compile()`] turns all checks of one table into one statement, so that the table is scanned once. The SQL differs between
//!   warehouses only in how names are quoted; values are always bound.
//! * [`judge::data`](crate::judge::data) turns the answer into findings. It is pure; a missing figure is never a pass.
//!
//! Ratios are computed here, not in SQL: `1/2` is 0 in one engine and 0.5 in another. So are times: no engine is asked for the
//! time or the day.

mod compile;
mod filter;
mod objects;
mod table;
mod window;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::finding::{Check, CriticalAfter, Severity};
use crate::sql::ParameterValue;
use crate::text::words;

pub use compile::{Asked, AskedFilter, Column, Measure, Scan, compile, filter_statement, samples_statement};
pub(crate) use compile::{FROM, TO, bound_to, condition_sql, placeholder};
pub use filter::{Filter, filters};
pub use objects::object_name;
pub use table::table;
pub use window::{Day, Window};

/// The most that timestamps of the source and of the destination may be ahead of our clock.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// Returns the latest credible timestamp at `now`. A later one comes from a clock that is ahead, from local time stored as
/// UTC, or from a typing error: if it counted, it would hide every undelivered change until its date.
pub(crate) fn latest_credible(now: Timestamp) -> Timestamp {
    now.saturating_add(AHEAD).unwrap_or(now)
}

/// One declared data check.
#[derive(Debug, Clone, PartialEq)]
pub struct DataCheck {
    /// Its name; the subject of its findings.
    pub name: String,
    /// The table or view that it checks, as `catalog.schema.table`.
    pub table: String,
    /// Only rows that meet all of these conditions count.
    pub filter: Vec<Condition>,
    pub window: Option<Window>,
    pub severity: Severity,
    pub owner: Option<String>,
    /// The records in the destination, in a browser.
    pub object_url: Option<String>,
    /// How long its findings may last before they are critical, if not by default.
    pub critical_after: Option<CriticalAfter>,
    pub rule: Rule,
}

/// A condition on a column of the rows that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub column: String,
    pub holds: Predicate,
}

/// The condition itself. True or false in every engine: a missing value is never "unknown".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// The column is this value, and not missing.
    Equals(Literal),
    /// The column is another value, or missing: a flag that a loader leaves empty is not set.
    Not(Literal),
    /// The column is missing or, if `false`, is not.
    IsNull(bool),
}

impl Condition {
    /// Returns whether no row can meet both.
    pub(crate) fn contradicts(&self, other: &Self) -> bool {
        use Predicate::{Equals, IsNull, Not};
        self.column == other.column
            && match (&self.holds, &other.holds) {
                (Equals(one), Equals(another)) => one != another,
                (Equals(one), Not(another)) | (Not(another), Equals(one)) => one == another,
                (Equals(_), IsNull(missing)) | (IsNull(missing), Equals(_)) => *missing,
                (IsNull(one), IsNull(another)) => one != another,
                (Not(_), Not(_) | IsNull(_)) | (IsNull(_), Not(_)) => false,
            }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = &self.column;
        match &self.holds {
            Predicate::Equals(value) => write!(f, "{column} = {value}"),
            Predicate::Not(value) => write!(f, "{column} is not {value}"),
            Predicate::IsNull(true) => write!(f, "{column} is null"),
            Predicate::IsNull(false) => write!(f, "{column} is not null"),
        }
    }
}

/// A value from `pipeline.toml`; always bound, never part of the SQL text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Literal {
    Text(String),
    Integer(i64),
    Boolean(bool),
}

impl From<&Literal> for ParameterValue {
    fn from(literal: &Literal) -> Self {
        match literal {
            Literal::Text(text) => Self::from(text.as_str()),
            Literal::Integer(number) => Self::from(*number),
            Literal::Boolean(value) => Self::from(*value),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Integer(number) => number.fmt(f),
            Self::Boolean(value) => value.fmt(f),
        }
    }
}

/// The keys of another table.
#[derive(Debug, Clone, PartialEq)]
pub struct Keys {
    pub table: String,
    pub key: String,
    pub filter: Vec<Condition>,
}

/// The table and columns where changes arrive.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrivals {
    pub table: String,
    /// The column with the time of a record's last change in the destination.
    pub column: String,
    /// The column with the time when a copy of the destination last synced the row, if the table is such a copy.
    pub synced: Option<String>,
    pub filter: Vec<Condition>,
}

/// The condition for healthy.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Keys of the table are in the destination.
    Coverage {
        key: String,
        destination: Keys,
        /// Below this share, in percent, it is unhealthy with the check's severity.
        warn_below: f64,
        /// Below this share, in percent, it is critical.
        critical_below: f64,
    },
    /// Few enough values are missing in each of these columns.
    NullCount {
        columns: Vec<String>,
        /// The most missing values of one column.
        limit: u64,
    },
    /// A small enough share of values is missing in each of these columns.
    NullRate {
        columns: Vec<String>,
        /// The highest share of one column, in percent.
        limit_percent: f64,
    },
    /// Few enough rows have the key of an earlier row.
    Duplicates {
        /// The columns that make up the key. Rows where one of them is missing do not count.
        key: Vec<String>,
        /// The most rows beyond the first of each key.
        limit: u64,
        /// Whether sample keys are shown unchanged. Otherwise addresses and telephone numbers in them are hidden.
        show_keys: bool,
    },
    /// No change of the table waits longer for its arrival than `max_lag`.
    Freshness {
        /// The column with the time of a row's last change.
        column: String,
        destination: Arrivals,
        max_lag: SignedDuration,
    },
    /// The rows of a view that lists waiting records.
    QueueSize {
        limit: u64,
        /// The column with the time since when a row waits, and the longest wait allowed.
        oldest: Option<(String, SignedDuration)>,
    },
    RowCount {
        min: Option<u64>,
        max: Option<u64>,
    },
    /// A column has only these values; missing ones do not count.
    AcceptedValues {
        column: String,
        values: Vec<Literal>,
        /// The most rows with another value.
        limit: u64,
    },
    /// Texts of a column have this format; missing ones do not count.
    Pattern {
        column: String,
        /// A pattern of SQL's `LIKE`; `!` escapes a `%`, `_` or `!` behind it.
        like: Option<String>,
        min_length: Option<u32>,
        max_length: Option<u32>,
        /// The most rows of another format.
        limit: u64,
    },
    /// Every value of a column is a key of another table; missing values do not count.
    Referential {
        column: String,
        references: Keys,
        /// The most rows without a match.
        limit: u64,
    },
    /// The single number that a custom query returns is within limits.
    CustomSql {
        /// The query, which only reads ([`check_read_only`](crate::sql::check_read_only)). It may use the window as `:from` and `:to`.
        sql: String,
        min: Option<f64>,
        max: Option<f64>,
    },
}

impl DataCheck {
    /// Returns the check of its findings.
    pub fn check(&self) -> Check {
        match self.rule {
            Rule::Coverage { .. } => Check::Coverage,
            Rule::NullCount { .. } => Check::NullCount,
            Rule::NullRate { .. } => Check::NullRate,
            Rule::Duplicates { .. } => Check::Duplicates,
            Rule::Freshness { .. } => Check::Freshness,
            Rule::QueueSize { .. } => Check::QueueSize,
            Rule::RowCount { .. } => Check::RowCount,
            Rule::AcceptedValues { .. } => Check::AcceptedValues,
            Rule::Pattern { .. } => Check::Pattern,
            Rule::Referential { .. } => Check::Referential,
            Rule::CustomSql { .. } => Check::CustomSql,
        }
    }

    /// Returns its limits as text, such as `at most 100 rows`.
    pub fn limit_in_words(&self) -> String {
        match &self.rule {
            Rule::Coverage { warn_below, critical_below, .. } => {
                format!("{warn_below}%, critical below {critical_below}%")
            }
            Rule::NullCount { limit, .. } => format!("at most {limit} missing"),
            Rule::NullRate { limit_percent, .. } => format!("at most {limit_percent}% missing"),
            Rule::Duplicates { limit, .. } => format!("at most {limit} duplicates"),
            Rule::Freshness { max_lag, .. } => format!("arrives within {}", words(*max_lag)),
            Rule::QueueSize { limit, oldest: None } => format!("at most {limit} waiting"),
            Rule::QueueSize { limit, oldest: Some((_, longest)) } => {
                format!("at most {limit} waiting, none longer than {}", words(*longest))
            }
            Rule::RowCount { min, max } => between(min.as_ref(), max.as_ref(), " rows"),
            Rule::AcceptedValues { limit, .. } => format!("at most {limit} unaccepted"),
            Rule::Pattern { limit, .. } => format!("at most {limit} malformed"),
            Rule::Referential { limit, .. } => format!("at most {limit} without a match"),
            Rule::CustomSql { min, max, .. } => between(min.as_ref(), max.as_ref(), ""),
        }
    }
}

fn between(min: Option<&impl fmt::Display>, max: Option<&impl fmt::Display>, unit: &str) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("{min} to {max}{unit}"),
        (Some(min), None) => format!("at least {min}{unit}"),
        (None, Some(max)) => format!("at most {max}{unit}"),
        (None, None) => "none".to_owned(),
    }
}

impl fmt::Display for DataCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |columns: &[String]| columns.join(", ");
        let within = |filter: &[Condition]| where_in_words(" where", filter);
        match &self.rule {
            Rule::Coverage { key: column, destination: keys, .. }
            | Rule::Referential { column, references: keys, .. } => {
                let Keys { table, key, filter } = keys;
                write!(f, "each {column} is a {key} of {table}{}", within(filter))?;
            }
            Rule::NullCount { columns, .. } | Rule::NullRate { columns, .. } => {
                write!(f, "{} is not missing", list(columns))?;
            }
            Rule::Duplicates { key, .. } => write!(f, "no two rows have the same {}", list(key))?,
            Rule::Freshness { column, destination, .. } => {
                let Arrivals { table, column: arrived, filter, .. } = destination;
                write!(f, "changes by {column} arrive by {arrived} of {table}{}", within(filter))?;
            }
            Rule::QueueSize { oldest, .. } => match oldest {
                Some((column, _)) => write!(f, "few rows are waiting, since {column}")?,
                None => write!(f, "few rows are waiting")?,
            },
            Rule::RowCount { .. } => write!(f, "row count")?,
            Rule::AcceptedValues { column, values, .. } => {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                write!(f, "{column} is one of {}", values.join(", "))?;
            }
            Rule::Pattern { column, like, min_length, max_length, .. } => {
                write!(f, "{column}")?;
                if let Some(like) = like {
                    write!(f, " is like \"{like}\"")?;
                }
                if min_length.is_some() || max_length.is_some() {
                    let length = between(min_length.as_ref(), max_length.as_ref(), " characters");
                    write!(f, "{} has {length}", if like.is_some() { " and" } else { "" })?;
                }
            }
            Rule::CustomSql { .. } => write!(f, "result of the custom query")?,
        }
        write!(f, " ({})", self.limit_in_words())?;
        f.write_str(&where_in_words(", of rows where", &self.filter))?;
        if let Some(window) = &self.window {
            write!(f, ", {window}")?;
        }
        Ok(())
    }
}

fn where_in_words(lead: &str, filter: &[Condition]) -> String {
    let conditions: Vec<String> = filter.iter().map(ToString::to_string).collect();
    if conditions.is_empty() { String::new() } else { format!("{lead} {}", conditions.join(" and ")) }
}

#[cfg(test)]
mod tests;
