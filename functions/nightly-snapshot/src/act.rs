//! Writes the planned rows, day by day.

use jiff::civil::Date;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::sql::{Error, Statement};

use crate::plan::{Change, DayPlan};
use crate::statements::{ROWS_A_STATEMENT, Statements};

/// The outcome of the writes.
#[derive(Debug, Default)]
pub struct Written {
    /// Days whose rows are all stored now.
    pub days: Vec<Date>,
    pub inserted: usize,
    pub updated: usize,
    /// Why it ended before all days were written.
    pub failure: Option<Error>,
}

/// Writes days in their order, each as a whole where the warehouse has transactions, and its own row after those of its
/// runs: a day whose row is there has them all. Ends at the first failure; the next round writes what is left.
pub async fn write(asker: Asker<'_>, statements: &Statements<'_>, plans: &[DayPlan]) -> Written {
    let mut written = Written::default();
    for plan in plans {
        let of_day = of_day(statements, plan);
        if !of_day.is_empty()
            && let Err(error) = asker.write(&of_day).await
        {
            written.failure = Some(error);
            break;
        }
        written.days.push(plan.day.snapshot_date);
        written.inserted += plan.count(Change::Insert);
        written.updated += plan.count(Change::Update);
    }
    written
}

fn of_day(statements: &Statements<'_>, plan: &DayPlan) -> Vec<Statement> {
    let fresh: Vec<_> = plan.runs_to(Change::Insert).collect();
    let inserts = fresh.chunks(ROWS_A_STATEMENT).map(|rows| statements.insert(rows));
    let updates = plan.runs_to(Change::Update).map(|row| statements.update(row));
    let day = match plan.day_change {
        Change::Insert => Some(statements.insert(&[&plan.day])),
        Change::Update => Some(statements.update(&plan.day)),
        Change::Unchanged | Change::Kept => None,
    };
    inserts.chain(updates).chain(day).collect()
}
