//! Formats a round of data checks as a table.

use super::DataCheck;
use crate::finding::{Check, Finding, Outcome};
use crate::text::{self, bounded};

/// The most lines; the worst findings come first.
const LINES: usize = 100;
/// The most characters of a cell.
const CELL_CHARS: usize = 80;
const HEAD: [&str; 5] = ["check", "table", "outcome", "figures", "limit"];

/// Formats findings in aligned columns: check, table, outcome, figures, limit. Unhealthy ones come first, then unevaluated ones.
pub fn table<'f>(rows: impl IntoIterator<Item = (Option<&'f DataCheck>, &'f Finding)>) -> String {
    // A healthy filter needs no line of its own.
    let is_shown = |(_, finding): &(Option<&DataCheck>, &Finding)| {
        finding.check != Check::FilterKeepsRows || finding.is_unhealthy()
    };
    let mut rows: Vec<(Option<&DataCheck>, &Finding)> = rows.into_iter().filter(is_shown).collect();
    rows.sort_by_key(|(_, finding)| match &finding.outcome {
        Outcome::Unhealthy { severity, .. } => (0, std::cmp::Reverse(Some(*severity))),
        Outcome::NotEvaluated { .. } => (1, std::cmp::Reverse(None)),
        Outcome::Healthy { .. } => (2, std::cmp::Reverse(None)),
    });
    let more = rows.len().saturating_sub(LINES);
    let lines: Vec<[String; 5]> =
        rows.into_iter().take(LINES).map(|(check, finding)| line(check, finding)).collect();
    let mut text = text::table(HEAD, &lines) + "\n";
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
    let own = check.filter(|check| check.check() == finding.check);
    let limit = own.map_or(String::new(), DataCheck::limit_in_words);
    [finding.subject.clone(), table, outcome, figures, limit].map(|cell| bounded(&cell, CELL_CHARS))
}
