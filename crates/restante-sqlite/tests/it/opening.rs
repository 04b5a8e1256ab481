//! What an operator reads when the file is not what it should be.

use restante_lock::LockManager;
use restante_sqlite::{Sqlite, SqliteError, SqliteLockManager, SqliteMailIndex};
use restante_store::{MailIndex, StoreErrorKind};
use restante_types::SessionId;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};
use tempfile::TempDir;

use crate::scene::{Scene, clock, deliver, options};

async fn refused(path: &std::path::Path) -> SqliteError {
    Sqlite::open(path, &options()).await.unwrap_err()
}

async fn execute(path: &std::path::Path, statement: &'static str) {
    let connecting = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut conn = connecting.connect().await.unwrap();
    conn.execute(statement).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test]
async fn a_missing_folder_and_a_missing_file_are_named() {
    let folder = TempDir::new().unwrap();
    let no_folder = folder.path().join("missing/restante.db");
    assert!(matches!(refused(&no_folder).await, SqliteError::NoFolder(_)));
    let no_file = refused(&folder.path().join("restante.db")).await;
    assert!(matches!(no_file, SqliteError::NoFile(_)));
    assert!(no_file.to_string().contains("restante migrate"), "{no_file}");
    let far = folder.path().join("missing/too/restante.db");
    let migrated = Sqlite::migrate(&far, &options()).await;
    assert!(matches!(migrated, Err(SqliteError::NoFolder(_))), "{migrated:?}");
}

#[tokio::test]
async fn migrate_makes_a_folder_that_is_the_owners_alone() {
    use std::os::unix::fs::MetadataExt;
    let folder = TempDir::new().unwrap();
    let made = folder.path().join("made");
    let path = made.join("restante.db");
    let applied = Sqlite::migrate(&path, &options()).await.unwrap();
    assert_eq!(applied[..3], ["0001 directory", "0002 mail", "0003 tenants"]);
    assert_eq!(std::fs::metadata(&made).unwrap().mode() & 0o777, 0o700);
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert!(Sqlite::migrate(&path, &options()).await.unwrap().is_empty());
    let schema = Sqlite::schema(&path, &options()).await.unwrap();
    let last = i64::try_from(applied.len()).unwrap();
    assert_eq!((schema.version, schema.pending.len()), (Some(last), 0));
}

#[tokio::test]
async fn an_empty_file_is_not_migrated_yet() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("restante.db");
    std::fs::write(&path, b"").unwrap();
    let error = refused(&path).await;
    assert!(matches!(&error, SqliteError::NotMigrated { pending, .. } if pending.len() >= 3));
    assert!(error.to_string().contains("restante migrate"), "{error}");
    assert_eq!(Sqlite::schema(&path, &options()).await.unwrap().version, None);
}

#[tokio::test]
async fn another_kind_of_file_is_not_a_database() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("restante.db");
    std::fs::write(&path, "From nobody\n".repeat(1000)).unwrap();
    assert!(matches!(refused(&path).await, SqliteError::NotADatabase(_)));
    let migrated = Sqlite::migrate(&path, &options()).await;
    assert!(
        matches!(migrated, Err(SqliteError::NotADatabase(_))),
        "{migrated:?}"
    );
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("restante.db");
    execute(&path, "CREATE TABLE theirs (a)").await;
    let migrated = Sqlite::migrate(&path, &options()).await;
    assert!(matches!(migrated, Err(SqliteError::Foreign(_))), "{migrated:?}");
}

#[tokio::test]
async fn a_database_newer_than_the_program_is_refused() {
    let scene = Scene::new().await;
    execute(
        &scene.path,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', TRUE, x'00', 0)",
    )
    .await;
    let error = refused(&scene.path).await;
    assert!(matches!(error, SqliteError::Newer { version: 9999, .. }));
    assert!(error.to_string().contains("install a newer release"), "{error}");
}

#[tokio::test]
async fn a_changed_migration_is_refused() {
    let scene = Scene::new().await;
    execute(
        &scene.path,
        "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1",
    )
    .await;
    assert!(matches!(
        refused(&scene.path).await,
        SqliteError::Changed { version: 1, .. }
    ));
}

#[tokio::test]
async fn damage_in_the_file_is_an_error_and_never_a_shorter_list() {
    let scene = Scene::new().await;
    let db = scene.open().await;
    let index = SqliteMailIndex::for_delivery(&db, clock());
    for _ in 0..200 {
        deliver(&db, &index, scene.maildrop).await.unwrap();
    }
    db.close().await;
    let mut octets = std::fs::read(&scene.path).unwrap();
    // The end of the file holds pages of messages.
    let end = octets.len() / 8 * 7;
    octets[end..].fill(0xA5);
    std::fs::write(&scene.path, octets).unwrap();
    let db = scene.open().await;
    let locks = SqliteLockManager::start(&db).await.unwrap();
    let index = SqliteMailIndex::new(&db, &locks, clock());
    let fence = locks
        .open(scene.maildrop, SessionId::from_octets([1; 16]))
        .await
        .unwrap();
    let error = index.snapshot(&fence).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Damaged, "{error}");
}
