resource "aws_dynamodb_table" "state" {
  for_each = local.tables

  name      = each.value.name
  hash_key  = each.value.hash_key
  range_key = try(each.value.range_key, null)
  # The default needs a capacity and throttles above it; a pipeline works for minutes and rests for hours.
  billing_mode = "PAY_PER_REQUEST"

  dynamic "attribute" {
    for_each = toset(compact(concat([each.value.hash_key, try(each.value.range_key, null)], values(try(each.value.indexes, {})))))

    content {
      name = attribute.value
      type = "S"
    }
  }

  # Keys only: an entry changes with its sort key and not with every write of the item.
  dynamic "global_secondary_index" {
    for_each = try(each.value.indexes, {})

    content {
      name            = global_secondary_index.key
      hash_key        = each.value.hash_key
      range_key       = global_secondary_index.value
      projection_type = "KEYS_ONLY"
    }
  }

  dynamic "ttl" {
    for_each = compact([try(each.value.ttl_attribute, null)])

    content {
      attribute_name = ttl.value
      enabled        = true
    }
  }

  # The open incidents are stored nowhere else.
  point_in_time_recovery {
    enabled = true
  }

  # The AWS managed key of this account, whose use is logged; the default is a key owned by AWS.
  server_side_encryption {
    enabled = true
  }

  deletion_protection_enabled = var.protect_data
}
