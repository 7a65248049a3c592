variable "warehouse_id" {
  description = "The SQL warehouse that the dashboard queries: warehouse_id of pipeline.toml."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{16}$", var.warehouse_id))
    error_message = "warehouse_id must be the 16 hexadecimal digits at the end of the warehouse's HTTP path."
  }
}

variable "parent_path" {
  description = "The workspace folder of the dashboard."
  type        = string
  default     = "/Shared"

  validation {
    condition     = startswith(var.parent_path, "/")
    error_message = "parent_path must begin with /, such as /Shared."
  }
}

variable "catalog" {
  description = "The catalog of the views that `syncwatch warehouse-apply` created."
  type        = string
  default     = "crm"

  validation {
    condition     = can(regex("^[A-Za-z0-9_]+$", var.catalog))
    error_message = "catalog must have only letters, digits and underscores."
  }
}

variable "schema" {
  description = "The schema of these views."
  type        = string
  default     = "sfdc_dbx"

  validation {
    condition     = can(regex("^[A-Za-z0-9_]+$", var.schema))
    error_message = "schema must have only letters, digits and underscores."
  }
}
