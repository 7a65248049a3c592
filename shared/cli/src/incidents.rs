//! Incidents as operators see them, and taking one on.

use jiff::Timestamp;

use super::arguments::Acknowledgement;
use super::error::Error;
use super::silences::end_of;
use super::table::columns;
use syncwatch::aws::incidents::{Expected, IncidentStore, WriteOutcome};
use syncwatch::incident::{Acknowledged, Decision, Hold, Incident, RestReason, State, acknowledge as decide};
use syncwatch::pipeline::Pipeline;
use syncwatch::text::{minute_utc, words};

/// How often an incident is taken on anew after a function wrote it in between.
const ATTEMPTS: usize = 3;

/// What is live as people read it, worst first.
pub(super) fn table(pipeline: &str, live: &[Incident], now: Timestamp) -> String {
    if live.is_empty() {
        return format!("Nothing is open in {pipeline}.");
    }
    let mut live: Vec<&Incident> = live.iter().collect();
    live.sort_by(|a, b| {
        let worst = |incident: &Incident| (incident.state == State::Open, incident.severity);
        worst(b).cmp(&worst(a)).then_with(|| a.key.cmp(&b.key))
    });
    let rows: Vec<[String; 7]> = live.into_iter().map(|incident| row(incident, now)).collect();
    columns(["incident", "state", "severity", "since", "for", "held by", "acknowledged"], &rows)
}

fn row(incident: &Incident, now: Timestamp) -> [String; 7] {
    let held_by = match &incident.hold {
        None => String::new(),
        Some(Hold::Silence { id }) => format!("silence {id}"),
        Some(Hold::Cause { key }) => format!("cause {}", key.check_subject()),
    };
    let acknowledged = match &incident.acknowledged {
        Some(by) if by.until > now => format!("{} until {}", by.by, minute_utc(by.until)),
        _ => String::new(),
    };
    let state = if incident.pending.is_some() {
        format!("{}, notice on its way", incident.state)
    } else {
        incident.state.to_string()
    };
    [
        incident.key.to_string(),
        state,
        incident.severity.to_string(),
        minute_utc(incident.opened_at),
        words(incident.open_for(now)),
        held_by,
        acknowledged,
    ]
}

/// Takes an incident on: no reminders until then, unless it becomes worse.
pub(super) async fn acknowledge(
    wanted: &Acknowledgement,
    pipeline: &Pipeline,
    store: &IncidentStore,
    now: Timestamp,
) -> Result<Incident, Error> {
    let key = wanted.key.clone();
    if key.pipeline != pipeline.name {
        return Err(Error::OtherPipeline { key, pipeline: pipeline.name.clone() });
    }
    let by = Acknowledged { by: wanted.by.clone(), at: now, until: end_of(wanted.lasts, now)? };
    let mut stored = store.get(&key).await?;
    for _ in 0..ATTEMPTS {
        let Some(known) = stored else { break };
        let (incident, replaces) = match decide(&known, by.clone()) {
            Decision::Rest(RestReason::BeingSent) => return Err(Error::BeingSent { key }),
            Decision::Rest(_) => return Err(Error::NotOpen { key }),
            Decision::Note { incident, .. } | Decision::Notify { incident, .. } => (*incident, known.version),
        };
        match store.write(&incident, Expected::Version(replaces)).await? {
            WriteOutcome::Written => return Ok(incident),
            WriteOutcome::Lost(None) => return Err(Error::NotOpen { key }),
            WriteOutcome::Lost(Some(current)) => stored = Some(current),
        }
    }
    // Either there never was one, or others were quicker each time.
    match store.get(&key).await? {
        Some(open) if open.state == State::Open => Err(Error::Overtaken { key }),
        _ => Err(Error::NotOpen { key }),
    }
}

/// What is said of an incident that was taken on.
pub(super) fn acknowledged(incident: &Incident) -> String {
    let Some(Acknowledged { by, until, .. }) = &incident.acknowledged else { return String::new() };
    format!(
        "{by} has taken {} on: no reminders until {}, unless it becomes worse. PagerDuty does not hear of it: acknowledge its alert there.",
        incident.key,
        minute_utc(*until)
    )
}
