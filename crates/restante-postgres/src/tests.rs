//! What only the inside of the crate can show: every statement, what a connection is worth after a call that was
//! given up, what the server's codes become.

mod directory;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object};
use restante_lock::{LockError, LockManager};
use restante_store::StoreErrorKind;
use restante_testkit::{PgDatabase, Postgres};
use restante_types::{MaildropId, Secret, SessionId, TenantId};
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr, Statement};
use tokio::time::timeout;

use crate::connections::Connections;
use crate::error::{commit_failed, directory_failed, failed, is_retryable, kind};
use crate::*;

const PID: &str = "SELECT pg_backend_pid()";

fn all_statements() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    [
        sql::mail::ALL,
        sql::blobs::ALL,
        sql::custody::ALL,
        sql::directory::ALL,
        sql::plugins::ALL,
    ]
    .into_iter()
    .flatten()
}

async fn empty() -> PgDatabase {
    let cluster = Postgres::shared().await.expect("these tests need PostgreSQL");
    cluster.database().await
}

fn options(database: &PgDatabase, pooler: Pooler, connections: u32) -> PgOptions {
    PgOptions {
        pooler,
        max_connections: connections,
        direct_url: Some(Secret::new(database.url())),
        ..PgOptions::new(Secret::new(database.url()))
    }
}

async fn open(pooler: Pooler, connections: u32) -> Pg {
    let database = empty().await;
    let options = options(&database, pooler, connections);
    Pg::migrate(&options).await.unwrap();
    Pg::open(&options).await.unwrap()
}

async fn pid(db: &Pg) -> i32 {
    let (pid,) = db.one(sqlx::query_as(PID)).await.unwrap();
    pid
}

#[tokio::test]
async fn a_connection_is_not_used_for_ever() {
    let db = open(Pooler::None, 1).await;
    let connections = Connections::new(
        db.direct().unwrap(),
        1,
        Duration::from_secs(5),
        Duration::from_hours(1),
    );
    let mut held = connections.acquire().await.unwrap();
    let pool = Object::pool(&held).unwrap();
    let mut metrics = Metrics::default();
    metrics.recycled = Some(metrics.created);
    pool.manager().recycle(&mut held, &metrics).await.unwrap();
    metrics.created -= Duration::from_mins(31);
    assert!(pool.manager().recycle(&mut held, &metrics).await.is_err());
}

