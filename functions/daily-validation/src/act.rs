//! Records a round.

use syncwatch::aws::incidents::{Error, IncidentStore};
use syncwatch::finding::Finding;
use syncwatch::judge::data::lag;
use syncwatch::pipeline::Pipeline;
use syncwatch::rounds::ValidatedRound;
use syncwatch::scoreboard::LagSample;

/// Records a whole round, and the lag if it was measured.
pub(crate) async fn record(
    pipeline: &Pipeline,
    store: &IncidentStore,
    round: &ValidatedRound,
    findings: &[Finding],
) -> Result<(), Error> {
    if let Some(lag) = lag(pipeline, findings, round.at) {
        store.record_lag(&pipeline.name, LagSample { at: round.at, lag }).await?;
    }
    store.record_round(&pipeline.name, round).await
}
