//! Reads that more than one program makes: samples of rejected records, comparisons of objects, the live definition of a
//! pipeline, its history, what remedies rely on, the speed of syncs, and what the status page shows.

pub mod definition;
pub mod history;
pub mod objects;
pub mod page;
pub mod proof;
pub mod remedies;
pub mod speed;
mod streams;

use std::sync::atomic::{AtomicBool, Ordering};

use crate::census::Client;
use crate::judge::run_to_sample;
use crate::observation::{RunHistory, Samples, Unread};
use crate::pipeline::Sync;

/// Syncs that are read at the same time.
const AT_ONCE: usize = 8;
/// The number of rejected records to sample for the cause.
const SAMPLES: u32 = 20;

/// Samples records for one round of a function.
///
/// Samples are optional: if reading them fails, the finding is reported without them. After a failed request no further ones
/// are made, so that a round does not spend its time on waiting.
#[derive(Debug)]
pub struct Sampler<'c> {
    census: &'c Client,
    given_up: AtomicBool,
}

impl<'c> Sampler<'c> {
    /// Creates a sampler that uses this client.
    pub fn new(census: &'c Client) -> Self {
        Self { census, given_up: AtomicBool::new(false) }
    }

    /// Samples the rejected records of the one run of a sync that needs it, if there is one.
    pub async fn sample(&self, history: &RunHistory, declared: &Sync) -> Option<Samples> {
        let run = run_to_sample(history, declared).filter(|_| !self.given_up.load(Ordering::Relaxed))?;
        match self.census.rejected_records(run, SAMPLES).await {
            Ok(records) => Some(Samples { run, records }),
            Err(error) => {
                // Missing or unreadable records of one run do not affect those of other runs.
                if !matches!(error.to_unread(), Unread::Unreadable(_)) {
                    self.given_up.store(true, Ordering::Relaxed);
                }
                tracing::warn!(sync = %declared.key, %run, %error, "rejected records not sampled");
                None
            }
        }
    }
}
