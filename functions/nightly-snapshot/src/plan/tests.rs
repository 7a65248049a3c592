use proptest::prelude::*;
use syncwatch::incident::Episode;
use syncwatch::observation::{Counts, RunError, RunId};
use syncwatch::pipeline::Pipeline;

use super::*;
use crate::days::{Scope, closing_day, concerned};

const DAY: &str = "2026-11-24";

fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap()
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// 23:59 in Los Angeles.
fn night() -> Timestamp {
    instant("2026-11-25T07:59:00Z")
}

fn run(id: u64, created: &str, status: RunStatus) -> Run {
    let created_at = instant(created);
    let ended = status.is_terminal();
    Run {
        id: RunId(id),
        sync_id: None,
        completed_at: ended.then(|| created_at + SignedDuration::from_secs(90)),
        scheduled_for: None,
        by_hand: None,
        counts: Counts {
            source: None,
            processed: Some(100),
            updated: Some(97),
            failed: Some(2),
            invalid: Some(1),
        },
        error: (status == RunStatus::Failed)
            .then(|| RunError { message: Some("401 Unauthorized".to_owned()), ..RunError::default() }),
        full_sync: None,
        status,
        created_at,
    }
}

fn figures() -> DataFigures {
    DataFigures {
        total: Some(20_247),
        synced: Some(18_722),
        coverage: Some(92.47),
        create_queue: Some(1_525),
        update_queue: Some(7),
        null_companies: Some(3),
        duplicates: Some(2),
    }
}

fn failed(why: &str) -> DataLook {
    DataLook::Failed { why: why.to_owned(), passing: false }
}

fn taken() -> DataLook {
    DataLook::Taken { figures: figures(), unknown: Vec::new() }
}

/// An observation without faults: one sync with these runs, the other without runs.
fn seen<'p>(pipeline: &'p Pipeline, runs: Vec<Run>, end: HistoryEnd) -> Observation<'p> {
    let mut runs = runs;
    runs.sort_by_key(|run| std::cmp::Reverse(run.created_at));
    let mut syncs = pipeline.syncs.iter();
    let (first, second) = (syncs.next().unwrap(), syncs.next().unwrap());
    Observation {
        days: StoredDays::default(),
        runs: Vec::new(),
        census: vec![
            SyncRuns { sync: first, runs, end },
            SyncRuns { sync: second, runs: Vec::new(), end: HistoryEnd::Whole },
        ],
        data: taken(),
        incidents: Ok((Vec::new(), 0)),
    }
}

fn plan_at(seen: &Observation<'_>, days: &[&str], now: Timestamp) -> Vec<DayPlan> {
    let days: Vec<Date> = days.iter().map(|day| day.parse().unwrap()).collect();
    plan(seen, &days, "properties", &pipeline().time_zone, now)
}

/// Applies plans to the stored rows, with the missing figures read back from the text of their column.
fn apply(seen: &mut Observation<'_>, plans: &[DayPlan]) {
    for plan in plans {
        for row in plan.runs_to(Change::Insert).chain(plan.runs_to(Change::Update)) {
            seen.runs.retain(|there| there.audit_id != row.audit_id);
            seen.runs.push(row.clone());
        }
        if plan.day_change != Change::Unchanged {
            let missing = plan.day.figures_missing.text();
            let figures_missing = missing.as_deref().map(Missing::parse).unwrap_or_default();
            seen.days.rows.retain(|there| there.audit_id != plan.day.audit_id);
            seen.days.rows.push(DayRow { figures_missing, ..plan.day.clone() });
        }
    }
    seen.days.first = seen.days.rows.iter().map(|row| row.snapshot_date).min();
    seen.days.newest = seen.days.rows.iter().map(|row| row.snapshot_date).max();
}

fn writes(plans: &[DayPlan]) -> usize {
    plans.iter().map(|plan| plan.count(Change::Insert) + plan.count(Change::Update)).sum()
}

