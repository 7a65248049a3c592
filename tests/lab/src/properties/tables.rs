//! Writes the world into a real SQL engine: the changes since the last write, in one transaction.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use syncwatch::data_checks::object_name;
use syncwatch::sql::{Dialect, ParameterValue, Statement};
use syncwatch::warehouse::Warehouse;
use syncwatch_cli::warehouse_objects::{self, ObjectFile};

use super::world::{PropertyWorld, Unwritten};

const PROPERTIES: Table = Table {
    name: "crm.rds.properties",
    key: "property_id",
    columns: &[
        "property_id",
        "company_name",
        "address",
        "city",
        "status",
        "created_at",
        "updated_at",
        "deleted",
    ],
    definition: "property_id VARCHAR(40) NOT NULL PRIMARY KEY, company_name VARCHAR(200), address VARCHAR(200), \
                 city VARCHAR(100), status VARCHAR(20), created_at TIMESTAMP NOT NULL, \
                 updated_at TIMESTAMP NOT NULL, deleted BOOLEAN NOT NULL",
};
const COPY: Table = Table {
    name: "crm.salesforce.product_property",
    key: "id",
    columns: &[
        "id",
        "sf_property_id_c",
        "company_name_c",
        "status_c",
        "created_date",
        "last_modified_date",
        "last_modified_by_id",
        "source_version_c",
        "_fivetran_deleted",
        "_fivetran_synced",
    ],
    definition: "id VARCHAR(18) NOT NULL PRIMARY KEY, sf_property_id_c VARCHAR(40), company_name_c VARCHAR(200), \
                 status_c VARCHAR(20), created_date TIMESTAMP, last_modified_date TIMESTAMP, \
                 last_modified_by_id VARCHAR(18), source_version_c VARCHAR(40), \
                 _fivetran_deleted BOOLEAN, _fivetran_synced TIMESTAMP NOT NULL",
};
/// More rows per statement are slower: placeholders are resolved one by one.
const ROWS_A_STATEMENT: usize = 8;

/// A table of the lab.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    pub(crate) columns: &'static [&'static str],
    pub(crate) definition: &'static str,
}

/// The folder with the repository's SQL.
#[must_use]
pub fn sql_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/warehouse")
}

/// Creates the tables of RDS and Fivetran, empty.
///
/// # Errors
/// The engine refuses a statement; the error names it.
pub async fn make_sources(warehouse: &Warehouse) -> Result<()> {
    make(warehouse, &[&PROPERTIES, &COPY]).await
}

/// Creates tables, empty.
pub(crate) async fn make(warehouse: &Warehouse, tables: &[&Table]) -> Result<()> {
    let dialect = warehouse.dialect();
    let mut statements = Vec::new();
    for table in tables {
        if dialect == Dialect::PostgreSql {
            let schema = table.name.split('.').nth(1).unwrap_or_default();
            let sql = format!("CREATE SCHEMA IF NOT EXISTS {}", dialect.quote(schema)?);
            statements.push(Statement::new("a schema of the lab", sql));
        }
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {} ({})",
            object_name(dialect, table.name)?,
            table.definition
        );
        statements.push(Statement::new("a table of the lab", sql));
    }
    warehouse.execute_all(&statements).await?;
    Ok(())
}

/// Changes of a world, and the statements that write them.
#[derive(Debug)]
pub struct Changes {
    statements: Vec<Statement>,
    unwritten: Unwritten,
}

impl Changes {
    /// Returns them to their world, to be written later.
    pub fn put_back(self, world: &mut PropertyWorld) {
        world.put_back(self.unwritten);
    }
}

/// The pipeline's tables and views in an engine.
#[derive(Debug)]
pub struct Tables {
    warehouse: Warehouse,
    views: Vec<ObjectFile>,
}

impl Tables {
    /// Creates the tables of RDS and Fivetran, applies `infra/warehouse/`, and writes the whole world.
    ///
    /// # Errors
    /// The engine refuses a statement; the error names it.
    pub async fn create(warehouse: Warehouse, world: &mut PropertyWorld) -> Result<Self> {
        let tables = Self::empty(warehouse, world.now()).await?;
        tables.write(world).await?;
        Ok(tables)
    }

    /// Creates the tables of RDS and Fivetran and applies `infra/warehouse/` at an instant, without writing a world.
    ///
    /// # Errors
    /// The engine refuses a statement; the error names it.
    pub async fn empty(warehouse: Warehouse, now: Timestamp) -> Result<Self> {
        make_sources(&warehouse).await?;
        warehouse_objects::apply_folder(&warehouse, &sql_folder(), now).await?;
        Self::over(warehouse)
    }

    /// Uses an engine in which the tables and views exist.
    ///
    /// # Errors
    /// The files of the views cannot be read.
    pub fn over(warehouse: Warehouse) -> Result<Self> {
        let files = warehouse_objects::read(&sql_folder(), warehouse.dialect())?;
        let is_model =
            |file: &ObjectFile| file.name == "properties_to_create" || file.name == "properties_to_update";
        let views: Vec<ObjectFile> = files.into_iter().filter(is_model).collect();
        ensure!(views.len() == 2, "infra/warehouse lacks a view of the syncs");
        Ok(Self { warehouse, views })
    }

    /// The engine.
    #[must_use]
    pub fn warehouse(&self) -> &Warehouse {
        &self.warehouse
    }

    /// Writes the changes since the last write, broken views included: all or none.
    ///
    /// # Errors
    /// The engine refuses a statement; the error names it.
    pub async fn write(&self, world: &mut PropertyWorld) -> Result<()> {
        let changes = self.changes(world)?;
        let applied = self.apply(&changes).await;
        if applied.is_err() {
            changes.put_back(world);
        }
        applied
    }

