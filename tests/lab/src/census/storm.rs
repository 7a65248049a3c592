//! A storm of webhook deliveries: duplicates, disorder, forgeries and poison, each with its expected result.

use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::webhooks::sign;

// Shares of a storm, in percent.
const DUPLICATED: usize = 30;
const FORGED: usize = 5;
const POISONED: usize = 1;

/// A run that does not exist in the lab, whose run ids count from 324,000,000.
const UNKNOWN_RUN: u64 = 1;

/// The expected result of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Correctly signed and readable: accepted, and its run checked, however often it comes.
    Accepted,
    /// Not signed by Census: refused at once.
    Refused,
    /// Correctly signed, but unreadable or of an unknown run: accepted, without blocking others.
    Poison,
}

/// One delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StormDelivery {
    pub body: Vec<u8>,
    /// The value of `X-Signature`; `None`: without the header.
    pub signature: Option<String>,
    pub fate: Fate,
}

/// Deliveries in the order to send them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storm {
    pub deliveries: Vec<StormDelivery>,
}

impl Storm {
    /// Makes a storm of `count` deliveries from genuine bodies, signed with `secret`; the same seed makes the same storm.
    ///
    /// * each genuine body comes at least once, so with many bodies there are more than `count` deliveries
    /// * at least 30% are duplicates of genuine ones
    /// * 5% are forged: signed with another secret, with the signature of another body, unsigned, or with half a signature
    /// * 1% are poison, correctly signed: truncated, not JSON, not an event, or of an unknown run
    /// * all are shuffled
    ///
    /// Bodies are UTF-8, as Census's are, and as ministack's Function URL expects of JSON.
    #[must_use]
    pub fn new(secret: &str, seed: u64, truths: &[Vec<u8>], count: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let share = |percent: usize| (count * percent).div_ceil(100);
        let (forged, poison) = (share(FORGED), share(POISONED));
        let duplicates = if truths.is_empty() {
            0
        } else {
            share(DUPLICATED).max(count.saturating_sub(truths.len() + forged + poison))
        };
        let again = (0..duplicates).filter_map(|_| truths.choose(&mut rng)).collect::<Vec<_>>();
        let mut deliveries: Vec<StormDelivery> =
            truths.iter().chain(again).map(|body| signed(secret, body.clone(), Fate::Accepted)).collect();
        deliveries.extend((0..forged).map(|number| forge(secret, truths, number, &mut rng)));
        deliveries.extend((0..poison).map(|number| spoil(secret, truths, number, &mut rng)));
        deliveries.shuffle(&mut rng);
        Self { deliveries }
    }

    /// The number of deliveries with this fate.
    #[must_use]
    pub fn count(&self, fate: Fate) -> usize {
        self.deliveries.iter().filter(|delivery| delivery.fate == fate).count()
    }
}

fn signed(secret: &str, body: Vec<u8>, fate: Fate) -> StormDelivery {
    let signature = Some(sign(secret, &body));
    StormDelivery { body, signature, fate }
}

fn any(truths: &[Vec<u8>], rng: &mut ChaCha8Rng) -> Vec<u8> {
    truths.choose(rng).cloned().unwrap_or_else(|| b"{}".to_vec())
}

/// A delivery that Census did not sign. The kinds take turns, so that a storm of any size has each.
fn forge(secret: &str, truths: &[Vec<u8>], number: usize, rng: &mut ChaCha8Rng) -> StormDelivery {
    let mut body = any(truths, rng);
    let right = sign(secret, &body);
    let signature = match number % 4 {
        0 => Some(sign(&format!("not {secret}"), &body)),
        1 => {
            // As an eavesdropper can: the signature of another body.
            body.push(b' ');
            Some(right)
        }
        2 => None,
        _ => {
            let keep = rng.random_range(0..right.len());
            Some(right.chars().take(keep).collect())
        }
    };
    StormDelivery { body, signature, fate: Fate::Refused }
}

/// A delivery that Census might have signed, but that cannot be handled.
fn spoil(secret: &str, truths: &[Vec<u8>], number: usize, rng: &mut ChaCha8Rng) -> StormDelivery {
    let truth = any(truths, rng);
    let body = match number % 4 {
        // A cut inside a non-ASCII character would not be UTF-8, so cut within the first ten bytes: `{"` and a name.
        0 => truth.iter().copied().take(rng.random_range(1..10)).take_while(u8::is_ascii).collect(),
        1 => b"<html>502 Bad Gateway</html>".to_vec(),
        2 => b"[]".to_vec(),
        _ => of_an_unknown_run(&truth),
    };
    signed(secret, body, Fate::Poison)
}

