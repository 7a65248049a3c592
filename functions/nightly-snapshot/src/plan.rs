//! Decides which rows a snapshot writes: from what was observed to the difference with what is stored. Pure.
//!
//! * what comes from runs is reckoned anew each time: a run that still worked at midnight ends later
//! * the state of the data is that of one moment: of a day that has ended, the figures that were taken of it stay, and none is
//!   ever taken for it from a later look at the present
//! * what is not known is missing and named, never 0

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use syncwatch::aws::incidents::KEPT_AFTER_RESOLVED;
use syncwatch::classify::{Signs, classify};
use syncwatch::incident::History;
use syncwatch::observation::{Run, RunStatus, Unread, error_percent, records_to_deliver};
use syncwatch::pipeline::Sync;
use syncwatch::text::{minute_utc, words};

use crate::days::{LATE, StoredDays, bounds, day_of};
use crate::rows::{DataFigures, IncidentFigures, Kind, Missing, Records, Row, cut};

/// What the column `notes` holds at the most.
const NOTE_CHARS: usize = 2_000;

/// Everything that a snapshot looked at.
#[derive(Debug, Clone)]
pub struct Observation<'p> {
    /// The days that the audit log has.
    pub days: StoredDays,
    /// The runs that it has of the days concerned, and of those beside them.
    pub runs: Vec<Row>,
    /// What Census has, for each declared sync.
    pub census: Vec<SyncRuns<'p>>,
    pub data: DataLook,
    pub incidents: IncidentLook,
}

/// The runs of one sync, as far back as they were read.
#[derive(Debug, Clone)]
pub struct SyncRuns<'p> {
    pub sync: &'p Sync,
    /// Newest first, each once.
    pub runs: Vec<Run>,
    /// Why there are no more.
    pub end: HistoryEnd,
}

/// Why reading a history ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryEnd {
    /// A run from before the days concerned was seen, or there are no older ones.
    Whole,
    /// Census keeps or gives no older ones, and says that there were.
    TooLong,
    /// Census did not answer any more.
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
            HistoryEnd::Unread(why) => format!("Census does not tell those of {key}: {why}"),
            HistoryEnd::Whole | HistoryEnd::TooLong => {
                format!("the history of {key} was read back to {back_to} only")
            }
        }
    }
}

/// What the health view answered.
#[derive(Debug, Clone, PartialEq)]
pub enum DataLook {
    /// Its one row; and the columns that were not there or not what they should be.
    Taken {
        figures: DataFigures,
        /// Which of them are unknown, and why.
        unknown: Vec<String>,
    },
    Failed {
        why: String,
        /// Whether it is the warehouse that did not answer in that moment, and not this view.
        passing: bool,
    },
    /// `pipeline.toml` names no view.
    NotDeclared,
    /// It was not asked, as no day concerned is so recent, or all of it was taken before.
    NotAsked,
}

/// What the store of incidents has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncidentLook {
    /// When each incident was open, and how many items could not be read.
    Read {
        /// One of each incident.
        histories: Vec<History>,
        /// Items that are no incidents.
        unreadable: usize,
    },
    /// It could not be read.
    Failed(String),
}

/// What is to be written of one day.
#[derive(Debug, Clone, PartialEq)]
pub struct DayPlan {
    /// The row of the day, as it will be.
    pub day: Row,
    /// Rows of runs that are not there.
    pub insert: Vec<Row>,
    /// Rows of runs that say something else than what is there.
    pub update: Vec<Row>,
    /// What becomes of the row of the day.
    pub day_row: DayRow,
    /// Rows that are there as they should be.
    pub unchanged: usize,
    /// All runs of the day, as they will be.
    pub all_runs: Vec<Row>,
}

/// What becomes of the row of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayRow {
    /// It is not there yet.
    Insert,
    Update,
    /// It is there as it should be.
    Unchanged,
}

impl DayPlan {
    /// How many rows it writes.
    pub fn writes(&self) -> usize {
        self.insert.len() + self.update.len() + usize::from(self.day_row != DayRow::Unchanged)
    }
}

