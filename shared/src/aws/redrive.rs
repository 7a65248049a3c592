//! Moves messages from a dead-letter queue back to the queue that they came from.

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use jiff::{SignedDuration, Timestamp};

use super::error::{AwsError, Kind};
use super::queue::Queue;

/// Older messages are left: their incident has moved on, and to report it now would mislead.
const OLDEST: SignedDuration = SignedDuration::from_hours(24);
/// The most that one receive returns (AWS SQS API reference, `ReceiveMessage`).
const BATCH: u32 = 10;
/// The most messages that one call receives, so that a long queue of old ones costs no more than this.
const MOST_SEEN: u32 = 1_000;
/// How long a received message stays hidden, in seconds: longer than one call, so that it sees each message once.
const HIDDEN_S: i32 = 120;
/// With a wait, in seconds, SQS asks all its servers, so that an empty answer means an empty queue.
const WAIT_S: i32 = 1;

/// Moves messages back from one dead-letter queue. Separate from [`Queue`], so that a client that counts dead letters
/// cannot move them.
#[derive(Debug, Clone)]
pub struct Redrive {
    client: aws_sdk_sqs::Client,
    dead: String,
    kind: Kind,
    dead_letters: Queue,
    source: Queue,
}

/// The result of moving messages back.
#[derive(Debug)]
pub struct Redriven {
    /// Messages that the source queue accepted.
    pub moved: u32,
    /// Messages left in place because they are older than 24 h, or of unknown age.
    pub old: u32,
    /// Approximate number of messages still in the dead-letter queue, old ones included; `None` if unknown.
    pub left: Option<u64>,
    /// The error that ended the move early. The counts are right up to there.
    pub stopped: Option<AwsError>,
}

impl Redrive {
    /// Creates a client for a dead-letter queue and its source, by URL, each with the setting that holds the URL.
    pub fn new(
        client: aws_sdk_sqs::Client,
        (dead, dead_setting): (&str, &'static str),
        (source, source_setting): (&str, &'static str),
    ) -> Self {
        Self {
            dead: dead.to_owned(),
            kind: Kind { name: "queue", correct: dead_setting },
            dead_letters: Queue::new(client.clone(), dead, dead_setting),
            source: Queue::new(client.clone(), source, source_setting),
            client,
        }
    }

    /// Moves up to `limit` messages, with body and message attributes unchanged. Each is sent to the source queue and
    /// then deleted here: after a crash in between it arrives twice, but it is never lost. The consumers of both our
    /// queues are idempotent.
    pub async fn move_back(&self, limit: u32, now: Timestamp) -> Redriven {
        let mut done = Redriven { moved: 0, old: 0, left: None, stopped: None };
        if let Err(error) = self.move_some(limit, now, &mut done).await {
            done.stopped = Some(error);
        }
        done.left = self.dead_letters.depth().await.ok().flatten();
        done
    }

    async fn move_some(&self, limit: u32, now: Timestamp, done: &mut Redriven) -> Result<(), AwsError> {
        while done.moved < limit && done.moved + done.old < MOST_SEEN {
            let messages = self.receive(BATCH.min(limit - done.moved)).await?;
            if messages.is_empty() {
                break;
            }
            for message in messages {
                if is_old(&message, now) {
                    done.old += 1;
                    continue;
                }
                self.source
                    .send_with(message.body.as_deref().unwrap_or_default(), message.message_attributes)
                    .await?;
                done.moved += 1;
                self.delete(message.receipt_handle.as_deref().unwrap_or_default()).await?;
            }
        }
        Ok(())
    }

    async fn receive(&self, count: u32) -> Result<Vec<Message>, AwsError> {
        let asked = self
            .client
            .receive_message()
            .queue_url(&self.dead)
            .max_number_of_messages(i32::try_from(count).unwrap_or(1))
            .visibility_timeout(HIDDEN_S)
            .wait_time_seconds(WAIT_S)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let answer = asked.send().await;
        let answer = answer.map_err(|error| self.kind.failed(&self.dead, "sqs:ReceiveMessage", &error))?;
        Ok(answer.messages.unwrap_or_default())
    }

    async fn delete(&self, receipt: &str) -> Result<(), AwsError> {
        let asked = self.client.delete_message().queue_url(&self.dead).receipt_handle(receipt);
        let answer = asked.send().await;
        answer.map(drop).map_err(|error| self.kind.failed(&self.dead, "sqs:DeleteMessage", &error))
    }
}

/// Returns whether a message is older than [`OLDEST`], or of unknown age. SQS keeps the time of the first sending when
/// it moves a message to a dead-letter queue.
fn is_old(message: &Message, now: Timestamp) -> bool {
    let sent =
        message.attributes.as_ref().and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp));
    let sent = sent.and_then(|text| Timestamp::from_millisecond(text.parse().ok()?).ok());
    sent.is_none_or(|sent| now.duration_since(sent) > OLDEST)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use syncwatch_testing::{of_aws, ok, refused, status};

    use super::*;
    use crate::aws::wire::{Wire, WireSdk as _, now};

    const DEAD: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/syncwatch-notices-relay-dead";
    const SOURCE: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/syncwatch-notices-relay";
    const HOUR_MS: i64 = 3_600_000;

    /// A message of this age in milliseconds.
    fn message(name: &str, age: i64) -> Value {
        json!({
            "MessageId": name,
            "ReceiptHandle": format!("receipt-{name}"),
            "Body": format!("body of {name}"),
            "Attributes": { "SentTimestamp": (now().as_millisecond() - age).to_string() },
            "MessageAttributes": { "severity": { "DataType": "String", "StringValue": "error" } },
        })
    }

