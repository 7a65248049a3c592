//! Why a command did not do what was asked, and what to do.

use std::fmt;

use syncwatch::aws::incidents::Error as StoreError;
use syncwatch::aws::secrets::SecretError;
use syncwatch::aws::topic::PublishError;
use syncwatch::aws::{AwsError, ConnectError};

/// A command that failed. It never holds a secret, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    /// The failure as a terminal shows it.
    pub fn lines(&self) -> String {
        let hint = self.hint.iter().map(|hint| format!("\nhint: {hint}"));
        format!("error: {}{}", self.what, hint.collect::<String>())
    }
}

/// In one line, for the place of a figure.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for Error {}

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
