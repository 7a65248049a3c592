//! The gates and limits by tables.
