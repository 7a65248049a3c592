//! The newest comparison of each object.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{share, value};
use crate::sql::Answer;

/// A comparison of an object, in records; `None` where it was not compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectDay {
    /// (UTC)
    pub compared_at: Timestamp,
    pub source: Option<i64>,
    pub destination: Option<i64>,
    pub missing: Option<i64>,
    pub extra: Option<i64>,
    pub different: Option<i64>,
    /// Changed too recently to be judged.
    pub pending: Option<i64>,
    /// The share of the compared values that agree, in percent.
    pub agreement: Option<f64>,
    /// Why it was not compared.
    pub not_compared: Option<String>,
}

impl ObjectDay {
    /// Reads the answer of [`super::Reads::objects`]: the newest comparison of each object, by its name.
    pub fn newest(answer: &Answer) -> BTreeMap<String, Self> {
        let rows = answer.rows().filter_map(|row| {
            let agreeing = value::<i64>(&row, "fields_agreeing").zip(value::<i64>(&row, "fields_compared"));
            let comparison = Self {
                compared_at: value(&row, "compared_at")?,
                source: value(&row, "source_rows"),
                destination: value(&row, "destination_rows"),
                missing: value(&row, "missing_rows"),
                extra: value(&row, "extra_rows"),
                different: value(&row, "different_rows"),
                pending: value(&row, "pending_rows"),
                agreement: agreeing.and_then(|(agreeing, compared)| share(agreeing as f64, compared as f64)),
                not_compared: value(&row, "not_compared"),
            };
            Some((value::<String>(&row, "object_name")?, comparison))
        });
        let mut newest: BTreeMap<String, Self> = BTreeMap::new();
        for (object, comparison) in rows {
            if newest.get(&object).is_none_or(|known| known.compared_at <= comparison.compared_at) {
                newest.insert(object, comparison);
            }
        }
        newest
    }
}
