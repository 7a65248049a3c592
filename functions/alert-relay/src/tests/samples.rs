//! Sample notices, as the topic carries them.

use std::time::Duration;

use proptest::prelude::*;
use syncwatch::figure::Figure;
use syncwatch::finding::Severity;
use syncwatch::http::retry::Backoff;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::{Body, Link, SCHEMA};
use syncwatch::pipeline::{Addresses, CHAT, Channel, ChannelKind, Contact, MAIL, PAGERDUTY};

use crate::post::Patience;

/// For servers on this machine, which need no long waits.
pub(crate) fn impatient() -> Patience {
    Patience {
        backoff: Backoff { attempts: 3, first: Duration::from_millis(1), longest: Duration::from_millis(2) },
        attempt: Duration::from_secs(30),
        notice: Duration::from_secs(60),
        batch: Duration::from_secs(60),
    }
}

pub(crate) fn channel(name: &str, kind: ChannelKind, lowest: Severity) -> Channel {
    Channel { name: name.to_owned(), kind, lowest, mail: None }
}

pub(crate) const SENDER: &str = "syncwatch@example.com";

/// A mail channel with one recipient.
pub(crate) fn mail_to(name: &str, recipient: &str) -> Channel {
    let addresses = Addresses { from: SENDER.to_owned(), to: vec![recipient.to_owned()] };
    Channel { mail: Some(addresses), ..channel(name, ChannelKind::Email, Severity::Warning) }
}

/// The default mail channel.
pub(crate) fn mail() -> Channel {
    mail_to(MAIL, "data-operations@example.com")
}

/// The default pager.
pub(crate) fn pagerduty() -> Channel {
    channel(PAGERDUTY, ChannelKind::PagerDuty, Severity::Critical)
}

/// The default chat.
pub(crate) fn chat() -> Channel {
    channel(CHAT, ChannelKind::Slack, Severity::Warning)
}

const PROBLEM: &str = "12% of 50 records rejected (limit 5%)";

fn title(kind: NoticeKind, severity: Severity) -> String {
    let word = severity.to_string().to_uppercase();
    match kind {
        NoticeKind::Opened => format!("[{word}] properties-create: {PROBLEM}"),
        NoticeKind::Flapping => {
            format!("[{word}] properties-create: {PROBLEM}. Flapping, 3rd time in 6h")
        }
        NoticeKind::Worsened => format!("[{word}, worse] properties-create: {PROBLEM}"),
        NoticeKind::Reminder => format!("[{word}, open 4h] properties-create: {PROBLEM}"),
        NoticeKind::StoppedReporting => {
            format!("[{word}, unknown] properties-create: cannot be checked; was: {PROBLEM}")
        }
        NoticeKind::Resolved => {
            "[RESOLVED] properties-create: 0% of 48 records rejected (limit 5%), after 17m".to_owned()
        }
        NoticeKind::HeldBack => {
            "[INFO] Silence \"release\" (Ada) ended: 14 alerts from 12 incidents were suppressed".to_owned()
        }
        NoticeKind::Note => "[INFO] properties-update: healed by itself".to_owned(),
        NoticeKind::Report => "[INFO] Week 2026-W48 of properties: 9 of 9 goals met".to_owned(),
        NoticeKind::Acknowledged => {
            format!("[ACKNOWLEDGED] properties-create: by Ada until 2026-11-24 15:12 UTC: {PROBLEM}")
        }
    }
}

