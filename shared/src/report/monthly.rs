//! The monthly report: how the syncs, the data and the incidents of a month went, and what would improve them.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::alerts::{Alerted, Ending, alerts};
use super::{Inputs, Month};
use crate::history::{DataDay, History, ObjectDay, SyncDay};
use crate::pipeline::Pipeline;
use crate::scoreboard::{Goals, Metric, Outcome, Reading, Scoreboard, Value};
use crate::stats::median;
use crate::text::{counted, grouped, named, percent, rounded, table, words};

/// Alerts of one key without an act of a person that make a proposal.
const REPEATED: usize = 3;
/// The longest alerts that are named.
const NAMED: usize = 5;

/// A metric of the scoreboard over the month.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MonthMetric {
    pub metric: String,
    pub title: String,
    /// A percentage, seconds, or a count.
    pub value: Option<f64>,
    /// The value for people, or why there is none.
    pub text: String,
    pub goal: Option<String>,
    pub outcome: Outcome,
}

/// A sync in a week, as far as the week is in the month.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncWeek {
    pub sync: String,
    pub from: Date,
    pub to: Date,
    /// Days with a row in the audit log.
    pub days: usize,
    pub completed: u64,
    pub failed: u64,
    /// The share of the records that did not arrive, in percent.
    pub error_rate: Option<f64>,
    /// The median duration of a day's runs: on the median day, and on the slowest.
    pub median_seconds: Option<f64>,
    pub slowest_day_seconds: Option<f64>,
}

/// The alerts of the month.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MonthAlerts {
    /// Why they are incomplete.
    pub unknown: Option<String>,
    pub alerts: usize,
    pub healed_by_itself: usize,
    pub healed_by_remedy: usize,
    pub ended_by_person: usize,
    pub open_at_end: usize,
    /// Mean time from the beginning of a fault until SNS accepted its first notice.
    pub mean_detection_seconds: Option<i64>,
    /// The longest, such as `failed run of properties-update (3h 10m)`.
    pub longest: Vec<String>,
}

/// An objective, and how much of what it allows was used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    pub objective: String,
    /// Failed runs, or measurements of lag beyond the limit.
    pub allowed: f64,
    pub used: f64,
    /// The rest in words, or why it is unknown.
    pub text: String,
}

/// A month of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Monthly {
    pub pipeline: String,
    /// Such as `2026-11`.
    pub month: String,
    /// The first instant of the month, and the first one after it (UTC).
    pub from: Timestamp,
    pub until: Timestamp,
    /// How many days of the month have a row in the audit log, or why none could be read.
    pub recorded: String,
    pub metrics: Vec<MonthMetric>,
    pub syncs: Vec<SyncWeek>,
    /// The last comparison of each object, and what differed.
    pub objects: Vec<ObjectDay>,
    pub alerts: MonthAlerts,
    pub budgets: Vec<Budget>,
    /// Changes that would improve the pipeline, each with its evidence.
    pub improvements: Vec<String>,
}

impl Monthly {
    /// Computes the report of a month that has ended. `objects` are the comparisons of the month, and `advice` is on the speed of
    /// syncs now; each may say why it could not be read.
    pub fn of(
        inputs: &Inputs,
        objects: &Result<Vec<ObjectDay>, String>,
        advice: &Result<Vec<String>, String>,
        pipeline: &Pipeline,
        month: Month,
        now: Timestamp,
    ) -> Self {
        let (from, until) = month.bounds(&pipeline.time_zone);
        let open = alerts(inputs, from, until);
        let new: Vec<&Alerted<'_>> = open.iter().filter(|alert| alert.episode.told_at >= from).collect();
        let empty = History::default();
        let history = inputs.history.as_ref().unwrap_or(&empty);
        let of_month = |day: &DataDay| (month.first()..=month.end()).contains(&day.day);
        let recorded = match &inputs.history {
            Ok(history) => {
                let days = history.days.iter().filter(|day| of_month(day)).count();
                format!("{days} of {} recorded", counted(month.end().day().unsigned_abs(), "day"))
            }
            Err(why) => format!("unknown: {why}"),
        };
        let syncs: Vec<SyncWeek> =
            pipeline.syncs.iter().flat_map(|sync| weeks(history, &sync.key, month)).collect();
        let mut last: BTreeMap<&str, &ObjectDay> = BTreeMap::new();
        for day in objects.iter().flatten() {
            last.insert(&day.object, day);
        }
        Self {
            pipeline: pipeline.name.clone(),
            month: month.to_string(),
            from,
            until,
            recorded,
            metrics: metrics(inputs, pipeline, month, now),
            budgets: budgets(inputs, pipeline, &syncs, (from, until)),
            syncs,
            objects: last.into_values().cloned().collect(),
            alerts: MonthAlerts::of(inputs.alerts_unknown(from, now), &open, &new, until),
            improvements: improvements(&new, objects, advice),
        }
    }
}

