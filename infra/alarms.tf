# Who watches the watcher. CloudWatch looks at these, and tells people by topics that need none of our code.
locals {
  alarm_actions = {
    warning  = [aws_sns_topic.alarms["alarms"].arn]
    critical = [aws_sns_topic.alarms["alarms"].arn, aws_sns_topic.alarms["page"].arn]
  }

  # Every queue in which only what failed ends up, with what it means there.
  failed_queues = merge(
    { for id, queue in local.dead_letter_queues : queue.name => "Messages that were handled without success, again and again" },
    { for name, meaning in local.failure_queues : "${local.prefix}-failed-${name}" => meaning },
  )

  # Every queue that a function works off, with the age in seconds from which it is not being worked off.
  watched_queues = { for id, queue in local.work_queues : queue.name => queue.stale_after_s }

  # A silence shorter than three hours is looked at in steps of five minutes, a longer one in hours: CloudWatch allows a day
  # with the former and a week with the latter.
  silences = {
    for name, function in local.scheduled : name => {
      after_s  = function.schedule.silent_after_s
      period_s = function.schedule.silent_after_s < 3 * 60 * 60 ? 300 : 3600
    }
  }

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

  alarm_name          = "${local.prefix}-${each.key}-silence"
  alarm_description   = "${each.key} has not run for ${each.value.after_s / 60} minutes, so nobody watches what it watches. Is its schedule ${local.prefix}-${each.key} enabled? Is the function throttled? What is in the queue ${local.prefix}-failed-schedules?"
  namespace           = "AWS/Lambda"
  metric_name         = "Invocations"
  dimensions          = { FunctionName = module.function[each.key].name }
  statistic           = "Sum"
  period              = each.value.period_s
  evaluation_periods  = each.value.after_s / each.value.period_s
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  # A function that does not run writes no metric. The default would call that insufficient data, and tell nobody.
  treat_missing_data = "breaching"
  alarm_actions      = local.alarm_actions.critical
  ok_actions         = local.alarm_actions.critical
}

resource "aws_cloudwatch_metric_alarm" "failed" {
  for_each = local.failed_queues

  alarm_name          = "${each.key}-depth"
  alarm_description   = "${each.value}: look at them in the queue ${each.key}, mend the cause, then move them back (SQS, start DLQ redrive) or delete them."
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

resource "aws_cloudwatch_metric_alarm" "stale" {
  for_each = local.watched_queues

  alarm_name          = "${each.key}-age"
  alarm_description   = "The oldest message of ${each.key} waits for more than ${each.value / 60} minutes. The function that works it off fails, is throttled, or cannot reach what it sends to: look into its log."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = each.key }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  # In seconds.
  threshold          = each.value
  treat_missing_data = "notBreaching"
  alarm_actions      = local.alarm_actions.critical
  ok_actions         = local.alarm_actions.critical
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
