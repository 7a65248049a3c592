//! Schedules: whether syncs must run as often as they do, by the records that their runs moved.

use jiff::civil::time;
use jiff::{SignedDuration, Timestamp};

use super::{Area, Row, Seen, Span, State, action, days_of, owner, unknown};
use crate::days::day_of;
use crate::finding::Check;
use crate::pipeline::{Pipeline, Sync};
use crate::schedule::{Rule, Schedule};
use crate::stats::median;
use crate::text::{counted, grouped, percent, rounded, words};

/// The fewest recorded days that show the load of a quarter.
const FEWEST_DAYS: usize = 28;
/// Runs that are further apart did not follow a schedule of minutes: between them was a pause or an outage.
const LONGEST_GAP: SignedDuration = SignedDuration::from_hours(24);
/// A sync whose runs are usually this far apart is daily already.
const DAILY: SignedDuration = SignedDuration::from_hours(20);
/// The records of a run are taken to arrive at so many instants since the run before.
const PARTS: i64 = 4;
/// The daily run, if the pipeline has no daily minimum schedule.
const DAILY_AT: (i8, i8) = (2, 0);

/// The records that the completed runs of a sync moved, and how long these waited for a run.
#[derive(Debug, PartialEq)]
struct Load {
    runs: usize,
    /// Runs that moved nothing.
    empty: usize,
    /// Records by the local hour of their run.
    by_hour: [u64; 24],
    /// Median and 95th percentile of the wait of a record, by the runs as they were.
    now: [SignedDuration; 2],
    /// The same, if one daily run had moved them.
    daily: [SignedDuration; 2],
    /// The median time between two runs.
    gap: SignedDuration,
}

/// One row for each sync.
pub(super) fn schedules(seen: &Seen, pipeline: &Pipeline, span: Span) -> Vec<Row> {
    let slots = daily_slots(pipeline, span);
    pipeline.syncs.iter().map(|sync| of_sync(seen, pipeline, sync, span, &slots)).collect()
}

/// The instants of a daily run over a span, and the first one after it.
fn daily_slots(pipeline: &Pipeline, span: Span) -> Vec<Timestamp> {
    let minimum = pipeline.objectives.minimum_schedule.clone();
    let daily = minimum.filter(|schedule| matches!(schedule.rule, Rule::Daily(_)));
    let daily = daily.unwrap_or_else(|| Schedule {
        rule: Rule::Daily(time(DAILY_AT.0, DAILY_AT.1, 0, 0)),
        time_zone: pipeline.time_zone.clone(),
        grace: SignedDuration::ZERO,
    });
    let first = daily.next_slot(span.from.saturating_sub(LONGEST_GAP).unwrap_or(span.from));
    let mut slots: Vec<Timestamp> =
        std::iter::successors(first, |slot| daily.next_slot(*slot).filter(|_| *slot < span.until)).collect();
    slots.sort_unstable();
    slots
}

fn of_sync(seen: &Seen, pipeline: &Pipeline, sync: &Sync, span: Span, slots: &[Timestamp]) -> Row {
    let subject = format!("schedule of {}", sync.key);
    let row = |state, evidence: String| Row::new(Area::Schedules, subject.clone(), state, evidence);
    let (runs, history) = match (&seen.runs, &seen.history) {
        (Ok(runs), Ok(history)) => (runs, history),
        (Err(why), _) | (_, Err(why)) => return Row::unread(Area::Schedules, subject, why),
    };
    let zone = &pipeline.time_zone;
    let days = days_of(history, span.quarter.first(), day_of(span.until, zone));
    let runs = runs.of(&sync.key);
    let runs: Vec<_> = runs.into_iter().filter(|(at, _)| (span.from..span.until).contains(at)).collect();
    if days < FEWEST_DAYS {
        let how = format!("audit again once {FEWEST_DAYS} days are recorded");
        return row(unknown(how), format!("{} recorded", counted(days, "day")));
    }
    let owner = owner(pipeline, Check::RunDue, &sync.key);
    let Some(load) = Load::of(&runs, slots, &|at| at.to_zoned(zone.clone()).hour()) else {
        let what = "ask its users whether the sync is still needed";
        let evidence =
            format!("no record moved on {}, in {}", counted(days, "day"), counted(runs.len(), "run"));
        return row(action(owner, what), evidence);
    };
    let state = match pipeline.objectives.max_lag {
        _ if load.gap >= DAILY => State::Ok,
        None => unknown("declare objectives.max_lag, the promise that a schedule keeps"),
        Some(limit) if load.daily[1] <= limit => {
            action(owner, "agree with the users on a daily run: it keeps the promise")
        }
        Some(_) => State::Ok,
    };
    row(state, load.evidence(pipeline.objectives.max_lag)).with(load.details(days))
}

