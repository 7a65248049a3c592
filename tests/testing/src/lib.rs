//! Servers on this machine that stand in for AWS, Census and receivers in the tests of every package. They exchange HTTP
//! and JSON only: no type of `syncwatch` is used, so that the unit tests of `syncwatch` can depend on this package too.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::{Value, json};
use wiremock::matchers::{any, body_partial_json, body_string_contains, header, method, path};
use wiremock::{Mock, MockBuilder, MockServer, Request, Respond, ResponseTemplate};

/// A scripted server. Later answers take precedence over earlier ones.
pub struct Receiver {
    server: MockServer,
    priority: AtomicU8,
}

impl Receiver {
    /// Starts without answers.
    pub async fn start() -> Self {
        Self { server: MockServer::start().await, priority: AtomicU8::new(u8::MAX) }
    }

    /// Answers every request alike.
    pub async fn answering(status: u16, body: impl Into<Value>) -> Self {
        Self::in_turn(vec![text(status, body)]).await
    }

    /// Answers with these statuses and bodies in turn; the last one stays.
    pub async fn answering_in_turn(answers: &[(u16, impl ToString)]) -> Self {
        Self::in_turn(answers.iter().map(|(status, body)| text(*status, body.to_string())).collect()).await
    }

    /// Answers every request in turn; the last answer stays.
    pub async fn in_turn(answers: Vec<ResponseTemplate>) -> Self {
        let receiver = Self::start().await;
        receiver.answer_in_turn(|| Mock::given(any()), answers).await;
        receiver
    }

    /// The base URL of the server.
    pub fn uri(&self) -> String {
        self.server.uri()
    }

    /// Answers matching requests from now on.
    pub async fn answer(&self, requests: MockBuilder, answer: impl Respond + 'static) {
        let mock = requests.respond_with(answer).with_priority(self.next_priority());
        mock.mount(&self.server).await;
    }

    /// Answers matching requests in turn; the last answer stays.
    pub async fn answer_in_turn(
        &self,
        requests: impl Fn() -> MockBuilder,
        mut answers: Vec<ResponseTemplate>,
    ) {
        if let Some(last) = answers.pop() {
            self.answer(requests(), last).await;
        }
        self.answer_once(requests, answers).await;
    }

    /// Gives each of these answers once, in turn, and then the earlier ones again.
    pub async fn answer_once(&self, requests: impl Fn() -> MockBuilder, answers: Vec<ResponseTemplate>) {
        let priority = self.next_priority();
        for answer in answers {
            let mock = requests().respond_with(answer).up_to_n_times(1).with_priority(priority);
            mock.mount(&self.server).await;
        }
    }

    fn next_priority(&self) -> u8 {
        self.priority.fetch_sub(1, Ordering::Relaxed)
    }

    /// Answers an operation of AWS, such as `AmazonSQS.SendMessage`.
    pub async fn aws(&self, target: &str, code: u16, body: Value) {
        self.answer(of_aws(target), status(code).set_body_json(body)).await;
    }

    /// Holds a secret.
    pub async fn secret(&self, name: &str, value: &str) {
        self.secret_answer(name, 200, json!({ "Name": name, "SecretString": value })).await;
    }

    /// Answers each read of a secret.
    pub async fn secret_answer(&self, name: &str, code: u16, body: Value) {
        let reads = of_aws(SECRET_READ).and(body_partial_json(json!({ "SecretId": name })));
        self.answer(reads, status(code).set_body_json(body)).await;
    }

    /// Takes every publication to a topic.
    pub async fn publishes(&self) {
        self.answer(Mock::given(body_string_contains("Action=Publish")), published()).await;
    }

    /// Answers one method and path of a JSON API.
    pub async fn api(&self, verb: &str, at: &str, code: u16, body: Value) {
        self.answer(Mock::given(method(verb)).and(path(at)), status(code).set_body_json(body)).await;
    }

    /// The requests so far, in order.
    pub async fn requests(&self) -> Vec<Asked> {
        self.server.received_requests().await.unwrap_or_default().into_iter().map(Asked).collect()
    }

    /// The only request; fails if there were none or several.
    pub async fn only_request(&self) -> Asked {
        let mut requests = self.requests().await;
        assert_eq!(requests.len(), 1);
        requests.remove(0)
    }

    /// Method, path and query of each request.
    pub async fn lines(&self) -> Vec<String> {
        self.requests().await.iter().map(Asked::line).collect()
    }

    /// The bodies of all requests.
    pub async fn bodies(&self) -> Vec<Value> {
        self.requests().await.iter().map(Asked::json).collect()
    }

    /// The bodies that an operation of AWS was sent, such as `UpdateItem`.
    pub async fn sent(&self, operation: &str) -> Vec<Value> {
        let requests = self.requests().await;
        requests.iter().filter(|request| request.operation() == operation).map(Asked::json).collect()
    }
}

/// The target of reads of secrets.
pub const SECRET_READ: &str = "secretsmanager.GetSecretValue";

/// Requests to an operation of AWS.
pub fn of_aws(target: &str) -> MockBuilder {
    Mock::given(header("x-amz-target", target))
}

/// A received request.
pub struct Asked(Request);

impl Deref for Asked {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.0
    }
}

impl Asked {
    /// A header, empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The header by which AWS distinguishes operations.
    pub fn target(&self) -> &str {
        self.header("x-amz-target")
    }

    /// The operation of AWS, empty for a request without a target.
    pub fn operation(&self) -> &str {
        self.target().rsplit('.').next().unwrap_or_default()
    }

    /// The body, null if it is not JSON.
    pub fn json(&self) -> Value {
        self.body_json().unwrap_or_default()
    }

    /// The fields of a form.
    pub fn form(&self) -> BTreeMap<String, String> {
        let mut url = self.url.clone();
        url.set_query(std::str::from_utf8(&self.body).ok());
        url.query_pairs().into_owned().collect()
    }

    /// Method, path and query.
    pub fn line(&self) -> String {
        let query = self.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{} {}{query}", self.method, self.url.path())
    }
}

/// A 200 with JSON.
pub fn ok(body: Value) -> ResponseTemplate {
    status(200).set_body_json(body)
}

/// An answer without a body.
pub fn status(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}

/// An answer with a text, or with JSON as text, as its body.
pub fn text(code: u16, body: impl Into<Value>) -> ResponseTemplate {
    status(code).set_body_string(match body.into() {
        Value::String(text) => text,
        json => json.to_string(),
    })
}

/// The answer of SNS to a publication; the message gets the id `m-1`.
pub fn published() -> ResponseTemplate {
    text(200, "<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>")
}

/// The body with which AWS refuses an operation.
pub fn refused(code: &str) -> Value {
    json!({ "__type": code, "message": "no" })
}

/// The body with which `DynamoDB` answers a failed condition, with the item that was there.
pub fn condition_failed(item: Option<Value>) -> Value {
    let mut body = refused("com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException");
    if let (Some(item), Some(fields)) = (item, body.as_object_mut()) {
        fields.insert("Item".to_owned(), item);
    }
    body
}

/// The last page of a list of Census.
pub fn page(entries: &Value) -> Value {
    json!({ "status": "success", "data": entries, "pagination": { "next_page": null } })
}
