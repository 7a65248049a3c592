//! The command line, read by hand. Pure.

use jiff::SignedDuration;

use super::plan::Wish;
use crate::stakeholders::Kind;
use syncwatch::finding::Check;
use syncwatch::incident::IncidentKey;

/// What the command line takes.
pub const USAGE: &str = "\
usage: syncwatch COMMAND

  check-config FILE
      Validates a pipeline.toml and says in words what will be watched.
  webhook-register --url URL [--check] [--rotate]
      Makes or checks the webhook at Census that posts to URL, and stores its secret. --check only looks.
      --rotate makes another one with a new secret, then deletes the old one.
  alert-test [--resolve-after 30s]
      Sends one marked test notice through every channel, then its end, and says what to look for.
  silence list [--all]
      Lists the silences that hold, and with --all those that are over.
  silence add --owner WHO --reason WHY --for 2h [--check CHECK]... [--subject SYNC]...
      Holds notices back: of these checks and subjects, or of all of them.
  silence end ID
      Ends a silence now.
  acknowledge INCIDENT --by WHO --for 8h
      Takes an incident on: no reminders for so long, unless it becomes worse.
  incidents
      Lists what is open, held or watched.
  explain [FINDING]
      Prints the runbook's section of a check, an incident's key or a class of error; without one, the names that there are.
  stakeholder-notice launch|incident|all-clear [--key INCIDENT] [--html FILE]
      Writes a notice for those who use the data, with the figures of this moment: as text, and with --html as a page too.
  doctor [--url URL] [--bare-names]
      Looks at the live deployment from the outside, and says what to do about each thing that is not well. URL is where
      the intake answers, if it is not the function's own URL; with --bare-names functions are not called syncwatch-...
  warehouse-apply [FOLDER] [--views]
      Makes the views and tables of infra/warehouse, each file once, and records what ran. --views puts every view back as
      it is written there, whoever changed it in the warehouse.

Where things are is said by the environment, which `make` sets from infra/functions.json: SYNCWATCH_TOPIC_ARN,
SYNCWATCH_INCIDENTS_TABLE, SYNCWATCH_CENSUS_SECRET, SYNCWATCH_WEBHOOK_SECRET, SYNCWATCH_WAREHOUSE_SECRET,
SYNCWATCH_PIPELINE (infra/pipeline.toml), and AWS's own AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.";

/// How long a test stays open, so that people see both its beginning and its end.
const RESOLVE_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// The longest that anybody waits for the end of a test.
const LONGEST_TEST: SignedDuration = SignedDuration::from_mins(10);
const LENGTH: &str = "a length of time such as 90s, 30m, 8h or 3d";

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Help,
    CheckConfig {
        path: String,
    },
    /// The runbook's section of a finding is printed, or the names that it has.
    Explain {
        /// A check, an incident's key, a class of error, or another section.
        finding: Option<String>,
    },
    RegisterWebhook {
        url: String,
        wish: Wish,
        only_look: bool,
    },
    AlertTest {
        resolve_after: SignedDuration,
    },
    AddSilence(NewSilence),
    ListSilences {
        all: bool,
    },
    EndSilence {
        id: String,
    },
    Acknowledge(Acknowledgement),
    /// A notice for those who use the data is written.
    TellStakeholders {
        kind: Kind,
        /// The incident that it is about; all that are open if there is none.
        key: Option<IncidentKey>,
        /// The file for the page of HTML.
        html: Option<String>,
    },
    ListIncidents,
    Doctor {
        /// Where the intake answers, if it is not the function's own URL.
        url: Option<String>,
        /// What stands before the names of functions and schedules in AWS.
        prefix: &'static str,
    },
    /// The objects of the warehouse are made.
    ApplyWarehouse {
        folder: String,
        /// Every view is put back as it is written.
        views_again: bool,
    },
}

/// What Terraform puts before the names of functions and schedules.
const PREFIX: &str = "syncwatch-";

/// The folder of the repository with the warehouse's objects.
const WAREHOUSE_FOLDER: &str = "infra/warehouse";

