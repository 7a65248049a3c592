//! The connection settings of Census.

use std::time::Duration;

use secrecy::SecretString;

use crate::http::ATTEMPT;
use crate::pipeline::{self, ApiVersion};

/// The total delay of a client's calls: enough for one retry after an unanswered attempt.
const RETRY_BUDGET: Duration = Duration::from_secs(20);

/// The address, version, token and limits of a Census client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Scheme and host, such as `https://app.getcensus.com`; no `/api`, no credentials, no query.
    pub base_url: String,
    pub version: ApiVersion,
    /// The Fivetran group; V2 requires it.
    pub group_id: Option<String>,
    /// A workspace key, including its `secret-token:`, or, for V2, a personal access token.
    pub token: SecretString,
    /// For one attempt of a call.
    pub timeout: Duration,
    /// The total time of waits between attempts and of unanswered attempts, over all calls of the client.
    pub retry_budget: Duration,
}

impl Settings {
    /// Builds the settings that a pipeline declares; `base_url` overrides the declared one.
    pub fn of(census: &pipeline::Census, base_url: Option<&str>, token: SecretString) -> Self {
        Self {
            base_url: base_url.unwrap_or(&census.base_url).to_owned(),
            version: census.api_version,
            group_id: census.group_id.clone(),
            token,
            timeout: ATTEMPT,
            retry_budget: RETRY_BUDGET,
        }
    }
}
