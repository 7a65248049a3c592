//! The faults of accounts, by name.

use serde::{Deserialize, Serialize};

/// A fault that happens to one company, which keeps it until [`AccountWorld::cure`](super::AccountWorld::cure).
///
/// As JSON: `"hand-edit"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountFault {
    /// A person enters another name in Salesforce.
    HandEdit,
    /// A person edits a field that no sync writes: no harm.
    OtherEdit,
    /// The name changes at the source, and a minute later a person saves the record: harm if the view compares times.
    LostUpdate,
    /// A person deletes the record in Salesforce.
    RecordDeleted,
    /// A person deletes the record and restores it: no harm.
    RecordUndeleted,
    /// A new company whose record the copy never sees.
    RecordHidden,
    /// A person creates a second record, with an external id of another case.
    DuplicateByCase,
    /// A person saves the record on screen, which rounds its revenue.
    Rounded,
    /// The name becomes `''` at the source: the sync succeeds, and the old one stays.
    EmptyText,
    /// The name becomes longer than its field: rejected, and the old one stays.
    TooLong,
    /// The industry becomes one that the restricted picklist lacks: rejected, and the old one stays.
    BadChoice,
    /// A second row of the source gets the same key.
    KeyReused,
    /// The row is deleted at the source, while Salesforce keeps its record.
    SourceDeleted,
    /// The name gets trailing blanks at the source, which Salesforce cuts: no harm.
    TrailingBlanks,
}

impl AccountFault {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::HandEdit,
        Self::OtherEdit,
        Self::LostUpdate,
        Self::RecordDeleted,
        Self::RecordUndeleted,
        Self::RecordHidden,
        Self::DuplicateByCase,
        Self::Rounded,
        Self::EmptyText,
        Self::TooLong,
        Self::BadChoice,
        Self::KeyReused,
        Self::SourceDeleted,
        Self::TrailingBlanks,
    ];
}

/// A change of the mapping or the view: it bends every record that is sent while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bend {
    /// The mappings of phone and fax are exchanged.
    Exchanged,
    /// The view takes the day in UTC.
    DayInUtc,
}
