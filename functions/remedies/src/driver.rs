//! One round of all remedies of a pipeline: it continues each, proposes new ones, and carries out at most one act.
//!
//! Every step is one conditional write, and the intention is written before the call. So a function may die between any two
//! steps: the next round finds the record, and looks for the effect of a call instead of repeating it.

use jiff::SignedDuration;
use syncwatch::incident::Incident;
use syncwatch::pipeline::{Level, Pipeline, RemedyKind};
use syncwatch::remedy::{
    Announcement, Choice, Gate, Health, Ill, Observed, Plan, Record, State, Stop, Target, UNKNOWN_FOR,
    Verdict, World, adopted, cents, choose, gives_up, harm, health, ill_syncs, is_watched, look_after,
    looked, may, may_have_one, next_start, put_back, watched,
};

use crate::ports::{Called, Ports};

/// The runtime that is assumed for a sync without a target.
const USUAL_RUNTIME: SignedDuration = SignedDuration::from_mins(30);

/// One round.
#[derive(Debug)]
pub struct Driver<'d, P> {
    pub ports: &'d P,
    pub pipeline: &'d Pipeline,
    /// The live incidents, read before anything else.
    pub incidents: &'d [Incident],
    /// Whether this function holds the turn of the pipeline.
    pub has_turn: bool,
    /// All stored records; those of this round replace theirs.
    pub records: Vec<Record>,
    pub done: Done,
}

/// The effects of a round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// The record that acted.
    pub acted: Option<String>,
    /// Effects that failed; the next round tries again.
    pub failures: Vec<String>,
}

/// Another function wrote first, or a write failed: the record is left to the next round.
struct Left;

type Step<T = ()> = Result<T, Left>;

