# The exact permissions of every role, topic, queue and key.

mock_provider "aws" {
  source = "./tests/mocks"
}

# By name: mocked queues share one URL, and the tests must distinguish the policies.
override_resource {
  target = aws_sqs_queue.work["queue:notices"]
  values = { url = "https://sqs.us-west-2.amazonaws.com/123456789012/syncwatch-notices-relay", arn = "arn:aws:sqs:us-west-2:123456789012:syncwatch-notices-relay" }
}

override_resource {
  target = aws_sqs_queue.dead_letters["queue:notices-dead"]
  values = { url = "https://sqs.us-west-2.amazonaws.com/123456789012/syncwatch-notices-relay-dead", arn = "arn:aws:sqs:us-west-2:123456789012:syncwatch-notices-relay-dead" }
}

override_resource {
  target = aws_sqs_queue.failures["alarms"]
  values = { url = "https://sqs.us-west-2.amazonaws.com/123456789012/syncwatch-failed-alarms", arn = "arn:aws:sqs:us-west-2:123456789012:syncwatch-failed-alarms" }
}

override_resource {
  target = aws_sqs_queue.failures["schedules"]
  values = { url = "https://sqs.us-west-2.amazonaws.com/123456789012/syncwatch-failed-schedules", arn = "arn:aws:sqs:us-west-2:123456789012:syncwatch-failed-schedules" }
}

variables {
  notice_emails            = { "data-operations@example.com" = "warning" }
  alarm_emails             = ["data-operations@example.com"]
  pagerduty_cloudwatch_url = "https://events.pagerduty.com/integration/0123456789abcdef0123456789abcdef/enqueue"
  slack                    = { team_id = "T07EA123LEP", channel_id = "C07EZ1ABC23" }
  heartbeat                = true
  mail_identity            = "example.com"
}

run "only_its_service_may_assume_a_role" {
  assert {
    condition = alltrue([for function in values(module.function) : jsondecode(function.made.role.assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "ByLambda"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "lambda.amazonaws.com" }
      }]
    }])
    error_message = "Another service than Lambda may assume the role of a function."
  }

  assert {
    condition = jsondecode(aws_iam_role.scheduler.assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "ByScheduler"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "scheduler.amazonaws.com" }
        Condition = { StringEquals = { "aws:SourceAccount" = "123456789012", "aws:SourceArn" = "arn:aws:scheduler:us-west-2:123456789012:schedule-group/default" } }
      }]
    }
    error_message = "Something other than this account's schedules may assume the scheduler's role."
  }

  assert {
    condition = jsondecode(aws_iam_role.slack[0].assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "BySlack"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "chatbot.amazonaws.com" }
      }]
    }
    error_message = "Something other than chat configurations may assume the role of the Slack channel."
  }
}