fn metrics(inputs: &Inputs, pipeline: &Pipeline, month: Month, now: Timestamp) -> Vec<MonthMetric> {
    let mut records = inputs.stored.records(pipeline, inputs.history.clone().unwrap_or_default(), now);
    records.history = inputs.history.clone();
    let goals = Goals::of_pipeline(pipeline);
    let readings = Scoreboard::over(&records, &goals, &pipeline.time_zone, (month.first(), month.end()));
    let metric = |(metric, reading): (Metric, Reading)| {
        let goal = goals.of(metric);
        let limit = goal.map(|goal| goal.value.number());
        let reason = || reading.reason.as_ref().map_or_else(String::new, ToString::to_string);
        MonthMetric {
            metric: metric.id().to_owned(),
            title: metric.title().to_owned(),
            value: reading.value.map(Value::number),
            text: reading.value.map_or_else(reason, |value| value.text(limit)),
            goal: goal.map(|goal| goal.to_string()),
            outcome: reading.outcome(goal),
        }
    };
    readings.into_iter().map(metric).collect()
}

/// The weeks of a sync. A week without a row is left out of sums, and has no figure.
fn weeks(history: &History, sync: &str, month: Month) -> Vec<SyncWeek> {
    let days = history.syncs.get(sync).map_or(&[][..], Vec::as_slice);
    let week = |(from, to): (Date, Date)| {
        let of_week: Vec<&SyncDay> = days.iter().filter(|day| (from..=to).contains(&day.day)).collect();
        let sum =
            |of: fn(&SyncDay) -> Option<f64>| of_week.iter().filter_map(|day| of(day)).reduce(|a, b| a + b);
        let whole = SyncDay {
            processed: sum(|day| day.processed),
            failed: sum(|day| day.failed),
            ..SyncDay::default()
        };
        let durations = || of_week.iter().filter_map(|day| day.median_seconds);
        SyncWeek {
            sync: sync.to_owned(),
            from,
            to,
            days: history.days.iter().filter(|day| (from..=to).contains(&day.day)).count(),
            completed: of_week.iter().map(|day| day.outcomes.completed).sum(),
            failed: of_week.iter().map(|day| day.outcomes.failed).sum(),
            error_rate: whole.error_rate(),
            median_seconds: median(durations()),
            slowest_day_seconds: durations().reduce(f64::max),
        }
    };
    month.weeks().into_iter().map(week).collect()
}

impl MonthAlerts {
    fn of(unknown: Option<String>, open: &[Alerted<'_>], new: &[&Alerted<'_>], until: Timestamp) -> Self {
        let of = |ending| open.iter().filter(|alert| alert.ending == ending).count();
        let delays = new.iter().filter_map(|alert| {
            let sent = alert.episode.sent_at?;
            Some(sent.duration_since(alert.episode.began_at).as_secs().max(0))
        });
        let delays: Vec<i64> = delays.collect();
        let lasted = |alert: &Alerted<'_>| {
            let end = alert.episode.resolved_at.unwrap_or(until).min(until);
            end.duration_since(alert.episode.began_at)
        };
        let mut longest: Vec<&Alerted<'_>> = open.iter().collect();
        longest.sort_by_key(|alert| std::cmp::Reverse(lasted(alert)));
        let name = |alert: &&Alerted<'_>| format!("{} ({})", alert.name(), words(lasted(alert)));
        Self {
            unknown,
            alerts: new.len(),
            healed_by_itself: of(Ending::ByItself),
            healed_by_remedy: of(Ending::ByRemedy),
            ended_by_person: of(Ending::ByPerson),
            open_at_end: of(Ending::Open),
            mean_detection_seconds: i64::try_from(delays.len())
                .ok()
                .and_then(|count| delays.iter().sum::<i64>().checked_div(count)),
            longest: longest.iter().take(NAMED).map(name).collect(),
        }
    }
}

