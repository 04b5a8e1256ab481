//! Messages that broke off as damaged: read whole before the next client is told `+OK`.
//!
//! A client that is cut off in the middle of the same message at every visit never gets to the messages behind it.
//! One that is refused goes on.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use restante_session::Cut;
use restante_store::{BlobKey, BlobStores, BodyRef, StoreError};

use crate::body;

/// More than this many at once is no matter of single messages: all of it is given up.
const MOST: usize = 10_000;

/// The blobs under suspicion, over all sessions of the process.
#[derive(Debug, Default)]
pub(crate) struct Suspects(Mutex<HashSet<BlobKey>>);

impl Suspects {
    /// A body was found damaged while it was sent.
    pub(crate) fn add(&self, blob: BlobKey) {
        let mut suspects = self.suspects();
        if suspects.len() >= MOST {
            suspects.clear();
        }
        suspects.insert(blob);
    }

    /// Reads a body under suspicion to its end. One that is well, perhaps because it was restored, is suspected no
    /// longer.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) async fn clear(&self, blobs: &BlobStores, reference: &BodyRef) -> Result<(), StoreError> {
        if !self.suspects().contains(&reference.blob) {
            return Ok(());
        }
        let mut body = body::open(blobs, reference, Cut::Whole).await?;
        while body.next().await?.is_some() {}
        body.finish()?;
        self.suspects().remove(&reference.blob);
        Ok(())
    }

    fn suspects(&self) -> MutexGuard<'_, HashSet<BlobKey>> {
        // Each change is one call; a panic elsewhere leaves the set whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
