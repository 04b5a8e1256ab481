//! Sessions that take a maildrop from each other all the time: of those that overlap the latest alone deletes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use restante_lock::LockManager;
use restante_postgres::LeaseOptions;
use restante_session::DeleteSet;
use restante_store::{MailIndex, StoreErrorKind};
use restante_types::{MaildropId, MessageNumber};

use crate::scene::{Scene, fill, session, start};

const MAILDROPS: usize = 4;
const CALLERS: u64 = 12;
const OPENINGS: u64 = 250;

/// Every opening takes the maildrop, whoever holds it.
const STEALING: LeaseOptions = LeaseOptions {
    ttl: Duration::from_secs(20),
    beat: Duration::from_secs(5),
    grace: Duration::ZERO,
    longest_session: Duration::ZERO,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f05_of_thousands_of_takeovers_none_lets_an_earlier_session_delete() {
    let scene = Scene::new().await;
    let mut maildrops: Vec<(MaildropId, AtomicU64)> = Vec::new();
    for _ in 0..MAILDROPS {
        let maildrop = scene.maildrop().await;
        fill(&mut scene.connect().await, maildrop, &[100; 1000]).await;
        maildrops.push((maildrop, AtomicU64::new(0)));
    }
    let maildrops = Arc::new(maildrops);
    let locks = start(&scene.db, "a", STEALING).await;
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (locks, index, maildrops) = (locks.clone(), scene.index(), Arc::clone(&maildrops));
            tokio::spawn(async move {
                let (mut committed, mut fenced) = (0_u64, 0_u64);
                for n in 0..OPENINGS {
                    let (maildrop, newest) = &maildrops[usize::try_from((caller + n) % 4).unwrap()];
                    let session = session(caller << 32 | n);
                    // Two openings at the same microsecond: the second is not past the first one's time.
                    let Ok(fence) = locks.open(*maildrop, session).await else {
                        continue;
                    };
                    newest.fetch_max(fence.token.get(), Ordering::SeqCst);
                    let Ok(listing) = index.snapshot(&fence).await else {
                        fenced += 1;
                        continue;
                    };
                    let deletes = DeleteSet::of(Arc::new(listing.snapshot), MessageNumber::new(1));
                    let newest_before = newest.load(Ordering::SeqCst);
                    match index.commit(&fence, session, &deletes).await {
                        Ok(receipt) => {
                            assert!(fence.token.get() >= newest_before, "a stale commit");
                            assert_eq!(receipt.n_deleted(), 1);
                            committed += 1;
                        }
                        Err(error) => {
                            assert_eq!(error.kind, StoreErrorKind::Fenced, "{error}");
                            fenced += 1;
                        }
                    }
                }
                (committed, fenced)
            })
        })
        .collect();
    let (mut committed, mut fenced) = (0, 0);
    for caller in callers {
        let (more_committed, more_fenced) = caller.await.unwrap();
        committed += more_committed;
        fenced += more_fenced;
    }
    println!("{committed} commits, {fenced} fenced");
    assert!(
        committed > 100 && fenced > 100,
        "{committed} commits, {fenced} fenced: no race"
    );
    let mut left = 0;
    for (maildrop, _) in maildrops.iter() {
        left += scene.index().usage(*maildrop).await.unwrap().0.messages;
    }
    assert_eq!(left + committed, 1000 * u64::try_from(MAILDROPS).unwrap());
}
