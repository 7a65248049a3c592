//! Runs every statement of checks, of the audit log and of reconciliation on Apache Spark 3.5, the base of older Databricks runtimes: `make spark-check`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use nightly_snapshot::rows::{DayRow, RunRow};
use nightly_snapshot::statements::Statements;
use reconciliation::rows::ObjectRow;
use serde_json::{Value as Json, json};
use syncwatch::baseline::Relations;
use syncwatch::data_checks::{
    DataCheck, Measure, Scan, compile, filter_statement, filters, object_name, samples_statement,
};
use syncwatch::pipeline::Pipeline;
use syncwatch::sql::{Answer, Dialect, ParameterValue, Row, Statement, Value, bulk};
use syncwatch::warehouse::{Databases, DatabricksAuth, DatabricksSettings, Settings, Warehouse};
use syncwatch_cli::warehouse_objects;
use syncwatch_lab::databricks::WAREHOUSE_ID;
use syncwatch_lab::engines;
use syncwatch_lab::properties::{PropertyFault, PropertyWorld, Tables, sql_folder};

use crate::data_checks::MORE;
use crate::{create_proof, pairs, reconcile, safe_form, snapshot};

/// The variable with the path of a Python that has pyspark.
const PYTHON: &str = "SPARK_PYTHON";
const PROPERTIES: &str = "rds.properties";
const COPIES: &str = "salesforce.product_property";

/// Parses the repository's pipeline and checks of every other kind. A local Spark has one catalog, so names have two parts.
fn checks() -> Pipeline {
    let text = format!("{}{MORE}", include_str!("../../infra/pipeline.toml"));
    Pipeline::parse(&text.replace("\"crm.", "\"")).unwrap()
}

/// Fills SQLite with the data of an eventful day, with flags that are NULL and timestamps of 2030.
async fn sqlite(folder: &tempfile::TempDir) -> (Warehouse, Timestamp) {
    let start: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
    let mut world = PropertyWorld::with(start, 5, 300, 250, 20);
    world.inflict(PropertyFault::DuplicateCreation { percent: 50 });
    world.inflict(PropertyFault::ViewBug);
    world.advance_to(start + SignedDuration::from_hours(6));
    world.heal();
    world.advance_to(start + SignedDuration::from_hours(9));
    let warehouse = engines::sqlite(&folder.path().join("lab.sqlite")).unwrap();
    let tables = Tables::create(warehouse, &mut world).await.unwrap();
    let warehouse = engines::sqlite(&folder.path().join("lab.sqlite")).unwrap();
    let name = |path| object_name(Dialect::Sqlite, path).unwrap();
    for sql in [
        format!("UPDATE {} SET _fivetran_deleted = NULL WHERE id LIKE '%3'", name(COPIES)),
        format!("UPDATE {} SET last_modified_date = '2030-01-01 00:00:00' WHERE id LIKE '%17'", name(COPIES)),
        format!(
            "UPDATE {} SET updated_at = '2030-01-01 00:00:00' WHERE property_id LIKE '%29'",
            name(PROPERTIES)
        ),
    ] {
        tables.warehouse().execute(&Statement::new("an edit beyond the lab's faults", sql)).await.unwrap();
    }
    (warehouse, world.now())
}

fn instant(at: Option<Timestamp>) -> Json {
    at.map_or(Json::Null, |at| json!({ "at": at.to_string() }))
}

fn day(date: Option<Date>) -> Json {
    date.map_or(Json::Null, |date| json!({ "day": date.to_string() }))
}

