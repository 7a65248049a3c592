//! Failures of a warehouse as daily-validation reports them: one clear finding for each, no other finding, and every check
//! healthy again after the repair.

use std::fmt::Write as _;
use std::time::Duration;

use daily_validation::{App, Patience};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use syncwatch::data_checks::object_name;
use syncwatch::finding::{Check, Finding, Outcome};
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::env;
use syncwatch::sql::{Dialect, Statement};
use syncwatch::warehouse::Warehouse;
use syncwatch_lab::aws::{
    Deployment, DeploymentOptions, FunctionsTable, Ministack, ResourceId, ResourceKind, Schedules,
};
use syncwatch_lab::databricks::{CLIENT_ID, CLIENT_SECRET, DatabricksFault, DatabricksServer, WAREHOUSE_ID};
use syncwatch_lab::engines::{self, Postgres};
use syncwatch_lab::properties::{PropertyWorld, Tables};
use tempfile::TempDir;

const DATABRICKS: &str = "driver = \"databricks\"\nhost = \"dbc-00000000-0000.cloud.databricks.com\"\nwarehouse_id = \"0123456789abcdef\"";
/// The beginning of a custom check, which a test completes with its SQL.
const CUSTOM: &str =
    "\n[[checks]]\nname = \"own\"\nkind = \"custom-sql\"\ntable = \"crm.rds.properties\"\nmax = 0\nsql = ";

/// 03:00 in Los Angeles.
fn three() -> Timestamp {
    "2026-11-24T11:00:00Z".parse().unwrap()
}

/// AWS with the function's resources, and the repository's pipeline on another warehouse.
struct Setup {
    aws: Ministack,
    deployment: Deployment,
    pipeline: String,
    patience: Patience,
    databricks: Option<String>,
}

impl Setup {
    async fn of(warehouse: &str, secret: &str) -> Self {
        let aws = Ministack::start().await.unwrap();
        let mut table = FunctionsTable::read(&FunctionsTable::default_path()).unwrap();
        // The function runs in this process, because time and patience must be arguments.
        table.functions.clear();
        let secrets = table.resources.keys().filter(|id| id.kind == ResourceKind::Secret);
        let options = DeploymentOptions {
            secrets: secrets.map(|id| (id.clone(), secret.to_owned())).collect(),
            schedules: Schedules::None,
            ..DeploymentOptions::default()
        };
        let deployment = Deployment::apply(&aws, &table, &options).await.unwrap();
        let seed = include_str!("../../infra/pipeline.toml");
        assert!(seed.contains(DATABRICKS));
        let pipeline = seed.replacen(DATABRICKS, warehouse, 1);
        Self { aws, deployment, pipeline, patience: Patience::default(), databricks: None }
    }

    async fn use_secret(&self, secret: &str) {
        self.deployment.put_secret(&ResourceId::secret("warehouse"), secret).await.unwrap();
    }

    /// Runs a whole round in a new instance of the function, with further checks in addition to those of the seed.
    async fn round_with(&self, checks: &str) -> Value {
        self.event(checks, json!({ "task": "validate" }), three()).await
    }

    /// Runs a new instance of the function on an event at a given time and returns its answer.
    async fn event(&self, checks: &str, event: Value, at: Timestamp) -> Value {
        let pipeline = Pipeline::parse(&format!("{}{checks}", self.pipeline)).unwrap();
        let databricks = self.databricks.as_deref().map(|url| (env::DATABRICKS_URL.name, url));
        let changed: Vec<(&str, &str)> = databricks.into_iter().collect();
        let site = self.deployment.site("daily-validation", pipeline, self.aws.endpoint(), &changed);
        let app = App::new(site.unwrap());
        app.with_patience(self.patience).run(event, at).await.unwrap()
    }

    /// Asserts that every check is healthy, and returns the notices.
    async fn assert_healthy(&self) -> Vec<String> {
        let answer = self.round_with("").await;
        // The warehouse, eight checks, and the filters of six.
        let all = json!({ "healthy": 15, "unhealthy": 0, "not_evaluated": 0 });
        assert_eq!(answer["counts"], all, "{answer:#}");
        notices(&answer)
    }

