//! The databases of a pipeline's objects.

use std::collections::BTreeMap;

use super::Warehouse;
use crate::reconcile::{NotCompared, Side};

/// The databases of a pipeline's objects.
#[derive(Debug)]
pub struct Databases {
    pub warehouse: Warehouse,
    /// The connections that are needed, by name; or why one cannot be opened.
    pub connections: BTreeMap<String, Result<Warehouse, String>>,
}

impl Databases {
    /// Returns the database of one side.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn of(&self, side: &Side) -> Result<&Warehouse, NotCompared> {
        let Some(name) = &side.connection else { return Ok(&self.warehouse) };
        let problem = match self.connections.get(name) {
            Some(Ok(connection)) => return Ok(connection),
            Some(Err(problem)) => problem.clone(),
            None => "not opened".to_owned(),
        };
        Err(NotCompared::Connection { name: name.clone(), problem })
    }
}
