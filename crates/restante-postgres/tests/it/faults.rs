//! UPDATE and delivery while the way to the database fails.

use std::time::Duration;

use restante_lock::LockManager;
use restante_postgres::{Pg, PgLockManager, PgMailIndex, PgOptions, Pooler};
use restante_session::DeleteSet;
use restante_store::{MailIndex, StoreErrorKind};
use restante_types::{Fence, MaildropId, MessageNumber, Secret};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep, timeout};

use crate::proxy::Proxy;
use crate::scene::{Scene, clock, deliver, options, session};

const PATIENCE: Duration = Duration::from_secs(20);

struct Way {
    scene: Scene,
    proxy: Proxy,
    index: PgMailIndex,
    locks: PgLockManager,
    maildrop: MaildropId,
}

/// An index whose every octet goes through the proxy; locks and leases do not.
async fn way(pooler: Pooler, statement_timeout: Duration) -> Way {
    let scene = Scene::new().await;
    let proxy = Proxy::start(&scene.database.url()).await;
    let options = PgOptions {
        pooler,
        max_connections: 1,
        statement_timeout,
        direct_url: Some(Secret::new(scene.database.url())),
        ..options(&proxy.url)
    };
    let db = Pg::open(&options).await.unwrap();
    Way {
        index: PgMailIndex::new(&db, clock()),
        locks: scene.frontend("a").await,
        maildrop: scene.maildrop().await,
        scene,
        proxy,
    }
}

impl Way {
    async fn open_and_mark(&self, n: u64) -> (Fence, DeleteSet) {
        let fence = self.locks.open(self.maildrop, session(n)).await.unwrap();
        let snapshot = self.scene.index().snapshot(&fence).await.unwrap().snapshot;
        (fence, DeleteSet::of(snapshot, MessageNumber::new(1)))
    }

    async fn messages(&self) -> u64 {
        self.scene.index().usage(self.maildrop).await.unwrap().0.messages
    }
}

/// Each answer of the server in turn is lost: the outcome that is told afterwards is what has happened.
#[tokio::test]
async fn f08_when_an_answer_to_update_is_lost_its_outcome_is_found_out() {
    for pooler in [Pooler::None, Pooler::Transaction] {
        let way = way(pooler, Duration::from_secs(8)).await;
        let (mut happened, mut did_not) = (0, 0);
        for nth in 1.. {
            deliver(&way.scene.index(), way.maildrop).await.unwrap();
            let before = way.messages().await;
            let (fence, deletes) = way.open_and_mark(u64::from(nth)).await;
            let session = session(u64::from(nth));
            // The connection lives and knows the statements, so that the answers are those of this commit.
            way.index.usage(way.maildrop).await.unwrap();
            way.proxy.swallow(nth);
            let committed = way.index.commit(&fence, session, &deletes).await;
            if !way.proxy.has_swallowed() {
                assert_eq!(committed.unwrap().n_deleted(), 1);
                break;
            }
            if let Err(error) = &committed {
                assert!(
                    matches!(error.kind, StoreErrorKind::Unknown | StoreErrorKind::Unavailable),
                    "{error}"
                );
            }
            let outcome = way.index.outcome(&fence, session).await.unwrap();
            assert_eq!(way.index.outcome(&fence, session).await.unwrap(), outcome);
            let removed = before - way.messages().await;
            match (committed, outcome) {
                (Ok(receipt), Some(outcome)) => assert_eq!((receipt.n_deleted(), &receipt), (1, &outcome)),
                (Err(error), Some(outcome)) => {
                    assert_eq!((outcome.n_deleted(), removed), (1, 1));
                    assert_eq!(error.kind, StoreErrorKind::Unknown, "it has happened: {error}");
                    happened += 1;
                }
                (Err(_), None) => {
                    assert_eq!(removed, 0);
                    did_not += 1;
                }
                (Ok(_), None) => panic!("acknowledged and not there"),
            }
        }
        assert!(happened > 0, "{pooler:?}: {happened} happened, {did_not} did not");
    }
}

/// Whether the commit finds the maildrop taken when the lock's row is free at last decides alone.
#[tokio::test]
async fn f05_a_commit_that_waits_for_a_takeover_deletes_nothing_if_it_succeeds() {
    for takes in [true, false] {
        let way = way(Pooler::None, Duration::from_secs(8)).await;
        deliver(&way.index, way.maildrop).await.unwrap();
        let (fence, deletes) = way.open_and_mark(1).await;
        let mut thief = way.scene.connect().await;
        let mut taking = thief.begin().await.unwrap();
        sqlx::query("UPDATE maildrop_lock SET token = token + 1 WHERE maildrop_id = $1")
            .bind(way.maildrop.number())
            .execute(&mut *taking)
            .await
            .unwrap();
        let index = way.index;
        let committing = tokio::spawn(async move { index.commit(&fence, session(1), &deletes).await });
        until_somebody_waits(&mut way.scene.connect().await).await;
        if takes {
            taking.commit().await.unwrap();
        } else {
            taking.rollback().await.unwrap();
        }
        let committed = committing.await.unwrap();
        let left = way.scene.index().usage(way.maildrop).await.unwrap().0.messages;
        if takes {
            assert_eq!((committed.unwrap_err().kind, left), (StoreErrorKind::Fenced, 1));
        } else {
            assert_eq!((committed.unwrap().n_deleted(), left), (1, 0));
        }
    }
}

