//! Reads the audit log.

use std::time::Duration;

use syncwatch::aws::AwsError;
use syncwatch::days::days_before;
use syncwatch::history::History;
use syncwatch::observe::history as read;
use syncwatch::report::{HISTORY_DAYS, Week};
use syncwatch::runtime::Site;
use syncwatch::runtime::warehouse::Asker;

/// Limit for reading the audit log: the rest of the function's time is for its records and for sending.
pub const WAREHOUSE_LIMIT: Duration = Duration::from_secs(80);

/// Reads the days until the end of a week. The inner error becomes a line of the digest; the outer one means that AWS does not
/// answer now.
pub(crate) async fn history(site: &Site, week: Week) -> Result<Result<History, String>, AwsError> {
    let pipeline = &site.pipeline;
    let Some((declared, snapshot)) = pipeline.warehouse.as_ref().zip(pipeline.snapshot.as_ref()) else {
        return Ok(Err("pipeline.toml declares no [snapshot]".to_owned()));
    };
    let warehouse = match site.warehouse(declared, read::limits(), WAREHOUSE_LIMIT).await? {
        Ok(warehouse) => warehouse,
        Err(why) => return Ok(Err(why)),
    };
    let asker = Asker::new(&warehouse, WAREHOUSE_LIMIT);
    let span = (days_before(week.sunday(), HISTORY_DAYS - 1), week.sunday());
    let ask = async |statement: &_| asker.ask(statement).await;
    let read = read::history(ask, &pipeline.name, snapshot, warehouse.dialect(), span).await;
    Ok(read.map_err(|error| error.to_string()))
}
