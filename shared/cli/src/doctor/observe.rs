//! Queries AWS, Census and the warehouse. Decides nothing and continues after a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use aws_sdk_lambda::primitives::Blob;
use jiff::{SignedDuration, Timestamp};

use crate::alarms::{Action, Alarm, CloudWatch};
use crate::declared::{Declared, DeclaredFunction, DeclaredSchedule};
use crate::{Error, Operator};
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::aws::queue::Queue;
use syncwatch::aws::secrets::{SecretStore, SecretValues};
use syncwatch::aws::topic::Topic;
use syncwatch::aws::{Fault, Kind};
use syncwatch::census;
use syncwatch::data_checks::{Filter, filter_statement, filters};
use syncwatch::observation::Subscribers;
use syncwatch::pipeline::{Channel, Class, Pipeline};
use syncwatch::registration::Endpoint;
use syncwatch::registration::Found;
use syncwatch::runtime::env::{self, Setting};
use syncwatch::sql::Statement;
use syncwatch::warehouse::{Limits, Warehouse};

/// An observation, or its error with a remedy.
pub(super) type Probe<T> = Result<T, Error>;

/// Limit for the start of the warehouse; a person waits for the result.
const WAREHOUSE_LIMIT: Duration = Duration::from_secs(60);
/// Length of the alarm history that is read.
const ACTIONS_SINCE: SignedDuration = SignedDuration::from_hours(7 * 24);
const INTAKE_LIMIT: Duration = Duration::from_secs(15);

const FUNCTION: Kind = Kind { name: "function", correct: "AWS_REGION, the region of the deployment" };
const SCHEDULE: Kind = Kind { name: "schedule", ..FUNCTION };

pub(crate) struct Source<'a> {
    pub(crate) operator: &'a Operator,
    pub(crate) declared: &'a Declared,
    /// Prefix of the names of functions and schedules in AWS.
    pub(crate) prefix: &'a str,
    /// Address of the intake, if it is not the Function URL.
    pub(crate) url: Option<&'a str>,
}

#[derive(Debug)]
pub(crate) struct Observed {
    pub(super) functions: Vec<FunctionSeen>,
    /// Secrets that functions read, by name, and whether each has a value. Values of channels are listed apart, as
    /// `NAME, channel CHANNEL`.
    pub(super) secrets: Vec<(String, Probe<()>)>,
    /// Whether Census accepts the token, and how far its clock is ahead of this machine's.
    pub(super) census: Probe<Option<SignedDuration>>,
    /// Filters in the warehouse; `None` if the pipeline declares no warehouse.
    pub(super) warehouse: Option<Probe<Vec<FilterSeen>>>,
    pub(super) notices: Probe<TopicSeen>,
    /// Topics of CloudWatch's alarms, which must reach people when Syncwatch is down.
    pub(super) alarms: Vec<(String, Probe<TopicSeen>)>,
    /// CloudWatch's alarms; `None` in the lab, which has none.
    pub(super) cloudwatch: Option<Probe<AlarmsSeen>>,
    pub(super) webhook: Probe<Found>,
    /// Status of the intake's answer to an unsigned request, and its address.
    pub(super) intake: Probe<(u16, String)>,
    /// Dead-letter queues by name, with their approximate number of messages.
    pub(super) dead_letters: Vec<(String, Probe<Option<u64>>)>,
    /// Start of the last complete rounds (UTC), by recorded name.
    pub(super) rounds: Probe<BTreeMap<String, Timestamp>>,
    pub(super) now: Timestamp,
}

/// A filter of the data checks, queried once even if several checks declare it.
#[derive(Debug)]
pub(super) struct FilterSeen {
    pub(super) table: String,
    pub(super) filter: String,
    /// Whether it may keep no rows: see [`Filter::may_keep_none`].
    pub(super) may_keep_none: bool,
    /// Kept rows and all rows.
    pub(super) counts: Probe<[i64; 2]>,
}

