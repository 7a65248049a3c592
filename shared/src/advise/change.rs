//! The changes that can make a slow run shorter, each with its precondition.
//!
//! Sources: the vendor's documentation of Census (repository `sutrolabs/census-docs`, head b32fd7d of 2026-01-28), by file, and the
//! SQL reference of Databricks.

use jiff::{SignedDuration, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::estimate::Estimate;
use super::input::{Sync, View};
use super::speed::{Cost, Inseparable, Speed, Used};
use super::view::Selects;
use crate::sql::Dialect;

/// The records must take this share of a run, in percent, before their cost is a concern; the source query this.
const MOSTLY: f64 = 50.0;
const MUCH_QUERY: f64 = 30.0;
/// A gain under this share of a run, in percent, is not worth a change.
const LEAST_GAIN: f64 = 5.0;
/// The share of refused records, in percent, above which larger batches are a risk.
const MOST_REFUSED: f64 = 1.0;
/// The share of unchanged records, in percent, from which it is worth leaving them out.
const MUCH_UNCHANGED: f64 = 20.0;
/// The most syncs into which one is split: each has to be watched.
const MOST_PARTS: f64 = 4.0;
/// A query reads much if it reads so many times the rows that it returns.
const MUCH_READ: f64 = 10.0;
/// An interval should be longer than its run by this factor.
const MARGIN: f64 = 1.25;
/// Runs are on the hour if they are created in its first minutes. To compare, so many must be on and off it.
const ON_HOUR: i8 = 5;
const MIN_GROUP: usize = 10;
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The intervals that people choose, in minutes.
const INTERVALS: [i64; 9] = [15, 30, 60, 120, 180, 240, 360, 720, 1_440];

/// A kind of change, in the order of the effort that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    BatchSize,
    Automation,
    OffHour,
    LessOften,
    MoreOften,
    Materialize,
    Cluster,
    OnlyRecent,
    OnlyChanged,
    Split,
}

/// The time by which a run over the target becomes shorter, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Gain {
    /// Measured, with its interval.
    Saves(Estimate),
    /// The most that it can save: the measured cost of what the change reduces.
    AtMost(f64),
}

impl Gain {
    /// Returns the expected gain with its interval: half of an upper bound, as it can be anything from 0 to it.
    pub fn range(&self) -> Estimate {
        match *self {
            Self::Saves(gain) => gain,
            Self::AtMost(most) => Estimate { value: most / 2.0, low: 0.0, high: most },
        }
    }

    /// Returns the expected gain.
    pub fn expected(&self) -> f64 {
        self.range().value
    }
}

/// A change whose precondition holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    pub kind: Kind,
    pub gain: Gain,
    /// The figures behind it.
    pub evidence: Evidence,
    /// The steps: where to click, or the SQL to write.
    pub how: String,
}

/// Figures, each with its name.
pub type Evidence = Vec<(&'static str, Figure)>;

/// A figure of the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Figure {
    Count(u64),
    Percent(f64),
    Seconds(Estimate),
}

/// The reason why a change is left out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Unmet {
    /// A fact that it needs is unknown.
    Unknown(&'static str),
    Inseparable(Inseparable),
    /// Its part of a run is less than the needed percentage.
    TooLittle {
        percent: f64,
        need: f64,
    },
    /// The interval of what it saves includes 0, or too few runs can be compared.
    Unsure,
    /// It does not exist here, is in effect already, or does harm.
    Unsuitable(&'static str),
    /// Runs would be too long even then.
    DoesNotFit,
    /// Three other changes gain more.
    LessGain,
}

/// A sync that misses its target. Times are in seconds.
pub(super) struct Case<'a> {
    pub(super) sync: &'a Sync,
    pub(super) speed: &'a Speed,
    pub(super) used: &'a [Used],
    pub(super) target: f64,
    /// The work and the records of a typical run over the target.
    pub(super) work: f64,
    pub(super) records: Option<f64>,
}

type Change = (Gain, Evidence, String);
type Rule = for<'a> fn(&Case<'a>) -> Result<Change, Unmet>;

