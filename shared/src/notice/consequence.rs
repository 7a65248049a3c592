//! The consequence of an incident for the people who use the data: one sentence, from the check and its figures.

use jiff::{SignedDuration, Timestamp};

use crate::figure::Value;
use crate::finding::{Check, SYNCWATCH};
use crate::incident::Incident;
use crate::pipeline::{Pipeline, Role};
use crate::text::{grouped, words};

/// The consequence while the incident is open. `now` says for how long it has been.
pub(super) fn consequence(incident: &Incident, pipeline: &Pipeline, now: Timestamp) -> String {
    let terms = &pipeline.terms;
    let (records, destination, audience) = (&terms.records, &terms.destination, &terms.audience);
    let role = pipeline.sync(&incident.key.subject).map_or(Role::Other, |sync| sync.role);
    // Below a minute it says nothing.
    let open = Some(incident.open_for(now)).filter(|open| *open >= SignedDuration::from_mins(1)).map(words);
    let stopped = || match (role, &open) {
        (Role::Create, _) => format!("New {records} do not appear in {destination} until a run succeeds."),
        (_, Some(open)) => {
            format!(
                "{audience} sees values that are at least {open} old in {destination}, until a run succeeds."
            )
        }
        (_, None) => format!("Changes do not reach {destination} until a run succeeds."),
    };
    let count = |name: &str| count(incident, name);
    let some = |n: Option<u64>| match n {
        Some(n) => format!("{} {records}", grouped(n)),
        None => format!("Some {records}"),
    };
    match incident.key.check {
        Check::SyncPaused
        | Check::SyncExists
        | Check::RunDue
        | Check::MinimumSchedule
        | Check::RunStuck
        | Check::RunFailed => stopped(),
        Check::ErrorRate => {
            let n = some(count("failed or invalid"));
            format!("{n} did not reach {destination}. Census tries them again with the next run.")
        }
        Check::RunsSkipped | Check::Runtime | Check::ScheduleDrift => {
            format!("Changes reach {destination} later than promised.")
        }
        Check::UnusualVolume => {
            format!("Either less changed at the source, or some {records} no longer reach {destination}.")
        }
        Check::SilentRuns => {
            format!("Runs complete and move nothing: changes may no longer reach {destination}.")
        }
        Check::UnusualQueue | Check::UnusualDuration => {
            format!("Changes may reach {destination} later than promised.")
        }
        Check::UnusualCoverage => format!("{audience} may miss {records} in {destination}."),
        Check::UnusualNulls => format!("{audience} works with {records} that lack values."),
        Check::UnusualErrors => format!("Some {records} do not reach {destination}."),
        Check::BreachForecast => {
            "Nothing is late or wrong yet: there is time to act before it is.".to_owned()
        }
        Check::SuccessRate => format!("Data in {destination} was late more often than promised this week."),
        Check::Freshness => match waits(incident, now) {
            Some(age) => format!("{audience} sees values up to {age} old in {destination}."),
            None => format!("{audience} may see old values in {destination}."),
        },
        Check::Coverage => format!("{} are missing from {destination}.", some(count("missing"))),
        Check::QueueSize => format!("{} wait to reach {destination}.", some(count("waiting"))),
        Check::Duplicates => {
            format!(
                "{audience} sees the same record more than once in {destination}; edits go to either copy."
            )
        }
        Check::NullCount | Check::NullRate => format!("{audience} works with {records} that lack values."),
        Check::RowCount => format!("Many {records} may be missing or doubled."),
        Check::AcceptedValues | Check::Pattern | Check::Referential | Check::CustomSql => {
            format!("{audience} may work with wrong values.")
        }
        Check::UnmappedField => "Wrong values of a field that is not compared go unnoticed.".to_owned(),
        Check::RecordsMissing => format!("{} are missing from {destination}.", some(count("missing"))),
        Check::RecordsExtra => {
            format!("{audience} works with {records} in {destination} that the source does not have.")
        }
        Check::RecordsDiffer => format!("{} have wrong values in {destination}.", some(count("different"))),
        Check::ApiReachable | Check::TokenAccepted => {
            "Syncs cannot be checked: no other alert about them is sent until this is fixed.".to_owned()
        }
        Check::WarehouseReachable | Check::ChecksRan => {
            "The data is not checked: wrong or missing records go unnoticed until this is fixed.".to_owned()
        }
        Check::DefinitionChanged if incident.key.subject == SYNCWATCH => {
            "A problem of the pipeline may go unnoticed, or alert no one.".to_owned()
        }
        Check::DefinitionChanged => {
            format!("Some {records} in {destination} may be missing or wrong, though every run completes.")
        }
        Check::FilterKeepsRows => "This check sees no rows, so it cannot find a problem in them.".to_owned(),
        Check::PageRenewed => "People may take an old state for the current one.".to_owned(),
        Check::SnapshotWritten => "Reports and trends lack the figures of this night.".to_owned(),
        Check::RemediesAct => "Faults that Syncwatch could heal by itself wait for a person.".to_owned(),
        Check::HealsReturn => "Each fault is healed, but its cause stays and may get worse.".to_owned(),
        Check::ClockSkew => "Late and stuck runs may be judged wrongly.".to_owned(),
        Check::UndeclaredSyncs => "Failures of these syncs send no alert.".to_owned(),
        Check::VendorAlerts => "If Syncwatch is down, Census alerts late or not at all.".to_owned(),
        Check::WebhooksArrive => {
            "Failures are noticed by the next poll, minutes later than by webhook.".to_owned()
        }
        Check::DeadLetters => "Alerts or webhooks were not processed and wait in a queue.".to_owned(),
        Check::SubscribersConfirmed => "Alerts may reach fewer people than you expect.".to_owned(),
    }
}

fn value<'a>(incident: &'a Incident, name: &str) -> Option<&'a Value> {
    incident.evidence.figures.iter().find(|figure| figure.name == name).map(|figure| &figure.value)
}

fn count(incident: &Incident, name: &str) -> Option<u64> {
    match value(incident, name)? {
        Value::Count(count) => Some(*count),
        _ => None,
    }
}

/// For how long the oldest change has waited.
fn waits(incident: &Incident, now: Timestamp) -> Option<String> {
    match value(incident, "oldest undelivered change")? {
        Value::Instant(since) => Some(words(now.duration_since(*since))),
        _ => None,
    }
}
