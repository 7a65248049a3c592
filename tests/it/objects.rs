//! The warehouse's objects and the lab's pipeline on real engines: SQLite and PostgreSQL by ODBC, and the simulated
//! Databricks by its API. Every engine must give the same results.

use std::any::Any;
use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use reconciliation::rows::ObjectRow;
use secrecy::SecretString;
use serde_json::Value;
use syncwatch::advise::Selects;
use syncwatch::data_checks::object_name;
use syncwatch::history::{DataDay, History, Reads};
use syncwatch::observe::speed::view;
use syncwatch::pipeline::Pipeline;
use syncwatch::sql::{Answer, Dialect, ParameterValue, Row, Statement, bulk};
use syncwatch::warehouse::{DatabricksAuth, DatabricksSettings, Settings, Warehouse};
use syncwatch_cli::warehouse_objects::{
    self, Applied, ObjectFile, Reason, apply, apply_folder, restore_folder,
};
use syncwatch_lab::databricks::{CLIENT_ID, CLIENT_SECRET, DatabricksServer, WAREHOUSE_ID};
use syncwatch_lab::engines::{self, Postgres};
use syncwatch_lab::properties::{Health, PropertyFault, PropertyWorld, Tables, make_sources, sql_folder};

const WAREHOUSE_LIMIT: Duration = Duration::from_secs(60);

fn start() -> Timestamp {
    "2026-11-24T08:00:00Z".parse().unwrap()
}

/// An engine, with the connection that Syncwatch uses and that of the lab.
struct Engine {
    name: &'static str,
    warehouse: Warehouse,
    direct: Warehouse,
    /// Keeps the server and its files alive.
    _kept: Box<dyn Any>,
}

async fn engines() -> [Engine; 3] {
    let postgres = Postgres::start().unwrap();
    let sqlite = tempfile::tempdir().unwrap();
    let sqlite_file = sqlite.path().join("lab.sqlite");
    let databricks = tempfile::tempdir().unwrap();
    let databricks_file = databricks.path().join("lab.sqlite");
    let server = DatabricksServer::start(engines::sqlite(&databricks_file).unwrap()).await.unwrap();
    let auth = DatabricksAuth::service_principal(CLIENT_ID, SecretString::from(CLIENT_SECRET));
    let settings = Settings::Databricks(DatabricksSettings::new(server.url(), WAREHOUSE_ID, auth));
    [
        Engine {
            name: "SQLite",
            warehouse: engines::sqlite(&sqlite_file).unwrap(),
            direct: engines::sqlite(&sqlite_file).unwrap(),
            _kept: Box::new(sqlite),
        },
        Engine {
            name: "PostgreSQL",
            warehouse: postgres.warehouse().unwrap(),
            direct: postgres.warehouse().unwrap(),
            _kept: Box::new(postgres),
        },
        Engine {
            name: "Databricks",
            warehouse: Warehouse::open(settings, syncwatch::http::client().unwrap()).unwrap(),
            direct: engines::sqlite(&databricks_file).unwrap(),
            _kept: Box::new((server, databricks)),
        },
    ]
}

async fn ask(warehouse: &Warehouse, object: &str, rest: &str) -> Answer {
    let name = object_name(warehouse.dialect(), object).unwrap();
    warehouse.query(&Statement::new(object, format!("SELECT * FROM {name} {rest}"))).await.unwrap()
}

async fn health(warehouse: &Warehouse) -> Health {
    let answer = ask(warehouse, "crm.sfdc_dbx.daily_health_check", "").await;
    let row = answer.only_row().unwrap();
    let count = |column: &str| usize::try_from(row.get::<i64>(column).unwrap()).unwrap();
    Health {
        total: count("total_properties"),
        synced: count("synced_properties"),
        create_queue: count("create_queue_count"),
        update_queue: count("update_queue_count"),
        null_companies: count("null_company_count"),
        duplicates: count("duplicate_count"),
    }
}

