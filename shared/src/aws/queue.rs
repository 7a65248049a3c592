//! Sends to an SQS queue, or counts its messages. Lambda itself receives messages.

use std::collections::HashMap;

use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};

use super::error::{AwsError, Kind};

/// Sends messages to one standard queue, or counts its messages.
#[derive(Debug, Clone)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
    kind: Kind,
}

impl Queue {
    /// Creates a client for the queue with this URL. `correct` is the setting that holds the URL; errors name it.
    pub fn new(client: aws_sdk_sqs::Client, url: impl Into<String>, correct: &'static str) -> Self {
        Self { client, url: url.into(), kind: Kind { name: "queue", correct } }
    }

    /// Sends one message and returns its SQS id. SQS accepts up to 1 MiB of characters that XML allows
    /// (AWS SQS API reference, `SendMessage`).
    pub async fn send(&self, body: &str) -> Result<String, AwsError> {
        self.send_with(body, None).await
    }

    /// Sends one message with its attributes and returns its SQS id.
    pub(super) async fn send_with(
        &self,
        body: &str,
        attributes: Option<HashMap<String, MessageAttributeValue>>,
    ) -> Result<String, AwsError> {
        let asked = self.client.send_message().queue_url(&self.url).message_body(body);
        let answer = asked.set_message_attributes(attributes).send().await;
        let answer = answer.map_err(|error| self.kind.failed(&self.url, "sqs:SendMessage", &error))?;
        Ok(answer.message_id.unwrap_or_default())
    }

    /// Returns the approximate number of messages, including those in flight; `None` if the answer lacks a count.
    pub async fn depth(&self) -> Result<Option<u64>, AwsError> {
        let counted = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let asked = self.client.get_queue_attributes().queue_url(&self.url);
        let asked = asked.set_attribute_names(Some(counted.to_vec()));
        let answer = asked.send().await;
        let answer = answer.map_err(|error| self.kind.failed(&self.url, "sqs:GetQueueAttributes", &error))?;
        let attributes = answer.attributes.unwrap_or_default();
        let counts = counted.iter().map(|name| attributes.get(name)?.parse::<u64>().ok());
        Ok(counts.sum())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::wire::{Wire, WireSdk as _};
    use syncwatch_testing::refused;

    const URL: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/syncwatch-webhook-deliveries";

    fn queue(wire: &Wire) -> Queue {
        Queue::new(wire.sdk().sqs(), URL, "SYNCWATCH_DELIVERIES_QUEUE (infra/functions.json)")
    }

    #[tokio::test]
    async fn message_is_sent_unchanged() {
        let body = "{\"a\":\"ü\"}\n";
        let wire = Wire::answering(200, json!({ "MessageId": "m-1" })).await;
        assert_eq!(queue(&wire).send(body).await.unwrap(), "m-1");
        let request = wire.only_request().await;
        assert_eq!(request.target(), "AmazonSQS.SendMessage");
        assert_eq!(request.json(), json!({ "QueueUrl": URL, "MessageBody": body }));
    }

    #[tokio::test]
    async fn depth_sums_both_counts_and_is_unknown_without_one() {
        let counted = json!({ "Attributes": {
            "ApproximateNumberOfMessages": "7", "ApproximateNumberOfMessagesNotVisible": "2",
        } });
        let wire = Wire::answering(200, counted).await;
        assert_eq!(queue(&wire).depth().await.unwrap(), Some(9));
        let request = wire.only_request().await;
        assert_eq!(request.target(), "AmazonSQS.GetQueueAttributes");
        let asked = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        assert_eq!(request.json()["AttributeNames"], json!(asked));
        for answer in [json!({}), json!({ "Attributes": { "ApproximateNumberOfMessages": "7" } })] {
            assert_eq!(queue(&Wire::answering(200, answer).await).depth().await.unwrap(), None);
        }
        let denied = refused("AccessDeniedException");
        let error = queue(&Wire::answering(400, denied).await).depth().await.unwrap_err().to_string();
        assert!(error.contains("sqs:GetQueueAttributes"), "{error}");
    }

    #[tokio::test]
    async fn refusal_names_the_queue_and_the_remedy() {
        let mut texts = Vec::new();
        for code in [
            "com.amazonaws.sqs#QueueDoesNotExist",
            "AccessDeniedException",
            "com.amazonaws.sqs#RequestThrottled",
            "com.amazonaws.sqs#InvalidMessageContents",
        ] {
            let wire = Wire::answering(400, refused(code)).await;
            texts.push(queue(&wire).send("x").await.unwrap_err().to_string());
        }
        insta::assert_snapshot!(texts.join("\n"), @r"
        queue https://sqs.us-east-1.amazonaws.com/123456789012/syncwatch-webhook-deliveries: it does not exist in this account and region. Run `terraform apply`, or correct SYNCWATCH_DELIVERIES_QUEUE (infra/functions.json)
        queue https://sqs.us-east-1.amazonaws.com/123456789012/syncwatch-webhook-deliveries: AWS denied access. Allow sqs:SendMessage on it in infra/functions.json and run `terraform apply`
        queue https://sqs.us-east-1.amazonaws.com/123456789012/syncwatch-webhook-deliveries: AWS throttled the request and its retries. The next round retries; if it persists, find what else uses it
        queue https://sqs.us-east-1.amazonaws.com/123456789012/syncwatch-webhook-deliveries: AWS answered InvalidMessageContents: no. If it persists, see this error in the AWS documentation of sqs:SendMessage
        ");
    }
}
