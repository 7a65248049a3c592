#![doc = include_str!("../README.md")]

mod observe;

use anyhow::bail;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use syncwatch::aws::CallLimits;
use syncwatch::aws::incidents::Sending;
use syncwatch::notice::render_digest;
use syncwatch::report::{Digest, Inputs, Week};
use syncwatch::runtime::{Needs, Site, env, read_event};

pub use observe::WAREHOUSE_LIMIT;

/// The settings of the function.
pub const NEEDS: Needs = Needs {
    required: &[env::PIPELINE, env::TOPIC_ARN, env::INCIDENTS_TABLE, env::WAREHOUSE_SECRET],
    optional: &[env::DATABRICKS_URL],
    aws: CallLimits::USUAL,
};

/// The name by which its rounds are recorded.
const FUNCTION: &str = "reports";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
enum Event {
    /// Send the digest of the last week, unless it was sent.
    Digest,
    /// Start the warehouse before the digest.
    WarmUp,
}

/// The answer of a round.
#[derive(Debug, Clone, Serialize)]
struct Answer {
    /// Such as `digest/2026-W48`.
    report: String,
    /// Whether this round sent it; an earlier one may have.
    sent: bool,
    digest: Option<Digest>,
}

/// The function, with its settings.
#[derive(Debug)]
pub struct App(pub Site);

impl App {
    /// Handles one event that arrived at `now`. Fails if the event is unknown, or if the report was not sent or not recorded.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        match read_event(event, r#"{"task": "digest"}, {"task": "warm-up"}"#)? {
            // Boxed, because the compiler gives up on futures of this depth.
            Event::Digest => Ok(serde_json::to_value(Box::pin(self.digest(now)).await?)?),
            Event::WarmUp => Ok(Box::pin(self.0.warm_up(WAREHOUSE_LIMIT)).await?),
        }
    }

    async fn digest(&self, now: Timestamp) -> anyhow::Result<Answer> {
        let (pipeline, store) = (&self.0.pipeline, self.0.incidents());
        let week = Week::last(now, &pipeline.time_zone);
        let report = format!("digest/{week}");
        let lease = match store.begin_sending(&pipeline.name, &report, now).await? {
            Sending::Begun(lease) => lease,
            Sending::Done(_) => {
                store.record_done(&pipeline.name, FUNCTION, now).await?;
                return Ok(Answer { report, sent: false, digest: None });
            }
            Sending::Elsewhere => {
                bail!("{report} is being sent by another invocation, and this one is retried")
            }
        };
        let composed = async {
            let history = observe::history(&self.0, week).await?;
            let stored = store.of_scoreboard(&pipeline.name).await?;
            let digest = Digest::of(&Inputs { stored, history }, pipeline, week, now);
            self.0.topic().publish(&render_digest(&digest, pipeline)).await?;
            anyhow::Ok(digest)
        };
        let Ok(digest) =
            composed.await.inspect_err(|error| tracing::error!(report, %error, "report not sent"))
        else {
            store.end_turn(&lease).await?;
            bail!("{report} was not sent: its log line has the reason");
        };
        tracing::info!(report, headline = digest.headline, "report sent");
        store.record_sent(&lease, now).await?;
        store.record_done(&pipeline.name, FUNCTION, now).await?;
        Ok(Answer { report, sent: true, digest: Some(digest) })
    }
}
