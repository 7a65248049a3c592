use std::sync::LazyLock;

use super::*;
use crate::aws::topic::check_limits;
use crate::finding::Check;
use crate::incident::{Course, IncidentKey, State};
use crate::silence::{Scope, Silence};

fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap()
}

fn incident() -> Incident {
    Incident {
        key: IncidentKey {
            pipeline: "properties".to_owned(),
            check: Check::ErrorRate,
            subject: "properties-create".to_owned(),
        },
        generation: 2,
        version: 7,
        state: State::Open,
        severity: Severity::Error,
        opened_at: "2026-11-24T11:12:30Z".parse().unwrap(),
        resolved_at: None,
        evidence: Evidence::new("12% of 50 records rejected (limit 5%)")
            .with("newest run", "4711")
            .with("failed or invalid", 6_u32)
            .with("processed", 50_u32)
            .with(LABEL, "Properties: create"),
        cause:
            "The destination refuses records (a validation rule, a missing field, a duplicate) or the source \
                sends bad ones; the rejected records of the run name the reason"
                .to_owned(),
        class: None,
        group: None,
        pending: None,
        hold: None,
        acknowledged: None,
        course: Course { sequence: 3, ..Course::default() },
    }
}

fn now() -> Timestamp {
    "2026-11-24T11:30:00Z".parse().unwrap()
}

fn resolved() -> Incident {
    Incident {
        state: State::Resolved,
        resolved_at: Some(now()),
        evidence: Evidence::new("0% of 48 records rejected (limit 5%)"),
        ..incident()
    }
}

fn tally() -> Tally {
    Tally {
        silence: Silence {
            id: "salesforce-release@2026-11-24T06:00Z".to_owned(),
            owner: "Ada".to_owned(),
            reason: "release weekend".to_owned(),
            scope: Scope { checks: Vec::new(), subjects: vec!["properties-create".to_owned()] },
            from: "2026-11-24T06:00:00Z".parse().unwrap(),
            until: "2026-11-24T08:00:00Z".parse().unwrap(),
            declared: true,
        },
        held_back: 3,
        incidents: vec!["error-rate/properties-create".to_owned(), "run-failed/properties-create".to_owned()],
        of_others: 0,
        reported: 0,
        tellings: 0,
        reported_at: None,
    }
}

fn mail(message: &Message) -> String {
    format!("Subject: {}\n\n{}", message.subject, message.bodies["email"])
}

#[test]
fn mail_reads_well() {
    let of = |kind| mail(&render(&incident(), kind, &pipeline(), now()));
    insta::assert_snapshot!("mail_opened", of(NoticeKind::Opened));
    insta::assert_snapshot!(
        "mail_resolved",
        mail(&render(&resolved(), NoticeKind::Resolved, &pipeline(), now()))
    );
    insta::assert_snapshot!("mail_reminder", of(NoticeKind::Reminder));
    insta::assert_snapshot!("mail_stopped_reporting", of(NoticeKind::StoppedReporting));
    let mut flapping = incident();
    flapping.course.openings = vec![now(); 3];
    insta::assert_snapshot!(
        "mail_flapping",
        mail(&render(&flapping, NoticeKind::Flapping, &pipeline(), now()))
    );
    insta::assert_snapshot!("mail_held_back", mail(&render_held_back(&tally(), 3, &pipeline())));
    let test = render_test(NoticeKind::Opened, &pipeline(), Severity::Critical, None, now(), now());
    insta::assert_snapshot!("mail_test", mail(&test));
    assert_eq!(test.attributes["test"], "true");
}

#[test]
fn machines_get_the_documented_shape() {
    let message = render(&incident(), NoticeKind::Worsened, &pipeline(), now());
    let body: serde_json::Value = serde_json::from_str(&message.bodies["default"]).unwrap();
    insta::assert_json_snapshot!(body);
}

