//! The digest of weeks with gaps, clock changes, few records and many incidents.

mod monthly;
mod week;

use jiff::civil::{Date, date};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::days::days_before;
use crate::finding::Severity;
use crate::history::{DataDay, SyncDay, Tally as Runs};
use crate::incident::{Acknowledged, Course, Episode, Incident, State};
use crate::marks::{Mark, MarkVerdict};
use crate::pipeline::{Pipeline, RemedyKind};
use crate::remedy::{Approval, Plan, Record, State as RemedyState, Target};
use crate::scoreboard::{LagSample, Outcome, RunsByHand, Stored};
use crate::silence::{LONGEST, Scope, Silence, Tally};
use crate::text::plain_line;

pub(super) fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap()
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// 2026-11-23 to 2026-11-29.
fn week() -> Week {
    Week::parse("2026-W48").unwrap()
}

/// Monday 08:00 in Los Angeles.
fn monday() -> Timestamp {
    at("2026-11-30T16:00:00Z")
}

/// Days until this one, on which all is well. The figures change a little from day to day.
pub(super) fn history(last: Date, days: i64) -> History {
    let mut history = History::default();
    for back in (0..days).rev() {
        let day = days_before(last, back);
        let wobble = f64::from(i32::try_from((days - back) * 7 % 5).unwrap()) - 2.0;
        history.days.push(DataDay {
            day,
            total: Some(10_000.0),
            synced: Some(9_600.0 + wobble),
            null_companies: Some(100.0),
            duplicates: Some(0.0),
            create_queue: Some(20.0),
            update_queue: Some(200.0 + wobble),
            fields_compared: Some(50_000.0),
            fields_agreeing: Some(49_900.0),
            ..DataDay::default()
        });
        for (sync, volume) in [("properties-create", 800.0), ("properties-update", 4_000.0)] {
            history.syncs.entry(sync.to_owned()).or_default().push(SyncDay {
                day,
                outcomes: Runs { completed: 48, failed: 0 },
                processed: Some(volume + 8.0 * wobble),
                failed: Some(0.0),
                median_seconds: Some(300.0 + wobble),
            });
        }
    }
    history
}

/// Everything is recorded until this day, and nothing happened.
pub(super) fn quiet(last: Date) -> Inputs {
    let noon = last.to_zoned(pipeline().time_zone).unwrap().timestamp() + SignedDuration::from_hours(12);
    let lag = |day: i64| LagSample {
        at: noon - SignedDuration::from_hours(24 * day),
        lag: SignedDuration::from_mins(30),
    };
    let stored = Stored {
        recorded_since: Some(noon - SignedDuration::from_hours(24 * 89)),
        lags: (0..80).map(lag).collect(),
        by_hand: Some(RunsByHand {
            since: noon - SignedDuration::from_hours(24 * 80),
            until: noon + SignedDuration::from_hours(14),
            at: Vec::new(),
            unknown_at: None,
        }),
        ..Stored::default()
    };
    Inputs { stored, history: Ok(history(last, 130)) }
}

fn quiet_week() -> Inputs {
    quiet(week().sunday())
}

fn digest(inputs: &Inputs) -> Digest {
    Digest::of(inputs, &pipeline(), week(), monday())
}

fn line(digest: &Digest, topic: Topic) -> &str {
    digest.lines.iter().find(|line| line.topic == topic).map_or("", |line| line.text.as_str())
}

pub(super) fn alert(key: &str, severity: Severity, began: &str, resolved: Option<&str>) -> Incident {
    let (began_at, resolved_at) = (at(began), resolved.map(at));
    let sent_at = Some(began_at + SignedDuration::from_mins(2));
    let told_at = began_at + SignedDuration::from_mins(1);
    let episode = Episode { began_at, told_at, sent_at, resolved_at };
    let state = if resolved.is_some() { State::Resolved } else { State::Open };
    Incident {
        resolved_at,
        course: Course {
            began_at: Some(began_at),
            episodes: vec![episode],
            sent: sent_at.into_iter().collect(),
            ..Course::default()
        },
        ..Incident::found(key, state, severity, told_at, "bad")
    }
}

const FAILED: &str = "properties/run-failed/properties-update";

/// A failed run of 18 minutes on Tuesday.
fn failed() -> Incident {
    alert(FAILED, Severity::Error, "2026-11-24T10:10:00Z", Some("2026-11-24T10:28:00Z"))
}

