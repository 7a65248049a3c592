resource "aws_scheduler_schedule" "this" {
  for_each = local.firings

  name        = "${local.prefix}-${each.key}"
  description = each.value.description
  state       = var.schedules_enabled ? "ENABLED" : "DISABLED"

  schedule_expression = each.value.expression
  # The default is UTC; a nightly round must stay at its hour when the clocks change.
  schedule_expression_timezone = each.value.time_zone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.function[each.value.function].arn
    role_arn = aws_iam_role.scheduler.arn
    input    = jsonencode(each.value.input)

    # Tries to pass the event to Lambda; retries of a failing function are in its own configuration. The defaults are 185 tries in
    # 24 hours.
    retry_policy {
      maximum_event_age_in_seconds = each.value.max_age_s
      # 0 would give up at the first error of Lambda's API.
      maximum_retry_attempts = 5
    }

    dead_letter_config {
      arn = aws_sqs_queue.failures["schedules"].arn
    }
  }

  # No function runs before it has its permissions and notices have their subscribers: SNS drops a notice without a
  # subscriber, and the incident would count as sent.
  depends_on = [
    module.function, aws_iam_role_policy.publish_encrypted, aws_iam_role_policy.scheduler,
    aws_sns_topic_policy.notices, aws_sns_topic_subscription.queues, aws_sns_topic_subscription.notice_emails, aws_sns_topic_subscription.owner_emails,
    aws_sqs_queue_policy.from_topic, aws_lambda_event_source_mapping.this,
  ]
}

# One role for all schedules: it may invoke exactly the functions that have a schedule.
resource "aws_iam_role" "scheduler" {
  name        = "${local.prefix}-scheduler"
  description = "Lets EventBridge Scheduler invoke the functions"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "ByScheduler"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "scheduler.amazonaws.com" }
        # Schedules of other accounts must not use this role.
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = local.account
            "aws:SourceArn"     = "${local.arn_root}:scheduler:${local.here}:schedule-group/default"
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name   = "scheduler"
  role   = aws_iam_role.scheduler.name
  policy = jsonencode({ Version = "2012-10-17", Statement = local.scheduler_statements })
}

locals {
  scheduler_statements = [
    {
      Sid      = "StartFunctions"
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = [for name in sort(keys(local.scheduled)) : "${local.arn_root}:lambda:${local.here}:function:${local.prefix}-${name}"]
    },
    {
      Sid      = "KeepWhatCouldNotStart"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = local.failure_queue_arns["schedules"]
    },
  ]
}
