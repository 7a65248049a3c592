//! Silences in the table of incidents: those that people ask for at run time, and what each held back.
//!
//! They lie in a partition of their own beside the pipeline's, `<pipeline>/silences`; the name of a pipeline has no slash.
//! A notice that is held back is counted in the same transaction as the incident is written, so that none is counted twice
//! or not at all.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::{Error, Expected, IncidentStore, SPEC, WriteOutcome, item};
use crate::aws::table::{Claim, Item, Reader, Transacted, Update, attribute, ended, json};
use crate::aws::writer_id;
use crate::incident::{Incident, SENDING_LEASE};
use crate::silence::{Silence, Tally};

/// How long a silence is kept after its end for people to look back at.
const KEPT_AFTER_END: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Incidents that a tally names; of others it only counts the notices. DynamoDB refuses items beyond 400 KB, and a write
/// costs by the size of the whole item.
const NAMED_INCIDENTS: usize = 100;

const OWNER: &str = "owner";
const REASON: &str = "reason";
const SCOPE: &str = "scope";
const FROM: &str = "from";
const UNTIL: &str = "until";
const HELD_BACK: &str = "held_back";
const INCIDENTS: &str = "incidents";
const OF_OTHERS: &str = "of_others";
const TELLING_SINCE: &str = "telling_since";
const DECLARED: &str = "declared";
const TOLD: &str = "told";
const TELLINGS: &str = "tellings";

fn partition(pipeline: &str) -> String {
    format!("{pipeline}/silences")
}

fn key(pipeline: &str, id: &str) -> Item {
    SPEC.key(&[&partition(pipeline), id])
}

/// What defines a silence, as attributes.
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
        told: count(TOLD)?,
        tellings: count(TELLINGS)?.try_into().unwrap_or(u32::MAX),
    })
}

/// The update that counts a notice of this incident as held back, beside what defines the silence; `also` is what else is
/// added.
fn count_one(incident: &Incident, silence: &Silence, also: &str) -> Update {
    // The declared definition is stored as it is today. A silence that was asked for, and that was ended early, must not
    // be prolonged by a function that read it before.
    let store = if silence.declared { Update::storing } else { Update::storing_absent };
    store(key(&incident.key.pipeline, &silence.id), definition(silence))
        .and(&format!(", #declared = :declared ADD #held_back :one, {also}"))
        .value(":declared", silence.declared)
        .value(":one", 1)
}

/// The same, with the incident's name, if the tally has room for it or names it already.
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
    /// Every silence that was asked for at run time or has held something back, with what it held back.
    ///
    /// One item that cannot be read silences nothing and must not hide the others, so it is answered beside them.
    pub async fn silences(&self, pipeline: &str) -> Result<(Vec<Tally>, Vec<Error>), Error> {
        Ok(self.table.query(&partition(pipeline), None, read).await?)
    }

    /// Stores a silence that somebody asks for, over one of the same id; what that one held back stays counted.
    pub async fn put_silence(&self, pipeline: &str, silence: &Silence) -> Result<(), Error> {
        Ok(self.table.update(Update::storing(key(pipeline, &silence.id), definition(silence))).await?)
    }

    /// Stores an incident as [`IncidentStore::write`] does, and counts the notice that the silence holds back, both or
    /// neither.
    pub async fn write_held_back(
        &self,
        new: &Incident,
        expected: Expected,
        silence: &Silence,
    ) -> Result<WriteOutcome, Error> {
        // Of two notices that one silence holds back at the same moment, both count at the same tally.
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

    /// Takes on to tell what a silence held back beyond what was told; `false` if another function is at it or has told it.
    pub async fn begin_telling(&self, pipeline: &str, tally: &Tally, now: Timestamp) -> Result<bool, Error> {
        let lease_ended = now.saturating_sub(SENDING_LEASE).unwrap_or(now);
        let untold =
            if tally.told == 0 { "(attribute_not_exists(#told) OR #told = :told)" } else { "#told = :told" };
        let claim = Update::new(key(pipeline, &tally.silence.id), "SET #telling_since = :now")
            .when(format!("{untold} AND ({})", ended(TELLING_SINCE, ":lease_ended")))
            .value(":told", tally.told)
            .value(":now", sortable(now))
            .value(":lease_ended", sortable(lease_ended));
        Ok(matches!(self.table.claim(claim).await?, Claim::Granted(_)))
    }

    /// Records that people were told all that this tally counts.
    pub async fn record_told(&self, pipeline: &str, tally: &Tally, now: Timestamp) -> Result<(), Error> {
        let record = "SET #told = :told, #told_at = :now REMOVE #telling_since ADD #tellings :one";
        let record = Update::new(key(pipeline, &tally.silence.id), record)
            .value(":told", tally.held_back)
            .value(":now", now)
            .value(":one", 1);
        Ok(self.table.update(record).await?)
    }
}

/// An instant whose texts are in the order of time: always with the same number of digits.
fn sortable(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

#[cfg(test)]
mod tests;
