# Encrypts the topics. A customer managed key, as AWS's key for SNS cannot be granted to CloudWatch: its alarms would be lost silently.
resource "aws_kms_key" "topics" {
  description = "Encrypts Syncwatch's topics"
  # The default is never.
  enable_key_rotation = true
  # 30 days, the default and the maximum; explicit, because data encrypted by a deleted key is lost.
  deletion_window_in_days = 30
  policy                  = jsonencode({ Version = "2012-10-17", Statement = local.key_statements })
}

resource "aws_kms_alias" "topics" {
  name          = "alias/${local.prefix}-topics"
  target_key_id = aws_kms_key.topics.key_id
}

locals {
  # In a key's policy "*" is this key.
  key_statements = [
    {
      # Delegates use and management to IAM: without this the key could never be changed again.
      Sid       = "ByIam"
      Effect    = "Allow"
      Principal = { AWS = "${local.arn_root}:iam::${local.account}:root" }
      Action    = ["kms:*"]
      Resource  = "*"
    },
    {
      Sid       = "AlarmsPublish"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
      Resource  = "*"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    },
  ]
}
