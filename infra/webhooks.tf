# The address that Census posts to. It is public; the function verifies the signature before anything else.
locals {
  function_urls = var.webhook_front == "function-url" ? local.by_url : {}
  http_apis     = var.webhook_front == "http-api" ? local.by_url : {}
}

resource "aws_lambda_function_url" "this" {
  # checkov:skip=CKV_AWS_258: Census cannot sign for IAM; the function verifies Census's own signature.
  for_each = local.function_urls

  function_name = module.function[each.key].name
  # Census has its own signature scheme and cannot sign for IAM.
  authorization_type = "NONE"
}

# Since October 2025 a new URL answers 403 unless both permissions are granted.
resource "aws_lambda_permission" "url" {
  # checkov:skip=CKV_AWS_301: the address is public by design.
  for_each = local.function_urls

  statement_id           = "CallUrl"
  function_name          = module.function[each.key].name
  principal              = "*"
  action                 = "lambda:InvokeFunctionUrl"
  function_url_auth_type = "NONE"

  # One after the other: the provider itself writes permissions when it creates the URL, and Lambda refuses concurrent changes of a
  # function's policy (409, ResourceConflictException).
  depends_on = [aws_lambda_function_url.this]
}

resource "aws_lambda_permission" "url_invokes" {
  # checkov:skip=CKV_AWS_301: bound to calls through the URL, which is public by design.
  for_each = local.function_urls

  statement_id  = "InvokeByUrl"
  function_name = module.function[each.key].name
  principal     = "*"
  action        = "lambda:InvokeFunction"
  # Only calls through the URL; without it any AWS credentials could invoke the function.
  invoked_via_function_url = true

  depends_on = [aws_lambda_permission.url]
}

# Replaces the URL, which would bypass the throttle.
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
  # The event format of a Function URL; the default is the older one.
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
    # Runs that end together send their webhooks together.
    throttling_burst_limit = 2 * var.webhook_rate
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.http_api[each.key].arn
    # Sender, time and result. No body and no header, as one has the signature.
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
