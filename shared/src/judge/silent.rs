//! Judges within the day whether a sync that runs still moves records, by its usual runs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::unusual::STOPS;
use crate::days::{day_of, days_between};
use crate::expect::{Quiet, RunDay, Silence, Standing, WhyNot};
use crate::finding::{Check, Evidence, Finding, Severity};
use crate::history::{StoredUsual, run_days, silence_limits};
use crate::incident::{Incident, State};
use crate::marks::Exceptions;
use crate::observation::{RunHistory, RunStatus};
use crate::pipeline::{Mode, Pipeline, Sync};
use crate::text::{counted, rounded};

/// Usual runs whose last day is longer ago are not judged by.
const MOST_DAYS_OLD: i64 = 3;

/// The knowledge of a round about the runs of all syncs. By default there is none, and the check is not declared.
#[derive(Debug, Clone)]
pub struct Habits<'p> {
    pipeline: Option<&'p Pipeline>,
    /// By the key of the sync; or why they could not be read.
    usual: Result<BTreeMap<String, StoredUsual>, String>,
    /// The syncs with an open incident of this check.
    found: BTreeSet<String>,
}

impl Default for Habits<'_> {
    fn default() -> Self {
        Self { pipeline: None, usual: Ok(BTreeMap::new()), found: BTreeSet::new() }
    }
}

impl<'p> Habits<'p> {
    /// Creates them from the stored usual runs and the incidents at the beginning of the round.
    pub fn new<'i>(
        pipeline: &'p Pipeline,
        usual: Result<BTreeMap<String, StoredUsual>, String>,
        incidents: impl IntoIterator<Item = &'i Incident>,
    ) -> Self {
        let open = incidents.into_iter().filter(|incident| {
            incident.key.check == Check::SilentRuns && matches!(incident.state, State::Open | State::Held)
        });
        let found = open.map(|incident| incident.key.subject.clone()).collect();
        Self { pipeline: Some(pipeline), usual, found }
    }
}

/// Judges whether the runs of a sync move records at the hours at which they usually do. `findings` has the others of the sync.
///
/// * silent at busy hours, or since an incident about it was opened  => error, until records move
/// * another finding stops the sync                                  => blocked by it
/// * too few days, or no usual runs of the last days                 => not evaluated
pub(super) fn judge_silence(
    history: &RunHistory,
    sync: &Sync,
    habits: &Habits<'_>,
    findings: &[Finding],
    now: Timestamp,
) -> Finding {
    let about = Check::SilentRuns.about(&sync.key);
    let Some(pipeline) = habits.pipeline.filter(|all| all.declares(Check::SilentRuns, &sync.key)) else {
        return about.not_declared();
    };
    if let Some(stop) = findings.iter().find(|found| found.is_unhealthy() && STOPS.contains(&found.check)) {
        return about.under(stop.check);
    }
    let stored = match &habits.usual {
        Ok(usual) => usual.get(&sync.key),
        Err(why) => return about.unreadable(why),
    };
    let Some(StoredUsual { usual, failure }) = stored else {
        return about.nothing_yet("the usual runs, which the next nightly snapshot learns");
    };
    let usual = match usual {
        Ok(usual) => usual,
        Err(why) => return about.unreadable(why),
    };
    let (zone, today) = (&pipeline.time_zone, day_of(now, &pipeline.time_zone));
    if days_between(usual.day, today) > MOST_DAYS_OLD {
        let why = failure.as_deref().map_or(String::new(), |why| format!(" ({why})"));
        return about.unreadable(format!("the newest usual runs are those until {}{why}", usual.day));
    }
    let mut seen: Vec<(Timestamp, bool)> = history
        .runs
        .iter()
        .filter(|run| run.status == RunStatus::Completed && run.created_at > usual.until)
        .filter_map(|run| Some((run.created_at, run.counts.processed? > 0)))
        .collect();
    seen.sort_unstable();
    let sees_all = history.complete || history.runs.iter().any(|run| run.created_at <= usual.until);
    let exceptions = Exceptions::new(&[], &pipeline.quiet_days);
    let excluded = |day| exceptions.excluded(&sync.key, Check::SilentRuns, day, today);
    let mut days = run_days(&seen, usual.usual.slots(), zone, &excluded);
    if days.last().is_none_or(|day| day.date < today) {
        days.push(RunDay { date: today, excluded: excluded(today), runs: Vec::new() });
    }
    let before = before(usual.usual.standing(), sees_all, habits.found.contains(&sync.key));
    let limits = silence_limits(pipeline.syncs.len());
    let Some(Standing { silence, reason }) = usual.usual.follow(before, &days, &limits) else {
        return about.nothing_yet("a run");
    };
    let brief = silence.brief();
    if !silence.quiet.is_found {
        return match reason {
            Some(WhyNot::Excluded(why)) => about.nothing_yet(format!("a day that counts ({today}: {why})")),
            Some(why) if silence.quiet.runs > 0 => about.nothing_yet(format!("enough days ({why})")),
            _ if silence.quiet.runs > 0 => {
                let [evidence, limit] = [silence.quiet.evidence, silence.limit].map(|x| rounded(x, 1, &[]));
                let runs = counted(silence.quiet.runs, "run");
                about.healthy(format!("no records in {runs} (evidence {evidence}, limit {limit})"))
            }
            _ => about.healthy("no run without records since the last that moved some"),
        };
    }
    let (have, need) = (usual.days(), pipeline.expectations.watch_days);
    if have < i64::from(need) {
        return about.nothing_yet(format!("{need} days of runs ({have} so far; it would say: {brief})"));
    }
    if pipeline.expectations.mode(Check::SilentRuns) == Mode::Watch {
        return about.healthy(format!("only watched: {brief}"));
    }
    let mut evidence = Evidence::new(brief)
        .with("runs without records", u64::from(silence.quiet.runs))
        .with("days of history", u64::try_from(have).unwrap_or_default())
        .with("explanation", silence.sentence());
    evidence.since = begin(&silence, pipeline);
    let cause = "The source changes nothing any more, or the sync no longer selects what changed: check the source, then the view";
    about.unhealthy(Severity::Error, evidence, cause)
}

/// The state before the runs that were seen. Without all runs since the counted ones, the silence is taken to begin with those
/// seen: it is found later, and never falsely. A found silence lasts as long as no run with records was seen, as each round
/// sees the newest runs.
fn before(standing: Quiet, sees_all: bool, is_open: bool) -> Quiet {
    if sees_all {
        Quiet { is_found: standing.is_found || (is_open && standing.runs > 0), ..standing }
    } else {
        Quiet { is_found: is_open, ..Quiet::default() }
    }
}

/// The instant of the first silent run's slot (UTC).
fn begin(silence: &Silence, pipeline: &Pipeline) -> Option<Timestamp> {
    let (day, slot) = silence.quiet.since?;
    let local = day.at(0, 0, 0, 0).checked_add(SignedDuration::from_mins(silence.minutes(slot))).ok()?;
    Some(local.to_zoned(pipeline.time_zone.clone()).ok()?.timestamp())
}

#[cfg(test)]
pub(super) mod tests;
