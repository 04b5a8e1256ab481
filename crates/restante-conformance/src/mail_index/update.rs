//! What UPDATE removes, and what is said of it when the answer is lost.
#![expect(missing_docs, reason = "the name of a case is the promise it checks")]

use std::num::NonZeroU64;
use std::time::Duration;

use restante_store::{Committed, StoreErrorKind};

use super::scene::{
    commit, deliver, deliver_all, index, list, maildrop, marks, open, open_and_mark, release, sizes,
    take_over,
};
use crate::MailIndexFixture;
use crate::sample::session;

pub async fn commit_removes_exactly_the_marked(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20, 30, 40, 50]).await;
    let (fence, deletes) = open_and_mark(fixture, maildrop, 1, [2, 5]).await;
    let receipt = commit(fixture, &fence, 1, &deletes).await.unwrap();
    assert_eq!(receipt.n_deleted(), 2);
    assert_eq!(sizes(fixture, maildrop).await, [10, 30, 40]);
}

pub async fn commit_of_all_empties_the_maildrop(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    // More than one statement's worth for a back-end that deletes in batches.
    let many: Vec<u64> = (1..=1_500).collect();
    fixture.fill(maildrop, &many).await;
    let (fence, deletes) = open_and_mark(fixture, maildrop, 1, 1..=1_500).await;
    let receipt = commit(fixture, &fence, 1, &deletes).await.unwrap();
    assert_eq!(receipt.n_deleted(), 1_500);
    assert!(sizes(fixture, maildrop).await.is_empty());
}

pub async fn commit_of_nothing_removes_nothing(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20]).await;
    let (fence, deletes) = open_and_mark(fixture, maildrop, 1, []).await;
    assert_eq!(
        commit(fixture, &fence, 1, &deletes).await,
        Ok(Committed::attest(0))
    );
    assert_eq!(sizes(fixture, maildrop).await, [10, 20]);
}

pub async fn commit_keeps_mail_that_arrived_meanwhile(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20]).await;
    let (fence, deletes) = open_and_mark(fixture, maildrop, 1, [1, 2]).await;
    deliver(fixture, maildrop, 30).await;
    commit(fixture, &fence, 1, &deletes).await.unwrap();
    assert_eq!(sizes(fixture, maildrop).await, [30]);
}

pub async fn commit_leaves_other_maildrops_alone(fixture: &mut impl MailIndexFixture) {
    let (mine, theirs) = (maildrop(fixture).await, maildrop(fixture).await);
    deliver_all(fixture, mine, &[10, 20]).await;
    deliver_all(fixture, theirs, &[10, 20]).await;
    let (fence, deletes) = open_and_mark(fixture, mine, 1, [1, 2]).await;
    commit(fixture, &fence, 1, &deletes).await.unwrap();
    // Marks of one maildrop, shown with the fence of another: no message of either may go.
    let stranger = open(fixture, theirs, 2).await;
    deliver_all(fixture, mine, &[30]).await;
    let (_, deletes) = open_and_mark_again(fixture, mine).await;
    let receipt = commit(fixture, &stranger, 2, &deletes).await;
    assert!(
        receipt.is_err() || receipt == Ok(Committed::attest(0)),
        "{receipt:?}"
    );
    assert_eq!(sizes(fixture, mine).await, [30]);
    assert_eq!(sizes(fixture, theirs).await, [10, 20]);
}

async fn open_and_mark_again(
    fixture: &impl MailIndexFixture,
    maildrop: restante_types::MaildropId,
) -> (restante_types::Fence, restante_session::DeleteSet) {
    let fence = take_over(fixture, maildrop, 9).await;
    let deletes = marks(list(fixture, &fence).await, [1]);
    (fence, deletes)
}

pub async fn commit_twice_answers_the_first_receipt(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20, 30]).await;
    let (fence, deletes) = open_and_mark(fixture, maildrop, 1, [1]).await;
    let more = marks(list(fixture, &fence).await, [1, 2, 3]);
    assert_eq!(
        commit(fixture, &fence, 1, &deletes).await,
        Ok(Committed::attest(1))
    );
    assert_eq!(
        commit(fixture, &fence, 1, &deletes).await,
        Ok(Committed::attest(1))
    );
    assert_eq!(commit(fixture, &fence, 1, &more).await, Ok(Committed::attest(1)));
    assert_eq!(sizes(fixture, maildrop).await, [20, 30]);
}

pub async fn commit_twice_answers_the_first_receipt_after_release(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20]).await;
    let (fence, deletes) = open_and_mark(fixture, maildrop, 1, [1]).await;
    commit(fixture, &fence, 1, &deletes).await.unwrap();
    release(fixture, &fence).await;
    open(fixture, maildrop, 2).await;
    assert_eq!(
        commit(fixture, &fence, 1, &deletes).await,
        Ok(Committed::attest(1))
    );
    assert_eq!(sizes(fixture, maildrop).await, [20]);
}

