//! The command line. Pure.

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use jiff::civil::Date;
use jiff::{SignedDuration, Span, SpanRelativeTo};

use crate::error::Error;
use crate::reconcile::Comparison;
use crate::stakeholders::Kind;
use syncwatch::audit::Quarter;
use syncwatch::finding::Check;
use syncwatch::incident::IncidentKey;
use syncwatch::marks::MarkVerdict;
use syncwatch::pipeline::RemedyKind;
use syncwatch::report::{Month, Week};
use syncwatch::runbook::{TEXT, sections};
use syncwatch::silence::LONGEST;

const ABOUT: &str = "Check and operate a pipeline that Syncwatch guards";
const LENGTH: &str = "a duration such as 90s, 30m, 8h or 3d";
const KEY: &str = "pipeline/check/subject (see `syncwatch incidents`)";
/// Longest wait of a test command.
const LONGEST_TEST: SignedDuration = SignedDuration::from_mins(10);

/// Commands by purpose, as the help lists them.
const GROUPS: [(&str, &[&str]); 4] = [
    (
        "Inspect",
        &[
            "status",
            "incidents",
            "runs",
            "expectations",
            "advise",
            "scoreboard",
            "report",
            "audit",
            "page",
            "reconcile",
            "baseline",
            "remedies",
            "doctor",
        ],
    ),
    ("Act", &["acknowledge", "mark", "silence", "stakeholder-notice"]),
    (
        "Set up",
        &[
            "check-config",
            "objects",
            "webhook-register",
            "warehouse-apply",
            "alert-test",
            "alarm-test",
            "census",
        ],
    ),
    ("Learn", &["explain", "judge-history", "completions"]),
];

/// A parsed command line.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "syncwatch", version, about = ABOUT, disable_help_subcommand = true)]
pub struct Arguments {
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        value_parser = path(),
        help = "Pipeline file [default: SYNCWATCH_PIPELINE, infra/pipeline.toml or pipeline.toml]"
    )]
    pub pipeline: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

