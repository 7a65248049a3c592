#![doc = include_str!("../README.md")]

mod config;
pub mod judge;
pub mod observe;

use anyhow::Context;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use syncwatch::aws::Sdk;
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::aws::queue::Queue;
use syncwatch::aws::secrets::{SecretError, SecretStore};
use syncwatch::aws::topic::Topic;
use syncwatch::census;
use syncwatch::data_checks::DATA_CHECKS;
use syncwatch::finding::SYNCWATCH;
use syncwatch::finding::{Check, Finding, WhyNot};
use syncwatch::judge::data::judge_checks_ran;
use syncwatch::judge::{SNAPSHOT_CHECKS, judge_snapshot_written, judge_sync, judging_time};
use syncwatch::metrics::Metric;
use syncwatch::observation::Unread;
use syncwatch::pipeline::Pipeline;
use syncwatch::report::Report;
use syncwatch::round::{Round, SentNotice};
use syncwatch::runtime::{Env, Setting, env, heartbeat, metrics, pipeline_file};

pub use config::Config;
use judge::{judge_absent, judge_dead_letters, judge_workspace};
use observe::{Letters, Walk, Workspace};

/// Under which name its rounds are recorded.
const NAME: &str = env!("CARGO_PKG_NAME");

/// What the function can be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// Look at every declared sync.
    Verify,
    /// Answer without looking at anything.
    Ping,
}

/// Everything that outlives an event.
#[derive(Debug)]
pub struct App {
    config: Config,
    pipeline: Pipeline,
    http: reqwest::Client,
    secrets: SecretStore,
    store: IncidentStore,
    topic: Topic,
    dead_letters: [(Letters, Queue); 2],
}

impl App {
    /// Reads the settings and the pipeline, and builds the clients. Does no I/O beyond reading the pipeline's file.
    ///
    /// # Errors
    /// Names the setting, or the line of `pipeline.toml`, and the remedy.
    pub async fn new(env: &Env) -> anyhow::Result<Self> {
        let config = Config::from_env(env)?;
        let pipeline = pipeline_file::load(env, &config.pipeline)?;
        let sdk = Sdk::connect().await?;
        Ok(Self::with(config, pipeline, &sdk))
    }

    /// Puts the function together from its parts.
    pub fn with(config: Config, pipeline: Pipeline, sdk: &Sdk) -> Self {
        let (clients, sqs) = (sdk.clients(), sdk.sqs());
        let queue = |url: &str, setting: Setting| Queue::new(sqs.clone(), url, setting.name);
        Self {
            dead_letters: [
                (Letters::Deliveries, queue(&config.deliveries_dead_letters, env::DELIVERIES_DEAD_LETTERS)),
                (Letters::Notices, queue(&config.notices_dead_letters, env::NOTICES_DEAD_LETTERS)),
            ],
            secrets: SecretStore::new(clients.secrets),
            store: IncidentStore::new(clients.dynamodb, config.incidents_table.clone()),
            topic: Topic::new(clients.sns, config.topic_arn.clone()),
            http: clients.http,
            pipeline,
            config,
        }
    }

