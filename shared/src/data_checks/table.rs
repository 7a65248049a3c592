//! A round of data checks as a table that a person can read.

use super::DataCheck;
use crate::finding::{Finding, Outcome};

/// Lines at the most; the worst come first.
const LINES: usize = 100;
/// Characters of a cell at the most.
const CELL_CHARS: usize = 80;
const HEAD: [&str; 5] = ["check", "table", "outcome", "figures", "limit"];

/// Aligned columns: check, table, outcome, figures, limit. What is wrong comes first, then what is unknown.
pub fn table<'f>(rows: impl IntoIterator<Item = (Option<&'f DataCheck>, &'f Finding)>) -> String {
    let mut rows: Vec<(Option<&DataCheck>, &Finding)> = rows.into_iter().collect();
    rows.sort_by_key(|(_, finding)| match &finding.outcome {
        Outcome::Unhealthy { severity, .. } => (0, std::cmp::Reverse(Some(*severity))),
        Outcome::NotEvaluated { .. } => (1, std::cmp::Reverse(None)),
        Outcome::Healthy { .. } => (2, std::cmp::Reverse(None)),
    });
    let more = rows.len().saturating_sub(LINES);
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.into_iter().take(LINES).map(|(check, finding)| line(check, finding)));
    let mut widths = [0; HEAD.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> =
            line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    if more > 0 {
        text.push_str(&format!("and {more} more\n"));
    }
    text
}

fn line(check: Option<&DataCheck>, finding: &Finding) -> [String; 5] {
    let (outcome, figures) = match &finding.outcome {
        Outcome::Healthy { evidence } => ("healthy".to_owned(), evidence.summary.clone()),
        Outcome::Unhealthy { severity, evidence, .. } => (severity.to_string(), evidence.summary.clone()),
        Outcome::NotEvaluated { why } => ("not evaluated".to_owned(), why.to_string()),
    };
    let table = check.map_or(String::new(), |check| check.table.clone());
    let limit = check.map_or(String::new(), DataCheck::limit_in_words);
    [finding.subject.clone(), table, outcome, figures, limit].map(|cell| bounded(&cell))
}

fn bounded(cell: &str) -> String {
    let one_line = cell.chars().map(|c| if c.is_control() { ' ' } else { c });
    if cell.chars().count() <= CELL_CHARS {
        return one_line.collect();
    }
    one_line.take(CELL_CHARS - 1).chain(std::iter::once('…')).collect()
}
