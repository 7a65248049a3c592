//! The words of `syncwatch check-config`: everything that a pipeline declares, and who is alerted when.

use std::collections::BTreeSet;
use std::fmt;

use super::{
    Addresses, ApiVersion, Channel, Channels, Class, Contact, Level, Mode, Pipeline, Remedies, Snapshot,
    Sync, Terms, Undeclared, Warehouse,
};
use crate::finding::{Check, Severity, SubjectKind, WAREHOUSE};
use crate::incident::{Agreement, Flapping, stops_data};
use crate::schedule::Rule;
use crate::text::words;

/// When and how a check alerts.
struct Alert {
    name: String,
    agreement: Agreement,
    /// The lowest and the highest severity at the beginning.
    severity: (Severity, Severity),
    /// When it becomes critical later.
    critical: Option<String>,
}

impl Alert {
    fn words(&self, channels: &Channels) -> String {
        let when = match self.agreement {
            Agreement { need: 1, of: 1 } => "at once".to_owned(),
            agreement => format!("after {agreement} evaluations"),
        };
        let (lowest, highest) = self.severity;
        let severity = if lowest == highest { lowest.to_string() } else { format!("{lowest} to {highest}") };
        let critical = self.critical.as_ref().filter(|_| lowest < Severity::Critical);
        let critical = critical.map_or(String::new(), |when| format!(", critical once {when}"));
        let by = |class: Class, name: &str| match channels.lowest(class) {
            Some(limit) if lowest >= limit => format!(", {name}"),
            Some(Severity::Critical) if self.reaches(Severity::Critical) => format!(", {name} if critical"),
            Some(limit) if self.reaches(limit) => format!(", {name} from {limit}"),
            _ => String::new(),
        };
        let channels = [(Class::Mail, "HTML mail"), (Class::Chat, "chat"), (Class::Pager, "PagerDuty")];
        let channels = channels.map(|(class, name)| by(class, name)).concat();
        format!("{when}: {severity}{critical}; mail{channels}")
    }

    /// Returns whether it may get this severe.
    fn reaches(&self, limit: Severity) -> bool {
        self.severity.1 >= limit || self.critical.is_some()
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = match self.census.api_version {
            ApiVersion::V1 => "API V1 (announced to end on 2027-01-15)",
            ApiVersion::V2 => "API V2",
        };
        let syncs = if self.syncs.len() == 1 { "sync" } else { "syncs" };
        let zone = self.time_zone.iana_name().unwrap_or("UTC");
        let Terms { records, destination, audience, required_value } = &self.terms;
        writeln!(f, "Pipeline {}: {} {syncs}, times in {zone}", self.name, self.syncs.len())?;
        writeln!(f, "Census at {}, {version}", self.census.base_url)?;
        writeln!(
            f,
            "Terms in notices: \"{records}\" in \"{destination}\", used by \"{audience}\"; each needs a \"{required_value}\""
        )?;
        if let Some(owner) = &self.owner {
            writeln!(f, "Owner: {owner}, unless a sync or check names another")?;
        }
        if let Some(url) = &self.status_page_url {
            writeln!(f, "Status page: {url}")?;
        }
        for sync in &self.syncs {
            sync_in_words(sync, f)?;
        }
        writeln!(f, "\nAll syncs")?;
        if let Some(minimum) = &self.objectives.minimum_schedule {
            writeln!(
                f,
                "  at least one run since each slot: {minimum}, with {} of grace",
                words(minimum.grace)
            )?;
        }
        let rate = format!("{}% of the runs of seven days succeed", self.objectives.success_rate_percent);
        match &self.snapshot {
            Some(_) => writeln!(f, "  {rate}, checked at each snapshot")?,
            None => writeln!(f, "  {rate}, not checked: there is no [snapshot]")?,
        }
        if let Some(lag) = self.objectives.max_lag.map(words) {
            writeln!(f, "  a change arrives within {lag}, unless a freshness check has its own max_lag")?;
        }
        match self.census.undeclared_syncs {
            Undeclared::Warn => writeln!(f, "  alert on undeclared syncs of the workspace")?,
            Undeclared::Ignore => writeln!(f, "  ignore undeclared syncs of the workspace")?,
        }
        self.checks_in_words(f)?;
        self.objects_in_words(f)?;
        self.remedies_in_words(f)?;
        self.notices_in_words(f)?;
        self.channels_in_words(f)?;
        self.contacts_in_words(f)?;
        self.alerts_in_words(f)
    }
}

