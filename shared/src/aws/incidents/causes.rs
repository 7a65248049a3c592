//! Claims of a cause that several subjects share: the first incident that claims it leads the others.
//!
//! Two functions may find the same expired authorization in two syncs within the same second, before either sees the
//! other's incident. A claim is one conditional write, so one function wins; the other's incident is suppressed under
//! the winner's. Claims are never released: one is valid while its incident is open, or may be about to open.
//!
//! Claims are stored in their own partition, `<pipeline>/causes`.

use jiff::{SignedDuration, Timestamp};

use super::{Error, IncidentStore, SPEC};
use crate::aws::table::{Claim, Update};
use crate::finding::Severity;
use crate::incident::{Incident, IncidentKey, SENDING_LEASE, State};

/// How long a claim is kept. Every round sees an incident that is open longer, without a claim.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Claims rarely change holder; one that changes at each try is left to its holder.
const TRIES: usize = 3;

/// The incident that leads a cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CauseLeader {
    /// The incident that claims it.
    Ours,
    Theirs(IncidentKey),
}

struct Held {
    leader: IncidentKey,
    claimed_at: Timestamp,
}

impl Held {
    /// Returns whether the claim is valid for an incident of this group and severity, given its holder's incident.
    fn counts(&self, leader: Option<&Incident>, group: &str, severity: Severity, now: Timestamp) -> bool {
        match leader {
            Some(leader) if leader.state == State::Open => leader.represents(group, severity),
            // It opened and resolved since the claim.
            Some(leader) if leader.resolved_at.is_some_and(|at| at >= self.claimed_at) => false,
            // It may be about to open.
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
    ) -> Result<CauseLeader, Error> {
        let mut stale = None;
        for _ in 0..TRIES {
            let Some(held) = self.try_claim(key, group, stale.as_ref(), now).await? else {
                return Ok(CauseLeader::Ours);
            };
            let leader = self.get(&held.leader).await?;
            if held.counts(leader.as_ref(), group, severity, now) {
                return Ok(CauseLeader::Theirs(held.leader));
            }
            stale = Some(held);
        }
        // Another function won each try, so its incident leads.
        Ok(stale.map_or(CauseLeader::Ours, |held| CauseLeader::Theirs(held.leader)))
    }

    /// Writes a claim if there is none, or over a stale one; otherwise returns the current one.
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
        // If it was deleted in between, the next function claims it.
        let Claim::Held(Some(stored)) = self.table.claim(claim).await? else { return Ok(None) };
        let stored = self.table.reader(&stored);
        // An unreadable claim counts as none: one of the two incidents must alert.
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

    async fn claim(answers: &[(u16, &str)]) -> (CauseLeader, Vec<Value>) {
        let wire = Wire::answering_in_turn(answers).await;
        let store = IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents");
        let winner = store.claim_cause(&key(SECOND), "auth", Severity::Error, now()).await.unwrap();
        let requests = wire.requests().await;
        (winner, requests.iter().map(Asked::json).collect())
    }

    #[tokio::test]
    async fn first_claim_leads_the_cause() {
        let (winner, requests) = claim(&[(200, "{}")]).await;
        assert_eq!(winner, CauseLeader::Ours);
        assert_eq!(requests[0]["ConditionExpression"], "attribute_not_exists(#leader) OR #leader = :leader");
        assert_eq!(requests[0]["Key"]["check_subject"], json!({"S": "run-failed/auth"}));
    }

    #[tokio::test]
    async fn later_claim_is_held_while_the_first_opens_or_is_open() {
        let theirs = CauseLeader::Theirs(key("properties/run-failed/properties-create"));
        let on_its_way = taken("2026-11-24T09:59:00Z");
        for leader in ["{}".to_owned(), incident("watching"), incident("resolved")] {
            assert_eq!(claim(&[(400, &on_its_way), (200, &leader)]).await.0, theirs, "{leader}");
        }
        let long_ago = taken("2026-11-24T09:00:00Z");
        assert_eq!(claim(&[(400, &long_ago), (200, &incident("open"))]).await.0, theirs);
    }

    #[tokio::test]
    async fn claim_of_a_lower_severity_or_other_group_is_replaced() {
        let long_ago = taken("2026-11-24T09:00:00Z");
        let spoiled = [("severity", "warning"), ("group", "rate-limit")];
        for (attribute, value) in spoiled {
            let mut leader: Value = serde_json::from_str(&incident("open")).unwrap();
            leader["Item"][attribute]["S"] = json!(value);
            let (winner, _) = claim(&[(400, &long_ago), (200, &leader.to_string()), (200, "{}")]).await;
            assert_eq!(winner, CauseLeader::Ours, "{attribute} {value}");
        }
        let unreadable = long_ago.replace("properties/run-failed/properties-create", "nonsense");
        assert_eq!(claim(&[(400, &unreadable)]).await.0, CauseLeader::Ours);
    }

    #[tokio::test]
    async fn claim_of_an_incident_resolved_since_is_replaced_at_once() {
        let mut ended: Value = serde_json::from_str(&incident("resolved")).unwrap();
        ended["Item"]["resolved_at"] = json!({"S": "2026-11-24T09:59:30Z"});
        let just_now = taken("2026-11-24T09:59:00Z");
        let (winner, _) = claim(&[(400, &just_now), (200, &ended.to_string()), (200, "{}")]).await;
        assert_eq!(winner, CauseLeader::Ours);
    }

    #[tokio::test]
    async fn claim_of_an_ended_incident_is_replaced() {
        let long_ago = taken("2026-11-24T09:00:00Z");
        for leader in [incident("resolved"), incident("held"), "{}".to_owned()] {
            let (winner, requests) = claim(&[(400, &long_ago), (200, &leader), (200, "{}")]).await;
            assert_eq!(winner, CauseLeader::Ours, "{leader}");
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
    async fn claim_that_changes_at_each_try_is_left_to_its_holder() {
        let long_ago = taken("2026-11-24T09:00:00Z");
        let resolved = incident("resolved");
        let answers = [(400, &*long_ago), (200, &*resolved)].repeat(3);
        let (winner, requests) = claim(&answers).await;
        assert!(matches!(winner, CauseLeader::Theirs(_)));
        assert_eq!(requests.len(), 6);
    }
}
