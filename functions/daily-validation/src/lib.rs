#![doc = include_str!("../README.md")]

mod config;
pub mod judge;
pub mod observe;

use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use syncwatch::aws::Sdk;
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::aws::secrets::SecretStore;
use syncwatch::aws::topic::Topic;
use syncwatch::data_checks::{DATA_CHECKS, DataCheck, compile, samples_statement, table};
use syncwatch::finding::{Check, Finding};
use syncwatch::judge::data::with_samples;
use syncwatch::metrics::Metric;
use syncwatch::pipeline::{self, Pipeline};
use syncwatch::report::Report;
use syncwatch::round::{Round, SentNotice};
use syncwatch::rounds::ValidatedRound;
use syncwatch::runtime::warehouse::{self, Access, Asker};
use syncwatch::runtime::{Env, metrics, pipeline_file};
use syncwatch::warehouse::{Limits, Warehouse};

pub use config::Config;
use judge::{Extent, judge_closed, judge_round};
use observe::ask_all;

/// How long the warehouse is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long all statements of a round may take together, a warehouse that starts included.
    pub round: Duration,
    pub statement: Duration,
}

impl Default for Patience {
    /// 80 s and a minute: the rest of the function's time is for telling people.
    fn default() -> Self {
        Self { round: Duration::from_secs(80), statement: Duration::from_secs(60) }
    }
}

/// What the function can be asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// Ask the warehouse all that is declared, or one check by its name.
    Validate {
        /// The name of the only check to ask.
        #[serde(default)]
        check: Option<String>,
    },
    /// Answer without looking at anything.
    Ping,
}

