# functions.json is the one table of functions: Terraform, the lab, the Makefile and the tests read it.
locals {
  prefix   = var.prefix
  declared = jsondecode(file("${path.module}/functions.json"))
  # The names of the table begin with the default prefix.
  table = merge(local.declared, {
    resources = { for id, resource in local.declared.resources : id => merge(resource, { name = "${local.prefix}${trimprefix(resource.name, "syncwatch")}" }) }
  })

  # Optional resources. Settings and permissions that refer to one that is not chosen are left out too. A channel's secret exists if
  # pipeline.toml names the channel outside of a comment.
  pipeline_text = file("${path.module}/pipeline.toml")
  chosen = concat(
    var.heartbeat ? ["secret:heartbeat"] : [],
    var.mail_identity == null ? [] : ["identity:mail"],
    [for channel in ["pagerduty", "chat"] : "secret:${channel}" if can(regex("(?m)^[^#\\n]*\\b${channel}\\b", local.pipeline_text))],
  )
  # Databases beside the warehouse: only the function that compares objects reads their secrets.
  connections = { for name in var.connections : "secret:connection-${name}" => { name = "${local.prefix}/connection-${name}" } }
  resources   = merge({ for id, resource in local.table.resources : id => resource if !try(resource.optional, false) || contains(local.chosen, id) }, local.connections)
  functions = {
    for name, function in local.table.functions : name => merge(function, {
      settings = { for setting, source in function.settings : setting => source if startswith(source, "file:") || contains(keys(local.resources), source) }
      permissions = concat(
        [for permission in try(function.permissions, []) : permission if contains(keys(local.resources), permission.resource)],
        [for id in keys(local.connections) : { action = "secretsmanager:GetSecretValue", resource = id } if name == "reconciliation"],
      )
    })
  }

  # Without the topics of alarms, which CloudWatch writes; functions only read their subscribers.
  topics  = { for id, resource in local.resources : id => resource if startswith(id, "topic:") && !contains(local.alarm_topics, trimprefix(id, "topic:")) }
  queues  = { for id, resource in local.resources : id => resource if startswith(id, "queue:") }
  tables  = { for id, resource in local.resources : id => resource if startswith(id, "table:") }
  secrets = { for id, resource in local.resources : id => resource if startswith(id, "secret:") }
  buckets = { for id, resource in local.resources : id => "${resource.name}-${local.account}" if startswith(id, "bucket:") }
  # Verified in SES by hand, as that needs records in DNS.
  identities = [for id in keys(local.resources) : id if startswith(id, "identity:")]

  # Patterns of the names of all functions and alarms of this deployment, to read their configuration.
  owns = [for id in keys(local.resources) : id if endswith(id, ":own")]

  scheduled = { for name, function in local.functions : name => function if can(function.schedule) }
  # The schedules of each function: its own, and those under `also`.
  firings = merge(
    { for name, function in local.scheduled : name => merge(function.schedule, { function = name, description = function.description }) },
    merge([for name, function in local.scheduled : {
      for also, firing in try(function.schedule.also, {}) : "${name}-${also}" => merge(function.schedule, firing, { function = name, description = "${name}: ${also}" })
    }]...),
  )
  by_url   = { for name, function in local.functions : name => function if can(function.url) }
  by_topic = { for name, function in local.functions : name => function if can(function.subscribes) }
  by_queue = { for name, function in local.functions : name => function if can(function.queue) }

  # ARNs are built from names, not read from resources: a plan shows each policy in full before anything exists, and policies of
  # resources that refer to each other do not form a cycle.
  account  = data.aws_caller_identity.current.account_id
  arn_root = "arn:${data.aws_partition.current.partition}"
  here     = "${var.region}:${local.account}"
  arns = merge(
    { for id, topic in local.topics : id => "${local.arn_root}:sns:${local.here}:${topic.name}" },
    { for name in local.alarm_topics : "topic:${name}" => local.alarm_topic_arns[name] },
    { for id, queue in local.queues : id => "${local.arn_root}:sqs:${local.here}:${queue.name}" },
    { for id, table in local.tables : id => "${local.arn_root}:dynamodb:${local.here}:table/${table.name}" },
    # Secrets Manager adds a hyphen and six random characters to the name; six question marks match this secret and no other.
    { for id, secret in local.secrets : id => "${local.arn_root}:secretsmanager:${local.here}:secret:${secret.name}-??????" },
    { for id in local.owns : id => "${local.arn_root}:${id == "function:own" ? "lambda" : "cloudwatch"}:${local.here}:${trimsuffix(id, ":own")}:${local.prefix}-*" },
    # The files of this pipeline; no function lists a bucket.
    { for id, name in local.buckets : id => "${local.arn_root}:s3:::${name}/${local.pipeline}/*" },
    { for id in local.identities : id => "${local.arn_root}:ses:${local.here}:identity/${var.mail_identity}" },
  )

  # The indexes of tables, as `table:incidents/by-state`.
  indexes = merge([
    for id, table in local.tables : { for name in keys(try(table.indexes, {})) : "${id}/${name}" => { table = id, arn = "${local.arns[id]}/index/${name}" } }
  ]...)

  # The value of a setting that refers to a resource.
  values = merge(
    { for id in keys(local.topics) : id => aws_sns_topic.notices[id].arn },
    { for name in local.alarm_topics : "topic:${name}" => aws_sns_topic.alarms[name].arn },
    { for id in keys(local.dead_letter_queues) : id => aws_sqs_queue.dead_letters[id].url },
    { for id in keys(local.work_queues) : id => aws_sqs_queue.work[id].url },
    { for id in keys(local.tables) : id => aws_dynamodb_table.state[id].name },
    { for id in keys(local.secrets) : id => aws_secretsmanager_secret.this[id].name },
    { for id in keys(local.buckets) : id => aws_s3_bucket.pages[id].bucket },
    { for id in local.owns : id => "${local.prefix}-*" },
  )
}