/// A declared function.
#[derive(Debug)]
pub(super) struct FunctionSeen {
    pub(super) name: String,
    pub(super) configuration: Probe<Configuration>,
    /// Name suffix, declared and deployed form of each schedule; the schedule of its rounds comes first.
    pub(super) schedules: Vec<(String, DeclaredSchedule, Probe<ScheduleSeen>)>,
    /// States of the mappings between its queue and the function.
    pub(super) trigger: Option<Probe<Vec<String>>>,
    pub(super) ping: Option<Probe<()>>,
    /// Whether the pipeline declares work for its rounds.
    pub(super) has_work: bool,
}

#[derive(Debug)]
pub(super) struct Configuration {
    /// Lambda's state, such as `Active`.
    pub(super) state: String,
    /// Declared settings that it lacks.
    pub(super) missing: Vec<String>,
}

#[derive(Debug)]
pub(super) struct ScheduleSeen {
    /// `ENABLED` or `DISABLED`.
    pub(super) state: String,
    pub(super) fires: DeclaredSchedule,
}

/// The alarms and their recent actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AlarmsSeen {
    /// Names of the declared alarms.
    pub(super) declared: BTreeSet<String>,
    pub(super) found: Vec<Alarm>,
    /// Newest first.
    pub(super) actions: Vec<Action>,
}

/// A topic with its subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicSeen {
    /// Required confirmed subscribers, if its tag names them.
    pub(super) needed: Option<Subscribers>,
    pub(super) subscriptions: Vec<Subscription>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) protocol: String,
    /// The recipient; for `https` only the host, because the rest may be a key.
    pub(super) reaches: String,
    pub(super) confirmed: bool,
}

pub(crate) async fn configuration(
    lambda: &aws_sdk_lambda::Client,
    name: &str,
) -> Probe<GetFunctionConfigurationOutput> {
    let answer = lambda.get_function_configuration().function_name(name).send().await;
    Ok(answer.map_err(|error| FUNCTION.failed(name, "lambda:GetFunctionConfiguration", &error))?)
}

pub(crate) async fn observe(source: &Source<'_>) -> Observed {
    let mut functions = Vec::new();
    let mut environment = BTreeMap::new();
    for (name, declared) in &source.declared.functions {
        functions.push(source.function(name, declared, &mut environment).await);
    }
    let deployed = Deployed { source, environment };
    let census = deployed.census().await;
    Observed {
        functions,
        secrets: deployed.secrets().await,
        census: match &census {
            Ok(census) => {
                census.list_syncs_page(1, 1).await.map(|_| census.clock_ahead()).map_err(Into::into)
            }
            Err(why) => Err(why.clone()),
        },
        warehouse: match source.operator.pipeline.warehouse {
            None => None,
            Some(_) => Some(deployed.warehouse().await),
        },
        notices: deployed.topic(env::TOPIC_ARN).await,
        alarms: deployed.alarms().await,
        cloudwatch: match source.prefix {
            "" => None,
            prefix => Some(source.cloudwatch(prefix).await),
        },
        webhook: deployed.webhook(census).await,
        intake: source.intake().await,
        dead_letters: deployed.dead_letters().await,
        rounds: deployed.rounds().await,
        now: source.operator.now,
    }
}

