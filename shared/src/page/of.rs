//! Builds the page: the sentence of its state, and what is not known.

use jiff::{SignedDuration, Timestamp};

use super::words::{capital, line, moment};
use super::{
    Board, Compared, Episode, Gap, Inputs, OUT_OF_DATE, Page, Remedies, SCHEMA, State, SyncState, Trend,
    UNCHECKED, Wrong,
};
use crate::data_checks::DataCheck;
use crate::finding::{CENSUS, Check, Judge, SYNCWATCH, WAREHOUSE};
use crate::incident::{Incident, State as Stage};
use crate::judge::SILENT;
use crate::pipeline::{Level, Mode, Pipeline};
use crate::scoreboard::Stored;
use crate::silence::{Silence, active};
use crate::text::{counted, words};

impl Page {
    /// Builds the page of a pipeline at `now`.
    pub fn of(inputs: &Inputs, pipeline: &Pipeline, now: Timestamp) -> Self {
        let nothing = Stored::default();
        let stored = inputs.stored.as_ref().unwrap_or(&nothing);
        let silences = active(&pipeline.silences, &stored.silences, now);
        let wrong = Wrong::all(&stored.incidents, &silences, pipeline, now);
        let checked_at = inputs
            .rounds
            .as_ref()
            .ok()
            .and_then(|rounds| rounds.get(Judge::ScheduleVerification.function()).copied());
        let unsure = unsure(inputs, checked_at, now);
        let (state, headline, since) = match unsure {
            Some(why) => (State::Unknown, format!("State unknown: {why}"), None),
            None => judged(&wrong, stored),
        };
        let since_text = since.map(|at| format!(" since {}", moment(at, now, &pipeline.time_zone)));
        let checked = checked_at.map(|at| format!("; checked {} ago", words(now.duration_since(at))));
        let checked = checked.filter(|_| state != State::Unknown).unwrap_or_default();
        let recorded = inputs.recorded.as_ref().ok();
        let figures =
            recorded.map(|recorded| Trend::all(recorded, stored, pipeline, now)).unwrap_or_default();
        let known = inputs.stored.is_ok();
        let mut page = Self {
            schema: SCHEMA,
            pipeline: line(&pipeline.name),
            time_zone: pipeline.time_zone.iana_name().map(str::to_owned),
            terms: (&pipeline.terms).into(),
            at: now,
            out_of_date_at: now + OUT_OF_DATE,
            state,
            sentence: format!("{headline}{}{checked}", since_text.unwrap_or_default()),
            headline,
            since,
            checked_at,
            syncs: SyncState::all(inputs, &wrong, pipeline, now),
            figures,
            objects: Compared::all(inputs, pipeline),
            remedies: known.then(|| Remedies::of(stored, pipeline, now)),
            scoreboard: recorded.filter(|_| known).map(|recorded| Board::of(stored, recorded, pipeline, now)),
            incidents: Episode::all(&stored.incidents, now),
            unknown: Vec::new(),
            unwatched: unwatched(pipeline, &silences),
            wrong,
        };
        page.unknown = unknown(inputs, stored, &page, pipeline, now);
        page
    }
}

/// Why the state is unknown, if it is.
fn unsure(inputs: &Inputs, checked_at: Option<Timestamp>, now: Timestamp) -> Option<String> {
    match &inputs.stored {
        Err(_) => return Some("the incidents cannot be read".to_owned()),
        Ok(Stored { unread_incidents: Some(why), .. }) => return Some(line(why)),
        Ok(_) => {}
    }
    if inputs.rounds.is_err() {
        return Some("the records of checks cannot be read".to_owned());
    }
    let Some(checked_at) = checked_at else { return Some("the syncs were never checked".to_owned()) };
    let ago = now.duration_since(checked_at);
    (ago > UNCHECKED).then(|| format!("the syncs were last checked {} ago", words(ago)))
}

/// The state by the open incidents, in words, and since when it is so.
fn judged(wrong: &[Wrong], stored: &Stored) -> (State, String, Option<Timestamp>) {
    let problems: Vec<&Wrong> = wrong.iter().filter(|wrong| wrong.state() > State::Info).collect();
    let notes = wrong.len() - problems.len();
    let Some(worst) = problems.first() else {
        let resolved = stored.incidents.iter().filter(|incident| was_wrong(incident));
        let resolved = resolved.filter_map(|incident| incident.resolved_at).max();
        let state = if notes > 0 { State::Info } else { State::Healthy };
        let notes = if notes > 0 { format!(" ({})", counted(notes, "note")) } else { String::new() };
        return (state, format!("Healthy{notes}"), resolved.max(stored.recorded_since));
    };
    let since = problems.iter().map(|wrong| wrong.since).min();
    let headline = match problems.len() {
        1 => format!("1 problem ({})", worst.severity),
        many => format!("{many} problems (worst: {})", worst.severity),
    };
    (worst.state(), headline, since)
}

/// Whether it is resolved, and was a problem before.
fn was_wrong(incident: &Incident) -> bool {
    incident.state == Stage::Resolved
        && incident.generation > 0
        && State::from(incident.severity) > State::Info
}

fn gap(what: impl Into<String>, why: impl AsRef<str>) -> Gap {
    Gap { what: what.into(), why: line(why.as_ref()) }
}

