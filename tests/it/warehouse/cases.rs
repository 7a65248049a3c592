//! The cases, and the engines that must pass them.

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::civil::{Date, date};
use jiff::{Timestamp, Zoned};
use syncwatch::baseline::{Definition, Part, Relations, What, diff};
use syncwatch::data_checks::object_name;
use syncwatch::sql::{Answer, Decimal, Dialect, Error, ErrorKind, Statement};
use syncwatch::warehouse::{Limits, TextEncoding, Warehouse};

use super::engines::Engine;

pub(super) type Case = for<'e> fn(&'e Engine) -> BoxFuture<'e, ()>;

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        &[$((stringify!($name), |engine| Box::pin($name(engine)))),*]
    };
}

/// Cases for every engine.
pub(super) const BOTH: &[(&str, Case)] = cases![
    values_of_every_type_round_trip,
    nulls_of_every_type_round_trip,
    text_of_all_kinds_round_trips_in_both_encodings,
    instants_are_stored_in_utc_across_clock_changes,
    integer_division_returns_an_integer,
    empty_answer_has_its_columns,
    missing_object_is_named,
    comments_are_not_part_of_the_statement,
    syntax_error_is_reported_without_the_statement,
    slow_statement_times_out_and_does_not_block_the_next,
    abandoned_statement_does_not_block_the_next,
    only_more_rows_than_the_limit_are_an_error,
    long_value_is_never_cut,
    wrong_type_error_names_types_without_the_value,
    several_writes_are_atomic,
    duplicate_key_error_hides_the_key,
    quotes_and_semicolons_in_names_and_values_are_literal,
    missing_driver_error_names_its_path,
    concurrent_statements_take_turns,
    definition_of_a_view_is_read_and_its_changes_are_found,
];

/// Cases for SQLite only.
pub(super) const SQLITE: &[(&str, Case)] = cases![
    misspelt_column_is_missing_and_not_a_string,
    each_value_is_of_its_own_type,
    unopenable_file_is_unreachable,
];

/// Cases for a server only. The last one stops it.
pub(super) const POSTGRESQL: &[(&str, Case)] = cases![
    missing_grant_is_permission_denied,
    revoked_grant_and_new_owner_are_found,
    refused_password_error_hides_the_password,
    nonexistent_database_is_missing,
    cancelled_statement_is_reported_as_cancelled,
    connection_lost_while_idle_is_replaced,
    crashed_server_is_unreachable_and_used_again_after_restart,
];

fn statement(sql: impl Into<String>) -> Statement {
    Statement::new("the test", sql)
}

async fn query(warehouse: &Warehouse, sql: &str) -> Result<Answer, Error> {
    warehouse.query(&statement(sql)).await
}

/// Runs a statement with one row and returns its column `n`.
async fn number(warehouse: &Warehouse, statement: &Statement) -> i64 {
    warehouse.query(statement).await.unwrap().only_row().unwrap().get("n").unwrap()
}

/// Counts to 30 million, which takes every engine many seconds.
const SLOW: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000000) SELECT COUNT(*) AS n FROM n";

fn rows(count: u32) -> String {
    format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n ORDER BY i"
    )
}

async fn make_types(engine: &Engine, table: &str) {
    engine
        .prepare(&[&format!(
            "CREATE TABLE {table} (i BIGINT, x DOUBLE PRECISION, d NUMERIC(30, 6), s VARCHAR(200), b BOOLEAN, day DATE, at {})",
            engine.instant
        )])
        .await;
}

