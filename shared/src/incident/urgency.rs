//! The severity of a finding in this pipeline, and when it becomes critical.

use jiff::{SignedDuration, Timestamp};

use crate::figure::Value;
use crate::finding::{Check, Evidence, Severity};
use crate::schedule::Schedule;
use crate::text::minute_utc;

/// The urgency that a pipeline declares for findings of a check on a subject.
#[derive(Debug, Clone, Copy)]
pub struct Urgency<'a> {
    /// The severity that replaces the judge's.
    pub severity: Option<Severity>,
    /// Critical after this duration.
    pub after: Option<SignedDuration>,
    /// Also critical once the next slot of this schedule and its grace have passed.
    pub slots: Option<&'a Schedule>,
}

/// Returns whether an unhealthy check means that data stopped, so that it becomes critical after a while.
pub fn stops_data(check: Check) -> bool {
    matches!(
        check,
        Check::SyncPaused | Check::RunDue | Check::MinimumSchedule | Check::RunStuck | Check::Freshness
    )
}

impl Urgency<'_> {
    /// The severity of the judge, for any duration.
    pub const AS_JUDGED: Self = Self { severity: None, after: None, slots: None };

    /// Returns the severity of a finding that began then, and its evidence, which explains why if it became critical.
    pub(super) fn of(
        &self,
        found: Severity,
        evidence: &Evidence,
        began: Timestamp,
        now: Timestamp,
    ) -> (Severity, Evidence) {
        let severity = self.severity.unwrap_or(found);
        if severity == Severity::Critical {
            return (severity, evidence.clone());
        }
        let lasts = now.duration_since(began);
        let slot = self.slots.and_then(|slots| {
            let slot = slots.next_slot(began)?;
            (slot.checked_add(slots.grace).ok()? <= now).then_some(slot)
        });
        let because = match (self.after, slot) {
            (Some(limit), _) if lasts > limit => Value::Duration(limit),
            (_, Some(slot)) => Value::from(format!("slot at {}", minute_utc(slot))),
            _ => return (severity, evidence.clone()),
        };
        let evidence = evidence.clone().with("lasts", lasts).with("critical after", because);
        (Severity::Critical, evidence)
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::schedule::Rule;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn finding_past_its_limit_or_the_next_slot_is_critical() {
        let daily = Schedule {
            rule: Rule::Daily("02:00".parse().unwrap()),
            time_zone: TimeZone::get("America/Los_Angeles").unwrap(),
            grace: SignedDuration::from_hours(1),
        };
        let two_hours = Some(SignedDuration::from_hours(2));
        let began = "2026-11-24T08:00:00Z";
        let table = [
            (two_hours, None, "2026-11-24T10:00:00Z", Severity::Error),
            (two_hours, None, "2026-11-24T10:00:01Z", Severity::Critical),
            // 02:00 in Los Angeles is 10:00 UTC, and its grace ends at 11:00.
            (None, Some(&daily), "2026-11-24T10:59:59Z", Severity::Error),
            (None, Some(&daily), "2026-11-24T11:00:00Z", Severity::Critical),
            (Some(SignedDuration::from_hours(24)), Some(&daily), "2026-11-24T11:00:00Z", Severity::Critical),
            (None, None, "2027-11-24T11:00:00Z", Severity::Error),
        ];
        for (after, slots, now, expected) in table {
            let urgency = Urgency { severity: None, after, slots };
            let evidence = Evidence::new("paused");
            let (severity, evidence) = urgency.of(Severity::Error, &evidence, at(began), at(now));
            assert_eq!(severity, expected, "{after:?} at {now}");
            assert_eq!(evidence.figures.len(), if expected == Severity::Critical { 2 } else { 0 });
        }
    }

    #[test]
    fn declared_severity_replaces_the_judges() {
        let urgency = Urgency { severity: Some(Severity::Critical), ..Urgency::AS_JUDGED };
        let now = at("2026-11-24T08:00:00Z");
        assert_eq!(urgency.of(Severity::Error, &Evidence::new("5.1%"), now, now).0, Severity::Critical);
        let urgency = Urgency { severity: Some(Severity::Info), ..Urgency::AS_JUDGED };
        assert_eq!(urgency.of(Severity::Critical, &Evidence::new("5.1%"), now, now).0, Severity::Info);
    }
}
