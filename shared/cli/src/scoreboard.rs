//! Computes the success metrics of the pipeline from the audit log and the stored incidents. Reads only.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use syncwatch::days::{day_of, days_before};
use syncwatch::finding::Check;
use syncwatch::history::History;
use syncwatch::incident::{Episode, Incident, Instants};
use syncwatch::judge::data::measures_lag;
use syncwatch::pipeline::Pipeline;
use syncwatch::scoreboard::{
    Alert, Gap, Goals, Kept, LagSample, Manual, Metric, Notice, READY_DAYS, ReadyState, Records, RunsByHand,
    Scoreboard, Source, TREND_WEEKS, Value, table,
};
use syncwatch::silence::Tally;
use syncwatch::text::counted;

use super::Operator;
use super::error::Error;

/// Days of the audit log that are read: the weeks of the trend before each of the days that must be good.
const DAYS: i64 = 7 * TREND_WEEKS + READY_DAYS + 2;
/// Resolved incidents are kept for so long.
const KEPT_DAYS: i64 = 90;

/// All metrics as of the last whole day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    pub pipeline: String,
    /// The last whole day in the pipeline's time zone.
    pub day: Date,
    pub metrics: Vec<ScoreLine>,
    /// `ready`, `not-ready` or `unknown`.
    pub ready: String,
    /// Since when it is production-ready, or what is missing.
    pub says: String,
    /// The whole as a table for people.
    #[serde(skip)]
    text: String,
}

/// One metric. Figures are percentages, seconds or counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreLine {
    pub metric: String,
    pub value: Option<f64>,
    pub goal: Option<f64>,
    /// `met`, `not-met`, `unknown` or `no-goal`.
    pub outcome: syncwatch::scoreboard::Outcome,
    /// Days of the window.
    pub days: i64,
    /// The runs, alerts or days that it is computed from.
    pub samples: u64,
    /// The reason for a missing value.
    pub reason: Option<String>,
    /// A limit of the metric itself.
    pub note: Option<String>,
    /// Each of the last four weeks, oldest first.
    pub trend: Vec<Option<f64>>,
}

