//! Notices to the people who use the data: that the pipeline is live, that something is wrong, that it is over.
//!
//! Figures in, text out: [`Figures`] are looked up by whoever calls ([`crate`]), and no figure is typed. One that
//! could not be had says so and why, in the place where it would stand; a notice is never blank, and never claims what
//! nobody knows ([`Refusal`]). Texts are templates in `infra/runbook`, embedded when the binary is built.

use std::fmt;

use jiff::Timestamp;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use syncwatch::incident::{Incident, IncidentKey, State};
use syncwatch::observation::{Run, RunStatus};
use syncwatch::pipeline::{Contact, Pipeline};
use syncwatch::text::{self, grouped};
use syncwatch::text::{minute_utc, words};

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Launch,
    Incident,
    AllClear,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Launch, Self::Incident, Self::AllClear];

    /// `launch`, `incident` or `all-clear`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Launch => "launch",
            Self::Incident => "incident",
            Self::AllClear => "all-clear",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A figure, or the reason why it cannot be had.
pub type Known<T> = Result<T, String>;

/// The row of the view `daily_health_check`.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// Properties that are not gone.
    pub total: u64,
    /// Those of them that are in the destination.
    pub synced: u64,
    /// The share, in percent to two digits; `None` when there is no property at all.
    pub coverage_percent: Option<f64>,
    /// The view's word for it: `excellent`, `good`, `poor` or `no data`.
    pub coverage_status: String,
    pub to_create: u64,
    pub to_update: u64,
    /// Records without a company.
    pub null_companies: u64,
    /// Properties that are in the destination more than once.
    pub duplicates: u64,
}

/// What a notice is made of.
#[derive(Debug, Clone)]
pub struct Figures {
    pub health: Known<Health>,
    /// The incidents that people were told of and that are not over.
    pub open: Known<Vec<Incident>>,
    /// The newest run of each declared sync, in the pipeline's order; `None` if it has never run.
    pub last_runs: Vec<Known<Option<Run>>>,
    /// The incident that the notice is about, if one was named; `None` if there never was one.
    pub incident: Option<(IncidentKey, Known<Option<Incident>>)>,
}

/// A notice in both forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Text, its first line the subject.
    pub text: String,
    /// A whole page of HTML, with everything in it escaped.
    pub html: String,
}

/// Why no notice is written: it would say what is not so, or what nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The incident is not open.
    #[error("{key} is not open, so there is nothing to tell; `syncwatch incidents` lists what is")]
    NotOpen { key: IncidentKey },
    /// No incident is open at all.
    #[error("nothing is open, so there is no incident to tell of")]
    NothingOpen,
    /// An all-clear was asked for too early.
    #[error("no all-clear yet, for this is still open: {}", list(open))]
    StillOpen { open: Vec<IncidentKey> },
    /// There never was such an incident.
    #[error("there is no incident {key}; `syncwatch incidents` lists what is open")]
    NoSuchIncident { key: IncidentKey },
    /// Whether it is over cannot be known.
    #[error("no all-clear, for nobody can say whether it is over: {why}")]
    Unknown {
        /// Why not.
        why: String,
    },
    /// Whether anything is watched cannot be known.
    #[error("no word of a launch, for nobody can say whether the pipeline is watched: {why}")]
    Unwatched {
        /// Why not.
        why: String,
    },
    #[error("the template {0}")]
    Template(String),
}

