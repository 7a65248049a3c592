//! Remedies in the incidents table: their records in the partition `<pipeline>/remedies`, the kill switches in
//! `<pipeline>/stops`, and the turn of the function that may act in `<pipeline>/turn`.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::{Error, IncidentStore, SPEC, item};
use crate::aws::table::{Claim, Item, Lease, Outcome, Reader, Update, attribute, json};
use crate::aws::writer_id;
use crate::pipeline::RemedyKind;
use crate::remedy::{Record, Stop};

/// How long a record is kept after its last change.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long one that never acted is kept: as long as the breaker and the count of heals look back, and a day.
const KEPT_WITHOUT_ACT: SignedDuration = SignedDuration::from_hours(8 * 24);
/// Longer than the timeout of every function, so that only a dead holder loses its turn.
const TURN: SignedDuration = SignedDuration::from_mins(2);

const RECORD: &str = "record";
const VERSION: &str = "version";
const STATE: &str = "state_of_remedy";
const WRITTEN_BY: &str = "written_by";
const STOPPED: &str = "stopped";
const BY: &str = "stopped_by";
const AT: &str = "stopped_at";
const WHY: &str = "why";
const ALL: &str = "all";
const REMEDIES: &str = "remedies";

fn of(pipeline: &str, what: &str) -> String {
    format!("{pipeline}/{what}")
}

fn stop(item: &Reader<'_>) -> Result<Option<Stop>, Error> {
    let name: String = item.read(item::CHECK_SUBJECT)?;
    let on: bool = item.read(STOPPED)?;
    let kind = RemedyKind::ALL.into_iter().find(|kind| kind.to_string() == name);
    // A switch of a remedy that this version does not know stops all: it is on for a reason.
    on.then(|| Ok(Stop { kind, by: item.read(BY)?, at: item.read(AT)?, why: item.read(WHY)? })).transpose()
}

impl IncidentStore {
    /// Reads all stored remedies of a pipeline. An unreadable one must not hide the others, so its error is returned beside them.
    pub async fn remedies(&self, pipeline: &str) -> Result<(Vec<Record>, Vec<Error>), Error> {
        let read = |item: &Reader<'_>| item.json(RECORD);
        Ok(self.table.query(&of(pipeline, REMEDIES), None, read).await?)
    }

    /// Stores a remedy, if the stored one still has the version that this one replaces, or none is stored. Returns whether it
    /// was stored; if not, another function was first.
    pub async fn put_remedy(&self, pipeline: &str, record: &Record, now: Timestamp) -> Result<bool, Error> {
        let kept = if record.acted_at.is_some() { KEPT } else { KEPT_WITHOUT_ACT };
        let expires = now.saturating_add(kept).unwrap_or(now).as_second();
        let writer = writer_id();
        let attributes: [(&'static str, Option<AttributeValue>); 5] = [
            (RECORD, json(record)),
            (VERSION, attribute(record.version)),
            (STATE, attribute(record.state)),
            (WRITTEN_BY, attribute(&writer)),
            (item::EXPIRES_AT, attribute(expires)),
        ];
        let key = SPEC.key(&[&of(pipeline, REMEDIES), &record.id]);
        let update = Update::storing(key, attributes).known_by(WRITTEN_BY, &writer);
        let update = match record.version {
            0 | 1 => update.when("attribute_not_exists(#pipeline)"),
            version => update.when("#version = :expected").value(":expected", version - 1),
        };
        Ok(matches!(self.table.put_if(update).await?, Outcome::Written))
    }

    /// Reads the kill switches that are on. One that cannot be read is an error: then no remedy may act.
    pub async fn stops(&self, pipeline: &str) -> Result<Vec<Stop>, Error> {
        let (stops, unreadable) = self.table.query(&of(pipeline, "stops"), None, stop).await?;
        unreadable.into_iter().next().map_or(Ok(stops.into_iter().flatten().collect()), Err)
    }

    /// Turns a kill switch on or off. `stop` says by whom and why, in both cases.
    pub async fn put_stop(&self, pipeline: &str, stop: &Stop, on: bool) -> Result<(), Error> {
        let name = stop.kind.map_or(ALL.to_owned(), |kind| kind.to_string());
        let attributes = [
            (STOPPED, attribute(on)),
            (BY, attribute(&stop.by)),
            (AT, attribute(stop.at)),
            (WHY, attribute(&stop.why)),
        ];
        let key = SPEC.key(&[&of(pipeline, "stops"), &name]);
        Ok(self.table.update(Update::storing(key, attributes)).await?)
    }

    /// Takes the turn of a pipeline for two minutes; `None` while another function has it.
    pub async fn take_turn(&self, pipeline: &str, now: Timestamp) -> Result<Option<Lease>, Error> {
        let key: Item = SPEC.key(&[&of(pipeline, "turn"), REMEDIES]);
        let lease = Lease { key, holder: writer_id() };
        let (until, expires) = (now.saturating_add(TURN), now.saturating_add(KEPT));
        let claim =
            self.table.lease(&lease, now, until.unwrap_or(now), expires.unwrap_or(Timestamp::MAX)).await?;
        Ok(matches!(claim, Claim::Granted(_)).then_some(lease))
    }

    /// Ends a turn. A turn that another function took over is left alone.
    pub async fn end_turn(&self, turn: &Lease) -> Result<(), Error> {
        let (Outcome::Written | Outcome::Lost(_)) = self.table.record(turn, []).await?;
        Ok(())
    }
}
