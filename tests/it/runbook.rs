//! The runbook is correct: its anchors and contacts, and each command and statement in it.
//!
//! Each kind has its check:
//!
//! * `sql` blocks: run by the simulated Databricks, over SQLite by ODBC, on the lab's data; statements that show a fault are
//!   compared between a healthy world and one with that fault
//! * `syncwatch`: parsed as the binary does, and run in the lab, against the emulator, Census and Databricks
//! * `make`: the target exists and takes the given variables
//! * `census` (a function that the runbook declares) and `curl`: run by bash against the lab's Census
//! * `aws`: service, operation and options are those of AWS's command line, and names are those of the table of functions
//! * `export`, `eval` and `date`: compared with a fixed list, because they only prepare the shell
//!
//! Any other kind of block or program fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::{Value, json};
use syncwatch::aws::Sdk;
use syncwatch::classify::{ErrorClass, Family};
use syncwatch::finding::Check;
use syncwatch::incident::IncidentKey;
use syncwatch::pipeline::Pipeline;
use syncwatch::runbook::{TEXT, anchor, sections};
use syncwatch::runtime::Env;
use syncwatch::sql::Statement;
use syncwatch::warehouse::{DatabricksAuth, DatabricksSettings, Settings, Warehouse};
use syncwatch_cli::arguments::{Healing, Marking, Silencing};
use syncwatch_cli::runbook;
use syncwatch_cli::stakeholders::Kind;
use syncwatch_cli::{Command, Operator, read_pipeline};
use syncwatch_lab::aws::{FunctionsTable, ResourceId, Schedules};
use syncwatch_lab::census::{Fault, HttpFault, World};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::databricks::{self, DatabricksFault, DatabricksServer, WAREHOUSE_ID};
use syncwatch_lab::engines;
use syncwatch_lab::properties::{PropertyFault, PropertyWorld, Tables, make_sources};
use syncwatch_lab::stage::Stage;

const CREATE: u64 = 3_394_022;
const CLASSES: &str = "When a sync fails, by class";
const SCENARIOS: &str = "Scenarios";
/// Sections for notices that are not about a check, and for operators to look up.
const OPERATOR_SECTIONS: [&str; 9] = [
    "incidents",
    "silences",
    "alert-test",
    "alarm-test",
    "webhooks",
    "baseline",
    "remedies",
    "digest",
    "monthly",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn pipeline_text() -> String {
    fs::read_to_string(root().join("infra/pipeline.toml")).unwrap()
}

/// Splits the runbook into chapters, each as heading and text.
fn chapters() -> Vec<(&'static str, &'static str)> {
    TEXT.split("\n## ").skip(1).map(|chapter| chapter.split_once('\n').unwrap()).collect()
}

fn chapter(heading: &str) -> &'static str {
    let found = chapters().into_iter().find(|(name, _)| *name == heading);
    found.unwrap_or_else(|| panic!("the runbook has no chapter {heading:?}")).1
}

/// A fenced block: its kind, its text, and the heading above it.
struct Block {
    under: String,
    kind: String,
    text: String,
}

/// Separates the blocks of the runbook from its other text.
fn blocks() -> (Vec<Block>, String) {
    let (mut blocks, mut prose, mut under) = (Vec::new(), String::new(), String::new());
    let mut open: Option<Block> = None;
    for line in TEXT.lines() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (Some(_), Some(rest)) => {
                assert_eq!(rest, "", "a block in a block under {under}");
                blocks.extend(open.take());
            }
            (Some(block), None) => block.text.push_str(&format!("{line}\n")),
            (None, Some(kind)) => {
                open = Some(Block { under: under.clone(), kind: kind.to_owned(), text: String::new() });
            }
            (None, None) => {
                if let Some(heading) = line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")) {
                    under = anchor(heading);
                }
                prose.push_str(&format!("{line}\n"));
            }
        }
    }
    assert!(open.is_none(), "the last block has no end");
    (blocks, prose)
}

/// The programs that the runbook calls.
const PROGRAMS: [&str; 9] =
    ["syncwatch", "make", "census", "aws", "curl", "export", "eval", "date", "census()"];

fn program(command: &str) -> &str {
    command.split_whitespace().next().unwrap_or_default()
}