fn list(keys: &[IncidentKey]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Writes a notice. `now` is when the figures were looked up.
///
/// # Errors
/// See [`Refusal`].
pub fn render(kind: Kind, figures: &Figures, pipeline: &Pipeline, now: Timestamp) -> Result<Notice, Refusal> {
    judge(kind, figures)?;
    let said = Said::of(figures, pipeline, now);
    let templates = templates().map_err(|error| Refusal::Template(error.to_string()))?;
    let written = |form: &str| {
        let name = format!("{kind}.{form}");
        let template = templates.get_template(&name);
        let text = template.and_then(|template| template.render(Serde(&said)));
        text.map_err(|error| Refusal::Template(format!("{name}: {error}")))
    };
    Ok(Notice { text: written("txt")?, html: written("html")? })
}

/// Whether what the notice would say is so.
fn judge(kind: Kind, figures: &Figures) -> Result<(), Refusal> {
    match (kind, &figures.incident, &figures.open) {
        (Kind::Launch, _, Ok(_)) => Ok(()),
        // It would promise that somebody watches.
        (Kind::Launch, _, Err(why)) => Err(Refusal::Unwatched { why: in_one_line(why) }),
        (_, Some((key, Ok(None))), _) => Err(Refusal::NoSuchIncident { key: key.clone() }),
        (Kind::Incident, Some((key, Ok(Some(incident)))), _) if incident.state != State::Open => {
            Err(Refusal::NotOpen { key: key.clone() })
        }
        (Kind::Incident, None, Ok(open)) if open.is_empty() => Err(Refusal::NothingOpen),
        // That something is wrong can be told without knowing all of it; that nothing is, cannot.
        (Kind::Incident, ..) => Ok(()),
        (Kind::AllClear, Some((_, Err(why))), _) | (Kind::AllClear, None, Err(why)) => {
            Err(Refusal::Unknown { why: in_one_line(why) })
        }
        (Kind::AllClear, Some((key, Ok(Some(incident)))), _) if incident.state != State::Resolved => {
            Err(Refusal::StillOpen { open: vec![key.clone()] })
        }
        (Kind::AllClear, _, Ok(open)) if !open.is_empty() => {
            Err(Refusal::StillOpen { open: open.iter().map(|incident| incident.key.clone()).collect() })
        }
        // Whoever reads that all is clear takes it to be all, whatever it is about.
        (Kind::AllClear, Some(_), Err(why)) => Err(Refusal::Unknown { why: in_one_line(why) }),
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
#[derive(Debug, Serialize)]
struct Said {
    pipeline: String,
    at: String,
    watches: String,
    coverage: String,
    waiting: String,
    quality: String,
    open: String,
    open_list: Vec<String>,
    syncs: Vec<SaidSync>,
    contacts: Vec<SaidContact>,
    incident: Option<SaidIncident>,
}

#[derive(Debug, Serialize)]
struct SaidSync {
    key: String,
    role: String,
    last_run: String,
}

#[derive(Debug, Serialize)]
struct SaidContact {
    name: String,
    role: String,
    reach: String,
}

#[derive(Debug, Serialize)]
struct SaidIncident {
    key: String,
    what: String,
    severity: String,
    since: String,
    ended: String,
    lasts: String,
    cause: String,
    taken_on_by: String,
}

impl Said {
    fn of(figures: &Figures, pipeline: &Pipeline, now: Timestamp) -> Self {
        let health = figures.health.as_ref();
        let mut open: Vec<&Incident> = figures.open.iter().flatten().collect();
        open.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.key.cmp(&b.key)));
        let open_list = match &figures.open {
            Ok(_) => open.iter().map(|incident| in_a_line(incident)).collect(),
            Err(why) => vec![not_available(why)],
        };
        let syncs = pipeline.syncs.iter().enumerate().map(|(index, sync)| SaidSync {
            key: sync.key.clone(),
            role: sync.role.to_string(),
            last_run: match figures.last_runs.get(index) {
                Some(Ok(run)) => {
                    run.as_ref().map_or_else(|| "it has never run".to_owned(), |run| last_run(run, now))
                }
                Some(Err(why)) => not_available(why),
                None => not_available("nobody looked"),
            },
        });
        Self {
            pipeline: pipeline.name.clone(),
            at: format!("{} ({})", local(now, pipeline), minute_utc(now)),
            watches: format!(
                "{} and {} of its data",
                counted(pipeline.syncs.len(), "sync"),
                counted(pipeline.checks.len(), "check")
            ),
            coverage: health.map_or_else(|why| not_available(why), Health::coverage),
            waiting: health.map_or_else(
                |why| not_available(why),
                |health| {
                    format!(
                        "{} to be created, {} to be updated",
                        grouped(health.to_create),
                        grouped(health.to_update)
                    )
                },
            ),
            quality: health.map_or_else(
                |why| not_available(why),
                |health| {
                    format!(
                        "{} without a company, {} there more than once",
                        grouped(health.null_companies),
                        grouped(health.duplicates)
                    )
                },
            ),
            open: match &figures.open {
                Ok(open) if open.is_empty() => "nothing".to_owned(),
                Ok(open) => counted(open.len(), "incident"),
                Err(why) => not_available(why),
            },
            open_list,
            syncs: syncs.collect(),
            contacts: pipeline.contacts.iter().map(SaidContact::of).collect(),
            incident: figures
                .incident
                .as_ref()
                .map(|(key, incident)| SaidIncident::of(key, incident, pipeline, now)),
        }
    }
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

impl SaidContact {
    fn of(contact: &Contact) -> Self {
        let reach: Vec<&str> =
            [&contact.email, &contact.phone].into_iter().filter_map(|way| way.as_deref()).collect();
        Self {
            name: contact.name.clone(),
            role: contact.role.clone(),
            reach: if reach.is_empty() {
                not_available("pipeline.toml has no way to reach them")
            } else {
                reach.join(", ")
            },
        }
    }
}

impl SaidIncident {
    fn of(
        key: &IncidentKey,
        incident: &Known<Option<Incident>>,
        pipeline: &Pipeline,
        now: Timestamp,
    ) -> Self {
        let title = format!("{} of {}", key.check.title(), key.subject);
        let key = key.to_string();
        let known = match incident {
            Ok(Some(incident)) => incident,
            Ok(None) | Err(_) => {
                let why = incident.as_ref().err().map_or("there is none", String::as_str);
                let missing = || not_available(why);
                return Self {
                    what: format!("{title}: {}", missing()),
                    key,
                    severity: missing(),
                    since: missing(),
                    ended: missing(),
                    lasts: missing(),
                    cause: missing(),
                    taken_on_by: missing(),
                };
            }
        };
        Self {
            key,
            what: format!("{title}: {}", known.evidence.summary),
            severity: known.severity.to_string(),
            since: local(known.opened_at, pipeline),
            ended: known.resolved_at.map_or_else(|| "it is not over".to_owned(), |at| local(at, pipeline)),
            lasts: words(known.open_for(now)),
            cause: known.cause.clone(),
            taken_on_by: match &known.acknowledged {
                Some(by) if by.until > now => by.by.clone(),
                _ => "nobody yet".to_owned(),
            },
        }
    }
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

/// In the place of a figure that cannot be had.
fn not_available(why: &str) -> String {
    format!("not available: {}", in_one_line(why))
}

fn in_one_line(why: &str) -> String {
    const LONGEST: usize = 200;
    let line: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    let cut = if why.chars().count() > LONGEST { "..." } else { "" };
    format!("{}{cut}", line.trim())
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests;