/// A command of the operator.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Show syncs, open incidents and each function's last round on one screen
    Status,
    /// List open, held and watched incidents
    Incidents,
    /// List the last runs of a sync
    Runs {
        /// Key of the sync in pipeline.toml
        #[arg(value_parser = text())]
        sync: String,
        /// Number of runs
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
        last: u32,
    },
    /// Show what each figure was expected to be on the last whole day
    Expectations {
        /// Key of a sync in pipeline.toml [default: all figures]
        #[arg(value_parser = text())]
        sync: Option<String>,
        /// List what the rules say of the last 28 days, also where they only watch
        #[arg(long)]
        would_have: bool,
    },
    /// Show how fast each sync is, and what would make a slow one faster
    Advise {
        /// Key of a sync in pipeline.toml [default: all syncs]
        #[arg(value_parser = text())]
        sync: Option<String>,
    },
    /// Show the success metrics of the pipeline against their goals
    Scoreboard,
    /// Show the digest of a week, or the report of a month
    Report {
        /// Week from Monday to Sunday, such as 2026-W48 [default: the last one that has ended]
        #[arg(long, value_parser = week)]
        week: Option<Week>,
        /// Month, such as 2026-11
        #[arg(long, value_parser = month, conflicts_with = "week")]
        month: Option<Month>,
        /// Also write the report of the month as an HTML page
        #[arg(long, value_name = "FILE", value_parser = path(), requires = "month")]
        html: Option<PathBuf>,
    },
    /// Audit a quarter by the review areas with their evidence, or record a drill
    Audit(Auditing),
    /// Print a link to the status page that is valid for an hour, or write the page into a folder
    Page {
        /// Link to the stored report of this month instead, such as 2026-11
        #[arg(long, value_parser = month, conflicts_with = "out")]
        month: Option<Month>,
        /// Folder for the files of a page that is made now
        #[arg(long, value_name = "FOLDER", value_parser = path())]
        out: Option<PathBuf>,
    },
    /// Compare every record of both sides, and show why they differ
    Reconcile(Comparison),
    /// Show, compare or accept the definition of syncs, tables and views
    #[command(subcommand)]
    Baseline(Baselining),
    /// List, approve, refuse, stop or simulate remedies
    #[command(subcommand)]
    Remedies(Healing),
    /// Check the live deployment and show how to fix each problem
    Doctor {
        /// URL of the webhook intake [default: its Function URL]
        #[arg(long, value_parser = text())]
        url: Option<String>,
        /// Use function names without the syncwatch- prefix
        #[arg(long)]
        bare_names: bool,
    },
    /// Acknowledge an incident and pause its reminders; a worse severity still alerts
    Acknowledge(Acknowledgement),
    /// Say whether an incident was a fault, fine, or a new normal level
    Mark(Marking),
    /// List, add or end silences
    #[command(subcommand)]
    Silence(Silencing),
    /// Write a notice for the users of the data, with current figures
    StakeholderNotice {
        /// Kind of notice
        kind: Kind,
        /// Incident to report [default: every open incident]
        #[arg(long, value_name = "INCIDENT", value_parser = incident_key)]
        key: Option<IncidentKey>,
        /// Also write the notice as an HTML page
        #[arg(long, value_name = "FILE", value_parser = path())]
        html: Option<PathBuf>,
    },
    /// Propose the declaration of an object from the mappings of a sync
    #[command(subcommand)]
    Objects(Proposing),
    /// Check a pipeline file and list its syncs and checks
    CheckConfig {
        /// File to check [default: the pipeline file]
        #[arg(value_parser = path())]
        file: Option<PathBuf>,
    },
    /// Create or check the webhook at Census and store its secret
    WebhookRegister {
        /// URL of the function webhook-intake
        #[arg(long, value_parser = text())]
        url: String,
        /// Compare only; exit with code 1 if something must change
        #[arg(long)]
        check: bool,
        /// Create a webhook with a new secret, then delete the old one
        #[arg(long)]
        rotate: bool,
    },
    /// Create the tables and views of infra/warehouse; each file runs once
    WarehouseApply {
        /// Folder with the SQL files
        #[arg(default_value = "infra/warehouse", value_parser = path())]
        folder: PathBuf,
        /// Restore every view to the definition in its file
        #[arg(long)]
        views: bool,
    },
    /// Send a marked test notice to mail and an owner's channels, then resolve it
    AlertTest {
        /// Contact whose channels to test [default: the default channels]
        #[arg(long, value_name = "NAME", value_parser = text())]
        owner: Option<String>,
        /// Time until the test resolves, at most 10m
        #[arg(long, value_name = "LENGTH", default_value = "30s", value_parser = test_length)]
        resolve_after: SignedDuration,
        /// Only resolve an interrupted test; repeat its --owner
        #[arg(long, value_name = "KEY", conflicts_with = "resolve_after", value_parser = text())]
        resolve: Option<String>,
    },
    /// Trigger two real CloudWatch alarms briefly; without --yes, only show them
    AlarmTest {
        /// Trigger the alarms
        #[arg(long)]
        yes: bool,
        /// Time to wait for the alarm history, at most 10m
        #[arg(long, value_name = "LENGTH", default_value = "60s", value_parser = test_length)]
        wait: SignedDuration,
    },
    /// Check which Census API accepts the token
    #[command(subcommand)]
    Census(CensusCommand),
    /// Print the runbook section of a finding or error class, or classify an error
    Explain {
        /// Check, incident key or error class [default: list all names]
        #[arg(value_parser = text())]
        finding: Option<String>,
        /// Classify this vendor error instead; `-` reads it from standard input
        #[arg(long, value_name = "TEXT", conflicts_with = "finding")]
        message: Option<String>,
        /// Write the whole runbook in the names of pipeline.toml into this file
        #[arg(long, value_name = "FILE", value_parser = path(), conflicts_with_all = ["finding", "message"])]
        out: Option<PathBuf>,
    },
    /// Judge histories from standard input by the rules for expected figures
    JudgeHistory {
        /// One JSON request a line, one JSON answer a line (the only format)
        #[arg(long, required = true)]
        jsonl: bool,
    },
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
}

/// A command about Census.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum CensusCommand {
    /// Call each V1 and V2 endpoint that Syncwatch reads; writes nothing
    Probe {
        /// Read the token from standard input [default: `CENSUS_TOKEN`, or the stored secret]
        #[arg(long)]
        token_stdin: bool,
        /// Fivetran group for V2 [default: from the pipeline file]
        #[arg(long, value_name = "ID", value_parser = text())]
        group_id: Option<String>,
    },
}

