//! The management API: requests in, envelopes out, without HTTP beyond status codes.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::render::{Paging, paged, rejected_records, run_json, sync_json};
use super::schedule::SimSchedule;
use super::world::{Alerts, Generation, SimRun, SimSync, StartedBy, Traffic, World};
use super::writes::asks_for_full_sync;

/// One parsed request.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// Below `/api/v1/` or `/api/v2/`, without a slash at either end.
    pub(super) path: &'a str,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Value,
    pub(super) v2: bool,
    /// Scheme, host and `/api/v1`, for the deprecated `next`.
    pub(super) base: &'a str,
}

impl Request<'_> {
    fn field(&self, name: &str) -> Option<String> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }
}

type Answer = (u16, Value);

/// The documented 404 has an integer `status` and no message.
fn not_found() -> Answer {
    (404, json!({ "status": 404 }))
}

fn refused(message: &str) -> Answer {
    (400, json!({ "status": "error", "message": message }))
}

fn success(data: &Value) -> Answer {
    (200, json!({ "status": "success", "data": data }))
}

/// Answers a request.
pub(super) fn answer(world: &mut World, request: &Request<'_>, shift: SignedDuration) -> Answer {
    let segments: Vec<&str> = request.path.split('/').collect();
    let id = |text: &str| text.parse::<u64>().ok();
    match (request.method, segments.as_slice()) {
        ("GET", ["syncs"]) => {
            let syncs: Vec<&SimSync> = world.syncs().rev().collect();
            list(request, "syncs", syncs, |sync| in_group(request, sync_json(world, sync, shift)))
        }
        ("POST", ["syncs"]) => create_sync(world, request),
        ("GET", ["syncs", sync]) => match id(sync).and_then(|id| world.sync(id)) {
            Some(sync) => success(&in_group(request, sync_json(world, sync, shift))),
            None => not_found(),
        },
        ("PATCH", ["syncs", sync]) => match id(sync).filter(|id| world.sync(*id).is_some()) {
            Some(id) => patch_sync(world, id, request, shift),
            None => not_found(),
        },
        ("DELETE", ["syncs", sync]) => match id(sync).is_some_and(|id| world.delete(id)) {
            true => (200, json!({ "status": "deleted" })),
            false => not_found(),
        },
        ("POST", ["syncs", sync, "trigger"]) => {
            let full = asks_for_full_sync(&request.query, &request.body);
            match id(sync).and_then(|id| world.trigger_by(StartedBy::Api, id, full)) {
                Some(run) => success(&json!({ "sync_run_id": run })),
                None => not_found(),
            }
        }
        ("GET", ["syncs", sync, "sync_runs"]) => match id(sync).filter(|id| world.sync(*id).is_some()) {
            Some(id) => {
                let runs: Vec<&SimRun> = world.listed_runs(id).collect();
                list(request, request.path, runs, |run| run_json(world, run, shift))
            }
            None => not_found(),
        },
        ("GET", ["sync_runs", run]) => match id(run).and_then(|id| world.run(id)) {
            Some(run) => success(&run_json(world, run, shift)),
            None => not_found(),
        },
        // The answer has two l's, the run's flag one.
        ("POST", ["sync_runs", run, "cancel"]) => match id(run) {
            Some(id) if world.cancel(id) => (200, json!({ "status": "cancelled", "data": {} })),
            Some(id) if world.run(id).is_some() => refused("The sync run has ended"),
            _ => not_found(),
        },
        ("GET", ["sync_runs", run, what @ ("records" | "records_count")]) => {
            match id(run).and_then(|id| world.run(id)) {
                Some(run) => records(run, request, *what == "records_count"),
                None => not_found(),
            }
        }
        ("GET", ["webhooks"]) => {
            let webhooks: Vec<Value> =
                world.webhooks.iter().rev().map(|hook| webhook_json(hook, request)).collect();
            list(request, "webhooks", webhooks, |hook| hook)
        }
        ("POST", ["webhooks"]) => create_webhook(world, request),
        ("GET", ["webhooks", hook]) => match world.webhooks.iter().find(|known| Some(known.id) == id(hook)) {
            Some(hook) => success(&webhook_json(hook, request)),
            None => not_found(),
        },
        ("PATCH", ["webhooks", hook]) => patch_webhook(world, id(hook), request),
        ("DELETE", ["webhooks", hook]) => {
            let before = world.webhooks.len();
            world.webhooks.retain(|known| Some(known.id) != id(hook));
            if world.webhooks.len() < before { (200, json!({ "status": "deleted" })) } else { not_found() }
        }
        ("GET", ["sources"]) => list(request, "sources", vec![source()], |source| in_group(request, source)),
        ("GET", ["sources", "4"]) => success(&in_group(request, source())),
        ("GET", ["destinations"]) if !request.v2 => list(request, "destinations", vec![destination()], |d| d),
        ("GET", ["destinations", "15"]) if !request.v2 => success(&destination()),
        ("GET", ["activations"]) if request.v2 => list(
            request,
            "activations",
            vec![json!({ "id": "glimmering_donkey", "name": "Salesforce" })],
            |a| a,
        ),
        _ => not_found(),
    }
}

