//! One marked test notice, through the same topic and in the same words as any other.
//!
//! It opens and resolves, so that a pager ends what it began. Its severity is the highest, so that it passes every filter.

use std::{fmt, future, io};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::Error;
use syncwatch::aws::topic::{PublishError, Topic};
use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::{Body, render_test};
use syncwatch::pipeline::{Channels, Pipeline};

/// A test notice that was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// The command that sends the end of a test.
pub fn end_command(key: &str) -> String {
    format!("syncwatch alert-test --resolve {key}")
}

/// The error of a test whose end could not be sent.
pub(crate) fn left_open(key: &str, why: &Error) -> Error {
    let what = format!("the end of the test {key} was not sent, so its alert stays open: {}", why.what);
    Error::new(what, end_command(key))
}

/// Waits for so long, or until the operator interrupts; answers how long that was. A failure of the listener is no
/// interruption.
pub(crate) async fn wait(length: SignedDuration, interrupted: JoinHandle<io::Result<()>>) -> SignedDuration {
    let began = Instant::now();
    let interrupt = async {
        match interrupted.await {
            Ok(Ok(())) => (),
            _ => future::pending().await,
        }
    };
    tokio::select! {
        () = tokio::time::sleep(length.unsigned_abs()) => (),
        () = interrupt => (),
    }
    began.elapsed().try_into().unwrap_or(length)
}

/// A test that was sent, and where it should arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertTest {
    pub opened: Published,
    pub resolved: Published,
    /// Each channel, and whether pipeline.toml declares it; mail needs no declaration.
    pub mail: bool,
    pub pagerduty: bool,
    pub chat: bool,
}

impl AlertTest {
    pub(crate) fn of(opened: Published, resolved: Published, channels: &Channels) -> Self {
        let (pagerduty, chat) = (channels.pagerduty.is_some(), channels.chat.is_some());
        Self { opened, resolved, mail: true, pagerduty, chat }
    }
}

/// Lists what should be in each channel if all is well.
impl fmt::Display for AlertTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { opened, resolved, .. } = self;
        writeln!(f, "Expected within a minute:")?;
        writeln!(f, "  mail, to every confirmed subscriber of the topic: two, with the subjects")?;
        writeln!(f, "    {}\n    {}", opened.subject, resolved.subject)?;
        if self.pagerduty {
            writeln!(
                f,
                "  PagerDuty, in the service of our routing key: one alert, triggered and then resolved, \
                with the key\n    {}",
                opened.dedup_key
            )?;
        }
        if self.chat {
            writeln!(f, "  chat, in the channel of the incoming webhook: two messages, about")?;
            writeln!(f, "    {}\n    {}", opened.title, resolved.title)?;
        }
        for (name, declared) in [("PagerDuty", self.pagerduty), ("chat", self.chat)] {
            if !declared {
                writeln!(f, "  {name}: nothing; [channels] of pipeline.toml does not declare it")?;
            }
        }
        f.write_str("Something is missing? syncwatch explain alert-test")
    }
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
    fn declared_channels_have_what_to_expect_and_others_why_nothing() {
        let opened = published(NoticeKind::Opened, "this is a test");
        let resolved = published(NoticeKind::Resolved, "the test is over");
        let text =
            |channels: &Channels| AlertTest::of(opened.clone(), resolved.clone(), channels).to_string();
        let both = Channels { pagerduty: Some(Severity::Critical), chat: Some(Severity::Warning) };
        insta::assert_snapshot!(text(&both), @r#"
        Expected within a minute:
          mail, to every confirmed subscriber of the topic: two, with the subjects
            [test, critical] properties: this is a test
            [test, critical] properties: the test is over
          PagerDuty, in the service of our routing key: one alert, triggered and then resolved, with the key
            properties/alert-test/20261124T100000Z
          chat, in the channel of the incoming webhook: two messages, about
            [test, critical] properties: this is a test
            [test, critical] properties: the test is over
        Something is missing? syncwatch explain alert-test
        "#);
        insta::assert_snapshot!(text(&Channels::default()), @r#"
        Expected within a minute:
          mail, to every confirmed subscriber of the topic: two, with the subjects
            [test, critical] properties: this is a test
            [test, critical] properties: the test is over
          PagerDuty: nothing; [channels] of pipeline.toml does not declare it
          chat: nothing; [channels] of pipeline.toml does not declare it
        Something is missing? syncwatch explain alert-test
        "#);
    }
}
