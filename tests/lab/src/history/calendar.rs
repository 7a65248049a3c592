//! The calendar of the business: its ten holidays and the ends of its months.
//!
//! The holidays are ten federal holidays of the United States. One that falls on a Saturday is kept on the Friday before,
//! one on a Sunday on the Monday after.

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};

type Result<T> = std::result::Result<T, jiff::Error>;

/// The holidays of a range of years, by the day on which they are kept.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    holidays: Vec<(Date, &'static str)>,
}

impl Calendar {
    /// Lists the holidays of these years and of the next one: its New Year's Day may be kept in December.
    pub(super) fn of_years(first: i16, last: i16) -> Result<Self> {
        let mut holidays = Vec::new();
        for year in first..=last.saturating_add(1) {
            for (month, day, name) in [
                (1, 1, "New Year's Day"),
                (7, 4, "Independence Day"),
                (11, 11, "Veterans Day"),
                (12, 25, "Christmas Day"),
            ] {
                holidays.push((kept(Date::new(year, month, day)?)?, name));
            }
            for (month, nth, weekday, name) in [
                (1, 3, Weekday::Monday, "Martin Luther King Jr. Day"),
                (2, 3, Weekday::Monday, "Presidents' Day"),
                (5, -1, Weekday::Monday, "Memorial Day"),
                (9, 1, Weekday::Monday, "Labor Day"),
                (10, 2, Weekday::Monday, "Columbus Day"),
                (11, 4, Weekday::Thursday, "Thanksgiving"),
            ] {
                holidays.push((Date::new(year, month, 1)?.nth_weekday_of_month(nth, weekday)?, name));
            }
        }
        Ok(Self { holidays })
    }

    /// The name of the holiday that is kept on this day.
    pub(super) fn holiday(&self, date: Date) -> Option<&'static str> {
        self.holidays.iter().find(|(kept, _)| *kept == date).map(|(_, name)| *name)
    }

    /// Whether the day is one of the last two business days of its month.
    pub(super) fn is_month_end(&self, date: Date) -> bool {
        let later = date.tomorrow().into_iter().flat_map(|next| next.series(1.day()));
        self.is_business_day(date)
            && later
                .take_while(|day| day.month() == date.month())
                .filter(|day| self.is_business_day(*day))
                .count()
                < 2
    }

    fn is_business_day(&self, date: Date) -> bool {
        !is_weekend(date) && self.holiday(date).is_none()
    }
}

/// Whether the day is a Saturday or Sunday.
pub(super) fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

fn kept(holiday: Date) -> Result<Date> {
    match holiday.weekday() {
        Weekday::Saturday => holiday.yesterday(),
        Weekday::Sunday => holiday.tomorrow(),
        _ => Ok(holiday),
    }
}
