use jiff::SignedDuration;
use jiff::civil::date;
use proptest::prelude::*;

use super::{alert, at, pipeline, quiet};
use crate::finding::Severity;
use crate::history::{ObjectDay, Tally as Runs};
use crate::notice::render_monthly;
use crate::report::{Inputs, Month, Monthly};
use crate::scoreboard::Outcome;

fn november() -> Month {
    Month::parse("2026-11").unwrap()
}

/// The first Monday of December, 08:00 in Los Angeles.
fn now() -> jiff::Timestamp {
    at("2026-12-07T16:00:00Z")
}

/// Everything is recorded until now, and nothing happened.
fn quiet_november() -> Inputs {
    let mut inputs = quiet(november().end());
    inputs.stored.by_hand.as_mut().unwrap().until = now();
    inputs
}

fn of(inputs: &Inputs) -> Monthly {
    Monthly::of(inputs, &Ok(Vec::new()), &Ok(Vec::new()), &pipeline(), november(), now())
}

fn compared(day: i8, missing: u64) -> ObjectDay {
    ObjectDay {
        object: "properties".to_owned(),
        day: date(2026, 11, day),
        source_rows: Some(20_247),
        missing_rows: Some(missing),
        extra_rows: Some(3),
        different_rows: Some(8),
        by_fault: [("rejected".to_owned(), missing)].into(),
        ..ObjectDay::default()
    }
}

#[test]
fn month_is_named_and_has_its_weeks_and_hours() {
    let zone = pipeline().time_zone;
    for (name, hours, weeks) in
        [("2026-11", 721, 6), ("2026-03", 743, 6), ("2026-02", 672, 5), ("2027-02", 672, 4)]
    {
        let month = Month::parse(name).unwrap();
        let (from, until) = month.bounds(&zone);
        assert_eq!((month.to_string().as_str(), until.duration_since(from).as_hours()), (name, hours));
        let spans = month.weeks();
        assert_eq!(spans.len(), weeks, "{name}: {spans:?}");
        assert_eq!((spans[0].0, spans[weeks - 1].1), (month.first(), month.end()));
        assert!(spans.windows(2).all(|pair| pair[0].1.tomorrow().unwrap() == pair[1].0), "{spans:?}");
    }
    for wrong in ["2026-13", "2026-1", "2026", "26-11", "2026-11-01", ""] {
        assert_eq!(Month::parse(wrong), None, "{wrong}");
    }
    for (name, first_monday) in
        [("2026-10", date(2026, 11, 2)), ("2026-11", date(2026, 12, 7)), ("2027-01", date(2027, 2, 1))]
    {
        assert_eq!(Month::parse(name).unwrap().sent_on(), first_monday, "{name}");
    }
    // Midnight of the pipeline's zone.
    for (now, month) in [
        ("2026-12-01T07:59:59Z", "2026-10"),
        ("2026-12-01T08:00:00Z", "2026-11"),
        ("2027-01-15T00:00:00Z", "2026-12"),
    ] {
        assert_eq!(Month::last(at(now), &zone).to_string(), month, "{now}");
    }
}

#[test]
fn eventful_month_reads_well() {
    let mut inputs = quiet_november();
    let failed = |number: i64| {
        let began = at("2026-11-10T10:00:00Z") + SignedDuration::from_hours(50 * number);
        let key = "properties/run-failed/properties-update";
        alert(
            key,
            Severity::Error,
            &began.to_string(),
            Some(&(began + SignedDuration::from_mins(18)).to_string()),
        )
    };
    let mut flapping = failed(0);
    flapping.course.episodes = (0..4).map(|number| failed(number).course.episodes[0]).collect();
    flapping.course.acknowledgements = vec![at("2026-11-10T10:05:00Z")];
    inputs.stored.incidents = vec![
        flapping,
        alert("properties/coverage/properties-coverage", Severity::Warning, "2026-11-29T10:00:00Z", None),
    ];
    inputs.stored.lags[3].lag = SignedDuration::from_mins(135);
    let update = inputs.history.as_mut().unwrap().syncs.get_mut("properties-update").unwrap();
    let last = update.last_mut().unwrap();
    (last.outcomes, last.failed, last.median_seconds) =
        (Runs { completed: 40, failed: 8 }, Some(420.0), Some(900.0));
    let advice = Ok(vec!["properties-create: lower the batch size".to_owned()]);
    let objects = Ok(vec![compared(29, 40), compared(30, 12)]);
    let monthly = Monthly::of(&inputs, &objects, &advice, &pipeline(), november(), now());
    insta::assert_snapshot!(monthly);
    let json = serde_json::to_string(&monthly).unwrap();
    assert_eq!(serde_json::from_str::<Monthly>(&json).unwrap(), monthly);

    let mut pipeline = pipeline();
    let message = render_monthly(&monthly, november(), &pipeline);
    assert_eq!(crate::aws::topic::check_limits(&message), Ok(()));
    assert_eq!(crate::notice::tests::schema_errors(&message.bodies["default"]), [""; 0]);
    insta::assert_snapshot!(
        "mail_of_a_month",
        format!("Subject: {}\n\n{}", message.subject, message.bodies["email"])
    );
    for (url, report) in [
        (
            "https://d1.example.net/properties/index.html",
            Some("https://d1.example.net/properties/reports/2026-11.html"),
        ),
        ("https://status.example.com/crm", None),
    ] {
        pipeline.status_page_url = Some(url.to_owned());
        let message = render_monthly(&monthly, november(), &pipeline);
        let body = crate::notice::Body::parse(&message.bodies["default"]).unwrap();
        let link = body.links.iter().find(|link| link.name == "Report of 2026-11, with plots");
        assert_eq!(link.map(|link| link.url.as_str()), report);
    }
}

