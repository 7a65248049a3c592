//! Turns observations into rows, each with its remedy. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Row;
use super::observe::{FunctionSeen, Observed, ScheduleSeen, Seen, Subscription};
use crate::declared::DeclaredSchedule;
use crate::plan::{Plan, Wish, plan};
use syncwatch::judge::CLOCK_SKEW_LIMIT;
use syncwatch::pipeline::Channels;
use syncwatch::text::{minute_utc, words};

/// A nightly round may be as old as this: a day of 25 hours, and an hour for the round itself.
const NIGHTLY_AGE: SignedDuration = SignedDuration::from_hours(26);
/// A round that a rate fires is late after so many of its periods.
const PERIODS: i32 = 5;

const DEPLOY: &str = "deploy again: make deploy";
const REGISTER: &str = "syncwatch webhook-register --url <the address of webhook-intake>";

/// One row for each thing, in the order in which people would look. What could not be checked is unknown, never a pass.
pub fn judge(observed: &Observed, channels: &Channels) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    rows.extend(observed.functions.iter().flat_map(function));
    rows.extend(observed.secrets.iter().map(secret));
    rows.push(token(&observed.census));
    rows.push(clock(&observed.census));
    rows.extend(observed.warehouse.as_ref().map(warehouse));
    rows.push(topic(&observed.subscriptions, channels));
    rows.extend(observed.alarms.iter().map(alarms));
    rows.push(webhook(observed));
    rows.push(intake(&observed.intake));
    rows.extend(observed.dead_letters.iter().map(dead_letters));
    rows.extend(observed.functions.iter().filter_map(|function| round(function, observed)));
    rows
}

fn function(seen: &FunctionSeen) -> Vec<Row> {
    let what = format!("function {}", seen.name);
    let mut rows = Vec::new();
    rows.push(match (&seen.configuration, &seen.ping) {
        (Err(why), _) => Row::unknown(what, "cannot be checked", why),
        (Ok(set), _) if set.state == "Pending" => {
            Row::unknown(what, "is being created", "run this again in a minute")
        }
        // Lambda calls one inactive that nobody called for weeks; the next event wakes it.
        (Ok(set), _) if !matches!(set.state.as_str(), "Active" | "Inactive") => Row::wrong(
            what,
            format!("is {}", set.state),
            "Lambda cannot run it as it is; deploy again: make deploy",
        ),
        (Ok(set), _) if !set.missing.is_empty() => {
            Row::wrong(what, format!("lacks {}", set.missing.join(", ")), DEPLOY)
        }
        (Ok(_), Some(Err(why))) => Row::wrong(what, "does not start, or fails", why),
        (Ok(_), Some(Ok(()))) => Row::good(what, "active, answers"),
        (Ok(_), None) => Row::good(what, "active"),
    });
    if let Some((wanted, seen_schedule)) = &seen.schedule {
        rows.push(schedule(&seen.name, wanted, seen_schedule));
    }
    if let Some(trigger) = &seen.trigger {
        let what = format!("trigger of {}", seen.name);
        rows.push(match trigger {
            Err(why) => Row::unknown(what, "cannot be checked", why),
            Ok(states) if states.iter().any(|state| state == "Enabled") => Row::good(what, "enabled"),
            Ok(states) if states.is_empty() => Row::wrong(what, "no queue fires it", DEPLOY),
            Ok(states) => Row::wrong(
                what,
                format!("is {}", states.join(", ")),
                "messages of its queue are not handled. If this is not on purpose, deploy again: make deploy",
            ),
        });
    }
    rows
}

fn schedule(name: &str, wanted: &DeclaredSchedule, seen: &Seen<ScheduleSeen>) -> Row {
    let what = format!("schedule {name}");
    let said = |fires: &DeclaredSchedule| format!("{} {}", fires.expression, fires.time_zone);
    match seen {
        Err(why) => Row::unknown(what, "cannot be checked", why),
        Ok(seen) if seen.state != "ENABLED" => Row::wrong(
            what,
            format!("is {}", seen.state),
            "it starts no rounds. If this is not on purpose, deploy again: make deploy",
        ),
        Ok(seen) if seen.fires != *wanted => Row::wrong(
            what,
            format!("{}, expected {}", said(&seen.fires), said(wanted)),
            "it was changed by hand, or an older version is deployed: make deploy",
        ),
        Ok(seen) => Row::good(what, format!("{}, enabled", said(&seen.fires))),
    }
}

fn secret((name, seen): &(String, Seen<()>)) -> Row {
    let what = format!("secret {name}");
    match seen {
        Ok(()) => Row::good(what, "has a value"),
        Err(why) => Row::wrong(what, "cannot be used", why),
    }
}

