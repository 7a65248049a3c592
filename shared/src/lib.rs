#![doc = include_str!("../README.md")]

// Ground: what everything else speaks of.
pub mod figure;
pub mod finding;
pub mod observation;
pub mod text;

// Tools: what several clients need.
pub mod http;
pub mod sql;

// Core: pure, no I/O, no clock.
pub mod classify;
pub mod data_checks;
pub mod incident;
pub mod judge;
pub mod metrics;
pub mod notice;
pub mod pipeline;
pub mod rounds;
pub mod schedule;
pub mod silence;

// Clients: thin, all the I/O there is.
pub mod aws;
pub mod census;
pub mod warehouse;

// Shell: what makes judgements a Lambda function.
pub mod observe;
pub mod round;
pub mod runtime;
