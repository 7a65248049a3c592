//! The address that Census is to post to.

use std::fmt;

use reqwest::Url;

/// Why webhooks cannot be posted to a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is not a URL, or not one that Census takes.
    #[error(
        "{given:?} is not an https URL without credentials and query; give the URL of the function webhook-intake, \
         such as https://abc.lambda-url.us-east-1.on.aws{path}"
    )]
    NotHttps { given: String, path: String },
    /// It has another path than the intake's.
    #[error("the intake answers under {path} only; did you mean {meant}?")]
    OtherPath {
        path: String,
        /// The same with the intake's path.
        meant: String,
    },
}

/// The address of the intake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Reads a URL with the intake's path: HTTPS, as Census asks for, or HTTP to a lab on this machine.
    ///
    /// # Errors
    /// See [`EndpointError`].
    pub fn parse(given: &str, path: &str) -> Result<Self, EndpointError> {
        let not_https = || EndpointError::NotHttps { given: given.to_owned(), path: path.to_owned() };
        let mut url = Url::parse(given.trim()).map_err(|_| not_https())?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let loopback = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if !bare || !(url.scheme() == "https" || url.scheme() == "http" && loopback) {
            return Err(not_https());
        }
        // The lab's AWS has a path of its own before the function's.
        if url.path() == path || loopback && url.path().ends_with(path) {
            return Ok(Self(url));
        }
        url.set_path(path);
        Err(EndpointError::OtherPath { path: path.to_owned(), meant: url.to_string() })
    }

    /// Whether a webhook with this endpoint posts to the same place: the intake takes a slash at the end as well.
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
    fn only_the_intake_s_own_url_is_taken_and_a_bare_one_is_completed() {
        let taken = [
            "https://abc.lambda-url.us-east-1.on.aws/webhooks/census",
            " https://ABC.lambda-url.us-east-1.on.aws:443/webhooks/census\n",
            "http://127.0.0.1:4566/_aws/lambda-url/abc/webhooks/census",
        ];
        for url in taken {
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
            assert!(matches!(Endpoint::parse(url, PATH), Err(EndpointError::NotHttps { .. })), "{url}");
        }
        for url in ["https://abc.on.aws", "https://abc.on.aws/", "https://abc.on.aws/hook"] {
            let meant = "https://abc.on.aws/webhooks/census".to_owned();
            let path = PATH.to_owned();
            assert_eq!(Endpoint::parse(url, PATH), Err(EndpointError::OtherPath { path, meant }), "{url}");
        }
    }

    #[test]
    fn the_same_place_is_the_same_however_it_is_written() {
        let endpoint = Endpoint::parse("https://abc.on.aws/webhooks/census", PATH).unwrap();
        for same in ["https://ABC.on.aws:443/webhooks/census", "https://abc.on.aws/webhooks/census/"] {
            assert!(endpoint.is(same), "{same}");
        }
        for other in ["https://abd.on.aws/webhooks/census", "https://abc.on.aws/webhooks", "no url", ""] {
            assert!(!endpoint.is(other), "{other}");
        }
    }
}
