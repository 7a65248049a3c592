//! Queries the warehouse with one statement for each table, within the function's time limit.

use anyhow::Context;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use syncwatch::data_checks::{DataCheck, Scan, compile, samples_statement};
use syncwatch::finding::{Check, Finding};
use syncwatch::judge::data::{Extent, Looked, Trouble, judge_closed, judge_round, with_samples};
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::Site;
use syncwatch::runtime::warehouse::{Asker, Patience};
use syncwatch::sql::{BadName, Dialect};
use syncwatch::warehouse::Limits;

/// Statements that run at the same time. A small warehouse runs about ten at once, and has other users.
const CONCURRENT_STATEMENTS: usize = 4;

/// Selects the checks that an event names: all, or one. Fails if there is no check of this name.
pub fn asked_for<'p>(
    pipeline: &'p Pipeline,
    only: Option<&str>,
) -> anyhow::Result<(Vec<&'p DataCheck>, Extent)> {
    let all = &pipeline.checks;
    let Some(name) = only else { return Ok((all.iter().collect(), Extent::Whole)) };
    let check = all.iter().find(|check| check.name == name).with_context(|| {
        let names: Vec<&str> = all.iter().take(20).map(|check| check.name.as_str()).collect();
        format!("pipeline.toml has no check {name:?}; its checks: {}", names.join(", "))
    })?;
    Ok((vec![check], Extent::OneCheck))
}

/// Queries the warehouse and judges the answers; also returns the number of statements. Fails while AWS does not answer.
pub async fn findings(
    site: &Site,
    patience: Patience,
    checks: &[&DataCheck],
    extent: Extent,
    now: Timestamp,
) -> anyhow::Result<(Vec<Finding>, usize)> {
    let pipeline = &site.pipeline;
    let Some(declared) = &pipeline.warehouse else { return Ok((Vec::new(), 0)) };
    let scans = compile(checks.iter().copied(), declared.dialect(), &pipeline.time_zone, now)
        .context("invalid name in pipeline.toml")?;
    let statements = scans.len();
    if scans.is_empty() {
        return Ok((Vec::new(), statements));
    }
    let limits = Limits { time: patience.statement, ..Limits::default() };
    let warehouse = match site.warehouse(declared, limits, patience.round).await? {
        Ok(warehouse) => warehouse,
        Err(why) => return Ok((judge_closed(&scans, &why), statements)),
    };
    let asker = Asker::new(&warehouse, patience.round);
    let looked = ask_all(asker, scans).await;
    let findings = judge_round(&looked, extent, now);
    let findings = with_sample_keys(asker, findings, checks, declared.dialect(), &pipeline.time_zone, now);
    Ok((findings.await?, statements))
}

/// Runs every statement. The first one runs alone: if the warehouse does not answer it, the others are not sent.
pub async fn ask_all<'c>(asker: Asker<'_>, scans: Vec<Scan<'c>>) -> Vec<Looked<'c>> {
    let mut scans = scans.into_iter();
    let Some(first) = scans.next() else { return Vec::new() };
    let first = look(asker, first).await;
    let down =
        matches!(&first.answer, Some(Err(error)) if Trouble::Failed(error.clone()).is_of_the_warehouse());
    let mut looked = vec![first];
    if down {
        looked.extend(scans.map(|scan| Looked { scan, answer: None }));
    } else {
        let rest = stream::iter(scans).map(|scan| look(asker, scan)).buffered(CONCURRENT_STATEMENTS);
        looked.extend(rest.collect::<Vec<_>>().await);
    }
    looked
}

async fn look<'c>(asker: Asker<'_>, scan: Scan<'c>) -> Looked<'c> {
    let answer = asker.ask(&scan.statement).await;
    Looked { scan, answer: Some(answer) }
}

/// Adds sample keys to findings of duplicates.
async fn with_sample_keys(
    asker: Asker<'_>,
    mut findings: Vec<Finding>,
    checks: &[&DataCheck],
    dialect: Dialect,
    zone: &TimeZone,
    now: Timestamp,
) -> Result<Vec<Finding>, BadName> {
    for finding in &mut findings {
        if finding.check != Check::Duplicates || !finding.is_unhealthy() {
            continue;
        }
        let Some(check) = checks.iter().find(|check| check.name == finding.subject) else { continue };
        if let Some(statement) = samples_statement(check, dialect, zone, now)? {
            *finding = with_samples(finding.clone(), check, &asker.ask(&statement).await);
        }
    }
    Ok(findings)
}
