//! Lists the missing figures of a day, and reads and writes the column `figures_missing`. Pure.
//!
//! The text is for people and is read back: `runs: 1 of 48 still running; data: no longer available`. If it is too long for the
//! column, each kind of figures has an equal part of it, so that no kind hides another.

use syncwatch::sql::{Dialect, FromValue, ParameterValue, Value};
use syncwatch::text::plain_line;

/// The size of the column.
const MOST_CHARS: usize = 1_000;
/// Characters of one entry at most, its figures included.
const ENTRY_CHARS: usize = 300;
const BETWEEN: &str = "; ";

/// Figures that can be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figures {
    /// The runs themselves, or their end. A later snapshot processes the day again and may find them.
    Runs,
    Records,
    Duration,
    Data,
    Incidents,
}

impl Figures {
    const ALL: [Self; 5] = [Self::Runs, Self::Records, Self::Duration, Self::Data, Self::Incidents];

    /// The prefix of an entry in the column.
    fn lead(self) -> &'static str {
        match self {
            Self::Runs => "runs: ",
            Self::Records => "records: ",
            Self::Duration => "duration: ",
            Self::Data => "data: ",
            Self::Incidents => "incidents: ",
        }
    }
}

/// Missing figures, each with the reason. `None` marks an entry of a stored row without a known prefix: the text was cut
/// off, or written by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing(Vec<(Option<Figures>, String)>);

impl Missing {
    /// Adds a reason, unless it is already listed.
    pub fn add(&mut self, figures: Figures, why: &str) {
        // `;` separates entries, and vendor errors may have several lines.
        let why = plain_line(why).replace(';', ",");
        let entry = (Some(figures), cut(&why, ENTRY_CHARS - figures.lead().len()));
        if !self.0.contains(&entry) {
            self.0.push(entry);
        }
    }

    /// Lists the reasons why these figures are missing.
    pub fn reasons(&self, figures: Figures) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(of, _)| *of == Some(figures)).map(|(_, why)| why.as_str())
    }

    /// Whether any of these figures is missing.
    pub fn has(&self, figures: Figures) -> bool {
        self.reasons(figures).next().is_some()
    }

    /// The text of the column; `None` if nothing is missing.
    pub fn text(&self) -> Option<String> {
        let lead = |of: Option<Figures>| of.map_or("", Figures::lead);
        let entries: Vec<String> = self.0.iter().map(|(of, why)| format!("{}{why}", lead(*of))).collect();
        let whole = entries.join(BETWEEN);
        if whole.chars().count() <= MOST_CHARS {
            return (!entries.is_empty()).then_some(whole);
        }
        let mut kinds: Vec<Option<Figures>> = Vec::new();
        for (of, _) in &self.0 {
            if !kinds.contains(of) {
                kinds.push(*of);
            }
        }
        let most = (MOST_CHARS / kinds.len().max(1)).saturating_sub(BETWEEN.len());
        let part = |kind: &Option<Figures>| {
            let of_kind = self.0.iter().zip(&entries).filter(|((of, _), _)| of == kind);
            shortened(lead(*kind), &of_kind.map(|(_, entry)| entry.as_str()).collect::<Vec<_>>(), most)
        };
        Some(kinds.iter().map(part).collect::<Vec<_>>().join(BETWEEN))
    }

    /// Reads the text of the column.
    pub fn parse(text: &str) -> Self {
        let entry = |entry: &str| {
            let known = Figures::ALL.into_iter().find_map(|of| Some((of, entry.strip_prefix(of.lead())?)));
            known.map_or((None, entry.to_owned()), |(of, why)| (Some(of), why.to_owned()))
        };
        Self(text.split(BETWEEN).map(entry).collect())
    }
}

impl FromValue for Missing {
    const EXPECTED: &'static str = String::EXPECTED;

    fn from_value(value: &Value, dialect: Dialect) -> Option<Self> {
        let text = Option::<String>::from_value(value, dialect)?;
        Some(text.as_deref().map(Self::parse).unwrap_or_default())
    }
}

impl From<Missing> for ParameterValue {
    fn from(missing: Missing) -> Self {
        missing.text().into()
    }
}

/// Joins as many entries as fit, the first in any case, and counts the others: `runs: a; runs: and 7 more`.
fn shortened(lead: &str, entries: &[&str], most: usize) -> String {
    let more = |others: usize| {
        if others > 0 { format!("{BETWEEN}{lead}and {others} more") } else { String::new() }
    };
    let mut text = String::new();
    for (index, entry) in entries.iter().enumerate() {
        let others = entries.len() - index - 1;
        let more_after = more(others);
        let with = if index == 0 {
            cut(entry, most.saturating_sub(more_after.len()).max(1))
        } else {
            format!("{text}{BETWEEN}{entry}")
        };
        if with.chars().count() + more_after.len() > most {
            return text + &more(others + 1);
        }
        text = with;
    }
    text
}

