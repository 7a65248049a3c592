//! The demo: real functions find faults in a simulated Census, alert, and report the recovery.

mod acts;
mod data;
mod doctor;
mod excerpt;
mod history;
mod keep;
mod lost;
mod night;
mod page;
mod silence;
mod snapshot;
mod storm;
mod table;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use syncwatch_lab::aws::{ResourceId, Schedules, workspace_root};
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
/// The longest wait for anything before the demo fails. On an idle machine each takes seconds.
const LIMIT: Duration = Duration::from_secs(60);
/// Rounds scheduled at once: more than an act needs; the rest is cancelled after it.
const ROUNDS: u32 = 40;
const SEED: u64 = 20_261_124;

/// Plays the demo and narrates it on standard output. With `keep`, leaves it running until Ctrl-C. With `excerpt`, writes
/// the excerpt into README.
///
/// # Errors
/// An expected notice is missing, or an unexpected one arrived.
pub(crate) async fn play(keep: bool, excerpt: bool) -> Result<()> {
    let mut demo = Demo::start().await?;
    acts::run_fails(&mut demo).await?;
    acts::webhooks_are_duplicated_and_shuffled(&mut demo).await?;
    acts::webhooks_are_lost(&mut demo).await?;
    data::play(&mut demo).await?;
    snapshot::play(&mut demo).await?;
    history::play(&mut demo).await?;
    lost::play(&mut demo).await?;
    for act in acts::simple() {
        demo.play(&act).await?;
    }
    night::play(&mut demo).await?;
    storm::play(&mut demo).await?;
    silence::play(&mut demo).await?;
    demo.play(&acts::census_is_down()).await?;
    demo.check_all_resolved().await?;
    doctor::play(&demo).await?;
    page::play(&demo).await?;
    table::print(&demo.rows);
    println!("\nAll {} faults were found, reported once, and reported again when resolved.", demo.rows.len());
    println!(
        "The demo took {:.0} s. ministack delivers no mail: the mail above is the text that was published for it.",
        demo.started.elapsed().as_secs_f64()
    );
    excerpt::settle(&demo.lines.borrow(), excerpt)?;
    if keep {
        keep::leave_up(&demo.stage).await?;
    }
    Ok(())
}

/// The stage, and the notices that arrived so far.
struct Demo {
    stage: Stage,
    started: Instant,
    /// The number of notices that were expected and arrived.
    seen: usize,
    /// The number of notes of remedies.
    notes: usize,
    /// The pipeline file of the functions, whose remedies act.
    _pipeline: tempfile::TempDir,
    /// The number of silences that ended with suppressed notices.
    silences: usize,
    rows: Vec<Row>,
    /// Every printed line that reports an event.
    lines: RefCell<Vec<String>>,
}

/// A fault that was reported and is not fixed yet.
struct Found {
    fault: &'static str,
    key: &'static str,
    /// The instant from which it could be found.
    since: Timestamp,
    notice: Notification,
}

impl Demo {
    async fn start() -> Result<Self> {
        let started = Instant::now();
        say(
            started,
            "Starting AWS (ministack) and a simulated Census and Databricks on this machine; deploying the real zips.",
        );
        let clock = LabClock::wall();
        let properties = PropertyWorld::as_found(clock.now(), SEED).at_pace(Pace::OF_SEED);
        let world = World::seed_pipeline(clock.now(), SEED).carrying(properties);
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("pipeline.toml");
        let seed = std::fs::read_to_string(workspace_root().join("infra/pipeline.toml"))?;
        // Several acts break the same sync within minutes.
        let patient = "[notices]\nflapping = { openings = 9, within = \"6h\", quiet = \"1h\" }\n";
        let seed = seed.replace("[notices]\n", patient);
        std::fs::write(&file, format!("{seed}\n[remedies]\nlevel = \"act\"\n"))?;
        let stage = Stage::set_for(world, clock, Schedules::None, Some(file)).await?;
        let demo = Self {
            stage,
            started,
            seen: 0,
            notes: 0,
            _pipeline: folder,
            silences: 0,
            rows: Vec::new(),
            lines: RefCell::default(),
        };
        demo.line("Deployed, on provided.al2023:");
        demo.more("Census --webhook--> Function URL -> webhook-intake -> SQS -> webhook-worker --+");
        demo.more("EventBridge Scheduler -> schedule-verification (the poll) -------------------+--> SNS");
        demo.more("EventBridge Scheduler -> daily-validation <- Databricks ----------------------+");
        demo.more("EventBridge Scheduler -> nightly-snapshot -> Databricks ----------------------+");
        demo.more("SNS -> mail, HTTP, and SQS -> alert-relay -> PagerDuty, chat");
        demo.more("On AWS the poll runs every 2 minutes; here every 2 seconds, when it is switched on.");
        let round = demo.stage.deployment.invoke(POLL, &json!({ "task": "verify" })).await?;
        if let Some(error) = round.error {
            bail!("the first round failed ({error}): {}\n{}", round.value, demo.stage.aws.log_tail(2_000));
        }
        let summary = round.value.get("summary").and_then(Value::as_str).unwrap_or_default();
        demo.line(&format!("First round, run by hand: {summary}."));
        demo.nothing_new("a healthy pipeline")?;
        Ok(demo)
    }

