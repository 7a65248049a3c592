//! From what vendors say of a failure to its class, with the likely cause and what helps.
//!
//! First the structure: what the vendor says and what it only quotes; then codes, then words, then statuses of HTTP. Codes and words are
//! data: see `knowledge/`. What a vendor says may quote customers' values, so nothing of it reaches people but through [`scrub`] and
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

/// The figure of a finding's evidence that carries the id of the class.
pub const CLASS_FIGURE: &str = "error class";

/// How sure a class is. Only what is more than a guess may give an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// A few words, or two classes for which as much speaks.
    Guess,
    /// Several words that vendors use for this reason alone, or a status of HTTP.
    Likely,
    /// A code or a sentence of the vendor's own.
    Known,
}

show_as_stored!(Certainty);

/// By what a class was found. Holds nothing of the text but codes and words that this project knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "found", rename_all = "lowercase")]
pub enum Ground {
    /// A vendor's code, such as `UNABLE_TO_LOCK_ROW`.
    Code(String),
    /// A value of SQLSTATE.
    SqlState(String),
    /// Words of the list, in any order.
    Words(String),
    /// A status of HTTP.
    Status(String),
    /// Census's own word for a record.
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
            Self::Learned => f.write_str("words of like messages"),
            Self::Source => f.write_str("a database or warehouse is named"),
        }
    }
}

/// The class of a failure, how sure it is, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classification {
    pub class: ErrorClass,
    pub certainty: Certainty,
    /// The next likely class, where it is a guess.
    pub second: Option<ErrorClass>,
    /// What decided, first what decided most.
    pub grounds: Vec<Ground>,
}

impl Classification {
    fn unknown() -> Self {
        Self { class: ErrorClass::Unknown, certainty: Certainty::Guess, second: None, grounds: Vec::new() }
    }

    fn known(class: ErrorClass, ground: Ground) -> Self {
        Self { class, certainty: Certainty::Known, second: None, grounds: vec![ground] }
    }

    /// Whether an order to a person, or a remedy, may rest on it.
    pub fn is_sure(&self) -> bool {
        self.certainty > Certainty::Guess
    }

    /// The likely classes in a sentence of their own, where it is a guess.
    pub fn guess(&self) -> Option<String> {
        let second = self.second.map_or_else(String::new, |second| format!(" or {second}"));
        let is_guess = !self.is_sure() && self.class != ErrorClass::Unknown;
        is_guess.then(|| format!("It may be {}{second}.", self.class))
    }
}

/// Classifies the failure of a run: by its code, else by its message, else by its detail; the first that is sure decides.
pub fn classify(error: &RunError) -> Classification {
    let texts = [&error.code, &error.message, &error.detail].into_iter().flatten();
    best(texts.map(|text| classify_text(text)))
}

/// Classifies one record that did not arrive.
pub fn classify_record(record: &RejectedRecord) -> Classification {
    let class = match record.status.as_str() {
        // Census checks these two itself, before it sends anything (Census docs, "Sync Tracking").
        "NULL" => ErrorClass::RequiredFieldMissing,
        "DUPLICATE" => ErrorClass::KeyNotUnique,
        _ => return best(record.message.as_deref().map(classify_text)),
    };
    Classification::known(class, Ground::RecordStatus(record.status.clone()))
}

/// The first that is sure, else the first that is a guess.
fn best(found: impl IntoIterator<Item = Classification>) -> Classification {
    let mut found: Vec<_> = found.into_iter().filter(|found| found.class != ErrorClass::Unknown).collect();
    found.sort_by_key(|found| !found.is_sure());
    found.into_iter().next().unwrap_or_else(Classification::unknown)
}

/// What Census puts before a run's error in its alerts.
const ALERT_PREFIX: &str = "sync has failed with error:";

/// Census's own sentences. Names follow them, which may read like a code.
const OPENINGS: [(&str, ErrorClass); 2] = [
    ("a mapped source column has been deleted", ErrorClass::DeletedSourceColumn),
    ("the array field being used does not appear to be valid json", ErrorClass::InvalidValue),
];

/// So many words, or more, of one class are more than a guess, if they lead by [`LEAD`]; one more where people would change something.
const SURE: usize = 3;
const LEAD: usize = 1;

/// Classifies an error by its text, as a vendor sent it or a person pasted it.
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
    // Like messages had another reason, and would have other things changed: then it is not sure.
    sure.filter(|found| found.certainty == Certainty::Known || evidence.speaks_against(found.class).is_none())
        .unwrap_or_else(|| evidence.guess())
}

/// What speaks for the classes of one text.
struct Evidence<'t> {
    /// By the rules for words, most first.
    scores: Vec<Score>,
    learned: learned::Points,
    /// A code that words may refine, or that only wraps the reason.
    code: Option<Code<'t>>,
    status: Option<(&'t str, ErrorClass)>,
}

