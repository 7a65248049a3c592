//! The entry point of the Lambda function.

use std::process::ExitCode;

use status_page::{App, NEEDS};
use syncwatch::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    runtime::run(NEEDS, async |site| Ok::<_, anyhow::Error>(App(site)), App::run).await
}
