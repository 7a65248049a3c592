//! Each row in its three states, the comparison with the audit before, and quarters with clock changes and few days.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use jiff::civil::date;
use jiff::tz::TimeZone;

use super::*;
use crate::baseline::{Definition, Deployment, Mapping, SyncDefinition, VERSION};
use crate::days::days_before;
use crate::finding::Severity;
use crate::history::DataDay;
use crate::incident::{Course, Episode};
use crate::marks::{Mark, MarkVerdict};
use crate::runbook::{TEXT, sections};

const VIEW: &str = "crm.sfdc_dbx.properties_to_create";
const COPY: &str = "crm.salesforce.product_property";
const USER: &str = "005A0000000SyncIAC";
const TOKEN: &str = "syncwatch/census-token";
const UNREAD: &str = "no answer";
const FIELDS: [(&str, &str); 3] = [
    ("property_id", "SF_Property_ID__c"),
    ("company_name", "Company_Name__c"),
    ("updated_at", "Source_Version__c"),
];

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-12-20T16:00:00Z")
}

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

fn quarter() -> Quarter {
    Quarter::parse("2026-Q4").unwrap()
}

fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap()
}

fn unread<T>() -> Read<T> {
    Err(UNREAD.to_owned())
}

/// Runs every so many minutes of the quarter until now; those between 8 and 18 o'clock moved 10 records.
fn runs(minutes: i64, zone: &TimeZone) -> Vec<(Timestamp, u64)> {
    let (from, _) = quarter().bounds(zone);
    let all = (0..).map(|n| from + SignedDuration::from_mins(n * minutes)).take_while(|at| *at < now());
    let moved = |at: Timestamp| if (8..18).contains(&at.to_zoned(zone.clone()).hour()) { 10 } else { 0 };
    all.map(|at| (at, moved(at))).collect()
}

fn columns(names: &[&str]) -> Part<Vec<(String, String)>> {
    Part::Known(names.iter().map(|name| ((*name).to_owned(), "STRING".to_owned())).collect())
}

fn text(text: &str) -> Part<String> {
    Part::Known(text.to_owned())
}

fn grants(list: &[&str]) -> Part<BTreeSet<String>> {
    Part::Known(list.iter().map(|grant| (*grant).to_owned()).collect())
}

fn relation(kind: &str, names: &[&str]) -> Part<Relation> {
    Part::Known(Relation {
        kind: text(kind),
        columns: columns(names),
        text: text(""),
        owner: text("admins"),
        grants: grants(&["SELECT to syncwatch"]),
    })
}

fn sync() -> Part<SyncDefinition> {
    let mapping = |(from, to): (&str, &str)| Mapping {
        from: from.to_owned(),
        kind: "column".to_owned(),
        to: to.to_owned(),
        key: from == "property_id",
    };
    Part::Known(SyncDefinition {
        operation: text("upsert"),
        mappings: Part::Known(FIELDS.map(mapping).into()),
        schedule: text("cron 0,30 * * * * UTC"),
        alerts: Part::Known(BTreeSet::new()),
        source: text(&format!("table {VIEW}")),
        query: text(""),
        destination: text("Product_Property__c"),
    })
}

fn definition() -> Definition {
    let pipeline = pipeline();
    let tables = pipeline.relations().into_iter();
    let mut relations: BTreeMap<String, Part<Relation>> =
        tables.map(|name| (name.to_owned(), relation("TABLE", &["id"]))).collect();
    relations.insert(VIEW.to_owned(), relation("VIEW", &FIELDS.map(|(from, _)| from)));
    let copy = ["sf_property_id_c", "company_name_c", "source_version_c"];
    relations.insert(COPY.to_owned(), relation("TABLE", &copy));
    let none = || Part::Known(BTreeMap::new());
    Definition {
        version: VERSION,
        syncs: ["properties-create", "properties-update"].map(|key| (key.to_owned(), sync())).into(),
        relations,
        deployment: Deployment { functions: none(), alarms: none(), topics: none() },
    }
}

