//! The parts of the page that show figures, each from the module that computes it.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::words::{capital, line};
use super::{
    Act, Board, Compared, DayOutcome, Inputs, LastRun, Metric, RUN_DAYS, Recorded, Remedies, RunDay,
    SHOWN_DAYS, ShownLimit, State, SyncState, Trend, TrendDay, Wrong,
};
use crate::days::{day_of, days_before};
use crate::expect::{Measure, Sensitivity, judge_days};
use crate::history::{DataDay, Figure, SyncDay};
use crate::judge::unusual::{forecasts, lasting};
use crate::marks::Exceptions;
use crate::observation::Run;
use crate::pipeline::{Pipeline, Sync};
use crate::remedy::{Record, State as Stage, command, next_start, score};
use crate::scoreboard::{DAYS as SCORE_DAYS, Scoreboard, Stored, Value};
use crate::text::{percent, rounded};

/// The days of the score of remedies.
const SCORED: SignedDuration = SignedDuration::from_hours(30 * 24);

impl SyncState {
    pub(super) fn all(inputs: &Inputs, wrong: &[Wrong], pipeline: &Pipeline, now: Timestamp) -> Vec<Self> {
        pipeline.syncs.iter().map(|sync| Self::of(sync, inputs, wrong, pipeline, now)).collect()
    }

    fn of(sync: &Sync, inputs: &Inputs, wrong: &[Wrong], pipeline: &Pipeline, now: Timestamp) -> Self {
        let worst = wrong.iter().filter(|wrong| wrong.subject == sync.key).map(Wrong::state).max();
        let unread = "not read".to_owned();
        let (live, unread) = match inputs.syncs.get(&sync.key).unwrap_or(&Err(unread)) {
            Ok(live) => (live.clone(), None),
            Err(why) => (super::Live::default(), Some(line(why))),
        };
        let started_at = live.last_run.as_ref().map(|run| run.created_at);
        let next_run = next_start(sync, started_at, now).filter(|_| live.paused == Some(false));
        let recorded = inputs.recorded.as_ref().ok();
        Self {
            sync: line(&sync.key),
            label: live.label.as_deref().map(line),
            role: sync.role.to_string(),
            paused: live.paused,
            state: worst.unwrap_or(if unread.is_some() { State::Unknown } else { State::Healthy }),
            last_run: live.last_run.as_ref().map(LastRun::of),
            next_run,
            unread,
            days: recorded.map(|recorded| run_days(&sync.key, recorded, pipeline, now)).unwrap_or_default(),
        }
    }
}

impl LastRun {
    fn of(run: &Run) -> Self {
        Self {
            state: line(&run.status.to_string()),
            started_at: run.created_at,
            seconds: run.completed_at.map(|at| at.duration_since(run.created_at).as_secs()),
        }
    }
}

/// The last 30 days of a sync, the last one yesterday.
fn run_days(sync: &str, recorded: &Recorded, pipeline: &Pipeline, now: Timestamp) -> Vec<RunDay> {
    let history = &recorded.history;
    let today = day_of(now, &pipeline.time_zone);
    let of_sync = history.syncs.get(sync).map(Vec::as_slice).unwrap_or_default();
    let day = |back: i64| {
        let day = days_before(today, back);
        let runs = of_sync.iter().find(|row| row.day == day).copied();
        let lacks_runs = history.missing.get(&day).is_some_and(|missing| missing.contains("runs: "));
        let recorded = history.days.iter().any(|row| row.day == day) && !lacks_runs;
        let SyncDay { outcomes, processed, median_seconds, .. } = runs.unwrap_or_default();
        let outcome = match (outcomes.completed, outcomes.failed) {
            _ if runs.is_none() && !recorded => DayOutcome::Unrecorded,
            (0, 0) => DayOutcome::NoRuns,
            (_, 0) => DayOutcome::AllCompleted,
            (0, _) => DayOutcome::AllFailed,
            _ => DayOutcome::SomeFailed,
        };
        let (completed, failed) = (outcomes.completed, outcomes.failed);
        RunDay { day, outcome, completed, failed, records: processed, seconds: median_seconds }
    };
    (1..=RUN_DAYS).rev().map(day).collect()
}

