//! The rows of `reconciliation_log` in `infra/warehouse`, one line for each column. Pure.

use jiff::Timestamp;
use jiff::civil::Date;
use syncwatch::columns;
use syncwatch::reconcile::{NotCompared, Object, Reconciliation};
use syncwatch::text::bounded;

/// The value of the column `executed_by`.
pub const EXECUTED_BY: &str = "reconciliation";

columns! {
    /// How the records of an object compared on a day. Figures are `None` if it was not compared.
    pub struct ObjectRow {
        /// The key: `object/<pipeline>/<object>/<date>`.
        audit_id: String,
        pipeline: String,
        object_name: String,
        /// The day of the comparison in the pipeline's zone.
        snapshot_date: Date,
        /// (UTC)
        compared_at: Timestamp,
        /// When the copy of the destination last synced (UTC).
        copied_at: Option<Timestamp>,
        source_rows: Option<i64>,
        destination_rows: Option<i64>,
        joined_rows: Option<i64>,
        equal_rows: Option<i64>,
        missing_rows: Option<i64>,
        extra_rows: Option<i64>,
        different_rows: Option<i64>,
        pending_rows: Option<i64>,
        not_selected_rows: Option<i64>,
        /// Values of the joined records that are not pending.
        fields_compared: Option<i64>,
        fields_agreeing: Option<i64>,
        /// Wrong records by their causes, as JSON.
        by_fault: Option<String>,
        @executed_by = EXECUTED_BY,
        /// Why the object was not compared.
        not_compared: Option<String>,
    }
}

/// The most characters of the column `not_compared`.
const WHY_CHARS: usize = 1_000;

impl ObjectRow {
    /// Builds the row of a comparison on a day.
    pub fn of(
        pipeline: &str,
        object: &Object,
        day: Date,
        now: Timestamp,
        found: &Result<Reconciliation, NotCompared>,
    ) -> Self {
        let row = Self {
            audit_id: format!("object/{pipeline}/{}/{day}", object.name),
            pipeline: pipeline.to_owned(),
            object_name: object.name.clone(),
            snapshot_date: day,
            compared_at: now,
            ..Self::default()
        };
        let found = match found {
            Ok(found) => found,
            Err(why) => return Self { not_compared: Some(bounded(&why.to_string(), WHY_CHARS)), ..row },
        };
        let figure = |count: u64| Some(i64::try_from(count).unwrap_or(i64::MAX));
        let settled = found.joined.saturating_sub(found.different_pending);
        let values = settled.saturating_mul(u64::try_from(object.fields.len()).unwrap_or(u64::MAX));
        // At least one value of such a row was not compared.
        let compared = values.saturating_sub(found.not_evaluated);
        let different: u64 = found.fields.iter().map(|field| field.different).sum();
        Self {
            copied_at: found.copied,
            source_rows: figure(found.source.rows),
            destination_rows: figure(found.destination.rows),
            joined_rows: figure(found.joined),
            equal_rows: figure(found.equal + found.equal_normalised),
            missing_rows: figure(found.missing),
            extra_rows: figure(found.extra),
            different_rows: figure(found.different),
            pending_rows: figure(found.missing_pending + found.different_pending),
            not_selected_rows: figure(found.not_selected),
            fields_compared: figure(compared),
            fields_agreeing: figure(compared.saturating_sub(different)),
            by_fault: serde_json::to_string(&found.faults).ok(),
            ..row
        }
    }
}
