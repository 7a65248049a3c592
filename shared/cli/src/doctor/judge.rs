//! Turns observations into rows, each with its remedy. Pure.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Span, SpanRelativeTo};

use super::Row;
use super::observe::{
    AlarmsSeen, FilterSeen, FunctionSeen, Observed, Probe, ScheduleSeen, Subscription, TopicSeen,
};
use crate::alarms::{Action, Alarm, failing, name};
use crate::declared::DeclaredSchedule;
use syncwatch::judge::CLOCK_SKEW_LIMIT;
use syncwatch::observation::Subscribers;
use syncwatch::pipeline::Channels;
use syncwatch::registration::{Found, Plan, Wish, plan};
use syncwatch::text::{grouped, minute_utc, named, words};

/// Maximum age of a nightly round: a day of 25 hours, and an hour for the round.
const NIGHTLY_AGE: SignedDuration = SignedDuration::from_hours(26);
/// Number of periods after which a round on a rate is late.
const PERIODS: i32 = 5;

const DEPLOY: &str = "deploy again: make deploy";
/// Number of alarms that are named; the rest is counted.
const NAMED_ALARMS: usize = 3;
const REGISTER: &str = "syncwatch webhook-register --url <URL of webhook-intake>";
const CONFIRM: &str = "confirm with the token in its mail, valid for 2 days (infra/README.md); if it is gone or expired: make deploy";

/// Makes one row per part, in the order in which a person would check. A part that could not be checked is unknown,
/// not ok.
pub(crate) fn judge(observed: &Observed, channels: &Channels) -> Vec<Row> {
    let mut rows: Vec<Row> = observed.functions.iter().flat_map(function).collect();
    for (name, secret) in &observed.secrets {
        rows.push(usable(secret, "has a value", "cannot be used").of(format!("secret {name}")));
    }
    rows.push(usable(&observed.census, "answers and accepts the token", "cannot be used").of("Census"));
    rows.push(clock(&observed.census).of("clock"));
    if let Some(warehouse) = &observed.warehouse {
        rows.push(usable(warehouse, "answers", "cannot be queried").of("warehouse"));
        let filters = warehouse.iter().flatten();
        rows.extend(filters.map(|seen| filter(seen).of(format!("filter of {}", seen.table))));
    }
    rows.push(checked(&observed.notices, |found| topic(found, channels)).of("topic of notices"));
    for (name, found) in &observed.alarms {
        rows.push(checked(found, |found| alarms(name, found)).of(format!("topic of {name}")));
    }
    let topics = observed.alarms.iter().map(|(_, found)| found).chain([&observed.notices]);
    if topics.flatten().any(|found| found.needed.is_none()) {
        let found = "a topic has no tag with its required subscribers";
        rows.push(Row::unknown(found, DEPLOY).of("subscribers"));
    }
    if let Some(cloudwatch) = &observed.cloudwatch {
        rows.push(checked(cloudwatch, deployed_alarms).of("alarms"));
    }
    rows.push(checked(&observed.webhook, webhook).of("webhook at Census"));
    rows.push(intake(&observed.intake).of("intake of webhooks"));
    for (name, depth) in &observed.dead_letters {
        rows.push(checked(depth, |depth| dead_letters(*depth)).of(format!("dead letters {name}")));
    }
    rows.extend(observed.functions.iter().filter_map(|function| round(function, observed)));
    rows
}

/// Judges an observation; a failed one is unknown.
fn checked<T>(probe: &Probe<T>, judge: impl FnOnce(&T) -> Row) -> Row {
    probe.as_ref().map_or_else(|why| Row::unknown("cannot be checked", why), judge)
}

/// Judges a part whose use is its check.
fn usable<T>(probe: &Probe<T>, good: &str, wrong: &str) -> Row {
    probe.as_ref().map_or_else(|why| Row::wrong(wrong, why), |_| Row::good(good))
}

