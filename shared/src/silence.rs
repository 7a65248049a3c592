//! Silences and maintenance windows: who asked for quiet, about what, why, and until when.
//!
//! A silence holds notices back; it hides nothing. What it covers is judged and stored as ever, what it held back is
//! counted, and told when it ends. People who were told of an incident are told of its end, silence or not.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::finding::Check;
use crate::schedule::Schedule;
use crate::text::{minute_utc, words};

/// The longest time for which notices may be held back at one stretch. Quiet without an end is how outages go unseen.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);

/// What a silence covers. An empty list means all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    pub checks: Vec<Check>,
    /// The subjects: keys of syncs, or `census`.
    pub subjects: Vec<String>,
}

impl Scope {
    /// Whether a finding of this check and subject is covered.
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
            (checks, []) => write!(f, "{} of everything", checks.join(", ")),
            (checks, subjects) => write!(f, "{} of {}", checks.join(", "), subjects.join(", ")),
        }
    }
}

/// One stretch of quiet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its name; one that returns has the instant of its beginning in it, so that each stretch is counted by itself.
    pub id: String,
    pub owner: String,
    pub reason: String,
    pub scope: Scope,
    /// From when on (UTC).
    pub from: Timestamp,
    /// Until when (UTC); from this instant on people are told again.
    pub until: Timestamp,
    /// Whether `pipeline.toml` declares it, or did: the file then says whether it holds, not what is stored of it.
    pub declared: bool,
}

impl Silence {
    /// Whether it holds at this instant.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.from <= now && !self.is_over(now)
    }

    /// Whether it is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, owner, reason, scope, until, .. } = self;
        write!(f, "{id} by {owner} ({reason}), {scope}, until {}", minute_utc(*until))
    }
}

/// Quiet that `pipeline.toml` declares: once, or each time that a schedule has a slot.
#[derive(Debug, Clone)]
pub struct Declared {
    pub name: String,
    pub owner: String,
    pub reason: String,
    pub scope: Scope,
    /// From when on (UTC); `None` means always until its end.
    pub from: Option<Timestamp>,
    /// When it ends for good (UTC).
    pub until: Timestamp,
    /// The schedule of a maintenance window, and how long each lasts.
    pub recurring: Option<(Schedule, SignedDuration)>,
}

impl Declared {
    /// The stretch of quiet that holds at this instant, if one does.
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

/// The silence that covers a finding. Of several the one that ends last, so that the others change nothing.
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

/// What a silence held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub silence: Silence,
    /// How many notices were not sent because of it.
    pub held_back: u64,
    /// The first incidents that they were of, as `check/subject`.
    pub incidents: Vec<String>,
    /// How many of the notices were of other incidents: their names would make the stored item grow without bound.
    pub of_others: u64,
    /// How many of the notices people were told of, after its end. It may have been prolonged since.
    pub told: u64,
    pub tellings: u32,
}

impl Tally {
    /// How many incidents they were of, as far as that is known.
    pub fn incident_count(&self) -> String {
        let named = self.incidents.len();
        let more = if self.of_others == 0 { "" } else { "more than " };
        format!("{more}{named} {}", if named == 1 { "incident" } else { "incidents" })
    }

    /// How many notices people are yet to be told of; none while the silence holds. `active` are the silences that hold.
    pub fn to_be_told(&self, active: &[Silence], now: Timestamp) -> u64 {
        let holds = if self.silence.declared {
            active.iter().any(|silence| silence.id == self.silence.id)
        } else {
            !self.silence.is_over(now)
        };
        if holds { 0 } else { self.held_back.saturating_sub(self.told) }
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
    fn a_scope_covers_what_it_names_and_an_empty_one_everything() {
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
    fn a_silence_holds_from_its_beginning_until_just_before_its_end() {
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
    fn of_several_silences_the_one_that_ends_last_counts() {
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
    fn a_maintenance_window_returns_in_its_own_zone_and_ends_for_good() {
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
    fn recurring_silence_holds_from_the_instant_that_is_declared() {
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
        let holds = |window: &Declared, instant| window.active_at(at(instant)).is_some();
        assert!(holds(&window, "2026-11-24T12:00:00Z"), "a stretch that begins then is not before it");
        assert!(!holds(&window, "2026-11-23T12:30:00Z"));
        assert!(holds(&window, "2026-11-25T12:30:00Z"));
        let later = Declared { from: Some(at("2026-11-24T12:00:01Z")), ..window };
        assert!(!holds(&later, "2026-11-24T12:30:00Z"));
        assert_eq!(LONGEST.as_hours(), 31 * 24);
    }

    #[test]
    fn what_was_held_back_is_told_once_and_only_after_the_end() {
        let tally = |held_back, told| Tally {
            silence: silence("s", Scope::default(), "2026-11-24T12:00:00Z"),
            held_back,
            incidents: Vec::new(),
            of_others: 0,
            told,
            tellings: 0,
        };
        let over = at("2026-11-24T12:00:00Z");
        assert_eq!(tally(3, 0).to_be_told(&[], over), 3);
        assert_eq!(tally(3, 0).to_be_told(&[], at("2026-11-24T11:59:59Z")), 0);
        assert_eq!(tally(0, 0).to_be_told(&[], over), 0);
        assert_eq!(tally(3, 3).to_be_told(&[], over), 0);
        // Prolonged after people were told, and held back more.
        assert_eq!(tally(5, 3).to_be_told(&[], over), 2);
    }

    #[test]
    fn whether_a_declared_silence_holds_is_what_the_file_says_and_not_what_was_stored() {
        let stored = Silence { declared: true, ..silence("s", Scope::default(), "2026-11-24T12:00:00Z") };
        let incidents = Vec::new();
        let tally =
            Tally { silence: stored.clone(), held_back: 1, incidents, of_others: 0, told: 0, tellings: 0 };
        let (within, after) = (at("2026-11-24T11:00:00Z"), at("2026-11-24T13:00:00Z"));
        let prolonged = Silence { until: at("2026-11-24T18:00:00Z"), ..stored };
        assert_eq!(tally.to_be_told(std::slice::from_ref(&prolonged), after), 0, "prolonged in the file");
        assert_eq!(tally.to_be_told(&[], within), 1, "taken out of the file");
    }
}
