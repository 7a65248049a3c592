//! Lists remedies, approves and refuses them, turns the kill switch, and shows what a remedy would do.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use syncwatch::aws::secrets::SecretStore;
use syncwatch::incident::{Incident, IncidentKey};
use syncwatch::notice::in_words;
use syncwatch::observe::remedies::{Sources, observe};
use syncwatch::pipeline::{Level, RemedyKind};
use syncwatch::registration::Registration;
use syncwatch::remedy::{
    Choice, Failing, Ill, Plan, Record, SCORED, Score, State, Stop, World, choose, ill_syncs, may, score,
};
use syncwatch::runtime::env;
use syncwatch::silence::{active, covering};
use syncwatch::text::{counted, minute_utc, plain_line, words};
use syncwatch::warehouse::Limits;

use super::arguments::Healing;
use super::error::Error;
use super::incidents::of_pipeline;
use super::{Answer, Operator, all_listed, all_readable};

/// Ended remedies are listed for so long.
const LISTED: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Attempts to write an answer while the function writes the same remedy.
const ATTEMPTS: usize = 3;
const LIST: &str = "`syncwatch remedies list` lists them";

/// The remedies of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemedyList {
    pub pipeline: String,
    pub level: Level,
    /// Kill switches that are on.
    pub stops: Vec<Stop>,
    /// Active ones, and those that ended in the last seven days; newest first.
    pub remedies: Vec<RemedyLine>,
    /// Figures of the last 28 days.
    pub score: Score,
}

/// One remedy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemedyLine {
    pub id: String,
    pub kind: RemedyKind,
    pub target: String,
    /// Key: `pipeline/check/subject`.
    pub incident: String,
    pub state: State,
    /// When it came to its state (UTC).
    pub since: Timestamp,
    /// The whole line for people.
    pub text: String,
    /// The gates that said no in the last judgement.
    pub failing: Vec<Failing>,
}

impl fmt::Display for RemedyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: level {}", self.pipeline, self.level)?;
        for Stop { kind, by, at, why } in &self.stops {
            let what = kind.map_or_else(|| "all remedies".to_owned(), |kind| kind.to_string());
            write!(f, "\nStopped: {what}, by {by} at {}: {}", minute_utc(*at), plain_line(why))?;
        }
        if self.remedies.is_empty() {
            write!(f, "\nNo remedy in {}.", words(LISTED))?;
        }
        for line in &self.remedies {
            write!(f, "\n{}", plain_line(&line.text))?;
        }
        let Score { proposed, acted, healed, failed, harmed, helped, wasted, .. } = &self.score;
        let Score { advised, advised_and_ended, asked, approved, refused, expired, cents, .. } = &self.score;
        write!(
            f,
            "\n28 days: {proposed} proposed, {acted} acted, {healed} healed ({helped} before a person), {failed} failed, \
             {wasted} wasted, {harmed} harmful; {advised} advised ({advised_and_ended} ended by others); {asked} asked, \
             {approved} approved, {refused} refused, {expired} expired; {cents} US cents"
        )
    }
}

/// The answer of a person to a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    pub id: String,
    pub state: State,
    /// The person's AWS identity.
    pub by: String,
    /// Approvals of the present plan, and those that it needs.
    pub approvals: usize,
    pub needed: usize,
    /// The plan in a few words.
    pub act: String,
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, by, act, .. } = self;
        match self.state {
            State::Refused => {
                write!(f, "{id} refused by {by}: {act} is not done, nor proposed again for 24 hours")
            }
            _ if self.approvals < self.needed => {
                let missing = counted(self.needed - self.approvals, "more person");
                write!(f, "{id} approved by {by}: {act} needs {missing}")
            }
            _ => write!(f, "{id} approved by {by}: {act} within 2 minutes, if all gates are open then"),
        }
    }
}

/// A turned kill switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Switched {
    pub pipeline: String,
    /// Whether remedies are stopped now.
    pub stopped: bool,
    pub switch: Stop,
}

