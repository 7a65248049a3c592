//! Stores and reads objects of one S3 bucket, and signs links to them. S3's own SDK would add more to a zip than all other
//! clients together, for three calls.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_dynamodb::error::ErrorMetadata;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use jiff::Timestamp;

use super::connector::execute;
use super::error::{AwsError, Fault, Kind};
use super::{CallLimits, Sdk};

const KIND: Kind = Kind { name: "bucket", correct: "SYNCWATCH_PAGES_BUCKET (infra/functions.json)" };
const PUT: &str = "s3:PutObject";
const GET: &str = "s3:GetObject";
/// When the content of an object was made (UTC), in its metadata.
const MADE_AT: &str = "x-amz-meta-made-at";
/// Others that store the same object at the same time, at most.
const ATTEMPTS: usize = 20;

/// An object to store.
#[derive(Debug, Clone, Copy)]
pub struct Object<'o> {
    pub key: &'o str,
    pub content_type: &'o str,
    pub cache_control: &'o str,
    pub text: &'o str,
}

/// The version of a stored object.
struct Version {
    /// Its `ETag`.
    tag: HeaderValue,
    /// When its content was made (UTC); `None` if that is not recorded.
    made_at: Option<Timestamp>,
}

fn body(object: Object<'_>) -> Bytes {
    Bytes::copy_from_slice(object.text.as_bytes())
}

/// One bucket. Keys have letters, digits, `-`, `_`, `.` and `/`.
#[derive(Debug, Clone)]
pub struct Bucket {
    sdk: Sdk,
    name: String,
    limits: CallLimits,
}

impl Bucket {
    /// Creates a client for the bucket of this name.
    pub fn new(sdk: &Sdk, name: &str) -> Self {
        Self { sdk: sdk.clone(), name: name.to_owned(), limits: CallLimits::USUAL }
    }

    /// Stores an object, replacing an earlier one. A failed call is not repeated here: the next round stores it.
    pub async fn put(&self, object: Object<'_>, now: Timestamp) -> Result<(), AwsError> {
        let request = self.storing(object).body(body(object));
        let answer = self.call(request, PUT, now).await?;
        if answer.status().is_success() { Ok(()) } else { Err(self.refused(PUT, &answer)) }
    }

    /// Stores an object that was made at `now`, unless one that was made later is stored; returns whether it was stored. Each write
    /// names the object that it replaces, so of several at the same time the latest stays.
    pub async fn put_unless_older(&self, object: Object<'_>, now: Timestamp) -> Result<bool, AwsError> {
        let mut refused = None;
        for _ in 0..ATTEMPTS {
            let stored = self.version(object.key, now).await?;
            if stored.as_ref().is_some_and(|stored| stored.made_at.is_some_and(|made_at| made_at > now)) {
                return Ok(false);
            }
            let request = self.storing(object).header(MADE_AT, now.to_string());
            let request = match stored {
                Some(stored) => request.header("if-match", stored.tag),
                None => request.header("if-none-match", "*"),
            };
            let answer = self.call(request.body(body(object)), PUT, now).await?;
            match answer.status() {
                // Another was stored, or is being stored, or deleted.
                StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT | StatusCode::NOT_FOUND => {
                    refused = Some(self.refused(PUT, &answer));
                }
                status if status.is_success() => return Ok(true),
                _ => return Err(self.refused(PUT, &answer)),
            }
        }
        refused.map_or(Ok(false), Err)
    }

    /// Reads the version of an object; `None` if there is none, as in [`get`](Self::get).
    async fn version(&self, key: &str, now: Timestamp) -> Result<Option<Version>, AwsError> {
        let request = Request::builder().method(Method::HEAD).uri(self.url(key)).body(Bytes::new());
        let answer = self.call(request, GET, now).await?;
        match (answer.status(), answer.headers().get("etag")) {
            (StatusCode::NOT_FOUND | StatusCode::FORBIDDEN, _) => Ok(None),
            (status, Some(tag)) if status.is_success() => {
                let made_at = answer.headers().get(MADE_AT).and_then(|at| at.to_str().ok()?.parse().ok());
                Ok(Some(Version { tag: tag.clone(), made_at }))
            }
            _ => Err(self.refused(GET, &answer)),
        }
    }

    fn storing(&self, object: Object<'_>) -> http::request::Builder {
        Request::builder()
            .method(Method::PUT)
            .uri(self.url(object.key))
            .header("content-type", object.content_type)
            .header("cache-control", object.cache_control)
    }

    /// Reads an object; `None` if there is none. Without the right to list the bucket, S3 answers 403 for an absent object (Amazon
    /// S3 API reference, `GetObject`), so this is taken for one.
    pub async fn get(&self, key: &str, now: Timestamp) -> Result<Option<Bytes>, AwsError> {
        let request = Request::builder().method(Method::GET).uri(self.url(key)).body(Bytes::new());
        let answer = self.call(request, GET, now).await?;
        match answer.status() {
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
            status if status.is_success() => Ok(Some(answer.into_body())),
            _ => Err(self.refused(GET, &answer)),
        }
    }

