# Who gets which notices about syncs and data, and what is drawn.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  notice_emails = { "everything@example.com" = "info", "today@example.com" = "error", "now@example.com" = "critical" }
  alarm_emails  = ["data-operations@example.com"]
}

run "mail_by_severity" {
  assert {
    condition = { for address, subscription in aws_sns_topic_subscription.notice_emails : address => jsondecode(subscription.filter_policy) } == {
      "everything@example.com" = { "$or" = [{ severity = ["info", "warning", "error", "critical"], kind = [{ "anything-but" = ["acknowledged"] }] }, { kind = ["held-back"] }] }
      "today@example.com"      = { "$or" = [{ severity = ["error", "critical"], kind = [{ "anything-but" = ["acknowledged"] }] }, { kind = ["held-back"] }] }
      "now@example.com"        = { "$or" = [{ severity = ["critical"], kind = [{ "anything-but" = ["acknowledged"] }] }, { kind = ["held-back"] }] }
    }
    error_message = "A subscriber gets other severities than asked for, acknowledgements, or not what a silence held back."
  }

  assert {
    condition     = alltrue([for subscription in values(aws_sns_topic_subscription.notice_emails) : subscription.filter_policy_scope != "MessageBody"])
    error_message = "The body of a notice has other keys than its attributes."
  }

  assert {
    condition     = alltrue([for address, subscription in aws_sns_topic_subscription.notice_emails : subscription.protocol == "email" && subscription.endpoint == address && subscription.topic_arn == aws_sns_topic.notices["topic:notices"].arn])
    error_message = "Somebody gets no mail."
  }
}

run "the_relay_gets_every_notice_and_loses_none" {
  assert {
    condition     = toset(keys(aws_sns_topic_subscription.queues)) == toset([for id, resource in local.table.resources : id if can(resource.subscribes)])
    error_message = "Not exactly the queues that subscribe get notices."
  }

  assert {
    condition = alltrue([for id, subscription in aws_sns_topic_subscription.queues :
      subscription.protocol == "sqs" &&
      subscription.endpoint == aws_sqs_queue.work[id].arn &&
      subscription.topic_arn == aws_sns_topic.notices[local.table.resources[id].subscribes].arn &&
      subscription.filter_policy == try(jsonencode(local.table.resources[id].filter_policy), null) &&
      try(jsondecode(subscription.redrive_policy).deadLetterTargetArn, "none") == aws_sqs_queue.dead_letters[local.table.resources[id].dead_letter].arn
    ])
    error_message = "The relay's queue does not get the notices, or one that it would not take is lost."
  }
}

run "the_dashboard_draws_every_metric_of_ours_and_every_alarm" {
  assert {
    condition = alltrue([for metric in jsondecode(file("metrics.json")).metrics :
      strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "SEARCH('{Syncwatch,Pipeline} MetricName=\\\"${metric.name}\\\"', '${metric.statistic}', 300)")
    ])
    error_message = "The dashboard leaves out a metric of metrics.json."
  }

  assert {
    condition     = alltrue([for name in keys(local.table.functions) : strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "\"syncwatch-${name}\"")])
    error_message = "The dashboard leaves out a function."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 1 + length(jsondecode(file("metrics.json")).metrics) + 6
    error_message = "The dashboard has other tiles than it should."
  }

  # The metrics of the first tiles are searched for: one for each pipeline.
  assert {
    condition     = sum([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : length(try(widget.properties.metrics, []))]) <= 50
    error_message = "A dashboard of more than 50 metrics is not free: leave some out, or split it (three are free)."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets[0].properties.alarms) == length(local.alarm_arns) && contains(local.alarm_arns, aws_cloudwatch_metric_alarm.rounds.arn)
    error_message = "The dashboard leaves out an alarm."
  }
}

# An unsubscribed address leaves no other trace.
run "topics_say_how_many_they_are_to_reach" {
  variables {
    pagerduty_cloudwatch_url = "https://events.pagerduty.com/integration/0123456789abcdef0123456789abcdef/enqueue"
  }

  assert {
    condition = (
      aws_sns_topic.notices["topic:notices"].tags["expected-subscribers"] == "email=3 sqs=1" &&
      aws_sns_topic.alarms["alarms"].tags["expected-subscribers"] == "email=1" &&
      aws_sns_topic.alarms["page"].tags["expected-subscribers"] == "https=1"
    )
    error_message = "A topic's tag says another number of subscriptions than are made."
  }
}
