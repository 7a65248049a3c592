//! The definition that configuration-audit reads and judges, on real engines and a scripted Census.

use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use syncwatch::baseline::{Acceptance, Accepted, Live};
use syncwatch::census::{Client, Settings};
use syncwatch::data_checks::object_name;
use syncwatch::finding::{Finding, SYNCWATCH};
use syncwatch::http;
use syncwatch::judge::judge_definition;
use syncwatch::observe::definition::{live, read_declared_views};
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::sql::{Dialect, Statement};
use syncwatch::warehouse::Warehouse;
use syncwatch_cli::read_pipeline;
use syncwatch_lab::census::{CensusServer, Fault, TOKEN, World};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::engines::{self, Postgres};
use syncwatch_lab::properties::{PropertyFault, PropertyWorld, sql_folder};
use syncwatch_lab::stage::LivingWarehouse;
use tempfile::TempDir;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::engines::{CREATE, PIPELINE, UPDATE};
use crate::simulated_databricks;

const VIEW: &str = "crm.sfdc_dbx.properties_to_create";

fn now() -> Timestamp {
    "2026-11-24T11:05:00Z".parse().unwrap()
}

fn pipeline(dialect: Dialect) -> Pipeline {
    let word = if dialect == Dialect::Sqlite { "sqlite" } else { "postgresql" };
    let (head, rest) = PIPELINE.split_once("driver = \"databricks\"\n").unwrap();
    let rest: Vec<&str> = rest
        .lines()
        .filter(|line| !line.starts_with("host = ") && !line.starts_with("warehouse_id = "))
        .collect();
    Pipeline::parse(&format!("{head}driver = \"odbc\"\ndialect = \"{word}\"\n{}\n", rest.join("\n"))).unwrap()
}

async fn run(warehouse: &Warehouse, statements: &[String]) {
    for sql in statements {
        warehouse.execute(&Statement::new("prepare", sql.as_str())).await.unwrap();
    }
}

/// Creates a view of the pipeline over a table.
async fn make(warehouse: &Warehouse) {
    if warehouse.dialect() == Dialect::PostgreSql {
        run(warehouse, &["rds", "sfdc_dbx"].map(|schema| format!("CREATE SCHEMA {schema}"))).await;
    }
    let table = object_name(warehouse.dialect(), "crm.rds.properties").unwrap();
    let columns = "property_id VARCHAR(20), company_name VARCHAR(80), status VARCHAR(20)";
    run(warehouse, &[format!("CREATE TABLE {table} ({columns})")]).await;
    select(warehouse, "property_id, company_name", "active").await;
}

/// Creates the view anew with these columns.
async fn select(warehouse: &Warehouse, columns: &str, status: &str) {
    let name = |path| object_name(warehouse.dialect(), path).unwrap();
    let (view, table) = (name(VIEW), name("crm.rds.properties"));
    let drop = format!("DROP VIEW IF EXISTS {view}");
    let create = format!("CREATE VIEW {view} AS SELECT {columns} FROM {table} WHERE status = '{status}'");
    run(warehouse, &[drop, create]).await;
}

async fn seen(warehouse: &Warehouse, pipeline: &Pipeline) -> Live {
    let asker = Asker::new(warehouse, Duration::from_secs(60));
    live(pipeline, Err("no Census"), Ok::<_, String>(asker)).await
}

fn accepted(live: &Live) -> Accepted {
    let acceptance = Acceptance {
        number: 1,
        at: "2026-11-20T10:00:00Z".parse().unwrap(),
        by: "Ada".to_owned(),
        why: "first".to_owned(),
        changes: Vec::new(),
    };
    Accepted { acceptance, definition: live.definition.clone() }
}

