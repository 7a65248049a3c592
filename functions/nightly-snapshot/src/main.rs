//! The Lambda function: wiring only.

use std::process::ExitCode;

use nightly_snapshot::App;
use syncwatch::runtime::{self, Env};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let env = Env::process();
    runtime::log::init(&env);
    let app = App::new(&env).await;
    runtime::serve(&env, app, App::run).await
}
