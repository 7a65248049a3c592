//! Single values: each is read, or refused with the value found and the allowed ones.

use std::ops::RangeInclusive;

use jiff::SignedDuration;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use toml::Spanned;

use super::{Text, Validation};
use crate::data_checks::Day;
use crate::finding::Severity;
use crate::pipeline::{ApiVersion, ChannelKind, Level, Mode, RemedyKind, Role, Undeclared};
use crate::reconcile::{Authority, KeyKind};
use crate::schedule::weekday_named;
use crate::sql::Dialect;

/// The fault of a string that cannot be read, and the remedy.
pub(super) type Form = (&'static str, &'static str);

pub(super) const NAME: &str = "use 1 to 64 characters of a-z, 0-9 and `-`, starting with a letter";
const DURATION: Form = ("invalid duration", "use a duration such as \"90s\", \"15m\" or \"2h\"");
const ZONE: Form = ("unknown time zone", "use an IANA time zone such as \"America/Los_Angeles\" or \"UTC\"");
/// Abbreviations of zones, each with the zone that is usually meant. Some are also names of zones without summer time.
const MEANT: [(&str, &str); 9] = [
    ("EST", "America/New_York"),
    ("EDT", "America/New_York"),
    ("CST", "America/Chicago"),
    ("CDT", "America/Chicago"),
    ("MST", "America/Denver\", or without summer time \"America/Phoenix"),
    ("MDT", "America/Denver"),
    ("PST", "America/Los_Angeles"),
    ("PDT", "America/Los_Angeles"),
    ("HST", "Pacific/Honolulu"),
];
const TIME: Form = ("invalid time of day", "use a 24-hour time of day such as \"02:00\"");
const WEEKDAY: Form = ("unknown weekday", "use \"Monday\" to \"Sunday\"");
const LONGEST_DURATION: SignedDuration = SignedDuration::from_hours(24 * 366);

/// A value that the file names by one of a few words. Error texts list the words from here.
pub(super) trait Words: Copy + 'static {
    const ALL: &'static [(&'static str, Self)];
}

macro_rules! words {
    ($($values:ty: $($word:literal => $value:ident),+;)+) => {
        $(impl Words for $values {
            const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$value)),+];
        })+
    };
}

words! {
    ApiVersion: "v1" => V1, "v2" => V2;
    ChannelKind: "pagerduty" => PagerDuty, "slack" => Slack, "teams" => Teams, "webhook" => Webhook,
        "email" => Email;
    Level: "off" => Off, "advise" => Advise, "act" => Act;
    RemedyKind: "wait" => Wait, "run-again" => RunAgain, "run-after-limit" => RunAfterLimit,
        "start-warehouse" => StartWarehouse, "widen-warehouse" => WidenWarehouse,
        "replay-dead-letters" => ReplayDeadLetters, "resume" => Resume, "cancel-hung" => CancelHung,
        "register-webhook" => RegisterWebhook, "recreate-view" => RecreateView;
    Mode: "alert" => Alert, "watch" => Watch, "off" => Off;
    Undeclared: "warn" => Warn, "ignore" => Ignore;
    Role: "create" => Create, "update" => Update, "other" => Other;
    Severity: "info" => Info, "warning" => Warning, "error" => Error, "critical" => Critical;
    Day: "today" => Today, "yesterday" => Yesterday, "last-24h" => Last24Hours;
    KeyKind: "text" => Text, "text-ignoring-case" => TextIgnoringCase, "integer" => Integer,
        "salesforce-id" => SalesforceId;
    Authority: "source" => Source, "destination" => Destination;
    Dialect: "postgresql" => PostgreSql, "sqlite" => Sqlite, "databricks" => Databricks;
}

/// Lists all allowed words, and suggests the one with the longest common beginning.
pub(super) fn allowed<T: Words>(found: &str) -> String {
    // A long list reads better without quotes.
    let quote = if T::ALL.len() > 4 { "" } else { "\"" };
    let words: Vec<String> = T::ALL.iter().map(|(word, _)| format!("{quote}{word}{quote}")).collect();
    let (last, others) = words.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
    let alike =
        |word: &str| word.chars().zip(found.chars()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
    let nearest = T::ALL.iter().map(|(word, _)| (alike(word), word)).max_by_key(|(alike, _)| *alike);
    let hint = nearest.filter(|(alike, _)| *alike > 2).map(|(_, word)| format!("; did you mean \"{word}\"?"));
    format!("use {} or {last}{}", others.join(", "), hint.unwrap_or_default())
}

/// Lists the declared names that may be used instead of an unknown one.
pub(super) fn or_use<'a>(names: impl Iterator<Item = &'a str>) -> String {
    match names.collect::<Vec<_>>().join("\" or \"") {
        names if names.is_empty() => String::new(),
        names => format!(", or use \"{names}\""),
    }
}

impl Validation {
    pub(super) fn word<T: Words>(&mut self, text: &Text, key: &str) -> Option<T> {
        let word = text.get_ref();
        let value = T::ALL.iter().find(|(known, _)| known == word).map(|(_, value)| *value);
        if value.is_none() {
            self.refuse(text, key, format!("found \"{word}\""), allowed::<T>(word));
        }
        value
    }

