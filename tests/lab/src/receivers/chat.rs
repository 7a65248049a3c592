//! A chat's incoming webhook that works like Slack's: JSON with a `text` and optional `blocks`, within the published limits.
//!
//! Slack's limit of about one message per second is not simulated: refusals are scripted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::{Router, routing};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::loopback;

/// The path of the webhook, its only secret.
const PATH: &str = "/services/T0000LAB/B0000LAB/lab-secret";

// Slack's block kit reference; lengths are in characters.
const MOST_BLOCKS: usize = 50;
const LONGEST_HEADER: usize = 150;
const LONGEST_SECTION: usize = 3_000;
const MOST_FIELDS: usize = 10;
const LONGEST_FIELD: usize = 2_000;
const MOST_CONTEXT_ELEMENTS: usize = 10;
const MOST_ACTIONS: usize = 25;

/// An accepted message.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatMessage {
    /// Shown in notifications, and where blocks are not supported.
    pub text: String,
    /// Empty if the message has only text.
    pub blocks: Vec<Value>,
    pub body: Value,
}

/// A refusal of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatRefusal {
    /// 400 `invalid_payload`: the message will never be accepted.
    InvalidPayload,
    /// 404 `no_service`: the webhook was revoked.
    NoService,
    /// 429 with `Retry-After`, in seconds.
    RateLimited { retry_after: u32 },
    /// 500.
    Broken,
}

/// The service. Dropping it stops it.
#[derive(Debug)]
pub struct Chat {
    url: String,
    books: Arc<Mutex<Books>>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Books {
    messages: Vec<ChatMessage>,
    refused: usize,
    /// The next answers, before a message is accepted.
    refusals: VecDeque<ChatRefusal>,
}

impl Chat {
    /// Listens on a free loopback port.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> Result<Self> {
        let (listener, url) = loopback::bind().await?;
        let books = Arc::new(Mutex::new(Books::default()));
        let router = Router::new()
            .route(PATH, routing::post(take))
            .fallback(async || answer(404, "no_service"))
            .with_state(Arc::clone(&books));
        let server = loopback::serve(listener, router, "the simulated chat");
        Ok(Self { url: format!("{url}{PATH}"), books, server })
    }