fn token(census: &Seen<Option<SignedDuration>>) -> Row {
    let what = "Census";
    match census {
        Ok(_) => Row::good(what, "answers, and accepts the token"),
        Err(why) => Row::wrong(what, "cannot be used", why),
    }
}

fn clock(census: &Seen<Option<SignedDuration>>) -> Row {
    let what = "clock";
    let ahead = match census {
        Ok(Some(ahead)) => *ahead,
        Ok(None) => return Row::unknown(what, "Census sent no time", "run this again"),
        Err(_) => return Row::unknown(what, "Census did not answer", "see Census"),
    };
    if ahead.abs() <= CLOCK_SKEW_LIMIT {
        return Row::good(what, "this machine and Census agree");
    }
    let direction = if ahead.is_negative() { "behind" } else { "ahead of" };
    Row::wrong(
        what,
        format!("Census is {} {direction} this machine", words(ahead.abs())),
        "set this machine's clock; if it is right, report it to Census's support",
    )
}

fn warehouse(seen: &Seen<()>) -> Row {
    match seen {
        Ok(()) => Row::good("warehouse", "answers"),
        Err(why) => Row::wrong("warehouse", "cannot be queried", why),
    }
}

/// Somebody must be told: a person who confirmed, or the queue of the relay if the pipeline has a channel.
fn topic(seen: &Seen<Vec<Subscription>>, channels: &Channels) -> Row {
    let what = "topic of notices";
    let subscriptions = match seen {
        Err(why) => return Row::unknown(what, "cannot be checked", why),
        Ok(subscriptions) => subscriptions,
    };
    let pending: Vec<&str> = subscriptions
        .iter()
        .filter(|subscription| !subscription.confirmed)
        .map(|subscription| subscription.reaches.as_str())
        .collect();
    let (relays, others): (Vec<&Subscription>, Vec<&Subscription>) = subscriptions
        .iter()
        .filter(|subscription| subscription.confirmed)
        .partition(|subscription| subscription.protocol == "sqs");
    let has_channel = channels.pagerduty.is_some() || channels.chat.is_some();
    if has_channel && relays.is_empty() {
        return Row::wrong(what, "does not reach the relay, so neither PagerDuty nor the chat", DEPLOY);
    }
    if others.is_empty() && (!has_channel || !pending.is_empty()) {
        let found = if pending.is_empty() {
            "has no subscriber".to_owned()
        } else {
            format!("waits for {}", pending.join(", "))
        };
        return Row::wrong(
            what,
            found,
            "subscribe somebody (the variable `notice_emails`), who then clicks the link in AWS's mail within two days; after \
             that, deploy again for another mail",
        );
    }
    if !pending.is_empty() {
        return Row::wrong(
            what,
            format!("waits for {}", pending.join(", ")),
            "they click the link in AWS's mail, which holds for two days; after that, subscribe them again",
        );
    }
    let reached: Vec<String> = relays
        .iter()
        .chain(&others)
        .map(|subscription| format!("{} {}", subscription.protocol, subscription.reaches))
        .collect();
    Row::good(what, format!("reaches {}", reached.join(", ")))
}

/// Alarms go to whoever hears when nothing of ours works. That of pages may be empty: PagerDuty is optional there.
fn alarms((name, seen): &(String, Seen<Vec<Subscription>>)) -> Row {
    let what = format!("topic {name}");
    let subscriptions = match seen {
        Err(why) => return Row::unknown(what, "cannot be checked", why),
        Ok(subscriptions) => subscriptions,
    };
    let reach = |confirmed: bool| -> Vec<&str> {
        let those = subscriptions.iter().filter(|subscription| subscription.confirmed == confirmed);
        those.map(|subscription| subscription.reaches.as_str()).collect()
    };
    let (reached, pending) = (reach(true), reach(false));
    if !pending.is_empty() {
        return Row::wrong(
            what,
            format!("waits for {}", pending.join(", ")),
            "they click the link in AWS's mail, which holds for two days; after that, subscribe them again",
        );
    }
    if reached.is_empty() && name.ends_with("alarms") {
        return Row::wrong(
            what,
            "has no subscriber",
            "no one would be alerted when Syncwatch itself fails: set the variable `alarm_emails`, and deploy again",
        );
    }
    let found = if reached.is_empty() {
        "no subscriber, which is optional".to_owned()
    } else {
        format!("reaches {}", reached.join(", "))
    };
    Row::good(what, found)
}

