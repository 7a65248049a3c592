//! Reconciliation: compares every record of an object on both sides, and why they differ. Pure.
//!
//! * [`compare()`] is the verdict on two values by the kind of their field: equal, equal by a rule, different for a reason.
//! * [`Statements`] compile an [`Object`] into three statements, however many fields it has.
//! * [`Reconciliation`] reads their answers, judges the values that differ in SQL, and checks that the counts add up.

mod compare;
mod kind;
mod names;
mod normal;
mod number;
mod object;
mod report;
mod statements;
mod value;
mod verdict;

pub use compare::{compare, compare_currencies};
pub use kind::{KeyKind, Kind};
pub use names::bare_name;
pub use object::{Authority, Cell, DEFAULT_SETTLE, Field, Limits, Object, Side};
pub use report::{
    Broken, Class, Compared, FieldCount, Incomplete, Reconciliation, Record, Sample, SideCount, read_records,
    value_text,
};
pub use statements::{MOST_JUDGED, MOST_SHOWN, Statements};
pub use verdict::{Cause, Reason, Rule, Verdict, WhyNot};

#[cfg(test)]
mod tests;
