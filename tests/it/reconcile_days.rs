//! Ninety simulated days of accounts: every planted difference is found with its reason, and nothing else, each night.

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan as _;
use jiff::civil::{Date, date, time};
use jiff::tz::TimeZone;
use syncwatch::observation::RejectedRecord;
use syncwatch::pipeline::Pipeline;
use syncwatch::reconcile::{
    Class, Confirmed, Fault, Horizon, Look, Object, Reconciliation, Sent, Statements, check_copy,
};
use syncwatch_lab::accounts::{AccountFault, AccountTables, AccountWorld, Bend};
use syncwatch_lab::engines;
use tempfile::TempDir;

const SYNC: &str = "properties-update";
/// The days for which a fault lasts.
const LASTS: i64 = 5;
/// On these days of a stretch the copy runs every two hours.
const LAGS: std::ops::RangeInclusive<i64> = 17..=28;
/// Until this day of a stretch the view compares times.
const TIMES: i64 = 32;

fn object() -> Object {
    let seed = include_str!("../../infra/pipeline.toml");
    let example = include_str!("../../infra/examples/accounts.toml");
    let pipeline = Pipeline::parse(&format!("{seed}\n{example}")).unwrap();
    let mut object = pipeline.objects.into_iter().find(|object| object.name == "accounts").unwrap();
    // The lab's own sync of accounts, under the key of a declared one.
    object.syncs = vec![SYNC.to_owned()];
    object
}

struct Night {
    found: Reconciliation,
    /// The keys of all shown wrong rows, folded.
    keys: BTreeSet<String>,
    settled: jiff::Timestamp,
}

async fn look(tables: &AccountTables, world: &mut AccountWorld, object: &Object) -> Night {
    tables.write(world).await.unwrap();
    let mut sent = Sent::default();
    sent.runs.insert(SYNC.to_owned(), Some(world.last_run()));
    let record = |(key, why): (String, &str)| RejectedRecord {
        identifier: Some(key),
        operation: Some("upsert".to_owned()),
        status: "rejected".to_owned(),
        message: Some(why.to_owned()),
    };
    sent.add_rejected(object.key, &world.refused().into_iter().map(record).collect::<Vec<_>>());
    let horizon = Horizon::of(object, &sent, world.now());
    let warehouse = tables.warehouse();
    let statements = Statements::new(object, warehouse.dialect(), horizon);
    let repeated = warehouse.query(&statements.repeated_keys().unwrap()).await.unwrap();
    let counts = warehouse.query(&statements.counts(!repeated.is_empty()).unwrap()).await.unwrap();
    let samples = warehouse.query(&statements.samples(!repeated.is_empty(), 10_000).unwrap()).await.unwrap();
    let found =
        Reconciliation::read(object, &statements, &sent, [&repeated, &counts, &samples], 10_000).unwrap();
    check_copy(object, &sent, found.copied, world.now()).unwrap();
    let reasons: u64 = found.faults.values().sum();
    assert_eq!(reasons, found.unequal(), "reasons add up to the total: {found:?}");
    let keys = found.samples.iter().map(|sample| sample.key.to_lowercase()).collect();
    Night { found, keys, settled: horizon.settled }
}

/// The reason that a fault must get, by section 5.7 of the method; `None` if it does no harm.
fn reason(fault: AccountFault, compares_times: bool) -> Option<Fault> {
    Some(match fault {
        AccountFault::OtherEdit | AccountFault::RecordUndeleted | AccountFault::TrailingBlanks => {
            return None;
        }
        AccountFault::LostUpdate => return compares_times.then_some(Fault::Skipped),
        AccountFault::HandEdit | AccountFault::Rounded => Fault::EditedThere,
        AccountFault::RecordDeleted => Fault::Deleted,
        // The sync wrote, and it arrived; only the values show why they differ.
        AccountFault::RecordHidden | AccountFault::EmptyText => Fault::Unknown,
        AccountFault::DuplicateByCase | AccountFault::KeyReused => Fault::AmbiguousKey,
        AccountFault::TooLong | AccountFault::BadChoice => Fault::Rejected,
        AccountFault::SourceDeleted => Fault::NotSelected,
    })
}

