//! Judges Syncwatch itself: whether anything was left unhandled, and whether the data checks run.

use jiff::{SignedDuration, Timestamp};

use super::snapshot::{SILENT, judge_snapshot_written, silence_severity};
use crate::data_checks::DataCheck;
use crate::finding::{Check, Evidence, Finding, SYNCWATCH, Severity};
use crate::observation::{DeadLetterKind, DeadLetters, TopicSubscribers};
use crate::pipeline::Pipeline;
use crate::rounds::{Itself, ValidatedRound};
use crate::text::{named, words};

/// Checks that did not run are named up to this number.
const NAMED: usize = 5;

/// Judges Syncwatch itself by what it left behind. A record that cannot be read is judged as that.
pub fn judge_itself(itself: &Itself, pipeline: &Pipeline, now: Timestamp) -> Vec<Finding> {
    vec![
        judge_dead_letters(&itself.dead_letters),
        judge_subscribers(&itself.subscribers),
        match &itself.validated {
            Ok(last) => judge_checks_ran(last.as_ref(), &pipeline.checks, now),
            Err(found) => Check::ChecksRan.about(SYNCWATCH).unreadable(found),
        },
        match &itself.snapshot {
            Ok(record) => judge_snapshot_written(record.as_ref(), pipeline, now),
            Err(found) => Check::SnapshotWritten.about(SYNCWATCH).unreadable(found),
        },
    ]
}

/// Judges the dead-letter queues: whatever lies there could not be handled, try after try.
///
/// * a notice in there               => somebody was not told: error
/// * a webhook in there              => warning: the poll sees what it hinted at
/// * a queue that cannot be looked at => not evaluated, unless another one tells enough
pub fn judge_dead_letters(queues: &[DeadLetters]) -> Finding {
    let about = Check::DeadLetters.about(SYNCWATCH);
    let count = |wanted: DeadLetterKind| {
        let of_kind = queues.iter().filter(move |queue| queue.kind == wanted);
        of_kind.map(|queue| queue.count.as_ref().ok().copied().flatten()).sum::<Option<u64>>()
    };
    let said =
        |count: Option<u64>| count.map_or("an unknown number of".to_owned(), |count| count.to_string());
    let (deliveries, notices) = (count(DeadLetterKind::Deliveries), count(DeadLetterKind::Notices));
    let [told, hinted] = [notices, deliveries].map(said);
    let evidence = Evidence::new(format!("{told} notices and {hinted} webhooks could not be handled"));
    let (deliveries, notices) = (deliveries.unwrap_or(0), notices.unwrap_or(0));
    if notices > 0 {
        let cause = "PagerDuty or the chat refuses them, or a secret of theirs is wrong: somebody was not told. The log of \
                     alert-relay names each reason";
        return about.unhealthy(Severity::Error, evidence, cause);
    }
    if deliveries > 0 {
        let cause = "Census sends webhooks of a shape that we do not know, or of runs that it does not know itself. The \
                     log of webhook-worker names each reason";
        return about.unhealthy(Severity::Warning, evidence, cause);
    }
    let unknown = queues.iter().find_map(|queue| match &queue.count {
        Ok(Some(_)) => None,
        Ok(None) => Some(about.unknown("how many dead letters there are")),
        Err(why) => Some(about.unreadable(why)),
    });
    unknown.unwrap_or_else(|| about.healthy("no notice and no webhook was left unhandled"))
}

/// Judges whether each topic still has the confirmed subscribers that it needs: every mail has a link that ends its
/// subscription, and no metric counts that.
///
/// * a topic has none left of those that it needs => nobody is notified: critical
/// * some are missing, or were never confirmed    => error
/// * a topic that cannot be read                  => not evaluated, unless another one is unhealthy
/// * a topic without the tag                      => an older Terraform made it: nothing to judge yet
pub fn judge_subscribers(topics: &[TopicSubscribers]) -> Finding {
    let about = Check::SubscribersConfirmed.about(SYNCWATCH);
    let (mut missing, mut deaf, mut unknown) = (Vec::new(), false, None);
    for TopicSubscribers { topic, found } in topics {
        match found {
            Ok((Some(needed), confirmed)) => {
                let short = needed.missing(confirmed);
                missing.extend(short.map(|short| format!("{topic} has {short}")));
                deaf |= needed.is_all_missing(confirmed);
            }
            Ok((None, _)) => {
                let awaited =
                    format!("the tag of topic {topic} with the subscribers that it needs: make deploy");
                unknown = unknown.or_else(|| Some(about.nothing_yet(awaited)));
            }
            Err(why) => unknown = Some(about.unreadable(why)),
        }
    }
    if missing.is_empty() {
        return unknown.unwrap_or_else(|| about.healthy("every topic has the subscribers that it needs"));
    }
    let severity = if deaf { Severity::Critical } else { Severity::Error };
    let cause = "a mail was never confirmed, or a link in one ended the subscription: mail scanners follow links. \
                 These people get no notice, or no alarm";
    about.unhealthy(severity, format!("{} confirmed subscribers", missing.join("; ")), cause)
}

/// Judges, from outside, whether the data checks run at all: by the record that their last whole round left.
pub fn judge_checks_ran(last: Option<&ValidatedRound>, checks: &[DataCheck], now: Timestamp) -> Finding {
    let about = Check::ChecksRan.about(SYNCWATCH);
    if checks.is_empty() {
        return about.not_declared();
    }
    let Some(last) = last else {
        return about.nothing_yet("the first whole round of daily-validation");
    };
    let silent = now.duration_since(last.at).max(SignedDuration::ZERO);
    let of_round = |check: &&DataCheck| last.checks.contains(&check.name);
    let missing: Vec<&str> =
        checks.iter().filter(|check| !of_round(check)).map(|check| check.name.as_str()).collect();
    let mut evidence = Evidence::new(format!("the data checks ran {} ago", words(silent)))
        .with("last whole round", last.at)
        .with("checks in it", last.checks.len())
        .with("checks declared", checks.len());
    if !missing.is_empty() {
        evidence = evidence.with("not run yet", named(&missing, NAMED, missing.len()));
    }
    if silent <= SILENT {
        return about.healthy(evidence);
    }
    let cause = "daily-validation is not fired, fails before it has judged, or runs into its time limit: look at its log \
                 and its schedule. Nobody knows how the data is meanwhile";
    evidence.summary = format!("the data checks have not run for {}", words(silent));
    about.unhealthy(silence_severity(Some(silent)), evidence, cause)
}
