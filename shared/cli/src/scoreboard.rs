//! Computes the success metrics of the pipeline from the audit log and the stored incidents. Reads only.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use syncwatch::days::{day_of, days_before};
use syncwatch::scoreboard::{DAYS, Scoreboard, Value, table};

use super::Operator;
use super::error::Error;

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
    /// A limit of the metric itself.
    pub note: Option<String>,
    /// Each of the last four weeks, oldest first.
    pub trend: Vec<Option<f64>>,
}

impl Scores {
    /// Shows a scoreboard.
    pub fn of(board: &Scoreboard) -> Self {
        let metrics = board.metrics.iter().map(|score| ScoreLine {
            metric: score.metric.id().to_owned(),
            value: score.reading.value.map(Value::number),
            goal: score.goal.map(|goal| goal.value.number()),
            outcome: score.outcome,
            days: score.metric.days(),
            samples: score.reading.samples,
            reason: score.reading.reason.as_ref().map(ToString::to_string),
            note: score.metric.note().map(str::to_owned),
            trend: score.trend.iter().map(|week| week.value.map(Value::number)).collect(),
        });
        Self {
            pipeline: board.pipeline.clone(),
            day: board.day,
            metrics: metrics.collect(),
            ready: board.ready.id().to_owned(),
            says: board.ready.to_string(),
            text: table(board),
        }
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Operator {
    /// Computes the scoreboard of the last whole day.
    pub(super) async fn scoreboard(&self) -> Result<Scores, Error> {
        let pipeline = &self.pipeline;
        let stored = self.incidents()?.of_scoreboard(&pipeline.name).await?;
        let today = day_of(self.now, &pipeline.time_zone);
        let history = self.history(days_before(today, 2 * DAYS), today).await?;
        let records = stored.records(pipeline, history, self.now);
        Ok(Scores::of(&Scoreboard::of_last_day(pipeline, records, self.now)))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use syncwatch::history::{DataDay, History, SyncDay, Tally};
    use syncwatch::pipeline::Pipeline;
    use syncwatch::scoreboard::{Metric, Outcome, Stored};

    use super::*;

    #[test]
    fn lines_have_values_goals_reasons_and_the_table() {
        let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let now: Timestamp = "2026-11-27T18:00:00Z".parse().unwrap();
        let mut history = History::default();
        for back in (0..60).rev() {
            let day = days_before(jiff::civil::date(2026, 11, 26), back);
            let (total, synced) = (Some(1_000.0), Some(970.0));
            history.days.push(DataDay { day, total, synced, ..DataDay::default() });
            for sync in &pipeline.syncs {
                let outcomes = Tally { completed: 48, failed: 0 };
                let of_day = SyncDay { day, outcomes, ..SyncDay::default() };
                history.syncs.entry(sync.key.clone()).or_default().push(of_day);
            }
        }
        let records = Stored::default().records(&pipeline, history, now);
        let scores = Scores::of(&Scoreboard::of_last_day(&pipeline, records, now));
        let of = |metric: Metric| scores.metrics.iter().find(|line| line.metric == metric.id()).unwrap();
        let coverage = of(Metric::Coverage);
        assert_eq!((coverage.value, coverage.goal, coverage.outcome), (Some(97.0), Some(90.0), Outcome::Met));
        assert_eq!(of(Metric::DailyRuns).value, Some(48.0));
        let lag = of(Metric::Lag);
        assert_eq!(
            (lag.outcome, lag.reason.as_deref()),
            (Outcome::Unknown, Some("no lag measured on 2026-11-26"))
        );
        assert!(lag.note.as_deref().unwrap().starts_with("measured once a night"));
        assert_eq!((scores.ready.as_str(), scores.metrics.len()), ("not-ready", Metric::ALL.len()));
        assert!(scores.says.contains("Lag, longest: 2026-11-26: unknown"), "{}", scores.says);
        assert!(scores.to_string().contains("97%"), "{scores}");
    }
}
