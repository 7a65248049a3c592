//! The trainee's prompt: a line in, an answer out. Time is an argument, and lines come from any reader.

use std::io::{BufRead, Write};
use std::time::Duration;

use anyhow::Result;
use syncwatch_lab::aws::Ministack;

use crate::drill::{Cause, Drill, Fix};
use crate::look::LOOKS;
use crate::scene::Scene;
use crate::score::{Performance, Score, score};

/// The most lab time that may pass at one command, in minutes.
const LONGEST_WAIT: i64 = 12 * 60;

/// A drill in progress.
#[derive(Debug)]
pub struct Session<'d> {
    drill: &'d Drill,
    scene: Scene,
    performance: Performance,
    shown: usize,
    /// The trainee's minutes that have passed in the lab too.
    lived: i64,
    score: Option<Score>,
}

/// A parsed line of the trainee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    Help,
    Causes,
    Fixes,
    Look(String),
    /// Lets these minutes pass.
    Wait(i64),
    Diagnose(Vec<Cause>),
    /// Applies steps, in this order.
    Apply(Vec<Fix>),
    Hint,
    /// Lets the lab run until all is resolved, then shows the score.
    Done,
    /// Shows the model answer, without a score.
    GiveUp,
}

impl Request {
    /// Parses a line.
    ///
    /// # Errors
    /// The line is invalid; the error names the problem and the commands.
    pub fn parse(line: &str) -> Result<Self, String> {
        let line = line.trim();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match (word, rest) {
            ("help" | "?", _) => Ok(Self::Help),
            ("causes", _) | ("cause", "") => Ok(Self::Causes),
            ("fixes", _) | ("fix", "") => Ok(Self::Fixes),
            ("look", "") => Err(format!("look needs a subject:\n{LOOKS}")),
            ("look", what) => Ok(Self::Look(what.to_owned())),
            ("wait", time) => minutes(time).map(Self::Wait),
            ("cause", ids) => read_all(ids, Cause::from_id, "cause", "causes").map(Self::Diagnose),
            ("fix", ids) => read_all(ids, Fix::from_id, "fix", "fixes").map(Self::Apply),
            ("hint", "") => Ok(Self::Hint),
            ("done", "") => Ok(Self::Done),
            ("give-up", "") => Ok(Self::GiveUp),
            _ => Err(format!(
                "unknown command {line:?}; commands: look, wait, causes, cause, fixes, fix, hint, done, give-up, help"
            )),
        }
    }
}

fn read_all<T>(ids: &str, read: fn(&str) -> Option<T>, what: &str, list: &str) -> Result<Vec<T>, String> {
    let read_one = |id| read(id).ok_or_else(|| format!("unknown {what} {id:?}; `{list}` lists them"));
    ids.split([' ', ',']).filter(|id| !id.is_empty()).map(read_one).collect()
}

/// Parses `30m` or `2h`.
fn minutes(time: &str) -> Result<i64, String> {
    let wrong = || format!("invalid time; such as `wait 30m` or `wait 2h`, at most {}h", LONGEST_WAIT / 60);
    let (number, factor) = match (time.strip_suffix('m'), time.strip_suffix('h')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 60),
        _ => return Err(wrong()),
    };
    let number: i64 = number.trim().parse().map_err(|_| wrong())?;
    let minutes = number.saturating_mul(factor);
    (1..=LONGEST_WAIT).contains(&minutes).then_some(minutes).ok_or_else(wrong)
}

impl<'d> Session<'d> {
    /// Sets the scene and injects the drill's faults. From here on the trainee is on call.
    ///
    /// # Errors
    /// The lab cannot be set up.
    pub async fn begin(aws: &Ministack, suffix: &str, drill: &'d Drill) -> Result<Self> {
        let mut scene = Scene::set(aws, suffix, drill).await?;
        scene.play_beats(drill.beats).await?;
        Ok(Self { drill, scene, performance: Performance::default(), shown: 0, lived: 0, score: None })
    }

    /// The lab.
    #[must_use]
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// The score, once the drill has ended.
    #[must_use]
    pub fn score(&self) -> Option<&Score> {
        self.score.as_ref()
    }

    /// The opening text: title, briefing, and the mails so far.
    pub fn opening(&mut self) -> String {
        let news = self.news();
        format!(
            "{} ({}): {}\n\n{}\n\n{news}\n`help` lists the commands.",
            self.drill.name, self.drill.level, self.drill.title, self.drill.story
        )
    }

    /// Answers a line. `elapsed` is the trainee's time since the drill began; as many minutes pass in the lab.
    ///
    /// # Errors
    /// The lab fails. A mistake of the trainee is answered.
    pub async fn handle(&mut self, line: &str, elapsed: Duration) -> Result<String> {
        if line.trim().is_empty() || self.score.is_some() {
            return Ok(String::new());
        }
        let request = match Request::parse(line) {
            Ok(request) => request,
            Err(problem) => return Ok(problem),
        };
        let thought = i64::try_from(elapsed.as_secs() / 60).unwrap_or(0) - self.lived;
        self.lived += thought.max(0);
        self.scene.live(thought.clamp(0, LONGEST_WAIT)).await?;
        let mut said = self.answer(request, elapsed).await?;
        // Mail after the score does not matter.
        let news = if self.score.is_some() { String::new() } else { self.news() };
        if !news.is_empty() {
            said = format!("{said}\n\n{news}");
        }
        Ok(said)
    }

