//! Silences at run time: asked for, listed, ended early.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::arguments::NewSilence;
use super::error::Error;
use super::table::columns;
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::finding::{CENSUS, SYNCWATCH};
use syncwatch::pipeline::Pipeline;
use syncwatch::silence::{LONGEST, Scope, Silence, Tally};
use syncwatch::text::{minute_utc, words};

/// The longest part of an owner's name in the id of a silence.
const SLUG_CHARS: usize = 24;

/// Stores a silence from now on.
pub(super) async fn add(
    wanted: &NewSilence,
    pipeline: &Pipeline,
    store: &IncidentStore,
    now: Timestamp,
) -> Result<Silence, Error> {
    if let Some(subject) = wanted.subjects.iter().find(|subject| !pipeline.has_subject(subject)) {
        let syncs = pipeline.syncs.iter().map(|sync| sync.key.clone());
        let known = syncs.chain([CENSUS.to_owned(), SYNCWATCH.to_owned()]).collect();
        return Err(Error::UnknownSubject { subject: subject.clone(), known });
    }
    let until = end_of(wanted.lasts, now)?;
    // One that cannot be read keeps nobody from asking for another; `list` tells of it.
    let (stored, _unreadable) = store.silences(&pipeline.name).await?;
    let known = stored.into_iter().map(|tally| tally.silence.id);
    let declared = pipeline.silences.iter().map(|declared| declared.name.clone());
    let silence = Silence {
        id: new_id(&wanted.owner, now, &known.chain(declared).collect()),
        owner: wanted.owner.clone(),
        reason: wanted.reason.clone(),
        scope: Scope { checks: wanted.checks.clone(), subjects: wanted.subjects.clone() },
        from: now,
        until,
        declared: false,
    };
    store.put_silence(&pipeline.name, &silence).await?;
    Ok(silence)
}

/// What is said of a silence that was stored.
pub(super) fn added(silence: &Silence, now: Timestamp) -> String {
    format!(
        "Silence {}: {} is held back until {} ({}). What it held back is told when it ends.\n\
         To end it early: make silence ARGS='end {}'",
        silence.id,
        silence.scope,
        minute_utc(silence.until),
        words(silence.until.duration_since(now)),
        silence.id
    )
}

/// Every silence that is stored, and those of the pipeline file that hold now.
pub(super) async fn list(
    pipeline: &Pipeline,
    store: &IncidentStore,
    now: Timestamp,
) -> Result<Vec<Tally>, Error> {
    let (stored, unreadable) = store.silences(&pipeline.name).await?;
    if let Some(unreadable) = unreadable.into_iter().next() {
        return Err(unreadable.into());
    }
    let mut listed = stored;
    // Of those of the file, one that has held something back is stored as well; whether it holds is for the file to say.
    for tally in listed.iter_mut().filter(|tally| tally.silence.declared) {
        tally.silence.until = tally.silence.until.min(now);
    }
    for silence in pipeline.silences.iter().filter_map(|declared| declared.active_at(now)) {
        match listed.iter_mut().find(|tally| tally.silence.id == silence.id) {
            Some(tally) => tally.silence = silence,
            None => listed.push(Tally { silence, held_back: 0, incidents: Vec::new(), told: 0, tellings: 0 }),
        }
    }
    listed.sort_by_key(|tally| std::cmp::Reverse(tally.silence.until));
    Ok(listed)
}

/// The list as people read it; with those that are over, if `all`.
pub(super) fn table(listed: &[Tally], all: bool, now: Timestamp) -> String {
    let (over, live): (Vec<&Tally>, Vec<&Tally>) =
        listed.iter().partition(|tally| tally.silence.is_over(now));
    let shown: Vec<&Tally> = live.iter().chain(over.iter().filter(|_| all)).copied().collect();
    let hidden = if all { 0 } else { over.len() };
    let hint = if hidden == 0 {
        String::new()
    } else {
        format!("\n{hidden} more of the last 90 days are over: make silence ARGS='list --all'")
    };
    if shown.is_empty() {
        return format!("No silence holds.{hint}");
    }
    let rows: Vec<[String; 7]> = shown.iter().map(|tally| row(tally, now)).collect();
    columns(["silence", "covers", "until", "left", "held back", "owner", "reason"], &rows) + &hint
}

