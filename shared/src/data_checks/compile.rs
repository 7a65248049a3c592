//! Turns checks into statements: all checks of one table into one, so that the table is scanned once.
//!
//! What one check counts is one `COUNT(CASE WHEN ... THEN 1 END)` among many. Another table that is needed beside it is
//! joined as a derived table of distinct keys, or of one row, so that no join multiplies rows.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Arrivals, Condition, DataCheck, Keys, Rule, Window, object_name};
use crate::sql::{BadName, Dialect, ParameterValue, Statement};

/// The bounds of a window in a statement of one's own.
pub(crate) const FROM: &str = "from";
pub(crate) const TO: &str = "to";

/// Engines limit how much one statement may hold: PostgreSQL 1,664 columns (its `MaxTupleAttributeNumber`), SQLite 64
/// tables (its documentation, "Limits"). Beyond this a table's checks make a second statement.
const MOST_COLUMNS: usize = 1_500;
const MOST_JOINS: usize = 50;
/// How many keys that occur more than once are shown.
const SAMPLE_KEYS: usize = 5;

/// What a column of an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    Count,
    /// An instant, or `NULL` if there is none.
    Instant,
    Number,
}

/// A column of the one row that a statement answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub measure: Measure,
}

/// One statement, and the checks that its answer is for.
#[derive(Debug, Clone)]
pub struct Scan<'c> {
    /// The table that is scanned, as `pipeline.toml` names it.
    pub table: &'c str,
    /// It answers one row.
    pub statement: Statement,
    pub columns: Vec<Column>,
    pub asked: Vec<Asked<'c>>,
}

/// A check within a statement.
#[derive(Debug, Clone)]
pub struct Asked<'c> {
    pub check: &'c DataCheck,
    /// The columns that it is judged by, in the order that its rule has them.
    pub columns: Vec<String>,
}

/// Compiles checks into statements: one for each table, in the order in which the tables first appear, and one for each
/// custom statement. Days are those of `zone` at `now`. The checks of a valid `pipeline.toml` have no bad name.
pub fn compile<'c>(
    checks: impl IntoIterator<Item = &'c DataCheck>,
    dialect: Dialect,
    zone: &TimeZone,
    now: Timestamp,
) -> Result<Vec<Scan<'c>>, BadName> {
    let mut tables: Vec<(&str, Vec<&DataCheck>)> = Vec::new();
    let mut own = Vec::new();
    for check in checks {
        if let Rule::CustomSql { sql, .. } = &check.rule {
            own.push(own_statement(check, sql, zone, now));
            continue;
        }
        match tables.iter_mut().find(|(table, _)| *table == check.table) {
            Some((_, of_table)) => of_table.push(check),
            None => tables.push((&check.table, vec![check])),
        }
    }
    let mut scans = Vec::new();
    for (table, of_table) in tables {
        let mut builder = Builder::new(dialect, zone, now);
        let mut asked = Vec::new();
        for check in of_table {
            if builder.is_full_for(check) {
                let full = std::mem::replace(&mut builder, Builder::new(dialect, zone, now));
                scans.push(full.finish(table, std::mem::take(&mut asked))?);
            }
            asked.push(Asked { check, columns: builder.add(check)? });
        }
        scans.push(builder.finish(table, asked)?);
    }
    scans.extend(own);
    Ok(scans)
}

/// Statements of one's own stand alone: nobody else's check fails with them.
fn own_statement<'c>(check: &'c DataCheck, sql: &str, zone: &TimeZone, now: Timestamp) -> Scan<'c> {
    let mut statement = Statement::new(format!("check {}", check.name), sql);
    if let Some(window) = &check.window {
        let (from, to) = window.day.bounds(zone, now);
        statement = statement.bind(FROM, from).bind(TO, to);
    }
    // Whatever the column is called, there is one.
    let columns = vec![Column { name: String::new(), measure: Measure::Number }];
    let asked = vec![Asked { check, columns: vec![String::new()] }];
    Scan { table: &check.table, statement, columns, asked }
}

