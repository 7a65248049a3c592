//! The demo: real functions find what goes wrong in a living Census, and say when it is mended.

mod acts;
mod data;
mod doctor;
mod excerpt;
mod keep;
mod silence;
mod snapshot;
mod storm;
mod table;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use syncwatch_lab::aws::{ResourceId, Schedules};
use syncwatch_lab::census::World;
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::properties::{Pace, PropertyWorld};
use syncwatch_lab::receivers::Notification;
use syncwatch_lab::stage::Stage;
use syncwatch_lab::wait::until;

use table::{Finder, Row};

const PIPELINE: &str = "properties";
const POLL: &str = "schedule-verification";
const INTAKE: &str = "webhook-intake";
const WORKER: &str = "webhook-worker";
const NIGHTLY: &str = "daily-validation";
const SNAPSHOT: &str = "nightly-snapshot";
const CREATE: u64 = 3_394_022;
const UPDATE: u64 = 3_394_041;
/// How long anything may take before the demo has failed. On a machine with nothing else to do it takes seconds.
const LIMIT: Duration = Duration::from_secs(60);
/// Rounds that are scheduled at a time: more than an act of the demo needs, and taken back after it.
const ROUNDS: u32 = 40;
const SEED: u64 = 20_261_124;

/// Plays the demo, and tells it on standard output. With `keep`, leaves it up until Ctrl-C. With `excerpt`, writes what
/// README shows of it.
///
/// # Errors
/// Something that ought to be heard was not, or something was heard that nobody did.
pub(crate) async fn play(keep: bool, excerpt: bool) -> Result<()> {
    let mut demo = Demo::start().await?;
    acts::a_run_fails(&mut demo).await?;
    acts::webhooks_come_twice_and_out_of_order(&mut demo).await?;
    acts::webhooks_are_lost(&mut demo).await?;
    data::play(&mut demo).await?;
    snapshot::play(&mut demo).await?;
    for act in acts::simple() {
        demo.play(&act).await?;
    }
    storm::play(&mut demo).await?;
    silence::play(&mut demo).await?;
    demo.play(&acts::census_is_down()).await?;
    demo.only_what_was_done().await?;
    doctor::play(&demo).await?;
    table::print(&demo.rows);
    println!("\nAll {} faults were found, told once, and told again when they were over.", demo.rows.len());
    println!(
        "The demo took {:.0} s. Mail is not delivered by ministack: the text above is what was published for it.",
        demo.started.elapsed().as_secs_f64()
    );
    excerpt::settle(&demo.told.borrow(), excerpt)?;
    if keep {
        keep::leave_up(&demo.stage).await?;
    }
    Ok(())
}

/// The stage, and what was heard on it so far.
struct Demo {
    stage: Stage,
    started: Instant,
    heard: usize,
    /// How many silences ended with something to tell.
    silences: usize,
    rows: Vec<Row>,
    /// Every line that was told as something that happened.
    told: RefCell<Vec<String>>,
}

/// A fault that was told, and is not mended yet.
struct Found {
    fault: &'static str,
    key: &'static str,
    /// The instant from which on it could be found.
    since: Timestamp,
    notice: Notification,
}

impl Demo {
    async fn start() -> Result<Self> {
        let started = Instant::now();
        say(
            started,
            "Starting AWS (ministack), Census and Databricks (simulated) on this machine, and deploying the real zips.",
        );
        let clock = LabClock::wall();
        let properties = PropertyWorld::as_found(clock.now(), SEED).at_pace(Pace::OF_SEED);
        let world = World::seed_pipeline(clock.now(), SEED).carrying(properties);
        let stage = Stage::set(world, clock, Schedules::None).await?;
        let demo = Self { stage, started, heard: 0, silences: 0, rows: Vec::new(), told: RefCell::default() };
        demo.line("Deployed, on provided.al2023:");
        demo.more("Census --webhook--> Function URL -> webhook-intake -> SQS -> webhook-worker --+");
        demo.more("EventBridge Scheduler -> schedule-verification (the poll) -------------------+--> SNS");
        demo.more("EventBridge Scheduler -> daily-validation <- Databricks ----------------------+");
        demo.more("EventBridge Scheduler -> nightly-snapshot -> Databricks ----------------------+");
        demo.more("SNS -> mail, HTTP, and SQS -> alert-relay -> PagerDuty, chat");
        demo.more("On AWS the poll comes every 2 minutes; here every 2 seconds, when it is switched on.");
        let round = demo.stage.deployment.invoke(POLL, &json!({ "task": "verify" })).await?;
        if let Some(error) = round.error {
            bail!("the first round failed ({error}): {}\n{}", round.value, demo.stage.aws.log_tail(2_000));
        }
        let summary = round.value.get("summary").and_then(Value::as_str).unwrap_or_default();
        demo.line(&format!("First round by hand: {summary}."));
        demo.nothing_new("a healthy pipeline")?;
        Ok(demo)
    }

