use std::collections::BTreeSet;

use proptest::prelude::*;
use syncwatch::figure::Figure;

use super::*;
use crate::tests::samples::{any_texts, link, marked_test, notice, stuffed};

/// The size of a message that Teams takes (learn.microsoft.com, Microsoft Teams connector).
const TEAMS_LIMIT: usize = 28 * 1024;

fn content(message: &Json) -> &Json {
    &message["attachments"][0]["content"]
}

#[test]
fn open_problem_is_an_adaptive_card() {
    insta::assert_json_snapshot!(render(&notice(NoticeKind::Opened, Severity::Critical, 1)));
}

/// The texts of a card, with `>` before those that unfold.
fn seen(element: &Json, indent: &str, lines: &mut Vec<String>) {
    match element["type"].as_str().unwrap() {
        "Container" => {
            let hidden = element["isVisible"] == false;
            lines.extend(element["style"].as_str().map(|style| format!("{indent}({style})")));
            for item in element["items"].as_array().unwrap() {
                seen(item, if hidden { "  > " } else { indent }, lines);
            }
        }
        "TextBlock" => lines.push(format!("{indent}{}", element["text"].as_str().unwrap())),
        "RichTextBlock" => {
            let runs = element["inlines"].as_array().unwrap().iter().map(|run| run["text"].as_str().unwrap());
            lines.push(format!("{indent}{}", runs.collect::<String>()));
        }
        other => panic!("{other}"),
    }
}

fn card(notice: &Body) -> String {
    let message = render(notice);
    let content = content(&message);
    let mut lines = Vec::new();
    for element in content["body"].as_array().unwrap() {
        seen(element, "  ", &mut lines);
    }
    for action in content["actions"].as_array().unwrap() {
        lines.push(format!(
            "  [{}] {}",
            action["title"].as_str().unwrap(),
            action["url"].as_str().unwrap_or("")
        ));
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_kind_reads_well() {
    let kinds = NoticeKind::ALL.map(|kind| (format!("{kind:?}"), notice(kind, Severity::Error, 1)));
    let texts = kinds
        .into_iter()
        .chain([("test".to_owned(), marked_test())])
        .map(|(name, notice)| format!("== {name}\n{}", card(&notice)));
    insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn card_has_the_style_of_the_severity() {
    let style = |kind, severity| {
        let message = render(&notice(kind, severity, 1));
        content(&message)["body"][0]["style"].as_str().unwrap().to_owned()
    };
    let styles = [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical]
        .map(|severity| style(NoticeKind::Opened, severity));
    assert_eq!(styles, ["emphasis", "warning", "attention", "attention"]);
    assert_eq!(style(NoticeKind::Resolved, Severity::Critical), "good");
}

#[test]
fn long_card_loses_figures_before_sentences() {
    let mut notice = notice(NoticeKind::Opened, Severity::Error, 1);
    notice.figures = (0..30).map(|_| Figure::new("value", "x".repeat(1_300))).collect();
    notice.cause = format!("{} end", "y".repeat(1_000));
    let shown = card(&notice);
    assert!(shown.contains("25 more figures") && shown.contains("y end"), "{shown}");
}

/// A checker of the parts of Adaptive Cards 1.4 that messages use (adaptivecards.io, schema explorer): known types, the
/// required members, known values, and no others.
#[derive(Default)]
struct Checker {
    ids: BTreeSet<String>,
    targets: BTreeSet<String>,
}

impl Checker {
    fn check(message: &Json) -> Result<(), String> {
        let mut checker = Self::default();
        members(message, &["type", "attachments"], &[])?;
        value(message, "type", &["message"])?;
        let [attachment] = list(message, "attachments")? else { return Err("not one attachment".to_owned()) };
        members(attachment, &["contentType", "content"], &[])?;
        value(attachment, "contentType", &["application/vnd.microsoft.card.adaptive"])?;
        let card = &attachment["content"];
        members(card, &["type", "version", "body"], &["$schema", "fallbackText", "msteams", "actions"])?;
        value(card, "type", &["AdaptiveCard"])?;
        value(card, "version", &["1.4"])?;
        for element in list(card, "body")? {
            checker.element(element)?;
        }
        let actions = list(card, "actions")?;
        if actions.len() > 6 {
            return Err("more than six actions".to_owned());
        }
        for action in actions {
            checker.action(action)?;
        }
        let missing: Vec<_> = checker.targets.difference(&checker.ids).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("no element has the id {missing:?}")) }
    }

    fn element(&mut self, element: &Json) -> Result<(), String> {
        const COMMON: [&str; 2] = ["id", "isVisible"];
        if let Some(id) = element["id"].as_str()
            && !self.ids.insert(id.to_owned())
        {
            return Err(format!("two elements have the id {id}"));
        }
        match element["type"].as_str() {
            Some("Container") => {
                members(element, &["type", "items"], &[&COMMON[..], &["style", "bleed"]].concat())?;
                value(element, "style", &["default", "emphasis", "good", "attention", "warning", "accent"])?;
                list(element, "items")?.iter().try_for_each(|item| self.element(item))
            }
            Some("TextBlock") => {
                members(element, &["type", "text"], &[&COMMON[..], &["wrap", "weight"]].concat())?;
                value(element, "weight", &["Lighter", "Default", "Bolder"])?;
                text(element)
            }
            Some("RichTextBlock") => {
                members(element, &["type", "inlines"], &COMMON)?;
                list(element, "inlines")?.iter().try_for_each(|run| {
                    members(run, &["type", "text"], &["weight", "fontType"])?;
                    value(run, "type", &["TextRun"])?;
                    value(run, "weight", &["Lighter", "Default", "Bolder"])?;
                    value(run, "fontType", &["Default", "Monospace"])?;
                    text(run)
                })
            }
            other => Err(format!("unknown element {other:?}")),
        }
    }

    fn action(&mut self, action: &Json) -> Result<(), String> {
        match action["type"].as_str() {
            Some("Action.OpenUrl") => {
                members(action, &["type", "url", "title"], &[])?;
                let url = action["url"].as_str().ok_or("a URL is not a text")?;
                let is_web = url.starts_with("https://") || url.starts_with("http://");
                if is_web { Ok(()) } else { Err(format!("{url} is not a web address")) }
            }
            Some("Action.ToggleVisibility") => {
                members(action, &["type", "targetElements", "title"], &[])?;
                let targets = list(action, "targetElements")?.iter().filter_map(Json::as_str);
                self.targets.extend(targets.map(str::to_owned));
                Ok(())
            }
            other => Err(format!("unknown action {other:?}")),
        }
    }
}

fn members(of: &Json, required: &[&str], optional: &[&str]) -> Result<(), String> {
    let found = of.as_object().ok_or_else(|| format!("not an object: {of}"))?;
    let missing = required.iter().find(|name| !found.contains_key(**name));
    let unknown =
        found.keys().find(|name| !required.contains(&name.as_str()) && !optional.contains(&name.as_str()));
    match (missing, unknown) {
        (None, None) => Ok(()),
        (missing, unknown) => Err(format!("missing {missing:?}, unknown {unknown:?} in {of}")),
    }
}

fn value(of: &Json, name: &str, allowed: &[&str]) -> Result<(), String> {
    match of.get(name) {
        None => Ok(()),
        Some(value) if value.as_str().is_some_and(|value| allowed.contains(&value)) => Ok(()),
        Some(value) => Err(format!("{name} is {value}")),
    }
}

fn list<'j>(of: &'j Json, name: &str) -> Result<&'j [Json], String> {
    let list = of[name].as_array().ok_or_else(|| format!("{name} is not a list"))?;
    // Teams shows nothing for an empty list of elements; a card may have no actions.
    if list.is_empty() && name != "actions" { Err(format!("{name} is empty")) } else { Ok(list) }
}

