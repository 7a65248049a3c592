//! The invariants of remedies over random worlds, people and crashes.

mod model;
mod properties;
