//! The Lambda function: wiring only.

use std::process::ExitCode;

use alert_relay::post::Patience;
use alert_relay::{App, NEEDS};
use syncwatch::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    runtime::run(NEEDS, async |site| App::new(site, Patience::default()), App::run).await
}
