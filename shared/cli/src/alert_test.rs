//! Sends a marked test notice through the same topic and the same renderer as any other.
//!
//! It opens and resolves, so that the pager closes its alert. It is critical, so that it passes every filter. It goes to the
//! channels of one owner, or to the default ones.

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
use syncwatch::pipeline::{Addresses, Channel, ChannelKind, Class, Pipeline};

/// A test notice that was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    pub kind: NoticeKind,
    pub subject: String,
    pub title: String,
    /// Key of the PagerDuty alert.
    pub dedup_key: String,
    pub message_id: String,
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} notice of {} (SNS message {})", self.kind, self.dedup_key, self.message_id)
    }
}

/// Publishes the test notice of this kind, for the channels of `owner`. `began` identifies the test: both of its notices
/// have the same.
pub async fn publish(
    topic: &Topic,
    pipeline: &Pipeline,
    kind: NoticeKind,
    owner: Option<&str>,
    began: Timestamp,
    now: Timestamp,
) -> Result<Published, PublishError> {
    let message = render_test(kind, pipeline, Severity::Critical, owner, began, now);
    let message_id = topic.publish(&message).await?;
    // Our own body always parses; if it did not, the subject would still name the notice.
    let body = message.bodies.get("default").and_then(|body| Body::parse(body).ok());
    let (title, dedup_key) = body.map(|body| (body.title, body.dedup_key)).unwrap_or_default();
    Ok(Published { kind, subject: message.subject, title, dedup_key, message_id })
}

/// Refuses an owner who is not a declared contact.
pub(crate) fn declared(owner: Option<&str>, pipeline: &Pipeline) -> Result<(), Error> {
    match owner {
        Some(name) if pipeline.contact(name).is_none() => {
            let contacts: Vec<String> =
                pipeline.contacts.iter().map(|contact| format!("`{}`", contact.name)).collect();
            let hint = match contacts.as_slice() {
                [] => "pipeline.toml has no [[contacts]]; leave out --owner".to_owned(),
                contacts => format!("use one of {}", contacts.join(", ")),
            };
            Err(Error::new(format!("unknown contact `{name}`"), hint))
        }
        _ => Ok(()),
    }
}

/// Returns the command that resolves a test.
pub(crate) fn end_command(key: &str, owner: Option<&str>) -> String {
    let of_owner = owner.map(|owner| format!(" {}", option(owner))).unwrap_or_default();
    format!("syncwatch alert-test --resolve {key}{of_owner}")
}

/// Returns the option for an owner, quoted for a shell if necessary.
fn option(owner: &str) -> String {
    if owner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte)) {
        return format!("--owner={owner}");
    }
    format!("--owner='{}'", owner.replace('\'', r"'\''"))
}

/// Builds the error of a test that could not be resolved.
pub(crate) fn left_open(key: &str, owner: Option<&str>, why: &Error) -> Error {
    let what = format!("test {key} was not resolved, so its alert stays open: {}", why.what);
    Error::new(what, end_command(key, owner))
}

/// Waits until the time is up or the operator interrupts, and returns the time waited. A failed listener does not
/// interrupt.
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

/// A sent test, the channels where it should arrive, and the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertTest {
    pub opened: Published,
    pub resolved: Published,
    /// The contact whose channels were tested; `None` for the default ones.
    pub owner: Option<String>,
    /// Always true: mail needs no declaration in pipeline.toml.
    pub mail: bool,
    pub channels: Vec<Reached>,
    pub not_reached: Vec<NotReached>,
}

/// A channel where the test should arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached(#[serde(with = "ChannelShape")] pub Channel);

/// A declared channel that gets nothing of the test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotReached {
    #[serde(flatten, with = "ChannelShape")]
    pub channel: Channel,
    /// The contacts whose test reaches it.
    pub owners: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Channel")]
struct ChannelShape {
    name: String,
    #[serde(with = "KindShape")]
    kind: ChannelKind,
    #[serde(rename = "min_severity")]
    lowest: Severity,
    #[serde(skip)]
    mail: Option<Addresses>,
}

/// The words of `kind` in pipeline.toml.
#[derive(Serialize, Deserialize)]
#[serde(remote = "ChannelKind", rename_all = "lowercase")]
enum KindShape {
    PagerDuty,
    Slack,
    Teams,
    Webhook,
    Email,
}

