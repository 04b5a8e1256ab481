//! What an operator's tools may look through, bring back and move.
#![expect(missing_docs, reason = "the name of a case is the promise it checks")]

use std::collections::BTreeSet;
use std::time::Duration;

use restante_store::{BlobKey, Quota, StorageId, StoreErrorKind, StoredMessage, Usage};
use restante_types::{MaildropId, MessageId, Octets, UniqueId};

use super::scene::{
    DAY, condemned, delete, deliver, deliver_all, deliver_as, far, index, kind, list, maildrop, open,
    release, sizes,
};
use crate::MailIndexFixture;
use crate::sample::{STORAGE, message};

pub(super) const HOUR: Duration = Duration::from_hours(1);

/// Everything stored, a few at a time.
pub(super) async fn stored(
    fixture: &impl MailIndexFixture,
    maildrop: Option<MaildropId>,
) -> Vec<StoredMessage> {
    let mut all: Vec<StoredMessage> = Vec::new();
    loop {
        let after = all.last().map(|message| message.id);
        let page = fixture.custody().stored(maildrop, after, 3).await.unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn ids(messages: &[StoredMessage]) -> Vec<MessageId> {
    messages.iter().map(|message| message.id).collect()
}

fn stored_sizes(messages: &[StoredMessage]) -> Vec<u64> {
    messages.iter().map(|message| message.body.octets.get()).collect()
}

/// Moves a message, as a tool does that has copied its octets.
pub(super) async fn relocate(
    fixture: &impl MailIndexFixture,
    message: &StoredMessage,
    storage: StorageId,
    keep: Duration,
) -> (BlobKey, bool) {
    let blob = fixture.custody().reserve_for(message, storage).await.unwrap();
    let moved = fixture.custody().relocate(message, storage, blob, keep).await;
    (blob, moved.unwrap())
}

pub async fn the_total_counts_what_is_there(fixture: &mut impl MailIndexFixture) {
    assert_eq!(fixture.custody().total().await.unwrap(), Usage::default());
    let (first, second) = (maildrop(fixture).await, maildrop(fixture).await);
    deliver_all(fixture, first, &[10, 20]).await;
    deliver(fixture, second, 300).await;
    delete(fixture, first, 1, [1]).await;
    let total = Usage {
        messages: 2,
        octets: Octets(320),
    };
    assert_eq!(fixture.custody().total().await.unwrap(), total);
}

pub async fn every_message_is_told_once_deleted_or_not(fixture: &mut impl MailIndexFixture) {
    let (first, second) = (maildrop(fixture).await, maildrop(fixture).await);
    for octets in 1..=8 {
        deliver(fixture, if octets % 2 == 0 { first } else { second }, octets).await;
    }
    delete(fixture, first, 1, [1, 3]).await;
    let all = stored(fixture, None).await;
    assert_eq!(stored_sizes(&all), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(ids(&all).is_sorted());
    let deleted = all.iter().filter(|message| message.deleted.is_some());
    assert_eq!(
        deleted
            .map(|message| message.body.octets.get())
            .collect::<Vec<_>>(),
        [2, 6]
    );
}

pub async fn a_stored_message_is_told_as_it_was_delivered(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let name = UniqueId::new("kept.from.elsewhere").unwrap();
    let unique_id = deliver_as(fixture, maildrop, &name).await.unwrap();
    let fence = open(fixture, maildrop, 1).await;
    let listing = list(fixture, &fence).await;
    release(fixture, &fence).await;
    let all = stored(fixture, None).await;
    let [told] = all.as_slice() else {
        panic!("{} messages", all.len());
    };
    let sample = message(told.body.blob, 100);
    assert_eq!((told.maildrop, &told.unique_id), (maildrop, &unique_id));
    assert_eq!(told.body, listing.bodies[0]);
    assert_eq!(told.sha256, sample.measured.sha256);
    assert_eq!((told.received, told.deleted), (sample.received, None));
}

pub async fn of_one_maildrop_others_are_left_out(fixture: &mut impl MailIndexFixture) {
    let (first, second) = (maildrop(fixture).await, maildrop(fixture).await);
    for octets in 1..=9 {
        deliver(fixture, if octets % 2 == 0 { first } else { second }, octets).await;
    }
    delete(fixture, second, 1, [2, 5]).await;
    assert_eq!(stored_sizes(&stored(fixture, Some(first)).await), [2, 4, 6, 8]);
    let second = stored(fixture, Some(second)).await;
    assert_eq!(stored_sizes(&second), [1, 3, 5, 7, 9]);
    assert!(ids(&second).is_sorted());
}

pub async fn what_nothing_names_is_found_and_nothing_else(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let live = deliver(fixture, maildrop, 10).await;
    let gone = deliver(fixture, maildrop, 20).await;
    delete(fixture, maildrop, 1, [2]).await;
    let reserved = index(fixture).reserve(maildrop, STORAGE).await.unwrap();
    assert_eq!(
        condemned(fixture, far(fixture)).await,
        BTreeSet::from([gone, reserved])
    );
    let deleted = deliver(fixture, maildrop, 30).await;
    delete(fixture, maildrop, 2, [2]).await;
    let pending = index(fixture).reserve(maildrop, STORAGE).await.unwrap();
    let stray = BlobKey {
        number: live.number ^ 1,
        ..live
    };
    let named = [live, gone, reserved, deleted, pending];
    let custody = fixture.custody();
    assert_eq!(custody.unnamed(STORAGE, &named).await.unwrap(), []);
    let mixed = [live, stray, gone, reserved, deleted, pending];
    assert_eq!(custody.unnamed(STORAGE, &mixed).await.unwrap(), [stray]);
    assert_eq!(custody.unnamed(STORAGE, &[]).await.unwrap(), []);
    // What one storage should have is nothing that another should.
    let other = fixture.other_storage().await;
    assert_eq!(custody.unnamed(other, &mixed).await.unwrap(), mixed);
}

pub async fn restored_messages_are_back_at_their_place(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20, 30, 40]).await;
    let before = stored(fixture, Some(maildrop)).await;
    delete(fixture, maildrop, 1, [1, 2, 4]).await;
    let back = [before[0].id, before[3].id];
    assert_eq!(fixture.custody().restore(maildrop, &back).await.unwrap(), 2);
    assert_eq!(sizes(fixture, maildrop).await, [10, 30, 40]);
    let (usage, _) = index(fixture).usage(maildrop).await.unwrap();
    assert_eq!((usage.messages, usage.octets), (3, Octets(80)));
    let after = stored(fixture, Some(maildrop)).await;
    assert_eq!(after[0], before[0]);
    assert_eq!(after[3], before[3]);
    assert!(after[1].deleted.is_some());
    // It is a message like any other again.
    assert!(
        condemned(fixture, far(fixture))
            .await
            .iter()
            .all(|blob| *blob == before[1].body.blob)
    );
    delete(fixture, maildrop, 2, [1]).await;
    assert_eq!(sizes(fixture, maildrop).await, [30, 40]);
}

pub async fn restoring_what_is_not_deleted_changes_nothing(fixture: &mut impl MailIndexFixture) {
    let (mine, other) = (maildrop(fixture).await, maildrop(fixture).await);
    deliver_all(fixture, mine, &[10, 20]).await;
    deliver(fixture, other, 30).await;
    delete(fixture, other, 1, [1]).await;
    let keys = ids(&stored(fixture, None).await);
    assert_eq!(fixture.custody().restore(mine, &keys).await.unwrap(), 0);
    assert_eq!(fixture.custody().restore(mine, &[]).await.unwrap(), 0);
    let (usage, _) = index(fixture).usage(mine).await.unwrap();
    assert_eq!((usage.messages, usage.octets), (2, Octets(30)));
    assert_eq!(sizes(fixture, other).await, [0; 0]);
}

pub async fn what_is_condemned_cannot_be_restored(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver(fixture, maildrop, 10).await;
    let keys = ids(&stored(fixture, None).await);
    delete(fixture, maildrop, 1, [1]).await;
    assert_eq!(condemned(fixture, far(fixture)).await.len(), 1);
    assert_eq!(fixture.custody().restore(maildrop, &keys).await.unwrap(), 0);
    assert_eq!(sizes(fixture, maildrop).await, [0; 0]);
}

pub async fn restoring_in_an_unknown_maildrop_is_refused(fixture: &mut impl MailIndexFixture) {
    let known = maildrop(fixture).await;
    let unknown = MaildropId::new(known.tenant(), i64::MAX).unwrap();
    let refused = fixture.custody().restore(unknown, &[]).await;
    assert_eq!(kind(refused), Err(StoreErrorKind::NoSuchMaildrop));
}

pub async fn a_moved_message_differs_in_its_place_alone(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20, 30]).await;
    let before = stored(fixture, None).await;
    let other = fixture.other_storage().await;
    // A key of the present would tell another time.
    while fixture.now() < before[2].body.blob.made_at() + Duration::from_millis(2) {
        tokio::task::yield_now().await;
    }
    let (blob, moved) = relocate(fixture, &before[1], other, HOUR).await;
    assert!(moved);
    assert_eq!(
        blob.made_at(),
        before[1].body.blob.made_at(),
        "the time of arrival"
    );
    let after = stored(fixture, None).await;
    let mut expected = before.clone();
    (expected[1].body.storage, expected[1].body.blob) = (other, blob);
    assert_eq!(after, expected);
    let fence = open(fixture, maildrop, 1).await;
    let listing = list(fixture, &fence).await;
    assert_eq!(listing.bodies[1], after[1].body);
    let (usage, _) = index(fixture).usage(maildrop).await.unwrap();
    assert_eq!((usage.messages, usage.octets), (3, Octets(60)));
}