impl Load {
    /// Computes it from completed runs, oldest first; `None` if they moved nothing. `hour` is the local hour of an instant.
    fn of(runs: &[(Timestamp, u64)], slots: &[Timestamp], hour: &dyn Fn(Timestamp) -> i8) -> Option<Self> {
        let mut by_hour = [0; 24];
        for (at, records) in runs {
            if let Some(of_hour) = usize::try_from(hour(*at)).ok().and_then(|hour| by_hour.get_mut(hour)) {
                *of_hour += records;
            }
        }
        let (mut now, mut daily, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
        for pair in runs.windows(2) {
            let [(before, _), (at, records)] = pair else { continue };
            let gap = at.duration_since(*before);
            if gap > LONGEST_GAP {
                continue;
            }
            gaps.push(gap.as_secs_f64());
            if *records == 0 {
                continue;
            }
            for part in 0..PARTS {
                // The middle of a part of the time since the run before.
                let wait = SignedDuration::from_secs(gap.as_secs() * (2 * part + 1) / (2 * PARTS));
                let arrived = *at - wait;
                now.push((wait, *records));
                let slot = slots.get(slots.partition_point(|slot| *slot < arrived));
                daily.extend(slot.map(|slot| (slot.duration_since(arrived), *records)));
            }
        }
        let gap = SignedDuration::from_secs(median(gaps)? as i64);
        let empty = runs.iter().filter(|(_, records)| *records == 0).count();
        let (now, daily) = (quantiles(now)?, quantiles(daily)?);
        Some(Self { runs: runs.len(), empty, by_hour, now, daily, gap })
    }

    fn evidence(&self, limit: Option<SignedDuration>) -> String {
        let [now, daily] =
            [self.now, self.daily].map(|[median, high]| format!("{} (p95 {})", words(median), words(high)));
        let empty = share(self.empty as u64, self.runs as u64);
        let promise = limit.map(|limit| format!("; promise {}", words(limit))).unwrap_or_default();
        format!(
            "every {}; {empty} of {} moved nothing; a record waits {now} for a run, {daily} for a daily one{promise}",
            words(self.gap),
            counted(self.runs, "run")
        )
    }

    fn details(&self, days: usize) -> Vec<String> {
        let all: u64 = self.by_hour.iter().sum();
        let hours = self.by_hour.iter().map(|records| share(*records, all).trim_end_matches('%').to_owned());
        vec![
            format!("records by local hour, 00 to 23, in percent: {}", hours.collect::<Vec<_>>().join(" ")),
            format!(
                "from {} moved on {}; records are assumed to arrive evenly between two runs, and runs more than {} apart are left out",
                grouped(all) + " records",
                counted(days, "recorded day"),
                words(LONGEST_GAP)
            ),
        ]
    }
}

fn share(part: u64, all: u64) -> String {
    percent(rounded(100.0 * part as f64 / all.max(1) as f64, 0, &[]))
}

/// The median and the 95th percentile of durations with their weights; `None` without weights.
fn quantiles(mut waits: Vec<(SignedDuration, u64)>) -> Option<[SignedDuration; 2]> {
    waits.sort_unstable();
    let all: u64 = waits.iter().map(|(_, records)| records).sum();
    let at = |percent: u64| {
        let mut seen = 0;
        waits.iter().find(|(_, records)| {
            seen += records;
            seen * 100 >= all * percent
        })
    };
    Some([at(50)?.0, at(95)?.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn waits_are_weighted_by_records_and_gaps_left_out() {
        let secs = SignedDuration::from_secs;
        let waits = vec![(secs(10), 94), (secs(20), 1), (secs(900), 5)];
        assert_eq!(quantiles(waits), Some([secs(10), secs(20)]));
        assert_eq!(quantiles(Vec::new()), None);
        let start = at("2026-11-02T10:00:00Z");
        // Of 10 records in half an hour, each waits 15 minutes on average. Those after the outage are left out.
        let hours = SignedDuration::from_hours;
        let minutes = SignedDuration::from_mins;
        let runs =
            [(start, 0), (start + minutes(30), 10), (start + minutes(60), 0), (start + hours(60), 500)];
        let load = Load::of(&runs, &[start + hours(12)], &|_| 7).unwrap();
        assert_eq!(load.now, [secs(675), secs(1_575)]);
        assert_eq!(load.daily, [hours(11) + minutes(30) + secs(675), hours(11) + minutes(30) + secs(1_575)]);
        assert_eq!((load.runs, load.empty, load.by_hour[7], load.gap), (4, 2, 510, minutes(30)));
        assert_eq!(Load::of(&runs[..1], &[], &|_| 0), None);
    }
}
