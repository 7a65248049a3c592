//! The completed runs of some weeks, and what is usual of them: the item by which a silent sync is found within the day.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::value;
use crate::days::{day_of, days_between};
use crate::expect::{Excluded, Run, RunDay, Sensitivity, Usual, replay};
use crate::sql::Answer;
use crate::stats::median;

/// The days of runs that the usual ones are learnt from: the rule remembers 28 days with runs, and judges each of these by the
/// 28 before it.
pub const RUN_DAYS: i64 = 56;
/// Runs in one answer: about 4 MB.
pub(super) const PAGE: usize = 40_000;
/// The most runs that are read, as they are all in memory: 56 days of 70 syncs that run every 15 minutes.
const MOST_RUNS: usize = 400_000;
/// The figures of a sync that alert by their history: volume, error rate, duration and silence.
const FIGURES_OF_SYNC: usize = 4;

/// The completed runs of each sync: when each began (UTC), and the records that it moved. Runs without a known count are left
/// out, and a duplicate row counts once.
#[derive(Debug, Clone, Default)]
pub struct CompletedRuns {
    of: BTreeMap<String, Vec<(Timestamp, u64)>>,
    count: usize,
}

/// The usual runs of one sync, written each night and read by each round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsualRuns {
    pub usual: Usual,
    /// The day of the first counted run, and the last counted day, in the pipeline's zone.
    pub first: Date,
    pub day: Date,
    /// When the newest counted run began (UTC).
    pub until: Timestamp,
}

/// The stored usual runs of a sync, or why they cannot be read; and why newer ones could not be learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredUsual {
    pub usual: Result<UsualRuns, String>,
    pub failure: Option<String>,
}

/// Returns the limits of the silence rule for a pipeline of so many syncs.
pub fn silence_limits(syncs: usize) -> Sensitivity {
    Sensitivity::of(FIGURES_OF_SYNC.saturating_mul(syncs))
}

/// Groups the runs of a sync, oldest first, by their days in a zone. `excluded` has the reason why a day is not learnt from.
///
/// Slots are of local time: those of the hour that does not exist are absent, and those of the hour that comes twice do too.
pub fn run_days(
    runs: &[(Timestamp, bool)],
    slots: usize,
    zone: &TimeZone,
    excluded: &dyn Fn(Date) -> Option<Excluded>,
) -> Vec<RunDay> {
    let mut days: Vec<RunDay> = Vec::new();
    for (began, moved) in runs {
        let began = began.to_zoned(zone.clone());
        let minute =
            usize::from(began.hour().unsigned_abs()) * 60 + usize::from(began.minute().unsigned_abs());
        let run = Run { slot: minute * slots / (24 * 60), moved: *moved };
        match days.last_mut().filter(|day| day.date == began.date()) {
            Some(day) => day.runs.push(run),
            None => {
                let date = began.date();
                days.push(RunDay { date, excluded: excluded(date), runs: vec![run] });
            }
        }
    }
    days
}

impl CompletedRuns {
    /// Adds a page of [`super::Reads::completed`]. Returns the key that the next page follows, if there may be one; fails if
    /// there are more runs than are kept.
    pub fn add(&mut self, page: &Answer) -> Result<Option<String>, String> {
        let mut last = None;
        for row in page.rows() {
            let Some(key) = value::<String>(&row, "audit_id") else { continue };
            if last.as_ref() == Some(&key) {
                continue;
            }
            last = Some(key);
            let (sync, began) =
                (value::<String>(&row, "sync_name"), value::<Timestamp>(&row, "execution_timestamp"));
            if let (Some(sync), Some(began), Some(processed)) =
                (sync, began, value::<i64>(&row, "records_processed"))
            {
                self.of.entry(sync).or_default().push((began, u64::try_from(processed).unwrap_or(0)));
                self.count += 1;
            }
        }
        if self.count > MOST_RUNS {
            return Err(format!(
                "the audit log has more than {MOST_RUNS} completed runs in the days to read"
            ));
        }
        Ok(last.filter(|_| page.len() >= PAGE))
    }

    /// The runs of a sync, oldest first.
    pub fn of(&self, sync: &str) -> Vec<(Timestamp, u64)> {
        let mut runs = self.of.get(sync).cloned().unwrap_or_default();
        runs.sort_unstable();
        runs
    }