    fn line(&self, text: &str) {
        self.lines.borrow_mut().push(text.to_owned());
        say(self.started, text);
    }

    fn more(&self, text: &str) {
        println!("          {text}");
    }

    /// Prints a text as it arrived.
    fn quote(&self, where_: &str, text: &str) {
        self.more(where_);
        for line in text.lines() {
            println!("          | {line}");
        }
    }

    /// Begins an act once everything of the last one has arrived; returns the instant.
    async fn begin(&self, title: &str) -> Result<Timestamp> {
        self.settle().await?;
        self.nothing_new("the last act")?;
        println!();
        self.line(&format!("BREAK   {title}"));
        Ok(Timestamp::now())
    }

    /// Lets minutes of Census time pass at once. Use multiples of 30, so that slots keep their minutes.
    fn pass(&self, minutes: i64) {
        if minutes > 0 {
            self.stage.census.jump(SignedDuration::from_mins(minutes));
            self.more(&format!("({} of Census time pass at once)", words(minutes)));
        }
    }

    async fn poll(&self, on: bool) -> Result<()> {
        if on {
            self.stage.deployment.poll_every_sweep(POLL, ROUNDS).await
        } else {
            self.stage.deployment.stop_polling(POLL).await.map(drop)
        }
    }

    /// Waits for notices, each once, in any order; returns them in the order of `due`. Any other notice is an error, except
    /// that one of these incidents became worse.
    async fn expect_notices(&mut self, due: &[(&str, &str)]) -> Result<Vec<Notification>> {
        let mut arrived: Vec<Option<Notification>> = vec![None; due.len()];
        while let Some(at) = arrived.iter().position(Option::is_none) {
            let what = due.get(at).map(|(key, kind)| format!("{kind} of {key}")).unwrap_or_default();
            let next = self.stage.subscriber.wait_for(self.seen, LIMIT, &what, |_| true).await;
            let (position, notice) = next.with_context(|| {
                format!("the functions' log ends with:\n{}", self.stage.aws.log_tail(3_000))
            })?;
            self.seen = position + 1;
            self.line(&format!("NOTICE  {}", notice.subject));
            let is = |due: &(&str, &str)| (notice.text("dedup_key"), notice.text("kind")) == *due;
            let awaited = due.iter().zip(&mut arrived).find(|(due, place)| is(due) && place.is_none());
            let worse = notice.text("kind") == "worsened"
                && due.iter().any(|(key, _)| *key == notice.text("dedup_key"));
            match awaited {
                Some((_, place)) => *place = Some(notice),
                None => ensure!(worse, "expected {what}, got {}", notice.subject),
            }
        }
        Ok(arrived.into_iter().flatten().collect())
    }

    async fn expect_notice(&mut self, key: &str, kind: &str) -> Result<Notification> {
        self.expect_notices(&[(key, kind)]).await?.pop().context("the expected notice is gone")
    }

    /// Waits until a fault is reported.
    async fn find(&mut self, fault: &'static str, key: &'static str, since: Timestamp) -> Result<Found> {
        let notice = self.expect_notice(key, "opened").await?;
        Ok(Found { fault, key, since, notice })
    }

    /// Removes all faults, lets minutes pass, and waits until the found ones are reported as resolved.
    async fn fix(&mut self, found: Vec<Found>, minutes: i64) -> Result<()> {
        self.stage.census.heal_all();
        let fixed_at = Timestamp::now();
        self.line("FIX     the fault is removed");
        self.pass(minutes);
        self.expect_resolved(found, fixed_at).await
    }

