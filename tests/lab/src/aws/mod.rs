//! AWS on one machine: `ministack`, and the deployment of the real zips into it.
//!
//! What this proves is that the functions, as packed, run under the Lambda Runtime API, are fired by a Scheduler, a queue
//! or a Function URL, and speak to DynamoDB, SNS, SQS and Secrets Manager. What it cannot prove is in the lab's README.

mod access;
mod deploy;
mod functions_table;
mod ministack;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use access::Call;
pub use deploy::{Deployment, DeploymentOptions, Invocation, Schedules, host_zips};
pub use functions_table::{
    FunctionSpec, FunctionsTable, NamedSpec, Permission, QueueSpec, QueueTrigger, ResourceId, ResourceKind,
    ResourceSpec, ScheduleSpec, SecretSpec, SettingSource, TableSpec, UrlSpec,
};
pub use ministack::{ACCOUNT, Ministack, REGION, venv};

/// The top of the repository that this lab was built from.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR"));
    lab.ancestors().nth(2).unwrap_or(lab).to_path_buf()
}
