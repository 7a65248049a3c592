//! Reads the sources of a snapshot: the audit log, Census, the health view and the store of incidents.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use jiff::civil::Date;
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::census::Client;
use syncwatch::days::days_before;
use syncwatch::history::{History as Figures, Tally};
use syncwatch::incident::Incident;
use syncwatch::judge::data::Trouble;
use syncwatch::marks::Mark;
use syncwatch::observation::{Run, Unread};
use syncwatch::pipeline::{Pipeline, Sync};
use syncwatch::runtime::warehouse::Asker;
use syncwatch::sql::{Answer, Columns, Error, ErrorKind, ParameterValue, Row as Answered, Unreadable};
use tokio::time::{Instant, timeout_at};

use crate::days::{Scope, StoredDays, first_checked};
use crate::plan::{DataLook, HistoryEnd, SyncRuns};
use crate::rows::{DataFigures, DayRow, LogRow, RunRow};
use crate::statements::{RUNS_A_PAGE, Statements};

/// Syncs whose runs are read at the same time.
const CONCURRENT_READS: usize = 10;
/// Runs on a page; the maximum of Census.
const PAGE_SIZE: u32 = 100;
/// Limit for all reads of Census: they run within the warehouse's time, most of which is for the writes.
const CENSUS_LIMIT: Duration = Duration::from_secs(20);
/// The most stored runs that are read: three days of 100,000 runs each.
const MOST_STORED: usize = 300_000;
/// The most pages of one sync: a month of runs every ten minutes.
const MOST_PAGES: u32 = 45;

/// Reads the days that the audit log has. Nothing may be written without them.
pub async fn stored_days(
    asker: Asker<'_>,
    statements: &Statements<'_>,
    scope: Scope,
    closing: Date,
) -> Result<StoredDays, Error> {
    let span = asker.ask(&statements.span()).await?;
    let also = match scope {
        Scope::Night => None,
        Scope::Day(day) => Some(day),
    };
    let days = asker.ask(&statements.days(first_checked(closing), also)).await?;
    let span = span.only_row()?;
    Ok(StoredDays {
        first: span.get("first_day")?,
        newest: span.get("newest_day")?,
        rows: days.rows().map(|row| DayRow::read_whole(&row)).collect::<Result<_, _>>()?,
    })
}

/// Reads the stored runs of these days and of the days next to them, where a change of the pipeline's time zone may have left
/// a run.
pub async fn stored_runs(
    asker: Asker<'_>,
    statements: &Statements<'_>,
    days: &[Date],
) -> Result<Vec<RunRow>, Error> {
    let beside = days.iter().flat_map(|day| (-1..=1).map(|days| days_before(*day, days)));
    let days: Vec<Date> = beside.collect::<BTreeSet<_>>().into_iter().collect();
    let mut runs: Vec<RunRow> = Vec::new();
    loop {
        let statement = statements.runs(&days, runs.last().map_or("", |last| &last.audit_id));
        let page = asker.ask(&statement).await?;
        for row in page.rows() {
            runs.push(RunRow::read_whole(&row)?);
        }
        if page.len() < RUNS_A_PAGE {
            return Ok(runs);
        }
        if runs.len() >= MOST_STORED {
            return Err(ErrorKind::TooManyRows { limit: MOST_STORED }.of(statement.label()));
        }
    }
}

/// Counts how the stored runs of a span of days ended, by sync, except on the days `without`.
pub async fn outcomes(
    asker: Asker<'_>,
    statements: &Statements<'_>,
    (from, to): (Date, Date),
    without: &[Date],
) -> Result<BTreeMap<String, Tally>, Error> {
    let answer = asker.ask(&statements.outcomes(from, to)).await?;
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for row in answer.rows() {
        if without.contains(&row.get("snapshot_date")?) {
            continue;
        }
        let (sync, status): (Option<String>, Option<String>) = (row.get("sync_name")?, row.get("status")?);
        if let (Some(sync), Some(status)) = (sync, status) {
            let runs = u64::try_from(row.get::<i64>("runs")?).unwrap_or(0);
            tallies.entry(sync).or_default().count(&status, runs);
        }
    }
    Ok(tallies)
}

/// Reads the state of the data from the health view.
pub async fn data(asker: Asker<'_>, statements: &Statements<'_>) -> DataLook {
    let Some(statement) = statements.health() else { return DataLook::NotDeclared };
    let answer = asker.ask(&statement).await;
    match answer.as_ref().map_err(Clone::clone).and_then(Answer::only_row) {
        Ok(row) => figures(&row),
        Err(error) => {
            DataLook::Failed { why: error.to_string(), passing: Trouble::Failed(error).is_of_the_warehouse() }
        }
    }
}

