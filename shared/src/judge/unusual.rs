//! Judges the figures of the last whole day by the days before it, and forecasts when they pass their limits. Pure: no I/O and
//! no clock, and never fails.
//!
//! Declared limits win: a figure that is past its limit, or that another incident explains, is held under that incident.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::data_checks::Rule;
use crate::days::days_between;
use crate::expect::{
    Drift, Forecast, Limit, Measure, Sensitivity, Side, Verdict, WhyNot as NoVerdict, forecast, is_steady,
    judge_days,
};
use crate::figure::Value;
use crate::finding::{Check, Evidence, Finding, Severity, SubjectKind, WhyNot};
use crate::history::{Figure, History};
use crate::incident::{IncidentKey, State};
use crate::marks::{Exceptions, SINCE, check_of};
use crate::pipeline::{Mode, Pipeline};
use crate::stats::median;

/// A lasting change is an incident for at most so many days; then it is what is expected.
const LASTS_DAYS: i64 = 28;
/// Whether it still lasts is judged by the median of so many days.
const NEWEST: usize = 5;

/// Incidents that stop a sync, and so explain its figures.
pub(super) const STOPS: [Check; 8] = [
    Check::SyncExists,
    Check::SyncPaused,
    Check::MinimumSchedule,
    Check::RunDue,
    Check::RunStuck,
    Check::RunFailed,
    Check::RunsSkipped,
    Check::SilentRuns,
];

/// The incidents that were open as a night was judged, and may explain its figures.
pub fn open_incidents<'i>(
    incidents: impl IntoIterator<Item = (&'i IncidentKey, State)>,
) -> Vec<(Check, String)> {
    let open = incidents.into_iter().filter(|(key, state)| {
        matches!(state, State::Open | State::Held) && key.check.subject_kind() != SubjectKind::Figures
    });
    open.map(|(key, _)| (key.check, key.subject.clone())).collect()
}

/// Findings of a round that could not judge them, with the reason.
pub fn unjudged(pipeline: &Pipeline, why: &WhyNot) -> Vec<Finding> {
    declared(pipeline).map(|(check, subject)| check.about(subject).not_evaluated(why.clone())).collect()
}

/// Judges every figure of the last day, and forecasts those with a limit. `open` has the open incidents of other checks.
///
/// * unlike the days before it, or a change that lasts       => warning; a sync that moves nothing any more: error
/// * will pass its limit within 14 days                      => warning
/// * too little history, no figure, a day that is excluded   => not evaluated
/// * marked as a real fault that lasts                       => also compared with the figures as if it were not marked
/// * explained by an open incident                           => blocked by it
pub fn judge_figures(
    pipeline: &Pipeline,
    history: &History,
    last: Date,
    exceptions: &Exceptions<'_>,
    open: &[(Check, String)],
) -> Vec<Finding> {
    let figures = history.series(&pipeline.name, last, exceptions);
    let sensitivity = Sensitivity::of(figures.len());
    let judged: BTreeMap<(Check, &str), (&Figure, Vec<Verdict>)> = figures
        .iter()
        .map(|figure| {
            let check = check_of(figure.series.measure());
            ((check, figure.subject.as_str()), (figure, newest(judge_days(&figure.series, &sensitivity))))
        })
        .collect();
    let night = Night { pipeline, last, open, all_fell: all_fell(pipeline, &judged) };
    // The days of a fault that lasts are not learnt from, so they cannot show that a lasting change still lasts.
    let lasts = |figure: &&Figure| exceptions.lasts(&figure.subject, check_of(figure.series.measure()));
    let unmarked = figures.iter().any(|figure| lasts(&figure));
    let unmarked = unmarked.then(|| history.series(&pipeline.name, last, &exceptions.only_ended()));
    let still = |figure: &Figure| -> Option<Drift> {
        lasts(&figure).then_some(())?;
        let is_same = |other: &&Figure| {
            other.subject == figure.subject && other.series.measure() == figure.series.measure()
        };
        lasting(&judge_days(&unmarked.as_ref()?.iter().find(is_same)?.series, &sensitivity))
    };
    declared(pipeline)
        .map(|(check, subject)| match judged.get(&(check, subject)) {
            _ if check == Check::BreachForecast => night.forecast(subject, &figures),
            Some((figure, verdicts)) => night.judge(check, figure, verdicts, still(figure)),
            None => check.about(subject).nothing_yet("the first figures in the audit log"),
        })
        .collect()
}

