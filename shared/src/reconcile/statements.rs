//! The statements of one object in one warehouse: repeated keys, counts, and samples, however many fields it has.
//!
//! Both sides are compared in a *safe* form: only what every engine does alike, and never so that unequal values look equal.
//! Values that differ in that form are fetched, up to a cap, and judged by [`compare`](super::compare()).

use super::coverage::Coverage;
use super::kind::{KeyKind, Kind};
use super::object::{Field, Object, Origin, Side};
use super::sent::Horizon;
use super::verdict::Rule;
use crate::data_checks::{Condition, Literal, Predicate, bound_to, condition_sql, object_name, placeholder};
use crate::sql::{BadName, Decimal, Dialect, ParameterValue, Statement};

/// The most wrong rows of each class that are fetched to be judged.
pub const MOST_JUDGED: usize = 50_000;
/// The most keys that are shown of each class.
pub const MOST_SHOWN: usize = 20;
/// The most repeated keys that are listed; more are counted.
const MOST_REPEATED: usize = 1_000;
/// The placeholder of the instant after which a change of the source is pending.
const SETTLED: &str = "settled";

/// Builds the statements of an object.
#[derive(Debug, Clone, Copy)]
pub struct Statements<'o> {
    pub(super) object: &'o Object,
    pub(super) dialect: Dialect,
    horizon: Horizon,
    coverage: Coverage,
}

/// Counts of values that are equal in the safe form and written differently: the column, and the rule.
pub(super) type Normalised = (String, Rule);

/// The columns of [`Statements::rows_of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Keys,
    Values,
}

/// The columns of a side beside its key.
#[derive(Clone, Copy, PartialEq)]
enum Purpose {
    Keys,
    Counts,
    Values,
    /// Values and states, without a form that engines share.
    Stream,
}

impl<'o> Statements<'o> {
    /// Compares the object as of the instants of a horizon.
    pub fn new(object: &'o Object, dialect: Dialect, horizon: impl Into<Horizon>) -> Self {
        Self { object, dialect, horizon: horizon.into(), coverage: Coverage::All }
    }

    /// Compares only these keys, in all statements but those of [`Streams`](super::Streams), which cover them by digest.
    #[must_use]
    pub fn covering(self, coverage: Coverage) -> Self {
        Self { coverage, ..self }
    }

    /// Returns the keys that the statements cover.
    pub(super) fn coverage(&self) -> Coverage {
        self.coverage
    }

    /// Selects the repeated keys of both sides (`side` is `source` or `destination`), with the number of such keys and of their
    /// rows. Each side with any has at least one row.
    pub fn repeated_keys(&self) -> Result<Statement, BadName> {
        let mut values = Vec::new();
        let source = self.repeated(true, &mut values)?;
        let destination = self.repeated(false, &mut values)?;
        let sql = format!(
            "SELECT side, k, repeated_keys, repeated_rows FROM (SELECT side, k, COUNT(*) OVER (PARTITION BY side) AS \
             repeated_keys, SUM(n) OVER (PARTITION BY side) AS repeated_rows, ROW_NUMBER() OVER (PARTITION BY side ORDER BY k) \
             AS place FROM (SELECT 'source' AS side, k, n FROM {source} AS x UNION ALL SELECT 'destination' AS side, k, n \
             FROM {destination} AS y) AS g) AS h ORDER BY place, side LIMIT {MOST_REPEATED}"
        );
        Ok(bound_to(self.statement("repeated keys", sql), &values))
    }

