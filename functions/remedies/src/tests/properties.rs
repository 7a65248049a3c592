//! The invariants, and some courses in full.

use jiff::SignedDuration;
use proptest::prelude::*;
use syncwatch::observation::RunId;
use syncwatch::pipeline::RemedyKind;
use syncwatch::remedy::{Announcement, CopySeen, LastRun, Proof, Queue, State};

use super::model::{Answer, Event, Model, with_clusters};

/// More port calls than a round has.
const NEVER: usize = 10_000;
const ROUND: Event = Event::Round { crash_after: NEVER, has_turn: true };
const DAY: SignedDuration = SignedDuration::from_hours(24);

fn event() -> impl Strategy<Value = Event> {
    let answers = prop_oneof![
        4 => Just(Answer::Accepts),
        2 => Just(Answer::Deaf),
        1 => Just(Answer::Drops),
        1 => Just(Answer::Refuses),
        1 => Just(Answer::Forbids),
    ];
    prop_oneof![
        8 => Just(ROUND),
        6 => (0..30_usize, prop::bool::weighted(0.9))
            .prop_map(|(crash_after, has_turn)| Event::Round { crash_after, has_turn }),
        8 => prop_oneof![Just(2), Just(7), Just(20), Just(90), Just(400), Just(1_500)].prop_map(Event::Minutes),
        4 => Just(Event::RunFails),
        1 => Just(Event::RunSucceeds),
        1 => Just(Event::PersonPauses),
        1 => Just(Event::PersonResumes),
        1 => Just(Event::PersonRuns),
        1 => Just(Event::PersonChanges),
        1 => Just(Event::Acknowledge),
        1 => any::<bool>().prop_map(Event::Silence),
        1 => any::<bool>().prop_map(Event::Switch),
        2 => (0..2_u8).prop_map(Event::Approve),
        1 => Just(Event::Refuse),
        3 => answers.prop_map(Event::Answers),
        3 => any::<bool>().prop_map(Event::Fails),
        1 => any::<bool>().prop_map(Event::Unreadable),
        1 => any::<bool>().prop_map(Event::Stale),
    ]
}

/// The cases: 256, or as many as `PROPTEST_CASES` says (`make explore`).
fn config() -> ProptestConfig {
    ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_act_does_harm_in_any_course_of_events_and_crashes(
        events in prop::collection::vec((event(), prop::option::weighted(0.2, event())), 1..120),
        widens in any::<bool>(),
    ) {
        let model = if widens { Model::of(&with_clusters()) } else { Model::new() };
        for (event, meanwhile) in events {
            let meanwhile = meanwhile.filter(|event| !matches!(event, Event::Round { .. } | Event::Minutes(_)));
            *model.meanwhile.borrow_mut() = meanwhile.into_iter().collect();
            model.happen(event);
            let world = model.world.borrow();
            prop_assert!(world.wrong.is_empty(), "{:?}", world.wrong);
        }
        {
            let world = model.world.borrow();
            for (at, _, kind) in &world.calls {
                let span = world.calls.iter().filter(|(other, _, same)| {
                    same == kind && *at <= *other && other.duration_since(*at) < DAY
                });
                let once = matches!(kind, RemedyKind::Resume | RemedyKind::WidenWarehouse);
                let most = if once { 1 } else { 3 };
                prop_assert!(span.count() <= most, "more {kind} than the budget: {:?}", world.calls);
            }
        }
        // Every intention ends, and additional clusters are gone, once the function runs again and the vendor answers.
        model.happen(Event::Answers(Answer::Accepts));
        model.happen(Event::Switch(false));
        for _ in 0..8 {
            model.happen(Event::Minutes(400));
            model.happen(ROUND);
        }
        let world = model.world.borrow();
        prop_assert!(world.wrong.is_empty(), "{:?}", world.wrong);
        for record in world.records.values() {
            let open = matches!(record.state, State::Acting | State::Unknown);
            prop_assert!(!open || world.unreadable, "{record:?}");
            prop_assert!(record.unannounced.is_none());
        }
        let gave_up = world.records.values().any(|record| record.harm.is_some());
        prop_assert!(world.clusters == 1 || world.unreadable || gave_up, "{:?}", world.records);
    }

    #[test]
    fn same_events_have_the_same_course(events in prop::collection::vec(event(), 1..60)) {
        let course = || {
            let model = Model::new();
            events.iter().for_each(|event| model.happen(*event));
            let world = model.world.into_inner();
            (world.records, world.calls)
        };
        prop_assert_eq!(course(), course());
    }
}

