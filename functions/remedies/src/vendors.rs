//! The ports of a Lambda function: Census, the SQL warehouse, the queue of undelivered notices, DynamoDB and SNS.

use std::time::Duration;

use jiff::Timestamp;
use syncwatch::aws::incidents::{Expected, IncidentStore, WriteOutcome};
use syncwatch::aws::topic::Topic;
use syncwatch::census::{Client, Error, ErrorKind, Writer};
use syncwatch::incident::{Act, Incident, IncidentKey};
use syncwatch::notice::render_remedy;
use syncwatch::observation::{RunId, SyncId, Unread};
use syncwatch::observe::proof::copy_of;
use syncwatch::observe::remedies::observe;
use syncwatch::pipeline::{Pipeline, RemedyKind};
use syncwatch::remedy::{Announcement, CopySeen, Observed, Record, Stop, Target};
use syncwatch::runtime::{Site, env};
use syncwatch::silence::{active, covering};
use syncwatch::sql::ErrorKind as WarehouseFault;
use syncwatch::warehouse::{Limits, Warehouse};
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

    async fn start_warehouse(&self) -> Called {
        let Some(declared) = &self.pipeline().warehouse else {
            return Called::Refused("pipeline.toml has no [warehouse]".to_owned());
        };
        let keeper = match self.site.warehouse_keeper(declared).await {
            Ok(Ok(Some(keeper))) => keeper,
            Ok(Ok(None)) => return Called::Refused("the warehouse has no API to start it".to_owned()),
            Ok(Err(why)) => return Called::Refused(why),
            Err(error) => return Called::Refused(error.to_string()),
        };
        match keeper.start().await {
            Ok(()) => Called::Accepted(Effect::default()),
            Err(error) => match error.kind {
                WarehouseFault::NoAccess { .. }
                | WarehouseFault::PermissionDenied { .. }
                | WarehouseFault::Refused => Called::Forbidden(error.to_string()),
                _ => Called::Lost(error.to_string()),
            },
        }
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
            (RemedyKind::ReplayDeadLetters, Target::DeadLetters) => self.replay().await,
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
        timeout(
            OBSERVING_LIMIT,
            observe(self.pipeline(), census, key, at, self.warehouse(), self.dead_letters()),
        )
        .await
        .unwrap_or_else(|_| Observed::nothing(at, "the vendor did not answer in time"))
    }

    async fn copy(&self, sync: &str) -> CopySeen {
        let read = async { copy_of(self.pipeline(), sync, &self.warehouse().await).await };
        let late = |_| CopySeen::unknown("the warehouse did not answer in time");
        timeout(OBSERVING_LIMIT, read).await.unwrap_or_else(late)
    }

    async fn store(&self, record: &Record) -> Result<bool, String> {
        let stored = self.store.put_remedy(&self.pipeline().name, record, self.now()).await;
        stored.map_err(|error| error.to_string())
    }

    async fn call(&self, record: &Record) -> Called {
        let lost = || Called::Lost(format!("no answer within {} s", CALL_LIMIT.as_secs()));
        timeout(CALL_LIMIT, self.act(record)).await.unwrap_or_else(|_| lost())
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
