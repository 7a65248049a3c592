//! Judges whether objects compare the fields that their syncs write.

use std::collections::{BTreeMap, BTreeSet};

use crate::baseline::{Part, SyncDefinition};
use crate::finding::{Check, Evidence, Finding, Severity, WhyNot};
use crate::pipeline::Pipeline;
use crate::reconcile::{Authority, Object, bare_name};
use crate::text::{counted, named, plain_line};

/// The most fields that are named.
const NAMED: usize = 10;

/// Judges each object by the mappings of the syncs that it names. `syncs` has the definitions as Census shows them, by key; one
/// that is missing does not exist.
///
/// * a sync writes a column into a field that the object does not compare => warning
/// * a field that the source decides is written by no sync any more       => warning
/// * a sync does not exist, or its mappings cannot be read                => not evaluated
/// * the object names no sync                                             => not declared
///
/// Constants, templates and looked-up values have no column to compare; they count as written only.
pub fn judge(pipeline: &Pipeline, syncs: &BTreeMap<String, Part<SyncDefinition>>) -> Vec<Finding> {
    pipeline.objects.iter().map(|object| of_object(object, syncs)).collect()
}

fn of_object(object: &Object, syncs: &BTreeMap<String, Part<SyncDefinition>>) -> Finding {
    let about = Check::UnmappedField.about(&object.name);
    if object.syncs.is_empty() {
        return about.not_declared();
    }
    // Each by its bare name: as Census has it, and whether a column is written into it.
    let mut written: BTreeMap<String, (&str, bool)> = BTreeMap::new();
    for key in &object.syncs {
        let mappings = match syncs.get(key) {
            None => return about.not_evaluated(WhyNot::under(Check::SyncExists, key)),
            Some(Part::Unknown(why)) => Err(why),
            Some(Part::Known(sync)) => match &sync.mappings {
                Part::Known(mappings) => Ok(mappings),
                Part::Unknown(why) => Err(why),
            },
        };
        let mappings = match mappings {
            Ok(mappings) => mappings,
            Err(why) => return about.unreadable(format!("mappings of {key}: {}", plain_line(why))),
        };
        for mapping in mappings {
            written.entry(bare_name(&mapping.to)).or_insert((&mapping.to, false)).1 |= mapping.is_column();
        }
    }
    let of_currency = object.fields.iter().filter_map(|field| Some(&field.currency.as_ref()?.1));
    let columns = object.fields.iter().map(|field| &field.destination).chain(of_currency);
    let known: BTreeSet<String> = columns
        .chain([&object.destination.key])
        .chain(&object.not_compared)
        .map(|name| bare_name(name))
        .collect();
    let of_columns = written.iter().filter(|(_, (_, is_column))| *is_column);
    let not_compared: Vec<String> =
        of_columns.filter(|(bare, _)| !known.contains(*bare)).map(|(_, (to, _))| plain_line(to)).collect();
    let decided = object.fields.iter().filter(|field| field.authority == Authority::Source);
    let not_written: Vec<&str> = decided
        .map(|field| field.destination.as_str())
        .filter(|column| !written.contains_key(&bare_name(column)))
        .collect();
    let counts =
        [(not_compared.len(), "written but not compared"), (not_written.len(), "compared but not written")];
    let wrong: Vec<String> = counts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{} {what}", counted(*n, "field")))
        .collect();
    if wrong.is_empty() {
        let summary = format!("all {} that syncs write are compared", counted(written.len(), "field"));
        return about.healthy(summary);
    }
    let list = |names: &[&str]| (!names.is_empty()).then(|| named(names, NAMED, names.len()));
    let names: Vec<&str> = not_compared.iter().map(String::as_str).collect();
    let evidence = Evidence::new(wrong.join(", "))
        .with_some("not compared", list(&names))
        .with_some("not written", list(&not_written))
        .with("syncs", object.syncs.join(", "));
    let cause = "The mapping in Census changed, and [[objects]] of pipeline.toml did not";
    about.unhealthy(Severity::Warning, evidence, cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::Mapping;

    fn pipeline() -> Pipeline {
        let mut pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        pipeline.objects[0].syncs = vec!["properties-create".to_owned(), "properties-update".to_owned()];
        pipeline
    }

    fn mapping(to: &str, kind: &str) -> Mapping {
        Mapping { from: "a".to_owned(), kind: kind.to_owned(), to: to.to_owned(), key: false }
    }

    fn sync(fields: &[&str]) -> Part<SyncDefinition> {
        let mappings = Part::Known(fields.iter().map(|to| mapping(to, "column")).collect());
        Part::Known(SyncDefinition { mappings, ..SyncDefinition::default() })
    }

    type Syncs = BTreeMap<String, Part<SyncDefinition>>;

    fn syncs(create: &[&str], update: &[&str]) -> Syncs {
        let both = [("properties-create", sync(create)), ("properties-update", sync(update))];
        both.map(|(key, sync)| (key.to_owned(), sync)).into()
    }

    fn found(pipeline: &Pipeline, syncs: &Syncs) -> String {
        let findings = judge(pipeline, syncs);
        assert_eq!(findings.len(), 1);
        findings[0].to_string().replacen("unmapped-field properties: ", "", 1)
    }

    const ALL: [&str; 3] = ["SF_Property_ID__c", "Company_Name__c", "Source_Version__c"];

    #[test]
    fn fields_of_all_its_syncs_are_held_against_the_object() {
        let pipeline = pipeline();
        let table: [(&[&str], &[&str], &str); 5] = [
            (&ALL, &ALL, "healthy, all 3 fields that syncs write are compared"),
            (&ALL, &ALL[..1], "healthy, all 3 fields that syncs write are compared"),
            (&ALL, &["Rent__c"], "warning, 1 field written but not compared"),
            (&ALL[..2], &ALL[..2], "warning, 1 field compared but not written"),
            (
                &["Rent__c"],
                &[],
                "warning, 1 field written but not compared, 2 fields compared but not written",
            ),
        ];
        for (create, update, expected) in table {
            assert_eq!(found(&pipeline, &syncs(create, update)), expected, "{create:?} {update:?}");
        }
        let finding = judge(&pipeline, &syncs(&["Rent__c"], &[])).remove(0);
        let json = serde_json::to_value(&finding).unwrap().to_string();
        for name in ["Rent__c", "company_name_c, source_version_c"] {
            assert!(json.contains(name), "{json}");
        }
    }

    #[test]
    fn field_left_out_on_purpose_or_decided_elsewhere_is_healthy() {
        let mut pipeline = pipeline();
        pipeline.objects[0].not_compared = vec!["Rent__c".to_owned()];
        assert!(found(&pipeline, &syncs(&ALL, &["Rent__c"])).starts_with("healthy"));
        for field in &mut pipeline.objects[0].fields {
            field.authority = Authority::Destination;
        }
        assert!(found(&pipeline, &syncs(&ALL[..1], &[])).starts_with("healthy"));
    }

    #[test]
    fn constant_is_written_but_has_nothing_to_compare() {
        let mut all = syncs(&ALL, &[]);
        let Some(Part::Known(update)) = all.get_mut("properties-update") else { panic!() };
        update.mappings = Part::Known(vec![
            mapping("Origin__c", crate::baseline::CONSTANT),
            mapping("OwnerId", "column looked up by User.Email"),
        ]);
        assert!(found(&pipeline(), &all).starts_with("healthy"));
    }

    #[test]
    fn unknown_mappings_are_not_evaluated() {
        let mut pipeline = pipeline();
        let mut all = syncs(&ALL, &ALL);
        all.insert("properties-update".to_owned(), Part::Known(SyncDefinition::default()));
        let unread = "not evaluated, unreadable: mappings of properties-update: not recorded";
        assert_eq!(found(&pipeline, &all), unread);
        all.insert("properties-update".to_owned(), Part::Unknown("timed out".to_owned()));
        assert!(found(&pipeline, &all).ends_with("mappings of properties-update: timed out"));
        all.remove("properties-update");
        assert!(found(&pipeline, &all).ends_with("blocked by sync-exists of properties-update"));
        pipeline.objects[0].syncs.clear();
        assert_eq!(found(&pipeline, &all), "not evaluated, not declared in pipeline.toml");
    }
}
