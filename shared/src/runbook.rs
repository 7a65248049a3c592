//! The operators' runbook, embedded when a binary is built, so that a notice, its link and `syncwatch explain` agree.

/// The whole runbook.
pub const TEXT: &str = include_str!("../../infra/runbook/OPERATIONS_RUNBOOK.md");
/// The steps of a section that a notice has room for.
const STEPS: usize = 3;

/// A section: the text under a heading of the third level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'t> {
    pub heading: &'t str,
    /// Anchor that GitHub derives from the heading.
    pub anchor: String,
    /// Heading of the second level above it.
    pub chapter: &'t str,
    /// Meaning and likely cause: the text before the evidence, or before the steps if there is none.
    pub cause: &'t str,
    /// Evidence to gather, without the word "Evidence"; `None` if the section has none.
    pub evidence: Option<&'t str>,
    /// Text from the first numbered step on; empty if there is none.
    pub steps: &'t str,
}

/// Splits a runbook into its sections, in order.
pub fn sections(text: &str) -> Vec<Section<'_>> {
    // A chapter heading begins a line; only the title may begin the text.
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
    // The rest keeps its first line break, so that a heading or step right below is found too.
    match text.find('\n').and_then(|at| text.split_at_checked(at)) {
        Some((line, rest)) => (line.trim(), rest),
        None => (text.trim(), ""),
    }
}

/// Returns GitHub's anchor of a heading: lower case, hyphens for blanks, no other marks.
pub fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The first steps of the section with this anchor, one sentence each and without links; empty if there is none.
pub fn first_steps(anchor: &str) -> Vec<String> {
    let Some(section) = sections(TEXT).into_iter().find(|section| section.anchor == anchor) else {
        return Vec::new();
    };
    let mut steps: Vec<String> = Vec::new();
    for line in section.steps.lines() {
        let numbered = line.split_once(". ").filter(|(number, _)| number.parse() == Ok(steps.len() + 1));
        match (numbered, steps.last_mut()) {
            (Some((_, step)), _) => steps.push(step.to_owned()),
            // The lines of a step are indented; anything else ends the list.
            (None, Some(step)) if line.starts_with("   ") => {
                step.push(' ');
                step.push_str(line.trim());
            }
            _ => break,
        }
    }
    steps.truncate(STEPS);
    steps.iter().map(|step| without_links(step)).collect()
}

/// The text of Markdown links without their addresses.
fn without_links(text: &str) -> String {
    let mut parts = text.split("](");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // `[` is the last one before the address.
        if let Some(at) = plain.rfind('[') {
            plain.remove(at);
        }
        plain.push_str(part.split_once(')').map_or(part, |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Check;

    #[test]
    fn every_check_and_class_has_steps_for_its_notice() {
        let classes = crate::classify::ErrorClass::ALL.iter().map(|class| class.id());
        for name in Check::ALL.iter().map(|check| check.id()).chain(classes) {
            let steps = first_steps(name);
            assert!((1..=STEPS).contains(&steps.len()), "{name}: {steps:?}");
            for step in &steps {
                assert!(step.chars().count() <= 240, "{name}: {step}");
                assert!(step.ends_with(['.', '?', '`']) && !step.contains("]("), "{name}: {step}");
            }
        }
        assert_eq!(first_steps("no-such-section"), [""; 0]);
    }

    #[test]
    fn links_lose_their_addresses_only() {
        assert_eq!(without_links("see [a](#a), then [b c](x) [d]"), "see a, then b c [d]");
        assert_eq!(without_links("half [a](#a"), "half a#a");
    }
}