    /// Counts everything in one row. `repeated` is whether any key is repeated: such keys are ambiguous and never joined.
    pub fn counts(&self, repeated: bool) -> Result<Statement, BadName> {
        let mut values = Vec::new();
        let (with, joined) = self.joined(Purpose::Counts, repeated, &mut values)?;
        let count =
            |name: &str, condition: &str| format!("COUNT(CASE WHEN {condition} THEN 1 END) AS {name}");
        let differs: Vec<String> = self.fields().map(|(place, field)| differs(place, field)).collect();
        let any = format!("({})", differs.join(" OR "));
        let normalised = self.normalised();
        let any_normalised = any_of(&normalised);
        let both = "s.j IS NOT NULL AND d.j IS NOT NULL";
        let only = "s.j IS NOT NULL AND d.j IS NULL";
        let mut columns = vec![
            "COUNT(s.one) AS source_rows".to_owned(),
            "COUNT(d.one) AS destination_rows".to_owned(),
            count("source_null_keys", "s.one = 1 AND s.k IS NULL"),
            count("destination_null_keys", "d.one = 1 AND d.k IS NULL"),
            count("source_ambiguous", "s.k IS NOT NULL AND s.j IS NULL"),
            count("destination_ambiguous", "d.k IS NOT NULL AND d.j IS NULL"),
            count("joined", both),
            count("not_selected", &format!("{only} AND s.u = 1")),
            count("missing", &format!("{only} AND s.u = 0 AND s.p = 0")),
            count("missing_pending", &format!("{only} AND s.u = 0 AND s.p = 1")),
            count("extra", "d.j IS NOT NULL AND s.j IS NULL"),
            count("different", &format!("{both} AND s.p = 0 AND {any}")),
            count("different_pending", &format!("{both} AND s.p = 1 AND {any}")),
            count("normalised", &format!("{both} AND NOT {any} AND {any_normalised}")),
            count("missing_late", &format!("{only} AND s.u = 0 AND s.l = 1")),
            count("different_late", &format!("{both} AND s.l = 1 AND {any}")),
            count("not_run", &format!("s.n = 1 AND ({only} AND s.u = 0 OR {both} AND {any})")),
        ];
        if self.object.destination.synced.is_some() {
            columns.push("MAX(s.copied) AS copied".to_owned());
        }
        for (place, differs) in differs.iter().enumerate() {
            columns.push(count(&format!("different_{place}"), &format!("{both} AND s.p = 0 AND {differs}")));
        }
        for (name, _, condition) in &normalised {
            columns.push(count(name, &format!("{both} AND {condition}")));
        }
        let sql = format!("{with}SELECT {} FROM {joined}", columns.join(", "));
        Ok(self.settled_at(bound_to(self.statement("counts", sql), &values)))
    }

    /// Selects settled rows that are missing, extra or different, in the order of their keys: of each class `most` and one more,
    /// with the values of each field and the clues to whose fault it is.
    pub fn samples(&self, repeated: bool, most: usize) -> Result<Statement, BadName> {
        let mut values = Vec::new();
        let (with, joined) = self.joined(Purpose::Values, repeated, &mut values)?;
        let any_normalised = any_of(&self.normalised());
        let mut columns = vec![format!("CASE WHEN {any_normalised} THEN 1 ELSE 0 END AS normalised")];
        let mut any = Vec::new();
        for (place, field) in self.fields() {
            let differs = differs(place, field);
            columns.push(format!("CASE WHEN {differs} THEN 1 ELSE 0 END AS x{place}"));
            columns.extend(value_columns(place, field));
            any.push(differs);
        }
        let elsewhere = self.clues("j", &mut columns, &mut values)?;
        let sql = format!(
            "{with}SELECT * FROM (SELECT w.*, ROW_NUMBER() OVER (PARTITION BY class ORDER BY k) AS place FROM (SELECT CASE \
             WHEN s.j IS NOT NULL AND d.j IS NULL AND s.u = 0 AND s.p = 0 THEN 'missing' \
             WHEN d.j IS NOT NULL AND s.j IS NULL THEN 'extra' \
             WHEN s.j IS NOT NULL AND d.j IS NOT NULL AND s.p = 0 AND ({}) THEN 'different' END AS class, \
             COALESCE(s.j, d.j) AS k, {} FROM {joined}{elsewhere}) AS w WHERE class IS NOT NULL) AS v \
             WHERE place <= {most} + 1 ORDER BY class, place",
            any.join(" OR "),
            columns.join(", ")
        );
        Ok(self.settled_at(bound_to(self.statement("samples", sql), &values)))
    }