#[tokio::test]
async fn every_statement_is_accepted_by_a_fresh_database() {
    let db = open(Pooler::None, 1).await;
    let mut tx = db.begin().await.unwrap();
    for (name, statement) in all_statements() {
        let prepared = tx.conn().prepare(statement.into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {prepared:?}");
        assert!(!prepared.unwrap().sql().as_str().is_empty(), "{name}");
    }
}

#[test]
fn f33_no_statement_leaves_something_behind_in_a_pooled_session() {
    for (name, statement) in all_statements() {
        let statement = statement.to_ascii_lowercase();
        let begins = |words: &[&str]| words.iter().any(|word| statement.starts_with(word));
        let of_the_transaction = begins(&["set transaction ", "set local "]);
        let of_the_session = begins(&["set ", "reset ", "listen ", "prepare ", "declare ", "discard "]);
        assert!(!of_the_session || of_the_transaction, "{name}");
        for leaves in ["advisory_lock", "currval", "lastval"] {
            assert!(!statement.contains(leaves), "{name}");
        }
        // For the rest of the transaction only.
        assert!(
            !statement.contains("set_config") || statement.contains(", true)"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_closes_its_connection() {
    for pooler in [Pooler::None, Pooler::Transaction] {
        let db = open(pooler, 1).await;
        let before = pid(&db).await;
        assert_eq!(pid(&db).await, before, "an undisturbed connection is kept");
        let sleeping = db.execute(sqlx::query("SELECT pg_sleep(10)"));
        assert!(timeout(Duration::from_millis(20), sleeping).await.is_err());
        assert_ne!(pid(&db).await, before, "{pooler:?}");
    }
}

#[tokio::test]
async fn a_transaction_that_is_given_up_closes_its_connection() {
    let db = open(Pooler::None, 1).await;
    let before = pid(&db).await;
    let mut tx = db.begin().await.unwrap();
    let sleeping = tx.execute(sqlx::query("SELECT pg_sleep(10)"));
    assert!(timeout(Duration::from_millis(20), sleeping).await.is_err());
    drop(tx);
    assert_ne!(pid(&db).await, before);
}

/// Calls of all lengths, cancelled anywhere; every answer that comes must be the one to its question.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_after_a_cancelled_call_is_ones_own() {
    for pooler in [Pooler::None, Pooler::Transaction] {
        let db = open(pooler, 4).await;
        let callers: Vec<_> = (0..8_i64)
            .map(|caller| {
                let db = db.clone();
                tokio::spawn(async move {
                    let mut answered = 0;
                    for n in 0..100_i64 {
                        let key = caller * 1000 + n;
                        let patience = Duration::from_micros(u64::try_from(key * 7919 % 60_000).unwrap());
                        let query = sqlx::query_as("SELECT $1::bigint, pg_sleep(0.005)::text").bind(key);
                        let Ok(answer) = timeout(patience, db.one::<(i64, String)>(query)).await else {
                            continue;
                        };
                        assert_eq!(answer.unwrap().0, key);
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        let mut answered = 0;
        for caller in callers {
            answered += caller.await.unwrap();
        }
        assert!(
            answered > 0 && answered < 800,
            "{answered} of 800 were not cancelled"
        );
        assert!(pid(&db).await > 0);
    }
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back() {
    let db = open(Pooler::None, 1).await;
    let mut tx = db.begin().await.unwrap();
    database::storage_row(&mut tx, "gone").await.unwrap();
    drop(tx);
    let named = db
        .all(sqlx::query_as::<_, (String,)>("SELECT name FROM storage"))
        .await;
    assert!(named.unwrap().is_empty());
}

#[tokio::test]
async fn a_transaction_with_a_failed_statement_is_not_committed() {
    let db = open(Pooler::None, 1).await;
    let mut tx = db.begin().await.unwrap();
    database::storage_row(&mut tx, "gone").await.unwrap();
    tx.execute(sqlx::query("SELECT 1 / 0")).await.unwrap_err();
    // The server would answer COMMIT without an error, having rolled back.
    tx.commit().await.unwrap_err();
    assert_eq!(db.storage_name(restante_store::StorageId(1)).await.unwrap(), None);
}

#[tokio::test]
async fn f10_every_code_has_its_kind_and_a_useless_connection_is_dropped() {
    let db = open(Pooler::None, 1).await;
    for (code, meant, retry, is_kept) in [
        ("40001", StoreErrorKind::Unavailable, true, true),
        ("40P01", StoreErrorKind::Unavailable, true, true),
        ("57014", StoreErrorKind::Unavailable, false, true),
        ("53300", StoreErrorKind::Unavailable, false, true),
        ("53100", StoreErrorKind::Full, false, true),
        ("25006", StoreErrorKind::Unavailable, false, false),
        ("57P01", StoreErrorKind::Unavailable, true, false),
        ("26000", StoreErrorKind::Unavailable, false, false),
        ("23505", StoreErrorKind::Conflict, false, true),
        ("23514", StoreErrorKind::Invalid, false, true),
        ("42501", StoreErrorKind::Denied, false, true),
        ("XX001", StoreErrorKind::Damaged, false, true),
    ] {
        let before = pid(&db).await;
        let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'it fails' USING ERRCODE = '{code}'; END $$");
        let error = db.execute(sqlx::query(AssertSqlSafe(raise))).await.unwrap_err();
        assert_eq!((kind(&error), is_retryable(&error)), (meant, retry), "{code}");
        assert_eq!(pid(&db).await == before, is_kept, "{code}");
        // The server has answered, so the outcome is known.
        assert_eq!(commit_failed("commit")(error).kind, meant, "{code}");
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended_by_the_server() {
    let database = empty().await;
    let mut options = options(&database, Pooler::None, 1);
    options.statement_timeout = Duration::from_millis(50);
    Pg::migrate(&options).await.unwrap();
    let db = Pg::open(&options).await.unwrap();
    let before = pid(&db).await;
    let late = db.execute(sqlx::query("SELECT pg_sleep(10)")).await.unwrap_err();
    assert_eq!(error::code(&late).as_deref(), Some("57014"));
    assert_eq!(pid(&db).await, before, "the connection is whole");
}

#[tokio::test]
async fn behind_a_pooler_a_statement_that_takes_too_long_costs_its_connection() {
    let database = empty().await;
    let mut options = options(&database, Pooler::Transaction, 1);
    Pg::migrate(&options).await.unwrap();
    options.statement_timeout = Duration::from_millis(300);
    let db = Pg::open(&options).await.unwrap();
    let before = pid(&db).await;
    let late = db.execute(sqlx::query("SELECT pg_sleep(10)")).await.unwrap_err();
    assert_eq!(commit_failed("commit")(late).kind, StoreErrorKind::Unknown);
    assert_ne!(pid(&db).await, before);
}

#[tokio::test]
async fn f09_without_a_free_connection_a_call_fails_in_time_and_nothing_has_happened() {
    let database = empty().await;
    let mut options = options(&database, Pooler::None, 1);
    options.acquire_timeout = Duration::from_millis(100);
    Pg::migrate(&options).await.unwrap();
    let db = Pg::open(&options).await.unwrap();
    let taken = db.begin().await.unwrap();
    let error = db.execute(sqlx::query(PID)).await.unwrap_err();
    let error = commit_failed("reserve")(error);
    assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
    assert!(error.retry_after.is_some());
    drop(taken);
    assert!(pid(&db).await > 0);
}

#[tokio::test]
async fn connections_that_broke_while_idle_fail_one_call_at_most() {
    let db = open(Pooler::None, 4).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(db.begin().await.unwrap());
    }
    for tx in held {
        tx.commit().await.unwrap();
    }
    let mut killer = db.begin().await.unwrap();
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let (killed,): (i64,) = killer.one(sqlx::query_as(kill)).await.unwrap();
    assert_eq!(killed, 3);
    let mut failed = 0;
    let mut others = Vec::new();
    while others.len() < 3 {
        let mut tx = db.checkout().await.unwrap();
        match tx.one(sqlx::query_as::<_, (i32,)>(PID)).await {
            Ok(_) => others.push(tx),
            Err(_) => failed += 1,
        }
    }
    assert_eq!(failed, 1);
}

#[tokio::test]
async fn errors_hold_no_bound_value() {
    let db = open(Pooler::None, 1).await;
    let twice = "INSERT INTO storage (name) VALUES ($1), ($1)";
    for report in [
        |error| format!("{0} {0:?}", failed("op")(error)),
        |error| format!("{0} {0:?}", commit_failed("op")(error)),
        |error| format!("{0} {0:?}", directory_failed(error)),
        |error| format!("{0} {0:?}", PgError::opening(error)),
    ] {
        let error = db.execute(sqlx::query(twice).bind("SECRET!")).await.unwrap_err();
        assert_eq!(kind(&error), StoreErrorKind::Conflict);
        let report = report(error);
        assert!(!report.contains("SECRET"), "{report}");
    }
}

#[tokio::test]
async fn nothing_that_is_printed_holds_the_password() {
    let database = empty().await;
    let options = PgOptions::new(Secret::new(database.url().replace("app@", "app:hunter2@")));
    Pg::migrate(&options).await.unwrap();
    let db = Pg::open(&options).await.unwrap();
    assert!(!format!("{options:?} {db:?}").contains("hunter2"));
}

/// A machine that was suspended has missed its heartbeats, whatever its ordinary clocks say: what it believes to hold
/// may be another's, and it takes nothing new until it has asked.
#[tokio::test]
async fn f27_a_machine_that_slept_opens_nothing_until_its_lease_is_renewed() {
    static SLEPT: AtomicU64 = AtomicU64::new(0);
    fn clock() -> Duration {
        Duration::from_secs(1_000_000 + SLEPT.load(Ordering::SeqCst))
    }
    let db = open(Pooler::None, 2).await;
    let options = LeaseOptions {
        beat: Duration::from_hours(1),
        ..LeaseOptions::default()
    };
    let node = NodeName::new("a").unwrap();
    let locks = PgLockManager::start_by(clock, &db, node, options).await.unwrap();
    let maildrop = MaildropId::new(TenantId::new(1).unwrap(), 1).unwrap();
    let opened = || async { locks.open(maildrop, SessionId::from_octets([1; 16])).await };
    // That there is no such maildrop is for the database to say, and it is asked.
    let asked = |answer| !matches!(answer, Err(LockError::Unavailable(reason)) if reason.to_string().contains("lease"));
    assert!(asked(opened().await));
    SLEPT.store(600, Ordering::SeqCst);
    assert_eq!(locks.lease_age(), Duration::from_mins(10));
    assert!(!asked(opened().await));
    locks.heartbeat().await.unwrap();
    assert_eq!(locks.lease_age(), Duration::ZERO);
    assert!(asked(opened().await));
}
