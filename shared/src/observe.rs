//! Reads of the world that more than one function makes, into the types of `observation`: samples of the records that tell
//! why a share of them does not arrive.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::census::Client;
use crate::judge::run_to_sample;
use crate::observation::{RunHistory, Samples, Unread};
use crate::pipeline::Sync;

/// How many records that did not arrive are sampled to tell why.
const SAMPLES: u32 = 20;

/// Samples records for one round of a function.
///
/// Samples are a help, not a need: whatever goes wrong here, the finding is told without them, and a Census that does not
/// answer is asked for no more of them, so that a round does not spend its time on waiting.
#[derive(Debug)]
pub struct Sampler<'c> {
    census: &'c Client,
    given_up: AtomicBool,
}

impl<'c> Sampler<'c> {
    /// A sampler that asks this client.
    pub fn new(census: &'c Client) -> Self {
        Self { census, given_up: AtomicBool::new(false) }
    }

    /// Samples the records of the one run of a sync that is worth asking for them, if there is one.
    pub async fn sample(&self, history: &RunHistory, declared: &Sync) -> Option<Samples> {
        let run = run_to_sample(history, declared).filter(|_| !self.given_up.load(Ordering::Relaxed))?;
        match self.census.rejected_records(run, SAMPLES).await {
            Ok(records) => Some(Samples { run, records }),
            Err(error) => {
                // Records of one run that are gone, or make no sense, say nothing of those of others.
                if !matches!(error.to_unread(), Unread::Unreadable(_)) {
                    self.given_up.store(true, Ordering::Relaxed);
                }
                tracing::warn!(sync = %declared.key, %run, %error, "rejected records could not be sampled");
                None
            }
        }
    }
}
