//! HTTP, for every vendor alike: the client, and when a call is made again.

mod client;
pub mod retry;

pub use client::{CONNECT_TIMEOUT, HttpError, chain, client, keeps_secrets};
