#![doc = include_str!("../README.md")]

pub mod observe;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use syncwatch::finding::Judge;
use syncwatch::judge::{judge_absent, judge_itself, judge_sync, judge_workspace, judging_time};
use syncwatch::metrics::Metric;
use syncwatch::observation::{Unread, Workspace};
use syncwatch::pipeline::Sync;
use syncwatch::round::{Report, Round};
use syncwatch::runtime::env::{self, Needs};
use syncwatch::runtime::{Site, read_event};

use observe::Walk;

/// The settings of the function.
pub const NEEDS: Needs = Needs {
    required: &[
        env::PIPELINE,
        env::TOPIC_ARN,
        env::INCIDENTS_TABLE,
        env::CENSUS_SECRET,
        env::DELIVERIES_DEAD_LETTERS,
        env::NOTICES_DEAD_LETTERS,
    ],
    optional: &[env::CENSUS_BASE_URL, env::HEARTBEAT_SECRET],
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
enum Event {
    Verify,
}

/// The function.
#[derive(Debug)]
pub struct App(pub Site);

impl App {
    /// Answers one event. `now` is when it arrived. An error means that the event is unknown, or that not everything was
    /// recorded or sent.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        let Event::Verify = read_event(event, r#"{"task": "verify"}"#)?;
        // Boxed: the compiler gives up on a future of this depth.
        let report = Box::pin(self.verify(now)).await?;
        Box::pin(self.0.ping_heartbeat(now)).await;
        Ok(serde_json::to_value(report)?)
    }

    /// One round: observe a page, judge it, act on it; then the workspace as a whole, and Syncwatch itself.
    async fn verify(&self, now: Timestamp) -> anyhow::Result<Report> {
        let mut round = Round::begin(&self.0, Judge::ScheduleVerification, now).await?;
        let (workspace, absent) = self.syncs(&mut round, now).await?;
        for sync in absent {
            round.act_on(&judge_absent(sync, workspace.trouble.as_ref())).await;
        }
        round.act_on(&judge_workspace(&workspace, self.0.pipeline.census.undeclared_syncs)).await;
        let itself = observe::itself(&self.0, round.store()).await;
        round.act_on(&judge_itself(&itself, &self.0.pipeline, now)).await;
        round.conclude().await;
        round.record_if_good().await;
        let good = usize::from(round.failures().is_empty());
        Ok(round.finish(&[(Metric::Rounds, good)])?)
    }

    /// Looks at each declared sync; what is left is the workspace as a whole, and the syncs that no page showed.
    async fn syncs(&self, round: &mut Round<'_>, now: Timestamp) -> anyhow::Result<(Workspace, Vec<&Sync>)> {
        let pipeline = &self.0.pipeline;
        let census = match self.0.census(now).await? {
            Ok(census) => census,
            Err(why) => {
                let unread = Workspace { trouble: Some(why), ..Workspace::default() };
                return Ok((unread, pipeline.syncs.iter().collect()));
            }
        };
        let mut walk = Walk::new(&census, pipeline);
        while let Some(page) = walk.next_page().await {
            let now = judging_time(now, census.clock_ahead());
            for found in page.found {
                round.act_on(&judge_sync(&found.observed, found.declared, &pipeline.objectives, now)).await;
            }
            for (sync, why) in page.unreadable {
                round.act_on(&judge_absent(sync, Some(&why))).await;
            }
        }
        let (workspace, absent) = walk.finish();
        if matches!(workspace.trouble, Some(Unread::Refused(_) | Unread::NoCredentials(_))) {
            self.0.forget_token();
        }
        Ok((workspace, absent))
    }
}
