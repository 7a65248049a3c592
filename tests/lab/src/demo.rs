//! The demo: real functions find what goes wrong in a living Census, and say when it is mended.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use syncwatch_lab::aws::Schedules;
use syncwatch_lab::census::{Fault, HttpFault, World};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::receivers::Notification;
use syncwatch_lab::stage::Stage;

const FUNCTION: &str = "schedule-verification";
const CREATE: u64 = 3_394_022;
const UPDATE: u64 = 3_394_041;
/// How long a notice may take before the demo has failed. Rounds follow each other every two seconds here.
const NOTICE_LIMIT: Duration = Duration::from_secs(45);
/// Rounds that are scheduled at a time: more than an act of the demo needs, and taken back after it.
const ROUNDS: u32 = 40;
const SEED: u64 = 20_261_124;

/// One row of the closing table.
struct Row {
    fault: &'static str,
    found: f64,
    noticed: f64,
    resolved: f64,
}

/// What an act of the demo breaks, and what must be heard of it.
struct Act {
    title: &'static str,
    key: &'static str,
    breaks: Break,
    /// How much of Census's life passes after the break, and after the mending. Multiples of 30 minutes, so that slots
    /// keep their minutes.
    passes: [i64; 2],
}

enum Break {
    World(Fault),
    Door(HttpFault),
}

fn acts() -> Vec<Act> {
    vec![
        Act {
            title: "somebody pauses the create sync",
            key: "properties/sync-paused/properties-create",
            breaks: Break::World(Fault::Pause { sync: CREATE }),
            passes: [0, 0],
        },
        Act {
            title: "12 % of the updates are rejected; runs say `completed`",
            key: "properties/error-rate/properties-update",
            breaks: Break::World(Fault::Reject { sync: UPDATE, percent: 12, message: None }),
            passes: [30, 30],
        },
        Act {
            title: "the create sync misses its runs, silently",
            key: "properties/run-due/properties-create",
            breaks: Break::World(Fault::HoldSchedule { sync: CREATE }),
            passes: [90, 30],
        },
        Act {
            title: "the update sync fails, and fails again",
            key: "properties/run-failed/properties-update",
            breaks: Break::World(Fault::Fail {
                sync: UPDATE,
                code: "SOURCE_COLUMN_MISSING".to_owned(),
                message: "A mapped source column has been deleted: company_name_c".to_owned(),
            }),
            passes: [30, 30],
        },
        Act {
            title: "somebody makes the update sync hourly",
            key: "properties/schedule-drift/properties-update",
            breaks: Break::World(Fault::ChangeSchedule {
                sync: UPDATE,
                schedule: json!({ "frequency": "hourly" }),
            }),
            passes: [0, 0],
        },
        Act {
            title: "Census is down, and every check is blind",
            key: "properties/api-reachable/census",
            breaks: Break::Door(HttpFault::Down),
            passes: [0, 0],
        },
    ]
}

/// Plays the demo, and tells it on standard output. With `keep`, leaves it up until Ctrl-C.
///
/// # Errors
/// Something that ought to be heard was not, or something was heard that nobody did.
pub(crate) async fn play(keep: bool) -> Result<()> {
    let started = Instant::now();
    let tell = Teller { started };
    tell.line("Starting AWS (ministack) and Census (simulated) on this machine, and deploying the real zip.");
    let clock = LabClock::wall();
    let world = World::seed_pipeline(clock.now(), SEED);
    let stage = Stage::set(world, clock, Schedules::AsDeclared).await?;
    let zip = "provided.al2023, fired by EventBridge Scheduler, notices by SNS";
    tell.line(&format!("{FUNCTION} is deployed: {zip}."));
    tell.line("Its schedule is every 2 minutes; for the demo the Scheduler also fires it every 2 seconds.");

    healthy_round(&stage, &tell).await?;
    let mut rows = Vec::new();
    let mut heard = 0;
    for (number, act) in acts().into_iter().enumerate() {
        stage.deployment.poll_every_sweep(FUNCTION, ROUNDS).await?;
        rows.push(play_act(&stage, &tell, &act, &mut heard, number == 0).await?);
        stage.deployment.stop_polling(FUNCTION).await?;
    }
    only_what_was_done(&stage, rows.len())?;
    incidents_are_closed(&stage, rows.len()).await?;
    table(&rows);
    println!("\nAll {} faults were found, told once, and told again when they were over.", rows.len());
    println!(
        "The demo took {:.0} s. Mail is not delivered by ministack: the text above is what was published for it.",
        started.elapsed().as_secs_f64()
    );
    if keep {
        leave_up(&stage).await?;
    }
    Ok(())
}

