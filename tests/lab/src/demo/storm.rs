//! A storm of webhooks through the Function URL: two causes, forgeries, and poison that ends in the dead-letter queue.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use syncwatch_lab::aws::ResourceId;
use syncwatch_lab::census::{Fate, Fault, HttpFault, Storm, StormDelivery};
use syncwatch_lab::wait::until;

use super::acts::failure;
use super::{CREATE, Demo, Found, INTAKE, LIMIT, SEED, UPDATE};

const DELIVERIES: usize = 1_000;
/// The visibility timeout of the queue, so the wait before a failed message is retried. Minutes on AWS.
const RETRY_AFTER_S: u32 = 5;
const CAUSES: [(&str, &str); 2] = [
    ("webhook storm: the create sync fails ...", "properties/run-failed/properties-create"),
    ("... and 20% of the updates are rejected", "properties/error-rate/properties-update"),
];
const DEAD_LETTERS: (&str, &str) =
    ("webhooks that cannot be handled: dead letters", "properties/dead-letters/syncwatch");

pub(super) async fn play(demo: &mut Demo) -> Result<()> {
    let queue = ResourceId::queue("webhook-deliveries");
    demo.stage.deployment.hide_messages_for(&queue, RETRY_AFTER_S).await?;
    let since = demo
        .begin("a webhook storm: the create sync fails and 20% of the updates are rejected (poll off)")
        .await?;
    demo.stage.census.inject(failure(CREATE))?;
    demo.stage.census.inject(Fault::Reject { sync: UPDATE, percent: 20, message: None })?;
    // The webhooks are collected, to be sent as a storm.
    demo.stage.census.break_door(HttpFault::WebhooksLost);
    demo.pass(26 * 60);
    let webhook = demo.stage.census.with_world(|world| world.webhooks().first().cloned());
    let secret = webhook.context("no webhook is registered at Census")?.secret;
    let storm = Storm::new(&secret, SEED, &demo.stage.census.take_lost(), DELIVERIES);
    let poison = u64::try_from(storm.count(Fate::Poison))?;
    send(demo, &storm).await?;

    let due = CAUSES.map(|(_, key)| (key, "opened"));
    let notices = demo.expect_notices(&due).await?;
    let found = CAUSES.into_iter().zip(notices);
    let found = found.map(|((fault, key), notice)| Found { fault, key, since, notice });
    demo.fix(found.collect(), 60).await?;

    let only_poison = async || {
        let (visible, in_flight) = demo.stage.deployment.queue_depth(&queue).await?;
        Ok((visible + in_flight <= poison).then_some(()))
    };
    demo.stage.census.have_delivered_all().await;
    until(LIMIT, "a queue with only the poison in it", only_poison).await?;
    // Only now: a short timeout would hand a message out again while the worker still handles it.
    demo.stage.deployment.hide_messages_for(&queue, 1).await?;
    demo.settle().await?;
    demo.nothing_new("the storm")?;
    let dead_letters = ResourceId::queue("webhook-deliveries-dead");
    let (dead, _) = demo.stage.deployment.queue_depth(&dead_letters).await?;
    ensure!(dead == poison, "{poison} deliveries were poison, {dead} are dead letters");
    demo.line(&format!("Queue empty: one notice per cause, and {dead} dead letters, exactly the poison"));
    report_dead_letters(demo, &dead_letters).await
}

/// Posts a storm with as many parallel clients as the Function URL allows, and compares each answer with its fate.
async fn send(demo: &Demo, storm: &Storm) -> Result<()> {
    let (http, url) = (syncwatch::http::client()?, demo.stage.deployment.url_of(INTAKE)?);
    let spec = demo.stage.deployment.table().function(INTAKE)?.url.as_ref();
    let clients = spec.context("webhook-intake has no URL")?.reserved_concurrency;
    let [good, forged, poison] = [Fate::Accepted, Fate::Refused, Fate::Poison].map(|fate| storm.count(fate));
    let count = storm.deliveries.len();
    demo.line(&format!(
        "STORM   {count} webhooks from {clients} clients, shuffled, a third of them duplicates"
    ));
    let post = async |delivery: &StormDelivery| {
        let mut request = http.post(&url).header("Content-Type", "application/json");
        if let Some(signature) = &delivery.signature {
            request = request.header("X-Signature", signature);
        }
        let status = request.body(delivery.body.clone()).send().await?.status().as_u16();
        anyhow::Ok((delivery.fate, status))
    };
    let began = Instant::now();
    let answers: Vec<(Fate, u16)> = stream::iter(&storm.deliveries)
        .map(post)
        .buffer_unordered(usize::try_from(clients)?)
        .try_collect()
        .await
        .context("posting the storm")?;
    let took = began.elapsed().as_secs_f64();
    let mut counts: BTreeMap<(Fate, u16), usize> = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer).or_default() += 1;
    }
    let expected = BTreeMap::from([
        ((Fate::Accepted, 202), good),
        ((Fate::Refused, 401), forged),
        ((Fate::Poison, 202), poison),
    ]);
    ensure!(counts == expected, "the storm was answered {counts:?}, expected {expected:?}");
    demo.line(&format!(
        "All answered in {took:.1} s: {} accepted ({good} valid, {poison} poison), {forged} forged refused",
        good + poison
    ));
    Ok(())
}

/// Waits until the poll reports the dead letters, purges them, and waits for the recovery.
async fn report_dead_letters(demo: &mut Demo, queue: &ResourceId) -> Result<()> {
    let (fault, key) = DEAD_LETTERS;
    let since = Timestamp::now();
    demo.poll(true).await?;
    let found = demo.find(fault, key, since).await?;
    demo.line("FIX     the dead letters are checked, and the queue is purged");
    demo.stage.deployment.purge(queue).await?;
    demo.expect_resolved(vec![found], Timestamp::now()).await?;
    demo.poll(false).await
}
