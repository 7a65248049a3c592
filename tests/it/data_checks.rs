//! Runs the data checks on real engines over ODBC: every engine gives the same figures and findings.

use std::time::Duration;

use daily_validation::observe::ask_all;
use jiff::{SignedDuration, Timestamp};
use syncwatch::data_checks::{DataCheck, compile, object_name, samples_statement};
use syncwatch::finding::{Check, Finding, Outcome};
use syncwatch::judge::data::{Extent, judge_round, with_samples};
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::sql::{Dialect, Statement};
use syncwatch::warehouse::Warehouse;
use syncwatch_lab::engines::{self, Postgres};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(120);

/// 10:00 in Los Angeles on an ordinary day.
fn now() -> Timestamp {
    "2026-11-24T18:00:00Z".parse().unwrap()
}

fn sqlite(folder: &TempDir) -> Warehouse {
    engines::sqlite(&folder.path().join("warehouse.db")).unwrap()
}

/// Further checks of every kind, in addition to those of the seed.
pub(crate) const MORE: &str = r#"
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
    checks_with(dialect, MORE, |seed| seed)
}

/// Parses the changed seed with more checks, for an engine behind ODBC.
fn checks_with(dialect: &str, more: &str, change: impl FnOnce(String) -> String) -> Pipeline {
    let seed = include_str!("../../infra/pipeline.toml");
    let databricks = "driver = \"databricks\"\nhost = \"dbc-00000000-0000.cloud.databricks.com\"\nwarehouse_id = \
                      \"0123456789abcdef\"";
    assert!(seed.contains(databricks));
    let odbc = format!("driver = \"odbc\"\ndialect = \"{dialect}\"");
    Pipeline::parse(&format!("{}{more}", change(seed.replacen(databricks, &odbc, 1)))).unwrap()
}

