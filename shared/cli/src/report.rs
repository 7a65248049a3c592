//! Prints the digest of a week, as the function `reports` sends it, and the report of a month. Reads only.

mod page;

pub(crate) use page::render;

use std::path::Path;

use jiff::civil::Date;
use syncwatch::days::days_before;
use syncwatch::history::ObjectDay;
use syncwatch::observe::history::object_days;
use syncwatch::report::{Digest, HISTORY_DAYS, Inputs, Month, Monthly, Week};
use syncwatch::warehouse::Limits;

use super::error::Error;
use super::{Operator, write_page};

impl Operator {
    /// Computes the digest of a week, or of the last one that has ended.
    pub(super) async fn digest(&self, week: Option<Week>) -> Result<Digest, Error> {
        let last = Week::last(self.now, &self.pipeline.time_zone);
        let week = week.unwrap_or(last);
        if week > last {
            return Err(Error::new(
                format!("{week} has not ended"),
                format!("syncwatch report --week {last}"),
            ));
        }
        let inputs = self.records_until(week.sunday()).await?;
        Ok(Digest::of(&inputs, &self.pipeline, week, self.now))
    }

    /// Computes the report of a month that has ended, and writes it as a page, too.
    pub(super) async fn monthly(&self, month: Month, html: Option<&Path>) -> Result<Monthly, Error> {
        let last = Month::last(self.now, &self.pipeline.time_zone);
        if month > last {
            return Err(Error::new(
                format!("{month} has not ended"),
                format!("syncwatch report --month {last}"),
            ));
        }
        let inputs = self.records_until(month.end()).await?;
        let objects = self.object_days(month).await.map_err(|error| error.to_string());
        let advice = self.advise(None).await.map_err(|error| error.to_string());
        let advice = advice.map(|list| {
            let slow = list.syncs.into_iter().filter(|sync| !sync.advice.is_empty());
            slow.flat_map(|sync| sync.says).collect()
        });
        let monthly = Monthly::of(&inputs, &objects, &advice, &self.pipeline, month, self.now);
        if let Some(path) = html {
            write_page(path, &page::page(&monthly, &inputs.history.unwrap_or_default(), month)?)?;
        }
        Ok(monthly)
    }

    async fn records_until(&self, last: Date) -> Result<Inputs, Error> {
        let stored = self.incidents()?.of_scoreboard(&self.pipeline.name).await?;
        let history = self.history(days_before(last, HISTORY_DAYS - 1), last).await;
        Ok(Inputs { stored, history: history.map_err(|error| error.to_string()) })
    }

    async fn object_days(&self, month: Month) -> Result<Vec<ObjectDay>, Error> {
        let Some(snapshot) = &self.pipeline.snapshot else { return Ok(Vec::new()) };
        let warehouse = self.warehouse(Limits::default()).await?;
        let ask = async |statement: &_| warehouse.query(statement).await;
        let span = (month.first(), month.end());
        Ok(object_days(ask, &self.pipeline.name, snapshot, warehouse.dialect(), span).await?)
    }
}
