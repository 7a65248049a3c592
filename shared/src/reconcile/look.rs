//! Two looks: a row counts as wrong if it differs in two looks with the same values, so that rows in flight do not.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::value::value_text;
use super::verdict::{Class, Fault};
use crate::sql::Value;

/// The bytes of a digest.
const DIGEST: usize = 8;

/// The wrong rows of a comparison, each as a digest of class, key and both values. At most 50,000, the smallest digests, so that
/// the order of rows does not matter and two looks keep the same ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look(BTreeSet<u64>);

impl Look {
    pub(super) fn of(rows: &[Wrong], most: usize) -> Self {
        let all: BTreeSet<u64> = rows.iter().map(|row| row.digest).collect();
        Self(all.into_iter().take(most).collect())
    }

    pub(super) fn saw(&self, row: &Wrong) -> bool {
        self.0.contains(&row.digest)
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.0.len()
    }

    /// Returns its stored form: 8 bytes a row.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|digest| digest.to_be_bytes()).collect()
    }

    /// Reads the stored form; `None` if its length is not of whole digests.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (digests, rest) = bytes.as_chunks::<DIGEST>();
        rest.is_empty().then(|| Self(digests.iter().map(|digest| u64::from_be_bytes(*digest)).collect()))
    }
}

/// A settled row that is wrong, without its key and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrong {
    pub(super) digest: u64,
    pub(super) class: Class,
    /// A bit for each field that is not equal, by its place.
    pub(super) fields: u128,
    pub(super) fault: Fault,
}

/// The wrong rows that two looks saw with the same values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confirmed {
    pub missing: u64,
    pub extra: u64,
    /// With those that could not be compared.
    pub different: u64,
    /// Wrong rows that only the newer look saw so.
    pub once: u64,
    /// The confirmed rows of each class by fault.
    pub faults: BTreeMap<(Class, Fault), u64>,
    /// The confirmed rows that differ in a field, by its name; a row may differ in several.
    pub fields: BTreeMap<String, u64>,
}

impl Confirmed {
    /// Returns the number of confirmed rows of a class.
    pub fn of(&self, class: Class) -> u64 {
        match class {
            Class::Missing => self.missing,
            Class::Extra => self.extra,
            Class::Different => self.different,
        }
    }

    /// Returns the number of confirmed rows.
    pub fn rows(&self) -> u64 {
        self.missing + self.extra + self.different
    }

    /// Counts rows; `fields` are the names of their fields, by place.
    pub(super) fn of_rows(rows: &[Wrong], fields: &[&str], is_confirmed: impl Fn(&Wrong) -> bool) -> Self {
        let mut found = Self::default();
        for row in rows {
            if !is_confirmed(row) {
                found.once += 1;
                continue;
            }
            *match row.class {
                Class::Missing => &mut found.missing,
                Class::Extra => &mut found.extra,
                Class::Different => &mut found.different,
            } += 1;
            *found.faults.entry((row.class, row.fault)).or_default() += 1;
            for (place, field) in fields.iter().enumerate() {
                if row.fields >> place & 1 == 1 {
                    *found.fields.entry((*field).to_owned()).or_default() += 1;
                }
            }
        }
        found
    }
}

/// The digest of a wrong row. Each part has its length before it, so that no two rows have the same text.
pub(super) fn digest<'v>(
    class: Class,
    key: &str,
    fields: impl Iterator<Item = (&'v str, &'v Value, &'v Value)>,
) -> u64 {
    let mut hash = Sha256::new();
    let mut add = |part: Option<&str>| match part {
        Some(text) => {
            hash.update([1]);
            hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(text);
        }
        None => hash.update([0]),
    };
    add(Some(class.name()));
    add(Some(key));
    for (field, source, destination) in fields {
        add(Some(field));
        add(value_text(source).as_deref());
        add(value_text(destination).as_deref());
    }
    hash.finalize().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
