//! Texts of the page.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::text::bounded;

/// Longer texts are not read, and would use up the size of the page.
const CHARS: usize = 400;

/// Puts a text of a vendor or a person into one bounded line.
pub(super) fn line(text: &str) -> String {
    bounded(text, CHARS)
}

/// An instant of the last six days by its weekday, else by its date, in a zone.
pub(super) fn moment(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let recent = now.duration_since(at).abs() < SignedDuration::from_hours(6 * 24);
    let form = if recent { "%A %H:%M" } else { "%-d %B %Y" };
    at.to_zoned(zone.clone()).strftime(form).to_string()
}

/// Begins with a capital letter.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}
