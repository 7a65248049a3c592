//! The declaration of an object: its two tables, their key and their fields.

use std::collections::BTreeMap;
use std::fmt;

use jiff::SignedDuration;

use super::kind::{KeyKind, Kind};
use super::{Verdict, compare, compare_currencies};
use crate::data_checks::Condition;
use crate::sql::Value;
use crate::text::{counted, words};

/// By default, a change is pending for this duration.
pub const DEFAULT_SETTLE: SignedDuration = SignedDuration::from_hours(1);

/// By default, the copy may be older than the newest run that moved records by this duration.
pub const DEFAULT_COPY_LIMIT: SignedDuration = SignedDuration::from_hours(24);

/// One object: records of the source and of the destination with a common key.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    pub name: String,
    pub owner: Option<String>,
    pub source: Side,
    pub destination: Side,
    pub key: KeyKind,
    /// A difference of a row that changed within this duration is pending, not wrong.
    pub settle: SignedDuration,
    /// The keys of the declared syncs that write it. A change after the last successful run of one of them is pending.
    pub syncs: Vec<String>,
    /// A change that is pending for longer is late; without it, none is.
    pub pending_for: Option<SignedDuration>,
    /// A copy that is older than the newest run that moved records by more than this is not compared.
    pub copy_limit: SignedDuration,
    pub limits: Limits,
    /// Each night compares one of so many buckets of keys; without it, all of them.
    pub nights: Option<u32>,
    /// At least one; the columns of the destination are unique.
    pub fields: Vec<Field>,
    /// Fields of the destination that syncs write and that are left out on purpose.
    pub not_compared: Vec<String>,
    /// A row of the source that meets one of these is left out on purpose, so it is not missing.
    pub not_selected: Vec<Condition>,
}

/// A side of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Source,
    Destination,
}

impl Origin {
    /// Returns that of source and destination which belongs to this side.
    pub fn of<T>(self, [source, destination]: [T; 2]) -> T {
        match self {
            Self::Source => source,
            Self::Destination => destination,
        }
    }

    /// Returns the opposite side.
    pub fn other(self) -> Self {
        self.of([Self::Destination, Self::Source])
    }
}

/// The table of one side.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// The name of its connection; `None` is the warehouse.
    pub connection: Option<String>,
    /// As `pipeline.toml` names it: `[catalog.][schema.]table`.
    pub table: String,
    /// The column of the key.
    pub key: String,
    /// Only rows that meet all of these count.
    pub filter: Vec<Condition>,
    /// The column with the time of a row's last change.
    pub changed: Option<String>,
    /// The column with the time when a copy last synced a row, if the table is a copy.
    pub synced: Option<String>,
    /// The column with the time of a row's creation in the destination.
    pub created: Option<String>,
    /// The column that marks deleted rows of a copy.
    pub deleted: Option<String>,
    /// The column with the user who last changed a row of the destination.
    pub modified_by: Option<ModifiedBy>,
}

/// The last writer of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModifiedBy {
    pub column: String,
    /// The users of the syncs, as the column has them; ids of 15 and 18 characters are the same.
    pub integration_users: Vec<String>,
    /// The copy of the destination's users, in the warehouse, with `id`, `last_login_date` and `is_active`.
    pub users: Option<String>,
}

/// A pair of columns with the same meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub source: String,
    /// The column of the destination; the name of the field.
    pub destination: String,
    pub kind: Kind,
    /// Values of the source, each with its value in the destination.
    pub map: BTreeMap<String, String>,
    /// The side whose value is right.
    pub authority: Authority,
    /// The columns of the currency in source and destination, for money.
    pub currency: Option<(String, String)>,
}

/// The side whose value is right if they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Authority {
    #[default]
    Source,
    Destination,
}

/// The most settled rows that may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    pub missing: u64,
    pub extra: u64,
    /// Of the joined rows, in percent.
    pub different_percent: f64,
}

impl Object {
    /// Returns the table of one side.
    pub fn side(&self, origin: Origin) -> &Side {
        origin.of([&self.source, &self.destination])
    }
}

/// A value of one side, with its currency if it is money.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'v> {
    pub value: &'v Value,
    pub currency: Option<&'v Value>,
}

impl Field {
    /// Compares the values of a record, from the side that has authority.
    pub fn compare(&self, source: Cell<'_>, destination: Cell<'_>) -> Verdict {
        let mapped = self.mapped(source.value);
        let source = Cell { value: mapped.as_ref().unwrap_or(source.value), ..source };
        let (decides, other) = match self.authority {
            Authority::Source => (source, destination),
            Authority::Destination => (destination, source),
        };
        let verdict = compare(&self.kind, decides.value, other.value);
        let (Some(a), Some(b)) = (decides.currency, other.currency) else { return verdict };
        match (verdict, compare_currencies(a, b)) {
            (Verdict::Equal | Verdict::EqualNormalised(_), of_currency) if of_currency != Verdict::Equal => {
                of_currency
            }
            (verdict, _) => verdict,
        }
    }
}

impl Field {
    /// The destination's value for a value of the source, if it is mapped.
    pub(super) fn mapped(&self, source: &Value) -> Option<Value> {
        let Value::Text(text) = source else { return None };
        self.map.get(text.trim_matches(' ')).map(|value| Value::Text(value.clone()))
    }
}

/// Such as `company_name = company_name_c (text)`.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({}", self.source, self.destination, self.kind.name())?;
        if !self.map.is_empty() {
            write!(f, ", {} mapped", counted(self.map.len(), "value"))?;
        }
        if self.authority == Authority::Destination {
            write!(f, ", the destination is right")?;
        }
        write!(f, ")")
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, destination, limits, .. } = self;
        write!(
            f,
            "each {} of {} is a {} of {} with the same values, and the other way round",
            source.key, source.table, destination.key, destination.table
        )?;
        write!(
            f,
            " (at most {} missing, {} extra, {}% different)",
            limits.missing, limits.extra, limits.different_percent
        )?;
        if source.changed.is_some() {
            write!(f, "; a change is pending for {}", words(self.settle))?;
        }
        if let Some(limit) = self.pending_for {
            write!(f, ", and late after {}", words(limit))?;
        }
        if let Some(nights) = self.nights {
            write!(f, "; each night compares one of {nights} buckets of keys")?;
        }
        if !self.syncs.is_empty() {
            write!(f, "; written by {}", self.syncs.join(" and "))?;
        }
        let words: Vec<String> = self.not_selected.iter().map(ToString::to_string).collect();
        if !words.is_empty() {
            write!(f, "; not expected where {}", words.join(" or "))?;
        }
        Ok(())
    }
}
