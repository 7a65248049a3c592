//! Whether a notice goes to a channel, and why.
//!
//! SQS delivers at least once and in any order, so every decision looks at what the channel was told last under the same
//! key. Nothing older than that goes out, so a late trigger cannot open again what a resolve has closed.

use std::fmt;

use jiff::Timestamp;
use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::Body;
use syncwatch::pipeline::Channels;

use crate::fingerprint::Fingerprint;

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
        let open = action == Action::Trigger;
        Self { place: Place::of(notice), notice: notice.id.clone(), open, through }
    }
}

/// What a notice does at a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It opens something, or adds to what is open.
    Trigger,
    Resolve,
    /// It only informs.
    Inform,
}

/// Whether a notice goes to a channel, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    Send(Action, SendReason),
    /// It does not, and never will.
    Skip(SkipReason),
}

/// Why a notice goes to a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendReason {
    SevereEnough,
    /// It is a marked test, which goes everywhere.
    Test,
    /// The channel was told that it is open, so it is told that it is over.
    WasTold,
    /// PagerDuty was never told that it is open, for the notice that should have is lost or behind this one.
    NeverTold,
    /// It says what a silence held back, however severe that was.
    SilenceEnded,
}

/// Why a notice does not go to a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// `pipeline.toml` does not declare the channel.
    NotDeclared,
    /// It is less severe than what the channel is for.
    BelowLowest,
    /// PagerDuty was told, and reminds by itself.
    PagerDutyEscalates,
    /// It is about no incident, so PagerDuty could never resolve it.
    NoIncident,
    AlreadySent,
    /// A later notice of the same key went out before it.
    Overtaken,
}

impl fmt::Display for SendReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SevereEnough => "severe enough",
            Self::Test => "a test",
            Self::WasTold => "the channel was told that it is open",
            Self::NeverTold => "PagerDuty was not told yet",
            Self::SilenceEnded => "what a silence held back",
        })
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDeclared => "not declared",
            Self::BelowLowest => "below the lowest severity of the channel",
            Self::PagerDutyEscalates => "PagerDuty reminds by itself",
            Self::NoIncident => "no incident",
            Self::AlreadySent => "already sent",
            Self::Overtaken => "overtaken by a later notice",
        })
    }
}

/// Decides whether a notice goes to a channel. `lowest` is the channel's limit and `told` what it was told last under the
/// notice's key.
///
/// * the channel is not declared               => skip
/// * what a silence held back                  => the chat, whatever its severity; never PagerDuty
/// * the same notice, or an older one          => skip
/// * a marked test                             => send
/// * resolved, and the channel was told        => send, whatever the severity
/// * resolved, and it was not told             => as the severity says: the trigger may still be on its way, and is older
/// * a reminder, and PagerDuty was told        => skip
/// * else                                      => as the severity says
pub fn decide(
    notice: &Body,
    channel: Channel,
    lowest: Option<Severity>,
    told: Option<&LastDelivery>,
) -> Route {
    let Some(lowest) = lowest else { return Route::Skip(SkipReason::NotDeclared) };
    if notice.kind == NoticeKind::HeldBack && channel == Channel::PagerDuty {
        return Route::Skip(SkipReason::NoIncident);
    }
    let place = Place::of(notice);
    match told {
        Some(told) if place == told.place => return Route::Skip(SkipReason::AlreadySent),
        Some(told) if place < told.place => return Route::Skip(SkipReason::Overtaken),
        _ => {}
    }
    let open = told.is_some_and(|told| told.open);
    // Not `told.open` alone: what is open may be an earlier incident of the key whose end was lost.
    let open_now = told.is_some_and(|told| told.open && told.place.opened_at == place.opened_at);
    let action = match notice.kind {
        NoticeKind::Resolved => Action::Resolve,
        NoticeKind::HeldBack => Action::Inform,
        NoticeKind::Opened
        | NoticeKind::Flapping
        | NoticeKind::Worsened
        | NoticeKind::Reminder
        | NoticeKind::StoppedReporting => Action::Trigger,
    };
    let reason = match notice.kind {
        _ if notice.test => SendReason::Test,
        NoticeKind::HeldBack => SendReason::SilenceEnded,
        NoticeKind::Resolved if open => SendReason::WasTold,
        _ if notice.severity < lowest => return Route::Skip(SkipReason::BelowLowest),
        NoticeKind::Reminder if channel == Channel::PagerDuty => {
            if open_now {
                return Route::Skip(SkipReason::PagerDutyEscalates);
            }
            SendReason::NeverTold
        }
        _ => SendReason::SevereEnough,
    };
    Route::Send(action, reason)
}

#[cfg(test)]
mod tests;
