//! Measures one round over 10,000 series of figures of 70 days: judged and forecast, as in each night.

use std::fs;
use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use syncwatch::history::{DataDay, History, SyncDay, Tally};
use syncwatch::judge::unusual::judge_figures;
use syncwatch::marks::Exceptions;
use syncwatch::pipeline::Pipeline;

use crate::report::{Report, mb, resident};
use crate::scale;

/// The goal of a release build is 5 s. Assertions of the standard library take more than half of the time of a debug build.
const SECONDS: u32 = if cfg!(debug_assertions) { 10 } else { 5 };
/// Three series for each sync, and three for the pipeline.
const SYNCS: u64 = 3_333;
const DAYS: i16 = 70;
const WAREHOUSE: &str = "[warehouse]\ndriver = \"odbc\"\ndialect = \"sqlite\"\n\n[snapshot]\n";
const FIRST: Date = date(2026, 1, 5);

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let series = 3 * (SYNCS + 1);
    report.part(&format!("Figures: a round over {series} series of {DAYS} days"));
    let pipeline = Pipeline::parse(&format!("{}{WAREHOUSE}", scale::pipeline(SYNCS)?))?;
    let last = FIRST.checked_add((DAYS - 1).days())?;
    let before = resident(true)?;
    let history = history(&pipeline)?;
    let read = mb(resident(false)?.saturating_sub(before));
    let begun = at_work()?;
    let findings = black_box(judge_figures(&pipeline, &history, last, &Exceptions::default(), &[]));
    let took = at_work()?.saturating_sub(begun).as_secs_f64();
    let peak = mb(resident(false)?.saturating_sub(before));
    ensure!(!findings.is_empty(), "no figure was judged");
    report.line(&format!("{} findings; the history is {read:.0} MB of the memory", findings.len()));
    let goal = format!("< {SECONDS} s{}", if cfg!(debug_assertions) { " (release build: 5 s)" } else { "" });
    report.goal("judged and forecast", &format!("{took:.2} s"), &goal, took < f64::from(SECONDS));
    report.goal("peak memory, history included", &format!("{peak:.0} MB"), "< 100 MB", peak < 100.0);
    Ok(())
}

/// Reads the time for which this thread has run: the round has one thread, and other programs must not count.
fn at_work() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = stat.split_whitespace().next().context("no time in /proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

/// Builds figures that repeat each week, with a little noise.
fn history(pipeline: &Pipeline) -> Result<History> {
    let mut history = History::default();
    for number in 0..DAYS {
        let day = FIRST.checked_add(number.days())?;
        let noise = f64::from(number * 37 % 11);
        history.days.push(DataDay {
            day,
            total: Some(20_000.0 + noise),
            synced: Some(19_000.0 + noise),
            null_companies: Some(100.0 + noise),
            create_queue: Some(700.0 + noise),
            update_queue: Some(300.0),
            ..DataDay::default()
        });
        for (index, sync) in pipeline.syncs.iter().enumerate() {
            let noise = noise + f64::from(u32::try_from(index % 13)?);
            history.syncs.entry(sync.key.clone()).or_default().push(SyncDay {
                day,
                outcomes: Tally { completed: 48, failed: 0 },
                processed: Some(800.0 + 10.0 * noise),
                failed: Some(noise),
                median_seconds: Some(300.0 + noise),
            });
        }
    }
    Ok(history)
}
