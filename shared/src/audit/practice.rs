//! Alerts, sections of the runbook, and drills: what fires, what never does, and what people tried.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{Area, DrillDone, Row, Seen, Span, State, action, operators, owner, unknown};
use crate::days::day_of;
use crate::finding::{CENSUS, Check, SYNCWATCH, WAREHOUSE};
use crate::marks::MarkVerdict;
use crate::pipeline::Pipeline;
use crate::runbook::{TEXT, sections};
use crate::scoreboard::{KEPT_DAYS, Stored};
use crate::text::{counted, named, plain_line};

/// More alerts of one check and subject than this in a quarter are too many: one a week.
const MOST_ALERTS: usize = 13;
/// The fewest marks that show whether alerts are right.
const FEWEST_MARKS: usize = 3;
/// A drill counts for so long.
const DRILL_COUNTS: SignedDuration = SignedDuration::from_hours(365 * 24);
/// The names in one line of details.
const IN_LINE: usize = 6;

/// The rows of alerts, the runbook and drills.
pub(super) fn rows(seen: &Seen, pipeline: &Pipeline, span: Span) -> Vec<Row> {
    let drills = match &seen.drills {
        Ok(drills) => {
            let mut drills: Vec<&DrillDone> = drills.iter().filter(|drill| drill.at < span.until).collect();
            drills.sort_by_key(|drill| drill.at);
            Ok(drills)
        }
        Err(why) => Err(why.as_str()),
    };
    let mut rows = match &seen.stored {
        Err(why) => vec![Row::unread(Area::Alerts, "alerts", why)],
        Ok(stored) => match stored.unread_incidents.as_ref().or(stored.unread_marks.as_ref()) {
            Some(why) => vec![Row::unread(Area::Alerts, "alerts", why)],
            None => alerts(stored, pipeline, span, &drills),
        },
    };
    rows.push(anchors(pipeline, span, &drills));
    rows.push(done(pipeline, span, &drills));
    rows
}

type Drills<'d> = Result<Vec<&'d DrillDone>, &'d str>;

/// The newest drill of each section of the runbook, if it is not too long ago.
fn newest<'d>(drills: &[&'d DrillDone], now: Timestamp) -> BTreeMap<&'d str, &'d DrillDone> {
    let counts = drills.iter().filter(|drill| now.duration_since(drill.at) <= DRILL_COUNTS);
    counts.flat_map(|drill| drill.tried.iter().map(|anchor| (anchor.as_str(), *drill))).collect()
}

/// Alerts of one check and subject.
#[derive(Default)]
struct Fired {
    alerts: usize,
    marked: usize,
    fine: usize,
}

fn alerts(stored: &Stored, pipeline: &Pipeline, span: Span, drills: &Drills<'_>) -> Vec<Row> {
    let row = |subject: String, state, evidence: String| Row::new(Area::Alerts, subject, state, evidence);
    let kept = span.now.saturating_sub(SignedDuration::from_hours(24 * KEPT_DAYS)).unwrap_or(span.from);
    let from = span.from.max(kept);
    if from >= span.until {
        let evidence = format!("ended incidents are kept for {KEPT_DAYS} days");
        return vec![row("alerts".to_owned(), unknown("read the audit that was kept then"), evidence)];
    }
    let since = format!("since {}", day_of(from, &pipeline.time_zone));
    let mut fired: BTreeMap<(Check, &str), Fired> = BTreeMap::new();
    for incident in &stored.incidents {
        let alerts = incident.history().episodes.into_iter().map(|episode| episode.told_at);
        for told_at in alerts.filter(|at| (from..span.until).contains(at)) {
            let of = fired.entry((incident.key.check, &incident.key.subject)).or_default();
            of.alerts += 1;
            let mark =
                stored.marks.iter().find(|mark| (&mark.incident, mark.told_at) == (&incident.key, told_at));
            of.marked += usize::from(mark.is_some());
            of.fine += usize::from(mark.is_some_and(|mark| mark.verdict == MarkVerdict::Fine));
        }
    }
    let of_each = |(&(check, subject), Fired { alerts, marked, fine }): (&(Check, &str), &Fired)| {
        let often = *alerts > MOST_ALERTS;
        let state = if often || (*marked >= FEWEST_MARKS && 2 * fine > *marked) {
            let what = "fix the cause, raise the limit, or remove the check";
            action(owner(pipeline, check, subject), what)
        } else {
            State::Ok
        };
        let marks =
            if *marked > 0 { format!("{fine} of {marked} marked fine") } else { "none marked".to_owned() };
        row(format!("{check} of {subject}"), state, format!("{} {since}, {marks}", counted(*alerts, "alert")))
    };
    let mut rows: Vec<Row> = fired.iter().map(of_each).collect();
    let silent: Vec<Check> = Check::ALL
        .iter()
        .copied()
        .filter(|check| is_declared(*check, pipeline) && !fired.keys().any(|(fired, _)| fired == check))
        .collect();
    rows.push(never_fired(&silent, pipeline, span, drills, &since));
    rows
}