/// Considers each change.
pub(super) fn consider(case: &Case<'_>) -> Vec<(Kind, Result<Advice, Unmet>)> {
    let rules: [(Kind, Rule); 10] = [
        (Kind::BatchSize, batch_size),
        (Kind::Automation, automation),
        (Kind::OffHour, off_hour),
        (Kind::LessOften, less_often),
        (Kind::MoreOften, more_often),
        (Kind::Materialize, materialize),
        (Kind::Cluster, cluster),
        (Kind::OnlyRecent, only_recent),
        (Kind::OnlyChanged, only_changed),
        (Kind::Split, split),
    ];
    let advice = |kind, rule: Rule| {
        let (gain, evidence, how) = rule(case)?;
        let (Gain::Saves(Estimate { value: most, .. }) | Gain::AtMost(most)) = gain;
        need(100.0 * most / case.work, LEAST_GAIN)?;
        Ok(Advice { kind, gain, evidence, how })
    };
    rules.into_iter().map(|(kind, rule)| (kind, advice(kind, rule))).collect()
}

/// Census uses the largest batches in almost all cases (`syncs/retry-handling.md`), so only a lowered size can be raised. The
/// setting exists for Salesforce only (`destinations/salesforce.md`, section of `UNABLE_TO_LOCK_ROW`).
fn batch_size(case: &Case<'_>) -> Result<Change, Unmet> {
    let facts = &case.sync.facts;
    if !facts.salesforce || facts.batch_size_lowered == Some(false) {
        return Err(Unmet::Unsuitable("the batch size cannot be raised"));
    }
    let known = case.used.iter().filter_map(|run| Some((run.refused?, run.records?)));
    let (refused, all) = known.fold((0.0, 0.0), |(a, b), (refused, records)| (a + refused, b + records));
    if all <= 0.0 {
        return Err(Unmet::Unknown("refused records"));
    }
    if 100.0 * refused > MOST_REFUSED * all {
        return Err(Unmet::Unsuitable(
            "Salesforce refuses records, and larger batches exceed its limits sooner",
        ));
    }
    let how = "In Census, open the sync, then Overview, Advanced Configuration, and check the batch size, which no API shows. \
               If it was lowered, raise it in steps and watch the rejected records.";
    let (most, evidence) = faster_records(case)?;
    Ok((most, evidence, how.to_owned()))
}

/// Census waits for automations, process builders and Apex triggers (`destinations/salesforce.md`, "Why is my Salesforce sync so
/// slow"). That the destination can be faster is seen in another sync, at least three times as fast.
fn automation(case: &Case<'_>) -> Result<Change, Unmet> {
    let facts = &case.sync.facts;
    if !facts.salesforce {
        return Err(Unmet::Unsuitable("the destination is not Salesforce"));
    }
    let other = facts.fastest_other.ok_or(Unmet::Unknown("another sync to the same destination"))?;
    need(100.0 * cost(case)?.seconds_per_record.low / other, 300.0)?;
    let how = "In Salesforce Setup, list the flows, process builders and Apex triggers of the object. Ask their owner to make \
               them handle records in bulk, or skip the records that Census writes.";
    let (most, evidence) = faster_records(case)?;
    Ok((most, evidence, how.to_owned()))
}

/// Census names no busy times; this is what the runs show.
fn off_hour(case: &Case<'_>) -> Result<Change, Unmet> {
    let slope = cost(case).map_or(0.0, |cost| cost.seconds_per_record.value);
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for run in case.used {
        let fixed = run.work - slope * run.records.unwrap_or(0.0);
        let minute = run.created.to_zoned(TimeZone::UTC).minute();
        if minute < ON_HOUR { on.push(fixed) } else { off.push(fixed) }
    }
    let longer = Estimate::shift(&off, &on).filter(|_| on.len().min(off.len()) >= MIN_GROUP);
    let longer = longer.filter(|longer| longer.low > 0.0).ok_or(Unmet::Unsure)?;
    let evidence = vec![
        ("runs created in the first 5 minutes of an hour", Figure::Count(on.len() as u64)),
        ("other runs", Figure::Count(off.len() as u64)),
        ("the former take longer by", Figure::Seconds(longer)),
    ];
    let how = "In Census, edit the schedule of the sync and choose Cron (UTC) with minutes away from the full hour, such as \
               `7,37 * * * *` for every 30 minutes. Change `schedule` in pipeline.toml to match.";
    Ok((Gain::Saves(longer), evidence, how.to_owned()))
}

