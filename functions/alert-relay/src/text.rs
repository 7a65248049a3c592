//! Text within a vendor's limits.
//!
//! Vendors publish limits in characters and do not say which. A UTF-16 unit is the smallest that any of them is likely
//! to mean (an emoji is two), so limits are counted in these.

use sha2::{Digest as _, Sha256};
use syncwatch::text::plain_line;

/// The text in one line and within the limit, marked where it is cut. Never cut inside a character.
pub fn cut(text: &str, limit: usize) -> String {
    fit(text, limit, |_| None)
}

/// The same for Slack's `mrkdwn`, in which `&`, `<` and `>` are written as entities. Never cut inside an entity.
pub fn cut_mrkdwn(text: &str, limit: usize) -> String {
    fit(text, limit, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    })
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

fn fit(text: &str, limit: usize, entity: fn(char) -> Option<&'static str>) -> String {
    let (mut whole, mut units) = (String::new(), 0);
    // How much of the text still leaves room for the mark.
    let mut marked_end = 0;
    for c in plain_line(text).chars() {
        let entity = entity(c);
        units += entity.map_or(c.len_utf16(), str::len);
        if units > limit {
            whole.truncate(marked_end);
            whole.extend(MARK.chars().take(limit));
            return whole;
        }
        match entity {
            Some(entity) => whole.push_str(entity),
            None => whole.push(c),
        }
        if units + MARK.len() <= limit {
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
    fn a_text_that_fits_stays_as_it_is() {
        assert_eq!(cut("late by 5 min", 13), "late by 5 min");
        assert_eq!(cut_mrkdwn("a & b", 9), "a &amp; b");
    }

    #[test]
    fn a_text_that_is_cut_says_so() {
        assert_eq!(cut("late by 5 min", 12), "late by 5...");
        assert_eq!(cut("late", 2), "..");
        assert_eq!(cut("two\nli\u{202e}nes", 20), "two lines");
    }

    #[test]
    fn neither_a_character_nor_an_entity_is_cut_in_two() {
        // Two UTF-16 units each, so that five units hold one and the mark.
        assert_eq!(cut("\u{1F525}\u{1F525}\u{1F525}", 5), "\u{1F525}...");
        assert_eq!(cut_mrkdwn("a&b&c", 9), "a&amp;...");
        assert_eq!(cut_mrkdwn("a&b&c", 8), "a...");
    }

    #[test]
    fn a_blank_text_gives_way_to_the_next() {
        assert_eq!(first_of([" \n", "title"]), "title");
        assert_eq!(first_of(["", "\u{7}"]), "-");
    }

    proptest! {
        #[test]
        fn any_text_is_within_any_limit(text in any::<String>(), limit in 0_usize..200) {
            for short in [cut(&text, limit), cut_mrkdwn(&text, limit)] {
                prop_assert!(units(&short) <= limit);
                prop_assert!(!short.chars().any(char::is_control));
            }
            prop_assert!(!cut_mrkdwn(&text, limit).contains(['<', '>']));
        }

        #[test]
        fn what_fits_is_never_cut(text in "\\PC{0,60}") {
            let limit = units(&text);
            prop_assert_eq!(cut(&text, limit), plain_line(&text));
        }
    }
}