impl Evidence<'_> {
    /// A code that is the reason itself. Where like messages had quite another one, it stays the likely one, and orders nothing.
    fn of_reason(&self, code: &str, class: ErrorClass) -> Classification {
        let known = Classification::known(class, Ground::Code(code.to_owned()));
        let own = self.learned.get(&class).copied().unwrap_or_default();
        match self.speaks_against(class) {
            Some((other, points)) if points >= own.max(0) + DOUBT => {
                Classification { certainty: Certainty::Guess, second: Some(other), ..known }
            }
            _ => known,
        }
    }

    /// A code that has several reasons: the words beside it say which.
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

    /// Drivers use the general states for anything: 42000, XX000, HY000.
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

    /// A refusal has many reasons, which its body names; a service that cannot has one.
    fn of_status(&self) -> Option<Classification> {
        let (status, class) = self.status.filter(|(status, class)| !is_vague(status, *class))?;
        let known = Classification::known(class, Ground::Status(status.to_owned()));
        Some(Classification { certainty: Certainty::Likely, ..known })
    }

    /// The class for which the words of like messages speak most, with its points, if its remedy changes something else.
    fn speaks_against(&self, class: ErrorClass) -> Option<(ErrorClass, i32)> {
        let (other, points) = self.learned.iter().max_by_key(|(_, points)| **points)?;
        let differ = other.changes() != class.changes() && other.changes() != Change::Nothing;
        (class.changes() != Change::Nothing && differ && *points >= LEAST).then_some((*other, *points))
    }

    /// The class for which most speaks, of all that is not sure.
    fn guess(&self) -> Classification {
        let mut points = self.learned.clone();
        let mut grounds = Vec::new();
        let mut speak = |class, by: i32, ground| {
            *points.entry(class).or_default() += by;
            grounds.push(ground);
        };
        for score in &self.scores {
            let by = i32::try_from(score.points).unwrap_or(i32::MAX / 2).saturating_mul(BY_WORD);
            let by = if score.says_why { by } else { by.min(BY_PLACE) };
            speak(score.class, by, Ground::Words(score.rule.to_owned()));
        }
        if let Some((code, class, _)) = self.code {
            speak(class, BY_CODE, Ground::Code(code.to_owned()));
        }
        if let Some((status, class)) = self.status {
            speak(class, BY_STATUS, Ground::Status(status.to_owned()));
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

/// How much speaks for a class, in tenths of a natural logarithm: a code that is not the reason itself, a status that may mean many things,
/// and each word of a rule. Less than [`LEAST`] in all leaves a text unknown.
const BY_CODE: i32 = 30;
const BY_STATUS: i32 = 60;
const BY_WORD: i32 = 15;
/// Words that only say where it failed.
const BY_PLACE: i32 = 5;
const LEAST: i32 = 40;
/// So much more must speak for another class before a code is doubted.
const DOUBT: i32 = 40;

/// Whether a status may mean many things, which its body names.
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

/// A name, its first part or its last: `UNRESOLVED_COLUMN.WITH_SUGGESTION`, `java.net.SocketTimeoutException`.
fn lookup(name: &str) -> Option<(&str, (ErrorClass, Weight))> {
    let first = name.split(['.', '$']).next().unwrap_or_default();
    let last = name.rsplit(['.', ':', '$']).next().unwrap_or_default();
    [name, first, last].into_iter().find_map(|part| Some((part, *CODES.get(part)?)))
}

/// Words before the name of a field or a column, which may read like a code.
const BEFORE_NAMES: &str = "column field fields named name object table value";

/// Whether a name stands as a code, rather than as the name of a field.
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

/// Five characters behind `SQLSTATE`, `SQL state` or `sqlState`; in brackets, or as the field `C` of PostgreSQL's protocol, only a
/// state that the list has.
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

/// Words before a status of HTTP.
const BEFORE_STATUS: &str = "driver status code http statuscode status_code error returned responded with response 1 2 title got \
    answered";
/// The first word of a status's own phrase.
const BEHIND_STATUS: &str = "unauthorized forbidden not bad service gateway internal too request conflict server client proxy \
    method precondition temporarily error payload";

/// The first status of HTTP that stands as one and says something.
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

/// Parts of names by which a text shows that it is about the source.
const SOURCES: &str = "jdbc odbc simba hive psycopg postgres libpq databricks thrift snowflake redshift sqlalchemy npgsql \
    bigquery pg:: rds.amazonaws warehouse sqlstate";

/// A connection that failed is the source's where the text names a database; the destination has no part in it.
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

/// How many records that did not arrive are of which class, the largest number first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally(Vec<(ErrorClass, usize)>);

impl Tally {
    /// Counts records by class.
    pub fn of(classes: &[ErrorClass]) -> Self {
        let count = |class: ErrorClass| classes.iter().filter(|of| **of == class).count();
        let mut counts: Vec<(ErrorClass, usize)> =
            ErrorClass::ALL.iter().map(|class| (*class, count(*class))).filter(|(_, n)| *n > 0).collect();
        // Stable: of two classes with as many samples, the one that `ALL` names first stays first.
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Self(counts)
    }

    /// The class of most of them; `None` if there are none.
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
