//! What must hold, on which engine.

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::civil::{Date, date};
use jiff::{Timestamp, Zoned};
use syncwatch::sql::{Answer, Decimal, Dialect, Error, ErrorKind, Statement};
use syncwatch::warehouse::{Limits, TextEncoding, Warehouse};

use super::engines::Engine;

pub(super) type Case = for<'e> fn(&'e Engine) -> BoxFuture<'e, ()>;

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        &[$((stringify!($name), |engine| Box::pin($name(engine)))),*]
    };
}

/// What holds on every engine.
pub(super) const BOTH: &[(&str, Case)] = cases![
    values_of_every_type_come_back_as_they_went,
    nulls_of_every_type_come_back_as_nulls,
    text_of_all_kinds_comes_back_as_it_went_in_both_encodings,
    instants_are_kept_and_compared_in_utc_on_the_days_when_clocks_change,
    whole_numbers_divide_to_whole_numbers,
    an_empty_answer_has_its_columns,
    what_is_missing_is_told_by_name,
    comments_are_no_statements,
    a_syntax_error_is_told_and_is_the_statements_own,
    a_slow_statement_ends_at_its_limit_and_the_next_one_does_not_wait_for_it,
    a_statement_that_nobody_waits_for_does_not_hold_up_the_next,
    more_rows_than_the_limit_are_an_error_and_just_as_many_are_not,
    a_long_value_is_never_cut,
    a_value_of_another_type_is_told_by_types,
    several_writes_happen_all_or_none,
    a_duplicate_key_is_told_without_the_key,
    names_and_values_with_quotes_and_semicolons_are_names_and_values,
    a_driver_that_is_not_there_is_told_by_its_path,
    many_statements_at_once_take_turns,
];

/// What only SQLite needs.
pub(super) const SQLITE: &[(&str, Case)] = cases![
    a_misspelt_column_is_missing_and_not_a_string,
    each_value_is_of_its_own_type,
    a_file_that_cannot_be_opened_is_unreachable,
];

/// What only a server can do. The last ones stop it.
pub(super) const POSTGRESQL: &[(&str, Case)] = cases![
    what_is_not_granted_is_not_permitted,
    a_password_that_is_refused_is_told_without_it,
    a_database_that_does_not_exist_is_missing,
    a_statement_that_somebody_cancels_is_cancelled,
    a_connection_that_died_idle_is_replaced_before_anybody_notices,
    a_server_that_dies_under_a_statement_is_unreachable_and_found_again_afterwards,
];

fn statement(sql: impl Into<String>) -> Statement {
    Statement::new("the test", sql)
}

async fn query(warehouse: &Warehouse, sql: &str) -> Result<Answer, Error> {
    warehouse.query(&statement(sql)).await
}

/// The number that a statement with one row and the column `n` answers.
async fn number(warehouse: &Warehouse, statement: &Statement) -> i64 {
    warehouse.query(statement).await.unwrap().only_row().unwrap().get("n").unwrap()
}

/// Counts so far that no engine is done within seconds.
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

async fn values_of_every_type_come_back_as_they_went(engine: &Engine) {
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
    // An aggregate may have another type than its column, but means the same.
    let answer =
        query(&warehouse, "SELECT COUNT(*) AS c, SUM(i) AS s, MAX(at) AS at, MAX(day) AS day FROM typed")
            .await
            .unwrap();
    let row = answer.only_row().unwrap();
    assert_eq!((row.get::<i64>("c").unwrap(), row.get::<i64>("s").unwrap()), (1, i64::MIN + 1));
    assert_eq!((row.get::<Timestamp>("at").unwrap(), row.get::<Date>("day").unwrap()), (at, day));
}

async fn nulls_of_every_type_come_back_as_nulls(engine: &Engine) {
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
    // A NULL as the first row says nothing of the others.
    warehouse.execute(&statement("INSERT INTO empty_ones (i, s) VALUES (7, 'seven')")).await.unwrap();
    let answer =
        query(&warehouse, "SELECT i, s FROM empty_ones ORDER BY CASE WHEN i IS NULL THEN 0 ELSE 1 END")
            .await
            .unwrap();
    let last = answer.rows().last().unwrap();
    assert_eq!((last.get::<i64>("i").unwrap(), last.get::<String>("s").unwrap()), (7, "seven".to_owned()));
}