/// What a round answers.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    #[serde(flatten)]
    pub report: Report<SentNotice>,
    /// How many statements the checks were compiled into.
    pub statements: usize,
    /// All of it for people, in aligned columns.
    pub table: String,
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
    patience: Patience,
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
        let clients = sdk.clients();
        Self {
            secrets: SecretStore::new(clients.secrets),
            store: IncidentStore::new(clients.dynamodb, config.incidents_table.clone()),
            topic: Topic::new(clients.sns, config.topic_arn.clone()),
            http: clients.http,
            pipeline,
            config,
            patience: Patience::default(),
        }
    }

    /// The same, waiting for so long.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Answers one event. `now` is when it arrived.
    ///
    /// # Errors
    /// The event is unknown, or the store or the topic cannot be used: what should have been said was not.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        let event: Event = serde_json::from_value(event).context(
            "the event is not one of {\"task\": \"validate\"}, {\"task\": \"validate\", \"check\": \"<name>\"} and \
             {\"task\": \"ping\"}",
        )?;
        match event {
            Event::Ping => Ok(serde_json::json!({ "pong": self.pipeline.name })),
            Event::Validate { check } => {
                // Boxed: the compiler gives up on a future of this depth.
                let answer = Box::pin(self.validate(check.as_deref(), now)).await?;
                tracing::info!(summary = %answer.report.summary, "round done");
                let asked = [(Metric::Statements, answer.statements)];
                let figures: Vec<(Metric, usize)> =
                    metrics::of_round(&answer.report).into_iter().chain(asked).collect();
                metrics::emit(&self.pipeline.name, now, &figures);
                let failures = &answer.report.failures;
                anyhow::ensure!(failures.is_empty(), "not everything was said: {}", failures.join("; "));
                Ok(serde_json::to_value(answer)?)
            }
        }
    }

    /// One round: observe, judge, act.
    async fn validate(&self, only: Option<&str>, now: Timestamp) -> anyhow::Result<Answer> {
        let (checks, extent) = self.asked(only)?;
        let mut round = Round::begin(&self.pipeline, &self.store, &self.topic, now).await?;
        let (findings, statements) = match &self.pipeline.warehouse {
            Some(warehouse) => self.findings(warehouse, &checks, extent, now).await?,
            None => (Vec::new(), 0),
        };
        let mut report = Report::new(&self.pipeline.name, now);
        report.add(&findings);
        round.act_on(&findings).await;
        if extent == Extent::Whole {
            // Where no check is declared the snapshot asks the warehouse, and this function does not: what that one found
            // stays.
            let others = statements == 0 && self.pipeline.snapshot.is_some();
            let own: Vec<Check> = DATA_CHECKS
                .into_iter()
                .filter(|check| !(others && *check == Check::WarehouseReachable))
                .collect();
            round.conclude(&own).await;
        }
        report.open_incidents = round.open();
        report.notices = round.sent;
        report.held_back = round.held_back;
        report.failures = round.failures;
        if extent == Extent::Whole {
            // Last, so that a round which was cut short is not taken for one that ran.
            let names = checks.iter().map(|check| check.name.clone()).collect();
            let record = ValidatedRound { at: now, checks: names };
            if let Err(error) = self.store.record_round(&self.pipeline.name, &record).await {
                report.failures.push(format!("that the checks ran is not recorded: {error}"));
            }
        }
        report.conclude();
        let declared = |finding: &Finding| checks.iter().find(|check| check.name == finding.subject).copied();
        let table = table(findings.iter().map(|finding| (declared(finding), finding)));
        Ok(Answer { report, statements, table })
    }

    /// The checks that an event asks for.
    fn asked(&self, only: Option<&str>) -> anyhow::Result<(Vec<&DataCheck>, Extent)> {
        let all = &self.pipeline.checks;
        let Some(name) = only else { return Ok((all.iter().collect(), Extent::Whole)) };
        let check = all.iter().find(|check| check.name == name).with_context(|| {
            let names: Vec<&str> = all.iter().take(20).map(|check| check.name.as_str()).collect();
            format!("pipeline.toml has no check {name:?}; it has {}", names.join(", "))
        })?;
        Ok((vec![check], Extent::OneCheck))
    }

    /// Asks the warehouse and judges what it answers; and how many statements that took.
    async fn findings(
        &self,
        declared: &pipeline::Warehouse,
        checks: &[&DataCheck],
        extent: Extent,
        now: Timestamp,
    ) -> anyhow::Result<(Vec<Finding>, usize)> {
        let (dialect, zone) = (declared.dialect(), &self.pipeline.time_zone);
        let scans = compile(checks.iter().copied(), dialect, zone, now)
            .context("a name in pipeline.toml cannot be used")?;
        let statements = scans.len();
        if scans.is_empty() {
            return Ok((Vec::new(), statements));
        }
        let warehouse = match self.open(declared).await? {
            Ok(warehouse) => warehouse,
            Err(why) => return Ok((judge_closed(&scans, &why), statements)),
        };
        let asker = Asker::new(&warehouse, self.patience.round);
        let looked = ask_all(asker, scans).await;
        let mut findings = judge_round(&looked, extent, now);
        for finding in &mut findings {
            if finding.check != Check::Duplicates || !finding.is_unhealthy() {
                continue;
            }
            let Some(check) = checks.iter().find(|check| check.name == finding.subject) else { continue };
            if let Some(statement) = samples_statement(check, dialect, zone, now)? {
                *finding = with_samples(finding.clone(), &asker.ask(&statement).await);
            }
        }
        Ok((findings, statements))
    }

    /// The warehouse with the credentials of the moment. That they cannot be used is a finding, for people must hear of
    /// it; that AWS does not answer is a failure of this round.
    async fn open(&self, declared: &pipeline::Warehouse) -> anyhow::Result<Result<Warehouse, String>> {
        let access = Access {
            warehouse: declared,
            secret: &self.config.warehouse_secret,
            base_url: self.config.databricks_url.as_deref(),
            limits: Limits { time: self.patience.statement, ..Limits::default() },
            // A little less, so that it is told as that.
            start_limit: self.patience.round.mul_f64(0.9),
        };
        Ok(warehouse::open_for_round(&access, &self.secrets, self.http.clone()).await?)
    }
}