    /// Asserts that every check is healthy, and that each opened incident of an answer resolves with no other notice.
    async fn assert_resolved(&self, answer: &Value) {
        let ended =
            notices(answer).iter().map(|notice| notice.replacen("opened", "resolved", 1)).collect::<Vec<_>>();
        assert_eq!(self.assert_healthy().await, ended);
        // A reopened incident would be flapping, which other tests cover.
        self.deployment.clear(&ResourceId::table("incidents")).await.unwrap();
    }
}

fn notices(answer: &Value) -> Vec<String> {
    let text = |notice: &Value, key: &str| notice[key].as_str().unwrap().to_owned();
    let notices = answer["notices"].as_array().unwrap().iter();
    notices.map(|notice| format!("{} {}", text(notice, "kind"), text(notice, "incident"))).collect()
}

/// Renders an answer: its notices, their findings, and the unjudged checks with the reason.
fn report(answer: &Value) -> String {
    let mut report = String::new();
    for notice in notices(answer) {
        writeln!(report, "{notice}").unwrap();
    }
    let findings = |outcome: &str| serde_json::from_value::<Vec<Finding>>(answer[outcome].clone()).unwrap();
    for finding in findings("unhealthy") {
        let Outcome::Unhealthy { evidence, cause, .. } = &finding.outcome else { panic!("{finding}") };
        writeln!(report, "{finding}").unwrap();
        for also in evidence.figures.iter().filter(|figure| figure.name == "also failed") {
            writeln!(report, "also: {}", also.text()).unwrap();
        }
        writeln!(report, "likely: {cause}").unwrap();
    }
    let mut unjudged: Vec<(String, Vec<String>)> = Vec::new();
    for finding in findings("not_evaluated") {
        let Outcome::NotEvaluated { why } = &finding.outcome else { panic!("{finding}") };
        // The filters of a check have the same reason as the check.
        if finding.check == Check::FilterKeepsRows {
            continue;
        }
        match unjudged.iter_mut().find(|(reason, _)| *reason == why.to_string()) {
            Some((_, subjects)) => subjects.push(finding.subject),
            None => unjudged.push((why.to_string(), vec![finding.subject])),
        }
    }
    for (why, subjects) in unjudged {
        writeln!(report, "not evaluated: {}: {why}", subjects.join(", ")).unwrap();
    }
    write!(report, "healthy: {}", answer["counts"]["healthy"]).unwrap();
    let all = answer.to_string();
    for secret in ["s3cret", CLIENT_SECRET] {
        assert!(!all.contains(secret), "{secret} is shown: {all}");
    }
    without_ports(&report)
}

/// Ports differ from run to run.
fn without_ports(text: &str) -> String {
    let mut parts = text.split("port ");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
    rest.fold(first, |text, part| text + "port [port]" + part)
}

async fn do_all(warehouse: &Warehouse, statements: &[&str]) {
    for sql in statements {
        warehouse.execute(&Statement::new("a test", *sql)).await.unwrap();
    }
}

async fn filled(warehouse: Warehouse) -> Tables {
    let mut world = PropertyWorld::with(three() - SignedDuration::from_hours(2), 7, 300, 300, 0);
    // The world advances so that some records were modified within the day.
    world.advance_to(three());
    Tables::create(warehouse, &mut world).await.unwrap()
}

/// A fault of a database, and its repair.
struct Broken<'t> {
    title: &'t str,
    breaks: &'t [&'t str],
    repairs: &'t [&'t str],
    /// The SQL of a custom check, in addition to those of the seed.
    custom: Option<&'t str>,
}

