//! The address that Census posts webhooks to.

use std::fmt;

use reqwest::Url;

use super::Error;

/// Address of the intake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Parses a URL with the intake's path: HTTPS, as Census requires, or HTTP to a lab on this machine.
    pub fn parse(given: &str, path: &str) -> Result<Self, Error> {
        let not_https = || {
            Error::new(
                format!("{given:?} is not an https URL without credentials and query"),
                format!(
                    "use the URL of webhook-intake, such as https://abc.lambda-url.us-east-1.on.aws{path}"
                ),
            )
        };
        let mut url = Url::parse(given.trim()).map_err(|_| not_https())?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let loopback = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if !bare || !(url.scheme() == "https" || url.scheme() == "http" && loopback) {
            return Err(not_https());
        }
        // The lab's AWS puts another path before the function's.
        if url.path() == path || loopback && url.path().ends_with(path) {
            return Ok(Self(url));
        }
        url.set_path(path);
        Err(Error::new(format!("the intake answers only under {path}"), format!("did you mean {url}?")))
    }

    /// Reads an address that a registration stored.
    pub fn stored(given: &str) -> Result<Self, Error> {
        let path = Url::parse(given).map(|url| url.path().to_owned()).unwrap_or_default();
        Self::parse(given, &path)
    }

    /// Returns whether a webhook with this endpoint posts here: the intake also accepts a trailing slash.
    pub fn is(&self, endpoint: &str) -> bool {
        Url::parse(endpoint.trim().trim_end_matches('/')).is_ok_and(|url| url == self.0)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/webhooks/census";

    #[test]
    fn only_the_intake_url_is_accepted_and_others_get_a_hint() {
        let accepted = [
            "https://abc.lambda-url.us-east-1.on.aws/webhooks/census",
            " https://ABC.lambda-url.us-east-1.on.aws:443/webhooks/census\n",
            "http://127.0.0.1:4566/_aws/lambda-url/abc/webhooks/census",
        ];
        for url in accepted {
            assert!(Endpoint::parse(url, PATH).is_ok(), "{url}");
        }
        let refused = [
            "",
            "abc",
            "http://example.com/webhooks/census",
            "https://ada:pw@example.com/webhooks/census",
            "https://example.com/webhooks/census?key=1",
            "ftp://example.com/webhooks/census",
        ];
        for url in refused {
            let refused = Endpoint::parse(url, PATH).unwrap_err().what;
            assert!(refused.starts_with(&format!("{url:?} is not an https URL")), "{refused}");
        }
        for url in ["https://abc.on.aws", "https://abc.on.aws/", "https://abc.on.aws/hook"] {
            let refused = Endpoint::parse(url, PATH).unwrap_err().to_string();
            assert_eq!(
                refused,
                "the intake answers only under /webhooks/census; did you mean https://abc.on.aws/webhooks/census?"
            );
        }
    }

    #[test]
    fn equivalent_urls_are_the_same_endpoint() {
        let endpoint = Endpoint::parse("https://abc.on.aws/webhooks/census", PATH).unwrap();
        for same in ["https://ABC.on.aws:443/webhooks/census", "https://abc.on.aws/webhooks/census/"] {
            assert!(endpoint.is(same), "{same}");
        }
        for other in ["https://abd.on.aws/webhooks/census", "https://abc.on.aws/webhooks", "no url", ""] {
            assert!(!endpoint.is(other), "{other}");
        }
    }
}
