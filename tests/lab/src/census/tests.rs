//! Tests of runs that move data.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::render::rejected_records;
use super::world::{CREATE_SYNC, UPDATE_SYNC};
use super::*;
use crate::properties::{Pace, PropertyFault, PropertyWorld, Sync};

/// Some minutes after a slot, when no run is in progress.
fn start() -> Timestamp {
    "2026-11-24T12:10:00Z".parse().unwrap()
}

fn minutes(n: i64) -> SignedDuration {
    SignedDuration::from_mins(n)
}

fn carrying(seed: u64) -> World {
    let properties = PropertyWorld::with(start(), seed, 800, 700, 20).at_pace(Pace::OF_SEED);
    World::seed_pipeline(start(), seed).carrying(properties)
}

fn data(world: &World) -> &PropertyWorld {
    world.properties().unwrap()
}

fn moved(world: &World, sync: Sync) -> Vec<(usize, usize, usize)> {
    let moves = data(world).moves().iter().filter(|run| run.sync == sync);
    moves.map(|run| (run.succeeded, run.failed, run.invalid)).collect()
}

/// The completed runs since the start, oldest first, with the counts of each.
fn counted(world: &World, sync: u64) -> Vec<(usize, usize, usize)> {
    let runs: Vec<Value> = world
        .runs(sync)
        .filter(|run| run.created_at > start())
        .map(|run| run_json(world, run, SignedDuration::ZERO))
        .collect();
    let runs = runs.iter().rev().filter(|run| run["status"] == "completed");
    let count = |run: &Value, name: &str| usize::try_from(run[name].as_u64().unwrap()).unwrap();
    runs.map(|run| {
        assert_eq!(
            count(run, "records_processed"),
            count(run, "records_updated") + count(run, "records_failed")
        );
        (count(run, "records_updated"), count(run, "records_failed"), count(run, "source_record_invalids"))
    })
    .collect()
}

#[test]
fn run_counts_match_the_moved_data() {
    let mut world = carrying(1);
    Fault::Reject { sync: UPDATE_SYNC, percent: 12, message: None }.inject(&mut world).unwrap();
    Fault::Invalid { sync: CREATE_SYNC, percent: 5 }.inject(&mut world).unwrap();
    world.advance_to(start() + minutes(6 * 60));
    for (id, sync) in [(CREATE_SYNC, Sync::Create), (UPDATE_SYNC, Sync::Update)] {
        let counts = counted(&world, id);
        assert_eq!(counts, moved(&world, sync));
        assert!(counts.len() >= 11 && counts.iter().all(|(succeeded, ..)| *succeeded > 0), "{counts:?}");
    }
    assert!(moved(&world, Sync::Update).iter().all(|(_, failed, _)| *failed > 0));
    assert!(moved(&world, Sync::Create).iter().all(|(.., invalid)| *invalid > 0));
}

#[test]
fn one_leap_and_many_steps_make_the_same_world() {
    let play = |step: i64| {
        let mut world = carrying(2);
        Fault::Reject { sync: CREATE_SYNC, percent: 20, message: None }.inject(&mut world).unwrap();
        world.properties_mut().unwrap().inflict(PropertyFault::DuplicateCreation { percent: 10 });
        let end = start() + minutes(5 * 60);
        while world.now() < end {
            world.advance_to((world.now() + SignedDuration::from_secs(step)).min(end));
        }
        let runs: Vec<String> = [CREATE_SYNC, UPDATE_SYNC]
            .iter()
            .flat_map(|sync| {
                world.runs(*sync).map(|run| run_json(&world, run, SignedDuration::ZERO).to_string())
            })
            .collect();
        (runs, data(&world).records().to_vec(), data(&world).moves().to_vec())
    };
    let leap = play(24 * 3_600);
    assert_eq!(play(7), leap);
    assert_eq!(play(1_800), leap);
}

