//! One round: compares the objects one after another, and records each before the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Serialize;
use syncwatch::data_checks::object_name;
use syncwatch::days::day_of;
use syncwatch::finding::{Check, Judge, WAREHOUSE, WhyNot};
use syncwatch::judge::data::{Trouble, judge_warehouse};
use syncwatch::judge::{is_apart, judge_not_compared, judge_object};
use syncwatch::metrics::Metric;
use syncwatch::observe::objects::{Progress, compare};
use syncwatch::pipeline::Pipeline;
use syncwatch::reconcile::{Coverage, Known, Looks, NotCompared, Object, Reconciliation};
use syncwatch::round::{Report, Round};
use syncwatch::rounds::ReconciledRound;
use syncwatch::runtime::Site;
use syncwatch::sql::{Statement, bulk};
use syncwatch::text;
use syncwatch::warehouse::Warehouse;
use tokio::time::{Instant, timeout, timeout_at};

use crate::Patience;
use crate::chosen;
use crate::event::Event;
use crate::observe;
use crate::rows::ObjectRow;

/// The statements of a comparison.
const STATEMENTS: usize = 3;
/// The time to write the row of an object, beside that of the comparisons.
const WRITE_LIMIT: Duration = Duration::from_secs(20);
/// How often a comparison is judged again if other rounds store their looks first.
const ATTEMPTS: usize = 3;

/// The answer of a round.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    #[serde(flatten)]
    report: Report,
    /// The objects that were compared, in that order.
    compared: Vec<String>,
    /// The objects that the time did not suffice for; the next round begins with them.
    left: Vec<String>,
    statements: usize,
    /// One line for each object, for people.
    table: String,
}

/// The state of a round.
struct Night<'n> {
    pipeline: &'n Pipeline,
    round: Round<'n>,
    record: ReconciledRound,
    now: Timestamp,
    compared: Vec<String>,
    lines: Vec<[String; 2]>,
}

/// Runs one round of the objects that an event is about.
pub(crate) async fn round(
    site: &Site,
    patience: Patience,
    event: &Event,
    now: Timestamp,
) -> anyhow::Result<Answer> {
    let pipeline = &site.pipeline;
    let round = Round::begin(site, Judge::Reconciliation, now).await?;
    let record = round.store().last_reconciled(&pipeline.name).await?.unwrap_or_default();
    let objects = chosen::objects(pipeline, event, round.store(), &record, now).await?;
    let mut night = Night { pipeline, round, record, now, compared: Vec::new(), lines: Vec::new() };
    let left = if objects.is_empty() {
        Vec::new()
    } else {
        night.compare_all(site, patience, event, &objects).await?
    };
    for object in &left {
        let why = WhyNot::NothingYet { awaited: "the next round, as the time ran out".to_owned() };
        night.round.act_on(&judge_not_compared(object, &why)).await;
        night.line(object, &why.to_string());
    }
    let Night { mut round, mut record, compared, lines, .. } = night;
    let statements = (objects.len() - left.len()) * STATEMENTS;
    let mut figures = vec![(Metric::Statements, statements as f64)];
    if *event == (Event::Reconcile { object: None }) {
        round.conclude().await;
        record.at = Some(now);
        if let Err(error) = round.store().record_reconciled(&pipeline.name, &record, true).await {
            round.add_failure(format!("the round could not be recorded: {error}"));
        }
        figures.push(round.good_as(Metric::Reconciliations));
    }
    let table = text::table(["object", "result"], &lines) + "\n";
    let left = left.iter().map(|object| object.name.clone()).collect();
    Ok(Answer { report: round.finish(&figures)?, compared, left, statements, table })
}

impl<'n> Night<'n> {
    /// Compares objects until the time runs out, and returns those that are left.
    async fn compare_all(
        &mut self,
        site: &Site,
        patience: Patience,
        event: &Event,
        objects: &[&'n Object],
    ) -> anyhow::Result<Vec<&'n Object>> {
        let deadline = Instant::now() + patience.round;
        let databases = match observe::databases(site, objects, patience).await? {
            Ok(databases) => databases,
            Err(why) => {
                self.warehouse_fails(objects, &Trouble::Closed(why)).await;
                return Ok(Vec::new());
            }
        };
        let census = site.census(self.now).await?;
        for (place, object) in objects.iter().copied().enumerate() {
            let read = Arc::new(AtomicU64::new(0));
            let of_streams = read.clone();
            let progress: Progress = Arc::new(move |rows| of_streams.store(rows, Ordering::Relaxed));
            let coverage = chosen::coverage(self.pipeline, object, event, &self.record, self.now);
            let compared = async {
                let sent = observe::what_was_sent(&census, self.pipeline, object).await;
                compare(&databases, object, &sent, coverage, progress, self.now).await
            };
            let found = match timeout_at(deadline, compared).await {
                Ok(found) => found,
                Err(_) => {
                    let rows = read.load(Ordering::Relaxed);
                    tracing::warn!(object = %object.name, rows, "comparison stopped, as the time ran out");
                    let left = objects.get(place..).unwrap_or_default();
                    // The one that was begun comes last in the next round, as it may need more than the time.
                    self.tried(object, false).await;
                    return Ok(left.to_vec());
                }
            };
            if let Err(NotCompared::Unreadable(error)) = &found
                && Trouble::Failed(error.clone()).is_of_the_warehouse()
            {
                let trouble = Trouble::Failed(error.clone());
                self.warehouse_fails(objects.get(place..).unwrap_or_default(), &trouble).await;
                return Ok(Vec::new());
            }
            self.conclude_object(&databases.warehouse, object, found).await;
        }
        Ok(Vec::new())
    }

