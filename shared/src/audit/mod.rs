//! The quarterly audit: the areas that people review each quarter, with their evidence, and what changed since the audit before.
//! Pure: no I/O and no clock, and never fails.
//!
//! A row is ok, an action with its owner, or unknown with how to find out. A read that failed is unknown, never ok. Evidence has
//! names, counts and times, and no value of a record.

mod access;
mod advisories;
mod definition;
mod load;
mod practice;
mod quarter;
mod show;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::baseline::{Acceptance, Accepted, Live, Part, Relation};
use crate::data_checks::Rule;
use crate::days::days_between;
use crate::finding::{Check, show_as_stored};
use crate::history::{CompletedRuns, History};
use crate::incident::{Incident, State as IncidentState};
use crate::pipeline::Pipeline;
use crate::rounds::ValidatedRound;
use crate::scoreboard::Stored;
use crate::text::{counted, minute_utc, plain_line};

pub use advisories::Advisories;
pub use quarter::Quarter;

/// A value that was read, or why it could not be.
pub type Read<T> = Result<T, String>;

/// A part of the review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    FieldMappings,
    Views,
    Schedules,
    Access,
    Alerts,
    Runbook,
    Drills,
    Dependencies,
    Audit,
}

show_as_stored!(Area);

/// The result of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    Ok,
    Action {
        owner: String,
        what: String,
    },
    Unknown {
        /// How to find out.
        how: String,
    },
}

/// One subject of an area.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub area: Area,
    /// The same from audit to audit.
    pub subject: String,
    #[serde(flatten)]
    pub state: State,
    /// One line.
    pub evidence: String,
    /// More lines of evidence.
    pub details: Vec<String>,
    /// The quarter since which it is an action, without an audit in between in which it was none.
    pub open_since: Option<String>,
}

/// The audit before, and what became of its actions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    pub quarter: String,
    /// UTC.
    pub at: Timestamp,
    /// The person who kept it.
    pub by: String,
    /// Actions that were none then.
    pub new: Vec<String>,
    /// Actions then and now.
    pub open: Vec<String>,
    /// Actions that are ok now, or whose subject is gone.
    pub done: Vec<String>,
    /// Actions that cannot be judged now.
    pub unknown: Vec<String>,
}

/// An audit of a quarter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    pub pipeline: String,
    /// Such as `2026-Q4`.
    pub quarter: String,
    /// UTC. Definitions, rights and our deployment are as of then.
    pub at: Timestamp,
    /// Such as `61 of 92 days recorded`.
    pub recorded: String,
    pub rows: Vec<Row>,
    /// `None` if none was kept, or if it could not be read, which is a row.
    pub before: Option<Before>,
}

/// A stored audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub audit: Audit,
    /// The person who kept it.
    pub by: String,
}

/// A drill as a person recorded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillDone {
    pub drill: String,
    pub by: String,
    /// UTC.
    pub at: Timestamp,
    /// The sections of the runbook that it tried.
    pub tried: Vec<String>,
}

/// A part of our deployment as `doctor` found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    pub part: String,
    pub found: String,
    pub state: State,
}

/// A user of the destination with which syncs write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: String,
    /// Its last login (UTC) and whether it is active; `None` if the copy has no such user.
    pub found: Option<(Option<Timestamp>, Option<bool>)>,
}

/// Everything that was read for an audit.
#[derive(Debug)]
pub struct Seen {
    /// UTC.
    pub at: Timestamp,
    /// The days of the quarter until now in the audit log, and their completed runs.
    pub history: Read<History>,
    pub runs: Read<CompletedRuns>,
    pub stored: Read<Stored>,
    pub checked: Read<Option<ValidatedRound>>,
    /// The live definition.
    pub live: Live,
    /// The tables and views of syncs that the definition lacks.
    pub sources: BTreeMap<String, Part<Relation>>,
    pub accepted: Read<Option<Accepted>>,
    pub acceptances: Read<Vec<Acceptance>>,
    /// When the value of each secret was stored (UTC), by name.
    pub secrets: BTreeMap<String, Read<Timestamp>>,
    /// The role of each function, by its name.
    pub roles: Read<BTreeMap<String, String>>,
    /// `None` if no table of users is declared.
    pub users: Option<Read<Vec<User>>>,
    pub deployment: Vec<Deployed>,
    pub drills: Read<Vec<DrillDone>>,
    /// `None` if no file was given.
    pub advisories: Option<Read<Advisories>>,
    /// The newest audit of an earlier quarter.
    pub before: Read<Option<Kept>>,
}

