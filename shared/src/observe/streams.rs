//! Compares an object whose sides are in two databases: reads both at once, in blocks, into [`Streams`].

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::reconcile::{
    Content, Coverage, Digested, Horizon, NotCompared, Object, Origin, Reconciliation, Record, STREAM_BUDGET,
    Sent, Statements, Streams, check_copy, digest, pair_records,
};
use crate::sql::{self, Block, Sink, Statement};
use crate::warehouse::Warehouse;

/// Receives the number of rows read so far from two databases, of both sides together. Values may be read twice.
pub type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// The warehouses of source and destination.
type Sides<'w> = [&'w Warehouse; 2];

const ORIGINS: [Origin; 2] = [Origin::Source, Origin::Destination];

/// Stops the streams when it is dropped, as at a deadline.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Run<'w> {
    sides: Sides<'w>,
    statements: [Statements<'w>; 2],
    object: Arc<Object>,
    shared: Arc<Mutex<Shared>>,
    stop: StopOnDrop,
    progress: Progress,
}

/// Takes a block with its digests; returns whether more are needed.
type Take = fn(&mut Streams, Origin, &Block<'_>, &[Digested]) -> Result<bool, sql::Error>;

struct Shared {
    streams: Streams,
    rows: u64,
    failure: Option<sql::Error>,
}

/// Compares the covered rows with at most about [`STREAM_BUDGET`] bytes of memory. If this is dropped, the streams stop at their next block;
/// nothing is written anywhere.
pub(super) async fn compare(
    sides: Sides<'_>,
    object: &Object,
    sent: &Sent,
    coverage: Coverage,
    progress: Progress,
    now: Timestamp,
) -> Result<Reconciliation, NotCompared> {
    let horizon = Horizon::of(object, sent, now);
    let at = |horizon: Horizon| sides.map(|side| Statements::new(object, side.dialect(), horizon));
    let [of_source, of_destination] = at(horizon);
    let (size_of_source, size_of_destination) =
        (of_source.size_of(Origin::Source)?, of_destination.size_of(Origin::Destination)?);
    let [here, there] = sides;
    let sizes = futures::join!(here.query(&size_of_source), there.query(&size_of_destination));
    let source = failed_at(object, Origin::Source, sizes.0.and_then(|answer| size(&answer, false)))?;
    let has_copy = object.destination.synced.is_some();
    let destination =
        failed_at(object, Origin::Destination, sizes.1.and_then(|answer| size(&answer, has_copy)))?;
    let copied = destination.1;
    check_copy(object, sent, copied, now)?;
    let settled = copied.map_or(horizon.settled, |copied| copied.min(horizon.settled));
    let object_of_run = Arc::new(object.clone());
    let mut is_careful = false;
    loop {
        let sizes = [source.0, destination.0].map(|rows| rows.div_ceil(coverage.nights().into()));
        let streams = Streams::new(object_of_run.clone(), sent.clone(), sizes, STREAM_BUDGET, is_careful)
            .covering(coverage);
        let run = Run {
            sides,
            statements: at(Horizon { settled, ..horizon }),
            object: object_of_run.clone(),
            shared: Arc::new(Mutex::new(Shared { streams, rows: 0, failure: None })),
            stop: StopOnDrop(Arc::new(AtomicBool::new(false))),
            progress: progress.clone(),
        };
        if run.all_passes().await? {
            return run.finish(copied);
        }
        is_careful = true;
    }
}

/// Names the connection of a side that failed.
fn failed_at<T>(object: &Object, origin: Origin, read: Result<T, sql::Error>) -> Result<T, NotCompared> {
    read.map_err(|error| NotCompared::from(error).of(object.side(origin).connection.as_deref()))
}

/// Reads the rows of one key. `None` if it is not of the object's kind of key.
pub(super) async fn one_key(
    sides: Sides<'_>,
    object: &Object,
    key: &str,
    sent: &Sent,
    now: Timestamp,
) -> Result<Option<Vec<Record>>, NotCompared> {
    let horizon = Horizon::of(object, sent, now);
    let (mut answers, mut is_hidden) = (Vec::new(), Vec::new());
    for (origin, side) in ORIGINS.into_iter().zip(sides) {
        let statements = Statements::new(object, side.dialect(), horizon);
        if statements.one_key(key)?.is_none() {
            return Ok(None);
        }
        let rows = statements.rows_of(origin, Content::Values, Some(key))?;
        answers.push(failed_at(object, origin, side.query(&rows).await)?);
        is_hidden.push(match statements.hidden_keys(origin, Some(key))? {
            Some(hidden) => !failed_at(object, origin, side.query(&hidden).await)?.is_empty(),
            None => false,
        });
    }
    let ([source, destination], [here, there]) = (answers.as_slice(), is_hidden.as_slice()) else {
        return Ok(None);
    };
    Ok(Some(pair_records(object, key, sent, [source, destination], [*here, *there])?))
}

fn size(answer: &sql::Answer, has_copy: bool) -> Result<(u64, Option<Timestamp>), sql::Error> {
    let row = answer.only_row()?;
    let copied = if has_copy { row.get("copied")? } else { None };
    Ok((u64::try_from(row.get::<i64>("n")?).unwrap_or(0), copied))
}

impl Run<'_> {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares all rows; returns `false` if that must be done again, carefully.
    async fn all_passes(&self) -> Result<bool, NotCompared> {
        loop {
            self.pass().await?;
            if self.lock().streams.is_spoilt() {
                return Ok(false);
            }
            if !self.lock().streams.next_pass() {
                break;
            }
        }
        self.keys().await?;
        Ok(true)
    }

    fn finish(self, copied: Option<Timestamp>) -> Result<Reconciliation, NotCompared> {
        let Run { shared, stop, object, .. } = self;
        drop(stop);
        let ended =
            || sql::ErrorKind::Unreachable { detail: "a stream did not end".to_owned() }.of(&object.name);
        let shared = Arc::into_inner(shared).ok_or_else(ended)?;
        let Shared { streams, .. } = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        streams.finish(copied)
    }

    /// Digests all rows of both sides, and judges those that differ.
    async fn pass(&self) -> Result<(), NotCompared> {
        self.read(true, |streams, origin, block, digested| {
            streams.take(origin, block, digested)?;
            Ok(!streams.is_spoilt())
        })
        .await?;
        if self.lock().streams.is_spoilt() {
            return Ok(());
        }
        self.lock().streams.end_pass()?;
        while self.lock().streams.lacks_values() {
            self.read(false, |streams, origin, block, _| streams.judge(origin, block).map(|()| true)).await?;
            if self.lock().streams.end_reading()? {
                break;
            }
        }
        Ok(())
    }

    /// Finds the keys of the missing and extra rows, and whether the other side has them in rows that do not count.
    async fn keys(&self) -> Result<(), NotCompared> {
        for (origin, (side, statements)) in ORIGINS.into_iter().zip(self.sides.iter().zip(&self.statements)) {
            if !self.lock().streams.lacks_keys(origin) {
                continue;
            }
            let statement = statements.rows_of(origin, Content::Keys, None)?;
            let sink = self.sink(origin, false, |streams, origin, block, _| {
                streams.take_keys(origin, block);
                Ok(true)
            });
            failed_at(&self.object, origin, side.stream(&statement, sink).await)?;
        }
        for (origin, (side, statements)) in ORIGINS.into_iter().zip(self.sides.iter().zip(&self.statements)) {
            if let Some(statement) = statements.hidden_keys(origin, None)?
                && self.lock().streams.has_apart(origin.other())
            {
                let sink = self.sink(origin, false, |streams, origin, block, _| {
                    streams.take_hidden(origin, block);
                    Ok(true)
                });
                failed_at(&self.object, origin, side.stream(&statement, sink).await)?;
            }
        }
        Ok(())
    }

    /// Reads both sides at once, with digests if they are needed.
    async fn read(&self, digests: bool, take: Take) -> Result<(), NotCompared> {
        let [of_source, of_destination] = &self.statements;
        let statements: [Statement; 2] = [
            of_source.rows_of(Origin::Source, Content::Values, None)?,
            of_destination.rows_of(Origin::Destination, Content::Values, None)?,
        ];
        let [source, destination] = &statements;
        let [here, there] = self.sides;
        let read = async |side: &Warehouse, origin, statement| {
            let sink = self.sink(origin, digests, take);
            failed_at(&self.object, origin, side.stream(statement, sink).await)
        };
        futures::try_join!(
            read(here, Origin::Source, source),
            read(there, Origin::Destination, destination)
        )?;
        match self.lock().failure.take() {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }

    /// A sink that takes blocks until `take` returns `false` or fails. Digests are made outside the lock.
    fn sink(&self, origin: Origin, digests: bool, take: Take) -> Sink {
        let (object, shared) = (self.object.clone(), self.shared.clone());
        let (stop, progress) = (self.stop.0.clone(), self.progress.clone());
        Box::new(move |block| {
            if stop.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            let digested = if digests { digest(&object, origin, block) } else { Vec::new() };
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.rows += block.rows().count() as u64;
            let taken = take(&mut shared.streams, origin, block, &digested);
            let rows = shared.rows;
            let goes_on = taken.unwrap_or_else(|failure| {
                shared.failure = Some(failure);
                false
            });
            drop(shared);
            progress(rows);
            if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    }
}
