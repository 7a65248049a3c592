//! The outside world of the driver: its reads, its writes, its acts and its notices.

use jiff::Timestamp;
use syncwatch::incident::{Incident, IncidentKey};
use syncwatch::observation::{RunId, SyncObservation};
use syncwatch::remedy::{Announcement, CopySeen, Observed, Record, Stop};

/// The answer to an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// Accepted; the effect is not seen yet.
    Accepted(Effect),
    /// Certainly without effect.
    Refused(String),
    /// Certainly without effect, as the right is missing.
    Forbidden(String),
    /// Perhaps accepted: it is never repeated.
    Lost(String),
}

/// The run or messages of an accepted act.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effect {
    pub run: Option<RunId>,
    /// Messages that were sent again.
    pub moved: u64,
}

/// Everything that the driver does to the world. Each call has a time limit of its own.
#[allow(async_fn_in_trait, reason = "the function has one thread, so no future needs to be `Send`")]
pub trait Ports {
    /// The present time (UTC).
    fn now(&self) -> Timestamp;
    /// Whether there is time for another remedy in this round.
    fn has_time(&self) -> bool;
    /// Reads the kill switches that are on, without a cache.
    async fn stops(&self) -> Result<Vec<Stop>, String>;
    /// Reads an incident as it is stored now.
    async fn incident(&self, key: &IncidentKey) -> Result<Option<Incident>, String>;
    /// Returns the id of the silence that covers an incident now.
    async fn silenced_by(&self, key: &IncidentKey) -> Result<Option<String>, String>;
    /// Reads what the remedies of an incident rely on.
    async fn observe(&self, key: &IncidentKey) -> Observed;
    /// Reads the copy of the object that a sync writes, if the warehouse runs.
    async fn copy(&self, sync: &str) -> CopySeen;
    /// Reads the syncs that read the view of an incident, by key, without the warehouse.
    async fn readers(&self, key: &IncidentKey) -> Vec<(String, Result<SyncObservation, String>)>;
    /// Stores a record if the stored one has the version before; `false` if another function was first.
    async fn store(&self, record: &Record) -> Result<bool, String>;
    /// Carries out the act of a record whose intention is stored.
    async fn call(&self, record: &Record) -> Called;
    /// Undoes the part of an act that was for a limited time. To repeat it is harmless.
    async fn put_back(&self, record: &Record) -> Called;
    /// Marks the incident of an act that was accepted, so that the notice of its end says who healed it. The mark is optional.
    async fn mark(&self, record: &Record);
    /// Sends an announcement.
    async fn announce(&self, record: &Record, announcement: Announcement) -> Result<(), String>;
}
