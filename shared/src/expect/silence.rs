//! The silence rule: runs that end well without records, at hours at which runs usually move some.

use std::collections::VecDeque;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::reason::{WhyNot, is_weekend};
use super::sensitivity::Sensitivity;
use super::series::Excluded;

/// The most evidence of one run.
const CAP: f64 = 2.0;
/// Evidence has to exceed the greatest usual one by this factor.
const FACTOR: f64 = 1.5;
/// So many days with runs are remembered.
const DAYS: usize = 28;
/// A run is compared with the runs of its slot, and of so many slots on either side.
const NEAR: usize = 2;

/// A run that ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The number of its slot in the day, in local time, from 0.
    pub slot: usize,
    /// Whether it moved any records.
    pub moved: bool,
}

/// The runs of one calendar day of the pipeline's zone, in time order.
#[derive(Debug, Clone, PartialEq)]
pub struct RunDay {
    pub date: Date,
    /// The reason why its runs are neither judged nor learnt from.
    pub excluded: Option<Excluded>,
    pub runs: Vec<Run>,
}

/// The class of a day: its runs are compared with runs of days of the same class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Weekday,
    Weekend,
}

/// The item that the nightly snapshot writes for each sync: together with the runs of a day, enough to judge that day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    /// The number of slots in a day.
    slots: usize,
    weekdays: Counts,
    weekends: Counts,
    /// The greatest evidence that any of the counted days reached without a finding.
    longest: f64,
    standing: Quiet,
}

/// The runs of counted days by slot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    days: usize,
    runs: Vec<u32>,
    /// The runs without records.
    zeros: Vec<u32>,
}

/// The runs since the last one with records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quiet {
    pub evidence: f64,
    /// Whether they are a finding already: it is found once, until records move again.
    pub is_found: bool,
    /// The date and the slot of the first run at an hour at which most runs move records; of the first run before there was one.
    pub since: Option<(Date, usize)>,
    /// Whether there was a run at such an hour.
    pub is_busy: bool,
    /// The number of runs from there on.
    pub runs: u32,
    /// Earlier runs at these slots, and those of them that moved records.
    pub earlier: u64,
    pub earlier_moved: u64,
}

/// The runs without records, as they stand after the newest run.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// A finding if [`Quiet::is_found`] says so.
    pub silence: Silence,
    /// The reason why the last day was not judged.
    pub reason: Option<WhyNot>,
}

/// The verdict on one run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunVerdict {
    pub evidence: f64,
    /// The evidence beyond which it is a finding; infinite if it was not judged.
    pub limit: f64,
    /// The reason why it was not judged.
    pub reason: Option<WhyNot>,
    pub finding: Option<Silence>,
}

/// A finding about the runs up to one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Silence {
    pub quiet: Quiet,
    pub limit: f64,
    /// The date and the slot of the last run.
    pub until: (Date, usize),
    /// The number of slots in a day.
    pub slots: usize,
    pub class: Class,
    /// The number of earlier days of this class.
    pub days: usize,
}

impl Class {
    /// Returns the class of a date.
    pub fn of(date: Date) -> Self {
        if is_weekend(date.weekday()) { Self::Weekend } else { Self::Weekday }
    }

    /// Returns the fewest days of the class that a run is compared with.
    fn min_days(self) -> usize {
        match self {
            Self::Weekday => 5,
            Self::Weekend => 2,
        }
    }
}

impl Counts {
    fn new(slots: usize) -> Self {
        Self { days: 0, runs: vec![0; slots], zeros: vec![0; slots] }
    }

    fn count(&mut self, run: Run) {
        if let Some(runs) = self.runs.get_mut(run.slot) {
            *runs = runs.saturating_add(1);
        }
        if let Some(zeros) = self.zeros.get_mut(run.slot).filter(|_| !run.moved) {
            *zeros = zeros.saturating_add(1);
        }
    }

