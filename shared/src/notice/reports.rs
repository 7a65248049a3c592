//! Notices that carry a report. They inform, and never page.

use jiff::Timestamp;

use super::{Body, Link, Message, SENTENCE_CHARS, blank, cut, links, message, runbook};
use crate::figure::Figure;
use crate::finding::Severity;
use crate::incident::NoticeKind;
use crate::pipeline::Pipeline;
use crate::report::{Digest, Month, Monthly};

/// Renders the notice of a weekly digest: each line is a figure.
pub fn render_digest(digest: &Digest, pipeline: &Pipeline) -> Message {
    let Digest { week, headline, from, until, .. } = digest;
    let figures = digest.lines.iter().map(|line| Figure::new(line.topic.label(), line.text.as_str()));
    let body = Body {
        figures: figures.collect(),
        cause: format!("Sent once a week. `syncwatch report --week {week}` prints it again"),
        ..report(
            pipeline,
            "digest",
            week,
            &format!("Week {week} of {}: {headline}", pipeline.name),
            (*from, *until),
        )
    };
    message(&body, pipeline)
}

/// Renders the notice of a monthly report, with a link to its page if CloudFront serves the pages.
pub fn render_monthly(monthly: &Monthly, month: Month, pipeline: &Pipeline) -> Message {
    let Monthly { month: name, from, until, .. } = monthly;
    let page = pipeline.status_page_url.as_ref().and_then(|url| url.strip_suffix("index.html"));
    let page = page.map(|folder| Link {
        name: format!("Report of {name}, with plots"),
        url: format!("{folder}{}", month.file()),
    });
    let body = Body {
        figures: monthly.lines().into_iter().map(|(label, text)| Figure::new(label, text)).collect(),
        cause: format!(
            "Sent once a month. `syncwatch page --month {name}` links to its page with plots, `syncwatch report --month {name}` \
             prints it"
        ),
        links: page.into_iter().chain(links(pipeline, "")).collect(),
        ..report(
            pipeline,
            "monthly",
            name,
            &format!("Month {name} of {}: {}", pipeline.name, monthly.headline()),
            (*from, *until),
        )
    };
    message(&body, pipeline)
}

/// The parts that all reports share; `check` is also the section of the runbook.
fn report(
    pipeline: &Pipeline,
    check: &str,
    subject: &str,
    summary: &str,
    (from, until): (Timestamp, Timestamp),
) -> Body {
    let key = format!("{}/{check}/{subject}", pipeline.name);
    let summary = cut(summary, SENTENCE_CHARS);
    Body {
        id: format!("{key}#1.1"),
        kind: NoticeKind::Report,
        dedup_key: key,
        check: check.to_owned(),
        subject: subject.to_owned(),
        severity: Severity::Info,
        title: format!("[INFO] {summary}"),
        summary,
        opened_at: from,
        resolved_at: Some(until),
        open_for_seconds: until.duration_since(from).as_secs(),
        runbook: runbook(pipeline, check),
        ..blank(pipeline)
    }
}