async fn values_of_every_type_round_trip(engine: &Engine) {
    make_types(engine, "typed").await;
    let warehouse = engine.warehouse();
    let decimal = Decimal::parse("1234567.890625").unwrap();
    let day: Date = date(2026, 3, 8);
    let at: Timestamp = "2026-03-08T10:00:00.250001Z".parse().unwrap();
    let bound = |sql: &str| {
        statement(sql)
            .bind("i", i64::MIN + 1)
            .bind("x", -0.125)
            .bind("d", decimal.clone())
            .bind("s", "Grüße")
            .bind("b", true)
            .bind("day", day)
            .bind("at", at)
    };
    let insert = bound("INSERT INTO typed (i, x, d, s, b, day, at) VALUES (:i, :x, :d, :s, :b, :day, :at)");
    assert_eq!(warehouse.execute(&insert).await, Ok(Some(1)));
    let select = bound(
        "SELECT i, x, d, s, b, day, at FROM typed
         WHERE i = :i AND x = :x AND d = :d AND s = :s AND b = :b AND day = :day AND at = :at",
    );
    let answer = warehouse.query(&select).await.unwrap();
    let row = answer.only_row().unwrap();
    assert_eq!(row.get::<i64>("i").unwrap(), i64::MIN + 1);
    assert_eq!(row.get::<f64>("x").unwrap().to_bits(), (-0.125_f64).to_bits());
    assert_eq!(row.get::<Decimal>("d").unwrap(), decimal);
    assert_eq!(row.get::<String>("s").unwrap(), "Grüße");
    assert!(row.get::<bool>("b").unwrap());
    assert_eq!(row.get::<Date>("day").unwrap(), day);
    assert_eq!(row.get::<Timestamp>("at").unwrap(), at);
    // An aggregate may have another type than its column, but the same value.
    let answer =
        query(&warehouse, "SELECT COUNT(*) AS c, SUM(i) AS s, MAX(at) AS at, MAX(day) AS day FROM typed")
            .await
            .unwrap();
    let row = answer.only_row().unwrap();
    assert_eq!((row.get::<i64>("c").unwrap(), row.get::<i64>("s").unwrap()), (1, i64::MIN + 1));
    assert_eq!((row.get::<Timestamp>("at").unwrap(), row.get::<Date>("day").unwrap()), (at, day));
}

async fn nulls_of_every_type_round_trip(engine: &Engine) {
    make_types(engine, "empty_ones").await;
    let warehouse = engine.warehouse();
    let insert =
        statement("INSERT INTO empty_ones (i, x, d, s, b, day, at) VALUES (:i, :x, :d, :s, :b, :day, :at)")
            .bind("i", None::<i64>)
            .bind("x", None::<f64>)
            .bind("d", None::<Decimal>)
            .bind("s", None::<String>)
            .bind("b", None::<bool>)
            .bind("day", None::<Date>)
            .bind("at", None::<Timestamp>);
    warehouse.execute(&insert).await.unwrap();
    let answer = query(&warehouse, "SELECT * FROM empty_ones").await.unwrap();
    let row = answer.only_row().unwrap();
    assert_eq!(row.get::<Option<i64>>("i").unwrap(), None);
    assert_eq!(row.get::<Option<f64>>("x").unwrap(), None);
    assert_eq!(row.get::<Option<Decimal>>("d").unwrap(), None);
    assert_eq!(row.get::<Option<String>>("s").unwrap(), None);
    assert_eq!(row.get::<Option<bool>>("b").unwrap(), None);
    assert_eq!(row.get::<Option<Date>>("day").unwrap(), None);
    assert_eq!(row.get::<Option<Timestamp>>("at").unwrap(), None);
    assert!(matches!(row.get::<i64>("i").unwrap_err().kind, ErrorKind::WrongType { found: "NULL", .. }));
    // A NULL in the first row does not set the type of the other rows.
    warehouse.execute(&statement("INSERT INTO empty_ones (i, s) VALUES (7, 'seven')")).await.unwrap();
    let answer =
        query(&warehouse, "SELECT i, s FROM empty_ones ORDER BY CASE WHEN i IS NULL THEN 0 ELSE 1 END")
            .await
            .unwrap();
    let last = answer.rows().last().unwrap();
    assert_eq!((last.get::<i64>("i").unwrap(), last.get::<String>("s").unwrap()), (7, "seven".to_owned()));
}