    /// Adds the columns of the clues, and returns the joins that they need behind the sides, whose keys are in the column `key`.
    fn clues(
        &self,
        key: &str,
        columns: &mut Vec<String>,
        values: &mut Vec<ParameterValue>,
    ) -> Result<String, BadName> {
        let Object { source, destination, key: kind, .. } = self.object;
        columns.push(match (&source.changed, &destination.changed) {
            (Some(_), Some(_)) => {
                "CASE WHEN d.changed_at > s.changed_at THEN 1 WHEN d.changed_at <= s.changed_at THEN 0 \
                                   END AS later"
                    .to_owned()
            }
            _ => "CAST(NULL AS INT) AS later".to_owned(),
        });
        columns.push(match &destination.modified_by {
            Some(_) => "d.b AS by_integration".to_owned(),
            None => "CAST(NULL AS INT) AS by_integration".to_owned(),
        });
        let mut joins = String::new();
        let mut elsewhere = |side: &Side, only: &str, alias: &str, of: &str| -> Result<String, BadName> {
            let k = self.key_form(*kind, &self.column(&side.key)?);
            let table = object_name(self.dialect, &side.table)?;
            joins.push_str(&format!(
                " LEFT JOIN (SELECT DISTINCT {k} AS k FROM {table} AS t{only}) AS {alias} ON {alias}.k = {of}.{key}"
            ));
            Ok(format!("{alias}.k IS NOT NULL"))
        };
        // The row of the source of an extra key is left out by the filter.
        let filtered = match source.filter.is_empty() {
            true => String::new(),
            false => format!(" OR s.one IS NULL AND {}", elsewhere(source, "", "g", "d")?),
        };
        columns.push(format!("CASE WHEN s.u = 1{filtered} THEN 1 ELSE 0 END AS left_out"));
        let deleted = match &destination.deleted {
            Some(column) => {
                let only = format!(" WHERE {}", self.is_deleted(column, values)?);
                format!("CASE WHEN {} THEN 1 ELSE 0 END", elsewhere(destination, &only, "h", "s")?)
            }
            None => "0".to_owned(),
        };
        columns.push(format!("{deleted} AS deleted"));
        Ok(joins)
    }

    /// Selects the rows of one key on both sides, with the values of each field and the clues: more than one if the key is
    /// ambiguous. `None` if the key is not of the object's kind of key.
    pub fn one_key(&self, key: &str) -> Result<Option<Statement>, BadName> {
        let mut values = Vec::new();
        let Some(wanted) = key_value(self.object.key, key) else { return Ok(None) };
        let wanted = placeholder(&mut values, wanted);
        let source = self.side(true, Purpose::Values, &mut values)?;
        let destination = self.side(false, Purpose::Values, &mut values)?;
        let of_key = |side: &str| format!("(SELECT * FROM {side} AS x WHERE x.k = {wanted})");
        let mut columns: Vec<String> =
            self.fields().flat_map(|(place, field)| value_columns(place, field)).collect();
        let sides = [
            ("s", "changed", &self.object.source.changed),
            ("d", "modified", &self.object.destination.changed),
        ];
        for (side, name, column) in sides {
            columns.extend(column.as_ref().map(|_| format!("{side}.changed_at AS {name}")));
        }
        columns.extend(self.object.destination.modified_by.as_ref().map(|_| "d.by_user".to_owned()));
        let elsewhere = self.clues("k", &mut columns, &mut values)?;
        let sql = format!(
            "SELECT s.one AS in_source, d.one AS in_destination, s.p AS pending, s.u AS not_selected, {} FROM {} AS s FULL OUTER \
             JOIN {} AS d ON s.k = d.k{elsewhere} LIMIT {MOST_SHOWN}",
            columns.join(", "),
            of_key(&source),
            of_key(&destination),
        );
        Ok(Some(self.settled_at(bound_to(self.statement("one key", sql), &values))))
    }

    /// Counts the rows of one side (`n`), and for a declared copy of the destination reads when it last synced (`copied`).
    pub fn size_of(&self, origin: Origin) -> Result<Statement, BadName> {
        let mut values = Vec::new();
        let side = self.side(origin == Origin::Source, Purpose::Keys, &mut values)?;
        let mut columns = format!("(SELECT COUNT(*) FROM {side} AS x) AS n");
        let destination = &self.object.destination;
        if let Some(synced) = destination.synced.as_ref().filter(|_| origin == Origin::Destination) {
            let (synced, table) = (self.column(synced)?, object_name(self.dialect, &destination.table)?);
            columns.push_str(&format!(", (SELECT MAX({synced}) FROM {table} AS t) AS copied"));
        }
        Ok(bound_to(self.statement("size", format!("SELECT {columns}")), &values))
    }

