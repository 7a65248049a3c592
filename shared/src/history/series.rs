//! The series of figures on which expectations rest: one for each figure of the pipeline, and of each sync.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{DataDay, History, SyncDay};
use crate::expect::{Day, Measure, Moved, Sensitivity, Series, judge_days};
use crate::marks::{Exceptions, check_of};

/// A figure of the pipeline, or of one of its syncs.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The key of the sync, or the name of the pipeline.
    pub subject: String,
    pub series: Series,
    /// Its first day with a figure, which may be before the series begins anew.
    pub first: Option<Date>,
}

impl History {
    /// Returns the series of all figures: those of the pipeline, then those of each sync. Each ends on `last`, with a day without
    /// a figure if it has none, and begins where the exceptions say that it begins anew.
    pub fn series(&self, pipeline: &str, last: Date, exceptions: &Exceptions<'_>) -> Vec<Figure> {
        let of = |subject: &str, measure, days: Vec<Day>| {
            let first = days.iter().find(|day| day.value.is_some()).map(|day| day.date);
            let start = exceptions.start(subject, check_of(measure)).unwrap_or(Date::MIN);
            let excluded = |day: Day| Day {
                excluded: exceptions.excluded(subject, check_of(measure), day.date, last),
                ..day
            };
            let days = whole(days, last).into_iter().filter(|day| day.date >= start).map(excluded);
            // Days of the audit log are in order, and each is there once.
            let series = Series::new(measure, days.collect()).ok()?;
            Some(Figure { subject: subject.to_owned(), series, first })
        };
        let mut figures = Vec::new();
        for measure in [Measure::Coverage, Measure::NullRate, Measure::Queue] {
            figures.extend(of(
                pipeline,
                measure,
                self.days.iter().map(|day| of_data(day, measure)).collect(),
            ));
        }
        for (sync, days) in &self.syncs {
            let volume = of(sync, Measure::Volume, days.iter().map(volume).collect());
            let duration = durations(days, volume.as_ref().map(|figure| &figure.series));
            figures.extend(volume);
            figures.extend(of(sync, Measure::ErrorRate, days.iter().map(error_rate).collect()));
            figures.extend(of(sync, Measure::Duration, duration));
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

fn volume(day: &SyncDay) -> Day {
    Day::new(day.day, day.processed)
}

fn error_rate(day: &SyncDay) -> Day {
    Day {
        total: day.processed.map_or(0, count),
        failed: day.failed.map_or(0, count),
        ..Day::new(day.day, day.error_rate())
    }
}

/// A run with more to do takes longer, so each duration comes with its volume and the volume that was expected.
fn durations(days: &[SyncDay], volume: Option<&Series>) -> Vec<Day> {
    let verdicts = volume.map(|series| judge_days(series, &Sensitivity::default())).unwrap_or_default();
    let expected: BTreeMap<Date, f64> =
        verdicts.iter().filter_map(|verdict| Some((verdict.date, verdict.expectation?.expected))).collect();
    let day = |day: &SyncDay| {
        let moved = day.processed.zip(expected.get(&day.day));
        let volume = moved.map(|(records, expected)| Moved { records, expected: *expected });
        Day { volume, ..Day::new(day.day, day.median_seconds) }
    };
    days.iter().map(day).collect()
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
