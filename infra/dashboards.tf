locals {
  own = jsondecode(file("${path.module}/metrics.json"))

  function_names = [for name in sort(keys(local.functions)) : "${local.prefix}-${name}"]

  # Title and metrics of each tile, in the dashboard's JSON. A dashboard of up to 50 metrics is free, so metrics with an alarm
  # that rarely rings are left out.
  drawn = concat([for metric in local.own.metrics : [metric.title, [[{
    # Every pipeline, including later ones.
    expression = "SEARCH('{${local.own.namespace},${join(",", local.own.dimensions)}} MetricName=\"${metric.name}\"', '${metric.statistic}', 300)"
    label      = ""
    id         = "e1"
    }]]]], [
    # Those with a schedule run at a fixed rate.
    ["Invocations (a driver of cost)", [for name in sort(keys(local.functions)) : ["AWS/Lambda", "Invocations", "FunctionName", "${local.prefix}-${name}", { stat = "Sum" }] if !can(local.table.functions[name].schedule.expression)]],
    ["Errors and throttles", concat(
      [for name in local.function_names : ["AWS/Lambda", "Errors", "FunctionName", name, { stat = "Sum" }]],
      # Of functions with a public address.
      [for name in sort(keys(local.by_url)) : ["AWS/Lambda", "Throttles", "FunctionName", "${local.prefix}-${name}", { stat = "Sum" }]],
    )],
    ["Duration of invocations (a driver of cost)", [for name in local.function_names : ["AWS/Lambda", "Duration", "FunctionName", name, { stat = "Maximum" }]]],
    ["Messages waiting", [for name in sort(keys(local.watched_queues)) : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", name, { stat = "Maximum" }]]],
  ])
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = local.prefix
  dashboard_body = jsonencode({
    widgets = concat(
      [
        {
          type       = "alarm"
          x          = 0
          y          = 0
          width      = 24
          height     = 4
          properties = { title = "Alarms about Syncwatch itself", alarms = sort(local.alarm_arns) }
        },
      ],
      [
        for index, tile in local.drawn : {
          type   = "metric"
          x      = 8 * (index % 3)
          y      = 4 + 6 * floor(index / 3)
          width  = 8
          height = 6
          properties = {
            title   = tile[0]
            metrics = tile[1]
            region  = var.region
            view    = "timeSeries"
            period  = 300
          }
        }
      ],
    )
  })
}

locals {
  alarm_arns = flatten([aws_cloudwatch_metric_alarm.rounds.arn, aws_cloudwatch_metric_alarm.refused.arn, [
    for alarms in [
      aws_cloudwatch_metric_alarm.errors,
      aws_cloudwatch_metric_alarm.throttles,
      aws_cloudwatch_metric_alarm.duration,
      aws_cloudwatch_metric_alarm.silence,
      aws_cloudwatch_metric_alarm.failed,
      aws_cloudwatch_metric_alarm.stale,
      aws_cloudwatch_metric_alarm.undelivered,
    ] : [for alarm in values(alarms) : alarm.arn]
  ]])
}
