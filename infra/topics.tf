locals {
  severities = ["info", "warning", "error", "critical"]

  # alarms: about Syncwatch itself. page: the critical ones, which page the on-call person.
  alarm_topics     = toset(["alarms", "page"])
  alarm_topic_arns = { for name in local.alarm_topics : name => "${local.arn_root}:sns:${local.here}:${local.prefix}-${name}" }

  # The URL is a secret; whether there is one is not.
  has_pagerduty = nonsensitive(var.pagerduty_cloudwatch_url != null)

  # The number of confirmed subscriptions per protocol that a topic needs. Every mail has an unsubscribe link whose use no metric
  # counts, so the check `subscribers-confirmed` compares with this.
  subscribers = {
    notices = { email = length(var.notice_emails) + length(var.owner_emails), sqs = length(local.subscribed_queues), lambda = length(local.by_topic) }
    alarms  = { email = length(var.alarm_emails) }
    page    = { https = local.has_pagerduty ? 1 : 0 }
  }
  subscriber_tags = { for topic, wanted in local.subscribers : topic => { "expected-subscribers" = join(" ", [for protocol, count in wanted : "${protocol}=${count}"]) } }
}

# Notices of functions about syncs and data.
resource "aws_sns_topic" "notices" {
  for_each = local.topics

  name = each.value.name
  # With SNS's own key no CloudWatch alarm could publish; one key serves all topics.
  kms_master_key_id = aws_kms_key.topics.arn
  # SHA-256; the default is SHA-1.
  signature_version = 2
  tags              = local.subscriber_tags[trimprefix(each.key, "topic:")]
}

# The default policy lets everything in the account publish. This one leaves that to the policies of roles.
resource "aws_sns_topic_policy" "notices" {
  for_each = local.topics

  arn = aws_sns_topic.notices[each.key].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "ByRole"
        Effect    = "Allow"
        Principal = { AWS = "${local.arn_root}:iam::${local.account}:root" }
        Action    = ["sns:Publish"]
        Resource  = local.arns[each.key]
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "notice_emails" {
  for_each = var.notice_emails

  topic_arn = aws_sns_topic.notices["topic:notices"].arn
  protocol  = "email"
  endpoint  = each.key
  # A resolved notice has the highest severity of its incident, so everyone who got the incident gets its end. The summary of a
  # silence goes to all, as suppressed notices may have any severity, and so do reports. Acknowledgements go to the channels of alert-relay only. All keys
  # of a policy must match, except those under "$or".
  filter_policy = jsonencode({ "$or" = [
    {
      severity = slice(local.severities, index(local.severities, each.value), length(local.severities))
      kind     = [{ "anything-but" = ["acknowledged"] }]
    },
    { kind = ["held-back", "report"] },
  ] })
}

# The same for the notices of some owners. The summary of a silence and a report have no owner.
resource "aws_sns_topic_subscription" "owner_emails" {
  for_each = var.owner_emails

  topic_arn = aws_sns_topic.notices["topic:notices"].arn
  protocol  = "email"
  endpoint  = each.key
  filter_policy = jsonencode({ "$or" = [
    {
      owner    = sort(each.value.owners)
      severity = slice(local.severities, index(local.severities, each.value.severity), length(local.severities))
      kind     = [{ "anything-but" = ["acknowledged"] }]
    },
    { kind = ["held-back", "report"] },
  ] })
}

resource "aws_sns_topic_subscription" "queues" {
  for_each = local.subscribed_queues

  topic_arn = aws_sns_topic.notices[each.value.subscribes].arn
  protocol  = "sqs"
  endpoint  = aws_sqs_queue.work[each.key].arn
  # The relay filters per channel; the table may filter before it.
  filter_policy  = can(each.value.filter_policy) ? jsonencode(each.value.filter_policy) : null
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead_letters[each.value.dead_letter].arn })
}

resource "aws_sns_topic_subscription" "functions" {
  for_each = local.by_topic

  topic_arn = aws_sns_topic.notices[each.value.subscribes].arn
  protocol  = "lambda"
  endpoint  = module.function[each.key].arn
  # Notices that Lambda did not accept. A failed invocation is not kept: the next notice or the schedule replaces it.
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.failures["schedules"].arn })

  # SNS drops a message that it may not pass on.
  depends_on = [aws_lambda_permission.topic]
}

resource "aws_lambda_permission" "topic" {
  for_each = local.by_topic

  statement_id  = "CallByTopic"
  function_name = module.function[each.key].name
  principal     = "sns.amazonaws.com"
  action        = "lambda:InvokeFunction"
  source_arn    = local.arns[each.value.subscribes]
}

# Alarms of CloudWatch about Syncwatch. None of our code is on this path, as its failure would silence the alarm.
resource "aws_sns_topic" "alarms" {
  for_each = local.alarm_topics

  name              = "${local.prefix}-${each.key}"
  kms_master_key_id = aws_kms_key.topics.arn
  signature_version = 2
  tags              = local.subscriber_tags[each.key]
}

resource "aws_sns_topic_policy" "alarms" {
  for_each = local.alarm_topics

  arn = aws_sns_topic.alarms[each.key].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "FromAlarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["sns:Publish"]
        Resource  = local.alarm_topic_arns[each.key]
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "alarm_emails" {
  for_each = var.alarm_emails

  topic_arn = aws_sns_topic.alarms["alarms"].arn
  protocol  = "email"
  endpoint  = each.key
}

resource "aws_sns_topic_subscription" "pagerduty" {
  count = local.has_pagerduty ? 1 : 0

  topic_arn = aws_sns_topic.alarms["page"].arn
  protocol  = "https"
  endpoint  = var.pagerduty_cloudwatch_url
  # PagerDuty confirms automatically; by default Terraform does not wait for that.
  endpoint_auto_confirms = true
  # PagerDuty reads SNS's envelope and drops a bare message.
  raw_message_delivery = false
  # SNS stops retrying an HTTPS endpoint after an hour at most.
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.failures["alarms"].arn })
}

resource "aws_chatbot_slack_channel_configuration" "alarms" {
  count = var.slack == null ? 0 : 1

  configuration_name = "${local.prefix}-alarms"
  slack_team_id      = var.slack.team_id
  slack_channel_id   = var.slack.channel_id
  sns_topic_arns     = [aws_sns_topic.alarms["alarms"].arn]
  iam_role_arn       = aws_iam_role.slack[0].arn
  # By default members of the channel may do everything that the role may. Here they only read alarms.
  guardrail_policy_arns = ["${local.arn_root}:iam::aws:policy/AWSDenyAll"]
  logging_level         = "ERROR"
}

# Has no permissions: the channel only shows the topic's messages.
resource "aws_iam_role" "slack" {
  count = var.slack == null ? 0 : 1

  name        = "${local.prefix}-slack"
  description = "Shows alarms in Slack"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "BySlack"
        Effect = "Allow"
        Action = "sts:AssumeRole"
        # No condition on the account: no source documents that the service sends one, and the role has no permissions.
        Principal = { Service = "chatbot.amazonaws.com" }
      },
    ]
  })
}
