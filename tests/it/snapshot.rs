//! The nightly snapshot: its writes on real engines, and the whole function on the lab's AWS and Census.

use std::any::Any;
use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use nightly_snapshot::days::{LONGEST_GAP, Scope};
use nightly_snapshot::missing::Missing;
use nightly_snapshot::observe;
use nightly_snapshot::plan::{Change, DayPlan};
use nightly_snapshot::rows::{DataFigures, DayRow, IncidentFigures, LogRow, Records, RunRow};
use nightly_snapshot::statements::{RUNS_A_PAGE, Statements};
use nightly_snapshot::{App, act};
use secrecy::SecretString;
use serde_json::{Value, json};
use syncwatch::aws::Sdk;
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::data_checks::object_name;
use syncwatch::days::{bounds, day_of};
use syncwatch::history::{CompletedRuns, History, Reads, silence_limits};
use syncwatch::incident::IncidentKey;
use syncwatch::observation::SyncId;
use syncwatch::pipeline::{Pipeline, RemedyKind};
use syncwatch::remedy::{Plan, Record, State as RemedyState, Target};
use syncwatch::runtime::warehouse::Asker;
use syncwatch::runtime::{Env, env};
use syncwatch::sql::Statement;
use syncwatch::sql::bulk::ROWS;
use syncwatch::warehouse::{DatabricksAuth, DatabricksSettings, Limits, Settings, Warehouse};
use syncwatch_cli::warehouse_objects::apply_folder;
use syncwatch_cli::{Command, Operator};
use syncwatch_lab::aws::{ResourceId, Schedules};
use syncwatch_lab::census::{Fault, World};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::databricks::{DatabricksFault, DatabricksServer, TOKEN, WAREHOUSE_ID};
use syncwatch_lab::engines::{self, Postgres};
use syncwatch_lab::properties::{PropertyWorld, Tables, make_sources, sql_folder};
use syncwatch_lab::stage::Stage;

const LIMIT: Duration = Duration::from_secs(120);
const LOG: &str = "crm.sfdc_dbx.sync_audit_log";
const CREATE: u64 = 3_394_022;
const UPDATE: u64 = 3_394_041;

pub(crate) fn day() -> Date {
    "2026-11-24".parse().unwrap()
}

/// 23:59 in Los Angeles.
fn night() -> Timestamp {
    "2026-11-25T07:59:00Z".parse().unwrap()
}

fn hours(n: i64) -> SignedDuration {
    SignedDuration::from_hours(n)
}

/// Parses the repository's pipeline with the lab's SQL warehouse.
fn pipeline() -> Pipeline {
    let seed = include_str!("../../infra/pipeline.toml");
    let id = "warehouse_id = \"0123456789abcdef\"";
    assert!(seed.contains(id));
    Pipeline::parse(&seed.replacen(id, &format!("warehouse_id = \"{WAREHOUSE_ID}\""), 1)).unwrap()
}

fn run_row(id: u64, text: &str) -> RunRow {
    RunRow {
        audit_id: format!("run/properties-create/{id}"),
        pipeline: "properties".to_owned(),
        snapshot_date: day(),
        sync_name: Some("properties-create".to_owned()),
        sync_type: Some("create".to_owned()),
        run_id: Some(id.to_string()),
        status: Some("completed".to_owned()),
        execution_timestamp: "2026-11-24T10:00:00.123Z".parse().unwrap(),
        duration_seconds: Some(90),
        // Some engines infer the type of a column from its first row, so that row has NULLs.
        records: Records {
            processed: (id != 1).then_some(100),
            succeeded: Some(97),
            failed: Some(3),
            error_rate: (id != 1).then_some(3.0),
        },
        notes: Some(text.to_owned()),
    }
}

fn day_row() -> DayRow {
    let run = run_row(0, "25 runs");
    DayRow {
        audit_id: format!("day/properties/{}", day()),
        pipeline: run.pipeline,
        snapshot_date: run.snapshot_date,
        execution_timestamp: night(),
        duration_seconds: run.duration_seconds,
        records: run.records,
        data: DataFigures {
            total: Some(20_247),
            coverage: Some(92.47),
            duplicates: Some(0),
            ..DataFigures::default()
        },
        incidents: IncidentFigures { opened: Some(2), ..IncidentFigures::default() },
        figures_missing: Missing::parse("data: half of it"),
        notes: run.notes,
    }
}

fn plan(runs: Vec<(RunRow, Change)>, day: DayRow, day_change: Change) -> DayPlan {
    DayPlan { day, day_change, runs }
}

struct Engine {
    name: &'static str,
    warehouse: Warehouse,
    direct: Warehouse,
    /// Keeps the server and its files alive.
    _kept: Box<dyn Any>,
}