fn function(seen: &FunctionSeen) -> Vec<Row> {
    let configured = checked(&seen.configuration, |set| match (set.state.as_str(), &seen.ping) {
        ("Pending", _) => Row::unknown("is being created", "run this again in a minute"),
        // Lambda marks a function inactive after weeks without a call; the next event wakes it.
        (state, _) if !matches!(state, "Active" | "Inactive") => {
            Row::wrong(format!("is {state}"), "Lambda cannot run it in this state; deploy again: make deploy")
        }
        _ if !set.missing.is_empty() => {
            Row::wrong(format!("lacks the settings {}", set.missing.join(", ")), DEPLOY)
        }
        (_, Some(ping)) => usable(ping, "active, answers", "does not start or fails"),
        (_, None) => Row::good("active"),
    });
    let mut rows = vec![configured.of(format!("function {}", seen.name))];
    for (also, wanted, found) in &seen.schedules {
        let row = checked(found, |found| schedule(wanted, found));
        rows.push(row.of(format!("schedule {}{also}", seen.name)));
    }
    if let Some(states) = &seen.trigger {
        rows.push(checked(states, |states| trigger(states)).of(format!("trigger of {}", seen.name)));
    }
    rows
}

fn trigger(states: &[String]) -> Row {
    if states.is_empty() {
        return Row::wrong("no queue triggers it", DEPLOY);
    }
    if states.iter().any(|state| state == "Enabled") {
        return Row::good("enabled");
    }
    Row::wrong(
        format!("is {}", states.join(", ")),
        "its queue is not processed; unless this is intended, deploy again: make deploy",
    )
}

fn schedule(wanted: &DeclaredSchedule, seen: &ScheduleSeen) -> Row {
    let shown = |fires: &DeclaredSchedule| format!("{} {}", fires.expression, fires.time_zone);
    if seen.state != "ENABLED" {
        let remedy = "it starts no rounds; unless this is intended, deploy again: make deploy";
        return Row::wrong(format!("is {}", seen.state), remedy);
    }
    if seen.fires == *wanted {
        return Row::good(format!("{}, enabled", shown(wanted)));
    }
    Row::wrong(
        format!("{}, expected {}", shown(&seen.fires), shown(wanted)),
        "it was changed by hand, or another version is deployed; deploy again: make deploy",
    )
}

/// Judges how many rows of a table the `where` of a check keeps.
fn filter(seen: &FilterSeen) -> Row {
    checked(&seen.counts, |&[kept, all]| {
        let rows = |count: i64| grouped(count.unsigned_abs());
        let found = format!("`{}` keeps {} of {} rows", seen.filter, rows(kept), rows(all));
        match (kept, all) {
            (_, 0) => Row::unknown("the table has no rows", "run this again once it has rows"),
            (0, _) if !seen.may_keep_none => {
                Row::wrong(found, "its checks cover no rows: syncwatch explain filter-keeps-rows")
            }
            _ => Row::good(found),
        }
    })
}

fn clock(census: &Probe<Option<SignedDuration>>) -> Row {
    let ahead = match census {
        Ok(Some(ahead)) => *ahead,
        Ok(None) => return Row::unknown("Census sent no time", "run this again"),
        Err(_) => return Row::unknown("Census did not answer", "see Census"),
    };
    if ahead.abs() <= CLOCK_SKEW_LIMIT {
        return Row::good("this machine and Census agree");
    }
    let direction = if ahead.is_negative() { "behind" } else { "ahead of" };
    Row::wrong(
        format!("Census is {} {direction} this machine", words(ahead.abs())),
        "set this machine's clock; if it is right, report this to Census's support",
    )
}

/// Lists the recipients of the confirmed or the unconfirmed subscriptions.
fn reach(subscriptions: &[Subscription], confirmed: bool) -> String {
    let those = subscriptions.iter().filter(|subscription| subscription.confirmed == confirmed);
    those.map(|subscription| subscription.reaches.as_str()).collect::<Vec<_>>().join(", ")
}

/// Reports missing and unconfirmed subscribers.
fn incomplete(seen: &TopicSeen) -> Option<Row> {
    let confirmed = seen.subscriptions.iter().filter(|subscription| subscription.confirmed);
    let confirmed = Subscribers::counted(confirmed.map(|subscription| subscription.protocol.as_str()));
    let missing = seen.needed.as_ref().and_then(|needed| needed.missing(&confirmed));
    let missing = missing.map(|missing| format!("{missing} confirmed"));
    let pending = reach(&seen.subscriptions, false);
    let pending = (!pending.is_empty()).then(|| format!("unconfirmed: {pending}"));
    let found: Vec<String> = missing.into_iter().chain(pending).collect();
    if found.is_empty() {
        return None;
    }
    Some(Row::wrong(found.join("; "), CONFIRM))
}

