//! The Lambda function behind the Function URL: wiring only.

use std::process::ExitCode;

use syncwatch::runtime::{self, Env};
use webhook_intake::intake::Intake;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let env = Env::process();
    runtime::log::init(&env);
    let app = Intake::new(&env).await;
    runtime::serve(&env, app, Intake::run).await
}
