//! Runs `syncwatch doctor` on the demo's deployment, as an operator does on one in AWS.

use anyhow::{Result, ensure};
use jiff::Timestamp;
use serde_json::json;
use syncwatch::aws::Sdk;
use syncwatch::runtime::Env;
use syncwatch_cli::{Command, Operator, Outcome, read_pipeline};

use syncwatch_lab::aws::workspace_root;

use super::{Demo, INTAKE};

pub(super) async fn play(demo: &Demo) -> Result<()> {
    println!();
    demo.line("DOCTOR  the declared schedules are switched on; `syncwatch doctor` checks the deployment");
    // Their schedules have not fired yet, and the doctor wants a round of each function.
    let rounds = [
        ("reconciliation", "reconcile"),
        ("configuration-audit", "audit"),
        ("remedies", "heal"),
        ("reports", "digest"),
        ("status-page", "publish"),
    ];
    for (function, task) in rounds {
        let answer = demo.stage.deployment.invoke(function, &json!({ "task": task })).await?;
        ensure!(answer.error.is_none(), "{function}: {}", answer.value);
    }
    demo.stage.deployment.schedule_as_declared().await?;
    let pipeline = read_pipeline(&workspace_root().join("infra/pipeline.toml"))?;
    let sdk = Sdk::for_endpoint(demo.stage.deployment.endpoint())?;
    // The doctor reads its settings from the deployed functions.
    let nothing = Env::from_map(std::iter::empty::<(String, String)>());
    let operator = Operator::with(nothing, pipeline, sdk, Timestamp::now());
    let url = Some(demo.stage.deployment.url_of(INTAKE)?);
    // The lab's functions have the bare names of `infra/functions.json`.
    let (outcome, said) = operator.output(&Command::Doctor { url, bare_names: true }).await?;
    demo.quote("its report:", &said);
    ensure!(outcome == Outcome::Done, "the doctor found a problem");
    Ok(())
}
