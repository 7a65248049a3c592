//! Every answer of the forecast, and its edges.

use jiff::civil::date;

use super::{after, day, days_of};
use crate::expect::{
    Breach, Day, Excluded, Forecast, Limit, Measure, NoFigure, NoForecast, Series, Side, forecast, is_steady,
    novelty, once,
};

const COVERAGE: Limit = Limit { side: Side::Low, value: 90.0 };

fn of(measure: Measure, limit: Limit, values: impl IntoIterator<Item = f64>) -> Forecast {
    forecast(&Series::new(measure, days_of(values)).unwrap(), limit)
}

/// A deterministic wobble within -1 and 1.
fn wobble(number: u32) -> f64 {
    f64::from(number * 7_919 % 201) / 100.0 - 1.0
}

#[test]
fn each_reason_is_reached_and_has_its_words() {
    let coverage = |values: Vec<f64>| of(Measure::Coverage, COVERAGE, values);
    let line = |start: f64, slope: f64, days: u32| (0..days).map(|x| start + slope * f64::from(x)).collect();
    let jump = (0..42).map(|x| if x < 39 { 200.0 } else { 150.0 + f64::from(x) * 40.0 });
    let queue = Limit { side: Side::High, value: 100_000.0 };
    let noisy =
        (0..14).map(|x| 1_000.0 + 100.0 * f64::from(x) + wobble(x) + if x == 5 { 5_000.0 } else { 0.0 });
    let table = [
        (coverage(vec![]), NoForecast::NotEnoughHistory { have: 0, need: 10 }, "0 of 10 days"),
        (coverage(line(95.0, -0.1, 9)), NoForecast::NotEnoughHistory { have: 9, need: 10 }, "9 of 10 days"),
        (coverage(vec![90.0; 20]), NoForecast::AlreadyPast, "already past the limit"),
        (coverage(vec![95.0; 20]), NoForecast::NoTrend { days: 42 }, "no trend in 42 days"),
        (coverage(line(92.0, 0.1, 20)), NoForecast::MovesAway, "it moves away from the limit"),
        (coverage(line(95.0, -0.02, 15)), NoForecast::TooSmall, "the change is too small"),
        (
            coverage(line(99.0, -0.1, 12)),
            NoForecast::TooFar { horizon: 24 },
            "the limit is more than 24 days away",
        ),
        (
            coverage(line(99.0, -0.05, 42)),
            NoForecast::TooFar { horizon: 60 },
            "the limit is more than 60 days away",
        ),
        (of(Measure::Queue, queue, jump), NoForecast::NoTrend { days: 42 }, "no trend in 42 days"),
        (
            of(Measure::Queue, Limit { side: Side::High, value: 4_500.0 }, noisy),
            NoForecast::TooUncertain,
            "the day is too uncertain",
        ),
    ];
    for (answer, why, words) in table {
        assert_eq!(answer, Forecast::None(why.clone()));
        assert_eq!(why.to_string(), words);
    }
}

#[test]
fn last_day_without_figure_or_excluded_has_no_forecast() {
    let falling = || days_of((0..30).map(|x| 95.0 - 0.1 * f64::from(x)));
    let asked = |days| forecast(&Series::new(Measure::Coverage, days).unwrap(), COVERAGE);
    let mut days = falling();
    days[29].value = None;
    assert_eq!(asked(days), Forecast::None(NoForecast::NoFigure(NoFigure::Absent)));
    let mut days = falling();
    days[29].value = Some(f64::NAN);
    assert_eq!(asked(days), Forecast::None(NoForecast::NoFigure(NoFigure::Unusable)));
    let mut days = falling();
    days[29].excluded = Some(Excluded::MarkedFine);
    assert_eq!(asked(days), Forecast::None(NoForecast::Excluded(Excluded::MarkedFine)));
    let mut days = falling();
    (days[10].value, days[20].excluded) = (None, Some(Excluded::MarkedFine));
    days.remove(15);
    assert!(matches!(asked(days), Forecast::Breach(Breach { days: 27, .. })));
}

#[test]
fn only_the_last_42_calendar_days_count() {
    let days = |gap: usize| {
        let old = (0..30).map(|number| day(number, 50.0));
        let new = (0..10).map(|number| day(30 + gap + number, 92.0 - 0.1 * number as f64));
        Series::new(Measure::Coverage, old.chain(new).collect()).unwrap()
    };
    assert!(matches!(forecast(&days(32), COVERAGE), Forecast::Breach(Breach { days: 10, .. })));
    let short = Series::new(Measure::Coverage, days(33).days()[..39].to_vec()).unwrap();
    assert_eq!(
        forecast(&short, COVERAGE),
        Forecast::None(NoForecast::NotEnoughHistory { have: 9, need: 10 })
    );
}

