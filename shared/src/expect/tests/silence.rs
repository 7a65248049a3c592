//! The silence rule, and the item that it is judged from within the day.

use proptest::prelude::*;

use super::after;
use crate::expect::{Class, Excluded, Run, RunDay, Sensitivity, Usual, WhyNot, replay};

const SLOTS: usize = 12;

fn run_day(number: usize, runs: impl IntoIterator<Item = (usize, bool)>) -> RunDay {
    let runs = runs.into_iter().map(|(slot, moved)| Run { slot, moved }).collect();
    RunDay { date: after(number), excluded: None, runs }
}

/// A day on which every run between slots 3 and 10 moves records.
fn usual_day(number: usize) -> RunDay {
    run_day(number, (0..SLOTS).map(|slot| (slot, (3..10).contains(&slot))))
}

fn usual_days(count: usize) -> Vec<RunDay> {
    (0..count).map(usual_day).collect()
}

fn replayed(days: &[RunDay]) -> (Vec<Vec<crate::expect::RunVerdict>>, Usual) {
    replay(days, SLOTS, &Sensitivity::default())
}

#[test]
fn silence_is_found_once_until_records_move_again() {
    let mut days = usual_days(28);
    days.extend([28, 29].map(|number| run_day(number, (0..SLOTS).map(|slot| (slot, false)))));
    days.push(usual_day(30));
    let (verdicts, _) = replayed(&days);
    let found: Vec<(usize, usize)> = verdicts
        .iter()
        .enumerate()
        .flat_map(|(day, runs)| runs.iter().enumerate().map(move |(run, verdict)| (day, run, verdict)))
        .filter(|(_, _, verdict)| verdict.finding.is_some())
        .map(|(day, run, _)| (day, run))
        .collect();
    assert_eq!(found, [(29, 6)]);
    let finding = verdicts[29][6].finding.unwrap();
    assert_eq!((finding.class, finding.days, finding.quiet.runs), (Class::Weekday, 20, 16));
    assert_eq!(
        finding.quiet.since,
        Some((after(28), 3)),
        "the first slot whose near runs mostly move records"
    );
    assert_eq!(verdicts[30][3].evidence, 0.0);
}

#[test]
fn found_silence_lasts_over_midnight_until_records_move() {
    let (_, usual) = replayed(&usual_days(28));
    let silent = [28, 29].map(|number| run_day(number, (0..SLOTS).map(|slot| (slot, false))));
    let follow = |days: &[RunDay]| {
        let standing = usual.follow(usual.standing(), days, &Sensitivity::default()).unwrap();
        (standing.silence.quiet.is_found, standing.silence.until)
    };
    assert_eq!(follow(&silent[..1]), (false, (after(28), 11)), "seven busy runs are not enough");
    assert_eq!(follow(&silent), (true, (after(29), 11)));
    let nothing_yet = run_day(30, []);
    assert_eq!(follow(&[&silent[..], &[nothing_yet]].concat()), (true, (after(29), 11)));
    let moved = run_day(30, [(0, false), (3, true), (4, false)]);
    assert_eq!(follow(&[&silent[..], &[moved]].concat()), (false, (after(30), 4)));
    assert_eq!(usual.follow(usual.standing(), &[], &Sensitivity::default()), None);
}

#[test]
fn runs_are_judged_after_five_weekdays_and_two_weekend_days() {
    let (verdicts, _) = replayed(&usual_days(14));
    let reason = |day: usize| verdicts[day][0].reason.clone();
    assert_eq!(reason(4), Some(WhyNot::FewDays { have: 4, need: 5 }));
    assert_eq!(reason(6), Some(WhyNot::FewDays { have: 1, need: 2 }));
    assert_eq!((reason(7), reason(12)), (None, None));
    assert_eq!(verdicts[4][0].limit, f64::INFINITY);
}

#[test]
fn excluded_day_sets_the_evidence_to_zero_and_is_not_learnt() {
    let silent = |number| run_day(number, (3..8).map(|slot| (slot, false)));
    let mut days = usual_days(21);
    days.push(silent(21));
    let mut holiday = silent(22);
    holiday.excluded = Some(Excluded::QuietDay { name: "New Year".to_owned() });
    days.push(holiday);
    days.push(silent(23));
    let (verdicts, _) = replayed(&days);
    assert!(verdicts[21][4].evidence > 5.0);
    assert!(verdicts[22].iter().all(|run| run.evidence == 0.0 && run.finding.is_none()));
    assert!(verdicts[23][0].evidence <= 2.0);
    let without = [&days[..22], &days[23..]].concat();
    let shifted: Vec<f64> = replayed(&without).0[22].iter().map(|run| run.evidence).collect();
    assert!(shifted[0] > verdicts[23][0].evidence, "the holiday ended the stretch");
}

#[test]
fn usual_silence_raises_the_limit() {
    let mut days = usual_days(20);
    days.push(run_day(21, (0..SLOTS).map(|slot| (slot, slot == 9))));
    days.push(usual_day(22));
    let (verdicts, usual) = replayed(&days);
    let most = verdicts[20].iter().map(|run| run.evidence).fold(0.0, f64::max);
    assert!(most > 10.0 && verdicts[20].iter().all(|run| run.finding.is_none()), "{most}");
    let next = usual.judge(&usual_day(23), &Sensitivity::default());
    assert!((next[0].limit - 1.5 * most).abs() < 1e-12);
}

