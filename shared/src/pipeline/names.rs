//! The runbook in the names of a pipeline. It is written with the names of the shipped example, `infra/pipeline.toml`.

use std::collections::BTreeSet;

use super::{Pipeline, Role, Sync};
use crate::data_checks::{Condition, DataCheck, Literal, Predicate, Rule};
use crate::reconcile::Object;

/// The schema of the example in which Syncwatch's own tables and views are.
const SCHEMA: &str = "crm.sfdc_dbx.";
/// Columns of the example's source that no key of `pipeline.toml` names.
const ONLY_IN_THE_EXAMPLE: [&str; 3] = ["city", "status", "created_at"];

/// A text of the runbook in the names of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    pub text: String,
    /// Names of the example in it that have no counterpart in `pipeline.toml`, or the same one.
    pub kept: BTreeSet<String>,
}

impl Pipeline {
    /// Replaces the names of the example in a text of the runbook: syncs, tables, views, columns and checks. With a subject of an
    /// incident, the names are those of this sync, check or object. A name without a counterpart is kept.
    pub fn rename(&self, text: &str, subject: Option<&str>) -> Renamed {
        let names = Names::of(self, subject);
        let (mut renamed, mut kept) = (String::with_capacity(text.len()), BTreeSet::new());
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let mut rest = text;
        while let Some(begin) = rest.find(is_part) {
            let (between, word) = rest.split_at(begin);
            let end = word.find(|c| !is_part(c)).unwrap_or(word.len());
            let (word, after) = word.split_at(end);
            // A full stop ends a sentence.
            let (word, stop) = word.split_at(word.trim_end_matches(['.', '-']).len());
            renamed.push_str(between);
            names.push(word, &mut renamed, after.starts_with('/'), &mut kept);
            renamed.push_str(stop);
            rest = after;
        }
        renamed.push_str(rest);
        Renamed { text: renamed, kept }
    }
}

/// The replacement of a name of the example.
enum Found {
    /// The example has no such name.
    Other,
    Kept,
    By(String),
}

struct Names<'p> {
    pipeline: &'p Pipeline,
    object: Option<&'p Object>,
    create: Option<&'p Sync>,
    update: Option<&'p Sync>,
}

impl<'p> Names<'p> {
    fn of(pipeline: &'p Pipeline, subject: Option<&str>) -> Self {
        let of_subject = subject.and_then(|subject| pipeline.sync(subject));
        let by_role = |role| pipeline.syncs.iter().find(|sync| sync.role == role);
        let table = subject.and_then(|subject| pipeline.data_check(subject)).map(|check| &check.table);
        let is_meant = |object: &&Object| {
            subject == Some(object.name.as_str())
                || of_subject.is_some_and(|sync| object.syncs.contains(&sync.key))
                || table
                    .is_some_and(|table| [&object.source.table, &object.destination.table].contains(&table))
        };
        Self {
            pipeline,
            object: pipeline.objects.iter().find(is_meant).or(pipeline.objects.first()),
            create: of_subject.or(by_role(Role::Create)),
            update: of_subject.or(by_role(Role::Update)),
        }
    }

    fn push(&self, word: &str, renamed: &mut String, is_key: bool, kept: &mut BTreeSet<String>) {
        let mut push = |word: &str, found: Found| match found {
            Found::Other => renamed.push_str(word),
            Found::Kept => {
                kept.insert(word.to_owned());
                renamed.push_str(word);
            }
            Found::By(name) => renamed.push_str(&name),
        };
        match self.whole(word, is_key) {
            // An alias of a table and a column.
            Found::Other if word.split('.').count() == 2 => {
                let (alias, column) = word.split_once('.').unwrap_or_default();
                push(alias, Found::Other);
                push(".", Found::Other);
                push(column, self.column(column, true));
            }
            Found::Other => push(word, self.column(word, false)),
            found => push(word, found),
        }
    }

