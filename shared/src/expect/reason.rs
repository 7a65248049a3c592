//! Reasons why a day or a run is not judged, or is not a finding.

use std::fmt;

use jiff::civil::Weekday;

use super::series::{Excluded, NoFigure};
use crate::text::grouped;

/// The reason why a day or a run has no finding, other than being as expected.
#[derive(Debug, Clone, PartialEq)]
pub enum WhyNot {
    NoFigure(NoFigure),
    /// It has `have` days of history and needs `need`.
    FewDays {
        have: usize,
        need: usize,
    },
    /// Its group of weekdays (Monday to Friday, or the weekend) was seen less than twice.
    FewWeekdays {
        weekday: Weekday,
    },
    Excluded(Excluded),
    /// The share is high, but of few records.
    FewRecords {
        failed: u64,
        need: u64,
    },
    /// Runs took long because the volume was high; both in records.
    Explained {
        volume: f64,
        expected: f64,
    },
}

impl WhyNot {
    /// Returns its number in the checking interface; 0 is a judged day.
    pub fn code(&self) -> u8 {
        match self {
            Self::NoFigure(_) => 1,
            Self::FewDays { .. } => 2,
            Self::FewWeekdays { .. } => 3,
            Self::Excluded(_) => 4,
            Self::FewRecords { .. } => 5,
            Self::Explained { .. } => 6,
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFigure(why) => why.fmt(f),
            Self::FewDays { have, need } => write!(f, "not enough history: {have} of {need} days"),
            Self::FewWeekdays { weekday } => {
                f.write_str(if is_weekend(*weekday) {
                    "no Saturday or Sunday"
                } else {
                    "no Monday to Friday"
                })?;
                f.write_str(" seen twice yet")
            }
            Self::Excluded(why) => write!(f, "excluded: {why}"),
            Self::FewRecords { failed, need } => {
                write!(f, "not enough failed records: {} of {need}", grouped(*failed))
            }
            Self::Explained { volume, expected } => {
                let [volume, expected] = [*volume, *expected].map(|records| grouped(records.round() as u64));
                write!(f, "explained by the volume: {volume} records, {expected} were expected")
            }
        }
    }
}

/// Whether it is a Saturday or a Sunday.
pub(super) fn is_weekend(weekday: Weekday) -> bool {
    matches!(weekday, Weekday::Saturday | Weekday::Sunday)
}
