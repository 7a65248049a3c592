//! The score. Pure: turns the diagnosis, the steps and the state of the world into points.

use std::fmt;
use std::time::Duration;

use crate::drill::{Cause, Drill, Fix, Hurt};

const POINTS_FOR_CAUSE: u32 = 35;
const POINTS_FOR_STEPS: u32 = 35;
const POINTS_FOR_TIME: u32 = 15;
const POINTS_FOR_NO_HARM: u32 = 15;
/// The cost of a hint, and of a diagnosis that was changed.
const COST_OF_HINT: u32 = 5;
const COST_OF_GUESS: u32 = 5;
/// The cost of a step that does not help.
const COST_OF_DETOUR: u32 = 5;
/// From this multiple of the par time on, time earns no points.
const LATE: u32 = 3;
/// Points by the most harm that earns them. Some harm is unavoidable: it is done while people think.
const HARM: [(u64, u32); 3] = [(60, POINTS_FOR_NO_HARM), (200, 10), (500, 5)];

/// Figures of the lab's world. As harm: how much worse they are than when the trainee was called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Records in Salesforce without a company name.
    pub names_lost: u64,
    pub duplicated: u64,
    pub rewritten: u64,
    /// Records that Salesforce refused, run after run.
    pub rejected: u64,
    /// Open incidents that a silence covers.
    pub suppressed: u64,
    /// Records with another value than the source, which no view selects; without those of `names_lost`.
    pub differing: u64,
}

impl Figures {
    /// The increase since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            names_lost: self.names_lost.saturating_sub(before.names_lost),
            duplicated: self.duplicated.saturating_sub(before.duplicated),
            rewritten: self.rewritten.saturating_sub(before.rewritten),
            rejected: self.rejected.saturating_sub(before.rejected),
            suppressed: self.suppressed.saturating_sub(before.suppressed),
            differing: self.differing.saturating_sub(before.differing),
        }
    }

    /// The worse of two, figure by figure: repaired harm still counts.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        Self {
            names_lost: self.names_lost.max(other.names_lost),
            duplicated: self.duplicated.max(other.duplicated),
            rewritten: self.rewritten.max(other.rewritten),
            rejected: self.rejected.max(other.rejected),
            suppressed: self.suppressed.max(other.suppressed),
            differing: self.differing.max(other.differing),
        }
    }

    /// The number of harmed records and silenced incidents.
    #[must_use]
    pub fn sum(self) -> u64 {
        self.names_lost + self.duplicated + self.rewritten + self.rejected + self.suppressed + self.differing
    }

    /// Whether this harm was done. Lost time shows in no figure.
    #[must_use]
    pub fn shows(self, hurt: Hurt) -> bool {
        match hurt {
            Hurt::NamesLost => self.names_lost > 0,
            Hurt::Duplicated => self.duplicated > 0,
            Hurt::Rewritten => self.rewritten > 0,
            Hurt::Rejected => self.rejected > 0,
            Hurt::Suppressed => self.suppressed > 0,
            Hurt::TimeLost => true,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = [
            (self.names_lost, "names lost in Salesforce"),
            (self.duplicated, "records created twice"),
            (self.rewritten, "records rewritten by full syncs"),
            (self.rejected, "records rejected"),
            (self.suppressed, "incidents silenced"),
            (self.differing, "records that differ and are not sent"),
        ];
        let parts: Vec<String> = figures
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if parts.is_empty() { f.write_str("none") } else { f.write_str(&parts.join(", ")) }
    }
}

/// The state of the lab's world at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Incidents that are not resolved, as `check/subject`.
    pub open: Vec<String>,
    /// Whether every fault is fixed.
    pub healed: bool,
    /// The damage to the data that is left.
    pub left: Figures,
    /// The worst increase since the trainee was called.
    pub harm: Figures,
}

/// The trainee's actions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Performance {
    /// The last diagnosis.
    pub causes: Vec<Cause>,
    /// The trainee's own time until then.
    pub diagnosed_after: Option<Duration>,
    /// The number of changed diagnoses.
    pub guesses: u32,
    /// The steps, in order.
    pub fixes: Vec<Fix>,
    pub hints: u32,
    pub gave_up: bool,
}

/// The score, with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Score {
    /// Whether the incident is understood and resolved, without a harmful step.
    pub passed: bool,
    /// Out of 100.
    pub points: u32,
    pub reasons: Vec<String>,
}

