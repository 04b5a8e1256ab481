//! Sessions that take a maildrop from each other all the time: of those that overlap the latest alone deletes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use restante_lock::LockManager;
use restante_postgres::LeaseOptions;
use restante_session::DeleteSet;
use restante_store::{MailIndex, StoreErrorKind};
use restante_types::{MaildropId, MessageNumber};
use sqlx::PgConnection;

use crate::scene::{Scene, fill, session, start};

const MAILDROPS: usize = 4;
const CALLERS: u64 = 12;
/// 10,800 in all.
const OPENINGS: u64 = 900;
/// Enough for the control to be caught many times.
const OPENINGS_OF_CONTROL: u64 = 60;

/// Every opening takes the maildrop, whoever holds it.
const STEALING: LeaseOptions = LeaseOptions {
    ttl: Duration::from_secs(20),
    beat: Duration::from_secs(5),
    grace: Duration::ZERO,
    longest_session: Duration::ZERO,
};

/// What a race came to.
#[derive(Debug, Default)]
struct Tally {
    committed: u64,
    fenced: u64,
    /// Commits after a later session had opened the maildrop.
    stale: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f05_of_ten_thousand_takeovers_none_lets_an_earlier_session_delete() {
    let (tally, left) = Box::pin(race(OPENINGS, true)).await;
    println!("{tally:?}");
    assert_eq!(tally.stale, 0);
    assert!(tally.committed > 100 && tally.fenced > 100, "{tally:?}: no race");
    let delivered = u64::try_from(MESSAGES * MAILDROPS).unwrap();
    assert_eq!(left + tally.committed, delivered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f05_without_the_fence_the_same_race_sees_stale_sessions_delete() {
    let (tally, _) = Box::pin(race(OPENINGS_OF_CONTROL, false)).await;
    println!("{tally:?}");
    assert!(tally.stale > 0, "{tally:?}");
}

/// In each maildrop.
const MESSAGES: usize = 2_000;
/// The deletion of an UPDATE without its comparison.
const UNFENCED: &str = "UPDATE message SET deleted_at = clock_timestamp()
    WHERE maildrop_id = $1 AND message_id = $2 AND deleted_at IS NULL";

/// Each caller opens one maildrop after the other and deletes one message; answers what it came to, and how many
/// messages are left.
async fn race(openings: u64, is_fenced: bool) -> (Tally, u64) {
    let scene = Arc::new(Scene::new().await);
    let mut maildrops: Vec<(MaildropId, AtomicU64)> = Vec::new();
    for _ in 0..MAILDROPS {
        let maildrop = scene.maildrop().await;
        let sizes = [100; MESSAGES];
        fill(&mut scene.connect().await, maildrop, &sizes).await;
        maildrops.push((maildrop, AtomicU64::new(0)));
    }
    let maildrops = Arc::new(maildrops);
    let locks = start(&scene.db, "a", STEALING).await;
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (locks, scene, maildrops) = (locks.clone(), Arc::clone(&scene), Arc::clone(&maildrops));
            tokio::spawn(async move {
                let mut tally = Tally::default();
                let mut conn = scene.connect().await;
                for n in 0..openings {
                    let (maildrop, newest) = &maildrops[usize::try_from((caller + n) % 4).unwrap()];
                    let session = session(caller << 32 | n);
                    // Two openings at the same microsecond: the second is not past the first one's time.
                    let Ok(fence) = locks.open(*maildrop, session).await else {
                        continue;
                    };
                    newest.fetch_max(fence.token.get(), Ordering::SeqCst);
                    let Ok(listing) = scene.index().snapshot(&fence).await else {
                        tally.fenced += 1;
                        continue;
                    };
                    let deletes = DeleteSet::of(listing.snapshot, MessageNumber::new(1));
                    let newest_before = newest.load(Ordering::SeqCst);
                    let committed = if is_fenced {
                        scene
                            .index()
                            .commit(&fence, session, &deletes)
                            .await
                            .map(|it| it.n_deleted())
                    } else {
                        Ok(delete_unfenced(&mut conn, *maildrop, &deletes).await)
                    };
                    match committed {
                        Ok(n_deleted) => {
                            tally.stale += u64::from(fence.token.get() < newest_before);
                            tally.committed += n_deleted as u64;
                        }
                        Err(error) => {
                            assert_eq!(error.kind, StoreErrorKind::Fenced, "{error}");
                            tally.fenced += 1;
                        }
                    }
                }
                tally
            })
        })
        .collect();
    let mut sum = Tally::default();
    for caller in callers {
        let tally = caller.await.unwrap();
        sum.committed += tally.committed;
        sum.fenced += tally.fenced;
        sum.stale += tally.stale;
    }
    let mut left = 0;
    for (maildrop, _) in maildrops.iter() {
        left += scene.index().usage(*maildrop).await.unwrap().0.messages;
    }
    (sum, left)
}

async fn delete_unfenced(conn: &mut PgConnection, maildrop: MaildropId, deletes: &DeleteSet) -> usize {
    let mut n_deleted = 0;
    for entry in deletes.iter() {
        let delete = sqlx::query(UNFENCED).bind(maildrop.number()).bind(entry.id.get());
        n_deleted += delete.execute(&mut *conn).await.unwrap().rows_affected();
    }
    usize::try_from(n_deleted).unwrap()
}