    /// The URL of the webhook. A secret: it is enough to post.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The accepted messages, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<ChatMessage> {
        lock(&self.books).messages.clone()
    }

    /// The number of refused requests, by script or for their content.
    #[must_use]
    pub fn refused(&self) -> usize {
        lock(&self.books).refused
    }

    /// Refuses the next messages with these answers, in order.
    pub fn refuse_next(&self, refusals: &[ChatRefusal]) {
        lock(&self.books).refusals.extend(refusals.iter().cloned());
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(State(books): State<Arc<Mutex<Books>>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut books = lock(&books);
    let response = match books.refusals.pop_front() {
        Some(ChatRefusal::InvalidPayload) => answer(400, "invalid_payload"),
        Some(ChatRefusal::NoService) => answer(404, "no_service"),
        Some(ChatRefusal::RateLimited { retry_after }) => {
            let mut response = answer(429, "rate_limited");
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
            response
        }
        Some(ChatRefusal::Broken) => answer(500, "internal_error"),
        None => match read(&headers, &body) {
            Ok(message) => {
                books.messages.push(message);
                return answer(200, "ok");
            }
            Err(why) => {
                // The service does not name the violated rule; the lab's log does.
                tracing::warn!(%why, "simulated chat refused a message");
                answer(400, "invalid_payload")
            }
        },
    };
    books.refused += 1;
    response
}

fn answer(status: u16, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<ChatMessage, String> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Err(format!("the content type is `{kind}`, not application/json"));
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
    // With blocks the service needs no text, but notifications do.
    let text = text_at(&body, "/text").filter(|text| !text.trim().is_empty());
    let text = text.ok_or("the message has no `text`")?.to_owned();
    let blocks = match body.get("blocks") {
        None => Vec::new(),
        Some(Value::Array(blocks)) => blocks.clone(),
        Some(_) => return Err("`blocks` is not an array".to_owned()),
    };
    if blocks.len() > MOST_BLOCKS {
        return Err(format!("{} blocks; {MOST_BLOCKS} are allowed", blocks.len()));
    }
    for (index, block) in blocks.iter().enumerate() {
        check_block(block).map_err(|why| format!("block {index}: {why}"))?;
    }
    Ok(ChatMessage { text, blocks, body })
}

fn check_block(block: &Value) -> Result<(), String> {
    match text_at(block, "/type") {
        Some("header") => {
            if text_at(block, "/text/type") != Some("plain_text") {
                return Err("the text of a header must be `plain_text`".to_owned());
            }
            check_text("header", block.get("text"), LONGEST_HEADER)
        }
        Some("section") => {
            let fields = array_at(block, "fields");
            if fields.len() > MOST_FIELDS {
                return Err(format!("{} fields; {MOST_FIELDS} are allowed", fields.len()));
            }
            for field in fields {
                check_text("field", Some(field), LONGEST_FIELD)?;
            }
            match block.get("text") {
                None if !fields.is_empty() => Ok(()),
                text => check_text("section", text, LONGEST_SECTION),
            }
        }
        Some("context") => check_count("context", block, MOST_CONTEXT_ELEMENTS),
        Some("actions") => check_count("actions", block, MOST_ACTIONS),
        Some("divider" | "image" | "rich_text") => Ok(()),
        other => Err(format!("unknown type {other:?}")),
    }
}

fn check_text(what: &str, text: Option<&Value>, longest: usize) -> Result<(), String> {
    let text = text.ok_or_else(|| format!("the {what} has no text"))?;
    if !matches!(text_at(text, "/type"), Some("plain_text" | "mrkdwn")) {
        return Err(format!("the text of the {what} is neither `plain_text` nor `mrkdwn`"));
    }
    match text_at(text, "/text").unwrap_or_default().chars().count() {
        0 => Err(format!("the text of the {what} is empty")),
        length if length > longest => {
            Err(format!("the {what} has {length} characters; {longest} are allowed"))
        }
        _ => Ok(()),
    }
}

fn check_count(what: &str, block: &Value, most: usize) -> Result<(), String> {
    let count = array_at(block, "elements").len();
    if (1..=most).contains(&count) {
        Ok(())
    } else {
        Err(format!("{count} elements of {what}; 1 to {most} are allowed"))
    }
}

fn text_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn array_at<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn post(url: &str, message: &Value) -> (u16, String, Option<String>) {
        let http = syncwatch::http::client().unwrap();
        let request = http.post(url).header("Content-Type", "application/json").body(message.to_string());
        let answer = request.send().await.unwrap();
        let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), answer.text().await.unwrap(), retry_after)
    }

    fn section(length: usize) -> Value {
        json!({ "type": "section", "text": { "type": "mrkdwn", "text": "é".repeat(length) } })
    }

    fn heading(length: usize) -> Value {
        json!({ "type": "header", "text": { "type": "plain_text", "text": "é".repeat(length) } })
    }

    #[tokio::test]
    async fn message_within_the_limits_is_accepted_and_kept() {
        let chat = Chat::start().await.unwrap();
        let mut blocks = vec![json!({ "type": "divider" }); 46];
        let context =
            json!({ "type": "context", "elements": vec![json!({ "type": "mrkdwn", "text": "c" }); 10] });
        let field = json!({ "type": "mrkdwn", "text": "f".repeat(2_000) });
        let fields = json!({ "type": "section", "fields": vec![field; 10] });
        blocks.extend([heading(150), section(3_000), context, fields]);
        let message = json!({ "text": "late", "blocks": blocks });
        assert_eq!(post(chat.url(), &message).await, (200, "ok".to_owned(), None));
        assert_eq!(post(chat.url(), &json!({ "text": "only text" })).await.0, 200);
        let messages = chat.messages();
        assert_eq!((messages[0].text.as_str(), messages[0].blocks.len()), ("late", 50));
        assert_eq!(messages[1].blocks, Vec::<Value>::new());
        assert_eq!(chat.refused(), 0);
    }

    #[tokio::test]
    async fn message_beyond_the_published_limits_is_refused() {
        let chat = Chat::start().await.unwrap();
        let with = |block: Value| json!({ "text": "late", "blocks": [block] });
        let mrkdwn = json!({ "type": "header", "text": { "type": "mrkdwn", "text": "*bold*" } });
        for wrong in [
            json!("late"),
            json!({}),
            json!({ "text": " " }),
            json!({ "blocks": [section(1)] }),
            json!({ "text": "late", "blocks": {} }),
            json!({ "text": "late", "blocks": vec![json!({ "type": "divider" }); 51] }),
            with(heading(151)),
            with(heading(0)),
            with(mrkdwn),
            with(section(3_001)),
            with(json!({ "type": "section" })),
            with(json!({ "type": "section", "fields": vec![json!({ "type": "mrkdwn", "text": "f" }); 11] })),
            with(json!({ "type": "context", "elements": [] })),
            with(json!({ "type": "poem" })),
        ] {
            assert_eq!(post(chat.url(), &wrong).await, (400, "invalid_payload".to_owned(), None), "{wrong}");
        }
        assert_eq!(chat.messages(), []);
        assert_eq!(chat.refused(), 14);
    }

    #[tokio::test]
    async fn scripted_refusals_come_in_order_and_wrong_path_is_404() {
        let chat = Chat::start().await.unwrap();
        let message = json!({ "text": "late" });
        chat.refuse_next(&[
            ChatRefusal::RateLimited { retry_after: 3 },
            ChatRefusal::NoService,
            ChatRefusal::Broken,
        ]);
        let limited = (429, "rate_limited".to_owned(), Some("3".to_owned()));
        assert_eq!(post(chat.url(), &message).await, limited);
        assert_eq!(post(chat.url(), &message).await, (404, "no_service".to_owned(), None));
        assert_eq!(post(chat.url(), &message).await.0, 500);
        assert_eq!(post(chat.url(), &message).await.0, 200);
        let elsewhere = chat.url().replace("lab-secret", "guess");
        assert_eq!(post(&elsewhere, &message).await.0, 404);
        assert_eq!(chat.messages().len(), 1);
    }
}
