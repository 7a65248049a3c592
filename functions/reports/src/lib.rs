#![doc = include_str!("../README.md")]

mod observe;
mod send;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use syncwatch::aws::CallLimits;
use syncwatch::report::{Digest, Monthly};
use syncwatch::runtime::{Needs, Site, env, read_event};

pub use observe::WAREHOUSE_LIMIT;

/// The settings of the function.
pub const NEEDS: Needs = Needs {
    required: &[
        env::PIPELINE,
        env::TOPIC_ARN,
        env::INCIDENTS_TABLE,
        env::PAGES_BUCKET,
        env::CENSUS_SECRET,
        env::WAREHOUSE_SECRET,
    ],
    optional: &[env::CENSUS_BASE_URL, env::DATABRICKS_URL],
    aws: CallLimits::USUAL,
};

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
enum Event {
    /// Send the digest of the last week, unless it was sent.
    Digest,
    /// Send the report of the last month, unless it was sent or the first Monday after it is still to come.
    /// A named month is sent before that day, too.
    Monthly { month: Option<String> },
    /// Start the warehouse before the digest.
    WarmUp,
}

/// The answer of a round.
#[derive(Debug, Clone, Serialize)]
struct Answer {
    /// Such as `digest/2026-W48` or `monthly/2026-11`.
    report: String,
    /// Whether this round sent it; an earlier one may have.
    sent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    monthly: Option<Monthly>,
}

/// The function, with its settings.
#[derive(Debug)]
pub struct App(pub Site);

impl App {
    /// Handles one event that arrived at `now`. Fails if the event is unknown, or if the report was not sent or not recorded.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        match read_event(
            event,
            r#"{"task": "digest"}, {"task": "monthly"}, {"task": "monthly", "month": "2026-11"}, {"task": "warm-up"}"#,
        )? {
            // Boxed, because the compiler gives up on futures of this depth.
            Event::Digest => Ok(serde_json::to_value(Box::pin(self.digest(now)).await?)?),
            Event::Monthly { month } => Ok(serde_json::to_value(Box::pin(self.monthly(month, now)).await?)?),
            Event::WarmUp => Ok(Box::pin(self.0.warm_up(WAREHOUSE_LIMIT)).await?),
        }
    }
}