    fn line(&self, text: &str) {
        self.told.borrow_mut().push(text.to_owned());
        say(self.started, text);
    }

    fn more(&self, text: &str) {
        println!("          {text}");
    }

    /// Something as it arrived somewhere.
    fn quote(&self, where_: &str, text: &str) {
        self.more(where_);
        for line in text.lines() {
            println!("          | {line}");
        }
    }

    /// Begins an act, once all of the last one has arrived; answers with the instant.
    async fn begin(&self, title: &str) -> Result<Timestamp> {
        self.settle().await?;
        self.nothing_new("the last act")?;
        println!();
        self.line(&format!("BREAK   {title}"));
        Ok(Timestamp::now())
    }

    /// Lets Census live through so many minutes in an instant. Multiples of 30, so that slots keep their minutes.
    fn pass(&self, minutes: i64) {
        if minutes > 0 {
            self.stage.census.jump(SignedDuration::from_mins(minutes));
            self.more(&format!("({} of Census's life pass in an instant)", words(minutes)));
        }
    }

    async fn poll(&self, on: bool) -> Result<()> {
        if on {
            self.stage.deployment.poll_every_sweep(POLL, ROUNDS).await
        } else {
            self.stage.deployment.stop_polling(POLL).await.map(drop)
        }
    }

    /// Waits for notices, each once, in any order; answers with them in the order of `due`. Any other was invented, or
    /// repeated, but for the news that one of these incidents became worse.
    async fn hear(&mut self, due: &[(&str, &str)]) -> Result<Vec<Notification>> {
        let mut heard: Vec<Option<Notification>> = vec![None; due.len()];
        while let Some(at) = heard.iter().position(Option::is_none) {
            let what = due.get(at).map(|(key, kind)| format!("{kind} of {key}")).unwrap_or_default();
            let next = self.stage.subscriber.wait_for(self.heard, LIMIT, &what, |_| true).await;
            let (position, notice) = next.with_context(|| {
                format!("the functions' log ends with:\n{}", self.stage.aws.log_tail(3_000))
            })?;
            self.heard = position + 1;
            self.line(&format!("NOTICE  {}", notice.subject));
            let is = |due: &(&str, &str)| (notice.text("dedup_key"), notice.text("kind")) == *due;
            let awaited = due.iter().zip(&mut heard).find(|(due, heard)| is(due) && heard.is_none());
            let worse = notice.text("kind") == "worsened"
                && due.iter().any(|(key, _)| *key == notice.text("dedup_key"));
            match awaited {
                Some((_, place)) => *place = Some(notice),
                None => ensure!(worse, "waiting for {what}, heard {}", notice.subject),
            }
        }
        Ok(heard.into_iter().flatten().collect())
    }

    async fn hear_one(&mut self, key: &str, kind: &str) -> Result<Notification> {
        self.hear(&[(key, kind)]).await?.pop().context("a notice that was heard is gone")
    }

    /// Hears of a fault.
    async fn find(&mut self, fault: &'static str, key: &'static str, since: Timestamp) -> Result<Found> {
        let notice = self.hear_one(key, "opened").await?;
        Ok(Found { fault, key, since, notice })
    }

    /// Mends everything, lets so many minutes pass, and hears that what was found is over.
    async fn mend(&mut self, found: Vec<Found>, minutes: i64) -> Result<()> {
        self.stage.census.heal_all();
        let mended_at = Timestamp::now();
        self.line("MEND");
        self.pass(minutes);
        self.hear_the_end(found, mended_at).await
    }

    async fn hear_the_end(&mut self, found: Vec<Found>, mended_at: Timestamp) -> Result<()> {
        let due: Vec<(&str, &str)> = found.iter().map(|found| (found.key, "resolved")).collect();
        let resolved = self.hear(&due).await?;
        for (Found { fault, key, since, notice }, resolved) in found.into_iter().zip(resolved) {
            let opened_at = notice.text("opened_at").parse().context("opened_at of the notice")?;
            self.rows.push(Row {
                fault,
                key,
                by: self.finder(key, opened_at).await?,
                found: seconds(since, opened_at),
                noticed: seconds(since, notice.received_at),
                resolved: seconds(mended_at, resolved.received_at),
            });
        }
        Ok(())
    }

