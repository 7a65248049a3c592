//! Writes the planned rows, day by day.

use jiff::civil::Date;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::sql::{Error, Statement};

use crate::plan::{Change, DayPlan};
use crate::statements::Statements;

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
    // One at a time, so that no more than one is held in memory.
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