impl fmt::Display for Switched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.switch.kind.map_or_else(|| "all remedies".to_owned(), |kind| kind.to_string());
        let verb = if self.stopped { "stopped" } else { "started again" };
        write!(f, "{}: {what} {verb} by {}", self.pipeline, self.switch.by)
    }
}

/// The remedy that an incident would get now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Simulated {
    pub incident: String,
    pub plan: Option<Plan>,
    /// Without a plan: its reason, and the people who can act.
    pub person: Option<(String, String)>,
    /// All gates that say no now; none if it would act.
    pub failing: Vec<Failing>,
}

impl fmt::Display for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.incident)?;
        if let Some((why, who)) = &self.person {
            write!(f, "\nNo remedy: {why}. Who can act: {who}")?;
        }
        let Some(plan) = &self.plan else { return Ok(()) };
        write!(
            f,
            "\nRemedy: {}\nEffect: {}\nCost: {}\nUndo: {}",
            plan.act(),
            plan.effect,
            plan.cost,
            plan.undo
        )?;
        if plan.approvals > 0 {
            write!(f, "\nNeeds: {}", counted(plan.approvals, "approval"))?;
        }
        if self.failing.is_empty() {
            return f.write_str(if plan.acts() {
                "\nAll gates are open: it would act now"
            } else {
                "\nNo act is needed"
            });
        }
        for Failing { gate, why } in &self.failing {
            write!(f, "\nClosed: {gate}: {}", plain_line(why))?;
        }
        Ok(())
    }
}

impl Operator {
    /// Carries out a command about remedies.
    pub(super) async fn remedies(
        &self,
        asked: &Healing,
        print: &mut dyn FnMut(&str),
    ) -> Result<Answer, Error> {
        match asked {
            Healing::List => self.list_remedies(print).await,
            Healing::Approve { id } => {
                let by = self.identity().await?;
                self.answer(id, &by, |record| record.approved(&by, self.now)).await
            }
            Healing::Refuse { id, why } => {
                let by = self.identity().await?;
                self.answer(id, &by, |record| record.refused(&by, why, self.now)).await
            }
            Healing::Stop { remedy, why } => self.switch(*remedy, why, true).await,
            Healing::Start { remedy, why } => self.switch(*remedy, why, false).await,
            Healing::Simulate { key } => Ok(Answer::done(&self.simulate(key).await?)),
        }
    }

    async fn list_remedies(&self, print: &mut dyn FnMut(&str)) -> Result<Answer, Error> {
        let (name, store) = (&self.pipeline.name, self.incidents()?);
        let (records, unreadable) = store.remedies(name).await?;
        let incidents = all_readable(store.all_incidents(name).await?)?;
        let from = self.now.saturating_sub(SCORED).unwrap_or(self.now);
        let until = self.now.saturating_add(SignedDuration::from_secs(1)).unwrap_or(self.now);
        let score = score(&records, &incidents, from, until);
        let listed =
            |record: &&Record| record.state.is_active() || self.now.duration_since(record.since()) < LISTED;
        let mut listed: Vec<&Record> = records.iter().filter(listed).collect();
        listed.sort_by_key(|record| (std::cmp::Reverse(record.since()), &record.id));
        let line = |record: &Record| RemedyLine {
            id: record.id.clone(),
            kind: record.plan.kind,
            target: record.plan.target.name().to_owned(),
            incident: record.plan.incident.to_string(),
            state: record.state,
            since: record.since(),
            text: in_words(record, &self.pipeline),
            failing: record.failing.clone(),
        };
        let list = RemedyList {
            pipeline: name.clone(),
            level: self.pipeline.remedies.level,
            stops: store.stops(name).await?,
            remedies: listed.into_iter().map(line).collect(),
            score,
        };
        all_listed(&list, unreadable, print)
    }