#[test]
fn incomplete_runs_move_nothing_until_the_fault_is_healed() {
    let sync = UPDATE_SYNC;
    let fail = Fault::Fail { sync, code: "X".to_owned(), message: "gone".to_owned() };
    let late = Fault::LateStart { sync, minutes: 120 };
    for fault in [Fault::Pause { sync }, Fault::Hang { sync }, Fault::HoldSchedule { sync }, fail, late] {
        let mut world = carrying(3);
        world.advance_to(start() + minutes(60));
        let (before, waiting) = (moved(&world, Sync::Update).len(), data(&world).to_update().len());
        fault.inject(&mut world).unwrap();
        world.advance_to(start() + minutes(2 * 60));
        assert_eq!(moved(&world, Sync::Update).len(), before, "{fault:?}");
        assert!(data(&world).to_update().len() > waiting + 100, "{fault:?}");
        assert!(!moved(&world, Sync::Create).is_empty(), "{fault:?}");
        fault.heal(&mut world);
        world.advance_to(start() + minutes(5 * 60));
        assert!(data(&world).to_update().len() < 100, "{fault:?}: {:?}", data(&world).health());
    }
}

#[test]
fn cancelled_run_or_run_of_a_deleted_sync_moves_nothing() {
    let at_work = || {
        let mut world = carrying(4);
        let run = world.trigger(CREATE_SYNC, false).unwrap();
        (world, run)
    };
    let (mut world, run) = at_work();
    assert!(world.cancel(run));
    world.advance_to(start() + minutes(15));
    assert_eq!(moved(&world, Sync::Create), []);
    let (mut world, _) = at_work();
    world.delete(CREATE_SYNC);
    world.advance_to(start() + minutes(60));
    assert_eq!(moved(&world, Sync::Create), []);
    let (mut world, _) = at_work();
    world.advance_to(start() + minutes(15));
    assert_eq!(moved(&world, Sync::Create).len(), 1);
}

#[test]
fn rejected_records_keep_waiting_and_null_counts_still_move() {
    let mut world = carrying(5);
    Fault::Reject { sync: CREATE_SYNC, percent: 50, message: None }.inject(&mut world).unwrap();
    world.advance_to(start() + minutes(26));
    let run = world.runs(CREATE_SYNC).next().unwrap();
    let records = rejected_records(run);
    assert!(records.len() >= 10, "{records:?}");
    let waiting = data(&world).to_create();
    assert!(
        records.iter().all(|record| waiting.contains(&record["identifier"].as_str().unwrap())),
        "{records:?}"
    );

    Fault::NullCounts { sync: UPDATE_SYNC }.inject(&mut world).unwrap();
    let before = moved(&world, Sync::Update).len();
    world.advance_to(start() + minutes(56));
    let run = world.runs(UPDATE_SYNC).next().unwrap();
    assert_eq!(run_json(&world, run, SignedDuration::ZERO)["records_updated"], Value::Null);
    assert_eq!(moved(&world, Sync::Update).len(), before + 2);
}

#[test]
fn sync_that_selects_nothing_completes_and_catches_up_later() {
    let fault = Fault::SelectNothing { sync: UPDATE_SYNC };
    let mut world = carrying(5);
    fault.inject(&mut world).unwrap();
    world.advance_to(start() + minutes(50));
    let run = world.runs(UPDATE_SYNC).next().unwrap();
    let run = run_json(&world, run, SignedDuration::ZERO);
    assert_eq!((&run["status"], &run["records_processed"]), (&"completed".into(), &0.into()), "{run}");
    assert_eq!(moved(&world, Sync::Update), []);
    fault.heal(&mut world);
    world.advance_to(start() + minutes(70));
    assert!(!moved(&world, Sync::Update).is_empty());
}

#[test]
fn undeclared_sync_moves_no_data() {
    let mut world = carrying(6);
    Fault::UndeclaredSync { sync: 77 }.inject(&mut world).unwrap();
    world.advance_to(start() + minutes(60));
    assert!(world.runs(77).count() > 0);
    assert_eq!(
        data(&world).moves().len(),
        counted(&world, CREATE_SYNC).len() + counted(&world, UPDATE_SYNC).len()
    );
}

