//! Queues: creation, subscriptions, triggers, and access to messages.

use std::collections::HashMap;

use anyhow::{Context as _, Result, anyhow};
use aws_sdk_lambda::types::{FunctionResponseType, ScalingConfig};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;

use super::super::functions_table::{QueueSpec, QueueTrigger, ResourceId};
use super::super::ministack::{ACCOUNT, REGION};
use super::Deployment;

impl Deployment {
    /// Creates the queues, then connects them to each other and to topics.
    pub(super) async fn create_queues(&mut self) -> Result<()> {
        let table = self.table.clone();
        for (id, spec) in table.queues() {
            let url = self.create_queue(spec).await.with_context(|| format!("creating {id}"))?;
            self.queues.insert(id.clone(), url);
        }
        // Only now, as a dead-letter queue must exist before another queue points at it.
        for (id, spec) in table.queues() {
            self.connect_queue(id, spec).await.with_context(|| format!("connecting {id}"))?;
        }
        Ok(())
    }

    async fn create_queue(&self, spec: &QueueSpec) -> Result<String> {
        let answer = self
            .sqs
            .create_queue()
            .queue_name(&spec.name)
            .attributes(QueueAttributeName::VisibilityTimeout, spec.visibility_timeout_s.to_string())
            .attributes(QueueAttributeName::MessageRetentionPeriod, spec.retention_s.to_string())
            .send()
            .await?;
        answer.queue_url.context("SQS answered without the queue's URL")
    }

    async fn connect_queue(&self, id: &ResourceId, spec: &QueueSpec) -> Result<()> {
        let mut attributes = HashMap::new();
        if let (Some(dead), Some(receives)) = (&spec.dead_letter, spec.max_receives) {
            let dead = queue_arn(self.table.resource_name(dead)?);
            let redrive = json!({ "deadLetterTargetArn": dead, "maxReceiveCount": receives });
            attributes.insert(QueueAttributeName::RedrivePolicy, redrive.to_string());
        }
        if let Some(topic) = &spec.subscribes {
            // Without this policy SNS may not send to the queue. AWS checks it, ministack does not.
            let policy = json!({
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow",
                    "Principal": { "Service": "sns.amazonaws.com" },
                    "Action": "sqs:SendMessage",
                    "Resource": queue_arn(&spec.name),
                    "Condition": { "ArnEquals": { "aws:SourceArn": self.topic_arn(topic)? } },
                }],
            });
            attributes.insert(QueueAttributeName::Policy, policy.to_string());
        }
        if !attributes.is_empty() {
            let url = self.queue_url(id)?;
            self.sqs.set_queue_attributes().queue_url(url).set_attributes(Some(attributes)).send().await?;
        }
        if let Some(topic) = &spec.subscribes {
            let mut request = self
                .sns
                .subscribe()
                .topic_arn(self.topic_arn(topic)?)
                .protocol("sqs")
                .endpoint(queue_arn(&spec.name));
            if let Some(filter) = &spec.filter_policy {
                request = request.attributes("FilterPolicy", json!(filter).to_string());
            }
            request.send().await?;
        }
        Ok(())
    }

    /// Creates the mapping by which a queue fires a function.
    pub(super) async fn create_queue_trigger(
        &mut self,
        function: &str,
        trigger: &QueueTrigger,
    ) -> Result<()> {
        let answer = self
            .lambda
            .create_event_source_mapping()
            .function_name(function)
            .event_source_arn(queue_arn(self.table.resource_name(&trigger.source)?))
            .batch_size(trigger.batch_size)
            .maximum_batching_window_in_seconds(trigger.batching_window_s)
            .function_response_types(FunctionResponseType::ReportBatchItemFailures)
            .scaling_config(ScalingConfig::builder().maximum_concurrency(trigger.max_concurrency).build())
            .send()
            .await?;
        let id = answer.uuid.context("Lambda answered without the mapping's id")?;
        self.mappings.insert(function.to_owned(), id);
        Ok(())
    }

    /// Turns the queue's trigger of `function` on or off. While it is off, messages stay in the queue.
    ///
    /// # Errors
    /// If the function has no queue, or ministack refuses.
    pub async fn let_queue_fire(&self, function: &str, fires: bool) -> Result<()> {
        let mapping = self.mappings.get(function).with_context(|| format!("no queue fires {function}"))?;
        self.lambda.update_event_source_mapping().uuid(mapping).enabled(fires).send().await?;
        Ok(())
    }

    /// Sets the visibility timeout of a queue, so that a test does not wait minutes for a retry.
    ///
    /// # Errors
    /// As [`Deployment::queue_depth`].
    pub async fn hide_messages_for(&self, id: &ResourceId, seconds: u32) -> Result<()> {
        self.sqs
            .set_queue_attributes()
            .queue_url(self.queue_url(id)?)
            .attributes(QueueAttributeName::VisibilityTimeout, seconds.to_string())
            .send()
            .await?;
        Ok(())
    }

    /// The URL of a queue of the table.
    ///
    /// # Errors
    /// If the table has no such queue.
    pub fn queue_url(&self, id: &ResourceId) -> Result<&str> {
        self.queues.get(id).map(String::as_str).with_context(|| format!("no queue `{id}` was deployed"))
    }

    /// The number of visible messages in a queue, and of those in flight: received, and neither deleted nor visible again.
    ///
    /// # Errors
    /// If the queue is not deployed, or ministack refuses.
    pub async fn queue_depth(&self, id: &ResourceId) -> Result<(u64, u64)> {
        let (visible, in_flight) = (
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        );
        let answer = self
            .sqs
            .get_queue_attributes()
            .queue_url(self.queue_url(id)?)
            .attribute_names(visible.clone())
            .attribute_names(in_flight.clone())
            .send()
            .await?;
        let attributes = answer.attributes.unwrap_or_default();
        let count = |name: &QueueAttributeName| {
            let text = attributes.get(name).ok_or_else(|| anyhow!("SQS returned no {name} of {id}"))?;
            text.parse().with_context(|| format!("{name} of {id} is `{text}`"))
        };
        Ok((count(&visible)?, count(&in_flight)?))
    }

    /// Sends a message to a queue.
    ///
    /// # Errors
    /// As [`Deployment::queue_depth`].
    pub async fn send(&self, id: &ResourceId, body: &str) -> Result<()> {
        self.sqs.send_message().queue_url(self.queue_url(id)?).message_body(body).send().await?;
        Ok(())
    }

    /// Receives and deletes every visible message of a queue without another reader, such as a dead-letter queue; returns the
    /// bodies.
    ///
    /// # Errors
    /// As [`Deployment::queue_depth`].
    pub async fn receive(&self, id: &ResourceId) -> Result<Vec<String>> {
        let url = self.queue_url(id)?;
        let mut bodies = Vec::new();
        loop {
            let answer = self.sqs.receive_message().queue_url(url).max_number_of_messages(10).send().await?;
            let messages = answer.messages.unwrap_or_default();
            if messages.is_empty() {
                return Ok(bodies);
            }
            for message in messages {
                let receipt = message.receipt_handle.context("a message without its receipt handle")?;
                self.sqs.delete_message().queue_url(url).receipt_handle(receipt).send().await?;
                bodies.push(message.body.unwrap_or_default());
            }
        }
    }

    /// Deletes every message of a queue.
    ///
    /// # Errors
    /// As [`Deployment::queue_depth`].
    pub async fn purge(&self, id: &ResourceId) -> Result<()> {
        self.sqs.purge_queue().queue_url(self.queue_url(id)?).send().await?;
        Ok(())
    }
}

fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}
