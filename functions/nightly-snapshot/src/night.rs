//! Runs one night at the warehouse (observe, plan, write) and describes the result.

use std::time::Duration;

use anyhow::Context;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::days::{bounds, day_of, days_before};
use syncwatch::finding::{Check, Finding, SYNCWATCH, WAREHOUSE, WhyNot};
use syncwatch::history::{DAYS, History, MOST_ROWS, RUN_DAYS, Tally, silence_limits};
use syncwatch::incident::Incident;
use syncwatch::judge::data::{Trouble, judge_warehouse};
use syncwatch::judge::judge_snapshot_written;
use syncwatch::judge::success::{JUDGED_DAYS, judge_success, unjudged};
use syncwatch::judge::unusual::{self, judge_figures, open_incidents};
use syncwatch::marks::{Exceptions, Mark};
use syncwatch::metrics::{self, Figure, Metric};
use syncwatch::pipeline::{self, Pipeline, Sync};
use syncwatch::round::Round;
use syncwatch::rounds::{SnapshotData, SnapshotFailure, SnapshotOutcome, SnapshotRecord};
use syncwatch::runtime::Site;
use syncwatch::runtime::warehouse::{Asker, is_out_of_time};
use syncwatch::scoreboard::{RunsByHand, Scoreboard};
use syncwatch::sql::Error;
use syncwatch::warehouse::Limits;

use crate::act::{self, Written};
use crate::days::{self, Concerned, Scope};
use crate::missing::cut;
use crate::observe;
use crate::plan::{self, Change, DataLook, DayPlan, HistoryEnd, Observation, wants_data};
use crate::rows::RemedyRow;
use crate::statements::Statements;
use crate::table;

/// Limit for all statements of a round together: the rest of the function's time is for acting on the findings.
pub const WAREHOUSE_LIMIT: Duration = Duration::from_secs(80);
/// Limit for one statement. A starting warehouse has the whole [`WAREHOUSE_LIMIT`].
const STATEMENT_LIMIT: Duration = Duration::from_secs(45);
/// Acts that changed within this span are written again: a week of failed nights loses none.
const ACTS_WRITTEN: SignedDuration = SignedDuration::from_hours(8 * 24);
/// The most characters of the reasons for missing figures of the data in a finding.
const WHY_CHARS: usize = 300;

/// The rows that a snapshot wrote, the missing figures, and the days that are left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Days whose rows are now all in the audit log, newest first.
    pub days: Vec<Date>,
    pub inserted: usize,
    pub updated: usize,
    pub unchanged: usize,
    /// Missing figures by day, with the reason.
    pub missing: Vec<String>,
    /// Days that were planned and not written: the next round writes them.
    pub left: Vec<Date>,
    /// Why they were not written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// The result of a round at the warehouse.
pub(crate) struct Outcome {
    pub(crate) summary: Summary,
    pub(crate) table: String,
    trouble: Option<Trouble>,
    /// Whether the figures of the data could be read.
    data: SnapshotData,
    /// Findings about the runs of the week; empty if the round did not get to judge them.
    findings: Vec<Finding>,
    /// The runs that people started, if all runs of the written days were read.
    by_hand: Option<RunsByHand>,
    /// The history that the figures were judged by, if it was read.
    pub(crate) history: Option<History>,
}

impl Outcome {
    /// The reason why the whole warehouse does not answer, if that is the failure. Running out of the round's time does not
    /// count: each statement was answered in time, and there were too many.
    fn down(&self) -> Option<&Trouble> {
        let trouble = self.trouble.as_ref().filter(|_| !self.is_out_of_time());
        trouble.filter(|trouble| trouble.is_of_the_warehouse())
    }

    fn is_out_of_time(&self) -> bool {
        matches!(&self.trouble, Some(Trouble::Failed(error)) if is_out_of_time(error))
    }

    /// The outcome of a round that wrote nothing; `why` is a line for people.
    pub(crate) fn nothing(why: &str) -> Self {
        let (summary, data) = (Summary::default(), SnapshotData::AsBefore);
        let (table, findings) = (format!("{why}\n"), Vec::new());
        Self { summary, table, trouble: None, data, findings, by_hand: None, history: None }
    }

    fn failed(trouble: Trouble) -> Self {
        let why = trouble.to_string();
        let nothing = Self::nothing(&format!("nothing was written: {why}"));
        let summary = Summary { failure: Some(why), ..Summary::default() };
        Self { summary, trouble: Some(trouble), ..nothing }
    }

