//! Judges whether enough runs succeed. Pure: no I/O and no clock, and never fails.

use std::collections::BTreeMap;

use super::unread;
use crate::figure::Value;
use crate::finding::{Check, Evidence, Finding, Severity, WhyNot};
use crate::history::Tally;
use crate::observation::Unread;
use crate::pipeline::Sync;
use crate::text::{percent, rounded};

/// The number of days that are judged together.
pub const JUDGED_DAYS: i64 = 7;
/// Fewer runs than this make no reliable rate.
pub const FEWEST_RUNS: u64 = 5;

/// Judges each sync by its runs of the last [`JUDGED_DAYS`] days, from the audit log and from Census. A sync comes with the
/// reason why its newest runs could not be read from Census, if they could not.
///
/// * a lower share of them completed than `objectives.success_rate_percent` => warning
/// * fewer than [`FEWEST_RUNS`], or the newest ones could not be read       => not evaluated
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

/// Findings of a round that could not judge them, with the check and subject that explain why. An open incident stays open,
/// and does not count as stopped reporting.
pub fn unjudged(syncs: &[Sync], (cause, subject): (Check, &str)) -> Vec<Finding> {
    let under = || WhyNot::under(cause, subject);
    syncs.iter().map(|sync| Check::SuccessRate.about(&sync.key).not_evaluated(under())).collect()
}

fn success(sync: &Sync, unread_runs: Option<&Unread>, tally: Option<&Tally>, target_percent: f64) -> Finding {
    let about = Check::SuccessRate.about(&sync.key);
    if let Some(why) = unread_runs {
        return about.not_evaluated(unread(why));
    }
    let Tally { completed, failed } = tally.copied().unwrap_or_default();
    let runs = completed.saturating_add(failed);
    if runs < FEWEST_RUNS {
        return about.nothing_yet(format!(
            "{FEWEST_RUNS} completed or failed runs within {JUDGED_DAYS} days ({runs} so far)"
        ));
    }
    #[expect(clippy::cast_precision_loss, reason = "runs are far fewer than 2^52")]
    let share = 100.0 * completed as f64 / runs as f64;
    let [shown, target] = [rounded(share, 1, &[target_percent]), target_percent].map(percent);
    let summary = format!("{shown} of {runs} runs in {JUDGED_DAYS} days completed (target {target})");
    let evidence = Evidence::new(summary)
        .with("completed", completed)
        .with("failed", failed)
        .with("target", Value::Percent(target_percent));
    if share >= target_percent {
        return about.healthy(evidence);
    }
    let cause =
        "Runs fail repeatedly, or failed for a long time: each failure has its own notice with its class";
    about.unhealthy(Severity::Warning, evidence, cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Pipeline;

    #[test]
    fn sync_is_judged_by_its_week_if_it_has_enough_runs() {
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
            (0, 100, Some(&refused), "blocked by token-accepted"),
        ];
        for (completed, failed, unread_runs, expected) in table {
            let finding = success(sync, unread_runs, Some(&Tally { completed, failed }), 95.0);
            assert!(finding.to_string().contains(expected), "{completed} and {failed}: {finding}");
        }
        assert!(success(sync, None, None, 95.0).to_string().contains("not evaluated"));
    }

    #[test]
    fn each_sync_is_judged_by_its_own_runs() {
        let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let tallies = [
            ("properties-update", Tally { completed: 1, failed: 9 }),
            ("properties-create", Tally { completed: 10, failed: 0 }),
            ("no-longer-declared", Tally { completed: 0, failed: 10 }),
        ];
        let tallies = tallies.map(|(sync, tally)| (sync.to_owned(), tally)).into();
        let findings = judge_success(pipeline.syncs.iter().map(|sync| (sync, None)), &tallies, 95.0);
        let found: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "success-rate properties-create: healthy, 100% of 10 runs in 7 days completed (target 95%)",
                "success-rate properties-update: warning, 10% of 10 runs in 7 days completed (target 95%)",
            ]
        );
    }

    #[test]
    fn unjudged_sync_is_blocked_by_the_finding_that_explains_it() {
        let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let findings = unjudged(&pipeline.syncs, (Check::SnapshotWritten, "syncwatch"));
        let found: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "success-rate properties-create: not evaluated, blocked by snapshot-written of syncwatch",
                "success-rate properties-update: not evaluated, blocked by snapshot-written of syncwatch",
            ]
        );
    }
}
