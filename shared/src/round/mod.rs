//! Turns findings into effects: incidents are written, notices are sent.
//!
//! The order is write, send, record. An incident is written with its notice pending, by a write that names the version it
//! replaces, so that of two functions that judge at the same moment one sends. The notice is sent, then recorded as sent. A
//! function that dies in between leaves the notice pending, and a later round sends it again: at least once.

mod report;

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use crate::aws::incidents::{CauseLeader, Error as StoreError, Expected, IncidentStore, WriteOutcome};
use crate::aws::topic::{PublishError, Topic};
use crate::finding::{Check, Finding, Judge};
use crate::incident::{
    Circumstances, Decision, Hold, Incident, IncidentKey, NoteReason, NoticeKind, NotifyReason, common_cause,
    decide, resend, unreported,
};
use crate::judge::Habits;
use crate::metrics::{Figure, Metric};
use crate::notice;
use crate::pipeline::{Pipeline, Sync};
use crate::runtime::{Site, metrics};
use crate::silence::{Silence, Tally, active, covering};

pub use report::{Counts, Report};

/// How often a finding is decided if other writers change its incident first.
const ATTEMPTS: usize = 3;

/// Why a finding had no effect. The next round tries again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The incident could not be read or written.
    #[error(transparent)]
    Incident(#[from] StoreError),
    /// The notice could not be sent; it stays pending.
    #[error(transparent)]
    Notice(#[from] PublishError),
    /// Other writers changed the incident before each attempt.
    #[error("other rounds wrote it first {ATTEMPTS} times in a row")]
    Contended,
}

/// A notice that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SentNotice {
    /// The incident's key, or that of the silence.
    pub incident: String,
    pub kind: NoticeKind,
    /// Why it was sent; `None` for the notices that a silence suppressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<NotifyReason>,
}

/// The findings that a round could not record or send. The next round tries again.
#[derive(Debug, thiserror::Error)]
#[error("{} findings could not be recorded or sent: {}", .0.len(), .0.join("; "))]
pub struct Unfinished(Vec<String>);

/// One round of a function: begun before it observes, then it acts on findings, then it is finished.
#[derive(Debug)]
pub struct Round<'a> {
    pipeline: &'a Pipeline,
    judge: Judge,
    store: IncidentStore,
    topic: Topic,
    now: Timestamp,
    /// The moment of `now`: the time since then dates a notice without reading the clock again.
    began: Instant,
    /// All unresolved incidents, and those with a pending notice. All others are healthy as far as known.
    live: HashMap<IncidentKey, Incident>,
    /// Keys with a finding in this round.
    reported: HashSet<IncidentKey>,
    silences: Vec<Silence>,
    /// The suppressed notices of past and present silences, as of the beginning of the round.
    tallies: Vec<Tally>,
    report: Report,
}

impl<'a> Round<'a> {
    /// Reads open incidents and silences, and sends notices again that an earlier round left unrecorded.
    ///
    /// Begin before you observe: a write in between then wins over your observation. Without the open incidents the round fails,
    /// as it would alert again.
    pub async fn begin(site: &'a Site, judge: Judge, now: Timestamp) -> Result<Self, Error> {
        let (pipeline, store) = (&site.pipeline, site.incidents());
        let ((live, unreadable), (tallies, unreadable_silences)) =
            futures::try_join!(store.live_incidents(&pipeline.name), store.silences(&pipeline.name))?;
        let mut report = Report::new(&pipeline.name, now);
        for error in unreadable.iter().chain(&unreadable_silences) {
            if let StoreError::UnknownCheck { .. } = error {
                tracing::warn!(%error, "incident of an unknown check kept");
                report.unknown_incidents += 1;
            } else {
                report.failures.push(error.to_string());
            }
        }
        let mut round = Self {
            pipeline,
            judge,
            store,
            topic: site.topic(),
            now,
            began: Instant::now(),
            live: live.into_iter().map(|incident| (incident.key.clone(), incident)).collect(),
            reported: HashSet::new(),
            silences: active(&pipeline.silences, &tallies, now),
            tallies,
            report,
        };
        // The last one tried comes last, so that one that can never be sent does not block the others.
        let mut pending: Vec<&Incident> =
            round.live.values().filter(|incident| incident.pending.is_some()).collect();
        pending.sort_by_key(|incident| (incident.pending.map(|pending| pending.since), &incident.key));
        let unrecorded: Vec<(IncidentKey, Decision)> = pending
            .into_iter()
            .filter_map(|incident| Some((incident.key.clone(), resend(incident, now)?)))
            .collect();
        let failures = round.report.failures.len();
        for (key, decision) in unrecorded {
            round.carry_out_of(&key, decision).await;
            if round.report.failures.len() > failures {
                // Further attempts at a topic that does not answer would use up the time for observations.
                break;
            }
        }
        Ok(round)
    }

    /// Returns the store of incidents and of the records of rounds.
    pub fn store(&self) -> &IncidentStore {
        &self.store
    }

