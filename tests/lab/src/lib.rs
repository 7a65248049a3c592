//! Lab.
pub mod aws;
