use super::*;
use crate::finding::Outcome;
use crate::reconcile::tests::planted::{Row, planted, rows};

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn seed() -> Pipeline {
    Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap()
}

fn yesterday() -> Timestamp {
    now() - SignedDuration::from_hours(24)
}

/// The words of the findings, with the look before at an instant.
fn judged(found: &Reconciliation, before: Option<(&Reconciliation, Timestamp)>) -> [String; 3] {
    judged_with(found, before, &[])
}

/// The same, with what is known of other buckets.
fn judged_with(
    found: &Reconciliation,
    before: Option<(&Reconciliation, Timestamp)>,
    others: &[Option<Known>],
) -> [String; 3] {
    let pipeline = seed();
    let seen = before.map(|(found, when)| (found.look(), when));
    let earlier = seen.as_ref().map(|(seen, at)| (seen, *at));
    let findings = judge_object(&pipeline, &pipeline.objects[0], Ok(found), earlier, others, now());
    let words = findings.iter().map(|finding| {
        let (check, figures) = (
            finding.check,
            match &finding.outcome {
                Outcome::Healthy { evidence } | Outcome::Unhealthy { evidence, .. } => {
                    evidence.figures.clone()
                }
                Outcome::NotEvaluated { .. } => Vec::new(),
            },
        );
        assert!(figures.iter().all(|figure| !figure.text().contains("P-")), "a key is shown: {figures:?}");
        assert_eq!(check.judged_by(), crate::finding::Judge::Reconciliation);
        finding.to_string()
    });
    words.collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn wrong_records_alert_from_the_second_look() {
    let found = planted(&rows(Class::Missing, 3), 100);
    let [first, extra, differ] = judged(&found, None);
    assert!(first.contains("waiting for a second look (3 records missing, seen once)"), "{first}");
    assert!(extra.contains("healthy") && differ.contains("healthy"), "{extra} {differ}");
    let [second, ..] = judged(&found, Some((&found, yesterday())));
    assert!(
        second.contains("error") && second.contains("3 records missing in Salesforce (limit 0)"),
        "{second}"
    );
    // Other records than yesterday's were in flight then.
    let [other, ..] = judged(&found, Some((&planted(&rows(Class::Different, 3), 100), yesterday())));
    assert!(other.contains("healthy"), "{other}");
}

#[test]
fn look_before_counts_only_if_every_sync_was_due_since() {
    let found = planted(&rows(Class::Missing, 3), 100);
    // The syncs run every 30 and every 15 minutes.
    for (minutes, counts) in [(0, false), (29, false), (30, true)] {
        let at = now() - SignedDuration::from_mins(minutes);
        let [missing, ..] = judged(&found, Some((&found, at)));
        assert_eq!(missing.contains("error"), counts, "{minutes} minutes: {missing}");
    }
}

#[test]
fn one_cause_of_most_records_is_one_finding() {
    let most = |missing, different| -> Vec<Row> {
        let rejected = |row: Row| Row { left_out: true, ..row };
        let all = rows(Class::Missing, missing).into_iter().chain(rows(Class::Different, different));
        all.map(rejected).collect()
    };
    let found = planted(&most(2, 8), 100);
    let [missing, extra, differ] = judged(&found, Some((&found, yesterday())));
    assert!(missing.contains("blocked by records-differ of properties"), "{missing}");
    assert!(extra.contains("healthy") && differ.contains("error"), "{extra} {differ}");
    // Nothing explains unknown faults, so that each alerts.
    let found = planted(&[rows(Class::Missing, 2), rows(Class::Extra, 2)].concat(), 100);
    let [missing, extra, _] = judged(&found, Some((&found, yesterday())));
    assert!(missing.contains("error") && extra.contains("warning"), "{missing} {extra}");
}

#[test]
fn late_records_count_without_a_second_look() {
    let found = Reconciliation { missing_late: 2, missing_pending: 5, ..planted(&[], 100) };
    let [missing, ..] = judged(&found, None);
    assert!(missing.contains("error") && missing.contains("2 records missing"), "{missing}");
}

#[test]
fn share_of_different_records_has_a_limit() {
    // The limit is 0.1%.
    for (joined, beyond) in [(1_000, false), (999, true)] {
        let found = planted(&rows(Class::Different, 1), joined);
        let [.., differ] = judged(&found, Some((&found, yesterday())));
        assert_eq!(differ.contains("error"), beyond, "{differ}");
    }
}

#[test]
fn stale_copy_is_not_evaluated() {
    let pipeline = seed();
    let stale =
        NotCompared::Stale { copied: yesterday(), newest: now(), limit: SignedDuration::from_hours(4) };
    let findings = judge_object(&pipeline, &pipeline.objects[0], Err(&stale), None, &[], now());
    assert_eq!(findings.len(), 3);
    for finding in findings {
        assert!(matches!(finding.outcome, Outcome::NotEvaluated { .. }));
        assert!(finding.to_string().contains("the copy is stale: it last synced at"), "{finding}");
    }
}

#[test]
fn clean_bucket_does_not_hide_wrong_records_of_other_buckets() {
    let wrong = |missing| Some(Known { missing, joined: 100, ..Known::default() });
    let clean = Reconciliation { coverage: Coverage::Bucket { number: 2, of: 3 }, ..planted(&[], 100) };
    let before = Some((&clean, yesterday()));
    let [missing, extra, _] = judged_with(&clean, before, &[wrong(2), wrong(0)]);
    assert!(missing.contains("error") && missing.contains("2 records missing"), "{missing}");
    assert!(extra.contains("healthy"), "{extra}");
    // A bucket that was never compared hides no wrong records, and lets nothing be healthy.
    let [missing, extra, _] = judged_with(&clean, before, &[wrong(2), None]);
    assert!(missing.contains("error"), "{missing}");
    assert!(extra.contains("the first comparison of 1 bucket of keys"), "{extra}");
    let [missing, ..] = judged_with(&clean, before, &[wrong(0), wrong(0)]);
    assert!(missing.contains("healthy"), "{missing}");
}

#[test]
fn share_of_different_records_is_that_of_all_buckets() {
    // The limit is 0.1%.
    for (joined, beyond) in [(1_899, true), (1_900, false)] {
        let found = planted(&rows(Class::Different, 1), 100);
        let other = Known { different: 1, joined, ..Known::default() };
        let [.., differ] = judged_with(&found, Some((&found, yesterday())), &[Some(other)]);
        assert_eq!(differ.contains("error"), beyond, "{differ}");
    }
}
