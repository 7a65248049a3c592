use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use syncwatch::aws::secrets::SecretValues;
use syncwatch::finding::Severity;
use syncwatch::pipeline::ChannelKind;

use super::*;
use crate::key::choose;
use crate::tests::samples::{channel, chat, notice, pagerduty};

/// A chat and a pager that both get errors.
fn channels() -> [Channel; 2] {
    [pagerduty(), chat()].map(|channel| Channel { lowest: Severity::Error, ..channel })
}

fn after(notice: &Body, open: bool) -> LastDelivery {
    LastDelivery { place: Place::of(notice), notice: notice.id.clone(), open, through: None }
}

fn words(route: Route) -> String {
    match route {
        Route::Send(action, reason) => format!("{action:?}: {reason}"),
        Route::Record(reason) => format!("-, recorded: {reason}"),
        Route::Skip(reason) => format!("-: {reason}"),
    }
}

#[test]
fn every_kind_has_its_route_at_every_channel() {
    let mut rows = Vec::new();
    let before = notice(NoticeKind::Opened, Severity::Critical, 1);
    for (name, last) in
        [("not sent", None), ("open", Some(after(&before, true))), ("closed", Some(after(&before, false)))]
    {
        for (channel, routed) in channels().iter().flat_map(|channel| [(channel, true), (channel, false)]) {
            for kind in NoticeKind::ALL {
                for severity in [Severity::Warning, Severity::Critical].into_iter().skip(usize::from(!routed))
                {
                    let route = decide(&notice(kind, severity, 2), channel, routed, last.as_ref());
                    let whose = if routed { "own" } else { "other" };
                    rows.push(format!(
                        "{name:8} | {whose:5} | {:9} | {:16} | {severity:8} | {}",
                        channel.to_string(),
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
fn all_kinds_of_chats_have_the_same_routes() {
    let before = after(&notice(NoticeKind::Opened, Severity::Critical, 1), true);
    for kind in NoticeKind::ALL {
        for (routed, last) in [(true, None), (false, None), (true, Some(&before)), (false, Some(&before))] {
            let route = |of| {
                decide(&notice(kind, Severity::Error, 2), &channel("x", of, Severity::Error), routed, last)
            };
            assert_eq!(route(ChannelKind::Teams), route(ChannelKind::Slack), "{kind:?}");
            assert_eq!(route(ChannelKind::Webhook), route(ChannelKind::Slack), "{kind:?}");
        }
    }
}

#[test]
fn acknowledgement_goes_where_its_incident_is_open() {
    let opened = notice(NoticeKind::Opened, Severity::Critical, 1);
    let mut acknowledged = notice(NoticeKind::Acknowledged, Severity::Info, 2);
    for (channel, routed) in channels().iter().flat_map(|channel| [(channel, true), (channel, false)]) {
        let route = |of: &Body, last: &LastDelivery| decide(of, channel, routed, Some(last));
        let sent = Route::Send(Action::Acknowledge, "acknowledged by a person");
        assert_eq!(route(&acknowledged, &after(&opened, true)), sent);
        let last = LastDelivery::after(&acknowledged, Action::Acknowledge, None);
        assert!(last.open);
        assert_eq!(route(&acknowledged, &last), Route::Skip("already sent"));
        let resolved = route(&notice(NoticeKind::Resolved, Severity::Critical, 3), &last);
        assert_eq!(resolved, Route::Send(Action::Resolve, "it is open at the channel"));
    }
    let skipped = Route::Skip("the incident was not sent to the channel");
    for last in [None, Some(&after(&opened, false))] {
        assert_eq!(decide(&acknowledged, &pagerduty(), true, last), skipped);
    }
    // The open alert is of an earlier incident of the key.
    acknowledged.opened_at = "2026-11-24T13:00:00Z".parse().unwrap();
    assert_eq!(decide(&acknowledged, &pagerduty(), true, Some(&after(&opened, true))), skipped);
}

#[test]
fn notice_of_the_lowest_severity_of_a_channel_is_sent() {
    for channel in channels() {
        let route = |severity| decide(&notice(NoticeKind::Opened, severity, 1), &channel, true, None);
        assert_eq!(route(Severity::Warning), Route::Skip("below the lowest severity of the channel"));
        assert_eq!(route(Severity::Error), Route::Send(Action::Trigger, "severe enough"));
    }
}

#[test]
fn marked_test_is_sent_at_any_severity() {
    for channel in channels() {
        for (kind, action) in [(NoticeKind::Opened, Action::Trigger), (NoticeKind::Resolved, Action::Resolve)]
        {
            let mut notice = notice(kind, Severity::Info, 1);
            notice.test = true;
            assert_eq!(decide(&notice, &channel, true, None), Route::Send(action, "a test"));
            assert!(!matches!(decide(&notice, &channel, false, None), Route::Send(..)));
        }
    }
}

#[test]
fn open_alert_is_resolved_despite_later_changes() {
    let opened = after(&notice(NoticeKind::Opened, Severity::Warning, 1), true);
    let resolved = notice(NoticeKind::Resolved, Severity::Warning, 2);
    // The lowest severity was raised, or the owner changed.
    for (channel, routed) in channels().iter().flat_map(|channel| [(channel, true), (channel, false)]) {
        let route = decide(&resolved, channel, routed, Some(&opened));
        assert_eq!(route, Route::Send(Action::Resolve, "it is open at the channel"));
    }
}

#[test]
fn late_trigger_reopens_nothing() {
    let resolved = after(&notice(NoticeKind::Resolved, Severity::Critical, 3), false);
    for kind in [NoticeKind::Opened, NoticeKind::Worsened, NoticeKind::Reminder, NoticeKind::StoppedReporting]
    {
        for channel in channels() {
            let route = decide(&notice(kind, Severity::Critical, 2), &channel, true, Some(&resolved));
            assert_eq!(route, Route::Skip("overtaken by a later notice"));
        }
    }
}

#[test]
fn late_end_of_an_incident_does_not_close_the_next() {
    let mut next = notice(NoticeKind::Opened, Severity::Critical, 1);
    next.generation = 2;
    next.opened_at = "2026-11-24T13:00:00Z".parse().unwrap();
    let late = notice(NoticeKind::Resolved, Severity::Critical, 2);
    for channel in channels() {
        let route = decide(&late, &channel, true, Some(&after(&next, true)));
        assert_eq!(route, Route::Skip("overtaken by a later notice"));
    }
}

#[test]
fn incident_with_restarted_generations_is_not_overtaken() {
    // The record of an incident is deleted 90 days after its end; generations and ids then begin again.
    let mut before = notice(NoticeKind::Resolved, Severity::Critical, 1);
    before.generation = 3;
    let mut restarted = notice(NoticeKind::Opened, Severity::Critical, 1);
    restarted.opened_at = "2027-02-27T09:00:00Z".parse().unwrap();
    for before in [before, notice(NoticeKind::Opened, Severity::Critical, 1)] {
        for channel in channels() {
            let route = decide(&restarted, &channel, true, Some(&after(&before, false)));
            assert_eq!(route, Route::Send(Action::Trigger, "severe enough"));
        }
    }
}

/// A person may have resolved the alert in PagerDuty, which the relay does not know.
#[test]
fn every_notice_of_a_lasting_incident_triggers_at_pagerduty() {
    let earlier = after(&notice(NoticeKind::Opened, Severity::Critical, 1), true);
    for kind in [NoticeKind::Reminder, NoticeKind::Worsened, NoticeKind::StoppedReporting] {
        let same = notice(kind, Severity::Critical, 3);
        let mut next = same.clone();
        next.generation = 2;
        next.opened_at = "2026-11-24T13:00:00Z".parse().unwrap();
        for (notice, last) in [(&same, Some(&earlier)), (&next, Some(&earlier)), (&same, None)] {
            let route = decide(notice, &pagerduty(), true, last);
            assert_eq!(route, Route::Send(Action::Trigger, "severe enough"));
        }
    }
}

/// The open alerts of PagerDuty, by routing key and dedup key.
#[derive(Default)]
struct PagerDuty(BTreeSet<(String, String)>);

impl PagerDuty {
    fn accept(&mut self, action: Action, routing_key: &str, dedup_key: &str) {
        let alert = (routing_key.to_owned(), dedup_key.to_owned());
        match action {
            Action::Trigger => self.0.insert(alert),
            Action::Resolve => self.0.remove(&alert),
            // PagerDuty drops an acknowledgement without an open alert.
            Action::Acknowledge => self.0.contains(&alert),
            // A change event opens no alert.
            Action::Change => true,
            Action::Inform => panic!("PagerDuty takes alerts only"),
        };
    }
}

/// Two owners, each with a chat and a pager, and the decisions of this crate between them and the notices.
#[derive(Default)]
struct World {
    pagerduty: PagerDuty,
    /// The kinds that each chat got, in order.
    chats: BTreeMap<String, Vec<NoticeKind>>,
    /// When the incidents opened that paged.
    paged: BTreeSet<Timestamp>,
    ledger: BTreeMap<String, LastDelivery>,
}

const OWNERS: [&str; 2] = ["ada", "bob"];

impl World {
    /// Delivers a notice; `dies` is whether the sender dies before it records the delivery.
    fn deliver(&mut self, notice: &Body, dies: bool, values: &SecretValues) {
        for owner in OWNERS {
            let routed = notice.owner.as_deref() == Some(owner);
            for kind in [ChannelKind::PagerDuty, ChannelKind::Slack] {
                let channel = channel(&format!("{owner} {kind}"), kind, Severity::Error);
                if routed || is_for_all(notice.kind) {
                    self.deliver_to(&channel, routed, notice, dies, values);
                }
            }
        }
    }

    fn deliver_to(
        &mut self,
        channel: &Channel,
        routed: bool,
        notice: &Body,
        dies: bool,
        values: &SecretValues,
    ) {
        use secrecy::ExposeSecret as _;
        let last = self.ledger.get(&channel.name).cloned();
        let mut through = None;
        let action = match decide(notice, channel, routed, last.as_ref()) {
            Route::Skip(_) => return,
            Route::Record(_) => Action::Resolve,
            Route::Send(action, _) if channel.kind.pages() => {
                let open = last.filter(|last| last.open).and_then(|last| last.through);
                let key = choose("pagerduty", values, action, open.as_ref()).unwrap();
                if action == Action::Trigger {
                    self.paged.insert(notice.opened_at);
                }
                let service = format!("{} {}", channel.name, key.value.expose_secret());
                self.pagerduty.accept(action, &service, &notice.dedup_key);
                through = Some(key.fingerprint);
                action
            }
            Route::Send(action, _) => {
                self.chats.entry(channel.name.clone()).or_default().push(notice.kind);
                action
            }
        };
        if !dies {
            self.ledger.insert(channel.name.clone(), LastDelivery::after(notice, action, through));
        }
    }
}

fn severity() -> impl Strategy<Value = Severity> {
    use Severity::*;
    prop::sample::select(vec![Info, Warning, Error, Critical])
}

/// The notices of one key: up to four incidents, each opened, updated a few times and resolved, with a severity that only grows.
/// The owner of each notice is one of these.
fn history(owners: &'static [&'static str]) -> impl Strategy<Value = Vec<Body>> {
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
        prop::collection::vec(prop::sample::select(owners), 6),
    );
    prop::collection::vec(incident, 1..5).prop_map(|incidents| {
        let mut notices = Vec::new();
        let (mut generation, mut opened_at) = (0, "2026-11-24T11:00:00Z".parse::<Timestamp>().unwrap());
        for (first, mut worst, between, deleted, owners) in incidents {
            // Without the record of the last incident, generations count from 1 again.
            generation = if deleted { 1 } else { generation + 1 };
            opened_at += jiff::SignedDuration::from_hours(1);
            let kinds = [(first, worst)].into_iter().chain(between).chain([(NoticeKind::Resolved, worst)]);
            for ((index, (kind, severity)), owner) in kinds.enumerate().zip(owners) {
                // An acknowledgement does not change the severity.
                worst = if kind == NoticeKind::Acknowledged { worst } else { worst.max(severity) };
                let mut notice = notice(kind, worst, u32::try_from(index).unwrap() + 1);
                (notice.generation, notice.opened_at) = (generation, opened_at);
                notice.owner = Some(owner.to_owned());
                notices.push(notice);
            }
        }
        notices
    })
}

/// Every notice at least once, some of them again, in any order.
fn deliveries(owners: &'static [&'static str]) -> impl Strategy<Value = Vec<Body>> {
    (history(owners), prop::collection::vec(any::<prop::sample::Index>(), 0..12))
        .prop_map(|(notices, again)| {
            let again: Vec<_> = again.iter().map(|index| index.get(&notices).clone()).collect();
            [notices, again].concat()
        })
        .prop_shuffle()
}

const OLD: &str = "0123456789abcdef0123456789ABCDEF";
const NEW: &str = "R123456789abcdef0123456789ABCDEF";

fn before_rotation() -> SecretValues {
    SecretValues::only(OLD.into())
}

fn after_rotation() -> SecretValues {
    SecretValues { previous: Some(OLD.into()), ..SecretValues::only(NEW.into()) }
}

proptest! {
    #[test]
    fn any_order_of_deliveries_leaves_pagerduty_resolved(
        deliveries in deliveries(&OWNERS),
        rotated_after in 0_usize..30,
    ) {
        let mut world = World::default();
        for (index, notice) in deliveries.iter().enumerate() {
            let values = if index < rotated_after { before_rotation() } else { after_rotation() };
            world.deliver(notice, false, &values);
        }
        prop_assert_eq!(world.pagerduty.0, BTreeSet::new());
        // The last message of each chat is an end.
        for chat in world.chats.values() {
            prop_assert_eq!(chat.last(), Some(&NoticeKind::Resolved));
        }
    }

    #[test]
    fn death_before_recording_leaves_pagerduty_resolved(
        deliveries in deliveries(&OWNERS[..1]),
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
        // SQS delivers a message again until it is done.
        for notice in again {
            world.deliver(notice, false, &values);
        }
        prop_assert_eq!(world.pagerduty.0, BTreeSet::new());
    }

    #[test]
    fn every_incident_that_is_severe_enough_pages(history in history(&OWNERS)) {
        let (mut world, values) = (World::default(), before_rotation());
        for notice in &history {
            world.deliver(notice, false, &values);
        }
        let severe = history.iter().filter(|notice| notice.severity >= Severity::Error);
        prop_assert_eq!(world.paged, severe.map(|notice| notice.opened_at).collect());
    }

    #[test]
    fn notice_that_is_delivered_twice_is_sent_once(history in history(&OWNERS)) {
        let (mut world, values) = (World::default(), before_rotation());
        for notice in &history {
            world.deliver(notice, false, &values);
        }
        let sent = world.chats.clone();
        for notice in &history {
            world.deliver(notice, false, &values);
        }
        prop_assert_eq!(world.chats, sent);
    }
}
