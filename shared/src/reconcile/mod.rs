//! Reconciliation: compares every record of an object on both sides, and why they differ. Pure.
//!
//! * [`compare()`] is the verdict on two values by the kind of their field: equal, equal by a rule, different for a reason.
//! * [`Statements`] compile an [`Object`] into three statements, however many fields it has.
//! * [`Streams`] compares an object whose sides are in two databases.
//! * [`Coverage`] is the part of the keys that a night compares.
//! * [`Sent`] is what the syncs did, from which [`Horizon`] follows: a change after it is pending.
//! * [`Reconciliation`] reads their answers, judges the values that differ in SQL, finds the [`Fault`] of each wrong row, and checks
//!   that the counts add up. A row is confirmed if an earlier [`Look`] saw it too.

mod compare;
mod coverage;
mod creates;
mod fault;
mod kind;
mod look;
mod looks;
mod names;
mod normal;
mod number;
mod object;
mod report;
mod sent;
mod statements;
mod streams;
mod value;
mod verdict;

pub use compare::{compare, compare_currencies};
pub use coverage::{Coverage, confidence, most_wrong_percent};
pub use kind::{KeyKind, Kind};
pub use look::{Confirmed, Look, Wrong};
pub use looks::{Known, Looks};
pub use names::bare_name;
pub use object::{
    Authority, Cell, DEFAULT_COPY_LIMIT, DEFAULT_SETTLE, Field, Limits, ModifiedBy, Object, Origin, Side,
};
pub use report::{Compared, FieldCount, Reconciliation, Record, Sample, SideCount, copied, read_records};
pub use sent::{Horizon, Sent, check_copy};
pub use statements::{Content, MOST_JUDGED, MOST_SHOWN, Statements};
pub use streams::{Digested, STREAM_BUDGET, Streams, digest, pair_records};
pub use value::value_text;
pub use verdict::{Broken, Class, Fault, NotCompared, Reason, Rule, Verdict, WhyNot};

#[cfg(test)]
pub(crate) mod tests;