impl Scores {
    /// Computes the metrics. The days before are computed from the same records: whether it is ready needs each of them.
    pub fn of(pipeline: &Pipeline, mut records: Records, now: Timestamp) -> Self {
        let zone = &pipeline.time_zone;
        let today = day_of(now, zone);
        let day = records.last_day(today);
        let goals = Goals::default()
            .with(Metric::SuccessRate, Some(pipeline.objectives.success_rate_percent))
            .with(Metric::Lag, pipeline.objectives.max_lag.map(|lag| lag.as_secs_f64()));
        let board = |records: &Records, day| Scoreboard::compute(&pipeline.name, records, &goals, zone, day);
        let before = (1..=DAYS).map(|back| days_before(day, back));
        let rows = before.flat_map(|day| board(&records, day).rows(now)).collect();
        records.scores = Ok(rows);
        let board = board(&records, day);
        let ready = match board.ready {
            ReadyState::Ready { .. } => "ready",
            ReadyState::NotReady { .. } => "not-ready",
            ReadyState::Unknown { .. } => "unknown",
        };
        let metrics = board.metrics.iter().map(|score| ScoreLine {
            metric: score.metric.id().to_owned(),
            value: score.reading.value.map(Value::number),
            goal: score.goal.map(|goal| goal.value.number()),
            outcome: score.outcome,
            days: score.metric.days(),
            samples: score.reading.samples,
            reason: score.reading.reason.as_ref().map(ToString::to_string),
            note: score.metric.note().map(str::to_owned),
            trend: score.trend.iter().map(|week| week.value.map(Value::number)).collect(),
        });
        Self {
            pipeline: pipeline.name.clone(),
            day,
            metrics: metrics.collect(),
            ready: ready.to_owned(),
            says: board.ready.to_string(),
            text: table(&board),
        }
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What the store keeps besides the audit log.
#[derive(Debug, Default)]
struct Stored {
    incidents: Vec<Incident>,
    /// Since when everything about an incident is in its item (UTC).
    recorded_since: Option<Timestamp>,
    silences: Vec<Tally>,
    lags: Vec<LagSample>,
    by_hand: Option<RunsByHand>,
    /// Why incidents, or silences, are incomplete.
    unread_incidents: Option<String>,
    unread_silences: Option<String>,
}

impl Stored {
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
        [
            (
                Manual::Acknowledgement,
                times(self.kept(begins, self.incidents.iter(), Incident::acknowledgements)),
            ),
            (Manual::Pause, times(self.kept(begins, paused, Incident::faults))),
            (Manual::SilenceAdded, self.unread_silences.clone().map_or(Ok(silences), Err)),
            (Manual::RunStarted, by_hand.and_then(|runs| runs.source(now))),
        ]
        .into()
    }
}

/// Collects the records that exist. A kind that is not recorded makes its metric unknown, with that reason.
fn records(pipeline: &Pipeline, history: History, stored: &Stored, now: Timestamp) -> Records {
    let first = history.days.first().and_then(|day| day.day.to_zoned(pipeline.time_zone.clone()).ok());
    let kept = now - SignedDuration::from_hours(24 * KEPT_DAYS);
    let begins = first.map_or(now, |first| first.timestamp()).max(kept);
    let incidents = &stored.incidents;
    // An incident that opens too often loses its oldest periods.
    let lost = incidents.iter().filter_map(|incident| incident.history().forgotten_until).max();
    let since = lost.map_or(begins, |lost| lost.max(begins));
    let alerts = Kept { since, records: incidents.iter().flat_map(alerts).collect() };
    let lag = match measures_lag(pipeline) {
        // Every day of a window must have a measurement, so the beginning does not matter.
        true => Ok(Kept { since: Timestamp::MIN, records: stored.lags.clone() }),
        false => Err("pipeline.toml has no check with kind = \"freshness\" and without max_lag".to_owned()),
    };
    let gaps = history.missing.iter().map(|(day, missing)| (*day, gap(missing))).collect();
    Records {
        history: Ok(history),
        gaps,
        syncs: pipeline.syncs.iter().map(|sync| sync.key.clone()).collect(),
        // Without the unreadable ones, no alert would meet the goals.
        alerts: stored.unread_incidents.clone().map_or(Ok(alerts), Err),
        notices: stored.notices(begins),
        marks: Err("not recorded yet: marks".to_owned()),
        lag,
        manual: stored.manual(begins, now),
        scores: Err(String::new()),
    }
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

impl Operator {
    /// Computes the scoreboard of the last whole day.
    pub(super) async fn scoreboard(&self) -> Result<Scores, Error> {
        let pipeline = &self.pipeline;
        let (store, name) = (self.incidents()?, &pipeline.name);
        let (incidents, silences, recorded_since, lags, by_hand) = futures::try_join!(
            store.all_incidents(name),
            store.silences(name),
            store.recorded_since(name),
            store.lags(name),
            store.runs_by_hand(name),
        )?;
        let unread =
            |count: usize, what| (count > 0).then(|| format!("{} cannot be read", counted(count, what)));
        let stored = Stored {
            unread_incidents: unread(incidents.1.len(), "incident"),
            unread_silences: unread(silences.1.len(), "silence"),
            incidents: incidents.0,
            silences: silences.0,
            recorded_since,
            lags,
            by_hand,
        };
        let today = day_of(self.now, &pipeline.time_zone);
        let history = self.history(days_before(today, 2 * DAYS), today).await?;
        let records = records(pipeline, history, &stored, self.now);
        Ok(Scores::of(pipeline, records, self.now))
    }
}

#[cfg(test)]
mod tests {
    use syncwatch::finding::{Evidence, Severity};
    use syncwatch::history::{DataDay, SyncDay, Tally};
    use syncwatch::incident::{Course, IncidentKey, State};
    use syncwatch::scoreboard::Outcome;
    use syncwatch::silence::{Scope, Silence, Tally as SilenceTally};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn pipeline() -> Pipeline {
        Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap()
    }

    /// The scoreboard of 2026-11-26, after 60 days of which one lacks runs.
    fn scores(stored: &Stored) -> Scores {
        let (pipeline, now) = (pipeline(), at("2026-11-27T18:00:00Z"));
        let day = |back: i64| days_before(jiff::civil::date(2026, 11, 26), back);
        let mut history = History::default();
        for back in (0..60).rev() {
            history.days.push(DataDay {
                day: day(back),
                total: Some(1_000.0),
                synced: Some(970.0),
                null_companies: Some(10.0),
                duplicates: Some(0.0),
                ..DataDay::default()
            });
            for sync in &pipeline.syncs {
                let outcomes = Tally { completed: 48, failed: 0 };
                let of_day = SyncDay { day: day(back), outcomes, ..SyncDay::default() };
                history.syncs.entry(sync.key.clone()).or_default().push(of_day);
            }
        }
        history.missing.insert(day(3), "runs: 1 of 48 still running; data: no longer available".to_owned());
        let records = records(&pipeline, history, stored, now);
        assert_eq!(records.gaps[&day(3)].data.as_deref(), Some("no longer available"));
        Scores::of(&pipeline, records, now)
    }

    fn line(scores: &Scores, metric: Metric) -> &ScoreLine {
        scores.metrics.iter().find(|line| line.metric == metric.id()).unwrap()
    }

    /// The value of a metric, or the reason for none.
    fn shown(scores: &Scores, metric: Metric) -> String {
        let ScoreLine { value, reason, .. } = line(scores, metric);
        value.map_or_else(|| reason.clone().unwrap(), |value| value.to_string())
    }

    #[test]
    fn metrics_are_computed_and_unrecorded_ones_have_a_reason() {
        let scores = scores(&Stored::default());
        let coverage = line(&scores, Metric::Coverage);
        assert_eq!((coverage.value, coverage.outcome), (Some(97.0), Outcome::Met));
        let success = line(&scores, Metric::SuccessRate);
        assert_eq!(success.outcome, Outcome::Unknown, "a day of the week lacks runs");
        assert_eq!(line(&scores, Metric::DailyRuns).value, Some(48.0));
        let no_round = "not recorded yet: no round of schedule-verification";
        assert_eq!(shown(&scores, Metric::AlertDelay), no_round);
        assert_eq!(shown(&scores, Metric::Notices), no_round);
        assert_eq!(shown(&scores, Metric::Lag), "no lag measured on 2026-11-26");
        assert_eq!(
            shown(&scores, Metric::DaysUnattended),
            format!(
                "acknowledgements: {no_round}, runs started by hand: not recorded yet: no nightly snapshot, pauses: {no_round}"
            )
        );
        assert_eq!((scores.ready.as_str(), scores.metrics.len()), ("not-ready", Metric::ALL.len()));
        assert!(scores.says.contains("Lag, longest: 2026-11-26: unknown"), "{}", scores.says);
        assert!(scores.to_string().contains("97%"), "{scores}");
    }

    /// A paused sync that alerted on the 24th and was acknowledged on the 25th.
    fn pause() -> Incident {
        let (began_at, sent_at) = (at("2026-11-24T20:00:00Z"), at("2026-11-24T20:10:00Z"));
        let told_at = at("2026-11-24T20:01:00Z");
        let episode = Episode { began_at, told_at, sent_at: Some(sent_at), resolved_at: None };
        Incident {
            key: IncidentKey::parse("properties/sync-paused/properties-create").unwrap(),
            generation: 1,
            version: 3,
            state: State::Open,
            severity: Severity::Error,
            opened_at: told_at,
            resolved_at: None,
            evidence: Evidence::new("paused"),
            cause: String::new(),
            class: None,
            group: None,
            pending: None,
            hold: None,
            acknowledged: None,
            course: Course {
                began_at: Some(began_at),
                episodes: vec![episode],
                acknowledgements: vec![at("2026-11-25T20:00:00Z")],
                sent: vec![sent_at, at("2026-11-26T20:00:00Z")],
                ..Course::default()
            },
        }
    }

    fn stored() -> Stored {
        let lag = |day: i64| LagSample {
            at: at("2026-11-26T11:00:00Z") - SignedDuration::from_hours(24 * day),
            lag: SignedDuration::from_mins(30 + day),
        };
        let (since, until) = (at("2026-10-01T00:00:00Z"), at("2026-11-27T09:59:00Z"));
        Stored {
            incidents: vec![pause()],
            recorded_since: Some(since),
            lags: (0..60).map(lag).collect(),
            by_hand: Some(RunsByHand { since, until, at: Vec::new(), unknown_at: None }),
            ..Stored::default()
        }
    }

    #[test]
    fn recorded_acts_notices_and_lag_reach_their_metrics() {
        let shown_of = |stored: &Stored| {
            let metrics = [Metric::AlertDelay, Metric::Notices, Metric::Lag, Metric::DaysUnattended];
            metrics.map(|metric| shown(&scores(stored), metric))
        };
        let mut stored = stored();
        assert_eq!(shown_of(&stored), ["600", "2", "1800", "1"]);
        // Only the pause is left.
        stored.incidents[0].course.acknowledgements.clear();
        assert_eq!(shown_of(&stored)[3], "2");
        stored.by_hand.as_mut().unwrap().at.push(at("2026-11-26T12:00:00Z"));
        assert_eq!(shown_of(&stored)[3], "0");
        // Without the record of the first notice, its delay is unknown.
        stored.incidents[0].course.episodes[0].sent_at = None;
        let delay = "no sent notice recorded of properties/sync-paused/properties-create";
        assert_eq!(shown_of(&stored)[0], delay);
    }

    #[test]
    fn silence_of_an_operator_is_an_act_and_its_report_a_notice() {
        let silence = |declared: bool| Silence {
            id: "release".to_owned(),
            owner: "Ada".to_owned(),
            reason: "release".to_owned(),
            scope: Scope::default(),
            from: at("2026-11-26T12:00:00Z"),
            until: at("2026-11-26T14:00:00Z"),
            declared,
        };
        let tally = |declared: bool| SilenceTally {
            silence: silence(declared),
            held_back: 1,
            incidents: Vec::new(),
            of_others: 0,
            reported: 1,
            tellings: 1,
            reported_at: Some(at("2026-11-26T14:01:00Z")),
        };
        for (declared, days) in [(true, "1"), (false, "0")] {
            let scores = scores(&Stored { silences: vec![tally(declared)], ..stored() });
            assert_eq!(shown(&scores, Metric::DaysUnattended), days, "{declared}");
            assert_eq!(shown(&scores, Metric::Notices), "3", "{declared}");
        }
    }

    #[test]
    fn full_list_begins_the_record_at_its_oldest_instant() {
        let mut stored = stored();
        let begin = at("2026-11-22T20:00:00Z");
        stored.incidents[0].course.sent =
            (0..32).map(|hour| begin + SignedDuration::from_hours(hour)).collect();
        assert_eq!(shown(&scores(&stored), Metric::Notices), "records begin on 2026-11-22");
    }

    #[test]
    fn unreadable_records_leave_their_metrics_unknown() {
        let why = || Some("1 incident cannot be read".to_owned());
        let scores = scores(&Stored { unread_incidents: why(), unread_silences: why(), ..stored() });
        for metric in [Metric::AlertDelay, Metric::RecoveryMean, Metric::Notices] {
            assert_eq!(shown(&scores, metric), "1 incident cannot be read");
        }
        let acts = shown(&scores, Metric::DaysUnattended);
        for kind in ["acknowledgements", "pauses", "silences added"] {
            assert!(acts.contains(&format!("{kind}: 1 incident cannot be read")), "{acts}");
        }
    }
}