/// An audit, or a drill to record.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Auditing {
    /// Quarter, such as 2026-Q4 [default: the current one, until now]
    #[arg(long, value_name = "QUARTER", value_parser = quarter)]
    pub quarter: Option<Option<Quarter>>,
    /// Output of `cargo deny --format json check advisories`
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub advisories: Option<PathBuf>,
    /// Also write the audit as an HTML page
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub html: Option<PathBuf>,
    /// Store the audit, with which the next one is compared
    #[arg(long, requires = "by")]
    pub keep: bool,
    /// Only record a drill that was held, such as quiet-create
    #[arg(long, value_name = "NAME", value_parser = text(), requires_all = ["by", "tried"], conflicts_with_all = ["quarter", "advisories", "html", "keep"])]
    pub drill: Option<String>,
    /// Section of the runbook that the drill tried; repeatable
    #[arg(long, value_name = "SECTION", value_parser = section, requires = "drill")]
    pub tried: Vec<String>,
    /// Person who keeps the audit, or held the drill
    #[arg(long, value_name = "WHO", value_parser = text())]
    pub by: Option<String>,
}

/// A command about the accepted definition of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Baselining {
    /// Show the accepted definition, and who accepted it
    Show,
    /// Compare the accepted definition with the live one; exit with code 1 if something differs
    Diff,
    /// Accept the live definition
    Accept {
        /// Person who accepts it
        #[arg(long, value_name = "WHO", value_parser = text())]
        by: String,
        /// Reason
        #[arg(long, value_name = "WHY", value_parser = text())]
        why: String,
    },
}

/// A command about remedies.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Healing {
    /// List active remedies, those of the last week, and their figures
    List,
    /// Approve a proposed remedy, as the AWS identity that runs the command
    Approve {
        /// ID of the remedy (see `syncwatch remedies list`)
        #[arg(value_parser = text())]
        id: String,
    },
    /// Refuse a remedy; none is proposed for its incident for 24 hours
    Refuse {
        /// ID of the remedy (see `syncwatch remedies list`)
        #[arg(value_parser = text())]
        id: String,
        /// Reason
        #[arg(long, value_name = "WHY", value_parser = text())]
        why: String,
    },
    /// Stop all remedies, or one kind, before their next act
    Stop {
        /// Kind of remedy, such as run-again [default: all]
        #[arg(value_parser = remedy_kind)]
        remedy: Option<RemedyKind>,
        /// Reason
        #[arg(long, value_name = "WHY", value_parser = text())]
        why: String,
    },
    /// Start stopped remedies again
    Start {
        /// Kind of remedy, as it was stopped [default: the stop of all]
        #[arg(value_parser = remedy_kind)]
        remedy: Option<RemedyKind>,
        /// Reason
        #[arg(long, value_name = "WHY", value_parser = text())]
        why: String,
    },
    /// Show the remedy of an open incident and every gate; changes nothing
    Simulate {
        /// Incident key: pipeline/check/subject
        #[arg(value_name = "INCIDENT", value_parser = incident_key)]
        key: IncidentKey,
    },
}

/// A command about objects.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Proposing {
    /// Write the block of an object for pipeline.toml; changes nothing
    Propose {
        /// Key of the sync in pipeline.toml
        #[arg(value_parser = text())]
        sync: String,
        /// Table of the source [default: guessed from the sync and the pipeline file]
        #[arg(long, value_name = "TABLE", value_parser = text())]
        source: Option<String>,
        /// Table of the destination's copy [default: guessed from the sync and the pipeline file]
        #[arg(long, value_name = "TABLE", value_parser = text())]
        destination: Option<String>,
    },
}

/// A command about silences.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Silencing {
    /// List active silences
    List {
        /// Include expired silences
        #[arg(long)]
        all: bool,
    },
    /// Suppress notices for a limited time
    Add(NewSilence),
    /// End a silence now
    End {
        /// ID of the silence (see `syncwatch silence list`)
        #[arg(value_parser = text())]
        id: String,
    },
}

/// A requested silence.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct NewSilence {
    /// Owner of the silence
    #[arg(long, value_name = "WHO", value_parser = text())]
    pub owner: String,
    /// Reason for the silence
    #[arg(long, value_name = "WHY", value_parser = text())]
    pub reason: String,
    /// Duration, such as 2h or 3d; at most 31d
    #[arg(long = "for", value_name = "LENGTH", value_parser = quiet_length)]
    pub lasts: SignedDuration,
    /// Suppress only this check; repeatable
    #[arg(long = "check", value_name = "CHECK", value_parser = check(), hide_possible_values = true)]
    pub checks: Vec<Check>,
    /// Suppress only this sync, data check or system; repeatable
    #[arg(long = "subject", value_name = "SUBJECT", value_parser = text())]
    pub subjects: Vec<String>,
}

