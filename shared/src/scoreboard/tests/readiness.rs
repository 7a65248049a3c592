use proptest::prelude::*;

use super::*;

/// Rows of the days before [`DAY`] on which every goal was met.
fn rows(days: i64) -> Vec<ScoreRow> {
    let board = board(&good());
    let day = |back: i64| {
        let day = date(DAY) - back.days();
        let written_at = at(&format!("{day}T23:55:00Z"));
        board.rows(written_at).into_iter().map(move |row| ScoreRow { day, ..row })
    };
    (1..=days).flat_map(day).collect()
}

fn with_rows(rows: Vec<ScoreRow>) -> Records {
    Records { scores: Ok(rows), ..good() }
}

fn ready(rows: Vec<ScoreRow>) -> String {
    board(&with_rows(rows)).ready.to_string()
}

fn set(rows: &mut [ScoreRow], metric: Metric, day: &str, change: impl Fn(&mut ScoreRow)) {
    rows.iter_mut().filter(|row| row.metric == metric && row.day == date(day)).for_each(change);
}

#[test]
fn seven_recorded_days_with_every_goal_met_are_ready() {
    let since = "Production-ready since 2026-11-26: every goal was met on each day since 2026-11-20.";
    assert_eq!(ready(rows(6)), since);
    let since = "Production-ready since 2026-11-12: every goal was met on each day since 2026-11-06.";
    assert_eq!(ready(rows(20)), since);
    let mut broken = rows(20);
    set(&mut broken, Metric::Lag, "2026-11-15", |row| row.outcome = Outcome::Unknown);
    let since = "Production-ready since 2026-11-22: every goal was met on each day since 2026-11-16.";
    assert_eq!(ready(broken), since);
}

#[test]
fn day_without_rows_is_missing_even_if_its_window_is_good() {
    let text = ready(rows(5));
    assert!(text.contains("Successful runs: 2026-11-20: not recorded"), "{text}");
    assert!(text.ends_with("Production-ready on 2026-11-27 at the earliest."), "{text}");
}

#[test]
fn missing_goals_are_named_with_day_and_reason() {
    let mut rows = rows(20);
    set(&mut rows, Metric::Coverage, "2026-11-23", |row| {
        (row.outcome, row.value) = (Outcome::NotMet, Some(Value::Percent(89.96)));
    });
    for day in ["2026-11-21", "2026-11-22", "2026-11-25"] {
        set(&mut rows, Metric::Lag, day, |row| {
            (row.outcome, row.reason) = (Outcome::Unknown, Some("not recorded".to_owned()));
        });
    }
    set(&mut rows, Metric::Notices, "2026-11-25", |row| row.outcome = Outcome::Unknown);
    assert_eq!(
        ready(rows),
        "Not production-ready: goals that were not met on each of the last 7 days.\n  \
         Coverage: 2026-11-23: 89.96%, not met\n  \
         Lag, longest: 2026-11-25: unknown, not recorded (and 2 earlier days)\n\
         Production-ready on 2026-12-02 at the earliest."
    );
}

#[test]
fn newest_of_two_rows_counts_and_the_worse_of_the_same_time() {
    let mut twice = rows(6);
    let row = twice.iter().find(|row| row.metric == Metric::Lag).unwrap().clone();
    let later = row.written_at + SignedDuration::from_hours(1);
    let unmet = ScoreRow { outcome: Outcome::NotMet, ..row.clone() };
    twice.push(unmet.clone());
    assert!(ready(twice.clone()).starts_with("Not production-ready"));
    twice.rotate_right(1);
    assert!(ready(twice.clone()).starts_with("Not production-ready"));
    twice.insert(0, ScoreRow { written_at: later, ..row.clone() });
    assert!(ready(twice.clone()).starts_with("Production-ready since"));
    twice.push(ScoreRow { written_at: later + SignedDuration::from_hours(1), ..unmet });
    assert!(ready(twice).starts_with("Not production-ready"));
}

#[test]
fn scores_of_the_day_replace_its_preliminary_rows() {
    let mut all = rows(6);
    let preliminary = board(&good()).rows(at("2026-11-27T07:55:00Z"));
    all.extend(preliminary.into_iter().map(|row| ScoreRow { outcome: Outcome::Unknown, ..row }));
    assert!(ready(all).starts_with("Production-ready since 2026-11-26"));
}

#[test]
fn unreadable_rows_leave_readiness_unknown() {
    let records = Records { scores: Err("the warehouse did not answer".to_owned()), ..good() };
    assert_eq!(board(&records).ready.to_string(), "Production-ready: unknown, the warehouse did not answer");
}

#[test]
fn day_has_a_row_for_each_metric() {
    let rows = board(&good()).rows(at("2026-11-27T08:00:00Z"));
    assert_eq!(rows.len(), Metric::ALL.len());
    assert_eq!((rows[1].day, rows[1].metric), (date("2026-11-26"), Metric::AlertDelay));
    assert_eq!((rows[1].outcome, rows[1].goal), (Outcome::Met, Some(900.0)));
    assert_eq!(rows[1].reason.as_deref(), Some("no alert"));
}