async fn text_of_all_kinds_comes_back_as_it_went_in_both_encodings(engine: &Engine) {
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
    // The SQL itself may have it too.
    let answer = query(&engine.warehouse(), "SELECT 'grüße 😀' AS s").await.unwrap();
    assert_eq!(answer.only_row().unwrap().get::<String>("s").unwrap(), "grüße 😀");
}

async fn instants_are_kept_and_compared_in_utc_on_the_days_when_clocks_change(engine: &Engine) {
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
        // One each quarter of an hour, from an hour before to an hour after: none is lost, none comes twice.
        let mut at = from - Duration::from_secs(3_600);
        let mut wanted = Vec::new();
        while at < until + Duration::from_secs(3_600) {
            wanted.push(at);
            at += Duration::from_secs(900);
        }
        // The last moment that counts, and the first one of the next day, are a microsecond apart.
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

async fn whole_numbers_divide_to_whole_numbers(engine: &Engine) {
    let answer = query(&engine.warehouse(), "SELECT 1 / 2 AS whole, 1.0 * 1 / 2 AS half").await.unwrap();
    let row = answer.only_row().unwrap();
    assert_eq!(row.get::<i64>("whole").unwrap(), 0);
    assert!((row.get::<f64>("half").unwrap() - 0.5).abs() < f64::EPSILON);
}

async fn an_empty_answer_has_its_columns(engine: &Engine) {
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

async fn what_is_missing_is_told_by_name(engine: &Engine) {
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
        assert!(text.contains(name) && text.starts_with("the test: something is missing ("), "{text}");
    }
    // The connection is still good.
    assert_eq!(number(&warehouse, &statement("SELECT 1 AS n")).await, 1);
}

async fn comments_are_no_statements(engine: &Engine) {
    let sql = "SELECT -- isn't it? :a\n CAST(:n AS BIGINT) AS n /* it isn't; \" ? */";
    assert_eq!(number(&engine.warehouse(), &statement(sql).bind("n", 7_i64)).await, 7);
}

async fn a_syntax_error_is_told_and_is_the_statements_own(engine: &Engine) {
    let warehouse = engine.warehouse();
    let error = query(&warehouse, "SELCT 's3cret'").await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Sql { .. }) && !error.kind.is_transient(), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
    let error = query(&warehouse, "SELECT :a").await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::InvalidStatement { .. }), "{error}");
}

async fn a_slow_statement_ends_at_its_limit_and_the_next_one_does_not_wait_for_it(engine: &Engine) {
    let warehouse = engine.warehouse_with(|settings| settings.limits.time = Duration::from_secs(1));
    assert_eq!(number(&warehouse, &statement("SELECT 1 AS n")).await, 1);
    // The same work, begun before: as long as it lasts, the end of the other was not waited for.
    let (patient, slow) = (engine.warehouse(), statement(SLOW));
    let mut same = Box::pin(patient.query(&slow));
    assert!(futures::poll!(&mut same).is_pending());
    let error = query(&warehouse, SLOW).await.unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::Timeout { seconds: 1, .. }) && error.kind.is_transient(),
        "{error}"
    );
    assert_eq!(number(&warehouse, &statement("SELECT 2 AS n")).await, 2);
    assert!(futures::poll!(&mut same).is_pending(), "it was waited for");
}

async fn a_statement_that_nobody_waits_for_does_not_hold_up_the_next(engine: &Engine) {
    let warehouse = engine.warehouse_with(|settings| settings.limits.time = Duration::from_secs(1));
    let (patient, slow) = (engine.warehouse(), statement(SLOW));
    let mut same = Box::pin(patient.query(&slow));
    let mut asked = Box::pin(warehouse.query(&slow));
    assert!(futures::poll!(&mut same).is_pending() && futures::poll!(&mut asked).is_pending());
    drop(asked);
    assert_eq!(number(&warehouse, &statement("SELECT 2 AS n")).await, 2);
    assert!(futures::poll!(&mut same).is_pending(), "it was waited for");
}

