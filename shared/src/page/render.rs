//! Renders the page as HTML, SVG, Atom and JSON. Templates escape every value; only markup of this module is passed as it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior, Value, context};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::words::moment;
use super::{OUT_OF_DATE, Page, RENEWED_EVERY, RUN_DAYS, SHOWN_DAYS, State, Trend, TrendDay};
use crate::text::{bounded, counted, grouped, minute_utc, percent, rounded, two_digits, words};

/// The style sheet of the page, also for other pages that look like it.
pub const STYLE: &str = include_str!("page.css");
const TEMPLATES: [(&str, &str); 3] = [
    ("page.html", include_str!("page.html")),
    ("incidents.atom", include_str!("incidents.atom")),
    ("badge.svg", include_str!("badge.svg")),
];
/// The most rows of incidents on the page; all are in the JSON.
const SHOWN_INCIDENTS: usize = 60;
/// The most characters of the pipeline's name on the badge, and the width of one in pixels.
const BADGE_CHARS: usize = 30;
const CHAR_WIDTH: usize = 7;
/// The height of a small plot, without its margins, and of a large one.
const SPARK: f64 = 18.0;
const PLOT: f64 = 100.0;

/// A template does not fit the page: a defect of this module.
#[derive(Debug, thiserror::Error)]
#[error("the status page cannot be rendered: {0:#}")]
pub struct RenderError(#[from] Error);

/// A file of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub name: &'static str,
    pub content_type: &'static str,
    pub text: String,
}

impl Page {
    /// Renders all files of the page: HTML, JSON, badge and feed. Times are shown in this zone.
    ///
    /// `live.html` reloads itself, for a screen on a wall; `index.html` does not, as a reload interrupts a screen reader (WCAG 2.2,
    /// criterion 2.2.1, and its technique G76).
    pub fn files(&self, zone: &TimeZone) -> Result<[File; 5], RenderError> {
        let file = |name, content_type, text| File { name, content_type, text };
        Ok([
            file("index.html", "text/html; charset=utf-8", self.html(zone)?),
            file("live.html", "text/html; charset=utf-8", self.live_html(zone)?),
            file("status.json", "application/json", self.json()),
            file("badge.svg", "image/svg+xml", self.badge(zone)?),
            file("incidents.atom", "application/atom+xml; charset=utf-8", self.atom(zone)?),
        ])
    }

    /// Renders `index.html`.
    pub fn html(&self, zone: &TimeZone) -> Result<String, RenderError> {
        self.html_with(None, zone)
    }

    /// Renders `live.html`.
    pub fn live_html(&self, zone: &TimeZone) -> Result<String, RenderError> {
        self.html_with(Some(RENEWED_EVERY), zone)
    }

    fn html_with(&self, reload: Option<SignedDuration>, zone: &TimeZone) -> Result<String, RenderError> {
        let plots: Vec<Option<Plot>> = self.figures.iter().map(Plot::of).collect();
        let values = context! {
            page => Serde(self),
            plots => Serde(plots),
            style => Value::from_safe_string(STYLE.to_owned()),
            style_hash => Value::from_safe_string(STANDARD.encode(Sha256::digest(STYLE))),
            refresh_seconds => reload.map(|every| every.as_secs()),
            renewed_every => counted(RENEWED_EVERY.as_mins().unsigned_abs(), "minute"),
            out_of_date => counted(OUT_OF_DATE.as_mins().unsigned_abs(), "minute"),
            run_days => RUN_DAYS,
            shown_days => SHOWN_DAYS,
            shown_incidents => SHOWN_INCIDENTS,
        };
        self.render("page.html", &values, zone)
    }

