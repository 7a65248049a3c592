//! census.
