//! The mail channel of alert-relay, with the lab's AWS in place of SES.

use alert_relay::App;
use alert_relay::post::Patience;
use serde_json::{Value, json};
use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::render_test;
use syncwatch::pipeline::Pipeline;
use syncwatch_lab::aws::Schedules;
use syncwatch_lab::census::World;
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::stage::Stage;

/// The seed with one mail channel, and no other.
fn pipeline() -> Pipeline {
    let seed = include_str!("../../infra/pipeline.toml");
    let kept = seed.lines().filter(|line| !line.starts_with("pagerduty = ") && !line.starts_with("chat = "));
    let mail =
        "[channels]\nmail = { from = \"syncwatch@example.com\", to = [\"data-operations@example.com\"] }";
    Pipeline::parse(&kept.collect::<Vec<_>>().join("\n").replacen("[channels]", mail, 1)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn alert_test_is_mailed_once_as_text_and_html() {
    let clock = LabClock::set_to("2026-11-24T12:00:00Z".parse().unwrap());
    let now = clock.now();
    let stage = Stage::set(World::seed_pipeline(now, 11), clock, Schedules::None).await.unwrap();
    let pipeline = pipeline();
    let site = stage.deployment.site("alert-relay", pipeline.clone(), stage.mail.url(), &[]).unwrap();
    let app = App::new(site, Patience::default()).unwrap();
    let relay = async |kind| {
        let message = render_test(kind, &pipeline, Severity::Warning, None, now, now);
        let record = json!({ "messageId": "m", "body": message.bodies["default"] });
        let answer: Value = app.run(json!({ "Records": [record] }), now).await.unwrap();
        (message.subject, answer["batchItemFailures"].as_array().unwrap().len())
    };
    // SES has not verified the sender yet, so SQS is to retry.
    assert_eq!(relay(NoticeKind::Opened).await.1, 1);
    stage.deployment.verify_sender("example.com").await.unwrap();
    let mut subjects = vec![relay(NoticeKind::Opened).await.0];
    // SQS may deliver a message twice.
    for kind in [NoticeKind::Opened, NoticeKind::Resolved, NoticeKind::Resolved] {
        let (subject, failures) = relay(kind).await;
        assert_eq!(failures, 0, "{kind}");
        subjects.push(subject);
    }
    subjects.dedup();
    // The tap also keeps the refused one.
    subjects.insert(0, subjects[0].clone());
    let mails = stage.mail.mails();
    assert_eq!(
        mails.iter().map(|mail| &mail.subject).collect::<Vec<_>>(),
        subjects.iter().collect::<Vec<_>>()
    );
    for mail in mails {
        let html = mail.html.unwrap();
        assert!(mail.text.contains("PROBLEM") && html.starts_with("<!doctype html>"), "{html}");
        assert!(html.contains("properties") && html.ends_with("</html>\n"), "{html}");
    }
}
