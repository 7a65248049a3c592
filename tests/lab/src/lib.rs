#![doc = include_str!("../README.md")]

pub mod accounts;
pub mod aws;
pub mod census;
pub mod clock;
pub mod databricks;
pub mod destination;
pub mod engines;
pub mod history;
mod loopback;
pub mod pages;
pub mod properties;
pub mod receivers;
pub mod stage;
pub mod wait;
