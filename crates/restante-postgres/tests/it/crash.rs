//! A server that crashes at any moment: what was acknowledged is there afterwards, and no UPDATE is half done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use restante_lock::LockManager;
use restante_postgres::{LeaseOptions, Pg, PgLockManager, PgMailIndex};
use restante_session::DeleteSet;
use restante_store::MailIndex;
use restante_testkit::{Postgres, PostgresOptions};
use restante_types::{MaildropId, MessageNumber, SessionId};
use tokio::time::{Instant, sleep};

use crate::scene::{add_maildrop, add_tenant, clock, deliver, options, session, start};

const CRASHES: u64 = 4;
const CALLERS: u64 = 4;
const PATIENCE: Duration = Duration::from_mins(1);
/// Messages of one UPDATE.
const SET: u64 = 3;

/// One maildrop, whose messages only this caller delivers and deletes; counts what it knows of them.
struct Caller {
    index: PgMailIndex,
    locks: PgLockManager,
    maildrop: MaildropId,
    /// Acknowledged deliveries less acknowledged deletions.
    present: u64,
    /// Deliveries of which it is not known whether they happened.
    unsure: u64,
    acknowledged: u64,
}

impl Caller {
    /// Delivers some messages and deletes as many, until something fails or, where a crash was bridged, it is over.
    async fn run(&mut self, first_session: u64, over: &AtomicBool) {
        for n in first_session.. {
            if over.load(Ordering::SeqCst) {
                return;
            }
            for _ in 0..SET {
                if deliver(&self.index, self.maildrop).await.is_err() {
                    self.unsure += 1;
                    return;
                }
                self.present += 1;
            }
            if !self.update(session(n)).await {
                return;
            }
        }
    }

    /// `false` if something failed; then the outcome was found out.
    async fn update(&mut self, session: SessionId) -> bool {
        let Ok(fence) = self.locks.open(self.maildrop, session).await else {
            return false;
        };
        let Ok(listing) = self.index.snapshot(&fence).await else {
            return false;
        };
        let set = (0..usize::try_from(SET).unwrap()).filter_map(MessageNumber::from_index);
        let deletes = DeleteSet::of(listing.snapshot, set);
        let committed = self.index.commit(&fence, session, &deletes).await;
        let was_answered = committed.is_ok();
        let receipt = match committed {
            Ok(receipt) => Some(receipt),
            Err(_) => until_answered(|| self.index.outcome(&fence, session)).await,
        };
        if let Some(receipt) = receipt {
            assert_eq!(u64::try_from(receipt.n_deleted()).unwrap(), SET, "half an UPDATE");
            self.present -= SET;
            self.acknowledged += 1;
        }
        was_answered
    }

    /// After a crash: what is there is what was acknowledged, and at most what nobody was told of.
    async fn check(&mut self) {
        let (usage, _) = until_answered(|| self.index.usage(self.maildrop)).await;
        assert!(
            usage.messages >= self.present,
            "a message was lost, or deleted twice"
        );
        assert!(
            usage.messages <= self.present + self.unsure,
            "a deletion was lost"
        );
        (self.present, self.unsure) = (usage.messages, 0);
    }
}

async fn until_answered<T, E: std::fmt::Display, F>(ask: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, E>>,
{
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f06_crashes_of_the_server_lose_nothing_that_was_acknowledged() {
    let cluster = Postgres::start(PostgresOptions {
        fsync: true,
        ..PostgresOptions::default()
    })
    .await;
    let cluster = cluster.expect("these tests need PostgreSQL");
    let database = cluster.database().await;
    Pg::migrate(&options(&database.url())).await.unwrap();
    let db = Pg::open(&options(&database.url())).await.unwrap();
    db.storage_id("store").await.unwrap();
    // Sessions that a crash has left open are taken over at once.
    let lease = LeaseOptions {
        grace: Duration::ZERO,
        longest_session: Duration::ZERO,
        ..LeaseOptions::default()
    };
    let locks = start(&db, "a", lease).await;
    let mut conn = database.connect().await;
    let tenant = add_tenant(&mut conn, Duration::from_hours(1)).await;
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(Caller {
            index: PgMailIndex::new(&db, clock()),
            locks: locks.clone(),
            maildrop: add_maildrop(&mut conn, tenant, restante_store::Quota::default()).await,
            present: 0,
            unsure: 0,
            acknowledged: 0,
        });
    }
    for crash in 0..CRASHES {
        let over = Arc::new(AtomicBool::new(false));
        let running: Vec<_> = callers
            .drain(..)
            .zip(0_u64..)
            .map(|(mut caller, n)| {
                let over = Arc::clone(&over);
                tokio::spawn(async move {
                    caller.run(crash << 40 | n << 32, &over).await;
                    caller
                })
            })
            .collect();
        // At another moment of their work each time.
        sleep(Duration::from_millis(300 + crash * 37)).await;
        cluster.stop_immediately();
        cluster.start_again().await;
        over.store(true, Ordering::SeqCst);
        for caller in running {
            let mut caller = caller.await.unwrap();
            caller.check().await;
            callers.push(caller);
        }
    }
    let acknowledged: u64 = callers.iter().map(|caller| caller.acknowledged).sum();
    println!("{acknowledged} UPDATEs acknowledged");
    assert!(acknowledged > 0);
}