    /// Answers one event. `now` is when it arrived.
    ///
    /// # Errors
    /// The event is unknown, or the store or the topic cannot be used: what should have been said was not.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        let event: Event = serde_json::from_value(event)
            .context("the event is not one of {\"task\": \"verify\"} and {\"task\": \"ping\"}")?;
        match event {
            Event::Ping => Ok(serde_json::json!({ "pong": self.pipeline.name })),
            Event::Verify => {
                // Boxed: the compiler gives up on a future of this depth.
                let report = Box::pin(self.verify(now)).await?;
                tracing::info!(summary = %report.summary, "round done");
                let good = usize::from(report.failures.is_empty());
                let figures: Vec<(Metric, usize)> =
                    metrics::of_round(&report).into_iter().chain([(Metric::Rounds, good)]).collect();
                metrics::emit(&self.pipeline.name, now, &figures);
                anyhow::ensure!(
                    report.failures.is_empty(),
                    "not everything was said: {}",
                    report.failures.join("; ")
                );
                Box::pin(self.tell_the_watch(now)).await;
                Ok(serde_json::to_value(report)?)
            }
        }
    }

    /// Lets a watch outside of AWS know that this round was good, if there is one.
    async fn tell_the_watch(&self, now: Timestamp) {
        let Some(secret) = &self.config.heartbeat_secret else { return };
        if let Err(error) = heartbeat::beat(&self.http, &self.secrets, secret, now).await {
            tracing::error!(%error, "the watch outside was not told");
        }
    }

    /// One round: observe a page, judge it, act on it; then the workspace as a whole.
    async fn verify(&self, now: Timestamp) -> anyhow::Result<Report<SentNotice>> {
        let mut round = Round::begin(&self.pipeline, &self.store, &self.topic, now).await?;
        let mut report = Report::new(&self.pipeline.name, now);
        let (workspace, absent) = match self.census(now).await? {
            Ok(census) => {
                let mut walk = Walk::new(&census, &self.pipeline);
                while let Some(page) = walk.next_page().await {
                    let now = judging_time(now, census.clock_ahead());
                    for found in page.found {
                        let objectives = &self.pipeline.objectives;
                        let findings = judge_sync(&found.observed, found.declared, objectives, now);
                        say(&mut report, &mut round, &findings).await;
                    }
                    for (sync, why) in page.unreadable {
                        say(&mut report, &mut round, &judge_absent(sync, Some(&why))).await;
                    }
                }
                walk.finish()
            }
            Err(why) => (
                Workspace { trouble: Some(why), ..Workspace::default() },
                self.pipeline.syncs.iter().collect(),
            ),
        };
        if matches!(workspace.trouble, Some(Unread::Refused(_) | Unread::NoCredentials(_))) {
            // The next round reads the secret anew, so that a replaced token is taken up within minutes.
            self.secrets.forget(&self.config.census_secret);
        }
        for sync in absent {
            let findings = judge_absent(sync, workspace.trouble.as_ref());
            say(&mut report, &mut round, &findings).await;
        }
        let findings = judge_workspace(&workspace, self.pipeline.census.undeclared_syncs);
        say(&mut report, &mut round, &findings).await;
        let dead_letters = observe::dead_letters(&self.dead_letters).await;
        say(&mut report, &mut round, &[judge_dead_letters(&dead_letters)]).await;
        let checks_ran = match self.store.last_round(&self.pipeline.name).await {
            Ok(last) => judge_checks_ran(last.as_ref(), &self.pipeline.checks, now),
            Err(error) => Finding::not_evaluated(
                Check::ChecksRan,
                SYNCWATCH,
                WhyNot::Unreadable { found: error.to_string() },
            ),
        };
        say(&mut report, &mut round, &[checks_ran]).await;
        let written = match self.store.last_snapshot(&self.pipeline.name).await {
            Ok(record) => judge_snapshot_written(record.as_ref(), &self.pipeline, now),
            Err(error) => Finding::not_evaluated(
                Check::SnapshotWritten,
                SYNCWATCH,
                WhyNot::Unreadable { found: error.to_string() },
            ),
        };
        say(&mut report, &mut round, &[written]).await;
        // Of data and of whole weeks it knows nothing: that is for those to conclude who judge them.
        let others = |check: &Check| DATA_CHECKS.contains(check) || SNAPSHOT_CHECKS.contains(check);
        let own: Vec<Check> = Check::ALL.iter().copied().filter(|check| !others(check)).collect();
        round.conclude(&own).await;
        report.open_incidents = round.open();
        report.notices = round.sent;
        report.held_back = round.held_back;
        report.failures = round.failures;
        if report.failures.is_empty()
            && let Err(error) = self.store.record_plain_round(&self.pipeline.name, NAME, now).await
        {
            report.failures.push(format!("that the round ran is not recorded: {error}"));
        }
        report.conclude();
        Ok(report)
    }

    /// A client for Census with the token of the moment. A token that cannot be had is a finding, for people must hear
    /// of it; that AWS does not answer is a failure of this round, and the next one tries again.
    async fn census(&self, now: Timestamp) -> anyhow::Result<Result<census::Client, Unread>> {
        let token = match self.secrets.get(&self.config.census_secret, now).await {
            Ok(token) => token,
            Err(SecretError::Aws(error)) if error.fault().is_passing() => return Err(error.into()),
            Err(error) => return Ok(Err(Unread::NoCredentials(error.to_string()))),
        };
        let settings =
            census::Settings::of(&self.pipeline.census, self.config.census_base_url.as_deref(), token);
        Ok(census::Client::new(self.http.clone(), settings, now).map_err(|error| error.to_unread()))
    }
}

async fn say(report: &mut Report<SentNotice>, round: &mut Round<'_>, findings: &[Finding]) {
    report.add(findings);
    round.act_on(findings).await;
}
