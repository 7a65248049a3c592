//! A silence: its suppressed notices, and the summary after its end.

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use syncwatch::aws::Sdk;
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::silence::{Scope, Silence};

use syncwatch_lab::aws::ResourceId;
use syncwatch_lab::census::Fault;
use syncwatch_lab::wait::until;

use super::{CREATE, Demo, Found, LIMIT, PIPELINE};

const FAULT: &str = "12% of the creations are rejected, during a silence";
const KEY: &str = "properties/error-rate/properties-create";

pub(super) async fn play(demo: &mut Demo) -> Result<()> {
    let deployment = &demo.stage.deployment;
    let table = deployment.table().resource_name(&ResourceId::table("incidents"))?;
    let clients = Sdk::for_endpoint(deployment.endpoint())?;
    let store = IncidentStore::new(clients.dynamodb(), table);
    // Small runs are judged together with earlier ones, and the run after the storm moved a day's records.
    demo.pass(120);
    let since = demo.begin(FAULT).await?;
    let silence = Silence {
        id: "release".to_owned(),
        owner: "Revenue operations".to_owned(),
        reason: "Salesforce release".to_owned(),
        scope: Scope { checks: Vec::new(), subjects: vec!["properties-create".to_owned()] },
        from: since,
        until: since.checked_add(SignedDuration::from_hours(1))?,
        declared: false,
    };
    store.put_silence(PIPELINE, &silence).await?;
    demo.more(&format!("SILENCE {silence}"));
    demo.stage.census.inject(Fault::Reject { sync: CREATE, percent: 12, message: None })?;
    demo.poll(true).await?;
    demo.pass(60);
    let suppressed = async || {
        let (tallies, _) = store.silences(PIPELINE).await?;
        Ok(tallies.into_iter().find(|tally| tally.silence.id == silence.id && tally.held_back > 0))
    };
    let tally = until(LIMIT, "a notice that the silence suppresses", suppressed).await?;
    demo.settle().await?;
    demo.nothing_new("a silenced fault")?;
    demo.line(&format!("SILENCE {} notice suppressed, of {}", tally.held_back, tally.incidents.join(", ")));

    demo.line("SILENCE ended early; the records are still rejected");
    let ended = Silence { until: Timestamp::now(), ..silence };
    store.put_silence(PIPELINE, &ended).await?;
    let of_silence = format!("{PIPELINE}/silence/{}", ended.id);
    let notices = demo.expect_notices(&[(KEY, "opened"), (&of_silence, "held-back")]).await?;
    demo.silences += 1;
    let notice = notices.into_iter().next().context("the expected notice is gone")?;
    demo.fix(vec![Found { fault: FAULT, key: KEY, since, notice }], 60).await?;
    demo.poll(false).await
}
