//! The verdict on two values, with its rule or reason.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    /// The cause of a different row, as far as the times of the last changes show it.
    Cause {
        DestinationLater = "the destination changed after the source: edited there, or skipped by a view that compares times",
        NotArrived = "the source changed last, and its change did not arrive",
        Unknown = "unknown: a time of change is missing or not declared",
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
