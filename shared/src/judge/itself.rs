//! Judges Syncwatch itself: dead letters, subscribers, webhooks, and whether the data checks run.

use jiff::{SignedDuration, Timestamp};

use super::snapshot::{LONG_SILENT, SILENT, judge_snapshot_written, silence_severity};
use crate::data_checks::DataCheck;
use crate::finding::{Check, Evidence, Finding, Outcome, SYNCWATCH, Severity, WhyNot};
use crate::observation::{DeadLetterKind, DeadLetters, TopicSubscribers};
use crate::pipeline::Pipeline;
use crate::reconcile::Object;
use crate::rounds::{Itself, PAGE_OUT_OF_DATE, ReconciledRound, ValidatedRound, WebhookRecord};
use crate::text::{minute_utc, named, words};

/// This many ended runs without a webhook are unhealthy; Census may lose a single one.
const WITHOUT_WEBHOOK_LIMIT: usize = 3;
/// The most checks to name that did not run.
const NAMED: usize = 5;

/// Judges Syncwatch itself by its queues, topics and records. A record that cannot be read is reported as unreadable.
pub fn judge_itself(itself: &Itself, pipeline: &Pipeline, now: Timestamp) -> Vec<Finding> {
    vec![
        judge_dead_letters(&itself.dead_letters),
        judge_subscribers(&itself.subscribers),
        worse(
            match &itself.validated {
                Ok(last) => judge_checks_ran(last.as_ref(), &pipeline.checks, now),
                Err(found) => Check::ChecksRan.about(SYNCWATCH).unreadable(found),
            },
            match &itself.reconciled {
                Ok(last) => judge_objects_compared(last.as_ref(), &pipeline.objects, now),
                Err(found) => Check::ChecksRan.about(SYNCWATCH).unreadable(found),
            },
        ),
        match &itself.snapshot {
            Ok(record) => judge_snapshot_written(record.as_ref(), pipeline, now),
            Err(found) => Check::SnapshotWritten.about(SYNCWATCH).unreadable(found),
        },
        match &itself.webhooks {
            Ok(record) => judge_webhooks(record.as_ref(), &itself.ended),
            Err(found) => Check::WebhooksArrive.about(SYNCWATCH).unreadable(found),
        },
        match &itself.page {
            Ok(renewed_at) => judge_page_renewed(*renewed_at, now),
            Err(found) => Check::PageRenewed.about(SYNCWATCH).unreadable(found),
        },
    ]
}

/// Judges the dead-letter queues, whose messages failed every retry.
///
/// * a notice in one             => error: an alert was not delivered
/// * a webhook in one            => warning: the next poll finds the same
/// * a queue that cannot be read => not evaluated, unless another one is unhealthy
pub fn judge_dead_letters(queues: &[DeadLetters]) -> Finding {
    let about = Check::DeadLetters.about(SYNCWATCH);
    let count = |wanted: DeadLetterKind| {
        let of_kind = queues.iter().filter(move |queue| queue.kind == wanted);
        of_kind.map(|queue| queue.count.as_ref().ok().copied().flatten()).sum::<Option<u64>>()
    };
    let shown =
        |count: Option<u64>| count.map_or("an unknown number of".to_owned(), |count| count.to_string());
    let (deliveries, notices) = (count(DeadLetterKind::Deliveries), count(DeadLetterKind::Notices));
    let [dead_notices, dead_webhooks] = [notices, deliveries].map(shown);
    let evidence =
        Evidence::new(format!("{dead_notices} notices and {dead_webhooks} webhooks are dead letters"));
    let (deliveries, notices) = (deliveries.unwrap_or(0), notices.unwrap_or(0));
    if notices > 0 {
        let cause = "PagerDuty or the chat refuses them, or a secret for one is wrong. These alerts were not delivered; the log \
                     of alert-relay names each reason";
        return about.unhealthy(Severity::Error, evidence, cause);
    }
    if deliveries > 0 {
        let cause = "Census sends webhooks in an unknown format, or about runs that its API does not have. The log of \
                     webhook-worker names each reason";
        return about.unhealthy(Severity::Warning, evidence, cause);
    }
    let unknown = queues.iter().find_map(|queue| match &queue.count {
        Ok(Some(_)) => None,
        Ok(None) => Some(about.unknown("number of dead letters")),
        Err(why) => Some(about.unreadable(why)),
    });
    unknown.unwrap_or_else(|| about.healthy("dead-letter queues are empty"))
}