/// Judges the topic of notices: it needs a confirmed person, and the relay's queue if the pipeline has a channel.
fn topic(seen: &TopicSeen, channels: &Channels) -> Row {
    let confirmed = seen.subscriptions.iter().filter(|subscription| subscription.confirmed);
    let (relays, others): (Vec<_>, Vec<_>) =
        confirmed.partition(|subscription| subscription.protocol == "sqs");
    let has_channel = !channels.0.is_empty();
    if has_channel && relays.is_empty() {
        return Row::wrong("does not reach the relay, so no channel besides mail gets notices", DEPLOY);
    }
    if let Some(incomplete) = incomplete(seen) {
        return incomplete;
    }
    if others.is_empty() && !has_channel {
        return Row::wrong(
            "has no subscriber",
            "add a person to the variable `notice_emails`, deploy, and have them confirm (infra/README.md)",
        );
    }
    let reached = relays.iter().chain(&others).map(|other| format!("{} {}", other.protocol, other.reaches));
    Row::good(format!("reaches {}", reached.collect::<Vec<_>>().join(", ")))
}

/// Judges a topic of alarms, which must reach people when Syncwatch is down. The topic of pages may be empty, because
/// PagerDuty is optional there.
fn alarms(name: &str, seen: &TopicSeen) -> Row {
    if let Some(incomplete) = incomplete(seen) {
        return incomplete;
    }
    match reach(&seen.subscriptions, true).as_str() {
        "" if name == "alarms" && seen.needed.is_none() => Row::wrong(
            "has no subscriber",
            "no alert is sent when Syncwatch itself fails; set the variable `alarm_emails` and deploy again",
        ),
        "" => Row::good("no subscriber, none needed"),
        reached => Row::good(format!("reaches {reached}")),
    }
}

/// Judges whether every alarm exists, is enabled, and reached its topics at its last ALARM.
fn deployed_alarms(seen: &AlarmsSeen) -> Row {
    let list = |names: Vec<&str>| named(&names, NAMED_ALARMS, names.len());
    let there: BTreeSet<&str> = seen.found.iter().map(|alarm| alarm.name.as_str()).collect();
    let missing: Vec<&str> =
        seen.declared.iter().map(String::as_str).filter(|name| !there.contains(name)).collect();
    if !missing.is_empty() {
        return Row::wrong(format!("missing: {}", list(missing)), DEPLOY);
    }
    let declared = || seen.found.iter().filter(|alarm| seen.declared.contains(&alarm.name));
    let disabled: Vec<&str> =
        declared().filter(|alarm| !alarm.enabled).map(|alarm| alarm.name.as_str()).collect();
    if !disabled.is_empty() {
        let remedy = format!("aws cloudwatch enable-alarm-actions --alarm-names {}", disabled.join(" "));
        return Row::wrong(format!("actions disabled: {}", list(disabled)), remedy);
    }
    let has_no_topic = |alarm: &&Alarm| !alarm.topics.iter().any(|arn| name(arn).ends_with("-alarms"));
    let unsent: Vec<&str> = declared().filter(has_no_topic).map(|alarm| alarm.name.as_str()).collect();
    if !unsent.is_empty() {
        return Row::wrong(format!("sent to no topic: {}", list(unsent)), DEPLOY);
    }
    if let [first, rest @ ..] = failing(&seen.actions).as_slice() {
        let Action { alarm, topic, failure } = first;
        let more = if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) };
        let why = failure.as_deref().unwrap_or_default();
        let remedy = "the topic or its key rejects alarms; make deploy, then syncwatch alarm-test";
        return Row::wrong(format!("{alarm} could not be sent to {topic} ({why}){more}"), remedy);
    }
    Row::good(format!("{} alarms, each sent to its topics", seen.declared.len()))
}

