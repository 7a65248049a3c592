//! Terraform and the lab deploy exactly the resources and permissions that the code needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schedule_verification::observe::READING_LIMIT;
use serde_json::json;
use syncwatch::aws::Sdk;
use syncwatch::aws::incidents::{Expected, IncidentStore, WriteOutcome};
use syncwatch::data_checks::object_name;
use syncwatch::finding::Severity;
use syncwatch::incident::{IncidentKey, NoticeKind, State};
use syncwatch::metrics;
use syncwatch::pipeline::{Class, Pipeline, RemedyKind};
use syncwatch::reconcile::Coverage;
use syncwatch::report::Month;
use syncwatch::runtime::env::{self, Needs};
use syncwatch::sql::{Dialect, Statement};
use syncwatch_lab::aws::{
    Call, FunctionSpec, FunctionsTable, Permission, ResourceKind, Schedules, SettingSource,
};
use syncwatch_lab::census::{Fault, HttpFault, World};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::properties::PropertyWorld;
use syncwatch_lab::receivers::ChatRefusal;
use syncwatch_lab::stage::Stage;
use syncwatch_lab::wait::until;

use crate::engines::{CREATE, LIMIT, PIPELINE, UPDATE, minutes, opened};
use crate::tidy::{code, is_test_file, read, root, rust_files, table};

/// The calls that Lambda itself makes on a queue that triggers a function, with that function's role (Lambda Developer Guide,
/// "Using Lambda with Amazon SQS").
const EVENT_SOURCE: [&str; 3] = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"];

/// Lists the permissions of a function that Lambda itself uses.
fn by_lambda(table: &FunctionsTable, function: &FunctionSpec) -> BTreeSet<Call> {
    let Some(trigger) = &function.queue else { return BTreeSet::new() };
    let resource = table.resource_name(&trigger.source).unwrap();
    EVENT_SOURCE.map(|action| Call { action: action.to_owned(), resource: resource.to_owned() }).into()
}

fn granted(table: &FunctionsTable, function: &FunctionSpec) -> BTreeSet<Call> {
    let call = |permission: &Permission| Call {
        action: permission.action.clone(),
        resource: table.resource_name(&permission.resource).unwrap().to_owned(),
    };
    function.permissions.iter().map(call).collect()
}

/// Lists the granted permissions that no call has used so far, by function.
fn unused(stage: &Stage) -> BTreeMap<String, BTreeSet<Call>> {
    let (table, used) = (stage.deployment.table(), stage.deployment.used());
    let mut unused = BTreeMap::new();
    for (name, function) in &table.functions {
        let mut left = granted(table, function);
        let by_lambda = by_lambda(table, function);
        left.retain(|call| {
            !by_lambda.contains(call) && !used.get(name).is_some_and(|used| used.contains(call))
        });
        if !left.is_empty() {
            unused.insert(name.clone(), left);
        }
    }
    unused
}

