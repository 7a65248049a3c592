//! The `syncwatch` command.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use syncwatch::runtime::{Env, clock};
use syncwatch_cli::arguments::{Arguments, NoCommand};
use syncwatch_cli::{Outcome, progress, run};

/// Clears the line of progress.
const CLEAR: &str = "\r\x1b[2K";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match Arguments::read(&words) {
        Ok(arguments) => carry_out(&arguments).await,
        Err(NoCommand::Shown(text)) => {
            print(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(NoCommand::Usage(error)) => {
            complain(&error.lines());
            ExitCode::from(2)
        }
    }
}

async fn carry_out(arguments: &Arguments) -> ExitCode {
    let is_terminal = io::stderr().is_terminal();
    let mut is_shown = false;
    let mut tell = |line: &str| {
        if !arguments.json {
            print(line);
        }
    };
    let work = run(arguments, Env::process(), clock::now(), &mut tell);
    let answer = progress::shown(work, &mut |waited| {
        if is_terminal {
            is_shown = true;
            let _ = write!(io::stderr(), "{CLEAR}{}", progress::line(&arguments.command, waited));
        }
    })
    .await;
    if is_shown {
        let _ = write!(io::stderr(), "{CLEAR}");
    }
    match answer {
        Ok(answer) => {
            let is_json = arguments.json;
            print(&if is_json { format!("{:#}", answer.json) } else { answer.text });
            ExitCode::from(u8::from(answer.outcome == Outcome::ToDo))
        }
        Err(error) => {
            complain(&error.lines());
            ExitCode::FAILURE
        }
    }
}

/// A reader that has seen enough, such as `head`, is not a failure.
fn print(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
