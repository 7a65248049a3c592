variable "region" {
  description = "The AWS region of all resources."
  type        = string
  default     = "us-west-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the code of an AWS region, such as us-west-2."
  }
}

variable "prefix" {
  description = "The prefix of every name. A second deployment in the same account, even in another region, needs another one: roles belong to the account, and an alarm of the same name would be overwritten. Set SYNCWATCH_PREFIX to the same value for the command line."
  type        = string
  default     = "syncwatch"

  validation {
    # The longest name is <prefix>-schedule-verification; names of roles and schedules have at most 64 characters.
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.prefix)) && !endswith(var.prefix, "-")
    error_message = "prefix must have 2 to 21 lower-case letters, digits and hyphens, begin with a letter and not end with a hyphen."
  }
}

variable "notice_emails" {
  description = "Recipients of notices by mail: address -> the lowest severity that it gets (info, warning, error or critical). Each address must confirm within two days."
  type        = map(string)

  validation {
    condition     = alltrue([for address in keys(var.notice_emails) : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", address))])
    error_message = "notice_emails maps mail addresses to severities, such as { \"ops@example.com\" = \"warning\" }."
  }

  validation {
    condition     = alltrue([for least in values(var.notice_emails) : contains(["info", "warning", "error", "critical"], least)])
    error_message = "The severities of notice_emails are info, warning, error and critical."
  }
}

variable "owner_emails" {
  description = "Recipients of the notices of some owners only, by mail: address -> the owners (names of contacts in pipeline.toml) and the lowest severity. Each address must confirm within two days."
  type        = map(object({ owners = set(string), severity = optional(string, "warning") }))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for address in keys(var.owner_emails) : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", address)) && !contains(keys(var.notice_emails), address)])
    error_message = "owner_emails maps mail addresses to owners, such as { \"sales@example.com\" = { owners = [\"Sales\"] } }. SNS takes an address once, so none may also be in notice_emails, which has the notices of all owners."
  }

  validation {
    condition     = alltrue([for wanted in values(var.owner_emails) : contains(["info", "warning", "error", "critical"], wanted.severity)])
    error_message = "The severities of owner_emails are info, warning, error and critical."
  }

  validation {
    condition     = alltrue([for wanted in values(var.owner_emails) : length(wanted.owners) > 0 && alltrue([for owner in wanted.owners : can(regex("\\S", owner)) && strcontains(local.pipeline_text, "\"${owner}\"")])])
    error_message = "The owners of owner_emails must be names of contacts in pipeline.toml."
  }
}

variable "mail_identity" {
  description = "The identity in SES that sends the mails of channels of kind email: a domain, or an address if that itself is verified. Verify it first, in the same region. null: none; then alert-relay may not use SES."
  type        = string
  default     = null

  validation {
    condition     = var.mail_identity == null || can(regex("^([^@/* ]+@)?[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+$", var.mail_identity))
    error_message = "mail_identity must be a domain or a mail address, such as \"example.com\" or \"syncwatch@example.com\"."
  }

  validation {
    # Only a mail channel has a sender in pipeline.toml.
    condition     = var.mail_identity != null || !can(regex("(?m)^[^#\\n]*\\bfrom\\s*=\\s*\"[^\"\\n]*@", local.pipeline_text))
    error_message = "pipeline.toml declares a channel of kind email, so mail_identity must be the SES identity of its sender."
  }
}

variable "page_by_cloudfront" {
  description = "Serve the status pages by CloudFront. Everybody who knows its address can read them, unless page_web_acl_arn restricts it. false: only signed links of `syncwatch page` open them."
  type        = bool
  default     = false
}

variable "page_web_acl_arn" {
  description = "The web ACL of AWS WAF (scope CLOUDFRONT, region us-east-1) that decides who may read the status pages by CloudFront. null: none."
  type        = string
  default     = null

  validation {
    condition     = var.page_web_acl_arn == null || var.page_by_cloudfront
    error_message = "page_web_acl_arn needs page_by_cloudfront."
  }
}

variable "alarm_emails" {
  description = "Mail addresses that get an alarm when Syncwatch itself fails. This path does not depend on Syncwatch's code."
  type        = set(string)

  validation {
    condition     = length(var.alarm_emails) > 0
    error_message = "alarm_emails needs at least one address; without it a failure of Syncwatch itself alerts no one."
  }

  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", address))])
    error_message = "alarm_emails must be mail addresses, such as \"ops@example.com\"."
  }
}

variable "pagerduty_cloudwatch_url" {
  description = "The integration URL of a PagerDuty service of the type Amazon CloudWatch, which gets critical alarms about Syncwatch itself. It contains a key and is stored in the state: see README.md. null: none."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.pagerduty_cloudwatch_url == null || can(regex("^https://events\\.(eu\\.)?pagerduty\\.com/(integration/[^/]+/enqueue|x-ere/[^/]+)$", var.pagerduty_cloudwatch_url))
    error_message = "pagerduty_cloudwatch_url must be https://events.pagerduty.com/integration/<key>/enqueue or https://events.pagerduty.com/x-ere/<key>."
  }
}

