//! Status pages in each state that they must show well, from the lab's history: for tests and for people.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use jiff::{SignedDuration, Timestamp};
use syncwatch::days::{day_of, days_before};
use syncwatch::finding::{Check, Evidence, Judge, Outcome, Severity};
use syncwatch::history::{History, ObjectDay};
use syncwatch::incident::{Acknowledged, Act, Course, Episode, Hold, Incident, IncidentKey, State};
use syncwatch::judge::unusual::judge_figures;
use syncwatch::marks::Exceptions;
use syncwatch::observation::{Counts, Run, RunId, RunStatus, SyncId};
use syncwatch::observe::page::recorded;
use syncwatch::page::{Inputs, Live, Page, Recorded};
use syncwatch::pipeline::{Level, Pipeline, RemedyKind};
use syncwatch::remedy::{Plan, Record, Target};
use syncwatch::report::{self, Month, Monthly};
use syncwatch::rounds::{ReconciledRound, Tried};
use syncwatch::runtime::warehouse::Asker;
use syncwatch::scoreboard::{LagSample, RunsByHand, Stored};
use syncwatch::silence::{Scope, Silence, Tally};
use syncwatch_cli::warehouse_objects::apply_folder;

use crate::engines;
use crate::history::{Fault, PAST_DAYS, Past};
use crate::properties::{Health, Pace, make_sources, sql_folder};

/// When the pages are made (UTC).
const NOW: &str = "2026-11-27T18:03:20Z";
/// The time limit of all statements.
const READING: Duration = Duration::from_secs(120);
const MARKUP: &str = "<script>alert('x')</script> \"quoted\" & <b>bold</b> \u{202e}desrever\u{202c}";
const LONG: &str =
    "a-very-long-name-without-any-place-to-break-it-as-people-and-vendors-do-write-them-now-and-then";
const ARABIC: &str = "مزامنة العقارات إلى سيلزفورس";
const HEBREW: &str = "עדכון נכסים (לקוחות) 12%";

/// A page to show.
#[derive(Debug, Clone)]
pub struct Sample {
    pub name: &'static str,
    pub pipeline: Pipeline,
    pub inputs: Inputs,
    pub now: Timestamp,
}

impl Sample {
    /// Builds its page.
    pub fn page(&self) -> Page {
        Page::of(&self.inputs, &self.pipeline, self.now)
    }

    /// Writes its files into a folder.
    ///
    /// # Errors
    /// It cannot be rendered, or a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        for file in self.page().files(&self.pipeline.time_zone)? {
            std::fs::write(folder.join(file.name), file.text)?;
        }
        Ok(())
    }

    fn stored(&mut self) -> Result<&mut Stored> {
        self.inputs.stored.as_mut().ok().context("a sample without incidents")
    }

    fn open(mut self, name: &'static str, incidents: impl IntoIterator<Item = Incident>) -> Result<Self> {
        self.name = name;
        self.stored()?.incidents.extend(incidents);
        Ok(self)
    }
}

/// Builds a page for each state.
///
/// # Errors
/// The history cannot be written or read.
pub async fn samples() -> Result<Vec<Sample>> {
    let now: Timestamp = NOW.parse()?;
    let healthy = healthy(now, &[]).await?;
    let leak = Fault::CoverageLeaks { from: PAST_DAYS - 30, points_a_day: 0.05 };
    let leaking = self::healthy(now, &[leak]).await?;
    let found = unusual(&leaking)?;
    let with = |name, incidents: Vec<Incident>| healthy.clone().open(name, incidents);
    let undeclared = incident(
        Check::UndeclaredSyncs,
        "census",
        Severity::Info,
        90,
        "2 undeclared syncs: 3394050, 3394051",
    );
    let rejected = incident(
        Check::ErrorRate,
        "properties-create",
        Severity::Error,
        47,
        "12% of 50 records rejected (limit 5%)",
    );
    let acknowledged = Acknowledged { by: "Ada".to_owned(), at: now, until: now + hours(4) };
    let rejected = Incident { acknowledged: Some(acknowledged), ..rejected };
    Ok(vec![
        healthy.clone(),
        with("info", vec![undeclared])?,
        leaking.open("warning", found)?,
        with("error", vec![rejected])?,
        critical(&healthy, now)?,
        stale(&healthy, now),
        empty(&healthy),
        fifty(&healthy)?,
        many(&healthy, now)?,
        named(&healthy, "long", [LONG, &LONG.repeat(3), LONG])?,
        named(&healthy, "markup", [MARKUP, MARKUP, MARKUP])?,
        named(&healthy, "right-to-left", [ARABIC, HEBREW, ARABIC])?,
    ])
}

