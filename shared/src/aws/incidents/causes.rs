//! Who speaks for a cause that several subjects share: the first incident that claims it.
//!
//! Two functions may meet the same expired authorization in two syncs within the same second, and neither sees the other's
//! incident yet. A claim is one conditional write, so one of them gets it; the other's incident is held under the first.
//! Nothing releases a claim: it counts while its incident is open, or for as long as that one may be on its way.
//!
//! Claims lie in a partition of their own beside the pipeline's, `<pipeline>/causes`.

use jiff::{SignedDuration, Timestamp};

use super::{Error, IncidentStore, SPEC};
use crate::aws::table::{Claim, Update};
use crate::finding::Severity;
use crate::incident::{Incident, IncidentKey, SENDING_LEASE, State};

/// How long a claim is kept. An incident that is open longer is seen by every round, which needs no claim.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Claims rarely change hands; one that changes at each try is left to its holder.
const TRIES: usize = 3;

/// Whose a cause is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaker {
    /// The incident that asked.
    Ours,
    Theirs(IncidentKey),
}

struct Held {
    leader: IncidentKey,
    claimed_at: Timestamp,
}

impl Held {
    /// Whether the claim counts for an incident of this group and severity, given the incident of who has it.
    fn counts(&self, leader: Option<&Incident>, group: &str, severity: Severity, now: Timestamp) -> bool {
        match leader {
            Some(leader) if leader.state == State::Open => leader.speaks_for(group, severity),
            // It came and went since.
            Some(leader) if leader.resolved_at.is_some_and(|at| at >= self.claimed_at) => false,
            // It may be on its way.
            _ => now.duration_since(self.claimed_at) < SENDING_LEASE,
        }
    }
}

impl IncidentStore {
    /// Claims the cause `group` of a check for an incident that is about to open.
    pub async fn claim_cause(
        &self,
        key: &IncidentKey,
        group: &str,
        severity: Severity,
        now: Timestamp,
    ) -> Result<Speaker, Error> {
        let mut stale = None;
        for _ in 0..TRIES {
            let Some(held) = self.try_claim(key, group, stale.as_ref(), now).await? else {
                return Ok(Speaker::Ours);
            };
            let leader = self.get(&held.leader).await?;
            if held.counts(leader.as_ref(), group, severity, now) {
                return Ok(Speaker::Theirs(held.leader));
            }
            stale = Some(held);
        }
        // Others are quicker each time, so one of them speaks.
        Ok(stale.map_or(Speaker::Ours, |held| Speaker::Theirs(held.leader)))
    }

