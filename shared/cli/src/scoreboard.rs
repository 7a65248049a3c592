//! Computes the success metrics of the pipeline from the audit log and the stored incidents. Reads only.

use std::fmt;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use syncwatch::days::{day_of, days_before};
use syncwatch::finding::Check;
use syncwatch::history::History;
use syncwatch::incident::Incident;
use syncwatch::marks::Mark;
use syncwatch::pipeline::Pipeline;
use syncwatch::scoreboard::{
    Alert, Gap, Goals, Kept, Manual, Mark as Verdict, Metric, READY_DAYS, ReadyState, Records, Scoreboard,
    Source, TREND_WEEKS, Value, table,
};

use syncwatch::text::counted;

use super::Operator;
use super::error::Error;

/// Days of the audit log that are read: the weeks of the trend before each of the days that must be good.
const DAYS: i64 = 7 * TREND_WEEKS + READY_DAYS + 2;
/// Resolved incidents are kept for so long.
const KEPT_DAYS: i64 = 90;

/// All metrics as of the last whole day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    pub pipeline: String,
    /// The last whole day in the pipeline's time zone.
    pub day: Date,
    pub metrics: Vec<ScoreLine>,
    /// `ready`, `not-ready` or `unknown`.
    pub ready: String,
    /// Since when it is production-ready, or what is missing.
    pub says: String,
    /// The whole as a table for people.
    #[serde(skip)]
    text: String,
}

/// One metric. Figures are percentages, seconds or counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreLine {
    pub metric: String,
    pub value: Option<f64>,
    pub goal: Option<f64>,
    /// `met`, `not-met`, `unknown` or `no-goal`.
    pub outcome: syncwatch::scoreboard::Outcome,
    /// Days of the window.
    pub days: i64,
    /// The runs, alerts or days that it is computed from.
    pub samples: u64,
    /// The reason for a missing value.
    pub reason: Option<String>,
    /// Each of the last four weeks, oldest first.
    pub trend: Vec<Option<f64>>,
}

