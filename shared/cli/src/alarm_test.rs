//! Triggers two real alarms briefly. This tests the path from CloudWatch through the key and the topics to people,
//! which uses none of our code.
//!
//! CloudWatch calls this a temporary state for tests; the alarm returns to OK at its next evaluation, often within
//! seconds (AWS CloudWatch API reference, `SetAlarmState`). Only the history of the alarm has the result of an
//! action.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alarms::{Action, Alarm, name};
use crate::error::Error;

/// Topic, and ending of alarms that return to OK by themselves, because throttled calls and failed messages are absent.
const SELF_RESETTING: [(&str, &str); 2] = [("alarms", "-throttles"), ("page", "-depth")];

/// A test of the path from alarms to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmTest {
    /// Whether the alarms were triggered; false for a plan.
    pub rung: bool,
    pub alarms: Vec<Tested>,
    /// Subscribers of each topic of these alarms.
    pub topics: BTreeMap<String, Vec<String>>,
}

/// An alarm that the test triggers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    pub alarm: String,
    pub actions: Vec<Tried>,
}

/// A message of an alarm to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    pub topic: String,
    /// Whether the topic accepted it; `None` until the history shows it.
    pub taken: Option<bool>,
    /// Reason of a failure.
    pub why: Option<String>,
}

/// Chooses an alarm in OK for each topic: one that is already in ALARM would send nothing.
pub(crate) fn choose<'a>(alarms: &'a [Alarm], prefix: &str) -> Result<Vec<&'a Alarm>, Error> {
    let chosen = SELF_RESETTING.map(|(topic, ending)| {
        let topic = format!("{prefix}-{topic}");
        let fits = |alarm: &&Alarm| {
            alarm.name.ends_with(ending) && alarm.sends_to(&topic) && alarm.enabled && !alarm.in_alarm
        };
        let none = || {
            let what = format!("no enabled alarm {prefix}-...{ending} outside ALARM sends to {topic}");
            Error::new(what, "syncwatch doctor lists missing alarms; make deploy creates them")
        };
        alarms.iter().find(fits).ok_or_else(none)
    });
    chosen.into_iter().collect()
}

impl AlarmTest {
    /// Builds the test before any alarm is triggered.
    pub(crate) fn planned(chosen: &[&Alarm], topics: BTreeMap<String, Vec<String>>) -> Self {
        let tried = |arn: &String| Tried { topic: name(arn).to_owned(), taken: None, why: None };
        let tested = |alarm: &&Alarm| Tested {
            alarm: alarm.name.clone(),
            actions: alarm.topics.iter().map(tried).collect(),
        };
        Self { rung: false, alarms: chosen.iter().map(tested).collect(), topics }
    }

    /// Adds the results from the history.
    pub(crate) fn learn(&mut self, actions: &[Action]) {
        for tested in &mut self.alarms {
            for tried in &mut tested.actions {
                let is_it = |action: &&Action| action.alarm == tested.alarm && action.topic == tried.topic;
                if let Some(found) = actions.iter().find(is_it) {
                    tried.taken = Some(found.failure.is_none());
                    tried.why.clone_from(&found.failure);
                }
            }
        }
    }

    fn tried(&self) -> impl Iterator<Item = &Tried> {
        self.alarms.iter().flat_map(|tested| &tested.actions)
    }

    pub(crate) fn is_known(&self) -> bool {
        self.tried().all(|tried| tried.taken.is_some())
    }

    /// Returns whether every topic accepted its message.
    pub(crate) fn is_good(&self) -> bool {
        self.rung && self.tried().all(|tried| tried.taken == Some(true))
    }
}

impl AlarmTest {
    /// Renders the alarms, their messages and the subscribers.
    pub(crate) fn body(&self) -> String {
        Body(self).to_string()
    }
}

impl fmt::Display for AlarmTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = if self.rung {
            "If something is missing: syncwatch explain alarm-test"
        } else {
            "Nothing was sent. Sending pages through PagerDuty: syncwatch alarm-test --yes"
        };
        write!(f, "{}{next}", Body(self))
    }
}

struct Body<'t>(&'t AlarmTest);

