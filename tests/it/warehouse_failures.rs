//! What goes wrong at a warehouse, as people are told of it by daily-validation: one clear finding for each failure, nothing
//! invented beside it, and all well again once it is mended.

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
/// A check whose own statement answers what a test wants.
const OWN: &str =
    "\n[[checks]]\nname = \"own\"\nkind = \"custom-sql\"\ntable = \"crm.rds.properties\"\nmax = 0\nsql = ";

/// 03:00 in Los Angeles.
fn three() -> Timestamp {
    "2026-11-24T11:00:00Z".parse().unwrap()
}

/// AWS with what the function uses, and the pipeline of the repository on another warehouse.
struct House {
    aws: Ministack,
    deployment: Deployment,
    pipeline: String,
    patience: Patience,
    databricks: Option<String>,
}

impl House {
    async fn of(warehouse: &str, secret: &str) -> Self {
        let aws = Ministack::start().await.unwrap();
        let mut table = FunctionsTable::read(&FunctionsTable::default_path()).unwrap();
        // The function runs in this process, so that time and patience are arguments.
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

    /// A whole round, by a function that has just started, with these checks beside those of the seed.
    async fn round_with(&self, checks: &str) -> Value {
        self.event(checks, json!({ "task": "validate" }), three()).await
    }

    /// What a function that has just started answers an event at a moment.
    async fn event(&self, checks: &str, event: Value, at: Timestamp) -> Value {
        let pipeline = Pipeline::parse(&format!("{}{checks}", self.pipeline)).unwrap();
        let databricks = self.databricks.as_deref().map(|url| (env::DATABRICKS_URL.name, url));
        let changed: Vec<(&str, &str)> = databricks.into_iter().collect();
        let site = self.deployment.site("daily-validation", pipeline, self.aws.endpoint(), &changed);
        let app = App::new(site.unwrap());
        app.with_patience(self.patience).run(event, at).await.unwrap()
    }

    /// That nothing is wrong; tells what people hear of it.
    async fn is_well(&self) -> Vec<String> {
        let answer = self.round_with("").await;
        // The warehouse, eight checks, and the filters of six.
        let all = json!({ "healthy": 15, "unhealthy": 0, "not_evaluated": 0 });
        assert_eq!(answer["counts"], all, "{answer:#}");
        notices(&answer)
    }

    /// That nothing is wrong, and that people hear the end of what they were told, and nothing else.
    async fn is_well_after(&self, answer: &Value) {
        let ended =
            notices(answer).iter().map(|notice| notice.replacen("opened", "resolved", 1)).collect::<Vec<_>>();
        assert_eq!(self.is_well().await, ended);
        // What begins anew within so short a time is flapping, and that is tested elsewhere.
        self.deployment.clear(&ResourceId::table("incidents")).await.unwrap();
    }
}

fn notices(answer: &Value) -> Vec<String> {
    let text = |notice: &Value, key: &str| notice[key].as_str().unwrap().to_owned();
    let notices = answer["notices"].as_array().unwrap().iter();
    notices.map(|notice| format!("{} {}", text(notice, "kind"), text(notice, "incident"))).collect()
}

/// What people are told, the findings behind it, and what could not be judged for what reason.
fn told(answer: &Value) -> String {
    let mut told = String::new();
    for notice in notices(answer) {
        writeln!(told, "{notice}").unwrap();
    }
    let findings = |outcome: &str| serde_json::from_value::<Vec<Finding>>(answer[outcome].clone()).unwrap();
    for finding in findings("unhealthy") {
        let Outcome::Unhealthy { evidence, cause, .. } = &finding.outcome else { panic!("{finding}") };
        writeln!(told, "{finding}").unwrap();
        for also in evidence.figures.iter().filter(|figure| figure.name == "failed") {
            writeln!(told, "also: {}", also.text()).unwrap();
        }
        writeln!(told, "likely: {cause}").unwrap();
    }
    let mut unjudged: Vec<(String, Vec<String>)> = Vec::new();
    for finding in findings("not_evaluated") {
        let Outcome::NotEvaluated { why } = &finding.outcome else { panic!("{finding}") };
        // What its check says is true of its filters too.
        if finding.check == Check::FilterKeepsRows {
            continue;
        }
        match unjudged.iter_mut().find(|(reason, _)| *reason == why.to_string()) {
            Some((_, subjects)) => subjects.push(finding.subject),
            None => unjudged.push((why.to_string(), vec![finding.subject])),
        }
    }
    for (why, subjects) in unjudged {
        writeln!(told, "not evaluated: {}: {why}", subjects.join(", ")).unwrap();
    }
    write!(told, "healthy: {}", answer["counts"]["healthy"]).unwrap();
    let all = answer.to_string();
    for secret in ["s3cret", CLIENT_SECRET] {
        assert!(!all.contains(secret), "{secret} is shown: {all}");
    }
    without_ports(&told)
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
    // So that something was modified within the day.
    world.advance_to(three());
    Tables::create(warehouse, &mut world).await.unwrap()
}

/// Something that is broken in a database, and how it is mended.
struct Broken<'t> {
    what: &'t str,
    breaks: &'t [&'t str],
    mends: &'t [&'t str],
    /// A statement of one's own beside the checks of the seed.
    own: Option<&'t str>,
}

