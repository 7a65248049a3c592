//! Quoted text, in the quotes of any language.

/// A text in quotes and what is around it.
pub(super) struct Quoted<'t> {
    pub(super) before: &'t str,
    /// The quote before it, such as `"`, `'`, a backtick or `«`.
    pub(super) mark: char,
    pub(super) inner: &'t str,
    /// The quote behind it.
    pub(super) close: char,
    pub(super) after: &'t str,
}

/// The quotes that end what this one begins; none if it is not a quote.
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

/// The first quoted text. A single quote between letters is an apostrophe.
pub(super) fn next_quoted(text: &str) -> Option<Quoted<'_>> {
    let (mut last, mut before_last): (Option<char>, Option<char>) = (None, None);
    // Quotes that nothing closes from here on; none behind them is closed either.
    let mut open: Vec<char> = Vec::new();
    for (at, mark) in text.char_indices() {
        let closing = closing(mark);
        // Python shows texts as `u'...'` and `b'...'`.
        let prefixed = matches!(last, Some('u' | 'b')) && !before_last.is_some_and(char::is_alphanumeric);
        let apostrophe = mark == '\'' && last.is_some_and(char::is_alphanumeric) && !prefixed;
        let escaped = last == Some('\\');
        before_last = last.replace(mark);
        if closing.is_empty() || apostrophe || escaped || open.contains(&mark) {
            continue;
        }
        let (before, inside) = (text.get(..at)?, text.get(at + mark.len_utf8()..)?);
        let end = inside.char_indices().find(|(end, c)| {
            if inside.get(..*end).is_some_and(|inner| inner.ends_with('\\')) {
                return false;
            }
            let after = inside.get(end + c.len_utf8()..).and_then(|rest| rest.chars().next());
            closing.contains(c) && (!matches!(c, '\'' | '’') || !after.is_some_and(char::is_alphanumeric))
        });
        if let Some((end, close)) = end {
            let (inner, after) = (inside.get(..end)?, inside.get(end + close.len_utf8()..)?);
            return Some(Quoted { before, mark, inner, close, after });
        }
        open.push(mark);
    }
    None
}
