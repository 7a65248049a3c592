# Copy to terraform.tfvars, which git ignores. variables.tf has all other variables.
region = "us-west-2"

# Notices about syncs and data: address -> the lowest severity that it gets.
notice_emails = {
  "data-operations@example.com"    = "warning"
  "revenue-operations@example.com" = "error"
}

# The same for the notices of some owners only; mail by SES for channels of kind email (README.md).
# owner_emails  = { "sales@example.com" = { owners = ["Revenue operations"], severity = "error" } }
# mail_identity = "example.com"

# Alarms about Syncwatch itself.
alarm_emails = ["data-operations@example.com"]

# pagerduty_cloudwatch_url = "https://events.pagerduty.com/integration/<key>/enqueue"
# slack                    = { team_id = "T07EA123LEP", channel_id = "C07EZ1ABC23" }
# heartbeat                = true
# connections              = ["crm"]

# For an account with a small Lambda quota (README.md):
# webhook_front                = "http-api"
# webhook_reserved_concurrency = -1
