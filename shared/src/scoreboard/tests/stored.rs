use super::*;
use crate::finding::Severity;
use crate::incident::{Course, Episode, Incident, State};
use crate::observation::RunId;
use crate::pipeline::{Pipeline, RemedyKind};
use crate::remedy::{Approval, Plan, Record as Remedy, Target};
use crate::silence::{Scope, Silence, Tally as Suppressed};

/// The scoreboard of the last day by these items, and by rows of 60 good days of which one lacks runs.
fn scores(stored: &Stored) -> Scoreboard {
    let pipeline = Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap();
    let mut history = good().history.unwrap();
    history.days.reverse();
    let lacking = "runs: 1 of 48 still running; data: no longer available";
    history.missing.insert(date("2026-11-23"), lacking.to_owned());
    let now = at("2026-11-27T18:00:00Z");
    let records = stored.records(&pipeline, history, now);
    assert_eq!(records.gaps[&date("2026-11-23")].data.as_deref(), Some("no longer available"));
    Scoreboard::of_last_day(&pipeline, records, now)
}

/// The value of a metric, or the reason for none.
fn shown(scores: &Scoreboard, metric: Metric) -> String {
    let Reading { value, reason, .. } = score(scores, metric).reading;
    value.map_or_else(|| reason.unwrap().to_string(), |value| value.number().to_string())
}

#[test]
fn unrecorded_metrics_have_a_reason_and_miss_their_goals() {
    let scores = scores(&Stored::default());
    let no_round = "not recorded yet: no round of schedule-verification";
    assert_eq!(shown(&scores, Metric::AlertDelay), no_round);
    assert_eq!(shown(&scores, Metric::Notices), no_round);
    assert_eq!(shown(&scores, Metric::Lag), "no lag measured on 2026-11-26");
    let by_hand = "runs started by hand: not recorded yet: no nightly snapshot";
    assert_eq!(
        shown(&scores, Metric::DaysUnattended),
        format!("acknowledgements: {no_round}, {by_hand}, pauses: {no_round}")
    );
    // The pipeline declares an object, and no row says how its records compared.
    assert_eq!(shown(&scores, Metric::DataQuality), "2026-11-26: no record compared");
    // These four, and the rate of a week that lacks runs of a day. The rows have runs of other syncs only.
    assert_eq!(score(&scores, Metric::SuccessRate).outcome, Outcome::Unknown);
    assert_eq!(score(&scores, Metric::DailyRuns).outcome, Outcome::NotMet);
    assert_eq!(scores.goals_missed(), 6);
}

/// A paused sync that alerted on the 24th and was acknowledged on the 25th.
fn pause() -> Incident {
    let (began_at, sent_at) = (at("2026-11-24T20:00:00Z"), at("2026-11-24T20:10:00Z"));
    let told_at = at("2026-11-24T20:01:00Z");
    let episode = Episode { began_at, told_at, sent_at: Some(sent_at), resolved_at: None };
    let key = "properties/sync-paused/properties-create";
    Incident {
        course: Course {
            began_at: Some(began_at),
            episodes: vec![episode],
            acknowledgements: vec![at("2026-11-25T20:00:00Z")],
            sent: vec![sent_at, at("2026-11-26T20:00:00Z")],
            ..Course::default()
        },
        ..Incident::found(key, State::Open, Severity::Error, told_at, "paused")
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
fn approved_remedy_is_an_act_and_the_run_it_starts_is_none() {
    let acted = at("2026-11-26T12:00:00Z");
    let plan = Plan {
        kind: RemedyKind::RunAgain,
        target: Target::DeadLetters,
        incident: pause().key,
        opened_at: acted,
        why: String::new(),
        effect: String::new(),
        cost: String::new(),
        undo: String::new(),
        approvals: 0,
    };
    let remedy = Remedy { acted_at: Some(acted), run: Some(RunId(1)), ..Remedy::begin(plan, 1, acted) };
    let days = |change: fn(&mut Stored), remedy: &Remedy| {
        let mut stored = stored();
        stored.incidents[0].course.acknowledgements.clear();
        stored.by_hand.as_mut().unwrap().at.push(at("2026-11-26T12:00:09Z"));
        stored.remedies = vec![remedy.clone()];
        change(&mut stored);
        shown(&scores(&stored), Metric::DaysUnattended)
    };
    assert_eq!(days(|_| {}, &remedy), "2");
    assert_eq!(days(|stored| stored.remedies.clear(), &remedy), "0");
    let approval = Approval { by: "ada".to_owned(), at: at("2026-11-26T11:00:00Z"), hash: String::new() };
    let approved = Remedy { approvals: vec![approval], ..remedy.clone() };
    assert_eq!(days(|_| {}, &approved), "0");
    let unread = days(|stored| stored.unread_remedies = Some("2 items cannot be read".to_owned()), &remedy);
    assert!(unread.contains("2 items cannot be read"), "{unread}");
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
    let tally = |declared: bool| Suppressed {
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
    stored.incidents[0].course.sent = (0..32).map(|hour| begin + SignedDuration::from_hours(hour)).collect();
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
