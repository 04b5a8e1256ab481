//! How many calls of the file system block at once.

use std::sync::Arc;

use restante_store::{StoreError, StoreErrorKind};
use tokio::sync::Semaphore;

use crate::fault::STORE;

/// Runs file system calls on threads of their own, at most so many at once: a disk that hangs holds these and no
/// others.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    turns: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn new(at_once: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(at_once)),
        }
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
