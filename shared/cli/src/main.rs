//! The operator's command line. `make help` lists the targets that run it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line speaks on its standard streams"
)]

use std::path::Path;
use std::process::ExitCode;

use syncwatch::runtime::{Env, clock};
use syncwatch_cli::arguments::USAGE;
use syncwatch_cli::runbook;
use syncwatch_cli::{Command, Error, Operator, Outcome, read_pipeline};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let command = match Command::parse(&words) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("syncwatch: {error}");
            return ExitCode::from(2);
        }
    };
    match carry_out(&command).await {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::ToDo) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("syncwatch: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(command: &Command) -> Result<Outcome, Error> {
    match command {
        Command::Help => println!("{USAGE}"),
        Command::CheckConfig { path } => print!("{}", read_pipeline(Path::new(path))?),
        Command::Explain { finding: Some(finding) } => print!("{}", runbook::explain(finding)?),
        Command::Explain { finding: None } => println!("{}", runbook::contents()),
        command => {
            let operator = Operator::connect(Env::process(), clock::now()).await?;
            return operator.carry_out(command, &mut |line| println!("{line}")).await;
        }
    }
    Ok(Outcome::Done)
}
