//! Runs the worker: takes deliveries from the queue, reads each sync that they name once, judges and acts.

use std::collections::HashSet;
use std::time::Duration;

use futures::{StreamExt as _, future, stream};
use jiff::Timestamp;
use serde_json::Value;
use syncwatch::aws::CallLimits;
use syncwatch::aws::deliveries::DeliveryStore;
use syncwatch::finding::{Finding, Judge};
use syncwatch::judge::{Habits, judge_sync, judging_time};
use syncwatch::metrics::Metric;
use syncwatch::observation::Unread;
use syncwatch::observe::Sampler;
use syncwatch::pipeline::Sync;
use syncwatch::round::Round;
use syncwatch::rounds::WebhookRecord;
use syncwatch::runtime::batch::{self, Message};
use syncwatch::runtime::env::{self, Needs};
use syncwatch::runtime::{Site, metrics};

use crate::delivery::{Delivery, Poison, UnknownEvent};
use crate::observe::{self, Reading, RunState};
use crate::triage::{Fate, Hint, Left, Triage, answer, leave_last_tries};

/// Limit for all reads of a batch: half of the function's timeout; the rest is for acting on the findings.
pub const READING_LIMIT: Duration = Duration::from_secs(15);
/// Syncs that are read at the same time.
const CONCURRENT_READS: usize = 5;

/// The settings of the worker.
pub const NEEDS: Needs = Needs {
    required: &[
        env::PIPELINE,
        env::TOPIC_ARN,
        env::INCIDENTS_TABLE,
        env::DELIVERIES_TABLE,
        env::CENSUS_SECRET,
    ],
    optional: &[env::CENSUS_BASE_URL],
    aws: CallLimits { attempt: Duration::from_secs(2), operation: Duration::from_secs(6) },
};

/// The worker function, with its settings and time limits.
#[derive(Debug)]
pub struct Worker {
    site: Site,
    deliveries: DeliveryStore,
    patience: Patience,
}

/// Limits on waiting for Census.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// The waits before each new read of a run that still runs after its delivery reported its end.
    pub reread_after: Vec<Duration>,
    /// Limit for all reads of a batch.
    pub reading_limit: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let reread_after = vec![Duration::from_secs(1), Duration::from_secs(2)];
        Self { reread_after, reading_limit: READING_LIMIT }
    }
}

/// A sync that was read and judged, with the fates of its deliveries unless acting fails.
struct Judged {
    findings: Vec<Finding>,
    hints: Vec<(Hint<Delivery>, Fate)>,
    /// The errors of acting on the findings.
    failures: Vec<String>,
}

impl Worker {
    /// Builds the worker with the default limits.
    pub fn new(site: Site) -> Self {
        let deliveries = DeliveryStore::new(site.sdk().dynamodb(), site.setting(env::DELIVERIES_TABLE));
        Self { site, deliveries, patience: Patience::default() }
    }