    /// Returns the unresolved incidents, and those with a pending notice.
    pub fn live(&self) -> impl Iterator<Item = &Incident> {
        self.live.values()
    }

    /// Reads the usual runs of all syncs, unless no check needs them. If they cannot be read, that check is not evaluated.
    pub async fn habits(&self) -> Habits<'a> {
        let is_declared = |sync: &Sync| self.pipeline.declares(Check::SilentRuns, &sync.key);
        if !self.pipeline.syncs.iter().any(is_declared) {
            return Habits::default();
        }
        let usual = self.store.usual_runs(&self.pipeline.name).await;
        Habits::new(self.pipeline, usual.map_err(|error| error.to_string()), self.live.values())
    }

    /// Returns the effects that failed so far; the round continues after each.
    pub fn failures(&self) -> &[String] {
        &self.report.failures
    }

    /// Adds another failure of this round.
    pub fn add_failure(&mut self, failure: String) {
        self.report.failures.push(failure);
    }

    /// Returns the notices sent so far.
    pub fn notices(&self) -> &[SentNotice] {
        &self.report.notices
    }

    /// Reports findings and acts on them. Failures are added to [`Round::failures`].
    pub async fn act_on(&mut self, findings: &[Finding]) {
        self.report.add(findings);
        for finding in findings {
            let key = IncidentKey::of(&self.pipeline.name, finding);
            if let Err(error) = self.decide_and_act(&key, finding).await {
                self.fail(&key, &error);
            }
            self.reported.insert(key);
        }
    }

    /// Decides about a finding and carries it out, again if another writer changed the incident first, as the next round of a
    /// nightly function is a day away.
    async fn decide_and_act(&mut self, key: &IncidentKey, finding: &Finding) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let decision = self.decide(key, finding).await?;
            if self.carry_out(decision).await? {
                return Ok(());
            }
        }
        Err(Error::Contended)
    }

    /// Ends a round that has judged all checks of its function on all declared subjects: an incident of these checks without a
    /// finding has stopped reporting, or is no longer declared. Then reports the suppressed notices of ended silences.
    pub async fn conclude(&mut self) {
        let own = |incident: &&Incident| {
            self.pipeline.concludes(self.judge, incident.key.check) && !self.reported.contains(&incident.key)
        };
        let quiet: Vec<(IncidentKey, Decision)> = self
            .live
            .values()
            .filter(own)
            .map(|incident| {
                let key = &incident.key;
                let declared = self.pipeline.declares(key.check, &key.subject);
                (key.clone(), unreported(incident, declared, &self.circumstances(key, None)))
            })
            .collect();
        for (key, decision) in quiet {
            self.carry_out_of(&key, decision).await;
        }
        for tally in std::mem::take(&mut self.tallies) {
            let count = tally.unreported(&self.silences, self.now);
            if count > 0
                && let Err(error) = self.report_suppressed(&tally, count).await
            {
                tracing::error!(silence = %tally.silence.id, %error, "suppressed notices not reported");
                self.report.failures.push(format!("silence {}: {error}", tally.silence.id));
            }
        }
    }

    /// Records under the function's name that the round ended without a failure.
    pub async fn record_if_good(&mut self) {
        if self.report.failures.is_empty()
            && let Err(error) = self.store.record_plain_round(&self.pipeline.name, self.judge, self.now).await
        {
            self.report.failures.push(format!("round not recorded: {error}"));
        }
    }

    /// Returns 1 if nothing failed so far, else 0, as a figure of this metric.
    pub fn good_as(&self, metric: Metric) -> Figure {
        (metric, if self.report.failures.is_empty() { 1.0 } else { 0.0 })
    }

    /// Ends the round: logs its report and emits its metrics, with `figures` that the function adds.
    pub fn finish(mut self, figures: &[Figure]) -> Result<Report, Unfinished> {
        let open = self.live.values().filter(|incident| incident.state.is_open());
        self.report.open_incidents = open.count();
        self.report.conclude();
        let report = self.report;
        tracing::info!(summary = %report.summary, "round finished");
        let figures: Vec<Figure> = report.metrics().into_iter().chain(figures.iter().copied()).collect();
        metrics::emit(&report.pipeline, report.at, &figures);
        if report.failures.is_empty() { Ok(report) } else { Err(Unfinished(report.failures)) }
    }

    /// The time by now (UTC).
    fn time(&self) -> Timestamp {
        self.now.saturating_add(self.began.elapsed()).unwrap_or(self.now)
    }

    fn circumstances<'b>(&'b self, key: &IncidentKey, finding: Option<&Finding>) -> Circumstances<'b> {
        Circumstances {
            pipeline: &self.pipeline.name,
            policy: &self.pipeline.notices,
            silence: covering(&self.silences, key.check, &key.subject, self.now),
            cause: finding.and_then(|finding| common_cause(finding, &self.live)),
            urgency: self.pipeline.urgency(key.check, &key.subject),
            now: self.now,
        }
    }

    async fn decide(&self, key: &IncidentKey, finding: &Finding) -> Result<Decision, Error> {
        let mut circumstances = self.circumstances(key, Some(finding));
        let read;
        let stored = match self.live.get(key) {
            Some(incident) => Some(incident),
            // A healthy finding without a live incident needs no read of the store. Nearly all findings are like that.
            None if !finding.is_unhealthy() => None,
            None => {
                read = self.store.get(key).await?;
                read.as_ref()
            }
        };
        let decision = decide(finding, stored, &circumstances);
        let (true, Some(group), Some(severity)) = (decision.opens(), &finding.group, finding.severity())
        else {
            return Ok(decision);
        };
        // Another function may find the same cause in another subject at this moment.
        match self.store.claim_cause(key, group, severity, self.now).await? {
            CauseLeader::Ours => Ok(decision),
            CauseLeader::Theirs(cause) => {
                circumstances.cause = Some(&cause);
                Ok(decide(finding, stored, &circumstances))
            }
        }
    }

    /// Carries out a decision that is not from a finding of this round. If another round wrote first, its decision stands.
    async fn carry_out_of(&mut self, key: &IncidentKey, decision: Decision) {
        if let Err(error) = self.carry_out(decision).await {
            self.fail(key, &error);
        }
    }

    /// Carries out a decision; returns `false` if the incident had changed since it was read.
    async fn carry_out(&mut self, decision: Decision) -> Result<bool, Error> {
        let over = |replaces: Option<u64>| replaces.map_or(Expected::Absent, Expected::Version);
        match decision {
            Decision::Rest(_) => Ok(true),
            Decision::Note { reason, incident, replaces } => {
                self.note(reason, *incident, over(replaces)).await
            }
            Decision::Notify { reason, incident, replaces, kind } => {
                self.notify(reason, *incident, over(replaces), kind).await
            }
        }
    }

    async fn note(
        &mut self,
        reason: NoteReason,
        incident: Incident,
        expected: Expected,
    ) -> Result<bool, Error> {
        let held_by = match (&incident.hold, reason) {
            (Some(Hold::Silence { id }), NoteReason::Silenced) => {
                self.silences.iter().find(|silence| silence.id == *id)
            }
            _ => None,
        };
        let outcome = match held_by {
            Some(silence) => self.store.write_held_back(&incident, expected, silence).await?,
            None => self.store.write(&incident, expected).await?,
        };
        let key = incident.key.clone();
        let kept = self.keep(incident, outcome);
        if kept {
            self.report.held_back += usize::from(reason == NoteReason::Silenced);
            tracing::info!(incident = %key, ?reason, "noted");
        }
        Ok(kept)
    }

    async fn notify(
        &mut self,
        reason: NotifyReason,
        incident: Incident,
        expected: Expected,
        kind: NoticeKind,
    ) -> Result<bool, Error> {
        let outcome = self.store.write(&incident, expected).await?;
        if !self.keep(incident.clone(), outcome) {
            return Ok(false);
        }
        self.topic.publish(&notice::render(&incident, kind, self.pipeline, self.now)).await?;
        tracing::info!(incident = %incident.key, %kind, ?reason, "notice sent");
        self.report.notices.push(SentNotice {
            incident: incident.key.to_string(),
            kind,
            reason: Some(reason),
        });
        let recorded = incident.with_notice_sent(self.time());
        // If the write is lost, our lease had ended and another round sent the notice again; its record stands.
        let outcome = self.store.write(&recorded, Expected::Version(incident.version)).await?;
        self.keep(recorded, outcome);
        Ok(true)
    }

    /// Keeps the stored incident; returns whether it is the one that we wrote.
    fn keep(&mut self, written: Incident, outcome: WriteOutcome) -> bool {
        match outcome {
            WriteOutcome::Written => {
                self.live.insert(written.key.clone(), written);
                true
            }
            WriteOutcome::Lost(current) => {
                tracing::info!(incident = %written.key, "incident changed by another round");
                match current {
                    Some(current) => self.live.insert(current.key.clone(), current),
                    None => self.live.remove(&written.key),
                };
                false
            }
        }
    }

    async fn report_suppressed(&mut self, tally: &Tally, count: u64) -> Result<(), Error> {
        let (pipeline, id) = (&self.pipeline.name, &tally.silence.id);
        if !self.store.begin_report(pipeline, tally, self.now).await? {
            return Ok(());
        }
        self.topic.publish(&notice::render_held_back(tally, count, self.pipeline)).await?;
        tracing::info!(silence = %id, held_back = count, "suppressed notices reported");
        self.report.notices.push(SentNotice {
            incident: format!("{pipeline}/silence/{id}"),
            kind: NoticeKind::HeldBack,
            reason: None,
        });
        Ok(self.store.record_reported(pipeline, tally, self.time()).await?)
    }

    fn fail(&mut self, key: &IncidentKey, error: &Error) {
        tracing::error!(incident = %key, %error, "finding not recorded or sent");
        self.report.failures.push(format!("{key}: {error}"));
    }
}