/// The lab allows a function only the calls that the table grants. Removing a line of `permissions`, or adding one, fails this
/// test.
#[tokio::test(flavor = "multi_thread")]
async fn functions_use_every_permission_that_they_have() {
    let (clock, now) = (LabClock::wall(), Timestamp::now());
    // The nightly checks report that a fifth of the data is missing.
    let world = World::seed_pipeline(now, 11).carrying(PropertyWorld::with(now, 1, 300, 240, 0));
    // Without remedies that act, their function would not use its rights.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pipeline.toml");
    fs::write(&file, format!("{PIPELINE}\n[remedies]\nlevel = \"act\"\n")).unwrap();
    let stage = Stage::set_for(world, clock, Schedules::None, Some(file)).await.unwrap();

    stage.deployment.invoke("daily-validation", &json!({ "task": "validate" })).await.unwrap();
    stage.deployment.invoke("reports", &json!({ "task": "digest" })).await.unwrap();
    // A named month is sent on any day.
    let month = Month::last(now, &TimeZone::UTC).to_string();
    stage.deployment.invoke("reports", &json!({ "task": "monthly", "month": month })).await.unwrap();
    stage.deployment.invoke("nightly-snapshot", &json!({ "task": "snapshot" })).await.unwrap();
    // The audit notifies of a field that no sync writes any more.
    let mappings = json!([{ "from": { "type": "column", "data": "property_id" }, "to": "SF_Property_ID__c", "is_primary_identifier": true }]);
    for sync in [CREATE, UPDATE] {
        stage.census.inject(Fault::ChangeMapping { sync, mappings: mappings.clone() }).unwrap();
    }
    stage.deployment.invoke("configuration-audit", &json!({ "task": "audit" })).await.unwrap();
    // The second look, hours later, confirms that a record is extra and notifies.
    let extra = format!(
        "INSERT INTO {} (id, sf_property_id_c, _fivetran_deleted, _fivetran_synced) VALUES ('x', 'x', FALSE, '{}')",
        object_name(Dialect::Sqlite, "crm.salesforce.product_property").unwrap(),
        now.strftime("%Y-%m-%d %H:%M:%S"),
    );
    let warehouse = stage.warehouse.as_ref().unwrap().direct();
    warehouse.execute(&Statement::new("an extra record", extra)).await.unwrap();
    let first = stage.deployment.invoke("reconciliation", &json!({ "task": "reconcile" })).await.unwrap();
    let store = IncidentStore::new(
        Sdk::for_endpoint(stage.aws.endpoint()).unwrap().dynamodb(),
        "syncwatch-incidents",
    );
    let (mut looks, expected) = store.looks("properties", "properties", Coverage::All, now).await.unwrap();
    let (seen, _) = looks.newest.as_mut().unwrap_or_else(|| panic!("{}", first.value));
    *seen -= SignedDuration::from_hours(8);
    assert!(store.put_looks("properties", "properties", Coverage::All, &looks, expected, now).await.unwrap());
    stage.deployment.invoke("reconciliation", &json!({ "task": "reconcile" })).await.unwrap();
    stage.deployment.invoke("status-page", &json!({ "task": "publish" })).await.unwrap();
    // Kept figures are read from the bucket.
    stage.deployment.invoke("status-page", &json!({ "task": "publish" })).await.unwrap();
    // The second snapshot finds its table missing and notifies.
    let drop = format!("DROP TABLE {}", object_name(Dialect::Sqlite, "crm.sfdc_dbx.sync_audit_log").unwrap());
    warehouse.execute(&Statement::new("the audit log", drop)).await.unwrap();
    stage.deployment.invoke("nightly-snapshot", &json!({ "task": "snapshot" })).await.unwrap();
    // The relay gives up a notice that the chat refuses permanently.
    stage.chat.refuse_next(&[ChatRefusal::InvalidPayload]);
    // A failed run sends a webhook through the intake, the worker and the relay.
    stage
        .census
        .inject(Fault::Fail { sync: UPDATE, code: "X".to_owned(), message: "no".to_owned() })
        .unwrap();
    stage.census.jump(minutes(30));
    // The worker reads Census, so wait for it before Census refuses every request.
    let worked = async || Ok((!unused(&stage).contains_key("webhook-worker")).then_some(()));
    let waited = until(LIMIT, "the worker to use all its permissions", worked).await;
    assert_eq!(unused(&stage).remove("webhook-worker"), None, "granted and never used: {waited:?}");
    // The notice that the relay gave up is a dead letter for longer than ten minutes, and is sent again.
    let key = IncidentKey::parse("properties/dead-letters/syncwatch").unwrap();
    let found = async || {
        stage.deployment.invoke("schedule-verification", &json!({ "task": "verify" })).await?;
        let incident = store.get(&key).await?;
        Ok(incident.filter(|incident| incident.state == State::Open))
    };
    let mut incident = until(LIMIT, "the dead letter to be found", found).await.unwrap();
    let replaced = Expected::Version(incident.version);
    incident.opened_at -= minutes(30);
    incident.version += 1;
    assert_eq!(store.write(&incident, replaced).await.unwrap(), WriteOutcome::Written);
    for _ in 0..2 {
        stage.deployment.invoke("remedies", &json!({ "task": "heal" })).await.unwrap();
    }
    // A person approves a new webhook.
    let silent = opened("properties/webhooks-arrive/syncwatch", now);
    assert_eq!(store.write(&silent, Expected::Absent).await.unwrap(), WriteOutcome::Written);
    stage.deployment.invoke("remedies", &json!({ "task": "heal" })).await.unwrap();
    let (remedies, _) = store.remedies("properties").await.unwrap();
    let asked = remedies.into_iter().find(|remedy| remedy.plan.kind == RemedyKind::RegisterWebhook).unwrap();
    let approved = asked.approved("ada", Timestamp::now()).unwrap();
    assert!(store.put_remedy("properties", &approved, now).await.unwrap());
    stage.deployment.invoke("remedies", &json!({ "task": "heal" })).await.unwrap();
    // A refused token is critical and pages.
    stage.census.break_door(HttpFault::Unauthorized);
    for _ in 0..2 {
        stage.deployment.invoke("schedule-verification", &json!({ "task": "verify" })).await.unwrap();
    }
    let done = async || Ok(unused(&stage).is_empty().then_some(()));
    let waited = until(LIMIT, "every permission to be used", done).await;
    assert_eq!(unused(&stage), BTreeMap::new(), "granted and never used: {waited:?}");
    assert_eq!(stage.deployment.refused(), BTreeMap::new(), "used and not granted");
}