async fn text_of_all_kinds_round_trips_in_both_encodings(engine: &Engine) {
    engine.prepare(&["CREATE TABLE texts (id BIGINT, s TEXT)"]).await;
    let long = "ä🙂'".repeat(1_000);
    let texts = [
        "",
        " ",
        "it's",
        "a;b--c/*d*/",
        "\\",
        "\"`[]{}",
        ":a ?",
        "😀 אבג 中文 e\u{301}",
        "line\nbreak\ttab",
        "%_",
        &long,
    ];
    for (encoding, base) in [(TextEncoding::Narrow, 0_i64), (TextEncoding::Wide, 100)] {
        let warehouse = engine.warehouse_with(|settings| settings.encoding = encoding);
        for (id, text) in (base..).zip(texts) {
            let insert =
                statement("INSERT INTO texts (id, s) VALUES (:id, :s)").bind("id", id).bind("s", text);
            warehouse.execute(&insert).await.unwrap();
            let select =
                statement("SELECT s FROM texts WHERE id = :id AND s = :s").bind("id", id).bind("s", text);
            let answer = warehouse.query(&select).await.unwrap();
            assert_eq!(answer.only_row().unwrap().get::<String>("s").unwrap(), text, "{encoding:?}");
        }
    }
    // The text may also be in the SQL itself.
    let answer = query(&engine.warehouse(), "SELECT 'grüße 😀' AS s").await.unwrap();
    assert_eq!(answer.only_row().unwrap().get::<String>("s").unwrap(), "grüße 😀");
}

async fn instants_are_stored_in_utc_across_clock_changes(engine: &Engine) {
    engine.prepare(&[&format!("CREATE TABLE instants (at {})", engine.instant)]).await;
    let warehouse = engine.warehouse();
    let bounds = |day: Date| -> [Timestamp; 2] {
        let midnight = |day: Date| -> Zoned { day.in_tz("America/Los_Angeles").unwrap() };
        [midnight(day).timestamp(), midnight(day.tomorrow().unwrap()).timestamp()]
    };
    for (day, hours) in
        [(date(2026, 3, 8), 23), (date(2026, 7, 1), 24), (date(2026, 11, 1), 25), (date(2026, 12, 31), 24)]
    {
        let [from, until] = bounds(day);
        assert_eq!(until.duration_since(from).as_hours(), hours);
        warehouse.execute(&statement("DELETE FROM instants")).await.unwrap();
        // One instant each quarter of an hour, from an hour before the day to an hour after it.
        let mut at = from - Duration::from_secs(3_600);
        let mut wanted = Vec::new();
        while at < until + Duration::from_secs(3_600) {
            wanted.push(at);
            at += Duration::from_secs(900);
        }
        // The last instant of the day is a microsecond before the next day.
        wanted.push(until - Duration::from_micros(1));
        wanted.sort();
        let inserts: Vec<Statement> = wanted
            .iter()
            .map(|at| statement("INSERT INTO instants (at) VALUES (:at)").bind("at", *at))
            .collect();
        warehouse.execute_all(&inserts).await.unwrap();
        let answer = query(&warehouse, "SELECT at FROM instants ORDER BY at").await.unwrap();
        let read: Vec<Timestamp> = answer.rows().map(|row| row.get("at").unwrap()).collect();
        assert_eq!(read, wanted, "{day}");
        let today = statement("SELECT COUNT(*) AS n FROM instants WHERE at >= :from AND at < :until")
            .bind("from", from)
            .bind("until", until);
        assert_eq!(number(&warehouse, &today).await, hours * 4 + 1, "{day}");
    }
}

async fn integer_division_returns_an_integer(engine: &Engine) {
    let answer = query(&engine.warehouse(), "SELECT 1 / 2 AS whole, 1.0 * 1 / 2 AS half").await.unwrap();
    let row = answer.only_row().unwrap();
    assert_eq!(row.get::<i64>("whole").unwrap(), 0);
    assert!((row.get::<f64>("half").unwrap() - 0.5).abs() < f64::EPSILON);
}