    /// Collects all findings of a round: on the warehouse as far as this round used it, on the runs of the week, and on
    /// `snapshot-written` by the record that was just written.
    pub(crate) fn judged(
        &self,
        pipeline: &Pipeline,
        scope: Scope,
        record: Option<&SnapshotRecord>,
        now: Timestamp,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        let down = self.down();
        // This round did not run the statements of data checks, so it must not resolve an incident about them.
        if down.is_some() || (pipeline.checks.is_empty() && !self.is_out_of_time()) {
            findings.push(judge_warehouse(1, down.map(std::slice::from_ref).unwrap_or_default()));
        }
        findings.extend(self.findings.iter().cloned());
        if scope == Scope::Night && self.findings.is_empty() {
            let cause = match down {
                Some(_) => (Check::WarehouseReachable, WAREHOUSE),
                None => (Check::SnapshotWritten, SYNCWATCH),
            };
            findings.extend(unjudged(&pipeline.syncs, cause));
            findings.extend(unusual::unjudged(pipeline, &WhyNot::under(cause.0, cause.1)));
        }
        findings.extend(record.map(|record| judge_snapshot_written(Some(record), pipeline, now)));
        findings
    }

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

/// Observes everything, plans the rows and writes the differences. Fails while AWS does not answer.
pub(crate) async fn write(
    site: &Site,
    store: &IncidentStore,
    declared: &pipeline::Warehouse,
    snapshot: &pipeline::Snapshot,
    scope: Scope,
    now: Timestamp,
) -> anyhow::Result<Outcome> {
    let statements = Statements::new(&site.pipeline.name, snapshot, declared.dialect())
        .context("invalid name in pipeline.toml")?;
    let limits = Limits { time: STATEMENT_LIMIT, rows: MOST_ROWS, bytes: 48 << 20, ..Limits::default() };
    let warehouse = match site.warehouse(declared, limits, WAREHOUSE_LIMIT).await? {
        Ok(warehouse) => warehouse,
        Err(why) => return Ok(Outcome::failed(Trouble::Closed(why))),
    };
    let asker = Asker::new(&warehouse, WAREHOUSE_LIMIT);
    let written = write_to(asker, site, store, &statements, scope, now).await;
    written.or_else(|error| Ok(Outcome::failed(Trouble::Failed(error.downcast()?))))
}

/// Does the work of [`write`] at an open warehouse. A failed statement has its own error type, so that the caller can
/// distinguish it from other errors.
async fn write_to(
    asker: Asker<'_>,
    site: &Site,
    store: &IncidentStore,
    statements: &Statements<'_>,
    scope: Scope,
    now: Timestamp,
) -> anyhow::Result<Outcome> {
    let zone = &site.pipeline.time_zone;
    let closing = days::closing_day(zone, now);
    let stored = observe::stored_days(asker, statements, scope, closing).await?;
    let Concerned { days, beyond } = days::concerned(&stored, scope, closing);
    let runs = observe::stored_runs(asker, statements, &days).await?;
    let from = days.iter().map(|day| bounds(*day, *day, zone).0).min().unwrap_or(now);
    let census = site.census(now).await?;
    let data = async {
        // Queried only if a day can use it: a view over all tables is expensive.
        if days.iter().any(|day| wants_data(*day, &stored, zone, now)) || statements.health().is_none() {
            observe::data(asker, statements).await
        } else {
            DataLook::NotAsked
        }
    };
    let (census, data, incidents) = futures::join!(
        observe::runs(&census, &site.pipeline, from),
        data,
        observe::incidents(store, &site.pipeline.name)
    );
    let circumstances = match &incidents {
        Ok((incidents, _)) => {
            let open = open_incidents(incidents.iter().map(|incident| (&incident.key, incident.state)));
            let marks = observe::marks(store, &site.pipeline, incidents).await;
            marks.map(|marks| Circumstances { open, marks })
        }
        Err(why) => Err(why.clone()),
    };
    let incidents = incidents
        .map(|(incidents, unreadable)| (incidents.iter().map(Incident::history).collect(), unreadable));
    let seen = Observation { days: stored, runs, census, data, incidents };
    let data = data_outcome(&seen.data, bounds(closing, closing, zone).1 <= now);
    let plans = plan::plan(&seen, &days, &site.pipeline.name, zone, now);
    let week = (days_before(closing, JUDGED_DAYS - 1), closing);
    let mut findings = match scope {
        Scope::Night => {
            success(site.pipeline.objectives.success_rate_percent, asker, statements, week, &seen, &plans)
                .await?
        }
        Scope::Day(_) => Vec::new(),
    };
    let by_hand = plan::by_hand(&seen.census, from, now);
    // The plans own every row that is written, so free the observation.
    drop(seen);
    let written = act::write(asker, statements, &plans).await;
    let mut history = None;
    if scope == Scope::Night {
        // Without them, the figures say why.
        let marks = circumstances.as_ref().map_or_else(|_| Vec::new(), |known| known.marks.clone());
        let (of_figures, read) = figures(asker, &site.pipeline, circumstances, statements, now).await;
        findings.extend(of_figures);
        history = read;
        usual_runs(asker, &site.pipeline, store, statements, &marks, now).await;
        acts(asker, &site.pipeline, store, statements, now).await;
    }
    Ok(Outcome { by_hand, history, ..outcome(written, &plans, beyond, data, findings) })
}

/// The open incidents and the marks by which the figures of a night are judged.
struct Circumstances {
    /// The open incidents of other checks, by subject.
    open: Vec<(Check, String)>,
    marks: Vec<Mark>,
}

/// Judges the figures of the last whole day by the audit log, with the rows of this night, the open incidents and the marks; also
/// returns the history that was read.
async fn figures(
    asker: Asker<'_>,
    pipeline: &Pipeline,
    circumstances: Result<Circumstances, String>,
    statements: &Statements<'_>,
    now: Timestamp,
) -> (Vec<Finding>, Option<History>) {
    let last = days_before(day_of(now, &pipeline.time_zone), 1);
    let read = async {
        let Circumstances { open, marks } = circumstances?;
        let history = observe::history(asker, statements, days_before(last, DAYS - 1), last).await;
        history.map(|history| (history, open, marks)).map_err(|error| error.to_string())
    };
    match read.await {
        Ok((history, open, marks)) => {
            let exceptions = Exceptions::new(&marks, &pipeline.quiet_days);
            (judge_figures(pipeline, &history, last, &exceptions, &open), Some(history))
        }
        // The rows of this night are written, so the snapshot has not failed.
        Err(found) => (unusual::unjudged(pipeline, &WhyNot::Unreadable { found }), None),
    }
}

/// Learns the usual runs of each sync until the end of the last whole day, and stores them for the rounds of the next days. If
/// that fails, the stored ones stay, with the reason: rounds use them for some days, and then do not evaluate their check.
async fn usual_runs(
    asker: Asker<'_>,
    pipeline: &Pipeline,
    store: &IncidentStore,
    statements: &Statements<'_>,
    marks: &[Mark],
    now: Timestamp,
) {
    let is_declared = |sync: &&Sync| pipeline.declares(Check::SilentRuns, &sync.key);
    let syncs: Vec<&Sync> = pipeline.syncs.iter().filter(is_declared).collect();
    if syncs.is_empty() {
        return;
    }
    let zone = &pipeline.time_zone;
    let last = days_before(day_of(now, zone), 1);
    let days = RUN_DAYS.max(pipeline.expectations.watch_days.into());
    let (ask, span) = (async |statement: &_| asker.ask(statement).await, (days_before(last, days - 1), last));
    let runs = syncwatch::observe::history::completed(ask, statements.history(), span).await;
    let limits = silence_limits(pipeline.syncs.len());
    let usual = runs.map(|runs| {
        let exceptions = Exceptions::new(marks, &pipeline.quiet_days);
        let excluded = |sync: &str, day| exceptions.excluded(sync, Check::SilentRuns, day, last);
        runs.usual(last, zone, &limits, &excluded)
    });
    for sync in syncs {
        let stored = match &usual {
            Ok(usual) => match usual.get(&sync.key) {
                Some(usual) => store.put_usual(&pipeline.name, &sync.key, usual).await,
                None => Ok(()),
            },
            Err(why) => store.record_unlearnt(&pipeline.name, &sync.key, why).await,
        };
        if let Err(error) = stored {
            tracing::warn!(sync = sync.key, %error, "usual runs not stored");
        }
    }
    if let Err(why) = usual {
        tracing::warn!(why, "usual runs not learnt");
    }
}

/// Writes the acts of remedies that changed in the last days. What fails is written in the next night: the store keeps acts for
/// three months.
async fn acts(
    asker: Asker<'_>,
    pipeline: &Pipeline,
    store: &IncidentStore,
    statements: &Statements<'_>,
    now: Timestamp,
) {
    let written = async {
        let (records, unreadable) =
            store.remedies(&pipeline.name).await.map_err(|error| error.to_string())?;
        for error in unreadable {
            tracing::warn!(%error, "act of a remedy not written");
        }
        let recent = records.iter().filter(|record| now.duration_since(record.since()) < ACTS_WRITTEN);
        let rows: Vec<RemedyRow> =
            recent.filter_map(|record| RemedyRow::of(record, &pipeline.name, &pipeline.time_zone)).collect();
        act::write_remedies(asker, statements, &rows).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(rows.len())
    };
    match written.await {
        Ok(rows) => tracing::info!(rows, "acts of remedies written"),
        Err(error) => tracing::warn!(error, "acts of remedies not written"),
    }
}

/// Records the outcome of a snapshot, and the runs that people started, and reads the whole record back; `None` if that failed,
/// which is added to the round's failures.
pub(crate) async fn record(
    round: &mut Round<'_>,
    pipeline: &str,
    outcome: &Outcome,
    now: Timestamp,
) -> Option<SnapshotRecord> {
    let store = round.store();
    let recorded = async {
        if let Some(by_hand) = outcome.by_hand.clone() {
            let before = store.runs_by_hand(pipeline).await?;
            store.record_runs_by_hand(pipeline, &by_hand.continuing(before)).await?;
        }
        store.record_snapshot(pipeline, &outcome.recorded(now)).await?;
        store.last_snapshot(pipeline).await
    };
    match recorded.await {
        Ok(record) => Some(record.unwrap_or_default()),
        Err(error) => {
            round.add_failure(format!("the outcome of the snapshot could not be recorded: {error}"));
            None
        }
    }
}

/// The metrics of a night: whether it is good, and the figures of the scoreboard of the last whole day, by the records of this
/// night. Without a history, or if the records could not be read, which is a failure, those figures are left out.
pub(crate) async fn metrics(
    round: &mut Round<'_>,
    pipeline: &Pipeline,
    scope: Scope,
    history: Option<History>,
    now: Timestamp,
) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let Some(history) = history {
        match round.store().of_scoreboard(&pipeline.name).await {
            Ok(stored) => {
                let records = stored.records(pipeline, history.clone(), now);
                let board = Scoreboard::of_last_day(pipeline, records, now);
                figures.extend(metrics::of_day(&board, &history));
            }
            Err(error) => round.add_failure(format!("the scoreboard could not be read: {error}")),
        }
    }
    figures.extend((scope == Scope::Night).then(|| round.good_as(Metric::Snapshots)));
    figures
}

