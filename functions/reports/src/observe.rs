//! Reads what the reports are computed from. What cannot be read is a line of the report, with its reason.

use std::time::Duration;

use futures::join;
use jiff::Timestamp;
use jiff::civil::Date;
use syncwatch::advise::AdviceList;
use syncwatch::aws::AwsError;
use syncwatch::days::days_before;
use syncwatch::history::{History, ObjectDay};
use syncwatch::observe::{history as read, speed};
use syncwatch::report::{HISTORY_DAYS, Month};
use syncwatch::runtime::Site;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::warehouse::Warehouse;

/// Limit for reading the audit log: the rest of the function's time is for its records and for sending.
pub const WAREHOUSE_LIMIT: Duration = Duration::from_secs(80);
/// Limit for advice on the speed of syncs, which reads at the same time.
const ADVICE_LIMIT: Duration = Duration::from_secs(60);

/// Reads the days until `last`. The inner error becomes a line of the report; the outer one means that AWS does not answer now.
pub(crate) async fn history(site: &Site, last: Date) -> Result<Result<History, String>, AwsError> {
    let warehouse = match warehouse(site).await? {
        Ok(warehouse) => warehouse,
        Err(why) => return Ok(Err(why)),
    };
    Ok(of_days(site, &warehouse, Asker::new(&warehouse, WAREHOUSE_LIMIT), last).await)
}

/// The inputs of a monthly report, beside the stored incidents.
pub(crate) struct MonthReads {
    pub history: Result<History, String>,
    pub objects: Result<Vec<ObjectDay>, String>,
    pub advice: Result<Vec<String>, String>,
}

/// Reads the days until the end of a month, the comparisons in it, and the speed of the syncs now.
pub(crate) async fn month(site: &Site, month: Month, now: Timestamp) -> Result<MonthReads, AwsError> {
    let logged = async {
        let warehouse = match warehouse(site).await? {
            Ok(warehouse) => warehouse,
            Err(why) => return Ok((Err(why.clone()), Err(why))),
        };
        let asker = Asker::new(&warehouse, WAREHOUSE_LIMIT);
        let history = of_days(site, &warehouse, asker, month.end()).await;
        let Some(snapshot) = &site.pipeline.snapshot else { return Ok((history, Ok(Vec::new()))) };
        let ask = async |statement: &_| asker.ask(statement).await;
        let span = (month.first(), month.end());
        let objects = read::object_days(ask, &site.pipeline.name, snapshot, warehouse.dialect(), span).await;
        Ok((history, objects.map_err(|error| error.to_string())))
    };
    let speed = async {
        tokio::time::timeout(ADVICE_LIMIT, advice(site, now))
            .await
            .unwrap_or_else(|_| Ok(Err(format!("no answer within {} seconds", ADVICE_LIMIT.as_secs()))))
    };
    let (logged, advice) = join!(logged, speed);
    let (history, objects) = logged?;
    Ok(MonthReads { history, objects, advice: advice? })
}

async fn of_days(
    site: &Site,
    warehouse: &Warehouse,
    asker: Asker<'_>,
    last: Date,
) -> Result<History, String> {
    let snapshot = site.pipeline.snapshot.as_ref().ok_or(NO_SNAPSHOT)?;
    let span = (days_before(last, HISTORY_DAYS - 1), last);
    let ask = async |statement: &_| asker.ask(statement).await;
    let read = read::history(ask, &site.pipeline.name, snapshot, warehouse.dialect(), span).await;
    read.map_err(|error| error.to_string())
}

async fn advice(site: &Site, now: Timestamp) -> Result<Result<Vec<String>, String>, AwsError> {
    let census = match site.census(now).await? {
        Ok(census) => census,
        Err(why) => return Ok(Err(why.to_string())),
    };
    let open = async || match warehouse(site).await {
        Ok(opened) => opened,
        Err(error) => Err(error.to_string()),
    };
    let advice = speed::advice(&site.pipeline, &census, open, ADVICE_LIMIT, None, now).await;
    Ok(advice.map(AdviceList::on_slow_syncs).map_err(|error| error.to_string()))
}

/// Opens the warehouse of the audit log; the inner error is the reason why there is none.
async fn warehouse(site: &Site) -> Result<Result<Warehouse, String>, AwsError> {
    match &site.pipeline.warehouse {
        Some(declared) if site.pipeline.snapshot.is_some() => {
            site.warehouse(declared, read::limits(), WAREHOUSE_LIMIT).await
        }
        _ => Ok(Err(NO_SNAPSHOT.to_owned())),
    }
}

const NO_SNAPSHOT: &str = "pipeline.toml declares no [snapshot]";