    /// Renders `status.json`.
    pub fn json(&self) -> String {
        // A struct of texts, numbers and instants cannot fail to serialize.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Renders `badge.svg`.
    pub fn badge(&self, zone: &TimeZone) -> Result<String, RenderError> {
        let (word, fill) = match self.state {
            State::Healthy | State::Info => ("healthy", "#1a7f37"),
            State::Warning => ("warning", "#855500"),
            State::Error => ("error", "#b3261e"),
            State::Critical => ("critical", "#8c1d18"),
            State::Unknown => ("unknown", "#57606a"),
        };
        let name = bounded(&self.pipeline, BADGE_CHARS);
        let width = |text: &str| 12 + CHAR_WIDTH * text.chars().count();
        let values = context! {
            page => Serde(self), word, fill, left => width(&name), right => width(word), name,
        };
        self.render("badge.svg", &values, zone)
    }

    /// Renders `incidents.atom`: an entry for each period in which an incident was open. It changes only when one of them does.
    pub fn atom(&self, zone: &TimeZone) -> Result<String, RenderError> {
        let changed = self.incidents.iter().map(|episode| episode.resolved_at.unwrap_or(episode.alerted_at));
        let updated = changed.max().unwrap_or(Timestamp::UNIX_EPOCH);
        self.render("incidents.atom", &context! { page => Serde(self), updated => Serde(updated) }, zone)
    }

    fn render(&self, name: &str, values: &Value, zone: &TimeZone) -> Result<String, RenderError> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        templates.set_auto_escape_callback(|_| AutoEscape::Html);
        templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        add_filters(&mut templates, self.at, zone);
        for (name, text) in TEMPLATES {
            templates.add_template(name, text)?;
        }
        Ok(templates.get_template(name)?.render(values)?)
    }
}