/// Judges the runs of a week: planned rows for the days that are being written, stored rows for the others.
async fn success(
    target_percent: f64,
    asker: Asker<'_>,
    statements: &Statements<'_>,
    week: (Date, Date),
    seen: &Observation<'_>,
    plans: &[DayPlan],
) -> Result<Vec<Finding>, Error> {
    let planned: Vec<Date> = plans.iter().map(|plan| plan.day.snapshot_date).collect();
    let mut tallies = observe::outcomes(asker, statements, week, &planned).await?;
    for plan in plans.iter().filter(|plan| plan.day.snapshot_date >= week.0) {
        for (run, _) in &plan.runs {
            if let (Some(sync), Some(status)) = (&run.sync_name, &run.status) {
                tallies.entry(sync.clone()).or_insert_with(Tally::default).count(status, 1);
            }
        }
    }
    let unread = seen.census.iter().map(|of| match &of.end {
        HistoryEnd::Unread(why) => (of.sync, Some(why)),
        HistoryEnd::Whole | HistoryEnd::TooLong => (of.sync, None),
    });
    Ok(judge_success(unread, &tallies, target_percent))
}

/// The state of the figures of the data, for the record. A warehouse that did not answer once is not reported before the day
/// has ended: the second snapshot of the night retries.
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

