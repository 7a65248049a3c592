//! Asks the warehouse: one statement for each table, within the time that the function has.

use std::time::Duration;

use futures::{StreamExt, stream};
use syncwatch::checks::{Scan, Trouble};
use syncwatch::warehouse::{Answer, Error, Statement, Warehouse};
use tokio::time::{Instant, timeout_at};

/// Statements that are asked at the same time. A small warehouse runs some ten at once, and others want it too.
const CONCURRENT_STATEMENTS: usize = 4;

/// A statement, and what came of it.
#[derive(Debug)]
pub struct Looked<'c> {
    /// The statement and its checks.
    pub scan: Scan<'c>,
    /// The answer; `None` if it was not asked, since the warehouse does not answer.
    pub answer: Option<Result<Answer, Error>>,
}

/// Asks statements by a deadline.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'w> {
    warehouse: &'w Warehouse,
    deadline: Instant,
    budget: Duration,
}

impl<'w> Asker<'w> {
    /// Whatever is not answered within `budget` from now on is a time-out.
    pub fn new(warehouse: &'w Warehouse, budget: Duration) -> Self {
        Self { warehouse, deadline: Instant::now() + budget, budget }
    }

    /// Asks every statement. The first one goes alone: if the warehouse does not answer it, the others are not asked.
    pub async fn ask_all<'c>(self, scans: Vec<Scan<'c>>) -> Vec<Looked<'c>> {
        let mut scans = scans.into_iter();
        let Some(first) = scans.next() else { return Vec::new() };
        let first = self.look(first).await;
        let down =
            matches!(&first.answer, Some(Err(error)) if Trouble::Failed(error.clone()).is_of_the_warehouse());
        let mut looked = vec![first];
        if down {
            looked.extend(scans.map(|scan| Looked { scan, answer: None }));
        } else {
            let rest = stream::iter(scans).map(|scan| self.look(scan)).buffered(CONCURRENT_STATEMENTS);
            looked.extend(rest.collect::<Vec<_>>().await);
        }
        looked
    }

    async fn look<'c>(self, scan: Scan<'c>) -> Looked<'c> {
        let answer = self.ask(&scan.statement).await;
        Looked { scan, answer: Some(answer) }
    }

    /// Asks one statement.
    ///
    /// # Errors
    /// See [`Error`]; a statement beyond the deadline is dropped, which cancels it.
    pub async fn ask(self, statement: &Statement) -> Result<Answer, Error> {
        timeout_at(self.deadline, self.warehouse.query(statement)).await.unwrap_or_else(|_| {
            Err(Error::Timeout {
                statement: statement.label().to_owned(),
                seconds: self.budget.as_secs(),
                what: "all statements of the round",
            })
        })
    }
}
