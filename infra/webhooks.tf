# The address that Census posts to. Anybody may call it; the function verifies the signature before anything else.
locals {
  function_urls = var.webhook_front == "function-url" ? local.by_url : {}
  http_apis     = var.webhook_front == "http-api" ? local.by_url : {}
}

resource "aws_lambda_function_url" "this" {
  # checkov:skip=CKV_AWS_258: Census cannot sign for IAM; the function verifies Census's own signature.
  for_each = local.function_urls

  function_name = module.function[each.key].name
  # Census signs with its own scheme and cannot sign for IAM.
  authorization_type = "NONE"
}

# Since October 2025 a new URL answers 403 unless both of these are granted.
resource "aws_lambda_permission" "url" {
  # checkov:skip=CKV_AWS_301: the address is public by design.
  for_each = local.function_urls

  statement_id           = "CallUrl"
  function_name          = module.function[each.key].name
  principal              = "*"
  action                 = "lambda:InvokeFunctionUrl"
  function_url_auth_type = "NONE"

  # One after the other: the provider itself writes permissions when it makes the URL, and Lambda refuses a second change of
  # a function's policy at the same moment (409, ResourceConflictException).
  depends_on = [aws_lambda_function_url.this]
}

resource "aws_lambda_permission" "url_invokes" {
  # checkov:skip=CKV_AWS_301: bound to what came through the URL, which is public by design.
  for_each = local.function_urls

  statement_id  = "InvokeByUrl"
  function_name = module.function[each.key].name
  principal     = "*"
  action        = "lambda:InvokeFunction"
  # Only what came through the URL; without it anybody with AWS credentials could call the function's API.
  invoked_via_function_url = true

  depends_on = [aws_lambda_permission.url]
}

# In the place of the URL, which would be a way around the throttle.
resource "aws_apigatewayv2_api" "this" {
  for_each = local.http_apis

  name          = "${local.prefix}-${each.key}"
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "this" {
  for_each = local.http_apis

  api_id           = aws_apigatewayv2_api.this[each.key].id
  integration_type = "AWS_PROXY"
  integration_uri  = module.function[each.key].invoke_arn
  # The shape of a Function URL's event; the default is the older one.
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "this" {
  # checkov:skip=CKV_AWS_309: Census has no credentials for AWS; the function verifies its signature.
  for_each = local.http_apis

  api_id             = aws_apigatewayv2_api.this[each.key].id
  route_key          = "POST ${each.value.url.path}"
  target             = "integrations/${aws_apigatewayv2_integration.this[each.key].id}"
  authorization_type = "NONE"
}

resource "aws_apigatewayv2_stage" "this" {
  for_each = local.http_apis

  api_id      = aws_apigatewayv2_api.this[each.key].id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit = var.webhook_rate
    # Runs that end together are told together.
    throttling_burst_limit = 2 * var.webhook_rate
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.http_api[each.key].arn
    # Who, when, what came of it. No body and no header: the signature is in one.
    format = jsonencode({
      requestId = "$context.requestId"
      time      = "$context.requestTime"
      from      = "$context.identity.sourceIp"
      route     = "$context.routeKey"
      status    = "$context.status"
      error     = "$context.integrationErrorMessage"
    })
  }
}

resource "aws_cloudwatch_log_group" "http_api" {
  for_each = local.http_apis

  name              = "/aws/apigateway/${local.prefix}-${each.key}"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_permission" "http_api" {
  for_each = local.http_apis

  statement_id  = "CallByApi"
  function_name = module.function[each.key].name
  principal     = "apigateway.amazonaws.com"
  action        = "lambda:InvokeFunction"
  source_arn    = "${aws_apigatewayv2_stage.this[each.key].execution_arn}/POST${each.value.url.path}"
}
