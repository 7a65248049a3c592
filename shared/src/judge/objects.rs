//! Judges the comparisons of objects: records that are missing, extra or different. Pure, and never fails.

use jiff::{SignedDuration, Timestamp};

use super::data::{Trouble, percent_of};
use crate::figure::{Figure, Value};
use crate::finding::{Check, Evidence, Finding, Severity, WAREHOUSE, WhyNot};
use crate::pipeline::Pipeline;
use crate::reconcile::{
    Class, Confirmed, Coverage, Fault, Known, Look, NotCompared, Object, Reconciliation, confidence,
};
use crate::schedule::Rule;
use crate::text::{counted, grouped, percent, rounded};

/// One fault or field that explains so many of all wrong records, in percent, makes one notice of the three.
const ONE_CAUSE_PERCENT: u64 = 80;

const CHECKS: [(Check, Class); 3] = [
    (Check::RecordsMissing, Class::Missing),
    (Check::RecordsExtra, Class::Extra),
    (Check::RecordsDiffer, Class::Different),
];

/// Judges the comparison of an object, with the look before it and its time.
///
/// * wrong twice, at least one run of each sync apart, beyond the limit  => unhealthy
/// * pending for longer than the object allows                                  => counts as wrong
/// * beyond the limit, but seen once                                            => not evaluated before the second look
/// * one bucket of several                                                      => with the last known records of the `others`
/// * an other bucket is unknown, and the known ones are within the limit         => not evaluated before all are known
/// * not compared, such as a stale copy                                         => not evaluated
/// * one fault or field explains 80% of all wrong records                       => one finding; the others are blocked by it
pub fn judge_object(
    pipeline: &Pipeline,
    object: &Object,
    compared: Result<&Reconciliation, &NotCompared>,
    earlier: Option<(&Look, Timestamp)>,
    others: &[Option<Known>],
    now: Timestamp,
) -> Vec<Finding> {
    let found = match compared {
        Ok(found) => found,
        Err(error) => {
            return judge_not_compared(object, &why_not(error));
        }
    };
    let earlier = earlier.filter(|(_, at)| is_apart(pipeline, object, *at, now)).map(|(look, _)| look);
    let confirmed = earlier.map(|look| found.confirmed(look));
    let seen = Seen { pipeline, object, found, all: found.all_wrong(), confirmed, others, now };
    let lead = seen.lead();
    CHECKS.map(|(check, class)| seen.judge(check, class, lead)).into()
}

/// Judges an object that was not compared.
pub fn judge_not_compared(object: &Object, why: &WhyNot) -> Vec<Finding> {
    CHECKS.map(|(check, _)| check.about(&object.name).not_evaluated(why.clone())).into()
}

/// Why nothing is known of an object.
fn why_not(error: &NotCompared) -> WhyNot {
    match error {
        NotCompared::Unreadable(error) if Trouble::Failed(error.clone()).is_of_the_warehouse() => {
            WhyNot::under(Check::WarehouseReachable, WAREHOUSE)
        }
        error => WhyNot::Unreadable { found: error.to_string() },
    }
}

/// Returns whether each sync of the object was due between two looks, so that a record in flight has arrived.
pub fn is_apart(pipeline: &Pipeline, object: &Object, earlier: Timestamp, now: Timestamp) -> bool {
    let was_due = |key: &String| {
        let Some(sync) = pipeline.sync(key) else { return true };
        match &sync.schedule.rule {
            Rule::OnDemand => true,
            Rule::Every(period) => now.duration_since(earlier) >= *period,
            Rule::Daily(_) | Rule::Weekly(..) | Rule::Cron(_) => {
                sync.schedule.next_slot(earlier).is_some_and(|slot| slot <= now)
            }
        }
    };
    now.duration_since(earlier) > SignedDuration::ZERO && object.syncs.iter().all(was_due)
}

/// A comparison with the look before it.
struct Seen<'s> {
    pipeline: &'s Pipeline,
    object: &'s Object,
    found: &'s Reconciliation,
    all: Confirmed,
    /// `None` without an earlier look that counts.
    confirmed: Option<Confirmed>,
    /// The other buckets of keys; `None` of one without a comparison that could decide.
    others: &'s [Option<Known>],
    now: Timestamp,
}

