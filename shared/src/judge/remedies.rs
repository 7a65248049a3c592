//! Judges the remedies themselves: whether they may act, do harm, or hide a fault that comes back.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::finding::{Check, Evidence, Finding, SYNCWATCH, Severity};
use crate::pipeline::{Pipeline, RemedyKind};
use crate::remedy::{Gate, Record, State};
use crate::text::{counted, minute_utc};

/// So many heals of one cause within [`WEEK`] are a fault of their own.
const RETURNS: usize = 3;
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Judges the remedies of a pipeline by their records.
///
/// * an act of the last week did harm                     => `remedies-act`, error
/// * a vendor refused a right to the newest act of a kind  => `remedies-act`, warning
/// * a remedy is held as too many syncs are ill            => `remedies-act`, warning
/// * the third heal of one cause of a sync in a week       => `heals-return`
pub fn judge_remedies(records: &[Record], pipeline: &Pipeline, now: Timestamp) -> Vec<Finding> {
    let returns = pipeline.syncs.iter().map(|sync| returns(records, &sync.key, now));
    std::iter::once(act(records, now)).chain(returns).collect()
}

fn act(records: &[Record], now: Timestamp) -> Finding {
    let about = Check::RemediesAct.about(SYNCWATCH);
    let recent = |record: &&Record, span| record.acted_at.is_some_and(|at| now.duration_since(at) < span);
    let recently = records.iter().filter(|record| recent(record, WEEK));
    let harmful = recently.filter_map(|record| Some((record, record.harm.as_deref()?)));
    if let Some((record, harm)) = harmful.max_by_key(|(record, _)| record.acted_at) {
        let evidence = Evidence::new(format!("remedy {} did harm: {harm}", record.id))
            .with("act", record.plan.act())
            .with_some("at", record.acted_at)
            .since(record.since());
        let cause = match record.plan.kind {
            RemedyKind::RecreateView => {
                "The file declares other records than the view had; its definition before is kept in the remedy's record"
            }
            _ => {
                "Another actor changed the sync at the same moment, or the vendor did not do what it answered"
            }
        };
        return about.unhealthy(Severity::Error, evidence, cause);
    }
    let mut newest: BTreeMap<_, &Record> = BTreeMap::new();
    for record in records.iter().filter(|record| recent(record, DAY)) {
        let kept = newest.entry(record.plan.kind).or_insert(record);
        if record.acted_at > kept.acted_at {
            *kept = record;
        }
    }
    if let Some(record) = newest.values().find(|record| record.lacks_right) {
        let why = record.steps.last().map_or("", |step| step.why.as_str());
        let evidence = Evidence::new(format!("{} is only advice: {why}", record.plan.kind))
            .with("act", record.plan.act())
            .since(record.since());
        let cause = "The token of the vendor, or the role of the function, lacks the right for this act";
        return about.unhealthy(Severity::Warning, evidence, cause);
    }
    let held = records.iter().filter(|record| record.state.is_active());
    let shared = held.flat_map(|record| &record.failing).find(|failing| failing.gate == Gate::BlastRadius);
    if let Some(shared) = shared {
        let evidence = Evidence::new(format!("no remedy of a sync acts: {}", shared.why));
        return about.unhealthy(
            Severity::Warning,
            evidence,
            "The syncs share a cause, which another run does not heal",
        );
    }
    about.healthy("remedies may act as declared")
}

fn returns(records: &[Record], sync: &str, now: Timestamp) -> Finding {
    let about = Check::HealsReturn.about(sync);
    let healed = records.iter().filter(|record| {
        record.state == State::Healed
            && record.plan.acts()
            && record.plan.incident.subject == sync
            && now.duration_since(record.since()) < WEEK
    });
    let mut causes: BTreeMap<_, Vec<&Record>> = BTreeMap::new();
    for record in healed {
        causes.entry(record.plan.incident.check).or_default().push(record);
    }
    let most = causes.into_iter().max_by_key(|(_, records)| records.len());
    let Some((check, records)) = most.filter(|(_, records)| records.len() >= RETURNS) else {
        return about.healthy(format!("fewer than {RETURNS} heals of one cause in 7 days"));
    };
    let first = records.iter().map(|record| record.since()).min();
    let times = counted(records.len(), "time");
    let evidence =
        Evidence::new(format!("it heals, but it comes back: {check} was healed {times} in 7 days"))
            .with("heals", records.len())
            .with_some("first heal", first.map(minute_utc));
    about.unhealthy(Severity::Warning, evidence, "The remedy cures the symptom; its cause stays")
}
