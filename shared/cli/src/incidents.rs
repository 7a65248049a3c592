//! Lists and acknowledges incidents.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::arguments::Acknowledgement;
use super::error::Error;
use super::{Answer, Operator, Outcome, all_listed};
use syncwatch::aws::incidents::{Expected, WriteOutcome};
use syncwatch::finding::Severity;
use syncwatch::incident::{
    Acknowledged, Decision, Hold, Incident, IncidentKey, NoticeKind, RestReason, State, acknowledge as decide,
};
use syncwatch::notice;
use syncwatch::pipeline::{Channel, Pipeline};
use syncwatch::text::{minute_utc, table, words};

/// Attempts to write an acknowledgement while functions write the same incident.
const ATTEMPTS: usize = 3;
const LIST: &str = "`syncwatch incidents` lists open incidents";

/// Open, held and watched incidents, worst first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentList {
    pub pipeline: String,
    pub incidents: Vec<IncidentLine>,
}

/// One incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentLine {
    /// Key: `pipeline/check/subject`.
    pub incident: String,
    pub state: State,
    /// Whether a notice is being sent.
    pub sending: bool,
    pub severity: Severity,
    pub summary: String,
    /// Time of the first finding (UTC).
    pub since: Timestamp,
    pub open_seconds: i64,
    /// The silence or cause that suppresses its notices.
    pub held_by: Option<String>,
    /// Current acknowledgement.
    pub acknowledged: Option<Acknowledged>,
}

/// Converts incidents to lines, worst first.
pub(crate) fn lines(mut incidents: Vec<Incident>, now: Timestamp) -> Vec<IncidentLine> {
    let worst = |incident: &Incident| (incident.state == State::Open, incident.severity);
    incidents.sort_by(|a, b| worst(b).cmp(&worst(a)).then_with(|| a.key.cmp(&b.key)));
    incidents.iter().map(|incident| IncidentLine::of(incident, now)).collect()
}

impl IncidentLine {
    pub(crate) fn of(incident: &Incident, now: Timestamp) -> Self {
        Self {
            incident: incident.key.to_string(),
            state: incident.state,
            sending: incident.pending.is_some(),
            severity: incident.severity,
            summary: incident.evidence.summary.clone(),
            since: incident.opened_at,
            open_seconds: incident.open_for(now).as_secs(),
            held_by: incident.hold.as_ref().map(|hold| match hold {
                Hold::Silence { id } => format!("silence {id}"),
                Hold::Cause { key } => format!("cause {}", key.check_subject()),
            }),
            acknowledged: incident.acknowledged.clone().filter(|by| by.until > now),
        }
    }

    pub(crate) fn open_for(&self) -> SignedDuration {
        SignedDuration::from_secs(self.open_seconds)
    }

    fn row(&self) -> [String; 7] {
        let sending = if self.sending { ", sending notice" } else { "" };
        let acknowledged =
            self.acknowledged.as_ref().map(|by| format!("{} until {}", by.by, minute_utc(by.until)));
        [
            self.incident.clone(),
            format!("{}{sending}", self.state),
            self.severity.to_string(),
            minute_utc(self.since),
            words(self.open_for()),
            self.held_by.clone().unwrap_or_default(),
            acknowledged.unwrap_or_default(),
        ]
    }
}

impl fmt::Display for IncidentList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.incidents.is_empty() {
            return write!(f, "No open incidents in {}.", self.pipeline);
        }
        let rows: Vec<_> = self.incidents.iter().map(IncidentLine::row).collect();
        let head = ["incident", "state", "severity", "since", "for", "suppressed by", "acknowledged"];
        f.write_str(&table(head, &rows))
    }
}

impl Operator {
    pub(super) async fn list_incidents(&self, print: &mut dyn FnMut(&str)) -> Result<Answer, Error> {
        let (live, unreadable) = self.incidents()?.live_incidents(&self.pipeline.name).await?;
        let list = IncidentList { pipeline: self.pipeline.name.clone(), incidents: lines(live, self.now) };
        all_listed(&list, unreadable, print)
    }