/// Scores a performance.
#[must_use]
pub fn score(drill: &Drill, performance: &Performance, outcome: &Outcome) -> Score {
    let mut reasons = Vec::new();
    let named = drill.causes.iter().filter(|cause| performance.causes.contains(cause)).count();
    let invented = performance.causes.iter().filter(|cause| !drill.causes.contains(cause)).count();
    let right_cause = named == drill.causes.len() && invented == 0;
    let for_cause = share(POINTS_FOR_CAUSE, named.saturating_sub(invented), drill.causes.len());
    reasons.push(format!(
        "cause: {for_cause} of {POINTS_FOR_CAUSE} ({named} of {} named{})",
        drill.causes.len(),
        if invented > 0 { format!(", {invented} wrong") } else { String::new() },
    ));

    let done = drill.fixes.iter().filter(|fix| performance.fixes.contains(fix)).count();
    let of_effect =
        |wanted: Effect| performance.fixes.iter().filter(move |fix| effect(drill, **fix) == wanted);
    let harmful: Vec<Fix> = of_effect(Effect::Harm).copied().collect();
    let detours: Vec<Fix> = of_effect(Effect::Detour).copied().collect();
    let right_steps = done == drill.fixes.len() && harmful.is_empty();
    let for_steps = share(POINTS_FOR_STEPS, done.saturating_sub(harmful.len()), drill.fixes.len());
    reasons.push(format!("steps: {for_steps} of {POINTS_FOR_STEPS} ({done} of {} done)", drill.fixes.len()));
    for fix in &harmful {
        reasons.push(format!("  {fix} does harm here"));
    }
    for fix in &detours {
        reasons.push(format!("  {fix} does not help here"));
    }

    let for_time = performance.diagnosed_after.map_or(0, |after| time_points(drill, after));
    let for_time = if right_cause { for_time } else { 0 };
    reasons.push(match performance.diagnosed_after {
        Some(after) => format!(
            "time to diagnose: {for_time} of {POINTS_FOR_TIME} ({} min {} s, par {} min)",
            after.as_secs() / 60,
            after.as_secs() % 60,
            drill.level.par_minutes()
        ),
        None => format!("time to diagnose: 0 of {POINTS_FOR_TIME} (no diagnosis)"),
    });

    let healed = outcome.healed && outcome.open.is_empty() && outcome.left == Figures::default();
    let for_harm = if healed { harm_points(outcome.harm) } else { 0 };
    reasons.push(format!("no harm: {for_harm} of {POINTS_FOR_NO_HARM} (harm done: {})", outcome.harm));
    if !outcome.healed {
        reasons.push("a fault is not fixed".to_owned());
    }
    if outcome.left != Figures::default() {
        reasons.push(format!("data not repaired: {}", outcome.left));
    }
    if !outcome.open.is_empty() {
        reasons.push(format!("not resolved: {}", outcome.open.join(", ")));
    }

    let detours = u32::try_from(detours.len()).unwrap_or(u32::MAX);
    let costs =
        [(performance.hints, COST_OF_HINT), (performance.guesses, COST_OF_GUESS), (detours, COST_OF_DETOUR)];
    let cost = costs.iter().fold(0_u32, |sum, (count, cost)| sum.saturating_add(count.saturating_mul(*cost)));
    if cost > 0 {
        reasons.push(format!(
            "minus {cost}: hints {}, changed diagnoses {}, useless steps {detours}",
            performance.hints, performance.guesses
        ));
    }
    let points = (for_cause + for_steps + for_time + for_harm).saturating_sub(cost);
    let passed = right_cause && right_steps && healed && !performance.gave_up;
    Score { passed, points: if performance.gave_up { 0 } else { points }, reasons }
}

/// The effect of a step that is not required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    None,
    /// It costs time: a step that people are likely to try.
    Detour,
    Harm,
}

fn effect(drill: &Drill, fix: Fix) -> Effect {
    let wrong = drill.wrong_fixes.iter().find(|wrong| wrong.fix == fix);
    match wrong.map(|wrong| wrong.hurt) {
        _ if fix.is_never_right() => Effect::Harm,
        None => Effect::None,
        Some(Hurt::TimeLost) => Effect::Detour,
        Some(_) => Effect::Harm,
    }
}

fn share(points: u32, part: usize, whole: usize) -> u32 {
    let (part, whole) = (u32::try_from(part).unwrap_or(0), u32::try_from(whole.max(1)).unwrap_or(1));
    points * part.min(whole) / whole
}

/// Full points up to par, none from three times par on, in proportion in between.
fn time_points(drill: &Drill, after: Duration) -> u32 {
    let par = Duration::from_secs(drill.level.par_minutes() * 60);
    let late = par * LATE;
    let left = late.saturating_sub(after).min(late - par);
    let share = left.as_secs_f64() / (late - par).as_secs_f64();
    (f64::from(POINTS_FOR_TIME) * share).round() as u32
}

fn harm_points(harm: Figures) -> u32 {
    HARM.iter().find(|(limit, _)| harm.sum() <= *limit).map_or(0, |(_, points)| *points)
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} of 100", if self.passed { "PASSED" } else { "NOT PASSED" }, self.points)?;
        for reason in &self.reasons {
            writeln!(f, "  {reason}")?;
        }
        Ok(())
    }
}
