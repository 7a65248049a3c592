use proptest::prelude::*;
use serde_json::Value;
use syncwatch::finding::Severity;

use super::*;
use crate::tests::samples::{KINDS, any_texts, figure, notice, stuffed};

fn json(message: &Message) -> Value {
    serde_json::to_value(message).unwrap()
}

#[test]
fn what_is_open_says_what_since_when_why_and_what_to_do() {
    insta::assert_json_snapshot!(json(&render(&notice(NoticeKind::Opened, Severity::Critical, 1))));
}

#[test]
fn what_is_over_says_so_and_asks_for_nothing() {
    let resolved = notice(NoticeKind::Resolved, Severity::Critical, 2);
    insta::assert_json_snapshot!(json(&render(&resolved)));
}

/// A message as a person sees it.
fn seen(message: &Message) -> String {
    let text = |text: &Text| match text {
        Text::Plain { text } => format!("# {text}"),
        Text::Marked { text } => text.clone(),
    };
    let mut lines = Vec::new();
    for block in &message.blocks {
        match block {
            Block::Header { text: header } => lines.push(text(header)),
            Block::Section { text: paragraph, fields } => {
                lines.extend(paragraph.iter().map(text));
                lines.extend(fields.iter().map(|field| format!("  {}", text(field).replace('\n', " "))));
            }
            Block::Context { elements } => {
                lines.extend(elements.iter().map(|element| format!("- {}", text(element))));
            }
        }
    }
    lines.join("\n")
}

#[test]
fn every_kind_reads_well() {
    let mut texts = Vec::new();
    for kind in KINDS {
        let mut notice = notice(kind, Severity::Error, 1);
        if kind == NoticeKind::HeldBack {
            notice.title = "[held back] deploy: the silence of Ada (deploy) is over".to_owned();
            notice.figures = (1..=12).map(|n| figure("held back", &format!("run-failed/{n}"))).collect();
            (notice.command, notice.link, notice.class) = (None, None, None);
        }
        texts.push(format!("== {kind:?}\n{}", seen(&render(&notice))));
    }
    let mut test = notice(NoticeKind::Opened, Severity::Info, 1);
    (test.test, test.command, test.link, test.class) = (true, None, None, None);
    test.title = "[test, info] properties: this is a test; nothing is wrong and nobody has to act".to_owned();
    test.cause = "Somebody ran `syncwatch alert-test`".to_owned();
    texts.push(format!("== test\n{}", seen(&render(&test))));
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn the_class_of_the_error_is_shown_once_though_the_figures_name_it_too() {
    let mut notice = notice(NoticeKind::Opened, Severity::Error, 1);
    notice.figures.push(figure("error class", "required-field"));
    assert_eq!(seen(&render(&notice)).matches("*error class* required-field").count(), 1);
    notice.class = None;
    assert_eq!(seen(&render(&notice)).matches("*error class* required-field").count(), 1);
}

#[test]
fn nobody_is_called_into_a_channel_by_what_a_vendor_wrote() {
    let mut notice = notice(NoticeKind::Opened, Severity::Error, 1);
    notice.summary = "<!channel> & <@U123> failed".to_owned();
    notice.figures = vec![figure("<!here>", "<https://example.com|click>")];
    let seen = seen(&render(&notice));
    assert!(
        !seen.contains("<!") && !seen.contains("<@") && !seen.contains("<https://example.com|click"),
        "{seen}"
    );
    assert!(seen.contains("&lt;!channel&gt; &amp; &lt;@U123&gt; failed"), "{seen}");
}

#[test]
fn half_a_command_and_half_an_address_are_not_shown() {
    let mut notice = notice(NoticeKind::Opened, Severity::Error, 1);
    notice.command = Some(format!("curl {}", "x".repeat(2_000)));
    notice.runbook = Some(format!("https://example.com/{}", "&".repeat(200)));
    notice.link = Some("https://example.com/a|b".to_owned());
    let seen = seen(&render(&notice));
    assert!(!seen.contains("curl") && !seen.contains("Runbook"), "{seen}");
    assert!(seen.contains("<https://example.com/a%7Cb|Census>"), "{seen}");
}

fn units(value: &Value) -> usize {
    value["text"].as_str().unwrap().encode_utf16().count()
}

proptest! {
    #[test]
    fn any_text_is_within_the_published_limits(texts in any_texts(), kind in prop::sample::select(&KINDS[..])) {
        let mut notice = stuffed(notice(kind, Severity::Error, 1), &texts);
        notice.resolved_at = Some(notice.opened_at);
        let message = json(&render(&notice));
        prop_assert!((1..=40_000).contains(&units(&message)));
        let blocks = message["blocks"].as_array().unwrap();
        prop_assert!(blocks.len() <= 50);
        for block in blocks {
            match block["type"].as_str().unwrap() {
                "header" => {
                    prop_assert_eq!(&block["text"]["type"], "plain_text");
                    prop_assert!((1..=150).contains(&units(&block["text"])));
                }
                "section" => {
                    let fields = block["fields"].as_array().cloned().unwrap_or_default();
                    prop_assert!(block["text"].is_object() || !fields.is_empty());
                    prop_assert!(fields.len() <= 10);
                    for field in &fields {
                        prop_assert!((1..=2_000).contains(&units(field)));
                    }
                    if block["text"].is_object() {
                        prop_assert!((1..=3_000).contains(&units(&block["text"])));
                    }
                }
                "context" => {
                    let elements = block["elements"].as_array().unwrap();
                    prop_assert!((1..=10).contains(&elements.len()));
                    for element in elements {
                        prop_assert!((1..=3_000).contains(&units(element)));
                    }
                }
                other => prop_assert!(false, "no limits are known for {}", other),
            }
        }
    }
}