/// Plays days from noon to noon, and compares at 03:00 and 04:00; returns how often each reason was found.
async fn play(first: Date, days: i64, seed: u64) -> BTreeMap<Fault, usize> {
    let zone = TimeZone::get("America/Los_Angeles").unwrap();
    let at = |day: i64, hour: i8, minute: i8| {
        let day = first.checked_add(day.days()).unwrap();
        day.to_datetime(time(hour, minute, 0, 0)).to_zoned(zone.clone()).unwrap().timestamp()
    };
    let object = object();
    let folder = TempDir::new().unwrap();
    let warehouse = engines::sqlite(&folder.path().join("accounts.sqlite")).unwrap();
    let mut world = AccountWorld::healthy(at(0, 0, 0), seed, 300);
    let tables = AccountTables::create(warehouse, &mut world).await.unwrap();
    let mut planted: Vec<(i64, String, AccountFault)> = Vec::new();
    let mut seen: BTreeMap<Fault, usize> = BTreeMap::new();
    for day in 0..days {
        world.advance_to(at(day, 12, 7));
        let compares_times = day < TIMES;
        world.compare_times(compares_times);
        world.copy_every(LAGS.contains(&day).then_some(120));
        let bend = (day % 15 == 13).then_some(if day < 20 { Bend::Exchanged } else { Bend::DayInUtc });
        match day % 15 {
            13 => {
                world.bend(bend);
                world.change_many(120);
            }
            14 => {
                world.bend(None);
                world.change_many(usize::MAX);
            }
            _ => {
                for (_, key, _) in planted.extract_if(.., |(since, ..)| *since + LASTS <= day) {
                    world.cure(&key);
                }
                let next = AccountFault::ALL[usize::try_from(day).unwrap() % AccountFault::ALL.len()];
                planted.push((day, world.plant(next).unwrap(), next));
            }
        }
        world.advance_to(at(day + 1, 2, 0));
        if day % 7 == 6 {
            world.resync_copy();
        }
        world.advance_to(at(day + 1, 3, 0));
        let earlier: Look = look(&tables, &mut world, &object).await.found.look();
        world.advance_to(at(day + 1, 4, 0));
        let Night { found, keys, settled } = look(&tables, &mut world, &object).await;
        let confirmed: Confirmed = found.confirmed(&earlier);

        let mut expected: BTreeMap<Fault, u64> = BTreeMap::new();
        for (_, _, fault) in &planted {
            let Some(reason) = reason(*fault, compares_times) else { continue };
            // An ambiguous key has three rows, on both sides together.
            *expected.entry(reason).or_default() += if reason == Fault::AmbiguousKey { 3 } else { 1 };
        }
        let wrong = world.wrong_keys(settled);
        let harm: u64 = expected.values().sum::<u64>() - expected.get(&Fault::AmbiguousKey).unwrap_or(&0);
        if bend.is_some() {
            let bent = u64::try_from(wrong.len()).unwrap() - harm;
            assert!(bent >= 20, "day {day}: {bent}");
            expected.insert(Fault::Mapping, bent);
        } else {
            let planted: Vec<_> = planted
                .iter()
                .filter(|(_, _, fault)| {
                    reason(*fault, compares_times).is_some_and(|reason| reason != Fault::AmbiguousKey)
                })
                .map(|(_, key, _)| key.to_lowercase())
                .collect();
            assert_eq!(wrong, planted.into_iter().collect(), "day {day}: the world's own comparison");
            assert_eq!(keys, wrong, "day {day}: keys that were found");
        }
        // While records are bent, a row that was pending in the first look counts once.
        let once = if bend.is_some() { confirmed.once } else { 0 };
        let rows = (confirmed.rows() + once, confirmed.once);
        assert_eq!(rows, (u64::try_from(wrong.len()).unwrap(), once), "day {day}");
        let mut reasons = found.faults.clone();
        // In flight.
        reasons.retain(|reason, _| !matches!(reason, Fault::Pending | Fault::NotRun));
        assert_eq!(reasons, expected, "day {day}: {planted:?}, {found:?}");
        assert!(
            found
                .samples
                .iter()
                .all(|sample| sample.class != Class::Extra || sample.fault == Fault::NotSelected)
        );
        for (reason, rows) in expected {
            *seen.entry(reason).or_default() += usize::try_from(rows).unwrap();
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn ninety_days_find_each_planted_difference_and_no_other() {
    // 45 days around each change of the clocks.
    let mut seen = play(date(2026, 10, 10), 45, 7).await;
    for (fault, rows) in play(date(2027, 2, 20), 45, 8).await {
        *seen.entry(fault).or_default() += rows;
    }
    let all = [
        Fault::AmbiguousKey,
        Fault::NotSelected,
        Fault::Rejected,
        Fault::EditedThere,
        Fault::Skipped,
        Fault::Mapping,
        Fault::Deleted,
        Fault::Unknown,
    ];
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), all, "{seen:?}");
    println!("rows found by reason, summed over 90 nights: {seen:?}");
}
