//! The statements of the proof before a create sync is run again, on real engines.

use jiff::{SignedDuration, Timestamp};
use syncwatch::census::{Client, Settings};
use syncwatch::incident::IncidentKey;
use syncwatch::observe::proof::copy_of;
use syncwatch::observe::remedies::{Sources, observe};
use syncwatch::pipeline::Pipeline;
use syncwatch::reconcile::Statements;
use syncwatch::remedy::{CopySeen, unshown};
use syncwatch::sql::{Dialect, ParameterValue, Statement};
use syncwatch::warehouse::Warehouse;
use syncwatch_lab::census::{CensusServer, Fault, TOKEN, World};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::databricks::{DatabricksFault, DatabricksServer};
use syncwatch_lab::engines::{self, Postgres};
use syncwatch_lab::properties::{PropertyFault, PropertyWorld};
use syncwatch_lab::stage::LivingWarehouse;
use tempfile::TempDir;

use crate::engines::{CREATE as CREATE_ID, PIPELINE};
use crate::reconcile::{Columns, Line, at, insert, make_table, pipeline};
use crate::simulated_databricks;

const OBJECT: &str = r#"
[[objects]]
name = "homes"
key = { source = "home_id", destination = "home_id_c" }
syncs = ["properties-create"]
fields = [{ source = "note", destination = "note_c", kind = "text" }]
source = { table = "crm.rds.homes" }
[objects.destination]
table = "crm.salesforce.home"
synced = "synced"
created = "created_date"
deleted = "gone"
modified_by = "by_user"
integration_users = ["005000000000001AAA"]
"#;
const COLUMNS: &Columns<'static> = &[
    ("home_id_c", "VARCHAR(40)"),
    ("by_user", "VARCHAR(18)"),
    ("created_date", "TIMESTAMP"),
    ("synced", "TIMESTAMP"),
    ("gone", "BOOLEAN"),
];
const COPY: &str = "crm.salesforce.home";
const VIEW: &str = "crm.rds.homes_to_create";
const CREATE: &str = "properties-create";
/// The syncs' user, and a person.
const SYNC: &str = "005000000000001";
const PERSON: &str = "005000000000002AAA";

fn declared(dialect: Dialect, declaration: &str) -> Pipeline {
    let mut pipeline = pipeline(dialect, declaration);
    pipeline.objects.drain(..pipeline.objects.len() - 1);
    pipeline
}

fn row(key: Option<&str>, by: &str, created: &str, gone: Option<bool>) -> Line {
    let key = ParameterValue::Text(key.map(str::to_owned));
    let synced = at("2026-11-24T10:30:00Z");
    vec![key, by.into(), at(created).into(), synced.into(), ParameterValue::Boolean(gone)]
}

async fn fill(warehouse: &Warehouse, rows: &[Line]) {
    make_table(warehouse, COPY, COLUMNS).await;
    insert(warehouse, COPY, COLUMNS, rows).await;
}

/// Rows without a fault: a deleted twin, and a record that a person made without an id.
fn clean() -> Vec<Line> {
    let before = "2026-11-24T08:00:00Z";
    vec![
        row(Some("P-1"), SYNC, before, None),
        row(Some("P-2"), SYNC, "2026-11-24T09:00:00Z", Some(false)),
        row(Some("P-2"), SYNC, before, Some(true)),
        row(Some("P-3"), PERSON, "2026-11-24T09:05:00Z", None),
        row(None, PERSON, "2026-11-24T09:04:00Z", None),
    ]
}

