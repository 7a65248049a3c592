//! The proof before a run that may create records.

use super::*;
use crate::baseline::{Mapping, Part, SyncDefinition};

const OBJECT: &str = r#"
[[objects]]
name = "properties"
key = { source = "property_id", destination = "sf_property_id_c" }
changed = { source = "updated_at" }
settle = "30m"
syncs = ["create"]
fields = [{ source = "name", destination = "name_c", kind = "text" }]
source = { table = "crm.rds.properties" }
destination = { table = "crm.salesforce.property", synced = "_fivetran_synced", created = "created_date" }
"#;

/// A proof that shows everything.
fn complete() -> Proof {
    let ended = now() - minutes(60);
    Proof {
        at: now(),
        operation: Ok("upsert".to_owned()),
        identifier: Ok("SF_Property_ID__c".to_owned()),
        external_id: Ok("sf_property_id_c".to_owned()),
        declared_unique: true,
        last_run: Ok(LastRun { id: RunId(7), began: now() - minutes(65), ended, wrote: 4 }),
        delay: minutes(30),
        copy: CopySeen {
            duplicates: Ok(0),
            null_ids: Ok(0),
            synced: Ok(now() - minutes(29)),
            created: Ok(4),
        },
        queue: Ok(Queue { rows: 30, without_own_key: 0 }),
        usual_queue: Ok(10),
        working: Ok(Vec::new()),
    }
}

type Change = (u8, fn(&mut Proof));

/// One change for each point, by its number, that is not shown then.
const HIDES: [Change; 15] = [
    (1, |proof| proof.operation = Ok("insert".to_owned())),
    (1, |proof| proof.operation = Err("not stated".to_owned())),
    (1, |proof| proof.identifier = Ok("Name".to_owned())),
    (1, |proof| proof.identifier = Err("not stated".to_owned())),
    (1, |proof| proof.external_id = Err("no object".to_owned())),
    (2, |proof| proof.copy.duplicates = Ok(1)),
    (2, |proof| proof.copy.null_ids = Ok(1)),
    (3, |proof| proof.declared_unique = false),
    (4, |proof| proof.copy.synced = Ok(now() - minutes(30))),
    (5, |proof| proof.last_run = Err("run 7 is working".to_owned())),
    (5, |proof| proof.copy.created = Ok(3)),
    (6, |proof| proof.queue = Ok(Queue { rows: 30, without_own_key: 1 })),
    (7, |proof| proof.queue = Ok(Queue { rows: 31, without_own_key: 0 })),
    (7, |proof| proof.usual_queue = Err("no run".to_owned())),
    (8, |proof| proof.working = Ok(vec!["run 9 of update".to_owned()])),
];

/// Makes one part of a proof unknown.
const FORGETS: [fn(&mut Proof); 11] = [
    |proof| proof.operation = Err(String::new()),
    |proof| proof.identifier = Err(String::new()),
    |proof| proof.external_id = Err(String::new()),
    |proof| proof.last_run = Err(String::new()),
    |proof| proof.copy.duplicates = Err(String::new()),
    |proof| proof.copy.null_ids = Err(String::new()),
    |proof| proof.copy.synced = Err(String::new()),
    |proof| proof.copy.created = Err(String::new()),
    |proof| proof.queue = Err(String::new()),
    |proof| proof.usual_queue = Err(String::new()),
    |proof| proof.working = Err(String::new()),
];

fn create_run() -> Record {
    record_of(&incident("run-failed", "create", Some("request-timeout")))
}

fn gates_with(proof: Option<Proof>) -> Vec<Gate> {
    verdict(&create_run(), |scene| {
        scene.incident = Some(incident("run-failed", "create", Some("request-timeout")));
        scene.observed.proof = proof.map(Box::new);
    })
}

