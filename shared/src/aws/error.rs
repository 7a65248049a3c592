//! What went wrong at AWS, in terms of what a person can do about it.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};

use crate::http::chain;

/// A call to AWS that failed. Its text names the resource and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}. {}", .0.resource, .0.fault, .0.remedy())]
pub struct AwsError(Box<Details>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Details {
    /// Such as `secret syncwatch/census-token`.
    resource: String,
    fault: Fault,
    /// The words of AWS, if it answered.
    words: String,
    permission: &'static str,
    /// What to correct if the resource does not exist.
    correct: &'static str,
    /// A person asked, not a function.
    by_person: bool,
}

impl Details {
    fn remedy(&self) -> String {
        let Self { permission, correct, .. } = self;
        match (&self.fault, self.by_person) {
            (Fault::Missing, _) => format!("Run `terraform apply`, or correct {correct}"),
            (Fault::Denied, true) => {
                format!("Your own credentials need {permission} on it; what functions may do does not count")
            }
            (Fault::Denied, false) => {
                format!("Allow {permission} on it in infra/functions.json and run `terraform apply`")
            }
            (Fault::BadCredentials { .. } | Fault::NoCredentials, true) => {
                "Set AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; \
                 `aws configure export-credentials --format env` prints all but the first"
                    .to_owned()
            }
            (Fault::BadCredentials { .. } | Fault::NoCredentials, false) => {
                "Lambda sets the credentials of the function's role; elsewhere set AWS_ACCESS_KEY_ID, \
                 AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
                    .to_owned()
            }
            (Fault::Throttled | Fault::NoAnswer { .. }, true) => {
                "Try again; if it lasts, check AWS_REGION and AWS_ENDPOINT_URL".to_owned()
            }
            (Fault::Throttled, false) => {
                "The next round tries again; if it lasts, look for other users of it".to_owned()
            }
            (Fault::NoAnswer { .. }, false) => {
                "The next round tries again; if it lasts, check AWS_REGION, AWS_ENDPOINT_URL and, for a function in a \
                 VPC, its way out"
                    .to_owned()
            }
            (Fault::Other { .. }, _) => {
                format!("If it stays, the AWS documentation of {permission} explains this error")
            }
        }
    }
}

/// The kinds of failure that have different remedies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("it does not exist in this account and region")]
    Missing,
    #[error("AWS denied access")]
    Denied,
    #[error("AWS did not accept the credentials ({code})")]
    BadCredentials { code: String },
    #[error("there are no AWS credentials")]
    NoCredentials,
    #[error("AWS throttled the request, also after retries")]
    Throttled,
    #[error("AWS did not answer ({detail})")]
    NoAnswer { detail: String },
    #[error("AWS answered {code}: {message}")]
    Other { code: String, message: String },
}

impl AwsError {
    /// What went wrong.
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// The same failure, told to the person who asked with credentials of their own.
    #[must_use]
    pub fn by_person(mut self) -> Self {
        self.0.by_person = true;
        self
    }

    /// The same failure without these words, should AWS have quoted what it was sent.
    pub(super) fn without(mut self, secret: &str) -> Self {
        if let Fault::Other { message, .. } = &mut self.0.fault {
            *message = message.replace(secret, "[secret]");
        }
        self.0.words = self.0.words.replace(secret, "[secret]");
        self
    }

    /// Whether AWS said this.
    pub(super) fn says(&self, words: &str) -> bool {
        self.0.words.contains(words)
    }
}

impl Fault {
    /// Whether the same call may well succeed a little later, with nothing changed.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Throttled | Self::NoAnswer { .. } | Self::Other { .. })
    }

    /// Classifies an answer that is an error.
    fn of(answer: &ErrorMetadata) -> Self {
        let code = answer.code().unwrap_or("without a code");
        // Some services name the same error with the ending and some without it.
        match code.strip_suffix("Exception").unwrap_or(code) {
            "ResourceNotFound" | "NotFound" | "QueueDoesNotExist" => Self::Missing,
            // What SQS said before it spoke JSON, and says still in a header.
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
            | "LimitExceeded" => Self::Throttled,
            _ => Self::Other {
                code: code.to_owned(),
                message: answer.message().unwrap_or("no message").to_owned(),
            },
        }
    }
}

/// A kind of resource: what its errors say beside the fault.
#[derive(Debug, Clone)]
pub struct Kind {
    /// Such as `secret`.
    pub name: &'static str,
    pub correct: &'static str,
}

impl Kind {
    /// The error for a failed call on the resource `name`.
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
            // Without credentials nothing was sent, yet the SDK reports it like a lost connection.
            let credentials = detail.to_ascii_lowercase().contains("credential");
            if credentials { Fault::NoCredentials } else { Fault::NoAnswer { detail } }
        });
        AwsError(Box::new(Details {
            resource: format!("{} {name}", self.name),
            fault,
            words: answer.and_then(ErrorMetadata::message).unwrap_or_default().to_owned(),
            permission,
            correct: self.correct,
            by_person: false,
        }))
    }
}
