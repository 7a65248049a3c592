//! Renders a notice as mail: plain text for an on-call person, as SNS delivers it, at most 72 columns and 40 lines; a report has 80.

use jiff::SignedDuration;

use super::{Body, cut, local};
use crate::figure::Figure;
use crate::incident::NoticeKind;
use crate::pipeline::{Contact, Pipeline};
use crate::text::words;

/// Columns of a line, with its indent. Links, commands and addresses are never broken, so they may be longer.
const WIDTH: usize = 72;
const INDENT: &str = "  ";
/// Columns of the indent of further lines.
const HANGING: usize = 5;
/// Lines of a mail.
const LINES: usize = 40;
/// Characters that are left of a long sentence, where figures alone do not make a mail short enough: the first length that
/// fits is taken.
const SENTENCES: [usize; 3] = [1_000, 280, SHORTEST];
const SHORTEST: usize = 70;
/// Figures that are left where not all have room, likewise.
const FIGURES: [usize; 3] = [12, 6, 3];
/// Contacts that are named, beside the owner and the one to escalate to.
const CONTACTS: usize = 3;

/// The mail: problem, start, impact, evidence, likely cause, steps, links, contacts. As many figures as there is room for.
pub(super) fn text(body: &Body, pipeline: &Pipeline) -> String {
    let all = body.figures.len();
    let sizes = FIGURES.into_iter().filter(move |figures| *figures < all);
    // Cutting a sentence loses less than the last figures, so a few of these stay.
    let kept = SENTENCES
        .into_iter()
        .flat_map(|chars| [all].into_iter().chain(sizes.clone()).map(move |figures| (chars, figures)));
    let kept = kept.chain([(SHORTEST, 0)]);
    // Blank lines between sections are the first to go.
    let spaced = [(1_000, all, true)].into_iter();
    let layouts = spaced.chain(kept.map(|(chars, figures)| (chars, figures, false)));
    let mut texts =
        layouts.map(|(chars, figures, spaced)| whole(body, pipeline, chars, figures).text(spaced));
    // A report is read in daylight, and each of its lines matters.
    let most = if body.kind == NoticeKind::Report { 2 * LINES } else { LINES };
    let fits = |text: &String| text.lines().count() <= most;
    texts.find(fits).unwrap_or_else(|| cut(&body.title, WIDTH))
}

fn whole(body: &Body, pipeline: &Pipeline, chars: usize, figures: usize) -> Mail {
    let mut mail = Mail::default();
    let short = |text: &str| wrap(&cut(text, chars));
    let open_for = words(SignedDuration::from_secs(body.open_for_seconds));
    let is_report = body.kind == NoticeKind::Report;
    mail.section(
        if is_report { "SUMMARY" } else { "PROBLEM" },
        [short(&body.summary), body.note.as_deref().map(short).unwrap_or_default()].concat(),
    );
    let since = local(body.opened_at, pipeline);
    match body
        .resolved_at
        .filter(|_| matches!(body.kind, NoticeKind::Resolved | NoticeKind::HeldBack | NoticeKind::Report))
    {
        Some(end) => mail.section("FROM, TO", vec![since, local(end, pipeline)]),
        None => mail.section("SINCE", vec![format!("{since}, {open_for} ago")]),
    }
    let next = body.next_attempt.as_ref().map(|next| format!("Next run: {next}"));
    let consequence = body.consequence.as_deref().map(short).unwrap_or_default();
    mail.section("IMPACT", consequence.into_iter().chain(next).collect::<Vec<_>>());
    if is_report {
        let line = |figure: &Figure| hanging(&format!("{}: {}", figure.name, figure.text()));
        mail.section("REPORT", body.figures.iter().take(figures).flat_map(line));
    } else {
        mail.section("EVIDENCE", evidence(&body.figures, figures));
    }
    let steps = |mail: &mut Mail| mail.section("WHAT TO DO", steps(body, chars));
    match body.kind {
        NoticeKind::Resolved => mail.section("WHAT TO DO", vec!["Nothing.".to_owned()]),
        NoticeKind::HeldBack | NoticeKind::Note | NoticeKind::Report | NoticeKind::Acknowledged => {
            mail.section("WHAT THIS MEANS", short(&body.cause));
            steps(&mut mail);
        }
        _ => {
            mail.section("LIKELY CAUSE", short(&body.cause));
            steps(&mut mail);
        }
    }
    mail.section("LINKS", links(body));
    if body.kind.asks() {
        mail.section("CONTACTS", contacts(body));
    }
    mail.sign(body)
}

