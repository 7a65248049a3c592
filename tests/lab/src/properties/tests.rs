use jiff::SignedDuration;

use super::*;

fn start() -> jiff::Timestamp {
    "2026-11-24T08:00:00Z".parse().unwrap()
}

fn hours(world: &mut PropertyWorld, hours: i64) {
    world.advance_to(world.now() + SignedDuration::from_hours(hours));
}

/// A small world, for tests that do not depend on its size.
fn small(seed: u64) -> PropertyWorld {
    PropertyWorld::with(start(), seed, 500, 500, 0)
}

#[test]
fn seed_state_has_the_found_figures() {
    let health = PropertyWorld::as_found(start(), 1).health();
    assert_eq!((health.total, health.synced), (TOTAL_OF_SEED, SYNCED_OF_SEED));
    assert_eq!((health.create_queue, health.update_queue), (25, 0));
    assert_eq!((health.null_companies, health.duplicates), (0, 0));
}

#[test]
fn same_seed_and_faults_make_the_same_world() {
    let play = |seed| {
        let mut world = small(seed);
        hours(&mut world, 10);
        world.inflict(PropertyFault::DuplicateCreation { percent: 30 });
        hours(&mut world, 10);
        (world.properties().to_vec(), world.records().to_vec(), world.moves().to_vec())
    };
    assert_eq!(play(4), play(4));
    assert_ne!(play(4), play(5));
}

#[test]
fn healthy_pipeline_stays_healthy_for_ninety_days() {
    let mut world = PropertyWorld::healthy(start(), 2);
    for day in 0..90 {
        hours(&mut world, 24);
        let health = world.health();
        assert!(health.synced * 1_000 > health.total * 995, "day {day}: {health:?}");
        assert!(health.create_queue <= 100 && health.update_queue <= 1_000, "day {day}: {health:?}");
        assert_eq!((health.null_companies, health.duplicates), (0, 0), "day {day}");
    }
    assert!(world.properties().len() > TOTAL_OF_SEED + 5_000);
    assert!(world.moves().iter().all(|run| run.failed == 0));
}

#[test]
fn copy_shows_writes_with_a_lag() {
    let mut world = small(3);
    hours(&mut world, 12);
    let lags: Vec<i64> =
        world.copies().map(|copy| copy.synced_at.duration_since(copy.record.modified_at).as_mins()).collect();
    assert!(lags.iter().all(|lag| (2..=5).contains(lag)), "{lags:?}");
}

#[test]
fn view_bug_spreads_with_moves_and_its_harm_outlasts_the_fix() {
    let mut world = small(5);
    world.inflict(PropertyFault::ViewBug);
    hours(&mut world, 6);
    let harmed = world.health().null_companies;
    assert!(harmed > 20, "{harmed}");
    world.heal();
    hours(&mut world, 1);
    let later = world.health().null_companies;
    assert!(later > 0 && later <= harmed, "{harmed}, then {later}");
}

#[test]
fn stalled_source_adds_nothing_and_leaves_no_queue() {
    let mut world = small(6);
    hours(&mut world, 2);
    world.inflict(PropertyFault::SourceStalls);
    let count = world.properties().len();
    hours(&mut world, 2);
    let health = world.health();
    assert_eq!((world.properties().len(), health.create_queue, health.update_queue), (count, 0, 0));
}

#[test]
fn stalled_copy_grows_queues_though_salesforce_has_the_records() {
    let mut world = small(7);
    world.inflict(PropertyFault::CopyStalls);
    hours(&mut world, 10);
    let health = world.health();
    assert!(health.create_queue > 20 && health.update_queue > 20, "{health:?}");
    // Written repeatedly by the external id, but still without duplicates.
    assert_eq!(health.duplicates, 0);
    assert!(world.records().len() > health.synced);
    world.heal();
    hours(&mut world, 1);
    assert!(world.health().create_queue < 20);
}

#[test]
fn duplicates_are_never_updated_by_their_external_id() {
    let mut world = small(8);
    world.inflict(PropertyFault::DuplicateCreation { percent: 100 });
    hours(&mut world, 48);
    let health = world.health();
    assert!(health.duplicates > 100, "{health:?}");
    assert!(health.update_queue > 0, "{health:?}");
    let refused: usize =
        world.moves().iter().filter(|run| run.sync == Sync::Update).map(|run| run.failed).sum();
    assert!(refused > 0);
}