#[test]
fn lambda_may_consume_the_queue_of_each_function() {
    let table = table();
    for (name, function) in &table.functions {
        let missing: Vec<_> =
            by_lambda(&table, function).difference(&granted(&table, function)).cloned().collect();
        assert_eq!(missing, [], "{name}");
    }
}

/// Maps the constants of `runtime/env.rs` to the variables that they name.
fn settings() -> BTreeMap<String, String> {
    let constant = |variable: &str| variable.strip_prefix("SYNCWATCH_").unwrap().to_owned();
    env::ALL.iter().map(|setting| (constant(setting.name), setting.name.to_owned())).collect()
}

/// Lists the variables that the code of a package reads.
fn read_by(package: &str, settings: &BTreeMap<String, String>) -> BTreeSet<String> {
    let files = rust_files(&format!("functions/{package}/src"));
    let files = files.iter().filter(|file| !is_test_file(file));
    let code: String = files.map(|file| code(file)).collect();
    let reads = |constant: &str| {
        code.match_indices(&format!("env::{constant}")).any(|(at, found)| {
            let next = code.as_bytes().get(at + found.len());
            !next.is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_')
        })
    };
    settings.iter().filter(|(constant, _)| reads(constant)).map(|(_, variable)| variable.clone()).collect()
}

#[test]
fn each_package_reads_exactly_its_declared_variables() {
    let (table, settings) = (table(), settings());
    assert!(settings.len() > 10, "the settings were not found: {settings:?}");
    for package in table.packages() {
        let functions = table
            .functions
            .iter()
            .filter(|(name, function)| function.package.as_ref().unwrap_or(name) == package);
        let set: BTreeSet<String> = functions
            .flat_map(|(_, function)| function.settings.keys().chain(&function.optional_settings))
            .cloned()
            .collect();
        assert_eq!(read_by(package, &settings), set, "{package}");
    }
}

#[test]
fn each_function_is_granted_exactly_the_resources_it_names() {
    // An identity of SES is in pipeline.toml, not in a setting.
    let in_a_setting = |permission: &&Permission| permission.resource.kind != ResourceKind::Identity;
    for (name, function) in &table().functions {
        let named: BTreeSet<String> = function
            .settings
            .values()
            .filter_map(|source| match source {
                SettingSource::Resource(id) => Some(id.to_string()),
                SettingSource::File(_) => None,
            })
            .chain(function.queue.as_ref().map(|trigger| trigger.source.to_string()))
            .collect();
        let granted: BTreeSet<String> = function
            .permissions
            .iter()
            .filter(in_a_setting)
            .map(|permission| permission.resource.to_string())
            .collect();
        assert_eq!(named, granted, "{name}");
    }
}