/// A notice of the first incident of a key; tests change the members that matter to them.
pub(crate) fn notice(kind: NoticeKind, severity: Severity, sequence: u32) -> Body {
    let notice = problem(kind, severity, sequence);
    match kind {
        NoticeKind::Resolved => Body {
            resolved_at: Some("2026-11-24T11:30:00Z".parse().unwrap()),
            summary: "0% of 48 records rejected (limit 5%)".to_owned(),
            figures: vec![
                figure("newest run", "4712"),
                Figure::new("failed or invalid", 0_u64),
                Figure::new("processed", 48_u64),
            ],
            class: None,
            note: None,
            command: None,
            ..without_action(notice)
        },
        NoticeKind::Acknowledged => {
            let by = "Ada until 2026-11-24 15:12 UTC";
            Body {
                note: Some(format!(
                    "Acknowledged by {by}. Reminders are paused; a worse severity still alerts."
                )),
                acknowledged: Some(by.to_owned()),
                ..without_action(notice)
            }
        }
        NoticeKind::Flapping => Body {
            note: Some(
                "This keeps failing and recovering. You get one alert; it resolves after 1h without a failure."
                    .to_owned(),
            ),
            ..notice
        },
        NoticeKind::StoppedReporting => Body {
            note: Some(
                "Status unknown: this cannot be checked right now. The finding is from the last good check, and the \
                 incident stays open."
                    .to_owned(),
            ),
            ..notice
        },
        NoticeKind::HeldBack => Body {
            summary: "Silence \"release\" (Ada) ended: 14 alerts from 12 incidents were suppressed".to_owned(),
            figures: (1..=12).map(|n| figure("suppressed", &format!("run-failed/sync-{n}"))).collect(),
            cause: "Incidents that are still open alert again on their own, unless another silence or a common cause covers \
                    them"
                .to_owned(),
            resolved_at: Some("2026-11-24T13:12:30Z".parse().unwrap()),
            runbook: Some("https://example.com/runbook.md#silences".to_owned()),
            check: "silence".to_owned(),
            ..without_incident(notice)
        },
        NoticeKind::Note => Body {
            summary: "healed by itself: failed run: properties-update. Nothing to do".to_owned(),
            figures: vec![figure("act", "run properties-update again")],
            cause: "one incremental run of properties-update sends the records that wait".to_owned(),
            runbook: Some("https://example.com/runbook.md#remedies".to_owned()),
            check: "remedy".to_owned(),
            ..without_incident(notice)
        },
        NoticeKind::Report => Body {
            summary: "Week 2026-W48 of properties: 9 of 9 goals met".to_owned(),
            figures: vec![
                figure("scoreboard", "9 of 9 goals met (the week before: 9). Production-ready"),
                figure("needs a person", "nothing"),
            ],
            cause: "Sent once a week. `syncwatch report --week 2026-W48` prints it again".to_owned(),
            resolved_at: Some("2026-11-24T13:12:30Z".parse().unwrap()),
            runbook: Some("https://example.com/runbook.md#digest".to_owned()),
            check: "digest".to_owned(),
            ..without_incident(notice)
        },
        NoticeKind::Opened | NoticeKind::Worsened | NoticeKind::Reminder => notice,
    }
}

/// A notice that is not about the state of an incident.
fn without_incident(notice: Body) -> Body {
    Body {
        class: None,
        command: None,
        link: None,
        label: None,
        note: None,
        owner: None,
        escalate_to: None,
        links: vec![link("Status page", "https://status.example.com")],
        ..without_action(notice)
    }
}

/// A notice with every member that an open problem has.
fn problem(kind: NoticeKind, severity: Severity, sequence: u32) -> Body {
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
        title: title(kind, severity),
        summary: PROBLEM.to_owned(),
        figures: vec![
            figure("newest run", "4711"),
            Figure::new("run created", opened_at()),
            Figure::new("failed or invalid", 6_u64),
            Figure::new("processed", 50_u64),
            figure("error class", "required-field"),
        ],
        cause: "The destination requires a field that the source leaves empty: Phone__c".to_owned(),
        class: Some("required-field".to_owned()),
        opened_at: opened_at(),
        resolved_at: None,
        open_for_seconds: 1_050,
        runbook: Some("https://example.com/runbook.md#error-rate".to_owned()),
        command: Some("syncwatch runs properties-create".to_owned()),
        link: Some("https://app.getcensus.com/syncs/3394022/history".to_owned()),
        contacts: contacts(),
        label: Some("Properties: create".to_owned()),
        note: Some("properties-create is \"Properties: create\" in Census.".to_owned()),
        consequence: Some(
            "6 properties did not reach Salesforce. Census tries them again with the next run.".to_owned(),
        ),
        next_attempt: Some("within 30m".to_owned()),
        steps: vec![
            "Fill the field in the source, or map a default value in Census.".to_owned(),
            "Do not resend anything: the next run retries rejected records.".to_owned(),
        ],
        acknowledge: Some(
            "syncwatch acknowledge properties/error-rate/properties-create --by YOUR-NAME --for 4h"
                .to_owned(),
        ),
        acknowledged: None,
        owner: Some("Data operations".to_owned()),
        escalate_to: Some("Revenue operations".to_owned()),
        links: vec![
            link("Sync in Census", "https://app.getcensus.com/syncs/3394022/history"),
            link("Records in Salesforce", "https://example.my.salesforce.com/lightning/o/Property__c/list"),
            link("Status page", "https://status.example.com"),
        ],
        test: false,
    }
}

/// Removes the members that only an open problem has.
fn without_action(notice: Body) -> Body {
    Body { consequence: None, next_attempt: None, steps: Vec::new(), acknowledge: None, ..notice }
}

/// A marked test.
pub(crate) fn marked_test() -> Body {
    let summary = "this is a test; nothing is wrong and no action is needed";
    Body {
        check: "alert-test".to_owned(),
        title: format!("[TEST, INFO] properties: {summary}"),
        summary: summary.to_owned(),
        figures: vec![Figure::new("sent at", opened_at())],
        cause: "An operator ran `syncwatch alert-test`".to_owned(),
        class: None,
        command: None,
        link: None,
        label: None,
        note: None,
        links: vec![link("Status page", "https://status.example.com")],
        test: true,
        ..without_action(notice(NoticeKind::Opened, Severity::Info, 1))
    }
}

