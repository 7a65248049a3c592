//! Advisories on dependencies: the output of `cargo deny --format json check advisories`.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{Area, Read, Row, State, action, unknown};
use crate::text::{bounded, counted, minute_utc};

/// Advisories that are older than this may lack new ones.
const FRESH: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The most characters of a title or of the tool's own error.
const CHARS: usize = 160;
const HOW: &str = "cargo deny --format json check advisories 2>advisories.json; syncwatch audit --advisories advisories.json";

/// The advisories that a tool found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advisories {
    /// When the file was written (UTC).
    pub at: Timestamp,
    /// Such as `RUSTSEC-2026-0001 in tokio 1.2.3`, with the title.
    pub found: Vec<(String, String)>,
}

/// A line of the tool.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    fields: Fields,
}

/// The fields of a summary, a diagnostic or a message.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    advisories: Option<Count>,
    level: String,
    message: String,
    severity: String,
    code: String,
    advisory: Option<Id>,
    graphs: Vec<Graph>,
}

#[derive(Deserialize)]
struct Count {
    errors: u64,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct Graph {
    #[serde(rename = "Krate")]
    krate: Krate,
}

#[derive(Deserialize)]
struct Krate {
    name: String,
    version: String,
}

impl Advisories {
    /// Reads the lines of the tool. Without its summary the check did not end, and nothing is known.
    pub fn read(text: &str, at: Timestamp) -> Read<Self> {
        let (mut found, mut errors, mut trouble) = (Vec::new(), None, None);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let read = serde_json::from_str(line);
            let Line { kind, fields } =
                read.map_err(|error| format!("a line of the advisories is not as expected: {error}"))?;
            let message = bounded(&fields.message, CHARS);
            match (kind.as_str(), fields.severity.as_str()) {
                ("summary", _) => errors = fields.advisories.map(|count| count.errors),
                ("log", _) if fields.level == "ERROR" => trouble = Some(message),
                ("diagnostic", "error" | "warning") => {
                    let id = fields.advisory.map_or(fields.code, |advisory| advisory.id);
                    let krate = fields
                        .graphs
                        .first()
                        .map(|graph| format!(" in {} {}", graph.krate.name, graph.krate.version));
                    found.push((bounded(&(id + &krate.unwrap_or_default()), CHARS), message));
                }
                _ => {}
            }
        }
        match errors {
            None => {
                Err(trouble.unwrap_or_else(|| "no summary of advisories: the check did not end".to_owned()))
            }
            Some(errors) if errors > 0 && found.is_empty() => {
                Err(format!("{} without a text", counted(errors, "advisory error")))
            }
            Some(_) => Ok(Self { at, found }),
        }
    }
}

/// One row for each advisory, or one for all.
pub(super) fn rows(advisories: Option<&Read<Advisories>>, owner: &str, now: Timestamp) -> Vec<Row> {
    let row = |subject: &str, state, evidence: String| Row::new(Area::Dependencies, subject, state, evidence);
    let advisories = match advisories {
        None => return vec![row("advisories", unknown(HOW), "no file was given".to_owned())],
        Some(Err(why)) => return vec![row("advisories", unknown(HOW), why.clone())],
        Some(Ok(advisories)) => advisories,
    };
    let read = minute_utc(advisories.at);
    let mut rows: Vec<Row> = advisories
        .found
        .iter()
        .map(|(subject, title)| {
            row(subject, action(owner, "update the dependency, then deploy: make deploy"), title.clone())
        })
        .collect();
    // An advisory stays one, but its absence may be out of date.
    if now.duration_since(advisories.at) > FRESH {
        rows.push(row("advisories", unknown(HOW), format!("checked at {read}, more than 7 days ago")));
    } else if rows.is_empty() {
        rows.push(row("advisories", State::Ok, format!("none by the check of {read}")));
    }
    rows
}
