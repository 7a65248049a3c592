# Who watches the watcher. CloudWatch looks at these, and tells people by topics that need none of our code.
locals {
  alarm_actions = {
    warning  = [aws_sns_topic.alarms["alarms"].arn]
    critical = [aws_sns_topic.alarms["alarms"].arn, aws_sns_topic.alarms["page"].arn]
  }

  # Every queue in which only what failed ends up, with what it means there and what to do. Only what came from a queue can be
  # moved back. SQS knows no source for what SNS put there, so the destination is always said.
  failed_queues = merge(
    { for id, queue in local.dead_letter_queues : queue.name => {
      meaning = "Messages that were handled without success, again and again"
      remedy  = "Inspect them, fix the cause, then move them back (SQS, start DLQ redrive, custom destination ${one([for work in values(local.work_queues) : work.name if try(work.dead_letter, "") == id])}) or delete them."
    } },
    { for name, failure in local.failure_queues : "${local.prefix}-failed-${name}" => failure },
  )

  # Every queue that a function works off, with the time in seconds after which it should have been empty once.
  watched_queues = { for id, queue in local.work_queues : queue.name => queue.stale_after_s }

  # A silence shorter than three hours is looked at in steps of a minute, a longer one in hours: CloudWatch allows a day
  # with the former and a week with the latter.
  silences = {
    for name, function in local.scheduled : name => {
      after_s  = function.schedule.silent_after_s
      period_s = function.schedule.silent_after_s < 3 * 60 * 60 ? 60 : 3600
      # The metric of its good rounds, if it has one of its own; else invocations.
      rounds = lookup(local.good_rounds, name, null)
    }
  }

  # Nightly functions are also invoked to see whether they answer (`syncwatch doctor`), which counts as an invocation: their
  # silence is a lack of good rounds. Of schedule-verification, which runs every few minutes, that is an alarm of its own.
  good_rounds = { "daily-validation" = "Validations", "nightly-snapshot" = "Snapshots" }

  # The function that writes the metric Rounds, and the dimension that it writes it under: the pipeline's name, which is above
  # the first table of pipeline.toml.
  rounds_by = "schedule-verification"
  pipeline  = regex("(?m)^[ \t]*name[ \t]*=[ \t]*[\"']([a-z0-9-]+)[\"']", split("\n[", local.pipeline_text)[0])[0]

  every_topic = merge({ for id, topic in local.topics : topic.name => "critical" }, { for name in local.alarm_topics : "${local.prefix}-${name}" => "warning" })
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each = local.functions

  alarm_name        = "${local.prefix}-${each.key}-errors"
  alarm_description = "${each.key} fails. Look into its log, /aws/lambda/${local.prefix}-${each.key}: the error names the remedy."
  namespace         = "AWS/Lambda"
  metric_name       = "Errors"
  dimensions        = { FunctionName = module.function[each.key].name }
  statistic         = "Sum"
  period            = 300
  # What comes every few minutes may miss one round; what comes once a night may not.
  evaluation_periods  = startswith(try(each.value.schedule.expression, ""), "rate(") ? 2 : 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  # No invocations, no errors: that there are none at all is another alarm.
  treat_missing_data = "notBreaching"
  alarm_actions      = local.alarm_actions.warning
  ok_actions         = local.alarm_actions.warning
}

