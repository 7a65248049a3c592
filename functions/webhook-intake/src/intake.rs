//! The intake: verify, queue, answer. Holds no client for Census and no token.

use jiff::Timestamp;
use serde_json::{Value, json};
use syncwatch::aws::queue::Queue;
use syncwatch::metrics::Metric;
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::env::{self, Needs};
use syncwatch::runtime::{Site, metrics};

use crate::delivery::Glimpse;
use crate::keyring::{Keyring, NoKeys};
use crate::request::Request;
use crate::verify::{Refusal, Verdict, admit};

/// The settings of the intake.
pub const NEEDS: Needs =
    Needs { required: &[env::PIPELINE, env::DELIVERIES_QUEUE, env::WEBHOOK_SECRET], optional: &[] };

/// The intake.
#[derive(Debug)]
pub struct Intake {
    pipeline: Pipeline,
    keyring: Keyring,
    queue: Queue,
}

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Decided(Verdict),
    /// AWS did not do its part: Census is to try again.
    TryAgain {
        about: Glimpse,
        why: String,
    },
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
        Self { pipeline: site.pipeline, keyring, queue }
    }

    /// Answers one event. `now` is when it arrived.
    ///
    /// # Errors
    /// The event is unknown, or the secret is not one to verify with; names it and the remedy.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        let request = Request::read(&event)?;
        let answer = self.receive(&request, now).await?;
        answer.log(request.source_ip.as_deref());
        metrics::emit(&self.pipeline.name, now, &[(answer.summary().1, 1)]);
        Ok(answer.to_http())
    }

    async fn receive(&self, request: &Request, now: Timestamp) -> anyhow::Result<Answer> {
        let signed = match admit(request) {
            Ok(signed) => signed,
            Err(refusal) => return Ok(Answer::Decided(Verdict::Refused(refusal))),
        };
        let keys = match self.keyring.keys(now).await {
            Ok(keys) => keys,
            Err(NoKeys::Passing(why)) => return Ok(Answer::TryAgain { about: Glimpse::default(), why }),
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
            return Ok(Answer::TryAgain { about: about.clone(), why: error.to_string() });
        }
        Ok(Answer::Decided(verdict))
    }
}

impl Answer {
    /// The status, the metric that counts it, and what it is called in the log.
    fn summary(&self) -> (u16, Metric, &'static str) {
        match self {
            Self::Decided(Verdict::Accepted { .. }) => (202, Metric::Webhooks, "accepted"),
            Self::Decided(Verdict::UnknownSync { .. }) => (202, Metric::Webhooks, "unknown-sync"),
            Self::Decided(Verdict::Refused(refusal)) => {
                let (status, name) = refusal.status_and_name();
                (status, Metric::RefusedWebhooks, name)
            }
            Self::TryAgain { .. } => (503, Metric::Webhooks, "try-again"),
        }
    }

    /// One line for each request, counted by its `outcome`.
    fn log(&self, source_ip: Option<&str>) {
        let (status, _, outcome) = self.summary();
        let nothing = Glimpse::default();
        let about = match self {
            Self::Decided(Verdict::Accepted { about, .. } | Verdict::UnknownSync { about })
            | Self::TryAgain { about, .. } => about,
            Self::Decided(Verdict::Refused(_)) => &nothing,
        };
        let (sync, run) = (about.sync.map(|sync| sync.0), about.run.map(|run| run.0));
        let event = about.event.as_deref();
        match self {
            Self::TryAgain { why, .. } => {
                tracing::error!(status, outcome, sync, run, event, source_ip, %why, "webhook answered");
            }
            Self::Decided(_) => {
                tracing::info!(status, outcome, sync, run, event, source_ip, "webhook answered");
            }
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
            Self::Decided(Verdict::Refused(Refusal::MethodNotAllowed)) => {
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
