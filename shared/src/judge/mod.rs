//! All judges. They are pure and never fail: observations in, findings out, `now` an argument.

pub mod data;
mod definition;
mod itself;
pub mod mapping;
mod objects;
mod reason;
mod remedies;
mod runs;
mod silent;
mod snapshot;
pub mod success;
mod sync;
pub mod unusual;
mod workspace;

pub use definition::judge_definition;
pub use itself::{
    judge_checks_ran, judge_dead_letters, judge_itself, judge_objects_compared, judge_subscribers,
    judge_webhooks,
};
pub use objects::{is_apart, judge_not_compared, judge_object};
pub use remedies::judge_remedies;
pub use runs::{judge_runs, run_to_sample};
pub use silent::Habits;
pub(crate) use snapshot::SILENT;
pub use snapshot::judge_snapshot_written;
pub use sync::{CLOCK_SKEW_LIMIT, judge_absent, judge_look, judge_sync, judging_time};
pub use workspace::judge_workspace;

use crate::finding::{CENSUS, Check, WhyNot};
use crate::observation::Unread;

/// Returns why a check is not evaluated when its input could not be read, naming the finding that explains it.
pub fn unread(why: &Unread) -> WhyNot {
    match why {
        Unread::Unreachable(_) => WhyNot::under(Check::ApiReachable, CENSUS),
        Unread::Refused(_) | Unread::NoCredentials(_) => WhyNot::under(Check::TokenAccepted, CENSUS),
        Unread::Unreadable(found) => WhyNot::Unreadable { found: found.clone() },
    }
}