    async fn answer(
        &self,
        id: &str,
        by: &str,
        change: impl Fn(&Record) -> Result<Record, String>,
    ) -> Result<Answer, Error> {
        let (name, store) = (&self.pipeline.name, self.incidents()?);
        for _ in 0..ATTEMPTS {
            let (records, _) = store.remedies(name).await?;
            let stored = records.iter().find(|record| record.id == id);
            let stored = stored.ok_or_else(|| Error::new(format!("no remedy {id}"), LIST))?;
            let changed = change(stored).map_err(|why| Error::new(format!("{id}: {why}"), LIST))?;
            if store.put_remedy(name, &changed, self.now).await? {
                let answered = Answered {
                    id: changed.id.clone(),
                    state: changed.state,
                    by: by.to_owned(),
                    approvals: changed.approvers(self.now).len(),
                    needed: changed.plan.approvals.max(1),
                    act: changed.plan.act(),
                };
                return Ok(Answer::done(&answered));
            }
        }
        Err(Error::new(format!("{id} changed {ATTEMPTS} times meanwhile"), "run the command again"))
    }

    async fn switch(&self, kind: Option<RemedyKind>, why: &str, stopped: bool) -> Result<Answer, Error> {
        let switch = Stop { kind, by: self.identity().await?, at: self.now, why: why.to_owned() };
        self.incidents()?.put_stop(&self.pipeline.name, &switch, stopped).await?;
        Ok(Answer::done(&Switched { pipeline: self.pipeline.name.clone(), stopped, switch }))
    }

    /// Judges the remedy of an open incident by fresh observations; changes nothing.
    async fn simulate(&self, key: &IncidentKey) -> Result<Simulated, Error> {
        of_pipeline(key, &self.pipeline)?;
        let (name, store) = (&self.pipeline.name, self.incidents()?);
        let incidents: Vec<Incident> = all_readable(store.live_incidents(name).await?)?;
        let incident = incidents.iter().find(|incident| incident.key == *key);
        let incident = incident.ok_or_else(|| {
            Error::new(format!("no open incident {key}"), "`syncwatch incidents` lists open incidents")
        })?;
        let census = self.census().await?;
        let warehouse = async { self.warehouse(Limits::default()).await.map_err(|error| error.what) };
        let dead_letters = async { Err("`syncwatch doctor` counts undelivered notices".to_owned()) };
        let webhook = async {
            let secret = self.setting(env::WEBHOOK_SECRET).map_err(|error| error.what)?;
            let secrets = SecretStore::new(self.sdk.secrets());
            let opened = Registration::stored_endpoint(census.clone(), secrets, &secret, name).await;
            opened.map_err(|error| error.to_string())?.seen(&store).await.map_err(|error| error.to_string())
        };
        let sources = Sources { warehouse, dead_letters, webhook };
        let observed = observe(&self.pipeline, Ok(&census), key, self.now, sources).await;
        let mut simulated =
            Simulated { incident: key.to_string(), plan: None, person: None, failing: Vec::new() };
        let plan = match choose(incident, &self.pipeline, &observed, self.now) {
            Choice::Remedy(plan) => *plan,
            Choice::Person { why, who } => {
                simulated.person = Some((why, who));
                return Ok(simulated);
            }
        };
        let (records, stops) = (all_readable(store.remedies(name).await?)?, store.stops(name).await?);
        let tallies = all_readable(store.silences(name).await?)?;
        let silences = active(&self.pipeline.silences, &tallies, self.now);
        let silence = covering(&silences, key.check, &key.subject, self.now);
        let of_it = records.iter().filter(|record| record.is_about(incident));
        let stored = of_it.clone().find(|record| record.state.is_active() && record.plan == plan).cloned();
        let attempt = u32::try_from(of_it.count()).unwrap_or(u32::MAX).saturating_add(1);
        let record = stored.unwrap_or_else(|| Record::begin(plan.clone(), attempt, self.now));
        let world = World {
            pipeline: &self.pipeline,
            stops: Ok(&stops),
            incident: Some(incident),
            silenced_by: silence.map(|silence| silence.id.as_str()),
            observed: &observed,
            records: &records,
            ill: Ill {
                ill: ill_syncs(&incidents, &self.pipeline).len(),
                declared: self.pipeline.syncs.len(),
            },
            has_turn: true,
        };
        if plan.acts() {
            simulated.failing = may(&record, &world, self.now).failing;
        }
        simulated.plan = Some(plan);
        Ok(simulated)
    }
}
