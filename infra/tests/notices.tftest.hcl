# Recipients of notices about syncs and data, and the dashboard.

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
      "everything@example.com" = { "$or" = [{ severity = ["info", "warning", "error", "critical"], kind = [{ "anything-but" = ["acknowledged"] }] }, { kind = ["held-back", "report"] }] }
      "today@example.com"      = { "$or" = [{ severity = ["error", "critical"], kind = [{ "anything-but" = ["acknowledged"] }] }, { kind = ["held-back", "report"] }] }
      "now@example.com"        = { "$or" = [{ severity = ["critical"], kind = [{ "anything-but" = ["acknowledged"] }] }, { kind = ["held-back", "report"] }] }
    }
    error_message = "A subscriber gets wrong severities or acknowledgements, or lacks the summary of a silence or reports."
  }

  assert {
    condition     = alltrue([for subscription in values(aws_sns_topic_subscription.notice_emails) : subscription.filter_policy_scope != "MessageBody"])
    error_message = "The filter must apply to attributes: the body of a notice has other keys."
  }

  assert {
    condition     = alltrue([for address, subscription in aws_sns_topic_subscription.notice_emails : subscription.protocol == "email" && subscription.endpoint == address && subscription.topic_arn == aws_sns_topic.notices["topic:notices"].arn])
    error_message = "A mail address has no subscription."
  }
}

run "mail_by_owner_and_severity" {
  variables {
    owner_emails = {
      "data@example.com"  = { owners = ["Data operations"] }
      "sales@example.com" = { owners = ["Revenue operations", "Data operations"], severity = "critical" }
    }
  }

  assert {
    condition = { for address, subscription in aws_sns_topic_subscription.owner_emails : address => jsondecode(subscription.filter_policy) } == {
      "data@example.com"  = { "$or" = [{ owner = ["Data operations"], severity = ["warning", "error", "critical"], kind = [{ "anything-but" = ["acknowledged"] }] }, { kind = ["held-back", "report"] }] }
      "sales@example.com" = { "$or" = [{ owner = ["Data operations", "Revenue operations"], severity = ["critical"], kind = [{ "anything-but" = ["acknowledged"] }] }, { kind = ["held-back", "report"] }] }
    }
    error_message = "A subscriber gets the notices of other owners or severities, or lacks the summary of a silence or reports."
  }

  assert {
    condition     = alltrue([for address, subscription in aws_sns_topic_subscription.owner_emails : subscription.filter_policy_scope != "MessageBody" && subscription.protocol == "email" && subscription.endpoint == address && subscription.topic_arn == aws_sns_topic.notices["topic:notices"].arn])
    error_message = "A mail address of an owner has no subscription, or its filter does not apply to attributes."
  }

  assert {
    condition     = length(aws_sns_topic_subscription.notice_emails) == 3 && aws_sns_topic.notices["topic:notices"].tags["expected-subscribers"] == "email=5 lambda=1 sqs=1"
    error_message = "Subscribers of all notices are lost, or the tag does not count those of owners."
  }
}

run "relay_gets_every_notice_and_loses_none" {
  assert {
    condition     = toset(keys(aws_sns_topic_subscription.queues)) == toset([for id, resource in local.table.resources : id if can(resource.subscribes)])
    error_message = "The subscriptions differ from the queues that subscribe."
  }

  assert {
    condition = alltrue([for id, subscription in aws_sns_topic_subscription.queues :
      subscription.protocol == "sqs" &&
      subscription.endpoint == aws_sqs_queue.work[id].arn &&
      subscription.topic_arn == aws_sns_topic.notices[local.table.resources[id].subscribes].arn &&
      subscription.filter_policy == try(jsonencode(local.table.resources[id].filter_policy), null) &&
      try(jsondecode(subscription.redrive_policy).deadLetterTargetArn, "none") == aws_sqs_queue.dead_letters[local.table.resources[id].dead_letter].arn
    ])
    error_message = "The relay's queue does not get the notices, or a refused one is lost."
  }
}

run "page_is_renewed_after_each_notice" {
  assert {
    condition = toset(keys(aws_sns_topic_subscription.functions)) == toset(["status-page"]) && alltrue([for name, subscription in aws_sns_topic_subscription.functions :
      subscription.protocol == "lambda" &&
      subscription.endpoint == module.function[name].arn &&
      subscription.topic_arn == aws_sns_topic.notices["topic:notices"].arn &&
      subscription.filter_policy == null
    ])
    error_message = "The status page is not renewed after each change of an incident."
  }

  assert {
    condition     = alltrue([for subscription in values(aws_sns_topic_subscription.functions) : try(jsondecode(subscription.redrive_policy).deadLetterTargetArn, "none") == aws_sqs_queue.failures["schedules"].arn])
    error_message = "A notice that Lambda did not accept is lost."
  }
}

run "dashboard_has_every_custom_metric_and_alarm" {
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
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 1 + length(jsondecode(file("metrics.json")).metrics) + 4
    error_message = "The dashboard has another number of tiles than expected."
  }

  # Each search of the first tiles counts as one metric per pipeline.
  assert {
    condition     = sum([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : length(try(widget.properties.metrics, []))]) <= 50
    error_message = "A dashboard of more than 50 metrics is not free: remove some, or split it (three dashboards are free)."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets[0].properties.alarms) == length(local.alarm_arns) && contains(local.alarm_arns, aws_cloudwatch_metric_alarm.rounds.arn)
    error_message = "The dashboard leaves out an alarm."
  }
}

# Nothing else shows that an address unsubscribed.
run "topic_tags_have_the_expected_subscribers" {
  variables {
    pagerduty_cloudwatch_url = "https://events.pagerduty.com/integration/0123456789abcdef0123456789abcdef/enqueue"
  }

  assert {
    condition = (
      aws_sns_topic.notices["topic:notices"].tags["expected-subscribers"] == "email=3 lambda=1 sqs=1" &&
      aws_sns_topic.alarms["alarms"].tags["expected-subscribers"] == "email=1" &&
      aws_sns_topic.alarms["page"].tags["expected-subscribers"] == "https=1"
    )
    error_message = "The tag of a topic differs from the number of its subscriptions."
  }
}
