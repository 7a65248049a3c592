//! Sorts a batch of messages: what can be settled at once, and what has to be looked at, sync by sync. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use syncwatch::observation::SyncId;
use syncwatch::pipeline::{Pipeline, Sync};
use syncwatch::runtime::batch::{self, Message};

use crate::delivery::{Delivery, Parsed, Poison, Refused, UnknownEvent, parse};

/// How often SQS hands out a message before it goes to the dead-letter queue; `max_receives` of `infra/functions.json`.
pub const MAX_RECEIVES: u32 = 5;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Its sync was looked at and judged.
    Handled,
    /// The same, though its run is so old that newer ones tell more.
    Late,
    /// A copy of it was handled before.
    Duplicate,
    /// Its sync is not declared.
    UnknownSync,
    /// Its event is not one that Census documents; it was kept.
    UnknownEvent,
    /// It says that a delivery was refused, which is recorded.
    Refusal,
    /// The poll sees the same state soon: a delivery is a hint, and not worth an entry in the dead-letter queue.
    LeftToPoll(Left),
    /// It can never be handled. It is tried again all the same, for Census may know the run a little later, and ends in
    /// the dead-letter queue.
    Poison(Poison),
    Failed(String),
}

/// Why a message is left to the poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// Census says by webhook that the run ended, and by API that it is at work.
    StillAtWork,
    /// Why it could not be handled at its last try: Census, a table or the topic refuses, or does not answer.
    LastTry(String),
}

impl Fate {
    /// Whether it is of a delivery of Census that arrived and was accepted, also if it is to be tried again.
    pub fn is_of_delivery(&self) -> bool {
        match self {
            Self::Handled
            | Self::Late
            | Self::Duplicate
            | Self::UnknownSync
            | Self::UnknownEvent
            | Self::LeftToPoll(_)
            | Self::Failed(_) => true,
            Self::Refusal | Self::Poison(_) => false,
        }
    }

    /// Whether SQS is to hand the message out again.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Poison(_) | Self::Failed(_))
    }
}

/// A delivery that has to be looked at or an event that is only kept, with every message of the batch that is a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint<T> {
    pub says: T,
    /// What is the same in every copy.
    pub key: String,
    /// The first of the messages that say it.
    pub message: Message,
    pub copies: Vec<Message>,
}

impl<T> Hint<T> {
    fn add(hints: &mut Vec<Self>, seen: &mut HashMap<String, usize>, key: String, says: T, message: Message) {
        let place = *seen.entry(key.clone()).or_insert(hints.len());
        match hints.get_mut(place) {
            Some(hint) => hint.copies.push(message),
            None => hints.push(Self { says, key, message, copies: Vec::new() }),
        }
    }

    fn take_duplicates(hints: &mut Vec<Self>, handled: &HashSet<String>) -> Vec<(Message, Fate)> {
        let duplicates = hints.extract_if(.., |hint| handled.contains(&hint.key));
        duplicates.flat_map(|hint| hint.settle(&Fate::Duplicate)).collect()
    }

    /// The fates of the message and its copies. A copy of what has to be tried again is tried again with it; a copy of
    /// what is done is a duplicate.
    pub fn settle(&self, fate: &Fate) -> Vec<(Message, Fate)> {
        let of_copy = if fate.is_failure() { fate } else { &Fate::Duplicate };
        let copies = self.copies.iter().map(|copy| (copy.clone(), of_copy.clone()));
        std::iter::once((self.message.clone(), fate.clone())).chain(copies).collect()
    }
}

/// A sorted batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Triage {
    pub settled: Vec<(Message, Fate)>,
    /// Deliveries to be looked at, each once.
    pub hints: Vec<Hint<Delivery>>,
    /// Events that are only to be kept, each once.
    pub kept: Vec<Hint<UnknownEvent>>,
    /// The newest word that a delivery was refused.
    pub refused: Option<Refused>,
}

impl Triage {
    /// Sorts a batch.
    ///
    /// * a message that can never be handled         => settled as poison
    /// * a sync that `pipeline.toml` does not declare => settled: counted, and no more
    /// * an event that Census does not document      => kept
    /// * anything else                               => a hint, its copies with it
    pub fn of(messages: Vec<Message>, pipeline: &Pipeline) -> Self {
        let mut triage = Self::default();
        let mut seen = HashMap::new();
        for message in messages {
            match parse(&message.body) {
                Err(poison) => triage.settled.push((message, Fate::Poison(poison))),
                Ok(Parsed::Refused(refused)) => {
                    if triage.refused.as_ref().is_none_or(|newest| newest.at < refused.at) {
                        triage.refused = Some(refused);
                    }
                    triage.settled.push((message, Fate::Refusal));
                }
                Ok(Parsed::Known(delivery)) if pipeline.sync_by_id(delivery.sync_id).is_none() => {
                    triage.settled.push((message, Fate::UnknownSync));
                }
                Ok(Parsed::Known(delivery)) => {
                    Hint::add(&mut triage.hints, &mut seen, delivery.key(), delivery, message);
                }
                Ok(Parsed::Unknown(event)) => {
                    Hint::add(&mut triage.kept, &mut seen, event.key(), event, message);
                }
            }
        }
        triage
    }

    /// The keys of all that is not settled.
    pub fn keys(&self) -> Vec<String> {
        let hints = self.hints.iter().map(|hint| &hint.key);
        hints.chain(self.kept.iter().map(|kept| &kept.key)).cloned().collect()
    }

    /// Settles what was handled before.
    pub fn settle_duplicates(&mut self, handled: &HashSet<String>) {
        self.settled.extend(Hint::take_duplicates(&mut self.hints, handled));
        self.settled.extend(Hint::take_duplicates(&mut self.kept, handled));
    }

    /// The hints by the sync that they are about: each sync is looked at once, however many they are.
    pub fn by_sync(hints: Vec<Hint<Delivery>>, pipeline: &Pipeline) -> Vec<(&Sync, Vec<Hint<Delivery>>)> {
        let mut groups: BTreeMap<SyncId, Vec<Hint<Delivery>>> = BTreeMap::new();
        for hint in hints {
            groups.entry(hint.says.sync_id).or_default().push(hint);
        }
        groups.into_iter().filter_map(|(id, hints)| Some((pipeline.sync_by_id(id)?, hints))).collect()
    }
}

/// Leaves what failed again to the poll, so that poison alone ends in the dead-letter queue. Done at the last try but one: one
/// is kept in hand for a crash.
pub fn leave_last_tries(settled: &mut [(Message, Fate)]) {
    for (message, fate) in settled {
        if let Fate::Failed(why) = fate
            && message.receives >= MAX_RECEIVES - 1
        {
            *fate = Fate::LeftToPoll(Left::LastTry(std::mem::take(why)));
        }
    }
}

/// The answer for SQS: which messages it is to hand out again.
pub fn answer(settled: &[(Message, Fate)]) -> Value {
    let failed = settled.iter().filter(|(_, fate)| fate.is_failure());
    batch::failures(failed.map(|(message, _)| message.id.as_str()))
}

#[cfg(test)]
mod tests;