    /// Learns the usual runs of each sync until the end of the day `last`. `excluded` has the reason why a day of a sync is not
    /// learnt from.
    pub fn usual(
        self,
        last: Date,
        zone: &TimeZone,
        limits: &Sensitivity,
        excluded: &dyn Fn(&str, Date) -> Option<Excluded>,
    ) -> BTreeMap<String, UsualRuns> {
        let learn = |(sync, runs): (String, Vec<(Timestamp, u64)>)| {
            let mut runs: Vec<_> = runs.into_iter().map(|(began, moved)| (began, moved > 0)).collect();
            // After a change of the zone, the log may have a run under another day.
            runs.retain(|(began, _)| day_of(*began, zone) <= last);
            runs.sort_unstable();
            let (first, until) = (runs.first()?.0, runs.last()?.0);
            let slots = slots(&runs, zone);
            let days = run_days(&runs, slots, zone, &|day| excluded(&sync, day));
            let (_, usual) = replay(&days, slots, limits);
            let first = day_of(first, zone);
            Some((sync, UsualRuns { usual, first, day: last, until }))
        };
        self.of.into_iter().filter_map(learn).collect()
    }
}

impl UsualRuns {
    /// The days from the first counted run to the last counted day.
    pub fn days(&self) -> i64 {
        1 + days_between(self.first, self.day)
    }
}

/// Returns the slots of a day in which runs are compared: a quarter of an hour for syncs with 72 runs on a usual day or more, half
/// an hour from 36 on, else an hour. Finer slots than runs would leave most of them empty.
fn slots(runs: &[(Timestamp, bool)], zone: &TimeZone) -> usize {
    let a_day = run_days(runs, 1, zone, &|_| None).into_iter().map(|day| day.runs.len() as f64);
    match median(a_day) {
        Some(runs) if runs >= 72.0 => 96,
        Some(runs) if runs >= 36.0 => 48,
        _ => 24,
    }
}