    /// Selects rows of one side for [`Streams`](super::Streams), all or those of one key: the key, its state if that is declared
    /// (the sum of 1 if it is pending, 2 if not selected, 4 if late, 8 if late without a run), the values of each field, and the
    /// clues: the time of the last change, and whether an integration user made it.
    pub fn rows_of(&self, origin: Origin, content: Content, of: Option<&str>) -> Result<Statement, BadName> {
        let is_source = origin == Origin::Source;
        // The copy is in another database.
        let mut object = self.object.clone();
        object.destination.synced = None;
        let mut values = Vec::new();
        let side = Statements { object: &object, ..*self }.side(is_source, Purpose::Stream, &mut values)?;
        let mut columns = vec!["x.k".to_owned()];
        if content == Content::Values {
            if Self::has_state(&object, origin) {
                columns.push("x.p + 2 * x.u + 4 * x.l + 8 * x.n AS state".to_owned());
            }
            for (place, field) in self.fields() {
                columns.push(format!("x.v{place}"));
                columns.extend(field.currency.as_ref().map(|_| format!("x.c{place}")));
            }
            let side = object.side(origin);
            columns.extend(side.changed.as_ref().map(|_| "x.changed_at".to_owned()));
            columns.extend(side.modified_by.as_ref().map(|_| "x.b, x.by_user".to_owned()));
        }
        let mut sql = format!("SELECT {} FROM {side} AS x", columns.join(", "));
        if let Some(wanted) = of.and_then(|wanted| key_value(object.key, wanted)) {
            sql.push_str(&format!(" WHERE x.k = {}", placeholder(&mut values, wanted)));
        }
        let statement = bound_to(self.statement("rows", sql), &values);
        Ok(if is_source { self.settled_at(statement) } else { statement })
    }

    /// Selects the keys that a side has in rows which do not count: all of the source, if it has a filter; those that the
    /// destination marks as deleted; of them only a certain one, if it is given. `None` if the object declares neither.
    pub fn hidden_keys(&self, origin: Origin, of: Option<&str>) -> Result<Option<Statement>, BadName> {
        let Object { source, destination, key, .. } = self.object;
        let mut values = Vec::new();
        let (side, only) = match (origin, &destination.deleted) {
            (Origin::Source, _) if !source.filter.is_empty() => (source, String::new()),
            (Origin::Destination, Some(column)) => {
                (destination, format!(" WHERE {}", self.is_deleted(column, &mut values)?))
            }
            _ => return Ok(None),
        };
        let k = self.key_form(*key, &self.column(&side.key)?);
        let table = object_name(self.dialect, &side.table)?;
        let mut sql = format!("SELECT x.k FROM (SELECT {k} AS k FROM {table} AS t{only}) AS x");
        if let Some(wanted) = of.and_then(|wanted| key_value(*key, wanted)) {
            sql.push_str(&format!(" WHERE x.k = {} LIMIT 1", placeholder(&mut values, wanted)));
        }
        Ok(Some(bound_to(self.statement("hidden keys", sql), &values)))
    }

    fn is_deleted(&self, column: &str, values: &mut Vec<ParameterValue>) -> Result<String, BadName> {
        let is_set =
            Condition { column: column.to_owned(), holds: Predicate::Equals(Literal::Boolean(true)) };
        condition_sql(self.dialect, "t", &is_set, values)
    }

    /// Returns whether rows of a side have a state in [`rows_of`](Self::rows_of).
    pub(super) fn has_state(object: &Object, origin: Origin) -> bool {
        origin == Origin::Source && (object.source.changed.is_some() || !object.not_selected.is_empty())
    }

    /// Returns the columns that count values equal in the safe form and written differently, with the rule of each.
    pub(super) fn normalised_columns(&self) -> Vec<Normalised> {
        self.normalised().into_iter().map(|(name, rule, _)| (name, rule)).collect()
    }

    fn normalised(&self) -> Vec<(String, Rule, String)> {
        let mut found = Vec::new();
        for (place, field) in self.fields() {
            let raw = format!("s.r{place} IS DISTINCT FROM d.r{place}");
            let same = format!("s.f{place} = d.f{place} AND {raw}");
            let rule = match field.kind {
                Kind::Number { .. } | Kind::Money { .. } | Kind::Date { .. } => continue,
                Kind::Flag => Rule::FlagHasNoNull,
                Kind::Instant => Rule::WholeSeconds,
                Kind::SalesforceId => Rule::IdLength,
                _ => Rule::OuterWhitespace,
            };
            found.push((format!("same_{place}"), rule, same));
            if !matches!(field.kind, Kind::Flag | Kind::Instant) {
                let empty = format!("s.f{place} IS NULL AND d.f{place} IS NULL AND {raw}");
                found.push((format!("empty_{place}"), Rule::EmptyIsNull, empty));
            }
        }
        found
    }

    fn fields(&self) -> impl Iterator<Item = (usize, &'o Field)> {
        self.object.fields.iter().enumerate()
    }

    pub(super) fn statement(&self, what: &str, sql: String) -> Statement {
        Statement::new(format!("{what} of {}", self.object.name), sql)
    }