run "functions_have_the_permissions_of_the_table_and_their_log" {
  assert {
    condition = alltrue([for name, function in local.table.functions :
      toset(flatten([for statement in module.function[name].made.policy.Statement : [for action in statement.Action : "${action} ${statement.Resource}"]])) ==
      toset(concat(
        [for permission in function.permissions : "${permission.action} ${replace(local.arns[permission.resource], "/\\*$/", try(permission.files, "*"))}"],
        [for index in ["by-state", "by-pending"] : "dynamodb:Query arn:aws:dynamodb:us-west-2:123456789012:table/syncwatch-incidents/index/${index}" if contains([for permission in function.permissions : "${permission.action} ${permission.resource}"], "dynamodb:Query table:incidents")],
        [for action in ["logs:CreateLogStream", "logs:PutLogEvents"] : "${action} arn:aws:logs:us-west-2:123456789012:log-group:/aws/lambda/syncwatch-${name}:*"],
        try(function.schedule.retries, 0) > 0 ? ["sqs:SendMessage arn:aws:sqs:us-west-2:123456789012:syncwatch-failed-functions"] : [],
      ))
    ])
    error_message = "The permissions of a function differ from functions.json."
  }

  assert {
    condition     = alltrue(flatten([for function in values(module.function) : [for statement in function.made.policy.Statement : statement.Effect == "Allow" && length(keys(statement)) == 4]]))
    error_message = "A statement of a function has more than an action and a resource."
  }

  assert {
    condition = (
      local.arns["topic:notices"] == "arn:aws:sns:us-west-2:123456789012:syncwatch-notices" &&
      local.arns["queue:notices"] == "arn:aws:sqs:us-west-2:123456789012:syncwatch-notices-relay" &&
      local.arns["table:incidents"] == "arn:aws:dynamodb:us-west-2:123456789012:table/syncwatch-incidents" &&
      local.arns["secret:census-token"] == "arn:aws:secretsmanager:us-west-2:123456789012:secret:syncwatch/census-token-??????" &&
      local.arns["identity:mail"] == "arn:aws:ses:us-west-2:123456789012:identity/example.com"
    )
    error_message = "An ARN does not match its resource."
  }

  assert {
    condition     = length(distinct(values(local.arns))) == length(local.table.resources)
    error_message = "Two resources share an ARN, or a resource lacks one."
  }

  assert {
    condition     = !anytrue(flatten([for function in values(module.function) : [for statement in function.made.policy.Statement : strcontains(join(" ", flatten([statement.Action])), "*") || (strcontains(statement.Resource, "*") && !contains(["Log", "FunctionOwn", "AlarmOwn", "BucketPages"], statement.Sid))]]))
    error_message = "A permission of a function covers more than one resource."
  }

  assert {
    condition = jsonencode(sort(flatten([for name, function in module.function : [for statement in function.made.policy.Statement : "${name} ${join(" ", statement.Action)} ${statement.Resource}" if contains(["FunctionOwn", "AlarmOwn"], statement.Sid)]]))) == jsonencode([
      "configuration-audit cloudwatch:DescribeAlarms arn:aws:cloudwatch:us-west-2:123456789012:alarm:syncwatch-*",
      "configuration-audit lambda:GetFunctionConfiguration arn:aws:lambda:us-west-2:123456789012:function:syncwatch-*",
    ])
    error_message = "Only configuration-audit may read the other functions and the alarms, and nothing more."
  }
}

run "only_status_page_writes_the_page_and_reports_its_reports" {
  assert {
    condition = jsonencode(sort(flatten([for name, function in module.function : [for statement in function.made.policy.Statement : [for action in flatten([statement.Action]) : "${name} ${action} ${statement.Resource}" if startswith(action, "s3:")]]]))) == jsonencode([
      "reports s3:PutObject arn:aws:s3:::syncwatch-pages-123456789012/properties/reports/*",
      "status-page s3:GetObject arn:aws:s3:::syncwatch-pages-123456789012/properties/*",
      "status-page s3:PutObject arn:aws:s3:::syncwatch-pages-123456789012/properties/*",
    ])
    error_message = "status-page cannot store the page or reports a report, or another function can, or one may do more."
  }
}

run "pages_are_private_and_encrypted" {
  assert {
    condition = alltrue([for block in values(aws_s3_bucket_public_access_block.pages) : alltrue([
      block.block_public_acls, block.block_public_policy, block.ignore_public_acls, block.restrict_public_buckets,
    ])]) && toset(keys(aws_s3_bucket_public_access_block.pages)) == toset(["bucket:pages"])
    error_message = "The bucket of status pages may become public."
  }

  assert {
    condition     = [for one in values(aws_s3_bucket_server_side_encryption_configuration.pages) : one(one(one.rule).apply_server_side_encryption_by_default).sse_algorithm] == ["AES256"]
    error_message = "The bucket of status pages is not encrypted."
  }

  assert {
    condition = jsondecode(aws_s3_bucket_policy.pages["bucket:pages"].policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "OnlyEncryptedConnections"
        Effect    = "Deny"
        Action    = ["s3:*"]
        Principal = "*"
        Resource  = ["arn:aws:s3:::syncwatch-pages-123456789012", "arn:aws:s3:::syncwatch-pages-123456789012/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
        }, {
        Sid       = "NoOldTls"
        Effect    = "Deny"
        Action    = ["s3:*"]
        Principal = "*"
        Resource  = ["arn:aws:s3:::syncwatch-pages-123456789012", "arn:aws:s3:::syncwatch-pages-123456789012/*"]
        Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
      }]
    }
    error_message = "The bucket of status pages can be read by others, or by plain HTTP."
  }

  assert {
    condition     = one(aws_s3_bucket_lifecycle_configuration.pages["bucket:pages"].rule).expiration[0].days == 400
    error_message = "A page that is not renewed is kept for ever."
  }

  assert {
    condition     = length(aws_cloudfront_distribution.pages) == 0 && output.page == null
    error_message = "The page is served without page_by_cloudfront."
  }
}

