//! Frontends that die, stall and come back.

use std::time::Duration;

use restante_lock::{LockError, LockManager};
use restante_postgres::{LeaseOptions, PgLockManager};
use restante_session::DeleteSet;
use restante_store::{MailIndex, StoreErrorKind};
use restante_types::{Fence, MaildropId, MessageNumber};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use crate::scene::{Scene, deliver, session, start};

const PATIENCE: Duration = Duration::from_secs(20);

/// Beats only when it is asked to, like a process that has stopped.
const STALLED: LeaseOptions = LeaseOptions {
    ttl: Duration::from_secs(20),
    beat: Duration::from_hours(1),
    grace: Duration::from_secs(5),
    longest_session: Duration::from_hours(2),
};

const LEASE_RUNS_OUT: &str =
    "UPDATE frontend SET expires_at = clock_timestamp() - interval '6 seconds' WHERE node = 'a'";
const LEASE_IN_GRACE: &str =
    "UPDATE frontend SET expires_at = clock_timestamp() - interval '1 second' WHERE node = 'a'";

async fn scene_with_mail() -> (Scene, MaildropId) {
    let scene = Scene::new().await;
    let maildrop = scene.maildrop().await;
    deliver(&scene.index(), maildrop).await.unwrap();
    (scene, maildrop)
}

async fn first_message(scene: &Scene, fence: &Fence) -> DeleteSet {
    let snapshot = scene.index().snapshot(fence).await.unwrap().snapshot;
    DeleteSet::of(snapshot, MessageNumber::new(1))
}

async fn messages(scene: &Scene, maildrop: MaildropId) -> u64 {
    scene.index().usage(maildrop).await.unwrap().0.messages
}

fn is_in_use(opened: &Result<Fence, LockError>) -> bool {
    matches!(opened, Err(LockError::InUse))
}

#[tokio::test]
async fn f02_a_dead_frontend_is_waited_for_by_others_and_not_by_itself() {
    let (scene, maildrop) = scene_with_mail().await;
    let dead = start(&scene.db, "a", STALLED).await;
    let held = dead.open(maildrop, session(1)).await.unwrap();
    let other = scene.frontend("b").await;
    assert!(is_in_use(&other.open(maildrop, session(2)).await));
    scene.write(LEASE_IN_GRACE).await;
    assert!(is_in_use(&other.open(maildrop, session(2)).await));
    let restarted = start(&scene.db, "a", STALLED).await;
    let fence = restarted.open(maildrop, session(3)).await.unwrap();
    assert!(fence.token > held.token);
    assert_eq!(dead.probe(&[held]).await.unwrap(), [held]);
}

#[tokio::test]
async fn f02_others_take_over_when_lease_and_grace_are_past() {
    let (scene, maildrop) = scene_with_mail().await;
    let dead = start(&scene.db, "a", STALLED).await;
    dead.open(maildrop, session(1)).await.unwrap();
    scene.write(LEASE_RUNS_OUT).await;
    let other = scene.frontend("b").await;
    other.open(maildrop, session(2)).await.unwrap();
}

#[tokio::test]
async fn f03_a_stalled_session_that_was_taken_over_deletes_nothing() {
    let (scene, maildrop) = scene_with_mail().await;
    let stalled = start(&scene.db, "a", STALLED).await;
    let held = stalled.open(maildrop, session(1)).await.unwrap();
    let deletes = first_message(&scene, &held).await;
    scene.write(LEASE_RUNS_OUT).await;
    let other = scene.frontend("b").await;
    let fence = other.open(maildrop, session(2)).await.unwrap();
    stalled.heartbeat().await.unwrap();
    let late = scene
        .index()
        .commit(&held, session(1), &deletes)
        .await
        .unwrap_err();
    assert_eq!(late.kind, StoreErrorKind::Fenced);
    assert_eq!(messages(&scene, maildrop).await, 1);
    stalled.release(&held).await.unwrap();
    assert!(other.probe(&[fence]).await.unwrap().is_empty());
}

#[tokio::test]
async fn f04_a_stalled_session_that_nobody_took_over_commits() {
    let (scene, maildrop) = scene_with_mail().await;
    let stalled = start(&scene.db, "a", STALLED).await;
    let held = stalled.open(maildrop, session(1)).await.unwrap();
    let deletes = first_message(&scene, &held).await;
    scene.write(LEASE_RUNS_OUT).await;
    let receipt = scene.index().commit(&held, session(1), &deletes).await.unwrap();
    assert_eq!(receipt.n_deleted(), 1);
}