#[test]
fn slot_outside_the_day_costs_nothing() {
    let (verdicts, _) = replay(&[run_day(0, [(99, false), (usize::MAX, false)])], 0, &Sensitivity::default());
    assert!(verdicts[0].iter().all(|run| run.evidence == 0.0));
}

/// The rule as its description states it, computed anew from all runs for each run.
fn evidence_by_the_rule(days: &[RunDay]) -> Vec<(f64, bool)> {
    let (mut evidence, mut found) = (0.0, false);
    let mut used: Vec<(Class, Vec<Run>, f64)> = Vec::new();
    let mut all = Vec::new();
    for day in days {
        let class = Class::of(day.date);
        let window = &used[used.len().saturating_sub(28)..];
        let same: Vec<&Vec<Run>> =
            window.iter().filter(|(of, ..)| *of == class).map(|(_, runs, _)| runs).collect();
        let is_judged = same.len() >= if class == Class::Weekday { 5 } else { 2 };
        let longest = window.iter().map(|(.., most)| *most).fold(0.0, f64::max);
        let (mut learnt, mut most) = (Vec::new(), 0.0_f64);
        for run in &day.runs {
            let near = |other: &&Run| other.slot.abs_diff(run.slot) <= 2;
            let runs: Vec<&Run> = same.iter().flat_map(|runs| runs.iter()).filter(near).collect();
            let zeros = runs.iter().filter(|run| !run.moved).count();
            if run.moved {
                (evidence, found) = (0.0, false);
            } else if is_judged {
                let p = (zeros as f64 + 1.0) / (runs.len() as f64 + 1.0);
                evidence += (-p.ln()).min(2.0);
            }
            if day.excluded.is_some() {
                evidence = 0.0;
                all.push((0.0, false));
                continue;
            }
            let is_found = is_judged && !found && evidence > (1.5 * longest).max(14.0);
            found |= is_found;
            all.push((evidence, is_found));
            if !found {
                learnt.push(*run);
                most = most.max(evidence);
            }
        }
        if day.excluded.is_some() {
            evidence = 0.0;
        }
        if !learnt.is_empty() {
            used.push((class, learnt, most));
        }
    }
    all
}

fn run_days() -> impl Strategy<Value = Vec<RunDay>> {
    let runs = proptest::collection::vec((0..SLOTS, 0_u8..10), 0..SLOTS);
    let day = (runs, 0_u8..8, any::<bool>()).prop_map(|(runs, kind, busy)| {
        let moves = |moved| if busy || kind > 2 { moved > 1 } else { moved > 8 };
        let mut day = run_day(0, runs.into_iter().map(|(slot, moved)| (slot, moves(moved))));
        day.runs.sort_by_key(|run| run.slot);
        day.excluded = (kind == 7).then_some(Excluded::MarkedFine);
        day
    });
    proptest::collection::vec(day, 0..45).prop_map(|mut days| {
        days.iter_mut().enumerate().for_each(|(number, day)| day.date = after(number));
        days
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn evidence_is_zero_after_records_and_never_falls_in_silence(days in run_days()) {
        let (verdicts, _) = replayed(&days);
        let mut before = 0.0;
        for (day, verdicts) in days.iter().zip(&verdicts) {
            for (run, verdict) in day.runs.iter().zip(verdicts) {
                if run.moved || day.excluded.is_some() {
                    prop_assert_eq!(verdict.evidence, 0.0);
                } else {
                    prop_assert!(verdict.evidence >= before);
                }
                before = verdict.evidence;
            }
            if day.excluded.is_some() {
                before = 0.0;
            }
        }
    }

    #[test]
    fn replay_follows_the_rule_as_described(days in run_days()) {
        let (verdicts, _) = replayed(&days);
        let ours: Vec<(f64, bool)> =
            verdicts.iter().flatten().map(|run| (run.evidence, run.finding.is_some())).collect();
        prop_assert_eq!(ours, evidence_by_the_rule(&days));
    }

    #[test]
    fn item_and_todays_runs_judge_like_a_replay(days in run_days(), today in 0_usize..45, so_far in 0..SLOTS) {
        if days.is_empty() {
            return Ok(());
        }
        let today = today % days.len();
        let (_, usual) = replayed(&days[..today]);
        let mut open = days[today].clone();
        open.runs.truncate(so_far);
        let (all, _) = replayed(&[&days[..today], std::slice::from_ref(&open)].concat());
        let sensitivity = Sensitivity::default();
        prop_assert_eq!(&usual.judge(&open, &sensitivity), &all[today]);
        let standing = usual.follow(usual.standing(), std::slice::from_ref(&open), &sensitivity).unwrap();
        if let Some(last) = all[today].last() {
            prop_assert_eq!(standing.silence.quiet.evidence, last.evidence);
            prop_assert!(last.finding.is_none_or(|found| found == standing.silence));
        }
        let stored: Usual = serde_json::from_str(&serde_json::to_string(&usual).unwrap()).unwrap();
        for (read, run) in stored.judge(&open, &sensitivity).iter().zip(&all[today]) {
            prop_assert!((read.evidence - run.evidence).abs() < 1e-9, "JSON may round the last digit");
            prop_assert_eq!(read.finding.is_some(), run.finding.is_some());
        }
    }
}