impl<'t> Broken<'t> {
    fn by(title: &'t str, breaks: &'t [&'t str], repairs: &'t [&'t str]) -> Self {
        Self { title, breaks, repairs, custom: None }
    }

    fn custom(title: &'t str, sql: &'t str) -> Self {
        Self { title, breaks: &[], repairs: &[], custom: Some(sql) }
    }
}

impl Setup {
    /// Applies the faults one after the other and returns the report of each. After each repair every check must be healthy.
    async fn report_each(&self, admin: &Warehouse, each: &[Broken<'_>]) -> String {
        let mut reports = String::new();
        for broken in each {
            do_all(admin, broken.breaks).await;
            let custom = broken.custom.map(|sql| format!("{CUSTOM}\"{sql}\"\n"));
            let answer = self.round_with(custom.as_deref().unwrap_or_default()).await;
            write!(reports, "== {}\n{}\n\n", broken.title, report(&answer)).unwrap();
            do_all(admin, broken.repairs).await;
            self.assert_resolved(&answer).await;
        }
        reports
    }
}

/// Renames the table of properties, so that a view can replace it.
const AWAY: &str = "ALTER TABLE rds.properties RENAME TO properties_kept";
const BACK: &[&str] = &["DROP VIEW rds.properties", "ALTER TABLE rds.properties_kept RENAME TO properties"];
const SLOW: &str = "CREATE VIEW rds.properties AS SELECT p.* FROM rds.properties_kept AS p, pg_sleep(60)";
const GRANT: &str = "GRANT SELECT ON ALL TABLES IN SCHEMA rds, salesforce, sfdc_dbx TO syncwatch_reader";

/// Sets up a PostgreSQL with healthy data of the pipeline, and the function as a role that may read them.
async fn postgresql() -> (Setup, Postgres, Tables) {
    let server = Postgres::start().unwrap();
    let tables = filled(server.warehouse().unwrap()).await;
    let reader = [
        "CREATE ROLE syncwatch_reader LOGIN",
        "GRANT USAGE ON SCHEMA rds, salesforce, sfdc_dbx TO syncwatch_reader",
        GRANT,
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO syncwatch_reader",
    ];
    do_all(tables.warehouse(), &reader).await;
    let secret = server.secret("syncwatch_reader").unwrap();
    let setup = Setup::of("driver = \"odbc\"\ndialect = \"postgresql\"", &secret).await;
    assert_eq!(setup.assert_healthy().await, [""; 0]);
    (setup, server, tables)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_postgresql_failure_is_one_finding() {
    let (mut setup, _server, tables) = postgresql().await;
    setup.patience.statement = Duration::from_secs(1);
    let each = [
        Broken::by(
            "a view is missing",
            &["ALTER VIEW sfdc_dbx.properties_to_update RENAME TO gone"],
            &["ALTER VIEW sfdc_dbx.gone RENAME TO properties_to_update"],
        ),
        Broken::by(
            "a permission is missing",
            &["REVOKE SELECT ON salesforce.product_property FROM syncwatch_reader"],
            &[GRANT],
        ),
        Broken::by(
            "a column has another type",
            &[
                AWAY,
                "CREATE VIEW rds.properties AS SELECT property_id, company_name, created_at, \
                 CAST(updated_at AS TEXT) AS updated_at, deleted FROM rds.properties_kept",
            ],
            BACK,
        ),
        Broken::custom("no row in an answer", "SELECT 1 AS n FROM rds.properties WHERE property_id = 'none'"),
        Broken::custom("a text in the place of a number", "SELECT MAX(city) AS n FROM rds.properties"),
        Broken::by(
            "no row in a table",
            &[AWAY, "CREATE VIEW rds.properties AS SELECT * FROM rds.properties_kept WHERE FALSE"],
            BACK,
        ),
        Broken::by("the first table is slow", &[AWAY, SLOW], BACK),
        Broken::by(
            "the last table is slow",
            &[
                "ALTER VIEW sfdc_dbx.properties_to_update RENAME TO quick",
                "CREATE VIEW sfdc_dbx.properties_to_update AS SELECT q.* FROM sfdc_dbx.quick AS q, pg_sleep(60)",
            ],
            &[
                "DROP VIEW sfdc_dbx.properties_to_update",
                "ALTER VIEW sfdc_dbx.quick RENAME TO properties_to_update",
            ],
        ),
    ];
    insta::assert_snapshot!(setup.report_each(tables.warehouse(), &each).await, @r#"
    == a view is missing
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 4 statements failed, so their checks did not run (checks of crm.sfdc_dbx.properties_to_update: an object is missing (ERROR: relation "sfdc_dbx.properties_to_update" does not exist); create it, or correct its name)
    likely: A table, view or column was renamed or dropped
    not evaluated: update-queue: unreadable: checks of crm.sfdc_dbx.properties_to_update: an object is missing (ERROR: relation "sfdc_dbx.properties_to_update" does not exist); create it, or correct its name
    healthy: 13

    == a permission is missing
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 2 of 4 statements failed, so their checks did not run (checks of crm.rds.properties: not permitted (ERROR: permission denied for table product_property); grant the right to Syncwatch's account)
    also: checks of crm.salesforce.product_property: not permitted (ERROR: permission denied for table product_property); grant the right to Syncwatch's account
    likely: A permission is missing on the table or view, or on its schema or catalog
    not evaluated: properties-coverage: unreadable: checks of crm.rds.properties: not permitted (ERROR: permission denied for table product_property); grant the right to Syncwatch's account
    not evaluated: changes-arrive, creates-arrive: blocked by coverage of properties-coverage
    not evaluated: company-names: unreadable: checks of crm.salesforce.product_property: not permitted (ERROR: permission denied for table product_property); grant the right to Syncwatch's account
    not evaluated: company-name-quality, unique-property-ids: blocked by null-count of company-names
    healthy: 2

    == a column has another type
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 4 statements failed, so their checks did not run (checks of crm.rds.properties: types do not match (ERROR: operator does not exist: text < timestamp without time zone); correct the view, or the column that the check names)
    likely: The type of a column changed
    not evaluated: properties-coverage: unreadable: checks of crm.rds.properties: types do not match (ERROR: operator does not exist: text < timestamp without time zone); correct the view, or the column that the check names
    not evaluated: changes-arrive, creates-arrive: blocked by coverage of properties-coverage
    healthy: 8

    == no row in an answer
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 5 statements failed, so their checks did not run (check own: returned 0 rows, expected one row; correct the statement or the data that it reads)
    likely: A custom query does not return one number
    not evaluated: own: unreadable: check own: returned 0 rows, expected one row; correct the statement or the data that it reads
    healthy: 14

    == a text in the place of a number
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 5 statements failed, so their checks did not run (check own: returned text, expected a number; correct the statement or the data that it reads)
    likely: A custom query does not return one number
    not evaluated: own: unreadable: check own: returned text, expected a number; correct the statement or the data that it reads
    healthy: 14

    == no row in a table
    not evaluated: properties-coverage: waiting for a row with a key in crm.rds.properties
    not evaluated: changes-arrive, creates-arrive: waiting for the first change in crm.rds.properties
    healthy: 12

    == the first table is slow
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, unavailable (checks of crm.rds.properties: no answer within 1 s, waiting for the answer; check the load of the warehouse)
    likely: The warehouse is stopped, starting, overloaded or unreachable, or one statement is too slow
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: blocked by warehouse-reachable of warehouse
    healthy: 0

    == the last table is slow
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, unavailable (checks of crm.sfdc_dbx.properties_to_update: no answer within 1 s, waiting for the answer; check the load of the warehouse)
    likely: The warehouse is stopped, starting, overloaded or unreachable, or one statement is too slow
    not evaluated: update-queue: blocked by warehouse-reachable of warehouse
    healthy: 13
    "#);
}

/// Waits until a statement of the function is running.
async fn at_work(admin: &Warehouse) {
    let working = "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND usename = 'syncwatch_reader'";
    let working = Statement::new("a test", working);
    while admin.query(&working).await.unwrap().only_row().unwrap().get::<i64>("n").unwrap() == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_statement_and_dead_server_are_one_finding_each() {
    let (setup, mut server, tables) = postgresql().await;
    let admin = tables.warehouse();
    let mut reports = String::new();
    for (title, kill) in [("the statement is stopped", "cancel"), ("its session is killed", "terminate")] {
        do_all(admin, &[AWAY, SLOW]).await;
        let killing = async {
            at_work(admin).await;
            let sql = format!(
                "SELECT pg_{kill}_backend(pid) FROM pg_stat_activity WHERE usename = 'syncwatch_reader'"
            );
            admin.query(&Statement::new("a test", sql)).await.unwrap();
        };
        let (answer, ()) = tokio::join!(setup.round_with(""), killing);
        write!(reports, "== {title}\n{}\n\n", report(&answer)).unwrap();
        do_all(admin, BACK).await;
        setup.assert_resolved(&answer).await;
    }

    do_all(admin, &[AWAY, SLOW]).await;
    let dying = async {
        at_work(admin).await;
        server.crash().unwrap();
    };
    let (answer, ()) = tokio::join!(setup.round_with(""), dying);
    write!(reports, "== the server dies\n{}\n\n", report(&answer)).unwrap();
    // The incident continues without another notice.
    let still = setup.round_with("").await;
    write!(reports, "== and stays down\n{}\n\n", report(&still)).unwrap();
    server.restart().unwrap();
    do_all(admin, BACK).await;
    setup.assert_resolved(&answer).await;

    setup.use_secret(&server.secret("no_such_role").unwrap()).await;
    let answer = setup.round_with("").await;
    write!(reports, "== the role is gone\n{}\n\n", report(&answer)).unwrap();
    setup.use_secret("not yet").await;
    write!(reports, "== the secret is not JSON\n{}\n\n", report(&setup.round_with("").await)).unwrap();
    insta::assert_snapshot!(reports, @r#"
    == the statement is stopped
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, unavailable (checks of crm.rds.properties: cancelled from outside; if this persists, ask the warehouse administrator)
    likely: The warehouse is stopped, starting, overloaded or unreachable, or one statement is too slow
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: blocked by warehouse-reachable of warehouse
    healthy: 0

    == its session is killed
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, unavailable (checks of crm.rds.properties: the warehouse cannot be reached (FATAL: terminating connection due to administrator command; The connection has been lost); check its address and the network)
    likely: The warehouse is stopped, starting, overloaded or unreachable, or one statement is too slow
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: blocked by warehouse-reachable of warehouse
    healthy: 0

    == the server dies
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, unavailable (checks of crm.rds.properties: the warehouse cannot be reached (server closed the connection unexpectedly This probably means the server terminated abnormally before or while processing the request. ; The connection has been lost); check its address and the network)
    likely: The warehouse is stopped, starting, overloaded or unreachable, or one statement is too slow
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: blocked by warehouse-reachable of warehouse
    healthy: 0

    == and stays down
    warehouse-reachable warehouse: error, unavailable (checks of crm.rds.properties: the warehouse cannot be reached (connection to server at "[hidden]", port [port] failed: Connection refused Is the server running on that host and accepting TCP/IP connections?); check its address and the network)
    likely: The warehouse is stopped, starting, overloaded or unreachable, or one statement is too slow
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: blocked by warehouse-reachable of warehouse
    healthy: 0

    == the role is gone
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, unavailable (checks of crm.rds.properties: the warehouse does not accept the credentials; renew the warehouse secret)
    likely: The credentials expired, were revoked or replaced, or belong to another workspace
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: blocked by warehouse-reachable of warehouse
    healthy: 0

    == the secret is not JSON
    warehouse-reachable warehouse: error, not queried (secret syncwatch/warehouse: not a JSON object of strings. Store a JSON object of strings: {"driver": "...", "host": "...", "port": "5432", "database": "...", "user": "...", "password": "..."}, or {"connection_string": "Driver=...;..."})
    likely: The secret of the warehouse, or [warehouse] of pipeline.toml, is invalid
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: blocked by warehouse-reachable of warehouse
    healthy: 0
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sqlite_failure_is_one_finding() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("warehouse.sqlite");
    let tables = filled(engines::sqlite(&file).unwrap()).await;
    let sqlite = "driver = \"odbc\"\ndialect = \"sqlite\"";
    let setup = Setup::of(sqlite, &engines::sqlite_secret(&file, None).unwrap()).await;
    assert_eq!(setup.assert_healthy().await, [""; 0]);
    let properties = object_name(Dialect::Sqlite, "crm.rds.properties").unwrap();
    let own = |select: &str| format!("{select} FROM {properties}").replace('"', "\\\"");
    let (no_row, text) = (own("SELECT 1 AS n"), own("SELECT MAX(city) AS n"));
    let no_row = format!("{no_row} WHERE property_id = 'none'");
    let spoilt = format!(
        "UPDATE {properties} SET updated_at = 'yesterday' WHERE property_id = (SELECT MAX(property_id) FROM {properties})"
    );
    let repaired = format!("UPDATE {properties} SET updated_at = created_at WHERE updated_at = 'yesterday'");
    let (breaks, repairs) = ([spoilt.as_str()], [repaired.as_str()]);
    let each = [
        Broken::custom("no row in an answer", &no_row),
        Broken::custom("a text in the place of a number", &text),
        Broken::by("a text in a column of instants", &breaks, &repairs),
    ];
    let mut reports = setup.report_each(tables.warehouse(), &each).await;
    setup.use_secret(&engines::sqlite_secret(&file, Some("lib/no-such-driver.so")).unwrap()).await;
    write!(reports, "== the driver is missing\n{}", report(&setup.round_with("").await)).unwrap();
    insta::assert_snapshot!(reports, @r#"
    == no row in an answer
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 5 statements failed, so their checks did not run (check own: returned 0 rows, expected one row; correct the statement or the data that it reads)
    likely: A custom query does not return one number
    not evaluated: own: unreadable: check own: returned 0 rows, expected one row; correct the statement or the data that it reads
    healthy: 14

    == a text in the place of a number
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 5 statements failed, so their checks did not run (check own: returned text, expected a number; correct the statement or the data that it reads)
    likely: A custom query does not return one number
    not evaluated: own: unreadable: check own: returned text, expected a number; correct the statement or the data that it reads
    healthy: 14

    == a text in a column of instants
    opened properties/freshness/changes-arrive
    freshness changes-arrive: warning, oldest undelivered change is 14m old (limit 2h), from crm.rds.properties to crm.salesforce.product_property; timestamps in the future ignored
    likely: Timestamps are in the future: a clock is ahead, local time was stored as UTC, or a date was mistyped. Correct these records; until then, their arrival is not checked
    healthy: 14

    == the driver is missing
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, unavailable (checks of crm.rds.properties: the ODBC driver is missing (lib/no-such-driver.so cannot be loaded); install it, or correct its path)
    likely: The function was built or deployed without the ODBC driver that pipeline.toml names
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: blocked by warehouse-reachable of warehouse
    healthy: 0
    "#);
}

/// Sets up a simulated Databricks with healthy data of the pipeline, and the function as its service principal.
async fn databricks() -> (Setup, DatabricksServer, TempDir) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("warehouse.sqlite");
    filled(engines::sqlite(&file).unwrap()).await;
    let server = DatabricksServer::start(engines::sqlite(&file).unwrap()).await.unwrap();
    let warehouse = DATABRICKS.replacen("0123456789abcdef", WAREHOUSE_ID, 1);
    let secret = json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET }).to_string();
    let mut setup = Setup::of(&warehouse, &secret).await;
    setup.databricks = Some(server.url().to_owned());
    assert_eq!(setup.assert_healthy().await, [""; 0]);
    setup.patience = Patience { statement: Duration::from_secs(1), round: Duration::from_secs(3) };
    (setup, server, folder)
}

/// Longest start of a classic warehouse.
const MINUTES: DatabricksFault = DatabricksFault::Stopped { start_s: 480 };

#[tokio::test(flavor = "multi_thread")]
async fn stopped_warehouse_started_ahead_is_found_running() {
    let (setup, server, _folder) = databricks().await;
    let at = |time: &str| format!("2026-11-24T{time}:00-08:00[America/Los_Angeles]");
    let at = |time: &str| at(time).parse::<jiff::Zoned>().unwrap().timestamp();
    let task = |task: &str| json!({ "task": task });
    server.inflict(MINUTES);
    let warmed = setup.event("", task("warm-up"), at("02:50")).await;
    assert_eq!(warmed["warehouse"], "starting", "{warmed}");
    server.pass(Duration::from_mins(10));
    assert_eq!(setup.assert_healthy().await, [""; 0]);

    let asked = server.statements().len();
    let again = setup.event("", task("validate-again"), at("03:40")).await;
    assert!(again["done"].is_string(), "{again}");
    assert_eq!(server.statements().len(), asked, "no statement was sent");
    // The next night, the round of this night does not count.
    let tomorrow = at("03:40") + jiff::SignedDuration::from_hours(24);
    let again = setup.event("", task("validate-again"), tomorrow).await;
    assert!(again["counts"]["healthy"].as_u64() > Some(10), "{again}");

    server.set_serverless(true);
    server.inflict(MINUTES);
    let asked = server.statements().len();
    let warmed = setup.event("", task("warm-up"), at("02:50")).await;
    assert_eq!((&warmed["warehouse"], server.statements().len()), (&json!("serverless"), asked));
}

#[tokio::test(flavor = "multi_thread")]
async fn late_warehouse_is_queried_again_the_same_night() {
    let (setup, server, _folder) = databricks().await;
    server.inflict(MINUTES);
    let late = setup.round_with("").await;
    assert_eq!(notices(&late), ["opened properties/warehouse-reachable/warehouse"]);
    assert!(report(&late).contains("waiting for the warehouse to start"), "{late}");
    server.pass(Duration::from_mins(40));
    let again = setup.event("", json!({ "task": "validate-again" }), three() + Duration::from_mins(40)).await;
    assert_eq!(notices(&again), ["resolved properties/warehouse-reachable/warehouse"]);
    assert_eq!(again["counts"]["healthy"], 15, "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_warm_up_is_left_for_the_round_to_find() {
    let (setup, server, _folder) = databricks().await;
    for fault in [DatabricksFault::Expired, DatabricksFault::IpBlocked, DatabricksFault::NoGrant] {
        server.inflict(fault.clone());
        let warmed = setup.event("", json!({ "task": "warm-up" }), three()).await;
        assert_eq!(warmed["warehouse"], "not asked", "{fault:?}: {warmed}");
        server.heal();
    }
}

/// Lists the faults of Databricks, each with a title.
fn databricks_faults() -> Vec<(&'static str, DatabricksFault)> {
    let fails = |sql_state: &str, message: &str| DatabricksFault::Fails {
        error_code: "BAD_REQUEST".to_owned(),
        message: message.to_owned(),
        sql_state: sql_state.to_owned(),
    };
    vec![
        (
            "a permission is missing",
            fails(
                "42501",
                "[INSUFFICIENT_PERMISSIONS] Insufficient privileges: Table 'crm.rds.properties' does not have sufficient privileges",
            ),
        ),
        (
            "a view is missing",
            fails(
                "42P01",
                "[TABLE_OR_VIEW_NOT_FOUND] The table or view `crm`.`rds`.`properties` cannot be found. == SQL == SELECT 'value'",
            ),
        ),
        (
            "a column has another type",
            fails(
                "42K09",
                "[DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES] Cannot resolve \"(updated_at > last_modified_date)\" due to data type mismatch",
            ),
        ),
        ("statements hang", DatabricksFault::Hangs),
        ("the token is refused", DatabricksFault::Unauthorized),
        ("the token has expired", DatabricksFault::Expired),
        ("an IP access list blocks us", DatabricksFault::IpBlocked),
        ("the warehouse may not be used", DatabricksFault::NoGrant),
        ("it does not start", DatabricksFault::Starting { looks: 1_000 }),
        ("it answers 503 once", DatabricksFault::Unavailable { times: 1, retry_after: 0 }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_databricks_failure_is_one_finding() {
    let (setup, server, _folder) = databricks().await;
    let mut reports = String::new();
    for (title, fault) in databricks_faults() {
        server.inflict(fault);
        let answer = setup.round_with("").await;
        write!(reports, "== {title}\n{}\n\n", report(&answer)).unwrap();
        server.heal();
        setup.assert_resolved(&answer).await;
    }
    assert!(!server.cancelled().is_empty(), "the hanging statement was not cancelled");
    insta::assert_snapshot!(reports, @r#"
    == a permission is missing
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 4 statements failed, so their checks did not run (checks of crm.rds.properties: not permitted ([INSUFFICIENT_PERMISSIONS] Insufficient privileges: Table 'crm.rds.properties' does not have sufficient privileges); grant the right to Syncwatch's account)
    likely: A permission is missing on the table or view, or on its schema or catalog
    not evaluated: properties-coverage: unreadable: checks of crm.rds.properties: not permitted ([INSUFFICIENT_PERMISSIONS] Insufficient privileges: Table 'crm.rds.properties' does not have sufficient privileges); grant the right to Syncwatch's account
    not evaluated: changes-arrive, creates-arrive: blocked by coverage of properties-coverage
    healthy: 8

    == a view is missing
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 4 statements failed, so their checks did not run (checks of crm.rds.properties: an object is missing ([TABLE_OR_VIEW_NOT_FOUND] The table or view `crm`.`rds`.`properties` cannot be found); create it, or correct its name)
    likely: A table, view or column was renamed or dropped
    not evaluated: properties-coverage: unreadable: checks of crm.rds.properties: an object is missing ([TABLE_OR_VIEW_NOT_FOUND] The table or view `crm`.`rds`.`properties` cannot be found); create it, or correct its name
    not evaluated: changes-arrive, creates-arrive: blocked by coverage of properties-coverage
    healthy: 8

    == a column has another type
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 4 statements failed, so their checks did not run (checks of crm.rds.properties: types do not match ([DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES] Cannot resolve "[hidden]" due to data type mismatch); correct the view, or the column that the check names)
    likely: The type of a column changed
    not evaluated: properties-coverage: unreadable: checks of crm.rds.properties: types do not match ([DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES] Cannot resolve "[hidden]" due to data type mismatch); correct the view, or the column that the check names
    not evaluated: changes-arrive, creates-arrive: blocked by coverage of properties-coverage
    healthy: 8

    == statements hang
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, unavailable (checks of crm.rds.properties: no answer within 1 s, waiting for the answer; check the load of the warehouse)
    likely: The warehouse is stopped, starting, overloaded or unreachable, or one statement is too slow
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: blocked by warehouse-reachable of warehouse
    healthy: 0

    == the token is refused
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, unavailable (checks of crm.rds.properties: the warehouse does not accept the credentials; renew the warehouse secret)
    likely: The credentials expired, were revoked or replaced, or belong to another workspace
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: blocked by warehouse-reachable of warehouse
    healthy: 0

    == the token has expired
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, unavailable (checks of crm.rds.properties: the warehouse does not accept the credentials; renew the warehouse secret)
    likely: The credentials expired, were revoked or replaced, or belong to another workspace
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: blocked by warehouse-reachable of warehouse
    healthy: 0

    == an IP access list blocks us
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, unavailable (checks of crm.rds.properties: the warehouse refuses the network of Syncwatch (Source IP address: 203.0.113.7 is blocked by Databricks IP ACL for workspace: [hidden]); allow the IP address of its functions)
    likely: An IP access list or network policy of the workspace blocks the address of the functions: the list or the address changed
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: blocked by warehouse-reachable of warehouse
    healthy: 0

    == the warehouse may not be used
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, unavailable (checks of crm.rds.properties: the account of Syncwatch may not use the warehouse (You do not have permission to use the SQL Warehouse); grant the account CAN USE)
    likely: The account lost access to the SQL warehouse or the workspace, or warehouse_id of pipeline.toml is wrong
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: blocked by warehouse-reachable of warehouse
    healthy: 0

    == it does not start
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, unavailable (checks of crm.rds.properties: no answer within 2 s, waiting for the warehouse to start; check the load of the warehouse)
    likely: The warehouse is stopped, starting, overloaded or unreachable, or one statement is too slow
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: blocked by warehouse-reachable of warehouse
    healthy: 0

    == it answers 503 once
    healthy: 15
    "#);
}
