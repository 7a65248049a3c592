//! Formats durations, instants, numbers and lines for people.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

/// Formats a duration, such as `1h 30m`; a negative one (clocks differ) is `0s`.
pub fn words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (if seconds < 600 { seconds % 60 } else { 0 }, "s"),
    ];
    let shown: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).take(2).map(|(n, unit)| format!("{n}{unit}")).collect();
    if shown.is_empty() { "0s".to_owned() } else { shown.join(" ") }
}

/// Formats an instant to the minute: `2026-11-24 10:00 UTC`.
pub fn minute_utc(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Formats a number with thousands separators.
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

/// Formats a count with its unit: `1 row`, `1,240 rows`.
pub fn counted(count: impl TryInto<u64>, unit: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{} {unit}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// Formats a place in a row: `1st`, `2nd`, `13th`.
pub fn ordinal(n: usize) -> String {
    let suffix = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{suffix}")
}

/// Formats a positive number with two digits that count: `0.05`, `1.2`, `1,530`.
pub fn two_digits(x: f64) -> String {
    if x >= 10.0 {
        return grouped(x.round() as u64);
    }
    let decimals = (1.0 - x.max(1e-6).log10().floor()) as usize;
    rounded(x, decimals, &[]).to_string()
}

/// Rounds a share to so many decimals, or to more where rounding would move it across a limit.
pub fn rounded(share: f64, decimals: usize, limits: &[f64]) -> f64 {
    let to = |decimals: usize| format!("{share:.decimals$}").parse::<f64>().unwrap_or(share);
    let honest = |read: &f64| limits.iter().all(|limit| (*read < *limit) == (share < *limit));
    (decimals..=6).map(to).find(honest).unwrap_or_else(|| to(9))
}

/// Formats a share in percent, exactly and without trailing zeros: `12%`, `92.47%`.
pub fn percent(share: f64) -> String {
    format!("{share}%")
}

/// Aligns rows under their headings, in columns as wide as their widest cell.
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

/// Joins the words of a text by single spaces.
pub fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lists the first names in one line, and how many more there are of `all`.
pub fn named<T: fmt::Display>(names: impl IntoIterator<Item = T>, most: usize, all: usize) -> String {
    let named: Vec<String> = names.into_iter().take(most).map(|name| name.to_string()).collect();
    let more = all.saturating_sub(named.len());
    named.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

/// Cuts a text to so many characters in one line, with `…` at its end if it was longer.
pub fn bounded(text: &str, chars: usize) -> String {
    marked(text, chars, "…")
}

/// Cuts a text to so many characters in one line, with this mark as the last of them if it was longer.
pub fn marked(text: &str, chars: usize, mark: &str) -> String {
    let line = plain_line(text);
    if line.chars().count() <= chars {
        return line;
    }
    line.chars().take(chars.saturating_sub(mark.chars().count())).chain(mark.chars()).collect()
}

/// Puts a text of a vendor or a person into one line: control characters and line breaks become spaces, and invisible
/// characters are dropped. Those could reverse the direction of the text behind them, or split a word that is searched for.
pub fn plain_line(text: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.chars().filter(|c| !is_unseen(*c)).map(|c| if breaks(c) { ' ' } else { c }).collect()
}

/// Whether it has no width and no glyph: Unicode's format characters (general category Cf), except the few that are drawn.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_places_agree_with_their_number() {
        let counts = [0, 1, 2, 1_240].map(|count: u64| counted(count, "row"));
        assert_eq!(counts, ["0 rows", "1 row", "2 rows", "1,240 rows"]);
        assert_eq!(counted(u128::MAX, "row"), "18,446,744,073,709,551,615 rows");
        let places = [1, 2, 3, 4, 11, 12, 13, 21, 102, 113].map(ordinal);
        assert_eq!(places, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "113th"]);
    }

    #[test]
    fn table_columns_are_as_wide_as_their_widest_cell_in_characters() {
        let rows = [["ä".to_owned(), "long cell".to_owned()], ["abc".to_owned(), String::new()]];
        assert_eq!(table(["a", "b"], &rows), "a    b\nä    long cell\nabc");
        assert_eq!(table(["a"], &[]), "a");
    }

    #[test]
    fn plain_line_drops_invisible_and_direction_characters() {
        for (text, line) in [
            ("a\r\n\tb", "a   b"),
            ("a\u{2028}b\u{2029}c\u{85}d", "a b c d"),
            ("pay\u{202e}lap\u{2066}x\u{2069}", "paylapx"),
            ("ann\u{200b}@exam\u{ad}ple.com\u{feff}", "ann@example.com"),
            ("Zoë 数据 🙂", "Zoë 数据 🙂"),
        ] {
            assert_eq!(plain_line(text), line);
            assert_eq!(marked(text, 99, "..."), line);
        }
    }

    #[test]
    fn bounded_text_is_one_line_and_marks_the_cut() {
        assert_eq!(bounded("ab\ncd", 5), "ab cd");
        assert_eq!(bounded("äbcdef", 5), "äbcd…");
    }
}
