//! Shows the pipeline on one screen: syncs, open incidents and the last rounds of the functions.

use std::collections::BTreeMap;
use std::fmt;

use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::incidents::{self, IncidentLine};
use super::runs::RunLine;
use super::{Error, Operator};
use syncwatch::census;
use syncwatch::pipeline::Sync;
use syncwatch::schedule::Rule;
use syncwatch::text::{bounded, table, words};

/// Default width of a terminal.
const WIDTH: usize = 80;
/// Maximum lines of a section; the rest is counted.
const LINES: usize = 10;
/// Number of syncs that are read concurrently.
pub(super) const AT_ONCE: usize = 8;

/// State of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub pipeline: String,
    /// Time of reading (UTC).
    pub at: Timestamp,
    #[serde(with = "jiff::fmt::serde::tz::required")]
    pub time_zone: TimeZone,
    pub syncs: Vec<SyncLine>,
    /// Open incidents, worst first.
    pub incidents: Vec<IncidentLine>,
    /// Start of each function's last round (UTC).
    pub rounds: BTreeMap<String, Timestamp>,
    /// Unreadable parts, each with its reason. They do not count as healthy.
    pub unknown: Vec<Unknown>,
}

/// One sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncLine {
    pub sync: String,
    /// Name at Census.
    pub label: Option<String>,
    pub paused: Option<bool>,
    pub last_run: Option<RunLine>,
    /// When the next run is due by pipeline.toml (UTC), if one is.
    pub next_run: Option<Timestamp>,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    pub what: String,
    pub why: String,
}

impl Status {
    /// Returns whether no incident is open and everything was readable.
    pub fn is_good(&self) -> bool {
        self.incidents.is_empty() && self.unknown.is_empty()
    }
}

impl Operator {
    pub(super) async fn status(&self) -> Status {
        let (pipeline, now) = (&self.pipeline, self.now);
        let mut unknown = Vec::new();
        let mut missing = |what: &str, why: String| unknown.push(Unknown { what: what.to_owned(), why });
        let census = self.census().await;
        if let Err(error) = &census {
            missing("syncs", error.to_string());
        }
        let read = pipeline.syncs.iter().map(|sync| line(census.as_ref().ok(), sync, now));
        let read: Vec<(SyncLine, Option<String>)> = stream::iter(read).buffered(AT_ONCE).collect().await;
        for (line, why) in &read {
            why.iter().for_each(|why| missing(&line.sync, why.clone()));
        }
        let open = self.open().await.map_err(|why| missing("incidents", why.to_string()));
        let rounds = self.rounds().await.map_err(|why| missing("rounds", why.to_string()));
        Status {
            pipeline: pipeline.name.clone(),
            at: now,
            time_zone: pipeline.time_zone.clone(),
            syncs: read.into_iter().map(|(line, _)| line).collect(),
            incidents: incidents::lines(open.unwrap_or_default(), now),
            rounds: rounds.unwrap_or_default(),
            unknown,
        }
    }

    async fn rounds(&self) -> Result<BTreeMap<String, Timestamp>, Error> {
        Ok(self.incidents()?.rounds(&self.pipeline.name).await?)
    }
}

/// Reads a sync, with the error if a part failed. Without a client all of it is unknown; the caller reports the
/// reason once.
async fn line(census: Option<&census::Client>, sync: &Sync, now: Timestamp) -> (SyncLine, Option<String>) {
    let mut line =
        SyncLine { sync: sync.key.clone(), label: None, paused: None, last_run: None, next_run: None };
    let mut why = None;
    if let Some(census) = census {
        match census.get_sync(sync.id).await {
            Ok(found) => (line.label, line.paused) = (found.label, found.paused),
            Err(error) => why = Some(error.to_string()),
        }
        match census.runs_of_sync(sync.id, 1).await {
            Ok(history) => line.last_run = history.runs.first().map(RunLine::of),
            Err(error) => why = Some(error.to_string()),
        }
    }
    line.next_run = match (&sync.schedule.rule, &line.last_run) {
        // A paused sync runs again only when it is resumed.
        _ if line.paused == Some(true) => None,
        (Rule::Every(period), Some(last)) => last.started_at.checked_add(*period).ok(),
        _ => sync.schedule.next_slot(now),
    };
    (line, why)
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = &self.time_zone;
        let at = self.at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z");
        let is_unknown = |what: &str| self.unknown.iter().any(|unknown| unknown.what == what);
        writeln!(f, "{} at {at}\n", self.pipeline)?;
        let rows: Vec<_> = self.syncs.iter().map(|sync| sync.row(zone, self.at)).collect();
        section(f, &table(["sync", "label", "state", "last run", "next run"], &rows))?;
        let rows: Vec<_> = self.incidents.iter().map(incident_row).collect();
        let none = if is_unknown("incidents") { "Open incidents: unknown" } else { "No open incidents." };
        part(f, ["open incident", "severity", "for", "acknowledged"], &rows, none)?;
        let ago = |at: Timestamp| format!("{} ago", words(self.at.duration_since(at)));
        let rows: Vec<_> = self.rounds.iter().map(|(name, at)| [name.clone(), ago(*at)]).collect();
        let none =
            if is_unknown("rounds") { "Last rounds: unknown" } else { "No function has finished a round." };
        part(f, ["function", "last round"], &rows, none)?;
        if self.unknown.is_empty() {
            return Ok(());
        }
        writeln!(f)?;
        let unknown = self.unknown.iter().map(|Unknown { what, why }| format!("Unknown: {what}: {why}"));
        section(f, &unknown.collect::<Vec<_>>().join("\n"))?;
        write!(f, "For full reasons and remedies: syncwatch doctor")
    }
}

impl SyncLine {
    fn row(&self, zone: &TimeZone, now: Timestamp) -> [String; 5] {
        let last_run = self
            .last_run
            .as_ref()
            .map(|run| format!("{} {} ago", run.state, words(now.duration_since(run.started_at))));
        let next = self.next_run.map(|at| at.to_zoned(zone.clone()).strftime("%a %H:%M %Z").to_string());
        let state = self.paused.map_or("unknown", |paused| if paused { "paused" } else { "active" });
        [
            bounded(&self.sync, 20),
            bounded(self.label.as_deref().unwrap_or_default(), 12),
            state.to_owned(),
            bounded(&last_run.unwrap_or_else(|| "unknown or never".to_owned()), 20),
            next.unwrap_or_default(),
        ]
    }
}

fn incident_row(incident: &IncidentLine) -> [String; 4] {
    let by = incident.acknowledged.as_ref().map(|by| by.by.clone()).unwrap_or_default();
    let (key, open_for) = (bounded(&incident.incident, 46), words(incident.open_for()));
    [key, incident.severity.to_string(), open_for, bounded(&by, 12)]
}

/// Writes a table, or a sentence if it has no rows.
fn part<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    head: [&str; N],
    rows: &[[String; N]],
    none: &str,
) -> fmt::Result {
    writeln!(f)?;
    if rows.is_empty() { writeln!(f, "{none}") } else { section(f, &table(head, rows)) }
}

/// Writes lines that fit the screen.
fn section(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let lines = text.lines().count();
    for line in text.lines().take(LINES + 1) {
        writeln!(f, "{}", bounded(line, WIDTH).trim_end())?;
    }
    match lines.saturating_sub(LINES + 1) {
        0 => Ok(()),
        more => writeln!(f, "and {more} more"),
    }
}
