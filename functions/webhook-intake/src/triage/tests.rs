use serde_json::json;
use syncwatch::observation::RunId;

use super::*;
use crate::delivery::{queue_message, refusal_message};

fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap()
}

fn message(id: &str, sync: u64, run: u64, event: &str) -> Message {
    let body = json!({ "sync_id": sync, "sync_run_id": run, "event": event }).to_string();
    let received_at = "2026-11-24T10:00:00Z".parse().unwrap();
    Message { id: id.to_owned(), body: queue_message(body.as_bytes(), received_at), receives: 1 }
}

fn broken(id: &str) -> Message {
    Message { id: id.to_owned(), body: "x".to_owned(), receives: 1 }
}

fn ids(settled: &[(Message, Fate)]) -> Vec<(&str, &Fate)> {
    settled.iter().map(|(message, fate)| (message.id.as_str(), fate)).collect()
}

#[test]
fn batch_is_sorted_into_settled_kept_and_hints() {
    let mut triage = Triage::of(
        vec![
            message("a", 3_394_022, 1, "sync.failed"),
            message("b", 3_394_022, 1, "sync.completed"),
            message("c", 3_394_022, 1, "sync.failed"),
            broken("d"),
            message("e", 7, 1, "sync.failed"),
            message("f", 3_394_041, 2, "sync.success"),
            message("g", 7, 1, "sync.skipped"),
            message("h", 7, 1, "sync.skipped"),
        ],
        &pipeline(),
    );
    assert_eq!(ids(&triage.settled), [("d", &Fate::Poison(Poison::NotOurs)), ("e", &Fate::UnknownSync)]);
    assert_eq!(
        triage.keys(),
        [
            "census/1/sync.failed/-",
            "census/1/sync.completed/-",
            "census/2/sync.success/-",
            "census/1/sync.skipped/-",
        ]
    );
    let copies: Vec<usize> = triage.hints.iter().map(|hint| hint.copies.len()).collect();
    assert_eq!((copies, triage.kept[0].copies.len()), (vec![1, 0, 0], 1));

    triage.settle_duplicates(&HashSet::from(["census/1/sync.failed/-".to_owned()]));
    let duplicates: Vec<_> =
        ids(&triage.settled).into_iter().filter(|(_, fate)| **fate == Fate::Duplicate).collect();
    assert_eq!(duplicates, [("a", &Fate::Duplicate), ("c", &Fate::Duplicate)]);

    let seed = pipeline();
    let groups = Triage::by_sync(triage.hints, &seed);
    let runs: Vec<(&str, Vec<RunId>)> = groups
        .iter()
        .map(|(sync, hints)| (sync.key.as_str(), hints.iter().map(|hint| hint.payload.run_id).collect()))
        .collect();
    assert_eq!(runs, [("properties-create", vec![RunId(1)]), ("properties-update", vec![RunId(2)])]);
}

#[test]
fn newest_refusal_of_a_batch_is_kept_in_any_order() {
    let refused = |why: &str, at: &str| Message {
        id: why.to_owned(),
        body: refusal_message(why, at.parse().unwrap()),
        receives: 1,
    };
    let early = refused("no-signature", "2026-11-24T10:00:00Z");
    let late = refused("wrong-signature", "2026-11-24T10:00:01Z");
    for batch in [vec![early.clone(), late.clone()], vec![late, early]] {
        let triage = Triage::of(batch, &pipeline());
        assert_eq!(triage.refused.map(|refused| refused.why), Some("wrong-signature".to_owned()));
        assert!(triage.settled.iter().all(|(_, fate)| *fate == Fate::Refusal), "{:?}", triage.settled);
    }
}

#[test]
fn refusal_and_poison_do_not_prove_that_webhooks_arrive() {
    let table = [
        (Fate::Handled, true),
        (Fate::Late, true),
        (Fate::Duplicate, true),
        (Fate::UnknownSync, true),
        (Fate::UnknownEvent, true),
        (Fate::LeftToPoll(Left::StillAtWork), true),
        (Fate::Failed("timeout".to_owned()), true),
        (Fate::Refusal, false),
        (Fate::Poison(Poison::NotOurs), false),
    ];
    for (fate, expected) in table {
        assert_eq!(fate.is_of_delivery(), expected, "{fate:?}");
    }
}

#[test]
fn copy_is_retried_with_its_original_or_is_a_duplicate() {
    let (message, copies) = (broken("a"), vec![broken("b"), broken("c")]);
    let hint = Hint { payload: (), key: String::new(), message, copies };
    let poison = Fate::Poison(Poison::UnknownRun);
    let settled = hint.settle(&poison);
    assert_eq!(ids(&settled), [("a", &poison), ("b", &poison), ("c", &poison)]);
    let settled = hint.settle(&Fate::Late);
    assert_eq!(ids(&settled), [("a", &Fate::Late), ("b", &Fate::Duplicate), ("c", &Fate::Duplicate)]);
}

#[test]
fn last_try_is_left_to_the_poll_unless_it_is_poison() {
    for receives in 0..=6 {
        let message = Message { receives, ..broken("a") };
        let (failed, poison) = (Fate::Failed("timeout".to_owned()), Fate::Poison(Poison::UnknownRun));
        let mut settled = [&failed, &poison, &Fate::Handled].map(|fate| (message.clone(), fate.clone()));
        leave_last_tries(&mut settled);
        let expected =
            if receives < 4 { failed } else { Fate::LeftToPoll(Left::LastTry("timeout".to_owned())) };
        assert_eq!(settled.map(|(_, fate)| fate), [expected, poison, Fate::Handled], "receive {receives}");
    }
}

#[test]
fn only_poison_and_failures_are_returned_to_sqs() {
    let fates = [
        Fate::Handled,
        Fate::Late,
        Fate::Duplicate,
        Fate::UnknownSync,
        Fate::UnknownEvent,
        Fate::LeftToPoll(Left::StillAtWork),
        Fate::Poison(Poison::NotJson),
        Fate::Failed("table x: AWS denied access".to_owned()),
    ];
    let settled: Vec<(Message, Fate)> =
        fates.into_iter().enumerate().map(|(index, fate)| (broken(&format!("m-{index}")), fate)).collect();
    assert_eq!(
        answer(&settled),
        json!({ "batchItemFailures": [{ "itemIdentifier": "m-6" }, { "itemIdentifier": "m-7" }] })
    );
    assert_eq!(answer(&[]), json!({ "batchItemFailures": [] }));
}
