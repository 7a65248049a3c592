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
    condition = { for address, subscription in aws_sns_topic_subscription.notice_emails : address => jsondecode(subscription.filter_policy).severity } == {
      "everything@example.com" = ["info", "warning", "error", "critical"]
      "today@example.com"      = ["error", "critical"]
      "now@example.com"        = ["critical"]
    }
    error_message = "Somebody gets other severities than asked for."
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
}
