//! The public messages of `tests/fixtures/errors`, for tests.

use serde::Deserialize;

use super::ErrorClass;

/// One line of the fixtures.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Public {
    pub(super) text: String,
    pub(super) class: ErrorClass,
    /// Classes that are equally right, if the text is ambiguous.
    #[serde(default)]
    pub(super) accept: Vec<ErrorClass>,
    pub(super) source: String,
    pub(super) vendor: String,
}

/// Returns the messages that the rules were written from.
pub(super) fn seen() -> Vec<Public> {
    let messages = read(include_str!("../../../tests/fixtures/errors/messages.jsonl"));
    messages.into_iter().chain(must()).collect()
}

/// Returns the messages that a release once classified wrongly.
pub(super) fn must() -> Vec<Public> {
    read(include_str!("../../../tests/fixtures/errors/must.jsonl"))
}

/// Returns the messages that were set aside, by source, before a rule was written.
pub(super) fn unseen() -> Vec<Public> {
    read(include_str!("../../../tests/fixtures/errors/unseen.jsonl"))
}

pub(super) fn texts() -> impl Iterator<Item = String> {
    seen().into_iter().chain(unseen()).map(|public| public.text)
}

fn read(text: &str) -> Vec<Public> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}
