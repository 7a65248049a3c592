//! The client for the Census management API (Fivetran Activations), V1 and V2.
//!
//! Lenient on what it reads: unknown fields are ignored, both generations of a sync's JSON are understood, a run status
//! that nobody announced counts as still running, a count that is missing is unknown. Strict on what it sends. There is
//! no way to start a full sync: nobody may do that automatically.
//!
//! What the vendor's documentation leaves open is said where it is decided. The paths of runs in V2 could not be read;
//! they are taken to be those of V1.

mod client;
mod error;
mod settings;
mod transport;
mod webhook;
pub mod wire;

pub use client::Client;
pub use error::{Error, ErrorKind};
pub use settings::Settings;
pub use webhook::{CreatedWebhook, EVENTS, NewWebhook, Webhook};
pub use wire::{SyncPage, UnreadableEntry};

#[cfg(test)]
mod tests;