fn sync_in_words(sync: &Sync, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Sync { schedule, error_rate_percent: rate, error_rate_min_records: least, .. } = sync;
    writeln!(f, "\n{} (Census sync {}, role {})", sync.key, sync.id, sync.role)?;
    let (grace, stuck) = (words(schedule.grace), words(sync.stuck_after));
    match schedule.rule {
        Rule::OnDemand => writeln!(f, "  runs on demand, so a run is never late")?,
        _ => writeln!(f, "  runs {schedule}; a run is late once it is {grace} overdue")?,
    }
    match sync.runtime_target.map(words) {
        Some(target) => writeln!(f, "  a run should end within {target}; it is stuck after {stuck}")?,
        None => writeln!(f, "  a run has no runtime target; it is stuck after {stuck}")?,
    }
    writeln!(
        f,
        "  at most {rate}% of records may fail or be invalid, computed from {least} records or more"
    )?;
    writeln!(f, "  {} runs skipped in a row are too many", sync.skipped_runs_limit)?;
    if let Some(owner) = &sync.owner {
        writeln!(f, "  owned by {owner}")?;
    }
    if let Some(url) = &sync.object_url {
        writeln!(f, "  records at {url}")?;
    }
    if sync.unique_external_id {
        writeln!(f, "  its external id is unique in the destination, as people checked there")?;
    }
    Ok(())
}

