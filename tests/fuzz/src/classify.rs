//! Fuzzes classification: any text has a class, and scrubs to one line of bounded length without addresses and quoted values.
#![no_main]

use libfuzzer_sys::fuzz_target;
use syncwatch::classify::{classify_text, identifier, scrub};

/// Whether a text has an address such as `an@address`: a letter or digit on both sides of an `@`.
fn has_address(text: &str) -> bool {
    let parts: Vec<&str> = text.split('@').collect();
    parts.windows(2).any(|pair| match pair {
        [before, after] => {
            before.ends_with(char::is_alphanumeric) && after.starts_with(char::is_alphanumeric)
        }
        _ => false,
    })
}

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let found = classify_text(&text);
    assert!(found.second.is_none_or(|second| second != found.class), "{found:?}");
    let shown = scrub(&text);
    assert!(shown.chars().count() <= 301 && !shown.chars().any(char::is_control), "{shown:?}");
    assert!(!has_address(&shown), "{shown}");
    assert_eq!(scrub(&shown), shown);
    assert!(!has_address(&identifier(&text)));
    // A value in the two places that vendors use most.
    let value = "Zyx Wvut";
    let around: String =
        text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | ':' | '.' | ',')).take(60).collect();
    // The fuzzer learns the value from the comparison below, and may write it where no vendor puts one.
    if around.contains(value) {
        return;
    }
    for said in [
        format!("{around} with value \"{value}\""),
        format!("{around}: data value too large: {value} (max length=4)"),
    ] {
        assert!(!scrub(&said).contains(value), "{said}");
    }
});
