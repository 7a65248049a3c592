#![doc = include_str!("../README.md")]

// The intake, which the internet reaches.
pub mod intake;
mod keyring;
mod refusals;
mod request;
pub mod verify;

// The messages from the intake to the worker.
pub mod delivery;

// The worker, which reads Census and acts.
mod observe;
pub mod triage;
pub mod worker;

pub use request::{NotARequest, Request};
