//! The effect of each step on the lab's world, good or bad.

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use syncwatch::data_checks::Rule;
use syncwatch::remedy::{Record, State, Stop};
use syncwatch_lab::census::{Fault, HttpFault, SimSchedule};
use syncwatch_lab::properties::{PropertyFault, PropertyWorld};

use crate::drill::{Fix, Trouble, Which};
use crate::scene::Scene;

/// The duration of a step in minutes. A run that is started by hand has ended by then.
const STEP: i64 = 6;
/// The time until a remedy that was approved has acted and a run of each sync has ended, in minutes.
const UNTIL_A_RUN: i64 = 40;
/// The time until a vendor recovers, in minutes.
const VENDOR: i64 = 60;

impl Scene {
    /// Injects a fault.
    pub(crate) async fn inflict(&mut self, trouble: Trouble) -> Result<()> {
        self.troubles.push(trouble);
        if let Trouble::SelectsNothing(which) = trouble {
            self.learn_usual_runs(which).await?;
        }
        if let Some(faults) = trouble.of_world() {
            return self.census.with_world(|world| {
                faults.iter().try_for_each(|fault| fault.inject(world).map_err(anyhow::Error::from))
            });
        }
        match trouble {
            Trouble::DailyInUtc => self.run_daily_at(13),
            Trouble::TimesView(count) => {
                self.with_data(|data| data.inflict(PropertyFault::ViewComparesTimes))?;
                self.with_data(|data| data.inflict(PropertyFault::LostUpdates { count }))?;
            }
            Trouble::HandEdits(count) => {
                self.with_data(|data| data.inflict(PropertyFault::HandEdits { count }))?;
            }
            Trouble::SwitchedOff => self.switch(true).await?,
            Trouble::WebhooksGone => self.census.with_world(syncwatch_lab::census::World::delete_webhooks),
            _ => {}
        }
        if let Some(fault) = trouble.of_door() {
            self.census.break_door(fault);
        }
        if let Some(fault) = trouble.of_data() {
            self.with_data(|data| data.inflict(fault))?;
        }
        Ok(())
    }

    /// Applies a step, ends the faults that it fixes, and lets its time pass.
    ///
    /// # Errors
    /// The lab fails. A useless step is not an error.
    pub async fn apply(&mut self, fix: Fix) -> Result<()> {
        match fix {
            Fix::ResumeCreate => self.set_paused(Which::Create, false),
            Fix::ResumeUpdate => self.set_paused(Which::Update, false),
            Fix::PauseCreate => self.set_paused(Which::Create, true),
            Fix::RunCreate => self.run_by_hand(Which::Create, false),
            Fix::RunUpdate => self.run_by_hand(Which::Update, false),
            Fix::FullSyncCreate => self.run_by_hand(Which::Create, true),
            Fix::FullSyncUpdate => self.run_by_hand(Which::Update, true),
            Fix::RestoreSchedule if self.troubles.contains(&Trouble::DailyInUtc) => self.run_daily_at(12),
            Fix::EveryHalfHour => self.every_half_hour()?,
            // No rounds run: they would send no new alert.
            Fix::WaitForVendor => self.census.jump(SignedDuration::from_mins(VENDOR)),
            Fix::MergeDuplicates => self.with_data(PropertyWorld::delete_duplicates)?,
            Fix::RestoreNames => self.with_data(PropertyWorld::restore_companies)?,
            Fix::RegisterWebhook => self.register_webhook().await?,
            Fix::EnterCompanies => self.with_data(PropertyWorld::enter_companies)?,
            Fix::TouchSource => self.with_data(PropertyWorld::touch_wrong)?,
            Fix::NewNormal => self.mark_new_normal().await?,
            Fix::LoosenLimits => self.loosen_limits(),
            Fix::ApproveRemedy => {
                self.answer(|remedy, now| {
                    let people = (0..remedy.plan.approvals.max(1)).map(|person| format!("trainee {person}"));
                    people.into_iter().try_fold(remedy, |remedy, by| remedy.approved(&by, now))
                })
                .await?;
                self.live(UNTIL_A_RUN).await?;
                self.forget_healed();
            }
            Fix::RefuseRemedy => {
                self.answer(|remedy, now| remedy.refused("trainee", "it was paused on purpose", now)).await?;
            }
            Fix::StopRemedies | Fix::StartRemedies => self.switch(fix == Fix::StopRemedies).await?,
            Fix::SilenceAll => {
                let who = ["silence", "add", "--owner", "trainee", "--reason", "drill", "--for", "24h"];
                self.operate(&who).await.map(drop)?;
            }
            Fix::RestoreSchedule
            | Fix::RemoveFilter
            | Fix::CallCensus
            | Fix::ReconnectSalesforce
            | Fix::RenewCensusToken
            | Fix::SettleRule
            | Fix::UniqueKey
            | Fix::RepairNamesView
            | Fix::RepairCreateView
            | Fix::RepairUpdateView
            | Fix::ResumeCopy => {}
        }
        let fixed: Vec<Trouble> =
            self.troubles.iter().copied().filter(|trouble| trouble.fixed_by() == fix).collect();
        for trouble in fixed {
            self.heal(trouble)?;
        }
        self.live(STEP).await
    }

