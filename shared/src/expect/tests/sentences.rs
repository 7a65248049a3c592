//! The sentences of verdicts, with figures as people write them.

use jiff::civil::date;

use super::{after, day};
use crate::expect::{
    Basis, Breach, Class, Drift, Expectation, Forecast, Limit, Measure, NoForecast, Quiet, Side, Silence,
    Verdict, remark,
};

fn verdict(measure: Measure, figures: [f64; 4], streak: u32, basis: Basis) -> Verdict {
    let [value, expected, low, high] = figures;
    let expectation = Expectation { expected, low, high, limit: 0.0, residual: None, days: 23, basis };
    Verdict {
        measure,
        date: date(2026, 2, 5),
        value: Some(value),
        reason: None,
        expectation: Some(expectation),
        side: None,
        streak,
        point: None,
        drift: None,
    }
}

#[test]
fn day_is_described_beside_its_range() {
    let table = [
        (
            verdict(Measure::Volume, [0.0, 820.2, 440.0, 1529.7], 1, Basis::Weekday),
            "Sync A moved 0 records on Thursday 5 February; 820 were expected (440 to 1,530, from 23 days, weekday known).",
        ),
        (
            verdict(Measure::Volume, [1.0, 1.0, 0.0, 30.0], 2, Basis::Group),
            "Sync A moved 1 record on Thursday 5 February (day 2 in a row); 1 was expected (0 to 30, from 23 days, weekday not known yet).",
        ),
        (
            verdict(Measure::Queue, [12_000.0, 900.0, 200.0, 4_000.0], 1, Basis::Weekday),
            "Sync A had 12,000 records waiting on Thursday 5 February; 900 were expected (200 to 4,000, from 23 days, weekday known).",
        ),
        (
            verdict(Measure::Duration, [645.4, 300.0, 230.0, 390.0], 1, Basis::Weekday),
            "Runs of Sync A took 10m on Thursday 5 February; 5m was expected (3m 50s to 6m 30s, from 23 days, weekday known).",
        ),
        (
            verdict(Measure::Coverage, [91.4, 92.434, 91.6, 93.25], 1, Basis::Weekday),
            "Coverage of Sync A was 91.4% on Thursday 5 February; 92.43% was expected (91.6% to 93.25%, from 23 days, weekday known).",
        ),
        (
            verdict(Measure::NullRate, [0.5, 0.0, 0.0, 0.25], 1, Basis::Weekday),
            "The null rate of Sync A was 0.5% on Thursday 5 February; 0% was expected (0% to 0.25%, from 23 days, weekday known).",
        ),
        (
            verdict(Measure::ErrorRate, [12.0, 1.0, 0.0, 3.0], 2, Basis::Weekday),
            "The error rate of Sync A was 12% on Thursday 5 February (day 2 in a row); 1% was expected (0% to 3%, from 23 days, weekday known).",
        ),
    ];
    for (verdict, sentence) in table {
        assert_eq!(verdict.sentence("Sync A").as_deref(), Some(sentence));
        assert_eq!(Verdict { value: None, ..verdict.clone() }.sentence("Sync A"), None);
        assert_eq!(Verdict { expectation: None, ..verdict }.sentence("Sync A"), None);
    }
}

#[test]
fn lasting_change_is_described_beside_the_time_before() {
    let drift = |side, now, before| Drift {
        side,
        since: date(2026, 2, 2),
        before,
        now,
        days_before: 21,
        days_now: 5,
    };
    let table = [
        (
            Measure::Volume,
            drift(Side::Low, 410.0, 815.0),
            "Sync A moves half of what it did: 410 a day since 2 February, 815 before (median of 5 days against 21).",
        ),
        (
            Measure::Volume,
            drift(Side::High, 1_467.0, 815.0),
            "Sync A moves 1.8 times what it did: 1,467 a day since 2 February, 815 before (median of 5 days against 21).",
        ),
        (
            Measure::Volume,
            drift(Side::High, 12.0, 0.0),
            "Sync A moves more than what it did: 12 a day since 2 February, 0 before (median of 5 days against 21).",
        ),
        (
            Measure::Queue,
            drift(Side::High, 1_600.0, 800.0),
            "The queue of Sync A is twice what it was: 1,600 since 2 February, 800 before (median of 5 days against 21).",
        ),
        (
            Measure::Duration,
            drift(Side::High, 390.0, 300.0),
            "Runs of Sync A take 1.3 times the time they did: 6m 30s since 2 February, 5m before (median of 5 days against 21).",
        ),
        (
            Measure::Coverage,
            drift(Side::Low, 94.71, 95.2),
            "Coverage of Sync A is lower than it was: 94.71% since 2 February, 95.2% before (median of 5 days against 21).",
        ),
        (
            Measure::NullRate,
            drift(Side::High, 0.6, 0.1),
            "The null rate of Sync A is higher than it was: 0.6% since 2 February, 0.1% before (median of 5 days against 21).",
        ),
    ];
    for (measure, drift, sentence) in table {
        assert_eq!(drift.sentence("Sync A", measure), sentence);
    }
    let third = drift(Side::Low, 285.0, 815.0).sentence("Sync A", Measure::Volume);
    assert!(third.starts_with("Sync A moves 35% of what it did"), "{third}");
}