/// A quarter in which all is well, as far as it can be known.
fn good() -> Seen {
    let zone = pipeline().time_zone;
    let last = date(2026, 12, 19);
    let day = |back| DataDay { day: days_before(last, back), duplicates: Some(0.0), ..DataDay::default() };
    let history = History { days: (0..80).rev().map(day).collect(), ..History::default() };
    let acceptance = Acceptance {
        number: 1,
        at: at("2026-10-05T10:00:00Z"),
        by: "Ada".to_owned(),
        why: "first".to_owned(),
        changes: Vec::new(),
    };
    let deployed =
        |part: &str| Deployed { part: part.to_owned(), found: "fine".to_owned(), state: State::Ok };
    let drill = DrillDone {
        drill: "quiet-create".to_owned(),
        by: "Ada".to_owned(),
        at: at("2026-11-02T18:00:00Z"),
        tried: sections(TEXT).into_iter().map(|section| section.anchor).collect(),
    };
    let of = [("properties-create", 30), ("properties-update", 15)];
    let of = of.map(|(key, minutes)| (key.to_owned(), runs(minutes, &zone)));
    let roles = ["alert-relay", "reports"].map(|name| (name.to_owned(), format!("syncwatch-{name}")));
    Seen {
        at: now(),
        history: Ok(history),
        runs: Ok(CompletedRuns::with(of.into())),
        stored: Ok(Stored::default()),
        checked: Ok(Some(ValidatedRound { at: now(), checks: vec!["unique-property-ids".to_owned()] })),
        live: Live { definition: definition(), syncs: BTreeMap::new() },
        sources: BTreeMap::new(),
        accepted: Ok(Some(Accepted { acceptance: acceptance.clone(), definition: definition() })),
        acceptances: Ok(vec![acceptance]),
        secrets: [(TOKEN.to_owned(), Ok(now() - days(30)))].into(),
        roles: Ok(roles.into()),
        users: user(Some((Some(now() - days(1)), Some(true)))),
        deployment: vec![deployed("function reports"), deployed("topic of notices")],
        drills: Ok(vec![drill]),
        advisories: Some(Ok(Advisories { at: now() - days(1), found: Vec::new() })),
        before: Ok(None),
    }
}

fn user(found: Option<(Option<Timestamp>, Option<bool>)>) -> Option<Read<Vec<User>>> {
    Some(Ok(vec![User { id: USER.to_owned(), found }]))
}

fn audited(seen: &Seen) -> Audit {
    Audit::of(seen, &pipeline(), quarter())
}

fn row<'a>(audit: &'a Audit, subject: &str) -> &'a Row {
    let found = audit.rows.iter().find(|row| row.subject == subject);
    found.unwrap_or_else(|| panic!("no row {subject}: {audit}"))
}

/// Changes a live relation.
fn change(seen: &mut Seen, table: &str, change: impl FnOnce(&mut Relation)) {
    let Some(Part::Known(relation)) = seen.live.definition.relations.get_mut(table) else {
        panic!("{table}")
    };
    change(relation);
}

/// Removes the last mapping of both syncs in Census.
fn lose_mapping(seen: &mut Seen) {
    for sync in seen.live.definition.syncs.values_mut() {
        let Part::Known(SyncDefinition { mappings: Part::Known(mappings), .. }) = sync else { panic!() };
        mappings.pop();
    }
}

fn stored(seen: &mut Seen) -> &mut Stored {
    seen.stored.as_mut().unwrap()
}

fn drills(seen: &mut Seen) -> &mut Vec<DrillDone> {
    seen.drills.as_mut().unwrap()
}

fn advisories(seen: &mut Seen) -> &mut Advisories {
    seen.advisories.as_mut().unwrap().as_mut().unwrap()
}