run "cloudfront_alone_reads_the_files_of_the_page" {
  variables {
    page_by_cloudfront = true
    page_web_acl_arn   = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/pages/0a1b2c3d"
  }

  assert {
    condition = jsonencode([for statement in jsondecode(aws_s3_bucket_policy.pages["bucket:pages"].policy).Statement : [statement.Action, statement.Principal, statement.Resource, statement.Condition] if statement.Effect == "Allow"]) == jsonencode([[
      ["s3:GetObject"], { Service = "cloudfront.amazonaws.com" },
      [for file in ["index.html", "live.html", "status.json", "badge.svg", "incidents.atom", "reports/*.html"] : "arn:aws:s3:::syncwatch-pages-123456789012/*/${file}"],
      { StringEquals = { "AWS:SourceArn" = aws_cloudfront_distribution.pages[0].arn } },
    ]])
    error_message = "Another reader than this distribution, or another file than those of the page."
  }

  assert {
    condition = (
      aws_cloudfront_origin_access_control.pages[0].signing_behavior == "always" &&
      one(aws_cloudfront_distribution.pages[0].default_cache_behavior).viewer_protocol_policy == "redirect-to-https" &&
      aws_cloudfront_distribution.pages[0].web_acl_id == var.page_web_acl_arn
    )
    error_message = "CloudFront does not sign its requests, or serves plain HTTP, or ignores the web ACL."
  }
}

run "only_remedies_moves_undelivered_notices" {
  assert {
    condition = jsonencode(sort(flatten([for name, function in module.function : [for statement in function.made.policy.Statement : [for action in flatten([statement.Action]) : "${name} ${action}" if statement.Resource == local.arns["queue:notices-dead"] && contains(["sqs:ReceiveMessage", "sqs:DeleteMessage"], action)]]]))) == jsonencode([
      "remedies sqs:DeleteMessage",
      "remedies sqs:ReceiveMessage",
    ])
    error_message = "Another function than remedies reads undelivered notices, or it does not."
  }

  assert {
    condition     = contains(flatten([for statement in module.function["remedies"].made.policy.Statement : [for action in flatten([statement.Action]) : "${action} ${statement.Resource}"]]), "sqs:SendMessage ${local.arns["queue:notices"]}")
    error_message = "remedies cannot send undelivered notices again."
  }
}

run "only_reconciliation_reads_the_secrets_of_connections" {
  variables {
    connections = ["crm", "erp"]
  }

  assert {
    condition = jsonencode(sort(flatten([for name, function in module.function : [for statement in function.made.policy.Statement : "${name} ${join(" ", statement.Action)} ${statement.Resource}" if strcontains(jsonencode(statement.Resource), "connection-")]]))) == jsonencode([
      "reconciliation secretsmanager:GetSecretValue arn:aws:secretsmanager:us-west-2:123456789012:secret:syncwatch/connection-crm-??????",
      "reconciliation secretsmanager:GetSecretValue arn:aws:secretsmanager:us-west-2:123456789012:secret:syncwatch/connection-erp-??????",
    ])
    error_message = "Another function than reconciliation reads the secret of a connection, or it does not."
  }

  assert {
    condition     = aws_secretsmanager_secret.this["secret:connection-crm"].name == "syncwatch/connection-crm"
    error_message = "A connection has no secret, or one of another name."
  }
}

run "publishers_may_use_the_key_of_the_topics" {
  assert {
    condition     = toset(keys(aws_iam_role_policy.publish_encrypted)) == toset([for name, function in local.table.functions : name if contains(function.permissions[*].action, "sns:Publish")])
    error_message = "Exactly the functions that publish must be allowed to use the key."
  }

  assert {
    condition = alltrue([for name, policy in aws_iam_role_policy.publish_encrypted :
      policy.role == module.function[name].made.role.name &&
      jsondecode(policy.policy).Statement == [{
        Sid      = "NoticesKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource = aws_kms_key.topics.arn
      }]
    ])
    error_message = "A function that publishes cannot use the key: SNS would refuse its notices."
  }

  assert {
    condition     = aws_kms_key.topics.enable_key_rotation && aws_kms_alias.topics.name == "alias/syncwatch-topics"
    error_message = "The key is not rotated."
  }

  assert {
    condition = jsondecode(aws_kms_key.topics.policy).Statement == [
      {
        Sid       = "ByIam"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::123456789012:root" }
        Action    = ["kms:*"]
        Resource  = "*"
      },
      {
        Sid       = "AlarmsPublish"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = "123456789012" } }
      },
    ]
    error_message = "Exactly this account and its alarms must be allowed to use the key, or alarms would be lost."
  }
}

