locals {
  # Two resources, as instances of one resource cannot reference each other.
  dead_letter_ids    = distinct(compact([for queue in values(local.queues) : try(queue.dead_letter, "")]))
  dead_letter_queues = { for id, queue in local.queues : id => queue if contains(local.dead_letter_ids, id) }
  work_queues        = { for id, queue in local.queues : id => queue if !contains(local.dead_letter_ids, id) }

  # Queues for failed events and alarms. Not in the table: no function uses them.
  failure_queues = {
    functions = { meaning = "events failed on every try", remedy = "${local.after_reading}, fix it, run the function once by hand, purge the queue." }
    schedules = { meaning = "Scheduler or SNS could not pass events to Lambda", remedy = "${local.after_reading}, fix it, run the function once by hand, purge the queue." }
    alarms    = { meaning = "PagerDuty did not accept alarms", remedy = "${local.after_reading} and which alarm it was, fix the subscription of ${local.prefix}-page, check whether the alarm still rings, purge the queue." }
  }
  after_reading      = "They cannot be moved back. Read the reason"
  failure_queue_arns = { for name in keys(local.failure_queues) : name => "${local.arn_root}:sqs:${local.here}:${local.prefix}-failed-${name}" }
}

resource "aws_sqs_queue" "dead_letters" {
  for_each = local.dead_letter_queues

  name                       = each.value.name
  visibility_timeout_seconds = each.value.visibility_timeout_s
  # The default of 4 days is shorter than a long holiday.
  message_retention_seconds = each.value.retention_s
  # The default; explicit, to detect drift. With SQS's own keys SNS and Scheduler need no grant to write here.
  sqs_managed_sse_enabled = true
}

resource "aws_sqs_queue" "work" {
  for_each = local.work_queues

  name = each.value.name
  # Six times the function's time limit; with less a second worker could get a batch that is still retried.
  visibility_timeout_seconds = each.value.visibility_timeout_s
  message_retention_seconds  = each.value.retention_s
  sqs_managed_sse_enabled    = true

  redrive_policy = can(each.value.dead_letter) ? jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters[each.value.dead_letter].arn
    maxReceiveCount     = each.value.max_receives
  }) : null
}

resource "aws_sqs_queue" "failures" {
  for_each = local.failure_queues

  name = "${local.prefix}-failed-${each.key}"
  # 14 days, the maximum.
  message_retention_seconds = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled   = true
}

# Only the topic that a queue subscribes to may write into it without a role of ours.
resource "aws_sqs_queue_policy" "from_topic" {
  for_each = local.fed_queues

  queue_url = local.values[each.key]
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "FromTopic"
        Effect    = "Allow"
        Principal = { Service = "sns.amazonaws.com" }
        Action    = ["sqs:SendMessage"]
        Resource  = local.arns[each.key]
        Condition = { ArnEquals = { "aws:SourceArn" = local.arns[each.value] } }
      },
    ]
  })
}

# The topic whose undelivered messages each queue keeps.
locals {
  undelivered = { alarms = local.alarm_topic_arns["page"], schedules = local.arns["topic:notices"] }
}

resource "aws_sqs_queue_policy" "undelivered" {
  for_each = local.undelivered

  queue_url = aws_sqs_queue.failures[each.key].url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "FromTopic"
        Effect    = "Allow"
        Principal = { Service = "sns.amazonaws.com" }
        Action    = ["sqs:SendMessage"]
        Resource  = local.failure_queue_arns[each.key]
        Condition = { ArnEquals = { "aws:SourceArn" = each.value } }
      },
    ]
  })
}

# SNS writes to the queue, and to its dead-letter queue if the queue refuses a message.
locals {
  subscribed_queues = { for id, queue in local.queues : id => queue if can(queue.subscribes) }
  fed_queues = merge(
    { for id, queue in local.subscribed_queues : id => queue.subscribes },
    { for queue in values(local.subscribed_queues) : queue.dead_letter => queue.subscribes },
  )
}

resource "aws_lambda_event_source_mapping" "this" {
  for_each = local.by_queue

  function_name                      = module.function[each.key].name
  event_source_arn                   = aws_sqs_queue.work[each.value.queue.source].arn
  batch_size                         = each.value.queue.batch_size
  maximum_batching_window_in_seconds = each.value.queue.batching_window_s
  # Without it one bad message returns the whole batch.
  function_response_types = ["ReportBatchItemFailures"]

  # Not reserved concurrency: pollers ignore it, and throttled messages would use up their receives.
  scaling_config {
    maximum_concurrency = each.value.queue.max_concurrency
  }

  # Lambda creates a mapping only if the function may already read the queue.
  depends_on = [module.function]
}
