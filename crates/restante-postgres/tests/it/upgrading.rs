//! Frontends of two releases side by side, while the newer one's migrations are in and the older one's are not out.

use std::time::Duration;

use restante_postgres::{Pg, PgError};
use restante_store::{BlobLedger, Custody, MailIndex, StorageId};
use restante_types::{Clock, SystemClock};
use sqlx::Connection as _;

use crate::scene::{Scene, deliver, options};

/// What the release before, whose last migration is 0004, says to the ledger; the rest it says as this one does.
mod release_0004 {
    pub(super) const CONDEMNED: &str = "SELECT tenant_id, blob, storage_id FROM blob_gc LIMIT $1";
    pub(super) const RESERVE: &str =
        "INSERT INTO pending_blob (tenant_id, blob, maildrop_id, storage_id, reserved_at)
         SELECT a.tenant_id, $3, a.account_id, $4, clock_timestamp()
         FROM account a WHERE a.account_id = $1 AND a.tenant_id = $2";
    pub(super) const ADD_MESSAGE: &str =
        "INSERT INTO message (tenant_id, maildrop_id, unique_id, octets, header_octets, has_dot_lines,
             needs_utf8, crc64, header_crc64, sha256, storage_id, blob, received_at)
         SELECT tenant_id, maildrop_id, 'of-the-release-before', 10, 5, false, false, 1, 2, sha256('x'), storage_id, blob,
             now() FROM pending_blob WHERE blob = $1";
    pub(super) const TAKE_RESERVATION: &str = "DELETE FROM pending_blob WHERE blob = $1";
    pub(super) const CONDEMN_RESERVATIONS: &str = "WITH gone AS (
             DELETE FROM pending_blob RETURNING tenant_id, blob, storage_id)
         INSERT INTO blob_gc (tenant_id, blob, storage_id) SELECT tenant_id, blob, storage_id FROM gone";
}

#[tokio::test]
async fn f25_what_the_release_before_writes_this_one_reads() {
    let scene = Scene::new().await;
    let maildrop = scene.maildrop().await;
    let mut old = scene.connect().await;
    let blob = [7_u8; 16];
    sqlx::query(release_0004::RESERVE)
        .bind(maildrop.number())
        .bind(maildrop.tenant().get())
        .bind(&blob[..])
        .bind(1_i64)
        .execute(&mut old)
        .await
        .unwrap();
    let mut tx = old.begin().await.unwrap();
    for statement in [release_0004::ADD_MESSAGE, release_0004::TAKE_RESERVATION] {
        let done = sqlx::query(statement)
            .bind(&blob[..])
            .execute(&mut *tx)
            .await
            .unwrap();
        assert_eq!(done.rows_affected(), 1);
    }
    tx.commit().await.unwrap();
    let stored = scene.index().stored(Some(maildrop), None, 10).await.unwrap();
    assert_eq!(stored[0].unique_id.as_str(), "of-the-release-before");
    scene.index().reserve(maildrop, StorageId(1)).await.unwrap();
    sqlx::query(release_0004::CONDEMN_RESERVATIONS)
        .execute(&mut old)
        .await
        .unwrap();
    let condemned = scene.index().condemned(SystemClock.wall(), 10).await.unwrap();
    assert_eq!(condemned.len(), 1, "what the one condemns the other removes");
}

#[tokio::test]
async fn f25_the_release_before_removes_nothing_that_a_session_may_be_reading() {
    let scene = Scene::new().await;
    let maildrop = scene.maildrop().await;
    deliver(&scene.index(), maildrop).await.unwrap();
    let index = scene.index();
    let other = scene.db.storage_id("other").await.unwrap();
    let stored = index.stored(Some(maildrop), None, 10).await.unwrap();
    let blob = index.reserve_for(&stored[0], other).await.unwrap();
    let moved = index
        .relocate(&stored[0], other, blob, Duration::from_hours(1))
        .await;
    assert!(moved.unwrap());
    let mut old = scene.connect().await;
    let listed: Vec<(i64, Vec<u8>, i64)> = sqlx::query_as(release_0004::CONDEMNED)
        .bind(100_i64)
        .fetch_all(&mut old)
        .await
        .unwrap();
    assert_eq!(listed, []);
}

/// A migration of a release to come.
const TO_COME: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
    VALUES (9999, 'to come', true, '\\x00', 0)";

#[tokio::test]
async fn f25_a_schema_of_the_next_release_is_taken_if_it_says_so_and_refused_if_not() {
    let scene = Scene::new().await;
    let options = options(&scene.database.url());
    scene.write(TO_COME).await;
    Pg::open(&options).await.unwrap();
    assert!(
        Pg::migrate(&options).await.unwrap().is_empty(),
        "nothing to apply, nothing to undo"
    );
    scene
        .write("UPDATE installation SET needs_migration = 9999")
        .await;
    let error = Pg::open(&options).await.unwrap_err();
    assert!(matches!(error, PgError::Newer { version: 9999 }), "{error}");
    assert!(error.to_string().contains("install a newer release"), "{error}");
}
