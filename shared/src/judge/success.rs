//! Judges whether enough runs succeed. Pure: no I/O, no clock, no failure.

use std::collections::BTreeMap;

use super::unread;
use crate::figure::Value;
use crate::finding::{Check, Evidence, Finding, Severity, WhyNot};
use crate::observation::Unread;
use crate::pipeline::Sync;
use crate::text::{percent, rounded};

/// Days that are judged together.
pub const JUDGED_DAYS: i64 = 7;
/// Fewer runs say little of a rate.
pub const FEWEST_RUNS: u64 = 5;

/// How many runs of a sync ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Ended without an error of their own.
    pub completed: u64,
    /// Ended with an error. Skipped and cancelled ones say nothing of whether the sync can succeed.
    pub failed: u64,
}

impl Tally {
    /// Counts runs of a status, in the audit log's word.
    pub fn count(&mut self, status: &str, runs: u64) {
        match status {
            "completed" => self.completed += runs,
            "failed" => self.failed += runs,
            _ => {}
        }
    }
}

/// Judges each sync (with why Census does not tell its newest runs, if so) by the runs of the last [`JUDGED_DAYS`] days: those of the audit log, and those that Census has just
/// told of.
///
/// * a lower share of them completed than `objectives.success_rate_percent` => warning
/// * fewer than [`FEWEST_RUNS`], or Census does not tell the newest ones     => not evaluated
pub fn judge_success<'s>(
    census: impl IntoIterator<Item = (&'s Sync, Option<&'s Unread>)>,
    tallies: &BTreeMap<String, Tally>,
    target_percent: f64,
) -> Vec<Finding> {
    census
        .into_iter()
        .map(|(sync, unread)| success(sync, unread, tallies.get(&sync.key), target_percent))
        .collect()
}

/// The same of a round that did not come to judge them: under the finding, and its subject, that tells why. An incident that is
/// open stays open, and nobody is told that it had stopped reporting.
pub fn unjudged(syncs: &[Sync], (cause, subject): (Check, &str)) -> Vec<Finding> {
    let under = || WhyNot::under(cause, subject);
    syncs.iter().map(|sync| Check::SuccessRate.about(&sync.key).not_evaluated(under())).collect()
}

fn success(sync: &Sync, untold: Option<&Unread>, tally: Option<&Tally>, target_percent: f64) -> Finding {
    let about = Check::SuccessRate.about(&sync.key);
    if let Some(why) = untold {
        return about.not_evaluated(unread(why));
    }
    let Tally { completed, failed } = tally.copied().unwrap_or_default();
    let runs = completed.saturating_add(failed);
    if runs < FEWEST_RUNS {
        return about.nothing_yet(format!(
            "{FEWEST_RUNS} runs that completed or failed within {JUDGED_DAYS} days; there are {runs}"
        ));
    }
    #[expect(clippy::cast_precision_loss, reason = "runs are far fewer than 2^52")]
    let share = 100.0 * completed as f64 / runs as f64;
    let [said, promised] = [rounded(share, 1, &[target_percent]), target_percent].map(percent);
    let summary = format!("{said} of {runs} runs of {JUDGED_DAYS} days completed, promised {promised}");
    let evidence = Evidence::new(summary)
        .with("completed", completed)
        .with("failed", failed)
        .with("promised", Value::Percent(target_percent));
    if share >= target_percent {
        return about.healthy(evidence);
    }
    let cause =
        "Runs fail again and again, or failed for long: each failure has its own notice with its class";
    about.unhealthy(Severity::Warning, evidence, cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Pipeline;

    #[test]
    fn a_sync_is_judged_by_its_week_and_by_none_that_has_too_few_runs() {
        let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let sync = &pipeline.syncs[0];
        let refused = Unread::Refused("401".to_owned());
        // completed, failed, history => outcome
        let table = [
            (95, 5, None, "healthy"),
            (94, 6, None, "warning"),
            (5, 0, None, "healthy"),
            (4, 0, None, "not evaluated"),
            (0, 5, None, "warning"),
            (0, 0, None, "not evaluated"),
            (0, 100, Some(&refused), "held under token-accepted"),
        ];
        for (completed, failed, untold, expected) in table {
            let finding = success(sync, untold, Some(&Tally { completed, failed }), 95.0);
            assert!(finding.to_string().contains(expected), "{completed} and {failed}: {finding}");
        }
        assert!(success(sync, None, None, 95.0).to_string().contains("not evaluated"));
    }

    #[test]
    fn what_was_not_judged_is_held_under_what_kept_it_from_that() {
        let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let findings = unjudged(&pipeline.syncs, (Check::SnapshotWritten, "syncwatch"));
        let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "success-rate properties-create: not evaluated, held under snapshot-written of syncwatch",
                "success-rate properties-update: not evaluated, held under snapshot-written of syncwatch",
            ]
        );
    }

    #[test]
    fn skipped_and_cancelled_runs_say_nothing() {
        let mut tally = Tally::default();
        for (status, runs) in
            [("completed", 3), ("skipped", 50), ("cancelled", 2), ("failed", 1), ("working", 1)]
        {
            tally.count(status, runs);
        }
        assert_eq!(tally, Tally { completed: 3, failed: 1 });
    }
}
