//! The history of one figure, day by day.

use std::fmt;

use jiff::civil::Date;

use super::Measure;

/// One calendar day of the pipeline's zone that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Day {
    pub date: Date,
    /// The figure: records, seconds or percent. None if it was not recorded, which differs from zero.
    pub value: Option<f64>,
    /// The reason why it is neither judged nor learnt from.
    pub excluded: Option<Excluded>,
    /// The rows or records that a share is of; 0 for other figures.
    pub total: u64,
    /// The records that failed, for the error rate; 0 for other figures.
    pub failed: u64,
    /// The sync's volume, for the duration: a run with more to do takes longer.
    pub volume: Option<Moved>,
}

/// The volume of a day and its expected volume, in records.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moved {
    pub records: f64,
    pub expected: f64,
}

/// The reason why a day is excluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Excluded {
    /// Declared in `pipeline.toml`.
    QuietDay {
        name: String,
    },
    MarkedFine,
    MarkedReal,
    /// An incident of the same sync was open.
    OpenIncident,
}

/// The reason why a day has no figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoFigure {
    /// It was not recorded.
    Absent,
    /// It is negative, not finite, or larger than any real one.
    Unusable,
}

/// The days of one figure, in the order of their dates. Dates may be missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    measure: Measure,
    days: Vec<Day>,
}

/// The reason why days are not a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadSeries {
    Unsorted { date: Date, after: Date },
    Repeated { date: Date },
}

impl Day {
    /// Creates a day with only a figure.
    pub fn new(date: Date, value: Option<f64>) -> Self {
        Self { date, value, excluded: None, total: 0, failed: 0, volume: None }
    }
}

impl Series {
    /// Creates a history. A value that cannot be real spoils only its own day.
    ///
    /// # Errors
    /// If the dates are not in ascending order, or one is repeated.
    pub fn new(measure: Measure, days: Vec<Day>) -> Result<Self, BadSeries> {
        for (Day { date: after, .. }, Day { date, .. }) in days.iter().zip(days.iter().skip(1)) {
            if date == after {
                return Err(BadSeries::Repeated { date: *date });
            }
            if date < after {
                return Err(BadSeries::Unsorted { date: *date, after: *after });
            }
        }
        Ok(Self { measure, days })
    }

    /// Returns which figure it is.
    pub fn measure(&self) -> Measure {
        self.measure
    }

    /// Returns the days, oldest first.
    pub fn days(&self) -> &[Day] {
        &self.days
    }

    /// Returns the history as it was after its first so many days.
    pub(super) fn first(&self, days: usize) -> Self {
        Self { measure: self.measure, days: self.days.iter().take(days).cloned().collect() }
    }

    /// Returns the figure of one of its days.
    pub(super) fn figure(&self, day: &Day) -> Result<f64, NoFigure> {
        let value = day.value.ok_or(NoFigure::Absent)?;
        if self.measure.accepts(value) { Ok(value) } else { Err(NoFigure::Unusable) }
    }
}

impl fmt::Display for Excluded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QuietDay { name } => write!(f, "quiet day \"{name}\""),
            Self::MarkedFine => f.write_str("marked as fine"),
            Self::MarkedReal => f.write_str("marked as a real fault"),
            Self::OpenIncident => f.write_str("an incident of the same sync was open"),
        }
    }
}

impl fmt::Display for NoFigure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "no figure for this day",
            Self::Unusable => "unusable figure (negative, not finite or too large)",
        })
    }
}

impl fmt::Display for BadSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsorted { date, after } => write!(f, "{date} follows {after}; sort the days by date"),
            Self::Repeated { date } => write!(f, "{date} appears twice; keep one row for each date"),
        }
    }
}

impl std::error::Error for BadSeries {}
