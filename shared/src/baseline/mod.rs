//! The definition of a pipeline in Census and in the warehouse, and what changed in it since it was accepted. Pure.
//!
//! * [`Definition`] is the form in which a definition is stored and compared: SQL without comments and with one case.
//! * [`diff()`] compares the accepted definition with the live one. A part that could not be read is never a change.
//!
//! Texts of views and of models are stored whole, as a change of a constant in them is a change. Shown are they with
//! their string literals masked, unless these are all that differs. Rows of tables are never read.

mod compare;
mod deployment;
mod diff;
pub mod files;
mod reads;
pub mod script;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::finding::{Severity, show_as_stored};
use crate::observation::ObservedSync;
use crate::pipeline::Pipeline;
use crate::schedule::Comparison;
use crate::sql::Dialect;
use crate::text::{counted, grouped};

pub use compare::{Live, UnknownPart};
pub use deployment::{Deployment, Settings, declared_functions, function_limits};
pub use diff::diff;
pub use reads::{Aspect, Read, Relations};
pub use text::{masked, normalised};

/// The version of the stored form. Added fields do not raise it: unknown ones are ignored, and missing ones are unknown.
pub const VERSION: u32 = 1;
/// The most bytes of a stored definition: DynamoDB's items have at most 400 KB, with their other attributes.
pub const LONGEST: usize = 350_000;

/// A part of a definition, or why it is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part<T> {
    Known(T),
    Unknown(String),
}

impl<T> Part<T> {
    /// Returns the part, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// Wraps a value that an answer may lack.
    pub fn of(value: Option<T>, why: &str) -> Self {
        value.map_or_else(|| Self::Unknown(why.to_owned()), Self::Known)
    }
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self::Unknown("not recorded".to_owned())
    }
}

/// The definition of a pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Definition {
    /// The version of its form, see [`VERSION`].
    pub version: u32,
    /// The syncs by their key in `pipeline.toml`. One that is missing does not exist in Census.
    pub syncs: BTreeMap<String, Part<SyncDefinition>>,
    /// The tables and views by their name in `pipeline.toml`. One that is missing does not exist, or our account may not
    /// read it.
    pub relations: BTreeMap<String, Part<Relation>>,
    pub deployment: Deployment,
}

/// The definition of a sync. Whether it is paused is not part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SyncDefinition {
    /// Such as `upsert`, in Census's words.
    pub operation: Part<String>,
    pub mappings: Part<Vec<Mapping>>,
    /// In words, such as `cron 0,30 * * * * UTC`.
    pub schedule: Part<String>,
    /// The alerts that Census sends, in words, sorted.
    pub alerts: Part<BTreeSet<String>>,
    /// The table, or the name of the model, in words.
    pub source: Part<String>,
    /// The SQL of the model, normalised; empty for other sources.
    pub query: Part<String>,
    /// The object in the destination.
    pub destination: Part<String>,
}

impl SyncDefinition {
    /// Returns the table or view that it reads, as `[catalog.][schema.]table`; `None` for a model, dataset or segment.
    pub fn table(&self) -> Option<&str> {
        self.source.known()?.strip_prefix("table ").filter(|name| !name.contains(['"', '#']))
    }

    /// Returns the column of the primary identifier.
    pub fn key_column(&self) -> Option<&str> {
        let key = self.mappings.known()?.iter().find(|mapping| mapping.key)?;
        (key.kind == "column").then_some(key.from.as_str())
    }

    /// Returns whether it removes records from the destination that are missing in its source.
    pub fn mirrors(&self) -> Option<bool> {
        self.operation.known().map(|operation| operation.eq_ignore_ascii_case("mirror"))
    }
}

/// One field of a sync.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mapping {
    /// The column of the source, or the value of a constant.
    pub from: String,
    /// `column`, `constant_value` or another word of Census; with the object and field in which a value is looked up, if any.
    pub kind: String,
    /// The field in the destination.
    pub to: String,
    /// Whether it is the primary identifier, by which records are matched.
    pub key: bool,
}

impl Mapping {
    /// Returns whether the value of a column is written as it is: not a constant or template, and not looked up.
    pub fn is_column(&self) -> bool {
        self.kind == "column"
    }
}

/// The kind of a mapping whose value is a constant.
pub const CONSTANT: &str = "constant_value";

/// A table or view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Relation {
    /// In the warehouse's words, such as `VIEW`.
    pub kind: Part<String>,
    /// The columns in their order, with their types.
    pub columns: Part<Vec<(String, String)>>,
    /// The query of a view, normalised; empty for a table.
    pub text: Part<String>,
    pub owner: Part<String>,
    /// Grants as `SELECT to name`, as far as our account sees them.
    pub grants: Part<BTreeSet<String>>,
}

