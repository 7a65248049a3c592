//! Asks AWS, Census and the warehouse. Decides nothing, and goes on after a failure.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use jiff::{SignedDuration, Timestamp};

use crate::Error;
use crate::declared::{Declared, DeclaredFunction, DeclaredSchedule};
use crate::endpoint::Endpoint;
use crate::plan::Found;
use crate::registration::Registration;
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::aws::queue::Queue;
use syncwatch::aws::secrets::{SecretError, SecretStore};
use syncwatch::aws::{Fault, Kind, Sdk};
use syncwatch::census;
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::{env, warehouse};
use syncwatch::sql::Statement;
use syncwatch::warehouse::Limits;

/// What was seen, or why it could not be, remedy included.
pub(super) type Seen<T> = Result<T, String>;

/// How long the warehouse may take to start; a person waits for the table.
const WAREHOUSE_LIMIT: Duration = Duration::from_secs(60);
const INTAKE_LIMIT: Duration = Duration::from_secs(15);

pub(crate) const FUNCTION: Kind =
    Kind { name: "function", correct: "AWS_REGION, the region of the deployment" };
const SCHEDULE: Kind = Kind { name: "schedule", correct: "AWS_REGION, the region of the deployment" };
const TOPIC: Kind = Kind { name: "topic", correct: env::TOPIC_ARN.name };

/// Where to look.
#[derive(Debug)]
pub struct Source<'a> {
    pub sdk: &'a Sdk,
    pub declared: &'a Declared,
    pub pipeline: &'a Pipeline,
    /// What stands before the names of functions and schedules in AWS.
    pub prefix: &'a str,
    /// The address of the intake, if it is not the one that Lambda gave it.
    pub url: Option<&'a str>,
    /// The moment (UTC).
    pub now: Timestamp,
}

/// Everything that was seen.
#[derive(Debug)]
pub struct Observed {
    pub functions: Vec<FunctionSeen>,
    /// The secrets that functions read: their names, and whether they hold something.
    pub secrets: Vec<(String, Seen<()>)>,
    /// Whether Census takes the token, and how far its clock is ahead of this machine's.
    pub census: Seen<Option<SignedDuration>>,
    /// Whether the warehouse answers; `None` if the pipeline declares none.
    pub warehouse: Option<Seen<()>>,
    pub subscriptions: Seen<Vec<Subscription>>,
    /// Who hears of CloudWatch's own alarms, by topic: they must reach people when nothing of ours works. The lab has none.
    pub alarms: Vec<(String, Seen<Vec<Subscription>>)>,
    pub webhook: Seen<Found>,
    /// The status with which the intake answers a request that nobody signed, and its address.
    pub intake: Seen<(u16, String)>,
    /// The queues of dead letters: their names, and about how many messages lie there.
    pub dead_letters: Vec<(String, Seen<Option<u64>>)>,
    /// When the last whole rounds began (UTC), by what they are recorded as.
    pub rounds: Seen<BTreeMap<String, Timestamp>>,
    /// The moment (UTC).
    pub now: Timestamp,
}

/// A function that should be there.
#[derive(Debug)]
pub struct FunctionSeen {
    pub name: String,
    /// Its state in Lambda's word, and the settings that it lacks.
    pub configuration: Seen<Configuration>,
    /// The schedule that it should have, and the one that it has.
    pub schedule: Option<(DeclaredSchedule, Seen<ScheduleSeen>)>,
    /// Whether the queue that is to fire it does, by the states of the mappings.
    pub trigger: Option<Seen<Vec<String>>>,
    pub ping: Option<Seen<()>>,
    /// Whether the pipeline declares what its rounds are for.
    pub has_work: bool,
}

/// How a function is set up.
#[derive(Debug)]
pub struct Configuration {
    /// `Active`, or what else Lambda says.
    pub state: String,
    /// The settings of the table that it was not given.
    pub missing: Vec<String>,
}

/// How a schedule is set up.
#[derive(Debug)]
pub struct ScheduleSeen {
    /// `ENABLED` or `DISABLED`.
    pub state: String,
    pub fires: DeclaredSchedule,
}

/// One subscription of the topic of notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Such as `email` or `sqs`.
    pub protocol: String,
    /// Whom it reaches; of an `https` one the host alone, as the rest may be a key.
    pub reaches: String,
    pub confirmed: bool,
}

