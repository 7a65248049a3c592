//! The statements of the proof that another run of a sync that creates records makes no duplicates.

use jiff::Timestamp;

use super::kind::KeyKind;
use super::statements::Statements;
use crate::data_checks::{Condition, Literal, Predicate, bound_to, condition_sql, object_name, placeholder};
use crate::sql::{BadName, Statement};

impl Statements<'_> {
    /// Reads the copy of the destination in one row:
    ///
    /// * `duplicates` => records beyond the first of each key, ignoring case
    /// * `null_keys`  => records without a key whose last writer is a sync, or unknown
    /// * `synced`     => when the copy last synced, if that is declared
    /// * `created`    => records with a key that were created in this span of time, if that is declared
    pub fn copy_of_creates(&self, from: Timestamp, to: Timestamp) -> Result<Statement, BadName> {
        let (mut values, side) = (Vec::new(), &self.object.destination);
        let live = match &side.deleted {
            Some(deleted) => {
                let holds = Predicate::Not(Literal::Boolean(true));
                let is_live = Condition { column: deleted.clone(), holds };
                condition_sql(self.dialect, "t", &is_live, &mut values)?
            }
            None => "1 = 1".to_owned(),
        };
        let key = self.key_ignoring_case(&side.key)?;
        let live_key = format!("CASE WHEN {live} THEN {key} END");
        let by_sync = match &side.modified_by {
            None => String::new(),
            Some(by) => {
                let writer = self.text_form(&self.column(&by.column)?);
                let users = by.integration_users.iter();
                let users: Vec<String> = users
                    .map(|user| placeholder(&mut values, KeyKind::SalesforceId.joined(user).into()))
                    .collect();
                let short = self.short_id(&writer);
                format!(" AND ({writer} IS NULL OR {short} IN ({}))", users.join(", "))
            }
        };
        let mut columns = vec![
            format!("COUNT({live_key}) - COUNT(DISTINCT {live_key}) AS duplicates"),
            format!("COUNT(CASE WHEN {live} AND {key} IS NULL{by_sync} THEN 1 END) AS null_keys"),
        ];
        if let Some(synced) = &side.synced {
            columns.push(format!("MAX({}) AS synced", self.column(synced)?));
        }
        if let Some(created) = &side.created {
            let created = self.column(created)?;
            let [from, to] = [from, to].map(|at| placeholder(&mut values, at.into()));
            columns.push(format!(
                "COUNT(CASE WHEN {key} IS NOT NULL AND {created} >= {from} AND {created} <= {to} THEN 1 END) AS created"
            ));
        }
        let table = object_name(self.dialect, &side.table)?;
        let sql = format!("SELECT {} FROM {table} AS t", columns.join(", "));
        Ok(bound_to(self.statement("duplicates", sql), &values))
    }

    /// Counts the rows of the view of a sync (`n`), and those whose key is missing or is that of another row, ignoring case, but
    /// for one of each key (`without_own_key`).
    pub fn queue_of_creates(&self, view: &str, key: &str) -> Result<Statement, BadName> {
        let key = self.key_ignoring_case(key)?;
        let table = object_name(self.dialect, view)?;
        let sql = format!(
            "SELECT COUNT(*) AS n, COUNT(*) - COUNT(DISTINCT {key}) AS without_own_key FROM {table} AS t"
        );
        Ok(self.statement("queue", sql))
    }

    fn key_ignoring_case(&self, column: &str) -> Result<String, BadName> {
        let kind = match self.object.key {
            KeyKind::Integer => KeyKind::Integer,
            _ => KeyKind::TextIgnoringCase,
        };
        Ok(self.key_form(kind, &self.column(column)?))
    }
}
