//! The verdicts on the days of one figure: a replay of its history under the point rule and the drift rule.

use jiff::civil::Date;

use super::drift::{Drift, Drifts, Flat};
use super::measure::{Measure, Side};
use super::point::{Expectation, Point, Points};
use super::reason::WhyNot;
use super::sensitivity::Sensitivity;
use super::series::{Day, Series};

/// The verdict on one day.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub measure: Measure,
    pub date: Date,
    /// The figure, if it is usable: records, seconds or percent.
    pub value: Option<f64>,
    /// The reason why it was not judged or is not a finding by itself; none if it was judged.
    pub reason: Option<WhyNot>,
    /// Known for days that are not judged, too, where history allows.
    pub expectation: Option<Expectation>,
    /// The side on which it lies outside the range.
    pub side: Option<Side>,
    /// The number of judged days in a row outside the range on this side, this one included.
    pub streak: u32,
    /// A finding about this day.
    pub point: Option<Point>,
    /// A finding about the days up to this one; a lasting change is found once.
    pub drift: Option<Drift>,
}

/// Judges each day by the days before it.
pub fn judge_days(history: &Series, sensitivity: &Sensitivity) -> Vec<Verdict> {
    let measure = history.measure();
    let mut points = Points::new(measure, sensitivity);
    let mut drifts = Drifts::new(measure, sensitivity);
    let judge = |day: &Day| {
        let figure = history.figure(day);
        let look = points.step(day, figure);
        let flat = look.flat.map(|(y, noise)| Flat { date: day.date, y, noise, failed: day.failed });
        Verdict {
            measure,
            date: day.date,
            value: figure.ok(),
            reason: look.reason,
            expectation: look.expectation,
            side: look.side,
            streak: look.streak,
            point: look.point,
            drift: flat.and_then(|flat| drifts.step(flat)),
        }
    };
    history.days().iter().map(judge).collect()
}
