//! Selects the objects that an event is about. Pure but for the looks that are read.

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::days::day_of;
use syncwatch::judge::is_apart;
use syncwatch::pipeline::Pipeline;
use syncwatch::reconcile::{Coverage, Object};
use syncwatch::rounds::ReconciledRound;

use crate::event::Event;

/// A comparison counts as tonight's if it is not older.
const NIGHT: SignedDuration = SignedDuration::from_hours(6);

/// Returns the objects to compare, the one that was tried longest ago first. Fails if no object has the name.
pub(crate) async fn objects<'p>(
    pipeline: &'p Pipeline,
    event: &Event,
    store: &IncidentStore,
    record: &ReconciledRound,
    now: Timestamp,
) -> anyhow::Result<Vec<&'p Object>> {
    let mut all: Vec<&Object> = pipeline.objects.iter().collect();
    all.sort_by_key(|object| record.tried_at(&object.name));
    match event {
        Event::Reconcile { object: None } => Ok(all),
        Event::Reconcile { object: Some(name) } => {
            let found = all.iter().find(|object| object.name == *name).with_context(|| {
                let names: Vec<&str> = all.iter().take(20).map(|object| object.name.as_str()).collect();
                format!("pipeline.toml has no object {name:?}; its objects: {}", names.join(", "))
            })?;
            Ok(vec![found])
        }
        Event::LookAgain => {
            let mut again = Vec::new();
            for object in all {
                let compared = record.objects.get(&object.name).and_then(|tried| tried.compared);
                let was_left = compared.is_none_or(|at| now.duration_since(at) > NIGHT);
                if was_left
                    || is_open(pipeline, store, object, coverage(pipeline, object, event, record, now), now)
                        .await?
                {
                    again.push(object);
                }
            }
            Ok(again)
        }
    }
}

/// Returns the keys of an object that a round compares: the bucket of its day in the pipeline's zone. The second look of a night
/// compares those of the first, even after midnight.
pub(crate) fn coverage(
    pipeline: &Pipeline,
    object: &Object,
    event: &Event,
    record: &ReconciledRound,
    now: Timestamp,
) -> Coverage {
    let first = record.objects.get(&object.name).and_then(|tried| tried.compared);
    let is_of_night = |at: &Timestamp| *event == Event::LookAgain && now.duration_since(*at) <= NIGHT;
    Coverage::of_night(object, day_of(first.filter(is_of_night).unwrap_or(now), &pipeline.time_zone))
}

/// Whether wrong records of an object are not confirmed, and a look now could confirm them.
async fn is_open(
    pipeline: &Pipeline,
    store: &IncidentStore,
    object: &Object,
    coverage: Coverage,
    now: Timestamp,
) -> anyhow::Result<bool> {
    let (looks, _) = store.looks(&pipeline.name, &object.name, coverage, now).await?;
    let is_due = looks.newest.is_some_and(|(at, _)| is_apart(pipeline, object, at, now));
    Ok(looks.unconfirmed > 0 && is_due)
}