impl AlertTest {
    pub(crate) fn of(
        opened: Published,
        resolved: Published,
        owner: Option<&str>,
        pipeline: &Pipeline,
    ) -> Self {
        let routes = pipeline.routes(owner);
        let not_reached = pipeline.channels.0.iter().filter(|channel| !routes.contains(channel));
        let not_reached = not_reached.map(|channel| NotReached {
            channel: channel.clone(),
            owners: pipeline
                .contacts
                .iter()
                .filter(|contact| pipeline.routes(Some(&contact.name)).contains(&channel))
                .map(|contact| contact.name.clone())
                .collect(),
        });
        Self {
            opened,
            resolved,
            owner: owner.map(str::to_owned),
            mail: true,
            not_reached: not_reached.collect(),
            channels: routes.into_iter().cloned().map(Reached).collect(),
        }
    }
}

/// Lists the messages to expect in each channel.
impl fmt::Display for AlertTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { opened, resolved, channels, not_reached, .. } = self;
        writeln!(f, "Expected within a minute:")?;
        writeln!(f, "  mail, to every confirmed subscriber of the topic: 2, with the subjects")?;
        writeln!(f, "    {}\n    {}", opened.subject, resolved.subject)?;
        for Reached(channel) in channels {
            let expected = match channel.kind {
                ChannelKind::PagerDuty => {
                    "in the service of the routing key: 1 alert, triggered and then resolved, with the key"
                }
                ChannelKind::Slack => "in the channel of the incoming webhook: 2 messages, with the titles",
                ChannelKind::Teams => "in the channel or chat of the workflow: 2 cards, with the titles",
                ChannelKind::Webhook => "at its URL: 2 notices as JSON, with the titles",
                ChannelKind::Email => "by SES: 2 HTML mails to each recipient, with the subjects",
            };
            writeln!(f, "  {channel}, {expected}")?;
            match channel.kind.class() {
                Class::Pager => writeln!(f, "    {}", opened.dedup_key)?,
                Class::Chat => writeln!(f, "    {}\n    {}", opened.title, resolved.title)?,
                Class::Mail => writeln!(f, "    {}\n    {}", opened.subject, resolved.subject)?,
            }
            if let Some(mail) = &channel.mail {
                writeln!(f, "    to {}", mail.to.join(", "))?;
            }
        }
        for (name, class) in [("PagerDuty", Class::Pager), ("chat", Class::Chat)] {
            if !channels.iter().any(|Reached(channel)| channel.kind.class() == class) {
                writeln!(f, "  {name}: nothing, not declared in [channels] of pipeline.toml")?;
            }
        }
        if !not_reached.is_empty() {
            writeln!(f, "Not reached by this test:")?;
        }
        for NotReached { channel, owners } in not_reached {
            write!(f, "  {channel}: ")?;
            let options: Vec<String> = owners.iter().map(|owner| option(owner)).collect();
            match options.join(" or ") {
                _ if channel.is_default() => writeln!(f, "run this without --owner")?,
                options if options.is_empty() => writeln!(f, "unused, no contact names it")?,
                options => writeln!(f, "run this with {options}")?,
            }
        }
        f.write_str("If something is missing: syncwatch explain alert-test")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncwatch::pipeline::Channels;

    const SEED: &str = include_str!("../../../infra/pipeline.toml");

    fn published(kind: NoticeKind, tag: &str, what: &str) -> Published {
        let title = format!("[TEST, {tag}] properties: {what}");
        Published {
            kind,
            subject: title.clone(),
            title,
            dedup_key: "properties/alert-test/20261124T100000Z".to_owned(),
            message_id: "m-1".to_owned(),
        }
    }

    fn sent(pipeline: &Pipeline, owner: Option<&str>) -> AlertTest {
        let opened = published(NoticeKind::Opened, "CRITICAL", "this is a test");
        let resolved = published(NoticeKind::Resolved, "RESOLVED", "the test ended");
        AlertTest::of(opened, resolved, owner, pipeline)
    }

    /// Returns the seed with more channels, and contacts who have some of them.
    fn with_owners() -> Pipeline {
        let channels = "[channels]\nrevops-chat = { kind = \"teams\" }\nrevops-pager = { kind = \"pagerduty\" }\n\
                        sales-hook = { kind = \"webhook\" }\nspare = { kind = \"slack\" }\n";
        let mut text = SEED.replace("[channels]\n", channels);
        for (name, own) in [
            ("Ada's team", r#""revops-chat""#),
            ("Bob", r#""revops-pager""#),
            ("Sales", r#""revops-chat", "sales-hook""#),
        ] {
            text.push_str(&format!(
                "\n[[contacts]]\nname = \"{name}\"\nrole = \"r\"\nphone = \"1\"\nchannels = [{own}]\n"
            ));
        }
        Pipeline::parse(&text).unwrap()
    }

    #[test]
    fn messages_are_listed_for_each_kind_of_channel() {
        let (seed, owners) = (Pipeline::parse(SEED).unwrap(), with_owners());
        let no_channel = Pipeline { channels: Channels::default(), ..seed.clone() };
        insta::assert_snapshot!(sent(&seed, None), @r"
        Expected within a minute:
          mail, to every confirmed subscriber of the topic: 2, with the subjects
            [TEST, CRITICAL] properties: this is a test
            [TEST, RESOLVED] properties: the test ended
          PagerDuty, in the service of the routing key: 1 alert, triggered and then resolved, with the key
            properties/alert-test/20261124T100000Z
          chat, in the channel of the incoming webhook: 2 messages, with the titles
            [TEST, CRITICAL] properties: this is a test
            [TEST, RESOLVED] properties: the test ended
        If something is missing: syncwatch explain alert-test
        ");
        insta::assert_snapshot!(sent(&no_channel, None), @r"
        Expected within a minute:
          mail, to every confirmed subscriber of the topic: 2, with the subjects
            [TEST, CRITICAL] properties: this is a test
            [TEST, RESOLVED] properties: the test ended
          PagerDuty: nothing, not declared in [channels] of pipeline.toml
          chat: nothing, not declared in [channels] of pipeline.toml
        If something is missing: syncwatch explain alert-test
        ");
        insta::assert_snapshot!(sent(&owners, Some("Sales")), @r"
        Expected within a minute:
          mail, to every confirmed subscriber of the topic: 2, with the subjects
            [TEST, CRITICAL] properties: this is a test
            [TEST, RESOLVED] properties: the test ended
          PagerDuty, in the service of the routing key: 1 alert, triggered and then resolved, with the key
            properties/alert-test/20261124T100000Z
          revops-chat (Teams), in the channel or chat of the workflow: 2 cards, with the titles
            [TEST, CRITICAL] properties: this is a test
            [TEST, RESOLVED] properties: the test ended
          sales-hook (webhook), at its URL: 2 notices as JSON, with the titles
            [TEST, CRITICAL] properties: this is a test
            [TEST, RESOLVED] properties: the test ended
        Not reached by this test:
          chat: run this without --owner
          revops-pager (PagerDuty): run this with --owner=Bob
          spare (Slack): unused, no contact names it
        If something is missing: syncwatch explain alert-test
        ");
        insta::assert_snapshot!(sent(&owners, Some("Bob")), @r"
        Expected within a minute:
          mail, to every confirmed subscriber of the topic: 2, with the subjects
            [TEST, CRITICAL] properties: this is a test
            [TEST, RESOLVED] properties: the test ended
          revops-pager (PagerDuty), in the service of the routing key: 1 alert, triggered and then resolved, with the key
            properties/alert-test/20261124T100000Z
          chat, in the channel of the incoming webhook: 2 messages, with the titles
            [TEST, CRITICAL] properties: this is a test
            [TEST, RESOLVED] properties: the test ended
        Not reached by this test:
          PagerDuty: run this without --owner
          revops-chat (Teams): run this with --owner='Ada'\''s team' or --owner=Sales
          sales-hook (webhook): run this with --owner=Sales
          spare (Slack): unused, no contact names it
        If something is missing: syncwatch explain alert-test
        ");
        insta::assert_snapshot!(sent(&owners, None), @r"
        Expected within a minute:
          mail, to every confirmed subscriber of the topic: 2, with the subjects
            [TEST, CRITICAL] properties: this is a test
            [TEST, RESOLVED] properties: the test ended
          PagerDuty, in the service of the routing key: 1 alert, triggered and then resolved, with the key
            properties/alert-test/20261124T100000Z
          chat, in the channel of the incoming webhook: 2 messages, with the titles
            [TEST, CRITICAL] properties: this is a test
            [TEST, RESOLVED] properties: the test ended
        Not reached by this test:
          revops-chat (Teams): run this with --owner='Ada'\''s team' or --owner=Sales
          revops-pager (PagerDuty): run this with --owner=Bob
          sales-hook (webhook): run this with --owner=Sales
          spare (Slack): unused, no contact names it
        If something is missing: syncwatch explain alert-test
        ");
    }

    #[test]
    fn mail_channel_is_listed_with_its_recipients() {
        let mail =
            "[channels]\nmail = { from = \"a@example.com\", to = [\"b@example.com\", \"c@example.com\"] }\n";
        let pipeline = Pipeline::parse(&SEED.replace("[channels]\n", mail)).unwrap();
        let test = sent(&pipeline, None);
        let words = test.to_string();
        let lines: Vec<&str> =
            words.lines().filter(|line| line.contains("SES") || line.contains("    to ")).collect();
        assert_eq!(
            lines,
            [
                "  mail (email), by SES: 2 HTML mails to each recipient, with the subjects",
                "    to b@example.com, c@example.com"
            ]
        );
        let json = serde_json::to_value(&test).unwrap();
        let expected = serde_json::json!({ "name": "mail", "kind": "email", "min_severity": "warning" });
        assert_eq!(json["channels"][2], expected);
    }

    #[test]
    fn owner_without_a_channel_of_a_class_tests_the_default_one() {
        let owners = with_owners();
        let table = [
            (
                None,
                ["pagerduty", "chat"].as_slice(),
                ["revops-chat", "revops-pager", "sales-hook", "spare"].as_slice(),
            ),
            (
                Some("Data operations"),
                &["pagerduty", "chat"],
                &["revops-chat", "revops-pager", "sales-hook", "spare"],
            ),
            (
                Some("Ada's team"),
                &["pagerduty", "revops-chat"],
                &["chat", "revops-pager", "sales-hook", "spare"],
            ),
            (Some("Bob"), &["revops-pager", "chat"], &["pagerduty", "revops-chat", "sales-hook", "spare"]),
            (Some("Sales"), &["pagerduty", "revops-chat", "sales-hook"], &["chat", "revops-pager", "spare"]),
        ];
        for (owner, reached, others) in table {
            let test = sent(&owners, owner);
            let names: Vec<&str> =
                test.channels.iter().map(|Reached(channel)| channel.name.as_str()).collect();
            assert_eq!(names, reached, "{owner:?}");
            let names: Vec<&str> = test.not_reached.iter().map(|other| other.channel.name.as_str()).collect();
            assert_eq!(names, others, "{owner:?}");
        }
    }

    #[test]
    fn only_a_declared_contact_can_be_tested() {
        let owners = with_owners();
        let declares = |owner: Option<&str>| declared(owner, &owners);
        for owner in [None, Some("Bob"), Some("Ada's team"), Some("Data operations")] {
            assert_eq!(declares(owner), Ok(()), "{owner:?}");
        }
        insta::assert_snapshot!(declares(Some("bob")).unwrap_err().lines(), @r"
        error: unknown contact `bob`
        hint: use one of `Data operations`, `Revenue operations`, `Ada's team`, `Bob`, `Sales`
        ");
        let no_contact = Pipeline { contacts: Vec::new(), ..owners.clone() };
        insta::assert_snapshot!(declared(Some("bob"), &no_contact).unwrap_err().lines(), @r"
        error: unknown contact `bob`
        hint: pipeline.toml has no [[contacts]]; leave out --owner
        ");
    }

    #[test]
    fn end_command_repeats_the_owner_quoted_for_a_shell() {
        let table = [
            (None, ""),
            (Some("Bob"), " --owner=Bob"),
            (Some("Data operations"), " --owner='Data operations'"),
            (Some("Ada's team"), r" --owner='Ada'\''s team'"),
            (Some("$(reboot)"), " --owner='$(reboot)'"),
        ];
        for (owner, option) in table {
            assert_eq!(
                end_command("p/alert-test/t", owner),
                format!("syncwatch alert-test --resolve p/alert-test/t{option}")
            );
        }
    }
}
