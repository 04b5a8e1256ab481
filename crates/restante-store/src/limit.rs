//! A limit on how many calls a storage gets at once: a slow storage must not collect all sessions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use restante_types::Octets;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::wrapper::index_through_call;
use crate::{BlobKey, BlobReader, BlobStore, OctetRange, StoreError, StoreErrorKind};

/// Lets at most so many calls through at once; a call that waits too long for its turn fails with `Throttled`,
/// and was never made.
///
/// A reader takes its turn for each piece and holds none between pieces, so slow clients do not use turns up. A
/// `put` holds its turn to the end, since the storage is at work all the while; its source should be at hand.
#[derive(Debug)]
pub struct Limit<S: ?Sized> {
    turns: Turns,
    inner: Arc<S>,
}

#[derive(Clone, Debug)]
struct Turns {
    semaphore: Arc<Semaphore>,
    wait: Duration,
}

impl<S: ?Sized> Limit<S> {
    /// Gives `inner` at most `at_once` calls at a time, at least one; a call waits at most `wait` for its turn.
    pub fn new(inner: Arc<S>, at_once: usize, wait: Duration) -> Self {
        let semaphore = Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            turns: Turns { semaphore, wait },
            inner,
        }
    }

    async fn call<T>(
        &self,
        op: &'static str,
        _n_messages: usize,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let _turn = self.turns.take(op).await?;
        call.await
    }
}

impl Turns {
    async fn take(&self, op: &'static str) -> Result<OwnedSemaphorePermit, StoreError> {
        let throttled =
            || StoreError::new(StoreErrorKind::Throttled, op, "limit").because("too many calls at once");
        let turn = Arc::clone(&self.semaphore).acquire_owned();
        tokio::time::timeout(self.wait, turn)
            .await
            .map_err(|_| throttled())?
            .map_err(|_| throttled())
    }
}

index_through_call!(Limit);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: BlobStore + ?Sized> BlobStore for Limit<S> {
    async fn put(&self, key: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        self.call("put", 0, self.inner.put(key, octets, body)).await
    }

    async fn get(&self, key: &BlobKey, range: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        let reader = self.call("get", 0, self.inner.get(key, range)).await?;
        Ok(Box::new(LimitedReader {
            reader,
            turns: self.turns.clone(),
        }))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        self.call("delete", 0, self.inner.delete(key)).await
    }

    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        self.call("list", 0, self.inner.list(after, limit)).await
    }
}

struct LimitedReader {
    reader: Box<dyn BlobReader>,
    turns: Turns,
}

#[async_trait]
impl BlobReader for LimitedReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let _turn = self.turns.take("read").await?;
        self.reader.next().await
    }
}
