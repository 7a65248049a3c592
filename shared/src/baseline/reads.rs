//! Statements that read the definition of tables and views from a warehouse's catalog, and their answers. They read no rows.
//!
//! * Databricks => the `information_schema` of each catalog. It shows only what our account may use, the text of a view only to its
//!   owner, and often only our own grants.
//! * PostgreSQL => the system catalogs and `pg_get_viewdef`. They show everything to everyone.
//! * SQLite     => `sqlite_master` and `pragma_table_info`. It has no owners and no grants.

use std::collections::{BTreeMap, BTreeSet};

use super::script::query_of;
use super::{Part, Relation};
use crate::sql::{Answer, BadName, Dialect, Error, Row, Statement};

/// Relations that one statement is about: each needs two bound values.
const AT_ONCE: usize = 50;

/// A part of the definition that one statement reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// Existence, kind and owner.
    Relations,
    Columns,
    Texts,
    Grants,
}

impl Aspect {
    const ALL: [Self; 4] = [Self::Relations, Self::Columns, Self::Texts, Self::Grants];

    fn label(self) -> &'static str {
        match self {
            Self::Relations => "list of relations",
            Self::Columns => "columns of relations",
            Self::Texts => "texts of views",
            Self::Grants => "grants on relations",
        }
    }
}

/// A statement of a definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    pub aspect: Aspect,
    pub statement: Statement,
    /// The relations that it is about, by their key in its answer.
    names: BTreeMap<(String, String), String>,
}

/// The relations of a pipeline in its warehouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relations<'p> {
    dialect: Dialect,
    names: BTreeSet<&'p str>,
}

/// A relation while its parts are read.
#[derive(Default)]
struct Found {
    exists: Part<bool>,
    relation: Relation,
}

impl<'p> Relations<'p> {
    /// Takes the names of relations, such as those of a pipeline.
    pub fn new(names: BTreeSet<&'p str>, dialect: Dialect) -> Self {
        Self { dialect, names }
    }

    /// Returns the statements.
    ///
    /// # Errors
    /// The name of a catalog cannot be quoted. This never happens with a validated `pipeline.toml`.
    pub fn reads(&self) -> Result<Vec<Read>, BadName> {
        let mut catalogs: BTreeMap<Option<&str>, Vec<(&str, &str, &str)>> = BTreeMap::new();
        for name in &self.names {
            let Some((catalog, schema, table)) = split(name, self.dialect) else { continue };
            catalogs.entry(catalog).or_default().push((schema, table, name));
        }
        let mut reads = Vec::new();
        for (catalog, names) in catalogs {
            let catalog = catalog.map(|catalog| self.dialect.quote(catalog)).transpose()?;
            for names in names.chunks(AT_ONCE) {
                for aspect in Aspect::ALL {
                    reads.extend(self.read(aspect, catalog.as_deref(), names));
                }
            }
        }
        Ok(reads)
    }

    fn read(&self, aspect: Aspect, catalog: Option<&str>, names: &[(&str, &str, &str)]) -> Option<Read> {
        let (select, order) = match self.dialect {
            Dialect::Databricks => (databricks(aspect, catalog), "ordinal_position"),
            Dialect::PostgreSql => (postgresql(aspect).to_owned(), "a.attnum"),
            Dialect::Sqlite => (sqlite(aspect)?.to_owned(), "p.cid"),
        };
        let (schema, table) = match self.dialect {
            Dialect::Databricks => ("LOWER(table_schema)", "LOWER(table_name)"),
            Dialect::PostgreSql => ("n.nspname", "c.relname"),
            Dialect::Sqlite => ("''", "LOWER(m.name)"),
        };
        let one = |at: usize| format!("({schema} = :schema{at} AND {table} = :table{at})");
        let conditions: Vec<String> = (0..names.len()).map(one).collect();
        let order = if aspect == Aspect::Columns { format!(" ORDER BY {order}") } else { String::new() };
        let mut statement =
            Statement::new(aspect.label(), format!("{select} ({}){order}", conditions.join(" OR ")));
        let mut by_key = BTreeMap::new();
        for (at, (schema, table, name)) in names.iter().enumerate() {
            let key = self.key(schema, table);
            statement = statement
                .bind(format!("schema{at}"), key.0.as_str())
                .bind(format!("table{at}"), key.1.as_str());
            by_key.insert(key, (*name).to_owned());
        }
        Some(Read { aspect, statement, names: by_key })
    }

