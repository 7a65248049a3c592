use proptest::prelude::*;

use super::*;
use crate::figure::Figure;
use crate::finding::Severity;
use crate::incident::{Acknowledged, Episode, Hold};

/// Applies an update as DynamoDB would, to an item with leftovers of an earlier state.
fn stored(incident: &Incident) -> Item {
    let mut item = key(&incident.key);
    for leftover in [PENDING_KIND, PENDING_SINCE, RESOLVED_AT] {
        item.insert(leftover.to_owned(), AttributeValue::S("leftover".to_owned()));
    }
    update(incident, Expected::Absent, "w").apply(&mut item);
    item
}

fn read(item: &Item) -> Result<Incident, Error> {
    super::read(&Reader::new(item, "t", &SPEC))
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (0_i64..4_000_000_000, 0_i32..1_000_000_000).prop_map(|(s, ns)| Timestamp::new(s, ns).unwrap())
}

prop_compose! {
    fn course()(
        evaluated_at in proptest::option::of(instant()),
        healthy_since in proptest::option::of(instant()),
        stopped_at in proptest::option::of(instant()),
        (sequence, reminders, held_back) in any::<(u32, u32, u32)>(),
        openings in proptest::collection::vec(instant(), 0..4),
        flapping in any::<bool>(),
        (began_at, forgotten_until) in (proptest::option::of(instant()), proptest::option::of(instant())),
        episodes in proptest::collection::vec((instant(), instant(), proptest::option::of(instant())), 0..3),
    ) -> Course {
        let episode = |(began_at, told_at, resolved_at)| Episode {
            began_at, told_at, sent_at: resolved_at, resolved_at,
        };
        Course {
            evaluated_at, healthy_since, stopped_at, sequence, reminders, held_back, flapping, began_at,
            forgotten_until, episodes: episodes.into_iter().map(episode).collect(),
            earlier: openings.clone(), acknowledgements: openings.clone(), sent: openings.clone(), openings,
            ..Course::default()
        }
    }
}

prop_compose! {
    fn incident()(
        pipeline in "[a-z-]{1,20}",
        check in proptest::sample::select(Check::ALL),
        subject in ".{1,20}",
        (generation, version) in (1_u64.., 1_u64..),
        state in proptest::sample::select(vec![State::Watching, State::Held, State::Open, State::Resolved]),
        severity in proptest::sample::select(
            vec![Severity::Info, Severity::Warning, Severity::Error, Severity::Critical]),
        opened_at in instant(),
        resolved_at in proptest::option::of(instant()),
        (summary, cause) in (".*", ".*"),
        figures in proptest::collection::vec((".*", ".*"), 0..4),
        pending in proptest::option::of((
            proptest::sample::select(NoticeKind::ALL.to_vec()),
            instant(),
        )),
        (class, group, silence, acknowledged) in (
            proptest::option::of(".{1,20}"),
            proptest::option::of(".{1,20}"),
            proptest::option::of(".{1,20}"),
            proptest::option::of((".{1,20}", instant(), instant())),
        ),
        course in course(),
    ) -> Incident {
        let figures = figures.into_iter().map(|(name, value)| Figure::new(&name, value)).collect();
        Incident {
            key: IncidentKey { pipeline, check, subject },
            generation, version, state, severity, opened_at, resolved_at,
            evidence: Evidence { summary, figures, since: None },
            cause,
            class,
            group,
            pending: pending.map(|(kind, since)| Pending { kind, since }),
            hold: silence.map(|id| Hold::Silence { id }),
            acknowledged: acknowledged.map(|(by, at, until)| Acknowledged { by, at, until }),
            course,
        }
    }
}

proptest! {
    #[test]
    fn stored_incident_is_read_back(incident in incident()) {
        prop_assert_eq!(read(&stored(&incident)).unwrap(), incident);
    }

    #[test]
    fn only_resolved_incident_expires_after_90_days(incident in incident()) {
        let expires_at = stored(&incident).get(EXPIRES_AT).cloned();
        let due = incident.resolved_at.filter(|_| incident.state == State::Resolved);
        let due = due.map(|at| AttributeValue::N((at.as_second() + 90 * 86_400).to_string()));
        prop_assert_eq!(expires_at, due);
    }

    #[test]
    fn invalid_item_names_its_key_and_attribute(
        incident in incident(),
        name in proptest::sample::select(
            vec![CHECK_SUBJECT, STATE, SEVERITY, OPENED_AT, GENERATION, VERSION, SUMMARY, FIGURES, CAUSE]),
        invalid in proptest::sample::select(
            vec![None, Some(AttributeValue::Bool(true)), Some(AttributeValue::L(Vec::new()))]),
    ) {
        let mut item = stored(&incident);
        item.remove(name);
        if let Some(value) = invalid {
            item.insert(name.to_owned(), value);
        }
        let text = read(&item).unwrap_err().to_string();
        let key = format!("table t: item {}/", incident.key.pipeline);
        let attribute = format!("`{name}`");
        prop_assert!(text.starts_with(&key) && text.contains(&attribute), "{}", text);
    }
}
