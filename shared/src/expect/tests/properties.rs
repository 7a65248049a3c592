//! The properties that every history keeps, one for each promise about days, forecasts and streams. Silence has its own.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{after, days_of, judge};
use crate::expect::{
    Day, Excluded, Forecast, Limit, Measure, Moved, Sensitivity, Series, Side, Verdict, forecast, judge_days,
    novelty, once,
};

fn measures() -> impl Strategy<Value = Measure> {
    proptest::sample::select(Measure::ALL.to_vec())
}

/// Any value, mostly one that is near others.
fn values() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        12 => (0.0..100.0).prop_map(Some),
        12 => (40.0..60.0).prop_map(Some),
        4 => (0_u8..4).prop_map(|value| Some(f64::from(value))),
        2 => Just(None),
        1 => any::<f64>().prop_map(Some),
        1 => proptest::sample::select(vec![1e300, f64::NAN, f64::INFINITY, -1.0, 1e15, 100.0]).prop_map(Some),
    ]
}

prop_compose! {
    fn any_day()(
        value in values(),
        exclusion in 0_u8..12,
        total in prop_oneof![Just(0_u64), 1_u64..100_000, any::<u64>()],
        failed in 0_u64..30,
        gap in 0_u8..15,
        volume in proptest::option::of((0.0..2_000.0, 0.0..2_000.0)),
    ) -> (usize, Day) {
        let volume = volume.map(|(records, expected)| Moved { records, expected });
        let excluded = (exclusion == 0).then_some(Excluded::MarkedFine);
        (usize::from(gap == 0) + 1, Day { date: after(0), value, excluded, total, failed, volume })
    }
}

fn histories() -> impl Strategy<Value = Vec<Day>> {
    vec(any_day(), 0..90).prop_map(|days| {
        let mut number = 0;
        days.into_iter()
            .map(|(step, day)| {
                number += step;
                Day { date: after(number), ..day }
            })
            .collect()
    })
}

/// Values around a level, with a change in the last days.
fn changed() -> impl Strategy<Value = Vec<f64>> {
    let then = prop_oneof![vec(0.0..20.0_f64, 1..8), vec(80.0..100.0_f64, 1..8), vec(0.0..100.0_f64, 1..8)];
    (vec(48.0..52.0, 20..60), then).prop_map(|(usual, then)| [usual, then].concat())
}

type Outcome = (Option<String>, Option<Side>, u32, bool, Option<(Side, jiff::civil::Date)>);

/// The verdict without figures.
fn outcome(verdict: &Verdict) -> Outcome {
    let reason = verdict.reason.as_ref().map(ToString::to_string);
    let drift = verdict.drift.map(|drift| (drift.side, drift.since));
    (reason, verdict.side, verdict.streak, verdict.point.is_some(), drift)
}