impl fmt::Display for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(AlarmTest { rung, alarms, topics }) = self;
        for Tested { alarm, actions } in alarms {
            writeln!(f, "{alarm}: set to ALARM, sent to")?;
            for Tried { topic, taken, why } in actions {
                let result = match taken {
                    _ if !rung => String::new(),
                    Some(true) => ": accepted".to_owned(),
                    Some(false) => format!(": FAILED, {}", why.as_deref().unwrap_or_default()),
                    None => ": unknown, no entry in the alarm history yet".to_owned(),
                };
                writeln!(f, "  {topic}{result}")?;
            }
        }
        writeln!(f, "CloudWatch returns each to OK at its next evaluation. Subscribers (both messages):")?;
        for (topic, subscribers) in topics {
            let listed = if subscribers.is_empty() { "none".to_owned() } else { subscribers.join(", ") };
            writeln!(f, "  {topic}: {listed}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn(topic: &str) -> String {
        format!("arn:aws:sns:us-west-2:123456789012:syncwatch-{topic}")
    }

    fn alarm(name: &str, topics: &[&str]) -> Alarm {
        let topics = topics.iter().map(|topic| arn(topic)).collect();
        Alarm { name: name.to_owned(), topics, enabled: true, in_alarm: false }
    }

    fn deployed() -> Vec<Alarm> {
        vec![
            alarm("syncwatch-alert-relay-errors", &["alarms"]),
            Alarm { in_alarm: true, ..alarm("syncwatch-alert-relay-throttles", &["alarms"]) },
            alarm("syncwatch-daily-validation-throttles", &["alarms"]),
            Alarm { enabled: false, ..alarm("syncwatch-failed-alarms-depth", &["alarms", "page"]) },
            alarm("syncwatch-failed-functions-depth", &["alarms", "page"]),
            alarm("syncwatch-webhook-worker-throttles", &["alarms"]),
        ]
    }

    fn planned(alarms: &[Alarm]) -> AlarmTest {
        let topics = [
            ("syncwatch-alarms".to_owned(), vec!["email ada@example.com".to_owned()]),
            ("syncwatch-page".to_owned(), Vec::new()),
        ];
        AlarmTest::planned(&choose(alarms, "syncwatch").unwrap(), topics.into())
    }

    #[test]
    fn one_ok_alarm_per_topic_is_chosen_or_it_fails() {
        let test = planned(&deployed());
        let chosen: Vec<&str> = test.alarms.iter().map(|tested| tested.alarm.as_str()).collect();
        assert_eq!(chosen, ["syncwatch-daily-validation-throttles", "syncwatch-failed-functions-depth"]);
        insta::assert_snapshot!(test, @"
        syncwatch-daily-validation-throttles: set to ALARM, sent to
          syncwatch-alarms
        syncwatch-failed-functions-depth: set to ALARM, sent to
          syncwatch-alarms
          syncwatch-page
        CloudWatch returns each to OK at its next evaluation. Subscribers (both messages):
          syncwatch-alarms: email ada@example.com
          syncwatch-page: none
        Nothing was sent. Sending pages through PagerDuty: syncwatch alarm-test --yes
        ");
        let error = choose(&deployed()[..3], "syncwatch").unwrap_err();
        assert!(error.what.contains("sends to syncwatch-page"), "{error}");
        assert!(choose(&deployed(), "second").is_err());
    }

    #[test]
    fn outcome_is_good_only_if_every_topic_accepted() {
        let mut test = planned(&deployed());
        test.rung = true;
        assert!(!test.is_known() && !test.is_good());
        let action = |alarm: &str, topic: &str, failure: Option<&str>| Action {
            alarm: format!("syncwatch-{alarm}"),
            topic: format!("syncwatch-{topic}"),
            failure: failure.map(ToOwned::to_owned),
        };
        let no_key = "CloudWatch Alarms does not have authorization to access the SNS topic encryption key.";
        test.learn(&[
            action("daily-validation-throttles", "alarms", None),
            action("failed-functions-depth", "page", Some(no_key)),
            action("failed-functions-errors", "alarms", None),
        ]);
        assert!(!test.is_known());
        insta::assert_snapshot!(test, @"
        syncwatch-daily-validation-throttles: set to ALARM, sent to
          syncwatch-alarms: accepted
        syncwatch-failed-functions-depth: set to ALARM, sent to
          syncwatch-alarms: unknown, no entry in the alarm history yet
          syncwatch-page: FAILED, CloudWatch Alarms does not have authorization to access the SNS topic encryption key.
        CloudWatch returns each to OK at its next evaluation. Subscribers (both messages):
          syncwatch-alarms: email ada@example.com
          syncwatch-page: none
        If something is missing: syncwatch explain alarm-test
        ");
        test.learn(&[
            action("failed-functions-depth", "alarms", None),
            action("failed-functions-depth", "page", None),
        ]);
        assert!(test.is_known() && test.is_good());
    }
}
