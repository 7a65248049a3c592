#![doc = include_str!("../README.md")]

pub mod aws;
pub mod census;
pub mod clock;
pub mod destination;
mod loopback;
pub mod receivers;
pub mod stage;
pub mod wait;
