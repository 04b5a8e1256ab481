//! A limit on how long a storage may take. Does not retry.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use restante_types::Octets;
use tokio::time::Instant;

use crate::wrapper::index_through_call;
use crate::{BlobKey, BlobReader, BlobStore, OctetRange, StoreError, StoreErrorKind};

/// Ends every call that takes longer than a limit with `Timeout`.
///
/// The limit holds for the opening of a body and for each piece of it, not for the body as a whole, which takes as
/// long as it is large. While a `put` waits for its own source, no time is counted. A commit has its
/// [`commit_allowance`] besides.
#[derive(Debug)]
pub struct Timeout<S: ?Sized> {
    limit: Duration,
    inner: Arc<S>,
}

impl<S: ?Sized> Timeout<S> {
    /// Gives `inner` at most `limit` for each call and each piece.
    pub const fn new(inner: Arc<S>, limit: Duration) -> Self {
        Self { limit, inner }
    }

    async fn call<T>(
        &self,
        op: &'static str,
        n_messages: usize,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let allowance = commit_allowance(n_messages);
        within(op, self.limit + allowance, call).await
    }
}

/// How much longer than others a call may take that changes so many messages in one step: a client that has left a
/// million messages on the server must be able to delete them.
pub fn commit_allowance(n_messages: usize) -> Duration {
    const PER_MESSAGE: Duration = Duration::from_micros(100);
    PER_MESSAGE.saturating_mul(u32::try_from(n_messages).unwrap_or(u32::MAX))
}

fn late(op: &'static str, limit: Duration) -> StoreError {
    StoreError::new(StoreErrorKind::Timeout, op, "timeout").because(format!("no answer within {limit:?}"))
}

async fn within<T>(
    op: &'static str,
    limit: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let mut call = pin!(call);
    // What is in memory is answered at once, and costs less than a timer does.
    if let Poll::Ready(answer) = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await {
        return answer;
    }
    tokio::time::timeout(limit, call)
        .await
        .unwrap_or_else(|_| Err(late(op, limit)))
}

index_through_call!(Timeout);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: BlobStore + ?Sized> BlobStore for Timeout<S> {
    async fn put(&self, key: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        let patience = Patience::new(self.limit);
        let mut body = PatientReader {
            body,
            patience: &patience,
        };
        let mut put = pin!(self.inner.put(key, octets, &mut body));
        loop {
            tokio::select! {
                answer = &mut put => return answer,
                () = tokio::time::sleep_until(patience.earliest_end()) => {
                    if patience.is_over() {
                        return Err(late("put", self.limit));
                    }
                }
            }
        }
    }

    async fn get(&self, key: &BlobKey, range: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        let reader = self.call("get", 0, self.inner.get(key, range)).await?;
        Ok(Box::new(TimedReader {
            reader,
            limit: self.limit,
        }))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        self.call("delete", 0, self.inner.delete(key)).await
    }

    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        self.call("list", 0, self.inner.list(after, limit)).await
    }
}

struct TimedReader {
    reader: Box<dyn BlobReader>,
    limit: Duration,
}

#[async_trait]
impl BlobReader for TimedReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        within("read", self.limit, self.reader.next()).await
    }
}

/// Since when the storage, not the source, is at work; `None` while the source is.
struct Patience {
    limit: Duration,
    since: Mutex<Option<Instant>>,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: Mutex::new(Some(Instant::now())),
        }
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No deadline can pass before this instant.
    fn earliest_end(&self) -> Instant {
        self.since().unwrap_or_else(Instant::now) + self.limit
    }

    fn is_over(&self) -> bool {
        self.since().is_some_and(|since| since.elapsed() >= self.limit)
    }
}

struct PatientReader<'a> {
    body: &'a mut dyn BlobReader,
    patience: &'a Patience,
}

#[async_trait]
impl BlobReader for PatientReader<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        *self.patience.since() = None;
        let answer = self.body.next().await;
        *self.patience.since() = Some(Instant::now());
        answer
    }
}
