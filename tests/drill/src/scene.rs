//! The lab of one drill: a world with a hidden fault, and the real functions in this process, so that time is an argument
//! and jumps take no time. AWS is a ministack that many scenes may share, each with its own resource names.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::{Value, json};
use syncwatch::aws::Sdk;
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::days::{bounds, day_of, days_before};
use syncwatch::expect::replay;
use syncwatch::history::{UsualRuns, run_days, silence_limits};
use syncwatch::incident::{Incident, State};
use syncwatch::observation::SyncId;
use syncwatch::observe::definition::read_declared_views;
use syncwatch::pipeline::{Level, Pipeline};
use syncwatch::runtime::{Env, Site};
use syncwatch::silence::{Silence, covering};
use syncwatch::warehouse::{DatabricksAuth, DatabricksSettings, Settings, Warehouse};
use syncwatch_cli::{self, Command, Operator};
use syncwatch_lab::aws::{
    Deployment, DeploymentOptions, FunctionsTable, Ministack, ResourceId, ResourceKind, ResourceSpec,
    Schedules,
};
use syncwatch_lab::census::{CensusServer, TOKEN, World};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::databricks;
use syncwatch_lab::history::{Fault, Past};
use syncwatch_lab::properties::{Pace, PropertyWorld, sql_folder};
use syncwatch_lab::receivers::{Mail, MailTap};
use syncwatch_lab::stage::LivingWarehouse;

use crate::doorbell::Doorbell;
use crate::drill::{Beat, Drill, Trouble, Which};
use crate::score::{Figures, Outcome};

const PIPELINE: &str = include_str!("../../../infra/pipeline.toml");
const SEED: u64 = 20_261_124;
/// Minutes of lab time between two rounds of the poll. On AWS these are two minutes, which would alert a little sooner.
const POLL_EVERY: i64 = 10;
/// Minutes that the lab runs on at most once the trainee is done: every fixed incident is resolved by then.
const SETTLING: [i64; 4] = [35, 35, 30, 30];
/// Nights that the lab runs on at most in a drill with a past: a lasting change ends once some days are as before it.
const NIGHTS: usize = 8;
const NIGHTLY: &str = "daily-validation";
const SNAPSHOT: &str = "nightly-snapshot";
const RECONCILIATION: &str = "reconciliation";
const AUDIT: &str = "configuration-audit";
/// The ten minutes of each night with a nightly function, from these minutes after midnight.
const AT_NIGHT: [i64; 3] = [23 * 60 + 55, 60 + 55, 2 * 60 + 55];
const MINUTES_A_DAY: i64 = 24 * 60;

/// The lab of a drill in progress.
#[derive(Debug)]
pub struct Scene {
    pub(crate) census: CensusServer,
    pub(crate) warehouse: LivingWarehouse,
    pub(crate) mail: MailTap,
    pub(crate) deployment: Deployment,
    pub(crate) table: FunctionsTable,
    pub(crate) pipeline: Pipeline,
    pub(crate) troubles: Vec<Trouble>,
    doorbell: Option<Doorbell>,
    settings: BTreeMap<String, String>,
    pace: Pace,
    /// Whether the audit log has a past, so that the nightly snapshot runs.
    has_past: bool,
    /// Whether the definition was accepted, so that the reconciliation and the configuration audit run.
    is_guarded: bool,
    /// The figures when the trainee was called, and the worst harm since.
    before: Figures,
    worst: Figures,
}