impl<'t> Broken<'t> {
    fn by(what: &'t str, breaks: &'t [&'t str], mends: &'t [&'t str]) -> Self {
        Self { what, breaks, mends, own: None }
    }

    fn own(what: &'t str, sql: &'t str) -> Self {
        Self { what, breaks: &[], mends: &[], own: Some(sql) }
    }
}

impl House {
    /// Breaks one after the other, and tells what was said of each. In between all must be well, and what was told ended.
    async fn tell_each(&self, admin: &Warehouse, each: &[Broken<'_>]) -> String {
        let mut said = String::new();
        for broken in each {
            do_all(admin, broken.breaks).await;
            let own = broken.own.map(|sql| format!("{OWN}\"{sql}\"\n"));
            let answer = self.round_with(own.as_deref().unwrap_or_default()).await;
            write!(said, "== {}\n{}\n\n", broken.what, told(&answer)).unwrap();
            do_all(admin, broken.mends).await;
            self.is_well_after(&answer).await;
        }
        said
    }
}

/// Properties become a view of what they were, and a table again.
const AWAY: &str = "ALTER TABLE rds.properties RENAME TO properties_kept";
const BACK: &[&str] = &["DROP VIEW rds.properties", "ALTER TABLE rds.properties_kept RENAME TO properties"];
const SLOW: &str = "CREATE VIEW rds.properties AS SELECT p.* FROM rds.properties_kept AS p, pg_sleep(60)";
const GRANT: &str = "GRANT SELECT ON ALL TABLES IN SCHEMA rds, salesforce, sfdc_dbx TO syncwatch_reader";

/// A PostgreSQL with the pipeline's data, all of them well, and the function as a role that may read them.
async fn postgresql() -> (House, Postgres, Tables) {
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
    let house = House::of("driver = \"odbc\"\ndialect = \"postgresql\"", &secret).await;
    assert_eq!(house.is_well().await, [""; 0]);
    (house, server, tables)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_of_postgresql_is_one_clear_finding_and_nothing_is_invented() {
    let (mut house, _server, tables) = postgresql().await;
    house.patience.statement = Duration::from_secs(1);
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
        Broken::own("no row in an answer", "SELECT 1 AS n FROM rds.properties WHERE property_id = 'nobody'"),
        Broken::own("a text in the place of a number", "SELECT MAX(city) AS n FROM rds.properties"),
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
    insta::assert_snapshot!(house.tell_each(tables.warehouse(), &each).await, @r#"
    == a view is missing
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 4 statements failed, so their checks are blind: checks of crm.sfdc_dbx.properties_to_update: something is missing (ERROR: relation "sfdc_dbx.properties_to_update" does not exist); make it, or correct its name
    likely: A table, view or column was renamed or dropped
    not evaluated: update-queue: unreadable: checks of crm.sfdc_dbx.properties_to_update: something is missing (ERROR: relation "sfdc_dbx.properties_to_update" does not exist); make it, or correct its name
    healthy: 13

    == a permission is missing
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 2 of 4 statements failed, so their checks are blind: checks of crm.rds.properties: not permitted (ERROR: permission denied for table product_property); grant it to the account of Syncwatch
    also: checks of crm.salesforce.product_property: not permitted (ERROR: permission denied for table product_property); grant it to the account of Syncwatch
    likely: A right is missing: on the table or view, or on the schema or catalog that it is in
    not evaluated: properties-coverage: unreadable: checks of crm.rds.properties: not permitted (ERROR: permission denied for table product_property); grant it to the account of Syncwatch
    not evaluated: changes-arrive, creates-arrive: held under coverage of properties-coverage
    not evaluated: company-names: unreadable: checks of crm.salesforce.product_property: not permitted (ERROR: permission denied for table product_property); grant it to the account of Syncwatch
    not evaluated: company-name-quality, unique-property-ids: held under null-count of company-names
    healthy: 2

    == a column has another type
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 4 statements failed, so their checks are blind: checks of crm.rds.properties: types do not fit (ERROR: operator does not exist: text < timestamp without time zone); correct the view, or the column that the check names
    likely: The type of a column changed
    not evaluated: properties-coverage: unreadable: checks of crm.rds.properties: types do not fit (ERROR: operator does not exist: text < timestamp without time zone); correct the view, or the column that the check names
    not evaluated: changes-arrive, creates-arrive: held under coverage of properties-coverage
    healthy: 8

    == no row in an answer
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 5 statements failed, so their checks are blind: check own: answers 0 rows where there must be one row; correct the statement or what it reads
    likely: A check's own statement does not answer one number
    not evaluated: own: unreadable: check own: answers 0 rows where there must be one row; correct the statement or what it reads
    healthy: 14

    == a text in the place of a number
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 5 statements failed, so their checks are blind: check own: answers text where there must be a number; correct the statement or what it reads
    likely: A check's own statement does not answer one number
    not evaluated: own: unreadable: check own: answers text where there must be a number; correct the statement or what it reads
    healthy: 14

    == no row in a table
    not evaluated: properties-coverage: nothing to judge yet: a row with a key in crm.rds.properties
    not evaluated: changes-arrive, creates-arrive: nothing to judge yet: the first change in crm.rds.properties
    healthy: 12

    == the first table is slow
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, checks of crm.rds.properties: no answer within 1 s, waiting for the answer; look at the load of the warehouse
    likely: The warehouse is stopped, starting, overloaded or cut off; or one statement is too slow for it
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: held under warehouse-reachable of warehouse
    healthy: 0

    == the last table is slow
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, checks of crm.sfdc_dbx.properties_to_update: no answer within 1 s, waiting for the answer; look at the load of the warehouse
    likely: The warehouse is stopped, starting, overloaded or cut off; or one statement is too slow for it
    not evaluated: update-queue: held under warehouse-reachable of warehouse
    healthy: 13
    "#);
}

/// Waits until a statement of the function is in the midst of it.
async fn at_work(admin: &Warehouse) {
    let working = "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND usename = 'syncwatch_reader'";
    let working = Statement::new("a test", working);
    while admin.query(&working).await.unwrap().only_row().unwrap().get::<i64>("n").unwrap() == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_killed_and_a_server_that_dies_under_it_are_one_finding_each() {
    let (house, mut server, tables) = postgresql().await;
    let admin = tables.warehouse();
    let mut said = String::new();
    for (what, kill) in [("the statement is stopped", "cancel"), ("its session is killed", "terminate")] {
        do_all(admin, &[AWAY, SLOW]).await;
        let killing = async {
            at_work(admin).await;
            let sql = format!(
                "SELECT pg_{kill}_backend(pid) FROM pg_stat_activity WHERE usename = 'syncwatch_reader'"
            );
            admin.query(&Statement::new("a test", sql)).await.unwrap();
        };
        let (answer, ()) = tokio::join!(house.round_with(""), killing);
        write!(said, "== {what}\n{}\n\n", told(&answer)).unwrap();
        do_all(admin, BACK).await;
        house.is_well_after(&answer).await;
    }

    do_all(admin, &[AWAY, SLOW]).await;
    let dying = async {
        at_work(admin).await;
        server.crash().unwrap();
    };
    let (answer, ()) = tokio::join!(house.round_with(""), dying);
    write!(said, "== the server dies\n{}\n\n", told(&answer)).unwrap();
    // The same incident: nobody is told again of what goes on.
    let still = house.round_with("").await;
    write!(said, "== and stays away\n{}\n\n", told(&still)).unwrap();
    server.restart().unwrap();
    do_all(admin, BACK).await;
    house.is_well_after(&answer).await;

    house.use_secret(&server.secret("nobody").unwrap()).await;
    let answer = house.round_with("").await;
    write!(said, "== the role is gone\n{}\n\n", told(&answer)).unwrap();
    house.use_secret("not yet").await;
    write!(said, "== the secret is no secret\n{}\n\n", told(&house.round_with("").await)).unwrap();
    insta::assert_snapshot!(said, @r#"
    == the statement is stopped
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, checks of crm.rds.properties: stopped from outside; ask who administers the warehouse if this goes on
    likely: The warehouse is stopped, starting, overloaded or cut off; or one statement is too slow for it
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: held under warehouse-reachable of warehouse
    healthy: 0

    == its session is killed
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, checks of crm.rds.properties: the warehouse cannot be reached (FATAL: terminating connection due to administrator command; The connection has been lost); check its address and the way to it
    likely: The warehouse is stopped, starting, overloaded or cut off; or one statement is too slow for it
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: held under warehouse-reachable of warehouse
    healthy: 0

    == the server dies
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, checks of crm.rds.properties: the warehouse cannot be reached (server closed the connection unexpectedly This probably means the server terminated abnormally before or while processing the request. ; The connection has been lost); check its address and the way to it
    likely: The warehouse is stopped, starting, overloaded or cut off; or one statement is too slow for it
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: held under warehouse-reachable of warehouse
    healthy: 0

    == and stays away
    warehouse-reachable warehouse: error, checks of crm.rds.properties: the warehouse cannot be reached (connection to server at "[hidden]", port [port] failed: Connection refused Is the server running on that host and accepting TCP/IP connections?); check its address and the way to it
    likely: The warehouse is stopped, starting, overloaded or cut off; or one statement is too slow for it
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: held under warehouse-reachable of warehouse
    healthy: 0

    == the role is gone
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, checks of crm.rds.properties: the warehouse does not accept the credentials; renew the secret of the warehouse
    likely: The credentials expired, were revoked or replaced, or are those of another workspace
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: held under warehouse-reachable of warehouse
    healthy: 0

    == the secret is no secret
    warehouse-reachable warehouse: error, the warehouse cannot be asked: secret syncwatch/warehouse: it is not a JSON object of texts. Put a JSON object of texts: {"driver": "...", "host": "...", "port": "5432", "database": "...", "user": "...", "password": "..."}, or {"connection_string": "Driver=...;..."}
    likely: The secret of the warehouse, or [warehouse] of pipeline.toml, cannot be used
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: held under warehouse-reachable of warehouse
    healthy: 0
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_of_sqlite_is_one_clear_finding_and_nothing_is_invented() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("warehouse.sqlite");
    let tables = filled(engines::sqlite(&file).unwrap()).await;
    let sqlite = "driver = \"odbc\"\ndialect = \"sqlite\"";
    let house = House::of(sqlite, &engines::sqlite_secret(&file, None).unwrap()).await;
    assert_eq!(house.is_well().await, [""; 0]);
    let properties = object_name(Dialect::Sqlite, "crm.rds.properties").unwrap();
    let own = |select: &str| format!("{select} FROM {properties}").replace('"', "\\\"");
    let (no_row, text) = (own("SELECT 1 AS n"), own("SELECT MAX(city) AS n"));
    let no_row = format!("{no_row} WHERE property_id = 'nobody'");
    let spoilt = format!(
        "UPDATE {properties} SET updated_at = 'yesterday' WHERE property_id = (SELECT MAX(property_id) FROM {properties})"
    );
    let mended = format!("UPDATE {properties} SET updated_at = created_at WHERE updated_at = 'yesterday'");
    let (spoils, mends) = ([spoilt.as_str()], [mended.as_str()]);
    let each = [
        Broken::own("no row in an answer", &no_row),
        Broken::own("a text in the place of a number", &text),
        Broken::by("a text in a column of instants", &spoils, &mends),
    ];
    let mut said = house.tell_each(tables.warehouse(), &each).await;
    house.use_secret(&engines::sqlite_secret(&file, Some("lib/no-such-driver.so")).unwrap()).await;
    write!(said, "== the driver is missing\n{}", told(&house.round_with("").await)).unwrap();
    insta::assert_snapshot!(said, @r#"
    == no row in an answer
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 5 statements failed, so their checks are blind: check own: answers 0 rows where there must be one row; correct the statement or what it reads
    likely: A check's own statement does not answer one number
    not evaluated: own: unreadable: check own: answers 0 rows where there must be one row; correct the statement or what it reads
    healthy: 14

    == a text in the place of a number
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 5 statements failed, so their checks are blind: check own: answers text where there must be a number; correct the statement or what it reads
    likely: A check's own statement does not answer one number
    not evaluated: own: unreadable: check own: answers text where there must be a number; correct the statement or what it reads
    healthy: 14

    == a text in a column of instants
    opened properties/freshness/changes-arrive
    freshness changes-arrive: warning, a change in crm.rds.properties waits for 14m to arrive in crm.salesforce.product_property, leaving out timestamps in the future
    likely: Timestamps lie in the future: a clock is ahead, local time was stored as UTC, or a date was typed wrongly. Correct these records; whether they arrived is not judged meanwhile
    healthy: 14

    == the driver is missing
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, checks of crm.rds.properties: the ODBC driver is missing (lib/no-such-driver.so cannot be loaded); install it, or correct its path
    likely: The function was built or deployed without the ODBC driver that pipeline.toml asks for
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: held under warehouse-reachable of warehouse
    healthy: 0
    "#);
}

/// A simulated Databricks with the pipeline's data, all of them well, and the function as its service principal.
async fn databricks() -> (House, DatabricksServer, TempDir) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("warehouse.sqlite");
    filled(engines::sqlite(&file).unwrap()).await;
    let server = DatabricksServer::start(engines::sqlite(&file).unwrap()).await.unwrap();
    let warehouse = DATABRICKS.replacen("0123456789abcdef", WAREHOUSE_ID, 1);
    let secret = json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET }).to_string();
    let mut house = House::of(&warehouse, &secret).await;
    house.databricks = Some(server.url().to_owned());
    assert_eq!(house.is_well().await, [""; 0]);
    house.patience = Patience { statement: Duration::from_secs(1), round: Duration::from_secs(3) };
    (house, server, folder)
}

/// How long a classic warehouse takes to start, at most.
const MINUTES: DatabricksFault = DatabricksFault::Stopped { start_s: 480 };

#[tokio::test(flavor = "multi_thread")]
async fn stopped_warehouse_started_ahead_is_found_running() {
    let (house, server, _folder) = databricks().await;
    let at = |time: &str| format!("2026-11-24T{time}:00-08:00[America/Los_Angeles]");
    let at = |time: &str| at(time).parse::<jiff::Zoned>().unwrap().timestamp();
    let task = |task: &str| json!({ "task": task });
    server.inflict(MINUTES);
    let warmed = house.event("", task("warm-up"), at("02:50")).await;
    assert_eq!(warmed["warehouse"], "starting", "{warmed}");
    server.pass(Duration::from_mins(10));
    assert_eq!(house.is_well().await, [""; 0]);

    let asked = server.statements().len();
    let again = house.event("", task("validate-again"), at("03:40")).await;
    assert!(again["done"].is_string(), "{again}");
    assert_eq!(server.statements().len(), asked, "the warehouse was asked for nothing");
    // That it is of this night, and not of the one before.
    let tomorrow = at("03:40") + jiff::SignedDuration::from_hours(24);
    let again = house.event("", task("validate-again"), tomorrow).await;
    assert!(again["counts"]["healthy"].as_u64() > Some(10), "{again}");

    server.set_serverless(true);
    server.inflict(MINUTES);
    let asked = server.statements().len();
    let warmed = house.event("", task("warm-up"), at("02:50")).await;
    assert_eq!((&warmed["warehouse"], server.statements().len()), (&json!("serverless"), asked));
}

#[tokio::test(flavor = "multi_thread")]
async fn warehouse_that_starts_too_late_is_asked_again_the_same_night() {
    let (house, server, _folder) = databricks().await;
    server.inflict(MINUTES);
    let late = house.round_with("").await;
    assert_eq!(notices(&late), ["opened properties/warehouse-reachable/warehouse"]);
    assert!(told(&late).contains("waiting for the warehouse to start"), "{late}");
    server.pass(Duration::from_mins(40));
    let again = house.event("", json!({ "task": "validate-again" }), three() + Duration::from_mins(40)).await;
    assert_eq!(notices(&again), ["resolved properties/warehouse-reachable/warehouse"]);
    assert_eq!(again["counts"]["healthy"], 15, "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn warm_up_that_is_refused_is_left_for_the_round_to_find() {
    let (house, server, _folder) = databricks().await;
    for fault in [DatabricksFault::Expired, DatabricksFault::IpBlocked, DatabricksFault::NoGrant] {
        server.inflict(fault.clone());
        let warmed = house.event("", json!({ "task": "warm-up" }), three()).await;
        assert_eq!(warmed["warehouse"], "not asked", "{fault:?}: {warmed}");
        server.heal();
    }
}

/// What may happen to Databricks, each by its name here.
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
        ("an IP access list leaves us out", DatabricksFault::IpBlocked),
        ("the warehouse may not be used", DatabricksFault::NoGrant),
        ("it does not wake up", DatabricksFault::Starting { looks: 1_000 }),
        ("it says 503 once", DatabricksFault::Unavailable { times: 1, retry_after: 0 }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_of_databricks_is_one_clear_finding_and_nothing_is_invented() {
    let (house, server, _folder) = databricks().await;
    let mut said = String::new();
    for (what, fault) in databricks_faults() {
        server.inflict(fault);
        let answer = house.round_with("").await;
        write!(said, "== {what}\n{}\n\n", told(&answer)).unwrap();
        server.heal();
        house.is_well_after(&answer).await;
    }
    assert!(!server.cancelled().is_empty(), "what hung was left hanging");
    insta::assert_snapshot!(said, @r#"
    == a permission is missing
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 4 statements failed, so their checks are blind: checks of crm.rds.properties: not permitted ([INSUFFICIENT_PERMISSIONS] Insufficient privileges: Table 'crm.rds.properties' does not have sufficient privileges); grant it to the account of Syncwatch
    likely: A right is missing: on the table or view, or on the schema or catalog that it is in
    not evaluated: properties-coverage: unreadable: checks of crm.rds.properties: not permitted ([INSUFFICIENT_PERMISSIONS] Insufficient privileges: Table 'crm.rds.properties' does not have sufficient privileges); grant it to the account of Syncwatch
    not evaluated: changes-arrive, creates-arrive: held under coverage of properties-coverage
    healthy: 8

    == a view is missing
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 4 statements failed, so their checks are blind: checks of crm.rds.properties: something is missing ([TABLE_OR_VIEW_NOT_FOUND] The table or view `crm`.`rds`.`properties` cannot be found); make it, or correct its name
    likely: A table, view or column was renamed or dropped
    not evaluated: properties-coverage: unreadable: checks of crm.rds.properties: something is missing ([TABLE_OR_VIEW_NOT_FOUND] The table or view `crm`.`rds`.`properties` cannot be found); make it, or correct its name
    not evaluated: changes-arrive, creates-arrive: held under coverage of properties-coverage
    healthy: 8

    == a column has another type
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, 1 of 4 statements failed, so their checks are blind: checks of crm.rds.properties: types do not fit ([DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES] Cannot resolve "[hidden]" due to data type mismatch); correct the view, or the column that the check names
    likely: The type of a column changed
    not evaluated: properties-coverage: unreadable: checks of crm.rds.properties: types do not fit ([DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES] Cannot resolve "[hidden]" due to data type mismatch); correct the view, or the column that the check names
    not evaluated: changes-arrive, creates-arrive: held under coverage of properties-coverage
    healthy: 8

    == statements hang
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, checks of crm.rds.properties: no answer within 1 s, waiting for the answer; look at the load of the warehouse
    likely: The warehouse is stopped, starting, overloaded or cut off; or one statement is too slow for it
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: held under warehouse-reachable of warehouse
    healthy: 0

    == the token is refused
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, checks of crm.rds.properties: the warehouse does not accept the credentials; renew the secret of the warehouse
    likely: The credentials expired, were revoked or replaced, or are those of another workspace
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: held under warehouse-reachable of warehouse
    healthy: 0

    == the token has expired
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, checks of crm.rds.properties: the warehouse does not accept the credentials; renew the secret of the warehouse
    likely: The credentials expired, were revoked or replaced, or are those of another workspace
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: held under warehouse-reachable of warehouse
    healthy: 0

    == an IP access list leaves us out
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, checks of crm.rds.properties: the warehouse refuses the network of Syncwatch (Source IP address: 203.0.113.7 is blocked by Databricks IP ACL for workspace: [hidden]); allow the address that its functions call from
    likely: An IP access list or a network policy of the workspace leaves out the address that the functions call from: the list changed, or the address did
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: held under warehouse-reachable of warehouse
    healthy: 0

    == the warehouse may not be used
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, checks of crm.rds.properties: the account of Syncwatch may not use the warehouse (You do not have permission to use the SQL Warehouse); grant it CAN USE on it
    likely: The account lost its right to use the SQL warehouse or the workspace, or warehouse_id of pipeline.toml is wrong
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: held under warehouse-reachable of warehouse
    healthy: 0

    == it does not wake up
    opened properties/warehouse-reachable/warehouse
    warehouse-reachable warehouse: error, checks of crm.rds.properties: no answer within 2 s, waiting for the warehouse to start; look at the load of the warehouse
    likely: The warehouse is stopped, starting, overloaded or cut off; or one statement is too slow for it
    not evaluated: properties-coverage, changes-arrive, creates-arrive, company-names, company-name-quality, unique-property-ids, create-queue, update-queue: held under warehouse-reachable of warehouse
    healthy: 0

    == it says 503 once
    healthy: 15
    "#);
}