/// Whether the pipeline has a subject of a check.
fn is_declared(check: Check, pipeline: &Pipeline) -> bool {
    let syncs = pipeline.syncs.iter().map(|sync| sync.key.as_str());
    let checks = pipeline.checks.iter().map(|check| check.name.as_str());
    let objects = pipeline.objects.iter().map(|object| object.name.as_str());
    let mut subjects =
        syncs.chain(checks).chain(objects).chain([CENSUS, SYNCWATCH, WAREHOUSE, &pipeline.name]);
    subjects.any(|subject| pipeline.declares(check, subject))
}

/// Checks without an alert: each is tried by a drill, or may be blind.
fn never_fired(silent: &[Check], pipeline: &Pipeline, span: Span, drills: &Drills<'_>, since: &str) -> Row {
    let row = |state, evidence: String| Row::new(Area::Alerts, "checks that never fired", state, evidence);
    let drills = match drills {
        Ok(drills) => drills,
        Err(why) => return Row::unread(Area::Alerts, "checks that never fired", why),
    };
    let tried = newest(drills, span.now);
    let (drilled, never): (Vec<Check>, Vec<Check>) =
        silent.iter().copied().partition(|check| tried.contains_key(check.id()));
    let evidence = format!(
        "{} without an alert {since}: {} with a drill in the last year, {} without",
        counted(silent.len(), "check"),
        drilled.len(),
        never.len()
    );
    let last = |check: &Check| {
        let ever = drills.iter().rev().find(|drill| drill.tried.iter().any(|anchor| anchor == check.id()));
        let last = ever
            .map_or_else(|| "never".to_owned(), |drill| day_of(drill.at, &pipeline.time_zone).to_string());
        format!("{check}: {last}")
    };
    let mut details = vec!["last drill of each:".to_owned()];
    let silent: Vec<String> = silent.iter().map(last).collect();
    details.extend(silent.chunks(IN_LINE).map(|line| line.join(", ")));
    let state = if never.is_empty() {
        State::Ok
    } else {
        action(
            operators(pipeline),
            "drill some each quarter: make drill, then syncwatch audit --drill NAME --by WHO --tried CHECK",
        )
    };
    row(state, evidence).with(if silent.is_empty() { Vec::new() } else { details })
}

/// The sections of the runbook that a drill tried.
fn anchors(pipeline: &Pipeline, span: Span, drills: &Drills<'_>) -> Row {
    let drills = match drills {
        Ok(drills) => drills,
        Err(why) => return Row::unread(Area::Runbook, "sections tried", why),
    };
    let tried = newest(drills, span.now);
    let all: BTreeSet<String> = sections(TEXT).into_iter().map(|section| section.anchor).collect();
    let untried: Vec<&str> =
        all.iter().map(String::as_str).filter(|anchor| !tried.contains_key(anchor)).collect();
    let evidence =
        format!("{} of {} tried in the last year", all.len() - untried.len(), counted(all.len(), "section"));
    if untried.is_empty() {
        return Row::new(Area::Runbook, "sections tried", State::Ok, evidence);
    }
    let state =
        action(operators(pipeline), "try some each quarter: make drill, or read one aloud with its commands");
    let lines = untried.chunks(IN_LINE).map(|line| line.join(", "));
    let details = std::iter::once("not tried:".to_owned()).chain(lines);
    Row::new(Area::Runbook, "sections tried", state, evidence).with(details.collect())
}

/// The drills of the quarter, and by whom.
fn done(pipeline: &Pipeline, span: Span, drills: &Drills<'_>) -> Row {
    let row = |state, evidence: String| Row::new(Area::Drills, "drills of the quarter", state, evidence);
    let drills = match drills {
        Ok(drills) => drills.iter().filter(|drill| drill.at >= span.from),
        Err(why) => return Row::unread(Area::Drills, "drills of the quarter", why),
    };
    let mut people: BTreeMap<String, usize> = BTreeMap::new();
    for drill in drills.clone() {
        *people.entry(plain_line(&drill.by)).or_default() += 1;
    }
    if people.is_empty() {
        let what = "hold one: make drill, then syncwatch audit --drill NAME --by WHO --tried CHECK";
        return row(action(operators(pipeline), what), "none recorded".to_owned());
    }
    let list = people.iter().map(|(by, drills)| format!("{by} {drills}"));
    let evidence = format!(
        "{}: {}",
        counted(people.values().sum::<usize>(), "drill"),
        named(list, IN_LINE, people.len())
    );
    let line = |drill: &&DrillDone| {
        let day = day_of(drill.at, &pipeline.time_zone);
        plain_line(&format!("{day} {} by {}: {}", drill.drill, drill.by, drill.tried.join(", ")))
    };
    row(State::Ok, evidence).with(drills.map(line).collect())
}
