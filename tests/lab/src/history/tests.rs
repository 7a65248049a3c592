use jiff::civil::date;

use super::*;

fn plan(seed: u64, days: usize) -> Plan {
    Plan::quiet(seed, date(2026, 1, 5), days, TimeZone::get("America/Los_Angeles").unwrap())
}

fn figures(history: &History) -> impl Iterator<Item = Figures> {
    history.days.iter().filter_map(|day| day.figures)
}

#[test]
fn same_plan_plays_the_same_history() {
    assert_eq!(play(&plan(7, 40)).unwrap(), play(&plan(7, 40)).unwrap());
    assert_ne!(play(&plan(7, 40)).unwrap(), play(&plan(8, 40)).unwrap());
}

#[test]
fn shorter_play_is_the_start_of_a_longer_one() {
    let (short, long) = (play(&plan(3, 50)).unwrap(), play(&plan(3, 120)).unwrap());
    assert_eq!(short.days, long.days[..50]);
    assert_eq!(short.runs, long.runs[..short.runs.len()]);
}

#[test]
fn faults_change_nothing_before_their_first_day() {
    let faults = [
        Fault::VolumeStops { from: 30 },
        Fault::VolumeHalves { from: 30 },
        Fault::VolumeDoubles { from: 30 },
        Fault::CoverageLeaks { from: 30, points_a_day: 0.05 },
        Fault::NullsCreep { from: 30, points_a_day: 0.03 },
        Fault::RunsSlow { from: 30, percent_a_day: 1.5 },
        Fault::ErrorsCreep { from: 30, points_a_day: 0.15 },
        Fault::QueueGrows { from: 30, share_a_day: 0.05 },
        Fault::RunsEmpty { from: 30, slot: 40 },
        Fault::BusinessChanges { from: 30, factor: 1.5 },
    ];
    let without = play(&plan(5, 40)).unwrap();
    for fault in faults {
        let with = play(&plan(5, 40).fault(fault)).unwrap();
        assert_eq!(with.days[..30], without.days[..30], "{fault:?}");
        assert_ne!(with.days[30..], without.days[30..], "{fault:?}");
    }
}

#[test]
fn straight_slopes_add_up_day_by_day() {
    let faults = [
        Fault::CoverageLeaks { from: 10, points_a_day: 0.1 },
        Fault::NullsCreep { from: 10, points_a_day: 0.1 },
    ];
    let without = play(&plan(5, 40)).unwrap();
    let with = faults.into_iter().fold(plan(5, 40), Plan::fault);
    let with = play(&with).unwrap();
    for (index, (with, without)) in with.days.iter().zip(&without.days).enumerate() {
        let (Some(with), Some(without)) = (with.figures, without.figures) else { continue };
        let moved = 0.1 * (index + 1).saturating_sub(10) as f64;
        assert!((without.coverage().unwrap() - with.coverage().unwrap() - moved).abs() < 0.02, "day {index}");
        assert!(
            (with.null_rate().unwrap() - without.null_rate().unwrap() - moved).abs() < 0.02,
            "day {index}"
        );
    }
}

#[test]
fn creeping_errors_stay_under_the_limit() {
    let history = play(&plan(5, 120).fault(Fault::ErrorsCreep { from: 0, points_a_day: 0.15 })).unwrap();
    let late: Vec<Figures> = history.days[60..].iter().filter_map(|day| day.figures).collect();
    let failed: u64 = late.iter().map(|day| day.failed).sum();
    let volume: u64 = late.iter().map(|day| day.volume).sum();
    let share = 100.0 * failed as f64 / volume as f64;
    assert!((4.5..5.0).contains(&share), "{share}");
}

#[test]
fn empty_runs_succeed_with_zero_records() {
    let history = play(&plan(5, 20).fault(Fault::RunsEmpty { from: 15, slot: 40 })).unwrap();
    let (before, after): (Vec<Run>, Vec<Run>) =
        history.runs.iter().partition(|run| (run.day, run.slot) < (15, 40));
    assert!(before.iter().any(|run| run.day == 15 && run.moved > 0));
    assert!(after.iter().all(|run| run.moved == 0));
    assert!(after.iter().any(|run| run.status == Status::Succeeded));
}

#[test]
fn clock_change_days_have_92_and_100_runs() {
    let history = play(&plan(1, 365)).unwrap();
    let runs = |date| {
        let day = history.days.iter().position(|day| day.date == date).unwrap();
        history.runs.iter().filter(|run| run.day == day).map(|run| run.slot).collect::<Vec<_>>()
    };
    let (spring, autumn) = (runs(date(2026, 3, 8)), runs(date(2026, 11, 1)));
    assert_eq!((spring.len(), autumn.len(), runs(date(2026, 6, 1)).len()), (92, 100, 96));
    assert!(!spring.contains(&8), "02:00 does not exist");
    assert_eq!(autumn.iter().filter(|slot| **slot == 4).count(), 2, "01:00 comes twice");
}