/// The statement that shows some of the keys that occur more than once; `None` for another rule. It is a second look at
/// the table, so it is asked only once duplicates were found.
pub fn samples_statement(
    check: &DataCheck,
    dialect: Dialect,
    zone: &TimeZone,
    now: Timestamp,
) -> Result<Option<Statement>, BadName> {
    let Rule::Duplicates { key, .. } = &check.rule else { return Ok(None) };
    let mut builder = Builder::new(dialect, zone, now);
    let mut conditions = builder.conditions(check)?;
    let keys = builder.columns(key)?;
    conditions.extend(keys.iter().map(|key| known(key)));
    let named: Vec<String> =
        keys.iter().enumerate().map(|(index, key)| format!("{key} AS k{index}")).collect();
    let keys = keys.join(", ");
    let sql = format!(
        "SELECT {}, COUNT(*) AS copies FROM {} AS t WHERE {} GROUP BY {keys} HAVING COUNT(*) > 1 \
         ORDER BY COUNT(*) DESC, {keys} LIMIT {SAMPLE_KEYS}",
        named.join(", "),
        object_name(dialect, &check.table)?,
        conditions.join(" AND "),
    );
    let statement = Statement::new(format!("sample keys of check {}", check.name), sql);
    Ok(Some(builder.bound_to(statement)))
}

/// Gathers columns, joins and values of one statement. What is the same for several checks is there once.
struct Builder<'z> {
    dialect: Dialect,
    zone: &'z TimeZone,
    now: Timestamp,
    columns: Vec<(String, Column)>,
    /// `LEFT JOIN` or `CROSS JOIN` of a derived table, with the column that the keys of a left join are compared with.
    joins: Vec<(String, Option<String>)>,
    values: Vec<ParameterValue>,
}

impl<'z> Builder<'z> {
    fn new(dialect: Dialect, zone: &'z TimeZone, now: Timestamp) -> Self {
        Self { dialect, zone, now, columns: Vec::new(), joins: Vec::new(), values: Vec::new() }
    }

    fn is_full_for(&self, check: &DataCheck) -> bool {
        let columns = match &check.rule {
            Rule::NullCount { columns, .. } | Rule::NullRate { columns, .. } => columns.len() + 1,
            _ => 4,
        };
        !self.columns.is_empty()
            && (self.columns.len() + columns > MOST_COLUMNS || self.joins.len() + 1 > MOST_JOINS)
    }

