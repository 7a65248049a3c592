//! Lists what each figure was expected to be on the last whole day, and what the rules say of it.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use syncwatch::days::{day_of, days_before};
use syncwatch::expect::{Sensitivity, Verdict, judge_days};
use syncwatch::history::{DAYS, Figure, History};
use syncwatch::judge::unusual::{Unusual, forecasts, lasting, unusual_days};
use syncwatch::marks::Exceptions;
use syncwatch::observe::history::{history, limits};
use syncwatch::pipeline::Pipeline;
use syncwatch::text::table;

use super::error::Error;
use super::{Operator, all_readable};

/// The days of `--would-have`.
const PAST_DAYS: i64 = 28;

/// The figures of a pipeline, or of one sync.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectationList {
    pub pipeline: String,
    /// The last whole day in the pipeline's time zone.
    pub day: Date,
    pub figures: Vec<ExpectationLine>,
    /// With `--would-have`: what the rules say of each of the last 28 days, alert or not; newest first.
    pub would_have: Option<Vec<PastLine>>,
}

/// A finding of the rules about one figure of an earlier day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastLine {
    /// In the pipeline's time zone.
    pub day: Date,
    pub subject: String,
    pub figure: String,
    pub says: String,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectationLine {
    /// The sync's key, or the pipeline's name.
    pub subject: String,
    /// The figure's name: `volume`, `queue`, `duration` (seconds), `coverage`, `null_rate` or `error_rate` (percent).
    pub figure: String,
    pub value: Option<f64>,
    pub expected: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Days of history that the expectation rests on.
    pub days: usize,
    /// Whether the rules have a finding about the day.
    pub unusual: bool,
    /// The finding, or the reason why there is none.
    pub says: String,
    /// When the figure passes its declared limit, or why no day is forecast; `None` without a limit.
    pub forecast: Option<String>,
}

impl ExpectationList {
    /// Judges the last day of each figure, or of those of one sync.
    pub fn of(
        pipeline: &Pipeline,
        history: &History,
        last: Date,
        exceptions: &Exceptions<'_>,
        sync: Option<&str>,
        would_have: bool,
    ) -> Self {
        let figures = history.series(&pipeline.name, last, exceptions);
        let sensitivity = Sensitivity::of(figures.len());
        let is_wanted = |figure: &&Figure| sync.is_none_or(|sync| figure.subject == sync);
        let judged: Vec<(&Figure, Vec<Verdict>)> = figures
            .iter()
            .filter(is_wanted)
            .map(|figure| (figure, judge_days(&figure.series, &sensitivity)))
            .collect();
        let first = days_before(last, PAST_DAYS - 1);
        let lines_of = |(figure, verdicts): &(&Figure, Vec<Verdict>)| {
            let line = |unusual: Unusual| PastLine {
                day: unusual.day,
                subject: figure.subject.clone(),
                figure: figure.series.measure().name().to_owned(),
                says: unusual.says,
            };
            unusual_days(pipeline, figure, verdicts, first).into_iter().map(line).collect::<Vec<_>>()
        };
        let mut past: Vec<PastLine> = judged.iter().flat_map(lines_of).collect();
        past.sort_by_key(|line| std::cmp::Reverse(line.day));
        let line =
            |(figure, verdicts): &(&Figure, Vec<Verdict>)| ExpectationLine::of(pipeline, figure, verdicts);
        let figures = judged.iter().filter_map(line).collect();
        Self { pipeline: pipeline.name.clone(), day: last, figures, would_have: would_have.then_some(past) }
    }
}

impl ExpectationLine {
    fn of(pipeline: &Pipeline, figure: &Figure, verdicts: &[Verdict]) -> Option<Self> {
        let verdict = verdicts.last()?;
        let range = verdict.expectation;
        let measure = verdict.measure;
        let drift = lasting(verdicts).map(|drift| drift.sentence(&figure.subject, measure));
        let point = verdict.point.and_then(|_| verdict.sentence(&figure.subject));
        let why = verdict.reason.as_ref().map(ToString::to_string);
        let unusual = drift.is_some() || point.is_some();
        let forecast = forecasts(pipeline, figure).into_iter().next();
        let forecast = forecast.map(|(limit, answer)| answer.sentence(&figure.subject, measure, limit));
        Some(Self {
            subject: figure.subject.clone(),
            figure: measure.name().to_owned(),
            value: verdict.value,
            expected: range.map(|range| range.expected),
            low: range.map(|range| range.low),
            high: range.map(|range| range.high),
            days: range.map_or(0, |range| range.days),
            unusual,
            says: point.or(drift).or(why).unwrap_or_else(|| "as expected".to_owned()),
            forecast,
        })
    }
}

impl fmt::Display for ExpectationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.figures.is_empty() {
            return write!(f, "The audit log of {} has no figures yet.", self.pipeline);
        }
        if let Some(past) = &self.would_have {
            if past.is_empty() {
                return write!(f, "In the {PAST_DAYS} days until {} no figure was unusual.", self.day);
            }
            let row = |line: &PastLine| {
                [line.day.to_string(), line.subject.clone(), line.figure.clone(), line.says.clone()]
            };
            let rows: Vec<_> = past.iter().map(row).collect();
            return f.write_str(&table(["day", "subject", "figure", "verdict"], &rows));
        }
        let shown = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| format!("{value:.2}"));
        let row = |line: &ExpectationLine| {
            [
                line.subject.clone(),
                line.figure.clone(),
                shown(line.value),
                shown(line.expected),
                shown(line.low),
                shown(line.high),
                line.days.to_string(),
                line.says.clone(),
            ]
        };
        let rows: Vec<_> = self.figures.iter().map(row).collect();
        writeln!(f, "{}, {}", self.pipeline, self.day)?;
        f.write_str(&table(
            ["subject", "figure", "value", "expected", "low", "high", "days", "verdict"],
            &rows,
        ))?;
        for line in &self.figures {
            if let Some(forecast) = &line.forecast {
                write!(f, "\n{} of {}: {forecast}", line.figure, line.subject)?;
            }
        }
        Ok(())
    }
}

