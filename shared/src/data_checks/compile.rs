//! Compiles checks into statements: all checks of one table into one, so that the table is scanned once.
//!
//! Each count of a check is one `COUNT(CASE WHEN ... THEN 1 END)` among many. Another table is joined as a derived table of
//! distinct keys, or of one row, so that no join multiplies rows.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{
    Arrivals, Condition, DataCheck, Filter, Keys, Predicate, Rule, Window, filters, latest_credible,
    object_name,
};
use crate::sql::{BadName, Dialect, ParameterValue, Statement};

/// The names of the window's bounds in a custom query.
pub(crate) const FROM: &str = "from";
pub(crate) const TO: &str = "to";

/// Engines limit the size of a statement: PostgreSQL 1,664 columns (its `MaxTupleAttributeNumber`), SQLite 64 tables (its
/// documentation, "Limits"). Beyond this, the checks of a table need a second statement.
const MOST_COLUMNS: usize = 1_500;
const MOST_JOINS: usize = 50;
/// The most duplicate keys that are shown.
const SAMPLE_KEYS: usize = 5;

/// The type of a column of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    Count,
    /// An instant, or `NULL` if there is none.
    Instant,
    Number,
}

/// A column of the single row of an answer.
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
    /// Its answer has one row.
    pub statement: Statement,
    pub columns: Vec<Column>,
    pub asked: Vec<Asked<'c>>,
}

/// A check within a statement.
#[derive(Debug, Clone)]
pub struct Asked<'c> {
    pub check: &'c DataCheck,
    /// The columns that it is judged by, in the order of its rule.
    pub columns: Vec<String>,
    /// The filters that must keep some rows.
    pub filters: Vec<AskedFilter<'c>>,
}

/// A filter within a statement.
#[derive(Debug, Clone)]
pub struct AskedFilter<'c> {
    pub filter: Filter<'c>,
    /// The column that counts the rows that it keeps.
    pub kept: String,
    /// The column that counts all rows of its table.
    pub all: String,
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
            let columns = builder.add(check)?;
            asked.push(Asked { check, columns, filters: builder.filters(check)? });
        }
        scans.push(builder.finish(table, asked)?);
    }
    scans.extend(own);
    Ok(scans)
}

/// A custom query is a statement of its own, so that its failure affects no other check.
fn own_statement<'c>(check: &'c DataCheck, sql: &str, zone: &TimeZone, now: Timestamp) -> Scan<'c> {
    let mut statement = Statement::new(format!("check {}", check.name), sql);
    if let Some(window) = &check.window {
        let (from, to) = window.day.bounds(zone, now);
        statement = statement.bind(FROM, from).bind(TO, to);
    }
    // It has one column, of any name.
    let columns = vec![Column { name: String::new(), measure: Measure::Number }];
    let asked = vec![Asked { check, columns: vec![String::new()], filters: Vec::new() }];
    Scan { table: &check.table, statement, columns, asked }
}

/// Returns the statement that selects some duplicate keys; `None` for another rule. It scans the table again, so it is sent
/// only after duplicates were found.
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
    // Ordered by the names of the answer: behind `HAVING`, Spark 3.5 resolves neither `COUNT(*)` nor `t.key`.
    let ordered: Vec<String> = (0..keys.len()).map(|index| format!("k{index}")).collect();
    let keys = keys.join(", ");
    let sql = format!(
        "SELECT {}, COUNT(*) AS copies FROM {} AS t WHERE {} GROUP BY {keys} HAVING COUNT(*) > 1 \
         ORDER BY copies DESC, {} LIMIT {SAMPLE_KEYS}",
        named.join(", "),
        object_name(dialect, &check.table)?,
        conditions.join(" AND "),
        ordered.join(", "),
    );
    let statement = Statement::new(format!("sample keys of check {}", check.name), sql);
    Ok(Some(builder.bound_to(statement)))
}

