//! A simulated SQL warehouse of Databricks: the Statement Execution API 2.0 over a database of SQLite.
//!
//! Paths, fields, states and errors follow the vendor's SDK (`databricks/sdk/service/sql.py`, 0.162.0). It accepts the SQL
//! of `infra/warehouse` and of the checks, and refuses SQL that SQLite accepts and Spark does not. The lab's own choices:
//! answers to writing statements have the single column `num_affected_rows`; a SQLite text that parses as a date or an
//! instant in every row is a `DATE` or `TIMESTAMP`; a scripted start of the warehouse ends after a number of requests, not
//! after a time; only `INLINE` and `JSON_ARRAY` are supported.

pub(crate) mod catalog;
mod server;
mod statement;
mod translate;

pub use server::{
    CLIENT_ID, CLIENT_SECRET, DatabricksFault, DatabricksServer, Present, TOKEN, Upkeep, WAREHOUSE_ID,
};