fn row(tally: &Tally, now: Timestamp) -> [String; 7] {
    let Tally { silence, held_back, .. } = tally;
    let left =
        if silence.is_over(now) { "over".to_owned() } else { words(silence.until.duration_since(now)) };
    let declared = if silence.declared { " (pipeline.toml)" } else { "" };
    [
        format!("{}{declared}", silence.id),
        silence.scope.to_string(),
        minute_utc(silence.until),
        left,
        held_back.to_string(),
        silence.owner.clone(),
        silence.reason.clone(),
    ]
}

/// Ends a silence at this moment; answers with it, and what it held back.
pub(super) async fn end(
    id: &str,
    pipeline: &Pipeline,
    store: &IncidentStore,
    now: Timestamp,
) -> Result<Tally, Error> {
    if is_declared(pipeline, id) {
        // A function would go on to hold by the file, whatever is stored.
        return Err(Error::SilenceDeclared { id: id.to_owned() });
    }
    let (stored, _unreadable) = store.silences(&pipeline.name).await?;
    let Some(mut tally) = stored.into_iter().find(|tally| tally.silence.id == id) else {
        return Err(Error::NoSilence { id: id.to_owned() });
    };
    if tally.silence.is_over(now) {
        return Err(Error::SilenceOver { id: id.to_owned(), until: minute_utc(tally.silence.until) });
    }
    tally.silence.until = now;
    store.put_silence(&pipeline.name, &tally.silence).await?;
    Ok(tally)
}

/// What is said of a silence that was ended.
pub(super) fn ended(tally: &Tally) -> String {
    let Tally { silence, held_back, incidents, .. } = tally;
    let what = match (held_back, incidents.len()) {
        (0, _) => "It held nothing back.".to_owned(),
        (1, _) => "It held 1 notice back, which the next round tells.".to_owned(),
        (notices, 1) => {
            format!("It held {notices} notices of 1 incident back, which the next round tells.")
        }
        (notices, incidents) => {
            format!("It held {notices} notices of {incidents} incidents back, which the next round tells.")
        }
    };
    format!("Silence {} is over. {what}", silence.id)
}

/// When something ends that lasts so long from now on.
pub(super) fn end_of(lasts: SignedDuration, now: Timestamp) -> Result<Timestamp, Error> {
    if lasts <= SignedDuration::ZERO || lasts > LONGEST {
        return Err(Error::TooLong);
    }
    now.checked_add(lasts).map_err(|_| Error::TooLong)
}

/// Whether the id is that of a silence of the pipeline file, or of one stretch of it.
fn is_declared(pipeline: &Pipeline, id: &str) -> bool {
    let name = id.split_once('@').map_or(id, |(name, _)| name);
    pipeline.silences.iter().any(|declared| declared.name == name)
}

/// An id that nobody has: who, when, and a count if that is not enough.
fn new_id(owner: &str, now: Timestamp, taken: &BTreeSet<String>) -> String {
    let id = format!("{}-{}", slug(owner), now.strftime("%Y%m%dT%H%MZ"));
    let counted = (2..).map(|count| format!("{id}-{count}"));
    std::iter::once(id.clone()).chain(counted).find(|id| !taken.contains(id)).unwrap_or(id)
}

/// A name in lower-case ASCII, digits and single dashes.
fn slug(name: &str) -> String {
    let words: Vec<&str> =
        name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let slug: String = words.join("-").to_ascii_lowercase().chars().take(SLUG_CHARS).collect();
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "silence".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-24T10:00:30Z".parse().unwrap()
    }

    #[test]
    fn an_id_says_who_and_when_and_is_nobody_else_s() {
        let mut taken = BTreeSet::new();
        for expected in ["ada-20261124T1000Z", "ada-20261124T1000Z-2", "ada-20261124T1000Z-3"] {
            let id = new_id("Ada", now(), &taken);
            assert_eq!(id, expected);
            taken.insert(id);
        }
        let slugs =
            ["Ada Lovelace <ada@example.com>", "Ärztin", "  ", "数据", "a--b", "Revenue operations of EMEA"];
        assert_eq!(
            slugs.map(slug),
            ["ada-lovelace-ada-example", "rztin", "silence", "silence", "a-b", "revenue-operations-of-em"]
        );
    }

    #[test]
    fn quiet_has_an_end_within_a_month() {
        assert_eq!(end_of(LONGEST, now()).unwrap(), now() + LONGEST);
        let second = SignedDuration::from_secs(1);
        for lasts in [SignedDuration::ZERO, -second, LONGEST + second, SignedDuration::MAX] {
            assert!(matches!(end_of(lasts, now()), Err(Error::TooLong)), "{lasts}");
        }
    }
}
