use std::collections::BTreeSet;

use super::*;
use crate::baseline::{
    Definition, Deployment, Mapping, Part, Relation, Settings, SyncDefinition, declared_functions,
};
use crate::finding::{Outcome, WhyNot};
use crate::sql::Dialect;

const CREATE: &str = "properties-create";
const TABLE: &str = "crm.rds.properties";

fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap()
}

fn now() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

fn known(text: &str) -> Part<String> {
    Part::Known(text.to_owned())
}

fn settings(name: &str, setting: &str, value: &str) -> Part<Settings> {
    Part::Known([(name.to_owned(), [(setting.to_owned(), value.to_owned())].into())].into())
}

/// The deployed function, with the limits that the table declares.
fn function(code: &str) -> Part<Settings> {
    let name = "alert-relay".to_owned();
    let mut limits = declared_functions().remove(&name).unwrap();
    limits.insert("code".to_owned(), code.to_owned());
    Part::Known([(name, limits)].into())
}

fn definition() -> Definition {
    let mapping = |from: &str, to: &str, key| Mapping {
        from: from.to_owned(),
        kind: "column".to_owned(),
        to: to.to_owned(),
        key,
    };
    let sync = SyncDefinition {
        operation: known("upsert"),
        mappings: Part::Known(vec![mapping("id", "Id__c", true), mapping("name", "Name", false)]),
        alerts: Part::Known(BTreeSet::new()),
        source: known("table crm.sfdc_dbx.v"),
        query: known(""),
        destination: known("Property__c"),
        ..SyncDefinition::default()
    };
    let relation = Relation {
        kind: known("VIEW"),
        columns: Part::Known(vec![("id".to_owned(), "bigint".to_owned())]),
        text: known("select id\nfrom t\nwhere state = 'open'"),
        owner: known("ada"),
        grants: Part::Known(["SELECT to census".to_owned()].into()),
    };
    let mut definition = Definition {
        deployment: Deployment {
            functions: function("aaa"),
            alarms: settings("alert-relay-errors", "actions", "syncwatch-alarms"),
            topics: settings("notices", "sqs", "1 confirmed, 0 not"),
        },
        ..Definition::default()
    };
    definition.add_sync(CREATE, Part::Known(sync), Dialect::Databricks);
    definition.relations.insert(TABLE.to_owned(), Part::Known(relation));
    definition
}

fn accepted() -> Accepted {
    let acceptance = Acceptance {
        number: 1,
        at: "2026-11-20T10:00:00Z".parse().unwrap(),
        by: "Ada".to_owned(),
        why: "first".to_owned(),
        changes: Vec::new(),
    };
    Accepted { acceptance, definition: definition() }
}

fn sync_of(definition: &mut Definition) -> &mut SyncDefinition {
    let Some(Part::Known(sync)) = definition.syncs.get_mut(CREATE) else { panic!() };
    sync
}

fn relation_of(definition: &mut Definition) -> &mut Relation {
    let Some(Part::Known(relation)) = definition.relations.get_mut(TABLE) else { panic!() };
    relation
}

/// Judges the accepted definition after this alteration.
fn judged(alter: impl FnOnce(&mut Definition)) -> Vec<Finding> {
    let mut live = Live { definition: definition(), ..Live::default() };
    alter(&mut live.definition);
    judge_definition(&pipeline(), Some(&accepted()), &live, now())
}

/// The findings of the three subjects that are accepted, as text.
fn of_accepted(findings: &[Finding]) -> Vec<String> {
    let is_accepted = |finding: &&Finding| [CREATE, TABLE, SYNCWATCH].contains(&finding.subject.as_str());
    findings.iter().filter(is_accepted).map(ToString::to_string).collect()
}

#[test]
fn each_subject_waits_for_an_acceptance() {
    let live = Live { definition: definition(), ..Live::default() };
    let findings = judge_definition(&pipeline(), None, &live, now());
    let subjects: BTreeSet<&str> = findings.iter().map(|finding| finding.subject.as_str()).collect();
    assert!(subjects.contains(CREATE) && subjects.contains(TABLE) && subjects.contains(SYNCWATCH));
    assert_eq!(subjects.len(), findings.len());
    for finding in &findings {
        assert!(pipeline().declares(finding.check, &finding.subject), "{finding}");
        assert!(
            finding.to_string().contains("waiting for an accepted definition: syncwatch baseline accept")
        );
    }
    // Of one that was declared after the acceptance.
    let new = judged(|_| {}).into_iter().find(|finding| finding.subject == "properties-update").unwrap();
    assert!(matches!(new.outcome, Outcome::NotEvaluated { why: WhyNot::NothingYet { .. } }), "{new}");
}

