//! Judges histories given as JSON, one request and one answer a line, so that other programs can check the rules of
//! `syncwatch::expect`.

use std::collections::BTreeMap;
use std::io::BufRead;

use jiff::SignedDuration;
use jiff::civil::Date;
use serde_json::{Map, Value, json};
use syncwatch::expect::{
    Breach, Day, Excluded, Forecast, Limit, Measure, Moved, NoForecast, Run, RunDay, Sensitivity, Series,
    Side, Verdict, WhyNot, forecast, judge_days, novelty, once, replay,
};

use crate::error::Error;

/// A day's number, and so the time that a replay takes, is bounded.
const MOST_DAYS: u64 = 100_000;
const MOST_SLOTS: u64 = 1_440;

/// Answers each line as soon as it is read, until the input ends.
pub(crate) fn answer_lines(input: impl BufRead, print: &mut dyn FnMut(&str)) -> Result<(), Error> {
    for line in input.split(b'\n') {
        let line = line.map_err(|error| Error::plain(format!("cannot read standard input: {error}")))?;
        print(&judge_history(&String::from_utf8_lossy(&line)));
    }
    Ok(())
}

/// Answers a request of one of the kinds `days`, `runs`, `forecast` and `stream`. The answer to a bad request has an `error` that
/// names the key and a remedy.
fn judge_history(line: &str) -> String {
    let request: Result<Map<String, Value>, _> = serde_json::from_str(line);
    let answer = match &request {
        Ok(request) => answer(request),
        Err(error) => Err(format!("the line is not a JSON object ({error}); hint: write one request a line")),
    };
    let mut answer = answer.unwrap_or_else(|error| Map::from_iter([("error".to_owned(), json!(error))]));
    if let Some(id) = request.ok().and_then(|mut request| request.remove("id")) {
        answer.insert("id".to_owned(), id);
    }
    Value::Object(answer).to_string()
}

type Answer = Result<Map<String, Value>, String>;

fn answer(request: &Map<String, Value>) -> Answer {
    let request = Object { keys: request, place: String::new() };
    match request.get("kind", "one of days, runs, forecast and stream", Value::as_str)? {
        "days" => days(&request),
        "runs" => runs(&request),
        "forecast" => forecasts(&request),
        "stream" => stream(&request),
        other => Err(format!("unknown `kind` \"{other}\"; hint: use one of days, runs, forecast and stream")),
    }
}

fn days(request: &Object) -> Answer {
    let measure = request.measure()?;
    let read = |(index, day): (usize, &Value)| {
        let keys = day
            .as_object()
            .ok_or(format!("`days[{index}]` is not an object; hint: write {{\"date\": ...}}"))?;
        let place = format!("days[{index}].");
        day_of(&Object { keys, place }, measure)
    };
    let days: Result<Vec<Day>, String> = request.list("days")?.iter().enumerate().map(read).collect();
    let history = Series::new(measure, days?).map_err(|error| format!("`days`: {error}"))?;
    let sign = |side: Option<Side>| side.map_or(0, |side| side.sign() as i64);
    let verdict = |verdict: &Verdict| {
        let range = verdict.expectation;
        json!({
            "reason": verdict.reason.as_ref().map_or(0, WhyNot::code),
            "point": sign(verdict.point.map(|point| point.side)),
            "drift": sign(verdict.drift.map(|drift| drift.side)),
            "expected": range.map(|range| six(range.expected)),
            "low": range.map(|range| six(range.low)),
            "high": range.map(|range| six(range.high)),
        })
    };
    let verdicts = judge_days(&history, &Sensitivity::default());
    Ok(object([("days", verdicts.iter().map(verdict).collect())]))
}

