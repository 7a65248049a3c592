//! Verdicts as one sentence each, with figures as people write them.

use jiff::SignedDuration;
use jiff::civil::Date;

use super::days::Verdict;
use super::drift::Drift;
use super::forecast::{Breach, Forecast, Limit};
use super::measure::{Kind, Measure, Side};
use super::silence::{Class, Silence};
use crate::days::days_between;
use crate::text::{counted, grouped, ordinal, percent, rounded, two_digits, words};

impl Measure {
    /// Formats a figure as people write it: records, a duration or percent.
    pub fn shown(self, x: f64) -> String {
        figure(self, x)
    }

    /// Formats a figure with its unit, where that does not show it.
    fn with_unit(self, x: f64) -> String {
        let shown = figure(self, x);
        match self {
            Self::Volume => format!("{shown} {}", records(&shown)),
            Self::Queue => format!("{shown} {} waiting", records(&shown)),
            _ => shown,
        }
    }
}

impl Breach {
    /// Says in a few words when the figure passes its limit.
    pub fn brief(&self, measure: Measure, limit: Limit) -> String {
        let passes = if limit.side == Side::Low { "falls under" } else { "rises over" };
        let name = name(measure);
        let name = name.strip_prefix("The ").unwrap_or("coverage");
        format!("{name} {passes} {} {}", figure(measure, limit.value), between(self))
    }
}

impl Verdict {
    /// Says in a few words what the figure was and what was expected; none of a day without a figure or an expectation.
    pub fn brief(&self) -> Option<String> {
        let (value, range) = (self.value?, self.expectation?);
        let [low, high] = [range.low, range.high].map(|x| figure(self.measure, x));
        let date = self.date.strftime("%A %-d %B");
        Some(format!("{} on {date} ({low} to {high} expected)", self.measure.with_unit(value)))
    }

    /// Describes the day beside its expected range; none of a day without a figure or an expectation.
    pub fn sentence(&self, subject: &str) -> Option<String> {
        let (value, range) = (self.value?, self.expectation?);
        let [shown, expected, low, high] =
            [value, range.expected, range.low, range.high].map(|x| figure(self.measure, x));
        let fact = match self.measure {
            Measure::Volume => format!("{subject} moved {shown} {}", records(&shown)),
            Measure::Queue => format!("{subject} had {shown} {} waiting", records(&shown)),
            Measure::Duration => format!("Runs of {subject} took {shown}"),
            Measure::Coverage => format!("Coverage of {subject} was {shown}"),
            Measure::NullRate => format!("The null rate of {subject} was {shown}"),
            Measure::ErrorRate => format!("The error rate of {subject} was {shown}"),
        };
        let date = self.date.strftime("%A %-d %B");
        let row = if self.streak > 1 { format!(" (day {} in a row)", self.streak) } else { String::new() };
        let was = if self.measure.rules().kind == Kind::Count && expected != "1" { "were" } else { "was" };
        let days = if range.days == 1 { "day" } else { "days" };
        let basis = format!("from {} {days}, {}", range.days, range.basis.words());
        Some(format!("{fact} on {date}{row}; {expected} {was} expected ({low} to {high}, {basis})."))
    }
}

impl Drift {
    /// Says in a few words what the figure has become.
    pub fn brief(&self, measure: Measure) -> String {
        let a_day = if measure == Measure::Volume { " a day" } else { "" };
        let [now, before] = [measure.with_unit(self.now), figure(measure, self.before)];
        format!("{now}{a_day} since {} ({before} before)", self.since.strftime("%-d %B"))
    }

    /// Describes the lasting change of a figure.
    pub fn sentence(&self, subject: &str, measure: Measure) -> String {
        let ratio = ratio(self.now, self.before, self.side);
        let change = match measure {
            Measure::Volume => format!("{subject} moves {ratio} what it did"),
            Measure::Queue => format!("The queue of {subject} is {ratio} what it was"),
            Measure::Duration => format!("Runs of {subject} take {ratio} the time they did"),
            Measure::Coverage | Measure::NullRate | Measure::ErrorRate => {
                let than = if self.side == Side::Low { "lower" } else { "higher" };
                format!("{} of {subject} is {than} than it was", name(measure))
            }
        };
        let [now, before] = [self.now, self.before].map(|x| figure(measure, x));
        let a_day = if measure == Measure::Volume { " a day" } else { "" };
        let since = self.since.strftime("%-d %B");
        let medians = format!("median of {} days against {}", self.days_now, self.days_before);
        format!("{change}: {now}{a_day} since {since}, {before} before ({medians}).")
    }
}