fn figures(row: &Answered<'_>) -> DataLook {
    let mut unreadable = Unreadable::new();
    let figures = DataFigures::read("", row, &mut unreadable);
    let why = |(column, value): (&str, ParameterValue)| {
        match unreadable.iter().find(|(of, _)| *of == column) {
            Some((_, error)) => Some(format!("{column}, {error}")),
            // Without properties there is no coverage.
            None if value.is_null() && column != "coverage_percentage" => {
                Some(format!("{column} is NULL in the view"))
            }
            None => None,
        }
    };
    let unknown = DataFigures::names("").into_iter().zip(figures.values()).filter_map(why).collect();
    DataLook::Taken { figures, unknown }
}

/// Reads all incidents; also returns the number of unreadable items.
pub async fn incidents(store: &IncidentStore, pipeline: &str) -> Result<(Vec<Incident>, usize), String> {
    let (incidents, unreadable) = store.all_incidents(pipeline).await.map_err(|error| error.to_string())?;
    Ok((incidents, unreadable.len()))
}

/// Reads the marks of people. Records the end of each real fault that has recovered: its incident is kept for a shorter time.
///
/// Without one of them a figure could alert that a person has marked as fine, so an unreadable mark is an error.
pub async fn marks(
    store: &IncidentStore,
    pipeline: &Pipeline,
    incidents: &[Incident],
) -> Result<Vec<Mark>, String> {
    let (mut marks, unreadable) = store.marks(&pipeline.name).await.map_err(|error| error.to_string())?;
    if let Some(error) = unreadable.first() {
        return Err(error.to_string());
    }
    for mark in marks.iter_mut().filter(|mark| mark.lasts()) {
        let incident = incidents.iter().find(|incident| incident.key == mark.incident);
        let Some(until) = mark.recovered(incident, &pipeline.time_zone) else { continue };
        if let Err(error) = store.end_mark(mark, until).await {
            tracing::warn!(incident = %mark.incident, %error, "end of the marked fault not recorded");
        }
        mark.until = Some(until);
    }
    Ok(marks)
}

/// Reads the figures of each day of a span, both ends included.
pub async fn history(
    asker: Asker<'_>,
    statements: &Statements<'_>,
    from: Date,
    to: Date,
) -> Result<Figures, Error> {
    let reads = statements.history();
    let days = asker.ask(&reads.days(from, to)).await?;
    let syncs = asker.ask(&reads.syncs(from, to)).await?;
    Ok(Figures::read(&days, &syncs))
}

/// Reads the runs of each declared sync since an instant. Without a client, `census` has the reason.
pub async fn runs<'p>(
    census: &Result<Client, Unread>,
    pipeline: &'p Pipeline,
    from: Timestamp,
) -> Vec<SyncRuns<'p>> {
    let deadline = Instant::now() + CENSUS_LIMIT;
    let read = |sync: &'p Sync| async move {
        match census {
            Ok(client) => runs_of(client, sync, from, deadline).await,
            Err(why) => SyncRuns { sync, runs: Vec::new(), end: HistoryEnd::Unread(why.clone()) },
        }
    };
    stream::iter(&pipeline.syncs).map(read).buffered(CONCURRENT_READS).collect().await
}

/// Reads the runs of a sync, newest first, page by page. New runs shift the pages while they are read, so the next page may
/// repeat the end of the previous one.
async fn runs_of<'p>(client: &Client, sync: &'p Sync, from: Timestamp, deadline: Instant) -> SyncRuns<'p> {
    let (mut runs, mut seen, mut page) = (Vec::new(), HashSet::new(), 1);
    let end = loop {
        let history = match timeout_at(deadline, client.runs_of_sync_page(sync.id, page, PAGE_SIZE)).await {
            Ok(Ok(history)) => history,
            Ok(Err(error)) => break HistoryEnd::Unread(error.to_unread()),
            Err(_) => {
                let why = format!("not read completely within {} s", CENSUS_LIMIT.as_secs());
                break HistoryEnd::Unread(Unread::Unreachable(why));
            }
        };
        runs.extend(history.runs.into_iter().filter(|run| seen.insert(run.id)));
        if history.complete || runs.last().is_some_and(|oldest: &Run| oldest.created_at < from) {
            break HistoryEnd::Whole;
        }
        if page == MOST_PAGES {
            break HistoryEnd::TooLong;
        }
        page += 1;
    };
    SyncRuns { sync, runs, end }
}