/// Judges what was read, and returns the finding about a subject.
fn found(pipeline: &Pipeline, accepted: &Accepted, live: &Live, subject: &str) -> Finding {
    let findings = judge_definition(pipeline, Some(accepted), live, now());
    findings.into_iter().find(|finding| finding.subject == subject).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_view_is_found_until_it_is_accepted() {
    let (folder, server) = (TempDir::new().unwrap(), Postgres::start().unwrap());
    let sqlite = engines::sqlite(&folder.path().join("warehouse.db")).unwrap();
    for warehouse in [sqlite, server.warehouse().unwrap()] {
        let pipeline = pipeline(warehouse.dialect());
        make(&warehouse).await;
        let first = accepted(&seen(&warehouse, &pipeline).await);
        select(&warehouse, "property_id, /* of the account */\n company_name", "active").await;
        let same = found(&pipeline, &first, &seen(&warehouse, &pipeline).await, VIEW).to_string();
        assert!(same.ends_with("healthy, as accepted by Ada"), "{same}");

        select(&warehouse, "property_id", "sold").await;
        let changed = seen(&warehouse, &pipeline).await;
        let finding = found(&pipeline, &first, &changed, VIEW);
        let json = serde_json::to_string(&finding).unwrap();
        assert!(finding.to_string().contains("error, column lost: company_name, and 1 more"), "{finding}");
        assert!(json.contains("- ") && !json.contains("sold") && !json.contains("active"), "{json}");
        let other = found(&pipeline, &first, &changed, "crm.rds.properties");
        assert!(other.to_string().contains("healthy"), "{other}");

        let second = accepted(&changed);
        let healthy = found(&pipeline, &second, &seen(&warehouse, &pipeline).await, VIEW).to_string();
        assert!(healthy.ends_with("healthy, as accepted by Ada"), "{healthy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn view_accepted_by_mistake_differs_from_its_file() {
    const FILE: &str = "-- The model of the sync.
        create or  replace VIEW ${crm.sfdc_dbx.properties_to_create} as
        select PROPERTY_ID, company_name FROM ${crm.rds.properties}
        where status='active';
        CREATE OR REPLACE VIEW ${crm.sfdc_dbx.of_no_check} AS SELECT 1;";
    let (folder, server) = (TempDir::new().unwrap(), Postgres::start().unwrap());
    fs::create_dir(folder.path().join("warehouse")).unwrap();
    fs::write(folder.path().join("warehouse/010_properties_to_create.sql"), FILE).unwrap();
    let sqlite = engines::sqlite(&folder.path().join("warehouse.db")).unwrap();
    for warehouse in [sqlite, server.warehouse().unwrap()] {
        let mut pipeline = pipeline(warehouse.dialect());
        read_declared_views(&mut pipeline, &folder.path().join("pipeline.toml")).unwrap();
        assert_eq!(pipeline.declared_views.keys().collect::<Vec<_>>(), [VIEW]);
        make(&warehouse).await;
        let first = accepted(&seen(&warehouse, &pipeline).await);
        let same = found(&pipeline, &first, &seen(&warehouse, &pipeline).await, VIEW).to_string();
        assert!(same.ends_with("healthy, as accepted by Ada"), "{same}");

        select(&warehouse, "property_id, company_name", "sold").await;
        let changed = seen(&warehouse, &pipeline).await;
        let mistake = found(&pipeline, &accepted(&changed), &changed, VIEW);
        if warehouse.dialect() == Dialect::PostgreSql {
            // Its own rendering of a view cannot be compared with a file.
            assert!(mistake.to_string().ends_with("healthy, as accepted by Ada"), "{mistake}");
            let change = found(&pipeline, &first, &changed, VIEW).to_string();
            assert!(change.contains("warning, text of the view changed"), "{change}");
        } else {
            let json = serde_json::to_string(&mistake).unwrap();
            let text = mistake.to_string();
            assert!(text.contains("warning, text of the view differs from its file"), "{text}");
            assert!(json.contains("warehouse-apply --views") && !json.contains("sold"), "{json}");
        }

        run(&warehouse, &[format!("DROP VIEW {}", object_name(warehouse.dialect(), VIEW).unwrap())]).await;
        let gone = seen(&warehouse, &pipeline).await;
        let missing = found(&pipeline, &accepted(&gone), &gone, VIEW).to_string();
        assert!(missing.contains("error, does not exist, or our account may not read it"), "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_grant_and_new_owner_are_found_on_postgresql() {
    let server = Postgres::start().unwrap();
    let warehouse = server.warehouse().unwrap();
    let pipeline = pipeline(Dialect::PostgreSql);
    make(&warehouse).await;
    let view = object_name(Dialect::PostgreSql, VIEW).unwrap();
    let grant = format!("GRANT SELECT ON {view} TO census");
    run(&warehouse, &["CREATE ROLE census".to_owned(), grant.clone()]).await;
    let first = accepted(&seen(&warehouse, &pipeline).await);
    run(&warehouse, &[format!("REVOKE SELECT ON {view} FROM census")]).await;
    let finding = found(&pipeline, &first, &seen(&warehouse, &pipeline).await, VIEW).to_string();
    assert!(finding.contains("warning, grant revoked: SELECT to census"), "{finding}");
    run(&warehouse, &[grant, format!("ALTER VIEW {view} OWNER TO census")]).await;
    let finding = found(&pipeline, &first, &seen(&warehouse, &pipeline).await, VIEW).to_string();
    assert!(finding.contains("warning, owner changed"), "{finding}");
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_column_and_schema_are_found_on_postgresql() {
    let server = Postgres::start().unwrap();
    let warehouse = server.warehouse().unwrap();
    let pipeline = pipeline(Dialect::PostgreSql);
    make(&warehouse).await;
    let view = object_name(Dialect::PostgreSql, VIEW).unwrap();
    let column = format!("SELECT (company_name) ON {view}");
    let schema = "USAGE ON SCHEMA sfdc_dbx".to_owned();
    let mut statements = vec!["CREATE ROLE census".to_owned()];
    statements.extend([&column, &schema].map(|right| format!("GRANT {right} TO census")));
    run(&warehouse, &statements).await;
    let first = accepted(&seen(&warehouse, &pipeline).await);
    let lost = [
        (column, "warning, grant revoked: SELECT of column company_name to census"),
        (schema, "warning, grant revoked: USAGE of the schema to census"),
    ];
    for (right, expected) in lost {
        run(&warehouse, &[format!("REVOKE {right} FROM census")]).await;
        let live = seen(&warehouse, &pipeline).await;
        let finding = found(&pipeline, &first, &live, VIEW).to_string();
        assert!(finding.ends_with(expected), "{finding}");
        let other = found(&pipeline, &first, &live, "crm.rds.properties").to_string();
        assert!(other.ends_with("healthy, as accepted by Ada"), "{other}");
        run(&warehouse, &[format!("GRANT {right} TO census")]).await;
    }
    let restored = found(&pipeline, &first, &seen(&warehouse, &pipeline).await, VIEW).to_string();
    assert!(restored.ends_with("healthy, as accepted by Ada"), "{restored}");
}

fn sync(id: u64, mapped: &[&str]) -> Value {
    let mapping = |to: &&str| json!({ "from": { "type": "column", "data": "c" }, "to": to });
    json!({ "status": "success", "data": {
        "id": id, "label": "s", "paused": false, "operation": "upsert", "schedule_frequency": "quarter_hourly",
        "alert_attributes": [], "mappings": mapped.iter().map(mapping).collect::<Vec<_>>(),
        "source_attributes": { "object": { "type": "table", "table_schema": "s", "table_name": "t" } },
        "destination_attributes": { "object": "Property__c" },
    } })
}

async fn census(create: ResponseTemplate, update: ResponseTemplate) -> (MockServer, Client) {
    let server = MockServer::start().await;
    for (id, answer) in [(CREATE, create), (UPDATE, update)] {
        let asked = Mock::given(method("GET")).and(path(format!("/api/v1/syncs/{id}")));
        asked.respond_with(answer).mount(&server).await;
    }
    let pipeline = Pipeline::parse(PIPELINE).unwrap();
    let settings = Settings::of(&pipeline.census, Some(&server.uri()), SecretString::from("token"));
    let client = Client::new(http::client().unwrap(), settings, now()).unwrap();
    (server, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn census_that_fails_for_one_sync_holds_only_that_sync() {
    let pipeline = Pipeline::parse(PIPELINE).unwrap();
    let good = |id, mapped: &[&str]| ResponseTemplate::new(200).set_body_json(sync(id, mapped));
    let read = async |client: &Client| {
        live(&pipeline, Ok::<_, String>(client), Err::<Asker<'_>, _>("no warehouse")).await
    };
    let (_server, client) = census(good(CREATE, &["Name"]), good(UPDATE, &["Name"])).await;
    let first = accepted(&read(&client).await);
    let refused = ResponseTemplate::new(403).set_body_json(json!({ "status": "forbidden" }));
    let (_server, client) = census(good(CREATE, &[]), refused).await;
    let second = read(&client).await;
    let create = found(&pipeline, &first, &second, "properties-create").to_string();
    assert!(create.contains("error, mapping lost: Name"), "{create}");
    let update = found(&pipeline, &first, &second, "properties-update").to_string();
    assert!(update.contains("not evaluated, unreadable: sync properties-update"), "{update}");
    let gone = ResponseTemplate::new(404).set_body_json(json!({ "status": 404 }));
    let (_server, client) = census(good(CREATE, &["Name"]), gone).await;
    let update = found(&pipeline, &first, &read(&client).await, "properties-update").to_string();
    assert!(update.contains("not evaluated, blocked by sync-exists"), "{update}");
}

/// The lab has the views of `infra/warehouse`, and changes one in the warehouse alone.
#[tokio::test(flavor = "multi_thread")]
async fn each_drift_of_the_lab_has_its_finding() {
    let world = World::seed_pipeline(now(), 11).carrying(PropertyWorld::with(now(), 1, 300, 240, 0));
    let lab = CensusServer::start(world, LabClock::set_to(now())).await.unwrap();
    let living = LivingWarehouse::start(lab.feed()).await.unwrap().unwrap();
    let warehouse = simulated_databricks::open(simulated_databricks::settings(&living.databricks));
    let file = sql_folder().with_file_name("pipeline.toml");
    let mut pipeline = read_pipeline(&file).unwrap();
    read_declared_views(&mut pipeline, &file).unwrap();
    let settings = Settings::of(&pipeline.census, Some(lab.url()), SecretString::from(TOKEN));
    let client = Client::new(http::client().unwrap(), settings, now()).unwrap();
    let read = async || {
        let asker = Asker::new(&warehouse, Duration::from_secs(60));
        live(&pipeline, Ok::<_, String>(&client), Ok::<_, String>(asker)).await
    };
    let first = accepted(&read().await);
    // Returns the findings that are not healthy, but for our deployment, which is not read here.
    let unhealthy = async || {
        let findings = judge_definition(&pipeline, Some(&first), &read().await, now());
        let found = findings.iter().filter(|finding| finding.subject != SYNCWATCH);
        found
            .map(ToString::to_string)
            .filter(|text| !text.ends_with("as accepted by Ada"))
            .collect::<Vec<_>>()
    };
    assert_eq!(unhealthy().await, [""; 0]);

    let mappings = json!([{ "from": { "type": "column", "data": "city" }, "to": "Name" }]);
    let fault = Fault::ChangeMapping { sync: UPDATE, mappings };
    lab.inject(fault.clone()).unwrap();
    let [found] = &unhealthy().await[..] else { panic!("one sync changed") };
    assert!(found.starts_with("definition-changed properties-update: error, key changed, and "), "{found}");
    lab.with_world(|world| fault.heal(world));
    assert_eq!(unhealthy().await, [""; 0]);

    lab.with_world(|world| world.properties_mut().unwrap().inflict(PropertyFault::ViewComparesTimes));
    let view = "definition-changed crm.sfdc_dbx.properties_to_update: warning, text of the view differs from its file";
    assert_eq!(unhealthy().await, [view]);
    lab.with_world(|world| world.properties_mut().unwrap().heal_one(&PropertyFault::ViewComparesTimes));
    assert_eq!(unhealthy().await, [""; 0]);

    living.revoke("rds.properties").await.unwrap();
    let grant = "definition-changed crm.rds.properties: warning, grant revoked: SELECT to syncwatch";
    assert_eq!(unhealthy().await, [grant]);
}
