# Alarms on Syncwatch itself. CloudWatch evaluates them and notifies by topics that need none of our code.
locals {
  alarm_actions = {
    warning  = [aws_sns_topic.alarms["alarms"].arn]
    critical = [aws_sns_topic.alarms["alarms"].arn, aws_sns_topic.alarms["page"].arn]
  }

  # Every queue for failed messages, with the meaning of a message there and the remedy. Only messages that came from a queue can be moved
  # back. SQS does not know the source of messages that SNS put there, so the remedy always names the destination.
  failed_queues = merge(
    { for id, queue in local.dead_letter_queues : queue.name => {
      meaning = "messages failed on every try"
      remedy  = "Inspect them, fix the cause, then move them back (SQS: start DLQ redrive, custom destination ${one([for work in values(local.work_queues) : work.name if try(work.dead_letter, "") == id])}) or delete them."
    } },
    { for name, failure in local.failure_queues : "${local.prefix}-failed-${name}" => failure },
  )

  # Every queue that a function consumes, with the seconds within which it must have been empty once.
  watched_queues = { for id, queue in local.work_queues : queue.name => queue.stale_after_s }

  # A silence shorter than three hours is evaluated in periods of a minute, a longer one in hours: CloudWatch allows a window of a
  # day for the former and a week for the latter.
  silences = {
    for name, function in local.scheduled : name => {
      after_s  = function.schedule.silent_after_s
      period_s = function.schedule.silent_after_s < 3 * 60 * 60 ? 60 : 3600
      # The metric of its good rounds if it has one, else invocations.
      rounds = lookup(local.good_rounds, name, null)
    }
  }

  # `syncwatch doctor` also invokes the functions, so invocations do not prove a nightly round: the silence of nightly functions is
  # a lack of good rounds. schedule-verification, which runs every few minutes, has a separate alarm for that.
  good_rounds = {
    "daily-validation"    = "Validations"
    "nightly-snapshot"    = "Snapshots"
    "reconciliation"      = "Reconciliations"
    "configuration-audit" = "Audits"
  }

  # The function that writes the metric Rounds, and the value of its dimension: the pipeline's name, which is above the first
  # table of pipeline.toml.
  rounds_by = "schedule-verification"
  pipeline  = regex("(?m)^[ \t]*name[ \t]*=[ \t]*[\"']([a-z0-9-]+)[\"']", split("\n[", local.pipeline_text)[0])[0]

  every_topic = merge({ for id, topic in local.topics : topic.name => "critical" }, { for name in local.alarm_topics : "${local.prefix}-${name}" => "warning" })
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each = local.functions

  alarm_name        = "${local.prefix}-${each.key}-errors"
  alarm_description = "${each.key} fails. Read its log, /aws/lambda/${local.prefix}-${each.key}: the error names the remedy."
  namespace         = "AWS/Lambda"
  metric_name       = "Errors"
  dimensions        = { FunctionName = module.function[each.key].name }
  statistic         = "Sum"
  period            = 300
  # A function that runs every few minutes may miss one round; a nightly one may not.
  evaluation_periods  = startswith(try(each.value.schedule.expression, ""), "rate(") ? 2 : 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  # Without invocations there are no errors; the alarm on silence covers that.
  treat_missing_data = "notBreaching"
  alarm_actions      = local.alarm_actions.warning
  ok_actions         = local.alarm_actions.warning
}