    /// Binds the instant, unless no row can be pending.
    fn settled_at(&self, statement: Statement) -> Statement {
        match self.object.source.changed {
            Some(_) => statement.bind(SETTLED, self.horizon.settled),
            None => statement,
        }
    }

    /// The repeated keys of a side, each with its number of rows.
    fn repeated(&self, is_source: bool, values: &mut Vec<ParameterValue>) -> Result<String, BadName> {
        let side = self.side(is_source, Purpose::Keys, values)?;
        Ok(format!(
            "(SELECT k, COUNT(*) AS n FROM {side} AS t WHERE k IS NOT NULL GROUP BY k HAVING COUNT(*) > 1)"
        ))
    }

    /// Both sides, joined by the keys that are not ambiguous (`s.j = d.j`): what precedes the statement's SELECT, and its FROM.
    fn joined(
        &self,
        purpose: Purpose,
        repeated: bool,
        values: &mut Vec<ParameterValue>,
    ) -> Result<(String, String), BadName> {
        let mut sides = [self.side(true, purpose, values)?, self.side(false, purpose, values)?];
        // Grouping costs more than the join, so only if a key is repeated.
        let ambiguous = if repeated {
            let (one, other) = (self.repeated(true, values)?, self.repeated(false, values)?);
            Some(format!("(SELECT k FROM {one} AS y UNION SELECT k FROM {other} AS z)"))
        } else {
            None
        };
        for side in &mut sides {
            *side = match &ambiguous {
                Some(ambiguous) => format!(
                    "(SELECT x.*, CASE WHEN a.k IS NULL THEN x.k END AS j FROM {side} AS x LEFT JOIN {ambiguous} AS a \
                     ON a.k = x.k)"
                ),
                None => format!("(SELECT x.*, x.k AS j FROM {side} AS x)"),
            };
        }
        if self.dialect == Dialect::Sqlite {
            return Ok(self.joined_in_sqlite(&sides));
        }
        let [source, destination] = sides;
        Ok((String::new(), format!("{source} AS s FULL OUTER JOIN {destination} AS d ON s.j = d.j")))
    }

    /// SQLite makes an index of its own for a LEFT JOIN, but reads all of one side for each row of the other in a FULL JOIN. So
    /// both sides are joined to the list of their keys, in which a row without a key has a mark of its own.
    fn joined_in_sqlite(&self, [source, destination]: &[String; 2]) -> (String, String) {
        let key = match self.object.key {
            // A comparison of columns takes digits in a text as a number, but one of expressions does not.
            KeyKind::Integer => {
                "CASE WHEN TRIM(x.j) GLOB '[-0-9]*' AND TRIM(x.j) GLOB '*[0-9]' AND TRIM(x.j) NOT GLOB '?*[^0-9]*' \
                 THEN CAST(x.j AS NUMERIC) ELSE x.j END"
            }
            _ => "x.j",
        };
        let [source, destination] = [("s", source), ("d", destination)].map(|(name, side)| {
            format!(
                "{name}0 AS MATERIALIZED (SELECT x.*, COALESCE({key}, CAST('{name}' || ROW_NUMBER() OVER () AS BLOB)) AS q \
                 FROM {side} AS x)"
            )
        });
        let from = "(SELECT q FROM s0 UNION SELECT q FROM d0) AS m LEFT JOIN s0 AS s ON s.q = m.q LEFT JOIN d0 AS d ON d.q = m.q";
        (format!("WITH {source}, {destination} "), from.to_owned())
    }

