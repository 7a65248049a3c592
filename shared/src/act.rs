//! Turns findings into effects: incidents that are written, notices that are sent.
//!
//! The order is write, send, record. An incident is written with its notice pending, by a write that names the
//! version it replaces, so that of two functions that judge at the same moment one sends. The notice is sent, then
//! recorded as sent. A function that dies in between leaves the notice pending, and a later round sends it again: at
//! least once, never not at all.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::aws::incidents::{Expected, IncidentStore, WriteOutcome};
use crate::aws::topic::{PublishError, Topic};
use crate::finding::Finding;
use crate::incident::{Decision, Incident, IncidentKey, NoticeKind, NotifyReason, State, decide, resend};
use crate::notice;
use crate::pipeline::Pipeline;

/// Why a finding had no effect. The next round tries again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The incident could not be read or written.
    #[error(transparent)]
    Incident(#[from] crate::aws::incidents::Error),
    /// The notice could not be sent; it stays pending.
    #[error(transparent)]
    Notice(#[from] PublishError),
}

/// A notice that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SentNotice {
    /// The incident's key.
    pub incident: String,
    /// What the notice said.
    pub kind: NoticeKind,
    /// Why it was sent.
    pub reason: NotifyReason,
}

/// One round of acting on findings.
#[derive(Debug)]
pub struct Round<'a> {
    pipeline: &'a Pipeline,
    store: &'a IncidentStore,
    topic: &'a Topic,
    now: Timestamp,
    /// Open incidents and those with a pending notice. All others are healthy as far as anybody knows.
    live: HashMap<IncidentKey, Incident>,
    /// Notices sent in this round.
    pub sent: Vec<SentNotice>,
    /// What failed, in words; the round goes on with the next finding.
    pub failures: Vec<String>,
}

impl<'a> Round<'a> {
    /// Reads what is open, and sends again what an earlier round left unrecorded.
    ///
    /// # Errors
    /// The open incidents could not be read. Without them nothing may be said: people would be told what they know.
    pub async fn begin(
        pipeline: &'a Pipeline,
        store: &'a IncidentStore,
        topic: &'a Topic,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let live = store.open_incidents(&pipeline.name).await?;
        let live =
            live.into_iter().map(|incident| (incident.key.clone(), incident)).collect::<HashMap<_, _>>();
        let mut round = Self { pipeline, store, topic, now, live, sent: Vec::new(), failures: Vec::new() };
        let unrecorded: Vec<Decision> =
            round.live.values().filter_map(|incident| resend(incident, now)).collect();
        for decision in unrecorded {
            round.carry_out(decision).await;
        }
        Ok(round)
    }

    /// Acts on findings. What fails is kept in [`Round::failures`].
    pub async fn act_on(&mut self, findings: &[Finding]) {
        for finding in findings {
            match self.decide(finding).await {
                Ok(decision) => self.carry_out(decision).await,
                Err(error) => self.fail(&IncidentKey::of(&self.pipeline.name, finding), &error),
            }
        }
    }

    /// How many incidents are open as far as this round knows.
    pub fn open(&self) -> usize {
        self.live.values().filter(|incident| incident.state == State::Open).count()
    }

    async fn decide(&self, finding: &Finding) -> Result<Decision, Error> {
        let key = IncidentKey::of(&self.pipeline.name, finding);
        if let Some(incident) = self.live.get(&key) {
            return Ok(decide(&self.pipeline.name, finding, Some(incident), self.now));
        }
        // What is healthy and not live needs no look at the store, which is nearly every finding of nearly every round.
        let stored = if finding.is_unhealthy() { self.store.get(&key).await? } else { None };
        Ok(decide(&self.pipeline.name, finding, stored.as_ref(), self.now))
    }

    async fn carry_out(&mut self, decision: Decision) {
        let Decision::Notify { reason, incident, replaces, kind } = decision else { return };
        let key = incident.key.clone();
        if let Err(error) = self.notify(reason, *incident, replaces, kind).await {
            self.fail(&key, &error);
        }
    }

    async fn notify(
        &mut self,
        reason: NotifyReason,
        incident: Incident,
        replaces: Option<u64>,
        kind: NoticeKind,
    ) -> Result<(), Error> {
        let expected = replaces.map_or(Expected::Absent, Expected::Version);
        if let WriteOutcome::Lost(current) = self.store.write(&incident, expected).await? {
            // Another function was quicker, and it sends the notice.
            tracing::info!(incident = %incident.key, "another round decided first");
            if let Some(current) = current {
                self.live.insert(current.key.clone(), current);
            }
            return Ok(());
        }
        self.topic.publish(&notice::render(&incident, kind, self.pipeline, self.now)).await?;
        tracing::info!(incident = %incident.key, %kind, reason = ?reason, "notice sent");
        self.sent.push(SentNotice { incident: incident.key.to_string(), kind, reason });
        let recorded = incident.with_notice_sent();
        match self.store.write(&recorded, Expected::Version(incident.version)).await? {
            WriteOutcome::Written => self.live.insert(recorded.key.clone(), recorded),
            // Somebody took our lease for lost and sent the notice again; what they wrote stands.
            WriteOutcome::Lost(current) => {
                current.and_then(|current| self.live.insert(current.key.clone(), current))
            }
        };
        Ok(())
    }

    fn fail(&mut self, key: &IncidentKey, error: &Error) {
        tracing::error!(incident = %key, %error, "a finding had no effect");
        self.failures.push(format!("{key}: {error}"));
    }
}