#[test]
fn body_is_read_back_and_another_schema_is_named() {
    let body = body(&incident(), NoticeKind::Flapping, &pipeline(), now());
    assert_eq!(Body::parse(&serde_json::to_string(&body).unwrap()), Ok(body));
    let error = Body::parse(r#"{"schema": "syncwatch.notice/3"}"#).unwrap_err().to_string();
    assert!(error.contains("syncwatch.notice/3") && error.contains("syncwatch.notice/2"), "{error}");
    let error = Body::parse(r#"{"schema": "syncwatch.notice/2"}"#).unwrap_err().to_string();
    assert!(error.contains("missing field `id`"), "{error}");
    assert!(Body::parse("no JSON").is_err());
}

#[test]
fn previous_version_is_read_with_its_figures_as_texts() {
    let mut before = serde_json::to_value(body(&incident(), NoticeKind::Opened, &pipeline(), now())).unwrap();
    before["schema"] = "syncwatch.notice/1".into();
    before["figures"] = serde_json::json!([{ "name": "share", "value": "12.0 percent" }]);
    let read = Body::parse(&before.to_string()).unwrap();
    assert_eq!(read.figures, [Figure::new("share", "12.0 percent")]);
}

/// The errors of a rendered body by the published schema.
pub(crate) fn schema_errors(body: &str) -> Vec<String> {
    static VALIDATOR: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        let schema = serde_json::from_str(include_str!("notice.schema.json")).unwrap();
        jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
    });
    let body = serde_json::from_str(body).unwrap();
    VALIDATOR.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn every_kind_of_notice_fits_the_published_schema() {
    let mut incident = incident();
    incident.evidence = incident
        .evidence
        .with("share", Value::Percent(12.5))
        .with("working for", jiff::SignedDuration::from_mins(90))
        .with("since", now())
        .with("cost", Value::Money { cents: 123, currency: "USD".to_owned() })
        .with_figure(Figure::new("failed in a row", 3_u32).at_least(true));
    let tests = [NoticeKind::Opened, NoticeKind::Resolved]
        .map(|kind| render_test(kind, &pipeline(), Severity::Info, None, now(), now()));
    let all = NoticeKind::ALL.map(|kind| render(&incident, kind, &pipeline(), now()));
    for message in all.iter().chain(&tests).chain([&render_held_back(&tally(), 3, &pipeline())]) {
        assert_eq!(schema_errors(&message.bodies["default"]), [""; 0], "{}", message.subject);
    }
}

#[test]
fn schema_refuses_bodies_that_are_not_notices() {
    let good: serde_json::Value =
        serde_json::from_str(&render(&incident(), NoticeKind::Opened, &pipeline(), now()).bodies["default"])
            .unwrap();
    assert_eq!(schema_errors(&good.to_string()), [""; 0]);
    let broken: [(&str, serde_json::Value); 6] = [
        ("schema", "syncwatch.notice/1".into()),
        ("kind", "over".into()),
        ("severity", "bad".into()),
        ("opened_at", "yesterday".into()),
        ("figures", serde_json::json!([{ "name": "n", "value": "6", "unit": "count", "text": "6" }])),
        ("figures", serde_json::json!([{ "name": "n", "value": 6, "text": "6" }])),
    ];
    for (member, value) in broken {
        let mut body = good.clone();
        body[member] = value.clone();
        assert_ne!(schema_errors(&body.to_string()), [""; 0], "{member}: {value}");
    }
}

#[test]
fn ordinals_have_their_suffix() {
    let said: Vec<String> = [1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111].map(ordinal).to_vec();
    assert_eq!(said, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th"]);
}

#[test]
fn attributes_route_by_severity_sync_check_and_owner() {
    let message = render(&incident(), NoticeKind::Opened, &pipeline(), now());
    let attributes: Vec<String> =
        message.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        attributes,
        [
            "check=error-rate",
            "kind=opened",
            "owner=Data operations",
            "pipeline=properties",
            "severity=error",
            "sync=properties-create"
        ]
    );
}

#[test]
fn commands_only_read_or_acknowledge_and_hold_no_token() {
    let body = body(&incident(), NoticeKind::Opened, &pipeline(), now());
    assert_eq!(body.command.as_deref(), Some("syncwatch runs properties-create"));
    let acknowledge = "syncwatch acknowledge properties/error-rate/properties-create --by YOUR-NAME --for 4h";
    assert_eq!(body.acknowledge.as_deref(), Some(acknowledge));
    let mut odd = incident();
    odd.key.subject = "a; rm -rf $HOME".to_owned();
    let body = super::body(&odd, NoticeKind::Opened, &pipeline(), now());
    assert_eq!((body.command.as_deref(), body.acknowledge), (Some("syncwatch status"), None));
}

/// An incident of this check, on a subject that the shipped file declares.
fn incident_of(check: Check) -> Incident {
    let pipeline = pipeline();
    let declared = pipeline.checks.iter().find(|declared| declared.check() == check);
    let subject = match check.subject_kind() {
        SubjectKind::Workspace => "census".to_owned(),
        SubjectKind::Itself => "syncwatch".to_owned(),
        SubjectKind::Warehouse => "warehouse".to_owned(),
        SubjectKind::Figures if pipeline.declares(check, &pipeline.name) => pipeline.name.clone(),
        SubjectKind::Definition => "crm.sfdc_dbx.properties_to_create".to_owned(),
        SubjectKind::Sync | SubjectKind::Runs | SubjectKind::Figures => "properties-update".to_owned(),
        SubjectKind::Object => pipeline.objects[0].name.clone(),
        SubjectKind::Data => declared.unwrap_or(&pipeline.checks[0]).name.clone(),
    };
    let mut incident = incident();
    incident.key.check = check;
    incident.key.subject = subject;
    incident
}

/// A reader who knows nothing finds each part: problem, severity, start, impact, evidence, cause, steps, links, contacts.
#[test]
fn every_open_notice_of_every_check_has_every_part() {
    use NoticeKind::{Flapping, Opened, Reminder, StoppedReporting, Worsened};
    for check in Check::ALL {
        for kind in [Opened, Worsened, Reminder, Flapping, StoppedReporting] {
            let message = render(&incident_of(*check), kind, &pipeline(), now());
            let (subject, text) = (&message.subject, &message.bodies["email"]);
            assert!(subject.starts_with("[ERROR") && subject.contains("12%"), "{subject}");
            let parts = [
                "PROBLEM",
                "SINCE",
                "IMPACT",
                "EVIDENCE",
                "LIKELY CAUSE",
                "WHAT TO DO",
                "  1. ",
                "Inspect (read-only): ",
                "Acknowledge: ",
                "LINKS",
                "Runbook: ",
                "CONTACTS",
                "Owner: ",
                "Escalate to: ",
                "PST (2026-11-24 11:12 UTC)",
            ];
            for part in parts {
                // Checks that name their owner have no one else to escalate to.
                let absent = part == "Escalate to: "
                    && matches!(check.subject_kind(), SubjectKind::Data | SubjectKind::Object);
                assert!(absent || text.contains(part), "{check} {kind} lacks {part}:\n{text}");
            }
            let body: Body = Body::parse(&message.bodies["default"]).unwrap();
            assert!(body.consequence.is_some() && !body.steps.is_empty() && body.owner.is_some());
        }
    }
}

/// One mail of each check, as its on-call person reads it.
#[test]
fn mail_of_each_check_reads_well() {
    let mails = Check::ALL.iter().map(|check| {
        let message = render(&incident_of(*check), NoticeKind::Opened, &pipeline(), now());
        let of = |name: &str| {
            let text = &message.bodies["email"];
            let (_, rest) = text.split_once(&format!("{name}\n")).unwrap_or_default();
            rest.lines().take_while(|line| line.starts_with("  ")).collect::<Vec<_>>().join("\n")
        };
        format!("== {check}\n{}\n{}\n{}", of("IMPACT"), of("WHAT TO DO"), of("LINKS"))
    });
    insta::assert_snapshot!(mails.collect::<Vec<_>>().join("\n"));
}

proptest::proptest! {
    /// SNS takes and delivers any text of a vendor or a person.
    #[test]
    fn any_evidence_is_within_the_limits_of_sns_and_mail(
        summary in "(?s).{0,300}",
        subject in "[a-z-]{1,64}",
        figures in proptest::collection::vec(("(?s).{0,40}", "(?s).{0,400}"), 0..60),
    ) {
        let mut incident = incident();
        incident.evidence.summary = summary;
        incident.key.subject = subject;
        incident.evidence.figures =
            figures.into_iter().map(|(name, value)| Figure::new(&name, value)).collect();
        for kind in NoticeKind::ALL {
            let message = render(&incident, kind, &pipeline(), now());
            proptest::prop_assert_eq!(check_limits(&message), Ok(()));
            proptest::prop_assert_eq!(schema_errors(&message.bodies["default"]), Vec::<String>::new());
            let body = Body::parse(&message.bodies["default"]).unwrap();
            proptest::prop_assert_eq!(body.kind, kind);
            let mail = &message.bodies["email"];
            let most = if kind == NoticeKind::Report { 80 } else { 40 };
            proptest::prop_assert!(mail.lines().count() <= most, "{}", mail);
            let fixed = ["  Runbook: ", "  Inspect ", "  Acknowledge: ", "Syncwatch, ", "  Sync in ", "  Records in ", "  SQL ", "  Status page"];
            for line in mail.lines().filter(|line| !fixed.iter().any(|begin| line.starts_with(begin))) {
                let words = line.split_whitespace().count();
                proptest::prop_assert!(line.chars().count() <= 72 || words <= 2, "{}", line);
            }
        }
    }

    #[test]
    fn long_text_is_cut_between_characters_and_marked(text in "\\PC{0,80}", chars in 3_usize..60) {
        let text = crate::text::plain_line(&text);
        let short = cut(&text, chars);
        proptest::prop_assert!(short.chars().count() <= chars);
        if text.chars().count() > chars {
            let kept = short.strip_suffix("...").unwrap();
            proptest::prop_assert!(text.starts_with(kept));
        } else {
            proptest::prop_assert_eq!(short, text);
        }
    }
}

#[test]
fn longest_possible_message_is_within_the_limits_of_sns() {
    // Four bytes for each character, and characters that JSON escapes, and escapes again on the way.
    for character in ["\u{10ffff}", "\"", "\\"] {
        let long = character.repeat(5_000);
        let mut incident = incident();
        incident.evidence = Evidence::new(&*long);
        for _ in 0..100 {
            incident.evidence = incident.evidence.with(&long, &long);
        }
        incident.cause = long;
        for kind in NoticeKind::ALL {
            assert_eq!(check_limits(&render(&incident, kind, &pipeline(), now())), Ok(()));
        }
    }
}