fn webhook(found: &Found) -> Row {
    match plan(Wish::Register, found) {
        Plan::Keep { id } => Row::good(format!("webhook {id} posts all events here")),
        Plan::Create { .. } => {
            Row::wrong("no webhook posts here, so failures are found only by the next poll", REGISTER)
        }
        plan @ (Plan::Subscribe { .. } | Plan::Replace { .. }) => Row::wrong(plan.to_string(), REGISTER),
        Plan::Refuse(why) => Row::wrong("needs a decision", why),
    }
}

/// Judges the intake: it must refuse an unsigned request.
fn intake(probe: &Probe<(u16, String)>) -> Row {
    let (status, url) = match probe {
        Err(why) => return Row::wrong("does not answer", why),
        Ok((status, url)) => (*status, url),
    };
    match status {
        401 => Row::good(format!("{url} refuses unsigned requests")),
        200..=299 => Row::wrong(
            format!("{url} answers {status} to an unsigned request"),
            "this is not the intake, or another version; check the address, then deploy again: make deploy",
        ),
        429 => Row::unknown(format!("{url} is throttled (429)"), "run this again in a minute"),
        403 => Row::wrong(
            format!("{url} denies access (403)"),
            "Lambda needs two permissions for a public Function URL; deploy again: make deploy",
        ),
        _ => Row::wrong(
            format!("{url} answers {status}"),
            "check the log of webhook-intake; most often its secret is empty: syncwatch webhook-register",
        ),
    }
}

fn dead_letters(depth: Option<u64>) -> Row {
    match depth {
        None => Row::unknown("SQS sent no count", "run this again"),
        Some(0) => Row::good("0 messages"),
        Some(count) => Row::wrong(format!("{count} messages"), "syncwatch explain dead-letters"),
    }
}

/// Judges the age of a function's last complete round, if its rounds are recorded.
fn round(seen: &FunctionSeen, observed: &Observed) -> Option<Row> {
    let (_, wanted, _) = seen.schedules.first().filter(|_| seen.has_work)?;
    let limit = age_limit(&wanted.expression);
    let row = checked(&observed.rounds, |rounds| {
        let Some(at) = rounds.get(&seen.name) else {
            let due = words(limit);
            let remedy =
                format!("after a first deployment, the first is due within {due}; otherwise check its log");
            return Row::wrong("no round yet", remedy);
        };
        let age = observed.now.duration_since(*at);
        let found = format!("{}, {} ago", minute_utc(*at), words(age));
        if age <= limit {
            return Row::good(found);
        }
        Row::wrong(found, "check its schedule above and its log, or invoke it by hand")
    });
    Some(row.of(format!("last round of {}", seen.name)))
}

/// Returns the maximum age of a schedule's last round.
fn age_limit(expression: &str) -> SignedDuration {
    rate(expression).and_then(|period| period.checked_mul(PERIODS)).unwrap_or(NIGHTLY_AGE)
}

