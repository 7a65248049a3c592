//! The status page at the end of the demo: renewed by the real function, from the bucket.

use std::fs;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use syncwatch_lab::aws::workspace_root;
use syncwatch_lab::stage::Stage;

use super::{Demo, PIPELINE};

const FUNCTION: &str = "status-page";
const BUCKET: &str = "syncwatch-pages";

/// The address of the page on this machine.
pub(super) fn address(stage: &Stage) -> String {
    format!("{}/{BUCKET}/{PIPELINE}/index.html", stage.deployment.endpoint())
}

pub(super) async fn play(demo: &Demo) -> Result<()> {
    println!();
    let renewed = demo.stage.deployment.invoke(FUNCTION, &json!({ "task": "publish" })).await?;
    if let Some(error) = renewed.error {
        bail!("the status page was not renewed ({error}): {}", renewed.value);
    }
    let sentence = renewed.value.get("summary").and_then(Value::as_str).context("no state of the page")?;
    demo.line(&format!("PAGE    {sentence}"));
    let page = syncwatch::http::client()?.get(address(&demo.stage)).send().await?.error_for_status()?;
    let page = page.text().await?;
    ensure!(page.contains("Healthy"), "the page does not show the healthy pipeline: {sentence}");
    let folder =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace_root().join("target"), Into::into);
    let file = folder.join("demo-page.html");
    fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))?;
    demo.more(&format!("open {}", file.display()));
    Ok(())
}
