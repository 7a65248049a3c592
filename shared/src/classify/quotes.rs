//! Finds quoted text, in the quotation marks of any language.

/// A quoted text and the text around it.
pub(super) struct Quoted<'t> {
    pub(super) before: &'t str,
    /// The opening mark, such as `"`, `'`, a backtick or `«`.
    pub(super) mark: char,
    pub(super) inner: &'t str,
    /// The closing mark.
    pub(super) close: char,
    pub(super) after: &'t str,
}

/// Returns the marks that close this one; none if it is not a quotation mark.
pub(super) fn closing(mark: char) -> &'static [char] {
    match mark {
        '"' => &['"'],
        '`' => &['`'],
        '\'' => &['\''],
        '“' => &['”'],
        '„' => &['“', '”'],
        '‘' => &['’'],
        '‚' => &['‘', '’'],
        '«' => &['»'],
        '»' => &['«'],
        '‹' => &['›'],
        '›' => &['‹'],
        '「' => &['」'],
        '『' => &['』'],
        _ => &[],
    }
}

/// Iterates over the quoted texts of a text, in order.
pub(super) struct Quotes<'t> {
    /// The text behind the last quoted one.
    pub(super) rest: &'t str,
    /// Marks that nothing closes from here on, so that each is searched once, even if it occurs often.
    open: Vec<char>,
}

impl<'t> Quotes<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self { rest: text, open: Vec::new() }
    }
}

impl<'t> Iterator for Quotes<'t> {
    type Item = Quoted<'t>;

    /// Returns the next quoted text. A single quote between letters is an apostrophe.
    fn next(&mut self) -> Option<Quoted<'t>> {
        let text = self.rest;
        let (mut last, mut before_last): (Option<char>, Option<char>) = (None, None);
        for (at, mark) in text.char_indices() {
            // Python writes strings as `u'...'` and `b'...'`.
            let prefixed = matches!(last, Some('u' | 'b')) && !before_last.is_some_and(char::is_alphanumeric);
            let apostrophe = mark == '\'' && last.is_some_and(char::is_alphanumeric) && !prefixed;
            let escaped = last == Some('\\');
            before_last = last.replace(mark);
            if closing(mark).is_empty() || apostrophe || escaped || self.open.contains(&mark) {
                continue;
            }
            let (before, inside) = (text.get(..at)?, text.get(at + mark.len_utf8()..)?);
            if let Some((end, close)) = end_of(mark, inside) {
                let (inner, after) = (inside.get(..end)?, inside.get(end + close.len_utf8()..)?);
                self.rest = after;
                return Some(Quoted { before, mark, inner, close, after });
            }
            self.open.push(mark);
        }
        None
    }
}

/// Returns the end of a quoted text, and its closing mark.
fn end_of(mark: char, inside: &str) -> Option<(usize, char)> {
    let closing = closing(mark);
    let mut last = None;
    let mut chars = inside.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let escaped = last.replace(c) == Some('\\');
        let apostrophe =
            matches!(c, '\'' | '’') && chars.peek().is_some_and(|(_, next)| next.is_alphanumeric());
        if closing.contains(&c) && !escaped && !apostrophe {
            return Some((at, c));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_are_found_in_order_with_the_text_between() {
        let of = |text| {
            let mut quotes = Quotes::of(text);
            let found: Vec<_> = quotes.by_ref().map(|quoted| (quoted.before, quoted.inner)).collect();
            (found, quotes.rest)
        };
        assert_eq!(of("a 'b' \"c 'd'\" e"), (vec![("a ", "b"), (" ", "c 'd'")], " e"));
        assert_eq!(of("Mary O'Neil's u'x' of Bob's"), (vec![("Mary O'Neil's u", "x")], " of Bob's"));
        assert_eq!(of(r#"x "a \"b\" c" y"#), (vec![("x ", r#"a \"b\" c"#)], " y"));
        assert_eq!(of("«\"a\"«\"b\""), (vec![("«", "a"), ("«", "b")], ""));
        assert_eq!(of("\"never closed"), (vec![], "\"never closed"));
    }
}