/// An acknowledgement of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Acknowledgement {
    /// Incident key: pipeline/check/subject
    #[arg(value_name = "INCIDENT", value_parser = incident_key)]
    pub key: IncidentKey,
    /// Person who acknowledges it
    #[arg(long, value_name = "WHO", value_parser = text())]
    pub by: String,
    /// Time without reminders, such as 8h; at most 31d
    #[arg(long = "for", value_name = "LENGTH", value_parser = quiet_length)]
    pub lasts: SignedDuration,
}

/// A verdict on an incident.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Marking {
    /// Incident key: pipeline/check/subject
    #[arg(value_name = "INCIDENT", value_parser = incident_key)]
    pub key: IncidentKey,
    /// `real` (a fault), `fine` (unusual, but no fault) or `new-normal` (a new level that lasts)
    #[arg(value_parser = verdict())]
    pub verdict: MarkVerdict,
    /// First day that it is about, such as 2026-11-20 [default: as the incident says]
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub since: Option<Date>,
    /// Person who says so
    #[arg(long, value_name = "WHO", value_parser = text())]
    pub by: String,
    /// Reason
    #[arg(long, value_name = "WHY", value_parser = text())]
    pub why: String,
}

/// Outcome of a command line without a command to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCommand {
    /// Help or version text to print.
    Shown(String),
    /// An invalid command line.
    Usage(Error),
}

impl Arguments {
    /// Parses the words after the program name.
    pub fn read<W: AsRef<str>>(words: &[W]) -> Result<Self, NoCommand> {
        let line = std::iter::once("syncwatch").chain(words.iter().map(AsRef::as_ref));
        let matches = parser().try_get_matches_from(line);
        matches
            .and_then(|matches| Self::from_arg_matches(&matches))
            .map_err(|error| no_command(&error, words))
    }
}

impl Command {
    /// Parses the words after the program name, for callers with their own pipeline file and text output.
    pub fn parse<W: AsRef<str>>(words: &[W]) -> Result<Self, Error> {
        match Arguments::read(words) {
            Ok(arguments) => Ok(arguments.command),
            Err(NoCommand::Usage(error)) => Err(error),
            Err(NoCommand::Shown(_)) => Err(Error::new("no command", "syncwatch --help")),
        }
    }
}

/// Returns the completion script of a shell.
pub fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut parser(), "syncwatch", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Builds the parser; its help lists the commands by [`GROUPS`].
fn parser() -> clap::Command {
    let parser = Arguments::command();
    let line = |name: &&str| {
        let about = parser.find_subcommand(name).and_then(clap::Command::get_about);
        format!("  {name:<20}{}\n", about.map(ToString::to_string).unwrap_or_default())
    };
    let groups: String = GROUPS
        .iter()
        .map(|(title, names)| format!("{title}:\n{}\n", names.iter().map(line).collect::<String>()))
        .collect();
    let template =
        format!("{{about}}\n\n{{usage-heading}} {{usage}}\n\n{groups}Options:\n{{options}}{{after-help}}");
    parser.help_template(template).subcommand_required(true).arg_required_else_help(true).after_help(
        "Exit codes: 0 healthy or done, 1 needs attention, 2 usage error.\n\
         Credentials and region: as for the AWS CLI (AWS_PROFILE, SSO).\n\
         Resource names: infra/functions.json; SYNCWATCH_... variables override them.",
    )
}