async fn table(warehouse: &Warehouse, path: &str) -> Json {
    let sql = format!("SELECT * FROM {}", object_name(Dialect::Sqlite, path).unwrap());
    let answer = warehouse.query(&Statement::new(path, sql)).await.unwrap();
    let kind = |column: &str| match column {
        "deleted" | "_fivetran_deleted" => "boolean",
        at if at.ends_with("_at") || at.ends_with("_date") || at.ends_with("_synced") => "timestamp",
        _ => "string",
    };
    let columns: Vec<(&str, &str)> =
        answer.columns().iter().map(|column| (column.name.as_str(), kind(&column.name))).collect();
    let value = |row: &Row<'_>, (name, kind): &(&str, &str)| match *kind {
        "boolean" => json!(row.get::<Option<bool>>(name).unwrap()),
        "timestamp" => instant(row.get(name).unwrap()),
        _ => json!(row.get::<Option<String>>(name).unwrap()),
    };
    let rows: Vec<Vec<Json>> =
        answer.rows().map(|row| columns.iter().map(|column| value(&row, column)).collect()).collect();
    json!({ "name": path, "columns": columns, "rows": rows })
}

fn asked(statement: &Statement, expected: &Json) -> Json {
    let parameter = |value: &ParameterValue| match value {
        ParameterValue::Text(text) => json!(text),
        ParameterValue::Integer(number) => json!(number),
        ParameterValue::Boolean(value) => json!(value),
        ParameterValue::Timestamp(at) => instant(*at),
        ParameterValue::Date(date) => day(*date),
        other => panic!("{other:?}"),
    };
    let parameters = statement.parameters().iter().map(|bound| (bound.name.clone(), parameter(&bound.value)));
    let parameters: serde_json::Map<String, Json> = parameters.collect();
    json!({ "label": statement.label(), "sql": statement.sql(), "parameters": parameters, "expected": expected })
}

/// Reads the figures of a statement's only row.
fn figures(scan: &Scan<'_>, answer: &Answer) -> Json {
    let row = answer.only_row().unwrap();
    let figure = |(name, measure): (&str, Measure)| match measure {
        Measure::Count => json!(row.get::<Option<i64>>(name).unwrap()),
        Measure::Instant => instant(row.get(name).unwrap()),
        Measure::Number => json!(row.get::<Option<f64>>(name).unwrap()),
    };
    let columns = scan.columns.iter().map(|column| figure((column.name.as_str(), column.measure)));
    json!([columns.collect::<Vec<_>>()])
}

/// Reads the keys and counts of an answer.
fn rows(answer: &Answer) -> Json {
    let value = |value: &Value| match value {
        Value::Text(text) => json!(text),
        Value::Integer(number) => json!(number),
        other => panic!("{other:?}"),
    };
    json!(answer.rows().map(|row| row.values().iter().map(value).collect()).collect::<Vec<Vec<Json>>>())
}

/// Reads the answer of a statement about the audit log.
fn log_rows(answer: &Answer) -> Json {
    let cell = |row: &Row<'_>, name: &str| match name {
        "snapshot_date" | "first_day" | "newest_day" => day(row.get(name).unwrap()),
        "execution_timestamp" | "compared_at" => instant(row.get(name).unwrap()),
        "coverage_percentage" | "error_rate" | "median_seconds" => {
            json!(row.get::<Option<f64>>(name).unwrap())
        }
        "object_name" | "by_fault" | "not_compared" | "audit_id" | "pipeline" | "row_kind" | "sync_name"
        | "sync_type" | "run_id" | "status" | "figures_missing" | "executed_by" | "notes" => {
            json!(row.get::<Option<String>>(name).unwrap())
        }
        _ => json!(row.get::<Option<i64>>(name).unwrap()),
    };
    let row = |row: Row<'_>| answer.columns().iter().map(|column| cell(&row, &column.name)).collect();
    json!(answer.rows().map(row).collect::<Vec<Vec<Json>>>())
}

