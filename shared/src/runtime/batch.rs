//! The envelope of an SQS event source: reads a batch of messages, and answers with those to retry.

use serde_json::{Value, json};

/// One message of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Identifies the message in the answer if it failed.
    pub id: String,
    /// Empty if the record has none.
    pub body: String,
    /// How often it was received, including this time.
    pub receives: u32,
}

/// The event cannot be answered per message, so all of it must be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the event is neither an SQS batch with a `messageId` in each record nor {{\"task\": \"ping\"}}; invoke the function \
     through its queue"
)]
pub struct NotABatch;

/// Reads the event of an SQS event source. A record without an id is an error: SQS treats an answer with a wrong id as
/// a failure of all messages, and an answer without the id as a success.
pub fn read(event: &Value) -> Result<Vec<Message>, NotABatch> {
    event.get("Records").and_then(Value::as_array).ok_or(NotABatch)?.iter().map(message).collect()
}

fn message(record: &Value) -> Result<Message, NotABatch> {
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = Some(text("messageId")).filter(|id| !id.is_empty()).ok_or(NotABatch)?;
    // SQS sends the number as a string.
    let count = |value: &Value| value.as_str().map_or_else(|| value.as_u64(), |text| text.parse().ok());
    let receives = record.pointer("/attributes/ApproximateReceiveCount").and_then(count);
    let receives = receives.and_then(|count| count.try_into().ok()).unwrap_or(1);
    Ok(Message { id, body: text("body"), receives })
}

/// Builds the answer that names the messages to retry. The event source needs `ReportBatchItemFailures`: without it,
/// SQS treats any answer as a success of all messages.
pub fn failures<'a>(ids: impl IntoIterator<Item = &'a str>) -> Value {
    let items: Vec<Value> = ids.into_iter().map(|id| json!({ "itemIdentifier": id })).collect();
    json!({ "batchItemFailures": items })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_is_read_with_ids_and_receive_counts() {
        let event = json!({ "Records": [
            { "messageId": "a", "body": "x", "attributes": { "ApproximateReceiveCount": "3", "SenderId": "y" } },
            { "messageId": "b", "body": null, "attributes": { "ApproximateReceiveCount": 4 } },
            { "messageId": "c", "attributes": null, "receiptHandle": "r", "eventSource": "aws:sqs" },
        ] });
        let messages = read(&event).unwrap();
        let read: Vec<_> = messages.iter().map(|m| (m.id.as_str(), m.body.as_str(), m.receives)).collect();
        assert_eq!(read, [("a", "x", 3), ("b", "", 4), ("c", "", 1)]);
    }

    #[test]
    fn batch_that_cannot_be_answered_per_message_fails_whole() {
        for event in [
            json!({}),
            json!([]),
            json!([1]),
            json!(null),
            json!({ "task": "verify" }),
            json!({ "Records": {} }),
            json!({ "Records": [{ "body": "x" }] }),
            json!({ "Records": [{ "messageId": "a", "body": "x" }, { "body": "" }] }),
            json!({ "Records": [{ "messageId": "a", "body": "x" }, { "messageId": "" }] }),
            json!({ "Records": [{ "messageId": 7 }] }),
        ] {
            assert_eq!(read(&event), Err(NotABatch), "{event}");
        }
        insta::assert_snapshot!(NotABatch, @r#"the event is neither an SQS batch with a `messageId` in each record nor {"task": "ping"}; invoke the function through its queue"#);
    }

    #[test]
    fn answer_has_the_shape_that_lambda_expects() {
        let two = json!({ "batchItemFailures": [{ "itemIdentifier": "a" }, { "itemIdentifier": "b" }] });
        assert_eq!(failures(["a", "b"]), two);
        assert_eq!(failures([]), json!({ "batchItemFailures": [] }));
    }
}