/// Lists the parts of a subject once, with their names.
macro_rules! parts {
    ($subject:ty: $($field:ident $name:literal),+) => {
        impl $subject {
            fn note_unknown(&self, subject: &str, found: &mut Vec<(String, String)>) {
                $(if let Part::Unknown(why) = &self.$field {
                    found.push((format!("{subject}: {}", $name), why.clone()));
                })+
            }

            fn keep_unknown(&mut self, old: &Self) {
                $(keep(&mut self.$field, &old.$field);)+
            }
        }
    };
}

parts!(SyncDefinition: operation "operation", mappings "mappings", schedule "schedule", alerts "alerts",
    source "source", query "SQL of the model", destination "destination");
parts!(Deployment: functions "functions", alarms "alarms", topics "topics");
parts!(Relation: kind "kind", columns "columns", text "text", owner "owner", grants "grants");

/// A change of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub severity: Severity,
    pub what: What,
    /// `sync KEY`, `relation NAME` or [`OUR_DEPLOYMENT`].
    pub subject: String,
    /// The field, column or grant that changed; `None` if `what` names it.
    pub part: Option<String>,
    /// The accepted value, `- `, and the live one, `+ `; only lines that differ, and a bounded number of them.
    pub lines: Vec<String>,
    /// Whether only literals or constants differ, so that `lines` shows their values.
    #[serde(default)]
    #[serde(skip)]
    pub shows_values: bool,
}

/// Declares the kinds of changes with their severity and their words.
macro_rules! kinds {
    ($($name:ident $severity:ident $words:literal,)+) => {
        /// The kind of a change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum What {
            $($name,)+
        }

        impl What {
            /// Returns the severity of such a change.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)+ }
            }

            /// Returns it in words, such as `column lost`.
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)+ }
            }
        }
    };
}

kinds! {
    SyncMissing Error "does not exist in Census",
    SyncAdded Info "is not in the accepted definition",
    OperationChanged Error "operation changed",
    KeyChanged Error "key changed",
    MappingLost Error "mapping lost",
    MappingAdded Warning "mapping added",
    MappingChanged Error "mapping reads something else",
    ScheduleChanged Warning "schedule changed",
    AlertsChanged Warning "alerts of Census changed",
    SourceChanged Error "source changed",
    QueryChanged Warning "SQL of the model changed",
    DestinationChanged Error "destination changed",
    RelationMissing Error "does not exist, or our account may not read it",
    RelationAdded Info "is not in the accepted definition",
    KindChanged Warning "kind changed",
    ColumnLost Error "column lost",
    ColumnAdded Warning "column added",
    ColumnRetyped Warning "column has another type",
    ColumnsReordered Info "columns have another order",
    TextChanged Warning "text of the view changed",
    NotAsDeclared Warning "text of the view differs from its file",
    OwnerChanged Warning "owner changed",
    GrantRevoked Warning "grant revoked",
    GrantAdded Warning "grant added",
    PartMissing Error "does not exist",
    PartAdded Info "is not in the accepted definition",
    ActionsChanged Error "actions of the alarm changed",
    SettingChanged Warning "setting changed",
    CodeChanged Info "another version is deployed",
}

show_as_stored!(What);

/// An accepted definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub acceptance: Acceptance,
    pub definition: Definition,
}

/// Who accepted a definition, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// Counts from 1.
    pub number: u64,
    /// When it was accepted (UTC).
    pub at: Timestamp,
    pub by: String,
    pub why: String,
    /// The accepted changes, one line each; a bounded number.
    pub changes: Vec<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, what, subject, part, .. } = self;
        write!(f, "{severity}: {subject}: {}", what.words())?;
        part.as_ref().map_or(Ok(()), |part| write!(f, ": {part}"))
    }
}

impl Definition {
    /// Adds a sync that was read, with its SQL normalised.
    pub fn add_sync(&mut self, key: &str, sync: Part<SyncDefinition>, dialect: Dialect) {
        let sync = match sync {
            Part::Known(mut sync) => {
                normalise(&mut sync.query, dialect);
                Part::Known(sync)
            }
            unknown @ Part::Unknown(_) => unknown,
        };
        self.syncs.insert(key.to_owned(), sync);
    }

    /// Lists what is unknown, each with its reason.
    pub fn unknown(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (key, sync) in &self.syncs {
            match sync {
                Part::Unknown(why) => found.push((of_sync(key), why.clone())),
                Part::Known(sync) => sync.note_unknown(&of_sync(key), &mut found),
            }
        }
        for (name, relation) in &self.relations {
            match relation {
                Part::Unknown(why) => found.push((of_relation(name), why.clone())),
                Part::Known(relation) => relation.note_unknown(&of_relation(name), &mut found),
            }
        }
        self.deployment.note_unknown(OUR_DEPLOYMENT, &mut found);
        found
    }

