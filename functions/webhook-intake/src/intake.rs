//! Runs the intake: verify, queue, answer. It has no client for Census and no token.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use syncwatch::aws::CallLimits;
use syncwatch::aws::queue::Queue;
use syncwatch::metrics::Metric;
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::env::{self, Needs};
use syncwatch::runtime::{Site, metrics};

use crate::delivery::{Fields, refusal_message};
use crate::keyring::{Keyring, NoKeys};
use crate::refusals::Refusals;
use crate::request::Request;
use crate::verify::{Refusal, Verdict, admit, names_declared_sync};

/// The settings of the intake.
pub const NEEDS: Needs = Needs {
    required: &[env::PIPELINE, env::DELIVERIES_QUEUE, env::WEBHOOK_SECRET],
    optional: &[],
    // A request calls Secrets Manager and then SQS, and must be answered within 10 s even with a 503. Lambda also limits the
    // initialization of a cold start to 10 s; a secret that was not read by then is read by the first request.
    aws: CallLimits { attempt: Duration::from_secs(2), operation: Duration::from_secs(4) },
};

/// Each sandbox logs at most one refusal per period.
const REFUSALS_LOGGED_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// Each sandbox reports at most one refusal per period to the worker.
const REFUSALS_REPORTED_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// The intake function, with its keys and its queue.
#[derive(Debug)]
pub struct Intake {
    pipeline: Pipeline,
    keyring: Keyring,
    queue: Queue,
    logged: Refusals,
    reported: Refusals,
}

impl Intake {
    /// Starts the intake and reads the secret.
    ///
    /// An unusable secret is logged at once, and fails every event until it is replaced. It is stored after the function
    /// exists, because Census shows it only once the function's URL is registered.
    pub async fn new(site: Site) -> Self {
        let (queue, secret) =
            (site.queue(env::DELIVERIES_QUEUE), site.setting(env::WEBHOOK_SECRET).to_owned());
        let keyring = Keyring::open(site.secrets, secret).await;
        if let Some(why) = keyring.trouble() {
            tracing::error!(%why, "webhook secret unusable");
        }
        Self {
            pipeline: site.pipeline,
            keyring,
            queue,
            logged: Refusals::reported_every(REFUSALS_LOGGED_EVERY),
            reported: Refusals::reported_every(REFUSALS_REPORTED_EVERY),
        }
    }

    /// Handles one event that arrived at `now`. Fails if the event is unknown or the secret is unusable; the error names the
    /// remedy.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        let request = Request::read(&event)?;
        let verdict = self.receive(&request, now).await?;
        if let Verdict::Refused(refusal) = &verdict {
            self.report_refusal(*refusal, &request, now).await;
        }
        self.note(&verdict, request.source_ip.as_deref(), now);
        Ok(verdict.to_http())
    }

    /// Reports to the worker, at a limited rate, the refusal of an apparent webhook of Census about a declared sync: it
    /// explains why none is accepted. Strangers cannot raise the rate, and the report contains nothing of their request.
    async fn report_refusal(&self, refusal: Refusal, request: &Request, now: Timestamp) {
        // Cheapest check first: the request is parsed only if a report is due.
        let due = refusal.is_of_signature() && self.reported.is_due(now);
        if !due || !names_declared_sync(request, &self.pipeline) {
            return;
        }
        self.reported.note(now);
        let (_, why) = refusal.status_and_name();
        if let Err(error) = self.queue.send(&refusal_message(why, now)).await {
            tracing::warn!(%error, "refusal report failed");
        }
    }

    /// Logs and counts an answer. Any client can send refused requests, so one line a second counts those before it.
    fn note(&self, verdict: &Verdict, source_ip: Option<&str>, now: Timestamp) {
        let unlogged = match verdict {
            Verdict::Refused(_) => self.logged.note(now),
            _ => Some(0),
        };
        if let Some(unlogged) = unlogged {
            verdict.log(source_ip, unlogged);
            metrics::emit(&self.pipeline.name, now, &[(verdict.summary().1, (unlogged + 1) as f64)]);
        }
    }

    async fn receive(&self, request: &Request, now: Timestamp) -> anyhow::Result<Verdict> {
        let signed = match admit(request) {
            Ok(signed) => signed,
            Err(refusal) => return Ok(Verdict::Refused(refusal)),
        };
        let keys = match self.keyring.keys(now).await {
            Ok(keys) => keys,
            Err(NoKeys::Passing(why)) => return Ok(Verdict::TryAgain { about: Fields::default(), why }),
            Err(why @ NoKeys::Unusable(_)) => return Err(why.into()),
        };
        let mut verdict = signed.verdict(&keys, &self.pipeline, now);
        if verdict == Verdict::Refused(Refusal::WrongSignature)
            && let Some(keys) = self.keyring.keys_after_refusal(now).await
        {
            verdict = signed.verdict(&keys, &self.pipeline, now);
        }
        if let Verdict::Accepted { message, about } = &verdict
            && let Err(error) = self.queue.send(message).await
        {
            return Ok(Verdict::TryAgain { about: about.clone(), why: error.to_string() });
        }
        Ok(verdict)
    }
}

impl Verdict {
    /// The status, the metric that counts it, and its name in the log.
    fn summary(&self) -> (u16, Metric, &'static str) {
        match self {
            Self::Accepted { .. } => (202, Metric::Webhooks, "accepted"),
            Self::UnknownSync { .. } => (202, Metric::Webhooks, "unknown-sync"),
            Self::Refused(refusal) => {
                let (status, name) = refusal.status_and_name();
                (status, Metric::RefusedWebhooks, name)
            }
            Self::TryAgain { .. } => (503, Metric::Webhooks, "try-again"),
        }
    }

    /// Logs one line, counted by its `outcome`; `unlogged` requests before it were refused without a line.
    fn log(&self, source_ip: Option<&str>, unlogged: usize) {
        let (status, _, outcome) = self.summary();
        let about = match self {
            Self::Accepted { about, .. } | Self::UnknownSync { about } | Self::TryAgain { about, .. } => {
                Some(about)
            }
            Self::Refused(_) => None,
        };
        let sync = about.and_then(|about| about.sync_id).map(|sync| sync.0);
        let run = about.and_then(|about| about.run_id).map(|run| run.0);
        let event = about.and_then(|about| about.event.as_deref());
        if let Self::TryAgain { why, .. } = self {
            tracing::error!(status, outcome, sync, run, event, source_ip, %why, "webhook answered");
        } else {
            tracing::info!(status, outcome, sync, run, event, source_ip, unlogged, "webhook answered");
        }
    }

    /// Builds the answer for the Function URL. Its body discloses no more than the status.
    fn to_http(&self) -> Value {
        let (status, ..) = self.summary();
        let word = match status {
            202 => "accepted",
            503 => "try again",
            _ => "refused",
        };
        let headers = match self {
            // HTTP requires `allow` with a 405 (RFC 9110, 15.5.6).
            Self::Refused(Refusal::MethodNotAllowed) => {
                json!({ "content-type": "application/json", "allow": "POST" })
            }
            _ => json!({ "content-type": "application/json" }),
        };
        json!({
            "statusCode": status,
            "headers": headers,
            "body": json!({ "status": word }).to_string(),
        })
    }
}

#[cfg(test)]
mod tests;
