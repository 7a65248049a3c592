//! The ports of a Lambda function: Census, the SQL warehouse, the queue of undelivered notices, DynamoDB and SNS.

use std::future::ready;
use std::time::Duration;

use jiff::Timestamp;
use syncwatch::aws::incidents::{Expected, IncidentStore, WriteOutcome};
use syncwatch::aws::secrets::SecretStore;
use syncwatch::aws::topic::Topic;
use syncwatch::census::{Client, Error, ErrorKind, Writer};
use syncwatch::incident::{Act, Incident, IncidentKey};
use syncwatch::notice::render_remedy;
use syncwatch::observation::{RunId, SyncId, SyncObservation, Unread};
use syncwatch::observe::proof::copy_of;
use syncwatch::observe::remedies::{Sources, observe};
use syncwatch::pipeline::{Pipeline, RemedyKind};
use syncwatch::registration::{Error as RegistrationError, Registration, Wish, plan};
use syncwatch::remedy::{Announcement, CopySeen, Observed, Record, Stop, Target, WebhookSeen};
use syncwatch::runtime::{Site, env};
use syncwatch::silence::{active, covering};
use syncwatch::sql::{ErrorKind as WarehouseFault, Statement};
use syncwatch::warehouse::{Limits, Resize, Warehouse, WarehouseKeeper};
use tokio::time::{Instant, timeout};

use crate::driver::{Done, Driver};
use crate::ports::{Called, Effect, Ports};

/// Limit for everything that one plan relies on; it also ends reads of a slow vendor.
const OBSERVING_LIMIT: Duration = Duration::from_secs(10);
/// A call that changes something has this long for its answer; after that its effect is looked for.
const CALL_LIMIT: Duration = Duration::from_secs(15);
/// Attempts to mark an incident while other functions write it.
const MARKINGS: usize = 3;
/// The longest waits of one remedy.
const ONE_REMEDY: Duration = OBSERVING_LIMIT.saturating_mul(2).saturating_add(CALL_LIMIT);
/// Messages that one act sends again.
const MESSAGES_AT_ONCE: u32 = 100;

/// After this no other remedy is begun in a round.
const LAST_BEGIN: Duration = Duration::from_secs(25);
/// The longest that a round waits for vendors: the last remedy is observed, observed again, and carried out.
pub const PATIENCE: Duration = LAST_BEGIN.saturating_add(ONE_REMEDY);

/// Runs a round of all remedies; returns their records. Fails while AWS does not answer for the credentials.
pub(crate) async fn drive(
    site: &Site,
    incidents: &[Incident],
    records: Vec<Record>,
    now: Timestamp,
) -> anyhow::Result<(Vec<Record>, Done)> {
    let ports = Vendors::new(site, site.census(now).await?, now, LAST_BEGIN);
    let (pipeline, done) = (&site.pipeline, Done::default());
    let mut driver = Driver { ports: &ports, pipeline, incidents, has_turn: true, records, done };
    Box::pin(driver.run()).await;
    Ok((driver.records, driver.done))
}

/// The ports of one round.
#[derive(Debug)]
pub(crate) struct Vendors<'s> {
    site: &'s Site,
    store: IncidentStore,
    topic: Topic,
    /// `Err` says why Census cannot be asked.
    census: Result<Client, Unread>,
    now: Timestamp,
    began: Instant,
    /// When the round must not begin with another remedy.
    until: Instant,
}

impl<'s> Vendors<'s> {
    /// Prepares the ports of a round that began at `now` and has `time` for remedies.
    pub(crate) fn new(
        site: &'s Site,
        census: Result<Client, Unread>,
        now: Timestamp,
        time: Duration,
    ) -> Self {
        let began = Instant::now();
        Self { site, store: site.incidents(), topic: site.topic(), census, now, began, until: began + time }
    }

    fn pipeline(&self) -> &Pipeline {
        &self.site.pipeline
    }

