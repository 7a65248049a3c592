//! The channels other than mail: paging services and chats.

use std::fmt;

use crate::finding::Severity;

/// The name of the default paging service.
pub const PAGERDUTY: &str = "pagerduty";
/// The name of the default chat.
pub const CHAT: &str = "chat";

/// A channel other than mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its name in `[channels]`. Deliveries are recorded under it, and its value in the secret is found by it.
    pub name: String,
    pub kind: ChannelKind,
    /// The lowest severity that it gets.
    pub lowest: Severity,
}

impl Channel {
    /// Returns whether it is a default channel. Its value is the main one of its secret; that of another channel is a member of
    /// `channels` with the channel's name.
    pub fn is_default(&self) -> bool {
        [PAGERDUTY, CHAT].contains(&self.name.as_str())
    }
}

/// The protocol of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelKind {
    /// A PagerDuty service, by its Events API v2.
    PagerDuty,
    /// An incoming webhook of Slack, or of a chat that accepts the same JSON.
    Slack,
    /// A webhook of Microsoft Teams (Workflows), which accepts an Adaptive Card.
    Teams,
    /// Any URL that accepts the JSON of a notice.
    Webhook,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            PAGERDUTY => f.write_str("PagerDuty"),
            CHAT => f.write_str("chat"),
            name => write!(f, "{name} ({})", self.kind),
        }
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PagerDuty => "PagerDuty",
            Self::Slack => "Slack",
            Self::Teams => "Teams",
            Self::Webhook => "webhook",
        })
    }
}

impl ChannelKind {
    /// Returns whether it pages people. Other kinds inform a group.
    pub fn pages(self) -> bool {
        self == Self::PagerDuty
    }
}

/// The declared channels, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Channels(pub Vec<Channel>);

impl Channels {
    /// Returns the channel of this name.
    pub fn get(&self, name: &str) -> Option<&Channel> {
        self.0.iter().find(|channel| channel.name == name)
    }

    /// Returns the lowest severity that a channel of this class gets. `None`: the class has no channel.
    pub fn lowest(&self, pages: bool) -> Option<Severity> {
        self.0.iter().filter(|channel| channel.kind.pages() == pages).map(|channel| channel.lowest).min()
    }
}