    /// Passes on a value that was read from a string, or refuses the string.
    pub(super) fn read<T>(&mut self, value: Option<T>, text: &Text, key: &str, form: Form) -> Option<T> {
        if value.is_none() {
            self.refuse(text, key, format!("{} \"{}\"", form.0, text.get_ref()), form.1);
        }
        value
    }

    /// Passes on a required value, or refuses its absence at the place that requires it.
    pub(super) fn given<T, A>(
        &mut self,
        value: Option<T>,
        at: &Spanned<A>,
        key: &str,
        remedy: &str,
    ) -> Option<T> {
        if value.is_none() {
            self.refuse(at, key, "missing", remedy);
        }
        value
    }

    pub(super) fn name(&mut self, name: &Text, key: &str) -> String {
        let text = name.get_ref();
        let valid = (1..=64).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !valid {
            self.refuse(name, key, format!("invalid name \"{text}\""), NAME);
        }
        text.clone()
    }

    pub(super) fn zone(&mut self, zone: &Text, key: &str) -> TimeZone {
        let name = zone.get_ref().trim();
        if let Some((_, meant)) = MEANT.iter().find(|(short, _)| short.eq_ignore_ascii_case(name)) {
            let found = format!("\"{name}\" is an abbreviation without summer time or with several meanings");
            self.refuse(zone, key, found, format!("use \"{meant}\""));
            return TimeZone::UTC;
        }
        let offset = name.get(..7).filter(|start| start.eq_ignore_ascii_case("Etc/GMT")).and(name.get(7..));
        if offset.is_some_and(|offset| offset.contains(|digit: char| matches!(digit, '1'..='9'))) {
            let found = format!("\"{name}\" has no summer time, and its sign is reversed");
            self.refuse(zone, key, found, ZONE.1);
            return TimeZone::UTC;
        }
        self.read(TimeZone::get(name).ok(), zone, key, ZONE).unwrap_or(TimeZone::UTC)
    }

    pub(super) fn time(&mut self, time: &Text, key: &str) -> Time {
        let value = Time::strptime("%H:%M", time.get_ref()).ok();
        self.read(value, time, key, TIME).unwrap_or_default()
    }

    pub(super) fn weekday(&mut self, day: &Text, key: &str) -> Weekday {
        let value = weekday_named(day.get_ref());
        self.read(value, day, key, WEEKDAY).unwrap_or(Weekday::Monday)
    }

    pub(super) fn duration(&mut self, text: &Text, key: &str) -> SignedDuration {
        let value = text.get_ref().parse::<SignedDuration>().ok();
        match self.read(value, text, key, DURATION) {
            Some(value) if value > SignedDuration::ZERO && value <= LONGEST_DURATION => return value,
            Some(_) => {
                let found = format!("\"{}\" is not between a second and a year", text.get_ref());
                self.refuse(text, key, found, DURATION.1);
            }
            None => {}
        }
        SignedDuration::from_mins(1)
    }

    pub(super) fn percent(&mut self, percent: &Spanned<f64>, key: &str) -> f64 {
        let value = *percent.get_ref();
        if !(0.0..=100.0).contains(&value) {
            self.refuse(percent, key, format!("found {value}"), "use a number from 0 to 100");
        }
        value
    }

    pub(super) fn count(
        &mut self,
        at: &Spanned<u64>,
        key: &str,
        range: RangeInclusive<usize>,
    ) -> Option<usize> {
        let value = usize::try_from(*at.get_ref()).ok().filter(|value| range.contains(value));
        if value.is_none() {
            let remedy = format!("use a number from {} to {}", range.start(), range.end());
            self.refuse(at, key, format!("found {}", at.get_ref()), remedy);
        }
        value
    }

    /// Checks a mail address: `user@host` of ASCII letters, digits and marks (RFC 5322's `dot-atom`), so that nothing in it can end
    /// a header. 64 and 254 are the limits of RFC 5321.
    pub(super) fn address(&mut self, text: &Text, key: &str) -> String {
        let atom = |atom: &str| {
            let mark = |byte: u8| b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
            !atom.is_empty() && atom.bytes().all(|byte| byte.is_ascii_alphanumeric() || mark(byte))
        };
        let label = |label: &str| {
            let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
        };
        let address = text.get_ref();
        let valid = address.len() <= 254
            && address.split_once('@').is_some_and(|(user, host)| {
                user.len() <= 64
                    && user.split('.').all(atom)
                    && host.contains('.')
                    && host.split('.').all(label)
            });
        if !valid {
            // Quoted in one line, as it may have line breaks.
            let found = format!("invalid address {address:?}");
            self.refuse(text, key, found, "use an address such as \"team@example.com\"");
        }
        address.clone()
    }

    pub(super) fn url(&mut self, url: &Text, key: &str, schemes: &[&str]) -> String {
        let text = url.get_ref();
        let host = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
        let well_formed = host.is_some_and(|host| {
            !host.is_empty()
                && !host.starts_with('/')
                && !host.contains(|c: char| c == '@' || c.is_whitespace())
        });
        if !well_formed {
            let schemes = schemes.join(" or ");
            let remedy = format!("use {schemes} and a host, without user or password");
            // A URL may have a password by mistake, so it is not repeated.
            self.refuse(url, key, "invalid URL", remedy);
        }
        text.clone()
    }
}