    /// Signs a link that opens an object without a login from `now` on, for so long.
    pub async fn link(&self, key: &str, lasts: Duration, now: Timestamp) -> Result<String, AwsError> {
        let mut request = Request::builder().method(Method::GET).uri(self.url(key)).body(Bytes::new());
        if let Ok(request) = &mut request {
            self.sign(request, Some(lasts), GET, now).await?;
        }
        request.map(|request| request.uri().to_string()).map_err(|error| self.unsent(GET, &error))
    }

    fn url(&self, key: &str) -> String {
        let name = &self.name;
        match self.sdk.config().endpoint_url() {
            // An emulator has one host for all buckets.
            Some(endpoint) => format!("{}/{name}/{key}", endpoint.trim_end_matches('/')),
            None => {
                let region = self.sdk.config().region().map(ToString::to_string).unwrap_or_default();
                format!("https://{name}.s3.{region}.amazonaws.com/{key}")
            }
        }
    }

    async fn call(
        &self,
        request: Result<Request<Bytes>, http::Error>,
        permission: &'static str,
        now: Timestamp,
    ) -> Result<Response<Bytes>, AwsError> {
        let mut request = request.map_err(|error| self.unsent(permission, &error))?;
        self.sign(&mut request, None, permission, now).await?;
        let answer = execute(&self.sdk.http, request, self.limits.attempt).await;
        answer.map_err(|error| self.unsent(permission, &error))
    }

    /// Signs a request by AWS Signature Version 4: in its headers, or in its query for a link that expires.
    async fn sign(
        &self,
        request: &mut Request<Bytes>,
        expires_in: Option<Duration>,
        permission: &'static str,
        now: Timestamp,
    ) -> Result<(), AwsError> {
        let config = self.sdk.config();
        let no_credentials = || KIND.fault(&self.name, permission, Fault::NoCredentials);
        let provider = config.credentials_provider().ok_or_else(no_credentials)?;
        let identity = provider.provide_credentials().await.map_err(|_| no_credentials())?.into();
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let mut settings = SigningSettings::default();
        // As S3 differs from all other services.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.expires_in = expires_in;
        let body = match expires_in {
            Some(_) => {
                settings.signature_location = SignatureLocation::QueryParams;
                SignableBody::UnsignedPayload
            }
            None => {
                settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
                SignableBody::Bytes(request.body())
            }
        };
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name("s3")
            .time(SystemTime::from(now))
            .settings(settings)
            .build()
            .map_err(|error| self.unsent(permission, &error))?
            .into();
        let (method, uri) = (request.method().as_str(), request.uri().to_string());
        let headers =
            request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let signable = SignableRequest::new(method, uri, headers, body);
        let signable = signable.map_err(|error| self.unsent(permission, &error))?;
        let signed = sign(signable, &params).map_err(|error| self.unsent(permission, &error))?;
        signed.into_parts().0.apply_to_request_http1x(request);
        Ok(())
    }