impl<P: Ports> Driver<'_, P> {
    /// Runs the round. What fails affects one remedy only.
    pub async fn run(&mut self) {
        let mut active: Vec<Record> = self
            .records
            .iter()
            .filter(|record| record.state.is_active() || record.unannounced.is_some())
            .cloned()
            .collect();
        active.sort_by_key(|record| (record.proposed_at(), record.id.clone()));
        for record in active {
            if !self.ports.has_time() {
                return;
            }
            // A lost write is not a failure: the winner goes on with it.
            let _ = Box::pin(self.proceed(record)).await;
        }
        self.look_for_duplicates().await;
        self.watch_views().await;
        let mut open: Vec<&Incident> =
            self.incidents.iter().filter(|incident| incident.state.is_open()).collect();
        open.sort_by_key(|incident| (incident.opened_at, &incident.key));
        for incident in open {
            if !self.ports.has_time() {
                return;
            }
            let _ = Box::pin(self.propose(incident)).await;
        }
    }

    /// Looks for duplicates of runs that have ended, once their records are in the copy.
    async fn look_for_duplicates(&mut self) {
        let now = self.ports.now();
        let due = self.records.iter().filter_map(|record| Some((record.clone(), look_after(record, now)?)));
        for (record, after) in due.collect::<Vec<_>>() {
            if !self.ports.has_time() {
                return;
            }
            let copy = self.ports.copy(record.plan.target.name()).await;
            if let Some(looked) = looked(&record, &copy, after) {
                let _ = self.put(looked).await;
            }
        }
    }

    /// Judges the first runs of the syncs that read a recreated view.
    async fn watch_views(&mut self) {
        let now = self.ports.now();
        let due: Vec<Record> =
            self.records.iter().filter(|record| is_watched(record, now)).cloned().collect();
        for record in due {
            if !self.ports.has_time() {
                return;
            }
            let readers = self.ports.readers(&record.plan.incident).await;
            if let Some(watched) = watched(&record, &readers) {
                let _ = self.put(watched).await;
            }
        }
    }

    /// Continues a stored remedy.
    async fn proceed(&mut self, record: Record) -> Step {
        let record = self.announce(record).await?;
        match record.state {
            State::Acting => {
                let why = "the function ended before it stored the answer; the effect is looked for";
                let record = self.step(&record, State::Unknown, why).await?;
                self.look_for_effect(record).await
            }
            State::Unknown => self.look_for_effect(record).await,
            State::Verifying => self.verify(record).await,
            State::Proposed | State::Held => self.judge(record).await,
            _ => Ok(()),
        }
    }

    /// Proposes a remedy for an incident that has none at work.
    async fn propose(&mut self, incident: &Incident) -> Step {
        let of_it: Vec<&Record> = self.records.iter().filter(|record| record.is_about(incident)).collect();
        if of_it.iter().any(|record| record.state.is_active()) {
            return Ok(());
        }
        // An answer of a person, or none, ends the proposals for this incident. After an approved act that healed it, its end is
        // found by another function.
        let ends = |record: &&Record| match record.state {
            State::Refused | State::Expired => true,
            State::Healed => record.plan.approvals > 0,
            State::Advised => self.pipeline.remedies.level_of(record.plan.kind) < Level::Act,
            _ => false,
        };
        if of_it.iter().copied().any(|record| ends(&record)) {
            return Ok(());
        }
        if !may_have_one(incident, self.pipeline, self.ports.now()) {
            return Ok(());
        }
        let attempt = u32::try_from(of_it.len()).unwrap_or(u32::MAX).saturating_add(1);
        let observed = self.ports.observe(&incident.key).await;
        let Choice::Remedy(plan) = self.choose(incident, &observed) else { return Ok(()) };
        if self.pipeline.remedies.level_of(plan.kind) == Level::Off {
            return Ok(());
        }
        let record = Record::begin(*plan, attempt, self.ports.now());
        let record = self.put(record).await?;
        self.judge_by(record, incident, &observed).await
    }

    fn choose(&self, incident: &Incident, observed: &Observed) -> Choice {
        choose(incident, self.pipeline, observed, self.ports.now())
    }

    /// Judges a remedy that has not acted yet.
    async fn judge(&mut self, record: Record) -> Step {
        let Some(incident) =
            self.incidents.iter().find(|incident| record.is_about(incident) && incident.state.is_open())
        else {
            self.step(&record, State::Withdrawn, "the incident ended").await?;
            return Ok(());
        };
        // Statements about a view keep the SQL warehouse running, so answers of people are awaited without them.
        let awaits = record.state == State::Proposed
            && matches!(record.plan.target, Target::View { .. })
            && record.approvers(self.ports.now()).len() < record.plan.approvals
            && !record.has_expired(self.ports.now());
        if awaits {
            return Ok(());
        }
        let observed = self.ports.observe(&incident.key).await;
        match self.choose(incident, &observed) {
            Choice::Remedy(plan) if plan.hash() == record.plan.hash() => {
                self.judge_by(record, incident, &observed).await
            }
            // Without an observation, the plan cannot be compared.
            _ if observed.sync.is_err() && matches!(record.plan.target, Target::Sync { .. }) => {
                self.judge_by(record, incident, &observed).await
            }
            Choice::Remedy(plan) => {
                let why = format!("the situation changed: now {}", plan.act());
                self.step(&record, State::Withdrawn, &why).await.map(drop)
            }
            Choice::Person { why, who } => {
                self.step(&record, State::Withdrawn, &format!("{why}; {who} must act")).await.map(drop)
            }
        }
    }

    async fn judge_by(&mut self, record: Record, incident: &Incident, observed: &Observed) -> Step {
        if !record.plan.acts() {
            self.step(&record, State::Verifying, "the schedule is near; no act").await?;
            return Ok(());
        }
        let now = self.ports.now();
        if record.has_expired(now) {
            let why = "no person approved it in time";
            return self.step(&record, State::Expired, why).await.map(drop);
        }
        let verdict = self.verdict(&record, Some(incident), observed).await;
        let advises = verdict.failing.iter().any(|failing| failing.gate == Gate::Mode)
            && verdict.failing.iter().all(|failing| matches!(failing.gate, Gate::Mode | Gate::Approval));
        if verdict.may_act() {
            if self.done.acted.is_some() {
                return Ok(());
            }
            return self.act(record, observed).await;
        }
        let before: Vec<Gate> = record.failing.iter().map(|failing| failing.gate).collect();
        let judged = Record { failing: verdict.failing.clone(), ..record.clone() };
        if advises {
            let why = format!("would {}; its level is advise", record.plan.act());
            return self.step(&judged, State::Advised, &why).await.map(drop);
        }
        if verdict.only(Gate::Approval) {
            if record.state == State::Proposed {
                return Ok(());
            }
            let asked = judged.announcement(Some(Announcement::Asked));
            let record = self.step(&asked, State::Proposed, "it waits for approval").await?;
            return self.announce(record).await.map(drop);
        }
        // A proposal that waits for people waits on, though other gates are closed now.
        if record.state == State::Proposed
            || before == judged.failing.iter().map(|failing| failing.gate).collect::<Vec<_>>()
        {
            return Ok(());
        }
        self.step(&judged, State::Held, &verdict.why()).await.map(drop)
    }

    /// Judges all gates by the present state of everything that can be read.
    async fn verdict(&self, record: &Record, incident: Option<&Incident>, observed: &Observed) -> Verdict {
        let stops = self.ports.stops().await;
        let silenced = match self.ports.silenced_by(&record.plan.incident).await {
            Ok(silence) => silence,
            Err(why) => Some(format!("unknown ({why})")),
        };
        let ill = ill_syncs(self.incidents, self.pipeline).len();
        let world = World {
            pipeline: self.pipeline,
            stops: stops.as_deref().map_err(String::as_str),
            incident,
            silenced_by: silenced.as_deref(),
            observed,
            records: &self.records,
            ill: Ill { ill, declared: self.pipeline.syncs.len() },
            has_turn: self.has_turn,
        };
        may(record, &world, self.ports.now())
    }

    /// Stores the intention, judges again by fresh observations, and acts.
    async fn act(&mut self, record: Record, observed: &Observed) -> Step {
        let now = self.ports.now();
        let gain = match &record.plan.target {
            Target::Sync { key, .. } => self.pipeline.sync(key).and_then(|sync| {
                let newest = observed.newest_run().map(|run| run.created_at);
                next_start(sync, newest, now).map(|next| next.duration_since(now).as_secs())
            }),
            _ => None,
        };
        let hangs = record.plan.kind == RemedyKind::CancelHung;
        let hung = observed.history().filter(|_| hangs).and_then(|history| history.at_work().next());
        let intention = Record {
            failing: Vec::new(),
            acted_at: Some(now),
            newest_before: observed.newest_run().map(|run| run.id),
            proof: observed.proof.clone(),
            run: hung.map(|run| run.id),
            gain_seconds: gain,
            cents: cents(&record.plan, self.pipeline, observed.warehouse.as_ref().ok()),
            replaced: observed.view.as_ref().ok().and_then(|seen| seen.found.clone()),
            readers: observed.view.as_ref().map(|seen| seen.readers.clone()).unwrap_or_default(),
            ..record
        };
        let intention = self.step(&intention, State::Acting, "all gates are open").await?;
        self.done.acted = Some(intention.id.clone());
        // Between the two observations a person may have acted; what our own store says is read last.
        let again = self.ports.observe(&intention.plan.incident).await;
        let incident = self.ports.incident(&intention.plan.incident).await.unwrap_or_default();
        let same_runs = again.newest_run().map(|run| run.id) == intention.newest_before;
        let verdict = self.verdict(&intention, incident.as_ref(), &again).await;
        if !verdict.may_act() || !same_runs {
            let why = if same_runs { verdict.why() } else { "a run began meanwhile".to_owned() };
            let held =
                Record { acted_at: None, cents: 0, proof: None, failing: verdict.failing, ..intention };
            return self.step(&held, State::Held, &why).await.map(drop);
        }
        let answer = self.ports.call(&intention).await;
        self.answered(intention, answer).await
    }

    async fn answered(&mut self, record: Record, answer: Called) -> Step {
        match answer {
            Called::Accepted(effect) => {
                let accepted = Record { run: effect.run.or(record.run), moved: effect.moved, ..record };
                let why = match (effect.run, effect.moved) {
                    (Some(run), _) => format!("run {run} was accepted"),
                    (None, 0) => "accepted".to_owned(),
                    (None, moved) => format!("{moved} messages were sent again"),
                };
                let accepted = self.step(&accepted, State::Verifying, &why).await?;
                self.ports.mark(&accepted).await;
                Ok(())
            }
            Called::Refused(why) => self.fail(record, &why).await,
            Called::Forbidden(why) => {
                let refused = Record { lacks_right: true, ..record };
                self.fail(refused, &format!("the right is missing: {why}")).await
            }
            Called::Lost(why) => {
                let why = format!("no clear answer ({why}); the effect is looked for");
                self.step(&record, State::Unknown, &why).await.map(drop)
            }
        }
    }

    /// Looks for the effect of a call without a clear answer.
    async fn look_for_effect(&mut self, record: Record) -> Step {
        let observed = self.ports.observe(&record.plan.incident).await;
        let Some(acted) = record.acted_at else {
            return self.fail(record, "the intention has no time").await;
        };
        if let Some((run, what)) = adopted(&record, &observed) {
            let found = Record { run: run.or(record.run), ..record };
            let found = self.step(&found, State::Verifying, &what).await?;
            self.ports.mark(&found).await;
            return Ok(());
        }
        // A clock that was set back must not keep it open for ever.
        if self.ports.now().duration_since(acted).abs() >= UNKNOWN_FOR {
            // An act that must be undone may still take effect, or may have.
            if matches!(record.plan.target, Target::Clusters { .. }) {
                let why = "its effect was not found; it is undone if it is there";
                return self.step(&record, State::Verifying, why).await.map(drop);
            }
            return self.fail(record, "the effect of the call was not found").await;
        }
        Ok(())
    }

    /// Looks whether the act helped.
    async fn verify(&mut self, record: Record) -> Step {
        let observed = self.ports.observe(&record.plan.incident).await;
        if !record.plan.acts() {
            return self.wait_on(record, &observed).await;
        }
        let record = match harm(&record, &observed, self.ports.now()) {
            Some(harm) if record.harm.is_none() => {
                let harmful = Record { harm: Some(harm), version: record.version + 1, ..record };
                self.put(harmful).await?
            }
            _ => record,
        };
        if let Some(why) = put_back(&record, &observed, self.ports.now()) {
            return self.put_back(record, why).await;
        }
        match health(&record, &observed, self.runtime(&record.plan), self.ports.now()) {
            Health::Waiting => Ok(()),
            Health::Healed(what) => {
                let healed = record.announcement(Some(Announcement::Healed));
                let healed = self.step(&healed, State::Healed, &what).await?;
                self.announce(healed).await.map(drop)
            }
            Health::Failed(why) => self.fail(record, &why).await,
        }
    }

    /// Undoes the part of an act that was for a limited time, unless a kill switch is on. Its effect is seen in a later round.
    async fn put_back(&mut self, record: Record, why: &str) -> Step {
        let stops = self.ports.stops().await;
        let on = |stops: Vec<Stop>| stops.iter().any(|stop| stop.covers(record.plan.kind));
        if stops.map_or(true, on) {
            return Ok(());
        }
        let record = self.step(&record, State::Verifying, &format!("it is undone: {why}")).await?;
        match self.ports.put_back(&record).await {
            Called::Accepted(_) => Ok(()),
            Called::Refused(why) | Called::Forbidden(why) | Called::Lost(why) => {
                self.done.failures.push(format!("remedy {}: not undone yet: {why}", record.id));
                Ok(())
            }
        }
    }

    /// Looks whether the schedule helped.
    async fn wait_on(&mut self, record: Record, observed: &Observed) -> Step {
        if let Health::Healed(what) = health(&record, observed, USUAL_RUNTIME, self.ports.now()) {
            return self.step(&record, State::Healed, &what).await.map(drop);
        }
        let is_it = |incident: &&Incident| record.is_about(incident) && incident.state.is_open();
        let Some(incident) = self.incidents.iter().find(is_it) else {
            return self.step(&record, State::Withdrawn, "the incident ended").await.map(drop);
        };
        match self.choose(incident, observed) {
            Choice::Remedy(plan) if plan.acts() && observed.sync.is_ok() => {
                let why = format!("waiting did not help: now {}", plan.act());
                self.step(&record, State::Withdrawn, &why).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Ends an attempt that did not help. The second one in a row is the last, and people get a notice.
    async fn fail(&mut self, record: Record, why: &str) -> Step {
        let gave_up = gives_up(&record, &self.records);
        let failed = record.announcement(gave_up.then_some(Announcement::GaveUp));
        let failed = self.step(&failed, State::Failed, why).await?;
        self.announce(failed).await.map(drop)
    }

    fn runtime(&self, plan: &Plan) -> SignedDuration {
        let sync = self.pipeline.sync(plan.target.name());
        sync.and_then(|sync| sync.runtime_target).unwrap_or(USUAL_RUNTIME)
    }

    /// Sends the announcement that was not sent yet.
    async fn announce(&mut self, record: Record) -> Step<Record> {
        let Some(announcement) = record.unannounced else { return Ok(record) };
        if let Err(why) = self.ports.announce(&record, announcement).await {
            self.done.failures.push(format!("remedy {}: {why}", record.id));
            return Err(Left);
        }
        self.put(record.announced()).await
    }

    /// Moves a record to the next state and stores it.
    async fn step(&mut self, record: &Record, next: State, why: &str) -> Step<Record> {
        let Some(moved) = record.to(next, why, self.ports.now()) else {
            self.done.failures.push(format!("remedy {}: {} cannot become {next}", record.id, record.state));
            return Err(Left);
        };
        tracing::info!(remedy = %moved.id, kind = %moved.plan.kind, state = %next, why, "remedy moved");
        self.put(moved).await
    }

    async fn put(&mut self, record: Record) -> Step<Record> {
        match self.ports.store(&record).await {
            Ok(true) => {}
            Ok(false) => return Err(Left),
            Err(why) => {
                self.done.failures.push(format!("remedy {}: {why}", record.id));
                return Err(Left);
            }
        }
        self.records.retain(|known| known.id != record.id);
        self.records.push(record.clone());
        Ok(record)
    }
}
