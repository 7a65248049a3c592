//! A pipeline in words: what will be watched, and what counts as wrong.

use std::collections::BTreeSet;
use std::fmt;

use super::{ApiVersion, Channels, Pipeline, Snapshot, Sync, Undeclared, Warehouse};
use crate::finding::{Check, Severity, SubjectKind, WAREHOUSE};
use crate::incident::{Agreement, Flapping, stops_data};
use crate::schedule::Rule;
use crate::text::words;

/// When a check alerts.
struct Alert {
    name: String,
    looks: Agreement,
    /// The least and the greatest severity at first.
    severity: (Severity, Severity),
    /// By what it becomes critical in time.
    critical: Option<String>,
}

impl Alert {
    fn words(&self, channels: &Channels) -> String {
        let looks = match self.looks {
            Agreement { need: 1, of: 1 } => "at once".to_owned(),
            looks => format!("after {looks} looks"),
        };
        let (least, greatest) = self.severity;
        let severity = if least == greatest { least.to_string() } else { format!("{least} to {greatest}") };
        let critical = self.critical.as_ref().map_or(String::new(), |when| format!(", critical once {when}"));
        let chat = match channels.chat {
            Some(lowest) if least >= lowest => ", chat",
            Some(lowest) if greatest >= lowest || self.critical.is_some() => ", chat when severe",
            _ => "",
        };
        let page = match channels.pagerduty {
            Some(lowest) if least >= lowest => ", PagerDuty",
            Some(lowest) if greatest >= lowest => ", PagerDuty when severe",
            Some(_) if self.critical.is_some() => ", PagerDuty once critical",
            _ => "",
        };
        format!("{looks}: {severity}{critical}; mail{chat}{page}")
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
        writeln!(f, "Pipeline {}: {} {syncs} watched, times of day in {zone}", self.name, self.syncs.len())?;
        writeln!(f, "Census at {}, {version}", self.census.base_url)?;
        for sync in &self.syncs {
            writeln!(f, "\n{} (Census sync {}, role {})", sync.key, sync.id, sync.role)?;
            let Sync { schedule, error_rate_percent: rate, error_rate_min_records: least, .. } = sync;
            let (grace, stuck) = (words(schedule.grace), words(sync.stuck_after));
            match schedule.rule {
                Rule::OnDemand => writeln!(f, "  runs on demand; no run is ever due")?,
                _ => writeln!(f, "  runs {schedule}; a run is late once it is {grace} overdue")?,
            }
            match sync.runtime_target.map(words) {
                Some(target) => {
                    writeln!(f, "  a run should end within {target}, and is stuck after {stuck}")?;
                }
                None => writeln!(f, "  no runtime is promised; a run is stuck after {stuck}")?,
            }
            writeln!(
                f,
                "  at most {rate}% of records may fail or be invalid, judged on {least} records or more"
            )?;
            writeln!(f, "  {} runs skipped in a row are too many", sync.skipped_runs_limit)?;
        }
        writeln!(f, "\nFor all of them")?;
        if let Some(minimum) = &self.objectives.minimum_schedule {
            let grace = words(minimum.grace);
            writeln!(f, "  at least one run since each slot of {minimum}, told {grace} later")?;
        }
        let rate = format!("{}% of the runs of seven days succeed", self.objectives.success_rate_percent);
        match &self.snapshot {
            Some(_) => writeln!(f, "  {rate}, judged at each snapshot")?,
            None => writeln!(f, "  promised, and not watched without [snapshot]: {rate}")?,
        }
        if let Some(lag) = self.objectives.max_lag.map(words) {
            writeln!(f, "  a change arrives within {lag}, where a freshness check says nothing else")?;
        }
        match self.census.undeclared_syncs {
            Undeclared::Warn => writeln!(f, "  a sync of the workspace that is not declared here is told")?,
            Undeclared::Ignore => writeln!(f, "  other syncs of the workspace are ignored")?,
        }
        self.checks_in_words(f)?;
        self.notices_in_words(f)?;
        for contact in &self.contacts {
            writeln!(f, "  contact: {} ({}), {}", contact.name, contact.role, contact.reach())?;
        }
        self.alerts_in_words(f)
    }
}

