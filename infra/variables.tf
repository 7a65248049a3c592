variable "region" {
  description = "The AWS region that everything lives in."
  type        = string
  default     = "us-west-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the code of an AWS region, such as us-west-2."
  }
}

variable "prefix" {
  description = "What every name begins with. Another deployment in the same account, even in another region, needs another one: roles belong to the account, and an alarm of the same name would be taken over. Set SYNCWATCH_PREFIX to the same for the command line."
  type        = string
  default     = "syncwatch"

  validation {
    # The longest name is <prefix>-schedule-verification, and those of roles and schedules end at 64 characters.
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.prefix)) && !endswith(var.prefix, "-")
    error_message = "prefix must have 2 to 21 lower-case letters, digits and hyphens, begin with a letter and not end with a hyphen."
  }
}

variable "notice_emails" {
  description = "Who gets notices by mail: address -> the least severity that is sent to it (info, warning, error or critical). Each address must confirm within two days."
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

variable "alarm_emails" {
  description = "Who is told by mail when Syncwatch itself fails. This way does not depend on Syncwatch's own code."
  type        = set(string)

  validation {
    condition     = length(var.alarm_emails) > 0
    error_message = "alarm_emails needs at least one address: without it nobody hears that Syncwatch itself has failed."
  }

  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", address))])
    error_message = "alarm_emails must hold mail addresses."
  }
}

variable "pagerduty_cloudwatch_url" {
  description = "The integration URL of a PagerDuty service of the type Amazon CloudWatch; gets critical alarms about Syncwatch itself. It holds a key and will be in the state: see README.md. null: none."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.pagerduty_cloudwatch_url == null || can(regex("^https://events\\.(eu\\.)?pagerduty\\.com/(integration/[^/]+/enqueue|x-ere/[^/]+)$", var.pagerduty_cloudwatch_url))
    error_message = "pagerduty_cloudwatch_url must be https://events.pagerduty.com/integration/<key>/enqueue or https://events.pagerduty.com/x-ere/<key>."
  }
}

variable "slack" {
  description = "The Slack channel that alarms about Syncwatch itself are shown in, by Amazon Q Developer in chat applications; the workspace must have been authorized in its console. Notices about syncs reach chats by alert-relay. null: none."
  type        = object({ team_id = string, channel_id = string })
  default     = null

  validation {
    condition     = var.slack == null || try(can(regex("^T[0-9A-Z]+$", var.slack.team_id)) && can(regex("^[CG][0-9A-Z]+$", var.slack.channel_id)), false)
    error_message = "slack needs the ids that Slack shows, such as { team_id = \"T07EA123LEP\", channel_id = \"C07EZ1ABC23\" }, and no names."
  }
}

variable "heartbeat" {
  description = "Whether an outside service hears of each good round. Its ping URL is a credential, so it is the value of the secret syncwatch/heartbeat."
  type        = bool
  default     = false
}

variable "webhook_front" {
  description = "What Census's webhooks reach: \"function-url\" (free; throttled by reserved concurrency) or \"http-api\" (a price for each request; throttled by rate as well)."
  type        = string
  default     = "function-url"

  validation {
    condition     = contains(["function-url", "http-api"], var.webhook_front)
    error_message = "webhook_front must be \"function-url\" or \"http-api\"."
  }
}

variable "webhook_rate" {
  description = "With webhook_front = \"http-api\": requests a second that are let through; more are answered 429, and what they tell of is seen by the next poll."
  type        = number
  default     = 20

  validation {
    condition     = var.webhook_rate >= 1 && var.webhook_rate <= 1000 && floor(var.webhook_rate) == var.webhook_rate
    error_message = "webhook_rate must be a whole number of requests a second from 1 to 1000."
  }
}

variable "webhook_reserved_concurrency" {
  description = "How many webhooks may be taken at once; more are answered 429, and what they tell of is seen by the next poll. AWS refuses it if the account's quota is too small (README.md). null: as functions.json says. -1: no limit of its own, with webhook_front = \"http-api\" alone."
  type        = number
  default     = null

  validation {
    condition     = var.webhook_reserved_concurrency == null || try(var.webhook_reserved_concurrency == -1 || (var.webhook_reserved_concurrency >= 1 && floor(var.webhook_reserved_concurrency) == var.webhook_reserved_concurrency), false)
    error_message = "webhook_reserved_concurrency must be a whole number from 1, or -1 for none; with 0 no webhook would be taken."
  }

  validation {
    condition     = var.webhook_reserved_concurrency != -1 || var.webhook_front == "http-api"
    error_message = "webhook_reserved_concurrency = -1 needs webhook_front = \"http-api\", which has a throttle of its own: nothing else bounds what a public Function URL may cost."
  }
}

variable "schedules_enabled" {
  description = "Whether EventBridge Scheduler fires the functions. Turned off, nothing is watched, and the alarms on silence say so."
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
  description = "The folder with <function>/bootstrap.zip for each function; `make package` fills it."
  type        = string
  default     = "../target/lambda/arm64"

  validation {
    condition     = alltrue([for name in keys(local.table.functions) : fileexists("${var.zips}/${name}/bootstrap.zip")])
    error_message = "There is no zip in ${var.zips} for: ${join(", ", [for name in keys(local.table.functions) : name if !fileexists("${var.zips}/${name}/bootstrap.zip")])}. Build them by `make package`, or set zips to the folder where they are."
  }
}

variable "log_retention_days" {
  description = "How long the functions' logs are kept. They hold what was decided and why, and no data and no secrets."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of the times that CloudWatch Logs knows, such as 7, 30, 90 or 365; for ever is not one of them here."
  }
}

variable "protect_data" {
  description = "Whether tables refuse to be deleted and secrets can be restored for 30 days. `make destroy DATA=delete` turns it off first."
  type        = bool
  default     = true
}

variable "optional_settings" {
  description = "Values of optional settings (functions.json, optional_settings), such as { SYNCWATCH_PAGERDUTY_URL = \"https://events.eu.pagerduty.com\" }."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.optional_settings), flatten([for function in values(local.table.functions) : try(function.optional_settings, [])]))) == 0
    error_message = "No function takes: ${join(", ", setsubtract(keys(var.optional_settings), flatten([for function in values(local.table.functions) : try(function.optional_settings, [])])))}. The names are those of optional_settings in functions.json."
  }
}

variable "tags" {
  description = "Tags for everything, beside application = syncwatch."
  type        = map(string)
  default     = {}
}