    async fn warehouse(&self) -> Result<Warehouse, String> {
        let declared = self.pipeline().warehouse.as_ref().ok_or("pipeline.toml has no [warehouse]")?;
        let opened = self.site.warehouse(declared, Limits::default(), OBSERVING_LIMIT).await;
        opened.map_err(|error| error.to_string())?
    }

    async fn dead_letters(&self) -> Result<u64, String> {
        let depth = self.site.queue(env::NOTICES_DEAD_LETTERS).depth().await;
        depth.map_err(|error| error.to_string())?.ok_or_else(|| "SQS sent no count".to_owned())
    }

    async fn writer(&self) -> Result<Writer, Called> {
        match self.site.census_writer(self.now).await {
            Ok(Ok(writer)) => Ok(writer),
            Ok(Err(why)) => Err(Called::Refused(why.to_string())),
            Err(error) => Err(Called::Refused(error.to_string())),
        }
    }

    async fn keeper(&self) -> Result<WarehouseKeeper, Called> {
        let Some(declared) = &self.pipeline().warehouse else {
            return Err(Called::Refused("pipeline.toml has no [warehouse]".to_owned()));
        };
        match self.site.warehouse_keeper(declared).await {
            Ok(Ok(Some(keeper))) => Ok(keeper),
            Ok(Ok(None)) => Err(Called::Refused("the warehouse has no API to change it".to_owned())),
            Ok(Err(why)) => Err(Called::Refused(why)),
            Err(error) => Err(Called::Refused(error.to_string())),
        }
    }

    async fn start_warehouse(&self) -> Called {
        match self.keeper().await {
            Ok(keeper) => keeper.start().await.map_or_else(|error| warehouse_said(&error), |()| accepted()),
            Err(refused) => refused,
        }
    }

    async fn resize(&self, from: u32, to: u32) -> Called {
        let keeper = match self.keeper().await {
            Ok(keeper) => keeper,
            Err(refused) => return refused,
        };
        match keeper.resize(from, to).await {
            Ok(Resize::Done) => accepted(),
            Ok(Resize::ChangedByOther { max_clusters }) => {
                Called::Refused(format!("another party gave it up to {max_clusters} clusters"))
            }
            Err(error) => warehouse_said(&error),
        }
    }

    async fn registration(&self) -> Result<Registration, String> {
        let secrets = SecretStore::new(self.site.sdk().secrets());
        let census = self.census.as_ref().map_err(ToString::to_string)?.clone();
        let (secret, name) = (self.site.setting(env::WEBHOOK_SECRET), &self.pipeline().name);
        let opened = Registration::stored_endpoint(census, secrets, secret, name).await;
        opened.map_err(|error| error.to_string())
    }

    async fn webhook(&self) -> Result<WebhookSeen, String> {
        self.registration().await?.seen(&self.store).await.map_err(|error| error.to_string())
    }

    /// Replaces the webhooks that the plan names; others would be another plan.
    async fn register(&self, old: &[u64]) -> Called {
        let writer = match self.writer().await {
            Ok(writer) => writer,
            Err(refused) => return refused,
        };
        let registered = async {
            let registration = self.registration().await.map_err(Called::Refused)?;
            let refused = |error: RegistrationError| Called::Refused(error.to_string());
            let found = registration.inspect().await.map_err(refused)?;
            if !found.ours.iter().map(|webhook| webhook.id).eq(old.iter().copied()) {
                return Err(Called::Refused("the webhooks in Census changed meanwhile".to_owned()));
            }
            let done = registration.carry_out(&writer, &plan(Wish::Rotate, &found)).await;
            // It may have been created, or stored: that is looked for.
            done.map_err(|error| Called::Lost(error.to_string()))
        };
        registered.await.map_or_else(|called| called, |_| accepted())
    }

    async fn recreate(&self, name: &str) -> Called {
        let Some(view) = self.pipeline().declared_views.get(name) else {
            return Called::Refused("no file declares it".to_owned());
        };
        let warehouse = match self.warehouse().await {
            Ok(warehouse) => warehouse,
            Err(why) => return Called::Refused(why),
        };
        let statement = |sql: &String| Statement::new("definition of the view", sql.clone());
        let script: Vec<Statement> = view.script.iter().map(statement).collect();
        warehouse.execute_all(&script).await.map_or_else(|error| warehouse_said(&error), |_| accepted())
    }

