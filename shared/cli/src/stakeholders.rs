//! Notices to the people who use the data: launch, incident and all-clear.
//!
//! Figures in, text out: `crate::figures` collects them, and none is typed by hand. An unavailable figure shows its
//! reason in its place, so a notice has no blanks; `judge` refuses a notice that claims something unknown. Texts are
//! templates in `infra/runbook`, embedded at build time.

use std::fmt;

use clap::ValueEnum;
use jiff::Timestamp;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::Error;
use syncwatch::incident::{Incident, IncidentKey, State};
use syncwatch::observation::{Run, RunStatus};
use syncwatch::page::STYLE;
use syncwatch::pipeline::{Contact, Pipeline};
use syncwatch::text::{self, counted, grouped, marked, minute_utc, words};

/// Kind of a stakeholder notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Launch,
    Incident,
    AllClear,
}

/// As on the command line: `launch`, `incident` or `all-clear`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The row of the view `daily_health_check`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Health {
    /// Properties that are not deleted.
    pub(crate) total: u64,
    /// Of these, the properties in the destination.
    pub(crate) synced: u64,
    /// In percent to two digits; `None` if there are no properties.
    pub(crate) coverage_percent: Option<f64>,
    /// The view's rating: `excellent`, `good`, `poor` or `no data`.
    pub(crate) coverage_status: String,
    pub(crate) to_create: u64,
    pub(crate) to_update: u64,
    pub(crate) null_companies: u64,
    /// Properties with more than one record in the destination.
    pub(crate) duplicates: u64,
}

/// The figures of a notice; an unavailable one is an error.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) health: Result<Health, Error>,
    /// Open incidents: those that alerted and are not resolved.
    pub(crate) open: Result<Vec<Incident>, Error>,
    /// Newest run of each declared sync, in the pipeline's order; `None` if it has never run.
    pub(crate) last_runs: Vec<Result<Option<Run>, Error>>,
    /// The incident that was named; the inner `None` means that it does not exist.
    pub(crate) incident: Option<(IncidentKey, Result<Option<Incident>, Error>)>,
}

/// A notice as text and as HTML.
pub(crate) struct Notice {
    /// The first line is the subject.
    pub(crate) text: String,
    /// A complete page with all values escaped.
    pub(crate) html: String,
}

/// Renders a notice, unless it would claim something false or unknown. `now` is the time of the figures.
pub(crate) fn render(
    kind: Kind,
    figures: &Figures,
    pipeline: &Pipeline,
    now: Timestamp,
) -> Result<Notice, Error> {
    judge(kind, figures)?;
    let context = context(figures, pipeline, now);
    let templates = templates().map_err(|error| Error::plain(format!("invalid template: {error}")))?;
    let written = |form: &str| {
        let name = format!("{kind}.{form}");
        let template = templates.get_template(&name);
        let text = template.and_then(|template| template.render(Serde(&context)));
        text.map_err(|error| Error::plain(format!("invalid template {name}: {error}")))
    };
    Ok(Notice { text: written("txt")?, html: written("html")? })
}

