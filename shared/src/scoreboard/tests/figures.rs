use super::*;

type Change = fn(&mut Records);

fn check(metric: Metric, table: &[(Change, &str)]) {
    for (index, (change, expected)) in table.iter().enumerate() {
        let mut records = good();
        change(&mut records);
        assert_eq!(shown(&records, metric), *expected, "{metric}, row {index}");
    }
}

fn history(records: &mut Records) -> &mut History {
    records.history.as_mut().unwrap()
}

fn row<'r>(records: &'r mut Records, day: &str) -> &'r mut DataDay {
    history(records).days.iter_mut().find(|row| row.day == date(day)).unwrap()
}

fn runs<'r>(records: &'r mut Records, sync: &str, day: &str) -> &'r mut Tally {
    let days = history(records).syncs.get_mut(sync).unwrap();
    &mut days.iter_mut().find(|row| row.day == date(day)).unwrap().outcomes
}

fn without_row(records: &mut Records, day: &str) {
    history(records).days.retain(|row| row.day != date(day));
}

fn unreadable(records: &mut Records) {
    records.history = Err("the warehouse did not answer".to_owned());
}

#[test]
fn success_rate_covers_the_runs_of_a_week() {
    check(
        Metric::SuccessRate,
        &[
            (|_| {}, "100% Met of 672"),
            (|all| runs(all, "create", "2026-11-20").failed = 36, "94.9% NotMet of 708"),
            (|all| runs(all, "create", "2026-11-19").failed = 35, "100% Met of 672"),
            (|all| all.syncs = vec!["update".to_owned()], "100% Met of 336"),
            (|all| all.syncs = vec!["new".to_owned()], "Unknown: 0 of at least 5 runs"),
            (|all| history(all).syncs.clear(), "Unknown: 0 of at least 5 runs"),
            (|all| without_row(all, "2026-11-20"), "Unknown: no row of 2026-11-20"),
            (unreadable, "Unknown: the warehouse did not answer"),
            (
                |all| {
                    let runs = Some("1 of 48 still running".to_owned());
                    all.gaps.insert(date("2026-11-26"), Gap { runs, data: None });
                },
                "Unknown: 2026-11-26: 1 of 48 still running",
            ),
            (
                |all| {
                    let data = Some("no longer available".to_owned());
                    all.gaps.insert(date("2026-11-26"), Gap { runs: None, data });
                },
                "100% Met of 672",
            ),
        ],
    );
}

#[test]
fn rate_at_its_goal_meets_it_and_rounding_hides_nothing() {
    let mut records = good();
    *runs(&mut records, "create", DAY) = Tally { completed: 41, failed: 35 };
    // 665 of 700.
    assert_eq!(shown(&records, Metric::SuccessRate), "95% Met of 700");
    runs(&mut records, "create", DAY).failed = 36;
    assert_eq!(shown(&records, Metric::SuccessRate), "94.9% NotMet of 701");
    row(&mut records, DAY).synced = Some(899.6);
    assert_eq!(shown(&records, Metric::Coverage), "89.96% NotMet of 1");
}

#[test]
fn coverage_and_quality_are_those_of_the_day() {
    check(
        Metric::Coverage,
        &[
            (|_| {}, "98% Met of 1"),
            (|all| row(all, DAY).synced = Some(899.0), "89.9% NotMet of 1"),
            (|all| row(all, "2026-11-25").synced = Some(0.0), "98% Met of 1"),
            (|all| row(all, DAY).total = Some(0.0), "Unknown: 2026-11-26: no records counted"),
            (|all| row(all, DAY).total = Some(f64::NAN), "Unknown: 2026-11-26: no records counted"),
            (
                |all| {
                    row(all, DAY).synced = None;
                    let data = Some("the view was not queried".to_owned());
                    all.gaps.insert(date(DAY), Gap { runs: None, data });
                },
                "Unknown: 2026-11-26: the view was not queried",
            ),
            (|all| without_row(all, DAY), "Unknown: no row of 2026-11-26"),
            (unreadable, "Unknown: the warehouse did not answer"),
        ],
    );
    check(
        Metric::DataQuality,
        &[
            (|_| {}, "100% Met of 1"),
            (|all| row(all, DAY).null_companies = Some(49.0), "95% Met of 1"),
            (
                |all| {
                    row(all, DAY).null_companies = Some(49.0);
                    row(all, DAY).duplicates = Some(1.0);
                },
                "94.9% NotMet of 1",
            ),
            (|all| row(all, DAY).null_companies = Some(5_000.0), "0% NotMet of 1"),
            (|all| row(all, DAY).duplicates = Some(f64::NAN), "Unknown: 2026-11-26: no records counted"),
            (|all| row(all, DAY).null_companies = Some(-1.0), "Unknown: 2026-11-26: no records counted"),
            (|all| row(all, DAY).duplicates = None, "Unknown: 2026-11-26: no records counted"),
        ],
    );
}

