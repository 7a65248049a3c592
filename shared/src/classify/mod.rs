//! Classifies vendors' error messages, with the likely cause and the remedy.
//!
//! The structure comes first: the vendor's own words and quoted text; then codes, then words, then HTTP statuses. Codes and words
//! are data: see `knowledge/`. Messages may quote customers' values, so people see them only through [`scrub`] and
//! [`identifiers`].

mod classes;
mod codes;
#[cfg(test)]
mod fixtures;
mod learned;
mod quotes;
mod scrub;
mod structure;
mod words;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::finding::show_as_stored;
use crate::observation::{RejectedRecord, RunError};

pub use classes::{Change, ErrorClass, Family, Owner};
pub use scrub::{identifier, identifiers, scrub};

use codes::{CODES, Weight};
use structure::Name;
use words::Score;

/// The name of the figure with the id of the class.
pub const CLASS_FIGURE: &str = "error class";
/// The name of the figure that is there if the class is only a guess.
pub const CERTAINTY_FIGURE: &str = "certainty";

/// The certainty of a class. A guess gives no remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// A few words, or two equally likely classes.
    Guess,
    /// Several words that vendors use for this class alone, or an HTTP status.
    Likely,
    /// A vendor's code or sentence.
    Known,
}

show_as_stored!(Certainty);

/// The ground for a class. Holds only codes and words of the text that this project knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "found", rename_all = "lowercase")]
pub enum Ground {
    /// A vendor's code, such as `UNABLE_TO_LOCK_ROW`.
    Code(String),
    SqlState(String),
    /// Words of the list of rules, in any order.
    Words(String),
    Status(String),
    /// Census's status of a record.
    RecordStatus(String),
    /// Words that were learned from public messages.
    Learned,
    /// The text names a database or warehouse, so that a failed connection is the source's.
    Source,
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "code {code}"),
            Self::SqlState(state) => write!(f, "SQLSTATE {state}"),
            Self::Words(words) => write!(f, "words: {words}"),
            Self::Status(status) => write!(f, "HTTP status {status}"),
            Self::RecordStatus(status) => write!(f, "Census's record status {status}"),
            Self::Learned => f.write_str("words of similar messages"),
            Self::Source => f.write_str("names a database or warehouse"),
        }
    }
}

/// The class of an error, its certainty, and its grounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classification {
    pub class: ErrorClass,
    pub certainty: Certainty,
    /// The second most likely class, if it is a guess.
    pub second: Option<ErrorClass>,
    /// The grounds, the most important first.
    pub grounds: Vec<Ground>,
}

impl Classification {
    fn unknown() -> Self {
        Self { class: ErrorClass::Unknown, certainty: Certainty::Guess, second: None, grounds: Vec::new() }
    }

    fn known(class: ErrorClass, ground: Ground) -> Self {
        Self { class, certainty: Certainty::Known, second: None, grounds: vec![ground] }
    }

    /// Returns whether it is certain enough for a remedy.
    pub fn is_sure(&self) -> bool {
        self.certainty > Certainty::Guess
    }

    /// Returns a sentence with the likely classes, if it is a guess.
    pub fn guess(&self) -> Option<String> {
        let second = self.second.map_or_else(String::new, |second| format!(" or {second}"));
        let is_guess = !self.is_sure() && self.class != ErrorClass::Unknown;
        is_guess.then(|| format!("It may be {}{second}.", self.class))
    }
}

/// Classifies the error of a run by its code, else its message, else its detail; the first certain one decides.
pub fn classify(error: &RunError) -> Classification {
    let texts = [&error.code, &error.message, &error.detail].into_iter().flatten();
    best(texts.map(|text| classify_text(text)))
}

/// Classifies one record that did not arrive.
pub fn classify_record(record: &RejectedRecord) -> Classification {
    let class = match record.status.as_str() {
        // Census checks these two itself before it sends records (Census docs, "Sync Tracking").
        "NULL" => ErrorClass::RequiredFieldMissing,
        "DUPLICATE" => ErrorClass::KeyNotUnique,
        _ => return best(record.message.as_deref().map(classify_text)),
    };
    Classification::known(class, Ground::RecordStatus(record.status.clone()))
}

/// The first certain one, else the first guess.
fn best(found: impl IntoIterator<Item = Classification>) -> Classification {
    let mut found: Vec<_> = found.into_iter().filter(|found| found.class != ErrorClass::Unknown).collect();
    found.sort_by_key(|found| !found.is_sure());
    found.into_iter().next().unwrap_or_else(Classification::unknown)
}

/// The prefix of a run's error in Census's alerts.
const ALERT_PREFIX: &str = "sync has failed with error:";

