//! Classifies rejected requests by status and message.
//!
//! Databricks answers 403 to three faults with three remedies: an invalid or expired token, an address that an IP
//! access list blocks, and an account without a right. Only the message distinguishes them: `error_code` is the number
//! 403, the text "403" or `PERMISSION_DENIED`, in JSON, in plain text or in a page of HTML
//! (`tests/fixtures/databricks/refusals.json` has real ones with their sources).

use reqwest::StatusCode;

use crate::http::Answer;
use crate::sql::{ErrorKind, Statement};
use crate::warehouse::sentence::{from_sql_state, sentence};

/// Bytes of a body that are searched: a page of HTML may be long.
const READ: usize = 4_096;
/// The mark, in the login page's address, of a private link error (the vendor's SDK, `errors/private_link.py`).
const PRIVATE_LINK: &str = "private-link-validation-error";

/// The kind of remedy of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matter {
    Credentials,
    Network,
    Grant,
}

/// Classifies a rejected request.
pub(super) fn of(statement: &Statement, answer: &Answer) -> ErrorKind {
    let status = answer.status;
    let sent = answer.json.as_ref().and_then(|body| body.get("message")?.as_str()).unwrap_or_default();
    let message = || match sent {
        "" => format!("it answered {}", status.as_u16()),
        sent => sentence(statement, sent),
    };
    match (status.as_u16(), matter(answer)) {
        (300..=403, Matter::Network) => ErrorKind::Blocked { message: message() },
        // A token of another issuer gets a 400.
        (400..=403, Matter::Credentials) => ErrorKind::Refused,
        (403, Matter::Grant) => ErrorKind::NoAccess { message: message() },
        (404, _) => ErrorKind::MissingObject { message: message() },
        (429, _) => ErrorKind::RateLimited { retry_after: answer.asked_for },
        (500.., _) => ErrorKind::Unreachable { detail: format!("it answered {}", status.as_u16()) },
        _ => {
            let code = answer.json.as_ref().and_then(|body| body.get("error_code")?.as_str());
            let code = code.map_or_else(|| status.as_u16().to_string(), str::to_owned);
            from_sql_state(statement, &code, &message())
        }
    }
}

/// Classifies by the body's text; defaults to a missing right.
fn matter(answer: &Answer) -> Matter {
    let leads_to = answer.location.as_deref().unwrap_or_default();
    if answer.status.is_redirection() && leads_to.contains(PRIVATE_LINK) {
        return Matter::Network;
    }
    let body = answer.body.get(..READ).unwrap_or(&answer.body);
    of_words(answer.status, &String::from_utf8_lossy(body).to_ascii_lowercase())
}

fn of_words(status: StatusCode, body: &str) -> Matter {
    let mentions = |words: &str| words.split('|').any(|words| body.contains(words));
    // Checked first, as such a refusal may also contain "unauthorized".
    if mentions("ip acl|ip access list|network access|network policy|private link|privatelink|private-link") {
        return Matter::Network;
    }
    // A valid token with too small a scope: a new token of the same kind does not help.
    let scope = mentions("required scope");
    let of_a_token =
        mentions("token|credential|jwt") && mentions("invalid|expir|revoked|malformed|not valid|not sent");
    let is_refused = of_a_token || mentions("unauthenticated|jsonwebtoken");
    if is_refused && !scope || status == StatusCode::UNAUTHORIZED {
        return Matter::Credentials;
    }
    Matter::Grant
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fixture {
        set: String,
        matter: String,
        status: u16,
        source: String,
        body: String,
        location: Option<String>,
    }

    fn fixtures() -> Vec<Fixture> {
        let text = include_str!("../../../../tests/fixtures/databricks/refusals.json");
        serde_json::from_str(text).unwrap()
    }

    fn of_body(status: u16, body: &str, location: Option<&str>) -> ErrorKind {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            asked_for: None,
            date: None,
            content_type: None,
            location: location.map(str::to_owned),
            body: body.into(),
            cut: false,
            json: serde_json::from_str(body).ok(),
        };
        of(&Statement::new("coverage of properties", "SELECT 1"), &answer)
    }

    #[test]
    fn real_refusals_name_their_remedy() {
        let mut of_set = [("seen", 0), ("unseen", 0)];
        for Fixture { set, matter, status, source, body, location } in fixtures() {
            let kind = of_body(status, &body, location.as_deref());
            let found = match kind {
                ErrorKind::Refused => "credentials",
                ErrorKind::Blocked { .. } => "network",
                ErrorKind::NoAccess { .. } => "grant",
                _ => "none",
            };
            assert_eq!(found, matter, "{source}: {body}");
            of_set.iter_mut().filter(|(name, _)| *name == set).for_each(|(_, count)| *count += 1);
        }
        assert!(of_set.iter().all(|(_, count)| *count >= 12), "{of_set:?}");
    }

    #[test]
    fn refusal_keeps_the_message_and_loses_ids() {
        let blocked = of_body(
            403,
            r#"{"error_code":403,"message":"Source IP address: 203.0.113.7 is blocked by Databricks IP ACL for workspace: 1234567890123456"}"#,
            None,
        );
        assert_eq!(
            blocked.to_string(),
            "the warehouse refuses the network of Syncwatch (Source IP address: 203.0.113.7 is blocked by Databricks IP ACL for \
             workspace: [hidden]); allow the IP address of its functions"
        );
        let page = of_body(403, "<html><body>Problem accessing. User not authorized.</body></html>", None);
        assert_eq!(
            page.to_string(),
            "the account of Syncwatch may not use the warehouse (it answered 403); grant the account CAN USE"
        );
    }

    #[test]
    fn other_statuses_keep_their_kind() {
        assert!(matches!(of_body(404, "{}", None), ErrorKind::MissingObject { .. }));
        assert!(matches!(of_body(429, "no network access", None), ErrorKind::RateLimited { .. }));
        assert!(matches!(of_body(503, "invalid token", None), ErrorKind::Unreachable { .. }));
        assert!(
            matches!(of_body(302, "", Some("/login.html")), ErrorKind::Sql { code, .. } if code == "302")
        );
        assert_eq!(of_body(401, "", None), ErrorKind::Refused);
    }

    proptest::proptest! {
        #[test]
        fn classification_does_not_panic_on_any_body(status in 300_u16..600, body in "\\PC{0,80}", location in "\\PC{0,20}") {
            of_body(status, &body, Some(&location));
        }
    }
}
