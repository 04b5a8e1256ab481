//! Back-ends with a switch, and messages to send through them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use restante_lock::{LockError, LockManager};
use restante_session::DeleteSet;
use restante_store::{
    BlobKey, BlobReader, BlobStore, Committed, Delivered, FaultPlan, Faulty, Listing, MailIndex, NewMessage,
    OctetRange, Quota, StorageId, StoreError, Usage,
};
use restante_testkit::{TestServer, TestServerBuilder};
use restante_types::{Fence, MaildropId, Octets, SessionId};
use tokio::sync::Semaphore;

/// A server whose index and blobs fail as the plan says.
pub(crate) fn faulty() -> (TestServerBuilder, Arc<FaultPlan>) {
    let plan = Arc::new(FaultPlan::new());
    let (for_index, for_blobs) = (Arc::clone(&plan), Arc::clone(&plan));
    let builder = TestServer::builder()
        .wrap_index(move |index| Arc::new(Faulty::new(index, for_index)))
        .wrap_blobs(move |blobs| Arc::new(Faulty::new(blobs, for_blobs)));
    (builder, plan)
}

/// What RETR sends after its first line, up to but without the terminator.
pub(crate) fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + 64);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire
}

/// A canonical message of about `octets` octets; `dots` puts a dot in front of every third line.
pub(crate) fn letter(octets: usize, dots: bool) -> Vec<u8> {
    let mut message = b"Subject: a letter\r\nFrom: somebody@elsewhere.test\r\n\r\n".to_vec();
    let mut line = 0;
    while message.len() < octets {
        let dot = if dots && line % 3 == 0 { "." } else { "" };
        message.extend_from_slice(format!("{dot}line {line} of some length, as letters have\r\n").as_bytes());
        line += 1;
    }
    message
}

/// Passes every call of an index on, except for the commit: that is counted, and waits until it is let through.
#[derive(Debug)]
pub(crate) struct HeldCommit {
    inner: Arc<dyn MailIndex>,
    held: Arc<Held>,
}

/// The switch of a [`HeldCommit`] or a [`HeldProbe`].
#[derive(Debug)]
pub(crate) struct Held {
    begun: AtomicUsize,
    ended: AtomicUsize,
    gate: Semaphore,
}

impl Held {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            gate: Semaphore::new(0),
        })
    }

    pub(crate) fn n_begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    pub(crate) fn n_ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }

    pub(crate) fn let_one_through(&self) {
        self.gate.add_permits(1);
    }

    /// Every commit from now on panics.
    pub(crate) fn blow_up(&self) {
        self.gate.close();
    }

    pub(crate) fn index(self: &Arc<Self>, inner: Arc<dyn MailIndex>) -> Arc<dyn MailIndex> {
        let held = Arc::clone(self);
        Arc::new(HeldCommit { inner, held })
    }

    pub(crate) fn locks(self: &Arc<Self>, inner: Arc<dyn LockManager>) -> Arc<dyn LockManager> {
        let held = Arc::clone(self);
        Arc::new(HeldProbe { inner, held })
    }

    async fn pass(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
    }
}

impl fmt::Display for HeldCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl MailIndex for HeldCommit {
    async fn snapshot(&self, fence: &Fence) -> Result<Listing, StoreError> {
        self.inner.snapshot(fence).await
    }

    async fn commit(
        &self,
        fence: &Fence,
        session: SessionId,
        deletes: &DeleteSet,
    ) -> Result<Committed, StoreError> {
        self.held.pass().await;
        let result = self.inner.commit(fence, session, deletes).await;
        self.held.ended.fetch_add(1, Ordering::SeqCst);
        result
    }

    async fn outcome(&self, fence: &Fence, session: SessionId) -> Result<Option<Committed>, StoreError> {
        self.inner.outcome(fence, session).await
    }

    async fn reserve(&self, maildrop: MaildropId, storage: StorageId) -> Result<BlobKey, StoreError> {
        self.inner.reserve(maildrop, storage).await
    }

    async fn deliver(&self, maildrop: MaildropId, message: NewMessage) -> Result<Delivered, StoreError> {
        self.inner.deliver(maildrop, message).await
    }

    async fn usage(&self, maildrop: MaildropId) -> Result<(Usage, Quota), StoreError> {
        self.inner.usage(maildrop).await
    }
}

/// A blob store that panics once when its bodies are opened, if it is told to.
#[derive(Debug)]
pub(crate) struct Grenade {
    pub(crate) inner: Arc<dyn BlobStore>,
    pub(crate) armed: Arc<AtomicBool>,
}

impl fmt::Display for Grenade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl BlobStore for Grenade {
    async fn put(&self, key: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        self.inner.put(key, octets, body).await
    }

    async fn get(&self, key: &BlobKey, range: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        assert!(!self.armed.swap(false, Ordering::SeqCst), "on purpose");
        self.inner.get(key, range).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        self.inner.delete(key).await
    }
}

/// Locks that are released only after a while: whoever does not wait for it is found out.
#[derive(Debug)]
pub(crate) struct SlowRelease {
    pub(crate) inner: Arc<dyn LockManager>,
    pub(crate) wait: Duration,
}

impl fmt::Display for SlowRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl LockManager for SlowRelease {
    async fn open(&self, maildrop: MaildropId, session: SessionId) -> Result<Fence, LockError> {
        self.inner.open(maildrop, session).await
    }

    async fn probe(&self, fences: &[Fence]) -> Result<Vec<Fence>, LockError> {
        self.inner.probe(fences).await
    }

    async fn release(&self, fence: &Fence) -> Result<(), LockError> {
        tokio::time::sleep(self.wait).await;
        self.inner.release(fence).await
    }

    async fn supersede(&self, maildrop: MaildropId) -> Result<bool, LockError> {
        self.inner.supersede(maildrop).await
    }

    async fn heartbeat(&self) -> Result<(), LockError> {
        self.inner.heartbeat().await
    }
}

/// Passes every call of a lock manager on, except for the question who has lost a maildrop: that is counted, and waits
/// until it is let through.
#[derive(Debug)]
pub(crate) struct HeldProbe {
    inner: Arc<dyn LockManager>,
    held: Arc<Held>,
}

impl fmt::Display for HeldProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl LockManager for HeldProbe {
    async fn open(&self, maildrop: MaildropId, session: SessionId) -> Result<Fence, LockError> {
        self.inner.open(maildrop, session).await
    }

    async fn probe(&self, fences: &[Fence]) -> Result<Vec<Fence>, LockError> {
        self.held.pass().await;
        self.inner.probe(fences).await
    }

    async fn release(&self, fence: &Fence) -> Result<(), LockError> {
        self.inner.release(fence).await
    }

    async fn supersede(&self, maildrop: MaildropId) -> Result<bool, LockError> {
        self.inner.supersede(maildrop).await
    }

    async fn heartbeat(&self) -> Result<(), LockError> {
        self.inner.heartbeat().await
    }
}
