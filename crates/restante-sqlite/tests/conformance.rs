//! The cases that every index, lock manager and directory must pass, against one file each.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use restante_auth::{DirectoryAdmin, LoginName, NewAccount, TenantPatch};
use restante_conformance::{
    DirectoryFixture, KeyValueFixture, LockManagerFixture, MailIndexFixture, PluginRegistryFixture,
    directory_suite, key_value_suite, lock_manager_suite, mail_index_suite, plugin_registry_suite,
};
use restante_lock::LockManager;
use restante_sqlite::{
    Sqlite, SqliteDirectory, SqliteKeyValueStore, SqliteLockManager, SqliteMailIndex, SqliteOptions,
    SqlitePluginRegistry,
};
use restante_store::{BlobLedger, Custody, KeyValueStore, MailIndex, PluginRegistry, Quota};
use restante_types::{Clock, MaildropId, SystemClock, TenantId};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

/// Messages of the sizes in a JSON array, as deliveries would leave them, in one transaction: two syncs for each
/// delivery would take minutes.
const FILL: &str = "
    BEGIN IMMEDIATE;
    INSERT INTO message (tenant_id, maildrop_id, unique_id, octets, header_octets, has_dot_lines, needs_utf8,
        crc64, header_crc64, sha256, storage_id, blob, received_at)
    SELECT ?1, ?2, printf('fill-%d', key), value, min(value, 2), 0, 0, 0, 0, zeroblob(32), 1, randomblob(16), 0
    FROM json_each(?3) ORDER BY key;
    INSERT INTO unique_id SELECT maildrop_id, unique_id FROM message WHERE maildrop_id = ?2;
    UPDATE maildrop SET (messages, octets) =
        (SELECT count(*), sum(octets) FROM message WHERE maildrop_id = ?2 AND deleted_at IS NULL)
    WHERE maildrop_id = ?2;
    COMMIT;";

struct Ports {
    index: Arc<SqliteMailIndex>,
    locks: Arc<SqliteLockManager>,
    directory: Arc<SqliteDirectory>,
    values: Arc<SqliteKeyValueStore>,
    plugins: Arc<SqlitePluginRegistry>,
}

struct OneFile {
    folder: TempDir,
    ports: Option<Ports>,
    last_name: AtomicU32,
}

async fn open() -> OneFile {
    let folder = TempDir::new().unwrap();
    let ports = Some(ports(&folder).await);
    OneFile {
        folder,
        ports,
        last_name: AtomicU32::new(0),
    }
}

async fn ports(folder: &TempDir) -> Ports {
    let path = folder.path().join("restante.db");
    let options = SqliteOptions::default();
    Sqlite::migrate(&path, &options).await.unwrap();
    let db = Sqlite::open(&path, &options).await.unwrap();
    for storage in ["store", "other"] {
        db.storage_id(storage).await.unwrap();
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let locks = SqliteLockManager::start(&db).await.unwrap();
    Ports {
        index: Arc::new(SqliteMailIndex::new(&db, &locks, Arc::clone(&clock))),
        locks: Arc::new(locks),
        directory: Arc::new(SqliteDirectory::watching(&db, clock)),
        values: Arc::new(SqliteKeyValueStore::new(&db)),
        plugins: Arc::new(SqlitePluginRegistry::new(&db)),
    }
}

impl OneFile {
    fn ports(&self) -> &Ports {
        self.ports.as_ref().unwrap()
    }

    fn next_name(&self) -> String {
        format!("n{}", self.last_name.fetch_add(1, Ordering::Relaxed))
    }

    /// Adds a tenant with one domain; its name is in the domain, so that `add_maildrop` finds it by its key.
    async fn add_tenant(&self, retention: Duration) -> TenantId {
        let name = self.next_name();
        let directory = &self.ports().directory;
        let tenant = directory.add_tenant(&name, "store").await.unwrap();
        let patch = TenantPatch {
            retention: Some(retention),
            ..TenantPatch::default()
        };
        directory.set_tenant(&name, patch).await.unwrap();
        directory
            .add_domain(&name, &format!("t{}.example", tenant.id))
            .await
            .unwrap();
        tenant.id
    }

    async fn add_maildrop(&self, tenant: TenantId, quota: Quota) -> MaildropId {
        let name = format!("{}@t{tenant}.example", self.next_name());
        let account = NewAccount {
            name: LoginName::parse(&name).unwrap(),
            password: None,
            quota_octets: quota.octets,
            quota_messages: quota.messages,
        };
        let account = self.ports().directory.add_account(account).await.unwrap();
        account.id.maildrop()
    }

    async fn reopen(&mut self) {
        self.ports = None;
        self.ports = Some(ports(&self.folder).await);
    }
}

#[async_trait]
impl MailIndexFixture for OneFile {
    fn index(&self) -> Arc<dyn MailIndex> {
        Arc::clone(&self.ports().index) as _
    }

    fn ledger(&self) -> Arc<dyn BlobLedger> {
        Arc::clone(&self.ports().index) as _
    }

    fn custody(&self) -> Arc<dyn Custody> {
        Arc::clone(&self.ports().index) as _
    }

    fn locks(&self) -> Arc<dyn LockManager> {
        Arc::clone(&self.ports().locks) as _
    }

    async fn tenant(&self, retention: Duration) -> TenantId {
        self.add_tenant(retention).await
    }

    async fn maildrop(&self, tenant: TenantId, quota: Quota) -> MaildropId {
        self.add_maildrop(tenant, quota).await
    }

    async fn fill(&self, maildrop: MaildropId, sizes: &[u64]) {
        let file = SqliteConnectOptions::new().filename(self.folder.path().join("restante.db"));
        let mut conn = file.connect().await.unwrap();
        let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
        sqlx::query(FILL)
            .bind(maildrop.tenant().get())
            .bind(maildrop.number())
            .bind(format!("[{}]", sizes.join(",")))
            .execute(&mut conn)
            .await
            .unwrap();
        conn.close().await.unwrap();
    }

    fn now(&self) -> SystemTime {
        SystemClock.wall()
    }

    fn grace(&self) -> Duration {
        SqliteMailIndex::GRACE
    }

    async fn restart(&mut self) {
        self.reopen().await;
    }
}

#[async_trait]
impl LockManagerFixture for OneFile {
    fn manager(&self) -> Arc<dyn LockManager> {
        Arc::clone(&self.ports().locks) as _
    }

    async fn maildrop(&self) -> MaildropId {
        let tenant = self.add_tenant(Duration::ZERO).await;
        self.add_maildrop(tenant, Quota::default()).await
    }

    async fn restart(&mut self) {
        self.reopen().await;
    }
}

#[async_trait]
impl DirectoryFixture for OneFile {
    fn directory(&self) -> Arc<dyn DirectoryAdmin> {
        Arc::clone(&self.ports().directory) as _
    }

    async fn restart(&mut self) {
        self.reopen().await;
    }
}

#[async_trait]
impl KeyValueFixture for OneFile {
    fn store(&self) -> Arc<dyn KeyValueStore> {
        Arc::clone(&self.ports().values) as _
    }

    async fn restart(&mut self) {
        self.reopen().await;
    }
}

#[async_trait]
impl PluginRegistryFixture for OneFile {
    fn registry(&self) -> Arc<dyn PluginRegistry> {
        Arc::clone(&self.ports().plugins) as _
    }

    async fn restart(&mut self) {
        self.reopen().await;
    }
}

mail_index_suite!(open);
key_value_suite!(open);
plugin_registry_suite!(open);
lock_manager_suite!(open);
directory_suite!(open);
