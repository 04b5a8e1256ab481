//! How many calls of the file system block at once.

use std::sync::Arc;

use restante_store::{StoreError, StoreErrorKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fault::STORE;

/// Runs file system calls on threads of their own, at most so many at once: a disk that hangs holds these and no
/// others.
///
/// What is in memory may be read without a turn. But a read that misses has made Linux ask the disk, and whoever asks a
/// disk that hangs waits as soon as its queue is full. So while as many misses as there are turns are without an
/// answer, nothing is read without a turn.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    turns: Arc<Semaphore>,
    misses: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn new(at_once: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(at_once)),
            misses: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// Whether something may be read without a turn although it is perhaps not in memory. Threads that ask at the same
    /// moment may go one miss each beyond the limit.
    pub(crate) fn may_miss(&self) -> bool {
        self.misses.available_permits() > 0
    }

    /// Counts a miss until the permit is dropped.
    pub(crate) fn missed(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.misses).try_acquire_owned().ok()
    }

    /// Runs `work`. It runs to its end even if nobody waits for it any more; its turn ends with it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        op: &'static str,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped = |why: String| StoreError::new(StoreErrorKind::Unknown, op, STORE).because(why);
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(|error| stopped(error.to_string()))?;
        let working = tokio::task::spawn_blocking(move || {
            let answer = work();
            drop(turn);
            answer
        });
        working.await.map_err(|error| stopped(error.to_string()))?
    }
}