    /// The rows of a side: `one`, the key `k`, for the source whether it is pending (`p`), not selected (`u`), late (`l`) and late
    /// without a run (`n`), for the destination whether an integration user changed it last (`b`), and of each field the safe form `f`, the form before normalisation `r` or the value `v`.
    fn side(
        &self,
        is_source: bool,
        purpose: Purpose,
        values: &mut Vec<ParameterValue>,
    ) -> Result<String, BadName> {
        let Object { source, destination, key, .. } = self.object;
        let side = if is_source { source } else { destination };
        let key_form = self.key_form(*key, &self.column(&side.key)?);
        let mut columns = vec!["1 AS one".to_owned(), format!("{key_form} AS k")];
        let mut copy = String::new();
        if is_source && purpose != Purpose::Keys {
            copy = self.copy(&mut columns)?;
            columns.push(self.pending(side)?);
            columns.push(self.unselected(values)?);
        }
        if matches!(purpose, Purpose::Values | Purpose::Stream) {
            if let Some(changed) = &side.changed {
                columns.push(format!("{} AS changed_at", self.column(changed)?));
            }
            if let Some(by) = &side.modified_by {
                let column = self.column(&by.column)?;
                let short = self.short_id(&self.text_form(&column));
                let users: Vec<String> = by
                    .integration_users
                    .iter()
                    .map(|user| placeholder(values, KeyKind::SalesforceId.joined(user).into()))
                    .collect();
                columns.push(format!(
                    "CASE WHEN {short} IN ({}) THEN 1 WHEN {short} IS NOT NULL THEN 0 END AS b, {column} AS by_user",
                    users.join(", ")
                ));
            }
        }
        if is_source && matches!(purpose, Purpose::Counts | Purpose::Stream) {
            columns.extend(self.late(values)?);
        }
        for (place, field) in self.fields().filter(|_| purpose != Purpose::Keys) {
            let name = if is_source { &field.source } else { &field.destination };
            let column = self.column(name)?;
            if purpose != Purpose::Stream {
                let (form, raw) = self.field_form(field, &column, is_source, values);
                columns.push(format!("{form} AS f{place}"));
                columns.extend(raw.map(|raw| format!("{raw} AS r{place}")));
            }
            if matches!(purpose, Purpose::Values | Purpose::Stream) {
                columns.push(format!("{column} AS v{place}"));
            }
            if let Some((of_source, of_destination)) = &field.currency {
                let column = self.column(if is_source { of_source } else { of_destination })?;
                columns.push(format!("{} AS c{place}", self.text_form(&column)));
            }
        }
        let filter: Result<Vec<String>, BadName> =
            side.filter.iter().map(|condition| condition_sql(self.dialect, "t", condition, values)).collect();
        let mut filter = filter?;
        if let Coverage::Bucket { number, of } = self.coverage {
            filter.push(format!("COALESCE({}, 0) = {number}", self.bucket(&key_form, of)));
        }
        let filter = filter.join(" AND ");
        Ok(format!(
            "(SELECT {} FROM {} AS t{copy}{}{filter})",
            columns.join(", "),
            object_name(self.dialect, &side.table)?,
            if filter.is_empty() { "" } else { " WHERE " },
        ))
    }

    /// Joins the instant of the copy's last sync, and selects it as `copied`.
    fn copy(&self, columns: &mut Vec<String>) -> Result<String, BadName> {
        let Some(synced) = &self.object.destination.synced else { return Ok(String::new()) };
        columns.push("c.last AS copied".to_owned());
        let table = object_name(self.dialect, &self.object.destination.table)?;
        Ok(format!(" CROSS JOIN (SELECT MAX({}) AS last FROM {table} AS t) AS c", self.column(synced)?))
    }

    /// Whether the row changed after the settled instant, or after the copy's last sync.
    fn pending(&self, side: &Side) -> Result<String, BadName> {
        let Some(changed) = &side.changed else { return Ok("0 AS p".to_owned()) };
        Ok(format!("CASE WHEN {} THEN 1 ELSE 0 END AS p", self.is_pending(&self.column(changed)?)))
    }

    fn is_pending(&self, changed: &str) -> String {
        match self.object.destination.synced {
            Some(_) => format!("({changed} > :{SETTLED} OR {changed} > c.last)"),
            None => format!("{changed} > :{SETTLED}"),
        }
    }

    /// Whether a pending row is late, and whether no run of a sync succeeded since it changed.
    fn late(&self, values: &mut Vec<ParameterValue>) -> Result<[String; 2], BadName> {
        let (Some(changed), Some(late)) = (&self.object.source.changed, self.horizon.late) else {
            return Ok(["0 AS l".to_owned(), "0 AS n".to_owned()]);
        };
        let changed = self.column(changed)?;
        let late =
            format!("{} AND {changed} <= {}", self.is_pending(&changed), placeholder(values, late.into()));
        let not_run = match self.horizon.ran {
            Some(ran) => format!(
                "CASE WHEN {late} AND {changed} > {} THEN 1 ELSE 0 END",
                placeholder(values, ran.into())
            ),
            None => "0".to_owned(),
        };
        Ok([format!("CASE WHEN {late} THEN 1 ELSE 0 END AS l"), format!("{not_run} AS n")])
    }

