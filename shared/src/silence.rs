//! Silences and maintenance windows: owner, reason, scope, beginning and end.
//!
//! A silence suppresses notices and hides nothing: its checks still run, their incidents are stored, and suppressed notices
//! are counted and reported when it ends. An incident that has alerted also sends its resolution, silence or not.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::finding::Check;
use crate::schedule::Schedule;
use crate::text::{minute_utc, words};

/// The longest duration of one silence. A silence without an end would hide outages.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);

/// The checks and subjects that a silence covers. An empty list covers all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    pub checks: Vec<Check>,
    /// Keys of syncs, or `census`.
    pub subjects: Vec<String>,
}

impl Scope {
    /// Returns whether it covers findings of this check and subject.
    pub fn covers(&self, check: Check, subject: &str) -> bool {
        (self.checks.is_empty() || self.checks.contains(&check))
            && (self.subjects.is_empty() || self.subjects.iter().any(|covered| covered == subject))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks: Vec<&str> = self.checks.iter().map(|check| check.id()).collect();
        match (checks.as_slice(), self.subjects.as_slice()) {
            ([], []) => f.write_str("everything"),
            ([], subjects) => write!(f, "every check of {}", subjects.join(", ")),
            (checks, []) => write!(f, "{} of all subjects", checks.join(", ")),
            (checks, subjects) => write!(f, "{} of {}", checks.join(", "), subjects.join(", ")),
        }
    }
}

/// One period of suppressed notices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its name; that of a recurring one includes its beginning, so that each period is counted separately.
    pub id: String,
    pub owner: String,
    pub reason: String,
    pub scope: Scope,
    /// When it begins (UTC). One of an operator begins when it is added.
    pub from: Timestamp,
    /// When it ends (UTC): notices are sent again from this instant on.
    pub until: Timestamp,
    /// Whether `pipeline.toml` declares it, or did: then the file, not the stored copy, decides whether it is active.
    pub declared: bool,
}

impl Silence {
    /// Returns whether it is active at this instant.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.from <= now && !self.has_ended(now)
    }

    /// Returns whether it has ended.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        now >= self.until
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, owner, reason, scope, until, .. } = self;
        write!(f, "{id} by {owner} ({reason}), {scope}, until {}", minute_utc(*until))
    }
}

/// A silence that `pipeline.toml` declares: one period, or one at each slot of a schedule.
#[derive(Debug, Clone)]
pub struct Declared {
    pub name: String,
    pub owner: String,
    pub reason: String,
    pub scope: Scope,
    /// When it begins (UTC); `None`: it has always been active.
    pub from: Option<Timestamp>,
    /// When it ends for good (UTC).
    pub until: Timestamp,
    /// The schedule of a maintenance window, and the duration of each.
    pub recurring: Option<(Schedule, SignedDuration)>,
}

impl Declared {
    /// Returns the silence that is active at this instant, if one is.
    pub fn active_at(&self, now: Timestamp) -> Option<Silence> {
        let from = self.from.unwrap_or(Timestamp::MIN);
        let (id, from, until) = match &self.recurring {
            None => (self.name.clone(), from, self.until),
            Some((schedule, lasts)) => {
                let begun = schedule.last_slot(now)?;
                if begun < from {
                    return None;
                }
                let until = begun.checked_add(*lasts).unwrap_or(self.until).min(self.until);
                (format!("{}@{}", self.name, begun.strftime("%Y-%m-%dT%H:%MZ")), begun, until)
            }
        };
        let (owner, reason, scope) = (self.owner.clone(), self.reason.clone(), self.scope.clone());
        let silence = Silence { id, owner, reason, scope, from, until, declared: true };
        silence.is_active(now).then_some(silence)
    }
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, owner, reason, scope, .. } = self;
        write!(f, "{name} by {owner} ({reason}): {scope}")?;
        if let Some((schedule, lasts)) = &self.recurring {
            write!(f, ", {} for {}", schedule, words(*lasts))?;
        }
        if let Some(from) = self.from {
            write!(f, ", from {}", minute_utc(from))?;
        }
        write!(f, ", until {}", minute_utc(self.until))
    }
}

/// Returns the silence that covers a finding; of several, the one that ends last, so that the end of another changes nothing.
pub fn covering<'a>(
    silences: &'a [Silence],
    check: Check,
    subject: &str,
    now: Timestamp,
) -> Option<&'a Silence> {
    silences
        .iter()
        .filter(|silence| silence.is_active(now) && silence.scope.covers(check, subject))
        .max_by_key(|silence| (silence.until, &silence.id))
}