fn terraform_files() -> Vec<PathBuf> {
    fn within(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with(".terraform") {
                within(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "tf") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    within(&root().join("infra"), &mut files);
    files
}

#[test]
fn terraform_state_has_no_secret_value() {
    const FORBIDDEN: [&str; 6] = [
        "aws_secretsmanager_secret_version",
        "secret_string",
        "aws_ssm_parameter",
        "random_password",
        "local_sensitive_file",
        "aws_iam_access_key",
    ];
    let files = terraform_files();
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for forbidden in FORBIDDEN {
            assert!(!text.contains(forbidden), "{} uses {forbidden}", file.display());
        }
    }
}

#[test]
fn pagerduty_receives_only_critical_incidents() {
    let channels = Pipeline::parse(PIPELINE).unwrap().channels;
    assert_eq!(channels.lowest(Class::Pager), Some(Severity::Critical));
}

#[test]
fn dashboard_shows_exactly_the_metrics_that_functions_write() {
    let file: serde_json::Value = serde_json::from_str(&read("infra/metrics.json")).unwrap();
    assert_eq!(file["namespace"], json!(metrics::NAMESPACE));
    assert_eq!(file["dimensions"], json!([metrics::DIMENSION]));
    let text = |metric: &serde_json::Value, key: &str| metric[key].as_str().unwrap().to_owned();
    let shown = file["metrics"].as_array().unwrap().iter();
    let shown: BTreeSet<_> = shown.map(|metric| (text(metric, "name"), text(metric, "unit"))).collect();
    let written = metrics::Metric::ALL.map(|metric| (metric.name().to_owned(), metric.unit().to_owned()));
    assert_eq!(shown, written.into());
}

/// The longest sequential waits of each function: its own patience, and a number of AWS calls.
fn patience() -> [(&'static str, Needs, Duration, u32); 11] {
    let relay = alert_relay::post::Patience::default();
    [
        // The calls of a post that begins as late as possible and fails: count it, read the secret twice, count it again, give
        // the lease back, park the message.
        ("alert-relay", alert_relay::NEEDS, relay.batch + relay.notice, 6),
        ("configuration-audit", configuration_audit::NEEDS, configuration_audit::READING_LIMIT, 1),
        ("daily-validation", daily_validation::NEEDS, daily_validation::Patience::default().round, 1),
        ("nightly-snapshot", nightly_snapshot::NEEDS, nightly_snapshot::WAREHOUSE_LIMIT, 1),
        ("reconciliation", reconciliation::NEEDS, reconciliation::Patience::default().round, 1),
        // Its records, and the end of its turn.
        ("remedies", remedies::NEEDS, remedies::PATIENCE, 2),
        // Its records, and the end of its lease.
        ("reports", reports::NEEDS, reports::WAREHOUSE_LIMIT, 2),
        ("schedule-verification", schedule_verification::NEEDS, READING_LIMIT, 1),
        // Two records, the kept figures, its five files and the record of the page are each quick or fail the round.
        ("status-page", status_page::NEEDS, status_page::READING_LIMIT, 2),
        // The secret, then the queue.
        ("webhook-intake", webhook_intake::intake::NEEDS, Duration::ZERO, 2),
        ("webhook-worker", webhook_intake::worker::NEEDS, webhook_intake::worker::READING_LIMIT, 1),
    ]
}

#[test]
fn aws_calls_end_before_each_functions_timeout() {
    let (table, patience) = (table(), patience());
    let named: BTreeSet<&str> = patience.iter().map(|(name, ..)| *name).collect();
    assert_eq!(named, table.functions.keys().map(String::as_str).collect());
    for (name, needs, own, calls) in patience {
        let limit = Duration::from_secs(table.functions[name].timeout_s.unsigned_abs().into());
        let longest = own + needs.aws.operation * calls;
        assert!(longest < limit, "{name} may wait for {longest:?} and has {limit:?}");
        assert!(needs.aws.attempt * 2 <= needs.aws.operation, "{name}: no second attempt would fit");
    }
}

#[test]
fn mail_filter_names_summaries_and_reports_as_notices_do() {
    let [silence, report] = [NoticeKind::HeldBack, NoticeKind::Report];
    assert!(read("infra/topics.tf").contains(&format!("kind = [\"{silence}\", \"{report}\"]")));
}

#[test]
fn mail_filter_names_acknowledgements_as_notices_do() {
    let kind = serde_json::to_string(&NoticeKind::Acknowledged).unwrap();
    assert!(read("infra/topics.tf").contains(&format!("\"anything-but\" = [{kind}]")), "{kind}");
}

/// Reads the block of one resource of infra/.
fn resource(file: &str, kind: &str, name: &str) -> String {
    let text = fs::read_to_string(root().join("infra").join(file)).unwrap();
    let head = format!("resource \"{kind}\" \"{name}\" {{");
    let (_, rest) = text.split_once(&head).unwrap_or_else(|| panic!("{file} has no {kind}.{name}"));
    rest.split_once("\n}\n").unwrap().0.to_owned()
}

fn depends_on(resource: &str) -> BTreeSet<String> {
    let list = resource.split_once("depends_on = [").map_or("", |(_, rest)| rest.split_once(']').unwrap().0);
    list.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

#[test]
fn each_type_of_resource_has_its_rights_in_the_readme() {
    let readme = read("infra/README.md");
    let (_, rights) = readme.split_once("### Rights of the person who deploys").unwrap();
    let rights = rights.split("\n## ").next().unwrap();
    let mut types = BTreeSet::new();
    for file in terraform_files().iter().filter(|file| !file.to_string_lossy().contains("infra/databricks")) {
        let text = fs::read_to_string(file).unwrap();
        let heads = text.lines().filter_map(|line| line.strip_prefix("resource \""));
        types.extend(heads.map(|head| head.split('"').next().unwrap().to_owned()));
    }
    assert!(types.len() > 20, "{types:?}");
    types.retain(|kind| !rights.contains(&format!("`{kind}`")));
    assert_eq!(types, BTreeSet::new(), "infra/README.md lacks the rights to create these");
}

/// The provider adds permissions when it creates a Function URL, and Lambda refuses two concurrent changes of a function's
/// policy. A mocked provider cannot show that.
#[test]
fn function_url_permissions_are_created_in_sequence() {
    let order = [("url", "aws_lambda_function_url.this"), ("url_invokes", "aws_lambda_permission.url")];
    for (permission, after) in order {
        let found = depends_on(&resource("webhooks.tf", "aws_lambda_permission", permission));
        assert_eq!(found, BTreeSet::from([after.to_owned()]), "{permission}");
    }
}

/// SNS drops a message that has no subscriber yet, and the incident would count as notified.
#[test]
fn no_schedule_fires_before_notices_have_their_subscribers() {
    let found = depends_on(&resource("schedules.tf", "aws_scheduler_schedule", "this"));
    for needed in [
        "module.function",
        "aws_iam_role_policy.publish_encrypted",
        "aws_sns_topic_policy.notices",
        "aws_sns_topic_subscription.queues",
        "aws_sns_topic_subscription.notice_emails",
        "aws_sns_topic_subscription.owner_emails",
        "aws_sqs_queue_policy.from_topic",
        "aws_lambda_event_source_mapping.this",
    ] {
        assert!(found.contains(needed), "depends_on lacks {needed}: {found:?}");
    }
}

/// Terraform's state has the path of the zips: with an absolute path, another clone would redeploy every function.
#[test]
fn path_of_the_zips_is_the_same_in_every_clone() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let printed = tempfile::NamedTempFile::new().unwrap();
    fs::write(&printed, format!("{makefile}\nprinted-zips:\n\t@echo \"$$TF_VAR_zips\"\n")).unwrap();
    let zips = |folder: &Path| {
        fs::create_dir_all(folder.join("infra")).unwrap();
        fs::copy(root().join("infra/functions.json"), folder.join("infra/functions.json")).unwrap();
        let output = Command::new("make")
            .args(["--silent", "--file"])
            .arg(printed.path())
            .arg("printed-zips")
            .current_dir(folder)
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("TF_VAR_zips")
            .env_remove("MAKEFLAGS")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(zips(one.path()), "../target/lambda/arm64");
    assert_eq!(zips(&other.path().join("deeper")), "../target/lambda/arm64");
}