/// An incident that alerted once a day since 2026-10-10.
fn alerted(key: &str, times: i64, state: IncidentState) -> Incident {
    let day = |n: i64| at("2026-10-10T10:00:00Z") + days(n);
    let episode = |n| Episode { began_at: day(n), told_at: day(n), sent_at: None, resolved_at: None };
    Incident {
        course: Course { episodes: (0..times).map(episode).collect(), ..Course::default() },
        ..Incident::found(key, state, Severity::Error, day(0), "bad")
    }
}

fn marks(incident: &Incident, verdicts: &[MarkVerdict]) -> Vec<Mark> {
    let mark = |(episode, verdict): (&Episode, &MarkVerdict)| Mark {
        incident: incident.key.clone(),
        told_at: episode.told_at,
        verdict: *verdict,
        since: date(2026, 10, 10),
        until: None,
        at: now(),
        by: "Ada".to_owned(),
        why: "seen".to_owned(),
    };
    incident.course.episodes.iter().zip(verdicts).map(mark).collect()
}

/// A change of what was read, the state of the row, and a part of its evidence, details, action or hint.
type Case = (fn(&mut Seen), &'static str, &'static str);

fn check(subject: &str, cases: &[Case]) {
    for (change, state, shown) in cases {
        let mut seen = good();
        change(&mut seen);
        let audit = audited(&seen);
        let row = row(&audit, subject);
        let line =
            format!("{}; {}; {}", row.evidence, row.next().unwrap_or_default(), row.details.join("; "));
        assert_eq!(row.state.word(), *state, "{subject}: {line}");
        assert!(line.contains(shown), "{subject}, {shown}: {line}");
    }
}

#[test]
fn quiet_quarter_leaves_only_what_no_api_shows() {
    let audit = audited(&good());
    let open: Vec<&str> =
        audit.rows.iter().filter(|row| row.state != State::Ok).map(|row| row.subject.as_str()).collect();
    assert_eq!(open, ["owner of the Census token", "our IAM roles"], "{audit}");
    assert_eq!((audit.recorded.as_str(), audit.is_good()), ("80 of 92 days recorded", false));
    let areas: Vec<Area> = audit.areas().into_iter().map(|(area, _)| area).collect();
    assert!(areas.is_sorted() && areas.len() == 8, "{areas:?}");
}

#[test]
fn field_mappings_have_their_three_states() {
    check(
        "unmapped fields of properties",
        &[
            (|_| {}, "ok", "all 3 fields that syncs write are compared"),
            (lose_mapping, "ACTION", "1 field compared but not written"),
            (|seen| seen.live.definition.syncs.clear(), "UNKNOWN", "blocked by sync-exists"),
        ],
    );
    let to_table = |seen: &mut Seen| {
        lose_mapping(seen);
        change(seen, VIEW, |view| view.kind = text("TABLE"));
    };
    check(
        "unused columns of properties-create",
        &[
            (|_| {}, "ok", "all 3 columns are written"),
            (to_table, "ok", "it is a table"),
            (lose_mapping, "ACTION", "updated_at"),
            (
                |seen| change(seen, VIEW, |view| view.columns = Part::Unknown(UNREAD.to_owned())),
                "UNKNOWN",
                UNREAD,
            ),
        ],
    );
    check(
        "deprecated fields of properties-update",
        &[
            (|_| {}, "ok", "all 3 mappings exist"),
            (
                |seen| change(seen, COPY, |copy| copy.columns = columns(&["sf_property_id_c"])),
                "ACTION",
                "Company_Name__c: not in crm.salesforce.product_property",
            ),
            (
                |seen| change(seen, VIEW, |view| view.columns = columns(&[])),
                "ACTION",
                "its column property_id is gone",
            ),
            (
                |seen| drop(seen.live.definition.relations.remove(COPY)),
                "UNKNOWN",
                "does not exist, or our account may not read it",
            ),
        ],
    );
    let unread = |seen: &mut Seen| {
        let part = Part::Unknown(UNREAD.to_owned());
        seen.live.definition.syncs.insert("properties-create".to_owned(), part);
    };
    check(
        "drift of syncs",
        &[
            (|_| {}, "ok", "as accepted by Ada"),
            (lose_mapping, "ACTION", "mapping lost"),
            (unread, "UNKNOWN", UNREAD),
        ],
    );
}

