//! Text within a vendor's limits.
//!
//! Vendors publish limits in characters without defining them. A UTF-16 unit is the smallest that any of them is likely to
//! mean (an emoji is two), so limits are counted in these.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use syncwatch::text::plain_line;

/// Fits a text into one line within the limit, with a mark where it is cut. Never cuts inside a character.
pub fn cut(text: &str, limit: usize) -> String {
    fit(text, limit, |_, _| None)
}

/// Fits a text into Slack's `mrkdwn`, in which `&`, `<` and `>` are entities. Never cuts inside an entity.
///
/// Other chats that take Slack's JSON notify people at the word `@all`, so an `@` that begins a word becomes a full-width one.
pub fn cut_mrkdwn(text: &str, limit: usize) -> String {
    fit(text, limit, |before, c| match c {
        '@' if !before.is_some_and(char::is_alphanumeric) => Some("\u{ff20}"),
        _ => entity(c),
    })
}

/// The whole text in one line for code and addresses in Slack's `mrkdwn`.
pub fn escaped(text: &str) -> String {
    fit(text, usize::MAX, |_, c| entity(c))
}

fn entity(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

/// An instant to the second, in UTC. Vendors parse fractions of a second in different ways.
pub fn second_utc(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The first text that is not blank.
pub fn first_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> &'a str {
    texts.into_iter().find(|text| !plain_line(text).trim().is_empty()).unwrap_or("-")
}

/// The first bytes of a text's SHA-256, in hexadecimal digits.
pub fn digest(text: &str, bytes: usize) -> String {
    Sha256::digest(text.as_bytes()).iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

const MARK: &str = "...";

/// Fits a text into one line within the limit. `replace` gets each character with the one before it.
fn fit(text: &str, limit: usize, replace: fn(Option<char>, char) -> Option<&'static str>) -> String {
    let (mut whole, mut units) = (String::new(), 0_usize);
    // The end of the longest beginning that leaves room for the mark.
    let mut marked_end = 0;
    let mut before = None;
    for c in plain_line(text).chars() {
        let replaced = replace(before.replace(c), c);
        units += replaced.map_or(c.len_utf16(), |text| text.chars().map(char::len_utf16).sum());
        if units > limit {
            whole.truncate(marked_end);
            whole.extend(MARK.chars().take(limit));
            return whole;
        }
        match replaced {
            Some(text) => whole.push_str(text),
            None => whole.push(c),
        }
        if units.saturating_add(MARK.len()) <= limit {
            marked_end = whole.len();
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(text: &str) -> usize {
        text.encode_utf16().count()
    }

    #[test]
    fn text_within_the_limit_is_unchanged() {
        assert_eq!(cut("late by 5 min", 13), "late by 5 min");
        assert_eq!(cut_mrkdwn("a & b", 9), "a &amp; b");
        assert_eq!(escaped("a & @b"), "a &amp; @b");
    }

    #[test]
    fn cut_text_ends_with_a_mark() {
        assert_eq!(cut("late by 5 min", 12), "late by 5...");
        assert_eq!(cut("late", 2), "..");
        assert_eq!(cut("two\nli\u{202e}nes", 20), "two lines");
    }

    #[test]
    fn at_sign_that_begins_a_word_mentions_no_one() {
        assert_eq!(cut_mrkdwn("@all (@here) a@b.com", 99), "\u{ff20}all (\u{ff20}here) a@b.com");
        assert_eq!(cut_mrkdwn("\u{200b}@all", 4), "\u{ff20}all");
    }

    #[test]
    fn instant_is_shown_to_the_second() {
        assert_eq!(second_utc("2026-11-24T11:12:30.123456789Z".parse().unwrap()), "2026-11-24T11:12:30Z");
    }

    #[test]
    fn neither_a_character_nor_an_entity_is_split() {
        // Two UTF-16 units each, so that five units hold one and the mark.
        assert_eq!(cut("\u{1F525}\u{1F525}\u{1F525}", 5), "\u{1F525}...");
        assert_eq!(cut_mrkdwn("a&b&c", 9), "a&amp;...");
        assert_eq!(cut_mrkdwn("a&b&c", 8), "a...");
    }

    #[test]
    fn first_text_that_is_not_blank_is_used() {
        assert_eq!(first_of([" \n", "title"]), "title");
        assert_eq!(first_of(["", "\u{7}"]), "-");
    }

    proptest! {
        #[test]
        fn any_text_fits_any_limit(text in any::<String>(), limit in 0_usize..200) {
            for short in [cut(&text, limit), cut_mrkdwn(&text, limit)] {
                prop_assert!(units(&short) <= limit);
                prop_assert!(!short.chars().any(char::is_control));
            }
            prop_assert!(!cut_mrkdwn(&text, limit).contains(['<', '>']));
        }

        #[test]
        fn text_of_the_exact_length_is_not_cut(text in "\\PC{0,60}") {
            let limit = units(&text);
            prop_assert_eq!(cut(&text, limit), plain_line(&text));
        }
    }
}