#[cfg(test)]
impl CompletedRuns {
    /// The runs of syncs, as if they were read.
    pub(crate) fn with(of: BTreeMap<String, Vec<(Timestamp, u64)>>) -> Self {
        Self { of, count: 0 }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::{SignedDuration, ToSpan as _};
    use proptest::prelude::*;

    use super::super::tests::answer;
    use super::*;
    use crate::sql::{Kind, Value};

    const COLUMNS: [(&str, Kind); 4] = [
        ("audit_id", Kind::Text),
        ("sync_name", Kind::Text),
        ("execution_timestamp", Kind::Timestamp),
        ("records_processed", Kind::Integer),
    ];

    fn los_angeles() -> TimeZone {
        TimeZone::get("America/Los_Angeles").unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn row(key: &str, sync: &str, began: &str, processed: Option<i64>) -> Vec<Value> {
        let began = Value::Timestamp(at(began));
        let processed = processed.map_or(Value::Null, Value::Integer);
        vec![Value::Text(key.to_owned()), Value::Text(sync.to_owned()), began, processed]
    }

    /// Learns from runs of one sync, until 2026-11-24.
    fn learnt(runs: &[(Timestamp, bool)]) -> Option<UsualRuns> {
        let runs = runs.iter().map(|(began, moved)| (*began, u64::from(*moved))).collect();
        let of = BTreeMap::from([("a".to_owned(), runs)]);
        let runs = CompletedRuns { of, count: 0 };
        runs.usual(date(2026, 11, 24), &los_angeles(), &silence_limits(2), &|_, _| None).remove("a")
    }

    /// Runs every so many minutes until the end of 2026-11-24 in Los Angeles; those between 9 and 17 o'clock move records.
    fn busy_days(days: i64, minutes: i64) -> Vec<(Timestamp, bool)> {
        let end = at("2026-11-25T08:00:00Z");
        let runs = (1..=days * 24 * 60 / minutes).rev().map(|back| end - (back * minutes).minutes());
        runs.map(|began| (began, (9..17).contains(&began.to_zoned(los_angeles()).hour()))).collect()
    }

    #[test]
    fn duplicate_row_counts_once_and_unknown_counts_are_left_out() {
        let mut runs = CompletedRuns::default();
        let rows = vec![
            row("run/a/1", "a", "2026-11-24T10:00:00Z", Some(5)),
            row("run/a/1", "a", "2026-11-24T10:00:00Z", Some(5)),
            row("run/a/2", "a", "2026-11-24T10:15:00Z", Some(0)),
            row("run/a/3", "a", "2026-11-24T10:30:00Z", None),
            vec![Value::Text("run/a/4".to_owned()), Value::Null, Value::Null, Value::Integer(1)],
        ];
        assert_eq!(runs.add(&answer(&COLUMNS, rows)), Ok(None), "a page that is not full is the last");
        let expected = [(at("2026-11-24T10:00:00Z"), 5), (at("2026-11-24T10:15:00Z"), 0)];
        assert_eq!((&runs.of["a"][..], runs.count), (&expected[..], 2));
    }

    #[test]
    fn full_page_names_the_key_that_the_next_one_follows() {
        let mut runs = CompletedRuns::default();
        let rows = |from: usize| -> Vec<Vec<Value>> {
            let key = |number: usize| format!("run/a/{number:07}");
            let row = |number| row(&key(number), "a", "2026-11-24T10:00:00Z", Some(1));
            (from..from + PAGE).map(row).collect()
        };
        for page in 0..MOST_RUNS / PAGE {
            let last = format!("run/a/{:07}", (page + 1) * PAGE - 1);
            assert_eq!(runs.add(&answer(&COLUMNS, rows(page * PAGE))), Ok(Some(last)));
        }
        let many = "the audit log has more than 400000 completed runs in the days to read";
        assert_eq!(runs.add(&answer(&COLUMNS, rows(MOST_RUNS))), Err(many.to_owned()));
    }

    #[test]
    fn slots_are_as_long_as_the_time_between_usual_runs() {
        let slots = |minutes| learnt(&busy_days(8, minutes)).unwrap().usual.slots();
        let table = [(5, 96), (15, 96), (20, 96), (30, 48), (40, 48), (60, 24), (24 * 60, 24)];
        for (minutes, expected) in table {
            assert_eq!(slots(minutes), expected, "every {minutes} minutes");
        }
    }

    #[test]
    fn item_names_its_days_and_ends_with_the_last_whole_day() {
        assert_eq!(learnt(&[]), None);
        let mut runs = busy_days(30, 15);
        let until = runs.last().unwrap().0;
        // Of the next day already.
        runs.push((at("2026-11-25T08:00:00Z"), true));
        let usual = learnt(&runs).unwrap();
        assert_eq!((usual.first, usual.day), (date(2026, 10, 26), date(2026, 11, 24)));
        assert_eq!((usual.days(), usual.until), (30, until));
        assert_eq!(usual.usual.standing().runs, 28, "the runs since five in the afternoon");
        assert_eq!(learnt(&runs[runs.len() - 1..]), None, "no run until that day");
    }

    #[test]
    fn slots_are_local_on_both_days_on_which_clocks_change() {
        // The date, its runs of each hour (UTC), and their slots of an hour.
        let table = [
            (date(2027, 3, 14), "2027-03-14T08:00:00Z", 23, [0, 1, 3, 4]),
            (date(2026, 11, 1), "2026-11-01T07:00:00Z", 25, [0, 1, 1, 2]),
        ];
        for (day, midnight, hours, first) in table {
            let runs: Vec<_> =
                (0..hours).map(|hour| (at(midnight) + SignedDuration::from_hours(hour), true)).collect();
            let days = run_days(&runs, 24, &los_angeles(), &|_| None);
            assert_eq!(days.len(), 1, "{days:?}");
            let slots: Vec<usize> = days[0].runs.iter().map(|run| run.slot).collect();
            assert_eq!((days[0].date, &slots[..4], slots.last()), (day, &first[..], Some(&23)));
        }
    }

    #[test]
    fn excluded_day_is_not_learnt_from() {
        let holiday = date(2026, 11, 24);
        let quiet = |day| (day == holiday).then(|| Excluded::QuietDay { name: "Feast".to_owned() });
        let days = run_days(&busy_days(2, 60), 24, &los_angeles(), &quiet);
        let excluded: Vec<bool> = days.iter().map(|day| day.excluded.is_some()).collect();
        assert_eq!(excluded, [false, true]);
    }

    proptest! {
        #[test]
        fn every_run_is_in_one_day_and_in_a_slot_of_it(
            minutes in proptest::collection::vec(0_i64..500_000, 0..200),
            slots in prop::sample::select(vec![24_usize, 48, 96]),
        ) {
            let start = at("2026-09-01T00:00:00Z");
            let mut runs: Vec<_> = minutes.iter().map(|n| (start + n.minutes(), n % 3 == 0)).collect();
            runs.sort_unstable();
            let days = run_days(&runs, slots, &los_angeles(), &|_| None);
            prop_assert!(days.is_sorted_by(|a, b| a.date < b.date), "each date once, in order");
            prop_assert_eq!(days.iter().map(|day| day.runs.len()).sum::<usize>(), runs.len());
            prop_assert!(days.iter().flat_map(|day| &day.runs).all(|run| run.slot < slots));
        }
    }
}