#[test]
fn every_sync_needs_a_completed_run_each_day() {
    check(
        Metric::DailyRuns,
        &[
            (|_| {}, "48 Met of 96"),
            (|all| *runs(all, "update", DAY) = Tally { completed: 1, failed: 9 }, "1 Met of 49"),
            (|all| *runs(all, "update", DAY) = Tally { completed: 0, failed: 9 }, "0 NotMet of 48"),
            (|all| history(all).syncs.remove("update").map(drop).unwrap(), "0 NotMet of 48"),
            (|all| without_row(all, DAY), "Unknown: no row of 2026-11-26"),
            (|all| all.syncs.clear(), "Unknown: no sync declared"),
        ],
    );
}

#[test]
fn alert_delay_is_the_90th_percentile_of_a_week() {
    check(
        Metric::AlertDelay,
        &[
            (|_| {}, "Met: no alert"),
            (|all| all.alerts = kept(vec![alert("a", DAY, 15, None)]), "15m Met of 1"),
            (|all| all.alerts = kept(vec![alert("a", DAY, -5, None)]), "0s Met of 1"),
            (
                |all| {
                    let [one, other] = [alert("a", DAY, 3, None), alert("b", "2026-11-20", 16, None)];
                    all.alerts = kept(vec![one.clone(), other, one]);
                },
                "16m NotMet of 2",
            ),
            (
                |all| {
                    let days = (17..27).map(|day| alert("a", &format!("2026-11-{day}"), day, None));
                    all.alerts = kept(days.collect());
                },
                "26m NotMet of 7",
            ),
            (
                |all| {
                    let alerts =
                        (1..=10).map(|minute| alert("a", DAY, if minute == 10 { 99 } else { minute }, None));
                    all.alerts = kept(alerts.collect());
                },
                "9m Met of 10",
            ),
            (|all| all.alerts = kept(vec![alert("a", "2026-11-19", 99, None)]), "Met: no alert"),
            (|all| all.alerts = Err("no table".to_owned()), "Unknown: no table"),
            (
                |all| all.alerts.as_mut().unwrap().since = at("2026-11-20T08:00:01Z"),
                "Unknown: records begin on 2026-11-20",
            ),
            (|all| all.alerts.as_mut().unwrap().since = at("2026-11-20T08:00:00Z"), "Met: no alert"),
        ],
    );
}

#[test]
fn recovery_counts_open_alerts_once_they_exceed_the_goal() {
    let three: Change = |all| {
        all.alerts = kept(vec![
            alert("a", "2026-11-24", 5, Some(60)),
            alert("b", "2026-11-25", 5, Some(150)),
            alert("c", "2026-11-10", 5, Some(999)),
        ]);
    };
    let open: Change = |all| all.alerts = kept(vec![alert("a", "2026-11-24", 5, None)]);
    let fresh: Change = |all| {
        let began_at = at("2026-11-27T06:30:00Z");
        all.alerts =
            kept(vec![Alert { began_at, told_at: at("2026-11-27T06:35:00Z"), ..alert("a", DAY, 5, None) }]);
    };
    let recovered_later: Change = |all| all.alerts = kept(vec![alert("a", "2026-11-24", 5, Some(99_999))]);
    let twice: Change = |all| {
        all.alerts = kept(vec![
            alert("a", DAY, 5, None),
            alert("a", DAY, 5, Some(30)),
            alert("a", DAY, 5, Some(30)),
            alert("a", DAY, 5, None),
        ]);
    };
    check(
        Metric::RecoveryMean,
        &[
            (|_| {}, "Met: no alert"),
            (three, "1h 45m Met of 2"),
            (open, "2d 20h NotMet of 1"),
            (fresh, "Met: no alert"),
            (recovered_later, "2d 20h NotMet of 1"),
            (twice, "30m Met of 1"),
            (|all| all.alerts = Err("no table".to_owned()), "Unknown: no table"),
        ],
    );
    check(Metric::RecoveryP90, &[(three, "2h 30m NotMet of 2"), (twice, "30m Met of 1")]);
}