fn inserted(plan: &DayPlan) -> Vec<&RunRow> {
    plan.runs_to(Change::Insert).collect()
}

fn updated(plan: &DayPlan) -> Vec<&RunRow> {
    plan.runs_to(Change::Update).collect()
}

const NOT_ENDED: &str = "runs: the day had not ended";

/// The missing figures without [`NOT_ENDED`], which every day has at 23:59.
fn missing(plan: &DayPlan) -> String {
    let all = plan.day.figures_missing.text().unwrap_or_default();
    all.strip_prefix(NOT_ENDED).map_or(all.as_str(), |rest| rest.trim_start_matches("; ")).to_owned()
}

fn of_day<'p>(plans: &'p [DayPlan], day: &str) -> &'p DayPlan {
    plans.iter().find(|plan| plan.day.snapshot_date.to_string() == day).unwrap()
}

#[test]
fn day_row_sums_its_runs_and_a_second_snapshot_writes_nothing() {
    let pipeline = pipeline();
    let runs = vec![
        run(1, "2026-11-24T08:00:00Z", RunStatus::Completed),
        run(2, "2026-11-24T20:00:00Z", RunStatus::Failed),
        run(3, "2026-11-25T07:30:00Z", RunStatus::Skipped),
    ];
    let mut seen = seen(&pipeline, runs, HistoryEnd::Whole);
    let plans = plan_at(&seen, &[DAY], night());
    let [plan] = plans.as_slice() else { panic!("{plans:?}") };
    let ids: Vec<&str> = inserted(plan).iter().map(|row| row.audit_id.as_str()).collect();
    assert_eq!(ids, ["run/properties-create/1", "run/properties-create/2", "run/properties-create/3"]);
    assert_eq!(
        inserted(plan)[0].records,
        Records { processed: Some(100), succeeded: Some(97), failed: Some(3), error_rate: Some(3.0) }
    );
    assert_eq!(inserted(plan)[0].sync_type.as_deref(), Some("create"));
    assert!(
        inserted(plan)[1].notes.as_deref().unwrap().starts_with("error class "),
        "{:?}",
        inserted(plan)[1]
    );
    // Skipped runs deliver nothing, so the sums leave them out.
    assert_eq!(plan.day.records.processed, Some(200));
    assert_eq!((plan.day.records.failed, plan.day.duration_seconds), (Some(6), Some(180)));
    assert_eq!(plan.day.notes.as_deref(), Some("3 runs: 1 completed, 1 failed, 1 skipped"));
    assert_eq!((plan.day.data, missing(plan).as_str()), (figures(), ""));
    assert_eq!(plan.day.audit_id, "day/properties/2026-11-24");

    apply(&mut seen, &plans);
    let again = plan_at(&seen, &[DAY], night());
    assert_eq!((writes(&again), again[0].count(Change::Unchanged)), (0, 4));
    let a_minute_later = plan_at(&seen, &[DAY], night() + SignedDuration::from_secs(59));
    assert_eq!(writes(&a_minute_later), 0, "the same figures at a later time change nothing");
}

#[test]
fn delivery_failures_do_not_count_as_faults_of_the_data() {
    let pipeline = pipeline();
    let mut all_refused = run(1, "2026-11-24T09:00:00Z", RunStatus::Completed);
    all_refused.counts.failed = Some(100);
    all_refused.counts.updated = Some(0);
    let mut seen = seen(&pipeline, vec![all_refused], HistoryEnd::Whole);
    let clean = DataFigures { null_companies: Some(0), duplicates: Some(0), ..figures() };
    seen.data = DataLook::Taken { figures: clean, unknown: Vec::new() };
    let refused = plan_at(&seen, &[DAY], night());
    assert_eq!(refused[0].day.records.failed, Some(101));
    assert_eq!((refused[0].day.data.null_companies, refused[0].day.data.duplicates), (Some(0), Some(0)));

    let mut good = run(1, "2026-11-24T09:00:00Z", RunStatus::Completed);
    good.counts.failed = Some(0);
    good.counts.invalid = Some(0);
    seen.census[0].runs = vec![good];
    seen.data = taken();
    let dirty = plan_at(&seen, &[DAY], night());
    assert_eq!((dirty[0].day.records.failed, dirty[0].day.records.error_rate), (Some(0), Some(0.0)));
    assert_eq!((dirty[0].day.data.null_companies, dirty[0].day.data.duplicates), (Some(3), Some(2)));
}

