//! Remedies end to end: the function on the lab's AWS, Census and Databricks, with people and faults in between.

use ::remedies::App;
use serde_json::{Value, json};
use syncwatch::aws::incidents::{Expected, WriteOutcome};
use syncwatch::baseline::What;
use syncwatch::observe::definition::read_declared_views;
use syncwatch::pipeline::{DeclaredView, RemedyKind};
use syncwatch::remedy::{Gate, Plan, Record, State, Stop, Target};
use syncwatch::runtime::env;
use syncwatch::sql::Statement;
use syncwatch_lab::census::{Fault, HttpFault, SimSchedule, TOKEN, World, Write};
use syncwatch_lab::databricks::DatabricksFault;
use syncwatch_lab::properties::{PropertyWorld, sql_folder};

use crate::create_proof::{make_view, provable, upserting};
use crate::engines::{CREATE, Engines, PIPELINE, UPDATE, opened};
use crate::simulated_databricks::{open, settings};

/// Every four hours, so that the schedule heals nothing soon.
const CRON: &str = "0 */4 * * *";

fn acting(level: &str) -> String {
    let often = "schedule = { every = \"15m\", grace = \"5m\" }";
    assert!(PIPELINE.contains(often));
    let rare = format!("schedule = {{ cron = \"{CRON}\", time_zone = \"UTC\", grace = \"5m\" }}");
    format!("{}\n[remedies]\nlevel = \"{level}\"\n", PIPELINE.replace(often, &rare))
}

fn locked() -> Fault {
    let message = "UNABLE_TO_LOCK_ROW: unable to obtain exclusive access to this record".to_owned();
    Fault::Fail { sync: UPDATE, code: "X".to_owned(), message }
}

/// A stage on which the run of 16:00 has failed, and the poll has seen it; the fault has ended.
async fn with_failed_run(level: &str, fault: Fault) -> Engines {
    let now = "2026-11-24T12:00:00Z".parse().unwrap();
    let mut world = World::seed_pipeline(now, 11).carrying(PropertyWorld::with(now, 1, 300, 240, 0));
    world.configure(UPDATE, |sync| sync.schedule = SimSchedule::cron(CRON).unwrap());
    let engines = Engines::set(&acting(level), world).await;
    engines.inject(&fault);
    engines.pass(4 * 60 + 6);
    engines.verify().await;
    engines.heal(&fault);
    engines
}

async fn heal(engines: &Engines) -> Value {
    App::new(engines.site("remedies")).unwrap().run(json!({ "task": "heal" }), engines.now()).await.unwrap()
}

async fn records(engines: &Engines) -> Vec<(RemedyKind, State)> {
    let (mut records, unreadable) = engines.store().remedies("properties").await.unwrap();
    assert!(unreadable.is_empty());
    records.sort_by_key(|record: &Record| (record.proposed_at(), record.attempt));
    records.into_iter().map(|record| (record.plan.kind, record.state)).collect()
}

fn writes(engines: &Engines) -> Vec<Write> {
    engines.stage.census.writes().into_iter().filter(|write| !write.path.contains("webhooks")).collect()
}

