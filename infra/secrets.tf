# Names only: `make secret NAME=...` and `syncwatch webhook-register` write the values, which never enter a plan or the state.
resource "aws_secretsmanager_secret" "this" {
  for_each = local.secrets

  name        = each.value.name
  description = "Read by ${join(", ", sort([for name, function in local.functions : name if contains(function.permissions[*].resource, each.key)]))}"
  # A deleted secret can be restored for 30 days, the default; 0 frees the name at once.
  recovery_window_in_days = var.protect_data ? 30 : 0
}
