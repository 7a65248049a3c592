//! Quiet days by declaration: dates, days of each year, public holidays of a country.

use std::fmt;

use jiff::civil::Date;

use crate::text::counted;

/// Days on which figures are neither judged nor learnt from, in the pipeline's zone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuietDays {
    pub name: String,
    /// Spans of days, both ends included.
    pub dates: Vec<(Date, Date)>,
    /// Month and day of every year, from 1. 29 February is quiet in leap years.
    pub yearly: Vec<(i8, i8)>,
    pub country: Option<Country>,
    /// The keys of the syncs; if empty, all figures of the pipeline.
    pub syncs: Vec<String>,
}

impl QuietDays {
    /// Returns the name of a day that is quiet for a subject: the key of a sync, or the name of the pipeline.
    pub fn name_of(&self, subject: &str, day: Date) -> Option<&str> {
        if !self.syncs.is_empty() && !self.syncs.iter().any(|sync| sync == subject) {
            return None;
        }
        let declared = self.dates.iter().any(|(first, last)| (*first..=*last).contains(&day))
            || self.yearly.contains(&(day.month(), day.day()));
        if declared { Some(&self.name) } else { self.country?.holiday(day) }
    }
}

/// Such as `company holidays (public holidays of US, 2 dates) for properties-create`.
impl fmt::Display for QuietDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.country.map(|country| format!("public holidays of {}", country.code())));
        let mut add = |count: usize, unit: &str, rest: &str| {
            parts.extend((count > 0).then(|| format!("{}{rest}", counted(count, unit))));
        };
        add(self.dates.len(), "date", "");
        add(self.yearly.len(), "day", " of each year");
        write!(f, "{} ({})", self.name, parts.join(", "))?;
        if self.syncs.is_empty() { Ok(()) } else { write!(f, " for {}", self.syncs.join(", ")) }
    }
}

/// A country whose public holidays are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country(&'static str);

/// National public holidays by country; the first line names the source. A line is `code|name|days`.
const HOLIDAYS: &str = include_str!("holidays.txt");

impl Country {
    /// Reads an ISO 3166 code of two letters.
    pub fn parse(code: &str) -> Option<Self> {
        Self::all().find(|country| country.0 == code)
    }

    /// Lists the countries, in the order of their codes.
    pub fn all() -> impl Iterator<Item = Self> {
        let mut before = "";
        lines().filter_map(move |(code, ..)| {
            (std::mem::replace(&mut before, code) != code).then_some(Self(code))
        })
    }

    /// The ISO 3166 code.
    pub fn code(self) -> &'static str {
        self.0
    }

    /// Returns the name of a day that is a holiday.
    pub fn holiday(self, day: Date) -> Option<&'static str> {
        let whole = day.to_string();
        let yearly = whole.get(5..)?;
        lines()
            .filter(|(code, ..)| *code == self.0)
            .find(|(.., days)| days.split(' ').any(|listed| listed == whole || listed == yearly))
            .map(|(_, name, _)| name)
    }
}

/// Reads a day of each year, as `12-25`. 29 February is one.
pub fn month_day(text: &str) -> Option<(i8, i8)> {
    // 2024 is a leap year.
    let date: Date = (text.len() == 5).then(|| format!("2024-{text}").parse().ok())??;
    Some((date.month(), date.day()))
}

fn lines() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    HOLIDAYS.lines().filter_map(|line| {
        let (code, rest) = line.split_once('|')?;
        let (name, days) = rest.split_once('|')?;
        Some((code, name, days))
    })
}
