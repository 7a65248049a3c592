//! Schedules in Census's format, and when they fall due. All in UTC.

use cronexpr::{Crontab, MakeTimestamp};
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::{Value, json};

/// A schedule of the simulated Census.
#[derive(Debug, Clone)]
pub enum SimSchedule {
    Never,
    /// About every minute, as documented.
    Continuous,
    /// At the quarters of the hour, which is the lab's choice.
    QuarterHourly,
    /// At a minute of each hour.
    Hourly {
        /// 0 to 59.
        minute: i8,
    },
    /// Each day. The hour is in UTC, which is the lab's choice; only cron is documented to be.
    Daily {
        /// 0 to 23.
        hour: i8,
        /// 0 to 59.
        minute: i8,
    },
    Weekly {
        day: Weekday,
        /// 0 to 23.
        hour: i8,
        /// 0 to 59.
        minute: i8,
    },
    Cron(String, Box<Crontab>),
}

impl SimSchedule {
    /// Parses a cron schedule.
    ///
    /// # Errors
    /// The expression is invalid.
    pub fn cron(expression: &str) -> Result<Self, String> {
        let crontab =
            cronexpr::parse_crontab(&format!("{expression} UTC")).map_err(|error| error.to_string())?;
        Ok(Self::Cron(expression.to_owned(), Box::new(crontab)))
    }

    /// The first due time after an instant.
    #[must_use]
    pub fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::Continuous => next_multiple(instant, 60, 0),
            Self::QuarterHourly => next_multiple(instant, 900, 0),
            Self::Hourly { minute } => next_multiple(instant, 3_600, i64::from(*minute) * 60),
            Self::Daily { hour, minute } => {
                next_multiple(instant, 86_400, i64::from(*hour) * 3_600 + i64::from(*minute) * 60)
            }
            Self::Weekly { day, hour, minute } => {
                let time = Time::new(*hour, *minute, 0, 0).ok()?;
                let today = instant.to_zoned(TimeZone::UTC).date();
                (0..=7).find_map(|days| {
                    let date = today.checked_add(days.days()).ok()?;
                    let due = date.to_datetime(time).to_zoned(TimeZone::UTC).ok()?.timestamp();
                    (date.weekday() == *day && due > instant).then_some(due)
                })
            }
            Self::Cron(_, crontab) => {
                crontab.find_next(MakeTimestamp(instant)).ok().map(|due| due.timestamp())
            }
        }
    }

    /// Parses a schedule from the API's format: `{frequency, day, hour, minute, cron_expression}`.
    ///
    /// # Errors
    /// Census would refuse the schedule.
    pub fn from_json(schedule: &Value) -> Result<Self, String> {
        let small = |key: &str| {
            schedule
                .get(key)
                .and_then(Value::as_i64)
                .and_then(|number| i8::try_from(number).ok())
                .unwrap_or(0)
        };
        // 24 is within the documented range; reading it as midnight is the lab's choice.
        let (hour, minute) = (small("hour") % 24, small("minute"));
        let word = |key: &str| schedule.get(key).and_then(Value::as_str).unwrap_or_default();
        match word("frequency") {
            "never" => Ok(Self::Never),
            "continuous" => Ok(Self::Continuous),
            "quarter_hourly" => Ok(Self::QuarterHourly),
            "hourly" => Ok(Self::Hourly { minute }),
            "daily" => Ok(Self::Daily { hour, minute }),
            "weekly" => {
                let days = [
                    ("Sunday", Weekday::Sunday),
                    ("Monday", Weekday::Monday),
                    ("Tuesday", Weekday::Tuesday),
                    ("Wednesday", Weekday::Wednesday),
                    ("Thursday", Weekday::Thursday),
                    ("Friday", Weekday::Friday),
                    ("Saturday", Weekday::Saturday),
                ];
                let day = days.iter().find(|(name, _)| name.eq_ignore_ascii_case(word("day")));
                let day = day.map(|(_, day)| *day).ok_or("a weekly schedule needs a day")?;
                Ok(Self::Weekly { day, hour, minute })
            }
            "expression" => Self::cron(word("cron_expression")),
            other => Err(format!("unknown frequency `{other}`")),
        }
    }

    /// The schedule in the API's format.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Never => json!({ "frequency": "never" }),
            Self::Continuous => json!({ "frequency": "continuous" }),
            Self::QuarterHourly => json!({ "frequency": "quarter_hourly" }),
            Self::Hourly { minute } => json!({ "frequency": "hourly", "minute": minute }),
            Self::Daily { hour, minute } => json!({ "frequency": "daily", "hour": hour, "minute": minute }),
            Self::Weekly { day, hour, minute } => {
                json!({ "frequency": "weekly", "day": format!("{day:?}"), "hour": hour, "minute": minute })
            }
            Self::Cron(expression, _) => json!({ "frequency": "expression", "cron_expression": expression }),
        }
    }
}

/// The first multiple of a period after an instant, shifted by an offset; both in seconds.
fn next_multiple(after: Timestamp, period: i64, offset: i64) -> Option<Timestamp> {
    let since = after.as_second() - offset;
    let next = since.div_euclid(period) * period + period + offset;
    Timestamp::from_second(next).ok().filter(|next| next.duration_since(after) > SignedDuration::ZERO)
}
