//! The weekly digest: the week in about ten lines.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::alerts::{Alerted, Ending, alerts, name};
use super::{Inputs, Week};
use crate::expect::{Forecast, Sensitivity, is_steady, judge_days};
use crate::history::Figure;
use crate::incident::{Incident, State};
use crate::judge::unusual::{forecasts, unusual_days};
use crate::marks::{Exceptions, check_of};
use crate::pipeline::Pipeline;
use crate::remedy::{self, Record, command, score};
use crate::scoreboard::{Outcome, Reading, ReadyState, Score, Scoreboard, Value};
use crate::silence::Tally;
use crate::text::{bounded, counted, named, words};

/// The longest line, in characters: channels cut longer ones.
const LINE_CHARS: usize = 400;
/// The names in one line; further ones are counted.
const NAMED: usize = 4;
/// Characters of a text that a person wrote.
const PHRASE_CHARS: usize = 60;

/// The subject of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    Scoreboard,
    Figures,
    Alerts,
    /// Alerts without an act of a person.
    NotActedOn,
    Suppressed,
    /// Unusual figures that would have alerted, if they were not only watched.
    Watching,
    Remedies,
    Forecasts,
    NeedsPerson,
}

impl Topic {
    /// The name for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Scoreboard => "scoreboard",
            Self::Figures => "figures",
            Self::Alerts => "alerts",
            Self::NotActedOn => "no act by people",
            Self::Suppressed => "suppressed",
            Self::Watching => "would have alerted",
            Self::Remedies => "remedies",
            Self::Forecasts => "forecasts",
            Self::NeedsPerson => "needs a person",
        }
    }
}

/// A line of a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub topic: Topic,
    /// One line, at most 400 characters.
    pub text: String,
}

/// A metric of the scoreboard over the week. Figures are percentages, seconds or counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeekScore {
    pub metric: String,
    pub value: Option<f64>,
    /// Over the week before.
    pub before: Option<f64>,
    pub goal: Option<f64>,
    pub outcome: Outcome,
    /// The reason for a missing value.
    pub reason: Option<String>,
}

/// A week of a pipeline. All but the last line is as of the end of the week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    pub pipeline: String,
    /// Such as `2026-W48`.
    pub week: String,
    /// The first instant of the week, and the first one after it (UTC).
    pub from: Timestamp,
    pub until: Timestamp,
    /// As of when a person is needed (UTC).
    pub at: Timestamp,
    /// The week in a few words.
    pub headline: String,
    /// Those with something to state, in the order of [`Topic`].
    pub lines: Vec<Line>,
    pub scores: Vec<WeekScore>,
}

impl Digest {
    /// Computes the digest of a week that has ended.
    pub fn of(inputs: &Inputs, pipeline: &Pipeline, week: Week, now: Timestamp) -> Self {
        let (from, until) = week.bounds(&pipeline.time_zone);
        let span = Span { inputs, pipeline, week, from, until, now };
        let board = span.board();
        let alerts = alerts(inputs, from, until);
        let needed = span.needed();
        let goals = match &board {
            Ok(board) => goals(&board.metrics),
            Err(_) => "scoreboard unknown".to_owned(),
        };
        let raised = match inputs.alerts_unknown(from, now) {
            Some(_) => "alerts unknown".to_owned(),
            None => counted(alerts.iter().filter(|alert| span.is_new(alert)).count(), "alert"),
        };
        let needs = match needed.len() {
            0 => "nothing needs a person".to_owned(),
            1 => "1 needs a person".to_owned(),
            count => format!("{count} need a person"),
        };
        let figures = span.figures();
        let lines = [
            (Topic::Scoreboard, Some(board.as_ref().map_or_else(Clone::clone, verdict))),
            (Topic::Figures, board.as_ref().ok().and_then(values)),
            (Topic::Alerts, span.alerts(&alerts)),
            (Topic::NotActedOn, span.not_acted_on(&alerts)),
            (Topic::Suppressed, span.suppressed()),
            (Topic::Watching, span.watching(&figures)),
            (Topic::Remedies, span.remedies()),
            (Topic::Forecasts, span.forecasts(&figures)),
            (Topic::NeedsPerson, Some(list(&needed, "nothing"))),
        ];
        let line =
            |(topic, text): (Topic, Option<String>)| Some(Line { topic, text: bounded(&text?, LINE_CHARS) });
        Self {
            pipeline: pipeline.name.clone(),
            week: week.to_string(),
            from,
            until,
            at: now,
            headline: format!("{goals}, {raised}, {needs}"),
            lines: lines.into_iter().filter_map(line).collect(),
            scores: board.iter().flat_map(|board| board.metrics.iter().map(week_score)).collect(),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pipeline, week, headline, .. } = self;
        write!(f, "{pipeline}, week {week}: {headline}")?;
        self.lines.iter().try_for_each(|line| write!(f, "\n{:18}  {}", line.topic.label(), line.text))
    }
}