resource "aws_cloudwatch_metric_alarm" "throttles" {
  for_each = local.functions

  alarm_name          = "${local.prefix}-${each.key}-throttles"
  alarm_description   = "${each.key} is throttled. Check its concurrency (functions.json), the account's concurrency, and a flood of requests to the webhook address."
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  dimensions          = { FunctionName = module.function[each.key].name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions.warning
  ok_actions          = local.alarm_actions.warning
}

resource "aws_cloudwatch_metric_alarm" "duration" {
  for_each = local.functions

  alarm_name          = "${local.prefix}-${each.key}-duration"
  alarm_description   = "${each.key} needs more than 80% of its time limit of ${each.value.timeout_s} seconds and will soon time out. Find the slow call in its log, or raise timeout_s in functions.json."
  namespace           = "AWS/Lambda"
  metric_name         = "Duration"
  dimensions          = { FunctionName = module.function[each.key].name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  # In milliseconds.
  threshold          = each.value.timeout_s * 1000 * 0.8
  treat_missing_data = "notBreaching"
  alarm_actions      = local.alarm_actions.warning
  ok_actions         = local.alarm_actions.warning
}

# The dead man's switch: it rings for any reason for which a function does not run.
resource "aws_cloudwatch_metric_alarm" "silence" {
  for_each = local.silences

  alarm_name        = "${local.prefix}-${each.key}-silence"
  alarm_description = "${each.key} ${each.value.rounds == null ? "has not run" : "has had no good round"} for ${each.value.after_s / 60} minutes, so its checks do not run. Check ${each.value.rounds == null ? "" : "its log /aws/lambda/${local.prefix}-${each.key} for errors, "}that its schedule ${local.prefix}-${each.key} is enabled, that the function is not throttled, and the queue ${local.prefix}-failed-schedules."

  # Filled with 0: for missing data CloudWatch reads older periods than asked, and would ring two or three periods late.
  metric_query {
    id          = "filled"
    expression  = "FILL(rounds, 0)"
    label       = each.value.rounds == null ? "Invocations" : "Good rounds"
    return_data = true
  }

  metric_query {
    id = "rounds"

    metric {
      namespace   = each.value.rounds == null ? "AWS/Lambda" : local.own.namespace
      metric_name = coalesce(each.value.rounds, "Invocations")
      dimensions  = each.value.rounds == null ? { FunctionName = module.function[each.key].name } : { Pipeline = local.pipeline }
      stat        = "Sum"
      period      = each.value.period_s
    }
  }

  evaluation_periods  = each.value.after_s / each.value.period_s
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  # For a function that never ran, whose metric has no data point. By default that would be insufficient data.
  treat_missing_data = "breaching"
  alarm_actions      = local.alarm_actions.critical
  ok_actions         = local.alarm_actions.critical
}

# An invocation does not prove that the round finished, nor that all its notices were sent.
resource "aws_cloudwatch_metric_alarm" "rounds" {
  alarm_name        = "${local.prefix}-${local.rounds_by}-rounds"
  alarm_description = "${local.rounds_by} has had no good round for ${local.silences[local.rounds_by].after_s / 60} minutes: it fails, times out, or could not send its notices. Read its log, /aws/lambda/${local.prefix}-${local.rounds_by}. If the log has good rounds, the deployed pipeline has another name than pipeline.toml: deploy again."

  metric_query {
    id          = "filled"
    expression  = "FILL(rounds, 0)"
    label       = "Good rounds"
    return_data = true
  }

  metric_query {
    id = "rounds"

    metric {
      namespace   = local.own.namespace
      metric_name = "Rounds"
      dimensions  = { Pipeline = local.pipeline }
      stat        = "Sum"
      period      = local.silences[local.rounds_by].period_s
    }
  }

  evaluation_periods  = local.silences[local.rounds_by].after_s / local.silences[local.rounds_by].period_s
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = local.alarm_actions.critical
  ok_actions          = local.alarm_actions.critical
}

# A public address gets stray requests now and then; with a wrong secret all of Census's webhooks are refused.
resource "aws_cloudwatch_metric_alarm" "refused" {
  alarm_name          = "${local.prefix}-refused-webhooks"
  alarm_description   = "${join(", ", keys(local.by_url))} refused more than 2 requests in 15 minutes. If they are from Census, its secret is not that of the webhook, and only the poll detects failures: the log /aws/lambda/${local.prefix}-${join(", ", keys(local.by_url))} has the outcome (wrong-signature, no-signature, ...) and the sender's address. Next: syncwatch explain webhooks."
  namespace           = local.own.namespace
  metric_name         = "RefusedWebhooks"
  dimensions          = { Pipeline = local.pipeline }
  statistic           = "Sum"
  period              = 900
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  # `syncwatch doctor` sends one unsigned request each time and expects the refusal.
  threshold          = 2
  treat_missing_data = "notBreaching"
  alarm_actions      = local.alarm_actions.warning
  ok_actions         = local.alarm_actions.warning
}

resource "aws_cloudwatch_metric_alarm" "failed" {
  for_each = local.failed_queues

  alarm_name          = "${each.key}-depth"
  alarm_description   = "The queue ${each.key} is not empty: ${each.value.meaning}. ${each.value.remedy}"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = each.key }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  # SQS stops sending metrics of a queue that was inactive for six hours.
  treat_missing_data = "notBreaching"
  alarm_actions      = local.alarm_actions.critical
  ok_actions         = local.alarm_actions.critical
}

# Not the age of the oldest message: SQS excludes messages that were received three times, which are all that a failing function has.
resource "aws_cloudwatch_metric_alarm" "stale" {
  for_each = local.watched_queues

  alarm_name        = "${each.key}-stale"
  alarm_description = "${each.key} has not been empty for ${each.value / 60} minutes. The function that consumes it fails, is throttled, or cannot reach its destination: read its log."

  metric_query {
    id = "messages"
    # Not FILL: the newest minute arrives late, and filled with 0 the queue would always seem empty.
    expression  = "waiting + handled"
    label       = "Messages waiting or being handled"
    return_data = true
  }

  metric_query {
    id = "waiting"

    metric {
      namespace   = "AWS/SQS"
      metric_name = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = each.key }
      stat        = "Maximum"
      period      = 60
    }
  }

  # A message that failed is hidden until its next try.
  metric_query {
    id = "handled"

    metric {
      namespace   = "AWS/SQS"
      metric_name = "ApproximateNumberOfMessagesNotVisible"
      dimensions  = { QueueName = each.key }
      stat        = "Maximum"
      period      = 60
    }
  }

  # Every minute of the time.
  evaluation_periods  = each.value / 60
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions.critical
  ok_actions          = local.alarm_actions.critical

  lifecycle {
    precondition {
      condition     = each.value % 60 == 0 && each.value >= 60 && each.value <= 86400
      error_message = "stale_after_s of ${each.key} in functions.json is ${each.value}: it must be a multiple of 60 seconds and at most a day, as CloudWatch evaluates whole minutes."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "undelivered" {
  for_each = local.every_topic

  alarm_name          = "${each.key}-undelivered"
  alarm_description   = "SNS could not deliver a message of ${each.key} to at least one subscriber. Check its subscriptions for a mail address that no longer exists, or a queue or an endpoint that refuses messages."
  namespace           = "AWS/SNS"
  metric_name         = "NumberOfNotificationsFailed"
  dimensions          = { TopicName = each.key }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions[each.value]
  ok_actions          = local.alarm_actions[each.value]
}