#[test]
fn trend_begins_where_the_level_ends() {
    let values = (0..35).map(|x| 93.0 - 0.1 * f64::from(x - 20).max(0.0) + 0.01 * wobble(x as u32));
    let Forecast::Breach(breach) = of(Measure::Coverage, COVERAGE, values) else { panic!() };
    assert!((13..=16).contains(&breach.days), "{breach:?}");
    assert!((breach.slope + 0.1).abs() < 0.01, "{breach:?}");
}

#[test]
fn week_shape_is_removed_from_counts() {
    let values = (0..42).map(|x| 1_000.0 + 50.0 * f64::from(x) - if x % 7 > 4 { 700.0 } else { 0.0 });
    let limit = Limit { side: Side::High, value: 4_000.0 };
    let Forecast::Breach(breach) = of(Measure::Queue, limit, values) else { panic!() };
    assert!((breach.slope - 50.0).abs() < 1.0, "{breach:?}");
}

#[test]
fn breach_has_dates_and_is_soon_within_14_days() {
    let breach = |earliest| Breach {
        earliest,
        middle: 16,
        latest: 20,
        slope: -0.05,
        days: 21,
        from: 92.4,
        to: 91.4,
        last: date(2026, 12, 20),
    };
    assert_eq!([14, 15].map(|earliest| breach(earliest).is_soon()), [true, false]);
    assert_eq!(breach(14).date(14), date(2027, 1, 3));
    assert_eq!(breach(14).date(u32::MAX), jiff::civil::Date::MAX);
    assert_eq!(after(1), date(2026, 1, 6));
}

#[test]
fn breach_is_steady_when_three_days_in_a_row_forecast_it() {
    let leak = |days: u32| days_of((0..days).map(|x| 92.0 - 0.05 * f64::from(x)));
    let series = |days| Series::new(Measure::Coverage, days).unwrap();
    let is_soon = |days| matches!(forecast(&series(leak(days)), COVERAGE), Forecast::Breach(breach) if breach.is_soon());
    let first = (10..60).find(|days| is_soon(*days)).unwrap();
    let steady = |days| is_steady(&series(days), COVERAGE);
    assert_eq!([0, 1, 2].map(|more| steady(leak(first + more))), [false, false, true]);
    // A day without a figure or an excluded one says nothing: the day before it counts.
    for change in
        [|day: &mut Day| day.value = None, |day: &mut Day| day.excluded = Some(Excluded::MarkedFine)]
    {
        let mut days = leak(first + 3);
        change(days.iter_mut().rev().nth(1).unwrap());
        assert!(steady(days.clone()));
        change(days.iter_mut().rev().nth(2).unwrap());
        assert!(!steady(days));
    }
    assert!(!steady(vec![]));
}

#[test]
fn declared_limits_have_their_side() {
    let side = |measure| Limit::declared(measure, 5.0).map(|limit| limit.side);
    let sides = Measure::ALL.map(side);
    assert_eq!(sides, [None, Some(Side::High), None, Some(Side::Low), Some(Side::High), Some(Side::High)]);
}

#[test]
fn stream_scores_need_five_earlier_values_and_skip_bad_ones() {
    assert_eq!(novelty(&[]), [0.0; 0]);
    assert_eq!(
        novelty(&[1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 99.0]),
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0_f64.log10()]
    );
    let bad = [1.0, f64::NAN, 2.0, f64::INFINITY, 3.0, 4.0, 5.0, 9.0, 99.0];
    assert_eq!(novelty(&bad)[8], 2.0_f64.log10());
    assert!(
        novelty(&[f64::MAX, f64::MIN, 0.0, 1e300, -1e300, 7.0, 8.0, f64::MAX])
            .iter()
            .all(|score| !score.is_nan())
    );
}

#[test]
fn once_counts_again_after_150_values() {
    let mut scores = vec![0.0; 152];
    (scores[0], scores[150], scores[151]) = (2.0, 2.0, 2.0);
    let kept = once(&scores);
    assert_eq!((kept[0], kept[150], kept[151]), (2.0, 0.0, 2.0));
}