/// Reduces a parser error to one line and a hint.
fn no_command<W: AsRef<str>>(error: &clap::Error, words: &[W]) -> NoCommand {
    use ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    let shown = error.render().to_string();
    let is_bare = error.kind() == DisplayHelpOnMissingArgumentOrSubcommand && words.is_empty();
    if is_bare || matches!(error.kind(), DisplayHelp | DisplayVersion) {
        return NoCommand::Shown(shown);
    }
    let first =
        words.iter().map(AsRef::as_ref).find(|word| GROUPS.iter().any(|(_, names)| names.contains(word)));
    let help = format!("syncwatch {}--help", first.map(|name| format!("{name} ")).unwrap_or_default());
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.clone()),
        Some(ContextValue::Strings(words)) => words.first().cloned(),
        _ => None,
    };
    let near = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    let hint = match near.into_iter().find_map(named) {
        Some(near) => format!("did you mean `{near}`? {help}"),
        None => help,
    };
    let what = match (error.kind(), named(ContextKind::InvalidSubcommand), named(ContextKind::InvalidArg)) {
        (ErrorKind::InvalidSubcommand, Some(word), _) => format!("unknown command `{word}`"),
        (ErrorKind::UnknownArgument, _, Some(word)) => format!("unexpected argument `{word}`"),
        (DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand, ..) => {
            let name = first.unwrap_or("syncwatch");
            format!("`{name}` needs a subcommand")
        }
        _ => in_one_line(&shown),
    };
    NoCommand::Usage(Error::new(what, hint))
}

