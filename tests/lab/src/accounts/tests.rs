use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::*;

fn world() -> AccountWorld {
    let mut world = AccountWorld::healthy("2026-11-24T08:00:00Z".parse().unwrap(), 3, 120);
    pass(&mut world, 12 * 60 + 7);
    world
}

fn pass(world: &mut AccountWorld, minutes: i64) {
    world.advance_to(world.now() + SignedDuration::from_mins(minutes));
}

fn wrong(world: &AccountWorld) -> Vec<String> {
    world.wrong_keys(world.now() - SignedDuration::from_hours(3)).into_iter().collect()
}

#[test]
fn accounts_without_a_fault_agree_on_every_day() {
    let mut world = world();
    for _ in 0..30 {
        pass(&mut world, 24 * 60);
        assert_eq!((wrong(&world), world.refused()), (vec![], vec![]));
    }
}

#[test]
fn each_fault_leaves_its_account_wrong_until_it_is_cured() {
    let harmless = [AccountFault::OtherEdit, AccountFault::RecordUndeleted, AccountFault::TrailingBlanks];
    // Not compared.
    let ambiguous = [AccountFault::DuplicateByCase, AccountFault::KeyReused];
    for fault in AccountFault::ALL {
        let mut world = world();
        world.compare_times(true);
        let key = world.plant(fault).unwrap();
        pass(&mut world, 15 * 60);
        let expected = if harmless.contains(&fault) || ambiguous.contains(&fault) {
            vec![]
        } else {
            vec![key.to_lowercase()]
        };
        assert_eq!(wrong(&world), expected, "{fault:?}");
        let refused = matches!(fault, AccountFault::TooLong | AccountFault::BadChoice);
        assert_eq!(world.refused().len(), usize::from(refused), "{fault:?}");
        world.cure(&key);
        pass(&mut world, 15 * 60);
        assert_eq!((wrong(&world), world.refused()), (vec![], vec![]), "{fault:?}");
    }
}

#[test]
fn bent_mapping_or_view_is_wrong_until_records_are_sent_again() {
    let mut counts = BTreeMap::new();
    for bend in [Bend::Exchanged, Bend::DayInUtc] {
        let mut world = world();
        world.bend(Some(bend));
        world.change_many(60);
        pass(&mut world, 15 * 60);
        world.bend(None);
        counts.insert(format!("{bend:?}"), wrong(&world).len());
        world.change_many(usize::MAX);
        pass(&mut world, 5 * 60);
        assert_eq!(wrong(&world), [""; 0], "{bend:?}");
    }
    // A day in UTC is another one for a third of the instants.
    assert!(counts["Exchanged"] >= 60 && (10..60).contains(&counts["DayInUtc"]), "{counts:?}");
}