/// Collects every command: the lines of `sh` blocks, and inline code that begins with a program.
fn commands() -> Vec<String> {
    let (blocks, prose) = blocks();
    let mut commands = Vec::new();
    for block in blocks.iter().filter(|block| block.kind == "sh") {
        let joined = block.text.replace("\\\n", " ");
        for line in joined.lines() {
            let line =
                line.split("  # ").next().unwrap_or_default().split("   #").next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            assert!(PROGRAMS.contains(&program(line)), "under {}: not a known program: {line}", block.under);
            commands.push(line.to_owned());
        }
    }
    let spans = prose.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " "));
    // A program's name alone is a mention, not a call.
    commands.extend(spans.filter(|span| PROGRAMS.contains(&program(span)) && program(span) != span));
    commands
}

fn commands_of(program_name: &str) -> Vec<String> {
    let commands: Vec<String> =
        commands().into_iter().filter(|command| program(command) == program_name).collect();
    assert!(!commands.is_empty(), "the runbook never calls {program_name}");
    commands
}

/// Collects the anchors that a text links to.
fn links(text: &str) -> BTreeSet<&str> {
    text.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap()).collect()
}

#[test]
fn runbook_sections_match_checks_classes_and_operator_topics() {
    let mut expected: BTreeSet<String> = Check::ALL.iter().map(|check| check.id().to_owned()).collect();
    expected.extend(ErrorClass::ALL.iter().map(|class| class.id().to_owned()));
    assert_eq!(expected.len(), Check::ALL.len() + ErrorClass::ALL.len(), "a class has the name of a check");
    expected.extend(Family::ALL.iter().map(|family| family.id().to_owned()));
    expected.extend(OPERATOR_SECTIONS.map(str::to_owned));
    let (mut found, mut scenarios) = (BTreeSet::new(), BTreeSet::new());
    for section in sections(TEXT) {
        if section.chapter == SCENARIOS {
            scenarios.insert(section.anchor);
            continue;
        }
        let family = Family::ALL.iter().any(|family| family.id() == section.anchor);
        let class = family || ErrorClass::from_id(&section.anchor).is_some();
        assert_eq!(class, section.chapter == CLASSES, "{} is in the wrong chapter", section.anchor);
        assert!(found.insert(section.anchor.clone()), "{} is there twice", section.anchor);
    }
    assert_eq!(found, expected);

    // Every scenario is reachable from a check, because each names the checks that it shows.
    let of_the_seed =
        ["a-sync-fails", "quality-or-coverage-drops", "duplicates-appear", "the-view-has-a-bug"];
    assert!(of_the_seed.iter().all(|anchor| scenarios.contains(*anchor)), "{scenarios:?}");
    for scenario in &scenarios {
        let leads = |check: &&Check| {
            runbook::explain(check.id()).unwrap().scenarios.iter().any(|linked| linked.name == **scenario)
        };
        assert!(Check::ALL.iter().any(|check| leads(&check)), "no check links to the scenario {scenario}");
    }
}

