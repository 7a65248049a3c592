//! The remedies that people approve: more clusters, a new webhook, a view of its file.

use super::*;
use crate::baseline::What;

fn pipeline_with_clusters() -> Pipeline {
    Pipeline::parse(&TOML.replace("usd_per_day = 10.0", "usd_per_day = 10.0\nmax_clusters = 3")).unwrap()
}

fn clusters(max: u32) -> Result<WarehouseState, String> {
    Ok(WarehouseState { max_clusters: Some(max), ..stopping_after("RUNNING", Some(10)) })
}

/// Three runs of the sync `often` failed, and queries waited.
fn full() -> Observed {
    let runs =
        [9, 8, 7].map(|id| run(id, RunStatus::Failed, 10 * (10 - i64::try_from(id).unwrap()))).to_vec();
    Observed { sync: Ok(seen(runs)), warehouse: clusters(1), queued: Some(4), ..observed() }
}

fn chosen(observed: &Observed) -> Option<RemedyKind> {
    let timed_out = incident("run-failed", "often", Some("query-timeout"));
    kind(&choose(&timed_out, &pipeline_with_clusters(), observed, now()))
}

fn widening() -> Record {
    let timed_out = incident("run-failed", "often", Some("query-timeout"));
    let Choice::Remedy(plan) = choose(&timed_out, &pipeline_with_clusters(), &full(), now()) else {
        panic!()
    };
    let mut record = Record::begin(*plan, 1, now());
    record.acted_at = Some(now());
    record.newest_before = Some(RunId(9));
    record.to(State::Acting, "", now()).unwrap().to(State::Verifying, "", now()).unwrap()
}

#[test]
fn more_clusters_are_asked_for_only_if_they_may_help() {
    assert_eq!(chosen(&full()), Some(RemedyKind::WidenWarehouse));
    let others: [fn(&mut Observed); 5] = [
        |seen| seen.queued = Some(0),
        |seen| seen.queued = None,
        |seen| seen.warehouse = clusters(3),
        |seen| seen.warehouse = Ok(stopping_after("RUNNING", Some(10))),
        |seen| seen.sync.as_mut().unwrap().runs.as_mut().unwrap().runs[1].status = RunStatus::Completed,
    ];
    for change in others {
        let mut seen = full();
        change(&mut seen);
        assert_ne!(chosen(&seen), Some(RemedyKind::WidenWarehouse));
    }
    let undeclared =
        choose(&incident("run-failed", "often", Some("query-timeout")), &pipeline(), &full(), now());
    assert_ne!(kind(&undeclared), Some(RemedyKind::WidenWarehouse));
}

#[test]
fn more_clusters_cost_their_two_hours_and_need_one_approval() {
    let record = widening();
    assert_eq!(record.plan.approvals, 1);
    assert_eq!(cents(&record.plan, &pipeline_with_clusters(), None), 1_200, "2 clusters, 2 hours, 3 USD");
    assert_eq!(record.plan.act(), "give the SQL warehouse up to 3 clusters instead of 1 for two hours");
}

#[test]
fn clusters_are_taken_away_after_two_hours_or_a_failed_run() {
    let record = widening();
    let wide =
        |runs: Vec<Run>| Observed { at: now(), sync: Ok(seen(runs)), warehouse: clusters(3), ..observed() };
    let at = |minutes_later| now() + minutes(minutes_later);
    let completed = || vec![run(10, RunStatus::Completed, 0)];
    assert_eq!(put_back(&record, &wide(completed()), at(119)), None);
    assert_eq!(put_back(&record, &wide(completed()), at(120)), Some("two hours have passed"));
    let failed = wide(vec![run(10, RunStatus::Failed, 0)]);
    assert_eq!(put_back(&record, &failed, at(20)), Some("the next run failed, too"));
    // A skipped run shows nothing, and the number of another party is left alone.
    assert_eq!(put_back(&record, &wide(vec![run(10, RunStatus::Skipped, 0)]), at(20)), None);
    let others = Observed { warehouse: clusters(2), ..failed };
    assert_eq!(put_back(&record, &others, at(200)), None);
}