#[test]
fn full_run_moves_and_counts_everything() {
    let mut world = carrying(7);
    world.advance_to(start() + minutes(1));
    world.trigger(UPDATE_SYNC, true).unwrap();
    world.advance_to(start() + minutes(4));
    let (full, moves) = (counted(&world, UPDATE_SYNC), data(&world).moves());
    assert!(moves.len() == 1 && moves[0].full && moves[0].succeeded >= 690, "{moves:?}");
    assert_eq!(full, moved(&world, Sync::Update));
}

#[test]
fn deleted_webhook_gets_only_earlier_events() {
    let mut world = carrying(8);
    world.add_webhook("test", "http://127.0.0.1:1/hook", Vec::new());
    world.advance_to(start() + minutes(10));
    world.delete_webhooks();
    let queued = world.deliveries.len();
    assert!(queued > 0 && world.webhooks().is_empty());
    world.advance_to(start() + minutes(60));
    assert_eq!(world.deliveries.len(), queued);
}

#[test]
fn skipped_run_moves_nothing_and_ends_at_once() {
    let mut world = carrying(9);
    let fault = Fault::Skip { sync: UPDATE_SYNC };
    fault.inject(&mut world).unwrap();
    let run = world.trigger(UPDATE_SYNC, false).unwrap();
    world.advance_to(start() + minutes(4));
    let shown = run_json(&world, world.run(run).unwrap(), SignedDuration::ZERO);
    assert_eq!((&shown["status"], &shown["records_processed"]), (&"skipped".into(), &Value::Null));
    assert_eq!(moved(&world, Sync::Update), []);
    fault.heal(&mut world);
    world.advance_to(start() + minutes(20));
    assert!(!moved(&world, Sync::Update).is_empty());
}

#[test]
fn run_whose_records_are_all_rejected_completes() {
    let mut world = carrying(10);
    Fault::Reject { sync: CREATE_SYNC, percent: 100, message: None }.inject(&mut world).unwrap();
    let run = world.trigger(CREATE_SYNC, false).unwrap();
    let waiting = data(&world).to_create().len();
    world.advance_to(start() + minutes(8));
    let shown = run_json(&world, world.run(run).unwrap(), SignedDuration::ZERO);
    assert_eq!((&shown["status"], &shown["records_updated"]), (&"completed".into(), &0.into()));
    assert!(shown["records_failed"].as_u64().unwrap() >= 20, "{shown}");
    assert!(data(&world).to_create().len() >= waiting);
}

#[test]
fn create_run_before_the_copy_makes_duplicates_by_a_loose_key() {
    let by = [StartedBy::Schedule, StartedBy::Api, StartedBy::Person];
    for (is_unique, copied) in [(true, false), (false, false), (false, true)] {
        let mut world = carrying(11);
        if !is_unique {
            world.properties_mut().unwrap().inflict(PropertyFault::KeyNotUnique);
        }
        if !copied {
            world.properties_mut().unwrap().inflict(PropertyFault::CopyStalls);
        }
        let first = world.trigger_by(StartedBy::Person, CREATE_SYNC, false).unwrap();
        world.advance_to(start() + minutes(8));
        assert_eq!(by.map(|party| world.duplicates_by(party)), [0, 0, 0]);
        world.advance_to(start() + minutes(if copied { 14 } else { 8 }));
        let again = world.trigger_by(StartedBy::Api, CREATE_SYNC, false).unwrap();
        world.advance_to(start() + minutes(19));
        assert_eq!(world.run(again).unwrap().started_by, StartedBy::Api);
        let made = by.map(|party| world.duplicates_by(party));
        let harmful = !is_unique && !copied;
        assert_eq!((made[0], made[1] >= 20, made[2]), (0, harmful, 0), "{made:?}");
        assert_eq!(world.run(again).unwrap().duplicates, made[1]);
        assert_eq!(world.run(first).unwrap().duplicates, 0);
    }
}

#[test]
fn runs_show_who_started_them() {
    let mut world = carrying(12);
    world.trigger(UPDATE_SYNC, false).unwrap();
    world.advance_to(start() + minutes(6));
    let parties: Vec<StartedBy> = world.runs(UPDATE_SYNC).take(2).map(|run| run.started_by).collect();
    assert_eq!(parties, [StartedBy::Schedule, StartedBy::Person]);
}