#[test]
fn views_have_their_three_states() {
    check(
        "drift of tables and views",
        &[
            (|_| {}, "ok", "as accepted by Ada"),
            (|seen| seen.accepted = Ok(None), "ACTION", "syncwatch baseline accept"),
            (
                |seen| change(seen, VIEW, |view| view.text = text("select 1")),
                "ACTION",
                "text of the view changed",
            ),
            (|seen| seen.accepted = unread(), "UNKNOWN", UNREAD),
        ],
    );
    let open = |seen: &mut Seen| {
        let incident = alerted("properties/duplicates/unique-property-ids", 1, IncidentState::Open);
        stored(seen).incidents.push(incident);
    };
    check(
        "deduplication by unique-property-ids",
        &[
            (|_| {}, "ok", "at most 0 duplicates on 80 recorded days"),
            (open, "ACTION", "Revenue operations, open since 2026-Q4"),
            (|seen| seen.checked = Ok(None), "UNKNOWN", "not in the last round"),
            (|seen| seen.stored = unread(), "UNKNOWN", UNREAD),
        ],
    );
}

#[test]
fn definition_that_was_never_readable_is_unknown() {
    let mut seen = good();
    let unknown = || Part::Unknown(UNREAD.to_owned());
    seen.live.definition.relations.insert(VIEW.to_owned(), unknown());
    let accepted = seen.accepted.as_mut().unwrap().as_mut().unwrap();
    accepted.definition.relations.insert(VIEW.to_owned(), unknown());
    let audit = audited(&seen);
    for subject in ["drift of tables and views", "grants of tables and views"] {
        assert_eq!(row(&audit, subject).state.word(), "UNKNOWN", "{audit}");
    }
}

#[test]
fn access_has_its_three_states() {
    check(
        "age of secret syncwatch/census-token",
        &[
            (|_| {}, "ok", "stored 30d ago"),
            (
                |seen| drop(seen.secrets.insert(TOKEN.to_owned(), Ok(now() - days(101)))),
                "ACTION",
                "make secret NAME=census-token",
            ),
            (|seen| drop(seen.secrets.insert(TOKEN.to_owned(), unread())), "UNKNOWN", UNREAD),
        ],
    );
    check(
        "grants of tables and views",
        &[
            (|_| {}, "ok", "SELECT to syncwatch"),
            (
                |seen| change(seen, COPY, |copy| copy.grants = grants(&["SELECT to everyone"])),
                "ACTION",
                "grant added",
            ),
            (
                |seen| change(seen, COPY, |copy| copy.grants = Part::Unknown(UNREAD.to_owned())),
                "UNKNOWN",
                UNREAD,
            ),
        ],
    );
    check(
        "integration user 005A0000000SyncIAC",
        &[
            (|_| {}, "ok", "last login 2026-12-19 16:00 UTC"),
            (|seen| seen.users = user(Some((Some(now() - days(93)), None))), "ACTION", "find the user"),
            (|seen| seen.users = user(Some((Some(now()), Some(false)))), "ACTION", "inactive"),
            (|seen| seen.users = user(Some((None, Some(true)))), "ACTION", "no login"),
            (|seen| seen.users = user(None), "UNKNOWN", "not in the copy"),
        ],
    );
    check(
        "integration user",
        &[
            (|seen| seen.users = None, "UNKNOWN", "declare users"),
            (|seen| seen.users = Some(unread()), "UNKNOWN", UNREAD),
        ],
    );
    let share = |seen: &mut Seen| {
        seen.roles.as_mut().unwrap().insert("remedies".to_owned(), "syncwatch-reports".to_owned());
    };
    check(
        "our IAM roles",
        &[
            (share, "ACTION", "syncwatch-reports: remedies, reports"),
            (|seen| seen.roles = unread(), "UNKNOWN", UNREAD),
        ],
    );
    check("drift of our deployment", &[(|_| {}, "ok", "as accepted by Ada")]);
    check("other parts of the deployment", &[(|_| {}, "ok", "1 part ok")]);
    check(
        "subscribers, topic of notices",
        &[
            (|_| {}, "ok", "fine"),
            (|seen| seen.deployment[1].state = action("Ada", "confirm"), "ACTION", "confirm"),
        ],
    );
    check(
        "deployment, function reports",
        &[(|seen| seen.deployment[0].state = unknown("doctor"), "UNKNOWN", "doctor")],
    );
}