/// Joins the lines of a parser message up to the first blank line.
fn in_one_line(shown: &str) -> String {
    let lines: Vec<&str> = shown.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let line = lines.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

pub(crate) fn text() -> impl TypedValueParser<Value = String> {
    NonEmptyStringValueParser::new().try_map(|text| {
        let text = text.trim();
        if text.is_empty() { Err("must not be empty") } else { Ok(text.to_owned()) }
    })
}

fn path() -> impl TypedValueParser<Value = PathBuf> {
    text().map(PathBuf::from)
}

fn check() -> impl TypedValueParser<Value = Check> {
    let ids = Check::ALL.iter().map(|check| check.id());
    PossibleValuesParser::new(ids).try_map(|id| Check::from_id(&id).ok_or("unknown check"))
}

fn verdict() -> impl TypedValueParser<Value = MarkVerdict> {
    PossibleValuesParser::new(["real", "fine", "new-normal"]).map(|word| match word.as_str() {
        "real" => MarkVerdict::Real,
        "fine" => MarkVerdict::Fine,
        _ => MarkVerdict::NewNormal,
    })
}

fn remedy_kind(text: &str) -> Result<RemedyKind, String> {
    let found = RemedyKind::ALL.into_iter().find(|kind| kind.to_string() == text.trim());
    found
        .ok_or_else(|| format!("expected one of {}", RemedyKind::ALL.map(|kind| kind.to_string()).join(", ")))
}

fn day(text: &str) -> Result<Date, String> {
    text.trim().parse().map_err(|_| "expected a day, such as 2026-11-20".to_owned())
}

fn week(text: &str) -> Result<Week, String> {
    Week::parse(text.trim()).ok_or_else(|| "expected a week, such as 2026-W48".to_owned())
}

fn month(text: &str) -> Result<Month, String> {
    Month::parse(text.trim()).ok_or_else(|| "expected a month, such as 2026-11".to_owned())
}

fn quarter(text: &str) -> Result<Quarter, String> {
    Quarter::parse(text.trim()).ok_or_else(|| "expected a quarter, such as 2026-Q4".to_owned())
}

fn section(text: &str) -> Result<String, String> {
    let is_one = sections(TEXT).iter().any(|section| section.anchor == text.trim());
    let expected =
        || "expected a check, an error class or another section (see `syncwatch explain`)".to_owned();
    if is_one { Ok(text.trim().to_owned()) } else { Err(expected()) }
}

fn incident_key(text: &str) -> Result<IncidentKey, String> {
    IncidentKey::parse(text.trim()).ok_or_else(|| format!("expected {KEY}"))
}

fn quiet_length(text: &str) -> Result<SignedDuration, String> {
    let bounds = SignedDuration::from_secs(1)..=LONGEST;
    let lasts = length(text)?;
    if bounds.contains(&lasts) { Ok(lasts) } else { Err("must be between 1s and 31d".to_owned()) }
}

fn test_length(text: &str) -> Result<SignedDuration, String> {
    let lasts = length(text)?;
    if lasts <= LONGEST_TEST { Ok(lasts) } else { Err("must be at most 10m".to_owned()) }
}

/// Parses a duration. A day has 24 hours, because no calendar date is involved.
fn length(text: &str) -> Result<SignedDuration, String> {
    let span = text.trim().parse::<Span>();
    let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours())).ok();
    length.filter(|length| !length.is_negative()).ok_or_else(|| format!("expected {LENGTH}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::Format;

    const URL: &str = "https://abc.on.aws/webhooks/census";

    fn read(line: &str) -> Result<Arguments, NoCommand> {
        Arguments::read(&words(line))
    }

    /// Splits at blanks; an underscore becomes a blank within a word.
    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(|word| word.replace('_', " ")).collect()
    }

    fn refusal(line: &str) -> String {
        match read(line).unwrap_err() {
            NoCommand::Usage(error) => error.lines(),
            NoCommand::Shown(shown) => panic!("{line}: {shown}"),
        }
    }

    fn acknowledgement(key: &str) -> Command {
        Command::Acknowledge(Acknowledgement {
            key: IncidentKey::parse(key).unwrap(),
            by: "Ada".to_owned(),
            lasts: SignedDuration::from_hours(8),
        })
    }

    fn marking(key: &str) -> Command {
        Command::Mark(Marking {
            key: IncidentKey::parse(key).unwrap(),
            verdict: MarkVerdict::Fine,
            since: Some(jiff::civil::date(2026, 11, 20)),
            by: "Ada".to_owned(),
            why: "launch".to_owned(),
        })
    }

    fn is_read(line: &str, command: &Command) {
        for (json, words) in
            [(false, line.to_owned()), (true, format!("--json {line}")), (true, format!("{line} --json"))]
        {
            let expected = Arguments { pipeline: None, json, command: command.clone() };
            assert_eq!(read(&words), Ok(expected), "{words}");
        }
    }

    #[test]
    fn comparisons_and_proposals_take_their_options() {
        let compare = |object: Option<&str>, key: Option<&str>, out, show| {
            let [object, key] = [object, key].map(|text| text.map(str::to_owned));
            Command::Reconcile(Comparison { object, key, out, show, explain: false })
        };
        let table = [
            ("reconcile", compare(None, None, None, false)),
            ("reconcile --key P-1 properties", compare(Some("properties"), Some("P-1"), None, false)),
            ("reconcile --show --out csv", compare(None, None, Some(Format::Csv), true)),
            (
                "objects propose a --source s.t",
                Command::Objects(Proposing::Propose {
                    sync: "a".to_owned(),
                    source: Some("s.t".to_owned()),
                    destination: None,
                }),
            ),
        ];
        for (line, command) in table {
            is_read(line, &command);
        }
    }

    #[test]
    fn commands_take_options_in_any_order_and_either_spelling() {
        let url = URL.to_owned();
        let register = |check, rotate| Command::WebhookRegister { url: url.clone(), check, rotate };
        let apply = |folder: &str, views| Command::WarehouseApply { folder: folder.into(), views };
        let notice = |kind, key: Option<&str>, html: Option<&str>| Command::StakeholderNotice {
            kind,
            key: key.and_then(IncidentKey::parse),
            html: html.map(PathBuf::from),
        };
        let doctor =
            |url: Option<&str>, bare_names| Command::Doctor { url: url.map(str::to_owned), bare_names };
        let explain = |finding: Option<&str>| Command::Explain {
            finding: finding.map(str::to_owned),
            message: None,
            out: None,
        };
        let config = |file: Option<&str>| Command::CheckConfig { file: file.map(PathBuf::from) };
        let runs = |last| Command::Runs { sync: "properties-create".to_owned(), last };
        let test = |owner: Option<&str>, seconds| Command::AlertTest {
            owner: owner.map(str::to_owned),
            resolve_after: SignedDuration::from_secs(seconds),
            resolve: None,
        };
        let alarms = |yes, seconds| Command::AlarmTest { yes, wait: SignedDuration::from_secs(seconds) };
        let end_test = |owner: Option<&str>| Command::AlertTest {
            owner: owner.map(str::to_owned),
            resolve_after: SignedDuration::from_secs(30),
            resolve: Some("a/b/c".to_owned()),
        };
        let key = "properties/run-failed/a";
        let silence = NewSilence {
            owner: "Ada".to_owned(),
            reason: "release weekend".to_owned(),
            lasts: SignedDuration::from_hours(48),
            checks: vec![Check::RunFailed, Check::RunDue],
            subjects: vec!["properties-create".to_owned()],
        };
        let end = Silencing::End { id: "ada-1".to_owned() };
        let table = [
            ("status", Command::Status),
            ("incidents", Command::Incidents),
            ("runs properties-create", runs(10)),
            ("runs --last=100 properties-create", runs(100)),
            ("check-config", config(None)),
            ("check-config a.toml", config(Some("a.toml"))),
            ("explain", explain(None)),
            ("explain run-due", explain(Some("run-due"))),
            ("webhook-register --url https://abc.on.aws/webhooks/census", register(false, false)),
            (
                "webhook-register --check --rotate --url=https://abc.on.aws/webhooks/census",
                register(true, true),
            ),
            ("alert-test", test(None, 30)),
            ("alert-test --owner _Ada_", test(Some("Ada"), 30)),
            ("alert-test --resolve-after 0s", test(None, 0)),
            ("alert-test --resolve-after 10m", test(None, 600)),
            ("alarm-test", alarms(false, 60)),
            ("alarm-test --yes --wait 0s", alarms(true, 0)),
            ("alert-test --resolve a/b/c", end_test(None)),
            ("alert-test --resolve a/b/c --owner=Ada", end_test(Some("Ada"))),
            ("doctor", doctor(None, false)),
            ("doctor --bare-names --url https://abc.on.aws/webhooks/census", doctor(Some(URL), true)),
            ("warehouse-apply", apply("infra/warehouse", false)),
            ("warehouse-apply --views", apply("infra/warehouse", true)),
            ("warehouse-apply other", apply("other", false)),
            ("silence list", Command::Silence(Silencing::List { all: false })),
            ("silence list --all", Command::Silence(Silencing::List { all: true })),
            ("silence end ada-1", Command::Silence(end)),
            (
                "silence add --check=run-failed --for 2d --owner _Ada_ --reason release_weekend --check run-due \
                 --subject properties-create",
                Command::Silence(Silencing::Add(silence)),
            ),
            ("acknowledge properties/run-failed/a --by Ada --for 8h", acknowledgement(key)),
            ("mark properties/run-failed/a fine --by Ada --why launch --since 2026-11-20", marking(key)),
            ("stakeholder-notice launch", notice(Kind::Launch, None, None)),
            (
                "stakeholder-notice --html a.html all-clear --key=properties/run-failed/a",
                notice(Kind::AllClear, Some(key), Some("a.html")),
            ),
            ("remedies list", Command::Remedies(Healing::List)),
            ("remedies approve 0a1b2c3d", Command::Remedies(Healing::Approve { id: "0a1b2c3d".to_owned() })),
            (
                "remedies stop run-again --why release",
                Command::Remedies(Healing::Stop {
                    remedy: Some(RemedyKind::RunAgain),
                    why: "release".to_owned(),
                }),
            ),
            ("completions bash", Command::Completions { shell: clap_complete::Shell::Bash }),
        ];
        for (line, command) in table {
            is_read(line, &command);
        }
        assert_eq!(read("status --pipeline a.toml").unwrap().pipeline, Some(PathBuf::from("a.toml")));
        assert_eq!(Command::parse(&["incidents"]), Ok(Command::Incidents));
    }

    #[test]
    fn reports_and_pages_have_a_span_and_a_place() {
        let report = |week: Option<&str>, month: Option<&str>, html: Option<&str>| Command::Report {
            week: week.and_then(Week::parse),
            month: month.and_then(Month::parse),
            html: html.map(PathBuf::from),
        };
        let table = [
            ("report", report(None, None, None)),
            ("report --week 2026-W48", report(Some("2026-W48"), None, None)),
            ("report --html a.html --month=2026-11", report(None, Some("2026-11"), Some("a.html"))),
            ("page", Command::Page { month: None, out: None }),
            ("page --out pages", Command::Page { month: None, out: Some(PathBuf::from("pages")) }),
            ("page --month 2026-11", Command::Page { month: Month::parse("2026-11"), out: None }),
        ];
        for (line, command) in table {
            is_read(line, &command);
        }
    }

    #[test]
    fn audits_have_a_quarter_and_drills_have_sections() {
        let none = || Auditing {
            quarter: None,
            advisories: None,
            html: None,
            keep: false,
            drill: None,
            tried: Vec::new(),
            by: None,
        };
        let text = |text: &str| Some(text.to_owned());
        let tried = vec!["run-due".to_owned(), "duplicates-appear".to_owned()];
        let table = [
            ("audit", none()),
            ("audit --quarter", Auditing { quarter: Some(None), ..none() }),
            (
                "audit --quarter 2026-Q3 --advisories a.json --html a.html --keep --by Ada",
                Auditing {
                    quarter: Some(Quarter::parse("2026-Q3")),
                    advisories: Some(PathBuf::from("a.json")),
                    html: Some(PathBuf::from("a.html")),
                    keep: true,
                    by: text("Ada"),
                    ..none()
                },
            ),
            (
                "audit --drill late-news --by Ada --tried run-due --tried duplicates-appear",
                Auditing { drill: text("late-news"), by: text("Ada"), tried, ..none() },
            ),
        ];
        for (line, audit) in table {
            assert_eq!(Command::parse(&words(line)), Ok(Command::Audit(audit)), "{line}");
        }
    }

    #[test]
    fn refusals_name_the_fault_and_the_remedy() {
        let lines = [
            "dance",
            "incident",
            "sillence list",
            "check-config a b",
            "webhook-register",
            "webhook-register --url",
            "webhook-register --url a --url b",
            "webhook-register --url a --chek",
            "webhook-register --url _",
            "alert-test --resolve-after 1h",
            "runs",
            "runs a --last 0",
            "runs a --last 101",
            "silence",
            "silence ad",
            "silence end",
            "silence add --owner Ada --reason r --for soon",
            "silence add --owner Ada --reason r --for -2h",
            "silence add --owner Ada --reason r --for 0s",
            "silence add --owner Ada --reason r --for 32d",
            "silence add --owner Ada --for 2h",
            "silence add --owner Ada --reason _ --for 2h",
            "silence add --owner Ada --reason r --for 2h --check run-fialed",
            "acknowledge run-failed/a --by Ada --for 8h",
            "acknowledge properties/run-failed/a --by Ada --for 32d",
            "acknowledge properties/run-failed/a --for 8h",
            "incidents all",
            "stakeholder-notice party",
            "stakeholder-notice incident --key a",
            "completions clam",
            "reconcile --out xml",
            "reconcile --key P-1 --out csv",
            "audit --quarter 2026-Q5",
            "audit --keep",
            "audit --drill late-news --by Ada",
            "audit --drill late-news --by Ada --tried run-du",
            "audit --drill late-news --by Ada --tried run-due --keep",
        ];
        let refusals: Vec<String> = lines.iter().map(|line| format!("$ {line}\n{}", refusal(line))).collect();
        insta::assert_snapshot!(refusals.join("\n"));
    }

    #[test]
    fn silence_lengths_are_between_a_second_and_31_days() {
        for (text, seconds) in [("1s", 1), ("31d", 31 * 86_400), (" 90m ", 5_400), ("744h", 744 * 3_600)] {
            assert_eq!(quiet_length(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
        for text in ["0s", "-1s", "31d 1s", "745h", "99999999999d", "", "d"] {
            assert!(quiet_length(text).is_err(), "{text}");
        }
    }

    #[test]
    fn help_lists_every_command_once_in_its_group() {
        let NoCommand::Shown(help) = read("--help").unwrap_err() else { panic!("help is an error") };
        insta::assert_snapshot!(help);
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        let mut commands: Vec<String> =
            Arguments::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
        grouped.sort_unstable();
        commands.sort_unstable();
        assert_eq!(grouped, commands);
        for name in commands {
            let of_command = read(&format!("{name} --help")).unwrap_err();
            assert!(
                matches!(of_command, NoCommand::Shown(help) if help.contains("Usage: syncwatch")),
                "{name}"
            );
        }
        assert!(matches!(read("").unwrap_err(), NoCommand::Shown(shown) if shown == help));
        let version = concat!("syncwatch ", env!("CARGO_PKG_VERSION"), "\n");
        assert_eq!(read("--version"), Err(NoCommand::Shown(version.to_owned())));
    }

    #[test]
    fn completions_know_every_command() {
        for shell in [clap_complete::Shell::Bash, clap_complete::Shell::Zsh, clap_complete::Shell::Fish] {
            let script = completions(shell);
            let missing = GROUPS.iter().flat_map(|(_, names)| *names).find(|name| !script.contains(**name));
            assert_eq!(missing, None, "{shell}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_words_never_panic(words in proptest::collection::vec("(silence|add|runs|--for|--for=|[-=a-z0-9 ]{0,6}|\\PC{0,4})", 0..8)) {
            let _ = Arguments::read(&words);
        }
    }
}
