//! Prints the digest of a week again, as the function `reports` sends it. Reads only.

use syncwatch::days::days_before;
use syncwatch::report::{Digest, HISTORY_DAYS, Inputs, Week};

use super::Operator;
use super::error::Error;

impl Operator {
    /// Computes the digest of a week, or of the last one that has ended.
    pub(super) async fn report(&self, week: Option<Week>) -> Result<Digest, Error> {
        let pipeline = &self.pipeline;
        let last = Week::last(self.now, &pipeline.time_zone);
        let week = week.unwrap_or(last);
        if week > last {
            return Err(Error::new(
                format!("{week} has not ended"),
                format!("syncwatch report --week {last}"),
            ));
        }
        let stored = self.incidents()?.of_scoreboard(&pipeline.name).await?;
        let span = (days_before(week.sunday(), HISTORY_DAYS - 1), week.sunday());
        let history = self.history(span.0, span.1).await.map_err(|error| error.to_string());
        Ok(Digest::of(&Inputs { stored, history }, pipeline, week, self.now))
    }
}
