//! The excerpt of the demo that README shows: written by a demo, and held to every later one.
//!
//! Figures and times differ from demo to demo, so what is compared is the text with every number taken out.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use syncwatch_lab::aws::workspace_root;

const BEGIN: &str = "<!-- demo: written by `make demo EXCERPT=1` -->\n```text\n";
const END: &str = "```\n<!-- demo: end -->";
/// The acts that are shown, by what breaks in them.
const SHOWN: [&str; 4] =
    ["a run of the update sync fails", "somebody breaks a view", "pauses the create sync", "Census is down"];

/// The lines of the acts that are shown, of all that were told.
pub(super) fn of(told: &[String]) -> String {
    let mut excerpt = String::new();
    let mut shown = false;
    for line in told {
        if let Some(title) = line.strip_prefix("BREAK") {
            shown = SHOWN.iter().any(|act| title.contains(act));
            if shown && !excerpt.is_empty() {
                excerpt.push('\n');
            }
        } else if line.starts_with("NIGHT") || line.starts_with("DOCTOR") {
            shown = false;
        }
        if shown {
            excerpt.push_str(line);
            excerpt.push('\n');
        }
    }
    excerpt
}

/// Writes the excerpt into README, or demands that README has one of the same shape.
///
/// # Errors
/// README cannot be read or written, has no place for it, or shows what the demo no longer tells.
pub(super) fn settle(told: &[String], write: bool) -> Result<()> {
    let path = workspace_root().join("README.md");
    let readme = fs::read_to_string(&path).context("reading README.md")?;
    let (before, rest) =
        readme.split_once(BEGIN).context("README.md does not mark where the excerpt begins")?;
    let (found, after) = rest.split_once(END).context("README.md does not mark where the excerpt ends")?;
    let excerpt = of(told);
    if write {
        return fs::write(&path, [before, BEGIN, &excerpt, END, after].concat()).context("writing README.md");
    }
    ensure!(
        shape(found) == shape(&excerpt),
        "README.md shows a demo that is no more: `make demo EXCERPT=1` writes it anew. This one told:\n{excerpt}"
    );
    Ok(())
}

/// The text with every number as `0`, without how long something took, and without news that something became worse: a
/// slow machine tells other ones.
fn shape(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.contains(", worse]"));
    let lines = lines.map(|line| line.split(" over after ").next().unwrap_or(line));
    lines.map(without_numbers).collect::<Vec<_>>().join("\n")
}

fn without_numbers(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_point = character == '.' && shape.ends_with('0');
        if is_point && characters.peek().is_some_and(char::is_ascii_digit) {
            // A figure has as many decimals as it needs.
            continue;
        }
        if !character.is_ascii_digit() {
            shape.push(character);
        } else if !shape.ends_with('0') {
            shape.push('0');
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_acts_that_are_shown_are_in_it_with_a_line_between_them() {
        let told = [
            "First round by hand",
            "BREAK   a run of the update sync fails, in real time",
            "NOTICE  [error] failed",
            "BREAK   a storm",
            "NOTICE  [error] other",
            "BREAK   somebody pauses the create sync",
            "MEND",
            "NIGHT   it is 23:59",
            "NOTICE  [warning] more",
        ];
        let told = told.map(str::to_owned);
        assert_eq!(
            of(&told),
            "BREAK   a run of the update sync fails, in real time\nNOTICE  [error] failed\n\n\
             BREAK   somebody pauses the create sync\nMEND\n"
        );
    }

    #[test]
    fn numbers_make_no_difference_and_words_do() {
        assert_eq!(shape("19,348 of 20,764, 93.18%"), shape("9,1 of 100,000, 5%"));
        assert_ne!(shape("3 rows"), shape("3 lines"));
        assert_eq!(
            shape("it failed: over after 3s\n[critical, worse] x"),
            shape("it failed: over after 1m 2s")
        );
    }
}