fn less_often(case: &Case<'_>) -> Result<Change, Unmet> {
    let interval = interval(case)?;
    let waits = case.speed.waits;
    if waits.seconds.low <= 0.0 {
        return Err(Unmet::Unsure);
    }
    // At worst, the records of a run grow with its interval.
    let sending = sending(case)?.value;
    let fits = |minutes: &&i64| {
        let longer = **minutes as f64 * 60.0;
        longer > interval && MARGIN * (case.work + sending * (longer / interval - 1.0)) <= longer
    };
    let minutes = INTERVALS.iter().find(fits).ok_or(Unmet::DoesNotFit)?;
    let evidence = vec![
        ("runs that waited for the previous run", Figure::Count(waits.waited as u64)),
        ("of all runs", Figure::Count(case.speed.runs as u64)),
        ("wait of a typical run", Figure::Seconds(waits.seconds)),
    ];
    Ok((Gain::Saves(waits.seconds), evidence, schedule(SignedDuration::from_mins(*minutes))))
}

fn more_often(case: &Case<'_>) -> Result<Change, Unmet> {
    let half = interval(case)? / 2.0;
    let unchanged = case.sync.facts.unchanged_percent.ok_or(Unmet::Unknown("unchanged records"))?;
    if unchanged.is_nan() || unchanged >= MUCH_UNCHANGED {
        return Err(Unmet::Unsuitable("each run would send the same records again"));
    }
    let (sending, evidence) = mostly_records(case)?;
    if MARGIN * (case.work - sending.low / 2.0) > half {
        return Err(Unmet::DoesNotFit);
    }
    Ok((Gain::AtMost(sending.high / 2.0), evidence, schedule(SignedDuration::from_secs(half as i64))))
}

/// Stored results lower the latency of a query (Databricks, "Use materialized views in Databricks SQL"); Census advises the same
/// (`datasets/overview/basic-datasets.md`).
fn materialize(case: &Case<'_>) -> Result<Change, Unmet> {
    let (query, mut evidence) = much_query(case)?;
    let view = view(case)?;
    evidence.extend(view.definition.as_ref().map(|of| ("joins in the view", Figure::Count(of.joins))));
    if view.stored.ok_or(Unmet::Unknown("whether the view is stored"))? {
        return Err(Unmet::Unsuitable("the rows of the view are stored already"));
    }
    let how = format!(
        "On a Pro or serverless SQL warehouse, run `CREATE MATERIALIZED VIEW {0}_stored AS` with the query of {0}, and schedule its \
         refresh before each run. Then run `CREATE OR REPLACE VIEW {0} AS SELECT * FROM {0}_stored`, so that the sync keeps its \
         source.",
        view.name
    );
    Ok((Gain::AtMost(query.high), evidence, how))
}

/// Liquid clustering (Databricks, "CLUSTER BY clause (TABLE)").
fn cluster(case: &Case<'_>) -> Result<Change, Unmet> {
    let (query, evidence) = much_query(case)?;
    let view = view(case)?;
    let (table, column) = view.filtered.as_ref().ok_or(Unmet::Unknown("the filter of the view"))?;
    let needed = view.rows.ok_or(Unmet::Unknown("rows of the view"))?;
    let read = view.rows_read.ok_or(Unmet::Unknown("rows that the query reads"))?;
    need(100.0 * read as f64 / needed.max(1) as f64, 100.0 * MUCH_READ)?;
    let how = format!(
        "Run `ALTER TABLE {table} CLUSTER BY ({column})`, then `OPTIMIZE {table}` regularly: changed rows are not clustered by \
         themselves. It needs a Delta table."
    );
    Ok(reading(query, evidence, read, needed, how))
}

