//! `[notices]`, `[[silences]]` and `[channels]`: when notices are sent, when suppressed, and where to.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use toml::Spanned;

use super::values::{Form, allowed, or_use};
use super::{RawSchedule, Text, Validation};
use crate::finding::{CENSUS, Check, CriticalAfter, SYNCWATCH, Severity, WAREHOUSE};
use crate::incident::{Agreement, Flapping, NoticePolicy};
use crate::pipeline::{Addresses, CHAT, Channel, ChannelKind, Channels, Class, MAIL, PAGERDUTY};
use crate::silence::{Declared, LONGEST, Scope};

const AGREEMENT: &str = "use how many of the newest evaluations must agree, such as \"2 of 3\"; at most 8";
const INSTANT: Form =
    ("invalid instant", "use an instant with its offset, such as \"2026-11-28T22:00:00-08:00\"");
/// SES sends one mail to at most 50 recipients (AWS SES API reference, `SendEmail`).
const RECIPIENTS: RangeInclusive<usize> = 1..=50;
const SHORTER: &str = "shorten it: a long silence hides outages";
const CHECK: Form = ("unknown check", "use the id of a check; `syncwatch explain` lists them");
const SUBJECT: Form = (
    "unknown subject",
    "use the key of a declared sync, the name of a check, \"census\", \"warehouse\" or \"syncwatch\"",
);

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawNotices {
    open_after: BTreeMap<Text, Text>,
    resolve_after: BTreeMap<Text, Text>,
    remind_after: Option<Text>,
    remind_at_most: Option<Text>,
    stopped_after: Option<Text>,
    severity: BTreeMap<Text, Text>,
    critical_after: BTreeMap<Text, Text>,
    flapping: RawFlapping,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawFlapping {
    openings: Option<Spanned<u64>>,
    within: Option<Text>,
    quiet: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSilence {
    pub(super) name: Text,
    owner: Text,
    reason: Text,
    #[serde(default)]
    checks: Vec<Text>,
    #[serde(default)]
    subjects: Vec<Text>,
    from: Option<Text>,
    until: Text,
    schedule: Option<Spanned<RawSchedule>>,
    lasts: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChannel {
    kind: Option<Text>,
    min_severity: Option<Text>,
    /// Of kind `email` only, like `to`.
    from: Option<Text>,
    to: Option<Spanned<Vec<Text>>>,
}

impl Validation {
    pub(super) fn notices(&mut self, raw: RawNotices) -> NoticePolicy {
        let mut policy = NoticePolicy {
            open_after: self.agreements(raw.open_after, "notices.open_after"),
            resolve_after: self.agreements(raw.resolve_after, "notices.resolve_after"),
            severity: self.severities(raw.severity, "notices.severity"),
            critical_after: self.critical_afters(raw.critical_after),
            ..NoticePolicy::default()
        };
        self.replace(&mut policy.remind_after, raw.remind_after.as_ref(), "notices.remind_after");
        self.replace(&mut policy.remind_at_most, raw.remind_at_most.as_ref(), "notices.remind_at_most");
        if let Some(text) = &raw.remind_at_most
            && policy.remind_at_most < policy.remind_after
        {
            let remedy = "raise it, or lower notices.remind_after";
            self.refuse(text, "notices.remind_at_most", "shorter than remind_after", remedy);
        }
        self.replace(&mut policy.stopped_after, raw.stopped_after.as_ref(), "notices.stopped_after");
        let Flapping { openings, within, quiet } = &mut policy.flapping;
        let RawFlapping { openings: count, within: raw_within, quiet: raw_quiet } = raw.flapping;
        let count = count.and_then(|count| self.count(&count, "notices.flapping.openings", 2..=10));
        *openings = count.unwrap_or(*openings);
        self.replace(within, raw_within.as_ref(), "notices.flapping.within");
        self.replace(quiet, raw_quiet.as_ref(), "notices.flapping.quiet");
        policy
    }

    /// Replaces a default with the duration in the file, if there is one.
    fn replace(&mut self, default: &mut SignedDuration, text: Option<&Text>, key: &str) {
        if let Some(text) = text {
            *default = self.duration(text, key);
        }
    }

    fn agreements(&mut self, raw: BTreeMap<Text, Text>, key: &str) -> BTreeMap<Check, Agreement> {
        let mut agreements = BTreeMap::new();
        for (id, text) in raw {
            let check = self.check(&id, key);
            let agreement = Agreement::parse(text.get_ref());
            if agreement.is_none() {
                let found = format!("found \"{}\"", text.get_ref());
                self.refuse(&text, &format!("{key}.{}", id.get_ref()), found, AGREEMENT);
            }
            agreements.extend(check.zip(agreement));
        }
        agreements
    }

    /// Reads severities by check.
    pub(super) fn severities(&mut self, raw: BTreeMap<Text, Text>, key: &str) -> BTreeMap<Check, Severity> {
        let mut severities = BTreeMap::new();
        for (id, word) in raw {
            let check = self.check(&id, key);
            severities.extend(check.zip(self.word(&word, &format!("{key}.{}", id.get_ref()))));
        }
        severities
    }

    fn critical_afters(&mut self, raw: BTreeMap<Text, Text>) -> BTreeMap<Check, CriticalAfter> {
        let mut limits = BTreeMap::new();
        for (id, text) in raw {
            let key = format!("notices.critical_after.{}", id.get_ref());
            let check = self.check(&id, "notices.critical_after");
            limits.extend(check.zip(Some(self.critical_after(&text, &key))));
        }
        limits
    }

    /// Reads when a stop becomes critical: a duration, or "never".
    pub(super) fn critical_after(&mut self, text: &Text, key: &str) -> CriticalAfter {
        match text.get_ref().as_str() {
            "never" => CriticalAfter::Never,
            _ => CriticalAfter::Lasting(self.duration(text, key)),
        }
    }

    pub(super) fn silence(&mut self, raw: RawSilence, subjects: &[&str]) -> Declared {
        let name = self.name(&raw.name, "silences.name");
        for (text, key) in [(&raw.owner, "silences.owner"), (&raw.reason, "silences.reason")] {
            if text.get_ref().trim().is_empty() {
                self.refuse(text, key, "empty", "a silence needs an owner and a reason");
            }
        }
        let checks = raw.checks.iter().filter_map(|id| self.check(id, "silences.checks")).collect();
        for subject in &raw.subjects {
            let text = subject.get_ref().as_str();
            let known = [CENSUS, SYNCWATCH, WAREHOUSE].contains(&text) || subjects.contains(&text);
            self.read(known.then_some(()), subject, "silences.subjects", SUBJECT);
        }
        let scope = Scope { checks, subjects: raw.subjects.into_iter().map(Spanned::into_inner).collect() };
        let from = raw.from.as_ref().map(|from| self.instant(from, "silences.from"));
        let until = self.instant(&raw.until, "silences.until");
        if from.is_some_and(|from| from >= until) {
            self.refuse(&raw.until, "silences.until", "not after `from`", "use a later end");
        }
        let recurring = match (&raw.schedule, &raw.lasts) {
            (Some(schedule), lasts) => {
                let remedy = "add lasts, the duration of each window";
                let lasts = self.given(lasts.as_ref(), schedule, "silences.lasts", remedy);
                lasts.map(|lasts| {
                    let duration = self.duration(lasts, "silences.lasts");
                    if duration > LONGEST {
                        self.refuse(lasts, "silences.lasts", "more than 31 days", SHORTER);
                    }
                    (self.slots(schedule, "silences.schedule"), duration)
                })
            }
            (None, Some(lasts)) => {
                let remedy = "add a schedule, or use from and until for a single silence";
                self.refuse(lasts, "silences.lasts", "without schedule", remedy);
                None
            }
            (None, None) => {
                let remedy = "add `from`, or a schedule for recurring windows";
                let from = self.given(from, &raw.until, "silences.from", remedy);
                if from.is_some_and(|from| until.duration_since(from) > LONGEST) {
                    self.refuse(&raw.until, "silences.until", "more than 31 days after `from`", SHORTER);
                }
                None
            }
        };
        let (owner, reason) = (raw.owner.into_inner(), raw.reason.into_inner());
        Declared { name, owner, reason, scope, from, until, recurring }
    }

    /// Reads the channels. The default ones have a default kind, and the class of a channel needs its default one.
    pub(super) fn channels(&mut self, raw: BTreeMap<Text, RawChannel>) -> Channels {
        let mut channels = Vec::new();
        let mut valid = Vec::new();
        for (name, raw) in raw {
            let key = |member: &str| format!("channels.{}.{member}", name.get_ref());
            let default = match name.get_ref().as_str() {
                PAGERDUTY => Some(ChannelKind::PagerDuty),
                CHAT => Some(ChannelKind::Slack),
                MAIL => Some(ChannelKind::Email),
                _ => None,
            };
            let kind = match &raw.kind {
                Some(word) => self.word(word, &key("kind")),
                None => self.given(default, &name, &key("kind"), &allowed::<ChannelKind>("")),
            };
            let fits = |kind: &ChannelKind| default.is_none_or(|default| default.class() == kind.class());
            if let (Some(word), Some(kind)) = (&raw.kind, &kind)
                && !fits(kind)
            {
                let class = default.unwrap_or(*kind).class();
                let (name, word_found) = (name.get_ref(), word.get_ref());
                let found = format!("\"{word_found}\" does not fit {name}, the default {class}");
                self.refuse(word, &key("kind"), found, "correct the kind, or rename the channel");
            }
            let mut mail = None;
            if let Some(kind) = kind.filter(fits) {
                valid.push((kind.class(), name.span()));
                mail = self.addresses(&name, kind, raw.from, raw.to);
            }
            // An invalid kind is replaced, so that contacts may still name the channel.
            let kind = kind.or(default).unwrap_or(ChannelKind::Slack);
            let lowest = if kind.pages() { Severity::Critical } else { Severity::Warning };
            let word = raw.min_severity.and_then(|word| self.word(&word, &key("min_severity")));
            let lowest = word.unwrap_or(lowest);
            channels.push(Channel { name: self.name(&name, "channels"), kind, lowest, mail });
        }
        let channels = Channels(channels);
        for class in Class::ALL.into_iter().filter(|class| class.needs_default()) {
            let default = class.default_channel();
            let first = valid.iter().find(|(valid, _)| *valid == class);
            if let Some((_, place)) = first.filter(|_| channels.get(default).is_none()) {
                let remedy = format!("add this default {class}, for owners without one");
                self.refuse(
                    &Spanned::new(place.clone(), ()),
                    &format!("channels.{default}"),
                    "missing",
                    remedy,
                );
            }
        }
        channels
    }

    /// Reads the addresses of a mail channel. Other kinds have none.
    fn addresses(
        &mut self,
        name: &Text,
        kind: ChannelKind,
        from: Option<Text>,
        to: Option<Spanned<Vec<Text>>>,
    ) -> Option<Addresses> {
        let key = |member: &str| format!("channels.{}.{member}", name.get_ref());
        if kind != ChannelKind::Email {
            let places = [("from", from.map(|from| from.span())), ("to", to.map(|to| to.span()))];
            for (member, place) in places {
                if let Some(place) = place {
                    let remedy = "remove it: only kind \"email\" has addresses";
                    self.refuse(
                        &Spanned::new(place, ()),
                        &key(member),
                        format!("does not fit kind {kind}"),
                        remedy,
                    );
                }
            }
            return None;
        }
        let verified = "add the sender, an address that SES has verified";
        let from = self.given(from.as_ref(), name, &key("from"), verified);
        let from = from.map(|from| self.address(from, &key("from")));
        let to = self.given(to, name, &key("to"), "add the list of recipients")?;
        if !RECIPIENTS.contains(&to.get_ref().len()) {
            let found = format!("{} recipients", to.get_ref().len());
            self.refuse(
                &to,
                &key("to"),
                found,
                "use 1 to 50 recipients; a distribution list has room for more",
            );
        }
        self.unique(to.get_ref().iter(), &key("to"));
        let to = to.into_inner().iter().map(|address| self.address(address, &key("to"))).collect();
        Some(Addresses { from: from?, to })
    }

    /// Checks the channels of a contact.
    pub(super) fn channels_of(&mut self, names: Vec<Text>, channels: &Channels) -> Vec<String> {
        self.unique(names.iter(), "contacts.channels");
        for name in names.iter().filter(|name| channels.get(name.get_ref()).is_none()) {
            let found = format!("unknown channel \"{}\"", name.get_ref());
            let known = or_use(channels.0.iter().map(|channel| channel.name.as_str()));
            self.refuse(name, "contacts.channels", found, format!("add it to [channels]{known}"));
        }
        names.into_iter().map(Spanned::into_inner).collect()
    }

    /// Checks the id of a Slack user or user group. A name such as `@ada` would not mention anyone.
    pub(super) fn slack(&mut self, id: Text) -> String {
        let text = id.get_ref();
        let is_id = (9..=20).contains(&text.len())
            && text.starts_with(['U', 'W', 'S'])
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if !is_id {
            let found = format!("invalid id \"{text}\"");
            let remedy = "copy the member id of a user (U...) or the id of a user group (S...) from its profile in Slack";
            self.refuse(&id, "contacts.slack", found, remedy);
        }
        id.into_inner()
    }

    pub(super) fn check(&mut self, id: &Text, key: &str) -> Option<Check> {
        self.read(Check::from_id(id.get_ref()), id, key, CHECK)
    }

    fn instant(&mut self, text: &Text, key: &str) -> Timestamp {
        self.read(text.get_ref().parse().ok(), text, key, INSTANT).unwrap_or_default()
    }
}