    /// Replaces the limits on waiting.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Handles one event that arrived at `now`. The answer lists messages that failed.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        let messages = batch::read(&event)?;
        // Boxed, because the compiler gives up on a future of this depth.
        let settled = Box::pin(self.handle(messages, now)).await;
        Ok(answer(&settled))
    }

    /// Handles one batch: sorts it, reads and judges each sync, acts, and records the handled deliveries.
    async fn handle(&self, messages: Vec<Message>, now: Timestamp) -> Vec<(Message, Fate)> {
        let mut triage = Triage::of(messages, &self.site.pipeline);
        let refused = triage.refused.take().map(|refused| (refused.at, refused.why));
        let keys = triage.keys();
        match self.deliveries.handled(keys.iter().map(String::as_str), now).await {
            Ok(handled) => triage.settle_duplicates(&handled),
            Err(error) => {
                let Triage { mut settled, hints, kept, .. } = triage;
                settled.extend(fail_all(&hints, &kept, &error.to_string()));
                return report(settled, 0, 0);
            }
        }
        let Triage { mut settled, hints, kept, .. } = triage;
        let (judged, notices) = self.check_syncs(hints, now, &mut settled).await;
        if notices > 0 {
            metrics::emit(&self.site.pipeline.name, now, &[(Metric::Notices, notices as f64)]);
        }
        let findings = judged.iter().map(|judged| judged.findings.len()).sum();

        let hints = judged.iter().flat_map(|judged| judged.hints.iter().map(|hint| (hint, &judged.failures)));
        let concluded = hints.map(async |((hint, fate), failures)| {
            let fate = self.conclude(&hint.payload, fate.clone(), failures, now).await;
            hint.settle(&fate)
        });
        let kept = kept.iter().map(async |kept| kept.settle(&self.keep(kept, now).await));
        let (concluded, kept) = future::join(future::join_all(concluded), future::join_all(kept)).await;
        settled.extend(concluded.into_iter().chain(kept).flatten());
        let accepted = settled.iter().any(|(_, fate)| fate.is_of_delivery());
        self.record_webhooks(WebhookRecord { accepted_at: accepted.then_some(now), refused }).await;
        report(settled, findings, notices)
    }

    /// Reads, judges and acts on each sync; also returns the number of notices sent. Hints that fail are settled.
    async fn check_syncs(
        &self,
        hints: Vec<Hint<Delivery>>,
        now: Timestamp,
        settled: &mut Vec<(Message, Fate)>,
    ) -> (Vec<Judged>, usize) {
        if hints.is_empty() {
            return (Vec::new(), 0);
        }
        // Begun before the reads, so that concurrent decisions of other functions take precedence over this one.
        let mut round = match Round::begin(&self.site, Judge::ScheduleVerification, now).await {
            Ok(round) => round,
            Err(error) => {
                settled.extend(fail_all(&hints, &[], &error.to_string()));
                return (Vec::new(), 0);
            }
        };
        let groups = Triage::by_sync(hints, &self.site.pipeline);
        let habits = round.habits().await;
        let mut judged = self.judge(groups, &habits, now, settled).await;
        for judged in &mut judged {
            // Earlier failures concern other syncs, and the poll reports them.
            let before = round.failures().len();
            round.act_on(&judged.findings).await;
            judged.failures.extend(round.failures().iter().skip(before).cloned());
        }
        (judged, round.notices().len())
    }

    /// Reads and judges each sync once. Hints of unreadable syncs are settled.
    async fn judge(
        &self,
        groups: Vec<(&Sync, Vec<Hint<Delivery>>)>,
        habits: &Habits<'_>,
        now: Timestamp,
        settled: &mut Vec<(Message, Fate)>,
    ) -> Vec<Judged> {
        let census = self.site.census(now).await.map_err(|error| error.to_string());
        let census = match census.and_then(|census| census.map_err(|why| why.to_string())) {
            Ok(census) => census,
            Err(why) => {
                settled.extend(groups.iter().flat_map(|(_, hints)| fail_all(hints, &[], &why)));
                return Vec::new();
            }
        };
        let Patience { reread_after, reading_limit } = &self.patience;
        let deadline = tokio::time::Instant::now() + *reading_limit;
        let (census, sampler) = (&census, &Sampler::new(&census));
        let readings: Vec<_> = stream::iter(groups)
            .map(async |(sync, hints)| {
                let reading = observe::read(census, sampler, sync, &hints, reread_after);
                let reading = tokio::time::timeout_at(deadline, reading).await;
                (sync, hints, reading)
            })
            .buffered(CONCURRENT_READS)
            .collect()
            .await;
        let now = judging_time(now, census.clock_ahead());
        let mut judged = Vec::new();
        for (sync, hints, reading) in readings {
            let why = match reading {
                Ok(Ok(reading)) => {
                    let objectives = &self.site.pipeline.objectives;
                    let findings = judge_sync(&reading.observation, sync, objectives, habits, now);
                    let fate = |hint: Hint<Delivery>| {
                        let fate = fate(&hint.payload, &reading);
                        (hint, fate)
                    };
                    let hints = hints.into_iter().map(fate).collect();
                    judged.push(Judged { findings, hints, failures: Vec::new() });
                    continue;
                }
                Ok(Err(error)) => {
                    if matches!(error.to_unread(), Unread::Refused(_) | Unread::NoCredentials(_)) {
                        // The next batch reads the secret again, in case the token was replaced.
                        self.site.forget_token();
                    }
                    error.to_string()
                }
                Err(_) => format!("Census took longer than {} s", reading_limit.as_secs()),
            };
            settled.extend(fail_all(&hints, &[], &why));
        }
        judged
    }

    /// Records a handled delivery. If acting on its findings failed, it is retried: acting twice is harmless.
    async fn conclude(&self, delivery: &Delivery, fate: Fate, failures: &[String], now: Timestamp) -> Fate {
        if fate.is_failure() {
            return fate;
        }
        if !failures.is_empty() {
            return Fate::Failed(failures.join("; "));
        }
        if !matches!(fate, Fate::Handled | Fate::Late) {
            // Not recorded, because a later copy may find that the run has ended.
            return fate;
        }
        let figures = [
            ("sync", Some(delivery.sync_id.to_string())),
            ("run", Some(delivery.run_id.to_string())),
            ("event", Some(delivery.event.word().to_owned())),
            ("alert_type", delivery.alert_type.clone()),
            ("received_at", Some(delivery.received_at.to_string())),
        ];
        self.record(&delivery.key(), figures, fate, now).await
    }

    /// Records that webhooks arrive, or are refused, for the poll to judge. One write per batch; if it fails, the next batch
    /// makes up for it.
    async fn record_webhooks(&self, record: WebhookRecord) {
        if record == WebhookRecord::default() {
            return;
        }
        let recorded = self.site.incidents().record_webhooks(&self.site.pipeline.name, &record).await;
        if let Err(error) = recorded {
            tracing::warn!(%error, "webhook record failed");
        }
    }

    /// Records an event that Census does not document.
    async fn keep(&self, kept: &Hint<UnknownEvent>, now: Timestamp) -> Fate {
        let UnknownEvent { fields, received_at } = &kept.payload;
        let figures = [
            ("sync", fields.sync_id.map(|sync| sync.to_string())),
            ("run", fields.run_id.map(|run| run.to_string())),
            ("unknown_event", fields.event.clone()),
            ("received_at", Some(received_at.to_string())),
        ];
        self.record(&kept.key, figures, Fate::UnknownEvent, now).await
    }

    async fn record<const N: usize>(
        &self,
        key: &str,
        figures: [(&'static str, Option<String>); N],
        fate: Fate,
        now: Timestamp,
    ) -> Fate {
        let figures = figures.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let recorded = self.deliveries.record(key, figures, now).await;
        recorded.map_or_else(|error| Fate::Failed(error.to_string()), |()| fate)
    }
}

/// Decides the fate of a delivery whose sync was read.
fn fate(delivery: &Delivery, reading: &Reading) -> Fate {
    match reading.runs.get(&delivery.run_id) {
        Some(RunState::AtWork) if delivery.event.is_end_of_run() => Fate::LeftToPoll(Left::StillAtWork),
        Some(RunState::Ended | RunState::AtWork) => Fate::Handled,
        Some(RunState::Old) => Fate::Late,
        Some(RunState::OfAnotherSync) => Fate::Poison(Poison::RunOfAnotherSync),
        Some(RunState::Unknown) | None => Fate::Poison(Poison::UnknownRun),
    }
}

fn fail_all(hints: &[Hint<Delivery>], kept: &[Hint<UnknownEvent>], why: &str) -> Vec<(Message, Fate)> {
    let fate = Fate::Failed(why.to_owned());
    let hints = hints.iter().flat_map(|hint| hint.settle(&fate));
    hints.chain(kept.iter().flat_map(|kept| kept.settle(&fate))).collect()
}

/// Decides on last tries and logs a batch: one line of counts, and one for each distinct failure.
fn report(mut settled: Vec<(Message, Fate)>, findings: usize, notices: usize) -> Vec<(Message, Fate)> {
    leave_last_tries(&mut settled);
    let mut logged = HashSet::new();
    for (message, fate) in &settled {
        match fate {
            Fate::Poison(poison) => {
                tracing::error!(message = message.id, why = %poison, "delivery rejected");
            }
            Fate::Failed(why) if logged.insert(why) => tracing::error!(why, "deliveries returned for retry"),
            Fate::LeftToPoll(Left::LastTry(why)) if logged.insert(why) => {
                tracing::warn!(why, "deliveries left to the poll");
            }
            _ => {}
        }
    }
    let count = |is: fn(&Fate) -> bool| settled.iter().filter(|(_, fate)| is(fate)).count();
    tracing::info!(
        handled = count(|fate| matches!(fate, Fate::Handled)),
        late = count(|fate| matches!(fate, Fate::Late)),
        duplicates = count(|fate| matches!(fate, Fate::Duplicate)),
        unknown_syncs = count(|fate| matches!(fate, Fate::UnknownSync)),
        refusals = count(|fate| matches!(fate, Fate::Refusal)),
        unknown_events = count(|fate| matches!(fate, Fate::UnknownEvent)),
        left_to_poll = count(|fate| matches!(fate, Fate::LeftToPoll(_))),
        poison = count(|fate| matches!(fate, Fate::Poison(_))),
        failed = count(|fate| matches!(fate, Fate::Failed(_))),
        findings,
        notices,
        "batch done"
    );
    settled
}

#[cfg(test)]
mod tests;
