//! Where Census is, and how to speak to it.

use std::time::Duration;

use secrecy::SecretString;

use crate::http::ATTEMPT;
use crate::pipeline::{self, ApiVersion};

/// How long a client may be held up, all its calls together: enough for one more attempt after a silent one.
const RETRY_BUDGET: Duration = Duration::from_secs(20);

/// Where Census is, and how to speak to it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Scheme and host, such as `https://app.getcensus.com`; no `/api`, no credentials, no query.
    pub base_url: String,
    pub version: ApiVersion,
    /// The Fivetran group, which V2 asks for.
    pub group_id: Option<String>,
    /// The token: a workspace key (its `secret-token:` is part of it) or, for V2, a personal access token.
    pub token: SecretString,
    /// How long one attempt of a call may take.
    pub timeout: Duration,
    /// How long to wait between attempts and for answers that never come, all calls of the client together.
    pub retry_budget: Duration,
}

impl Settings {
    /// The settings that a pipeline declares; `base_url` stands in for the declared one.
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