/// Checks the claims of a notice; the error names one that is false or unknown.
fn judge(kind: Kind, figures: &Figures) -> Result<(), Error> {
    const LIST: &str = "`syncwatch incidents` lists open incidents";
    let unsure = |why: &Error| {
        Err(Error::plain(format!("no all-clear: the incidents are unknown ({})", in_one_line(why))))
    };
    let still_open = |open: &[&IncidentKey]| {
        let open: Vec<String> = open.iter().map(ToString::to_string).collect();
        Err(Error::new(
            format!("no all-clear yet: {} still open", open.join(", ")),
            "resolve the incidents first",
        ))
    };
    match (kind, &figures.incident, &figures.open) {
        (Kind::Launch, _, Ok(_)) => Ok(()),
        // A launch notice claims that the pipeline is monitored.
        (Kind::Launch, _, Err(why)) => {
            Err(Error::plain(format!("no launch notice: monitoring is unconfirmed ({})", in_one_line(why))))
        }
        (_, Some((key, Ok(None))), _) => Err(Error::new(format!("unknown incident {key}"), LIST)),
        (Kind::Incident, Some((key, Ok(Some(incident)))), _) if incident.state != State::Open => {
            Err(Error::new(format!("{key} is not open"), LIST))
        }
        (Kind::Incident, None, Ok(open)) if open.is_empty() => {
            Err(Error::plain("no incident is open, so there is nothing to announce"))
        }
        // An incident can be announced without all figures; an all-clear cannot.
        (Kind::Incident, ..) => Ok(()),
        (Kind::AllClear, Some((_, Err(why))), _) | (Kind::AllClear, None, Err(why)) => unsure(why),
        (Kind::AllClear, Some((key, Ok(Some(incident)))), _) if incident.state != State::Resolved => {
            still_open(&[key])
        }
        (Kind::AllClear, _, Ok(open)) if !open.is_empty() => {
            still_open(&open.iter().map(|incident| &incident.key).collect::<Vec<_>>())
        }
        // Readers take an all-clear as global, even when it names one incident.
        (Kind::AllClear, Some(_), Err(why)) => unsure(why),
        (Kind::AllClear, ..) => Ok(()),
    }
}

/// Templates by file name.
const TEMPLATES: [(&str, &str); 11] = [
    ("head.html", include_str!("../../../infra/runbook/head.html")),
    ("launch.txt", include_str!("../../../infra/runbook/launch.txt")),
    ("launch.html", include_str!("../../../infra/runbook/launch.html")),
    ("incident.txt", include_str!("../../../infra/runbook/incident.txt")),
    ("incident.html", include_str!("../../../infra/runbook/incident.html")),
    ("all-clear.txt", include_str!("../../../infra/runbook/all-clear.txt")),
    ("all-clear.html", include_str!("../../../infra/runbook/all-clear.html")),
    ("figures.txt", include_str!("../../../infra/runbook/figures.txt")),
    ("figures.html", include_str!("../../../infra/runbook/figures.html")),
    ("contacts.txt", include_str!("../../../infra/runbook/contacts.txt")),
    ("contacts.html", include_str!("../../../infra/runbook/contacts.html")),
];

/// Loads the templates. The library escapes values in `.html` files; an undefined name is an error, not a blank.
fn templates() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    for (name, text) in TEMPLATES {
        environment.add_template(name, text)?;
    }
    Ok(environment)
}

/// Builds the values that templates use, all as text.
fn context(figures: &Figures, pipeline: &Pipeline, now: Timestamp) -> Value {
    let health = |words: &dyn Fn(&Health) -> String| known(&figures.health, words);
    let mut open: Vec<&Incident> = figures.open.iter().flatten().collect();
    open.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.key.cmp(&b.key)));
    let syncs = pipeline.syncs.iter().enumerate().map(|(index, sync)| {
        let last_run = match figures.last_runs.get(index) {
            Some(run) => known(run, |run| {
                run.as_ref().map_or_else(|| "never run".to_owned(), |run| last_run(run, now))
            }),
            None => not_available("not looked up"),
        };
        json!({ "key": sync.key, "role": sync.role.to_string(), "last_run": last_run })
    });
    let (syncs_watched, checks) =
        (counted(pipeline.syncs.len(), "sync"), counted(pipeline.checks.len(), "data check"));
    json!({
        "pipeline": pipeline.name,
        // The notices look like the status page.
        "style": STYLE,
        "page": pipeline.status_page_url,
        "at": format!("{} ({})", local(now, pipeline), minute_utc(now)),
        "watches": format!("{syncs_watched} and {checks}"),
        "coverage": health(&|health| health.coverage(&pipeline.terms.records)),
        "waiting": health(&|health| {
            let (create, update) = (grouped(health.to_create), grouped(health.to_update));
            format!("{create} to create, {update} to update")
        }),
        "quality": health(&|health| {
            let (missing, duplicates) = (grouped(health.null_companies), grouped(health.duplicates));
            let required = &pipeline.terms.required_value;
            format!("{missing} without a {required}, {duplicates} with duplicates")
        }),
        "open": known(&figures.open, |open| counted(open.len(), "incident")),
        "open_list": match &figures.open {
            Ok(_) => open.into_iter().map(in_a_line).collect(),
            Err(why) => vec![not_available(why)],
        },
        "syncs": syncs.collect::<Vec<_>>(),
        "contacts": pipeline.contacts.iter().map(contact).collect::<Vec<_>>(),
        "incident": figures.incident.as_ref().map(|(key, found)| about(key, found, pipeline, now)),
    })
}

