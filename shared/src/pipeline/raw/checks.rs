//! `[warehouse]`, `[[checks]]` and `[snapshot]`: where the data is, what is to hold of it, and where its figures are kept.

use jiff::SignedDuration;
use serde::Deserialize;
use toml::Spanned;

use super::{NAME, Validation};
use crate::data_checks::{
    Arrivals, Condition, DataCheck, Day, FROM, Keys, Literal, Rule, TO, Window, object_name,
};
use crate::finding::Severity;
use crate::pipeline::{DEFAULT_AUDIT_LOG, Snapshot, Warehouse};
use crate::sql::{Dialect, check_read_only};

const OBJECT: &str = "use schema.table or catalog.schema.table, without control characters";
const COLUMN: &str = "use the name of a column, without quotes";
const DAY: &str = "use \"today\" or \"yesterday\"";
const KIND: &str = "use coverage, null-count, null-rate, duplicates, freshness, queue-size, row-count, accepted-values, \
                    pattern, referential or custom-sql";
const SEVERITY: &str = "use \"info\", \"warning\", \"error\" or \"critical\"";
/// Beyond these, a check is a mistake; they also bound what a statement may hold.
const MOST_COLUMNS: usize = 100;
const MOST_VALUES: usize = 200;
const MOST_CHECKS: usize = 2_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWarehouse {
    driver: Spanned<String>,
    dialect: Option<Spanned<String>>,
    host: Option<Spanned<String>>,
    warehouse_id: Option<Spanned<String>>,
    http_path: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSnapshot {
    audit_log: Option<Spanned<String>>,
    health_view: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCheck {
    pub(super) name: Spanned<String>,
    kind: Spanned<String>,
    table: Spanned<String>,
    severity: Option<Spanned<String>>,
    owner: Option<Spanned<String>>,
    #[serde(rename = "where", default)]
    filter: Vec<RawCondition>,
    window: Option<RawWindow>,
    column: Option<Spanned<String>>,
    columns: Option<Spanned<Vec<Spanned<String>>>>,
    key: Option<Spanned<RawKey>>,
    destination: Option<Spanned<RawOther>>,
    references: Option<Spanned<RawOther>>,
    warn_below: Option<Spanned<f64>>,
    critical_below: Option<Spanned<f64>>,
    limit: Option<Spanned<u64>>,
    limit_percent: Option<Spanned<f64>>,
    max_lag: Option<Spanned<String>>,
    oldest_by: Option<Spanned<String>>,
    max_age: Option<Spanned<String>>,
    min: Option<Spanned<f64>>,
    max: Option<Spanned<f64>>,
    values: Option<Spanned<Vec<RawLiteral>>>,
    like: Option<Spanned<String>>,
    min_length: Option<Spanned<u32>>,
    max_length: Option<Spanned<u32>>,
    sql: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawKey {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCondition {
    column: Spanned<String>,
    equals: RawLiteral,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawLiteral {
    Boolean(bool),
    Integer(i64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWindow {
    day: Spanned<String>,
    column: Option<Spanned<String>>,
}

/// Another table: its `key`, or its `column` of instants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOther {
    table: Spanned<String>,
    key: Option<Spanned<String>>,
    column: Option<Spanned<String>>,
    synced: Option<Spanned<String>>,
    #[serde(rename = "where", default)]
    filter: Vec<RawCondition>,
}

impl From<RawLiteral> for Literal {
    fn from(raw: RawLiteral) -> Self {
        match raw {
            RawLiteral::Boolean(value) => Self::Boolean(value),
            RawLiteral::Integer(number) => Self::Integer(number),
            RawLiteral::Text(text) => Self::Text(text),
        }
    }
}

/// Takes a key that the kind of check needs.
macro_rules! needed {
    ($validation:ident, $raw:ident, $key:ident, $remedy:literal) => {
        match $raw.$key.take() {
            Some(value) => value,
            None => {
                let key = concat!("checks.", stringify!($key));
                let found = format!("missing for kind \"{}\"", $raw.kind.get_ref());
                $validation.refuse(&$raw.kind, key, found, concat!("add ", $remedy));
                return None;
            }
        }
    };
}

/// Refuses keys that the kind of check has no use for: they would promise what nobody checks.
macro_rules! unused {
    ($validation:ident, $raw:ident: $($key:ident),+) => {
        $(if let Some(value) = &$raw.$key {
            let found = format!("has no meaning for kind \"{}\"", $raw.kind.get_ref());
            $validation.refuse(value, concat!("checks.", stringify!($key)), found, "remove it");
        })+
    };
}

impl Validation {
    pub(super) fn warehouse(&mut self, raw: &RawWarehouse) -> Option<Warehouse> {
        match raw.driver.get_ref().as_str() {
            "databricks" => {
                if let Some(dialect) = &raw.dialect {
                    self.refuse(dialect, "warehouse.dialect", "has no meaning for databricks", "remove it");
                }
                let Some(host) = &raw.host else {
                    let remedy = "add the host of the workspace, such as \"dbc-1.cloud.databricks.com\"";
                    self.refuse(&raw.driver, "warehouse.host", "missing", remedy);
                    return None;
                };
                let name = host.get_ref();
                let valid = name.contains('.')
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
                if !valid {
                    let remedy = "write the host only, such as \"dbc-1.cloud.databricks.com\"";
                    self.refuse(host, "warehouse.host", "not the name of a host", remedy);
                }
                let (id, at, key) = match (&raw.warehouse_id, &raw.http_path) {
                    (Some(id), None) => (id.get_ref().as_str(), id, "warehouse.warehouse_id"),
                    (None, Some(path)) => {
                        let id = path.get_ref().strip_prefix("/sql/1.0/warehouses/");
                        (id.unwrap_or_default(), path, "warehouse.http_path")
                    }
                    _ => {
                        let remedy = "give one of warehouse_id and http_path";
                        self.refuse(&raw.driver, "warehouse.warehouse_id", "neither or both", remedy);
                        return None;
                    }
                };
                if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                    let found = format!("found \"{}\"", at.get_ref());
                    let remedy = "use the warehouse's id, or its path \"/sql/1.0/warehouses/<id>\"";
                    self.refuse(at, key, found, remedy);
                }
                Some(Warehouse::Databricks { host: name.clone(), warehouse_id: id.to_owned() })
            }
            "odbc" => {
                for (given, key) in [
                    (&raw.host, "warehouse.host"),
                    (&raw.warehouse_id, "warehouse.warehouse_id"),
                    (&raw.http_path, "warehouse.http_path"),
                ] {
                    if let Some(given) = given {
                        let remedy = "put it into the secret of the warehouse, as part of the connection";
                        self.refuse(given, key, "has no meaning for odbc", remedy);
                    }
                }
                let remedy = "use \"postgresql\", \"sqlite\" or \"databricks\"";
                let Some(dialect) = &raw.dialect else {
                    self.refuse(&raw.driver, "warehouse.dialect", "missing", remedy);
                    return None;
                };
                let dialect = match dialect.get_ref().as_str() {
                    "postgresql" => Dialect::PostgreSql,
                    "sqlite" => Dialect::Sqlite,
                    "databricks" => Dialect::Databricks,
                    other => {
                        self.refuse(dialect, "warehouse.dialect", format!("found \"{other}\""), remedy);
                        return None;
                    }
                };
                Some(Warehouse::Odbc { dialect })
            }
            other => {
                let remedy = "use \"databricks\" or \"odbc\"";
                self.refuse(&raw.driver, "warehouse.driver", format!("found \"{other}\""), remedy);
                None
            }
        }
    }

    /// Where snapshots are kept. The view has no default: whoever does not name one has none.
    pub(super) fn snapshot(&mut self, raw: &RawSnapshot, dialect: Dialect) -> Snapshot {
        let audit_log = raw.audit_log.as_ref();
        let audit_log = audit_log.map(|table| self.object(table, "snapshot.audit_log", dialect));
        let health_view = raw.health_view.as_ref();
        let health_view = health_view.map(|view| self.object(view, "snapshot.health_view", dialect));
        if let (Some(log), Some(at)) = (&audit_log, &raw.health_view)
            && health_view.as_ref() == Some(log)
        {
            let remedy = "name the view that has the state of the data in one row, or leave it out";
            self.refuse(at, "snapshot.health_view", "the audit log itself", remedy);
        }
        Snapshot { audit_log: audit_log.unwrap_or_else(|| DEFAULT_AUDIT_LOG.to_owned()), health_view }
    }

    /// `max_lag` is what the pipeline promises as a whole, for checks that say nothing else.
    pub(super) fn checks(
        &mut self,
        raw: Vec<RawCheck>,
        dialect: Dialect,
        max_lag: Option<SignedDuration>,
    ) -> Vec<DataCheck> {
        if let Some(beyond) = raw.get(MOST_CHECKS) {
            let remedy = format!("declare {MOST_CHECKS} at the most, or divide the pipeline");
            self.refuse(&beyond.name, "checks", "too many checks", remedy);
        }
        raw.into_iter().filter_map(|check| self.data_check(check, dialect, max_lag)).collect()
    }

    fn data_check(
        &mut self,
        mut raw: RawCheck,
        dialect: Dialect,
        max_lag: Option<SignedDuration>,
    ) -> Option<DataCheck> {
        let name = self.name(&raw.name, "checks.name");
        if ["census", "syncwatch", "warehouse"].contains(&name.as_str()) {
            self.refuse(&raw.name, "checks.name", format!("\"{name}\" has a meaning of its own"), NAME);
        }
        let table = self.object(&raw.table, "checks.table", dialect);
        let severity = raw.severity.take().map_or(Severity::Warning, |word| {
            Severity::parse(word.get_ref()).unwrap_or_else(|| {
                let found = format!("found \"{}\"", word.get_ref());
                self.refuse(&word, "checks.severity", found, SEVERITY);
                Severity::Warning
            })
        });
        let filter = self.conditions(std::mem::take(&mut raw.filter), "checks.where", dialect);
        let window = raw.window.take().and_then(|window| self.window(&window, &raw.kind, dialect));
        let rule = self.rule(&mut raw, window.as_ref(), dialect, max_lag)?;
        if matches!(rule, Rule::CustomSql { .. }) && !filter.is_empty() {
            let remedy = "write it into the statement";
            self.refuse(&raw.kind, "checks.where", "has no meaning for kind \"custom-sql\"", remedy);
        }
        unused!(self, raw: column, columns, key, destination, references, warn_below, critical_below, limit,
            limit_percent, max_lag, oldest_by, max_age, min, max, values, like, min_length, max_length, sql);
        let owner = raw.owner.take().map(Spanned::into_inner);
        Some(DataCheck { name, table, filter, window, severity, owner, rule })
    }

    fn rule(
        &mut self,
        raw: &mut RawCheck,
        window: Option<&Window>,
        dialect: Dialect,
        max_lag: Option<SignedDuration>,
    ) -> Option<Rule> {
        Some(match raw.kind.get_ref().as_str() {
            "coverage" => {
                let key = needed!(self, raw, key, "key = \"...\", the column of the table's keys");
                let key = self.single_key(&key, dialect);
                let destination =
                    needed!(self, raw, destination, "destination = { table = \"...\", key = \"...\" }");
                let destination = self.keys(destination, "checks.destination", dialect)?;
                let warn_below = raw.warn_below.take();
                let critical_below = raw.critical_below.take();
                let mut percent = |given: Option<&Spanned<f64>>, key: &str, default: f64| {
                    given.map_or(default, |percent| self.percent(percent, key))
                };
                let warn = percent(warn_below.as_ref(), "checks.warn_below", 95.0);
                let critical = percent(critical_below.as_ref(), "checks.critical_below", 90.0);
                if critical > warn {
                    let remedy = "what is critical is worse than what is worth a warning; lower it";
                    let found = format!("{critical} is above warn_below, {warn}");
                    self.refuse(&raw.kind, "checks.critical_below", found, remedy);
                }
                Rule::Coverage { key, destination, warn_below: warn, critical_below: critical }
            }
            "null-count" => {
                let columns = self.columns(raw, dialect)?;
                Rule::NullCount { columns, limit: raw.limit.take().map_or(0, Spanned::into_inner) }
            }
            "null-rate" => {
                let columns = self.columns(raw, dialect)?;
                let limit = needed!(self, raw, limit_percent, "limit_percent, the highest share in percent");
                Rule::NullRate { columns, limit_percent: self.percent(&limit, "checks.limit_percent") }
            }
            "duplicates" => {
                let key = needed!(self, raw, key, "key = \"...\" or key = [\"...\", \"...\"]");
                let columns = match key.get_ref() {
                    RawKey::One(column) => vec![column.clone()],
                    RawKey::Several(columns) => columns.clone(),
                };
                if columns.is_empty() || columns.len() > 8 {
                    let found = format!("found {} columns", columns.len());
                    self.refuse(&key, "checks.key", found, "name 1 to 8 columns");
                }
                for column in &columns {
                    self.column_name(column, &key, "checks.key", dialect);
                }
                Rule::Duplicates { key: columns, limit: raw.limit.take().map_or(0, Spanned::into_inner) }
            }
            "freshness" => {
                let column =
                    needed!(self, raw, column, "column = \"...\", which says when a row last changed");
                let column = self.column(&column, "checks.column", dialect);
                let destination =
                    needed!(self, raw, destination, "destination = { table = \"...\", column = \"...\" }");
                let destination = self.arrivals(destination, dialect)?;
                let max_lag = match (raw.max_lag.take(), max_lag) {
                    (Some(lag), _) => self.duration(&lag, "checks.max_lag"),
                    (None, Some(promised)) => promised,
                    (None, None) => {
                        let remedy = "add max_lag, how long a change may wait, such as \"2h\", here or to [objectives]";
                        self.refuse(&raw.kind, "checks.max_lag", "missing for kind \"freshness\"", remedy);
                        return None;
                    }
                };
                Rule::Freshness { column, destination, max_lag }
            }
            "queue-size" => {
                let limit = needed!(self, raw, limit, "limit, the most rows that may wait");
                let oldest = match (raw.oldest_by.take(), raw.max_age.take()) {
                    (Some(column), Some(age)) => {
                        let column = self.column(&column, "checks.oldest_by", dialect);
                        Some((column, self.duration(&age, "checks.max_age")))
                    }
                    (None, None) => None,
                    (Some(at), None) | (None, Some(at)) => {
                        let remedy =
                            "give both, or neither: oldest_by is the column, max_age the longest wait";
                        self.refuse(&at, "checks.max_age", "one of oldest_by and max_age", remedy);
                        None
                    }
                };
                Rule::QueueSize { limit: limit.into_inner(), oldest }
            }
            "row-count" => {
                let (min, max) = self.limits(raw)?;
                let mut whole = |limit: Option<f64>, key: &str| {
                    let limit = limit?;
                    if limit < 0.0 || limit.fract() != 0.0 || limit > 1e15 {
                        let remedy = "use a whole number of rows";
                        self.refuse(&raw.kind, key, format!("found {limit}"), remedy);
                    }
                    // Checked above; what is refused is never used.
                    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
                    let rows = limit as u64;
                    Some(rows)
                };
                Rule::RowCount { min: whole(min, "checks.min"), max: whole(max, "checks.max") }
            }
            "accepted-values" => {
                let column = needed!(self, raw, column, "column = \"...\"");
                let column = self.column(&column, "checks.column", dialect);
                let values = needed!(self, raw, values, "values = [...], all that may be there");
                let count = values.get_ref().len();
                if !(1..=MOST_VALUES).contains(&count) {
                    let remedy = format!("list 1 to {MOST_VALUES} values");
                    self.refuse(&values, "checks.values", format!("found {count}"), remedy);
                }
                let kinds = values.get_ref().iter().map(std::mem::discriminant);
                if kinds.collect::<std::collections::HashSet<_>>().len() > 1 {
                    let remedy = "list values of one type, that of the column";
                    self.refuse(&values, "checks.values", "values of several types", remedy);
                }
                let values = values.into_inner().into_iter().map(Literal::from).collect();
                let limit = raw.limit.take().map_or(0, Spanned::into_inner);
                Rule::AcceptedValues { column, values, limit }
            }
            "pattern" => self.pattern(raw, dialect)?,
            "referential" => {
                let column = needed!(self, raw, column, "column = \"...\", which points at something");
                let column = self.column(&column, "checks.column", dialect);
                let references =
                    needed!(self, raw, references, "references = { table = \"...\", key = \"...\" }");
                let references = self.keys(references, "checks.references", dialect)?;
                let limit = raw.limit.take().map_or(0, Spanned::into_inner);
                Rule::Referential { column, references, limit }
            }
            "custom-sql" => {
                let sql = needed!(self, raw, sql, "sql = \"SELECT ...\", which answers one number");
                match check_read_only(sql.get_ref(), dialect, &[FROM, TO]) {
                    Err(why) => self.refuse(&sql, "checks.sql", why.to_string(), why.remedy()),
                    Ok(used) if [FROM, TO].map(|name| used.contains(&name)) != [window.is_some(); 2] => {
                        let remedy = "use both :from and :to with a window, and neither without";
                        self.refuse(&sql, "checks.sql", "window and placeholders do not fit", remedy);
                    }
                    Ok(_) => {}
                }
                let (min, max) = self.limits(raw)?;
                Rule::CustomSql { sql: sql.into_inner(), min, max }
            }
            kind => {
                let found = format!("found \"{kind}\"");
                self.refuse(&raw.kind, "checks.kind", found, KIND);
                return None;
            }
        })
    }

    fn pattern(&mut self, raw: &mut RawCheck, dialect: Dialect) -> Option<Rule> {
        let column = needed!(self, raw, column, "column = \"...\"");
        let column = self.column(&column, "checks.column", dialect);
        let like = raw.like.take();
        if let Some(like) = &like {
            let mut chars = like.get_ref().chars();
            let mut valid = !like.get_ref().contains(['\\', '\0']);
            while let Some(c) = chars.next() {
                valid &= c != '!' || matches!(chars.next(), Some('%' | '_' | '!'));
            }
            if !valid {
                let remedy = "use % for any text and _ for any character; !%, !_ and !! are these themselves; no \\ \
                              (warehouses have no regular expressions in common)";
                self.refuse(like, "checks.like", format!("found \"{}\"", like.get_ref()), remedy);
            }
        }
        let (min_length, max_length) = (raw.min_length.take(), raw.max_length.take());
        if like.is_none() && min_length.is_none() && max_length.is_none() {
            let remedy = "add like, min_length or max_length";
            self.refuse(&raw.kind, "checks.like", "nothing to hold a text against", remedy);
            return None;
        }
        if let (Some(min), Some(max)) = (&min_length, &max_length)
            && min.get_ref() > max.get_ref()
        {
            self.refuse(min, "checks.min_length", "above max_length", "lower it");
        }
        let limit = raw.limit.take().map_or(0, Spanned::into_inner);
        Some(Rule::Pattern {
            column,
            like: like.map(Spanned::into_inner),
            min_length: min_length.map(Spanned::into_inner),
            max_length: max_length.map(Spanned::into_inner),
            limit,
        })
    }

    fn limits(&mut self, raw: &mut RawCheck) -> Option<(Option<f64>, Option<f64>)> {
        let (min, max) = (raw.min.take(), raw.max.take());
        match (&min, &max) {
            (None, None) => {
                self.refuse(&raw.kind, "checks.min", "neither min nor max", "add one of them, or both");
                return None;
            }
            (Some(min), Some(max)) if min.get_ref() > max.get_ref() => {
                self.refuse(min, "checks.min", "above max", "lower it");
            }
            _ => {}
        }
        for limit in [&min, &max].into_iter().flatten() {
            if !limit.get_ref().is_finite() {
                self.refuse(limit, "checks.min", format!("found {}", limit.get_ref()), "use a number");
            }
        }
        Some((min.map(Spanned::into_inner), max.map(Spanned::into_inner)))
    }

    fn columns(&mut self, raw: &mut RawCheck, dialect: Dialect) -> Option<Vec<String>> {
        let remedy = "add column = \"...\" or columns = [\"...\"]";
        match (raw.column.take(), raw.columns.take()) {
            (Some(column), None) => Some(vec![self.column(&column, "checks.column", dialect)]),
            (None, Some(columns)) => {
                let count = columns.get_ref().len();
                if !(1..=MOST_COLUMNS).contains(&count) {
                    let remedy = format!("name 1 to {MOST_COLUMNS} columns");
                    self.refuse(&columns, "checks.columns", format!("found {count}"), remedy);
                }
                let columns = columns.into_inner();
                Some(columns.iter().map(|column| self.column(column, "checks.columns", dialect)).collect())
            }
            (None, None) => {
                self.refuse(&raw.kind, "checks.columns", "missing", remedy);
                None
            }
            (Some(column), Some(_)) => {
                self.refuse(&column, "checks.column", "found beside columns", "use one of the two");
                None
            }
        }
    }

    fn single_key(&mut self, key: &Spanned<RawKey>, dialect: Dialect) -> String {
        match key.get_ref() {
            RawKey::One(column) => {
                self.column_name(column, key, "checks.key", dialect);
                column.clone()
            }
            RawKey::Several(columns) => {
                self.refuse(key, "checks.key", "found several columns", "coverage is of one column of keys");
                columns.first().cloned().unwrap_or_default()
            }
        }
    }

    fn keys(&mut self, raw: Spanned<RawOther>, key: &str, dialect: Dialect) -> Option<Keys> {
        let at = Spanned::new(raw.span(), ());
        let raw = raw.into_inner();
        for unused in [&raw.column, &raw.synced].into_iter().flatten() {
            self.refuse(unused, key, "has a column of instants", "name its key instead");
        }
        let table = self.object(&raw.table, &format!("{key}.table"), dialect);
        let filter = self.conditions(raw.filter, &format!("{key}.where"), dialect);
        match raw.key {
            Some(column) => {
                let column = self.column(&column, &format!("{key}.key"), dialect);
                Some(Keys { table, key: column, filter })
            }
            None => {
                self.refuse(
                    &at,
                    &format!("{key}.key"),
                    "missing",
                    "add key = \"...\", the column of its keys",
                );
                None
            }
        }
    }

    fn arrivals(&mut self, raw: Spanned<RawOther>, dialect: Dialect) -> Option<Arrivals> {
        let at = Spanned::new(raw.span(), ());
        let raw = raw.into_inner();
        if let Some(unused) = &raw.key {
            self.refuse(unused, "checks.destination.key", "has no meaning for freshness", "name its column");
        }
        let table = self.object(&raw.table, "checks.destination.table", dialect);
        let synced =
            raw.synced.as_ref().map(|column| self.column(column, "checks.destination.synced", dialect));
        let filter = self.conditions(raw.filter, "checks.destination.where", dialect);
        match raw.column {
            Some(column) => {
                let column = self.column(&column, "checks.destination.column", dialect);
                Some(Arrivals { table, column, synced, filter })
            }
            None => {
                let remedy = "add column = \"...\", which says when a record last changed there";
                self.refuse(&at, "checks.destination.column", "missing", remedy);
                None
            }
        }
    }

    fn conditions(&mut self, raw: Vec<RawCondition>, key: &str, dialect: Dialect) -> Vec<Condition> {
        if let Some(beyond) = raw.get(20) {
            self.refuse(&beyond.column, key, "too many conditions", "use 20 at the most");
        }
        raw.into_iter()
            .map(|condition| Condition {
                column: self.column(&condition.column, key, dialect),
                equals: condition.equals.into(),
            })
            .collect()
    }

    fn window(&mut self, raw: &RawWindow, kind: &Spanned<String>, dialect: Dialect) -> Option<Window> {
        let day = match raw.day.get_ref().as_str() {
            "today" => Day::Today,
            "yesterday" => Day::Yesterday,
            other => {
                self.refuse(&raw.day, "checks.window.day", format!("found \"{other}\""), DAY);
                return None;
            }
        };
        let own = kind.get_ref() == "custom-sql";
        match (&raw.column, own) {
            (Some(column), false) => {
                Some(Window { day, column: self.column(column, "checks.window.column", dialect) })
            }
            (None, true) => Some(Window { day, column: String::new() }),
            (None, false) => {
                let remedy = "add column = \"...\", which says when";
                self.refuse(&raw.day, "checks.window.column", "missing", remedy);
                None
            }
            (Some(column), true) => {
                let remedy = "remove it, and use :from and :to in the statement";
                self.refuse(column, "checks.window.column", "has no meaning for custom-sql", remedy);
                None
            }
        }
    }

    fn object(&mut self, name: &Spanned<String>, key: &str, dialect: Dialect) -> String {
        let text = name.get_ref();
        if let Err(why) = object_name(dialect, text) {
            // Control characters would be shown as they are.
            self.refuse(name, key, format!("{text:?} cannot be used: {why}"), OBJECT);
        }
        text.clone()
    }

    fn column(&mut self, name: &Spanned<String>, key: &str, dialect: Dialect) -> String {
        self.column_name(name.get_ref(), name, key, dialect);
        name.get_ref().clone()
    }

    fn column_name<T>(&mut self, name: &str, at: &Spanned<T>, key: &str, dialect: Dialect) {
        if let Err(why) = dialect.quote(name) {
            self.refuse(at, key, format!("{name:?} cannot be used: {why}"), COLUMN);
        }
    }
}