/// The span that is audited.
#[derive(Debug, Clone, Copy)]
struct Span {
    quarter: Quarter,
    /// UTC; `until` is now, or the first instant after the quarter.
    from: Timestamp,
    until: Timestamp,
    now: Timestamp,
}

impl Row {
    fn new(area: Area, subject: impl Into<String>, state: State, evidence: impl Into<String>) -> Self {
        let (subject, evidence) = (subject.into(), evidence.into());
        Self { area, subject, state, evidence, details: Vec::new(), open_since: None }
    }

    fn with(self, details: Vec<String>) -> Self {
        Self { details, ..self }
    }

    /// A row whose evidence could not be read.
    fn unread(area: Area, subject: impl Into<String>, why: &str) -> Self {
        Self::new(
            area,
            subject,
            unknown("correct this, then audit again; syncwatch doctor shows more"),
            plain_line(why),
        )
    }

    fn name(&self) -> String {
        format!("{}: {}", self.area, self.subject)
    }

    fn is_action(&self) -> bool {
        matches!(self.state, State::Action { .. })
    }
}

fn action(owner: impl Into<String>, what: impl Into<String>) -> State {
    State::Action { owner: owner.into(), what: what.into() }
}

fn unknown(how: impl Into<String>) -> State {
    State::Unknown { how: how.into() }
}

/// The owner of a check's subject, or of the pipeline.
fn owner(pipeline: &Pipeline, check: Check, subject: &str) -> String {
    let owner = pipeline.owner_of(check, subject).map(|owner| owner.name.as_str());
    owner.or(pipeline.owner.as_deref()).unwrap_or("the operators").to_owned()
}

/// The owner of the pipeline.
fn operators(pipeline: &Pipeline) -> String {
    owner(pipeline, Check::DefinitionChanged, "")
}

impl Audit {
    /// Audits a quarter, until now if it has not ended.
    pub fn of(seen: &Seen, pipeline: &Pipeline, quarter: Quarter) -> Self {
        let now = seen.at;
        let (from, end) = quarter.bounds(&pipeline.time_zone);
        let span = Span { quarter, from, until: end.min(now), now };
        let mut rows = definition::mappings(seen, pipeline);
        rows.extend(definition::views(seen, pipeline));
        rows.extend(deduplication(seen, pipeline));
        rows.extend(load::schedules(seen, pipeline, span));
        rows.extend(access::rows(seen, pipeline));
        rows.extend(practice::rows(seen, pipeline, span));
        rows.extend(advisories::rows(seen.advisories.as_ref(), &operators(pipeline), now));
        let before = match &seen.before {
            Ok(before) => compare(&mut rows, before.as_ref(), quarter),
            Err(why) => {
                rows.push(Row::unread(Area::Audit, "the audit before", why));
                None
            }
        };
        Self {
            pipeline: pipeline.name.clone(),
            quarter: quarter.to_string(),
            at: now,
            recorded: recorded(seen.history.as_ref(), quarter),
            rows,
            before,
        }
    }

    /// Returns whether every row is ok.
    pub fn is_good(&self) -> bool {
        self.rows.iter().all(|row| row.state == State::Ok)
    }
}

fn recorded(history: Result<&History, &String>, quarter: Quarter) -> String {
    match history {
        Ok(history) => {
            let all = 1 + days_between(quarter.first(), quarter.end());
            format!("{} of {} recorded", history.days.len(), counted(all.unsigned_abs(), "day"))
        }
        Err(why) => format!("recorded days unknown: {why}"),
    }
}