    /// Answers the proposal of a remedy, if there is one. An answer that it does not take has no effect.
    async fn answer(&self, answer: impl Fn(Record, Timestamp) -> Result<Record, String>) -> Result<()> {
        let (store, now) = (self.store()?, self.now());
        let (remedies, _) = store.remedies(&self.pipeline.name).await?;
        for remedy in remedies.into_iter().filter(|remedy| remedy.state == State::Proposed) {
            if let Ok(answered) = answer(remedy, now) {
                // Each change is stored as a version of its own; here they are one.
                let before = answered.approvals.len().max(1) as u64;
                let answered = Record { version: answered.version - before + 1, ..answered };
                store.put_remedy(&self.pipeline.name, &answered, now).await?;
            }
        }
        Ok(())
    }

    /// Turns the kill switch of all remedies on or off.
    async fn switch(&self, on: bool) -> Result<()> {
        let (by, why) = ("a colleague".to_owned(), "release weekend".to_owned());
        let stop = Stop { kind: None, by, at: self.now(), why };
        Ok(self.store()?.put_stop(&self.pipeline.name, &stop, on).await?)
    }

    /// Ends the faults that a remedy ended.
    fn forget_healed(&mut self) {
        let is_paused = |which: Which| {
            self.census.with_world(|world| world.sync(which.id()).is_some_and(|sync| sync.paused))
        };
        let has_webhook = self.census.with_world(|world| !world.webhooks().is_empty());
        let left = self.troubles.iter().copied().filter(|trouble| match trouble {
            Trouble::Paused(which) => is_paused(*which),
            Trouble::WebhooksGone => !has_webhook,
            _ => true,
        });
        self.troubles = left.collect();
    }

    fn heal(&mut self, trouble: Trouble) -> Result<()> {
        self.troubles.retain(|known| *known != trouble);
        if let Some(faults) = trouble.of_world() {
            self.census.with_world(|world| faults.iter().for_each(|fault| fault.heal(world)));
        }
        if let Some(fault) = trouble.of_door() {
            self.census.heal_door(&fault);
        }
        let fault = trouble.of_data();
        let fault =
            if let Trouble::TimesView(_) = trouble { Some(PropertyFault::ViewComparesTimes) } else { fault };
        if let Some(fault) = fault {
            self.with_data(|data| data.heal_one(&fault))?;
        }
        Ok(())
    }

    fn with_data<T>(&self, act: impl FnOnce(&mut PropertyWorld) -> T) -> Result<T> {
        self.census.with_world(|world| world.properties_mut().map(act)).context("the world carries no data")
    }

    fn set_paused(&mut self, which: Which, paused: bool) {
        self.census.with_world(|world| {
            if world.sync(which.id()).is_some_and(|sync| sync.paused != paused) {
                world.configure(which.id(), |sync| sync.paused = paused);
            }
        });
        if paused && !self.troubles.contains(&Trouble::Paused(which)) {
            self.troubles.push(Trouble::Paused(which));
        }
    }

