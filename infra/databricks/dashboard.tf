locals {
  tiles  = jsondecode(file("${path.module}/tiles.json")).tiles
  charts = length([for tile in local.tiles : tile if tile.kind != "table"])

  # The fields that a widget selects from its dataset. Unaggregated: the views already have one row per point.
  fields = {
    for tile in local.tiles : tile.name => tile.kind == "table" ? tile.columns[*].field : compact([tile.x, tile.y, try(tile.color, "")])
  }
  # As JSON, since the two kinds have different types.
  specs = {
    for tile in local.tiles : tile.name => tile.kind == "table" ? jsonencode({
      version    = 1
      widgetType = "table"
      encodings = {
        columns = [
          for index, column in tile.columns : {
            fieldName = column.field
            title     = column.title
            type      = column.type == "number" ? "float" : column.type
            displayAs = column.type
            visible   = true
            order     = index
          }
        ]
      }
      frame = { showTitle = true, title = tile.title }
      }) : jsonencode({
      version    = 3
      widgetType = "line"
      encodings = merge(
        {
          x = { fieldName = tile.x, scale = { type = "temporal" }, displayName = "Day" }
          y = { fieldName = tile.y, scale = { type = "quantitative" }, displayName = tile.title }
        },
        can(tile.color) ? { color = { fieldName = tile.color, scale = { type = "categorical" }, displayName = tile.color } } : {},
      )
      frame = { showTitle = true, title = tile.title }
    })
  }
}

resource "databricks_dashboard" "this" {
  display_name = "Syncwatch"
  warehouse_id = var.warehouse_id
  parent_path  = var.parent_path
  # Readers need access to the views; by default they see them with the rights of the publisher.
  embed_credentials = false

  serialized_dashboard = jsonencode({
    datasets = [
      for tile in local.tiles : {
        name        = tile.name
        displayName = tile.title
        queryLines  = [replace(tile.sql, "/\\$\\{crm\\.sfdc_dbx\\.([a-z_]+)\\}/", "`${var.catalog}`.`${var.schema}`.`$1`")]
      }
    ]
    pages = [
      {
        name        = "overview"
        displayName = "Overview"
        pageType    = "PAGE_TYPE_CANVAS"
        layout = [
          for index, tile in local.tiles : {
            # Two charts side by side on a grid of six columns, and below them each table in full width. Charts come first.
            position = {
              x      = tile.kind == "table" ? 0 : 3 * (index % 2)
              y      = 6 * (tile.kind == "table" ? ceil(local.charts / 2) + index - local.charts : floor(index / 2))
              width  = tile.kind == "table" ? 6 : 3
              height = 6
            }
            widget = {
              name = tile.name
              queries = [
                {
                  name = "main_query"
                  query = {
                    datasetName   = tile.name
                    fields        = [for name in local.fields[tile.name] : { name = name, expression = "`${name}`" }]
                    disaggregated = true
                  }
                },
              ]
              spec = jsondecode(local.specs[tile.name])
            }
          }
        ]
      },
    ]
  })
}

output "dashboard" {
  description = "The ID of the dashboard in the workspace."
  value       = databricks_dashboard.this.dashboard_id
}
