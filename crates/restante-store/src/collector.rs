//! The collector: removes blobs that no message needs any more.
//!
//! One way only. It removes what the ledger has condemned, never anything it found by itself, and nothing it does
//! brings a message back. A delete that fails, whatever the reason, has an unknown outcome and is tried again in a
//! later pass. What the ledger condemns an operator can stop, on all frontends at once
//! ([`Custody::stop_collection`](crate::Custody::stop_collection)). Start at [`Collector::collect_once`].

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::stream;
use restante_telemetry::{BlobsCollected, CollectorSeen, Telemetry};
use restante_types::Clock;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use crate::{BlobKey, BlobLedger, BlobStores, Condemned, StorageId, StoreError, StoreErrorKind, failpoint};

/// How fast blobs are removed.
#[derive(Clone, Copy, Debug)]
pub struct CollectorSettings {
    /// From the start of one pass to the start of the next.
    pub interval: Duration,
    /// How many blobs are asked for at once.
    pub batch: usize,
    /// How many removals one pass may try. With the interval it bounds the rate, and the damage before somebody
    /// reaches for the switch.
    pub per_pass: usize,
    /// How many removals run at once.
    pub concurrency: usize,
    /// A pass that removes so many is told as an error.
    pub alarm: usize,
}

impl Default for CollectorSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(1),
            batch: 500,
            per_pass: 10_000,
            concurrency: 8,
            alarm: 5_000,
        }
    }
}

/// What one pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs that are gone and forgotten.
    pub n_collected: usize,
    /// Blobs whose removal failed; a later pass tries again.
    pub n_failed: usize,
}

/// Removes condemned blobs. Several frontends may collect at once: every step is idempotent.
#[derive(Debug)]
pub struct Collector {
    ledger: Arc<dyn BlobLedger>,
    stores: Arc<BlobStores>,
    clock: Arc<dyn Clock>,
    settings: CollectorSettings,
}

impl Collector {
    /// Removes from `stores` what `ledger` condemns by the civil time of `clock`.
    pub fn new(
        ledger: Arc<dyn BlobLedger>,
        stores: Arc<BlobStores>,
        clock: Arc<dyn Clock>,
        settings: CollectorSettings,
    ) -> Self {
        Self {
            ledger,
            stores,
            clock,
            settings,
        }
    }

    /// Runs a pass now and one every interval, for ever.
    ///
    /// # Cancel safety
    /// Cancel safe: drop it to end it. A removal under way happens or not, and is repeated either way.
    pub async fn run(&self, telemetry: &Telemetry) -> Infallible {
        let mut ticks = interval(self.settings.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let pass = self.collect_once(self.clock.wall()).await;
            if let Ok(pass) = &pass {
                self.count(pass, telemetry).await;
            }
            match pass {
                Ok(Collected {
                    n_collected: 0,
                    n_failed: 0,
                }) => {}
                Ok(Collected {
                    n_collected,
                    n_failed,
                }) if n_collected >= self.settings.alarm => error!(
                    n_collected,
                    n_failed,
                    "unusually many blobs are removed; `restante collector stop` ends it on all frontends"
                ),
                Ok(Collected {
                    n_collected,
                    n_failed,
                }) => info!(n_collected, n_failed, "blobs collected"),
                Err(error) => warn!(%error, "blobs are not collected, trying again"),
            }
        }
    }

    /// Says what a pass did and what waits behind it, as far as one more look at the list shows.
    async fn count(&self, pass: &Collected, telemetry: &Telemetry) {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let now = self.clock.wall();
        let n_waiting = match self.ledger.condemned(now, self.settings.per_pass).await {
            Ok(waiting) => waiting.len(),
            Err(_) => pass.n_failed,
        };
        telemetry.emit(BlobsCollected {
            n_collected: number(pass.n_collected),
            n_failed: number(pass.n_failed),
            n_waiting: number(n_waiting),
        });
        telemetry.emit(CollectorSeen { finished: now });
    }

    /// One pass over what is condemned as of `now`.
    ///
    /// # Errors
    /// As [`BlobLedger`]. What was removed before stays removed.
    ///
    /// # Cancel safety
    /// As [`Collector::run`].
    pub async fn collect_once(&self, now: SystemTime) -> Result<Collected, StoreError> {
        let mut pass = Collected::default();
        let mut failed = HashSet::new();
        loop {
            let room = self
                .settings
                .per_pass
                .saturating_sub(pass.n_collected + pass.n_failed);
            let wanted = room.min(self.settings.batch);
            if wanted == 0 {
                return Ok(pass);
            }
            // The ledger lists a failed blob again; asking for so many more, others get their turn.
            let listed = self.ledger.condemned(now, wanted + failed.len()).await?;
            let batch: Vec<Condemned> = listed
                .into_iter()
                .filter(|blob| !failed.contains(&name(blob)))
                .take(wanted)
                .collect();
            if batch.is_empty() {
                return Ok(pass);
            }
            let removed = self.remove(batch, &mut failed).await;
            failpoint("collector.removed");
            if !removed.is_empty() {
                self.ledger.collected(&removed).await?;
            }
            pass.n_collected += removed.len();
            pass.n_failed = failed.len();
        }
    }

    /// Removes a batch and answers which blobs are gone.
    async fn remove(
        &self,
        batch: Vec<Condemned>,
        failed: &mut HashSet<(StorageId, BlobKey)>,
    ) -> Vec<Condemned> {
        let removals: Vec<_> = batch.into_iter().map(|blob| self.remove_one(blob)).collect();
        let mut outcomes = stream::iter(removals).buffer_unordered(self.settings.concurrency.max(1));
        let mut removed = Vec::new();
        while let Some((blob, outcome)) = outcomes.next().await {
            match outcome {
                Outcome::Gone => removed.push(blob),
                Outcome::Failed => {
                    failed.insert(name(&blob));
                }
            }
        }
        removed
    }

    async fn remove_one(&self, blob: Condemned) -> (Condemned, Outcome) {
        let deleted = match self.stores.get(blob.storage) {
            Ok(store) => store.delete(&blob.blob).await,
            Err(error) => Err(error),
        };
        let outcome = match deleted {
            Ok(()) => Outcome::Gone,
            Err(error) if error.kind == StoreErrorKind::NotFound => Outcome::Gone,
            Err(error) if error.kind.is_temporary() => {
                warn!(blob = %blob.blob, %error, "blob not removed, trying again later");
                Outcome::Failed
            }
            Err(error) => {
                error!(blob = %blob.blob, %error, "blob not removed, trying again later");
                Outcome::Failed
            }
        };
        (blob, outcome)
    }
}

enum Outcome {
    Gone,
    Failed,
}

fn name(blob: &Condemned) -> (StorageId, BlobKey) {
    (blob.storage, blob.blob)
}

#[cfg(test)]
mod tests;