#[test]
fn runbook_links_lead_to_a_heading() {
    let (_, prose) = blocks();
    let headings =
        prose.lines().filter_map(|line| line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")));
    let anchors: BTreeSet<String> = headings.map(anchor).collect();
    for link in links(TEXT) {
        assert!(anchors.contains(link), "no heading has the anchor #{link}");
    }
}

#[test]
fn contacts_of_the_runbook_match_the_pipeline_file() {
    let pipeline = Pipeline::parse(&pipeline_text()).unwrap();
    let rows: Vec<Vec<&str>> = chapter("Escalation")
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'))
        .skip(2)
        .map(|row| row.split('|').map(str::trim).collect())
        .collect();
    let declared: Vec<Vec<&str>> = pipeline
        .contacts
        .iter()
        .map(|contact| {
            let (mail, phone) = (contact.email.as_deref(), contact.phone.as_deref());
            vec![contact.name.as_str(), contact.role.as_str(), mail.unwrap_or(""), phone.unwrap_or("")]
        })
        .collect();
    assert_eq!(rows, declared);
}

#[test]
fn routines_are_checklists_and_incident_steps_are_numbered() {
    for heading in ["Daily, five minutes", "Weekly, fifteen minutes", "Monthly review", "Quarterly review"] {
        assert!(chapter(heading).matches("\n- [ ] ").count() >= 3, "{heading}");
    }
    for heading in ["The first ten minutes", "Rollback"] {
        assert!(chapter(heading).contains("\n3. "), "{heading}");
    }
    for section in sections(TEXT) {
        let for_incidents =
            Check::from_id(&section.anchor).is_some() || [CLASSES, SCENARIOS].contains(&section.chapter);
        assert!(!for_incidents || section.steps.starts_with("1. "), "{} has no steps", section.anchor);
    }
}

#[test]
fn runbook_blocks_are_of_kinds_that_are_run() {
    let (blocks, _) = blocks();
    for block in &blocks {
        assert!(
            ["sh", "sql"].contains(&block.kind.as_str()),
            "a block of kind {:?} under {}",
            block.kind,
            block.under
        );
    }
    assert!(commands().len() > 20, "the commands were not found");
}

/// Runs a statement and returns its answer, cell by cell.
async fn answer(warehouse: &Warehouse, sql: &str) -> String {
    let answer = warehouse.query(&Statement::new("a statement of the runbook", sql)).await;
    let answer = answer.unwrap_or_else(|error| panic!("{error}: {sql}"));
    assert!(!answer.columns().is_empty());
    answer.rows().map(|row| format!("{:?}\n", row.values())).collect()
}

/// One of the lab's worlds in a simulated Databricks.
struct Lab {
    world: PropertyWorld,
    tables: Tables,
    server: DatabricksServer,
    _folder: tempfile::TempDir,
}

impl Lab {
    async fn set(mut world: PropertyWorld) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lab.sqlite");
        let tables = Tables::create(engines::sqlite(&file).unwrap(), &mut world).await.unwrap();
        let server = DatabricksServer::start(engines::sqlite(&file).unwrap()).await.unwrap();
        Self { world, tables, server, _folder: folder }
    }

    fn warehouse(&self) -> Warehouse {
        let auth = DatabricksAuth::Token(SecretString::from(databricks::TOKEN));
        let settings = Settings::Databricks(DatabricksSettings::new(self.server.url(), WAREHOUSE_ID, auth));
        Warehouse::open(settings, syncwatch::http::client().unwrap()).unwrap()
    }

    async fn advance(&mut self, hours: i64) {
        self.world.advance_to(self.world.now() + SignedDuration::from_hours(hours));
        self.tables.write(&mut self.world).await.unwrap();
    }
}

/// A simulated Databricks with the tables of RDS and Fivetran, and none of our objects.
struct NewWarehouse {
    server: DatabricksServer,
    _folder: tempfile::TempDir,
}

impl NewWarehouse {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lab.sqlite");
        make_sources(&engines::sqlite(&file).unwrap()).await.unwrap();
        let server = DatabricksServer::start(engines::sqlite(&file).unwrap()).await.unwrap();
        Self { server, _folder: folder }
    }
}

