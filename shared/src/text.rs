//! Figures and sentences as people read them.

use std::fmt;

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

/// Rows under their headings, in columns as wide as their widest cell.
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let width_of = |text: &str| text.chars().count();
    let mut widths = headings.map(width_of);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(width_of(cell));
        }
    }
    let line = |cells: &[String; N]| {
        let padded: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let lines: Vec<String> = std::iter::once(&headings.map(str::to_owned)).chain(rows).map(line).collect();
    lines.join("\n")
}

/// The words of a text, a space apart.
pub fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first so many names in one line, and how many more there are of `all`.
pub fn named<T: fmt::Display>(names: impl IntoIterator<Item = T>, most: usize, all: usize) -> String {
    let named: Vec<String> = names.into_iter().take(most).map(|name| name.to_string()).collect();
    let more = all.saturating_sub(named.len());
    named.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

/// The first so many characters in one line, with a mark if there were more.
pub fn bounded(text: &str, chars: usize) -> String {
    marked(text, chars, "…")
}

/// At most so many characters in one line, and the last of them this mark if there were more.
pub fn marked(text: &str, chars: usize, mark: &str) -> String {
    let one_line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    if text.chars().count() <= chars {
        return one_line.collect();
    }
    one_line.take(chars.saturating_sub(mark.chars().count())).chain(mark.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_columns_are_as_wide_as_their_widest_cell_in_characters() {
        let rows = [["ä".to_owned(), "long cell".to_owned()], ["abc".to_owned(), String::new()]];
        assert_eq!(table(["a", "b"], &rows), "a    b\nä    long cell\nabc");
        assert_eq!(table(["a"], &[]), "a");
    }

    #[test]
    fn bounded_text_is_one_line_and_marks_the_cut() {
        assert_eq!(bounded("ab\ncd", 5), "ab cd");
        assert_eq!(bounded("äbcdef", 5), "äbcd…");
    }
}