    /// Returns the key of a relation as the catalog writes it. Only PostgreSQL's names have a case.
    fn key(&self, schema: &str, table: &str) -> (String, String) {
        match self.dialect {
            Dialect::PostgreSql => (schema.to_owned(), table.to_owned()),
            Dialect::Databricks => (schema.to_lowercase(), table.to_lowercase()),
            Dialect::Sqlite => (String::new(), format!("{schema}.{table}").to_ascii_lowercase()),
        }
    }

    /// Builds the relations from the answers to [`Relations::reads`]; a failed one, with its reason, makes its part unknown.
    pub fn found(&self, answers: &[(Read, Result<Answer, String>)]) -> BTreeMap<String, Part<Relation>> {
        let mut all: BTreeMap<&str, Found> =
            self.names.iter().map(|name| (*name, Found::default())).collect();
        for (read, answer) in answers {
            let rows = answer
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|answer| self.by_name(read, answer).map_err(|error| error.to_string()));
            for name in read.names.values() {
                let Some(found) = all.get_mut(name.as_str()) else { continue };
                let rows = rows.as_ref().map(|rows| rows.get(name).map_or(&[][..], Vec::as_slice));
                found.fill(read.aspect, rows.map_err(Clone::clone));
            }
        }
        for (name, found) in &mut all {
            if split(name, self.dialect).is_none() {
                found.exists = Part::Unknown("its name has no schema".to_owned());
            }
        }
        let known = all.into_iter().filter_map(|(name, found)| {
            let relation = found.relation(self.dialect)?;
            Some((name.to_owned(), relation))
        });
        known.collect()
    }

    fn by_name<'a>(&self, read: &Read, answer: &'a Answer) -> Result<BTreeMap<String, Vec<Row<'a>>>, Error> {
        let mut rows: BTreeMap<String, Vec<Row<'a>>> = BTreeMap::new();
        for row in answer.rows() {
            let key = match self.dialect {
                Dialect::Sqlite => (String::new(), row.get::<String>("relation_name")?.to_ascii_lowercase()),
                _ => self.key(&row.get::<String>("relation_schema")?, &row.get::<String>("relation_name")?),
            };
            if let Some(name) = read.names.get(&key) {
                rows.entry(name.clone()).or_default().push(row);
            }
        }
        Ok(rows)
    }
}