    /// Writes a claim where there is none, or over a stale one; else who has it.
    async fn try_claim(
        &self,
        key: &IncidentKey,
        group: &str,
        stale: Option<&Held>,
        now: Timestamp,
    ) -> Result<Option<Held>, Error> {
        let place = SPEC.key(&[&format!("{}/causes", key.pipeline), &format!("{}/{group}", key.check)]);
        let expires = now.saturating_add(KEPT).unwrap_or(now).as_second();
        let free = "attribute_not_exists(#leader) OR #leader = :leader";
        let claim = Update::new(place, "SET #leader = :leader, #claimed_at = :now, #expires_at = :expires")
            .value(":leader", key.to_string())
            .value(":now", now)
            .value(":expires", expires);
        let claim = match stale {
            None => claim.when(free),
            Some(Held { leader, claimed_at }) => claim
                .when(format!("{free} OR (#leader = :stale AND #claimed_at = :since)"))
                .value(":stale", leader.to_string())
                .value(":since", claimed_at),
        };
        // If it was deleted in between, the next one that asks claims it.
        let Claim::Held(Some(stored)) = self.table.claim(claim).await? else { return Ok(None) };
        let stored = self.table.reader(&stored);
        // One that cannot be read counts as none: people must be told by one of the two.
        let held = || {
            let leader = IncidentKey::parse(&stored.read::<String>("leader").ok()?)?;
            Some(Held { leader, claimed_at: stored.read("claimed_at").ok()? })
        };
        Ok(held())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::wire::{Asked, Wire, WireSdk as _, now};
    use syncwatch_testing::condition_failed;

    const SECOND: &str = "properties/run-failed/properties-update";

    fn key(text: &str) -> IncidentKey {
        IncidentKey::parse(text).unwrap()
    }

    fn taken(since: &str) -> String {
        condition_failed(Some(json!({
            "pipeline": {"S": "properties/causes"},
            "check_subject": {"S": "run-failed/auth"},
            "leader": {"S": "properties/run-failed/properties-create"},
            "claimed_at": {"S": since},
        })))
        .to_string()
    }

    fn incident(state: &str) -> String {
        json!({"Item": {
            "pipeline": {"S": "properties"}, "check_subject": {"S": "run-failed/properties-create"},
            "state": {"S": state}, "severity": {"S": "error"}, "opened_at": {"S": "2026-11-24T09:00:00Z"},
            "generation": {"N": "1"}, "version": {"N": "1"}, "summary": {"S": "failed"}, "figures": {"S": "[]"},
            "cause": {"S": "expired"}, "group": {"S": "auth"},
        }})
        .to_string()
    }

    async fn claim(answers: &[(u16, &str)]) -> (Speaker, Vec<Value>) {
        let wire = Wire::answering_in_turn(answers).await;
        let store = IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents");
        let speaker = store.claim_cause(&key(SECOND), "auth", Severity::Error, now()).await.unwrap();
        let requests = wire.requests().await;
        (speaker, requests.iter().map(Asked::json).collect())
    }

    #[tokio::test]
    async fn the_first_to_claim_a_cause_speaks_for_it() {
        let (speaker, requests) = claim(&[(200, "{}")]).await;
        assert_eq!(speaker, Speaker::Ours);
        assert_eq!(requests[0]["ConditionExpression"], "attribute_not_exists(#leader) OR #leader = :leader");
        assert_eq!(requests[0]["Key"]["check_subject"], json!({"S": "run-failed/auth"}));
    }

    #[tokio::test]
    async fn who_comes_while_the_first_is_on_its_way_or_open_is_held_under_it() {
        let theirs = Speaker::Theirs(key("properties/run-failed/properties-create"));
        let on_its_way = taken("2026-11-24T09:59:00Z");
        for leader in ["{}".to_owned(), incident("watching"), incident("resolved")] {
            assert_eq!(claim(&[(400, &on_its_way), (200, &leader)]).await.0, theirs, "{leader}");
        }
        let long_ago = taken("2026-11-24T09:00:00Z");
        assert_eq!(claim(&[(400, &long_ago), (200, &incident("open"))]).await.0, theirs);
    }

    #[tokio::test]
    async fn a_claim_of_an_incident_that_does_not_speak_for_this_one_goes_to_this_one() {
        let long_ago = taken("2026-11-24T09:00:00Z");
        let spoiled = [("severity", "warning"), ("group", "rate-limit")];
        for (attribute, value) in spoiled {
            let mut leader: Value = serde_json::from_str(&incident("open")).unwrap();
            leader["Item"][attribute]["S"] = json!(value);
            let (speaker, _) = claim(&[(400, &long_ago), (200, &leader.to_string()), (200, "{}")]).await;
            assert_eq!(speaker, Speaker::Ours, "{attribute} {value}");
        }
        let unreadable = long_ago.replace("properties/run-failed/properties-create", "nonsense");
        assert_eq!(claim(&[(400, &unreadable)]).await.0, Speaker::Ours);
    }

    #[tokio::test]
    async fn a_claim_whose_incident_came_and_went_goes_to_the_next_at_once() {
        let mut over: Value = serde_json::from_str(&incident("resolved")).unwrap();
        over["Item"]["resolved_at"] = json!({"S": "2026-11-24T09:59:30Z"});
        let just_now = taken("2026-11-24T09:59:00Z");
        let (speaker, _) = claim(&[(400, &just_now), (200, &over.to_string()), (200, "{}")]).await;
        assert_eq!(speaker, Speaker::Ours);
    }

    #[tokio::test]
    async fn a_claim_whose_incident_is_over_goes_to_the_next() {
        let long_ago = taken("2026-11-24T09:00:00Z");
        for leader in [incident("resolved"), incident("held"), "{}".to_owned()] {
            let (speaker, requests) = claim(&[(400, &long_ago), (200, &leader), (200, "{}")]).await;
            assert_eq!(speaker, Speaker::Ours, "{leader}");
            let condition = requests[2]["ConditionExpression"].as_str().unwrap();
            assert!(condition.ends_with("OR (#leader = :stale AND #claimed_at = :since)"), "{condition}");
            let values = &requests[2]["ExpressionAttributeValues"];
            assert_eq!(values[":stale"], json!({"S": "properties/run-failed/properties-create"}));
            assert_eq!(values[":since"], json!({"S": "2026-11-24T09:00:00Z"}));
            let names =
                json!({"#leader": "leader", "#claimed_at": "claimed_at", "#expires_at": "expires_at"});
            assert_eq!(requests[2]["ExpressionAttributeNames"], names);
        }
    }

    #[tokio::test]
    async fn a_claim_that_changes_hands_at_each_try_is_left_to_whoever_has_it() {
        let long_ago = taken("2026-11-24T09:00:00Z");
        let resolved = incident("resolved");
        let answers = [(400, &*long_ago), (200, &*resolved)].repeat(3);
        let (speaker, requests) = claim(&answers).await;
        assert!(matches!(speaker, Speaker::Theirs(_)));
        assert_eq!(requests.len(), 6);
    }
}
