//! The address that Census is to post to.

use std::fmt;

use reqwest::Url;

use crate::error::Error;

/// The address of the intake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Url);

impl Endpoint {
    /// Reads a URL with the intake's path: HTTPS, as Census asks for, or HTTP to a lab on this machine.
    pub(crate) fn parse(given: &str, path: &str) -> Result<Self, Error> {
        let not_https = || {
            Error::plain(format!(
                "{given:?} is not an https URL without credentials and query; give the URL of the function webhook-intake, \
                 such as https://abc.lambda-url.us-east-1.on.aws{path}"
            ))
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
        // The lab's AWS has a path of its own before the function's.
        if url.path() == path || loopback && url.path().ends_with(path) {
            return Ok(Self(url));
        }
        url.set_path(path);
        Err(Error::plain(format!("the intake answers under {path} only; did you mean {url}?")))
    }

    /// Whether a webhook with this endpoint posts to the same place: the intake takes a slash at the end as well.
    pub(crate) fn is(&self, endpoint: &str) -> bool {
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
            let refused = Endpoint::parse(url, PATH).unwrap_err().what;
            assert!(refused.starts_with(&format!("{url:?} is not an https URL")), "{refused}");
        }
        for url in ["https://abc.on.aws", "https://abc.on.aws/", "https://abc.on.aws/hook"] {
            let refused = Endpoint::parse(url, PATH).unwrap_err().what;
            assert_eq!(
                refused,
                "the intake answers under /webhooks/census only; did you mean https://abc.on.aws/webhooks/census?"
            );
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
