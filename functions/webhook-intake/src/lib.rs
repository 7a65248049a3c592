#![doc = include_str!("../README.md")]

// The intake: what the internet reaches.
pub mod intake;
mod keyring;
mod refusals;
mod request;
pub mod verify;

// What the two hand to each other.
pub mod delivery;

// The worker: what reads Census and acts.
mod observe;
pub mod triage;
pub mod worker;

pub use request::{NotARequest, Request};