/// Looks at everything.
pub async fn observe(source: &Source<'_>) -> Observed {
    let mut functions = Vec::new();
    let mut environment = BTreeMap::new();
    for (name, declared) in &source.declared.functions {
        functions.push(function(source, name, declared, &mut environment).await);
    }
    let setting = |name: &str| {
        let unset = || format!("no deployed function has the setting {name}. Deploy again: make deploy");
        environment.get(name).cloned().ok_or_else(unset)
    };
    let store = SecretStore::new(source.sdk.secrets());
    let used = |setting: &str| is_used(source.pipeline, setting);
    let census = census_client(source, &store, &setting).await;
    Observed {
        functions,
        secrets: secrets(&store, &environment, used).await,
        census: match &census {
            Ok(census) => match census.list_syncs_page(1, 1).await {
                Ok(_) => Ok(census.clock_ahead()),
                Err(error) => Err(error.to_string()),
            },
            Err(why) => Err(why.clone()),
        },
        warehouse: match &source.pipeline.warehouse {
            None => None,
            Some(declared) => Some(warehouse_answers(source, declared, &store, &setting).await),
        },
        subscriptions: match setting(env::TOPIC_ARN.name) {
            Ok(arn) => subscriptions(source, &arn).await,
            Err(why) => Err(why),
        },
        alarms: match setting(env::TOPIC_ARN.name) {
            Ok(arn) if !source.prefix.is_empty() => alarms(source, &arn).await,
            _ => Vec::new(),
        },
        webhook: webhook(source, census, &setting).await,
        intake: intake(source).await,
        dead_letters: dead_letters(source, &environment).await,
        rounds: match setting(env::INCIDENTS_TABLE.name) {
            Ok(table) => IncidentStore::new(source.sdk.clients().dynamodb, table)
                .rounds(&source.pipeline.name)
                .await
                .map_err(|error| Error::from(error).to_string()),
            Err(why) => Err(why),
        },
        now: source.now,
    }
}

async fn function(
    source: &Source<'_>,
    name: &str,
    declared: &DeclaredFunction,
    environment: &mut BTreeMap<String, String>,
) -> FunctionSeen {
    let (lambda, full) =
        (aws_sdk_lambda::Client::new(source.sdk.config()), format!("{}{name}", source.prefix));
    let answer = lambda.get_function_configuration().function_name(&full).send().await;
    let configuration = match answer {
        Ok(answer) => {
            let variables = answer.environment.and_then(|set| set.variables).unwrap_or_default();
            let missing = declared
                .settings()
                .filter(|name| variables.get(*name).is_none_or(|value| value.trim().is_empty()))
                .map(str::to_owned)
                .collect();
            environment.extend(variables);
            // Lambda leaves it out of some answers about functions that are well.
            let state = answer.state.map_or_else(|| "Active".to_owned(), |state| state.as_str().to_owned());
            Ok(Configuration { state, missing })
        }
        Err(error) => {
            Err(FUNCTION.failed(&full, "lambda:GetFunctionConfiguration", &error).by_person().to_string())
        }
    };
    let there = configuration.is_ok();
    let schedule = match &declared.schedule {
        None => None,
        Some(wanted) => Some((wanted.clone(), schedule(source, &full).await)),
    };
    let trigger = match declared.fired_by() {
        Some(_) if there => Some(trigger(source, &full).await),
        _ => None,
    };
    let ping = if there { Some(ping(source, &full).await) } else { None };
    let has_work = match name {
        "daily-validation" => !source.pipeline.checks.is_empty(),
        "nightly-snapshot" => source.pipeline.snapshot.is_some(),
        _ => true,
    };
    FunctionSeen { name: name.to_owned(), configuration, schedule, trigger, ping, has_work }
}

async fn schedule(source: &Source<'_>, name: &str) -> Seen<ScheduleSeen> {
    let answer = aws_sdk_scheduler::Client::new(source.sdk.config()).get_schedule().name(name).send().await;
    let answer = answer
        .map_err(|error| SCHEDULE.failed(name, "scheduler:GetSchedule", &error).by_person().to_string())?;
    Ok(ScheduleSeen {
        state: answer.state.map_or_else(|| "ENABLED".to_owned(), |state| state.as_str().to_owned()),
        fires: DeclaredSchedule {
            expression: answer.schedule_expression.unwrap_or_default(),
            // AWS's own default.
            time_zone: answer.schedule_expression_timezone.unwrap_or_else(|| "UTC".to_owned()),
        },
    })
}

async fn trigger(source: &Source<'_>, name: &str) -> Seen<Vec<String>> {
    let answer = aws_sdk_lambda::Client::new(source.sdk.config())
        .list_event_source_mappings()
        .function_name(name)
        .send()
        .await;
    let answer = answer.map_err(|error| {
        FUNCTION.failed(name, "lambda:ListEventSourceMappings", &error).by_person().to_string()
    })?;
    let mappings = answer.event_source_mappings.unwrap_or_default();
    Ok(mappings.into_iter().map(|mapping| mapping.state.unwrap_or_default()).collect())
}