#[test]
fn run_counts_for_the_local_day_on_which_it_began() {
    let pipeline = pipeline();
    // day, first instant, last second
    for (day, first, last) in [
        ("2026-11-24", "2026-11-24T08:00:00Z", "2026-11-25T07:59:59Z"),
        ("2027-03-14", "2027-03-14T08:00:00Z", "2027-03-15T06:59:59Z"),
        ("2026-11-01", "2026-11-01T07:00:00Z", "2026-11-02T07:59:59Z"),
    ] {
        let second = SignedDuration::from_secs(1);
        let outside = [instant(first) - second, instant(last) + second];
        let runs = vec![
            run(1, &outside[0].to_string(), RunStatus::Completed),
            run(2, first, RunStatus::Completed),
            run(3, last, RunStatus::Completed),
            run(4, &outside[1].to_string(), RunStatus::Completed),
        ];
        let seen = seen(&pipeline, runs, HistoryEnd::Whole);
        let plans = plan_at(&seen, &[day], instant(last));
        let ids: Vec<&str> = inserted(&plans[0]).iter().filter_map(|row| row.run_id.as_deref()).collect();
        assert_eq!(ids, ["2", "3"], "{day}");
    }
}

#[test]
fn unfinished_run_is_listed_as_missing_until_it_has_ended() {
    let pipeline = pipeline();
    let mut seen =
        seen(&pipeline, vec![run(1, "2026-11-25T07:58:00Z", RunStatus::Working)], HistoryEnd::Whole);
    let plans = plan_at(&seen, &[DAY], night());
    assert_eq!(
        inserted(&plans[0])[0].records,
        Records::default(),
        "the counts of a running run are not final"
    );
    assert_eq!(
        (plans[0].day.records.processed, missing(&plans[0]).as_str()),
        (None, "runs: 1 of 1 still running")
    );
    apply(&mut seen, &plans);
    // Two nights are missed. The third one reads that day again.
    let third = instant("2026-11-28T07:59:00Z");
    let zone = &pipeline.time_zone;
    let days = concerned(&seen.days, Scope::Night, closing_day(zone, third)).days;
    assert!(days.contains(&DAY.parse().unwrap()), "{days:?}");
    seen.census[0].runs = vec![run(1, "2026-11-25T07:58:00Z", RunStatus::Completed)];
    let plans = plan(&seen, &days, "properties", zone, third);
    let of_day = of_day(&plans, DAY);
    assert_eq!((inserted(of_day).len(), updated(of_day).len(), of_day.day_change), (0, 1, Change::Update));
    assert_eq!((of_day.day.records.processed, missing(of_day).as_str()), (Some(100), ""));
    assert_eq!(
        (of_day.day.data, of_day.day.execution_timestamp),
        (figures(), night()),
        "the figures taken earlier stay"
    );
    apply(&mut seen, &plans);
    let settled = concerned(&seen.days, Scope::Night, closing_day(zone, third)).days;
    assert_eq!(settled.len(), 2, "{settled:?}");
}

