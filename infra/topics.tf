locals {
  severities = ["info", "warning", "error", "critical"]

  # alarms: about Syncwatch itself. page: those of them for which somebody gets up.
  alarm_topics     = toset(["alarms", "page"])
  alarm_topic_arns = { for name in local.alarm_topics : name => "${local.arn_root}:sns:${local.here}:${local.prefix}-${name}" }

  # The URL is a secret; whether there is one is not.
  has_pagerduty = nonsensitive(var.pagerduty_cloudwatch_url != null)

  # The number of confirmed subscriptions of each protocol that a topic needs. Every mail has an unsubscribe link, and no
  # metric counts its use, so the wish is kept here to compare with.
  subscribers = {
    notices = { email = length(var.notice_emails), sqs = length(local.subscribed_queues) }
    alarms  = { email = length(var.alarm_emails) }
    page    = { https = local.has_pagerduty ? 1 : 0 }
  }
  subscriber_tags = { for topic, wanted in local.subscribers : topic => { "expected-subscribers" = join(" ", [for protocol, count in wanted : "${protocol}=${count}"]) } }
}

# What functions tell people of syncs and data.
resource "aws_sns_topic" "notices" {
  for_each = local.topics

  name = each.value.name
  # SNS's own key would let no CloudWatch alarm publish, and one key serves all topics.
  kms_master_key_id = aws_kms_key.topics.arn
  # SHA-256; the default is SHA-1.
  signature_version = 2
  tags              = local.subscriber_tags[trimprefix(each.key, "topic:")]
}

# The default policy lets anything in the account publish. This one leaves it to the roles that say so.
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
  # The end of an incident has the severity of its worst time, so whoever heard of it hears that it is over. What a silence
  # held back is told to all, as it may have been of any severity. That a person works on an incident is for PagerDuty and the
  # chat alone. All keys of a policy must match but for those under "$or".
  filter_policy = jsonencode({ "$or" = [
    {
      severity = slice(local.severities, index(local.severities, each.value), length(local.severities))
      kind     = [{ "anything-but" = ["acknowledged"] }]
    },
    { kind = ["held-back"] },
  ] })
}

resource "aws_sns_topic_subscription" "queues" {
  for_each = local.subscribed_queues

  topic_arn = aws_sns_topic.notices[each.value.subscribes].arn
  protocol  = "sqs"
  endpoint  = aws_sqs_queue.work[each.key].arn
  # The relay knows what each channel wants; the table may filter all the same.
  filter_policy  = can(each.value.filter_policy) ? jsonencode(each.value.filter_policy) : null
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead_letters[each.value.dead_letter].arn })
}

# What CloudWatch tells people of Syncwatch. None of our code is on this way, or its failure would silence itself.
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
  # PagerDuty confirms by itself; the default is not to wait for that.
  endpoint_auto_confirms = true
  # PagerDuty reads SNS's envelope, and drops the bare message.
  raw_message_delivery = false
  # SNS gives up an HTTPS endpoint after an hour at most.
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.failures["alarms"].arn })
}

resource "aws_chatbot_slack_channel_configuration" "alarms" {
  count = var.slack == null ? 0 : 1

  configuration_name = "${local.prefix}-alarms"
  slack_team_id      = var.slack.team_id
  slack_channel_id   = var.slack.channel_id
  sns_topic_arns     = [aws_sns_topic.alarms["alarms"].arn]
  iam_role_arn       = aws_iam_role.slack[0].arn
  # The default lets whoever writes in the channel do all that the role may. Alarms are to be read there, and nothing else.
  guardrail_policy_arns = ["${local.arn_root}:iam::aws:policy/AWSDenyAll"]
  logging_level         = "ERROR"
}

# May do nothing: the channel only shows what the topic sends.
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
        # No condition on the account: no source says that the service sends one, and the role may do nothing.
        Principal = { Service = "chatbot.amazonaws.com" }
      },
    ]
  })
}
