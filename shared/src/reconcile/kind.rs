//! Kinds of fields: how the values of a field are compared.

use std::borrow::Cow;

use jiff::tz::TimeZone;

/// The kind of a field, with all that its comparison needs.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Text {
        /// The length of the destination's field, in characters.
        max_length: Option<u32>,
    },
    /// Text with markup: only the text counts.
    RichText,
    Choice {
        /// The values of a restricted picklist; empty if it takes any.
        values: Vec<String>,
    },
    /// Several choices in one text, separated by `;`. Their order does not count.
    Choices,
    Flag,
    Number {
        /// The decimals of the destination's field.
        scale: u32,
        /// Whether numbers that are the same when rounded to the scale are equal.
        round_to_scale: bool,
    },
    /// A number with a currency in a column of its own.
    Money {
        scale: u32,
    },
    /// An instant, in whole seconds.
    Instant,
    Date {
        /// The zone whose day counts, if the source holds an instant.
        source_zone: Option<TimeZone>,
    },
    /// The id of a Salesforce record, of 15 or 18 characters.
    SalesforceId,
    Phone,
}

impl Kind {
    /// Returns its name in `pipeline.toml`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::RichText => "rich-text",
            Self::Choice { .. } => "choice",
            Self::Choices => "choices",
            Self::Flag => "flag",
            Self::Number { .. } => "number",
            Self::Money { .. } => "money",
            Self::Instant => "instant",
            Self::Date { .. } => "date",
            Self::SalesforceId => "salesforce-id",
            Self::Phone => "phone",
        }
    }
}

/// The kind of an object's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyKind {
    #[default]
    Text,
    /// As an external id that ignores case.
    TextIgnoringCase,
    Integer,
    SalesforceId,
}

impl KeyKind {
    /// Returns the text of a key in the form in which keys are joined.
    pub fn joined(self, key: &str) -> String {
        self.folded(key.trim()).into_owned()
    }

    /// Folds what this kind of key does not distinguish, beside blanks around it.
    pub(super) fn folded(self, key: &str) -> Cow<'_, str> {
        match self {
            Self::SalesforceId if key.chars().count() == 18 => key.chars().take(15).collect(),
            Self::TextIgnoringCase => key.to_lowercase().into(),
            _ => key.into(),
        }
    }
}
