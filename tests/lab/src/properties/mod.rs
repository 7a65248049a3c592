//! The data of the seed pipeline: properties at the source, records in a simulated Salesforce, and Fivetran's copy of them.
//! [`PropertyWorld`] is pure and in memory; [`Tables`] writes it into a real SQL engine.

mod faults;
mod generate;
mod tables;
#[cfg(test)]
mod tests;
mod world;

pub use faults::PropertyFault;
pub use generate::Property;
pub use tables::{Changes, Tables, make_sources, sql_folder};
pub(crate) use tables::{Table, make};
pub use world::{
    Copy, Health, INTEGRATION_USER, Move, Moved, PERSON, Pace, PropertyWorld, Record, Refusals,
    SYNCED_OF_SEED, Sync, TOTAL_OF_SEED,
};