impl Trend {
    /// The figures of the pipeline's data, as expectations judge them, and the agreement of both sides where objects are compared.
    pub(super) fn all(
        recorded: &Recorded,
        stored: &Stored,
        pipeline: &Pipeline,
        now: Timestamp,
    ) -> Vec<Self> {
        let last = days_before(day_of(now, &pipeline.time_zone), 1);
        let exceptions = Exceptions::new(&stored.marks, &pipeline.quiet_days);
        let figures = recorded.history.series(&pipeline.name, last, &exceptions);
        let sensitivity = Sensitivity::of(figures.len());
        let of_data = figures.iter().filter(|figure| {
            matches!(figure.series.measure(), Measure::Coverage | Measure::NullRate | Measure::Queue)
        });
        let of_data = of_data.filter(|figure| figure.first.is_some());
        let mut trends: Vec<Self> =
            of_data.map(|figure| Self::of(figure, &sensitivity, pipeline, last)).collect();
        if !pipeline.objects.is_empty() {
            trends.extend(Self::agreement(&recorded.history.days, last));
        }
        trends
    }

    fn of(figure: &Figure, sensitivity: &Sensitivity, pipeline: &Pipeline, last: Date) -> Self {
        let measure = figure.series.measure();
        let verdicts = judge_days(&figure.series, sensitivity);
        let first = days_before(last, SHOWN_DAYS - 1);
        let days = verdicts.iter().filter(|verdict| verdict.date >= first).map(|verdict| TrendDay {
            day: verdict.date,
            value: verdict.value,
            low: verdict.expectation.map(|range| range.low),
            high: verdict.expectation.map(|range| range.high),
        });
        let days: Vec<TrendDay> = days.collect();
        let newest = verdicts.last();
        let subject = &figure.subject;
        let point =
            newest.filter(|verdict| verdict.point.is_some()).and_then(|verdict| verdict.sentence(subject));
        let drift = || Some(lasting(&verdicts)?.sentence(subject, measure));
        let why = || Some(format!("Not judged: {}.", newest?.reason.as_ref()?));
        let expected = newest.and_then(|verdict| verdict.expectation);
        let mut forecasts = forecasts(pipeline, figure);
        let forecast = forecasts.first().map(|(limit, forecast)| forecast.sentence(subject, measure, *limit));
        let (title, unit) = match measure {
            Measure::Coverage => (
                format!("Coverage of {} in {}", pipeline.terms.records, pipeline.terms.destination),
                "percent",
            ),
            Measure::NullRate => {
                (format!("{} with missing values", capital(&pipeline.terms.records)), "percent")
            }
            _ => (format!("{} that wait to be synced", capital(&pipeline.terms.records)), "records"),
        };
        Self {
            figure: measure.name(),
            title: line(&title),
            unit,
            limits: forecasts
                .drain(..)
                .map(|(limit, _)| ShownLimit { value: limit.value, shown: measure.shown(limit.value) })
                .collect(),
            expected: expected
                .map(|range| format!("{} to {}", measure.shown(range.low), measure.shown(range.high))),
            note: point.or_else(drift).or_else(why).map(|note| line(&note)),
            forecast,
            ..Self::newest(days, |value| measure.shown(value))
        }
    }

