output "arn" {
  description = "For what invokes the function."
  value       = aws_lambda_function.this.arn
}

output "name" {
  description = "For event sources, URLs and alarms."
  value       = aws_lambda_function.this.function_name
}

output "invoke_arn" {
  description = "For an HTTP API in front."
  value       = aws_lambda_function.this.invoke_arn
}

output "role_name" {
  description = "For policies that need more than names."
  value       = aws_iam_role.this.name
}

output "made" {
  description = "What the tests look at: the function, its role's policy, its log group, and its asynchronous configuration."
  value = {
    function  = aws_lambda_function.this
    role      = aws_iam_role.this
    policy    = jsondecode(aws_iam_role_policy.this.policy)
    log_group = aws_cloudwatch_log_group.this
    async     = aws_lambda_function_event_invoke_config.this
  }
}
