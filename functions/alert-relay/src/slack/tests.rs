use proptest::prelude::*;
use serde_json::Value as Json;
use syncwatch::figure::Figure;
use syncwatch::incident::NoticeKind;

use super::*;
use crate::tests::samples::{HOSTILE, any_texts, figure, link, marked_test, notice, stuffed};

const USER: &str = "U0123ABCD";

fn json(message: &Message) -> Json {
    serde_json::to_value(message).unwrap()
}

fn opened() -> Body {
    notice(NoticeKind::Opened, Severity::Critical, 1)
}

#[test]
fn open_problem_has_impact_owner_steps_and_figures() {
    insta::assert_json_snapshot!(json(&render(&opened(), Some(USER))));
}

/// The text of each block, one after the other, with a bar beside those of an attachment.
fn seen(message: &Message) -> String {
    let text = |text: &Text| match text {
        Text::Plain { text } => format!("# {text}"),
        Text::Marked { text, .. } => text.clone(),
    };
    let lines = |blocks: &[Block]| {
        let lines = blocks.iter().flat_map(|block| match block {
            Block::Header { text: header } => vec![text(header)],
            Block::Section { text: paragraph, fields } => {
                let fields = fields.iter().map(|field| format!("  {}", text(field).replace('\n', " ")));
                paragraph.iter().map(text).chain(fields).collect()
            }
            Block::Context { elements } => {
                elements.iter().map(|element| format!("- {}", text(element))).collect()
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let mut texts = vec![lines(&message.blocks)];
    for attachment in &message.attachments {
        texts.push(format!("({})\n{}", attachment.color, lines(&attachment.blocks)));
    }
    texts.join("\n").replace('\n', "\n  ")
}

#[test]
fn every_kind_reads_well() {
    let kinds = NoticeKind::ALL.map(|kind| (format!("{kind:?}"), notice(kind, Severity::Error, 1)));
    let mut texts: Vec<String> = kinds
        .into_iter()
        .chain([("test".to_owned(), marked_test())])
        .map(|(name, notice)| format!("== {name}\n  {}", seen(&render(&notice, None))))
        .collect();
    let mut long = notice(NoticeKind::Reminder, Severity::Error, 1);
    long.title = format!("[ERROR, open 4h] {}", "properties-create and others, ".repeat(8));
    texts.push(format!("== long title\n  {}", seen(&render(&long, None))));
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn owner_is_mentioned_by_the_configured_id_only() {
    let mut notice = opened();
    notice.owner = Some("<@UEVIL00000>".to_owned());
    for (mention, expected) in [
        (None, "*Owner:* &lt;\u{ff20}UEVIL00000&gt;\n"),
        (Some(USER), "*Owner:* &lt;\u{ff20}UEVIL00000&gt; <@U0123ABCD>\n"),
        (Some("S0123ABCD"), "*Owner:* &lt;\u{ff20}UEVIL00000&gt; <!subteam^S0123ABCD>\n"),
    ] {
        let seen = seen(&render(&notice, mention));
        assert!(seen.contains(expected), "{seen}");
    }
}

#[test]
fn notice_without_an_owner_has_no_owner_line() {
    let notice = Body { owner: None, ..opened() };
    let seen = seen(&render(&notice, None));
    assert!(!seen.contains("*Owner:*") && !seen.contains("Owner: "), "{seen}");
}

#[test]
fn attachment_has_the_color_of_the_severity() {
    let color = |kind, severity| render(&notice(kind, severity, 1), None).attachments.remove(0).color;
    let colors = [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical]
        .map(|severity| color(NoticeKind::Opened, severity));
    assert_eq!(colors, ["#6b7280", "#f2c744", "#e8590c", "#b00020"]);
    assert_eq!(color(NoticeKind::Resolved, Severity::Critical), "#2eb67d");
}

#[test]
fn instants_are_dates_in_the_zone_of_the_reader() {
    let mut notice = notice(NoticeKind::Resolved, Severity::Error, 1);
    notice.figures = vec![Figure::new("last run", notice.opened_at)];
    let seen = seen(&render(&notice, None));
    let from = "<!date^1795518750^{date_short_pretty} {time}|2026-11-24 11:12 UTC>";
    let to = "<!date^1795519800^{date_short_pretty} {time}|2026-11-24 11:30 UTC>";
    assert!(seen.contains(&format!("*From* {from} *to* {to}")), "{seen}");
    assert!(seen.contains(&format!("*last run* {from}")), "{seen}");
}

#[test]
fn class_of_the_error_is_shown_once() {
    let mut notice = opened();
    for class in [Some("required-field".to_owned()), None] {
        notice.class = class;
        assert_eq!(seen(&render(&notice, None)).matches("*error class* required-field").count(), 1);
    }
}

#[test]
fn text_of_a_vendor_cannot_mention_or_link() {
    let mut notice = opened();
    notice.summary = "<!channel> & <@U123> failed".to_owned();
    notice.cause = "@channel: see https://evil.example".to_owned();
    notice.figures = vec![figure("<!here>", "<https://example.com|click>")];
    notice.title = "x".repeat(200);
    let message = render(&notice, None);
    let seen = seen(&message);
    assert!(seen.contains("&lt;!channel&gt; &amp; &lt;\u{ff20}U123&gt; failed"), "{seen}");
    assert!(seen.contains("\u{ff20}channel: see https://evil.example"), "{seen}");
    assert!(seen.contains("*&lt;!here&gt;* &lt;https://example.com|click&gt;"), "{seen}");
    // Slack makes links and mentions of plain words only without this.
    let json = json(&message).to_string();
    assert_eq!(json.matches("mrkdwn").count(), json.matches("\"verbatim\":true").count());
}

#[test]
fn cut_command_or_address_is_not_shown() {
    let mut notice = opened();
    notice.command = Some("syncwatch `whoami`".to_owned());
    notice.runbook = Some(format!("https://example.com/{}", "&".repeat(200)));
    notice.links = vec![link("a|b", "https://example.com/a|b")];
    let seen = seen(&render(&notice, None));
    assert!(!seen.contains("whoami") && !seen.contains("Runbook"), "{seen}");
    assert!(seen.contains("<https://example.com/a%7Cb|a/b>"), "{seen}");
}

fn units(value: &Json) -> usize {
    value["text"].as_str().unwrap().encode_utf16().count()
}

/// Checks the limits of Block Kit for one block (docs.slack.dev, reference of blocks).
fn check_block(block: &Json) -> Result<(), TestCaseError> {
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
                prop_assert!((1..=3_000).contains(&units(&block["text"])), "{}", block);
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
    Ok(())
}

/// The texts that Slack reads with marks.
fn marked(json: &Json) -> Vec<&str> {
    match json {
        Json::Array(items) => items.iter().flat_map(marked).collect(),
        Json::Object(members) if json["type"] == "mrkdwn" => vec![members["text"].as_str().unwrap()],
        Json::Object(members) => members.values().flat_map(marked).collect(),
        _ => Vec::new(),
    }
}

/// The marks `<...>` of a text.
fn marks(text: &str) -> Vec<&str> {
    text.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()).collect()
}

/// Whether a mark is one of ours: a date, a page, or the configured mention.
fn is_ours(mark: &str) -> bool {
    let date = mark.strip_prefix("!date^").and_then(|rest| rest.split_once('^'));
    let is_date = date.is_some_and(|(second, format)| {
        second.parse::<i64>().is_ok() && format.starts_with("{date_short_pretty} {time}|2026-11-24 1")
    });
    let page = mark.split_once('|').filter(|(_, name)| !name.contains('|'));
    is_date
        || page.is_some_and(|(url, _)| url.starts_with("https://") || url.starts_with("http://"))
        || mark == format!("@{USER}")
}

proptest! {
    #[test]
    fn any_text_is_within_the_limits_of_block_kit(
        texts in any_texts(),
        kind in prop::sample::select(&NoticeKind::ALL[..]),
        ended: bool,
    ) {
        let mut notice = stuffed(notice(kind, Severity::Error, 1), &texts);
        notice.resolved_at = ended.then_some(notice.opened_at);
        let message = json(&render(&notice, Some(USER)));
        prop_assert!((1..=40_000).contains(&units(&message)));
        let attachments = message["attachments"].as_array().into_iter().flatten();
        let lists: Vec<&Json> = [&message].into_iter().chain(attachments).map(|of| &of["blocks"]).collect();
        let blocks: Vec<&Json> = lists.iter().flat_map(|list| list.as_array().unwrap()).collect();
        prop_assert!(blocks.len() <= 50);
        prop_assert!(lists.iter().all(|list| !list.as_array().unwrap().is_empty()));
        for block in blocks {
            check_block(block)?;
        }
    }

    #[test]
    fn any_text_makes_no_marks(
        texts in prop::collection::vec(prop::sample::select(&HOSTILE[..]), 1..20),
        kind in prop::sample::select(&NoticeKind::ALL[..]),
    ) {
        let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
        let message = render(&stuffed(notice(kind, Severity::Error, 1), &texts), Some(USER));
        let json = json(&message);
        for text in marked(&json).into_iter().chain([message.text.as_str()]) {
            for mark in marks(text) {
                prop_assert!(is_ours(mark), "{}", mark);
            }
        }
    }
}