fn played(events: &[Event]) -> Model {
    let model = Model::new();
    events.iter().for_each(|event| model.happen(*event));
    model
}

fn states(model: &Model) -> Vec<(RemedyKind, State)> {
    let world = model.world.borrow();
    let mut records: Vec<_> = world.records.values().collect();
    records.sort_by_key(|record| (record.proposed_at(), record.attempt));
    records.into_iter().map(|record| (record.plan.kind, record.state)).collect()
}

#[test]
fn failed_run_is_run_again_after_a_wait_and_healed() {
    let model = played(&[Event::RunFails, ROUND]);
    assert_eq!(states(&model), [(RemedyKind::RunAgain, State::Held)]);
    for event in [Event::Minutes(7), ROUND] {
        model.happen(event);
    }
    assert_eq!(states(&model), [(RemedyKind::RunAgain, State::Verifying)]);
    for event in [Event::Minutes(5), ROUND] {
        model.happen(event);
    }
    assert_eq!(states(&model), [(RemedyKind::RunAgain, State::Healed)]);
    let world = model.world.borrow();
    assert_eq!(
        world.announced.iter().map(|(_, announcement)| *announcement).collect::<Vec<_>>(),
        [Announcement::Healed]
    );
    assert!(world.incident.is_none());
}

#[test]
fn two_tries_that_do_not_help_are_the_last() {
    let mut events = vec![Event::Fails(true), Event::RunFails];
    for _ in 0..40 {
        events.extend([Event::Minutes(20), ROUND]);
    }
    let model = played(&events);
    let world = model.world.borrow();
    assert_eq!(world.calls.len(), 2, "{:?}", world.calls);
    assert_eq!(
        world.announced.iter().map(|(_, announcement)| *announcement).collect::<Vec<_>>(),
        [Announcement::GaveUp]
    );
}

#[test]
fn lost_answer_is_looked_for_and_never_repeated() {
    let fails = [Event::RunFails, Event::Minutes(7)];
    let lost = [Event::Answers(Answer::Deaf), ROUND];
    let model = played(&[fails, lost].concat());
    assert_eq!(states(&model), [(RemedyKind::RunAgain, State::Unknown)]);
    for event in [Event::Minutes(2), ROUND, Event::Minutes(4), ROUND] {
        model.happen(event);
    }
    assert_eq!(states(&model), [(RemedyKind::RunAgain, State::Healed)]);
    assert_eq!(model.world.borrow().calls.len(), 1);
}

/// Three runs in a row timed out on a full warehouse, and a person approved more clusters.
fn widened() -> Model {
    let model = Model::of(&with_clusters());
    for _ in 0..3 {
        model.happen(Event::Minutes(5));
        model.happen(Event::RunFails);
    }
    model.happen(ROUND);
    assert_eq!(states(&model), [(RemedyKind::WidenWarehouse, State::Proposed)]);
    assert_eq!(model.world.borrow().clusters, 1);
    for event in [Event::Approve(1), ROUND] {
        model.happen(event);
    }
    assert_eq!(model.world.borrow().clusters, 2);
    model
}

#[test]
fn more_clusters_are_taken_away_after_two_hours() {
    let model = widened();
    for event in [Event::Minutes(50), Event::RunSucceeds, ROUND, Event::Minutes(65), ROUND] {
        model.happen(event);
    }
    assert_eq!(model.world.borrow().clusters, 2, "not two hours yet");
    for event in [Event::Minutes(5), ROUND] {
        model.happen(event);
    }
    assert_eq!(model.world.borrow().clusters, 1);
    for event in [Event::Minutes(2), ROUND] {
        model.happen(event);
    }
    assert_eq!(states(&model), [(RemedyKind::WidenWarehouse, State::Healed)]);
}

