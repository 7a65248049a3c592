//! Tables of the point rule and the drift rule, at their edges.

use super::{after, day, days_of, judge, judge_after};
use crate::expect::{
    BadSeries, Basis, Day, Excluded, Measure, Moved, NoFigure, Point, Sensitivity, Series, Side, Verdict,
    WhyNot,
};

fn point(verdict: &Verdict) -> Option<Side> {
    verdict.point.map(|point| point.side)
}

fn with(value: f64, change: impl Fn(&mut Day)) -> Vec<Day> {
    let mut days = days_of(std::iter::repeat_n(1.0, 30).chain([value]));
    change(days.last_mut().unwrap());
    days
}

#[test]
fn each_reason_is_reached_and_has_its_words() {
    let quiet = Excluded::QuietDay { name: "Christmas".to_owned() };
    let busy = Moved { records: 1_600.0, expected: 1_000.0 };
    let table: [(Measure, Vec<Day>, &str); 13] = [
        (Measure::Volume, with(1.0, |day| day.value = None), "no figure for this day"),
        (Measure::Volume, with(f64::NAN, |_| ()), "unusable figure (negative, not finite or too large)"),
        (Measure::Coverage, with(100.1, |_| ()), "unusable figure (negative, not finite or too large)"),
        (Measure::Volume, days_of([1.0]), "not enough history: 0 of 5 days"),
        (Measure::Volume, days_of([1.0; 4]), "not enough history: 3 of 6 days"),
        (Measure::Volume, days_of([1.0; 5]), "not enough history: 4 of 7 days"),
        (Measure::Volume, days_of([1.0; 6]), "no Saturday or Sunday seen twice yet"),
        (Measure::Volume, days_of([1.0; 9]), "not enough history: 8 of 9 days"),
        (
            Measure::Volume,
            with(1.0, |day| day.excluded = Some(quiet.clone())),
            "excluded: quiet day \"Christmas\"",
        ),
        (
            Measure::Volume,
            with(1.0, |day| day.excluded = Some(Excluded::MarkedFine)),
            "excluded: marked as fine",
        ),
        (
            Measure::Volume,
            with(1.0, |day| day.excluded = Some(Excluded::OpenIncident)),
            "excluded: an incident of the same sync was open",
        ),
        (Measure::ErrorRate, with(9.0, |day| day.failed = 9), "not enough failed records: 9 of 10"),
        (
            Measure::Duration,
            with(9.0, |day| day.volume = Some(busy)),
            "explained by the volume: 1,600 records, 1,000 were expected",
        ),
    ];
    for (measure, days, words) in table {
        let verdict = judge(measure, days).pop().unwrap();
        assert_eq!(
            (verdict.reason.map(|why| why.to_string()).as_deref(), verdict.point),
            (Some(words), None)
        );
    }
    let weekends = [5, 6, 12, 13, 19].map(|number| day(number, 1.0)).to_vec();
    let monday = judge(Measure::Volume, [weekends, vec![day(21, 1.0)]].concat()).pop().unwrap();
    assert_eq!(
        monday.reason.map(|why| why.to_string()).as_deref(),
        Some("no Monday to Friday seen twice yet")
    );
}

#[test]
fn change_at_the_limit_is_no_finding() {
    let usual = (30, 0.0);
    let rate = |value| point(&judge_after(Measure::NullRate, usual, &[value])[0]);
    assert_eq!((rate(0.25), rate(0.250_001)), (None, Some(Side::High)));
    let verdict = &judge_after(Measure::Coverage, (30, 95.0), &[95.0])[0];
    let limit = verdict.expectation.unwrap().limit;
    assert!(limit > 0.5, "the spread decides here: {limit}");
    let below = |by: f64| point(&judge_after(Measure::Coverage, (30, 95.0), &[95.0 - by])[0]);
    assert_eq!((below(limit - 1e-9), below(limit + 1e-9)), (None, Some(Side::Low)));
}

#[test]
fn harmless_side_is_never_a_finding() {
    let table = [
        (Measure::Queue, 1_000.0, 0.0),
        (Measure::Duration, 300.0, 1.0),
        (Measure::Coverage, 50.0, 100.0),
        (Measure::NullRate, 50.0, 0.0),
        (Measure::ErrorRate, 50.0, 0.0),
    ];
    for (measure, usual, then) in table {
        for verdict in judge_after(measure, (30, usual), &[then; 20]) {
            assert_eq!((verdict.side, verdict.point, verdict.drift), (None, None, None), "{measure:?}");
        }
    }
}

