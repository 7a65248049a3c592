//! `[notices]`, `[[silences]]` and `[channels]`: when people are told, when not, and where.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use toml::Spanned;

use super::{RawSchedule, Validation};
use crate::finding::WAREHOUSE;
use crate::finding::{CENSUS, SYNCWATCH};
use crate::finding::{Check, Severity};
use crate::incident::{Agreement, Flapping, NoticePolicy};
use crate::pipeline::Channels;
use crate::schedule::Rule;
use crate::silence::{Declared, LONGEST, Scope};

const AGREEMENT: &str = "write how many of the newest looks must agree, such as \"2 of 3\", at most 8";
const INSTANT: &str = "write an instant with its offset, such as \"2026-11-28T22:00:00-08:00\"";
const SEVERITY: &str = "use \"info\", \"warning\", \"error\" or \"critical\"";
const CHECK: &str = "use the id of a check, as in the README of its function";

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNotices {
    #[serde(default)]
    open_after: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    resolve_after: BTreeMap<Spanned<String>, Spanned<String>>,
    remind_after: Option<Spanned<String>>,
    remind_at_most: Option<Spanned<String>>,
    stopped_after: Option<Spanned<String>>,
    flapping: Option<RawFlapping>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFlapping {
    openings: Option<Spanned<u64>>,
    within: Option<Spanned<String>>,
    quiet: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSilence {
    pub(super) name: Spanned<String>,
    owner: Spanned<String>,
    reason: Spanned<String>,
    #[serde(default)]
    checks: Vec<Spanned<String>>,
    #[serde(default)]
    subjects: Vec<Spanned<String>>,
    from: Option<Spanned<String>>,
    until: Spanned<String>,
    schedule: Option<Spanned<RawSchedule>>,
    lasts: Option<Spanned<String>>,
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
    min_severity: Option<Spanned<String>>,
}

impl Validation {
    pub(super) fn notices(&mut self, raw: RawNotices) -> NoticePolicy {
        let mut policy = NoticePolicy {
            open_after: self.agreements(raw.open_after, "notices.open_after"),
            resolve_after: self.agreements(raw.resolve_after, "notices.resolve_after"),
            ..NoticePolicy::default()
        };
        if let Some(text) = &raw.remind_after {
            policy.remind_after = self.duration(text, "notices.remind_after");
        }
        if let Some(text) = &raw.remind_at_most {
            policy.remind_at_most = self.duration(text, "notices.remind_at_most");
            if policy.remind_at_most < policy.remind_after {
                let remedy = "gaps between reminders only grow; raise it, or lower notices.remind_after";
                self.refuse(text, "notices.remind_at_most", "shorter than the first gap", remedy);
            }
        }
        if let Some(text) = &raw.stopped_after {
            policy.stopped_after = self.duration(text, "notices.stopped_after");
        }
        if let Some(raw) = raw.flapping {
            policy.flapping = self.flapping(&raw, policy.flapping);
        }
        policy
    }

    fn flapping(&mut self, raw: &RawFlapping, mut flapping: Flapping) -> Flapping {
        if let Some(openings) = &raw.openings {
            match usize::try_from(*openings.get_ref()) {
                Ok(count @ 2..=10) => flapping.openings = count,
                _ => {
                    let found = format!("found {}", openings.get_ref());
                    self.refuse(openings, "notices.flapping.openings", found, "use a number from 2 to 10");
                }
            }
        }
        if let Some(text) = &raw.within {
            flapping.within = self.duration(text, "notices.flapping.within");
        }
        if let Some(text) = &raw.quiet {
            flapping.quiet = self.duration(text, "notices.flapping.quiet");
        }
        flapping
    }

    fn agreements(
        &mut self,
        raw: BTreeMap<Spanned<String>, Spanned<String>>,
        key: &str,
    ) -> BTreeMap<Check, Agreement> {
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

    pub(super) fn silence(
        &mut self,
        raw: RawSilence,
        subjects: &[String],
        zone: &jiff::tz::TimeZone,
    ) -> Declared {
        let name = self.name(&raw.name, "silences.name");
        for (text, key) in [(&raw.owner, "silences.owner"), (&raw.reason, "silences.reason")] {
            if text.get_ref().trim().is_empty() {
                self.refuse(text, key, "empty", "quiet needs somebody who answers for it, and a reason");
            }
        }
        let checks = raw.checks.iter().filter_map(|id| self.check(id, "silences.checks")).collect();
        for subject in &raw.subjects {
            let known = [CENSUS, SYNCWATCH, WAREHOUSE].contains(&subject.get_ref().as_str());
            if !known && !subjects.contains(subject.get_ref()) {
                let found = format!("\"{}\" is no subject", subject.get_ref());
                let remedy = "use the key of a declared sync, the name of a check, \"census\", \"warehouse\" or \"syncwatch\"";
                self.refuse(subject, "silences.subjects", found, remedy);
            }
        }
        let scope = Scope { checks, subjects: raw.subjects.into_iter().map(Spanned::into_inner).collect() };
        let from = raw.from.as_ref().map(|from| self.instant(from, "silences.from"));
        let until = self.instant(&raw.until, "silences.until");
        if from.is_some_and(|from| from >= until) {
            self.refuse(&raw.until, "silences.until", "not after `from`", "let it end after it begins");
        }
        let recurring = match (raw.schedule, &raw.lasts) {
            (Some(schedule), Some(lasts)) => {
                let at = Spanned::new(schedule.span(), ());
                let schedule = self.schedule(schedule, "silences.schedule", zone);
                if matches!(schedule.rule, Rule::Every(_) | Rule::OnDemand) {
                    let found = format!("found \"{}\", which has no slots", schedule.rule);
                    self.refuse(&at, "silences.schedule", found, "use daily_at, weekly_on with at, or cron");
                }
                Some((schedule, self.quiet_for(lasts)))
            }
            (Some(schedule), None) => {
                self.refuse(&schedule, "silences.lasts", "missing", "say how long each window lasts");
                None
            }
            (None, Some(lasts)) => {
                let remedy = "add a schedule, or use from and until for quiet that does not return";
                self.refuse(lasts, "silences.lasts", "without schedule", remedy);
                None
            }
            (None, None) => {
                self.bounded(from, until, &raw.until);
                None
            }
        };
        Declared {
            name,
            owner: raw.owner.into_inner(),
            reason: raw.reason.into_inner(),
            scope,
            from,
            until,
            recurring,
        }
    }

    fn bounded(&mut self, from: Option<Timestamp>, until: Timestamp, at: &Spanned<String>) {
        let Some(from) = from else {
            let remedy = "add `from`: quiet that does not return has a beginning and an end";
            self.refuse(at, "silences.from", "missing", remedy);
            return;
        };
        if until.duration_since(from) > LONGEST {
            self.refuse(
                at,
                "silences.until",
                "more than 31 days after `from`",
                "quiet so long hides outages; end it sooner",
            );
        }
    }

    fn quiet_for(&mut self, lasts: &Spanned<String>) -> SignedDuration {
        let duration = self.duration(lasts, "silences.lasts");
        if duration > LONGEST {
            self.refuse(
                lasts,
                "silences.lasts",
                "more than 31 days",
                "quiet so long hides outages; end it sooner",
            );
        }
        duration
    }

    pub(super) fn channels(&mut self, raw: RawChannels) -> Channels {
        let mut of = |channel: Option<RawChannel>, key: &str, default: Severity| {
            channel.map(|channel| {
                channel.min_severity.map_or(default, |text| self.severity(&text, key, default))
            })
        };
        Channels {
            pagerduty: of(raw.pagerduty, "channels.pagerduty.min_severity", Severity::Critical),
            chat: of(raw.chat, "channels.chat.min_severity", Severity::Warning),
        }
    }

    fn severity(&mut self, text: &Spanned<String>, key: &str, default: Severity) -> Severity {
        Severity::parse(text.get_ref()).unwrap_or_else(|| {
            self.refuse(text, key, format!("found \"{}\"", text.get_ref()), SEVERITY);
            default
        })
    }

    fn check(&mut self, id: &Spanned<String>, key: &str) -> Option<Check> {
        let check = Check::from_id(id.get_ref());
        if check.is_none() {
            self.refuse(id, key, format!("\"{}\" is no check", id.get_ref()), CHECK);
        }
        check
    }

    fn instant(&mut self, text: &Spanned<String>, key: &str) -> Timestamp {
        text.get_ref().parse().unwrap_or_else(|_| {
            self.refuse(text, key, format!("\"{}\" is no instant", text.get_ref()), INSTANT);
            Timestamp::UNIX_EPOCH
        })
    }
}
