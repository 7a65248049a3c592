//! Computes each report and sends it once.

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use syncwatch::aws::bucket::Object;
use syncwatch::aws::incidents::Sending;
use syncwatch::days::day_of;
use syncwatch::notice::{render_digest, render_monthly};
use syncwatch::report::{Digest, Inputs, Month, Monthly, Week};

use crate::observe::{self, MonthReads};
use crate::{Answer, App};

/// The name by which its rounds are recorded.
const FUNCTION: &str = "reports";
const HTML: &str = "text/html; charset=utf-8";
/// Browsers and caches keep the page of a report for so long: it is not written again.
const CACHE_CONTROL: &str = "max-age=3600";

impl App {
    pub(crate) async fn digest(&self, now: Timestamp) -> anyhow::Result<Answer> {
        let (pipeline, store) = (&self.0.pipeline, self.0.incidents());
        let week = Week::last(now, &pipeline.time_zone);
        let report = format!("digest/{week}");
        let digest = self.once(&report, now, async || {
            let history = observe::history(&self.0, week.sunday()).await?;
            let stored = store.of_scoreboard(&pipeline.name).await?;
            let digest = Digest::of(&Inputs { stored, history }, pipeline, week, now);
            self.0.topic().publish(&render_digest(&digest, pipeline)).await?;
            Ok(digest)
        });
        let digest = digest.await?;
        Ok(Answer { report, sent: digest.is_some(), digest, monthly: None })
    }

    /// Sends the report of the last month from the first Monday after it on.
    pub(crate) async fn monthly(&self, named: Option<String>, now: Timestamp) -> anyhow::Result<Answer> {
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
