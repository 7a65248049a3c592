//! Judges whether the nightly snapshots are written, by their records.

use jiff::{SignedDuration, Timestamp};

use crate::finding::{Check, Evidence, Finding, SYNCWATCH, Severity, WAREHOUSE, WhyNot};
use crate::pipeline::Pipeline;
use crate::rounds::SnapshotRecord;
use crate::text::{minute_utc, words};

/// A daily round or snapshot counts as missed after this time: a day, the hour of a clock change, and one more.
pub(crate) const SILENT: SignedDuration = SignedDuration::from_hours(26);
/// The same after two days.
pub(super) const LONG_SILENT: SignedDuration = SignedDuration::from_hours(50);

/// Judges whether snapshots are written.
///
/// * the last one was not written                    => warning; blocked by `warehouse-reachable` if that was the reason
/// * none was written for 26 hours, for any reason   => warning, after 50 hours an error
/// * written, but without the state of the data      => warning
pub fn judge_snapshot_written(
    record: Option<&SnapshotRecord>,
    pipeline: &Pipeline,
    now: Timestamp,
) -> Finding {
    let about = Check::SnapshotWritten.about(SYNCWATCH);
    let Some(declared) = &pipeline.snapshot else {
        return about.not_declared();
    };
    let record = record.filter(|record| record.written_at.is_some() || record.failure.is_some());
    let Some(SnapshotRecord { written_at, failure, without_data }) = record else {
        return about.nothing_yet("the first snapshot");
    };
    let silent = written_at.map(|at| now.duration_since(at).max(SignedDuration::ZERO));
    let overdue = silent.is_some_and(|silent| silent > SILENT);
    let summary = match (silent, overdue) {
        (Some(silent), true) => {
            format!("no snapshot written for {} (limit {})", words(silent), words(SILENT))
        }
        (Some(silent), false) => format!("last snapshot written {} ago", words(silent)),
        (None, _) => "no snapshot written so far".to_owned(),
    };
    let evidence = Evidence::new(summary).with_some("last snapshot", *written_at);
    let Some(failure) = failure else {
        if !overdue {
            let without_data = without_data.as_ref().filter(|_| declared.health_view.is_some());
            return match (written_at, without_data) {
                (Some(at), Some(why)) => blind(*at, why, evidence),
                _ => about.healthy(evidence),
            };
        }
        let cause = "nightly-snapshot is not triggered, fails before it writes, or exceeds its time limit: check its log \
                     and its schedule. The next snapshot backfills runs; data figures of a missed day cannot be recovered";
        return about.unhealthy(silence_severity(silent), evidence, cause);
    };
    if failure.of_warehouse && !overdue {
        return about.not_evaluated(WhyNot::under(Check::WarehouseReachable, WAREHOUSE));
    }
    let mut evidence = evidence.with("last attempt", failure.at).with("error", &failure.what);
    if !overdue {
        evidence.summary = format!("snapshot of {} not written ({})", minute_utc(failure.at), failure.what);
    }
    let cause =
        "See the error. The next snapshot backfills runs; data figures of a missed day cannot be recovered";
    about.unhealthy(silence_severity(silent), evidence.since(failure.at), cause)
}

/// The finding of a snapshot that has the runs of a day, but not the state of its data.
fn blind(written_at: Timestamp, why: &str, mut evidence: Evidence) -> Finding {
    evidence.summary = format!("snapshot of {} lacks the state of the data ({why})", minute_utc(written_at));
    let cause = "The health view was dropped or renamed, a permission was revoked, or the query takes too long. Data figures \
                 of a past day cannot be recovered: each further night loses them too";
    Check::SnapshotWritten.about(SYNCWATCH).unhealthy(Severity::Warning, evidence.since(written_at), cause)
}

/// The severity of a daily job that has not run for so long; `None` if it never ran.
pub(super) fn silence_severity(silent: Option<SignedDuration>) -> Severity {
    if silent.is_some_and(|silent| silent > LONG_SILENT) { Severity::Error } else { Severity::Warning }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::SnapshotFailure;

    fn now() -> Timestamp {
        "2026-11-25T07:59:00Z".parse().unwrap()
    }

    fn record(written: Option<i64>, failure: Option<(i64, bool)>) -> SnapshotRecord {
        let ago = |hours: i64| now() - SignedDuration::from_hours(hours);
        let failure = failure.map(|(hours, of_warehouse)| SnapshotFailure {
            at: ago(hours),
            what: "something is missing".to_owned(),
            of_warehouse,
        });
        SnapshotRecord { written_at: written.map(ago), failure, without_data: None }
    }

    #[test]
    fn missing_snapshot_is_unhealthy_unless_the_warehouse_is_down() {
        let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let table = [
            (None, "not evaluated"),
            (Some(record(Some(0), None)), "healthy"),
            // The day of 25 hours.
            (Some(record(Some(25), None)), "healthy"),
            (Some(record(Some(26), None)), "healthy"),
            (Some(record(Some(27), None)), "warning"),
            (Some(record(Some(51), None)), "error"),
            (Some(record(Some(24), Some((0, false)))), "warning"),
            (Some(record(Some(24), Some((0, true)))), "not evaluated"),
            // A night is missing then, for any reason.
            (Some(record(Some(48), Some((24, true)))), "warning"),
            (Some(record(Some(72), Some((0, true)))), "error"),
            (Some(record(None, Some((0, false)))), "warning"),
            (Some(record(None, Some((0, true)))), "not evaluated"),
        ];
        for (record, expected) in table {
            let finding = judge_snapshot_written(record.as_ref(), &pipeline, now());
            assert!(finding.to_string().contains(expected), "{record:?}: {finding}");
        }
        let failed = judge_snapshot_written(Some(&record(Some(24), Some((0, false)))), &pipeline, now());
        assert!(failed.to_string().contains("something is missing"), "{failed}");
    }

    #[test]
    fn snapshot_without_data_is_unhealthy_if_a_view_is_declared() {
        let mut pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let blind = |record: SnapshotRecord| SnapshotRecord {
            without_data: Some("no view crm.sfdc_dbx.daily_health_check".to_owned()),
            ..record
        };
        let found = |pipeline: &Pipeline, record| {
            judge_snapshot_written(Some(&blind(record)), pipeline, now()).to_string()
        };
        let written = found(&pipeline, record(Some(1), None));
        assert!(
            written
                .contains("warning, snapshot of 2026-11-25 06:59 UTC lacks the state of the data (no view"),
            "{written}"
        );
        // A worse finding comes first.
        assert!(found(&pipeline, record(Some(51), None)).contains("error, no snapshot written for 2d 3h"));
        assert!(found(&pipeline, record(Some(24), Some((0, false)))).contains("not written (something"));
        assert!(
            found(&pipeline, record(Some(24), Some((0, true)))).contains("blocked by warehouse-reachable")
        );
        pipeline.snapshot.as_mut().unwrap().health_view = None;
        assert!(found(&pipeline, record(Some(1), None)).contains("healthy"));
    }

    #[test]
    fn pipeline_without_snapshots_is_not_judged_for_them() {
        let mut pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        pipeline.snapshot = None;
        let finding = judge_snapshot_written(Some(&record(Some(99), None)), &pipeline, now());
        assert!(finding.to_string().contains("not declared"), "{finding}");
    }
}