    /// Replaces the name of a sync, a check, a table or the pipeline.
    fn whole(&self, word: &str, is_key: bool) -> Found {
        let sync = |sync: Option<&Sync>, of: fn(&Sync) -> String| by(sync.map(of));
        let key: fn(&Sync) -> String = |sync| sync.key.clone();
        let id: fn(&Sync) -> String = |sync| sync.id.to_string();
        let checks = &self.pipeline.checks;
        let queue = |role: &str| {
            let is_meant = |check: &&DataCheck| {
                matches!(check.rule, Rule::QueueSize { .. }) && check.table.to_lowercase().contains(role)
            };
            by(checks.iter().find(is_meant).map(|check| check.table.clone()))
        };
        let snapshot = self.pipeline.snapshot.as_ref();
        match word {
            "properties" if is_key => Found::By(self.pipeline.name.clone()),
            "properties" => by(self.object.map(|object| object.name.clone())),
            "properties-create" => sync(self.create, key),
            "properties-update" => sync(self.update, key),
            "3394022" => sync(self.create, id),
            "3394041" => sync(self.update, id),
            "properties-coverage" => {
                let is_coverage = |check: &&DataCheck| matches!(check.rule, Rule::Coverage { .. });
                by(checks.iter().find(is_coverage).map(|check| check.name.clone()))
            }
            "crm.rds.properties" => by(self.object.map(|object| object.source.table.clone())),
            "crm.salesforce.product_property" => {
                by(self.object.map(|object| object.destination.table.clone()))
            }
            "crm.sfdc_dbx.properties_to_create" => queue("create"),
            "crm.sfdc_dbx.properties_to_update" => queue("update"),
            "crm.sfdc_dbx.daily_health_check" => {
                by(snapshot.and_then(|snapshot| snapshot.health_view.clone()))
            }
            "crm.sfdc_dbx.sync_audit_log" => by(snapshot.map(|snapshot| snapshot.audit_log.clone())),
            // The other views are created beside the audit log.
            _ => match word.strip_prefix(SCHEMA) {
                Some(view) => by(snapshot.map(|snapshot| {
                    let schema = snapshot.audit_log.rsplit_once('.').map_or("", |(schema, _)| schema);
                    if schema.is_empty() { view.to_owned() } else { format!("{schema}.{view}") }
                })),
                None => Found::Other,
            },
        }
    }

    /// Replaces the name of a column. Without an alias, a short name may be a word of a sentence.
    fn column(&self, word: &str, has_alias: bool) -> Found {
        let object = self.object;
        let field = object.and_then(|object| object.fields.first());
        match word {
            "property_id" => by(object.map(|object| object.source.key.clone())),
            "sf_property_id_c" => by(object.map(|object| object.destination.key.clone())),
            "company_name" => by(field.map(|field| field.source.clone())),
            "company_name_c" => by(field.map(|field| field.destination.clone())),
            "updated_at" => by(object.and_then(|object| object.source.changed.clone())),
            "last_modified_date" => by(object.and_then(|object| object.destination.changed.clone())),
            "created_date" => by(object.and_then(|object| object.destination.created.clone())),
            "_fivetran_deleted" => by(object.and_then(|object| object.destination.deleted.clone())),
            "_fivetran_synced" => by(object.and_then(|object| object.destination.synced.clone())),
            "deleted" if has_alias => {
                let flag = |condition: &&Condition| condition.holds == Predicate::Not(Literal::Boolean(true));
                by(object.and_then(|object| Some(object.source.filter.iter().find(flag)?.column.clone())))
            }
            _ if ONLY_IN_THE_EXAMPLE.contains(&word) && has_alias => Found::Kept,
            _ => Found::Other,
        }
    }
}

