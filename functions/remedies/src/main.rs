//! The entry point of the Lambda function.

use std::process::ExitCode;

use remedies::{App, NEEDS};
use syncwatch::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    runtime::run(NEEDS, async |site| App::new(site), App::run).await
}
