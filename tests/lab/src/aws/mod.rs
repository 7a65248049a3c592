//! AWS on one machine: `ministack`, and the deployment of the real zips into it.
//!
//! What this proves is that the functions, as packed, run under the Lambda Runtime API, are fired by a Scheduler, and
//! speak to DynamoDB, SNS and Secrets Manager. What it cannot prove: ministack checks no permission, ignores the time
//! zone of a schedule, accepts any SNS subject, never retries an SNS delivery, and sends no mail.

mod deploy;
mod functions_table;
mod ministack;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use deploy::{Deployment, DeploymentOptions, Invocation, Schedules, host_zips};
pub use functions_table::{
    FunctionSpec, FunctionsTable, NamedSpec, Permission, ResourceId, ResourceKind, ResourceSpec,
    ScheduleSpec, SettingSource, TableSpec,
};
pub use ministack::{ACCOUNT, Ministack, REGION, venv};

/// The top of the repository that this lab was built from.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR"));
    lab.ancestors().nth(2).unwrap_or(lab).to_path_buf()
}
