//! Formats a snapshot as a table for people. Pure.

use syncwatch::text;

use crate::missing::cut;
use crate::plan::DayPlan;

/// The most characters of a cell.
const CELL_CHARS: usize = 80;

/// Builds one line for each day: delivery, the state of the data, incidents, and missing figures.
pub(crate) fn table(days: &[&DayPlan]) -> String {
    let headings = [
        "day",
        "runs",
        "processed",
        "failed",
        "error rate",
        "coverage",
        "queues",
        "null / dup",
        "incidents",
        "missing",
    ];
    let lines: Vec<_> = days.iter().map(|day| line(day)).collect();
    text::table(headings, &lines) + "\n"
}

fn line(plan: &DayPlan) -> [String; 10] {
    let row = &plan.day;
    let count = |count: Option<i64>| count.map_or("?".to_owned(), |count| count.to_string());
    let pair = |a, b| format!("{} / {}", count(a), count(b));
    let percent = |percent: Option<f64>| {
        percent.map_or("?".to_owned(), |percent| text::percent(text::rounded(percent, 2, &[])))
    };
    let none_to_deliver = row.records.processed == Some(0) && row.records.error_rate.is_none();
    [
        row.snapshot_date.to_string(),
        plan.runs.len().to_string(),
        count(row.records.processed),
        count(row.records.failed),
        if none_to_deliver { "none".to_owned() } else { percent(row.records.error_rate) },
        percent(row.data.coverage),
        pair(row.data.create_queue, row.data.update_queue),
        pair(row.data.null_companies, row.data.duplicates),
        pair(row.incidents.opened, row.incidents.resolved),
        row.figures_missing.text().map_or("nothing".to_owned(), |missing| cut(&missing, CELL_CHARS)),
    ]
}
