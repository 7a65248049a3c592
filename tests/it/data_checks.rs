//! The checks of data on real engines, over ODBC: the same figures, the same findings.

use std::time::Duration;

use daily_validation::observe::ask_all;
use jiff::Timestamp;
use syncwatch::data_checks::{DataCheck, compile, object_name, samples_statement};
use syncwatch::finding::{Check, Finding};
use syncwatch::judge::data::{Extent, judge_round, with_samples};
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::sql::{Dialect, Statement};
use syncwatch::warehouse::Warehouse;
use syncwatch_lab::engines::{self, Postgres};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(120);

/// Ten in the morning of a common day in Los Angeles.
fn now() -> Timestamp {
    "2026-11-24T18:00:00Z".parse().unwrap()
}

fn sqlite(folder: &TempDir) -> Warehouse {
    engines::sqlite(&folder.path().join("warehouse.db")).unwrap()
}

/// Checks of every kind beside those of the seed.
const MORE: &str = r#"
[[checks]]
name = "created-today"
kind = "row-count"
table = "crm.rds.properties"
window = { day = "today", column = "created_at" }
min = 1
max = 5000
[[checks]]
name = "ids"
kind = "pattern"
table = "crm.rds.properties"
column = "property_id"
like = "P-%"
max_length = 7
[[checks]]
name = "statuses"
kind = "accepted-values"
table = "crm.rds.properties"
column = "status"
values = ["active", "sold's; --"]
[[checks]]
name = "pairs"
kind = "duplicates"
table = "crm.rds.properties"
key = ["company_name", "city"]
[[checks]]
name = "back"
kind = "referential"
table = "crm.salesforce.product_property"
column = "sf_property_id_c"
references = { table = "crm.rds.properties", key = "property_id" }
[[checks]]
name = "name-rate"
kind = "null-rate"
table = "crm.salesforce.product_property"
columns = ["company_name_c", "sf_property_id_c"]
limit_percent = 1.0
[[checks]]
name = "old-queue"
kind = "queue-size"
table = "crm.sfdc_dbx.properties_to_create"
limit = 5000
oldest_by = "created_at"
max_age = "12h"
"#;

fn checks(dialect: &str) -> Pipeline {
    let seed = include_str!("../../infra/pipeline.toml");
    let databricks = "driver = \"databricks\"\nhost = \"dbc-00000000-0000.cloud.databricks.com\"\nwarehouse_id = \
                      \"0123456789abcdef\"";
    assert!(seed.contains(databricks));
    let odbc = format!("driver = \"odbc\"\ndialect = \"{dialect}\"");
    Pipeline::parse(&format!("{}{MORE}", seed.replacen(databricks, &odbc, 1))).unwrap()
}

/// The seed's objects: 20,247 properties of which 18,722 arrived, three null company names, two duplicates.
async fn fill(warehouse: &Warehouse) {
    let dialect = warehouse.dialect();
    let name = |path: &str| object_name(dialect, path).unwrap();
    let instant = if dialect == Dialect::Sqlite { "TEXT" } else { "TIMESTAMP" };
    let (properties, copies) = (name("crm.rds.properties"), name("crm.salesforce.product_property"));
    let numbers = |to: u32| {
        format!(
            "(WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {to}) SELECT n FROM g) AS s"
        )
    };
    let mut statements = Vec::new();
    let mut plain = |sql: String| statements.push(Statement::new("objects", sql));
    if dialect == Dialect::PostgreSql {
        for schema in ["rds", "salesforce", "sfdc_dbx"] {
            plain(format!("CREATE SCHEMA {schema}"));
        }
    }
    plain(format!(
        "CREATE TABLE {properties} (property_id VARCHAR(20), company_name VARCHAR(80), city VARCHAR(80), \
         status VARCHAR(20), created_at {instant}, updated_at {instant}, deleted BOOLEAN)"
    ));
    plain(format!(
        "CREATE TABLE {copies} (id VARCHAR(20), sf_property_id_c VARCHAR(20), company_name_c VARCHAR(80), \
         created_date {instant}, last_modified_date {instant}, _fivetran_deleted BOOLEAN, _fivetran_synced {instant})"
    ));
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    // One of them was created before midnight in Los Angeles, all others after it; half a million would do as well.
    statements.push(
        Statement::new(
            "properties",
            format!(
                "INSERT INTO {properties} SELECT 'P-' || n, 'Company ' || n, 'City', 'active', :created, :updated, FALSE FROM {}",
                numbers(20_247)
            ),
        )
        .bind("created", at("2026-11-24T07:59:59Z"))
        .bind("updated", at("2026-11-24T10:00:00Z")),
    );
    statements.push(
        Statement::new(
            "copies",
            format!(
                "INSERT INTO {copies} SELECT 'S-' || n, 'P-' || n, CASE WHEN n > 3 THEN 'Company ' || n END, :at, :at, FALSE, \
                 :synced FROM {}",
                numbers(18_722)
            ),
        )
        .bind("at", at("2026-11-24T10:10:00.25Z"))
        .bind("synced", at("2026-11-24T10:20:00Z")),
    );
    let mut more = |sql: String| statements.push(Statement::new("more", sql));
    // A second and a third P-7, and one that was deleted at the destination and does not count.
    for (id, key) in [("S-x", "P-7"), ("S-y", "P-7"), ("S-w", "P-nowhere")] {
        more(format!(
            "INSERT INTO {copies} SELECT '{id}', '{key}', 'Company', created_date, last_modified_date, _fivetran_deleted, \
             _fivetran_synced FROM {copies} WHERE id = 'S-7'"
        ));
    }
    more(format!("UPDATE {properties} SET status = 'unheard of' WHERE property_id = 'P-9'"));
    more(format!("UPDATE {properties} SET company_name = 'Company 1' WHERE property_id = 'P-2'"));
    statements.push(
        Statement::new(
            "today",
            format!("UPDATE {properties} SET created_at = :at WHERE property_id = 'P-5'"),
        )
        .bind("at", at("2026-11-24T08:00:00Z")),
    );
    statements.push(
        Statement::new("late", format!("UPDATE {properties} SET updated_at = :at WHERE property_id = 'P-6'"))
            .bind("at", at("2026-11-24T12:00:00Z")),
    );
    for (view, joined) in [("properties_to_create", "IS NULL"), ("properties_to_update", "= 'nothing'")] {
        statements.push(Statement::new(
            "views",
            format!(
                "CREATE VIEW {} AS SELECT p.property_id, p.created_at FROM {properties} p LEFT JOIN {copies} c \
                 ON c.sf_property_id_c = p.property_id WHERE c.id {joined}",
                name(&format!("crm.sfdc_dbx.{view}"))
            ),
        ));
    }
    for statement in &statements {
        warehouse.execute(statement).await.unwrap();
    }
}

