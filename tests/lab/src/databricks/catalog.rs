//! The `information_schema` of the simulated Databricks, as far as the definition of tables and views is read from it.

use anyhow::Result;
use syncwatch::sql::Statement;
use syncwatch::warehouse::Warehouse;

/// SQLite has one name for schema and table, such as `rds.properties`.
const RELATIONS: &str = "SELECT SUBSTR(name, 1, INSTR(name, '.') - 1) AS table_schema, \
                         SUBSTR(name, INSTR(name, '.') + 1) AS table_name, name, type, sql FROM sqlite_master \
                         WHERE type IN ('table', 'view') AND INSTR(name, '.') > 0 AND name NOT LIKE 'information_schema.%'";

/// Creates the views of the catalog over a database of SQLite, and grants `SELECT` on each relation to `syncwatch`.
///
/// # Errors
/// The engine refuses a statement; the error names it.
pub(crate) async fn make(database: &Warehouse) -> Result<()> {
    let view = |name: &str, columns: &str, more: &str| {
        format!(
            "CREATE VIEW IF NOT EXISTS `information_schema.{name}` AS SELECT r.table_schema, r.table_name, {columns} \
             FROM ({RELATIONS}) AS r{more}"
        )
    };
    let kind = "CASE r.type WHEN 'view' THEN 'VIEW' ELSE 'MANAGED' END AS table_type, 'data-operations' AS table_owner";
    let columns = "p.name AS column_name, LOWER(p.type) AS full_data_type, p.cid AS ordinal_position";
    // Databricks shows names in its own form.
    let text = ["rds", "salesforce", "sfdc_dbx"].iter().fold("r.sql".to_owned(), |text, schema| {
        format!("REPLACE({text}, '`{schema}.', '`crm`.`{schema}`.`')")
    });
    let statements = [
        view("tables", kind, ""),
        view("columns", columns, " JOIN pragma_table_info(r.name) AS p"),
        view("views", &format!("{text} AS view_definition"), " WHERE r.type = 'view'"),
        "CREATE TABLE IF NOT EXISTS `information_schema.table_privileges` (table_schema TEXT, table_name TEXT, \
         grantee TEXT, privilege_type TEXT)"
            .to_owned(),
        format!(
            "INSERT INTO `information_schema.table_privileges` SELECT table_schema, table_name, 'syncwatch', 'SELECT' \
             FROM ({RELATIONS}) AS r"
        ),
    ];
    let statements = statements.map(|sql| Statement::new("the catalog of the lab", sql));
    database.execute_all(&statements).await?;
    Ok(())
}

/// Revokes every right of `syncwatch` on a relation, such as `rds.properties`, in the catalog.
///
/// # Errors
/// The engine refuses the statement.
pub(crate) async fn revoke(database: &Warehouse, relation: &str) -> Result<()> {
    let sql = "DELETE FROM `information_schema.table_privileges` WHERE table_schema || '.' || table_name = :relation";
    database.execute(&Statement::new("a revoked grant", sql).bind("relation", relation)).await?;
    Ok(())
}
