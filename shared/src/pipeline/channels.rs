//! The channels other than the topic's own mail: paging services, chats, and mail by SES.

use std::fmt;

use crate::finding::Severity;

/// The name of the default paging service.
pub const PAGERDUTY: &str = "pagerduty";
/// The name of the default chat.
pub const CHAT: &str = "chat";
/// The name of the default channel of mail by SES.
pub const MAIL: &str = "mail";

/// A channel other than the topic's own mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its name in `[channels]`. Deliveries are recorded under it, and its value in the secret, if it has one, is found by it.
    pub name: String,
    pub kind: ChannelKind,
    /// The lowest severity that it gets.
    pub lowest: Severity,
    /// The addresses of a channel of kind `email`; none for others.
    pub mail: Option<Addresses>,
}

/// The addresses of a mail channel: each as `user@host`, in ASCII, without a display name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The sender, an identity that SES has verified.
    pub from: String,
    /// 1 to 50 recipients.
    pub to: Vec<String>,
}

/// The classes of channels. For each class, an owner's own channels replace the default one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// It pages people. Other classes inform a group.
    Pager,
    Chat,
    Mail,
}

impl Channel {
    /// Returns whether it is a default channel. Its value is the main one of its secret; that of another channel is a member of
    /// `channels` with the channel's name.
    pub fn is_default(&self) -> bool {
        Class::ALL.iter().any(|class| class.default_channel() == self.name)
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
    /// Mail by Amazon SES, as text and HTML.
    Email,
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
            Self::Email => "email",
        })
    }
}

impl ChannelKind {
    /// Returns its class.
    pub fn class(self) -> Class {
        match self {
            Self::PagerDuty => Class::Pager,
            Self::Slack | Self::Teams | Self::Webhook => Class::Chat,
            Self::Email => Class::Mail,
        }
    }

    /// Returns whether it pages people.
    pub fn pages(self) -> bool {
        self.class() == Class::Pager
    }
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 3] = [Self::Pager, Self::Chat, Self::Mail];

    /// Returns the name of its default channel.
    pub fn default_channel(self) -> &'static str {
        match self {
            Self::Pager => PAGERDUTY,
            Self::Chat => CHAT,
            Self::Mail => MAIL,
        }
    }

    /// Returns whether a channel of this class needs the default one. Without a default mail channel, others still get the
    /// topic's own mail.
    pub fn needs_default(self) -> bool {
        self != Self::Mail
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pager => "pager",
            Self::Chat => "chat",
            Self::Mail => "mail channel",
        })
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
    pub fn lowest(&self, class: Class) -> Option<Severity> {
        self.0.iter().filter(|channel| channel.kind.class() == class).map(|channel| channel.lowest).min()
    }
}
