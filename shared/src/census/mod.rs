//! The client of the Census management API (Fivetran Activations), V1 and V2.
//!
//! Reads leniently: it ignores unknown fields, reads both generations of a sync's JSON, treats an unknown run status as
//! still running and a missing count as unknown. Sends strictly. [`Client`] only reads and [`Writer`] only changes, so
//! that a function without a writer cannot change anything. Neither can start a full sync or pause a sync, which must
//! never happen automatically.
//!
//! Comments mark each point that the vendor's docs leave open. V2's paths of runs are undocumented; we assume those of
//! V1.

mod client;
mod error;
mod settings;
mod transport;
mod webhook;
pub mod wire;
mod writer;

pub use client::Client;
pub use error::{Error, ErrorKind};
pub use settings::Settings;
pub use webhook::{CreatedWebhook, EVENTS, NewWebhook, Webhook};
pub use wire::{SyncPage, UnreadableEntry};
pub use writer::Writer;

#[cfg(test)]
mod tests;
