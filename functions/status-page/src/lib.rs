#![doc = include_str!("../README.md")]

mod event;
mod observe;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use syncwatch::aws::CallLimits;
use syncwatch::aws::bucket::Object;
use syncwatch::aws::incidents::STATUS_PAGE;
use syncwatch::page::{Page, State};
use syncwatch::runtime::{Needs, Site, env};

pub use observe::{CENSUS_LIMIT, WAREHOUSE_LIMIT};

/// The settings of the function.
pub const NEEDS: Needs = Needs {
    required: &[
        env::PIPELINE,
        env::INCIDENTS_TABLE,
        env::PAGES_BUCKET,
        env::CENSUS_SECRET,
        env::WAREHOUSE_SECRET,
    ],
    optional: &[env::CENSUS_BASE_URL, env::DATABRICKS_URL],
    aws: CallLimits::USUAL,
};
/// The longest that reading takes.
pub const READING_LIMIT: Duration = CENSUS_LIMIT.saturating_add(WAREHOUSE_LIMIT);
/// Browsers and caches keep a file for so long.
const CACHE_CONTROL: &str = "max-age=60";

/// A renewed page.
#[derive(Debug, Serialize)]
struct Report {
    pipeline: String,
    at: Timestamp,
    state: State,
    summary: String,
    /// The stored files; without those of which a newer one is stored already.
    files: Vec<String>,
    /// The parts that could not be read.
    unknown: usize,
}

/// The function, with its settings.
#[derive(Debug)]
pub struct App(pub Site);

impl App {
    /// Handles one event that arrived at `now`. Fails if the event is unknown, or if a file was not stored.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        event::read(event)?;
        // Boxed, because the compiler gives up on a future of this depth.
        Ok(serde_json::to_value(Box::pin(self.publish(now)).await?)?)
    }

    /// Reads, renders and stores the page. Parts that cannot be read are on the page, with the reason.
    async fn publish(&self, now: Timestamp) -> anyhow::Result<Report> {
        let pipeline = &self.0.pipeline;
        let inputs = observe::inputs(&self.0, now).await?;
        let page = Page::of(&inputs, pipeline, now);
        let bucket = self.0.pages();
        let (mut files, mut all_stored) = (Vec::new(), true);
        for file in page.files(&pipeline.time_zone)? {
            let key = format!("{}/{}", pipeline.name, file.name);
            let (content_type, text) = (file.content_type, file.text.as_str());
            let object = Object { key: &key, content_type, cache_control: CACHE_CONTROL, text };
            if bucket.put_unless_older(object, now).await? {
                files.push(key);
            } else {
                all_stored = false;
            }
        }
        if all_stored {
            self.0.incidents().record_done(&pipeline.name, STATUS_PAGE, now).await?;
            tracing::info!(summary = %page.sentence, "status page renewed");
        } else {
            tracing::info!("newer status page kept");
        }
        let (pipeline, unknown) = (page.pipeline, page.unknown.len());
        Ok(Report { pipeline, at: now, state: page.state, summary: page.sentence, files, unknown })
    }
}
