//! Silences at run time: asked for, listed, ended early.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::arguments::NewSilence;
use super::error::Error;
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::finding::{CENSUS, SYNCWATCH};
use syncwatch::pipeline::Pipeline;
use syncwatch::silence::{Scope, Silence, Tally};
use syncwatch::text::{minute_utc, table, words};

/// The longest part of an owner's name in the id of a silence.
const SLUG_CHARS: usize = 24;

/// Silences, the one that lasts longest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SilenceList {
    /// When they were listed (UTC).
    pub at: Timestamp,
    pub silences: Vec<SilenceLine>,
    /// How many expired ones of the last 90 days are left out.
    pub expired_hidden: usize,
}

/// One silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SilenceLine {
    pub id: String,
    pub owner: String,
    pub reason: String,
    pub scope: Scope,
    pub from: Timestamp,
    pub until: Timestamp,
    /// pipeline.toml declares it.
    pub declared: bool,
    /// How many notices it suppressed.
    pub suppressed: u64,
    /// The incidents that they were about, as `check/subject`.
    pub incidents: Vec<String>,
}

impl SilenceList {
    /// Those that are active, and with `all` those that expired.
    pub(crate) fn of(listed: &[Tally], all: bool, at: Timestamp) -> Self {
        let (expired, active): (Vec<&Tally>, Vec<&Tally>) =
            listed.iter().partition(|tally| tally.silence.is_over(at));
        let shown = active.into_iter().chain(expired.iter().copied().filter(|_| all));
        Self {
            at,
            silences: shown.map(SilenceLine::of).collect(),
            expired_hidden: if all { 0 } else { expired.len() },
        }
    }
}

impl SilenceLine {
    pub(crate) fn of(tally: &Tally) -> Self {
        let Silence { id, owner, reason, scope, from, until, declared } = tally.silence.clone();
        let (suppressed, incidents) = (tally.held_back, tally.incidents.clone());
        Self { id, owner, reason, scope, from, until, declared, suppressed, incidents }
    }

    fn row(&self, at: Timestamp) -> [String; 7] {
        let declared = if self.declared { " (pipeline.toml)" } else { "" };
        let left = self.until.duration_since(at);
        [
            format!("{}{declared}", self.id),
            self.scope.to_string(),
            minute_utc(self.until),
            if left.is_positive() { words(left) } else { "expired".to_owned() },
            self.suppressed.to_string(),
            self.owner.clone(),
            self.reason.clone(),
        ]
    }
}

impl fmt::Display for SilenceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.silences.is_empty() {
            f.write_str("No active silences.")?;
        } else {
            let rows: Vec<[String; 7]> = self.silences.iter().map(|silence| silence.row(self.at)).collect();
            let head = ["silence", "covers", "until", "left", "suppressed", "owner", "reason"];
            f.write_str(&table(head, &rows))?;
        }
        match self.expired_hidden {
            0 => Ok(()),
            hidden => write!(f, "\n{hidden} expired in the last 90 days: syncwatch silence list --all"),
        }
    }
}

/// Stores a silence from now on.
pub(super) async fn add(
    wanted: &NewSilence,
    pipeline: &Pipeline,
    store: &IncidentStore,
    now: Timestamp,
) -> Result<Silence, Error> {
    if let Some(subject) = wanted.subjects.iter().find(|subject| !pipeline.has_subject(subject)) {
        let syncs = pipeline.syncs.iter().map(|sync| sync.key.as_str());
        let known: Vec<&str> = syncs.chain([CENSUS, SYNCWATCH]).collect();
        let what = format!("pipeline.toml has no subject `{subject}`");
        return Err(Error::new(what, format!("use one of {}", known.join(", "))));
    }
    // One that cannot be read keeps nobody from asking for another; `list` reports it.
    let (stored, _unreadable) = store.silences(&pipeline.name).await?;
    let known = stored.into_iter().map(|tally| tally.silence.id);
    let declared = pipeline.silences.iter().map(|declared| declared.name.clone());
    let silence = Silence {
        id: new_id(&wanted.owner, now, &known.chain(declared).collect()),
        owner: wanted.owner.clone(),
        reason: wanted.reason.clone(),
        scope: Scope { checks: wanted.checks.clone(), subjects: wanted.subjects.clone() },
        from: now,
        until: now.saturating_add(wanted.lasts).unwrap_or(now),
        declared: false,
    };
    store.put_silence(&pipeline.name, &silence).await?;
    Ok(silence)
}

/// The answer to a silence that was stored.
pub(super) fn added(silence: &Silence, now: Timestamp) -> String {
    format!(
        "Silence {}: {} is suppressed until {} ({}). When it ends, you get the number of suppressed notices.\n\
         To end it early: syncwatch silence end {}",
        silence.id,
        silence.scope,
        minute_utc(silence.until),
        words(silence.until.duration_since(now)),
        silence.id
    )
}

/// Every silence that is stored, and those of the pipeline file that are active now.
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
    // One of the file that suppressed something is stored as well; whether it is active, the file says.
    for tally in listed.iter_mut().filter(|tally| tally.silence.declared) {
        tally.silence.until = tally.silence.until.min(now);
    }
    for silence in pipeline.silences.iter().filter_map(|declared| declared.active_at(now)) {
        match listed.iter_mut().find(|tally| tally.silence.id == silence.id) {
            Some(tally) => tally.silence = silence,
            None => listed.push(unused(silence)),
        }
    }
    listed.sort_by_key(|tally| std::cmp::Reverse(tally.silence.until));
    Ok(listed)
}

/// A silence that has suppressed nothing yet.
pub(super) fn unused(silence: Silence) -> Tally {
    Tally { silence, held_back: 0, incidents: Vec::new(), told: 0, tellings: 0 }
}

/// Ends a silence at this moment; answers with it, and what it suppressed.
pub(super) async fn end(
    id: &str,
    pipeline: &Pipeline,
    store: &IncidentStore,
    now: Timestamp,
) -> Result<Tally, Error> {
    if is_declared(pipeline, id) {
        // A function would go on by the file, whatever is stored.
        let what = format!("silence {id} is declared in infra/pipeline.toml");
        return Err(Error::new(what, "remove it there, and deploy"));
    }
    let (stored, _unreadable) = store.silences(&pipeline.name).await?;
    let Some(mut tally) = stored.into_iter().find(|tally| tally.silence.id == id) else {
        return Err(Error::new(format!("unknown silence `{id}`"), "`syncwatch silence list` lists them"));
    };
    if tally.silence.is_over(now) {
        let until = minute_utc(tally.silence.until);
        return Err(Error::plain(format!("silence {id} already expired at {until}")));
    }
    tally.silence.until = now;
    store.put_silence(&pipeline.name, &tally.silence).await?;
    Ok(tally)
}

/// The answer to a silence that was ended.
pub(super) fn ended(tally: &Tally) -> String {
    let counted = |n: u64, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let suppressed = match tally.held_back {
        0 => "It suppressed nothing.".to_owned(),
        notices => format!(
            "It suppressed {} of {}, which the next round sends.",
            counted(notices, "notice"),
            counted(tally.incidents.len().try_into().unwrap_or_default(), "incident")
        ),
    };
    format!("Silence {} ended. {suppressed}", tally.silence.id)
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
    fn silence_id_names_owner_and_time_and_is_unique() {
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
}
