terraform {
  # Since 1.9 a validation may refer to other variables and locals.
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 6.66 has all arguments used here (the newest is aws_lambda_permission.invoked_via_function_url); 7 may rename some.
      version = "~> 6.66"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge({ application = "syncwatch", repository = "syncwatch/infra" }, var.tags)
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}