async fn findings(warehouse: &Warehouse, pipeline: &Pipeline) -> Vec<Finding> {
    let (dialect, zone) = (warehouse.dialect(), &pipeline.time_zone);
    let scans = compile(&pipeline.checks, dialect, zone, now()).unwrap();
    assert_eq!(scans.len(), 4);
    let asker = Asker::new(warehouse, LIMIT);
    let mut findings = judge_round(&ask_all(asker, scans).await, Extent::Whole, now());
    for finding in findings.iter_mut().filter(|finding| finding.check == Check::Duplicates) {
        let of_name = |check: &&DataCheck| check.name == finding.subject;
        let check = pipeline.checks.iter().find(of_name).unwrap();
        let statement = samples_statement(check, dialect, zone, now()).unwrap().unwrap();
        *finding = with_samples(finding.clone(), &asker.ask(&statement).await);
    }
    findings
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_checks_find_the_same_on_sqlite_and_on_postgresql() {
    let folder = TempDir::new().unwrap();
    let server = Postgres::start().unwrap();
    let (sqlite, postgresql) = (sqlite(&folder), server.warehouse().unwrap());
    fill(&sqlite).await;
    fill(&postgresql).await;
    let of_sqlite = findings(&sqlite, &checks("sqlite")).await;
    let of_postgresql = findings(&postgresql, &checks("postgresql")).await;
    let said = |findings: &[Finding]| findings.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(said(&of_sqlite), said(&of_postgresql));
    assert_eq!(of_sqlite, of_postgresql);
    let told = said(&of_sqlite);
    for part in [
        "warehouse-reachable warehouse: healthy",
        "92.47% (good, not excellent): 18,722 of 20,247 keys of crm.rds.properties are in crm.salesforce.product_property",
        "company-names: warning, 3 (0.02%) of company_name_c missing",
        "unique-property-ids: error, 2 rows in",
        "changes-arrive: error, a change in crm.rds.properties waits for 6h",
        "create-queue: warning, 1,525 rows wait",
        "update-queue: healthy, nothing waits",
        "created-today: healthy, crm.rds.properties has 1 rows",
        "ids: healthy, no values",
        "statuses: warning, 1 values of status",
        "back: warning, 1 values of sf_property_id_c",
        "name-rate: healthy, 3 (0.02%) of company_name_c",
        "old-queue: healthy, 1,525 rows wait in crm.sfdc_dbx.properties_to_create, the oldest for 10h",
    ] {
        assert!(told.iter().any(|line| line.contains(part)), "no `{part}` in {told:#?}");
    }
    let duplicates = of_sqlite.iter().find(|finding| finding.subject == "unique-property-ids").unwrap();
    assert!(serde_json::to_string(duplicates).unwrap().contains("P-7 (3 times)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_missing_is_one_clear_finding() {
    let folder = TempDir::new().unwrap();
    let warehouse = sqlite(&folder);
    fill(&warehouse).await;
    let view = object_name(Dialect::Sqlite, "crm.sfdc_dbx.properties_to_update").unwrap();
    warehouse.execute(&Statement::new("drop", format!("DROP VIEW {view}"))).await.unwrap();
    let findings = findings(&warehouse, &checks("sqlite")).await;
    let blind: Vec<String> = findings
        .iter()
        .filter(|finding| finding.check == Check::WarehouseReachable || finding.subject == "update-queue")
        .map(ToString::to_string)
        .collect();
    assert!(
        blind[0].contains("1 of 4 statements failed") && blind[0].contains("properties_to_update"),
        "{blind:?}"
    );
    assert!(blind[1].contains("not evaluated"), "{blind:?}");
    assert!(findings.iter().any(|finding| finding.subject == "company-names" && finding.is_unhealthy()));
}