/// Judges whether webhooks arrive, by the end of runs whose webhooks are due.
///
/// * none was ever accepted or refused     => not evaluated: none may be registered, which the doctor checks
/// * several runs ended since the last one => warning, with the reason if webhooks were refused
pub fn judge_webhooks(record: Option<&WebhookRecord>, ended: &[Timestamp]) -> Finding {
    let about = Check::WebhooksArrive.about(SYNCWATCH);
    let Some(record) = record else {
        return about.nothing_yet("the first webhook");
    };
    let Some(newest) = ended.iter().max() else {
        return about.nothing_yet("an ended run");
    };
    let without_webhook =
        ended.iter().filter(|ended| record.accepted_at.is_none_or(|at| **ended > at)).count();
    let last = record
        .accepted_at
        .map_or("none accepted so far".to_owned(), |at| format!("last one accepted {}", minute_utc(at)));
    if without_webhook < WITHOUT_WEBHOOK_LIMIT {
        return about.healthy(format!("webhooks arrive; {last}"));
    }
    // A refusal before the last accepted one explains nothing.
    let refused =
        record.refused.as_ref().filter(|(at, _)| record.accepted_at.is_none_or(|accepted| *at > accepted));
    let (how, cause) = match refused {
        Some((_, why)) => (
            format!("webhooks are refused ({why})"),
            "Our secret is not that of the webhook in Census, or a proxy changes the header or the body",
        ),
        None => (
            "webhooks do not arrive".to_owned(),
            "The webhook was deleted or disabled in Census, it posts to another address, or requests are blocked before \
             webhook-intake",
        ),
    };
    let evidence = Evidence::new(format!("{how}; {last}"))
        .with("newest ended run", *newest)
        .with_some("last webhook accepted", record.accepted_at)
        .with_some("last webhook refused", refused.map(|(at, _)| *at));
    about.unhealthy(Severity::Warning, evidence, cause)
}

/// Judges whether each topic has the confirmed subscribers that it needs: every mail has a link that unsubscribes, and no
/// metric counts its use.
///
/// * all subscribers of a topic are missing      => critical: no notice arrives
/// * some are missing, or were never confirmed   => error
/// * a topic that cannot be read                 => not evaluated, unless another one is unhealthy
/// * a topic without the tag                     => not evaluated: an older Terraform made it
pub fn judge_subscribers(topics: &[TopicSubscribers]) -> Finding {
    let about = Check::SubscribersConfirmed.about(SYNCWATCH);
    let (mut missing, mut none_left, mut unknown) = (Vec::new(), false, None);
    for TopicSubscribers { topic, found } in topics {
        match found {
            Ok((Some(needed), confirmed)) => {
                let short = needed.missing(confirmed);
                missing.extend(short.map(|short| format!("topic {topic} has {short} subscribers confirmed")));
                none_left |= needed.is_all_missing(confirmed);
            }
            Ok((None, _)) => {
                let awaited = format!("the tag of topic {topic} with its subscribers (run `make deploy`)");
                unknown = unknown.or_else(|| Some(about.nothing_yet(awaited)));
            }
            Err(why) => unknown = Some(about.unreadable(why)),
        }
    }
    if missing.is_empty() {
        return unknown.unwrap_or_else(|| about.healthy("every topic has its confirmed subscribers"));
    }
    let severity = if none_left { Severity::Critical } else { Severity::Error };
    let cause = "A subscription was never confirmed, or a link in a mail ended it, as mail scanners follow links. These \
                 subscribers get no notices, or no alarms";
    about.unhealthy(severity, missing.join("; "), cause)
}

/// Judges whether the data checks run at all, by the record of their last whole round.
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
    let mut evidence = Evidence::new(format!("data checks ran {} ago", words(silent)))
        .with("last whole round", last.at)
        .with("checks in it", last.checks.len())
        .with("checks declared", checks.len());
    if !missing.is_empty() {
        evidence = evidence.with("not run yet", named(&missing, NAMED, missing.len()));
    }
    if silent <= SILENT {
        return about.healthy(evidence);
    }
    let cause = "daily-validation is not triggered, fails before it judges, or exceeds its time limit: check its log and its \
                 schedule. The state of the data is unknown until it runs";
    evidence.summary = format!("data checks have not run for {} (limit {})", words(silent), words(SILENT));
    about.unhealthy(silence_severity(Some(silent)), evidence, cause)
}

