//! `make drill`: lists the drills, or starts one.
#![expect(clippy::print_stdout, reason = "a command line writes to its standard streams")]

use std::io::{stdin, stdout};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use syncwatch_drill::play::{self, play};
use syncwatch_drill::{DRILLS, Drill, Session, converse, find, list};
use syncwatch_lab::aws::Ministack;

/// Scripted incidents to train on.
#[derive(Debug, Parser)]
struct Arguments {
    /// The drill to start. Without a name, lists the drills.
    name: Option<String>,
    /// Play an answer without a trainee: for the named drill, or for all.
    #[arg(long)]
    play: Option<Answer>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Answer {
    /// The drill's model answer: it must pass.
    Model,
    /// A harmful answer: it must not pass.
    Wrong,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let drill = arguments.name.as_deref().map(find).transpose()?;
    match (drill, arguments.play) {
        (None, None) => {
            println!("Start a drill with `make drill NAME=...`:\n{}", list());
            Ok(ExitCode::SUCCESS)
        }
        (Some(drill), None) => train(drill).await,
        (drill, Some(answer)) => rehearse(drill.map_or(DRILLS, std::slice::from_ref), answer).await,
    }
}

async fn train(drill: &Drill) -> Result<ExitCode> {
    println!("Starting the lab on this machine.\n");
    let aws = Ministack::start().await?;
    let mut session = Session::begin(&aws, "", drill).await?;
    let began = Instant::now();
    converse(&mut session, stdin().lock(), stdout().lock(), || began.elapsed()).await?;
    // A failed drill is not a failed command.
    Ok(ExitCode::SUCCESS)
}

/// Plays answers, and fails if a result is not the expected one.
async fn rehearse(drills: &[Drill], answer: Answer) -> Result<ExitCode> {
    let (played, must_pass) = match answer {
        Answer::Model => (play::Answer::Model, true),
        Answer::Wrong => (play::Answer::Wrong, false),
    };
    let aws = Ministack::start().await?;
    let mut code = ExitCode::SUCCESS;
    for drill in drills {
        let result = play(&aws, drill.name, drill, played).await?;
        println!("{} ({})", drill.name, drill.level);
        for subject in &result.subjects {
            println!("  MAIL  {subject}");
        }
        println!("{}", result.score);
        if result.score.passed != must_pass {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
