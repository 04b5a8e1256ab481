//! A migrated database of its own, and what stands in it: tenants, accounts, messages.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::sync::Arc;
use std::time::Duration;

use restante_message::Measured;
use restante_postgres::{LeaseOptions, NodeName, Pg, PgLockManager, PgMailIndex, PgOptions, Pooler};
use restante_store::{BlobKey, MailIndex, NewMessage, Quota, StorageId, StoreError};
use restante_testkit::{PgBouncer, PgDatabase, Postgres};
use restante_types::{Clock, MaildropId, Octets, Secret, SessionId, SystemClock, TenantId, UniqueId};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};

/// Every test database has this storage, under this key.
pub(crate) const STORAGE: StorageId = StorageId(1);

pub(crate) async fn empty() -> PgDatabase {
    let cluster = Postgres::shared().await.expect("these tests need PostgreSQL");
    cluster.database().await
}

pub(crate) async fn migrated() -> PgDatabase {
    let database = empty().await;
    Pg::migrate(&options(&database.url())).await.unwrap();
    database
}

/// One with four connections to the server.
pub(crate) async fn bouncer(database: &PgDatabase) -> PgBouncer {
    let bouncer = PgBouncer::start(database, 4).await;
    bouncer.expect("these tests need PgBouncer")
}

