//! What a back-end shows of itself to the cases.
//!
//! One fixture is one empty store of its own; no two cases share one.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use restante_auth::DirectoryAdmin;
use restante_lock::LockManager;
use restante_store::{
    BlobLedger, BlobStore, Custody, ForeignMaildrops, KeyValueStore, MailIndex, PluginRegistry, Quota,
    StorageId,
};
use restante_types::{MaildropId, TenantId};

use crate::sample::{STORAGE, message};

const NO_RESTART: &str = "this back-end forgets when it stops: claim the cases that need a restart";

/// An empty index with the lock manager whose tokens it compares.
#[async_trait]
pub trait MailIndexFixture: Send + Sync {
    /// The index under test.
    fn index(&self) -> Arc<dyn MailIndex>;

    /// The same index, as the collector of blobs sees it.
    fn ledger(&self) -> Arc<dyn BlobLedger>;

    /// The same index, as an operator's tools see it.
    fn custody(&self) -> Arc<dyn Custody>;

    /// A storage besides the one of the sample messages.
    async fn other_storage(&self) -> StorageId {
        StorageId(STORAGE.0 + 1)
    }

    /// Grants the fences that the index accepts.
    fn locks(&self) -> Arc<dyn LockManager>;

    /// Adds a tenant whose deleted messages are kept for `retention`.
    async fn tenant(&self, retention: Duration) -> TenantId;

    /// Adds an empty maildrop.
    async fn maildrop(&self, tenant: TenantId, quota: Quota) -> MaildropId;

    /// Fills a maildrop with messages of these sizes, in this order. A back-end where a hundred thousand durable
    /// deliveries take minutes may write them in one step; their contents are those of a delivery.
    async fn fill(&self, maildrop: MaildropId, sizes: &[u64]) {
        let index = self.index();
        for octets in sizes {
            let blob = index.reserve(maildrop, STORAGE).await.unwrap();
            index.deliver(maildrop, message(blob, *octets)).await.unwrap();
        }
    }

    /// The present time of the clock by which the index notes reservations and deletions.
    fn now(&self) -> SystemTime;

    /// How long a reservation is honoured.
    fn grace(&self) -> Duration;

    /// Stops and opens the same data again, as after a crash: the locks of before are free.
    async fn restart(&mut self) {
        panic!("{NO_RESTART}");
    }
}

/// An empty store of blobs.
#[async_trait]
pub trait BlobStoreFixture: Send + Sync {
    /// The store under test.
    fn store(&self) -> Arc<dyn BlobStore>;

    /// Whether of puts that race for one key the store can tell which was first. Only a service that the suite is run
    /// against, and that has no conditional writes, excuses a `false`: keys are used once.
    fn tells_who_was_first(&self) -> bool {
        true
    }

    /// Stops and opens the same data again, as after a crash.
    async fn restart(&mut self) {
        panic!("{NO_RESTART}");
    }
}

/// Another mail system without messages.
#[async_trait]
pub trait ForeignMaildropsFixture: Send + Sync {
    /// The system under test.
    fn system(&self) -> Arc<dyn ForeignMaildrops>;

    /// Stops and opens the same data again, as after a crash.
    async fn restart(&mut self) {
        panic!("{NO_RESTART}");
    }
}

/// An empty store of plugins' values.
#[async_trait]
pub trait KeyValueFixture: Send + Sync {
    /// The store under test.
    fn store(&self) -> Arc<dyn KeyValueStore>;

    /// Stops and opens the same data again, as after a crash.
    async fn restart(&mut self) {
        panic!("{NO_RESTART}");
    }
}

/// A registry without plugins.
#[async_trait]
pub trait PluginRegistryFixture: Send + Sync {
    /// The registry under test.
    fn registry(&self) -> Arc<dyn PluginRegistry>;

    /// Stops and opens the same data again, as after a crash.
    async fn restart(&mut self) {
        panic!("{NO_RESTART}");
    }
}

/// A lock manager that has granted nothing yet.
#[async_trait]
pub trait LockManagerFixture: Send + Sync {
    /// The lock manager under test.
    fn manager(&self) -> Arc<dyn LockManager>;

    /// A maildrop that no other call has answered.
    async fn maildrop(&self) -> MaildropId;

    /// Starts the frontend again after a crash: what it held is free, its tokens go on growing.
    async fn restart(&mut self);
}

/// A directory without tenants.
#[async_trait]
pub trait DirectoryFixture: Send + Sync {
    /// The directory under test.
    fn directory(&self) -> Arc<dyn DirectoryAdmin>;

    /// Stops and opens the same data again, as after a crash.
    async fn restart(&mut self) {
        panic!("{NO_RESTART}");
    }
}
