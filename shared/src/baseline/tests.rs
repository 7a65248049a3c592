use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sql::{Answer, Column, Kind, Statement, Value};

const ALL: [Dialect; 3] = [Dialect::Databricks, Dialect::PostgreSql, Dialect::Sqlite];
const PIPELINE: &str = include_str!("../../../infra/pipeline.toml");

fn known(text: &str) -> Part<String> {
    Part::Known(text.to_owned())
}

fn mapping(from: &str, to: &str, key: bool) -> Mapping {
    Mapping { from: from.to_owned(), kind: "column".to_owned(), to: to.to_owned(), key }
}

fn sync() -> SyncDefinition {
    SyncDefinition {
        operation: known("update"),
        mappings: Part::Known(vec![
            mapping("id", "Id__c", true),
            mapping("company_name", "Company__c", false),
        ]),
        schedule: known("every 15 minutes"),
        alerts: Part::Known(["FailureAlertConfiguration first_time".to_owned()].into()),
        source: known("model properties"),
        query: known("SELECT id, company_name FROM t -- all"),
        destination: known("Property__c"),
    }
}

fn relation() -> Relation {
    let column = |name: &str, of_type: &str| (name.to_owned(), of_type.to_owned());
    Relation {
        kind: known("VIEW"),
        columns: Part::Known(vec![column("id", "bigint"), column("company_name", "string")]),
        text: known("select id,\ncompany_name\nfrom t\nwhere state = 'open'"),
        owner: known("ada"),
        grants: Part::Known(["SELECT to census".to_owned()].into()),
    }
}

fn settings(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(setting, value)| ((*setting).to_owned(), (*value).to_owned())).collect()
}

fn deployment() -> Deployment {
    let part = |name: &str, of: &[(&str, &str)]| {
        Part::Known([(name.to_owned(), settings(of))].into_iter().collect())
    };
    Deployment {
        functions: part(
            "alert-relay",
            &[("memory", "256 MB"), ("timeout", "30 s"), ("code", "aaa"), ("environment", "A\nB")],
        ),
        alarms: part("alert-relay-errors", &[("actions", "syncwatch-alarms"), ("limit", "above 0")]),
        topics: part("notices", &[("sqs", "1 confirmed, 0 not")]),
    }
}

fn definition(sync: SyncDefinition, relation: Relation) -> Definition {
    let mut definition = Definition { version: VERSION, deployment: deployment(), ..Definition::default() };
    definition.add_sync("properties-update", Part::Known(sync), Dialect::Databricks);
    definition.relations.insert("crm.sfdc_dbx.v".to_owned(), Part::Known(relation));
    definition
}

type Alter = fn(&mut SyncDefinition, &mut Relation);

/// Returns the changes of one alteration as `severity what subject part`, and their lines.
fn changes(alter: impl FnOnce(&mut SyncDefinition, &mut Relation)) -> (Vec<String>, Vec<String>) {
    let (mut sync_, mut relation_) = (sync(), relation());
    alter(&mut sync_, &mut relation_);
    let found = diff(&definition(sync(), relation()), &definition(sync_, relation_), Dialect::Databricks);
    let lines = found.iter().flat_map(|change| change.lines.clone()).collect();
    (found.iter().map(ToString::to_string).collect(), lines)
}

#[test]
fn each_change_is_named_with_its_severity() {
    let table: [(Alter, &str, &[&str]); 6] = [
        (
            |_, relation| relation.columns = Part::Known(vec![("id".to_owned(), "bigint".to_owned())]),
            "error: relation crm.sfdc_dbx.v: column lost: company_name",
            &["- string"],
        ),
        (
            |sync, _| sync.mappings = Part::Known(vec![mapping("id", "Id__c", true)]),
            "error: sync properties-update: mapping lost: Company__c",
            &["- column company_name"],
        ),
        (
            |_, relation| relation.grants = Part::Known(BTreeSet::new()),
            "warning: relation crm.sfdc_dbx.v: grant revoked: SELECT to census",
            &[],
        ),
        (
            |sync, _| sync.operation = known("upsert"),
            "error: sync properties-update: operation changed",
            &["- update", "+ upsert"],
        ),
        (
            |_, relation| relation.owner = known("bob"),
            "warning: relation crm.sfdc_dbx.v: owner changed",
            &["- ada", "+ bob"],
        ),
        (
            |sync, _| sync.schedule = known("hourly"),
            "warning: sync properties-update: schedule changed",
            &["- every 15 minutes", "+ hourly"],
        ),
    ];
    for (alter, sentence, lines) in table {
        let (found, shown) = changes(alter);
        assert_eq!(found, [sentence]);
        assert_eq!(shown, lines, "{sentence}");
    }
}