#[test]
fn each_point_alone_closes_the_gate() {
    assert_eq!(gates_with(Some(complete())), []);
    assert_eq!(gates_with(None), [Gate::CreateProof]);
    for (number, (point, hide)) in HIDES.into_iter().enumerate() {
        let mut proof = complete();
        hide(&mut proof);
        assert_eq!(gates_with(Some(proof)), [Gate::CreateProof], "change {number} of point {point}");
    }
    let points: BTreeSet<u8> = HIDES.iter().map(|(point, _)| *point).collect();
    assert_eq!(points, (1..=8).collect());
}

#[test]
fn every_point_that_is_not_shown_is_named() {
    let mut proof = complete();
    HIDES.into_iter().step_by(2).for_each(|(_, hide)| hide(&mut proof));
    let points = unshown(Some(&proof), now() + minutes(11));
    insta::assert_snapshot!(points.join("\n"));
}

#[test]
fn proof_is_valid_for_ten_minutes() {
    let at = |ago: i64| unshown(Some(&complete()), now() + minutes(ago)).len();
    assert_eq!((at(10), at(11), at(-11)), (0, 1, 1));
}

proptest! {
    #[test]
    fn less_knowledge_never_opens_the_gate(
        hidden in prop::collection::vec(0..HIDES.len(), 0..4), forgotten in prop::collection::btree_set(0..FORGETS.len(), 1..4),
    ) {
        let mut proof = complete();
        hidden.iter().for_each(|which| HIDES[*which].1(&mut proof));
        forgotten.iter().for_each(|which| FORGETS[*which](&mut proof));
        prop_assert!(gates_with(Some(proof)).contains(&Gate::CreateProof));
    }
}

fn definition() -> SyncDefinition {
    let key = Mapping {
        from: "property_id".to_owned(),
        kind: "column".to_owned(),
        to: "SF_Property_ID__c".to_owned(),
        key: true,
    };
    SyncDefinition {
        operation: Part::Known("upsert".to_owned()),
        mappings: Part::Known(vec![key]),
        ..SyncDefinition::default()
    }
}

/// The proof as far as Census shows it, after a change of what was read.
fn begun(change: impl FnOnce(&mut SyncDefinition, &mut Observed, &mut Pipeline)) -> Proof {
    let mut pipeline = Pipeline::parse(&format!("{TOML}{OBJECT}")).unwrap();
    let mut definition = definition();
    let wrote = |run: Run, records| Run {
        counts: Counts { processed: Some(records), updated: Some(records), ..Counts::default() },
        ..run
    };
    let last = Run { completed_at: Some(now() - minutes(60)), ..wrote(run(7, RunStatus::Failed, 65), 4) };
    let before = wrote(run(6, RunStatus::Completed, 1000), 10);
    let skipped = run(8, RunStatus::Skipped, 3);
    let mut observed = Observed { sync: Ok(seen(vec![skipped, last, before])), ..observed() };
    pipeline.syncs[0].unique_external_id = true;
    change(&mut definition, &mut observed, &mut pipeline);
    let object = pipeline.objects.first().ok_or("no object".to_owned());
    Proof::begin(&pipeline.syncs[0], object, Ok(&definition), &observed, "not asked")
}

