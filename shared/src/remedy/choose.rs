//! Which remedy an incident has, if any.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::limits::limits;
use super::widen::widened;
use super::{Observed, Plan, Target, ViewSeen, WIDE_FOR, WebhookSeen, hex};
use crate::baseline::What;
use crate::classify::{CERTAINTY_FIGURE, ErrorClass, Family};
use crate::finding::Check;
use crate::incident::{Incident, IncidentKey};
use crate::observation::WarehouseState;
use crate::pipeline::{Pipeline, RemedyKind, Role, Sync, Warehouse};
use crate::schedule::Rule;
use crate::text::counted;

/// The remedy of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    Remedy(Box<Plan>),
    /// A person must act: why, and who can.
    Person {
        why: String,
        who: String,
    },
}

impl Choice {
    fn person(why: impl Into<String>, who: impl Into<String>) -> Self {
        Self::Person { why: why.into(), who: who.into() }
    }
}

/// Chooses the remedy of an incident. The first row that matches decides:
///
/// * class of the error stays, or is a guess                 => a person
/// * failed run or unreachable warehouse, warehouse stopped  => start it
/// * three runs timed out, and queries waited                => more clusters for two hours, if people approve
/// * failed, late or missed run, and the schedule is near    => wait
/// * failed run at a limit of the destination                => run again an hour later
/// * failed, late or missed run                              => run again
/// * pause                                                   => resume, if people approve
/// * stuck run                                               => cancel it, if people approve
/// * undelivered notices                                     => send them again
/// * webhooks do not arrive                                  => create the webhook anew, if people approve
/// * a declared view differs from its file                   => recreate it, if two people approve
/// * all others                                              => a person
pub fn choose(incident: &Incident, pipeline: &Pipeline, observed: &Observed, now: Timestamp) -> Choice {
    let newest_run = observed.newest_run().map(|run| run.created_at);
    let owner = || {
        let owner = pipeline.owner_of(incident.key.check, &incident.key.subject);
        owner.map_or_else(|| "the owner of the pipeline".to_owned(), |owner| owner.name.clone())
    };
    let check = incident.key.check;
    let stopped = observed.warehouse.as_ref().is_ok_and(WarehouseState::is_stopped);
    let Some(sync) = pipeline.sync(&incident.key.subject) else {
        return match check {
            Check::WarehouseReachable if stopped => start(incident, pipeline, owner),
            Check::DeadLetters => Choice::Remedy(Box::new(replay(incident))),
            Check::WebhooksArrive => match &observed.webhook {
                Ok(seen) => Choice::Remedy(Box::new(register(incident, seen))),
                Err(why) => Choice::person(format!("the webhook could not be read ({why})"), owner()),
            },
            Check::DefinitionChanged => match &observed.view {
                Ok(seen) if !seen.as_declared => Choice::Remedy(Box::new(recreate(incident, seen))),
                _ => Choice::person("no file declares what it should be, or it could not be read", owner()),
            },
            _ => Choice::person("no remedy is safe for it", owner()),
        };
    };
    match check {
        Check::RunFailed => {
            let class = match transient(incident) {
                Ok(class) => class,
                Err(person) => return person,
            };
            // A stopped warehouse is usual between runs; it explains only a failed query.
            let of_source = class.family() == Family::SourceQueryFailed || class == ErrorClass::QueryTimeout;
            if of_source && stopped {
                return start(incident, pipeline, owner);
            }
            if class == ErrorClass::QueryTimeout
                && let Some((from, to)) = widened(observed, &pipeline.remedies)
                && next_start(sync, newest_run, now).is_some_and(|next| next.duration_since(now) < WIDE_FOR)
                && let Some(Warehouse::Databricks { warehouse_id, .. }) = &pipeline.warehouse
            {
                let target = Target::Clusters { id: warehouse_id.clone(), from, to };
                return Choice::Remedy(Box::new(widen(incident, pipeline, target)));
            }
            let limited = class.family() == Family::RateLimit;
            Choice::Remedy(Box::new(run(incident, sync, pipeline, limited, newest_run, now)))
        }
        Check::RunDue | Check::MinimumSchedule => {
            Choice::Remedy(Box::new(run(incident, sync, pipeline, false, newest_run, now)))
        }
        Check::SyncPaused => Choice::Remedy(Box::new(resume(incident, sync))),
        Check::RunStuck => Choice::Remedy(Box::new(cancel(incident, sync))),
        _ => Choice::person("no remedy is safe for it", owner()),
    }
}

