//! Reads what the syncs of an object did, and opens the warehouse.

use std::time::Duration;

use syncwatch::aws::AwsError;
use syncwatch::census::Client;
use syncwatch::observation::Unread;
use syncwatch::observe::objects::{COMPARE_LIMITS, sent};
use syncwatch::pipeline::Pipeline;
use syncwatch::reconcile::{Object, Sent};
use syncwatch::runtime::Site;
use syncwatch::warehouse::{Databases, Limits};
use tokio::time::timeout;

use crate::Patience;

/// The longest wait for Census, for each object.
const CENSUS_LIMIT: Duration = Duration::from_secs(10);

/// Opens the warehouse and the connections of objects; the inner error says why the warehouse cannot be opened. Fails while AWS
/// does not answer.
pub(crate) async fn databases(
    site: &Site,
    objects: &[&Object],
    patience: Patience,
) -> Result<Result<Databases, String>, AwsError> {
    let Some(declared) = &site.pipeline.warehouse else {
        return Ok(Err("pipeline.toml declares no [warehouse]".to_owned()));
    };
    let limits = Limits { time: patience.statement, ..COMPARE_LIMITS };
    site.databases(declared, objects, limits, patience.round).await
}

/// Reads what the syncs of an object did. Without Census nothing is known, and the comparison goes on.
pub(crate) async fn what_was_sent(
    census: &Result<Client, Unread>,
    pipeline: &Pipeline,
    object: &Object,
) -> Sent {
    match census {
        Ok(client) => timeout(CENSUS_LIMIT, sent(client, pipeline, object)).await.unwrap_or_else(|_| {
            tracing::warn!(object = %object.name, "Census did not answer in time, compared without its runs");
            Sent::default()
        }),
        Err(error) => {
            tracing::warn!(object = %object.name, %error, "Census not read, compared without its runs");
            Sent::default()
        }
    }
}