#[test]
fn forecast_is_described_with_dates_and_trend() {
    let breach = |(earliest, middle, latest), slope, (from, to)| {
        Forecast::Breach(Breach {
            earliest,
            middle,
            latest,
            slope,
            days: 21,
            from,
            to,
            last: date(2026, 12, 1),
        })
    };
    let coverage = Limit { side: Side::Low, value: 90.0 };
    let table = [
        (
            Measure::Coverage,
            coverage,
            breach((11, 14, 18), -0.05, (92.4, 91.4)),
            "Coverage of properties falls under 90% between 12 and 19 December, most likely on the 15th: it has lost 0.05 points a day for 21 days (92.4% to 91.4%).",
        ),
        (
            Measure::NullRate,
            Limit { side: Side::High, value: 5.0 },
            breach((27, 30, 33), 0.123, (2.0, 4.9996)),
            "The null rate of properties rises over 5% between 28 December and 3 January, most likely on 31 December: it has gained 0.12 points a day for 21 days (2% to 4.9996%).",
        ),
        (
            Measure::Queue,
            Limit { side: Side::High, value: 50_000.0 },
            breach((2, 2, 2), 1_234.5, (2_000.0, 26_000.0)),
            "The queue of properties rises over 50,000 on 3 December: it has gained 1,235 records a day for 21 days (2,000 to 26,000).",
        ),
        (
            Measure::Coverage,
            coverage,
            Forecast::None(NoForecast::NoTrend { days: 42 }),
            "No forecast: no trend in 42 days.",
        ),
        (
            Measure::Coverage,
            coverage,
            Forecast::None(NoForecast::NotEnoughHistory { have: 8, need: 10 }),
            "No forecast: 8 of 10 days.",
        ),
    ];
    for (measure, limit, forecast, sentence) in table {
        assert_eq!(forecast.sentence("properties", measure, limit), sentence);
    }
}

#[test]
fn silence_is_described_by_its_busy_runs() {
    let quiet = Quiet {
        since: Some((date(2026, 2, 5), 36)),
        runs: 8,
        earlier: 800,
        earlier_moved: 776,
        ..Quiet::default()
    };
    let thursday = date(2026, 2, 5);
    let silence =
        Silence { quiet, limit: 14.0, until: (thursday, 43), slots: 96, class: Class::Weekday, days: 20 };
    assert_eq!(
        silence.sentence(),
        "No records for 2h (8 runs) on a Thursday from 09:00; these runs moved some in 97% of the last 20 weekdays."
    );
    assert_eq!(silence.brief(), "no records for 2h (8 runs); usually 97% of such runs move some");
    let new = Silence { quiet: Quiet { runs: 1, earlier: 0, ..quiet }, until: (thursday, 36), ..silence };
    assert_eq!(new.brief(), "no records for 15m (1 run)");
    let saturday = (date(2026, 2, 7), 1);
    let long = Silence { until: saturday, class: Class::Weekend, days: 8, ..silence };
    assert_eq!(
        long.sentence(),
        "No records for 1d 15h (8 runs) since Thursday 5 February 09:00; these runs moved some in 97% of the last 8 weekend days."
    );
    assert_eq!(remark(27_474, 28), "27,474 records in one run; nothing like it in 28 days.");
    assert_eq!(day(0, 1.0).date, after(0));
}