fn day_of(day: &Object, measure: Measure) -> Result<Day, String> {
    let date = day.date("date")?;
    let value = day.get("value", "a number or null", |value| {
        value.as_f64().map(Some).or(value.is_null().then_some(None))
    })?;
    let is_excluded = day.optional("excluded", "true or false", Value::as_bool)?.unwrap_or(false);
    let is_share = measure.is_share() && value.is_some();
    let total = if is_share { day.whole("total")? } else { 0 };
    let derived = value.map_or(0, |value| (value * total as f64 / 100.0).round() as u64);
    let failed = day.optional("failed", WHOLE, whole)?.unwrap_or(derived);
    let volume = day.optional("volume", "a number", Value::as_f64)?;
    let expected = day.optional("volume_expected", "a number", Value::as_f64)?;
    let volume = volume.zip(expected).map(|(records, expected)| Moved { records, expected });
    Ok(Day { date, value, excluded: is_excluded.then_some(Excluded::MarkedFine), total, failed, volume })
}

fn runs(request: &Object) -> Answer {
    let slots = request.whole("slots")?;
    if !(1..=MOST_SLOTS).contains(&slots) {
        return Err(format!("`slots` is {slots}; hint: give 1 to {MOST_SLOTS} slots a day"));
    }
    let first = request.date("first_date")?;
    let [moved, numbers, in_day] = ["moved", "day", "slot"].map(|key| request.wholes(key));
    let (moved, numbers, in_day) = (moved?, numbers?, in_day?);
    if moved.len() != numbers.len() || moved.len() != in_day.len() {
        return Err(
            "`moved`, `day` and `slot` differ in length; hint: give one entry a run in each".to_owned()
        );
    }
    if !numbers.is_sorted() {
        return Err("`day` is not in ascending order; hint: sort the runs by time".to_owned());
    }
    let excluded = request.wholes("excluded_days")?;
    if numbers.iter().chain(&excluded).any(|day| *day > MOST_DAYS) {
        return Err(format!(
            "`day` or `excluded_days` has a day over {MOST_DAYS}; hint: count from `first_date`"
        ));
    }
    let mut days: BTreeMap<u64, Vec<Run>> = excluded.iter().map(|day| (*day, Vec::new())).collect();
    for ((moved, day), slot) in moved.iter().zip(&numbers).zip(&in_day) {
        let slot = usize::try_from(*slot).ok().filter(|_| *slot < slots);
        let slot = slot.ok_or(format!("`slot` has a number over {}; hint: count from 0", slots - 1))?;
        days.entry(*day).or_default().push(Run { slot, moved: *moved > 0 });
    }
    let day = |(number, runs): (u64, Vec<Run>)| RunDay {
        date: after(first, number),
        excluded: excluded.contains(&number).then_some(Excluded::MarkedFine),
        runs,
    };
    let days: Vec<RunDay> = days.into_iter().map(day).collect();
    let (verdicts, _) = replay(&days, slots as usize, &Sensitivity::default());
    let found = verdicts.iter().flatten().enumerate().filter(|(_, run)| run.finding.is_some());
    Ok(object([("found", found.map(|(index, _)| json!(index)).collect())]))
}

fn forecasts(request: &Object) -> Answer {
    let measure = request.measure()?;
    let limit = Limit::declared(measure, request.get("limit", "a number", Value::as_f64)?);
    let limit = limit.ok_or("`figure` has no limit; hint: use coverage, null_rate, error_rate or queue")?;
    let first = request.date("first_date")?;
    let total = if measure.is_share() { request.whole("total")? } else { 0 };
    let day = |(number, value)| Day { total, ..Day::new(after(first, number), value) };
    let days = (0..).zip(request.figures("values")?).map(day).collect();
    let history = Series::new(measure, days).map_err(|error| format!("`first_date`: {error}"))?;
    let (answer, breach) = match forecast(&history, limit) {
        Forecast::Breach(breach) => ("breach", Some(breach)),
        Forecast::None(why) => (answer_of(&why), None),
    };
    let days = |of: fn(&Breach) -> u32| json!(breach.as_ref().map(of));
    Ok(object([
        ("answer", json!(answer)),
        ("earliest", days(|breach| breach.earliest)),
        ("middle", days(|breach| breach.middle)),
        ("latest", days(|breach| breach.latest)),
    ]))
}

