//! Parses pages of lists.

use std::cmp::Reverse;

use serde_json::Value;

use super::value::{integer, kind, text};
use super::{Place, parse_run_at, parse_sync_at};
use crate::census::error::{Error, ErrorKind};
use crate::observation::{ObservedSync, RunHistory};

/// An unreadable entry of a page whose other entries were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableEntry {
    /// Its id, if readable.
    pub id: Option<u64>,
    /// The place in the answer, such as `data[3].id`, and the kind of value found there.
    pub found: String,
}

/// One page of the list of syncs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SyncPage {
    pub syncs: Vec<ObservedSync>,
    pub unreadable: Vec<UnreadableEntry>,
    /// The number of the next page, if any.
    pub next: Option<u32>,
    /// The number of syncs in the workspace, if the answer has it.
    pub total: Option<u64>,
}

/// Parses a page of `GET /syncs`; `asked_for` is the number of the page, from 1.
///
/// # Errors
/// The answer has no list, or its next page does not advance: stopping there would make the syncs on later pages appear
/// deleted.
pub fn parse_syncs_page(answer: &Value, asked_for: u32) -> Result<SyncPage, Error> {
    let operation = "list syncs";
    let (entries, next) = page(answer, operation, asked_for)?;
    let mut page =
        SyncPage { next, total: integer(answer.pointer("/pagination/total_records")), ..SyncPage::default() };
    for (index, entry) in entries.iter().enumerate() {
        match parse_sync_at(entry, operation, &format!("data[{index}]")) {
            Ok(sync) => page.syncs.push(sync),
            Err(error) => {
                let id = integer(entry.get("id"));
                page.unreadable.push(UnreadableEntry { id, found: error.to_string() });
            }
        }
    }
    Ok(page)
}

/// Parses a page of `GET /syncs/{id}/sync_runs` and sorts it newest first. The history is `complete` only if the answer
/// states that no page follows; otherwise older runs may exist.
///
/// # Errors
/// The answer has no list, or a run in it cannot be read: the checks cannot detect a gap in a history.
pub fn parse_runs_page(answer: &Value, asked_for: u32) -> Result<RunHistory, Error> {
    let operation = "list runs";
    let mut runs = list(answer, operation)?
        .iter()
        .enumerate()
        .map(|(index, entry)| parse_run_at(entry, operation, &format!("data[{index}]")))
        .collect::<Result<Vec<_>, _>>()?;
    runs.sort_by_key(|run| Reverse((run.created_at, run.id)));
    let complete = runs.is_empty() || next_page(answer, operation, asked_for) == Ok(Next::Last);
    Ok(RunHistory { runs, complete, samples: None })
}

/// The next page, according to an answer.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Page(u32),
    Last,
    Unknown,
}

/// Returns the list at `data`, and the number of the next page.
pub(in crate::census) fn page<'a>(
    answer: &'a Value,
    operation: &'static str,
    asked_for: u32,
) -> Result<(&'a Vec<Value>, Option<u32>), Error> {
    let entries = list(answer, operation)?;
    // An empty page is the last one, even if the answer names another: otherwise paging might never end.
    if entries.is_empty() {
        return Ok((entries, None));
    }
    let next = match next_page(answer, operation, asked_for)? {
        Next::Page(next) => Some(next),
        Next::Last | Next::Unknown => None,
    };
    Ok((entries, next))
}

fn next_page(answer: &Value, operation: &'static str, asked_for: u32) -> Result<Next, Error> {
    // Census treats page 0 as page 1.
    let asked_for = asked_for.max(1);
    let found = match answer.pointer("/pagination/next_page") {
        Some(Value::Null) => return Ok(Next::Last),
        Some(found) => found,
        // V1's older form: the address of the next page, or null. We use only its presence.
        None => {
            return Ok(match answer.get("next") {
                Some(Value::Null) => Next::Last,
                next if text(next).is_some() => Next::Page(asked_for.saturating_add(1)),
                _ => Next::Unknown,
            });
        }
    };
    let unexpected =
        |found| ErrorKind::Shape { path: "pagination.next_page".to_owned(), found }.of(operation);
    let next = integer(Some(found)).ok_or_else(|| unexpected(kind(Some(found)).to_owned()))?;
    match u32::try_from(next) {
        Ok(next) if next > asked_for => Ok(Next::Page(next)),
        _ => Err(unexpected(format!("{next}, which does not come after page {asked_for}"))),
    }
}

/// Returns the list at `data`.
pub(super) fn list<'a>(answer: &'a Value, operation: &'static str) -> Result<&'a Vec<Value>, Error> {
    let data = answer.get("data");
    data.and_then(Value::as_array).ok_or_else(|| Place { operation, path: "data" }.unexpected("", data))
}