#[test]
fn clusters_helped_if_a_run_completed_before_they_were_gone() {
    let record = widening();
    let later = now() + minutes(125);
    let judged_as = |runs: Vec<Run>, max, healthy| {
        let seen = seen(runs);
        let seen = Observed { at: later, sync: Ok(seen), warehouse: clusters(max), healthy, ..observed() };
        health(&record, &seen, minutes(5), later)
    };
    let judged = |runs, max| judged_as(runs, max, Some(true));
    let completed = || vec![run(10, RunStatus::Completed, 0)];
    assert_eq!(judged(completed(), 3), Health::Waiting, "the clusters are still there");
    assert!(matches!(judged(completed(), 1), Health::Healed(_)));
    assert!(matches!(judged(vec![run(10, RunStatus::Failed, 0)], 1), Health::Failed(_)));
    assert!(matches!(judged(vec![], 1), Health::Failed(_)));
    assert!(matches!(judged_as(completed(), 1, Some(false)), Health::Failed(_)), "it failed again");
    assert_eq!(judged_as(completed(), 1, None), Health::Waiting);
}

#[test]
fn clusters_that_stay_for_three_hours_are_harm() {
    let record = widening();
    let stay = Observed { warehouse: clusters(3), ..observed() };
    assert_eq!(harm(&record, &stay, now() + minutes(179)), None);
    let harm_done = harm(&record, &stay, now() + minutes(180)).unwrap();
    assert_eq!(harm_done, "the SQL warehouse still has up to 3 clusters instead of 1");
    assert_eq!(harm(&record, &Observed { warehouse: clusters(1), ..stay }, now() + minutes(300)), None);
}

#[test]
fn missing_webhook_is_created_and_verified_by_a_delivery() {
    let seen = |ours: Vec<u64>, whole, accepted_ago: i64| {
        let accepted_at = Some(now() - minutes(accepted_ago));
        Observed { webhook: Ok(WebhookSeen { ours, whole, accepted_at }), ..observed() }
    };
    let silent = incident("webhooks-arrive", "syncwatch", None);
    let Choice::Remedy(plan) = choose(&silent, &pipeline(), &seen(vec![7], false, 90), now()) else {
        panic!()
    };
    assert_eq!((plan.kind, plan.approvals), (RemedyKind::RegisterWebhook, 1));
    let other = match choose(&silent, &pipeline(), &seen(vec![7, 8], false, 90), now()) {
        Choice::Remedy(other) => other.hash(),
        Choice::Person { why, .. } => panic!("{why}"),
    };
    assert_ne!(plan.hash(), other, "other webhooks are another plan, so the approval is void");
    let unread = Observed { webhook: Err("no secret".to_owned()), ..observed() };
    assert!(matches!(choose(&silent, &pipeline(), &unread, now()), Choice::Person { .. }));

    let mut record = Record::begin(*plan, 1, now());
    record.acted_at = Some(now() - minutes(10));
    assert_eq!(adopted(&record, &seen(vec![7], true, 90)), None, "the old one");
    assert!(adopted(&record, &seen(vec![9], true, 90)).is_some());
    assert_eq!(adopted(&record, &seen(vec![9], false, 90)), None, "its secret is lost");
    assert_eq!(health(&record, &seen(vec![9], true, 90), minutes(5), now()), Health::Waiting);
    assert!(matches!(health(&record, &seen(vec![9], true, 5), minutes(5), now()), Health::Healed(_)));
}

fn view() -> ViewSeen {
    ViewSeen {
        found: Some("select 1".to_owned()),
        as_declared: false,
        lost_columns: Vec::new(),
        rows: Some(100),
        declared_rows: Ok(120),
        readers: vec!["update".to_owned()],
    }
}

fn of_view(change: impl FnOnce(&mut ViewSeen), since_minutes: i64, reader: SyncObservation) -> Vec<Gate> {
    let mut seen = view();
    change(&mut seen);
    let mut drift = incident("definition-changed", "crm.s.v", None);
    drift.opened_at = now() - minutes(since_minutes);
    let observed = Observed {
        siblings: vec![("update".to_owned(), Ok(reader))],
        view: Ok(seen),
        ..Observed::nothing(now(), "not read")
    };
    let Choice::Remedy(plan) = choose(&drift, &pipeline(), &observed, now()) else { panic!() };
    assert_eq!(plan.kind, RemedyKind::RecreateView);
    let record = Record::begin(*plan, 1, now());
    let record = record.approved("ada", now()).unwrap().approved("grace", now()).unwrap();
    let world = World {
        pipeline: &pipeline(),
        stops: Ok(&[]),
        incident: Some(&drift),
        silenced_by: None,
        observed: &observed,
        records: &[],
        ill: Ill { ill: 0, declared: 4 },
        has_turn: true,
    };
    may(&record, &world, now()).failing.into_iter().map(|failing| failing.gate).collect()
}

