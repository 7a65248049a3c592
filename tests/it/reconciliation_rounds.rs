//! The nightly reconciliation on the lab's AWS: two looks, stale copies, objects that fail, deadlines and repeated events.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reconciliation::{App, Patience};
use serde_json::{Value, json};
use syncwatch::aws::Sdk;
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::data_checks::object_name;
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::env;
use syncwatch::sql::{ParameterValue, Statement};
use syncwatch::warehouse::Warehouse;
use syncwatch_cli::warehouse_objects::apply_folder;
use syncwatch_lab::aws::{
    Deployment, DeploymentOptions, FunctionsTable, Ministack, ResourceId, ResourceKind, ResourceSpec,
    Schedules,
};
use syncwatch_lab::census::{CensusServer, TOKEN, World};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::engines::{self, Postgres};
use syncwatch_lab::properties::{make_sources, sql_folder};
use tempfile::TempDir;

/// 03:05 in Los Angeles.
fn night() -> Timestamp {
    "2026-11-24T11:05:00Z".parse().unwrap()
}

fn hours(n: i64) -> SignedDuration {
    SignedDuration::from_hours(n)
}

/// An object of homes or flats: two tables with a name.
fn declaration(name: &str) -> String {
    format!(
        r#"
[[objects]]
name = "{name}"
key = {{ source = "id", destination = "id_c" }}
changed = {{ source = "changed", destination = "modified" }}
syncs = ["properties-create"]
fields = [{{ source = "name", destination = "name_c", kind = "text" }}]
[objects.source]
table = "crm.rds.{name}"
[objects.destination]
table = "crm.salesforce.{name}"
synced = "synced"
"#
    )
}

/// AWS with the function's resources, a Census, and a warehouse with two objects of a hundred records.
struct Setup {
    aws: Ministack,
    deployment: Deployment,
    census: CensusServer,
    warehouse: Warehouse,
    pipeline: Pipeline,
    patience: Patience,
    /// That of the warehouse.
    secret: String,
    /// Keeps the warehouse alive.
    _kept: Box<dyn std::any::Any>,
}