/// Returns the silences that are active at `now`: the declared ones, and those that operators created. Of a declared silence only
/// its tally is stored; the file decides whether it is active.
pub fn active(declared: &[Declared], stored: &[Tally], now: Timestamp) -> Vec<Silence> {
    let requested = stored.iter().map(|tally| &tally.silence);
    let requested = requested.filter(|silence| !silence.declared && silence.is_active(now)).cloned();
    declared.iter().filter_map(|declared| declared.active_at(now)).chain(requested).collect()
}

/// The notices that a silence suppressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub silence: Silence,
    /// The number of suppressed notices.
    pub held_back: u64,
    /// The first incidents that they were about, as `check/subject`.
    pub incidents: Vec<String>,
    /// Suppressed notices about other incidents, which are not named, as the stored item must not grow without bound.
    pub of_others: u64,
    /// Suppressed notices that were reported after its end. It may have been prolonged since.
    pub reported: u64,
    /// How often they were reported.
    pub tellings: u32,
    /// When they were last reported (UTC).
    pub reported_at: Option<Timestamp>,
}

impl Tally {
    /// Returns the number of incidents that they were about, as far as it is known.
    pub fn incident_count(&self) -> String {
        let named = self.incidents.len();
        let more = if self.of_others == 0 { "" } else { "more than " };
        format!("{more}{named} {}", if named == 1 { "incident" } else { "incidents" })
    }

    /// Returns the number of suppressed notices to report now; 0 while the silence is active. `active` are all active silences.
    pub fn unreported(&self, active: &[Silence], now: Timestamp) -> u64 {
        let is_active = if self.silence.declared {
            active.iter().any(|silence| silence.id == self.silence.id)
        } else {
            !self.silence.has_ended(now)
        };
        if is_active { 0 } else { self.held_back.saturating_sub(self.reported) }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Weekday, time};
    use jiff::tz::TimeZone;

    use super::*;
    use crate::schedule::Rule;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn silence(id: &str, scope: Scope, until: &str) -> Silence {
        Silence {
            id: id.to_owned(),
            owner: "Ada".to_owned(),
            reason: "release".to_owned(),
            scope,
            from: at("2026-11-24T10:00:00Z"),
            until: at(until),
            declared: false,
        }
    }

    #[test]
    fn scope_covers_its_checks_and_subjects_and_an_empty_one_all() {
        let of = |checks: &[Check], subjects: &[&str]| Scope {
            checks: checks.to_vec(),
            subjects: subjects.iter().map(|subject| (*subject).to_owned()).collect(),
        };
        let table = [
            (of(&[], &[]), true),
            (of(&[Check::RunFailed], &[]), true),
            (of(&[], &["a"]), true),
            (of(&[Check::RunFailed, Check::Runtime], &["b", "a"]), true),
            (of(&[Check::Runtime], &["a"]), false),
            (of(&[Check::RunFailed], &["b"]), false),
        ];
        for (scope, covered) in table {
            assert_eq!(scope.covers(Check::RunFailed, "a"), covered, "{scope}");
        }
    }

    #[test]
    fn silence_is_active_from_its_beginning_until_before_its_end() {
        let silence = silence("s", Scope::default(), "2026-11-24T12:00:00Z");
        for (instant, active) in [
            ("2026-11-24T09:59:59Z", false),
            ("2026-11-24T10:00:00Z", true),
            ("2026-11-24T11:59:59Z", true),
            ("2026-11-24T12:00:00Z", false),
        ] {
            assert_eq!(silence.is_active(at(instant)), active, "{instant}");
        }
    }

    #[test]
    fn silence_that_ends_last_covers_the_finding() {
        let all = [
            silence("short", Scope::default(), "2026-11-24T11:00:00Z"),
            silence("long", Scope::default(), "2026-11-24T13:00:00Z"),
            silence(
                "other",
                Scope { checks: vec![Check::Runtime], subjects: Vec::new() },
                "2026-11-25T00:00:00Z",
            ),
        ];
        let covers =
            |instant| covering(&all, Check::RunFailed, "a", at(instant)).map(|silence| silence.id.as_str());
        assert_eq!(covers("2026-11-24T10:30:00Z"), Some("long"));
        assert_eq!(covers("2026-11-24T13:00:00Z"), None);
    }

