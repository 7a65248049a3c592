//! AWS clients for secrets, incidents, deliveries, queues, pages and the notice topic, on one HTTP stack.
//!
//! [`Sdk::connect`] builds their shared configuration, once and without I/O. Credentials and region come from the
//! environment that Lambda sets; the SDK's other providers (profiles, container and instance metadata) are not used.
//! The SDK's own variables `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>` select an emulator.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};

pub mod bucket;
mod connector;
pub mod deliveries;
#[cfg(feature = "deployment")]
pub mod deployment;
mod error;
pub mod incidents;
pub mod queue;
pub mod redrive;
pub mod secrets;
pub mod table;
pub mod topic;

#[cfg(test)]
mod wire;

pub use connector::SdkHttp;
pub use error::{AwsError, Fault, Kind};

const ATTEMPTS: u32 = 3;

/// Time limits of AWS calls. Each function's limits fit into its own time limit (`infra/functions.json`), so that a
/// silent AWS is reported as an error before Lambda ends the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// One attempt of a call.
    pub attempt: Duration,
    /// One call with all its retries.
    pub operation: Duration,
}

impl CallLimits {
    /// For operators, and for functions with a time limit of a minute or more.
    pub const USUAL: Self = Self { attempt: Duration::from_secs(6), operation: Duration::from_secs(15) };
}

/// The configuration of every AWS client. A client that a function does not use is neither built nor linked in.
#[derive(Debug, Clone)]
pub struct Sdk {
    config: SdkConfig,
    /// For all other services, on the same connection pool.
    pub http: reqwest::Client,
}

/// The clients could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("no AWS region: set AWS_REGION (Lambda sets it)")]
    NoRegion,
    #[error(transparent)]
    Http(#[from] crate::http::HttpError),
}

impl Sdk {
    /// Connects to the account and region in the environment.
    pub async fn connect(limits: CallLimits) -> Result<Self, ConnectError> {
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .credentials_provider(EnvironmentVariableCredentialsProvider::new())
            .region(EnvironmentVariableRegionProvider::new())
            // Credentials from environment variables need no cache, and no task that refreshes it.
            .identity_cache(IdentityCache::no_cache());
        Self::load(loader, limits).await
    }

    /// Connects to the account and region of an SDK loader, over the shared HTTP client.
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

    /// Connects to an emulator at `url`, with dummy credentials.
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
            // A local emulator needs no long backoff.
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(ATTEMPTS)
                    .with_max_backoff(Duration::from_millis(1)),
            )
            .timeout_config(timeouts(CallLimits::USUAL))
            .build();
        Ok(Self { config, http })
    }

    /// Builds a client for secrets.
    pub fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.config)
    }

    /// Builds a client for the tables.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    /// Builds a client for notices.
    pub fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&self.config)
    }

    /// Builds a client for queues.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    /// Returns the SDK configuration of all clients.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }
}

/// Returns a random id for one writer or one of its writes. Each process seeds its hashers anew, and each hasher
/// differs.
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
