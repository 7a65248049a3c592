# Every failure of Syncwatch alerts people by a path that does not use Syncwatch's code.

mock_provider "aws" {
  source = "./tests/mocks"
}

# By name: mocked topics share one ARN, and the tests must distinguish the two.
override_resource {
  target = aws_sns_topic.alarms["alarms"]
  values = { arn = "arn:aws:sns:us-west-2:123456789012:syncwatch-alarms" }
}

override_resource {
  target = aws_sns_topic.alarms["page"]
  values = { arn = "arn:aws:sns:us-west-2:123456789012:syncwatch-page" }
}

variables {
  notice_emails = {}
  alarm_emails  = ["data-operations@example.com"]
}

run "each_function" {
  assert {
    condition = alltrue([for alarms in [aws_cloudwatch_metric_alarm.errors, aws_cloudwatch_metric_alarm.throttles, aws_cloudwatch_metric_alarm.duration] :
      toset(keys(alarms)) == toset(keys(local.table.functions)) &&
      alltrue([for name, alarm in alarms :
        alarm.dimensions == tomap({ FunctionName = "syncwatch-${name}" }) && alarm.namespace == "AWS/Lambda" && alarm.comparison_operator == "GreaterThanThreshold" &&
        alarm.period == 300 && alarm.treat_missing_data == "notBreaching"
      ])
    ])
    error_message = "A function has no alarm on its errors, its throttles or its duration."
  }

  assert {
    condition = (
      alltrue([for alarm in values(aws_cloudwatch_metric_alarm.errors) : alarm.metric_name == "Errors" && alarm.statistic == "Sum" && alarm.threshold == 0]) &&
      alltrue([for alarm in values(aws_cloudwatch_metric_alarm.throttles) : alarm.metric_name == "Throttles" && alarm.statistic == "Sum" && alarm.threshold == 0]) &&
      alltrue([for name, alarm in aws_cloudwatch_metric_alarm.duration : alarm.metric_name == "Duration" && alarm.statistic == "Maximum" && alarm.threshold == 800 * local.table.functions[name].timeout_s])
    )
    error_message = "An alarm of a function has the wrong metric, statistic or threshold."
  }

  assert {
    condition = { for name, alarm in aws_cloudwatch_metric_alarm.errors : name => alarm.evaluation_periods } == {
      for name, function in local.table.functions : name => startswith(try(function.schedule.expression, ""), "rate(") ? 2 : 1
    }
    error_message = "A nightly failure must alert at once, and one of a function that runs every few minutes when it recurs."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.errors["schedule-verification"].evaluation_periods == 2 && aws_cloudwatch_metric_alarm.errors["daily-validation"].evaluation_periods == 1
    error_message = "Nightly schedules and schedules of minutes are no longer distinguished."
  }

  assert {
    condition     = alltrue([for alarm in concat(values(aws_cloudwatch_metric_alarm.throttles), values(aws_cloudwatch_metric_alarm.duration)) : alarm.evaluation_periods == 1])
    error_message = "A throttled or slow function alerts too late."
  }
}

run "silence" {
  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.silence)) == toset([for name, function in local.table.functions : name if can(function.schedule)])
    error_message = "A scheduled function could stop without an alarm."
  }

  assert {
    condition = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.silence :
      { for query in alarm.metric_query : query.id => query.expression if query.return_data == true } == { filled = "FILL(rounds, 0)" } &&
      { for query in alarm.metric_query : query.id => [for metric in query.metric : [metric.namespace, metric.metric_name, metric.stat, metric.dimensions]] if query.return_data != true } == {
        rounds = [startswith(local.table.functions[name].schedule.expression, "rate(") || name == "reports" ?
          ["AWS/Lambda", "Invocations", "Sum", tomap({ FunctionName = "syncwatch-${name}" })] :
          ["Syncwatch", { daily-validation = "Validations", nightly-snapshot = "Snapshots", reconciliation = "Reconciliations", configuration-audit = "Audits" }[name], "Sum", tomap({ Pipeline = local.pipeline })]
        ]
      } &&
      alarm.comparison_operator == "LessThanThreshold" && alarm.threshold == 1 &&
      alarm.treat_missing_data == "breaching" && alarm.datapoints_to_alarm == null &&
      one(flatten([for query in alarm.metric_query : query.metric[*].period])) * alarm.evaluation_periods == local.table.functions[name].schedule.silent_after_s
    ])
    error_message = "An alarm on silence misses a time without rounds, or that of a nightly function counts pings as rounds."
  }

  assert {
    condition     = alltrue([for name in values(local.good_rounds) : contains(jsondecode(file("metrics.json")).metrics[*].name, name)])
    error_message = "An alarm on silence uses a metric that no function writes."
  }

  # A day if the period is under an hour, else a week: CloudWatch accepts no longer window.
  assert {
    condition     = alltrue([for alarm in values(aws_cloudwatch_metric_alarm.silence) : one(flatten([for query in alarm.metric_query : query.metric[*].period])) * alarm.evaluation_periods <= (one(flatten([for query in alarm.metric_query : query.metric[*].period])) < 3600 ? 86400 : 604800)])
    error_message = "CloudWatch would refuse the window of an alarm on silence."
  }

  # A day has 23 to 25 hours when the clocks change.
  assert {
    condition     = one(flatten([for query in aws_cloudwatch_metric_alarm.silence["daily-validation"].metric_query : query.metric[*].period])) == 3600 && aws_cloudwatch_metric_alarm.silence["daily-validation"].evaluation_periods == 26
    error_message = "The alarm of a nightly function must ring after 26 hours: a day in autumn has 25."
  }
}

