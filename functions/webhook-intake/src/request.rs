//! Reads the HTTP request of a Function URL event (payload format 2.0): only the parts that are needed.

use std::fmt;

use serde_json::Value;

/// One HTTP request. It is unverified.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// The path, without a query.
    pub path: String,
    /// Lambda sends names in lower case; other callers may not.
    pub headers: Vec<(String, String)>,
    /// Text or Base64.
    pub body: String,
    /// Whether `body` is Base64, which Lambda decides by the content type.
    pub is_base64: bool,
    pub source_ip: Option<String>,
}

/// Omits body and headers, because those of a stranger must not reach a log.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("body_length", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Error for an event that is not an HTTP request, because the function was not invoked through its URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the event is neither a request of a Function URL (payload 2.0) nor {{\"task\": \"ping\"}}; invoke the function \
     through its URL"
)]
pub struct NotARequest;

impl Request {
    /// Reads an event. It must have a `requestContext.http.method`, and the documented types.
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
    fn payload_needs_only_a_method() {
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
    fn debug_output_has_no_body_and_no_headers() {
        let event = json!({
            "requestContext": { "http": { "method": "POST" } },
            "headers": { "x-signature": "hunter2" },
            "body": "hunter2",
        });
        assert!(!format!("{:?}", Request::read(&event).unwrap()).contains("hunter2"));
    }
}
