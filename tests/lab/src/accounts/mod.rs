//! The second object: companies at the source, which a sync upserts into a simulated Salesforce as Accounts, and Fivetran's copy
//! of them. Every kind of field, and a fault for each way in which the two sides come apart. [`AccountWorld`] is pure and in
//! memory; [`AccountTables`] writes it into a real SQL engine. `infra/examples/accounts.toml` declares the object.

mod faults;
mod tables;
#[cfg(test)]
mod tests;
mod world;

pub use faults::{AccountFault, Bend};
pub use tables::AccountTables;
pub use world::{Account, AccountWorld, Company, Refused};
