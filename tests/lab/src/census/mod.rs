//! A simulated Census: syncs whose schedules really run, an API in two generations, webhooks, and faults on request.
//!
//! It follows the vendor's documentation and published clients. Where those are silent, the behaviour is the lab's choice,
//! and a comment there says so.

mod api;
mod deliver;
mod faults;
mod render;
mod schedule;
mod server;
mod storm;
mod webhooks;
mod world;
mod writes;

pub use deliver::RetrySchedule;
pub use faults::{Fault, HttpFault, UnknownFault};
pub use render::{run_json, runs_json, sync_json, syncs_json};
pub use schedule::SimSchedule;
pub use server::{CensusServer, DataFeed, PERSONAL_TOKEN, Requests, TOKEN};
pub use storm::{Fate, Storm, StormDelivery};
pub use webhooks::{Webhook, sign};
pub(crate) use world::SimCounts;
pub use world::{Alerts, Generation, SimRun, SimSync, StartedBy, Traffic, World};
pub use writes::Write;

#[cfg(test)]
mod tests;
