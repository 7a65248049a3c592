# What cannot work is refused in the plan, with the remedy.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  notice_emails = { "data-operations@example.com" = "warning" }
  alarm_emails  = ["data-operations@example.com"]
}

run "nobody_to_hear_of_alarms" {
  command = plan

  variables {
    alarm_emails = []
  }

  expect_failures = [var.alarm_emails]
}

run "an_alarm_address_that_is_none" {
  command = plan

  variables {
    alarm_emails = ["data operations"]
  }

  expect_failures = [var.alarm_emails]
}

run "a_notice_address_that_is_none" {
  command = plan

  variables {
    notice_emails = { "example.com" = "warning" }
  }

  expect_failures = [var.notice_emails]
}

run "a_severity_that_is_none" {
  command = plan

  variables {
    notice_emails = { "data-operations@example.com" = "fatal" }
  }

  expect_failures = [var.notice_emails]
}

run "a_region_that_is_none" {
  command = plan

  variables {
    region = "Oregon"
  }

  expect_failures = [var.region]
}

run "a_pagerduty_url_of_another_kind" {
  command = plan

  variables {
    pagerduty_cloudwatch_url = "https://events.pagerduty.com/v2/enqueue"
  }

  expect_failures = [var.pagerduty_cloudwatch_url]
}

run "a_slack_channel_by_name" {
  command = plan

  variables {
    slack = { team_id = "T07EA123LEP", channel_id = "#alerts" }
  }

  expect_failures = [var.slack]
}

run "a_front_that_is_none" {
  command = plan

  variables {
    webhook_front = "alb"
  }

  expect_failures = [var.webhook_front]
}

run "a_rate_that_lets_nothing_through" {
  command = plan

  variables {
    webhook_rate = 0
  }

  expect_failures = [var.webhook_rate]
}

run "a_processor_that_lambda_has_not" {
  command = plan

  variables {
    architecture = "riscv64"
  }

  expect_failures = [var.architecture]
}

run "zips_that_are_not_there" {
  command = plan

  variables {
    zips = "no/such/folder"
  }

  expect_failures = [var.zips]
}

run "logs_that_are_kept_for_ever" {
  command = plan

  variables {
    log_retention_days = 0
  }

  expect_failures = [var.log_retention_days]
}

run "a_setting_that_no_function_takes" {
  command = plan

  variables {
    optional_settings = { SYNCWATCH_PAGERDUTY = "https://events.eu.pagerduty.com" }
  }

  expect_failures = [var.optional_settings]
}

run "a_url_that_nothing_bounds" {
  command = plan

  variables {
    webhook_reserved_concurrency = -1
  }

  expect_failures = [var.webhook_reserved_concurrency]
}

run "no_webhook_at_all" {
  command = plan

  variables {
    webhook_reserved_concurrency = 0
  }

  expect_failures = [var.webhook_reserved_concurrency]
}