/// The week of a pipeline, with its records.
struct Span<'s> {
    inputs: &'s Inputs,
    pipeline: &'s Pipeline,
    week: Week,
    from: Timestamp,
    until: Timestamp,
    now: Timestamp,
}

impl Span<'_> {
    /// The scoreboard as of the end of the week, whose trend ends with the week before and the week.
    fn board(&self) -> Result<Scoreboard, String> {
        let history = self.inputs.history.clone().map_err(|why| format!("unknown: {why}"))?;
        let records = self.inputs.stored.records(self.pipeline, history, self.now);
        Ok(Scoreboard::of_day(self.pipeline, records, self.week.sunday(), self.now))
    }

    fn is_new(&self, alert: &Alerted<'_>) -> bool {
        alert.episode.told_at >= self.from
    }

    fn day_and_time(&self, at: Timestamp) -> String {
        at.to_zoned(self.pipeline.time_zone.clone()).strftime("%a %-d %b %H:%M").to_string()
    }

    /// The alerts of the week, and how they ended.
    fn alerts(&self, alerts: &[Alerted<'_>]) -> Option<String> {
        if let Some(why) = self.inputs.alerts_unknown(self.from, self.now) {
            return Some(format!("unknown: {why}"));
        }
        if alerts.is_empty() {
            return None;
        }
        let new = alerts.iter().filter(|alert| self.is_new(alert)).count();
        let earlier = match alerts.len() - new {
            0 => String::new(),
            before => format!(" and {before} from before"),
        };
        let of = |ending| alerts.iter().filter(|alert| alert.ending == ending).count();
        let itself = of(Ending::ByItself);
        let ends = [
            (itself, if itself == 1 { "healed by itself" } else { "healed by themselves" }),
            (of(Ending::ByRemedy), "healed by a remedy"),
            (of(Ending::ByPerson), "ended after an act of a person"),
            (of(Ending::Open), "still open at the end of the week"),
        ];
        let ends = ends.iter().filter(|(count, _)| *count > 0).map(|(count, how)| format!("{count} {how}"));
        let ends: Vec<String> = ends.collect();
        let each = alerts.iter().map(|alert| {
            let lasted = match alert.ending {
                Ending::Open => "open".to_owned(),
                _ => {
                    let end = alert.episode.resolved_at.unwrap_or(self.until);
                    words(end.duration_since(alert.episode.began_at))
                }
            };
            format!("{} ({}, {lasted})", alert.name(), self.day_and_time(alert.episode.began_at))
        });
        let histories = alerts.iter().filter_map(|alert| alert.incident.history().forgotten_until);
        let lost = if histories.max() > Some(self.from) { ". Older ones are no longer recorded" } else { "" };
        let (new, ends) = (counted(new, "alert"), ends.join(", "));
        Some(format!("{new}{earlier}: {ends}. {}{lost}", named(each, NAMED, alerts.len())))
    }

    /// The new alerts on which no act of a person or a remedy is recorded.
    fn not_acted_on(&self, alerts: &[Alerted<'_>]) -> Option<String> {
        if self.inputs.alerts_unknown(self.from, self.now).is_some() {
            return None;
        }
        let new: Vec<_> = alerts.iter().filter(|alert| self.is_new(alert)).collect();
        let without: Vec<_> = new.iter().filter(|alert| alert.is_not_acted_on()).collect();
        let why = [&self.inputs.stored.unread_marks, &self.inputs.stored.unread_remedies];
        let unknown = why.into_iter().flatten().next();
        let unknown = unknown.map_or(String::new(), |why| format!("; not all acts are known: {why}"));
        let names = named(without.iter().map(|alert| alert.name()), NAMED, without.len());
        let all = counted(new.len(), "alert");
        (!without.is_empty())
            .then(|| format!("{} of {all} without an act of a person: {names}{unknown}", without.len()))
    }

    /// The notices that silences suppressed. A tally has no times, so one of a longer silence may include earlier weeks.
    fn suppressed(&self) -> Option<String> {
        if let Some(why) = &self.inputs.stored.unread_silences {
            return Some(format!("unknown: {why}"));
        }
        let overlaps = |tally: &&Tally| {
            tally.held_back > 0 && tally.silence.from < self.until && tally.silence.until > self.from
        };
        let tallies: Vec<&Tally> = self.inputs.stored.silences.iter().filter(overlaps).collect();
        let each = tallies.iter().map(|tally| {
            let (silence, count) = (&tally.silence, counted(tally.held_back, "alert"));
            let [reason, owner] = [&silence.reason, &silence.owner].map(|text| bounded(text, PHRASE_CHARS));
            let since = if silence.from < self.from {
                format!(" since {}", self.day_and_time(silence.from))
            } else {
                String::new()
            };
            format!("{count} from {}{since} by silence \"{reason}\" ({owner})", tally.incident_count())
        });
        (!tallies.is_empty()).then(|| named(each, NAMED, tallies.len()))
    }

    /// The series of all figures until the end of the week.
    fn figures(&self) -> Vec<Figure> {
        let exceptions = Exceptions::new(&self.inputs.stored.marks, &self.pipeline.quiet_days);
        let history = self.inputs.history.as_ref();
        let of = |history: &crate::history::History| {
            history.series(&self.pipeline.name, self.week.sunday(), &exceptions)
        };
        history.map(of).unwrap_or_default()
    }

    fn watching(&self, figures: &[Figure]) -> Option<String> {
        let sensitivity = Sensitivity::of(figures.len());
        let declared = figures
            .iter()
            .filter(|figure| self.pipeline.declares(check_of(figure.series.measure()), &figure.subject));
        let unusual = declared.flat_map(|figure| {
            let verdicts = judge_days(&figure.series, &sensitivity);
            unusual_days(self.pipeline, figure, &verdicts, self.week.monday())
        });
        let mut watched: Vec<_> = unusual.filter(|unusual| unusual.watched).collect();
        watched.sort_by_key(|unusual| unusual.day);
        let each = watched.iter().map(|unusual| unusual.says.trim_end_matches('.'));
        (!watched.is_empty())
            .then(|| format!("{} (watching): {}", watched.len(), named(each, 2, watched.len())))
    }

    /// The effect of remedies, or that of those which only advise.
    fn remedies(&self) -> Option<String> {
        let stored = &self.inputs.stored;
        if let Some(why) = &stored.unread_remedies {
            return Some(format!("unknown: {why}"));
        }
        let score = score(&stored.remedies, &stored.incidents, self.from, self.until);
        let remedy::Score { acted, healed, failed, harmed, advised, advised_and_ended, .. } = score;
        let remedy::Score { asked, approved, refused, expired, .. } = score;
        let mut parts = Vec::new();
        if acted > 0 {
            parts.push(format!(
                "{}: {healed} healed, {failed} failed, {harmed} did harm",
                counted(acted, "act")
            ));
        }
        if advised > 0 {
            let times = counted(advised, "time");
            parts.push(format!(
                "would have acted {times}; {advised_and_ended} of these incidents ended without"
            ));
        }
        if asked > 0 {
            parts.push(format!(
                "{} asked for ({approved} given, {refused} refused, {expired} expired)",
                counted(asked, "approval")
            ));
        }
        // Proposals without an act are kept for a day longer than a week.
        if self.until + SignedDuration::from_hours(24) < self.now {
            parts.push("unknown: proposals without an act are no longer recorded".to_owned());
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// The limits that figures will soon pass, as the check of forecasts judges it.
    fn forecasts(&self, figures: &[Figure]) -> Option<String> {
        let soon = figures.iter().flat_map(|figure| {
            let of_limit = |(limit, forecast)| match forecast {
                Forecast::Breach(breach) if breach.is_soon() && is_steady(&figure.series, limit) => {
                    let brief = breach.brief(figure.series.measure(), limit);
                    Some(format!("{}: {brief}", figure.subject))
                }
                _ => None,
            };
            forecasts(self.pipeline, figure).into_iter().find_map(of_limit)
        });
        let soon: Vec<String> = soon.collect();
        (!soon.is_empty()).then(|| named(&soon, NAMED, soon.len()))
    }

    /// The open alerts without an acknowledgement, and the remedies that wait for approval, as of now.
    fn needed(&self) -> Vec<String> {
        let stored = &self.inputs.stored;
        let unknown = [&stored.unread_incidents, &stored.unread_remedies].into_iter().flatten();
        let mut needed: Vec<String> = unknown.map(|why| format!("unknown: {why}")).collect();
        let waits = |incident: &&Incident| {
            let acknowledged = incident.acknowledged.as_ref().is_some_and(|by| self.now < by.until);
            incident.state == State::Open && !acknowledged
        };
        let mut open: Vec<&Incident> = stored.incidents.iter().filter(waits).collect();
        open.sort_by_key(|incident| (std::cmp::Reverse(incident.severity), incident.opened_at));
        needed.extend(open.iter().map(|incident| {
            let since = self.day_and_time(incident.opened_at);
            format!("{} ({} since {since})", name(incident), incident.severity)
        }));
        let asks =
            |record: &&Record| record.state == remedy::State::Proposed && !record.has_expired(self.now);
        let asked = stored.remedies.iter().filter(asks);
        needed
            .extend(asked.map(|record| format!("`{}` to {}", command(record, "approve"), record.plan.act())));
        needed
    }
}

fn list(texts: &[String], none: &str) -> String {
    if texts.is_empty() { none.to_owned() } else { named(texts, NAMED, texts.len()) }
}

/// The readings of the week and of the week before.
fn week_and_before(score: &Score) -> (Option<&Reading>, Option<&Reading>) {
    let mut newest = score.trend.iter().rev();
    (newest.next(), newest.next())
}

fn outcome(score: &Score, reading: Option<&Reading>) -> Outcome {
    reading.map_or(Outcome::Unknown, |reading| reading.outcome(score.goal))
}

fn week_score(score: &Score) -> WeekScore {
    let (week, before) = week_and_before(score);
    let number = |reading: Option<&Reading>| reading?.value.map(Value::number);
    WeekScore {
        metric: score.metric.id().to_owned(),
        value: number(week),
        before: number(before),
        goal: score.goal.map(|goal| goal.value.number()),
        outcome: outcome(score, week),
        reason: week.and_then(|week| week.reason.as_ref()).map(ToString::to_string),
    }
}

fn goals(scores: &[Score]) -> String {
    let outcomes: Vec<Outcome> =
        scores.iter().map(|score| outcome(score, week_and_before(score).0)).collect();
    let met = outcomes.iter().filter(|outcome| **outcome == Outcome::Met).count();
    let all = outcomes.iter().filter(|outcome| **outcome != Outcome::NoGoal).count();
    format!("{met} of {all} goals met")
}

/// The goals that the week met, beside the week before, and each that it did not meet.
fn verdict(board: &Scoreboard) -> String {
    let met_before =
        board.metrics.iter().filter(|score| outcome(score, week_and_before(score).1) == Outcome::Met);
    let mut text = format!("{} (the week before: {})", goals(&board.metrics), met_before.count());
    let of =
        |wanted| board.metrics.iter().filter(move |score| outcome(score, week_and_before(score).0) == wanted);
    let not_met: Vec<String> = of(Outcome::NotMet).map(beside_goal).collect();
    let unknown = of(Outcome::Unknown).map(|score| {
        let reason = week_and_before(score).0.and_then(|week| week.reason.as_ref());
        format!("{} ({})", score.title, reason.map_or_else(|| "no figure".to_owned(), ToString::to_string))
    });
    let unknown: Vec<String> = unknown.collect();
    for (what, names) in [("Not met", not_met), ("Unknown", unknown)] {
        if !names.is_empty() {
            text.push_str(&format!(". {what}: {}", named(&names, NAMED, names.len())));
        }
    }
    text.push_str(match board.ready {
        ReadyState::Ready { .. } => ". Production-ready",
        ReadyState::NotReady { .. } => ". Not production-ready",
        ReadyState::Unknown { .. } => ". Production-ready: unknown",
    });
    text
}

fn text(score: &Score, reading: Option<&Reading>) -> String {
    let goal = score.goal.map(|goal| goal.value.number());
    reading.and_then(|reading| reading.value).map_or_else(|| "?".to_owned(), |value| value.text(goal))
}

fn beside_goal(score: &Score) -> String {
    let (week, before) = week_and_before(score);
    let goal = score.goal.map_or(String::new(), |goal| format!("goal {goal}, "));
    format!("{} {} ({goal}before {})", score.title, text(score, week), text(score, before))
}

/// The figures of the week, each with that of the week before.
fn values(board: &Scoreboard) -> Option<String> {
    let known = board
        .metrics
        .iter()
        .filter(|score| week_and_before(score).0.is_some_and(|week| week.value.is_some()));
    let figures = known.map(|score| {
        let (week, before) = week_and_before(score);
        format!("{} {} ({})", score.title, text(score, week), text(score, before))
    });
    let figures: Vec<String> = figures.collect();
    (!figures.is_empty()).then(|| figures.join(", "))
}
