//! Decides which rows a snapshot writes: compares the observation with the stored rows. Pure.
//!
//! * figures of runs are computed again each time, because a run may end after midnight
//! * figures of the data are those of one moment: once a day has ended they stay, and a later state is never recorded for it
//! * unknown figures are listed as missing, never 0

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use syncwatch::aws::incidents::KEPT_AFTER_RESOLVED;
use syncwatch::classify::classify;
use syncwatch::days::{bounds, day_of};
use syncwatch::incident::{Episode, History};
use syncwatch::observation::{Run, RunStatus, Unread, error_percent, records_to_deliver};
use syncwatch::pipeline::Sync;
use syncwatch::scoreboard::RunsByHand;
use syncwatch::text::{minute_utc, words};

use crate::days::{LATE, StoredDays};
use crate::missing::{Figures, Missing, cut};
use crate::rows::{DataFigures, DayRow, IncidentFigures, LogRow, Records, RunRow};

/// The size of the column `notes`.
const NOTE_CHARS: usize = 2_000;

/// Everything that a snapshot has read.
#[derive(Debug, Clone)]
pub struct Observation<'p> {
    pub days: StoredDays,
    /// Stored runs of the days to write, and of the days before and after each.
    pub runs: Vec<RunRow>,
    /// One for each declared sync.
    pub census: Vec<SyncRuns<'p>>,
    pub data: DataLook,
    /// When each incident was open, and how many stored items could not be read; or why the store could not.
    pub incidents: Result<(Vec<History>, usize), String>,
}

/// The runs of one sync, as far back as the reads went.
#[derive(Debug, Clone)]
pub struct SyncRuns<'p> {
    pub sync: &'p Sync,
    /// Newest first, each once.
    pub runs: Vec<Run>,
    pub end: HistoryEnd,
}

/// The reason why reading a history ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryEnd {
    /// A run from before the days to write was found, or there are no older runs.
    Whole,
    /// Census has older runs and does not return them.
    TooLong,
    Unread(Unread),
}

impl SyncRuns<'_> {
    /// Whether all runs from this instant on are known.
    fn reaches_back_to(&self, from: Timestamp) -> bool {
        self.end == HistoryEnd::Whole || self.runs.last().is_some_and(|oldest| oldest.created_at < from)
    }

    fn why_not(&self) -> String {
        let key = &self.sync.key;
        let back_to = self.runs.last().map_or("nothing".to_owned(), |run| minute_utc(run.created_at));
        match &self.end {
            HistoryEnd::Unread(why) => format!("{key} could not be read: {why}"),
            HistoryEnd::Whole | HistoryEnd::TooLong => {
                format!("{key} was read back to {back_to} only")
            }
        }
    }
}

/// Selects the runs since an instant that people started; `None` unless all runs since then were read.
pub fn by_hand(census: &[SyncRuns<'_>], since: Timestamp, now: Timestamp) -> Option<RunsByHand> {
    let all = census.iter().all(|of| of.reaches_back_to(since));
    all.then(|| RunsByHand::among(census.iter().flat_map(|of| &of.runs), since, now))
}

/// The answer of the health view.
#[derive(Debug, Clone, PartialEq)]
pub enum DataLook {
    /// Its one row, and the reason for each unknown column.
    Taken { figures: DataFigures, unknown: Vec<String> },
    /// `passing`: the warehouse did not answer at that moment, and the view may be fine.
    Failed { why: String, passing: bool },
    /// `pipeline.toml` names no view.
    NotDeclared,
    /// Not queried: no day to write is recent enough, or its figures were taken before.
    NotAsked,
}

/// The change that a snapshot makes to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Insert,
    Update,
    /// The stored row is correct.
    Unchanged,
    /// The row is stored, and Census no longer returns the run.
    Kept,
}

impl Change {
    fn of<R: LogRow>(row: &R, stored: Option<&R>) -> Self {
        match stored {
            None => Self::Insert,
            Some(stored) if row.has_same_values(stored) => Self::Unchanged,
            Some(_) => Self::Update,
        }
    }
}

