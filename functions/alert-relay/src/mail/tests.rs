use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use syncwatch::pipeline::Contact;
use syncwatch::text::spaced;

use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;

use super::html::colors;
use super::*;
use crate::tests::renderings::unescaped;
use crate::tests::samples::{HOSTILE, any_texts, link, marked_test, notice, stuffed};

fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap()
}

fn mail_of(notice: &Body) -> Mail {
    render(notice, &pipeline())
}

fn html_of(notice: &Body) -> String {
    mail_of(notice).html
}

#[test]
fn page_is_text_and_html() {
    let Mail { subject, text, html, thread } = mail_of(&notice(NoticeKind::Opened, Severity::Critical, 1));
    insta::assert_snapshot!(format!("{subject}\n{thread}\n\n{text}\n{}", html));
}

#[test]
fn every_kind_reads_well_as_html() {
    let others = NoticeKind::ALL.into_iter().filter(|kind| *kind != NoticeKind::Opened);
    let notices = others.map(|kind| notice(kind, Severity::Warning, 2)).chain([marked_test()]);
    let texts = notices.map(|notice| words(&html_of(&notice)));
    insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n\n"));
}

/// The words of HTML, a line for each tag that has some.
fn words(html: &str) -> String {
    let (_, body) = html.split_once("<body").unwrap();
    let texts = body.split('<').filter_map(|piece| piece.split_once('>')).map(|(_, text)| spaced(text));
    let lines: Vec<String> = texts.filter(|text| !text.is_empty()).map(|text| unescaped(&text)).collect();
    lines.join("\n")
}

#[test]
fn every_part_of_a_notice_is_in_both_parts_of_its_mail() {
    let mut notice = notice(NoticeKind::Opened, Severity::Critical, 1);
    notice.acknowledged = Some("Ada".to_owned());
    let Mail { text, html, .. } = mail_of(&notice);
    let (text, html) = (spaced(&text), spaced(&unescaped(&html)));
    let mut parts = vec![notice.summary.clone(), notice.cause.clone(), notice.id.clone()];
    parts.extend(
        [&notice.note, &notice.consequence, &notice.next_attempt, &notice.owner]
            .map(|text| text.clone().unwrap()),
    );
    parts.extend([&notice.command, &notice.acknowledge, &notice.runbook].map(|text| text.clone().unwrap()));
    parts.extend(notice.steps.iter().cloned());
    parts.extend(notice.links.iter().map(|link| link.url.clone()));
    parts.extend(notice.figures.iter().flat_map(|figure| [figure.name.clone(), figure.text()]));
    parts.extend(notice.contacts.iter().map(Contact::reach));
    parts.push("Tue 2026-11-24 03:12 PST (2026-11-24 11:12 UTC)".to_owned());
    for part in parts {
        // The text names incident, number and sequence apart.
        let id = part == notice.id && text.contains(&notice.dedup_key);
        assert!(text.contains(&part) || id, "text lacks {part}: {text}");
        assert!(html.contains(&part), "HTML lacks {part}: {html}");
    }
}

#[test]
fn color_follows_the_severity_and_its_text_can_be_read() {
    let mut seen = BTreeSet::new();
    for severity in [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical] {
        for kind in NoticeKind::ALL {
            let notice = notice(kind, severity, 1);
            let (background, ink) = colors(&notice);
            assert!(contrast(background, ink) >= 4.5, "{background} {ink}");
            assert!(html_of(&notice).contains(&format!("background: {background}; color: {ink}")));
            seen.insert(background);
        }
    }
    assert_eq!(seen.len(), 5);
}

/// The contrast of two colors (WCAG 2.2, "relative luminance").
fn contrast(one: &str, two: &str) -> f64 {
    let luminance = |color: &str| {
        let part =
            |at: usize| f64::from(u8::from_str_radix(color.get(at..at + 2).unwrap(), 16).unwrap()) / 255.0;
        let linear =
            |part: f64| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
        0.2126 * linear(part(1)) + 0.7152 * linear(part(3)) + 0.0722 * linear(part(5))
    };
    let (one, two) = (luminance(one), luminance(two));
    (one.max(two) + 0.05) / (one.min(two) + 0.05)
}