pub async fn a_moved_message_s_old_octets_are_kept_for_a_while(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let old = deliver(fixture, maildrop, 10).await;
    let before = stored(fixture, None).await;
    let (blob, _) = relocate(fixture, &before[0], fixture.other_storage().await, DAY).await;
    let (now, minute) = (fixture.now(), Duration::from_mins(1));
    assert!(condemned(fixture, now + DAY - minute).await.is_empty());
    let due = fixture.ledger().condemned(now + DAY + minute, 10).await.unwrap();
    assert_eq!(
        due.iter().map(|it| (it.storage, it.blob)).collect::<Vec<_>>(),
        [(STORAGE, old)]
    );
    fixture.ledger().collected(&due).await.unwrap();
    assert!(condemned(fixture, far(fixture)).await.is_empty());
    assert_eq!(stored(fixture, None).await[0].body.blob, blob);
}

pub async fn a_message_that_was_moved_meanwhile_is_not_moved_again(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver(fixture, maildrop, 10).await;
    let before = stored(fixture, None).await;
    let other = fixture.other_storage().await;
    let (first, moved) = relocate(fixture, &before[0], other, HOUR).await;
    assert!(moved);
    let (_, moved) = relocate(fixture, &before[0], other, HOUR).await;
    assert!(!moved);
    assert_eq!(stored(fixture, None).await[0].body.blob, first);
}

