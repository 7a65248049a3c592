# A root of its own, so that whoever has no Databricks needs no provider for it.
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