fn list<T>(request: &Request<'_>, path: &str, items: Vec<T>, render: impl Fn(T) -> Value) -> Answer {
    let paging = Paging::of(|name| request.field(name));
    let url = format!("{}/{path}", request.base);
    // V2's client does not use `next`.
    (200, paged(items.into_iter(), paging, (!request.v2).then_some(url.as_str()), render))
}

/// Adds the Fivetran group to which V2 scopes objects.
fn in_group(request: &Request<'_>, mut object: Value) -> Value {
    if let (true, Some(object)) = (request.v2, object.as_object_mut()) {
        object.insert("group_id".to_owned(), json!("wandering_aimlessly"));
    }
    object
}

fn source() -> Value {
    json!({ "id": 4, "name": "crm", "type": "databricks", "created_at": "2024-01-01T00:00:00.000Z" })
}

fn destination() -> Value {
    json!({ "id": 15, "name": "Salesforce", "type": "salesforce", "created_at": "2024-01-01T00:00:00.000Z" })
}

fn create_sync(world: &mut World, request: &Request<'_>) -> Answer {
    let id = world.syncs().map(|sync| sync.id).max().unwrap_or(0) + 1;
    let label = request.body.get("label").and_then(Value::as_str).unwrap_or("New sync");
    let schedule = match schedule_in(&request.body) {
        None => SimSchedule::Never,
        Some(Ok(schedule)) => schedule,
        Some(Err(message)) => return refused(&message),
    };
    let traffic = Traffic { runtime: SignedDuration::from_mins(1), records: 40, creates: false };
    world.add_sync(id, label, schedule, traffic);
    (200, json!({ "status": "created", "data": { "sync_id": id } }))
}

/// The schedule in a body of either generation, if any.
fn schedule_in(body: &Value) -> Option<Result<SimSchedule, String>> {
    if let Some(mode) = body.get("mode") {
        let schedule = mode.pointer("/triggers/schedule");
        // Nested objects are replaced as a whole, so a mode without a schedule removes it.
        return Some(schedule.map_or(Ok(SimSchedule::Never), SimSchedule::from_json));
    }
    let frequency = body.get("schedule_frequency")?;
    let flat = json!({
        "frequency": frequency,
        "day": body.get("schedule_day"),
        "hour": body.get("schedule_hour"),
        "minute": body.get("schedule_minute"),
        "cron_expression": body.get("cron_expression"),
    });
    Some(SimSchedule::from_json(&flat))
}