impl Health {
    /// The view's rating decides: 92.47% is good, not excellent.
    fn coverage(&self, records: &str) -> String {
        let rating = match self.coverage_status.as_str() {
            "good" => "good, not excellent",
            other => other,
        };
        let share = self
            .coverage_percent
            .map_or_else(|| "none".to_owned(), |percent| text::percent(text::rounded(percent, 2, &[])));
        format!("{share} ({rating}): {} of {} {records}", grouped(self.synced), grouped(self.total))
    }
}

fn contact(contact: &Contact) -> Value {
    let ways = [&contact.email, &contact.phone].into_iter().flatten();
    let reach = match ways.map(String::as_str).collect::<Vec<_>>() {
        ways if ways.is_empty() => not_available("pipeline.toml has no email or phone"),
        ways => ways.join(", "),
    };
    json!({ "name": contact.name, "role": contact.role, "reach": reach })
}

/// Builds the values of the notice's incident.
fn about(
    key: &IncidentKey,
    found: &Result<Option<Incident>, Error>,
    pipeline: &Pipeline,
    now: Timestamp,
) -> Value {
    let none = Error::plain("unknown incident");
    let found = found.as_ref().and_then(|incident| incident.as_ref().ok_or(&none));
    let word = |words: &dyn Fn(&Incident) -> String| found.map_or_else(not_available, words);
    let summary = word(&|incident| incident.evidence.summary.clone());
    json!({
        "key": key.to_string(),
        "what": format!("{} of {}: {summary}", key.check.title(), key.subject),
        "severity": word(&|incident| incident.severity.to_string()),
        "since": word(&|incident| local(incident.opened_at, pipeline)),
        "ended": word(&|incident| {
            incident.resolved_at.map_or_else(|| "not resolved".to_owned(), |at| local(at, pipeline))
        }),
        "lasts": word(&|incident| words(incident.open_for(now))),
        "cause": word(&|incident| incident.cause.clone()),
        "handled_by": word(&|incident| match &incident.acknowledged {
            Some(by) if by.until > now => by.by.clone(),
            _ => "not acknowledged yet".to_owned(),
        }),
    })
}

fn in_a_line(incident: &Incident) -> String {
    let Incident { key, severity, evidence, .. } = incident;
    let since = minute_utc(incident.opened_at);
    format!("[{severity}] {} of {}: {}, since {since}", key.check.title(), key.subject, evidence.summary)
}

fn last_run(run: &Run, now: Timestamp) -> String {
    let ago = |at: Timestamp| format!("{}, {} ago", minute_utc(at), words(now.duration_since(at)));
    let ended = match (&run.status, run.completed_at) {
        (RunStatus::Completed, Some(at)) => format!("completed {}", ago(at)),
        (status, _) => format!("{status}, started {}", ago(run.created_at)),
    };
    let counts = match (run.counts.updated, run.counts.failed) {
        (Some(updated), Some(failed)) => {
            format!("; {} records accepted, {} rejected", grouped(updated), grouped(failed))
        }
        _ => "; records not counted by Census".to_owned(),
    };
    ended + &counts
}

/// Formats a time in the pipeline's time zone.
fn local(at: Timestamp, pipeline: &Pipeline) -> String {
    at.to_zoned(pipeline.time_zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// Renders a figure, or the reason why it is not available.
fn known<T>(figure: &Result<T, Error>, words: impl FnOnce(&T) -> String) -> String {
    figure.as_ref().map_or_else(not_available, words)
}

fn not_available(why: impl fmt::Display) -> String {
    format!("not available: {}", in_one_line(why))
}

fn in_one_line(why: impl fmt::Display) -> String {
    const LONGEST: usize = 200;
    marked(why.to_string().trim(), LONGEST, "...")
}

#[cfg(test)]
mod tests;