#[test]
fn every_year_has_ten_holidays_on_weekdays() {
    for year in 2024..2034 {
        let zone = TimeZone::UTC;
        let history = play(&Plan::quiet(1, date(year, 1, 4), 364, zone)).unwrap();
        let quiet: Vec<&Day> = history.days.iter().filter(|day| day.quiet.is_some()).collect();
        // New Year's Day may be kept on 31 December, inside the window, or before it.
        assert!((9..=10).contains(&quiet.len()), "{year}: {quiet:?}");
        assert!(quiet.iter().all(|day| !calendar::is_weekend(day.date)));
    }
}

#[test]
fn month_ends_are_the_last_two_business_days() {
    let calendar = calendar::Calendar::of_years(2026, 2026).unwrap();
    let ends: Vec<i8> = (1..=31).filter(|day| calendar.is_month_end(date(2026, 5, *day))).collect();
    // 25 May 2026 is Memorial Day; 30 and 31 May are a weekend.
    assert_eq!(ends, [28, 29]);
    let ends: Vec<i8> = (1..=30).filter(|day| calendar.is_month_end(date(2026, 11, *day))).collect();
    // 26 November 2026 is Thanksgiving.
    assert_eq!(ends, [27, 30]);
}

#[test]
fn volume_is_the_sum_of_the_days_runs() {
    let history = play(&plan(2, 60)).unwrap();
    for (index, day) in history.days.iter().enumerate() {
        let Some(figures) = day.figures else { continue };
        let runs = history.runs.iter().filter(|run| run.day == index);
        let (moved, failed) = runs.fold((0, 0), |sum, run| (sum.0 + run.moved, sum.1 + run.failed));
        assert_eq!((figures.volume, figures.failed), (moved, failed));
    }
}

#[test]
fn weekday_volumes_span_forty_to_six_thousand() {
    let mut medians: Vec<f64> = (0..60)
        .map(|seed| {
            let history = play(&plan(seed, 28)).unwrap();
            let mut volumes: Vec<u64> = history
                .days
                .iter()
                .filter(|day| !calendar::is_weekend(day.date))
                .filter_map(|day| day.figures.map(|figures| figures.volume))
                .collect();
            volumes.sort_unstable();
            volumes[volumes.len() / 2] as f64
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    assert!(medians[0] > 25.0 && medians[5] < 120.0, "{medians:?}");
    assert!(medians[59] < 9_000.0 && medians[54] > 2_000.0, "{medians:?}");
}

#[test]
fn backfills_come_once_in_ninety_days() {
    let (mut backfills, mut days) = (0, 0);
    for seed in 0..40 {
        let history = play(&plan(seed, 400)).unwrap();
        days += history.days.len();
        backfills +=
            history.runs.iter().filter(|run| run.moved as f64 > 3.0 * history.business.records_a_day).count();
    }
    let expected = days as f64 / 90.0;
    assert!((backfills as f64 - expected).abs() < 3.5 * expected.sqrt(), "{backfills} of {expected}");
}

#[test]
fn some_days_have_no_figures_and_all_have_runs() {
    let history = play(&plan(9, 400)).unwrap();
    let without = history.days.iter().filter(|day| day.figures.is_none()).count();
    assert!((1..20).contains(&without), "{without}");
    assert!((0..400).all(|index| history.runs.iter().any(|run| run.day == index)));
}

#[test]
fn records_of_a_failed_run_move_with_the_next() {
    let history = play(&plan(4, 120)).unwrap();
    let failed: Vec<&Run> = history.runs.iter().filter(|run| run.status == Status::Failed).collect();
    assert!(!failed.is_empty());
    assert!(failed.iter().all(|run| run.moved == 0));
}

#[test]
fn restless_business_varies_more() {
    let spread = |temper| {
        let spreads: f64 =
            (0..30).map(|seed| play(&plan(seed, 1).temper(temper)).unwrap().business.noise).sum();
        spreads / 30.0
    };
    assert!(spread(Temper::Restless) > 1.5 * spread(Temper::Ordinary));
}

#[test]
fn figures_are_possible() {
    for seed in 0..20 {
        let history = play(&plan(seed, 200)).unwrap();
        for figures in figures(&history) {
            assert!(figures.failed <= figures.volume && figures.synced <= figures.total);
            assert!(figures.null_companies <= figures.total);
            assert!(figures.median_seconds.is_some_and(|seconds| seconds > 0.0));
        }
        for (run, next) in history.runs.iter().zip(history.runs.iter().skip(1)) {
            assert!(run.started < run.ended && run.ended <= next.ended && run.started < next.started);
        }
    }
}