/// Returns the statement that counts the rows that a filter keeps, as `kept`, and those of its table, as `all_rows`.
pub fn filter_statement(filter: &Filter<'_>, dialect: Dialect) -> Result<Statement, BadName> {
    let zone = TimeZone::UTC;
    let mut builder = Builder::new(dialect, &zone, Timestamp::UNIX_EPOCH);
    let (table, conditions) = (filter.table, builder.filter("t", filter.conditions)?);
    let sql = format!(
        "SELECT COUNT({}) AS kept, COUNT(*) AS all_rows FROM {} AS t",
        case(&conditions, "1"),
        object_name(dialect, table)?
    );
    Ok(builder.bound_to(Statement::new(format!("filter of {table}"), sql)))
}

/// A derived table beside the one that is scanned.
#[derive(Debug, PartialEq)]
enum Join {
    /// Distinct keys `k`, compared with a column.
    Keys { derived: String, on: String },
    /// One row with one number, `n`.
    Number(String),
    /// One row with all figures of another table, from one scan.
    Figures { table: String, figures: Vec<String> },
}

/// Collects columns, joins and values of one statement. Parts that several checks share occur once.
struct Builder<'z> {
    dialect: Dialect,
    zone: &'z TimeZone,
    now: Timestamp,
    columns: Vec<(String, Column)>,
    joins: Vec<Join>,
    values: Vec<ParameterValue>,
}

impl<'z> Builder<'z> {
    fn new(dialect: Dialect, zone: &'z TimeZone, now: Timestamp) -> Self {
        Self { dialect, zone, now, columns: Vec::new(), joins: Vec::new(), values: Vec::new() }
    }

    fn is_full_for(&self, check: &DataCheck) -> bool {
        let columns = match &check.rule {
            Rule::NullCount { columns, .. } | Rule::NullRate { columns, .. } => columns.len() + 1,
            _ => 7,
        };
        // Two filters add four figures and one join.
        !self.columns.is_empty()
            && (self.columns.len() + columns + 4 > MOST_COLUMNS || self.joins.len() + 2 > MOST_JOINS)
    }