/// Returns whether an incident may have a remedy, so that it is worth reading what that relies on. A view is not read before its
/// author had time: the statements keep the SQL warehouse running.
pub fn may_have_one(incident: &Incident, pipeline: &Pipeline, now: Timestamp) -> bool {
    let IncidentKey { check, subject, .. } = &incident.key;
    match check {
        Check::WarehouseReachable | Check::DeadLetters | Check::WebhooksArrive => true,
        Check::DefinitionChanged => {
            let figures = || incident.evidence.figures.iter();
            let drifted = [What::NotAsDeclared, What::RelationMissing]
                .iter()
                .any(|what| figures().any(|figure| figure.name.starts_with(what.words())));
            let [wait, ..] = limits(RemedyKind::RecreateView).waits;
            drifted
                && pipeline.declared_views.contains_key(subject)
                && now.duration_since(incident.opened_at) >= wait
        }
        Check::RunFailed | Check::RunDue | Check::MinimumSchedule | Check::SyncPaused | Check::RunStuck => {
            pipeline.sync(subject).is_some()
        }
        _ => false,
    }
}

/// The class of the incident's error, if a later run may succeed without a change.
fn transient(incident: &Incident) -> Result<ErrorClass, Choice> {
    let class = incident.class.as_deref();
    let class = class.and_then(|id| ErrorClass::ALL.iter().copied().find(|class| class.id() == id));
    let is_guess = incident.evidence.figures.iter().any(|figure| figure.name == CERTAINTY_FIGURE);
    match class {
        None | Some(ErrorClass::Unknown) => {
            Err(Choice::person("its error has no known class", ErrorClass::Unknown.owner().id()))
        }
        Some(class) if is_guess => {
            Err(Choice::person(format!("its class ({class}) is only a guess"), class.owner().id()))
        }
        Some(class) if !class.waiting_helps() => {
            Err(Choice::person(format!("another run cannot help ({class})"), class.owner().id()))
        }
        Some(class) => match class.family() {
            Family::RateLimit
            | Family::DestinationDown
            | Family::Timeout
            | Family::SourceQueryFailed
            | Family::LockContention => Ok(class),
            _ => Err(Choice::person(format!("another run cannot help ({class})"), class.owner().id())),
        },
    }
}

fn target(sync: &Sync) -> Target {
    // A sync of another role may create, too.
    Target::Sync { key: sync.key.clone(), id: sync.id, creates: sync.role != Role::Update }
}

/// A plan about this incident that changes nothing yet.
fn plan(incident: &Incident, kind: RemedyKind, target: Target) -> Plan {
    Plan {
        kind,
        target,
        incident: incident.key.clone(),
        opened_at: incident.opened_at,
        why: format!("{}: {}", incident.key.check.title(), incident.key.subject),
        effect: String::new(),
        cost: "nothing".to_owned(),
        undo: String::new(),
        approvals: 0,
    }
}

/// When the schedule starts the sync next (UTC); `None` if people or other systems start it, or if a period has passed without
/// the start that was due in it, so that the next one is not to be relied on.
pub fn next_start(sync: &Sync, newest_run: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    match sync.schedule.rule {
        Rule::OnDemand => None,
        Rule::Every(period) => {
            let due = newest_run?.checked_add(period).ok()?;
            let next = if due < now { due.checked_add(period).ok()? } else { due };
            (next >= now).then_some(next)
        }
        Rule::Daily(_) | Rule::Weekly(..) | Rule::Cron(_) => sync.schedule.next_slot(now),
    }
}

fn run(
    incident: &Incident,
    sync: &Sync,
    pipeline: &Pipeline,
    limited: bool,
    newest_run: Option<Timestamp>,
    now: Timestamp,
) -> Plan {
    let next = next_start(sync, newest_run, now);
    if next.is_some_and(|next| next.duration_since(now) < pipeline.remedies.min_gain) {
        let plan = plan(incident, RemedyKind::Wait, target(sync));
        let effect = "the next scheduled run sends the same records; another run would gain nothing";
        return Plan { effect: effect.to_owned(), undo: "nothing to undo".to_owned(), ..plan };
    }
    let kind = if limited { RemedyKind::RunAfterLimit } else { RemedyKind::RunAgain };
    let risk = match (sync.role, sync.unique_external_id) {
        (Role::Update, _) => "",
        (_, false) => "; it may create records",
        (_, true) => {
            "; it may create records, and that the destination refuses a second one with the same external id is declared, \
             not seen"
        }
    };
    Plan {
        effect: format!("one incremental run of {} sends the records that wait{risk}", sync.key),
        cost: "the API calls of one run".to_owned(),
        undo: "the run can be cancelled in Census; records that it wrote stay".to_owned(),
        ..plan(incident, kind, target(sync))
    }
}

fn start(incident: &Incident, pipeline: &Pipeline, owner: impl Fn() -> String) -> Choice {
    let Some(Warehouse::Databricks { warehouse_id, .. }) = &pipeline.warehouse else {
        return Choice::person("the warehouse has no API to start it", owner());
    };
    let cost = match pipeline.remedies.usd_per_hour {
        Some(usd) => format!("{usd:.2} USD for each hour until it stops by itself"),
        None => "its price until it stops by itself; usd_per_hour is not declared".to_owned(),
    };
    Choice::Remedy(Box::new(Plan {
        effect: "the SQL warehouse starts and answers the queries of the syncs and checks".to_owned(),
        cost,
        undo: "it stops by itself after its idle time".to_owned(),
        ..plan(incident, RemedyKind::StartWarehouse, Target::Warehouse { id: warehouse_id.clone() })
    }))
}