async fn empty_answer_has_its_columns(engine: &Engine) {
    engine.prepare(&["CREATE TABLE no_rows (id BIGINT, s TEXT)"]).await;
    let answer = query(&engine.warehouse(), "SELECT id, s AS \"text\" FROM no_rows").await.unwrap();
    assert!(answer.is_empty());
    assert_eq!(
        answer.columns().iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
        ["id", "text"]
    );
    assert!(matches!(answer.only_row().unwrap_err().kind, ErrorKind::NotTheForm { .. }));
    let deleted = engine.warehouse().execute(&statement("DELETE FROM no_rows")).await;
    assert_eq!(deleted, Ok(Some(0)));
}

async fn missing_object_is_named(engine: &Engine) {
    engine.prepare(&["CREATE TABLE here (id BIGINT)"]).await;
    let warehouse = engine.warehouse();
    for (sql, name) in [
        ("SELECT id FROM no_such_view", "no_such_view"),
        ("SELECT no_such_column FROM here", "no_such_column"),
    ] {
        let error = query(&warehouse, sql).await.unwrap_err();
        assert!(
            matches!(error.kind, ErrorKind::MissingObject { .. }) && !error.kind.is_transient(),
            "{error}"
        );
        let text = error.to_string();
        assert!(text.contains(name) && text.starts_with("the test: an object is missing ("), "{text}");
    }
    // The connection still works.
    assert_eq!(number(&warehouse, &statement("SELECT 1 AS n")).await, 1);
}

async fn comments_are_not_part_of_the_statement(engine: &Engine) {
    let sql = "SELECT -- isn't it? :a\n CAST(:n AS BIGINT) AS n /* it isn't; \" ? */";
    assert_eq!(number(&engine.warehouse(), &statement(sql).bind("n", 7_i64)).await, 7);
}

async fn syntax_error_is_reported_without_the_statement(engine: &Engine) {
    let warehouse = engine.warehouse();
    let error = query(&warehouse, "SELCT 's3cret'").await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Sql { .. }) && !error.kind.is_transient(), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
    let error = query(&warehouse, "SELECT :a").await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::InvalidStatement { .. }), "{error}");
}

async fn slow_statement_times_out_and_does_not_block_the_next(engine: &Engine) {
    let warehouse = engine.warehouse_with(|settings| settings.limits.time = Duration::from_secs(1));
    assert_eq!(number(&warehouse, &statement("SELECT 1 AS n")).await, 1);
    // The same statement, begun earlier without a limit: while it runs, the other one cannot have finished by itself.
    let (patient, slow) = (engine.warehouse(), statement(SLOW));
    let mut same = Box::pin(patient.query(&slow));
    assert!(futures::poll!(&mut same).is_pending());
    let error = query(&warehouse, SLOW).await.unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::Timeout { seconds: 1, .. }) && error.kind.is_transient(),
        "{error}"
    );
    assert_eq!(number(&warehouse, &statement("SELECT 2 AS n")).await, 2);
    assert!(futures::poll!(&mut same).is_pending(), "waited for the slow statement");
}

async fn abandoned_statement_does_not_block_the_next(engine: &Engine) {
    let warehouse = engine.warehouse_with(|settings| settings.limits.time = Duration::from_secs(1));
    let (patient, slow) = (engine.warehouse(), statement(SLOW));
    let mut same = Box::pin(patient.query(&slow));
    let mut asked = Box::pin(warehouse.query(&slow));
    assert!(futures::poll!(&mut same).is_pending() && futures::poll!(&mut asked).is_pending());
    drop(asked);
    assert_eq!(number(&warehouse, &statement("SELECT 2 AS n")).await, 2);
    assert!(futures::poll!(&mut same).is_pending(), "waited for the slow statement");
}

async fn only_more_rows_than_the_limit_are_an_error(engine: &Engine) {
    let warehouse =
        engine.warehouse_with(|settings| settings.limits = Limits { rows: 1_500, ..Limits::default() });
    let answer = query(&warehouse, &rows(1_500)).await.unwrap();
    let numbers: Vec<i64> = answer.rows().map(|row| row.get("i").unwrap()).collect();
    assert_eq!(numbers, (1..=1_500).collect::<Vec<_>>());
    for count in [1_501, 200_000] {
        let error = query(&warehouse, &rows(count)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the test: returned more than 1500 rows; narrow the query, or count in the warehouse",
            "{count}"
        );
    }
    assert_eq!(number(&warehouse, &statement("SELECT 1 AS n")).await, 1);
}

