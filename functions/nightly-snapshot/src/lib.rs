#![doc = include_str!("../README.md")]

pub mod act;
mod config;
pub mod days;
pub mod judge;
pub mod missing;
pub mod observe;
pub mod plan;
pub mod rows;
pub mod statements;
mod table;

use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use syncwatch::aws::Sdk;
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::aws::secrets::{SecretError, SecretStore};
use syncwatch::aws::topic::Topic;
use syncwatch::census;
use syncwatch::finding::SYNCWATCH;
use syncwatch::finding::WAREHOUSE;
use syncwatch::finding::{Check, Finding};
use syncwatch::judge::data::{Trouble, judge_warehouse};
use syncwatch::judge::{SNAPSHOT_CHECKS, judge_snapshot_written};
use syncwatch::observation::Unread;
use syncwatch::pipeline::{self, Pipeline};
use syncwatch::report::Report;
use syncwatch::round::{Round, SentNotice};
use syncwatch::rounds::{SnapshotData, SnapshotFailure, SnapshotOutcome, SnapshotRecord};
use syncwatch::runtime::warehouse::{self, Access, Asker, is_out_of_time};
use syncwatch::runtime::{Env, metrics, pipeline_file};
use syncwatch::warehouse::{Limits, Warehouse};

use act::Written;
pub use config::Config;
use days::{Concerned, Scope};
use judge::{JUDGED_DAYS, Tally, judge_success, unjudged};
use missing::cut;
use plan::{Change, DataLook, DayPlan, Observation, wants_data};
use statements::Statements;

/// How long all statements of a round may take together: the rest of the function's time is for telling people.
pub const WAREHOUSE_LIMIT: Duration = Duration::from_secs(80);
/// How long one statement may run. A starting warehouse has the whole [`WAREHOUSE_LIMIT`].
const STATEMENT_LIMIT: Duration = Duration::from_secs(45);
/// How much of the reasons for figures of the data that are missing is told.
const WHY_CHARS: usize = 300;
/// Rows that one question may answer: a month of runs of a large pipeline.
const MOST_ROWS: usize = 50_000;

/// What the function can be asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// Write the day that ends, the one before and what earlier nights missed; or one day.
    Snapshot {
        /// The only day to write.
        #[serde(default)]
        date: Option<Date>,
    },
    /// Answer without looking at anything.
    Ping,
}

/// What a round answers.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    #[serde(flatten)]
    pub report: Report<SentNotice>,
    pub snapshot: Summary,
    /// All of it for people, in aligned columns.
    pub table: String,
}

/// What a snapshot wrote, and what it could not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Days of which all rows are in the audit log now, newest first.
    pub days: Vec<Date>,
    pub inserted: usize,
    /// Rows that were written over what was there.
    pub updated: usize,
    /// Rows that were there as they should be.
    pub unchanged: usize,
    /// Figures that could not be had, by day, with the reason.
    pub missing: Vec<String>,
    /// Days that were to be written and were not: the next round does it.
    pub left: Vec<Date>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What came of a round at the warehouse.
struct Outcome {
    summary: Summary,
    table: String,
    /// What went wrong, if anything.
    trouble: Option<Trouble>,
    /// What became of the figures of the data.
    data: SnapshotData,
    /// What the runs of a week say; none if the round did not come to judge them.
    findings: Vec<Finding>,
}

impl Outcome {
    /// What keeps the warehouse as a whole from answering, if that is the trouble.
    fn down(&self) -> Option<&Trouble> {
        self.trouble.as_ref().filter(|trouble| observe::is_of_the_warehouse(trouble))
    }

    fn is_out_of_time(&self) -> bool {
        matches!(&self.trouble, Some(Trouble::Failed(error)) if is_out_of_time(error))
    }

