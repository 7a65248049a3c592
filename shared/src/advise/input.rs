//! The runs of a sync, and facts about it that no run has.

use jiff::{SignedDuration, Timestamp};

use super::view::{Definition, Selects};
use crate::sql::Dialect;

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Completed,
    /// Not executed, as an earlier run was still in progress.
    Skipped,
    /// Failed, cancelled, or still in progress.
    Other,
}

/// One run. A full sync must be left out: it reads and sends other amounts than the runs of the schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// When the run was created (UTC).
    pub created: Timestamp,
    /// When its work began (UTC); Census does not send it.
    pub started: Option<Timestamp>,
    /// When it ended (UTC).
    pub ended: Option<Timestamp>,
    pub end: End,
    /// Records to deliver.
    pub records: Option<u64>,
    /// Records that the destination refused.
    pub refused: Option<u64>,
    /// The time of its source query, in seconds, from the query history of the warehouse.
    pub query_seconds: Option<f64>,
}

/// A sync to advise on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sync {
    /// In any order.
    pub runs: Vec<Run>,
    /// The time between two runs of its schedule, if it is regular.
    pub interval: Option<SignedDuration>,
    /// The longest time from a run's creation to its end.
    pub target: Option<SignedDuration>,
    pub facts: Facts,
}

/// Facts about a sync. An unknown one is `None`, and advice that needs it is left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Whether the destination is Salesforce.
    pub salesforce: bool,
    /// Whether it creates records: a record that is sent twice may become a duplicate.
    pub creates: bool,
    /// Whether it removes records from the destination that are missing in its source.
    pub mirror: Option<bool>,
    /// Whether its batch size was lowered. No API of Census shows it.
    pub batch_size_lowered: Option<bool>,
    /// The seconds per record of the fastest other sync to the same destination.
    pub fastest_other: Option<f64>,
    /// The share of its records that the destination has already with the same values, in percent.
    pub unchanged_percent: Option<f64>,
    /// The age of the oldest change that has not arrived.
    pub oldest_waiting: Option<SignedDuration>,
    pub view: Option<View>,
}

/// The view or table that a sync reads.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// The dialect of its warehouse. The steps of advice are known for Databricks only.
    pub dialect: Option<Dialect>,
    /// Its full name, as SQL writes it.
    pub name: String,
    /// The column that identifies a record.
    pub key: Option<String>,
    /// The column with the time of the last change of a record.
    pub changed_at: Option<String>,
    /// The table below it and the column by which it is filtered or joined.
    pub filtered: Option<(String, String)>,
    pub definition: Option<Definition>,
    /// Whether it selects by the column with the time of the last change.
    pub selects: Option<Selects>,
    /// Whether its rows are stored, as in a table or a materialized view.
    pub stored: Option<bool>,
    /// Rows that it returns.
    pub rows: Option<u64>,
    /// Rows that its query reads.
    pub rows_read: Option<u64>,
    /// Of the rows that its query reads, those that changed in the last 7 days.
    pub rows_changed: Option<u64>,
}