struct Teller {
    started: Instant,
}

impl Teller {
    fn line(&self, text: &str) {
        println!("[{:5.1} s] {text}", self.started.elapsed().as_secs_f64());
    }

    fn more(&self, text: &str) {
        println!("          {text}");
    }
}

async fn healthy_round(stage: &Stage, tell: &Teller) -> Result<()> {
    let round = stage.deployment.invoke(FUNCTION, &json!({ "task": "verify" })).await?;
    if let Some(error) = round.error {
        bail!("the first round failed ({error}): {}\n{}", round.value, stage.aws.log_tail(2_000));
    }
    let summary =
        round.value.get("summary").and_then(|summary| summary.as_str()).unwrap_or_default().to_owned();
    tell.line(&format!("First round by hand: {summary}."));
    ensure!(stage.subscriber.notifications().is_empty(), "a healthy pipeline raised a notice: {summary}");
    Ok(())
}

async fn play_act(
    stage: &Stage,
    tell: &Teller,
    act: &Act,
    heard: &mut usize,
    show_mail: bool,
) -> Result<Row> {
    println!();
    tell.line(&format!("BREAK: {}", act.title));
    let [after_break, after_mending] = act.passes;
    let broken_at = Timestamp::now();
    match &act.breaks {
        Break::World(fault) => stage.census.inject(fault.clone())?,
        Break::Door(fault) => stage.census.break_door(fault.clone()),
    }
    pass(stage, tell, after_break);
    let opened = hear(stage, heard, act.key, "opened").await?;
    let found = seconds(broken_at, opened.text("opened_at").parse().context("opened_at of the notice")?);
    tell.line(&format!("NOTICE  {}", opened.subject));
    if show_mail {
        show_the_mail(stage, tell);
        tell.more("the same as a subscriber by HTTP got it:");
        let body = serde_json::to_string_pretty(&opened.message)?;
        for line in body.lines() {
            println!("          | {line}");
        }
    } else {
        tell.more(&format!("likely cause: {}", opened.text("cause")));
    }
    stage.census.heal_all();
    let mended_at = Timestamp::now();
    tell.line("MEND");
    pass(stage, tell, after_mending);
    let resolved = hear(stage, heard, act.key, "resolved").await?;
    tell.line(&format!("NOTICE  {}", resolved.subject));
    Ok(Row {
        fault: act.title,
        found,
        noticed: seconds(broken_at, opened.received_at),
        resolved: seconds(mended_at, resolved.received_at),
    })
}

