use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Real {
    starts: Vec<Timestamp>,
    expressions: Vec<Expression>,
}

#[derive(Deserialize)]
struct Expression {
    cron: String,
    zone: String,
    slots: Vec<Vec<String>>,
}

fn slots(expression: &str, zone: &str, start: Timestamp, count: usize) -> Vec<String> {
    let (cron, zone) = (Cron::parse(expression).unwrap(), TimeZone::get(zone).unwrap());
    std::iter::successors(cron.next_after(start, &zone), |slot| cron.next_after(*slot, &zone))
        .take(count)
        .map(|slot| slot.strftime("%Y-%m-%dT%H:%MZ").to_string())
        .collect()
}

#[test]
fn slots_of_real_expressions_match_another_program() {
    let real: Real = serde_json::from_str(include_str!("../../../../tests/fixtures/cron.json")).unwrap();
    for Expression { cron, zone, slots: expected } in &real.expressions {
        for (start, expected) in real.starts.iter().zip(expected) {
            assert_eq!(slots(cron, zone, *start, expected.len()), *expected, "{cron} {zone} after {start}");
        }
    }
    assert!(real.expressions.len() > 60);
}

#[test]
fn slot_occurs_once_when_clocks_go_back() {
    let los_angeles = ("America/Los_Angeles", "2026-11-01T07:00:00Z".parse().unwrap());
    let lord_howe = ("Australia/Lord_Howe", "2027-04-03T14:00:00Z".parse().unwrap());
    let table: [(&str, (&str, Timestamp), &[&str]); 6] = [
        ("30 1 * * *", los_angeles, &["2026-11-01T08:30Z", "2026-11-02T09:30Z"]),
        ("30 0-2 * * *", los_angeles, &["2026-11-01T07:30Z", "2026-11-01T08:30Z", "2026-11-01T10:30Z"]),
        ("0 1,2 * * 0", los_angeles, &["2026-11-01T08:00Z", "2026-11-01T10:00Z", "2026-11-08T09:00Z"]),
        // An hourly expression keeps its rhythm: the repeated hour has its slot twice.
        ("30 * * * *", los_angeles, &["2026-11-01T07:30Z", "2026-11-01T08:30Z", "2026-11-01T09:30Z"]),
        // Back by half an hour: 01:30 to 02:00 is repeated.
        ("45 1 * * *", lord_howe, &["2027-04-03T14:45Z", "2027-04-04T15:15Z"]),
        ("*/15 * * * *", lord_howe, &["2027-04-03T14:15Z", "2027-04-03T14:30Z", "2027-04-03T14:45Z"]),
    ];
    for (expression, (zone, start), expected) in table {
        assert_eq!(slots(expression, zone, start, expected.len()), expected, "{expression} {zone}");
    }
}

#[test]
fn slot_in_a_clock_gap_is_skipped_and_one_at_its_end_occurs() {
    let before = "2027-03-14T09:00:00Z".parse().unwrap();
    let table: [(&str, &[&str]); 2] = [
        ("30 2 * * *", &["2027-03-15T09:30Z"]),
        // 03:00 is the first instant after the gap.
        ("0 2,3 * * *", &["2027-03-14T10:00Z", "2027-03-15T09:00Z"]),
    ];
    for (expression, expected) in table {
        let found = slots(expression, "America/Los_Angeles", before, expected.len());
        assert_eq!(found, expected, "{expression}");
    }
}

#[test]
fn refused_expression_names_its_correction() {
    let table = [
        ("0 0 6 ? * FRI *", "`0 6 * * FRI`, with Monday as 1"),
        ("0 0 8 * * MON-FRI", "`0 8 * * MON-FRI`, with Monday as 1"),
        ("@reboot", "@daily"),
        ("@every 5m", "`every = "),
        ("0 23-7/2 * * *", "use `23,1,3,5,7`"),
        ("0 9 * * fri-mon", "use `5,6,0,1`"),
        ("45-15/10 * * * *", "use `45,55,5,15`"),
        // A step of 0 is read as 1 in the advice.
        ("22-1/0 * * * *", "use `22,23,"),
        ("0 0 31 2 *", "no slot"),
        ("15 10 L * *", "list the days"),
        ("0 0 15W * *", "list the days"),
        ("61 * * * *", "not a cron expression"),
        ("60-5 * * * *", "not a cron expression"),
        ("0 24-5 * * *", "not a cron expression"),
        ("0 24 * * *", "not a cron expression"),
        ("* * * *", "five fields"),
        ("", "five fields"),
    ];
    for (expression, expected) in table {
        let refused = Cron::parse(expression).unwrap_err();
        assert!(refused.contains(expected), "{expression}: {refused}");
    }
}

#[test]
fn sunday_begins_or_ends_a_range_of_weekdays() {
    let saturday = "2026-11-28T00:00:00Z".parse().unwrap();
    for expression in ["0 9 * * sat-sun", "0 9 * * 6-7", "0 9 * * 6-0", "0 9 * * SAT,SUN", "0 9 * * 0,6"] {
        let found = slots(expression, "UTC", saturday, 3);
        assert_eq!(found, ["2026-11-28T09:00Z", "2026-11-29T09:00Z", "2026-12-05T09:00Z"], "{expression}");
    }
}

#[test]
fn range_from_sunday_to_sunday_is_one_day() {
    let saturday = "2026-11-28T00:00:00Z".parse().unwrap();
    for expression in ["0 9 * * 0-0", "0 9 * * sun-sun", "0 9 * * 7-7"] {
        let found = slots(expression, "UTC", saturday, 2);
        assert_eq!(found, ["2026-11-29T09:00Z", "2026-12-06T09:00Z"], "{expression}");
    }
}

#[test]
fn backwards_range_is_refused_with_its_values() {
    let refused = |expression: &str| Cron::parse(expression).unwrap_err();
    for (expression, written) in [
        ("0 22-2 * * *", "use `22,23,0,1,2`"),
        ("0 22-2/2 * * *", "use `22,0,2`"),
        ("50-10/10 * * * *", "use `50,0,10`"),
        ("0 9 * * fri-mon", "use `5,6,0,1`"),
        ("0 9 * * 5-1/2", "use `5,0`"),
    ] {
        assert!(refused(expression).contains(written), "{expression}: {}", refused(expression));
    }
    for expression in
        ["5-5 * * * *", "0 9 * * 3-3", "0 9 * * 7-7", "0 9 * * 0-0", "0 8-18/2 * * *", "0 9 * * mon-fri/2"]
    {
        assert!(Cron::parse(expression).is_ok(), "{expression}");
    }
    assert!(Cron::parse("0 9 * * 5-8").is_err());
}

#[test]
fn expression_of_minutes_is_the_same_each_hour() {
    for (expression, same) in [("*/15 * * * *", true), ("0 8 * * *", false), ("0 * * * 1", false)] {
        assert_eq!(Cron::parse(expression).unwrap().same_each_hour(), same, "{expression}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_accepted_or_refused_and_slots_ascend(
        text in "[0-9*/,@a-zA-Z#? -]{0,24}",
        start in 1_700_000_000_i64..1_900_000_000,
        zone in proptest::sample::select(vec!["Australia/Lord_Howe", "America/Los_Angeles", "Africa/Casablanca"]),
    ) {
        let start = Timestamp::from_second(start).unwrap();
        for text in [text.clone(), format!("{text} * * *"), format!("*/7 {text} * *")] {
            if let Ok(cron) = Cron::parse(&text) {
                let next = cron.next_after(start, &TimeZone::get(zone).unwrap());
                proptest::prop_assert!(next.is_none_or(|next| next > start));
            }
        }
    }
}
