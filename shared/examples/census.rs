//! Lists the first syncs of a real Census workspace. Reads only.
//!
//! `CENSUS_TOKEN=... cargo run -p syncwatch --example census`. Optional: `CENSUS_API_VERSION=v2` with `CENSUS_GROUP_ID`,
//! `CENSUS_BASE_URL`.

use std::error::Error;
use std::io::{Write as _, stdout};
use std::time::Duration;

use secrecy::SecretString;
use syncwatch::census::{Client, Settings};
use syncwatch::http;
use syncwatch::pipeline::ApiVersion;
use syncwatch::runtime::{Env, clock};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let env = Env::process();
    let token = env.optional("CENSUS_TOKEN").ok_or("CENSUS_TOKEN is not set: an API key of the workspace")?;
    let version = match env.optional("CENSUS_API_VERSION").as_deref() {
        None | Some("v1") => ApiVersion::V1,
        Some("v2") => ApiVersion::V2,
        Some(other) => return Err(format!("CENSUS_API_VERSION is {other}: use v1 or v2").into()),
    };
    let settings = Settings {
        base_url: env.optional("CENSUS_BASE_URL").unwrap_or_else(|| "https://app.getcensus.com".to_owned()),
        version,
        group_id: env.optional("CENSUS_GROUP_ID"),
        token: SecretString::from(token),
        timeout: Duration::from_secs(10),
        retry_budget: Duration::from_secs(20),
    };
    let census = Client::new(http::client()?, settings, clock::now())?;
    let page = census.list_syncs_page(1, 25).await?;
    let mut out = stdout().lock();
    writeln!(out, "{page:#?}")?;
    writeln!(out, "The clock of Census is ahead of this one by {:?}", census.clock_ahead())?;
    Ok(())
}
