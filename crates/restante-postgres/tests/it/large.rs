//! A maildrop of 100,000 messages: listed in order, deleted in one step.

use std::time::Duration;

use restante_lock::LockManager;
use restante_postgres::{Pg, PgMailIndex};
use restante_session::DeleteSet;
use restante_store::MailIndex;
use restante_types::MessageNumber;

use crate::scene::{Scene, clock, fill, options, session};

/// A hundred thousand, or as many as `RESTANTE_LARGE` says.
fn size() -> usize {
    std::env::var("RESTANTE_LARGE").map_or(100_000, |text| text.parse().expect("a number"))
}

/// Far above what it takes, so that a busy machine does not fail the test.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_hundred_thousand_messages_are_listed_and_deleted_in_one_step() {
    let n_messages = size();
    let scene = Scene::new().await;
    let maildrop = scene.maildrop().await;
    let sizes: Vec<i64> = (0..n_messages)
        .map(|n| 1000 + i64::try_from(n % 7).unwrap())
        .collect();
    fill(&mut scene.connect().await, maildrop, &sizes).await;

    let (index, locks) = (scene.index(), scene.frontend("a").await);
    let fence = locks.open(maildrop, session(1)).await.unwrap();
    let start = tokio::time::Instant::now();
    let listing = index.snapshot(&fence).await.unwrap();
    println!("snapshot of {n_messages}: {:?}", start.elapsed());
    assert_eq!(listing.bodies.len(), n_messages);
    assert!(start.elapsed() < PATIENCE);

    let last = listing
        .snapshot
        .entry(MessageNumber::from_index(n_messages - 1).unwrap());
    assert_eq!(last.unwrap().unique_id, format!("fill-{n_messages}"));
    let all = (0..n_messages).filter_map(MessageNumber::from_index);
    let deletes = DeleteSet::of(listing.snapshot, all);
    let start = tokio::time::Instant::now();
    let receipt = index.commit(&fence, session(1), &deletes).await.unwrap();
    println!("commit of {n_messages}: {:?}", start.elapsed());
    assert_eq!(receipt.n_deleted(), n_messages);
    assert!(start.elapsed() < PATIENCE);
    let fence = locks.open(maildrop, session(2)).await.unwrap();
    assert!(index.snapshot(&fence).await.unwrap().bodies.is_empty());
}

/// However many messages a client deletes at once, it is not told for ever that it takes too long.
#[tokio::test]
async fn many_deletions_are_given_more_time_than_one_statement_has() {
    const N: u32 = 30_000;
    let scene = Scene::new().await;
    let maildrop = scene.maildrop().await;
    fill(&mut scene.connect().await, maildrop, &vec![1000; N as usize]).await;
    scene
        .database
        .execute(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END';
             CREATE TRIGGER dawdle BEFORE UPDATE ON message EXECUTE FUNCTION dawdle()",
        )
        .await;
    let mut brisk = options(&scene.database.url());
    brisk.statement_timeout = Duration::from_millis(500);
    let brisk = Pg::open(&brisk).await.unwrap();
    let index = PgMailIndex::new(&brisk, clock());
    let locks = scene.frontend("a").await;
    for (n_deletes, is_done) in [(1, false), (N, true)] {
        let fence = locks.open(maildrop, session(n_deletes.into())).await.unwrap();
        let snapshot = scene.index().snapshot(&fence).await.unwrap().snapshot;
        let numbers = (1..=n_deletes).filter_map(MessageNumber::new);
        let deletes = DeleteSet::of(snapshot, numbers);
        let committed = index.commit(&fence, session(n_deletes.into()), &deletes).await;
        assert_eq!(committed.is_ok(), is_done, "{n_deletes}: {committed:?}");
        locks.release(&fence).await.unwrap();
    }
}
