//! Notices to the people who use the data: that the pipeline is live, that something is wrong, that it is over.
//!
//! Figures in, text out: `crate::figures` looks them up, and no figure is typed. One that could not be had says so and
//! why, in the place where it would stand; a notice is never blank, and never claims what is unknown (`judge`). Texts are
//! templates in `infra/runbook`, embedded when the binary is built.

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
use syncwatch::pipeline::{Contact, Pipeline};
use syncwatch::text::{self, grouped, marked, minute_utc, words};

/// What a notice is about.
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
    /// Properties that are not gone.
    pub(crate) total: u64,
    /// Those of them that are in the destination.
    pub(crate) synced: u64,
    /// The share, in percent to two digits; `None` when there is no property at all.
    pub(crate) coverage_percent: Option<f64>,
    /// The view's word for it: `excellent`, `good`, `poor` or `no data`.
    pub(crate) coverage_status: String,
    pub(crate) to_create: u64,
    pub(crate) to_update: u64,
    pub(crate) null_companies: u64,
    /// Properties that are in the destination more than once.
    pub(crate) duplicates: u64,
}

/// What a notice is made of; of a figure that cannot be had, the reason.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) health: Result<Health, Error>,
    /// The incidents that people were told of and that are not over.
    pub(crate) open: Result<Vec<Incident>, Error>,
    /// The newest run of each declared sync, in the pipeline's order; `None` if it has never run.
    pub(crate) last_runs: Vec<Result<Option<Run>, Error>>,
    /// The incident that the notice is about, if one was named; `None` if there never was one.
    pub(crate) incident: Option<(IncidentKey, Result<Option<Incident>, Error>)>,
}

/// A notice in both forms.
pub(crate) struct Notice {
    /// Its first line is the subject.
    pub(crate) text: String,
    /// A whole page of HTML, with everything in it escaped.
    pub(crate) html: String,
}

/// Writes a notice, unless it would say what is not so, or what is unknown. `now` is when the figures were looked up.
pub(crate) fn render(
    kind: Kind,
    figures: &Figures,
    pipeline: &Pipeline,
    now: Timestamp,
) -> Result<Notice, Error> {
    judge(kind, figures).map_err(Error::plain)?;
    let context = context(figures, pipeline, now);
    let templates = templates().map_err(|error| Error::plain(format!("the template {error}")))?;
    let written = |form: &str| {
        let name = format!("{kind}.{form}");
        let template = templates.get_template(&name);
        let text = template.and_then(|template| template.render(Serde(&context)));
        text.map_err(|error| Error::plain(format!("the template {name}: {error}")))
    };
    Ok(Notice { text: written("txt")?, html: written("html")? })
}

