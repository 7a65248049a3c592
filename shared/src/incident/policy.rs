//! When incidents alert, remind and resolve: the settings of `[notices]` in `pipeline.toml`, with their defaults.

use std::collections::BTreeMap;
use std::fmt;

use jiff::SignedDuration;

use crate::finding::{Check, CriticalAfter, Looks, Severity};

/// Of the newest `of` evaluations, `need` must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    pub need: u8,
    pub of: u8,
}

impl Agreement {
    /// The most evaluations that are stored.
    pub const LONGEST: u8 = 8;

    /// Reads `2 of 3`.
    pub fn parse(text: &str) -> Option<Self> {
        let (need, of) = text.split_once(" of ")?;
        let agreement = Self { need: need.trim().parse().ok()?, of: of.trim().parse().ok()? };
        (agreement.need >= 1 && agreement.need <= agreement.of && agreement.of <= Self::LONGEST)
            .then_some(agreement)
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.need, self.of)
    }
}

/// When an incident that opens and resolves repeatedly counts as flapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flapping {
    /// This many openings within `within` make it flapping.
    pub openings: usize,
    pub within: SignedDuration,
    /// How long it must then stay healthy before it resolves.
    pub quiet: SignedDuration,
}

/// When notices are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticePolicy {
    /// Checks that open after another agreement than by default.
    pub open_after: BTreeMap<Check, Agreement>,
    /// Checks that resolve after another agreement than by default.
    pub resolve_after: BTreeMap<Check, Agreement>,
    /// The time from the last notice to the first reminder; each further gap is twice the one before.
    pub remind_after: SignedDuration,
    pub remind_at_most: SignedDuration,
    /// An open incident that could not be evaluated for so long has stopped reporting.
    pub stopped_after: SignedDuration,
    pub flapping: Flapping,
    /// Checks whose findings have another severity than by default.
    pub severity: BTreeMap<Check, Severity>,
    /// Checks that become critical after another duration than by default, or never.
    pub critical_after: BTreeMap<Check, CriticalAfter>,
}

impl Default for NoticePolicy {
    fn default() -> Self {
        Self {
            open_after: BTreeMap::new(),
            resolve_after: BTreeMap::new(),
            remind_after: SignedDuration::from_hours(4),
            remind_at_most: SignedDuration::from_hours(7 * 24),
            stopped_after: SignedDuration::from_hours(2),
            flapping: Flapping {
                openings: 3,
                within: SignedDuration::from_hours(6),
                quiet: SignedDuration::from_hours(1),
            },
            severity: BTreeMap::new(),
            critical_after: BTreeMap::new(),
        }
    }
}

impl NoticePolicy {
    /// Returns the agreement of unhealthy evaluations that opens an incident.
    pub fn opens(&self, check: Check) -> Agreement {
        Self::of(&self.open_after, check)
    }

    /// Returns the agreement of healthy evaluations that resolves an incident.
    pub fn resolves(&self, check: Check) -> Agreement {
        Self::of(&self.resolve_after, check)
    }

    /// Returns the most evaluations that an agreement on this check needs.
    pub fn looks(&self, check: Check) -> u8 {
        self.opens(check).of.max(self.resolves(check).of)
    }

    fn of(declared: &BTreeMap<Check, Agreement>, check: Check) -> Agreement {
        let default = match check.looks() {
            Looks::One => Agreement { need: 1, of: 1 },
            Looks::TwoOfThree => Agreement { need: 2, of: 3 },
        };
        declared.get(&check).copied().unwrap_or(default)
    }

    /// Returns the time from the last notice to the next reminder, after so many reminders. `None`: never.
    pub fn reminder_gap(&self, severity: Severity, reminders: u32) -> Option<SignedDuration> {
        if severity == Severity::Info {
            return None;
        }
        let factor = 1_i32.checked_shl(reminders.min(20)).unwrap_or(i32::MAX);
        let gap = self.remind_after.checked_mul(factor).unwrap_or(self.remind_at_most);
        Some(gap.min(self.remind_at_most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_is_read_as_written() {
        for text in ["1 of 1", "2 of 3", "8 of 8"] {
            assert_eq!(Agreement::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "2", "0 of 1", "3 of 2", "1 of 9", "two of three", "2/3", "-1 of 2", "1 of 1 of 1"] {
            assert_eq!(Agreement::parse(text), None, "{text}");
        }
    }

    #[test]
    fn reminder_gaps_grow_up_to_a_week_and_info_has_none() {
        let policy = NoticePolicy::default();
        let gaps: Vec<i64> = (0..8)
            .map(|reminders| policy.reminder_gap(Severity::Error, reminders).unwrap().as_hours())
            .collect();
        assert_eq!(gaps, [4, 8, 16, 32, 64, 128, 168, 168]);
        assert_eq!(policy.reminder_gap(Severity::Critical, u32::MAX).unwrap().as_hours(), 168);
        assert_eq!(policy.reminder_gap(Severity::Info, 0), None);
    }

    #[test]
    fn network_checks_need_two_evaluations_by_default() {
        let mut policy = NoticePolicy::default();
        assert_eq!(policy.opens(Check::ApiReachable).to_string(), "2 of 3");
        assert_eq!(policy.resolves(Check::RunFailed).to_string(), "1 of 1");
        policy.open_after.insert(Check::ApiReachable, Agreement { need: 3, of: 4 });
        assert_eq!(policy.opens(Check::ApiReachable).to_string(), "3 of 4");
        assert_eq!(policy.resolves(Check::ApiReachable).to_string(), "2 of 3");
    }
}
