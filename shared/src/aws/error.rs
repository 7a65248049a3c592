//! AWS errors, by remedy.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};

use crate::http::chain;

/// A failed AWS call. Its text names the resource, the fault and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}. {}", .0.resource, .0.fault, .0.remedy())]
pub struct AwsError(Box<Details>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Details {
    /// Such as `secret syncwatch/census-token`.
    resource: String,
    fault: Fault,
    /// AWS's own message; empty if it did not answer.
    words: String,
    permission: &'static str,
    /// The setting to correct if the resource does not exist.
    correct: &'static str,
    /// The caller is an operator, not a function.
    by_person: bool,
}

impl Details {
    fn remedy(&self) -> String {
        let Self { permission, correct, .. } = self;
        match (&self.fault, self.by_person) {
            (Fault::Missing, _) => format!("Run `terraform apply`, or correct {correct}"),
            (Fault::Denied, true) => {
                format!("Your own credentials need {permission} on it; a function's permissions do not apply to you")
            }
            (Fault::Denied, false) => {
                format!("Allow {permission} on it in infra/functions.json and run `terraform apply`")
            }
            (Fault::BadCredentials { .. } | Fault::NoCredentials, true) => {
                "Set AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; \
                 `aws configure export-credentials --format env` prints all but AWS_REGION"
                    .to_owned()
            }
            (Fault::BadCredentials { .. } | Fault::NoCredentials, false) => {
                "Lambda sets the credentials of the function's role; elsewhere set AWS_ACCESS_KEY_ID, \
                 AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
                    .to_owned()
            }
            (Fault::Throttled | Fault::NoAnswer { .. }, true) => {
                "Retry; if it persists, check AWS_REGION and AWS_ENDPOINT_URL".to_owned()
            }
            (Fault::Throttled, false) => {
                "The next round retries; if it persists, find what else uses it".to_owned()
            }
            (Fault::NoAnswer { .. }, false) => {
                "The next round retries; if it persists, check AWS_REGION, AWS_ENDPOINT_URL and, for a function in a \
                 VPC, its route to AWS"
                    .to_owned()
            }
            (Fault::Other { .. }, _) => {
                format!("If it persists, see this error in the AWS documentation of {permission}")
            }
        }
    }
}

/// The kinds of failure, one per remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("it does not exist in this account and region")]
    Missing,
    #[error("AWS denied access")]
    Denied,
    #[error("AWS did not accept the credentials ({code})")]
    BadCredentials { code: String },
    #[error("no AWS credentials")]
    NoCredentials,
    #[error("AWS throttled the request and its retries")]
    Throttled,
    #[error("AWS did not answer ({detail})")]
    NoAnswer { detail: String },
    #[error("AWS answered {code}: {message}")]
    Other { code: String, message: String },
}

impl AwsError {
    /// Returns the kind of failure.
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// Switches the remedy to that for an operator with their own credentials.
    #[must_use]
    pub fn by_person(mut self) -> Self {
        self.0.by_person = true;
        self
    }

    /// Replaces a secret that AWS may have quoted.
    pub(super) fn without(mut self, secret: &str) -> Self {
        if let Fault::Other { message, .. } = &mut self.0.fault {
            *message = message.replace(secret, "[secret]");
        }
        self.0.words = self.0.words.replace(secret, "[secret]");
        self
    }

    /// Returns whether AWS's message contains these words.
    pub(super) fn mentions(&self, words: &str) -> bool {
        self.0.words.contains(words)
    }
}

impl Fault {
    /// Returns whether the same call may succeed later, with nothing changed.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Throttled | Self::NoAnswer { .. } | Self::Other { .. })
    }

    /// Classifies an error response.
    pub(super) fn of(answer: &ErrorMetadata) -> Self {
        let code = answer.code().unwrap_or("without a code");
        // Services name the same error with or without this suffix.
        match code.strip_suffix("Exception").unwrap_or(code) {
            "ResourceNotFound" | "NotFound" | "QueueDoesNotExist" | "NoSuchBucket" => Self::Missing,
            // The legacy code of SQS's query protocol, still sent in a header.
            "AWS.SimpleQueueService.NonExistentQueue" => Self::Missing,
            "AccessDenied" | "AuthorizationError" => Self::Denied,
            "UnrecognizedClient"
            | "InvalidClientTokenId"
            | "ExpiredToken"
            | "InvalidSignature"
            | "SignatureDoesNotMatch"
            | "MissingAuthenticationToken"
            | "IncompleteSignature" => Self::BadCredentials { code: code.to_owned() },
            "Throttling"
            | "Throttled"
            | "ProvisionedThroughputExceeded"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "LimitExceeded"
            | "SlowDown" => Self::Throttled,
            _ => Self::Other {
                code: code.to_owned(),
                message: answer.message().unwrap_or("no message").to_owned(),
            },
        }
    }
}

/// A kind of resource, for error texts.
#[derive(Debug, Clone)]
pub struct Kind {
    /// Such as `secret`.
    pub name: &'static str,
    /// The setting to correct if the resource does not exist.
    pub correct: &'static str,
}

impl Kind {
    /// Builds the error of a failed call on the resource `name`.
    pub fn failed<E>(
        &self,
        name: &str,
        permission: &'static str,
        error: &SdkError<E, HttpResponse>,
    ) -> AwsError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let answer = error.as_service_error().map(ProvideErrorMetadata::meta);
        let fault = answer.map(Fault::of).unwrap_or_else(|| {
            let detail = chain(error);
            // The SDK reports missing credentials like a lost connection, though nothing was sent.
            let credentials = detail.to_ascii_lowercase().contains("credential");
            if credentials { Fault::NoCredentials } else { Fault::NoAnswer { detail } }
        });
        let words = answer.and_then(ErrorMetadata::message).unwrap_or_default().to_owned();
        self.with_words(name, permission, fault, words)
    }

    /// Builds the error of a call on the resource `name` that failed in this way.
    pub(super) fn fault(&self, name: &str, permission: &'static str, fault: Fault) -> AwsError {
        self.with_words(name, permission, fault, String::new())
    }

    fn with_words(&self, name: &str, permission: &'static str, fault: Fault, words: String) -> AwsError {
        AwsError(Box::new(Details {
            resource: format!("{} {name}", self.name),
            fault,
            words,
            permission,
            correct: self.correct,
            by_person: false,
        }))
    }
}
