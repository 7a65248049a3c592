//! An SQS queue that is written to, or looked at. Lambda itself reads queues, so nothing here receives.

use aws_sdk_sqs::types::QueueAttributeName;

use super::error::{AwsError, Kind};

/// Sends messages to one standard queue, or counts what lies in it.
#[derive(Debug, Clone)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
    kind: Kind,
}

impl Queue {
    /// The queue with this URL. `correct` is the setting that holds the URL; errors name it.
    pub fn new(client: aws_sdk_sqs::Client, url: impl Into<String>, correct: &'static str) -> Self {
        Self { client, url: url.into(), kind: Kind { name: "queue", correct } }
    }

    /// Sends one message and answers with the id that SQS gave it. SQS takes up to 1 MiB of characters that XML allows
    /// (AWS SQS API reference, `SendMessage`).
    pub async fn send(&self, body: &str) -> Result<String, AwsError> {
        let answer = self.client.send_message().queue_url(&self.url).message_body(body).send().await;
        let answer = answer.map_err(|error| self.kind.failed(&self.url, "sqs:SendMessage", &error))?;
        Ok(answer.message_id.unwrap_or_default())
    }

    /// About how many messages lie in it, those in flight included. `None` if the
    /// answer did not say.
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
    async fn a_message_goes_to_the_queue_as_it_is() {
        let body = "{\"a\":\"ü\"}\n";
        let wire = Wire::answering(200, json!({ "MessageId": "m-1" })).await;
        assert_eq!(queue(&wire).send(body).await.unwrap(), "m-1");
        let request = wire.only_request().await;
        assert_eq!(request.target(), "AmazonSQS.SendMessage");
        assert_eq!(request.json(), json!({ "QueueUrl": URL, "MessageBody": body }));
    }

    #[tokio::test]
    async fn what_lies_in_a_queue_is_counted_and_an_answer_without_a_count_is_not_zero() {
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
    async fn a_refusal_names_the_queue_and_the_remedy() {
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
        queue https://sqs.us-east-1.amazonaws.com/123456789012/syncwatch-webhook-deliveries: AWS throttled the request, also after retries. The next round tries again; if it lasts, look for other users of it
        queue https://sqs.us-east-1.amazonaws.com/123456789012/syncwatch-webhook-deliveries: AWS answered InvalidMessageContents: no. If it stays, the AWS documentation of sqs:SendMessage explains this error
        ");
    }
}
