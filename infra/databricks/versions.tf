# A separate root, so that deployments without Databricks do not need its provider.
terraform {
  required_version = ">= 1.9"

  required_providers {
    databricks = {
      source  = "databricks/databricks"
      version = "~> 1.132"
    }
  }
}

# The workspace and the credentials come from the environment: DATABRICKS_HOST, and DATABRICKS_CLIENT_ID with
# DATABRICKS_CLIENT_SECRET or DATABRICKS_TOKEN.
provider "databricks" {}
