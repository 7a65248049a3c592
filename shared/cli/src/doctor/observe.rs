//! Asks AWS, Census and the warehouse. Decides nothing, and goes on after a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use aws_sdk_lambda::primitives::Blob;
use jiff::{SignedDuration, Timestamp};

use crate::alarms::{Action, Alarm, CloudWatch};
use crate::declared::{Declared, DeclaredFunction, DeclaredSchedule};
use crate::endpoint::Endpoint;
use crate::plan::Found;
use crate::{Error, Operator};
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::aws::queue::Queue;
use syncwatch::aws::secrets::SecretStore;
use syncwatch::aws::topic::Topic;
use syncwatch::aws::{Fault, Kind};
use syncwatch::census;
use syncwatch::data_checks::{Filter, filter_statement, filters};
use syncwatch::observation::Subscribers;
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::env::{self, Setting};
use syncwatch::sql::Statement;
use syncwatch::warehouse::{Limits, Warehouse};

/// What was seen, or why it could not be, remedy included.
pub(super) type Probe<T> = Result<T, Error>;

/// How long the warehouse may take to start; a person waits for the table.
const WAREHOUSE_LIMIT: Duration = Duration::from_secs(60);
/// How far back the history of alarms is read.
const ACTIONS_SINCE: SignedDuration = SignedDuration::from_hours(7 * 24);
const INTAKE_LIMIT: Duration = Duration::from_secs(15);

const FUNCTION: Kind = Kind { name: "function", correct: "AWS_REGION, the region of the deployment" };
const SCHEDULE: Kind = Kind { name: "schedule", ..FUNCTION };

pub(crate) struct Source<'a> {
    pub(crate) operator: &'a Operator,
    pub(crate) declared: &'a Declared,
    /// What stands before the names of functions and schedules in AWS.
    pub(crate) prefix: &'a str,
    /// The address of the intake, if it is not the one that Lambda gave it.
    pub(crate) url: Option<&'a str>,
}

#[derive(Debug)]
pub(crate) struct Observed {
    pub(super) functions: Vec<FunctionSeen>,
    /// The secrets that functions read: their names, and whether they have a value.
    pub(super) secrets: Vec<(String, Probe<()>)>,
    /// Whether Census takes the token, and how far its clock is ahead of this machine's.
    pub(super) census: Probe<Option<SignedDuration>>,
    /// What the warehouse answers; `None` if the pipeline declares none.
    pub(super) warehouse: Option<Probe<Vec<FilterSeen>>>,
    pub(super) notices: Probe<TopicSeen>,
    /// The topics of CloudWatch's own alarms: they must reach people when nothing of ours works.
    pub(super) alarms: Vec<(String, Probe<TopicSeen>)>,
    /// CloudWatch's alarms; `None` where there are none, in the lab.
    pub(super) cloudwatch: Option<Probe<AlarmsSeen>>,
    pub(super) webhook: Probe<Found>,
    /// The status with which the intake answers an unsigned request, and its address.
    pub(super) intake: Probe<(u16, String)>,
    /// The queues of dead letters: their names, and about how many messages lie there.
    pub(super) dead_letters: Vec<(String, Probe<Option<u64>>)>,
    /// When the last whole rounds began (UTC), by what they are recorded as.
    pub(super) rounds: Probe<BTreeMap<String, Timestamp>>,
    pub(super) now: Timestamp,
}

/// A filter of the data checks, asked once however many checks declare it.
#[derive(Debug)]
pub(super) struct FilterSeen {
    pub(super) table: String,
    pub(super) filter: String,
    /// Whether it may keep no row: see [`Filter::may_keep_none`].
    pub(super) may_keep_none: bool,
    /// How many rows it keeps, and how many there are.
    pub(super) counts: Probe<[i64; 2]>,
}

/// A function that should be there.
#[derive(Debug)]
pub(super) struct FunctionSeen {
    pub(super) name: String,
    pub(super) configuration: Probe<Configuration>,
    /// The schedules that it should have, each with what stands behind the function's name in its own and with the one
    /// that it has; that of its rounds first.
    pub(super) schedules: Vec<(String, DeclaredSchedule, Probe<ScheduleSeen>)>,
    /// Whether the queue that is to fire it does, by the states of the mappings.
    pub(super) trigger: Option<Probe<Vec<String>>>,
    pub(super) ping: Option<Probe<()>>,
    /// Whether the pipeline declares what its rounds are for.
    pub(super) has_work: bool,
}

#[derive(Debug)]
pub(super) struct Configuration {
    /// Lambda's word, such as `Active`.
    pub(super) state: String,
    /// The settings of the table that it was not given.
    pub(super) missing: Vec<String>,
}