impl Scores {
    /// Computes the metrics. The days before are computed from the same records: whether it is ready needs each of them.
    pub fn of(pipeline: &Pipeline, mut records: Records, now: Timestamp) -> Self {
        let zone = &pipeline.time_zone;
        let today = day_of(now, zone);
        let day = records.last_day(today);
        let goals = Goals::default()
            .with(Metric::SuccessRate, Some(pipeline.objectives.success_rate_percent))
            .with(Metric::Lag, pipeline.objectives.max_lag.map(|lag| lag.as_secs_f64()));
        let board = |records: &Records, day| Scoreboard::compute(&pipeline.name, records, &goals, zone, day);
        let before = (1..=DAYS).map(|back| days_before(day, back));
        let rows = before.flat_map(|day| board(&records, day).rows(now)).collect();
        records.scores = Ok(rows);
        let board = board(&records, day);
        let ready = match board.ready {
            ReadyState::Ready { .. } => "ready",
            ReadyState::NotReady { .. } => "not-ready",
            ReadyState::Unknown { .. } => "unknown",
        };
        let metrics = board.metrics.iter().map(|score| ScoreLine {
            metric: score.metric.id().to_owned(),
            value: score.reading.value.map(Value::number),
            goal: score.goal.map(|goal| goal.value.number()),
            outcome: score.outcome,
            days: score.metric.days(),
            samples: score.reading.samples,
            reason: score.reading.reason.as_ref().map(ToString::to_string),
            trend: score.trend.iter().map(|week| week.value.map(Value::number)).collect(),
        });
        Self {
            pipeline: pipeline.name.clone(),
            day,
            metrics: metrics.collect(),
            ready: ready.to_owned(),
            says: board.ready.to_string(),
            text: table(&board),
        }
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Collects the records that exist. A kind that is not recorded makes its metric unknown, with that reason.
fn records(
    pipeline: &Pipeline,
    history: History,
    incidents: &[Incident],
    marks: &[Mark],
    now: Timestamp,
) -> Records {
    let first = history.days.first().and_then(|day| day.day.to_zoned(pipeline.time_zone.clone()).ok());
    let kept = now - SignedDuration::from_hours(24 * KEPT_DAYS);
    let begins = first.map_or(now, |first| first.timestamp()).max(kept);
    // An incident that opens too often loses its oldest periods.
    let lost = incidents.iter().filter_map(|incident| incident.history().forgotten_until).max();
    let since = lost.map_or(begins, |lost| lost.max(begins));
    let alerts: Vec<Alert> = incidents.iter().flat_map(alerts).collect();
    let pauses =
        incidents.iter().filter(|incident| incident.key.check == Check::SyncPaused).flat_map(alerts_began);
    let manual = [(Manual::Pause, Ok(Kept { since, records: pauses.collect() }))].into();
    let gaps = history.missing.iter().map(|(day, missing)| (*day, gap(missing))).collect();
    Records {
        history: Ok(history),
        gaps,
        syncs: pipeline.syncs.iter().map(|sync| sync.key.clone()).collect(),
        alerts: Ok(Kept { since, records: alerts }),
        notices: not_recorded("notices"),
        marks: Ok(Kept { since: kept, records: marks.iter().map(verdict).collect() }),
        lag: not_recorded("lag"),
        manual,
        scores: Err(String::new()),
    }
}

fn not_recorded<T>(what: &str) -> Source<T> {
    Err(format!("not recorded yet: {what}"))
}

fn verdict(mark: &Mark) -> Verdict {
    let incident = mark.incident.to_string();
    Verdict { incident, told_at: mark.told_at, at: mark.at, verdict: mark.verdict }
}

fn alerts(incident: &Incident) -> Vec<Alert> {
    let of = |episode: syncwatch::incident::Episode| Alert {
        incident: incident.key.to_string(),
        told_at: episode.told_at,
        began_at: episode.began_at,
        resolved_at: episode.resolved_at,
    };
    incident.history().episodes.into_iter().map(of).collect()
}

fn alerts_began(incident: &Incident) -> Vec<Timestamp> {
    incident.history().episodes.iter().map(|episode| episode.began_at).collect()
}

/// Reads the entries of `figures_missing` that concern runs and data.
fn gap(missing: &str) -> Gap {
    let find = |lead: &str| missing.split("; ").find_map(|entry| entry.strip_prefix(lead)).map(str::to_owned);
    Gap { runs: find("runs: "), data: find("data: ") }
}

impl Operator {
    /// Computes the scoreboard of the last whole day.
    pub(super) async fn scoreboard(&self) -> Result<Scores, Error> {
        let pipeline = &self.pipeline;
        let (incidents, unreadable) = self.incidents()?.all_incidents(&pipeline.name).await?;
        let today = day_of(self.now, &pipeline.time_zone);
        let history = self.history(days_before(today, 2 * DAYS), today).await?;
        let (marks, unreadable_marks) = self.incidents()?.marks(&pipeline.name).await?;
        let mut records = records(pipeline, history, &incidents, &marks, self.now);
        if !unreadable.is_empty() {
            // They may have had the only alerts, and no alert would meet the goals.
            let why = format!("{} cannot be read", counted(unreadable.len(), "incident"));
            records.alerts = Err(why.clone());
            records.manual.insert(Manual::Pause, Err(why));
        }
        if !unreadable_marks.is_empty() {
            records.marks = Err(format!("{} cannot be read", counted(unreadable_marks.len(), "mark")));
        }
        Ok(Scores::of(pipeline, records, self.now))
    }
}

#[cfg(test)]
mod tests {
    use syncwatch::history::{DataDay, SyncDay, Tally};
    use syncwatch::scoreboard::Outcome;

    use super::*;

    fn scores(failed: u64) -> Scores {
        let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let now: Timestamp = "2026-11-27T18:00:00Z".parse().unwrap();
        let day = |back: i64| days_before(jiff::civil::date(2026, 11, 26), back);
        let mut history = History::default();
        for back in (0..60).rev() {
            history.days.push(DataDay {
                day: day(back),
                total: Some(1_000.0),
                synced: Some(970.0),
                null_companies: Some(10.0),
                duplicates: Some(0.0),
                ..DataDay::default()
            });
            for sync in &pipeline.syncs {
                let outcomes = Tally { completed: 48, failed };
                let of_day = SyncDay { day: day(back), outcomes, ..SyncDay::default() };
                history.syncs.entry(sync.key.clone()).or_default().push(of_day);
            }
        }
        history.missing.insert(day(3), "runs: 1 of 48 still running; data: no longer available".to_owned());
        let records = records(&pipeline, history, &[], &[], now);
        assert_eq!(records.gaps[&day(3)].data.as_deref(), Some("no longer available"));
        Scores::of(&pipeline, records, now)
    }

    #[test]
    fn metrics_are_computed_and_unrecorded_ones_have_a_reason() {
        let scores = scores(0);
        let of = |metric: Metric| scores.metrics.iter().find(|line| line.metric == metric.id()).unwrap();
        let coverage = of(Metric::Coverage);
        assert_eq!((coverage.value, coverage.outcome), (Some(97.0), Outcome::Met));
        assert_eq!(of(Metric::SuccessRate).outcome, Outcome::Unknown, "a day of the week lacks runs");
        assert_eq!(of(Metric::DailyRuns).value, Some(48.0));
        assert_eq!(of(Metric::AlertDelay).reason.as_deref(), Some("no alert"));
        let lag = of(Metric::Lag);
        assert_eq!((lag.outcome, lag.reason.as_deref()), (Outcome::Unknown, Some("not recorded yet: lag")));
        assert_eq!((scores.ready.as_str(), scores.metrics.len()), ("not-ready", Metric::ALL.len()));
        assert!(scores.says.contains("Lag, longest: 2026-11-26: unknown"), "{}", scores.says);
        assert!(scores.to_string().contains("97%"), "{scores}");
    }
}
