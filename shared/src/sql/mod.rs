//! SQL as values: statements with named placeholders, answers with typed values, names quoted per dialect. Pure.
//!
//! A [`Statement`] is SQL with named placeholders, and typed values bound to them. [`Row::get`] reads a value strictly
//! as one type. Every [`Error`] names the statement by its label and the remedy, and contains no value of a row or
//! parameter, no credential and no connection string.
//!
//! ```
//! use syncwatch::sql::{Dialect, Statement};
//!
//! let table = Dialect::Databricks.quote_parts(&["crm", "salesforce", "product_property"])?;
//! let since: jiff::Timestamp = "2026-11-24T08:00:00Z".parse()?;
//! let statement = Statement::new(
//!     "freshness of product_property",
//!     format!("SELECT COUNT(*) AS arrived FROM {table} WHERE created_date >= :since"),
//! )
//! .bind("since", since);
//! # let _ = statement;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod block;
pub mod bulk;
mod columns;
mod dialect;
mod error;
mod lexer;
mod placeholders;
mod read_only;
mod statement;

pub use answer::{Answer, Column, FromValue, Kind, Row, Value};
pub use block::{Block, Sink};
pub use columns::{Columns, Unreadable};
pub use dialect::{BadName, Dialect};
pub use error::{Error, ErrorKind, render};
pub use lexer::{Token, TokenKind, Unterminated, lex};
pub use placeholders::{Problem, Rendered};
pub use read_only::{NotReadOnly, check_read_only};
pub use statement::{Decimal, Parameter, ParameterValue, Statement, civil_utc};
