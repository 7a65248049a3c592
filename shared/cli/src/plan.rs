//! What is to be done about the webhook at Census, and why. Pure.
//!
//! Census shows the secret of a webhook once, when it is made, and can make no new one for it. So a secret that is lost
//! means another webhook, and a rotation is a replacement.

use std::fmt;

use syncwatch::census::Webhook;

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// That the webhook exists and its secret is stored.
    Register,
    Rotate,
}

/// What our own secret holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// It exists, and nobody has put a value into it.
    Empty,
    Filled,
}

/// A webhook by our name that posts elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere(pub Webhook);

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The webhooks that post to our endpoint.
    pub ours: Vec<Webhook>,
    /// Webhooks by our name that post elsewhere, perhaps to where the intake was before.
    pub elsewhere: Vec<Elsewhere>,
    pub slot: Slot,
}

/// What is to be done, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// No webhook posts to our endpoint: one is to be made, and its secret stored.
    Create {
        /// Our secret has a value, which stays as the previous one.
        keeps_previous: bool,
    },
    Keep {
        id: u64,
    },
    /// The webhook is ours and does not get every event: it is to get them.
    Subscribe {
        webhook: Webhook,
        /// The events that it does not get.
        missing: Vec<&'static str>,
    },
    /// A new secret was asked for: a second webhook is to be made, its secret stored, and then these are to be deleted.
    Replace {
        /// The webhooks that post to our endpoint now.
        old: Vec<u64>,
        /// Our secret has a value, which stays as the previous one.
        keeps_previous: bool,
    },
    Refuse(Refusal),
}

/// Why nothing is done before somebody decides.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The webhook exists and our secret is empty.
    #[error(
        "webhook {id} posts to this endpoint and our secret is empty: Census showed its secret once, when it was made, and \
         cannot show it again. Put it into our secret if you have it, or run this with --rotate, which creates a second webhook \
         and then deletes this one"
    )]
    SecretLost { id: u64 },
    /// Several webhooks post to our endpoint.
    #[error(
        "webhooks {} all post to this endpoint, each with its own secret, so every event comes several times and all \
         but at most two of them are refused. Run this with --rotate, which creates one that \
         replaces all of them",
        listed(ids)
    )]
    Several { ids: Vec<u64> },
}

/// Decides what is to be done.
///
/// * nothing posts to our endpoint              => create
/// * a new secret is asked for                  => replace all that post to it
/// * one does, and we have a secret             => keep it, or subscribe it to the events that it does not get
/// * one does, and we have no secret            => refuse: it cannot be had again
/// * several do                                 => refuse: we cannot know whose secret we have
pub fn plan(wish: Wish, found: &Found) -> Plan {
    let keeps_previous = found.slot == Slot::Filled;
    match (found.ours.as_slice(), wish, found.slot) {
        ([], _, _) => Plan::Create { keeps_previous },
        (ours, Wish::Rotate, _) => Plan::Replace { old: ids(ours), keeps_previous },
        ([only], Wish::Register, Slot::Empty) => Plan::Refuse(Refusal::SecretLost { id: only.id }),
        ([only], Wish::Register, Slot::Filled) => {
            let missing = only.missing_events();
            if missing.is_empty() {
                Plan::Keep { id: only.id }
            } else {
                Plan::Subscribe { webhook: only.clone(), missing }
            }
        }
        (several, Wish::Register, _) => Plan::Refuse(Refusal::Several { ids: ids(several) }),
    }
}

impl Plan {
    /// Whether all is as it should be.
    pub fn is_nothing_to_do(&self) -> bool {
        matches!(self, Self::Keep { .. })
    }
}

fn ids(webhooks: &[Webhook]) -> Vec<u64> {
    webhooks.iter().map(|webhook| webhook.id).collect()
}

fn listed(ids: &[u64]) -> String {
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
            Self::Refuse(refusal) => write!(f, "nothing, before somebody decides: {refusal}"),
        }
    }
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Webhook { id, name, endpoint, .. } = &self.0;
        write!(
            f,
            "Note: webhook {id} ({}) posts to {}. Delete it in Census if that is not your intake any more.",
            name.as_deref().unwrap_or("without a name"),
            endpoint.as_deref().unwrap_or("nowhere that Census shows")
        )
    }
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
        let lost = Plan::Refuse(Refusal::SecretLost { id: 7 });
        let several = Plan::Refuse(Refusal::Several { ids: vec![7, 8] });
        let table = [
            (register, vec![], Slot::Empty, create(false)),
            (register, vec![], Slot::Filled, create(true)),
            (rotate, vec![], Slot::Empty, create(false)),
            (rotate, vec![], Slot::Filled, create(true)),
            (register, vec![all()], Slot::Filled, Plan::Keep { id: 7 }),
            (register, vec![each()], Slot::Filled, Plan::Keep { id: 7 }),
            (register, vec![few()], Slot::Filled, Plan::Subscribe { webhook: few(), missing }),
            (register, vec![all()], Slot::Empty, lost.clone()),
            (register, vec![few()], Slot::Empty, lost),
            (rotate, vec![all()], Slot::Empty, replace(&[7], false)),
            (rotate, vec![few()], Slot::Filled, replace(&[7], true)),
            (register, vec![all(), webhook(8, &[])], Slot::Empty, several.clone()),
            (register, vec![all(), webhook(8, &[])], Slot::Filled, several),
            (rotate, vec![all(), webhook(8, &[])], Slot::Filled, replace(&[7, 8], true)),
        ];
        for (wish, ours, slot, expected) in table {
            let found = Found { ours, elsewhere: Vec::new(), slot };
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
        insta::assert_snapshot!(Refusal::Several { ids: vec![7, 8] }, @r#"webhooks 7, 8 all post to this endpoint, each with its own secret, so every event comes several times and all but at most two of them are refused. Run this with --rotate, which creates one that replaces all of them"#);
        insta::assert_snapshot!(Refusal::SecretLost { id: 7 }, @r#"webhook 7 posts to this endpoint and our secret is empty: Census showed its secret once, when it was made, and cannot show it again. Put it into our secret if you have it, or run this with --rotate, which creates a second webhook and then deletes this one"#);
        insta::assert_snapshot!(Elsewhere(webhook(7, &[])), @r#"Note: webhook 7 (Syncwatch) posts to https://abc.on.aws/webhooks/census. Delete it in Census if that is not your intake any more."#);
    }
}
