//! The series of figures on which expectations rest: one for each figure of the pipeline, and of each sync.

use jiff::civil::Date;

use super::{DataDay, History, SyncDay};
use crate::expect::{Day, Excluded, Measure, Moved, Sensitivity, Series, judge_days};

/// A figure of the pipeline, or of one of its syncs.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The key of the sync, or the name of the pipeline.
    pub subject: String,
    pub series: Series,
}

impl History {
    /// Returns the series of all figures: those of the pipeline, then those of each sync. Each ends on `last`, with a day without
    /// a figure if it has none. `excluded` has the reason why a day of a subject is not learnt from, if so.
    pub fn series(
        &self,
        pipeline: &str,
        last: Date,
        excluded: &dyn Fn(&str, Date) -> Option<Excluded>,
    ) -> Vec<Figure> {
        let mut figures = Vec::new();
        let mut add = |subject: &str, measure, days: Vec<Day>| {
            let excluded = |day: Day| Day { excluded: excluded(subject, day.date), ..day };
            let days = whole(days, last).into_iter().map(excluded).collect();
            // Days of the audit log are in order, and each is there once.
            if let Ok(series) = Series::new(measure, days) {
                figures.push(Figure { subject: subject.to_owned(), series });
            }
        };
        for measure in [Measure::Coverage, Measure::NullRate, Measure::Queue] {
            add(pipeline, measure, self.days.iter().map(|day| of_data(day, measure)).collect());
        }
        for (sync, days) in &self.syncs {
            for measure in [Measure::Volume, Measure::ErrorRate, Measure::Duration] {
                add(sync, measure, of_sync(days, measure));
            }
        }
        figures
    }
}

fn of_data(day: &DataDay, measure: Measure) -> Day {
    let value = match measure {
        Measure::Coverage => day.coverage(),
        Measure::NullRate => day.null_rate(),
        _ => day.queue(),
    };
    let whole = if measure == Measure::NullRate { day.synced } else { day.total };
    let total = if measure.is_share() { whole.map_or(0, count) } else { 0 };
    Day { total, ..Day::new(day.day, value) }
}

/// A run with more to do takes longer, so each duration comes with its volume and the volume that was expected.
fn of_sync(days: &[SyncDay], measure: Measure) -> Vec<Day> {
    let volume = |day: &SyncDay| Day::new(day.day, day.processed);
    let expected = match measure {
        Measure::Duration => Series::new(Measure::Volume, days.iter().map(volume).collect())
            .map(|series| judge_days(&series, &Sensitivity::default()))
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    let day = |(index, day): (usize, &SyncDay)| match measure {
        Measure::Volume => volume(day),
        Measure::ErrorRate => Day {
            total: day.processed.map_or(0, count),
            failed: day.failed.map_or(0, count),
            ..Day::new(day.day, day.error_rate())
        },
        _ => {
            let expected = expected.get(index).and_then(|verdict| verdict.expectation);
            let volume = day.processed.zip(expected);
            let volume = volume.map(|(records, range)| Moved { records, expected: range.expected });
            Day { volume, ..Day::new(day.day, day.median_seconds) }
        }
    };
    days.iter().enumerate().map(day).collect()
}

/// Adds the days without a row until `last`, and leaves out later ones.
fn whole(days: Vec<Day>, last: Date) -> Vec<Day> {
    let mut whole: Vec<Day> = Vec::with_capacity(days.len());
    let fill = |whole: &mut Vec<Day>, before: Date| {
        while let Some(next) =
            whole.last().and_then(|day| day.date.tomorrow().ok()).filter(|next| *next < before)
        {
            whole.push(Day::new(next, None));
        }
    };
    for day in days.into_iter().filter(|day| day.date <= last) {
        fill(&mut whole, day.date);
        whole.push(day);
    }
    if let Ok(after) = last.tomorrow() {
        fill(&mut whole, after);
    }
    whole
}

/// A count that was read as a number; 0 for what cannot be one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded, and a cast saturates")]
fn count(number: f64) -> u64 {
    if number.is_finite() { number.max(0.0) as u64 } else { 0 }
}