#[test]
fn key_that_moves_to_another_field_is_an_error() {
    let moved = vec![mapping("id", "Id__c", false), mapping("company_name", "Company__c", true)];
    let (found, lines) = changes(|sync, _| sync.mappings = Part::Known(moved));
    assert_eq!(found, ["error: sync properties-update: key changed"]);
    assert_eq!(lines, ["- Id__c", "+ Company__c"]);
}

#[test]
fn subject_that_vanished_is_an_error_and_a_new_one_is_not() {
    let full = definition(sync(), relation());
    let empty = Definition { deployment: deployment(), ..Definition::default() };
    let of = |before: &Definition, after: &Definition| -> Vec<(Severity, String)> {
        let found = diff(before, after, Dialect::Databricks);
        found.into_iter().map(|change| (change.severity, change.subject)).collect()
    };
    let subjects = ["sync properties-update", "relation crm.sfdc_dbx.v"].map(str::to_owned);
    assert_eq!(of(&full, &empty), subjects.clone().map(|subject| (Severity::Error, subject)));
    assert_eq!(of(&empty, &full), subjects.map(|subject| (Severity::Info, subject)));
}

#[test]
fn comments_white_space_and_case_of_words_are_no_change() {
    let (found, _) = changes(|sync, _| {
        sync.query = known("/* every property */ select ID ,company_name\n\n  From T;");
    });
    assert_eq!(found, [""; 0]);
    let (found, lines) = changes(|sync, _| sync.query = known("SELECT id, owner_name FROM t"));
    assert_eq!(found, ["warning: sync properties-update: SQL of the model changed"]);
    assert_eq!(lines, ["- company_name", "+ owner_name"]);
}