    /// What is recorded of it.
    fn recorded(&self, now: Timestamp) -> SnapshotOutcome {
        match &self.trouble {
            None => SnapshotOutcome::Written { at: now, data: self.data.clone() },
            Some(trouble) => SnapshotOutcome::Failed(SnapshotFailure {
                at: now,
                what: trouble.to_string(),
                of_warehouse: self.down().is_some(),
            }),
        }
    }
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
        }
    }

    /// Answers one event. `now` is when it arrived.
    ///
    /// # Errors
    /// The event is unknown, or the store or the topic cannot be used: what should have been said was not.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        let event: Event = serde_json::from_value(event).context(
            "the event is not one of {\"task\": \"snapshot\"}, {\"task\": \"snapshot\", \"date\": \"2026-11-24\"} and \
             {\"task\": \"ping\"}",
        )?;
        match event {
            Event::Ping => Ok(serde_json::json!({ "pong": self.pipeline.name })),
            Event::Snapshot { date } => {
                let scope = self.scope(date, now)?;
                // Boxed: the compiler gives up on a future of this depth.
                let answer = Box::pin(self.snapshot(scope, now)).await?;
                tracing::info!(summary = %answer.report.summary, snapshot = ?answer.snapshot, "round done");
                metrics::emit(&self.pipeline.name, now, &metrics::of_round(&answer.report));
                let failures = &answer.report.failures;
                anyhow::ensure!(failures.is_empty(), "not everything was said: {}", failures.join("; "));
                Ok(serde_json::to_value(answer)?)
            }
        }
    }

    fn scope(&self, date: Option<Date>, now: Timestamp) -> anyhow::Result<Scope> {
        let Some(day) = date else { return Ok(Scope::Night) };
        let today = days::day_of(now, &self.pipeline.time_zone);
        anyhow::ensure!(day <= today, "{day} has not begun yet: name a day up to {today}");
        anyhow::ensure!(
            day >= days::days_before(today, 366),
            "{day} is more than a year ago: its runs cannot be had any more"
        );
        Ok(Scope::Day(day))
    }

    /// One round: observe, judge, act.
    async fn snapshot(&self, scope: Scope, now: Timestamp) -> anyhow::Result<Answer> {
        let mut round = Round::begin(&self.pipeline, &self.store, &self.topic, now).await?;
        let declared = self.pipeline.warehouse.as_ref().zip(self.pipeline.snapshot.as_ref());
        let outcome = match declared {
            Some((warehouse, snapshot)) => Some(self.write(warehouse, snapshot, scope, now).await?),
            None => None,
        };
        let mut findings = Vec::new();
        let mut unrecorded = None;
        let (summary, table) = match outcome {
            Some(outcome) => {
                let down = outcome.down();
                // Of the statements of data checks it knows nothing, so it must not end an incident about them.
                if down.is_some() || (self.pipeline.checks.is_empty() && !outcome.is_out_of_time()) {
                    findings.push(judge_warehouse(1, down.map(std::slice::from_ref).unwrap_or_default()));
                }
                let judged = !outcome.findings.is_empty();
                findings.extend(outcome.findings.iter().cloned());
                if scope == Scope::Night {
                    if !judged {
                        let cause = match down {
                            Some(_) => (Check::WarehouseReachable, WAREHOUSE),
                            None => (Check::SnapshotWritten, SYNCWATCH),
                        };
                        findings.extend(unjudged(&self.pipeline.syncs, cause));
                    }
                    match self.record(&outcome.recorded(now)).await {
                        Ok(record) => {
                            findings.push(judge_snapshot_written(Some(&record), &self.pipeline, now));
                        }
                        Err(error) => {
                            unrecorded = Some(format!("what became of it is not recorded: {error}"));
                        }
                    }
                }
                (outcome.summary, outcome.table)
            }
            None => {
                (Summary::default(), "pipeline.toml declares no [snapshot]: nothing is written\n".to_owned())
            }
        };
        let mut report = Report::new(&self.pipeline.name, now);
        report.add(&findings);
        round.act_on(&findings).await;
        if scope == Scope::Night {
            round.conclude(&SNAPSHOT_CHECKS).await;
        }
        report.open_incidents = round.open();
        report.notices = round.sent;
        report.held_back = round.held_back;
        report.failures = round.failures;
        report.failures.extend(unrecorded);
        report.conclude();
        Ok(Answer { report, snapshot: summary, table })
    }

    /// Records what became of a snapshot, and answers with all that is recorded then.
    async fn record(
        &self,
        done: &SnapshotOutcome,
    ) -> Result<SnapshotRecord, syncwatch::aws::incidents::Error> {
        self.store.record_snapshot(&self.pipeline.name, done).await?;
        Ok(self.store.last_snapshot(&self.pipeline.name).await?.unwrap_or_default())
    }

    /// Observes all, plans the rows and writes what differs.
    async fn write(
        &self,
        declared: &pipeline::Warehouse,
        snapshot: &pipeline::Snapshot,
        scope: Scope,
        now: Timestamp,
    ) -> anyhow::Result<Outcome> {
        let statements = Statements::new(&self.pipeline.name, snapshot, declared.dialect())
            .context("a name in pipeline.toml cannot be used")?;
        let warehouse = match self.open(declared).await? {
            Ok(warehouse) => warehouse,
            Err(why) => return Ok(failed(Trouble::Closed(why))),
        };
        let asker = Asker::new(&warehouse, WAREHOUSE_LIMIT);
        let zone = &self.pipeline.time_zone;
        let closing = days::closing_day(zone, now);
        let stored = match observe::stored_days(asker, &statements, scope, closing).await {
            Ok(stored) => stored,
            Err(error) => return Ok(failed(Trouble::Failed(error))),
        };
        let Concerned { days, beyond } = days::concerned(&stored, scope, closing);
        let runs = match observe::stored_runs(asker, &statements, &days).await {
            Ok(runs) => runs,
            Err(error) => return Ok(failed(Trouble::Failed(error))),
        };
        let from = days.iter().map(|day| days::bounds(*day, zone).0).min().unwrap_or(now);
        let census = self.census(now).await?;
        let data = async {
            // Asked only where it can be told for a day: a view over all tables is no small question.
            if days.iter().any(|day| wants_data(*day, &stored, zone, now)) || snapshot.health_view.is_none() {
                observe::data(asker, &statements).await
            } else {
                DataLook::NotAsked
            }
        };
        let (census, data, incidents) = futures::join!(
            observe::runs(&census, &self.pipeline, from),
            data,
            observe::incidents(&self.store, &self.pipeline.name)
        );
        let seen = Observation { days: stored, runs, census, data, incidents };
        let data = data_outcome(&seen.data, days::bounds(closing, zone).1 <= now);
        let plans = plan::plan(&seen, &days, &self.pipeline.name, zone, now);
        let week = (days::days_before(closing, JUDGED_DAYS - 1), closing);
        let findings = match scope {
            Scope::Night => self.success(asker, &statements, week, &seen, &plans).await,
            Scope::Day(_) => Ok(Vec::new()),
        };
        let findings = match findings {
            Ok(findings) => findings,
            Err(error) => return Ok(failed(Trouble::Failed(error))),
        };
        let written = act::write(asker, &statements, &plans).await;
        Ok(told(written, &plans, beyond, data, findings))
    }

    /// Judges the runs of a week: those of the days that are being written as they were planned, the others as they are stored.
    async fn success(
        &self,
        asker: Asker<'_>,
        statements: &Statements<'_>,
        week: (Date, Date),
        seen: &Observation<'_>,
        plans: &[DayPlan],
    ) -> Result<Vec<Finding>, syncwatch::sql::Error> {
        let planned: Vec<Date> = plans.iter().map(|plan| plan.day.snapshot_date).collect();
        let mut tallies = observe::outcomes(asker, statements, week, &planned).await?;
        for plan in plans.iter().filter(|plan| plan.day.snapshot_date >= week.0) {
            for (run, _) in &plan.runs {
                if let (Some(sync), Some(status)) = (&run.sync_name, &run.status) {
                    tallies.entry(sync.clone()).or_insert_with(Tally::default).count(status, 1);
                }
            }
        }
        Ok(judge_success(&seen.census, &tallies, self.pipeline.objectives.success_rate_percent))
    }

    /// A client for Census with the token of the moment. A token that cannot be had leaves figures missing; that AWS does
    /// not answer is a failure of this round.
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

    /// The warehouse with the credentials of the moment. That they cannot be used is a finding, for people must hear of
    /// it; that AWS does not answer is a failure of this round.
    async fn open(&self, declared: &pipeline::Warehouse) -> anyhow::Result<Result<Warehouse, String>> {
        let access = Access {
            warehouse: declared,
            secret: &self.config.warehouse_secret,
            base_url: self.config.databricks_url.as_deref(),
            limits: Limits { time: STATEMENT_LIMIT, rows: MOST_ROWS, bytes: 48 << 20, ..Limits::default() },
            // A little less, so that it is told as that.
            start_limit: WAREHOUSE_LIMIT.mul_f64(0.9),
        };
        Ok(warehouse::open_for_round(&access, &self.secrets, self.http.clone()).await?)
    }
}

