//! What the collector may take, and when.
#![expect(missing_docs, reason = "the name of a case is the promise it checks")]

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use restante_store::{NewMessage, Quota, StoreErrorKind};

use super::scene::{DAY, collected, condemned, delete, deliver, deliver_all, far, kind, maildrop, sizes};
use crate::MailIndexFixture;
use crate::sample::{STORAGE, message};

/// Room for the time that a case itself takes, on the clock of the index.
const MINUTE: Duration = Duration::from_mins(1);

pub async fn nothing_is_condemned_in_a_fresh_index(fixture: &mut impl MailIndexFixture) {
    maildrop(fixture).await;
    assert!(condemned(fixture, far(fixture)).await.is_empty());
}

pub async fn a_live_message_is_never_condemned(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let blobs = deliver_all(fixture, maildrop, &[10, 20, 30]).await;
    delete(fixture, maildrop, 1, [2]).await;
    let due = condemned(fixture, far(fixture)).await;
    assert_eq!(due, BTreeSet::from([blobs[1]]));
    let due = condemned(fixture, far(fixture) + DAY * 3650).await;
    assert_eq!(due, BTreeSet::from([blobs[1]]));
}

pub async fn a_deleted_message_is_condemned_after_its_retention(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let blob = deliver(fixture, maildrop, 10).await;
    delete(fixture, maildrop, 1, [1]).await;
    let now = fixture.now();
    for early in [SystemTime::UNIX_EPOCH, now, now + DAY - MINUTE] {
        assert!(
            condemned(fixture, early).await.is_empty(),
            "condemned before its time"
        );
    }
    assert!(condemned(fixture, now + DAY + MINUTE).await.contains(&blob));
}

pub async fn retention_is_the_tenants_own(fixture: &mut impl MailIndexFixture) {
    let (short, long) = (
        fixture.tenant(Duration::ZERO).await,
        fixture.tenant(DAY * 30).await,
    );
    let first = fixture.maildrop(short, Quota::default()).await;
    let second = fixture.maildrop(long, Quota::default()).await;
    let gone = deliver(fixture, first, 10).await;
    let kept = deliver(fixture, second, 10).await;
    delete(fixture, first, 1, [1]).await;
    delete(fixture, second, 2, [1]).await;
    let now = fixture.now();
    assert_eq!(condemned(fixture, now + MINUTE).await, BTreeSet::from([gone]));
    let all = condemned(fixture, now + DAY * 30 + MINUTE).await;
    assert_eq!(all, BTreeSet::from([gone, kept]));
}

pub async fn a_reservation_is_condemned_after_the_grace_time(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let blob = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
    let due = fixture.now() + fixture.grace();
    assert!(condemned(fixture, due - MINUTE).await.is_empty());
    let listed = fixture.ledger().condemned(due + MINUTE, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].blob, listed[0].storage), (blob, STORAGE));
}

pub async fn a_condemned_reservation_cannot_be_delivered(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let blob = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
    assert!(condemned(fixture, far(fixture)).await.contains(&blob));
    let answer = fixture.index().deliver(maildrop, message(blob, 10)).await;
    assert_eq!(kind(answer), Err(StoreErrorKind::NotFound));
    collected(fixture, &[blob]).await;
    let answer = fixture.index().deliver(maildrop, message(blob, 10)).await;
    assert_eq!(kind(answer), Err(StoreErrorKind::NotFound));
    assert!(sizes(fixture, maildrop).await.is_empty());
}

pub async fn the_condemned_are_listed_until_collected(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let reserved = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
    let deleted = deliver(fixture, maildrop, 10).await;
    delete(fixture, maildrop, 1, [1]).await;
    for _ in 0..2 {
        // A collector that was killed before it removed the blobs finds them again.
        let due = condemned(fixture, far(fixture)).await;
        assert_eq!(due, BTreeSet::from([reserved, deleted]));
    }
    // Once condemned, always condemned: the collector's clock may step back.
    assert!(condemned(fixture, fixture.now()).await.contains(&reserved));
    collected(fixture, &[deleted]).await;
    assert_eq!(condemned(fixture, far(fixture)).await, BTreeSet::from([reserved]));
    collected(fixture, &[reserved]).await;
    assert!(condemned(fixture, far(fixture)).await.is_empty());
}