fn opened_at() -> jiff::Timestamp {
    // Clocks have nanoseconds; no channel shows them.
    "2026-11-24T11:12:30.123456789Z".parse().unwrap()
}

fn contacts() -> Vec<Contact> {
    let contact = |name: &str, role: &str, email: &str, phone: Option<&str>| Contact {
        name: name.to_owned(),
        role: role.to_owned(),
        email: Some(email.to_owned()),
        phone: phone.map(str::to_owned),
        ..Contact::default()
    };
    vec![
        contact("Data operations", "first responder", "data-operations@example.com", Some("+1 555 0100")),
        contact("Revenue operations", "owner of the Salesforce data", "revenue-operations@example.com", None),
    ]
}

pub(crate) fn figure(name: &str, value: &str) -> Figure {
    Figure::new(name, value)
}

pub(crate) fn link(name: &str, url: &str) -> Link {
    Link { name: name.to_owned(), url: url.to_owned() }
}

/// Replaces every text of a notice by the given ones, in turn, and makes every list long.
pub(crate) fn stuffed(notice: Body, texts: &[String]) -> Body {
    let mut texts = texts.iter().cycle().cloned();
    let mut next = || texts.next().unwrap_or_default();
    let owner = next();
    Body {
        schema: notice.schema,
        id: next(),
        kind: notice.kind,
        dedup_key: next(),
        generation: notice.generation,
        sequence: notice.sequence,
        pipeline: next(),
        check: next(),
        subject: next(),
        severity: notice.severity,
        title: next(),
        summary: next(),
        figures: (0..60).map(|_| Figure::new(&next(), next())).collect(),
        cause: next(),
        class: Some(next()),
        opened_at: notice.opened_at,
        resolved_at: notice.resolved_at,
        open_for_seconds: notice.open_for_seconds,
        runbook: Some(next()),
        command: Some(next()),
        link: Some(next()),
        contacts: (0..8)
            .map(|_| Contact {
                name: owner.clone(),
                role: next(),
                email: Some(next()),
                phone: Some(next()),
                ..Contact::default()
            })
            .collect(),
        label: Some(next()),
        note: Some(next()),
        consequence: Some(next()),
        next_attempt: Some(next()),
        steps: (0..20).map(|_| next()).collect(),
        acknowledge: Some(next()),
        acknowledged: Some(next()),
        owner: Some(owner.clone()),
        escalate_to: Some(next()),
        links: (0..20).map(|_| Link { name: next(), url: next() }).collect(),
        test: notice.test,
    }
}

/// Texts that try to mention people, to make links and marks, to hide, or to end the structure around them.
pub(crate) const HOSTILE: [&str; 14] = [
    "<!channel> <!here> <@U0123ABCD> <!subteam^S0123ABCD>",
    "@channel @here @all @everyone",
    "<https://evil.example|Runbook>",
    "[Runbook](https://evil.example) ![x](https://evil.example/x.png)",
    "https://evil.example/?a=1&b=<2>|3",
    "javascript:alert(1)",
    "*bold* _italic_ ~gone~ `code` ```block``` > quote",
    "<at>Ada</at> <b>bold</b> <script>alert(1)</script> &lt;!channel&gt;",
    "{{DATE(2020-01-01T00:00:00Z, SHORT)}} ${subject} @{triggerBody()}",
    "\u{202e}txet desrever\u{202c} \u{2066}isolated\u{2069}",
    "in\u{200b}vis\u{ad}ible\u{feff}",
    "lines\r\nof\u{2028}text\u{2029}end",
    "\u{0}\u{7}\u{1b}[31mred\u{9b}0m\u{7f}",
    "\"},{\"type\":\"TextBlock\",\"text\":\"**x**",
];

/// Any texts: among them long ones, ones of many bytes a character, and hostile ones.
pub(crate) fn any_texts() -> impl Strategy<Value = Vec<String>> {
    let one = prop_oneof![
        any::<String>(),
        "[&<>|`*_@ \\x00-\\x1f]{0,400}",
        "https://[a-z&|]{0,1200}",
        prop::sample::select(&HOSTILE[..]).prop_map(str::to_owned),
        (prop::sample::select(&HOSTILE[..]), 1_usize..200).prop_map(|(text, times)| text.repeat(times)),
        ("\\PC", 0_usize..3_000).prop_map(|(piece, times)| piece.repeat(times)),
        (any::<char>(), 200_usize..1_200).prop_map(|(piece, times)| piece.to_string().repeat(times)),
    ];
    prop::collection::vec(one, 1..12)
}
