//! The verdict on two values, with its rule or reason.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::sql::{BadName, Error};
use crate::text::{minute_utc, words};

/// Declares an enum of named words: serialized in kebab case, shown as a phrase.
macro_rules! phrases {
    ($(#[doc = $doc:literal])* $name:ident { $($variant:ident = $phrase:literal,)+ }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name {
            $($variant,)+
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $phrase,)+ })
            }
        }
    };
}

phrases! {
    /// A rule by which two values that are written differently are equal.
    Rule {
        LineEnds = "line ends",
        UnicodeForm = "Unicode form",
        OuterWhitespace = "outer whitespace",
        EmptyIsNull = "empty is NULL",
        Markup = "markup",
        CaseOfChoice = "case of a choice",
        OrderOfChoices = "order of choices",
        RepeatedChoice = "repeated choice",
        BinaryFloat = "binary float",
        RoundToScale = "rounded to the scale",
        FlagHasNoNull = "a flag has no NULL",
        WholeSeconds = "whole seconds",
        IdLength = "15 and 18 characters",
        PhoneFormat = "format of a phone number",
    }
}

phrases! {
    /// The reason for which two values differ, as far as the values show it.
    Reason {
        EmptyDoesNotClear = "empty text does not clear a field; send NULL",
        NotCleared = "NULL in the source, but not cleared",
        Lost = "value lost",
        Case = "only the case differs",
        InnerWhitespace = "only inner whitespace differs",
        LeadingZero = "leading zeros differ",
        Cut = "cut to the length of the field",
        TooLong = "too long for the field: rejected, the old value stays",
        RejectedChoice = "not in the restricted list: rejected, the old value stays",
        MissingChoice = "a choice is missing",
        ExtraChoice = "the destination has another choice",
        NullIsNotZero = "NULL is not zero",
        Rounded = "rounded; the API does not round, so a person saved the record",
        Beyond15Digits = "differs beyond 15 digits",
        Currency = "another currency",
        OneHour = "one hour apart: a wrong offset",
        OneDay = "one day apart: cut in the wrong zone",
        OtherRecord = "the id of another record: only the case differs",
        Other = "another value",
    }
}

phrases! {
    /// The reason for which two values were not compared.
    WhyNot {
        Unreadable = "a value is not of the field's kind",
        NoSuchTime = "the clocks of the zone skip this time",
        RepeatedTime = "the clocks of the zone show this time twice",
    }
}

phrases! {
    /// Whose fault it is that a row is not the same on both sides, in the order of the rules.
    Fault {
        AmbiguousKey = "the key is repeated, so the row is not compared",
        Pending = "changed too recently to have arrived",
        NotSelected = "left out by a declared filter",
        Rejected = "rejected by the destination in the newest runs",
        EditedThere = "changed in the destination by another user, after the source",
        Skipped = "skipped: the destination changed after the source, so a view that compares times never selects it",
        Mapping = "the mapping or the view is wrong: this field differs in many rows, others do not",
        NotRun = "no run of a sync succeeded since the source changed",
        Deleted = "deleted in the destination",
        Unknown = "unknown",
    }
}

impl Fault {
    /// Returns the next step, as a command or an act.
    pub fn next_step(self) -> &'static str {
        match self {
            Self::AmbiguousKey => "remove the duplicate; see the check `duplicates`",
            Self::Pending => "none: wait for the next run and the next sync of the copy",
            Self::NotSelected => {
                "none if that is meant; else change `where` or `not_selected` in pipeline.toml"
            }
            Self::Rejected => {
                "fix the record at the source by the class of its error; the next run sends it again"
            }
            Self::EditedThere => {
                "ask the editor whose value is right, then change the source or touch its row"
            }
            Self::Skipped => {
                "touch the source row so that it is sent again, and compare a version in the view, not times"
            }
            Self::Mapping => "compare the sync's mapping and its view with the declared field",
            Self::NotRun => "see the alerts of the sync: `syncwatch status`",
            Self::Deleted => "restore the record, or delete its source row",
            Self::Unknown => "show the record: `syncwatch reconcile OBJECT --key ID`",
        }
    }
}

/// The verdict on two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Equal,
    /// Written differently, and equal by this rule.
    EqualNormalised(Rule),
    Different(Reason),
    NotEvaluated(WhyNot),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal => f.write_str("equal"),
            Self::EqualNormalised(rule) => write!(f, "equal ({rule})"),
            Self::Different(reason) => write!(f, "different: {reason}"),
            Self::NotEvaluated(why) => write!(f, "not evaluated: {why}"),
        }
    }
}

/// The class of a settled row that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Missing,
    Extra,
    Different,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Missing, Self::Extra, Self::Different];

    /// Returns its word in lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Different => "different",
        }
    }
}

/// The names of the counts that do not add up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} do not add up; the data may have changed between the statements: compare again")]
pub struct Broken(pub &'static str);

/// The reason for a missing result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NotCompared {
    /// The copy would show old values as differences.
    #[error(
        "the copy is stale: it last synced at {}, more than {} before the last run that moved records, of {}",
        minute_utc(*copied), words(*limit), minute_utc(*newest)
    )]
    Stale { copied: Timestamp, newest: Timestamp, limit: SignedDuration },
    /// One of the two databases cannot be read.
    #[error("connection {name}: {problem}")]
    Connection { name: String, problem: String },
    #[error("pipeline.toml: {0}")]
    BadName(#[from] BadName),
    #[error(transparent)]
    Unreadable(#[from] Error),
    #[error(transparent)]
    Broken(#[from] Broken),
}

impl NotCompared {
    /// Names the connection that failed, unless it is the warehouse.
    #[must_use]
    pub fn of(self, connection: Option<&str>) -> Self {
        match (self, connection) {
            (Self::Unreadable(error), Some(name)) => {
                Self::Connection { name: name.to_owned(), problem: error.to_string() }
            }
            (why, _) => why,
        }
    }
}
