//! What is to be done about the webhook at Census, and why. Pure.
//!
//! Census shows the secret of a webhook once, when it is made, and can make no new one for it. So a secret that is lost
//! means another webhook, and a rotation is a replacement.

use std::fmt;

use syncwatch::census::Webhook;

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// That the webhook exists and its secret is stored.
    Register,
    Rotate,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The webhooks that post to our endpoint.
    pub(crate) ours: Vec<Webhook>,
    /// Webhooks by our name that post elsewhere, perhaps to where the intake was before.
    pub(crate) elsewhere: Vec<Webhook>,
    pub(crate) secret: OurSecret,
}

/// What our secret holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OurSecret {
    Empty,
    /// A value that does not say of which webhook it is, as it was put by hand or by an older version.
    Unknown,
    /// The secret of this webhook.
    Of(u64),
}

/// What is to be done, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// No webhook posts to our endpoint: one is to be made, and its secret stored beside the value that we have.
    Create {
        keeps_previous: bool,
    },
    Keep {
        id: u64,
    },
    /// The webhook is ours and does not get these events: it is to get them.
    Subscribe {
        webhook: Webhook,
        missing: Vec<&'static str>,
    },
    /// A new secret was asked for: a second webhook is to be made, its secret stored, and then the old ones are to be deleted.
    Replace {
        old: Vec<u64>,
        keeps_previous: bool,
    },
    /// A person must decide first, for this reason.
    Refuse(String),
}

/// Decides what is to be done.
///
/// * nothing posts to our endpoint              => create
/// * a new secret is asked for                  => replace all that post to it
/// * one does, and we have its secret           => keep it, or subscribe it to the events that it does not get
/// * one does, and we have no secret            => refuse: it cannot be had again
/// * one does, and ours may be another's        => refuse: its deliveries may all be refused
/// * several do                                 => refuse: we cannot know whose secret we have
pub(crate) fn plan(wish: Wish, found: &Found) -> Plan {
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
        "webhook {id} posts to this endpoint and our secret is empty: Census showed its secret once, when it was made, and \
         cannot show it again. Put it into our secret if you have it, or run this with --rotate, which creates a second webhook \
         and then deletes this one"
    )
}

fn secret_of_another(id: u64, secret: OurSecret) -> String {
    let ours = match secret {
        OurSecret::Of(other) => {
            format!("our secret is that of webhook {other}, so every delivery is refused")
        }
        OurSecret::Empty | OurSecret::Unknown => "our secret does not say of which webhook it is".to_owned(),
    };
    format!(
        "webhook {id} posts to this endpoint, and {ours}. Run this with --rotate, which creates a second webhook, stores its \
         secret with its id, and then deletes this one"
    )
}

fn too_many(ids: &[u64]) -> String {
    format!(
        "webhooks {} all post to this endpoint, each with its own secret, so every event comes several times and all \
         but at most two of them are refused. Run this with --rotate, which creates one that \
         replaces all of them",
        listed(ids)
    )
}

impl Plan {
    pub(crate) fn is_nothing_to_do(&self) -> bool {
        matches!(self, Self::Keep { .. })
    }
}

fn ids(webhooks: &[Webhook]) -> Vec<u64> {
    webhooks.iter().map(|webhook| webhook.id).collect()
}

pub(crate) fn listed(ids: &[u64]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let previous =
            |keeps: bool| if keeps { ", and keep the value that we have as the previous one" } else { "" };
        f.write_str("Plan: ")?;
        match self {
            Self::Create { keeps_previous } => write!(
                f,
                "no webhook posts to this endpoint, so make one for every event and store its secret{}.",
                previous(*keeps_previous)
            ),
            Self::Keep { id } => {
                write!(f, "nothing; webhook {id} posts every event to this endpoint, and we have a secret.")
            }
            Self::Subscribe { webhook, missing } => write!(
                f,
                "webhook {} posts to this endpoint, and we have a secret, but it does not get {}: subscribe it to them.",
                webhook.id,
                missing.join(", ")
            ),
            Self::Replace { old, keeps_previous } => write!(
                f,
                "a new secret is asked for, so make a second webhook, store its secret{}, then delete {}.",
                previous(*keeps_previous),
                listed(old)
            ),
            Self::Refuse(why) => write!(f, "nothing, before a person decides: {why}"),
        }
    }
}

/// What people should know of a webhook by our name that posts elsewhere.
pub(crate) fn note(elsewhere: &Webhook) -> String {
    format!(
        "Note: webhook {} ({}) posts to {}. Delete it in Census if that is not your intake any more.",
        elsewhere.id,
        elsewhere.name.as_deref().unwrap_or("without a name"),
        elsewhere.endpoint.as_deref().unwrap_or("nowhere that Census shows")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncwatch::census::EVENTS;

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
    fn a_plan_says_why_and_only_one_says_that_there_is_nothing_to_do() {
        let plans = [
            Plan::Create { keeps_previous: true },
            Plan::Keep { id: 7 },
            Plan::Subscribe { webhook: webhook(7, &EVENTS[2..]), missing: EVENTS[..2].to_vec() },
            Plan::Replace { old: vec![7, 8], keeps_previous: false },
        ];
        assert_eq!(plans.iter().filter(|plan| plan.is_nothing_to_do()).count(), 1);
        let said: Vec<String> = plans.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        Plan: no webhook posts to this endpoint, so make one for every event and store its secret, and keep the value that we have as the previous one.
        Plan: nothing; webhook 7 posts every event to this endpoint, and we have a secret.
        Plan: webhook 7 posts to this endpoint, and we have a secret, but it does not get sync.alert.raised, sync.alert.resolved: subscribe it to them.
        Plan: a new secret is asked for, so make a second webhook, store its secret, then delete 7, 8.
        "#);
        insta::assert_snapshot!(too_many(&[7, 8]), @r#"webhooks 7, 8 all post to this endpoint, each with its own secret, so every event comes several times and all but at most two of them are refused. Run this with --rotate, which creates one that replaces all of them"#);
        insta::assert_snapshot!(secret_lost(7), @r#"webhook 7 posts to this endpoint and our secret is empty: Census showed its secret once, when it was made, and cannot show it again. Put it into our secret if you have it, or run this with --rotate, which creates a second webhook and then deletes this one"#);
        insta::assert_snapshot!(secret_of_another(8, OurSecret::Of(7)), @"webhook 8 posts to this endpoint, and our secret is that of webhook 7, so every delivery is refused. Run this with --rotate, which creates a second webhook, stores its secret with its id, and then deletes this one");
        insta::assert_snapshot!(note(&webhook(7, &[])), @r#"Note: webhook 7 (Syncwatch) posts to https://abc.on.aws/webhooks/census. Delete it in Census if that is not your intake any more."#);
    }
}