run "scheduler_may_invoke_scheduled_functions_and_keep_failures" {
  assert {
    condition = jsondecode(aws_iam_role_policy.scheduler.policy).Statement == [
      {
        Sid      = "StartFunctions"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [for name in sort([for name, function in local.table.functions : name if can(function.schedule)]) : "arn:aws:lambda:us-west-2:123456789012:function:syncwatch-${name}"]
      },
      {
        Sid      = "KeepWhatCouldNotStart"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = "arn:aws:sqs:us-west-2:123456789012:syncwatch-failed-schedules"
      },
    ]
    error_message = "The scheduler's role must allow exactly invoking scheduled functions and queueing failed events."
  }

  assert {
    condition     = aws_iam_role_policy.scheduler.role == aws_iam_role.scheduler.name && alltrue([for schedule in values(aws_scheduler_schedule.this) : schedule.target[0].role_arn == aws_iam_role.scheduler.arn])
    error_message = "A schedule does not have the scheduler's role."
  }
}

run "topics_accept_only_roles_and_alarms" {
  assert {
    condition = alltrue([for id, topic in aws_sns_topic.notices :
      topic.kms_master_key_id == aws_kms_key.topics.arn &&
      jsondecode(aws_sns_topic_policy.notices[id].policy).Statement == [{
        Sid       = "ByRole"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::123456789012:root" }
        Action    = ["sns:Publish"]
        Resource  = local.arns[id]
      }]
    ])
    error_message = "A topic of notices is not encrypted, or accepts messages from other senders than roles with that permission."
  }

  assert {
    condition = alltrue([for name in ["alarms", "page"] :
      aws_sns_topic.alarms[name].kms_master_key_id == aws_kms_key.topics.arn &&
      jsondecode(aws_sns_topic_policy.alarms[name].policy).Statement == [{
        Sid       = "FromAlarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["sns:Publish"]
        Resource  = "arn:aws:sns:us-west-2:123456789012:syncwatch-${name}"
        Condition = { StringEquals = { "aws:SourceAccount" = "123456789012" } }
      }]
    ])
    error_message = "A topic of alarms is not encrypted, or accepts messages other than this account's alarms."
  }
}

run "queues_accept_only_their_topic" {
  assert {
    condition = { for policy in values(aws_sqs_queue_policy.from_topic) : policy.queue_url => jsondecode(policy.policy).Statement } == {
      for name in ["syncwatch-notices-relay", "syncwatch-notices-relay-dead"] : "https://sqs.us-west-2.amazonaws.com/123456789012/${name}" => [{
        Sid       = "FromTopic"
        Effect    = "Allow"
        Principal = { Service = "sns.amazonaws.com" }
        Action    = ["sqs:SendMessage"]
        Resource  = "arn:aws:sqs:us-west-2:123456789012:${name}"
        Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:sns:us-west-2:123456789012:syncwatch-notices" } }
      }]
    }
    error_message = "The relay's queues must accept notices from their topic only."
  }

  assert {
    condition = { for policy in values(aws_sqs_queue_policy.undelivered) : policy.queue_url => jsondecode(policy.policy).Statement } == {
      for queue, topic in { alarms = "page", schedules = "notices" } : "https://sqs.us-west-2.amazonaws.com/123456789012/syncwatch-failed-${queue}" => [{
        Sid       = "FromTopic"
        Effect    = "Allow"
        Principal = { Service = "sns.amazonaws.com" }
        Action    = ["sqs:SendMessage"]
        Resource  = "arn:aws:sqs:us-west-2:123456789012:syncwatch-failed-${queue}"
        Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:sns:us-west-2:123456789012:syncwatch-${topic}" } }
      }]
    }
    error_message = "Messages that PagerDuty or Lambda refused are lost, or others may write into their queue."
  }

  assert {
    condition = { for name, permission in aws_lambda_permission.topic : name => [permission.function_name, permission.principal, permission.action, permission.source_arn] } == {
      for name, function in local.table.functions : name => ["syncwatch-${name}", "sns.amazonaws.com", "lambda:InvokeFunction", "arn:aws:sns:us-west-2:123456789012:syncwatch-notices"] if can(function.subscribes)
    }
    error_message = "Exactly the topic of notices must be allowed to invoke the functions that subscribe to it."
  }
}