    async fn expect_resolved(&mut self, found: Vec<Found>, fixed_at: Timestamp) -> Result<()> {
        let due: Vec<(&str, &str)> = found.iter().map(|found| (found.key, "resolved")).collect();
        let resolved = self.expect_notices(&due).await?;
        for (Found { fault, key, since, notice }, resolved) in found.into_iter().zip(resolved) {
            let opened_at = notice.text("opened_at").parse().context("opened_at of the notice")?;
            self.rows.push(Row {
                fault,
                key,
                by: self.finder(key, opened_at).await?,
                found: seconds(since, opened_at),
                notified: seconds(since, notice.received_at),
                resolved: seconds(fixed_at, resolved.received_at),
            });
        }
        Ok(())
    }

    /// The finder of an incident: the function that logged it first, from its opening on.
    async fn finder(&self, key: &str, opened_at: Timestamp) -> Result<Finder> {
        let first_to_log = async || {
            let mut first: Option<(Timestamp, Finder)> = None;
            for (function, finder) in [
                (POLL, Finder::Poll),
                (WORKER, Finder::Webhook),
                (NIGHTLY, Finder::Nightly),
                (SNAPSHOT, Finder::Nightly),
            ] {
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
        until(LIMIT, &format!("the line of {key} in a function's log"), first_to_log).await
    }

    /// The JSON lines that a function has logged since an instant.
    async fn log_since(&self, function: &str, since: Timestamp) -> Result<Vec<(Timestamp, Value)>> {
        let lines = self.stage.deployment.function_log(function).await?;
        let lines = lines.iter().filter_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let at = line.get("timestamp")?.as_str()?.parse().ok()?;
            Some((at, line))
        });
        Ok(lines.filter(|(at, _)| *at >= since).collect())
    }

    /// Waits until everything in flight has arrived: webhooks, queued deliveries, and notices.
    async fn settle(&self) -> Result<()> {
        let delivered = tokio::time::timeout(LIMIT, self.stage.census.have_delivered_all()).await;
        delivered.context("Census could not deliver its webhooks")?;
        until_empty(&self.stage, "webhook-deliveries").await?;
        // The mail tap is between the functions and SNS, so it has every notice.
        let arrived = async || {
            Ok((self.stage.subscriber.notifications().len() >= self.stage.mail.mails().len()).then_some(()))
        };
        until(LIMIT, "the arrival of every published notice", arrived).await?;
        until_empty(&self.stage, "notices").await
    }

    /// Checks that no notice arrived beyond the expected ones.
    fn nothing_new(&self, after: &str) -> Result<()> {
        match self.stage.subscriber.notifications().get(self.seen) {
            None => Ok(()),
            Some(notice) => bail!("unexpected notice after {after}: {}", notice.subject),
        }
    }

    /// Checks that each fault was reported once when it began and once when it ended, apart from getting worse, and that
    /// nothing is left of it in any table, queue or channel.
    async fn check_all_resolved(&self) -> Result<()> {
        self.settle().await?;
        self.nothing_new("the last act")?;
        let notices = self.stage.subscriber.notifications();
        let keys_of = |kind: &str| {
            let of_kind = notices.iter().filter(|notice| notice.text("kind") == kind);
            let mut keys: Vec<&str> = of_kind.map(|notice| notice.text("dedup_key")).collect();
            keys.sort_unstable();
            keys
        };
        let mut keys: Vec<&str> = self.rows.iter().map(|row| row.key).collect();
        keys.sort_unstable();
        for kind in ["opened", "resolved"] {
            ensure!(keys_of(kind) == keys, "{kind}: {:?}; faults: {keys:?}", keys_of(kind));
        }
        let (suppressed, worsened) = (keys_of("held-back").len(), keys_of("worsened").len());
        ensure!(
            suppressed == self.silences,
            "{suppressed} of {} ended silences were reported",
            self.silences
        );
        ensure!(keys_of("note").len() == self.notes, "{} notes of remedies", keys_of("note").len());
        let others = notices.len() - 2 * keys.len() - suppressed - worsened - self.notes;
        ensure!(others == 0, "{others} notices of other kinds were sent");

        keys.dedup();
        // Silences are in the same table, and have no state.
        let incidents = self.stage.deployment.incidents().await?;
        let states: Vec<&Value> = incidents.iter().filter_map(|incident| incident.get("state")).collect();
        let open = states.iter().filter(|state| ***state != json!("resolved")).count();
        ensure!(states.len() == keys.len() && open == 0, "{} incidents, {open} of them open", states.len());
        let alerts = self.stage.pagerduty.open_alerts(syncwatch_lab::receivers::ROUTING_KEY);
        ensure!(alerts.is_empty(), "still open in PagerDuty: {alerts:?}");
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
