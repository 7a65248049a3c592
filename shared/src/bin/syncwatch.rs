//! The operator's command line. `make check-config` runs it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line speaks on its standard streams"
)]

use std::process::ExitCode;

use syncwatch::pipeline::Pipeline;

const USAGE: &str =
    "usage: syncwatch check-config FILE\n\nValidates a pipeline.toml and says in words what will be watched.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["check-config", path] => check_config(path),
        ["--help" | "-h" | "help"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn check_config(path: &str) -> ExitCode {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{path} cannot be read: {error}; give the path of a pipeline.toml");
            return ExitCode::from(2);
        }
    };
    match Pipeline::parse(&text) {
        Ok(pipeline) => {
            print!("{pipeline}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}
