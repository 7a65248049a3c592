use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::expect::{Usual, replay};
use crate::finding::Outcome;
use crate::history::UsualRuns;
use crate::marks::QuietDays;
use crate::observation::{Counts, Run, RunId};

/// A sync that runs every 15 minutes.
const SYNC: &str = "properties-update";
/// The last counted day, a Monday. It ends at 08:00 UTC.
const MONDAY: Date = date(2026, 11, 23);

fn seed() -> Pipeline {
    Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap()
}

fn zone() -> TimeZone {
    TimeZone::get("America/Los_Angeles").unwrap()
}

/// An instant by the clock of Los Angeles.
fn local(day: i8, hour: i8, minute: i8) -> Timestamp {
    date(2026, 11, day).at(hour, minute, 0, 0).to_zoned(zone()).unwrap().timestamp()
}

/// Runs every 15 minutes: those between 9 and 17 o'clock move records, unless they are in the silence.
fn runs(from: Timestamp, until: Timestamp, silence: (Timestamp, Timestamp)) -> Vec<(Timestamp, bool)> {
    let mut runs = Vec::new();
    let mut began = from;
    while began <= until {
        let busy = (9..17).contains(&began.to_zoned(zone()).hour());
        runs.push((began, busy && !(silence.0..=silence.1).contains(&began)));
        began += 15.minutes();
    }
    runs
}

const NEVER: (Timestamp, Timestamp) = (Timestamp::MAX, Timestamp::MAX);

/// The usual runs of so many days until a day.
fn usual(days: i64, last: Date, silence: (Timestamp, Timestamp)) -> UsualRuns {
    let zone = zone();
    let until = last.at(23, 45, 0, 0).to_zoned(zone.clone()).unwrap().timestamp();
    let runs = runs(until + 15.minutes() - (days * 24).hours(), until, silence);
    let days = run_days(&runs, 96, &zone, &|_| None);
    let (_, usual) = replay(&days, 96, &silence_limits(2));
    UsualRuns { usual, first: days[0].date, day: last, until }
}

fn stored(usual: Result<UsualRuns, String>) -> BTreeMap<String, StoredUsual> {
    [(SYNC.to_owned(), StoredUsual { usual, failure: None })].into()
}

/// The knowledge of a round after 28 usual days until Monday.
pub(in crate::judge) fn habits(pipeline: &Pipeline) -> Habits<'_> {
    Habits::new(pipeline, Ok(stored(Ok(usual(28, MONDAY, NEVER)))), [])
}

/// The same, with an open incident.
fn open<'p>(habits: &Habits<'p>) -> Habits<'p> {
    Habits { found: [SYNC.to_owned()].into(), ..habits.clone() }
}

/// The newest 25 of these runs, as Census lists them.
fn page(runs: &[(Timestamp, bool)]) -> RunHistory {
    let run = |(created_at, moved): &(Timestamp, bool)| Run {
        id: RunId(1),
        sync_id: None,
        status: RunStatus::Completed,
        created_at: *created_at,
        completed_at: Some(*created_at + 1.minute()),
        scheduled_for: None,
        counts: Counts { processed: Some(u64::from(*moved)), ..Counts::default() },
        error: None,
        full_sync: None,
        by_hand: None,
    };
    RunHistory { runs: runs.iter().rev().take(25).map(run).collect(), complete: false, samples: None }
}

fn judged(history: &RunHistory, habits: &Habits<'_>, findings: &[Finding], now: Timestamp) -> String {
    let pipeline = seed();
    let finding = judge_silence(history, pipeline.sync(SYNC).unwrap(), habits, findings, now);
    finding.to_string().replacen("silent-runs properties-update: ", "", 1)
}

/// Judges Tuesday, silent from nine o'clock on, at a time by the clock of Los Angeles.
fn silent_since_nine(habits: &Habits<'_>, (day, hour, minute): (i8, i8, i8)) -> String {
    let now = local(day, hour, minute);
    let silence = (local(24, 9, 0), local(30, 0, 0));
    judged(&page(&runs(local(24, 0, 0), now, silence)), habits, &[], now)
}

#[test]
fn sync_that_moves_nothing_is_found_at_the_eighth_busy_run() {
    let pipeline = seed();
    let habits = habits(&pipeline);
    let table = [
        ((24, 9, 0), "healthy, no records in 1 run (evidence 1.6, limit 14)"),
        ((24, 10, 30), "healthy, no records in 7 runs (evidence 13.2, limit 14)"),
        ((24, 10, 45), "error, no records for 2h (8 runs); usually 92% of such runs move some"),
        ((24, 15, 0), "error, no records for 6h 15m (25 runs); usually 98% of such runs move some"),
    ];
    for (now, expected) in table {
        assert_eq!(silent_since_nine(&habits, now), expected, "{now:?}");
    }
    let now = local(24, 10, 45);
    let history = page(&runs(local(24, 0, 0), now, (local(24, 9, 0), now)));
    let found = judge_silence(&history, pipeline.sync(SYNC).unwrap(), &habits, &[], now);
    let Outcome::Unhealthy { evidence, .. } = found.outcome else { panic!("{found}") };
    assert_eq!(evidence.since, Some(local(24, 9, 0)));
    let explanation = evidence.figures.iter().find(|figure| figure.name == "explanation").unwrap();
    assert_eq!(
        explanation.text(),
        "No records for 2h (8 runs) on a Tuesday from 09:00; these runs moved some in 92% of the last 20 weekdays."
    );
}

