//! The faults of Census, by name.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::schedule::SimSchedule;
use super::world::{SimSync, World};

/// A fault of the world: Census answers, and its answer reports a problem.
///
/// As JSON: `{"fault": "reject", "sync": 3394022, "percent": 12}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    Pause {
        sync: u64,
    },
    /// The sync is deleted. Cannot be healed.
    Delete {
        sync: u64,
    },
    /// The schedule is changed, given in Census's format.
    ChangeSchedule {
        sync: u64,
        /// Such as `{"frequency": "hourly"}`.
        schedule: serde_json::Value,
    },
    /// The mappings are changed, given in Census's format.
    ChangeMapping {
        sync: u64,
        /// Such as `[{"from": {"type": "column", "data": "city"}, "to": "Name"}]`.
        mappings: serde_json::Value,
    },
    /// The run in progress, or the next one, never ends.
    Hang {
        sync: u64,
    },
    Fail {
        sync: u64,
        code: String,
        message: String,
    },
    /// The destination rejects a share of the records.
    Reject {
        sync: u64,
        /// The share, in percent.
        percent: u32,
        /// The destination's message for each record; by default that of a validation rule.
        #[serde(default)]
        message: Option<String>,
    },
    /// Census leaves out a share of the records as invalid.
    Invalid {
        sync: u64,
        /// The share, in percent.
        percent: u32,
    },
    /// Runs carry no counts.
    NullCounts {
        sync: u64,
    },
    /// Runs select no records, and complete: a filter lets none through.
    SelectNothing {
        sync: u64,
    },
    /// The schedule silently does not fire.
    HoldSchedule {
        sync: u64,
    },
    /// New runs are skipped, as if another were still working.
    Skip {
        sync: u64,
    },
    /// New runs are missing from the list of runs at first; reading one by its id works.
    ListedLate {
        sync: u64,
        /// For how many seconds.
        seconds: i64,
    },
    LateStart {
        sync: u64,
        /// By how many minutes.
        minutes: i64,
    },
    SlowRuns {
        sync: u64,
        factor: i32,
    },
    /// The vendor's own alert on failed records is loosened.
    LooseAlerts {
        sync: u64,
        /// The new threshold, in percent.
        percent: u32,
    },
    /// The vendor's own alerts are turned off.
    AlertsOff {
        sync: u64,
    },
    UndeclaredSync {
        sync: u64,
    },
    /// Runs in progress show an undocumented status.
    UnknownStatus {
        sync: u64,
        word: String,
    },
    ClockSkew {
        /// Seconds ahead; negative when behind.
        seconds: i64,
    },
}

/// A fault of the network or of Census's front door.
///
/// As JSON: `{"fault": "rate-limited", "retry_after": "2", "times": 3}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HttpFault {
    /// Every request gets a 500 with a page of HTML.
    Down,
    /// The next `times` requests get a 429.
    RateLimited {
        /// The `Retry-After` header: seconds or an HTTP date; no header if empty.
        #[serde(default)]
        retry_after: String,
        times: u32,
    },
    Unauthorized,
    /// Answers are delayed.
    Slow {
        /// Milliseconds.
        ms: u64,
    },
    /// Answers are truncated JSON.
    MalformedJson,
    EmptyBody,
    /// The connection is closed without an answer.
    Dropped,
    /// A gateway answers 502 after `ms` milliseconds.
    SlowFailure {
        ms: u64,
    },
    /// This sync is deleted after the first page of the list of syncs: later entries move up a place.
    DeletedAfterFirstPage {
        sync: u64,
    },
    /// This sync is added after the first page of the list of syncs: later entries move down a place.
    AddedAfterFirstPage {
        sync: u64,
    },
    /// From its second page on, the list of syncs is oldest first.
    ReorderedAfterFirstPage,
    /// Lists carry no pagination fields.
    NoPagination,
    /// The list of syncs has an object as this sync's id.
    UnreadableId {
        sync: u64,
    },
    /// The token may not read the runs of this sync.
    ForbiddenRuns {
        sync: u64,
    },
    /// The token may only read. The lab refuses after the effect of a request, so use it with requests that must not be repeated.
    ForbiddenWrites,
    /// V2 has no runs: their paths there are not documented.
    NoRunsInV2,
    /// The next `times` requests that change something take effect, and the connection is closed without an answer.
    AnswerLost {
        times: u32,
    },
    /// The next `times` requests that change something take effect, and get a 500 with a page of HTML.
    ErrorAfterEffect {
        times: u32,
    },
    /// Webhooks are kept instead of delivered; see `deliver-lost`.
    WebhooksLost,
    WebhooksDuplicated,
    /// Webhooks are delivered out of order.
    WebhooksShuffled,
}

/// A fault that is unknown, or impossible for this sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFault(pub String);

impl std::fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnknownFault {}

