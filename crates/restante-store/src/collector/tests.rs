use restante_lock::LockTable;
use restante_types::{MaildropId, Octets, SystemClock, TenantId};

use super::*;
use crate::{
    BlobStore, BytesReader, Custody, Fault, FaultPlan, Faulty, MailIndex, MemoryBlobStore, MemoryMailIndex,
    Quota,
};

const STORAGE: StorageId = StorageId(1);

/// Orphans are what a delivery leaves that stops between its blob and its index row.
struct Fixture {
    index: Arc<MemoryMailIndex>,
    blobs: Arc<MemoryBlobStore>,
    plan: Arc<FaultPlan>,
    collector: Collector,
}

impl Fixture {
    async fn with_orphans(orphans: usize, settings: CollectorSettings) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let table = Arc::new(LockTable::new(1).unwrap());
        let index = Arc::new(MemoryMailIndex::new(table, Arc::clone(&clock)));
        let maildrop = MaildropId::new(TenantId::new(1).unwrap(), 1).unwrap();
        index.add_maildrop(maildrop, Quota::default(), Duration::ZERO);
        let blobs = Arc::new(MemoryBlobStore::new());
        for _ in 0..orphans {
            let blob = index.reserve(maildrop, STORAGE).await.unwrap();
            let mut body = BytesReader::new([bytes::Bytes::from_static(b"x")]);
            blobs.put(&blob, Octets(1), &mut body).await.unwrap();
        }
        let plan = Arc::new(FaultPlan::new());
        let mut stores = BlobStores::new();
        let store = Arc::new(Faulty::new(Arc::clone(&blobs), Arc::clone(&plan)));
        stores.add(STORAGE, "main", store).unwrap();
        let ledger = Arc::new(Faulty::new(Arc::clone(&index), Arc::clone(&plan)));
        let collector = Collector::new(ledger, Arc::new(stores), clock, settings);
        Self {
            index,
            blobs,
            plan,
            collector,
        }
    }

    async fn collect(&self) -> Result<Collected, StoreError> {
        self.collector.collect_once(self.late()).await
    }

    fn late(&self) -> SystemTime {
        self.collector.clock.wall() + 2 * MemoryMailIndex::GRACE
    }
}

fn small() -> CollectorSettings {
    CollectorSettings {
        batch: 3,
        ..CollectorSettings::default()
    }
}

#[tokio::test]
async fn a_pass_removes_everything_condemned_and_the_next_has_nothing_to_do() {
    let fixture = Fixture::with_orphans(10, small()).await;
    assert_eq!(
        fixture.collect().await.unwrap(),
        Collected {
            n_collected: 10,
            n_failed: 0
        }
    );
    assert!(fixture.blobs.is_empty());
    assert_eq!(fixture.collect().await.unwrap(), Collected::default());
}

#[tokio::test]
async fn nothing_is_removed_within_the_grace_time() {
    let fixture = Fixture::with_orphans(2, small()).await;
    let now = fixture.collector.clock.wall();
    assert_eq!(
        fixture.collector.collect_once(now).await.unwrap(),
        Collected::default()
    );
    assert_eq!(fixture.blobs.len(), 2);
}

#[tokio::test]
async fn a_delete_that_fails_is_tried_again_and_does_not_hold_up_the_others() {
    for fault in [
        Fault::Before(StoreErrorKind::Unavailable),
        Fault::After(StoreErrorKind::Unknown),
    ] {
        let fixture = Fixture::with_orphans(10, small()).await;
        for nth in 1..=4 {
            fixture.plan.once(Some("delete"), nth, fault);
        }
        assert_eq!(
            fixture.collect().await.unwrap(),
            Collected {
                n_collected: 6,
                n_failed: 4
            }
        );
        assert_eq!(
            fixture.collect().await.unwrap(),
            Collected {
                n_collected: 4,
                n_failed: 0
            }
        );
        assert!(fixture.blobs.is_empty());
    }
}

