//! Sorts a batch of messages: what can be settled at once, and what has to be looked at, sync by sync. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde::Deserialize;
use serde_json::{Value, json};
use syncwatch::observation::SyncId;
use syncwatch::pipeline::{Pipeline, Sync};

use crate::delivery::{Delivery, Parsed, Poison, UnknownEvent, parse};

/// How often SQS hands out a message before it goes to the dead-letter queue; `max_receives` of `infra/functions.json`.
pub const MAX_RECEIVES: u32 = 5;

/// One message of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id by which SQS is told of failures.
    pub id: String,
    pub body: String,
    /// How often it was handed out, this time included.
    pub receives: u32,
}

/// The event cannot be answered message by message, so all of it has to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotABatch;

impl fmt::Display for NotABatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the event is neither a batch of SQS with a `messageId` in each record nor {\"task\": \"ping\"}; invoke the \
             function through its queue",
        )
    }
}

impl std::error::Error for NotABatch {}

impl Message {
    /// Reads the event of an SQS event source.
    ///
    /// # Errors
    /// It is none, or a record has no id: to SQS an answer with a wrong id is a failure of all, and one without it a
    /// success.
    pub fn batch(event: Value) -> Result<Vec<Self>, NotABatch> {
        // serde's error may quote what it found, so it is not kept.
        let batch: Batch = serde_json::from_value(event).map_err(|_| NotABatch)?;
        batch.records.into_iter().map(Record::message).collect()
    }

    /// Whether this is the last time but one at the most that the message is handed out. The one is kept in hand for a
    /// crash.
    pub fn is_on_its_last_try(&self) -> bool {
        self.receives >= MAX_RECEIVES - 1
    }
}

#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    message_id: String,
    body: Option<String>,
    attributes: Option<HashMap<String, Value>>,
}

impl Record {
    fn message(self) -> Result<Message, NotABatch> {
        if self.message_id.is_empty() {
            return Err(NotABatch);
        }
        // SQS sends the number as a text.
        let count = |value: &Value| value.as_str().map_or_else(|| value.as_u64(), |text| text.parse().ok());
        let receives =
            self.attributes.as_ref().and_then(|all| all.get("ApproximateReceiveCount")).and_then(count);
        Ok(Message {
            id: self.message_id,
            body: self.body.unwrap_or_default(),
            receives: receives.and_then(|count| count.try_into().ok()).unwrap_or(1),
        })
    }
}

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
    /// Its event is none that we know; it was kept.
    UnknownEvent,
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
    /// Census could not be read, and this is the last try.
    Unread(String),
}

impl Fate {
    /// Whether SQS is to hand the message out again.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Poison(_) | Self::Failed(_))
    }
}

/// A delivery that has to be looked at, with every message of the batch that is a copy of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    pub delivery: Delivery,
    /// The first of the messages that say it.
    pub message: Message,
    pub copies: Vec<Message>,
}

/// An event that nobody announced, with every message of the batch that is a copy of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub event: UnknownEvent,
    /// The first of the messages that say it.
    pub message: Message,
    pub copies: Vec<Message>,
}

/// A sorted batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Triage {
    pub settled: Vec<(Message, Fate)>,
    /// Deliveries to be looked at, each once.
    pub hints: Vec<Hint>,
    /// Events that are only to be kept, each once.
    pub kept: Vec<Kept>,
}

impl Triage {
    /// Sorts a batch.
    ///
    /// * a message that can never be handled         => settled as poison
    /// * a sync that `pipeline.toml` does not declare => settled: counted, and no more
    /// * an event that nobody announced              => kept
    /// * anything else                               => a hint, its copies with it
    pub fn of(messages: Vec<Message>, pipeline: &Pipeline) -> Self {
        let mut triage = Self::default();
        let mut seen = HashMap::new();
        for message in messages {
            match parse(&message.body) {
                Err(poison) => triage.settled.push((message, Fate::Poison(poison))),
                Ok(Parsed::Known(delivery)) if pipeline.sync_by_id(delivery.sync_id).is_none() => {
                    triage.settled.push((message, Fate::UnknownSync));
                }
                Ok(Parsed::Known(delivery)) => {
                    let place = *seen.entry(delivery.key()).or_insert(triage.hints.len());
                    match triage.hints.get_mut(place) {
                        Some(hint) => hint.copies.push(message),
                        None => triage.hints.push(Hint { delivery, message, copies: Vec::new() }),
                    }
                }
                Ok(Parsed::Unknown(event)) => {
                    let place = *seen.entry(event.key()).or_insert(triage.kept.len());
                    match triage.kept.get_mut(place) {
                        Some(kept) => kept.copies.push(message),
                        None => triage.kept.push(Kept { event, message, copies: Vec::new() }),
                    }
                }
            }
        }
        triage
    }