fn webhook(observed: &Observed) -> Row {
    let what = "webhook at Census";
    let found = match &observed.webhook {
        Err(why) => return Row::unknown(what, "cannot be checked", why),
        Ok(found) => found,
    };
    match plan(Wish::Register, found) {
        Plan::Keep { id } => Row::good(what, format!("{id} posts every event here")),
        Plan::Create { .. } => {
            Row::wrong(what, "none posts here, so failures are only found by the next poll", REGISTER)
        }
        plan @ (Plan::Subscribe { .. } | Plan::Replace { .. }) => {
            Row::wrong(what, plan.to_string(), REGISTER)
        }
        Plan::Refuse(refusal) => Row::wrong(what, "needs a decision", refusal.to_string()),
    }
}

/// The intake is there if it refuses what nobody signed.
fn intake(seen: &Seen<(u16, String)>) -> Row {
    let what = "intake of webhooks";
    match seen {
        Err(why) => Row::wrong(what, "does not answer", why),
        Ok((401, url)) => Row::good(what, format!("{url} refuses unsigned requests")),
        Ok((status @ (200..=299), url)) => Row::wrong(
            what,
            format!("{url} answers {status} to an unsigned request"),
            "that is not the intake, or not this version of it; compare the address, and deploy again: make deploy",
        ),
        Ok((429, url)) => {
            Row::unknown(what, format!("{url} is throttled (429)"), "run this again in a minute")
        }
        Ok((403, url)) => Row::wrong(
            what,
            format!("{url} may not be called"),
            "Lambda wants two permissions for a public Function URL; deploy again: make deploy",
        ),
        Ok((status, url)) => Row::wrong(
            what,
            format!("{url} answers {status}"),
            "the log of webhook-intake says why, most often that its secret is empty: syncwatch webhook-register",
        ),
    }
}

fn dead_letters((name, seen): &(String, Seen<Option<u64>>)) -> Row {
    let what = format!("dead letters {name}");
    match seen {
        Err(why) => Row::unknown(what, "cannot be checked", why),
        Ok(None) => Row::unknown(what, "SQS sent no count", "run this again"),
        Ok(Some(0)) => Row::good(what, "none"),
        Ok(Some(count)) => Row::wrong(what, format!("{count} messages"), "syncwatch explain dead-letters"),
    }
}

/// When a function last came to the end of a whole round, if it is recorded.
fn round(seen: &FunctionSeen, observed: &Observed) -> Option<Row> {
    let (wanted, _) = seen.schedule.as_ref().filter(|_| seen.has_work)?;
    let what = format!("last round of {}", seen.name);
    let rounds: &BTreeMap<String, Timestamp> = match &observed.rounds {
        Err(why) => return Some(Row::unknown(what, "cannot be checked", why)),
        Ok(rounds) => rounds,
    };
    let limit = age_limit(&wanted.expression);
    Some(match rounds.get(&seen.name) {
        None => Row::wrong(
            what,
            "none",
            format!(
                "after a first deployment, the first is due within {}; otherwise check its log",
                words(limit)
            ),
        ),
        Some(at) => {
            let age = observed.now.duration_since(*at);
            let found = format!("{}, {} ago", minute_utc(*at), words(age));
            if age <= limit {
                Row::good(what, found)
            } else {
                Row::wrong(what, found, "check its schedule above and its log, or invoke it by hand")
            }
        }
    })
}

/// How old the last round of a schedule may be.
fn age_limit(expression: &str) -> SignedDuration {
    rate(expression).and_then(|period| period.checked_mul(PERIODS)).unwrap_or(NIGHTLY_AGE)
}

