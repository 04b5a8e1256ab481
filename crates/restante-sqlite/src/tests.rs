//! What only the inside of the crate can show: every statement, the settings of the connections, a full disk.

mod directory;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use restante_auth::{DirectoryAdmin, LoginName, NewAccount};
use restante_lock::LockManager;
use restante_message::Measured;
use restante_session::DeleteSet;
use restante_store::{
    BlobLedger, Fault, FaultPlan, Faulty, ListingCache, MailIndex, NewMessage, REPEAT_WINDOW, StorageId,
    StoreError, StoreErrorKind,
};
use restante_types::{Clock, MaildropId, MessageNumber, Octets, SessionId, SystemClock, UniqueId};
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr, Statement};
use tempfile::TempDir;

use crate::*;

struct Scene {
    _folder: TempDir,
    path: PathBuf,
    db: Sqlite,
    storage: StorageId,
}

async fn scene() -> Scene {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("restante.db");
    let options = SqliteOptions::default();
    Sqlite::migrate(&path, &options).await.unwrap();
    let db = Sqlite::open(&path, &options).await.unwrap();
    let storage = db.storage_id("store").await.unwrap();
    Scene {
        _folder: folder,
        path,
        db,
        storage,
    }
}

impl Scene {
    async fn maildrop(&self) -> MaildropId {
        let directory = SqliteDirectory::new(&self.db, clock());
        directory.add_tenant("tenant", "store").await.unwrap();
        directory.add_domain("tenant", "example.org").await.unwrap();
        let account = NewAccount {
            name: LoginName::parse("user@example.org").unwrap(),
            password: None,
            quota_octets: None,
            quota_messages: None,
        };
        directory.add_account(account).await.unwrap().id.maildrop()
    }

    async fn serve(&self) -> (SqliteMailIndex, SqliteLockManager) {
        let locks = SqliteLockManager::start(&self.db).await.unwrap();
        (SqliteMailIndex::new(&self.db, &locks, clock()), locks)
    }

    async fn deliver(&self, index: &SqliteMailIndex, maildrop: MaildropId) -> Result<UniqueId, StoreError> {
        let blob = index.reserve(maildrop, self.storage).await?;
        let message = NewMessage {
            storage: self.storage,
            blob,
            measured: measured(),
            unique_id: None,
            received: clock().wall(),
            needs_utf8: false,
            deduplicate: false,
        };
        Ok(index.deliver(maildrop, message).await?.unique_id)
    }

