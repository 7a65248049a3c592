//! Reads our own deployment: the configuration of functions, the alarms, and the subscriptions of topics. The values of
//! environment variables and the recipients of topics are not kept.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_cloudwatch::types::MetricAlarm;
use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use tokio::time::{Instant, timeout_at};

use super::topic::Topic;
use super::{AwsError, Fault, Kind, Sdk};
use crate::baseline::{Deployment, Part, Settings, declared_functions, function_limits};

const FUNCTION: Kind = Kind { name: "function", correct: "AWS_REGION, the region of the deployment" };
const ALARMS: Kind = Kind { name: "alarms", ..FUNCTION };

/// Limit for all reads of the deployment.
pub const DEPLOYMENT_LIMIT: Duration = Duration::from_secs(15);

/// Reads the deployment whose functions and alarms have these prefixes, such as `syncwatch-`; a kind that cannot be read is
/// unknown.
pub async fn deployment(sdk: &Sdk, prefix: &str, of_alarms: &str) -> Deployment {
    let deadline = Instant::now() + DEPLOYMENT_LIMIT;
    let mut topics = BTreeSet::new();
    let functions = part(deadline, functions(sdk, prefix, &mut topics)).await;
    let alarms = part(deadline, alarms(sdk, of_alarms)).await;
    let topics = match functions.known() {
        Some(_) => part(deadline, subscriptions(sdk, prefix, &topics)).await,
        None => Part::Unknown("the functions that name the topics are unknown".to_owned()),
    };
    Deployment { functions, alarms, topics }
}

async fn part(deadline: Instant, read: impl Future<Output = Result<Settings, AwsError>>) -> Part<Settings> {
    match timeout_at(deadline, read).await {
        Ok(Ok(settings)) => Part::Known(settings),
        Ok(Err(error)) => Part::Unknown(error.to_string()),
        Err(_) => Part::Unknown(format!("AWS did not answer within {} s", DEPLOYMENT_LIMIT.as_secs())),
    }
}

/// Reads the declared functions, and adds the topics that their settings name. One that does not exist is left out.
async fn functions(sdk: &Sdk, prefix: &str, topics: &mut BTreeSet<String>) -> Result<Settings, AwsError> {
    let (client, mut found) = (aws_sdk_lambda::Client::new(sdk.config()), Settings::new());
    for name in declared_functions().into_keys() {
        let full = format!("{prefix}{name}");
        let answer = client.get_function_configuration().function_name(&full).send().await;
        match answer.map_err(|error| FUNCTION.failed(&full, "lambda:GetFunctionConfiguration", &error)) {
            Ok(function) => {
                let variables = function.environment().and_then(|set| set.variables());
                let arns = variables.into_iter().flatten().filter(|(name, _)| name.ends_with("_TOPIC_ARN"));
                topics.extend(arns.map(|(_, arn)| arn.clone()));
                found.insert(name, settings(&function));
            }
            Err(error) if *error.fault() == Fault::Missing => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn settings(function: &GetFunctionConfigurationOutput) -> BTreeMap<String, String> {
    let names = function.environment().and_then(|set| set.variables()).into_iter().flatten();
    let names: BTreeSet<&str> = names.map(|(name, _)| name.as_str()).collect();
    let mut settings =
        function_limits(function.memory_size().unwrap_or_default(), function.timeout().unwrap_or_default());
    settings.insert("environment".to_owned(), names.into_iter().collect::<Vec<_>>().join("\n"));
    settings.insert("code".to_owned(), function.code_sha256().unwrap_or_default().to_owned());
    settings
}

async fn alarms(sdk: &Sdk, prefix: &str) -> Result<Settings, AwsError> {
    let prefixed = Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty());
    let client = aws_sdk_cloudwatch::Client::new(sdk.config());
    let mut pages = client.describe_alarms().set_alarm_name_prefix(prefixed).into_paginator().send();
    let mut found = Settings::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| ALARMS.failed(prefix, "cloudwatch:DescribeAlarms", &error))?;
        found.extend(page.metric_alarms().iter().map(|alarm| of_alarm(alarm, prefix)));
    }
    Ok(found)
}

fn of_alarm(alarm: &MetricAlarm, prefix: &str) -> (String, BTreeMap<String, String>) {
    let topics = alarm.alarm_actions().iter().map(|arn| last_part(arn)).collect::<Vec<_>>().join("\n");
    let is_enabled = alarm.actions_enabled().unwrap_or(true);
    let comparison = alarm.comparison_operator().map_or("", |operator| operator.as_str());
    let limit = alarm.threshold().map(|threshold| threshold.to_string()).unwrap_or_default();
    let periods = alarm.evaluation_periods().unwrap_or_default();
    let settings = [
        ("actions", if is_enabled { topics } else { "disabled".to_owned() }),
        ("limit", format!("{comparison} {limit}, {periods} periods")),
    ];
    let name = alarm.alarm_name().unwrap_or_default();
    let name = name.strip_prefix(prefix).unwrap_or(name).to_owned();
    (name, settings.map(|(setting, value)| (setting.to_owned(), value)).into())
}

async fn subscriptions(sdk: &Sdk, prefix: &str, topics: &BTreeSet<String>) -> Result<Settings, AwsError> {
    let mut found = Settings::new();
    for arn in topics {
        let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
        for subscription in Topic::new(sdk.sns(), arn).subscriptions().await? {
            let [confirmed, pending] = counts.entry(subscription.protocol).or_default();
            *(if subscription.confirmed { confirmed } else { pending }) += 1;
        }
        let words = |[confirmed, pending]: [usize; 2]| format!("{confirmed} confirmed, {pending} not");
        let settings = counts.into_iter().map(|(protocol, counts)| (protocol, words(counts))).collect();
        let name = last_part(arn);
        found.insert(name.strip_prefix(prefix).unwrap_or(name).to_owned(), settings);
    }
    Ok(found)
}

fn last_part(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}
