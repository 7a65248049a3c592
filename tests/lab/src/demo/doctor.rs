//! The doctor's look at all of it, as `syncwatch doctor` looks at a deployment in AWS.

use anyhow::{Result, ensure};
use jiff::Timestamp;
use syncwatch::aws::Sdk;
use syncwatch::runtime::Env;
use syncwatch_cli::{Command, Operator, Outcome, read_pipeline};

use syncwatch_lab::aws::workspace_root;

use super::{Demo, INTAKE};

pub(super) async fn play(demo: &Demo) -> Result<()> {
    println!();
    demo.line(
        "DOCTOR  the schedules are switched on as declared, and `syncwatch doctor` checks the deployment",
    );
    demo.stage.deployment.schedule_as_declared().await?;
    let pipeline = read_pipeline(&workspace_root().join("infra/pipeline.toml"))?;
    let sdk = Sdk::for_endpoint(demo.stage.deployment.endpoint())?;
    // All that it needs it reads from the deployed functions.
    let nothing = Env::from_map(std::iter::empty::<(String, String)>());
    let operator = Operator::with(nothing, pipeline, sdk, Timestamp::now());
    let url = Some(demo.stage.deployment.url_of(INTAKE)?);
    // The lab's functions have the bare names of the table.
    let (outcome, said) = operator.say(&Command::Doctor { url, bare_names: true }).await?;
    demo.quote("it says:", &said);
    ensure!(outcome == Outcome::Done, "the doctor found something to do");
    Ok(())
}
