# Each function of functions.json, with its schedule, queues, tables and secrets.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  notice_emails = { "data-operations@example.com" = "warning" }
  alarm_emails  = ["data-operations@example.com"]
}

run "functions_match_the_table" {
  assert {
    condition     = toset(keys(module.function)) == toset(keys(local.table.functions))
    error_message = "The functions differ from functions.json."
  }

  assert {
    condition = alltrue([for name, function in local.table.functions :
      module.function[name].made.function.function_name == "syncwatch-${name}" &&
      module.function[name].made.function.memory_size == function.memory_mb &&
      module.function[name].made.function.timeout == function.timeout_s &&
      module.function[name].made.function.runtime == "provided.al2023" &&
      tolist(module.function[name].made.function.architectures) == tolist(["arm64"])
    ])
    error_message = "A function differs from the table in name, memory, time limit, runtime or processor."
  }

  assert {
    condition     = alltrue([for name in keys(local.table.functions) : module.function[name].made.function.source_code_hash == filebase64sha256("${var.zips}/${name}/bootstrap.zip")])
    error_message = "A changed zip would not update its function."
  }

  assert {
    condition = alltrue([for name in keys(local.table.functions) :
      module.function[name].made.log_group.name == "/aws/lambda/syncwatch-${name}" &&
      module.function[name].made.log_group.retention_in_days == 30 &&
      module.function[name].made.function.logging_config[0].log_group == "/aws/lambda/syncwatch-${name}"
    ])
    error_message = "A function does not have its own log group with a retention."
  }

  assert {
    condition     = length(distinct([for function in values(module.function) : function.made.role.name])) == length(local.table.functions)
    error_message = "Two functions share a role."
  }

  assert {
    condition = alltrue([for name, function in local.table.functions :
      toset(keys(module.function[name].made.function.environment[0].variables)) == toset([for setting, source in function.settings : setting if source != "secret:heartbeat"])
    ])
    error_message = "The environment variables of a function differ from its settings."
  }

  assert {
    condition = alltrue(flatten([for name, function in local.table.functions : [
      for setting, source in function.settings : module.function[name].made.function.environment[0].variables[setting] == (
        startswith(source, "file:") ? trimprefix(source, "file:") :
        startswith(source, "topic:") ? "arn:aws:sns:us-west-2:123456789012:mocked" :
        startswith(source, "queue:") ? "https://sqs.us-west-2.amazonaws.com/123456789012/mocked" :
        startswith(source, "bucket:") ? "${local.table.resources[source].name}-123456789012" :
        local.table.resources[source].name
      ) if source != "secret:heartbeat"
    ]]))
    error_message = "A setting must be a file path, a topic ARN, a queue URL, or the name of a table, bucket or secret."
  }
}

run "schedules" {
  assert {
    condition = toset(keys(aws_scheduler_schedule.this)) == toset(flatten([
      for name, function in local.table.functions : [name, [for also in keys(try(function.schedule.also, {})) : "${name}-${also}"]] if can(function.schedule)
    ]))
    error_message = "The schedules differ from those of the table, including those under `also`."
  }

  assert {
    condition = alltrue([for name, firing in local.firings :
      aws_scheduler_schedule.this[name].schedule_expression == firing.expression &&
      aws_scheduler_schedule.this[name].schedule_expression_timezone == local.table.functions[firing.function].schedule.time_zone &&
      aws_scheduler_schedule.this[name].state == "ENABLED" &&
      aws_scheduler_schedule.this[name].name == "syncwatch-${name}" &&
      aws_scheduler_schedule.this[name].flexible_time_window[0].mode == "OFF"
    ])
    error_message = "A schedule is not enabled, or differs from the table in expression or zone."
  }

  assert {
    condition = alltrue([for name, firing in local.firings :
      aws_scheduler_schedule.this[name].target[0].arn == module.function[firing.function].arn &&
      jsondecode(aws_scheduler_schedule.this[name].target[0].input) == firing.input &&
      aws_scheduler_schedule.this[name].target[0].retry_policy[0].maximum_event_age_in_seconds == local.table.functions[firing.function].schedule.max_age_s &&
      aws_scheduler_schedule.this[name].target[0].retry_policy[0].maximum_retry_attempts == 5 &&
      aws_scheduler_schedule.this[name].target[0].dead_letter_config[0].arn == aws_sqs_queue.failures["schedules"].arn
    ])
    error_message = "A schedule lacks its target, its retries or its dead-letter queue."
  }

  # Literal values, so that a wrong table fails too.
  assert {
    condition = (
      aws_scheduler_schedule.this["daily-validation"].schedule_expression == "cron(0 3 * * ? *)" &&
      aws_scheduler_schedule.this["daily-validation-warm-up"].schedule_expression == "cron(50 23,1,2 * * ? *)" &&
      jsondecode(aws_scheduler_schedule.this["daily-validation-warm-up"].target[0].input) == { task = "warm-up" } &&
      jsondecode(aws_scheduler_schedule.this["daily-validation-again"].target[0].input) == { task = "validate-again" }
    )
    error_message = "The warehouse is not started before the nightly rounds, or the second try is missing."
  }

  assert {
    condition = alltrue([for name in keys(local.scheduled) :
      module.function[name].made.async[0].maximum_event_age_in_seconds == local.table.functions[name].schedule.max_age_s &&
      module.function[name].made.async[0].maximum_retry_attempts == local.table.functions[name].schedule.retries
    ])
    error_message = "The retries of a scheduled function differ from the table."
  }

  # An event without retries is not kept: the next round replaces it, and the alarms on errors, silence and rounds ring.
  assert {
    condition = { for name in keys(local.scheduled) : name => join(" ", flatten(module.function[name].made.async[0].destination_config[*].on_failure[*].destination)) } == {
      for name in keys(local.scheduled) : name => local.table.functions[name].schedule.retries > 0 ? aws_sqs_queue.failures["functions"].arn : ""
    }
    error_message = "A function with retries loses failed events, or one without retries fills their queue."
  }

  assert {
    condition     = anytrue([for function in values(local.table.functions) : try(function.schedule.retries, 0) > 0]) && local.table.functions["schedule-verification"].schedule.retries == 0
    error_message = "The table no longer has both kinds of schedules, so this test proves nothing."
  }
}