    /// The share of the compared values that agree on both sides.
    fn agreement(days: &[DataDay], last: Date) -> Option<Self> {
        let first = days_before(last, SHOWN_DAYS - 1);
        let shown = days.iter().filter(|day| (first..=last).contains(&day.day));
        let days: Vec<TrendDay> = shown
            .map(|day| TrendDay { day: day.day, value: day.agreement(), low: None, high: None })
            .collect();
        days.iter().any(|day| day.value.is_some()).then(|| Self {
            figure: "agreement",
            title: "Compared values that agree on both sides".to_owned(),
            unit: "percent",
            ..Self::newest(days, |value| percent(rounded(value, 2, &[100.0])))
        })
    }

    fn newest(days: Vec<TrendDay>, shown: impl Fn(f64) -> String) -> Self {
        let newest = days.iter().rev().find_map(|day| Some((day.day, day.value?)));
        Self {
            figure: "",
            title: String::new(),
            unit: "",
            day: newest.map(|(day, _)| day),
            value: newest.map(|(_, value)| value),
            shown: newest.map(|(_, value)| shown(value)),
            limits: Vec::new(),
            expected: None,
            note: None,
            forecast: None,
            days,
        }
    }
}

impl Compared {
    pub(super) fn all(inputs: &Inputs, pipeline: &Pipeline) -> Vec<Self> {
        let of = |object: &crate::reconcile::Object| Self {
            object: line(&object.name),
            comparison: inputs
                .recorded
                .as_ref()
                .ok()
                .and_then(|recorded| recorded.objects.get(&object.name))
                .cloned(),
            last_compared_at: inputs
                .reconciled
                .iter()
                .flatten()
                .find_map(|round| round.objects.get(&object.name)?.compared),
        };
        pipeline.objects.iter().map(of).collect()
    }
}

impl Remedies {
    pub(super) fn of(stored: &Stored, pipeline: &Pipeline, now: Timestamp) -> Self {
        let mut active: Vec<Act> =
            stored.remedies.iter().filter(|record| record.state.is_active()).map(Act::of).collect();
        active.sort_by(|a, b| b.since.cmp(&a.since).then(a.id.cmp(&b.id)));
        Self {
            level: pipeline.remedies.level,
            active,
            score: score(&stored.remedies, &stored.incidents, now - SCORED, now),
        }
    }
}

impl Act {
    fn of(record: &Record) -> Self {
        Self {
            id: record.id.clone(),
            act: line(&record.plan.act()),
            state: record.state,
            why: line(record.steps.last().map_or("", |step| &step.why)),
            since: record.since(),
            approve: (record.state == Stage::Proposed).then(|| command(record, "approve")),
        }
    }
}

impl Board {
    pub(super) fn of(stored: &Stored, recorded: &Recorded, pipeline: &Pipeline, now: Timestamp) -> Self {
        // The same days as `syncwatch scoreboard` reads: more of them would move the beginning of the records.
        let from = days_before(day_of(now, &pipeline.time_zone), 2 * SCORE_DAYS);
        let records = stored.records(pipeline, recorded.history.since(from), now);
        let board = Scoreboard::of_last_day(pipeline, records, now);
        let metric = |score: &crate::scoreboard::Score| {
            let goal = score.goal.map(|goal| goal.value.number());
            let reason = score.reading.reason.as_ref().map(ToString::to_string);
            Metric {
                metric: score.metric.id(),
                title: score.title,
                value: score.reading.value.map(Value::number),
                shown: score
                    .reading
                    .value
                    .map_or_else(|| line(&reason.unwrap_or_default()), |value| value.text(goal)),
                goal: score.goal.map(|goal| goal.to_string()),
                outcome: score.outcome,
                days: score.metric.days(),
                trend: score.trend.iter().map(|week| week.value.map(Value::number)).collect(),
                shown_trend: score
                    .trend
                    .iter()
                    .map(|week| week.value.map_or_else(|| "-".to_owned(), |value| value.text(goal)))
                    .collect(),
            }
        };
        Self {
            day: board.day,
            ready: board.ready.id(),
            says: board.ready.to_string().lines().map(line).collect(),
            metrics: board.metrics.iter().map(metric).collect(),
        }
    }
}