#[test]
fn run_of_the_last_minute_is_written_after_a_missed_night() {
    let pipeline = pipeline();
    let zone = &pipeline.time_zone;
    let first = || run(1, "2026-11-24T09:00:00Z", RunStatus::Completed);
    let last = || run(2, "2026-11-25T07:59:30Z", RunStatus::Completed);
    // Written manually at noon, or at 23:59.
    for written in [night() - SignedDuration::from_hours(12), night()] {
        let mut seen = seen(&pipeline, vec![first()], HistoryEnd::Whole);
        let plans = plan_at(&seen, &[DAY, "2026-11-23"], written);
        assert_eq!(plans[0].day.figures_missing.text().as_deref(), Some(NOT_ENDED));
        assert!(!plans[1].day.figures_missing.text().unwrap().contains(NOT_ENDED), "{:?}", plans[1].day);
        apply(&mut seen, &plans);
        seen.census[0].runs = vec![last(), first()];
        // The night of the 25th is missed.
        let later = instant("2026-11-27T07:59:00Z");
        let days = concerned(&seen.days, Scope::Night, closing_day(zone, later)).days;
        let plans = plan(&seen, &days, "properties", zone, later);
        let whole = of_day(&plans, DAY);
        assert_eq!((inserted(whole).len(), whole.day.records.processed), (1, Some(200)));
        assert_eq!(whole.day.figures_missing, Missing::default());
        apply(&mut seen, &plans);
        let settled = concerned(&seen.days, Scope::Night, closing_day(zone, later)).days;
        assert!(!settled.contains(&DAY.parse().unwrap()), "{settled:?}");
    }
}

#[test]
fn run_keeps_its_row_when_its_sync_is_renamed() {
    let pipeline = pipeline();
    let mut renamed = pipeline.clone();
    renamed.syncs[0].key = "creations".to_owned();
    let runs = || vec![run(1, "2026-11-24T09:00:00Z", RunStatus::Completed)];
    let mut before = seen(&pipeline, runs(), HistoryEnd::Whole);
    let plans = plan_at(&before, &[DAY], night());
    apply(&mut before, &plans);
    let mut seen = seen(&renamed, runs(), HistoryEnd::Whole);
    (seen.runs, seen.days) = (before.runs, before.days);
    let plans = plan_at(&seen, &[DAY], night());
    assert_eq!((inserted(&plans[0]).len(), plans[0].runs.len()), (0, 1));
    assert_eq!(updated(&plans[0])[0].audit_id, "run/properties-create/1");
    assert_eq!(updated(&plans[0])[0].sync_name.as_deref(), Some("creations"));
    assert_eq!(plans[0].day.records.processed, Some(100));
    apply(&mut seen, &plans);
    assert_eq!(writes(&plan_at(&seen, &[DAY], night())), 0);
    // Two stored rows of one run, as earlier versions wrote them, count once.
    let twice = RunRow { audit_id: "run/creations/1".to_owned(), ..seen.runs[0].clone() };
    seen.runs.push(twice);
    let plans = plan_at(&seen, &[DAY], night());
    assert_eq!((plans[0].runs.len(), plans[0].day.records.processed), (1, Some(100)));
}

#[test]
fn run_keeps_its_day_when_the_time_zone_changes() {
    let pipeline = pipeline();
    let days: [Date; 2] = ["2026-11-25".parse().unwrap(), DAY.parse().unwrap()];
    // The 24th in Los Angeles, the 25th in UTC.
    let mut seen =
        seen(&pipeline, vec![run(1, "2026-11-25T03:00:00Z", RunStatus::Completed)], HistoryEnd::Whole);
    let plans = plan_at(&seen, &[DAY], night());
    apply(&mut seen, &plans);
    let later = instant("2026-11-25T23:59:00Z");
    let plans = plan(&seen, &days, "properties", &TimeZone::UTC, later);
    assert_eq!(plans.iter().map(|plan| inserted(plan).len()).sum::<usize>(), 0);
    assert_eq!(plans.iter().map(|plan| plan.runs.len()).collect::<Vec<_>>(), [0, 1]);
    let processed: Vec<_> = plans.iter().map(|plan| plan.day.records.processed).collect();
    assert_eq!(processed, [Some(0), Some(100)]);
}