/// Marks an instant up: in the pipeline's zone, and in UTC as a title.
fn time_element(at: Timestamp, shown: &str, zone: &TimeZone) -> Value {
    let local = at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    let utc = minute_utc(at);
    Value::from_safe_string(format!(r#"<time datetime="{local}" title="{utc}">{shown}</time>"#))
}

fn add_filters(templates: &mut Environment<'_>, now: Timestamp, zone: &TimeZone) {
    let of_zone = zone.clone();
    templates.add_filter("time", move |at: Serde<Timestamp>| {
        let shown = at.to_zoned(of_zone.clone()).strftime("%a %-d %b %H:%M").to_string();
        time_element(*at, &shown, &of_zone)
    });
    let of_zone = zone.clone();
    templates.add_filter("moment", move |at: Serde<Timestamp>| {
        time_element(*at, &moment(*at, now, &of_zone), &of_zone)
    });
    templates.add_filter("ago", move |at: Serde<Timestamp>| words(now.duration_since(*at)));
    templates.add_filter("day", |day: Serde<Date>| day.strftime("%-d %b").to_string());
    templates.add_filter("duration", |seconds: f64| words(SignedDuration::from_secs(seconds.round() as i64)));
    templates.add_filter("count", |count: f64| grouped(count.max(0.0).round() as u64));
    templates.add_filter("share", |share: f64| percent(rounded(share, 2, &[100.0])));
    templates.add_filter("spark", |values: Serde<Vec<Option<f64>>>| spark(&values));
    templates.add_filter("strip_words", |days: Serde<Vec<StripDay>>| strip_words(&days));
    templates.add_filter("lasted", move |lasted: Serde<Lasted>| {
        words(lasted.resolved_at.unwrap_or(now).duration_since(lasted.began_at))
    });
    templates.add_filter("slug", |text: &str| {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_./".contains(c) { c } else { '-' };
        text.chars().map(plain).collect::<String>()
    });
}

#[derive(Deserialize)]
struct Lasted {
    began_at: Timestamp,
    resolved_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct StripDay {
    outcome: String,
}

/// The strip of runs in words, for people who do not see it.
fn strip_words(days: &[StripDay]) -> String {
    let of = |outcomes: &[&str]| days.iter().filter(|day| outcomes.contains(&day.outcome.as_str())).count();
    format!(
        "Runs of {}: {} with completed runs only, {} with failed runs, {} without runs, {} not recorded",
        counted(days.len(), "day"),
        of(&["all-completed"]),
        of(&["some-failed", "all-failed"]),
        of(&["no-runs"]),
        of(&["unrecorded"]),
    )
}

/// The path of a small plot whose lower edge is 0.
fn spark(values: &[Option<f64>]) -> String {
    let most = values.iter().flatten().copied().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    path(values.iter().map(|value| value.map(|value| 1.0 + SPARK - SPARK * value.max(0.0) / most)))
}

/// A line through the known values, one unit apart; a single one is a dot.
fn path(heights: impl Iterator<Item = Option<f64>>) -> String {
    let (mut text, mut drawn) = (String::new(), false);
    for (x, y) in heights.enumerate() {
        if let Some(y) = y {
            text.push_str(&format!("{}{x} {}", if drawn { "L" } else { "M" }, tenths(y)));
            if !drawn {
                text.push_str("h0");
            }
        }
        drawn = y.is_some();
    }
    text
}

fn tenths(y: f64) -> f64 {
    (10.0 * y).round() / 10.0
}

/// A large plot: paths in a box of 100 units of height.
#[derive(Debug, Serialize)]
struct Plot {
    width: usize,
    line: String,
    band: String,
    limits: Vec<f64>,
    top: String,
    bottom: String,
    first: Date,
    last: Date,
    /// The plot in words, for people who do not see it.
    words: String,
}

impl Plot {
    /// Draws a figure; `None` if no day is known.
    fn of(trend: &Trend) -> Option<Self> {
        let days = &trend.days;
        let (first, last) = (days.first()?.day, days.last()?.day);
        let known: Vec<_> = days.iter().filter_map(|day| Some((day.value?, day.day))).collect();
        let order = |a: &&(f64, Date), b: &&(f64, Date)| a.0.total_cmp(&b.0);
        let (lowest, highest) = (known.iter().min_by(order)?, known.iter().max_by(order)?);
        // Without a figure nothing is expected of a day either: its range is as wide as can be.
        let range = |day: &TrendDay| day.value.and(day.low.zip(day.high));
        let ranges = days.iter().filter_map(range).flat_map(|(low, high)| [low, high]);
        let all = ranges.chain([lowest.0, highest.0]).chain(trend.limits.iter().map(|limit| limit.value));
        let (bottom, top) = all.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
        // A share that hardly moves is drawn as one.
        let bottom = if trend.unit == "percent" { bottom.min(top - 1.0).max(0.0) } else { bottom };
        let span = (top - bottom).max(f64::MIN_POSITIVE);
        let y = |x: f64| PLOT - 4.0 - (PLOT - 8.0) * (x - bottom) / span;
        let text = |x: f64| match trend.unit {
            "percent" => percent(rounded(x, 1, &[100.0])),
            _ if x < 10.0 => two_digits(x.max(0.0)),
            _ => grouped(x.round() as u64),
        };
        let limits = trend.limits.iter().map(|limit| tenths(y(limit.value))).collect();
        let at = |(value, day): &(f64, Date)| format!("{} on {}", text(*value), day.strftime("%-d %B"));
        Some(Self {
            width: days.len().saturating_sub(1).max(1),
            line: path(days.iter().map(|day| day.value.map(y))),
            band: band(days.iter().map(|day| range(day).map(|(low, high)| (y(low), y(high))))),
            limits,
            top: text(top),
            bottom: text(bottom),
            first,
            last,
            words: format!("{}: lowest {}, highest {}", trend.title, at(lowest), at(highest)),
        })
    }
}

/// The areas between the lower and the upper edges, one for each stretch of known days.
fn band(edges: impl Iterator<Item = Option<(f64, f64)>>) -> String {
    let (mut text, mut upper, mut lower) = (String::new(), String::new(), Vec::new());
    for (x, edge) in edges.enumerate().chain([(0, None)]) {
        match edge {
            Some((low, high)) => {
                upper.push_str(&format!("{}{x} {}", if upper.is_empty() { "M" } else { "L" }, tenths(high)));
                lower.push(format!("L{x} {}", tenths(low)));
            }
            None if !upper.is_empty() => {
                text.push_str(&std::mem::take(&mut upper));
                lower.drain(..).rev().for_each(|part| text.push_str(&part));
                text.push('Z');
            }
            None => {}
        }
    }
    text
}
