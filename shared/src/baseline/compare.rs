//! The live definition against the accepted one, and the parts that cannot be compared.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Change, Definition, Part, Relation, What, diff, of_relation};
use crate::observation::ObservedSync;
use crate::pipeline::Pipeline;
use crate::sql::Dialect;

/// The definition as it was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Live {
    pub definition: Definition,
    /// The syncs that Census showed, by their key in `pipeline.toml`.
    pub syncs: BTreeMap<String, ObservedSync>,
}

/// A part of the live definition that could not be read, so it was not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownPart {
    /// The subject, as [`Change::subject`], and behind a colon its part unless it is unknown as a whole.
    pub what: String,
    pub why: String,
    /// Whether the accepted definition has this part.
    pub accepted: bool,
}

impl UnknownPart {
    /// Returns the subject, as [`Change::subject`] names it.
    pub fn subject(&self) -> &str {
        self.what.split_once(": ").map_or(self.what.as_str(), |(subject, _)| subject)
    }
}

impl Live {
    /// Lists the changes since the acceptance, gravest first, and the parts that are unknown. Declarations of files win over what
    /// was accepted. Without an accepted definition nothing changed.
    pub fn compare(
        &self,
        accepted: Option<&Definition>,
        pipeline: &Pipeline,
        now: Timestamp,
    ) -> (Vec<Change>, Vec<UnknownPart>) {
        let mut known = accepted.cloned().unwrap_or_default().with_declared(pipeline, &self.syncs, now);
        let mut changes = Vec::new();
        if accepted.is_some() {
            let declared = self.declare_views(&mut known, pipeline);
            changes = diff(&known, &self.definition, pipeline.dialect());
            for change in changes.iter_mut().filter(|change| declared.contains(&change.subject)) {
                if change.what == What::TextChanged {
                    change.what = What::NotAsDeclared;
                }
            }
        }
        let subjects = known.subjects();
        let lacking: BTreeSet<String> = known.unknown().into_iter().map(|(what, _)| what).collect();
        let unknown = self.definition.unknown().into_iter().map(|(what, why)| {
            let mut part = UnknownPart { what, why, accepted: false };
            part.accepted = subjects.contains(part.subject())
                && !lacking.contains(&part.what)
                && !lacking.contains(part.subject());
            part
        });
        (changes, unknown.collect())
    }

    /// Puts the views of files in the place of accepted ones; returns the subjects whose text is that of a file.
    fn declare_views(&self, known: &mut Definition, pipeline: &Pipeline) -> BTreeSet<String> {
        let mut subjects = BTreeSet::new();
        for (name, view) in &pipeline.declared_views {
            let expected = known.relations.entry(name.clone()).or_default();
            if expected.known().is_none() {
                *expected = Part::Known(Relation::default());
            }
            let live = self.definition.relations.get(name).and_then(Part::known);
            let is_readable = live.is_some_and(|live| live.text.known().is_some());
            // PostgreSQL shows its own rendering of a view, which cannot be compared with a file.
            if let Part::Known(expected) = expected
                && is_readable
                && pipeline.dialect() != Dialect::PostgreSql
            {
                expected.text = Part::Known(view.query.clone());
                subjects.insert(of_relation(name));
            }
        }
        subjects
    }
}
