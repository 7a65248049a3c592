//! Decides how to set up the webhook at Census. Pure.
//!
//! Census shows the secret of a webhook once, at creation, and cannot issue another. So a lost secret requires a new
//! webhook, and a rotation is a replacement.

use std::fmt;

use crate::census::Webhook;

/// A request of the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Ensure that the webhook exists and its secret is stored.
    Register,
    Rotate,
}

/// Both sides of a registration as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Webhooks that post to our endpoint.
    pub ours: Vec<Webhook>,
    /// Webhooks with our name that post elsewhere, perhaps to a former intake.
    pub elsewhere: Vec<Webhook>,
    pub secret: OurSecret,
}

/// Content of our secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OurSecret {
    Empty,
    /// A value without a webhook id, stored by hand or by an older version.
    Unknown,
    /// The secret of the webhook with this id.
    Of(u64),
}

/// A decision, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// No webhook posts to our endpoint: create one and store its secret beside the current value.
    Create {
        keeps_previous: bool,
    },
    Keep {
        id: u64,
    },
    /// Our webhook does not get these events: subscribe it to them.
    Subscribe {
        webhook: Webhook,
        missing: Vec<&'static str>,
    },
    /// A new secret was requested: create a webhook, store its secret, then delete the old ones.
    Replace {
        old: Vec<u64>,
        keeps_previous: bool,
    },
    /// A person must decide first, for this reason.
    Refuse(String),
}

/// Decides the plan.
///
/// * nothing posts to our endpoint              => create
/// * a new secret is requested                  => replace all that post to it
/// * one does, and we have its secret           => keep it, or subscribe it to the events that it does not get
/// * one does, and we have no secret            => refuse: Census cannot show it again
/// * one does, and ours may be another's        => refuse: its deliveries may all be refused
/// * several do                                 => refuse: we cannot know whose secret we have
pub fn plan(wish: Wish, found: &Found) -> Plan {
    let keeps_previous = found.secret != OurSecret::Empty;
    match (found.ours.as_slice(), wish) {
        ([], _) => Plan::Create { keeps_previous },
        (ours, Wish::Rotate) => Plan::Replace { old: ids(ours), keeps_previous },
        ([only], Wish::Register) => match found.secret {
            OurSecret::Empty => Plan::Refuse(secret_lost(only.id)),
            OurSecret::Of(id) if id == only.id => match only.missing_events() {
                missing if missing.is_empty() => Plan::Keep { id: only.id },
                missing => Plan::Subscribe { webhook: only.clone(), missing },
            },
            OurSecret::Unknown | OurSecret::Of(_) => Plan::Refuse(secret_of_another(only.id, found.secret)),
        },
        (several, Wish::Register) => Plan::Refuse(too_many(&ids(several))),
    }
}

fn secret_lost(id: u64) -> String {
    format!(
        "webhook {id} posts to this endpoint but our secret is empty, and Census shows a secret only at creation. Store the \
         secret if you have it, or run `syncwatch webhook-register` with --rotate to replace the webhook"
    )
}

fn secret_of_another(id: u64, secret: OurSecret) -> String {
    let ours = match secret {
        OurSecret::Of(other) => {
            format!("our secret is that of webhook {other}, so every delivery is refused")
        }
        OurSecret::Empty | OurSecret::Unknown => "our secret has no webhook id".to_owned(),
    };
    format!(
        "webhook {id} posts to this endpoint, but {ours}. Run `syncwatch webhook-register` with --rotate to create a new \
         webhook, store its secret with its id, and delete this one"
    )
}

fn too_many(ids: &[u64]) -> String {
    format!(
        "webhooks {} all post to this endpoint, each with its own secret, so every event arrives several times and all \
         but at most two copies are refused. Run `syncwatch webhook-register` with --rotate to replace them with one",
        listed(ids)
    )
}

impl Plan {
    /// Returns whether both sides are right already.
    pub fn is_nothing_to_do(&self) -> bool {
        matches!(self, Self::Keep { .. })
    }
}

fn ids(webhooks: &[Webhook]) -> Vec<u64> {
    webhooks.iter().map(|webhook| webhook.id).collect()
}

pub(super) fn listed(ids: &[u64]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let previous =
            |keeps: bool| if keeps { ", keeping the current value as the previous one" } else { "" };
        f.write_str("Plan: ")?;
        match self {
            Self::Create { keeps_previous } => write!(
                f,
                "no webhook posts to this endpoint; create one for all events and store its secret{}.",
                previous(*keeps_previous)
            ),
            Self::Keep { id } => {
                write!(
                    f,
                    "nothing to do; webhook {id} posts all events to this endpoint and its secret is stored."
                )
            }
            Self::Subscribe { webhook, missing } => write!(
                f,
                "webhook {} posts to this endpoint and its secret is stored, but it does not get {}; subscribe it.",
                webhook.id,
                missing.join(", ")
            ),
            Self::Replace { old, keeps_previous } => write!(
                f,
                "a new secret was requested; create a second webhook, store its secret{}, then delete {}.",
                previous(*keeps_previous),
                listed(old)
            ),
            Self::Refuse(why) => write!(f, "none until a person decides: {why}"),
        }
    }
}

