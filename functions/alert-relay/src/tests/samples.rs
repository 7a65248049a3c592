//! For tests: notices as the topic carries them.

use std::time::Duration;

use syncwatch::figure::Figure;
use syncwatch::finding::Severity;
use syncwatch::http::retry::Backoff;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::{Body, SCHEMA};
use syncwatch::pipeline::Contact;

use crate::post::Patience;

/// For servers on this machine, which need no courtesy.
pub(crate) fn impatient() -> Patience {
    Patience {
        backoff: Backoff { attempts: 3, first: Duration::from_millis(1), longest: Duration::from_millis(2) },
        attempt: Duration::from_secs(30),
        notice: Duration::from_secs(60),
        batch: Duration::from_secs(60),
    }
}

/// Every kind.
pub(crate) const KINDS: [NoticeKind; 8] = [
    NoticeKind::Opened,
    NoticeKind::Flapping,
    NoticeKind::Worsened,
    NoticeKind::Reminder,
    NoticeKind::StoppedReporting,
    NoticeKind::Resolved,
    NoticeKind::HeldBack,
    NoticeKind::Acknowledged,
];

/// A notice of the first incident of a key. Tests change what they are about.
pub(crate) fn notice(kind: NoticeKind, severity: Severity, sequence: u32) -> Body {
    let resolved = kind == NoticeKind::Resolved;
    let word = match kind {
        NoticeKind::Opened => severity.to_string(),
        NoticeKind::Flapping => format!("{severity}, flapping"),
        NoticeKind::Worsened => format!("{severity}, worse"),
        NoticeKind::Reminder => format!("{severity}, still"),
        NoticeKind::StoppedReporting => format!("{severity}, unknown"),
        NoticeKind::Resolved => "resolved".to_owned(),
        NoticeKind::HeldBack => "held back".to_owned(),
        NoticeKind::Acknowledged => "acknowledged".to_owned(),
    };
    Body {
        schema: SCHEMA.to_owned(),
        id: format!("properties/error-rate/properties-create#1.{sequence}"),
        kind,
        dedup_key: "properties/error-rate/properties-create".to_owned(),
        generation: 1,
        sequence,
        pipeline: "properties".to_owned(),
        check: "error-rate".to_owned(),
        subject: "properties-create".to_owned(),
        severity,
        title: format!("[{word}] properties-create: error rate: 12% of 50 records failed, limit 5%"),
        summary: "12% of 50 records failed or were invalid, limit 5%".to_owned(),
        figures: vec![figure("newest run", "4711"), figure("failed & invalid", "6"), figure("processed", "50")],
        cause: "a required field <Phone__c> is missing".to_owned(),
        class: Some("required-field".to_owned()),
        opened_at: "2026-11-24T11:12:30Z".parse().unwrap(),
        resolved_at: resolved.then(|| "2026-11-24T12:00:00Z".parse().unwrap()),
        open_for_seconds: 1_050,
        runbook: Some("https://example.com/runbook.md#error-rate".to_owned()),
        command: (!resolved).then(|| {
            "curl -sS -H \"Authorization: Bearer $CENSUS_TOKEN\" 'https://app.getcensus.com/api/v1/syncs/3394022/sync_runs?per_page=5&order=desc'".to_owned()
        }),
        link: Some("https://app.getcensus.com/syncs/3394022/history".to_owned()),
        contacts: vec![Contact {
            name: "Data operations".to_owned(),
            role: "first responder".to_owned(),
            email: Some("data-operations@example.com".to_owned()),
            phone: None,
        }],
        test: false,
    }
}

pub(crate) fn figure(name: &str, value: &str) -> Figure {
    Figure::new(name, value)
}

/// Makes every text of a notice out of the given ones, in turn.
pub(crate) fn stuffed(mut notice: Body, texts: &[String]) -> Body {
    let mut texts = texts.iter().cycle().cloned();
    let mut next = || texts.next().unwrap_or_default();
    for text in [
        &mut notice.id,
        &mut notice.dedup_key,
        &mut notice.pipeline,
        &mut notice.check,
        &mut notice.subject,
        &mut notice.title,
        &mut notice.summary,
        &mut notice.cause,
    ] {
        *text = next();
    }
    for text in [&mut notice.class, &mut notice.runbook, &mut notice.command, &mut notice.link] {
        *text = Some(next());
    }
    notice.figures = (0..60).map(|_| Figure::new(&next(), next())).collect();
    for contact in &mut notice.contacts {
        *contact = Contact { name: next(), role: next(), email: Some(next()), phone: Some(next()) };
    }
    notice
}

/// Any texts, among them long ones, of many bytes a character, and such as break JSON and Slack's marks.
pub(crate) fn any_texts() -> impl proptest::strategy::Strategy<Value = Vec<String>> {
    use proptest::prelude::*;
    let one = prop_oneof![
        any::<String>(),
        "[&<>|`*_ \\x00-\\x1f]{0,400}",
        "https://[a-z&|]{0,1200}",
        ("\\PC", 0_usize..3_000).prop_map(|(piece, times)| piece.repeat(times)),
        (any::<char>(), 200_usize..1_200).prop_map(|(piece, times)| piece.to_string().repeat(times)),
    ];
    prop::collection::vec(one, 1..12)
}