pub async fn collected_twice_is_the_same_as_once(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let blob = deliver(fixture, maildrop, 10).await;
    delete(fixture, maildrop, 1, [1]).await;
    condemned(fixture, far(fixture)).await;
    collected(fixture, &[blob]).await;
    collected(fixture, &[blob, blob]).await;
    collected(fixture, &[]).await;
    assert!(condemned(fixture, far(fixture)).await.is_empty());
}

pub async fn collected_of_a_live_blob_forgets_nothing(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let live = deliver(fixture, maildrop, 10).await;
    let reserved = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
    collected(fixture, &[live, reserved]).await;
    fixture
        .index()
        .deliver(maildrop, message(reserved, 20))
        .await
        .unwrap();
    assert_eq!(sizes(fixture, maildrop).await, [10, 20]);
}

pub async fn the_limit_of_the_condemned_is_kept(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let mut expected: BTreeSet<_> = deliver_all(fixture, maildrop, &[1, 2, 3, 4])
        .await
        .into_iter()
        .collect();
    delete(fixture, maildrop, 1, 1..=4).await;
    for _ in 0..3 {
        expected.insert(fixture.index().reserve(maildrop, STORAGE).await.unwrap());
    }
    assert!(
        fixture
            .ledger()
            .condemned(far(fixture), 0)
            .await
            .unwrap()
            .is_empty()
    );
    let mut seen = BTreeSet::new();
    for _ in 0..4 {
        let page = fixture.ledger().condemned(far(fixture), 2).await.unwrap();
        assert!(page.len() <= 2);
        fixture.ledger().collected(&page).await.unwrap();
        seen.extend(page.into_iter().map(|one| one.blob));
    }
    assert_eq!(seen, expected);
}

/// FAULTS.md F18.
pub async fn a_delivery_and_the_collector_never_both_get_a_blob(fixture: &mut impl MailIndexFixture) {
    for round in 0..20_u32 {
        let maildrop = maildrop(fixture).await;
        let blob = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
        let (index, ledger, due) = (fixture.index(), fixture.ledger(), far(fixture));
        let delivery = tokio::spawn(async move {
            for _ in 0..round % 4 {
                tokio::task::yield_now().await;
            }
            index.deliver(maildrop, message(blob, 10)).await.is_ok()
        });
        let collector = tokio::spawn(async move {
            let condemned = ledger.condemned(due, 1_000).await.unwrap();
            condemned.iter().any(|one| one.blob == blob)
        });
        let (delivered, condemned) = (delivery.await.unwrap(), collector.await.unwrap());
        assert_ne!(delivered, condemned, "exactly one of them gets the blob");
    }
}

pub async fn messages_that_are_too_old_expire_for_their_tenant_alone(fixture: &mut impl MailIndexFixture) {
    let (tenant, other) = (fixture.tenant(DAY).await, fixture.tenant(DAY).await);
    let first = fixture.maildrop(tenant, Quota::default()).await;
    let second = fixture.maildrop(other, Quota::default()).await;
    let now = fixture.now();
    for (maildrop, octets, age) in [
        (first, 10, DAY * 20),
        (first, 20, DAY * 10),
        (first, 30, DAY),
        (second, 40, DAY * 20),
    ] {
        let blob = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
        let aged = NewMessage {
            received: now - age,
            ..message(blob, octets)
        };
        fixture.index().deliver(maildrop, aged).await.unwrap();
    }
    let ledger = fixture.ledger();
    let expire = |limit| ledger.expire(tenant, now - DAY * 5, limit);
    assert_eq!(expire(1).await.unwrap(), 1, "no more than were asked for");
    assert_eq!(expire(10).await.unwrap(), 1);
    assert_eq!(expire(10).await.unwrap(), 0, "nothing expires twice");
    assert_eq!(sizes(fixture, first).await, [30]);
    assert_eq!(sizes(fixture, second).await, [40]);
    let (usage, _) = fixture.index().usage(first).await.unwrap();
    assert_eq!((usage.messages, usage.octets.get()), (1, 30));
    assert_eq!(
        condemned(fixture, far(fixture)).await.len(),
        2,
        "after the retention"
    );
}
