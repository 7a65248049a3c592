variable "name" {
  description = "The function's name in AWS, and that of its role."
  type        = string
}

variable "description" {
  description = "What the function is for."
  type        = string
}

variable "zip" {
  description = "Path of the zip with the file bootstrap."
  type        = string
}

variable "architecture" {
  description = "arm64 or x86_64."
  type        = string
}

variable "memory_mb" {
  description = "Memory in MB."
  type        = number
}

variable "timeout_s" {
  description = "Time limit of one invocation, in seconds."
  type        = number
}

variable "environment" {
  description = "Environment variables. They say where things are and hold no secrets."
  type        = map(string)
}

variable "statements" {
  description = "What the role may do beside writing its log: statements of an IAM policy."
  type        = any
}

variable "log_group_arn" {
  description = "The ARN that the function's log group will have."
  type        = string
}

variable "log_retention_days" {
  description = "Days for which the log is kept."
  type        = number
}

variable "reserved_concurrency" {
  description = "How many invocations may run at once; -1 for no limit of its own."
  type        = number
}

variable "async" {
  description = "For a function that is invoked asynchronously: how long and how often an event is tried, and the queue for one that failed every try, or null to forget it. null for others."
  type        = object({ failures_arn = string, max_age_s = number, retries = number })
}
