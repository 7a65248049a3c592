//! `[remedies]`: which remedies may act, and within which limits.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::finding::show_as_stored;

/// By default, a remedy waits for a scheduled start that is nearer than this.
pub const DEFAULT_MIN_GAIN: SignedDuration = SignedDuration::from_mins(20);

/// An act that may heal an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemedyKind {
    /// No act: the schedule runs the sync soon.
    Wait,
    /// One incremental run of the sync.
    RunAgain,
    /// The same, an hour after a limit of the destination was reached.
    RunAfterLimit,
    /// The stopped SQL warehouse is started.
    StartWarehouse,
    /// The SQL warehouse may use more clusters for two hours.
    WidenWarehouse,
    /// Notices that could not be delivered are sent again.
    ReplayDeadLetters,
    /// The paused sync is resumed.
    Resume,
    /// The run that does not end is cancelled.
    CancelHung,
    /// The webhook in Census is created anew, with a new secret.
    RegisterWebhook,
    /// The view gets the definition that its file declares.
    RecreateView,
}

impl RemedyKind {
    /// All of them, in the order of lists.
    pub const ALL: [Self; 10] = [
        Self::Wait,
        Self::RunAgain,
        Self::RunAfterLimit,
        Self::StartWarehouse,
        Self::WidenWarehouse,
        Self::ReplayDeadLetters,
        Self::Resume,
        Self::CancelHung,
        Self::RegisterWebhook,
        Self::RecreateView,
    ];

    /// Returns whether it starts a run of a sync.
    pub fn starts_run(self) -> bool {
        matches!(self, Self::RunAgain | Self::RunAfterLimit)
    }
}

/// Whether remedies act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// They are not judged.
    Off,
    /// They are judged up to the act, and scored.
    #[default]
    Advise,
    Act,
}

show_as_stored!(RemedyKind, Level);

/// The policy of the remedies of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Remedies {
    pub level: Level,
    /// Remedies with a lower level of their own.
    pub levels: BTreeMap<RemedyKind, Level>,
    /// A remedy waits for a scheduled start that is nearer than this.
    pub min_gain: SignedDuration,
    /// The price of an hour of the SQL warehouse, in US dollars.
    pub usd_per_hour: Option<f64>,
    /// The most that starts of the warehouse, or its additional clusters, may cost in 24 hours, in US dollars; needs
    /// `usd_per_hour`.
    pub usd_per_day: Option<f64>,
    /// The most clusters that the SQL warehouse may get; without it, none is added.
    pub max_clusters: Option<u32>,
}

impl Default for Remedies {
    fn default() -> Self {
        Self {
            level: Level::default(),
            levels: BTreeMap::new(),
            min_gain: DEFAULT_MIN_GAIN,
            usd_per_hour: None,
            usd_per_day: None,
            max_clusters: None,
        }
    }
}

impl Remedies {
    /// Returns the level of a remedy: its own, but never above that of all.
    pub fn level_of(&self, kind: RemedyKind) -> Level {
        self.levels.get(&kind).map_or(self.level, |own| self.level.min(*own))
    }
}
