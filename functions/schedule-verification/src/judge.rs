//! Judges what only the whole list of syncs can tell. Pure: no I/O, no clock, no failure.

use syncwatch::finding::CENSUS;
use syncwatch::finding::SYNCWATCH;
use syncwatch::finding::{Check, Evidence, Finding, Severity, WhyNot};
use syncwatch::judge::{CLOCK_SKEW_LIMIT, RUN_CHECKS, SYNC_CHECKS, unread};
use syncwatch::observation::{SyncId, Unread};
use syncwatch::pipeline::{Sync, Undeclared};
use syncwatch::text::words;

use crate::observe::{DeadLetters, Letters, Workspace};

/// Judges a declared sync that was not among the listed ones.
///
/// A list that could not be read to its end says nothing of what it does not show.
pub fn judge_absent(sync: &Sync, trouble: Option<&Unread>) -> Vec<Finding> {
    let others = SYNC_CHECKS.into_iter().skip(1).chain(RUN_CHECKS);
    match trouble {
        None => {
            let evidence =
                Evidence::new(format!("Census does not list sync {}", sync.id)).with("sync id", sync.id);
            let cause = "It was deleted, it moved to another workspace, or the token is of another workspace";
            let why = || WhyNot::Under { cause: Check::SyncExists, subject: sync.key.clone() };
            std::iter::once(Finding::unhealthy(
                Check::SyncExists,
                &sync.key,
                Severity::Critical,
                evidence,
                cause,
            ))
            .chain(others.map(|check| Finding::not_evaluated(check, &sync.key, why())))
            .collect()
        }
        Some(why) => std::iter::once(Check::SyncExists)
            .chain(others)
            .map(|check| Finding::not_evaluated(check, &sync.key, unread(why)))
            .collect(),
    }
}

/// Judges the workspace as a whole, once all of it was looked at.
///
/// * Census does not answer, answers nonsense, or answers for some syncs only => `api-reachable`
/// * Census refuses the token, or there is none to send                       => `token-accepted`
/// * its clock and ours differ                                                => `clock-skew`
/// * syncs that nobody declared                                               => `undeclared-syncs`
pub fn judge_workspace(workspace: &Workspace, undeclared: Undeclared) -> Vec<Finding> {
    let mut findings = match &workspace.trouble {
        None => reachable(workspace),
        Some(why @ (Unread::Unreachable(what) | Unread::Unreadable(what))) => {
            let (severity, summary, cause) = match why {
                Unread::Unreachable(_) if workspace.read_to_end => (
                    Severity::Error,
                    "Census lists the syncs and does not give the runs of some",
                    "Census is in trouble with these syncs, or slow",
                ),
                Unread::Unreachable(_) => (
                    Severity::Critical,
                    "Census does not answer",
                    "Census is down, or the network on the way to it",
                ),
                _ => (
                    Severity::Critical,
                    "Census answers what we cannot read",
                    "The API changed, or something else answers in its place",
                ),
            };
            let evidence = Evidence::new(format!("{summary}: {what}"))
                .with("syncs read before", workspace.listed)
                .with("syncs whose runs are unknown", workspace.unread_runs);
            vec![
                Finding::unhealthy(Check::ApiReachable, CENSUS, severity, evidence, cause),
                Finding::not_evaluated(
                    Check::TokenAccepted,
                    CENSUS,
                    unread(&Unread::Unreachable(String::new())),
                ),
            ]
        }
        Some(why @ Unread::NoCredentials(what)) => {
            let evidence = Evidence::new(format!("there is no token to ask Census with: {what}"));
            let cause = "The secret is missing, empty or malformed, or the function may not read it";
            vec![
                Finding::not_evaluated(Check::ApiReachable, CENSUS, unread(why)),
                Finding::unhealthy(Check::TokenAccepted, CENSUS, Severity::Critical, evidence, cause),
            ]
        }
        Some(Unread::Refused(what)) => {
            let evidence = Evidence::new(format!("Census refuses our token: {what}"));
            let cause = "The token was revoked or replaced, or the secret holds that of another workspace";
            vec![
                Finding::healthy(Check::ApiReachable, CENSUS, Evidence::new("Census answers")),
                Finding::unhealthy(Check::TokenAccepted, CENSUS, Severity::Critical, evidence, cause),
            ]
        }
    };
    findings.push(clock_skew(workspace));
    findings.push(undeclared_syncs(workspace, undeclared));
    findings
}