/// The planned rows of one day.
#[derive(Debug, Clone, PartialEq)]
pub struct DayPlan {
    pub day: DayRow,
    pub day_change: Change,
    /// All runs of the day.
    pub runs: Vec<(RunRow, Change)>,
}

impl DayPlan {
    /// Lists the runs with this change.
    pub fn runs_to(&self, change: Change) -> impl Iterator<Item = &RunRow> {
        self.runs.iter().filter(move |(_, of)| *of == change).map(|(run, _)| run)
    }

    /// Counts the rows with this change, including the row of the day.
    pub fn count(&self, change: Change) -> usize {
        self.runs_to(change).count() + usize::from(self.day_change == change)
    }
}

/// Whether the current state of the data counts for a day: during the day, and for [`LATE`] after it.
pub fn may_take_data(day: Date, zone: &TimeZone, now: Timestamp) -> bool {
    let (from, to) = bounds(day, day, zone);
    now >= from && now.duration_since(to) <= LATE
}

/// Whether to query the state of the data for a day. Complete figures of a day that has ended stay.
pub fn wants_data(day: Date, stored: &StoredDays, zone: &TimeZone, now: Timestamp) -> bool {
    let (_, to) = bounds(day, day, zone);
    let is_whole = |row: &DayRow| row.data.any() && !row.figures_missing.has(Figures::Data);
    may_take_data(day, zone, now) && !(to <= now && stored.row(day).is_some_and(is_whole))
}

/// Plans the rows of each of these days, in their order.
pub fn plan(
    seen: &Observation<'_>,
    days: &[Date],
    pipeline: &str,
    zone: &TimeZone,
    now: Timestamp,
) -> Vec<DayPlan> {
    let data_day = days.iter().copied().filter(|day| may_take_data(*day, zone, now)).max();
    let Read { ids, mut by_day } = Read::of(runs_of_census(seen, pipeline, zone));
    let of_day = |day: &Date| {
        let (from, to) = bounds(*day, *day, zone);
        let before = seen.days.row(*day);
        let look = DayContext { seen, day: *day, from, to, now, before, takes_data: data_day == Some(*day) };
        look.plan(&ids, by_day.remove(day).unwrap_or_default(), pipeline)
    };
    days.iter().map(of_day).collect()
}

/// The runs that Census returns, by day. They are moved, not copied: a night may have a hundred thousand.
struct Read {
    ids: HashSet<String>,
    by_day: BTreeMap<Date, Vec<RunRow>>,
}

impl Read {
    fn of(runs: BTreeMap<String, RunRow>) -> Self {
        let mut read = Self { ids: HashSet::with_capacity(runs.len()), by_day: BTreeMap::new() };
        for (id, row) in runs {
            read.ids.insert(id);
            read.by_day.entry(row.snapshot_date).or_default().push(row);
        }
        read
    }
}

/// Builds the row of each run that Census returns, by the run's id. A stored run keeps its key and its day when the sync is
/// renamed or the time zone changes: otherwise it would be written, and summed, twice.
fn runs_of_census(seen: &Observation<'_>, pipeline: &str, zone: &TimeZone) -> BTreeMap<String, RunRow> {
    let mut stored: BTreeMap<&str, Vec<&RunRow>> = BTreeMap::new();
    for row in &seen.runs {
        if let Some(id) = &row.run_id {
            stored.entry(id).or_default().push(row);
        }
    }
    let runs = seen.census.iter().flat_map(|of| of.runs.iter().map(move |run| (of.sync, run)));
    let with_id = runs.map(|(sync, run)| {
        let (id, mut row) = (run.id.to_string(), run_row(sync, run, pipeline, zone));
        let there = stored.get(id.as_str()).into_iter().flatten();
        // If two rows are stored, the one with today's key wins.
        if let Some(there) = there.min_by_key(|there| (there.audit_id != row.audit_id, &there.audit_id)) {
            row.audit_id.clone_from(&there.audit_id);
            row.snapshot_date = there.snapshot_date;
        }
        (id, row)
    });
    with_id.collect()
}

