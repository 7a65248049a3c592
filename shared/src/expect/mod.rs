//! The expected figures of a sync. Judges the days of a figure ([`judge_days`]), the runs of a day ([`Usual::judge`]) and the
//! date on which a limit will be passed ([`forecast`]), and scores new values of a stream ([`novelty`]).
//!
//! Pure: no I/O and no clock, and never fails. Nothing is trained or stored but history, so each verdict can be repeated. All
//! constants were set once for all series; no figure has a sensitivity of its own.

mod days;
mod drift;
mod forecast;
mod line;
mod measure;
mod novelty;
mod point;
mod reason;
mod sensitivity;
mod sentence;
mod series;
mod silence;
mod weekdays;

#[cfg(test)]
mod tests;

pub use days::{Verdict, judge_days};
pub use drift::Drift;
pub use forecast::{Breach, Forecast, Limit, NoForecast, forecast, is_steady};
pub use measure::{Measure, Side};
pub use novelty::{novelty, once};
pub use point::{Expectation, Point};
pub use reason::WhyNot;
pub use sensitivity::Sensitivity;
pub use sentence::remark;
pub use series::{BadSeries, Day, Excluded, Moved, NoFigure, Series};
pub use silence::{Class, Quiet, Run, RunDay, RunVerdict, Silence, Standing, Usual, replay};
pub use weekdays::Basis;