fn only_recent(case: &Case<'_>) -> Result<Change, Unmet> {
    let (query, evidence) = much_query(case)?;
    not_mirror(case)?;
    let oldest =
        case.sync.facts.oldest_waiting.ok_or(Unmet::Unknown("the age of the oldest change that waits"))?;
    if oldest >= WEEK {
        return Err(Unmet::Unsuitable("a change has waited for 7 days or longer and would be left out"));
    }
    let view = view(case)?;
    let column = view.changed_at.as_ref().ok_or(Unmet::Unknown("the column with the time of the change"))?;
    match view.selects {
        Some(Selects::All) => {}
        Some(Selects::Recent) => {
            return Err(Unmet::Unsuitable("the view selects by the time of the change already"));
        }
        _ => return Err(Unmet::Unknown("whether the view selects by the time of the change")),
    }
    let read = view.rows_read.ok_or(Unmet::Unknown("rows that the query reads"))?;
    let needed = view.rows_changed.ok_or(Unmet::Unknown("rows that changed in 7 days"))?;
    need(100.0 * (1.0 - needed as f64 / read.max(1) as f64), MOSTLY)?;
    let how = format!(
        "In the view {}, add `{column} >= current_timestamp() - INTERVAL 7 DAYS` to the conditions of the table. Keep comparing \
         source and destination, which finds older changes.",
        view.name
    );
    Ok(reading(query, evidence, read, needed, how))
}

/// Census sends a record if its data changed since the run before (`syncs/overview.md`), so a mapped column that changes without
/// need sends it again. It backfills an added column with a full sync (`syncs/sync-monitoring/datadog-integration.md`).
fn only_changed(case: &Case<'_>) -> Result<Change, Unmet> {
    let percent = case.sync.facts.unchanged_percent.ok_or(Unmet::Unknown("unchanged records"))?;
    need(percent, MUCH_UNCHANGED)?;
    let percent = percent.min(100.0);
    let how = "In Census, open the sync, then its field mappings, and remove fields that change on every load, such as load times \
               and templates with the current time (adding a field starts a full sync); or let the view return only rows that \
               differ from the destination's copy.";
    let gain = Gain::Saves(sending(case)?.times(percent / 100.0));
    Ok((gain, vec![("records that the destination already has", Figure::Percent(percent))], how.to_owned()))
}

/// The first run of a new sync sends all rows (`syncs/overview.md` states it for mirror syncs; for others it is assumed), so a sync
/// that creates records is never split.
fn split(case: &Case<'_>) -> Result<Change, Unmet> {
    if case.sync.facts.creates {
        return Err(Unmet::Unsuitable("the first run of a new sync could create the same records again"));
    }
    not_mirror(case)?;
    let view = view(case)?;
    let key = view.key.as_ref().ok_or(Unmet::Unknown("the key of the view"))?;
    let (sending, evidence) = mostly_records(case)?;
    let room = case.target - cost(case)?.fixed_seconds.high;
    let parts = (sending.high / room).ceil().max(2.0);
    if room <= 0.0 || parts > MOST_PARTS {
        return Err(Unmet::DoesNotFit);
    }
    let how = format!(
        "Make {parts} syncs with the same mappings; part n, from 0, reads `SELECT * FROM {} WHERE pmod(hash({key}), {parts}) = n`. \
         Expect their first runs to send all rows. Census does not document how syncs to one object share the destination: compare the run \
         times afterwards.",
        view.name
    );
    Ok((Gain::AtMost(sending.high * (1.0 - 1.0 / parts)), evidence, how))
}

