//! `[notices]`, `[[silences]]` and `[channels]`: when people are told, when not, and where.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use toml::Spanned;

use super::values::Form;
use super::{RawSchedule, Text, Validation};
use crate::finding::{CENSUS, Check, CriticalAfter, SYNCWATCH, Severity, WAREHOUSE};
use crate::incident::{Agreement, Flapping, NoticePolicy};
use crate::pipeline::Channels;
use crate::silence::{Declared, LONGEST, Scope};

const AGREEMENT: &str = "write how many of the newest looks must agree, such as \"2 of 3\", at most 8";
const INSTANT: Form = ("instant", "write an instant with its offset, such as \"2026-11-28T22:00:00-08:00\"");
const SHORTER: &str = "quiet so long hides outages; end it sooner";
const CHECK: Form = ("check", "use the id of a check, as in the README of its function");
const SUBJECT: Form = (
    "subject",
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

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChannels {
    pagerduty: Option<RawChannel>,
    chat: Option<RawChannel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChannel {
    min_severity: Option<Text>,
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
            let remedy = "gaps between reminders only grow; raise it, or lower notices.remind_after";
            self.refuse(text, "notices.remind_at_most", "shorter than the first gap", remedy);
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

    /// Replaces a default by what the file says, if it says something.
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

    /// The severities that the file says for checks.
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

    /// How long something may last before it is critical: a length of time, or "never".
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
                self.refuse(text, key, "empty", "quiet needs somebody who answers for it, and a reason");
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
            self.refuse(&raw.until, "silences.until", "not after `from`", "let it end after it begins");
        }
        let recurring = match (&raw.schedule, &raw.lasts) {
            (Some(schedule), lasts) => {
                let remedy = "say how long each window lasts";
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
                let remedy = "add a schedule, or use from and until for quiet that does not return";
                self.refuse(lasts, "silences.lasts", "without schedule", remedy);
                None
            }
            (None, None) => {
                let remedy = "add `from`: quiet that does not return has a beginning and an end";
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

    pub(super) fn channels(&mut self, raw: RawChannels) -> Channels {
        let mut of = |channel: Option<RawChannel>, key: &str, default: Severity| {
            let word = channel?.min_severity;
            Some(word.and_then(|word| self.word(&word, key)).unwrap_or(default))
        };
        Channels {
            pagerduty: of(raw.pagerduty, "channels.pagerduty.min_severity", Severity::Critical),
            chat: of(raw.chat, "channels.chat.min_severity", Severity::Warning),
        }
    }

    fn check(&mut self, id: &Text, key: &str) -> Option<Check> {
        self.read(Check::from_id(id.get_ref()), id, key, CHECK)
    }

    fn instant(&mut self, text: &Text, key: &str) -> Timestamp {
        self.read(text.get_ref().parse().ok(), text, key, INSTANT).unwrap_or_default()
    }
}