#[test]
fn coverage_leak_is_in_no_queue() {
    let mut world = small(9);
    world.inflict(PropertyFault::CoverageLeak { city: "Fresno".to_owned() });
    hours(&mut world, 100);
    let health = world.health();
    assert!(health.total - health.synced > 30, "{health:?}");
    assert!(health.create_queue < 20, "{health:?}");
}

#[test]
fn backlog_grows_both_queues() {
    let mut world = small(10);
    world.inflict(PropertyFault::Backlog { per_run: 1 });
    hours(&mut world, 100);
    let health = world.health();
    assert!(health.create_queue > 100 && health.update_queue > 100, "{health:?}");
}

#[test]
fn rejected_records_are_counted_and_retried() {
    let mut world = small(11);
    world.inflict(PropertyFault::ValidationErrors { percent: 50 });
    hours(&mut world, 24);
    let failed: usize = world.moves().iter().map(|run| run.failed).sum();
    assert!(failed > 50, "{failed}");
    world.heal();
    hours(&mut world, 2);
    assert!(world.moves().last().is_some_and(|run| run.failed == 0));
}

#[test]
fn driven_world_moves_only_when_a_sync_is_run() {
    let mut world = small(12).driven();
    hours(&mut world, 10);
    let (create, update) = (world.to_create().len(), world.to_update().len());
    assert!(world.moves().is_empty() && create > 20 && update > 20, "{create} and {update} wait");
    let at = world.now();
    let moved = world.run(Sync::Create, at, Refusals::default());
    assert_eq!((moved.succeeded, moved.rejected.len(), moved.invalid.len()), (create, 0, 0));
    assert_eq!(world.run(Sync::Update, at, Refusals::default()).succeeded, update);
    hours(&mut world, 1);
    assert!(world.to_create().len() < create);
}

#[test]
fn rejected_share_is_rounded_up_and_hits_the_same_records() {
    let mut world = small(13).driven();
    hours(&mut world, 10);
    let waiting = world.to_create().len();
    let refusals = Refusals { rejected_percent: 10, invalid_percent: 1 };
    let moved = world.run(Sync::Create, world.now(), refusals);
    assert_eq!((moved.rejected.len(), moved.invalid.len()), (waiting.div_ceil(10), waiting.div_ceil(100)));
    assert_eq!(moved.succeeded, waiting - moved.rejected.len() - moved.invalid.len());
    hours(&mut world, 1);
    let again = world.run(Sync::Create, world.now(), refusals);
    assert!(again.succeeded > 0 && again.invalid == moved.invalid, "{moved:?}, then {again:?}");
    assert!(again.rejected.iter().all(|key| moved.rejected.contains(key)), "{moved:?}, then {again:?}");
    let all = Refusals { rejected_percent: 100, invalid_percent: 100 };
    assert_eq!(world.run(Sync::Create, world.now(), all).succeeded, 0);
}

#[test]
fn repair_undoes_the_harm_once_the_copy_shows_it() {
    let mut world = PropertyWorld::with(start(), 14, 500, 450, 10);
    world.inflict(PropertyFault::ViewBug);
    world.inflict(PropertyFault::DuplicateCreation { percent: 50 });
    hours(&mut world, 24);
    assert_eq!(world.faults().len(), 2);
    world.heal();
    hours(&mut world, 1);
    let harmed = world.health();
    assert!(world.faults().is_empty() && harmed.null_companies > 0 && harmed.duplicates > 0, "{harmed:?}");
    assert!(harmed.total > harmed.synced, "{harmed:?}");
    world.inflict(PropertyFault::SourceStalls);
    world.repair();
    hours(&mut world, 2);
    let health = world.health();
    assert_eq!((health.null_companies, health.duplicates), (0, 0));
    assert_eq!((health.synced, health.create_queue, health.update_queue), (health.total, 0, 0));
}

