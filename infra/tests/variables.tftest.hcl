# Invalid values fail the plan, and the error names the remedy.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  notice_emails = { "data-operations@example.com" = "warning" }
  alarm_emails  = ["data-operations@example.com"]
}

run "alarm_emails_empty" {
  command = plan

  variables {
    alarm_emails = []
  }

  expect_failures = [var.alarm_emails]
}

run "alarm_address_invalid" {
  command = plan

  variables {
    alarm_emails = ["data operations"]
  }

  expect_failures = [var.alarm_emails]
}

run "notice_address_invalid" {
  command = plan

  variables {
    notice_emails = { "example.com" = "warning" }
  }

  expect_failures = [var.notice_emails]
}

run "severity_unknown" {
  command = plan

  variables {
    notice_emails = { "data-operations@example.com" = "fatal" }
  }

  expect_failures = [var.notice_emails]
}

run "owner_address_also_gets_all_notices" {
  command = plan

  variables {
    owner_emails = { "data-operations@example.com" = { owners = ["Data operations"] } }
  }

  expect_failures = [var.owner_emails]
}

run "owner_severity_unknown" {
  command = plan

  variables {
    owner_emails = { "ada@example.com" = { owners = ["Data operations"], severity = "fatal" } }
  }

  expect_failures = [var.owner_emails]
}

run "owner_is_not_a_contact" {
  command = plan

  variables {
    owner_emails = { "ada@example.com" = { owners = ["Data ops"] } }
  }

  expect_failures = [var.owner_emails]
}

run "mail_identity_is_an_arn" {
  command = plan

  variables {
    mail_identity = "arn:aws:ses:us-west-2:123456789012:identity/example.com"
  }

  expect_failures = [var.mail_identity]
}

run "mail_identity_covers_every_sender" {
  command = plan

  variables {
    mail_identity = "*"
  }

  expect_failures = [var.mail_identity]
}

run "page_web_acl_without_cloudfront" {
  command = plan

  variables {
    page_web_acl_arn = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/pages/0a1b2c3d"
  }

  expect_failures = [var.page_web_acl_arn]
}

run "region_invalid" {
  command = plan

  variables {
    region = "Oregon"
  }

  expect_failures = [var.region]
}

run "pagerduty_url_of_another_kind" {
  command = plan

  variables {
    pagerduty_cloudwatch_url = "https://events.pagerduty.com/v2/enqueue"
  }

  expect_failures = [var.pagerduty_cloudwatch_url]
}

run "slack_channel_by_name" {
  command = plan

  variables {
    slack = { team_id = "T07EA123LEP", channel_id = "#alerts" }
  }

  expect_failures = [var.slack]
}

run "webhook_front_unknown" {
  command = plan

  variables {
    webhook_front = "alb"
  }

  expect_failures = [var.webhook_front]
}

run "webhook_rate_zero" {
  command = plan

  variables {
    webhook_rate = 0
  }

  expect_failures = [var.webhook_rate]
}

run "architecture_unknown" {
  command = plan

  variables {
    architecture = "riscv64"
  }

  expect_failures = [var.architecture]
}

run "zips_missing" {
  command = plan

  variables {
    zips = "no/such/folder"
  }

  expect_failures = [var.zips]
}

run "log_retention_unlimited" {
  command = plan

  variables {
    log_retention_days = 0
  }

  expect_failures = [var.log_retention_days]
}

run "optional_setting_unknown" {
  command = plan

  variables {
    optional_settings = { SYNCWATCH_PAGERDUTY = "https://events.eu.pagerduty.com" }
  }

  expect_failures = [var.optional_settings]
}

run "function_url_without_reservation" {
  command = plan

  variables {
    webhook_reserved_concurrency = -1
  }

  expect_failures = [var.webhook_reserved_concurrency]
}

run "webhook_concurrency_zero" {
  command = plan

  variables {
    webhook_reserved_concurrency = 0
  }

  expect_failures = [var.webhook_reserved_concurrency]
}

run "prefix_with_invalid_characters" {
  command = plan

  variables {
    prefix = "Syncwatch_2"
  }

  expect_failures = [var.prefix]
}

run "prefix_too_long" {
  command = plan

  variables {
    prefix = "the-second-pipeline-of-us"
  }

  expect_failures = [var.prefix]
}

# Roles belong to the account, and an alarm of the same name would be overwritten silently.
run "second_deployment_shares_no_name_with_the_first" {
  command = plan

  variables {
    prefix                   = "second"
    pagerduty_cloudwatch_url = "https://events.pagerduty.com/integration/0123456789abcdef0123456789abcdef/enqueue"
    slack                    = { team_id = "T07EA123LEP", channel_id = "C07EZ1ABC23" }
    webhook_front            = "http-api"
  }

  assert {
    condition = alltrue([for name in concat(
      flatten([for made in values(module.function) : [made.made.function.function_name, made.made.role.name, trimprefix(made.made.log_group.name, "/aws/lambda/")]]),
      [for topic in concat(values(aws_sns_topic.notices), values(aws_sns_topic.alarms)) : topic.name],
      [for queue in concat(values(aws_sqs_queue.work), values(aws_sqs_queue.dead_letters), values(aws_sqs_queue.failures)) : queue.name],
      [for table in values(aws_dynamodb_table.state) : table.name],
      [for secret in values(aws_secretsmanager_secret.this) : secret.name],
      [for schedule in values(aws_scheduler_schedule.this) : schedule.name],
      flatten([for alarms in [
        aws_cloudwatch_metric_alarm.errors, aws_cloudwatch_metric_alarm.throttles, aws_cloudwatch_metric_alarm.duration, aws_cloudwatch_metric_alarm.silence,
        aws_cloudwatch_metric_alarm.failed, aws_cloudwatch_metric_alarm.stale, aws_cloudwatch_metric_alarm.undelivered, { rounds = aws_cloudwatch_metric_alarm.rounds, refused = aws_cloudwatch_metric_alarm.refused },
      ] : values(alarms)[*].alarm_name]),
      [aws_iam_role.scheduler.name, aws_iam_role.slack[0].name, aws_chatbot_slack_channel_configuration.alarms[0].configuration_name],
      values(aws_apigatewayv2_api.this)[*].name, [for group in values(aws_cloudwatch_log_group.http_api) : trimprefix(group.name, "/aws/apigateway/")],
      [aws_cloudwatch_dashboard.this.dashboard_name, trimprefix(aws_kms_alias.topics.name, "alias/")],
    ) : startswith(name, "second") && !strcontains(name, "syncwatch") && length(name) <= 64])
    error_message = "A name does not begin with the prefix and would clash with another deployment."
  }
}
