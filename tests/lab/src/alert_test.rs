//! The alert test in the lab: one marked test notice and its end through every channel, and the arrivals.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;
use syncwatch::aws::Sdk;
use syncwatch::aws::topic::Topic;
use syncwatch::incident::NoticeKind;
use syncwatch::pipeline::{CHAT, MAIL, PAGERDUTY};
use syncwatch_cli::alert_test::{Published, publish};
use syncwatch_cli::read_pipeline;
use syncwatch_lab::aws::{FunctionsTable, ResourceId, Schedules, workspace_root};
use syncwatch_lab::census::World;
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::stage::Stage;

/// The function that relays notices to PagerDuty and chat.
const RELAY: &str = "alert-relay";
const LIMIT: Duration = Duration::from_secs(20);
const CHECK_EVERY: Duration = Duration::from_millis(50);
const SEED: u64 = 20_261_124;

/// A channel in which a notice must arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Channel {
    Mail,
    Http,
    PagerDuty,
    Chat,
    HtmlMail,
}

impl Channel {
    fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Http => "a subscriber by HTTP",
            Self::PagerDuty => "PagerDuty",
            Self::Chat => "chat",
            Self::HtmlMail => "mail by SES",
        }
    }
}

/// Sends the test and its end, and shows the arrivals.
///
/// # Errors
/// A notice did not arrive in a channel.
pub(crate) async fn run() -> Result<()> {
    println!("Starting AWS (ministack) on this machine; deploying the real zips.");
    let clock = LabClock::wall();
    let world = World::seed_pipeline(clock.now(), SEED);
    let stage = Stage::set(world, clock.clone(), Schedules::None).await?;
    let pipeline = read_pipeline(&workspace_root().join("infra/pipeline.toml"))?;
    let has_relay = FunctionsTable::read(&FunctionsTable::default_path())?.functions.contains_key(RELAY);
    let mut channels = vec![Channel::Mail, Channel::Http];
    for (channel, name) in [(Channel::PagerDuty, PAGERDUTY), (Channel::Chat, CHAT), (Channel::HtmlMail, MAIL)]
    {
        let declared = pipeline.channels.get(name);
        match (declared, has_relay) {
            (Some(_), true) => channels.push(channel),
            (Some(_), false) => println!("{}: not tested; {RELAY} is not deployed", channel.name()),
            (None, _) => println!("{}: not tested; pipeline.toml does not declare it", channel.name()),
        }
    }
    // Through the tap, which keeps the mail text that SNS gets.
    let sns = Sdk::for_endpoint(stage.mail.url())?.sns();
    let topic = Topic::new(sns, stage.deployment.topic_arn(&ResourceId::topic("notices"))?);
    let began = clock.now();
    let mut missing = Vec::new();
    // The end is sent after the test has arrived: a standard queue keeps no order.
    for kind in [NoticeKind::Opened, NoticeKind::Resolved] {
        let published = publish(&topic, &pipeline, kind, None, began, clock.now()).await?;
        println!("\nPublished {published}");
        for channel in &channels {
            match arrives(&stage, *channel, &published).await {
                Some(shown) => show(*channel, &shown, kind == NoticeKind::Opened),
                None => {
                    println!("  {}: NOT ARRIVED within {} s", channel.name(), LIMIT.as_secs());
                    missing.push(format!("{kind} by {}", channel.name()));
                }
            }
        }
    }
    if !missing.is_empty() {
        bail!("not arrived: {}; end of the AWS log:\n{}", missing.join(", "), stage.aws.log_tail(3_000));
    }
    let names: Vec<&str> = channels.iter().map(|channel| channel.name()).collect();
    println!("\nThe test and its end arrived in every channel: {}.", names.join(", "));
    Ok(())
}

/// Waits for a notice in a channel; returns its lines.
async fn arrives(stage: &Stage, channel: Channel, published: &Published) -> Option<Vec<String>> {
    let mut looks = tokio::time::interval(CHECK_EVERY);
    let waited = tokio::time::timeout(LIMIT, async {
        loop {
            looks.tick().await;
            if let Some(arrived) = look(stage, channel, published) {
                return arrived;
            }
        }
    });
    waited.await.ok()
}

fn look(stage: &Stage, channel: Channel, published: &Published) -> Option<Vec<String>> {
    match channel {
        Channel::Mail | Channel::HtmlMail => {
            let by_ses = channel == Channel::HtmlMail;
            let mut mails = stage.mail.mails().into_iter();
            let mail =
                mails.find(|mail| mail.subject == published.subject && mail.html.is_some() == by_ses)?;
            let text = mail.html.unwrap_or(mail.text);
            let lines = text.lines().map(str::to_owned);
            Some([format!("Subject: {}", mail.subject), String::new()].into_iter().chain(lines).collect())
        }
        Channel::Http => {
            let kind = published.kind.to_string();
            let of_test = stage.subscriber.notifications().into_iter().find(|notification| {
                notification.text("dedup_key") == published.dedup_key && notification.text("kind") == kind
            })?;
            Some(json_lines(&of_test.message))
        }
        Channel::PagerDuty => {
            let action = if published.kind == NoticeKind::Resolved { "resolve" } else { "trigger" };
            let mut events = stage.pagerduty.events().into_iter();
            let event =
                events.find(|event| event.dedup_key == published.dedup_key && event.action == action)?;
            let mut body = event.body;
            if let Some(body) = body.as_object_mut() {
                body.insert("routing_key".to_owned(), "(ours)".into());
            }
            Some([format!("{action} {}", event.dedup_key)].into_iter().chain(json_lines(&body)).collect())
        }
        Channel::Chat => {
            // The chat gets nothing else: first the test, then its end.
            let at = usize::from(published.kind == NoticeKind::Resolved);
            let message = stage.chat.messages().into_iter().nth(at)?;
            Some([message.text].into_iter().chain(message.blocks.iter().flat_map(json_lines)).collect())
        }
    }
}

fn json_lines(value: &Value) -> Vec<String> {
    format!("{value:#}").lines().map(str::to_owned).collect()
}

/// Prints an arrival: the test in full, its end as the first line.
fn show(channel: Channel, lines: &[String], whole: bool) {
    println!("  {}: arrived", channel.name());
    if whole {
        lines.iter().for_each(|line| println!("    | {line}"));
    } else if let (true, Some(first)) = (channel != Channel::Http, lines.first()) {
        println!("    | {first}");
    }
}
