//! The measured speed and the advice as sentences.

use std::fmt;

use jiff::SignedDuration;

use super::change::{Advice, Figure, Gain, Kind, Unmet};
use super::estimate::Estimate;
use super::report::{Report, Target};
use super::speed::{Inseparable, NotEnough, Speed};
use crate::text::{grouped, percent, rounded, two_digits, words};

impl Report {
    /// Describes the speed, the target and the advice, a sentence a line.
    pub fn lines(&self, subject: &str) -> Vec<String> {
        let mut lines = self.speed.lines(subject);
        lines.push(self.target.to_string());
        for (number, advice) in (1..).zip(&self.advice) {
            lines.push(format!("{number}. {advice}"));
            lines.push(format!("   Evidence: {}.", advice.evidence().join("; ")));
            lines.push(format!("   Only if: {}.", advice.kind.precondition()));
            lines.push(format!("   {}", advice.how));
        }
        if self.advice.is_empty() && matches!(self.target, Target::Missed { .. }) {
            lines.push("No advice: the figures support no change.".to_owned());
        }
        lines
    }
}

impl Speed {
    /// Describes the time of a run and its parts, a sentence a line.
    pub fn lines(&self, subject: &str) -> Vec<String> {
        let runs = self.runs;
        let records = self.records.map(|records| format!(" for {} records", grouped(records as u64)));
        let records = records.unwrap_or_default();
        let work = range(self.work);
        let mut lines = vec![format!("A typical run of {subject} works {work}{records}, from {runs} runs.")];
        lines.push(match &self.cost {
            Ok(cost) => {
                let [fixed, each] = [cost.fixed_seconds, cost.seconds_per_record].map(range);
                format!("Its fixed cost is {fixed}; each record takes {each}.")
            }
            Err(why) => format!("Fixed cost and cost per record cannot be separated: {why}."),
        });
        let waits = self.waits;
        if waits.waited + waits.skipped > 0 {
            let wait = seconds(waits.seconds.value);
            lines.push(format!(
                "{} of {runs} runs waited for the previous run (typical wait {wait}); {} more were skipped.",
                waits.waited, waits.skipped
            ));
        }
        lines.extend(self.query.map(|query| {
            format!("The source query takes {}, {} of a run.", range(query.seconds), share(query.percent))
        }));
        lines
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, target, over, runs) = match *self {
            Self::None => return f.write_str("No runtime_target is declared: no advice."),
            Self::Met { seconds, over, runs } => ("Target met, no advice", seconds, over, runs),
            Self::Unclear { seconds, over, runs } => ("Too few slow runs for advice", seconds, over, runs),
            Self::Missed { seconds, over, runs } => ("Target missed", seconds, over, runs),
        };
        write!(f, "{text}: {over} of {runs} runs exceed {}.", seconds(target))
    }
}

impl Kind {
    /// Names the change.
    pub fn title(self) -> &'static str {
        match self {
            Self::BatchSize => "Check the batch size",
            Self::Automation => "Make the automation of the object faster",
            Self::OffHour => "Run away from the full hour",
            Self::LessOften => "Run less often",
            Self::MoreOften => "Run more often",
            Self::Materialize => "Materialize the view",
            Self::Cluster => "Cluster the table below the view",
            Self::OnlyRecent => "Read only what changed in the last 7 days",
            Self::OnlyChanged => "Send only changed fields",
            Self::Split => "Split the sync",
        }
    }

    /// Describes the part of its precondition that no figure shows.
    pub fn precondition(self) -> &'static str {
        match self {
            Self::BatchSize => "the batch size was lowered",
            Self::Automation => "the object has automation that runs for its records",
            Self::OffHour => "the slow minutes stay the same from day to day",
            Self::LessOften => "changes may wait for the longer interval",
            Self::MoreOften => "the records of a run are new changes, not a backlog",
            Self::Materialize => "the rows may be as old as the last refresh",
            Self::Cluster => "the filter selects few values of the column",
            Self::OnlyRecent => "every change moves the column, and none waits longer than 7 days",
            Self::OnlyChanged => "the records are sent for fields that are not needed",
            Self::Split => "the destination takes records of several syncs at once",
        }
    }
}

impl Advice {
    /// Describes each figure behind it: `time per record: 2.4s (2.3s to 2.5s)`.
    pub fn evidence(&self) -> Vec<String> {
        self.evidence.iter().map(|(name, figure)| format!("{name}: {figure}")).collect()
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(what) => write!(f, "unknown: {what}"),
            Self::Inseparable(why) => {
                write!(f, "fixed cost and cost per record cannot be separated: {why}")
            }
            Self::TooLittle { percent, need } => {
                write!(f, "{} of the needed {}", share(*percent), share(*need))
            }
            Self::Unsure => f.write_str("the gain may be 0, or too few runs can be compared"),
            Self::Unsuitable(why) => f.write_str(why),
            Self::DoesNotFit => f.write_str("runs would be too long even then"),
            Self::LessGain => f.write_str("other changes gain more"),
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = self.kind.title();
        match self.gain {
            Gain::Saves(gain) => write!(f, "{change}: saves {} a run.", range(gain)),
            Gain::AtMost(most) => {
                write!(f, "{change}: saves at most {} a run, possibly nothing.", seconds(most))
            }
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Count(count) => grouped(*count),
            Self::Percent(percent) => share(*percent),
            Self::Seconds(estimate) => range(*estimate),
        })
    }
}

impl fmt::Display for NotEnough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::FewRuns { have, need } = self;
        write!(f, "not enough completed runs: {have} of {need}")
    }
}

impl fmt::Display for Inseparable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FewCounts { have, need } => {
                write!(f, "the number of records is known for {have} of {need} runs")
            }
            Self::AlikeCounts { different, need } => {
                write!(
                    f,
                    "the runs have too similar numbers of records ({different} of {need} differ by 10%)"
                )
            }
            Self::Unsure { percent } => {
                write!(f, "the time for the records is uncertain by {} of a run", share(*percent))
            }
            Self::NotLonger => f.write_str("runs with more records do not take longer"),
        }
    }
}

/// Formats a figure in seconds with its interval.
fn range(estimate: Estimate) -> String {
    let [value, low, high] = [estimate.value, estimate.low, estimate.high].map(seconds);
    if low == high { value } else { format!("{value} ({low} to {high})") }
}

/// Formats seconds: `30m 5s`, and below ten seconds with two digits: `2.4s`, `0.011s`.
fn seconds(x: f64) -> String {
    if x >= 10.0 || x <= 0.0 {
        return words(SignedDuration::from_secs(x.round() as i64));
    }
    format!("{}s", two_digits(x))
}

fn share(x: f64) -> String {
    percent(rounded(x, 0, &[]))
}
