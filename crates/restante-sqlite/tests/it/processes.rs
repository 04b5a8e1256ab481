//! Several processes on one file: one serves, tools work beside it. Two handles stand for two processes: they
//! share nothing but the file.

use restante_auth::{Directory, DirectoryAdmin, LoginName};
use restante_lock::LockManager;
use restante_sqlite::{Sqlite, SqliteDirectory, SqliteError, SqliteLockManager, SqliteMailIndex};
use restante_store::{MailIndex, StoreErrorKind};
use restante_types::SessionId;

use crate::scene::{Scene, clock, deliver, options, user};

const SESSION: SessionId = SessionId::from_octets([1; 16]);

#[tokio::test]
async fn a_second_server_on_the_file_is_refused() {
    let scene = Scene::new().await;
    let (first, second) = (scene.open().await, scene.open().await);
    let locks = SqliteLockManager::start(&first).await.unwrap();
    let refused = SqliteLockManager::start(&second).await.unwrap_err();
    assert!(matches!(refused, SqliteError::InService(_)), "{refused}");
    // The index may still commit, so it keeps the service as well.
    let index = SqliteMailIndex::new(&first, &locks, clock());
    drop(locks);
    assert!(SqliteLockManager::start(&second).await.is_err());
    drop(index);
    SqliteLockManager::start(&second).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_deliver_and_add_accounts_while_the_server_runs() {
    let scene = Scene::new().await;
    let (server, tool) = (scene.open().await, scene.open().await);
    let locks = SqliteLockManager::start(&server).await.unwrap();
    let index = SqliteMailIndex::new(&server, &locks, clock());
    let maildrop = scene.maildrop;
    let beside = tokio::spawn(async move {
        let index = SqliteMailIndex::for_delivery(&tool, clock());
        let directory = SqliteDirectory::new(&tool, clock());
        for n in 0..25 {
            deliver(&tool, &index, maildrop).await.unwrap();
            let account = user(&format!("user{n}@example.org"));
            directory.add_account(account).await.unwrap();
        }
    });
    for _ in 0..25 {
        deliver(&server, &index, maildrop).await.unwrap();
    }
    beside.await.unwrap();
    let fence = locks.open(maildrop, SESSION).await.unwrap();
    assert_eq!(index.snapshot(&fence).await.unwrap().bodies.len(), 50);
    let directory = SqliteDirectory::new(&server, clock());
    let name = LoginName::parse("user24@example.org").unwrap();
    let credentials = directory.credentials(&name).await.unwrap().unwrap();
    assert_eq!(credentials.account.name, name);
}

#[tokio::test]
async fn a_tool_can_open_no_maildrop() {
    let scene = Scene::new().await;
    let (server, tool) = (scene.open().await, scene.open().await);
    let locks = SqliteLockManager::start(&server).await.unwrap();
    let fence = locks.open(scene.maildrop, SESSION).await.unwrap();
    let beside = SqliteMailIndex::for_delivery(&tool, clock());
    let refused = beside.snapshot(&fence).await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::Fenced);
}

#[tokio::test]
async fn a_writer_of_another_process_makes_the_call_wait_then_fail_for_now() {
    let scene = Scene::new().await;
    let mut impatient = options();
    impatient.busy_timeout = std::time::Duration::from_millis(20);
    let db = Sqlite::open(&scene.path, &impatient).await.unwrap();
    let other =
        sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(&scene.path))
            .await
            .unwrap();
    let writing = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = db.storage_id("store").await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
    assert!(error.retry_after.is_some());
    writing.rollback().await.unwrap();
    db.storage_id("store").await.unwrap();
}