/// Renders a note about a webhook with our name that posts elsewhere.
pub fn note(elsewhere: &Webhook) -> String {
    format!(
        "Note: webhook {} ({}) posts to {}. Delete it in Census if that is no longer your intake.",
        elsewhere.id,
        elsewhere.name.as_deref().unwrap_or("unnamed"),
        elsewhere.endpoint.as_deref().unwrap_or("an unknown address")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::census::EVENTS;

    fn webhook(id: u64, events: &[&str]) -> Webhook {
        Webhook {
            id,
            name: Some("Syncwatch".to_owned()),
            endpoint: Some("https://abc.on.aws/webhooks/census".to_owned()),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
        }
    }

    #[test]
    fn each_state_of_the_two_sides_has_its_plan() {
        let (register, rotate) = (Wish::Register, Wish::Rotate);
        let all = || webhook(7, &[]);
        let each = || webhook(7, &EVENTS);
        let few = || webhook(7, &EVENTS[2..]);
        let missing = EVENTS[..2].to_vec();
        let create = |keeps_previous| Plan::Create { keeps_previous };
        let replace = |old: &[u64], keeps_previous| Plan::Replace { old: old.to_vec(), keeps_previous };
        let lost = Plan::Refuse(secret_lost(7));
        let several = Plan::Refuse(too_many(&[7, 8]));
        let (of, empty) = (OurSecret::Of(7), OurSecret::Empty);
        let table = [
            (register, vec![], empty, create(false)),
            (register, vec![], of, create(true)),
            (rotate, vec![], empty, create(false)),
            (rotate, vec![], of, create(true)),
            (register, vec![all()], of, Plan::Keep { id: 7 }),
            (register, vec![each()], of, Plan::Keep { id: 7 }),
            (register, vec![few()], of, Plan::Subscribe { webhook: few(), missing }),
            (register, vec![all()], empty, lost.clone()),
            (register, vec![few()], empty, lost),
            (
                register,
                vec![all()],
                OurSecret::Unknown,
                Plan::Refuse(secret_of_another(7, OurSecret::Unknown)),
            ),
            (register, vec![few()], OurSecret::Of(6), Plan::Refuse(secret_of_another(7, OurSecret::Of(6)))),
            (rotate, vec![all()], OurSecret::Unknown, replace(&[7], true)),
            (rotate, vec![all()], empty, replace(&[7], false)),
            (rotate, vec![few()], of, replace(&[7], true)),
            (register, vec![all(), webhook(8, &[])], empty, several.clone()),
            (register, vec![all(), webhook(8, &[])], of, several),
            (rotate, vec![all(), webhook(8, &[])], of, replace(&[7, 8], true)),
        ];
        for (wish, ours, secret, expected) in table {
            let found = Found { ours, elsewhere: Vec::new(), secret };
            assert_eq!(plan(wish, &found), expected, "{wish:?} of {found:?}");
        }
    }

    #[test]
    fn plan_shows_its_reason_and_only_keep_does_nothing() {
        let plans = [
            Plan::Create { keeps_previous: true },
            Plan::Keep { id: 7 },
            Plan::Subscribe { webhook: webhook(7, &EVENTS[2..]), missing: EVENTS[..2].to_vec() },
            Plan::Replace { old: vec![7, 8], keeps_previous: false },
        ];
        assert_eq!(plans.iter().filter(|plan| plan.is_nothing_to_do()).count(), 1);
        let shown: Vec<String> = plans.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        Plan: no webhook posts to this endpoint; create one for all events and store its secret, keeping the current value as the previous one.
        Plan: nothing to do; webhook 7 posts all events to this endpoint and its secret is stored.
        Plan: webhook 7 posts to this endpoint and its secret is stored, but it does not get sync.alert.raised, sync.alert.resolved; subscribe it.
        Plan: a new secret was requested; create a second webhook, store its secret, then delete 7, 8.
        "#);
        insta::assert_snapshot!(too_many(&[7, 8]), @"webhooks 7, 8 all post to this endpoint, each with its own secret, so every event arrives several times and all but at most two copies are refused. Run `syncwatch webhook-register` with --rotate to replace them with one");
        insta::assert_snapshot!(secret_lost(7), @"webhook 7 posts to this endpoint but our secret is empty, and Census shows a secret only at creation. Store the secret if you have it, or run `syncwatch webhook-register` with --rotate to replace the webhook");
        insta::assert_snapshot!(secret_of_another(8, OurSecret::Of(7)), @"webhook 8 posts to this endpoint, but our secret is that of webhook 7, so every delivery is refused. Run `syncwatch webhook-register` with --rotate to create a new webhook, store its secret with its id, and delete this one");
        insta::assert_snapshot!(note(&webhook(7, &[])), @r#"Note: webhook 7 (Syncwatch) posts to https://abc.on.aws/webhooks/census. Delete it in Census if that is no longer your intake."#);
    }
}