fn unknown(inputs: &Inputs, stored: &Stored, page: &Page, pipeline: &Pipeline, now: Timestamp) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let unread = [
        ("Incidents, silences and remedies", inputs.stored.as_ref().err()),
        ("Incidents", stored.unread_incidents.as_ref()),
        ("Silences", stored.unread_silences.as_ref()),
        ("Verdicts on incidents", stored.unread_marks.as_ref()),
        ("Remedies", stored.unread_remedies.as_ref()),
        ("Rounds of the functions", inputs.rounds.as_ref().err()),
        ("Comparisons of records", inputs.reconciled.as_ref().err()),
        ("Figures of the audit log", inputs.recorded.as_ref().err()),
        (
            "Newer figures of the audit log",
            inputs.recorded.as_ref().ok().and_then(|read| read.unrenewed.as_ref()),
        ),
    ];
    gaps.extend(unread.into_iter().filter_map(|(what, why)| Some(gap(what, why?))));
    for wrong in page.wrong.iter().filter(|wrong| wrong.unchecked_since.is_some()) {
        gaps.push(gap(
            format!("{} of {}", wrong.title, wrong.subject),
            "cannot be checked right now; the finding above is from the last good check",
        ));
    }
    gaps.extend(inputs.rounds.iter().flat_map(|rounds| {
        Judge::ALL.into_iter().filter(|judge| is_needed(*judge, pipeline)).filter_map(|judge| {
            let why = match rounds.get(judge.function()) {
                None => "has not finished a round yet".to_owned(),
                Some(at) if now.duration_since(*at) > longest(judge) => {
                    format!("last finished a round {} ago", words(now.duration_since(*at)))
                }
                Some(_) => return None,
            };
            Some(gap(format!("Checks of {}", judge.function()), why))
        })
    }));
    let unread = page.syncs.iter().filter_map(|sync| Some((sync, sync.unread.as_ref()?)));
    gaps.extend(unread.map(|(sync, why)| gap(format!("Sync {}", sync.sync), why)));
    gaps.extend(page.objects.iter().filter_map(|object| {
        let why = match &object.comparison {
            None => "not compared yet",
            Some(found) => found.not_compared.as_deref()?,
        };
        Some(gap(format!("Records of {}", object.object), why))
    }));
    gaps
}

/// Whether a function has anything to check.
fn is_needed(judge: Judge, pipeline: &Pipeline) -> bool {
    match judge {
        Judge::ScheduleVerification | Judge::ConfigurationAudit => true,
        Judge::DailyValidation => !pipeline.checks.is_empty(),
        Judge::NightlySnapshot => pipeline.snapshot.is_some(),
        Judge::Reconciliation => !pipeline.objects.is_empty(),
        Judge::Remedies => pipeline.remedies.level != Level::Off,
    }
}

/// The longest time between two rounds of a function.
fn longest(judge: Judge) -> SignedDuration {
    match judge {
        Judge::ScheduleVerification | Judge::Remedies => UNCHECKED,
        _ => SILENT,
    }
}

fn unwatched(pipeline: &Pipeline, silences: &[Silence]) -> Vec<Gap> {
    let mut gaps: Vec<Gap> = silences
        .iter()
        .map(|silence| {
            let until = moment(silence.until, silence.from, &pipeline.time_zone);
            let why = format!("silenced by {} until {until}: {}", silence.owner, silence.reason);
            gap(line(&silence.scope.to_string()), why)
        })
        .collect();
    let mode = |wanted: Mode| {
        let of = move |check: &&Check| check.learns() && pipeline.expectations.mode(**check) == wanted;
        titles(Check::ALL.iter().filter(of))
    };
    gaps.extend(mode(Mode::Watch).map(|checks| gap(checks, "listed only, without an alert")));
    gaps.extend(mode(Mode::Off).map(|checks| gap(checks, "switched off in pipeline.toml")));
    let names = pipeline.checks.iter().map(|check: &DataCheck| check.name.as_str());
    let subjects: Vec<&str> = names
        .chain(pipeline.syncs.iter().map(|sync| sync.key.as_str()))
        .chain(pipeline.objects.iter().map(|object| object.name.as_str()))
        .chain([CENSUS, SYNCWATCH, WAREHOUSE, pipeline.name.as_str()])
        .collect();
    let undeclared = |check: &&Check| {
        pipeline.expectations.mode(**check) != Mode::Off
            && !subjects.iter().any(|subject| pipeline.declares(**check, subject))
    };
    let undeclared = titles(Check::ALL.iter().filter(undeclared));
    gaps.extend(undeclared.map(|checks| gap(checks, "not declared in pipeline.toml")));
    let ignored = pipeline.census.ignored_syncs.len();
    if ignored > 0 {
        gaps.push(gap(counted(ignored, "sync"), "of the workspace, ignored by pipeline.toml"));
    }
    if pipeline.remedies.level != Level::Act {
        gaps.push(gap(
            "Remedies",
            format!("level {}: no fault is healed by itself", pipeline.remedies.level),
        ));
    }
    gaps
}

/// The titles of checks in one line; `None` without any.
fn titles<'c>(checks: impl Iterator<Item = &'c Check>) -> Option<String> {
    let titles: Vec<&str> = checks.map(|check| check.title()).collect();
    (!titles.is_empty()).then(|| capital(&titles.join(", ")))
}