#[test]
fn lag_is_the_longest_and_needs_a_sample_each_day() {
    let sample = |all: &mut Records, time: &str, minutes: i64| {
        let lag = SignedDuration::from_mins(minutes);
        all.lag.as_mut().unwrap().records.push(LagSample { at: at(time), lag });
    };
    let mut records = good();
    assert_eq!(shown(&records, Metric::Lag), "20m Met of 1");
    sample(&mut records, "2026-11-27T07:59:59Z", 121);
    sample(&mut records, "2026-11-27T08:00:00Z", 500);
    sample(&mut records, "2026-11-26T07:59:59Z", 500);
    assert_eq!(shown(&records, Metric::Lag), "2h 1m NotMet of 2");
    sample(&mut records, "2026-11-27T07:59:59Z", 90);
    assert_eq!(
        shown(&records, Metric::Lag),
        "2h 1m NotMet of 2",
        "measured at the same time: the longer counts"
    );
    check(
        Metric::Lag,
        &[
            (|all| all.lag = kept(Vec::new()), "Unknown: no lag measured on 2026-11-26"),
            (|all| all.lag = Err("not recorded".to_owned()), "Unknown: not recorded"),
        ],
    );
}

fn act(records: &mut Records, kind: Manual, time: &str) {
    records.manual.get_mut(&kind).unwrap().as_mut().unwrap().records.push(at(time));
}

fn since(records: &mut Records, kind: Manual, time: &str) {
    records.manual.get_mut(&kind).unwrap().as_mut().unwrap().since = at(time);
}

#[test]
fn days_unattended_count_from_the_newest_act_of_any_kind() {
    check(
        Metric::DaysUnattended,
        &[
            (|_| {}, "330d Met of 330"),
            (|all| act(all, Manual::Pause, "2026-11-20T07:59:59Z"), "7d Met of 330"),
            (|all| act(all, Manual::Pause, "2026-11-20T08:00:00Z"), "6d NotMet of 330"),
            (|all| act(all, Manual::SilenceAdded, "2026-11-27T07:59:59Z"), "0d NotMet of 330"),
            (|all| act(all, Manual::RunStarted, "2026-11-27T08:00:00Z"), "330d Met of 330"),
            (
                |all| {
                    act(all, Manual::Acknowledgement, "2026-11-24T12:00:00Z");
                    act(all, Manual::ApprovedRemedy, "2026-11-22T12:00:00Z");
                },
                "2d NotMet of 330",
            ),
            (|all| since(all, Manual::Pause, "2026-11-19T12:00:00Z"), "7d Met of 7"),
            (|all| since(all, Manual::Pause, "2026-11-20T08:00:00Z"), "7d Met of 7"),
            (|all| since(all, Manual::Pause, "2026-11-20T08:00:01Z"), "Unknown: records begin on 2026-11-20"),
            (
                |all| {
                    all.manual.remove(&Manual::Acknowledgement);
                    all.manual.insert(Manual::Pause, Err("no access".to_owned()));
                },
                "Unknown: acknowledgements: not recorded, pauses: no access",
            ),
            (|all| drop(all.manual.remove(&Manual::ApprovedRemedy)), "330d Met of 330"),
        ],
    );
}