/// Census's own sentences. The names behind them may read like a code.
const OPENINGS: [(&str, ErrorClass); 2] = [
    ("a mapped source column has been deleted", ErrorClass::DeletedSourceColumn),
    ("the array field being used does not appear to be valid json", ErrorClass::InvalidValue),
];

/// This many words of one class are more than a guess if they lead by [`LEAD`]; both need one more if the remedy changes something.
const SURE: usize = 3;
const LEAD: usize = 1;

/// Classifies an error by its text, from a vendor or pasted by a person.
pub fn classify_text(text: &str) -> Classification {
    let text = structure::visible(text);
    let lower = text.to_lowercase();
    let opening = lower.strip_prefix(ALERT_PREFIX).unwrap_or(&lower).trim_start();
    if let Some((sentence, class)) = OPENINGS.iter().find(|(sentence, _)| opening.starts_with(sentence)) {
        return Classification::known(*class, Ground::Words((*sentence).to_owned()));
    }
    let found = decide(&text);
    of_the_source(found, &lower)
}

fn decide(text: &str) -> Classification {
    let (code, wrapper) = codes(text);
    let evidence = Evidence {
        scores: words::scores(&structure::words(text)),
        learned: learned::points(text),
        code: code.or(wrapper),
        status: status(text),
    };
    let sure = match (code, sql_state(text)) {
        (Some((code, class, Weight::Reason)), _) => return evidence.of_reason(code, class),
        (Some((code, class, _)), _) => evidence.of_code(code, class),
        (None, Some((state, class))) => evidence.of_state(state, class),
        (None, None) => evidence.of_words().or_else(|| evidence.of_status()),
    };
    // If similar messages had a class with another kind of remedy, it is only a guess.
    sure.filter(|found| found.certainty == Certainty::Known || evidence.contradiction(found.class).is_none())
        .unwrap_or_else(|| evidence.guess())
}

/// The evidence for the classes of one text.
struct Evidence<'t> {
    /// Scores of the rules for words, the highest first.
    scores: Vec<Score>,
    learned: learned::Points,
    /// A code, also one that words may refine or that only wraps the reason.
    code: Option<Code<'t>>,
    status: Option<(&'t str, ErrorClass)>,
}

impl Evidence<'_> {
    /// Classifies by a code that is the reason itself. If similar messages clearly had another class, it is only a guess.
    fn of_reason(&self, code: &str, class: ErrorClass) -> Classification {
        let known = Classification::known(class, Ground::Code(code.to_owned()));
        let own = self.learned.get(&class).copied().unwrap_or_default();
        match self.contradiction(class) {
            Some((other, points)) if points >= own.max(0) + DOUBT => {
                Classification { certainty: Certainty::Guess, second: Some(other), ..known }
            }
            _ => known,
        }
    }

    /// Classifies by a code that has several reasons: the words beside it decide.
    fn of_code(&self, code: &str, class: ErrorClass) -> Option<Classification> {
        let ground = Ground::Code(code.to_owned());
        let mut found = by_words(&self.scores)
            .filter(|words| words.is_sure() || words.class.family() == class.family())
            .filter(|words| words.class != class);
        if let Some(words) = &mut found {
            words.grounds.push(ground.clone());
        }
        let found = found.unwrap_or_else(|| Classification::known(class, ground));
        Some(Classification { certainty: Certainty::Likely, second: None, ..found })
    }

    /// Classifies by a SQLSTATE. Drivers use the general ones for anything: 42000, XX000, HY000.
    fn of_state(&self, state: &str, class: ErrorClass) -> Option<Classification> {
        let known = Classification::known(class, Ground::SqlState(state.to_owned()));
        if codes::is_listed_state(state) {
            return Some(known);
        }
        self.of_words().or(Some(Classification { certainty: Certainty::Likely, ..known }))
    }

    fn of_words(&self) -> Option<Classification> {
        by_words(&self.scores).filter(Classification::is_sure)
    }

    /// Classifies by an HTTP status. A refusal has many reasons, which its body names; unavailability has one.
    fn of_status(&self) -> Option<Classification> {
        let (status, class) = self.status.filter(|(status, class)| !is_vague(status, *class))?;
        let known = Classification::known(class, Ground::Status(status.to_owned()));
        Some(Classification { certainty: Certainty::Likely, ..known })
    }

    /// The most likely class by the words of similar messages, with its points, if its remedy changes another thing.
    fn contradiction(&self, class: ErrorClass) -> Option<(ErrorClass, i32)> {
        let (other, points) = self.learned.iter().max_by_key(|(_, points)| **points)?;
        let differ = other.changes() != class.changes() && other.changes() != Change::Nothing;
        (class.changes() != Change::Nothing && differ && *points >= LEAST).then_some((*other, *points))
    }

    /// The most likely class by all uncertain evidence together.
    fn guess(&self) -> Classification {
        let mut points = self.learned.clone();
        let mut grounds = Vec::new();
        let mut add = |class, by: i32, ground| {
            *points.entry(class).or_default() += by;
            grounds.push(ground);
        };
        for score in &self.scores {
            let by = i32::try_from(score.points).unwrap_or(i32::MAX / 2).saturating_mul(BY_WORD);
            let by = if score.says_why { by } else { by.min(BY_PLACE) };
            add(score.class, by, Ground::Words(score.rule.to_owned()));
        }
        if let Some((code, class, _)) = self.code {
            add(class, BY_CODE, Ground::Code(code.to_owned()));
        }
        if let Some((status, class)) = self.status {
            add(class, BY_STATUS, Ground::Status(status.to_owned()));
        }
        let mut classes: Vec<(ErrorClass, i32)> = points.into_iter().collect();
        classes.sort_by_key(|(class, points)| (std::cmp::Reverse(*points), *class));
        let Some((class, _)) = classes.first().copied().filter(|(_, most)| *most >= LEAST) else {
            return Classification { grounds, ..Classification::unknown() };
        };
        if grounds.is_empty() {
            grounds.push(Ground::Learned);
        }
        let second = classes.get(1).map(|(class, _)| *class).filter(|class| *class != ErrorClass::Unknown);
        Classification { class, certainty: Certainty::Guess, second, grounds }
    }
}

