//! The runtime of a Lambda function: settings, log and event loop.
//!
//! A complete `main.rs`:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use jiff::Timestamp;
//! use serde_json::Value;
//! use syncwatch::aws::CallLimits;
//! use syncwatch::runtime::env::{self, Needs};
//! use syncwatch::runtime::{self, Site};
//!
//! const NEEDS: Needs =
//!     Needs { required: &[env::PIPELINE, env::TOPIC_ARN], optional: &[], aws: CallLimits::USUAL };
//!
//! struct App(Site);
//!
//! type Error = Box<dyn std::error::Error + Send + Sync>;
//!
//! impl App {
//!     async fn run(&self, event: Value, now: Timestamp) -> Result<Value, Error> {
//!         Ok(serde_json::json!({ "seen": event, "at": now, "by": self.0.pipeline.name }))
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> ExitCode {
//!     runtime::run(NEEDS, async |site| Ok::<_, Error>(App(site)), App::run).await
//! }
//! ```

pub mod batch;
pub mod clock;
pub mod env;
pub mod heartbeat;
pub mod log;
pub mod metrics;
mod serve;
mod site;
pub mod warehouse;

pub use env::{Env, Needs, Setting, SettingsError};
pub use serve::{UnknownEvent, read_event, run};
pub use site::{Site, StartError};
