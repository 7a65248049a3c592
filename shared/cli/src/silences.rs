//! Adds, lists and ends silences at run time.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::arguments::{NewSilence, Silencing};
use super::error::Error;
use super::{Answer, Operator, Outcome, all_listed};
use syncwatch::finding::{CENSUS, SYNCWATCH};
use syncwatch::pipeline::Pipeline;
use syncwatch::silence::{Scope, Silence, Tally};
use syncwatch::text::{minute_utc, table, words};

/// Maximum length of the owner's name in a silence's id.
const SLUG_CHARS: usize = 24;

/// Silences, latest end first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceList {
    /// Time of the list (UTC).
    pub at: Timestamp,
    pub silences: Vec<SilenceLine>,
    /// Number of silences that expired in the last 90 days and are not listed.
    pub expired_hidden: usize,
}

/// One silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceLine {
    #[serde(flatten)]
    pub silence: Silence,
    /// Number of suppressed notices.
    pub suppressed: u64,
    /// Incidents of these notices, as `check/subject`.
    pub incidents: Vec<String>,
}

impl From<Tally> for SilenceLine {
    fn from(Tally { silence, held_back: suppressed, incidents, .. }: Tally) -> Self {
        Self { silence, suppressed, incidents }
    }
}

/// Converts a silence that has suppressed nothing yet.
impl From<Silence> for SilenceLine {
    fn from(silence: Silence) -> Self {
        Self { silence, suppressed: 0, incidents: Vec::new() }
    }
}

impl SilenceLine {
    fn row(&self, at: Timestamp) -> [String; 7] {
        let Silence { id, owner, reason, scope, until, declared, .. } = &self.silence;
        let left = until.duration_since(at);
        [
            format!("{id}{}", if *declared { " (pipeline.toml)" } else { "" }),
            scope.to_string(),
            minute_utc(*until),
            if left.is_positive() { words(left) } else { "expired".to_owned() },
            self.suppressed.to_string(),
            owner.clone(),
            reason.clone(),
        ]
    }
}

impl fmt::Display for SilenceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.silences.is_empty() {
            f.write_str("No active silences.")?;
        } else {
            let rows: Vec<_> = self.silences.iter().map(|silence| silence.row(self.at)).collect();
            let head = ["silence", "covers", "until", "left", "suppressed", "owner", "reason"];
            f.write_str(&table(head, &rows))?;
        }
        match self.expired_hidden {
            0 => Ok(()),
            hidden => write!(f, "\n{hidden} expired in the last 90 days: syncwatch silence list --all"),
        }
    }
}

impl Operator {
    pub(super) async fn silence(
        &self,
        asked: &Silencing,
        print: &mut dyn FnMut(&str),
    ) -> Result<Answer, Error> {
        match asked {
            Silencing::Add(wanted) => self.add_silence(wanted).await,
            Silencing::List { all } => self.list_silences(*all, print).await,
            Silencing::End { id } => self.end_silence(id).await,
        }
    }

    async fn add_silence(&self, wanted: &NewSilence) -> Result<Answer, Error> {
        let (pipeline, store, now) = (&self.pipeline, self.incidents()?, self.now);
        if let Some(subject) = wanted.subjects.iter().find(|subject| !pipeline.has_subject(subject)) {
            let syncs = pipeline.syncs.iter().map(|sync| sync.key.as_str());
            let whole = [pipeline.name.as_str(), CENSUS, SYNCWATCH].into_iter();
            let known: Vec<&str> = syncs.chain(whole.filter(|name| pipeline.has_subject(name))).collect();
            let what = format!("pipeline.toml has no subject `{subject}`");
            return Err(Error::new(what, format!("use one of {}", known.join(", "))));
        }
        // An unreadable silence does not block a new one; `silence list` reports it.
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
        let Silence { id, scope, until, .. } = &silence;
        let text = format!(
            "Silence {id} suppresses {scope} until {} ({}). When it ends, you get the number of suppressed notices.\n\
             To end it early: syncwatch silence end {id}",
            minute_utc(*until),
            words(until.duration_since(now)),
        );
        Ok(Answer::new(Outcome::Done, text, &SilenceLine::from(silence)))
    }