#[test]
fn more_clusters_that_do_not_help_are_taken_away_at_once() {
    let model = widened();
    for event in [Event::Minutes(50), Event::RunFails, ROUND] {
        model.happen(event);
    }
    assert_eq!(model.world.borrow().clusters, 1);
    for event in [Event::Minutes(2), ROUND] {
        model.happen(event);
    }
    assert_eq!(states(&model)[0], (RemedyKind::WidenWarehouse, State::Failed));
}

#[test]
fn answer_that_is_lost_does_not_keep_the_clusters() {
    let model = widened();
    for event in [Event::Answers(Answer::Drops), Event::Minutes(120), ROUND, Event::Minutes(2), ROUND] {
        model.happen(event);
    }
    assert_eq!(model.world.borrow().clusters, 2);
    for event in [Event::Answers(Answer::Deaf), Event::Minutes(2), ROUND] {
        model.happen(event);
    }
    assert_eq!(model.world.borrow().clusters, 1);
}

#[test]
fn clusters_of_a_lost_answer_are_taken_away_once_seen() {
    let model = Model::of(&with_clusters());
    for _ in 0..3 {
        model.happen(Event::Minutes(5));
        model.happen(Event::RunFails);
    }
    for event in [ROUND, Event::Approve(1), Event::Answers(Answer::Deaf), ROUND] {
        model.happen(event);
    }
    assert_eq!(states(&model), [(RemedyKind::WidenWarehouse, State::Unknown)]);
    // The vendor shows nothing for longer than an effect is looked for.
    model.happen(Event::Unreadable(true));
    for _ in 0..4 {
        model.happen(Event::Minutes(100));
        model.happen(ROUND);
    }
    assert_eq!(model.world.borrow().clusters, 2);
    for event in [Event::Unreadable(false), Event::Answers(Answer::Accepts), ROUND] {
        model.happen(event);
    }
    assert_eq!(model.world.borrow().clusters, 1);
}

#[test]
fn kill_switch_keeps_the_clusters_and_that_is_reported_as_harm() {
    let model = widened();
    model.happen(Event::Switch(true));
    for _ in 0..3 {
        model.happen(Event::Minutes(61));
        model.happen(ROUND);
    }
    let world = model.world.borrow();
    assert_eq!(world.clusters, 2);
    assert!(world.records.values().any(|record| record.harm.is_some()), "{:?}", world.records);
}

#[test]
fn call_without_effect_fails_after_ten_minutes() {
    let model = played(&[Event::RunFails, Event::Minutes(7), Event::Answers(Answer::Drops), ROUND]);
    for event in [Event::Minutes(7), ROUND] {
        model.happen(event);
    }
    assert_eq!(states(&model), [(RemedyKind::RunAgain, State::Unknown)]);
    for event in [Event::Minutes(4), ROUND] {
        model.happen(event);
    }
    assert_eq!(states(&model)[0], (RemedyKind::RunAgain, State::Failed));
}

#[test]
fn pause_is_resumed_only_with_an_approval_of_a_person() {
    let model = played(&[Event::RunSucceeds, Event::PersonPauses, ROUND, Event::Minutes(30), ROUND]);
    assert_eq!(states(&model), [(RemedyKind::Resume, State::Proposed)]);
    assert!(model.world.borrow().calls.is_empty());
    for event in [Event::Approve(1), ROUND] {
        model.happen(event);
    }
    assert!(!model.world.borrow().paused);
    for event in [Event::Minutes(5), Event::RunSucceeds, ROUND] {
        model.happen(event);
    }
    assert_eq!(states(&model), [(RemedyKind::Resume, State::Healed)]);
    let announced: Vec<Announcement> =
        model.world.borrow().announced.iter().map(|(_, announcement)| *announcement).collect();
    assert_eq!(announced, [Announcement::Asked, Announcement::Healed]);
}

#[test]
fn refusal_and_silence_of_people_end_the_proposals() {
    let pause = [Event::RunSucceeds, Event::PersonPauses, ROUND];
    let refused = played(
        &[&pause[..], &[Event::Refuse, Event::Minutes(30), ROUND, Event::Minutes(400), ROUND]].concat(),
    );
    assert_eq!(states(&refused), [(RemedyKind::Resume, State::Refused)]);
    let ignored = played(&[&pause[..], &[Event::Minutes(241), ROUND, Event::Minutes(5), ROUND]].concat());
    assert_eq!(states(&ignored), [(RemedyKind::Resume, State::Expired)]);
    assert!(ignored.world.borrow().calls.is_empty());
}