    fn unselected(&self, values: &mut Vec<ParameterValue>) -> Result<String, BadName> {
        let conditions: Result<Vec<String>, BadName> = self
            .object
            .not_selected
            .iter()
            .map(|condition| condition_sql(self.dialect, "t", condition, values))
            .collect();
        let conditions = conditions?;
        if conditions.is_empty() {
            return Ok("0 AS u".to_owned());
        }
        Ok(format!("CASE WHEN {} THEN 1 ELSE 0 END AS u", conditions.join(" OR ")))
    }

    pub(super) fn column(&self, name: &str) -> Result<String, BadName> {
        Ok(format!("t.{}", self.dialect.quote(name)?))
    }

    fn as_text(&self, column: &str) -> String {
        let text = if self.dialect == Dialect::Databricks { "STRING" } else { "TEXT" };
        format!("CAST({column} AS {text})")
    }

    pub(super) fn text_form(&self, column: &str) -> String {
        format!("NULLIF(TRIM({}), '')", self.as_text(column))
    }

    /// The form by which keys are joined; empty text is NULL.
    pub(super) fn key_form(&self, kind: KeyKind, column: &str) -> String {
        let text = self.text_form(column);
        match kind {
            KeyKind::Text => text,
            KeyKind::TextIgnoringCase => format!("LOWER({text})"),
            KeyKind::SalesforceId => self.short_id(&text),
            KeyKind::Integer => self.number_form(column),
        }
    }

    /// The bucket of a key in the form by which keys are joined: equal keys have the same one.
    fn bucket(&self, key: &str, of: u32) -> String {
        // A prime, with which keys that are multiples of `of` do not share a bucket.
        const PRIME: u64 = 1_000_003;
        match (self.dialect, self.object.key) {
            (Dialect::Databricks, _) => format!("PMOD(XXHASH64({key}), {of})"),
            (Dialect::PostgreSql, KeyKind::Integer) => format!("(HASH_NUMERIC({key}) & 2147483647) % {of}"),
            (Dialect::PostgreSql, _) => format!("(HASHTEXT({key}) & 2147483647) % {of}"),
            (Dialect::Sqlite, KeyKind::Integer) => {
                format!("ABS(CAST({key} AS INTEGER) % {PRIME}) * 654321 % {PRIME} % {of}")
            }
            // It has no hash. Keys that end with the same eight characters share a bucket.
            (Dialect::Sqlite, _) => {
                let weights = std::iter::successors(Some(1), |weight| Some(weight * 257 % PRIME));
                let character = |(place, weight): (i32, u64)| {
                    format!("COALESCE(UNICODE(SUBSTR({key}, {place}, 1)), 0) * {weight}")
                };
                let sum: Vec<String> = (-8..0).zip(weights).map(character).collect();
                format!("({}) % {PRIME} % {of}", sum.join(" + "))
            }
        }
    }

    pub(super) fn short_id(&self, text: &str) -> String {
        format!("CASE WHEN LENGTH({text}) = 18 THEN SUBSTR({text}, 1, 15) ELSE {text} END")
    }

    fn number_form(&self, column: &str) -> String {
        let text = self.text_form(column);
        match self.dialect {
            Dialect::Databricks => format!("CAST({text} AS DECIMAL(38, 18))"),
            // By its shortest text, which is exact: a cast of a double keeps 15 digits.
            Dialect::PostgreSql => format!("CAST({text} AS NUMERIC)"),
            // Compares integers and doubles exactly, and has no decimals.
            Dialect::Sqlite => column.to_owned(),
        }
    }

    /// The form of a field's column, with the map of its source.
    fn field_form(
        &self,
        field: &Field,
        column: &str,
        is_source: bool,
        values: &mut Vec<ParameterValue>,
    ) -> (String, Option<String>) {
        let (form, raw) = self.form(&field.kind, column, is_source, values);
        if !is_source || field.map.is_empty() {
            return (form, raw);
        }
        let mut bind = |text: &str| placeholder(values, text.into());
        let cases: String =
            field.map.iter().map(|(from, to)| format!(" WHEN {} THEN {}", bind(from), bind(to))).collect();
        let mapped = |other: &str| format!("CASE {form}{cases} ELSE {other} END");
        (mapped(&form), raw.as_deref().map(mapped))
    }

