//! An HTTP subscriber of SNS: keeps notifications and confirmation tokens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::loopback;

/// One notification, as SNS posts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// When it arrived (wall time).
    pub received_at: Timestamp,
    pub subject: String,
    /// The body for this protocol, parsed as JSON.
    pub message: Value,
    pub attributes: Vec<(String, String)>,
}

impl Notification {
    /// A text field of the message's JSON; empty if it is missing.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.message.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// The subscriber. Dropping it stops it.
#[derive(Debug)]
pub struct SnsReceiver {
    url: String,
    inbox: Arc<Inbox>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Inbox {
    got: Mutex<Got>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Got {
    tokens: Vec<String>,
    notifications: Vec<Notification>,
}

impl SnsReceiver {
    /// Listens on a free loopback port.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> Result<Self> {
        let (listener, url) = loopback::bind().await?;
        let url = format!("{url}/sns");
        let inbox = Arc::new(Inbox::default());
        let router = Router::new().fallback(take).with_state(Arc::clone(&inbox));
        let server = loopback::serve(listener, router, "the SNS receiver");
        Ok(Self { url, inbox, server })
    }

    /// The URL for the subscription.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The notifications so far, oldest first.
    #[must_use]
    pub fn notifications(&self) -> Vec<Notification> {
        self.inbox.got().notifications.clone()
    }

    /// Waits for the token that confirms a subscription.
    ///
    /// # Errors
    /// No token arrived within `limit`.
    pub async fn token(&self, limit: Duration) -> Result<String> {
        self.wait(limit, "a SubscriptionConfirmation", |got| got.tokens.last().cloned()).await
    }

    /// Waits for the first wanted notification from position `from` on; returns its position and the notification.
    ///
    /// # Errors
    /// No such notification arrived within `limit`.
    pub async fn wait_for(
        &self,
        from: usize,
        limit: Duration,
        what: &str,
        wanted: impl Fn(&Notification) -> bool,
    ) -> Result<(usize, Notification)> {
        self.wait(limit, what, |got| {
            let mut candidates = got.notifications.iter().enumerate().skip(from);
            candidates.find(|(_, notification)| wanted(notification)).map(|(at, found)| (at, found.clone()))
        })
        .await
    }

    async fn wait<T>(&self, limit: Duration, what: &str, look: impl Fn(&Got) -> Option<T>) -> Result<T> {
        let waited = tokio::time::timeout(limit, async {
            loop {
                let news = self.inbox.news.notified();
                tokio::pin!(news);
                // Registered before the check, so that no arrival in between is missed.
                news.as_mut().enable();
                if let Some(found) = look(&self.inbox.got()) {
                    return found;
                }
                news.await;
            }
        });
        match waited.await {
            Ok(found) => Ok(found),
            Err(_) => bail!("{what} did not arrive within {} s", limit.as_secs()),
        }
    }
}

impl Inbox {
    fn got(&self) -> std::sync::MutexGuard<'_, Got> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SnsReceiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(inbox): State<Arc<Inbox>>, body: Bytes) {
    let Ok(envelope) = serde_json::from_slice::<Value>(&body) else {
        tracing::warn!("SNS receiver got a body that is not JSON");
        return;
    };
    let text = |name: &str| envelope.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    match text("Type").as_str() {
        "SubscriptionConfirmation" => inbox.got().tokens.push(text("Token")),
        "Notification" => {
            let attributes = envelope.get("MessageAttributes").and_then(Value::as_object);
            let value_of = |attribute: &Value| {
                attribute.get("Value").and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            let attributes =
                attributes.into_iter().flatten().map(|(name, attribute)| (name.clone(), value_of(attribute)));
            let notification = Notification {
                received_at: Timestamp::now(),
                subject: text("Subject"),
                message: serde_json::from_str(&text("Message")).unwrap_or_default(),
                attributes: attributes.collect(),
            };
            inbox.got().notifications.push(notification);
        }
        _ => {}
    }
    inbox.news.notify_waiters();
}