async fn keys(warehouse: &Warehouse, view: &str) -> Vec<String> {
    let answer = ask(warehouse, view, "ORDER BY property_id").await;
    answer.rows().map(|row| row.get("property_id").unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn seed_state_has_92_47_percent_coverage_and_status_good() {
    for Engine { name, warehouse, direct, _kept } in engines().await {
        let mut world = PropertyWorld::as_found(start(), 1);
        let _tables = Tables::create(direct, &mut world).await.unwrap();
        assert_eq!(health(&warehouse).await, world.health(), "{name}");
        let answer = ask(&warehouse, "crm.sfdc_dbx.daily_health_check", "").await;
        let row = answer.only_row().unwrap();
        assert_eq!(row.get::<i64>("synced_properties").unwrap(), 18_722, "{name}");
        assert!((row.get::<f64>("coverage_percentage").unwrap() - 92.47).abs() < 1e-9, "{name}");
        assert_eq!(row.get::<String>("coverage_status").unwrap(), "good", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn coverage_status_uses_the_exact_share_not_the_rounded_one() {
    for Engine { name, warehouse, direct, _kept } in engines().await {
        make_sources(&direct).await.unwrap();
        apply_folder(&warehouse, &sql_folder(), start()).await.unwrap();
        let tables = Tables::over(direct).unwrap();
        for (total, synced, percentage, status) in [
            (0, 0, None, "no data"),
            (20, 19, Some(95.0), "excellent"),
            (100, 94, Some(94.0), "good"),
            // 94.9967 is rounded to the 95 of an excellent one.
            (1_519, 1_443, Some(95.0), "good"),
            (10, 9, Some(90.0), "good"),
            (9, 8, Some(88.89), "poor"),
        ] {
            for table in ["crm.rds.properties", "crm.salesforce.product_property"] {
                let direct = tables.warehouse();
                let table = object_name(direct.dialect(), table).unwrap();
                direct.execute(&Statement::new("clearing", format!("DELETE FROM {table}"))).await.unwrap();
            }
            let mut world = PropertyWorld::with(start(), 1, total, synced, 0);
            tables.write(&mut world).await.unwrap();
            let answer = ask(&warehouse, "crm.sfdc_dbx.daily_health_check", "").await;
            let row = answer.only_row().unwrap();
            let found = row.get::<Option<f64>>("coverage_percentage").unwrap();
            assert_eq!(found.is_some(), percentage.is_some(), "{name}: {synced} of {total}");
            if let (Some(found), Some(percentage)) = (found, percentage) {
                assert!((found - percentage).abs() < 1e-9, "{name}: {synced} of {total}: {found}");
            }
            assert_eq!(row.get::<String>("coverage_status").unwrap(), status, "{name}: {synced} of {total}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_match_the_simulated_world_through_faults() {
    for Engine { name, warehouse, direct, _kept } in engines().await {
        let mut world = PropertyWorld::with(start(), 7, 800, 700, 20);
        let tables = Tables::create(direct, &mut world).await.unwrap();
        let leak = PropertyFault::CoverageLeak { city: "Fresno".to_owned() };
        for fault in [
            None,
            Some(PropertyFault::CopyStalls),
            Some(leak),
            Some(PropertyFault::ViewBug),
            Some(PropertyFault::DuplicateCreation { percent: 50 }),
            Some(PropertyFault::Backlog { per_run: 1 }),
            Some(PropertyFault::ViewComparesTimes),
        ] {
            world.heal();
            if let Some(fault) = fault.clone() {
                world.inflict(fault);
            }
            world.advance_to(world.now() + SignedDuration::from_hours(5));
            // People edit records in Salesforce, also those that wait for an update.
            world.edit_in_salesforce(2);
            world.advance_to(world.now() + SignedDuration::from_hours(2));
            tables.write(&mut world).await.unwrap();
            assert_eq!(health(&warehouse).await, world.health(), "{name}, {fault:?}");
            let created = keys(&warehouse, "crm.sfdc_dbx.properties_to_create").await;
            assert_eq!(created, world.to_create(), "{name}, {fault:?}");
            let updated = keys(&warehouse, "crm.sfdc_dbx.properties_to_update").await;
            assert_eq!(updated, world.to_update(), "{name}, {fault:?}");
            if fault == Some(PropertyFault::ViewBug) {
                let answer = ask(&warehouse, "crm.sfdc_dbx.properties_to_update", "").await;
                let mut names = answer.rows().map(|row| row.get::<Option<String>>("company_name").unwrap());
                assert!(names.all(|name| name.is_none()), "{name}");
            }
        }
    }
}

/// An event in the life of one property; events come in any order.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// The source record changes.
    Change,
    /// A person edits the record in Salesforce, in a field that no sync writes.
    Edit,
    /// A sync reads the view. Census sends the rows that are new or have changed since the last reading.
    Read,
    /// Salesforce accepts the row that a sync has read.
    Write,
    /// Salesforce refuses the row, and Census sends it again the next time.
    Refuse,
    /// Fivetran copies the record back to the warehouse.
    Return,
}

use Step::{Change, Edit, Read, Refuse, Return, Write};

/// The columns of a view's row that change.
type Waiting = (String, String);

/// One property with its record in Salesforce, in an engine.
struct Story<'w> {
    warehouse: &'w Warehouse,
    now: Timestamp,
    /// Numbers the company's name at the source.
    changes: u32,
    /// The company's name in Salesforce.
    company: String,
    /// The source version that a sync wrote with the name.
    version: Option<String>,
    modified_at: Timestamp,
    last_read: Option<Waiting>,
    on_its_way: Option<Waiting>,
}

impl<'w> Story<'w> {
    async fn begin(warehouse: &'w Warehouse) -> Self {
        let mut story = Self {
            warehouse,
            now: start(),
            changes: 0,
            company: "Company 0".to_owned(),
            version: None,
            modified_at: start(),
            last_read: None,
            on_its_way: None,
        };
        for table in ["crm.rds.properties", "crm.salesforce.product_property"] {
            story.run(table, "DELETE FROM @T").await;
        }
        story
            .run(
                "crm.rds.properties",
                "INSERT INTO @T (property_id, company_name, created_at, updated_at, deleted) \
                 VALUES ('P-1', :company, :now, :now, FALSE)",
            )
            .await;
        story
            .run(
                "crm.salesforce.product_property",
                "INSERT INTO @T (id, sf_property_id_c, _fivetran_synced) VALUES ('S-1', 'P-1', :now)",
            )
            .await;
        story.take(Return).await;
        story
    }

    async fn run(&self, table: &str, sql: &str) {
        let table = object_name(self.warehouse.dialect(), table).unwrap();
        let mut statement = Statement::new("a step", sql.replace("@T", &table));
        let values: [(&str, ParameterValue); 5] = [
            ("now", self.now.into()),
            ("company", format!("Company {}", self.changes).into()),
            ("copied", self.company.clone().into()),
            ("version", self.version.clone().into()),
            ("modified", self.modified_at.into()),
        ];
        for (name, value) in values.into_iter().filter(|(name, _)| sql.contains(&format!(":{name}"))) {
            statement = statement.bind(name, value);
        }
        self.warehouse.execute(&statement).await.unwrap();
    }

    async fn waiting(&self) -> Option<Waiting> {
        let answer = ask(self.warehouse, "crm.sfdc_dbx.properties_to_update", "").await;
        let row = answer.rows().next()?;
        Some((row.get("company_name").unwrap(), row.get("source_version").unwrap()))
    }

    /// Sets the modification time in whole seconds, as Salesforce does.
    fn modified(&mut self) {
        self.modified_at = Timestamp::from_second(self.now.as_second()).unwrap();
    }

    async fn take(&mut self, step: Step) {
        // Several steps fit into one second.
        self.now += SignedDuration::from_millis(300);
        match step {
            Change => {
                self.changes += 1;
                self.run("crm.rds.properties", "UPDATE @T SET company_name = :company, updated_at = :now")
                    .await;
            }
            Edit => self.modified(),
            // Runs of a sync do not overlap.
            Read if self.on_its_way.is_none() => {
                let waiting = self.waiting().await;
                self.on_its_way = waiting.clone().filter(|_| waiting != self.last_read);
                self.last_read = waiting;
            }
            Read => {}
            Write => {
                if let Some((company, version)) = self.on_its_way.take() {
                    (self.company, self.version) = (company, Some(version));
                    self.modified();
                }
            }
            Refuse => {
                if self.on_its_way.take().is_some() {
                    self.last_read = None;
                }
            }
            Return => {
                self.run(
                    "crm.salesforce.product_property",
                    "UPDATE @T SET company_name_c = :copied, source_version_c = :version, \
                     last_modified_date = :modified, _fivetran_synced = :now",
                )
                .await;
            }
        }
    }

    /// Whether the newest change has arrived and nothing waits, after the steps and further syncs and copies.
    async fn ends_well(mut self, steps: &[Step]) -> bool {
        for step in steps.iter().chain(&[Write, Return, Read, Write, Return, Read, Write, Return]) {
            self.take(*step).await;
        }
        self.company == format!("Company {}", self.changes) && self.waiting().await.is_none()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edit_in_salesforce_or_a_slow_write_hides_no_change() {
    for Engine { name, warehouse, direct, _kept } in engines().await {
        make_sources(&direct).await.unwrap();
        apply_folder(&direct, &sql_folder(), start()).await.unwrap();
        for steps in [
            // A user edits another field between the change and the sync.
            &[Change, Edit, Return, Read, Write, Return][..],
            // The source changes between a sync's reading and its writing.
            &[Change, Read, Change, Write, Return],
            &[Change, Read, Refuse, Edit, Return],
        ] {
            assert!(Story::begin(&direct).await.ends_well(steps).await, "{name}: {steps:?}");
            // The view is empty also through the connection that Syncwatch uses.
            assert!(
                keys(&warehouse, "crm.sfdc_dbx.properties_to_update").await.is_empty(),
                "{name}: {steps:?}"
            );
        }
    }
}

#[test]
fn no_interleaving_of_edits_and_syncs_loses_a_change() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let warehouse = engines::sqlite(&folder.path().join("lab.sqlite")).unwrap();
    runtime.block_on(async {
        make_sources(&warehouse).await.unwrap();
        apply_folder(&warehouse, &sql_folder(), start()).await.unwrap();
    });
    let step = proptest::sample::select(vec![Change, Edit, Read, Write, Refuse, Return]);
    let mut runner = TestRunner::new(ProptestConfig { cases: 128, ..ProptestConfig::default() });
    let tried = runner.run(&proptest::collection::vec(step, 1..16), |steps| {
        let well = runtime.block_on(async { Story::begin(&warehouse).await.ends_well(&steps).await });
        prop_assert!(well);
        Ok(())
    });
    tried.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn catalog_shows_the_facts_of_views_and_tables() {
    let checks = Pipeline::parse(include_str!("../../infra/pipeline.toml")).unwrap().checks;
    for Engine { name, warehouse, direct, _kept } in engines().await {
        make_sources(&direct).await.unwrap();
        apply_folder(&warehouse, &sql_folder(), start()).await.unwrap();
        let read = |path| view(&warehouse, path, WAREHOUSE_LIMIT, &checks);
        let view = read("crm.sfdc_dbx.properties_to_create").await;
        if warehouse.dialect() == Dialect::Databricks {
            // The simulated one has no information schema.
            assert!(view.is_err(), "{name}: {view:?}");
            continue;
        }
        let view = view.unwrap();
        assert_eq!((view.stored, view.selects), (Some(false), Some(Selects::All)), "{name}");
        assert_eq!(view.changed_at.as_deref(), Some("updated_at"), "{name}");
        let definition = view.definition.unwrap();
        assert_eq!((definition.joins, definition.groups), (1, true), "{name}");
        let table = read("crm.rds.properties").await.unwrap();
        assert_eq!((table.stored, table.definition), (Some(true), None), "{name}");
        let absent = read("crm.rds.absent").await.unwrap_err();
        assert_eq!(absent, "the catalog of the warehouse does not list crm.rds.absent", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboard_tiles_draw_every_column_that_they_query() {
    let tiles: Value = serde_json::from_str(include_str!("../../infra/databricks/tiles.json")).unwrap();
    for Engine { name, warehouse, direct, _kept } in engines().await {
        make_sources(&direct).await.unwrap();
        apply_folder(&warehouse, &sql_folder(), start()).await.unwrap();
        for tile in tiles["tiles"].as_array().unwrap() {
            let text = |key: &str| tile[key].as_str().map(str::to_owned);
            let mut sql = text("sql").unwrap();
            while let Some((before, rest)) = sql.split_once("${") {
                let (object, after) = rest.split_once('}').unwrap();
                sql = format!("{before}{}{after}", object_name(warehouse.dialect(), object).unwrap());
            }
            let answer = warehouse.query(&Statement::new(text("name").unwrap(), sql)).await;
            let answer = answer.unwrap_or_else(|error| panic!("{name}: {error}"));
            let asked: BTreeSet<String> = answer.columns().iter().map(|column| column.name.clone()).collect();
            let columns = tile["columns"].as_array().into_iter().flatten();
            let columns = columns.map(|column| column["field"].as_str().unwrap().to_owned());
            let drawn = ["x", "y", "color"].into_iter().filter_map(text).chain(columns);
            assert_eq!(asked, drawn.collect(), "{name}: {}", tile["name"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_is_applied_once_and_recorded() {
    for Engine { name, warehouse, direct, _kept } in engines().await {
        make_sources(&direct).await.unwrap();
        let first = apply_folder(&warehouse, &sql_folder(), start()).await.unwrap();
        assert!(first.applied.iter().all(|applied| applied.reason == Reason::New), "{name}: {first}");
        let again = apply_folder(&warehouse, &sql_folder(), start()).await.unwrap();
        assert_eq!((again.applied.len(), again.unchanged), (0, first.applied.len()), "{name}: {again}");

        let history = ask(&warehouse, warehouse_objects::HISTORY, "ORDER BY number").await;
        assert_eq!(history.len(), first.applied.len(), "{name}");
        for row in history.rows() {
            assert_eq!(row.get::<Timestamp>("applied_at").unwrap(), start(), "{name}");
            assert_eq!(row.get::<String>("sha256").unwrap().len(), 64, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn view_edited_in_the_warehouse_is_restored_only_on_request() {
    const ALL: &str = "WHERE NOT COALESCE(p.deleted, FALSE)";
    for Engine { name, warehouse, direct, _kept } in engines().await {
        // The lab creates the objects behind its Databricks from SQLite's files, which differ from those of Databricks.
        if warehouse.dialect() == Dialect::Databricks {
            continue;
        }
        let mut world = PropertyWorld::with(start(), 1, 50, 40, 10);
        let _tables = Tables::create(direct, &mut world).await.unwrap();
        let waiting = async || ask(&warehouse, "crm.sfdc_dbx.properties_to_create", "").await.len();
        assert_eq!(waiting().await, 10, "{name}");
        // Views break this way: no file changes and no change is recorded.
        let files = warehouse_objects::read(&sql_folder(), warehouse.dialect()).unwrap();
        let mut view = files.into_iter().find(|file| file.name == "properties_to_create").unwrap();
        assert!(view.text.contains(ALL));
        view.text = view.text.replace(ALL, "WHERE 1 = 0 AND NOT COALESCE(p.deleted, FALSE)");
        let broken = warehouse_objects::script(&view, warehouse.dialect()).unwrap();
        warehouse.execute_all(&broken).await.unwrap();
        let again = apply_folder(&warehouse, &sql_folder(), start()).await.unwrap();
        assert_eq!((again.applied.len(), waiting().await), (0, 0), "{name}");
        let restored = restore_folder(&warehouse, &sql_folder(), start()).await.unwrap();
        assert!(
            restored.applied.iter().all(|applied| applied.reason == Reason::Restored),
            "{name}: {restored}"
        );
        assert!(restored.unchanged > 0, "{name}: {restored}");
        assert_eq!(waiting().await, 10, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_view_is_recreated_and_changed_table_is_refused() {
    for Engine { name, warehouse, direct, _kept } in engines().await {
        make_sources(&direct).await.unwrap();
        let files = warehouse_objects::read(&sql_folder(), warehouse.dialect()).unwrap();
        apply(&warehouse, &files, start()).await.unwrap();

        let changed = |which: &str, old: &str, new: &str| -> Vec<ObjectFile> {
            let change = |file: &ObjectFile| {
                let mut file = file.clone();
                if file.name == which {
                    assert!(file.text.contains(old), "{which}");
                    file.text = file.text.replace(old, new);
                    file.sha256 = format!("changed {}", file.sha256);
                    file.sha256.truncate(64);
                }
                file
            };
            files.iter().map(change).collect()
        };
        let better = changed("daily_health_check", "'no data'", "'nothing there'");
        let report = apply(&warehouse, &better, start()).await.unwrap();
        assert_eq!(
            report.applied,
            [Applied { file: "020_daily_health_check.sql".to_owned(), reason: Reason::ViewsChanged }],
            "{name}"
        );
        let answer = ask(&warehouse, "crm.sfdc_dbx.daily_health_check", "").await;
        let status: String = answer.only_row().unwrap().get("coverage_status").unwrap();
        assert_eq!(status, "nothing there", "{name}");

        let wrong = changed("sync_audit_log", "notes", "remarks");
        let error = apply(&warehouse, &wrong, start()).await.unwrap_err().to_string();
        assert!(
            error.contains("001_sync_audit_log") && error.contains("was changed after it ran"),
            "{name}: {error}"
        );
        let history = ask(&warehouse, warehouse_objects::HISTORY, "").await;
        assert_eq!(history.len(), files.len(), "{name}: all but file 000, and one more revision");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_file_is_named_not_recorded_and_run_again() {
    for Engine { name, warehouse, direct, _kept } in engines().await {
        make_sources(&direct).await.unwrap();
        let mut files = warehouse_objects::read(&sql_folder(), warehouse.dialect()).unwrap();
        let good = files.clone();
        let trends = files.iter_mut().find(|file| file.name == "trends").unwrap();
        trends
            .text
            .push_str("CREATE OR REPLACE VIEW ${crm.sfdc_dbx.wrong} AS SELECT a FROM ${crm.rds.nosuch};");
        // SQLite checks a view only when it is queried.
        trends.text.push_str("DELETE FROM ${crm.rds.nosuch};");
        let error = apply(&warehouse, &files, start()).await.unwrap_err().to_string();
        assert!(error.starts_with("030_trends.sql, statement"), "{name}: {error}");
        let recorded = ask(&warehouse, warehouse_objects::HISTORY, "WHERE number = 30").await;
        assert!(recorded.is_empty(), "{name}");
        if warehouse.dialect().has_transactions() {
            let view = object_name(warehouse.dialect(), "crm.sfdc_dbx.coverage_by_day").unwrap();
            let half = Statement::new("a rolled back view", format!("SELECT * FROM {view}"));
            assert!(warehouse.query(&half).await.is_err(), "{name}");
        }
        let report = apply(&warehouse, &good, start()).await.unwrap();
        let applied: Vec<_> =
            report.applied.iter().map(|applied| (applied.file.as_str(), applied.reason)).collect();
        assert_eq!(applied.first(), Some(&("030_trends.sql", Reason::New)), "{name}");
    }
}

/// A row of the audit log.
struct Logged {
    id: &'static str,
    kind: &'static str,
    day: &'static str,
    sync: Option<&'static str>,
    status: Option<&'static str>,
    processed: i64,
    failed: i64,
    succeeded: Option<i64>,
}

async fn log(warehouse: &Warehouse, row: Logged) {
    let name = object_name(warehouse.dialect(), "crm.sfdc_dbx.sync_audit_log").unwrap();
    let sql = format!(
        "INSERT INTO {name} (audit_id, pipeline, row_kind, snapshot_date, sync_name, status, execution_timestamp, \
         records_processed, records_failed, records_succeeded, create_queue_count, coverage_percentage, executed_by) \
         VALUES (:id, 'properties', :kind, :day, :sync, :status, :at, :processed, :failed, :succeeded, 7, 92.47, 'a test')"
    );
    let at: Timestamp = format!("{}T12:00:00Z", row.day).parse().unwrap();
    let statement = Statement::new("a row of the log", sql)
        .bind("id", row.id)
        .bind("kind", row.kind)
        .bind("day", row.day.parse::<Date>().unwrap())
        .bind("sync", row.sync.map(str::to_owned))
        .bind("status", row.status.map(str::to_owned))
        .bind("at", at)
        .bind("processed", row.processed)
        .bind("failed", row.failed)
        .bind("succeeded", row.succeeded);
    warehouse.execute(&statement).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn monitor_and_trend_views_match_the_audit_log() {
    for Engine { name, warehouse, direct, _kept } in engines().await {
        make_sources(&direct).await.unwrap();
        apply_folder(&warehouse, &sql_folder(), start()).await.unwrap();
        let run = |id, day, sync, status, processed, failed| Logged {
            id,
            kind: "run",
            day,
            sync: Some(sync),
            status: Some(status),
            processed,
            failed,
            succeeded: None,
        };
        for row in [
            // The newest row is of the 24th: the seven days begin with the 18th.
            run("1", "2026-11-17", "properties-create", "failed", 100, 100),
            run("2", "2026-11-18", "properties-create", "completed", 300, 3),
            run("3", "2026-11-24", "properties-create", "failed", 100, 5),
            // Its last run is older than seven days.
            run("4", "2026-10-01", "properties-update", "completed", 40, 0),
            Logged {
                id: "5",
                kind: "day",
                day: "2026-11-24",
                sync: None,
                status: None,
                processed: 140,
                failed: 5,
                succeeded: None,
            },
            // Invalid records are not among those processed; all count as to be delivered, so the rate is at most 100%.
            run("6", "2026-11-17", "others", "completed", 1, 12),
            Logged { succeeded: Some(95), ..run("7", "2026-11-18", "others", "completed", 100, 25) },
            // Skipped and cancelled runs are not failures.
            run("8", "2026-11-19", "others", "skipped", 0, 0),
            run("9", "2026-11-19", "others", "cancelled", 0, 0),
        ] {
            log(&warehouse, row).await;
        }
        let monitor = ask(&warehouse, "crm.sfdc_dbx.sync_health_monitor", "ORDER BY sync_name").await;
        let rows: Vec<_> = monitor.rows().collect();
        assert_eq!(rows.len(), 3, "{name}");
        let (others, rows) = rows.split_first().unwrap();
        assert_eq!(others.get::<i64>("runs_7_days").unwrap(), 3, "{name}");
        assert!((others.get::<f64>("success_rate_7_days").unwrap() - 100.0).abs() < 1e-9, "{name}");
        assert!((others.get::<f64>("error_rate_7_days").unwrap() - 20.83).abs() < 1e-9, "{name}");
        assert_eq!(rows[0].get::<String>("last_status").unwrap(), "failed", "{name}");
        assert_eq!(rows[0].get::<i64>("runs_7_days").unwrap(), 2, "{name}");
        assert!((rows[0].get::<f64>("success_rate_7_days").unwrap() - 50.0).abs() < 1e-9, "{name}");
        assert!((rows[0].get::<f64>("error_rate_7_days").unwrap() - 2.0).abs() < 1e-9, "{name}");
        let last: Timestamp = rows[0].get("last_run_at").unwrap();
        assert_eq!(last.to_string(), "2026-11-24T12:00:00Z", "{name}");
        assert_eq!(rows[1].get::<i64>("runs_7_days").unwrap(), 0, "{name}");
        assert_eq!(rows[1].get::<Option<f64>>("success_rate_7_days").unwrap(), None, "{name}");

        let coverage = ask(&warehouse, "crm.sfdc_dbx.coverage_by_day", "").await;
        let row = coverage.only_row().unwrap();
        assert_eq!(row.get::<Date>("snapshot_date").unwrap().to_string(), "2026-11-24", "{name}");
        assert!((row.get::<f64>("coverage_percentage").unwrap() - 92.47).abs() < 1e-9, "{name}");
        let errors =
            ask(&warehouse, "crm.sfdc_dbx.error_rate_by_day", "WHERE snapshot_date > '2026-11-19'").await;
        let row = errors.only_row().unwrap();
        assert_eq!(row.get::<i64>("records_failed").unwrap(), 5, "{name}");
        assert!((row.get::<f64>("error_rate").unwrap() - 5.0).abs() < 1e-9, "{name}");
        let of_others = "WHERE sync_name = 'others' ORDER BY snapshot_date";
        let errors = ask(&warehouse, "crm.sfdc_dbx.error_rate_by_day", of_others).await;
        let rates: Vec<_> = errors.rows().map(|row| row.get::<Option<f64>>("error_rate").unwrap()).collect();
        assert_eq!(rates, [Some(100.0), Some(20.83), None], "{name}");
        let queues = ask(&warehouse, "crm.sfdc_dbx.queue_sizes_by_day", "").await;
        assert_eq!(queues.only_row().unwrap().get::<i64>("create_queue_count").unwrap(), 7, "{name}");
        assert_eq!(ask(&warehouse, "crm.sfdc_dbx.data_quality_by_day", "").await.len(), 1, "{name}");
    }
}

/// Replaces the audit log by a week: each day's row and 2 runs of a sync, of which the last failed. `of_day` sets columns of the
/// row of a day.
async fn fill_week(Engine { warehouse, direct, .. }: &Engine, of_day: impl Fn(i8) -> &'static str) {
    const LOG: &str = "crm.sfdc_dbx.sync_audit_log";
    let delete = format!("DELETE FROM {}", object_name(direct.dialect(), LOG).unwrap());
    direct.execute(&Statement::new("a cleared log", delete)).await.unwrap();
    let name = object_name(warehouse.dialect(), LOG).unwrap();
    let insert = async |id: String, day: i8, columns: &str, values: &str| {
        let columns =
            format!("audit_id, snapshot_date, execution_timestamp, pipeline, executed_by, {columns}");
        let values = format!(":id, :day, :at, 'properties', 'a test', {values}");
        let date = jiff::civil::date(2026, 11, day);
        let statement = Statement::new("a row", format!("INSERT INTO {name} ({columns}) VALUES ({values})"))
            .bind("id", id)
            .bind("day", date)
            .bind("at", date.in_tz("UTC").unwrap().timestamp());
        warehouse.execute(&statement).await.unwrap();
    };
    for day in 18..=24 {
        let (names, values): (Vec<&str>, Vec<&str>) =
            of_day(day).split(", ").filter_map(|pair| pair.split_once(" = ")).unzip();
        let figures = "row_kind, total_properties, synced_properties, null_company_count, duplicate_count";
        let (names, values) = (names.join(", "), values.join(", "));
        insert(
            format!("day/{day}"),
            day,
            &format!("{figures}, {names}"),
            &format!("'day', 1000, 950, 40, 0, {values}"),
        )
        .await;
        for (run, status) in ["completed", if day == 24 { "failed" } else { "completed" }].iter().enumerate()
        {
            let values = format!("'run', 'a', '{status}'");
            insert(format!("run/{day}/{run}"), day, "row_kind, sync_name, status", &values).await;
        }
    }
}

/// The scoreboard of the warehouse: metric, value, outcome.
async fn board(warehouse: &Warehouse) -> Vec<(String, Option<f64>, String)> {
    let answer = ask(warehouse, "crm.sfdc_dbx.scoreboard", "ORDER BY metric").await;
    let row =
        |row: Row<'_>| (row.get("metric").unwrap(), row.get("value").unwrap(), row.get("outcome").unwrap());
    answer.rows().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn scoreboard_view_has_unknown_metrics_where_records_lack() {
    let quiet = "incidents_opened = 0, incidents_resolved = 0";
    let alerted = "incidents_opened = 2, time_to_detect_seconds = 60, incidents_resolved = 1, \
                   time_to_recover_seconds = 7201, figures_missing = 'data: a'";
    let partly = "figures_missing = 'data: a; runs: 1 of 2 still running'";
    for engine in engines().await {
        let (name, warehouse) = (engine.name, &engine.warehouse);
        make_sources(&engine.direct).await.unwrap();
        apply_folder(warehouse, &sql_folder(), start()).await.unwrap();
        let line = |metric: &str, value, outcome: &str| (metric.to_owned(), value, outcome.to_owned());
        fill_week(&engine, |day| if day == 20 { alerted } else { quiet }).await;
        let whole = [
            line("coverage", Some(95.0), "met"),
            line("daily-runs", Some(1.0), "met"),
            line("data-quality", Some(95.79), "met"),
            line("detection-mean", Some(60.0), "met"),
            line("recovery-mean", Some(7201.0), "not-met"),
            line("success-rate", Some(92.86), "not-met"),
        ];
        assert_eq!(board(warehouse).await, whole, "{name}");

        // A day of the week whose runs and incidents are not all known.
        fill_week(&engine, |day| if day == 20 { partly } else { quiet }).await;
        let found = board(warehouse).await;
        assert_eq!(found[3], line("detection-mean", None, "unknown"), "{name}");
        assert_eq!(found[5], line("success-rate", None, "unknown"), "{name}");
        // The day that has not ended is not judged yet, and the seven days before it have six rows.
        fill_week(&engine, |day| if day == 24 { partly } else { quiet }).await;
        let found = board(warehouse).await;
        assert_eq!(found[1], line("daily-runs", Some(2.0), "met"), "{name}");
        assert_eq!(found[5], line("success-rate", None, "unknown"), "{name}");
        fill_week(&engine, |_| quiet).await;
        assert_eq!(board(warehouse).await[4], line("recovery-mean", None, "met"), "{name}");
    }
}

/// Writes the row of a compared object as the function does.
async fn log_object(warehouse: &Warehouse, object: &str, day: i8, fields: Option<(i64, i64)>) {
    let log = object_name(warehouse.dialect(), "crm.sfdc_dbx.reconciliation_log").unwrap();
    let snapshot_date = jiff::civil::date(2026, 11, day);
    let row = ObjectRow {
        audit_id: format!("object/properties/{object}/{snapshot_date}"),
        pipeline: "properties".to_owned(),
        object_name: object.to_owned(),
        snapshot_date,
        compared_at: start(),
        missing_rows: fields.map(|_| 1),
        fields_compared: fields.map(|(compared, _)| compared),
        fields_agreeing: fields.map(|(_, agreeing)| agreeing),
        not_compared: fields.is_none().then(|| "the copy is stale".to_owned()),
        ..ObjectRow::default()
    };
    let (dialect, rows) = (warehouse.dialect(), [&row]);
    let both = bulk::update(&log, dialect, rows).chain(bulk::insert(&log, dialect, rows));
    warehouse.execute_all(&both.collect::<Vec<_>>()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn scoreboard_view_has_the_share_of_agreeing_fields() {
    for engine in engines().await {
        let (name, warehouse) = (engine.name, &engine.warehouse);
        make_sources(&engine.direct).await.unwrap();
        apply_folder(warehouse, &sql_folder(), start()).await.unwrap();
        fill_week(&engine, |_| "incidents_opened = 0, incidents_resolved = 0").await;
        let line = |value, outcome: &str| ("data-quality".to_owned(), value, outcome.to_owned());
        assert_eq!(board(warehouse).await[2], line(Some(95.79), "met"), "{name}");
        // Written again, it is the same row.
        for _ in 0..2 {
            log_object(warehouse, "properties", 23, Some((10, 0))).await;
        }
        assert_eq!(board(warehouse).await[2], line(None, "unknown"), "{name}: not compared on the day");
        log_object(warehouse, "properties", 24, None).await;
        assert_eq!(board(warehouse).await[2], line(None, "unknown"), "{name}: not compared at all");
        log_object(warehouse, "properties", 24, Some((8_000, 7_998))).await;
        log_object(warehouse, "companies", 24, Some((2_000, 1_999))).await;
        assert_eq!(board(warehouse).await[2], line(Some(99.97), "met"), "{name}");

        // The simulated Databricks takes the type of a sum from its first row, so that one is not NULL.
        log_object(warehouse, "properties", 22, Some((10, 10))).await;
        let days = ask(warehouse, "crm.sfdc_dbx.reconciliation_by_day", "ORDER BY snapshot_date").await;
        let objects: Vec<i64> = days.rows().map(|row| row.get("objects_compared").unwrap()).collect();
        assert_eq!(objects, [1, 1, 2], "{name}");
        let reads = Reads::new("properties", "crm.sfdc_dbx.sync_audit_log", warehouse.dialect()).unwrap();
        let log = Some("crm.sfdc_dbx.reconciliation_log");
        let reads = reads.with_objects(log, warehouse.dialect()).unwrap();
        let (from, to) = (jiff::civil::date(2026, 11, 22), jiff::civil::date(2026, 11, 24));
        let days = warehouse.query(&reads.days(from, to)).await.unwrap();
        let syncs = warehouse.query(&reads.syncs(from, to)).await.unwrap();
        let found: Vec<_> = History::read(&days, &syncs).days.iter().map(DataDay::agreement).collect();
        assert_eq!(found, [Some(100.0), Some(0.0), Some(99.97)], "{name}");
    }
}

#[test]
fn sql_files_are_portable_and_variants_explain_the_difference() {
    for dialect in [Dialect::Databricks, Dialect::PostgreSql, Dialect::Sqlite] {
        for file in warehouse_objects::read(&sql_folder(), dialect).unwrap() {
            let name = &file.file_name;
            assert!(file.text.starts_with("-- "), "{name} has no description");
            let has_variants = name.matches('.').count() > 1;
            assert!(
                !has_variants || file.text.contains("-- Differs by dialect: "),
                "{name} does not explain its variant"
            );
            for word in ["CURRENT_DATE", "CURRENT_TIMESTAMP", "NOW()", "CREATE INDEX", "MERGE", "QUALIFY"] {
                assert!(!file.text.to_uppercase().contains(word), "{name} uses {word}");
            }
            for statement in warehouse_objects::script(&file, dialect).unwrap() {
                let sql = statement.sql().to_uppercase();
                let is_safe = ["IF NOT EXISTS", "IF EXISTS", "CREATE OR REPLACE", "CREATE VIEW"];
                assert!(
                    is_safe.iter().any(|words| sql.contains(words)),
                    "{} cannot be repeated",
                    statement.label()
                );
            }
        }
    }
}