async fn ping(source: &Source<'_>, name: &str) -> Seen<()> {
    let event = Blob::new(r#"{"task":"ping"}"#);
    let answer = aws_sdk_lambda::Client::new(source.sdk.config())
        .invoke()
        .function_name(name)
        .payload(event)
        .send()
        .await;
    let answer = answer
        .map_err(|error| FUNCTION.failed(name, "lambda:InvokeFunction", &error).by_person().to_string())?;
    if answer.function_error.is_none() {
        return Ok(());
    }
    // The functions' own errors name the thing and the remedy, and hold no secret.
    let said = answer.payload.map(Blob::into_inner).unwrap_or_default();
    let said: serde_json::Value = serde_json::from_slice(&said).unwrap_or_default();
    let message = said.get("errorMessage").and_then(serde_json::Value::as_str);
    Err(message.unwrap_or("it failed and did not say why; its log has more").to_owned())
}

/// Whether the pipeline has a use for the secret that a setting names.
fn is_used(pipeline: &Pipeline, setting: &str) -> bool {
    if setting == env::PAGERDUTY_SECRET.name {
        pipeline.channels.pagerduty.is_some()
    } else if setting == env::CHAT_SECRET.name {
        pipeline.channels.chat.is_some()
    } else if setting == env::WAREHOUSE_SECRET.name {
        pipeline.warehouse.is_some()
    } else {
        true
    }
}

async fn secrets(
    store: &SecretStore,
    environment: &BTreeMap<String, String>,
    is_used: impl Fn(&str) -> bool,
) -> Vec<(String, Seen<()>)> {
    let mut seen = BTreeMap::new();
    let secrets = environment.iter().filter(|(setting, _)| setting.ends_with("_SECRET") && is_used(setting));
    for (_, name) in secrets {
        if !seen.contains_key(name) {
            let state = store.text(name).await.map(drop).map_err(secret_error);
            seen.insert(name.clone(), state);
        }
    }
    seen.into_iter().collect()
}

fn secret_error(error: SecretError) -> String {
    Error::from(error).to_string()
}

async fn census_client(
    source: &Source<'_>,
    secrets: &SecretStore,
    setting: &impl Fn(&str) -> Seen<String>,
) -> Seen<census::Client> {
    let name = setting(env::CENSUS_SECRET.name)?;
    let token = secrets.get(&name, source.now).await.map_err(secret_error)?;
    let base_url = setting(env::CENSUS_BASE_URL.name).ok();
    let settings = census::Settings::of(&source.pipeline.census, base_url.as_deref(), token);
    census::Client::new(source.sdk.http.clone(), settings, source.now).map_err(|error| error.to_string())
}

async fn warehouse_answers(
    source: &Source<'_>,
    declared: &syncwatch::pipeline::Warehouse,
    secrets: &SecretStore,
    setting: &impl Fn(&str) -> Seen<String>,
) -> Seen<()> {
    let secret = setting(env::WAREHOUSE_SECRET.name)?;
    let base_url = setting(env::DATABRICKS_URL.name).ok();
    let access = warehouse::Access {
        warehouse: declared,
        secret: &secret,
        base_url: base_url.as_deref(),
        limits: Limits { time: WAREHOUSE_LIMIT, ..Limits::default() },
        start_limit: WAREHOUSE_LIMIT,
    };
    let warehouse = warehouse::open(&access, secrets, source.sdk.http.clone());
    let warehouse = warehouse.await.map_err(|error| error.to_string())?;
    let statement = Statement::new("whether the warehouse answers", "SELECT 1 AS answers");
    warehouse.query(&statement).await.map(drop).map_err(|error| error.to_string())
}

async fn subscriptions(source: &Source<'_>, arn: &str) -> Seen<Vec<Subscription>> {
    let mut seen = Vec::new();
    let mut pages =
        source.sdk.clients().sns.list_subscriptions_by_topic().topic_arn(arn).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| {
            TOPIC.failed(arn, "sns:ListSubscriptionsByTopic", &error).by_person().to_string()
        })?;
        seen.extend(page.subscriptions.unwrap_or_default().into_iter().map(|subscription| {
            let protocol = subscription.protocol.unwrap_or_default();
            Subscription {
                reaches: reaches(&protocol, &subscription.endpoint.unwrap_or_default()),
                // SNS says `PendingConfirmation` in the place of an ARN.
                confirmed: subscription.subscription_arn.is_some_and(|arn| arn.starts_with("arn:")),
                protocol,
            }
        }));
    }
    Ok(seen)
}

