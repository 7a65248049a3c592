//! The announcements of remedies. `notice` has their sentences.

use serde::{Deserialize, Serialize};

use super::{Plan, Record, Target};
use crate::pipeline::RemedyKind;

/// An announcement of a remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Announcement {
    /// It needs approval.
    Asked,
    /// It healed the incident by itself.
    Healed,
    /// It did not help, and is not tried again.
    GaveUp,
}

/// The operator's command for a remedy.
pub fn command(record: &Record, verb: &str) -> String {
    format!("syncwatch remedies {verb} {}", record.id)
}

impl Plan {
    /// Returns the act in a few words, as in "Syncwatch may ...".
    pub fn act(&self) -> String {
        let target = self.target.name();
        match self.kind {
            RemedyKind::Wait => format!("wait for the next scheduled run of {target}"),
            RemedyKind::RunAgain => format!("run {target} again"),
            RemedyKind::RunAfterLimit => format!("run {target} again after the limit"),
            RemedyKind::StartWarehouse => "start the SQL warehouse".to_owned(),
            RemedyKind::WidenWarehouse => match self.target {
                Target::Clusters { from, to, .. } => {
                    format!("give the SQL warehouse up to {to} clusters instead of {from} for two hours")
                }
                _ => "give the SQL warehouse more clusters for two hours".to_owned(),
            },
            RemedyKind::ReplayDeadLetters => "send undelivered notices again".to_owned(),
            RemedyKind::Resume => format!("resume {target}"),
            RemedyKind::CancelHung => format!("cancel the run of {target} that does not end"),
            RemedyKind::RegisterWebhook => "create the webhook in Census anew, with a new secret".to_owned(),
            RemedyKind::RecreateView => format!("give the view {target} the definition of its file"),
        }
    }
}
