//! Access: the Census token, grants, the integration user, roles, secrets, and our deployment with its subscribers.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::definition::{compared, drift, is_of_rights, is_right};
use super::{Area, Read, Row, Seen, State, action, operators, unknown};
use crate::baseline::{OUR_DEPLOYMENT, UnknownPart};
use crate::pipeline::Pipeline;
use crate::text::{counted, minute_utc, plain_line, words};

/// Credentials are rotated each quarter; this leaves a week to do it.
const OLDEST_SECRET: SignedDuration = SignedDuration::from_hours(100 * 24);
/// A user of the syncs that did not log in for so long may be replaced.
const LAST_LOGIN: SignedDuration = SignedDuration::from_hours(92 * 24);

/// The rows of access.
pub(super) fn rows(seen: &Seen, pipeline: &Pipeline) -> Vec<Row> {
    let row = |subject: &str, state, evidence: &str| Row::new(Area::Access, subject, state, evidence);
    let how =
        "read its owner in the workspace settings of Census, and check that the person still has this duty";
    let mut rows = vec![row("owner of the Census token", unknown(how), "the API of Census does not show it")];
    let rotate = |name: &str| match name.rsplit('/').next().unwrap_or(name) {
        name if name.ends_with("webhook") => {
            "rotate it: syncwatch webhook-register --url URL --rotate".to_owned()
        }
        name => format!("rotate it: make secret NAME={name}"),
    };
    for (name, stored) in &seen.secrets {
        let subject = format!("age of secret {name}");
        let row = match stored {
            Err(why) => Row::unread(Area::Access, subject, why),
            Ok(stored) => {
                let age = seen.at.duration_since(*stored);
                let old = age > OLDEST_SECRET;
                let state = if old { action(operators(pipeline), rotate(name)) } else { State::Ok };
                Row::new(
                    Area::Access,
                    subject,
                    state,
                    format!("stored {} ago, at {}", words(age), minute_utc(*stored)),
                )
            }
        };
        rows.push(row);
    }
    rows.push(grants(seen, pipeline));
    rows.extend(users(seen, pipeline));
    rows.push(roles(&seen.roles, pipeline));
    rows.push(drift(seen, pipeline, Area::Access, "our deployment", |subject| subject == OUR_DEPLOYMENT));
    rows.extend(deployment(seen));
    rows
}

/// Grants and owners of tables and views.
fn grants(seen: &Seen, pipeline: &Pipeline) -> Row {
    let key = (Area::Access, "grants of tables and views".to_owned());
    // A relation that is unknown as a whole has unknown rights, too.
    let is_unknown = |part: &UnknownPart| {
        is_right(part) || (part.what == part.subject() && part.what.starts_with("relation "))
    };
    let mut row = compared(seen, pipeline, key, is_of_rights, is_unknown);
    let mut grants = Vec::new();
    for (name, relation) in &seen.live.definition.relations {
        let of_relation = relation.known().and_then(|relation| relation.grants.known());
        let of_relation = of_relation.into_iter().flatten().map(|grant| plain_line(grant));
        grants.extend(of_relation.map(|grant| format!("{name}: {grant}")));
    }
    if row.state == State::Ok {
        row.evidence =
            format!("{}, as far as our account sees them, {}", counted(grants.len(), "grant"), row.evidence);
        row.details = grants;
    }
    row
}

/// The users with which syncs write to the destination.
fn users(seen: &Seen, pipeline: &Pipeline) -> Vec<Row> {
    let of = |user: &str| format!("integration user {user}");
    match &seen.users {
        None => {
            let how = "declare users = \"TABLE\" beside integration_users in [objects.destination], or read Setup > Users";
            vec![Row::new(Area::Access, "integration user", unknown(how), "no copy of the users is declared")]
        }
        Some(Err(why)) => vec![Row::unread(Area::Access, "integration user", why)],
        Some(Ok(users)) => users
            .iter()
            .map(|user| {
                let (state, evidence) = login(user.found, seen.at, pipeline);
                Row::new(Area::Access, of(&user.id), state, evidence)
            })
            .collect(),
    }
}

fn login(
    found: Option<(Option<Timestamp>, Option<bool>)>,
    now: Timestamp,
    pipeline: &Pipeline,
) -> (State, String) {
    let act = |what: &str| action(operators(pipeline), what);
    match found {
        None => (unknown("read Setup > Users of the destination"), "not in the copy of the users".to_owned()),
        Some((_, Some(false))) => (act("find the user with which Census writes"), "inactive".to_owned()),
        Some((None, _)) => (act("find the user with which Census writes"), "no login in the copy".to_owned()),
        Some((Some(login), _)) => {
            let evidence = format!("last login {}, as far as the copy shows", minute_utc(login));
            let is_old = now.duration_since(login) > LAST_LOGIN;
            (if is_old { act("find the user with which Census writes") } else { State::Ok }, evidence)
        }
    }
}

/// The roles of functions. Their policies are not read: that needs rights which operators of Syncwatch need not have.
fn roles(roles: &Read<BTreeMap<String, String>>, pipeline: &Pipeline) -> Row {
    let row = |state, evidence: String| Row::new(Area::Access, "our IAM roles", state, evidence);
    let roles = match roles {
        Ok(roles) => roles,
        Err(why) => return Row::unread(Area::Access, "our IAM roles", why),
    };
    let mut functions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (function, role) in roles {
        functions.entry(role).or_default().push(function);
    }
    let shared = functions.iter().filter(|(_, of_role)| of_role.len() > 1);
    let shared: Vec<String> = shared.map(|(role, of)| format!("{role}: {}", of.join(", "))).collect();
    if !shared.is_empty() {
        let evidence = format!("{} of several functions", counted(shared.len(), "role"));
        return row(action(operators(pipeline), "deploy again: make deploy"), evidence).with(shared);
    }
    let evidence =
        format!("{}, each with a role of its own; policies not read", counted(roles.len(), "function"));
    row(unknown("terraform -chdir=infra plan shows every policy that was changed by hand"), evidence)
}

/// The parts of our deployment: subscribers each, all others that are not ok each, and the rest in one row.
fn deployment(seen: &Seen) -> Vec<Row> {
    let is_topic = |part: &str| part.starts_with("topic of ") || part == "subscribers";
    let (own, rest): (Vec<_>, Vec<_>) =
        seen.deployment.iter().partition(|part| is_topic(&part.part) || part.state != State::Ok);
    let subject = |part: &str| {
        if is_topic(part) { format!("subscribers, {part}") } else { format!("deployment, {part}") }
    };
    let mut rows: Vec<Row> = own
        .into_iter()
        .map(|part| Row::new(Area::Access, subject(&part.part), part.state.clone(), &*part.found))
        .collect();
    if !rest.is_empty() {
        rows.push(Row::new(
            Area::Access,
            "other parts of the deployment",
            State::Ok,
            format!("{} ok", counted(rest.len(), "part")),
        ));
    }
    rows
}
