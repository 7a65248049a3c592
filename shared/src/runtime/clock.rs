//! The one reader of the clock.

use jiff::Timestamp;

/// This moment (UTC). Asked once for each event of a function and once for each command of an operator; from there on the
/// time is an argument.
pub fn now() -> Timestamp {
    Timestamp::now()
}
