//! Filters: the `where` of a check and of the table beside it.

use super::{Condition, DataCheck, Rule};

/// The `where` of one table of a check: its own table, or the one beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter<'c> {
    /// The table whose rows it keeps, as `pipeline.toml` names it.
    pub table: &'c str,
    /// Never empty.
    pub conditions: &'c [Condition],
    /// Whether the table is the check's own, and not the one beside it.
    pub own: bool,
    /// Whether it may keep no row, as the check counts the rows that it keeps, such as those of a queue.
    pub may_keep_none: bool,
}

impl Filter<'_> {
    /// Returns its conditions as text, such as `_fivetran_deleted is not true`.
    pub fn in_words(&self) -> String {
        let conditions: Vec<String> = self.conditions.iter().map(ToString::to_string).collect();
        conditions.join(" and ")
    }

    /// Returns the columns of its conditions.
    pub fn columns(&self) -> String {
        let columns: Vec<&str> = self.conditions.iter().map(|condition| condition.column.as_str()).collect();
        columns.join(", ")
    }
}

/// Returns the filters that a check declares.
pub fn filters(check: &DataCheck) -> impl Iterator<Item = Filter<'_>> {
    let counts_rows = matches!(check.rule, Rule::QueueSize { .. } | Rule::RowCount { .. });
    let filter =
        |table, conditions, own| Filter { table, conditions, own, may_keep_none: own && counts_rows };
    let beside = match &check.rule {
        Rule::Coverage { destination: keys, .. } | Rule::Referential { references: keys, .. } => {
            Some((keys.table.as_str(), keys.filter.as_slice()))
        }
        Rule::Freshness { destination, .. } => {
            Some((destination.table.as_str(), destination.filter.as_slice()))
        }
        _ => None,
    };
    let own = filter(check.table.as_str(), check.filter.as_slice(), true);
    let beside = beside.map(|(table, conditions)| filter(table, conditions, false));
    std::iter::once(own).chain(beside).filter(|filter| !filter.conditions.is_empty())
}