    fn unsent(&self, permission: &'static str, error: &(dyn std::error::Error + 'static)) -> AwsError {
        KIND.fault(&self.name, permission, Fault::NoAnswer { detail: crate::http::chain(error) })
    }

    /// The error of an answer: S3 sends XML with a code and a message.
    fn refused(&self, permission: &'static str, answer: &Response<Bytes>) -> AwsError {
        let (status, body) = (answer.status(), String::from_utf8_lossy(answer.body()));
        let part = |name: &str| {
            let (_, rest) = body.split_once(&format!("<{name}>"))?;
            Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
        };
        let code = part("Code").unwrap_or_else(|| status.as_u16().to_string());
        let mut answer = ErrorMetadata::builder().code(code);
        if let Some(message) = part("Message") {
            answer = answer.message(message);
        }
        let answer = answer.build();
        KIND.fault(&self.name, permission, Fault::of(&answer))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sha2::{Digest as _, Sha256};
    use wiremock::ResponseTemplate;

    use super::*;
    use crate::aws::wire::{Asked, Wire, WireSdk as _, now};

    const PAGE: Object<'_> = Object {
        key: "properties/index.html",
        content_type: "text/html; charset=utf-8",
        cache_control: "max-age=60",
        text: "<p>",
    };

    async fn bucket(status: u16, body: &str) -> (Wire, Bucket) {
        let wire = Wire::answering_in_turn(&[(status, body)]).await;
        let bucket = Bucket::new(&wire.sdk(), "syncwatch-pages");
        (wire, bucket)
    }

    #[tokio::test]
    async fn object_is_stored_under_its_key_with_its_headers() {
        let (wire, bucket) = bucket(200, "").await;
        bucket.put(PAGE, now()).await.unwrap();
        let asked = wire.only_request().await;
        assert_eq!(asked.line(), "PUT /syncwatch-pages/properties/index.html");
        assert_eq!(asked.header("content-type"), PAGE.content_type);
        assert_eq!(asked.header("cache-control"), "max-age=60");
        let signed = asked.header("authorization");
        let scope = "AWS4-HMAC-SHA256 Credential=test/20261124/us-east-1/s3/aws4_request, SignedHeaders=";
        assert!(signed.starts_with(scope), "{signed}");
        let digest: String = Sha256::digest("<p>").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(asked.header("x-amz-content-sha256"), digest);
    }

    #[tokio::test]
    async fn absent_object_is_none_and_a_refused_store_names_the_remedy() {
        for status in [404, 403] {
            let (_wire, bucket) = bucket(status, "<Error><Code>NoSuchKey</Code></Error>").await;
            assert_eq!(bucket.get("properties/history.json", now()).await.unwrap(), None);
        }
        let texts = [
            (403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"),
            (404, "<Error><Code>NoSuchBucket</Code></Error>"),
            (503, "<Error><Code>SlowDown</Code></Error>"),
            (500, "oops"),
        ];
        let mut errors = Vec::new();
        for (status, body) in texts {
            let (_wire, bucket) = bucket(status, body).await;
            errors.push(bucket.put(PAGE, now()).await.unwrap_err().to_string());
        }
        insta::assert_snapshot!(errors.join("\n"));
    }

    #[tokio::test]
    async fn object_is_stored_unless_a_newer_one_is() {
        let [before, after] = ["2026-11-24T09:59:59Z", "2026-11-24T10:00:01Z"];
        let head =
            |at: &str| ResponseTemplate::new(200).insert_header("etag", "\"v\"").insert_header(MADE_AT, at);
        let only = |status| ResponseTemplate::new(status);
        // answers => whether it was stored, and the condition of each write
        let table = [
            (vec![only(404), only(200)], Some(true), vec!["if-none-match: *"]),
            (vec![head(before), only(200)], Some(true), vec!["if-match: \"v\""]),
            (vec![head(after)], Some(false), vec![]),
            // Another one was stored between the two calls.
            (vec![only(404), only(412), head(after)], Some(false), vec!["if-none-match: *"]),
            (vec![head(before), only(409), head(before), only(200)], Some(true), vec!["if-match: \"v\""; 2]),
            (vec![head(before), only(403)], None, vec!["if-match: \"v\""]),
            (vec![only(500)], None, vec![]),
            // It never ends well.
            (vec![only(404), only(412)], None, vec!["if-none-match: *"; ATTEMPTS]),
        ];
        for (case, (mut answers, stored, conditions)) in table.into_iter().enumerate() {
            if conditions.len() == ATTEMPTS {
                answers = answers.into_iter().cycle().take(2 * ATTEMPTS).collect();
            }
            let wire = Wire::in_turn(answers).await;
            let put = Bucket::new(&wire.sdk(), "syncwatch-pages").put_unless_older(PAGE, now()).await;
            assert_eq!(put.ok(), stored, "case {case}");
            let asked = wire.requests().await;
            let writes = asked.iter().filter(|asked| asked.line().starts_with("PUT"));
            let condition = |asked: &Asked| match (asked.header("if-match"), asked.header("if-none-match")) {
                (tag, "") => format!("if-match: {tag}"),
                (_, any) => format!("if-none-match: {any}"),
            };
            assert_eq!(writes.map(condition).collect::<Vec<_>>(), conditions, "case {case}");
        }
    }

    #[tokio::test]
    async fn link_is_signed_for_a_limited_time_and_sends_nothing() {
        let (wire, bucket) = bucket(200, &json!({}).to_string()).await;
        let link = bucket.link("properties/index.html", Duration::from_secs(3_600), now()).await.unwrap();
        let (address, query) = link.split_once('?').unwrap();
        assert!(address.ends_with("/syncwatch-pages/properties/index.html"), "{address}");
        assert!(
            query.contains("X-Amz-Expires=3600") && query.contains("X-Amz-Date=20261124T100000Z"),
            "{query}"
        );
        assert!(query.contains("X-Amz-Signature="), "{query}");
        assert!(wire.requests().await.is_empty());
    }

    /// The example of the S3 documentation, "Authenticating Requests: Using Query Parameters".
    #[tokio::test]
    async fn link_has_the_signature_of_the_published_example() {
        let config = aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::from_static("us-east-1"))
            .credentials_provider(aws_sdk_dynamodb::config::SharedCredentialsProvider::new(
                aws_sdk_dynamodb::config::Credentials::new(
                    "AKIAIOSFODNN7EXAMPLE",
                    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                    None,
                    None,
                    "test",
                ),
            ))
            .build();
        let sdk = Sdk { config, http: crate::http::client().unwrap() };
        let bucket = Bucket::new(&sdk, "examplebucket");
        let at: Timestamp = "2013-05-24T00:00:00Z".parse().unwrap();
        let link = bucket.link("test.txt", Duration::from_secs(86_400), at).await.unwrap();
        // The example's host has no region; ours does, so only the form is compared.
        assert!(link.starts_with("https://examplebucket.s3.us-east-1.amazonaws.com/test.txt?"), "{link}");
        assert!(
            link.contains("X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"),
            "{link}"
        );
    }
}
