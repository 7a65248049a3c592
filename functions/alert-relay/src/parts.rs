//! Parts of a notice that every channel shows in the same words.

use syncwatch::classify::CLASS_FIGURE;
use syncwatch::figure::Figure;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::Body;
use syncwatch::pipeline::Contact;
use syncwatch::text::{counted, plain_line};

/// Contacts and steps beyond these are left out.
const CONTACTS: usize = 3;
const STEPS: usize = 5;

/// Whether the notice asks its reader to act.
pub(crate) fn asks(notice: &Body) -> bool {
    notice.kind.asks()
}

/// The cause with its label, while there is something to explain.
pub(crate) fn cause(notice: &Body) -> Option<(&'static str, &str)> {
    let label = match notice.kind {
        NoticeKind::Resolved | NoticeKind::Acknowledged => return None,
        NoticeKind::HeldBack | NoticeKind::Note | NoticeKind::Report => "What this means",
        _ if notice.test => "Why",
        _ => "Likely cause",
    };
    Some((label, notice.cause.as_str())).filter(|(_, cause)| !cause.trim().is_empty())
}

/// The figures, except the class of the error where the notice names it apart.
pub(crate) fn figures(notice: &Body) -> impl Iterator<Item = &Figure> {
    notice.figures.iter().filter(|figure| notice.class.is_none() || figure.name != CLASS_FIGURE)
}

/// The count of figures that were left out, in words.
pub(crate) fn left_out(figures: usize) -> Option<String> {
    (figures > 0).then(|| counted(figures, "more figure"))
}

/// The first steps.
pub(crate) fn first_steps(notice: &Body) -> impl Iterator<Item = &str> {
    notice.steps.iter().take(STEPS).map(String::as_str)
}

/// The first steps, numbered.
pub(crate) fn steps(notice: &Body) -> impl Iterator<Item = String> {
    first_steps(notice).enumerate().map(|(index, step)| format!("{}. {step}", index + 1))
}

/// The commands with their labels.
pub(crate) fn commands(notice: &Body) -> impl Iterator<Item = (&'static str, &str)> {
    let inspect = notice.command.iter().map(|command| ("Inspect (read-only)", command.as_str()));
    let acknowledge = notice.acknowledge.iter().map(|command| ("Acknowledge", command.as_str()));
    inspect.chain(acknowledge).filter(|(_, command)| !plain_line(command).trim().is_empty())
}

/// The contacts, in the order in which to turn to them; none if no action is needed.
pub(crate) fn contacts(notice: &Body) -> impl Iterator<Item = String> {
    let contacts = if asks(notice) && !notice.test { notice.contacts.as_slice() } else { &[] };
    contacts.iter().take(CONTACTS).map(|contact| {
        let is = |name: &Option<String>| name.as_ref() == Some(&contact.name);
        let label = match () {
            () if is(&notice.owner) => "Owner: ",
            () if is(&notice.escalate_to) => "Escalate to: ",
            () => "",
        };
        let Contact { name, role, .. } = contact;
        let reach = contact.reach();
        let separator = if reach.is_empty() { "" } else { ", " };
        format!("{label}{name} ({role}){separator}{reach}")
    })
}

/// The pages to open whose address is an `http` or `https` URL within the limit: a cut address leads nowhere.
pub(crate) fn links(notice: &Body, limit: usize) -> impl Iterator<Item = (&str, &str)> {
    let runbook = notice.runbook.iter().map(|url| ("Runbook", url.as_str()));
    let pages = runbook.chain(notice.links.iter().map(|page| (page.name.as_str(), page.url.as_str())));
    pages.filter(move |(_, url)| {
        let web = url.starts_with("https://") || url.starts_with("http://");
        web && url.len() <= limit && url.bytes().all(|byte| byte.is_ascii_graphic())
    })
}
