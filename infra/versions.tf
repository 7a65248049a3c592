terraform {
  # 1.9 lets a validation look at more than its own variable.
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 6.66 has what is used here (aws_lambda_permission.invoked_via_function_url is the newest); 7 may rename it.
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
