//! The rows of `reconciliation_log` in `infra/warehouse`, one line for each column. Pure.

use jiff::Timestamp;
use jiff::civil::Date;
use syncwatch::columns;

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