    async fn replay(&self) -> Called {
        let redrive = self.site.redrive(env::NOTICES_DEAD_LETTERS, env::NOTICES_QUEUE);
        let done = redrive.move_back(MESSAGES_AT_ONCE, self.now()).await;
        match done.stopped {
            Some(error) if done.moved == 0 => Called::Refused(error.to_string()),
            _ => Called::Accepted(Effect { run: None, moved: done.moved.into() }),
        }
    }

    async fn act(&self, record: &Record) -> Called {
        match (record.plan.kind, &record.plan.target) {
            (kind, Target::Sync { id, .. }) => match self.writer().await {
                Ok(writer) => act_on_sync(&writer, kind, *id, record.run).await,
                Err(refused) => refused,
            },
            (RemedyKind::StartWarehouse, Target::Warehouse { .. }) => self.start_warehouse().await,
            (RemedyKind::WidenWarehouse, Target::Clusters { from, to, .. }) => self.resize(*from, *to).await,
            (RemedyKind::ReplayDeadLetters, Target::DeadLetters) => self.replay().await,
            (RemedyKind::RegisterWebhook, Target::Webhook { old }) => self.register(old).await,
            (RemedyKind::RecreateView, Target::View { name, .. }) => self.recreate(name).await,
            (kind, target) => no_such_act(kind, target.name()),
        }
    }
}

async fn act_on_sync(writer: &Writer, kind: RemedyKind, id: SyncId, run: Option<RunId>) -> Called {
    let answer = match (kind, run) {
        (RemedyKind::RunAgain | RemedyKind::RunAfterLimit, _) => writer.trigger(id).await.map(Some),
        (RemedyKind::Resume, _) => writer.resume(id).await.map(|()| None),
        (RemedyKind::CancelHung, Some(run)) => writer.cancel(run).await.map(|()| None),
        _ => return no_such_act(kind, "a sync"),
    };
    answer.map_or_else(|error| census_said(&error), |run| Called::Accepted(Effect { run, moved: 0 }))
}

fn accepted() -> Called {
    Called::Accepted(Effect::default())
}

fn warehouse_said(error: &syncwatch::sql::Error) -> Called {
    match error.kind {
        WarehouseFault::NoAccess { .. }
        | WarehouseFault::PermissionDenied { .. }
        | WarehouseFault::Refused => Called::Forbidden(error.to_string()),
        _ => Called::Lost(error.to_string()),
    }
}

fn no_such_act(kind: RemedyKind, target: &str) -> Called {
    Called::Refused(format!("{kind} does not act on {target}"))
}