/// The error budgets: the failed runs that the success rate allows, and the measurements of lag beyond its limit, of which none is
/// allowed.
fn budgets(
    inputs: &Inputs,
    pipeline: &Pipeline,
    syncs: &[SyncWeek],
    (from, until): (Timestamp, Timestamp),
) -> Vec<Budget> {
    let target = pipeline.objectives.success_rate_percent;
    let completed: u64 = syncs.iter().map(|week| week.completed).sum();
    let failed: u64 = syncs.iter().map(|week| week.failed).sum();
    let allowed = (100.0 - target) / 100.0 * (completed + failed) as f64;
    let share = if allowed > 0.0 {
        percent(rounded(100.0 * failed as f64 / allowed, 0, &[100.0]))
    } else {
        "all".to_owned()
    };
    let text = match (completed + failed, failed) {
        (0, _) => "unknown: no runs recorded".to_owned(),
        (runs, 0) => format!("0 of {} failed: nothing used", counted(runs, "run")),
        (runs, failed) => format!("{} of {} failed: {share} used", grouped(failed), counted(runs, "run")),
    };
    let objective = format!("at least {} of runs succeed", percent(target));
    let mut budgets = vec![Budget { objective, allowed, used: failed as f64, text }];
    if let Some(limit) = pipeline.objectives.max_lag {
        let samples = || inputs.stored.lags.iter().filter(|sample| (from..until).contains(&sample.at));
        let beyond: Vec<_> = samples().filter(|sample| sample.lag > limit).collect();
        let minutes: i64 = beyond.iter().map(|sample| (sample.lag - limit).as_mins()).sum();
        let text = match (samples().count(), beyond.len()) {
            (0, _) => "unknown: no lag measured".to_owned(),
            (all, 0) => format!("0 of {} beyond the limit", counted(all, "measurement")),
            (all, _) => format!(
                "{} of {} beyond the limit, by {minutes} minutes together",
                beyond.len(),
                counted(all, "measurement")
            ),
        };
        let objective = format!("changes arrive within {}", words(limit));
        budgets.push(Budget { objective, allowed: 0.0, used: beyond.len() as f64, text });
    }
    budgets
}

/// Proposals from the records of the month, then the advice on slow syncs.
fn improvements(
    new: &[&Alerted<'_>],
    objects: &Result<Vec<ObjectDay>, String>,
    advice: &Result<Vec<String>, String>,
) -> Vec<String> {
    let mut without: BTreeMap<String, usize> = BTreeMap::new();
    for alert in new.iter().filter(|alert| alert.is_not_acted_on()) {
        *without.entry(alert.name()).or_default() += 1;
    }
    let repeated = without.into_iter().filter(|(_, times)| *times >= REPEATED);
    let mut found: Vec<String> = repeated
        .map(|(name, times)| {
            format!(
                "{name} alerted {times} times without an act of a person: fix its cause, or widen its limit"
            )
        })
        .collect();
    found.extend(objects.as_ref().err().map(|why| format!("The comparison of records is unknown: {why}")));
    match advice {
        Ok(lines) => found.extend(lines.iter().cloned()),
        Err(why) => found.push(format!("The speed of syncs is unknown: {why}")),
    }
    found
}

impl Monthly {
    /// The month in one clause.
    pub fn headline(&self) -> String {
        let of = |outcome| self.metrics.iter().filter(|metric| metric.outcome == outcome).count();
        let (met, unknown) = (of(Outcome::Met), of(Outcome::Unknown));
        let goals = met + unknown + of(Outcome::NotMet);
        let unknown = if unknown > 0 { format!(", {unknown} unknown") } else { String::new() };
        let alerts = if self.alerts.unknown.is_some() {
            "alerts unknown".to_owned()
        } else {
            counted(self.alerts.alerts, "alert")
        };
        format!("{met} of {} met{unknown}, {alerts}", counted(goals, "goal"))
    }

    /// The lines of its notice: a label and a text each.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let missed = self.metrics.iter().filter(|metric| metric.outcome == Outcome::NotMet);
        let missed = missed.map(|metric| {
            let goal = metric.goal.as_deref().unwrap_or_default();
            ("goal not met", format!("{}: {} (goal {goal})", metric.title, metric.text))
        });
        let budgets =
            self.budgets.iter().map(|budget| ("objective", format!("{}: {}", budget.objective, budget.text)));
        let objects = self
            .objects
            .iter()
            .map(|object| ("records", format!("{}: {}", object.object, object.in_words())));
        let improvements = self.improvements.iter().take(NAMED).map(|line| ("improvement", line.clone()));
        let more = self.improvements.len().saturating_sub(NAMED);
        let more = (more > 0).then(|| ("improvement", format!("{more} more are in the report")));
        let recorded = [("recorded", self.recorded.clone())];
        let alerts = [("incidents", self.alerts.in_words())];
        recorded
            .into_iter()
            .chain(budgets)
            .chain(missed)
            .chain(objects)
            .chain(alerts)
            .chain(improvements)
            .chain(more)
            .collect()
    }
}