#[test]
fn error_rate_covers_all_records_to_deliver() {
    let pipeline = pipeline();
    // processed, updated, failed, invalid => percent
    let table = [
        // Newer answers of Census do not count invalid records as processed; older ones did.
        ((100, Some(95), 5, 20), 20.8333),
        ((100, Some(80), 15, 5), 20.0),
        ((100, None, 15, 5), 20.0),
        ((1, None, 12, 0), 100.0),
        ((0, Some(0), 0, 30), 100.0),
    ];
    for ((processed, updated, failed, invalid), percent) in table {
        let mut one = run(1, "2026-11-24T09:00:00Z", RunStatus::Completed);
        one.counts = Counts {
            source: None,
            processed: Some(processed),
            updated,
            failed: Some(failed),
            invalid: Some(invalid),
        };
        let plans = plan_at(&seen(&pipeline, vec![one], HistoryEnd::Whole), &[DAY], night());
        let rates = (inserted(&plans[0])[0].records.error_rate, plans[0].day.records.error_rate);
        assert_eq!(rates, (Some(percent), Some(percent)), "{processed} {updated:?} {failed} {invalid}");
    }
}

#[test]
fn sums_of_a_day_cover_only_runs_with_all_counts() {
    let pipeline = pipeline();
    let mut half = run(1, "2026-11-24T09:00:00Z", RunStatus::Completed);
    half.counts = Counts { processed: Some(5_000), updated: Some(5_000), ..Counts::default() };
    let mut other_half = run(2, "2026-11-24T09:30:00Z", RunStatus::Completed);
    other_half.counts = Counts { failed: Some(70), invalid: Some(0), ..Counts::default() };
    let runs = vec![half, other_half, run(3, "2026-11-24T10:00:00Z", RunStatus::Completed)];
    let plans = plan_at(&seen(&pipeline, runs, HistoryEnd::Whole), &[DAY], night());
    let expected =
        Records { processed: Some(100), succeeded: Some(97), failed: Some(3), error_rate: Some(3.0) };
    assert_eq!(plans[0].day.records, expected);
    assert_eq!(missing(&plans[0]), "records: 2 of 3 runs have no record counts");
}

#[test]
fn view_is_queried_until_an_ended_day_has_all_figures() {
    let pipeline = pipeline();
    let zone = &pipeline.time_zone;
    let day: Date = DAY.parse().unwrap();
    let hours = SignedDuration::from_hours;
    let mut seen = seen(&pipeline, Vec::new(), HistoryEnd::Whole);
    let wants = |seen: &Observation<'_>, now| wants_data(day, &seen.days, zone, now);
    assert!(wants(&seen, night()) && wants(&seen, night() + hours(2)) && !wants(&seen, night() + hours(4)));
    seen.data = failed("no answer");
    let plans = plan_at(&seen, &[DAY], night());
    apply(&mut seen, &plans);
    assert!(wants(&seen, night() + hours(2)), "the second snapshot of the night retries the view");
    seen.data = taken();
    let plans = plan_at(&seen, &[DAY], night() + hours(2));
    apply(&mut seen, &plans);
    assert_eq!(seen.days.rows[0].data, figures());
    assert!(wants(&seen, night()) && !wants(&seen, night() + hours(2)));
}