    fn finish<'c>(self, table: &'c str, asked: Vec<Asked<'c>>) -> Result<Scan<'c>, BadName> {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|(expression, Column { name, .. })| format!("{expression} AS {name}"))
            .collect();
        let mut sql =
            format!("SELECT {} FROM {} AS t", columns.join(", "), object_name(self.dialect, table)?);
        for (index, join) in self.joins.iter().enumerate() {
            sql.push_str(&match join {
                Join::Keys { derived, on } => {
                    format!(" LEFT JOIN {derived} AS j{index} ON j{index}.k = {on}")
                }
                Join::Number(derived) => format!(" CROSS JOIN {derived} AS j{index}"),
                Join::Figures { table, figures } => {
                    format!(" CROSS JOIN (SELECT {} FROM {table} AS d) AS j{index}", figures.join(", "))
                }
            });
        }
        let statement = self.bound_to(Statement::new(format!("checks of {table}"), sql));
        let columns = self.columns.into_iter().map(|(_, column)| column).collect();
        Ok(Scan { table, statement, columns, asked })
    }

    fn bound_to(&self, statement: Statement) -> Statement {
        bound_to(statement, &self.values)
    }

    /// Adds the columns, joins and values of a check, and returns the names of its columns.
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
            // A custom query is a separate statement.
            Rule::CustomSql { .. } => Vec::new(),
        })
    }

    /// Counts rows with a value in the column, and those among them whose value is, or is not, a key of another table.
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
        let derived =
            format!("(SELECT DISTINCT {key} AS k FROM {table} AS d WHERE {})", within.join(" AND "));
        let join = self.join(Join::Keys { derived, on: column.clone() });
        let found = [known(&column), format!("{join}.k {joined}")];
        Ok(vec![self.count(conditions, &[known(&column)]), self.count(conditions, &found)])
    }

    /// Counts rows that have a key, and the keys. Keys of several columns are counted in a subquery, as not every engine has
    /// `COUNT(DISTINCT a, b)`: the engine then scans the table once more within the statement.
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
                let derived = format!(
                    "(SELECT COUNT(*) AS n FROM (SELECT 1 AS one FROM {} AS t WHERE {} GROUP BY {}) AS g)",
                    object_name(self.dialect, &check.table)?,
                    within.join(" AND "),
                    columns.join(", ")
                );
                let join = self.join(Join::Number(derived));
                self.add_column(format!("MAX({join}.n)"), Measure::Count)
            }
        };
        Ok(vec![rows, keys])
    }

    /// Adds the newest change, the oldest one after the newest arrival, the newest arrival, the numbers of changes and arrivals
    /// dated in the future, the copy's last sync, and the number of its syncs dated in the future. Timestamps in the future
    /// count for nothing else.
    fn freshness(
        &mut self,
        conditions: &[String],
        column: &str,
        destination: &Arrivals,
    ) -> Result<Vec<String>, BadName> {
        let latest = self.bind(latest_credible(self.now).into());
        let changed = self.column("t", column)?;
        let arrived = self.column("d", &destination.column)?;
        let filter = self.filter("d", &destination.filter)?;
        let table = object_name(self.dialect, &destination.table)?;
        let [credible, future] = ["<", ">="].map(|way| format!("{arrived} {way} {latest}"));
        let newest = format!("MAX({})", case(&with(&filter, credible), &arrived));
        let newest = self.figure_of(&table, &newest, Measure::Instant);
        let ahead = format!("COUNT({})", case(&with(&filter, future), "1"));
        let ahead = self.figure_of(&table, &ahead, Measure::Count);
        let [credible, future] = ["<", ">="].map(|way| format!("{changed} {way} {latest}"));
        let credible = with(conditions, credible);
        let waiting = with(&credible, format!("({newest} IS NULL OR {changed} > {newest})"));
        let mut names = vec![
            self.add_column(format!("MAX({})", case(&credible, &changed)), Measure::Instant),
            self.add_column(format!("MIN({})", case(&waiting, &changed)), Measure::Instant),
            self.add_column(format!("MAX({newest})"), Measure::Instant),
            self.count(conditions, &[future]),
            self.add_column(format!("MAX({ahead})"), Measure::Count),
        ];
        if let Some(synced) = &destination.synced {
            // Rows deleted in the destination are synced to the copy too, so the filter does not apply.
            let synced = self.column("d", synced)?;
            let last = format!("MAX(CASE WHEN {synced} < {latest} THEN {synced} END)");
            let ahead = format!("COUNT(CASE WHEN {synced} >= {latest} THEN 1 END)");
            for (figure, measure) in [(last, Measure::Instant), (ahead, Measure::Count)] {
                let figure = self.figure_of(&table, &figure, measure);
                names.push(self.add_column(format!("MAX({figure})"), measure));
            }
        }
        Ok(names)
    }

    /// Counts, for each filter that must keep some rows, those that it keeps and all rows; for another table in a subquery of
    /// one row.
    fn filters<'c>(&mut self, check: &'c DataCheck) -> Result<Vec<AskedFilter<'c>>, BadName> {
        let mut asked = Vec::new();
        for filter in filters(check).filter(|filter| !filter.may_keep_none) {
            let (kept, all) = if filter.own {
                let conditions = self.filter("t", filter.conditions)?;
                (self.count(&conditions, &[]), self.count(&[], &[]))
            } else {
                let conditions = self.filter("d", filter.conditions)?;
                let table = object_name(self.dialect, filter.table)?;
                let [kept, all] =
                    [format!("COUNT({})", case(&conditions, "1")), "COUNT(*)".to_owned()].map(|count| {
                        let figure = self.figure_of(&table, &count, Measure::Count);
                        self.add_column(format!("MAX({figure})"), Measure::Count)
                    });
                (kept, all)
            };
            asked.push(AskedFilter { filter, kept, all });
        }
        Ok(asked)
    }

    /// The conditions on the rows of a check.
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
        filter.iter().map(|condition| self.condition(alias, condition)).collect()
    }

    fn condition(&mut self, alias: &str, condition: &Condition) -> Result<String, BadName> {
        condition_sql(self.dialect, alias, condition, &mut self.values)
    }

    fn column(&self, alias: &str, name: &str) -> Result<String, BadName> {
        Ok(format!("{alias}.{}", self.dialect.quote(name)?))
    }

    fn columns(&self, names: &[String]) -> Result<Vec<String>, BadName> {
        names.iter().map(|name| self.column("t", name)).collect()
    }

    /// The placeholder of a value.
    fn bind(&mut self, value: ParameterValue) -> String {
        placeholder(&mut self.values, value)
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

    fn join(&mut self, join: Join) -> String {
        format!("j{}", place_of(&mut self.joins, join))
    }

    /// Adds a figure of another table, whose alias is `d`, to the one row that is joined, and returns its column.
    fn figure_of(&mut self, of: &str, expression: &str, measure: Measure) -> String {
        let is_of = |join: &Join| matches!(join, Join::Figures { table, .. } if table == of);
        let index = self.joins.iter().position(is_of).unwrap_or(self.joins.len());
        if index == self.joins.len() {
            self.joins.push(Join::Figures { table: of.to_owned(), figures: Vec::new() });
        }
        let kind = if measure == Measure::Count { "n" } else { "at" };
        let Some(Join::Figures { figures, .. }) = self.joins.get_mut(index) else { return String::new() };
        let known = figures.iter().position(|figure| figure.starts_with(&format!("{expression} AS ")));
        let place = known.unwrap_or_else(|| {
            figures.push(format!("{expression} AS {kind}{}", figures.len()));
            figures.len() - 1
        });
        format!("j{index}.{kind}{place}")
    }
}