async fn long_value_is_never_cut(engine: &Engine) {
    engine.prepare(&["CREATE TABLE long_ones (s TEXT)"]).await;
    let text = "x".repeat(1_000);
    let insert = statement("INSERT INTO long_ones (s) VALUES (:s)").bind("s", text.as_str());
    engine.warehouse().execute_all(&[insert.clone(), insert]).await.unwrap();
    for encoding in [TextEncoding::Narrow, TextEncoding::Wide] {
        let with = |value_bytes: usize, bytes: usize| {
            engine.warehouse_with(|settings| {
                settings.encoding = encoding;
                settings.limits = Limits { value_bytes, bytes, ..Limits::default() };
            })
        };
        let answer = query(&with(2_000, 2_000), "SELECT s FROM long_ones").await.unwrap();
        assert!(answer.rows().all(|row| row.get::<String>("s").unwrap() == text));
        let error = query(&with(998, 9_000), "SELECT s FROM long_ones").await.unwrap_err().to_string();
        assert_eq!(
            error, "the test: a value of column s has more than 998 bytes; select less",
            "{encoding:?}"
        );
        let error = query(&with(2_000, 1_999), "SELECT s FROM long_ones").await.unwrap_err().to_string();
        assert_eq!(error, "the test: the answer has more than 1999 bytes; select less", "{encoding:?}");
    }
}

async fn wrong_type_error_names_types_without_the_value(engine: &Engine) {
    let answer = query(&engine.warehouse(), "SELECT 's3cret' AS company").await.unwrap();
    let row = answer.only_row().unwrap();
    for error in [
        row.get::<i64>("company").unwrap_err(),
        row.get::<f64>("company").unwrap_err(),
        row.get::<Timestamp>("company").unwrap_err(),
        row.get::<bool>("company").unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(
            text.starts_with("the test: column company holds text, expected ") && !text.contains("s3cret"),
            "{text}"
        );
    }
}

async fn several_writes_are_atomic(engine: &Engine) {
    engine.prepare(&["CREATE TABLE audit (id BIGINT PRIMARY KEY, s TEXT)"]).await;
    let warehouse = engine.warehouse();
    let insert = |id: i64| statement("INSERT INTO audit (id, s) VALUES (:id, 'x')").bind("id", id);
    let count = statement("SELECT COUNT(*) AS n FROM audit");
    for broken in [insert(1), statement("INSERT INTO no_such_table VALUES (1)"), statement("SELECT :a")] {
        warehouse.execute_all(&[insert(1), insert(2), broken]).await.unwrap_err();
        assert_eq!(number(&warehouse, &count).await, 0);
    }
    let affected =
        warehouse.execute_all(&[insert(1), insert(2), statement("UPDATE audit SET s = 'y'")]).await;
    assert_eq!(affected, Ok(vec![Some(1), Some(1), Some(2)]));
    assert_eq!(number(&engine.warehouse(), &count).await, 2);
    assert_eq!(warehouse.execute_all(&[]).await, Ok(vec![]));
    // A single statement commits by itself again.
    warehouse.execute(&insert(3)).await.unwrap();
    assert_eq!(number(&engine.warehouse(), &count).await, 3);
}

