# Values of the mocked provider for attributes that must have a certain format.
mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
}

mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:us-west-2:123456789012:key/00000000-0000-4000-8000-000000000000" }
}

mock_resource "aws_lambda_function" {
  defaults = {
    arn        = "arn:aws:lambda:us-west-2:123456789012:function:mocked"
    invoke_arn = "arn:aws:apigateway:us-west-2:lambda:path/2015-03-31/functions/arn:aws:lambda:us-west-2:123456789012:function:mocked/invocations"
  }
}

mock_resource "aws_sqs_queue" {
  defaults = {
    arn = "arn:aws:sqs:us-west-2:123456789012:mocked"
    url = "https://sqs.us-west-2.amazonaws.com/123456789012/mocked"
  }
}

mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:us-west-2:123456789012:mocked" }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:us-west-2:123456789012:log-group:mocked" }
}

mock_resource "aws_lambda_function_url" {
  defaults = { function_url = "https://mocked.lambda-url.us-west-2.on.aws/" }
}

mock_resource "aws_apigatewayv2_api" {
  defaults = {
    api_endpoint  = "https://mocked.execute-api.us-west-2.amazonaws.com"
    execution_arn = "arn:aws:execute-api:us-west-2:123456789012:mocked"
  }
}

mock_resource "aws_apigatewayv2_stage" {
  defaults = { execution_arn = "arn:aws:execute-api:us-west-2:123456789012:mocked/$default" }
}
