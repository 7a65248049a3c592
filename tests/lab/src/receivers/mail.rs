//! The mail that SNS would have sent.
//!
//! ministack takes a mail subscription and delivers nothing to it, and whoever subscribes by HTTP gets another body.
//! So a proxy stands between the functions and ministack's SNS, passes everything on unchanged, and keeps the
//! `email` body of each message on its way through: what is shown as mail is what was published.

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

use crate::loopback;

/// One mail: what SNS was given for subscribers by `email`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub subject: String,
    pub text: String,
}

/// What becomes of what is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publishing {
    /// It goes out, and is answered.
    Answers,
    /// It goes out, and its publisher waits for ever.
    LosesAnswers,
    /// It is taken and goes nowhere, and its publisher waits for ever.
    Hangs,
}

/// The proxy. Dropping it closes it.
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
    /// How many publishers wait, or waited until they died.
    waiting: watch::Sender<usize>,
}

impl MailTap {
    /// Starts a proxy before the SNS at `upstream`, on a free loopback port.
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

    /// Where it answers: the value for `AWS_ENDPOINT_URL_SNS`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The mails so far, oldest first. What hangs is none.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        locked(&self.state.mails).clone()
    }

    /// Decides what becomes of what is published from now on.
    pub fn set(&self, publishing: Publishing) {
        *locked(&self.state.publishing) = publishing;
    }

    /// Loses the answers of SNS, or no longer.
    pub fn lose_answers(&self, lost: bool) {
        self.set(if lost { Publishing::LosesAnswers } else { Publishing::Answers });
    }

    /// Waits until so many publishers waited for answers that never come.
    ///
    /// # Errors
    /// They do not come in time.
    pub async fn publishers_waiting(&self, count: usize, limit: Duration) -> Result<()> {
        let mut waiting = self.state.waiting.subscribe();
        let waited = tokio::time::timeout(limit, waiting.wait_for(|waiting| *waiting >= count)).await;
        waited.with_context(|| format!("{count} publishers do not come within {} s", limit.as_secs()))??;
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
    let mail = mail_in(&body);
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
    Some(Mail { subject: field("Subject").unwrap_or_default(), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mail_of_a_publish_request_is_its_email_body() {
        let form = b"Action=Publish&Subject=%5Berror%5D+late&MessageStructure=json&Message=%7B%22default%22%3A%22d%22%2C%22email%22%3A%22caf%C3%A9+%26+tea%22%7D";
        let mail = Mail { subject: "[error] late".to_owned(), text: "café & tea".to_owned() };
        assert_eq!(mail_in(form), Some(mail));
    }

    #[test]
    fn other_requests_hold_no_mail() {
        for form in [&b"Action=Subscribe"[..], b"", b"{}", b"Action=Publish&Message=plain", b"\xff"] {
            assert_eq!(mail_in(form), None);
        }
    }
}