/// What became of the figures of the data. While the day lasts, that the warehouse did not answer for a moment is nothing
/// to tell: the second snapshot of the night asks again.
fn data_outcome(look: &DataLook, day_has_ended: bool) -> SnapshotData {
    match look {
        DataLook::Failed { passing: true, .. } if !day_has_ended => SnapshotData::AsBefore,
        DataLook::Failed { why, .. } => SnapshotData::Missing(why.clone()),
        DataLook::Taken { figures, unknown } if !figures.any() => {
            SnapshotData::Missing(cut(&unknown.join("; "), WHY_CHARS))
        }
        DataLook::Taken { .. } | DataLook::NotDeclared | DataLook::NotAsked => SnapshotData::There,
    }
}

/// What came of a round that wrote nothing.
fn failed(trouble: Trouble) -> Outcome {
    let why = trouble.to_string();
    Outcome {
        table: format!("nothing was written: {why}\n"),
        summary: Summary { failure: Some(why), ..Summary::default() },
        trouble: Some(trouble),
        data: SnapshotData::AsBefore,
        findings: Vec::new(),
    }
}

/// What came of a round that wrote.
fn told(
    written: Written,
    plans: &[DayPlan],
    beyond: Option<(Date, Date)>,
    data: SnapshotData,
    findings: Vec<Finding>,
) -> Outcome {
    let (done, left): (Vec<&DayPlan>, Vec<&DayPlan>) =
        plans.iter().partition(|plan| written.days.contains(&plan.day.snapshot_date));
    let mut missing: Vec<String> = done
        .iter()
        .filter_map(|plan| Some(format!("{}: {}", plan.day.snapshot_date, plan.day.figures_missing.text()?)))
        .collect();
    if let Some((from, to)) = beyond {
        let days = days::LONGEST_GAP;
        missing.push(format!("{from} to {to}: no more than {days} days are filled; by hand each one can be"));
    }
    let failure = written.failure.as_ref().map(ToString::to_string);
    // A gap that was too long for one night is no trouble of the warehouse, and the night itself is written.
    let out_of_time = !written.days.is_empty() && written.failure.as_ref().is_some_and(is_out_of_time);
    let trouble = written.failure.filter(|_| !out_of_time).map(Trouble::Failed);
    let mut table = table::table(&done);
    if let Some(why) = &failure {
        table.push_str(&format!("{} days were not written: {why}\n", left.len()));
    }
    Outcome {
        table,
        summary: Summary {
            days: written.days,
            inserted: written.inserted,
            updated: written.updated,
            unchanged: done.iter().map(|plan| plan.count(Change::Unchanged)).sum(),
            missing,
            left: left.iter().map(|plan| plan.day.snapshot_date).collect(),
            failure,
        },
        trouble,
        data,
        findings,
    }
}

#[cfg(test)]
mod tests {
    use plan::DataLook::{Failed, NotAsked, NotDeclared, Taken};
    use rows::DataFigures;

    use super::*;

    #[test]
    fn a_view_that_fails_is_told_at_once_and_a_warehouse_that_did_not_answer_it_after_the_second_try() {
        let failed = |passing| Failed { why: "no".to_owned(), passing };
        let missing = || SnapshotData::Missing("no".to_owned());
        let some = DataFigures { total: Some(1), ..DataFigures::default() };
        let taken = |figures| Taken { figures, unknown: vec!["no".to_owned()] };
        // the look, whether the day has ended => what is recorded
        let table = [
            (failed(false), false, missing()),
            (failed(false), true, missing()),
            (failed(true), false, SnapshotData::AsBefore),
            (failed(true), true, missing()),
            // A view of that name that is another one.
            (taken(DataFigures::default()), false, missing()),
            (taken(some), true, SnapshotData::There),
            (NotDeclared, true, SnapshotData::There),
            (NotAsked, true, SnapshotData::There),
        ];
        for (look, day_has_ended, expected) in table {
            assert_eq!(data_outcome(&look, day_has_ended), expected, "{look:?}");
        }
    }
}
