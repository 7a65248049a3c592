//! Finds the operator's own AWS credentials and region by the SDK's default chain.

use aws_config::BehaviorVersion;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;

use crate::error::Error;
use syncwatch::aws::{CallLimits, Sdk};
use syncwatch::runtime::Env;

/// Builds the clients for the account and region of the environment or a profile, on the shared HTTP client.
pub(crate) async fn sdk(env: &Env) -> Result<Sdk, Error> {
    let sdk = Sdk::load(aws_config::defaults(BehaviorVersion::latest()), CallLimits::USUAL).await?;
    if let Some(provider) = sdk.config().credentials_provider() {
        // Resolved here, so that an expired login is one error with a hint, not one error per call.
        let profile = env.optional("AWS_PROFILE");
        provider.provide_credentials().await.map_err(|error| no_credentials(&error, profile.as_deref()))?;
    }
    Ok(sdk)
}

fn no_credentials(error: &CredentialsError, profile: Option<&str>) -> Error {
    let hint = match (error, profile) {
        (CredentialsError::CredentialsNotLoaded(_), None) => {
            "set AWS_PROFILE to a profile of ~/.aws/config, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                .to_owned()
        }
        (_, profile) => format!("aws sso login --profile {}", profile.unwrap_or("default")),
    };
    Error::new(format!("no AWS credentials: {}", syncwatch::http::chain(error)), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_credentials_have_a_remedy() {
        let none = CredentialsError::not_loaded("no providers in chain provided credentials");
        let expired = || CredentialsError::provider_error("the SSO token has expired");
        let table = [
            (none, None, "set AWS_PROFILE"),
            (CredentialsError::not_loaded("no such profile"), Some("ops"), "aws sso login --profile ops"),
            (expired(), Some("ops"), "aws sso login --profile ops"),
            (expired(), None, "aws sso login --profile default"),
        ];
        for (error, profile, remedy) in table {
            let error = no_credentials(&error, profile);
            assert!(error.hint.unwrap().starts_with(remedy), "{}", error.what);
        }
        assert!(no_credentials(&expired(), None).what.contains("the SSO token has expired"));
    }
}
