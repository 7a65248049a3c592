//! An HTTP request as a Function URL hands it on: payload format 2.0, of which only what is needed is read.

use std::fmt;

use serde_json::Value;

/// One HTTP request. Nothing in it has been believed yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// The path, without a query.
    pub path: String,
    /// Names come in lower case from Lambda, and in any case from other callers.
    pub headers: Vec<(String, String)>,
    /// Text or Base64.
    pub body: String,
    /// Whether `body` is Base64 of the bytes that were sent. Lambda decides that by the content type.
    pub is_base64: bool,
    pub source_ip: Option<String>,
}

/// A stranger's body and headers belong into no log, so `{:?}` says only what may be told.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("body_length", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The event is not an HTTP request: something else than the Function URL invoked the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the event is neither a request of a Function URL (payload 2.0) nor {{\"task\": \"ping\"}}; invoke the function \
     through its URL"
)]
pub struct NotARequest;

impl Request {
    /// Reads an event, which needs a `requestContext.http.method` and no part of another type than documented.
    pub fn read(event: &Value) -> Result<Self, NotARequest> {
        let at = |path: &str| event.pointer(path).filter(|value| !value.is_null());
        let text = |path: &str| {
            let text = at(path).map(|value| value.as_str().map(str::to_owned).ok_or(NotARequest));
            text.transpose()
        };
        let headers = at("/headers").map(|headers| headers.as_object().ok_or(NotARequest)).transpose()?;
        let header = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        Ok(Self {
            method: text("/requestContext/http/method")?.ok_or(NotARequest)?,
            path: text("/rawPath")?.or(text("/requestContext/http/path")?).unwrap_or_default(),
            headers: headers.into_iter().flatten().filter_map(header).collect(),
            body: text("/body")?.unwrap_or_default(),
            is_base64: at("/isBase64Encoded").map_or(Ok(false), |flag| flag.as_bool().ok_or(NotARequest))?,
            source_ip: text("/requestContext/http/sourceIp")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_needed_of_a_payload_is_asked_of_it() {
        let least = json!({ "requestContext": { "http": { "method": "GET" } } });
        let request = Request::read(&least).unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str(), request.body.as_str()), ("GET", "", ""));
        let nulls = json!({
            "requestContext": { "http": { "method": "GET", "path": "/p", "sourceIp": null } },
            "rawPath": null, "headers": null, "body": null, "isBase64Encoded": null, "cookies": ["a"],
        });
        assert_eq!(Request::read(&nulls).unwrap().path, "/p");
        for other in [
            json!({}),
            json!([]),
            json!({ "Records": [] }),
            json!({ "requestContext": {} }),
            json!({ "requestContext": { "http": { "method": "GET" } }, "body": 1 }),
        ] {
            assert_eq!(Request::read(&other), Err(NotARequest));
        }
    }

    #[test]
    fn a_request_is_shown_without_its_body_and_headers() {
        let event = json!({
            "requestContext": { "http": { "method": "POST" } },
            "headers": { "x-signature": "hunter2" },
            "body": "hunter2",
        });
        assert!(!format!("{:?}", Request::read(&event).unwrap()).contains("hunter2"));
    }
}