fn triggered(engines: &Engines) -> usize {
    let writes = writes(engines);
    assert!(writes.iter().all(|write| write.path == format!("/api/v1/syncs/{UPDATE}/trigger")), "{writes:?}");
    writes.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_run_is_run_again_and_nobody_is_paged() {
    let engines = with_failed_run("act", locked()).await;
    heal(&engines).await;
    assert_eq!(records(&engines).await, [(RemedyKind::RunAgain, State::Held)], "it waits five minutes first");
    engines.pass(8);
    heal(&engines).await;
    assert_eq!(records(&engines).await, [(RemedyKind::RunAgain, State::Verifying)]);
    engines.pass(6);
    engines.verify().await;
    heal(&engines).await;
    assert_eq!(records(&engines).await, [(RemedyKind::RunAgain, State::Healed)]);
    assert_eq!(triggered(&engines), 1);
    let notices = engines.notices().await;
    let ends = ["opened", "resolved"].map(|kind| format!("{kind} properties/run-failed/properties-update"));
    assert_eq!(notices[..2], ends);
    assert!(notices[2].starts_with("note properties/remedy/") && notices.len() == 3, "{notices:?}");
    let announced = engines.stage.subscriber.notifications();
    let [opened, resolved, note] = &announced[..] else { panic!("{announced:?}") };
    assert!(opened.text("severity") == "error" && note.text("severity") == "info");
    assert!(note.text("summary").contains("healed by itself"), "{}", note.text("summary"));
    assert!(resolved.text("note").contains("Syncwatch"), "{}", resolved.text("note"));
}

#[tokio::test(flavor = "multi_thread")]
async fn advice_changes_nothing_and_is_listed() {
    let engines = with_failed_run("advise", locked()).await;
    engines.pass(8);
    for _ in 0..3 {
        heal(&engines).await;
        engines.pass(2);
    }
    assert_eq!(records(&engines).await, [(RemedyKind::RunAgain, State::Advised)]);
    assert_eq!(triggered(&engines), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn run_whose_answer_was_lost_is_found_and_never_asked_for_again() {
    for lost in [HttpFault::AnswerLost { times: 1 }, HttpFault::ErrorAfterEffect { times: 1 }] {
        let engines = with_failed_run("act", locked()).await;
        // The vendor is slow to show the new run.
        engines.inject(&Fault::ListedLate { sync: UPDATE, seconds: 90 });
        engines.stage.census.break_door(lost.clone());
        engines.pass(8);
        heal(&engines).await;
        assert_eq!(records(&engines).await, [(RemedyKind::RunAgain, State::Unknown)], "{lost:?}");
        for _ in 0..4 {
            engines.pass(2);
            engines.verify().await;
            heal(&engines).await;
        }
        assert_eq!(records(&engines).await, [(RemedyKind::RunAgain, State::Healed)], "{lost:?}");
        assert_eq!(triggered(&engines), 1, "{lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_functions_at_once_act_once() {
    let engines = with_failed_run("act", locked()).await;
    engines.pass(8);
    let functions = [0, 1, 2].map(|_| App::new(engines.site("remedies")).unwrap());
    let rounds = functions.iter().map(|function| function.run(json!({ "task": "heal" }), engines.now()));
    for answer in futures::future::join_all(rounds).await {
        answer.unwrap();
    }
    assert_eq!(triggered(&engines), 1);
}

/// An act of a person, between the observation that a remedy was judged by and the one at the moment of acting: just before the
/// request that shows it, as the two requests of an observation are made at once.
async fn with_a_person(shown_by: &str, act: impl FnOnce(&mut World) + Send + 'static) {
    let engines = with_failed_run("act", locked()).await;
    heal(&engines).await;
    engines.pass(8);
    let read = format!("GET /api/v1/syncs/{UPDATE}{shown_by}");
    engines.stage.census.before_next(&read, |_| {});
    engines.stage.census.before_next(&read, act);
    heal(&engines).await;
    assert_eq!(triggered(&engines), 0);
    assert_eq!(records(&engines).await, [(RemedyKind::RunAgain, State::Held)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn person_who_pauses_between_judge_and_act_stops_it() {
    with_a_person("", |world| world.configure(UPDATE, |sync| sync.paused = true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn person_who_runs_the_sync_between_judge_and_act_stops_it() {
    with_a_person("/sync_runs", |world| {
        world.trigger(UPDATE, false);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn person_who_changes_the_schedule_before_the_act_stops_it() {
    with_a_person("", |world| world.configure(UPDATE, |sync| sync.schedule = SimSchedule::Never)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_switch_stops_every_act_until_it_is_off() {
    let engines = with_failed_run("act", locked()).await;
    let stop = Stop { kind: None, by: "ada".to_owned(), at: engines.now(), why: "release".to_owned() };
    engines.store().put_stop("properties", &stop, true).await.unwrap();
    engines.pass(8);
    heal(&engines).await;
    assert_eq!(triggered(&engines), 0);
    engines.store().put_stop("properties", &stop, false).await.unwrap();
    engines.pass(2);
    heal(&engines).await;
    assert_eq!(triggered(&engines), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_token_is_one_finding_and_no_act() {
    let engines = with_failed_run("act", locked()).await;
    engines.stage.census.break_door(HttpFault::Unauthorized);
    for _ in 0..4 {
        engines.pass(4);
        engines.verify().await;
        heal(&engines).await;
    }
    assert_eq!(triggered(&engines), 0);
    let open: Vec<String> =
        engines.incidents().await.into_iter().filter(|incident| incident.starts_with("open")).collect();
    assert_eq!(open, ["open run-failed/properties-update", "open token-accepted/census"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_create_sync_is_left_to_people() {
    let fault = Fault::Fail {
        sync: CREATE,
        code: "X".to_owned(),
        message: "UNABLE_TO_LOCK_ROW: unable to obtain exclusive access to this record".to_owned(),
    };
    let engines = with_failed_run("act", fault).await;
    for _ in 0..4 {
        engines.pass(2);
        heal(&engines).await;
    }
    assert_eq!(triggered(&engines), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_create_sync_is_run_again_only_with_a_proof() {
    let engines = Engines::set(&provable(&acting("act")), upserting()).await;
    engines.pass(6 * 60);
    engines.inject(&Fault::HoldSchedule { sync: CREATE });
    engines.pass(173);
    engines.verify().await;
    let round = async |minutes| {
        engines.pass(minutes);
        heal(&engines).await;
        let (records, _) = engines.store().remedies("properties").await.unwrap();
        records.into_iter().min_by_key(Record::proposed_at).unwrap()
    };
    // Without the view that the sync reads, nothing shows what it would create.
    round(0).await;
    let held = round(8).await;
    assert!(held.state == State::Held && writes(&engines).is_empty(), "{held:?}");
    assert!(held.failing.iter().all(|failing| failing.gate == Gate::CreateProof), "{:?}", held.failing);

    make_view(engines.stage.warehouse.as_ref().unwrap()).await;
    let acting = round(2).await;
    assert_eq!(acting.state, State::Verifying, "{:?}", acting.failing);
    let [trigger] = &writes(&engines)[..] else { panic!("{:?}", writes(&engines)) };
    assert_eq!(trigger.path, format!("/api/v1/syncs/{CREATE}/trigger"));
    let proof = acting.proof.unwrap();
    assert!(proof.queue.unwrap().rows > 0 && proof.copy.duplicates == Ok(0));
    let healed = round(20).await;
    assert!(healed.state == State::Healed && !healed.looked && healed.harm.is_none(), "{healed:?}");
    // Later, the copy has the new records.
    let looked = round(4 * 60 + 10).await;
    assert!(looked.looked && looked.harm.is_none(), "{looked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_is_resumed_by_an_approval_and_not_without() {
    let engines = with_failed_run("act", Fault::Pause { sync: UPDATE }).await;
    engines.stage.census.with_world(|world| world.configure(UPDATE, |sync| sync.paused = true));
    engines.pass(2);
    engines.verify().await;
    heal(&engines).await;
    engines.pass(2);
    heal(&engines).await;
    assert_eq!(records(&engines).await, [(RemedyKind::Resume, State::Proposed)]);
    assert!(writes(&engines).is_empty());
    let asked = engines.stage.subscriber.notifications();
    assert!(asked.iter().any(|notice| notice.text("summary").contains("syncwatch remedies approve")));

    let (records_before, _) = engines.store().remedies("properties").await.unwrap();
    let approved = records_before[0].approved("arn:aws:iam::123456789012:user/ada", engines.now()).unwrap();
    assert!(engines.store().put_remedy("properties", &approved, engines.now()).await.unwrap());
    heal(&engines).await;
    let [resumed] = &writes(&engines)[..] else { panic!("{:?}", writes(&engines)) };
    assert_eq!((resumed.method.as_str(), &resumed.body), ("PATCH", &json!({ "paused": false })));
    engines.pass(4 * 60);
    engines.verify().await;
    heal(&engines).await;
    assert_eq!(records(&engines).await, [(RemedyKind::Resume, State::Healed)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_warehouse_is_started_and_its_failed_sync_run_again() {
    let message =
        "The SQL warehouse is stopped. Start the warehouse and try again: WAREHOUSE_STOPPED".to_owned();
    let fault = Fault::Fail { sync: UPDATE, code: "X".to_owned(), message };
    let engines = with_failed_run("act", fault).await;
    let databricks = &engines.stage.warehouse.as_ref().unwrap().databricks;
    databricks.inflict(DatabricksFault::Stopped { start_s: 60 });
    heal(&engines).await;
    assert_eq!(databricks.writes().len(), 1, "{:?}", databricks.writes());
    databricks.pass(std::time::Duration::from_secs(120));
    for _ in 0..7 {
        engines.pass(2);
        engines.verify().await;
        heal(&engines).await;
    }
    let healed = [(RemedyKind::StartWarehouse, State::Healed), (RemedyKind::RunAgain, State::Healed)];
    assert_eq!(records(&engines).await, healed);
    assert_eq!((triggered(&engines), databricks.writes().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_right_is_said_and_ends_the_tries() {
    let engines = with_failed_run("act", locked()).await;
    engines.stage.census.break_door(HttpFault::ForbiddenWrites);
    for _ in 0..40 {
        engines.pass(4);
        heal(&engines).await;
    }
    let open = engines.incidents().await;
    assert!(open.contains(&"open remedies-act/syncwatch".to_owned()), "{open:?}");
    let acted = records(&engines).await.into_iter().filter(|(_, state)| *state == State::Failed).count();
    assert_eq!(acted, 2, "the breaker opens after two");
}

#[tokio::test(flavor = "multi_thread")]
async fn warehouse_that_may_not_be_started_is_said() {
    let message =
        "The SQL warehouse is stopped. Start the warehouse and try again: WAREHOUSE_STOPPED".to_owned();
    let engines = with_failed_run("act", Fault::Fail { sync: UPDATE, code: "X".to_owned(), message }).await;
    let databricks = &engines.stage.warehouse.as_ref().unwrap().databricks;
    databricks.inflict(DatabricksFault::Stopped { start_s: 60 });
    databricks.inflict(DatabricksFault::StartRefused);
    for _ in 0..40 {
        heal(&engines).await;
        engines.pass(4);
    }
    assert_eq!((databricks.writes().len(), triggered(&engines)), (2, 0), "the breaker opens after two");
    let open = engines.incidents().await;
    assert!(open.contains(&"open remedies-act/syncwatch".to_owned()), "{open:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "1 full syncs were requested")]
async fn full_sync_fails_the_test_in_which_it_is_requested() {
    let engines = Engines::at_noon().await;
    let url = format!("{}/api/v1/syncs/{UPDATE}/trigger?force_full_sync=true", engines.stage.census.url());
    syncwatch::http::client().unwrap().post(url).bearer_auth(TOKEN).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn undelivered_notices_are_sent_again() {
    let engines = with_failed_run("act", locked()).await;
    let dead = engines.site("alert-relay").queue(env::NOTICES_DEAD_LETTERS);
    for number in 0..12 {
        dead.send(&format!("{{\"number\":{number}}}")).await.unwrap();
    }
    for _ in 0..3 {
        engines.verify().await;
        engines.pass(2);
    }
    for _ in 0..8 {
        engines.pass(2);
        heal(&engines).await;
    }
    engines.verify().await;
    let kinds = records(&engines).await;
    assert!(kinds.contains(&(RemedyKind::ReplayDeadLetters, State::Healed)), "{kinds:?}");
}

async fn approve(engines: &Engines, people: &[&str]) -> Record {
    let (records, _) = engines.store().remedies("properties").await.unwrap();
    let mut record = records.into_iter().find(|record| record.state == State::Proposed).unwrap();
    for person in people {
        record = record.approved(&format!("arn:aws:iam::123456789012:user/{person}"), engines.now()).unwrap();
        assert!(engines.store().put_remedy("properties", &record, engines.now()).await.unwrap());
    }
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn full_warehouse_gets_more_clusters_for_two_hours() {
    let now = "2026-11-24T12:00:00Z".parse().unwrap();
    let mut world = World::seed_pipeline(now, 11).carrying(PropertyWorld::with(now, 1, 300, 240, 0));
    world.configure(UPDATE, |sync| sync.schedule = SimSchedule::cron("0 * * * *").unwrap());
    let pipeline = acting("act").replace(CRON, "0 * * * *");
    let engines = Engines::set(&format!("{pipeline}max_clusters = 3\n"), world).await;
    let message =
        "000630 (57014): Statement reached its statement or warehouse timeout of 120 second(s) and was \
                   canceled."
            .to_owned();
    let slow = Fault::Fail { sync: UPDATE, code: "X".to_owned(), message };
    engines.inject(&slow);
    engines.pass(3 * 60 + 6);
    engines.verify().await;
    let databricks = &engines.stage.warehouse.as_ref().unwrap().databricks;
    databricks.inflict(DatabricksFault::Full { queries: 4 });
    heal(&engines).await;
    assert_eq!(records(&engines).await, [(RemedyKind::WidenWarehouse, State::Proposed)]);
    assert!(databricks.writes().is_empty());

    engines.pass(2);
    approve(&engines, &["ada"]).await;
    heal(&engines).await;
    let clusters = || -> Vec<Value> {
        databricks.writes().into_iter().map(|(_, body)| body["max_num_clusters"].clone()).collect()
    };
    assert_eq!(clusters(), [json!(3)]);
    engines.heal(&slow);
    for _ in 0..10 {
        engines.pass(15);
        heal(&engines).await;
    }
    assert_eq!(clusters(), [json!(3), json!(1)]);
    assert_eq!(records(&engines).await, [(RemedyKind::WidenWarehouse, State::Healed)]);
    assert_eq!(triggered(&engines), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_webhook_is_created_anew_by_an_approval() {
    let now = "2026-11-24T12:00:00Z".parse().unwrap();
    let pipeline = format!("{PIPELINE}\n[remedies]\nlevel = \"act\"\n");
    let engines = Engines::set(&pipeline, World::seed_pipeline(now, 11)).await;
    engines.stage.census.break_door(HttpFault::WebhooksLost);
    let about_newest = || {
        let run = engines.stage.census.with_world(|world| world.runs(UPDATE).next().unwrap().id);
        json!({ "sync_id": UPDATE, "sync_run_id": run, "event": "sync.completed" }).to_string().into_bytes()
    };
    engines.deliver(&[about_newest()]).await;
    engines.stage.census.with_world(World::delete_webhooks);
    for _ in 0..5 {
        engines.pass(15);
        engines.verify().await;
    }
    let open = engines.incidents().await;
    assert!(open.contains(&"open webhooks-arrive/syncwatch".to_owned()), "{open:?}");
    heal(&engines).await;
    let before = engines.stage.census.writes().len();
    engines.pass(2);
    approve(&engines, &["ada"]).await;
    heal(&engines).await;
    let created = engines.stage.census.writes().split_off(before);
    assert_eq!(created.iter().map(|write| write.method.as_str()).collect::<Vec<_>>(), ["POST"]);
    assert_eq!(records(&engines).await, [(RemedyKind::RegisterWebhook, State::Verifying)]);
    // Census signs with the new secret, and the intake accepts that.
    engines.pass(30);
    engines.deliver(&[about_newest()]).await;
    heal(&engines).await;
    assert_eq!(records(&engines).await, [(RemedyKind::RegisterWebhook, State::Healed)]);
}

const DRIFTED: &str = "crm.sfdc_dbx.properties_to_create";

/// A stage on which a person changed a view of the pipeline by replacing a text in it, and an incident about it is open.
async fn with_drifted_view(from: &str, to: &str) -> Engines {
    let now = "2026-11-24T12:00:00Z".parse().unwrap();
    let world = World::seed_pipeline(now, 11).carrying(PropertyWorld::with(now, 1, 300, 240, 0));
    let mut engines = Engines::set(&acting("act"), world).await;
    read_declared_views(&mut engines.pipeline, &sql_folder().with_file_name("pipeline.toml")).unwrap();
    let [statement] = &engines.pipeline.declared_views[DRIFTED].script[..] else { panic!() };
    assert!(statement.contains(from));
    let databricks = open(settings(&engines.stage.warehouse.as_ref().unwrap().databricks));
    databricks.execute(&Statement::new("change", statement.replace(from, to))).await.unwrap();
    let mut incident = opened(&format!("properties/definition-changed/{DRIFTED}"), engines.now());
    incident.evidence = incident.evidence.with(What::NotAsDeclared.words(), "p.status");
    let written = engines.store().write(&incident, Expected::Absent).await.unwrap();
    assert!(matches!(written, WriteOutcome::Written));
    engines
}

fn views_replaced(engines: &Engines) -> usize {
    let statements = engines.stage.warehouse.as_ref().unwrap().databricks.statements();
    statements.iter().filter(|text| text.starts_with("CREATE OR REPLACE VIEW")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_view_gets_its_files_definition_if_two_people_approve() {
    let engines = with_drifted_view("p.status,", "UPPER(p.status) AS status,").await;
    let before = views_replaced(&engines);
    let asked = || engines.stage.warehouse.as_ref().unwrap().databricks.statements().len();
    let asked_before = asked();
    heal(&engines).await;
    assert_eq!(records(&engines).await, [], "its author may be at work");
    assert_eq!(asked(), asked_before, "statements keep the warehouse running");
    engines.pass(2 * 60 + 30);
    heal(&engines).await;
    assert_eq!(records(&engines).await, [(RemedyKind::RecreateView, State::Proposed)]);
    let asked_before = asked();
    engines.pass(2);
    approve(&engines, &["ada"]).await;
    heal(&engines).await;
    assert_eq!(asked(), asked_before, "people are awaited without statements");
    assert_eq!(views_replaced(&engines), before, "one person is not enough");
    approve(&engines, &["grace"]).await;
    heal(&engines).await;
    assert_eq!(views_replaced(&engines), before + 1);
    engines.pass(2);
    heal(&engines).await;
    assert_eq!(records(&engines).await, [(RemedyKind::RecreateView, State::Healed)]);
    let (stored, _) = engines.store().remedies("properties").await.unwrap();
    assert!(stored[0].replaced.as_ref().unwrap().contains("upper"), "the definition before is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn first_run_with_a_recreated_view_is_judged_by_census_alone() {
    // The source of both syncs in the lab's Census.
    const READ: &str = "crm.sfdc_dbx.properties";
    let mut engines = with_drifted_view("p.status,", "UPPER(p.status) AS status,").await;
    engines.pipeline.declared_views.insert(READ.to_owned(), DeclaredView::default());
    let drift = opened(&format!("properties/definition-changed/{READ}"), engines.now());
    let plan = Plan {
        kind: RemedyKind::RecreateView,
        target: Target::View { name: READ.to_owned(), found: String::new() },
        incident: drift.key,
        opened_at: drift.opened_at,
        why: String::new(),
        effect: String::new(),
        cost: String::new(),
        undo: String::new(),
        approvals: 2,
    };
    let readers = vec!["properties-create".to_owned(), "properties-update".to_owned()];
    let acted_at = Some(engines.now());
    let begun = Record::begin(plan, 1, engines.now());
    let record = Record { state: State::Healed, acted_at, readers, ..begun };
    assert!(engines.store().put_remedy("properties", &record, engines.now()).await.unwrap());
    let statements = || engines.stage.warehouse.as_ref().unwrap().databricks.statements().len();
    let before = statements();
    let judged = async || {
        heal(&engines).await;
        let stored = engines.store().remedies("properties").await.unwrap().0.remove(0);
        (stored.looked, stored.harm)
    };
    assert_eq!(judged().await, (false, None), "no run yet");
    engines.pass(50);
    assert_eq!(judged().await, (true, None));
    assert_eq!(statements(), before, "the warehouse is not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn view_is_left_alone_if_its_file_selects_other_rows() {
    let engines = with_drifted_view("AND p.company_name IS NOT NULL", "AND 1 = 0").await;
    engines.pass(2 * 60 + 30);
    heal(&engines).await;
    let (stored, _) = engines.store().remedies("properties").await.unwrap();
    let gates: Vec<Gate> = stored[0].failing.iter().map(|failing| failing.gate).collect();
    assert_eq!((stored[0].state, &gates[..]), (State::Held, &[Gate::BlastRadius, Gate::Approval][..]));
}
