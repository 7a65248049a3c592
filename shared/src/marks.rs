//! Verdicts of people on unusual figures ([`Mark`]), and days that are quiet by declaration
//! ([`QuietDays`]). Both decide which days of a history are neither judged nor learnt from. Pure.

mod quiet;

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use quiet::{Country, QuietDays, month_day};

use crate::days::{day_of, days_before};
use crate::expect::{Excluded, Measure};
use crate::finding::{Check, show_as_stored};
use crate::incident::{Incident, IncidentKey};

/// The figure of the evidence with the first day of a lasting change.
pub const SINCE: &str = "since";

/// A person's verdict on an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkVerdict {
    /// The alert was right: the days until the recovery are not learnt from.
    Real,
    /// Unusual, but not a fault: the days are not learnt from, and the incident closes.
    Fine,
    /// The figure has a new usual level: its history begins anew. It counts neither for nor against precision.
    NewNormal,
}

show_as_stored!(MarkVerdict);

/// A mark as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub incident: IncidentKey,
    /// When the marked period of the incident alerted (UTC).
    pub told_at: Timestamp,
    pub verdict: MarkVerdict,
    /// The first day that it is about, in the pipeline's zone.
    pub since: Date,
    /// The last one; `None` for a new usual level, and for a real fault that has not recovered.
    pub until: Option<Date>,
    /// When it was set (UTC).
    pub at: Timestamp,
    pub by: String,
    pub why: String,
}

/// Why an incident cannot be marked so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The check has no figure that could have a new usual level.
    NoLevel(Check),
    /// The figures of that day have not been judged yet; the last judged day.
    NotJudged(Date),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLevel(check) => {
                write!(f, "{check} judges no level that could be a new normal; use `fine` or `real`")
            }
            Self::NotJudged(last) => write!(f, "that day is not judged yet; use {last} or an earlier day"),
        }
    }
}

/// The check that judges the days of a figure.
pub fn check_of(measure: Measure) -> Check {
    match measure {
        Measure::Volume => Check::UnusualVolume,
        Measure::Queue => Check::UnusualQueue,
        Measure::Duration => Check::UnusualDuration,
        Measure::Coverage => Check::UnusualCoverage,
        Measure::NullRate => Check::UnusualNulls,
        Measure::ErrorRate => Check::UnusualErrors,
    }
}

/// The days that were judged at an instant end on this day: the last whole one.
fn judged_by(at: Timestamp, zone: &TimeZone) -> Date {
    days_before(day_of(at, zone), 1)
}

impl Mark {
    /// Marks the newest period of an incident. Without a day, it begins with the day that the evidence names, else with the day
    /// that was judged as the incident opened.
    ///
    /// # Errors
    /// If the check has no level, or `since` is not judged yet.
    pub fn of(
        incident: &Incident,
        verdict: MarkVerdict,
        since: Option<Date>,
        zone: &TimeZone,
        by: (&str, &str),
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let key = &incident.key;
        let is_of_days = Measure::ALL.iter().any(|measure| check_of(*measure) == key.check);
        if verdict == MarkVerdict::NewNormal && !is_of_days {
            return Err(Refusal::NoLevel(key.check));
        }
        let told_at =
            incident.history().episodes.last().map_or(incident.opened_at, |episode| episode.told_at);
        let begin = incident.evidence.figures.iter().find(|figure| figure.name == SINCE);
        let begin = begin.and_then(|figure| figure.text().parse().ok());
        // Other checks judge the present, not the day before.
        let found =
            if is_of_days { judged_by(incident.opened_at, zone) } else { day_of(incident.opened_at, zone) };
        let last = if is_of_days { judged_by(now, zone) } else { day_of(now, zone) };
        let since = since.or(begin).unwrap_or(found);
        if since > last {
            return Err(Refusal::NotJudged(last));
        }
        let mut mark = Self {
            incident: key.clone(),
            told_at,
            verdict,
            since,
            until: (verdict == MarkVerdict::Fine).then_some(last),
            at: now,
            by: by.0.to_owned(),
            why: by.1.to_owned(),
        };
        mark.until = mark.until.or(mark.recovered(Some(incident), zone));
        Ok(mark)
    }

