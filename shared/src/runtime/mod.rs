//! What makes a function a Lambda function: its settings, its log and its loop.
//!
//! A whole `main.rs`:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use jiff::Timestamp;
//! use serde_json::Value;
//! use syncwatch::aws::Clients;
//! use syncwatch::runtime::{self, Env, env};
//!
//! struct App {
//!     clients: Clients,
//!     topic: String,
//! }
//!
//! type Error = Box<dyn std::error::Error + Send + Sync>;
//!
//! impl App {
//!     async fn new(env: &Env) -> Result<Self, Error> {
//!         let [topic, _table] = env.required_all([env::TOPIC_ARN, env::INCIDENTS_TABLE])?;
//!         Ok(Self { clients: Clients::connect().await?, topic })
//!     }
//!
//!     async fn run(&self, event: Value, now: Timestamp) -> Result<Value, Error> {
//!         Ok(serde_json::json!({ "seen": event, "at": now, "topic": self.topic }))
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> ExitCode {
//!     let env = Env::process();
//!     runtime::log::init(&env);
//!     let app = App::new(&env).await;
//!     runtime::serve(&env, app, App::run).await
//! }
//! ```

pub mod batch;
pub mod clock;
pub mod env;
pub mod heartbeat;
pub mod log;
pub mod metrics;
pub mod pipeline_file;
mod serve;
pub mod warehouse;

pub use env::{Env, Setting, SettingsError};
pub use serve::serve;
