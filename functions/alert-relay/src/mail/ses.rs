//! The client of Amazon SES: one `SendEmail` of its API v2 for all recipients of a channel.
//!
//! A call that SES answers with an error sends nothing (SES developer guide, "Amazon SES email sending errors"). After a 5xx a
//! retry may duplicate the mail (the same guide, "API error codes"), and so it may after no answer. SES sends no `Retry-After`;
//! in its sandbox it takes a mail a second, and 200 a day (the same guide, "Service quotas").
//!
//! SES replaces `Message-ID` (the same guide, "Header fields"), so no mail can name the one before it. Instead, all mails of an
//! incident refer to one id that no mail has, by which clients that follow RFC 5256 group them. Gmail also compares subjects, and
//! may show each mail alone.

use std::error::Error as StdError;
use std::iter;

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::Builder;
use aws_sdk_sesv2::config::http::HttpResponse;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::config::timeout::TimeoutConfig;
use aws_sdk_sesv2::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader};
use syncwatch::aws::Sdk;
use syncwatch::http::chain;
use syncwatch::pipeline::{Addresses, Channel};

use super::Mail;
use crate::post::{ErrorKind, Patience, PostError};

/// Sends mails by SES.
#[derive(Debug, Clone)]
pub struct Ses {
    client: Client,
    patience: Patience,
}

impl Ses {
    /// Creates a client in the function's account and region.
    pub fn new(sdk: &Sdk, patience: Patience) -> Self {
        let limits = TimeoutConfig::builder().operation_attempt_timeout(patience.attempt).build();
        // The SDK would retry calls that may have been accepted.
        let config = Builder::from(sdk.config()).retry_config(RetryConfig::disabled()).timeout_config(limits);
        Self { client: Client::from_conf(config.build()), patience }
    }

    /// Sends a mail to the recipients of a channel. Retries within the patience if SES surely did not accept it.
    pub async fn send(&self, channel: &Channel, addresses: &Addresses, mail: &Mail) -> Result<(), PostError> {
        let attempts = async {
            let mut waits = self.patience.backoff.waits();
            loop {
                let Err(kind) = self.attempt(addresses, mail).await else { return Ok(()) };
                let not_taken = kind.clone().of(channel).is_surely_not_taken();
                match waits.next().filter(|_| kind.is_transient() && not_taken) {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(kind),
                }
            }
        };
        let late = || ErrorKind::NoAnswer { detail: "no time left".to_owned(), unsent: false };
        let sent = tokio::time::timeout(self.patience.notice, attempts).await;
        sent.unwrap_or_else(|_| Err(late())).map_err(|kind| kind.of(channel))
    }

    async fn attempt(&self, addresses: &Addresses, mail: &Mail) -> Result<(), ErrorKind> {
        let Addresses { from, to } = addresses;
        let sent = self
            .client
            .send_email()
            .from_email_address(from)
            .destination(Destination::builder().set_to_addresses(Some(to.clone())).build())
            .content(EmailContent::builder().simple(message(mail, from)).build())
            .send()
            .await;
        sent.map(drop).map_err(|error| judge(&error, from))
    }
}

fn message(mail: &Mail, from: &str) -> Message {
    // Builders fail only if a required member is missing.
    let content = |text: &str| Content::builder().data(text).charset("UTF-8").build().ok();
    let header =
        |(name, value): (&str, String)| MessageHeader::builder().name(name).value(value).build().ok();
    let body = Body::builder().set_text(content(&mail.text)).set_html(content(&mail.html)).build();
    let host = from.rsplit('@').next().unwrap_or_default();
    let thread = format!("<{}.syncwatch@{host}>", mail.thread);
    let headers = [
        ("In-Reply-To", thread.clone()),
        ("References", thread),
        // No out-of-office answers (RFC 3834).
        ("Auto-Submitted", "auto-generated".to_owned()),
    ];
    Message::builder()
        .set_subject(content(&mail.subject))
        .body(body)
        .set_headers(Some(headers.into_iter().filter_map(header).collect()))
        .build()
}

/// Classifies a failed call. Only the code of SES's answer is shown, as its message may quote addresses.
fn judge(error: &SdkError<SendEmailError, HttpResponse>, from: &str) -> ErrorKind {
    let Some(answer) = error.raw_response() else {
        return ErrorKind::NoAnswer { detail: chain(error), unsent: is_unsent(error) };
    };
    let status = answer.status().as_u16();
    let refusal = error.as_service_error();
    let code = refusal.and_then(|refusal| refusal.code()).filter(|code| is_code(code));
    let words = code.unwrap_or("unknown answer").to_owned();
    let message = refusal.and_then(|refusal| refusal.message()).unwrap_or_default();
    let closed = |remedy: String| ErrorKind::Closed { status, words: words.clone(), remedy };
    match words.strip_suffix("Exception").unwrap_or(&words) {
        _ if status >= 500 => ErrorKind::Unavailable { status },
        // It accepted the mail, or something else answered in its place.
        _ if status < 300 => ErrorKind::NoAnswer { detail: "unreadable answer".to_owned(), unsent: false },
        "TooManyRequests" | "Throttling" | "LimitExceeded" => ErrorKind::Limited { asked_for: None },
        _ if status == 429 => ErrorKind::Limited { asked_for: None },
        "MailFromDomainNotVerified" => closed(unverified(from)),
        // SES's message, as its developer guide lists it under "Amazon SES email sending errors".
        "MessageRejected" if message.contains("not verified") => closed(unverified(from)),
        "MessageRejected" | "BadRequest" => {
            let remedy = "If the channel's addresses in pipeline.toml are right, please report it".to_owned();
            ErrorKind::Refused { status, words, remedy }
        }
        "AccountSuspended" => {
            closed("AWS has stopped this account's mail; open a case with AWS Support".to_owned())
        }
        "SendingPaused" => {
            closed("resume it: `aws sesv2 put-account-sending-attributes --sending-enabled`".to_owned())
        }
        "AccessDenied" => closed(format!(
            "set mail_identity of infra to the identity of {from} in SES, and run `terraform apply`; in its sandbox, SES also \
             checks the recipients' identities"
        )),
        _ => closed("see this error in the AWS documentation of SES's SendEmail".to_owned()),
    }
}

fn unverified(from: &str) -> String {
    format!(
        "verify {from} or its domain in SES, in the function's region; in SES's sandbox also each recipient, or request \
         production access"
    )
}

/// Whether a text is the name of an error, and not a part of a page.
fn is_code(text: &str) -> bool {
    (1..=60).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether there was no connection, so that SES got nothing.
fn is_unsent(error: &SdkError<SendEmailError, HttpResponse>) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    let causes = iter::from_fn(|| {
        let found = cause?;
        cause = found.source();
        Some(found)
    });
    matches!(error, SdkError::ConstructionFailure(_))
        || causes.into_iter().any(|cause| cause.downcast_ref().is_some_and(reqwest::Error::is_connect))
}

#[cfg(test)]
mod tests;
