//! Links to the status page, or renders it from the same reads as the function `status-page`.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use syncwatch::aws::bucket::Bucket;
use syncwatch::observe::{history, page};
use syncwatch::page::{Page, Recorded};
use syncwatch::report::Month;
use syncwatch::runtime::env;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::text::minute_utc;

use super::error::Error;
use super::{Operator, WAREHOUSE_START_LIMIT};

/// How long a link is valid.
const VALID: Duration = Duration::from_secs(3_600);

/// The status page: a link to it, or its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageAnswer {
    pub pipeline: String,
    /// The link to the deployed page, or to the report of a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When the link expires (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The state in one sentence, of a page that was made now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
    /// The written files; empty for a link.
    pub files: Vec<String>,
}

impl fmt::Display for PageAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(url), Some(until)) = (&self.url, self.until) {
            return write!(f, "{url}\nThe link is valid until {}, and needs no login.", minute_utc(until));
        }
        write!(f, "{}", self.sentence.as_deref().unwrap_or_default())?;
        self.files.iter().try_for_each(|file| write!(f, "\n{file}"))
    }
}

impl Operator {
    pub(super) async fn page(&self, month: Option<Month>, out: Option<&Path>) -> Result<PageAnswer, Error> {
        match out {
            Some(folder) => self.write_page(folder).await,
            None => self.link_page(&month.map_or_else(|| "index.html".to_owned(), Month::file)).await,
        }
    }

    async fn link_page(&self, file: &str) -> Result<PageAnswer, Error> {
        let bucket = match self.env.optional(env::PAGES_BUCKET.name) {
            Some(bucket) => bucket,
            // As Terraform names it: names of buckets are unique in the world.
            None => {
                let identity = self.identity().await?;
                let account = identity.split(':').nth(4).unwrap_or_default().to_owned();
                format!("{}-{account}", self.setting(env::PAGES_BUCKET)?)
            }
        };
        let (name, bucket) = (&self.pipeline.name, Bucket::new(&self.sdk, &bucket));
        let url = bucket.link(&format!("{name}/{file}"), VALID, self.now).await;
        let url = url.map_err(|error| Error::plain(error.by_person().to_string()))?;
        let until = self.now.saturating_add(VALID).ok();
        Ok(PageAnswer { pipeline: name.clone(), url: Some(url), until, sentence: None, files: Vec::new() })
    }

    async fn write_page(&self, folder: &Path) -> Result<PageAnswer, Error> {
        let pipeline = &self.pipeline;
        let census = self.census().await;
        let census = census.as_ref().map_err(ToString::to_string);
        let recorded = self.recorded().await.map_err(|error| error.to_string());
        let inputs = page::inputs(pipeline, &self.incidents()?, census, recorded).await;
        let page = Page::of(&inputs, pipeline, self.now);
        let rendered = page.files(&pipeline.time_zone).map_err(|error| Error::plain(error.to_string()))?;
        let unwritten =
            |path: &Path, error| Error::plain(format!("cannot write {}: {error}", path.display()));
        std::fs::create_dir_all(folder).map_err(|error| unwritten(folder, error))?;
        let mut files = Vec::new();
        for file in rendered {
            let path = folder.join(file.name);
            std::fs::write(&path, file.text).map_err(|error| unwritten(&path, error))?;
            files.push(path.display().to_string());
        }
        let sentence = Some(page.sentence);
        Ok(PageAnswer { pipeline: pipeline.name.clone(), url: None, until: None, sentence, files })
    }

    async fn recorded(&self) -> Result<Recorded, Error> {
        let warehouse = self.warehouse(history::limits()).await?;
        let asker = Asker::new(&warehouse, WAREHOUSE_START_LIMIT);
        page::recorded(&self.pipeline, warehouse.dialect(), asker, self.now).await.map_err(Error::plain)
    }
}