    /// Takes the changes since the last write out of the world, so that the world is not locked while they are written.
    ///
    /// # Errors
    /// A view's file no longer contains the text that a fault replaces.
    pub fn changes(&self, world: &mut PropertyWorld) -> Result<Changes> {
        let unwritten = world.take_unwritten();
        match self.statements(world, &unwritten) {
            Ok(statements) => Ok(Changes { statements, unwritten }),
            Err(error) => {
                world.put_back(unwritten);
                Err(error)
            }
        }
    }

    /// Writes changes, all or none. After an error, return them with [`Changes::put_back`].
    ///
    /// # Errors
    /// The engine refuses a statement; the error names it.
    pub async fn apply(&self, changes: &Changes) -> Result<()> {
        self.warehouse.execute_all(&changes.statements).await?;
        Ok(())
    }

    fn statements(&self, world: &PropertyWorld, unwritten: &Unwritten) -> Result<Vec<Statement>> {
        let dialect = self.warehouse.dialect();
        let mut statements = Vec::new();
        if unwritten.views {
            for file in &self.views {
                let broken = broken(file, world)?;
                statements.extend(warehouse_objects::script(&broken, dialect)?);
            }
        }
        let properties = unwritten.properties.iter().filter_map(|number| world.properties.get(*number));
        let properties = properties.map(|property| {
            vec![
                property.id.clone().into(),
                property.company_name.clone().into(),
                property.address.clone().into(),
                property.city.clone().into(),
                property.status.clone().into(),
                property.created_at.into(),
                property.updated_at.into(),
                property.deleted.into(),
            ]
        });
        PROPERTIES.write(dialect, &properties.collect::<Vec<_>>(), &mut statements)?;
        let copies = unwritten.copies.iter().filter_map(|number| world.copies.get(*number)?.as_ref());
        let copies = copies.map(|copy| {
            vec![
                copy.record.id.clone().into(),
                copy.record.property_id.clone().into(),
                copy.record.company_name.clone().into(),
                copy.record.status.clone().into(),
                copy.record.created_at.into(),
                copy.record.modified_at.into(),
                copy.record.modified_by.into(),
                copy.record.source_version.map(version).into(),
                copy.record.deleted.into(),
                copy.synced_at.into(),
            ]
        });
        COPY.write(dialect, &copies.collect::<Vec<_>>(), &mut statements)?;
        Ok(statements)
    }
}

impl Table {
    /// Adds the statements that write rows by their key.
    pub(crate) fn write(
        &self,
        dialect: Dialect,
        rows: &[Vec<ParameterValue>],
        into: &mut Vec<Statement>,
    ) -> Result<()> {
        let name = object_name(dialect, self.name)?;
        let changes: Vec<String> = self
            .columns
            .iter()
            .filter(|column| **column != self.key)
            .map(|column| format!("{column} = excluded.{column}"))
            .collect();
        for batch in rows.chunks(ROWS_A_STATEMENT) {
            let mut tuples = Vec::with_capacity(batch.len());
            for row in 0..batch.len() {
                let markers: Vec<String> =
                    (0..self.columns.len()).map(|column| format!(":v{row}_{column}")).collect();
                tuples.push(format!("({})", markers.join(", ")));
            }
            let sql = format!(
                "INSERT INTO {name} ({}) VALUES {} ON CONFLICT ({}) DO UPDATE SET {}",
                self.columns.join(", "),
                tuples.join(", "),
                self.key,
                changes.join(", ")
            );
            let mut statement = Statement::new(format!("the lab's rows of {}", self.name), sql);
            for (row, values) in batch.iter().enumerate() {
                for (column, value) in values.iter().enumerate() {
                    statement = statement.bind(format!("v{row}_{column}"), value.clone());
                }
            }
            into.push(statement);
        }
        Ok(())
    }
}

/// A version in the format of the views. Versions are whole minutes, so no engine writes a fraction.
fn version(changed_at: Timestamp) -> String {
    TimeZone::UTC.to_datetime(changed_at).to_string().replacen('T', " ", 1)
}

/// The file of a view, with the active faults applied.
fn broken(file: &ObjectFile, world: &PropertyWorld) -> Result<ObjectFile> {
    let mut broken = file.clone();
    let mut replace = |what: &str, by: &str| -> Result<()> {
        if !broken.text.contains(what) {
            bail!("{} no longer contains {what:?}, which a fault of the lab replaces", file.file_name);
        }
        broken.text = broken.text.replacen(what, by, 1);
        Ok(())
    };
    if world.ailments.view_bug {
        replace("p.company_name AS company_name", "CAST(NULL AS VARCHAR(200)) AS company_name")?;
    }
    if world.ailments.compares_times && file.name == "properties_to_update" {
        replace("COUNT(*) AS records,", "COUNT(*) AS records, MIN(last_modified_date) AS last_modified,")?;
        replace("c.versions < c.records", "c.last_modified < p.updated_at")?;
        replace("    OR c.lowest_version <> CAST(p.updated_at AS VARCHAR(40))\n", "")?;
        replace("    OR c.highest_version <> CAST(p.updated_at AS VARCHAR(40))\n", "")?;
    }
    if let Some(city) = world.ailments.leak.as_deref().filter(|_| file.name == "properties_to_create") {
        ensure!(!city.contains(['\'', '\\', '$', ':']), "the city of a coverage leak must be a plain name");
        replace(
            "WHERE NOT COALESCE(p.deleted, FALSE)",
            &format!("WHERE p.city <> '{city}' AND NOT COALESCE(p.deleted, FALSE)"),
        )?;
    }
    Ok(broken)
}
