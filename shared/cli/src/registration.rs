//! The webhook at Census and its stored secret, compared and corrected.
//!
//! The order is look, create, store, delete. Our secret is read before anything is created, so that a missing or denied one
//! is reported before any change. A step that cannot be finished is undone, or reported.

use secrecy::{ExposeSecret as _, SecretString};
use syncwatch::aws::secrets::{SecretError, SecretStore, SecretValues};
use syncwatch::census::{self, CreatedWebhook, ErrorKind, NewWebhook, Webhook};

use super::endpoint::Endpoint;
use super::error::Error;
use super::plan::{Found, OurSecret, Plan, listed};

/// What our webhooks are called at Census.
const NAME: &str = "Syncwatch";

/// Both sides of a registration.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) census: census::Client,
    pub(super) secrets: SecretStore,
    pub(super) secret_name: String,
    pub(super) endpoint: Endpoint,
    pub(super) pipeline: String,
}

impl Registration {
    /// Looks at both sides.
    pub(super) async fn look(&self) -> Result<Found, Error> {
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

    /// Does what was planned, or undoes it. Answers with what was done.
    pub(super) async fn carry_out(&self, plan: &Plan) -> Result<String, Error> {
        let secret_name = &self.secret_name;
        match plan {
            Plan::Keep { .. } => Ok("Nothing to do; nothing was changed.".to_owned()),
            Plan::Create { .. } => {
                let id = self.create(&[]).await?;
                Ok(format!("Done: webhook {id} is made, and its secret is in {secret_name}."))
            }
            Plan::Subscribe { webhook, missing } => {
                let mut wanted = webhook.clone();
                wanted.events.extend(missing.iter().map(|event| (*event).to_owned()));
                let missing = self.census.update_webhook(&wanted).await?.missing_events();
                if !missing.is_empty() {
                    let (id, missing) = (webhook.id, missing.join(", "));
                    let what =
                        format!("Census took the update of webhook {id}, but still does not send {missing}");
                    return Err(Error::new(what, "run this with --rotate"));
                }
                Ok(format!("Done: webhook {} gets every event.", webhook.id))
            }
            Plan::Replace { old, .. } => {
                let id = self.create(old).await?;
                for old in old {
                    if let Err(why) = self.census.delete_webhook(*old).await {
                        return Err(Error::new(
                            format!(
                                "the new webhook {id} is created and its secret stored, but the old webhook {old} could not \
                                 be deleted ({why}). Until then every event comes twice, which is harmless as long as its \
                                 secret is the previous one"
                            ),
                            self.deletion_of(*old),
                        ));
                    }
                }
                Ok(format!(
                    "Done: webhook {id} is made, its secret is in {secret_name}, and {} deleted. The intake takes both the \
                     new secret and the previous one.",
                    listed(old)
                ))
            }
            Plan::Refuse(why) => Err(Error::plain(why)),
        }
    }

    /// Makes a webhook and stores its secret, both or neither. `before` are those that post to our endpoint already.
    async fn create(&self, before: &[u64]) -> Result<u64, Error> {
        // Read anew: a value may have been put between the look and this moment.
        let previous = self.stored().await?.map(|values| values.current);
        let wanted = NewWebhook {
            name: NAME.to_owned(),
            description: format!("Wakes Syncwatch of the pipeline {}", self.pipeline),
            endpoint: self.endpoint.to_string(),
            // All of them, those that Census invents later included: the intake keeps and counts what it does not know.
            events: Vec::new(),
        };
        let CreatedWebhook { id, secret } = match self.census.create_webhook(&wanted).await {
            Ok(created) => created,
            Err(error) if may_have_been_taken(&error) => {
                let (found, hint) = lost(self.new_beside(before).await.as_deref());
                let what =
                    format!("Census's answer to the new webhook was lost or unreadable ({error}). {found}");
                return Err(Error::new(what, hint));
            }
            Err(error) => return Err(error.into()),
        };
        let values = SecretValues { current: secret, previous, webhook_id: Some(id) };
        let Err(why) = self.secrets.put(&self.secret_name, &values).await else { return Ok(id) };
        if self.is_stored(&values.current).await {
            // It was taken, and only the answer was lost.
            return Ok(id);
        }
        let failed = format!("the secret of the new webhook {id} could not be stored ({})", Error::from(why));
        Err(match self.census.delete_webhook(id).await {
            Ok(()) => Error::new(
                format!("{failed}. The webhook is deleted again, so nothing has changed"),
                "fix that, and run this again",
            ),
            Err(undo) => Error::new(
                format!(
                    "{failed}, nor could the webhook be deleted again ({undo}). Its deliveries are refused as long as it \
                     exists, because its secret is lost"
                ),
                format!("fix that, then {}", self.deletion_of(id)),
            ),
        })
    }

    /// What our secret holds; none if it exists and is empty.
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

    /// The webhooks with our endpoint, but for these.
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

/// What became of a webhook whose creation Census did not confirm, and what to do. `new` are those that were not there
/// before; none if they could not be listed.
fn lost(new: Option<&[u64]>) -> (String, &'static str) {
    match new {
        Some([]) => ("It was not created: this endpoint has no new webhook".to_owned(), "run this again"),
        Some(new) => {
            let ids = listed(new);
            let found = format!("This endpoint has a new one all the same ({ids}), and its secret is lost");
            (found, "run this with --rotate")
        }
        None => (
            "Whether it was created is unknown".to_owned(),
            "once Census answers, run this with --check; the secret of a webhook that was not there before is lost, so \
             then run it with --rotate",
        ),
    }
}

/// Whether Census may have done what was asked although the answer was an error.
fn may_have_been_taken(error: &census::Error) -> bool {
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
