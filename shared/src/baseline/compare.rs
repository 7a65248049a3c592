//! The live definition against the accepted one, and the parts that cannot be compared.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Change, Definition, diff};
use crate::observation::ObservedSync;
use crate::pipeline::Pipeline;

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
    /// Lists the changes since the acceptance, gravest first, and the parts that are unknown. Declarations of the file win over
    /// what was accepted. Without an accepted definition nothing changed.
    pub fn compare(
        &self,
        accepted: Option<&Definition>,
        pipeline: &Pipeline,
        now: Timestamp,
    ) -> (Vec<Change>, Vec<UnknownPart>) {
        let known = accepted.cloned().unwrap_or_default().with_declared(pipeline, &self.syncs, now);
        let changes = match accepted {
            Some(_) => diff(&known, &self.definition, pipeline.dialect()),
            None => Vec::new(),
        };
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
}