#[test]
fn schedules_are_judged_by_the_promise_and_enough_days() {
    check(
        "schedule of properties-update",
        &[
            (|_| {}, "ok", "promise 2h"),
            (|seen| drop(seen.history.as_mut().unwrap().days.drain(..40)), "ok", "every 15m"),
            (|seen| seen.runs = Ok(CompletedRuns::default()), "ACTION", "no record moved on 80 days"),
            (|seen| drop(seen.history.as_mut().unwrap().days.drain(..60)), "UNKNOWN", "once 28 days are"),
            (|seen| seen.runs = unread(), "UNKNOWN", UNREAD),
        ],
    );
    let with = |max_lag: Option<SignedDuration>, seen: &Seen| {
        let mut pipeline = pipeline();
        pipeline.objectives.max_lag = max_lag;
        row(&Audit::of(seen, &pipeline, quarter()), "schedule of properties-update").clone()
    };
    let [none, short, long] = [None, Some(days(1) / 2), Some(days(1))].map(|lag| with(lag, &good()));
    assert_eq!([none, short, long].map(|row| row.state.word()), ["UNKNOWN", "ok", "ACTION"]);
    let mut daily = good();
    let zone = pipeline().time_zone;
    daily.runs =
        Ok(CompletedRuns::with([("properties-update".to_owned(), runs(24 * 60 - 15, &zone))].into()));
    assert_eq!(with(None, &daily).state.word(), "ok", "a daily sync needs no promise");
}

#[test]
fn load_by_hour_is_local_on_both_sides_of_a_clock_change() {
    let audit = audited(&good());
    let details = &row(&audit, "schedule of properties-create").details;
    let hours = "0 0 0 0 0 0 0 0 10 10 10 10 10 10 10 10 10 10 0 0 0 0 0 0";
    assert!(details[0].ends_with(hours), "{details:?}");
}

#[test]
fn alerts_that_fire_too_often_or_never_are_actions() {
    use MarkVerdict::{Fine, Real};
    let of = |times: i64, verdicts: &[MarkVerdict]| {
        let mut seen = good();
        let incident = alerted("properties/run-failed/properties-update", times, IncidentState::Resolved);
        let marks = marks(&incident, verdicts);
        seen.stored = Ok(Stored { marks, incidents: vec![incident], ..Stored::default() });
        let row = row(&audited(&seen), "run-failed of properties-update").clone();
        (row.state.word(), row.evidence)
    };
    let table: [(i64, &[MarkVerdict], &str, &str); 5] = [
        (13, &[], "ok", "13 alerts since 2026-10-01, none marked"),
        (14, &[], "ACTION", "14 alerts since 2026-10-01, none marked"),
        (4, &[Fine, Fine, Real], "ACTION", "4 alerts since 2026-10-01, 2 of 3 marked fine"),
        (4, &[Fine, Fine], "ok", "2 of 2 marked fine"),
        (4, &[Fine, Real, Real], "ok", "1 of 3 marked fine"),
    ];
    for (times, verdicts, state, evidence) in table {
        let (found, shown) = of(times, verdicts);
        assert!(found == state && shown.contains(evidence), "{times} {verdicts:?}: {found} {shown}");
    }
    check(
        "checks that never fired",
        &[
            (|_| {}, "ok", "run-failed: 2026-11-02"),
            (|seen| drills(seen).clear(), "ACTION", "run-failed: never"),
            (|seen| drills(seen)[0].at -= days(400), "ACTION", "run-failed: 2025-09-28"),
            (|seen| seen.drills = unread(), "UNKNOWN", UNREAD),
        ],
    );
    check(
        "alerts",
        &[
            (|seen| seen.stored = unread(), "UNKNOWN", UNREAD),
            (|seen| stored(seen).unread_marks = Some(UNREAD.to_owned()), "UNKNOWN", UNREAD),
            (|seen| seen.at += days(110), "UNKNOWN", "ended incidents are kept for 90 days"),
        ],
    );
}