    /// Lists stored silences, and those of the pipeline file that are active now. An unreadable one is an error,
    /// after the others are listed.
    async fn list_silences(&self, all: bool, print: &mut dyn FnMut(&str)) -> Result<Answer, Error> {
        let (pipeline, at) = (&self.pipeline, self.now);
        let (stored, unreadable) = self.incidents()?.silences(&pipeline.name).await?;
        let mut listed: Vec<SilenceLine> = stored.into_iter().map(SilenceLine::from).collect();
        // A silence of the file is also stored once it suppresses something; the file decides whether it is active.
        for line in listed.iter_mut().filter(|line| line.silence.declared) {
            line.silence.until = line.silence.until.min(at);
        }
        for silence in pipeline.silences.iter().filter_map(|declared| declared.active_at(at)) {
            match listed.iter_mut().find(|line| line.silence.id == silence.id) {
                Some(line) => line.silence = silence,
                None => listed.push(silence.into()),
            }
        }
        listed.sort_by_key(|line| std::cmp::Reverse(line.silence.until));
        let count = listed.len();
        listed.retain(|line| all || !line.silence.has_ended(at));
        let list = SilenceList { at, expired_hidden: count - listed.len(), silences: listed };
        all_listed(&list, unreadable, print)
    }

    /// Ends a silence now, and answers with the notices that it suppressed.
    async fn end_silence(&self, id: &str) -> Result<Answer, Error> {
        let (pipeline, store, now) = (&self.pipeline, self.incidents()?, self.now);
        if is_declared(pipeline, id) {
            // Functions follow the file and would ignore a stored end.
            let what = format!("silence {id} is declared in infra/pipeline.toml");
            return Err(Error::new(what, "remove it there and deploy"));
        }
        let (stored, _unreadable) = store.silences(&pipeline.name).await?;
        let Some(mut tally) = stored.into_iter().find(|tally| tally.silence.id == id) else {
            return Err(Error::new(format!("unknown silence `{id}`"), "syncwatch silence list"));
        };
        if tally.silence.has_ended(now) {
            let until = minute_utc(tally.silence.until);
            return Err(Error::plain(format!("silence {id} already expired at {until}")));
        }
        tally.silence.until = now;
        store.put_silence(&pipeline.name, &tally.silence).await?;
        let suppressed = match (tally.held_back, tally.incident_count()) {
            (0, _) => "It suppressed nothing.".to_owned(),
            (1, incidents) => format!("It suppressed 1 notice of {incidents}; the next round reports it."),
            (notices, incidents) => {
                format!("It suppressed {notices} notices of {incidents}; the next round reports them.")
            }
        };
        let text = format!("Silence {id} ended. {suppressed}");
        Ok(Answer::new(Outcome::Done, text, &SilenceLine::from(tally)))
    }
}

/// Returns whether the id is that of a silence of the pipeline file, or of one of its periods.
fn is_declared(pipeline: &Pipeline, id: &str) -> bool {
    let name = id.split_once('@').map_or(id, |(name, _)| name);
    pipeline.silences.iter().any(|declared| declared.name == name)
}

/// Builds a free id from the owner, the time and, if that is taken, a count.
fn new_id(owner: &str, now: Timestamp, taken: &BTreeSet<String>) -> String {
    let id = format!("{}-{}", slug(owner), now.strftime("%Y%m%dT%H%MZ"));
    let counted = (2..).map(|count| format!("{id}-{count}"));
    std::iter::once(id.clone()).chain(counted).find(|id| !taken.contains(id)).unwrap_or(id)
}

/// Converts a name to lower-case ASCII, digits and single dashes.
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