#[test]
fn view_is_recreated_only_if_its_file_is_safe_for_its_readers() {
    let idle = || seen(vec![run(7, RunStatus::Completed, 30)]);
    assert_eq!(of_view(|_| {}, 180, idle()), []);
    type Close = (Gate, fn(&mut ViewSeen));
    let closes: [Close; 5] = [
        (Gate::Condition, |seen| seen.lost_columns = vec!["city".to_owned()]),
        (Gate::Condition, |seen| seen.declared_rows = Err("syntax error".to_owned())),
        (Gate::BlastRadius, |seen| seen.declared_rows = Ok(121)),
        (Gate::BlastRadius, |seen| seen.declared_rows = Ok(79)),
        (Gate::BlastRadius, |seen| seen.rows = None),
    ];
    for (gate, change) in closes {
        assert_eq!(of_view(change, 180, idle()), [gate]);
    }
    assert_eq!(of_view(|_| {}, 119, idle()), [Gate::Cooldown], "a person may still be at work");
    assert_eq!(of_view(|_| {}, 180, seen(vec![run(8, RunStatus::Working, 1)])), [Gate::Running]);
    // A view that was dropped has no rows to compare.
    assert_eq!(of_view(|seen| (seen.found, seen.rows) = (None, None), 180, idle()), []);
}

/// The record of a view that was recreated an hour ago, and is healed.
fn recreated() -> Record {
    let drift = incident("definition-changed", "crm.s.v", None);
    let observed = Observed { view: Ok(view()), ..observed() };
    let Choice::Remedy(plan) = choose(&drift, &pipeline(), &observed, now()) else { panic!() };
    Record {
        acted_at: Some(now() - minutes(60)),
        state: State::Healed,
        readers: view().readers,
        ..Record::begin(*plan, 1, now() - minutes(90))
    }
}

#[test]
fn first_run_with_a_recreated_view_may_move_triple_the_usual() {
    use RunStatus::{Completed, Failed, Skipped, Working};
    let moving = |id, status, ago, processed| {
        let counts = Counts { processed, ..Counts::default() };
        Run { counts, ..run(id, status, ago) }
    };
    // The act was an hour ago.
    let before = || vec![moving(5, Completed, 300, Some(100)), moving(7, Completed, 90, Some(40))];
    type Judged = Option<Result<(), &'static str>>;
    let table: [(Vec<Run>, Judged); 9] = [
        (vec![], None),
        (vec![moving(8, Completed, 30, Some(300))], Some(Ok(()))),
        (vec![moving(8, Completed, 30, Some(301))], Some(Err("run 8"))),
        // Working and failed runs count, too.
        (vec![moving(8, Working, 5, Some(300))], None),
        (vec![moving(8, Working, 5, Some(301))], Some(Err("run 8"))),
        (vec![moving(9, Completed, 5, Some(20)), moving(8, Failed, 30, Some(301))], Some(Err("run 8"))),
        (vec![moving(8, Failed, 30, None)], None),
        (vec![moving(8, Skipped, 30, None)], None),
        // Only the first one is judged.
        (vec![moving(9, Completed, 5, Some(9_000)), moving(8, Completed, 30, Some(20))], Some(Ok(()))),
    ];
    let judge = |runs: Vec<Run>| {
        let reader = vec![("update".to_owned(), Ok(seen(runs)))];
        let judged = watched(&recreated(), &reader)?;
        assert!(judged.looked && judged.version == 2);
        Some(judged.harm.map_or(Ok(()), Err))
    };
    for (after, expected) in table {
        let judged = judge([after.clone(), before()].concat());
        match expected {
            Some(Err(run)) => {
                let harm = judged.unwrap().unwrap_err();
                let text = "of update, the first with the recreated view, moved 301 records, more than 3 times the usual 100";
                assert_eq!(harm, format!("{run} {text}"));
            }
            expected => assert_eq!(judged, expected.map(|_| Ok(())), "{after:?}"),
        }
    }
    // Without a usual amount, nothing is judged.
    let first = || moving(8, Completed, 30, Some(9_000));
    for unknown in [vec![], vec![moving(7, Completed, 90, Some(0))], vec![moving(7, Completed, 90, None)]] {
        assert_eq!(judge([vec![first()], unknown].concat()), None);
    }
    // Each reader must be known, unless one shows harm.
    let two = Record { readers: vec!["create".to_owned(), "update".to_owned()], ..recreated() };
    let update = |processed| {
        let runs = [vec![moving(8, Completed, 30, Some(processed))], before()].concat();
        vec![("update".to_owned(), Ok(seen(runs))), ("create".to_owned(), Err("503".to_owned()))]
    };
    assert_eq!(watched(&two, &update(20)), None);
    assert!(watched(&two, &update(301)).unwrap().harm.is_some());
    assert_eq!(watched(&recreated(), &[]), None);
}