/// Points for a class, in tenths of a natural logarithm: for a code that is not the reason itself, a status with several
/// meanings, and each word of a rule. A text whose classes all have less than [`LEAST`] is unknown.
const BY_CODE: i32 = 30;
const BY_STATUS: i32 = 60;
const BY_WORD: i32 = 15;
/// Words that only name the place of the failure.
const BY_PLACE: i32 = 5;
const LEAST: i32 = 40;
/// Another class needs this many points more to make a code a guess.
const DOUBT: i32 = 40;

/// Whether a status has several meanings, so that only its body names the reason.
fn is_vague(status: &str, class: ErrorClass) -> bool {
    use ErrorClass::{BurstLimit, LoginRefused, RequestTimeout};
    status.starts_with('4') && !matches!(class, BurstLimit | LoginRefused | RequestTimeout)
}

type Code<'t> = (&'t str, ErrorClass, Weight);

/// The first code that is a reason, and the first that only wraps one.
fn codes(text: &str) -> (Option<Code<'_>>, Option<Code<'_>>) {
    let (mut reason, mut wrapper) = (None, None);
    for name in structure::names(text).filter(stands_as_code) {
        let Some((code, (class, weight))) = lookup(name.text) else { continue };
        match weight {
            Weight::Wrapper => wrapper = wrapper.or(Some((code, class, weight))),
            _ if reason.is_none() && class != ErrorClass::Unknown => reason = Some((code, class, weight)),
            _ => {}
        }
    }
    (reason, wrapper)
}

/// Finds a name, its first part or its last among the codes: `UNRESOLVED_COLUMN.WITH_SUGGESTION`,
/// `java.net.SocketTimeoutException`.
fn lookup(name: &str) -> Option<(&str, (ErrorClass, Weight))> {
    let first = name.split(['.', '$']).next().unwrap_or_default();
    let last = name.rsplit(['.', ':', '$']).next().unwrap_or_default();
    [name, first, last].into_iter().find_map(|part| Some((part, *CODES.get(part)?)))
}

/// Words before the name of a field or a column, as such a name may read like a code.
const BEFORE_NAMES: &str = "column field fields named name object table value";

/// Whether a name is used as a code, not as the name of a field.
fn stands_as_code(name: &Name<'_>) -> bool {
    let coded = name.text.contains('_') || name.text.chars().filter(|c| c.is_uppercase()).count() > 1;
    let before = name.before.trim_end();
    let word = before.rsplit(|c: char| !structure::is_word(c)).next().unwrap_or_default().to_lowercase();
    // A list of fields: `Required fields are missing: [SERVER_UNAVAILABLE]`.
    let listed = before.strip_suffix('[').is_some_and(|before| before.trim_end().ends_with([':', '=']))
        && name.after.starts_with(']')
        && !name.after.trim_start_matches(']').trim_start().starts_with(|c: char| c.is_alphanumeric());
    coded && !listed && !structure::is_listed(BEFORE_NAMES, &word)
}