    fn add(&mut self, other: &Self) {
        self.days += other.days;
        for (ours, theirs) in [(&mut self.runs, &other.runs), (&mut self.zeros, &other.zeros)] {
            for (ours, theirs) in ours.iter_mut().zip(theirs) {
                *ours = ours.saturating_add(*theirs);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.runs.iter().all(|runs| *runs == 0)
    }

    /// Returns the runs near a slot, and those of them without records.
    fn near(&self, slot: usize) -> (u64, u64) {
        let first = slot.saturating_sub(NEAR);
        let width = slot.saturating_add(NEAR + 1) - first;
        let sum = |counts: &[u32]| counts.iter().skip(first).take(width).map(|count| u64::from(*count)).sum();
        (sum(&self.runs), sum(&self.zeros))
    }
}

impl Usual {
    /// Returns the item of a sync without history.
    pub fn new(slots: usize) -> Self {
        Self {
            slots,
            weekdays: Counts::new(slots),
            weekends: Counts::new(slots),
            longest: 0.0,
            standing: Quiet::default(),
        }
    }

    /// Judges the runs of the day after the counted ones; of a day that is still open, those so far.
    pub fn judge(&self, day: &RunDay, sensitivity: &Sensitivity) -> Vec<RunVerdict> {
        self.look(day, sensitivity).verdicts
    }

    /// Judges the runs of the days after the counted ones, from the state before them; of the last day, those so far. All days are
    /// judged by the counted ones. `None` without a day.
    pub fn follow(&self, before: Quiet, days: &[RunDay], sensitivity: &Sensitivity) -> Option<Standing> {
        let mut usual = Self { standing: before, ..self.clone() };
        let mut until = days.first().map(|day| (day.date, 0))?;
        for day in days {
            usual.standing = usual.look(day, sensitivity).quiet;
            until = day.runs.last().map_or(until, |run| (day.date, run.slot));
        }
        let last = days.last()?;
        let class = Class::of(last.date);
        let reason = self.why_not(last, class);
        let limit = self.limit(reason.as_ref(), sensitivity);
        let (quiet, days) = (usual.standing, self.counts(class).days);
        let silence = Silence { quiet, limit, until, slots: self.slots, class, days };
        Some(Standing { silence, reason })
    }

    /// Returns the runs since the last one with records, as they stand after the counted days.
    pub fn standing(&self) -> Quiet {
        self.standing
    }

    /// Returns the number of slots in a day.
    pub fn slots(&self) -> usize {
        self.slots
    }

    fn limit(&self, reason: Option<&WhyNot>, sensitivity: &Sensitivity) -> f64 {
        if reason.is_none() { sensitivity.silence.max(FACTOR * self.longest) } else { f64::INFINITY }
    }

    fn counts(&self, class: Class) -> &Counts {
        match class {
            Class::Weekday => &self.weekdays,
            Class::Weekend => &self.weekends,
        }
    }

    fn look(&self, day: &RunDay, sensitivity: &Sensitivity) -> Look {
        let class = Class::of(day.date);
        let reason = self.why_not(day, class);
        let limit = self.limit(reason.as_ref(), sensitivity);
        let learnt = Learnt { class, counts: Counts::new(self.slots), longest: 0.0 };
        let mut look = Look { verdicts: Vec::new(), quiet: self.standing, learnt };
        if day.excluded.is_some() {
            look.quiet = Quiet { is_found: look.quiet.is_found, ..Quiet::default() };
        }
        for run in &day.runs {
            let quiet = &mut look.quiet;
            if run.moved {
                *quiet = Quiet::default();
            } else if day.excluded.is_none() {
                let earlier = self.counts(class).near(run.slot);
                quiet.extend((day.date, run.slot), earlier, reason.is_none());
            }
            let is_new = quiet.evidence > limit && !quiet.is_found;
            quiet.is_found |= is_new;
            if day.excluded.is_none() && !quiet.is_found {
                look.learnt.counts.count(*run);
                look.learnt.longest = look.learnt.longest.max(quiet.evidence);
            }
            let finding = Silence {
                quiet: *quiet,
                limit,
                until: (day.date, run.slot),
                slots: self.slots,
                class,
                days: self.counts(class).days,
            };
            look.verdicts.push(RunVerdict {
                evidence: quiet.evidence,
                limit,
                reason: reason.clone(),
                finding: is_new.then_some(finding),
            });
        }
        look.learnt.counts.days = usize::from(!look.learnt.counts.is_empty());
        look
    }

    fn why_not(&self, day: &RunDay, class: Class) -> Option<WhyNot> {
        let (have, need) = (self.counts(class).days, class.min_days());
        match &day.excluded {
            Some(why) => Some(WhyNot::Excluded(why.clone())),
            None if have < need => Some(WhyNot::FewDays { have, need }),
            None => None,
        }
    }
}

impl Quiet {
    /// Adds a run without records, which is compared with earlier runs if it is judged.
    fn extend(&mut self, at: (Date, usize), (earlier, zeros): (u64, u64), is_judged: bool) {
        let p = (zeros as f64 + 1.0) / (earlier as f64 + 1.0);
        if is_judged {
            self.evidence += CAP.min(-p.ln());
        }
        let is_busy = is_judged && p < 0.5;
        if self.since.is_none() || (is_busy && !self.is_busy) {
            *self = Self { since: Some(at), runs: 0, earlier: 0, earlier_moved: 0, ..*self };
        }
        self.is_busy |= is_busy;
        self.runs = self.runs.saturating_add(1);
        self.earlier = self.earlier.saturating_add(earlier);
        self.earlier_moved = self.earlier_moved.saturating_add(earlier.saturating_sub(zeros));
    }
}

/// A day after it was judged.
struct Look {
    verdicts: Vec<RunVerdict>,
    quiet: Quiet,
    learnt: Learnt,
}

struct Learnt {
    class: Class,
    counts: Counts,
    longest: f64,
}

/// Judges the runs of each day, oldest first, by the days before it. Returns the verdicts of each day, and the item for the day
/// after the last one.
pub fn replay(days: &[RunDay], slots: usize, sensitivity: &Sensitivity) -> (Vec<Vec<RunVerdict>>, Usual) {
    let mut usual = Usual::new(slots);
    let mut window: VecDeque<Learnt> = VecDeque::new();
    let mut verdicts = Vec::new();
    for day in days {
        let look = usual.look(day, sensitivity);
        verdicts.push(look.verdicts);
        if look.learnt.counts.days > 0 {
            window.push_back(look.learnt);
        }
        if window.len() > DAYS {
            window.pop_front();
        }
        usual = Usual::new(slots);
        usual.standing = look.quiet;
        for learnt in &window {
            usual.longest = usual.longest.max(learnt.longest);
            match learnt.class {
                Class::Weekday => usual.weekdays.add(&learnt.counts),
                Class::Weekend => usual.weekends.add(&learnt.counts),
            }
        }
    }
    (verdicts, usual)
}
