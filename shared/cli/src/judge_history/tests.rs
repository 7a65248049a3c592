use proptest::prelude::*;

use super::*;

fn ask(request: &Value) -> Value {
    serde_json::from_str(&judge_history(&request.to_string())).unwrap()
}

#[test]
fn bad_requests_name_the_key_and_the_remedy() {
    let table = [
        (json!([]), "the line is not a JSON object"),
        (json!({}), "`kind` is missing; hint: add one of days, runs, forecast and stream"),
        (
            json!({"kind": "weeks"}),
            "unknown `kind` \"weeks\"; hint: use one of days, runs, forecast and stream",
        ),
        (
            json!({"kind": "days"}),
            "`figure` is missing; hint: add one of volume, queue, duration, coverage, null_rate, error_rate",
        ),
        (
            json!({"kind": "days", "figure": "x", "days": []}),
            "`figure` has the wrong type; hint: write one of volume,",
        ),
        (json!({"kind": "days", "figure": "volume"}), "`days` is missing; hint: add a list"),
        (json!({"kind": "days", "figure": "volume", "days": [1]}), "`days[0]` is not an object; hint: "),
        (
            json!({"kind": "days", "figure": "volume", "days": [{"date": "5.1.", "value": 1}]}),
            "`days[0].date` has the wrong type; hint: write a date such as 2026-01-05",
        ),
        (
            json!({"kind": "days", "figure": "volume", "days": [{"date": "2026-01-05"}]}),
            "`days[0].value` is missing; hint: add a number or null",
        ),
        (
            json!({"kind": "days", "figure": "coverage", "days": [{"date": "2026-01-05", "value": 1}]}),
            "`days[0].total` is missing; hint: add a whole number",
        ),
        (
            json!({"kind": "days", "figure": "volume", "days": [{"date": "2026-01-05", "value": 1}, {"date": "2026-01-05", "value": 1}]}),
            "`days`: 2026-01-05 appears twice; keep one row for each date",
        ),
        (json!({"kind": "runs", "slots": 0}), "`slots` is 0; hint: give 1 to 1440 slots a day"),
        (
            json!({"kind": "runs", "slots": 2, "first_date": "2026-01-05", "moved": [1], "day": [], "slot": []}),
            "`moved`, `day` and `slot` differ in length; hint: ",
        ),
        (
            json!({"kind": "runs", "slots": 2, "first_date": "2026-01-05", "moved": [1, 1], "day": [1, 0], "slot": [0, 0]}),
            "`day` is not in ascending order; hint: sort the runs by time",
        ),
        (
            json!({"kind": "runs", "slots": 2, "first_date": "2026-01-05", "moved": [1], "day": [0], "slot": [2], "excluded_days": []}),
            "`slot` has a number over 1; hint: count from 0",
        ),
        (
            json!({"kind": "runs", "slots": 2, "first_date": "2026-01-05", "moved": [1], "day": [1e9], "slot": [0], "excluded_days": []}),
            "`day` or `excluded_days` has a day over 100000; hint: ",
        ),
        (json!({"kind": "forecast", "figure": "coverage"}), "`limit` is missing; hint: add a number"),
        (
            json!({"kind": "forecast", "figure": "volume", "limit": 9}),
            "`figure` has no limit; hint: use coverage,",
        ),
        (
            json!({"kind": "stream", "values": ["x"]}),
            "`values` has the wrong type; hint: write a list of numbers or nulls",
        ),
    ];
    for (mut request, error) in table {
        if let Some(request) = request.as_object_mut() {
            request.insert("id".to_owned(), json!(7));
        }
        let answer = ask(&request);
        assert!(answer["error"].as_str().unwrap().starts_with(error), "{request}: {answer}");
        assert_eq!(answer["id"], if request.is_object() { json!(7) } else { Value::Null });
    }
    assert!(judge_history("").contains("hint: write one request a line"));
    assert!(judge_history("{\"kind\": 1e999}").contains("error"));
}

#[test]
fn days_without_figure_are_answered_with_their_reason() {
    let days: Vec<Value> = (5..15)
        .map(|day| json!({"date": format!("2026-01-{day:02}"), "value": if day < 14 { json!(3) } else { json!(null) }}))
        .collect();
    let answer = ask(&json!({"kind": "days", "figure": "queue", "days": days}));
    assert_eq!(answer["days"][9]["reason"], 1);
    assert_eq!(answer["days"][9]["expected"], 3.0);
    let excluded = json!({"kind": "days", "figure": "volume", "days": [{"date": "2026-01-05", "value": 1, "excluded": true}]});
    assert_eq!(ask(&excluded)["days"][0]["reason"], 4);
}

#[test]
fn failed_records_are_derived_from_the_share_if_absent() {
    let day = |number: u64, value: f64| {
        let date = after(jiff::civil::date(2026, 1, 5), number).to_string();
        json!({"date": date, "value": value, "total": 100})
    };
    let asked = |rate: f64| {
        let days: Vec<Value> =
            (0..32).map(|number| day(number, if number < 30 { 0.0 } else { rate })).collect();
        ask(&json!({"kind": "days", "figure": "error_rate", "days": days}))["days"][31].clone()
    };
    assert_eq!((asked(9.0)["reason"].clone(), asked(9.0)["point"].clone()), (json!(5), json!(0)));
    assert_eq!((asked(10.0)["reason"].clone(), asked(10.0)["point"].clone()), (json!(0), json!(1)));
}

const GOLDEN: &str = include_str!("../../../../tests/fixtures/expectations/golden.json");

/// Compares numbers to 1e-6 of their size and everything else exactly.
fn difference(place: &str, ours: &Value, golden: &Value) -> Option<String> {
    match (ours, golden) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            ((a - b).abs() > 1e-6 * b.abs().max(1.0)).then(|| format!("{place}: {a}, expected {b}"))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let each = a.iter().zip(b).enumerate();
            each.filter_map(|(index, (a, b))| difference(&format!("{place}[{index}]"), a, b)).next()
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            b.iter().filter_map(|(key, b)| difference(&format!("{place}.{key}"), &a[key], b)).next()
        }
        _ => (ours != golden).then(|| format!("{place}: {ours}, expected {golden}")),
    }
}

#[test]
fn golden_cases_are_answered_exactly() {
    let cases: Vec<Value> = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(cases.len(), 13);
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let answer = serde_json::from_str(&judge_history(&case["request"].to_string())).unwrap();
            difference(case["answer"]["id"].as_str().unwrap(), &answer, &case["answer"])
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_line_has_one_answer_also_an_unreadable_one() {
    let mut answers = Vec::new();
    let mut print = |line: &str| answers.push(line.to_owned());
    answer_lines(&b"{\"id\": 7}\n\xff\n{\"kind\": \"stream\", \"values\": []}"[..], &mut print).unwrap();
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert!(answers[0].contains("\"id\":7") && answers[1].contains("error"), "{answers:?}");
    assert_eq!(answers[2], "{\"score\":[]}");
}

proptest! {
    #[test]
    fn any_line_is_answered(line in ".*") {
        prop_assert!(judge_history(&line).contains("error"));
    }
}

#[test]
fn readme_requests_are_answered() {
    let readme = include_str!("../../README.md");
    let requests: Vec<&str> = readme.lines().filter(|line| line.starts_with("{\"kind\": ")).collect();
    assert_eq!(requests.len(), 4);
    for request in requests {
        let answer = judge_history(request);
        assert!(!answer.contains("error"), "{request}: {answer}");
    }
}
