//! The raw form of `pipeline.toml`, and its validation.

mod checks;
mod notices;
mod objects;
mod quiet;
mod remedies;
mod values;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use self::checks::{RawCheck, RawSnapshot, RawWarehouse};
use self::notices::{RawChannel, RawNotices, RawSilence};
use self::values::or_use;
use super::{
    ApiVersion, Census, Channels, Contact, DEFAULT_ERROR_RATE_MIN_RECORDS, DEFAULT_ERROR_RATE_PERCENT,
    DEFAULT_GRACE, DEFAULT_SKIPPED_RUNS_LIMIT, DEFAULT_STUCK_AFTER, DEFAULT_STUCK_FACTOR, DEFAULT_WATCH_DAYS,
    Expectations, Objectives, Pipeline, Problem, Role, Sync, Terms, Undeclared, Warehouse,
};
use crate::finding::Check;
use crate::observation::SyncId;
use crate::schedule::{Cron, Rule, Schedule};
use crate::sql::Dialect;

/// The longest name of a contact, in characters. Notices carry it whole.
const MAX_CONTACT_NAME: usize = 100;

/// A string with its place in the file.
type Text = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPipeline {
    name: Text,
    time_zone: Option<Text>,
    runbook_url: Option<Text>,
    status_page_url: Option<Text>,
    owner: Option<Text>,
    #[serde(default)]
    terms: RawTerms,
    census: RawCensus,
    #[serde(default)]
    objectives: RawObjectives,
    #[serde(default)]
    contacts: Vec<RawContact>,
    #[serde(default)]
    notices: RawNotices,
    #[serde(default)]
    silences: Vec<RawSilence>,
    #[serde(default)]
    channels: BTreeMap<Text, RawChannel>,
    #[serde(default)]
    syncs: Vec<RawSync>,
    warehouse: Option<RawWarehouse>,
    #[serde(default)]
    connections: BTreeMap<Text, RawWarehouse>,
    #[serde(default)]
    checks: Vec<RawCheck>,
    snapshot: Option<Spanned<RawSnapshot>>,
    #[serde(default)]
    objects: Vec<objects::RawObject>,
    #[serde(default)]
    expectations: RawExpectations,
    #[serde(default)]
    remedies: remedies::RawRemedies,
    #[serde(default)]
    quiet_days: Vec<quiet::RawQuietDays>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawExpectations {
    watch_days: Option<Spanned<u32>>,
    #[serde(default)]
    checks: BTreeMap<Text, Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCensus {
    api_version: Text,
    base_url: Text,
    group_id: Option<Text>,
    undeclared_syncs: Option<Text>,
    #[serde(default)]
    ignored_syncs: Vec<Spanned<u64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawObjectives {
    minimum_schedule: Option<Spanned<RawSchedule>>,
    error_rate_percent: Option<Spanned<f64>>,
    success_rate_percent: Option<Spanned<f64>>,
    max_lag: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawContact {
    name: Text,
    role: Text,
    email: Option<Text>,
    phone: Option<Text>,
    slack: Option<Text>,
    #[serde(default)]
    channels: Vec<Text>,
    escalate_to: Option<Text>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawTerms {
    records: Option<Text>,
    destination: Option<Text>,
    audience: Option<Text>,
    required_value: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSync {
    key: Text,
    id: Spanned<u64>,
    role: Text,
    schedule: Spanned<RawSchedule>,
    runtime_target: Option<Text>,
    stuck_after: Option<Text>,
    error_rate_percent: Option<Spanned<f64>>,
    error_rate_min_records: Option<Spanned<u64>>,
    skipped_runs_limit: Option<Spanned<u64>>,
    #[serde(default)]
    severity: BTreeMap<Text, Text>,
    critical_after: Option<Text>,
    owner: Option<Text>,
    object_url: Option<Text>,
    #[serde(default)]
    unique_external_id: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSchedule {
    every: Option<Text>,
    daily_at: Option<Text>,
    weekly_on: Option<Text>,
    at: Option<Text>,
    cron: Option<Text>,
    on_demand: Option<Spanned<bool>>,
    time_zone: Option<Text>,
    grace: Option<Text>,
}

/// Reads the text into the validated form, or returns all problems.
pub(super) fn read(text: &str) -> Result<Pipeline, Vec<Problem>> {
    let raw: RawPipeline = toml::from_str(text).map_err(|error| vec![not_toml(text, &error)])?;
    let mut check = Validation {
        text: text.to_owned(),
        problems: Vec::new(),
        zone: TimeZone::UTC,
        dialect: Dialect::Databricks,
        connections: BTreeMap::new(),
        max_lag: None,
        contacts: Vec::new(),
    };
    let pipeline = check.pipeline(raw);
    if check.problems.is_empty() { Ok(pipeline) } else { Err(check.problems) }
}

/// Converts an error of the TOML parser: bad syntax, an unknown or missing key, a wrong type.
fn not_toml(text: &str, error: &toml::de::Error) -> Problem {
    let message = error.message().trim().to_owned();
    let line = error.span().map_or(0, |span| line_of(text, &span));
    // "unknown field `x`, expected ..." names the key; for a wrong type, the key is on the line.
    let of_a_key = [("unknown field", "remove it or correct its name"), ("missing field", "add it")];
    let remedy = of_a_key.into_iter().find(|(begin, _)| message.starts_with(begin));
    let quoted = remedy.and_then(|_| message.split('`').nth(1)).map(str::to_owned);
    let key = quoted.or_else(|| key_on_line(text, line)).unwrap_or_default();
    let remedy = remedy.map_or("correct the line", |(_, remedy)| remedy);
    Problem { line, key, found: message, remedy: remedy.to_owned() }
}

fn key_on_line(text: &str, line: usize) -> Option<String> {
    let line = text.lines().nth(line.checked_sub(1)?)?;
    Some(line.split('=').next()?.trim().to_owned())
}

/// Returns the line of a place, from 1.
fn line_of(text: &str, place: &Range<usize>) -> usize {
    1 + text.bytes().take(place.start).filter(|byte| *byte == b'\n').count()
}

/// Collects problems. An invalid value is replaced, so that the rest is still checked.
struct Validation {
    text: String,
    problems: Vec<Problem>,
    /// The zone of schedules without one.
    zone: TimeZone,
    /// The dialect of the warehouse, once it is read.
    dialect: Dialect,
    /// The other databases, once they are read.
    connections: BTreeMap<String, Warehouse>,
    /// The objective, for freshness checks without a limit.
    max_lag: Option<SignedDuration>,
    /// The names of the contacts.
    contacts: Vec<String>,
}

impl Validation {
    fn refuse<T>(&mut self, at: &Spanned<T>, key: &str, found: impl Into<String>, remedy: impl Into<String>) {
        let line = line_of(&self.text, &at.span());
        self.problems.push(Problem { line, key: key.to_owned(), found: found.into(), remedy: remedy.into() });
    }

    fn pipeline(&mut self, raw: RawPipeline) -> Pipeline {
        if let Some(zone) = &raw.time_zone {
            self.zone = self.zone(zone, "time_zone");
        }
        self.contacts = raw.contacts.iter().map(|contact| contact.name.get_ref().clone()).collect();
        self.unique(raw.contacts.iter().map(|contact| &contact.name), "contacts.name");
        let channels = self.channels(raw.channels);
        let census = self.census(raw.census);
        let default_rate = raw.objectives.error_rate_percent.as_ref();
        let default_rate = default_rate
            .map_or(DEFAULT_ERROR_RATE_PERCENT, |rate| self.percent(rate, "objectives.error_rate_percent"));
        let objectives = self.objectives(raw.objectives);
        self.declared(&raw.syncs, &census);
        self.unique(raw.silences.iter().map(|silence| &silence.name), "silences.name");
        let named = raw.syncs.iter().map(|sync| &sync.key).chain(raw.checks.iter().map(|check| &check.name));
        let named: Vec<&Text> = named.collect();
        // Syncs and checks share one set of names: a notice about a check must not link to a sync.
        self.unique(named.iter().copied(), "checks.name");
        let mut subjects: Vec<&str> = named.iter().map(|name| name.get_ref().as_str()).collect();
        subjects.push(raw.name.get_ref());
        subjects.extend(raw.objects.iter().map(|object| object.name.get_ref().as_str()));
        let keys: Vec<&str> = raw.syncs.iter().map(|sync| sync.key.get_ref().as_str()).collect();
        let quiet_days = raw.quiet_days.into_iter().map(|quiet| self.quiet_days(quiet, &keys)).collect();
        let silences = raw.silences.into_iter().map(|silence| self.silence(silence, &subjects)).collect();
        let check = raw.checks.first().map(|check| (check.name.span(), "checks"));
        let snapshot = raw.snapshot.as_ref().map(|snapshot| (snapshot.span(), "snapshot"));
        let object = raw.objects.first().map(|object| (object.name.span(), "objects"));
        for (place, table) in
            check.into_iter().chain(snapshot).chain(object).filter(|_| raw.warehouse.is_none())
        {
            let remedy = format!("add [warehouse] with its driver: [{table}] needs it");
            self.refuse(&Spanned::new(place, ()), "warehouse", "missing", remedy);
        }
        let warehouse = raw.warehouse.as_ref().and_then(|warehouse| self.warehouse(warehouse, "warehouse"));
        for (name, connection) in &raw.connections {
            self.connection(name, connection);
        }
        let (checks, snapshot, objects) = match &warehouse {
            Some(warehouse) => {
                self.dialect = warehouse.dialect();
                let checks = self.checks(raw.checks);
                let snapshot =
                    raw.snapshot.map(|snapshot| self.snapshot(snapshot.get_ref(), !raw.objects.is_empty()));
                (checks, snapshot, self.objects(raw.objects, &keys))
            }
            None => (Vec::new(), None, Vec::new()),
        };
        Pipeline {
            name: self.name(&raw.name, "name"),
            time_zone: self.zone.clone(),
            runbook_url: raw.runbook_url.map(|url| self.web(&url, "runbook_url")),
            census,
            objectives,
            status_page_url: raw.status_page_url.map(|url| self.web(&url, "status_page_url")),
            owner: self.owner(raw.owner, "owner"),
            terms: self.terms(raw.terms),
            contacts: raw.contacts.into_iter().map(|contact| self.contact(contact, &channels)).collect(),
            notices: self.notices(raw.notices),
            silences,
            channels,
            syncs: raw.syncs.into_iter().map(|sync| self.sync(sync, default_rate)).collect(),
            warehouse,
            connections: std::mem::take(&mut self.connections),
            checks,
            snapshot,
            objects,
            expectations: self.expectations(raw.expectations),
            remedies: self.remedies(raw.remedies),
            quiet_days,
            declared_views: BTreeMap::new(),
        }
    }

    /// Checks the reactions to findings of the checks that learn from history.
    fn expectations(&mut self, raw: RawExpectations) -> Expectations {
        let key = "expectations.checks";
        let modes = raw.checks.iter().filter_map(|(id, mode)| {
            let check = self.check(id, key)?;
            if !check.learns() {
                let found = format!("{check} does not learn from history");
                let learning = Check::ALL.iter().filter(|check| check.learns());
                self.refuse(
                    id,
                    key,
                    found,
                    or_use(learning.map(|check| check.id())).trim_start_matches(", or "),
                );
                return None;
            }
            Some((check, self.word(mode, key)?))
        });
        let modes = modes.collect();
        if let Some(days) = raw.watch_days.as_ref().filter(|days| *days.get_ref() > 90) {
            self.refuse(days, "expectations.watch_days", "more than 90", "use 0 to 90 days");
        }
        let watch_days = raw.watch_days.map_or(DEFAULT_WATCH_DAYS, Spanned::into_inner);
        Expectations { watch_days, modes }
    }

    /// Checks that there are syncs, and that each has its own key and id.
    fn declared(&mut self, syncs: &[RawSync], census: &Census) {
        if syncs.is_empty() {
            self.problems.push(Problem {
                line: 0,
                key: "syncs".to_owned(),
                found: "no sync is declared".to_owned(),
                remedy: "add a [[syncs]] table for each Census sync to check".to_owned(),
            });
        }
        self.unique(syncs.iter().map(|sync| &sync.key), "syncs.key");
        self.unique(syncs.iter().map(|sync| &sync.id), "syncs.id");
        for RawSync { id, .. } in syncs {
            if census.ignored_syncs.contains(&SyncId(*id.get_ref())) {
                let found = format!("{} is declared and also in census.ignored_syncs", id.get_ref());
                self.refuse(id, "syncs.id", found, "remove it from one of the two");
            }
        }
    }

    fn unique<'a, V: ToString + 'a>(&mut self, values: impl Iterator<Item = &'a Spanned<V>>, key: &str) {
        let mut first = HashMap::new();
        for at in values {
            match first.entry(at.get_ref().to_string()) {
                Entry::Vacant(place) => _ = place.insert(at.span()),
                Entry::Occupied(first) => {
                    let line = line_of(&self.text, first.get());
                    let found = format!("`{}` is already used on line {line}", first.key());
                    self.refuse(at, key, found, "make it unique");
                }
            }
        }
    }

    fn census(&mut self, mut raw: RawCensus) -> Census {
        raw.api_version.get_mut().make_ascii_lowercase();
        let api_version = self.word(&raw.api_version, "census.api_version").unwrap_or(ApiVersion::V1);
        let base_url = self.url(&raw.base_url, "census.base_url", &["https://"]);
        let base_url = base_url.trim_end_matches('/').to_owned();
        if base_url.matches('/').count() > 2 {
            let remedy = "use scheme and host only; the path follows from api_version";
            self.refuse(&raw.base_url, "census.base_url", "has a path", remedy);
        }
        if api_version == ApiVersion::V2 && raw.group_id.is_none() {
            let remedy = "add census.group_id, the Fivetran group: API V2 requires it";
            self.refuse(&raw.api_version, "census.group_id", "missing", remedy);
        }
        let undeclared_syncs =
            raw.undeclared_syncs.and_then(|word| self.word(&word, "census.undeclared_syncs"));
        Census {
            api_version,
            base_url,
            group_id: raw.group_id.map(Spanned::into_inner),
            undeclared_syncs: undeclared_syncs.unwrap_or(Undeclared::Warn),
            ignored_syncs: raw.ignored_syncs.into_iter().map(|id| SyncId(id.into_inner())).collect(),
        }
    }

    fn objectives(&mut self, raw: RawObjectives) -> Objectives {
        self.max_lag = raw.max_lag.map(|lag| self.duration(&lag, "objectives.max_lag"));
        let (minimum, rate) = (raw.minimum_schedule, raw.success_rate_percent);
        Objectives {
            minimum_schedule: minimum.map(|minimum| self.slots(&minimum, "objectives.minimum_schedule")),
            success_rate_percent: rate
                .map_or(95.0, |rate| self.percent(&rate, "objectives.success_rate_percent")),
            max_lag: self.max_lag,
        }
    }

    /// Checks the URL of a page.
    fn web(&mut self, url: &Text, key: &str) -> String {
        self.url(url, key, &["https://", "http://"])
    }

    fn terms(&mut self, raw: RawTerms) -> Terms {
        let mut term = |text: Option<Text>, key: &str, default: &str| {
            let Some(text) = text else { return default.to_owned() };
            if text.get_ref().trim().is_empty() || text.get_ref().chars().count() > 40 {
                self.refuse(&text, key, "empty, or longer than 40 characters", "use 1 to 40 characters");
            }
            text.into_inner()
        };
        Terms {
            records: term(raw.records, "terms.records", "records"),
            destination: term(raw.destination, "terms.destination", "the destination"),
            audience: term(raw.audience, "terms.audience", "Its users"),
            required_value: term(raw.required_value, "terms.required_value", "required value"),
        }
    }

    /// Checks the name of a contact: an owner, or the one to escalate to.
    fn owner(&mut self, name: Option<Text>, key: &str) -> Option<String> {
        let name = name?;
        if !self.contacts.contains(name.get_ref()) {
            let found = format!("unknown contact \"{}\"", name.get_ref());
            let known = or_use(self.contacts.iter().map(String::as_str));
            self.refuse(&name, key, found, format!("add [[contacts]] with this name{known}"));
        }
        Some(name.into_inner())
    }

    fn contact(&mut self, raw: RawContact, channels: &Channels) -> Contact {
        if let Some(email) = &raw.email {
            self.address(email, "contacts.email");
        }
        if raw.email.is_none() && raw.phone.is_none() {
            self.refuse(&raw.name, "contacts", "no email and no phone", "add at least one");
        }
        let length = raw.name.get_ref().chars().count();
        if !(1..=MAX_CONTACT_NAME).contains(&length) {
            let allowed = format!("use 1 to {MAX_CONTACT_NAME}");
            self.refuse(&raw.name, "contacts.name", format!("{length} characters"), allowed);
        }
        if let Some(own) = raw.escalate_to.as_ref().filter(|to| to.get_ref() == raw.name.get_ref()) {
            let remedy = "name another contact, or remove escalate_to";
            self.refuse(own, "contacts.escalate_to", "the contact itself", remedy);
        }
        Contact {
            name: raw.name.into_inner(),
            role: raw.role.into_inner(),
            email: raw.email.map(Spanned::into_inner),
            phone: raw.phone.map(Spanned::into_inner),
            slack: raw.slack.map(|id| self.slack(id)),
            channels: self.channels_of(raw.channels, channels),
            escalate_to: self.owner(raw.escalate_to, "contacts.escalate_to"),
        }
    }

    fn sync(&mut self, raw: RawSync, default_rate: f64) -> Sync {
        let runtime_target = raw.runtime_target.map(|target| self.duration(&target, "syncs.runtime_target"));
        let stuck_after = raw.stuck_after.map(|limit| {
            let stuck_after = self.duration(&limit, "syncs.stuck_after");
            if runtime_target.is_some_and(|target| stuck_after < target) {
                let remedy = "raise it to runtime_target or more, or remove it";
                self.refuse(&limit, "syncs.stuck_after", "shorter than runtime_target", remedy);
            }
            stuck_after
        });
        let stuck_after = stuck_after
            .or_else(|| runtime_target?.checked_mul(DEFAULT_STUCK_FACTOR))
            .unwrap_or(DEFAULT_STUCK_AFTER);
        let rate = raw.error_rate_percent.map(|rate| self.percent(&rate, "syncs.error_rate_percent"));
        let least = raw.error_rate_min_records.map(Spanned::into_inner);
        // Judged on the newest page of runs, so a higher limit could never be reached.
        let skipped = raw.skipped_runs_limit;
        let skipped = skipped.and_then(|limit| self.count(&limit, "syncs.skipped_runs_limit", 1..=20));
        if *raw.id.get_ref() == 0 {
            self.refuse(&raw.id, "syncs.id", "found 0", "use the id in the sync's URL at Census");
        }
        Sync {
            key: self.name(&raw.key, "syncs.key"),
            id: SyncId(*raw.id.get_ref()),
            role: self.word(&raw.role, "syncs.role").unwrap_or(Role::Other),
            schedule: self.schedule(&raw.schedule, "syncs.schedule"),
            runtime_target,
            stuck_after,
            error_rate_percent: rate.unwrap_or(default_rate),
            error_rate_min_records: least.unwrap_or(DEFAULT_ERROR_RATE_MIN_RECORDS),
            skipped_runs_limit: skipped.unwrap_or(DEFAULT_SKIPPED_RUNS_LIMIT),
            severity: self.severities(raw.severity, "syncs.severity"),
            critical_after: raw.critical_after.map(|text| self.critical_after(&text, "syncs.critical_after")),
            owner: self.owner(raw.owner, "syncs.owner"),
            object_url: raw.object_url.map(|url| self.web(&url, "syncs.object_url")),
            unique_external_id: raw.unique_external_id,
        }
    }

    /// Reads a schedule that must have slots.
    fn slots(&mut self, raw: &Spanned<RawSchedule>, key: &str) -> Schedule {
        let schedule = self.schedule(raw, key);
        if matches!(schedule.rule, Rule::Every(_) | Rule::OnDemand) {
            let found = format!("found \"{}\", which has no slots", schedule.rule);
            self.refuse(raw, key, found, "use daily_at, weekly_on with at, or cron");
        }
        schedule
    }

    fn schedule(&mut self, whole: &Spanned<RawSchedule>, key: &str) -> Schedule {
        let at_key = |field: &str| format!("{key}.{field}");
        let raw = whole.get_ref();
        let zone = raw.time_zone.as_ref().map(|zone| self.zone(zone, &at_key("time_zone")));
        let time_zone = zone.unwrap_or_else(|| self.zone.clone());
        let grace = raw.grace.as_ref().map_or(DEFAULT_GRACE, |grace| self.duration(grace, &at_key("grace")));
        let mut rules = Vec::new();
        if let Some(every) = &raw.every {
            let period = self.duration(every, &at_key("every"));
            if period < SignedDuration::from_mins(1) {
                let found = format!("found \"{}\"", every.get_ref());
                let remedy = "use \"1m\" or more: Census runs a sync at most once a minute";
                self.refuse(every, &at_key("every"), found, remedy);
            }
            rules.push(Rule::Every(period));
        }
        if let Some(at) = &raw.daily_at {
            rules.push(Rule::Daily(self.time(at, &at_key("daily_at"))));
        }
        match (&raw.weekly_on, &raw.at) {
            (Some(day), Some(at)) => {
                let day = self.weekday(day, &at_key("weekly_on"));
                rules.push(Rule::Weekly(day, self.time(at, &at_key("at"))));
            }
            (Some(day), None) => {
                self.refuse(day, &at_key("at"), "missing", "add at = \"HH:MM\" to weekly_on");
            }
            (None, Some(at)) => {
                self.refuse(at, &at_key("at"), "without weekly_on", "add weekly_on, or use daily_at");
            }
            (None, None) => {}
        }
        if let Some(expression) = &raw.cron {
            match Cron::parse(expression.get_ref()) {
                Ok(cron) => rules.push(Rule::Cron(cron)),
                Err(found) => {
                    let remedy = "use five fields: minute hour day-of-month month day-of-week";
                    self.refuse(expression, &at_key("cron"), found, remedy);
                    return Schedule { rule: Rule::OnDemand, time_zone, grace };
                }
            }
        }
        match &raw.on_demand {
            Some(flag) if *flag.get_ref() => rules.push(Rule::OnDemand),
            Some(flag) => {
                self.refuse(flag, &at_key("on_demand"), "found false", "use true, or remove it");
            }
            None => {}
        }
        if rules.len() != 1 {
            let found = if rules.is_empty() { "no rule" } else { "more than one rule" };
            let remedy = "set exactly one of every, daily_at, weekly_on with at, cron, on_demand";
            self.refuse(whole, key, found, remedy);
        }
        Schedule { rule: rules.pop().unwrap_or(Rule::OnDemand), time_zone, grace }
    }
}
