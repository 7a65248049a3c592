//! The keys that a comparison covers: all, or one bucket of them. Every key is in exactly one bucket, the same on both sides, and a
//! row without a key is in the first one.

use std::fmt;

use jiff::civil::{Date, date};
use serde::{Deserialize, Serialize};

use super::object::Object;

/// The covered keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    #[default]
    All,
    /// `number` is from 0 to `of` - 1.
    Bucket { number: u32, of: u32 },
}

impl Coverage {
    /// Returns the coverage of a night by its day: an object with several nights has one bucket after another.
    pub fn of_night(object: &Object, day: Date) -> Self {
        let Some(of) = object.nights else { return Self::All };
        let days = (day - date(1970, 1, 1)).get_days();
        let number = i64::from(days).rem_euclid(i64::from(of.max(1)));
        Self::Bucket { number: u32::try_from(number).unwrap_or(0), of }
    }

    /// Returns the nights that cover all keys.
    pub fn nights(self) -> u32 {
        match self {
            Self::All => 1,
            Self::Bucket { of, .. } => of.max(1),
        }
    }

    /// Returns the other buckets.
    pub fn others(self) -> Vec<Self> {
        let Self::Bucket { number, of } = self else { return Vec::new() };
        (0..of).filter(|other| *other != number).map(|number| Self::Bucket { number, of }).collect()
    }

    /// Returns the name of an object's part. No object has a `/` in its name.
    pub fn part_of(self, object: &str) -> String {
        match self {
            Self::All => object.to_owned(),
            Self::Bucket { number, of } => format!("{object}/{number}-of-{of}"),
        }
    }

    /// Returns whether it covers a key with this digest; 0 is that of a row without a key.
    pub(super) fn has(self, digest: u128) -> bool {
        match self {
            Self::All => true,
            Self::Bucket { number, of } => (digest >> 64) % u128::from(of.max(1)) == u128::from(number),
        }
    }
}

/// Such as `bucket 3 of 7`; they are counted from 1.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => write!(f, "all keys"),
            Self::Bucket { number, of } => write!(f, "bucket {} of {of}", number + 1),
        }
    }
}

/// The largest share of wrong keys, in percent, that is likely at 95% if a random bucket of so many keys has no wrong one. It is
/// never 0: a bucket cannot exclude rare wrong keys.
pub fn most_wrong_percent(keys: u64) -> f64 {
    100.0 * (1.0 - 0.05_f64.powf(1.0 / keys as f64))
}

/// The shares of wrong keys, in percent, between which all keys are likely to be at 95% if a random bucket of `keys` has `wrong` of
/// them: the exact interval of Clopper and Pearson (Biometrika 26, 1934).
fn wrong_percent(wrong: u64, keys: u64) -> (f64, f64) {
    let bound = |most: Option<u64>, at_most: f64| {
        let Some(most) = most else { return 0.0 };
        let (mut low, mut high) = (0.0_f64, 1.0_f64);
        // More halvings than a share has digits.
        for _ in 0..50 {
            let share = f64::midpoint(low, high);
            if at_most_wrong(most, keys, share) > at_most { low = share } else { high = share }
        }
        100.0 * low
    };
    (bound(wrong.checked_sub(1), 0.975), if wrong >= keys { 100.0 } else { bound(Some(wrong), 0.025) })
}

/// The chance that at most `most` of `keys` are wrong if each is with the chance `share`.
fn at_most_wrong(most: u64, keys: u64, share: f64) -> f64 {
    // Logarithms, as the first of many terms is too small for a float.
    let odds = share.ln() - (-share).ln_1p();
    let mut term = keys as f64 * (-share).ln_1p();
    let mut sum = term.exp();
    for wrong in 0..most.min(keys) {
        term += odds + (((keys - wrong) as f64) / ((wrong + 1) as f64)).ln();
        sum += term.exp();
    }
    sum
}

