//! Sends one test alert through a real PagerDuty integration and resolves it five seconds later.
//!
//! `PAGERDUTY_ROUTING_KEY=... cargo run -p alert-relay --example pagerduty`. The key belongs to an "Events API v2"
//! integration. Its severity is info, so a service with urgency by severity pages no one.

use std::error::Error;
use std::io::{Write as _, stdout};
use std::time::Duration;

use alert_relay::key;
use alert_relay::pagerduty::client::PagerDuty;
use alert_relay::pagerduty::render;
use alert_relay::post::Patience;
use alert_relay::route::Action;
use secrecy::SecretString;
use syncwatch::aws::secrets::SecretValues;
use syncwatch::finding::Severity;
use syncwatch::http;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::{Body, render_test};
use syncwatch::pipeline::{Channel, ChannelKind, PAGERDUTY, Pipeline};
use syncwatch::runtime::{Env, clock};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let env = Env::process();
    let name = "PAGERDUTY_ROUTING_KEY";
    let current = env.optional(name).map(SecretString::from).ok_or_else(|| format!("{name} is not set"))?;
    let key = key::choose(name, &SecretValues::only(current), Action::Trigger, None)?;
    let url = env.optional("PAGERDUTY_URL").unwrap_or_else(|| "https://events.pagerduty.com".to_owned());
    let pagerduty = PagerDuty::new(http::client()?, &url, Patience::default())?;
    let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml"))?;
    let channel = Channel {
        name: PAGERDUTY.to_owned(),
        kind: ChannelKind::PagerDuty,
        lowest: Severity::Info,
        mail: None,
    };
    let began = clock::now();
    let mut out = stdout().lock();
    for (kind, action) in [(NoticeKind::Opened, Action::Trigger), (NoticeKind::Resolved, Action::Resolve)] {
        let message = render_test(kind, &pipeline, Severity::Info, None, began, clock::now());
        let json = message.bodies.get("default").ok_or("the test notice has no JSON body")?;
        let event = render(&Body::parse(json)?, action);
        pagerduty.enqueue(&channel, &event, &key, name).await?;
        writeln!(out, "accepted: {}", serde_json::to_string(&event)?)?;
        if action == Action::Trigger {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }
    Ok(())
}