pub async fn a_message_that_was_collected_meanwhile_is_not_moved(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver(fixture, maildrop, 10).await;
    let before = stored(fixture, None).await;
    delete(fixture, maildrop, 1, [1]).await;
    assert_eq!(condemned(fixture, far(fixture)).await.len(), 1);
    let (blob, moved) = relocate(fixture, &before[0], fixture.other_storage().await, HOUR).await;
    assert!(!moved);
    assert!(
        condemned(fixture, far(fixture)).await.contains(&blob),
        "what was copied for nothing"
    );
}

pub async fn a_deleted_message_is_moved_and_restored(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20]).await;
    delete(fixture, maildrop, 1, [1]).await;
    let before = stored(fixture, None).await;
    let other = fixture.other_storage().await;
    let (blob, moved) = relocate(fixture, &before[0], other, HOUR).await;
    assert!(moved);
    assert_eq!(
        fixture
            .custody()
            .restore(maildrop, &[before[0].id])
            .await
            .unwrap(),
        1
    );
    let after = stored(fixture, None).await;
    assert_eq!(
        (after[0].body.storage, after[0].body.blob, after[0].deleted),
        (other, blob, None)
    );
    assert_eq!(sizes(fixture, maildrop).await, [10, 20]);
}

pub async fn a_move_without_a_reservation_is_refused(fixture: &mut impl MailIndexFixture) {
    let (mine, others) = (maildrop(fixture).await, maildrop(fixture).await);
    deliver(fixture, mine, 10).await;
    let before = stored(fixture, None).await;
    let other = fixture.other_storage().await;
    let stray = BlobKey {
        number: before[0].body.blob.number ^ 1,
        ..before[0].body.blob
    };
    let of_another = index(fixture).reserve(others, other).await.unwrap();
    let elsewhere = index(fixture).reserve(mine, STORAGE).await.unwrap();
    for blob in [stray, of_another, elsewhere] {
        let refused = fixture.custody().relocate(&before[0], other, blob, HOUR).await;
        assert_eq!(kind(refused), Err(StoreErrorKind::NotFound));
    }
    assert_eq!(stored(fixture, None).await, before);
}