fn widen(incident: &Incident, pipeline: &Pipeline, target: Target) -> Plan {
    let cost = match pipeline.remedies.usd_per_hour {
        Some(usd) => format!("at most {usd:.2} USD an hour for each of these clusters"),
        None => "at most the price of these clusters for two hours; usd_per_hour is not declared".to_owned(),
    };
    Plan {
        effect: "queries that wait since the warehouse is full get clusters of their own".to_owned(),
        cost,
        undo: "the number is set back after two hours, or once the next run fails".to_owned(),
        approvals: 1,
        ..plan(incident, RemedyKind::WidenWarehouse, target)
    }
}

fn register(incident: &Incident, seen: &WebhookSeen) -> Plan {
    let effect = match &seen.ours[..] {
        [] => "no webhook posts to our endpoint; a new one with a new secret does".to_owned(),
        old => format!("{} replaced by a new webhook with a new secret", counted(old.len(), "webhook")),
    };
    Plan {
        effect,
        undo: "none: Census shows the secret of a webhook once. Ours keeps the secret before".to_owned(),
        approvals: 1,
        ..plan(incident, RemedyKind::RegisterWebhook, Target::Webhook { old: seen.ours.clone() })
    }
}

fn recreate(incident: &Incident, seen: &ViewSeen) -> Plan {
    let found = seen.found.as_deref().map_or_else(String::new, |text| hex(text.as_bytes(), 16));
    let readers = match &seen.readers[..] {
        [] => "no declared sync reads it".to_owned(),
        readers => format!("read by {}", readers.join(", ")),
    };
    let target = Target::View { name: incident.key.subject.clone(), found };
    Plan {
        effect: format!(
            "the view ({readers}) selects what its file declares. Refuse if its change was intended: `syncwatch baseline diff` \
             shows it"
        ),
        undo: "its definition before is stored with the act".to_owned(),
        approvals: 2,
        ..plan(incident, RemedyKind::RecreateView, target)
    }
}

fn replay(incident: &Incident) -> Plan {
    Plan {
        effect: "notices of the last 24 hours that could not be delivered are sent again; older ones stay"
            .to_owned(),
        undo: "nothing to undo: a notice that arrives twice is shown once".to_owned(),
        ..plan(incident, RemedyKind::ReplayDeadLetters, Target::DeadLetters)
    }
}

fn resume(incident: &Incident, sync: &Sync) -> Plan {
    let approvals = if sync.role == Role::Update { 1 } else { 2 };
    Plan {
        effect: format!("{} runs again by its schedule. Census does not say who paused it, or why", sync.key),
        undo: "pause it again in Census".to_owned(),
        approvals,
        ..plan(incident, RemedyKind::Resume, target(sync))
    }
}

fn cancel(incident: &Incident, sync: &Sync) -> Plan {
    Plan {
        effect: format!(
            "the run of {} that does not end is cancelled; the next run sends its records",
            sync.key
        ),
        undo: "none: records that it wrote stay".to_owned(),
        approvals: 1,
        ..plan(incident, RemedyKind::CancelHung, target(sync))
    }
}

/// Returns the syncs that have an open incident which stops data.
pub fn ill_syncs<'i>(
    incidents: impl IntoIterator<Item = &'i Incident>,
    pipeline: &Pipeline,
) -> BTreeSet<&'i str> {
    let stops = |incident: &&Incident| {
        use Check::{MinimumSchedule, RunDue, RunFailed, RunStuck, SyncExists, SyncPaused};
        let check = incident.key.check;
        matches!(check, MinimumSchedule | RunDue | RunFailed | RunStuck | SyncExists | SyncPaused)
            && incident.state.is_open()
            && pipeline.sync(&incident.key.subject).is_some()
    };
    incidents.into_iter().filter(stops).map(|incident| incident.key.subject.as_str()).collect()
}

/// Returns the other declared syncs that write the same object: those that an object names beside this one, or, if no object
/// names it, all syncs that create or update.
pub fn siblings<'p>(pipeline: &'p Pipeline, key: &str) -> Vec<&'p Sync> {
    let names =
        |sync: &str| pipeline.objects.iter().any(|object| object.syncs.iter().any(|name| name == sync));
    let shares = |other: &str| {
        pipeline.objects.iter().any(|object| {
            let has = |name: &str| object.syncs.iter().any(|sync| sync == name);
            has(key) && has(other)
        })
    };
    let writes = |sync: &Sync| sync.role != Role::Other;
    let is_one = |sync: &&Sync| match names(key) {
        true => shares(&sync.key),
        false => writes(sync),
    };
    pipeline.syncs.iter().filter(|sync| sync.key != key).filter(is_one).collect()
}
