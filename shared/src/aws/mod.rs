//! The AWS clients: secrets, incidents, deliveries, queues and the topic for notices, all on one HTTP stack.
//!
//! [`Sdk::connect`] builds what all of them share, once and without I/O.
//! Credentials and region come from the environment that Lambda sets, so none of the SDK's chains (profiles, container and
//! instance metadata) is ever asked. The SDK's ordinary variables `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>` lead
//! it to an emulator.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};

mod connector;
pub mod deliveries;
mod error;
pub mod incidents;
pub mod queue;
pub mod secrets;
pub mod table;
pub mod topic;

#[cfg(test)]
mod wire;

pub use connector::SdkHttp;
pub use error::{AwsError, Fault, Kind};

const ATTEMPTS: u32 = 3;

/// How long AWS is waited for. Each function has limits that fit into its own time limit (`infra/functions.json`), so that
/// a silent AWS is an error with a name, and not the end of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// One attempt of a call.
    pub attempt: Duration,
    /// One call with all its retries.
    pub operation: Duration,
}

impl CallLimits {
    /// For people, and for functions that have a minute or more.
    pub const USUAL: Self = Self { attempt: Duration::from_secs(6), operation: Duration::from_secs(15) };
}

/// What every AWS client is made from: a client that a function does not ask for is neither built nor linked in.
#[derive(Debug, Clone)]
pub struct Sdk {
    config: SdkConfig,
    /// Speaks to everything that is not AWS, on the same connection pool.
    pub http: reqwest::Client,
}

/// Why the clients could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the AWS region is not known: set AWS_REGION (Lambda sets it by itself)")]
    NoRegion,
    #[error(transparent)]
    Http(#[from] crate::http::HttpError),
}

impl Sdk {
    /// For the account and region that the environment names.
    pub async fn connect(limits: CallLimits) -> Result<Self, ConnectError> {
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .credentials_provider(EnvironmentVariableCredentialsProvider::new())
            .region(EnvironmentVariableRegionProvider::new())
            // Credentials that are three environment variables need no cache, and no task that refreshes it.
            .identity_cache(IdentityCache::no_cache());
        Self::load(loader, limits).await
    }

    /// For the account and region that a loader of the SDK's finds, over the shared HTTP client.
    pub async fn load(loader: ConfigLoader, limits: CallLimits) -> Result<Self, ConnectError> {
        let http = crate::http::client()?;
        let config = loader
            .http_client(SdkHttp(http.clone()))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(timeouts(limits))
            .load()
            .await;
        if config.region().is_none_or(|region| region.as_ref().is_empty()) {
            return Err(ConnectError::NoRegion);
        }
        Ok(Self { config, http })
    }

    /// For an emulator at `url`, with credentials that open nothing elsewhere.
    pub fn for_endpoint(url: &str) -> Result<Self, ConnectError> {
        let http = crate::http::client()?;
        let credentials = Credentials::new("test", "test", None, None, "for-endpoint");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(SharedHttpClient::new(SdkHttp(http.clone())))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .region(Region::from_static("us-east-1"))
            .endpoint_url(url)
            .identity_cache(IdentityCache::no_cache())
            // An emulator on this machine needs no courtesy.
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(ATTEMPTS)
                    .with_max_backoff(Duration::from_millis(1)),
            )
            .timeout_config(timeouts(CallLimits::USUAL))
            .build();
        Ok(Self { config, http })
    }

    /// Holds secrets.
    pub fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.config)
    }

    /// Keeps incidents and what is remembered beside them.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    /// Publishes notices.
    pub fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&self.config)
    }

    /// Keeps messages for others.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    /// The configuration that every client of the SDK is made from.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }
}

/// Names one writer, or one write of it. Random enough to tell two apart: every process seeds its hashers anew, every
/// hasher differs.
pub fn writer_id() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

fn timeouts(CallLimits { attempt, operation }: CallLimits) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(crate::http::CONNECT_TIMEOUT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build()
}
