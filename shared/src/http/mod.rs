//! HTTP for all vendors: the client, its calls and their retries.

mod call;
mod client;
pub mod retry;
#[cfg(test)]
pub(crate) mod skipping;

pub use call::{ATTEMPT, Answer, Authorized, Call, Failed, NoAnswer, Repeat, Vendor, attempt, send};
pub use client::{CONNECT_TIMEOUT, HttpError, base_url, chain, client, private_url, token};
