//! Judges the workspace of Census as a whole.

use super::{CLOCK_SKEW_LIMIT, unread};
use crate::finding::{CENSUS, Check, Evidence, Finding, Severity};
use crate::observation::{Unread, Workspace};
use crate::pipeline::Undeclared;
use crate::text::{named, words};

/// Judges the workspace as a whole, after all of it was read.
///
/// * Census does not answer, cannot be read, or answers for some syncs only => `api-reachable`
/// * Census refuses the token, or there is none to send                     => `token-accepted`
/// * its clock and ours differ                                              => `clock-skew`
/// * syncs that `pipeline.toml` does not declare                            => `undeclared-syncs`
pub fn judge_workspace(workspace: &Workspace, undeclared: Undeclared) -> Vec<Finding> {
    let (reachable, accepted) = (Check::ApiReachable.about(CENSUS), Check::TokenAccepted.about(CENSUS));
    let (reachable, accepted) = match &workspace.trouble {
        None => (
            reachable.healthy(format!("API lists {} syncs", workspace.listed)),
            accepted.healthy("token accepted"),
        ),
        Some(why @ (Unread::Unreachable(what) | Unread::Unreadable(what))) => {
            let (severity, summary, cause) = match why {
                Unread::Unreachable(_) if workspace.read_to_end => (
                    Severity::Error,
                    "API lists all syncs but not the runs of some",
                    "Census has a problem with these syncs, or is slow",
                ),
                Unread::Unreachable(_) => {
                    (Severity::Critical, "API does not answer", "Census is down, or the network between is")
                }
                _ => (
                    Severity::Critical,
                    "API answer cannot be read",
                    "The API changed, or a proxy answers in its place",
                ),
            };
            let evidence = Evidence::new(format!("{summary} ({what})"))
                .with("syncs read before", workspace.listed)
                .with("syncs whose runs are unknown", workspace.unread_runs);
            (reachable.unhealthy(severity, evidence, cause), accepted.under(Check::ApiReachable))
        }
        Some(why @ Unread::NoCredentials(what)) => {
            let evidence = format!("API token unavailable ({what})");
            let cause =
                "The secret is missing, empty or malformed, or the function lacks permission to read it";
            (reachable.not_evaluated(unread(why)), accepted.unhealthy(Severity::Critical, evidence, cause))
        }
        Some(Unread::Refused(what)) => {
            let evidence = format!("API token refused ({what})");
            let cause = "The token was revoked or replaced, or the secret has the token of another workspace";
            (reachable.healthy("API answers"), accepted.unhealthy(Severity::Critical, evidence, cause))
        }
    };
    vec![reachable, accepted, clock_skew(workspace), undeclared_syncs(workspace, undeclared)]
}

fn clock_skew(workspace: &Workspace) -> Finding {
    let about = Check::ClockSkew.about(CENSUS);
    let ahead = match (workspace.vendor_clock_ahead, &workspace.trouble) {
        (Some(ahead), _) => ahead,
        (None, Some(why)) => return about.not_evaluated(unread(why)),
        (None, None) => return about.unknown("Census clock"),
    };
    let direction = if ahead.is_negative() { "behind" } else { "ahead of" };
    let limit = words(CLOCK_SKEW_LIMIT);
    let evidence = format!("clock is {} {direction} ours (limit {limit})", words(ahead.abs()));
    if ahead.abs() <= CLOCK_SKEW_LIMIT {
        return about.healthy(evidence);
    }
    let cause = "One of the two clocks is wrong; runs are judged by Census's clock until they agree";
    about.unhealthy(Severity::Warning, evidence, cause)
}

fn undeclared_syncs(workspace: &Workspace, undeclared: Undeclared) -> Finding {
    let about = Check::UndeclaredSyncs.about(CENSUS);
    if undeclared == Undeclared::Ignore {
        return about.not_declared();
    }
    if let Some(why) = &workspace.trouble {
        return about.not_evaluated(unread(why));
    }
    let count = workspace.undeclared_count;
    let evidence = Evidence::new(format!("{count} undeclared syncs in the workspace"));
    if count == 0 {
        return about.healthy(evidence);
    }
    let evidence = evidence.with("sync ids", named(&workspace.undeclared, count, count));
    let cause =
        "They were created in Census; declare them, or list them in census.ignored_syncs of pipeline.toml";
    about.unhealthy(Severity::Info, evidence, cause)
}

#[cfg(test)]
mod tests;