    #[test]
    fn maintenance_window_recurs_in_its_zone_and_ends_for_good() {
        let declared = Declared {
            name: "salesforce-release".to_owned(),
            owner: "Ada".to_owned(),
            reason: "release weekend".to_owned(),
            scope: Scope::default(),
            from: None,
            until: at("2026-11-30T00:00:00Z"),
            recurring: Some((
                Schedule {
                    rule: Rule::Weekly(Weekday::Saturday, time(22, 0, 0, 0)),
                    time_zone: TimeZone::get("America/Los_Angeles").unwrap(),
                    grace: SignedDuration::ZERO,
                },
                SignedDuration::from_hours(2),
            )),
        };
        // 22:00 in Los Angeles is 05:00 UTC before the clocks change on 2026-11-01 and 06:00 after it.
        for (instant, id) in [
            ("2026-11-01T04:59:59Z", None),
            ("2026-11-01T05:00:00Z", Some("salesforce-release@2026-11-01T05:00Z")),
            ("2026-11-01T07:00:00Z", None),
            ("2026-11-08T05:30:00Z", None),
            ("2026-11-08T06:30:00Z", Some("salesforce-release@2026-11-08T06:00Z")),
            ("2026-12-06T06:30:00Z", None),
        ] {
            assert_eq!(declared.active_at(at(instant)).map(|silence| silence.id).as_deref(), id, "{instant}");
        }
    }

    #[test]
    fn recurring_silence_is_active_from_its_declared_beginning() {
        let from = at("2026-11-24T12:00:00Z");
        let window = Declared {
            name: "noon".to_owned(),
            owner: "Ada".to_owned(),
            reason: "load".to_owned(),
            scope: Scope::default(),
            from: Some(from),
            until: at("2026-11-30T00:00:00Z"),
            recurring: Some((
                Schedule {
                    rule: Rule::Daily(time(12, 0, 0, 0)),
                    time_zone: TimeZone::UTC,
                    grace: SignedDuration::ZERO,
                },
                SignedDuration::from_hours(1),
            )),
        };
        let is_active = |window: &Declared, instant| window.active_at(at(instant)).is_some();
        assert!(is_active(&window, "2026-11-24T12:00:00Z"), "a period may begin at that instant");
        assert!(!is_active(&window, "2026-11-23T12:30:00Z"));
        assert!(is_active(&window, "2026-11-25T12:30:00Z"));
        let later = Declared { from: Some(at("2026-11-24T12:00:01Z")), ..window };
        assert!(!is_active(&later, "2026-11-24T12:30:00Z"));
        assert_eq!(LONGEST.as_hours(), 31 * 24);
    }

    #[test]
    fn suppressed_notices_are_reported_once_after_the_end() {
        let tally = |held_back, reported| Tally {
            silence: silence("s", Scope::default(), "2026-11-24T12:00:00Z"),
            held_back,
            incidents: Vec::new(),
            of_others: 0,
            reported,
            tellings: 0,
            reported_at: None,
        };
        let end = at("2026-11-24T12:00:00Z");
        assert_eq!(tally(3, 0).unreported(&[], end), 3);
        assert_eq!(tally(3, 0).unreported(&[], at("2026-11-24T11:59:59Z")), 0);
        assert_eq!(tally(0, 0).unreported(&[], end), 0);
        assert_eq!(tally(3, 3).unreported(&[], end), 0);
        // Prolonged after its report, and suppressed more.
        assert_eq!(tally(5, 3).unreported(&[], end), 2);
    }

    #[test]
    fn file_decides_whether_a_declared_silence_is_active() {
        let stored = Silence { declared: true, ..silence("s", Scope::default(), "2026-11-24T12:00:00Z") };
        let incidents = Vec::new();
        let tally = Tally {
            silence: stored.clone(),
            held_back: 1,
            incidents,
            of_others: 0,
            reported: 0,
            tellings: 0,
            reported_at: None,
        };
        let (within, after) = (at("2026-11-24T11:00:00Z"), at("2026-11-24T13:00:00Z"));
        let prolonged = Silence { until: at("2026-11-24T18:00:00Z"), ..stored };
        assert_eq!(tally.unreported(std::slice::from_ref(&prolonged), after), 0, "prolonged in the file");
        assert_eq!(tally.unreported(&[], within), 1, "removed from the file");
    }
}