pub async fn of_racing_moves_one_is_done(fixture: &mut impl MailIndexFixture) {
    let maildrop = fixture
        .maildrop(fixture.tenant(DAY).await, Quota::default())
        .await;
    let old = deliver(fixture, maildrop, 10).await;
    let before = stored(fixture, None).await;
    let other = fixture.other_storage().await;
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let (custody, message) = (fixture.custody(), before[0].clone());
            tokio::spawn(async move {
                let blob = custody.reserve_for(&message, other).await.unwrap();
                let moved = custody.relocate(&message, other, blob, Duration::ZERO).await;
                (blob, moved.unwrap())
            })
        })
        .collect();
    let (mut won, mut lost) = (Vec::new(), BTreeSet::from([old]));
    for racer in racers {
        let (blob, moved) = racer.await.unwrap();
        if moved {
            won.push(blob);
        } else {
            lost.insert(blob);
        }
    }
    assert_eq!(won.len(), 1);
    assert_eq!(stored(fixture, None).await[0].body.blob, won[0]);
    assert_eq!(condemned(fixture, far(fixture)).await, lost);
}

pub async fn a_move_that_was_not_done_leaves_its_octets_to_the_collector(
    fixture: &mut impl MailIndexFixture,
) {
    let maildrop = maildrop(fixture).await;
    deliver(fixture, maildrop, 10).await;
    let before = stored(fixture, None).await;
    let blob = fixture.custody().reserve_for(&before[0], STORAGE).await.unwrap();
    assert!(condemned(fixture, fixture.now()).await.is_empty());
    assert_eq!(condemned(fixture, far(fixture)).await, BTreeSet::from([blob]));
    let refused = fixture.custody().relocate(&before[0], STORAGE, blob, HOUR).await;
    assert_eq!(kind(refused), Err(StoreErrorKind::NotFound));
}

pub async fn while_collection_is_stopped_nothing_is_condemned(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20]).await;
    delete(fixture, maildrop, 1, [1]).await;
    index(fixture).reserve(maildrop, STORAGE).await.unwrap();
    let custody = fixture.custody();
    assert_eq!(custody.collection_stopped().await.unwrap(), None);
    custody.stop_collection(true).await.unwrap();
    let since = custody.collection_stopped().await.unwrap().unwrap();
    custody.stop_collection(true).await.unwrap();
    assert_eq!(
        custody.collection_stopped().await.unwrap(),
        Some(since),
        "since the first time"
    );
    assert!(condemned(fixture, far(fixture)).await.is_empty());
    let keys = ids(&stored(fixture, None).await);
    assert_eq!(custody.restore(maildrop, &keys).await.unwrap(), 1);
    custody.stop_collection(false).await.unwrap();
    assert_eq!(custody.collection_stopped().await.unwrap(), None);
    assert_eq!(condemned(fixture, far(fixture)).await.len(), 1, "the reservation");
}
