//! Warehouses over real ODBC: tables of cases for SQLite and PostgreSQL.

mod cases;
mod engines;
mod postgres;

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;

use engines::Engine;

/// Runs every case and lists all that failed.
async fn run(engine: &Engine, cases: &[(&'static str, cases::Case)]) {
    let mut failed = Vec::new();
    for (name, case) in cases {
        if AssertUnwindSafe(case(engine)).catch_unwind().await.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "{}: {failed:#?}", engine.name);
}

#[tokio::test]
async fn every_case_holds_on_sqlite() {
    let engine = Engine::sqlite();
    run(&engine, cases::BOTH).await;
    run(&engine, cases::SQLITE).await;
}

#[tokio::test]
async fn every_case_holds_on_postgresql() {
    let engine = Engine::postgresql();
    run(&engine, cases::BOTH).await;
    run(&engine, cases::POSTGRESQL).await;
}