    /// Who found an incident: the function that was the first to log that it wrote it, from its opening on.
    async fn finder(&self, key: &str, opened_at: Timestamp) -> Result<Finder> {
        let look = async || {
            let mut first: Option<(Timestamp, Finder)> = None;
            for (function, finder) in
                [(POLL, Finder::Poll), (WORKER, Finder::Webhook), (NIGHTLY, Finder::Nightly)]
            {
                for (at, line) in self.log_since(function, opened_at).await? {
                    let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
                    let wrote = matches!(text("message"), "noted" | "notice sent") && text("incident") == key;
                    if wrote && first.is_none_or(|(earliest, _)| at < earliest) {
                        first = Some((at, finder));
                    }
                }
            }
            Ok(first.map(|(_, finder)| finder))
        };
        until(LIMIT, &format!("the line of {key} in a function's log"), look).await
    }

    /// The lines of JSON that a function has logged since an instant.
    async fn log_since(&self, function: &str, since: Timestamp) -> Result<Vec<(Timestamp, Value)>> {
        let lines = self.stage.deployment.function_log(function).await?;
        let lines = lines.iter().filter_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let at = line.get("timestamp")?.as_str()?.parse().ok()?;
            Some((at, line))
        });
        Ok(lines.filter(|(at, _)| *at >= since).collect())
    }

    /// Waits until whatever is on its way has arrived: webhooks, deliveries in their queue, and notices everywhere.
    async fn settle(&self) -> Result<()> {
        let delivered = tokio::time::timeout(LIMIT, self.stage.census.have_delivered_all()).await;
        delivered.context("Census could not deliver its webhooks")?;
        until_empty(&self.stage, "webhook-deliveries").await?;
        // The mail tap stands between the functions and SNS, and has seen everything that was said.
        let arrived = async || {
            Ok((self.stage.subscriber.notifications().len() >= self.stage.mail.mails().len()).then_some(()))
        };
        until(LIMIT, "that what was published arrives", arrived).await?;
        until_empty(&self.stage, "notices").await
    }

    /// Nothing was heard beyond what was waited for.
    fn nothing_new(&self, after: &str) -> Result<()> {
        match self.stage.subscriber.notifications().get(self.heard) {
            None => Ok(()),
            Some(notice) => bail!("after {after} there was a notice: {}", notice.subject),
        }
    }

    /// Each fault was told once when it began and once when it ended, becoming worse aside, and nothing is left of it:
    /// in no table, no queue and at nobody's.
    async fn only_what_was_done(&self) -> Result<()> {
        self.settle().await?;
        self.nothing_new("the last act")?;
        let notices = self.stage.subscriber.notifications();
        let told = |kind: &str| {
            let of_kind = notices.iter().filter(|notice| notice.text("kind") == kind);
            let mut keys: Vec<&str> = of_kind.map(|notice| notice.text("dedup_key")).collect();
            keys.sort_unstable();
            keys
        };
        let mut keys: Vec<&str> = self.rows.iter().map(|row| row.key).collect();
        keys.sort_unstable();
        for kind in ["opened", "resolved"] {
            ensure!(told(kind) == keys, "told as {kind}: {:?}; done: {keys:?}", told(kind));
        }
        let (held_back, worsened) = (told("held-back").len(), told("worsened").len());
        ensure!(held_back == self.silences, "{held_back} ends of {} silences were told", self.silences);
        let others = notices.len() - 2 * keys.len() - held_back - worsened;
        ensure!(others == 0, "{others} notices of other kinds were told");

        keys.dedup();
        // Silences lie beside the incidents, and have no state.
        let incidents = self.stage.deployment.incidents().await?;
        let states: Vec<&Value> = incidents.iter().filter_map(|incident| incident.get("state")).collect();
        let open = states.iter().filter(|state| ***state != json!("resolved")).count();
        ensure!(states.len() == keys.len() && open == 0, "{} incidents, {open} of them open", states.len());
        let alerts = self.stage.pagerduty.open_alerts(syncwatch_lab::receivers::ROUTING_KEY);
        ensure!(alerts.is_empty(), "PagerDuty still has open: {alerts:?}");
        ensure!(self.stage.chat.refused() == 0, "the chat refused a message");
        for queue in ["webhook-deliveries-dead", "notices-dead"] {
            until_empty(&self.stage, queue).await?;
        }
        Ok(())
    }
}

async fn until_empty(stage: &Stage, queue: &str) -> Result<()> {
    let queue = ResourceId::queue(queue);
    let empty = async || Ok((stage.deployment.queue_depth(&queue).await? == (0, 0)).then_some(()));
    until(LIMIT, &format!("an empty {queue}"), empty).await
}

fn say(started: Instant, text: &str) {
    println!("[{:5.1} s] {text}", started.elapsed().as_secs_f64());
}

fn words(minutes: i64) -> String {
    if minutes % 60 == 0 && minutes > 60 {
        format!("{} hours", minutes / 60)
    } else {
        format!("{minutes} minutes")
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}
