//! Typed values and goals.

use std::cmp::Ordering;
use std::fmt;

use jiff::SignedDuration;

use crate::text::{grouped, percent, rounded, words};

/// The value of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    Percent(f64),
    Duration(SignedDuration),
    Count(u64),
    Days(u64),
}

impl Value {
    pub(super) fn seconds(number: f64) -> Self {
        Self::Duration(SignedDuration::from_secs(number as i64))
    }

    pub(super) fn count(number: f64) -> Self {
        Self::Count(number as u64)
    }

    pub(super) fn days(number: f64) -> Self {
        Self::Days(number as u64)
    }

    /// The number as it is stored: percent, seconds, or a count.
    pub fn number(self) -> f64 {
        match self {
            Self::Percent(share) => share,
            Self::Duration(duration) => duration.as_secs() as f64,
            Self::Count(count) | Self::Days(count) => count as f64,
        }
    }

    /// The value as text. Rounding never moves a share across its goal, or to 100%.
    pub fn text(self, goal: Option<f64>) -> String {
        match (self, goal) {
            (Self::Percent(share), Some(goal)) => percent(rounded(share, 1, &[goal, 100.0])),
            (value, _) => value.to_string(),
        }
    }
}

/// Shares have one decimal, or as many as a share below 100% needs.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(share) => f.write_str(&percent(rounded(*share, 1, &[100.0]))),
            Self::Duration(duration) => f.write_str(&words(*duration)),
            Self::Count(count) => f.write_str(&grouped(*count)),
            Self::Days(days) => write!(f, "{}d", grouped(*days)),
        }
    }
}

/// Whether a goal is a lower or an upper limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    AtLeast,
    AtMost,
}

/// The goal of a metric. The limit itself meets it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    pub bound: Bound,
    pub value: Value,
}

impl Goal {
    /// Whether a value of the same unit meets it. NaN never does.
    pub fn is_met_by(self, value: Value) -> bool {
        let order = match (value, self.value) {
            // Seconds alone would hide the rest of a second.
            (Value::Duration(value), Value::Duration(goal)) => Some(value.cmp(&goal)),
            (value, goal) => value.number().partial_cmp(&goal.number()),
        };
        match self.bound {
            Bound::AtLeast => order.is_some_and(Ordering::is_ge),
            Bound::AtMost => order.is_some_and(Ordering::is_le),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = match self.bound {
            Bound::AtLeast => "≥",
            Bound::AtMost => "≤",
        };
        // A goal is shown exactly.
        match self.value {
            Value::Percent(share) => write!(f, "{bound} {}", percent(share)),
            value => write!(f, "{bound} {value}"),
        }
    }
}