/// The checks of a pipeline that learn from history, each with its subjects.
fn declared(pipeline: &Pipeline) -> impl Iterator<Item = (Check, &str)> {
    let subjects =
        || std::iter::once(pipeline.name.as_str()).chain(pipeline.syncs.iter().map(|sync| sync.key.as_str()));
    let checks = Check::ALL.iter().copied().filter(|check| check.subject_kind() == SubjectKind::Figures);
    checks.flat_map(move |check| {
        subjects()
            .filter(move |subject| pipeline.declares(check, subject))
            .map(move |subject| (check, subject))
    })
}

/// Whether there are several syncs with a judged volume, and each of them fell.
fn all_fell(pipeline: &Pipeline, judged: &BTreeMap<(Check, &str), (&Figure, Vec<Verdict>)>) -> bool {
    let volumes = pipeline.syncs.iter().filter_map(|sync| {
        let (_, verdicts) = judged.get(&(Check::UnusualVolume, sync.key.as_str()))?;
        verdicts.last().filter(|verdict| verdict.reason.is_none())
    });
    let volumes: Vec<&Verdict> = volumes.collect();
    volumes.len() > 1 && volumes.iter().all(|verdict| verdict.side == Some(Side::Low))
}

/// The common part of all judgements of a night.
struct Night<'n> {
    pipeline: &'n Pipeline,
    last: Date,
    open: &'n [(Check, String)],
    all_fell: bool,
}

/// A deviation of a figure.
struct Deviation {
    severity: Severity,
    evidence: Evidence,
    side: Side,
    is_of_the_day: bool,
}

