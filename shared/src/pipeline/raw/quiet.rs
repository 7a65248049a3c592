//! `[[quiet_days]]`: days on which figures are neither judged nor learnt from.

use jiff::civil::Date;
use serde::Deserialize;
use toml::Spanned;

use super::values::or_use;
use super::{Text, Validation};
use crate::marks::{Country, QuietDays, month_day};

const DATES: &str =
    "use days such as \"2026-11-26\", or spans such as \"2026-12-24/2027-01-01\", both ends included";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawQuietDays {
    pub(super) name: Text,
    #[serde(default)]
    dates: Vec<Text>,
    #[serde(default)]
    yearly: Vec<Text>,
    country: Option<Text>,
    #[serde(default)]
    syncs: Vec<Text>,
}

impl Validation {
    /// Checks one declaration. `syncs` are the keys of the declared syncs.
    pub(super) fn quiet_days(&mut self, raw: RawQuietDays, syncs: &[&str]) -> QuietDays {
        if raw.dates.is_empty() && raw.yearly.is_empty() && raw.country.is_none() {
            self.refuse(&raw.name, "quiet_days", "no day", "add dates, yearly or country");
        }
        let mut quiet = QuietDays { name: raw.name.get_ref().clone(), ..QuietDays::default() };
        for text in &raw.dates {
            match span(text.get_ref()) {
                Some(span) => quiet.dates.push(span),
                None => self.refuse(text, "quiet_days.dates", format!("found \"{}\"", text.get_ref()), DATES),
            }
        }
        for text in &raw.yearly {
            match month_day(text.get_ref()) {
                Some(day) => quiet.yearly.push(day),
                None => {
                    let found = format!("found \"{}\"", text.get_ref());
                    self.refuse(text, "quiet_days.yearly", found, "use month and day, such as \"12-25\"");
                }
            }
        }
        if let Some(code) = &raw.country {
            quiet.country = Country::parse(code.get_ref());
            if quiet.country.is_none() {
                let known = or_use(Country::all().map(Country::code));
                let found = format!("no list of holidays of \"{}\"", code.get_ref());
                self.refuse(code, "quiet_days.country", found, format!("use dates or yearly{known}"));
            }
        }
        for sync in raw.syncs.iter().filter(|sync| !syncs.contains(&sync.get_ref().as_str())) {
            let found = format!("no sync \"{}\"", sync.get_ref());
            self.refuse(sync, "quiet_days.syncs", found, "use the key of a declared sync");
        }
        quiet.syncs = raw.syncs.into_iter().map(Spanned::into_inner).collect();
        quiet
    }
}

/// Reads a day, or a span of days.
fn span(text: &str) -> Option<(Date, Date)> {
    let (first, last) = text.split_once('/').unwrap_or((text, text));
    let day = |text: &str| text.trim().parse::<Date>().ok();
    let (first, last) = (day(first)?, day(last)?);
    (first <= last).then_some((first, last))
}
