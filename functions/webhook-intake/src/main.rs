//! The entry point of the intake.

use std::process::ExitCode;

use syncwatch::runtime;
use webhook_intake::intake::{self, Intake};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    runtime::run(intake::NEEDS, async |site| Ok::<_, anyhow::Error>(Intake::new(site).await), Intake::run)
        .await
}