# CloudWatch evaluates whole periods: with periods of a minute the alarm rings a minute or two after it is due.
run "silence_of_minutes" {
  assert {
    condition     = one(flatten([for query in aws_cloudwatch_metric_alarm.silence["schedule-verification"].metric_query : query.metric[*].period])) == 60 && aws_cloudwatch_metric_alarm.silence["schedule-verification"].evaluation_periods == 10
    error_message = "The alarm rings later than ten minutes after schedule-verification stopped."
  }
}

run "rounds" {
  assert {
    condition = (
      { for query in aws_cloudwatch_metric_alarm.rounds.metric_query : query.id => query.expression if query.return_data == true } == { filled = "FILL(rounds, 0)" } &&
      { for query in aws_cloudwatch_metric_alarm.rounds.metric_query : query.id => [for metric in query.metric : [metric.namespace, metric.metric_name, metric.stat]] if query.return_data != true } == {
        rounds = [[jsondecode(file("metrics.json")).namespace, "Rounds", "Sum"]]
      } &&
      contains(jsondecode(file("metrics.json")).metrics[*].name, "Rounds") &&
      aws_cloudwatch_metric_alarm.rounds.comparison_operator == "LessThanThreshold" && aws_cloudwatch_metric_alarm.rounds.threshold == 1 &&
      aws_cloudwatch_metric_alarm.rounds.treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.rounds.datapoints_to_alarm == null
    )
    error_message = "schedule-verification could fail in every round without an alarm."
  }

  assert {
    condition     = length(regexall("^[^\\[]*\nname = \"${one(flatten([for query in aws_cloudwatch_metric_alarm.rounds.metric_query : query.metric[*].dimensions])).Pipeline}\"\n", file("pipeline.toml"))) == 1 && keys(one(flatten([for query in aws_cloudwatch_metric_alarm.rounds.metric_query : query.metric[*].dimensions]))) == tolist(jsondecode(file("metrics.json")).dimensions)
    error_message = "The alarm on good rounds has another pipeline than pipeline.toml."
  }

  assert {
    condition = (
      one(flatten([for query in aws_cloudwatch_metric_alarm.rounds.metric_query : query.metric[*].period])) == one(flatten([for query in aws_cloudwatch_metric_alarm.silence["schedule-verification"].metric_query : query.metric[*].period])) &&
      aws_cloudwatch_metric_alarm.rounds.evaluation_periods == aws_cloudwatch_metric_alarm.silence["schedule-verification"].evaluation_periods
    )
    error_message = "The alarm on good rounds rings at another time than the one on silence."
  }
}

# `syncwatch doctor` checks that these exist.
run "names" {
  assert {
    condition = toset(flatten([for alarms in [
      aws_cloudwatch_metric_alarm.errors, aws_cloudwatch_metric_alarm.throttles, aws_cloudwatch_metric_alarm.duration, aws_cloudwatch_metric_alarm.silence,
      aws_cloudwatch_metric_alarm.failed, aws_cloudwatch_metric_alarm.stale, aws_cloudwatch_metric_alarm.undelivered,
      { rounds = aws_cloudwatch_metric_alarm.rounds, refused = aws_cloudwatch_metric_alarm.refused },
    ] : values(alarms)[*].alarm_name])) == toset(split("\n", trimspace(file("tests/alarm-names.txt"))))
    error_message = "The alarms differ from tests/alarm-names.txt, which the tests of the doctor use."
  }
}