#[test]
fn precision_counts_real_and_fine_marks() {
    use MarkVerdict::{Fine, NewNormal, Real};
    let marked = |all: &mut Records, verdicts: &[MarkVerdict]| {
        let alerts: Vec<Alert> = (0..).take(5).map(|n| alert("a", "2026-11-10", n, None)).collect();
        all.marks = kept(alerts.iter().zip(verdicts).map(|(alert, verdict)| mark(alert, *verdict)).collect());
        all.alerts = kept(alerts);
    };
    let mut records = good();
    assert_eq!(shown(&records, Metric::AlertPrecision), "NoGoal: no alert");
    for (verdicts, expected) in [
        (&[][..], "NoGoal: 0 of 5 alerts marked"),
        (&[NewNormal], "NoGoal: 0 of 5 alerts marked"),
        (&[Real, Real, NewNormal, Fine], "66.7% NoGoal of 3"),
        (&[Fine], "0% NoGoal of 1"),
    ] {
        marked(&mut records, verdicts);
        assert_eq!(shown(&records, Metric::AlertPrecision), expected);
    }
    // A later mark replaces the first.
    let first = records.marks.as_ref().unwrap().records[0].clone();
    let later = Mark { at: first.at + SignedDuration::from_mins(1), verdict: Real, ..first.clone() };
    records.marks = kept(vec![later, first]);
    assert_eq!(shown(&records, Metric::AlertPrecision), "100% NoGoal of 1");
    records.marks = Err("not recorded".to_owned());
    assert_eq!(shown(&records, Metric::AlertPrecision), "NoGoal: not recorded");
}

#[test]
fn notice_sent_again_counts_once_on_its_first_day() {
    let notice = |id: &str, time: &str| Notice { id: id.to_owned(), sent_at: at(time) };
    let mut records = good();
    records.notices = kept(vec![
        notice("a#1.0", "2026-11-20T08:02:00Z"),
        notice("a#1.0", "2026-11-20T08:00:00Z"),
        notice("b#1.0", "2026-11-20T08:01:00Z"),
        notice("b#1.0", "2026-11-20T07:59:59Z"),
        notice("c#1.0", "2026-11-27T07:59:59Z"),
        notice("d#1.0", "2026-11-27T08:00:00Z"),
    ]);
    assert_eq!(shown(&records, Metric::Notices), "2 NoGoal of 2");
    records.notices = Err("not recorded".to_owned());
    assert_eq!(shown(&records, Metric::Notices), "NoGoal: not recorded");
    let goals = Goals::default().with(Metric::Notices, Some(5.0));
    let board = Scoreboard::compute("p", &records, &goals, &los_angeles(), date(DAY));
    assert_eq!(score(&board, Metric::Notices).outcome, Outcome::Unknown);
}

#[test]
fn day_has_23_or_25_hours_when_the_clocks_change() {
    // day, its first instant, the first instant after it
    for (day, from, to) in [
        ("2026-11-01", "2026-11-01T07:00:00Z", "2026-11-02T08:00:00Z"),
        ("2026-03-08", "2026-03-08T08:00:00Z", "2026-03-09T07:00:00Z"),
    ] {
        let second = SignedDuration::from_secs(1);
        let (from, to) = (at(from), at(to));
        let hours = to.duration_since(from).as_hours();
        assert!(hours == 25 || hours == 23, "{hours}");
        let sample = |at, minutes| LagSample { at, lag: SignedDuration::from_mins(minutes) };
        let mut records = good();
        records.lag = Ok(Kept {
            since: from,
            records: vec![
                sample(from - second, 500),
                sample(from, 1),
                sample(to - second, 2),
                sample(to, 500),
            ],
        });
        for kind in Manual::ALL {
            records.manual.insert(kind, Ok(Kept { since: from - second, records: vec![from - second, to] }));
        }
        let board = Scoreboard::compute("p", &records, &Goals::default(), &los_angeles(), date(day));
        let lag = score(&board, Metric::Lag).reading;
        assert_eq!((lag.value, lag.samples), (Some(Value::Duration(SignedDuration::from_mins(2))), 2));
        assert_eq!(score(&board, Metric::DaysUnattended).reading.value, Some(Value::Days(1)));
    }
}