run "function_url_is_the_only_public_way_in" {
  assert {
    condition = (
      toset(keys(aws_lambda_function_url.this)) == toset([for name, function in local.table.functions : name if can(function.url)]) &&
      alltrue([for name, url in aws_lambda_function_url.this : url.authorization_type == "NONE" && module.function[name].made.function.reserved_concurrent_executions == local.table.functions[name].url.reserved_concurrency])
    )
    error_message = "The webhook address is missing, or its cost is not bounded."
  }

  assert {
    condition = alltrue([for name in keys(aws_lambda_function_url.this) :
      aws_lambda_permission.url[name].action == "lambda:InvokeFunctionUrl" && aws_lambda_permission.url[name].function_url_auth_type == "NONE" && aws_lambda_permission.url[name].principal == "*" &&
      aws_lambda_permission.url_invokes[name].action == "lambda:InvokeFunction" && aws_lambda_permission.url_invokes[name].invoked_via_function_url && aws_lambda_permission.url_invokes[name].principal == "*"
    ])
    error_message = "A URL needs both permissions, or it answers 403; invocation must be bound to the URL."
  }

  assert {
    condition     = length(aws_apigatewayv2_api.this) == 0 && output.webhook_url == "https://mocked.lambda-url.us-west-2.on.aws/webhooks/census"
    error_message = "The webhook's address is not that of the URL."
  }
}

run "http_api_replaces_the_url" {
  variables {
    webhook_front = "http-api"
    webhook_rate  = 7
  }

  assert {
    condition     = length(aws_lambda_function_url.this) == 0 && length(aws_lambda_permission.url) == 0 && length(aws_lambda_permission.url_invokes) == 0
    error_message = "The URL still exists and bypasses the throttle."
  }

  assert {
    condition = alltrue([for name, stage in aws_apigatewayv2_stage.this :
      stage.default_route_settings[0].throttling_rate_limit == 7 && stage.default_route_settings[0].throttling_burst_limit == 14 &&
      stage.access_log_settings[0].destination_arn == aws_cloudwatch_log_group.http_api[name].arn &&
      aws_cloudwatch_log_group.http_api[name].retention_in_days == 30
    ])
    error_message = "The API is not throttled, or does not log its callers."
  }

  assert {
    condition = alltrue([for name in keys(aws_apigatewayv2_api.this) :
      aws_apigatewayv2_route.this[name].route_key == "POST /webhooks/census" &&
      aws_apigatewayv2_integration.this[name].payload_format_version == "2.0" &&
      aws_lambda_permission.http_api[name].principal == "apigateway.amazonaws.com" &&
      aws_lambda_permission.http_api[name].action == "lambda:InvokeFunction" &&
      aws_lambda_permission.http_api[name].source_arn == "arn:aws:execute-api:us-west-2:123456789012:mocked/$default/POST/webhooks/census"
    ])
    error_message = "The API does not reach the function by its only route."
  }

  assert {
    condition     = alltrue([for name, function in local.table.functions : module.function[name].made.function.reserved_concurrent_executions == try(function.url.reserved_concurrency, -1)])
    error_message = "With the API the concurrency differs from the table."
  }

  assert {
    condition     = output.webhook_url == "https://mocked.execute-api.us-west-2.amazonaws.com/webhooks/census"
    error_message = "The webhook's address is not that of the API."
  }
}

run "small_account_may_reserve_less" {
  variables {
    webhook_reserved_concurrency = 2
  }

  assert {
    condition     = { for name, function in module.function : name => function.made.function.reserved_concurrent_executions } == { for name, function in local.table.functions : name => can(function.url) ? 2 : -1 }
    error_message = "Exactly the functions behind the webhook address must have a reservation of 2."
  }
}

run "http_api_needs_no_reservation" {
  variables {
    webhook_front                = "http-api"
    webhook_reserved_concurrency = -1
  }

  assert {
    condition     = alltrue([for function in values(module.function) : function.made.function.reserved_concurrent_executions == -1])
    error_message = "A function still has a reservation, so an account with AWS's smallest quota could not deploy."
  }
}
