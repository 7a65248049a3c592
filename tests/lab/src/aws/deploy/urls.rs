//! Function URLs.

use anyhow::{Context as _, Result};
use aws_sdk_lambda::types::FunctionUrlAuthType;

use super::super::functions_table::UrlSpec;
use super::Deployment;

impl Deployment {
    /// Creates the URL of a function, and its concurrency limit.
    pub(super) async fn create_url(&mut self, function: &str, spec: &UrlSpec) -> Result<()> {
        self.lambda
            .put_function_concurrency()
            .function_name(function)
            .reserved_concurrent_executions(spec.reserved_concurrency)
            .send()
            .await?;
        // AWS also needs two permissions, which Terraform grants; ministack needs none.
        let answer = self
            .lambda
            .create_function_url_config()
            .function_name(function)
            .auth_type(FunctionUrlAuthType::None)
            .send()
            .await?;
        let id = url_id(&answer.function_url)
            .with_context(|| format!("the function's URL `{}` has no id", answer.function_url))?;
        // ministack answers under the real name in the Host header, and under this path for other clients.
        let url = format!("{}/_aws/lambda-url/{id}{}", self.endpoint, spec.path);
        self.urls.insert(function.to_owned(), url);
        Ok(())
    }

    /// The address of a function with a URL on this machine, with the declared path.
    ///
    /// # Errors
    /// If the function has no URL.
    pub fn url_of(&self, function: &str) -> Result<String> {
        self.urls.get(function).cloned().with_context(|| format!("{function} has no URL"))
    }
}

/// The first label of `https://<id>.lambda-url.<region>.on.aws/`.
fn url_id(url: &str) -> Option<&str> {
    let (id, rest) = url.strip_prefix("https://")?.split_once('.')?;
    (!id.is_empty() && rest.starts_with("lambda-url.")).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_of_a_url_is_its_first_label() {
        assert_eq!(url_id("https://abc1.lambda-url.us-east-1.on.aws/"), Some("abc1"));
        for other in ["https://abc1.execute-api.us-east-1.amazonaws.com/", "http://127.0.0.1/", "https://"] {
            assert_eq!(url_id(other), None, "{other}");
        }
    }
}
