//! The only reader of the clock.

use jiff::Timestamp;

/// Returns the current time (UTC). Called once per event of a function and once per command; everywhere else the time
/// is an argument.
pub fn now() -> Timestamp {
    Timestamp::now()
}
