//! Compares and corrects the webhook at Census and its stored secret.
//!
//! The order is read, create, store, delete. Our secret is read before anything is created, so that a missing or
//! denied one is reported before any change. A step that cannot be finished is undone, or reported.

mod endpoint;
mod plan;

use crate::aws::incidents::IncidentStore;
use crate::aws::secrets::{SecretError, SecretStore, SecretValues};
use crate::census::{self, CreatedWebhook, ErrorKind, NewWebhook, Webhook, Writer};
use crate::remedy::WebhookSeen;
use plan::listed;
use secrecy::{ExposeSecret as _, SecretString};

pub use endpoint::Endpoint;
pub use plan::{Found, OurSecret, Plan, Wish, note, plan};

/// Name of our webhooks at Census.
const NAME: &str = "Syncwatch";

/// The failure of a registration. It contains no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}", hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default())]
pub struct Error {
    pub what: String,
    /// The remedy, unless `what` includes it.
    pub hint: Option<String>,
}

impl Error {
    fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: Some(hint.into()) }
    }

    fn plain(what: impl std::fmt::Display) -> Self {
        Self { what: what.to_string(), hint: None }
    }
}

impl From<census::Error> for Error {
    fn from(error: census::Error) -> Self {
        Self::plain(error)
    }
}

impl From<SecretError> for Error {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Aws(error) => Self::plain(error.by_person()),
            other => Self::plain(other),
        }
    }
}

/// Clients and names of both sides of a registration.
#[derive(Debug)]
pub struct Registration {
    pub census: census::Client,
    pub secrets: SecretStore,
    pub secret_name: String,
    pub endpoint: Endpoint,
    pub pipeline: String,
}

impl Registration {
    /// Takes our endpoint from the stored secret, which an earlier registration wrote there.
    pub async fn stored_endpoint(
        census: census::Client,
        secrets: SecretStore,
        secret_name: &str,
        pipeline: &str,
    ) -> Result<Self, Error> {
        let values = secrets.read(secret_name).await?;
        let endpoint = values.endpoint.as_deref().ok_or_else(|| {
            Error::new(
                format!("secret {secret_name} does not name our endpoint"),
                "run `syncwatch webhook-register` with --rotate",
            )
        })?;
        let endpoint = Endpoint::stored(endpoint)?;
        let (secret_name, pipeline) = (secret_name.to_owned(), pipeline.to_owned());
        Ok(Self { census, secrets, secret_name, endpoint, pipeline })
    }

    /// Reads both sides, as a remedy needs them; `store` has the deliveries.
    pub async fn seen(&self, store: &IncidentStore) -> Result<WebhookSeen, Error> {
        let found = self.inspect().await?;
        let record = store.last_webhooks(&self.pipeline).await.map_err(Error::plain)?;
        Ok(WebhookSeen {
            ours: found.ours.iter().map(|webhook| webhook.id).collect(),
            whole: plan(Wish::Register, &found).is_nothing_to_do(),
            accepted_at: record.and_then(|record| record.accepted_at),
        })
    }

    /// Reads both sides.
    pub async fn inspect(&self) -> Result<Found, Error> {
        let secret = match self.stored().await? {
            None => OurSecret::Empty,
            Some(values) => values.webhook_id.map_or(OurSecret::Unknown, OurSecret::Of),
        };
        let (ours, others): (Vec<Webhook>, Vec<Webhook>) =
            self.census.list_webhooks().await?.into_iter().partition(|webhook| self.is_ours(webhook));
        let by_our_name = |webhook: &Webhook| webhook.name.as_deref() == Some(NAME);
        let elsewhere = others.into_iter().filter(by_our_name).collect();
        Ok(Found { ours, elsewhere, secret })
    }

    /// Carries out a plan or undoes it, and returns the result.
    pub async fn carry_out(&self, writer: &Writer, plan: &Plan) -> Result<String, Error> {
        let secret_name = &self.secret_name;
        match plan {
            Plan::Keep { .. } => Ok("Nothing to do; nothing was changed.".to_owned()),
            Plan::Create { .. } => {
                let id = self.create(writer, &[]).await?;
                Ok(format!("Done: webhook {id} created, secret stored in {secret_name}."))
            }
            Plan::Subscribe { webhook, missing } => {
                let mut wanted = webhook.clone();
                wanted.events.extend(missing.iter().map(|event| (*event).to_owned()));
                let missing = writer.update_webhook(&wanted).await?.missing_events();
                if !missing.is_empty() {
                    let (id, missing) = (webhook.id, missing.join(", "));
                    let what = format!(
                        "Census accepted the update of webhook {id} but still does not send {missing}"
                    );
                    return Err(Error::new(what, "run this with --rotate"));
                }
                Ok(format!("Done: webhook {} gets all events.", webhook.id))
            }
            Plan::Replace { old, .. } => {
                let id = self.create(writer, old).await?;
                for old in old {
                    if let Err(why) = writer.delete_webhook(*old).await {
                        return Err(Error::new(
                            format!(
                                "webhook {id} was created and its secret stored, but the old webhook {old} could not be \
                                 deleted ({why}). Until then every event arrives twice, which is harmless while its secret \
                                 is the previous one"
                            ),
                            self.deletion_of(*old),
                        ));
                    }
                }
                Ok(format!(
                    "Done: webhook {id} created, secret stored in {secret_name}, {} deleted. The intake accepts the new and \
                     the previous secret.",
                    listed(old)
                ))
            }
            Plan::Refuse(why) => Err(Error::plain(why)),
        }
    }