/// Whether the state of the data may be taken for a day at this moment: while it lasts, and for a few hours after it.
pub fn may_take_data(day: Date, zone: &TimeZone, now: Timestamp) -> bool {
    let (from, to) = bounds(day, zone);
    now >= from && now.duration_since(to) <= LATE
}

/// Whether the state of the data is to be looked at for a day: once the day has ended, what was taken of it stays.
pub fn wants_data(day: Date, stored: &StoredDays, zone: &TimeZone, now: Timestamp) -> bool {
    let (_, to) = bounds(day, zone);
    let is_whole = |row: &Row| row.data.any() && said_of_data(row).is_empty();
    let taken = to <= now && stored.rows.iter().any(|row| row.snapshot_date == day && is_whole(row));
    may_take_data(day, zone, now) && !taken
}

/// Where the row of a run is, or will be.
#[derive(Debug, Clone)]
struct Home {
    audit_id: String,
    day: Date,
}

/// The home of each run that Census tells, by its id. A run that is stored keeps its row, whatever the sync is called now and
/// wherever midnight is now: else it would be written, and summed, twice.
fn homes(seen: &Observation<'_>, zone: &TimeZone) -> BTreeMap<String, Home> {
    let mut stored: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in &seen.runs {
        if let Some(id) = &row.run_id {
            stored.entry(id).or_default().push(row);
        }
    }
    let mut homes = BTreeMap::new();
    for (sync, run) in seen.census.iter().flat_map(|of| of.runs.iter().map(move |run| (of.sync, run))) {
        let id = run.id.to_string();
        let audit_id = audit_id_of_run(sync, run);
        let rows = stored.get(id.as_str()).map(Vec::as_slice).unwrap_or_default();
        // Where there are two of them from before, that of today's key.
        let row = rows.iter().find(|row| row.audit_id == audit_id);
        let row = row.or_else(|| rows.iter().min_by_key(|row| &row.audit_id));
        let home = match row {
            Some(row) => Home { audit_id: row.audit_id.clone(), day: row.snapshot_date },
            None => Home { audit_id, day: day_of(run.created_at, zone) },
        };
        homes.insert(id, home);
    }
    homes
}

fn audit_id_of_run(sync: &Sync, run: &Run) -> String {
    format!("run/{}/{}", sync.key, run.id)
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
    let homes = homes(seen, zone);
    days.iter().map(|day| plan_day(seen, &homes, *day, data_day == Some(*day), pipeline, zone, now)).collect()
}

fn plan_day(
    seen: &Observation<'_>,
    homes: &BTreeMap<String, Home>,
    day: Date,
    data_is_of_this_day: bool,
    pipeline: &str,
    zone: &TimeZone,
    now: Timestamp,
) -> DayPlan {
    let (from, to) = bounds(day, zone);
    let stored: BTreeMap<&str, &Row> = seen
        .runs
        .iter()
        .filter(|row| row.snapshot_date == day)
        .map(|row| (row.audit_id.as_str(), row))
        .collect();
    let wanted: BTreeMap<String, Row> = seen
        .census
        .iter()
        .flat_map(|of| of.runs.iter().map(move |run| (of.sync, run)))
        .filter_map(|(sync, run)| Some((sync, run, homes.get(&run.id.to_string())?)))
        .filter(|(_, _, home)| home.day == day)
        .map(|(sync, run, home)| run_row(sync, run, home))
        .map(|row| (row.audit_id.clone(), row))
        .collect();
    let (mut insert, mut update, mut unchanged) = (Vec::new(), Vec::new(), 0);
    for (id, row) in &wanted {
        match stored.get(id.as_str()) {
            None => insert.push(row.clone()),
            Some(there) if row.says_the_same(there) => unchanged += 1,
            Some(_) => update.push(row.clone()),
        }
    }
    // Runs that Census does not give any more are still in the log, and still of this day.
    let told = |row: &Row| row.run_id.as_ref().is_some_and(|id| homes.contains_key(id));
    let only_stored = stored.values().copied().filter(|row| !told(row));
    let all: Vec<&Row> = wanted.values().chain(only_stored).collect();
    let before = seen.days.rows.iter().find(|row| row.snapshot_date == day);
    let look = Look { seen, from, to, now, before };
    let day_row = look.day_row(day, &all, data_is_of_this_day, pipeline);
    let outcome = match before {
        None => DayRow::Insert,
        Some(there) if day_row.says_the_same(there) => DayRow::Unchanged,
        Some(_) => DayRow::Update,
    };
    unchanged += usize::from(outcome == DayRow::Unchanged);
    let all_runs = all.into_iter().cloned().collect();
    DayPlan { all_runs, day: day_row, insert, update, day_row: outcome, unchanged }
}

