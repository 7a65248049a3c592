//! The figures that are judged day by day, and the rules of each.

use serde::{Deserialize, Serialize};

/// A daily figure of a sync or a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Records that a sync processed.
    Volume,
    /// Records that wait to be synced.
    Queue,
    /// The median of the runs that ended well, in seconds.
    Duration,
    /// The share of the source that is in the destination, in percent.
    Coverage,
    /// The share of rows without a value, in percent.
    NullRate,
    /// The share of records that were rejected, in percent.
    ErrorRate,
}

/// The side of its expected range on which a figure lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Low,
    High,
}

/// The scale on which a figure is compared: `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// y = ln(1 + x)
    Count,
    /// y = ln(x), x in seconds
    Duration,
    /// y = x, in points
    Percent,
}

/// The rules of a measure. All but the days are on the scale of its kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) kind: Kind,
    /// The spread to assume without history.
    pub(super) sigma0: f64,
    /// The least change of one day that a person would call one.
    pub(super) change: f64,
    /// The least lasting change that a person would call one.
    pub(super) drift_change: f64,
    /// After so many days in a row below the range it is a finding; none if low values are fine.
    pub(super) low: Option<u32>,
    pub(super) high: Option<u32>,
}

/// A figure of at most this size is taken for a real one.
const MOST: f64 = 1e15;
/// Values beyond this are not converted back, as e^40 exceeds every figure.
const MOST_Y: f64 = 40.0;
const SHORTEST_SECONDS: f64 = 0.001;

impl Side {
    /// Returns the sign of a change towards this side.
    pub fn sign(self) -> f64 {
        match self {
            Self::Low => -1.0,
            Self::High => 1.0,
        }
    }
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Volume, Self::Queue, Self::Duration, Self::Coverage, Self::NullRate, Self::ErrorRate];

    /// Returns its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Queue => "queue",
            Self::Duration => "duration",
            Self::Coverage => "coverage",
            Self::NullRate => "null_rate",
            Self::ErrorRate => "error_rate",
        }
    }

    /// Returns whether it is a share, in percent of a total.
    pub fn is_share(self) -> bool {
        self.rules().kind == Kind::Percent
    }

    pub(super) fn rules(self) -> Rules {
        let rules = |kind, (sigma0, change, drift_change), low, high| Rules {
            kind,
            sigma0,
            change,
            drift_change,
            low,
            high,
        };
        let ln = f64::ln;
        match self {
            Self::Volume => rules(Kind::Count, (0.25, ln(1.5), ln(1.4)), Some(2), Some(3)),
            Self::Queue => rules(Kind::Count, (0.8, ln(3.0), ln(2.5)), None, Some(2)),
            Self::Duration => rules(Kind::Duration, (0.1, ln(1.3), ln(1.25)), None, Some(1)),
            Self::Coverage => rules(Kind::Percent, (0.15, 0.5, 0.3), Some(1), None),
            Self::NullRate => rules(Kind::Percent, (0.05, 0.25, 0.2), None, Some(1)),
            Self::ErrorRate => rules(Kind::Percent, (0.5, 1.0, 0.75), None, Some(2)),
        }
    }

    /// Whether a figure can be real: finite, not negative, a share of at most 100%.
    pub(super) fn accepts(self, x: f64) -> bool {
        (0.0..=if self.rules().kind == Kind::Percent { 100.0 } else { MOST }).contains(&x)
    }

    /// Returns the spread that is left where nothing else varies: of counting, or of a clock.
    pub(super) fn noise(self, expected_y: f64, total: u64) -> f64 {
        let least = if self == Self::ErrorRate { 0.3 } else { 0.01 };
        match self.rules().kind {
            Kind::Count => 1.0 / expected_y.exp().max(1.0).sqrt(),
            Kind::Duration => 0.03,
            Kind::Percent => {
                let q = expected_y.max(least).clamp(0.0, 99.99) / 100.0;
                100.0 * (q * (1.0 - q) / total.max(1) as f64).sqrt()
            }
        }
    }
}

impl Kind {
    /// Converts a figure to its scale.
    pub(super) fn scaled(self, x: f64) -> f64 {
        match self {
            Self::Count => x.ln_1p(),
            Self::Duration => x.max(SHORTEST_SECONDS).ln(),
            Self::Percent => x,
        }
    }

    /// Converts a value on the scale back to a figure that can be real.
    pub(super) fn figure(self, y: f64) -> f64 {
        match self {
            Self::Count => y.min(MOST_Y).exp_m1().max(0.0),
            Self::Duration => y.min(MOST_Y).exp(),
            Self::Percent => y.clamp(0.0, 100.0),
        }
    }
}

impl Rules {
    /// Returns the days in a row that make a finding on this side; none if this side is fine.
    pub(super) fn days_in_a_row(&self, side: Side) -> Option<u32> {
        match side {
            Side::Low => self.low,
            Side::High => self.high,
        }
    }
}
