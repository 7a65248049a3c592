use super::*;
use crate::finding::Check;
use crate::schedule::Rule;

const SEED: &str = include_str!("../../../infra/pipeline.toml");

/// The seed with one line replaced; fails when the line is not there.
fn seed_with(line: &str, replacement: &str) -> String {
    assert!(SEED.contains(line), "the seed has no `{line}`");
    SEED.replacen(line, replacement, 1)
}

fn problems(text: &str) -> Vec<String> {
    match Pipeline::parse(text) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_seed_declares_what_was_asked_for() {
    let pipeline = Pipeline::parse(SEED).unwrap();
    let said: Vec<String> = pipeline
        .syncs
        .iter()
        .map(|sync| {
            format!(
                "{} {} {} {:?} {}",
                sync.key,
                sync.id,
                sync.schedule,
                sync.runtime_target.unwrap(),
                sync.error_rate_percent
            )
        })
        .collect();
    assert_eq!(
        said,
        ["properties-create 3394022 every 30m 15m 5", "properties-update 3394041 every 15m 5m 5"]
    );
    let minimum = pipeline.objectives.minimum_schedule.unwrap();
    assert_eq!(minimum.to_string(), "daily at 02:00 America/Los_Angeles");
    assert_eq!(pipeline.objectives.max_lag, Some(SignedDuration::from_hours(2)));
    assert!((pipeline.objectives.success_rate_percent - 95.0).abs() < f64::EPSILON);
}

#[test]
fn a_pipeline_is_told_in_words() {
    insta::assert_snapshot!(Pipeline::parse(SEED).unwrap().to_string());
}

/// The seed with tables appended.
const NOTICES: &str = "[notices]\nseverity = { error-rate = \"critical\" }\n";

fn seed_and(tables: &str) -> String {
    // A table is written once.
    let own = if tables.contains("[notices]") { SEED.replacen(NOTICES, "", 1) } else { SEED.to_owned() };
    format!("{own}\n{tables}")
}

const SILENCE: &str = r#"[[silences]]
name = "release"
owner = "Ada"
reason = "release weekend"
checks = ["run-failed", "error-rate"]
subjects = ["properties-create"]
from = "2026-11-28T22:00:00-08:00"
until = "2026-11-29T02:00:00-08:00"
"#;

const WINDOW: &str = r#"[[silences]]
name = "window"
owner = "Ada"
reason = "nightly reload"
schedule = { daily_at = "23:00" }
lasts = "30m"
until = "2027-06-30T00:00:00Z"
"#;

#[test]
fn notices_silences_and_channels_are_read_and_told_in_words() {
    let notices = r#"[notices]
open_after = { run-failed = "2 of 2" }
resolve_after = { api-reachable = "3 of 4" }
remind_after = "2h"
remind_at_most = "48h"
stopped_after = "1h"
flapping = { openings = 4, within = "12h", quiet = "2h" }
"#;
    let text = seed_and(&format!("{SILENCE}{WINDOW}{notices}"));
    let pipeline = Pipeline::parse(&text).unwrap();
    let said = pipeline.to_string();
    insta::assert_snapshot!(said.split_once("People are told").unwrap().1);

    let silence = pipeline.silences[0].active_at("2026-11-29T06:30:00Z".parse().unwrap()).unwrap();
    assert!(silence.scope.covers(Check::RunFailed, "properties-create"));
    assert!(!silence.scope.covers(Check::RunFailed, "properties-update"));
    // 23:00 in Los Angeles, the pipeline's zone, is 07:00 UTC in winter.
    let window = |instant: &str| pipeline.silences[1].active_at(instant.parse().unwrap());
    assert!(window("2026-12-01T07:29:00Z").is_some() && window("2026-12-01T07:30:00Z").is_none());
    assert_eq!(pipeline.channels.pagerduty, Some(Severity::Critical));
}

#[test]
fn what_is_wrong_with_silences_notices_and_channels_is_told_with_the_remedy() {
    let silence = |line: &str, replacement: &str| {
        assert!(SILENCE.contains(line), "{line}");
        seed_and(&SILENCE.replacen(line, replacement, 1))
    };
    let window = |line: &str, replacement: &str| {
        assert!(WINDOW.contains(line), "{line}");
        seed_and(&WINDOW.replacen(line, replacement, 1))
    };
    let table = [
        silence(r#"owner = "Ada""#, r#"owner = " ""#),
        silence("owner = \"Ada\"\n", ""),
        silence(r#""run-failed""#, r#""run-fails""#),
        silence("properties-create", "properties-delete"),
        silence("2026-11-28T22:00:00-08:00", "2026-11-30T22:00:00-08:00"),
        silence("2026-11-28T22:00:00-08:00", "2026-10-01T22:00:00-08:00"),
        silence("2026-11-28T22:00:00-08:00", "tomorrow"),
        silence("from = \"2026-11-28T22:00:00-08:00\"\n", ""),
        silence("until = \"2026-11-29T02:00:00-08:00\"\n", ""),
        seed_and(&format!("{SILENCE}{SILENCE}")),
        window("lasts = \"30m\"\n", ""),
        window("schedule = { daily_at = \"23:00\" }\n", ""),
        window(r#"daily_at = "23:00""#, r#"every = "30m""#),
        window(r#"lasts = "30m""#, r#"lasts = "960h""#),
        seed_and("[notices]\nopen_after = { run-failed = \"3 of 2\" }"),
        seed_and("[notices]\nopen_after = { run-fails = \"2 of 2\" }"),
        seed_and("[notices]\nremind_after = \"4h\"\nremind_at_most = \"1h\""),
        seed_and("[notices]\nflapping = { openings = 1 }"),
        seed_and("[notices]\nseverity = { run-failed = \"fatal\", run-fails = \"critical\" }"),
        seed_and("[notices]\ncritical_after = { sync-paused = \"soon\" }"),
        seed_with(
            r#"role = "create""#,
            "role = \"create\"\ncritical_after = \"later\"\nseverity = { x = \"info\" }",
        ),
        seed_with(r#"min_severity = "critical""#, r#"min_severity = "fatal""#),
        seed_with("pagerduty = {", "pagerduty = { sound = true,"),
    ];
    let said: Vec<String> = table.iter().map(|text| problems(text).join("\n")).collect();
    assert!(said.iter().all(|problems| !problems.is_empty()), "{said:#?}");
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn each_mistake_is_told_with_line_key_and_remedy() {
    let table = [
        (r#"name = "properties""#, r#"name = "Properties!""#),
        (r#"time_zone = "America/Los_Angeles""#, r#"time_zone = "Mars/X""#),
        (r#"time_zone = "America/Los_Angeles""#, r#"time_zone = "EST""#),
        (r#"time_zone = "America/Los_Angeles""#, r#"time_zone = "mst""#),
        (r#"time_zone = "America/Los_Angeles""#, r#"time_zone = "Etc/GMT+5""#),
        (r#"api_version = "v1""#, r#"api_version = "v3""#),
        (r#"api_version = "v1""#, r#"api_version = "v2""#),
        (r#"base_url = "https://app.getcensus.com""#, r#"base_url = "http://app.getcensus.com""#),
        (r#"base_url = "https://app.getcensus.com""#, r#"base_url = "https://app.getcensus.com/api/v1""#),
        (
            r#"base_url = "https://app.getcensus.com""#,
            r#"base_url = "https://user:secret@app.getcensus.com""#,
        ),
        ("id = 3394022", "id = 3394041"),
        ("id = 3394022", "id = 0"),
        ("id = 3394022", "id = \"3394022\""),
        ("id = 3394022", ""),
        (r#"role = "create""#, r#"role = "upsert""#),
        (r#"every = "30m""#, r#"every = "half an hour""#),
        (r#"every = "30m""#, r#"every = "5s""#),
        (r#"every = "30m""#, r#"every = "30m", daily_at = "02:00""#),
        (r#"every = "30m", "#, ""),
        (r#"every = "30m""#, r#"weekly_on = "Funday", at = "25:00""#),
        (r#"every = "30m""#, r#"weekly_on = "Monday""#),
        (r#"every = "30m""#, r#"cron = "0 2 * *""#),
        (r#"every = "30m""#, r#"cron = "0 0 2 * * ?""#),
        (r#"every = "30m""#, r#"cron = "0 0 31 2 *""#),
        (r#"every = "30m""#, "on_demand = false"),
        (r#"every = "30m""#, r#"evry = "30m""#),
        (r#"runtime_target = "15m""#, "runtime_target = \"15m\"\nstuck_after = \"10m\""),
        (r#"runtime_target = "15m""#, "runtime_target = \"-15m\""),
        (r#"runtime_target = "15m""#, "error_rate_percent = 120"),
        (r#"runtime_target = "15m""#, "skipped_runs_limit = 0"),
        (r#"minimum_schedule = { daily_at = "02:00""#, r#"minimum_schedule = { every = "24h""#),
        (r#"email = "data-operations@example.com""#, r#"email = "nobody""#),
        (r#"email = "data-operations@example.com""#, ""),
        ("[census]", "[census"),
    ];
    let said: Vec<String> = table
        .iter()
        .map(|(line, replacement)| {
            let problems = problems(&seed_with(line, replacement));
            assert!(!problems.is_empty(), "`{replacement}` was accepted");
            format!("{replacement:?}\n    {}", problems.join("\n    "))
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let text =
        seed_with(r#"role = "create""#, r#"role = "upsert""#).replace("every = \"15m\"", "every = \"soon\"");
    assert_eq!(problems(&text).len(), 2);
}

#[test]
fn a_password_in_an_address_is_not_repeated() {
    let text = seed_with("https://app.getcensus.com", "https://user:hunter2@app.getcensus.com");
    assert!(!problems(&text).concat().contains("hunter2"));
}

#[test]
fn a_file_without_syncs_is_refused() {
    let head = SEED.split("[[syncs]]").next().unwrap();
    assert_eq!(
        problems(head),
        ["`syncs`: no sync is declared; add a [[syncs]] table for each Census sync to watch"]
    );
}

#[test]
fn a_stuck_limit_that_is_left_out_follows_the_runtime_target_and_is_never_absent() {
    let pipeline = Pipeline::parse(SEED).unwrap();
    assert_eq!(pipeline.syncs[0].stuck_after, SignedDuration::from_mins(45));
    let pipeline = Pipeline::parse(&seed_with("runtime_target = \"15m\"", "")).unwrap();
    assert_eq!(pipeline.syncs[0].stuck_after, DEFAULT_STUCK_AFTER);
}

#[test]
fn a_schedule_has_its_own_zone_or_that_of_the_pipeline() {
    let text = seed_with(r#"every = "30m""#, r#"daily_at = "02:00""#)
        .replace(r#"every = "15m""#, r#"cron = "0 2 * * 1-5", time_zone = "Europe/Berlin""#);
    let pipeline = Pipeline::parse(&text).unwrap();
    let zones: Vec<_> =
        pipeline.syncs.iter().map(|sync| sync.schedule.time_zone.iana_name().unwrap()).collect();
    assert_eq!(zones, ["America/Los_Angeles", "Europe/Berlin"]);
    assert!(matches!(pipeline.syncs[1].schedule.rule, Rule::Cron(_)));
}

#[test]
fn zones_that_follow_the_law_or_have_no_summer_time_by_law_are_taken() {
    for zone in
        ["US/Pacific", "EST5EDT", "UTC", "Etc/UTC", "GMT", "Etc/GMT", "Etc/GMT0", "America/Phoenix", "CET"]
    {
        let text = seed_with(r#"time_zone = "America/Los_Angeles""#, &format!("time_zone = \"{zone}\""));
        assert!(Pipeline::parse(&text).is_ok(), "{zone}");
    }
}

#[test]
fn urgency_is_what_the_sync_says_then_the_notices_then_the_objectives() {
    let hours = |hours| Some(SignedDuration::from_hours(hours));
    let of = |text: &str, check: Check, subject: &str| {
        let pipeline = Pipeline::parse(text).unwrap();
        let urgency = pipeline.urgency(check, subject);
        (urgency.severity, urgency.after, urgency.slots.is_some())
    };
    let (pause, create) = (Check::SyncPaused, "properties-create");
    assert_eq!(of(SEED, pause, create), (None, hours(2), true));
    assert_eq!(of(SEED, Check::Runtime, create), (None, None, false), "slow is not stopped");
    assert_eq!(of(SEED, Check::ErrorRate, create), (Some(Severity::Critical), None, false));
    assert_eq!(of(SEED, Check::Freshness, "changes-arrive"), (None, hours(2), true));
    let blind = SEED.replacen("kind = \"coverage\"", "kind = \"coverage\"\ncritical_after = \"30h\"", 1);
    for check in [Check::Coverage, Check::FilterKeepsRows] {
        assert_eq!(of(&blind, check, "properties-coverage"), (None, hours(30), false), "{check}");
    }
    let notices = seed_and("[notices]\ncritical_after = { sync-paused = \"never\", runtime = \"1h\" }");
    assert_eq!(of(&notices, pause, create), (None, None, false));
    assert_eq!(of(&notices, Check::Runtime, create), (None, hours(1), false));
    let sync = notices.replacen(
        "role = \"create\"",
        "role = \"create\"\ncritical_after = \"3h\"\nseverity = { runtime = \"info\", sync-paused = \"warning\" }",
        1,
    );
    assert_eq!(of(&sync, pause, create), (Some(Severity::Warning), hours(3), false));
    assert_eq!(of(&sync, pause, "properties-update"), (None, None, false));
    assert_eq!(of(&sync, Check::Runtime, create), (Some(Severity::Info), hours(1), false));
    let none = seed_with("max_lag = \"2h\"", "").replace("minimum_schedule = {", "# minimum_schedule = {");
    // What is fresh is then for the check to say.
    let none = none.replacen("kind = \"freshness\"", "kind = \"freshness\"\nmax_lag = \"2h\"", 1);
    assert_eq!(of(&none, pause, create), (None, hours(24), false));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
        let _ = Pipeline::parse(&text);
    }

    #[test]
    fn no_value_in_the_place_of_another_makes_the_reader_panic(
        value in "(\"\\PC{0,20}\"|[0-9]{1,20}|-?[0-9]{1,5}\\.[0-9]|true|\\[\\]|\\{\\})",
        place in 0_usize..20,
    ) {
        let mut lines: Vec<String> = SEED.lines().map(str::to_owned).collect();
        let keyed: Vec<usize> = (0..lines.len()).filter(|n| lines[*n].contains(" = ") && !lines[*n].starts_with('#')).collect();
        let line = keyed[place % keyed.len()];
        let key = lines[line].split(" = ").next().unwrap().to_owned();
        lines[line] = format!("{key} = {value}");
        let _ = Pipeline::parse(&lines.join("\n"));
    }
}

/// The seed with its data checks replaced.
fn with_checks(driver: &str, checks: &str) -> String {
    let (syncs, _) = SEED.split_once("[warehouse]").unwrap();
    format!("{syncs}\n[warehouse]\n{driver}\n{checks}")
}

const ODBC: &str = "driver = \"odbc\"\ndialect = \"postgresql\"";

#[test]
fn every_kind_of_check_is_read_and_told_in_words() {
    let checks = r#"
[[checks]]
name = "rate"
kind = "null-rate"
table = "rds.properties"
columns = ["city", "address"]
limit_percent = 2.5
window = { day = "today", column = "created_at" }
[[checks]]
name = "pair"
kind = "duplicates"
table = "rds.properties"
key = ["company_name", "address"]
limit = 3
[[checks]]
name = "waiting"
kind = "queue-size"
table = "sfdc_dbx.properties_to_create"
limit = 100
oldest_by = "created_at"
max_age = "24h"
severity = "error"
[[checks]]
name = "rows"
kind = "row-count"
table = "rds.properties"
min = 20000
max = 40000
[[checks]]
name = "status"
kind = "accepted-values"
table = "rds.properties"
column = "status"
values = ["active", "sold; DROP TABLE"]
[[checks]]
name = "ids"
kind = "pattern"
table = "rds.properties"
column = "property_id"
like = "P-%"
min_length = 3
max_length = 20
[[checks]]
name = "owners"
kind = "referential"
table = "rds.properties"
column = "owner_id"
references = { table = "rds.owners", key = "id", where = [{ column = "kind", equals = 3 }, { column = "gone", not = true }, { column = "name", is_null = false }] }
[[checks]]
name = "own"
kind = "custom-sql"
table = "rds.properties"
sql = "SELECT COUNT(*) FROM rds.properties WHERE created_at >= :from AND created_at < :to"
window = { day = "yesterday" }
max = 500
"#;
    let pipeline = Pipeline::parse(&with_checks(ODBC, checks)).unwrap();
    let words = pipeline.to_string();
    let (_, data) = words.split_once("\nData:").unwrap();
    insta::assert_snapshot!(data.split_once("\n\nPeople").unwrap().0);
    for subject in ["rate", "own", "warehouse", "census"] {
        assert!(pipeline.has_subject(subject), "{subject}");
    }
    assert!(!pipeline.has_subject("company-names"));
}

#[test]
fn what_is_wrong_with_a_check_is_told_with_line_key_and_remedy() {
    let head = "[[checks]]\nname = \"a\"\ntable = \"rds.properties\"\n";
    let bad = [
        "kind = \"regex\"",
        "kind = \"coverage\"\nkey = \"id\"",
        "kind = \"coverage\"\nkey = [\"a\", \"b\"]\ndestination = { table = \"t\", key = \"k\" }",
        "kind = \"coverage\"\nkey = \"a\"\ndestination = { table = \"t\", key = \"k\" }\nwarn_below = 80\ncritical_below = 90",
        "kind = \"coverage\"\nkey = \"a\"\ndestination = { table = \"t\" }",
        "kind = \"null-count\"",
        "kind = \"null-count\"\ncolumn = \"a\\n; DROP TABLE b\"",
        "kind = \"null-count\"\ncolumn = \"a\"\nsql = \"SELECT 1\"",
        "kind = \"null-rate\"\ncolumn = \"a\"\nlimit_percent = 101.0",
        "kind = \"duplicates\"\nkey = []",
        "kind = \"queue-size\"\nlimit = 1\nmax_age = \"2h\"",
        "kind = \"row-count\"",
        "kind = \"row-count\"\nmin = 2\nmax = 1",
        "kind = \"row-count\"\nmin = 1.5",
        "kind = \"accepted-values\"\ncolumn = \"a\"\nvalues = [\"a\", 1]",
        "kind = \"pattern\"\ncolumn = \"a\"",
        "kind = \"pattern\"\ncolumn = \"a\"\nlike = \"a!b\"",
        "kind = \"pattern\"\ncolumn = \"a\"\nlike = 'a\\%'",
        "kind = \"custom-sql\"\nsql = \"DROP TABLE a\"\nmax = 1",
        "kind = \"custom-sql\"\nsql = \"SELECT 1; DELETE FROM a\"\nmax = 1",
        "kind = \"custom-sql\"\nsql = \"SELECT :from\"\nmax = 1",
        "kind = \"row-count\"\nmin = 1\nseverity = \"bad\"",
        "kind = \"row-count\"\nmin = 1\nwindow = { day = \"tomorrow\", column = \"c\" }",
        "kind = \"row-count\"\nmin = 1\nwindow = { day = \"today\" }",
        "kind = \"row-count\"\nmin = 1\nnonsense = 1",
        "kind = \"row-count\"\nmin = 1\nshow_keys = true",
        "kind = \"row-count\"\nmin = 1\nwhere = [{ column = \"a\" }]",
        "kind = \"row-count\"\nmin = 1\nwhere = [{ column = \"a\", equals = 1, not = 2 }]",
        "kind = \"row-count\"\nmin = 1\nwhere = [{ column = \"a\", equals = 1 }, { column = \"a\", not = 1 }]",
        "kind = \"row-count\"\nmin = 1\nwhere = [{ column = \"a\", equals = true }, { column = \"a\", is_null = true }]",
        "kind = \"row-count\"\nmin = 1\nwhere = [{ column = \"a\", is_null = true }, { column = \"a\", is_null = false }]",
    ];
    let first = with_checks(ODBC, "").lines().count();
    let told: Vec<String> = bad
        .iter()
        .map(|check| {
            let said = problems(&with_checks(ODBC, &format!("{head}{check}\n")));
            assert!(!said.is_empty(), "{check} is taken");
            // Lines count from the tables of this test.
            let relative = said.iter().map(|problem| match problem.strip_prefix("line ") {
                Some(rest) => {
                    let (line, rest) = rest.split_once(':').unwrap();
                    format!("+{}:{rest}", line.parse::<usize>().unwrap() - first)
                }
                None => problem.clone(),
            });
            relative.collect::<Vec<_>>().join("\n")
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_is_wrong_with_the_warehouse_is_told_and_checks_need_one() {
    let rows = "[[checks]]\nname = \"a\"\nkind = \"row-count\"\ntable = \"t\"\nmin = 1\n";
    let drivers = [
        "driver = \"jdbc\"",
        "driver = \"databricks\"",
        "driver = \"databricks\"\nhost = \"dbc-1.example.com\"",
        "driver = \"databricks\"\nhost = \"https://token@dbc-1.example.com\"\nwarehouse_id = \"a\"",
        "driver = \"databricks\"\nhost = \"dbc-1.example.com\"\nhttp_path = \"/elsewhere/a\"",
        "driver = \"odbc\"",
        "driver = \"odbc\"\ndialect = \"oracle\"",
        "driver = \"odbc\"\ndialect = \"sqlite\"\nhost = \"h\"",
    ];
    let told: Vec<String> =
        drivers.iter().map(|driver| problems(&with_checks(driver, rows)).join("\n")).collect();
    assert!(!told.join("\n").contains("token@"), "an address may carry a password by mistake");
    insta::assert_snapshot!(told.join("\n"));
    let (without, _) = SEED.split_once("[warehouse]").unwrap();
    assert!(problems(&format!("{without}{rows}"))[0].contains("`warehouse`: missing; add [warehouse]"));
    let path =
        "driver = \"databricks\"\nhost = \"dbc-1.example.com\"\nhttp_path = \"/sql/1.0/warehouses/abc\"";
    let pipeline = Pipeline::parse(&with_checks(path, rows)).unwrap();
    let warehouse =
        Warehouse::Databricks { host: "dbc-1.example.com".to_owned(), warehouse_id: "abc".to_owned() };
    assert_eq!(pipeline.warehouse, Some(warehouse));
}

#[test]
fn the_name_of_a_check_is_its_own_and_may_be_silenced() {
    let check =
        |name: &str| format!("[[checks]]\nname = \"{name}\"\nkind = \"row-count\"\ntable = \"t\"\nmin = 1\n");
    for taken in ["properties-create", "census", "warehouse", "Bad Name"] {
        assert!(!problems(&with_checks(ODBC, &check(taken))).is_empty(), "{taken}");
    }
    assert!(!problems(&with_checks(ODBC, &format!("{}{}", check("a"), check("a")))).is_empty());
    let silence = SILENCE.replace("properties-create", "a");
    assert_eq!(problems(&with_checks(ODBC, &format!("{}{silence}", check("a")))), [""; 0]);
}

#[test]
fn a_freshness_check_that_says_nothing_holds_to_what_the_pipeline_promises() {
    let freshness = "[[checks]]\nname = \"a\"\nkind = \"freshness\"\ntable = \"t\"\ncolumn = \"c\"\n\
                     destination = { table = \"d\", column = \"c\" }\n";
    let lag = |text: &str| match &Pipeline::parse(text).unwrap().checks[0].rule {
        crate::data_checks::Rule::Freshness { max_lag, .. } => *max_lag,
        other => panic!("{other:?}"),
    };
    let promised = with_checks(ODBC, freshness);
    assert_eq!(lag(&promised), SignedDuration::from_hours(2));
    let own = freshness.replace("column = \"c\"\nd", "column = \"c\"\nmax_lag = \"15m\"\nd");
    assert_eq!(lag(&with_checks(ODBC, &own)), SignedDuration::from_mins(15));
    let nothing = promised.replacen("max_lag = \"2h\"\n", "", 1);
    let said = problems(&nothing);
    assert!(said[0].contains("`checks.max_lag`") && said[0].contains("[objectives]"), "{said:?}");
}

#[test]
fn a_snapshot_says_where_figures_are_kept_and_a_pipeline_may_have_no_view() {
    let snapshot = |keys: &str| {
        let pipeline = Pipeline::parse(&with_checks(ODBC, &format!("[snapshot]\n{keys}"))).unwrap();
        (pipeline.snapshot.clone().unwrap(), pipeline.to_string())
    };
    let (named, words) = snapshot("audit_log = \"ops.log\"\nhealth_view = \"ops.health\"\n");
    assert_eq!((named.audit_log.as_str(), named.health_view.as_deref()), ("ops.log", Some("ops.health")));
    assert!(words.contains("each night runs and the figures of ops.health are kept in ops.log"), "{words}");
    let (plain, words) = snapshot("");
    assert_eq!((plain.audit_log.as_str(), plain.health_view), (DEFAULT_AUDIT_LOG, None));
    assert!(words.contains("no health_view"), "{words}");
    let without = Pipeline::parse(&with_checks(ODBC, "")).unwrap();
    assert_eq!(without.snapshot, None);
    let words = without.to_string();
    assert!(words.contains("not watched without [snapshot]: 95% of the runs"), "{words}");
    assert!(words.contains("no snapshot is kept"), "{words}");
}

#[test]
fn what_is_wrong_with_a_snapshot_is_told_with_line_key_and_remedy() {
    let bad = [
        "audit_log = \"a.b.c.d\"",
        "audit_log = \"\"",
        "health_view = \"a\\n; DROP TABLE b\"",
        "audit_log = \"ops.log\"\nhealth_view = \"ops.log\"",
        "audit_table = \"ops.log\"",
        "audit_log = 1",
    ];
    let first = with_checks(ODBC, "").lines().count();
    let mut told = String::new();
    for keys in bad {
        for problem in problems(&with_checks(ODBC, &format!("[snapshot]\n{keys}\n"))) {
            let (line, rest) = problem.strip_prefix("line ").unwrap().split_once(':').unwrap();
            told.push_str(&format!("+{}:{rest}\n", line.parse::<usize>().unwrap() - first));
        }
    }
    insta::assert_snapshot!(told);
    let (without, _) = SEED.split_once("[warehouse]").unwrap();
    let said = problems(&format!("{without}[snapshot]\n"));
    assert!(said[0].contains("`warehouse`: missing; add [warehouse]"), "{said:?}");
}

#[test]
fn near_miss_of_a_word_is_named_beside_all_that_are_allowed() {
    let rows = "[[checks]]\nname = \"a\"\nkind = \"row-cuont\"\ntable = \"t\"\nmin = 1\n";
    let kind = &problems(&with_checks(ODBC, rows))[0];
    assert!(kind.ends_with("referential or custom-sql; did you mean \"row-count\"?"), "{kind}");
    let dialect = &problems(&with_checks("driver = \"odbc\"\ndialect = \"postgres\"", ""))[0];
    let hint =
        "found \"postgres\"; use \"postgresql\", \"sqlite\" or \"databricks\"; did you mean \"postgresql\"?";
    assert!(dialect.ends_with(hint), "{dialect}");
}
