//! Why a command did not do what was asked, and what to do.

use std::fmt;

use syncwatch::aws::incidents::Error as StoreError;
use syncwatch::aws::secrets::SecretError;
use syncwatch::aws::topic::PublishError;
use syncwatch::aws::{AwsError, ConnectError};

/// A command that failed. It never holds a secret, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}", self.hint_after("; "))]
pub struct Error {
    /// What failed; where it comes from a client of Syncwatch, the remedy is part of it.
    pub what: String,
    /// One command or act.
    pub hint: Option<String>,
}

impl Error {
    /// A failure with its remedy.
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: Some(hint.into()) }
    }

    /// A failure whose text names the remedy itself.
    pub(crate) fn plain(what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), hint: None }
    }

    /// The failure as a terminal shows it; its [`fmt::Display`] is one line, for the place of a figure.
    pub fn lines(&self) -> String {
        format!("error: {}{}", self.what, self.hint_after("\nhint: "))
    }

    fn hint_after(&self, mark: &str) -> String {
        self.hint.as_ref().map(|hint| format!("{mark}{hint}")).unwrap_or_default()
    }
}

macro_rules! from {
    ($($error:ty: $($told:pat => $as:expr),+;)+) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                match error { $($told => $as),+ }
            }
        })+
    };
}

from! {
    syncwatch::census::Error: error => Self::plain(error);
    syncwatch::http::HttpError: error => Self::plain(error);
    syncwatch::runtime::warehouse::Error: error => Self::plain(error);
    syncwatch::sql::Error: error => Self::plain(error);
    AwsError: error => Self::plain(error.by_person());
    StoreError: StoreError::Aws(error) => error.into(), other => Self::plain(other);
    SecretError: SecretError::Aws(error) => error.into(), other => Self::plain(other);
    PublishError: PublishError::Aws(error) => error.into(), other => Self::plain(other);
    ConnectError: ConnectError::Http(error) => error.into(), ConnectError::NoRegion => Self::new(
        "the AWS region is unknown",
        "set AWS_REGION, or `region` in the profile of AWS_PROFILE",
    );
}
