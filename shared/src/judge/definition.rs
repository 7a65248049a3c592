//! Judges whether the pipeline is still as a person accepted it.

use jiff::Timestamp;

use crate::baseline::{
    Acceptance, Accepted, Change, Live, OUR_DEPLOYMENT, UnknownPart, What, of_relation, of_sync,
};
use crate::finding::{About, Check, Evidence, Finding, SYNCWATCH, Severity};
use crate::pipeline::Pipeline;
use crate::text::{bounded, counted};

/// The most changes that a finding shows; `syncwatch baseline diff` lists all.
const SHOWN_CHANGES: usize = 8;
/// The most characters of the lines of a change.
const LONGEST_LINES: usize = 240;

const ACCEPT: &str = "an accepted definition: syncwatch baseline accept";
const CAUSE: &str = "It changed since it was accepted. If this was intended, accept it: `syncwatch baseline accept`. If \
                     not, restore it: `syncwatch baseline diff` shows all changes";

const CAUSE_DECLARED: &str = "A file beside pipeline.toml declares this view, so accepting it has no effect. Restore it: `syncwatch \
                              warehouse-apply --views`. If the change was intended, change the file and deploy";

/// Judges each sync and relation of the pipeline, and our own deployment.
///
/// * nothing accepted, or not this subject         => not evaluated, waiting for an acceptance
/// * something changed that is more than a comment => as severe as the gravest change; a view of a file is compared with the file
/// * an accepted part could not be read            => unreadable, unless a known part changed
pub fn judge_definition(
    pipeline: &Pipeline,
    accepted: Option<&Accepted>,
    live: &Live,
    now: Timestamp,
) -> Vec<Finding> {
    let syncs = pipeline.syncs.iter().map(|sync| (sync.key.as_str(), of_sync(&sync.key)));
    let relations = pipeline.relations().into_iter().map(|name| (name, of_relation(name)));
    let subjects = syncs.chain(relations).chain([(SYNCWATCH, OUR_DEPLOYMENT.to_owned())]);
    let Some(Accepted { acceptance, definition }) = accepted else {
        return subjects.map(|(subject, _)| about(subject).nothing_yet(ACCEPT)).collect();
    };
    let (changes, unknown) = live.compare(Some(definition), pipeline, now);
    let known = definition.subjects();
    let judge = |(subject, name): (&str, String)| {
        let of_subject: Vec<&Change> = changes.iter().filter(|change| change.subject == name).collect();
        let unread = unknown.iter().find(|part| part.accepted && part.subject() == name);
        match of_subject.first().filter(|worst| worst.severity > Severity::Info) {
            Some(worst) if worst.what == What::SyncMissing => about(subject).under(Check::SyncExists),
            Some(worst) => {
                let changed = live.syncs.get(subject).and_then(|sync| sync.updated_at);
                let evidence = evidence(worst, &of_subject, unread, acceptance, changed);
                let is_view = pipeline.declared_views.contains_key(subject);
                let of_file =
                    |change: &&Change| matches!(change.what, What::NotAsDeclared | What::RelationMissing);
                let cause = if is_view && of_subject.iter().any(of_file) { CAUSE_DECLARED } else { CAUSE };
                about(subject).unhealthy(worst.severity, evidence, cause)
            }
            None if !known.contains(&name) => about(subject).nothing_yet(ACCEPT),
            None => match unread {
                Some(UnknownPart { what, why, .. }) => about(subject).unreadable(format!("{what}: {why}")),
                None => about(subject).healthy(format!("as accepted by {}", acceptance.by)),
            },
        }
    };
    subjects.map(judge).collect()
}

fn about(subject: &str) -> About<'_> {
    Check::DefinitionChanged.about(subject)
}

fn evidence(
    worst: &Change,
    changes: &[&Change],
    unread: Option<&UnknownPart>,
    acceptance: &Acceptance,
    changed: Option<Timestamp>,
) -> Evidence {
    let words = |change: &Change| {
        let part = change.part.as_ref().map_or(String::new(), |part| format!(": {part}"));
        format!("{}{part}", change.what.words())
    };
    let more = match changes.len() - 1 {
        0 => String::new(),
        more => format!(", and {}", counted(more, "more change")),
    };
    let mut evidence = Evidence::new(format!("{}{more}", words(worst)))
        .with("accepted", format!("by {}: {}", acceptance.by, acceptance.why))
        .with("accepted at", acceptance.at)
        .with_some("last edited in Census", changed);
    for change in changes.iter().take(SHOWN_CHANGES) {
        evidence = evidence.with(&words(change), shown(change));
    }
    if let Some(UnknownPart { what, why, .. }) = unread {
        evidence = evidence.with("not compared", format!("{what}: {why}"));
    }
    evidence
}

/// Shows the lines of a change. Literals and constants may be values of records, so they are not shown.
fn shown(change: &Change) -> String {
    match change.lines.as_slice() {
        _ if change.shows_values => "only literals or constants differ".to_owned(),
        [] => change.severity.to_string(),
        lines => bounded(&lines.join("; "), LONGEST_LINES),
    }
}

#[cfg(test)]
mod tests;
