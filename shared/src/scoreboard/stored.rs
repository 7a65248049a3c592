//! Collects the records of the scoreboard from the audit log and the stored items.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::{
    Alert, Gap, Goals, Kept, LagSample, Manual, Mark as Verdict, Metric, Notice, Outcome, READY_DAYS,
    Records, RunsByHand, Scoreboard, Source, TREND_WEEKS,
};
use crate::days::{day_of, days_before};
use crate::finding::Check;
use crate::history::History;
use crate::incident::{Episode, Incident, Instants};
use crate::judge::data::measures_lag;
use crate::marks::Mark;
use crate::pipeline::Pipeline;
use crate::remedy::Record as Remedy;
use crate::silence::Tally;

/// Days of the audit log that a scoreboard needs: the weeks of the trend before each of the days that must be good.
pub const DAYS: i64 = 7 * TREND_WEEKS + READY_DAYS + 2;
/// A run that begins within this time of an act of a remedy is its run.
const BY_REMEDY: SignedDuration = SignedDuration::from_mins(2);
/// Resolved incidents are kept for so many days.
pub const KEPT_DAYS: i64 = 90;

impl Goals {
    /// The goals of a pipeline: the default ones, and its objectives.
    pub fn of_pipeline(pipeline: &Pipeline) -> Self {
        Self::default()
            .with(Metric::SuccessRate, Some(pipeline.objectives.success_rate_percent))
            .with(Metric::Lag, pipeline.objectives.max_lag.map(|lag| lag.as_secs_f64()))
    }
}

impl Scoreboard {
    /// Computes the metrics of the last whole day. The days before are computed from the same records: whether the pipeline is
    /// ready needs each of them.
    pub fn of_last_day(pipeline: &Pipeline, records: Records, now: Timestamp) -> Self {
        let day = records.last_day(day_of(now, &pipeline.time_zone));
        Self::of_day(pipeline, records, day, now)
    }

    /// Computes the metrics as of the end of a day, and of the days before it.
    pub fn of_day(pipeline: &Pipeline, mut records: Records, day: Date, now: Timestamp) -> Self {
        let (zone, goals) = (&pipeline.time_zone, Goals::of_pipeline(pipeline));
        let board = |records: &Records, day| Self::compute(&pipeline.name, records, &goals, zone, day);
        let before = (1..=DAYS).map(|back| days_before(day, back));
        let rows = before.flat_map(|day| board(&records, day).rows(now)).collect();
        records.scores = Ok(rows);
        board(&records, day)
    }

    /// The number of goals that are not met; an unknown metric never meets its goal.
    pub fn goals_missed(&self) -> usize {
        self.metrics
            .iter()
            .filter(|score| matches!(score.outcome, Outcome::NotMet | Outcome::Unknown))
            .count()
    }
}

/// The items of DynamoDB that a scoreboard rests on, beside the audit log.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    pub incidents: Vec<Incident>,
    /// Since when everything about an incident is in its item (UTC).
    pub recorded_since: Option<Timestamp>,
    pub silences: Vec<Tally>,
    pub marks: Vec<Mark>,
    pub lags: Vec<LagSample>,
    pub by_hand: Option<RunsByHand>,
    /// Those with an act are kept for 90 days.
    pub remedies: Vec<Remedy>,
    /// Why remedies are incomplete.
    pub unread_remedies: Option<String>,
    /// Why incidents are incomplete.
    pub unread_incidents: Option<String>,
    /// Why silences are incomplete.
    pub unread_silences: Option<String>,
    /// Why marks are incomplete.
    pub unread_marks: Option<String>,
}

impl Stored {
    /// Collects the records that exist. A kind that is not recorded makes its metric unknown, with that reason.
    pub fn records(&self, pipeline: &Pipeline, history: History, now: Timestamp) -> Records {
        let first = history.days.first().and_then(|day| day.day.to_zoned(pipeline.time_zone.clone()).ok());
        let kept = now - SignedDuration::from_hours(24 * KEPT_DAYS);
        let begins = first.map_or(now, |first| first.timestamp()).max(kept);
        let incidents = &self.incidents;
        // An incident that opens too often loses its oldest periods.
        let lost = incidents.iter().filter_map(|incident| incident.history().forgotten_until).max();
        let since = lost.map_or(begins, |lost| lost.max(begins));
        let alerts = Kept { since, records: incidents.iter().flat_map(alerts).collect() };
        let lag = match measures_lag(pipeline) {
            // Every day of a window must have a measurement, so the beginning does not matter.
            true => Ok(Kept { since: Timestamp::MIN, records: self.lags.clone() }),
            false => {
                Err("pipeline.toml has no check with kind = \"freshness\" and without max_lag".to_owned())
            }
        };
        // Marks are kept for longer than incidents.
        let marks = Kept { since: kept, records: self.marks.iter().map(verdict).collect() };
        let gaps = history.missing.iter().map(|(day, missing)| (*day, gap(missing))).collect();
        Records {
            history: Ok(history),
            gaps,
            syncs: pipeline.syncs.iter().map(|sync| sync.key.clone()).collect(),
            compares_objects: !pipeline.objects.is_empty(),
            // Without the unreadable ones, no alert would meet the goals.
            alerts: self.unread_incidents.clone().map_or(Ok(alerts), Err),
            notices: self.notices(begins),
            marks: self.unread_marks.clone().map_or(Ok(marks), Err),
            lag,
            manual: self.manual(begins, now),
            scores: Err(String::new()),
        }
    }