    async fn answer(&mut self, request: Request, elapsed: Duration) -> Result<String> {
        Ok(match request {
            Request::Help => format!(
                "{LOOKS}\n  wait 30m                 let time pass\n  causes, fixes            list the causes, list the steps\n  \
                 cause ID [ID]            your diagnosis; the last one counts\n  fix ID [ID]              apply steps, in this order\n  \
                 hint                     costs points\n  done                     let the lab run on, then show the score\n  give-up                  show the model answer"
            ),
            Request::Causes => list(Cause::ALL.iter().map(|cause| (cause.id(), cause.words()))),
            Request::Fixes => list(Fix::ALL.iter().map(|fix| (fix.id(), fix.words()))),
            Request::Look(what) => match self.scene.look(&what).await {
                Ok(seen) => seen,
                Err(error) => format!("{error:#}"),
            },
            Request::Wait(minutes) => {
                self.scene.live(minutes).await?;
                format!("It is {} in the lab.", self.scene.now())
            }
            Request::Diagnose(causes) => {
                self.performance.guesses += u32::from(!self.performance.causes.is_empty());
                self.performance.causes = causes;
                self.performance.diagnosed_after = Some(elapsed);
                "Noted.".to_owned()
            }
            Request::Apply(fixes) => {
                let mut done = Vec::new();
                for fix in fixes {
                    self.scene.apply(fix).await?;
                    self.performance.fixes.push(fix);
                    done.push(format!("Done: {}.", fix.words()));
                }
                done.push(format!("It is {} in the lab.", self.scene.now()));
                done.join("\n")
            }
            Request::Hint => {
                let hint =
                    self.drill.hints.get(usize::try_from(self.performance.hints).unwrap_or(usize::MAX));
                match hint {
                    None => "There are no more hints.".to_owned(),
                    Some(hint) => {
                        self.performance.hints += 1;
                        (*hint).to_owned()
                    }
                }
            }
            Request::Done => self.end().await?,
            Request::GiveUp => {
                self.performance.gave_up = true;
                self.end().await?
            }
        })
    }

    /// Lets the lab run on, then shows the score and the model answer.
    async fn end(&mut self) -> Result<String> {
        let outcome = self.scene.settle().await?;
        let score = score(self.drill, &self.performance, &outcome);
        let said = format!("{score}\n{}", model_answer(self.drill));
        self.score = Some(score);
        Ok(said)
    }

    /// The mails not shown yet: a single one in full, of several only the subjects.
    fn news(&mut self) -> String {
        let mails = self.scene.mails();
        let new = mails.get(self.shown..).unwrap_or_default();
        let mut lines: Vec<String> = new.iter().map(|mail| format!("MAIL  {}", mail.subject)).collect();
        match new {
            [only] => lines.extend(only.text.lines().map(|line| format!("    | {line}"))),
            [_, ..] => lines.push("      (`look notices` shows them in full)".to_owned()),
            [] => {}
        }
        self.shown = mails.len();
        lines.join("\n")
    }
}

fn list<'w>(choices: impl Iterator<Item = (&'w str, &'w str)>) -> String {
    choices.map(|(id, words)| format!("  {id:<20} {words}")).collect::<Vec<_>>().join("\n")
}

/// The model answer, with links to the runbook.
#[must_use]
pub fn model_answer(drill: &Drill) -> String {
    let ids = |ids: Vec<&str>| ids.join(" ");
    let mut lines = vec![
        "The model answer:".to_owned(),
        format!("  cause {}", ids(drill.causes.iter().map(|cause| cause.id()).collect())),
        format!("  fix {}", ids(drill.fixes.iter().map(|fix| fix.id()).collect())),
        String::new(),
        drill.model_answer.to_owned(),
        String::new(),
    ];
    for wrong in drill.wrong_fixes {
        lines.push(format!("Not {}: {}", wrong.fix, wrong.why));
    }
    for anchor in drill.anchors {
        lines.push(format!("Runbook: infra/runbook/OPERATIONS_RUNBOOK.md#{anchor}"));
    }
    let tried: String = drill.anchors.iter().map(|anchor| format!(" --tried {anchor}")).collect();
    lines.push(format!("Record it for the audit: syncwatch audit --drill {} --by WHO{tried}", drill.name));
    lines.join("\n")
}

/// Runs a drill until it ends; the end of input counts as `give-up`. `elapsed` returns the time since the start.
///
/// # Errors
/// The lab fails, or reading or writing fails.
pub async fn converse(
    session: &mut Session<'_>,
    mut lines: impl BufRead,
    mut out: impl Write,
    elapsed: impl Fn() -> Duration,
) -> Result<()> {
    writeln!(out, "{}", session.opening())?;
    while session.score().is_none() {
        write!(out, "\n> ")?;
        out.flush()?;
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            "give-up".clone_into(&mut line);
        }
        let said = session.handle(&line, elapsed()).await?;
        if !said.is_empty() {
            writeln!(out, "{said}")?;
        }
    }
    Ok(())
}