/// Parses the period of a rate such as `rate(2 minutes)`.
fn rate(expression: &str) -> Option<SignedDuration> {
    let period: Span = expression.strip_prefix("rate(")?.strip_suffix(')')?.parse().ok()?;
    period.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use crate::Error;
    use crate::doctor::observe::Configuration;
    use crate::doctor::{Diagnosis, State};
    use syncwatch::census::Webhook;
    use syncwatch::finding::Severity;
    use syncwatch::pipeline::{Channel, ChannelKind, PAGERDUTY};
    use syncwatch::registration::OurSecret;

    const MAIL_ONLY: Channels = Channels(Vec::new());

    fn relayed() -> Channels {
        let name = PAGERDUTY.to_owned();
        Channels(vec![Channel { name, kind: ChannelKind::PagerDuty, lowest: Severity::Critical, mail: None }])
    }

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
            schedules: vec![(String::new(), every_two_minutes(), Ok(seen))],
            trigger: None,
            ping: Some(Ok(())),
            has_work: true,
        }
    }

    fn relay() -> FunctionSeen {
        FunctionSeen {
            name: "alert-relay".to_owned(),
            schedules: Vec::new(),
            trigger: Some(Ok(vec!["Enabled".to_owned()])),
            ..verification()
        }
    }

    fn subscription(protocol: &str, confirmed: bool) -> Subscription {
        Subscription { protocol: protocol.to_owned(), reaches: format!("{protocol}-end"), confirmed }
    }

    /// Builds a topic with this tag, unless empty, and subscriptions, confirmed or not.
    fn seen(tag: &str, subscriptions: &[(&str, bool)]) -> TopicSeen {
        let one = |(protocol, confirmed): &(&str, bool)| subscription(protocol, *confirmed);
        let needed = if tag.is_empty() { None } else { Subscribers::parse(tag) };
        TopicSeen { needed, subscriptions: subscriptions.iter().map(one).collect() }
    }

    fn alarms_seen() -> AlarmsSeen {
        let names = ["syncwatch-alert-relay-errors", "syncwatch-alert-relay-throttles"];
        let found = names.map(|name| Alarm {
            name: name.to_owned(),
            topics: vec!["arn:aws:sns:us-west-2:123456789012:syncwatch-alarms".to_owned()],
            enabled: true,
            in_alarm: false,
        });
        AlarmsSeen { declared: names.map(ToOwned::to_owned).into(), found: found.into(), actions: Vec::new() }
    }

    /// Returns the alarms after one change.
    fn alarms_changed(change: impl FnOnce(&mut AlarmsSeen)) -> Option<Probe<AlarmsSeen>> {
        let mut seen = alarms_seen();
        change(&mut seen);
        Some(Ok(seen))
    }

    fn filtered(counts: [i64; 2]) -> Option<Probe<Vec<FilterSeen>>> {
        Some(Ok(vec![filter_seen(counts)]))
    }

    fn filter_seen(counts: [i64; 2]) -> FilterSeen {
        FilterSeen {
            table: "crm.rds.properties".to_owned(),
            filter: "deleted is not true".to_owned(),
            may_keep_none: false,
            counts: Ok(counts),
        }
    }

    fn healthy() -> Observed {
        let webhook = Webhook { id: 7, name: None, endpoint: None, events: Vec::new() };
        Observed {
            functions: vec![relay(), verification()],
            secrets: vec![("syncwatch/census-token".to_owned(), Ok(()))],
            census: Ok(Some(SignedDuration::from_secs(1))),
            warehouse: Some(Ok(vec![filter_seen([20_247, 20_300]), filter_seen([18_725, 18_725])])),
            notices: Ok(seen("email=1 sqs=1", &[("sqs", true), ("email", true)])),
            alarms: vec![
                ("alarms".to_owned(), Ok(seen("email=1", &[("email", true)]))),
                ("pages".to_owned(), Ok(seen("https=0", &[]))),
            ],
            cloudwatch: Some(Ok(alarms_seen())),
            webhook: Ok(Found { ours: vec![webhook], elsewhere: Vec::new(), secret: OurSecret::Of(7) }),
            intake: Ok((401, "https://abc.on.aws/webhooks/census".to_owned())),
            dead_letters: vec![("syncwatch-notices-relay-dead".to_owned(), Ok(Some(0)))],
            rounds: Ok([("schedule-verification".to_owned(), now() - SignedDuration::from_secs(90))].into()),
            now: now(),
        }
    }

    #[test]
    fn healthy_deployment_has_no_red_row() {
        let diagnosis = Diagnosis { rows: judge(&healthy(), &relayed()) };
        insta::assert_snapshot!(diagnosis);
        assert!(diagnosis.is_good());
    }

    /// Returns the rows that are not ok after one change.
    fn wrong(change: impl FnOnce(&mut Observed)) -> Vec<Row> {
        let mut observed = healthy();
        change(&mut observed);
        let rows = judge(&observed, &relayed()).into_iter();
        rows.filter(|row| row.state != State::Ok).collect()
    }

    type Change = fn(&mut Observed);

    /// Faults, each with the row that it makes red.
    fn faults() -> Vec<(&'static str, Change)> {
        vec![
            ("function alert-relay", |seen| seen.functions[0].configuration = Err(Error::plain("denied"))),
            ("function alert-relay", |seen| {
                seen.functions[0].configuration =
                    Ok(Configuration { state: "Failed".to_owned(), missing: Vec::new() });
            }),
            ("function alert-relay", |seen| {
                let missing = vec!["SYNCWATCH_CHAT_SECRET".to_owned()];
                seen.functions[0].configuration = Ok(Configuration { state: "Active".to_owned(), missing });
            }),
            ("function schedule-verification", |seen| {
                seen.functions[1].ping = Some(Err(Error::plain("pipeline.toml: line 3")));
            }),
            ("schedule schedule-verification", |seen| {
                let fires = every_two_minutes();
                let disabled = ScheduleSeen { state: "DISABLED".to_owned(), fires: fires.clone() };
                seen.functions[1].schedules = vec![(String::new(), fires, Ok(disabled))];
            }),
            ("schedule schedule-verification", |seen| {
                let fires =
                    DeclaredSchedule { expression: "rate(1 hour)".to_owned(), time_zone: "UTC".to_owned() };
                let changed = ScheduleSeen { state: "ENABLED".to_owned(), fires };
                seen.functions[1].schedules = vec![(String::new(), every_two_minutes(), Ok(changed))];
            }),
            ("schedule schedule-verification", |seen| {
                seen.functions[1].schedules =
                    vec![(String::new(), every_two_minutes(), Err(Error::plain("it does not exist")))];
            }),
            ("trigger of alert-relay", |seen| seen.functions[0].trigger = Some(Ok(Vec::new()))),
            ("trigger of alert-relay", |seen| {
                seen.functions[0].trigger = Some(Ok(vec!["Disabled".to_owned()]));
            }),
            ("secret syncwatch/census-token", |seen| seen.secrets[0].1 = Err(Error::plain("it is empty"))),
            ("secret syncwatch/chat, channel ops-chat", |seen| {
                let missing = Err(Error::new("the secret has no value for it", "add it"));
                seen.secrets.push(("syncwatch/chat, channel ops-chat".to_owned(), missing));
            }),
            ("clock", |seen| seen.census = Ok(Some(SignedDuration::from_mins(-10)))),
            ("clock", |seen| seen.census = Ok(None)),
            ("warehouse", |seen| seen.warehouse = Some(Err(Error::plain("no answer in 60 s")))),
            ("filter of crm.rds.properties", |seen| seen.warehouse = filtered([0, 18_725])),
            ("filter of crm.rds.properties", |seen| seen.warehouse = filtered([0, 0])),
            ("filter of crm.rds.properties", |seen| {
                let counts = Err(Error::plain("column deleted does not exist"));
                seen.warehouse = Some(Ok(vec![FilterSeen { counts, ..filter_seen([0, 0]) }]));
            }),
            ("topic of notices", |found| found.notices = Ok(seen("email=1 sqs=1", &[("email", true)]))),
            ("topic of notices", |found| {
                found.notices = Ok(seen("email=1 sqs=1", &[("sqs", true), ("email", false)]));
            }),
            // An unsubscribe link in a mail removed one of two.
            ("topic of notices", |found| {
                found.notices = Ok(seen("email=2 sqs=1", &[("sqs", true), ("email", true)]));
            }),
            ("topic of alarms", |found| found.alarms[0].1 = Ok(seen("email=1", &[]))),
            ("topic of pages", |found| found.alarms[1].1 = Ok(seen("https=1", &[]))),
            ("topic of pages", |found| found.alarms[1].1 = Ok(seen("https=1", &[("https", false)]))),
            ("subscribers", |found| {
                // Reported once for any number of topics.
                found.notices = Ok(seen("", &[("sqs", true), ("email", true)]));
                found.alarms[1].1 = Ok(seen("", &[]));
            }),
            ("alarms", |seen| {
                seen.cloudwatch = alarms_changed(|alarms| drop(alarms.found.pop()));
            }),
            ("alarms", |seen| {
                seen.cloudwatch = alarms_changed(|alarms| alarms.found[0].enabled = false);
            }),
            ("alarms", |seen| {
                seen.cloudwatch = alarms_changed(|alarms| alarms.found[1].topics.clear());
            }),
            ("alarms", |seen| {
                let failed = Action {
                    alarm: "syncwatch-alert-relay-errors".to_owned(),
                    topic: "syncwatch-alarms".to_owned(),
                    failure: Some("CloudWatch Alarms is not authorized to perform: SNS:Publish".to_owned()),
                };
                seen.cloudwatch = alarms_changed(|alarms| alarms.actions = vec![failed.clone(), failed]);
            }),
            ("alarms", |seen| seen.cloudwatch = Some(Err(Error::plain("denied")))),
            ("webhook at Census", |seen| {
                seen.webhook =
                    Ok(Found { ours: Vec::new(), elsewhere: Vec::new(), secret: OurSecret::Empty });
            }),
            ("webhook at Census", |seen| seen.webhook = Err(Error::plain("Census refuses the token"))),
            ("intake of webhooks", |seen| seen.intake = Ok((202, "https://abc.on.aws".to_owned()))),
            ("intake of webhooks", |seen| seen.intake = Ok((403, "https://abc.on.aws".to_owned()))),
            ("intake of webhooks", |seen| seen.intake = Err(Error::plain("does not answer"))),
            ("dead letters syncwatch-notices-relay-dead", |seen| seen.dead_letters[0].1 = Ok(Some(3))),
            ("dead letters syncwatch-notices-relay-dead", |seen| seen.dead_letters[0].1 = Ok(None)),
            ("last round of schedule-verification", |seen| seen.rounds = Ok(BTreeMap::new())),
            ("last round of schedule-verification", |seen| {
                let late = now() - SignedDuration::from_mins(11);
                seen.rounds = Ok([("schedule-verification".to_owned(), late)].into());
            }),
            ("last round of schedule-verification", |seen| seen.rounds = Err(Error::plain("denied"))),
        ]
    }

    #[test]
    fn each_fault_is_one_red_row_with_a_remedy() {
        let mut reports = vec![];
        for (index, (what, change)) in faults().into_iter().enumerate() {
            let rows = wrong(change);
            assert_eq!(rows.len(), 1, "{index} {what}: {rows:?}");
            assert_eq!(rows[0].what, what, "{index}");
            reports.push(Diagnosis { rows }.to_string());
        }
        insta::assert_snapshot!(reports.join("\n\n"));
    }

    #[test]
    fn empty_queue_is_ok_and_unusable_census_hides_its_clock() {
        // The rows of a queue are only counted, so 0 rows are ok.
        let empty_queue = FilterSeen { may_keep_none: true, ..filter_seen([0, 9]) };
        assert_eq!(wrong(|seen| seen.warehouse = Some(Ok(vec![empty_queue]))), []);
        let rows = wrong(|seen| seen.census = Err(Error::plain("AWS denied access")));
        assert_eq!(rows.iter().map(|row| row.what.as_str()).collect::<Vec<_>>(), ["Census", "clock"]);
    }

    #[test]
    fn function_without_work_needs_no_round() {
        let rows = wrong(|seen| {
            seen.functions[1].has_work = false;
            seen.rounds = Ok(BTreeMap::new());
        });
        assert_eq!(rows, []);
    }

    #[test]
    fn topic_needs_a_confirmed_subscriber_and_no_pending_one() {
        let verdict = |subscriptions: &[(&str, bool)], channels: &Channels| {
            topic(&seen("", subscriptions), channels).state == State::Ok
        };
        let (relay, mail, waiting) = (("sqs", true), ("email", true), ("email", false));
        let relayed = relayed();
        let table = [
            (vec![relay, mail], &relayed, true),
            (vec![relay], &relayed, true),
            (vec![mail], &relayed, false),
            (vec![mail], &MAIL_ONLY, true),
            (vec![relay], &MAIL_ONLY, false),
            (vec![], &MAIL_ONLY, false),
            (vec![relay, waiting], &relayed, false),
            (vec![mail, waiting], &MAIL_ONLY, false),
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
            ("rate(2 days)", minutes(5 * 2 * 24 * 60)),
            ("cron(0 3 * * ? *)", NIGHTLY_AGE),
            ("rate(soon)", NIGHTLY_AGE),
        ];
        for (expression, limit) in table {
            assert_eq!(age_limit(expression), limit, "{expression}");
        }
    }
}
