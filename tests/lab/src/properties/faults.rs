//! What can be made to go wrong with the data, by name.

use serde::{Deserialize, Serialize};

/// A fault of the data's way.
///
/// As JSON: `{"fault": "duplicate-creation", "percent": 10}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PropertyFault {
    /// Somebody breaks the views: company names are null in all that the syncs move.
    ViewBug,
    /// Nothing new arrives from the source, and nothing changes there.
    SourceStalls,
    CopyStalls,
    /// Salesforce gets a share of new records twice.
    DuplicateCreation {
        /// The share, in percent.
        percent: u32,
    },
    /// Somebody breaks the view of what is to be created: properties of a city are in no queue and never arrive.
    CoverageLeak {
        city: String,
    },
    /// Syncs move so few records a run that queues grow.
    Backlog {
        per_run: usize,
    },
    /// Salesforce refuses a share of the records.
    ValidationErrors {
        /// The share, in percent.
        percent: u32,
    },
}
