#![doc = include_str!("../README.md")]

// Ground: the types that everything else uses.
pub mod days;
pub mod figure;
pub mod finding;
pub mod observation;
pub mod runbook;
pub mod stats;
pub mod text;

// Tools: shared by several clients.
pub mod http;
pub mod sql;

// Core: pure, no I/O, no clock.
pub mod advise;
pub mod audit;
pub mod baseline;
pub mod classify;
pub mod data_checks;
pub mod expect;
pub mod history;
pub mod incident;
pub mod judge;
pub mod marks;
pub mod metrics;
pub mod notice;
pub mod page;
pub mod pipeline;
pub mod reconcile;
pub mod remedy;
pub mod report;
pub mod rounds;
pub mod schedule;
pub mod scoreboard;
pub mod silence;

// Clients: thin; all I/O is here.
pub mod aws;
pub mod census;
pub mod warehouse;

// Shell: turns the core into Lambda functions.
pub mod observe;
pub mod registration;
pub mod round;
pub mod runtime;
