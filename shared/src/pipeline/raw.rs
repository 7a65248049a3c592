//! `pipeline.toml` as TOML has it, and the way from there to the validated form.

mod checks;
mod notices;

use std::collections::HashMap;
use std::ops::Range;

use jiff::SignedDuration;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use self::checks::{RawCheck, RawSnapshot, RawWarehouse};
use self::notices::{RawChannels, RawNotices, RawSilence};
use super::{
    ApiVersion, Census, Contact, DEFAULT_ERROR_RATE_MIN_RECORDS, DEFAULT_ERROR_RATE_PERCENT, DEFAULT_GRACE,
    DEFAULT_SKIPPED_RUNS_LIMIT, DEFAULT_STUCK_AFTER, DEFAULT_STUCK_FACTOR, Objectives, Pipeline, Problem,
    Role, Sync, Undeclared,
};
use crate::observation::SyncId;
use crate::schedule::{Cron, Rule, Schedule, weekday_named};

const DURATION: &str = "write a length of time such as \"90s\", \"15m\" or \"2h\"";
const NAME: &str = "use 1 to 64 of a-z, 0-9 and `-`, beginning with a letter";
const ZONE: &str = "use an IANA time zone such as \"America/Los_Angeles\" or \"UTC\"";
const TIME: &str = "use a 24-hour time of day such as \"02:00\"";
const PERCENT: &str = "use a number from 0 to 100";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPipeline {
    name: Spanned<String>,
    time_zone: Option<Spanned<String>>,
    runbook_url: Option<Spanned<String>>,
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
    channels: RawChannels,
    #[serde(default)]
    syncs: Vec<RawSync>,
    warehouse: Option<RawWarehouse>,
    #[serde(default)]
    checks: Vec<RawCheck>,
    snapshot: Option<Spanned<RawSnapshot>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCensus {
    api_version: Spanned<String>,
    base_url: Spanned<String>,
    group_id: Option<Spanned<String>>,
    undeclared_syncs: Option<Spanned<String>>,
    #[serde(default)]
    ignored_syncs: Vec<Spanned<u64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawObjectives {
    minimum_schedule: Option<Spanned<RawSchedule>>,
    error_rate_percent: Option<Spanned<f64>>,
    success_rate_percent: Option<Spanned<f64>>,
    max_lag: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawContact {
    name: Spanned<String>,
    role: Spanned<String>,
    email: Option<Spanned<String>>,
    phone: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSync {
    key: Spanned<String>,
    id: Spanned<u64>,
    role: Spanned<String>,
    schedule: Spanned<RawSchedule>,
    runtime_target: Option<Spanned<String>>,
    stuck_after: Option<Spanned<String>>,
    error_rate_percent: Option<Spanned<f64>>,
    error_rate_min_records: Option<Spanned<u64>>,
    skipped_runs_limit: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSchedule {
    every: Option<Spanned<String>>,
    daily_at: Option<Spanned<String>>,
    weekly_on: Option<Spanned<String>>,
    at: Option<Spanned<String>>,
    cron: Option<Spanned<String>>,
    on_demand: Option<Spanned<bool>>,
    time_zone: Option<Spanned<String>>,
    grace: Option<Spanned<String>>,
}

/// Reads the text into the validated form, or says all that is wrong with it.
pub(super) fn read(text: &str) -> Result<Pipeline, Vec<Problem>> {
    let raw: RawPipeline = toml::from_str(text).map_err(|error| vec![not_toml(text, &error)])?;
    let mut check = Validation { lines: Lines::of(text), problems: Vec::new() };
    let pipeline = check.pipeline(raw);
    if check.problems.is_empty() { Ok(pipeline) } else { Err(check.problems) }
}

/// What the TOML reader itself refuses: bad syntax, unknown and missing keys, wrong types.
fn not_toml(text: &str, error: &toml::de::Error) -> Problem {
    let message = error.message().trim().to_owned();
    let line = error.span().map_or(0, |span| Lines::of(text).number(&span));
    let quoted = message.split('`').nth(1).map(str::to_owned);
    let remedy = if message.starts_with("unknown field") {
        "remove it or correct its name"
    } else if message.starts_with("missing field") {
        "add it"
    } else {
        "correct the line"
    };
    // "unknown field `x`, expected ..." names the key itself; for a wrong type the line does.
    let named_here = message.starts_with("unknown field") || message.starts_with("missing field");
    let key = quoted.filter(|_| named_here).or_else(|| key_on_line(text, line)).unwrap_or_default();
    Problem { line, key, found: message, remedy: remedy.to_owned() }
}

fn key_on_line(text: &str, line: usize) -> Option<String> {
    let line = text.lines().nth(line.checked_sub(1)?)?;
    Some(line.split('=').next()?.trim().to_owned())
}

/// Where each line of a text begins, so that many places are found in one look at the text.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let after_newlines =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(after_newlines).collect())
    }

    /// The line of a place, from 1.
    fn number(&self, span: &Range<usize>) -> usize {
        self.0.partition_point(|start| *start <= span.start)
    }
}

/// Gathers problems on the way; a value that is wrong is replaced so that the rest is still looked at.
struct Validation {
    lines: Lines,
    problems: Vec<Problem>,
}

impl Validation {
    fn refuse<T>(&mut self, at: &Spanned<T>, key: &str, found: impl Into<String>, remedy: impl Into<String>) {
        let line = self.lines.number(&at.span());
        self.problems.push(Problem { line, key: key.to_owned(), found: found.into(), remedy: remedy.into() });
    }

    fn pipeline(&mut self, raw: RawPipeline) -> Pipeline {
        let name = self.name(&raw.name, "name");
        let time_zone = raw.time_zone.map_or(TimeZone::UTC, |zone| self.zone(&zone, "time_zone"));
        let runbook_url = raw.runbook_url.map(|url| self.url(&url, "runbook_url", &["https://", "http://"]));
        let census = self.census(raw.census);
        let default_rate = raw.objectives.error_rate_percent.as_ref();
        let default_rate = default_rate
            .map_or(DEFAULT_ERROR_RATE_PERCENT, |rate| self.percent(rate, "objectives.error_rate_percent"));
        let objectives = self.objectives(raw.objectives, &time_zone);
        let contacts = raw.contacts.into_iter().map(|contact| self.contact(contact)).collect();
        if raw.syncs.is_empty() {
            self.problems.push(Problem {
                line: 0,
                key: "syncs".to_owned(),
                found: "no sync is declared".to_owned(),
                remedy: "add a [[syncs]] table for each Census sync to watch".to_owned(),
            });
        }
        self.unique(&raw.syncs, |sync| (sync.key.get_ref().clone(), &sync.key), "syncs.key");
        self.unique(&raw.syncs, |sync| (sync.id.get_ref().to_string(), &sync.id), "syncs.id");
        for ignored in &raw.syncs {
            if census.ignored_syncs.contains(&SyncId(*ignored.id.get_ref())) {
                let found = format!("{} is declared and also in census.ignored_syncs", ignored.id.get_ref());
                self.refuse(&ignored.id, "syncs.id", found, "remove it from one of the two");
            }
        }
        self.unique(
            &raw.silences,
            |silence| (silence.name.get_ref().clone(), &silence.name),
            "silences.name",
        );
        let notices = self.notices(raw.notices);
        let named = raw.syncs.iter().map(|sync| &sync.key).chain(raw.checks.iter().map(|check| &check.name));
        let named: Vec<&Spanned<String>> = named.collect();
        // A subject is one thing: a notice about a check must not link to a sync.
        self.unique(&named, |name| (name.get_ref().clone(), *name), "checks.name");
        let subjects: Vec<String> = named.iter().map(|name| name.get_ref().clone()).collect();
        let silences =
            raw.silences.into_iter().map(|silence| self.silence(silence, &subjects, &time_zone)).collect();
        let channels = self.channels(raw.channels);
        let syncs = raw.syncs.into_iter().map(|sync| self.sync(sync, default_rate, &time_zone)).collect();
        if let (None, Some(first)) = (&raw.warehouse, raw.checks.first()) {
            let remedy = "add [warehouse] with its driver: checks are asked there";
            self.refuse(&first.name, "warehouse", "missing", remedy);
        }
        let warehouse = raw.warehouse.as_ref().and_then(|warehouse| self.warehouse(warehouse));
        let max_lag = objectives.max_lag;
        let checks =
            warehouse.as_ref().map(|warehouse| self.checks(raw.checks, warehouse.dialect(), max_lag));
        let checks = checks.unwrap_or_default();
        if let (None, Some(snapshot)) = (&raw.warehouse, &raw.snapshot) {
            let remedy = "add [warehouse] with its driver: snapshots are kept there";
            self.refuse(snapshot, "warehouse", "missing", remedy);
        }
        let snapshot = warehouse.as_ref().zip(raw.snapshot);
        let snapshot =
            snapshot.map(|(warehouse, snapshot)| self.snapshot(&snapshot.into_inner(), warehouse.dialect()));
        Pipeline {
            name,
            time_zone,
            runbook_url,
            census,
            objectives,
            contacts,
            notices,
            silences,
            channels,
            syncs,
            warehouse,
            checks,
            snapshot,
        }
    }

    fn unique<'a, T, V: 'a>(
        &mut self,
        items: &'a [T],
        value: impl Fn(&'a T) -> (String, &'a Spanned<V>),
        key: &str,
    ) {
        let mut first_lines = HashMap::new();
        for item in items {
            let (said, at) = value(item);
            let line = self.lines.number(&at.span());
            if let Some(first) = first_lines.get(&said) {
                self.refuse(at, key, format!("`{said}` is used on line {first} already"), "make it unique");
            } else {
                first_lines.insert(said, line);
            }
        }
    }

    fn census(&mut self, raw: RawCensus) -> Census {
        let api_version = match raw.api_version.get_ref().to_ascii_lowercase().as_str() {
            "v1" => ApiVersion::V1,
            "v2" => ApiVersion::V2,
            _ => {
                let found = format!("found \"{}\"", raw.api_version.get_ref());
                self.refuse(&raw.api_version, "census.api_version", found, "use \"v1\" or \"v2\"");
                ApiVersion::V1
            }
        };
        let base_url = self.url(&raw.base_url, "census.base_url", &["https://"]);
        let base_url = base_url.trim_end_matches('/').to_owned();
        if base_url.matches('/').count() > 2 {
            let remedy = "write scheme and host only; the path follows from api_version";
            self.refuse(&raw.base_url, "census.base_url", format!("found a path in \"{base_url}\""), remedy);
        }
        if api_version == ApiVersion::V2 && raw.group_id.is_none() {
            let remedy = "add census.group_id: API V2 is scoped to a Fivetran group";
            self.refuse(&raw.api_version, "census.group_id", "missing", remedy);
        }
        let undeclared_syncs =
            raw.undeclared_syncs.map_or(Undeclared::Warn, |word| match word.get_ref().as_str() {
                "warn" => Undeclared::Warn,
                "ignore" => Undeclared::Ignore,
                other => {
                    let found = format!("found \"{other}\"");
                    self.refuse(&word, "census.undeclared_syncs", found, "use \"warn\" or \"ignore\"");
                    Undeclared::Warn
                }
            });
        Census {
            api_version,
            base_url,
            group_id: raw.group_id.map(Spanned::into_inner),
            undeclared_syncs,
            ignored_syncs: raw.ignored_syncs.into_iter().map(|id| SyncId(id.into_inner())).collect(),
        }
    }

    fn objectives(&mut self, raw: RawObjectives, zone: &TimeZone) -> Objectives {
        let minimum_schedule = raw.minimum_schedule.map(|schedule| {
            let key = "objectives.minimum_schedule";
            let at = Spanned::new(schedule.span(), ());
            let schedule = self.schedule(schedule, key, zone);
            if matches!(schedule.rule, Rule::Every(_) | Rule::OnDemand) {
                let remedy = "use daily_at, weekly_on with at, or cron";
                self.refuse(&at, key, format!("found \"{}\", which has no slots", schedule.rule), remedy);
            }
            schedule
        });
        let success_rate_percent = raw
            .success_rate_percent
            .map_or(95.0, |rate| self.percent(&rate, "objectives.success_rate_percent"));
        let max_lag = raw.max_lag.map(|lag| self.duration(&lag, "objectives.max_lag"));
        Objectives { minimum_schedule, success_rate_percent, max_lag }
    }

    fn contact(&mut self, raw: RawContact) -> Contact {
        if let Some(email) = &raw.email {
            let valid = email.get_ref().split_once('@').is_some_and(|(user, host)| {
                !user.is_empty() && host.contains('.') && !email.get_ref().contains(char::is_whitespace)
            });
            if !valid {
                let found = format!("found \"{}\"", email.get_ref());
                self.refuse(email, "contacts.email", found, "use an address such as \"team@example.com\"");
            }
        }
        if raw.email.is_none() && raw.phone.is_none() {
            self.refuse(&raw.name, "contacts", "neither email nor phone", "add at least one of them");
        }
        Contact {
            name: raw.name.into_inner(),
            role: raw.role.into_inner(),
            email: raw.email.map(Spanned::into_inner),
            phone: raw.phone.map(Spanned::into_inner),
        }
    }

    fn sync(&mut self, raw: RawSync, default_rate: f64, zone: &TimeZone) -> Sync {
        let key = self.name(&raw.key, "syncs.key");
        let role = match raw.role.get_ref().as_str() {
            "create" => Role::Create,
            "update" => Role::Update,
            "other" => Role::Other,
            word => {
                let found = format!("found \"{word}\"");
                self.refuse(&raw.role, "syncs.role", found, "use \"create\", \"update\" or \"other\"");
                Role::Other
            }
        };
        let runtime_target = raw.runtime_target.map(|target| self.duration(&target, "syncs.runtime_target"));
        let stuck_after = raw.stuck_after.map(|limit| {
            let stuck_after = self.duration(&limit, "syncs.stuck_after");
            if runtime_target.is_some_and(|target| stuck_after < target) {
                let remedy = "a run cannot be stuck before its target; raise it or leave it out";
                self.refuse(&limit, "syncs.stuck_after", "shorter than runtime_target", remedy);
            }
            stuck_after
        });
        let stuck_after = stuck_after
            .or_else(|| runtime_target?.checked_mul(DEFAULT_STUCK_FACTOR))
            .unwrap_or(DEFAULT_STUCK_AFTER);
        let schedule = self.schedule(raw.schedule, "syncs.schedule", zone);
        let error_rate_percent = raw
            .error_rate_percent
            .map_or(default_rate, |rate| self.percent(&rate, "syncs.error_rate_percent"));
        let skipped_runs_limit = raw.skipped_runs_limit.map_or(DEFAULT_SKIPPED_RUNS_LIMIT, |limit| {
            // Judged on the newest page of runs, so a limit beyond it could never be reached.
            match usize::try_from(*limit.get_ref()) {
                Ok(count @ 1..=20) => count,
                _ => {
                    let found = format!("found {}", limit.get_ref());
                    self.refuse(&limit, "syncs.skipped_runs_limit", found, "use a number from 1 to 20");
                    DEFAULT_SKIPPED_RUNS_LIMIT
                }
            }
        });
        if *raw.id.get_ref() == 0 {
            self.refuse(&raw.id, "syncs.id", "found 0", "use the id that Census shows in the sync's URL");
        }
        Sync {
            key,
            id: SyncId(*raw.id.get_ref()),
            role,
            schedule,
            runtime_target,
            stuck_after,
            error_rate_percent,
            error_rate_min_records: raw
                .error_rate_min_records
                .map_or(DEFAULT_ERROR_RATE_MIN_RECORDS, Spanned::into_inner),
            skipped_runs_limit,
        }
    }

    fn schedule(&mut self, raw: Spanned<RawSchedule>, key: &str, pipeline_zone: &TimeZone) -> Schedule {
        let at_key = |field: &str| format!("{key}.{field}");
        let span = raw.span();
        let whole = Spanned::new(span, ());
        let raw = raw.into_inner();
        let time_zone = raw
            .time_zone
            .as_ref()
            .map_or(pipeline_zone.clone(), |zone| self.zone(zone, &at_key("time_zone")));
        let grace = raw.grace.as_ref().map_or(DEFAULT_GRACE, |grace| self.duration(grace, &at_key("grace")));
        let mut rules = Vec::new();
        if let Some(every) = &raw.every {
            let period = self.duration(every, &at_key("every"));
            if period < SignedDuration::from_mins(1) {
                let found = format!("found \"{}\"", every.get_ref());
                self.refuse(
                    every,
                    &at_key("every"),
                    found,
                    "Census runs nothing more often than every minute",
                );
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
            match Cron::parse(expression.get_ref(), time_zone.iana_name().unwrap_or("UTC")) {
                Ok(cron) => rules.push(Rule::Cron(cron)),
                Err(found) => {
                    let remedy = "write five fields: minute hour day-of-month month day-of-week";
                    self.refuse(expression, &at_key("cron"), found, remedy);
                    return Schedule { rule: Rule::OnDemand, time_zone, grace };
                }
            }
        }
        match &raw.on_demand {
            Some(flag) if *flag.get_ref() => rules.push(Rule::OnDemand),
            Some(flag) => {
                self.refuse(flag, &at_key("on_demand"), "found false", "write true or leave it out");
            }
            None => {}
        }
        if rules.len() != 1 {
            let found = if rules.is_empty() { "no rule" } else { "more than one rule" };
            let remedy = "give exactly one of every, daily_at, weekly_on with at, cron, on_demand";
            self.refuse(&whole, key, found, remedy);
        }
        Schedule { rule: rules.pop().unwrap_or(Rule::OnDemand), time_zone, grace }
    }

    fn name(&mut self, name: &Spanned<String>, key: &str) -> String {
        let text = name.get_ref();
        let valid = (1..=64).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !valid {
            self.refuse(name, key, format!("found \"{text}\""), NAME);
        }
        text.clone()
    }

    fn zone(&mut self, zone: &Spanned<String>, key: &str) -> TimeZone {
        TimeZone::get(zone.get_ref()).unwrap_or_else(|_| {
            self.refuse(zone, key, format!("\"{}\" is no time zone", zone.get_ref()), ZONE);
            TimeZone::UTC
        })
    }

    fn time(&mut self, time: &Spanned<String>, key: &str) -> Time {
        Time::strptime("%H:%M", time.get_ref()).unwrap_or_else(|_| {
            self.refuse(time, key, format!("\"{}\" is no time of day", time.get_ref()), TIME);
            Time::midnight()
        })
    }

    fn weekday(&mut self, day: &Spanned<String>, key: &str) -> Weekday {
        weekday_named(day.get_ref()).unwrap_or_else(|| {
            let found = format!("\"{}\" is no weekday", day.get_ref());
            self.refuse(day, key, found, "use \"Monday\" to \"Sunday\"");
            Weekday::Monday
        })
    }

    fn duration(&mut self, text: &Spanned<String>, key: &str) -> SignedDuration {
        match text.get_ref().parse::<SignedDuration>() {
            Ok(duration)
                if duration > SignedDuration::ZERO && duration <= SignedDuration::from_hours(24 * 366) =>
            {
                duration
            }
            Ok(_) => {
                let found = format!("\"{}\" is not between a second and a year", text.get_ref());
                self.refuse(text, key, found, DURATION);
                SignedDuration::from_mins(1)
            }
            Err(_) => {
                self.refuse(text, key, format!("\"{}\" is no length of time", text.get_ref()), DURATION);
                SignedDuration::from_mins(1)
            }
        }
    }

    fn percent(&mut self, percent: &Spanned<f64>, key: &str) -> f64 {
        let value = *percent.get_ref();
        if !(0.0..=100.0).contains(&value) {
            self.refuse(percent, key, format!("found {value}"), PERCENT);
        }
        value
    }

    fn url(&mut self, url: &Spanned<String>, key: &str, schemes: &[&str]) -> String {
        let text = url.get_ref();
        let host = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
        let well_formed = host.is_some_and(|host| {
            !host.is_empty()
                && !host.starts_with('/')
                && !host.contains('@')
                && !host.contains(char::is_whitespace)
        });
        if !well_formed {
            // An address may carry a password by mistake, so it is not repeated.
            self.refuse(
                url,
                key,
                "not an address of the allowed form",
                format!("begin with {} and name a host, without user or password", schemes.join(" or ")),
            );
        }
        text.clone()
    }
}