/// Creates the seed's objects: 20,247 properties of which 18,722 arrived, three null company names, two duplicates.
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
    // Created one second before midnight in Los Angeles; an update below moves one property into today.
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
    // Two duplicates of P-7, and a copy whose key does not exist in the source.
    for (id, key) in [("S-x", "P-7"), ("S-y", "P-7"), ("S-w", "P-nowhere")] {
        more(format!(
            "INSERT INTO {copies} SELECT '{id}', '{key}', 'Company', created_date, last_modified_date, _fivetran_deleted, \
             _fivetran_synced FROM {copies} WHERE id = 'S-7'"
        ));
    }
    more(format!("UPDATE {properties} SET status = 'unknown' WHERE property_id = 'P-9'"));
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
    let asker = Asker::new(warehouse, LIMIT);
    let mut findings = judge_round(&ask_all(asker, scans).await, Extent::Whole, now());
    for finding in findings.iter_mut().filter(|finding| finding.check == Check::Duplicates) {
        let of_name = |check: &&DataCheck| check.name == finding.subject;
        let check = pipeline.checks.iter().find(of_name).unwrap();
        let statement = samples_statement(check, dialect, zone, now()).unwrap().unwrap();
        *finding = with_samples(finding.clone(), check, &asker.ask(&statement).await);
    }
    findings
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_find_the_same_on_sqlite_and_postgresql() {
    let folder = TempDir::new().unwrap();
    let server = Postgres::start().unwrap();
    let (sqlite, postgresql) = (sqlite(&folder), server.warehouse().unwrap());
    fill(&sqlite).await;
    fill(&postgresql).await;
    let of_sqlite = findings(&sqlite, &checks("sqlite")).await;
    let of_postgresql = findings(&postgresql, &checks("postgresql")).await;
    let lines = |findings: &[Finding]| findings.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(lines(&of_sqlite), lines(&of_postgresql));
    assert_eq!(of_sqlite, of_postgresql);
    let found = lines(&of_sqlite);
    for part in [
        "warehouse-reachable warehouse: healthy",
        "92.47% coverage (target 95%, minimum 90%); 18,722 of 20,247 keys of crm.rds.properties are in crm.salesforce.product_property",
        "company-names: healthy, company_name_c missing in 3 of ",
        "company-name-quality: healthy, company_name_c missing in 3 of ",
        "unique-property-ids: critical, 2 duplicate rows (same sf_property_id_c, limit 0)",
        "changes-arrive: error, oldest undelivered change is 6h old (limit 2h)",
        "create-queue: warning, 1,525 rows waiting (limit 100)",
        "update-queue: healthy, 0 rows waiting",
        "created-today: healthy, 1 row in crm.rds.properties",
        "ids: healthy, 0 rows with a malformed",
        "statuses: warning, 1 row with an unaccepted status",
        "back: warning, 1 row whose sf_property_id_c is not in crm.rds.properties",
        "name-rate: healthy, company_name_c missing in 3 of ",
        "old-queue: healthy, 1,525 rows waiting (limit 5,000), oldest for 10h (limit 12h), in crm.sfdc_dbx.properties_to_create",
    ] {
        assert!(found.iter().any(|line| line.contains(part)), "no `{part}` in {found:#?}");
    }
    let duplicates = of_sqlite.iter().find(|finding| finding.subject == "unique-property-ids").unwrap();
    assert!(serde_json::to_string(duplicates).unwrap().contains("P-7 (3 times)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_view_is_one_finding() {
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
    assert!(
        findings.iter().any(|finding| finding.subject == "unique-property-ids" && finding.is_unhealthy())
    );
}

/// Opens the engine of a dialect and creates the seed's objects in it.
async fn filled(dialect: &str, folder: &TempDir, server: &Postgres) -> Warehouse {
    let warehouse = if dialect == "sqlite" { sqlite(folder) } else { server.warehouse().unwrap() };
    fill(&warehouse).await;
    warehouse
}

async fn run(warehouse: &Warehouse, table: &str, sql: &str) {
    let table = object_name(warehouse.dialect(), table).unwrap();
    warehouse.execute(&Statement::new("a change", sql.replace("@T", &table))).await.unwrap();
}

/// Returns the finding of a check as text, without that of its filter.
fn line(findings: &[Finding], subject: &str) -> String {
    let own = |finding: &&Finding| finding.subject == subject && finding.check != Check::FilterKeepsRows;
    findings.iter().find(own).unwrap().to_string()
}

fn figure(findings: &[Finding], subject: &str, name: &str) -> Option<String> {
    let finding = findings.iter().find(|finding| finding.subject == subject).unwrap();
    let (Outcome::Healthy { evidence } | Outcome::Unhealthy { evidence, .. }) = &finding.outcome else {
        panic!("{finding}")
    };
    evidence.figures.iter().find(|figure| figure.name == name).map(syncwatch::figure::Figure::text)
}

const COPIES: &str = "crm.salesforce.product_property";
const PROPERTIES: &str = "crm.rds.properties";

#[tokio::test(flavor = "multi_thread")]
async fn records_dated_in_the_future_hide_no_waiting_change() {
    let (folder, server) = (TempDir::new().unwrap(), Postgres::start().unwrap());
    for (dialect, endless) in [("sqlite", "9999-12-31 23:59:59"), ("postgresql", "infinity")] {
        let warehouse = filled(dialect, &folder, &server).await;
        run(&warehouse, COPIES, "UPDATE @T SET last_modified_date = '2030-01-01 00:00:00' WHERE id = 'S-11'")
            .await;
        let endless = format!("UPDATE @T SET last_modified_date = '{endless}' WHERE id = 'S-12'");
        run(&warehouse, COPIES, &endless).await;
        run(&warehouse, COPIES, "UPDATE @T SET _fivetran_synced = '2030-01-01 00:00:00' WHERE id = 'S-13'")
            .await;
        run(
            &warehouse,
            PROPERTIES,
            "UPDATE @T SET updated_at = '2030-01-01 00:00:00' WHERE property_id = 'P-14'",
        )
        .await;
        let late = findings(&warehouse, &checks(dialect)).await;
        let text = line(&late, "changes-arrive");
        assert!(text.contains("error, oldest undelivered change is 6h old (limit 2h)"), "{dialect}: {text}");
        for (name, count) in [
            ("changes dated in the future", "1"),
            ("arrivals dated in the future", "2"),
            ("copy syncs dated in the future", "1"),
        ] {
            assert_eq!(figure(&late, "changes-arrive", name).as_deref(), Some(count), "{dialect}: {name}");
        }
        // Without a late change only a warning is left, because records of the future cannot be judged.
        run(
            &warehouse,
            PROPERTIES,
            "UPDATE @T SET updated_at = '2026-11-24 10:00:00' WHERE property_id = 'P-6'",
        )
        .await;
        let text = line(&findings(&warehouse, &checks(dialect)).await, "changes-arrive");
        assert!(text.contains("warning, ") && text.contains("timestamps in the future"), "{dialect}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_figure_leaves_only_its_check_unjudged() {
    let (folder, server) = (TempDir::new().unwrap(), Postgres::start().unwrap());
    let numbers = |name: &str, sql: &str| {
        format!(
            "[[checks]]\nname = \"{name}\"\nkind = \"custom-sql\"\ntable = \"rds.properties\"\nmin = 0\nmax = 0\nsql = \"{sql}\"\n"
        )
    };
    for (dialect, not_a_number, infinite) in [
        ("sqlite", "SELECT NULL", "SELECT 9e999"),
        (
            "postgresql",
            "SELECT CAST('NaN' AS DOUBLE PRECISION)",
            "SELECT CAST('Infinity' AS DOUBLE PRECISION)",
        ),
    ] {
        let warehouse = filled(dialect, &folder, &server).await;
        // The oldest waiting row has no readable instant.
        run(&warehouse, PROPERTIES, "UPDATE @T SET created_at = '-infinity' WHERE property_id = 'P-20000'")
            .await;
        let mut more = format!("{MORE}{}", numbers("not-a-number", not_a_number));
        more.push_str(&numbers("infinite", infinite));
        more.push_str(&numbers("zero", "SELECT -0.0"));
        if dialect == "postgresql" {
            more.push_str(&numbers("numeric", "SELECT CAST('NaN' AS NUMERIC(38, 18))"));
            more.push_str(&numbers("long-zero", "SELECT CAST(0 AS NUMERIC(38, 18))"));
        }
        let found = findings(&warehouse, &checks_with(dialect, &more, |seed| seed)).await;
        let unjudged: Vec<&str> = found
            .iter()
            .filter(|finding| matches!(finding.outcome, Outcome::NotEvaluated { .. }))
            .map(|finding| finding.subject.as_str())
            .collect();
        let mut expected = vec!["old-queue", "not-a-number", "infinite"];
        if dialect == "postgresql" {
            expected.push("numeric");
        }
        assert_eq!(unjudged, expected, "{dialect}");
        assert!(line(&found, "zero").contains("healthy, query result is 0"), "{dialect}");
        assert!(line(&found, "create-queue").contains("1,525 rows waiting"), "the same table, {dialect}");
        assert!(
            line(&found, "old-queue").contains("of the answer holds"),
            "{dialect}: {}",
            line(&found, "old-queue")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn null_flag_counts_as_unset_and_an_empty_filter_is_reported() {
    let (folder, server) = (TempDir::new().unwrap(), Postgres::start().unwrap());
    for dialect in ["sqlite", "postgresql"] {
        let warehouse = filled(dialect, &folder, &server).await;
        run(&warehouse, COPIES, "UPDATE @T SET _fivetran_deleted = NULL WHERE id <> 'S-1'").await;
        run(&warehouse, COPIES, "UPDATE @T SET _fivetran_deleted = TRUE WHERE id = 'S-1'").await;
        run(&warehouse, PROPERTIES, "UPDATE @T SET deleted = NULL").await;
        let found = findings(&warehouse, &checks(dialect)).await;
        let coverage = line(&found, "properties-coverage");
        assert!(coverage.contains("18,721 of 20,247 keys"), "{dialect}: {coverage}");
        assert!(
            !found.iter().any(|finding| finding.check == Check::FilterKeepsRows && finding.is_unhealthy())
        );
        // An earlier version of the file compared with `false`, which no row has here.
        let before = |seed: String| {
            seed.replace("\"_fivetran_deleted\", not = true", "\"_fivetran_deleted\", equals = false")
        };
        let found = findings(&warehouse, &checks_with(dialect, MORE, before)).await;
        let filters: Vec<&Finding> = found
            .iter()
            .filter(|finding| finding.check == Check::FilterKeepsRows && finding.is_unhealthy())
            .collect();
        let expected = "filter-keeps-rows properties-coverage: error, filter on _fivetran_deleted keeps 0 of 18,725 rows of \
                    crm.salesforce.product_property";
        assert_eq!(filters[0].to_string(), expected, "{dialect}");
        assert!(
            filters.iter().all(|finding| finding.group.as_deref() == Some(COPIES)),
            "{dialect}: not one common cause"
        );
        for subject in
            ["properties-coverage", "changes-arrive", "unique-property-ids", "company-name-quality"]
        {
            let text = line(&found, subject);
            assert!(
                text.ends_with(&format!("blocked by filter-keeps-rows of {subject}")),
                "{dialect}: {text}"
            );
        }
        // `is_null` distinguishes NULL from a value.
        let null = |seed: String| {
            seed.replace("\"_fivetran_deleted\", not = true", "\"_fivetran_deleted\", is_null = false")
        };
        let found = findings(&warehouse, &checks_with(dialect, MORE, null)).await;
        assert!(line(&found, "properties-coverage").contains(" 1 of 20,247 keys"), "{dialect}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sample_keys_hide_addresses_and_phone_numbers_by_default() {
    const CHECKS: &str = r#"
[[checks]]
name = "emails"
kind = "duplicates"
table = "crm.salesforce.contacts"
key = "email"
[[checks]]
name = "phones"
kind = "duplicates"
table = "crm.salesforce.contacts"
key = ["phone", "id"]
[[checks]]
name = "shown"
kind = "duplicates"
table = "crm.salesforce.contacts"
key = "email"
show_keys = true
"#;
    let folder = TempDir::new().unwrap();
    let warehouse = sqlite(&folder);
    fill(&warehouse).await;
    run(
        &warehouse,
        "crm.salesforce.contacts",
        "CREATE TABLE @T (id VARCHAR(20), email VARCHAR(80), phone VARCHAR(40))",
    )
    .await;
    for _ in 0..2 {
        for (id, email, phone) in [
            ("C-1", "mary.miller@example.com", "+1 415 555 2671"),
            ("C-2", "\u{202e}bob\u{200b}@example.com", "(030) 555-2671"),
        ] {
            let sql = format!("INSERT INTO @T VALUES ('{id}', '{email}', '{phone}')");
            run(&warehouse, "crm.salesforce.contacts", &sql).await;
        }
    }
    let found = findings(&warehouse, &checks_with("sqlite", CHECKS, |seed| seed)).await;
    let sampled = |subject| figure(&found, subject, "sample keys").unwrap();
    assert_eq!(sampled("emails"), "[e-mail] (2 times), [e-mail] (2 times)");
    assert_eq!(sampled("phones"), "[hidden]/C-2 (2 times), [hidden]/C-1 (2 times)");
    let hidden: Vec<&Finding> = found.iter().filter(|finding| finding.subject != "shown").collect();
    let notice = serde_json::to_string(&hidden).unwrap();
    assert!(!notice.contains('@') && !notice.contains("2671"), "{notice}");
    let shown = sampled("shown");
    assert!(
        shown.contains("mary.miller@example.com (2 times)") && shown.contains("bob@example.com"),
        "{shown}"
    );
    assert!(!shown.contains(['\u{202e}', '\u{200b}']));
}

/// A state of the pipeline's tables, in the figures that the limits apply to. Ages are those at the time of the checks.
#[derive(Clone, Copy)]
struct State {
    properties: u32,
    copies: u32,
    /// Copies without a company name.
    nameless: u32,
    /// When the copies were created and modified.
    arrived: SignedDuration,
    /// When one more property was created, and when the first property changed.
    created: Option<SignedDuration>,
    changed: Option<SignedDuration>,
    /// Whether the one more property has no company yet.
    is_unready: bool,
    create_queue: u32,
    update_queue: u32,
}

const ORDINARY: State = State {
    properties: 1_000,
    copies: 1_000,
    nameless: 0,
    arrived: SignedDuration::from_hours(1),
    created: None,
    changed: None,
    is_unready: false,
    create_queue: 0,
    update_queue: 0,
};

impl State {
    async fn write(self, warehouse: &Warehouse) {
        let ago = |age: SignedDuration| (now() - age).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let (arrived, before) = (ago(self.arrived), ago(self.arrived + SignedDuration::from_hours(1)));
        let nameless = self.nameless;
        let tables = [
            (
                PROPERTIES,
                "property_id TEXT, company_name TEXT, created_at TEXT, updated_at TEXT, deleted BOOLEAN",
                self.properties,
                format!("'P-' || n, 'Company', '{before}', '{before}', NULL"),
            ),
            (
                COPIES,
                "sf_property_id_c TEXT, company_name_c TEXT, created_date TEXT, last_modified_date TEXT, \
                 _fivetran_deleted BOOLEAN, _fivetran_synced TEXT",
                self.copies,
                format!(
                    "'P-' || n, CASE WHEN n > {nameless} THEN 'Company' END, '{arrived}', '{arrived}', NULL, '{arrived}'"
                ),
            ),
            ("crm.sfdc_dbx.properties_to_create", "id TEXT", self.create_queue, "n".to_owned()),
            ("crm.sfdc_dbx.properties_to_update", "id TEXT", self.update_queue, "n".to_owned()),
        ];
        for (table, columns, count, values) in tables {
            run(warehouse, table, "DROP TABLE IF EXISTS @T").await;
            run(warehouse, table, &format!("CREATE TABLE @T ({columns})")).await;
            let numbers = "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n <";
            let sql = format!("INSERT INTO @T {numbers} {count}) SELECT {values} FROM g WHERE n <= {count}");
            run(warehouse, table, &sql).await;
        }
        if let Some(created) = self.created.map(ago) {
            let name = if self.is_unready { "NULL" } else { "'Company'" };
            let sql = format!("INSERT INTO @T VALUES ('P-new', {name}, '{created}', '{created}', NULL)");
            run(warehouse, PROPERTIES, &sql).await;
        }
        if let Some(changed) = self.changed.map(ago) {
            let sql = format!("UPDATE @T SET updated_at = '{changed}' WHERE property_id = 'P-1'");
            run(warehouse, PROPERTIES, &sql).await;
        }
    }
}

/// Each limit of the shipped file, once just kept and once just exceeded.
#[tokio::test(flavor = "multi_thread")]
async fn shipped_limits_are_exact_to_the_row_and_second() {
    let folder = TempDir::new().unwrap();
    let warehouse = sqlite(&folder);
    let pipeline = checks_with("sqlite", "", |seed| seed);
    let (hours, second) = (SignedDuration::from_hours, SignedDuration::from_secs(1));
    let covered = |copies| State { properties: 10_000, copies, ..ORDINARY };
    let nameless = |nameless| State { nameless, ..ORDINARY };
    let creating = |created| State { arrived: hours(30), created, ..ORDINARY };
    let updating = |changed| State { arrived: hours(3), changed, ..ORDINARY };
    let table = [
        ("properties-coverage", covered(9_500), "healthy"),
        ("properties-coverage", covered(9_499), "warning"),
        ("properties-coverage", covered(9_000), "warning"),
        ("properties-coverage", covered(8_999), "critical"),
        ("company-names", nameless(50), "healthy"),
        ("company-names", nameless(51), "warning"),
        // Not evaluated, because no record was modified within the day.
        ("company-names", State { arrived: hours(25), ..nameless(51) }, "not evaluated"),
        ("company-name-quality", nameless(50), "healthy"),
        ("company-name-quality", nameless(51), "warning"),
        ("company-name-quality", State { arrived: hours(25), ..nameless(51) }, "warning"),
        ("create-queue", State { create_queue: 100, ..ORDINARY }, "healthy"),
        ("create-queue", State { create_queue: 101, ..ORDINARY }, "warning"),
        ("update-queue", State { update_queue: 1_000, ..ORDINARY }, "healthy"),
        ("update-queue", State { update_queue: 1_001, ..ORDINARY }, "warning"),
        ("creates-arrive", creating(Some(hours(24))), "healthy"),
        ("creates-arrive", creating(Some(hours(24) + second)), "critical"),
        // Idle: no record waits, or none that is ready.
        ("creates-arrive", creating(None), "healthy"),
        ("creates-arrive", State { is_unready: true, ..creating(Some(hours(25))) }, "healthy"),
        ("changes-arrive", updating(Some(hours(2))), "healthy"),
        ("changes-arrive", updating(Some(hours(2) + second)), "error"),
        ("changes-arrive", updating(None), "healthy"),
    ];
    for (subject, state, expected) in table {
        state.write(&warehouse).await;
        let text = line(&findings(&warehouse, &pipeline).await, subject);
        assert!(text.contains(&format!(": {expected}, ")), "expected {expected}: {text}");
    }
}
