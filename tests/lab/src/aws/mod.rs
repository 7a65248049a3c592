//! AWS on one machine: `ministack`, and the deployment of the real zips into it.
//!
//! It proves that the packed functions run under the Lambda Runtime API, are fired by a Scheduler, a queue or a Function
//! URL, and work with DynamoDB, SNS, SQS and Secrets Manager. The lab's README lists what it cannot prove.

mod access;
mod deploy;
mod functions_table;
mod ministack;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use access::Call;
pub(crate) use access::SES_PATH;
pub use deploy::{Deployment, DeploymentOptions, Invocation, Schedules, host_zips};
pub use functions_table::{
    FunctionSpec, FunctionsTable, IdentitySpec, NamedSpec, Permission, QueueSpec, QueueTrigger, ResourceId,
    ResourceKind, ResourceSpec, ScheduleSpec, SecretSpec, SettingSource, TableSpec, UrlSpec,
};
pub use ministack::{ACCOUNT, Ministack, REGION, venv};

/// The root of the repository from which this lab was built.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR"));
    lab.ancestors().nth(2).unwrap_or(lab).to_path_buf()
}