/// A silence that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSilence {
    pub owner: String,
    pub reason: String,
    /// How long it is to last.
    pub lasts: SignedDuration,
    /// The checks that it covers; none means all.
    pub checks: Vec<Check>,
    /// The subjects that it covers; none means all.
    pub subjects: Vec<String>,
}

/// An incident that somebody takes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    pub key: IncidentKey,
    pub by: String,
    pub lasts: SignedDuration,
}

/// Why a command line is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; `syncwatch help` says what there is")]
pub struct UsageError(String);

impl Command {
    /// Reads the words after the program's name.
    ///
    /// # Errors
    /// Says which word is not understood or missing, and what is.
    pub fn parse(words: &[String]) -> Result<Self, UsageError> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] | ["help" | "--help" | "-h"] => Ok(Self::Help),
            ["check-config", rest @ ..] => {
                let given = Given::read("check-config", rest, &[], &[])?;
                Ok(Self::CheckConfig { path: given.only_word("the path of a pipeline.toml")? })
            }
            ["explain", rest @ ..] => {
                let given = Given::read("explain", rest, &[], &[])?;
                // `make explain` without a finding hands on an empty word.
                let nothing = given.words.iter().all(|word| word.is_empty());
                let what = "a check, an incident's key or a class of error";
                let finding = if nothing { None } else { Some(given.only_word(what)?) };
                Ok(Self::Explain { finding })
            }
            ["webhook-register", rest @ ..] => {
                let given = Given::read("webhook-register", rest, &["--url"], &["--check", "--rotate"])?;
                given.no_words()?;
                let wish = if given.has("--rotate") { Wish::Rotate } else { Wish::Register };
                let url = given.needed("--url", "the URL of the function webhook-intake")?;
                Ok(Self::RegisterWebhook { url, wish, only_look: given.has("--check") })
            }
            ["warehouse-apply", rest @ ..] => {
                let given = Given::read("warehouse-apply", rest, &[], &["--views"])?;
                let folder = if given.words.is_empty() {
                    WAREHOUSE_FOLDER.to_owned()
                } else {
                    given.only_word("the folder with the files")?
                };
                Ok(Self::ApplyWarehouse { folder, views_again: given.has("--views") })
            }
            ["doctor", rest @ ..] => {
                let given = Given::read("doctor", rest, &["--url"], &["--bare-names"])?;
                given.no_words()?;
                Ok(Self::Doctor {
                    url: given.all("--url").next().map(str::to_owned),
                    prefix: if given.has("--bare-names") { "" } else { PREFIX },
                })
            }
            ["alert-test", rest @ ..] => {
                let given = Given::read("alert-test", rest, &["--resolve-after"], &[])?;
                given.no_words()?;
                Ok(Self::AlertTest { resolve_after: resolve_after(&given)? })
            }
            ["silence", "add", rest @ ..] => Self::add_silence(rest),
            ["silence", "list", rest @ ..] => {
                let given = Given::read("silence list", rest, &[], &["--all"])?;
                given.no_words()?;
                Ok(Self::ListSilences { all: given.has("--all") })
            }
            ["silence", "end", rest @ ..] => {
                let given = Given::read("silence end", rest, &[], &[])?;
                Ok(Self::EndSilence {
                    id: given.only_word("the id of a silence (`make silence` lists them)")?,
                })
            }
            ["silence", ..] => Err(UsageError("silence is followed by add, list or end".to_owned())),
            ["stakeholder-notice", rest @ ..] => Self::stakeholder_notice(rest),
            ["acknowledge", rest @ ..] => Self::acknowledge(rest),
            ["incidents", rest @ ..] => {
                Given::read("incidents", rest, &[], &[])?.no_words()?;
                Ok(Self::ListIncidents)
            }
            [other, ..] => Err(UsageError(format!("there is no command {other:?}"))),
        }
    }

    fn add_silence(rest: &[&str]) -> Result<Self, UsageError> {
        let options = ["--owner", "--reason", "--for", "--check", "--subject"];
        let given = Given::read("silence add", rest, &options, &[])?;
        given.no_words()?;
        let check = |id: &str| {
            Check::from_id(id).ok_or_else(|| {
                let known: Vec<&str> = Check::ALL.iter().map(|check| check.id()).collect();
                UsageError(format!("there is no check {id:?}; there are {}", known.join(", ")))
            })
        };
        Ok(Self::AddSilence(NewSilence {
            owner: given.needed("--owner", "who asks for it")?,
            reason: given.needed("--reason", "why")?,
            lasts: length("--for", &given.needed("--for", LENGTH)?)?,
            checks: given.all("--check").map(check).collect::<Result<_, _>>()?,
            subjects: given.all("--subject").map(str::to_owned).collect(),
        }))
    }

    fn stakeholder_notice(rest: &[&str]) -> Result<Self, UsageError> {
        let given = Given::read("stakeholder-notice", rest, &["--key", "--html"], &[])?;
        let what = "what it is about: launch, incident or all-clear";
        let kind = given.only_word(what)?;
        let kind = Kind::parse(&kind).ok_or_else(|| UsageError(format!("{kind:?} is not {what}")))?;
        let key = match given.optional("--key")? {
            None => None,
            Some(key) => {
                let refused = || {
                    UsageError(format!("{key:?} is not the key of an incident (`make incidents` lists them)"))
                };
                Some(IncidentKey::parse(key).ok_or_else(refused)?)
            }
        };
        Ok(Self::TellStakeholders { kind, key, html: given.optional("--html")?.map(str::to_owned) })
    }

    fn acknowledge(rest: &[&str]) -> Result<Self, UsageError> {
        let given = Given::read("acknowledge", rest, &["--by", "--for"], &[])?;
        let what = "the key of an incident, pipeline/check/subject (`make incidents` lists them)";
        let key = given.only_word(what)?;
        let key = IncidentKey::parse(&key).ok_or_else(|| UsageError(format!("{key:?} is not {what}")))?;
        let by = given.needed("--by", "who takes it on")?;
        let lasts = length("--for", &given.needed("--for", LENGTH)?)?;
        Ok(Self::Acknowledge(Acknowledgement { key, by, lasts }))
    }
}