/// True or false for each row, never unknown, in SQL that all engines support: PostgreSQL refuses `IS NOT TRUE` for a flag
/// that is a number. Its values are added to those that [`bound_to`] binds.
pub(crate) fn condition_sql(
    dialect: Dialect,
    alias: &str,
    Condition { column, holds }: &Condition,
    values: &mut Vec<ParameterValue>,
) -> Result<String, BadName> {
    let column = format!("{alias}.{}", dialect.quote(column)?);
    Ok(match holds {
        Predicate::Equals(value) => format!("{column} = {}", placeholder(values, value.into())),
        Predicate::Not(value) => {
            format!("({column} IS NULL OR {column} <> {})", placeholder(values, value.into()))
        }
        Predicate::IsNull(true) => format!("{column} IS NULL"),
        Predicate::IsNull(false) => known(&column),
    })
}

/// The placeholder of a value, which is added if it is missing.
pub(crate) fn placeholder(values: &mut Vec<ParameterValue>, value: ParameterValue) -> String {
    format!(":p{}", place_of(values, value))
}

/// Binds values to their placeholders.
pub(crate) fn bound_to(statement: Statement, values: &[ParameterValue]) -> Statement {
    let bind = |statement: Statement, (index, value): (usize, &ParameterValue)| {
        statement.bind(format!("p{index}"), value.clone())
    };
    values.iter().enumerate().fold(statement, bind)
}

/// The index of an item, which is added if it is missing.
fn place_of<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    items.iter().position(|other| *other == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
}

fn known(column: &str) -> String {
    format!("{column} IS NOT NULL")
}

/// These conditions and one more.
fn with(conditions: &[String], more: String) -> Vec<String> {
    conditions.iter().cloned().chain([more]).collect()
}

/// The value where all conditions are true, else `NULL`, which no aggregate counts.
fn case(conditions: &[String], value: &str) -> String {
    if conditions.is_empty() {
        value.to_owned()
    } else {
        format!("CASE WHEN {} THEN {value} END", conditions.join(" AND "))
    }
}