pub async fn commit_of_messages_partly_gone_removes_the_rest(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20, 30]).await;
    let (first, deletes) = open_and_mark(fixture, maildrop, 1, [1, 2]).await;
    let stale = marks(list(fixture, &first).await, [2, 3]);
    commit(fixture, &first, 1, &deletes).await.unwrap();
    let second = take_over(fixture, maildrop, 2).await;
    let receipt = commit(fixture, &second, 2, &stale).await.unwrap();
    assert_eq!(
        receipt.n_deleted(),
        1,
        "the other was removed by the first session"
    );
    assert!(sizes(fixture, maildrop).await.is_empty());
}

pub async fn commit_of_a_superseded_session_removes_nothing(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20]).await;
    let (first, deletes) = open_and_mark(fixture, maildrop, 1, [1]).await;
    let second = take_over(fixture, maildrop, 2).await;
    let others = marks(list(fixture, &second).await, [2]);
    assert_eq!(
        commit(fixture, &first, 1, &deletes).await,
        Err(StoreErrorKind::Fenced)
    );
    assert_eq!(
        commit(fixture, &second, 2, &others).await,
        Ok(Committed::attest(1))
    );
    assert_eq!(
        commit(fixture, &first, 1, &deletes).await,
        Err(StoreErrorKind::Fenced)
    );
    assert_eq!(sizes(fixture, maildrop).await, [10]);
}

pub async fn commit_of_a_released_session_removes_nothing(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10]).await;
    let (first, deletes) = open_and_mark(fixture, maildrop, 1, [1]).await;
    release(fixture, &first).await;
    open(fixture, maildrop, 2).await;
    assert_eq!(
        commit(fixture, &first, 1, &deletes).await,
        Err(StoreErrorKind::Fenced)
    );
    assert_eq!(sizes(fixture, maildrop).await, [10]);
}

pub async fn commit_of_an_ended_session_removes_nothing_when_nobody_followed(
    fixture: &mut impl MailIndexFixture,
) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10]).await;
    let (fence, deletes) = open_and_mark(fixture, maildrop, 1, [1]).await;
    assert!(fixture.locks().supersede(maildrop).await.unwrap());
    assert_eq!(
        commit(fixture, &fence, 1, &deletes).await,
        Err(StoreErrorKind::Fenced)
    );
    assert_eq!(sizes(fixture, maildrop).await, [10]);
}

pub async fn commit_with_a_token_of_the_future_removes_nothing(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10]).await;
    let (mut fence, deletes) = open_and_mark(fixture, maildrop, 1, [1]).await;
    fence.token = NonZeroU64::new(fence.token.get() + 1).unwrap();
    assert_eq!(
        commit(fixture, &fence, 1, &deletes).await,
        Err(StoreErrorKind::Fenced)
    );
    assert_eq!(sizes(fixture, maildrop).await, [10]);
}

pub async fn of_a_commit_and_a_takeover_one_wins(fixture: &mut impl MailIndexFixture) {
    for round in 0..20_u8 {
        let maildrop = maildrop(fixture).await;
        deliver_all(fixture, maildrop, &[10, 20]).await;
        let (old, locks) = (round * 2 + 1, fixture.locks());
        let (fence, deletes) = open_and_mark(fixture, maildrop, old, [1]).await;
        let (first, second) = (fixture.index(), fixture.index());
        let committing = tokio::spawn(async move { first.commit(&fence, session(old), &deletes).await });
        let taking = tokio::spawn(async move {
            for _ in 0..round % 4 {
                tokio::task::yield_now().await;
            }
            // While the deletions are being written the maildrop cannot be taken; afterwards it can.
            while locks.supersede(maildrop).await.is_err() {
                tokio::task::yield_now().await;
            }
            let fence = locks.open(maildrop, session(old + 1)).await.unwrap();
            (fence, second.snapshot(&fence).await.unwrap())
        });
        let (committed, (successor, listing)) = (committing.await.unwrap(), taking.await.unwrap());
        // What the successor saw first is what there is: the old session removes nothing after that.
        let seen = listing.snapshot.len();
        match committed {
            Ok(receipt) => assert_eq!((receipt.n_deleted(), seen), (1, 1)),
            Err(error) => assert_eq!((error.kind, seen), (StoreErrorKind::Fenced, 2)),
        }
        let all = marks(listing, [1, 2]);
        let receipt = commit(fixture, &successor, old + 1, &all).await.unwrap();
        assert_eq!(receipt.n_deleted(), seen);
    }
}

pub async fn racing_commits_of_one_session_remove_once(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20, 30]).await;
    let (fence, deletes) = open_and_mark(fixture, maildrop, 1, [1, 3]).await;
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let (index, deletes) = (fixture.index(), deletes.clone());
            tokio::spawn(async move { index.commit(&fence, session(1), &deletes).await })
        })
        .collect();
    for racer in racers {
        assert_eq!(racer.await.unwrap().unwrap().n_deleted(), 2);
    }
    assert_eq!(sizes(fixture, maildrop).await, [20]);
}

