//! The cases that every index, blob store and lock manager must pass, against one database each, directly and behind
//! PgBouncer in transaction mode.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod scene;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use restante_conformance::{
    BlobStoreFixture, KeyValueFixture, LockManagerFixture, MailIndexFixture, PluginRegistryFixture,
    blob_store_suite, key_value_suite, lock_manager_suite, mail_index_suite, plugin_registry_suite,
};
use restante_lock::LockManager;
use restante_postgres::{
    LeaseOptions, Pg, PgBlobStore, PgKeyValueStore, PgLockManager, PgMailIndex, PgPluginRegistry,
};
use restante_store::{
    BlobLedger, BlobStore, Custody, KeyValueStore, MailIndex, PluginRegistry, Quota, StorageId,
};
use restante_types::{Clock, MaildropId, SystemClock, TenantId};

use scene::{Scene, add_maildrop, clock, start};

struct OneDatabase {
    scene: Scene,
    index: Arc<PgMailIndex>,
    locks: Arc<PgLockManager>,
    /// The lease of a frontend that has died is not ended by it.
    dead: Vec<Arc<PgLockManager>>,
}

async fn open() -> OneDatabase {
    OneDatabase::in_scene(Scene::new().await).await
}

async fn open_pooled() -> OneDatabase {
    OneDatabase::in_scene(Scene::pooled().await).await
}

impl OneDatabase {
    async fn in_scene(scene: Scene) -> Self {
        Self {
            index: Arc::new(scene.index()),
            locks: Arc::new(scene.frontend("frontend").await),
            scene,
            dead: Vec::new(),
        }
    }

    async fn reopen(&mut self) {
        let db = self.scene.open().await;
        self.index = Arc::new(PgMailIndex::new(&db, clock()));
        let locks = Arc::new(start(&db, "frontend", LeaseOptions::default()).await);
        self.dead.push(std::mem::replace(&mut self.locks, locks));
    }
}

#[async_trait]
impl MailIndexFixture for OneDatabase {
    fn index(&self) -> Arc<dyn MailIndex> {
        Arc::clone(&self.index) as _
    }

    fn ledger(&self) -> Arc<dyn BlobLedger> {
        Arc::clone(&self.index) as _
    }

    fn custody(&self) -> Arc<dyn Custody> {
        Arc::clone(&self.index) as _
    }

    async fn other_storage(&self) -> StorageId {
        self.scene.db.storage_id("other").await.unwrap()
    }

    fn locks(&self) -> Arc<dyn LockManager> {
        Arc::clone(&self.locks) as _
    }

    async fn tenant(&self, retention: Duration) -> TenantId {
        self.scene.tenant(retention).await
    }

    async fn maildrop(&self, tenant: TenantId, quota: Quota) -> MaildropId {
        add_maildrop(&mut self.scene.connect().await, tenant, quota).await
    }

    async fn fill(&self, maildrop: MaildropId, sizes: &[u64]) {
        let sizes: Vec<i64> = sizes.iter().map(|size| i64::try_from(*size).unwrap()).collect();
        scene::fill(&mut self.scene.connect().await, maildrop, &sizes).await;
    }

    fn now(&self) -> SystemTime {
        SystemClock.wall()
    }

    fn grace(&self) -> Duration {
        PgMailIndex::GRACE
    }

    async fn restart(&mut self) {
        self.reopen().await;
    }
}

#[async_trait]
impl LockManagerFixture for OneDatabase {
    fn manager(&self) -> Arc<dyn LockManager> {
        Arc::clone(&self.locks) as _
    }

    async fn maildrop(&self) -> MaildropId {
        self.scene.maildrop().await
    }

    async fn restart(&mut self) {
        self.reopen().await;
    }
}

struct Blobs {
    scene: Scene,
    store: Arc<PgBlobStore>,
}

impl Blobs {
    async fn in_scene(scene: Scene) -> Self {
        let store = Arc::new(PgBlobStore::new(&scene.open().await));
        Self { scene, store }
    }
}

async fn open_blobs() -> Blobs {
    Blobs::in_scene(Scene::new().await).await
}

async fn open_blobs_pooled() -> Blobs {
    Blobs::in_scene(Scene::pooled().await).await
}

#[async_trait]
impl BlobStoreFixture for Blobs {
    fn store(&self) -> Arc<dyn BlobStore> {
        Arc::clone(&self.store) as _
    }

    async fn restart(&mut self) {
        self.store = Arc::new(PgBlobStore::new(&self.scene.open().await));
    }
}

struct OfPlugins {
    scene: Scene,
    db: Pg,
}

impl OfPlugins {
    async fn in_scene(scene: Scene) -> Self {
        let db = scene.open().await;
        Self { scene, db }
    }
}

async fn open_plugins() -> OfPlugins {
    OfPlugins::in_scene(Scene::new().await).await
}

async fn open_plugins_pooled() -> OfPlugins {
    OfPlugins::in_scene(Scene::pooled().await).await
}

#[async_trait]
impl KeyValueFixture for OfPlugins {
    fn store(&self) -> Arc<dyn KeyValueStore> {
        Arc::new(PgKeyValueStore::new(&self.db))
    }

    async fn restart(&mut self) {
        self.db = self.scene.open().await;
    }
}

#[async_trait]
impl PluginRegistryFixture for OfPlugins {
    fn registry(&self) -> Arc<dyn PluginRegistry> {
        Arc::new(PgPluginRegistry::new(&self.db))
    }

    async fn restart(&mut self) {
        self.db = self.scene.open().await;
    }
}

mail_index_suite!(open);
blob_store_suite!(open_blobs);
key_value_suite!(open_plugins);
plugin_registry_suite!(open_plugins);
lock_manager_suite!(open);

mod behind_pgbouncer {
    use super::*;

    mail_index_suite!(open_pooled);
    blob_store_suite!(open_blobs_pooled);
    key_value_suite!(open_plugins_pooled);
    plugin_registry_suite!(open_plugins_pooled);
    lock_manager_suite!(open_pooled);
}
