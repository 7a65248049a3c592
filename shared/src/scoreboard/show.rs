//! The scoreboard as a table of at most 100 columns.

use std::fmt;

use super::{Metric, Missing, Outcome, READY_DAYS, Reading, ReadyState, Score, Scoreboard};
use crate::text::{bounded, grouped, table as aligned};

/// The widest line, in characters.
const WIDTH: usize = 100;

/// With the cells' limits below, a row has at most [`WIDTH`] characters.
const HEADINGS: [&str; 10] =
    ["METRIC", "VALUE", "GOAL", "MET", "-3W", "-2W", "-1W", "WEEK", "WINDOW", "SAMPLES"];

/// Renders the metrics, then why some have no value, then whether the pipeline is ready.
pub fn table(board: &Scoreboard) -> String {
    let zone = board.time_zone.as_deref().map(|zone| format!(" ({zone})")).unwrap_or_default();
    let mut lines = vec![format!("{}: scoreboard of {}{zone}", board.pipeline, board.day), String::new()];
    let rows: Vec<[String; 10]> = board.metrics.iter().map(row).collect();
    lines.push(aligned(HEADINGS, &rows));
    let reasons = board.metrics.iter().filter_map(|score| {
        let reason = score.reading.reason.as_ref()?;
        Some(format!("  {}: {reason}", score.title))
    });
    let reasons: Vec<String> = reasons.collect();
    if !reasons.is_empty() {
        lines.extend([String::new(), "Without a value:".to_owned()]);
        lines.extend(reasons);
    }
    let notes = board.metrics.iter().filter_map(|score| {
        let note = score.metric.note()?;
        Some(format!("{}: {note}", score.title))
    });
    lines.push(String::new());
    lines.extend(notes);
    lines.extend([String::new(), board.ready.to_string()]);
    let cut = |line: &str| bounded(line, WIDTH);
    lines.join("\n").lines().map(cut).collect::<Vec<_>>().join("\n")
}

fn row(score: &Score) -> [String; 10] {
    let Score { metric, title, reading, goal, outcome, trend } = score;
    let limit = goal.map(|goal| goal.value.number());
    let text = |reading: &Reading, chars: usize| {
        let nothing = || if reading.reason_is_unknown() { "?".to_owned() } else { "-".to_owned() };
        bounded(&reading.value.map_or_else(nothing, |value| value.text(limit)), chars)
    };
    let met = match outcome {
        Outcome::Met => "yes",
        Outcome::NotMet => "NO",
        Outcome::Unknown => "unknown",
        Outcome::NoGoal => "",
    };
    let goal = goal.map(|goal| bounded(&goal.to_string(), 8)).unwrap_or_default();
    let week = |week: usize| trend.get(week).map(|reading| text(reading, 7)).unwrap_or_default();
    [
        (*title).to_owned(),
        text(reading, 8),
        goal,
        met.to_owned(),
        week(0),
        week(1),
        week(2),
        week(3),
        format!("{}d", metric.days()),
        bounded(&grouped(reading.samples), 7),
    ]
}

impl fmt::Display for ReadyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { met_since, since } => {
                write!(f, "Production-ready since {since}: every goal was met on each day since {met_since}.")
            }
            Self::NotReady { earliest, missing } => {
                write!(
                    f,
                    "Not production-ready: goals that were not met on each of the last {READY_DAYS} days."
                )?;
                missing.iter().try_for_each(|missing| write!(f, "\n  {missing}"))?;
                write!(f, "\nProduction-ready on {earliest} at the earliest.")
            }
            Self::Unknown { reason } => write!(f, "Production-ready: unknown, {reason}"),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, day, days, lack } = self;
        write!(f, "{}: {day}: {lack}", metric.title())?;
        match days.saturating_sub(1) {
            0 => Ok(()),
            1 => f.write_str(" (and 1 earlier day)"),
            more => write!(f, " (and {more} earlier days)"),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