impl ObjectDay {
    /// The wrong records and their causes, or why they are unknown.
    pub fn in_words(&self) -> String {
        if let Some(why) = &self.not_compared {
            return format!("{}: not compared: {why}", self.day);
        }
        let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), grouped);
        let causes = self.by_fault.iter().map(|(cause, records)| format!("{cause} {}", grouped(*records)));
        let causes = named(causes, NAMED, self.by_fault.len());
        let causes = if causes.is_empty() { String::new() } else { format!(" (causes: {causes})") };
        let [source, missing, extra, different] =
            [self.source_rows, self.missing_rows, self.extra_rows, self.different_rows].map(count);
        format!(
            "{}: of {source} records {missing} missing, {extra} orphaned, {different} different{causes}",
            self.day
        )
    }
}

impl fmt::Display for Monthly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pipeline, month, recorded, alerts, .. } = self;
        writeln!(f, "{pipeline}, {month} ({recorded})\n\nOBJECTIVES")?;
        self.budgets.iter().try_for_each(|budget| writeln!(f, "  {}: {}", budget.objective, budget.text))?;
        let rows = self.metrics.iter().map(|metric| {
            [
                metric.title.clone(),
                metric.text.clone(),
                metric.goal.clone().unwrap_or_default(),
                metric.outcome.to_string(),
            ]
        });
        writeln!(f, "\n{}", table(["METRIC", "VALUE", "GOAL", "MET"], &rows.collect::<Vec<_>>()))?;
        let rows = self.syncs.iter().map(SyncWeek::cells);
        let heads = ["SYNC", "FROM", "RUNS", "FAILED", "ERROR RATE", "MEDIAN DAY", "SLOWEST DAY"];
        writeln!(f, "\n{}", table(heads, &rows.collect::<Vec<_>>()))?;
        writeln!(f, "\nRECORDS")?;
        if self.objects.is_empty() {
            writeln!(f, "  no comparison recorded")?;
        }
        self.objects
            .iter()
            .try_for_each(|object| writeln!(f, "  {}: {}", object.object, object.in_words()))?;
        writeln!(f, "\nINCIDENTS\n  {}", alerts.in_words())?;
        alerts.longest.iter().try_for_each(|alert| writeln!(f, "  {alert}"))?;
        write!(f, "\nIMPROVEMENTS")?;
        if self.improvements.is_empty() {
            write!(f, "\n  none proposed")?;
        }
        self.improvements.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl SyncWeek {
    /// The cells of its row; `?` where a figure is missing.
    pub fn cells(&self) -> [String; 7] {
        let seconds = |seconds: Option<f64>| {
            seconds.map_or_else(
                || "?".to_owned(),
                |seconds| words(jiff::SignedDuration::from_secs(seconds as i64)),
            )
        };
        let runs = |runs: u64| if self.days == 0 { "?".to_owned() } else { grouped(runs) };
        [
            self.sync.clone(),
            self.from.to_string(),
            runs(self.completed + self.failed),
            runs(self.failed),
            self.error_rate.map_or_else(|| "?".to_owned(), |rate| percent(rounded(rate, 2, &[]))),
            seconds(self.median_seconds),
            seconds(self.slowest_day_seconds),
        ]
    }
}

impl MonthAlerts {
    /// The counts in words, or why they are unknown.
    pub fn in_words(&self) -> String {
        let Self { healed_by_itself, healed_by_remedy, ended_by_person, open_at_end, .. } = self;
        if let Some(why) = &self.unknown {
            return format!("unknown: {why}");
        }
        let detection = self.mean_detection_seconds.map_or_else(
            || "no time to detect".to_owned(),
            |mean| format!("{} to detect on average", words(jiff::SignedDuration::from_secs(mean))),
        );
        let open = healed_by_itself + healed_by_remedy + ended_by_person + open_at_end;
        let alerts = if open == self.alerts {
            counted(self.alerts, "alert")
        } else {
            format!("{}, and of {} that were open", counted(self.alerts, "new alert"), grouped(open as u64))
        };
        format!(
            "{alerts}: healed without people {} ({healed_by_remedy} by a remedy), {ended_by_person} ended after an act of a person, \
             {open_at_end} open at the end; {detection}",
            healed_by_itself + healed_by_remedy
        )
    }
}
