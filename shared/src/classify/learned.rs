//! Words that were learned to speak for a class: naive Bayes over the words, and pairs of words, that a text has.
//!
//! For texts whose reason neither codes nor rules name. It is never more than a guess. Learned from the rules and from the
//! public messages of `tests/fixtures/errors` that rules may be written from; by words of other sources alone it finds the
//! class of six in ten.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use super::{ErrorClass, structure};

/// Points of each class, in tenths of a natural logarithm.
pub(super) type Points = BTreeMap<ErrorClass, i32>;

/// Only so many words of a text are read.
const WORDS: usize = 100;
/// The entry of what a class has without any word.
const PRIOR: &str = "*";

/// The weights of each word or pair of words, as `class=points class=points`.
static WEIGHTS: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| weights(include_str!("knowledge/learned.txt")));

fn weights(text: &str) -> HashMap<&str, &str> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(": ")).collect()
}

/// How much the words of a text speak for each class; nothing if it has none that is known.
pub(super) fn points(text: &str) -> Points {
    points_by(&WEIGHTS, text)
}

fn points_by(weights: &HashMap<&str, &str>, text: &str) -> Points {
    let features = features(text);
    let mut known = features.iter().filter_map(|feature| weights.get(feature.as_str())).peekable();
    let mut points = Points::new();
    if known.peek().is_none() {
        return points;
    }
    for entry in known.chain(weights.get(PRIOR)) {
        let of_classes = entry.split(' ').filter_map(|part| part.split_once('='));
        for (class, weight) in of_classes
            .filter_map(|(id, weight)| Some((ErrorClass::from_id(id)?, weight.parse::<i32>().ok()?)))
        {
            *points.entry(class).or_default() += weight;
        }
    }
    points
}

/// The words of a text and the pairs of words that follow each other. Digits count as statuses of HTTP only.
fn features(text: &str) -> BTreeSet<String> {
    let words = structure::words(&with_words_apart(text));
    let words: Vec<&str> =
        words.iter().flat_map(|word| word.split(['_', '\''])).filter(is_feature).take(WORDS).collect();
    let pairs = words.iter().zip(words.iter().skip(1)).map(|(first, second)| format!("{first} {second}"));
    words.iter().map(|word| (*word).to_owned()).chain(pairs).collect()
}

fn is_feature(word: &&str) -> bool {
    let is_status = word.len() == 3 && word.starts_with(['4', '5']) && word.parse::<u16>().is_ok();
    is_status || (word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase()))
}

/// `ReadTimeout` is two words.
fn with_words_apart(text: &str) -> String {
    let mut apart = String::with_capacity(text.len());
    let mut small = false;
    for c in text.chars() {
        if small && c.is_ascii_uppercase() {
            apart.push(' ');
        }
        small = c.is_ascii_lowercase();
        apart.push(c);
    }
    apart
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::classify::fixtures::{Public, seen};

    const HEAD: &str = "# Words, and pairs of words, that were learned to speak for a class, in tenths of a natural logarithm; `*` is \
        what a class\n# has without any. Do not edit: SYNCWATCH_REWRITE_TABLES=1 cargo test -p syncwatch --lib classify::learned\n";
    /// A word is learned from so many messages at least, and only if it speaks so much for a class.
    const LEAST_MESSAGES: usize = 2;
    const LEAST_POINTS: i32 = 20;
    const PARTS: usize = 10;

    type Example = (ErrorClass, BTreeSet<String>);

    fn tenths(odds: f64) -> i32 {
        (10.0 * odds.ln()).round() as i32
    }

    fn learn(examples: &[&Example]) -> String {
        let (mut of_class, mut of_any, mut here): (
            BTreeMap<_, usize>,
            BTreeMap<_, usize>,
            BTreeMap<_, usize>,
        ) = Default::default();
        for (class, features) in examples {
            *of_class.entry(*class).or_default() += 1;
            for feature in features {
                *of_any.entry(feature).or_default() += 1;
                *here.entry((feature, *class)).or_default() += 1;
            }
        }
        let all = examples.len();
        let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (class, of_class) in &of_class {
            let prior = tenths(*of_class as f64 / all as f64) / 2;
            lines.entry(PRIOR).or_default().push(format!("{class}={prior}"));
        }
        for ((feature, class), here) in &here {
            let (of_any, of_class) = (of_any[feature], of_class[class]);
            let inside = *here as f64 / (of_class + 1) as f64;
            let outside = (of_any - here + 1) as f64 / (all - of_class + 1) as f64;
            let points = tenths(inside / outside);
            let least = if feature.contains(' ') { LEAST_MESSAGES + 1 } else { LEAST_MESSAGES };
            if of_any >= least && points >= LEAST_POINTS {
                lines.entry(feature).or_default().push(format!("{class}={points}"));
            }
        }
        lines.iter().map(|(feature, classes)| format!("{feature}: {}\n", classes.join(" "))).collect()
    }

    fn of_messages(messages: &[Public]) -> Vec<Example> {
        messages.iter().map(|message| (message.class, features(&structure::visible(&message.text)))).collect()
    }

    fn of_rules() -> Vec<Example> {
        let lines = include_str!("knowledge/words.txt").lines().filter(|line| !line.starts_with('#'));
        let rules = lines.filter_map(|line| line.split_once(": "));
        rules
            .map(|(id, text)| (ErrorClass::from_id(id).unwrap(), features(text.trim_start_matches("^ "))))
            .collect()
    }

    #[test]
    fn learned_words_are_those_of_the_messages() {
        let examples: Vec<Example> = of_messages(&seen()).into_iter().chain(of_rules()).collect();
        let learned = format!("{HEAD}{}", learn(&examples.iter().collect::<Vec<_>>()));
        if std::env::var_os("SYNCWATCH_REWRITE_TABLES").is_some() {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/classify/knowledge/learned.txt");
            std::fs::write(file, &learned).unwrap();
            return;
        }
        assert!(
            learned == include_str!("knowledge/learned.txt"),
            "messages changed: SYNCWATCH_REWRITE_TABLES=1 learns again"
        );
    }

    /// By words of other sources only: how well it does on messages that it never saw.
    #[test]
    fn words_of_other_sources_find_the_class_of_six_in_ten() {
        let messages = seen();
        let examples = of_messages(&messages);
        let mut sources: Vec<&str> = messages.iter().map(|message| message.source.as_str()).collect();
        sources.sort_unstable();
        sources.dedup();
        let part =
            |message: &Public| sources.iter().position(|source| *source == message.source).unwrap() % PARTS;
        let mut right = 0;
        for k in 0..PARTS {
            let others: Vec<&Example> = messages
                .iter()
                .zip(&examples)
                .filter(|(message, _)| part(message) != k)
                .map(|(_, example)| example)
                .collect();
            let learned = learn(&others);
            let weights = weights(&learned);
            for message in messages.iter().filter(|message| part(message) == k) {
                let points = points_by(&weights, &structure::visible(&message.text));
                let found = points.into_iter().max_by_key(|(_, points)| *points).map(|(class, _)| class);
                right += usize::from(
                    found.is_some_and(|class| class == message.class || message.accept.contains(&class)),
                );
            }
        }
        println!("by words of other sources: {right} of {}", messages.len());
        assert!(right * 10 >= messages.len() * 6);
    }
}
