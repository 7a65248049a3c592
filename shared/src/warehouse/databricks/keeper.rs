//! The calls that change a SQL warehouse.

use reqwest::Method;
use serde_json::{Map, Value as Json, json};

use super::{Databricks, wire};
use crate::http::{Call, Repeat};
use crate::sql::{Error, ErrorKind};
use crate::warehouse::settings::{DatabricksSettings, SettingsError};

const START: &str = "start of the warehouse";
const RESIZE: &str = "resize of the warehouse";
const MAX_CLUSTERS: &str = "max_num_clusters";
/// The fields that the edit call accepts (the vendor's SDK for Python, `WarehousesAPI.edit`).
const EDITABLE: [&str; 17] = [
    "auto_stop_mins",
    "channel",
    "cluster_size",
    "creator_name",
    "customer_version_label",
    "enable_photon",
    "enable_serverless_compute",
    "instance_profile_arn",
    "max_dbu",
    MAX_CLUSTERS,
    "min_num_clusters",
    "name",
    "reyden_cluster_size_multiplier",
    "spot_instance_policy",
    "statement_timeout",
    "tags",
    "warehouse_type",
];

/// Starts and resizes one SQL warehouse. A separate type, because a [`Databricks`] must not be able to. It cannot stop
/// or delete a warehouse.
#[derive(Debug, Clone)]
pub struct WarehouseKeeper(pub(super) Databricks);

/// The result of a resize.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// It has the wanted number of clusters now.
    Done,
    /// Another party changed it before, so it was left alone.
    ChangedByOther {
        /// The largest number of clusters that was found.
        max_clusters: u32,
    },
}

impl WarehouseKeeper {
    /// Creates a keeper on a shared HTTP stack.
    pub fn new(http: reqwest::Client, settings: DatabricksSettings) -> Result<Self, SettingsError> {
        Databricks::new(http, settings).map(Self)
    }

    /// Starts the warehouse. Success means that the request was accepted: read the state to see that it runs. The
    /// account needs CAN USE. Idempotent, so retried.
    pub async fn start(&self) -> Result<(), Error> {
        self.post(START, "start", json!({}), Repeat::Safe).await.map(drop).map_err(|kind| kind.of(START))
    }

    /// Changes the largest number of clusters, if it is still `from`. The account needs CAN MANAGE. Databricks refuses
    /// a number outside its limits.
    ///
    /// The vendor's docs do not state whether the edit call keeps or resets the fields that it does not get. So the
    /// warehouse is read, and every field of it that the call accepts is sent back, changed in this one only. A change
    /// by another party between these two calls would be undone. Sent again only if it certainly had no effect.
    pub async fn resize(&self, from: u32, to: u32) -> Result<Resize, Error> {
        let resized = async {
            let read = self.0.read_warehouse(RESIZE).await?;
            let max_clusters = wire::count(&read, MAX_CLUSTERS)
                .ok_or_else(|| wire::shape(MAX_CLUSTERS, "not a number of clusters"))?;
            if max_clusters == to {
                return Ok(Resize::Done);
            }
            if max_clusters != from {
                return Ok(Resize::ChangedByOther { max_clusters });
            }
            self.post(RESIZE, "edit", edited(&read, to), Repeat::OnlyIfNotTaken).await.map_err(|kind| {
                match kind {
                    // Its remedy would be CAN USE, which does not suffice.
                    ErrorKind::NoAccess { message } => ErrorKind::PermissionDenied { message },
                    kind => kind,
                }
            })?;
            Ok(Resize::Done)
        };
        resized.await.map_err(|kind: ErrorKind| kind.of(RESIZE))
    }

    async fn post(&self, label: &str, what: &str, body: Json, repeat: Repeat) -> Result<Json, ErrorKind> {
        let path = format!("{}/{what}", self.0.warehouse_path()?);
        let call = Call { method: Method::POST, body: Some(body), repeat, ..Call::get(path) };
        self.0.send(label, &call).await
    }
}

/// Returns the body of the edit call.
fn edited(read: &Json, max_clusters: u32) -> Json {
    let kept = EDITABLE.iter().filter_map(|key| {
        let value = read.get(*key).filter(|value| !value.is_null())?;
        Some(((*key).to_owned(), value.clone()))
    });
    let mut body: Map<String, Json> = kept.collect();
    body.insert(MAX_CLUSTERS.to_owned(), json!(max_clusters));
    Json::Object(body)
}