/// Writes days of runs to SQLite. Returns the statements that write them to Spark, those that read them from both, and the text of
/// those that only Delta tables can run.
async fn audit_log(pipeline: &Pipeline, warehouse: &Warehouse) -> (Vec<Json>, Vec<String>) {
    let snapshot = pipeline.snapshot.as_ref().unwrap();
    let [of_spark, of_sqlite] = [Dialect::Databricks, Dialect::Sqlite]
        .map(|dialect| Statements::new(&pipeline.name, snapshot, dialect).unwrap());
    let planned = snapshot::days_with_durations();
    let days: Vec<&DayRow> = planned.iter().map(|plan| &plan.day).collect();
    let runs: Vec<&RunRow> = planned.iter().flat_map(|plan| plan.runs.iter().map(|(run, _)| run)).collect();
    let insert = |statements: &Statements<'_>| -> Vec<Statement> {
        statements.insert(days.iter().copied()).chain(statements.insert(runs.iter().copied())).collect()
    };
    warehouse.execute_all(&insert(&of_sqlite)).await.unwrap();
    let mut asked_all: Vec<Json> =
        insert(&of_spark).iter().map(|insert| asked(insert, &Json::Null)).collect();
    let (from, to) = (snapshot::day(), snapshot::day() + 30.days());
    let compared = [ObjectRow {
        pipeline: pipeline.name.clone(),
        snapshot_date: from,
        fields_compared: Some(1_000),
        fields_agreeing: Some(999),
        ..ObjectRow::default()
    }];
    let log = |dialect| object_name(dialect, snapshot.reconciliation_log.as_ref().unwrap()).unwrap();
    for insert in bulk::insert(&log(Dialect::Sqlite), Dialect::Sqlite, &compared) {
        warehouse.execute(&insert).await.unwrap();
    }
    let log = log(Dialect::Databricks);
    let inserts = bulk::insert(&log, Dialect::Databricks, &compared);
    asked_all.extend(inserts.map(|insert| asked(&insert, &Json::Null)));
    let reads = |statements: &Statements<'_>| {
        let history = statements.history();
        let runs = statements.runs(&[from, from + 1.day()], "");
        let days = statements.days(from + 1.day(), Some(from));
        [
            statements.span(),
            days,
            runs,
            statements.outcomes(from, to),
            history.days(from, to),
            history.syncs(from, to),
            history.object_days(from, to).unwrap(),
        ]
    };
    for (of_spark, of_sqlite) in reads(&of_spark).iter().zip(reads(&of_sqlite)) {
        let expected = log_rows(&warehouse.query(&of_sqlite).await.unwrap());
        assert!(!expected.as_array().unwrap().is_empty(), "{}", of_sqlite.label());
        asked_all.push(asked(of_spark, &expected));
    }
    let updates = of_spark.update(days).chain(of_spark.update(runs));
    let updates = updates.chain(bulk::update(&log, Dialect::Databricks, &compared));
    (asked_all, updates.map(|update| update.sql().to_owned()).collect())
}

/// The reads of definitions for the baseline: they need Unity Catalog's `information_schema`, so they are parsed as they are.
fn catalog_reads() -> Vec<String> {
    let relations = Relations::new(["crm.rds.properties"].into(), Dialect::Databricks);
    relations.reads().unwrap().iter().map(|read| read.statement.sql().to_owned()).collect()
}