impl Source<'_> {
    async fn function(
        &self,
        name: &str,
        declared: &DeclaredFunction,
        environment: &mut BTreeMap<String, String>,
    ) -> FunctionSeen {
        let full = format!("{}{name}", self.prefix);
        let configuration = self.configuration(&full, declared, environment).await;
        let there = configuration.is_ok();
        let mut schedules = Vec::new();
        for (also, wanted) in declared.schedules() {
            let found = self.schedule(&format!("{full}{also}")).await;
            schedules.push((also, wanted, found));
        }
        FunctionSeen {
            name: name.to_owned(),
            configuration,
            schedules,
            trigger: if there && declared.queue.is_some() { Some(self.trigger(&full).await) } else { None },
            ping: if there { Some(self.ping(&full).await) } else { None },
            has_work: match name {
                "daily-validation" => !self.operator.pipeline.checks.is_empty(),
                "reconciliation" => !self.operator.pipeline.objects.is_empty(),
                "nightly-snapshot" => self.operator.pipeline.snapshot.is_some(),
                _ => true,
            },
        }
    }

    fn lambda(&self) -> aws_sdk_lambda::Client {
        aws_sdk_lambda::Client::new(self.operator.sdk.config())
    }

    async fn configuration(
        &self,
        name: &str,
        declared: &DeclaredFunction,
        environment: &mut BTreeMap<String, String>,
    ) -> Probe<Configuration> {
        let answer = configuration(&self.lambda(), name).await?;
        let variables = answer.environment.and_then(|set| set.variables).unwrap_or_default();
        let is_missing = |name: &str| variables.get(name).is_none_or(|value| value.trim().is_empty());
        let pipeline = &self.operator.pipeline;
        let wanted = self.declared.settings(declared);
        let wanted = wanted.filter(|(name, optional)| !optional || is_used(pipeline, name));
        let missing = wanted.filter(|(name, _)| is_missing(name)).map(|(name, _)| name.to_owned()).collect();
        environment.extend(variables);
        // Lambda omits it in some answers about healthy functions.
        let state = answer.state.map_or_else(|| "Active".to_owned(), |state| state.as_str().to_owned());
        Ok(Configuration { state, missing })
    }

    async fn schedule(&self, name: &str) -> Probe<ScheduleSeen> {
        let scheduler = aws_sdk_scheduler::Client::new(self.operator.sdk.config());
        let answer = scheduler.get_schedule().name(name).send().await;
        let answer = answer.map_err(|error| SCHEDULE.failed(name, "scheduler:GetSchedule", &error))?;
        Ok(ScheduleSeen {
            state: answer.state.map_or_else(|| "ENABLED".to_owned(), |state| state.as_str().to_owned()),
            fires: DeclaredSchedule {
                expression: answer.schedule_expression.unwrap_or_default(),
                // The default of AWS.
                time_zone: answer.schedule_expression_timezone.unwrap_or_else(|| "UTC".to_owned()),
            },
        })
    }

    async fn trigger(&self, name: &str) -> Probe<Vec<String>> {
        let answer = self.lambda().list_event_source_mappings().function_name(name).send().await;
        let answer =
            answer.map_err(|error| FUNCTION.failed(name, "lambda:ListEventSourceMappings", &error))?;
        let mappings = answer.event_source_mappings.unwrap_or_default();
        Ok(mappings.into_iter().map(|mapping| mapping.state.unwrap_or_default()).collect())
    }

    async fn ping(&self, name: &str) -> Probe<()> {
        let event = Blob::new(r#"{"task":"ping"}"#);
        let answer = self.lambda().invoke().function_name(name).payload(event).send().await;
        let answer = answer.map_err(|error| FUNCTION.failed(name, "lambda:InvokeFunction", &error))?;
        if answer.function_error.is_none() {
            return Ok(());
        }
        // The functions' own errors name the fault and the remedy, and contain no secret.
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap_or_default();
        let message = payload.get("errorMessage").and_then(serde_json::Value::as_str);
        Err(Error::plain(message.unwrap_or("it failed without a message; check its log")))
    }

    async fn cloudwatch(&self, prefix: &str) -> Probe<AlarmsSeen> {
        let Operator { sdk, now, .. } = self.operator;
        let cloudwatch = CloudWatch::new(sdk);
        let since = now.saturating_sub(ACTIONS_SINCE).unwrap_or(*now);
        Ok(AlarmsSeen {
            declared: self.declared.alarms(prefix.trim_end_matches('-')),
            found: cloudwatch.alarms(prefix).await?,
            actions: cloudwatch.actions(prefix, since).await?,
        })
    }

    /// Returns the address of the intake: the given one, or the Function URL.
    async fn intake_url(&self) -> Probe<String> {
        if let Some(url) = self.url {
            return Ok(url.to_owned());
        }
        let (name, path) = self.declared.intake()?;
        let full = format!("{}{name}", self.prefix);
        let answer = self.lambda().get_function_url_config().function_name(&full).send().await;
        let answer = answer.map_err(|error| {
            let error = FUNCTION.failed(&full, "lambda:GetFunctionUrlConfig", &error);
            match error.fault() {
                Fault::Missing => Error::new(
                    format!("{full} has no Function URL"),
                    "behind an HTTP API: syncwatch doctor --url $(terraform -chdir=infra output -raw webhook_url)",
                ),
                _ => error.into(),
            }
        })?;
        Ok(format!("{}{path}", answer.function_url.trim_end_matches('/')))
    }

    /// Posts an unsigned body, which the intake must refuse.
    async fn intake(&self) -> Probe<(u16, String)> {
        let url = self.intake_url().await?;
        let request = self.operator.sdk.http.post(&url).timeout(INTAKE_LIMIT);
        match request.header("content-type", "application/json").body("{}").send().await {
            Ok(answer) => Ok((answer.status().as_u16(), url)),
            Err(error) => {
                let why = syncwatch::http::chain(&error.without_url());
                Err(Error::plain(format!("{url} does not answer: {why}")))
            }
        }
    }
}