#[test]
fn proof_takes_runs_and_definition_from_census() {
    let proof = begun(|_, _, _| {});
    let asked = Proof { copy: complete().copy, queue: complete().queue, ..proof.clone() };
    assert_eq!(asked, complete());
    assert!(proof.needs_warehouse());
    // An unknown part is not shown, and the warehouse is not asked.
    let lacks = |change: fn(&mut SyncDefinition, &mut Observed, &mut Pipeline)| {
        let proof = begun(change);
        assert!(!proof.needs_warehouse(), "{proof:?}");
    };
    lacks(|definition, _, _| definition.operation = Part::Unknown("not stated".to_owned()));
    lacks(|definition, _, _| definition.mappings = Part::Known(Vec::new()));
    lacks(|definition, _, _| {
        let Part::Known(mappings) = &mut definition.mappings else { return };
        mappings[0].kind = "constant_value".to_owned();
    });
    lacks(|_, observed, _| observed.sync = Err("timeout".to_owned()));
    lacks(|_, observed, _| observed.sync = Ok(seen(Vec::new())));
    lacks(|_, observed, _| observed.siblings[0].1 = Err("timeout".to_owned()));
    lacks(|_, observed, _| observed.siblings[0].1 = Ok(seen(vec![run(9, RunStatus::Working, 1)])));
    lacks(|_, observed, _| {
        let runs = observed.sync.as_mut().unwrap().runs.as_mut().unwrap();
        runs.runs[1].counts.updated = None;
    });
    lacks(|_, observed, _| {
        let runs = observed.sync.as_mut().unwrap().runs.as_mut().unwrap();
        runs.runs[1].completed_at = None;
    });
    // The copy cannot have the records of a run that ended just now.
    lacks(|_, observed, _| {
        let runs = observed.sync.as_mut().unwrap().runs.as_mut().unwrap();
        runs.runs[1].completed_at = Some(now() - minutes(30));
    });
    lacks(|_, _, pipeline| pipeline.objects.clear());
    lacks(|_, _, pipeline| pipeline.syncs[0].unique_external_id = false);
}

#[test]
fn more_records_than_waited_and_later_duplicates_are_harm() {
    let with = |wrote| {
        let record = Record { run: Some(RunId(8)), proof: Some(Box::new(complete())), ..create_run() };
        let counts = Counts { updated: wrote, ..Counts::default() };
        let ours = Run { counts, ..run(8, RunStatus::Completed, 5) };
        harm(&record, &Observed { sync: Ok(seen(vec![ours])), ..observed() }, now())
    };
    assert_eq!((with(None), with(Some(30))), (None, None));
    assert!(with(Some(31)).unwrap().contains("31 records, but 30 waited"));

    let proven = Record { run: Some(RunId(8)), proof: Some(Box::new(complete())), ..create_run() };
    let healed = acted(&proven, "0", 61, State::Healed);
    let ended = now() - minutes(61);
    assert_eq!(look_after(&healed, now()), Some(ended + minutes(30)));
    assert_eq!(look_after(&healed, ended + minutes(60)), None, "the copy cannot have it yet");
    assert_eq!(look_after(&healed, now() + minutes(60 * 24)), None, "given up");
    assert_eq!(look_after(&Record { proof: None, ..healed.clone() }, now()), None, "an update sync");
    assert_eq!(look_after(&Record { run: None, ..healed.clone() }, now()), None, "no run was started");
    let after = ended + minutes(30);
    let look = |duplicates, synced| {
        looked(&healed, &CopySeen { duplicates, synced: Ok(synced), ..complete().copy }, after)
    };
    assert_eq!(look(Ok(1), after), None, "the copy is too old");
    assert_eq!(look(Err("stopped".to_owned()), now()), None);
    let clean = look(Ok(0), now()).unwrap();
    assert_eq!((clean.harm.clone(), look_after(&clean, now())), (None, None));
    let harmed = look(Ok(2), now()).unwrap();
    assert_eq!(harmed.version, healed.version + 1);
    let opens = verdict(&create_run(), |scene| {
        scene.incident = Some(incident("run-failed", "create", Some("request-timeout")));
        scene.observed.proof = Some(Box::new(complete()));
        scene.records = vec![harmed];
    });
    assert_eq!(opens, [Gate::Breaker]);
}

#[test]
fn plan_that_rests_on_a_declaration_states_the_risk() {
    let effect = |unique: bool| {
        let mut pipeline = pipeline();
        pipeline.syncs[0].unique_external_id = unique;
        match choose(&incident("run-due", "create", None), &pipeline, &observed(), now()) {
            Choice::Remedy(plan) => plan.effect,
            Choice::Person { why, .. } => panic!("{why}"),
        }
    };
    assert!(effect(true).contains("declared, not seen"), "{}", effect(true));
    assert!(!effect(false).contains("declared"));
}