fn resolve_after(given: &Given<'_>) -> Result<SignedDuration, UsageError> {
    let Some(text) = given.all("--resolve-after").next() else { return Ok(RESOLVE_AFTER) };
    let wait = length("--resolve-after", text)?;
    if wait > LONGEST_TEST {
        return Err(UsageError("--resolve-after is at most 10m".to_owned()));
    }
    Ok(wait)
}

/// Reads a length of time. Days have 24 hours here: what is asked for is a distance, not a date.
fn length(option: &str, text: &str) -> Result<SignedDuration, UsageError> {
    let days = text.strip_suffix('d').and_then(|days| days.trim_end().parse::<u32>().ok());
    let read = match days {
        Some(days) => Some(SignedDuration::from_hours(24 * i64::from(days))),
        None => text.parse::<SignedDuration>().ok(),
    };
    read.filter(|length| !length.is_negative())
        .ok_or_else(|| UsageError(format!("{option} {text:?} is not {LENGTH}")))
}

/// The words after a command, told apart.
struct Given<'a> {
    command: &'static str,
    options: Vec<(&'a str, &'a str)>,
    flags: Vec<&'a str>,
    words: Vec<&'a str>,
}

impl<'a> Given<'a> {
    fn read(
        command: &'static str,
        rest: &[&'a str],
        options: &[&str],
        flags: &[&str],
    ) -> Result<Self, UsageError> {
        let mut given = Self { command, options: Vec::new(), flags: Vec::new(), words: Vec::new() };
        let mut rest = rest.iter().copied();
        while let Some(word) = rest.next() {
            let (name, attached) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value)),
                _ => (word, None),
            };
            if options.contains(&name) {
                let value = attached.or_else(|| rest.next());
                let value = value.ok_or_else(|| UsageError(format!("{name} needs a value")))?;
                given.options.push((name, value.trim()));
            } else if flags.contains(&word) {
                given.flags.push(word);
            } else if word.starts_with('-') {
                return Err(UsageError(format!("{command} has no option {word:?}")));
            } else {
                given.words.push(word.trim());
            }
        }
        Ok(given)
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    /// The values of an option; an empty one is what `make` hands on of a variable that nobody set.
    fn all(&self, option: &str) -> impl Iterator<Item = &'a str> {
        let of_option =
            move |(name, value): &(&str, &'a str)| (*name == option && !value.is_empty()).then_some(*value);
        self.options.iter().filter_map(of_option)
    }

    fn optional(&self, option: &str) -> Result<Option<&'a str>, UsageError> {
        let mut values = self.all(option);
        match (values.next(), values.next()) {
            (Some(_), Some(_)) => Err(UsageError(format!("{option} is given twice"))),
            (value, _) => Ok(value),
        }
    }

    fn needed(&self, option: &str, what: &str) -> Result<String, UsageError> {
        let needs = || UsageError(format!("{} needs {option}: {what}", self.command));
        self.optional(option)?.map(str::to_owned).ok_or_else(needs)
    }

    fn only_word(&self, what: &str) -> Result<String, UsageError> {
        match self.words.as_slice() {
            [word] if !word.is_empty() => Ok((*word).to_owned()),
            [] | [_] => Err(UsageError(format!("{} needs {what}", self.command))),
            [_, second, ..] => Err(UsageError(format!("{} has no use for {second:?}", self.command))),
        }
    }

    fn no_words(&self) -> Result<(), UsageError> {
        match self.words.first() {
            None => Ok(()),
            Some(word) => Err(UsageError(format!("{} has no use for {word:?}", self.command))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Command, UsageError> {
        Command::parse(&line.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    fn refusal(line: &[&str]) -> String {
        parse(line).unwrap_err().to_string()
    }

    #[test]
    fn commands_are_read_with_their_options_in_any_order_and_either_spelling() {
        let url = "https://abc.on.aws/webhooks/census".to_owned();
        let register = |wish, only_look| Command::RegisterWebhook { url: url.clone(), wish, only_look };
        let key = IncidentKey::parse("properties/run-failed/a").unwrap();
        let taken_on = Acknowledgement { key, by: "Ada".to_owned(), lasts: SignedDuration::from_hours(8) };
        let silence = NewSilence {
            owner: "Ada".to_owned(),
            reason: "release weekend".to_owned(),
            lasts: SignedDuration::from_hours(48),
            checks: vec![Check::RunFailed, Check::RunDue],
            subjects: vec!["properties-create".to_owned()],
        };
        let table = [
            (vec![], Command::Help),
            (vec!["help"], Command::Help),
            (vec!["check-config", "a.toml"], Command::CheckConfig { path: "a.toml".to_owned() }),
            (vec!["explain"], Command::Explain { finding: None }),
            (vec!["explain", ""], Command::Explain { finding: None }),
            (vec!["explain", "run-due"], Command::Explain { finding: Some("run-due".to_owned()) }),
            (vec!["webhook-register", "--url", &url], register(Wish::Register, false)),
            (vec!["webhook-register", "--check", "--rotate", "--url", &url], register(Wish::Rotate, true)),
            (vec!["alert-test"], Command::AlertTest { resolve_after: RESOLVE_AFTER }),
            (
                vec!["alert-test", "--resolve-after", "0s"],
                Command::AlertTest { resolve_after: SignedDuration::ZERO },
            ),
            (vec!["doctor"], Command::Doctor { url: None, prefix: "syncwatch-" }),
            (
                vec!["doctor", "--bare-names", "--url", &url],
                Command::Doctor { url: Some(url.clone()), prefix: "" },
            ),
            (
                vec!["warehouse-apply", "--views"],
                Command::ApplyWarehouse { folder: "infra/warehouse".to_owned(), views_again: true },
            ),
            (
                vec!["warehouse-apply"],
                Command::ApplyWarehouse { folder: "infra/warehouse".to_owned(), views_again: false },
            ),
            (
                vec!["warehouse-apply", "other"],
                Command::ApplyWarehouse { folder: "other".to_owned(), views_again: false },
            ),
            (vec!["silence", "list"], Command::ListSilences { all: false }),
            (vec!["silence", "list", "--all"], Command::ListSilences { all: true }),
            (vec!["silence", "end", "ada-1"], Command::EndSilence { id: "ada-1".to_owned() }),
            (
                vec![
                    "silence",
                    "add",
                    "--check=run-failed",
                    "--for",
                    "2d",
                    "--owner",
                    " Ada ",
                    "--reason",
                    "release weekend",
                    "--check",
                    "run-due",
                    "--subject",
                    "properties-create",
                ],
                Command::AddSilence(silence),
            ),
            (
                vec!["acknowledge", "properties/run-failed/a", "--by", "Ada", "--for", "8h"],
                Command::Acknowledge(taken_on),
            ),
            (vec!["incidents"], Command::ListIncidents),
            (
                vec!["stakeholder-notice", "launch", "--key", "", "--html", ""],
                Command::TellStakeholders { kind: Kind::Launch, key: None, html: None },
            ),
            (
                vec!["stakeholder-notice", "--html", "a.html", "all-clear", "--key=properties/run-failed/a"],
                Command::TellStakeholders {
                    kind: Kind::AllClear,
                    key: IncidentKey::parse("properties/run-failed/a"),
                    html: Some("a.html".to_owned()),
                },
            ),
        ];
        for (line, expected) in table {
            assert_eq!(parse(&line), Ok(expected), "{line:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named_with_what_would_be() {
        let said = [
            refusal(&["dance"]),
            refusal(&["check-config"]),
            refusal(&["check-config", "a", "b"]),
            refusal(&["webhook-register"]),
            refusal(&["webhook-register", "--url", ""]),
            refusal(&["webhook-register", "--url"]),
            refusal(&["webhook-register", "--url", "a", "--url", "b"]),
            refusal(&["webhook-register", "--secret", "a"]),
            refusal(&["alert-test", "--resolve-after", "1h"]),
            refusal(&["silence"]),
            refusal(&["silence", "end"]),
            refusal(&["silence", "add", "--owner", "Ada", "--reason", "r", "--for", "soon"]),
            refusal(&["silence", "add", "--owner", "Ada", "--reason", "r", "--for", "-2h"]),
            refusal(&["silence", "add", "--owner", "Ada", "--for", "2h"]),
            refusal(&["acknowledge", "run-failed/a", "--by", "Ada", "--for", "8h"]),
            refusal(&["incidents", "all"]),
            refusal(&["stakeholder-notice", "party"]),
            refusal(&["stakeholder-notice", "incident", "--key", "a"]),
        ];
        insta::assert_snapshot!(said.join("\n"), @r#"
        there is no command "dance"; `syncwatch help` says what there is
        check-config needs the path of a pipeline.toml; `syncwatch help` says what there is
        check-config has no use for "b"; `syncwatch help` says what there is
        webhook-register needs --url: the URL of the function webhook-intake; `syncwatch help` says what there is
        webhook-register needs --url: the URL of the function webhook-intake; `syncwatch help` says what there is
        --url needs a value; `syncwatch help` says what there is
        --url is given twice; `syncwatch help` says what there is
        webhook-register has no option "--secret"; `syncwatch help` says what there is
        --resolve-after is at most 10m; `syncwatch help` says what there is
        silence is followed by add, list or end; `syncwatch help` says what there is
        silence end needs the id of a silence (`make silence` lists them); `syncwatch help` says what there is
        --for "soon" is not a length of time such as 90s, 30m, 8h or 3d; `syncwatch help` says what there is
        --for "-2h" is not a length of time such as 90s, 30m, 8h or 3d; `syncwatch help` says what there is
        silence add needs --reason: why; `syncwatch help` says what there is
        "run-failed/a" is not the key of an incident, pipeline/check/subject (`make incidents` lists them); `syncwatch help` says what there is
        incidents has no use for "all"; `syncwatch help` says what there is
        "party" is not what it is about: launch, incident or all-clear; `syncwatch help` says what there is
        "a" is not the key of an incident (`make incidents` lists them); `syncwatch help` says what there is
        "#);
        let no_check =
            refusal(&["silence", "add", "--owner", "A", "--reason", "r", "--for", "2h", "--check", "x"]);
        assert!(no_check.starts_with("there is no check \"x\"; there are api-reachable, "), "{no_check}");
    }

    proptest::proptest! {
        #[test]
        fn no_words_make_it_panic(words in proptest::collection::vec("(silence|add|--for|--for=|[-=a-z0-9 ]{0,6}|\\PC{0,4})", 0..8)) {
            let _ = Command::parse(&words);
        }
    }
}
