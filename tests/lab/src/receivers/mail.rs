//! The mail that SNS and SES would send.
//!
//! ministack accepts a mail subscription but delivers nothing to it, and an HTTP subscriber gets another body. So a proxy
//! between the functions and ministack's SNS forwards everything unchanged and keeps the `email` body of each message: the
//! mail that the lab shows is the text that was published. It does the same for SES, whose mails ministack keeps to itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::aws::SES_PATH;
use crate::loopback;

/// One mail: the text that SNS got for `email` subscribers, or both parts that SES got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub subject: String,
    pub text: String,
    /// Of a mail by SES.
    pub html: Option<String>,
}

/// The behaviour of the proxy on a publish request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publishing {
    /// The message is sent, and the publisher gets its answer.
    Answers,
    /// The message is sent, and the publisher waits forever.
    LosesAnswers,
    /// The message is dropped, and the publisher waits forever.
    Hangs,
}

/// The proxy. Dropping it stops it.
#[derive(Debug)]
pub struct MailTap {
    url: String,
    state: Arc<Tap>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Tap {
    upstream: String,
    http: reqwest::Client,
    mails: Mutex<Vec<Mail>>,
    publishing: Mutex<Publishing>,
    /// The number of publishers that wait, or waited until they were killed.
    waiting: watch::Sender<usize>,
}

impl MailTap {
    /// Starts a proxy for the SNS at `upstream`, on a free loopback port.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(upstream: &str) -> Result<Self> {
        let http = syncwatch::http::client()?;
        let state = Arc::new(Tap {
            upstream: upstream.to_owned(),
            http,
            mails: Mutex::default(),
            publishing: Mutex::new(Publishing::Answers),
            waiting: watch::Sender::new(0),
        });
        let (listener, url) = loopback::bind().await?;
        let router = Router::new().fallback(pass_on).with_state(Arc::clone(&state));
        let server = loopback::serve(listener, router, "the mail tap");
        Ok(Self { url, state, server })
    }

    /// The base URL, for `AWS_ENDPOINT_URL_SNS`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The mails so far, oldest first, without the dropped ones.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        locked(&self.state.mails).clone()
    }

    /// Sets the behaviour for later publish requests.
    pub fn set(&self, publishing: Publishing) {
        *locked(&self.state.publishing) = publishing;
    }

    /// Starts or stops losing the answers of SNS.
    pub fn lose_answers(&self, lost: bool) {
        self.set(if lost { Publishing::LosesAnswers } else { Publishing::Answers });
    }

    /// Waits until this many publishers have waited for an answer that never comes.
    ///
    /// # Errors
    /// There are fewer within `limit`.
    pub async fn publishers_waiting(&self, count: usize, limit: Duration) -> Result<()> {
        let mut waiting = self.state.waiting.subscribe();
        let waited = tokio::time::timeout(limit, waiting.wait_for(|waiting| *waiting >= count)).await;
        waited.with_context(|| {
            format!("fewer than {count} publishers waited within {} s", limit.as_secs())
        })??;
        Ok(())
    }
}

impl Drop for MailTap {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn pass_on(
    State(tap): State<Arc<Tap>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mail = if uri.path() == SES_PATH { mail_by_ses(&body) } else { mail_in(&body) };
    let publishing = if mail.is_some() { *locked(&tap.publishing) } else { Publishing::Answers };
    if publishing == Publishing::Hangs {
        return never(&tap).await;
    }
    if let Some(mail) = mail {
        locked(&tap.mails).push(mail);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let answer =
        loopback::pass_on(&tap.http, method, &format!("{}{path}", tap.upstream), &headers, body).await;
    match publishing {
        Publishing::Answers => answer,
        Publishing::LosesAnswers | Publishing::Hangs => never(&tap).await,
    }
}

async fn never(tap: &Tap) -> Response {
    tap.waiting.send_modify(|waiting| *waiting += 1);
    std::future::pending().await
}

/// The mail in a `Publish` request, which is a form.
fn mail_in(form: &[u8]) -> Option<Mail> {
    let form = std::str::from_utf8(form).ok()?;
    let mut url = reqwest::Url::parse("http://form/").ok()?;
    url.set_query(Some(form));
    let field =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    if field("Action")? != "Publish" || field("MessageStructure")? != "json" {
        return None;
    }
    let bodies: Value = serde_json::from_str(&field("Message")?).ok()?;
    let text = bodies.get("email").or_else(|| bodies.get("default"))?.as_str()?.to_owned();
    Some(Mail { subject: field("Subject").unwrap_or_default(), text, html: None })
}

/// The mail in a `SendEmail` request of SES's API v2.
fn mail_by_ses(body: &[u8]) -> Option<Mail> {
    let request: Value = serde_json::from_slice(body).ok()?;
    let simple = request.pointer("/Content/Simple")?;
    let part = |at: &str| Some(simple.pointer(at)?.as_str()?.to_owned());
    let html = part("/Body/Html/Data");
    Some(Mail { subject: part("/Subject/Data")?, text: part("/Body/Text/Data")?, html })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_of_a_publish_request_is_its_email_body() {
        let form = b"Action=Publish&Subject=%5Berror%5D+late&MessageStructure=json&Message=%7B%22default%22%3A%22d%22%2C%22email%22%3A%22caf%C3%A9+%26+tea%22%7D";
        let (subject, text) = ("[error] late".to_owned(), "café & tea".to_owned());
        let mail = Mail { subject, text, html: None };
        assert_eq!(mail_in(form), Some(mail));
    }

    #[test]
    fn other_requests_have_no_mail() {
        for form in [&b"Action=Subscribe"[..], b"", b"{}", b"Action=Publish&Message=plain", b"\xff"] {
            assert_eq!(mail_in(form), None);
        }
    }
}