    /// Lists the subjects, as [`Change::subject`] names them.
    pub fn subjects(&self) -> BTreeSet<String> {
        let relations = self.relations.keys().map(|name| of_relation(name));
        let is_known = self.deployment.kinds().iter().any(|(_, part)| part.known().is_some());
        let deployment = is_known.then(|| OUR_DEPLOYMENT.to_owned());
        self.syncs.keys().map(|key| of_sync(key)).chain(relations).chain(deployment).collect()
    }

    /// Takes unknown parts from the accepted definition, so that an outage during an acceptance loses nothing.
    pub fn keep_unknown(&mut self, accepted: &Self) {
        for (key, sync) in &mut self.syncs {
            match (sync, accepted.syncs.get(key)) {
                (Part::Known(sync), Some(Part::Known(old))) => sync.keep_unknown(old),
                (sync, Some(old)) => keep(sync, old),
                (_, None) => {}
            }
        }
        self.deployment.keep_unknown(&accepted.deployment);
        for (name, relation) in &mut self.relations {
            match (relation, accepted.relations.get(name)) {
                (Part::Known(relation), Some(Part::Known(old))) => relation.keep_unknown(old),
                (relation, Some(old)) => keep(relation, old),
                (_, None) => {}
            }
        }
    }

    /// Returns its stored form, as JSON.
    ///
    /// # Errors
    /// It is longer than [`LONGEST`].
    pub fn stored(&self) -> Result<String, TooLong> {
        fn length(value: &impl Serialize) -> usize {
            // Serialization fails only for map keys that are not text.
            serde_json::to_string(value).map_or(0, |json| json.len())
        }
        let json = serde_json::to_string(self).unwrap_or_default();
        if json.len() <= LONGEST {
            return Ok(json);
        }
        let syncs = self.syncs.iter().map(|(key, sync)| (length(sync), of_sync(key)));
        let relations = self.relations.iter().map(|(name, relation)| (length(relation), of_relation(name)));
        let (bytes, largest) = syncs.chain(relations).max().unwrap_or_default();
        Err(TooLong { bytes: json.len(), largest, of_largest: bytes })
    }

    /// Returns it with the declarations of the file in their place, which win over what was once accepted: subjects that the
    /// file no longer declares are left out, a schedule is right if it is the declared one at `now`, and so are limits of functions.
    #[must_use]
    pub fn with_declared(
        mut self,
        pipeline: &Pipeline,
        observed: &BTreeMap<String, ObservedSync>,
        now: Timestamp,
    ) -> Self {
        self.syncs.retain(|key, _| pipeline.sync(key).is_some());
        let declared = pipeline.relations();
        self.relations.retain(|name, _| declared.contains(name.as_str()));
        self.deployment.with_declared();
        for sync in &pipeline.syncs {
            let Some(Part::Known(accepted)) = self.syncs.get_mut(&sync.key) else { continue };
            let Some(actual) = observed.get(&sync.key).map(|observed| &observed.schedule) else { continue };
            accepted.schedule = Part::Known(match sync.schedule.compare(actual, now) {
                Comparison::Same => actual.to_string(),
                _ => sync.schedule.to_string(),
            });
        }
        self
    }

    /// Returns it with the string literals of all SQL and the values of all constants masked, to show it.
    #[must_use]
    pub fn shown(mut self, dialect: Dialect) -> Self {
        let mask = |part: &mut Part<String>| {
            if let Part::Known(sql) = part {
                *sql = masked(sql, dialect);
            }
        };
        for sync in self.syncs.values_mut() {
            let Part::Known(sync) = sync else { continue };
            mask(&mut sync.query);
            let Part::Known(mappings) = &mut sync.mappings else { continue };
            for constant in mappings.iter_mut().filter(|mapping| mapping.kind == CONSTANT) {
                text::MASK.clone_into(&mut constant.from);
            }
        }
        for relation in self.relations.values_mut() {
            let Part::Known(relation) = relation else { continue };
            mask(&mut relation.text);
        }
        self
    }
}

/// A definition that does not fit into one item of the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the definition has {}, and at most {} can be stored; the largest part is {largest} with {}",
    counted(*bytes, "byte"), grouped(LONGEST.try_into().unwrap_or_default()), counted(*of_largest, "byte")
)]
pub struct TooLong {
    pub bytes: usize,
    pub largest: String,
    pub of_largest: usize,
}

fn keep<T: Clone>(part: &mut Part<T>, old: &Part<T>) {
    if matches!(part, Part::Unknown(_)) {
        part.clone_from(old);
    }
}

fn normalise(sql: &mut Part<String>, dialect: Dialect) {
    if let Part::Known(sql) = sql {
        *sql = normalised(sql, dialect);
    }
}

/// The subject of changes of our own deployment.
pub const OUR_DEPLOYMENT: &str = "deployment";

/// Returns the subject of changes of a sync.
pub fn of_sync(key: &str) -> String {
    format!("sync {key}")
}

/// Returns the subject of changes of a table or view.
pub fn of_relation(name: &str) -> String {
    format!("relation {name}")
}

#[cfg(test)]
mod tests;
