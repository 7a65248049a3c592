//! Finds the runbook section of a finding and renders it for a terminal.
//!
//! The text is the repository's own file, embedded at build time, so that a notice's link and `syncwatch explain`
//! agree.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use syncwatch::classify::{ErrorClass, Family};
use syncwatch::finding::Check;
use syncwatch::incident::IncidentKey;
use syncwatch::pipeline::{Pipeline, Renamed};
use syncwatch::runbook::{Section, TEXT, sections};

use crate::error::Error;

/// Chapter of the scenarios; each section links the findings that it causes.
const SCENARIOS: &str = "Scenarios";
/// Number of suggestions for an unknown name.
const NEAR: usize = 5;
/// Minimum likeness of a suggestion (0 to 1, normalized Damerau-Levenshtein).
const NEAR_FROM: f64 = 0.4;

/// A section of the runbook, for a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    pub name: String,
    pub title: String,
    /// The incident whose key was given.
    pub incident: Option<IncidentKey>,
    pub cause: String,
    pub evidence: Option<String>,
    pub steps: String,
    /// Scenarios that link to it.
    pub scenarios: Vec<Scenario>,
    /// Names of the shipped example in it: `pipeline.toml` has no others, or was not found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub example_names: Vec<String>,
}

impl Explanation {
    /// Replaces the names of the shipped example by those of the pipeline, for the subject of the incident.
    pub(crate) fn in_names_of(mut self, pipeline: &Pipeline) -> Self {
        let subject = self.incident.as_ref().map(|key| key.subject.clone());
        let texts = [Some(&mut self.cause), self.evidence.as_mut(), Some(&mut self.steps)];
        let mut kept = BTreeSet::new();
        for text in texts.into_iter().flatten() {
            let renamed = pipeline.rename(text, subject.as_deref());
            *text = renamed.text;
            kept.extend(renamed.kept);
        }
        self.example_names = kept.into_iter().collect();
        self
    }
}

/// A section of the chapter of scenarios.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    pub name: String,
    pub title: String,
}

/// Finds the section of a finding. `asked` is a check's id, an incident's key (`pipeline/check/subject`), an error
/// class or the anchor of any other section.
pub fn explain(asked: &str) -> Result<Explanation, Error> {
    let asked = asked.trim();
    let name = match asked.split('/').collect::<Vec<_>>().as_slice() {
        // A notice about a silence has a key that is not an incident's; all silences share one section.
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

/// The whole runbook, written to a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    pub file: String,
    /// Names of the shipped example in it, as `pipeline.toml` declares none for them.
    pub example_names: Vec<String>,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if !self.example_names.is_empty() {
            write!(f, "\nNames of the example in it: {}", self.example_names.join(", "))?;
        }
        Ok(())
    }
}

/// Writes the whole runbook in the names of a pipeline.
pub(crate) fn written(pipeline: &Pipeline, out: &Path) -> Result<Written, Error> {
    let Renamed { text, kept } = pipeline.rename(TEXT, None);
    crate::write_page(out, &text)?;
    Ok(Written { file: out.display().to_string(), example_names: kept.into_iter().collect() })
}

/// Section names by chapter.
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

/// Lists all section names by chapter.
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
        f.write_str("`syncwatch explain NAME` takes an incident key or one of these:")?;
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
        (None, Some(class)) => format!("{anchor} (error class: {})", class.title()),
        (None, None) if Family::ALL.iter().any(|family| family.id() == anchor) => {
            format!("{anchor} (error family)")
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
        example_names: Vec::new(),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        if let Some(IncidentKey { pipeline, subject, .. }) = &self.incident {
            write!(f, "\n\nIncident of {subject} in the pipeline {pipeline}.")?;
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
        scenarios
            .try_for_each(|Scenario { name, title }| write!(f, "\n{title}: syncwatch explain {name}"))?;
        if !self.example_names.is_empty() {
            let names = self.example_names.join(", ");
            write!(f, "\n\nNames of the example, as pipeline.toml declares none for them: {names}")?;
        }
        Ok(())
    }
}

/// Replaces links, which a terminal cannot follow, by their text and anchor; `explain` accepts the anchor.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        shown.push_str(before);
        let link = after.split_once("](#").filter(|(words, _)| !words.contains(['[', ']']));
        match link.and_then(|(words, after)| Some((words, after.split_once(')')?))) {
            Some((words, (anchor, after))) => {
                shown.push_str(words);
                if words != anchor {
                    shown.push_str(&format!(" (#{anchor})"));
                }
                rest = after;
            }
            None => {
                shown.push('[');
                rest = after;
            }
        }
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_is_split_into_cause_evidence_and_steps() {
        let text = "# Book\n\n## Part\n\nHello.\n\n### Its name, one\n\nA cause.\n\nEvidence: see\nhere.\n\n1. Do.\n2. Go.\n\n### two\n\nOnly words.\n## Other\n### three";
        let read = sections(text);
        let parts: Vec<_> =
            read.iter().map(|s| (s.anchor.as_str(), s.chapter, s.cause, s.evidence, s.steps)).collect();
        assert_eq!(
            parts,
            [
                ("its-name-one", "Part", "A cause.", Some("see\nhere."), "1. Do.\n2. Go."),
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
            let shown = explain(name).unwrap().to_string();
            assert!(shown.starts_with(&format!("{name} (")), "{shown}");
            for part in ["\n\nCAUSE\n", "\n\nEVIDENCE TO GATHER\n", "\n\nSTEPS\n1. "] {
                assert!(shown.contains(part), "{name} has no {}: {shown}", part.trim());
            }
            assert!(!shown.contains("](#"), "{shown}");
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
        let shown = explain(" properties/clock-skew/census ").unwrap();
        insta::assert_snapshot!(shown, @"
        clock-skew (check: Census clock)

        Incident of census in the pipeline properties.

        CAUSE
        The clock of Census, as its answers show it, and the function's clock differ by more than two minutes. Runs are judged by the
        clock of Census until they agree, so no fault is missed, but one of the two clocks is wrong.

        EVIDENCE TO GATHER
        the `Date` header of any answer (`curl -sSI https://app.getcensus.com`) compared with `date -u`.

        STEPS
        1. If the `Date` header is wrong, report it to Census's support: `curl -sSI https://app.getcensus.com`.
        2. Suspect Lambda's clock last: as far as we know, it has never been the cause.

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
        let shown = ["run-fialed", "dupes", "properties/run_due/a", "???", ""].map(refused);
        insta::assert_snapshot!(shown.join("\n"), @r"
        the runbook has no section `run-fialed`; did you mean run-failed, runs-skipped, run-due, runtime, trigger-failed? `syncwatch explain` lists all names
        the runbook has no section `dupes`; did you mean digest, duplicates? `syncwatch explain` lists all names
        the runbook has no section `properties/run_due/a`; did you mean run-due, runtime, run-stuck, run-failed? `syncwatch explain` lists all names
        the runbook has no section `???`; `syncwatch explain` lists all names
        the runbook has no section ``; `syncwatch explain` lists all names
        ");
    }

    #[test]
    fn all_names_are_listed() {
        let shown = contents().to_string();
        for section in sections(TEXT) {
            assert!(shown.contains(&format!("  {}", section.anchor)), "{}", section.anchor);
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "([#\\[\\]()a-z1. \n]|## |\n### |\n1\\. |Evidence: |\\PC){0,60}") {
            for section in sections(&text) {
                let _ = explanation(&section).to_string();
            }
            let _ = explain(&text);
        }
    }
}