impl Forecast {
    /// Describes when the figure passes its limit, or why none is made.
    pub fn sentence(&self, subject: &str, measure: Measure, limit: Limit) -> String {
        let breach = match self {
            Self::Breach(breach) => breach,
            Self::None(why) => return format!("No forecast: {why}."),
        };
        let passes = if limit.side == Side::Low { "falls under" } else { "rises over" };
        let [limit_shown, from, to] =
            [limit.value, breach.from, breach.to].map(|x| match measure.rules().kind {
                Kind::Percent => percent(rounded(x, 2, &[limit.value])),
                Kind::Count | Kind::Duration => figure(measure, x),
            });
        let gained = if breach.slope < 0.0 { "lost" } else { "gained" };
        let unit = match measure.rules().kind {
            Kind::Count => "records",
            Kind::Duration => "seconds",
            Kind::Percent => "points",
        };
        let slope = two_digits(breach.slope.abs());
        let trend = format!("it has {gained} {slope} {unit} a day for {} days ({from} to {to})", breach.days);
        format!("{} of {subject} {passes} {limit_shown} {}: {trend}.", name(measure), between(breach))
    }
}

impl Silence {
    /// Says in a few words for how long runs moved no records, and how many of them usually do.
    pub fn brief(&self) -> String {
        let usually = if self.quiet.earlier == 0 {
            String::new()
        } else {
            format!("; usually {} of such runs move some", self.share_that_moved())
        };
        format!("no records for {}{usually}", self.length())
    }

    /// Describes the runs without records.
    pub fn sentence(&self) -> String {
        let (since, first) = self.quiet.since.unwrap_or(self.until);
        let minutes = self.minutes(first);
        let time = format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let begin = if since == self.until.0 {
            format!("on a {} from {time}", since.strftime("%A"))
        } else {
            format!("since {} {time}", since.strftime("%A %-d %B"))
        };
        let days = match self.class {
            Class::Weekday => "weekdays",
            Class::Weekend => "weekend days",
        };
        let (length, share) = (self.length(), self.share_that_moved());
        format!(
            "No records for {length} {begin}; these runs moved some in {share} of the last {} {days}.",
            self.days
        )
    }

    /// The time from the first of the runs to the end of the last one's slot, and their number: `2h (8 runs)`.
    fn length(&self) -> String {
        let (since, first) = self.quiet.since.unwrap_or(self.until);
        let (until, last) = self.until;
        let length = days_between(since, until) * 24 * 60 + self.minutes(last + 1) - self.minutes(first);
        format!("{} ({})", words(SignedDuration::from_mins(length)), counted(self.quiet.runs, "run"))
    }

    fn share_that_moved(&self) -> String {
        let share = 100.0 * self.quiet.earlier_moved as f64 / self.quiet.earlier.max(1) as f64;
        percent(rounded(share, 0, &[100.0]))
    }

    /// The minutes from midnight to the beginning of a slot.
    pub fn minutes(&self, slot: usize) -> i64 {
        (slot * 24 * 60 / self.slots.max(1)) as i64
    }
}

/// Describes a run that is unlike all runs of some days.
pub fn remark(records: u64, days: usize) -> String {
    format!("{} records in one run; nothing like it in {days} days.", grouped(records))
}

fn name(measure: Measure) -> &'static str {
    match measure {
        Measure::Volume => "The volume",
        Measure::Queue => "The queue",
        Measure::Duration => "The duration",
        Measure::Coverage => "Coverage",
        Measure::NullRate => "The null rate",
        Measure::ErrorRate => "The error rate",
    }
}

fn figure(measure: Measure, x: f64) -> String {
    match measure.rules().kind {
        Kind::Count => grouped(x.round() as u64),
        Kind::Duration => words(SignedDuration::from_secs(x.round() as i64)),
        Kind::Percent => percent(rounded(x, 2, &[])),
    }
}

fn records(count: &str) -> &'static str {
    if count == "1" { "record" } else { "records" }
}

/// Describes a figure as a part or a multiple of another one.
fn ratio(now: f64, before: f64, side: Side) -> String {
    let ratio = now / before;
    match side {
        _ if !ratio.is_finite() => "more than".to_owned(),
        Side::Low if (0.45..=0.55).contains(&ratio) => "half of".to_owned(),
        Side::Low => format!("{} of", percent((100.0 * ratio).round())),
        Side::High if (1.95..=2.05).contains(&ratio) => "twice".to_owned(),
        Side::High => format!("{ratio:.1} times"),
    }
}

/// Describes the days of a breach: `between 12 and 19 December, most likely on the 15th`.
fn between(breach: &Breach) -> String {
    let [earliest, middle, latest] =
        [breach.earliest, breach.middle, breach.latest].map(|days| breach.date(days));
    let same_month = |a: Date, b: Date| a.first_of_month() == b.first_of_month();
    let day_and_month = |date: Date| date.strftime("%-d %B").to_string();
    if earliest == latest {
        return format!("on {}", day_and_month(latest));
    }
    let [first, likely] = if same_month(earliest, latest) {
        [earliest.day().to_string(), format!("the {}", ordinal(middle.day().unsigned_abs().into()))]
    } else {
        [earliest, middle].map(day_and_month)
    };
    format!("between {first} and {}, most likely on {likely}", day_and_month(latest))
}