    /// The safe form of a column by its kind, and the form before normalisation, if that may differ where the safe form does not.
    fn form(
        &self,
        kind: &Kind,
        column: &str,
        is_source: bool,
        values: &mut Vec<ParameterValue>,
    ) -> (String, Option<String>) {
        use Dialect::{Databricks, PostgreSql, Sqlite};
        let text = self.text_form(column);
        let form = match (kind, self.dialect) {
            // As an expression: a comparison of columns rounds digits in a text to a double.
            (Kind::Number { .. } | Kind::Money { .. }, Sqlite) => format!("+{column}"),
            (Kind::Number { .. } | Kind::Money { .. }, _) => self.number_form(column),
            (Kind::Flag, _) => format!(
                "CASE WHEN {text} IS NULL THEN '0' WHEN LOWER({text}) IN ('true', 't', '1') THEN '1' \
                 WHEN LOWER({text}) IN ('false', 'f', '0') THEN '0' ELSE {text} END"
            ),
            (Kind::Instant, Databricks) => format!("UNIX_SECONDS(CAST({column} AS TIMESTAMP))"),
            (Kind::Instant, PostgreSql) => {
                format!("FLOOR(EXTRACT(EPOCH FROM CAST({column} AS TIMESTAMPTZ)))")
            }
            // Without the fraction, which it would round. Any other text stays itself, to be judged here.
            (Kind::Instant, Sqlite) => format!(
                "CASE WHEN RTRIM(SUBSTR({column}, 20), '.0123456789') = '' THEN \
                 COALESCE(CAST(STRFTIME('%s', SUBSTR({column}, 1, 19)) AS INTEGER), {column}) ELSE {column} END"
            ),
            (Kind::Date { source_zone: Some(zone) }, dialect) if is_source => {
                let zone = placeholder(values, zone.iana_name().unwrap_or("UTC").into());
                match dialect {
                    // By whole days since 1970, independent of the zone of the session.
                    Databricks => {
                        let shifted = format!("FROM_UTC_TIMESTAMP(CAST({column} AS TIMESTAMP), {zone})");
                        format!(
                            "DATE_ADD(DATE'1970-01-01', CAST(FLOOR(UNIX_SECONDS({shifted}) / 86400) AS INT))"
                        )
                    }
                    PostgreSql => {
                        format!("CAST(CAST({column} AS TIMESTAMPTZ) AT TIME ZONE {zone} AS DATE)")
                    }
                    // It has no zones: every row is judged here. The zone is bound for the sake of one form.
                    Sqlite => format!("{column} || ' ' || {zone}"),
                }
            }
            (Kind::Date { .. }, Sqlite) => format!("COALESCE(DATE({column}), {column})"),
            (Kind::Date { .. }, _) => format!("CAST({column} AS DATE)"),
            (Kind::SalesforceId, _) => self.short_id(&text),
            _ => text,
        };
        let raw = match (kind, self.dialect) {
            (Kind::Number { .. } | Kind::Money { .. } | Kind::Date { .. }, _) => None,
            (Kind::Flag, _) => Some(format!("CASE WHEN {column} IS NULL THEN 1 ELSE 0 END")),
            (Kind::Instant, Databricks) => Some(format!("UNIX_MICROS(CAST({column} AS TIMESTAMP))")),
            (Kind::Instant, PostgreSql) => Some(format!("EXTRACT(EPOCH FROM CAST({column} AS TIMESTAMPTZ))")),
            (Kind::Instant, Sqlite) => Some(column.to_owned()),
            _ => Some(self.as_text(column)),
        };
        (form, raw)
    }
}

/// Whether any value is equal in the safe form and written differently.
fn any_of(normalised: &[(String, Rule, String)]) -> String {
    let conditions: Vec<&str> = normalised.iter().map(|(_, _, condition)| condition.as_str()).collect();
    if conditions.is_empty() { "(1 = 0)".to_owned() } else { format!("({})", conditions.join(" OR ")) }
}

/// Whether a field differs in the safe form.
fn differs(place: usize, field: &Field) -> String {
    let value = format!("s.f{place} IS DISTINCT FROM d.f{place}");
    match field.currency {
        Some(_) => format!("({value} OR s.c{place} IS DISTINCT FROM d.c{place})"),
        None => value,
    }
}

/// The values of a field on both sides.
fn value_columns(place: usize, field: &Field) -> Vec<String> {
    let names = if field.currency.is_some() { &["v", "c"][..] } else { &["v"] };
    let pair = |name: &&str| ["s", "d"].map(|side| format!("{side}.{name}{place} AS {side}{name}{place}"));
    names.iter().flat_map(pair).collect()
}

/// The value of a key, in the form in which keys are joined.
fn key_value(kind: KeyKind, key: &str) -> Option<ParameterValue> {
    Some(match kind {
        KeyKind::Integer => Decimal::parse(key.trim())?.into(),
        _ => kind.joined(key).into(),
    })
}