fn remedy(incident: &Incident, state: RemedyState, approvals: usize) -> Record {
    let began = incident.course.began_at.unwrap();
    let plan = Plan {
        kind: RemedyKind::RunAgain,
        target: Target::DeadLetters,
        incident: incident.key.clone(),
        opened_at: incident.opened_at,
        why: String::new(),
        effect: String::new(),
        cost: String::new(),
        undo: String::new(),
        approvals,
    };
    let mut record = Record::begin(plan, 1, began + SignedDuration::from_mins(3));
    record.state = state;
    record.acted_at = state.has_acted().then_some(began + SignedDuration::from_mins(5));
    record
}

/// A change of records, for a table of cases.
type Change<'c, T> = &'c dyn Fn(&mut T);

#[test]
fn quiet_week_is_three_lines() {
    let digest = digest(&quiet_week());
    insta::assert_snapshot!(digest, @r#"
    properties, week 2026-W48: 9 of 9 goals met, 0 alerts, nothing needs a person
    scoreboard          9 of 9 goals met (the week before: 9). Production-ready
    figures             Successful runs 100% (100%), Data quality 99.8% (99.8%), Coverage 96% (96%), Daily runs, fewest 48 (48), Lag, longest 30m (30m), Without manual act 80d (73d), Notices 0 (0)
    needs a person      nothing
    "#);
    assert_eq!(digest.lines.len(), 3);
}

#[test]
fn eventful_week_has_at_most_ten_lines() {
    let mut inputs = quiet_week();
    let stored = &mut inputs.stored;
    let open =
        alert("properties/sync-paused/properties-create", Severity::Critical, "2026-11-28T20:00:00Z", None);
    let late = alert(
        "properties/coverage/properties-coverage",
        Severity::Warning,
        "2026-11-21T20:00:00Z",
        Some("2026-11-23T12:00:00Z"),
    );
    stored.remedies = vec![
        remedy(&failed(), RemedyState::Healed, 0),
        remedy(&open, RemedyState::Proposed, 1),
        remedy(&late, RemedyState::Advised, 0),
    ];
    // Asked now, and advised within the week.
    stored.remedies[1].steps[0].at = monday() - SignedDuration::from_hours(1);
    stored.remedies[2].steps[0].at = at("2026-11-23T09:00:00Z");
    stored.incidents = vec![failed(), open, late];
    stored.silences = vec![Tally {
        silence: Silence {
            id: "release".to_owned(),
            owner: "Ada".to_owned(),
            reason: "release weekend".to_owned(),
            scope: Scope::default(),
            from: at("2026-11-22T06:00:00Z"),
            until: at("2026-11-24T08:00:00Z"),
            declared: false,
        },
        held_back: 14,
        incidents: vec!["error-rate/properties-create".to_owned()],
        of_others: 0,
        reported: 14,
        tellings: 1,
        reported_at: None,
    }];
    let id = inputs.stored.remedies[1].id.clone();
    let digest = digest(&inputs);
    assert!(digest.lines.len() <= 10);
    insta::assert_snapshot!(digest.to_string().replace(&id, "ID"), @r#"
    properties, week 2026-W48: 6 of 9 goals met, 2 alerts, 2 need a person
    scoreboard          6 of 9 goals met (the week before: 6). Not met: Recovery, mean 1d 1h (goal ≤ 2h, before 1d 12h), Recovery, p90 1d 16h (goal ≤ 2h, before 1d 12h), Without manual act 1d (goal ≥ 7d, before 1d). Not production-ready
    figures             Successful runs 100% (100%), Alert delay, p90 2m (2m), Recovery, mean 1d 1h (1d 12h), Recovery, p90 1d 16h (1d 12h), Data quality 99.8% (99.8%), Coverage 96% (96%), Daily runs, fewest 48 (48), Lag, longest 30m (30m), Without manual act 1d (1d), Notices 2 (1)
    alerts              2 alerts and 1 from before: 1 healed by itself, 1 healed by a remedy, 1 still open at the end of the week. pause of properties-create (Sat 28 Nov 12:00, open), failed run of properties-update (Tue 24 Nov 02:10, 18m), coverage of properties-coverage (Sat 21 Nov 12:00, 1d 16h)
    no act by people    1 of 2 alerts without an act of a person: pause of properties-create
    suppressed          14 alerts from 1 incident since Sat 21 Nov 22:00 by silence "release weekend" (Ada)
    remedies            1 act: 1 healed, 0 failed, 0 did harm; would have acted 1 time; 1 of these incidents ended without
    needs a person      pause of properties-create (critical since Sat 28 Nov 12:01), `syncwatch remedies approve ID` to run dead-letters again
    "#);
}

#[test]
fn mail_and_json_of_a_digest_have_all_its_lines() {
    let mut inputs = quiet_week();
    inputs.stored.incidents = vec![failed()];
    let digest = digest(&inputs);
    let message = crate::notice::render_digest(&digest, &pipeline());
    assert_eq!(crate::aws::topic::check_limits(&message), Ok(()));
    assert_eq!(crate::notice::tests::schema_errors(&message.bodies["default"]), [""; 0]);
    let (kind, severity) = (message.attributes["kind"].as_str(), message.attributes["severity"].as_str());
    assert_eq!((kind, severity), ("report", "info"));
    insta::assert_snapshot!(format!("Subject: {}\n\n{}", message.subject, message.bodies["email"]));
    let body = crate::notice::Body::parse(&message.bodies["default"]).unwrap();
    let lines: Vec<String> = digest.lines.iter().map(|line| line.text.clone()).collect();
    assert_eq!(body.figures.iter().map(crate::figure::Figure::text).collect::<Vec<_>>(), lines);
    assert!(message.bodies["email"].lines().count() <= 40);
}

#[test]
fn each_alert_ends_by_itself_a_remedy_a_person_or_not_at_all() {
    let ends = |change: &dyn Fn(&mut Stored)| {
        let mut inputs = quiet_week();
        inputs.stored.incidents = vec![failed()];
        change(&mut inputs.stored);
        let digest = digest(&inputs);
        (line(&digest, Topic::Alerts).to_owned(), !line(&digest, Topic::NotActedOn).is_empty())
    };
    let acknowledged = |at: Timestamp| {
        move |stored: &mut Stored| {
            stored.incidents[0].course.acknowledgements = vec![at];
        }
    };
    let approved = |stored: &mut Stored| {
        let mut record = remedy(&failed(), RemedyState::Healed, 1);
        let at = failed().opened_at;
        record.approvals = vec![Approval { by: "ada".to_owned(), at, hash: String::new() }];
        stored.remedies = vec![record];
    };
    let resolved = |at: Option<Timestamp>| {
        move |stored: &mut Stored| {
            stored.incidents[0].course.episodes[0].resolved_at = at;
        }
    };
    let marked = |stored: &mut Stored| {
        stored.marks = vec![Mark {
            incident: failed().key,
            told_at: failed().course.episodes[0].told_at,
            verdict: MarkVerdict::Real,
            since: date(2026, 11, 24),
            until: None,
            at: monday(),
            by: "ada".to_owned(),
            why: "seen".to_owned(),
        }];
    };
    let healed = |stored: &mut Stored| stored.remedies = vec![remedy(&failed(), RemedyState::Healed, 0)];
    let tried = |stored: &mut Stored| stored.remedies = vec![remedy(&failed(), RemedyState::Failed, 0)];
    let table: [(&str, Change<Stored>, &str, bool); 9] = [
        ("nothing is recorded", &|_| (), "1 healed by itself", true),
        ("marked later", &marked, "1 healed by itself", false),
        ("a remedy failed", &tried, "1 healed by itself", true),
        ("a remedy healed it", &healed, "1 healed by a remedy", false),
        ("a person approved it", &approved, "1 ended after an act of a person", false),
        (
            "acknowledged",
            &acknowledged(at("2026-11-24T10:15:00Z")),
            "1 ended after an act of a person",
            false,
        ),
        ("acknowledged before", &acknowledged(at("2026-11-23T10:15:00Z")), "1 healed by itself", true),
        ("open", &resolved(None), "1 still open", true),
        // Monday 00:00 in Los Angeles is after the week.
        ("ended later", &resolved(Some(week().bounds(&pipeline().time_zone).1)), "1 still open", true),
    ];
    for (name, change, ending, without_act) in table {
        let (alerts, not_acted_on) = ends(change);
        assert!(alerts.contains(ending), "{name}: {alerts}");
        assert_eq!(not_acted_on, without_act, "{name}");
    }
}

#[test]
fn needed_person_is_as_of_now() {
    let mut inputs = quiet_week();
    inputs.stored.incidents = vec![alert(FAILED, Severity::Error, "2026-11-30T12:00:00Z", None)];
    let open = digest(&inputs);
    assert_eq!(line(&open, Topic::Alerts), "", "it is not of the week");
    assert_eq!(
        line(&open, Topic::NeedsPerson),
        "failed run of properties-update (error since Mon 30 Nov 04:01)"
    );
    assert!(open.headline.ends_with("0 alerts, 1 needs a person"), "{}", open.headline);
    let by = |until| Some(Acknowledged { by: "Ada".to_owned(), at: monday(), until });
    inputs.stored.incidents[0].acknowledged = by(monday() + SignedDuration::from_hours(1));
    assert_eq!(line(&digest(&inputs), Topic::NeedsPerson), "nothing");
    inputs.stored.incidents[0].acknowledged = by(monday());
    assert_ne!(line(&digest(&inputs), Topic::NeedsPerson), "nothing", "it expired");
}

#[test]
fn missing_records_are_unknown_with_their_reason() {
    let verdict = |change: &dyn Fn(&mut Inputs)| {
        let mut inputs = quiet_week();
        change(&mut inputs);
        let digest = digest(&inputs);
        [Topic::Scoreboard, Topic::Alerts, Topic::Suppressed, Topic::Remedies]
            .map(|topic| line(&digest, topic).to_owned())
    };
    let wednesday = date(2026, 11, 25);
    let without = |first: Date, last: Date| {
        move |inputs: &mut Inputs| {
            let history = inputs.history.as_mut().unwrap();
            history.days.retain(|row| !(first..=last).contains(&row.day));
            history.syncs.values_mut().for_each(|days| days.retain(|row| !(first..=last).contains(&row.day)));
        }
    };
    let table: [(Change<Inputs>, usize, &str); 7] = [
        (&without(wednesday, wednesday), 0, "Successful runs (no row of 2026-11-25)"),
        // Half a week of records: those of the week before are missing, too.
        (&without(date(2026, 1, 1), wednesday), 0, "Successful runs (no row of 2026-11-23)"),
        (
            &|inputs| inputs.history = Err("the warehouse does not answer".to_owned()),
            0,
            "unknown: the warehouse does not answer",
        ),
        (&|inputs| inputs.stored.lags.clear(), 0, "Lag, longest (no lag measured on 2026-11-23)"),
        (
            &|inputs| inputs.stored.unread_incidents = Some("1 incident cannot be read".to_owned()),
            1,
            "unknown: 1 incident cannot be read",
        ),
        (
            &|inputs| inputs.stored.unread_silences = Some("1 silence cannot be read".to_owned()),
            2,
            "unknown: 1 silence cannot be read",
        ),
        (
            &|inputs| inputs.stored.unread_remedies = Some("1 stored act cannot be read".to_owned()),
            3,
            "unknown: 1 stored act cannot be read",
        ),
    ];
    for (change, place, reason) in table {
        let lines = verdict(change);
        assert!(lines[place].contains(reason), "{reason}: {lines:?}");
    }
    // An old week: what has expired is not taken for nothing.
    let old = Digest::of(&quiet_week(), &pipeline(), Week::parse("2026-W30").unwrap(), monday());
    assert!(line(&old, Topic::Alerts).contains("kept for 90 days"), "{old}");
    assert!(line(&old, Topic::Remedies).contains("no longer recorded"), "{old}");
}

#[test]
fn week_with_25_hours_on_sunday_ends_at_its_midnight() {
    let week = Week::parse("2026-W44").unwrap();
    let now = at("2026-11-02T16:00:00Z");
    let mut inputs = quiet(week.sunday());
    // Sunday 1 November 23:30 in Los Angeles, an hour later in UTC than the Sunday before.
    let (inside, outside) = ("2026-11-02T07:30:00Z", "2026-11-02T08:00:00Z");
    for (began, alerts) in [(inside, "1 alert"), (outside, "")] {
        inputs.stored.incidents = vec![alert(FAILED, Severity::Error, began, None)];
        let digest = Digest::of(&inputs, &pipeline(), week, now);
        assert!(line(&digest, Topic::Alerts).starts_with(alerts), "{began}: {digest}");
        assert_eq!(line(&digest, Topic::Alerts).is_empty(), alerts.is_empty(), "{began}");
        assert_eq!((digest.until - digest.from).total(jiff::Unit::Hour).unwrap(), 169.0);
    }
    let rate = inputs.stored.lags.len();
    assert!(
        rate > 0
            && digest(&quiet_week())
                .scores
                .iter()
                .all(|score| score.reason.is_none() || score.outcome != Outcome::Unknown)
    );
}

#[test]
fn watched_figures_are_listed_as_alerts_that_would_have_been() {
    let watching = |days: i64, change: fn(&mut Pipeline)| {
        let mut inputs = quiet_week();
        let mut history = history(week().sunday(), days);
        let wednesday = history.syncs.get_mut("properties-update").unwrap().iter_mut().rev().nth(4).unwrap();
        wednesday.processed = Some(0.0);
        inputs.history = Ok(history);
        let mut pipeline = pipeline();
        change(&mut pipeline);
        let digest = Digest::of(&inputs, &pipeline, week(), monday());
        line(&digest, Topic::Watching).to_owned()
    };
    assert_eq!(watching(130, |_| ()), "", "it alerted");
    let found = watching(130, |pipeline| pipeline.expectations.watch_days = 200);
    assert!(
        found.starts_with("1 (watching): properties-update moved 0 records on Wednesday 25 November"),
        "{found}"
    );
}

#[test]
fn slow_loss_of_coverage_is_forecast() {
    let mut inputs = quiet_week();
    for (index, day) in inputs.history.as_mut().unwrap().days.iter_mut().enumerate() {
        let days = f64::from(i32::try_from(index).unwrap()) - 100.0;
        day.synced = Some(9_700.0 - 5.0 * days.max(0.0));
    }
    let forecast = digest(&inputs);
    let forecast = line(&forecast, Topic::Forecasts);
    assert!(forecast.starts_with("properties: coverage falls under 95%"), "{forecast}");
}

#[test]
fn texts_of_people_stay_in_one_bounded_line() {
    let mut inputs = quiet_week();
    for hostile in ["a\nNEEDS A PERSON\r\n", "\u{202e}desrever", "\u{0}<b>&\"'</b>", &"x".repeat(5_000)] {
        inputs.stored.silences = (0..20)
            .map(|number| Tally {
                silence: Silence {
                    id: number.to_string(),
                    owner: hostile.to_owned(),
                    reason: hostile.to_owned(),
                    scope: Scope::default(),
                    from: at("2026-11-24T06:00:00Z"),
                    until: at("2026-11-24T06:00:00Z") + LONGEST,
                    declared: false,
                },
                held_back: 1,
                incidents: Vec::new(),
                of_others: 1,
                reported: 0,
                tellings: 0,
                reported_at: None,
            })
            .collect();
        let digest = digest(&inputs);
        for line in &digest.lines {
            assert_eq!(plain_line(&line.text), line.text);
            assert!(line.text.chars().count() <= 400, "{}", line.text);
        }
        assert!(line(&digest, Topic::Suppressed).starts_with("1 alert from more than 0 incidents"));
    }
}

proptest! {
    /// The counts of alerts and the success rate equal those of the raw records.
    #[test]
    fn figures_equal_those_of_the_raw_rows(
        runs in prop::collection::vec((0_u64..60, 0_u64..9), 14),
        begins in prop::collection::vec((-200_i64..200, 1_i64..5_000), 0..12),
    ) {
        let mut inputs = quiet_week();
        let (from, until) = week().bounds(&pipeline().time_zone);
        let update = inputs.history.as_mut().unwrap().syncs.get_mut("properties-update").unwrap();
        for (day, (completed, failed)) in update.iter_mut().rev().zip(&runs) {
            day.outcomes = Runs { completed: *completed, failed: *failed };
        }
        inputs.stored.incidents = begins.iter().enumerate().map(|(number, (hours, minutes))| {
            let began = from + SignedDuration::from_hours(*hours);
            let end = began + SignedDuration::from_mins(*minutes);
            let key = format!("properties/coverage/check-{number}");
            alert(&key, Severity::Error, &began.to_string(), Some(&end.to_string()))
        }).collect();
        let digest = digest(&inputs);
        let (completed, failed) = runs[..7].iter().fold((7 * 48, 0), |sum, (a, b)| (sum.0 + a, sum.1 + b));
        let rate = 100.0 * completed as f64 / (completed + failed) as f64;
        prop_assert_eq!(digest.scores[0].value, Some(rate));
        let episodes = inputs.stored.incidents.iter().map(|incident| incident.course.episodes[0]);
        let alerted = episodes.clone().filter(|episode| from <= episode.told_at && episode.told_at < until).count();
        let word = if alerted == 1 { "alert" } else { "alerts" };
        prop_assert!(digest.headline.contains(&format!(", {alerted} {word}, ")), "{}", digest.headline);
        let open = episodes.filter(|e| e.told_at < until && e.resolved_at.unwrap() >= until).count();
        let still = format!(" {open} still open");
        prop_assert_eq!(line(&digest, Topic::Alerts).contains(&still), open > 0, "{}", digest);
    }
}