#[test]
fn data_figures_are_never_those_of_another_day() {
    let pipeline = pipeline();
    let hours = SignedDuration::from_hours;
    let mut seen = seen(&pipeline, Vec::new(), HistoryEnd::Whole);
    // Late: the figures count for the day that has just ended, and the row has the time.
    let late = plan_at(&seen, &[DAY, "2026-11-23"], night() + hours(1));
    assert_eq!((late[0].day.data, late[0].day.execution_timestamp), (figures(), night() + hours(1)));
    assert!(late[0].day.notes.as_deref().unwrap().contains("59m after the day"), "{:?}", late[0].day.notes);
    assert_eq!(
        (late[1].day.data, missing(&late[1]).as_str()),
        (DataFigures::default(), "data: no longer available")
    );
    // Too late.
    let too_late = plan_at(&seen, &[DAY], night() + hours(4));
    assert_eq!(
        (too_late[0].day.data.total, missing(&too_late[0]).as_str()),
        (None, "data: no longer available")
    );
    // Until the day ends, the newest figures win; after that, the last ones stay.
    let noon = plan_at(&seen, &[DAY], night() - hours(12));
    apply(&mut seen, &noon);
    let evening = DataFigures { duplicates: Some(9), ..figures() };
    seen.data = DataLook::Taken { figures: evening, unknown: Vec::new() };
    let plans = plan_at(&seen, &[DAY], night());
    assert_eq!((plans[0].day.data, plans[0].day_change), (evening, Change::Update));
    apply(&mut seen, &plans);
    seen.data =
        DataLook::Taken { figures: DataFigures { duplicates: Some(0), ..figures() }, unknown: Vec::new() };
    let after = plan_at(&seen, &[DAY], night() + hours(1));
    assert_eq!((after[0].day.data, missing(&after[0]).as_str()), (evening, ""));
    apply(&mut seen, &after);
    assert_eq!(writes(&plan_at(&seen, &[DAY], night() + hours(2))), 0);
}

#[test]
fn failed_view_leaves_figures_missing_with_its_first_reason() {
    let pipeline = pipeline();
    let mut seen = seen(&pipeline, Vec::new(), HistoryEnd::Whole);
    let looks = [
        (DataLook::NotDeclared, "data: pipeline.toml names no health_view"),
        (failed("the view; is gone"), "data: the view, is gone"),
        (
            DataLook::Taken {
                figures: DataFigures { duplicates: None, ..figures() },
                unknown: vec!["duplicate_count is NULL in the view".to_owned()],
            },
            "data: duplicate_count is NULL in the view",
        ),
    ];
    for (look, expected) in looks {
        seen.days = StoredDays::default();
        seen.data = look;
        let plans = plan_at(&seen, &[DAY], night());
        assert_eq!(missing(&plans[0]), expected);
        assert_eq!(plans[0].day.records.processed, Some(0), "without runs, 0 is known");
        apply(&mut seen, &plans);
        seen.data = DataLook::NotAsked;
        let later = plan_at(&seen, &[DAY], night() + SignedDuration::from_hours(24));
        assert_eq!(missing(&later[0]), expected, "the first reason is more useful than that it is too late");
        apply(&mut seen, &later);
        let again = plan_at(&seen, &[DAY], night() + SignedDuration::from_hours(24));
        assert_eq!(writes(&again), 0);
    }
    // Figures from an earlier snapshot of the same day stay, with a note that they are not new.
    seen.days = StoredDays::default();
    seen.data = taken();
    let noon = plan_at(&seen, &[DAY], night() - SignedDuration::from_hours(12));
    apply(&mut seen, &noon);
    seen.data = failed("gone");
    let plans = plan_at(&seen, &[DAY], night());
    assert_eq!((plans[0].day.data, missing(&plans[0]).as_str()), (figures(), "data: not taken again, gone"));
}

#[test]
fn incomplete_history_never_counts_as_no_runs() {
    let pipeline = pipeline();
    let unread = HistoryEnd::Unread(Unread::Unreachable("no answer".to_owned()));
    let newest = || vec![run(7, "2026-11-24T21:00:00Z", RunStatus::Completed)];
    for end in [HistoryEnd::TooLong, unread.clone()] {
        let seen = seen(&pipeline, newest(), end);
        let plans = plan_at(&seen, &[DAY], night());
        assert_eq!(inserted(&plans[0]).len(), 1, "known runs are written");
        assert_eq!(plans[0].day.records, Records::default());
        assert!(missing(&plans[0]).starts_with("runs: "), "{}", missing(&plans[0]));
        assert!(
            plans[0].day.notes.as_deref().unwrap().starts_with("at least 1 run"),
            "{:?}",
            plans[0].day.notes
        );
    }
    // A run from before the day proves that the whole day was read, even if the next read failed.
    let mut older = newest();
    older.push(run(1, "2026-11-24T07:00:00Z", RunStatus::Completed));
    let plans = plan_at(&seen(&pipeline, older, unread.clone()), &[DAY], night());
    assert_eq!((plans[0].day.records.processed, missing(&plans[0]).as_str()), (Some(100), ""));

    // Sums computed earlier stay, including the runs that Census no longer returns.
    let mut seen = seen(&pipeline, newest(), HistoryEnd::Whole);
    let plans = plan_at(&seen, &[DAY], night());
    apply(&mut seen, &plans);
    seen.census[0].runs.clear();
    seen.census[0].end = unread;
    let later = plan_at(&seen, &[DAY], night() + SignedDuration::from_hours(24));
    assert_eq!(later[0].day.records, plans[0].day.records);
    assert_eq!(later[0].runs.len(), 1);
    assert!(missing(&later[0]).contains("runs: properties-create could not be read: no answer"));
}

