//! `[warehouse]`, `[[checks]]` and `[snapshot]`: the warehouse, the data checks, and the tables of the snapshot.

use std::collections::HashSet;

use serde::Deserialize;
use toml::Spanned;

use super::values::{NAME, Words, allowed};
use super::{Text, Validation};
use crate::data_checks::{
    Arrivals, Condition, DataCheck, FROM, Keys, Literal, Predicate, Rule, TO, Window, object_name,
};
use crate::finding::{CENSUS, SYNCWATCH, Severity, WAREHOUSE};
use crate::pipeline::{DEFAULT_AUDIT_LOG, Snapshot, Warehouse};
use crate::sql::{Dialect, check_read_only};

const OBJECT: &str = "use schema.table or catalog.schema.table, without control characters";
const COLUMN: &str = "use the name of a column, without quotes";
const CUSTOM_SQL: &str = "custom-sql";
/// More than these is a mistake. They also bound the length of a statement.
const MOST_COLUMNS: usize = 100;
const MOST_VALUES: usize = 200;
const MOST_CHECKS: usize = 2_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWarehouse {
    driver: Text,
    dialect: Option<Text>,
    host: Option<Text>,
    warehouse_id: Option<Text>,
    http_path: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSnapshot {
    audit_log: Option<Text>,
    health_view: Option<Text>,
    reconciliation_log: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCheck {
    pub(super) name: Text,
    kind: Text,
    table: Text,
    severity: Option<Text>,
    critical_after: Option<Text>,
    owner: Option<Text>,
    object_url: Option<Text>,
    #[serde(rename = "where", default)]
    filter: Vec<RawCondition>,
    window: Option<RawWindow>,
    column: Option<Text>,
    columns: Option<Spanned<Vec<Text>>>,
    key: Option<Spanned<RawKey>>,
    destination: Option<Spanned<RawOther>>,
    references: Option<Spanned<RawOther>>,
    warn_below: Option<Spanned<f64>>,
    critical_below: Option<Spanned<f64>>,
    limit: Option<Spanned<u64>>,
    limit_percent: Option<Spanned<f64>>,
    max_lag: Option<Text>,
    oldest_by: Option<Text>,
    max_age: Option<Text>,
    min: Option<Spanned<f64>>,
    max: Option<Spanned<f64>>,
    values: Option<Spanned<Vec<Literal>>>,
    like: Option<Text>,
    min_length: Option<Spanned<u32>>,
    max_length: Option<Spanned<u32>>,
    sql: Option<Text>,
    show_keys: Option<Spanned<bool>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawKey {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCondition {
    column: Text,
    equals: Option<Literal>,
    not: Option<Literal>,
    is_null: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWindow {
    day: Text,
    column: Option<Text>,
}

/// Another table, with its `key` or its `column` of times.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOther {
    table: Text,
    key: Option<Text>,
    column: Option<Text>,
    synced: Option<Text>,
    #[serde(rename = "where", default)]
    filter: Vec<RawCondition>,
}

/// Refuses keys that this kind of check does not use: they would suggest limits that are not checked.
macro_rules! unused {
    ($validation:ident, $raw:ident: $($key:ident),+) => {
        $(if let Some(value) = &$raw.$key {
            let found = format!("not used by kind \"{}\"", $raw.kind.get_ref());
            $validation.refuse(value, concat!("checks.", stringify!($key)), found, "remove it");
        })+
    };
}

/// The reader of a driver's keys.
#[derive(Clone, Copy)]
struct Driver(fn(&mut Validation, &RawWarehouse, &str) -> Option<Warehouse>);

impl Words for Driver {
    const ALL: &'static [(&'static str, Self)] =
        &[("databricks", Self(Validation::databricks)), ("odbc", Self(Validation::odbc))];
}

/// The reader of a kind's keys. It takes the keys that it uses; the others are refused.
#[derive(Clone, Copy)]
struct Kind(fn(&mut Validation, &mut RawCheck) -> Option<Rule>);

impl Words for Kind {
    const ALL: &'static [(&'static str, Self)] = &[
        ("coverage", Self(Validation::coverage)),
        ("null-count", Self(Validation::null_count)),
        ("null-rate", Self(Validation::null_rate)),
        ("duplicates", Self(Validation::duplicates)),
        ("freshness", Self(Validation::freshness)),
        ("queue-size", Self(Validation::queue_size)),
        ("row-count", Self(Validation::row_count)),
        ("accepted-values", Self(Validation::accepted_values)),
        ("pattern", Self(Validation::pattern)),
        ("referential", Self(Validation::referential)),
        (CUSTOM_SQL, Self(Validation::custom_sql)),
    ];
}