async fn until_somebody_waits(conn: &mut PgConnection) {
    let begun = Instant::now();
    loop {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(&mut *conn)
        .await
        .unwrap();
        if waiting > 0 {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "nobody waits for the row");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn f11_a_way_that_swallows_everything_is_given_up_and_found_again() {
    let way = way(Pooler::Transaction, Duration::from_millis(400)).await;
    deliver(&way.index, way.maildrop).await.unwrap();
    let (fence, deletes) = way.open_and_mark(1).await;
    way.proxy.black_hole(true);
    let usage = timeout(PATIENCE, way.index.usage(way.maildrop)).await.unwrap();
    assert_eq!(usage.unwrap_err().kind, StoreErrorKind::Unavailable);
    let committed = timeout(PATIENCE, way.index.commit(&fence, session(1), &deletes)).await;
    let error = committed.unwrap().unwrap_err();
    assert!(error.kind.is_temporary(), "{error}");
    way.proxy.black_hole(false);
    let begun = Instant::now();
    let outcome = loop {
        match way.index.outcome(&fence, session(1)).await {
            Ok(outcome) => break outcome,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
    };
    assert_eq!((outcome, way.messages().await), (None, 1));
}

#[tokio::test]
async fn f11_a_connection_that_is_swallowed_while_it_is_idle_does_not_keep_its_place() {
    let way = way(Pooler::None, Duration::from_millis(400)).await;
    way.index.usage(way.maildrop).await.unwrap();
    way.proxy.black_hole(true);
    let usage = timeout(PATIENCE, way.index.usage(way.maildrop)).await.unwrap();
    assert_eq!(usage.unwrap_err().kind, StoreErrorKind::Unavailable);
    way.proxy.black_hole(false);
    let begun = Instant::now();
    while let Err(error) = way.index.usage(way.maildrop).await {
        assert!(begun.elapsed() < PATIENCE, "{error}");
    }
}

#[tokio::test]
async fn a_server_that_ends_all_connections_is_asked_again() {
    let way = way(Pooler::None, Duration::from_secs(8)).await;
    deliver(&way.index, way.maildrop).await.unwrap();
    let (fence, deletes) = way.open_and_mark(1).await;
    way.scene
        .write(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
    // The server says that it ends the connection: nothing has happened, and the commit is tried again.
    let receipt = way.index.commit(&fence, session(1), &deletes).await.unwrap();
    assert_eq!(receipt.n_deleted(), 1);
}

#[tokio::test]
async fn a_lost_row_is_damage_and_never_a_shorter_list() {
    let way = way(Pooler::None, Duration::from_secs(8)).await;
    for _ in 0..3 {
        deliver(&way.index, way.maildrop).await.unwrap();
    }
    let (fence, _) = way.open_and_mark(1).await;
    way.scene
        .write("DELETE FROM message WHERE message_id = (SELECT min(message_id) FROM message)")
        .await;
    let refused = way.index.snapshot(&fence).await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::Damaged, "{refused}");
}

#[tokio::test]
async fn a_connection_that_was_cut_while_it_was_idle_for_long_is_replaced_before_its_use() {
    let scene = Scene::new().await;
    let maildrop = scene.maildrop().await;
    let bouncer = crate::scene::bouncer(&scene.database).await;
    let (direct, pooled) = (scene.database.url(), bouncer.url());
    for (pooler, url, check_after_idle, answer) in [
        (
            Pooler::None,
            &direct,
            Duration::from_hours(1),
            Err(StoreErrorKind::Unavailable),
        ),
        (Pooler::None, &direct, Duration::ZERO, Ok(0)),
        // The pooler makes new connections of its own, and is asked all the same.
        (Pooler::Transaction, &pooled, Duration::ZERO, Ok(0)),
    ] {
        let options = PgOptions {
            pooler,
            check_after_idle,
            max_connections: 1,
            ..options(url)
        };
        let db = Pg::open(&options).await.unwrap();
        let index = PgMailIndex::new(&db, clock());
        index.usage(maildrop).await.unwrap();
        scene
            .write(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await;
        let usage = index.usage(maildrop).await;
        let messages = usage.map(|(usage, _)| usage.messages).map_err(|error| error.kind);
        assert_eq!(messages, answer);
    }
}