impl Setup {
    async fn on_sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("warehouse.sqlite");
        let secret = engines::sqlite_secret(&file, None).unwrap();
        Self::on(engines::sqlite(&file).unwrap(), "sqlite", &secret, Box::new(folder)).await
    }

    async fn on_postgresql() -> Self {
        let server = Postgres::start().unwrap();
        let warehouse = server.warehouse().unwrap();
        let secret = server.secret("syncwatch").unwrap();
        Self::on(warehouse, "postgresql", &secret, Box::new(server)).await
    }

    async fn on(warehouse: Warehouse, dialect: &str, secret: &str, kept: Box<dyn std::any::Any>) -> Self {
        let aws = Ministack::start().await.unwrap();
        let census = CensusServer::start(World::seed_pipeline(night(), 11), LabClock::set_to(night())).await;
        let mut table = FunctionsTable::read(&FunctionsTable::default_path()).unwrap();
        // The function runs in this process, because time and patience must be arguments.
        table.functions.clear();
        let Some(ResourceSpec::Secret(secret_of)) = table.resources.get(&ResourceId::secret("warehouse"))
        else {
            panic!("the warehouse has no secret");
        };
        let mut of_connection = secret_of.clone();
        of_connection.name = "syncwatch/connection-crm".to_owned();
        table.resources.insert(ResourceId::secret("connection-crm"), ResourceSpec::Secret(of_connection));
        let value = |id: &ResourceId| match id.key.as_str() {
            "census-token" => TOKEN.to_owned(),
            "connection-crm" => "not yet written".to_owned(),
            _ => secret.to_owned(),
        };
        let secrets = table.resources.keys().filter(|id| id.kind == ResourceKind::Secret);
        let options = DeploymentOptions {
            secrets: secrets.map(|id| (id.clone(), value(id))).collect(),
            schedules: Schedules::None,
            ..DeploymentOptions::default()
        };
        let deployment = Deployment::apply(&aws, &table, &options).await.unwrap();
        let seed = include_str!("../../infra/pipeline.toml");
        let databricks = "driver = \"databricks\"\nhost = \"dbc-00000000-0000.cloud.databricks.com\"\nwarehouse_id = \"0123456789abcdef\"";
        let (seed, _) = seed.split_once("# The objects that").unwrap();
        let odbc = format!("driver = \"odbc\"\ndialect = \"{dialect}\"");
        let text = seed.replacen(databricks, &odbc, 1) + &declaration("homes") + &declaration("flats");
        let setup = Self {
            aws,
            deployment,
            census: census.unwrap(),
            warehouse,
            pipeline: Pipeline::parse(&text).unwrap(),
            patience: Patience::default(),
            secret: secret.to_owned(),
            _kept: kept,
        };
        setup.fill().await;
        setup
    }

    /// Declares that the source of the flats is in the database `crm`.
    fn move_flats(&mut self) {
        let Pipeline { connections, warehouse, objects, .. } = &mut self.pipeline;
        connections.insert("crm".to_owned(), warehouse.clone().unwrap());
        let flats = objects.iter_mut().find(|object| object.name == "flats").unwrap();
        flats.source.connection = Some("crm".to_owned());
    }

    async fn put_connection(&self, secret: &str) {
        self.deployment.put_secret(&ResourceId::secret("connection-crm"), secret).await.unwrap();
    }

    async fn fill(&self) {
        make_sources(&self.warehouse).await.unwrap();
        apply_folder(&self.warehouse, &sql_folder(), night()).await.unwrap();
        for name in ["homes", "flats"] {
            let (source, copy) = (format!("crm.rds.{name}"), format!("crm.salesforce.{name}"));
            self.sql(&source, "CREATE TABLE @T (id VARCHAR(40), name VARCHAR(80), changed TIMESTAMP)").await;
            self.sql(
                &copy,
                "CREATE TABLE @T (id_c VARCHAR(40), name_c VARCHAR(80), modified TIMESTAMP, synced TIMESTAMP)",
            )
            .await;
            for id in 0..100 {
                let values = format!("VALUES ('{id}', 'Home {id}', :old");
                self.sql(&source, &format!("INSERT INTO @T (id, name, changed) {values})")).await;
                let insert = format!("INSERT INTO @T (id_c, name_c, modified, synced) {values}, :fresh)");
                self.sql(&copy, &insert).await;
            }
        }
    }

    /// Runs SQL on a table `@T`, with an instant of the day before and one of this moment.
    async fn sql(&self, table: &str, sql: &str) {
        self.sql_at(table, sql, night()).await;
    }

    async fn sql_at(&self, table: &str, sql: &str, fresh: Timestamp) {
        let table = object_name(self.warehouse.dialect(), table).unwrap();
        let mut statement = Statement::new("a test", sql.replace("@T", &table));
        let values: [(&str, ParameterValue); 2] =
            [("old", (night() - hours(30)).into()), ("fresh", fresh.into())];
        for (name, value) in values.into_iter().filter(|(name, _)| sql.contains(&format!(":{name}"))) {
            statement = statement.bind(name, value);
        }
        self.warehouse.execute(&statement).await.unwrap();
    }

    /// Sets the name of one home in the destination.
    async fn edit(&self, name: &str) {
        self.sql("crm.salesforce.homes", &format!("UPDATE @T SET name_c = '{name}' WHERE id_c = '7'")).await;
    }

    /// Time passes: Census runs its syncs, and Fivetran copies all records.
    async fn pass_until(&self, at: Timestamp) {
        self.census.jump(at.duration_since(self.census.clock().now()));
        for name in ["homes", "flats"] {
            self.sql_at(&format!("crm.salesforce.{name}"), "UPDATE @T SET synced = :fresh", at).await;
        }
    }

    async fn run(&self, event: Value, at: Timestamp) -> Value {
        let changed = [(env::CENSUS_BASE_URL.name, self.census.url())];
        let endpoint = self.aws.endpoint();
        let site = self.deployment.site("reconciliation", self.pipeline.clone(), endpoint, &changed);
        App::new(site.unwrap()).with_patience(self.patience).run(event, at).await.unwrap()
    }

    async fn reconcile(&self, at: Timestamp) -> Value {
        self.run(json!({ "task": "reconcile" }), at).await
    }

    fn store(&self) -> IncidentStore {
        let sdk = Sdk::for_endpoint(self.aws.endpoint()).unwrap();
        IncidentStore::new(sdk.dynamodb(), "syncwatch-incidents")
    }

    /// The rows of the log: object, day, whether compared, different rows, fields compared and agreeing.
    async fn log(&self) -> Vec<String> {
        let log = object_name(self.warehouse.dialect(), "crm.sfdc_dbx.reconciliation_log").unwrap();
        let select = format!("SELECT * FROM {log} ORDER BY audit_id");
        let answer = self.warehouse.query(&Statement::new("the log", select)).await.unwrap();
        let row = |row: syncwatch::sql::Row<'_>| {
            let figure = |name: &str| {
                row.get::<Option<i64>>(name).unwrap().map_or("-".to_owned(), |figure| figure.to_string())
            };
            format!(
                "{} {} {} of {}",
                row.get::<String>("audit_id").unwrap(),
                figure("different_rows"),
                figure("fields_agreeing"),
                figure("fields_compared"),
            )
        };
        answer.rows().map(row).collect()
    }
}