/// The deployment, with the settings of its functions.
struct Deployed<'a> {
    source: &'a Source<'a>,
    environment: BTreeMap<String, String>,
}

impl Deployed<'_> {
    fn setting(&self, Setting { name, .. }: Setting) -> Probe<String> {
        self.environment.get(name).cloned().ok_or_else(|| {
            Error::new(format!("no deployed function has the setting {name}"), "deploy again: make deploy")
        })
    }

    async fn secrets(&self) -> Vec<(String, Probe<()>)> {
        let store = SecretStore::new(self.source.operator.sdk.secrets());
        let mut seen = BTreeMap::new();
        for (setting, name) in &self.environment {
            let is_heartbeat = setting == env::HEARTBEAT_SECRET.name;
            let used = is_heartbeat || is_used(&self.source.operator.pipeline, setting);
            let used = setting.ends_with("_SECRET") && used;
            if !used || seen.contains_key(name) {
                continue;
            }
            let Some(class) = class(setting) else {
                seen.insert(name.clone(), store.text(name).await.map(drop).map_err(Into::into));
                continue;
            };
            let values = store.read(name).await;
            if let Ok(values) = &values {
                seen.extend(members(name, values, &self.source.operator.pipeline, class));
            }
            seen.insert(name.clone(), values.map(drop).map_err(Into::into));
        }
        seen.into_iter().collect()
    }

    async fn census(&self) -> Probe<census::Client> {
        let base_url = self.setting(env::CENSUS_BASE_URL).ok();
        self.source.operator.census_by(&self.setting(env::CENSUS_SECRET)?, base_url).await
    }

    async fn warehouse(&self) -> Probe<Vec<FilterSeen>> {
        let secret = || self.setting(env::WAREHOUSE_SECRET);
        let base_url = self.setting(env::DATABRICKS_URL).ok();
        let limits = Limits { time: WAREHOUSE_LIMIT, ..Limits::default() };
        let warehouse = self.source.operator.warehouse_by(secret, base_url, limits, WAREHOUSE_LIMIT).await?;
        let statement = Statement::new("whether the warehouse answers", "SELECT 1 AS answers");
        warehouse.query(&statement).await?;
        let mut seen = Vec::new();
        for filter in distinct(self.source.operator.pipeline.checks.iter().flat_map(filters)) {
            seen.push(FilterSeen {
                table: filter.table.to_owned(),
                filter: filter.in_words(),
                may_keep_none: filter.may_keep_none,
                counts: counts(&warehouse, &filter).await,
            });
        }
        Ok(seen)
    }

    async fn topic(&self, setting: Setting) -> Probe<TopicSeen> {
        let topic = Topic::new(self.source.operator.sdk.sns(), self.setting(setting)?);
        let subscriptions = topic.subscriptions().await?.into_iter().map(|seen| Subscription {
            reaches: reaches(&seen.protocol, &seen.endpoint),
            protocol: seen.protocol,
            confirmed: seen.confirmed,
        });
        Ok(TopicSeen { needed: topic.needed().await?, subscriptions: subscriptions.collect() })
    }

    async fn alarms(&self) -> Vec<(String, Probe<TopicSeen>)> {
        let mut seen = Vec::new();
        for (name, setting) in [("alarms", env::ALARMS_TOPIC_ARN), ("pages", env::PAGE_TOPIC_ARN)] {
            seen.push((name.to_owned(), self.topic(setting).await));
        }
        seen
    }

    async fn webhook(&self, census: Probe<census::Client>) -> Probe<Found> {
        let census = census?;
        let path = self.source.declared.intake().map_or("/", |(_, path)| path);
        let endpoint = Endpoint::parse(&self.source.intake_url().await?, path)?;
        let secret_name = self.setting(env::WEBHOOK_SECRET)?;
        self.source
            .operator
            .registration_by(census, secret_name, endpoint)
            .inspect()
            .await
            .map_err(Error::from)
    }

    async fn dead_letters(&self) -> Vec<(String, Probe<Option<u64>>)> {
        let mut seen = Vec::new();
        for setting in [env::DELIVERIES_DEAD_LETTERS, env::NOTICES_DEAD_LETTERS] {
            let Some(url) = self.environment.get(setting.name) else { continue };
            let name = url.rsplit('/').next().unwrap_or(url).to_owned();
            let queue = Queue::new(self.source.operator.sdk.sqs(), url.clone(), setting.name);
            seen.push((name, queue.depth().await.map_err(Into::into)));
        }
        seen
    }

    async fn rounds(&self) -> Probe<BTreeMap<String, Timestamp>> {
        let Operator { sdk, pipeline, .. } = self.source.operator;
        let store = IncidentStore::new(sdk.dynamodb(), self.setting(env::INCIDENTS_TABLE)?);
        Ok(store.rounds(&pipeline.name).await?)
    }
}

