//! Streams against a comparison in memory, in any order, in blocks of any size, with much or little memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::planted::object;
use crate::reconcile::*;
use crate::sql::{Block, Column, Dialect, Kind as Type, Value};

/// A row: its key, its text, and its state (1: pending, 2: not selected, 5: late, 13: late without a run).
type Line = (Option<u8>, &'static str, u8);

/// One text field; changes and a filter of the source are declared.
fn declared() -> Object {
    let mut object = object();
    object.key = KeyKind::Text;
    assert!(object.source.changed.is_some());
    (object.destination.changed, object.destination.modified_by) = (None, None);
    object
}

/// Compares as the shell does: both sides in blocks of this many rows, the destination's first if `turned`.
fn streamed(sides: [&[Line]; 2], block: usize, budget: usize, turned: bool) -> (Reconciliation, usize) {
    let object = Arc::new(declared());
    let kind = |name: &str| Column { name: name.to_owned(), kind: Type::Text };
    let columns = ["k", "state", "v0", "changed_at"].map(kind);
    let there = ["k", "v0"].map(kind);
    let zones = vec![TimeZone::UTC; 4];
    let texts: Vec<Vec<[Option<String>; 3]>> = sides
        .iter()
        .map(|side| {
            let text = |(key, text, state): &Line| {
                [key.map(|key| format!("key {key}")), Some((*text).to_owned()), Some(state.to_string())]
            };
            side.iter().map(text).collect()
        })
        .collect();
    let feed = |act: &mut dyn FnMut(Origin, &Block<'_>)| {
        let blocks = |origin: Origin| {
            let (rows, columns): (_, &[Column]) = match origin {
                Origin::Source => (&texts[0], &columns),
                Origin::Destination => (&texts[1], &there),
            };
            let blocks = rows.chunks(block).map(move |rows| {
                let mut cells = Vec::new();
                for [key, text, state] in rows {
                    cells.push(key.as_deref().map(str::as_bytes));
                    match origin {
                        Origin::Source => {
                            cells.extend([state, text].map(|text| text.as_deref().map(str::as_bytes)));
                        }
                        Origin::Destination => cells.push(text.as_deref().map(str::as_bytes)),
                    }
                    cells.resize(cells.len().next_multiple_of(columns.len()), None);
                }
                (origin, columns, cells)
            });
            blocks.collect::<Vec<_>>()
        };
        let (first, second) = match turned {
            true => (blocks(Origin::Destination), blocks(Origin::Source)),
            false => (blocks(Origin::Source), blocks(Origin::Destination)),
        };
        // In turns, as far as both have blocks.
        let (mut first, mut second) = (first.into_iter(), second.into_iter());
        loop {
            let both = [first.next(), second.next()];
            if both.iter().all(Option::is_none) {
                break;
            }
            for (origin, columns, cells) in both.into_iter().flatten() {
                act(
                    origin,
                    &Block { dialect: Dialect::PostgreSql, columns, zones: &zones[..columns.len()], cells },
                );
            }
        }
    };
    let (mut passes, mut is_careful) = (0, false);
    let sizes = sides.map(|side| side.len() as u64);
    'again: loop {
        let mut streams = Streams::new(object.clone(), Sent::default(), sizes, budget, is_careful);
        loop {
            passes += 1;
            feed(&mut |origin, block| {
                streams.take(origin, block, &digest(&object, origin, block)).unwrap();
            });
            assert!(streams.map_bytes() <= budget.max(1_000), "the map has {} bytes", streams.map_bytes());
            if streams.is_spoilt() {
                assert!(!is_careful, "a careful comparison was spoilt");
                is_careful = true;
                continue 'again;
            }
            streams.end_pass().unwrap();
            while streams.lacks_values() {
                feed(&mut |origin, block| streams.judge(origin, block).unwrap());
                if streams.end_reading().unwrap() {
                    break;
                }
            }
            if !streams.next_pass() {
                break;
            }
        }
        feed(&mut |origin, block| streams.take_keys(origin, block));
        return (streams.finish(None).unwrap(), passes);
    }
}

