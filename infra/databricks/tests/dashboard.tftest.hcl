mock_provider "databricks" {}

variables {
  warehouse_id = "0123456789abcdef"
}

run "nine_tiles_over_the_views" {
  assert {
    condition     = toset([for item in jsondecode(databricks_dashboard.this.serialized_dashboard).pages[0].layout : item.widget.name]) == toset(["coverage", "error_rate", "queue_sizes", "data_quality", "agreement", "reconciliation", "sync_health", "scoreboard", "remedy_acts"])
    error_message = "The dashboard does not have the nine tiles."
  }

  assert {
    condition = alltrue([for item in jsondecode(databricks_dashboard.this.serialized_dashboard).pages[0].layout :
      contains([for dataset in jsondecode(databricks_dashboard.this.serialized_dashboard).datasets : dataset.name], item.widget.queries[0].query.datasetName)
    ])
    error_message = "A tile queries a dataset that does not exist."
  }

  # A drawn field must be among the selected ones, or the tile stays empty.
  assert {
    condition = alltrue([for item in jsondecode(databricks_dashboard.this.serialized_dashboard).pages[0].layout :
      length(setsubtract(
        regexall("\"fieldName\":\"([a-z0-9_]+)\"", jsonencode(item.widget.spec))[*][0],
        item.widget.queries[0].query.fields[*].name,
      )) == 0 && length(regexall("\"fieldName\"", jsonencode(item.widget.spec))) == length(item.widget.queries[0].query.fields)
    ])
    error_message = "A tile draws other fields than it selects."
  }

  # No tile is wider than the grid.
  assert {
    condition     = alltrue([for item in jsondecode(databricks_dashboard.this.serialized_dashboard).pages[0].layout : item.position.x + item.position.width <= 6])
    error_message = "A tile is wider than the grid."
  }

  assert {
    condition = length(distinct([for item in jsondecode(databricks_dashboard.this.serialized_dashboard).pages[0].layout :
    "${item.position.x} ${item.position.y}"])) == 9 && [for item in jsondecode(databricks_dashboard.this.serialized_dashboard).pages[0].layout : item.position.y] == [0, 0, 6, 6, 12, 12, 18, 24, 30]
    error_message = "A tile covers another one."
  }

  assert {
    condition     = !databricks_dashboard.this.embed_credentials
    error_message = "Readers would see data that they have no access to."
  }
}

run "views_of_another_schema" {
  variables {
    catalog = "ops"
    schema  = "watch"
  }

  assert {
    condition     = strcontains(databricks_dashboard.this.serialized_dashboard, "FROM `ops`.`watch`.`coverage_by_day`") && !strcontains(databricks_dashboard.this.serialized_dashboard, "sfdc_dbx")
    error_message = "The tiles do not query the views of the given schema."
  }
}

run "warehouse_by_name" {
  command = plan

  variables {
    warehouse_id = "Serverless Starter Warehouse"
  }

  expect_failures = [var.warehouse_id]
}

run "schema_that_ends_the_quotes" {
  command = plan

  variables {
    schema = "a`; DROP"
  }

  expect_failures = [var.schema]
}

run "catalog_that_ends_the_quotes" {
  command = plan

  variables {
    catalog = "a`b"
  }

  expect_failures = [var.catalog]
}

run "folder_invalid" {
  command = plan

  variables {
    parent_path = "Shared"
  }

  expect_failures = [var.parent_path]
}
