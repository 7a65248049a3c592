use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use syncwatch::aws::secrets::SecretValues;

use super::*;
use crate::key::choose;
use crate::tests::samples::{KINDS, notice};

const LOWEST: Severity = Severity::Error;

fn told(of: &Body, open: bool) -> LastDelivery {
    LastDelivery { place: Place::of(of), notice: of.id.clone(), open, through: None }
}

fn words(route: Route) -> String {
    match route {
        Route::Send(action, reason) => format!("{action:?}: {reason}"),
        Route::Skip(reason) => format!("-: {reason}"),
    }
}

#[test]
fn every_kind_has_its_route_at_every_channel() {
    let mut rows = Vec::new();
    let before = notice(NoticeKind::Opened, Severity::Critical, 1);
    for (name, told) in [
        ("not told", None),
        ("told, open", Some(told(&before, true))),
        ("told, closed", Some(told(&before, false))),
    ] {
        for channel in Channel::ALL {
            for kind in KINDS {
                for severity in [Severity::Warning, Severity::Critical] {
                    let route = decide(&notice(kind, severity, 2), channel, LOWEST, told.as_ref());
                    rows.push(format!(
                        "{name:12} | {channel:9} | {:16} | {severity:8} | {}",
                        format!("{kind:?}"),
                        words(route)
                    ));
                }
            }
        }
    }
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn acknowledgement_goes_where_its_incident_is_open() {
    let opened = notice(NoticeKind::Opened, Severity::Critical, 1);
    let mut acknowledged = notice(NoticeKind::Acknowledged, Severity::Info, 2);
    for channel in Channel::ALL {
        let route = |of: &Body, told: &LastDelivery| decide(of, channel, LOWEST, Some(told));
        let sent = Route::Send(Action::Acknowledge, "a person took it on");
        assert_eq!(route(&acknowledged, &told(&opened, true)), sent);
        let after = LastDelivery::after(&acknowledged, Action::Acknowledge, None);
        assert!(after.open);
        assert_eq!(route(&acknowledged, &after), Route::Skip("already sent"));
        let resolved = route(&notice(NoticeKind::Resolved, Severity::Critical, 3), &after);
        assert_eq!(resolved, Route::Send(Action::Resolve, "the channel was told that it is open"));
    }
    let untold = Route::Skip("the channel was not told of the incident");
    for told in [None, Some(&told(&opened, false))] {
        assert_eq!(decide(&acknowledged, Channel::PagerDuty, LOWEST, told), untold);
    }
    // What is open is an earlier incident of the key.
    acknowledged.opened_at = "2026-11-24T13:00:00Z".parse().unwrap();
    let earlier = told(&opened, true);
    assert_eq!(decide(&acknowledged, Channel::PagerDuty, LOWEST, Some(&earlier)), untold);
}

#[test]
fn the_lowest_severity_of_a_channel_goes_there() {
    for channel in Channel::ALL {
        let route =
            |severity| decide(&notice(NoticeKind::Opened, severity, 1), channel, Severity::Warning, None);
        assert_eq!(route(Severity::Info), Route::Skip("below the lowest severity of the channel"));
        assert_eq!(route(Severity::Warning), Route::Send(Action::Trigger, "severe enough"));
    }
}

#[test]
fn a_marked_test_goes_to_every_declared_channel_whatever_its_severity() {
    for channel in Channel::ALL {
        for (kind, action) in [(NoticeKind::Opened, Action::Trigger), (NoticeKind::Resolved, Action::Resolve)]
        {
            let mut notice = notice(kind, Severity::Info, 1);
            notice.test = true;
            let route = decide(&notice, channel, Severity::Critical, None);
            assert_eq!(route, Route::Send(action, "a test"));
        }
    }
}

#[test]
fn what_was_told_is_resolved_also_after_the_limit_was_raised() {
    let before = told(&notice(NoticeKind::Opened, Severity::Warning, 1), true);
    let resolved = notice(NoticeKind::Resolved, Severity::Warning, 2);
    for channel in Channel::ALL {
        let route = decide(&resolved, channel, Severity::Critical, Some(&before));
        assert_eq!(route, Route::Send(Action::Resolve, "the channel was told that it is open"));
    }
}

#[test]
fn a_late_trigger_opens_nothing_that_was_resolved() {
    let resolved = told(&notice(NoticeKind::Resolved, Severity::Critical, 3), false);
    for kind in [NoticeKind::Opened, NoticeKind::Worsened, NoticeKind::Reminder, NoticeKind::StoppedReporting]
    {
        for channel in Channel::ALL {
            let route = decide(&notice(kind, Severity::Critical, 2), channel, LOWEST, Some(&resolved));
            assert_eq!(route, Route::Skip("overtaken by a later notice"));
        }
    }
}

#[test]
fn the_late_end_of_one_incident_does_not_close_the_next() {
    let mut next = notice(NoticeKind::Opened, Severity::Critical, 1);
    next.generation = 2;
    next.opened_at = "2026-11-24T13:00:00Z".parse().unwrap();
    let late = notice(NoticeKind::Resolved, Severity::Critical, 2);
    for channel in Channel::ALL {
        let route = decide(&late, channel, LOWEST, Some(&told(&next, true)));
        assert_eq!(route, Route::Skip("overtaken by a later notice"));
    }
}

#[test]
fn an_incident_whose_key_was_forgotten_meanwhile_is_not_taken_for_an_old_one() {
    // The record of an incident is deleted 90 days after its end; generations and ids then begin anew.
    let mut before = notice(NoticeKind::Resolved, Severity::Critical, 1);
    before.generation = 3;
    let mut anew = notice(NoticeKind::Opened, Severity::Critical, 1);
    anew.opened_at = "2027-02-27T09:00:00Z".parse().unwrap();
    for before in [before, notice(NoticeKind::Opened, Severity::Critical, 1)] {
        for channel in Channel::ALL {
            let route = decide(&anew, channel, LOWEST, Some(&told(&before, false)));
            assert_eq!(route, Route::Send(Action::Trigger, "severe enough"));
        }
    }
}

/// A person may have resolved the alert in PagerDuty, and the relay is not told.
#[test]
fn every_notice_of_a_lasting_incident_triggers_at_pagerduty() {
    let earlier = told(&notice(NoticeKind::Opened, Severity::Critical, 1), true);
    for kind in [NoticeKind::Reminder, NoticeKind::Worsened, NoticeKind::StoppedReporting] {
        let same = notice(kind, Severity::Critical, 3);
        let mut next = same.clone();
        next.generation = 2;
        next.opened_at = "2026-11-24T13:00:00Z".parse().unwrap();
        for (notice, told) in [(&same, Some(&earlier)), (&next, Some(&earlier)), (&same, None)] {
            let route = decide(notice, Channel::PagerDuty, LOWEST, told);
            assert_eq!(route, Route::Send(Action::Trigger, "severe enough"));
        }
    }
}

/// What PagerDuty has open, by routing key and dedup key.
#[derive(Default)]
struct PagerDuty(BTreeSet<(String, String)>);

impl PagerDuty {
    fn take(&mut self, action: Action, routing_key: &str, dedup_key: &str) {
        let alert = (routing_key.to_owned(), dedup_key.to_owned());
        match action {
            Action::Trigger => self.0.insert(alert),
            Action::Resolve => self.0.remove(&alert),
            // PagerDuty drops one of an alert that is not open.
            Action::Acknowledge => self.0.contains(&alert),
            Action::Inform => panic!("PagerDuty knows alerts only"),
        };
    }
}

/// The channels and what is remembered of each, with the decisions of this crate between them.
#[derive(Default)]
struct World {
    pagerduty: PagerDuty,
    chat: Vec<NoticeKind>,
    /// When the incidents opened of which somebody was paged.
    paged: BTreeSet<Timestamp>,
    ledger: BTreeMap<&'static str, LastDelivery>,
}

impl World {
    /// Delivers a notice; `dies` is whether the sender dies before it records what it sent.
    fn deliver(&mut self, notice: &Body, dies: bool, values: &SecretValues) {
        use secrecy::ExposeSecret as _;
        for channel in Channel::ALL {
            let told = self.ledger.get(channel.id()).cloned();
            let Route::Send(action, _) = decide(notice, channel, LOWEST, told.as_ref()) else { continue };
            let mut through = None;
            match channel {
                Channel::Chat => self.chat.push(notice.kind),
                Channel::PagerDuty => {
                    let open = told.filter(|told| told.open).and_then(|told| told.through);
                    let key = choose("pagerduty", values, action, open.as_ref()).unwrap();
                    if action == Action::Trigger {
                        self.paged.insert(notice.opened_at);
                    }
                    self.pagerduty.take(action, key.value.expose_secret(), &notice.dedup_key);
                    through = Some(key.fingerprint.clone());
                }
            }
            if !dies {
                self.ledger.insert(channel.id(), LastDelivery::after(notice, action, through));
            }
        }
    }
}

fn severity() -> impl Strategy<Value = Severity> {
    use Severity::*;
    prop::sample::select(vec![Info, Warning, Error, Critical])
}

/// The notices of one key: up to four incidents, each opened, told a few times and resolved, with a severity that only grows.
fn history() -> impl Strategy<Value = Vec<Body>> {
    let between = vec![
        NoticeKind::Worsened,
        NoticeKind::Reminder,
        NoticeKind::StoppedReporting,
        NoticeKind::Acknowledged,
    ];
    let incident = (
        prop::sample::select(vec![NoticeKind::Opened, NoticeKind::Flapping]),
        severity(),
        prop::collection::vec((prop::sample::select(between), severity()), 0..4),
        any::<bool>(),
    );
    prop::collection::vec(incident, 1..5).prop_map(|incidents| {
        let mut notices = Vec::new();
        let (mut generation, mut opened_at) = (0, "2026-11-24T11:00:00Z".parse::<Timestamp>().unwrap());
        for (first, mut worst, between, forgotten) in incidents {
            // A key that was forgotten counts from 1 again.
            generation = if forgotten { 1 } else { generation + 1 };
            opened_at += jiff::SignedDuration::from_hours(1);
            let kinds = [(first, worst)].into_iter().chain(between).chain([(NoticeKind::Resolved, worst)]);
            for (index, (kind, severity)) in kinds.enumerate() {
                // Who acknowledges makes it no worse.
                worst = if kind == NoticeKind::Acknowledged { worst } else { worst.max(severity) };
                let mut notice = notice(kind, worst, u32::try_from(index).unwrap() + 1);
                (notice.generation, notice.opened_at) = (generation, opened_at);
                notices.push(notice);
            }
        }
        notices
    })
}

/// Every notice at least once, some of them again, in any order.
fn deliveries() -> impl Strategy<Value = Vec<Body>> {
    (history(), prop::collection::vec(any::<prop::sample::Index>(), 0..12))
        .prop_map(|(notices, again)| {
            let again: Vec<_> = again.iter().map(|index| index.get(&notices).clone()).collect();
            [notices, again].concat()
        })
        .prop_shuffle()
}

const OLD: &str = "0123456789abcdef0123456789ABCDEF";
const NEW: &str = "R123456789abcdef0123456789ABCDEF";

fn before_rotation() -> SecretValues {
    SecretValues { current: OLD.into(), previous: None, webhook_id: None }
}

fn after_rotation() -> SecretValues {
    SecretValues { current: NEW.into(), previous: Some(OLD.into()), webhook_id: None }
}

proptest! {
    #[test]
    fn any_order_and_duplication_leaves_pagerduty_resolved(
        deliveries in deliveries(),
        rotated_after in 0_usize..30,
    ) {
        let mut world = World::default();
        for (index, notice) in deliveries.iter().enumerate() {
            let values = if index < rotated_after { before_rotation() } else { after_rotation() };
            world.deliver(notice, false, &values);
        }
        prop_assert_eq!(world.pagerduty.0, BTreeSet::new());
        // Whoever heard of something in the chat hears of its end last.
        if let Some(last) = world.chat.last() {
            prop_assert_eq!(*last, NoticeKind::Resolved);
        }
    }

    #[test]
    fn a_sender_that_dies_before_it_records_leaves_pagerduty_resolved_too(
        deliveries in deliveries(),
        deaths in prop::collection::vec(any::<bool>(), 0..40),
    ) {
        let (mut world, values) = (World::default(), before_rotation());
        let mut again = Vec::new();
        for (index, notice) in deliveries.iter().enumerate() {
            let dies = deaths.get(index).copied().unwrap_or_default();
            world.deliver(notice, dies, &values);
            if dies {
                again.push(notice);
            }
        }
        // The queue delivers again what was not acknowledged.
        for notice in again {
            world.deliver(notice, false, &values);
        }
        prop_assert_eq!(world.pagerduty.0, BTreeSet::new());
    }

    #[test]
    fn in_order_every_incident_that_is_severe_enough_pages(history in history()) {
        let (mut world, values) = (World::default(), before_rotation());
        for notice in &history {
            world.deliver(notice, false, &values);
        }
        let severe = history.iter().filter(|notice| notice.severity >= LOWEST);
        prop_assert_eq!(world.paged, severe.map(|notice| notice.opened_at).collect());
    }

    #[test]
    fn in_order_and_without_a_death_no_channel_is_told_anything_twice(history in history()) {
        let (mut world, values) = (World::default(), before_rotation());
        for notice in &history {
            world.deliver(notice, false, &values);
        }
        let told = world.chat.len();
        for notice in &history {
            world.deliver(notice, false, &values);
        }
        prop_assert_eq!(world.chat.len(), told);
    }
}
