//! The goals, and whether they are met.

use std::fmt;

/// A small measurement may miss a goal by so many standard errors; a whole one may not.
const SLACK: f64 = 2.0;

/// Measured figures with their goals.
#[derive(Debug, Default)]
pub(crate) struct Goals(Vec<Goal>);

#[derive(Debug)]
struct Goal {
    name: String,
    measured: f64,
    bound: Bound,
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Goals {
    pub(crate) fn at_least(&mut self, name: impl Into<String>, measured: f64, least: f64) {
        self.0.push(Goal { name: name.into(), measured, bound: Bound::AtLeast(least) });
    }

    pub(crate) fn at_most(&mut self, name: impl Into<String>, measured: f64, most: f64) {
        self.0.push(Goal { name: name.into(), measured, bound: Bound::AtMost(most) });
    }

    /// At least this share of `of` cases, both in percent.
    pub(crate) fn share(
        &mut self,
        name: impl Into<String>,
        measured: f64,
        least: f64,
        of: usize,
        is_small: bool,
    ) {
        let share = (least / 100.0).clamp(0.0, 1.0);
        let error = 100.0 * (share * (1.0 - share) / of.max(1) as f64).sqrt();
        self.at_least(name, measured, if is_small { least - SLACK * error } else { least });
    }

    /// At most so many findings a year, of this many years.
    pub(crate) fn rate(
        &mut self,
        name: impl Into<String>,
        measured: f64,
        most: f64,
        years: f64,
        is_small: bool,
    ) {
        let error = (most / years).sqrt();
        let most = if is_small { most + SLACK * error } else { most };
        self.0.push(Goal { name: name.into(), measured, bound: Bound::AtMost(most) });
    }

    pub(crate) fn all_met(&self) -> bool {
        self.0.iter().all(Goal::is_met)
    }
}

impl Goal {
    fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtLeast(least) => self.measured >= least,
            Bound::AtMost(most) => self.measured <= most,
        }
    }
}

impl fmt::Display for Goals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missed: Vec<&Goal> = self.0.iter().filter(|goal| !goal.is_met()).collect();
        writeln!(f, "{} of {} goals met", self.0.len() - missed.len(), self.0.len())?;
        for goal in missed {
            let (words, bound) = match goal.bound {
                Bound::AtLeast(bound) => ("at least", bound),
                Bound::AtMost(bound) => ("at most", bound),
            };
            writeln!(f, "missed: {} is {:.2}, goal {words} {bound:.2}", goal.name, goal.measured)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_goals_are_named_with_figure_and_bound() {
        let mut goals = Goals::default();
        goals.at_least("first", 80.0, 80.0);
        goals.at_least("second", 79.0, 80.0);
        assert!(!goals.all_met());
        assert_eq!(goals.to_string(), "1 of 2 goals met\nmissed: second is 79.00, goal at least 80.00\n");
    }

    #[test]
    fn only_a_small_measurement_has_slack() {
        let share = |measured, is_small| {
            let mut goals = Goals::default();
            goals.share("share", measured, 80.0, 20, is_small);
            goals.all_met()
        };
        // 20 cases of 80%: a standard error of 8.9 points.
        assert!(!share(75.0, false) && share(75.0, true) && !share(60.0, true));
        let rate = |measured, is_small| {
            let mut goals = Goals::default();
            goals.rate("rate", measured, 0.2, 20.0, is_small);
            goals.all_met()
        };
        assert!(!rate(0.3, false) && rate(0.3, true) && !rate(0.5, true));
    }
}
