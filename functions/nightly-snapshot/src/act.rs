//! Writes the planned rows, day by day.

use jiff::civil::Date;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::sql::{Error, Statement};

use crate::plan::{Change, DayPlan};
use crate::rows::RemedyRow;
use crate::statements::Statements;

/// Counts what was written, and keeps the error that ended the writes.
#[derive(Debug, Default)]
pub struct Written {
    /// Days whose rows are now all stored.
    pub days: Vec<Date>,
    pub inserted: usize,
    pub updated: usize,
    /// The error that ended the writes early, if any.
    pub failure: Option<Error>,
}

/// Writes days in their order, each in one transaction where the warehouse has them. The row of a day is written after those
/// of its runs, so a stored day is complete. Ends at the first failure; the next round writes the rest.
pub async fn write(asker: Asker<'_>, statements: &Statements<'_>, plans: &[DayPlan]) -> Written {
    let mut written = Written::default();
    for plan in plans {
        if let Err(error) = write_day(asker, statements, plan).await {
            written.failure = Some(error);
            break;
        }
        written.days.push(plan.day.snapshot_date);
        written.inserted += plan.count(Change::Insert);
        written.updated += plan.count(Change::Update);
    }
    written
}

async fn write_day(asker: Asker<'_>, statements: &Statements<'_>, plan: &DayPlan) -> Result<(), Error> {
    let of_day = of_day(statements, plan);
    if statements.has_transactions() {
        let of_day: Vec<Statement> = of_day.collect();
        return if of_day.is_empty() { Ok(()) } else { asker.write(&of_day).await };
    }
    // One at a time, so that at most one is in memory.
    for statement in of_day {
        asker.write(std::slice::from_ref(&statement)).await?;
    }
    Ok(())
}

fn of_day<'a>(statements: &'a Statements<'_>, plan: &'a DayPlan) -> impl Iterator<Item = Statement> + 'a {
    let day = |change| (plan.day_change == change).then_some(&plan.day);
    let inserts = statements.insert(plan.runs_to(Change::Insert));
    let updates = statements.update(plan.runs_to(Change::Update));
    let of_runs = inserts.chain(updates);
    of_runs.chain(statements.insert(day(Change::Insert))).chain(statements.update(day(Change::Update)))
}

/// Writes acts of remedies by their keys.
pub async fn write_remedies(
    asker: Asker<'_>,
    statements: &Statements<'_>,
    rows: &[RemedyRow],
) -> Result<(), Error> {
    for statement in statements.update(rows).chain(statements.insert(rows)) {
        asker.write(std::slice::from_ref(&statement)).await?;
    }
    Ok(())
}
