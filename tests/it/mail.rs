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
    let mut subjects = Vec::new();
    for kind in [NoticeKind::Opened, NoticeKind::Resolved] {
        let message = render_test(kind, &pipeline, Severity::Warning, None, now, now);
        let record = json!({ "messageId": "m", "body": message.bodies["default"] });
        // SQS may deliver a message twice.
        for _ in 0..2 {
            let answer: Value = app.run(json!({ "Records": [record] }), now).await.unwrap();
            assert_eq!(answer, json!({ "batchItemFailures": [] }));
        }
        subjects.push(message.subject);
    }
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
