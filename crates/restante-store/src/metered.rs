//! Reports each call to a storage, and makes a span of it in sessions that are traced. Start at [`Metered`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use restante_telemetry::{SPAN_TARGET, StorageCalled, Telemetry, in_session};
use restante_types::Octets;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use crate::wrapper::index_through_call;
use crate::{BlobKey, BlobReader, BlobStore, OctetRange, StoreError, StoreErrorKind};

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// With success.
    Done,
    /// With an error of this kind.
    Failed(StoreErrorKind),
    /// Nobody waited for its end: the call was cancelled, or a reader was dropped before its end.
    Dropped,
}

impl CallResult {
    /// The name used in metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Failed(kind) => kind.as_str(),
            Self::Dropped => "dropped",
        }
    }
}

/// One call, after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreCall<'a> {
    /// The operation: the method's name; `read` for everything between an opened reader and its end.
    pub op: &'static str,
    /// The storage.
    pub store: &'a str,
    /// How it ended.
    pub result: CallResult,
    /// How long it took. For `put` and `read` with the time the other side took.
    pub elapsed: Duration,
    /// Octets of bodies that were moved.
    pub octets: Octets,
}

/// Takes note of calls. Must not block.
pub trait StoreObserver: fmt::Debug + Send + Sync {
    /// Called once after each call.
    fn called(&self, call: &StoreCall<'_>);
}

impl StoreObserver for Telemetry {
    fn called(&self, call: &StoreCall<'_>) {
        self.emit(StorageCalled {
            storage: call.store,
            operation: call.op,
            result: call.result.as_str(),
            elapsed: call.elapsed,
            octets: call.octets.get(),
        });
    }
}

/// Reports each call to an observer and changes nothing.
#[derive(Debug)]
pub struct Metered<S: ?Sized> {
    observer: Arc<dyn StoreObserver>,
    name: Arc<str>,
    inner: Arc<S>,
}

impl<S: ?Sized> Metered<S> {
    /// Observes `inner` under a name, such as that of the configuration.
    pub fn new(inner: Arc<S>, name: &str, observer: Arc<dyn StoreObserver>) -> Self {
        Self {
            observer,
            name: name.into(),
            inner,
        }
    }

    fn span(&self, op: &'static str) -> Span {
        in_session(
            || tracing::info_span!(target: SPAN_TARGET, "storage", op, store = &*self.name, kind = tracing::field::Empty),
        )
    }

    fn begin(&self, op: &'static str) -> Running {
        Running {
            observer: Arc::clone(&self.observer),
            name: Arc::clone(&self.name),
            op,
            since: Instant::now(),
            result: CallResult::Dropped,
            octets: Octets::ZERO,
        }
    }

    async fn call<T>(
        &self,
        op: &'static str,
        _n_messages: usize,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut running = self.begin(op);
        let span = self.span(op);
        let answer = call.instrument(span.clone()).await;
        running.end(&answer);
        note_failure(&span, &answer);
        answer
    }
}

fn note_failure<T>(span: &Span, answer: &Result<T, StoreError>) {
    if let Err(error) = answer {
        span.record("kind", error.kind.as_str());
    }
}

/// A call not yet ended; reports when dropped, so that a cancelled call is counted too.
struct Running {
    observer: Arc<dyn StoreObserver>,
    name: Arc<str>,
    op: &'static str,
    since: Instant,
    result: CallResult,
    octets: Octets,
}

impl Running {
    fn end<T>(&mut self, answer: &Result<T, StoreError>) {
        self.result = match answer {
            Ok(_) => CallResult::Done,
            Err(error) => CallResult::Failed(error.kind),
        };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.observer.called(&StoreCall {
            op: self.op,
            store: &self.name,
            result: self.result,
            elapsed: self.since.elapsed(),
            octets: self.octets,
        });
    }
}

index_through_call!(Metered);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: BlobStore + ?Sized> BlobStore for Metered<S> {
    async fn put(&self, key: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        let mut running = self.begin("put");
        let span = self.span("put");
        let answer = self.inner.put(key, octets, body).instrument(span.clone()).await;
        note_failure(&span, &answer);
        if answer.is_ok() {
            running.octets = octets;
        }
        running.end(&answer);
        answer
    }

    async fn get(&self, key: &BlobKey, range: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        let reader = self.call("get", 0, self.inner.get(key, range)).await?;
        Ok(Box::new(MeteredReader {
            reader,
            running: self.begin("read"),
            span: self.span("read"),
        }))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        self.call("delete", 0, self.inner.delete(key)).await
    }

    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        self.call("list", 0, self.inner.list(after, limit)).await
    }
}

struct MeteredReader {
    reader: Box<dyn BlobReader>,
    running: Running,
    span: Span,
}

#[async_trait]
impl BlobReader for MeteredReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let answer = self.reader.next().instrument(self.span.clone()).await;
        note_failure(&self.span, &answer);
        match &answer {
            Ok(Some(piece)) => self.running.octets += Octets::of(piece),
            Ok(None) | Err(_) => self.running.end(&answer),
        }
        answer
    }
}
