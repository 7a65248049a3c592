//! The scoreboard against a naive recomputation from raw rows, each counted by the date that a clock in the zone shows.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A row of the audit log for a run.
#[derive(Debug, Clone)]
struct RawRun {
    id: usize,
    sync: &'static str,
    status: &'static str,
    began_at: Timestamp,
}

/// A row of the audit log for a day.
#[derive(Debug, Clone)]
struct RawDay {
    day: Date,
    runs_missing: bool,
    total: Option<u32>,
    synced: Option<u32>,
    null_companies: Option<u32>,
    duplicates: Option<u32>,
    /// Values of the objects compared on the day, and how many of them agree.
    fields: Option<(u32, u32)>,
}

#[derive(Debug, Clone)]
struct Raw {
    zone: &'static str,
    compares_objects: bool,
    last: Date,
    days: Vec<RawDay>,
    runs: Vec<RawRun>,
    alerts: Vec<Alert>,
    marks: Vec<Mark>,
    notices: Vec<Notice>,
    lag: Vec<LagSample>,
    acts: Vec<(Manual, Timestamp)>,
    since: Timestamp,
}

/// Zones, each with a day within a week after its clocks changed. Santiago has no midnight on that day.
const PLACES: [(&str, &str); 7] = [
    ("America/Los_Angeles", "2026-11-03"),
    ("America/Los_Angeles", "2026-03-10"),
    ("Europe/Berlin", "2026-10-27"),
    ("Europe/Berlin", "2026-03-29"),
    ("America/Santiago", "2026-09-07"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("UTC", "2026-11-26"),
];

/// Minutes before the end of the last day; often close to a midnight, by 30 days back.
fn minutes() -> impl Strategy<Value = i64> {
    prop_oneof![
        -120..43_200_i64,
        (0..30_i64, -60..=60_i64).prop_map(|(days, minutes)| days * 1_440 + minutes),
        0..10_080_i64,
    ]
}

fn raw() -> impl Strategy<Value = Raw> {
    let figures = prop_oneof![9 => (0..2_000_u32).prop_map(Some), 1 => Just(None)];
    let low = prop_oneof![9 => (0..60_u32).prop_map(Some), 1 => Just(None)];
    let fields = prop_oneof![9 => (0..5_000_u32, 0..100_u32).prop_map(Some), 1 => Just(None)];
    let fields = fields.prop_map(|fields| fields.map(|(all, wrong)| (all, all.saturating_sub(wrong))));
    let day = (
        prop::bool::weighted(0.97),
        prop::bool::weighted(0.03),
        figures.clone(),
        figures,
        low.clone(),
        low,
        fields,
    );
    let status =
        prop::sample::select(vec!["completed", "completed", "completed", "failed", "skipped", "working"]);
    let sync = prop::sample::select(vec!["create", "update", "removed"]);
    let alert = (minutes(), 0..400_i64, prop::option::of(0..6_000_i64), 0..4_usize, minutes());
    let records = (
        vec(day, 30),
        vec((minutes(), sync, status), 0..150),
        vec(alert, 0..25),
        vec((minutes(), 0..3_usize), 0..30),
        vec((minutes(), 0..200_i64), 0..150),
        vec((minutes(), 0..5_usize), 0..3),
        prop_oneof![2 => Just(100_000_i64), 1 => minutes(), 1 => (0..30_i64).prop_map(|days| days * 1_440)],
    );
    (prop::sample::select(PLACES.to_vec()), any::<bool>(), records).prop_map(build)
}

type Numbers = (
    Vec<(bool, bool, Option<u32>, Option<u32>, Option<u32>, Option<u32>, Option<(u32, u32)>)>,
    Vec<(i64, &'static str, &'static str)>,
    Vec<(i64, i64, Option<i64>, usize, i64)>,
    Vec<(i64, usize)>,
    Vec<(i64, i64)>,
    Vec<(i64, usize)>,
    i64,
);

/// Builds raw rows; each third is there twice, as after a night that ran again.
fn build(
    ((zone_name, last), compares_objects, (days, runs, alerts, notices, lag, acts, since)): (
        (&'static str, &str),
        bool,
        Numbers,
    ),
) -> Raw {
    let last = date(last);
    let end = last.tomorrow().unwrap().to_zoned(zone(zone_name)).unwrap().timestamp();
    let before = |minutes: i64| end - SignedDuration::from_mins(minutes);
    let mut raw = Raw {
        zone: zone_name,
        compares_objects,
        last,
        days: Vec::new(),
        runs: Vec::new(),
        alerts: Vec::new(),
        marks: Vec::new(),
        notices: Vec::new(),
        lag: lag
            .iter()
            .map(|(at, lag)| LagSample { at: before(*at), lag: SignedDuration::from_mins(*lag) })
            .collect(),
        acts: acts.iter().map(|(at, kind)| (Manual::ALL[*kind], before(*at))).collect(),
        since: before(since),
    };
    for (back, (there, runs_missing, total, synced, null_companies, duplicates, fields)) in (0..).zip(days) {
        let day = last - (back as i64).days();
        let row = RawDay { day, runs_missing, total, synced, null_companies, duplicates, fields };
        raw.days.extend(std::iter::repeat_n(row, if there { 1 + back % 3 / 2 } else { 0 }));
    }
    for (id, (at, sync, status)) in runs.into_iter().enumerate() {
        let row = RawRun { id, sync, status, began_at: before(at) };
        raw.runs.extend(std::iter::repeat_n(row, 1 + id % 3 / 2));
    }
    for (index, (notified, delay, recovery, verdict, marked)) in alerts.into_iter().enumerate() {
        let (told_at, incident) = (before(notified), format!("check/{index}"));
        let began_at = told_at - SignedDuration::from_mins(delay);
        let resolved_at = recovery.map(|minutes| told_at + SignedDuration::from_mins(minutes));
        let alert =
            Alert { incident: incident.clone(), told_at, sent_at: Some(told_at), began_at, resolved_at };
        if index % 3 == 0 {
            raw.alerts.push(Alert { resolved_at: None, ..alert.clone() });
        }
        raw.alerts.push(alert);
        let verdicts = [MarkVerdict::Real, MarkVerdict::Fine, MarkVerdict::NewNormal];
        if let Some(verdict) = verdicts.get(verdict) {
            let mark = Mark { incident, told_at, at: before(marked), verdict: *verdict };
            raw.marks.push(Mark {
                at: mark.at - SignedDuration::from_mins(1),
                verdict: MarkVerdict::Real,
                ..mark.clone()
            });
            raw.marks.push(mark);
        }
    }
    for (index, (at, again)) in notices.into_iter().enumerate() {
        let again = (0..=again as i64).rev().map(|times| before(at - 30 * times));
        raw.notices.extend(again.map(|sent_at| Notice { id: format!("notice/{index}"), sent_at }));
    }
    raw
}

impl Raw {
    /// Returns the answers of the statements of the history: runs by status and day, a duplicate row once.
    fn records(&self) -> Records {
        let mut history = History::default();
        let figure = |figure: Option<u32>| figure.map(f64::from);
        let mut gaps = BTreeMap::new();
        for row in &self.days {
            if row.runs_missing {
                gaps.insert(row.day, Gap { runs: Some("still running".to_owned()), data: None });
            }
            history.days.push(DataDay {
                day: row.day,
                total: figure(row.total),
                synced: figure(row.synced),
                null_companies: figure(row.null_companies),
                duplicates: figure(row.duplicates),
                fields_compared: figure(row.fields.map(|fields| fields.0)),
                fields_agreeing: figure(row.fields.map(|fields| fields.1)),
                ..DataDay::default()
            });
        }
        let mut seen = BTreeSet::new();
        for run in self.runs.iter().filter(|run| seen.insert(run.id)) {
            let day = run.began_at.to_zoned(zone(self.zone)).date();
            let of_sync = history.syncs.entry(run.sync.to_owned()).or_default();
            let index = of_sync.iter().position(|row| row.day == day).unwrap_or_else(|| {
                of_sync.push(SyncDay { day, ..SyncDay::default() });
                of_sync.len() - 1
            });
            match run.status {
                "completed" => of_sync[index].outcomes.completed += 1,
                "failed" => of_sync[index].outcomes.failed += 1,
                _ => {}
            }
        }
        // The days of syncs may be read twice, too.
        for days in history.syncs.values_mut() {
            days.extend(days.clone());
        }
        fn kept<T: Clone>(since: Timestamp, records: &[T]) -> Source<T> {
            Ok(Kept { since, records: records.to_vec() })
        }
        let acts_of = |kind: Manual| {
            let acts = self.acts.iter().filter(|(of, _)| *of == kind).map(|(_, at)| *at);
            (kind, kept(self.since, &acts.collect::<Vec<_>>()))
        };
        Records {
            history: Ok(history),
            gaps,
            syncs: vec!["create".to_owned(), "update".to_owned()],
            compares_objects: self.compares_objects,
            alerts: kept(self.since, &self.alerts),
            notices: kept(self.since, &self.notices),
            marks: kept(self.since, &self.marks),
            lag: kept(self.since, &self.lag),
            manual: Manual::ALL.into_iter().map(acts_of).collect(),
            scores: Ok(Vec::new()),
        }
    }

    /// The date that a clock in the zone shows.
    fn shows(&self, instant: Timestamp) -> String {
        instant.to_zoned(zone(self.zone)).strftime("%F").to_string()
    }

    fn within(&self, instant: Timestamp, days: &[String]) -> bool {
        days.contains(&self.shows(instant))
    }

    fn naive(&self, metric: Metric, days: &[String]) -> Naive {
        let first_known = |since: Timestamp| self.shows(since - SignedDuration::from_nanos(1)) < days[0];
        let needs_since = matches!(
            metric,
            Metric::AlertDelay
                | Metric::RecoveryMean
                | Metric::RecoveryP90
                | Metric::Lag
                | Metric::AlertPrecision
                | Metric::Notices
        );
        if needs_since && !first_known(self.since) {
            return Naive::Unknown;
        }
        match metric {
            Metric::SuccessRate | Metric::DailyRuns => self.naive_runs(metric, days),
            Metric::DataQuality | Metric::Coverage => self.naive_shares(metric, days),
            Metric::AlertDelay | Metric::RecoveryMean | Metric::RecoveryP90 => {
                self.naive_alerts(metric, days)
            }
            Metric::Lag => {
                let of_day = |day: &String| {
                    let samples = self.lag.iter().filter(|sample| self.shows(sample.at) == *day);
                    samples.copied().collect::<Vec<LagSample>>()
                };
                if days.iter().any(|day| of_day(day).is_empty()) {
                    return Naive::Unknown;
                }
                let all: Vec<LagSample> = days.iter().flat_map(of_day).collect();
                let times: BTreeSet<Timestamp> = all.iter().map(|sample| sample.at).collect();
                let longest = all.iter().map(|sample| sample.lag.as_secs()).max().unwrap();
                Naive::Known(longest as f64, times.len())
            }
            Metric::DaysUnattended => self.naive_unattended(days.last().unwrap()),
            Metric::AlertPrecision => self.naive_precision(days),
            Metric::Notices => {
                let ids: BTreeSet<&str> = self.notices.iter().map(|notice| notice.id.as_str()).collect();
                let first = |id: &str| {
                    let sent = self.notices.iter().filter(|notice| notice.id == id);
                    sent.map(|notice| notice.sent_at).min().unwrap()
                };
                let sent = ids.into_iter().filter(|id| self.within(first(id), days)).count();
                Naive::Known(sent as f64, sent)
            }
        }
    }

    fn naive_runs(&self, metric: Metric, days: &[String]) -> Naive {
        let whole = |day: &String| {
            let mut rows = self.days.iter().filter(|row| row.day.to_string() == *day).peekable();
            rows.peek().is_some() && rows.all(|row| !row.runs_missing)
        };
        if !days.iter().all(whole) {
            return Naive::Unknown;
        }
        let count = |status: &str, sync: &str, days: &[String]| {
            let runs = self.runs.iter().filter(|run| run.status == status && run.sync == sync);
            runs.filter(|run| self.within(run.began_at, days))
                .map(|run| run.id)
                .collect::<BTreeSet<_>>()
                .len()
        };
        let completed = count("completed", "create", days) + count("completed", "update", days);
        if metric == Metric::DailyRuns {
            let of_day = |day: &String| {
                let day = [day.clone()];
                count("completed", "create", &day).min(count("completed", "update", &day))
            };
            return Naive::Known(days.iter().map(of_day).min().unwrap() as f64, completed);
        }
        let runs = completed + count("failed", "create", days) + count("failed", "update", days);
        if runs < 5 { Naive::Unknown } else { Naive::Known(completed as f64 / runs as f64 * 100.0, runs) }
    }

    fn naive_shares(&self, metric: Metric, days: &[String]) -> Naive {
        let of_day = |day: &String| {
            let row = self.days.iter().find(|row| row.day.to_string() == *day)?;
            let (part, whole) = if metric == Metric::Coverage {
                (row.synced?, row.total?)
            } else if self.compares_objects {
                (row.fields?.1, row.fields?.0)
            } else {
                let synced = row.synced?;
                (synced.saturating_sub(row.null_companies? + row.duplicates?), synced)
            };
            (whole > 0).then(|| f64::from(part) / f64::from(whole) * 100.0)
        };
        let shares: Option<Vec<f64>> = days.iter().map(of_day).collect();
        let lowest =
            |shares: Vec<f64>| Naive::Known(shares.iter().copied().fold(f64::MAX, f64::min), shares.len());
        shares.map_or(Naive::Unknown, lowest)
    }

    /// Each alert with its recovery from whichever copy has one.
    fn alerts_once(&self) -> Vec<Alert> {
        let recovered = self.alerts.iter().filter(|alert| alert.resolved_at.is_some());
        let mut once: Vec<Alert> = recovered.cloned().collect();
        for alert in self.alerts.iter().filter(|alert| alert.resolved_at.is_none()) {
            if once.iter().all(|other| other.incident != alert.incident) {
                once.push(alert.clone());
            }
        }
        once
    }

    fn naive_alerts(&self, metric: Metric, days: &[String]) -> Naive {
        let (first, last) = (days.first().unwrap(), days.last().unwrap());
        let end = self.end_of(last);
        let mut seconds: Vec<i64> = Vec::new();
        for alert in self.alerts_once() {
            if metric == Metric::AlertDelay {
                if self.within(alert.told_at, days) {
                    seconds.push(alert.told_at.as_second() - alert.began_at.as_second());
                }
                continue;
            }
            match alert.resolved_at.filter(|at| self.shows(*at) <= *last) {
                Some(at) if self.shows(at) >= *first => {
                    seconds.push(at.as_second() - alert.began_at.as_second());
                }
                Some(_) => {}
                None => {
                    let age = end.as_second() - alert.began_at.as_second();
                    if self.shows(alert.told_at) <= *last && age > 2 * HOUR {
                        seconds.push(age);
                    }
                }
            }
        }
        if seconds.is_empty() {
            return Naive::NoAlert;
        }
        let count = seconds.len();
        if metric == Metric::RecoveryMean {
            return Naive::Known(seconds.iter().sum::<i64>() as f64 / count as f64, count);
        }
        let reaches = |limit: &i64| seconds.iter().filter(|other| *other <= limit).count() * 10 >= count * 9;
        let p90 = seconds.iter().copied().filter(reaches).min().unwrap();
        Naive::Known(p90 as f64, count)
    }

    /// The first minute at which the clock shows a later day.
    fn end_of(&self, day: &str) -> Timestamp {
        let mut instant = at(&format!("{day}T00:00:00Z")) - SignedDuration::from_hours(15);
        while self.shows(instant).as_str() <= day {
            instant += SignedDuration::from_mins(30);
        }
        instant
    }

    fn naive_unattended(&self, last: &str) -> Naive {
        let mut streak = 0;
        let mut day = date(last);
        let newest = self.acts.iter().map(|(_, at)| *at).filter(|at| self.shows(*at).as_str() <= last).max();
        let act = newest.filter(|at| *at >= self.since).map(|at| self.shows(at));
        let known = |day: Date| self.shows(self.since - SignedDuration::from_nanos(1)) < day.to_string();
        while known(day) && act.as_ref().is_none_or(|act| *act < day.to_string()) {
            streak += 1;
            day = day.yesterday().unwrap();
        }
        let mut samples = streak;
        while known(day) {
            samples += 1;
            day = day.yesterday().unwrap();
        }
        if act.is_none() && streak < 7 { Naive::Unknown } else { Naive::Known(streak as f64, samples) }
    }

    fn naive_precision(&self, days: &[String]) -> Naive {
        let alerts: Vec<Alert> =
            self.alerts_once().into_iter().filter(|alert| self.within(alert.told_at, days)).collect();
        let verdict = |alert: &Alert| {
            let marks = self.marks.iter().filter(|mark| mark.incident == alert.incident);
            marks.max_by_key(|mark| mark.at).map(|mark| mark.verdict)
        };
        let verdicts: Vec<MarkVerdict> = alerts.iter().filter_map(verdict).collect();
        let count = |of| verdicts.iter().filter(|verdict| **verdict == of).count();
        let (real, fine) = (count(MarkVerdict::Real), count(MarkVerdict::Fine));
        match (alerts.len(), real + fine) {
            (0, _) => Naive::NoAlert,
            (_, 0) => Naive::Unknown,
            (_, marked) => Naive::Known(real as f64 / marked as f64 * 100.0, marked),
        }
    }
}

#[derive(Debug)]
enum Naive {
    Known(f64, usize),
    NoAlert,
    Unknown,
}

impl Naive {
    fn equals(&self, reading: &Reading) -> bool {
        match (self, reading.value, &reading.reason) {
            // Durations are stored in whole seconds.
            (Self::Known(number, samples), Some(value), None) => {
                let near = if matches!(value, Value::Duration(_)) { 1.0 } else { 1e-9 };
                (number - value.number()).abs() < near && *samples as u64 == reading.samples
            }
            (Self::NoAlert, None, Some(Reason::NoAlert)) => true,
            (Self::Unknown, None, Some(reason)) => *reason != Reason::NoAlert,
            _ => false,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn figures_equal_a_naive_recomputation(raw in raw(), shift in any::<u64>()) {
        let mut records = raw.records();
        // Order does not matter.
        for days in records.history.as_mut().unwrap().syncs.values_mut().filter(|days| !days.is_empty()) {
            let by = usize::try_from(shift % days.len() as u64).unwrap();
            days.rotate_left(by);
        }
        let goals = Goals::default();
        let board = Scoreboard::compute("p", &records, &goals, &zone(raw.zone), raw.last);
        for score in &board.metrics {
            for reading in score.trend.iter().chain([&score.reading]) {
                let Window { from, to } = reading.window;
                let days: Vec<String> = from.series(1.day()).take_while(|day| *day <= to).map(|day| day.to_string()).collect();
                let naive = raw.naive(score.metric, &days);
                prop_assert!(naive.equals(reading), "{}: {:?} is not {:?}", score.metric, reading, naive);
            }
            let met = match (score.goal, raw.naive(score.metric, &window_of(score))) {
                (None, _) => Outcome::NoGoal,
                (_, Naive::NoAlert) => Outcome::Met,
                (_, Naive::Unknown) => Outcome::Unknown,
                (Some(Goal { bound: Bound::AtLeast, value }), Naive::Known(number, _)) if number >= value.number() => Outcome::Met,
                (Some(Goal { bound: Bound::AtMost, value }), Naive::Known(number, _)) if number <= value.number() => Outcome::Met,
                _ => Outcome::NotMet,
            };
            prop_assert_eq!(met, score.outcome, "{}", score.metric);
        }
    }
}

fn window_of(score: &Score) -> Vec<String> {
    let Window { from, to } = score.reading.window;
    from.series(1.day()).take_while(|day| *day <= to).map(|day| day.to_string()).collect()
}
