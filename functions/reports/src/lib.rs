#![doc = include_str!("../README.md")]

mod observe;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use syncwatch::aws::CallLimits;
use syncwatch::aws::bucket::Object;
use syncwatch::aws::incidents::Sending;
use syncwatch::days::day_of;
use syncwatch::notice::{render_digest, render_monthly};
use syncwatch::report::{Digest, Inputs, Month, Monthly, Week};
use syncwatch::runtime::{Needs, Site, env, read_event};

use observe::MonthReads;
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

/// The name by which its rounds are recorded.
const FUNCTION: &str = "reports";

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

const HTML: &str = "text/html; charset=utf-8";
/// Browsers and caches keep the page of a report for so long: it is not written again.
const CACHE_CONTROL: &str = "max-age=3600";

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

    async fn digest(&self, now: Timestamp) -> anyhow::Result<Answer> {
        let (pipeline, store) = (&self.0.pipeline, self.0.incidents());
        let week = Week::last(now, &pipeline.time_zone);
        let (sent, digest) = self
            .once(&format!("digest/{week}"), now, async || {
                let history = observe::history(&self.0, week.sunday()).await?;
                let stored = store.of_scoreboard(&pipeline.name).await?;
                let digest = Digest::of(&Inputs { stored, history }, pipeline, week, now);
                self.0.topic().publish(&render_digest(&digest, pipeline)).await?;
                Ok(digest)
            })
            .await?
            .map_or((false, None), |digest| (true, Some(digest)));
        Ok(Answer { report: format!("digest/{week}"), sent, digest, monthly: None })
    }

    /// Sends the report of the last month from the first Monday after it on.
    async fn monthly(&self, named: Option<String>, now: Timestamp) -> anyhow::Result<Answer> {
        let (pipeline, store) = (&self.0.pipeline, self.0.incidents());
        let last = Month::last(now, &pipeline.time_zone);
        let month = match &named {
            Some(name) => Month::parse(name)
                .filter(|month| *month <= last)
                .with_context(|| format!("no ended month is named {name}: name one such as {last}"))?,
            None => last,
        };
        let report = format!("monthly/{month}");
        if named.is_none() && day_of(now, &pipeline.time_zone) < month.sent_on() {
            store.record_done(&pipeline.name, FUNCTION, now).await?;
            return Ok(Answer { report, sent: false, digest: None, monthly: None });
        }
        let monthly = self.once(&report, now, async || {
            let MonthReads { history, objects, advice } = observe::month(&self.0, month, now).await?;
            let inputs = Inputs { stored: store.of_scoreboard(&pipeline.name).await?, history };
            let monthly = Monthly::of(&inputs, &objects, &advice, pipeline, month, now);
            let page = monthly.html(&inputs.history.unwrap_or_default(), month)?;
            let key = format!("{}/{}", pipeline.name, month.file());
            let object = Object { key: &key, content_type: HTML, cache_control: CACHE_CONTROL, text: &page };
            self.0.pages().put(object, now).await?;
            self.0.topic().publish(&render_monthly(&monthly, month, pipeline)).await?;
            Ok(monthly)
        });
        let monthly = monthly.await?;
        Ok(Answer { report, sent: monthly.is_some(), digest: None, monthly })
    }

    /// Sends a report unless it was sent, and records the round.
    async fn once<T>(
        &self,
        report: &str,
        now: Timestamp,
        send: impl AsyncFnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<Option<T>> {
        let (name, store) = (&self.0.pipeline.name, self.0.incidents());
        let lease = match store.begin_sending(name, report, now).await? {
            Sending::Begun(lease) => lease,
            Sending::Done(_) => {
                store.record_done(name, FUNCTION, now).await?;
                return Ok(None);
            }
            Sending::Elsewhere => {
                bail!("{report} is being sent by another invocation, and this one is retried")
            }
        };
        let Ok(sent) = send().await.inspect_err(|error| tracing::error!(report, %error, "report not sent"))
        else {
            store.end_turn(&lease).await?;
            bail!("{report} was not sent: its log line has the reason");
        };
        tracing::info!(report, "report sent");
        store.record_sent(&lease, now).await?;
        store.record_done(name, FUNCTION, now).await?;
        Ok(Some(sent))
    }
}
