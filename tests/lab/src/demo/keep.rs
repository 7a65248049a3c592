//! Keeps the stage running after the demo.

use std::time::Duration;

use anyhow::{Context as _, Result};

use syncwatch_lab::census::TOKEN;
use syncwatch_lab::stage::Stage;

use super::{CREATE, INTAKE, NIGHTLY, POLL, ROUNDS, UPDATE};

/// The interval between two checks for new messages.
const CHECK_EVERY: Duration = Duration::from_millis(200);
/// The duration of [`ROUNDS`], two seconds apart.
const ROUNDS_LAST: Duration = Duration::from_secs(2 * ROUNDS as u64);

/// Prints how to use the stage, then each message that arrives, until Ctrl-C.
pub(super) async fn leave_up(stage: &Stage) -> Result<()> {
    how_to_play(stage)?;
    let mut shown = Shown {
        notices: stage.subscriber.notifications().len(),
        messages: stage.chat.messages().len(),
        events: stage.pagerduty.events().len(),
    };
    let mut checks = tokio::time::interval(CHECK_EVERY);
    let mut rounds = tokio::time::interval(ROUNDS_LAST);
    loop {
        tokio::select! {
            stop = tokio::signal::ctrl_c() => return stop.context("waiting for Ctrl-C"),
            _ = rounds.tick() => stage.deployment.poll_every_sweep(POLL, ROUNDS).await?,
            _ = checks.tick() => shown.print_new(stage),
        }
    }
}

fn how_to_play(stage: &Stage) -> Result<()> {
    let census = stage.census.url();
    let url = stage.deployment.url_of(INTAKE)?;
    let (secret, run) = stage.census.with_world(|world| {
        let secret = world.webhooks().first().map(|webhook| webhook.secret.clone());
        (secret.unwrap_or_default(), world.runs(UPDATE).next().map_or(0, |run| run.id))
    });
    let fault = |json: &str| println!("  curl -s -X POST {census}/lab/fault -d '{json}'");
    println!(
        "\nEverything runs until Ctrl-C, with a round of the poll every 2 seconds. Break it and fix it:"
    );
    fault(&format!("{{\"fault\": \"pause\", \"sync\": {CREATE}}}"));
    fault(&format!("{{\"fault\": \"reject\", \"sync\": {UPDATE}, \"percent\": 20}}"));
    fault("{\"fault\": \"down\"}");
    fault("{\"fault\": \"webhooks-lost\"}");
    fault("{\"fault\": \"view-bug\"}");
    println!("  curl -s -X POST {census}/lab/jump -d '{{\"minutes\": 30}}'");
    println!("  curl -s -X POST {census}/lab/deliver-lost");
    println!("  curl -s -X POST {census}/lab/heal");
    println!("  curl -s -X POST {census}/lab/repair   # the data, once their fault is healed");
    println!("Run the nightly data checks:");
    println!(
        "  curl -s {}/2015-03-31/functions/{NIGHTLY}/invocations -d '{{\"task\": \"validate\"}}' \\",
        stage.deployment.endpoint()
    );
    println!("    | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"table\"])'");
    println!("Operate it as the on-call person does (`make cli` builds the command and prints its path):");
    println!(
        "  export AWS_ENDPOINT_URL={} AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \\",
        stage.deployment.endpoint()
    );
    println!("    SYNCWATCH_CENSUS_BASE_URL={census}");
    println!("  syncwatch status; syncwatch incidents; syncwatch runs properties-update; syncwatch --help");
    println!("  syncwatch doctor --bare-names --url {url}");
    println!("Open its status page; each call renews it:");
    println!("  {}", super::page::address(stage));
    println!(
        "  curl -s {}/2015-03-31/functions/status-page/invocations -d '{{\"task\": \"publish\"}}'",
        stage.deployment.endpoint()
    );
    println!("Inspect it:");
    println!("  curl -s {census}/lab/state");
    println!("  curl -s -u 'bearer:{TOKEN}' {census}/api/v1/syncs");
    println!("Send a webhook to the Function URL, as Census does:");
    println!(
        "  body='{{\"workspace_id\": 3167, \"sync_id\": {UPDATE}, \"sync_run_id\": {run}, \"event\": \"sync.completed\"}}'"
    );
    println!("  signature=$(printf %s \"$body\" | openssl dgst -sha256 -hmac {secret} -binary | base64)");
    println!("  curl -si {url} \\");
    println!("    -H 'Content-Type: application/json' -H \"X-Signature: $signature\" -d \"$body\"");
    println!(
        "The emulated AWS listens at {}; its log is {}.\n",
        stage.deployment.endpoint(),
        stage.aws.log_path().display()
    );
    Ok(())
}

/// The number of messages printed so far, by channel.
struct Shown {
    notices: usize,
    messages: usize,
    events: usize,
}

impl Shown {
    fn print_new(&mut self, stage: &Stage) {
        for notice in stage.subscriber.notifications().iter().skip(self.notices) {
            println!("NOTICE     {}", notice.subject);
            self.notices += 1;
        }
        for message in stage.chat.messages().iter().skip(self.messages) {
            println!("chat       {}", message.text);
            self.messages += 1;
        }
        for event in stage.pagerduty.events().iter().skip(self.events) {
            println!("PagerDuty  {} of {}", event.action, event.dedup_key);
            self.events += 1;
        }
    }
}