    /// A dead-letter queue that returns these batches in turn, then nothing.
    async fn wire(batches: &[Vec<Value>]) -> Wire {
        let wire = Wire::start().await;
        let mut answers: Vec<_> = batches.iter().map(|batch| ok(json!({ "Messages": batch }))).collect();
        answers.push(ok(json!({})));
        wire.answer_in_turn(|| of_aws("AmazonSQS.ReceiveMessage"), answers).await;
        wire.aws("AmazonSQS.SendMessage", 200, json!({ "MessageId": "m" })).await;
        wire.aws("AmazonSQS.DeleteMessage", 200, json!({})).await;
        let counts = json!({ "Attributes": {
            "ApproximateNumberOfMessages": "3", "ApproximateNumberOfMessagesNotVisible": "1",
        } });
        wire.aws("AmazonSQS.GetQueueAttributes", 200, counts).await;
        wire
    }

    async fn moved(wire: &Wire, limit: u32) -> Redriven {
        let (dead, source) = ((DEAD, "SYNCWATCH_NOTICES_DEAD_LETTERS"), (SOURCE, "SYNCWATCH_NOTICES_QUEUE"));
        Redrive::new(wire.sdk().sqs(), dead, source).move_back(limit, now()).await
    }

    #[tokio::test]
    async fn message_is_sent_unchanged_before_it_is_deleted() {
        let wire = wire(&[vec![message("a", 1)]]).await;
        let done = moved(&wire, 500).await;
        assert_eq!((done.moved, done.old, done.left), (1, 0, Some(4)));
        assert!(done.stopped.is_none());
        let asked: Vec<(String, Value)> = wire
            .requests()
            .await
            .iter()
            .map(|request| (request.operation().to_owned(), request.json()))
            .collect();
        let names: Vec<&str> = asked.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["ReceiveMessage", "SendMessage", "DeleteMessage", "ReceiveMessage", "GetQueueAttributes"]
        );
        let received = json!({
            "QueueUrl": DEAD, "MaxNumberOfMessages": 10, "VisibilityTimeout": 120, "WaitTimeSeconds": 1,
            "MessageAttributeNames": ["All"], "MessageSystemAttributeNames": ["SentTimestamp"],
        });
        assert_eq!(asked[0].1, received);
        let sent = json!({
            "QueueUrl": SOURCE, "MessageBody": "body of a",
            "MessageAttributes": { "severity": { "DataType": "String", "StringValue": "error" } },
        });
        assert_eq!(asked[1].1, sent);
        assert_eq!(asked[2].1, json!({ "QueueUrl": DEAD, "ReceiptHandle": "receipt-a" }));
    }

    #[tokio::test]
    async fn message_older_than_a_day_or_of_unknown_age_is_left() {
        let mut ageless = message("ageless", 0);
        ageless["Attributes"] = json!({});
        let batch = vec![message("old", 24 * HOUR_MS + 1), ageless, message("day", 24 * HOUR_MS)];
        let wire = wire(&[batch]).await;
        let done = moved(&wire, 500).await;
        assert_eq!((done.moved, done.old), (1, 2));
        assert_eq!(wire.sent("SendMessage").await[0]["MessageBody"], "body of day");
        assert_eq!(wire.sent("DeleteMessage").await.len(), 1);
    }

    #[tokio::test]
    async fn limit_bounds_the_moved_messages() {
        let batch = |names: &[&str]| names.iter().map(|name| message(name, 1)).collect::<Vec<_>>();
        let first: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let first: Vec<&str> = first.iter().map(String::as_str).collect();
        let wire = wire(&[batch(&first), batch(&["a", "b"]), batch(&["c"])]).await;
        assert_eq!(moved(&wire, 12).await.moved, 12);
        let received = wire.sent("ReceiveMessage").await;
        let counts: Vec<&Value> = received.iter().map(|asked| &asked["MaxNumberOfMessages"]).collect();
        assert_eq!(counts, [10, 2]);
        assert_eq!(moved(&wire, 0).await.moved, 0);
        assert_eq!(wire.sent("ReceiveMessage").await.len(), 2);
    }

    #[tokio::test]
    async fn message_that_cannot_be_sent_is_not_deleted() {
        let wire = wire(&[vec![message("a", 1), message("b", 1)]]).await;
        let answers = vec![ok(json!({ "MessageId": "m" })), denied()];
        wire.answer_in_turn(|| of_aws("AmazonSQS.SendMessage"), answers).await;
        let done = moved(&wire, 500).await;
        assert_eq!((done.moved, done.old, done.left), (1, 0, Some(4)));
        let error = done.stopped.unwrap().to_string();
        assert!(error.contains("sqs:SendMessage") && error.contains(SOURCE), "{error}");
        let deleted = wire.sent("DeleteMessage").await;
        assert_eq!(deleted, [json!({ "QueueUrl": DEAD, "ReceiptHandle": "receipt-a" })]);
    }

    #[tokio::test]
    async fn message_that_cannot_be_deleted_counts_as_moved() {
        let wire = wire(&[vec![message("a", 1), message("b", 1)]]).await;
        wire.aws("AmazonSQS.DeleteMessage", 400, refused("AccessDeniedException")).await;
        let done = moved(&wire, 500).await;
        assert_eq!(done.moved, 1);
        assert!(done.stopped.unwrap().to_string().contains("sqs:DeleteMessage"));
        assert_eq!(wire.sent("SendMessage").await.len(), 1);
    }

    fn denied() -> wiremock::ResponseTemplate {
        status(400).set_body_json(refused("AccessDeniedException"))
    }
}