    /// Collects instants that incidents keep: all of them are known since `begins` unless one lost some.
    fn kept<'s>(
        &'s self,
        begins: Timestamp,
        incidents: impl Iterator<Item = &'s Incident>,
        of: fn(&Incident) -> Instants,
    ) -> Source<(&'s Incident, Timestamp)> {
        if let Some(why) = &self.unread_incidents {
            return Err(why.clone());
        }
        let recorded = self.recorded_since.ok_or("not recorded yet: no round of schedule-verification")?;
        let (mut since, mut records) = (begins.max(recorded), Vec::new());
        for incident in incidents {
            let Instants { at, forgotten_until } = of(incident);
            since = forgotten_until.map_or(since, |lost| lost.max(since));
            records.extend(at.into_iter().map(|at| (incident, at)));
        }
        Ok(Kept { since, records })
    }

    /// The notices that rounds sent: those about incidents, and those about ended silences.
    fn notices(&self, begins: Timestamp) -> Source<Notice> {
        let Kept { since, records } = self.kept(begins, self.incidents.iter(), Incident::notices_sent)?;
        if let Some(why) = &self.unread_silences {
            return Err(why.clone());
        }
        let of_incidents = records
            .into_iter()
            .map(|(incident, sent_at)| Notice { id: format!("{}@{sent_at}", incident.key), sent_at });
        let of_silences = self.silences.iter().flat_map(|tally| {
            let reports = tally.reported_at.map(|sent_at| {
                // Of several reports of one silence, only the time of the last is stored.
                let report =
                    move |report: u32| Notice { id: format!("{}#{report}", tally.silence.id), sent_at };
                (0..tally.tellings).map(report)
            });
            reports.into_iter().flatten()
        });
        Ok(Kept { since, records: of_incidents.chain(of_silences).collect() })
    }

    /// The manual acts of every kind that exists.
    fn manual(&self, begins: Timestamp, now: Timestamp) -> BTreeMap<Manual, Source<Timestamp>> {
        let times = |kept: Source<(&Incident, Timestamp)>| {
            kept.map(|kept| Kept {
                since: kept.since,
                records: kept.records.into_iter().map(|(_, at)| at).collect(),
            })
        };
        let paused = self.incidents.iter().filter(|incident| incident.key.check == Check::SyncPaused);
        // Those of pipeline.toml are deployed, not added.
        let added =
            self.silences.iter().filter(|tally| !tally.silence.declared).map(|tally| tally.silence.from);
        let silences = Kept { since: begins, records: added.collect() };
        let by_hand = self.by_hand.as_ref().ok_or_else(|| "not recorded yet: no nightly snapshot".to_owned());
        let approvals = self.remedies.iter().flat_map(|remedy| &remedy.approvals).map(|approval| approval.at);
        let approvals = Kept { since: begins, records: approvals.collect() };
        [
            (
                Manual::Acknowledgement,
                times(self.kept(begins, self.incidents.iter(), Incident::acknowledgements)),
            ),
            (Manual::Pause, times(self.kept(begins, paused, Incident::faults))),
            (Manual::SilenceAdded, self.unread_silences.clone().map_or(Ok(silences), Err)),
            (Manual::RunStarted, by_hand.and_then(|runs| self.without_remedies(runs.source(now)?))),
            (Manual::ApprovedRemedy, self.unread_remedies.clone().map_or(Ok(approvals), Err)),
        ]
        .into()
    }

    /// Leaves out the runs that remedies started: Census does not state who asked for a run.
    fn without_remedies(&self, mut runs: Kept<Timestamp>) -> Source<Timestamp> {
        if let Some(why) = &self.unread_remedies {
            return Err(why.clone());
        }
        let acts = self.remedies.iter().filter(|remedy| remedy.run.is_some());
        let acts: Vec<Timestamp> = acts.filter_map(|remedy| remedy.acted_at).collect();
        runs.records.retain(|run| !acts.iter().any(|act| run.duration_since(*act).abs() < BY_REMEDY));
        Ok(runs)
    }
}

fn verdict(mark: &Mark) -> Verdict {
    let incident = mark.incident.to_string();
    Verdict { incident, told_at: mark.told_at, at: mark.at, verdict: mark.verdict }
}

fn alerts(incident: &Incident) -> Vec<Alert> {
    let of = |episode: Episode| Alert {
        incident: incident.key.to_string(),
        told_at: episode.told_at,
        sent_at: episode.sent_at,
        began_at: episode.began_at,
        resolved_at: episode.resolved_at,
    };
    incident.history().episodes.into_iter().map(of).collect()
}

/// Reads the entries of `figures_missing` that concern runs and data.
fn gap(missing: &str) -> Gap {
    let find = |lead: &str| missing.split("; ").find_map(|entry| entry.strip_prefix(lead)).map(str::to_owned);
    Gap { runs: find("runs: "), data: find("data: ") }
}
