//! The error of a failed command, with a hint.

use std::fmt;

use syncwatch::aws::incidents::Error as StoreError;
use syncwatch::aws::secrets::SecretError;
use syncwatch::aws::topic::PublishError;
use syncwatch::aws::{AwsError, ConnectError};

/// The failure of a command. It never contains a secret or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}", self.hint_after("; "))]
pub struct Error {
    /// The failure; errors from Syncwatch's own clients include their remedy.
    pub what: String,
    /// One command or action.
    pub hint: Option<String>,
}

impl Error {
    /// Builds a failure with a hint.
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: Some(hint.into()) }
    }

    /// Builds a failure whose text includes the remedy.
    pub(crate) fn plain(what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), hint: None }
    }

    /// Renders the failure for a terminal; its [`fmt::Display`] is one line, for use in place of a figure.
    pub fn lines(&self) -> String {
        format!("error: {}{}", self.what, self.hint_after("\nhint: "))
    }

    fn hint_after(&self, mark: &str) -> String {
        self.hint.as_ref().map(|hint| format!("{mark}{hint}")).unwrap_or_default()
    }
}

macro_rules! from {
    ($($error:ty: $($pattern:pat => $as:expr),+;)+) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                match error { $($pattern => $as),+ }
            }
        })+
    };
}

from! {
    syncwatch::census::Error: error => Self::plain(error);
    syncwatch::http::HttpError: error => Self::plain(error);
    syncwatch::runtime::warehouse::Error: error => Self::plain(error);
    syncwatch::registration::Error: error => Self { what: error.what, hint: error.hint };
    syncwatch::baseline::script::FileError: error => Self { what: error.what, hint: error.hint };
    syncwatch::sql::Error: error => Self::plain(error);
    syncwatch::observe::history::Error: error => Self::plain(error);
    AwsError: error => Self::plain(error.by_person());
    StoreError: StoreError::Aws(error) => error.into(), other => Self::plain(other);
    SecretError: SecretError::Aws(error) => error.into(), other => Self::plain(other);
    PublishError: PublishError::Aws(error) => error.into(), other => Self::plain(other);
    ConnectError: ConnectError::Http(error) => error.into(), ConnectError::NoRegion => Self::new(
        "the AWS region is unknown",
        "set AWS_REGION, or `region` in the profile of AWS_PROFILE",
    );
}