impl Operator {
    /// Judges the last whole day by the rows of the audit log. Reads only.
    pub(super) async fn expectations(
        &self,
        sync: Option<&str>,
        would_have: bool,
    ) -> Result<ExpectationList, Error> {
        let pipeline = &self.pipeline;
        let sync = sync.map(|sync| super::runs::declared(pipeline, sync)).transpose()?;
        let last = days_before(day_of(self.now, &pipeline.time_zone), 1);
        let history = self.history(days_before(last, DAYS - 1), last).await?;
        let sync = sync.map(|sync| sync.key.as_str());
        let marks = all_readable(self.incidents()?.marks(&pipeline.name).await?)?;
        let exceptions = Exceptions::new(&marks, &pipeline.quiet_days);
        Ok(ExpectationList::of(pipeline, &history, last, &exceptions, sync, would_have))
    }

    /// Reads the figures of a span of days, both ends included.
    pub(super) async fn history(&self, from: Date, to: Date) -> Result<History, Error> {
        let snapshot = self.pipeline.snapshot.as_ref().ok_or_else(|| {
            Error::new("missing [snapshot] in pipeline.toml: nothing records the figures", "add the section")
        })?;
        let warehouse = self.warehouse(limits()).await?;
        let ask = async |statement: &_| warehouse.query(statement).await;
        let read = history(ask, &self.pipeline.name, snapshot, warehouse.dialect(), (from, to)).await;
        Ok(read?)
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;
    use jiff::civil::date;
    use syncwatch::history::SyncDay;

    use super::*;

    fn seed() -> Pipeline {
        Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap()
    }

    #[test]
    fn last_day_of_each_figure_is_judged_by_the_days_before() {
        let day = |number: i64, processed: f64| SyncDay {
            day: date(2026, 9, 1) + number.days(),
            processed: Some(processed),
            failed: Some(0.0),
            ..SyncDay::default()
        };
        let of = |last: f64| (0..30).map(|number| day(number, 800.0)).chain([day(30, last)]).collect();
        let syncs =
            [("properties-create".to_owned(), of(0.0)), ("properties-update".to_owned(), of(810.0))].into();
        let history = History { syncs, ..History::default() };
        let none = Exceptions::default();
        let list = ExpectationList::of(&seed(), &history, date(2026, 10, 1), &none, None, false);
        let volumes: Vec<_> = list.figures.iter().filter(|line| line.figure == "volume").collect();
        let unusual: Vec<_> = volumes.iter().map(|line| (line.subject.as_str(), line.unusual)).collect();
        assert_eq!(unusual, [("properties-create", true), ("properties-update", false)]);
        assert!(
            volumes[0]
                .says
                .starts_with("properties-create moved 0 records on Thursday 1 October; 800 were expected")
        );
        // The error rate has a limit, and each figure without one has no forecast.
        let forecast = |line: &ExpectationLine| (line.figure == "error_rate") == line.forecast.is_some();
        assert!(list.figures.iter().all(forecast), "{list}");
        // A figure that was never recorded is not judged, and says why.
        assert!(list.figures.iter().any(|line| line.figure == "duration" && line.says.contains("no figure")));
        let one = ExpectationList::of(
            &seed(),
            &history,
            date(2026, 10, 1),
            &none,
            Some("properties-update"),
            false,
        );
        assert!(one.figures.iter().all(|line| line.subject == "properties-update") && one.figures.len() == 3);
        assert!(one.to_string().contains("as expected"), "{one}");
    }

    #[test]
    fn lasting_change_is_listed_as_long_as_its_incident_is_open() {
        let day = |number: i64| SyncDay {
            day: date(2026, 9, 1) + number.days(),
            processed: Some(if number < 40 { 800.0 } else { 400.0 }),
            ..SyncDay::default()
        };
        let unusual = |days: i64| {
            let syncs = [("halves".to_owned(), (0..days).map(day).collect())].into();
            let last = date(2026, 9, 1) + (days - 1).days();
            let history = History { syncs, ..History::default() };
            let list =
                ExpectationList::of(&seed(), &history, last, &Exceptions::default(), Some("halves"), false);
            list.figures.iter().find(|line| line.figure == "volume").unwrap().unusual
        };
        let syncs = [("halves".to_owned(), (0..80).map(day).collect())].into();
        let history = History { syncs, ..History::default() };
        let of = |days: i64| {
            let last = date(2026, 9, 1) + (days - 1).days();
            ExpectationList::of(&seed(), &history, last, &Exceptions::default(), None, true)
        };
        let found = of(50).would_have.unwrap();
        assert!(found.iter().all(|line| line.figure == "volume") && !found.is_empty(), "{found:?}");
        assert!(found.iter().all(|line| line.day >= date(2026, 10, 11)), "the change begins on this day");
        assert!(of(50).to_string().starts_with("day"), "{}", of(50));
        let quiet = "In the 28 days until 2026-10-09 no figure was unusual.";
        assert_eq!(of(39).to_string(), quiet);
        assert!(of(79).would_have.unwrap().is_empty(), "it was found more than 28 days ago");
        assert!(!unusual(40));
        assert!((46..60).all(unusual), "and not only on the day on which it is found");
    }
}