fn of_an_unknown_run(truth: &[u8]) -> Vec<u8> {
    let event = serde_json::from_slice::<Value>(truth).ok().filter(Value::is_object);
    let mut event = event.unwrap_or_else(|| json!({ "event": "sync.failed", "sync_id": 1 }));
    if let Some(event) = event.as_object_mut() {
        event.insert("sync_run_id".to_owned(), json!(UNKNOWN_RUN));
    }
    event.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SECRET: &str = "a secret";

    fn truths(count: u64) -> Vec<Vec<u8>> {
        let body =
            |run: u64| json!({ "event": "sync.failed", "sync_id": 7, "sync_run_id": 324_000_000 + run });
        (0..count).map(|run| body(run).to_string().into_bytes()).collect()
    }

    fn is_correctly_signed(delivery: &StormDelivery) -> bool {
        delivery.signature.as_ref() == Some(&sign(SECRET, &delivery.body))
    }

    #[test]
    fn same_seed_makes_the_same_storm() {
        let storm = |seed| Storm::new(SECRET, seed, &truths(50), 200);
        assert_eq!(storm(1), storm(1));
        assert_ne!(storm(1), storm(2));
    }

    #[test]
    fn every_genuine_body_comes_and_the_shares_are_kept() {
        // Few bodies, some, and so many that the storm must grow: 700 + 300 + 50 + 10.
        for (bodies, size) in [(1, 1_000), (640, 1_000), (700, 1_060)] {
            let truths = truths(bodies);
            let storm = Storm::new(SECRET, 3, &truths, 1_000);
            assert_eq!(storm.deliveries.len(), size);
            assert_eq!((storm.count(Fate::Refused), storm.count(Fate::Poison)), (50, 10));
            let accepted: Vec<&Vec<u8>> = storm
                .deliveries
                .iter()
                .filter(|delivery| delivery.fate == Fate::Accepted)
                .map(|delivery| &delivery.body)
                .collect();
            assert_eq!(accepted.iter().copied().collect::<BTreeSet<_>>(), truths.iter().collect());
            assert!(accepted.len() - truths.len() >= 300, "{} duplicates", accepted.len() - truths.len());
        }
    }

    #[test]
    fn deliveries_are_shuffled() {
        let storm = Storm::new(SECRET, 3, &truths(640), 1_000);
        let fates: Vec<Fate> = storm.deliveries.iter().map(|delivery| delivery.fate).collect();
        assert!(!fates.is_sorted());
        let first = &storm.deliveries[..100];
        assert!(first.iter().any(|delivery| truths(640)[320..].contains(&delivery.body)));
    }

    #[test]
    fn exactly_the_refused_are_wrongly_signed_in_every_way() {
        let storm = Storm::new(SECRET, 4, &truths(20), 400);
        for delivery in &storm.deliveries {
            assert_eq!(is_correctly_signed(delivery), delivery.fate != Fate::Refused, "{delivery:?}");
        }
        let refused = storm.deliveries.iter().filter(|delivery| delivery.fate == Fate::Refused);
        let lengths: BTreeSet<Option<bool>> =
            refused.map(|delivery| delivery.signature.as_ref().map(|text| text.len() == 44)).collect();
        assert_eq!(lengths, BTreeSet::from([None, Some(false), Some(true)]));
    }

    #[test]
    fn poison_cannot_be_read_or_names_an_unknown_run() {
        let storm = Storm::new(SECRET, 5, &truths(20), 400);
        let mut unknown = 0;
        for delivery in storm.deliveries.iter().filter(|delivery| delivery.fate == Fate::Poison) {
            assert!(std::str::from_utf8(&delivery.body).is_ok(), "{delivery:?}");
            match serde_json::from_slice::<Value>(&delivery.body) {
                Ok(Value::Object(event)) => {
                    assert_eq!((&event["sync_run_id"], &event["sync_id"]), (&json!(1), &json!(7)));
                    unknown += 1;
                }
                Ok(other) => assert_eq!(other, json!([])),
                Err(_) => {}
            }
        }
        assert_eq!((storm.count(Fate::Poison), unknown), (4, 1));
    }

    #[test]
    fn storm_without_bodies_is_only_forgeries_and_poison() {
        let storm = Storm::new(SECRET, 6, &[], 100);
        assert_eq!((storm.count(Fate::Accepted), storm.deliveries.len()), (0, 6));
    }
}