/// Sets since when each action is open, and lists what became of those of the audit before.
fn compare(rows: &mut [Row], before: Option<&Kept>, quarter: Quarter) -> Option<Before> {
    let earlier = before.map_or(&[][..], |before| &before.audit.rows);
    let (mut new, mut open) = (Vec::new(), Vec::new());
    for row in rows.iter_mut().filter(|row| row.is_action()) {
        let same = |other: &&Row| (other.area, &other.subject) == (row.area, &row.subject);
        let since = earlier.iter().find(same).and_then(|earlier| earlier.open_since.clone());
        (if since.is_some() { &mut open } else { &mut new }).push(row.name());
        row.open_since = since.or_else(|| Some(quarter.to_string()));
    }
    let (mut done, mut unknown) = (Vec::new(), Vec::new());
    for then in earlier.iter().filter(|row| row.is_action()) {
        let same = |row: &&Row| (row.area, &row.subject) == (then.area, &then.subject);
        match rows.iter().find(same).map(|row| &row.state) {
            Some(State::Action { .. }) => {}
            Some(State::Unknown { .. }) => unknown.push(then.name()),
            Some(State::Ok) | None => done.push(then.name()),
        }
    }
    let Kept { audit, by } = before?;
    Some(Before { quarter: audit.quarter.clone(), at: audit.at, by: by.clone(), new, open, done, unknown })
}

/// Whether views still select each record once: by the declared checks for duplicates.
fn deduplication(seen: &Seen, pipeline: &Pipeline) -> Vec<Row> {
    let declared = pipeline.checks.iter().filter(|check| matches!(check.rule, Rule::Duplicates { .. }));
    let rows: Vec<Row> = declared.map(|check| deduplicated(seen, pipeline, &check.name)).collect();
    if rows.is_empty() {
        let how = "declare a [[checks]] of kind \"duplicates\" in pipeline.toml";
        return vec![Row::new(Area::Views, "deduplication", unknown(how), "no check for duplicates")];
    }
    rows
}

fn deduplicated(seen: &Seen, pipeline: &Pipeline, check: &str) -> Row {
    let subject = format!("deduplication by {check}");
    let row = |state, evidence: String| Row::new(Area::Views, subject.clone(), state, evidence);
    let (stored, round) = match (&seen.stored, &seen.checked) {
        (Ok(stored), Ok(round)) => (stored, round),
        (Err(why), _) | (_, Err(why)) => return Row::unread(Area::Views, subject, why),
    };
    if let Some(why) = &stored.unread_incidents {
        return Row::unread(Area::Views, subject, why);
    }
    let is_open = |incident: &&Incident| {
        let key = &incident.key;
        let is_of = (key.check, key.subject.as_str()) == (Check::Duplicates, check);
        is_of && !matches!(incident.state, IncidentState::Resolved)
    };
    if let Some(incident) = stored.incidents.iter().find(is_open) {
        let owner = owner(pipeline, Check::Duplicates, check);
        let since = minute_utc(incident.opened_at);
        return row(
            action(owner, "find the cause: syncwatch explain duplicates"),
            format!("open since {since}"),
        );
    }
    let ran = round.as_ref().filter(|round| round.checks.iter().any(|ran| ran == check));
    let Some(round) = ran else {
        return row(
            unknown("run daily-validation: syncwatch explain checks-ran"),
            "not in the last round".to_owned(),
        );
    };
    let days = seen.history.as_ref().map_or(&[][..], |history| &history.days);
    let counts: Vec<f64> = days.iter().filter_map(|day| day.duplicates).collect();
    let most = counts.iter().copied().fold(0.0, f64::max);
    let days = counted(counts.len(), "recorded day");
    row(State::Ok, format!("passed at {}; at most {most} duplicates on {days}", minute_utc(round.at)))
}

/// The days of a span that a history has.
fn days_of(history: &History, from: Date, to: Date) -> usize {
    history.days.iter().filter(|day| (from..=to).contains(&day.day)).count()
}
