# functions.json is the one table of functions: Terraform, the lab, the Makefile and the tests read it.
locals {
  prefix   = var.prefix
  declared = jsondecode(file("${path.module}/functions.json"))
  # The names of the table begin with the default prefix.
  table = merge(local.declared, {
    resources = { for id, resource in local.declared.resources : id => merge(resource, { name = "${local.prefix}${trimprefix(resource.name, "syncwatch")}" }) }
  })

  # Resources that a deployment may do without. Settings that point at one that is not chosen, and permissions on it, are left
  # out too. A channel's secret is there where pipeline.toml names the channel outside of a comment.
  pipeline_text = file("${path.module}/pipeline.toml")
  chosen = concat(
    var.heartbeat ? ["secret:heartbeat"] : [],
    [for channel in ["pagerduty", "chat"] : "secret:${channel}" if can(regex("(?m)^[^#\\n]*\\b${channel}\\b", local.pipeline_text))],
  )
  resources = { for id, resource in local.table.resources : id => resource if !try(resource.optional, false) || contains(local.chosen, id) }
  functions = {
    for name, function in local.table.functions : name => merge(function, {
      settings    = { for setting, source in function.settings : setting => source if startswith(source, "file:") || contains(keys(local.resources), source) }
      permissions = [for permission in try(function.permissions, []) : permission if contains(keys(local.resources), permission.resource)]
    })
  }

  # Without those of alarms, which people and CloudWatch use; a function only looks who subscribed them.
  topics  = { for id, resource in local.resources : id => resource if startswith(id, "topic:") && !contains(local.alarm_topics, trimprefix(id, "topic:")) }
  queues  = { for id, resource in local.resources : id => resource if startswith(id, "queue:") }
  tables  = { for id, resource in local.resources : id => resource if startswith(id, "table:") }
  secrets = { for id, resource in local.resources : id => resource if startswith(id, "secret:") }

  scheduled = { for name, function in local.functions : name => function if can(function.schedule) }
  # What starts them: the schedule of each, and what the table says it also has.
  firings = merge(
    { for name, function in local.scheduled : name => merge(function.schedule, { function = name, description = function.description }) },
    merge([for name, function in local.scheduled : {
      for also, firing in try(function.schedule.also, {}) : "${name}-${also}" => merge(function.schedule, firing, { function = name, description = "${name}: ${also}" })
    }]...),
  )
  by_url   = { for name, function in local.functions : name => function if can(function.url) }
  by_queue = { for name, function in local.functions : name => function if can(function.queue) }

  # ARNs are made from names and not taken from the resources, so that a plan shows each policy whole before anything is
  # there, and policies of things that point at each other make no cycle.
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
  )

  # The indexes of tables, as `table:incidents/by-state`.
  indexes = merge([
    for id, table in local.tables : { for name in keys(try(table.indexes, {})) : "${id}/${name}" => { table = id, arn = "${local.arns[id]}/index/${name}" } }
  ]...)

  # What a setting that points at a resource holds.
  values = merge(
    { for id in keys(local.topics) : id => aws_sns_topic.notices[id].arn },
    { for name in local.alarm_topics : "topic:${name}" => aws_sns_topic.alarms[name].arn },
    { for id in keys(local.dead_letter_queues) : id => aws_sqs_queue.dead_letters[id].url },
    { for id in keys(local.work_queues) : id => aws_sqs_queue.work[id].url },
    { for id in keys(local.tables) : id => aws_dynamodb_table.state[id].name },
    { for id in keys(local.secrets) : id => aws_secretsmanager_secret.this[id].name },
  )
}