/// The outcome of a round that wrote.
fn outcome(
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
        missing.push(format!(
            "{from} to {to}: only the last {days} days are filled; write older days one by one"
        ));
    }
    let failure = written.failure.as_ref().map(ToString::to_string);
    // A gap too long for one night is not a failure of the warehouse, and the night itself is written.
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
        by_hand: None,
        history: None,
    }
}

#[cfg(test)]
mod tests {
    use syncwatch::runtime::warehouse::ALL_STATEMENTS;

    use crate::plan::DataLook::{Failed, NotAsked, NotDeclared, Taken};
    use crate::rows::DataFigures;

    use super::*;

    #[test]
    fn round_timeout_is_not_an_outage_of_the_warehouse() {
        let is_down = |trouble| Outcome::failed(trouble).down().is_some();
        let late = |what| {
            let kind = syncwatch::sql::ErrorKind::Timeout { seconds: 80, what };
            Trouble::Failed(kind.of("10 rows of the audit log"))
        };
        assert!(!is_down(late(ALL_STATEMENTS)));
        assert!(is_down(late("the statement")));
        assert!(is_down(Trouble::Closed("no secret".to_owned())));
    }

    #[test]
    fn failed_view_is_reported_at_once_and_a_timeout_after_the_day() {
        let failed = |passing| Failed { why: "no".to_owned(), passing };
        let missing = || SnapshotData::Missing("no".to_owned());
        let some = DataFigures { total: Some(1), ..DataFigures::default() };
        let taken = |figures| Taken { figures, unknown: vec!["no".to_owned()] };
        // answer of the view, whether the day has ended => recorded state
        let table = [
            (failed(false), false, missing()),
            (failed(false), true, missing()),
            (failed(true), false, SnapshotData::AsBefore),
            (failed(true), true, missing()),
            // A view without any of the expected columns.
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