    async fn write(&self, statements: impl SqlSafeStr) {
        let mut tx = self.db.begin().await.unwrap();
        tx.execute(sqlx::raw_sql(statements)).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// How a statement finds its rows, a step in each line.
    async fn plan(&self, statement: &str) -> String {
        let explain = format!("EXPLAIN QUERY PLAN {statement}");
        let query = sqlx::query_as(AssertSqlSafe(explain)).bind("user@example.org");
        let steps: Vec<(i64, i64, i64, String)> = self.db.readers().all(query).await.unwrap();
        steps.into_iter().map(|(.., step)| step + "\n").collect()
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn measured() -> Measured {
    Measured {
        octets: Octets(1000),
        header_octets: Octets(300),
        has_dot_lines: false,
        header_is_8bit: false,
        crc64: u64::MAX,
        header_crc64: 1 << 63,
        sha256: [1; 32],
    }
}

const SESSION: SessionId = SessionId::from_octets([1; 16]);

#[tokio::test]
async fn every_statement_is_accepted_by_a_fresh_database() {
    let scene = scene().await;
    let mut tx = scene.db.begin().await.unwrap();
    for (name, statement) in sql::ALL {
        let prepared = tx.prepare(statement.into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {prepared:?}");
        assert!(!prepared.unwrap().sql().as_str().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_commit_is_synced_and_readers_cannot_write() {
    let scene = scene().await;
    let mut tx = scene.db.begin().await.unwrap();
    let setting = |pragma: &'static str| sqlx::query_scalar::<_, String>(pragma);
    let journal = setting("SELECT journal_mode FROM pragma_journal_mode")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let number = |pragma: &'static str| sqlx::query_scalar::<_, i64>(pragma);
    let synchronous = number("PRAGMA synchronous").fetch_one(&mut *tx).await.unwrap();
    let foreign_keys = number("PRAGMA foreign_keys").fetch_one(&mut *tx).await.unwrap();
    // FULL is 2: the log is synced at each commit.
    assert_eq!((journal.as_str(), synchronous, foreign_keys), ("wal", 2, 1));
    drop(tx);
    let mut reader = scene.db.readers().acquire().await.unwrap();
    let write = sqlx::query(sql::ADD_STORAGE)
        .bind("another")
        .execute(&mut *reader)
        .await;
    assert_eq!(error::kind(&write.unwrap_err()), StoreErrorKind::Denied);
}

#[tokio::test]
async fn no_statement_walks_over_all_messages_of_a_tenant() {
    let scene = scene().await;
    for (name, statement) in sql::ALL {
        // The one is for all mail; the other does so only where a foreign key is violated.
        if ["STORED", "ADD_MAILDROP"].contains(name) {
            continue;
        }
        let plan = scene.plan(statement).await;
        for step in plan.lines() {
            let mut words = step.split(' ');
            let (how, table) = (words.next(), words.next());
            let reads_messages = matches!(table, Some("message" | "m"));
            let is_narrow = how == Some("SEARCH") && !step.ends_with("(tenant_id=?)");
            assert!(!reads_messages || is_narrow, "{name}\n{plan}");
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_full_and_changes_nothing() {
    let scene = scene().await;
    let maildrop = scene.maildrop().await;
    let (index, locks) = scene.serve().await;
    scene.deliver(&index, maildrop).await.unwrap();
    // SQLite refuses to grow the file past so many pages, just as it meets a full disk.
    let mut connection = scene.db.begin().await.unwrap();
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    drop(connection);
    limit_pages(&scene.db, pages).await;
    let mut delivered = 1_u64;
    let full = loop {
        match scene.deliver(&index, maildrop).await {
            Ok(_) => delivered += 1,
            Err(error) => break error,
        }
        assert!(delivered < 10_000, "the limit has no effect");
    };
    assert_eq!(full.kind, StoreErrorKind::Full, "{full}");
    let (usage, _) = index.usage(maildrop).await.unwrap();
    assert_eq!(usage.messages, delivered);
    let fence = locks.open(maildrop, SESSION).await.unwrap();
    let listing = index.snapshot(&fence).await.unwrap();
    assert_eq!(u64::try_from(listing.bodies.len()).unwrap(), delivered);
    limit_pages(&scene.db, i64::from(u32::MAX) - 1).await;
    scene.deliver(&index, maildrop).await.unwrap();
}

async fn limit_pages(db: &Sqlite, pages: i64) {
    let mut tx = db.begin().await.unwrap();
    let pragma = format!("PRAGMA max_page_count = {pages}");
    tx.execute(AssertSqlSafe(pragma)).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_lost_row_is_damage_and_never_a_shorter_list() {
    let scene = scene().await;
    let maildrop = scene.maildrop().await;
    let (index, locks) = scene.serve().await;
    for _ in 0..3 {
        scene.deliver(&index, maildrop).await.unwrap();
    }
    let fence = locks.open(maildrop, SESSION).await.unwrap();
    assert_eq!(index.snapshot(&fence).await.unwrap().bodies.len(), 3);
    scene.write("DELETE FROM message WHERE message_id = 2").await;
    let refused = index.snapshot(&fence).await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::Damaged, "{refused}");
}

#[tokio::test]
async fn a_maildrop_that_is_opened_again_is_read_only_as_far_as_it_changed() {
    let scene = scene().await;
    let maildrop = scene.maildrop().await;
    let (index, locks) = scene.serve().await;
    for _ in 0..2 {
        scene.deliver(&index, maildrop).await.unwrap();
    }
    let fence = locks.open(maildrop, SESSION).await.unwrap();
    let (index, plan) = (Arc::new(index), Arc::new(FaultPlan::new()));
    let faulty = Faulty::new(Arc::clone(&index), Arc::clone(&plan));
    let (kept, none) = (ListingCache::new(1 << 20), ListingCache::new(0));
    let first = kept.listing(&faulty, &fence).await.unwrap();
    assert_eq!(none.listing(&faulty, &fence).await.unwrap(), first);
    let fault = Fault::Before(StoreErrorKind::Unavailable);
    plan.from(Some("snapshot"), 1, fault);
    let again = kept.listing(&faulty, &fence).await.unwrap();
    assert!(Arc::ptr_eq(&again, &first), "nothing changed");
    // Whoever reads the old rows again meets this.
    scene.write("PRAGMA ignore_check_constraints = ON").await;
    scene
        .write("UPDATE message SET unique_id = 'a b' WHERE message_id = 1")
        .await;
    scene.deliver(&index, maildrop).await.unwrap();
    let grown = kept.listing(&faulty, &fence).await.unwrap();
    assert_eq!(grown.bodies.len(), 3);
    assert_eq!(grown.bodies[..2], first.bodies);
    let refused = none.listing(&faulty, &fence).await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::Unavailable, "none was kept");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_fails_the_snapshot() {
    let scene = scene().await;
    let maildrop = scene.maildrop().await;
    let (index, locks) = scene.serve().await;
    for _ in 0..3 {
        scene.deliver(&index, maildrop).await.unwrap();
    }
    let fence = locks.open(maildrop, SESSION).await.unwrap();
    scene.write("PRAGMA ignore_check_constraints = ON").await;
    for damage in [
        "UPDATE message SET unique_id = 'a b' WHERE message_id = 2",
        "UPDATE message SET unique_id = 'ok', blob = x'00' WHERE message_id = 2",
        "UPDATE message SET blob = zeroblob(16), octets = -1 WHERE message_id = 2",
    ] {
        scene.write(damage).await;
        let refused = index.snapshot(&fence).await.unwrap_err();
        assert_eq!(refused.kind, StoreErrorKind::Damaged, "{damage}: {refused}");
    }
}

#[tokio::test]
async fn a_large_maildrop_is_listed_whole() {
    let scene = scene().await;
    let maildrop = scene.maildrop().await;
    let (index, locks) = scene.serve().await;
    scene.deliver(&index, maildrop).await.unwrap();
    let fence = locks.open(maildrop, SESSION).await.unwrap();
    let mut messages = 1;
    // One below, at and past the ends of what is read at once; every other key is unused.
    for n in [1023, 1024, 1025, 2048, 2049] {
        scene
            .write(AssertSqlSafe(format!(
                "INSERT INTO message
                    SELECT n * 2, tenant_id, maildrop_id, 'u' || n, 1000 + n, header_octets, n % 2, 0, -n, n,
                        sha256, storage_id, unhex(format('%032x', n)), received_at, NULL
                    FROM message JOIN (WITH RECURSIVE up (n) AS (
                        VALUES ({}) UNION ALL SELECT n + 1 FROM up WHERE n < {n}) SELECT n FROM up)
                    WHERE message_id = 1;
                UPDATE maildrop SET messages = {n}, octets = (SELECT sum(octets) FROM message)",
                messages + 1
            )))
            .await;
        messages = n;
        let listing = index.snapshot(&fence).await.unwrap();
        let listed: Vec<_> = listing.snapshot.iter().zip(&listing.bodies).skip(1).collect();
        assert_eq!(listed.len() as u64, n - 1);
        for (n, (entry, body)) in (2..).zip(listed) {
            assert_eq!(entry.id.get().cast_unsigned(), n * 2);
            assert_eq!(entry.unique_id, format!("u{n}"));
            assert_eq!(body.octets.get(), 1000 + n);
            assert_eq!(body.has_dot_lines, n % 2 == 1);
            assert_eq!(body.crc64, n.cast_signed().wrapping_neg().cast_unsigned());
            assert_eq!(body.header_crc64, n);
            assert_eq!(body.blob.number, u128::from(n));
        }
    }
}

#[tokio::test]
async fn a_commit_decided_against_never_happens() {
    let scene = scene().await;
    let maildrop = scene.maildrop().await;
    let (index, locks) = scene.serve().await;
    scene.deliver(&index, maildrop).await.unwrap();
    let fence = locks.open(maildrop, SESSION).await.unwrap();
    let snapshot = index.snapshot(&fence).await.unwrap().snapshot;
    let deletes = DeleteSet::of(snapshot, MessageNumber::new(1));
    assert_eq!(index.outcome(&fence, SESSION).await.unwrap(), None);
    let late = index.commit(&fence, SESSION, &deletes).await.unwrap_err();
    assert_eq!(late.kind, StoreErrorKind::Fenced);
    // The decision is in the file, not only in the memory of this process.
    let logged = sqlx::query_as("SELECT n_deleted FROM update_log");
    let (logged,): (Option<i64>,) = scene.db.readers().one(logged).await.unwrap();
    assert_eq!(logged, None);
    assert_eq!(index.usage(maildrop).await.unwrap().0.messages, 1);
}

#[tokio::test]
async fn what_came_to_be_deduplicated_is_forgotten_after_a_day() {
    let scene = scene().await;
    let maildrop = scene.maildrop().await;
    let (index, _locks) = scene.serve().await;
    let received = clock().wall();
    let message = NewMessage {
        storage: scene.storage,
        blob: index.reserve(maildrop, scene.storage).await.unwrap(),
        measured: measured(),
        unique_id: None,
        received,
        needs_utf8: false,
        deduplicate: true,
    };
    index.deliver(maildrop, message).await.unwrap();
    for (age, expected) in [(REPEAT_WINDOW / 2, 1_i64), (REPEAT_WINDOW * 2, 0)] {
        index.condemned(received + age, 1).await.unwrap();
        let remembered = sqlx::query_as("SELECT count(*) FROM recent_message");
        let (remembered,): (i64,) = scene.db.readers().one(remembered).await.unwrap();
        assert_eq!(remembered, expected);
    }
}

#[tokio::test]
async fn a_cancelled_commit_is_decided_before_anybody_opens_the_maildrop() {
    let scene = scene().await;
    let maildrop = scene.maildrop().await;
    let (index, locks) = scene.serve().await;
    scene.deliver(&index, maildrop).await.unwrap();
    let fence = locks.open(maildrop, SESSION).await.unwrap();
    let snapshot = index.snapshot(&fence).await.unwrap().snapshot;
    let deletes = DeleteSet::of(snapshot, MessageNumber::new(1));
    // Another writer keeps the commit waiting until its caller has gone.
    let other = scene.db.begin().await.unwrap();
    let commit = index.commit(&fence, SESSION, &deletes);
    let cancelled = tokio::time::timeout(Duration::from_millis(1), commit).await;
    assert!(cancelled.is_err(), "the writer is taken");
    let refused = locks.supersede(maildrop).await;
    assert!(refused.is_err(), "the maildrop is pinned while its commit waits");
    drop(other);
    let outcome = index.outcome(&fence, SESSION).await.unwrap();
    assert_eq!(outcome.map(|receipt| receipt.n_deleted()), Some(1));
    assert_eq!(index.usage(maildrop).await.unwrap().0.messages, 0);
}

#[tokio::test]
async fn an_account_cannot_be_in_a_domain_of_another_tenant() {
    let scene = scene().await;
    let maildrop = scene.maildrop().await;
    let directory = SqliteDirectory::new(&scene.db, clock());
    let other = directory.add_tenant("other", "store").await.unwrap();
    let mut tx = scene.db.begin().await.unwrap();
    for column in ["account", "maildrop"] {
        let key = if column == "account" {
            "account_id"
        } else {
            "maildrop_id"
        };
        let crossing = format!(
            "UPDATE {column} SET tenant_id = {} WHERE {key} = {}",
            other.id,
            maildrop.number()
        );
        let refused = tx.execute(AssertSqlSafe(crossing)).await.unwrap_err();
        assert_eq!(error::kind(&refused), StoreErrorKind::Invalid, "{refused}");
    }
}

#[tokio::test]
async fn errors_hold_no_bound_value() {
    let scene = scene().await;
    let mut tx = scene.db.begin().await.unwrap();
    sqlx::query(sql::ADD_TENANT)
        .bind("SECRET!")
        .bind(scene.storage.0)
        .bind(1_i64)
        .execute(&mut *tx)
        .await
        .map_err(error::directory_failed)
        .map_err(|error| assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}"))
        .unwrap_err();
}

#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::MetadataExt;
    let scene = scene().await;
    scene.db.storage_id("written").await.unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", scene.path.display());
        let mode = std::fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
}