/// Records with something of everything: met, not met, unknown, without a goal, a trend with gaps.
fn mixed() -> Records {
    let mut all = rows(20);
    set(&mut all, Metric::Coverage, "2026-11-23", |row| {
        (row.outcome, row.value) = (Outcome::NotMet, Some(Value::Percent(89.96)));
    });
    let mut records = with_rows(all);
    let history = records.history.as_mut().unwrap();
    history.days.retain(|row| row.day != date("2026-11-10"));
    history.syncs.get_mut("create").unwrap()[2].outcomes.failed = 12;
    let alerts: Vec<Alert> = [(12, 4, 40), (21, 9, 150), (25, 21, 45)]
        .into_iter()
        .map(|(day, delay, end)| alert("run-failed/create", &format!("2026-11-{day}"), delay, Some(end)))
        .collect();
    records.marks = kept(vec![mark(&alerts[0], MarkVerdict::Real), mark(&alerts[1], MarkVerdict::Fine)]);
    let notice = |(n, alert): (usize, &Alert)| Notice { id: format!("a#{n}.0"), sent_at: alert.told_at };
    records.notices = kept(alerts.iter().enumerate().map(notice).collect());
    records.alerts = kept(alerts);
    records.lag = Err("freshness is not recorded".to_owned());
    let acts = records.manual.get_mut(&Manual::Acknowledgement).unwrap().as_mut().unwrap();
    acts.records.push(at("2026-11-23T17:00:00Z"));
    records
}

#[test]
fn table_shows_metrics_reasons_and_readiness() {
    insta::assert_snapshot!(table(&board(&mixed())));
}

proptest! {
    #[test]
    fn table_fits_100_columns(runs: u64, total in 0.0..1e15, lag: i64, reason in ".{0,300}") {
        let mut records = good();
        let history = records.history.as_mut().unwrap();
        for row in &mut history.days {
            (row.total, row.synced) = (Some(total), Some(total / 3.0));
        }
        for row in history.syncs.values_mut().flatten() {
            row.outcomes = Tally { completed: runs, failed: runs / 3 };
        }
        for sample in &mut records.lag.as_mut().unwrap().records {
            sample.lag = SignedDuration::from_secs(lag);
        }
        records.alerts = Err(reason.clone());
        records.scores = Err(reason);
        for line in table(&board(&records)).lines() {
            prop_assert!(line.chars().count() <= 100, "{}: {line}", line.chars().count());
        }
    }

    #[test]
    fn readiness_equals_a_naive_count(
        unmet in proptest::collection::vec((0..6_usize, 0..30_i64, any::<bool>()), 0..3),
        absent in proptest::collection::vec((0..6_usize, 1..30_i64), 0..2),
        seed in any::<u64>(),
    ) {
        let needed = [Metric::SuccessRate, Metric::AlertDelay, Metric::Coverage, Metric::Lag, Metric::DailyRuns, Metric::DataQuality];
        let mut stored = rows(25);
        for (metric, back) in &absent {
            let day = date(DAY) - (*back).days();
            stored.retain(|row| (row.metric, row.day) != (needed[*metric], day));
        }
        for (metric, back, unknown) in unmet.iter().filter(|(_, back, _)| *back > 0) {
            let outcome = if *unknown { Outcome::Unknown } else { Outcome::NotMet };
            set(&mut stored, needed[*metric], &(date(DAY) - (*back).days()).to_string(), |row| row.outcome = outcome);
        }
        // A night that ran again, and any order.
        let again: Vec<ScoreRow> = stored.iter().filter(|row| row.day.day() % 3 == 0).cloned().collect();
        stored.extend(again);
        let shift = usize::try_from(seed % stored.len() as u64).unwrap();
        stored.rotate_left(shift);
        let met = |back: i64| {
            let day = date(DAY) - back.days();
            back == 0 || Goals::default().0.keys().all(|metric| {
                let mut of_day = stored.iter().filter(|row| (row.metric, row.day) == (*metric, day)).peekable();
                of_day.peek().is_some() && of_day.all(|row| row.outcome == Outcome::Met)
            })
        };
        let streak = (0..).take_while(|back| met(*back)).count() as i64;
        match board(&with_rows(stored.clone())).ready {
            ReadyState::Ready { met_since, since } => {
                prop_assert!(streak >= READY_DAYS);
                prop_assert_eq!(met_since, date(DAY) - (streak - 1).days());
                prop_assert_eq!(since, met_since + 6.days());
            }
            ReadyState::NotReady { earliest, missing } => {
                prop_assert!(streak < READY_DAYS && !missing.is_empty());
                prop_assert_eq!(earliest, date(DAY) - streak.days() + 7.days());
            }
            ReadyState::Unknown { .. } => prop_assert!(false),
        }
    }
}
