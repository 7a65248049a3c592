//! The operators' runbook: the section that belongs to a finding, for people who read it in a terminal.
//!
//! The text is the file of the repository itself, embedded when the binary is built, so that a notice's link and
//! `syncwatch explain` say the same.

use std::fmt;

use serde::{Deserialize, Serialize};
use syncwatch::classify::{ErrorClass, Family};
use syncwatch::finding::Check;
use syncwatch::incident::IncidentKey;

use crate::error::Error;

/// The whole runbook.
pub const TEXT: &str = include_str!("../../../infra/runbook/OPERATIONS_RUNBOOK.md");

/// The chapter of what may go wrong as a whole; each names the findings that people see of it.
const SCENARIOS: &str = "Scenarios";
/// How many near names are shown for one that is not known.
const NEAR: usize = 5;
/// From this likeness on (0 to 1, normalized Damerau-Levenshtein) a name is near.
const NEAR_FROM: f64 = 0.4;

/// One section: what stands under a heading of the third level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'t> {
    pub heading: &'t str,
    /// Its anchor, as GitHub makes it of the heading.
    pub anchor: String,
    /// The heading of the second level that it stands under.
    pub chapter: &'t str,
    /// What it means, and the likely cause: all before the evidence, or before the steps if there is none.
    pub cause: &'t str,
    /// What to gather, without the word "Evidence"; `None` if the section says nothing of it.
    pub evidence: Option<&'t str>,
    /// What to do: from the first numbered step on; empty if there is none.
    pub steps: &'t str,
}

/// The sections of a runbook, in the order of its text.
pub fn sections(text: &str) -> Vec<Section<'_>> {
    // A heading begins a line; the first of all may begin the text.
    let chapters = text.split("\n## ").skip(1);
    let of_chapter = |chapter| {
        let (chapter, rest) = first_line(chapter);
        rest.split("\n### ").skip(1).map(move |section| of_text(chapter, section))
    };
    chapters.flat_map(of_chapter).collect()
}

fn of_text<'t>(chapter: &'t str, text: &'t str) -> Section<'t> {
    let (heading, body) = first_line(text);
    let (before, steps) = body.find("\n1. ").and_then(|at| body.split_at_checked(at)).unwrap_or((body, ""));
    let (cause, evidence) = match before.split_once("\nEvidence: ") {
        Some((cause, evidence)) => (cause, Some(evidence.trim())),
        None => (before, None),
    };
    let (anchor, cause, steps) = (anchor(heading), cause.trim(), steps.trim());
    Section { heading, anchor, chapter, cause, evidence, steps }
}

fn first_line(text: &str) -> (&str, &str) {
    // The rest keeps its first line break, so that what begins a line is found there too.
    match text.find('\n').and_then(|at| text.split_at_checked(at)) {
        Some((line, rest)) => (line.trim(), rest),
        None => (text.trim(), ""),
    }
}

/// The anchor that GitHub gives a heading: in lower case, blanks as hyphens, and no other marks.
pub fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A section of the runbook, for a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    pub name: String,
    pub title: String,
    /// The incident that was asked about.
    pub incident: Option<IncidentKey>,
    pub cause: String,
    pub evidence: Option<String>,
    pub steps: String,
    /// The scenarios that it is seen in.
    pub scenarios: Vec<Scenario>,
}

/// A section on what may go wrong as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    pub name: String,
    pub title: String,
}

/// The section of a finding. `asked` is a check's id, an incident's key (`pipeline/check/subject`), a class of error, or
/// the anchor of any other section.
pub fn explain(asked: &str) -> Result<Explanation, Error> {
    let asked = asked.trim();
    let name = match asked.split('/').collect::<Vec<_>>().as_slice() {
        // Of the silences there is a section, and of each a notice; its key is not an incident's.
        [_, "silence", _, ..] => "silences".to_owned(),
        [_, check, _, ..] => (*check).to_owned(),
        _ => asked.to_lowercase(),
    };
    let sections = sections(TEXT);
    let Some(section) = sections.iter().find(|section| section.anchor == name) else {
        let near = match near(&name, &sections) {
            near if near.is_empty() => String::new(),
            near => format!("did you mean {}? ", near.join(", ")),
        };
        let what = format!("the runbook has no section `{asked}`");
        return Err(Error::new(what, format!("{near}`syncwatch explain` lists all names")));
    };
    let link = format!("](#{})", section.anchor);
    let seen_in = sections.iter().filter(|other| other.chapter == SCENARIOS && other.cause.contains(&link));
    let scenarios = seen_in
        .map(|scenario| Scenario { name: scenario.anchor.clone(), title: scenario.heading.to_owned() })
        .collect();
    Ok(Explanation { incident: IncidentKey::parse(asked), scenarios, ..explanation(section) })
}

