# One Lambda function with all that it alone has: its role, its log, and where events go that it could not handle.

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

  # Processor time comes with memory; at the default of 128 MB a TLS handshake alone takes most of a second.
  memory_size = var.memory_mb
  # The default of 3 seconds is less than one slow answer of Census.
  timeout                        = var.timeout_s
  reserved_concurrent_executions = var.reserved_concurrency

  environment {
    variables = var.environment
  }

  # Text, the default, said to detect drift: a line that is metrics in the embedded format must stay as it was written.
  # Log levels, and so a log without START, END and REPORT, are for JSON alone (CDK API reference, LoggingFormat).
  # By the group's name the function comes after its group; otherwise Lambda makes one that is kept for ever.
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this.name
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name = "/aws/lambda/${var.name}"
  # The default is to keep logs, and pay for them, for ever.
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function_event_invoke_config" "this" {
  count = var.async == null ? 0 : 1

  function_name = aws_lambda_function.this.function_name
  # An old round says nothing that the next one does not say better; the default is to try for six hours.
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

  # Lambda takes a destination only if the function may already write there.
  depends_on = [aws_iam_role_policy.this]
}

resource "aws_iam_role" "this" {
  name        = var.name
  description = "What ${var.name} may do"
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
  # Not AWS's managed policy: that one lets a function write into the log of any other, and make groups without a retention.
  log_statements = [
    {
      Sid      = "Log"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${var.log_group_arn}:*"
    },
  ]
}