fn by(name: Option<String>) -> Found {
    name.map_or(Found::Kept, Found::By)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::TEXT;

    fn example() -> Pipeline {
        Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap()
    }

    /// The example with other names throughout.
    fn other() -> Pipeline {
        let text = include_str!("../../../infra/pipeline.toml");
        let renamed = [
            ("crm.rds.properties", "erp.public.units"),
            ("crm.salesforce.product_property", "lake.hubspot.unit"),
            ("crm.sfdc_dbx.properties_to_create", "ops.guard.units_to_create"),
            ("crm.sfdc_dbx.properties_to_update", "ops.guard.units_to_update"),
            ("crm.sfdc_dbx", "ops.guard"),
            ("properties-", "units-"),
            ("sf_property_id_c", "hs_unit"),
            ("property_id", "unit"),
            ("company_name_c", "tenant"),
            ("company_name", "tenant_name"),
            ("_fivetran_deleted", "gone"),
            ("_fivetran_synced", "copied_at"),
            ("updated_at", "touched_at"),
            ("last_modified_date", "written_at"),
            ("column = \"deleted\"", "column = \"archived\""),
            ("\"properties\"", "\"units\""),
            ("3394022", "77"),
            ("3394041", "78"),
        ];
        let text = renamed.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        Pipeline::parse(&text).unwrap()
    }

    #[test]
    fn runbook_in_the_names_of_the_example_is_unchanged() {
        let Renamed { text, kept } = example().rename(TEXT, None);
        let changed = text.lines().zip(TEXT.lines()).filter(|(renamed, written)| renamed != written);
        assert_eq!(changed.collect::<Vec<_>>(), []);
        assert_eq!(text.len(), TEXT.len());
        assert_eq!(kept, ["city", "created_date", "status"].map(str::to_owned).into());
    }

    #[test]
    fn runbook_of_another_pipeline_has_no_name_of_the_example() {
        let Renamed { text, kept } = other().rename(TEXT, None);
        // Columns of the tables that Syncwatch itself creates.
        let text = text.replace("synced_properties", "").replace("total_properties", "");
        for name in ["properties", "property", "company_name", "3394", "crm.", "_fivetran", "updated_at"] {
            let lines: Vec<&str> = text.lines().filter(|line| line.contains(name)).collect();
            assert_eq!(lines, [""; 0], "{name}");
        }
        assert_eq!(kept, ["city", "created_date", "status"].map(str::to_owned).into());
        assert!(text.contains("syncwatch runs units-update"), "{text}");
        assert!(text.contains("WHERE NOT p.archived AND c.hs_unit IS NULL AND q.unit IS NULL"), "{text}");
        assert!(text.contains("FROM ops.guard.coverage_by_day"), "{text}");
    }

    #[test]
    fn names_are_those_of_the_subject_and_missing_ones_are_kept() {
        let renamed = |text: &str, subject| example().rename(text, subject).text;
        let runs = "`syncwatch runs properties-create`: sync 3394022, properties-create.";
        let of_update = "`syncwatch runs properties-update`: sync 3394041, properties-update.";
        assert_eq!(renamed(runs, Some("properties-update")), of_update);
        assert_eq!(renamed(runs, Some("properties-coverage")), runs);

        let mut second = example();
        let mut accounts = second.objects[0].clone();
        accounts.name = "accounts".to_owned();
        accounts.source.table = "crm.rds.companies".to_owned();
        second.objects.push(accounts);
        let reconcile = "syncwatch reconcile properties, FROM crm.rds.properties";
        assert_eq!(
            second.rename(reconcile, Some("accounts")).text,
            "syncwatch reconcile accounts, FROM crm.rds.companies"
        );

        let mut bare = example();
        (bare.objects, bare.checks, bare.snapshot) = (Vec::new(), Vec::new(), None);
        bare.syncs.retain(|sync| sync.role == Role::Update);
        let text = "runs properties-create; FROM crm.rds.properties p JOIN crm.sfdc_dbx.coverage_by_day";
        let Renamed { text: same, kept } = bare.rename(text, None);
        assert_eq!(same, text);
        assert_eq!(kept.len(), 3, "{kept:?}");
    }
}
