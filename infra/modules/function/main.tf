# One Lambda function with its role, its log group and its configuration for failed events.

resource "aws_lambda_function" "this" {
  function_name = var.name
  description   = var.description
  role          = aws_iam_role.this.arn

  # A Rust binary: the operating system only, and the file `bootstrap` of the zip.
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  filename         = var.zip
  source_code_hash = filebase64sha256(var.zip)

  # CPU is proportional to memory; at the default of 128 MB a TLS handshake alone takes most of a second.
  memory_size = var.memory_mb
  # The default of 3 seconds is shorter than one slow answer of Census.
  timeout                        = var.timeout_s
  reserved_concurrent_executions = var.reserved_concurrency

  environment {
    variables = var.environment
  }

  # Text, the default; explicit, to detect drift: JSON would change the lines of metrics in the embedded format. Log levels, and so
  # a log without START, END and REPORT, need JSON (CDK API reference, LoggingFormat). The reference to the group creates it before
  # the function; otherwise Lambda would create one without a retention.
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this.name
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name = "/aws/lambda/${var.name}"
  # By default logs are kept, and paid for, forever.
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function_event_invoke_config" "this" {
  count = var.async == null ? 0 : 1

  function_name = aws_lambda_function.this.function_name
  # The next round replaces an old one; the default is to try for six hours.
  maximum_event_age_in_seconds = var.async.max_age_s
  maximum_retry_attempts       = var.async.retries

  dynamic "destination_config" {
    for_each = var.async.failures_arn[*]

    content {
      on_failure {
        destination = destination_config.value
      }
    }
  }

  # Lambda accepts a destination only if the function may already write there.
  depends_on = [aws_iam_role_policy.this]
}

resource "aws_iam_role" "this" {
  name        = var.name
  description = "Permissions of ${var.name}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "ByLambda"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "lambda.amazonaws.com" }
      },
    ]
  })
}

resource "aws_iam_role_policy" "this" {
  name   = "function"
  role   = aws_iam_role.this.name
  policy = jsonencode({ Version = "2012-10-17", Statement = concat(local.log_statements, var.statements) })
}

locals {
  # Not AWS's managed policy, which lets a function write into any log and create groups without a retention.
  log_statements = [
    {
      Sid      = "Log"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${var.log_group_arn}:*"
    },
  ]
}