/// Finds five characters behind `SQLSTATE`, `SQL state` or `sqlState`; in brackets, or as the field `C` of PostgreSQL's protocol,
/// only a listed state.
fn sql_state(text: &str) -> Option<(&str, ErrorClass)> {
    structure::names(text).find_map(|name| {
        let formed = name.text.len() == 5
            && name.text.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
            && name.text.contains(|c: char| c.is_ascii_digit());
        if !formed {
            return None;
        }
        let key = name.before.trim_end_matches(|c: char| !structure::is_word(c)).to_ascii_lowercase();
        let named = ["sqlstate", "sql state", "sql_state"].iter().any(|words| key.ends_with(words));
        let placed =
            name.before.ends_with('(') && name.after.starts_with(')') || name.before.ends_with("C: ");
        let listed = || codes::is_listed_state(name.text);
        (named || (placed && listed())).then(|| Some((name.text, codes::of_state(name.text)?)))?
    })
}

/// Words before an HTTP status.
const BEFORE_STATUS: &str = "driver status code http statuscode status_code error returned responded with response 1 2 title got \
    answered";
/// First words of the reason phrase of a status.
const BEHIND_STATUS: &str = "unauthorized forbidden not bad service gateway internal too request conflict server client proxy \
    method precondition temporarily error payload";

/// Finds the first HTTP status that has a class.
fn status(text: &str) -> Option<(&str, ErrorClass)> {
    structure::names(text).find_map(|name| {
        let class = codes::of_status(name.text)?;
        let word = |text: &str, last: bool| {
            let mut words = text.split(|c: char| !structure::is_word(c)).filter(|word| !word.is_empty());
            let word = if last { words.next_back() } else { words.next() };
            word.unwrap_or_default().to_lowercase()
        };
        let near =
            name.before.len() - name.before.trim_end_matches(|c: char| !structure::is_word(c)).len() <= 6;
        let before = near && structure::is_listed(BEFORE_STATUS, &word(name.before, true));
        let behind = structure::is_listed(BEHIND_STATUS, &word(name.after, false));
        (before || behind || name.before.trim().is_empty()).then_some((name.text, class))
    })
}

fn by_words(scores: &[Score]) -> Option<Classification> {
    let (first, second) = (scores.first()?, scores.get(1));
    let lead = first.points - second.map_or(0, |second| second.points);
    let (points, least) =
        if first.class.changes() == Change::Nothing { (SURE, LEAD) } else { (SURE + 1, LEAD + 1) };
    let sure = first.says_why && first.points >= points && lead >= least;
    Some(Classification {
        class: first.class,
        certainty: if sure { Certainty::Likely } else { Certainty::Guess },
        second: second.filter(|_| !sure).map(|score| score.class),
        grounds: vec![Ground::Words(first.rule.to_owned())],
    })
}

/// Parts of names in texts about the source.
const SOURCES: &str = "jdbc odbc simba hive psycopg postgres libpq databricks thrift snowflake redshift sqlalchemy npgsql \
    bigquery pg:: rds.amazonaws warehouse sqlstate";

/// Assigns a failed connection to the source if the text names a database.
fn of_the_source(found: Classification, lower: &str) -> Classification {
    let of_source = match found.class {
        ErrorClass::ConnectionFailed | ErrorClass::DnsOrTls => ErrorClass::WarehouseUnreachable,
        ErrorClass::Unavailable => ErrorClass::WarehouseStopped,
        _ => return found,
    };
    if !SOURCES.split(' ').any(|name| lower.contains(name)) {
        return found;
    }
    let second = found.second.filter(|second| *second != of_source);
    let mut found = Classification { class: of_source, second, ..found };
    found.grounds.push(Ground::Source);
    found
}

/// The number of rejected records by class, the largest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally(Vec<(ErrorClass, usize)>);

impl Tally {
    /// Counts records by class.
    pub fn of(classes: &[ErrorClass]) -> Self {
        let count = |class: ErrorClass| classes.iter().filter(|of| **of == class).count();
        let mut counts: Vec<(ErrorClass, usize)> =
            ErrorClass::ALL.iter().map(|class| (*class, count(*class))).filter(|(_, n)| *n > 0).collect();
        // Stable: of two classes with equal counts, the one that is first in `ALL` stays first.
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Self(counts)
    }

    /// Returns the most frequent class; `None` without records.
    pub fn largest(&self) -> Option<ErrorClass> {
        self.0.first().map(|(class, _)| *class)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: usize = self.0.iter().map(|(_, count)| count).sum();
        for (index, (class, count)) in self.0.iter().enumerate() {
            match index {
                0 => write!(f, "{count} of {all} samples: {}", class.title())?,
                _ => write!(f, ", {count}: {}", class.title())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