/// Returns the most that a lower cost per record can save: what it costs more than in a faster sync, or all of it.
fn faster_records(case: &Case<'_>) -> Result<(Gain, Evidence), Unmet> {
    let (sending, mut evidence) = mostly_records(case)?;
    let other = case.sync.facts.fastest_other.filter(|other| other.is_finite() && *other >= 0.0);
    let exact = |value| Figure::Seconds(Estimate { value, low: value, high: value });
    evidence.extend(other.map(|other| ("time per record in the fastest other sync", exact(other))));
    let floor = other.unwrap_or(0.0) * case.records.unwrap_or(0.0);
    Ok((Gain::AtMost((sending.high - floor).max(0.0)), evidence))
}

/// Returns the time for the records of a slow run if it is most of the run.
fn mostly_records(case: &Case<'_>) -> Result<(Estimate, Evidence), Unmet> {
    let sending = sending(case)?;
    let percent = 100.0 * sending.value / case.work;
    need(percent, MOSTLY)?;
    let each = Figure::Seconds(cost(case)?.seconds_per_record);
    Ok((
        sending,
        vec![("share of a slow run spent on records", Figure::Percent(percent)), ("time per record", each)],
    ))
}

/// Returns the time for the records of a slow run, which is never longer than the run.
fn sending(case: &Case<'_>) -> Result<Estimate, Unmet> {
    let all = cost(case)?.seconds_per_record.times(case.records.ok_or(Unmet::Unknown("records of a run"))?);
    if all.low <= 0.0 {
        return Err(Unmet::Unsure);
    }
    let [value, low, high] = [all.value, all.low, all.high].map(|seconds| seconds.min(case.work));
    Ok(Estimate { value, low, high })
}

fn cost(case: &Case<'_>) -> Result<Cost, Unmet> {
    case.speed.cost.map_err(Unmet::Inseparable)
}

fn interval(case: &Case<'_>) -> Result<f64, Unmet> {
    let interval = case.sync.interval.map(|interval| interval.as_secs_f64());
    interval.filter(|seconds| *seconds > 0.0).ok_or(Unmet::Unknown("the interval of the schedule"))
}

fn schedule(every: SignedDuration) -> String {
    let every = crate::text::words(every);
    format!(
        "In Census, edit the schedule of the sync: every {every}. Change `schedule` in pipeline.toml to match."
    )
}

/// The SQL of the steps is that of Databricks.
fn view<'a>(case: &Case<'a>) -> Result<&'a View, Unmet> {
    let view = case.sync.facts.view.as_ref().ok_or(Unmet::Unknown("the view"))?;
    match view.dialect {
        Some(Dialect::Databricks) => Ok(view),
        Some(_) => Err(Unmet::Unsuitable("the steps are known for Databricks only")),
        None => Err(Unmet::Unknown("the warehouse of the view")),
    }
}

fn much_query(case: &Case<'_>) -> Result<(Estimate, Evidence), Unmet> {
    let query = case.speed.query.ok_or(Unmet::Unknown("the time of the source query"))?.seconds;
    let percent = (100.0 * query.value / case.work).min(100.0);
    need(percent, MUCH_QUERY)?;
    let share = ("share of a slow run spent in the source query", Figure::Percent(percent));
    Ok((query, vec![share, ("time of the source query", Figure::Seconds(query))]))
}

/// Returns a change that saves at most the time of the query for the rows that are not needed.
fn reading(query: Estimate, mut evidence: Evidence, read: u64, needed: u64, how: String) -> Change {
    evidence.extend([("rows read", Figure::Count(read)), ("rows needed", Figure::Count(needed))]);
    (Gain::AtMost(query.high * (1.0 - needed as f64 / read as f64)), evidence, how)
}

/// A mirror sync removes from the destination what its source no longer has (`syncs/overview.md`).
fn not_mirror(case: &Case<'_>) -> Result<(), Unmet> {
    if case.sync.facts.mirror.ok_or(Unmet::Unknown("whether the sync mirrors its source"))? {
        return Err(Unmet::Unsuitable("a mirror sync removes the records that its source leaves out"));
    }
    Ok(())
}

/// Written so that a figure that is not a number never meets it.
fn need(percent: f64, need: f64) -> Result<(), Unmet> {
    if percent >= need { Ok(()) } else { Err(Unmet::TooLittle { percent, need }) }
}