/// Judges whether the status page is renewed: an old page looks like a quiet pipeline.
fn judge_page_renewed(renewed_at: Option<Timestamp>, now: Timestamp) -> Finding {
    let about = Check::PageRenewed.about(SYNCWATCH);
    let Some(renewed_at) = renewed_at else { return about.nothing_yet("the first status page") };
    let silent = now.duration_since(renewed_at).max(SignedDuration::ZERO);
    let evidence = Evidence::new(format!("status page renewed {} ago", words(silent)))
        .with("last renewed", renewed_at)
        .since(renewed_at);
    if silent <= PAGE_OUT_OF_DATE {
        return about.healthy(evidence);
    }
    let summary =
        format!("status page not renewed for {} (limit {})", words(silent), words(PAGE_OUT_OF_DATE));
    let cause = "status-page is not triggered, or cannot read or store something: its log names it. The page itself shows its time";
    about.unhealthy(Severity::Warning, Evidence { summary, ..evidence }, cause)
}

/// Judges whether the objects are compared at all, by the record of the comparisons.
///
/// * no round within 26 hours             => warning, after 50 hours an error
/// * an object was not compared for longer => warning: its tables are unreadable, or its copy is stale every night
pub fn judge_objects_compared(last: Option<&ReconciledRound>, objects: &[Object], now: Timestamp) -> Finding {
    let about = Check::ChecksRan.about(SYNCWATCH);
    if objects.is_empty() {
        return about.not_declared();
    }
    let Some((last, at)) = last.and_then(|last| Some((last, last.at?))) else {
        return about.nothing_yet("the first whole round of reconciliation");
    };
    let since = |at: Timestamp| now.duration_since(at).max(SignedDuration::ZERO);
    let silent = since(at);
    let evidence = Evidence::new(format!("objects were compared {} ago", words(silent)))
        .with("last round of reconciliation", at)
        .with("objects declared", objects.len());
    if silent > SILENT {
        let cause = "reconciliation is not triggered, fails before it judges, or exceeds its time limit: check its log and its \
                     schedule. Wrong records are not found until it runs";
        let summary =
            format!("objects have not been compared for {} (limit {})", words(silent), words(SILENT));
        return about.unhealthy(silence_severity(Some(silent)), Evidence { summary, ..evidence }, cause);
    }
    let compared = objects.iter().filter_map(|object| {
        let at = last.objects.get(&object.name)?.compared?;
        Some((at, object.name.as_str()))
    });
    match compared.min().filter(|(at, _)| since(*at) > LONG_SILENT) {
        None => about.healthy(evidence),
        Some((at, name)) => {
            let (silent, limit) = (words(since(at)), words(LONG_SILENT));
            let summary = format!("object {name} has not been compared for {silent} (limit {limit})");
            let cause = "Each night its tables cannot be read, its copy is stale, or the time runs out before its turn: see the \
                         result of reconciliation";
            about.unhealthy(Severity::Warning, Evidence { summary, ..evidence }, cause)
        }
    }
}