    fn run_by_hand(&self, which: Which, full: bool) {
        self.census.with_world(|world| world.trigger(which.id(), full));
    }

    fn run_daily_at(&self, hour: i8) {
        let schedule = SimSchedule::Daily { hour, minute: 0 };
        self.census.with_world(|world| world.configure(Which::Create.id(), |sync| sync.schedule = schedule));
    }

    /// Edits the pipeline as an operator does who only wants the incidents gone.
    fn loosen_limits(&mut self) {
        for sync in &mut self.pipeline.syncs {
            sync.error_rate_percent = 100.0;
        }
        for check in &mut self.pipeline.checks {
            match &mut check.rule {
                Rule::Coverage { warn_below, critical_below, .. } => {
                    (*warn_below, *critical_below) = (0.0, 0.0);
                }
                Rule::NullCount { limit, .. }
                | Rule::Duplicates { limit, .. }
                | Rule::QueueSize { limit, .. } => *limit = u64::MAX,
                Rule::NullRate { limit_percent, .. } => *limit_percent = 100.0,
                _ => {}
            }
        }
    }

    /// Marks the lasting change of the volume as the owner does.
    async fn mark_new_normal(&self) -> Result<()> {
        let incident = format!("{}/unusual-volume/properties-create", self.pipeline.name);
        let by = ["--by", "Revenue operations", "--why", "a second brand"];
        self.operate(&[&["mark", &incident, "new-normal"], &by[..]].concat()).await.map(drop)
    }

    fn every_half_hour(&mut self) -> Result<()> {
        let schedule = SimSchedule::cron("*/30 * * * *").map_err(anyhow::Error::msg)?;
        self.census.with_world(|world| world.configure(Which::Create.id(), |sync| sync.schedule = schedule));
        self.redeclare(&[])
    }
}

impl Trouble {
    /// The faults of Census's world, if any.
    fn of_world(self) -> Option<Vec<Fault>> {
        let both = |code: &str, message: &str| {
            [Which::Create, Which::Update]
                .map(|sync| Fault::Fail {
                    sync: sync.id(),
                    code: code.to_owned(),
                    message: message.to_owned(),
                })
                .to_vec()
        };
        Some(match self {
            Self::Paused(which) => vec![Fault::Pause { sync: which.id() }],
            Self::Hourly => {
                let schedule = json!({ "frequency": "hourly" });
                vec![Fault::ChangeSchedule { sync: Which::Update.id(), schedule }]
            }
            Self::SchedulerStuck(which) => vec![Fault::HoldSchedule { sync: which.id() }],
            Self::SelectsNothing(which) => vec![Fault::SelectNothing { sync: which.id() }],
            Self::LoginExpired => {
                both("INVALID_SESSION_ID", "INVALID_SESSION_ID: Session expired or invalid")
            }
            Self::SalesforceDown => {
                both("SERVER_UNAVAILABLE", "SERVER_UNAVAILABLE: The server is currently unavailable")
            }
            Self::Rejected(percent) => {
                vec![Fault::Reject { sync: Which::Update.id(), percent, message: None }]
            }
            _ => return None,
        })
    }

    /// The fault of Census's front door, if any.
    fn of_door(self) -> Option<HttpFault> {
        match self {
            Self::CensusDown => Some(HttpFault::Down),
            Self::TokenRefused => Some(HttpFault::Unauthorized),
            _ => None,
        }
    }

    /// The fault of the data, if any.
    fn of_data(self) -> Option<PropertyFault> {
        match self {
            Self::Duplicates(percent) => Some(PropertyFault::DuplicateCreation { percent }),
            Self::NamesView => Some(PropertyFault::ViewBug),
            Self::CreateView(city) => Some(PropertyFault::CoverageLeak { city: city.to_owned() }),
            Self::CopyStalled => Some(PropertyFault::CopyStalls),
            _ => None,
        }
    }
}