impl Seen<'_> {
    fn late(&self, class: Class) -> u64 {
        match class {
            Class::Missing => self.found.missing_late,
            Class::Extra => 0,
            Class::Different => self.found.different_late,
        }
    }

    /// The records that count in the other buckets.
    fn elsewhere(&self, class: Class) -> u64 {
        self.others.iter().flatten().map(|known| known.of(class)).sum()
    }

    /// The records that count: confirmed and late ones, in all buckets.
    fn wrong(&self, class: Class) -> u64 {
        let confirmed = self.confirmed.as_ref().map_or(0, |confirmed| confirmed.of(class));
        confirmed + self.late(class) + self.elsewhere(class)
    }

    /// The joined records of all buckets.
    fn joined(&self) -> u64 {
        self.found.joined + self.others.iter().flatten().map(|known| known.joined).sum::<u64>()
    }

    fn share(&self, records: u64) -> f64 {
        percent_of(records, self.joined())
    }

    fn is_beyond(&self, class: Class, records: u64) -> bool {
        let limits = self.object.limits;
        match class {
            Class::Missing => records > limits.missing,
            Class::Extra => records > limits.extra,
            Class::Different => self.share(records) > limits.different_percent,
        }
    }

    /// The check that alerts for all three, if one fault or field explains most of the confirmed records.
    fn lead(&self) -> Option<Check> {
        let confirmed = self.confirmed.as_ref()?;
        let is_most = |records: u64| records > 0 && records * 100 >= confirmed.rows() * ONE_CAUSE_PERCENT;
        let by_fault = |fault: Fault| {
            let of_fault = confirmed.faults.iter().filter(|((_, one), _)| *one == fault);
            of_fault.map(|(_, records)| *records).sum::<u64>()
        };
        let explained =
            confirmed.faults.keys().any(|(_, fault)| *fault != Fault::Unknown && is_most(by_fault(*fault)))
                || confirmed.fields.values().any(|records| is_most(*records));
        let unhealthy = CHECKS.iter().filter(|(_, class)| self.is_beyond(*class, self.wrong(*class)));
        // The first of those with the most records.
        let most = unhealthy.rev().max_by_key(|(_, class)| self.wrong(*class));
        most.filter(|_| explained).map(|(check, _)| *check)
    }

    fn judge(&self, check: Check, class: Class, lead: Option<Check>) -> Finding {
        let about = check.about(&self.object.name);
        let (wrong, all) = (self.wrong(class), self.all.of(class));
        if self.is_beyond(class, wrong) {
            if let Some(lead) = lead.filter(|lead| *lead != check) {
                return about.under(lead);
            }
            let severity = if class == Class::Extra { Severity::Warning } else { Severity::Error };
            return about.unhealthy(severity, self.evidence(class, wrong), self.cause(class));
        }
        if self.confirmed.is_none() && self.is_beyond(class, all + self.late(class) + self.elsewhere(class)) {
            let seen = counted(all, "record");
            return about.nothing_yet(format!("a second look ({seen} {}, seen once)", class.name()));
        }
        let unknown = self.others.iter().filter(|known| known.is_none()).count();
        if unknown > 0 {
            return about
                .nothing_yet(format!("the first comparison of {}", counted(unknown, "bucket of keys")));
        }
        about.healthy(self.evidence(class, wrong))
    }

    fn evidence(&self, class: Class, wrong: u64) -> Evidence {
        let (found, limits) = (self.found, self.object.limits);
        let destination = &self.pipeline.terms.destination;
        let records = counted(wrong, "record");
        let share = rounded(self.share(wrong), 2, &[limits.different_percent]);
        let summary = match class {
            Class::Missing => {
                format!("{records} missing in {destination} (limit {})", grouped(limits.missing))
            }
            Class::Extra => {
                format!("{records} in {destination} without a source row (limit {})", grouped(limits.extra))
            }
            Class::Different => format!(
                "{} of {} differ from the source ({records}, limit {})",
                percent(share),
                counted(self.joined(), "record"),
                percent(limits.different_percent)
            ),
        };
        let confirmed = self.confirmed.as_ref();
        let bucket = Some(found.coverage).filter(|coverage| *coverage != Coverage::All);
        let mut evidence = Evidence::new(summary).with(class.name(), wrong).with("compared", found.joined);
        evidence = evidence
            .with_some("compared keys", bucket.map(|bucket| bucket.to_string()))
            .with_some("in buckets of other nights", bucket.map(|_| self.elsewhere(class)))
            .with_some("all keys", bucket.map(|_| confidence(self.all.of(class), self.keys(class))));
        if class == Class::Different {
            evidence = evidence.with_figure(Figure::new("share", Value::Percent(share)));
        }
        let main = |top: Option<(String, u64)>| {
            let (name, records) = top?;
            let all = confirmed.map_or(0, |confirmed| confirmed.of(class));
            Some(format!("{name} ({})", percent(rounded(percent_of(records, all), 0, &[]))))
        };
        evidence = evidence
            .with_some("main fault", main(self.main_fault(class).map(|(fault, n)| (fault.to_string(), n))));
        if class == Class::Different {
            let fields =
                confirmed.and_then(|confirmed| confirmed.fields.iter().max_by_key(|(_, records)| **records));
            evidence = evidence.with_some("main field", main(fields.map(|(field, n)| (field.clone(), *n))));
        }
        let rejection = found.rejections.iter().max_by_key(|(_, records)| **records);
        let is_rejected = matches!(self.main_fault(class), Some((Fault::Rejected, _)));
        let rejection = rejection.filter(|_| is_rejected).map(|(class, _)| class.id());
        let once = match confirmed {
            Some(confirmed) => self.all.of(class).saturating_sub(confirmed.of(class)),
            None => self.all.of(class),
        };
        evidence
            .with_some("rejected with", rejection)
            .with_some("late", Some(self.late(class)).filter(|late| *late > 0))
            .with_some("seen once, judged at the next look", Some(once).filter(|once| *once > 0))
            .with_some("not examined", Some(found.unexamined).filter(|rows| *rows > 0))
            .with_some("age of the copy", found.copied.map(|copied| self.now.duration_since(copied)))
    }

    /// The keys of which some may be wrong in this way.
    fn keys(&self, class: Class) -> u64 {
        match class {
            Class::Different => self.found.joined,
            Class::Missing | Class::Extra => self.found.joined.saturating_add(self.all.of(class)),
        }
    }

    /// The fault of most confirmed records of a class.
    fn main_fault(&self, class: Class) -> Option<(Fault, u64)> {
        let faults = self.confirmed.as_ref()?.faults.iter().filter(|((of, _), _)| *of == class);
        faults.max_by_key(|(_, records)| **records).map(|((_, fault), records)| (*fault, *records))
    }

    fn cause(&self, class: Class) -> String {
        match self.main_fault(class) {
            Some((fault, _)) => format!("Most of them: {fault}. Next step: {}", fault.next_step()),
            None if self.late(class) == 0 => format!(
                "They are in buckets of other nights. Next step: list them with `syncwatch reconcile {}`",
                self.object.name
            ),
            None => {
                format!("Changes wait for longer than promised. Next step: {}", Fault::NotRun.next_step())
            }
        }
    }
}

#[cfg(test)]
mod tests;
