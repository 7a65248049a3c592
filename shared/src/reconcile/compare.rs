//! Compares two values by the kind of their field.

use jiff::tz::TimeZone;

use super::kind::Kind;
use super::normal::{choices, steps};
use super::number::Exact;
use super::value;
use super::verdict::{Reason, Rule, Verdict, WhyNot};
use crate::sql::Value;

const HOUR: i128 = 3_600;

/// Compares the value of the side that decides with that of the other side.
pub fn compare(kind: &Kind, decides: &Value, other: &Value) -> Verdict {
    let verdict = match kind {
        Kind::Flag => flags(decides, other),
        Kind::Number { scale, round_to_scale } => numbers(decides, other, *scale, *round_to_scale),
        Kind::Money { scale } => numbers(decides, other, *scale, false),
        Kind::Instant => instants(decides, other),
        Kind::Date { source_zone } => dates(decides, other, source_zone.as_ref()),
        _ => texts(kind, decides, other),
    };
    verdict.unwrap_or_else(Verdict::NotEvaluated)
}

/// Compares the currencies of two amounts.
pub fn compare_currencies(decides: &Value, other: &Value) -> Verdict {
    match compare(&Kind::Choice { values: Vec::new() }, decides, other) {
        Verdict::Different(_) => Verdict::Different(Reason::Currency),
        verdict => verdict,
    }
}

type Compared = Result<Verdict, WhyNot>;

fn texts(kind: &Kind, decides: &Value, other: &Value) -> Compared {
    let (raw, there) = (value::text(decides)?, value::text(other)?);
    if raw == there {
        return Ok(Verdict::Equal);
    }
    let (mut a, mut b) = (raw.clone(), there);
    for (rule, step) in steps(kind) {
        (a, b) = (a.and_then(|text| step(&text)), b.and_then(|text| step(&text)));
        if a == b {
            return Ok(Verdict::EqualNormalised(rule));
        }
    }
    Ok(Verdict::Different(match (a, b) {
        (None, _) if raw.is_some() => Reason::EmptyDoesNotClear,
        (None, _) => Reason::NotCleared,
        (_, None) => Reason::Lost,
        (Some(a), Some(b)) => reason_of_texts(kind, &a, &b),
    }))
}

/// The reason for which two normal texts differ.
fn reason_of_texts(kind: &Kind, a: &str, b: &str) -> Reason {
    match kind {
        Kind::Choice { values } if !values.is_empty() && !values.iter().any(|v| v.to_lowercase() == a) => {
            return Reason::RejectedChoice;
        }
        Kind::Choices => {
            let lacks = |in_one: &str, other: &str| choices(in_one).any(|c| !choices(other).any(|o| o == c));
            return if lacks(a, b) { Reason::MissingChoice } else { Reason::ExtraChoice };
        }
        Kind::SalesforceId if a.eq_ignore_ascii_case(b) => return Reason::OtherRecord,
        Kind::Text { max_length: Some(most) } => {
            let most = usize::try_from(*most).unwrap_or(usize::MAX);
            if a.chars().count() > most {
                let cut: String = a.chars().take(most).collect();
                return if cut.trim() == b { Reason::Cut } else { Reason::TooLong };
            }
        }
        _ => {}
    }
    let without_blanks = |text: &str| text.split_whitespace().collect::<String>();
    let zeros = |text: &str| text.trim_start_matches('0').to_owned();
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if a.to_lowercase() == b.to_lowercase() {
        Reason::Case
    } else if without_blanks(a) == without_blanks(b) {
        Reason::InnerWhitespace
    } else if is_digits(a) && is_digits(b) && zeros(a) == zeros(b) {
        Reason::LeadingZero
    } else {
        Reason::Other
    }
}

/// The verdict if a value is NULL, else that of a comparison.
fn known<T>(a: Option<T>, b: Option<T>, compared: impl FnOnce(T, T) -> Verdict) -> Compared {
    Ok(match (a, b) {
        (None, None) => Verdict::Equal,
        (None, Some(_)) => Verdict::Different(Reason::NotCleared),
        (Some(_), None) => Verdict::Different(Reason::Lost),
        (Some(a), Some(b)) => compared(a, b),
    })
}

fn flags(decides: &Value, other: &Value) -> Compared {
    let (a, b) = (value::flag(decides)?, value::flag(other)?);
    Ok(if a == b {
        Verdict::Equal
    } else if a.unwrap_or(false) == b.unwrap_or(false) {
        Verdict::EqualNormalised(Rule::FlagHasNoNull)
    } else {
        Verdict::Different(Reason::Other)
    })
}

fn numbers(decides: &Value, other: &Value, scale: u32, round_to_scale: bool) -> Compared {
    let (a, b) = (value::number(decides)?, value::number(other)?);
    if a.is_none() && b.is_some_and(Exact::is_zero) {
        return Ok(Verdict::Different(Reason::NullIsNotZero));
    }
    known(a, b, |a, b| {
        if a == b {
            Verdict::Equal
        } else if a.same_double(b) && a.within_half_unit(b, scale) {
            Verdict::EqualNormalised(Rule::BinaryFloat)
        } else if round_to_scale && a.rounded(scale) == b.rounded(scale) {
            Verdict::EqualNormalised(Rule::RoundToScale)
        } else if a.rounded(scale) == b {
            Verdict::Different(Reason::Rounded)
        } else if a.same_double(b) {
            Verdict::Different(Reason::Beyond15Digits)
        } else {
            Verdict::Different(Reason::Other)
        }
    })
}

fn instants(decides: &Value, other: &Value) -> Compared {
    known(value::instant(decides)?, value::instant(other)?, |a, b| {
        let second = |instant: jiff::Timestamp| instant.as_nanosecond().div_euclid(1_000_000_000);
        // PostgreSQL rounds a text to the microsecond.
        let rounded = |instant: jiff::Timestamp| (instant.as_nanosecond() + 500).div_euclid(1_000_000_000);
        if a == b {
            Verdict::Equal
        } else if second(a) == second(b) || rounded(a) == rounded(b) {
            Verdict::EqualNormalised(Rule::WholeSeconds)
        } else if (second(a) - second(b)).abs() == HOUR {
            Verdict::Different(Reason::OneHour)
        } else {
            Verdict::Different(Reason::Other)
        }
    })
}

fn dates(decides: &Value, other: &Value, zone: Option<&TimeZone>) -> Compared {
    let zone = zone.cloned().unwrap_or(TimeZone::UTC);
    known(value::date(decides, &zone)?, value::date(other, &zone)?, |a, b| {
        if a == b {
            Verdict::Equal
        } else if crate::days::days_between(a, b).abs() == 1 {
            Verdict::Different(Reason::OneDay)
        } else {
            Verdict::Different(Reason::Other)
        }
    })
}