#[test]
fn last_day_is_yesterday_once_its_runs_are_known() {
    let mut records = good();
    let last = |records: &Records, today| records.last_day(date(today)).to_string();
    assert_eq!(last(&records, "2026-11-27"), "2026-11-26");
    assert_eq!(last(&records, "2026-11-28"), "2026-11-26");
    assert_eq!(last(&records, "2026-11-30"), "2026-11-28", "nights are missing, and the scoreboard shows it");
    let gap = |runs: Option<&str>| Gap { runs: runs.map(str::to_owned), data: Some("none".to_owned()) };
    records.gaps.insert(date("2026-11-26"), gap(Some("the day had not ended")));
    assert_eq!(last(&records, "2026-11-27"), "2026-11-25");
    records.gaps.insert(date("2026-11-26"), gap(None));
    assert_eq!(last(&records, "2026-11-27"), "2026-11-26");
    records.history = Err("no answer".to_owned());
    assert_eq!(last(&records, "2026-11-27"), "2026-11-25");
}

#[test]
fn trend_has_each_of_the_last_four_weeks() {
    let mut records = good();
    row(&mut records, "2026-10-30").synced = Some(910.0);
    row(&mut records, "2026-11-12").synced = Some(920.0);
    without_row(&mut records, "2026-11-18");
    let trend = score(&board(&records), Metric::Coverage).trend;
    let shown: Vec<String> = trend
        .iter()
        .map(|week| {
            let Window { from, to } = week.window;
            let value = week.value.map(|value| value.to_string());
            format!("{from} to {to}: {}", value.unwrap_or_else(|| week.reason.as_ref().unwrap().to_string()))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "2026-10-30 to 2026-11-05: 91%",
            "2026-11-06 to 2026-11-12: 92%",
            "2026-11-13 to 2026-11-19: no row of 2026-11-18",
            "2026-11-20 to 2026-11-26: 98%",
        ]
    );
}

#[test]
fn metric_ids_are_unique() {
    let ids: std::collections::BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.id()).collect();
    assert_eq!(ids.len(), Metric::ALL.len());
    for metric in Metric::ALL {
        assert_eq!(metric.value(12.0).number(), 12.0);
    }
}

#[test]
fn extreme_records_have_figures_and_do_not_fail() {
    let (min, max) = (Timestamp::MIN, Timestamp::MAX);
    let mut records = good();
    let of = |told_at, began_at, resolved_at| Alert {
        incident: "a".to_owned(),
        told_at,
        sent_at: Some(told_at),
        began_at,
        resolved_at,
    };
    records.alerts = Ok(Kept {
        since: min,
        records: vec![of(max, min, None), of(min, max, Some(max)), of(min, min, Some(min))],
    });
    let lag = [SignedDuration::MIN, SignedDuration::MAX];
    records.lag = Ok(Kept {
        since: min,
        records: [min, max].into_iter().zip(lag).map(|(at, lag)| LagSample { at, lag }).collect(),
    });
    for kind in Manual::ALL {
        records.manual.insert(kind, Ok(Kept { since: min, records: vec![max] }));
    }
    for row in records.history.as_mut().unwrap().syncs.values_mut().flatten() {
        row.outcomes = Tally { completed: u64::MAX, failed: u64::MAX };
    }
    for day in [Date::MIN, date(DAY), Date::MAX] {
        for name in ["UTC", "America/Santiago", "Pacific/Kiritimati"] {
            let board = Scoreboard::compute("p", &records, &Goals::default(), &zone(name), day);
            assert!(!table(&board).is_empty());
            assert_eq!(board.rows(max).len(), Metric::ALL.len());
        }
    }
    assert_eq!(records.last_day(Date::MIN), Date::MIN);
}

#[test]
fn data_quality_is_the_share_of_agreeing_fields_of_objects() {
    fn compared(all: &mut Records, agreeing: f64) {
        all.compares_objects = true;
        let day = row(all, DAY);
        (day.fields_compared, day.fields_agreeing) = (Some(10_000.0), Some(agreeing));
    }
    check(
        Metric::DataQuality,
        &[
            (|_| {}, "100% Met of 1"),
            (|all| compared(all, 9_997.0), "99.97% Met of 1"),
            (|all| compared(all, 9_499.0), "94.99% NotMet of 1"),
            (|all| all.compares_objects = true, "Unknown: 2026-11-26: no record compared"),
            (
                |all| {
                    compared(all, 0.0);
                    row(all, DAY).fields_compared = Some(0.0);
                },
                "Unknown: 2026-11-26: no record compared",
            ),
        ],
    );
}