/// The sections of a mail, each with its lines.
#[derive(Default)]
struct Mail(Vec<Vec<String>>);

impl Mail {
    fn section(&mut self, name: &str, lines: impl IntoIterator<Item = String>) {
        let lines: Vec<String> = lines.into_iter().map(|line| format!("{INDENT}{line}")).collect();
        if !lines.is_empty() {
            self.0.push([name.to_owned()].into_iter().chain(lines).collect());
        }
    }

    fn sign(mut self, body: &Body) -> Self {
        let about = match body.kind {
            NoticeKind::HeldBack => "silence",
            NoticeKind::Note => "remedy",
            NoticeKind::Report => "report",
            _ => "incident",
        };
        let id = format!(
            "Syncwatch, {about} {}, number {}, notice {}",
            body.dedup_key, body.generation, body.sequence
        );
        self.0.push(vec!["-- ".to_owned(), id]);
        self
    }

    fn text(&self, spaced: bool) -> String {
        let between = if spaced { "\n\n" } else { "\n" };
        self.0.iter().map(|section| section.join("\n")).collect::<Vec<_>>().join(between) + "\n"
    }
}

fn evidence(figures: &[Figure], room: usize) -> Vec<String> {
    let shown = figures.get(..room).unwrap_or(figures);
    let widest = shown.iter().map(|figure| figure.name.chars().count()).max().unwrap_or(0);
    let line = |figure: &Figure| {
        let line = format!("{:widest$}  {}", figure.name, figure.text());
        if line.chars().count() <= WIDTH - INDENT.len() { vec![line] } else { hanging(&line) }
    };
    let mut lines: Vec<String> = shown.iter().flat_map(line).collect();
    match figures.len() - shown.len() {
        0 => {}
        1 => lines.push("1 more figure".to_owned()),
        more => lines.push(format!("{more} more figures")),
    }
    lines
}

fn steps(body: &Body, chars: usize) -> Vec<String> {
    let numbered = body
        .steps
        .iter()
        .enumerate()
        .flat_map(|(index, step)| hanging(&format!("{}. {}", index + 1, cut(step, chars))));
    let mut steps: Vec<String> = numbered.collect();
    steps.extend(body.command.iter().map(|command| format!("Inspect (read-only): {command}")));
    steps.extend(body.acknowledge.iter().map(|command| format!("Acknowledge: {command}")));
    steps
}

fn links(body: &Body) -> Vec<String> {
    let runbook = body.runbook.iter().map(|url| format!("Runbook: {url}"));
    runbook.chain(body.links.iter().map(|link| format!("{}: {}", link.name, link.url))).collect()
}

/// The owner, the contact to escalate to, and others, with their part in this incident.
fn contacts(body: &Body) -> Vec<String> {
    let line = |contact: &Contact| {
        let part = match Some(&contact.name) {
            name if name == body.owner.as_ref() => "Owner: ",
            name if name == body.escalate_to.as_ref() => "Escalate to: ",
            _ => "",
        };
        hanging(&format!("{part}{} ({}): {}", contact.name, contact.role, contact.reach()))
    };
    body.contacts.iter().take(CONTACTS).flat_map(line).collect()
}

/// Wrapped, with its further lines below the text of the first.
fn hanging(text: &str) -> Vec<String> {
    let mut lines = wrap(text);
    lines.iter_mut().skip(1).for_each(|line| line.insert_str(0, "   "));
    lines
}

fn wrap(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH - HANGING => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
