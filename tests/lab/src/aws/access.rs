//! The permissions of the functions' roles.
//!
//! ministack checks no permissions. So a gate between it and the functions forwards the calls that `infra/functions.json`
//! permits, refuses the rest as AWS does, and records both. Terraform grants permissions from the same lines of the table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::functions_table::FunctionsTable;
use crate::loopback;

/// A call to AWS, in the terms of a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The IAM action, such as `sns:Publish`.
    pub action: String,
    /// The name in AWS of the resource.
    pub resource: String,
}

/// The gate. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Gate {
    url: String,
    state: Arc<Rules>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Rules {
    upstream: String,
    /// Where SNS and SES are.
    mailers: String,
    http: reqwest::Client,
    allowed: Mutex<Calls>,
    used: Mutex<Calls>,
    refused: Mutex<Calls>,
}

/// The path of `SendEmail` in SES's API v2.
pub(crate) const SES_PATH: &str = "/v2/email/outbound-emails";

/// Calls by function.
pub(super) type Calls = BTreeMap<String, BTreeSet<Call>>;

impl Gate {
    /// Starts it for the AWS at `upstream`, with an SNS and an SES that may be elsewhere.
    pub(super) async fn start(table: &FunctionsTable, upstream: &str, mailers: &str) -> Result<Self> {
        let mut allowed = BTreeMap::new();
        for (name, function) in &table.functions {
            let mut calls = BTreeSet::new();
            for permission in &function.permissions {
                let resource = table.resource_name(&permission.resource)?.to_owned();
                calls.insert(Call { action: permission.action.clone(), resource });
            }
            allowed.insert(name.clone(), calls);
        }
        let state = Arc::new(Rules {
            upstream: upstream.to_owned(),
            mailers: mailers.to_owned(),
            http: syncwatch::http::client()?,
            allowed: Mutex::new(allowed),
            used: Mutex::default(),
            refused: Mutex::default(),
        });
        let (listener, url) = loopback::bind().await?;
        let router = Router::new().fallback(judge).with_state(Arc::clone(&state));
        let server = loopback::serve(listener, router, "the gate before AWS");
        Ok(Self { url, state, server })
    }

    /// The AWS endpoint for this function.
    pub(super) fn url_for(&self, function: &str) -> String {
        format!("{}/{function}", self.url)
    }

    /// Takes an action from the role of a function, or gives it back, as a changed policy does.
    pub(super) fn permit(&self, function: &str, call: Call, permitted: bool) {
        let mut allowed = self.state.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = allowed.entry(function.to_owned()).or_default();
        if permitted {
            calls.insert(call)
        } else {
            calls.remove(&call)
        };
    }