/// Returns the answer that stands for a reason, without its figures.
fn answer_of(why: &NoForecast) -> &'static str {
    match why {
        NoForecast::NoFigure(_) => "no figure",
        NoForecast::Excluded(_) => "excluded",
        NoForecast::NotEnoughHistory { .. } => "not enough history: {have} of {need} days",
        NoForecast::AlreadyPast => "already past",
        NoForecast::NoTrend { .. } => "no trend",
        NoForecast::MovesAway => "moves away",
        NoForecast::TooSmall => "too small",
        NoForecast::TooFar { .. } => "too far",
        NoForecast::TooUncertain => "too uncertain",
    }
}

fn stream(request: &Object) -> Answer {
    let values: Vec<f64> = request.figures("values")?.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
    let scores = once(&novelty(&values));
    Ok(object([("score", scores.iter().map(|score| json!(six(*score))).collect())]))
}

/// An object of a request, with its place in error messages.
struct Object<'r> {
    keys: &'r Map<String, Value>,
    place: String,
}

const WHOLE: &str = "a whole number";

impl<'r> Object<'r> {
    fn get<T>(&self, key: &str, shape: &str, read: impl Fn(&'r Value) -> Option<T>) -> Result<T, String> {
        let value = self.optional(key, shape, read)?;
        value.ok_or_else(|| format!("`{}{key}` is missing; hint: add {shape}", self.place))
    }

    fn optional<T>(
        &self,
        key: &str,
        shape: &str,
        read: impl Fn(&'r Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(value) = self.keys.get(key) else { return Ok(None) };
        let wrong = || format!("`{}{key}` has the wrong type; hint: write {shape}", self.place);
        read(value).map(Some).ok_or_else(wrong)
    }

    fn measure(&self) -> Result<Measure, String> {
        let names = Measure::ALL.map(Measure::name).join(", ");
        let read =
            |value: &Value| Measure::ALL.into_iter().find(|measure| value.as_str() == Some(measure.name()));
        self.get("figure", &format!("one of {names}"), read)
    }

    fn date(&self, key: &str) -> Result<Date, String> {
        self.get(key, "a date such as 2026-01-05", |value| value.as_str()?.parse().ok())
    }

    fn whole(&self, key: &str) -> Result<u64, String> {
        self.get(key, WHOLE, whole)
    }

    fn list(&self, key: &str) -> Result<&'r Vec<Value>, String> {
        self.get(key, "a list", Value::as_array)
    }

    fn wholes(&self, key: &str) -> Result<Vec<u64>, String> {
        self.get(key, "a list of whole numbers", |value| value.as_array()?.iter().map(whole).collect())
    }

    fn figures(&self, key: &str) -> Result<Vec<Option<f64>>, String> {
        let figure = |value: &Value| if value.is_null() { Some(None) } else { value.as_f64().map(Some) };
        self.get(key, "a list of numbers or nulls", |value| value.as_array()?.iter().map(figure).collect())
    }
}

/// Reads a whole number, also one that is written as `20000.0`.
fn whole(value: &Value) -> Option<u64> {
    let exact = |number: &f64| (0.0..=1e15).contains(number) && number.fract() == 0.0;
    value.as_u64().or_else(|| value.as_f64().filter(exact).map(|number| number as u64))
}

fn object<const N: usize>(keys: [(&str, Value); N]) -> Map<String, Value> {
    keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn after(first: Date, days: u64) -> Date {
    let days = i64::try_from(days).unwrap_or(i64::MAX / 24);
    first.saturating_add(SignedDuration::from_hours(days.saturating_mul(24)))
}

/// Rounds to six decimals, as far as the number has them.
fn six(x: f64) -> f64 {
    if x.abs() < 1e9 { (x * 1e6).round() / 1e6 } else { x }
}

#[cfg(test)]
mod tests;