fn patch_sync(world: &mut World, id: u64, request: &Request<'_>, shift: SignedDuration) -> Answer {
    let body = &request.body;
    if !body.is_object() {
        return refused("the body is not a JSON object");
    }
    let schedule = match schedule_in(body).transpose() {
        Ok(schedule) => schedule,
        Err(message) => return refused(&message),
    };
    let alerts = match body.get("alert_attributes").map(alerts_in).transpose() {
        Ok(alerts) => alerts,
        Err(message) => return refused(message),
    };
    world.configure(id, |sync| {
        if let Some(paused) = body.get("paused").and_then(Value::as_bool) {
            sync.paused = paused;
        }
        if let Some(label) = body.get("label").and_then(Value::as_str) {
            sync.label = Some(label.to_owned());
        }
        if let Some(mappings) = body.get("mappings") {
            sync.mappings = mappings.clone();
        }
        if let Some(schedule) = schedule {
            sync.schedule = schedule;
        }
        if let Some(alerts) = alerts {
            sync.alerts = alerts;
            sync.generation = Generation::Nested;
        }
    });
    match world.sync(id) {
        Some(sync) => {
            (200, json!({ "status": "updated", "data": in_group(request, sync_json(world, sync, shift)) }))
        }
        None => not_found(),
    }
}

fn alerts_in(attributes: &Value) -> Result<Alerts, &'static str> {
    // The only validation message of this endpoint seen in practice.
    let attributes = attributes.as_array().ok_or("sync_alert_configurations is invalid")?;
    let of =
        |kind: &str| attributes.iter().find(|alert| alert.get("type").and_then(Value::as_str) == Some(kind));
    let threshold =
        of("InvalidRecordPercentAlertConfiguration").map(|alert| alert.pointer("/options/threshold"));
    let rejected_percent = match threshold {
        None => None,
        Some(percent) => {
            let percent = percent.and_then(Value::as_u64).filter(|percent| *percent <= 100);
            Some(
                percent
                    .and_then(|percent| u32::try_from(percent).ok())
                    .ok_or("sync_alert_configurations is invalid")?,
            )
        }
    };
    Ok(Alerts { failed_run: of("FailureAlertConfiguration").is_some(), rejected_percent })
}

fn records(run: &SimRun, request: &Request<'_>, only_count: bool) -> Answer {
    let wanted = request.field("status");
    let records = rejected_records(run).into_iter().filter(|record| {
        wanted.as_deref().is_none_or(|wanted| record.get("status").and_then(Value::as_str) == Some(wanted))
    });
    if only_count {
        return success(&json!([{ "record_count": records.count() }]));
    }
    let paging = Paging::of(|name| request.field(name));
    let records: Vec<Value> = records.collect();
    let mut answer = paged(records.into_iter(), paging, None, |record| record);
    // The documented sample has no `pagination` here.
    if let Some(answer) = answer.as_object_mut() {
        answer.remove("pagination");
    }
    (200, answer)
}

fn webhook_json(hook: &super::Webhook, request: &Request<'_>) -> Value {
    let hook = json!({ "id": hook.id, "name": hook.name, "endpoint": hook.endpoint, "events": hook.events });
    in_group(request, hook)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let texts = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    texts.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn create_webhook(world: &mut World, request: &Request<'_>) -> Answer {
    let text = |key: &str| request.body.get(key).and_then(Value::as_str);
    let (Some(name), Some(endpoint)) = (text("name"), text("endpoint")) else {
        return refused("name and endpoint are required");
    };
    // Census accepts only HTTPS. A lab on one machine has no certificates, so loopback is accepted too.
    if !endpoint.starts_with("https://") && !endpoint.starts_with("http://127.0.0.1:") {
        return refused("endpoint must be HTTPS");
    }
    let hook = world.add_webhook(name, endpoint, texts(request.body.get("events"))).clone();
    let mut shown = webhook_json(&hook, request);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("secret".to_owned(), json!(hook.secret));
    }
    (201, json!({ "status": "created", "data": shown }))
}

fn patch_webhook(world: &mut World, id: Option<u64>, request: &Request<'_>) -> Answer {
    let Some(hook) = world.webhooks.iter_mut().find(|known| Some(known.id) == id) else { return not_found() };
    if let Some(name) = request.body.get("name").and_then(Value::as_str) {
        hook.name = name.to_owned();
    }
    if let Some(endpoint) = request.body.get("endpoint").and_then(Value::as_str) {
        hook.endpoint = endpoint.to_owned();
    }
    if request.body.get("events").is_some() {
        hook.events = texts(request.body.get("events"));
    }
    let shown = webhook_json(hook, request);
    (200, json!({ "status": "updated", "data": shown }))
}
