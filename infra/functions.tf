module "function" {
  source   = "./modules/function"
  for_each = local.functions

  name               = "${local.prefix}-${each.key}"
  description        = each.value.description
  zip                = "${var.zips}/${each.key}/bootstrap.zip"
  architecture       = var.architecture
  memory_mb          = each.value.memory_mb
  timeout_s          = each.value.timeout_s
  log_retention_days = var.log_retention_days
  log_group_arn      = local.log_group_arns[each.key]
  statements         = local.statements[each.key]

  environment = merge(
    { for setting, source in each.value.settings : setting => startswith(source, "file:") ? trimprefix(source, "file:") : local.values[source] },
    { for setting in try(each.value.optional_settings, []) : setting => var.optional_settings[setting] if can(var.optional_settings[setting]) },
  )

  # Bounds the cost of a public address: further requests at the same time get 429. -1, the default, uses the account's pool.
  reserved_concurrency = can(each.value.url) ? coalesce(var.webhook_reserved_concurrency, each.value.url.reserved_concurrency) : -1

  # Only Scheduler invokes asynchronously. A URL answers its caller, and a queue has its own dead letters.
  async = can(each.value.schedule) ? {
    failures_arn = each.value.schedule.retries > 0 ? aws_sqs_queue.failures["functions"].arn : null
    max_age_s    = each.value.schedule.max_age_s
    retries      = each.value.schedule.retries
  } : null
}

locals {
  log_group_arns = { for name in keys(local.functions) : name => "${local.arn_root}:logs:${local.here}:log-group:/aws/lambda/${local.prefix}-${name}" }

  # One statement per resource, from the table's permissions; the lab grants by the same lines.
  statements = {
    for name, function in local.functions : name => concat(
      [
        for resource in sort(distinct(function.permissions[*].resource)) : {
          Sid    = join("", [for word in split("-", replace(resource, ":", "-")) : title(word)])
          Effect = "Allow"
          Action = sort([for permission in function.permissions : permission.action if permission.resource == resource])
          # Only these files of a bucket, if the table names some.
          Resource = replace(local.arns[resource], "/\\*$/", try(one(distinct([for permission in function.permissions : permission.files if permission.resource == resource])), "*"))
        }
      ],
      # A function that may query a table may query its indexes, which are separate resources.
      [
        for query in setproduct([for permission in function.permissions : permission.resource if permission.action == "dynamodb:Query"], keys(local.indexes)) : {
          Sid      = join("", [for word in split("-", replace(query[1], "/[:\\/]/", "-")) : title(word)])
          Effect   = "Allow"
          Action   = ["dynamodb:Query"]
          Resource = local.indexes[query[1]].arn
        } if local.indexes[query[1]].table == query[0]
      ],
      # An event that failed every try is kept with its reason. Without retries the next round replaces the event soon; keeping it
      # would ring the alarm for one short failure and hide later ones.
      try(function.schedule.retries, 0) > 0 ? [
        {
          Sid      = "FailedEvents"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = local.failure_queue_arns["functions"]
        },
      ] : [],
    )
  }

  publishers = [for name, function in local.functions : name if contains(function.permissions[*].action, "sns:Publish")]
}

# SNS encrypts with the key on behalf of the publisher. A separate policy, as the key's ARN is unknown before it exists.
resource "aws_iam_role_policy" "publish_encrypted" {
  for_each = toset(local.publishers)

  name = "publish-encrypted"
  role = module.function[each.key].role_name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "NoticesKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource = aws_kms_key.topics.arn
      },
    ]
  })
}