resource "aws_cloudwatch_metric_alarm" "throttles" {
  for_each = local.functions

  alarm_name          = "${local.prefix}-${each.key}-throttles"
  alarm_description   = "${each.key} is not let run as often as it is called. Its concurrency is spent (functions.json), or the account's is, or somebody floods the webhook's address."
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
  alarm_description   = "${each.key} needs more than 80 % of its ${each.value.timeout_s} seconds and will soon be cut off. Something that it asks is slow: its log says what. Or raise timeout_s in functions.json."
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

# The dead man's switch: whatever keeps a function from being started, this needs none of it.
resource "aws_cloudwatch_metric_alarm" "silence" {
  for_each = local.silences

  alarm_name        = "${local.prefix}-${each.key}-silence"
  alarm_description = "${each.key} ${each.value.rounds == null ? "has not run" : "has had no good round"} for ${each.value.after_s / 60} minutes, so its checks are not made. ${each.value.rounds == null ? "" : "Does it fail (its log, /aws/lambda/${local.prefix}-${each.key})? "}Is its schedule ${local.prefix}-${each.key} enabled? Is the function throttled? What is in the queue ${local.prefix}-failed-schedules?"

  # Filled with 0: where data is missing CloudWatch looks back further than asked, and would ring two or three periods late.
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
  # For a function that never ran, whose metric has no point at all. The default would call that insufficient data.
  treat_missing_data = "breaching"
  alarm_actions      = local.alarm_actions.critical
  ok_actions         = local.alarm_actions.critical
}

# That a function was started does not say that it came to its end, nor that it said all that it had to.
resource "aws_cloudwatch_metric_alarm" "rounds" {
  alarm_name        = "${local.prefix}-${local.rounds_by}-rounds"
  alarm_description = "${local.rounds_by} has had no good round for ${local.silences[local.rounds_by].after_s / 60} minutes: it fails, is cut off, or could not tell people what it found. Look into its log, /aws/lambda/${local.prefix}-${local.rounds_by}. If it has good rounds, the name in pipeline.toml is not that of what runs: deploy again."

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

# Strangers try a public address now and then; Census's own webhooks are refused all the time once the secret is wrong.
resource "aws_cloudwatch_metric_alarm" "refused" {
  alarm_name          = "${local.prefix}-refused-webhooks"
  alarm_description   = "${join(", ", keys(local.by_url))} refused more than 2 requests in 15 minutes. If they are Census's own, its secret is not that of the webhook, and failures are seen by the next poll only: the log /aws/lambda/${local.prefix}-${join(", ", keys(local.by_url))} has the outcome (wrong-signature, no-signature, ...) and the sender's address. Next: syncwatch explain webhooks."
  namespace           = local.own.namespace
  metric_name         = "RefusedWebhooks"
  dimensions          = { Pipeline = local.pipeline }
  statistic           = "Sum"
  period              = 900
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  # `syncwatch doctor` sends one unsigned request each time, to see it refused.
  threshold          = 2
  treat_missing_data = "notBreaching"
  alarm_actions      = local.alarm_actions.warning
  ok_actions         = local.alarm_actions.warning
}

resource "aws_cloudwatch_metric_alarm" "failed" {
  for_each = local.failed_queues

  alarm_name          = "${each.key}-depth"
  alarm_description   = "${each.value.meaning}, in the queue ${each.key}. ${each.value.remedy}"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = each.key }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  # SQS stops telling of a queue that nobody touched for six hours.
  treat_missing_data = "notBreaching"
  alarm_actions      = local.alarm_actions.critical
  ok_actions         = local.alarm_actions.critical
}

# Not the age of the oldest message: SQS leaves out of it what was received three times, which is all that a failing function has.
resource "aws_cloudwatch_metric_alarm" "stale" {
  for_each = local.watched_queues

  alarm_name        = "${each.key}-stale"
  alarm_description = "${each.key} was not empty once in ${each.value / 60} minutes. The function that works it off fails, is throttled, or cannot reach what it sends to: look into its log."

  metric_query {
    id = "messages"
    # Not FILL: the newest minute is late, and filled with 0 it would always look empty.
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

  # A message that a function failed at is hidden until its next try.
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

  # In every minute of it.
  evaluation_periods  = each.value / 60
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions.critical
  ok_actions          = local.alarm_actions.critical

  lifecycle {
    precondition {
      condition     = each.value % 60 == 0 && each.value >= 60 && each.value <= 86400
      error_message = "stale_after_s of ${each.key} in functions.json is ${each.value}: CloudWatch looks in steps of 60 seconds over a day at most."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "undelivered" {
  for_each = local.every_topic

  alarm_name          = "${each.key}-undelivered"
  alarm_description   = "SNS could not deliver what ${each.key} sent to at least one of its subscribers. Look at its subscriptions: a mail address that is gone, a queue or an endpoint that refuses."
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
