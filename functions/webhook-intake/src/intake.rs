//! The intake: verify, queue, answer. Holds no client for Census and no token.

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
use crate::verify::{Refusal, Verdict, admit, tells_of_declared};

/// The settings of the intake.
pub const NEEDS: Needs = Needs {
    required: &[env::PIPELINE, env::DELIVERIES_QUEUE, env::WEBHOOK_SECRET],
    optional: &[],
    // A request asks for the secret and then the queue, and is to be answered 503 within 10 s. At a cold start Lambda ends
    // an initialization after 10 s as well; the first request asks again for a secret that was not read then.
    aws: CallLimits { attempt: Duration::from_secs(2), operation: Duration::from_secs(4) },
};

/// How often a refusal is logged, by each sandbox.
const REFUSALS_LOGGED_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// How often the worker is told of refusals, by each sandbox.
const REFUSALS_TOLD_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// The intake function.
#[derive(Debug)]
pub struct Intake {
    pipeline: Pipeline,
    keyring: Keyring,
    queue: Queue,
    logged: Refusals,
    told_worker: Refusals,
}

impl Intake {
    /// The intake, with the secret read.
    ///
    /// A secret that cannot be used is logged at once, and reported by every event until there is one that can: it is put
    /// into Secrets Manager after the function exists, for Census shows it when the function's URL is registered.
    pub async fn new(site: Site) -> Self {
        let (queue, secret) =
            (site.queue(env::DELIVERIES_QUEUE), site.setting(env::WEBHOOK_SECRET).to_owned());
        let keyring = Keyring::open(site.secrets, secret).await;
        if let Some(why) = keyring.trouble() {
            tracing::error!(%why, "webhooks cannot be verified");
        }
        Self {
            pipeline: site.pipeline,
            keyring,
            queue,
            logged: Refusals::reported_every(REFUSALS_LOGGED_EVERY),
            told_worker: Refusals::reported_every(REFUSALS_TOLD_EVERY),
        }
    }

    /// Answers one event. `now` is when it arrived. An error means that the event is unknown, or that the secret cannot be
    /// used; it names the remedy.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        let request = Request::read(&event)?;
        let verdict = self.receive(&request, now).await?;
        if let Verdict::Refused(refusal) = &verdict {
            self.tell_worker(*refusal, &request, now).await;
        }
        self.note(&verdict, request.source_ip.as_deref(), now);
        Ok(verdict.to_http())
    }

    /// Tells the worker, now and then, that something was refused that looks like a webhook of Census about a declared sync:
    /// if none is accepted either, that is why. Strangers cannot make it often, and it holds nothing of what they sent.
    async fn tell_worker(&self, refusal: Refusal, request: &Request, now: Timestamp) {
        // Cheapest first: only what is due is read.
        let due = refusal.is_of_signature() && self.told_worker.is_due(now);
        if !due || !tells_of_declared(request, &self.pipeline) {
            return;
        }
        self.told_worker.note(now);
        let (_, why) = refusal.status_and_name();
        if let Err(error) = self.queue.send(&refusal_message(why, now)).await {
            tracing::warn!(%error, "the worker could not be told of a refusal");
        }
    }

    /// Logs and counts an answer. Of refused requests, which any client can send, one a second stands for those before it.
    fn note(&self, verdict: &Verdict, source_ip: Option<&str>, now: Timestamp) {
        let unlogged = match verdict {
            Verdict::Refused(_) => self.logged.note(now),
            _ => Some(0),
        };
        if let Some(unlogged) = unlogged {
            verdict.log(source_ip, unlogged);
            metrics::emit(&self.pipeline.name, now, &[(verdict.summary().1, unlogged + 1)]);
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
    /// The status, the metric that counts it, and what it is called in the log.
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

    /// One line, counted by its `outcome`; `unlogged` requests before it were refused without a line.
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

    /// The answer as a Function URL takes it. It tells a stranger nothing that the status does not.
    fn to_http(&self) -> Value {
        let (status, ..) = self.summary();
        let said = match status {
            202 => "accepted",
            503 => "try again",
            _ => "refused",
        };
        let headers = match self {
            // HTTP asks for the second one (RFC 9110, 15.5.6).
            Self::Refused(Refusal::MethodNotAllowed) => {
                json!({ "content-type": "application/json", "allow": "POST" })
            }
            _ => json!({ "content-type": "application/json" }),
        };
        json!({
            "statusCode": status,
            "headers": headers,
            "body": json!({ "status": said }).to_string(),
        })
    }
}

#[cfg(test)]
mod tests;
