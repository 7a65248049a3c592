//! Text within a vendor's limits.
//!
//! Vendors publish limits in characters and do not say which. A UTF-16 unit is the smallest that any of them is likely
//! to mean (an emoji is two), so limits are counted in these.

/// A text in one line: control characters become spaces.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The text in one line and within the limit, marked where it is cut. Never cut inside a character.
pub fn cut(text: &str, limit: usize) -> String {
    fit(one_line(text).chars().map(Piece::Char), limit)
}

/// The same for Slack's `mrkdwn`, in which `&`, `<` and `>` are written as entities. Never cut inside an entity.
pub fn cut_mrkdwn(text: &str, limit: usize) -> String {
    fit(one_line(text).chars().map(Piece::mrkdwn), limit)
}

/// The first text that is not blank.
pub fn first_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> &'a str {
    texts.into_iter().find(|text| !one_line(text).trim().is_empty()).unwrap_or("-")
}

const MARK: &str = "...";

/// What may not be cut in two.
#[derive(Debug, Clone, Copy)]
enum Piece {
    Char(char),
    Entity(&'static str),
}

impl Piece {
    fn mrkdwn(c: char) -> Self {
        match c {
            '&' => Self::Entity("&amp;"),
            '<' => Self::Entity("&lt;"),
            '>' => Self::Entity("&gt;"),
            c => Self::Char(c),
        }
    }

    fn units(self) -> usize {
        match self {
            Self::Char(c) => c.len_utf16(),
            Self::Entity(text) => text.len(),
        }
    }

    fn push_onto(self, text: &mut String) {
        match self {
            Self::Char(c) => text.push(c),
            Self::Entity(entity) => text.push_str(entity),
        }
    }
}

fn fit(pieces: impl Iterator<Item = Piece>, limit: usize) -> String {
    let (mut whole, mut units) = (String::new(), 0);
    // How much of the text still leaves room for the mark.
    let mut marked_end = 0;
    for piece in pieces {
        units += piece.units();
        if units > limit {
            whole.truncate(marked_end);
            whole.extend(MARK.chars().take(limit));
            return whole;
        }
        piece.push_onto(&mut whole);
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
        assert_eq!(cut("two\nlines", 20), "two lines");
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
            prop_assert_eq!(cut(&text, limit), one_line(&text));
        }
    }
}