/// Renders the report of the last month of the sample with many incidents.
///
/// # Errors
/// The sample is missing, or cannot be rendered.
pub fn month(samples: &[Sample]) -> Result<String> {
    let sample = samples.iter().find(|sample| sample.name == "many-incidents").context("no such sample")?;
    let Sample { pipeline, inputs, now, .. } = sample;
    let month = Month::last(*now, &pipeline.time_zone);
    let history = inputs.recorded.as_ref().map(|recorded| recorded.history.clone()).map_err(Clone::clone);
    let stored = inputs.stored.as_ref().map_err(|why| anyhow!("{why}"))?.clone();
    let inputs = report::Inputs { stored, history };
    let objects = Ok(vec![ObjectDay { day: month.end(), ..compared(*now) }]);
    let monthly = Monthly::of(&inputs, &objects, &Ok(Vec::new()), pipeline, month, *now);
    Ok(monthly.html(&inputs.history.unwrap_or_default(), month)?)
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn mins(mins: i64) -> SignedDuration {
    SignedDuration::from_mins(mins)
}

async fn healthy(now: Timestamp, faults: &[Fault]) -> Result<Sample> {
    let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml"))?;
    let folder = tempfile::tempdir()?;
    let warehouse = engines::sqlite(&folder.path().join("lab.sqlite"))?;
    make_sources(&warehouse).await?;
    apply_folder(&warehouse, &sql_folder(), now).await?;
    let last = days_before(day_of(now, &pipeline.time_zone), 1);
    let synced = if faults.is_empty() { 19_420 } else { 19_120 };
    let world = Health {
        total: 20_000,
        synced,
        create_queue: 20,
        update_queue: 30,
        null_companies: 4,
        duplicates: 0,
    };
    let past = Past::of_world(&pipeline, &world, Pace::OF_SEED, last, faults)?;
    past.write(&warehouse, &pipeline).await?;
    let asker = Asker::new(&warehouse, READING);
    let mut read = recorded(&pipeline, warehouse.dialect(), asker, now).await.map_err(anyhow::Error::msg)?;
    let compared_at = now - hours(7);
    read.objects =
        pipeline.objects.iter().map(|object| (object.name.clone(), compared(compared_at))).collect();
    for day in &mut read.history.days {
        let values = day.synced.map(|synced| 3.0 * synced);
        (day.fields_compared, day.fields_agreeing) = (values, values.map(|values| values - 4.0));
    }
    let tried = Tried { at: compared_at, compared: Some(compared_at) };
    let objects = pipeline.objects.iter().map(|object| (object.name.clone(), tried)).collect();
    let lags = (0..60).map(|back| LagSample { at: now - hours(24 * back + 15), lag: mins(12 + back % 9) });
    let begun = now - hours(24 * 100);
    let stored = Stored {
        incidents: past_incidents(now),
        recorded_since: Some(begun),
        lags: lags.collect(),
        by_hand: Some(RunsByHand { since: begun, until: now - hours(16), at: Vec::new(), unknown_at: None }),
        ..Stored::default()
    };
    let rounds = Judge::ALL.iter().map(|judge| {
        let often = matches!(judge, Judge::ScheduleVerification | Judge::Remedies);
        (judge.function().to_owned(), now - if often { mins(1) } else { hours(7) })
    });
    let syncs = pipeline.syncs.iter().zip(["Properties: create", "Properties: update"]);
    let syncs = syncs.map(|(sync, label)| (sync.key.clone(), Ok(live(label, now))));
    let inputs = Inputs {
        stored: Ok(stored),
        rounds: Ok(rounds.collect()),
        reconciled: Ok(Some(ReconciledRound { at: Some(compared_at), objects })),
        recorded: Ok(read),
        syncs: syncs.collect(),
    };
    Ok(Sample { name: "healthy", pipeline, inputs, now })
}

fn compared(compared_at: Timestamp) -> ObjectDay {
    ObjectDay {
        object: "properties".to_owned(),
        compared_at: Some(compared_at),
        source_rows: Some(20_000),
        destination_rows: Some(19_420),
        missing_rows: Some(4),
        extra_rows: Some(0),
        different_rows: Some(2),
        pending_rows: Some(11),
        agreement: Some(99.994),
        ..ObjectDay::default()
    }
}

fn live(label: &str, now: Timestamp) -> Live {
    let created_at = now - mins(8);
    let counts = Counts { processed: Some(412), updated: Some(412), failed: Some(0), ..Counts::default() };
    let run = Run {
        id: RunId(48_211),
        sync_id: None,
        status: RunStatus::Completed,
        created_at,
        completed_at: Some(created_at + mins(2)),
        scheduled_for: Some(created_at),
        by_hand: Some(false),
        counts,
        error: None,
        full_sync: None,
    };
    Live { label: Some(label.to_owned()), paused: Some(false), last_run: Some(run) }
}

/// An incident that has been open for so many minutes.
fn incident(check: Check, subject: &str, severity: Severity, minutes: i64, summary: &str) -> Incident {
    let now: Timestamp = NOW.parse().unwrap_or_default();
    let at = now - mins(minutes);
    let episode = Episode { began_at: at, told_at: at, sent_at: Some(at), resolved_at: None };
    Incident {
        key: IncidentKey { pipeline: "properties".to_owned(), check, subject: subject.to_owned() },
        generation: 1,
        version: 2,
        state: State::Open,
        severity,
        opened_at: at,
        resolved_at: None,
        evidence: Evidence::new(summary),
        cause: "The destination refuses records, or the source sends bad ones; the rejected records name the reason".to_owned(),
        class: None,
        group: None,
        pending: None,
        hold: None,
        acknowledged: None,
        course: Course { episodes: vec![episode], sent: vec![at], ..Course::default() },
    }
}

fn resolved(incident: Incident, after: SignedDuration) -> Incident {
    let end = incident.opened_at + after;
    let episodes =
        incident.course.episodes.iter().map(|episode| Episode { resolved_at: Some(end), ..*episode });
    let course = Course { episodes: episodes.collect(), ..incident.course };
    Incident { state: State::Resolved, resolved_at: Some(end), course, ..incident }
}

fn past_incidents(now: Timestamp) -> Vec<Incident> {
    let day = 24 * 60;
    let healed = incident(
        Check::RunFailed,
        "properties-update",
        Severity::Error,
        9 * day,
        "last run failed: destination unavailable",
    );
    let act = Act { at: now - mins(9 * day - 6), what: "run properties-update again".to_owned() };
    let healed = Incident { course: Course { act: Some(act), ..healed.course.clone() }, ..healed };
    vec![
        resolved(
            incident(
                Check::RunDue,
                "properties-create",
                Severity::Warning,
                3 * day,
                "no run since 09:30, 2 scheduled runs missed",
            ),
            mins(41),
        ),
        resolved(healed, mins(12)),
        resolved(
            incident(
                Check::Coverage,
                "properties-coverage",
                Severity::Warning,
                33 * day,
                "94.2% of 20,000 properties are in Salesforce (limit 95%)",
            ),
            hours(26),
        ),
    ]
}

/// The incidents that the nightly rules open on the figures.
fn unusual(sample: &Sample) -> Result<Vec<Incident>> {
    let Ok(Recorded { history, .. }) = &sample.inputs.recorded else { anyhow::bail!("no figures") };
    let last = days_before(day_of(sample.now, &sample.pipeline.time_zone), 1);
    let found = judge_figures(&sample.pipeline, history, last, &Exceptions::default(), &[]);
    let open = found.iter().filter_map(|finding| {
        let Outcome::Unhealthy { severity, evidence, cause } = finding.outcome.clone() else { return None };
        let incident = incident(finding.check, &finding.subject, severity, 10 * 60, "");
        Some(Incident { evidence, cause, ..incident })
    });
    Ok(open.collect())
}

fn critical(healthy: &Sample, now: Timestamp) -> Result<Sample> {
    let paused = incident(
        Check::SyncPaused,
        "properties-update",
        Severity::Critical,
        3 * 60 + 20,
        "paused since Friday 06:43; 13 scheduled runs missed",
    );
    let cause = "A person paused it in Census; Census does not record who".to_owned();
    let paused = Incident { cause, ..paused };
    let late = incident(
        Check::Freshness,
        "changes-arrive",
        Severity::Error,
        80,
        "the oldest change not yet in Salesforce is 3h 20m old (limit 2h)",
    );
    let late = Incident { hold: Some(Hold::Cause { key: paused.key.clone() }), state: State::Held, ..late };
    let slow = incident(
        Check::Runtime,
        "properties-create",
        Severity::Warning,
        25,
        "the last run took 19m (limit 15m)",
    );
    let slow =
        Incident { hold: Some(Hold::Silence { id: "release".to_owned() }), state: State::Held, ..slow };
    let silence = Silence {
        id: "release".to_owned(),
        owner: "Ada".to_owned(),
        reason: "Salesforce release".to_owned(),
        scope: Scope { checks: vec![Check::Runtime], subjects: Vec::new() },
        from: now - hours(1),
        until: now + hours(2),
        declared: false,
    };
    let tally = Tally {
        silence,
        held_back: 1,
        incidents: Vec::new(),
        of_others: 0,
        reported: 0,
        tellings: 0,
        reported_at: None,
    };
    let plan = Plan {
        kind: RemedyKind::Resume,
        target: Target::Sync { key: "properties-update".to_owned(), id: SyncId(3_394_041), creates: false },
        incident: paused.key.clone(),
        opened_at: paused.opened_at,
        why: "the sync is paused".to_owned(),
        effect: "scheduled runs begin again".to_owned(),
        cost: "nothing".to_owned(),
        undo: "pause it again".to_owned(),
        approvals: 1,
    };
    let remedy = Record::begin(plan, 1, now - mins(30));
    let remedy =
        remedy.to(syncwatch::remedy::State::Proposed, "waits for the approval of a person", now - mins(29));
    let mut sample = healthy.clone().open("critical", [paused, late, slow])?;
    sample.pipeline.remedies.level = Level::Act;
    if let Some(Ok(live)) = sample.inputs.syncs.get_mut("properties-update") {
        live.paused = Some(true);
    }
    let stored = sample.stored()?;
    stored.silences.push(tally);
    stored.remedies.extend(remedy);
    Ok(sample)
}

fn stale(healthy: &Sample, now: Timestamp) -> Sample {
    let mut sample = Sample { name: "stale", ..healthy.clone() };
    if let Ok(rounds) = &mut sample.inputs.rounds {
        rounds.insert(Judge::ScheduleVerification.function().to_owned(), now - mins(47));
        rounds.insert(Judge::DailyValidation.function().to_owned(), now - hours(55));
    }
    let unread = "Census answered 503 three times; the next round tries again".to_owned();
    sample.inputs.syncs.insert("properties-create".to_owned(), Err(unread));
    sample
}

/// The first hour of a new deployment.
fn empty(healthy: &Sample) -> Sample {
    let recorded = Recorded {
        read_at: healthy.now,
        history: History::default(),
        objects: BTreeMap::new(),
        unrenewed: None,
    };
    let first = BTreeMap::from([(Judge::ScheduleVerification.function().to_owned(), healthy.now - mins(2))]);
    let stored = Stored { recorded_since: Some(healthy.now - mins(12)), ..Stored::default() };
    let inputs =
        Inputs { stored: Ok(stored), rounds: Ok(first), recorded: Ok(recorded), ..healthy.inputs.clone() };
    Sample { name: "empty", inputs, ..healthy.clone() }
}

fn fifty(healthy: &Sample) -> Result<Sample> {
    let mut sample = Sample { name: "fifty-syncs", ..healthy.clone() };
    let seed = healthy.pipeline.syncs.clone();
    let recorded = sample.inputs.recorded.as_mut().ok().context("no figures")?;
    for number in 2_u64..50 {
        let mut sync = seed.get(usize::try_from(number % 2)?).context("no sync")?.clone();
        let days = recorded.history.syncs.get(&sync.key).cloned().unwrap_or_default();
        sync.key = format!("object-{number:02}-to-salesforce");
        sync.id.0 += number;
        recorded.history.syncs.insert(sync.key.clone(), days);
        sample
            .inputs
            .syncs
            .insert(sync.key.clone(), Ok(live(&format!("Object {number} to Salesforce"), healthy.now)));
        sample.pipeline.syncs.push(sync);
    }
    Ok(sample)
}

fn many(healthy: &Sample, now: Timestamp) -> Result<Sample> {
    let checks = [Check::RunFailed, Check::RunDue, Check::ErrorRate, Check::Runtime, Check::SyncPaused];
    let severities =
        [Severity::Error, Severity::Warning, Severity::Critical, Severity::Warning, Severity::Info];
    let of = |number: i64| {
        let place = usize::try_from(number % 5).unwrap_or(0);
        let (check, severity) = (checks.get(place), severities.get(place));
        let (check, severity) = (*check.unwrap_or(&Check::RunDue), *severity.unwrap_or(&Severity::Info));
        let minutes = 600 * (number + 1);
        let summary = format!("{} of {} records rejected (limit 5%)", number % 40, 40 + number);
        let incident = incident(check, &format!("properties-{number}"), severity, minutes, &summary);
        if number < 12 { incident } else { resolved(incident, mins(10 + number % 90)) }
    };
    let mut sample = healthy.clone().open("many-incidents", (0..200).map(of))?;
    // As the store has them: without those that the tests of the healthy state rely on.
    sample.stored()?.incidents.retain(|incident| incident.opened_at < now);
    Ok(sample)
}

/// The texts of vendors and people: a sync's name, an owner and record, a message.
fn named(healthy: &Sample, name: &'static str, [of_sync, of_people, message]: [&str; 3]) -> Result<Sample> {
    let mut sample = Sample { name, ..healthy.clone() };
    sample.pipeline.name = of_people.to_owned();
    sample.pipeline.owner = Some(of_people.to_owned());
    sample.pipeline.terms.records = of_people.to_owned();
    sample.pipeline.terms.destination = of_people.to_owned();
    for contact in &mut sample.pipeline.contacts {
        contact.name = of_people.to_owned();
    }
    let recorded = sample.inputs.recorded.as_mut().ok().context("no figures")?;
    for sync in &mut sample.pipeline.syncs {
        let days = recorded.history.syncs.remove(&sync.key).unwrap_or_default();
        sync.key = format!("{of_sync}-{}", sync.role);
        recorded.history.syncs.insert(sync.key.clone(), days);
        sample.inputs.syncs.insert(sync.key.clone(), Ok(live(of_sync, healthy.now)));
    }
    let key = sample.pipeline.syncs.first().context("no sync")?.key.clone();
    let acknowledged =
        Acknowledged { by: of_people.to_owned(), at: healthy.now, until: healthy.now + hours(1) };
    let act = Act { at: healthy.now, what: format!("run {of_sync} again") };
    let failed = incident(Check::RunFailed, &key, Severity::Error, 30, message);
    let course = Course { act: Some(act), ..failed.course.clone() };
    let failed = Incident { cause: message.to_owned(), acknowledged: Some(acknowledged), course, ..failed };
    sample.inputs.syncs.insert(
        sample.pipeline.syncs.last().context("no sync")?.key.clone(),
        Err(format!("Census answered: {message}")),
    );
    sample.open(name, [failed])
}
