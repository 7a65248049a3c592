//! Sent reports, in the partition `<pipeline>/reports`: a report is claimed, sent, then recorded, so that a repeated event
//! sends none again.

use jiff::{SignedDuration, Timestamp};

use super::{Error, IncidentStore, SPEC};
use crate::aws::table::{Claim, Lease, attribute};
use crate::aws::writer_id;
use crate::incident::SENDING_LEASE;

/// How long the record of a sent report is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(400 * 24);

const SENT_AT: &str = "sent_at";

/// Whether a report may be sent now.
#[derive(Debug)]
#[must_use]
pub enum Sending {
    /// It may, under this lease.
    Begun(Lease),
    /// It was sent (UTC).
    Done(Timestamp),
    /// Another function is sending it.
    Elsewhere,
}

impl IncidentStore {
    /// Claims the sending of a report of this name, such as `digest/2026-W48`. If the function dies, the claim ends after two
    /// minutes.
    pub async fn begin_sending(
        &self,
        pipeline: &str,
        report: &str,
        now: Timestamp,
    ) -> Result<Sending, Error> {
        let key = SPEC.key(&[&format!("{pipeline}/reports"), report]);
        let lease = Lease { key, holder: writer_id() };
        let (until, expires) = (now.saturating_add(SENDING_LEASE), now.saturating_add(KEPT));
        let claim =
            self.table.lease(&lease, now, until.unwrap_or(now), expires.unwrap_or(Timestamp::MAX)).await?;
        let Claim::Granted(item) = claim else { return Ok(Sending::Elsewhere) };
        let Some(sent_at) = self.table.reader(&item).read(SENT_AT)? else { return Ok(Sending::Begun(lease)) };
        self.end_turn(&lease).await?;
        Ok(Sending::Done(sent_at))
    }

    /// Records that the report was sent, and ends the lease.
    pub async fn record_sent(&self, lease: &Lease, now: Timestamp) -> Result<(), Error> {
        let _ = self.table.record(lease, [(SENT_AT, attribute(now))]).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use syncwatch_testing::condition_failed;

    use super::*;
    use crate::aws::wire::{Wire, WireSdk as _, now};

    async fn begun(status: u16, answer: serde_json::Value) -> (Sending, usize) {
        let wire = Wire::answering(status, answer).await;
        let store = IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents");
        let begun = store.begin_sending("properties", "digest/2026-W48", now()).await.unwrap();
        let sent = wire.requests().await;
        assert_eq!(sent[0].json()["Key"]["pipeline"], json!({"S": "properties/reports"}));
        (begun, sent.len())
    }

    #[tokio::test]
    async fn report_is_begun_once_and_a_sent_one_never_again() {
        let (free, _) = begun(200, json!({ "Attributes": { "leased_by": {"S": "me"} } })).await;
        assert!(matches!(free, Sending::Begun(_)), "{free:?}");
        let sent_at = now() - SignedDuration::from_hours(1);
        let stored = json!({ "Attributes": { "sent_at": {"S": sent_at.to_string()} } });
        let (done, calls) = begun(200, stored).await;
        assert!(matches!(done, Sending::Done(at) if at == sent_at), "{done:?}");
        assert_eq!(calls, 2, "its lease ends");
        let held = condition_failed(Some(json!({ "leased_by": {"S": "other"} })));
        let (elsewhere, _) = begun(400, held).await;
        assert!(matches!(elsewhere, Sending::Elsewhere), "{elsewhere:?}");
    }
}