/// Builds the row of a run. Counts are taken once it has ended: those of a running one are not final.
fn run_row(sync: &Sync, run: &Run, pipeline: &str, zone: &TimeZone) -> RunRow {
    let ended = run.status.is_terminal();
    let end = run.completed_at.filter(|_| ended);
    let counts = run.counts;
    let known = |count: Option<u64>| count.filter(|_| ended).and_then(|count| i64::try_from(count).ok());
    // Either count alone would be too low, so both must be known.
    let failed = known(counts.failed).zip(known(counts.invalid)).map(|(a, b)| a.saturating_add(b));
    let (processed, succeeded) = (known(counts.processed), known(counts.updated));
    let records = Records { processed, succeeded, failed, error_rate: None };
    let error = run.error.as_ref().filter(|_| run.status == RunStatus::Failed);
    let notes = error.map(|error| format!("error class {}", classify(error).class));
    RunRow {
        audit_id: format!("run/{}/{}", sync.key, run.id),
        pipeline: pipeline.to_owned(),
        snapshot_date: day_of(run.created_at, zone),
        sync_name: Some(sync.key.clone()),
        sync_type: Some(sync.role.to_string()),
        run_id: Some(run.id.to_string()),
        status: Some(cut(&run.status.to_string(), 20)),
        execution_timestamp: run.created_at,
        duration_seconds: end.map(|end| end.duration_since(run.created_at).as_secs().max(0)),
        records: Records { error_rate: error_rate([&records]), ..records },
        notes,
    }
}

/// Computes the error rate of all runs together, in percent to four decimal places; `None` if there were no records to
/// deliver. Runs without both counts are left out.
fn error_rate<'r>(runs: impl IntoIterator<Item = &'r Records>) -> Option<f64> {
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    let of_run = |records: &Records| {
        let (processed, failed) = (count(records.processed?), count(records.failed?));
        Some((failed, records_to_deliver(processed, records.succeeded.map(count), failed)))
    };
    let (failed, to_deliver) = runs
        .into_iter()
        .filter_map(of_run)
        .fold((0_u64, 0_u64), |sum, run| (sum.0.saturating_add(run.0), sum.1.saturating_add(run.1)));
    error_percent(failed, to_deliver).map(|percent| (percent * 10_000.0).round() / 10_000.0)
}

/// Statuses of runs that delivered all or some of their records.
const DELIVERED: [RunStatus; 3] = [RunStatus::Completed, RunStatus::Failed, RunStatus::Cancelled];

fn is_one_of(run: &RunRow, statuses: &[RunStatus]) -> bool {
    run.status.as_deref().is_some_and(|word| statuses.iter().any(|status| status.to_string() == word))
}

/// One day, with everything that its plan depends on.
struct DayContext<'a> {
    seen: &'a Observation<'a>,
    day: Date,
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
    before: Option<&'a DayRow>,
    /// Whether the figures of the data that were just taken count for this day.
    takes_data: bool,
}