impl RawCheck {
    /// The most rows that may break the rule.
    fn limit(&mut self) -> u64 {
        self.limit.take().map_or(0, Spanned::into_inner)
    }
}

impl Validation {
    /// Reads the table of this name.
    pub(super) fn warehouse(&mut self, raw: &RawWarehouse, name: &str) -> Option<Warehouse> {
        let Driver(read) = self.word(&raw.driver, &format!("{name}.driver"))?;
        read(self, raw, name)
    }

    pub(super) fn connection(&mut self, name: &Text, raw: &RawWarehouse) {
        let key = format!("connections.{}", name.get_ref());
        let named = self.name(name, "connections");
        if let Some(warehouse) = self.warehouse(raw, &key) {
            self.connections.insert(named, warehouse);
        }
    }

    fn databricks(&mut self, raw: &RawWarehouse, name: &str) -> Option<Warehouse> {
        if let Some(dialect) = &raw.dialect {
            self.refuse(
                dialect,
                &format!("{name}.dialect"),
                "not used by driver \"databricks\"",
                "remove it",
            );
        }
        let remedy = "add the workspace's host, such as \"dbc-1.cloud.databricks.com\"";
        let host = self.given(raw.host.as_ref(), &raw.driver, &format!("{name}.host"), remedy)?;
        let host_name = host.get_ref();
        if !host_name.contains('.')
            || !host_name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
        {
            let remedy = "use the host only, such as \"dbc-1.cloud.databricks.com\"";
            self.refuse(host, &format!("{name}.host"), "invalid host name", remedy);
        }
        let (id, at, key) = match (&raw.warehouse_id, &raw.http_path) {
            (Some(id), None) => (id.get_ref().as_str(), id, &format!("{name}.warehouse_id")),
            (None, Some(path)) => {
                let id = path.get_ref().strip_prefix("/sql/1.0/warehouses/");
                (id.unwrap_or_default(), path, &format!("{name}.http_path"))
            }
            _ => {
                let remedy = "set exactly one";
                self.refuse(
                    &raw.driver,
                    &format!("{name}.warehouse_id"),
                    "neither or both of warehouse_id and http_path",
                    remedy,
                );
                return None;
            }
        };
        if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            let remedy = "use the warehouse's id, or its path \"/sql/1.0/warehouses/<id>\"";
            self.refuse(at, key, format!("found \"{}\"", at.get_ref()), remedy);
        }
        Some(Warehouse::Databricks { host: host_name.clone(), warehouse_id: id.to_owned() })
    }

    fn odbc(&mut self, raw: &RawWarehouse, name: &str) -> Option<Warehouse> {
        let RawWarehouse { host, warehouse_id, http_path, .. } = raw;
        for (given, key) in [(host, "host"), (warehouse_id, "warehouse_id"), (http_path, "http_path")] {
            if let Some(given) = given {
                let remedy = "put it into the warehouse's secret, as part of the connection";
                self.refuse(given, &format!("{name}.{key}"), "not used by driver \"odbc\"", remedy);
            }
        }
        let (dialect, remedy) = (raw.dialect.as_ref(), allowed::<Dialect>(""));
        let dialect = self.given(dialect, &raw.driver, &format!("{name}.dialect"), &remedy)?;
        Some(Warehouse::Odbc { dialect: self.word(dialect, &format!("{name}.dialect"))? })
    }

    /// Reads the tables of the snapshot. The view has no default, and the log of compared objects is in the audit log's schema.
    pub(super) fn snapshot(&mut self, raw: &RawSnapshot, has_objects: bool) -> Snapshot {
        let audit_log = raw.audit_log.as_ref().map(|table| self.object(table, "snapshot.audit_log"));
        let health_view = raw.health_view.as_ref().map(|view| self.object(view, "snapshot.health_view"));
        if let (Some(at), true) = (&raw.health_view, audit_log.is_some() && health_view == audit_log) {
            let remedy = "use the view with the state of the data in one row, or remove it";
            self.refuse(at, "snapshot.health_view", "same as audit_log", remedy);
        }
        let log = raw.reconciliation_log.as_ref().map(|log| self.object(log, "snapshot.reconciliation_log"));
        let audit_log = audit_log.unwrap_or_else(|| DEFAULT_AUDIT_LOG.to_owned());
        let beside = || {
            let schema = audit_log.rsplit_once('.').map_or("", |(schema, _)| schema);
            format!("{schema}.reconciliation_log")
        };
        let reconciliation_log = has_objects.then(|| log.unwrap_or_else(beside));
        Snapshot { audit_log, health_view, reconciliation_log }
    }

    pub(super) fn checks(&mut self, raw: Vec<RawCheck>) -> Vec<DataCheck> {
        if let Some(beyond) = raw.get(MOST_CHECKS) {
            let remedy = format!("declare at most {MOST_CHECKS}, or split the pipeline");
            self.refuse(&beyond.name, "checks", "too many checks", remedy);
        }
        raw.into_iter().filter_map(|check| self.data_check(check)).collect()
    }

    fn data_check(&mut self, mut raw: RawCheck) -> Option<DataCheck> {
        let name = self.name(&raw.name, "checks.name");
        if [CENSUS, SYNCWATCH, WAREHOUSE].contains(&name.as_str()) {
            self.refuse(&raw.name, "checks.name", format!("\"{name}\" is reserved"), NAME);
        }
        let table = self.object(&raw.table, "checks.table");
        let severity = raw.severity.as_ref().and_then(|word| self.word(word, "checks.severity"));
        let critical_after =
            raw.critical_after.as_ref().map(|text| self.critical_after(text, "checks.critical_after"));
        let owner = self.owner(raw.owner.take(), "checks.owner");
        let object_url = raw.object_url.as_ref().map(|url| self.web(url, "checks.object_url"));
        let filter = self.conditions(&raw.filter, "checks.where");
        let window = raw.window.as_ref().and_then(|window| self.window(window, &raw.kind));
        let Kind(read) = self.word(&raw.kind, "checks.kind")?;
        let rule = read(self, &mut raw)?;
        if matches!(rule, Rule::CustomSql { .. }) && !filter.is_empty() {
            let remedy = "move it into the statement";
            self.refuse(&raw.kind, "checks.where", "not used by kind \"custom-sql\"", remedy);
        }
        unused!(self, raw: column, columns, key, destination, references, warn_below, critical_below, limit,
            limit_percent, max_lag, oldest_by, max_age, min, max, values, like, min_length, max_length, sql, show_keys);
        let severity = severity.unwrap_or(Severity::Warning);
        Some(DataCheck { name, table, filter, window, severity, owner, object_url, critical_after, rule })
    }

    /// Passes on the value of a key that the kind requires, or refuses its absence.
    fn needed<T>(&mut self, value: Option<T>, raw: &RawCheck, key: &str, remedy: &str) -> Option<T> {
        if value.is_none() {
            let found = format!("missing for kind \"{}\"", raw.kind.get_ref());
            self.refuse(&raw.kind, &format!("checks.{key}"), found, format!("add {remedy}"));
        }
        value
    }

    fn needed_column(&mut self, raw: &mut RawCheck, which: &str) -> Option<String> {
        let column = self.needed(raw.column.take(), raw, "column", &format!("column = \"...\"{which}"))?;
        Some(self.column(&column, "checks.column"))
    }

    fn coverage(&mut self, raw: &mut RawCheck) -> Option<Rule> {
        let key = self.needed(raw.key.take(), raw, "key", "key = \"...\", the key column of the table")?;
        let columns = self.key_columns(&key);
        if matches!(key.get_ref(), RawKey::Several(_)) {
            self.refuse(&key, "checks.key", "found several columns", "use one: coverage has one key column");
        }
        let remedy = "destination = { table = \"...\", key = \"...\" }";
        let destination = self.needed(raw.destination.take(), raw, "destination", remedy)?;
        let destination = self.keys(&destination, "checks.destination")?;
        let (warn, critical) = (raw.warn_below.take(), raw.critical_below.take());
        let warn_below = warn.map_or(95.0, |warn| self.percent(&warn, "checks.warn_below"));
        let critical_below =
            critical.map_or(90.0, |critical| self.percent(&critical, "checks.critical_below"));
        if critical_below > warn_below {
            let found = format!("{critical_below} is above warn_below ({warn_below})");
            let remedy = "lower it to warn_below or less";
            self.refuse(&raw.kind, "checks.critical_below", found, remedy);
        }
        let key = columns.into_iter().next().unwrap_or_default();
        Some(Rule::Coverage { key, destination, warn_below, critical_below })
    }

    fn null_count(&mut self, raw: &mut RawCheck) -> Option<Rule> {
        Some(Rule::NullCount { columns: self.columns(raw)?, limit: raw.limit() })
    }

    fn null_rate(&mut self, raw: &mut RawCheck) -> Option<Rule> {
        let columns = self.columns(raw)?;
        let remedy = "limit_percent, the highest share in percent";
        let limit = self.needed(raw.limit_percent.take(), raw, "limit_percent", remedy)?;
        Some(Rule::NullRate { columns, limit_percent: self.percent(&limit, "checks.limit_percent") })
    }

    fn duplicates(&mut self, raw: &mut RawCheck) -> Option<Rule> {
        let key = self.needed(raw.key.take(), raw, "key", "key = \"...\" or key = [\"...\", \"...\"]")?;
        let columns = self.key_columns(&key);
        if !(1..=8).contains(&columns.len()) {
            let found = format!("found {} columns", columns.len());
            self.refuse(&key, "checks.key", found, "use 1 to 8 columns");
        }
        let show_keys = raw.show_keys.take().is_some_and(Spanned::into_inner);
        Some(Rule::Duplicates { key: columns, limit: raw.limit(), show_keys })
    }

    fn freshness(&mut self, raw: &mut RawCheck) -> Option<Rule> {
        let column = self.needed_column(raw, ", the time of a row's last change")?;
        let remedy = "destination = { table = \"...\", column = \"...\" }";
        let destination = self.needed(raw.destination.take(), raw, "destination", remedy)?;
        let destination = self.arrivals(&destination)?;
        let own = raw.max_lag.take().map(|lag| self.duration(&lag, "checks.max_lag"));
        let remedy = "max_lag, the longest wait of a change, such as \"2h\", here or in [objectives]";
        let max_lag = self.needed(own.or(self.max_lag), raw, "max_lag", remedy)?;
        Some(Rule::Freshness { column, destination, max_lag })
    }

    fn queue_size(&mut self, raw: &mut RawCheck) -> Option<Rule> {
        let limit = self.needed(raw.limit.take(), raw, "limit", "limit, the most waiting rows")?;
        let oldest = match (raw.oldest_by.take(), raw.max_age.take()) {
            (Some(column), Some(age)) => {
                let column = self.column(&column, "checks.oldest_by");
                Some((column, self.duration(&age, "checks.max_age")))
            }
            (None, None) => None,
            (Some(at), None) | (None, Some(at)) => {
                let remedy = "set both or neither: oldest_by is the column, max_age the longest wait";
                self.refuse(&at, "checks.max_age", "only one of oldest_by and max_age", remedy);
                None
            }
        };
        Some(Rule::QueueSize { limit: limit.into_inner(), oldest })
    }

    fn row_count(&mut self, raw: &mut RawCheck) -> Option<Rule> {
        let (min, max) = self.limits(raw)?;
        let mut whole = |limit: Option<f64>, key: &str| {
            let limit = limit?;
            if limit < 0.0 || limit.fract() != 0.0 || limit > 1e15 {
                self.refuse(&raw.kind, key, format!("found {limit}"), "use a whole number of rows");
            }
            // Checked above; a refused value is never used.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
            let rows = limit as u64;
            Some(rows)
        };
        Some(Rule::RowCount { min: whole(min, "checks.min"), max: whole(max, "checks.max") })
    }

    fn accepted_values(&mut self, raw: &mut RawCheck) -> Option<Rule> {
        let column = self.needed_column(raw, "")?;
        let remedy = "values = [...], all allowed values";
        let values = self.needed(raw.values.take(), raw, "values", remedy)?;
        self.few(&values, "checks.values", MOST_VALUES, "values");
        let kinds: HashSet<_> = values.get_ref().iter().map(std::mem::discriminant).collect();
        if kinds.len() > 1 {
            let remedy = "use only the type of the column";
            self.refuse(&values, "checks.values", "mixed types", remedy);
        }
        Some(Rule::AcceptedValues { column, values: values.into_inner(), limit: raw.limit() })
    }

    fn pattern(&mut self, raw: &mut RawCheck) -> Option<Rule> {
        let column = self.needed_column(raw, "")?;
        let like = raw.like.take();
        if let Some(like) = &like {
            let mut chars = like.get_ref().chars();
            let mut valid = !like.get_ref().contains(['\\', '\0']);
            while let Some(c) = chars.next() {
                valid &= c != '!' || matches!(chars.next(), Some('%' | '_' | '!'));
            }
            if !valid {
                let remedy = "use % for any text, _ for one character, and ! before a literal %, _ or !; regular \
                              expressions differ between warehouses and are not supported";
                self.refuse(like, "checks.like", format!("invalid pattern \"{}\"", like.get_ref()), remedy);
            }
        }
        let (min_length, max_length) = (raw.min_length.take(), raw.max_length.take());
        if like.is_none() && min_length.is_none() && max_length.is_none() {
            let remedy = "add at least one";
            self.refuse(&raw.kind, "checks.like", "no like, min_length or max_length", remedy);
            return None;
        }
        if let (Some(min), Some(max)) = (&min_length, &max_length)
            && min.get_ref() > max.get_ref()
        {
            self.refuse(min, "checks.min_length", "above max_length", "lower it");
        }
        Some(Rule::Pattern {
            column,
            like: like.map(Spanned::into_inner),
            min_length: min_length.map(Spanned::into_inner),
            max_length: max_length.map(Spanned::into_inner),
            limit: raw.limit(),
        })
    }

    fn referential(&mut self, raw: &mut RawCheck) -> Option<Rule> {
        let column = self.needed_column(raw, ", the referring column")?;
        let remedy = "references = { table = \"...\", key = \"...\" }";
        let references = self.needed(raw.references.take(), raw, "references", remedy)?;
        let references = self.keys(&references, "checks.references")?;
        Some(Rule::Referential { column, references, limit: raw.limit() })
    }

    fn custom_sql(&mut self, raw: &mut RawCheck) -> Option<Rule> {
        let remedy = "sql = \"SELECT ...\", a query that returns one number";
        let sql = self.needed(raw.sql.take(), raw, "sql", remedy)?;
        let windowed = [raw.window.is_some(); 2];
        match check_read_only(sql.get_ref(), self.dialect, &[FROM, TO]) {
            Err(why) => self.refuse(&sql, "checks.sql", why.to_string(), why.remedy()),
            Ok(used) if [FROM, TO].map(|name| used.contains(&name)) != windowed => {
                let remedy = "use both :from and :to with a window, and neither without";
                self.refuse(&sql, "checks.sql", "window and placeholders do not match", remedy);
            }
            Ok(_) => {}
        }
        let (min, max) = self.limits(raw)?;
        Some(Rule::CustomSql { sql: sql.into_inner(), min, max })
    }

    fn limits(&mut self, raw: &mut RawCheck) -> Option<(Option<f64>, Option<f64>)> {
        let (min, max) = (raw.min.take(), raw.max.take());
        if min.is_none() && max.is_none() {
            self.refuse(&raw.kind, "checks.min", "no min and no max", "add at least one");
            return None;
        }
        if let (Some(min), Some(max)) = (&min, &max)
            && min.get_ref() > max.get_ref()
        {
            self.refuse(min, "checks.min", "above max", "lower it");
        }
        for limit in [&min, &max].into_iter().flatten() {
            if !limit.get_ref().is_finite() {
                self.refuse(limit, "checks.min", format!("found {}", limit.get_ref()), "use a number");
            }
        }
        Some((min.map(Spanned::into_inner), max.map(Spanned::into_inner)))
    }

    /// Checks the length of a list.
    pub(super) fn few<T>(&mut self, list: &Spanned<Vec<T>>, key: &str, most: usize, items: &str) {
        let count = list.get_ref().len();
        if !(1..=most).contains(&count) {
            self.refuse(list, key, format!("found {count}"), format!("use 1 to {most} {items}"));
        }
    }

    fn columns(&mut self, raw: &mut RawCheck) -> Option<Vec<String>> {
        match (raw.column.take(), raw.columns.take()) {
            (Some(column), None) => Some(vec![self.column(&column, "checks.column")]),
            (None, Some(columns)) => {
                self.few(&columns, "checks.columns", MOST_COLUMNS, "columns");
                Some(columns.get_ref().iter().map(|column| self.column(column, "checks.columns")).collect())
            }
            (None, None) => {
                let remedy = "add column = \"...\" or columns = [\"...\"]";
                self.given(None, &raw.kind, "checks.columns", remedy)
            }
            (Some(column), Some(_)) => {
                self.refuse(&column, "checks.column", "found with columns", "use one of the two");
                None
            }
        }
    }

    fn key_columns(&mut self, key: &Spanned<RawKey>) -> Vec<String> {
        let columns = match key.get_ref() {
            RawKey::One(column) => vec![column.clone()],
            RawKey::Several(columns) => columns.clone(),
        };
        for column in &columns {
            self.column_name(column, key, "checks.key");
        }
        columns
    }

    fn keys(&mut self, other: &Spanned<RawOther>, at: &str) -> Option<Keys> {
        let RawOther { table, key, column, synced, filter } = other.get_ref();
        for (unused, name) in [(column, "column"), (synced, "synced")] {
            if let Some(unused) = unused {
                self.refuse(unused, &format!("{at}.{name}"), "not used by this kind", "use key instead");
            }
        }
        let table = self.object(table, &format!("{at}.table"));
        let filter = self.conditions(filter, &format!("{at}.where"));
        let (at, remedy) = (format!("{at}.key"), "add key = \"...\", the key column of the table");
        let key = self.given(key.as_ref(), other, &at, remedy)?;
        Some(Keys { table, key: self.column(key, &at), filter })
    }

    fn arrivals(&mut self, other: &Spanned<RawOther>) -> Option<Arrivals> {
        let RawOther { table, key, column, synced, filter } = other.get_ref();
        if let Some(unused) = key {
            self.refuse(
                unused,
                "checks.destination.key",
                "not used by kind \"freshness\"",
                "use column instead",
            );
        }
        let table = self.object(table, "checks.destination.table");
        let synced = synced.as_ref().map(|column| self.column(column, "checks.destination.synced"));
        let filter = self.conditions(filter, "checks.destination.where");
        let at = "checks.destination.column";
        let remedy = "add column = \"...\", the time of a record's last change there";
        let column = self.given(column.as_ref(), other, at, remedy)?;
        Some(Arrivals { table, column: self.column(column, at), synced, filter })
    }

    pub(super) fn conditions(&mut self, raw: &[RawCondition], key: &str) -> Vec<Condition> {
        let mut conditions: Vec<Condition> = Vec::new();
        for (raw, condition) in self.each_condition(raw, key) {
            if let Some(other) = conditions.iter().find(|other| condition.contradicts(other)) {
                let found = format!("no row has both {other} and {condition}");
                self.refuse(&raw.column, key, found, "remove one of the two");
            }
            conditions.push(condition);
        }
        conditions
    }

    /// Reads conditions that stand alone, each with its place.
    pub(super) fn each_condition<'r>(
        &mut self,
        raw: &'r [RawCondition],
        key: &str,
    ) -> Vec<(&'r RawCondition, Condition)> {
        if let Some(beyond) = raw.get(20) {
            self.refuse(&beyond.column, key, "too many conditions", "use at most 20");
        }
        raw.iter().filter_map(|raw| Some((raw, self.condition(raw, key)?))).collect()
    }

    fn condition(&mut self, raw: &RawCondition, key: &str) -> Option<Condition> {
        let RawCondition { column, equals, not, is_null } = raw;
        let holds = match (equals, not, is_null) {
            (Some(value), None, None) => Predicate::Equals(value.clone()),
            (None, Some(value), None) => Predicate::Not(value.clone()),
            (None, None, Some(missing)) => Predicate::IsNull(*missing),
            _ => {
                let found = format!(
                    "the condition on {} has none or several of equals, not, is_null",
                    column.get_ref()
                );
                let remedy = "set exactly one: equals = <value>; not = <value>, which also keeps missing values; is_null = \
                              true or false";
                self.refuse(column, key, found, remedy);
                return None;
            }
        };
        Some(Condition { column: self.column(column, key), holds })
    }

    fn window(&mut self, raw: &RawWindow, kind: &Text) -> Option<Window> {
        let day = self.word(&raw.day, "checks.window.day")?;
        let at = "checks.window.column";
        if kind.get_ref() != CUSTOM_SQL {
            let remedy = "add column = \"...\", the column of times";
            let column = self.given(raw.column.as_ref(), &raw.day, at, remedy)?;
            return Some(Window { day, column: self.column(column, at) });
        }
        if let Some(column) = &raw.column {
            let remedy = "remove it, and use :from and :to in the statement";
            self.refuse(column, at, "not used by kind \"custom-sql\"", remedy);
        }
        Some(Window { day, column: String::new() })
    }

    pub(super) fn object(&mut self, name: &Text, key: &str) -> String {
        let text = name.get_ref();
        if let Err(why) = object_name(self.dialect, text) {
            // Debug format escapes control characters.
            self.refuse(name, key, format!("invalid name {text:?}: {why}"), OBJECT);
        }
        text.clone()
    }

    pub(super) fn column(&mut self, name: &Text, key: &str) -> String {
        self.column_name(name.get_ref(), name, key);
        name.get_ref().clone()
    }

    fn column_name<T>(&mut self, name: &str, at: &Spanned<T>, key: &str) {
        if let Err(why) = self.dialect.quote(name) {
            self.refuse(at, key, format!("invalid name {name:?}: {why}"), COLUMN);
        }
    }
}