/// Lists each filter once. A filter must keep rows if any of its checks requires it.
fn distinct<'c>(filters: impl Iterator<Item = Filter<'c>>) -> Vec<Filter<'c>> {
    let mut distinct: Vec<Filter<'c>> = Vec::new();
    for filter in filters {
        let is_same =
            |other: &&mut Filter<'c>| (other.table, other.conditions) == (filter.table, filter.conditions);
        match distinct.iter_mut().find(is_same) {
            Some(other) => other.may_keep_none &= filter.may_keep_none,
            None => distinct.push(filter),
        }
    }
    distinct
}

/// Counts the rows that a filter keeps, and all rows.
async fn counts(warehouse: &Warehouse, filter: &Filter<'_>) -> Probe<[i64; 2]> {
    let statement =
        filter_statement(filter, warehouse.dialect()).map_err(|why| Error::plain(why.to_string()))?;
    let answer = warehouse.query(&statement).await?;
    let row = answer.only_row()?;
    Ok([row.get("kept")?, row.get("all_rows")?])
}

/// Returns the class of the channels whose values are in the secret of this setting. Mail channels have no secret.
fn class(setting: &str) -> Option<Class> {
    match setting {
        _ if setting == env::PAGERDUTY_SECRET.name => Some(Class::Pager),
        _ if setting == env::CHAT_SECRET.name => Some(Class::Chat),
        _ => None,
    }
}