impl Found {
    fn fill(&mut self, aspect: Aspect, rows: Result<&[Row<'_>], String>) {
        let relation = &mut self.relation;
        match aspect {
            Aspect::Relations => {
                let first = |column| {
                    read_all(&rows, |row| row.get::<Option<String>>(column), "not shown to our account")
                };
                relation.kind = first("kind");
                relation.owner = first("owner");
                self.exists = match rows {
                    Ok(rows) => Part::Known(!rows.is_empty()),
                    Err(why) => Part::Unknown(why),
                };
            }
            Aspect::Texts => {
                let why = "only the owner of a view may read its text";
                relation.text = read_all(&rows, |row| row.get::<Option<String>>("text"), why);
            }
            Aspect::Columns => {
                relation.columns = collected(rows, |row| {
                    let of_type: Option<String> = row.get("type")?;
                    Ok((row.get("column_name")?, of_type.unwrap_or_default()))
                });
            }
            Aspect::Grants => {
                relation.grants = collected(rows, |row| {
                    Ok(format!("{} to {}", row.get::<String>("privilege")?, row.get::<String>("grantee")?))
                });
            }
        }
    }

    /// Returns `None` if it does not exist.
    fn relation(mut self, dialect: Dialect) -> Option<Part<Relation>> {
        match self.exists {
            Part::Known(false) => return None,
            // Another statement may have seen it.
            Part::Unknown(why) if self.relation.columns.known().is_none_or(Vec::is_empty) => {
                return Some(Part::Unknown(why));
            }
            _ => {}
        }
        let kind = self.relation.kind.known().map(|kind| kind.to_ascii_lowercase());
        if kind.is_some_and(|kind| !kind.contains("view")) {
            self.relation.text = Part::Known(String::new());
        }
        if let Part::Known(text) = &mut self.relation.text {
            *text = super::normalised(query_of(text, dialect), dialect);
        }
        if dialect == Dialect::Sqlite {
            self.relation.owner = Part::Known(String::new());
            self.relation.grants = Part::Known(BTreeSet::new());
        }
        Some(Part::Known(self.relation))
    }
}

/// Reads a value of the first row.
fn read_all(
    rows: &Result<&[Row<'_>], String>,
    read: impl Fn(&Row<'_>) -> Result<Option<String>, Error>,
    absent: &str,
) -> Part<String> {
    match rows.as_ref().map(|rows| rows.first().map(read)) {
        Ok(Some(Ok(value))) => Part::of(value, absent),
        Ok(None) => Part::Unknown("the warehouse did not list it".to_owned()),
        Ok(Some(Err(error))) => Part::Unknown(error.to_string()),
        Err(why) => Part::Unknown(why.clone()),
    }
}

fn collected<T, C: FromIterator<T>>(
    rows: Result<&[Row<'_>], String>,
    read: impl Fn(&Row<'_>) -> Result<T, Error>,
) -> Part<C> {
    match rows.map(|rows| rows.iter().map(read).collect::<Result<C, _>>()) {
        Ok(Ok(values)) => Part::Known(values),
        Ok(Err(error)) => Part::Unknown(error.to_string()),
        Err(why) => Part::Unknown(why),
    }
}

/// Splits a name of `pipeline.toml` into its catalog, which only Databricks has, schema and table.
fn split(name: &str, dialect: Dialect) -> Option<(Option<&str>, &str, &str)> {
    let parts: Vec<&str> = name.split('.').collect();
    match parts.as_slice() {
        [catalog, schema, table] => {
            Some(((dialect == Dialect::Databricks).then_some(*catalog), schema, table))
        }
        [schema, table] => Some((None, schema, table)),
        _ => None,
    }
}

fn databricks(aspect: Aspect, catalog: Option<&str>) -> String {
    let catalog = catalog.map(|catalog| format!("{catalog}.")).unwrap_or_default();
    let (values, relation) = match aspect {
        Aspect::Relations => ("table_type AS kind, table_owner AS owner", "tables"),
        Aspect::Columns => ("column_name, full_data_type AS type, ordinal_position", "columns"),
        Aspect::Texts => ("view_definition AS text", "views"),
        Aspect::Grants => ("grantee, privilege_type AS privilege", "table_privileges"),
    };
    format!(
        "SELECT table_schema AS relation_schema, table_name AS relation_name, {values} \
         FROM {catalog}information_schema.{relation} WHERE"
    )
}

fn postgresql(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Relations => {
            "SELECT CAST(n.nspname AS TEXT) AS relation_schema, CAST(c.relname AS TEXT) AS relation_name, \
             CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' \
             ELSE 'TABLE' END AS kind, CAST(pg_get_userbyid(c.relowner) AS TEXT) AS owner \
             FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE"
        }
        Aspect::Columns => {
            "SELECT CAST(n.nspname AS TEXT) AS relation_schema, CAST(c.relname AS TEXT) AS relation_name, \
             CAST(a.attname AS TEXT) AS column_name, format_type(a.atttypid, a.atttypmod) AS type \
             FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid WHERE a.attnum > 0 AND NOT a.attisdropped AND"
        }
        Aspect::Texts => {
            "SELECT CAST(n.nspname AS TEXT) AS relation_schema, CAST(c.relname AS TEXT) AS relation_name, \
             pg_get_viewdef(c.oid) AS text \
             FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('v', 'm') AND"
        }
        // On the relation, its columns and its schema. The owner's own rights are listed only once another right was granted.
        Aspect::Grants => {
            "SELECT CAST(n.nspname AS TEXT) AS relation_schema, CAST(c.relname AS TEXT) AS relation_name, \
             COALESCE(CAST(r.rolname AS TEXT), 'PUBLIC') AS grantee, g.privilege \
             FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             CROSS JOIN LATERAL (\
             SELECT e.grantee, e.privilege_type AS privilege, c.relowner AS owner FROM aclexplode(c.relacl) AS e \
             UNION ALL SELECT e.grantee, e.privilege_type || ' of column ' || a.attname, c.relowner \
             FROM pg_catalog.pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS e \
             WHERE a.attrelid = c.oid AND NOT a.attisdropped \
             UNION ALL SELECT e.grantee, e.privilege_type || ' of the schema', n.nspowner FROM aclexplode(n.nspacl) AS e\
             ) AS g LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee WHERE g.grantee <> g.owner AND"
        }
    }
}

fn sqlite(aspect: Aspect) -> Option<&'static str> {
    match aspect {
        Aspect::Relations => Some(
            "SELECT m.name AS relation_name, m.type AS kind, NULL AS owner FROM sqlite_master AS m \
             WHERE m.type IN ('table', 'view') AND",
        ),
        Aspect::Columns => Some(
            "SELECT m.name AS relation_name, p.name AS column_name, p.type AS type \
             FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS p WHERE m.type IN ('table', 'view') AND",
        ),
        Aspect::Texts => Some(
            "SELECT m.name AS relation_name, m.sql AS text FROM sqlite_master AS m WHERE m.type = 'view' AND",
        ),
        Aspect::Grants => None,
    }
}
