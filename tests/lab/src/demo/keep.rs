//! The stage after the demo, left up to play with.

use std::time::Duration;

use anyhow::{Context as _, Result};

use syncwatch_lab::census::TOKEN;
use syncwatch_lab::stage::Stage;

use super::{CREATE, INTAKE, NIGHTLY, POLL, ROUNDS, UPDATE};

/// How often news is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// How long [`ROUNDS`] last, two seconds apart.
const ROUNDS_LAST: Duration = Duration::from_secs(2 * ROUNDS as u64);

/// Says how to play with the stage, and tells what is heard, until Ctrl-C.
pub(super) async fn leave_up(stage: &Stage) -> Result<()> {
    how_to_play(stage)?;
    let mut told = Told {
        notices: stage.subscriber.notifications().len(),
        messages: stage.chat.messages().len(),
        events: stage.pagerduty.events().len(),
    };
    let mut looks = tokio::time::interval(LOOK);
    let mut rounds = tokio::time::interval(ROUNDS_LAST);
    loop {
        tokio::select! {
            stop = tokio::signal::ctrl_c() => return stop.context("waiting for Ctrl-C"),
            _ = rounds.tick() => stage.deployment.poll_every_sweep(POLL, ROUNDS).await?,
            _ = looks.tick() => told.tell_news(stage),
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
        "\nEverything stays up until Ctrl-C, with a round of the poll every 2 seconds. To break and mend:"
    );
    fault(&format!("{{\"fault\": \"pause\", \"sync\": {CREATE}}}"));
    fault(&format!("{{\"fault\": \"reject\", \"sync\": {UPDATE}, \"percent\": 20}}"));
    fault("{\"fault\": \"down\"}");
    fault("{\"fault\": \"webhooks-lost\"}");
    fault("{\"fault\": \"view-bug\"}");
    println!("  curl -s -X POST {census}/lab/jump -d '{{\"minutes\": 30}}'");
    println!("  curl -s -X POST {census}/lab/deliver-lost");
    println!("  curl -s -X POST {census}/lab/heal");
    println!("  curl -s -X POST {census}/lab/repair   # the data, when what spoiled them is healed");
    println!("To check the data, as happens every night:");
    println!(
        "  curl -s {}/2015-03-31/functions/{NIGHTLY}/invocations -d '{{\"task\": \"validate\"}}' \\",
        stage.deployment.endpoint()
    );
    println!("    | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"table\"])'");
    println!(
        "To operate it as the person on call does (`make cli` builds the command and prints where it is):"
    );
    println!(
        "  export AWS_ENDPOINT_URL={} AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \\",
        stage.deployment.endpoint()
    );
    println!("    SYNCWATCH_CENSUS_BASE_URL={census}");
    println!("  syncwatch status; syncwatch incidents; syncwatch runs properties-update; syncwatch --help");
    println!("  syncwatch doctor --bare-names --url {url}");
    println!("To look:");
    println!("  curl -s {census}/lab/state");
    println!("  curl -s -u 'bearer:{TOKEN}' {census}/api/v1/syncs");
    println!("To be Census, and send a webhook to the Function URL:");
    println!(
        "  body='{{\"workspace_id\": 3167, \"sync_id\": {UPDATE}, \"sync_run_id\": {run}, \"event\": \"sync.completed\"}}'"
    );
    println!("  signature=$(printf %s \"$body\" | openssl dgst -sha256 -hmac {secret} -binary | base64)");
    println!("  curl -si {url} \\");
    println!("    -H 'Content-Type: application/json' -H \"X-Signature: $signature\" -d \"$body\"");
    println!(
        "AWS answers at {}; its log is {}.\n",
        stage.deployment.endpoint(),
        stage.aws.log_path().display()
    );
    Ok(())
}

/// How much of what arrived where was told.
struct Told {
    notices: usize,
    messages: usize,
    events: usize,
}

impl Told {
    fn tell_news(&mut self, stage: &Stage) {
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
