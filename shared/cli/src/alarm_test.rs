//! Two real alarms, rung for a moment: the way from CloudWatch through the key and the topics to people, on which none of our
//! code is.
//!
//! CloudWatch calls this a temporary state for tests; the alarm turns back at its next evaluation, often within seconds (AWS
//! CloudWatch API reference, `SetAlarmState`). What became of an action is in the history of the alarm only.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alarms::{Action, Alarm, name};
use crate::error::Error;

/// Alarms that turn back by themselves, as they look at what is not there: throttled calls, and failed messages.
const TURN_BACK: [(&str, &str); 2] = [("alarms", "-throttles"), ("page", "-depth")];

/// A test of the way from alarms to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmTest {
    /// Whether the alarms were rung, or would be.
    pub rung: bool,
    pub alarms: Vec<Tested>,
    /// Each topic of these alarms, and whom it reaches.
    pub topics: BTreeMap<String, Vec<String>>,
}

/// An alarm that rings for the test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    pub alarm: String,
    pub actions: Vec<Tried>,
}

/// What an alarm sends to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    pub topic: String,
    /// Whether the topic took it; `None` before, and while the history does not say.
    pub taken: Option<bool>,
    /// Why it did not.
    pub why: Option<String>,
}

/// Chooses a quiet alarm for each topic: one that rings already would send nothing.
pub(crate) fn choose<'a>(alarms: &'a [Alarm], prefix: &str) -> Result<Vec<&'a Alarm>, Error> {
    let chosen = TURN_BACK.map(|(topic, ending)| {
        let topic = format!("{prefix}-{topic}");
        let fits = |alarm: &&Alarm| {
            alarm.name.ends_with(ending) && alarm.sends_to(&topic) && alarm.enabled && !alarm.rings
        };
        let none = || {
            let what = format!("no alarm {prefix}-...{ending} is quiet and sends to {topic}");
            Error::new(what, "syncwatch doctor says which alarms are missing; make deploy makes them")
        };
        alarms.iter().find(fits).ok_or_else(none)
    });
    chosen.into_iter().collect()
}

impl AlarmTest {
    /// The test before it is done.
    pub(crate) fn planned(chosen: &[&Alarm], topics: BTreeMap<String, Vec<String>>) -> Self {
        let tried = |arn: &String| Tried { topic: name(arn).to_owned(), taken: None, why: None };
        let tested = |alarm: &&Alarm| Tested {
            alarm: alarm.name.clone(),
            actions: alarm.topics.iter().map(tried).collect(),
        };
        Self { rung: false, alarms: chosen.iter().map(tested).collect(), topics }
    }

    /// Takes over what the history says of it.
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

    /// Whether every topic took what was sent, and has a confirmed subscriber.
    pub(crate) fn is_good(&self) -> bool {
        self.rung && self.tried().all(|tried| tried.taken == Some(true))
    }
}

impl AlarmTest {
    /// Which alarms, what they send, and whom that reaches.
    pub(crate) fn body(&self) -> String {
        Body(self).to_string()
    }
}

impl fmt::Display for AlarmTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = if self.rung {
            "Something is missing? syncwatch explain alarm-test"
        } else {
            "Nothing was sent yet. PagerDuty pages for it. To send it: syncwatch alarm-test --yes"
        };
        write!(f, "{}{next}", Body(self))
    }
}

struct Body<'t>(&'t AlarmTest);

impl fmt::Display for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(AlarmTest { rung, alarms, topics }) = self;
        for Tested { alarm, actions } in alarms {
            writeln!(f, "{alarm} is set to ALARM, which is sent to")?;
            for Tried { topic, taken, why } in actions {
                let came = match taken {
                    _ if !rung => String::new(),
                    Some(true) => ": accepted".to_owned(),
                    Some(false) => format!(": FAILED, {}", why.as_deref().unwrap_or_default()),
                    None => ": unknown, the history of the alarm has no entry yet".to_owned(),
                };
                writeln!(f, "  {topic}{came}")?;
            }
        }
        writeln!(f, "CloudWatch sets each back to OK at its next evaluation. Subscribers, who get both:")?;
        for (topic, subscribers) in topics {
            let whom = if subscribers.is_empty() { "none".to_owned() } else { subscribers.join(", ") };
            writeln!(f, "  {topic}: {whom}")?;
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
        Alarm { name: name.to_owned(), topics, enabled: true, rings: false }
    }

    fn deployed() -> Vec<Alarm> {
        vec![
            alarm("syncwatch-alert-relay-errors", &["alarms"]),
            Alarm { rings: true, ..alarm("syncwatch-alert-relay-throttles", &["alarms"]) },
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
    fn quiet_alarm_of_each_topic_is_rung_or_it_is_an_error() {
        let test = planned(&deployed());
        let chosen: Vec<&str> = test.alarms.iter().map(|tested| tested.alarm.as_str()).collect();
        assert_eq!(chosen, ["syncwatch-daily-validation-throttles", "syncwatch-failed-functions-depth"]);
        insta::assert_snapshot!(test, @"
        syncwatch-daily-validation-throttles is set to ALARM, which is sent to
          syncwatch-alarms
        syncwatch-failed-functions-depth is set to ALARM, which is sent to
          syncwatch-alarms
          syncwatch-page
        CloudWatch sets each back to OK at its next evaluation. Subscribers, who get both:
          syncwatch-alarms: email ada@example.com
          syncwatch-page: none
        Nothing was sent yet. PagerDuty pages for it. To send it: syncwatch alarm-test --yes
        ");
        let error = choose(&deployed()[..3], "syncwatch").unwrap_err();
        assert!(error.what.contains("sends to syncwatch-page"), "{error}");
        assert!(choose(&deployed(), "second").is_err());
    }

    #[test]
    fn outcome_is_good_only_if_every_topic_took_it() {
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
        syncwatch-daily-validation-throttles is set to ALARM, which is sent to
          syncwatch-alarms: accepted
        syncwatch-failed-functions-depth is set to ALARM, which is sent to
          syncwatch-alarms: unknown, the history of the alarm has no entry yet
          syncwatch-page: FAILED, CloudWatch Alarms does not have authorization to access the SNS topic encryption key.
        CloudWatch sets each back to OK at its next evaluation. Subscribers, who get both:
          syncwatch-alarms: email ada@example.com
          syncwatch-page: none
        Something is missing? syncwatch explain alarm-test
        ");
        test.learn(&[
            action("failed-functions-depth", "alarms", None),
            action("failed-functions-depth", "page", None),
        ]);
        assert!(test.is_known() && test.is_good());
    }
}