#[test]
fn unknown_counts_are_listed_as_missing_and_never_0() {
    let pipeline = pipeline();
    let mut without_counts = run(1, "2026-11-24T09:00:00Z", RunStatus::Failed);
    without_counts.counts = Counts::default();
    without_counts.completed_at = None;
    let one_run = seen(&pipeline, vec![without_counts.clone()], HistoryEnd::Whole);
    let plans = plan_at(&one_run, &[DAY], night());
    assert_eq!((plans[0].day.records, plans[0].day.duration_seconds), (Records::default(), None));
    let expected = "records: 1 of 1 runs have no record counts; duration: 1 of 1 runs have no end time";
    assert_eq!(missing(&plans[0]), expected);
    let runs = vec![without_counts, run(2, "2026-11-24T10:00:00Z", RunStatus::Completed)];
    let plans = plan_at(&seen(&pipeline, runs, HistoryEnd::Whole), &[DAY], night());
    assert_eq!(plans[0].day.records.processed, Some(100));
    assert!(missing(&plans[0]).contains("1 of 2 runs"), "{}", missing(&plans[0]));
}

#[test]
fn incidents_count_on_their_day_with_mean_times() {
    let pipeline = pipeline();
    let episode = |began: &str, notified: &str, resolved: Option<&str>| Episode {
        began_at: instant(began),
        told_at: instant(notified),
        sent_at: None,
        resolved_at: resolved.map(instant),
    };
    let history = |episodes: Vec<Episode>| History { episodes, forgotten_until: None };
    let mut seen = seen(&pipeline, Vec::new(), HistoryEnd::Whole);
    let read = |histories: Vec<History>| Ok((histories, 0));
    seen.incidents = read(vec![
        // One incident that opened twice on the same day.
        history(vec![
            episode("2026-11-24T10:00:00Z", "2026-11-24T10:01:00Z", Some("2026-11-24T11:00:00Z")),
            episode("2026-11-24T12:00:00Z", "2026-11-24T12:05:00Z", Some("2026-11-24T12:30:00Z")),
        ]),
        // One of the day before, resolved today; one still open; and one of the next day.
        history(vec![episode("2026-11-24T07:00:00Z", "2026-11-24T07:10:00Z", Some("2026-11-24T08:30:00Z"))]),
        history(vec![episode("2026-11-25T07:50:00Z", "2026-11-25T07:59:00Z", None)]),
        history(vec![episode("2026-11-25T07:50:00Z", "2026-11-25T08:00:00Z", None)]),
    ]);
    let plans = plan_at(&seen, &[DAY, "2026-11-23"], night());
    let counted = |opened, resolved, detect, recover| IncidentFigures {
        opened: Some(opened),
        resolved: Some(resolved),
        time_to_detect: detect,
        time_to_recover: recover,
    };
    // (1 + 5 + 9) / 3 minutes; (60 + 30 + 90) / 3 minutes.
    assert_eq!(plans[0].day.incidents, counted(3, 3, Some(300), Some(3_600)));
    assert_eq!(plans[1].day.incidents, counted(1, 0, Some(600), None));

    // Counts whose history has expired are missing, and counts that were stored stay.
    let forgetful =
        || vec![History { episodes: Vec::new(), forgotten_until: Some(instant("2026-11-24T12:00:00Z")) }];
    seen.incidents = read(forgetful());
    let unknown = plan_at(&seen, &[DAY], night());
    assert_eq!(unknown[0].day.incidents, IncidentFigures::default());
    assert!(missing(&unknown[0]).starts_with("incidents: "), "{}", missing(&unknown[0]));
    apply(&mut seen, &plans);
    let kept = plan_at(&seen, &[DAY], night());
    assert_eq!(kept[0].day.incidents, plans[0].day.incidents);
    seen.incidents = read(Vec::new());
    seen.days = StoredDays::default();
    let long_ago = plan_at(&seen, &[DAY], night() + SignedDuration::from_hours(100 * 24));
    assert_eq!(long_ago[0].day.incidents.opened, None);
    seen.incidents = Err("no answer".to_owned());
    assert!(missing(&plan_at(&seen, &[DAY], night())[0]).contains("incidents: no answer"));
}