async fn duplicate_key_error_hides_the_key(engine: &Engine) {
    engine.prepare(&["CREATE TABLE keyed (id VARCHAR(50) PRIMARY KEY)"]).await;
    let warehouse = engine.warehouse();
    let insert = statement("INSERT INTO keyed (id) VALUES (:id)").bind("id", "mary.s3cret");
    warehouse.execute(&insert).await.unwrap();
    let error = warehouse.execute(&insert).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Sql { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    // ON CONFLICT DO NOTHING makes an insert idempotent on both engines.
    let again =
        statement("INSERT INTO keyed (id) VALUES (:id) ON CONFLICT DO NOTHING").bind("id", "mary.s3cret");
    assert_eq!(warehouse.execute(&again).await, Ok(Some(0)));
}

async fn quotes_and_semicolons_in_names_and_values_are_literal(engine: &Engine) {
    let quote = |name: &str| engine.dialect().quote(name).unwrap();
    // SQLite's driver misreads some characters, so names with them are refused.
    let (table, column) = match engine.dialect() {
        Dialect::Sqlite => (quote("we`ird DROP TABLE guarded -- 😀"), quote("a`b:c:d [e]")),
        _ => (quote("we\"ird`; DROP TABLE guarded; -- 😀"), quote("a\"b`c:d? {e}")),
    };
    engine
        .prepare(&["CREATE TABLE guarded (id BIGINT)", &format!("CREATE TABLE {table} ({column} TEXT)")])
        .await;
    let warehouse = engine.warehouse();
    let evil = "'; DROP TABLE guarded; --";
    let insert = statement(format!("INSERT INTO {table} ({column}) VALUES (:v)")).bind("v", evil);
    warehouse.execute(&insert).await.unwrap();
    let select = statement(format!("SELECT {column} AS v FROM {table} WHERE {column} = :v")).bind("v", evil);
    let answer = warehouse.query(&select).await.unwrap();
    assert_eq!(answer.only_row().unwrap().get::<String>("v").unwrap(), evil);
    assert_eq!(number(&warehouse, &statement("SELECT COUNT(*) AS n FROM guarded")).await, 0);
}

async fn missing_driver_error_names_its_path(engine: &Engine) {
    let warehouse = engine.warehouse_with(|settings| settings.driver = "/nowhere/libdriver.so".to_owned());
    let error = query(&warehouse, "SELECT 1").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the test: the ODBC driver is missing (/nowhere/libdriver.so cannot be loaded); install it, or correct its path"
    );
}

async fn concurrent_statements_take_turns(engine: &Engine) {
    let warehouse = engine.warehouse();
    let numbers: Vec<i64> = (0..20).collect();
    let statements: Vec<Statement> =
        numbers.iter().map(|i| statement("SELECT CAST(:i AS BIGINT) AS n").bind("i", *i)).collect();
    let answers =
        futures::future::join_all(statements.iter().map(|statement| number(&warehouse, statement))).await;
    assert_eq!(answers, numbers);
}

async fn misspelt_column_is_missing_and_not_a_string(engine: &Engine) {
    engine.prepare(&["CREATE TABLE spelt (name TEXT)"]).await;
    let column = engine.dialect().quote("nmae").unwrap();
    let error = query(&engine.warehouse(), &format!("SELECT {column} FROM spelt")).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::MissingObject { .. }), "{error}");
}

async fn each_value_is_of_its_own_type(engine: &Engine) {
    engine
        .prepare(&[
            "CREATE TABLE mixed (id BIGINT, v)",
            "INSERT INTO mixed VALUES (1, 5), (2, 2.5), (3, 'many')",
        ])
        .await;
    let answer = query(&engine.warehouse(), "SELECT v FROM mixed ORDER BY id").await.unwrap();
    let rows: Vec<_> = answer.rows().collect();
    assert_eq!(rows[0].get::<i64>("v").unwrap(), 5);
    assert!((rows[1].get::<f64>("v").unwrap() - 2.5).abs() < f64::EPSILON);
    assert_eq!(rows[2].get::<String>("v").unwrap(), "many");
    assert!(matches!(rows[2].get::<f64>("v").unwrap_err().kind, ErrorKind::WrongType { .. }));
}

async fn unopenable_file_is_unreachable(engine: &Engine) {
    let warehouse =
        engine.warehouse_with(|settings| *settings = settings.clone().with("Database", "/nowhere/at/all.db"));
    let error = query(&warehouse, "SELECT 1").await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Unreachable { .. }), "{error}");
}