#[test]
fn change_is_as_severe_as_its_kind() {
    type Alter = fn(&mut Definition);
    let table: [(Alter, &str); 13] = [
        (|_| {}, "as accepted"),
        (|of| sync_of(of).operation = known("mirror"), "properties-create: error, operation changed"),
        (|of| sync_of(of).source = known("table crm.sfdc_dbx.w"), "properties-create: error, source changed"),
        (
            |of| sync_of(of).mappings = Part::Known(Vec::new()),
            "properties-create: error, key changed, and 2 more changes",
        ),
        (
            |of| sync_of(of).alerts = Part::Known(["failed run".to_owned()].into()),
            "properties-create: warning, alerts",
        ),
        (|of| relation_of(of).columns = Part::Known(Vec::new()), "properties: error, column lost: id"),
        (|of| relation_of(of).owner = known("bob"), "properties: warning, owner changed"),
        (
            |of| relation_of(of).grants = Part::Known(BTreeSet::new()),
            "properties: warning, grant revoked: SELECT",
        ),
        (|of| relation_of(of).text = known("select id\nfrom t"), "properties: warning, text of the view"),
        (|of| drop(of.relations.remove(TABLE)), "properties: error, does not exist"),
        (|of| drop(of.syncs.remove(CREATE)), "properties-create: not evaluated, blocked by sync-exists"),
        (
            |of| of.deployment.alarms = Part::Known(Settings::new()),
            "syncwatch: error, does not exist: alarm alert-relay-errors",
        ),
        // Another deployed version alone alerts no one.
        (|of| of.deployment.functions = function("bbb"), "as accepted"),
    ];
    for (alter, expected) in table {
        let found = of_accepted(&judged(alter));
        assert_eq!(found.len(), 3);
        let healthy = found.iter().filter(|finding| finding.ends_with("healthy, as accepted by Ada")).count();
        if expected == "as accepted" {
            assert_eq!(healthy, 3, "{found:?}");
        } else {
            assert_eq!(healthy, 2, "{found:?}");
            assert!(found.iter().any(|finding| finding.contains(expected)), "{expected}: {found:?}");
        }
    }
}

#[test]
fn unreadable_part_holds_only_its_own_subject() {
    let findings = judged(|of| {
        of.syncs.insert(CREATE.to_owned(), Part::Unknown("Census answered 500".to_owned()));
        of.deployment.alarms = Part::Unknown("denied".to_owned());
    });
    assert_eq!(
        of_accepted(&findings),
        [
            "definition-changed properties-create: not evaluated, unreadable: sync properties-create: Census answered 500",
            "definition-changed crm.rds.properties: healthy, as accepted by Ada",
            "definition-changed syncwatch: not evaluated, unreadable: deployment: alarms: denied",
        ]
    );
    // A change of a known part is reported all the same.
    let findings = judged(|of| {
        let relation = relation_of(of);
        (relation.grants, relation.owner) = (Part::Unknown("denied".to_owned()), known("bob"));
    });
    let found = findings.iter().find(|finding| finding.subject == TABLE).unwrap();
    let Outcome::Unhealthy { evidence, .. } = &found.outcome else { panic!("{found}") };
    let last = evidence.figures.last().unwrap();
    assert_eq!((last.name.as_str(), last.text().contains("grants: denied")), ("not compared", true));
}

#[test]
fn evidence_shows_the_change_but_no_literal() {
    let figures = |alter: fn(&mut Definition)| {
        let findings = judged(alter);
        let found = findings.iter().find(|finding| finding.is_unhealthy()).unwrap();
        let Outcome::Unhealthy { evidence, .. } = &found.outcome else { panic!("{found}") };
        let figures = evidence.figures.iter().map(|figure| format!("{}: {}", figure.name, figure.text()));
        figures.collect::<Vec<_>>().join("\n")
    };
    let shown = figures(|of| relation_of(of).text = known("select id\nfrom u\nwhere state = 'sold'"));
    assert_eq!(
        shown,
        "accepted: by Ada: first\naccepted at: 2026-11-20 10:00 UTC\ntext of the view changed: - from t; + from u"
    );
    let shown = figures(|of| relation_of(of).text = known("select id\nfrom t\nwhere state = 'sold'"));
    assert!(shown.ends_with("text of the view changed: only literals or constants differ"), "{shown}");
}