#[tokio::test]
async fn a_late_heartbeat_keeps_what_nobody_took_also_after_the_lease_was_reaped() {
    let (scene, maildrop) = scene_with_mail().await;
    let stalled = start(&scene.db, "a", STALLED).await;
    let held = stalled.open(maildrop, session(1)).await.unwrap();
    scene.write("DELETE FROM frontend WHERE node = 'a'").await;
    stalled.heartbeat().await.unwrap();
    let other = scene.frontend("b").await;
    assert!(is_in_use(&other.open(maildrop, session(2)).await));
    assert!(stalled.probe(&[held]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_past_its_longest_time_can_be_taken_over() {
    let (scene, maildrop) = scene_with_mail().await;
    let frontend = scene.frontend("a").await;
    let held = frontend.open(maildrop, session(1)).await.unwrap();
    let other = scene.frontend("b").await;
    scene
        .write("UPDATE maildrop_lock SET hard_deadline = clock_timestamp() - interval '6 seconds'")
        .await;
    let fence = other.open(maildrop, session(2)).await.unwrap();
    assert!(fence.token > held.token);
}

#[tokio::test]
async fn a_frontend_whose_lease_has_run_out_opens_nothing_until_it_is_renewed() {
    let (scene, maildrop) = scene_with_mail().await;
    let options = LeaseOptions {
        ttl: Duration::from_millis(200),
        ..STALLED
    };
    let stalled = start(&scene.db, "a", options).await;
    until(|| stalled.lease_age() > options.ttl).await;
    let refused = stalled.open(maildrop, session(1)).await;
    assert!(matches!(refused, Err(LockError::Unavailable(_))), "{refused:?}");
    stalled.heartbeat().await.unwrap();
    stalled.open(maildrop, session(1)).await.unwrap();
}

#[tokio::test]
async fn f22_the_lease_is_renewed_while_every_other_thread_is_busy() {
    let (scene, _) = scene_with_mail().await;
    let options = LeaseOptions {
        beat: Duration::from_millis(20),
        ..LeaseOptions::default()
    };
    let frontend = start(&scene.db, "a", options).await;
    let busy = Duration::from_millis(600);
    // The only thread of this runtime, as if it computed hashes.
    std::thread::sleep(busy);
    assert!(frontend.lease_age() < busy, "{:?}", frontend.lease_age());
}

#[tokio::test]
async fn a_frontend_that_ends_frees_what_it_still_holds() {
    let (scene, maildrop) = scene_with_mail().await;
    let ending: PgLockManager = scene.frontend("a").await;
    ending.open(maildrop, session(1)).await.unwrap();
    drop(ending);
    let other = scene.frontend("b").await;
    let begun = Instant::now();
    while is_in_use(&other.open(maildrop, session(2)).await) {
        assert!(begun.elapsed() < PATIENCE, "its lease is still there");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn leases_that_ended_long_ago_are_removed_at_a_start() {
    let (scene, _) = scene_with_mail().await;
    scene
        .write("INSERT INTO frontend VALUES ('old', 1, now() - interval '2 days'), ('late', 1, now() - interval '1 hour')")
        .await;
    let _frontend = scene.frontend("a").await;
    let mut conn = scene.connect().await;
    let nodes: Vec<String> = sqlx::query_scalar("SELECT node FROM frontend ORDER BY node")
        .fetch_all(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
    assert_eq!(nodes, ["a", "late"]);
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(5)).await;
    }
}

/// Maildrops that the frontend `a` holds, as many openings would leave them.
const HOLD: [&str; 2] = [
    "INSERT INTO maildrop (tenant_id) SELECT (SELECT min(tenant_id) FROM tenant) FROM generate_series(1, 10000)",
    "INSERT INTO maildrop_lock (maildrop_id, tenant_id, token, session_id, node, incarnation, opened_at, hard_deadline)
     SELECT d.maildrop_id, d.tenant_id, 1, substring(sha256(d.maildrop_id::text::bytea) FOR 16), 'a', f.incarnation,
         now(), now() + interval '2 hours'
     FROM maildrop d CROSS JOIN (SELECT max(incarnation) AS incarnation FROM frontend WHERE node = 'a') f
     ON CONFLICT DO NOTHING",
];
/// Rows written in this database so far: of frontends, and of all tables.
const WRITTEN: &str = "SELECT sum(n_tup_ins + n_tup_upd) FILTER (WHERE relname = 'frontend')::bigint,
    sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables";
const OTHERS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
const HELD: &str = "SELECT count(*) FROM maildrop_lock WHERE session_id IS NOT NULL AND node = 'a'";

/// Rows that a number of heartbeats writes: of frontends, and of all tables. The server counts them once a second, and
/// those of a connection that ends before it is seen to have gone.
async fn written_by_beats(locks: &PgLockManager, conn: &mut PgConnection) -> (i64, i64) {
    let begun = Instant::now();
    while sqlx::query_scalar::<_, i64>(OTHERS)
        .fetch_one(&mut *conn)
        .await
        .unwrap()
        > 1
    {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(5)).await;
    }
    let before: (i64, i64) = sqlx::query_as(WRITTEN).fetch_one(&mut *conn).await.unwrap();
    loop {
        locks.heartbeat().await.unwrap();
        let now: (i64, i64) = sqlx::query_as(WRITTEN).fetch_one(&mut *conn).await.unwrap();
        if now.0 > before.0 + 10 {
            return (now.0 - before.0, now.1 - before.1);
        }
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_heartbeat_writes_one_row_for_ten_maildrops_and_for_ten_thousand() {
    let scene = Scene::new().await;
    let locks = start(&scene.db, "a", STALLED).await;
    for n in 0..10 {
        let maildrop = scene.maildrop().await;
        locks.open(maildrop, session(n)).await.unwrap();
    }
    scene.db.close().await;
    let mut conn = scene.connect().await;
    for (wanted, statements) in [(10, &HOLD[..0]), (10_010, &HOLD[..])] {
        for statement in statements {
            scene.write(statement).await;
        }
        let held: i64 = sqlx::query_scalar(HELD).fetch_one(&mut conn).await.unwrap();
        assert_eq!(held, wanted);
        let (frontends, all) = written_by_beats(&locks, &mut conn).await;
        assert_eq!(
            frontends, all,
            "rows of frontends and of all tables, {wanted} held"
        );
    }
}