#[test]
fn night_without_records_is_healthy() {
    let pipeline = seed();
    let habits = habits(&pipeline);
    for (day, hour) in [(24, 18), (24, 23), (25, 1), (25, 8)] {
        let now = local(day, hour, 0);
        let found = judged(&page(&runs(local(24, 0, 0), now, NEVER)), &habits, &[], now);
        assert!(found.starts_with("healthy, no records in "), "{now}: {found}");
    }
}

#[test]
fn quiet_day_is_not_judged() {
    let mut pipeline = seed();
    let dates = vec![(date(2026, 11, 24), date(2026, 11, 24))];
    pipeline.quiet_days = vec![QuietDays { name: "Feast".to_owned(), dates, ..QuietDays::default() }];
    let habits = habits(&pipeline);
    let waiting = "not evaluated, waiting for a day that counts (2026-11-24: quiet day \"Feast\")";
    assert_eq!(silent_since_nine(&habits, (24, 12, 0)), waiting);
    assert!(silent_since_nine(&habits, (25, 12, 0)).starts_with("error, no records for "), "the day after");
    assert!(silent_since_nine(&open(&habits), (24, 12, 0)).starts_with("error"), "it began before");
}

#[test]
fn found_silence_stays_open_overnight_until_records_move() {
    let pipeline = seed();
    let habits = habits(&pipeline);
    // In the evening the newest runs alone prove nothing, and the incident is open.
    assert!(silent_since_nine(&habits, (24, 23, 45)).starts_with("healthy"));
    for (day, hour) in [(24, 12), (24, 23), (25, 0), (25, 1), (25, 8), (25, 13)] {
        let found = silent_since_nine(&open(&habits), (day, hour, 45));
        assert!(found.starts_with("error, no records for "), "{day} {hour}: {found}");
    }
    // The next nights learn that it lasts: their items say so without an incident.
    let until = |last| Ok(usual(29, last, (local(24, 9, 0), local(30, 0, 0))));
    let next = Habits { usual: Ok(stored(until(date(2026, 11, 24)))), ..habits.clone() };
    for minute in [0, 15] {
        let found = silent_since_nine(&next, (25, 2, minute));
        assert!(found.starts_with("error, no records for 17h "), "{found}");
    }
    let now = local(25, 2, 30);
    let mut runs = runs(local(24, 0, 0), now, (local(24, 9, 0), now));
    runs.last_mut().unwrap().1 = true;
    for habits in [&next, &open(&next), &open(&habits)] {
        let found = judged(&page(&runs), habits, &[], now);
        assert_eq!(found, "healthy, no run without records since the last that moved some");
    }
}

#[test]
fn incident_of_a_silence_that_ended_unseen_is_closed() {
    let pipeline = seed();
    // Records moved on Tuesday evening, while no round ran.
    let mut ended = usual(29, date(2026, 11, 24), (local(24, 9, 0), local(24, 16, 30)));
    let habits = |usual: &UsualRuns| open(&Habits::new(&pipeline, Ok(stored(Ok(usual.clone()))), []));
    let now = local(25, 2, 0);
    let all_silent = page(&runs(local(24, 0, 0), now, (local(24, 9, 0), now)));
    assert!(
        judged(&all_silent, &habits(&ended), &[], now).starts_with("error"),
        "runs since then are silent"
    );
    ended.usual = Usual::new(96);
    let found = judged(&all_silent, &habits(&ended), &[], now);
    assert!(!found.starts_with("error"), "{found}");
}

#[test]
fn item_that_is_old_absent_or_unreadable_is_not_judged_by() {
    let pipeline = seed();
    let now = local(24, 12, 0);
    let history = page(&runs(local(24, 0, 0), now, (local(24, 9, 0), now)));
    let of = |usual| judged(&history, &Habits::new(&pipeline, usual, []), &[], now);
    let until = |last, failure: Option<&str>| {
        let failure = failure.map(str::to_owned);
        let item = StoredUsual { usual: Ok(usual(28, last, NEVER)), failure };
        of(Ok([(SYNC.to_owned(), item)].into()))
    };
    assert!(until(date(2026, 11, 21), Some("no answer")).starts_with("error"), "three days old");
    let old = "not evaluated, unreadable: the newest usual runs are those until 2026-11-20";
    assert_eq!(until(date(2026, 11, 20), None), old);
    assert_eq!(until(date(2026, 11, 20), Some("no answer")), format!("{old} (no answer)"));
    let absent = "not evaluated, waiting for the usual runs, which the next nightly snapshot learns";
    assert_eq!(of(Ok(BTreeMap::new())), absent);
    assert_eq!(of(Ok(stored(Err("form 2".to_owned())))), "not evaluated, unreadable: form 2");
    assert_eq!(of(Err("no table".to_owned())), "not evaluated, unreadable: no table");
}