#[test]
fn html_loads_nothing_and_runs_nothing() {
    let names = ["img", "script", "link", "iframe", "form", "style", "object", "video"];
    for kind in NoticeKind::ALL {
        let html = html_of(&notice(kind, Severity::Critical, 1)).to_lowercase();
        for tag in tags(&html) {
            let name = tag.split_whitespace().next().unwrap();
            let loads =
                [" on", " src=", "url(", "@import", "javascript:"].iter().any(|part| tag.contains(part));
            assert!(!names.contains(&name) && !loads, "{kind:?} has {tag}");
        }
    }
}

/// The tags of HTML, with their attributes.
fn tags(html: &str) -> Vec<&str> {
    html.split('<').skip(1).map(|piece| piece.split_once('>').unwrap().0).collect()
}

/// The tags that notices without hostile texts have, except links.
static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let severities = [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];
    let notices =
        NoticeKind::ALL.into_iter().flat_map(|kind| severities.map(|severity| notice(kind, severity, 1)));
    let htmls: Vec<String> = notices.map(|notice| html_of(&notice)).collect();
    let known = htmls.iter().flat_map(|html| tags(html)).filter(|tag| !tag.starts_with("a "));
    known.map(str::to_owned).collect()
});

fn assert_only_known_tags(html: &str) {
    for tag in tags(html) {
        let url = tag.strip_prefix("a href=\"").and_then(|rest| rest.strip_suffix('"'));
        let link = url.is_some_and(|url| {
            unescaped(url).starts_with("https://") && !url.contains(['"', '\'', '>', ' '])
        });
        assert!(link || KNOWN.contains(tag), "<{tag}> in {html}");
    }
}

#[test]
fn hostile_texts_are_escaped_in_html() {
    for hostile in HOSTILE.into_iter().chain([
        "\"><img src=x onerror=alert(1)>",
        "</title><script>x</script>",
        "&lt;b&gt;",
    ]) {
        let html = html_of(&stuffed(notice(NoticeKind::Opened, Severity::Error, 1), &[hostile.to_owned()]));
        assert_only_known_tags(&html);
        // Shown as written, except for what no channel shows.
        let shown = spaced(&cut(hostile, TEXT_LIMIT));
        assert!(spaced(&unescaped(&html)).contains(&shown), "{hostile:?}: {html}");
    }
}

#[test]
fn mails_of_an_incident_share_a_thread_and_others_do_not() {
    let opened = notice(NoticeKind::Opened, Severity::Critical, 1);
    let thread = mail_of(&opened).thread;
    assert_eq!(mail_of(&notice(NoticeKind::Resolved, Severity::Critical, 2)).thread, thread);
    let again = Body { opened_at: "2026-11-25T11:12:30Z".parse().unwrap(), generation: 2, ..opened.clone() };
    assert_ne!(mail_of(&again).thread, thread);
    let other = Body { dedup_key: "properties/run-failed/b".to_owned(), ..opened };
    assert_ne!(mail_of(&other).thread, thread);
}

proptest! {
    #[test]
    fn any_text_makes_a_mail_within_the_limits(
        texts in any_texts(),
        kind in prop::sample::select(&NoticeKind::ALL[..]),
    ) {
        let mut notice = stuffed(notice(kind, Severity::Error, 1), &texts);
        notice.links.push(link("Page", "https://example.com/a\"b<c>&d"));
        let mail = mail_of(&notice);
        prop_assert!((1..100).contains(&mail.subject.len()));
        prop_assert!(mail.subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        let html = mail.html;
        assert_only_known_tags(&html);
        prop_assert!(!mail.text.chars().any(|c| c.is_control() && c != '\n'));
    }
}