run "schedules_can_be_turned_off" {
  variables {
    schedules_enabled = false
  }

  assert {
    condition     = alltrue([for schedule in values(aws_scheduler_schedule.this) : schedule.state == "DISABLED"])
    error_message = "A schedule stays enabled."
  }
}

run "queues" {
  assert {
    condition     = toset(concat(keys(aws_sqs_queue.work), keys(aws_sqs_queue.dead_letters))) == toset([for id in keys(local.table.resources) : id if startswith(id, "queue:")])
    error_message = "The queues differ from functions.json."
  }

  assert {
    condition = alltrue([for id, queue in merge(aws_sqs_queue.work, aws_sqs_queue.dead_letters) :
      queue.name == local.table.resources[id].name &&
      queue.visibility_timeout_seconds == local.table.resources[id].visibility_timeout_s &&
      queue.message_retention_seconds == local.table.resources[id].retention_s &&
      queue.sqs_managed_sse_enabled
    ])
    error_message = "A queue differs from the table in name or times, or is not encrypted."
  }

  assert {
    condition = alltrue([for id, queue in aws_sqs_queue.work :
      try(jsondecode(queue.redrive_policy).deadLetterTargetArn, "none") == aws_sqs_queue.dead_letters[local.table.resources[id].dead_letter].arn &&
      try(jsondecode(queue.redrive_policy).maxReceiveCount, "none") == local.table.resources[id].max_receives
    ])
    error_message = "A queue has no dead-letter queue."
  }

  assert {
    condition     = toset(keys(aws_sqs_queue.failures)) == toset(["functions", "schedules", "alarms"])
    error_message = "A queue for failed events of functions, of schedules, or for failed alarms is missing."
  }

  assert {
    condition     = alltrue([for queue in concat(values(aws_sqs_queue.dead_letters), values(aws_sqs_queue.failures)) : queue.message_retention_seconds == 1209600])
    error_message = "A queue keeps failed messages for less than 14 days."
  }

  assert {
    condition = alltrue([for name, mapping in aws_lambda_event_source_mapping.this :
      mapping.function_name == "syncwatch-${name}" &&
      mapping.event_source_arn == aws_sqs_queue.work[local.table.functions[name].queue.source].arn &&
      mapping.batch_size == local.table.functions[name].queue.batch_size &&
      mapping.maximum_batching_window_in_seconds == local.table.functions[name].queue.batching_window_s &&
      tolist(mapping.function_response_types) == tolist(["ReportBatchItemFailures"]) &&
      mapping.scaling_config[0].maximum_concurrency == local.table.functions[name].queue.max_concurrency
    ])
    error_message = "An event source differs from the table, or a bad message fails its whole batch."
  }

  assert {
    condition     = toset(keys(aws_lambda_event_source_mapping.this)) == toset([for name, function in local.table.functions : name if can(function.queue)])
    error_message = "The event sources differ from the functions with a queue."
  }
}

