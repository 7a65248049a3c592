//! Figures of remedies: whether they help, and whether they harm.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Record, State};
use crate::incident::{Episode, Incident};

/// The span of the figures, unless a report has its own.
pub const SCORED: SignedDuration = SignedDuration::from_hours(28 * 24);
/// Fewer incidents support no claim.
const CLAIM_FROM: usize = 10;
/// A scheduled start within this time after the act would have done the same.
const WASTED_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// The time from the beginning of incidents to their end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    pub incidents: usize,
    /// In seconds; `None` below ten incidents.
    pub median_seconds: Option<i64>,
    pub p90_seconds: Option<i64>,
}

/// The figures of a span.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    pub proposed: usize,
    /// Acts that were carried out, or may have been.
    pub acted: usize,
    pub healed: usize,
    pub failed: usize,
    /// Healed before a person acknowledged the incident.
    pub helped: usize,
    /// Acts of which a scheduled run soon after would have done the same.
    pub wasted: usize,
    /// The goal is 0.
    pub harmed: usize,
    pub asked: usize,
    pub approved: usize,
    pub refused: usize,
    pub expired: usize,
    pub advised: usize,
    /// Advice whose incident ended.
    pub advised_and_ended: usize,
    pub cents: u64,
    /// Incidents with an act.
    pub with: Recovery,
    /// Incidents of the same checks without an act.
    pub without: Recovery,
}

/// Computes the figures of the remedies that were proposed in `from..until` (UTC).
pub fn score(records: &[Record], incidents: &[Incident], from: Timestamp, until: Timestamp) -> Score {
    let inside = |at: Timestamp| from <= at && at < until;
    let mut score = Score::default();
    for record in records.iter().filter(|record| record.plan.acts() && inside(record.proposed_at())) {
        let incident = incidents.iter().find(|incident| incident.key == record.plan.incident);
        score.proposed += 1;
        score.acted += usize::from(record.state.has_acted());
        score.healed += usize::from(record.state == State::Healed);
        score.failed += usize::from(record.state == State::Failed);
        score.asked += usize::from(record.plan.approvals > 0);
        score.approved += usize::from(record.plan.approvals > 0 && record.acted_at.is_some());
        score.refused += usize::from(record.state == State::Refused);
        score.expired += usize::from(record.state == State::Expired && record.plan.approvals > 0);
        score.cents += if record.state.has_acted() { record.cents } else { 0 };
        let acknowledged = incident.is_some_and(|incident| {
            let at = incident.acknowledgements().at;
            at.iter().any(|at| (record.proposed_at()..=record.since()).contains(at))
        });
        score.helped += usize::from(record.state == State::Healed && !acknowledged);
        let soon = record.gain_seconds.is_some_and(|gain| gain < WASTED_WITHIN.as_secs());
        score.wasted += usize::from(record.state.has_acted() && soon);
        score.harmed += usize::from(record.harm.is_some());
        score.advised += usize::from(record.state == State::Advised);
        let ended = incident.and_then(|incident| end(incident, record)).is_some();
        score.advised_and_ended += usize::from(record.state == State::Advised && ended);
    }
    let acts: Vec<&Record> = records.iter().filter(|record| record.acted_at.is_some()).collect();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for incident in incidents {
        for episode in incident.history().episodes {
            let Some(ended) = episode.resolved_at.filter(|_| inside(episode.began_at)) else { continue };
            let acted = acts.iter().any(|record| {
                record.plan.incident == incident.key
                    && record.acted_at.is_some_and(|at| episode.began_at <= at && at <= ended)
            });
            let lasted = ended.duration_since(episode.began_at).as_secs();
            if acted { with.push(lasted) } else { without.push(lasted) }
        }
    }
    score.with = recovery(with);
    score.without = recovery(without);
    score
}

/// When the incident of a record ended (UTC), if it did.
fn end(incident: &Incident, record: &Record) -> Option<Timestamp> {
    let about = |episode: &&Episode| episode.began_at <= record.proposed_at();
    let last = incident.history().episodes;
    let episode = last.iter().filter(about).max_by_key(|episode| episode.began_at).copied()?;
    episode.resolved_at.filter(|at| *at >= record.proposed_at())
}

fn recovery(mut seconds: Vec<i64>) -> Recovery {
    seconds.sort_unstable();
    let incidents = seconds.len();
    if incidents < CLAIM_FROM {
        return Recovery { incidents, ..Recovery::default() };
    }
    let p90 = seconds.get((incidents * 9).div_ceil(10).saturating_sub(1)).copied();
    let middle = seconds.get(incidents / 2).copied();
    Recovery { incidents, median_seconds: middle, p90_seconds: p90 }
}