/// Maps a part of the statements that show a fault to that fault: their answers must differ from those in a healthy world.
fn shown_by() -> [(&'static str, PropertyFault); 5] {
    [
        ("without_company", PropertyFault::CoverageLeak { city: "Fresno".to_owned() }),
        ("HAVING COUNT(*) > 1", PropertyFault::DuplicateCreation { percent: 50 }),
        ("lost_in_the_view", PropertyFault::ViewBug),
        ("lost_on_the_way", PropertyFault::ViewBug),
        ("newest_copy", PropertyFault::CopyStalls),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn runbook_statements_run_and_show_their_faults() {
    let (blocks, _) = blocks();
    let statements: Vec<&str> =
        blocks.iter().filter(|block| block.kind == "sql").map(|block| block.text.as_str()).collect();
    assert!(statements.len() >= 10, "the statements were not found");
    let start: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
    let mut healthy = Lab::set(PropertyWorld::with(start, 7, 800, 700, 20)).await;
    healthy.advance(7).await;
    let mut answers = BTreeMap::new();
    for sql in &statements {
        answers.insert(*sql, answer(&healthy.warehouse(), sql).await);
    }
    for (word, fault) in shown_by() {
        let mut faulty = Lab::set(PropertyWorld::with(start, 7, 800, 700, 20)).await;
        faulty.world.inflict(fault.clone());
        faulty.advance(7).await;
        let mut found = statements.iter().filter(|sql| sql.contains(word)).peekable();
        assert!(found.peek().is_some(), "no statement has {word}");
        for sql in found {
            assert_ne!(
                answer(&faulty.warehouse(), sql).await,
                answers[sql],
                "{fault:?} does not show in: {sql}"
            );
        }
    }
}

/// Reads the rule of a target in the Makefile, up to the next blank line.
fn rule(target: &str) -> String {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let begins = format!("\n{target}:");
    let (_, rest) = makefile.split_once(&begins).unwrap_or_else(|| panic!("make has no target {target}"));
    rest.split("\n\n").next().unwrap().to_owned()
}

/// Runs a script with bash and returns its output.
fn bash(script: &str, variables: &[(&str, &str)]) -> Result<String, String> {
    let output = Process::new("bash")
        .arg("-euc")
        .arg(script)
        .envs(variables.iter().copied())
        .current_dir(root())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(stdout)
    } else {
        Err(format!("{stdout}{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Splits a line into words, as the shell does.
fn words(line: &str) -> Vec<String> {
    let words = bash(&format!("printf '%s\\0' {line}"), &[]).unwrap();
    words.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn runbook_make_targets_exist_and_take_their_variables() {
    for command in commands_of("make") {
        let given = words(command.strip_prefix("make").unwrap());
        let (variables, targets): (Vec<&String>, Vec<&String>) =
            given.iter().partition(|word| word.contains('='));
        let [target] = targets.as_slice() else { panic!("{command} does not name one target") };
        let rule = rule(target);
        for variable in variables {
            let name = variable.split('=').next().unwrap();
            assert!(rule.contains(&format!("$({name})")), "{target} takes no {name}");
        }
    }
}

/// A Census, AWS and a warehouse for an operator's commands.
struct Desk {
    stage: Stage,
    lab: Lab,
    watcher: schedule_verification::App,
}

impl Desk {
    async fn set() -> Self {
        let now: Timestamp = "2026-11-24T12:10:00Z".parse().unwrap();
        let clock = LabClock::set_to(now);
        let stage = Stage::set(World::seed_pipeline(now, 5), clock, Schedules::None).await.unwrap();
        // Without webhooks only the watcher of this test reads Census.
        stage.census.break_door(HttpFault::WebhooksLost);
        let secret = json!({ "token": databricks::TOKEN }).to_string();
        stage.deployment.put_secret(&ResourceId::secret("warehouse"), &secret).await.unwrap();
        let watcher = schedule_verification::App(stage.site("schedule-verification", pipeline()).unwrap());
        let lab = Lab::set(PropertyWorld::as_found(now, 5)).await;
        Self { stage, lab, watcher }
    }

    /// Advances Census by an hour and runs the watcher.
    async fn advance(&self) {
        self.stage.census.jump(SignedDuration::from_mins(60));
        self.watcher.run(json!({ "task": "verify" }), self.stage.census.clock().now()).await.unwrap();
    }

    async fn carry_out(&self, command: &Command) -> Result<String, String> {
        self.carry_out_at(self.lab.server.url(), command).await
    }

    async fn carry_out_at(&self, databricks: &str, command: &Command) -> Result<String, String> {
        let topic = self.stage.deployment.topic_arn(&ResourceId::topic("notices")).unwrap();
        let settings = [
            ("SYNCWATCH_CENSUS_SECRET", "syncwatch/census-token"),
            ("SYNCWATCH_WEBHOOK_SECRET", "syncwatch/census-webhook"),
            ("SYNCWATCH_WAREHOUSE_SECRET", "syncwatch/warehouse"),
            ("SYNCWATCH_INCIDENTS_TABLE", "syncwatch-incidents"),
            ("SYNCWATCH_TOPIC_ARN", topic),
            ("SYNCWATCH_CENSUS_BASE_URL", self.stage.census.url()),
            ("SYNCWATCH_DATABRICKS_URL", databricks),
        ];
        let sdk = Sdk::for_endpoint(self.stage.aws.endpoint()).unwrap();
        let now = self.stage.census.clock().now();
        let operator = Operator::with(Env::from_map(settings), pipeline(), sdk, now);
        operator.output(command).await.map(|(_, text)| text).map_err(|error| error.to_string())
    }
}

/// Parses the repository's pipeline with the lab's SQL warehouse.
fn pipeline() -> Pipeline {
    let text = pipeline_text();
    assert!(text.contains("0123456789abcdef"));
    Pipeline::parse(&text.replace("0123456789abcdef", WAREHOUSE_ID)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn runbook_operator_commands_work_in_the_lab() {
    let desk = Desk::set().await;
    let fault = Fault::Fail { sync: CREATE, code: "X".to_owned(), message: "no".to_owned() };
    desk.stage.census.inject(fault).unwrap();
    desk.advance().await;
    let silence =
        ["silence", "add", "--owner", "Grace", "--reason", "repair", "--for", "2h", "--check", "runtime"];
    desk.carry_out(&Command::parse(&silence).unwrap()).await.unwrap();

    let mut later = Vec::new();
    for line in commands_of("syncwatch") {
        let command = Command::parse(&words(line.strip_prefix("syncwatch").unwrap()));
        match command.unwrap_or_else(|error| panic!("{line}: {error}")) {
            Command::CheckConfig { file: None } => {
                read_pipeline(&root().join("infra/pipeline.toml")).unwrap();
            }
            Command::AlertTest { owner, resolve, .. } => {
                let command = Command::AlertTest { owner, resolve_after: SignedDuration::ZERO, resolve };
                desk.carry_out(&command).await.unwrap_or_else(|error| panic!("{line}: {error}"));
            }
            // The lab has no alarms; the tests of `syncwatch-cli` check the requests of this command.
            Command::AlarmTest { .. } => {}
            Command::WarehouseApply { folder, views } => {
                let folder = root().join(folder);
                let new = NewWarehouse::set().await;
                let command = Command::WarehouseApply { folder, views };
                desk.carry_out_at(new.server.url(), &command)
                    .await
                    .unwrap_or_else(|error| panic!("{line}: {error}"));
            }
            Command::Silence(Silencing::End { id }) => {
                assert_eq!(id, "ID", "the runbook must have a placeholder");
                let end = Silencing::End { id: "grace-20261124T1310Z".to_owned() };
                desk.carry_out(&Command::Silence(end)).await.unwrap_or_else(|e| panic!("{line}: {e}"));
            }
            // Nothing is proposed here; the tests of `remedies` answer proposals.
            Command::Remedies(Healing::Approve { id } | Healing::Refuse { id, .. }) => {
                assert_eq!(id, "ID", "the runbook must have a placeholder");
            }
            // No figure is unusual here; the drill `twice-as-many` marks one.
            Command::Mark(marking) => {
                let key = IncidentKey::parse("properties/run-failed/properties-create").unwrap();
                let command = Command::Mark(Marking { key, ..marking });
                let output = desk.carry_out(&command).await.unwrap_or_else(|error| panic!("{line}: {error}"));
                assert!(output.contains("marked as fine"), "{line}: {output}");
            }
            // The all-clear is sent below, after the recovery.
            command @ Command::StakeholderNotice { kind: Kind::AllClear, .. } => later.push(command),
            command => {
                let output = desk.carry_out(&command).await.unwrap_or_else(|error| panic!("{line}: {error}"));
                assert!(!output.is_empty(), "{line} prints nothing");
            }
        }
    }
    let all_clear = later.pop().expect("the runbook sends no all-clear");
    let refused = desk.carry_out(&all_clear).await.unwrap_err();
    assert!(refused.contains("no all-clear yet"), "{refused}");
    desk.stage.census.heal_all();
    desk.advance().await;
    let output = desk.carry_out(&all_clear).await.unwrap();
    assert!(output.contains("\nIncident        properties/run-failed/properties-create\n"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stakeholder_notice_has_figures_and_names_missing_ones() {
    let desk = Desk::set().await;
    let fault = Fault::Fail { sync: CREATE, code: "X".to_owned(), message: "no".to_owned() };
    desk.stage.census.inject(fault).unwrap();
    desk.advance().await;
    let page = tempfile::NamedTempFile::new().unwrap();
    let path = page.path().display().to_string();
    let line = [
        "stakeholder-notice",
        "incident",
        "--key",
        "properties/run-failed/properties-create",
        "--html",
        &path,
    ];
    let command = Command::parse(&line).unwrap();
    let output = desk.carry_out(&command).await.unwrap();
    let html = fs::read_to_string(page.path()).unwrap();
    for figure in [
        "92.47% (good, not excellent): 18,722 of 20,247 properties",
        "25 to create, 0 to update",
        "failed run of properties-create",
        "completed 2026-11-24 13:0",
        "not acknowledged yet",
    ] {
        assert!(output.contains(figure) && html.contains(figure), "{figure}: {output}");
    }
    assert!(
        output.contains("properties-create (creates records): failed, started 2026-11-24 13:00 UTC"),
        "{output}"
    );

    // When the warehouse and Census refuse, the known figures stay and the missing ones are named.
    desk.lab.server.inflict(DatabricksFault::Unauthorized);
    desk.stage.census.break_door(HttpFault::Unauthorized);
    let output = desk.carry_out(&command).await.unwrap();
    assert!(
        output.contains("Coverage     not available: ") && output.contains("Severity        "),
        "{output}"
    );
    assert_eq!(output.matches("records): not available: ").count(), 2, "{output}");
    for secret in [databricks::TOKEN, syncwatch_lab::census::TOKEN] {
        assert!(!output.contains(secret), "{output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runbook_census_requests_are_answered_by_the_lab() {
    let now: Timestamp = "2026-11-24T12:10:00Z".parse().unwrap();
    let census =
        syncwatch_lab::census::CensusServer::start(World::seed_pipeline(now, 5), LabClock::set_to(now)).await;
    let census = census.unwrap();
    census.inject(Fault::Reject { sync: CREATE, percent: 25, message: None }).unwrap();
    census.jump(SignedDuration::from_hours(2));
    let run = census.with_world(|world| world.runs(CREATE).next().unwrap().id.to_string());
    let declared = commands_of("census()").remove(0);
    assert!(declared.contains("https://app.getcensus.com/api/v1/"), "{declared}");
    let variables = [("CENSUS_TOKEN", syncwatch_lab::census::TOKEN), ("SYNC", "3394022"), ("RUN", &run)];
    for command in commands_of("census") {
        let script = format!("{declared}\n{command}").replace("https://app.getcensus.com", census.url());
        let output = bash(&script, &variables).unwrap_or_else(|error| panic!("{command}: {error}"));
        let answer: Value =
            serde_json::from_str(&output).unwrap_or_else(|error| panic!("{command}: {error}: {output}"));
        assert!(!answer["data"].is_null(), "{command}: {answer}");
    }
    for command in commands_of("curl") {
        let output = bash(&command.replace("https://app.getcensus.com", census.url()), &[]).unwrap();
        assert!(output.to_lowercase().contains("\ndate: "), "{command}: {output}");
    }
}

/// Service, operation and allowed options of the AWS CLI, from its reference.
const AWS: [(&str, &str, &[&str]); 6] = [
    ("lambda", "invoke", &["--function-name", "--cli-binary-format", "--cli-read-timeout", "--payload"]),
    ("logs", "tail", &["--since"]),
    ("sesv2", "get-account", &[]),
    ("sesv2", "get-email-identity", &["--email-identity"]),
    ("sns", "list-subscriptions-by-topic", &["--topic-arn"]),
    ("configure", "export-credentials", &["--format"]),
];

#[test]
fn runbook_aws_calls_exist_and_name_deployed_resources() {
    let table = FunctionsTable::read(&root().join("infra/functions.json")).unwrap();
    let is_function =
        |name: &str| table.functions.keys().any(|function| format!("syncwatch-{function}") == name);
    let mut calls = commands_of("aws");
    for eval in commands_of("eval") {
        let inner = eval.strip_prefix("eval \"$(").and_then(|rest| rest.strip_suffix(")\""));
        calls.push(inner.unwrap_or_else(|| panic!("{eval}")).to_owned());
    }
    for call in calls {
        let given = words(&call.replace('$', ""));
        let known = AWS.iter().find(|(service, operation, _)| given[1] == *service && given[2] == *operation);
        let (_, _, options) = known.unwrap_or_else(|| panic!("{call} is not in the list of known calls"));
        for option in given.iter().filter(|word| word.starts_with("--")) {
            assert!(options.contains(&option.as_str()), "{call}: {option}");
        }
        let value = |option| given.iter().skip_while(|word| *word != option).nth(1);
        if let Some(function) = value("--function-name") {
            assert!(is_function(function), "{call}");
        }
        if given[1] == "logs" {
            assert!(given[3].strip_prefix("/aws/lambda/").is_some_and(is_function), "{call}");
        }
        if let Some(payload) = value("--payload") {
            let event: Value =
                serde_json::from_str(payload).unwrap_or_else(|error| panic!("{call}: {error}"));
            let named = value("--function-name").and_then(|name| name.strip_prefix("syncwatch-")).unwrap();
            let schedule = table.functions[named].schedule.as_ref().unwrap();
            let mut inputs = schedule.also.values().map(|also| &also.input).chain([&schedule.input]);
            assert!(inputs.any(|input| input["task"] == event["task"]), "{call}: not a task of {named}");
            let asked = event["check"].as_str();
            assert!(
                asked.is_none_or(|name| pipeline().checks.iter().any(|check| check.name == name)),
                "{call}"
            );
        }
    }
}

#[test]
fn runbook_shell_setup_only_sets_variables() {
    for command in commands_of("export") {
        let name = command.strip_prefix("export ").unwrap().split('=').next().unwrap();
        assert!(["AWS_REGION", "CENSUS_TOKEN", "SYNC"].contains(&name), "{command}");
    }
    assert_eq!(commands_of("date"), ["date -u"]);
}