/// Returns the scripts of the repository's warehouse objects, without clustering, which Spark's own tables lack, and a query of
/// each view.
fn objects() -> (Vec<String>, Vec<Json>) {
    let mut scripts = Vec::new();
    for mut file in warehouse_objects::read(&sql_folder(), Dialect::Databricks).unwrap() {
        file.text = file.text.replace("${crm.", "${").replace("`crm`.", "");
        for statement in warehouse_objects::script(&file, Dialect::Databricks).unwrap() {
            scripts.push(statement.sql().split("\nCLUSTER BY").next().unwrap().to_owned());
        }
    }
    let views =
        scripts.iter().filter_map(|sql| sql.split_once("CREATE OR REPLACE VIEW ")?.1.split(" AS").next());
    let query = |view: &str| asked(&Statement::new(view, format!("SELECT * FROM {view}")), &Json::Null);
    let queries: Vec<Json> = views.map(query).collect();
    assert!(queries.len() >= 7, "{queries:?}");
    (scripts, queries)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java and pyspark: make spark-check"]
async fn every_statement_answers_on_spark_as_on_sqlite() {
    let python = std::env::var(PYTHON).expect("make spark-check sets it");
    let folder = tempfile::tempdir().unwrap();
    let (warehouse, now) = sqlite(&folder).await;
    let pipeline = checks();
    let zone = &pipeline.time_zone;
    let (scripts, mut statements) = objects();
    let scans = |dialect| compile(&pipeline.checks, dialect, zone, now).unwrap();
    for (of_spark, of_sqlite) in scans(Dialect::Databricks).iter().zip(scans(Dialect::Sqlite)) {
        let answer = warehouse.query(&of_sqlite.statement).await.unwrap();
        statements.push(asked(&of_spark.statement, &figures(&of_sqlite, &answer)));
    }
    let samples = |check: &DataCheck, dialect| samples_statement(check, dialect, zone, now).unwrap();
    for check in &pipeline.checks {
        let mut pairs: Vec<[Statement; 2]> = Vec::new();
        pairs.extend(
            samples(check, Dialect::Databricks).zip(samples(check, Dialect::Sqlite)).map(|(a, b)| [a, b]),
        );
        pairs.extend(filters(check).map(|filter| {
            [Dialect::Databricks, Dialect::Sqlite].map(|dialect| filter_statement(&filter, dialect).unwrap())
        }));
        for [of_spark, of_sqlite] in pairs {
            statements.push(asked(&of_spark, &rows(&warehouse.query(&of_sqlite).await.unwrap())));
        }
    }
    let (of_log, mut parsed) = audit_log(&pipeline, &warehouse).await;
    parsed.extend(catalog_reads());
    statements.extend(of_log);
    let given = json!({
        "databases": ["rds", "salesforce", "sfdc_dbx"],
        "tables": [table(&warehouse, PROPERTIES).await, table(&warehouse, COPIES).await],
        "scripts": scripts,
        "statements": statements,
        "parsed": parsed,
    });
    let file = folder.path().join("statements.json");
    std::fs::write(&file, given.to_string()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/spark/check.py");
    let output = Command::new(python).arg(script).arg(&file).output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{report}");
}

/// A Spark that answers as a warehouse of Databricks; it ends with this process, as its standard input does.
struct Spark {
    _child: Child,
    url: String,
}

/// One for all tests, which take turns: they make the same tables.
static SPARK: LazyLock<tokio::sync::Mutex<Spark>> = LazyLock::new(|| {
    let python = std::env::var(PYTHON).expect("make spark-check sets it");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/spark/serve.py");
    let mut command = Command::new(python);
    let child =
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
    tokio::sync::Mutex::new(Spark { url: format!("http://127.0.0.1:{}", port.trim()), _child: child })
});

/// Runs a test on Spark in the ANSI mode, as in Databricks' SQL warehouses, or without it, as Spark's default is.
async fn on_spark(ansi: &[bool], test: impl AsyncFn(&Databases)) {
    let spark = SPARK.lock().await;
    let auth = DatabricksAuth::Token(secrecy::SecretString::from("none"));
    let mut settings = DatabricksSettings::new(&spark.url, WAREHOUSE_ID, auth);
    settings.retry_budget = Duration::ZERO;
    let databases = reconcile::twice(|| {
        Warehouse::open(Settings::Databricks(settings.clone()), syncwatch::http::client().unwrap()).unwrap()
    });
    for ansi in ansi {
        let sql = format!("SET spark.sql.ansi.enabled = {ansi}");
        databases.warehouse.execute(&Statement::new("the mode", sql)).await.unwrap();
        test(&databases).await;
    }
}

/// Without the ANSI mode, a cast that fails is NULL.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java and pyspark: make spark-check"]
async fn pairs_have_their_verdict_on_spark() {
    on_spark(&[true], async |databases| pairs::pairs_have_their_verdict(&databases.warehouse).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java and pyspark: make spark-check"]
async fn planted_differences_are_found_exactly_on_spark() {
    on_spark(&[true, false], async |databases| {
        reconcile::planted_differences_are_found(databases).await;
        reconcile::one_key_has_the_verdict_of_each_field_on(&databases.warehouse).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java and pyspark: make spark-check"]
async fn random_tables_are_compared_as_in_memory_on_spark() {
    on_spark(&[true], async |databases| {
        reconcile::random_tables_are_compared_as_in_memory(databases, 4).await;
        reconcile::keys_are_joined_by_their_meaning_on(&databases.warehouse).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java and pyspark: make spark-check"]
async fn buckets_are_those_of_keys_as_joined_on_spark() {
    on_spark(&[true], async |databases| {
        reconcile::buckets_are_those_of_keys_as_joined(databases).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java and pyspark: make spark-check"]
async fn faults_in_the_copy_are_found_on_spark() {
    on_spark(&[true, false], async |databases| {
        create_proof::faults_in_the_copy_are_found_on(&databases.warehouse).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java and pyspark: make spark-check"]
async fn equal_in_sql_is_never_different_on_spark() {
    on_spark(&[true], async |databases| {
        safe_form::equal_in_sql_is_never_different(&databases.warehouse, 100).await;
    })
    .await;
}

/// Spark has no `information_schema`: tables of that name, with the columns that Unity Catalog documents, stand in for it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java and pyspark: make spark-check"]
async fn reads_of_the_catalog_find_a_view_on_spark() {
    const TABLES: [(&str, &[&str]); 4] = [
        ("tables", &["table_type", "table_owner"]),
        ("columns", &["column_name", "full_data_type", "ordinal_position"]),
        ("views", &["view_definition"]),
        ("table_privileges", &["grantee", "privilege_type"]),
    ];
    on_spark(&[true, false], async |databases| {
        let warehouse = &databases.warehouse;
        for (table, columns) in TABLES {
            let columns = ["table_schema", "table_name"].iter().chain(columns);
            let columns: Vec<(&str, &str)> = columns
                .map(|name| (*name, if *name == "ordinal_position" { "BIGINT" } else { "VARCHAR(80)" }))
                .collect();
            let rows: &[&[&str]] = match table {
                "tables" => &[&["VIEW", "data team"]],
                "columns" => &[&["company", "string", "2"], &["id", "decimal(10,0)", "1"]],
                "views" => &[&["SELECT id, company FROM rds.homes"]],
                _ => &[&["syncwatch", "SELECT"]],
            };
            let other = ["RDS", "other"];
            let line = |row: &&[&str], name: &[&str; 2]| -> reconcile::Line {
                let cells = name.iter().chain(row.iter()).zip(&columns);
                cells
                    .map(|(cell, (_, kind))| match *kind {
                        "BIGINT" => cell.parse::<i64>().unwrap().into(),
                        _ => (*cell).into(),
                    })
                    .collect()
            };
            let lines: Vec<reconcile::Line> =
                rows.iter().flat_map(|row| [line(row, &["rds", "Homes_View"]), line(row, &other)]).collect();
            let path = format!("crm.information_schema.{table}");
            reconcile::make_table(warehouse, &path, &columns).await;
            reconcile::insert(warehouse, &path, &columns, &lines).await;
        }
        let relations = Relations::new(["crm.rds.homes_view", "crm.rds.gone"].into(), Dialect::Databricks);
        let mut answers = Vec::new();
        for read in relations.reads().unwrap() {
            let answer = warehouse.query(&read.statement).await.map_err(|error| error.to_string());
            answers.push((read, answer));
        }
        let found = relations.found(&answers);
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!((names, answers.len()), (vec!["crm.rds.homes_view"], 4));
        let view = found["crm.rds.homes_view"].known().unwrap();
        let columns = [("id", "decimal(10,0)"), ("company", "string")];
        let columns = columns.map(|(name, kind)| (name.to_owned(), kind.to_owned())).to_vec();
        assert_eq!(view.columns.known(), Some(&columns));
        assert_eq!(view.owner.known().map(String::as_str), Some("data team"));
        assert_eq!(view.grants.known(), Some(&["SELECT to syncwatch".to_owned()].into()));
        assert!(view.text.known().unwrap().contains("homes"));
    })
    .await;
}