fn reachable(workspace: &Workspace) -> Vec<Finding> {
    let evidence = Evidence::new(format!("Census lists {} syncs", workspace.listed));
    vec![
        Finding::healthy(Check::ApiReachable, CENSUS, evidence),
        Finding::healthy(Check::TokenAccepted, CENSUS, Evidence::new("Census accepts our token")),
    ]
}

fn clock_skew(workspace: &Workspace) -> Finding {
    let Some(ahead) = workspace.vendor_clock_ahead else {
        if let Some(why) = &workspace.trouble {
            return Finding::not_evaluated(Check::ClockSkew, CENSUS, unread(why));
        }
        let what = "the clock of Census".to_owned();
        return Finding::not_evaluated(Check::ClockSkew, CENSUS, WhyNot::UnknownFigures { what });
    };
    let direction = if ahead.is_negative() { "behind" } else { "ahead of" };
    let evidence = Evidence::new(format!("the clock of Census is {} {direction} ours", words(ahead.abs())));
    if ahead.abs() <= CLOCK_SKEW_LIMIT {
        return Finding::healthy(Check::ClockSkew, CENSUS, evidence);
    }
    let cause = "One of the two clocks is wrong; runs are judged by the clock of Census until they agree";
    Finding::unhealthy(Check::ClockSkew, CENSUS, Severity::Warning, evidence, cause)
}

fn undeclared_syncs(workspace: &Workspace, undeclared: Undeclared) -> Finding {
    let check = Check::UndeclaredSyncs;
    if undeclared == Undeclared::Ignore {
        return Finding::not_evaluated(check, CENSUS, WhyNot::NotDeclared);
    }
    if let Some(why) = &workspace.trouble {
        return Finding::not_evaluated(check, CENSUS, unread(why));
    }
    let count = workspace.undeclared_count;
    let evidence = Evidence::new(format!("{count} syncs of the workspace are not declared"));
    if count == 0 {
        return Finding::healthy(check, CENSUS, evidence);
    }
    let named: Vec<String> = workspace.undeclared.iter().map(SyncId::to_string).collect();
    let more = count.saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let evidence = evidence.with("sync ids", format!("{}{more}", named.join(", ")));
    let cause = "Somebody made them; declare them, or name them in census.ignored_syncs of pipeline.toml";
    Finding::unhealthy(check, CENSUS, Severity::Info, evidence, cause)
}

/// Judges the dead-letter queues: whatever lies there could not be handled, try after try.
///
/// * a notice in there               => somebody was not told: error
/// * a webhook in there              => warning: the poll sees what it hinted at
/// * a queue that cannot be looked at => not evaluated, unless another one tells enough
pub fn judge_dead_letters(queues: &[DeadLetters]) -> Finding {
    let check = Check::DeadLetters;
    let count = |wanted: Letters| {
        let of_kind = queues.iter().filter(move |queue| queue.letters == wanted);
        of_kind.map(|queue| queue.count.as_ref().ok().copied().flatten()).sum::<Option<u64>>()
    };
    let said =
        |count: Option<u64>| count.map_or("an unknown number of".to_owned(), |count| count.to_string());
    let (deliveries, notices) = (count(Letters::Deliveries), count(Letters::Notices));
    let evidence = Evidence::new(format!(
        "{} notices and {} webhooks could not be handled",
        said(notices),
        said(deliveries)
    ));
    let (deliveries, notices) = (deliveries.unwrap_or(0), notices.unwrap_or(0));
    if notices > 0 {
        let cause = "PagerDuty or the chat refuses them, or a secret of theirs is wrong: somebody was not told. The log of \
                     alert-relay names each reason";
        return Finding::unhealthy(check, SYNCWATCH, Severity::Error, evidence, cause);
    }
    if deliveries > 0 {
        let cause = "Census sends webhooks of a shape that we do not know, or of runs that it does not know itself. The \
                     log of webhook-worker names each reason";
        return Finding::unhealthy(check, SYNCWATCH, Severity::Warning, evidence, cause);
    }
    let unknown = queues.iter().find_map(|queue| match &queue.count {
        Ok(Some(_)) => None,
        Ok(None) => Some(WhyNot::UnknownFigures { what: "how many dead letters there are".to_owned() }),
        Err(why) => Some(WhyNot::Unreadable { found: why.clone() }),
    });
    match unknown {
        Some(why) => Finding::not_evaluated(check, SYNCWATCH, why),
        None => {
            Finding::healthy(check, SYNCWATCH, Evidence::new("no notice and no webhook was left unhandled"))
        }
    }
}

#[cfg(test)]
mod tests;