#[test]
fn missing_records_of_a_month_are_unknown_with_their_reason() {
    let quiet = quiet_november;
    let whole = of(&quiet());
    assert_eq!(whole.recorded, "30 of 30 days recorded");
    assert!(whole.metrics.iter().all(|metric| metric.outcome != Outcome::Unknown), "{:?}", whole.metrics);
    assert!(
        whole.alerts.in_words().starts_with("0 alerts: healed without people 0"),
        "{}",
        whole.alerts.in_words()
    );
    // Records begin in the middle of the month.
    let mut half = quiet();
    let history = half.history.as_mut().unwrap();
    history.days.retain(|row| row.day >= date(2026, 11, 16));
    history.syncs.values_mut().for_each(|days| days.retain(|row| row.day >= date(2026, 11, 16)));
    let half = of(&half);
    assert_eq!(half.recorded, "15 of 30 days recorded");
    assert_eq!((half.metrics[0].value, half.metrics[0].text.as_str()), (None, "no row of 2026-11-01"));
    assert_eq!(half.syncs[0].cells()[2..5], ["?", "?", "?"], "the first week has no rows");
    let runs: u64 = half.syncs.iter().map(|week| week.completed).sum();
    assert_eq!((runs, half.budgets[0].text.as_str()), (2 * 15 * 48, "0 of 1,440 runs failed: nothing used"));
    let mut none = quiet();
    none.history = Err("the warehouse does not answer".to_owned());
    none.stored.lags.clear();
    none.stored.unread_incidents = Some("1 incident cannot be read".to_owned());
    let none = Monthly::of(
        &none,
        &Err("no".to_owned()),
        &Err("no token".to_owned()),
        &pipeline(),
        november(),
        now(),
    );
    assert_eq!(none.recorded, "unknown: the warehouse does not answer");
    assert_eq!(none.metrics[0].text, "the warehouse does not answer");
    assert_eq!(none.budgets[0].text, "unknown: no runs recorded");
    assert_eq!(none.budgets[1].text, "unknown: no lag measured");
    assert_eq!(none.alerts.in_words(), "unknown: 1 incident cannot be read");
    assert_eq!(none.improvements.len(), 2, "{:?}", none.improvements);
    // Ended incidents of an old month have expired.
    let old = Monthly::of(
        &quiet(),
        &Ok(Vec::new()),
        &Ok(Vec::new()),
        &pipeline(),
        Month::parse("2026-07").unwrap(),
        now(),
    );
    assert!(old.alerts.in_words().contains("kept for 90 days"));
}

#[test]
fn object_that_was_not_compared_states_why() {
    let mut object = compared(30, 12);
    assert_eq!(
        object.in_words(),
        "2026-11-30: of 20,247 records 12 missing, 3 orphaned, 8 different (causes: rejected 12)"
    );
    object.not_compared = Some("the copy is stale".to_owned());
    assert_eq!(object.in_words(), "2026-11-30: not compared: the copy is stale");
}

proptest! {
    /// The weeks of a sync, the budget and the success rate equal sums over the raw rows, also where days are missing.
    #[test]
    fn figures_of_a_month_equal_those_of_its_rows(
        rows in prop::collection::vec(prop::option::of((0_u64..60, 0_u64..9, 0_u32..500, 1_u32..900)), 30),
    ) {
        let mut inputs = quiet_november();
        let history = inputs.history.as_mut().unwrap();
        let there = |day: jiff::civil::Date| day.month() != 11 || rows[usize::try_from(day.day()).unwrap() - 1].is_some();
        history.days.retain(|row| there(row.day));
        for days in history.syncs.values_mut() {
            days.retain(|row| there(row.day));
            for row in days.iter_mut().filter(|row| row.day.month() == 11) {
                let (completed, failed, lost, seconds) = rows[usize::try_from(row.day.day()).unwrap() - 1].unwrap();
                row.outcomes = Runs { completed, failed };
                (row.processed, row.failed) = (Some(1_000.0), Some(f64::from(lost)));
                row.median_seconds = Some(f64::from(seconds));
            }
        }
        let monthly = of(&inputs);
        let kept: Vec<_> = rows.iter().flatten().collect();
        let (completed, failed) = kept.iter().fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
        let weeks = || monthly.syncs.iter().filter(|week| week.sync == "properties-create");
        prop_assert_eq!(weeks().map(|week| week.completed).sum::<u64>(), completed);
        prop_assert_eq!(weeks().map(|week| week.failed).sum::<u64>(), failed);
        prop_assert_eq!(weeks().map(|week| week.days).sum::<usize>(), kept.len());
        prop_assert_eq!(monthly.budgets[0].used, 2.0 * failed as f64);
        for week in weeks() {
            let days = week.from.day()..=week.to.day();
            let of_week: Vec<_> = days.filter_map(|day| rows[usize::try_from(day).unwrap() - 1]).collect();
            let lost: u32 = of_week.iter().map(|row| row.2).sum();
            let rate = (!of_week.is_empty()).then(|| 100.0 * f64::from(lost) / (1_000.0 * of_week.len() as f64));
            prop_assert_eq!(week.error_rate, rate);
            prop_assert_eq!(week.slowest_day_seconds, of_week.iter().map(|row| f64::from(row.3)).reduce(f64::max));
        }
        let whole = kept.len() == 30 && completed + failed > 4;
        prop_assert_eq!(monthly.metrics[0].value.is_some(), whole);
    }
}
