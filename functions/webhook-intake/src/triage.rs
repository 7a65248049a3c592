//! Sorts a batch of messages into those settled at once and those that need a check of their sync. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use syncwatch::observation::SyncId;
use syncwatch::pipeline::{Pipeline, Sync};
use syncwatch::runtime::batch::{self, Message};

use crate::delivery::{Delivery, Parsed, Poison, Refused, UnknownEvent, parse};

/// SQS delivers a message this often before it moves to the dead-letter queue; `max_receives` of `infra/functions.json`.
pub const MAX_RECEIVES: u32 = 5;

/// The result of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Its sync was read and judged.
    Handled,
    /// Its sync was read and judged; its run is older than the newest runs.
    Late,
    /// A copy of it was handled before.
    Duplicate,
    /// Its sync is not declared.
    UnknownSync,
    /// Census does not document its event; the event was recorded.
    UnknownEvent,
    /// It reports a refused delivery, which was recorded.
    Refusal,
    /// The next poll reads the same state. A delivery is only a hint, so it does not go to the dead-letter queue.
    LeftToPoll(Left),
    /// It can never be handled. It is still retried, because Census may know the run a little later, and ends in the
    /// dead-letter queue.
    Poison(Poison),
    Failed(String),
}

/// The reason why a message is left to the poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// The webhook reports the end of the run, and the API still shows it running.
    StillAtWork,
    /// The last try failed for this reason: Census, a table or the topic refuses, or does not answer.
    LastTry(String),
}

impl Fate {
    /// Whether the message was an accepted delivery of Census, including one to be retried.
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

    /// Whether SQS must deliver the message again.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Poison(_) | Self::Failed(_))
    }
}

/// A delivery to check or an event to record, with all its copies in the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint<T> {
    pub payload: T,
    /// The same in every copy.
    pub key: String,
    /// The first of the messages.
    pub message: Message,
    pub copies: Vec<Message>,
}

impl<T> Hint<T> {
    fn add(
        hints: &mut Vec<Self>,
        seen: &mut HashMap<String, usize>,
        key: String,
        payload: T,
        message: Message,
    ) {
        let place = *seen.entry(key.clone()).or_insert(hints.len());
        match hints.get_mut(place) {
            Some(hint) => hint.copies.push(message),
            None => hints.push(Self { payload, key, message, copies: Vec::new() }),
        }
    }

    fn take_duplicates(hints: &mut Vec<Self>, handled: &HashSet<String>) -> Vec<(Message, Fate)> {
        let duplicates = hints.extract_if(.., |hint| handled.contains(&hint.key));
        duplicates.flat_map(|hint| hint.settle(&Fate::Duplicate)).collect()
    }

    /// Settles the message and its copies. The copies of a failed message are retried with it; other copies are duplicates.
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
    /// Deliveries to check, each once.
    pub hints: Vec<Hint<Delivery>>,
    /// Events to record, each once.
    pub kept: Vec<Hint<UnknownEvent>>,
    /// The newest report of a refused delivery.
    pub refused: Option<Refused>,
}

impl Triage {
    /// Sorts a batch.
    ///
    /// * a message that can never be handled         => settled as poison
    /// * a sync that `pipeline.toml` does not declare => settled: only counted
    /// * an event that Census does not document      => kept
    /// * anything else                               => a hint, with its copies
    pub fn of(messages: Vec<Message>, pipeline: &Pipeline) -> Self {
        let mut triage = Self::default();
        let mut seen = HashMap::new();
        for message in messages {
            match parse(&message.body) {
                Err(poison) => triage.settled.push((message, Fate::Poison(poison))),
                Ok(Parsed::Refused(refused)) => {
                    let known = triage.refused.take();
                    triage.refused = known.into_iter().chain([refused]).max_by_key(|refused| refused.at);
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

    /// Lists the keys of everything that is not settled.
    pub fn keys(&self) -> Vec<String> {
        let hints = self.hints.iter().map(|hint| &hint.key);
        hints.chain(self.kept.iter().map(|kept| &kept.key)).cloned().collect()
    }

    /// Settles the deliveries and events that were handled before.
    pub fn settle_duplicates(&mut self, handled: &HashSet<String>) {
        self.settled.extend(Hint::take_duplicates(&mut self.hints, handled));
        self.settled.extend(Hint::take_duplicates(&mut self.kept, handled));
    }

    /// Groups the hints by sync, so that each sync is read once.
    pub fn by_sync(hints: Vec<Hint<Delivery>>, pipeline: &Pipeline) -> Vec<(&Sync, Vec<Hint<Delivery>>)> {
        let mut groups: BTreeMap<SyncId, Vec<Hint<Delivery>>> = BTreeMap::new();
        for hint in hints {
            groups.entry(hint.payload.sync_id).or_default().push(hint);
        }
        groups.into_iter().filter_map(|(id, hints)| Some((pipeline.sync_by_id(id)?, hints))).collect()
    }
}

/// Leaves failed messages to the poll at the last try but one, so that only poison ends in the dead-letter queue. The last
/// try is reserved for a crash.
pub fn leave_last_tries(settled: &mut [(Message, Fate)]) {
    for (message, fate) in settled {
        if let Fate::Failed(why) = fate
            && message.receives >= MAX_RECEIVES - 1
        {
            *fate = Fate::LeftToPoll(Left::LastTry(std::mem::take(why)));
        }
    }
}

/// Builds the answer for SQS: the messages to deliver again.
pub fn answer(settled: &[(Message, Fate)]) -> Value {
    let failed = settled.iter().filter(|(_, fate)| fate.is_failure());
    batch::failures(failed.map(|(message, _)| message.id.as_str()))
}

#[cfg(test)]
mod tests;
