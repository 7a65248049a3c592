//! Asks the warehouse: one statement for each table, within the time that the function has.

use futures::{StreamExt, stream};
use syncwatch::data_checks::Scan;
use syncwatch::judge::data::Trouble;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::sql::{Answer, Error};

/// Statements that are asked at the same time. A small warehouse runs some ten at once, and others want it too.
const CONCURRENT_STATEMENTS: usize = 4;

/// A statement, and what came of it.
#[derive(Debug)]
pub struct Looked<'c> {
    pub scan: Scan<'c>,
    /// The answer; `None` if it was not asked, since the warehouse does not answer.
    pub answer: Option<Result<Answer, Error>>,
}

/// Asks every statement. The first one goes alone: if the warehouse does not answer it, the others are not asked.
pub async fn ask_all<'c>(asker: Asker<'_>, scans: Vec<Scan<'c>>) -> Vec<Looked<'c>> {
    let mut scans = scans.into_iter();
    let Some(first) = scans.next() else { return Vec::new() };
    let first = look(asker, first).await;
    let down =
        matches!(&first.answer, Some(Err(error)) if Trouble::Failed(error.clone()).is_of_the_warehouse());
    let mut looked = vec![first];
    if down {
        looked.extend(scans.map(|scan| Looked { scan, answer: None }));
    } else {
        let rest = stream::iter(scans).map(|scan| look(asker, scan)).buffered(CONCURRENT_STATEMENTS);
        looked.extend(rest.collect::<Vec<_>>().await);
    }
    looked
}

async fn look<'c>(asker: Asker<'_>, scan: Scan<'c>) -> Looked<'c> {
    let answer = asker.ask(&scan.statement).await;
    Looked { scan, answer: Some(answer) }
}
