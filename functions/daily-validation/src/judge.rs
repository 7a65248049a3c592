//! Judges a round of data checks. Pure: no I/O, no clock, no failure.

use jiff::Timestamp;
use syncwatch::data_checks::Scan;
use syncwatch::finding::Finding;
use syncwatch::judge::data::{Trouble, judge, judge_warehouse, troubles, unasked};

use crate::observe::Looked;

/// How much of the pipeline a round is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Whole,
    OneCheck,
}

/// Judges what the warehouse answered: the warehouse itself first, then each check.
///
/// A round of one check says of the warehouse only that it is down: of other statements it knows nothing, so it must not
/// end an incident about them.
pub fn judge_round(looked: &[Looked<'_>], extent: Extent, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    for Looked { scan, answer } in looked {
        if let Some(answer) = answer {
            found.extend(troubles(scan, answer));
        }
    }
    let mut findings = Vec::new();
    // Of a warehouse that was not asked there is nothing to say.
    let asked = extent == Extent::Whole && !looked.is_empty();
    if asked || found.iter().any(Trouble::is_of_the_warehouse) {
        findings.push(judge_warehouse(looked.len(), &found));
    }
    for Looked { scan, answer } in looked {
        match answer {
            Some(answer) => findings.extend(judge(scan, answer, now)),
            None => findings.extend(unasked(scan)),
        }
    }
    findings
}

/// Judges a round in which the warehouse could not even be asked.
pub fn judge_closed(scans: &[Scan<'_>], why: &str) -> Vec<Finding> {
    let warehouse = judge_warehouse(scans.len(), &[Trouble::Closed(why.to_owned())]);
    std::iter::once(warehouse).chain(scans.iter().flat_map(unasked)).collect()
}

#[cfg(test)]
mod tests;