proptest! {
    #[test]
    fn shorter_history_gives_the_same_verdicts(measure in measures(), days in histories(), cut in 0_usize..90) {
        let cut = cut.min(days.len());
        let whole = judge(measure, days.clone());
        prop_assert_eq!(&judge(measure, days[..cut].to_vec()), &whole[..cut]);
    }

    #[test]
    fn value_of_an_excluded_day_changes_no_other_day(
        measure in measures(), days in histories(), at in 0_usize..90, value in values(),
    ) {
        if days.is_empty() {
            return Ok(());
        }
        let (at, mut days) = (at % days.len(), days);
        days[at].excluded = Some(Excluded::MarkedFine);
        let before = judge(measure, days.clone());
        days[at].value = value;
        let changed = judge(measure, days);
        prop_assert_eq!(&before[..at], &changed[..at]);
        prop_assert_eq!(&before[at + 1..], &changed[at + 1..]);
    }

    #[test]
    fn missing_day_changes_no_other_verdict(measure in measures(), days in histories()) {
        let verdicts = judge(measure, days.clone());
        let absent = |day: &Day| day.value.is_none();
        let kept: Vec<Day> = days.iter().filter(|day| !absent(day)).cloned().collect();
        let expected: Vec<Verdict> =
            days.iter().zip(verdicts).filter(|(day, _)| !absent(day)).map(|(_, verdict)| verdict).collect();
        prop_assert_eq!(judge(measure, kept), expected);
    }

    #[test]
    fn range_is_ordered_finite_and_possible(measure in measures(), days in histories()) {
        for verdict in judge(measure, days) {
            let Some(range) = verdict.expectation else {
                prop_assert!(verdict.reason.is_some(), "a judged day has an expectation");
                continue;
            };
            prop_assert!(range.low <= range.expected && range.expected <= range.high, "{range:?}");
            prop_assert!(range.low >= 0.0 && range.high.is_finite() && range.limit.is_finite(), "{range:?}");
            if matches!(measure, Measure::Coverage | Measure::NullRate | Measure::ErrorRate) {
                prop_assert!(range.high <= 100.0, "{range:?}");
            }
        }
    }

    #[test]
    fn any_history_is_judged_and_described(measure in measures(), days in histories(), limit: f64, low: bool) {
        let history = Series::new(measure, days).unwrap();
        for series in [1, 10_000] {
            for verdict in judge_days(&history, &Sensitivity::of(series)) {
                verdict.sentence("a sync");
                verdict.drift.map(|drift| drift.sentence("a sync", measure));
            }
        }
        let limit = Limit { side: if low { Side::Low } else { Side::High }, value: limit };
        forecast(&history, limit).sentence("a sync", measure, limit);
    }

    #[test]
    fn dates_out_of_order_are_rejected(days in histories(), at in 0_usize..90, to in 0_usize..90) {
        if days.len() < 2 || at % days.len() == to % days.len() {
            return Ok(());
        }
        let (at, to, mut days) = (at % days.len(), to % days.len(), days);
        days[at].date = days[to].date;
        prop_assert!(Series::new(Measure::Volume, days).is_err());
    }

    #[test]
    fn fewer_than_five_learnt_days_find_nothing(measure in measures(), days in histories()) {
        let mut learnt = 0;
        for (day, verdict) in days.iter().zip(judge(measure, days.clone())) {
            prop_assert!(learnt >= 5 || (verdict.point.is_none() && verdict.drift.is_none()));
            learnt += usize::from(verdict.value.is_some() && day.excluded.is_none());
        }
    }

    #[test]
    fn constant_history_ignores_changes_under_the_least(
        measure in measures(), level in 1.0..90.0_f64, days in 10_usize..60, share in -0.999..0.999_f64,
    ) {
        let rules = measure.rules();
        let value = rules.kind.figure(rules.kind.scaled(level) + share * rules.change);
        let values = std::iter::repeat_n(level, days).chain([value; 3]);
        prop_assert!(judge(measure, days_of(values)).iter().all(|verdict| verdict.point.is_none()));
    }

    #[test]
    fn value_further_out_keeps_its_finding(measure in measures(), values in changed(), further in 0.0..1.0_f64) {
        let verdict = judge(measure, days_of(values.clone())).pop().unwrap();
        let mut moved = values.clone();
        let last = moved.last_mut().unwrap();
        let found = verdict.point.map(|point| point.side).or(verdict.drift.map(|drift| drift.side));
        *last = if found == Some(Side::High) { *last + (100.0 - *last) * further } else { *last * further };
        let again = judge(measure, days_of(moved)).pop().unwrap();
        if let Some(point) = verdict.point {
            prop_assert_eq!(again.point.map(|point| point.side), Some(point.side));
        }
        if let Some(drift) = verdict.drift.filter(|drift| Some(drift.side) == found) {
            prop_assert_eq!(again.drift.map(|drift| (drift.side, drift.since)), Some((drift.side, drift.since)));
        }
    }

    #[test]
    fn scaled_durations_keep_their_verdicts(values in changed(), factor in 0.1..100.0_f64) {
        let scaled = values.iter().map(|value| (value + 1.0) * factor);
        let scaled = judge(Measure::Duration, days_of(scaled));
        let verdicts = judge(Measure::Duration, days_of(values.iter().map(|value| value + 1.0)));
        for (verdict, scaled) in verdicts.iter().zip(&scaled) {
            prop_assert_eq!(outcome(verdict), outcome(scaled));
        }
    }

    #[test]
    fn breach_days_are_ordered_and_in_the_future(
        measure in measures(), noise in vec(-1.0..1.0_f64, 10..60), slope in -2.0..2.0_f64, size in 0.0..10.0_f64,
        limit in 0.0..100.0_f64, low: bool,
    ) {
        let values = noise.iter().enumerate().map(|(x, noise)| 50.0 + slope * x as f64 / 2.0 + size * noise);
        let history = Series::new(measure, days_of(values)).unwrap();
        let limit = Limit { side: if low { Side::Low } else { Side::High }, value: limit };
        if let Forecast::Breach(breach) = forecast(&history, limit) {
            prop_assert!(breach.earliest >= 1, "{breach:?}");
            prop_assert!(breach.earliest <= breach.middle && breach.middle <= breach.latest, "{breach:?}");
            prop_assert!(breach.slope * limit.side.sign() > 0.0 && breach.days >= 10, "{breach:?}");
        }
    }

    #[test]
    fn noiseless_line_is_forecast_within_a_day(
        days in 20_u32..60, slope in 0.05..0.3_f64, ahead in 1.0..35.0_f64, is_queue: bool,
    ) {
        let (measure, side) = if is_queue { (Measure::Queue, Side::High) } else { (Measure::Coverage, Side::Low) };
        let slope = if is_queue { 1_000.0 * slope } else { -slope };
        let start = if is_queue { 0.0 } else { 95.0 };
        let values = (0..days).map(|x| start + slope * f64::from(x));
        let value = start + slope * (f64::from(days - 1) + ahead);
        let answer = forecast(&Series::new(measure, days_of(values)).unwrap(), Limit { side, value });
        let Forecast::Breach(breach) = answer else { return Err(TestCaseError::fail(format!("{answer:?}"))) };
        prop_assert!((f64::from(breach.middle) - ahead).abs() <= 1.0 + 1e-9, "{breach:?}");
    }

    #[test]
    fn mirrored_share_has_the_same_forecast(
        noise in vec(-64_i32..64, 10..50), slope in -40_i32..40, limit in 1_i32..100, low: bool,
    ) {
        let share = |(x, noise): (usize, &i32)| 50.0 + f64::from(slope * x as i32) / 64.0 + f64::from(*noise) / 128.0;
        let values: Vec<f64> = noise.iter().enumerate().map(share).collect();
        let asked = |values: Vec<f64>, side, value| {
            let history = Series::new(Measure::Coverage, days_of(values)).unwrap();
            match forecast(&history, Limit { side, value }) {
                Forecast::Breach(breach) => Ok((breach.earliest, breach.middle, breach.latest, breach.days)),
                Forecast::None(why) => Err(why),
            }
        };
        let (side, other) = if low { (Side::Low, Side::High) } else { (Side::High, Side::Low) };
        let limit = f64::from(limit) + 1.0 / 3.0;
        let mirrored = values.iter().map(|value| 100.0 - value).collect();
        prop_assert_eq!(asked(values, side, limit), asked(mirrored, other, 100.0 - limit));
    }

    #[test]
    fn novelty_is_unchanged_by_a_shift_and_a_scale(
        values in vec(-1_000_i32..1_000, 0..200), shift in -1_000_i32..1_000, power in -3_i32..7,
    ) {
        let plain: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
        let mapped: Vec<f64> = plain.iter().map(|value| f64::from(shift) + 2_f64.powi(power) * value).collect();
        prop_assert_eq!(novelty(&plain), novelty(&mapped));
    }

    #[test]
    fn once_never_repeats_or_falls_within_quiet(scores in vec((0_u8..12).prop_map(f64::from), 0..500)) {
        let kept = once(&scores);
        let kept: Vec<(usize, f64)> = kept.into_iter().enumerate().filter(|(_, score)| *score > 0.0).collect();
        for pair in kept.windows(2) {
            prop_assert!(pair[1].0 - pair[0].0 > 150 || pair[1].1 > pair[0].1, "{pair:?}");
        }
    }
}