fn notices(answer: &Value) -> Vec<String> {
    let text = |notice: &Value, key: &str| notice[key].as_str().unwrap().to_owned();
    let notices = answer["notices"].as_array().unwrap().iter();
    notices.map(|notice| format!("{} {}", text(notice, "kind"), text(notice, "incident"))).collect()
}

const DIFFER: &str = "properties/records-differ/homes";

#[tokio::test(flavor = "multi_thread")]
async fn first_look_is_silent_and_the_second_opens_the_incident() {
    let setup = Setup::on_sqlite().await;
    let look_again = json!({ "task": "look-again" });
    assert_eq!(notices(&setup.reconcile(night()).await), [""; 0]);
    let nothing = setup.run(look_again.clone(), night() + hours(1)).await;
    assert_eq!((&nothing["compared"], &nothing["statements"]), (&json!([]), &json!(0)), "{nothing}");

    let next = night() + hours(24);
    setup.pass_until(next).await;
    setup.edit("by hand").await;
    assert_eq!(notices(&setup.reconcile(next).await), [""; 0], "the first look");
    // The event is delivered twice: no interval of the syncs has passed.
    let repeated = setup.reconcile(next + SignedDuration::from_mins(1)).await;
    assert_eq!(notices(&repeated), [""; 0], "the same look");
    let again = next + hours(1);
    setup.pass_until(again).await;
    let found = setup.run(look_again.clone(), again).await;
    assert_eq!(notices(&found), [format!("opened {DIFFER}")], "{found}");
    assert_eq!(found["compared"], json!(["homes"]), "the other object has nothing to confirm");
    assert!(!found.to_string().contains("by hand"), "a value of a record is shown: {found}");

    // Healed, it resolves.
    let later = next + hours(24);
    setup.pass_until(later).await;
    setup.edit("Home 7").await;
    assert_eq!(notices(&setup.reconcile(later).await), [format!("resolved {DIFFER}")]);
    let rows = [
        "object/properties/flats/2026-11-24 0 100 of 100",
        "object/properties/flats/2026-11-25 0 100 of 100",
        "object/properties/flats/2026-11-26 0 100 of 100",
        "object/properties/homes/2026-11-24 0 100 of 100",
        "object/properties/homes/2026-11-25 1 99 of 100",
        "object/properties/homes/2026-11-26 0 100 of 100",
    ];
    assert_eq!(setup.log().await, rows, "one row for each object and day, however often it was compared");
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_copy_is_not_evaluated_and_no_record_is_wrong() {
    let setup = Setup::on_sqlite().await;
    let next = night() + hours(26);
    setup.census.jump(hours(26));
    // Nothing was copied for a day, and every record changed in the source.
    setup.sql("crm.rds.homes", "UPDATE @T SET name = 'new'").await;
    let answer = setup.reconcile(next).await;
    assert_eq!(notices(&answer), [""; 0], "{answer}");
    assert!(answer["counts"]["not_evaluated"].as_u64().unwrap() >= 3, "{answer}");
    assert!(answer.to_string().contains("stale"), "{answer}");
    assert_eq!(
        setup.log().await,
        ["object/properties/flats/2026-11-25 - - of -", "object/properties/homes/2026-11-25 - - of -"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_object_is_not_evaluated_and_the_others_are_compared() {
    let setup = Setup::on_sqlite().await;
    setup.sql("crm.salesforce.homes", "DROP TABLE @T").await;
    let answer = setup.reconcile(night()).await;
    assert_eq!(answer["compared"], json!(["flats"]), "{answer}");
    assert_eq!(answer["left"], json!([]), "{answer}");
    let unjudged = answer["not_evaluated"].as_array().unwrap();
    assert!(unjudged.iter().all(|finding| finding["subject"] == "homes"), "{answer}");
    assert!(answer["table"].as_str().unwrap().contains("an object is missing"), "{answer}");
    let record = setup.store().last_reconciled("properties").await.unwrap().unwrap();
    assert_eq!((record.at, record.objects["homes"].compared), (Some(night()), None));
    assert_eq!(record.objects["flats"].compared, Some(night()));
}

/// The source of the flats is in a second database.
#[tokio::test(flavor = "multi_thread")]
async fn side_in_another_database_is_compared_and_fails_alone() {
    let mut setup = Setup::on_sqlite().await;
    let other = TempDir::new().unwrap();
    let file = other.path().join("crm.sqlite");
    let crm = engines::sqlite(&file).unwrap();
    make_flats(&crm, 99).await;
    setup.move_flats();

    let answer = setup.reconcile(night()).await;
    assert_eq!(answer["compared"], json!(["homes"]), "{answer}");
    let table = answer["table"].as_str().unwrap();
    assert!(table.contains("connection crm: ") && table.contains("syncwatch/connection-crm"), "{table}");

    setup.put_connection(&engines::sqlite_secret(&file, None).unwrap()).await;
    let answer = setup.reconcile(night() + hours(1)).await;
    assert_eq!(answer["compared"], json!(["homes", "flats"]), "{answer}");
    let table = answer["table"].as_str().unwrap();
    assert!(table.contains("99 joined, 0 missing, 1 extra, 0 different"), "{table}");
    assert!(setup.log().await.contains(&"object/properties/flats/2026-11-24 0 99 of 99".to_owned()));
}

/// Makes the table of flats in another database, with so many records.
async fn make_flats(crm: &Warehouse, records: usize) {
    let table = object_name(crm.dialect(), "crm.rds.flats").unwrap();
    let create = format!("CREATE TABLE {table} (id VARCHAR(40), name VARCHAR(80), changed TIMESTAMP)");
    let insert = format!("INSERT INTO {table} VALUES (:id, 'Home ' || :id, :old)");
    let row = |id: usize| {
        let statement = Statement::new("a test", insert.clone()).bind("id", id.to_string());
        statement.bind("old", night() - hours(30))
    };
    let rows: Vec<Statement> = (0..records).map(row).collect();
    crm.execute(&Statement::new("a test", create)).await.unwrap();
    crm.execute_all(&rows).await.unwrap();
}

async fn time_over_in_the_middle_leaves_the_rest(as_streams: bool) {
    let mut setup = Setup::on_postgresql().await;
    if as_streams {
        setup.move_flats();
        setup.put_connection(&setup.secret).await;
    }
    let slow = [
        ("crm.rds.flats", "ALTER TABLE @T RENAME TO kept"),
        ("crm.rds.flats", "CREATE VIEW @T AS SELECT k.* FROM rds.kept AS k, pg_sleep(60)"),
    ];
    for (table, sql) in slow {
        setup.sql(table, sql).await;
    }
    setup.patience.round = Duration::from_secs(6);
    let first = setup.reconcile(night()).await;
    assert_eq!((&first["compared"], &first["left"]), (&json!(["homes"]), &json!(["flats"])), "{first}");
    assert_eq!(setup.log().await, ["object/properties/homes/2026-11-24 0 100 of 100"]);

    setup.sql("crm.rds.flats", "DROP VIEW @T").await;
    setup.sql("crm.rds.kept", "ALTER TABLE @T RENAME TO flats").await;
    setup.patience = Patience::default();
    let next = setup.run(json!({ "task": "look-again" }), night() + hours(1)).await;
    assert_eq!((&next["compared"], &next["left"]), (&json!(["flats"]), &json!([])), "{next}");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_over_in_the_middle_leaves_the_rest_for_the_next_round() {
    time_over_in_the_middle_leaves_the_rest(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_over_in_a_stream_leaves_the_rest_for_the_next_round() {
    time_over_in_the_middle_leaves_the_rest(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn round_without_census_or_with_one_object_still_compares() {
    let setup = Setup::on_sqlite().await;
    let one = setup.run(json!({ "task": "reconcile", "object": "flats" }), night()).await;
    assert_eq!(one["compared"], json!(["flats"]), "{one}");
    let store = setup.store();
    assert_eq!(store.last_reconciled("properties").await.unwrap().unwrap().at, None, "not a whole round");
    setup.deployment.put_secret(&ResourceId::secret("census-token"), "revoked").await.unwrap();
    // The one that was never tried comes first.
    assert_eq!(setup.reconcile(night()).await["compared"], json!(["homes", "flats"]));
}

/// Every night compares one of two buckets, and again an hour later.
#[tokio::test(flavor = "multi_thread")]
async fn incident_stays_open_through_nights_of_clean_buckets() {
    let mut setup = Setup::on_sqlite().await;
    setup.pipeline.objects.iter_mut().for_each(|object| object.nights = Some(2));
    setup.edit("by hand").await;
    let compare = async |day: i64| {
        let mut all = Vec::new();
        for (task, hour) in [("reconcile", 0), ("look-again", 1)] {
            let at = night() + hours(24 * day + hour);
            setup.pass_until(at).await;
            all.extend(notices(&setup.run(json!({ "task": task }), at).await));
        }
        all.retain(|notice| !notice.starts_with("reminder "));
        all
    };
    let mut nights = vec![compare(0).await, compare(1).await];
    assert_eq!(nights.concat(), [format!("opened {DIFFER}")], "one bucket has the record: {nights:?}");
    let its = i64::from(nights[0].is_empty());
    // The next two nights: one of the other bucket, and one of the record's own.
    nights = vec![compare(2).await, compare(3).await];
    assert_eq!(nights.concat(), [""; 0], "it stays open: {nights:?}");
    setup.edit("Home 7").await;
    nights = vec![compare(4).await, compare(5).await];
    let resolved = format!("resolved {DIFFER}");
    assert_eq!(nights[usize::try_from(its).unwrap()], [resolved], "{nights:?}");
    assert_eq!(nights[usize::from(its == 0)], [""; 0], "the clean bucket resolves nothing: {nights:?}");
}
