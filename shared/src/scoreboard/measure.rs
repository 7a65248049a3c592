//! Computes each metric over a window.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::records::{Alert, Kept, Manual, MarkVerdict, Records, Source};
use super::{FEWEST_RUNS, Goals, Metric, Reading, Reason, Value, Window};
use crate::days::{day_of, days_before, days_between};
use crate::history::{DataDay, Tally};

/// A value and its number of samples.
type Measured = Result<(Value, u64), Reason>;

/// The records without duplicates, by day where they have one.
pub(super) struct Measurer<'r> {
    records: &'r Records,
    goals: &'r Goals,
    zone: &'r TimeZone,
    days: BTreeMap<Date, &'r DataDay>,
    runs: BTreeMap<(&'r str, Date), Tally>,
    alerts: Result<(Timestamp, Vec<&'r Alert>), &'r String>,
}

impl<'r> Measurer<'r> {
    pub(super) fn new(records: &'r Records, goals: &'r Goals, zone: &'r TimeZone) -> Self {
        let (mut days, mut runs) = (BTreeMap::new(), BTreeMap::new());
        if let Ok(history) = &records.history {
            for row in &history.days {
                days.entry(row.day).or_insert(row);
            }
            for sync in &records.syncs {
                for row in history.syncs.get(sync).into_iter().flatten() {
                    runs.entry((sync.as_str(), row.day)).or_insert(row.outcomes);
                }
            }
        }
        let alerts = records.alerts.as_ref().map(|kept| (kept.since, alerts_once(&kept.records)));
        Self { records, goals, zone, days, runs, alerts }
    }

    pub(super) fn read(&self, metric: Metric, window: Window) -> Reading {
        let measured = match metric {
            Metric::SuccessRate => self.success_rate(window),
            Metric::AlertDelay => self.alert_delay(window),
            Metric::RecoveryMean => self.recovery(window, mean),
            Metric::RecoveryP90 => self.recovery(window, p90),
            Metric::DataQuality if self.records.compares_objects => {
                self.lowest_share(window, DataDay::agreement, |_| "no record compared".to_owned())
            }
            Metric::DataQuality => self.lowest_share(window, flawless, |day| self.data_gap(day)),
            Metric::Coverage => self.lowest_share(window, coverage, |day| self.data_gap(day)),
            Metric::DailyRuns => self.daily_runs(window),
            Metric::Lag => self.lag(window),
            Metric::DaysUnattended => self.days_unattended(window.to),
            Metric::AlertPrecision => self.precision(window),
            Metric::Notices => self.notices(window),
        };
        match measured {
            Ok((value, samples)) => Reading { window, value: Some(value), reason: None, samples },
            Err(reason) => Reading { window, value: None, reason: Some(reason), samples: 0 },
        }
    }

    fn success_rate(&self, window: Window) -> Measured {
        let mut all = Tally::default();
        for day in window.days() {
            self.has_runs(day)?;
            for tally in self.records.syncs.iter().filter_map(|sync| self.runs.get(&(sync.as_str(), day))) {
                all.completed = all.completed.saturating_add(tally.completed);
                all.failed = all.failed.saturating_add(tally.failed);
            }
        }
        let runs = all.completed.saturating_add(all.failed);
        if runs < FEWEST_RUNS {
            return Err(Reason::FewRuns(runs));
        }
        Ok((share(all.completed, runs), runs))
    }

    fn daily_runs(&self, window: Window) -> Measured {
        let mut samples = 0_u64;
        let mut fewest = None;
        for day in window.days() {
            self.has_runs(day)?;
            for sync in &self.records.syncs {
                // A day that has a row, and no runs of the sync, had none.
                let runs = self.runs.get(&(sync.as_str(), day)).map_or(0, |tally| tally.completed);
                samples = samples.saturating_add(runs);
                fewest = Some(fewest.map_or(runs, |fewest: u64| fewest.min(runs)));
            }
        }
        fewest.map(|fewest| (Value::Count(fewest), samples)).ok_or(Reason::NoSync)
    }

    fn lowest_share(
        &self,
        window: Window,
        of: fn(&DataDay) -> Option<f64>,
        gap: impl Fn(Date) -> String,
    ) -> Measured {
        let mut lowest = f64::INFINITY;
        let mut samples = 0;
        for day in window.days() {
            lowest = lowest.min(of(self.row(day)?).ok_or_else(|| Reason::Gap(day, gap(day)))?);
            samples += 1;
        }
        Ok((Value::Percent(lowest), samples))
    }

    fn data_gap(&self, day: Date) -> String {
        let gap = self.records.gaps.get(&day).and_then(|gap| gap.data.clone());
        gap.unwrap_or_else(|| "no records counted".to_owned())
    }

    fn row(&self, day: Date) -> Result<&'r DataDay, Reason> {
        self.records.history.as_ref().map_err(|why| Reason::Unavailable(why.clone()))?;
        self.days.get(&day).copied().ok_or(Reason::NoRow(day))
    }

    /// Fails unless the audit log has all runs of the day.
    fn has_runs(&self, day: Date) -> Result<(), Reason> {
        self.row(day)?;
        let gap = self.records.gaps.get(&day).and_then(|gap| gap.runs.clone());
        gap.map_or(Ok(()), |why| Err(Reason::Gap(day, why)))
    }

    /// Returns the alerts that match, each once.
    fn alerts_of(
        &self,
        window: Window,
        matches: impl Fn(&Alert, (Timestamp, Timestamp)) -> bool,
    ) -> Result<Vec<&'r Alert>, Reason> {
        let (since, alerts) = self.alerts.as_ref().map_err(|why| Reason::Unavailable((*why).clone()))?;
        let bounds = self.covered(window, *since)?;
        Ok(alerts.iter().copied().filter(|alert| matches(alert, bounds)).collect())
    }

    /// Returns the bounds of a window from whose beginning on records are there.
    fn covered(&self, window: Window, since: Timestamp) -> Result<(Timestamp, Timestamp), Reason> {
        let (from, to) = window.bounds(self.zone);
        if since > from { Err(Reason::Begins(day_of(since, self.zone))) } else { Ok((from, to)) }
    }

    fn kept<'s, T>(
        &self,
        source: &'s Source<T>,
        window: Window,
    ) -> Result<(&'s Kept<T>, (Timestamp, Timestamp)), Reason> {
        let kept = source.as_ref().map_err(|why| Reason::Unavailable(why.clone()))?;
        Ok((kept, self.covered(window, kept.since)?))
    }

    fn alert_delay(&self, window: Window) -> Measured {
        let alerts = self.alerts_of(window, |alert, (from, to)| (from..to).contains(&alert.told_at))?;
        self.kept(&self.records.notices, window)?;
        let delay = |alert: &&Alert| {
            let sent_at = alert.sent_at.ok_or_else(|| Reason::NotSent(alert.incident.clone()))?;
            Ok(between(alert.began_at, sent_at))
        };
        duration(alerts.iter().map(delay).collect::<Result<_, Reason>>()?, p90)
    }

    fn recovery(&self, window: Window, figure: fn(&[SignedDuration]) -> Option<SignedDuration>) -> Measured {
        let (from, to) = window.bounds(self.zone);
        let goal = self.goals.of(Metric::RecoveryP90);
        let is_late = |age| goal.is_some_and(|goal| !goal.is_met_by(Value::Duration(age)));
        let duration_of = |alert: &Alert| {
            if let Some(at) = alert.resolved_at.filter(|at| *at < to) {
                return (at >= from).then(|| between(alert.began_at, at));
            }
            let age = between(alert.began_at, to);
            (alert.told_at < to && is_late(age)).then_some(age)
        };
        let alerts = self.alerts_of(window, |alert, _| duration_of(alert).is_some())?;
        duration(alerts.into_iter().filter_map(duration_of).collect(), figure)
    }

    fn lag(&self, window: Window) -> Measured {
        let (kept, (from, to)) = self.kept(&self.records.lag, window)?;
        let mut by_day: BTreeMap<Date, BTreeMap<Timestamp, SignedDuration>> = BTreeMap::new();
        for sample in kept.records.iter().filter(|sample| (from..to).contains(&sample.at)) {
            let of_day = by_day.entry(day_of(sample.at, self.zone)).or_default();
            let longest = of_day.entry(sample.at).or_default();
            *longest = sample.lag.max(*longest);
        }
        if let Some(day) = window.days().find(|day| !by_day.contains_key(day)) {
            return Err(Reason::NoSample(day));
        }
        let lags: Vec<SignedDuration> = by_day.into_values().flat_map(BTreeMap::into_values).collect();
        let longest = lags.iter().copied().max().unwrap_or_default();
        Ok((Value::Duration(longest), count(lags.len())))
    }

    /// Counts the whole days since the newest manual act, or since records of every kind begin.
    fn days_unattended(&self, to: Date) -> Measured {
        let (_, end) = Window::ending(to, 1).bounds(self.zone);
        let (mut since, mut newest) = (Timestamp::MIN, None);
        let mut unread = Vec::new();
        for kind in Manual::ALL {
            match self.records.manual.get(&kind) {
                Some(Ok(kept)) => {
                    since = since.max(kept.since);
                    newest = newest.max(kept.records.iter().filter(|at| **at < end).max().copied());
                }
                Some(Err(why)) => unread.push(format!("{kind}: {why}")),
                None if !Manual::REQUIRED.contains(&kind) => {}
                None => unread.push(format!("{kind}: not recorded")),
            }
        }
        if !unread.is_empty() {
            return Err(Reason::Unavailable(unread.join(", ")));
        }
        // The first day that is known from its beginning on.
        let begins = day_of(since, self.zone);
        let begins_whole = Window::ending(begins, 1).bounds(self.zone).0 == since;
        let last_partly = if begins_whole { days_before(begins, 1) } else { begins };
        let known = whole_days(last_partly, to);
        if let Some(act) = newest.filter(|act| *act >= since) {
            return Ok((Value::Days(whole_days(day_of(act, self.zone), to)), known));
        }
        // Too few days do not show that the goal is missed.
        let shown =
            self.goals.of(Metric::DaysUnattended).is_none_or(|goal| goal.is_met_by(Value::Days(known)));
        if shown { Ok((Value::Days(known), known)) } else { Err(Reason::Begins(begins)) }
    }

    fn precision(&self, window: Window) -> Measured {
        let (kept, _) = self.kept(&self.records.marks, window)?;
        let alerts = self.alerts_of(window, |alert, (from, to)| (from..to).contains(&alert.told_at))?;
        let mut newest = BTreeMap::new();
        for mark in &kept.records {
            let place =
                newest.entry((mark.incident.as_str(), mark.told_at)).or_insert((mark.at, mark.verdict));
            *place = (mark.at, mark.verdict).max(*place);
        }
        let verdicts = alerts.iter().filter_map(|alert| {
            newest.get(&(alert.incident.as_str(), alert.told_at)).map(|(_, verdict)| *verdict)
        });
        let (mut real, mut marked) = (0, 0);
        for verdict in verdicts.filter(|verdict| *verdict != MarkVerdict::NewNormal) {
            marked += 1;
            real += u64::from(verdict == MarkVerdict::Real);
        }
        match (alerts.len(), marked) {
            (0, _) => Err(Reason::NoAlert),
            (alerts, 0) => Err(Reason::NoMark(count(alerts))),
            (_, marked) => Ok((share(real, marked), marked)),
        }
    }

    fn notices(&self, window: Window) -> Measured {
        let (kept, (from, to)) = self.kept(&self.records.notices, window)?;
        // Sent again, it is the same notice, of the day when it was first sent.
        let mut first: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for notice in &kept.records {
            let sent = first.entry(&notice.id).or_insert(notice.sent_at);
            *sent = notice.sent_at.min(*sent);
        }
        let sent = count(first.values().filter(|at| (from..to).contains(*at)).count());
        Ok((Value::Count(sent), sent))
    }
}