/// Starts SQLite and PostgreSQL by ODBC, and the simulated Databricks, with the repository's tables.
async fn engines() -> [Engine; 3] {
    let (postgres, sqlite, databricks) =
        (Postgres::start().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = DatabricksServer::start(engines::sqlite(&databricks.path().join("lab.sqlite")).unwrap())
        .await
        .unwrap();
    let auth = DatabricksAuth::Token(SecretString::from(TOKEN));
    let mut settings = DatabricksSettings::new(server.url(), WAREHOUSE_ID, auth);
    settings.limits = Limits { rows: RUNS_A_PAGE + 1, ..settings.limits };
    let settings = Settings::Databricks(settings);
    let made = [
        Engine {
            name: "SQLite",
            warehouse: engines::sqlite(&sqlite.path().join("lab.sqlite")).unwrap(),
            direct: engines::sqlite(&sqlite.path().join("lab.sqlite")).unwrap(),
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
            direct: engines::sqlite(&databricks.path().join("lab.sqlite")).unwrap(),
            _kept: Box::new((server, databricks)),
        },
    ];
    for engine in &made {
        make_sources(&engine.direct).await.unwrap();
        apply_folder(&engine.warehouse, &sql_folder(), night()).await.unwrap();
    }
    made
}

async fn stored(warehouse: &Warehouse, statements: &Statements<'_>) -> (Vec<RunRow>, Vec<DayRow>) {
    let asker = Asker::new(warehouse, LIMIT);
    let mut runs = observe::stored_runs(asker, statements, &[day()]).await.unwrap();
    runs.sort_by(|a, b| a.audit_id.cmp(&b.audit_id));
    let days = observe::stored_days(asker, statements, Scope::Night, day()).await.unwrap();
    assert_eq!(
        (days.first, days.newest),
        days.rows.first().map_or((None, None), |_| (Some(day()), Some(day())))
    );
    (runs, days.rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_written_once_and_read_back_equal_on_every_engine() {
    let pipeline = pipeline();
    let snapshot = pipeline.snapshot.clone().unwrap();
    for Engine { name, warehouse, direct: _, _kept } in engines().await {
        let statements = Statements::new("properties", &snapshot, warehouse.dialect()).unwrap();
        assert_eq!(stored(&warehouse, &statements).await, (Vec::new(), Vec::new()), "{name}");
        // These characters break a statement without parameters, and JSON without escapes.
        let texts = "it's a \"note\"; -- ünïcode 😀 \\ \\u0041 :rows ? {d '2026-01-01'} [1] $1 \u{1}\t\n";
        let mut rows: Vec<RunRow> = (1..=25).map(|id| run_row(id + 100, texts)).collect();
        rows.extend([run_row(1, "the first has no counts"), run_row(90, ""), run_row(91, "null")]);
        // A double cannot represent these integers beyond 2^53.
        let long = [i64::MAX, i64::MIN, 9_007_199_254_740_993].map(Some);
        let [processed, succeeded, failed] = long;
        rows.push(RunRow {
            execution_timestamp: "2026-11-24T10:00:00.001Z".parse().unwrap(),
            records: Records { processed, succeeded, failed, error_rate: Some(33.3333) },
            ..run_row(2, "long integers")
        });
        rows.push(RunRow {
            sync_name: None,
            sync_type: None,
            duration_seconds: None,
            records: Records::default(),
            notes: None,
            ..run_row(3, "")
        });
        rows.sort_by(|a, b| a.audit_id.cmp(&b.audit_id));
        let asker = Asker::new(&warehouse, LIMIT);
        let inserts = rows.iter().map(|row| (row.clone(), Change::Insert)).collect();
        let first = plan(inserts, day_row(), Change::Insert);
        let done = act::write(asker, &statements, std::slice::from_ref(&first)).await;
        assert_eq!((done.failure, done.inserted, done.updated), (None, 31, 0), "{name}");
        let (read, days) = stored(&warehouse, &statements).await;
        assert_eq!((&read, &days), (&rows, &vec![day_row()]), "{name}");

        // A second writer with the same plan writes no row twice.
        let done = act::write(asker, &statements, std::slice::from_ref(&first)).await;
        assert_eq!(done.failure, None, "{name}");
        let (read, days) = stored(&warehouse, &statements).await;
        assert_eq!((read.len(), days.len()), (30, 1), "{name}");

        let mut changed = run_row(1, "now it has");
        changed.records =
            Records { processed: Some(7), succeeded: None, failed: Some(0), error_rate: Some(0.0) };
        let mut later = day_row();
        later.figures_missing = Missing::default();
        later.data.null_companies = Some(3);
        let update = plan(vec![(changed.clone(), Change::Update)], later.clone(), Change::Update);
        let done = act::write(asker, &statements, &[update]).await;
        assert_eq!((done.failure, done.inserted, done.updated), (None, 0, 2), "{name}");
        let (read, days) = stored(&warehouse, &statements).await;
        assert_eq!((read.len(), days), (30, vec![later]), "{name}");
        assert_eq!(read.iter().find(|row| row.audit_id == changed.audit_id), Some(&changed), "{name}");

        let tallies = observe::outcomes(asker, &statements, (day(), day()), &[]).await.unwrap();
        assert_eq!(tallies["properties-create"].completed, 29, "{name}");
        let none = observe::outcomes(asker, &statements, (day(), day()), &[day()]).await.unwrap();
        assert!(none.is_empty(), "{name}");
    }
}

/// Durations of the completed runs of a day => their median. An unfinished run has none.
const DURATIONS: [(&[Option<i64>], Option<f64>); 5] = [
    (&[Some(90)], Some(90.0)),
    (&[Some(10), Some(1_000), Some(30)], Some(30.0)),
    (&[Some(40), Some(10), Some(30), Some(20)], Some(25.0)),
    (&[None, Some(7), None, Some(8), None], Some(7.5)),
    (&[None], None),
];

/// Plans the rows of a day for each line of [`DURATIONS`].
pub(crate) fn days_with_durations() -> Vec<DayPlan> {
    let mut id = 100;
    let plan = |(days_later, (durations, _)): (i64, (&[Option<i64>], Option<f64>))| {
        let date = day() + jiff::Span::new().days(days_later);
        let mut run = |status: &str, duration_seconds, processed, failed| {
            id += 1;
            let records = Records { processed, failed, ..Records::default() };
            let status = Some(status.to_owned());
            let row = RunRow { snapshot_date: date, status, duration_seconds, records, ..run_row(id, "") };
            (row, Change::Insert)
        };
        let mut runs: Vec<_> =
            durations.iter().map(|seconds| run("completed", *seconds, Some(100), Some(3))).collect();
        // A failed run has a duration that does not count, and here no counts.
        runs.push(run("failed", Some(1), None, None));
        // A cancelled one delivered some records, and is in no count of runs.
        runs.push(run("cancelled", Some(5_000), Some(7), Some(2)));
        let data =
            DataFigures { total: Some(1_000), synced: Some(950), null_companies: None, ..day_row().data };
        let audit_id = format!("day/properties/{date}");
        let day = DayRow { audit_id, snapshot_date: date, data, ..day_row() };
        DayPlan { day, day_change: Change::Insert, runs }
    };
    (0..).zip(DURATIONS).map(plan).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn history_has_the_sums_and_medians_of_its_rows_on_every_engine() {
    let pipeline = pipeline();
    let snapshot = pipeline.snapshot.clone().unwrap();
    let (planned, table) = (days_with_durations(), DURATIONS);
    for Engine { name, warehouse, direct: _, _kept } in engines().await {
        let statements = Statements::new("properties", &snapshot, warehouse.dialect()).unwrap();
        let asker = Asker::new(&warehouse, LIMIT);
        assert_eq!(act::write(asker, &statements, &planned).await.failure, None, "{name}");
        let reads = Reads::new("properties", &snapshot.audit_log, warehouse.dialect()).unwrap();
        let (from, to) = (day(), day() + jiff::Span::new().days(30));
        let (days, syncs) = (
            asker.ask(&reads.days(from, to)).await.unwrap(),
            asker.ask(&reads.syncs(from, to)).await.unwrap(),
        );
        // One row for a sync and day, also with runs of several statuses.
        assert_eq!((days.len(), syncs.len()), (table.len(), table.len()), "{name}");
        let history = History::read(&days, &syncs);
        assert_eq!(history.days.len(), table.len(), "{name}");
        assert_eq!((history.days[4].coverage(), history.days[4].null_rate()), (Some(95.0), None), "{name}");
        let of_sync = &history.syncs["properties-create"];
        for (found, (durations, median)) in of_sync.iter().zip(table) {
            let runs = durations.len() as f64;
            assert_eq!(found.median_seconds, median, "{name} {durations:?}");
            let records = (Some(100.0 * runs + 7.0), Some(3.0 * runs + 2.0));
            assert_eq!((found.processed, found.failed), records, "{name}");
            assert_eq!(
                (found.outcomes.completed, found.outcomes.failed),
                (durations.len() as u64, 1),
                "{name}"
            );
        }
        let mut completed = CompletedRuns::default();
        let page = asker.ask(&reads.completed(from, to, "run/properties-create/101")).await.unwrap();
        assert_eq!(
            (page.len(), completed.add(&page)),
            (13, Ok(None)),
            "{name}: the failed ones are left out"
        );
        let zone = &pipeline.time_zone;
        let usual = completed.usual(to, zone, &silence_limits(2), &|_, _| None);
        let usual = &usual["properties-create"];
        let began = run_row(0, "").execution_timestamp;
        assert_eq!((usual.first, usual.until.as_second()), (day(), began.as_second()), "{name}");
        let none = Reads::new("other", &snapshot.audit_log, warehouse.dialect()).unwrap();
        assert!(asker.ask(&none.syncs(from, to)).await.unwrap().is_empty(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_rows_need_few_statements_and_are_read_in_pages() {
    const RUNS: u64 = 25_000;
    let pipeline = pipeline();
    let snapshot = pipeline.snapshot.clone().unwrap();
    for Engine { name, warehouse, direct: _, _kept } in engines().await {
        let statements = Statements::new("properties", &snapshot, warehouse.dialect()).unwrap();
        let asker = Asker::new(&warehouse, LIMIT);
        let rows: Vec<RunRow> = (0..RUNS).map(|id| run_row(100_000 + id, "as it was")).collect();
        let insert = rows.iter().map(|row| (row.clone(), Change::Insert)).collect();
        assert!(statements.insert(&rows).count() < 15, "{name}");
        let done = act::write(asker, &statements, &[plan(insert, day_row(), Change::Insert)]).await;
        assert_eq!(done.failure, None, "{name}");
        assert_eq!(stored(&warehouse, &statements).await.0, rows, "{name}");

        let changed: Vec<RunRow> = (0..RUNS).map(|id| run_row(100_000 + id, "as it is now")).collect();
        let update = changed.iter().map(|row| (row.clone(), Change::Update)).collect();
        let done = act::write(asker, &statements, &[plan(update, day_row(), Change::Unchanged)]).await;
        assert_eq!(done.failure, None, "{name}");
        assert_eq!(stored(&warehouse, &statements).await.0, changed, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_json_fails_the_statement_on_every_engine() {
    let pipeline = pipeline();
    let snapshot = pipeline.snapshot.clone().unwrap();
    for Engine { name, warehouse, direct: _, _kept } in engines().await {
        let statements = Statements::new("properties", &snapshot, warehouse.dialect()).unwrap();
        let row = run_row(7, "a");
        let insert = statements.insert([&row]).next().unwrap();
        let cut = Statement::new("cut off", insert.sql()).bind(ROWS, "[[\"run/a/1\"");
        let failed = warehouse.execute(&cut).await.unwrap_err().to_string();
        assert!(!failed.contains("run/a/1"), "{name}: {failed}");
        assert!(stored(&warehouse, &statements).await.0.is_empty(), "{name}");
    }
}

/// A stage whose warehouse is a simulated Databricks with the lab's properties, and the function on it.
struct Night {
    stage: Stage,
    databricks: DatabricksServer,
    direct: Warehouse,
    app: App,
    _folder: tempfile::TempDir,
}

impl Night {
    /// Sets a stage whose day began at midnight in Los Angeles and whose clock is at 23:59.
    async fn set() -> Self {
        let midnight = night() - hours(24) + SignedDuration::from_mins(1);
        let clock = LabClock::set_to(midnight);
        let stage = Stage::set(World::seed_pipeline(midnight, 11), clock, Schedules::None).await.unwrap();
        stage.deployment.let_queue_fire("webhook-worker", false).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lab.sqlite");
        let mut world = PropertyWorld::with(midnight, 7, 100, 92, 3);
        Tables::create(engines::sqlite(&file).unwrap(), &mut world).await.unwrap();
        let databricks = DatabricksServer::start(engines::sqlite(&file).unwrap()).await.unwrap();
        let secret = json!({ "token": TOKEN }).to_string();
        stage.deployment.put_secret(&ResourceId::secret("warehouse"), &secret).await.unwrap();
        let changed = [(env::DATABRICKS_URL.name, databricks.url())];
        let site = stage.deployment.site("nightly-snapshot", pipeline(), stage.aws.endpoint(), &changed);
        let app = App(site.unwrap());
        stage.census.jump(night().duration_since(midnight));
        Self { stage, databricks, direct: engines::sqlite(&file).unwrap(), app, _folder: folder }
    }

    fn now(&self) -> Timestamp {
        self.stage.census.clock().now()
    }

    async fn run(&self) -> Value {
        self.app.run(json!({ "task": "snapshot" }), self.now()).await.unwrap()
    }

    /// Reads the whole audit log as texts, in the order of its keys.
    async fn log(&self) -> Vec<String> {
        let name = object_name(self.direct.dialect(), LOG).unwrap();
        let statement = Statement::new("the log", format!("SELECT * FROM {name} ORDER BY audit_id"));
        let answer = self.direct.query(&statement).await.unwrap();
        answer.rows().map(|row| format!("{:?}", row.values())).collect()
    }

    async fn day(&self, date: &str) -> DayRow {
        let name = object_name(self.direct.dialect(), LOG).unwrap();
        let sql = format!("SELECT * FROM {name} WHERE audit_id = :id");
        let statement = Statement::new("a day", sql).bind("id", format!("day/properties/{date}"));
        let answer = self.direct.query(&statement).await.unwrap();
        DayRow::read_whole(&answer.only_row().unwrap()).unwrap()
    }

    /// Counts the runs of both syncs that began on the day.
    fn runs_of_day(&self) -> usize {
        let from = night() - hours(24) + SignedDuration::from_mins(1);
        self.stage.census.with_world(|world| {
            [CREATE, UPDATE]
                .iter()
                .flat_map(|sync| world.runs(*sync).collect::<Vec<_>>())
                .filter(|run| run.created_at >= from && run.created_at < from + hours(24))
                .count()
        })
    }

    async fn on_file(&self, sql: &str) {
        self.direct.execute(&Statement::new("the test's own", sql)).await.unwrap();
    }
}

fn notices(answer: &Value) -> Vec<String> {
    let text = |notice: &Value, key: &str| notice[key].as_str().unwrap().to_owned();
    let notices = answer["notices"].as_array().unwrap().iter();
    notices.map(|notice| format!("{} {}", text(notice, "kind"), text(notice, "incident"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn night_is_written_once_and_missed_nights_are_filled() {
    let night = Night::set().await;
    let first = night.run().await;
    let snapshot = &first["snapshot"];
    assert_eq!(snapshot["days"], json!(["2026-11-24", "2026-11-23"]), "{first}");
    assert_eq!(snapshot["updated"], 0);
    let table = first["table"].as_str().unwrap();
    assert!(table.contains("92%") && table.lines().count() == 3, "{table}");
    let of_day = night.runs_of_day();
    assert!(of_day > 140, "{of_day}");
    let log = night.log().await;
    assert_eq!(snapshot["inserted"], log.len());
    let today = night.day("2026-11-24").await;
    assert_eq!((today.data.total, today.data.synced), (Some(100), Some(92)));
    assert_eq!(today.execution_timestamp, night.now());
    assert_eq!(today.figures_missing.text().as_deref(), Some("runs: the day had not ended"));
    assert!(today.notes.as_deref().unwrap().starts_with(&format!("{of_day} runs: ")), "{today:?}");
    assert!(today.records.processed.unwrap() > 0 && today.records.error_rate.is_some(), "{today:?}");
    let yesterday = night.day("2026-11-23").await;
    assert_eq!(yesterday.figures_missing.text().as_deref(), Some("data: no longer available"));

    // Run again, and then 40 minutes late.
    let again = night.run().await;
    assert_eq!(
        (&again["snapshot"]["inserted"], &again["snapshot"]["updated"]),
        (&json!(0), &json!(0)),
        "{again}"
    );
    assert_eq!(night.log().await, log);
    night.stage.census.jump(SignedDuration::from_mins(40));
    let late = night.run().await;
    assert_eq!(late["snapshot"]["days"], json!(["2026-11-24", "2026-11-23"]), "{late}");
    assert_eq!(late["snapshot"]["inserted"], 0, "the day that has just begun is not written yet");
    assert_eq!(night.log().await.len(), log.len());
    let ended = night.day("2026-11-24").await;
    assert_eq!((ended.data, ended.figures_missing), (today.data, Missing::default()));

    // The function misses two nights.
    night.stage.census.jump(hours(72) - SignedDuration::from_mins(40));
    let fourth = night.run().await;
    let days = json!(["2026-11-27", "2026-11-26", "2026-11-25"]);
    assert_eq!(fourth["snapshot"]["days"], days, "{fourth}");
    let gap = night.day("2026-11-25").await;
    assert!(gap.records.processed.unwrap() > 0, "{gap:?}");
    assert_eq!(
        (gap.data, gap.figures_missing.text().as_deref()),
        (DataFigures::default(), Some("data: no longer available"))
    );
    assert_eq!((gap.incidents.opened, gap.incidents.resolved), (Some(0), Some(0)));
    let missing = fourth["snapshot"]["missing"].as_array().unwrap();
    assert!(missing.contains(&json!("2026-11-25: data: no longer available")), "{missing:?}");

    // A manual run writes one day, and refuses a future one.
    let one = json!({ "task": "snapshot", "date": "2026-11-24" });
    let by_hand = night.app.run(one, night.now()).await.unwrap();
    assert_eq!(
        (&by_hand["snapshot"]["days"], &by_hand["snapshot"]["updated"]),
        (&json!(["2026-11-24"]), &json!(0))
    );
    let future = json!({ "task": "snapshot", "date": "2026-11-29" });
    let error = night.app.run(future, night.now()).await.unwrap_err().to_string();
    assert!(error.contains("has not begun yet"), "{error}");
    assert_eq!(LONGEST_GAP, 31);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_write_leaves_no_half_row_and_the_next_round_completes() {
    let night = Night::set().await;
    // The statement that writes the day fails, after the one that writes its runs.
    night
        .on_file(
            "CREATE TRIGGER broken BEFORE INSERT ON `sfdc_dbx.sync_audit_log` WHEN NEW.row_kind = 'day' \
             BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
        )
        .await;
    let failed = night.run().await;
    assert_eq!(failed["snapshot"]["days"], json!([]), "{failed}");
    assert_eq!(failed["snapshot"]["left"], json!(["2026-11-24", "2026-11-23"]));
    assert_eq!(notices(&failed), ["opened properties/snapshot-written/syncwatch"]);
    let half = night.log().await;
    assert_eq!(half.len(), night.runs_of_day(), "the runs of the day were written");
    assert!(!half.iter().any(|row| row.contains("day/properties")), "no day before its runs");
    night.on_file("DROP TRIGGER broken").await;

    night.databricks.inflict(DatabricksFault::Unauthorized);
    let refused = night.run().await;
    assert_eq!(notices(&refused), ["opened properties/warehouse-reachable/warehouse"], "{refused}");
    assert_eq!(night.log().await, half);
    night.databricks.heal();

    let whole = night.run().await;
    assert_eq!(notices(&whole), ["resolved properties/snapshot-written/syncwatch"], "{whole}");
    let log = night.log().await;
    assert!(half.iter().all(|row| log.contains(row)), "existing rows are unchanged");
    assert_eq!(whole["snapshot"]["inserted"], log.len() - half.len());
    // The incidents that this night opened and resolved are in the day's figures from the next run on.
    night.run().await;
    let again = night.run().await;
    assert_eq!(
        (&again["snapshot"]["inserted"], &again["snapshot"]["updated"]),
        (&json!(0), &json!(0)),
        "{again}"
    );
    let day = night.day("2026-11-24").await;
    assert_eq!((day.incidents.opened, day.incidents.resolved), (Some(2), Some(1)), "{day:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_week_is_reported_and_leaves_data_figures_unchanged() {
    let night = Night::set().await;
    night.run().await;
    let before = night.day("2026-11-24").await;
    night
        .stage
        .census
        .inject(Fault::Fail {
            sync: CREATE,
            code: "INTERNAL_ERROR".to_owned(),
            message: "the source does not answer".to_owned(),
        })
        .unwrap();
    night.stage.census.inject(Fault::Reject { sync: UPDATE, percent: 50, message: None }).unwrap();
    night.stage.census.jump(hours(24));
    let answer = night.run().await;
    assert_eq!(notices(&answer), ["opened properties/success-rate/properties-create"], "{answer}");
    let after = night.day("2026-11-25").await;
    assert!(after.records.failed.unwrap() > before.records.failed.unwrap() + 1_000, "{after:?}");
    assert!(after.records.error_rate.unwrap() > 40.0, "{after:?}");
    assert_eq!(
        (after.data.null_companies, after.data.duplicates),
        (before.data.null_companies, before.data.duplicates),
        "failed runs do not change the data figures"
    );

    // A night without the warehouse sends one notice, and none about the unjudged success rate.
    night.databricks.inflict(DatabricksFault::Unauthorized);
    let down = night.run().await;
    assert_eq!(notices(&down), ["opened properties/warehouse-reachable/warehouse"], "{down}");
    night.databricks.heal();

    // When Census refuses us, the day is written without its runs; the next night adds them.
    night.stage.census.break_door(syncwatch_lab::census::HttpFault::Unauthorized);
    night.stage.census.jump(hours(24));
    let blind = night.run().await;
    assert_eq!(blind["snapshot"]["failure"], Value::Null, "{blind}");
    let day = night.day("2026-11-26").await;
    assert_eq!((day.records, day.data.total), (Records::default(), Some(100)), "{day:?}");
    assert!(day.figures_missing.text().unwrap().contains("runs: properties-create could not be read"));
    night.stage.census.heal_all();
    night.stage.census.jump(hours(24));
    night.run().await;
    let day = night.day("2026-11-26").await;
    // Only the counts of the failed runs are missing, because Census does not give them.
    let missing = day.figures_missing.text().unwrap();
    assert!(day.records.processed.unwrap() > 0 && missing.starts_with("records: 48 of 144"), "{day:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_health_view_is_reported_and_runs_are_still_written() {
    let night = Night::set().await;
    night.on_file("DROP VIEW `sfdc_dbx.daily_health_check`").await;
    let blind = night.run().await;
    assert_eq!(notices(&blind), ["opened properties/snapshot-written/syncwatch"], "{blind}");
    let text = blind["notices"][0].to_string();
    let unhealthy = blind["unhealthy"].to_string();
    assert!((text + &unhealthy).contains("lacks the state of the data"), "{blind}");
    assert_eq!(blind["snapshot"]["failure"], Value::Null);
    let day = night.day("2026-11-24").await;
    assert_eq!((day.data, day.records.processed.is_some()), (DataFigures::default(), true), "{day:?}");

    // 01:59: the view is restored, and the day still gets its figures.
    night
        .on_file(
            "CREATE VIEW `sfdc_dbx.daily_health_check` AS SELECT 7 AS total_properties, 7 AS synced_properties, \
             100.0 AS coverage_percentage, 0 AS create_queue_count, 0 AS update_queue_count, \
             0 AS null_company_count, 0 AS duplicate_count",
        )
        .await;
    night.stage.census.jump(hours(2));
    let restored = night.run().await;
    assert_eq!(notices(&restored), ["resolved properties/snapshot-written/syncwatch"], "{restored}");
    let day = night.day("2026-11-24").await;
    assert_eq!((day.data.total, day.figures_missing), (Some(7), Missing::default()));
}

/// The rows of a day on which both syncs ran once, with the records that they moved and the synced ones of 10,000.
fn past_day(date: Date, create: i64, update: i64, synced: i64) -> DayPlan {
    let run = |sync: &str, processed: i64| {
        let id = format!("run/{sync}/{date}");
        let records = Records { processed: Some(processed), failed: Some(0), ..Records::default() };
        let row = RunRow {
            audit_id: id,
            snapshot_date: date,
            sync_name: Some(sync.to_owned()),
            status: Some("completed".to_owned()),
            duration_seconds: Some(300),
            records,
            ..run_row(1, "")
        };
        (row, Change::Insert)
    };
    let data = DataFigures { total: Some(10_000), synced: Some(synced), ..DataFigures::default() };
    DayPlan {
        day: DayRow { audit_id: format!("day/properties/{date}"), snapshot_date: date, data, ..day_row() },
        day_change: Change::Insert,
        runs: vec![run("properties-create", create), run("properties-update", update)],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_that_died_and_a_leak_are_found_by_their_history() {
    let night = Night::set().await;
    let pipeline = pipeline();
    let snapshot = pipeline.snapshot.clone().unwrap();
    let statements = Statements::new("properties", &snapshot, night.direct.dialect()).unwrap();
    let yesterday: Date = "2026-11-23".parse().unwrap();
    let ago = |days: i64| yesterday - jiff::Span::new().days(days);
    // No limit sees either: coverage loses 0.06 points a day from 97.8%, and a sync that moved 400,000 records a day completes
    // with the few thousand of the lab.
    let rows: Vec<DayPlan> = (0..40)
        .map(|days: i64| {
            let wobble = days * 7 % 5;
            let synced = 9_550 + 6 * days + wobble % 2;
            let mut past = past_day(ago(days), 400_000 + 900 * wobble, 4_000 + 5 * wobble, synced);
            if days == 0 {
                past.runs.clear();
            }
            past
        })
        .collect();
    let asker = Asker::new(&night.direct, LIMIT);
    assert_eq!(act::write(asker, &statements, &rows).await.failure, None);
    let answer = night.run().await;
    let mut found = notices(&answer);
    found.sort();
    let opened =
        ["breach-forecast/properties", "unusual-coverage/properties", "unusual-volume/properties-create"];
    assert_eq!(found, opened.map(|key| format!("opened properties/{key}")), "{answer}");
    // The night reads the same day twice, and opens nothing twice.
    assert_eq!(notices(&night.run().await), [""; 0]);
    // Two hours later, the day that has just ended is judged, and is as bad.
    night.stage.census.jump(hours(2));
    let next = night.run().await;
    assert_eq!((notices(&next), &next["open_incidents"]), (Vec::new(), &json!(3)), "{next}");

    // A pipeline that only watches gets no notice.
    let other = Night::set().await;
    let watching = "[expectations]\n[expectations.checks]\nunusual-volume = \"watch\"\nunusual-coverage = \"watch\"\n\
                    breach-forecast = \"off\"\n";
    let text = include_str!("../../infra/pipeline.toml");
    let id = format!("warehouse_id = \"{WAREHOUSE_ID}\"");
    let text = format!("{}\n{watching}", text.replacen("warehouse_id = \"0123456789abcdef\"", &id, 1));
    let changed = [(env::DATABRICKS_URL.name, other.databricks.url())];
    let declared = Pipeline::parse(&text).unwrap();
    let site =
        other.stage.deployment.site("nightly-snapshot", declared, other.stage.aws.endpoint(), &changed);
    assert_eq!(act::write(Asker::new(&other.direct, LIMIT), &statements, &rows).await.failure, None);
    let watched = App(site.unwrap()).run(json!({ "task": "snapshot" }), other.now()).await.unwrap();
    assert_eq!(notices(&watched), [""; 0], "{watched}");
}

/// Runs a command of the operator against the night's stage and returns its JSON.
async fn command(night: &Night, line: &[&str]) -> Value {
    let topic = night.stage.deployment.topic_arn(&ResourceId::topic("notices")).unwrap();
    let settings = [
        (env::CENSUS_SECRET.name, "syncwatch/census-token"),
        (env::WAREHOUSE_SECRET.name, "syncwatch/warehouse"),
        (env::INCIDENTS_TABLE.name, "syncwatch-incidents"),
        (env::TOPIC_ARN.name, topic),
        (env::CENSUS_BASE_URL.name, night.stage.census.url()),
        (env::DATABRICKS_URL.name, night.databricks.url()),
    ];
    let sdk = Sdk::for_endpoint(night.stage.aws.endpoint()).unwrap();
    let operator = Operator::with(Env::from_map(settings), pipeline(), sdk, night.now());
    let command = Command::parse(line).unwrap();
    operator.carry_out(&command, &mut |_| {}).await.unwrap().json
}

/// A metric of the scoreboard: its value or the reason for none, and its outcome.
fn metric(scores: &Value, id: &str) -> (String, String) {
    let metrics = scores["metrics"].as_array().unwrap();
    let found = metrics.iter().find(|metric| metric["metric"] == id).unwrap();
    let value = if found["value"].is_null() { &found["reason"] } else { &found["value"] };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    (text(value), text(&found["outcome"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn scoreboard_rests_on_what_the_functions_recorded() {
    let night = Night::set().await;
    let pipeline = pipeline();
    let snapshot = pipeline.snapshot.clone().unwrap();
    let statements = Statements::new("properties", &snapshot, night.direct.dialect()).unwrap();
    let last: Date = "2026-11-23".parse().unwrap();
    let past: Vec<DayPlan> =
        (0..40).map(|days: i64| past_day(last - jiff::Span::new().days(days), 400, 40, 9_700)).collect();
    let asker = Asker::new(&night.direct, LIMIT);
    assert_eq!(act::write(asker, &statements, &past).await.failure, None);

    // Before any round: figures of the audit log only, and the rest unknown with its reason.
    let scores = command(&night, &["scoreboard"]).await;
    assert_eq!((&scores["day"], &scores["ready"]), (&json!("2026-11-23"), &json!("not-ready")), "{scores}");
    assert_eq!(metric(&scores, "coverage"), ("97.0".to_owned(), "met".to_owned()));
    assert_eq!(metric(&scores, "success-rate"), ("100.0".to_owned(), "met".to_owned()));
    let (acts, unknown) = metric(&scores, "days-unattended");
    assert!(acts.contains("runs started by hand: not recorded yet") && unknown == "unknown", "{acts}");
    assert!(metric(&scores, "lag").0.starts_with("no lag measured on"), "{scores}");

    // Both rounds of a night, the checks, and a week of rounds with one pause that is acknowledged.
    let site = |function: &str| {
        let changed = [(env::DATABRICKS_URL.name, night.databricks.url())];
        night.stage.deployment.site(function, pipeline.clone(), night.stage.aws.endpoint(), &changed).unwrap()
    };
    let verify = schedule_verification::App(site("schedule-verification"));
    let validate = daily_validation::App::new(site("daily-validation"));
    let round = async || verify.run(json!({ "task": "verify" }), night.now()).await.unwrap();
    round().await;
    for _ in 0..8 {
        night.run().await;
        night.stage.census.jump(hours(2));
        night.run().await;
        night.stage.census.jump(hours(1));
        validate.run(json!({ "task": "validate" }), night.now()).await.unwrap();
        round().await;
        night.stage.census.jump(hours(21));
    }
    let pause = Fault::Pause { sync: CREATE };
    night.stage.census.with_world(|world| pause.inject(world)).unwrap();
    let answer = round().await;
    let key = "properties/sync-paused/properties-create";
    assert!(answer["notices"].to_string().contains(key), "{answer}");
    command(&night, &["acknowledge", key, "--by", "Ada", "--for", "8h"]).await;
    night.stage.census.with_world(|world| pause.heal(world));
    night.stage.census.jump(SignedDuration::from_mins(40));
    night.run().await;
    night.stage.census.jump(hours(2));
    night.run().await;
    night.stage.census.jump(hours(1));
    validate.run(json!({ "task": "validate" }), night.now()).await.unwrap();

    let scores = command(&night, &["scoreboard"]).await;
    for id in ["alert-delay", "lag", "recovery-mean"] {
        assert_ne!(metric(&scores, id).1, "unknown", "{id}: {scores}");
    }
    let (notices, outcome) = metric(&scores, "notices");
    assert!(notices.parse::<f64>().unwrap() >= 1.0 && outcome == "no-goal", "{scores}");
    assert_eq!(metric(&scores, "days-unattended"), ("0.0".to_owned(), "not-met".to_owned()), "{scores}");
    // A run without a slot may be one by hand: Census's newer answers do not state it.
    night.stage.census.with_world(|world| world.trigger(UPDATE, false)).unwrap();
    night.run().await;
    let scores = command(&night, &["scoreboard"]).await;
    let (acts, unknown) = metric(&scores, "days-unattended");
    assert!(acts.contains("Census does not state how the run of") && unknown == "unknown", "{acts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn advice_rests_on_the_runs_that_census_returns() {
    let night = Night::set().await;
    let advice = command(&night, &["advise"]).await;
    let syncs = advice["syncs"].as_array().unwrap();
    let keys: Vec<&str> = syncs.iter().map(|sync| sync["sync"].as_str().unwrap()).collect();
    assert_eq!(keys, ["properties-create", "properties-update"], "{advice}");
    for sync in syncs {
        let runs = sync["runs"].as_u64().unwrap();
        assert!(
            (10..=100).contains(&runs) && sync["typical_seconds"]["value"].as_f64().unwrap() > 0.0,
            "{advice}"
        );
        assert!(["met", "missed", "unclear"].contains(&sync["target"].as_str().unwrap()), "{advice}");
    }
    let one = command(&night, &["advise", "properties-update"]).await;
    assert_eq!(one["syncs"].as_array().unwrap().len(), 1, "{one}");
}

/// Four weeks of runs of the update sync, every 15 minutes until the night before, each of which moved records.
fn usual_weeks(zone: &TimeZone) -> Vec<DayPlan> {
    let (_, end) = bounds(day(), day(), zone);
    let quarters = (4 * 24 + 1..28 * 4 * 24).map(|quarter| end - SignedDuration::from_mins(15) * quarter);
    let runs: Vec<RunRow> = quarters
        .map(|began| {
            let id = format!("run/properties-update/{}", began.as_second());
            let (snapshot_date, sync_name) = (day_of(began, zone), Some("properties-update".to_owned()));
            let status = Some("completed".to_owned());
            RunRow {
                audit_id: id,
                snapshot_date,
                sync_name,
                status,
                execution_timestamp: began,
                ..run_row(2, "")
            }
        })
        .collect();
    let dates: BTreeSet<Date> = runs.iter().map(|run| run.snapshot_date).collect();
    let of_day = |date: Date| DayPlan {
        day: DayRow { audit_id: format!("day/properties/{date}"), snapshot_date: date, ..day_row() },
        day_change: Change::Insert,
        runs: runs
            .iter()
            .filter(|run| run.snapshot_date == date)
            .map(|run| (run.clone(), Change::Insert))
            .collect(),
    };
    dates.into_iter().map(of_day).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_that_succeeds_without_records_is_found_within_the_day() {
    let night = Night::set().await;
    let (pipeline, deployment) = (pipeline(), &night.stage.deployment);
    let snapshot = pipeline.snapshot.clone().unwrap();
    let statements = Statements::new("properties", &snapshot, night.direct.dialect()).unwrap();
    let weeks = usual_weeks(&pipeline.time_zone);
    assert_eq!(act::write(Asker::new(&night.direct, LIMIT), &statements, &weeks).await.failure, None);
    // 01:59: the snapshot learns the usual runs until the day that has ended.
    night.stage.census.jump(hours(2));
    night.run().await;

    let poll = async || {
        let site =
            deployment.site("schedule-verification", pipeline.clone(), night.stage.aws.endpoint(), &[]);
        let app = schedule_verification::App(site.unwrap());
        let round = app.run(json!({ "task": "verify" }), night.now()).await.unwrap();
        let of_check = |notice: &String| notice.contains("/silent-runs/") && !notice.starts_with("reminder");
        (notices(&round).into_iter().filter(of_check).collect::<Vec<_>>(), round)
    };
    let (found, round) = poll().await;
    assert_eq!(found, [""; 0], "{round}");
    let unjudged = round.to_string();
    assert!(!unjudged.contains("silent-runs properties-update: not evaluated"), "{unjudged}");

    let empty = Fault::SelectNothing { sync: UPDATE };
    night.stage.census.inject(empty.clone()).unwrap();
    let mut quarters = 0;
    let opened = loop {
        night.stage.census.jump(SignedDuration::from_mins(15));
        quarters += 1;
        let (found, _) = poll().await;
        if !found.is_empty() || quarters == 12 {
            break found;
        }
    };
    assert_eq!(opened, ["opened properties/silent-runs/properties-update"]);
    // The eighth run without records; each has ended some minutes after its quarter.
    assert!((8..=9).contains(&quarters), "{quarters}");
    // It stays open through the next night, whose item knows of it, and ends with the first run that moves records.
    night.stage.census.jump(hours(22));
    assert_eq!(poll().await.0, [""; 0]);
    night.run().await;
    night.stage.census.jump(SignedDuration::from_mins(15));
    let (found, round) = poll().await;
    assert_eq!((found, round["open_incidents"].as_u64() > Some(0)), (Vec::new(), true), "{round}");
    night.stage.census.with_world(|world| empty.heal(world));
    night.stage.census.jump(SignedDuration::from_mins(30));
    assert_eq!(poll().await.0, ["resolved properties/silent-runs/properties-update"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_of_remedies_are_rows_of_the_audit_log() {
    let night = Night::set().await;
    let store = IncidentStore::new(
        Sdk::for_endpoint(night.stage.aws.endpoint()).unwrap().dynamodb(),
        "syncwatch-incidents",
    );
    let acted = night.now() - hours(3);
    let plan = Plan {
        kind: RemedyKind::Resume,
        target: Target::Sync { key: "properties-update".to_owned(), id: SyncId(UPDATE), creates: false },
        incident: IncidentKey::parse("properties/sync-paused/properties-update").unwrap(),
        opened_at: acted - hours(1),
        why: "paused".to_owned(),
        effect: String::new(),
        cost: String::new(),
        undo: String::new(),
        approvals: 1,
    };
    let proposed = Record::begin(plan.clone(), 1, acted);
    let approved = proposed.approved("arn:aws:iam::123456789012:user/ada", acted).unwrap();
    let mut healed = approved.to(RemedyState::Acting, "all gates are open", acted).unwrap();
    healed.acted_at = Some(acted);
    let healed = healed.to(RemedyState::Verifying, "accepted", acted).unwrap();
    let healed = healed.to(RemedyState::Healed, "run 7 completed", acted + hours(1)).unwrap();
    let waiting = Record::begin(Plan { kind: RemedyKind::Wait, ..plan }, 2, acted);
    for record in [Record { version: 1, ..healed }, waiting] {
        assert!(store.put_remedy("properties", &record, night.now()).await.unwrap());
    }
    let acts = async || -> Vec<String> {
        night.log().await.into_iter().filter(|row| row.contains("remedy/")).collect()
    };
    night.run().await;
    let [act] = &acts().await[..] else { panic!("one remedy acted: {:?}", acts().await) };
    let parts =
        ["properties-update", "resume", "healed", "3600", "run 7 completed", "approved by arn:aws:iam"];
    assert!(parts.iter().all(|part| act.contains(part)), "{act}");
    let before = acts().await;
    night.run().await;
    assert_eq!(acts().await, before, "written again, it is the same row");
}