/// Returns whether each declared channel of a class, except the default one, has its value in the secret of the class.
fn members(
    secret: &str,
    values: &SecretValues,
    pipeline: &Pipeline,
    class: Class,
) -> Vec<(String, Probe<()>)> {
    let own = |channel: &&Channel| channel.kind.class() == class && !channel.is_default();
    let channels = pipeline.channels.0.iter().filter(own).map(|Channel { name, .. }| {
        let found = values.channels.get(name).map(drop).ok_or_else(|| {
            let remedy = format!(r#"add it: {{"current": "...", "channels": {{"{name}": "..."}}}}"#);
            Error::new("the secret has no value for it", remedy)
        });
        (format!("{secret}, channel {name}"), found)
    });
    channels.collect()
}

/// Returns whether the pipeline uses the secret that a setting names.
pub(crate) fn is_used(pipeline: &Pipeline, setting: &str) -> bool {
    if let Some(class) = class(setting) {
        return pipeline.channels.lowest(class).is_some();
    }
    match setting {
        _ if setting == env::WAREHOUSE_SECRET.name => pipeline.warehouse.is_some(),
        // Terraform decides about it.
        _ if setting == env::HEARTBEAT_SECRET.name => false,
        _ => true,
    }
}

/// Returns the recipient of a subscription. The path of a URL may be a key, as at PagerDuty, so only its host is shown.
pub(crate) fn reaches(protocol: &str, endpoint: &str) -> String {
    match protocol {
        "http" | "https" => {
            let url = reqwest::Url::parse(endpoint).ok();
            url.as_ref().and_then(|url| url.host_str()).unwrap_or("an address").to_owned()
        }
        "sqs" | "lambda" => endpoint.rsplit(':').next().unwrap_or_default().to_owned(),
        _ => endpoint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_of_several_checks_is_queried_once() {
        let pipeline = Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap();
        let asked = distinct(pipeline.checks.iter().flat_map(filters));
        let of_copy = asked.iter().filter(|filter| filter.table == "crm.salesforce.product_property");
        assert_eq!(of_copy.count(), 1, "{asked:?}");
        assert!(asked.iter().all(|filter| !filter.may_keep_none), "{asked:?}");
    }

    #[test]
    fn channel_needs_its_value_in_the_secret_of_its_class() {
        let more = "[channels]\nops-chat = { kind = \"teams\" }\nops-hook = { kind = \"webhook\" }\n\
                    ops-pager = { kind = \"pagerduty\" }\n";
        let text = include_str!("../../../../infra/pipeline.toml").replace("[channels]\n", more);
        let pipeline = Pipeline::parse(&text).unwrap();
        let mut values = SecretValues::only("main".into());
        values.channels.insert("ops-chat".to_owned(), SecretValues::only("https://a.example".into()));
        let found = |class: Class| {
            let rows = members("syncwatch/chat", &values, &pipeline, class).into_iter();
            rows.map(|(name, found)| (name, found.is_ok())).collect::<Vec<_>>()
        };
        let row = |name: &str, good: bool| (format!("syncwatch/chat, channel {name}"), good);
        assert_eq!(found(Class::Chat), [row("ops-chat", true), row("ops-hook", false)]);
        assert_eq!(found(Class::Pager), [row("ops-pager", false)]);
    }

    #[test]
    fn channel_secret_is_used_if_its_class_has_a_channel() {
        let text = include_str!("../../../../infra/pipeline.toml");
        let without = |line: &str| {
            let kept: Vec<&str> = text.lines().filter(|other| !other.starts_with(line)).collect();
            Pipeline::parse(&kept.join("\n")).unwrap()
        };
        let mail = "[channels]\nmail = { from = \"a@example.com\", to = [\"b@example.com\"] }\n";
        let others = |line: &&str| !line.starts_with("pagerduty = ") && !line.starts_with("chat = ");
        let mail_only =
            text.replace("[channels]\n", mail).lines().filter(others).collect::<Vec<_>>().join("\n");
        let mail_only = Pipeline::parse(&mail_only).unwrap();
        let table = [
            (Pipeline::parse(text).unwrap(), [true, true]),
            (without("pagerduty = "), [false, true]),
            (without("chat = "), [true, false]),
            (mail_only, [false, false]),
        ];
        for (pipeline, used) in table {
            let settings = [env::PAGERDUTY_SECRET, env::CHAT_SECRET];
            assert_eq!(settings.map(|setting| is_used(&pipeline, setting.name)), used);
        }
    }

    #[test]
    fn web_address_shows_only_its_host() {
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
