//! Judges that more than one function needs. Pure: observations in, findings out, `now` an argument.

pub mod data;
mod reason;
mod runs;
mod snapshot;
mod sync;

pub use runs::{RUN_CHECKS, judge_runs, run_to_sample};
pub use snapshot::{SNAPSHOT_CHECKS, judge_snapshot_written};
pub use sync::{CLOCK_SKEW_LIMIT, SYNC_CHECKS, judge_sync, judging_time};

use crate::finding::{CENSUS, Check, WhyNot};
use crate::observation::Unread;

/// Why a check is not evaluated when what it needs could not be read: under the finding that tells why.
pub fn unread(why: &Unread) -> WhyNot {
    match why {
        Unread::Unreachable(_) => WhyNot::Under { cause: Check::ApiReachable, subject: CENSUS.to_owned() },
        Unread::Refused(_) | Unread::NoCredentials(_) => {
            WhyNot::Under { cause: Check::TokenAccepted, subject: CENSUS.to_owned() }
        }
        Unread::Unreadable(found) => WhyNot::Unreadable { found: found.clone() },
    }
}