fn text(of: &Json) -> Result<(), String> {
    let filled = of["text"].as_str().is_some_and(|text| !text.trim().is_empty());
    if filled { Ok(()) } else { Err(format!("no text in {of}")) }
}

#[test]
fn checker_refuses_a_card_with_an_invalid_part() {
    let valid = render(&notice(NoticeKind::Opened, Severity::Error, 1));
    assert_eq!(Checker::check(&valid), Ok(()));
    let breaks: [fn(&mut Json); 6] = [
        |card| card["body"][0]["style"] = json!("red"),
        |card| card["body"][0]["items"] = json!([]),
        |card| card["body"][0]["items"][0]["inlines"][0]["text"] = json!(""),
        |card| card["actions"][0]["targetElements"] = json!(["missing"]),
        |card| card["actions"][1]["url"] = json!("javascript:alert(1)"),
        |card| card["version"] = json!("2.0"),
    ];
    for (index, damage) in breaks.into_iter().enumerate() {
        let mut message = valid.clone();
        damage(&mut message["attachments"][0]["content"]);
        assert!(Checker::check(&message).is_err(), "{index}");
    }
}

/// The texts that Teams may read as Markdown.
fn markdown(json: &Json) -> Vec<&str> {
    match json {
        Json::Array(items) => items.iter().flat_map(markdown).collect(),
        Json::Object(members) => {
            let own = (json["type"] == "TextBlock").then(|| json["text"].as_str().unwrap());
            let fallback = json["fallbackText"].as_str();
            own.into_iter().chain(fallback).chain(members.values().flat_map(markdown)).collect()
        }
        _ => Vec::new(),
    }
}

proptest! {
    #[test]
    fn any_text_makes_a_valid_card_within_the_limit(
        texts in any_texts(),
        kind in prop::sample::select(&NoticeKind::ALL[..]),
        ended: bool,
    ) {
        let mut notice = stuffed(notice(kind, Severity::Error, 1), &texts);
        notice.resolved_at = ended.then_some(notice.opened_at);
        notice.links.push(link("Page", &format!("https://example.com/{}", "x".repeat(500))));
        let message = render(&notice);
        prop_assert!(message.to_string().len() <= TEAMS_LIMIT);
        prop_assert_eq!(Checker::check(&message), Ok(()));
        let date = "{{DATE(2026-11-24T11:12:30Z, SHORT)}} {{TIME(2026-11-24T11:12:30Z)}}";
        let own = [
            "What to do".to_owned(),
            "Syncwatch alert (error): update Teams to read it here".to_owned(),
            format!("**Since:** {date}"),
            format!("**From** {date} **to** {date}"),
        ];
        for text in markdown(&message) {
            prop_assert!(own.iter().any(|own| own == text), "{}", text);
        }
    }
}
