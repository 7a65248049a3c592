//! The alerts of a span, and how each ended.

use jiff::Timestamp;

use super::Inputs;
use crate::incident::{Episode, Incident};
use crate::remedy::State;

/// How an alert ended, as far as records show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    Open,
    /// After a person acknowledged it or approved a remedy of it. A person who does neither leaves no record.
    ByPerson,
    ByRemedy,
    ByItself,
}

/// A period in which an incident was open and had alerted.
pub(super) struct Alerted<'i> {
    pub(super) incident: &'i Incident,
    pub(super) episode: Episode,
    pub(super) ending: Ending,
    /// Whether a person acknowledged or marked it, or approved a remedy of it.
    has_act: bool,
}

/// Returns the alerts that were open at some time of a span, the most severe first. Records from `until` on do not change them,
/// except that a person may mark an alert later.
pub(super) fn alerts(inputs: &Inputs, from: Timestamp, until: Timestamp) -> Vec<Alerted<'_>> {
    let overlaps = |episode: &Episode| {
        episode.told_at < until && episode.resolved_at.is_none_or(|resolved| resolved >= from)
    };
    let incidents = inputs.stored.incidents.iter();
    let mut alerts: Vec<Alerted<'_>> = incidents
        .flat_map(|incident| {
            let episodes = incident.history().episodes.into_iter().filter(overlaps);
            episodes.map(move |episode| Alerted::of(inputs, incident, episode, until))
        })
        .collect();
    alerts.sort_by_key(|alert| (std::cmp::Reverse(alert.incident.severity), alert.episode.told_at));
    alerts
}

impl<'i> Alerted<'i> {
    fn of(inputs: &Inputs, incident: &'i Incident, episode: Episode, until: Timestamp) -> Self {
        let resolved = episode.resolved_at.filter(|at| *at < until);
        let span = episode.began_at..=resolved.unwrap_or(until);
        let remedies = || inputs.stored.remedies.iter().filter(|remedy| remedy.plan.incident == incident.key);
        let acknowledged = incident.acknowledgements().at.iter().any(|at| span.contains(at));
        let approved =
            remedies().flat_map(|remedy| &remedy.approvals).any(|approval| span.contains(&approval.at));
        let by_remedy = remedies().any(|remedy| {
            remedy.state == State::Healed
                && remedy.plan.acts()
                && remedy.acted_at.is_some_and(|at| span.contains(&at))
        });
        let marked = inputs
            .stored
            .marks
            .iter()
            .any(|mark| mark.incident == incident.key && mark.told_at == episode.told_at);
        let ending = match resolved {
            None => Ending::Open,
            Some(_) if acknowledged || approved => Ending::ByPerson,
            Some(_) if by_remedy => Ending::ByRemedy,
            Some(_) => Ending::ByItself,
        };
        Self { incident, episode, ending, has_act: acknowledged || approved || marked }
    }

    /// Whether no act of a person is recorded on it, and no remedy healed it.
    pub(super) fn is_not_acted_on(&self) -> bool {
        !self.has_act && self.ending != Ending::ByRemedy
    }

    /// The name of what failed, such as `failed run of properties-update`.
    pub(super) fn name(&self) -> String {
        name(self.incident)
    }
}

/// The name of what an incident is about, such as `failed run of properties-update`.
pub(super) fn name(incident: &Incident) -> String {
    format!("{} of {}", incident.key.check.title(), incident.key.subject)
}