pub async fn outcome_of_a_commit_is_its_receipt(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20, 30]).await;
    let (fence, deletes) = open_and_mark(fixture, maildrop, 1, [1, 2]).await;
    commit(fixture, &fence, 1, &deletes).await.unwrap();
    for _ in 0..2 {
        let outcome = fixture.index().outcome(&fence, session(1)).await.unwrap();
        assert_eq!(outcome, Some(Committed::attest(2)));
    }
    assert_eq!(sizes(fixture, maildrop).await, [30]);
}

pub async fn outcome_without_a_commit_is_none(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10]).await;
    let fence = open(fixture, maildrop, 1).await;
    assert_eq!(fixture.index().outcome(&fence, session(1)).await.unwrap(), None);
    assert_eq!(fixture.index().outcome(&fence, session(1)).await.unwrap(), None);
    assert_eq!(sizes(fixture, maildrop).await, [10]);
}

pub async fn outcome_of_another_sessions_commit_is_none(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20]).await;
    let first = open(fixture, maildrop, 1).await;
    let second = take_over(fixture, maildrop, 2).await;
    let deletes = marks(list(fixture, &second).await, [1]);
    commit(fixture, &second, 2, &deletes).await.unwrap();
    assert_eq!(fixture.index().outcome(&first, session(1)).await.unwrap(), None);
}

pub async fn outcome_none_ends_the_fence(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10]).await;
    let (fence, deletes) = open_and_mark(fixture, maildrop, 1, [1]).await;
    assert_eq!(fixture.index().outcome(&fence, session(1)).await.unwrap(), None);
    // The commit that was slow on its way arrives now.
    assert_eq!(
        commit(fixture, &fence, 1, &deletes).await,
        Err(StoreErrorKind::Fenced)
    );
    assert_eq!(sizes(fixture, maildrop).await, [10]);
}

pub async fn outcome_none_frees_the_maildrop(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let fence = open(fixture, maildrop, 1).await;
    fixture.index().outcome(&fence, session(1)).await.unwrap();
    release(fixture, &fence).await;
    let next = open(fixture, maildrop, 2).await;
    assert!(next.token > fence.token);
    // Asking again for the ended session leaves its successor alone.
    assert_eq!(fixture.index().outcome(&fence, session(1)).await.unwrap(), None);
    list(fixture, &next).await;
}

pub async fn outcome_of_a_dropped_commit_is_all_or_nothing(fixture: &mut impl MailIndexFixture) {
    for round in 0..24_u32 {
        let n = u8::try_from(round).unwrap() + 1;
        let maildrop = maildrop(fixture).await;
        deliver_all(fixture, maildrop, &[10, 20, 30]).await;
        let (fence, deletes) = open_and_mark(fixture, maildrop, n, [1, 3]).await;
        let index = index(fixture);
        // Cancelled at another place each time, in the end long after it is done.
        let patience = Duration::from_micros(u64::from(round * round) * 40);
        let dropped = tokio::time::timeout(patience, index.commit(&fence, session(n), &deletes));
        let answered = dropped.await.is_ok();
        let outcome = index.outcome(&fence, session(n)).await.unwrap();
        let seen = sizes(fixture, maildrop).await;
        if let Some(receipt) = &outcome {
            assert_eq!((receipt.n_deleted(), seen.as_slice()), (2, [20].as_slice()));
        } else {
            assert!(!answered, "the commit was acknowledged");
            assert_eq!(seen, [10, 20, 30]);
        }
        assert_eq!(index.outcome(&fence, session(n)).await.unwrap(), outcome);
    }
}

pub async fn outcome_after_a_takeover_is_the_receipt(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20]).await;
    let (fence, deletes) = open_and_mark(fixture, maildrop, 1, [1]).await;
    commit(fixture, &fence, 1, &deletes).await.unwrap();
    let next = take_over(fixture, maildrop, 2).await;
    let outcome = fixture.index().outcome(&fence, session(1)).await.unwrap();
    assert_eq!(outcome, Some(Committed::attest(1)));
    assert_eq!(
        list(fixture, &next).await.snapshot.len(),
        1,
        "the successor is unaffected"
    );
}

pub async fn a_restart_keeps_updates(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20]).await;
    let (fence, deletes) = open_and_mark(fixture, maildrop, 1, [1]).await;
    commit(fixture, &fence, 1, &deletes).await.unwrap();
    fixture.restart().await;
    let outcome = fixture.index().outcome(&fence, session(1)).await.unwrap();
    assert_eq!(outcome, Some(Committed::attest(1)));
    assert_eq!(sizes(fixture, maildrop).await, [20]);
    assert_eq!(
        commit(fixture, &fence, 1, &deletes).await,
        Ok(Committed::attest(1))
    );
}
