output "webhook_url" {
  description = "The webhook address, for `syncwatch webhook-register --url ...`."
  value = one(concat(
    [for name, url in aws_lambda_function_url.this : "${trimsuffix(url.function_url, "/")}${local.by_url[name].url.path}"],
    [for name, api in aws_apigatewayv2_api.this : "${api.api_endpoint}${local.by_url[name].url.path}"],
  ))
}

output "region" {
  description = "The region of the deployment: AWS_REGION for the AWS CLI and `make`."
  value       = var.region
}

output "topic_arn" {
  description = "The topic of notices: SYNCWATCH_TOPIC_ARN for `syncwatch alert-test` if the functions have other names."
  value       = local.arns["topic:notices"]
}

output "secrets" {
  description = "The secrets that need a value: `make secret NAME=...`, with the last part of the name."
  value       = sort([for secret in values(local.secrets) : secret.name])
}

output "dashboard" {
  description = "The name of the CloudWatch dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "page" {
  description = "The address of the status page by CloudFront, for status_page_url in pipeline.toml; null without page_by_cloudfront. A signed link: `syncwatch page`."
  value       = one([for distribution in aws_cloudfront_distribution.pages : "https://${distribution.domain_name}/${local.pipeline}/index.html"])
}