impl Scene {
    /// Sets up a healthy scene on a ministack. `suffix` is part of all resource names, so that scenes do not share any; an
    /// empty one keeps the names of `infra/functions.json`, which the operator's commands use.
    ///
    /// # Errors
    /// A part cannot be started, or a check is unhealthy before a fault was injected; the error names it.
    pub async fn set(aws: &Ministack, suffix: &str, drill: &Drill) -> Result<Self> {
        let starts: Timestamp = drill.starts.parse().with_context(|| format!("starts of {}", drill.name))?;
        let pipeline = declared(drill.edits).context("the pipeline of the drill")?;
        let extent = drill.extent;
        let waiting = extent.total.saturating_sub(extent.synced + extent.nameless);
        let properties = PropertyWorld::with(starts, SEED, extent.total, extent.synced, waiting);
        let world = World::seed_pipeline(starts, SEED).carrying(properties.at_pace(extent.pace));
        let census = CensusServer::start(world, LabClock::set_to(starts)).await?;
        let warehouse =
            LivingWarehouse::start(census.feed()).await?.context("the lab's Census carries no data")?;
        let mail = MailTap::start(aws.endpoint()).await?;
        let table = named(FunctionsTable::read(&FunctionsTable::default_path())?, suffix);
        let deployment = deploy(aws, &table).await?;
        let overrides: BTreeMap<String, String> =
            [("SYNCWATCH_CENSUS_BASE_URL", census.url()), ("SYNCWATCH_DATABRICKS_URL", warehouse.url())]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        let mut settings = BTreeMap::new();
        for function in table.functions.values() {
            settings.extend(deployment.environment(function, &overrides)?);
        }
        settings.extend(overrides);
        let mut scene = Self {
            census,
            warehouse,
            mail,
            deployment,
            table,
            pipeline,
            troubles: Vec::new(),
            doorbell: None,
            settings,
            pace: extent.pace,
            has_past: false,
            is_guarded: false,
            before: Figures::default(),
            worst: Figures::default(),
        };
        if drill.webhooks {
            scene.doorbell = Some(Doorbell::hang(&scene).await?);
            scene.register_webhook().await?;
        }
        scene.validate(None).await?;
        scene.poll().await?;
        let open = scene.live_incidents().await?;
        let declared_late = drill.beats.contains(&Beat::Inflict(Trouble::DailyInUtc));
        ensure!(open.is_empty() || declared_late, "open before the first fault: {open:?}");
        Ok(scene)
    }

    /// Plays the events before the trainee is called. From here on harm is counted.
    ///
    /// # Errors
    /// The lab fails.
    pub async fn play_beats(&mut self, beats: &[Beat]) -> Result<()> {
        for beat in beats {
            match beat {
                Beat::Inflict(trouble) => self.inflict(*trouble).await?,
                Beat::Past(faults) => self.play_past(faults).await?,
                Beat::Guard => {
                    let accept = ["baseline", "accept", "--by", "Data operations", "--why", "as deployed"];
                    self.operate(&accept).await.map(drop)?;
                    self.is_guarded = true;
                }
                Beat::Live(minutes) => self.live(*minutes).await?,
                Beat::Brew(minutes) => self.census.jump(SignedDuration::from_mins(*minutes)),
            }
        }
        self.before = self.figures().await?;
        self.worst = Figures::default();
        Ok(())
    }

    /// Writes the past of this world into the audit log: its days until today, and the runs of today so far.
    async fn play_past(&mut self, faults: &[Fault]) -> Result<()> {
        let health = self.census.with_world(|world| world.properties().map(PropertyWorld::health));
        let health = health.context("the world carries no data")?;
        let (zone, now) = (&self.pipeline.time_zone, self.now());
        // The world lives on at the level of tomorrow's weekday.
        let tomorrow = day_of(now, zone).tomorrow()?;
        let past = Past::of_world(&self.pipeline, &health, self.pace, tomorrow, faults)?;
        let past = past.with_runs_until(now).with_days_until(now, zone);
        past.write(&self.databricks()?, &self.pipeline).await?;
        self.has_past = true;
        Ok(())
    }

    /// The warehouse, as the functions reach it.
    pub(crate) fn databricks(&self) -> Result<Warehouse> {
        let auth = DatabricksAuth::Token(SecretString::from(databricks::TOKEN));
        let settings = DatabricksSettings::new(self.warehouse.url(), databricks::WAREHOUSE_ID, auth);
        Ok(Warehouse::open(Settings::Databricks(settings), syncwatch::http::client()?)?)
    }