prop_compose! {
    fn any_run()(
        id in 1_u64..60,
        minutes in 0_i64..(4 * 24 * 60),
        status in proptest::sample::select(vec![
            RunStatus::Completed, RunStatus::Failed, RunStatus::Skipped, RunStatus::Working, RunStatus::Cancelled,
        ]),
        counts in (proptest::option::of(0_u64..1_000), proptest::option::of(0_u64..1_000), proptest::option::of(0_u64..9)),
    ) -> Run {
        let created = instant("2026-11-22T00:00:00Z") + SignedDuration::from_mins(minutes);
        let mut run = run(id, &created.to_string(), status);
        (run.counts.processed, run.counts.failed, run.counts.invalid) = counts;
        run
    }
}

proptest! {
    #[test]
    fn applying_a_plan_twice_equals_applying_it_once(
        runs in proptest::collection::vec(any_run(), 0..30),
        end in proptest::sample::select(vec![
            HistoryEnd::Whole,
            HistoryEnd::TooLong,
            HistoryEnd::Unread(Unread::Unreachable("no; answer\n".repeat(40))),
        ]),
        data in proptest::sample::select(vec![
            taken(), DataLook::NotDeclared, failed(&"x".repeat(900)),
        ]),
        minutes in -(60 * 30)..(60 * 30_i64),
    ) {
        let pipeline = pipeline();
        let zone = &pipeline.time_zone;
        let mut unique: Vec<Run> = Vec::new();
        for run in runs {
            if unique.iter().all(|other| other.id != run.id) {
                unique.push(run);
            }
        }
        let mut seen = seen(&pipeline, unique, end);
        seen.data = data;
        let now = night() + SignedDuration::from_mins(minutes);
        let days = |seen: &Observation<'_>| concerned(&seen.days, Scope::Night, closing_day(zone, now)).days;
        let plans = plan(&seen, &days(&seen), "properties", zone, now);
        prop_assert_eq!(plans.iter().filter(|plan| plan.day_change == Change::Insert).count(), 2);
        apply(&mut seen, &plans);
        let again = plan(&seen, &days(&seen), "properties", zone, now);
        prop_assert_eq!(writes(&again), 0, "{:?}", again);
    }
}

#[test]
fn runs_by_hand_are_known_once_all_runs_were_read() {
    let pipeline = pipeline();
    let since = instant("2026-11-24T08:00:00Z");
    let runs = || {
        let started = run(2, "2026-11-24T12:00:00Z", RunStatus::Completed);
        vec![Run { by_hand: Some(true), ..started }]
    };
    let of = |end| by_hand(&seen(&pipeline, runs(), end).census, since, night());
    let found = of(HistoryEnd::Whole).unwrap();
    assert_eq!((found.since, found.until, found.at), (since, night(), vec![instant("2026-11-24T12:00:00Z")]));
    assert_eq!(of(HistoryEnd::TooLong), None);
}
