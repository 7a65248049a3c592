//! The faults of the data, by name.

use serde::{Deserialize, Serialize};

/// A fault on the data's path.
///
/// As JSON: `{"fault": "duplicate-creation", "percent": 10}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PropertyFault {
    /// The views are broken: company names are null in every record that the syncs move.
    ViewBug,
    /// Nothing arrives or changes at the source.
    SourceStalls,
    CopyStalls,
    /// Salesforce creates a share of new records twice.
    DuplicateCreation {
        /// The share, in percent.
        percent: u32,
    },
    /// The external id is not unique in Salesforce: a run that sends a record again, as before the copy shows it, creates
    /// it again.
    KeyNotUnique,
    /// The create view is broken: properties of a city are in no queue and never arrive.
    CoverageLeak {
        city: String,
    },
    /// Syncs move too few records per run, so queues grow.
    Backlog {
        per_run: usize,
    },
    /// Salesforce rejects a share of the records.
    ValidationErrors {
        /// The share, in percent.
        percent: u32,
    },
    /// The update view compares times instead of versions: it never selects a change that is older than the last edit of its
    /// record.
    ViewComparesTimes,
    /// A person enters other companies in records of Salesforce, once.
    HandEdits {
        count: usize,
    },
    /// Companies change at the source, and a person saves the same records a minute later, once. Harmless unless the update view
    /// compares times.
    LostUpdates {
        count: usize,
    },
}