#[test]
fn each_measure_needs_its_days_in_a_row() {
    let table = [
        (Measure::Volume, 1_000.0, 8_000.0, 3),
        (Measure::Volume, 1_000.0, 200.0, 2),
        (Measure::Volume, 1_000.0, 0.0, 1),
        (Measure::Queue, 1_000.0, 90_000.0, 2),
        (Measure::Duration, 300.0, 900.0, 1),
        (Measure::Coverage, 95.0, 90.0, 1),
        (Measure::NullRate, 1.0, 9.0, 1),
        (Measure::ErrorRate, 1.0, 9.0, 2),
    ];
    for (measure, usual, then, need) in table {
        let verdicts = judge_after(measure, (30, usual), &[then; 3]);
        let found: Vec<bool> = verdicts.iter().map(|verdict| verdict.point.is_some()).collect();
        let expected: Vec<bool> = (1..=3).map(|day| day >= need).collect();
        assert_eq!(found, expected, "{measure:?} {then}");
        assert_eq!(verdicts.iter().map(|verdict| verdict.streak).collect::<Vec<_>>(), [1, 2, 3]);
    }
}

#[test]
fn volume_is_dead_only_under_a_tenth_of_the_expected() {
    let expected = judge_after(Measure::Volume, (30, 1_000.0), &[1_000.0])[0].expectation.unwrap().expected;
    let tenth = 0.1 * expected;
    let found = |value| judge_after(Measure::Volume, (30, 1_000.0), &[value])[0].point;
    assert_eq!(found(tenth), None);
    assert_eq!(found(tenth.next_down()), Some(Point { side: Side::Low, is_dead: true }));
    let second = judge_after(Measure::Volume, (30, 1_000.0), &[200.0, 200.0])[1].point;
    assert_eq!(second, Some(Point { side: Side::Low, is_dead: false }));
}

#[test]
fn streak_ends_below_the_steady_share_of_the_day_before() {
    let found = |second| {
        let verdict = judge_after(Measure::ErrorRate, (30, 0.0), &[10.0, second]).pop().unwrap();
        (verdict.streak, point(&verdict))
    };
    assert_eq!(found(6.0), (2, Some(Side::High)));
    assert_eq!(found(5.99), (1, None));
    assert_eq!(found(0.0), (0, None));
}

#[test]
fn day_without_figure_or_excluded_keeps_the_streak() {
    for gap in 0..3 {
        let mut days = days_of(std::iter::repeat_n(0.0, 30).chain([10.0, 10.0, 10.0]));
        match gap {
            0 => days[31].value = None,
            1 => days[31].excluded = Some(Excluded::MarkedFine),
            _ => days[31].failed = 9,
        }
        let verdicts = judge(Measure::ErrorRate, days);
        assert_eq!((verdicts[31].streak, verdicts[32].streak), (0, if gap < 2 { 2 } else { 1 }));
    }
}

#[test]
fn failed_records_and_volume_decide_at_their_limits() {
    let failed = |failed| {
        let mut days = days_of(std::iter::repeat_n(0.0, 30).chain([10.0, 10.0]));
        days.iter_mut().for_each(|day| day.failed = failed);
        let verdict = judge(Measure::ErrorRate, days).pop().unwrap();
        (verdict.reason.clone(), point(&verdict))
    };
    assert_eq!(failed(9), (Some(WhyNot::FewRecords { failed: 9, need: 10 }), None));
    assert_eq!(failed(10), (None, Some(Side::High)));
    let explained = |records| {
        let volume = Moved { records, expected: 1_000.0 };
        let verdict = judge(Measure::Duration, with(9.0, |day| day.volume = Some(volume))).pop().unwrap();
        (verdict.reason.is_some(), point(&verdict))
    };
    assert_eq!(explained(1_500.0), (false, Some(Side::High)));
    assert_eq!(explained(1_501.0), (true, None));
}

#[test]
fn bad_value_spoils_only_its_own_day() {
    let usual = judge(Measure::Volume, days_of([100.0; 40]));
    for bad in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        let mut days = days_of([100.0; 40]);
        days[30].value = Some(bad);
        let verdicts = judge(Measure::Volume, days);
        assert_eq!(verdicts[30].reason, Some(WhyNot::NoFigure(NoFigure::Unusable)));
        assert_eq!(verdicts[30].value, None);
        assert!(verdicts[31..].iter().all(|verdict| verdict.reason.is_none() && verdict.point.is_none()));
        assert_eq!(verdicts[..30], usual[..30]);
    }
}