/// The period of `rate(2 minutes)`.
fn rate(expression: &str) -> Option<SignedDuration> {
    let (number, unit) = expression.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let number: i64 = number.parse().ok()?;
    let seconds = match unit {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3_600,
        "day" | "days" => 86_400,
        _ => return None,
    };
    Some(SignedDuration::from_secs(number.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::observe::Configuration;
    use crate::doctor::{Diagnosis, State};
    use crate::plan::{Found, Slot};
    use syncwatch::census::Webhook;
    use syncwatch::finding::Severity;

    const RELAYED: Channels = Channels { pagerduty: Some(Severity::Critical), chat: None };
    const MAIL_ONLY: Channels = Channels { pagerduty: None, chat: None };

    fn now() -> Timestamp {
        "2026-11-25T12:00:00Z".parse().unwrap()
    }

    fn every_two_minutes() -> DeclaredSchedule {
        DeclaredSchedule { expression: "rate(2 minutes)".to_owned(), time_zone: "UTC".to_owned() }
    }

    fn verification() -> FunctionSeen {
        let seen = ScheduleSeen { state: "ENABLED".to_owned(), fires: every_two_minutes() };
        FunctionSeen {
            name: "schedule-verification".to_owned(),
            configuration: Ok(Configuration { state: "Active".to_owned(), missing: Vec::new() }),
            schedule: Some((every_two_minutes(), Ok(seen))),
            trigger: None,
            ping: Some(Ok(())),
            has_work: true,
        }
    }

    fn relay() -> FunctionSeen {
        FunctionSeen {
            name: "alert-relay".to_owned(),
            schedule: None,
            trigger: Some(Ok(vec!["Enabled".to_owned()])),
            ..verification()
        }
    }

    fn subscription(protocol: &str, confirmed: bool) -> Subscription {
        Subscription { protocol: protocol.to_owned(), reaches: format!("{protocol}-end"), confirmed }
    }

    fn well() -> Observed {
        let webhook = Webhook { id: 7, name: None, endpoint: None, events: Vec::new() };
        Observed {
            functions: vec![relay(), verification()],
            secrets: vec![("syncwatch/census-token".to_owned(), Ok(()))],
            census: Ok(Some(SignedDuration::from_secs(1))),
            warehouse: Some(Ok(())),
            subscriptions: Ok(vec![subscription("sqs", true), subscription("email", true)]),
            alarms: vec![
                ("syncwatch-alarms".to_owned(), Ok(vec![subscription("email", true)])),
                ("syncwatch-page".to_owned(), Ok(Vec::new())),
            ],
            webhook: Ok(Found { ours: vec![webhook], elsewhere: Vec::new(), slot: Slot::Filled }),
            intake: Ok((401, "https://abc.on.aws/webhooks/census".to_owned())),
            dead_letters: vec![("syncwatch-notices-relay-dead".to_owned(), Ok(Some(0)))],
            rounds: Ok([("schedule-verification".to_owned(), now() - SignedDuration::from_secs(90))].into()),
            now: now(),
        }
    }

    #[test]
    fn healthy_deployment_has_no_red_row() {
        let diagnosis = Diagnosis { rows: judge(&well(), &RELAYED) };
        insta::assert_snapshot!(diagnosis);
        assert!(diagnosis.is_good());
    }

    /// What is wrong after one change, with its remedy.
    fn wrong(change: impl FnOnce(&mut Observed)) -> Vec<Row> {
        let mut observed = well();
        change(&mut observed);
        let rows = judge(&observed, &RELAYED).into_iter();
        rows.filter(|row| row.state != State::Ok).collect()
    }

    #[test]
    fn each_fault_is_one_red_row_with_a_remedy() {
        type Change = fn(&mut Observed);
        let refused = || "AWS denied access. Your own credentials need it".to_owned();
        let table: Vec<(&str, Change)> = vec![
            ("function alert-relay", |seen| seen.functions[0].configuration = Err("denied".to_owned())),
            ("function alert-relay", |seen| {
                seen.functions[0].configuration =
                    Ok(Configuration { state: "Failed".to_owned(), missing: Vec::new() });
            }),
            ("function alert-relay", |seen| {
                let missing = vec!["SYNCWATCH_CHAT_SECRET".to_owned()];
                seen.functions[0].configuration = Ok(Configuration { state: "Active".to_owned(), missing });
            }),
            ("function schedule-verification", |seen| {
                seen.functions[1].ping = Some(Err("pipeline.toml: line 3".to_owned()));
            }),
            ("schedule schedule-verification", |seen| {
                let fires = every_two_minutes();
                let disabled = ScheduleSeen { state: "DISABLED".to_owned(), fires: fires.clone() };
                seen.functions[1].schedule = Some((fires, Ok(disabled)));
            }),
            ("schedule schedule-verification", |seen| {
                let fires =
                    DeclaredSchedule { expression: "rate(1 hour)".to_owned(), time_zone: "UTC".to_owned() };
                let changed = ScheduleSeen { state: "ENABLED".to_owned(), fires };
                seen.functions[1].schedule = Some((every_two_minutes(), Ok(changed)));
            }),
            ("schedule schedule-verification", |seen| {
                seen.functions[1].schedule = Some((every_two_minutes(), Err("it does not exist".to_owned())));
            }),
            ("trigger of alert-relay", |seen| seen.functions[0].trigger = Some(Ok(Vec::new()))),
            ("trigger of alert-relay", |seen| {
                seen.functions[0].trigger = Some(Ok(vec!["Disabled".to_owned()]));
            }),
            ("secret syncwatch/census-token", |seen| seen.secrets[0].1 = Err("it is empty".to_owned())),
            ("clock", |seen| seen.census = Ok(Some(SignedDuration::from_mins(-10)))),
            ("clock", |seen| seen.census = Ok(None)),
            ("warehouse", |seen| seen.warehouse = Some(Err("no answer in 60 s".to_owned()))),
            ("topic of notices", |seen| seen.subscriptions = Ok(vec![subscription("email", true)])),
            ("topic of notices", |seen| {
                seen.subscriptions = Ok(vec![subscription("sqs", true), subscription("email", false)]);
            }),
            ("topic syncwatch-alarms", |seen| seen.alarms[0].1 = Ok(Vec::new())),
            ("topic syncwatch-page", |seen| seen.alarms[1].1 = Ok(vec![subscription("https", false)])),
            ("webhook at Census", |seen| {
                seen.webhook = Ok(Found { ours: Vec::new(), elsewhere: Vec::new(), slot: Slot::Empty });
            }),
            ("webhook at Census", |seen| seen.webhook = Err("Census refuses the token".to_owned())),
            ("intake of webhooks", |seen| seen.intake = Ok((202, "https://abc.on.aws".to_owned()))),
            ("intake of webhooks", |seen| seen.intake = Ok((403, "https://abc.on.aws".to_owned()))),
            ("intake of webhooks", |seen| seen.intake = Err("does not answer".to_owned())),
            ("dead letters syncwatch-notices-relay-dead", |seen| seen.dead_letters[0].1 = Ok(Some(3))),
            ("dead letters syncwatch-notices-relay-dead", |seen| seen.dead_letters[0].1 = Ok(None)),
            ("last round of schedule-verification", |seen| seen.rounds = Ok(BTreeMap::new())),
            ("last round of schedule-verification", |seen| {
                let late = now() - SignedDuration::from_mins(11);
                seen.rounds = Ok([("schedule-verification".to_owned(), late)].into());
            }),
            ("last round of schedule-verification", |seen| seen.rounds = Err("denied".to_owned())),
        ];
        let mut told = vec![];
        for (index, (what, change)) in table.into_iter().enumerate() {
            let rows = wrong(change);
            assert_eq!(rows.len(), 1, "{index} {what}: {rows:?}");
            assert_eq!(rows[0].what, what, "{index}");
            told.push(Diagnosis { rows }.to_string());
        }
        insta::assert_snapshot!(told.join("\n\n"));
        // A Census that cannot be used hides its clock too.
        let rows = wrong(|seen| seen.census = Err(refused()));
        assert_eq!(rows.iter().map(|row| row.what.as_str()).collect::<Vec<_>>(), ["Census", "clock"]);
    }

    #[test]
    fn function_without_work_owes_no_round() {
        let rows = wrong(|seen| {
            seen.functions[1].has_work = false;
            seen.rounds = Ok(BTreeMap::new());
        });
        assert_eq!(rows, []);
    }

    #[test]
    fn topic_needs_a_confirmed_subscriber_and_no_pending_one() {
        let verdict = |subscriptions: &[Subscription], channels: &Channels| {
            topic(&Ok(subscriptions.to_vec()), channels).state == State::Ok
        };
        let (relay, mail) = (subscription("sqs", true), subscription("email", true));
        let waiting = subscription("email", false);
        let table = [
            (vec![relay.clone(), mail.clone()], &RELAYED, true),
            (vec![relay.clone()], &RELAYED, true),
            (vec![mail.clone()], &RELAYED, false),
            (vec![mail.clone()], &MAIL_ONLY, true),
            (vec![relay.clone()], &MAIL_ONLY, false),
            (vec![], &MAIL_ONLY, false),
            (vec![relay.clone(), waiting.clone()], &RELAYED, false),
            (vec![mail, waiting.clone()], &MAIL_ONLY, false),
            (vec![relay, waiting], &MAIL_ONLY, false),
        ];
        for (subscriptions, channels, good) in table {
            assert_eq!(verdict(&subscriptions, channels), good, "{subscriptions:?} {channels:?}");
        }
    }

    #[test]
    fn round_age_limit_is_five_periods_or_a_long_day() {
        let minutes = SignedDuration::from_mins;
        let table = [
            ("rate(2 minutes)", minutes(10)),
            ("rate(1 hour)", minutes(300)),
            ("cron(0 3 * * ? *)", NIGHTLY_AGE),
            ("rate(soon)", NIGHTLY_AGE),
        ];
        for (expression, limit) in table {
            assert_eq!(age_limit(expression), limit, "{expression}");
        }
    }
}
