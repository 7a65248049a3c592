#![doc = include_str!("../README.md")]

// Core: pure, no I/O, no clock.
pub mod checks;
pub mod classify;
pub mod finding;
pub mod incident;
pub mod judge;
pub mod metrics;
pub mod notice;
pub mod observation;
pub mod pipeline;
pub mod report;
pub mod runbook;
pub mod schedule;
pub mod silence;
pub mod stakeholders;

// Clients: thin, all the I/O there is.
pub mod aws;
pub mod census;
pub mod warehouse;

// The warehouse's tables and views, and the checks on its data.
pub mod warehouse_objects;

// Acting: findings become incidents and notices.
pub mod act;

// Runtime: what makes a function a Lambda function.
pub mod runtime;

// Operating: what people do by command. No function links any of it.
pub mod operate;
