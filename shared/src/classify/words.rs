//! Rules for vendors' words, in any order, and their scores.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{ErrorClass, structure};

/// The most words between the parts of one rule: a sentence or two.
const SPAN: usize = 14;

/// The most words that count of a rule for the place of a failure.
const WRAPPER_WORDS: usize = 2;

/// One line of `knowledge/words.txt`: all its parts must be near each other.
struct Rule {
    class: ErrorClass,
    /// As written, to explain the class to people.
    text: &'static str,
    parts: Vec<Vec<String>>,
    /// The number of its words: the more, the less likely is a match by chance.
    weight: usize,
    /// Whether it is for the reason of a failure, not for its place.
    says_why: bool,
}

/// `class: words + other words`: each part is a sequence of words, and the parts are in any order.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let lines = include_str!("knowledge/words.txt").lines().filter(|line| !line.starts_with('#'));
    let rule = |line: &'static str| {
        let (id, text) = line.split_once(": ")?;
        let (text, says_why) = text.strip_prefix("^ ").map_or((text, true), |text| (text, false));
        let parts: Vec<Vec<String>> = text.split(" + ").map(structure::words).collect();
        let weight =
            parts.iter().map(Vec::len).sum::<usize>().min(if says_why { usize::MAX } else { WRAPPER_WORDS });
        Some(Rule { class: ErrorClass::from_id(id)?, text, parts, weight, says_why })
    };
    lines.filter_map(rule).collect()
});

/// The score of a class by words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Score {
    pub(super) class: ErrorClass,
    pub(super) points: usize,
    /// Whether any of its rules is for the reason of a failure, not for its place.
    pub(super) says_why: bool,
    /// Its rule with the most words.
    pub(super) rule: &'static str,
}

/// Returns the scores of the classes, the highest first; equal ones in the order of the text.
pub(super) fn scores(words: &[String]) -> Vec<Score> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, word) in words.iter().enumerate() {
        places.entry(word).or_default().push(at);
    }
    let mut found: Vec<(usize, &Rule)> =
        RULES.iter().filter_map(|rule| Some((place(rule, words, &places)?, rule))).collect();
    found.sort_by_key(|(at, rule)| (*at, std::cmp::Reverse(rule.weight)));
    let mut scores: Vec<Score> = Vec::new();
    for (_, Rule { class, .. }) in &found {
        if scores.iter().any(|score| score.class == *class) {
            continue;
        }
        let rules = || found.iter().map(|(_, rule)| *rule).filter(|rule| rule.class == *class);
        // The first of those with most words.
        let Some(most) = rules().min_by_key(|rule| std::cmp::Reverse(rule.weight)) else { continue };
        let points = rules().map(|rule| rule.weight).sum();
        scores.push(Score {
            class: *class,
            points,
            says_why: rules().any(|rule| rule.says_why),
            rule: most.text,
        });
    }
    // Stable: of equal ones, the first in the text stays first.
    scores.sort_by_key(|score| std::cmp::Reverse(score.points));
    scores
}

/// Returns the position of the first part of a rule, if its other parts are near it.
fn place(rule: &Rule, words: &[String], places: &HashMap<&str, Vec<usize>>) -> Option<usize> {
    let occurrences = |part: &[String]| -> Vec<usize> {
        let Some(starts) = part.first().and_then(|first| places.get(first.as_str())) else {
            return Vec::new();
        };
        let matches = |at: &&usize| {
            words
                .get(**at..)
                .is_some_and(|rest| rest.len() >= part.len() && rest.iter().zip(part).all(|(a, b)| a == b))
        };
        starts.iter().filter(matches).copied().collect()
    };
    let (first, others) = rule.parts.split_first()?;
    let firsts = occurrences(first);
    if firsts.is_empty() {
        return None;
    }
    let others: Vec<Vec<usize>> = others.iter().map(|part| occurrences(part)).collect();
    let near =
        |at: &usize| others.iter().all(|places| places.iter().any(|other| other.abs_diff(*at) <= SPAN));
    firsts.into_iter().find(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_read_once() {
        let text = include_str!("knowledge/words.txt");
        let lines: Vec<&str> =
            text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert_eq!(RULES.len(), lines.len(), "a line has no class");
        for (index, line) in lines.iter().enumerate() {
            assert!(!lines[..index].contains(line), "{line} is there twice");
            let (_, words) = line.split_once(": ").unwrap();
            let words = words.trim_start_matches("^ ");
            let plain = words.split(" + ").flat_map(structure::words).collect::<Vec<_>>();
            // Chinese is split into characters.
            let spaces = |text: &str| text.replace([' ', '+'], "");
            assert_eq!(spaces(&plain.concat()), spaces(words), "not words as texts are split: {line}");
        }
    }

    #[test]
    fn parts_match_in_any_order_but_near_each_other() {
        let of = |text: &str| scores(&structure::words(text)).first().map(|score| score.class);
        assert_eq!(of("the user is inactive: owner of it"), of("owner: inactive user"));
        let far = format!("column {} does not exist", "and ".repeat(40));
        assert_eq!(of(&far), None);
    }
}