/// The names that can be asked for, by chapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    pub chapters: Vec<Chapter>,
}

/// A chapter with the names of its sections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chapter {
    pub title: String,
    pub names: Vec<String>,
}

/// All names that can be asked for.
pub fn contents() -> Contents {
    let mut chapters: Vec<Chapter> = Vec::new();
    for section in sections(TEXT) {
        match chapters.last_mut() {
            Some(chapter) if chapter.title == section.chapter => chapter.names.push(section.anchor),
            _ => chapters.push(Chapter { title: section.chapter.to_owned(), names: vec![section.anchor] }),
        }
    }
    Contents { chapters }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`syncwatch explain NAME` takes an incident's key, or one of these:")?;
        let mut chapters = self.chapters.iter();
        chapters.try_for_each(|chapter| write!(f, "\n\n{}\n  {}", chapter.title, chapter.names.join("  ")))
    }
}

fn near(name: &str, sections: &[Section<'_>]) -> Vec<String> {
    let likeness = |other: &str| {
        let part_of = name.len() > 2 && (other.contains(name) || name.contains(other));
        if part_of { 1.0 } else { strsim::normalized_damerau_levenshtein(name, other) }
    };
    let mut likely: Vec<(f64, &String)> =
        sections.iter().map(|section| (likeness(&section.anchor), &section.anchor)).collect();
    likely.retain(|(likeness, _)| *likeness >= NEAR_FROM);
    likely.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    likely.into_iter().take(NEAR).map(|(_, name)| name.clone()).collect()
}

fn explanation(section: &Section<'_>) -> Explanation {
    let Section { anchor, heading, chapter, cause, evidence, steps } = section;
    let title = match (Check::from_id(anchor), ErrorClass::from_id(anchor)) {
        (Some(check), _) => format!("{anchor} (check: {})", check.title()),
        (None, Some(class)) => format!("{anchor} (class of error: {})", class.title()),
        (None, None) if Family::ALL.iter().any(|family| family.id() == anchor) => {
            format!("{anchor} (family of errors)")
        }
        (None, None) => format!("{heading} ({chapter})"),
    };
    Explanation {
        name: anchor.clone(),
        title,
        incident: None,
        cause: plain(cause),
        evidence: evidence.map(plain),
        steps: plain(steps),
        scenarios: Vec::new(),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        if let Some(IncidentKey { pipeline, subject, .. }) = &self.incident {
            write!(f, "\n\nOf {subject} in the pipeline {pipeline}.")?;
        }
        let evidence = self.evidence.as_deref().unwrap_or_default();
        let parts =
            [("CAUSE", self.cause.as_str()), ("EVIDENCE TO GATHER", evidence), ("STEPS", &self.steps)];
        for (name, text) in parts.into_iter().filter(|(_, text)| !text.is_empty()) {
            write!(f, "\n\n{name}\n{text}")?;
        }
        if !self.scenarios.is_empty() {
            f.write_str("\n")?;
        }
        let mut scenarios = self.scenarios.iter();
        scenarios.try_for_each(|Scenario { name, title }| write!(f, "\n{title}: syncwatch explain {name}"))
    }
}

/// Markdown without its links, which a terminal cannot follow: their anchors are names to ask for.
fn plain(text: &str) -> String {
    let mut said = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        said.push_str(before);
        let link = after.split_once("](#").filter(|(words, _)| !words.contains(['[', ']']));
        match link.and_then(|(words, after)| Some((words, after.split_once(')')?))) {
            Some((words, (anchor, after))) => {
                said.push_str(words);
                if words != anchor {
                    said.push_str(&format!(" (#{anchor})"));
                }
                rest = after;
            }
            None => {
                said.push('[');
                rest = after;
            }
        }
    }
    said + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_is_split_into_cause_evidence_and_steps() {
        let text = "# Book\n\n## Part\n\nHello.\n\n### Its name, one\n\nA cause.\n\nEvidence: look\nhere.\n\n1. Do.\n2. Go.\n\n### two\n\nOnly words.\n## Other\n### three";
        let read = sections(text);
        let parts: Vec<_> =
            read.iter().map(|s| (s.anchor.as_str(), s.chapter, s.cause, s.evidence, s.steps)).collect();
        assert_eq!(
            parts,
            [
                ("its-name-one", "Part", "A cause.", Some("look\nhere."), "1. Do.\n2. Go."),
                ("two", "Part", "Only words.", None, ""),
                ("three", "Other", "", None, ""),
            ]
        );
        assert_eq!(sections(""), []);
    }

    #[test]
    fn every_check_and_class_has_cause_evidence_and_steps() {
        let checks = Check::ALL.iter().map(|check| check.id());
        for name in checks.chain(ErrorClass::ALL.iter().map(|class| class.id())) {
            let said = explain(name).unwrap().to_string();
            assert!(said.starts_with(&format!("{name} (")), "{said}");
            for part in ["\n\nCAUSE\n", "\n\nEVIDENCE TO GATHER\n", "\n\nSTEPS\n1. "] {
                assert!(said.contains(part), "{name} has no {}: {said}", part.trim());
            }
            assert!(!said.contains("](#"), "{said}");
        }
    }

    #[test]
    fn class_section_has_the_cause_of_notices() {
        for class in ErrorClass::ALL {
            let sections = sections(TEXT);
            let section = sections.iter().find(|section| section.anchor == class.id()).unwrap();
            assert_eq!(section.cause, format!("{}.", class.cause()), "{class}");
            let waiting = if class.waiting_helps() { "Waiting helps." } else { "Waiting does not help." };
            let shared = if class.is_shared() { " All syncs of the connection share it." } else { "" };
            let who = format!("Who: {}. {waiting}{shared}", class.owner());
            assert!(section.steps.ends_with(&who), "{class}: {}", section.steps);
        }
    }

    #[test]
    fn family_leads_to_each_of_its_classes() {
        for class in ErrorClass::ALL.iter().filter(|class| class.id() != class.family().id()) {
            let family = explain(class.family().id()).unwrap();
            let alone = ErrorClass::from_id(class.family().id()).is_some();
            assert!(alone || family.steps.contains(class.id()), "{class} is not in {}", family.title);
        }
    }

    #[test]
    fn incident_is_explained_by_its_check() {
        let said = explain(" properties/clock-skew/census ").unwrap();
        insta::assert_snapshot!(said, @"
        clock-skew (check: clock of Census)

        Of census in the pipeline properties.

        CAUSE
        The clock of Census, by its own answers, and the function's are more than two minutes apart. Runs are judged by the
        clock of Census until they agree, so nothing is missed; all the same one of the two is wrong.

        EVIDENCE TO GATHER
        the `Date` header of any answer (`curl -sSI https://app.getcensus.com`) beside `date -u`.

        STEPS
        1. If it is Census's, tell their support.
        2. Lambda's own clock has never been the cause as far as we know.

        Syncwatch itself is ill: syncwatch explain syncwatch-itself-is-ill
        ");
        assert!(explain("properties/silence/ada-1").unwrap().title.starts_with("silences ("));
        assert!(explain("properties/alert-test/20261124T120000Z").unwrap().title.starts_with("alert-test ("));
        assert!(explain("Duplicates").unwrap().title.starts_with("duplicates (check"));
        assert!(explain("a-sync-fails").unwrap().title.starts_with("A sync fails (Scenarios)"));
    }

    #[test]
    fn unknown_name_lists_near_ones() {
        let refused = |name| explain(name).unwrap_err().to_string();
        let said = ["run-fialed", "dupes", "properties/run_due/a", "???", ""].map(refused);
        insta::assert_snapshot!(said.join("\n"), @r"
        the runbook has no section `run-fialed`; did you mean run-failed, runs-skipped, run-due, runtime, trigger-failed? `syncwatch explain` lists all names
        the runbook has no section `dupes`; did you mean duplicates? `syncwatch explain` lists all names
        the runbook has no section `properties/run_due/a`; did you mean run-due, runtime, run-stuck, run-failed? `syncwatch explain` lists all names
        the runbook has no section `???`; `syncwatch explain` lists all names
        the runbook has no section ``; `syncwatch explain` lists all names
        ");
    }

    #[test]
    fn all_names_are_listed() {
        let said = contents().to_string();
        for section in sections(TEXT) {
            assert!(said.contains(&format!("  {}", section.anchor)), "{}", section.anchor);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([#\\[\\]()a-z1. \n]|## |\n### |\n1\\. |Evidence: |\\PC){0,60}") {
            for section in sections(&text) {
                let _ = explanation(&section).to_string();
            }
            let _ = explain(&text);
        }
    }
}
