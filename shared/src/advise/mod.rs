//! Advice on the speed of a sync. Measures its runs ([`measure`]): fixed cost, cost per record, time waiting for the previous
//! run, and the source query; then finds the changes that would make a slow run shorter ([`advise`]).
//!
//! Pure: no I/O and no clock, and never fails. Each change has a precondition that the figures must meet, and is left out with a
//! reason otherwise. Behaviour of vendors is taken from their documentation, named where it is used; a gain that depends on
//! behaviour that no source states is an upper bound ([`Gain::AtMost`]).

mod change;
mod estimate;
mod input;
mod list;
mod report;
mod sentence;
mod speed;
mod view;

#[cfg(test)]
mod tests;

pub use change::{Advice, Evidence, Figure, Gain, Kind, Unmet};
pub use estimate::Estimate;
pub use input::{End, Facts, Run, Sync, View};
pub(crate) use list::input;
pub use list::{AdviceLine, AdviceList, LeftOut, Read, Source, SyncAdvice};
pub use report::{Report, Target, advise};
pub use speed::{Cost, Inseparable, NotEnough, Query, Speed, Waits, measure};
pub use view::{Definition, Selects};
