//! Marks an incident with a person's verdict. Days of unusual figures are then not learnt from, or begin anew.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use syncwatch::aws::incidents::Expected;
use syncwatch::finding::SubjectKind;
use syncwatch::incident::{NoticeKind, close};
use syncwatch::marks::{Mark, MarkVerdict};
use syncwatch::notice;

use super::arguments::Marking;
use super::error::Error;
use super::incidents::of_pipeline;
use super::{Answer, Operator, Outcome};

/// A stored mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marked {
    /// Key: `pipeline/check/subject`.
    pub incident: String,
    pub verdict: MarkVerdict,
    /// The first day that it is about, in the pipeline's zone.
    pub since: Date,
    /// The last one; `None` if it has none yet.
    pub until: Option<Date>,
    pub by: String,
    pub why: String,
    /// Whether the incident was open and is now resolved.
    pub closed: bool,
}

impl fmt::Display for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { incident, verdict, since, .. } = self;
        write!(f, "{incident} marked as {verdict} by {}. ", self.by)?;
        let days = match self.until {
            Some(until) if until == *since => format!("the figure of {since} is"),
            Some(until) => format!("the figures from {since} to {until} are"),
            None => format!("the figures from {since} until the recovery are"),
        };
        match verdict {
            MarkVerdict::NewNormal => {
                write!(f, "Its history begins on {since}; it is judged again after about a week.")?;
            }
            MarkVerdict::Fine | MarkVerdict::Real => write!(f, "For expectations, {days} left out.")?,
        }
        if self.closed { f.write_str(" The incident is resolved.") } else { Ok(()) }
    }
}

impl Operator {
    /// Stores a verdict on the newest period of an incident. The incident of a figure is closed, unless it was a fault.
    pub(super) async fn mark(&self, wanted: &Marking) -> Result<Answer, Error> {
        let (key, store) = (&wanted.key, self.incidents()?);
        of_pipeline(key, &self.pipeline)?;
        let incident = store.get(key).await?;
        let incident = incident.ok_or_else(|| {
            Error::new(
                format!("no incident {key}"),
                "`syncwatch incidents` lists open incidents; resolved ones are kept for 90 days",
            )
        })?;
        let said = (wanted.by.as_str(), wanted.why.as_str());
        let mark =
            Mark::of(&incident, wanted.verdict, wanted.since, &self.pipeline.time_zone, said, self.now);
        let mark =
            mark.map_err(|refusal| Error::new(format!("{key} cannot be marked so"), refusal.to_string()))?;
        store.put_mark(&mark).await?;
        // Other checks find their faults again in the next round.
        let closes = mark.verdict != MarkVerdict::Real && key.check.subject_kind() == SubjectKind::Figures;
        let closed = closes && self.close(&mark).await?;
        let Mark { verdict, since, until, by, why, .. } = mark;
        let marked = Marked { incident: key.to_string(), verdict, since, until, by, why, closed };
        Ok(Answer::new(Outcome::Done, &marked, &marked))
    }

    /// Resolves the incident of a mark and sends the notice. If that fails, the next round sends it.
    async fn close(&self, mark: &Mark) -> Result<bool, Error> {
        let summary = format!("marked as {} by {}: {}", mark.verdict, mark.by, mark.why);
        let written = self.rewrite(&mark.incident, |stored| close(stored, &summary, self.now)).await?;
        let Some(incident) = written else { return Ok(false) };
        if incident.pending.is_some() {
            let message = notice::render(&incident, NoticeKind::Resolved, &self.pipeline, self.now);
            self.topic().await?.publish(&message).await?;
            // If this is lost, another function has sent the notice, too.
            let sent = Expected::Version(incident.version);
            let _ = self.incidents()?.write(&incident.with_notice_sent(self.now), sent).await?;
        }
        Ok(true)
    }
}
