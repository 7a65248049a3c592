//! Rows of an answer as they arrive, before they are parsed.

use std::fmt;
use std::ops::ControlFlow;

use jiff::tz::TimeZone;

use super::answer::{Column, Value};
use super::dialect::Dialect;

/// Takes the blocks of a stream, on any thread, until it breaks.
pub type Sink = Box<dyn FnMut(&Block<'_>) -> ControlFlow<()> + Send>;

/// Some rows of an answer, each cell as the engine writes it.
pub struct Block<'b> {
    pub(crate) dialect: Dialect,
    pub(crate) columns: &'b [Column],
    /// For each column, the zone of its timestamps without an offset.
    pub(crate) zones: &'b [TimeZone],
    /// Row after row; `None` is NULL.
    pub(crate) cells: Vec<Option<&'b [u8]>>,
}

impl<'b> Block<'b> {
    /// Returns the columns, in order.
    pub fn columns(&self) -> &'b [Column] {
        self.columns
    }

    /// Returns the cells of each row.
    pub fn rows(&self) -> impl Iterator<Item = &[Option<&'b [u8]>]> {
        self.cells.chunks_exact(self.columns.len().max(1))
    }

    /// Parses a cell of the column at this place.
    pub fn value(&self, place: usize, cell: Option<&[u8]>) -> Value {
        match (cell, self.columns.get(place), self.zones.get(place)) {
            (Some(bytes), Some(column), Some(zone)) => {
                Value::read(self.dialect, column.kind, &String::from_utf8_lossy(bytes), zone)
            }
            _ => Value::Null,
        }
    }
}

/// Shows no value: it may be personal data.
impl fmt::Debug for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a block of {} rows", self.rows().count())
    }
}