impl Night<'_> {
    /// Judges a figure. `still` is the lasting change of a fault that is marked as real.
    fn judge(&self, check: Check, figure: &Figure, verdicts: &[Verdict], still: Option<Drift>) -> Finding {
        let (subject, about) = (figure.subject.as_str(), check.about(&figure.subject));
        let Some(verdict) = verdicts.last() else {
            return about.nothing_yet("the first figures in the audit log");
        };
        if let Some((cause, of)) = self.explains(check, subject) {
            return about.not_evaluated(WhyNot::under(*cause, of));
        }
        let Some(found) = deviation(subject, verdicts, still) else {
            return match &verdict.reason {
                None | Some(NoVerdict::FewRecords { .. } | NoVerdict::Explained { .. }) => {
                    about.healthy(verdict.brief().unwrap_or_default())
                }
                Some(why @ (NoVerdict::FewDays { .. } | NoVerdict::FewWeekdays { .. })) => {
                    about.nothing_yet(format!("enough days ({why})"))
                }
                Some(NoVerdict::Excluded(why)) => {
                    about.nothing_yet(format!("a day that counts ({}: {why})", self.last))
                }
                Some(why) => about.unknown(format!("{} of {} ({why})", check.title(), self.last)),
            };
        };
        let (have, need) = (watched(figure, self.last), self.pipeline.expectations.watch_days);
        if have < i64::from(need) {
            let summary = found.evidence.summary;
            return about
                .nothing_yet(format!("{need} days of figures ({have} so far; it would say: {summary})"));
        }
        if self.pipeline.expectations.mode(check) == Mode::Watch {
            return about.healthy(format!("only watched: {}", found.evidence.summary));
        }
        let fell = check == Check::UnusualVolume && found.side == Side::Low && found.is_of_the_day;
        let mut evidence = found.evidence;
        if fell && self.all_fell {
            let line = format!(
                "was {0} a holiday? Then add [[quiet_days]] with dates = [\"{0}\"] to pipeline.toml; if not, see their common source",
                self.last
            );
            evidence = evidence.with("all syncs fell", line);
        }
        let finding = about.unhealthy(found.severity, evidence, cause(check, found.side));
        // Several syncs that fall on one day are one notice.
        if fell { finding.grouped(format!("volume-fell-{}", self.last)) } else { finding }
    }

    /// Finds an open incident that explains a figure.
    fn explains(&self, check: Check, subject: &str) -> Option<&(Check, String)> {
        let of_pipeline = subject == self.pipeline.name;
        let by: &[Check] = match check {
            Check::UnusualCoverage => &[Check::Coverage],
            Check::UnusualQueue => &[Check::QueueSize],
            Check::UnusualNulls => &[Check::NullCount, Check::NullRate],
            Check::UnusualErrors => &[Check::ErrorRate, Check::RunFailed],
            Check::UnusualDuration => &[Check::Runtime, Check::RunStuck],
            _ => &[],
        };
        let stops = matches!(check, Check::UnusualVolume | Check::UnusualCoverage | Check::UnusualQueue);
        self.open.iter().find(|(cause, of)| {
            let stopped = stops && STOPS.contains(cause);
            (by.contains(cause) || stopped) && (of_pipeline || of == subject)
        })
    }

    /// Forecasts the figures of a subject that have a limit; the earliest breach is the finding.
    fn forecast(&self, subject: &str, figures: &[Figure]) -> Finding {
        let about = Check::BreachForecast.about(subject);
        let mut answers = Vec::new();
        for figure in figures.iter().filter(|figure| figure.subject == subject) {
            let measure = figure.series.measure();
            let need = self.pipeline.expectations.watch_days;
            if watched(figure, self.last) < i64::from(need) {
                continue;
            }
            let of_figure = forecasts(self.pipeline, figure).into_iter();
            answers.extend(of_figure.map(|(limit, answer)| (measure, limit, answer, &figure.series)));
        }
        let breaches = answers.iter().filter_map(|(measure, limit, answer, series)| match answer {
            Forecast::Breach(breach) => {
                let alerts = breach.is_soon() && is_steady(series, *limit);
                Some((measure, limit, answer, breach, alerts))
            }
            Forecast::None(_) => None,
        });
        let Some((measure, limit, answer, breach, alerts)) =
            breaches.min_by_key(|(.., breach, alerts)| (!alerts, breach.earliest))
        else {
            return match answers.first() {
                Some((measure, limit, answer, _)) => {
                    let sentence = answer.sentence(subject, *measure, *limit);
                    about.healthy(sentence.trim_end_matches('.').to_owned())
                }
                None => about.nothing_yet(format!(
                    "a figure with a declared limit and {} days in the audit log",
                    self.pipeline.expectations.watch_days
                )),
            };
        };
        let summary = breach.brief(*measure, *limit);
        let evidence = Evidence::new(summary.clone())
            .with("forecast", answer.sentence(subject, *measure, *limit))
            .with("earliest", breach.date(breach.earliest).to_string())
            .with("most likely", breach.date(breach.middle).to_string())
            .with("latest", breach.date(breach.latest).to_string())
            .with("days of the trend", breach.days);
        if self.pipeline.expectations.mode(Check::BreachForecast) == Mode::Watch {
            return about.healthy(format!("only watched: {summary}"));
        }
        if !alerts {
            return about.healthy(evidence);
        }
        let cause = "If it goes on like this, the limit is passed: find what has changed slowly since the trend began";
        about.unhealthy(Severity::Warning, evidence, cause)
    }
}

/// A day on which the rules find a figure unusual, alert or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusual {
    /// In the pipeline's zone.
    pub day: Date,
    pub says: String,
    /// Whether the figure was only watched on that day, so that nothing alerted.
    pub watched: bool,
}

/// Lists the days from `first` on that the rules find unusual, or on which they find a lasting change; oldest first.
pub fn unusual_days(pipeline: &Pipeline, figure: &Figure, verdicts: &[Verdict], first: Date) -> Vec<Unusual> {
    let expectations = &pipeline.expectations;
    let of_day = |verdict: &Verdict| {
        let point = verdict.point.and_then(|_| verdict.sentence(&figure.subject));
        let drift = || Some(verdict.drift?.sentence(&figure.subject, verdict.measure));
        let watched = expectations.mode(check_of(verdict.measure)) == Mode::Watch
            || watched(figure, verdict.date) < i64::from(expectations.watch_days);
        Some(Unusual { day: verdict.date, says: point.or_else(drift)?, watched })
    };
    verdicts.iter().filter(|verdict| verdict.date >= first).filter_map(of_day).collect()
}

/// The days from a figure's first one to this day.
fn watched(figure: &Figure, last: Date) -> i64 {
    figure.first.map_or(0, |first| 1 + days_between(first, last))
}