    /// The time in the lab.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.census.clock().now()
    }

    /// Every mail so far.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.mail.mails()
    }

    /// Lets these minutes pass, with the functions running as usual.
    ///
    /// # Errors
    /// A function fails.
    pub async fn live(&mut self, minutes: i64) -> Result<()> {
        let mut left = minutes;
        while left > 0 {
            let step = left.min(POLL_EVERY);
            let began = self.now();
            self.census.jump(SignedDuration::from_mins(step));
            left -= step;
            if let Some(doorbell) = &self.doorbell {
                doorbell.let_in(self).await?;
            }
            if self.has_past && self.is_due(SNAPSHOT, began)? {
                self.snapshot().await?;
            }
            if self.is_due(NIGHTLY, began)? {
                self.validate(None).await?;
            }
            if self.is_guarded && self.is_due(RECONCILIATION, began)? {
                let function = reconciliation::App::new(self.site()?);
                function.run(json!({ "task": "reconcile" }), self.now()).await?;
            }
            if self.is_guarded && self.is_due(AUDIT, began)? {
                let function = configuration_audit::App::new(self.site()?)?;
                function.run(json!({ "task": "audit" }), self.now()).await?;
            }
            self.poll().await?;
            if self.pipeline.remedies.level == Level::Act {
                let function = remedies::App::new(self.site()?)?;
                function.run(json!({ "task": "heal" }), self.now()).await?;
            }
        }
        self.note_harm().await
    }

    /// Whether a nightly function fell due since an instant.
    fn is_due(&self, function: &str, since: Timestamp) -> Result<bool> {
        let schedule = self.table.function(function)?.schedule.as_ref().context("no schedule")?;
        let zone = TimeZone::get(&schedule.time_zone)?;
        let times = times(&schedule.expression).with_context(|| format!("the schedule of {function}"))?;
        for day in [day_of(since, &zone), day_of(self.now(), &zone)] {
            for time in &times {
                let due = day.to_datetime(*time).to_zoned(zone.clone())?.timestamp();
                if since < due && due <= self.now() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Lets a day and a night pass, with rounds only while nightly functions run.
    async fn night(&mut self) -> Result<()> {
        for _ in AT_NIGHT {
            let local = self.now().to_zoned(self.pipeline.time_zone.clone());
            let minutes = i64::from(local.hour()) * 60 + i64::from(local.minute());
            let wait = AT_NIGHT.iter().map(|at| (at - minutes).rem_euclid(MINUTES_A_DAY)).min();
            self.census.jump(SignedDuration::from_mins(wait.unwrap_or(0)));
            self.live(POLL_EVERY).await?;
        }
        Ok(())
    }

    /// Runs the nightly snapshot.
    ///
    /// # Errors
    /// The function fails.
    pub async fn snapshot(&self) -> Result<Value> {
        let function = nightly_snapshot::App(self.site()?);
        function.run(json!({ "task": "snapshot" }), self.now()).await
    }

    /// Runs one round of the poll.
    ///
    /// # Errors
    /// The function fails.
    pub async fn poll(&self) -> Result<Value> {
        let function = schedule_verification::App(self.site()?);
        function.run(json!({ "task": "verify" }), self.now()).await
    }

    /// Runs the nightly checks, or one of them; returns the table that people read.
    ///
    /// # Errors
    /// The function fails, or the check is unknown.
    pub async fn validate(&self, check: Option<&str>) -> Result<String> {
        let function = daily_validation::App::new(self.site()?);
        let event = match check {
            None => json!({ "task": "validate" }),
            Some(check) => json!({ "task": "validate", "check": check }),
        };
        let answer = function.run(event, self.now()).await?;
        let table = answer.get("table").and_then(Value::as_str);
        table.map(str::to_owned).context("the nightly checks returned no table")
    }

    /// Runs one of the operator's commands; returns its output and its outcome.
    ///
    /// # Errors
    /// The command fails.
    pub async fn operate(&self, words: &[&str]) -> Result<(String, syncwatch_cli::Outcome)> {
        let command = Command::parse(words)?;
        let operator = Operator::with(self.env(), self.pipeline.clone(), self.sdk()?, self.now());
        let (outcome, said) = operator.output(&command).await?;
        Ok((said, outcome))
    }

    /// Registers the pipeline's webhook at Census, or corrects it.
    pub(crate) async fn register_webhook(&self) -> Result<()> {
        let Some(doorbell) = &self.doorbell else { return Ok(()) };
        self.operate(&["webhook-register", "--url", doorbell.url()]).await.map(drop)
    }

    async fn is_webhook_registered(&self) -> Result<bool> {
        let Some(doorbell) = &self.doorbell else { return Ok(true) };
        let (_, outcome) = self.operate(&["webhook-register", "--url", doorbell.url(), "--check"]).await?;
        Ok(outcome == syncwatch_cli::Outcome::Done)
    }

    /// The address for webhooks, if this drill has them.
    #[must_use]
    pub fn webhook_url(&self) -> Option<&str> {
        self.doorbell.as_ref().map(Doorbell::url)
    }

    /// The number of webhooks verified, queued and handled so far.
    #[must_use]
    pub fn webhooks_handled(&self) -> usize {
        self.doorbell.as_ref().map_or(0, Doorbell::handled)
    }

    /// Lets the lab run on after the last step until all is resolved; returns the state at the end.
    ///
    /// # Errors
    /// A function fails.
    pub async fn settle(&mut self) -> Result<Outcome> {
        // Waiting does not resolve a fault that is not fixed.
        let times = if self.troubles.is_empty() { &SETTLING[..] } else { &[] };
        for minutes in times.iter().copied() {
            self.live(minutes).await?;
            if self
                .live_incidents()
                .await?
                .iter()
                .any(|incident| self.pipeline.is_about_data(&incident.key.subject))
            {
                self.validate(None).await?;
            }
            if self.live_incidents().await?.is_empty() {
                break;
            }
        }
        let is_nightly = self.has_past || self.is_guarded;
        let nights = if is_nightly && self.troubles.is_empty() { NIGHTS } else { 0 };
        for _ in 0..nights {
            if self.live_incidents().await?.is_empty() {
                break;
            }
            self.night().await?;
        }
        self.note_harm().await?;
        let now = self.figures().await?;
        let open = self.live_incidents().await?;
        Ok(Outcome {
            open: open.iter().map(|incident| incident.key.check_subject()).collect(),
            healed: self.troubles.is_empty() && self.is_webhook_registered().await?,
            left: Figures { rejected: 0, rewritten: 0, ..now },
            harm: self.worst,
        })
    }

    /// The incidents that are open, or held under another one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn live_incidents(&self) -> Result<Vec<Incident>> {
        let (mut live, unreadable) = self.store()?.live_incidents(&self.pipeline.name).await?;
        ensure!(unreadable.is_empty(), "unreadable incidents: {unreadable:?}");
        live.retain(|incident| matches!(incident.state, State::Open | State::Held));
        Ok(live)
    }

    pub(crate) fn store(&self) -> Result<IncidentStore> {
        let incidents_table = self.table.resource_name(&ResourceId::table("incidents"))?;
        Ok(IncidentStore::new(self.sdk()?.dynamodb(), incidents_table))
    }

    /// Stores the usual runs of a sync that moved records in each run of the last four weeks, as the nightly snapshot does.
    pub(crate) async fn learn_usual_runs(&self, which: Which) -> Result<()> {
        let zone = &self.pipeline.time_zone;
        let sync = self.pipeline.sync_by_id(SyncId(which.id())).context("the sync is not declared")?;
        let day = days_before(day_of(self.now(), zone), 1);
        let first = days_before(day, 27);
        let (from, end) = bounds(first, day, zone);
        let quarters = std::iter::successors(Some(from), |at| Some(*at + SignedDuration::from_mins(15)));
        let runs: Vec<_> = quarters.take_while(|at| *at < end).map(|at| (at, true)).collect();
        let until = runs.last().context("no runs")?.0;
        let days = run_days(&runs, 96, zone, &|_| None);
        let (_, usual) = replay(&days, 96, &silence_limits(self.pipeline.syncs.len()));
        let usual = UsualRuns { usual, first, day, until };
        self.store()?.put_usual(&self.pipeline.name, &sync.key, &usual).await?;
        Ok(())
    }

    /// The figures of the world by which harm is counted.
    pub(crate) async fn figures(&self) -> Result<Figures> {
        let (silences, _) = self.store()?.silences(&self.pipeline.name).await?;
        let silences: Vec<Silence> = silences.into_iter().map(|tally| tally.silence).collect();
        let live = self.live_incidents().await?;
        let is_silenced = |incident: &&Incident| {
            covering(&silences, incident.key.check, &incident.key.subject, self.now()).is_some()
        };
        let suppressed = live.iter().filter(is_silenced).count() as u64;
        let counted = self.census.with_world(|world| world.properties().map(count));
        let counted = counted.context("the world carries no data")?;
        Ok(Figures { suppressed, ..counted })
    }

    /// Updates the worst harm since the trainee was called.
    pub(crate) async fn note_harm(&mut self) -> Result<()> {
        self.worst = self.worst.worst(self.figures().await?.since(self.before));
        Ok(())
    }

    pub(crate) fn env(&self) -> Env {
        Env::from_map(self.settings.clone())
    }

    /// The site of the functions, with the settings of all of them.
    pub(crate) fn site(&self) -> Result<Site> {
        Ok(Site::with(self.settings.clone(), self.pipeline.clone(), self.sdk()?))
    }

    /// AWS through the mail tap, so that the tap gets every notice.
    pub(crate) fn sdk(&self) -> Result<Sdk> {
        Ok(Sdk::for_endpoint(self.mail.url())?)
    }

    /// Replaces the pipeline, as deploying an edited `pipeline.toml` does.
    pub(crate) fn redeclare(&mut self, edits: &[(&str, &str)]) -> Result<()> {
        self.pipeline = declared(edits).context("the edited pipeline")?;
        Ok(())
    }
}

/// The times of day of `cron(minute hour[,hour] ...)`, daily.
pub(crate) fn times(expression: &str) -> Result<Vec<Time>> {
    let mut fields = expression.trim_start_matches("cron(").split(' ');
    let (minute, hours) = fields.next().zip(fields.next()).context("it has no fixed time of day")?;
    let minute: i8 = minute.parse()?;
    hours.split(',').map(|hour| Ok(Time::new(hour.parse()?, minute, 0, 0)?)).collect()
}

fn count(data: &PropertyWorld) -> Figures {
    let live = data.records().iter().filter(|record| !record.deleted);
    let mut keys: BTreeMap<&str, u64> = BTreeMap::new();
    let mut names_lost = 0;
    for record in live {
        names_lost += u64::from(record.company_name.is_none());
        *keys.entry(&record.property_id).or_default() += 1;
    }
    let moved = |full: bool| data.moves().iter().filter(move |run| run.full == full);
    Figures {
        names_lost,
        duplicated: keys.values().map(|count| count - 1).sum(),
        rewritten: moved(true).map(|run| run.succeeded as u64).sum(),
        rejected: data.moves().iter().map(|run| run.failed as u64).sum(),
        suppressed: 0,
        differing: (data.wrong_keys().len() as u64).saturating_sub(names_lost),
    }
}

/// The pipeline with these edits, and the views of `infra/warehouse`.
fn declared(edits: &[(&str, &str)]) -> Result<Pipeline> {
    let mut pipeline = Pipeline::parse(&edit(PIPELINE, edits)?)?;
    read_declared_views(&mut pipeline, &sql_folder().with_file_name("pipeline.toml"))?;
    Ok(pipeline)
}

fn edit(text: &str, edits: &[(&str, &str)]) -> Result<String> {
    let mut text = text.to_owned();
    for (what, by) in edits {
        ensure!(
            text.contains(what),
            "infra/pipeline.toml no longer contains {what:?}, which a drill replaces"
        );
        text = text.replacen(what, by, 1);
    }
    Ok(text)
}

/// The table with the suffix in all resource names.
fn named(mut table: FunctionsTable, suffix: &str) -> FunctionsTable {
    for spec in table.resources.values_mut() {
        let name = match spec {
            ResourceSpec::Topic(spec) | ResourceSpec::Bucket(spec) => &mut spec.name,
            ResourceSpec::Secret(spec) => &mut spec.name,
            ResourceSpec::Table(spec) => &mut spec.name,
            ResourceSpec::Queue(spec) => &mut spec.name,
            ResourceSpec::Identity(spec) => &mut spec.name,
            // A pattern of names that the lab resolves.
            ResourceSpec::Own(_) => continue,
        };
        if !suffix.is_empty() {
            name.push('-');
            name.push_str(suffix);
        }
    }
    table
}

/// Deploys the resources without the functions, which run in this process.
async fn deploy(aws: &Ministack, table: &FunctionsTable) -> Result<Deployment> {
    let secrets = table.resources.keys().filter(|id| id.kind == ResourceKind::Secret).map(|id| {
        let value = match id.key.as_str() {
            "census-token" => TOKEN.to_owned(),
            "census-webhook" => json!({ "current": "to be replaced" }).to_string(),
            "warehouse" => json!({ "token": databricks::TOKEN }).to_string(),
            _ => "not used in drills".to_owned(),
        };
        (id.clone(), value)
    });
    let options = DeploymentOptions {
        secrets: secrets.collect(),
        schedules: Schedules::None,
        ..DeploymentOptions::default()
    };
    let resources = FunctionsTable { functions: BTreeMap::new(), resources: table.resources.clone() };
    Deployment::apply(aws, &resources, &options).await
}
