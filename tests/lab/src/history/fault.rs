//! Faults, trends and changes of business, each with the day on which it begins.

/// One fault. `from` is the index of its first day; a slope is at work on that day already.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// No run moves a record.
    VolumeStops { from: usize },
    /// Runs move half of the records.
    VolumeHalves { from: usize },
    /// Runs move everything twice.
    VolumeDoubles { from: usize },
    /// Records leave the destination, or never reach it.
    CoverageLeaks { from: usize, points_a_day: f64 },
    /// More records have no company name each day.
    NullsCreep { from: usize, points_a_day: f64 },
    /// Runs take longer each day, compounded.
    RunsSlow { from: usize, percent_a_day: f64 },
    /// More records fail each day, up to 4.9%: under the limit of 5% of `pipeline.toml`.
    ErrorsCreep { from: usize, points_a_day: f64 },
    /// Records stay in the queue: each day this share of a day's volume more.
    QueueGrows { from: usize, share_a_day: f64 },
    /// Runs succeed with 0 records, from this slot of the first day on.
    RunsEmpty { from: usize, slot: usize },
    /// No fault: the business moves this much more or less from now on.
    BusinessChanges { from: usize, factor: f64 },
}

/// The most that [`Fault::ErrorsCreep`] reaches, in percent.
const MOST_ERRORS: f64 = 4.9;

/// The effect of the faults on the figures of one day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Effect {
    /// Multiplies the records that runs move.
    pub(super) moved: f64,
    /// Multiplies the business: the records that are moved, and those that wait.
    pub(super) business: f64,
    /// Added to the coverage, in points.
    pub(super) coverage: f64,
    /// Added to the null rate, in points.
    pub(super) nulls: f64,
    /// Added to the error rate, in points.
    errors: f64,
    /// Multiplies the seconds of a run.
    pub(super) seconds: f64,
    /// Added to the queue, in days' volumes.
    pub(super) queue: f64,
    /// Runs from this slot on move nothing.
    pub(super) empty_from: Option<usize>,
}

impl Effect {
    /// Combines the effects of these faults on this day.
    pub(super) fn on(day: usize, faults: &[Fault]) -> Self {
        let mut effect = Self {
            moved: 1.0,
            business: 1.0,
            coverage: 0.0,
            nulls: 0.0,
            errors: 0.0,
            seconds: 1.0,
            queue: 0.0,
            empty_from: None,
        };
        for fault in faults {
            effect.add(day, *fault);
        }
        effect
    }

    fn add(&mut self, day: usize, fault: Fault) {
        match fault {
            Fault::VolumeStops { from } if day >= from => self.moved = 0.0,
            Fault::VolumeHalves { from } if day >= from => self.moved *= 0.5,
            Fault::VolumeDoubles { from } if day >= from => self.moved *= 2.0,
            Fault::CoverageLeaks { from, points_a_day } => self.coverage -= points_a_day * days_in(day, from),
            Fault::NullsCreep { from, points_a_day } => self.nulls += points_a_day * days_in(day, from),
            Fault::RunsSlow { from, percent_a_day } => {
                self.seconds *= (1.0 + percent_a_day / 100.0).powf(days_in(day, from));
            }
            Fault::ErrorsCreep { from, points_a_day } => self.errors += points_a_day * days_in(day, from),
            Fault::QueueGrows { from, share_a_day } => self.queue += share_a_day * days_in(day, from),
            Fault::RunsEmpty { from, slot } if day == from => self.empty_from = Some(slot),
            Fault::RunsEmpty { from, .. } if day > from => self.empty_from = Some(0),
            Fault::BusinessChanges { from, factor } if day >= from => self.business *= factor,
            _ => {}
        }
    }

    /// The error rate with the faults, in percent.
    pub(super) fn errors(&self, ordinary: f64) -> f64 {
        if self.errors > 0.0 { (ordinary + self.errors).min(MOST_ERRORS.max(ordinary)) } else { ordinary }
    }
}

/// The days that the fault has lasted at the end of this day.
fn days_in(day: usize, from: usize) -> f64 {
    (day + 1).saturating_sub(from) as f64
}