/// The row of a run. Counts are taken once it has ended: those of a run at work are on their way.
fn run_row(sync: &Sync, run: &Run, home: &Home) -> Row {
    let ended = run.status.is_terminal();
    let end = run.completed_at.filter(|_| ended);
    let took = end.map(|end| end.duration_since(run.created_at).as_secs().max(0));
    let counts = run.counts;
    let known = |count: Option<u64>| count.filter(|_| ended).and_then(|count| i64::try_from(count).ok());
    // One of the two alone is not all that failed.
    let failed = known(counts.failed).zip(known(counts.invalid)).map(|(a, b)| a.saturating_add(b));
    let records = Records {
        processed: known(counts.processed),
        succeeded: known(counts.updated),
        failed,
        error_rate: None,
    };
    let notes = run.error.as_ref().filter(|_| run.status == RunStatus::Failed).map(|error| {
        let class = classify(Signs { error: Some(error), samples: &[] }).class;
        format!("error class {}", class.id())
    });
    Row {
        audit_id: home.audit_id.clone(),
        kind: Kind::Run,
        snapshot_date: home.day,
        sync_name: Some(sync.key.clone()),
        sync_type: Some(sync.role.to_string()),
        run_id: Some(run.id.to_string()),
        status: Some(cut(&run.status.to_string(), 20)),
        execution_timestamp: run.created_at,
        duration_seconds: took,
        records: Records { error_rate: error_rate(&[&records]), ..records },
        data: DataFigures::default(),
        incidents: IncidentFigures::default(),
        figures_missing: None,
        notes,
    }
}

/// Of runs together, in percent, to four places; `None` if nothing was to be delivered. Only runs of which both counts are
/// known say anything of it.
fn error_rate(runs: &[&Records]) -> Option<f64> {
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    let of_run = |records: &&Records| {
        let (processed, failed) = (count(records.processed?), count(records.failed?));
        Some((failed, records_to_deliver(processed, records.succeeded.map(count), failed)))
    };
    let (failed, to_deliver) = runs
        .iter()
        .filter_map(of_run)
        .fold((0_u64, 0_u64), |sum, run| (sum.0.saturating_add(run.0), sum.1.saturating_add(run.1)));
    error_percent(failed, to_deliver).map(|percent| (percent * 10_000.0).round() / 10_000.0)
}

/// Whether a run says of its records what a day's sums need: sums of different runs say nothing of each other.
fn says_its_records(run: &Row) -> bool {
    run.records.processed.is_some() && run.records.failed.is_some()
}

/// One day, and what there is to say of it.
struct Look<'a> {
    seen: &'a Observation<'a>,
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
    before: Option<&'a Row>,
}