#[tokio::test]
async fn a_blob_that_is_gone_already_is_done() {
    let fixture = Fixture::with_orphans(2, small()).await;
    fixture
        .plan
        .from(Some("delete"), 1, Fault::Before(StoreErrorKind::NotFound));
    assert_eq!(
        fixture.collect().await.unwrap(),
        Collected {
            n_collected: 2,
            n_failed: 0
        }
    );
    assert!(
        fixture
            .index
            .condemned(fixture.late(), 9)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_ledger_that_forgets_to_forget_is_told_again() {
    let fixture = Fixture::with_orphans(2, small()).await;
    fixture
        .plan
        .once(Some("collected"), 1, Fault::Before(StoreErrorKind::Unavailable));
    assert!(fixture.collect().await.is_err());
    assert_eq!(
        fixture.collect().await.unwrap(),
        Collected {
            n_collected: 2,
            n_failed: 0
        }
    );
}

#[tokio::test]
async fn a_pass_ends_at_its_cap() {
    let fixture = Fixture::with_orphans(
        10,
        CollectorSettings {
            per_pass: 4,
            ..small()
        },
    )
    .await;
    assert_eq!(fixture.collect().await.unwrap().n_collected, 4);
    assert_eq!(fixture.blobs.len(), 6);
}

#[tokio::test]
async fn a_stopped_collection_removes_nothing_until_it_is_resumed() {
    let fixture = Fixture::with_orphans(5, small()).await;
    fixture.index.stop_collection(true).await.unwrap();
    assert_eq!(fixture.collect().await.unwrap(), Collected::default());
    assert_eq!(fixture.blobs.len(), 5);
    fixture.index.stop_collection(false).await.unwrap();
    assert_eq!(fixture.collect().await.unwrap().n_collected, 5);
}

#[tokio::test]
async fn f19_of_several_collectors_each_blob_is_removed_and_forgotten_once() {
    let fixture = Fixture::with_orphans(40, small()).await;
    let passes = (0..4).map(|_| fixture.collect());
    let passes = futures_util::future::try_join_all(passes).await.unwrap();
    assert!(passes.iter().all(|pass| pass.n_failed == 0), "{passes:?}");
    assert!(fixture.blobs.is_empty());
    assert!(
        fixture
            .index
            .condemned(fixture.late(), 100)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_blob_of_a_storage_that_is_not_configured_stays_condemned() {
    let fixture = Fixture::with_orphans(1, small()).await;
    let maildrop = MaildropId::new(TenantId::new(1).unwrap(), 1).unwrap();
    fixture.index.reserve(maildrop, StorageId(9)).await.unwrap();
    assert_eq!(
        fixture.collect().await.unwrap(),
        Collected {
            n_collected: 1,
            n_failed: 1
        }
    );
    assert_eq!(fixture.index.condemned(fixture.late(), 9).await.unwrap().len(), 1);
}

#[derive(Debug)]
struct LateClock;

impl Clock for LateClock {
    fn now(&self) -> std::time::Instant {
        SystemClock.now()
    }
    fn wall(&self) -> SystemTime {
        SystemClock.wall() + 2 * MemoryMailIndex::GRACE
    }
}

#[tokio::test(start_paused = true)]
async fn the_loop_outlives_a_ledger_that_cannot_be_asked() {
    let mut fixture = Fixture::with_orphans(5, small()).await;
    fixture
        .plan
        .once(Some("condemned"), 1, Fault::Before(StoreErrorKind::Unavailable));
    fixture.collector.clock = Arc::new(LateClock);
    let two_passes = fixture.collector.settings.interval + Duration::from_secs(1);
    assert!(
        tokio::time::timeout(two_passes, fixture.collector.run(&Telemetry::default()))
            .await
            .is_err()
    );
    assert!(fixture.blobs.is_empty());
}
