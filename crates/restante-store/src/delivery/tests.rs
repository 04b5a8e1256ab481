use restante_lock::{LockManager, LockTable, MemoryLockManager};
use restante_types::{SessionId, SystemClock, TenantId};

use super::*;
use crate::{
    Fault, FaultPlan, Faulty, MemoryBlobStore, MemoryMailIndex, OctetRange, Quota, Spool, SpoolSettings,
};

const STORAGE: StorageId = StorageId(1);

struct Fixture {
    index: Arc<MemoryMailIndex>,
    blobs: Arc<MemoryBlobStore>,
    plan: Arc<FaultPlan>,
    locks: MemoryLockManager,
    maildrop: MaildropId,
    deliverer: Deliverer,
}

impl Fixture {
    fn new() -> Self {
        let table = Arc::new(LockTable::new(1).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let index = Arc::new(MemoryMailIndex::new(Arc::clone(&table), Arc::clone(&clock)));
        let maildrop = MaildropId::new(TenantId::new(1).unwrap(), 1).unwrap();
        let quota = Quota {
            messages: None,
            octets: Some(Octets(100)),
        };
        index.add_maildrop(maildrop, quota, Duration::ZERO);
        let blobs = Arc::new(MemoryBlobStore::new());
        let plan = Arc::new(FaultPlan::new());
        let mut stores = BlobStores::new();
        let store = Arc::new(Faulty::new(Arc::clone(&blobs), Arc::clone(&plan)));
        stores.add(STORAGE, "main", store).unwrap();
        let faulty = Arc::new(Faulty::new(Arc::clone(&index), Arc::clone(&plan)));
        let deliverer = Deliverer::new(faulty, Arc::new(stores), clock);
        Self {
            index,
            blobs,
            plan,
            locks: MemoryLockManager::new(table),
            maildrop,
            deliverer,
        }
    }

    async fn deliver(&self, message: &Spooled) -> Result<Delivered, StoreError> {
        let delivery = Delivery::new(self.maildrop, "", STORAGE);
        self.deliverer.deliver(delivery, message).await
    }

    async fn messages(&self) -> Vec<Vec<u8>> {
        let session = SessionId::from_octets([1; 16]);
        let fence = self.locks.open(self.maildrop, session).await.unwrap();
        let listing = self.index.snapshot(&fence).await.unwrap();
        self.locks.release(&fence).await.unwrap();
        let mut messages = Vec::new();
        for body in &listing.bodies {
            let store = self.deliverer.stores().get(body.storage).unwrap();
            let mut reader = store
                .get(&body.blob, OctetRange::first(body.octets))
                .await
                .unwrap();
            let mut whole = Vec::new();
            while let Some(piece) = reader.next().await.unwrap() {
                whole.extend_from_slice(&piece);
            }
            messages.push(whole);
        }
        messages
    }
}

async fn message(octets: &[u8]) -> Spooled {
    let mut spool = Spool::new(SpoolSettings {
        directory: std::env::temp_dir(),
        max_octets: Octets(1 << 20),
    });
    spool.write(octets).await;
    spool.finish().await.unwrap()
}

#[tokio::test]
async fn a_delivered_message_is_there_octet_for_octet() {
    let fixture = Fixture::new();
    let message = message(b"A: b\r\n\r\n.x\r\n").await;
    fixture.deliver(&message).await.unwrap();
    assert_eq!(fixture.messages().await, [b"A: b\r\n\r\n.x\r\n"]);
}

#[tokio::test]
async fn a_fault_at_any_step_delivers_nothing_or_leaves_the_whole_message() {
    let message = message(b"whole\r\n").await;
    for nth in 1.. {
        for fault in [
            Fault::Before(StoreErrorKind::Unavailable),
            Fault::After(StoreErrorKind::Unknown),
        ] {
            let fixture = Fixture::new();
            fixture.plan.once(None, nth, fault);
            let delivered = fixture.deliver(&message).await;
            if fixture.plan.calls() < nth {
                assert!(nth > 4, "usage, reserve, put, deliver");
                assert!(delivered.is_ok());
                return;
            }
            assert!(delivered.is_err(), "call {nth}, {fault:?}");
            fixture.plan.clear();
            for octets in fixture.messages().await {
                assert_eq!(fault, Fault::After(StoreErrorKind::Unknown));
                assert_eq!(octets, b"whole\r\n");
            }
        }
    }
}

#[tokio::test]
async fn a_full_maildrop_is_refused_before_anything_is_stored() {
    let fixture = Fixture::new();
    let message = message(&[b'x'; 101]).await;
    let error = fixture.deliver(&message).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::OverQuota);
    assert!(fixture.blobs.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_hangs_ends_the_delivery_at_its_deadline() {
    let fixture = Fixture::new();
    fixture
        .plan
        .once(Some("put"), 1, Fault::Delay(Duration::from_hours(2)));
    let error = fixture.deliver(&message(b"x\r\n").await).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Timeout);
    assert_eq!(fixture.messages().await.len(), 0);
}

#[tokio::test]
async fn a_unique_id_to_keep_is_kept_once() {
    let fixture = Fixture::new();
    let message = message(b"x\r\n").await;
    let unique_id = UniqueId::new("0000001a5f3c").unwrap();
    let keep = || {
        let delivery = Delivery {
            unique_id: Some(unique_id.clone()),
            ..Delivery::new(fixture.maildrop, "", STORAGE)
        };
        fixture.deliverer.deliver(delivery, &message)
    };
    assert_eq!(keep().await.unwrap().unique_id, unique_id);
    assert_eq!(keep().await.unwrap_err().kind, StoreErrorKind::Conflict);
}

#[tokio::test]
async fn a_storage_that_is_not_configured_is_named() {
    let fixture = Fixture::new();
    let message = message(b"x\r\n").await;
    let error = fixture
        .deliverer
        .deliver(Delivery::new(fixture.maildrop, "", StorageId(7)), &message)
        .await
        .unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Invalid);
    assert!(error.to_string().contains('7'), "{error}");
    let error = fixture.deliverer.stores().id("gone").unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
}

#[tokio::test]
async fn a_storage_key_or_name_is_taken_once() {
    let mut stores = BlobStores::new();
    let store: Arc<MemoryBlobStore> = Arc::default();
    stores.add(StorageId(1), "one", Arc::clone(&store) as _).unwrap();
    assert!(stores.add(StorageId(1), "two", Arc::clone(&store) as _).is_err());
    assert!(stores.add(StorageId(2), "one", Arc::clone(&store) as _).is_err());
    assert!(stores.id("two").is_err());
}
