//! How a frontend hears of what another process changed.

use restante_auth::{AccountPatch, AccountState, Directory, DirectoryAdmin, TenantPatch};
use restante_postgres::{Pg, PgDirectory};
use restante_testkit::PATIENCE;
use restante_types::Secret;
use sqlx::Executor;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::scene::{bouncer, options};
use crate::world::World;

/// Waits until it was told once more.
async fn told(changes: &mut watch::Receiver<u64>) {
    timeout(PATIENCE, changes.changed()).await.unwrap().unwrap();
}

/// A frontend of its own that is listening.
async fn frontend(world: &World) -> (PgDirectory, watch::Receiver<u64>) {
    let db = Pg::open(&options(&world.database.url())).await.unwrap();
    let directory = PgDirectory::watching(&db);
    let mut changes = directory.changes();
    // Once it listens it says so, because of what came before.
    told(&mut changes).await;
    (directory, changes)
}

fn suspended() -> AccountPatch {
    AccountPatch {
        state: Some(AccountState::LoginSuspended),
        ..AccountPatch::default()
    }
}

async fn n_listeners(world: &World) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'",
    )
    .fetch_one(&mut world.database.connect().await)
    .await
    .unwrap()
}

#[tokio::test]
async fn a15_every_change_of_another_process_is_heard() {
    let world = World::new().await;
    let app_password = world.app_password(&world.one).await.id;
    let (_frontend, mut changes) = frontend(&world).await;
    let (directory, ann) = (&world.directory, &world.one.name);
    directory.set_account(ann, suspended()).await.unwrap();
    told(&mut changes).await;
    let patch = TenantPatch {
        state: Some(AccountState::Closed),
        ..TenantPatch::default()
    };
    directory.set_tenant("one", patch).await.unwrap();
    told(&mut changes).await;
    directory.remove_app_password(ann, app_password).await.unwrap();
    told(&mut changes).await;
    directory.add_server_name("one", "pop.one.example").await.unwrap();
    told(&mut changes).await;
    directory.remove_account(ann).await.unwrap();
    told(&mut changes).await;
}

#[tokio::test]
async fn nothing_is_said_of_an_act_that_is_rolled_back() {
    let world = World::new().await;
    let (_frontend, mut changes) = frontend(&world).await;
    let mut conn = world.database.connect().await;
    conn.execute("BEGIN; UPDATE account SET state = 'closed'; ROLLBACK")
        .await
        .unwrap();
    // What comes after it on the channel is the next thing that is heard.
    let before = *changes.borrow_and_update();
    world
        .directory
        .set_account(&world.one.name, suspended())
        .await
        .unwrap();
    told(&mut changes).await;
    assert_eq!(*changes.borrow(), before + 1);
}

#[tokio::test]
async fn f10_a_lost_connection_is_made_again_and_what_was_missed_is_asked_about() {
    let world = World::new().await;
    let (_frontend, mut changes) = frontend(&world).await;
    let mut superuser = <sqlx::PgConnection as sqlx::Connection>::connect(&world.database.superuser_url())
        .await
        .unwrap();
    superuser
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        )
        .await
        .unwrap();
    world
        .directory
        .set_account(&world.one.name, suspended())
        .await
        .unwrap();
    told(&mut changes).await;
    world.directory.remove_account(&world.one.name).await.unwrap();
    told(&mut changes).await;
}

#[tokio::test]
async fn the_listening_ends_with_the_last_directory() {
    let world = World::new().await;
    let (frontend, changes) = frontend(&world).await;
    let clone = frontend.clone();
    drop(frontend);
    assert_eq!(n_listeners(&world).await, 1);
    drop((clone, changes));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while n_listeners(&world).await > 0 {
        assert!(tokio::time::Instant::now() < deadline, "it listens on");
    }
}

#[tokio::test]
async fn behind_a_pooler_it_listens_past_it_or_not_at_all() {
    let world = World::new().await;
    let bouncer = bouncer(&world.database).await;
    let mut pooled = options(&bouncer.url());
    pooled.pooler = restante_postgres::Pooler::Transaction;
    let blind = PgDirectory::watching(&Pg::open(&pooled).await.unwrap());
    pooled.direct_url = Some(Secret::new(world.database.url()));
    let seeing = PgDirectory::watching(&Pg::open(&pooled).await.unwrap());
    let (unchanged, mut changes) = (blind.changes(), seeing.changes());
    told(&mut changes).await;
    blind.set_account(&world.one.name, suspended()).await.unwrap();
    told(&mut changes).await;
    assert!(!unchanged.has_changed().unwrap());
}
