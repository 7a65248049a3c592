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
        evidence: Evidence::new("12% of 50 records failed or were invalid, limit 5%")
            .with("newest run", "4711")
            .with("failed or invalid", 6_u32)
            .with("processed", 50_u32),
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
        evidence: Evidence::new("0% of 48 records failed or were invalid, limit 5%"),
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
        told: 0,
        tellings: 0,
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
    insta::assert_snapshot!("mail_held_back", mail(&render_held_back(&tally(), 3, &pipeline(), now())));
    let test = render_test(NoticeKind::Opened, &pipeline(), Severity::Critical, now(), now());
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
fn a_body_is_read_back_as_it_was_written_and_another_schema_is_called_by_its_name() {
    let body = body(&incident(), NoticeKind::Flapping, &pipeline(), now());
    assert_eq!(Body::parse(&serde_json::to_string(&body).unwrap()), Ok(body));
    let error = Body::parse(r#"{"schema": "syncwatch.notice/3"}"#).unwrap_err().to_string();
    assert!(error.contains("syncwatch.notice/3") && error.contains("syncwatch.notice/2"), "{error}");
    let error = Body::parse(r#"{"schema": "syncwatch.notice/2"}"#).unwrap_err().to_string();
    assert!(error.contains("missing field `id`"), "{error}");
    assert!(Body::parse("no JSON").is_err());
}

#[test]
fn notice_of_the_version_before_is_read_with_its_figures_as_texts() {
    let mut before = serde_json::to_value(body(&incident(), NoticeKind::Opened, &pipeline(), now())).unwrap();
    before["schema"] = "syncwatch.notice/1".into();
    before["figures"] = serde_json::json!([{ "name": "share", "value": "12.0 %" }]);
    let read = Body::parse(&before.to_string()).unwrap();
    assert_eq!(read.figures, [Figure::new("share", "12.0 %")]);
}

/// What the published schema says of a body that was rendered.
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
        .map(|kind| render_test(kind, &pipeline(), Severity::Info, now(), now()));
    let all = NoticeKind::ALL.map(|kind| render(&incident, kind, &pipeline(), now()));
    for message in all.iter().chain(&tests).chain([&render_held_back(&tally(), 3, &pipeline(), now())]) {
        assert_eq!(schema_errors(&message.bodies["default"]), [""; 0], "{}", message.subject);
    }
}

#[test]
fn schema_refuses_bodies_that_are_no_notices() {
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
fn people_who_count_say_it_right() {
    let said: Vec<String> = [1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111].map(ordinal).to_vec();
    assert_eq!(said, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th"]);
}

#[test]
fn attributes_route_by_severity_sync_and_check() {
    let message = render(&incident(), NoticeKind::Opened, &pipeline(), now());
    let said: Vec<String> =
        message.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        said,
        [
            "check=error-rate",
            "kind=opened",
            "pipeline=properties",
            "severity=error",
            "sync=properties-create"
        ]
    );
}

#[test]
fn the_command_in_a_notice_only_reads_and_holds_no_token() {
    let message = render(&incident(), NoticeKind::Opened, &pipeline(), now());
    let body: serde_json::Value = serde_json::from_str(&message.bodies["default"]).unwrap();
    assert_eq!(
        body["command"],
        "curl -sS -H \"Authorization: Bearer $CENSUS_TOKEN\" 'https://app.getcensus.com/api/v1/syncs/3394022/sync_runs?per_page=5'"
    );
}

proptest::proptest! {
    /// Whatever a vendor or a person wrote: SNS takes it and delivers it as it is meant.
    #[test]
    fn any_evidence_makes_a_message_within_the_limits_of_sns(
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
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters_and_marked(text in "\\PC{0,80}", chars in 3_usize..60) {
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
fn the_longest_message_there_can_be_is_within_the_limits_of_sns() {
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