run "refused_webhooks" {
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.refused.namespace == jsondecode(file("metrics.json")).namespace &&
      contains(jsondecode(file("metrics.json")).metrics[*].name, aws_cloudwatch_metric_alarm.refused.metric_name) &&
      aws_cloudwatch_metric_alarm.refused.metric_name == "RefusedWebhooks" && aws_cloudwatch_metric_alarm.refused.dimensions == tomap({ Pipeline = local.pipeline }) &&
      aws_cloudwatch_metric_alarm.refused.statistic == "Sum" && aws_cloudwatch_metric_alarm.refused.comparison_operator == "GreaterThanThreshold" && aws_cloudwatch_metric_alarm.refused.threshold == 2 &&
      aws_cloudwatch_metric_alarm.refused.period == 900 && aws_cloudwatch_metric_alarm.refused.evaluation_periods == 1 && aws_cloudwatch_metric_alarm.refused.treat_missing_data == "notBreaching"
    )
    error_message = "Every webhook could be refused without an alert."
  }
}

run "queues_and_topics" {
  assert {
    condition = toset(keys(aws_cloudwatch_metric_alarm.failed)) == toset(concat(
      [for queue in values(aws_sqs_queue.dead_letters) : queue.name],
      ["syncwatch-failed-functions", "syncwatch-failed-schedules", "syncwatch-failed-alarms"],
    ))
    error_message = "A dead-letter queue could fill without an alarm."
  }

  assert {
    condition = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.failed :
      alarm.namespace == "AWS/SQS" && alarm.metric_name == "ApproximateNumberOfMessagesVisible" && alarm.statistic == "Maximum" &&
      alarm.comparison_operator == "GreaterThanThreshold" && alarm.threshold == 0 && alarm.dimensions == tomap({ QueueName = name }) &&
      alarm.period == 300 && alarm.evaluation_periods == 1 && alarm.treat_missing_data == "notBreaching"
    ])
    error_message = "An alarm on a dead-letter queue measures something else than its depth."
  }

  assert {
    condition = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.failed :
      strcontains(alarm.alarm_description, name) &&
      strcontains(alarm.alarm_description, "redrive") == !startswith(name, "syncwatch-failed-") &&
      strcontains(alarm.alarm_description, "purge the queue") == startswith(name, "syncwatch-failed-")
    ])
    error_message = "An alarm must ask to move messages back if, and only if, they came from a queue."
  }

  assert {
    condition = (
      toset(keys(aws_cloudwatch_metric_alarm.stale)) == toset([for function in values(local.table.functions) : local.table.resources[function.queue.source].name if can(function.queue)]) &&
      alltrue([for name, alarm in aws_cloudwatch_metric_alarm.stale :
        alarm.comparison_operator == "GreaterThanThreshold" && alarm.threshold == 0 && alarm.treat_missing_data == "notBreaching" &&
        alarm.metric_name == null && alarm.datapoints_to_alarm == null
      ])
    )
    error_message = "A queue could stall without an alarm."
  }

  # A failed message is hidden most of the time, and SQS excludes it from the age of the oldest message.
  assert {
    condition = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.stale :
      { for query in alarm.metric_query : query.id => query.expression if query.return_data == true } == { messages = "waiting + handled" } &&
      { for query in alarm.metric_query : query.id => [for metric in query.metric : [metric.namespace, metric.metric_name, metric.stat, metric.period, metric.dimensions]] if query.return_data != true } == {
        waiting = [["AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", 60, tomap({ QueueName = name })]]
        handled = [["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "Maximum", 60, tomap({ QueueName = name })]]
      }
    ])
    error_message = "The alarm on a stalled queue must count waiting messages and those being handled."
  }

  assert {
    condition     = { for name, alarm in aws_cloudwatch_metric_alarm.stale : name => 60 * alarm.evaluation_periods } == { for resource in values(local.table.resources) : resource.name => resource.stale_after_s if can(resource.stale_after_s) }
    error_message = "The alarm on a stalled queue rings at another time than stale_after_s."
  }

  assert {
    condition = (
      toset(keys(aws_cloudwatch_metric_alarm.undelivered)) == toset(["syncwatch-notices", "syncwatch-alarms", "syncwatch-page"]) &&
      alltrue([for name, alarm in aws_cloudwatch_metric_alarm.undelivered :
        alarm.namespace == "AWS/SNS" && alarm.metric_name == "NumberOfNotificationsFailed" && alarm.statistic == "Sum" &&
        alarm.comparison_operator == "GreaterThanThreshold" && alarm.threshold == 0 && alarm.dimensions == tomap({ TopicName = name }) &&
        alarm.period == 300 && alarm.evaluation_periods == 1 && alarm.treat_missing_data == "notBreaching"
      ])
    )
    error_message = "SNS could fail to deliver without an alarm."
  }
}

