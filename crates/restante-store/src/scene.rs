//! For tests: one maildrop, two storages in memory, and faults where a test wants them.

use std::sync::Arc;
use std::time::Duration;

use restante_lock::{LockManager as _, LockTable, MemoryLockManager};
use restante_session::DeleteSet;
use restante_types::{Clock as _, MaildropId, MessageNumber, Octets, SessionId, SystemClock, TenantId};

use crate::{
    BlobKey, BlobStore as _, BlobStores, Custody as _, Deliverer, Delivery, FaultPlan, Faulty,
    MailIndex as _, MemoryBlobStore, MemoryMailIndex, OctetRange, Quota, Spool, SpoolSettings, StorageId,
    StoredMessage,
};

pub(crate) const OLD: StorageId = StorageId(1);
pub(crate) const NEW: StorageId = StorageId(2);
pub(crate) const RETENTION: Duration = Duration::from_hours(24);

pub(crate) struct Scene {
    pub(crate) index: Arc<MemoryMailIndex>,
    pub(crate) old: Arc<MemoryBlobStore>,
    pub(crate) new: Arc<MemoryBlobStore>,
    pub(crate) plan: Arc<FaultPlan>,
    pub(crate) stores: Arc<BlobStores>,
    pub(crate) maildrop: MaildropId,
    pub(crate) locks: MemoryLockManager,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let table = Arc::new(LockTable::new(1).unwrap());
        let index = Arc::new(MemoryMailIndex::new(Arc::clone(&table), Arc::new(SystemClock)));
        let maildrop = MaildropId::new(TenantId::new(1).unwrap(), 1).unwrap();
        index.add_maildrop(maildrop, Quota::default(), RETENTION);
        let (old, new) = (Arc::new(MemoryBlobStore::new()), Arc::new(MemoryBlobStore::new()));
        let plan = Arc::new(FaultPlan::new());
        let mut stores = BlobStores::new();
        for (id, name, store) in [(OLD, "old", &old), (NEW, "new", &new)] {
            let store = Arc::new(Faulty::new(Arc::clone(store), Arc::clone(&plan)));
            stores.add(id, name, store).unwrap();
        }
        Self {
            index,
            old,
            new,
            plan,
            stores: Arc::new(stores),
            maildrop,
            locks: MemoryLockManager::new(table),
        }
    }

    /// Delivers to the old storage.
    pub(crate) async fn deliver(&self, body: &str) {
        let mut spool = Spool::new(SpoolSettings {
            directory: std::env::temp_dir(),
            max_octets: Octets(1 << 20),
        });
        spool.write(body.as_bytes()).await;
        let message = spool.finish().await.unwrap();
        let index = Arc::clone(&self.index);
        let deliverer = Deliverer::new(index, Arc::clone(&self.stores), Arc::new(SystemClock));
        let delivered = deliverer.deliver(Delivery::new(self.maildrop, "", OLD), &message);
        delivered.await.unwrap();
    }

    /// Deletes the message of that number.
    pub(crate) async fn delete(&self, number: u32) {
        let session = SessionId::from_octets([9; 16]);
        let fence = self.locks.open(self.maildrop, session).await.unwrap();
        let listing = self.index.snapshot(&fence).await.unwrap();
        let deletes = DeleteSet::of(listing.snapshot, MessageNumber::new(number));
        self.index.commit(&fence, session, &deletes).await.unwrap();
        self.locks.release(&fence).await.unwrap();
    }

    pub(crate) async fn stored(&self) -> Vec<StoredMessage> {
        self.index.stored(None, None, 1_000).await.unwrap()
    }

    /// What the message's storage holds for it.
    pub(crate) async fn body(&self, message: &StoredMessage) -> Vec<u8> {
        let store = if message.body.storage == OLD {
            &self.old
        } else {
            &self.new
        };
        let whole = OctetRange::first(message.body.octets);
        let mut reader = store.get(&message.body.blob, whole).await.unwrap();
        let mut body = Vec::new();
        while let Some(piece) = reader.next().await.unwrap() {
            body.extend_from_slice(&piece);
        }
        body
    }

    /// A blob that nothing names.
    pub(crate) async fn stray(&self, age: Duration) -> BlobKey {
        let stray = BlobKey::fresh(self.maildrop.tenant(), SystemClock.wall() - age).unwrap();
        let mut body = crate::BytesReader::from(bytes::Bytes::from_static(b"stray"));
        self.old.put(&stray, Octets(5), &mut body).await.unwrap();
        stray
    }
}