#[test]
fn silence_is_watched_at_first_and_as_declared() {
    let mut pipeline = seed();
    let at_noon = |pipeline: &Pipeline, days| {
        let habits = Habits::new(pipeline, Ok(stored(Ok(usual(days, MONDAY, NEVER)))), []);
        silent_since_nine(&habits, (24, 10, 45))
    };
    let early =
        "not evaluated, waiting for 14 days of runs (13 so far; it would say: no records for 2h (8 runs)";
    assert!(at_noon(&pipeline, 13).starts_with(early), "{}", at_noon(&pipeline, 13));
    assert!(at_noon(&pipeline, 14).starts_with("error"));
    let few = "not evaluated, waiting for enough days (not enough history: 3 of 5 days)";
    assert_eq!(at_noon(&pipeline, 5), few, "of which two are a weekend");
    pipeline.expectations.watch_days = 0;
    assert!(at_noon(&pipeline, 13).starts_with("error"));
    pipeline.expectations.modes.insert(Check::SilentRuns, Mode::Watch);
    assert!(at_noon(&pipeline, 28).starts_with("healthy, only watched: no records for 2h (8 runs)"));
    pipeline.expectations.modes.insert(Check::SilentRuns, Mode::Off);
    assert_eq!(at_noon(&pipeline, 28), "not evaluated, not declared in pipeline.toml");
    let mut without = seed();
    without.snapshot = None;
    assert_eq!(at_noon(&without, 28), "not evaluated, not declared in pipeline.toml");
}

#[test]
fn finding_that_stops_the_sync_holds_the_silence() {
    let pipeline = seed();
    let habits = open(&habits(&pipeline));
    let now = local(24, 12, 0);
    let history = page(&runs(local(24, 0, 0), now, (local(24, 9, 0), now)));
    let table = [
        (Check::RunFailed, "not evaluated, blocked by run-failed of properties-update"),
        (Check::SyncPaused, "not evaluated, blocked by sync-paused of properties-update"),
        (Check::Runtime, "error, "),
    ];
    for (check, expected) in table {
        let other = check.about(SYNC).unhealthy(Severity::Error, "it stopped", "a cause");
        let found = judged(&history, &habits, &[other], now);
        assert!(found.starts_with(expected), "{check}: {found}");
        let healthy = check.about(SYNC).healthy("fine");
        assert!(judged(&history, &habits, &[healthy], now).starts_with("error"), "{check}");
    }
}

#[test]
fn runs_with_unknown_counts_or_without_an_end_are_left_out() {
    let pipeline = seed();
    let habits = habits(&pipeline);
    let now = local(24, 10, 45);
    let mut history = page(&runs(local(24, 0, 0), now, (local(24, 9, 0), now)));
    assert!(judged(&history, &habits, &[], now).starts_with("error"));
    history.runs[0].counts.processed = None;
    assert!(judged(&history, &habits, &[], now).starts_with("healthy, no records in 7 runs "));
    history.runs[1].status = RunStatus::Working;
    assert!(judged(&history, &habits, &[], now).starts_with("healthy, no records in 6 runs "));
}

#[test]
fn open_and_held_incidents_of_this_check_are_known() {
    let pipeline = seed();
    let incident =
        |key: &str, state| Incident::found(key, state, Severity::Error, local(24, 11, 0), "no records");
    let incidents = [
        incident("properties/silent-runs/a", State::Open),
        incident("properties/silent-runs/b", State::Held),
        incident("properties/silent-runs/c", State::Resolved),
        incident("properties/run-failed/d", State::Open),
    ];
    let habits = Habits::new(&pipeline, Ok(BTreeMap::new()), &incidents);
    assert_eq!(habits.found, ["a".to_owned(), "b".to_owned()].into());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn fewer_seen_runs_find_later_and_never_falsely(
        silent in proptest::collection::vec(any::<bool>(), 1..140),
        seen in 1_usize..140,
    ) {
        let pipeline = seed();
        let habits = habits(&pipeline);
        let start = local(24, 0, 0);
        let began = |index: usize| start + (15 * i64::try_from(index).unwrap()).minutes();
        let all: Vec<_> =
            silent.iter().enumerate().map(|(index, silent)| (began(index), !silent && index % 9 == 0)).collect();
        let now = began(all.len());
        let whole = RunHistory { complete: true, ..page(&all) };
        let whole = RunHistory { runs: all.iter().rev().flat_map(|run| page(&[*run]).runs).collect(), ..whole };
        let mut part = whole.clone();
        part.runs.truncate(seen);
        part.complete = false;
        let [of_whole, of_part] = [whole, part].map(|history| judged(&history, &habits, &[], now));
        prop_assert!(!of_part.starts_with("error") || of_whole.starts_with("error"), "{of_part}; {of_whole}");
        if all.last().is_some_and(|(_, moved)| *moved) {
            prop_assert!(of_whole.starts_with("healthy, no run without records"), "{of_whole}");
        }
    }
}