#[derive(Debug)]
pub(super) struct ScheduleSeen {
    /// `ENABLED` or `DISABLED`.
    pub(super) state: String,
    pub(super) fires: DeclaredSchedule,
}

/// The alarms, and what they sent of late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AlarmsSeen {
    /// The names that should be there.
    pub(super) declared: BTreeSet<String>,
    pub(super) found: Vec<Alarm>,
    /// Newest first.
    pub(super) actions: Vec<Action>,
}

/// A topic with its subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicSeen {
    /// The confirmed ones that it needs, if its tag says so.
    pub(super) needed: Option<Subscribers>,
    pub(super) subscriptions: Vec<Subscription>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) protocol: String,
    /// Whom it reaches; of an `https` one the host alone, as the rest may be a key.
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
        // Lambda leaves it out of some answers about functions that are well.
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
                // AWS's own default.
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
        // The functions' own errors name the thing and the remedy, and hold no secret.
        let said = answer.payload.map(Blob::into_inner).unwrap_or_default();
        let said: serde_json::Value = serde_json::from_slice(&said).unwrap_or_default();
        let message = said.get("errorMessage").and_then(serde_json::Value::as_str);
        Err(Error::plain(message.unwrap_or("it failed and did not say why; its log has more")))
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

    /// The address of the intake: the given one, or the one that Lambda gave it.
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
                Fault::Missing => Error::plain(format!(
                    "{full} has no URL of its own. With an HTTP API in front, say where it answers: syncwatch doctor \
                     --url $(terraform -chdir=infra output -raw webhook_url)"
                )),
                _ => error.into(),
            }
        })?;
        Ok(format!("{}{path}", answer.function_url.trim_end_matches('/')))
    }

    /// Posts an unsigned body; the intake is to refuse it.
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

/// What is deployed, with the settings that its functions really have.
struct Deployed<'a> {
    source: &'a Source<'a>,
    environment: BTreeMap<String, String>,
}

impl Deployed<'_> {
    fn setting(&self, Setting { name, .. }: Setting) -> Probe<String> {
        self.environment.get(name).cloned().ok_or_else(|| {
            Error::plain(format!("no deployed function has the setting {name}. Deploy again: make deploy"))
        })
    }

    async fn secrets(&self) -> Vec<(String, Probe<()>)> {
        let store = SecretStore::new(self.source.operator.sdk.secrets());
        let mut seen = BTreeMap::new();
        for (setting, name) in &self.environment {
            let is_heartbeat = setting == env::HEARTBEAT_SECRET.name;
            let used = is_heartbeat || is_used(&self.source.operator.pipeline, setting);
            let used = setting.ends_with("_SECRET") && used;
            if used && !seen.contains_key(name) {
                seen.insert(name.clone(), store.text(name).await.map(drop).map_err(Into::into));
            }
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
        self.source.operator.registration_by(census, secret_name, endpoint).look().await
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

/// Each filter once. One that must keep rows in any check must keep rows.
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

/// How many rows a filter keeps, and how many there are.
async fn counts(warehouse: &Warehouse, filter: &Filter<'_>) -> Probe<[i64; 2]> {
    let statement =
        filter_statement(filter, warehouse.dialect()).map_err(|why| Error::plain(why.to_string()))?;
    let answer = warehouse.query(&statement).await?;
    let row = answer.only_row()?;
    Ok([row.get("kept")?, row.get("all_rows")?])
}

/// Whether the pipeline has a use for the secret that a setting names.
fn is_used(pipeline: &Pipeline, setting: &str) -> bool {
    match setting {
        _ if setting == env::PAGERDUTY_SECRET.name => pipeline.channels.pagerduty.is_some(),
        _ if setting == env::CHAT_SECRET.name => pipeline.channels.chat.is_some(),
        _ if setting == env::WAREHOUSE_SECRET.name => pipeline.warehouse.is_some(),
        // Terraform's choice.
        _ if setting == env::HEARTBEAT_SECRET.name => false,
        _ => true,
    }
}

/// Whom a subscription reaches. The path of an address may be a key, as PagerDuty's is.
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
    fn filter_of_several_checks_is_asked_once() {
        let pipeline = Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap();
        let asked = distinct(pipeline.checks.iter().flat_map(filters));
        let of_copy = asked.iter().filter(|filter| filter.table == "crm.salesforce.product_property");
        assert_eq!(of_copy.count(), 1, "{asked:?}");
        assert!(asked.iter().all(|filter| !filter.may_keep_none), "{asked:?}");
    }

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