/// Whether what the notice would say is so; why not, if it is not.
fn judge(kind: Kind, figures: &Figures) -> Result<(), String> {
    const LIST: &str = "`syncwatch incidents` lists what is";
    let unsure = |why: &Error| {
        Err(format!("no all-clear, for it is unknown whether it is over: {}", in_one_line(why)))
    };
    let still_open = |open: &[&IncidentKey]| {
        let open: Vec<String> = open.iter().map(ToString::to_string).collect();
        Err(format!("no all-clear yet, for this is still open: {}", open.join(", ")))
    };
    match (kind, &figures.incident, &figures.open) {
        (Kind::Launch, _, Ok(_)) => Ok(()),
        // It would promise that the pipeline is watched.
        (Kind::Launch, _, Err(why)) => Err(format!(
            "no word of a launch, for it is unknown whether the pipeline is watched: {}",
            in_one_line(why)
        )),
        (_, Some((key, Ok(None))), _) => Err(format!("there is no incident {key}; {LIST} open")),
        (Kind::Incident, Some((key, Ok(Some(incident)))), _) if incident.state != State::Open => {
            Err(format!("{key} is not open, so there is nothing to tell; {LIST}"))
        }
        (Kind::Incident, None, Ok(open)) if open.is_empty() => {
            Err("nothing is open, so there is no incident to tell of".to_owned())
        }
        // That something is wrong can be told without knowing all of it; that nothing is, cannot.
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

/// The templates, each with the name of its file.
const TEMPLATES: [(&str, &str); 10] = [
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

/// What ends in `.html` is escaped, by the rule of the library; a name that is not there is an error, never a blank.
fn templates() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    for (name, text) in TEMPLATES {
        environment.add_template(name, text)?;
    }
    Ok(environment)
}

/// What templates may name, all of it in words.
fn context(figures: &Figures, pipeline: &Pipeline, now: Timestamp) -> Value {
    let health = |words: fn(&Health) -> String| known(&figures.health, words);
    let mut open: Vec<&Incident> = figures.open.iter().flatten().collect();
    open.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.key.cmp(&b.key)));
    let syncs = pipeline.syncs.iter().enumerate().map(|(index, sync)| {
        let last_run = match figures.last_runs.get(index) {
            Some(run) => known(run, |run| {
                run.as_ref().map_or_else(|| "it has never run".to_owned(), |run| last_run(run, now))
            }),
            None => not_available("not looked up"),
        };
        json!({ "key": sync.key, "role": sync.role.to_string(), "last_run": last_run })
    });
    let (syncs_watched, checks) =
        (counted(pipeline.syncs.len(), "sync"), counted(pipeline.checks.len(), "check"));
    json!({
        "pipeline": pipeline.name,
        "at": format!("{} ({})", local(now, pipeline), minute_utc(now)),
        "watches": format!("{syncs_watched} and {checks} of its data"),
        "coverage": health(Health::coverage),
        "waiting": health(|health| {
            let (create, update) = (grouped(health.to_create), grouped(health.to_update));
            format!("{create} to be created, {update} to be updated")
        }),
        "quality": health(|health| {
            let (companies, twice) = (grouped(health.null_companies), grouped(health.duplicates));
            format!("{companies} without a company, {twice} there more than once")
        }),
        "open": known(&figures.open, |open| match open.len() {
            0 => "nothing".to_owned(),
            open => counted(open, "incident"),
        }),
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
    /// The view's word decides: 92.47% is good, and not excellent.
    fn coverage(&self) -> String {
        let word = match self.coverage_status.as_str() {
            "good" => "good, not excellent",
            other => other,
        };
        let share = self
            .coverage_percent
            .map_or_else(|| "none".to_owned(), |percent| text::percent(text::rounded(percent, 2, &[])));
        format!("{share} ({word}): {} of {} properties", grouped(self.synced), grouped(self.total))
    }
}

fn contact(contact: &Contact) -> Value {
    let ways = [&contact.email, &contact.phone].into_iter().flatten();
    let reach = match ways.map(String::as_str).collect::<Vec<_>>() {
        ways if ways.is_empty() => not_available("pipeline.toml has no way to reach them"),
        ways => ways.join(", "),
    };
    json!({ "name": contact.name, "role": contact.role, "reach": reach })
}

/// The incident that a notice is about.
fn about(
    key: &IncidentKey,
    found: &Result<Option<Incident>, Error>,
    pipeline: &Pipeline,
    now: Timestamp,
) -> Value {
    let none = Error::plain("there is none");
    let found = found.as_ref().and_then(|incident| incident.as_ref().ok_or(&none));
    let word = |words: &dyn Fn(&Incident) -> String| found.map_or_else(not_available, words);
    let summary = word(&|incident| incident.evidence.summary.clone());
    json!({
        "key": key.to_string(),
        "what": format!("{} of {}: {summary}", key.check.title(), key.subject),
        "severity": word(&|incident| incident.severity.to_string()),
        "since": word(&|incident| local(incident.opened_at, pipeline)),
        "ended": word(&|incident| {
            incident.resolved_at.map_or_else(|| "it is not over".to_owned(), |at| local(at, pipeline))
        }),
        "lasts": word(&|incident| words(incident.open_for(now))),
        "cause": word(&|incident| incident.cause.clone()),
        "taken_on_by": word(&|incident| match &incident.acknowledged {
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
        (status, _) => format!("{status}, begun {}", ago(run.created_at)),
    };
    let counts = match (run.counts.updated, run.counts.failed) {
        (Some(updated), Some(failed)) => {
            format!("; {} records accepted, {} rejected", grouped(updated), grouped(failed))
        }
        _ => format!("; records: {}", not_available("Census did not count them")),
    };
    ended + &counts
}

/// A moment as those people read it, in the pipeline's zone.
fn local(at: Timestamp, pipeline: &Pipeline) -> String {
    at.to_zoned(pipeline.time_zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// A figure in words, or in its place why it cannot be had.
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

pub(crate) fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests;