#[test]
fn unsorted_and_repeated_dates_are_rejected_with_a_remedy() {
    let new =
        |numbers: [usize; 2]| Series::new(Measure::Volume, numbers.map(|number| day(number, 1.0)).to_vec());
    assert!(new([0, 5]).is_ok());
    assert_eq!(new([1, 0]), Err(BadSeries::Unsorted { date: after(0), after: after(1) }));
    assert_eq!(new([1, 1]), Err(BadSeries::Repeated { date: after(1) }));
    let words = [[1, 0], [1, 1]].map(|numbers| new(numbers).unwrap_err().to_string());
    assert_eq!(words[0], "2026-01-05 follows 2026-01-06; sort the days by date");
    assert_eq!(words[1], "2026-01-06 appears twice; keep one row for each date");
}

#[test]
fn weekday_is_known_after_three_of_it_and_its_group_after_two() {
    let verdicts = judge(Measure::Volume, days_of([100.0; 22]));
    let basis = |number: usize| verdicts[number].expectation.map(|expectation| expectation.basis);
    assert_eq!(basis(5), None, "the first Saturday");
    assert_eq!([basis(4), basis(7), basis(20)], [Some(Basis::Group); 3]);
    assert_eq!(basis(21), Some(Basis::Weekday), "the fourth Monday");
    assert_eq!(verdicts[21].expectation.unwrap().days, 21);
}

#[test]
fn drift_is_found_once_and_names_its_begin() {
    let values = std::iter::repeat_n(100.0, 40).chain(std::iter::repeat_n(55.0, 40));
    let verdicts = judge(Measure::Volume, days_of(values));
    let found: Vec<_> = verdicts.iter().filter_map(|verdict| verdict.drift).collect();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].side, found[0].since), (Side::Low, after(40)));
    assert!((found[0].before - 100.0).abs() < 1e-9 && (found[0].now - 55.0).abs() < 1e-9, "{found:?}");
    assert_eq!((found[0].days_before, found[0].days_now), (32, 5));
}

#[test]
fn drift_under_the_least_change_is_not_found() {
    for (change, found) in [(0.19, false), (0.21, true)] {
        let values = std::iter::repeat_n(1.0, 40).chain(std::iter::repeat_n(1.0 + change, 30));
        let verdicts = judge(Measure::NullRate, days_of(values));
        assert_eq!(verdicts.iter().any(|verdict| verdict.drift.is_some()), found, "{change}");
    }
}

#[test]
fn drift_of_an_error_rate_needs_ten_failed_records_in_five_days() {
    for (failed, found) in [(1, false), (2, true)] {
        let mut days = days_of(std::iter::repeat_n(1.0, 40).chain(std::iter::repeat_n(1.9, 40)));
        days.iter_mut().for_each(|day| day.failed = failed);
        let verdicts = judge(Measure::ErrorRate, days);
        assert_eq!(verdicts.iter().any(|verdict| verdict.drift.is_some()), found, "{failed}");
    }
}

#[test]
fn more_series_raise_every_limit() {
    let limits = |series| {
        let sensitivity = Sensitivity::of(series);
        let spreads: Vec<f64> = (0..=60).map(|residuals| sensitivity.spreads(residuals)).collect();
        (spreads, sensitivity.drift, sensitivity.silence)
    };
    for series in [0, 1, 14] {
        assert_eq!(Sensitivity::of(series), Sensitivity::default());
    }
    let (few, drift, silence) = limits(14);
    assert_eq!((few[0], few[1], few[12], few[60]), (3183.10, 3183.10, 5.263, 5.263));
    assert_eq!((drift, silence), (10.0, 14.0));
    let (more, more_drift, more_silence) = limits(1_400);
    assert!(few.iter().zip(&more).all(|(few, more)| more > few), "{more:?}");
    assert!((more_drift - drift - 100_f64.ln()).abs() < 1e-12);
    assert!((more_silence - silence - 100_f64.ln()).abs() < 1e-12);
    assert!((more[1] / (std::f64::consts::PI * 1e-6).tan().recip() - 1.0).abs() < 1e-8);
    let two_degrees = (1.0 - 2e-6) / (2.0 * 1e-6_f64 * (1.0 - 1e-6)).sqrt();
    assert!((more[2] / two_degrees - 1.0).abs() < 1e-8);
    assert_eq!(Sensitivity::of(usize::MAX), Sensitivity::of(1_000_000));
}
