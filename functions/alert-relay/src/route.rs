//! Decides whether a notice goes to a channel, and why.
//!
//! SQS delivers at least once and in any order, so each decision reads the last delivery to the channel under the same key. No
//! notice older than that is sent, so a late trigger cannot reopen an alert that a resolve has closed.

use jiff::Timestamp;
use serde::Serialize;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::Body;
use syncwatch::pipeline::Channel;

use crate::key::Fingerprint;

/// The place of a notice among those of its key; a later one is greater.
///
/// The opening of the incident comes first: the record of an incident is deleted some months after its end, and its
/// generations then count from 1 again. By generation alone, such an incident would look older than the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// When the incident opened (UTC).
    pub opened_at: Timestamp,
    pub generation: u64,
    pub sequence: u32,
}

impl Place {
    /// Returns the place of a notice.
    pub fn of(notice: &Body) -> Self {
        let Body { opened_at, generation, sequence, .. } = notice;
        Self { opened_at: *opened_at, generation: *generation, sequence: *sequence }
    }
}

/// The last delivery to a channel under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDelivery {
    pub place: Place,
    pub notice: String,
    /// Whether it left an alert open at the channel.
    pub open: bool,
    /// The routing key that it went through; none for a chat.
    pub through: Option<Fingerprint>,
}

impl LastDelivery {
    /// Records the delivery of this notice.
    pub fn after(notice: &Body, action: Action, through: Option<Fingerprint>) -> Self {
        let open = matches!(action, Action::Trigger | Action::Acknowledge);
        Self { place: Place::of(notice), notice: notice.id.clone(), open, through }
    }
}

/// The effect of a notice at a channel, serialized as PagerDuty's `event_action`, which has three values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It opens an alert, or adds to an open one.
    Trigger,
    Resolve,
    /// A person works on the open alert.
    Acknowledge,
    /// It informs, and opens no alert.
    #[serde(rename = "trigger")]
    Inform,
    /// It informs at a pager, which notifies no person of it.
    #[serde(skip)]
    Change,
}

/// Whether a notice goes to a channel, with the reason for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    Send(Action, &'static str),
    /// It is not sent, but recorded, so that no older notice is sent later.
    Record(&'static str),
    /// It is not sent, now or later.
    Skip(&'static str),
}

/// Decides whether a notice goes to a channel. `routed` is whether the channel is one of the notice's owner, and `last` the last
/// delivery to it under the notice's key. The first row that matches decides:
///
/// * a summary of suppressed alerts or a report,  => skip: PagerDuty could not resolve it
///   to a pager
/// * the last notice again, or an older one      => skip
/// * acknowledged, and its incident is open      => acknowledge at any severity
///   at the channel
/// * acknowledged otherwise                      => skip: PagerDuty drops it, and a chat would not know the incident
/// * resolved, and an alert is open there        => send at any severity, also if the owner has changed since
/// * resolved, at a channel of another owner     => record it: a trigger from before the owner changed may be on its way
/// * a channel of another owner                  => skip
/// * a marked test, a summary of suppressed       => send at any severity
///   alerts, a note about a remedy, or a report
/// * resolved otherwise                          => by severity: the trigger may be on its way, and is then overtaken
/// * others                                      => by severity
///
/// A note goes to a pager as a change event, which notifies no person.
///
/// A reminder triggers at PagerDuty even while its alert should be open: a person may have resolved it there, which PagerDuty
/// does not report to us. A trigger adds to an open alert and notifies no one again; after a resolve the same key opens a new
/// alert (PagerDuty developer docs, "Send an Alert Event").
pub fn decide(notice: &Body, channel: &Channel, routed: bool, last: Option<&LastDelivery>) -> Route {
    if matches!(notice.kind, NoticeKind::HeldBack | NoticeKind::Report) && channel.kind.pages() {
        return Route::Skip("no incident");
    }
    let place = Place::of(notice);
    match last {
        Some(last) if place == last.place => return Route::Skip("already sent"),
        Some(last) if place < last.place => return Route::Skip("overtaken by a later notice"),
        _ => {}
    }
    let open = last.is_some_and(|last| last.open);
    // Not `last.open` alone: the open alert may be of an earlier incident of the key, whose end was lost.
    let open_now = last.is_some_and(|last| last.open && last.place.opened_at == place.opened_at);
    let action = match notice.kind {
        NoticeKind::Acknowledged if open_now => {
            return Route::Send(Action::Acknowledge, "acknowledged by a person");
        }
        NoticeKind::Acknowledged => return Route::Skip("the incident was not sent to the channel"),
        NoticeKind::Resolved => Action::Resolve,
        NoticeKind::Note if channel.kind.pages() => Action::Change,
        NoticeKind::HeldBack | NoticeKind::Note | NoticeKind::Report => Action::Inform,
        NoticeKind::Opened
        | NoticeKind::Flapping
        | NoticeKind::Worsened
        | NoticeKind::Reminder
        | NoticeKind::StoppedReporting => Action::Trigger,
    };
    let reason = match notice.kind {
        NoticeKind::Resolved if open => "it is open at the channel",
        NoticeKind::Resolved if !routed => return Route::Record("a channel of another owner"),
        _ if !routed => return Route::Skip("a channel of another owner"),
        _ if notice.test => "a test",
        NoticeKind::HeldBack => "a summary of suppressed alerts",
        NoticeKind::Note => "a note about a remedy",
        NoticeKind::Report => "a report",
        _ if notice.severity < channel.lowest => {
            return Route::Skip("below the lowest severity of the channel");
        }
        _ => "severe enough",
    };
    Route::Send(action, reason)
}

/// Whether a notice of this kind also matters to a channel of another owner, where its incident may be open.
pub fn is_for_all(kind: NoticeKind) -> bool {
    matches!(kind, NoticeKind::Resolved | NoticeKind::Acknowledged)
}

#[cfg(test)]
mod tests;