#[test]
fn person_who_acts_between_judge_and_act_stops_it() {
    for event in [
        Event::PersonPauses,
        Event::PersonRuns,
        Event::PersonChanges,
        Event::Acknowledge,
        Event::Switch(true),
    ] {
        let model = played(&[Event::RunFails, Event::Minutes(7)]);
        // The first observation of the round is for the proposal, the second for the act.
        *model.meanwhile.borrow_mut() = vec![event, Event::Minutes(0)];
        model.happen(ROUND);
        let world = model.world.borrow();
        assert!(world.calls.is_empty() && world.wrong.is_empty(), "{event:?}");
    }
}

#[test]
fn function_that_dies_anywhere_acts_once_and_comes_to_an_end() {
    for crash_after in 0..25 {
        let model =
            played(&[Event::RunFails, Event::Minutes(7), Event::Round { crash_after, has_turn: true }]);
        for _ in 0..6 {
            model.happen(Event::Minutes(4));
            model.happen(ROUND);
        }
        let world = model.world.borrow();
        assert!(world.wrong.is_empty(), "{crash_after}: {:?}", world.wrong);
        assert!(world.calls.len() <= 2, "{crash_after}: {:?}", world.calls);
        assert!(world.incident.is_none(), "{crash_after}");
    }
}

#[test]
fn function_without_the_turn_changes_nothing_outside() {
    let turnless = Event::Round { crash_after: NEVER, has_turn: false };
    let model = played(&[Event::RunFails, Event::Minutes(7), turnless, Event::Minutes(7), turnless]);
    assert!(model.world.borrow().calls.is_empty());
    assert_eq!(states(&model), [(RemedyKind::RunAgain, State::Held)]);
}

#[test]
fn duplicates_in_the_copy_after_an_act_are_harm() {
    let model = played(&[Event::RunFails, ROUND, Event::Minutes(7), ROUND, Event::Minutes(5), ROUND]);
    assert_eq!(states(&model), [(RemedyKind::RunAgain, State::Healed)]);
    let copy = |duplicates, synced| CopySeen { duplicates, null_ids: Ok(0), synced, created: Ok(4) };
    let healed_at = model.world.borrow().now;
    let proof = Proof {
        at: healed_at,
        operation: Ok("upsert".to_owned()),
        identifier: Ok("Id__c".to_owned()),
        external_id: Ok("id_c".to_owned()),
        declared_unique: true,
        last_run: Ok(LastRun { id: RunId(1), began: healed_at, ended: healed_at, wrote: 4 }),
        delay: SignedDuration::from_mins(30),
        copy: copy(Ok(0), Ok(healed_at)),
        queue: Ok(Queue { rows: 4, without_own_key: 0 }),
        usual_queue: Ok(4),
        working: Ok(Vec::new()),
    };
    for record in model.world.borrow_mut().records.values_mut() {
        record.proof = Some(Box::new(proof.clone()));
    }
    let after = |minutes, seen: CopySeen| {
        model.world.borrow_mut().copy = seen;
        model.happen(Event::Minutes(minutes));
        model.happen(ROUND);
        let world = model.world.borrow();
        let record = world.records.values().next().unwrap();
        (record.looked, record.harm.is_some())
    };
    let hours = |hours| Ok(healed_at + SignedDuration::from_hours(hours));
    assert_eq!(after(59, copy(Ok(1), hours(2))), (false, false), "not asked yet");
    assert_eq!(after(2, CopySeen::unknown("the warehouse is stopped")), (false, false));
    assert_eq!(after(2, copy(Ok(1), Ok(healed_at))), (false, false), "the copy is older than the act");
    assert_eq!(after(2, copy(Ok(1), hours(1))), (true, true));
    // It is asked once.
    assert_eq!(after(2, copy(Ok(0), hours(1))), (true, true));
}