/// Shortens a text to `most` characters, the last of which is `…` if anything was cut off.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_missing() -> impl Strategy<Value = Missing> {
        let entry = (proptest::sample::select(Figures::ALL.to_vec()), ".{0,40}|[a-z;: \n]{0,400}");
        proptest::collection::vec(entry, 0..6).prop_map(|entries| {
            let mut missing = Missing::default();
            entries.iter().for_each(|(of, why)| missing.add(*of, why));
            missing
        })
    }

    proptest! {
        #[test]
        fn entries_are_read_back_from_the_column(missing in any_missing()) {
            let Some(text) = missing.text() else { return Ok(()) };
            prop_assert!(text.chars().count() <= MOST_CHARS);
            let read = Missing::parse(&text);
            for of in Figures::ALL {
                prop_assert_eq!(read.has(of), missing.has(of), "{}", text);
            }
            let all: usize = missing.0.iter().map(|(of, why)| of.unwrap().lead().len() + why.chars().count() + 2).sum();
            if all <= MOST_CHARS {
                prop_assert_eq!(&read, &missing);
            }
            // Written again, it stays the same: a row that changes each night would be updated each night.
            prop_assert_eq!(read.text(), Some(text));
        }

        #[test]
        fn stored_text_is_written_back_unchanged(
            text in "(runs: |data: |records: |.{0,20}|; |;|ä){0,12}",
        ) {
            prop_assert_eq!(Missing::parse(&text).text(), Some(text));
        }

        #[test]
        fn adding_a_stored_reason_again_changes_nothing(missing in any_missing()) {
            let mut again = missing.clone();
            for of in Figures::ALL {
                missing.reasons(of).for_each(|why| again.add(of, why));
            }
            prop_assert_eq!(again, missing);
        }
    }

    #[test]
    fn stored_text_decides_whether_a_day_is_processed_again() {
        // figures_missing as stored => whether the day is processed again, reasons for missing data
        let table: [(&str, bool, &[&str]); 11] = [
            ("runs: the day had not ended", true, &[]),
            ("data: no longer available", false, &["no longer available"]),
            ("data: no view; runs: 1 of 48 still running", true, &["no view"]),
            (
                "runs: properties-create could not be read: no answer; data: not taken again, gone",
                true,
                &["not taken again, gone"],
            ),
            ("records: 48 of 144 runs have no record counts", false, &[]),
            ("duration: 1 of 1 runs have no end time; incidents: kept for only 90 days", false, &[]),
            (
                "data: total_properties is NULL in the view; data: duplicate_count, no such column",
                false,
                &["total_properties is NULL in the view", "duplicate_count, no such column"],
            ),
            // Cut off at the size of the column.
            ("data: a; run…", false, &["a"]),
            ("data: a; runs:…", false, &["a"]),
            // Written by hand.
            ("the runs: and the data: both", false, &[]),
            ("", false, &[]),
        ];
        for (stored, again, data) in table {
            let missing = Missing::parse(stored);
            assert_eq!(missing.has(Figures::Runs), again, "{stored}");
            assert_eq!(missing.reasons(Figures::Data).collect::<Vec<_>>(), data, "{stored}");
        }
    }

    #[test]
    fn text_fits_the_column_and_lists_each_reason_once() {
        let mut missing = Missing::default();
        assert_eq!(missing.text(), None);
        missing.add(Figures::Data, "no view; none\nat all");
        missing.add(Figures::Runs, "1 still running");
        missing.add(Figures::Runs, "1 still running");
        assert_eq!(missing.text().unwrap(), "data: no view, none at all; runs: 1 still running");
        for n in 0..9 {
            missing.add(Figures::Incidents, &format!("{n}{}", "ä".repeat(400)));
        }
        let text = missing.text().unwrap();
        let longest = text.split(BETWEEN).map(|entry| entry.chars().count()).max();
        assert_eq!(longest, Some(ENTRY_CHARS));
        assert!(text.ends_with("ä…; incidents: and 8 more"), "{text}");
    }

    #[test]
    fn long_reasons_of_one_kind_hide_no_other_kind() {
        let long = |n: usize| format!("sync-{n} could not be read: {}", "no answer ".repeat(20));
        for first in Figures::ALL {
            let mut missing = Missing::default();
            (0..200).for_each(|n| missing.add(first, &long(n)));
            for of in Figures::ALL {
                missing.add(of, &long(200));
            }
            let text = missing.text().unwrap();
            assert!(text.chars().count() <= MOST_CHARS, "{text}");
            for of in Figures::ALL {
                let reason = format!("{}sync-{}", of.lead(), if of == first { 0 } else { 200 });
                assert!(text.split(BETWEEN).any(|entry| entry.starts_with(&reason)), "{reason}: {text}");
            }
            assert!(text.contains(&format!("{}and 200 more", first.lead())), "{text}");
        }
    }

    #[test]
    fn null_means_nothing_missing_and_other_types_are_refused() {
        let read = |value: Value| Missing::from_value(&value, Dialect::PostgreSql);
        assert_eq!(read(Value::Null), Some(Missing::default()));
        assert_eq!(read(Value::Text("data: gone".to_owned())), Some(Missing::parse("data: gone")));
        assert_eq!(read(Value::Integer(1)), None);
    }
}
