//! Why a command did not do what was asked, and what to do.

use std::path::PathBuf;

use super::endpoint::EndpointError;
use super::plan::Refusal;
use crate::stakeholders;
use syncwatch::aws::secrets::SecretError;
use syncwatch::aws::topic::PublishError;
use syncwatch::aws::{AwsError, ConnectError, incidents};
use syncwatch::incident::IncidentKey;
use syncwatch::runtime::SettingsError;
use syncwatch::silence::LONGEST;
use syncwatch::text::words;
use syncwatch::{census, pipeline};

/// A command that failed. None holds a secret, or a part of one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Environment variables are missing.
    #[error(
        "{}. `make` sets those that are names in infra/functions.json; give the others, such as the ARN that \
         `aws sns list-topics` shows: SYNCWATCH_TOPIC_ARN=arn:... make ...",
        missing(.0)
    )]
    Settings(SettingsError),
    /// The pipeline file is not there.
    #[error(
        "{} cannot be read ({source}): run this at the top of the repository, or say where the file is in \
         SYNCWATCH_PIPELINE", path.display()
    )]
    PipelineUnread { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    PipelineWrong { path: PathBuf, source: pipeline::Error },
    /// The runbook has no such section.
    #[error(transparent)]
    Unexplained(#[from] crate::runbook::UnknownFinding),
    /// AWS cannot be spoken to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// AWS refused, or did not answer.
    #[error(transparent)]
    Aws(AwsError),
    /// A secret cannot be used.
    #[error(transparent)]
    Secret(SecretError),
    /// A stored incident cannot be read.
    #[error(transparent)]
    Incident(incidents::Error),
    /// The table of functions of this version cannot be read.
    #[error("infra/functions.json, as this program was built with it, cannot be read: {0}")]
    Declared(serde_json::Error),
    /// Nothing says where the state of the data is.
    #[error("pipeline.toml declares no health_view in [snapshot]; add one")]
    NoHealthView,
    /// There is no warehouse to work on.
    #[error("pipeline.toml declares no [warehouse]; add one")]
    NoWarehouse,
    /// The warehouse cannot be opened.
    #[error(transparent)]
    Warehouse(#[from] syncwatch::runtime::warehouse::Error),
    /// The warehouse's objects were not made, or not all of them.
    #[error(transparent)]
    WarehouseObjects(#[from] crate::warehouse_objects::Error),
    /// The notice was not sent.
    #[error(transparent)]
    Publish(PublishError),
    /// Census refused, or did not answer.
    #[error(transparent)]
    Census(#[from] census::Error),
    /// The URL is none for a webhook.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// There is a plan, and it is to do nothing before somebody decides.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A webhook was made and its secret could not be stored; the webhook is deleted again.
    #[error(
        "the secret of the new webhook {id} could not be stored ({why}). The webhook is deleted again, so all is as it \
         was before. Put that right and run this again"
    )]
    NotStored {
        id: u64,
        /// Why its secret could not be stored.
        why: SecretError,
    },
    /// A webhook was made, its secret could not be stored, and it could not be deleted either.
    #[error(
        "the secret of the new webhook {id} could not be stored ({why}), nor could the webhook be deleted again \
         ({undo}). Its deliveries will be refused as long as it exists, for nobody has its secret. Put that right, then \
         delete it: `curl -X DELETE -H \"Authorization: Bearer $CENSUS_TOKEN\" {url}`"
    )]
    NotUndone {
        id: u64,
        url: String,
        /// Why its secret could not be stored.
        why: SecretError,
        /// Why it could not be deleted.
        undo: Box<census::Error>,
    },
    /// Nobody knows whether a webhook was made: Census's answer was lost.
    #[error("Census's answer to the new webhook was lost or made no sense ({why}). {}", lost(new))]
    AnswerLost {
        why: census::Error,
        /// Webhooks with our endpoint that were not there before; `None` if Census would not list them.
        new: Option<Vec<u64>>,
    },
    /// A webhook was replaced, and old ones are left over.
    #[error(
        "the new webhook {new} is made and its secret stored, but the old webhook {old} could not be deleted ({why}). \
         Until it is, every event comes twice, which does no harm as long as its secret is the previous one. Delete it: \
         `curl -X DELETE -H \"Authorization: Bearer $CENSUS_TOKEN\" {url}`"
    )]
    OldLeft {
        new: u64,
        old: u64,
        url: String,
        /// Why it could not be deleted.
        why: census::Error,
    },
    /// Census took an update of the events, and does not send all of them all the same.
    #[error("Census took the update of webhook {id}, but it still does not send {}. Run this with --rotate", missing.join(", "))]
    EventsLeft {
        id: u64,
        /// What it does not get.
        missing: Vec<&'static str>,
    },
    /// A notice to stakeholders would not be true.
    #[error(transparent)]
    Untrue(#[from] stakeholders::Refusal),
    /// The page of a notice cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    NoticeUnwritten { path: PathBuf, source: std::io::Error },
    /// The warehouse did not answer a question.
    #[error(transparent)]
    Unanswered(#[from] syncwatch::sql::Error),
    /// A length of time is out of bounds.
    #[error("--for must be more than nothing and at most {}, so that no quiet is for ever", words(LONGEST))]
    TooLong,
    /// A subject that the pipeline does not have.
    #[error("pipeline.toml has no {subject:?}; it has {}", known.join(", "))]
    UnknownSubject { subject: String, known: Vec<String> },
    #[error("there is no silence {id:?}; `make silence` lists them")]
    NoSilence { id: String },
    #[error("silence {id} was over at {until} already; nothing is held back by it any more")]
    SilenceOver { id: String, until: String },
    #[error("silence {id} is declared in infra/pipeline.toml: take it out there, and deploy")]
    SilenceDeclared { id: String },
    #[error("{key} is not of this pipeline, which is {pipeline}")]
    OtherPipeline { key: IncidentKey, pipeline: String },
    #[error("{key} is not open, so there are no reminders to stop; `make incidents` lists what is")]
    NotOpen { key: IncidentKey },
    /// A notice is being sent at this moment.
    #[error("a notice about {key} is on its way at this moment; run this again in two minutes")]
    BeingSent { key: IncidentKey },
    /// Functions kept writing the incident while it was to be acknowledged.
    #[error("{key} changed again and again while it was to be acknowledged; run this again")]
    Overtaken { key: IncidentKey },
}

impl From<SecretError> for Error {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Aws(error) => Self::Aws(error.by_person()),
            other => Self::Secret(other),
        }
    }
}

impl From<incidents::Error> for Error {
    fn from(error: incidents::Error) -> Self {
        match error {
            incidents::Error::Aws(error) => Self::Aws(error.by_person()),
            other => Self::Incident(other),
        }
    }
}

impl From<PublishError> for Error {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Aws(error) => Self::Aws(error.by_person()),
            other => Self::Publish(other),
        }
    }
}

fn missing(error: &SettingsError) -> String {
    let said: Vec<String> =
        error.missing.iter().map(|setting| format!("{} ({})", setting.name, setting.holds)).collect();
    format!("not set: {}", said.join("; "))
}

fn lost(new: &Option<Vec<u64>>) -> String {
    match new.as_deref() {
        Some([]) => "It was not made: there is no new one for this endpoint. Run this again".to_owned(),
        Some(new) => {
            let ids: Vec<String> = new.iter().map(ToString::to_string).collect();
            format!(
                "There is a new one for this endpoint all the same ({}), and nobody has its secret: run this with --rotate",
                ids.join(", ")
            )
        }
        None => "Whether it was made could not be read either: once Census answers, run this with --check; a webhook \
                 that was not there before has a secret that nobody knows, so run it with --rotate then"
            .to_owned(),
    }
}