    /// Creates a webhook and stores its secret, both or neither. `before` lists those that already post to our
    /// endpoint.
    async fn create(&self, writer: &Writer, before: &[u64]) -> Result<u64, Error> {
        // Read again: the value may have changed since the plan.
        let previous = self.stored().await?.map(|values| values.current);
        let wanted = NewWebhook {
            name: NAME.to_owned(),
            description: format!("Wakes Syncwatch of the pipeline {}", self.pipeline),
            endpoint: self.endpoint.to_string(),
            // Empty means all events, future ones included: the intake keeps and counts unknown events.
            events: Vec::new(),
        };
        let CreatedWebhook { id, secret } = match writer.create_webhook(&wanted).await {
            Ok(created) => created,
            Err(error) if may_have_succeeded(&error) => {
                let (found, hint) = lost(self.new_beside(before).await.as_deref());
                let what =
                    format!("Census's response to the new webhook was lost or unreadable ({error}). {found}");
                return Err(Error::new(what, hint));
            }
            Err(error) => return Err(error.into()),
        };
        let endpoint = Some(self.endpoint.to_string());
        let values = SecretValues { previous, webhook_id: Some(id), endpoint, ..SecretValues::only(secret) };
        let Err(why) = self.secrets.put(&self.secret_name, &values).await else { return Ok(id) };
        if self.is_stored(&values.current).await {
            // Stored; only the response was lost.
            return Ok(id);
        }
        let failed = format!("the secret of the new webhook {id} could not be stored ({})", Error::from(why));
        Err(match writer.delete_webhook(id).await {
            Ok(()) => Error::new(
                format!("{failed}. The webhook was deleted again; nothing has changed"),
                "fix that, then run this again",
            ),
            Err(undo) => Error::new(
                format!(
                    "{failed}, and the webhook could not be deleted ({undo}). Its deliveries are refused while it exists, \
                     because its secret is lost"
                ),
                format!("fix that, then {}", self.deletion_of(id)),
            ),
        })
    }

    /// Reads our secret; `None` if it is empty.
    async fn stored(&self) -> Result<Option<SecretValues>, Error> {
        match self.secrets.read(&self.secret_name).await {
            Ok(values) => Ok(Some(values)),
            Err(SecretError::Empty { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn is_stored(&self, secret: &SecretString) -> bool {
        let stored = self.stored().await.ok().flatten();
        stored.is_some_and(|stored| stored.current.expose_secret() == secret.expose_secret())
    }

    /// Lists the webhooks with our endpoint, without `before`.
    async fn new_beside(&self, before: &[u64]) -> Option<Vec<u64>> {
        let webhooks = self.census.list_webhooks().await.ok()?;
        let ours = webhooks.iter().filter(|webhook| self.is_ours(webhook)).map(|webhook| webhook.id);
        Some(ours.filter(|id| !before.contains(id)).collect())
    }

    fn is_ours(&self, webhook: &Webhook) -> bool {
        webhook.endpoint.as_deref().is_some_and(|endpoint| self.endpoint.is(endpoint))
    }

    fn deletion_of(&self, id: u64) -> String {
        let url = self.census.url_of_webhook(id);
        format!("delete it: `curl -X DELETE -H \"Authorization: Bearer $CENSUS_TOKEN\" {url}`")
    }
}

/// Describes the state after an unconfirmed creation, with a hint. `new` lists webhooks that were not there before;
/// `None` if they could not be listed.
fn lost(new: Option<&[u64]>) -> (String, &'static str) {
    match new {
        Some([]) => ("It was not created: this endpoint has no new webhook".to_owned(), "run this again"),
        Some(new) => {
            let ids = listed(new);
            let found = format!("This endpoint has a new webhook ({ids}), and its secret is lost");
            (found, "run this with --rotate")
        }
        None => (
            "It is unknown whether it was created".to_owned(),
            "once Census answers, run this with --check; if there is a new webhook, its secret is lost, so run this with \
             --rotate",
        ),
    }
}

/// Returns whether Census may have created the webhook despite the error.
fn may_have_succeeded(error: &census::Error) -> bool {
    match &error.kind {
        ErrorKind::Status { status, .. } => *status >= 500,
        kind => matches!(
            kind,
            ErrorKind::Timeout { .. }
                | ErrorKind::Transport { .. }
                | ErrorKind::Shape { .. }
                | ErrorKind::EmptyBody { .. }
                | ErrorKind::NotJson { .. }
        ),
    }
}
