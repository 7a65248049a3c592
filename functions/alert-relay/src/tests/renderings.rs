//! Rules for the renderings of every channel.

use serde_json::{Value, json};
use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::Body;
use syncwatch::pipeline::Pipeline;
use syncwatch::text::spaced;

use super::samples::{HOSTILE, notice, stuffed};
use crate::route::Action;
use crate::{mail, pagerduty, slack, teams};

/// The JSON for each kind of channel that renders notices. HTML is shown with its entities resolved.
fn renderings(notice: &Body) -> [(&'static str, Value); 5] {
    let pipeline = Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap();
    let mail = mail::render(notice, &pipeline);
    [
        ("mail as text", json!([mail.subject, mail.text])),
        ("mail as HTML", json!(unescaped(&mail.html))),
        ("Slack", json!(slack::render(notice, Some("U0123ABCD")))),
        ("Teams", teams::render(notice)),
        ("PagerDuty", json!(pagerduty::render(notice, Action::Trigger))),
    ]
}

/// The text of HTML whose marks remain.
pub(crate) fn unescaped(html: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&amp;", "&")];
    entities.into_iter().fold(html.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}

/// All strings in JSON, member names included.
pub(crate) fn strings(json: &Value) -> Vec<&str> {
    match json {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| [vec![name.as_str()], strings(value)].concat()).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn notice_that_asks_for_action_has_all_parts_in_every_channel() {
    let asking = NoticeKind::ALL.into_iter().filter(|kind| kind.asks());
    for (kind, severity) in
        asking.flat_map(|kind| [Severity::Warning, Severity::Critical].map(|of| (kind, of)))
    {
        let notice = notice(kind, severity, 1);
        for (channel, json) in renderings(&notice) {
            // The text of a mail is wrapped.
            let text = spaced(&strings(&json).join("\n"));
            let lower = text.to_lowercase();
            let first_step = "Fill the field in the source, or map a default value";
            let parts = [
                ("problem", text.contains("12% of 50 records rejected (limit 5%)")),
                ("severity", lower.contains(&severity.to_string())),
                // 1795518750 is the same second.
                (
                    "since",
                    ["2026-11-24T11:12:30Z", "<!date^1795518750^", "2026-11-24 11:12 UTC"]
                        .iter()
                        .any(|since| text.contains(since)),
                ),
                ("impact", text.contains("6 properties did not reach Salesforce.")),
                ("note", text.contains(notice.note.as_deref().unwrap())),
                (
                    "first step",
                    ["1. ", "<li>"].iter().any(|mark| text.contains(&format!("{mark}{first_step}"))),
                ),
                ("owner", text.contains("Data operations")),
                ("contact", text.contains("data-operations@example.com, +1 555 0100")),
                ("escalation", text.contains("Escalate to: Revenue operations")),
                ("runbook", text.contains("https://example.com/runbook.md#error-rate")),
                (
                    "acknowledge",
                    text.contains("syncwatch acknowledge properties/error-rate/properties-create"),
                ),
            ];
            for (part, is_there) in parts {
                assert!(is_there, "{channel} {kind:?} lacks {part}: {text}");
            }
        }
    }
}

#[test]
fn notice_that_needs_no_action_has_no_steps_or_contacts() {
    for kind in NoticeKind::ALL.into_iter().filter(|kind| !kind.asks()) {
        for (channel, json) in renderings(&notice(kind, Severity::Critical, 1)) {
            let text = strings(&json).join("\n");
            for word in ["What to do", "@example.com", "U0123ABCD", "Impact", "--by YOUR-NAME"] {
                assert!(!text.contains(word), "{channel} {kind:?} has {word}: {text}");
            }
        }
    }
}

#[test]
fn fractions_of_a_second_are_shown_in_no_channel() {
    for kind in NoticeKind::ALL {
        for (channel, json) in renderings(&notice(kind, Severity::Critical, 1)) {
            assert!(!json.to_string().contains("123456789"), "{channel} {kind:?}: {json}");
        }
    }
}

#[test]
fn invisible_and_control_characters_reach_no_channel() {
    let hidden = |c: &char| {
        let breaks = c.is_control() && *c != '\n';
        breaks
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    for kind in NoticeKind::ALL {
        let texts = HOSTILE.map(str::to_owned);
        // Each member gets each text once.
        for first in 0..texts.len() {
            let mut texts = texts.clone();
            texts.rotate_left(first);
            // The key is made of validated names, and must not change.
            let dedup_key = "key".to_owned();
            let notice = Body { dedup_key, ..stuffed(notice(kind, Severity::Critical, 1), &texts) };
            for (channel, json) in renderings(&notice) {
                for text in strings(&json) {
                    assert_eq!(text.chars().find(hidden), None, "{channel} {kind:?}: {text:?}");
                }
            }
        }
    }
}

#[test]
fn links_lead_to_web_addresses_in_every_channel() {
    let mut notice = notice(NoticeKind::Opened, Severity::Critical, 1);
    for bad in [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "runbook.md",
        "https://a b",
        "HTTPS://a",
        "https://\u{202e}",
        "",
    ] {
        notice.runbook = Some(bad.to_owned());
        notice.links.iter_mut().for_each(|link| bad.clone_into(&mut link.url));
        let [(_, text), (_, html), (_, slack), (_, teams), (_, pagerduty)] = renderings(&notice);
        assert!(!text.to_string().contains("LINKS"), "{bad}: {text}");
        assert!(!html.to_string().contains("<a"), "{bad}: {html}");
        assert!(!slack.to_string().contains("|Runbook>"), "{bad}: {slack}");
        let actions = teams["attachments"][0]["content"]["actions"].as_array().unwrap();
        assert!(actions.iter().all(|action| action["type"] != "Action.OpenUrl"), "{bad}: {teams}");
        assert_eq!(pagerduty.get("links"), None, "{bad}");
    }
}

#[test]
fn half_a_command_is_shown_in_no_channel() {
    let mut notice = notice(NoticeKind::Opened, Severity::Critical, 1);
    notice.command = Some(format!("inspect {}", "x".repeat(2_000)));
    notice.acknowledge = Some(format!("confirm {}", "y".repeat(2_000)));
    for (channel, json) in renderings(&notice) {
        let text = json.to_string();
        assert!(!text.contains("xxx") && !text.contains("yyy"), "{channel}: {text}");
    }
}
