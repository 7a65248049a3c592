//! Notices that carry a report. They inform, and never page.

use super::{Body, Message, SENTENCE_CHARS, blank, cut, message, runbook};
use crate::figure::Figure;
use crate::finding::Severity;
use crate::incident::NoticeKind;
use crate::pipeline::Pipeline;
use crate::report::Digest;

/// Renders the notice of a weekly digest: each line is a figure.
pub fn render_digest(digest: &Digest, pipeline: &Pipeline) -> Message {
    let Digest { week, headline, from, until, .. } = digest;
    let key = format!("{}/digest/{week}", pipeline.name);
    let summary = cut(&format!("Week {week} of {}: {headline}", pipeline.name), SENTENCE_CHARS);
    let figures = digest.lines.iter().map(|line| Figure::new(line.topic.label(), line.text.as_str()));
    let body = Body {
        id: format!("{key}#1.1"),
        kind: NoticeKind::Report,
        dedup_key: key,
        check: "digest".to_owned(),
        subject: week.clone(),
        severity: Severity::Info,
        title: format!("[INFO] {summary}"),
        summary,
        figures: figures.collect(),
        cause: format!("Sent once a week. `syncwatch report --week {week}` prints it again"),
        opened_at: *from,
        resolved_at: Some(*until),
        open_for_seconds: until.duration_since(*from).as_secs(),
        runbook: runbook(pipeline, "digest"),
        ..blank(pipeline)
    };
    message(&body, pipeline)
}
