//! One marked test notice, through the same topic and in the same words as any other.
//!
//! It opens and resolves, so that a pager ends what it began. Its severity is the highest, so that it passes every filter.

use std::fmt;

use jiff::Timestamp;

use syncwatch::aws::topic::{PublishError, Topic};
use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::{Body, render_test};
use syncwatch::pipeline::{Channels, Pipeline};

/// A test notice that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub kind: NoticeKind,
    pub subject: String,
    pub title: String,
    /// The key of the alert at PagerDuty.
    pub dedup_key: String,
    pub message_id: String,
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} (SNS message {})", self.kind, self.dedup_key, self.message_id)
    }
}

/// Publishes the test notice of this kind. `began` names the test: both of its notices have the same.
///
/// # Errors
/// SNS did not take it.
pub async fn publish(
    topic: &Topic,
    pipeline: &Pipeline,
    kind: NoticeKind,
    began: Timestamp,
    now: Timestamp,
) -> Result<Published, PublishError> {
    let message = render_test(kind, pipeline, Severity::Critical, began, now);
    let message_id = topic.publish(&message).await?;
    // The body is one of ours, so it can be read; without it there would still be the Subject.
    let body = message.bodies.get("default").and_then(|body| Body::parse(body).ok());
    let (title, dedup_key) = body.map(|body| (body.title, body.dedup_key)).unwrap_or_default();
    Ok(Published { kind, subject: message.subject, title, dedup_key, message_id })
}

/// What people find in each channel if all is well.
pub fn what_to_look_for(channels: &Channels, opened: &Published, resolved: &Published) -> String {
    let mut said = vec![
        "Within a minute there should be:".to_owned(),
        "  mail, for everybody who confirmed a subscription of the topic: two, with the Subjects".to_owned(),
        format!("    {}", opened.subject),
        format!("    {}", resolved.subject),
    ];
    if channels.pagerduty.is_some() {
        said.push("  PagerDuty, in the service whose routing key we have: one alert, triggered and then resolved, with the key".to_owned());
        said.push(format!("    {}", opened.dedup_key));
    }
    if channels.chat.is_some() {
        said.push("  chat, in the channel of the incoming webhook: two messages, about".to_owned());
        said.push(format!("    {}", opened.title));
        said.push(format!("    {}", resolved.title));
    }
    for (name, declared) in [("PagerDuty", channels.pagerduty), ("chat", channels.chat)] {
        if declared.is_none() {
            said.push(format!("  {name}: nothing; [channels] of pipeline.toml does not declare it"));
        }
    }
    said.push("What is missing: see the section alert-test of the runbook.".to_owned());
    said.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(kind: NoticeKind, what: &str) -> Published {
        Published {
            kind,
            subject: format!("[test, critical] properties: {what}"),
            title: format!("[test, critical] properties: {what}"),
            dedup_key: "properties/alert-test/20261124T100000Z".to_owned(),
            message_id: "m-1".to_owned(),
        }
    }

    #[test]
    fn each_declared_channel_is_told_with_what_to_look_for_and_the_others_with_why_not() {
        let opened = published(NoticeKind::Opened, "this is a test");
        let resolved = published(NoticeKind::Resolved, "the test is over");
        let both = Channels { pagerduty: Some(Severity::Critical), chat: Some(Severity::Warning) };
        insta::assert_snapshot!(what_to_look_for(&both, &opened, &resolved), @r#"
        Within a minute there should be:
          mail, for everybody who confirmed a subscription of the topic: two, with the Subjects
            [test, critical] properties: this is a test
            [test, critical] properties: the test is over
          PagerDuty, in the service whose routing key we have: one alert, triggered and then resolved, with the key
            properties/alert-test/20261124T100000Z
          chat, in the channel of the incoming webhook: two messages, about
            [test, critical] properties: this is a test
            [test, critical] properties: the test is over
        What is missing: see the section alert-test of the runbook.
        "#);
        insta::assert_snapshot!(what_to_look_for(&Channels::default(), &opened, &resolved), @r#"
        Within a minute there should be:
          mail, for everybody who confirmed a subscription of the topic: two, with the Subjects
            [test, critical] properties: this is a test
            [test, critical] properties: the test is over
          PagerDuty: nothing; [channels] of pipeline.toml does not declare it
          chat: nothing; [channels] of pipeline.toml does not declare it
        What is missing: see the section alert-test of the runbook.
        "#);
    }
}