#[test]
fn edits_in_salesforce_hide_no_source_change() {
    let mut world = small(17);
    for hour in 0..24 {
        hours(&mut world, 1);
        world.edit_in_salesforce(1 + hour % 3);
    }
    world.inflict(PropertyFault::SourceStalls);
    hours(&mut world, 2);
    let current = |copy: &Copy| {
        let property = world.properties().iter().find(|property| property.id == copy.record.property_id);
        property.is_some_and(|property| {
            property.deleted || copy.record.source_version == Some(property.updated_at)
        })
    };
    assert!(world.copies().all(current) && world.health().update_queue == 0);
}

#[test]
fn healing_one_fault_keeps_the_others() {
    let mut world = small(15);
    let leak = PropertyFault::CoverageLeak { city: "Fresno".to_owned() };
    world.inflict(PropertyFault::ViewBug);
    world.inflict(leak.clone());
    assert!(!world.heal_one(&PropertyFault::CopyStalls));
    assert!(world.heal_one(&PropertyFault::ViewBug));
    assert_eq!(world.faults(), std::slice::from_ref(&leak));
    hours(&mut world, 100);
    let health = world.health();
    assert!(health.null_companies == 0 && health.total - health.synced > 30, "{health:?}");
}

#[test]
fn full_run_sends_every_record_with_the_active_faults() {
    let mut world = PropertyWorld::with(start(), 16, 500, 450, 10).driven();
    let at = world.now();
    let moved = world.run_full(Sync::Update, at, Refusals::default());
    assert_eq!((moved.succeeded, world.records().len()), (450, 450));
    // The 40 without a company are not ready.
    assert_eq!(world.run_full(Sync::Create, at, Refusals::default()).succeeded, 460);
    assert_eq!(world.records().len(), 460, "a unique key makes no duplicates");
    world.inflict(PropertyFault::DuplicateCreation { percent: 100 });
    world.run_full(Sync::Create, at, Refusals::default());
    assert_eq!(world.records().len(), 920);
    world.heal();
    world.delete_duplicates();
    world.inflict(PropertyFault::ViewBug);
    world.run_full(Sync::Update, at, Refusals::default());
    let nameless = world.records().iter().filter(|record| !record.deleted && record.company_name.is_none());
    assert_eq!(nameless.count(), 460);
    assert!(world.moves().iter().all(|run| run.full));
}

#[test]
fn faults_parse_from_json() {
    let fault: PropertyFault =
        serde_json::from_str(r#"{"fault": "duplicate-creation", "percent": 10}"#).unwrap();
    assert_eq!(fault, PropertyFault::DuplicateCreation { percent: 10 });
}

#[test]
fn hand_edits_stay_wrong_until_their_source_changes() {
    let mut world = small(18);
    hours(&mut world, 1);
    world.inflict(PropertyFault::SourceStalls);
    world.inflict(PropertyFault::HandEdits { count: 12 });
    hours(&mut world, 24);
    let health = world.health();
    assert_eq!((world.wrong_keys().len(), health.update_queue, health.null_companies), (12, 0, 0));
    let by_hand = |copy: &&Copy| copy.record.modified_by == PERSON;
    assert_eq!(world.copies().filter(by_hand).count(), 12);
    world.touch_wrong();
    assert_eq!(world.to_update().len(), 12);
    hours(&mut world, 1);
    assert!(world.wrong_keys().is_empty() && world.health().update_queue == 0);
    assert!(world.copies().all(|copy| copy.record.modified_by == INTEGRATION_USER));
}

#[test]
fn view_that_compares_times_loses_updates_until_it_is_restored() {
    for (broken, lost) in [(false, 0), (true, 12)] {
        let mut world = small(19);
        hours(&mut world, 1);
        world.inflict(PropertyFault::SourceStalls);
        if broken {
            world.inflict(PropertyFault::ViewComparesTimes);
        }
        world.advance_to(world.now() + SignedDuration::from_mins(2));
        world.inflict(PropertyFault::LostUpdates { count: 12 });
        hours(&mut world, 24);
        assert_eq!((world.wrong_keys().len(), world.health().update_queue), (lost, 0));
        world.heal();
        hours(&mut world, 1);
        assert!(world.wrong_keys().is_empty());
    }
}