/// Reads the definition of relations, named as in `pipeline.toml`.
async fn definition(engine: &Engine, names: &[&str]) -> Definition {
    let (warehouse, relations) =
        (engine.warehouse(), Relations::new(names.iter().copied().collect(), engine.dialect()));
    let mut answers = Vec::new();
    for read in relations.reads().unwrap() {
        let answer = warehouse.query(&read.statement).await.map_err(|error| error.to_string());
        answers.push((read, answer));
    }
    Definition { relations: relations.found(&answers), ..Definition::default() }
}

fn changes(engine: &Engine, before: &Definition, after: &Definition) -> Vec<String> {
    diff(before, after, engine.dialect()).iter().map(ToString::to_string).collect()
}

async fn definition_of_a_view_is_read_and_its_changes_are_found(engine: &Engine) {
    let (table, view) = ("crm.public.owned", "crm.public.Owned View");
    let names = [table, view, "crm.public.missing"];
    let [table_sql, view_sql] = [table, view].map(|name| object_name(engine.dialect(), name).unwrap());
    let create =
        |select: &str| format!("CREATE VIEW {view_sql} AS {select} FROM {table_sql} WHERE name <> 'secret'");
    engine
        .prepare(&[
            &format!("CREATE TABLE {table_sql} (id BIGINT, name VARCHAR(20), late INTEGER)"),
            &create("SELECT id, name"),
        ])
        .await;
    let first = definition(engine, &names).await;
    // Only the warehouse is read.
    let unknown = first.unknown();
    assert!(unknown.iter().all(|(part, _)| part.starts_with("deployment: ")), "{unknown:?}");
    assert_eq!(first.relations.keys().map(String::as_str).collect::<Vec<_>>(), [view, table]);
    let Part::Known(of_table) = &first.relations[table] else { panic!("{first:?}") };
    let columns = of_table.columns.known().unwrap();
    assert_eq!(columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["id", "name", "late"]);
    assert!(columns[0].1.eq_ignore_ascii_case("bigint"), "{columns:?}");
    assert_eq!(changes(engine, &first, &definition(engine, &names).await), [""; 0]);

    // Other white space, comments and case.
    let drop = format!("DROP VIEW {view_sql}");
    engine.prepare(&[&drop, &create("select /* all */ id,\n  name")]).await;
    assert_eq!(changes(engine, &first, &definition(engine, &names).await), [""; 0]);

    engine.prepare(&[&drop, &create("SELECT id")]).await;
    let (lost, changed) = (
        format!("error: relation {view}: column lost: name"),
        format!("warning: relation {view}: text of the view changed"),
    );
    let second = definition(engine, &names).await;
    assert_eq!(changes(engine, &first, &second), [lost, changed]);
    let shown = format!("{:?}", diff(&first, &second, engine.dialect()));
    assert!(!shown.contains("secret"), "{shown}");

    engine.prepare(&[&drop]).await;
    let gone = definition(engine, &names).await;
    assert_eq!(
        changes(engine, &first, &gone),
        [format!("error: relation {view}: {}", What::RelationMissing.words())]
    );
}

async fn revoked_grant_and_new_owner_are_found(engine: &Engine) {
    let names = ["public.granted"];
    engine
        .prepare(&[
            "CREATE TABLE granted (id BIGINT)",
            "CREATE ROLE census_reader",
            "CREATE ROLE another_owner",
            "GRANT SELECT ON granted TO census_reader",
        ])
        .await;
    let first = definition(engine, &names).await;
    engine
        .prepare(&["REVOKE SELECT ON granted FROM census_reader", "GRANT SELECT ON granted TO PUBLIC"])
        .await;
    let revoked = [
        "warning: relation public.granted: grant revoked: SELECT to census_reader",
        "warning: relation public.granted: grant added: SELECT to PUBLIC",
    ];
    assert_eq!(changes(engine, &first, &definition(engine, &names).await), revoked);
    engine
        .prepare(&[
            "GRANT SELECT ON granted TO census_reader",
            "REVOKE SELECT ON granted FROM PUBLIC",
            "ALTER TABLE granted OWNER TO another_owner",
        ])
        .await;
    let owner = ["warning: relation public.granted: owner changed"];
    assert_eq!(changes(engine, &first, &definition(engine, &names).await), owner);
}