    /// Records one comparison: its look, its incidents, its row.
    async fn conclude_object(
        &mut self,
        warehouse: &Warehouse,
        object: &Object,
        found: Result<Reconciliation, NotCompared>,
    ) {
        let (looks, others) = match &found {
            Ok(found) => match self.look(object, found).await {
                Ok(looks) => looks,
                Err(error) => {
                    return self.round.add_failure(format!("the look of {}: {error}", object.name));
                }
            },
            Err(_) => Default::default(),
        };
        match &found {
            Ok(found) => {
                self.line(object, &said(found, &looks));
                self.compared.push(object.name.clone());
            }
            Err(why) => self.line(object, &why.to_string()),
        }
        let earlier = looks.base.as_ref().map(|(at, seen)| (seen, *at));
        let findings = judge_object(self.pipeline, object, found.as_ref(), earlier, &others, self.now);
        self.round.act_on(&findings).await;
        if let Err(error) = self.write_row(warehouse, object, &found).await {
            self.round.add_failure(format!("the row of {} could not be written: {error}", object.name));
        }
        self.tried(object, found.is_ok()).await;
    }

    /// Stores the look of a comparison, and returns the looks with the one that confirms it, and what is known of other buckets.
    async fn look(
        &self,
        object: &Object,
        found: &Reconciliation,
    ) -> anyhow::Result<(Looks, Vec<Option<Known>>)> {
        let (store, pipeline, coverage) = (self.round.store(), self.pipeline, found.coverage);
        let mut others = Vec::new();
        for other in coverage.others() {
            others.push(store.looks(&pipeline.name, &object.name, other, self.now).await?.0.known);
        }
        for _ in 0..ATTEMPTS {
            let (looks, expected) = store.looks(&pipeline.name, &object.name, coverage, self.now).await?;
            let looks = looks.with(found, |at| is_apart(pipeline, object, at, self.now), self.now);
            let name = &object.name;
            if store.put_looks(&pipeline.name, name, coverage, &looks, expected, self.now).await? {
                return Ok((looks, others));
            }
        }
        anyhow::bail!("other rounds stored theirs first {ATTEMPTS} times in a row")
    }

    async fn write_row(
        &self,
        warehouse: &Warehouse,
        object: &Object,
        found: &Result<Reconciliation, NotCompared>,
    ) -> anyhow::Result<()> {
        let log = self.pipeline.snapshot.as_ref().and_then(|snapshot| snapshot.reconciliation_log.as_ref());
        let Some(log) = log else { return Ok(()) };
        let dialect = warehouse.dialect();
        let log = object_name(dialect, log)?;
        let day = day_of(self.now, &self.pipeline.time_zone);
        let row = ObjectRow::of(&self.pipeline.name, object, day, self.now, found);
        // A failure does not replace the figures of an earlier comparison of the day.
        let update = found.is_ok().then(|| bulk::update(&log, dialect, [&row]));
        let both = update.into_iter().flatten().chain(bulk::insert(&log, dialect, [&row]));
        let both: Vec<Statement> = both.collect();
        timeout(WRITE_LIMIT, warehouse.execute_all(&both)).await.context("not within 20 s")??;
        Ok(())
    }

    /// Reports a warehouse that cannot be queried once, with every object under it.
    async fn warehouse_fails(&mut self, objects: &[&Object], trouble: &Trouble) {
        let mut findings = vec![judge_warehouse(objects.len() * STATEMENTS, std::slice::from_ref(trouble))];
        let why = WhyNot::under(Check::WarehouseReachable, WAREHOUSE);
        for object in objects {
            self.line(object, &trouble.to_string());
            findings.extend(judge_not_compared(object, &why));
        }
        self.round.act_on(&findings).await;
    }

    async fn tried(&mut self, object: &Object, was_compared: bool) {
        self.record.add(&object.name, was_compared, self.now);
        let recorded = self.round.store().record_reconciled(&self.pipeline.name, &self.record, false).await;
        if let Err(error) = recorded {
            self.round
                .add_failure(format!("the comparison of {} could not be recorded: {error}", object.name));
        }
    }

    fn line(&mut self, object: &Object, result: &str) {
        self.lines.push([object.name.clone(), text::bounded(result, 200)]);
    }
}

/// Says how an object compared.
fn said(found: &Reconciliation, looks: &Looks) -> String {
    let wrong = found.missing + found.extra + found.different + found.not_evaluated;
    let bucket = match found.coverage {
        Coverage::All => String::new(),
        bucket => format!("{bucket}: "),
    };
    format!(
        "{bucket}{} joined, {} missing, {} extra, {} different, {} pending; {} of {wrong} wrong records not confirmed yet",
        text::grouped(found.joined),
        found.missing,
        found.extra,
        found.different,
        found.missing_pending + found.different_pending,
        looks.unconfirmed,
    )
}