impl Fault {
    /// Injects the fault.
    ///
    /// # Errors
    /// The fault names an unknown sync, or a schedule that Census would refuse.
    pub fn inject(&self, world: &mut World) -> Result<(), UnknownFault> {
        if let Some(sync) = self.sync().filter(|id| world.sync(*id).is_none())
            && !matches!(self, Self::UndeclaredSync { .. })
        {
            return Err(UnknownFault(format!("the lab has no sync {sync}")));
        }
        match self.clone() {
            Self::Pause { sync } => world.configure(sync, |sync| sync.paused = true),
            Self::Delete { sync } => {
                world.delete(sync);
            }
            Self::ChangeSchedule { sync, schedule } => {
                let schedule = SimSchedule::from_json(&schedule).map_err(UnknownFault)?;
                world.configure(sync, |sync| {
                    let before = std::mem::replace(&mut sync.schedule, schedule);
                    sync.schedule_before.get_or_insert(before);
                });
            }
            Self::ChangeMapping { sync, mappings } => world.configure(sync, |sync| {
                let before = std::mem::replace(&mut sync.mappings, mappings);
                sync.mappings_before.get_or_insert(before);
            }),
            Self::Hang { sync } => {
                world.ail(sync, |sync| sync.ailments.hang = true);
                world.hang_current(sync);
            }
            Self::Fail { sync, code, message } => {
                world.ail(sync, |sync| sync.ailments.fail = Some((code, message)));
            }
            Self::Reject { sync, percent, message } => world.ail(sync, |sync| {
                sync.ailments.reject_percent = Some(percent);
                sync.ailments.reject_message = message;
            }),
            Self::Invalid { sync, percent } => {
                world.ail(sync, |sync| sync.ailments.invalid_percent = Some(percent));
            }
            Self::NullCounts { sync } => world.ail(sync, |sync| sync.ailments.null_counts = true),
            Self::SelectNothing { sync } => world.ail(sync, |sync| sync.ailments.selects_nothing = true),
            Self::HoldSchedule { sync } => world.ail(sync, |sync| sync.ailments.hold = true),
            Self::Skip { sync } => world.ail(sync, |sync| sync.ailments.skip = true),
            Self::ListedLate { sync, seconds } => {
                world.ail(sync, |sync| sync.ailments.listed_after = SignedDuration::from_secs(seconds));
            }
            Self::LateStart { sync, minutes } => {
                world.ail(sync, |sync| sync.ailments.late_by = Some(SignedDuration::from_mins(minutes)));
            }
            Self::SlowRuns { sync, factor } => {
                world.ail(sync, |sync| sync.ailments.slow_factor = Some(factor));
            }
            Self::LooseAlerts { sync, percent } => {
                world.configure(sync, |sync| sync.alerts.rejected_percent = Some(percent));
            }
            Self::AlertsOff { sync } => world.configure(sync, |sync| {
                sync.alerts.failed_run = false;
                sync.alerts.rejected_percent = None;
            }),
            Self::UndeclaredSync { sync } => {
                let like = world.syncs().next().map(|sync| (sync.schedule.clone(), sync.traffic));
                let Some((schedule, traffic)) = like else {
                    return Err(UnknownFault("the lab has no sync to copy".to_owned()));
                };
                world.add_sync(sync, "Experiment", schedule, traffic);
            }
            Self::UnknownStatus { sync, word } => {
                world.ail(sync, |sync| sync.ailments.status_word = Some(word));
            }
            Self::ClockSkew { seconds } => world.skew = SignedDuration::from_secs(seconds),
        }
        Ok(())
    }

    /// Ends the fault where possible: a deleted sync stays deleted.
    pub fn heal(&self, world: &mut World) {
        let Some(id) = self.sync() else {
            world.skew = SignedDuration::ZERO;
            return;
        };
        match self {
            Self::Pause { .. } => world.configure(id, |sync| sync.paused = false),
            Self::Delete { .. } => {}
            Self::ChangeSchedule { .. } => world.configure(id, |sync| {
                if let Some(before) = sync.schedule_before.take() {
                    sync.schedule = before;
                }
            }),
            Self::ChangeMapping { .. } => world.configure(id, |sync| {
                if let Some(before) = sync.mappings_before.take() {
                    sync.mappings = before;
                }
            }),
            Self::Hang { .. } => {
                world.ail(id, |sync| sync.ailments.hang = false);
                world.cancel_hanging(id);
            }
            Self::LooseAlerts { .. } | Self::AlertsOff { .. } => world.configure(id, |sync| {
                sync.alerts.failed_run = true;
                sync.alerts.rejected_percent = Some(5);
            }),
            Self::UndeclaredSync { .. } => {
                world.delete(id);
            }
            _ => world.ail(id, |sync| self.clear(sync)),
        }
    }

    fn clear(&self, sync: &mut SimSync) {
        let ailments = &mut sync.ailments;
        match self {
            Self::Fail { .. } => ailments.fail = None,
            Self::Reject { .. } => {
                ailments.reject_percent = None;
                ailments.reject_message = None;
            }
            Self::Invalid { .. } => ailments.invalid_percent = None,
            Self::NullCounts { .. } => ailments.null_counts = false,
            Self::SelectNothing { .. } => ailments.selects_nothing = false,
            Self::HoldSchedule { .. } => ailments.hold = false,
            Self::Skip { .. } => ailments.skip = false,
            Self::ListedLate { .. } => ailments.listed_after = SignedDuration::ZERO,
            Self::LateStart { .. } => ailments.late_by = None,
            Self::SlowRuns { .. } => ailments.slow_factor = None,
            Self::UnknownStatus { .. } => ailments.status_word = None,
            _ => {}
        }
    }

    fn sync(&self) -> Option<u64> {
        match self {
            Self::Pause { sync }
            | Self::Delete { sync }
            | Self::ChangeSchedule { sync, .. }
            | Self::ChangeMapping { sync, .. }
            | Self::Hang { sync }
            | Self::Fail { sync, .. }
            | Self::Reject { sync, .. }
            | Self::Invalid { sync, .. }
            | Self::NullCounts { sync }
            | Self::SelectNothing { sync }
            | Self::HoldSchedule { sync }
            | Self::Skip { sync }
            | Self::ListedLate { sync, .. }
            | Self::LateStart { sync, .. }
            | Self::SlowRuns { sync, .. }
            | Self::LooseAlerts { sync, .. }
            | Self::AlertsOff { sync }
            | Self::UndeclaredSync { sync }
            | Self::UnknownStatus { sync, .. } => Some(*sync),
            Self::ClockSkew { .. } => None,
        }
    }
}
