//! From what vendors say of a failure to its class, with the likely cause and what helps.
//!
//! The rules are data: see `patterns`. What a vendor says may quote customers' values, so nothing of it reaches
//! people but through [`scrub`] and [`identifiers`].

mod matching;
mod patterns;
mod scrub;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::finding::show_as_stored;
use crate::observation::{RejectedRecord, RunError};

pub use scrub::{identifier, identifiers, scrub};

/// The figure of a finding's evidence that carries the id of the class.
pub const CLASS_FIGURE: &str = "error class";

/// Declares [`ErrorClass`] and everything that is known of each class, in one table.
macro_rules! classes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $id:literal, $title:literal, $scope:ident {
        cause: $cause:literal,
        remedy: $remedy:literal,
    })+) => {
        /// What kind of failure it is. Its id is part of notices and of the runbook, so an id never changes its
        /// meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ErrorClass {
            $($(#[doc = $doc])+ #[serde(rename = $id)] $variant,)+
        }

        impl ErrorClass {
            /// Every class, in the order that breaks a tie between samples.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable id, in kebab case.
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),+ }
            }

            /// The id in words, for people.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }

            /// The likely cause: one sentence, without a full stop at its end.
            pub fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause),+ }
            }

            /// What helps, for a person who was woken by it: one or two sentences.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy),+ }
            }

            /// Whether it is a cause that syncs have in common, rather than a sync's own.
            pub fn is_shared(self) -> bool {
                match self { $(Self::$variant => classes!(@shared $scope)),+ }
            }
        }
    };
    (@shared shared) => { true };
    (@shared own) => { false };
}

classes! {
    /// A login or a right is gone, at the source or at the destination.
    Auth = "auth", "login or rights", shared {
        cause: "The source or the destination no longer accepts the login of Census, or its user lacks a right",
        remedy: "Reconnect it in Census, or give its user the right back. Every sync of that connection waits for it.",
    }
    /// The API limit of the destination is used up.
    RateLimit = "rate-limit", "rate limit", shared {
        cause: "The destination takes no more requests for now: its API limit is used up",
        remedy: "Leave it for an hour; the next run catches up. If it returns, find what else uses the limit, or send \
                 less at a time, but never a full sync.",
    }
    /// The destination does not answer, or says that it cannot.
    DestinationDown = "destination-down", "destination down", shared {
        cause: "The destination does not answer, or is under maintenance",
        remedy: "Look at its status page and wait: the first run after it catches up. Never a full sync.",
    }
    /// Something took too long. A sync's own: its query, or the automation behind the object that it writes.
    Timeout = "timeout", "timeout", own {
        cause: "The source query or the destination took too long to answer",
        remedy: "Wait for the next run. If it fails too, look for a slow query in the warehouse or slow automation in \
                 the destination, or send smaller batches.",
    }
    /// A column that the sync reads is gone from the source.
    DeletedSourceColumn = "deleted-source-column", "deleted source column", own {
        cause: "A column that the sync reads is no longer in the source: somebody changed the view or the table",
        remedy: "Put the column back under its old name, or take it out of the mapping. No run succeeds before.",
    }
    /// A field or an object that the sync writes is not there, or may not be written.
    InvalidField = "invalid-field", "invalid field or changed schema", own {
        cause: "A field or an object that the sync writes is gone from the destination, or became read-only",
        remedy: "Compare the mapping with the destination's fields and its user's rights on them. Put the field back, \
                 or refresh the fields in Census and change the mapping.",
    }
    /// The warehouse could not run the sync's query.
    SourceQueryFailed = "source-query-failed", "source query failed", own {
        cause: "The warehouse could not run the query of the sync",
        remedy: "Run the query by hand in the warehouse: a table may be gone, or the warehouse stopped.",
    }
    /// A value that must be unique is there already.
    DuplicateValue = "duplicate-value", "duplicate value", own {
        cause: "The destination, or the source itself, already has a record with a value that must be unique",
        remedy: "Do not retry a create sync before its sync key is unique in the destination: it would make more \
                 duplicates. Merge the records first; never a full sync.",
    }
    /// Something else was writing the same records.
    LockContention = "lock-contention", "lock contention", own {
        cause: "Something else was writing the same records at that moment",
        remedy: "Wait: Census sends these records again with the next run. If it stays, lower the batch size of the \
                 sync, or move the other load to another hour.",
    }
    /// A value that must be there is missing.
    RequiredFieldMissing = "required-field-missing", "required field missing", own {
        cause: "Records lack a value that must be there",
        remedy: "Fill the field in the source, or map it. Census sends the rejected records again with the next run.",
    }
    /// A rule, a trigger or the type of a field refuses the value.
    ValidationRule = "validation-rule", "validation rule", own {
        cause: "A rule, a trigger or the type of a field in the destination refuses the values",
        remedy: "Settle with the owner of the destination whether the rule or the data is to change. Census sends \
                 the rejected records again with the next run.",
    }
    /// None of the others.
    Unknown = "unknown", "unknown", own {
        cause: "The reason is none that we know",
        remedy: "Read the vendor's words and the sync history in Census, and wait for one more run before you change \
                 anything.",
    }
}

impl ErrorClass {
    /// Reads a stable id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.id() == id)
    }
}

show_as_stored!(ErrorClass);

/// How many records that did not arrive are of which class, the largest number first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally(Vec<(ErrorClass, usize)>);

impl Tally {
    /// Counts records by class.
    pub fn of(records: &[RejectedRecord]) -> Self {
        let classes: Vec<ErrorClass> = records.iter().map(classify_record).collect();
        let count = |class: ErrorClass| classes.iter().filter(|of| **of == class).count();
        let mut counts: Vec<(ErrorClass, usize)> =
            ErrorClass::ALL.iter().map(|class| (*class, count(*class))).filter(|(_, n)| *n > 0).collect();
        // Stable: of two classes with as many samples, the one that `ALL` names first stays first.
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Self(counts)
    }

    /// The class of most of them; `None` if there are none.
    pub fn largest(&self) -> Option<ErrorClass> {
        self.0.first().map(|(class, _)| *class)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: usize = self.0.iter().map(|(_, count)| count).sum();
        for (index, (class, count)) in self.0.iter().enumerate() {
            match index {
                0 => write!(f, "{count} of {all} samples: {}", class.title())?,
                _ => write!(f, ", {count}: {}", class.title())?,
            }
        }
        Ok(())
    }
}

/// Classifies the failure of a run by the pattern that its code matches, else its message, else its detail.
pub fn classify(error: &RunError) -> ErrorClass {
    let mut texts = [&error.code, &error.message, &error.detail].into_iter().flatten();
    texts.find_map(|text| matching::class_of(text)).unwrap_or(ErrorClass::Unknown)
}

/// Classifies one record that did not arrive.
pub fn classify_record(record: &RejectedRecord) -> ErrorClass {
    let of_message = || record.message.as_deref().and_then(matching::class_of);
    match record.status.as_str() {
        // Census checks these two itself, before it sends anything (Census docs, "Sync Tracking").
        "NULL" => ErrorClass::RequiredFieldMissing,
        "DUPLICATE" => ErrorClass::DuplicateValue,
        _ => of_message().unwrap_or(ErrorClass::Unknown),
    }
}

#[cfg(test)]
mod tests;