    /// The keys of all that is not settled.
    pub fn keys(&self) -> Vec<String> {
        let hints = self.hints.iter().map(|hint| hint.delivery.key());
        hints.chain(self.kept.iter().map(|kept| kept.event.key())).collect()
    }

    /// Settles what was handled before.
    pub fn settle_duplicates(&mut self, handled: &HashSet<String>) {
        let mut settled = Vec::new();
        self.hints.retain(|hint| {
            let duplicate = handled.contains(&hint.delivery.key());
            if duplicate {
                settled.push(settle(&hint.message, &hint.copies, &Fate::Duplicate));
            }
            !duplicate
        });
        self.kept.retain(|kept| {
            let duplicate = handled.contains(&kept.event.key());
            if duplicate {
                settled.push(settle(&kept.message, &kept.copies, &Fate::Duplicate));
            }
            !duplicate
        });
        self.settled.extend(settled.into_iter().flatten());
    }

    /// The hints by the sync that they are about: each sync is looked at once, however many they are.
    pub fn by_sync(hints: Vec<Hint>, pipeline: &Pipeline) -> Vec<(&Sync, Vec<Hint>)> {
        let mut groups: BTreeMap<SyncId, Vec<Hint>> = BTreeMap::new();
        for hint in hints {
            groups.entry(hint.delivery.sync_id).or_default().push(hint);
        }
        groups.into_iter().filter_map(|(id, hints)| Some((pipeline.sync_by_id(id)?, hints))).collect()
    }
}

/// The fates of a message and its copies. A copy of what has to be tried again is tried again with it; a copy of what is
/// done is a duplicate.
pub fn settle(message: &Message, copies: &[Message], fate: &Fate) -> Vec<(Message, Fate)> {
    let of_copy = if fate.is_failure() { fate.clone() } else { Fate::Duplicate };
    let copies = copies.iter().map(|copy| (copy.clone(), of_copy.clone()));
    std::iter::once((message.clone(), fate.clone())).chain(copies).collect()
}

/// The fate of a message whose sync could not be read.
pub fn unread(message: &Message, why: &str) -> Fate {
    if message.is_on_its_last_try() {
        Fate::LeftToPoll(Left::Unread(why.to_owned()))
    } else {
        Fate::Failed(why.to_owned())
    }
}

/// How many messages met which fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// See [`Fate::Handled`].
    pub handled: usize,
    /// See [`Fate::Late`].
    pub late: usize,
    /// See [`Fate::Duplicate`].
    pub duplicates: usize,
    /// See [`Fate::UnknownSync`].
    pub unknown_syncs: usize,
    /// See [`Fate::UnknownEvent`].
    pub unknown_events: usize,
    /// See [`Fate::LeftToPoll`].
    pub left_to_poll: usize,
    /// See [`Fate::Poison`].
    pub poison: usize,
    /// See [`Fate::Failed`].
    pub failed: usize,
}

impl Counts {
    /// Counts.
    pub fn of(settled: &[(Message, Fate)]) -> Self {
        let mut counts = Self::default();
        for (_, fate) in settled {
            *match fate {
                Fate::Handled => &mut counts.handled,
                Fate::Late => &mut counts.late,
                Fate::Duplicate => &mut counts.duplicates,
                Fate::UnknownSync => &mut counts.unknown_syncs,
                Fate::UnknownEvent => &mut counts.unknown_events,
                Fate::LeftToPoll(_) => &mut counts.left_to_poll,
                Fate::Poison(_) => &mut counts.poison,
                Fate::Failed(_) => &mut counts.failed,
            } += 1;
        }
        counts
    }
}

/// The answer for SQS: which messages it is to hand out again. Needs `ReportBatchItemFailures` on the event source; without
/// it, SQS takes any answer for a success of all.
pub fn answer(settled: &[(Message, Fate)]) -> Value {
    let failed = settled.iter().filter(|(_, fate)| fate.is_failure());
    let items: Vec<Value> = failed.map(|(message, _)| json!({ "itemIdentifier": message.id })).collect();
    json!({ "batchItemFailures": items })
}

#[cfg(test)]
mod tests;
