//! The `syncwatch` command.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use syncwatch::runtime::{Env, clock};
use syncwatch_cli::arguments::{Arguments, NoCommand};
use syncwatch_cli::{Outcome, progress, run};

/// Clears the progress line.
const CLEAR: &str = "\r\x1b[2K";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match Arguments::read(&words) {
        Ok(arguments) => carry_out(&arguments).await,
        Err(NoCommand::Shown(text)) => {
            print_line(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(NoCommand::Usage(error)) => {
            print_error(&error.lines());
            ExitCode::from(2)
        }
    }
}

async fn carry_out(arguments: &Arguments) -> ExitCode {
    let is_terminal = io::stderr().is_terminal();
    let mut is_shown = false;
    let mut print = |line: &str| {
        if !arguments.json {
            print_line(line);
        }
    };
    let work = run(arguments, Env::process(), clock::now(), &mut print);
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
            let text = if is_json { format!("{:#}", answer.json) } else { answer.text };
            if !text.is_empty() {
                print_line(&text);
            }
            ExitCode::from(u8::from(answer.outcome == Outcome::ToDo))
        }
        Err(error) => {
            print_error(&error.lines());
            ExitCode::FAILURE
        }
    }
}

/// Ignores a closed pipe: a reader that stops early, such as `head`, is not a failure.
fn print_line(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn print_error(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