impl Pipeline {
    fn checks_in_words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warehouse = match &self.warehouse {
            Some(Warehouse::Databricks { host, warehouse_id }) => {
                format!("Databricks at {host}, SQL warehouse {warehouse_id}")
            }
            Some(Warehouse::Odbc { dialect }) => {
                format!("an ODBC warehouse, dialect {}", format!("{dialect:?}").to_lowercase())
            }
            None => return writeln!(f, "\nNo data is checked: there is no [warehouse]"),
        };
        let tables: BTreeSet<&str> = self.checks.iter().map(|check| check.table.as_str()).collect();
        writeln!(f, "\nData: {} checks on {} tables of {warehouse}", self.checks.len(), tables.len())?;
        for table in tables {
            writeln!(f, "  {table}")?;
            for check in self.checks.iter().filter(|check| check.table == table) {
                write!(f, "    {} [{}]: {check}", check.name, check.severity)?;
                if let Some(owner) = &check.owner {
                    write!(f, ", owned by {owner}")?;
                }
                if let Some(url) = &check.object_url {
                    write!(f, ", records at {url}")?;
                }
                writeln!(f)?;
            }
        }
        match &self.snapshot {
            Some(Snapshot { audit_log, health_view: Some(view), .. }) => {
                writeln!(f, "  nightly snapshot: the runs and the figures of {view}, written to {audit_log}")
            }
            Some(Snapshot { audit_log: log, health_view: None, .. }) => {
                writeln!(
                    f,
                    "  nightly snapshot: the runs, written to {log}; no figures of the data: no health_view"
                )
            }
            None => return writeln!(f, "  no nightly snapshot: there is no [snapshot]"),
        }?;
        let days = self.expectations.watch_days;
        writeln!(f, "  figures are judged by their own history once it has {days} days")?;
        for quiet in &self.quiet_days {
            writeln!(f, "    except on {quiet}")?;
        }
        for (check, mode) in &self.expectations.modes {
            match mode {
                Mode::Alert => writeln!(f, "    {check}: alerts")?,
                Mode::Watch => writeln!(f, "    {check}: listed only")?,
                Mode::Off => writeln!(f, "    {check}: off")?,
            }
        }
        Ok(())
    }

    fn remedies_in_words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remedies { level, levels, min_gain, usd_per_hour, usd_per_day, max_clusters } = &self.remedies;
        let level = match level {
            Level::Off => "off: none is judged",
            Level::Advise => "advise: judged up to the act, and scored; none acts",
            Level::Act => "act: those that are safe act by themselves, the others ask",
        };
        writeln!(f, "\nRemedies: {level}")?;
        for (kind, own) in levels {
            writeln!(f, "  {kind}: {own}")?;
        }
        writeln!(f, "  a scheduled start within {} is waited for", words(*min_gain))?;
        match (usd_per_hour, usd_per_day) {
            (Some(hour), Some(day)) => {
                writeln!(f, "  the SQL warehouse costs {hour} USD an hour; at most {day} USD in 24 hours")?;
            }
            (Some(hour), None) => {
                writeln!(f, "  the SQL warehouse costs {hour} USD an hour, without a limit for 24 hours")?;
            }
            _ => {}
        }
        if let Some(clusters) = max_clusters {
            writeln!(f, "  the SQL warehouse may get up to {clusters} clusters for two hours")?;
        }
        Ok(())
    }

    fn objects_in_words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.objects.is_empty() {
            writeln!(f, "\nObjects that `syncwatch reconcile` compares")?;
        }
        for object in &self.objects {
            write!(f, "  {}: {object}", object.name)?;
            if let Some(owner) = &object.owner {
                write!(f, ", owned by {owner}")?;
            }
            writeln!(f)?;
            for field in &object.fields {
                writeln!(f, "    {field}")?;
            }
        }
        Ok(())
    }

    fn notices_in_words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = &self.notices;
        let [first, most, stopped] =
            [policy.remind_after, policy.remind_at_most, policy.stopped_after].map(words);
        let Flapping { openings, within, quiet } = policy.flapping;
        let [within, quiet] = [within, quiet].map(words);
        writeln!(f, "\nAlerts are sent")?;
        writeln!(
            f,
            "  when a problem begins, gets worse and ends; reminders after {first}, then at growing gaps up to {most}"
        )?;
        writeln!(
            f,
            "  as flapping, once a problem begins {openings} times within {within}; it then ends after {quiet} without it"
        )?;
        writeln!(f, "  as stopped reporting, once a check could not be evaluated for {stopped}")?;
        for (declared, event) in [(&policy.open_after, "begins"), (&policy.resolve_after, "ends")] {
            for (check, agreement) in declared {
                writeln!(f, "  {check} {event} once {agreement} evaluations agree")?;
            }
        }
        for silence in &self.silences {
            writeln!(f, "  not during silence {silence}")?;
        }
        Ok(())
    }

    fn channels_in_words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nChannels besides the topic's mail")?;
        for channel in &self.channels.0 {
            let Channel { name, kind, lowest, mail } = channel;
            let severities = match lowest {
                Severity::Critical => "critical".to_owned(),
                lowest => format!("{lowest} and worse"),
            };
            write!(f, "  {name} ({kind}): {severities}")?;
            if let Some(Addresses { from, to }) = mail {
                write!(f, ", from {from} to {}", to.join(", "))?;
            }
            let default = self.channels.get(kind.class().default_channel());
            let instead = default.map_or(String::new(), |default| format!(", instead of {}", default.name));
            let owners: Vec<&str> = self.owners_of(name).collect();
            match owners.join(" and ") {
                _ if channel.is_default() => writeln!(f)?,
                owners if owners.is_empty() => writeln!(f, ", unused: no contact names it")?,
                owners => writeln!(f, ", for {owners}{instead}")?,
            }
        }
        for default in
            Class::ALL.into_iter().filter(|class| class.needs_default()).map(Class::default_channel)
        {
            if self.channels.get(default).is_none() {
                writeln!(f, "  {default}: not declared")?;
            }
        }
        Ok(())
    }

    /// The contacts whose notices go to this channel instead of the default one.
    fn owners_of<'a>(&'a self, channel: &'a str) -> impl Iterator<Item = &'a str> {
        let owners =
            self.contacts.iter().filter(move |contact| contact.channels.iter().any(|name| name == channel));
        owners.map(|contact| contact.name.as_str())
    }

    fn contacts_in_words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.contacts.is_empty() {
            writeln!(f, "\nContacts")?;
        }
        for contact in &self.contacts {
            let Contact { name, role, slack, escalate_to, .. } = contact;
            write!(f, "  {name} ({role}): {}", contact.reach())?;
            if let Some(id) = slack {
                write!(f, ", Slack {id}")?;
            }
            if let Some(next) = escalate_to {
                write!(f, "; escalates to {next}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    /// Lists when each check alerts and by which channels; checks that never page are last.
    fn alerts_in_words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alerts: Vec<Alert> = self.alerts().collect();
        let width = alerts.iter().map(|alert| alert.name.chars().count()).max().unwrap_or(0);
        let pages =
            |alert: &&Alert| self.channels.lowest(Class::Pager).is_some_and(|lowest| alert.reaches(lowest));
        let (paging, others): (Vec<&Alert>, Vec<&Alert>) = alerts.iter().partition(pages);
        for (heading, alerts) in [("Checks that page", paging), ("Checks that never page", others)] {
            if alerts.is_empty() {
                continue;
            }
            writeln!(f, "\n{heading}")?;
            for alert in alerts {
                writeln!(f, "  {:width$}  {}", alert.name, alert.words(&self.channels))?;
            }
        }
        Ok(())
    }

    /// Returns how each declared check alerts, and those of a sync that differ.
    fn alerts(&self) -> impl Iterator<Item = Alert> {
        let built_in = Check::ALL.iter().copied().filter(|check| match check {
            Check::WarehouseReachable => self.is_about_data(WAREHOUSE),
            Check::ChecksRan => !self.checks.is_empty(),
            Check::SnapshotWritten | Check::SuccessRate => self.snapshot.is_some(),
            check if check.learns() => {
                self.snapshot.is_some() && self.expectations.mode(*check) == Mode::Alert
            }
            check if check.subject_kind() == SubjectKind::Object => !self.objects.is_empty(),
            check => check.subject_kind() != SubjectKind::Data,
        });
        let general = built_in.clone().map(|check| self.alert(check.id().to_owned(), check, ""));
        let of_data = self.checks.iter().map(|declared| {
            let worst =
                if declared.check() == Check::Coverage { Severity::Critical } else { declared.severity };
            let alert = self.alert(declared.name.clone(), declared.check(), &declared.name);
            let judged = (declared.severity, declared.severity.max(worst));
            let declared = self.urgency(declared.check(), &declared.name).severity;
            Alert { severity: declared.map_or(judged, |severity| (severity, severity)), ..alert }
        });
        let of_syncs = self.syncs.iter().flat_map(move |sync| {
            let checks = built_in.clone().filter(move |check| {
                let stops = sync.critical_after.is_some() && stops_data(*check);
                stops || sync.severity.contains_key(check)
            });
            checks.map(move |check| self.alert(format!("{check} of {}", sync.key), check, &sync.key))
        });
        general.chain(of_syncs).chain(of_data)
    }

    fn alert(&self, name: String, check: Check, subject: &str) -> Alert {
        let urgency = self.urgency(check, subject);
        let agreement = self.notices.opens(check);
        let severity = urgency.severity.map_or_else(|| check.severities(), |severity| (severity, severity));
        let after = urgency.after.map(|limit| format!("it lasts {}", words(limit)));
        let slot = urgency.slots.map(|_| "the next slot of the minimum schedule passes".to_owned());
        let critical: Vec<String> = after.into_iter().chain(slot).collect();
        let critical = (!critical.is_empty()).then(|| critical.join(" or "));
        Alert { name, agreement, severity, critical }
    }
}