async fn missing_grant_is_permission_denied(engine: &Engine) {
    engine
        .prepare(&["CREATE TABLE payroll (id BIGINT)", "CREATE ROLE reader LOGIN PASSWORD 'reader-pw'"])
        .await;
    let warehouse = engine.warehouse_as("reader", "reader-pw");
    let error = query(&warehouse, "SELECT id FROM payroll").await.unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::PermissionDenied { .. }) && error.to_string().contains("payroll"),
        "{error}"
    );
    let error = warehouse.execute(&statement("DROP TABLE payroll")).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::PermissionDenied { .. }), "{error}");
}

async fn refused_password_error_hides_the_password(engine: &Engine) {
    for user in ["postgres", "no_such_user"] {
        let error = query(&engine.warehouse_as(user, "wrong-s3cret"), "SELECT 1").await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Refused) && !error.kind.is_transient(), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("s3cret"));
    }
}

async fn nonexistent_database_is_missing(engine: &Engine) {
    let warehouse =
        engine.warehouse_with(|settings| *settings = settings.clone().with("Database", "no_such_db"));
    let error = query(&warehouse, "SELECT 1").await.unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::MissingObject { .. }) && error.to_string().contains("no_such_db"),
        "{error}"
    );
}

/// Waits until a statement with this text runs on the server.
async fn running(admin: &Warehouse, mark: &str) {
    let active = statement(format!(
        "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%{mark}%' AND pid <> pg_backend_pid()"
    ));
    while number(admin, &active).await == 0 {
        tokio::task::yield_now().await;
    }
}

async fn cancelled_statement_is_reported_as_cancelled(engine: &Engine) {
    let (warehouse, admin) = (engine.warehouse(), engine.warehouse());
    let slow = statement("SELECT pg_sleep(60) /* to be cancelled */");
    let cancel = async {
        running(&admin, "to be cancelled").await;
        let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%to be cancelled%' AND pid <> pg_backend_pid()";
        query(&admin, cancel).await.unwrap();
    };
    let (answer, ()) = tokio::join!(warehouse.query(&slow), cancel);
    let error = answer.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Cancelled), "{error}");
}

async fn connection_lost_while_idle_is_replaced(engine: &Engine) {
    engine.prepare(&["CREATE TABLE survivors (id BIGINT)"]).await;
    let (warehouse, admin) = (engine.warehouse(), engine.warehouse());
    let end_others = "SELECT COUNT(pg_terminate_backend(pid, 10000)) AS n FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
    assert_eq!(number(&warehouse, &statement("SELECT 1 AS n")).await, 1);
    assert!(number(&admin, &statement(end_others)).await > 0);
    assert_eq!(number(&warehouse, &statement("SELECT 2 AS n")).await, 2);
    assert!(number(&admin, &statement(end_others)).await > 0);
    assert_eq!(warehouse.execute(&statement("INSERT INTO survivors VALUES (1)")).await, Ok(Some(1)));
    assert_eq!(number(&warehouse, &statement("SELECT COUNT(*) AS n FROM survivors")).await, 1);
}

async fn crashed_server_is_unreachable_and_used_again_after_restart(engine: &Engine) {
    engine.prepare(&["CREATE TABLE unwritten (id BIGINT)"]).await;
    let (warehouse, admin) = (engine.warehouse(), engine.warehouse());
    let writes = [
        statement("INSERT INTO unwritten VALUES (1)"),
        statement("INSERT INTO unwritten SELECT 2 FROM pg_sleep(60) /* to be orphaned */"),
    ];
    let crash = async {
        running(&admin, "to be orphaned").await;
        engine.server().crash();
    };
    let (answer, ()) = tokio::join!(warehouse.execute_all(&writes), crash);
    let error = answer.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Unreachable { .. }) && error.kind.is_transient(), "{error:?}");
    let error = query(&warehouse, "SELECT 1").await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Unreachable { .. }), "{error:?}");
    engine.server().restart();
    // The interrupted transaction left no row.
    assert_eq!(number(&warehouse, &statement("SELECT COUNT(*) AS n FROM unwritten")).await, 0);
}