#[test]
fn same_statement_has_one_form_and_another_a_different_one() {
    let same = [
        ("SELECT a,b FROM t WHERE x=1", "select a , b\nfrom t -- all\nwhere x = 1 ;"),
        ("SELECT count( * ) FROM t", "select COUNT(*) from t"),
        ("SELECT t . a FROM t", "select t.a from t"),
    ];
    let different = [
        ("SELECT 1e5", "SELECT 1 e5"),
        ("SELECT a FROM t WHERE b = 'X'", "SELECT a FROM t WHERE b = 'x'"),
        ("SELECT `A` FROM t", "SELECT `a` FROM t"),
        ("SELECT a - -1", "SELECT a --1"),
    ];
    for (one, other) in same {
        assert_eq!(normalised(one, Dialect::Databricks), normalised(other, Dialect::Databricks));
    }
    for (one, other) in different {
        assert_ne!(normalised(one, Dialect::Databricks), normalised(other, Dialect::Databricks));
    }
    let text = "SELECT id, coalesce(a, b) AS c FROM t LEFT JOIN u ON t.id = u.id WHERE a > 1 AND b IN (SELECT x, y FROM z)";
    insta::assert_snapshot!(normalised(text, Dialect::PostgreSql), @r"
    select id,
    coalesce(a, b) as c
    from t
    left join u
    on t.id = u.id
    where a > 1
    and b in(
    select x,
    y
    from z)
    ");
}

#[test]
fn literals_are_masked_unless_only_they_differ() {
    let (_, lines) = changes(|_, relation| {
        relation.text =
            known("select id,\ncompany_name\nfrom t\nwhere state = 'open'\nand owner = 'mary@example.com'");
    });
    assert_eq!(lines, ["+ and owner = '…'"]);
    let (_, lines) = changes(|_, relation| {
        relation.text = known("select id,\ncompany_name\nfrom t\nwhere state = 'closed'");
    });
    assert_eq!(lines, ["- where state = 'open'", "+ where state = 'closed'"]);
    let constant = |value: &str| Mapping {
        from: value.to_owned(),
        kind: CONSTANT.to_owned(),
        to: "Company__c".to_owned(),
        key: false,
    };
    let (found, lines) = changes(|sync, _| {
        sync.mappings = Part::Known(vec![mapping("id", "Id__c", true), constant("s3cret")]);
    });
    assert_eq!(found, ["error: sync properties-update: mapping reads something else: Company__c"]);
    assert_eq!(lines, ["- column company_name", "+ constant_value"]);
    let mut with_constant = definition(sync(), relation());
    let Some(Part::Known(of_sync)) = with_constant.syncs.get_mut("properties-update") else { panic!() };
    of_sync.mappings = Part::Known(vec![constant("s3cret")]);
    let shown = serde_json::to_string(&with_constant.shown(Dialect::Databricks)).unwrap();
    assert!(!shown.contains("s3cret") && !shown.contains("open"), "{shown}");
}

#[test]
fn unknown_part_is_no_change_and_keeps_what_was_accepted() {
    let accepted = definition(sync(), relation());
    let mut live =
        definition(SyncDefinition::default(), Relation { owner: known("bob"), ..Relation::default() });
    let found = diff(&accepted, &live, Dialect::Databricks);
    assert_eq!(found.iter().map(|change| change.what).collect::<Vec<_>>(), [What::OwnerChanged]);
    live.deployment = Deployment::default();
    assert_eq!(live.unknown().len(), 7 + 4 + 3);
    assert_eq!(accepted.unknown(), []);

    live.keep_unknown(&accepted);
    let owner = |definition: &Definition| match &definition.relations["crm.sfdc_dbx.v"] {
        Part::Known(relation) => relation.owner.clone(),
        Part::Unknown(_) => panic!("the relation is known"),
    };
    assert_eq!((live.unknown().len(), owner(&live)), (0, known("bob")));
    live.syncs.insert("properties-update".to_owned(), Part::Unknown("Census is down".to_owned()));
    assert_eq!(diff(&accepted, &live, Dialect::Databricks).len(), 1);
    live.keep_unknown(&accepted);
    assert_eq!(live.syncs, accepted.syncs);
}

#[test]
fn stored_form_ignores_unknown_fields_and_lacks_none() {
    let accepted = definition(sync(), relation());
    let mut stored: serde_json::Value = serde_json::from_str(&accepted.stored().unwrap()).unwrap();
    assert_eq!(serde_json::from_value::<Definition>(stored.clone()).unwrap(), accepted);
    stored["of_later"] = json!(1);
    stored["syncs"]["properties-update"]["known"]["of_later"] = json!({});
    stored["syncs"]["properties-update"]["known"].as_object_mut().unwrap().remove("alerts");
    let read: Definition = serde_json::from_value(stored).unwrap();
    assert_eq!(diff(&read, &accepted, Dialect::Databricks), []);
    assert_eq!(read.unknown(), [("sync properties-update: alerts".to_owned(), "not recorded".to_owned())]);
}

#[test]
fn definition_too_long_is_refused_with_its_largest_part() {
    let long = Relation { text: known(&"x".repeat(LONGEST)), ..relation() };
    let error = definition(sync(), long).stored().unwrap_err();
    let error = error.to_string();
    assert!(error.contains("350,000") && error.contains("relation crm.sfdc_dbx.v"), "{error}");
}

#[test]
fn declared_schedule_wins_over_the_accepted_one() {
    let pipeline = Pipeline::parse(PIPELINE).unwrap();
    let key = &pipeline.syncs[0].key;
    let now = "2026-11-24T10:00:00Z".parse().unwrap();
    let observed = |cron: &str| {
        let schedule = json!({ "id": 1, "schedule_frequency": "expression", "cron_expression": cron });
        [(key.clone(), crate::census::wire::parse_sync(&schedule).unwrap())].into()
    };
    let accepted = || {
        let mut accepted = Definition::default();
        accepted.add_sync(key, Part::Known(sync()), Dialect::Databricks);
        accepted.add_sync("no-longer-declared", Part::Known(sync()), Dialect::Databricks);
        accepted
    };
    let expected = |cron: &str| {
        let declared = accepted().with_declared(&pipeline, &observed(cron), now);
        assert_eq!(declared.syncs.keys().collect::<Vec<_>>(), [key]);
        declared.syncs[key].known().unwrap().schedule.known().unwrap().clone()
    };
    assert_eq!(expected("*/30 * * * *"), "cron */30 * * * * UTC");
    assert_eq!(expected("0 3 * * *"), pipeline.syncs[0].schedule.to_string());
}

#[test]
fn change_of_the_deployment_is_named_with_its_severity() {
    let without = |of: &mut Part<Settings>| *of = Part::Known(Settings::new());
    let set = |of: &mut Part<Settings>, setting: &str, value: &str| {
        let Part::Known(found) = of else { panic!() };
        found.values_mut().for_each(|settings| drop(settings.insert(setting.to_owned(), value.to_owned())));
    };
    type Alter<'a> = &'a dyn Fn(&mut Deployment);
    let table: [(Alter<'_>, &str, &[&str]); 7] = [
        (&|of| without(&mut of.alarms), "error: deployment: does not exist: alarm alert-relay-errors", &[]),
        (&|of| without(&mut of.functions), "error: deployment: does not exist: function alert-relay", &[]),
        (
            &|of| set(&mut of.alarms, "actions", "disabled"),
            "error: deployment: actions of the alarm changed: actions of alarm alert-relay-errors",
            &["- syncwatch-alarms", "+ disabled"],
        ),
        (
            &|of| set(&mut of.functions, "memory", "128 MB"),
            "warning: deployment: setting changed: memory of function alert-relay",
            &["- 256 MB", "+ 128 MB"],
        ),
        (
            &|of| set(&mut of.functions, "environment", "A\nC"),
            "warning: deployment: setting changed: environment of function alert-relay",
            &["- B", "+ C"],
        ),
        (
            &|of| set(&mut of.topics, "sqs", "0 confirmed, 1 not"),
            "warning: deployment: setting changed: sqs of topic notices",
            &["- 1 confirmed, 0 not", "+ 0 confirmed, 1 not"],
        ),
        (
            &|of| set(&mut of.functions, "code", "bbb"),
            "info: deployment: another version is deployed: code of function alert-relay",
            &["- aaa", "+ bbb"],
        ),
    ];
    let accepted = definition(sync(), relation());
    for (alter, sentence, lines) in table {
        let mut live = accepted.clone();
        alter(&mut live.deployment);
        let [change] = &diff(&accepted, &live, Dialect::Databricks)[..] else { panic!("{sentence}") };
        assert_eq!(change.to_string(), sentence);
        assert_eq!(change.lines, lines);
    }
}

#[test]
fn declared_limits_of_functions_win_over_accepted_ones() {
    let pipeline = Pipeline::parse(PIPELINE).unwrap();
    let declared = declared_functions();
    let relay = &declared["alert-relay"];
    assert_eq!(relay, &settings(&[("memory", "256 MB"), ("timeout", "30 s")]));
    let mut accepted = Definition { deployment: deployment(), ..Definition::default() };
    let Part::Known(functions) = &mut accepted.deployment.functions else { panic!() };
    functions.get_mut("alert-relay").unwrap().insert("timeout".to_owned(), "3 s".to_owned());
    let found = accepted.with_declared(&pipeline, &BTreeMap::new(), "2026-11-24T10:00:00Z".parse().unwrap());
    assert_eq!(found.deployment, deployment());
}

fn answer(columns: &[&str], rows: &[&[&str]]) -> Answer {
    let columns = columns.iter().map(|name| Column { name: (*name).to_owned(), kind: Kind::Text }).collect();
    let value = |text: &&str| if text.is_empty() { Value::Null } else { Value::Text((*text).to_owned()) };
    let rows = rows.iter().map(|row| row.iter().map(value).collect()).collect();
    Answer::new(&Statement::new("test", "SELECT 1"), Dialect::Databricks, columns, rows)
}

#[test]
fn failed_statement_makes_only_its_part_unknown() {
    let pipeline = Pipeline::parse(PIPELINE).unwrap();
    let relations = Relations::new(pipeline.relations(), Dialect::Databricks);
    let reads = relations.reads().unwrap();
    assert_eq!(reads.len(), 4, "one for each aspect of the only catalog");
    let sql = reads[0].statement.sql();
    assert!(sql.contains("FROM `crm`.information_schema.tables") && !sql.contains("properties"), "{sql}");
    let head = ["relation_schema", "relation_name"];
    let answers = reads.into_iter().map(|read| {
        let answer = match read.aspect {
            Aspect::Relations => Ok(answer(
                &[&head[..], &["kind", "owner"]].concat(),
                &[&["RDS", "Properties", "MANAGED", "ada"], &["sfdc_dbx", "daily_health_check", "VIEW", ""]],
            )),
            Aspect::Columns => Err("no answer".to_owned()),
            Aspect::Texts => Ok(answer(
                &[&head[..], &["text"]].concat(),
                &[&["sfdc_dbx", "daily_health_check", ""], &["other", "view", "SELECT 1"]],
            )),
            Aspect::Grants => Ok(answer(
                &[&head[..], &["grantee", "privilege"]].concat(),
                &[&["rds", "properties", "census", "SELECT"]],
            )),
        };
        (read, answer)
    });
    let found = relations.found(&answers.collect::<Vec<_>>());
    assert_eq!(found.len(), 2, "others do not exist: {found:?}");
    let unknown = |why: &str| Part::Unknown(why.to_owned());
    let table = Relation {
        kind: known("MANAGED"),
        columns: Part::Unknown("no answer".to_owned()),
        text: known(""),
        owner: known("ada"),
        grants: Part::Known(["SELECT to census".to_owned()].into()),
    };
    assert_eq!(found["crm.rds.properties"], Part::Known(table));
    let view =
        found.iter().find(|(name, _)| name.ends_with("daily_health_check")).unwrap().1.known().unwrap();
    assert_eq!(view.text, unknown("only the owner of a view may read its text"));
    assert_eq!(view.owner, unknown("not shown to our account"));
}

fn any_part<T: Clone + std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Part<T>> {
    prop_oneof![5 => value.prop_map(Part::Known), 1 => Just(Part::Unknown("no answer".to_owned()))]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]", "(select |from |a|b|, |'x'|\\(|\\)|--c\n|\"|1|\\.|:|=|-|/\\*){0,12}", "\\PC{0,6}"]
}

fn any_sync() -> impl Strategy<Value = SyncDefinition> {
    let mapping =
        ("[ab]", prop_oneof![Just("column".to_owned()), Just(CONSTANT.to_owned())], "[ABC]", any::<bool>());
    let mapping = mapping.prop_map(|(from, kind, to, key)| Mapping { from, kind, to, key });
    let alerts = prop::collection::btree_set("[xy]", 0..3);
    (any_part("[ab]"), any_part(prop::collection::vec(mapping, 0..4)), any_part(alerts), any_part(any_text()))
        .prop_map(|(operation, mappings, alerts, query)| SyncDefinition {
            operation,
            mappings,
            alerts,
            query,
            ..sync()
        })
}

fn any_relation() -> impl Strategy<Value = Relation> {
    let columns = prop::collection::vec(("[abc]", "(int|string)?"), 0..4);
    let grants = prop::collection::btree_set("[xyz]", 0..3);
    (any_part(columns), any_part(any_text()), any_part("[ab]"), any_part(grants))
        .prop_map(|(columns, text, owner, grants)| Relation { columns, text, owner, grants, ..relation() })
}

fn any_definition() -> impl Strategy<Value = Definition> {
    let syncs = prop::collection::btree_map("[st]", any_part(any_sync()), 0..3);
    let relations = prop::collection::btree_map("[uv]", any_part(any_relation()), 0..3);
    (syncs, relations).prop_map(|(syncs, relations)| Definition {
        version: VERSION,
        syncs,
        relations,
        deployment: deployment(),
    })
}

proptest! {
    #[test]
    fn definition_does_not_differ_from_itself(definition in any_definition()) {
        for dialect in ALL {
            prop_assert_eq!(diff(&definition, &definition, dialect), []);
        }
    }

    #[test]
    fn both_directions_name_the_same_parts(one in any_definition(), other in any_definition()) {
        let named = |changes: Vec<Change>| -> BTreeSet<(String, Option<String>)> {
            changes.into_iter().map(|change| (change.subject, change.part)).collect()
        };
        let there = diff(&one, &other, Dialect::PostgreSql);
        for change in &there {
            let name = change.subject.split_once(' ').unwrap().1;
            let is_known = |of: &Definition| of.syncs.contains_key(name) || of.relations.contains_key(name);
            prop_assert!(is_known(&one) || is_known(&other), "{}", change);
        }
        prop_assert_eq!(named(there), named(diff(&other, &one, Dialect::PostgreSql)));
    }

    #[test]
    fn form_of_a_statement_is_stable(text in any_text()) {
        for dialect in ALL {
            let once = normalised(&text, dialect);
            prop_assert_eq!(normalised(&once, dialect), once.clone(), "{:?}", dialect);
        }
    }

    #[test]
    fn accepted_definition_has_no_change_left(accepted in any_definition(), live in any_definition()) {
        let mut next = live.clone();
        next.keep_unknown(&accepted);
        prop_assert_eq!(diff(&next, &live, Dialect::Databricks), []);
    }
}