run "alarm_recipients" {
  variables {
    alarm_emails             = ["a@example.com", "b@example.com"]
    pagerduty_cloudwatch_url = "https://events.pagerduty.com/integration/0123456789abcdef0123456789abcdef/enqueue"
    slack                    = { team_id = "T07EA123LEP", channel_id = "C07EZ1ABC23" }
  }

  assert {
    condition = alltrue(flatten([for alarms in [
      aws_cloudwatch_metric_alarm.errors, aws_cloudwatch_metric_alarm.throttles, aws_cloudwatch_metric_alarm.duration, aws_cloudwatch_metric_alarm.silence,
      aws_cloudwatch_metric_alarm.failed, aws_cloudwatch_metric_alarm.stale, aws_cloudwatch_metric_alarm.undelivered, { rounds = aws_cloudwatch_metric_alarm.rounds, refused = aws_cloudwatch_metric_alarm.refused },
      ] : [for alarm in values(alarms) :
      contains(alarm.alarm_actions, "arn:aws:sns:us-west-2:123456789012:syncwatch-alarms") &&
      alarm.ok_actions == alarm.alarm_actions &&
      alarm.actions_enabled != false &&
      length(alarm.alarm_description) > 60
    ]]))
    error_message = "An alarm has no recipient, sends no recovery, or does not describe the remedy."
  }

  assert {
    condition = alltrue(flatten([for alarms in [aws_cloudwatch_metric_alarm.silence, { rounds = aws_cloudwatch_metric_alarm.rounds }, aws_cloudwatch_metric_alarm.failed, aws_cloudwatch_metric_alarm.stale] : [
      for alarm in values(alarms) : contains(alarm.alarm_actions, "arn:aws:sns:us-west-2:123456789012:syncwatch-page")
    ]]))
    error_message = "A stopped function or stuck messages must page."
  }

  assert {
    condition = alltrue(flatten([for alarms in [aws_cloudwatch_metric_alarm.errors, aws_cloudwatch_metric_alarm.throttles, aws_cloudwatch_metric_alarm.duration, { refused = aws_cloudwatch_metric_alarm.refused }] : [
      for alarm in values(alarms) : alarm.alarm_actions == toset(["arn:aws:sns:us-west-2:123456789012:syncwatch-alarms"])
    ]]))
    error_message = "PagerDuty must get critical alarms only."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.undelivered["syncwatch-notices"].alarm_actions == toset(["arn:aws:sns:us-west-2:123456789012:syncwatch-alarms", "arn:aws:sns:us-west-2:123456789012:syncwatch-page"]) && aws_cloudwatch_metric_alarm.undelivered["syncwatch-alarms"].alarm_actions == toset(["arn:aws:sns:us-west-2:123456789012:syncwatch-alarms"])
    error_message = "Lost notices are critical; lost alarm mails are a warning."
  }

  assert {
    condition = (
      toset([for subscription in values(aws_sns_topic_subscription.alarm_emails) : subscription.endpoint]) == toset(["a@example.com", "b@example.com"]) &&
      alltrue([for subscription in values(aws_sns_topic_subscription.alarm_emails) : subscription.protocol == "email" && subscription.topic_arn == "arn:aws:sns:us-west-2:123456789012:syncwatch-alarms" && subscription.filter_policy == null])
    )
    error_message = "A mail address does not get every alarm."
  }

  assert {
    condition = (
      length(aws_sns_topic_subscription.pagerduty) == 1 &&
      aws_sns_topic_subscription.pagerduty[0].topic_arn == "arn:aws:sns:us-west-2:123456789012:syncwatch-page" &&
      aws_sns_topic_subscription.pagerduty[0].protocol == "https" &&
      aws_sns_topic_subscription.pagerduty[0].endpoint_auto_confirms &&
      !aws_sns_topic_subscription.pagerduty[0].raw_message_delivery &&
      try(jsondecode(aws_sns_topic_subscription.pagerduty[0].redrive_policy).deadLetterTargetArn, "none") == aws_sqs_queue.failures["alarms"].arn
    )
    error_message = "PagerDuty does not get critical alarms in the form that it reads, or alarms that it refuses are lost."
  }

  assert {
    condition     = issensitive(aws_sns_topic_subscription.pagerduty[0].endpoint)
    error_message = "A plan would show the integration URL, which contains a key."
  }

  assert {
    condition = (
      tolist(aws_chatbot_slack_channel_configuration.alarms[0].sns_topic_arns) == tolist(["arn:aws:sns:us-west-2:123456789012:syncwatch-alarms"]) &&
      tolist(aws_chatbot_slack_channel_configuration.alarms[0].guardrail_policy_arns) == tolist(["arn:aws:iam::aws:policy/AWSDenyAll"])
    )
    error_message = "Slack does not show the alarms, or lets members do more than read them."
  }
}

run "mail_works_without_pagerduty_and_slack" {
  assert {
    condition     = length(aws_sns_topic_subscription.pagerduty) == 0 && length(aws_chatbot_slack_channel_configuration.alarms) == 0 && length(aws_sns_topic_subscription.alarm_emails) == 1
    error_message = "A deployment with mail alone is not possible."
  }
}