impl Look<'_> {
    fn day_row(&self, day: Date, runs: &[&Row], data_is_of_this_day: bool, pipeline: &str) -> Row {
        let mut missing = Missing::default();
        let (records, duration_seconds, notes) = self.of_runs(runs, &mut missing);
        let (data, taken_at) = self.of_data(data_is_of_this_day, &mut missing);
        let incidents = self.of_incidents(&mut missing);
        let mut notes = vec![notes];
        if data.any() && taken_at >= self.to {
            notes.push(format!(
                "the state of the data is that of {} after the day",
                words(taken_at.duration_since(self.to))
            ));
        }
        Row {
            audit_id: format!("day/{pipeline}/{day}"),
            kind: Kind::Day,
            snapshot_date: day,
            sync_name: None,
            sync_type: None,
            run_id: None,
            status: None,
            execution_timestamp: taken_at,
            duration_seconds,
            records,
            data,
            incidents,
            figures_missing: missing.text(),
            notes: Some(cut(&notes.join("; "), NOTE_CHARS)),
        }
    }

    fn of_runs(&self, runs: &[&Row], missing: &mut Missing) -> (Records, Option<i64>, String) {
        let unknown: BTreeSet<String> = self
            .seen
            .census
            .iter()
            .filter(|of| !of.reaches_back_to(self.from))
            .map(SyncRuns::why_not)
            .collect();
        if self.now < self.to {
            // So that the next look completes it, whenever that is: more runs may begin until midnight.
            missing.of_runs("the day had not ended");
        }
        for why in &unknown {
            missing.of_runs(why);
        }
        let notes = if unknown.is_empty() { in_words(runs) } else { format!("at least {}", in_words(runs)) };
        if !unknown.is_empty() {
            // What was reckoned when all runs were known stands; else there is nothing to reckon a sum from.
            let records = self.before.map(|before| before.records).unwrap_or_default();
            let duration = self.before.and_then(|before| before.duration_seconds);
            return (records, duration, notes);
        }
        let ended = |run: &&&Row| status(run).is_some_and(|status| status.is_terminal());
        let at_work = runs.len() - runs.iter().filter(ended).count();
        if at_work > 0 {
            missing.of_runs(&format!("{at_work} of {} still at work", runs.len()));
        }
        let delivered: Vec<&Row> = runs
            .iter()
            .copied()
            .filter(|run| {
                matches!(status(run), Some(RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled))
            })
            .collect();
        let telling: Vec<&Row> = delivered.iter().copied().filter(|run| says_its_records(run)).collect();
        let silent = delivered.len() - telling.len();
        if silent > 0 {
            missing.of("records", &format!("{silent} of {} runs do not say theirs", delivered.len()));
        }
        let endless = delivered.iter().filter(|run| run.duration_seconds.is_none()).count();
        if endless > 0 {
            missing
                .of("duration", &format!("{endless} of {} runs do not say when they ended", delivered.len()));
        }
        let sum = |of: &[&Row], figure: fn(&Row) -> Option<i64>| {
            let known: Vec<i64> = of.iter().filter_map(|run| figure(run)).collect();
            // No run at all is nothing processed; runs of which none says anything are unknown.
            let any = !known.is_empty() || (delivered.is_empty() && at_work == 0);
            any.then(|| known.iter().fold(0_i64, |sum, count| sum.saturating_add(*count)))
        };
        let records = Records {
            processed: sum(&telling, |run| run.records.processed),
            succeeded: sum(&telling, |run| run.records.succeeded),
            failed: sum(&telling, |run| run.records.failed),
            error_rate: error_rate(&telling.iter().map(|run| &run.records).collect::<Vec<_>>()),
        };
        (records, sum(&delivered, |run| run.duration_seconds), notes)
    }

    /// The figures of the data, and when they were taken.
    fn of_data(&self, data_is_of_this_day: bool, missing: &mut Missing) -> (DataFigures, Timestamp) {
        let ended = self.to <= self.now;
        let kept = self.before.filter(|before| before.data.any());
        let stored_at = self.before.map_or(self.now, |before| before.execution_timestamp);
        if let Some(kept) = kept.filter(|_| ended || !data_is_of_this_day) {
            said_of_data(kept).iter().for_each(|why| missing.of(DATA, why));
            return (kept.data, kept.execution_timestamp);
        }
        let said: Vec<&str> = self.before.map(said_of_data).unwrap_or_default();
        if ended && !data_is_of_this_day && !said.is_empty() {
            // Why it could not be had then says more than that it is too late now.
            said.iter().for_each(|why| missing.of(DATA, why));
            return (DataFigures::default(), stored_at);
        }
        let look = if data_is_of_this_day { &self.seen.data } else { &DataLook::NotAsked };
        let why = match (look, &self.seen.data) {
            (DataLook::Taken { figures, unknown }, _) => {
                for why in unknown {
                    missing.of(DATA, why);
                }
                return (*figures, self.now);
            }
            (_, DataLook::NotDeclared) => "pipeline.toml names no health_view".to_owned(),
            (DataLook::Failed { why, .. }, _) => why.clone(),
            (DataLook::NotAsked | DataLook::NotDeclared, _) => "cannot be had any more".to_owned(),
        };
        if let Some(kept) = kept {
            missing.of(DATA, &format!("not taken again, {why}"));
            return (kept.data, kept.execution_timestamp);
        }
        missing.of(DATA, &why);
        (DataFigures::default(), stored_at)
    }

    fn of_incidents(&self, missing: &mut Missing) -> IncidentFigures {
        let before = self.before.map(|before| before.incidents).unwrap_or_default();
        let (histories, unreadable) = match &self.seen.incidents {
            IncidentLook::Failed(why) => {
                missing.of(INCIDENTS, why);
                return before;
            }
            IncidentLook::Read { histories, unreadable } => (histories, *unreadable),
        };
        if self.to.saturating_add(KEPT_AFTER_RESOLVED).is_ok_and(|kept_until| kept_until < self.now) {
            missing.of(INCIDENTS, "they are kept for 90 days");
            return before;
        }
        let forgotten = |history: &&History| history.forgotten_until.is_some_and(|until| until >= self.from);
        if histories.iter().any(|history| forgotten(&history)) {
            missing.of(INCIDENTS, "one was open so often since that not all of it is kept");
            return before;
        }
        if unreadable > 0 {
            missing.of(INCIDENTS, &format!("{unreadable} stored items cannot be read"));
        }
        let here = |instant: Timestamp| instant >= self.from && instant < self.to;
        let episodes = || histories.iter().flat_map(|history| &history.episodes);
        let detected: Vec<SignedDuration> = episodes()
            .filter(|episode| here(episode.told_at))
            .map(|episode| episode.told_at.duration_since(episode.began_at))
            .collect();
        let recovered: Vec<SignedDuration> = episodes()
            .filter_map(|episode| Some((episode.began_at, episode.resolved_at.filter(|at| here(*at))?)))
            .map(|(began_at, resolved_at)| resolved_at.duration_since(began_at))
            .collect();
        let count = |of: &[SignedDuration]| i64::try_from(of.len()).ok();
        IncidentFigures {
            opened: count(&detected),
            resolved: count(&recovered),
            time_to_detect: mean_seconds(&detected),
            time_to_recover: mean_seconds(&recovered),
        }
    }
}