pub(crate) async fn faults_in_the_copy_are_found_on(warehouse: &Warehouse) {
    let dialect = warehouse.dialect();
    let object = declared(dialect, OBJECT).objects.remove(0);
    let statements = Statements::new(&object, dialect, Timestamp::UNIX_EPOCH);
    let count = async |statement: Statement, column: &str| {
        warehouse.query(&statement).await.unwrap().only_row().unwrap().get::<i64>(column).unwrap()
    };
    let counts = async |rows: Vec<Line>| {
        fill(warehouse, &rows).await;
        let statement = || statements.copy_of_creates(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH).unwrap();
        (count(statement(), "duplicates").await, count(statement(), "null_keys").await)
    };
    let also = |row: Line| [clean(), vec![row]].concat();
    let before = "2026-11-24T08:00:00Z";
    assert_eq!(counts(clean()).await, (0, 0));
    assert_eq!(counts(also(row(Some(" p-1"), SYNC, before, None))).await, (1, 0), "another case");
    assert_eq!(counts(also(row(None, SYNC, before, None))).await, (0, 1));
    assert_eq!(counts(also(row(Some(""), "005000000000001AAA", before, None))).await, (0, 1), "an empty id");
    assert_eq!(counts(also(row(None, "", before, None))).await, (0, 1), "an unknown writer");

    fill(warehouse, &clean()).await;
    let created = async |from: &str, to: &str| {
        count(statements.copy_of_creates(at(from), at(to)).unwrap(), "created").await
    };
    assert_eq!(created("2026-11-24T09:00:00Z", "2026-11-24T09:05:00Z").await, 2);
    assert_eq!(created("2026-11-24T09:00:01Z", "2026-11-24T09:04:59Z").await, 0);

    make_table(warehouse, VIEW, &COLUMNS[..1]).await;
    let queue = async |keys: &[Option<&str>]| {
        let lines: Vec<Line> =
            keys.iter().map(|key| vec![ParameterValue::Text(key.map(str::to_owned))]).collect();
        insert(warehouse, VIEW, &COLUMNS[..1], &lines).await;
        let statement = || statements.queue_of_creates(VIEW, "home_id_c").unwrap();
        (count(statement(), "n").await, count(statement(), "without_own_key").await)
    };
    assert_eq!(queue(&[Some("A"), Some("B")]).await, (2, 0));
    assert_eq!(queue(&[Some("b")]).await, (3, 1));
    assert_eq!(queue(&[None]).await, (4, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_in_the_copy_are_found_on_sqlite() {
    let folder = TempDir::new().unwrap();
    faults_in_the_copy_are_found_on(&engines::sqlite(&folder.path().join("warehouse.db")).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_in_the_copy_are_found_on_postgresql() {
    let server = Postgres::start().unwrap();
    faults_in_the_copy_are_found_on(&server.warehouse().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn undeclared_columns_are_not_shown() {
    let folder = TempDir::new().unwrap();
    let opened = engines::sqlite(&folder.path().join("warehouse.db")).map_err(|error| error.to_string());
    fill(opened.as_ref().unwrap(), &clean()).await;
    let bare = OBJECT.split("synced =").next().unwrap();
    let seen = copy_of(&declared(Dialect::Sqlite, bare), CREATE, &opened).await;
    // Without `deleted` and `modified_by`, all rows count.
    assert_eq!((seen.duplicates, seen.null_ids), (Ok(1), Ok(1)));
    assert!(
        seen.synced.unwrap_err().contains("add synced") && seen.created.unwrap_err().contains("add created")
    );
    let mut without = declared(Dialect::Sqlite, OBJECT);
    without.objects.clear();
    let seen = copy_of(&without, CREATE, &opened).await;
    assert!(seen.duplicates.unwrap_err().contains("[[objects]]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_warehouse_is_not_started_for_the_proof() {
    let folder = TempDir::new().unwrap();
    let database = engines::sqlite(&folder.path().join("lab.sqlite")).unwrap();
    fill(&database, &clean()).await;
    let server = DatabricksServer::start(database).await.unwrap();
    let opened = Ok(simulated_databricks::open(simulated_databricks::settings(&server)));
    let pipeline = declared(Dialect::Databricks, OBJECT);
    let synced = Ok(at("2026-11-24T10:30:00Z"));
    let seen = CopySeen { duplicates: Ok(0), null_ids: Ok(0), synced, created: Ok(0) };
    assert_eq!(copy_of(&pipeline, CREATE, &opened).await, seen);
    server.inflict(DatabricksFault::Stopped { start_s: 0 });
    let why = "the warehouse is stopped, and is not started for it";
    assert_eq!(copy_of(&pipeline, CREATE, &opened).await, CopySeen::unknown(why));
    let state = opened.as_ref().unwrap().state().await.unwrap().unwrap();
    assert!(state.is_stopped(), "{state:?}");
}

/// A world whose create sync writes by the external id.
pub(crate) fn upserting() -> World {
    let start = at("2026-11-24T12:10:00Z");
    let mut world = World::seed_pipeline(start, 11).carrying(PropertyWorld::with(start, 1, 300, 240, 0));
    world.configure(CREATE_ID, |sync| sync.operation = "upsert".to_owned());
    world
}

/// Makes the view that the lab's Census names as the source of the create sync.
pub(crate) async fn make_view(living: &LivingWarehouse) {
    let view = "CREATE VIEW `sfdc_dbx.properties` AS SELECT * FROM `sfdc_dbx.properties_to_create`";
    living.direct().execute(&Statement::new("the view", view)).await.unwrap();
}

/// The seed's pipeline with all that the proof needs.
pub(crate) fn provable(pipeline: &str) -> String {
    let (role, deleted) = ("role = \"create\"", "deleted = \"_fivetran_deleted\"");
    assert!(pipeline.contains(role) && pipeline.contains(deleted));
    let unique = pipeline.replacen(role, &format!("{role}\nunique_external_id = true"), 1);
    unique.replacen(deleted, &format!("created = \"created_date\"\n{deleted}"), 1)
}

/// The proof of the create sync, read from the lab's Census and Databricks, after a change of the lab.
async fn points_on_the_lab(change: impl AsyncFnOnce(&CensusServer, &LivingWarehouse)) -> Vec<String> {
    let world = upserting();
    let clock = LabClock::set_to(world.now());
    let census = CensusServer::start(world, clock).await.unwrap();
    let living = LivingWarehouse::start(census.feed()).await.unwrap().unwrap();
    make_view(&living).await;
    census.jump(SignedDuration::from_hours(6));
    // The last run is old enough for the copy to have its records.
    census.inject(Fault::HoldSchedule { sync: CREATE_ID }).unwrap();
    census.jump(SignedDuration::from_mins(173));
    change(&census, &living).await;

    let pipeline = Pipeline::parse(&provable(PIPELINE)).unwrap();
    let now = census.clock().now();
    let settings = Settings::of(&pipeline.census, Some(census.url()), TOKEN.to_owned().into());
    let client = Client::new(syncwatch::http::client().unwrap(), settings, now).unwrap();
    let key = IncidentKey::parse("properties/run-due/properties-create").unwrap();
    let opened = async { Ok(simulated_databricks::open(simulated_databricks::settings(&living.databricks))) };
    let dead_letters = async { Err("not read".to_owned()) };
    let webhook = async { Err("not read".to_owned()) };
    let sources = Sources { warehouse: opened, dead_letters, webhook };
    let observed = observe(&pipeline, Ok(&client), &key, now, sources).await;
    unshown(Some(&observed.proof.expect("a run may create records")), now)
}

#[tokio::test(flavor = "multi_thread")]
async fn proof_is_complete_on_the_lab_and_each_fault_hides_a_point() {
    assert_eq!(points_on_the_lab(async |_, _| {}).await, Vec::<String>::new());
    let insert = async |census: &CensusServer, _: &LivingWarehouse| {
        census.with_world(|world| world.configure(CREATE_ID, |sync| sync.operation = "insert".to_owned()));
    };
    let points = points_on_the_lab(insert).await;
    assert!(points[0].contains("operation is insert"), "{points:?}");
    assert!(points[1].contains("not asked while"), "the warehouse is not asked: {points:?}");
    let twins = async |census: &CensusServer, _: &LivingWarehouse| {
        let hold = Fault::HoldSchedule { sync: CREATE_ID };
        census.with_world(|world| hold.heal(world));
        census.spoil(PropertyFault::DuplicateCreation { percent: 100 }).unwrap();
        census.jump(SignedDuration::from_hours(6));
        census.inject(hold).unwrap();
        census.jump(SignedDuration::from_mins(173));
    };
    let points = points_on_the_lab(twins).await;
    assert!(points.iter().any(|point| point.contains("duplicate")), "{points:?}");
    let stop = async |_: &CensusServer, living: &LivingWarehouse| {
        living.databricks.inflict(DatabricksFault::Stopped { start_s: 0 });
    };
    let points = points_on_the_lab(stop).await;
    assert!(points.len() > 4 && points.iter().all(|point| point.contains("is not started")), "{points:?}");
}