/// Row counts and faults, found row by row: joined, equal, equal by a rule, different, different and pending, missing, missing and
/// pending, not selected, extra, rows without a key, ambiguous rows, and rows without a run.
fn naive(sides: [&[Line]; 2]) -> [u64; 12] {
    let mut keys: BTreeMap<u8, [Vec<&Line>; 2]> = BTreeMap::new();
    let mut counts = [0; 12];
    for (place, side) in sides.into_iter().enumerate() {
        for line in side {
            match line.0 {
                Some(key) => keys.entry(key).or_default()[place].push(line),
                None => counts[9] += 1,
            }
        }
    }
    for [here, there] in keys.values() {
        let place = match (here.as_slice(), there.as_slice()) {
            ([here], [there]) => {
                counts[0] += 1;
                let verdict = compare(
                    &Kind::Text { max_length: None },
                    &Value::Text(here.1.to_owned()),
                    &Value::Text(there.1.to_owned()),
                );
                let is_pending = here.2 & 1 == 1;
                let place = match verdict {
                    Verdict::Equal => 1,
                    Verdict::EqualNormalised(_) => 2,
                    _ if is_pending => 4,
                    _ => 3,
                };
                counts[11] += u64::from(place == 4 && here.2 & 8 == 8);
                place
            }
            ([here], []) if here.2 & 2 == 2 => 7,
            ([here], []) if here.2 & 1 == 1 => {
                counts[11] += u64::from(here.2 & 8 == 8);
                6
            }
            ([_], []) => 5,
            ([], [_]) => 8,
            (here, there) => {
                counts[10] += (here.len() + there.len()) as u64;
                continue;
            }
        };
        counts[place] += 1;
    }
    counts
}

fn counted(found: &Reconciliation) -> [u64; 12] {
    [
        found.joined,
        found.equal,
        found.equal_normalised,
        found.different,
        found.different_pending,
        found.missing,
        found.missing_pending,
        found.not_selected,
        found.extra,
        found.source.null_keys + found.destination.null_keys,
        found.source.ambiguous + found.destination.ambiguous,
        found.faults.get(&Fault::NotRun).copied().unwrap_or(0),
    ]
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let line = (
        prop::option::weighted(0.95, 0..60_u8),
        prop::sample::select(vec!["Oak", "Oak ", "Elm", "", "e\u{301}", "\u{e9}"]),
        prop::sample::select(vec![0, 0, 0, 1, 2, 5, 13]),
    );
    prop::collection::vec(line, 0..70)
}

/// Each key once, so that most rows are joined.
fn distinct() -> impl Strategy<Value = Vec<Line>> {
    lines().prop_map(|lines| {
        let once: BTreeMap<Option<u8>, Line> = lines.into_iter().map(|line| (line.0, line)).collect();
        once.into_values().collect()
    })
}

proptest! {
    #[test]
    fn streams_count_as_in_memory_in_any_order_and_memory(
        source in prop_oneof![distinct(), lines()],
        destination in prop_oneof![distinct(), lines()].prop_shuffle(),
        block in 1_usize..9,
        budget in prop_oneof![Just(1_usize << 20), 600_usize..6_000],
        turned in any::<bool>(),
    ) {
        let (found, _) = streamed([&source, &destination], block, budget, turned);
        prop_assert_eq!(counted(&found), naive([&source, &destination]));
        let (usual, _) = streamed([&source, &destination], 100, 1 << 20, false);
        prop_assert_eq!(found.look(), usual.look());
        let samples = |found: &Reconciliation| format!("{:?}", found.samples);
        prop_assert_eq!(samples(&found), samples(&usual));
        prop_assert_eq!(Reconciliation { wrong: usual.wrong.clone(), samples: usual.samples.clone(), ..found }, usual);
    }
}

#[test]
fn map_over_its_budget_takes_passes_and_finds_the_same() {
    let source: Vec<Line> = (0..250).map(|key| (Some(key), "Oak", 0)).collect();
    let mut destination = source.clone();
    destination[7].1 = "Elm";
    destination.reverse();
    let (whole, once) = streamed([&source, &destination], 10, 1 << 20, false);
    let (parts, passes) = streamed([&source, &destination], 10, 3_000, false);
    assert!(once == 1 && passes > 2, "{once} and {passes} passes");
    assert_eq!(parts, whole);
    assert_eq!((whole.equal, whole.different), (249, 1));
}

#[test]
fn key_repeated_after_its_rows_were_judged_is_ambiguous() {
    let source: Vec<Line> = vec![(Some(1), "Oak", 0), (Some(2), "Oak", 0), (Some(1), "Oak", 0)];
    let destination: Vec<Line> = vec![(Some(1), "Elm", 0), (Some(2), "Elm", 0)];
    let (found, passes) = streamed([&source, &destination], 1, 1 << 20, false);
    assert_eq!((found.different, found.source.ambiguous, found.destination.ambiguous), (1, 2, 1));
    assert_eq!(passes, 2, "all is compared again");
}
