output "arn" {
  description = "The ARN of the function, for its triggers."
  value       = aws_lambda_function.this.arn
}

output "name" {
  description = "The name of the function, for event sources, URLs and alarms."
  value       = aws_lambda_function.this.function_name
}

output "invoke_arn" {
  description = "The ARN that an HTTP API invokes."
  value       = aws_lambda_function.this.invoke_arn
}

output "role_name" {
  description = "The name of the role, for further policies."
  value       = aws_iam_role.this.name
}

output "made" {
  description = "For tests: the function, its role with its policy, its log group, and its asynchronous configuration."
  value = {
    function  = aws_lambda_function.this
    role      = aws_iam_role.this
    policy    = jsondecode(aws_iam_role_policy.this.policy)
    log_group = aws_cloudwatch_log_group.this
    async     = aws_lambda_function_event_invoke_config.this
  }
}