/// The topics of alarms, which Terraform makes beside that of notices.
const ALARM_TOPICS: [&str; 2] = ["alarms", "page"];

async fn alarms(source: &Source<'_>, notices: &str) -> Vec<(String, Seen<Vec<Subscription>>)> {
    let account = notices.rsplit_once(':').map_or(notices, |(account, _)| account);
    let mut seen = Vec::new();
    for topic in ALARM_TOPICS {
        let name = format!("{}{topic}", source.prefix);
        let found = subscriptions(source, &format!("{account}:{name}")).await;
        seen.push((name, found));
    }
    seen
}

/// Whom a subscription reaches. The path of an address may be a key, as PagerDuty's is.
fn reaches(protocol: &str, endpoint: &str) -> String {
    match protocol {
        "http" | "https" => reqwest::Url::parse(endpoint)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_else(|| "an address".to_owned()),
        "sqs" | "lambda" => endpoint.rsplit(':').next().unwrap_or_default().to_owned(),
        _ => endpoint.to_owned(),
    }
}

async fn webhook(
    source: &Source<'_>,
    census: Seen<census::Client>,
    setting: &impl Fn(&str) -> Seen<String>,
) -> Seen<Found> {
    let census = census?;
    let secrets = SecretStore::new(source.sdk.secrets());
    let path = source.declared.intake().map_or("/", |(_, path)| path);
    let endpoint = Endpoint::parse(&intake_url(source).await?, path).map_err(|error| error.to_string())?;
    let secret_name = setting(env::WEBHOOK_SECRET.name)?;
    let pipeline = source.pipeline.name.clone();
    let registration = Registration { census, secrets, secret_name, endpoint, pipeline };
    registration.look().await.map_err(|error| error.to_string())
}

/// The address of the intake: the given one, or the one that Lambda gave it.
async fn intake_url(source: &Source<'_>) -> Seen<String> {
    if let Some(url) = source.url {
        return Ok(url.to_owned());
    }
    let (name, path) = source.declared.intake().ok_or("infra/functions.json has no function with a url")?;
    let full = format!("{}{name}", source.prefix);
    let answer = aws_sdk_lambda::Client::new(source.sdk.config())
        .get_function_url_config()
        .function_name(&full)
        .send()
        .await;
    let answer = answer.map_err(|error| {
        let error = FUNCTION.failed(&full, "lambda:GetFunctionUrlConfig", &error).by_person();
        match error.fault() {
            Fault::Missing => format!(
                "{full} has no URL of its own. With an HTTP API in front, say where it answers: syncwatch doctor \
                 --url $(terraform -chdir=infra output -raw webhook_url)"
            ),
            _ => error.to_string(),
        }
    })?;
    Ok(format!("{}{path}", answer.function_url.trim_end_matches('/')))
}

/// Posts a body that nobody signed; the intake is to refuse it.
async fn intake(source: &Source<'_>) -> Seen<(u16, String)> {
    let url = intake_url(source).await?;
    let request = source.sdk.http.post(&url).timeout(INTAKE_LIMIT);
    let answer = request.header("content-type", "application/json").body("{}").send().await;
    match answer {
        Ok(answer) => Ok((answer.status().as_u16(), url)),
        Err(error) => Err(format!("{url} does not answer: {}", syncwatch::http::chain(&error.without_url()))),
    }
}

async fn dead_letters(
    source: &Source<'_>,
    environment: &BTreeMap<String, String>,
) -> Vec<(String, Seen<Option<u64>>)> {
    let mut seen = Vec::new();
    for setting in [env::DELIVERIES_DEAD_LETTERS, env::NOTICES_DEAD_LETTERS] {
        let Some(url) = environment.get(setting.name) else { continue };
        let name = url.rsplit('/').next().unwrap_or(url).to_owned();
        let depth = Queue::new(source.sdk.sqs(), url.clone(), setting.name).depth().await;
        seen.push((name, depth.map_err(|error| error.by_person().to_string())));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_the_host_is_shown_for_its_path_may_be_a_key() {
        let table = [
            ("email", "ada@example.com", "ada@example.com"),
            ("https", "https://events.pagerduty.com/integration/0123456789/enqueue", "events.pagerduty.com"),
            ("https", "nonsense", "an address"),
            ("sqs", "arn:aws:sqs:us-east-1:123456789012:syncwatch-notices-relay", "syncwatch-notices-relay"),
        ];
        for (protocol, endpoint, shown) in table {
            assert_eq!(reaches(protocol, endpoint), shown);
        }
    }
}