/// Of two findings of a check, returns the one that must not be hidden by the other.
fn worse(one: Finding, other: Finding) -> Finding {
    let rank = |finding: &Finding| match &finding.outcome {
        Outcome::Unhealthy { severity, .. } => (4, Some(*severity)),
        Outcome::NotEvaluated { why: WhyNot::NotDeclared } => (0, None),
        Outcome::NotEvaluated { why: WhyNot::NothingYet { .. } } => (1, None),
        Outcome::Healthy { .. } => (2, None),
        Outcome::NotEvaluated { .. } => (3, None),
    };
    if rank(&other) > rank(&one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::Tried;

    #[test]
    fn unreadable_record_leaves_only_its_own_check_unreadable() {
        let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let readable = Itself {
            dead_letters: Vec::new(),
            subscribers: Vec::new(),
            validated: Ok(None),
            reconciled: Ok(None),
            snapshot: Ok(None),
            webhooks: Ok(None),
            page: Ok(None),
            ended: Vec::new(),
        };
        let failed = || "table denied".to_owned();
        let table = [
            (Check::ChecksRan, Itself { validated: Err(failed()), ..readable.clone() }),
            (Check::ChecksRan, Itself { reconciled: Err(failed()), ..readable.clone() }),
            (Check::SnapshotWritten, Itself { snapshot: Err(failed()), ..readable.clone() }),
            (Check::WebhooksArrive, Itself { webhooks: Err(failed()), ..readable.clone() }),
            (Check::PageRenewed, Itself { page: Err(failed()), ..readable.clone() }),
        ];
        for (check, itself) in table {
            let findings = judge_itself(&itself, &pipeline, now);
            let unreadable: Vec<Check> = findings
                .iter()
                .filter(|finding| finding.to_string().contains("unreadable: table denied"))
                .map(|finding| finding.check)
                .collect();
            assert_eq!(unreadable, [check]);
            assert_eq!(findings.len(), 6, "{findings:?}");
        }
    }

    #[test]
    fn page_that_is_not_renewed_for_15_minutes_is_a_warning() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let after =
            |minutes| judge_page_renewed(Some(now - SignedDuration::from_mins(minutes)), now).to_string();
        assert!(judge_page_renewed(None, now).to_string().contains("the first status page"));
        assert!(after(15).contains("healthy"), "{}", after(15));
        let late = judge_page_renewed(Some(now - SignedDuration::from_secs(901)), now);
        assert_eq!(late.severity(), Some(Severity::Warning), "{late}");
        assert!(after(40).contains("status page not renewed for 40m (limit 15m)"), "{}", after(40));
    }

    #[test]
    fn objects_must_be_compared_every_night_and_none_left_out() {
        let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let ago = |hours: i64| now - SignedDuration::from_hours(hours);
        let name = pipeline.objects[0].name.clone();
        let round = |at, compared: Option<i64>| {
            let tried = Tried { at, compared: compared.map(ago) };
            Some(ReconciledRound { at: Some(at), objects: [(name.clone(), tried)].into() })
        };
        let table = [
            (None, "waiting for the first whole round"),
            (round(ago(26), None), "healthy"),
            (round(ago(27), Some(27)), "warning, objects have not been compared for 1d 3h"),
            (round(ago(51), Some(51)), "error, objects have not been compared for"),
            (round(ago(1), Some(49)), "healthy"),
            (round(ago(1), Some(51)), "warning, object properties has not been compared for 2d 3h"),
        ];
        for (record, expected) in table {
            let finding = judge_objects_compared(record.as_ref(), &pipeline.objects, now);
            assert!(finding.to_string().contains(expected), "{record:?}: {finding}");
        }
        assert!(judge_objects_compared(None, &[], now).to_string().contains("not declared"));
    }

    #[test]
    fn silent_reconciliation_is_not_hidden_by_running_checks() {
        let about = || Check::ChecksRan.about(SYNCWATCH);
        let silent = || about().unhealthy(Severity::Warning, "silent", "a cause");
        for (one, other) in [
            (about().healthy("ran"), silent()),
            (about().unreadable("table denied"), silent()),
            (silent(), about().unhealthy(Severity::Error, "silent for longer", "a cause")),
            (about().healthy("ran"), about().unreadable("table denied")),
            (about().nothing_yet("a round"), about().healthy("ran")),
            (about().not_declared(), about().nothing_yet("a round")),
        ] {
            assert_eq!(worse(one.clone(), other.clone()), other);
            assert_eq!(worse(other.clone(), one), other);
        }
    }

    #[test]
    fn webhooks_are_unhealthy_once_several_runs_ended_without_one() {
        let at = |minute: i64| Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap();
        let record = |accepted: Option<i64>, refused: Option<i64>| {
            let refused = refused.map(|minute| (at(minute), "wrong-signature".to_owned()));
            Some(WebhookRecord { accepted_at: accepted.map(at), refused })
        };
        let ended = [at(10), at(25), at(30), at(40)];
        let table: [(Option<WebhookRecord>, &[Timestamp], &str); 10] = [
            (None, &ended, "waiting for the first webhook"),
            (record(Some(0), None), &[], "waiting for an ended run"),
            (record(Some(41), None), &ended, "webhooks arrive"),
            (record(Some(25), None), &ended, "webhooks arrive"),
            (record(Some(24), None), &ended, "webhooks do not arrive"),
            (record(Some(24), Some(20)), &ended, "webhooks do not arrive"),
            (record(Some(24), Some(24)), &ended, "webhooks do not arrive"),
            (record(Some(24), Some(39)), &ended, "webhooks are refused (wrong-signature)"),
            (record(None, Some(1)), &ended, "webhooks are refused (wrong-signature); none accepted so far"),
            (record(None, Some(1)), &ended[..2], "webhooks arrive; none accepted so far"),
        ];
        for (record, ended, expected) in table {
            let found = match judge_webhooks(record.as_ref(), ended).outcome {
                Outcome::Healthy { evidence } | Outcome::Unhealthy { evidence, .. } => evidence.summary,
                Outcome::NotEvaluated { why } => why.to_string(),
            };
            assert!(found.contains(expected), "{record:?} {ended:?}: {found}");
        }
    }
}