pub(crate) fn options(url: &str) -> PgOptions {
    PgOptions {
        max_connections: 8,
        ..PgOptions::new(Secret::new(url.to_owned()))
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

pub(crate) fn session(n: u64) -> SessionId {
    SessionId::from_octets(u128::from(n).to_be_bytes())
}

/// A migrated database, open.
pub(crate) struct Scene {
    pub(crate) database: PgDatabase,
    pub(crate) bouncer: Option<PgBouncer>,
    pub(crate) db: Pg,
}

impl Scene {
    /// Without a pooler.
    pub(crate) async fn new() -> Self {
        Self::behind(migrated().await, None).await
    }

    /// Behind PgBouncer in transaction mode.
    pub(crate) async fn pooled() -> Self {
        let database = migrated().await;
        let bouncer = bouncer(&database).await;
        Self::behind(database, Some(bouncer)).await
    }

    async fn behind(database: PgDatabase, bouncer: Option<PgBouncer>) -> Self {
        let db = open(&database, bouncer.as_ref()).await;
        assert_eq!(db.storage_id("store").await.unwrap(), STORAGE);
        Self {
            database,
            bouncer,
            db,
        }
    }

    /// Opens the database again, as another process would.
    pub(crate) async fn open(&self) -> Pg {
        open(&self.database, self.bouncer.as_ref()).await
    }

    /// A connection of the test's own.
    pub(crate) async fn connect(&self) -> PgConnection {
        self.database.connect().await
    }

    pub(crate) async fn write(&self, statement: &'static str) {
        let mut conn = self.connect().await;
        conn.execute(statement).await.unwrap();
        conn.close().await.unwrap();
    }

    pub(crate) fn index(&self) -> PgMailIndex {
        PgMailIndex::new(&self.db, clock())
    }

    pub(crate) async fn frontend(&self, node: &str) -> PgLockManager {
        start(&self.db, node, LeaseOptions::default()).await
    }

    pub(crate) async fn tenant(&self, retention: Duration) -> TenantId {
        add_tenant(&mut self.connect().await, retention).await
    }

    pub(crate) async fn maildrop(&self) -> MaildropId {
        let mut conn = self.connect().await;
        let tenant = add_tenant(&mut conn, Duration::ZERO).await;
        add_maildrop(&mut conn, tenant, Quota::default()).await
    }
}

async fn open(database: &PgDatabase, bouncer: Option<&PgBouncer>) -> Pg {
    let mut options = options(&database.url());
    if let Some(bouncer) = bouncer {
        options.direct_url = Some(std::mem::replace(&mut options.url, Secret::new(bouncer.url())));
        options.pooler = Pooler::Transaction;
    }
    Pg::open(&options).await.unwrap()
}

pub(crate) async fn start(db: &Pg, node: &str, options: LeaseOptions) -> PgLockManager {
    let node = NodeName::new(node).unwrap();
    PgLockManager::start(db, node, options).await.unwrap()
}

pub(crate) async fn add_tenant(conn: &mut PgConnection, retention: Duration) -> TenantId {
    let retention = i64::try_from(retention.as_micros()).unwrap();
    let key: i64 = sqlx::query_scalar(
        "INSERT INTO tenant (name, storage_id, retention_us)
         SELECT 't' || (SELECT count(*) FROM tenant), 1, $1 RETURNING tenant_id",
    )
    .bind(retention)
    .fetch_one(conn)
    .await
    .unwrap();
    TenantId::new(key).unwrap()
}

pub(crate) async fn add_maildrop(conn: &mut PgConnection, tenant: TenantId, quota: Quota) -> MaildropId {
    let limit = |limit: Option<u64>| limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let key: i64 = sqlx::query_scalar(
        "WITH d AS (INSERT INTO maildrop (tenant_id) VALUES ($1) RETURNING maildrop_id)
         SELECT maildrop_id FROM d",
    )
    .bind(tenant.get())
    .fetch_one(&mut *conn)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO account (account_id, tenant_id, quota_messages, quota_octets) VALUES ($1, $2, $3, $4)",
    )
    .bind(key)
    .bind(tenant.get())
    .bind(limit(quota.messages))
    .bind(limit(quota.octets.map(Octets::get)))
    .execute(conn)
    .await
    .unwrap();
    MaildropId::new(tenant, key).unwrap()
}

pub(crate) fn message(blob: BlobKey) -> NewMessage {
    NewMessage {
        storage: STORAGE,
        blob,
        measured: Measured {
            octets: Octets(1000),
            header_octets: Octets(300),
            has_dot_lines: false,
            header_is_8bit: false,
            crc64: u64::MAX,
            header_crc64: 1 << 63,
            sha256: [1; 32],
        },
        unique_id: None,
        received: clock().wall(),
        needs_utf8: false,
        deduplicate: false,
    }
}

pub(crate) async fn deliver(index: &PgMailIndex, maildrop: MaildropId) -> Result<UniqueId, StoreError> {
    let blob = index.reserve(maildrop, STORAGE).await?;
    Ok(index.deliver(maildrop, message(blob)).await?.unique_id)
}

/// Messages of these sizes, as deliveries would leave them, in one step: a durable COMMIT for each would take
/// minutes.
pub(crate) async fn fill(conn: &mut PgConnection, maildrop: MaildropId, sizes: &[i64]) {
    let mut tx = conn.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO message (tenant_id, maildrop_id, unique_id, octets, header_octets, has_dot_lines, needs_utf8,
             crc64, header_crc64, sha256, storage_id, blob, received_at)
         SELECT $1, $2, 'fill-' || n, size, least(size, 2), false, false, 0, 0,
             decode(repeat('00', 32), 'hex'), 1, decode(md5($2 || '-' || n), 'hex'), now()
         FROM unnest($3::bigint[]) WITH ORDINALITY AS s (size, n) ORDER BY n",
    )
    .bind(maildrop.tenant().get())
    .bind(maildrop.number())
    .bind(sizes)
    .execute(&mut *tx)
    .await
    .unwrap();
    let number = maildrop.number();
    for statement in [
        "INSERT INTO unique_id SELECT maildrop_id, unique_id FROM message WHERE maildrop_id = $1",
        "UPDATE maildrop SET (messages, octets) =
             (SELECT count(*), sum(octets) FROM message WHERE maildrop_id = $1 AND deleted_at IS NULL)
         WHERE maildrop_id = $1",
    ] {
        sqlx::query(statement)
            .bind(number)
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
}