/// Keeps each alert once; of two copies, the one that has recovered.
fn alerts_once(alerts: &[Alert]) -> Vec<&Alert> {
    let mut once: BTreeMap<(&str, Timestamp), &Alert> = BTreeMap::new();
    for alert in alerts {
        let place = once.entry((&alert.incident, alert.told_at)).or_insert(alert);
        if (alert.resolved_at, alert) > (place.resolved_at, *place) {
            *place = alert;
        }
    }
    once.into_values().collect()
}

fn between(from: Timestamp, to: Timestamp) -> SignedDuration {
    to.duration_since(from).max(SignedDuration::ZERO)
}

fn duration(
    mut durations: Vec<SignedDuration>,
    figure: fn(&[SignedDuration]) -> Option<SignedDuration>,
) -> Measured {
    durations.sort_unstable();
    let value = figure(&durations).ok_or(Reason::NoAlert)?;
    Ok((Value::Duration(value), count(durations.len())))
}

fn mean(durations: &[SignedDuration]) -> Option<SignedDuration> {
    let sum = durations.iter().fold(SignedDuration::ZERO, |sum, one| sum.saturating_add(*one));
    sum.checked_div(i32::try_from(durations.len()).ok()?)
}

/// The smallest value that nine in ten do not exceed (nearest rank): of fewer than ten, the longest.
fn p90(sorted: &[SignedDuration]) -> Option<SignedDuration> {
    sorted.get((sorted.len() * 9).div_ceil(10).checked_sub(1)?).copied()
}

fn coverage(row: &DataDay) -> Option<f64> {
    percent(counted(row.synced)?, counted(row.total)?)
}

fn flawless(row: &DataDay) -> Option<f64> {
    let flawed = counted(row.null_companies)? + counted(row.duplicates)?;
    let synced = counted(row.synced)?;
    percent((synced - flawed).max(0.0), synced)
}

/// A count that was written and can be one.
fn counted(figure: Option<f64>) -> Option<f64> {
    figure.filter(|count| count.is_finite() && *count >= 0.0)
}

fn percent(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| 100.0 * part / whole)
}

fn share(part: u64, whole: u64) -> Value {
    Value::Percent(100.0 * part as f64 / whole.max(1) as f64)
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// The days from one day to another; 0 if the other is earlier.
fn whole_days(from: Date, to: Date) -> u64 {
    u64::try_from(days_between(from, to)).unwrap_or(0)
}
