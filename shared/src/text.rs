//! Figures and sentences as people read them.

use jiff::{SignedDuration, Timestamp};

/// A duration as people say it, such as `1h 30m`; a negative one (clocks differ) is `0s`.
pub fn words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (if seconds < 600 { seconds % 60 } else { 0 }, "s"),
    ];
    let said: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).take(2).map(|(n, unit)| format!("{n}{unit}")).collect();
    if said.is_empty() { "0s".to_owned() } else { said.join(" ") }
}

/// An instant as people read it, to the minute: `2026-11-24 10:00 UTC`.
pub fn minute_utc(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share with so many decimals, or with as many more as it takes not to look as if it were on the other side of a limit.
pub fn rounded(share: f64, decimals: usize, limits: &[f64]) -> f64 {
    let to = |decimals: usize| format!("{share:.decimals$}").parse::<f64>().unwrap_or(share);
    let honest = |read: &f64| limits.iter().all(|limit| (*read < *limit) == (share < *limit));
    (decimals..=6).map(to).find(honest).unwrap_or_else(|| to(9))
}

/// A share in percent, as short as it is exact: `12%`, `92.47%`.
pub fn percent(share: f64) -> String {
    format!("{share}%")
}