/// Says what a bucket of so many keys with so many wrong ones shows of all keys; with two digits, as no number of decimals suits all.
pub fn confidence(wrong: u64, keys: u64) -> String {
    let text = |share: f64| {
        let exponent = format!("{share:.1e}").split_once('e').and_then(|(_, exponent)| exponent.parse().ok());
        let decimals = usize::try_from(1 - exponent.unwrap_or(0_i32)).unwrap_or(0);
        format!("{share:.decimals$}%")
    };
    if wrong == 0 {
        return format!("at most {} of all keys are wrong (95% confidence)", text(most_wrong_percent(keys)));
    }
    let (low, high) = wrong_percent(wrong, keys);
    format!("{} to {} of all keys are wrong (95% confidence)", text(low), text(high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::tests::planted::object;

    #[test]
    fn clean_bucket_limits_the_share_of_wrong_keys() {
        // The figures of the method, 5.8.
        let table = [
            (0, "100"),
            (1, "95"),
            (300, "0.99"),
            (3_000, "0.10"),
            (30_000, "0.010"),
            (10_000_000, "0.000030"),
        ];
        for (keys, percent) in table {
            let expected = format!("at most {percent}% of all keys are wrong (95% confidence)");
            assert_eq!(confidence(0, keys), expected, "{keys}");
        }
        assert!(most_wrong_percent(u64::MAX) >= 0.0 && most_wrong_percent(1_000_000_000) > 0.0);
    }

    #[test]
    fn bucket_with_wrong_keys_has_an_interval() {
        // By the definition, with the log-gamma function of another language.
        let table = [
            (1, 10, "0.25% to 45%"),
            (5, 10, "19% to 81%"),
            (9, 10, "55% to 100%"),
            (10, 10, "69% to 100%"),
            (10, 100, "4.9% to 18%"),
            (3, 300, "0.21% to 2.9%"),
            (40, 30_000, "0.095% to 0.18%"),
        ];
        for (wrong, keys, interval) in table {
            let expected = format!("{interval} of all keys are wrong (95% confidence)");
            assert_eq!(confidence(wrong, keys), expected, "{wrong} of {keys}");
        }
        for (wrong, keys) in [(1, 1), (2, 1), (300_000, 1_000_000), (5, 10_000_000)] {
            let ((low, high), share) = (wrong_percent(wrong, keys), 100.0 * wrong as f64 / keys as f64);
            assert!(
                low <= share.min(100.0) && share.min(100.0) <= high && high <= 100.0,
                "{low} {share} {high}"
            );
        }
    }

    #[test]
    fn nights_have_each_bucket_once_in_turn() {
        let object = Object { nights: Some(7), ..object() };
        // Before 1970 too, and over a change of the clocks.
        for first in [date(1969, 12, 28), date(2026, 10, 30)] {
            let nights: Vec<Coverage> = first
                .series(jiff::Span::new().days(1))
                .take(8)
                .map(|day| Coverage::of_night(&object, day))
                .collect();
            let mut all = nights[0].others();
            all.push(nights[0]);
            assert!(nights[..7].iter().all(|night| all.contains(night)) && all.len() == 7);
            assert!((1..7).all(|place| !nights[..place].contains(&nights[place])), "{nights:?}");
            assert_eq!(nights[0], nights[7]);
        }
        let whole = Object { nights: None, ..object };
        assert_eq!(Coverage::of_night(&whole, date(2026, 10, 30)), Coverage::All);
        assert_eq!(Coverage::Bucket { number: 2, of: 7 }.to_string(), "bucket 3 of 7");
    }

    #[test]
    fn digest_is_in_exactly_one_bucket() {
        for of in [2, 7, 31] {
            let mut sizes = vec![0; 31];
            for n in 0..3_100_u32 {
                let digest = twox_hash::XxHash3_128::oneshot(&n.to_be_bytes());
                let places: Vec<u32> =
                    (0..of).filter(|number| Coverage::Bucket { number: *number, of }.has(digest)).collect();
                assert_eq!(places.len(), 1);
                sizes[places[0] as usize] += 1;
            }
            assert!(sizes[..of as usize].iter().all(|size| *size > 50), "{sizes:?}");
        }
        assert!(Coverage::Bucket { number: 0, of: 7 }.has(0), "a row without a key");
    }
}
