//! The excerpt of the demo in README: written by one demo, and checked by every later one.
//!
//! Figures and times differ between demos, so the comparison ignores numbers.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use syncwatch_lab::aws::workspace_root;

const BEGIN: &str = "<!-- demo: written by `make demo EXCERPT=1` -->\n```text\n";
const END: &str = "```\n<!-- demo: end -->";
/// The acts in the excerpt, by a part of their titles.
const SHOWN: [&str; 3] = ["a broken view", "coverage leaks", "the create sync is paused"];

/// The lines of the acts in the excerpt.
pub(super) fn of(lines: &[String]) -> String {
    let mut excerpt = String::new();
    let mut shown = false;
    for line in lines {
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

/// Writes the excerpt into README, or checks that README has one of the same shape.
///
/// # Errors
/// README cannot be read or written, lacks the marks, or differs from this demo.
pub(super) fn settle(lines: &[String], write: bool) -> Result<()> {
    let path = workspace_root().join("README.md");
    let readme = fs::read_to_string(&path).context("reading README.md")?;
    let (before, rest) =
        readme.split_once(BEGIN).context("README.md lacks the mark where the excerpt begins")?;
    let (found, after) = rest.split_once(END).context("README.md lacks the mark where the excerpt ends")?;
    let excerpt = of(lines);
    if write {
        return fs::write(&path, [before, BEGIN, &excerpt, END, after].concat()).context("writing README.md");
    }
    ensure!(
        shape(found) == shape(&excerpt),
        "README.md shows an outdated demo; run `make demo EXCERPT=1` to rewrite it. This demo printed:\n{excerpt}"
    );
    Ok(())
}

/// How many characters are compared of a line that was cut short: where it is cut depends on the length of its numbers.
const COMPARED: usize = 50;

/// The rest of a line after these differs between days, or on a slow machine.
const DIFFERS: [&str; 3] = [", after ", " since ", " between "];

/// The text with every number as `0`, without durations and dates, and without notices that an incident became worse: on a slow
/// machine these differ.
fn shape(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.contains(", worse]"));
    let lines = lines.map(|line| {
        let end = DIFFERS.iter().filter_map(|mark| line.find(mark)).min();
        end.and_then(|end| line.get(..end)).unwrap_or(line)
    });
    let without_end = |line: String| {
        if line.ends_with("...") { line.chars().take(COMPARED).collect() } else { line }
    };
    lines.map(without_numbers).map(without_end).collect::<Vec<_>>().join("\n")
}

fn without_numbers(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_point = character == '.' && shape.ends_with('0');
        if is_point && characters.peek().is_some_and(char::is_ascii_digit) {
            // Figures differ in their number of decimals.
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
    fn excerpt_has_only_the_chosen_acts_with_blank_lines_between() {
        let lines = [
            "First round, run by hand",
            "BREAK   a broken view: every run completes",
            "NOTICE  [ERROR] failed",
            "BREAK   a storm",
            "NOTICE  [ERROR] other",
            "BREAK   the create sync is paused in Census",
            "FIX     the fault is removed",
            "NIGHT   it is 23:59",
            "NOTICE  [WARNING] more",
        ];
        let lines = lines.map(str::to_owned);
        assert_eq!(
            of(&lines),
            "BREAK   a broken view: every run completes\nNOTICE  [ERROR] failed\n\n\
             BREAK   the create sync is paused in Census\nFIX     the fault is removed\n"
        );
    }

    #[test]
    fn shape_ignores_numbers_and_keeps_words() {
        assert_eq!(shape("19,348 of 20,764, 93.18%"), shape("9,1 of 100,000, 5%"));
        assert_ne!(shape("3 rows"), shape("3 lines"));
        let notice = |rows| format!("NOTICE  [WARNING] company-names: company_name_c missing in {rows}...");
        assert_eq!(
            shape(&notice("625 of 1,961 rows (31.87%, limit 50) in")),
            shape(&notice("1,625 of 11,961 rows"))
        );
        assert_ne!(shape(&notice("3 rows")), shape(&notice("3 rows").replace("missing", "empty")));
        assert_eq!(
            shape("[RESOLVED] it runs, after 3s\n[CRITICAL, worse] x"),
            shape("[RESOLVED] it runs, after 1m 2s")
        );
        assert_eq!(
            shape("coverage falls under 95% between 1 and 3 May, most likely on the 2nd"),
            shape("coverage falls under 95% between 30 November and 4 December, most likely on the 1st")
        );
    }
}