async fn more_rows_than_the_limit_are_an_error_and_just_as_many_are_not(engine: &Engine) {
    let warehouse =
        engine.warehouse_with(|settings| settings.limits = Limits { rows: 1_500, ..Limits::default() });
    let answer = query(&warehouse, &rows(1_500)).await.unwrap();
    let numbers: Vec<i64> = answer.rows().map(|row| row.get("i").unwrap()).collect();
    assert_eq!(numbers, (1..=1_500).collect::<Vec<_>>());
    for count in [1_501, 200_000] {
        let error = query(&warehouse, &rows(count)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the test: returns more than 1500 rows; narrow it, or count in the warehouse",
            "{count}"
        );
    }
    assert_eq!(number(&warehouse, &statement("SELECT 1 AS n")).await, 1);
}

async fn a_long_value_is_never_cut(engine: &Engine) {
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

async fn a_value_of_another_type_is_told_by_types(engine: &Engine) {
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
            text.starts_with("the test: column company holds text where ") && !text.contains("s3cret"),
            "{text}"
        );
    }
}

async fn several_writes_happen_all_or_none(engine: &Engine) {
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
    // One that is alone is done by itself again.
    warehouse.execute(&insert(3)).await.unwrap();
    assert_eq!(number(&engine.warehouse(), &count).await, 3);
}

async fn a_duplicate_key_is_told_without_the_key(engine: &Engine) {
    engine.prepare(&["CREATE TABLE keyed (id VARCHAR(50) PRIMARY KEY)"]).await;
    let warehouse = engine.warehouse();
    let insert = statement("INSERT INTO keyed (id) VALUES (:id)").bind("id", "mary.s3cret");
    warehouse.execute(&insert).await.unwrap();
    let error = warehouse.execute(&insert).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Sql { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    // Idempotent by key, in the one way that both know.
    let again =
        statement("INSERT INTO keyed (id) VALUES (:id) ON CONFLICT DO NOTHING").bind("id", "mary.s3cret");
    assert_eq!(warehouse.execute(&again).await, Ok(Some(0)));
}

async fn names_and_values_with_quotes_and_semicolons_are_names_and_values(engine: &Engine) {
    let quote = |name: &str| engine.dialect().quote(name).unwrap();
    // SQLite's driver misreads some characters, so that names with them are refused.
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

async fn a_driver_that_is_not_there_is_told_by_its_path(engine: &Engine) {
    let warehouse = engine.warehouse_with(|settings| settings.driver = "/nowhere/libdriver.so".to_owned());
    let error = query(&warehouse, "SELECT 1").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the test: the ODBC driver is missing (/nowhere/libdriver.so cannot be loaded); install it, or correct its path"
    );
}

async fn many_statements_at_once_take_turns(engine: &Engine) {
    let warehouse = engine.warehouse();
    let numbers: Vec<i64> = (0..20).collect();
    let statements: Vec<Statement> =
        numbers.iter().map(|i| statement("SELECT CAST(:i AS BIGINT) AS n").bind("i", *i)).collect();
    let answers =
        futures::future::join_all(statements.iter().map(|statement| number(&warehouse, statement))).await;
    assert_eq!(answers, numbers);
}

async fn a_misspelt_column_is_missing_and_not_a_string(engine: &Engine) {
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

async fn a_file_that_cannot_be_opened_is_unreachable(engine: &Engine) {
    let warehouse =
        engine.warehouse_with(|settings| *settings = settings.clone().with("Database", "/nowhere/at/all.db"));
    let error = query(&warehouse, "SELECT 1").await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Unreachable { .. }), "{error}");
}

async fn what_is_not_granted_is_not_permitted(engine: &Engine) {
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

async fn a_password_that_is_refused_is_told_without_it(engine: &Engine) {
    for user in ["postgres", "nobody_at_all"] {
        let error = query(&engine.warehouse_as(user, "wrong-s3cret"), "SELECT 1").await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Refused) && !error.kind.is_transient(), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("s3cret"));
    }
}

async fn a_database_that_does_not_exist_is_missing(engine: &Engine) {
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

async fn a_statement_that_somebody_cancels_is_cancelled(engine: &Engine) {
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

async fn a_connection_that_died_idle_is_replaced_before_anybody_notices(engine: &Engine) {
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

async fn a_server_that_dies_under_a_statement_is_unreachable_and_found_again_afterwards(engine: &Engine) {
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
    // Nothing was half written.
    assert_eq!(number(&warehouse, &statement("SELECT COUNT(*) AS n FROM unwritten")).await, 0);
}