variable "slack" {
  description = "The Slack channel that shows alarms about Syncwatch itself, by Amazon Q Developer in chat applications; authorize the workspace in its console first. Notices about syncs reach chats by alert-relay. null: none."
  type        = object({ team_id = string, channel_id = string })
  default     = null

  validation {
    condition     = var.slack == null || try(can(regex("^T[0-9A-Z]+$", var.slack.team_id)) && can(regex("^[CG][0-9A-Z]+$", var.slack.channel_id)), false)
    error_message = "slack needs ids, not names, such as { team_id = \"T07EA123LEP\", channel_id = \"C07EZ1ABC23\" }."
  }
}

variable "heartbeat" {
  description = "Whether each good round pings an outside service. The ping URL is a credential: it is the value of the secret syncwatch/heartbeat."
  type        = bool
  default     = false
}

variable "connections" {
  description = "The names of the connections of pipeline.toml: databases with sides of objects. Each gets a secret for its credentials, such as syncwatch/connection-crm, which only `reconciliation` may read."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.connections : can(regex("^[a-z][a-z0-9-]{0,63}$", name))])
    error_message = "A connection is named as in pipeline.toml: lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "webhook_front" {
  description = "The endpoint for Census's webhooks: \"function-url\" (free; throttled by reserved concurrency) or \"http-api\" (a price per request; also throttled by rate)."
  type        = string
  default     = "function-url"

  validation {
    condition     = contains(["function-url", "http-api"], var.webhook_front)
    error_message = "webhook_front must be \"function-url\" or \"http-api\"."
  }
}

variable "webhook_rate" {
  description = "With webhook_front = \"http-api\": requests accepted per second. Further requests get 429; the next poll covers them."
  type        = number
  default     = 20

  validation {
    condition     = var.webhook_rate >= 1 && var.webhook_rate <= 1000 && floor(var.webhook_rate) == var.webhook_rate
    error_message = "webhook_rate must be a whole number of requests a second from 1 to 1000."
  }
}

variable "webhook_reserved_concurrency" {
  description = "Webhooks that are accepted at the same time. Further ones get 429; the next poll covers them. AWS refuses the value if the account's quota is too small (README.md). null: the value in functions.json. -1: no reservation, only with webhook_front = \"http-api\"."
  type        = number
  default     = null

  validation {
    condition     = var.webhook_reserved_concurrency == null || try(var.webhook_reserved_concurrency == -1 || (var.webhook_reserved_concurrency >= 1 && floor(var.webhook_reserved_concurrency) == var.webhook_reserved_concurrency), false)
    error_message = "webhook_reserved_concurrency must be a whole number from 1, or -1 for no reservation; 0 would refuse every webhook."
  }

  validation {
    condition     = var.webhook_reserved_concurrency != -1 || var.webhook_front == "http-api"
    error_message = "webhook_reserved_concurrency = -1 needs webhook_front = \"http-api\", which has its own throttle: without a reservation the cost of a public Function URL is unbounded."
  }
}

variable "schedules_enabled" {
  description = "Whether EventBridge Scheduler invokes the functions. If false, nothing is checked, and the alarms on silence ring."
  type        = bool
  default     = true
}

variable "architecture" {
  description = "The processor that the zips were built for: arm64 (a fifth cheaper) or x86_64."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64."
  }
}

variable "zips" {
  description = "The folder with <function>/bootstrap.zip for each function, which `make package` builds."
  type        = string
  default     = "../target/lambda/arm64"

  validation {
    condition     = alltrue([for name in keys(local.table.functions) : fileexists("${var.zips}/${name}/bootstrap.zip")])
    error_message = "No zip in ${var.zips} for: ${join(", ", [for name in keys(local.table.functions) : name if !fileexists("${var.zips}/${name}/bootstrap.zip")])}. Build them with `make package`, or set zips to their folder."
  }
}

variable "log_retention_days" {
  description = "Days for which the functions' logs are kept. Logs have decisions and their reasons, no data and no secrets."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a retention that CloudWatch Logs accepts, such as 7, 30, 90 or 365; unlimited retention is not supported."
  }
}

variable "protect_data" {
  description = "Whether tables are protected from deletion and deleted secrets can be restored for 30 days. `make destroy DATA=delete` turns it off first."
  type        = bool
  default     = true
}

variable "optional_settings" {
  description = "Values of optional settings (functions.json, optional_settings), such as { SYNCWATCH_PAGERDUTY_URL = \"https://events.eu.pagerduty.com\" }."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.optional_settings), flatten([for function in values(local.table.functions) : try(function.optional_settings, [])]))) == 0
    error_message = "No function reads: ${join(", ", setsubtract(keys(var.optional_settings), flatten([for function in values(local.table.functions) : try(function.optional_settings, [])])))}. Use names of optional_settings in functions.json."
  }
}

variable "tags" {
  description = "Tags for all resources, in addition to application and repository."
  type        = map(string)
  default     = {}
}
