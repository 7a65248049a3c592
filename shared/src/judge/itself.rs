//! Judges Syncwatch itself: whether anything was left unhandled, and whether the data checks run.

use jiff::{SignedDuration, Timestamp};

use super::snapshot::{SILENT, judge_snapshot_written, silence_severity};
use crate::data_checks::DataCheck;
use crate::finding::{Check, Evidence, Finding, SYNCWATCH, Severity};
use crate::observation::{DeadLetterKind, DeadLetters, TopicSubscribers};
use crate::pipeline::Pipeline;
use crate::rounds::{Itself, ValidatedRound, WebhookRecord};
use crate::text::{minute_utc, named, words};

/// So many runs that ended untold are no accident: Census may lose a webhook.
const UNTOLD_LIMIT: usize = 3;
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
        match &itself.webhooks {
            Ok(record) => judge_webhooks(record.as_ref(), &itself.ended),
            Err(found) => Check::WebhooksArrive.about(SYNCWATCH).unreadable(found),
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

/// Judges whether webhooks arrive, by when runs ended of which they should have told by now.
///
/// * none was ever accepted or refused     => not evaluated: perhaps none was registered, which the doctor knows
/// * several runs ended since the last one => warning, with the reason for which they were refused, if they were
pub fn judge_webhooks(record: Option<&WebhookRecord>, ended: &[Timestamp]) -> Finding {
    let about = Check::WebhooksArrive.about(SYNCWATCH);
    let Some(record) = record else {
        return about.nothing_yet("the first webhook");
    };
    let Some(newest) = ended.iter().max() else {
        return about.nothing_yet("a run that ended");
    };
    let untold = ended.iter().filter(|ended| record.accepted_at.is_none_or(|at| **ended > at)).count();
    let last = record.accepted_at.map_or("none was ever accepted".to_owned(), |at| {
        format!("the last one was accepted {}", minute_utc(at))
    });
    if untold < UNTOLD_LIMIT {
        return about.healthy(format!("webhooks arrive: {last}"));
    }
    // Older than the last accepted one, a refusal explains nothing.
    let refused =
        record.refused.as_ref().filter(|(at, _)| record.accepted_at.is_none_or(|accepted| *at > accepted));
    let (how, cause) = match refused {
        Some((_, why)) => (
            format!("they are refused ({why})"),
            "Our secret is not that of the webhook at Census, or something on the way changes the header or the body",
        ),
        None => (
            "none arrives".to_owned(),
            "The webhook was deleted or turned off at Census, it posts to another address, or what stands before the intake \
             lets nothing through",
        ),
    };
    let evidence = Evidence::new(format!("runs end and no webhook tells of them: {how}; {last}"))
        .with("newest run that ended", *newest)
        .with_some("last webhook accepted", record.accepted_at)
        .with_some("last webhook refused", refused.map(|(at, _)| *at));
    about.unhealthy(Severity::Warning, evidence, cause)
}

/// Judges whether each topic still has the confirmed subscribers that it needs: every mail has a link that ends its
/// subscription, and no metric counts that.
///
/// * a topic has none left of those that it needs => no notice arrives: critical
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Outcome;

    #[test]
    fn webhooks_that_stop_are_told_once_several_runs_ended_untold() {
        let at = |minute: i64| Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap();
        let record = |accepted: Option<i64>, refused: Option<i64>| {
            let refused = refused.map(|minute| (at(minute), "wrong-signature".to_owned()));
            Some(WebhookRecord { accepted_at: accepted.map(at), refused })
        };
        let ended = [at(10), at(25), at(30), at(40)];
        let table: [(Option<WebhookRecord>, &[Timestamp], &str); 9] = [
            (None, &ended, "nothing to judge yet: the first webhook"),
            (record(Some(0), None), &[], "nothing to judge yet: a run that ended"),
            (record(Some(41), None), &ended, "webhooks arrive"),
            (record(Some(25), None), &ended, "webhooks arrive"),
            (record(Some(24), None), &ended, "none arrives"),
            (record(Some(24), Some(20)), &ended, "none arrives"),
            (record(Some(24), Some(39)), &ended, "they are refused (wrong-signature)"),
            (record(None, Some(1)), &ended, "they are refused (wrong-signature); none was ever accepted"),
            (record(None, Some(1)), &ended[..2], "webhooks arrive: none was ever accepted"),
        ];
        for (record, ended, said) in table {
            let found = match judge_webhooks(record.as_ref(), ended).outcome {
                Outcome::Healthy { evidence } | Outcome::Unhealthy { evidence, .. } => evidence.summary,
                Outcome::NotEvaluated { why } => why.to_string(),
            };
            assert!(found.contains(said), "{record:?} {ended:?}: {found}");
        }
    }
}