const DATA: &str = "data";
const DATA_LEAD: &str = "data: ";
const INCIDENTS: &str = "incidents";

/// What a row says of missing figures of the data.
fn said_of_data(row: &Row) -> Vec<&str> {
    let entries = row.figures_missing.iter().flat_map(|missing| missing.split("; "));
    entries.filter_map(|entry| entry.strip_prefix(DATA_LEAD)).collect()
}

fn mean_seconds(durations: &[SignedDuration]) -> Option<i64> {
    let count = i64::try_from(durations.len()).ok().filter(|count| *count > 0)?;
    let sum = durations.iter().fold(0_i64, |sum, duration| sum.saturating_add(duration.as_secs().max(0)));
    Some(sum / count)
}

/// The status of a stored or wanted run.
fn status(run: &Row) -> Option<RunStatus> {
    let word = run.status.as_deref()?;
    let known = [
        RunStatus::Queued,
        RunStatus::Working,
        RunStatus::Completed,
        RunStatus::Failed,
        RunStatus::Skipped,
        RunStatus::Cancelled,
    ];
    let named = known.into_iter().find(|status| status.to_string() == word);
    Some(named.unwrap_or_else(|| RunStatus::Unknown(word.to_owned())))
}

/// `48 runs: 46 completed, 2 failed`.
fn in_words(runs: &[&Row]) -> String {
    let mut by_status: BTreeMap<&str, usize> = BTreeMap::new();
    for run in runs {
        *by_status.entry(run.status.as_deref().unwrap_or("of unknown status")).or_default() += 1;
    }
    let each: Vec<String> = by_status.iter().map(|(status, count)| format!("{count} {status}")).collect();
    match runs.len() {
        0 => "no run".to_owned(),
        1 => format!("1 run: {}", each.join(", ")),
        count => format!("{count} runs: {}", each.join(", ")),
    }
}

#[cfg(test)]
mod tests;
