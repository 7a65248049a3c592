//! Reads CloudWatch's alarms about Syncwatch and the results of their actions.

use std::collections::BTreeSet;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{HistoryItemType, MetricAlarm, ScanBy, StateValue};
use jiff::Timestamp;

use syncwatch::aws::{AwsError, Kind, Sdk};

const ALARMS: Kind = Kind { name: "alarms", correct: "AWS_REGION, the region of the deployment" };
/// Pages of alarm history to read; each has up to 100 items.
const PAGES: usize = 10;

/// A CloudWatch alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) name: String,
    /// ARNs of the topics that are notified of ALARM.
    pub(crate) topics: Vec<String>,
    /// Whether its actions are enabled.
    pub(crate) enabled: bool,
    pub(crate) in_alarm: bool,
}

/// A message of an alarm to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) alarm: String,
    pub(crate) topic: String,
    /// Reason of the failure; `None` if the topic accepted the message.
    pub(crate) failure: Option<String>,
}

/// Returns the last part of an ARN.
pub(crate) fn name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

impl Alarm {
    fn of(found: MetricAlarm) -> Self {
        Self {
            name: found.alarm_name.unwrap_or_default(),
            topics: found.alarm_actions.unwrap_or_default(),
            enabled: found.actions_enabled.unwrap_or(true),
            in_alarm: found.state_value == Some(StateValue::Alarm),
        }
    }

    pub(crate) fn sends_to(&self, topic: &str) -> bool {
        self.topics.iter().any(|arn| name(arn) == topic)
    }
}

impl Action {
    /// Parses a summary of the history. AWS documents no format; users quote these two:
    /// `Successfully executed action <ARN>`, `Failed to execute action <ARN>. Received error: "<words>"`.
    fn read(alarm: &str, summary: &str) -> Option<Self> {
        let (arn, failure) = match summary.strip_prefix("Successfully executed action ") {
            Some(arn) => (arn, None),
            None => {
                let rest = summary.strip_prefix("Failed to execute action ")?;
                let (arn, why) = rest.split_once(". ").unwrap_or((rest, "CloudWatch gives no reason"));
                (arn, Some(why.trim_start_matches("Received error: ").trim_matches('"').to_owned()))
            }
        };
        Some(Self { alarm: alarm.to_owned(), topic: name(arn.trim()).to_owned(), failure })
    }
}

/// Returns the newest action of each alarm and topic, if it failed. `actions` are newest first.
pub(crate) fn failing(actions: &[Action]) -> Vec<&Action> {
    let mut seen = BTreeSet::new();
    let newest = actions.iter().filter(|action| seen.insert((&action.alarm, &action.topic)));
    newest.filter(|action| action.failure.is_some()).collect()
}

/// Client for CloudWatch.
#[derive(Debug, Clone)]
pub(crate) struct CloudWatch(aws_sdk_cloudwatch::Client);

impl CloudWatch {
    pub(crate) fn new(sdk: &Sdk) -> Self {
        Self(aws_sdk_cloudwatch::Client::new(sdk.config()))
    }

    /// Lists the alarms with this name prefix.
    pub(crate) async fn alarms(&self, prefix: &str) -> Result<Vec<Alarm>, AwsError> {
        let mut pages = self.0.describe_alarms().alarm_name_prefix(prefix).into_paginator().send();
        let mut alarms = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| ALARMS.failed(prefix, "cloudwatch:DescribeAlarms", &error))?;
            alarms.extend(page.metric_alarms.unwrap_or_default().into_iter().map(Alarm::of));
        }
        Ok(alarms)
    }

    /// Lists the actions of alarms with this name prefix since then, newest first.
    pub(crate) async fn actions(&self, prefix: &str, since: Timestamp) -> Result<Vec<Action>, AwsError> {
        let request = self.0.describe_alarm_history().history_item_type(HistoryItemType::Action);
        let request = request.start_date(DateTime::from_millis(since.as_millisecond()));
        let mut pages = request.scan_by(ScanBy::TimestampDescending).into_paginator().send();
        let mut actions = Vec::new();
        for _ in 0..PAGES {
            let Some(page) = pages.next().await else { break };
            let page =
                page.map_err(|error| ALARMS.failed(prefix, "cloudwatch:DescribeAlarmHistory", &error))?;
            let items = page.alarm_history_items.unwrap_or_default();
            let of_ours = items.iter().filter_map(|item| {
                let alarm = item.alarm_name()?;
                alarm.starts_with(prefix).then(|| Action::read(alarm, item.history_summary()?))?
            });
            actions.extend(of_ours);
        }
        Ok(actions)
    }

    /// Sets an alarm to ALARM until its next evaluation.
    pub(crate) async fn set_to_alarm(&self, alarm: &str) -> Result<(), AwsError> {
        let request = self.0.set_alarm_state().alarm_name(alarm).state_value(StateValue::Alarm);
        let answer = request.state_reason("Test by syncwatch alarm-test. No action is needed.").send().await;
        answer.map(drop).map_err(|error| ALARMS.failed(alarm, "cloudwatch:SetAlarmState", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_names_failed_actions_and_reasons() {
        let topic = "arn:aws:sns:us-west-2:123456789012:syncwatch-alarms";
        let read = |summary: &str| Action::read("a", summary).map(|action| (action.topic, action.failure));
        let to_alarms =
            |failure: Option<&str>| Some(("syncwatch-alarms".to_owned(), failure.map(ToOwned::to_owned)));
        let key = "CloudWatch Alarms does not have authorization to access the SNS topic encryption key.";
        assert_eq!(read(&format!("Successfully executed action {topic}")), to_alarms(None));
        let failed = format!("Failed to execute action {topic}. Received error: \"{key}\"");
        assert_eq!(read(&failed), to_alarms(Some(key)));
        let failed = format!("Failed to execute action {topic}");
        assert_eq!(read(&failed), to_alarms(Some("CloudWatch gives no reason")));
        assert_eq!(read("Alarm updated from OK to ALARM"), None);
    }

    #[test]
    fn failure_counts_until_the_same_alarm_reaches_the_same_topic() {
        let action = |alarm: &str, topic: &str, failure: Option<&str>| Action {
            alarm: alarm.to_owned(),
            topic: topic.to_owned(),
            failure: failure.map(ToOwned::to_owned),
        };
        let newest_first = [
            action("a", "alarms", None),
            action("a", "alarms", Some("before the fix")),
            action("a", "page", Some("denied")),
            action("b", "alarms", Some("denied")),
            action("b", "alarms", None),
        ];
        let failing: Vec<_> = failing(&newest_first)
            .into_iter()
            .map(|action| (action.alarm.as_str(), action.topic.as_str()))
            .collect();
        assert_eq!(failing, [("a", "page"), ("b", "alarms")]);
    }
}
