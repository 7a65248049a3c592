#![doc = include_str!("../README.md")]

pub mod observe;

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use syncwatch::aws::CallLimits;
use syncwatch::finding::Judge;
use syncwatch::judge::{Habits, judge_absent, judge_itself, judge_look, judge_workspace, judging_time};
use syncwatch::metrics::Metric;
use syncwatch::observation::{Unread, Workspace};
use syncwatch::round::{Report, Round};
use syncwatch::runtime::{Needs, Site, env, read_event};
use tokio::time::Instant;

use observe::{Looked, READING_LIMIT, Walk};

/// The settings of the function.
pub const NEEDS: Needs = Needs {
    required: &[
        env::PIPELINE,
        env::TOPIC_ARN,
        env::ALARMS_TOPIC_ARN,
        env::PAGE_TOPIC_ARN,
        env::INCIDENTS_TABLE,
        env::CENSUS_SECRET,
        env::DELIVERIES_DEAD_LETTERS,
        env::NOTICES_DEAD_LETTERS,
    ],
    optional: &[env::CENSUS_BASE_URL, env::HEARTBEAT_SECRET],
    aws: CallLimits::USUAL,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
enum Event {
    Verify,
}

/// The function, with its settings.
#[derive(Debug)]
pub struct App(pub Site);

impl App {
    /// Handles one event that arrived at `now`. Fails if the event is unknown, or if anything was not recorded or sent.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        let Event::Verify = read_event(event, r#"{"task": "verify"}"#)?;
        // Boxed, because the compiler gives up on a future of this depth.
        let report = Box::pin(self.verify(now, READING_LIMIT)).await?;
        Box::pin(self.0.ping_heartbeat(now)).await;
        Ok(serde_json::to_value(report)?)
    }

    /// Runs one round: each page of Census, for at most `reading`; then the workspace, and Syncwatch itself.
    pub async fn verify(&self, now: Timestamp, reading: Duration) -> anyhow::Result<Report> {
        let mut round = Round::begin(&self.0, Judge::ScheduleVerification, now).await?;
        let workspace = self.syncs(&mut round, now, Instant::now() + reading).await?;
        round.act_on(&judge_workspace(&workspace, self.0.pipeline.census.undeclared_syncs)).await;
        let itself = observe::itself(&self.0, round.store(), &workspace).await;
        round.act_on(&judge_itself(&itself, &self.0.pipeline, now)).await;
        round.conclude().await;
        round.record_if_good().await;
        let good = round.good_as(Metric::Rounds);
        Ok(round.finish(&[good])?)
    }

    /// Checks each declared sync and acts on its findings; returns the state of the whole workspace.
    async fn syncs(&self, round: &mut Round<'_>, now: Timestamp, by: Instant) -> anyhow::Result<Workspace> {
        let pipeline = &self.0.pipeline;
        let census = match self.0.census(now).await? {
            Ok(census) => census,
            Err(why) => {
                let unread = pipeline.syncs.iter().flat_map(|sync| judge_absent(sync, Some(&why)));
                round.act_on(&unread.collect::<Vec<_>>()).await;
                return Ok(Workspace { trouble: Some(why), ..Workspace::default() });
            }
        };
        let habits = round.habits().await;
        let mut walk = Walk::new(&census, pipeline, now, by);
        while let Some(page) = walk.next_page().await {
            self.act_on(round, page, &habits, judging_time(now, census.clock_ahead())).await;
        }
        let (workspace, rest) = walk.finish().await;
        self.act_on(round, rest, &habits, judging_time(now, census.clock_ahead())).await;
        if matches!(workspace.trouble, Some(Unread::Refused(_) | Unread::NoCredentials(_))) {
            self.0.forget_token();
        }
        Ok(workspace)
    }

    async fn act_on(&self, round: &mut Round<'_>, all: Vec<Looked<'_>>, habits: &Habits<'_>, now: Timestamp) {
        for Looked { declared, look } in all {
            round.act_on(&judge_look(&look, declared, &self.0.pipeline.objectives, habits, now)).await;
        }
    }
}
