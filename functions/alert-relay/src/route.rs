//! Whether a notice goes to a channel, and why.
//!
//! SQS delivers at least once and in any order, so every decision looks at what the channel was told last under the same
//! key. Nothing older than that goes out, so a late trigger cannot open again what a resolve has closed.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::Body;
use syncwatch::pipeline::Channels;

use crate::key::Fingerprint;

/// Where notices go beside mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// PagerDuty, by its Events API v2.
    PagerDuty,
    Chat,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 2] = [Self::PagerDuty, Self::Chat];

    /// The stable id, as it is stored.
    pub fn id(self) -> &'static str {
        match self {
            Self::PagerDuty => "pagerduty",
            Self::Chat => "chat",
        }
    }

    /// The lowest severity that goes there; `None` if `pipeline.toml` does not declare the channel.
    pub fn lowest(self, channels: Channels) -> Option<Severity> {
        match self {
            Self::PagerDuty => channels.pagerduty,
            Self::Chat => channels.chat,
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PagerDuty => "PagerDuty",
            Self::Chat => "chat",
        })
    }
}

/// The place of a notice among those of its key; a later one is greater.
///
/// When the incident opened comes first: the record of an incident is deleted some months after its end, and its
/// generations then count from 1 again. By generation alone, such an incident would look older than what it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// When the incident opened (UTC).
    pub opened_at: Timestamp,
    pub generation: u64,
    pub sequence: u32,
}

impl Place {
    /// The place of a notice.
    pub fn of(notice: &Body) -> Self {
        let Body { opened_at, generation, sequence, .. } = notice;
        Self { opened_at: *opened_at, generation: *generation, sequence: *sequence }
    }
}

/// What a channel was told last under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDelivery {
    pub place: Place,
    pub notice: String,
    /// Whether it left something open at the channel.
    pub open: bool,
    /// The routing key through which it went; none for a chat.
    pub through: Option<Fingerprint>,
}

impl LastDelivery {
    /// What the channel knows once the notice went out.
    pub fn after(notice: &Body, action: Action, through: Option<Fingerprint>) -> Self {
        let open = matches!(action, Action::Trigger | Action::Acknowledge);
        Self { place: Place::of(notice), notice: notice.id.clone(), open, through }
    }
}

/// What a notice does at a channel; written as PagerDuty's `event_action`, which knows no fourth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It opens something, or adds to what is open.
    Trigger,
    Resolve,
    /// A person works on what is open.
    Acknowledge,
    /// It only informs.
    #[serde(rename = "trigger")]
    Inform,
}

/// Whether a notice goes to a channel, and why: the reason is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    Send(Action, &'static str),
    /// It does not, and never will.
    Skip(&'static str),
}

/// Decides whether a notice goes to a channel. `lowest` is the channel's limit and `told` what it was told last under the
/// notice's key.
///
/// * what a silence held back                  => the chat, whatever its severity; never PagerDuty, which could not resolve it
/// * the same notice, or an older one          => skip
/// * acknowledged, and it was told of that     => acknowledge, whatever the severity
///   incident, which is open there
/// * acknowledged otherwise                    => skip: PagerDuty drops it, and a chat would not know what is meant
/// * a marked test                             => send, whatever the severity
/// * resolved, and the channel was told        => send, whatever the severity
/// * resolved, and it was not told             => as the severity says: the trigger may still be on its way, and is older
/// * else                                      => as the severity says
///
/// A reminder is a trigger at PagerDuty too, also while we take its alert for open: a person may have resolved it there,
/// of which nobody tells us. PagerDuty adds a trigger of an open alert to that alert and notifies nobody again; after a
/// resolve the same key opens a new one (PagerDuty developer docs, "Send an Alert Event").
pub fn decide(notice: &Body, channel: Channel, lowest: Severity, told: Option<&LastDelivery>) -> Route {
    if notice.kind == NoticeKind::HeldBack && channel == Channel::PagerDuty {
        return Route::Skip("no incident");
    }
    let place = Place::of(notice);
    match told {
        Some(told) if place == told.place => return Route::Skip("already sent"),
        Some(told) if place < told.place => return Route::Skip("overtaken by a later notice"),
        _ => {}
    }
    let open = told.is_some_and(|told| told.open);
    // Not `told.open` alone: what is open may be an earlier incident of the key whose end was lost.
    let open_now = told.is_some_and(|told| told.open && told.place.opened_at == place.opened_at);
    let action = match notice.kind {
        NoticeKind::Acknowledged if open_now => {
            return Route::Send(Action::Acknowledge, "a person took it on");
        }
        NoticeKind::Acknowledged => return Route::Skip("the channel was not told of the incident"),
        NoticeKind::Resolved => Action::Resolve,
        NoticeKind::HeldBack => Action::Inform,
        NoticeKind::Opened
        | NoticeKind::Flapping
        | NoticeKind::Worsened
        | NoticeKind::Reminder
        | NoticeKind::StoppedReporting => Action::Trigger,
    };
    let reason = match notice.kind {
        _ if notice.test => "a test",
        NoticeKind::HeldBack => "what a silence held back",
        NoticeKind::Resolved if open => "the channel was told that it is open",
        _ if notice.severity < lowest => return Route::Skip("below the lowest severity of the channel"),
        _ => "severe enough",
    };
    Route::Send(action, reason)
}

#[cfg(test)]
mod tests;
