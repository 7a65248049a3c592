//! What went wrong at AWS, in terms of what a person can do about it.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::http::chain;

/// A call to AWS that failed. Its text names the resource and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}. {}", .0.resource, .0.fault, .0.remedy())]
pub struct AwsError(Box<Details>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Details {
    /// What was asked of, such as `secret syncwatch/census-token`.
    resource: String,
    fault: Fault,
    /// The words of AWS, if it answered.
    words: String,
    /// The permission that the call needs.
    permission: &'static str,
    /// What to correct if the resource does not exist.
    correct: &'static str,
    /// A person asked, not a function.
    by_person: bool,
}

impl Details {
    fn remedy(&self) -> String {
        match &self.fault {
            Fault::Denied if self.by_person => {
                format!(
                    "Your own credentials need {} on it; what functions may do does not count",
                    self.permission
                )
            }
            Fault::BadCredentials { .. } | Fault::NoCredentials if self.by_person => {
                "Set AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; \
                 `aws configure export-credentials --format env` prints all but the first"
                    .to_owned()
            }
            Fault::Throttled | Fault::NoAnswer { .. } if self.by_person => {
                "Try again; if it lasts, check AWS_REGION and AWS_ENDPOINT_URL".to_owned()
            }
            fault => fault.remedy(self.permission, self.correct),
        }
    }
}

/// The kinds of failure that have different remedies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The resource does not exist in this account and region.
    #[error("it does not exist in this account and region")]
    Missing,
    /// The function's role may not do this.
    #[error("AWS denied access")]
    Denied,
    /// The credentials themselves were not accepted.
    #[error("AWS did not accept the credentials ({code})")]
    BadCredentials { code: String },
    /// There are no credentials.
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
        match self {
            Self::Throttled | Self::NoAnswer { .. } | Self::Other { .. } => true,
            Self::Missing | Self::Denied | Self::BadCredentials { .. } | Self::NoCredentials => false,
        }
    }

    /// Classifies what the SDK reported.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let Some(service) = error.as_service_error() else {
            let detail = chain(error);
            // Without credentials nothing was sent, yet the SDK reports it like a lost connection.
            let credentials = detail.to_ascii_lowercase().contains("credential");
            return if credentials { Self::NoCredentials } else { Self::NoAnswer { detail } };
        };
        let code = service.code().unwrap_or("without a code");
        match code {
            "ResourceNotFoundException"
            | "NotFound"
            | "NotFoundException"
            | "QueueDoesNotExist"
            // What SQS said before it spoke JSON, and says still in a header.
            | "AWS.SimpleQueueService.NonExistentQueue" => Self::Missing,
            "AccessDeniedException"
            | "AccessDenied"
            | "AuthorizationError"
            | "AuthorizationErrorException" => Self::Denied,
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "MissingAuthenticationToken"
            | "IncompleteSignature" => Self::BadCredentials { code: code.to_owned() },
            "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "Throttled"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "LimitExceededException" => Self::Throttled,
            code => {
                let message = service.message().unwrap_or("no message").to_owned();
                Self::Other { code: code.to_owned(), message }
            }
        }
    }

    fn remedy(&self, permission: &str, correct: &str) -> String {
        match self {
            Self::Missing => format!("Run `terraform apply`, or correct {correct}"),
            Self::Denied => {
                format!("Allow {permission} on it in infra/functions.json and run `terraform apply`")
            }
            Self::BadCredentials { .. } | Self::NoCredentials => {
                "Lambda sets the credentials of the function's role; elsewhere set AWS_ACCESS_KEY_ID, \
                 AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
                    .to_owned()
            }
            Self::Throttled => "The next round tries again; if it lasts, look for other users of it".to_owned(),
            Self::NoAnswer { .. } => {
                "The next round tries again; if it lasts, check AWS_REGION, AWS_ENDPOINT_URL and, for a function in a \
                 VPC, its way out"
                    .to_owned()
            }
            Self::Other { .. } => format!("If it stays, the AWS documentation of {permission} explains this error"),
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
        let resource = format!("{} {name}", self.name);
        let words =
            error.as_service_error().and_then(|service| service.message()).unwrap_or_default().to_owned();
        let (fault, correct) = (Fault::of(error), self.correct);
        AwsError(Box::new(Details { resource, fault, words, permission, correct, by_person: false }))
    }
}