/// Forecasts a figure for each limit that the pipeline declares for it, the first one that is passed first.
pub fn forecasts(pipeline: &Pipeline, figure: &Figure) -> Vec<(Limit, Forecast)> {
    let measure = figure.series.measure();
    let limits = limits(pipeline, measure, &figure.subject).into_iter();
    let limits = limits.filter_map(|value| Limit::declared(measure, value));
    limits.map(|limit| (limit, forecast(&figure.series, limit))).collect()
}

/// The limits that the pipeline declares for a figure of a subject, the first one that is passed first.
fn limits(pipeline: &Pipeline, measure: Measure, subject: &str) -> Vec<f64> {
    let rules = || pipeline.checks.iter().map(|check| &check.rule);
    match measure {
        Measure::ErrorRate => {
            pipeline.sync(subject).map(|sync| sync.error_rate_percent).into_iter().collect()
        }
        Measure::Coverage => rules()
            .find_map(|rule| match rule {
                Rule::Coverage { warn_below, critical_below, .. } => Some(vec![*warn_below, *critical_below]),
                _ => None,
            })
            .unwrap_or_default(),
        Measure::NullRate => rules()
            .find_map(|rule| match rule {
                Rule::NullRate { limit_percent, .. } => Some(vec![*limit_percent]),
                _ => None,
            })
            .unwrap_or_default(),
        // The figure is of all queues together: beyond the sum of their limits, one of them is past its own.
        Measure::Queue => {
            let of_queue = |rule: &Rule| match rule {
                Rule::QueueSize { limit, .. } => Some(*limit),
                _ => None,
            };
            let all: Vec<u64> = rules().filter_map(of_queue).collect();
            let sum = all.iter().fold(0, |sum: u64, limit| sum.saturating_add(*limit));
            #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^52")]
            if all.is_empty() { Vec::new() } else { vec![sum as f64] }
        }
        Measure::Volume | Measure::Duration => Vec::new(),
    }
}

/// The deviation of the last day, or a change that still lasts.
fn deviation(subject: &str, verdicts: &[Verdict], still: Option<Drift>) -> Option<Deviation> {
    let verdict = verdicts.last()?;
    let measure = verdict.measure;
    if let Some((point, range)) = verdict.point.zip(verdict.expectation) {
        let severity = if point.is_dead { Severity::Error } else { Severity::Warning };
        let shown = |x: f64| shown(measure, x);
        let evidence = Evidence::new(verdict.brief()?)
            .with_some("figure", verdict.value.map(shown))
            .with("expected", shown(range.expected))
            .with("lowest expected", shown(range.low))
            .with("highest expected", shown(range.high))
            .with("days of history", range.days)
            .with("explanation", verdict.sentence(subject)?);
        return Some(Deviation { severity, evidence, side: point.side, is_of_the_day: true });
    }
    let drift = lasting(verdicts).or(still)?;
    let evidence = Evidence::new(drift.brief(measure))
        .with("before", shown(measure, drift.before))
        .with("now", shown(measure, drift.now))
        .with(SINCE, drift.since.to_string())
        .with("explanation", drift.sentence(subject, measure));
    Some(Deviation { severity: Severity::Warning, evidence, side: drift.side, is_of_the_day: false })
}

/// Keeps the verdicts that a judgement of the last day needs: lasting changes, and those since the newest figures. Those of all days of
/// 10,000 figures take 100 MB.
fn newest(mut verdicts: Vec<Verdict>) -> Vec<Verdict> {
    let valued = verdicts.iter().enumerate().rev().filter(|(_, verdict)| verdict.value.is_some());
    let from = valued.map(|(index, _)| index).nth(NEWEST - 1).unwrap_or(0);
    let mut index = 0;
    verdicts.retain(|verdict| {
        index += 1;
        index > from || verdict.drift.is_some()
    });
    verdicts.shrink_to_fit();
    verdicts
}

/// The newest lasting change, if the newest figures are still closer to it than to what was before.
pub fn lasting(verdicts: &[Verdict]) -> Option<Drift> {
    let last = verdicts.last()?.date;
    let (found, drift) = verdicts.iter().rev().find_map(|verdict| Some((verdict.date, verdict.drift?)))?;
    if days_between(found, last) > LASTS_DAYS {
        return None;
    }
    let newest = median(verdicts.iter().rev().filter_map(|verdict| verdict.value).take(NEWEST))?;
    let middle = f64::midpoint(drift.before, drift.now);
    let lasts = match drift.side {
        Side::Low => newest < middle,
        Side::High => newest > middle,
    };
    lasts.then_some(drift)
}