run "tables_and_secrets" {
  assert {
    condition = alltrue([for id, table in aws_dynamodb_table.state :
      table.name == local.table.resources[id].name &&
      table.hash_key == local.table.resources[id].hash_key &&
      { for index in table.global_secondary_index : index.name => index.range_key } == try(local.table.resources[id].indexes, {}) &&
      alltrue([for index in table.global_secondary_index : index.hash_key == table.hash_key && index.projection_type == "KEYS_ONLY"]) &&
      table.ttl[0].attribute_name == local.table.resources[id].ttl_attribute && table.ttl[0].enabled &&
      table.point_in_time_recovery[0].enabled &&
      table.server_side_encryption[0].enabled &&
      table.deletion_protection_enabled &&
      table.billing_mode == "PAY_PER_REQUEST"
    ])
    error_message = "A table lacks its keys, its TTL, its recovery, its encryption or its protection."
  }

  assert {
    condition     = length(aws_dynamodb_table.state) == length([for id in keys(local.table.resources) : id if startswith(id, "table:")])
    error_message = "The tables differ from functions.json."
  }

  assert {
    # The shipped pipeline.toml declares both channels.
    condition     = toset(keys(aws_secretsmanager_secret.this)) == toset([for id, resource in local.table.resources : id if startswith(id, "secret:") && (!try(resource.optional, false) || contains(["secret:pagerduty", "secret:chat"], id))])
    error_message = "The secrets must be the required ones of functions.json and those of the channels in pipeline.toml."
  }

  assert {
    condition     = alltrue([for secret in values(aws_secretsmanager_secret.this) : secret.recovery_window_in_days == 30])
    error_message = "A deleted secret could not be restored."
  }
}

run "data_protection_can_be_removed" {
  variables {
    protect_data = false
  }

  assert {
    condition     = alltrue([for table in values(aws_dynamodb_table.state) : !table.deletion_protection_enabled])
    error_message = "A table would refuse to be deleted."
  }

  assert {
    condition     = alltrue([for secret in values(aws_secretsmanager_secret.this) : secret.recovery_window_in_days == 0])
    error_message = "The name of a deleted secret could not be reused at once."
  }
}

run "heartbeat_adds_its_secret_setting_and_permission" {
  variables {
    heartbeat = true
  }

  assert {
    condition     = aws_secretsmanager_secret.this["secret:heartbeat"].name == "syncwatch/heartbeat"
    error_message = "The secret for the ping URL is missing."
  }

  assert {
    condition = alltrue([for name, function in local.table.functions :
      (try(module.function[name].made.function.environment[0].variables["SYNCWATCH_HEARTBEAT_SECRET"], "") == "syncwatch/heartbeat") == can(function.settings["SYNCWATCH_HEARTBEAT_SECRET"]) &&
      contains(module.function[name].made.policy.Statement[*].Resource, "arn:aws:secretsmanager:us-west-2:123456789012:secret:syncwatch/heartbeat-??????") == can(function.settings["SYNCWATCH_HEARTBEAT_SECRET"])
    ])
    error_message = "Exactly the functions that ping must have the setting of the URL and may read it."
  }
}

run "mail_identity_lets_only_the_relay_send_mail" {
  variables {
    mail_identity = "syncwatch@example.com"
  }

  assert {
    condition = toset(flatten([for name in keys(local.table.functions) : [
      for statement in module.function[name].made.policy.Statement : "${name} ${join(" ", flatten([statement.Action]))} ${statement.Resource}" if strcontains(join(" ", flatten([statement.Action])), "ses:")
    ]])) == toset(["alert-relay ses:SendEmail arn:aws:ses:us-west-2:123456789012:identity/syncwatch@example.com"])
    error_message = "Exactly the relay must be allowed to send mail, as the chosen identity."
  }
}

run "without_mail_identity_no_function_sends_mail" {
  assert {
    condition     = !anytrue(flatten([for function in values(module.function) : [for statement in function.made.policy.Statement : [for action in flatten([statement.Action]) : startswith(action, "ses:")]]]))
    error_message = "A function may send mail though no identity is chosen."
  }
}

run "optional_settings_reach_the_functions_that_list_them" {
  variables {
    optional_settings = { SYNCWATCH_PAGERDUTY_URL = "https://events.eu.pagerduty.com" }
  }

  assert {
    condition = alltrue([for name, function in local.table.functions :
      try(module.function[name].made.function.environment[0].variables["SYNCWATCH_PAGERDUTY_URL"], "") ==
      (contains(try(function.optional_settings, []), "SYNCWATCH_PAGERDUTY_URL") ? "https://events.eu.pagerduty.com" : "")
    ])
    error_message = "Exactly the functions that list an optional setting must have it."
  }
}