    fn finish<'c>(self, table: &'c str, asked: Vec<Asked<'c>>) -> Result<Scan<'c>, BadName> {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|(expression, Column { name, .. })| format!("{expression} AS {name}"))
            .collect();
        let mut sql =
            format!("SELECT {} FROM {} AS t", columns.join(", "), object_name(self.dialect, table)?);
        for (index, (table, on)) in self.joins.iter().enumerate() {
            match on {
                Some(on) => sql.push_str(&format!(" LEFT JOIN {table} AS j{index} ON j{index}.k = {on}")),
                None => sql.push_str(&format!(" CROSS JOIN {table} AS j{index}")),
            }
        }
        let statement = self.bound_to(Statement::new(format!("checks of {table}"), sql));
        let columns = self.columns.into_iter().map(|(_, column)| column).collect();
        Ok(Scan { table, statement, columns, asked })
    }

    fn bound_to(&self, statement: Statement) -> Statement {
        let bind = |statement: Statement, (index, value): (usize, &ParameterValue)| {
            statement.bind(format!("p{index}"), value.clone())
        };
        self.values.iter().enumerate().fold(statement, bind)
    }

    /// Adds what a check needs, and names its columns.
    fn add(&mut self, check: &DataCheck) -> Result<Vec<String>, BadName> {
        let conditions = self.conditions(check)?;
        Ok(match &check.rule {
            Rule::Coverage { key, destination, .. } => {
                self.known_and_found(&conditions, key, destination, "IS NOT NULL")?
            }
            Rule::Referential { column, references, .. } => {
                self.known_and_found(&conditions, column, references, "IS NULL")?
            }
            Rule::NullCount { columns, .. } | Rule::NullRate { columns, .. } => {
                let mut names = vec![self.count(&conditions, &[])];
                for column in self.columns(columns)? {
                    names.push(self.count(&conditions, &[format!("{column} IS NULL")]));
                }
                names
            }
            Rule::Duplicates { key, .. } => self.duplicates(check, &conditions, key)?,
            Rule::Freshness { column, destination, .. } => {
                self.freshness(&conditions, column, destination)?
            }
            Rule::QueueSize { oldest, .. } => {
                let mut names = vec![self.count(&conditions, &[])];
                if let Some((column, _)) = oldest {
                    let column = self.column("t", column)?;
                    let since = format!("MIN({})", case(&conditions, &column));
                    names.push(self.add_column(since, Measure::Instant));
                }
                names
            }
            Rule::RowCount { .. } => vec![self.count(&conditions, &[])],
            Rule::AcceptedValues { column, values, .. } => {
                let column = self.column("t", column)?;
                let values: Vec<String> = values.iter().map(|value| self.bind(value.into())).collect();
                let other = format!("{column} NOT IN ({})", values.join(", "));
                vec![self.count(&conditions, &[known(&column)]), self.count(&conditions, &[other])]
            }
            Rule::Pattern { column, like, min_length, max_length, .. } => {
                let column = self.column("t", column)?;
                let mut wrong = Vec::new();
                if let Some(like) = like {
                    let like = self.bind(like.as_str().into());
                    wrong.push(format!("NOT ({column} LIKE {like} ESCAPE '!')"));
                }
                for (length, wrong_way) in [(min_length, "<"), (max_length, ">")] {
                    if let Some(length) = length {
                        let length = self.bind((*length).into());
                        wrong.push(format!("LENGTH({column}) {wrong_way} {length}"));
                    }
                }
                let other = format!("({})", wrong.join(" OR "));
                vec![self.count(&conditions, &[known(&column)]), self.count(&conditions, &[other])]
            }
            // It has a statement of its own.
            Rule::CustomSql { .. } => Vec::new(),
        })
    }

    /// Counts rows whose column is there, and those among them whose value is, or is not, a key elsewhere.
    fn known_and_found(
        &mut self,
        conditions: &[String],
        column: &str,
        keys: &Keys,
        joined: &str,
    ) -> Result<Vec<String>, BadName> {
        let column = self.column("t", column)?;
        let key = self.column("d", &keys.key)?;
        let mut within = vec![known(&key)];
        within.extend(self.filter("d", &keys.filter)?);
        let table = object_name(self.dialect, &keys.table)?;
        let table = format!("(SELECT DISTINCT {key} AS k FROM {table} AS d WHERE {})", within.join(" AND "));
        let join = self.join(table, Some(column.clone()));
        let found = [known(&column), format!("{join}.k {joined}")];
        Ok(vec![self.count(conditions, &[known(&column)]), self.count(conditions, &found)])
    }

    /// Counts rows that have a key, and the keys. Keys of several columns are counted in a subquery, as `COUNT(DISTINCT
    /// a, b)` is not known everywhere: the engine then looks at the table once more within the same statement.
    fn duplicates(
        &mut self,
        check: &DataCheck,
        conditions: &[String],
        key: &[String],
    ) -> Result<Vec<String>, BadName> {
        let columns = self.columns(key)?;
        let known: Vec<String> = columns.iter().map(|column| known(column)).collect();
        let rows = self.count(conditions, &known);
        let keys = match columns.as_slice() {
            [column] => {
                self.add_column(format!("COUNT(DISTINCT {})", case(conditions, column)), Measure::Count)
            }
            columns => {
                let within: Vec<String> = conditions.iter().chain(&known).cloned().collect();
                let table = format!(
                    "(SELECT COUNT(*) AS n FROM (SELECT 1 AS one FROM {} AS t WHERE {} GROUP BY {}) AS g)",
                    object_name(self.dialect, &check.table)?,
                    within.join(" AND "),
                    columns.join(", ")
                );
                let join = self.join(table, None);
                self.add_column(format!("MAX({join}.n)"), Measure::Count)
            }
        };
        Ok(vec![rows, keys])
    }

    /// The newest change, the oldest one after the newest arrival, the newest arrival, and the copy's last move.
    fn freshness(
        &mut self,
        conditions: &[String],
        column: &str,
        destination: &Arrivals,
    ) -> Result<Vec<String>, BadName> {
        let changed = self.column("t", column)?;
        let arrived = self.column("d", &destination.column)?;
        let filter = self.filter("d", &destination.filter)?;
        let synced = match &destination.synced {
            // Rows that are deleted at the destination move the copy too, so the filter is not for them.
            Some(synced) => format!(", MAX({}) AS synced", self.column("d", synced)?),
            None => String::new(),
        };
        let table = object_name(self.dialect, &destination.table)?;
        let table = format!("(SELECT MAX({}) AS arrived{synced} FROM {table} AS d)", case(&filter, &arrived));
        let join = self.join(table, None);
        let mut waiting = conditions.to_vec();
        waiting.push(format!("({join}.arrived IS NULL OR {changed} > {join}.arrived)"));
        let mut names = vec![
            self.add_column(format!("MAX({})", case(conditions, &changed)), Measure::Instant),
            self.add_column(format!("MIN({})", case(&waiting, &changed)), Measure::Instant),
            self.add_column(format!("MAX({join}.arrived)"), Measure::Instant),
        ];
        if destination.synced.is_some() {
            names.push(self.add_column(format!("MAX({join}.synced)"), Measure::Instant));
        }
        Ok(names)
    }

    /// Which rows of the table a check is about.
    fn conditions(&mut self, check: &DataCheck) -> Result<Vec<String>, BadName> {
        let mut conditions = self.filter("t", &check.filter)?;
        if let Some(Window { day, column }) = &check.window {
            let column = self.column("t", column)?;
            let (from, to) = day.bounds(self.zone, self.now);
            let (from, to) = (self.bind(from.into()), self.bind(to.into()));
            conditions.push(format!("{column} >= {from} AND {column} < {to}"));
        }
        Ok(conditions)
    }

    fn filter(&mut self, alias: &str, filter: &[Condition]) -> Result<Vec<String>, BadName> {
        let mut conditions = Vec::new();
        for Condition { column, equals } in filter {
            conditions.push(format!("{} = {}", self.column(alias, column)?, self.bind(equals.into())));
        }
        Ok(conditions)
    }

    fn column(&self, alias: &str, name: &str) -> Result<String, BadName> {
        Ok(format!("{alias}.{}", self.dialect.quote(name)?))
    }

    fn columns(&self, names: &[String]) -> Result<Vec<String>, BadName> {
        names.iter().map(|name| self.column("t", name)).collect()
    }

    /// The placeholder of a value.
    fn bind(&mut self, value: ParameterValue) -> String {
        format!(":p{}", place_of(&mut self.values, value))
    }

    fn count(&mut self, conditions: &[String], more: &[String]) -> String {
        let all: Vec<String> = conditions.iter().chain(more).cloned().collect();
        let expression =
            if all.is_empty() { "COUNT(*)".to_owned() } else { format!("COUNT({})", case(&all, "1")) };
        self.add_column(expression, Measure::Count)
    }

    fn add_column(&mut self, expression: String, measure: Measure) -> String {
        if let Some((_, column)) = self.columns.iter().find(|(other, _)| *other == expression) {
            return column.name.clone();
        }
        let name = format!("f{}", self.columns.len());
        self.columns.push((expression, Column { name: name.clone(), measure }));
        name
    }

    fn join(&mut self, table: String, on: Option<String>) -> String {
        format!("j{}", place_of(&mut self.joins, (table, on)))
    }
}

/// The index of an item, which is added if it is not there.
fn place_of<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    items.iter().position(|other| *other == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
}

fn known(column: &str) -> String {
    format!("{column} IS NOT NULL")
}

/// The value where all of these hold, else `NULL`, which no aggregate counts.
fn case(conditions: &[String], value: &str) -> String {
    if conditions.is_empty() {
        value.to_owned()
    } else {
        format!("CASE WHEN {} THEN {value} END", conditions.join(" AND "))
    }
}
