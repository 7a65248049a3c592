//! The runs that people started, as the nightly snapshot records them.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Kept, Source};
use crate::observation::Run;
use crate::text::minute_utc;

/// The most runs that are kept.
const REMEMBERED: usize = 100;
/// A record that was not continued for so long does not cover the last whole day.
const STALE: SignedDuration = SignedDuration::from_hours(36);
/// A run of unknown start leaves the record unknown for so long; older ones only shorten it.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The runs of the declared syncs that people started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunsByHand {
    /// All runs from this instant on were read (UTC).
    pub since: Timestamp,
    /// When they were last read (UTC).
    pub until: Timestamp,
    /// When the runs that people started were created, oldest first (UTC).
    pub at: Vec<Timestamp>,
    /// When the newest run was created of which Census does not state how it was started (UTC).
    pub unknown_at: Option<Timestamp>,
}

impl RunsByHand {
    /// Selects among all runs that were created in a span.
    pub fn among<'r>(runs: impl IntoIterator<Item = &'r Run>, since: Timestamp, until: Timestamp) -> Self {
        let mut found = Self { since, until, at: Vec::new(), unknown_at: None };
        for run in runs.into_iter().filter(|run| run.created_at >= since) {
            match run.by_hand {
                Some(true) => found.at.push(run.created_at),
                Some(false) => {}
                None => found.unknown_at = found.unknown_at.max(Some(run.created_at)),
            }
        }
        found
    }

    /// Continues an earlier record. If runs between the two were not read, the new one stands alone.
    #[must_use]
    pub fn continuing(mut self, before: Option<Self>) -> Self {
        if let Some(before) = before.filter(|before| before.until >= self.since) {
            self.since = self.since.min(before.since);
            self.until = self.until.max(before.until);
            self.unknown_at = self.unknown_at.max(before.unknown_at);
            self.at.extend(before.at);
        }
        self.at.sort_unstable();
        self.at.dedup();
        let beyond = self.at.len().saturating_sub(REMEMBERED);
        if let Some(lost) = self.at.drain(..beyond).next_back() {
            self.since = self.since.max(lost);
        }
        self
    }

    /// The runs as manual acts, or the reason why they are unknown.
    pub fn source(&self, now: Timestamp) -> Source<Timestamp> {
        if now.duration_since(self.until) > STALE {
            return Err(format!("not read since {}", minute_utc(self.until)));
        }
        match self.unknown_at {
            Some(at) if now.duration_since(at) < WEEK => {
                Err(format!("Census does not state how the run of {} was started", minute_utc(at)))
            }
            unknown_at => Ok(Kept {
                since: unknown_at.max(Some(self.since)).unwrap_or(self.since),
                records: self.at.clone(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Counts, RunId, RunStatus};

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + hour * 3_600).unwrap()
    }

    fn run(hour: i64, by_hand: Option<bool>) -> Run {
        Run {
            id: RunId(7),
            sync_id: None,
            status: RunStatus::Completed,
            created_at: at(hour),
            completed_at: None,
            scheduled_for: None,
            by_hand,
            counts: Counts::default(),
            error: None,
            full_sync: None,
        }
    }

    fn night(since: i64, runs: &[Run]) -> RunsByHand {
        RunsByHand::among(runs, at(since), at(since + 24))
    }

    #[test]
    fn nights_add_up_and_a_run_read_twice_counts_once() {
        let first = night(0, &[run(3, Some(true)), run(4, Some(false)), run(-1, Some(true))]);
        assert_eq!(first.at, [at(3)], "a run from before the span is left out");
        let both = night(2, &[run(3, Some(true)), run(20, Some(true))]).continuing(Some(first));
        assert_eq!((both.since, both.until, &both.at[..]), (at(0), at(26), &[at(3), at(20)][..]));
        let kept = both.source(at(30)).unwrap();
        assert_eq!((kept.since, kept.records), (at(0), vec![at(3), at(20)]));
    }

    #[test]
    fn unread_runs_between_two_nights_begin_the_record_anew() {
        let gap = night(25, &[]).continuing(Some(night(0, &[run(3, Some(true))])));
        assert_eq!((gap.since, gap.at.len()), (at(25), 0));
    }

    #[test]
    fn unknown_start_leaves_the_record_unknown_for_a_week() {
        let found = night(0, &[run(3, None), run(4, Some(true))]);
        assert!(found.source(at(24)).unwrap_err().starts_with("Census does not state how the run of "));
        let week = 7 * 24;
        let later = night(week, &[]).continuing(Some(RunsByHand { until: at(week), ..found }));
        assert_eq!(later.source(at(week + 24)).unwrap().since, at(3));
    }

    #[test]
    fn record_that_is_not_continued_is_unknown() {
        let found = night(0, &[]);
        assert!(found.source(at(24 + 36)).is_ok());
        assert!(found.source(at(24 + 37)).unwrap_err().starts_with("not read since "));
    }

    #[test]
    fn record_is_bounded_and_begins_after_a_lost_run() {
        let runs: Vec<Run> = (0..130).map(|hour| run(hour, Some(true))).collect();
        let found = RunsByHand::among(&runs, at(0), at(130)).continuing(None);
        assert_eq!((found.at.len(), found.since, found.at[0]), (100, at(29), at(30)));
    }
}
