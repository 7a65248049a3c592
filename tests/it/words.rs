//! Plain words: the whole repository is written in the field's terms, and its test names and README are short.

use std::fs;
use std::path::PathBuf;

use crate::tidy::{root, rust_files};

/// Words that this project does not use, alone or as a phrase of several.
const BANNED: [&str; 34] = [
    "nobody",
    "somebody",
    "whoever",
    "anybody",
    "seldom",
    "of late",
    "at the most",
    "in the course of",
    "of one's own",
    "tell",
    "tells",
    "told",
    "telling",
    "hear",
    "hears",
    "heard",
    "mend",
    "mends",
    "mended",
    "mending",
    "reckon",
    "reckons",
    "reckoned",
    "speak",
    "speaks",
    "spoken",
    "whatever",
    "look at",
    "looks at",
    "looked at",
    "is over",
    "was over",
    "takes on",
    "taken on",
];

/// Places that keep such a word, each with the text that is left out before the check.
const EXCEPTIONS: [(&str, &str); 10] = [
    // The goal of quiet nights, in its own words.
    ("README.md", "hear nothing"),
    // Two identifiers side by side.
    ("shared/src/incident/decide.rs", "looks at policy looks"),
    // "to tell apart" has no plainer word.
    ("", "tell apart"),
    ("", "tells apart"),
    ("", "told apart"),
    // A count above its limit, not an end.
    ("", "is over the"),
    ("", "is over its"),
    // The name of an attribute that is stored.
    ("shared/src/aws/incidents/silences.rs", "told"),
    ("shared/src/aws/incidents/silences/tests.rs", "told"),
    // The first line of a file that is written from the fixtures.
    ("shared/src/classify/", "learned to speak for a class"),
];

/// Texts of vendors, and files that tools write.
const SKIPPED: [&str; 5] = [
    "tests/fixtures/",
    "shared/src/classify/knowledge/",
    "shared/src/classify/words.txt",
    "LICENSE",
    "Cargo.lock",
];
const KINDS: [&str; 14] =
    ["rs", "md", "tf", "hcl", "toml", "json", "sql", "py", "txt", "html", "snap", "yml", "sh", "tfvars"];

/// The files of the repository that people read.
fn files() -> Vec<PathBuf> {
    let mut found = vec![root().join("Makefile"), root().join(".gitignore")];
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                let is_ours = !name.starts_with('.') || [".github", ".ci", ".cargo"].contains(&name.as_str());
                if is_ours && !["target", "node_modules", "__pycache__"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|kind| KINDS.contains(&kind.to_str().unwrap())) {
                found.push(path);
            }
        }
    }
    let place = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    // This file names the words.
    found.retain(|path| {
        place(path) != "tests/it/words.rs" && !SKIPPED.iter().any(|skipped| place(path).starts_with(skipped))
    });
    found
}

/// A text in lower case, with a blank around each word and none of its marks.
fn words(text: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '_' | '\'' | '-') { c } else { ' ' };
    let words: String = text.to_lowercase().chars().map(plain).collect();
    format!(" {} ", words.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The banned words in a line of a file.
fn banned_in(place: &str, line: &str) -> Vec<&'static str> {
    let mut line = words(line);
    for (_, allowed) in EXCEPTIONS.iter().filter(|(file, _)| place.starts_with(file)) {
        // Twice, as matches that share a blank do not overlap.
        line = line.replace(&format!(" {allowed} "), "  ").replace(&format!(" {allowed} "), "  ");
    }
    BANNED.into_iter().filter(|word| line.contains(&format!(" {word} "))).collect()
}

#[test]
fn words_of_the_repository_are_plain() {
    assert!(EXCEPTIONS.len() <= 20);
    let mut found = Vec::new();
    for file in files() {
        let place = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (index, line) in text.lines().enumerate() {
            for word in banned_in(&place, line) {
                found.push(format!("{place}:{}: {word}", index + 1));
            }
            // Sentences do not begin with a clause in place of a noun. Questions may.
            let comment =
                line.trim_start().strip_prefix("//").map(|line| line.trim_start_matches(['/', '!', ' ']));
            let clause = comment.filter(|line| line.starts_with("What ") || line.starts_with("Whoever "));
            if clause.is_some_and(|line| !line.contains('?')) {
                found.push(format!("{place}:{}: a sentence that begins with a clause", index + 1));
            }
        }
    }
    assert!(
        found.is_empty(),
        "{} places use words that CONTRIBUTING excludes:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn banned_words_are_found_and_exceptions_are_narrow() {
    assert_eq!(banned_in("README.md", "Nobody is told; it is over."), ["nobody", "told", "is over"]);
    assert_eq!(banned_in("README.md", "It tells apart what is_told says; 6% is over the limit"), [""; 0]);
    assert_eq!(banned_in("infra/main.tf", "told"), ["told"]);
}

#[test]
fn test_names_have_at_most_60_characters() {
    let mut long = Vec::new();
    for file in ["functions", "shared", "tests"].into_iter().flat_map(rust_files) {
        let text = fs::read_to_string(&file).unwrap();
        for name in text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next()) {
            if name.len() > 60 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                long.push(format!("{}: {name}", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "shorten these names:\n{}", long.join("\n"));
}

#[test]
fn readme_has_at_most_1500_words() {
    let count = fs::read_to_string(root().join("README.md")).unwrap().split_whitespace().count();
    assert!(count <= 1_500, "README.md has {count} words");
}
