variable "name" {
  description = "The name of the function and its role in AWS."
  type        = string
}

variable "description" {
  description = "The purpose of the function."
  type        = string
}

variable "zip" {
  description = "The path of the zip that has the file bootstrap."
  type        = string
}

variable "architecture" {
  description = "The processor: arm64 or x86_64."
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
  description = "Environment variables: names and addresses, no secrets."
  type        = map(string)
}

variable "statements" {
  description = "Statements of an IAM policy, in addition to writing the log."
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
  description = "Invocations that may run at the same time; -1 for no reservation."
  type        = number
}

variable "async" {
  description = "For a function with asynchronous invocations: how long and how often an event is retried, and the queue for events that failed every try (null drops them). null for other functions."
  type        = object({ failures_arn = string, max_age_s = number, retries = number })
}