    /// Acknowledges an incident and pauses its reminders; a worse severity still alerts.
    pub(super) async fn acknowledge(&self, wanted: &Acknowledgement) -> Result<Answer, Error> {
        let incident = self.acknowledged(wanted).await?;
        let until = incident.acknowledged.as_ref().map(|by| minute_utc(by.until)).unwrap_or_default();
        let (key, by) = (&incident.key, &wanted.by);
        let owner = self.pipeline.owner_of(key.check, &key.subject).map(|owner| owner.name.as_str());
        let channels = self.pipeline.routes(owner);
        let pages = channels.iter().any(|channel| channel.kind.pages());
        let pagerduty = if pages { " Its PagerDuty alert, if any, is acknowledged too." } else { "" };
        if !channels.is_empty() {
            self.notify_channels(&incident).await.map_err(|error| {
                let missed = named(&channels);
                let what = format!(
                    "{key} is acknowledged by {by} until {until}, but {missed} could not be notified: {}",
                    error.what
                );
                let or = if pages { ", or acknowledge the alert in PagerDuty" } else { "" };
                Error::new(what, format!("run this again{or}"))
            })?;
        }
        let text = format!(
            "{key} acknowledged by {by} until {until}. Reminders are paused; a worse severity still alerts.{pagerduty}"
        );
        Ok(Answer::new(Outcome::Done, text, &IncidentLine::of(&incident, self.now)))
    }

    /// Publishes an acknowledgement for the relay.
    async fn notify_channels(&self, incident: &Incident) -> Result<(), Error> {
        let message = notice::render(incident, NoticeKind::Acknowledged, &self.pipeline, self.now);
        self.topic().await?.publish(&message).await?;
        Ok(())
    }

    async fn acknowledged(&self, wanted: &Acknowledgement) -> Result<Incident, Error> {
        let (key, now) = (&wanted.key, self.now);
        of_pipeline(key, &self.pipeline)?;
        let until = now.saturating_add(wanted.lasts).unwrap_or(now);
        let by = Acknowledged { by: wanted.by.clone(), at: now, until };
        let written = self.rewrite(key, |stored| decide(stored, by.clone())).await?;
        written.ok_or_else(|| Error::new(format!("{key} is not open, so it has no reminders to pause"), LIST))
    }

    /// Decides about a stored incident and writes it, again if a function writes it first. `None` if there is nothing to write.
    pub(super) async fn rewrite(
        &self,
        key: &IncidentKey,
        decide: impl Fn(&Incident) -> Decision,
    ) -> Result<Option<Incident>, Error> {
        let store = self.incidents()?;
        let mut stored = store.get(key).await?;
        for _ in 0..ATTEMPTS {
            let Some(known) = stored else { return Ok(None) };
            let (incident, replaces) = match decide(&known) {
                Decision::Rest(RestReason::BeingSent) => {
                    let what = format!("a notice about {key} is being sent");
                    return Err(Error::new(what, "run this again in 2 minutes"));
                }
                Decision::Rest(_) => return Ok(None),
                Decision::Note { incident, .. } | Decision::Notify { incident, .. } => {
                    (*incident, known.version)
                }
            };
            match store.write(&incident, Expected::Version(replaces)).await? {
                WriteOutcome::Written => return Ok(Some(incident)),
                WriteOutcome::Lost(current) => stored = current,
            }
        }
        Err(Error::new(format!("functions kept changing {key}"), "run this again"))
    }
}

/// Lists channels in a sentence.
fn named(channels: &[&Channel]) -> String {
    channels.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// Refuses an incident of another pipeline.
pub(super) fn of_pipeline(key: &IncidentKey, pipeline: &Pipeline) -> Result<(), Error> {
    if key.pipeline == pipeline.name {
        return Ok(());
    }
    let what = format!("{key} does not belong to the pipeline {}", pipeline.name);
    Err(Error::new(what, "use the file of its pipeline: --pipeline FILE"))
}
