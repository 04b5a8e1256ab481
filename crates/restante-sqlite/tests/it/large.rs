//! A maildrop of 100,000 messages: listed in order, deleted in one step.

use std::time::Duration;

use restante_lock::LockManager;
use restante_session::DeleteSet;
use restante_sqlite::{SqliteLockManager, SqliteMailIndex};
use restante_store::MailIndex;
use restante_types::{MessageNumber, SessionId};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};

use crate::scene::{Scene, clock};

const MESSAGES: usize = 100_000;
/// Far above what it takes, so that a busy machine does not fail the test.
const PATIENCE: Duration = Duration::from_mins(1);

const FILL: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
    INSERT INTO message (tenant_id, maildrop_id, unique_id, octets, header_octets, has_dot_lines, needs_utf8,
        crc64, header_crc64, sha256, storage_id, blob, received_at)
    SELECT 1, 1, printf('01J%023d', i), 1000 + i % 7, 300, 0, 0, -i, i, randomblob(32), 1, randomblob(16), i FROM n;
    INSERT INTO unique_id SELECT maildrop_id, unique_id FROM message;
    UPDATE maildrop SET (messages, octets) = (SELECT count(*), sum(octets) FROM message);";

#[tokio::test]
async fn a_hundred_thousand_messages_are_listed_and_deleted_in_one_step() {
    let scene = Scene::new().await;
    let mut conn = SqliteConnectOptions::new()
        .filename(&scene.path)
        .connect()
        .await
        .unwrap();
    conn.execute(FILL).await.unwrap();
    conn.close().await.unwrap();

    let db = scene.open().await;
    let locks = SqliteLockManager::start(&db).await.unwrap();
    let index = SqliteMailIndex::new(&db, &locks, clock());
    let session = SessionId::from_octets([1; 16]);
    let fence = locks.open(scene.maildrop, session).await.unwrap();
    let start = tokio::time::Instant::now();
    let listing = index.snapshot(&fence).await.unwrap();
    println!("snapshot of {MESSAGES}: {:?}", start.elapsed());
    assert_eq!(listing.bodies.len(), MESSAGES);
    assert!(start.elapsed() < PATIENCE);

    let last = listing
        .snapshot
        .entry(MessageNumber::from_index(MESSAGES - 1).unwrap());
    assert_eq!(last.unwrap().unique_id, format!("01J{MESSAGES:023}"));
    let all = (0..MESSAGES).filter_map(MessageNumber::from_index);
    let deletes = DeleteSet::of(listing.snapshot, all);
    let start = tokio::time::Instant::now();
    let receipt = index.commit(&fence, session, &deletes).await.unwrap();
    println!("commit of {MESSAGES}: {:?}", start.elapsed());
    assert_eq!(receipt.n_deleted(), MESSAGES);
    assert!(start.elapsed() < PATIENCE);
    assert!(index.snapshot(&fence).await.unwrap().bodies.is_empty());
}