    /// The permitted calls of each function so far.
    pub(super) fn used(&self) -> Calls {
        self.state.used.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The refused calls of each function so far.
    pub(super) fn refused(&self) -> Calls {
        self.state.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn judge(
    State(rules): State<Arc<Rules>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // The first part of the path names the function; the SDK appends its own path.
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = path.strip_prefix('/').unwrap_or(path);
    let (function, rest) = path.find(['/', '?']).map_or((path, ""), |at| path.split_at(at));
    let calls =
        of_bucket(&method, rest, &headers).map_or_else(|| calls(rest, &headers, &body), |call| vec![call]);
    let refused = {
        let allowed = rules.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = allowed.get(function);
        calls.iter().find(|call| !allowed.is_some_and(|allowed| allowed.contains(call)))
    };
    if let Some(call) = refused {
        remember(&rules.refused, function, [call.clone()]);
        return denied(function, call);
    }
    let Some(first) = calls.first() else {
        return answer(StatusCode::BAD_REQUEST, "text/plain", "unknown call".to_owned());
    };
    let by_mailer = ["sns:", "ses:"].iter().any(|service| first.action.starts_with(service));
    let upstream = if by_mailer { &rules.mailers } else { &rules.upstream };
    let slash = if rest.starts_with('/') { "" } else { "/" };
    let url = format!("{upstream}{slash}{rest}");
    let passed = loopback::pass_on(&rules.http, method, &url, &headers, body).await;
    remember(&rules.used, function, calls);
    passed
}

fn remember(book: &Mutex<Calls>, function: &str, calls: impl IntoIterator<Item = Call>) {
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    book.entry(function.to_owned()).or_default().extend(calls);
}

/// The calls of a request; empty if they cannot be recognised.
fn calls(path: &str, headers: &HeaderMap, body: &[u8]) -> Vec<Call> {
    if path == SES_PATH {
        // The lab has one identity.
        return vec![Call { action: "ses:SendEmail".to_owned(), resource: "syncwatch-mail".to_owned() }];
    }
    // The pattern of the table is all that a role names.
    let own = |action: &str| vec![Call { action: action.to_owned(), resource: "syncwatch-*".to_owned() }];
    if path.starts_with("/2015-03-31/functions/") && path.ends_with("/configuration") {
        return own("lambda:GetFunctionConfiguration");
    }
    if path.ends_with("/operation/DescribeAlarms") {
        return own("cloudwatch:DescribeAlarms");
    }
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let Some((service, operation)) = target.and_then(|target| target.split_once('.')) else {
        return of_topic(body).into_iter().collect();
    };
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| request.get(key).and_then(Value::as_str).map(str::to_owned);
    let (service, resources) = match service {
        "secretsmanager" => ("secretsmanager", text("SecretId").into_iter().collect()),
        "AmazonSQS" => ("sqs", text("QueueUrl").as_deref().and_then(last_part).into_iter().collect()),
        service if service.starts_with("DynamoDB_") && operation == "TransactWriteItems" => {
            return transaction(&request);
        }
        service if service.starts_with("DynamoDB_") => {
            let batch = request.get("RequestItems").and_then(Value::as_object);
            let tables: Vec<String> = batch.map_or_else(
                || text("TableName").into_iter().collect(),
                |tables| tables.keys().cloned().collect(),
            );
            ("dynamodb", tables)
        }
        _ => return Vec::new(),
    };
    let action = format!("{service}:{operation}");
    resources.into_iter().map(|resource| Call { action: action.clone(), resource }).collect()
}

/// The calls of a transaction, which needs the permission of each part and none for itself (DynamoDB Developer Guide,
/// "Using IAM with DynamoDB transactions").
fn transaction(request: &Value) -> Vec<Call> {
    let parts = request.get("TransactItems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let parts = parts.iter().filter_map(Value::as_object).flatten();
    let calls = parts.filter_map(|(kind, part)| {
        let action = match kind.as_str() {
            "ConditionCheck" => "dynamodb:ConditionCheckItem",
            "Delete" => "dynamodb:DeleteItem",
            "Put" => "dynamodb:PutItem",
            "Update" => "dynamodb:UpdateItem",
            _ => return None,
        };
        let resource = part.get("TableName")?.as_str()?.to_owned();
        Some(Call { action: action.to_owned(), resource })
    });
    calls.collect()
}

/// The call of a request to S3, which its signature names.
fn of_bucket(method: &Method, path: &str, headers: &HeaderMap) -> Option<Call> {
    let signed = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let action = if method == Method::PUT { "s3:PutObject" } else { "s3:GetObject" };
    let bucket = path.trim_start_matches('/').split('/').next()?.to_owned();
    signed.contains("/s3/aws4_request").then(|| Call { action: action.to_owned(), resource: bucket })
}

/// The call of an SNS request; only SNS requests are forms.
fn of_topic(form: &[u8]) -> Option<Call> {
    let mut url = reqwest::Url::parse("http://form/").ok()?;
    url.set_query(Some(std::str::from_utf8(form).ok()?));
    let field =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    // Tag operations name it `ResourceArn`.
    let arn = field("TopicArn").or_else(|| field("ResourceArn"))?;
    Some(Call { action: format!("sns:{}", field("Action")?), resource: arn.rsplit(':').next()?.to_owned() })
}

fn last_part(url: &str) -> Option<String> {
    url.rsplit('/').next().map(str::to_owned)
}

/// Refuses a call as AWS does, in the format of the request's protocol.
fn denied(function: &str, call: &Call) -> Response {
    let Call { action, resource } = call;
    let words = format!(
        "User: arn:aws:sts::000000000000:assumed-role/syncwatch-{function}/lab is not authorized to perform: {action} \
         on resource: {resource} because no identity-based policy allows the {action} action"
    );
    if action.starts_with("sns:") {
        let xml = format!(
            "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
             <Code>AuthorizationError</Code><Message>{words}</Message></Error><RequestId>lab</RequestId></ErrorResponse>"
        );
        return answer(StatusCode::FORBIDDEN, "text/xml", xml);
    }
    if action.starts_with("s3:") {
        let xml = format!("<Error><Code>AccessDenied</Code><Message>{words}</Message></Error>");
        return answer(StatusCode::FORBIDDEN, "application/xml", xml);
    }
    let body = json!({ "__type": "AccessDeniedException", "message": words, "Message": words });
    answer(StatusCode::BAD_REQUEST, "application/x-amz-json-1.1", body.to_string())
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: Option<&str>, body: &str) -> Vec<String> {
        let mut headers = HeaderMap::new();
        if let Some(target) = target {
            headers.insert("x-amz-target", target.parse().unwrap());
        }
        let calls = calls("", &headers, body.as_bytes());
        calls.into_iter().map(|call| format!("{} {}", call.action, call.resource)).collect()
    }

    #[test]
    fn calls_are_recognised_by_their_protocol() {
        let table = [
            (Some("DynamoDB_20120810.GetItem"), r#"{"TableName":"t"}"#, vec!["dynamodb:GetItem t"]),
            (
                Some("DynamoDB_20120810.BatchGetItem"),
                r#"{"RequestItems":{"t":{},"u":{}}}"#,
                vec!["dynamodb:BatchGetItem t", "dynamodb:BatchGetItem u"],
            ),
            (
                Some("DynamoDB_20120810.TransactWriteItems"),
                r#"{"TransactItems":[{"Update":{"TableName":"t"}},{"Put":{"TableName":"u"}}]}"#,
                vec!["dynamodb:UpdateItem t", "dynamodb:PutItem u"],
            ),
            (
                Some("secretsmanager.GetSecretValue"),
                r#"{"SecretId":"syncwatch/census-token"}"#,
                vec!["secretsmanager:GetSecretValue syncwatch/census-token"],
            ),
            (
                Some("AmazonSQS.SendMessage"),
                r#"{"QueueUrl":"http://127.0.0.1:1/000000000000/q"}"#,
                vec!["sqs:SendMessage q"],
            ),
            (
                None,
                "Action=Publish&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A000000000000%3At",
                vec!["sns:Publish t"],
            ),
            (
                None,
                "Action=ListTagsForResource&ResourceArn=arn%3Aaws%3Asns%3Aus-east-1%3A000000000000%3At",
                vec!["sns:ListTagsForResource t"],
            ),
            (Some("DynamoDB_20120810.GetItem"), "not JSON", vec![]),
            (Some("Logs_20140328.PutLogEvents"), "{}", vec![]),
            (None, "Action=Publish", vec![]),
        ];
        for (target, body, expected) in table {
            assert_eq!(asked(target, body), expected, "{target:?} {body}");
        }
        let mut signed = HeaderMap::new();
        let scope = "AWS4-HMAC-SHA256 Credential=test/20261124/us-east-1/s3/aws4_request, Signature=0";
        signed.insert(header::AUTHORIZATION, scope.parse().unwrap());
        for (method, action) in [(Method::PUT, "s3:PutObject"), (Method::GET, "s3:GetObject")] {
            let call = Call { action: action.to_owned(), resource: "syncwatch-pages".to_owned() };
            assert_eq!(of_bucket(&method, "/syncwatch-pages/p/index.html", &signed), Some(call));
            assert_eq!(of_bucket(&method, "/syncwatch-pages/p/index.html", &HeaderMap::new()), None);
        }
        let mail = Call { action: "ses:SendEmail".to_owned(), resource: "syncwatch-mail".to_owned() };
        assert_eq!(calls(SES_PATH, &HeaderMap::new(), b"{}"), [mail]);
        for (path, action) in [
            ("/2015-03-31/functions/alert-relay/configuration", "lambda:GetFunctionConfiguration"),
            ("/service/GraniteServiceVersion20100801/operation/DescribeAlarms", "cloudwatch:DescribeAlarms"),
        ] {
            let own = Call { action: action.to_owned(), resource: "syncwatch-*".to_owned() };
            assert_eq!(calls(path, &HeaderMap::new(), b""), [own]);
        }
    }

    #[tokio::test]
    async fn granted_calls_pass_and_others_are_refused_as_by_aws() {
        let (listener, upstream) = loopback::bind().await.unwrap();
        let passed = Router::new().fallback(|uri: Uri| async move { format!("passed {uri}") });
        let _upstream = loopback::serve(listener, passed, "the upstream of the gate");
        let table = FunctionsTable::read(&FunctionsTable::default_path()).unwrap();
        let gate = Gate::start(&table, &upstream, &upstream).await.unwrap();
        let ask = async |function: &str, target: &str, body: &str| {
            let request = syncwatch::http::client().unwrap().post(gate.url_for(function) + "/");
            let request = if target.is_empty() { request } else { request.header("X-Amz-Target", target) };
            let answer = request.body(body.to_owned()).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        let get = ("DynamoDB_20120810.GetItem", r#"{"TableName":"syncwatch-incidents"}"#);
        let publish = "Action=Publish&TopicArn=arn:aws:sns:us-east-1:000000000000:syncwatch-notices";

        assert_eq!(ask("webhook-worker", get.0, get.1).await, (200, "passed /".to_owned()));
        for (function, status, error) in
            [("webhook-intake", 400, "AccessDeniedException"), ("unknown", 400, "AccessDeniedException")]
        {
            let (found, text) = ask(function, get.0, get.1).await;
            assert_eq!(found, status, "{function}");
            assert!(text.contains(error) && text.contains("dynamodb:GetItem"), "{function}: {text}");
        }
        let (status, text) = ask("webhook-intake", "", publish).await;
        assert_eq!(status, 403);
        assert!(text.contains("<Code>AuthorizationError</Code>") && text.contains("sns:Publish"), "{text}");
        assert_eq!(ask("webhook-worker", "Other_1.Thing", "{}").await.0, 400);

        let call = Call { action: "dynamodb:GetItem".to_owned(), resource: "syncwatch-incidents".to_owned() };
        assert_eq!(gate.used(), BTreeMap::from([("webhook-worker".to_owned(), BTreeSet::from([call]))]));
        assert_eq!(gate.refused().keys().collect::<Vec<_>>(), ["unknown", "webhook-intake"]);
        assert_eq!(gate.refused()["webhook-intake"].len(), 2);
    }
}