#[test]
fn runbook_drills_and_dependencies_have_three_states() {
    check(
        "sections tried",
        &[
            (|_| {}, "ok", "tried in the last year"),
            (|seen| drills(seen)[0].tried.truncate(5), "ACTION", "5 of "),
            (|seen| seen.drills = unread(), "UNKNOWN", UNREAD),
        ],
    );
    check(
        "drills of the quarter",
        &[
            (|_| {}, "ok", "1 drill: Ada 1"),
            (|seen| drills(seen)[0].at -= days(60), "ACTION", "none recorded"),
            (|seen| seen.drills = unread(), "UNKNOWN", UNREAD),
        ],
    );
    let found = |seen: &mut Seen| {
        advisories(seen).found.push(("RUSTSEC-2026-9001 in a 1.0.0".to_owned(), "a fault".to_owned()));
    };
    check("RUSTSEC-2026-9001 in a 1.0.0", &[(found, "ACTION", "a fault")]);
    check(
        "advisories",
        &[
            (|_| {}, "ok", "none by the check of 2026-12-19 16:00 UTC"),
            (|seen| seen.advisories = None, "UNKNOWN", "cargo deny --format json check advisories"),
            (|seen| seen.advisories = Some(unread()), "UNKNOWN", UNREAD),
            (|seen| advisories(seen).at -= days(8), "UNKNOWN", "more than 7 days ago"),
        ],
    );
}

/// The lines of cargo-deny 0.20.2, with shorter graphs.
const FOUND: &str = r#"{"fields":{"advisory":{"aliases":[],"cvss":null,"date":"2026-10-01","id":"RUSTSEC-2026-9001","informational":null,"package":"tokio","title":"A made-up fault","withdrawn":null},"code":"vulnerability","graphs":[{"Krate":{"name":"tokio","version":"1.54.1"},"parents":[{"Krate":{"kind":"dev","name":"alert-relay","version":"0.1.0"},"repeat":true}]}],"labels":[{"column":1,"line":314,"message":"security vulnerability detected","span":"tokio 1.54.1"}],"message":"A made-up fault","notes":["ID: RUSTSEC-2026-9001"],"severity":"error"},"type":"diagnostic"}"#;
const UNFETCHED: &str = r#"{"fields":{"level":"ERROR","message":"failed to fetch advisory database","timestamp":"2026-11-30T00:03:29.985003177Z"},"type":"log"}"#;