    /// The last day of a real fault by its incident; `None` if it has not recovered, or the mark needs no end.
    pub fn recovered(&self, incident: Option<&Incident>, zone: &TimeZone) -> Option<Date> {
        if self.verdict != MarkVerdict::Real {
            return None;
        }
        let history = incident.map(Incident::history).unwrap_or_default();
        let resolved = match history.episodes.iter().find(|episode| episode.told_at == self.told_at) {
            Some(episode) => episode.resolved_at?,
            // It never alerted, as it was suppressed.
            None if incident.is_some_and(|incident| incident.opened_at == self.told_at) => {
                incident.and_then(|incident| incident.resolved_at)?
            }
            // Expired or forgotten, which only happens to one that has recovered.
            None => history.forgotten_until.unwrap_or(self.at).max(self.at),
        };
        // The day that was found healthy is the last one judged by then.
        Some(days_before(judged_by(resolved, zone), 1).max(self.since))
    }

    fn is_about(&self, subject: &str, check: Check) -> bool {
        self.incident.check == check && self.incident.subject == subject
    }

    /// Whether it is a real fault that still lasts, as far as recorded.
    pub fn lasts(&self) -> bool {
        self.verdict == MarkVerdict::Real && self.until.is_none()
    }
}

/// The exceptions of a history: what is not judged, not learnt, or begins anew.
#[derive(Debug, Clone, Copy, Default)]
pub struct Exceptions<'e> {
    marks: &'e [Mark],
    quiet: &'e [QuietDays],
    /// Whether faults that still last are treated as if they were not marked.
    only_ended: bool,
}

impl<'e> Exceptions<'e> {
    /// Collects marks and quiet days.
    pub fn new(marks: &'e [Mark], quiet: &'e [QuietDays]) -> Self {
        Self { marks, quiet, only_ended: false }
    }

    /// Returns the same without marks of faults that still last.
    #[must_use]
    pub fn only_ended(self) -> Self {
        Self { only_ended: true, ..self }
    }

    /// Whether the figure of a check is marked as a fault that still lasts.
    pub fn lasts(&self, subject: &str, check: Check) -> bool {
        self.of(subject, check).any(Mark::lasts)
    }

    /// Returns why a day is neither judged nor learnt from. The last day of a fault that still lasts is judged: that is how
    /// its end is found.
    pub fn excluded(&self, subject: &str, check: Check, day: Date, last: Date) -> Option<Excluded> {
        if let Some(name) = self.quiet(subject, day) {
            return Some(Excluded::QuietDay { name: name.to_owned() });
        }
        self.of(subject, check).find_map(|mark| {
            let until = match mark.verdict {
                MarkVerdict::NewNormal => return None,
                MarkVerdict::Real if mark.until.is_none() => days_before(last, 1),
                _ => mark.until?,
            };
            let why = match mark.verdict {
                MarkVerdict::Real => Excluded::MarkedReal,
                _ => Excluded::MarkedFine,
            };
            (mark.since..=until).contains(&day).then_some(why)
        })
    }

    /// Returns the name of a quiet day of a subject.
    pub fn quiet(&self, subject: &str, day: Date) -> Option<&'e str> {
        self.quiet.iter().find_map(|quiet| quiet.name_of(subject, day))
    }

    /// Returns the first day of a figure's new usual level.
    pub fn start(&self, subject: &str, check: Check) -> Option<Date> {
        let levels = self.of(subject, check).filter(|mark| mark.verdict == MarkVerdict::NewNormal);
        levels.map(|mark| mark.since).max()
    }

    fn of<'s>(&self, subject: &'s str, check: Check) -> impl Iterator<Item = &'e Mark> + use<'e, 's> {
        let only_ended = self.only_ended;
        self.marks.iter().filter(move |mark| mark.is_about(subject, check) && !(only_ended && mark.lasts()))
    }
}

#[cfg(test)]
mod tests;