impl Pipeline {
    fn checks_in_words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warehouse = match &self.warehouse {
            Some(Warehouse::Databricks { host, warehouse_id }) => {
                format!("Databricks at {host}, SQL warehouse {warehouse_id}")
            }
            Some(Warehouse::Odbc { dialect }) => format!("a warehouse behind ODBC that speaks {dialect:?}"),
            None => return writeln!(f, "\nNo data is checked: there is no [warehouse]"),
        };
        let tables: BTreeSet<&str> = self.checks.iter().map(|check| check.table.as_str()).collect();
        writeln!(f, "\nData: {} checks on {} tables of {warehouse}", self.checks.len(), tables.len())?;
        for table in tables {
            writeln!(f, "  {table}")?;
            for check in self.checks.iter().filter(|check| check.table == table) {
                let owner =
                    check.owner.as_ref().map_or(String::new(), |owner| format!(", looked after by {owner}"));
                writeln!(f, "    {} [{}]: {check}{owner}", check.name, check.severity)?;
            }
        }
        match &self.snapshot {
            Some(Snapshot { audit_log, health_view: Some(view) }) => {
                writeln!(f, "  each night runs and the figures of {view} are kept in {audit_log}")
            }
            Some(Snapshot { audit_log: log, health_view: None }) => {
                writeln!(f, "  each night runs are kept in {log}, and no figures of the data: no health_view")
            }
            None => writeln!(f, "  no snapshot is kept: there is no [snapshot]"),
        }
    }

    fn notices_in_words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = &self.notices;
        let [first, most, stopped] =
            [policy.remind_after, policy.remind_at_most, policy.stopped_after].map(words);
        let Flapping { openings, within, quiet } = policy.flapping;
        let [within, quiet] = [within, quiet].map(words);
        writeln!(f, "\nPeople are told")?;
        writeln!(
            f,
            "  once when it begins, when it becomes worse, again after {first} and at growing gaps up to {most}, and when it ends"
        )?;
        writeln!(
            f,
            "  that it flaps, once it begins {openings} times within {within}; it then ends after {quiet} of quiet"
        )?;
        writeln!(f, "  that nobody can say whether it still is, once it could not be judged for {stopped}")?;
        for (declared, what) in [(&policy.open_after, "begins"), (&policy.resolve_after, "ends")] {
            for (check, agreement) in declared {
                writeln!(f, "  {check} {what} once {agreement} looks agree")?;
            }
        }
        for (channel, lowest) in [("PagerDuty", self.channels.pagerduty), ("the chat", self.channels.chat)] {
            match lowest {
                Some(severity) => writeln!(f, "  by {channel}: {severity} and worse")?,
                None => writeln!(f, "  not by {channel}")?,
            }
        }
        for silence in &self.silences {
            writeln!(f, "  not while silenced: {silence}")?;
        }
        Ok(())
    }

    /// For each check when it alerts and whom, the ones that never page last.
    fn alerts_in_words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alerts: Vec<Alert> = self.alerts().collect();
        let width = alerts.iter().map(|alert| alert.name.chars().count()).max().unwrap_or(0);
        let pages = |alert: &&Alert| {
            self.channels
                .pagerduty
                .is_some_and(|lowest| alert.critical.is_some() || alert.severity.1 >= lowest)
        };
        let (paging, others): (Vec<&Alert>, Vec<&Alert>) = alerts.iter().partition(pages);
        for (heading, alerts) in [("These page", paging), ("These never page", others)] {
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

    /// How each check that is declared alerts; of a sync only those that alert otherwise than elsewhere.
    fn alerts(&self) -> impl Iterator<Item = Alert> {
        let built_in = Check::ALL.iter().copied().filter(|check| match check {
            Check::WarehouseReachable => self.is_about_data(WAREHOUSE),
            Check::ChecksRan => !self.checks.is_empty(),
            Check::SnapshotWritten | Check::SuccessRate => self.snapshot.is_some(),
            check => check.subject_kind() != SubjectKind::Data,
        });
        let general = built_in.clone().map(|check| self.alert(check.id().to_owned(), check, ""));
        let of_data = self.checks.iter().map(|declared| {
            let least =
                if declared.check() == Check::Coverage { Severity::Critical } else { declared.severity };
            let alert = self.alert(declared.name.clone(), declared.check(), &declared.name);
            let judged = (declared.severity, declared.severity.max(least));
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
        let looks = self.notices.opens(check);
        let severity = urgency.severity.map_or_else(|| check.severities(), |severity| (severity, severity));
        let after = urgency.after.map(|limit| format!("it lasts {}", words(limit)));
        let slot = urgency.slots.map(|_| "the next slot of the minimum schedule passes".to_owned());
        let critical: Vec<String> = after.into_iter().chain(slot).collect();
        let critical = (!critical.is_empty()).then(|| critical.join(" or "));
        Alert { name, looks, severity, critical }
    }
}