impl DayContext<'_> {
    fn plan(&self, ids: &HashSet<String>, mut rows: Vec<RunRow>, pipeline: &str) -> DayPlan {
        let stored = self.seen.runs.iter().filter(|row| row.snapshot_date == self.day);
        let stored: BTreeMap<&str, &RunRow> = stored.map(|row| (row.audit_id.as_str(), row)).collect();
        rows.sort_by(|a, b| a.audit_id.cmp(&b.audit_id));
        let with_change = |row: RunRow| {
            let change = Change::of(&row, stored.get(row.audit_id.as_str()).copied());
            (row, change)
        };
        let mut runs: Vec<(RunRow, Change)> = rows.into_iter().map(with_change).collect();
        // Runs that Census no longer returns are still in the log, and still count for this day.
        let forgotten = |row: &&&RunRow| row.run_id.as_ref().is_none_or(|id| !ids.contains(id));
        runs.extend(stored.values().filter(forgotten).map(|row| ((*row).clone(), Change::Kept)));
        let day = self.day_row(&runs.iter().map(|(run, _)| run).collect::<Vec<_>>(), pipeline);
        DayPlan { day_change: Change::of(&day, self.before), day, runs }
    }

    fn day_row(&self, runs: &[&RunRow], pipeline: &str) -> DayRow {
        let mut missing = Missing::default();
        let (records, duration_seconds, mut notes) = self.of_runs(runs, &mut missing);
        let (data, taken_at) = self.of_data(&mut missing);
        let incidents = self.of_incidents(&mut missing).unwrap_or_else(|why| {
            missing.add(Figures::Incidents, &why);
            self.before.map(|before| before.incidents).unwrap_or_default()
        });
        if data.any() && taken_at >= self.to {
            let late = words(taken_at.duration_since(self.to));
            notes = format!("{notes}; the state of the data was taken {late} after the day");
        }
        DayRow {
            audit_id: format!("day/{pipeline}/{}", self.day),
            pipeline: pipeline.to_owned(),
            snapshot_date: self.day,
            execution_timestamp: taken_at,
            duration_seconds,
            records,
            data,
            incidents,
            figures_missing: missing,
            notes: Some(cut(&notes, NOTE_CHARS)),
        }
    }

    /// Sums the records and durations of the runs, and describes them in a note.
    fn of_runs(&self, runs: &[&RunRow], missing: &mut Missing) -> (Records, Option<i64>, String) {
        if self.now < self.to {
            // More runs may begin until midnight: the next snapshot completes the day.
            missing.add(Figures::Runs, "the day had not ended");
        }
        let census = self.seen.census.iter();
        let unread: BTreeSet<String> =
            census.filter(|of| !of.reaches_back_to(self.from)).map(SyncRuns::why_not).collect();
        if !unread.is_empty() {
            unread.iter().for_each(|why| missing.add(Figures::Runs, why));
            // Keep the sums from when all runs were known. Without those, there is nothing to sum.
            let before = self.before.map(|before| (before.records, before.duration_seconds));
            let (records, duration) = before.unwrap_or_default();
            return (records, duration, format!("at least {}", in_words(runs)));
        }
        let delivered: Vec<&RunRow> = runs.iter().copied().filter(|run| is_one_of(run, &DELIVERED)).collect();
        let skipped = runs.iter().filter(|run| is_one_of(run, &[RunStatus::Skipped])).count();
        let at_work = runs.len() - delivered.len() - skipped;
        if at_work > 0 {
            missing.add(Figures::Runs, &format!("{at_work} of {} still running", runs.len()));
        }
        // Only runs with both counts are summed, because sums over different runs cannot be compared.
        let has_records = |run: &&RunRow| run.records.processed.is_some() && run.records.failed.is_some();
        let counted: Vec<&RunRow> = delivered.iter().copied().filter(has_records).collect();
        let endless = delivered.iter().filter(|run| run.duration_seconds.is_none()).count();
        for (without, of, figure) in [
            (delivered.len() - counted.len(), Figures::Records, "record counts"),
            (endless, Figures::Duration, "end time"),
        ] {
            if without > 0 {
                missing.add(of, &format!("{without} of {} runs have no {figure}", delivered.len()));
            }
        }
        let sum = |of: &[&RunRow], figure: fn(&RunRow) -> Option<i64>| {
            let known: Vec<i64> = of.iter().filter_map(|run| figure(run)).collect();
            // Without runs the sum is 0; if no run has the figure, the sum is unknown.
            let any = !known.is_empty() || (delivered.is_empty() && at_work == 0);
            any.then(|| known.iter().fold(0_i64, |sum, count| sum.saturating_add(*count)))
        };
        let records = Records {
            processed: sum(&counted, |run| run.records.processed),
            succeeded: sum(&counted, |run| run.records.succeeded),
            failed: sum(&counted, |run| run.records.failed),
            error_rate: error_rate(counted.iter().map(|run| &run.records)),
        };
        (records, sum(&delivered, |run| run.duration_seconds), in_words(runs))
    }

    /// Chooses the figures of the data, and returns when they were taken.
    fn of_data(&self, missing: &mut Missing) -> (DataFigures, Timestamp) {
        let ended = self.to <= self.now;
        if let Some(before) = self.before {
            let reasons = || before.figures_missing.reasons(Figures::Data);
            // Without figures, the stored reason is more useful than that it is now too late.
            let keeps = if before.data.any() {
                ended || !self.takes_data
            } else {
                ended && !self.takes_data && reasons().next().is_some()
            };
            if keeps {
                reasons().for_each(|why| missing.add(Figures::Data, why));
                return (before.data, before.execution_timestamp);
            }
        }
        let why = match &self.seen.data {
            DataLook::Taken { figures, unknown } if self.takes_data => {
                unknown.iter().for_each(|why| missing.add(Figures::Data, why));
                return (*figures, self.now);
            }
            DataLook::Failed { why, .. } if self.takes_data => why,
            DataLook::NotDeclared => "pipeline.toml names no health_view",
            DataLook::Taken { .. } | DataLook::Failed { .. } | DataLook::NotAsked => "no longer available",
        };
        let again =
            if self.before.is_some_and(|before| before.data.any()) { "not taken again, " } else { "" };
        missing.add(Figures::Data, &format!("{again}{why}"));
        self.before
            .map_or((DataFigures::default(), self.now), |there| (there.data, there.execution_timestamp))
    }

    /// Counts the incidents of the day, or returns the reason why they cannot be counted.
    fn of_incidents(&self, missing: &mut Missing) -> Result<IncidentFigures, String> {
        let (histories, unreadable) = self.seen.incidents.as_ref().map_err(Clone::clone)?;
        if self.to.saturating_add(KEPT_AFTER_RESOLVED).is_ok_and(|kept_until| kept_until < self.now) {
            return Err("kept for only 90 days".to_owned());
        }
        if histories.iter().any(|history| history.forgotten_until.is_some_and(|until| until >= self.from)) {
            return Err("one reopened so often since that its history is incomplete".to_owned());
        }
        if *unreadable > 0 {
            missing.add(Figures::Incidents, &format!("{unreadable} stored items cannot be read"));
        }
        let since_began = |end: fn(&Episode) -> Option<Timestamp>| -> Vec<SignedDuration> {
            let episodes = histories.iter().flat_map(|history| &history.episodes);
            let ends = episodes.filter_map(|episode| Some((episode.began_at, end(episode)?)));
            let here = ends.filter(|(_, end)| (self.from..self.to).contains(end));
            here.map(|(began_at, end)| end.duration_since(began_at)).collect()
        };
        let detected = since_began(|episode| Some(episode.told_at));
        let recovered = since_began(|episode| episode.resolved_at);
        let count = |of: &[SignedDuration]| i64::try_from(of.len()).ok();
        Ok(IncidentFigures {
            opened: count(&detected),
            resolved: count(&recovered),
            time_to_detect: mean_seconds(&detected),
            time_to_recover: mean_seconds(&recovered),
        })
    }
}

fn mean_seconds(durations: &[SignedDuration]) -> Option<i64> {
    let count = i64::try_from(durations.len()).ok().filter(|count| *count > 0)?;
    let sum = durations.iter().fold(0_i64, |sum, duration| sum.saturating_add(duration.as_secs().max(0)));
    Some(sum / count)
}

/// Summarises runs by status: `48 runs: 46 completed, 2 failed`.
fn in_words(runs: &[&RunRow]) -> String {
    let mut by_status: BTreeMap<&str, usize> = BTreeMap::new();
    for run in runs {
        *by_status.entry(run.status.as_deref().unwrap_or("of unknown status")).or_default() += 1;
    }
    let each: Vec<String> = by_status.iter().map(|(status, count)| format!("{count} {status}")).collect();
    match runs.len() {
        0 => "0 runs".to_owned(),
        1 => format!("1 run: {}", each.join(", ")),
        count => format!("{count} runs: {}", each.join(", ")),
    }
}

#[cfg(test)]
mod tests;