#[test]
fn advisories_are_read_only_from_a_check_that_ended() {
    let summary = |errors: u64| {
        let counts = format!(r#"{{"errors":{errors},"helps":0,"notes":0,"warnings":0}}"#);
        format!(r#"{{"fields":{{"advisories":{counts}}},"type":"summary"}}"#)
    };
    let read = |text: &str| Advisories::read(text, now()).map(|read| read.found);
    let found = ("RUSTSEC-2026-9001 in tokio 1.54.1".to_owned(), "A made-up fault".to_owned());
    assert_eq!(read(&format!("{FOUND}\n{}\n", summary(1))), Ok(vec![found]));
    assert_eq!(read(&summary(0)), Ok(Vec::new()));
    let refused = [
        ("", "the check did not end"),
        (FOUND, "the check did not end"),
        (UNFETCHED, "failed to fetch advisory database"),
        ("advisories ok", "not as expected"),
    ];
    for (text, why) in refused {
        assert!(read(text).unwrap_err().contains(why), "{text}");
    }
    assert!(read(&summary(2)).unwrap_err().contains("2 advisory errors"));
}

/// The audit before: four actions that are open since the second quarter.
fn earlier() -> Kept {
    let open = |area, subject: &str| {
        let row = Row::new(area, subject, action("Ada", "act"), "then");
        Row { open_since: Some("2026-Q2".to_owned()), ..row }
    };
    let rows = vec![
        open(Area::Drills, "drills of the quarter"),
        open(Area::Access, "our IAM roles"),
        open(Area::FieldMappings, "drift of syncs"),
        open(Area::Dependencies, "RUSTSEC-2026-0001 in a 1.0.0"),
        Row::new(Area::Views, "drift of tables and views", State::Ok, "then"),
    ];
    let audit = Audit {
        pipeline: "properties".to_owned(),
        quarter: "2026-Q3".to_owned(),
        at: at("2026-09-28T16:00:00Z"),
        recorded: "90 of 92 days recorded".to_owned(),
        rows,
        before: None,
    };
    Kept { audit, by: "Bob".to_owned() }
}

/// A quarter with some of everything, after an audit.
fn mixed() -> Seen {
    let mut seen = good();
    seen.drills = Ok(Vec::new());
    change(&mut seen, VIEW, |view| view.text = text("select 1"));
    let incident = alerted("properties/run-failed/properties-update", 2, IncidentState::Resolved);
    stored(&mut seen).incidents.push(incident);
    seen.advisories = None;
    seen.before = Ok(Some(earlier()));
    seen
}

#[test]
fn actions_are_new_open_done_or_unknown_since_the_last() {
    let audit = audited(&mixed());
    let before = audit.before.as_ref().unwrap();
    assert_eq!(before.open, ["drills: drills of the quarter"]);
    assert_eq!(before.done, ["field-mappings: drift of syncs", "dependencies: RUSTSEC-2026-0001 in a 1.0.0"]);
    assert_eq!(before.unknown, ["access: our IAM roles"]);
    assert!(before.new.contains(&"views: drift of tables and views".to_owned()), "{before:?}");
    let since = |subject| row(&audit, subject).open_since.as_deref();
    assert_eq!(since("drills of the quarter"), Some("2026-Q2"));
    assert_eq!(since("drift of tables and views"), Some("2026-Q4"));
    assert_eq!(since("our IAM roles"), None);
    let read = serde_json::from_value::<Audit>(serde_json::to_value(&audit).unwrap()).unwrap();
    assert_eq!(read, audit, "an audit is read back as it was kept");
}

#[test]
fn unreadable_audit_before_is_a_row() {
    let audit = audited(&Seen { before: unread(), ..good() });
    assert_eq!((row(&audit, "the audit before").state.word(), &audit.before), ("UNKNOWN", &None));
}

#[test]
fn audit_reads_well() {
    insta::assert_snapshot!(audited(&mixed()));
}

#[test]
fn quarters_begin_and_end_at_local_midnight() {
    let zone = pipeline().time_zone;
    let table = [
        ("2026-Q4", "2026-10-01T07:00:00Z", "2027-01-01T08:00:00Z", 92),
        ("2027-Q1", "2027-01-01T08:00:00Z", "2027-04-01T07:00:00Z", 90),
        ("2028-Q1", "2028-01-01T08:00:00Z", "2028-04-01T07:00:00Z", 91),
    ];
    for (name, from, until, days) in table {
        let quarter = Quarter::parse(name).unwrap();
        assert_eq!((quarter.to_string().as_str(), quarter.bounds(&zone)), (name, (at(from), at(until))));
        assert_eq!(1 + days_between(quarter.first(), quarter.end()), days);
        assert_eq!(Quarter::of(at(from), &zone), quarter);
        assert!(Quarter::of(at(from) - SignedDuration::from_secs(1), &zone) < quarter);
    }
    for text in ["2026-Q0", "2026-Q5", "2026-4", "26-Q4", "2026-Q04", ""] {
        assert_eq!(Quarter::parse(text), None, "{text}");
    }
}
