//! The Lambda function behind the queue: wiring only.

use std::process::ExitCode;

use syncwatch::runtime::{self, Env};
use webhook_intake::worker::Worker;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let env = Env::process();
    runtime::log::init(&env);
    let app = Worker::new(&env).await;
    runtime::serve(&env, app, Worker::run).await
}
