//! A simulated SQL warehouse of Databricks: the Statement Execution API 2.0 over a database of SQLite.
//!
//! Paths, fields, states and errors follow the vendor's SDK (`databricks/sdk/service/sql.py`, 0.162.0). It takes the SQL
//! that `infra/warehouse` and the checks write, and refuses what Spark would refuse and SQLite would not. The lab's own
//! choices: answers to statements that write have the one column `num_affected_rows`; a text of SQLite that reads as a day or an
//! instant in every row is a `DATE` or `TIMESTAMP`; a scripted start of the warehouse is over after so many looks, not
//! after so much time; only `INLINE` and `JSON_ARRAY` are spoken.

mod server;
mod statement;
mod translate;

pub use server::{
    CLIENT_ID, CLIENT_SECRET, DatabricksFault, DatabricksServer, Present, TOKEN, Upkeep, WAREHOUSE_ID,
};