impl Ports for Vendors<'_> {
    fn now(&self) -> Timestamp {
        self.now.saturating_add(self.began.elapsed()).unwrap_or(self.now)
    }

    fn has_time(&self) -> bool {
        Instant::now() < self.until
    }

    async fn stops(&self) -> Result<Vec<Stop>, String> {
        self.store.stops(&self.pipeline().name).await.map_err(|error| error.to_string())
    }

    async fn incident(&self, key: &IncidentKey) -> Result<Option<Incident>, String> {
        self.store.get(key).await.map_err(|error| error.to_string())
    }

    async fn silenced_by(&self, key: &IncidentKey) -> Result<Option<String>, String> {
        let now = self.now();
        let (stored, unreadable) =
            self.store.silences(&self.pipeline().name).await.map_err(|error| error.to_string())?;
        if let Some(error) = unreadable.first() {
            return Err(error.to_string());
        }
        let active = active(&self.pipeline().silences, &stored, now);
        Ok(covering(&active, key.check, &key.subject, now).map(|silence| silence.id.clone()))
    }

    async fn observe(&self, key: &IncidentKey) -> Observed {
        let at = self.now();
        let census = self.census.as_ref();
        let sources = Sources {
            warehouse: Box::pin(self.warehouse()),
            dead_letters: self.dead_letters(),
            webhook: Box::pin(self.webhook()),
        };
        // Boxed, as the futures of all sources together fill the stack of a thread.
        timeout(OBSERVING_LIMIT, Box::pin(observe(self.pipeline(), census, key, at, sources)))
            .await
            .unwrap_or_else(|_| Observed::nothing(at, "the vendor did not answer in time"))
    }

    async fn copy(&self, sync: &str) -> CopySeen {
        let read = async { copy_of(self.pipeline(), sync, &self.warehouse().await).await };
        let late = |_| CopySeen::unknown("the warehouse did not answer in time");
        timeout(OBSERVING_LIMIT, read).await.unwrap_or_else(late)
    }

    async fn readers(&self, key: &IncidentKey) -> Vec<(String, Result<SyncObservation, String>)> {
        const NOT_NEEDED: &str = "not needed";
        let census = self.census.as_ref();
        let sources = Sources {
            warehouse: ready(Err(NOT_NEEDED.to_owned())),
            dead_letters: ready(Err(NOT_NEEDED.to_owned())),
            webhook: ready(Err(NOT_NEEDED.to_owned())),
        };
        let observed = Box::pin(observe(self.pipeline(), census, key, self.now(), sources));
        timeout(OBSERVING_LIMIT, observed).await.map_or_else(|_| Vec::new(), |observed| observed.siblings)
    }

    async fn store(&self, record: &Record) -> Result<bool, String> {
        let stored = self.store.put_remedy(&self.pipeline().name, record, self.now()).await;
        stored.map_err(|error| error.to_string())
    }

    async fn call(&self, record: &Record) -> Called {
        let lost = || Called::Lost(format!("no answer within {} s", CALL_LIMIT.as_secs()));
        timeout(CALL_LIMIT, Box::pin(self.act(record))).await.unwrap_or_else(|_| lost())
    }

    async fn put_back(&self, record: &Record) -> Called {
        let Target::Clusters { from, to, .. } = record.plan.target else {
            return no_such_act(record.plan.kind, record.plan.target.name());
        };
        let lost = |_| Called::Lost(format!("no answer within {} s", CALL_LIMIT.as_secs()));
        timeout(CALL_LIMIT, self.resize(to, from)).await.unwrap_or_else(lost)
    }

    async fn mark(&self, record: &Record) {
        let at = record.acted_at.unwrap_or_else(|| self.now());
        let act = Act { at, what: record.plan.act() };
        let mut stored = self.store.get(&record.plan.incident).await;
        for _ in 0..MARKINGS {
            let Ok(Some(incident)) = stored else { break };
            let expected = Expected::Version(incident.version);
            match self.store.write(&incident.with_act(act.clone()), expected).await {
                Ok(WriteOutcome::Written) => return,
                Ok(WriteOutcome::Lost(current)) => stored = Ok(current),
                Err(error) => stored = Err(error),
            }
        }
        tracing::warn!(remedy = %record.id, "incident not marked as healed by a remedy");
    }

    async fn announce(&self, record: &Record, announcement: Announcement) -> Result<(), String> {
        let message = render_remedy(record, announcement, self.pipeline(), self.now());
        self.topic.publish(&message).await.map(drop).map_err(|error| error.to_string())
    }
}

/// Whether a failed call may have had an effect.
fn census_said(error: &Error) -> Called {
    match &error.kind {
        ErrorKind::Unauthorized | ErrorKind::Forbidden => Called::Forbidden(error.to_string()),
        ErrorKind::NotFound { .. } | ErrorKind::Gone { .. } | ErrorKind::RateLimited { .. } => {
            Called::Refused(error.to_string())
        }
        // A gateway that gave up waiting (408) may have passed the request on.
        ErrorKind::Status { status: 400..=407 | 409..=499, .. } => Called::Refused(error.to_string()),
        _ => Called::Lost(error.to_string()),
    }
}
