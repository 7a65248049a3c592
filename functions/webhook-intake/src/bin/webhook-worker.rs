//! The entry point of the worker.

use std::process::ExitCode;

use syncwatch::runtime;
use webhook_intake::worker::{self, Worker};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    runtime::run(worker::NEEDS, async |site| Ok::<_, anyhow::Error>(Worker::new(site)), Worker::run).await
}