fn pass(stage: &Stage, tell: &Teller, minutes: i64) {
    if minutes > 0 {
        stage.census.jump(SignedDuration::from_mins(minutes));
        tell.more(&format!("({minutes} minutes of Census's life pass in an instant)"));
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

/// Waits for the next notice, which must be of this incident and kind: anything else was invented, or repeated. A
/// notice that an incident became worse is told in passing.
async fn hear(stage: &Stage, heard: &mut usize, key: &str, kind: &str) -> Result<Notification> {
    loop {
        let what = format!("the notice {kind} of {key}");
        let next = stage.subscriber.wait_for(*heard, NOTICE_LIMIT, &what, |_| true).await;
        let (at, notification) =
            next.with_context(|| format!("the functions' log ends with:\n{}", stage.aws.log_tail(3_000)))?;
        *heard = at + 1;
        ensure!(notification.text("dedup_key") == key, "waiting for {what}, heard: {}", notification.subject);
        if notification.text("kind") == kind {
            return Ok(notification);
        }
        ensure!(
            notification.text("kind") == "worsened",
            "waiting for {what}, heard: {}",
            notification.subject
        );
        println!("          NOTICE  {}", notification.subject);
    }
}

fn show_the_mail(stage: &Stage, tell: &Teller) {
    let Some(mail) = stage.mail.mails().into_iter().next_back() else { return };
    tell.more("the same as mail:");
    println!("          | Subject: {}", mail.subject);
    println!("          |");
    for line in mail.text.lines() {
        println!("          | {line}");
    }
}

/// Each act is heard of once when it begins and once when it ends; worsening is allowed.
fn only_what_was_done(stage: &Stage, acts: usize) -> Result<()> {
    let of_kind =
        |kind: &str| stage.subscriber.notifications().iter().filter(|n| n.text("kind") == kind).count();
    let (opened, resolved) = (of_kind("opened"), of_kind("resolved"));
    ensure!(
        opened == acts && resolved == acts,
        "{acts} faults made {opened} openings and {resolved} resolutions"
    );
    Ok(())
}

async fn incidents_are_closed(stage: &Stage, acts: usize) -> Result<()> {
    let incidents = stage.deployment.incidents().await?;
    let open = incidents.iter().filter(|incident| incident.get("state") != Some(&json!("resolved"))).count();
    ensure!(
        incidents.len() == acts && open == 0,
        "{} incidents are stored, {open} of them open",
        incidents.len()
    );
    Ok(())
}

fn table(rows: &[Row]) {
    println!("\n{:<56} {:>11} {:>9} {:>10}", "fault", "found after", "noticed", "resolved");
    for Row { fault, found, noticed, resolved } in rows {
        println!("{fault:<56} {found:>9.1} s {noticed:>7.1} s {resolved:>8.1} s");
    }
    println!(
        "(found: the round that saw it began; noticed: its notice arrived; resolved: from the mending on)"
    );
}

async fn leave_up(stage: &Stage) -> Result<()> {
    let census = stage.census.url();
    println!("\nEverything stays up until Ctrl-C, with a round every 2 seconds. To play:");
    println!("  curl -s {census}/lab/state");
    println!("  curl -s -X POST {census}/lab/fault -d '{{\"fault\": \"pause\", \"sync\": {CREATE}}}'");
    println!(
        "  curl -s -X POST {census}/lab/fault -d '{{\"fault\": \"reject\", \"sync\": {UPDATE}, \"percent\": 20}}'"
    );
    println!("  curl -s -X POST {census}/lab/fault -d '{{\"fault\": \"down\"}}'");
    println!("  curl -s -X POST {census}/lab/jump -d '{{\"minutes\": 30}}'");
    println!("  curl -s -X POST {census}/lab/heal");
    println!("  curl -s -u 'bearer:{}' {census}/api/v1/syncs", syncwatch_lab::census::TOKEN);
    println!(
        "AWS answers at {}; its log is {}.\n",
        stage.deployment.endpoint(),
        stage.aws.log_path().display()
    );
    let mut heard = stage.subscriber.notifications().len();
    stage.deployment.poll_every_sweep(FUNCTION, ROUNDS).await?;
    loop {
        tokio::select! {
            stop = tokio::signal::ctrl_c() => return stop.context("waiting for Ctrl-C"),
            news = stage.subscriber.wait_for(heard, Duration::from_secs(60), "news", |_| true) => match news {
                Ok((at, notification)) => {
                    heard = at + 1;
                    println!("NOTICE  {}", notification.subject);
                }
                Err(_) => stage.deployment.poll_every_sweep(FUNCTION, ROUNDS).await?,
            },
        }
    }
}