fn shown(measure: Measure, x: f64) -> Value {
    Value::from(measure.shown(x))
}

fn cause(check: Check, side: Side) -> &'static str {
    match (check, side) {
        (Check::UnusualVolume, Side::Low) => {
            "The source changed less than usual, or the sync no longer selects what changed: check the source, then the view"
        }
        (Check::UnusualVolume, Side::High) => {
            "A backfill, an import, or a view that selects more than what changed"
        }
        (Check::UnusualQueue, _) => {
            "More changed than the syncs deliver, or records are rejected again and again"
        }
        (Check::UnusualDuration, _) => {
            "The source query or the destination became slower: compare runs, then see the view"
        }
        (Check::UnusualCoverage, _) => "Records leave the destination, or new ones are not created",
        (Check::UnusualNulls, _) => "A source no longer fills the column, or a join lost its match",
        _ => {
            "Rejections that are still below the limit: the rejected records have one class most of the time"
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;
    use jiff::civil::date;

    use super::*;
    use crate::expect::{Day, Series};
    use crate::finding::Outcome;
    use crate::history::{DataDay, SyncDay, Tally};
    use crate::marks::{Mark, MarkVerdict, QuietDays};

    const FIRST: Date = date(2026, 9, 1);

    fn seed() -> Pipeline {
        Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap()
    }

    /// Days of two syncs that move 800 and 4,000 records, and of a pipeline with a coverage of 96%.
    fn history(days: i64, change: impl Fn(i64, &mut DataDay, &mut SyncDay, &mut SyncDay)) -> History {
        let mut history = History::default();
        for number in 0..days {
            let day = FIRST + number.days();
            let wobble = f64::from(i32::try_from(number * 7 % 5).unwrap()) - 2.0;
            let sync = |volume: f64| SyncDay {
                day,
                outcomes: Tally { completed: 96, failed: 0 },
                processed: Some(volume + 8.0 * wobble),
                failed: Some(0.0),
                median_seconds: Some(300.0 + wobble),
            };
            let (mut create, mut update) = (sync(800.0), sync(4_000.0));
            let mut data = DataDay {
                day,
                total: Some(10_000.0),
                synced: Some(9_600.0 + wobble),
                null_companies: Some(100.0),
                create_queue: Some(20.0),
                update_queue: Some(200.0 + wobble),
                ..DataDay::default()
            };
            change(number, &mut data, &mut create, &mut update);
            history.days.push(data);
            history.syncs.entry("properties-create".to_owned()).or_default().push(create);
            history.syncs.entry("properties-update".to_owned()).or_default().push(update);
        }
        history
    }

    fn last(days: i64) -> Date {
        FIRST + (days - 1).days()
    }

    fn judged(pipeline: &Pipeline, history: &History, days: i64, open: &[(Check, String)]) -> Vec<Finding> {
        judge_figures(pipeline, history, last(days), &Exceptions::default(), open)
    }

    fn unhealthy(findings: &[Finding]) -> Vec<String> {
        findings.iter().filter(|finding| finding.is_unhealthy()).map(ToString::to_string).collect()
    }

    fn find(findings: &[Finding], check: Check, subject: &str) -> String {
        let found = findings.iter().find(|found| found.check == check && found.subject == subject);
        found.unwrap().to_string()
    }

    #[test]
    fn usual_days_have_one_healthy_finding_for_each_figure() {
        let findings = judged(&seed(), &history(40, |_, _, _, _| {}), 40, &[]);
        assert_eq!(findings.len(), 3 * 2 + 3 + 3, "six of syncs, three of data, three forecasts");
        for finding in &findings {
            assert!(matches!(finding.outcome, Outcome::Healthy { .. }), "{finding}");
        }
        let all: Vec<(Check, String)> = declared(&seed()).map(|(check, of)| (check, of.to_owned())).collect();
        let judged: Vec<(Check, String)> =
            findings.into_iter().map(|finding| (finding.check, finding.subject)).collect();
        assert_eq!(judged, all);
    }

    #[test]
    fn dead_sync_is_an_error_and_a_halved_one_a_late_warning() {
        let dead = history(40, |day, _, create, _| {
            if day == 39 {
                create.processed = Some(0.0);
            }
        });
        let found = unhealthy(&judged(&seed(), &dead, 40, &[]));
        assert_eq!(found.len(), 1, "{found:?}");
        let expected = "unusual-volume properties-create: error, 0 records on Saturday 10 October (";
        assert!(found[0].starts_with(expected), "{}", found[0]);
        let halved = |days| {
            let history = history(days, |day, _, create, _| {
                if day >= 34 {
                    create.processed = create.processed.map(|volume| volume / 2.0);
                }
            });
            unhealthy(&judged(&seed(), &history, days, &[]))
        };
        assert_eq!(halved(34), [""; 0]);
        let found = halved(41);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("unusual-volume properties-create: warning, "), "{}", found[0]);
    }

    #[test]
    fn lasting_change_stays_open_until_it_returns_or_is_usual() {
        let of = |days: i64, back: i64| {
            let history = history(days, |day, data, _, _| {
                if (40..back).contains(&day) {
                    data.synced = Some(9_560.0);
                }
            });
            let findings = judged(&seed(), &history, days, &[]);
            find(&findings, Check::UnusualCoverage, "properties")
        };
        let lasts = |text: String| text.contains(": warning, 95.6% since ");
        let first = (41..60).find(|days| lasts(of(*days, 1_000))).unwrap();
        assert!((first..first + 28).all(|days| lasts(of(days, 1_000))), "from day {first}");
        assert!(of(first + 29, 1_000).contains("healthy"), "it is what is expected");
        // Three days after the old level is back, the median of five days is there, too.
        assert!(lasts(of(first + 2, first)));
        assert!(of(first + 3, first).contains("healthy"));
    }

    #[test]
    fn newest_verdicts_have_the_same_last_day_and_lasting_change() {
        let mut lasts = 0;
        for (days, gap) in [(1, 0), (40, 0), (47, 0), (47, 3), (60, 12), (75, 0), (75, 20), (110, 40)] {
            let value = |number: i64| if number < 40 { 800.0 } else { 400.0 };
            let known = |number: i64| number % 6 != 5 && number < days - gap;
            let day = |number: i64| Day::new(FIRST + number.days(), known(number).then(|| value(number)));
            let series = Series::new(Measure::Volume, (0..days).map(day).collect()).unwrap();
            let all = judge_days(&series, &Sensitivity::default());
            let kept = newest(all.clone());
            assert_eq!((kept.last(), lasting(&kept)), (all.last(), lasting(&all)), "{days} {gap}");
            assert!(kept.len() <= 2 * NEWEST + usize::try_from(gap).unwrap(), "{days} {gap}: {}", kept.len());
            lasts += usize::from(lasting(&all).is_some());
        }
        assert!(lasts > 1, "{lasts}");
    }

    #[test]
    fn open_incident_explains_the_figures_of_its_subject() {
        let dead = history(40, |day, data, create, update| {
            if day == 39 {
                create.processed = Some(0.0);
                update.processed = Some(0.0);
                data.synced = Some(9_000.0);
            }
        });
        let paused = [(Check::SyncPaused, "properties-create".to_owned())];
        let findings = judged(&seed(), &dead, 40, &paused);
        let blocked = "not evaluated, blocked by sync-paused of properties-create";
        assert!(find(&findings, Check::UnusualVolume, "properties-create").ends_with(blocked));
        assert!(find(&findings, Check::UnusualCoverage, "properties").ends_with(blocked));
        assert!(find(&findings, Check::UnusualVolume, "properties-update").contains("error, 0 records"));
        // Of all incidents, those are relevant that are open and not of these checks.
        let key = |text| IncidentKey::parse(text).unwrap();
        let stored = [
            (key("properties/run-failed/properties-create"), State::Open),
            (key("properties/run-stuck/properties-create"), State::Resolved),
            (key("properties/unusual-volume/properties-create"), State::Open),
        ];
        let open = open_incidents(stored.iter().map(|(key, state)| (key, *state)));
        assert_eq!(open, [(Check::RunFailed, "properties-create".to_owned())]);
    }

    #[test]
    fn syncs_that_fall_together_are_one_group_and_ask_for_a_holiday() {
        let fallen = |update: bool| {
            let history = history(40, |day, _, create, of_update| {
                if day == 39 {
                    create.processed = Some(0.0);
                    of_update.processed = of_update.processed.map(|volume| if update { 3.0 } else { volume });
                }
            });
            judged(&seed(), &history, 40, &[])
        };
        let both = fallen(true);
        let groups: Vec<_> =
            both.iter().filter(|finding| finding.is_unhealthy()).map(|it| &it.group).collect();
        assert_eq!(groups, [&Some("volume-fell-2026-10-10".to_owned()); 2]);
        let asks = |findings: &[Finding]| {
            findings.iter().any(|finding| match &finding.outcome {
                Outcome::Unhealthy { evidence, .. } => evidence
                    .figures
                    .iter()
                    .any(|figure| figure.text().starts_with("was 2026-10-10 a holiday?")),
                _ => false,
            })
        };
        assert!(asks(&both));
        assert!(!asks(&fallen(false)));
    }

    #[test]
    fn figures_are_watched_before_they_alert() {
        let dead = |days: i64| {
            history(days, |day, _, create, _| {
                if day == days - 1 {
                    create.processed = Some(0.0);
                }
            })
        };
        let of = |pipeline: &Pipeline, days| {
            let findings = judged(pipeline, &dead(days), days, &[]);
            find(&findings, Check::UnusualVolume, "properties-create")
        };
        let early = of(&seed(), 13);
        assert!(
            early.contains("not evaluated, waiting for 14 days of figures (13 so far; it would say: 0"),
            "{early}"
        );
        assert!(of(&seed(), 14).contains("error, 0 records"));
        assert!(of(&seed(), 4).contains("not evaluated, waiting for enough days (not enough history"));
        let mut pipeline = seed();
        pipeline.expectations.watch_days = 0;
        assert!(of(&pipeline, 13).contains("error, 0 records"));
        pipeline.expectations.modes.insert(Check::UnusualVolume, Mode::Watch);
        assert!(of(&pipeline, 13).contains("healthy, only watched: 0 records on"));
        pipeline.expectations.modes.insert(Check::UnusualVolume, Mode::Off);
        let findings = judged(&pipeline, &dead(13), 13, &[]);
        assert!(findings.iter().all(|finding| finding.check != Check::UnusualVolume));
        assert!(!pipeline.declares(Check::UnusualVolume, "properties-create"));
    }

    #[test]
    fn leak_is_forecast_with_its_date_and_alerts_within_14_days() {
        // 0.05 points a day from 96.5%: past 95% after 30 days.
        let leak = |days: i64| {
            history(days, |day, data, _, _| {
                data.synced = Some(9_650.0 - 5.0 * f64::from(i32::try_from(day).unwrap()));
            })
        };
        let of = |days| {
            let findings = judged(&seed(), &leak(days), days, &[]);
            find(&findings, Check::BreachForecast, "properties")
        };
        assert!(of(14).contains("healthy, coverage falls under 95% "), "{}", of(14));
        assert!(of(24).contains("warning, coverage falls under 95% "), "{}", of(24));
        assert!(of(24).contains(" October"), "{}", of(24));
        let early = "not evaluated, waiting for a figure with a declared limit and 14 days in the audit log";
        assert!(of(13).ends_with(early), "{}", of(13));
    }

    #[test]
    fn absent_figure_is_unknown_and_excluded_day_is_not_judged() {
        let absent = history(40, |day, data, _, _| {
            if day == 39 {
                data.synced = None;
            }
        });
        let findings = judged(&seed(), &absent, 40, &[]);
        let coverage = find(&findings, Check::UnusualCoverage, "properties");
        assert!(
            coverage.contains("unusual coverage of 2026-10-10 (no figure for this day) unknown"),
            "{coverage}"
        );
        let feast =
            QuietDays { name: "Feast".to_owned(), dates: vec![(last(40), last(40))], ..QuietDays::default() };
        let quiet = [feast];
        let dead = history(40, |day, _, create, _| {
            if day == 39 {
                create.processed = Some(0.0);
            }
        });
        let findings = judge_figures(&seed(), &dead, last(40), &Exceptions::new(&[], &quiet), &[]);
        assert_eq!(unhealthy(&findings), [""; 0]);
        let volume = find(&findings, Check::UnusualVolume, "properties-create");
        assert!(
            volume.ends_with("waiting for a day that counts (2026-10-10: quiet day \"Feast\")"),
            "{volume}"
        );
    }

    fn mark(key: &str, verdict: MarkVerdict, since: Date, until: Option<Date>) -> Mark {
        let at = jiff::Timestamp::UNIX_EPOCH;
        Mark {
            incident: IncidentKey::parse(key).unwrap(),
            told_at: at,
            verdict,
            since,
            until,
            at,
            by: "Ada".to_owned(),
            why: "launch".to_owned(),
        }
    }

    const COVERAGE: &str = "properties/unusual-coverage/properties";

    #[test]
    fn new_normal_level_ends_the_incident_and_is_judged_anew() {
        let of = |days: i64, low: f64, marks: &[Mark]| {
            let history = history(days, |day, data, _, _| {
                if day >= 39 {
                    data.synced = Some(if day == days - 1 { low } else { 9_400.0 });
                }
            });
            let findings = judge_figures(&seed(), &history, last(days), &Exceptions::new(marks, &[]), &[]);
            find(&findings, Check::UnusualCoverage, "properties")
        };
        assert!(of(40, 9_400.0, &[]).contains("warning"));
        let normal = [mark(COVERAGE, MarkVerdict::NewNormal, last(40), None)];
        let waiting = of(40, 9_400.0, &normal);
        assert!(waiting.contains("waiting for enough days (not enough history"), "{waiting}");
        assert!(of(50, 9_400.0, &normal).contains("healthy"));
        assert!(
            of(50, 9_200.0, &normal).contains("warning"),
            "judged by the new level, and not watched anew"
        );
        // It is of this figure only.
        let other = [mark("properties/unusual-nulls/properties", MarkVerdict::NewNormal, last(40), None)];
        assert!(of(40, 9_400.0, &other).contains("warning"));
    }

    #[test]
    fn day_marked_as_fine_is_not_learnt_from() {
        let days = 40;
        let of = |marks: &[Mark]| {
            let dead = history(days, |day, _, create, _| {
                if (36..39).contains(&day) {
                    create.processed = Some(5_000.0);
                }
            });
            let figures = dead.series("properties", last(days), &Exceptions::new(marks, &[]));
            let volume = figures.iter().find(|of| of.subject == "properties-create").unwrap();
            judge_days(&volume.series, &Sensitivity::default()).pop().unwrap().expectation.unwrap().days
        };
        let fine =
            mark("properties/unusual-volume/properties-create", MarkVerdict::Fine, last(37), Some(last(39)));
        assert_eq!(of(&[]) - of(&[fine]), 3);
    }

    #[test]
    fn real_fault_is_open_until_the_figure_is_back() {
        let of = |days: i64, back: i64, marks: &[Mark]| {
            let history = history(days, |day, data, _, _| {
                if (40..back).contains(&day) {
                    data.synced = Some(9_560.0);
                }
            });
            let findings = judge_figures(&seed(), &history, last(days), &Exceptions::new(marks, &[]), &[]);
            find(&findings, Check::UnusualCoverage, "properties")
        };
        let lasts = |text: String| text.contains(": warning, ");
        let first = (41..60).find(|days| lasts(of(*days, 1_000, &[]))).unwrap();
        let real = [mark(COVERAGE, MarkVerdict::Real, last(41), None)];
        assert!((first..first + 28).all(|days| lasts(of(days, 1_000, &real))), "a small drift stays open");
        assert!(of(first + 3, first, &real).contains("healthy"));
        // A large fall is open as long as it lasts, while an unmarked one becomes the level in about a week.
        let fall = |days: i64, marks: &[Mark]| {
            let history = history(days, |day, data, _, _| {
                if day >= 40 {
                    data.synced = Some(9_000.0);
                }
            });
            let findings = judge_figures(&seed(), &history, last(days), &Exceptions::new(marks, &[]), &[]);
            find(&findings, Check::UnusualCoverage, "properties")
        };
        assert!((41..90).all(|days| lasts(fall(days, &real))));
        assert!(!lasts(fall(89, &[])));
    }

    #[test]
    fn findings_that_could_not_be_judged_have_the_reason() {
        let findings = unjudged(&seed(), &WhyNot::under(Check::SnapshotWritten, "syncwatch"));
        assert_eq!(findings.len(), 12);
        assert!(
            findings.iter().all(|it| it.to_string().ends_with("blocked by snapshot-written of syncwatch"))
        );
    }
}