#[test]
fn recreated_view_is_watched_and_its_harm_opens_the_breaker() {
    let at = |hours| now() - minutes(60) + SignedDuration::from_hours(hours);
    assert!(is_watched(&recreated(), at(47)));
    assert!(is_watched(&Record { state: State::Failed, ..recreated() }, at(1)));
    let harmful = Record { looked: true, harm: Some("run 8".to_owned()), ..recreated() };
    let not_watched = [
        Record { state: State::Verifying, ..recreated() },
        Record { readers: Vec::new(), ..recreated() },
        Record { looked: true, ..recreated() },
        Record { acted_at: None, ..recreated() },
        harmful.clone(),
        Record {
            state: State::Healed,
            ..record_of(&incident("run-failed", "update", Some("request-timeout")))
        },
    ];
    for record in not_watched {
        assert!(!is_watched(&record, at(1)), "{record:?}");
    }
    assert!(!is_watched(&recreated(), at(48)));

    let again = Record { id: "again".to_owned(), acted_at: None, ..recreated() };
    let closed = |records: &[Record]| {
        let observed = Observed { view: Ok(view()), ..Observed::nothing(at(12), "not read") };
        let world = World {
            pipeline: &pipeline(),
            stops: Ok(&[]),
            incident: None,
            silenced_by: None,
            observed: &observed,
            records,
            ill: Ill { ill: 0, declared: 4 },
            has_turn: true,
        };
        may(&again, &world, at(12)).failing.iter().any(|failing| failing.gate == Gate::Breaker)
    };
    assert!(closed(&[harmful]));
    assert!(!closed(&[recreated()]));
}

#[test]
fn view_needs_two_people_and_its_change_voids_their_approval() {
    let drift = incident("definition-changed", "crm.s.v", None);
    let plan = |found: &str| {
        let seen = ViewSeen { found: Some(found.to_owned()), ..view() };
        match choose(&drift, &pipeline(), &Observed { view: Ok(seen), ..observed() }, now()) {
            Choice::Remedy(plan) => *plan,
            Choice::Person { why, .. } => panic!("{why}"),
        }
    };
    assert_eq!(plan("select 1").approvals, 2);
    assert_ne!(plan("select 1").hash(), plan("select 2").hash());
    let as_declared = Observed { view: Ok(ViewSeen { as_declared: true, ..view() }), ..observed() };
    assert!(matches!(choose(&drift, &pipeline(), &as_declared, now()), Choice::Person { .. }));
}

#[test]
fn only_incidents_that_may_have_a_remedy_are_observed() {
    let mut pipeline = pipeline();
    pipeline.declared_views.insert("crm.s.v".to_owned(), crate::pipeline::DeclaredView::default());
    let drift = |what: What, minutes_ago| {
        let mut drift = incident("definition-changed", "crm.s.v", None);
        drift.opened_at = now() - minutes(minutes_ago);
        drift.evidence = drift.evidence.with(what.words(), "a line");
        drift
    };
    for (check, subject, expected) in [
        ("run-failed", "update", true),
        ("run-failed", "unknown", false),
        ("error-rate", "update", false),
        ("coverage", "properties-coverage", false),
        ("dead-letters", "syncwatch", true),
        ("definition-changed", "update", false),
    ] {
        let worth = may_have_one(&incident(check, subject, None), &pipeline, now());
        assert_eq!(worth, expected, "{check} {subject}");
    }
    assert!(may_have_one(&drift(What::NotAsDeclared, 120), &pipeline, now()));
    assert!(!may_have_one(&drift(What::NotAsDeclared, 119), &pipeline, now()), "its author may be at work");
    assert!(!may_have_one(&drift(What::GrantRevoked, 500), &pipeline, now()), "its text is that of the file");
    pipeline.declared_views.clear();
    assert!(!may_have_one(&drift(What::NotAsDeclared, 500), &pipeline, now()), "no file declares it");
}
