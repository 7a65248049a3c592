//! Silences in the incidents table: those that operators create, and the notices that each silence suppressed.
//!
//! They are stored in their own partition, `<pipeline>/silences`; a pipeline's name has no slash. A suppressed notice
//! is counted in the transaction that writes its incident, so that each is counted exactly once.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::{Error, Expected, IncidentStore, SPEC, WriteOutcome, item};
use crate::aws::table::{Claim, Item, Reader, Transacted, Update, attribute, ended, json};
use crate::aws::writer_id;
use crate::incident::{Incident, SENDING_LEASE};
use crate::silence::{Silence, Tally};

/// How long a silence is kept after its end, for review.
const KEPT_AFTER_END: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Incidents that a tally names; of further ones it only counts the notices. DynamoDB limits items to 400 KB, and a
/// write costs by the size of the whole item.
const NAMED_INCIDENTS: usize = 100;

const OWNER: &str = "owner";
const REASON: &str = "reason";
const SCOPE: &str = "scope";
const FROM: &str = "from";
const UNTIL: &str = "until";
const HELD_BACK: &str = "held_back";
const INCIDENTS: &str = "incidents";
const OF_OTHERS: &str = "of_others";
const REPORTING_SINCE: &str = "telling_since";
const DECLARED: &str = "declared";
const REPORTED: &str = "told";
const REPORTED_AT: &str = "told_at";
const REPORTS: &str = "tellings";

fn partition(pipeline: &str) -> String {
    format!("{pipeline}/silences")
}

fn key(pipeline: &str, id: &str) -> Item {
    SPEC.key(&[&partition(pipeline), id])
}

/// Returns the attributes that define a silence.
fn definition(silence: &Silence) -> [(&'static str, Option<AttributeValue>); 6] {
    let expires = silence.until.saturating_add(KEPT_AFTER_END).unwrap_or(silence.until);
    [
        (OWNER, attribute(&silence.owner)),
        (REASON, attribute(&silence.reason)),
        (SCOPE, json(&silence.scope)),
        (FROM, attribute(silence.from)),
        (UNTIL, attribute(silence.until)),
        (item::EXPIRES_AT, attribute(expires.as_second())),
    ]
}

fn read(item: &Reader<'_>) -> Result<Tally, Error> {
    let silence = Silence {
        scope: item.json(SCOPE)?,
        id: item.read(item::CHECK_SUBJECT)?,
        owner: item.read(OWNER)?,
        reason: item.read(REASON)?,
        from: item.read(FROM)?,
        until: item.read(UNTIL)?,
        declared: item.read(DECLARED).unwrap_or(false),
    };
    let count = |name| Ok::<u64, Error>(item.read::<Option<u64>>(name)?.unwrap_or(0));
    let mut incidents: Vec<String> = item.read(INCIDENTS).unwrap_or_default();
    incidents.sort();
    Ok(Tally {
        silence,
        held_back: count(HELD_BACK)?,
        incidents,
        of_others: count(OF_OTHERS)?,
        reported: count(REPORTED)?,
        tellings: count(REPORTS)?.try_into().unwrap_or(u32::MAX),
        reported_at: item.read(REPORTED_AT)?,
    })
}

/// Builds the update that counts a suppressed notice of this incident and stores the silence's definition; `also`
/// extends its ADD clause.
fn count_one(incident: &Incident, silence: &Silence, also: &str) -> Update {
    // A declared definition is stored as it is today. A function that read an operator's silence before it was ended
    // early must not prolong it.
    let store = if silence.declared { Update::storing } else { Update::storing_absent };
    store(key(&incident.key.pipeline, &silence.id), definition(silence))
        .and(&format!(", #declared = :declared ADD #held_back :one, {also}"))
        .value(":declared", silence.declared)
        .value(":one", 1)
}

/// The same as [`count_one`], with the incident's name, if the tally has room for it or already names it.
fn count_by_name(incident: &Incident, silence: &Silence) -> Update {
    let room = "attribute_not_exists(#incidents) OR size(#incidents) < :most OR contains(#incidents, :name)";
    let name = incident.key.check_subject();
    count_one(incident, silence, "#incidents :incident")
        .when(room)
        .value(":most", NAMED_INCIDENTS)
        .value(":name", &name)
        .value(":incident", [&name])
}

impl IncidentStore {
    /// Reads every silence that an operator created or that suppressed a notice, with its tally.
    ///
    /// An unreadable item silences nothing and must not hide the others, so its error is returned beside them.
    pub async fn silences(&self, pipeline: &str) -> Result<(Vec<Tally>, Vec<Error>), Error> {
        Ok(self.table.query(&partition(pipeline), None, read).await?)
    }

    /// Stores an operator's silence, replacing one of the same id but keeping its counts.
    pub async fn put_silence(&self, pipeline: &str, silence: &Silence) -> Result<(), Error> {
        Ok(self.table.update(Update::storing(key(pipeline, &silence.id), definition(silence))).await?)
    }

    /// Stores an incident as [`IncidentStore::write`] does, and counts the notice that the silence suppresses, both or
    /// neither.
    pub async fn write_held_back(
        &self,
        new: &Incident,
        expected: Expected,
        silence: &Silence,
    ) -> Result<WriteOutcome, Error> {
        // Two notices that one silence suppresses at the same moment both count in the same tally.
        let incident = || item::update(new, expected, &writer_id());
        let outcome = match self.table.transact(incident(), count_by_name(new, silence)).await? {
            Transacted::SecondRefused => {
                self.table.transact(incident(), count_one(new, silence, "#of_others :one")).await?
            }
            settled => settled,
        };
        let Transacted::Settled(outcome) = outcome else { return Ok(WriteOutcome::Lost(None)) };
        outcome.read(|stored| self.read(&stored))
    }

    /// Claims the report of a silence's unreported notices; `false` if another function is sending it or has sent it.
    pub async fn begin_report(&self, pipeline: &str, tally: &Tally, now: Timestamp) -> Result<bool, Error> {
        let lease_ended = now.saturating_sub(SENDING_LEASE).unwrap_or(now);
        let unreported = if tally.reported == 0 {
            "(attribute_not_exists(#told) OR #told = :told)"
        } else {
            "#told = :told"
        };
        let claim = Update::new(key(pipeline, &tally.silence.id), "SET #telling_since = :now")
            .when(format!("{unreported} AND ({})", ended(REPORTING_SINCE, ":lease_ended")))
            .value(":told", tally.reported)
            .value(":now", sortable(now))
            .value(":lease_ended", sortable(lease_ended));
        Ok(matches!(self.table.claim(claim).await?, Claim::Granted(_)))
    }

    /// Records that every notice in this tally was reported.
    pub async fn record_reported(&self, pipeline: &str, tally: &Tally, now: Timestamp) -> Result<(), Error> {
        let record = "SET #told = :told, #told_at = :now REMOVE #telling_since ADD #tellings :one";
        let record = Update::new(key(pipeline, &tally.silence.id), record)
            .value(":told", tally.held_back)
            .value(":now", now)
            .value(":one", 1);
        Ok(self.table.update(record).await?)
    }
}

/// Formats an instant with a fixed number of digits, so that its text sorts by time.
fn sortable(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

#[cfg(test)]
mod tests;
