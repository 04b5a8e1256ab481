//! What delivery adds, and when it is refused.
#![expect(missing_docs, reason = "the name of a case is the promise it checks")]

use std::collections::HashSet;
use std::time::Duration;

use restante_store::{NewMessage, Quota, StoreErrorKind, Usage};
use restante_types::{MaildropId, Octets};

use super::scene::{
    collected, condemned, delete, deliver, deliver_all, deliver_as, far, kind, list, maildrop, maildrop_with,
    open, sizes,
};
use crate::MailIndexFixture;
use crate::sample::{STORAGE, message, unique_id};

fn unknown(known: MaildropId) -> MaildropId {
    MaildropId::new(known.tenant(), i64::MAX).unwrap()
}

async fn usage(fixture: &impl MailIndexFixture, maildrop: MaildropId) -> (u64, u64) {
    let (usage, _) = fixture.index().usage(maildrop).await.unwrap();
    (usage.messages, usage.octets.get())
}

/// Tries to deliver a message of `octets`.
async fn attempt(
    fixture: &impl MailIndexFixture,
    maildrop: MaildropId,
    octets: u64,
) -> Result<(), StoreErrorKind> {
    let blob = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
    kind(fixture.index().deliver(maildrop, message(blob, octets)).await).map(drop)
}

pub async fn usage_counts_what_is_there(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    assert_eq!(usage(fixture, maildrop).await, (0, 0));
    deliver_all(fixture, maildrop, &[10, 0, 30]).await;
    assert_eq!(usage(fixture, maildrop).await, (3, 40));
}

pub async fn usage_is_exact_after_commit(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20, 40]).await;
    delete(fixture, maildrop, 1, [1, 3]).await;
    assert_eq!(usage(fixture, maildrop).await, (1, 20));
    delete(fixture, maildrop, 2, [1]).await;
    assert_eq!(usage(fixture, maildrop).await, (0, 0));
}

pub async fn usage_passes_4_gib(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let size = u64::from(u32::MAX) - 1;
    deliver_all(fixture, maildrop, &[size, size, size]).await;
    assert_eq!(usage(fixture, maildrop).await, (3, size * 3));
    delete(fixture, maildrop, 1, [2]).await;
    assert_eq!(usage(fixture, maildrop).await, (2, size * 2));
}

pub async fn usage_of_an_unknown_maildrop_is_refused(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let answer = kind(fixture.index().usage(unknown(maildrop)).await);
    assert_eq!(answer, Err(StoreErrorKind::NoSuchMaildrop));
}

pub async fn usage_tells_the_quota(fixture: &mut impl MailIndexFixture) {
    let quota = Quota {
        messages: Some(7),
        octets: Some(Octets(5 << 32)),
    };
    for quota in [quota, Quota::default()] {
        let maildrop = maildrop_with(fixture, quota).await;
        let answer = fixture.index().usage(maildrop).await.unwrap();
        assert_eq!(answer, (Usage::default(), quota));
    }
}

pub async fn quota_of_messages_is_kept(fixture: &mut impl MailIndexFixture) {
    let quota = Quota {
        messages: Some(2),
        octets: None,
    };
    let maildrop = maildrop_with(fixture, quota).await;
    assert_eq!(attempt(fixture, maildrop, 10).await, Ok(()));
    assert_eq!(attempt(fixture, maildrop, 0).await, Ok(()));
    assert_eq!(
        attempt(fixture, maildrop, 0).await,
        Err(StoreErrorKind::OverQuota)
    );
    assert_eq!(usage(fixture, maildrop).await, (2, 10));
}

pub async fn quota_of_octets_is_kept_to_the_octet(fixture: &mut impl MailIndexFixture) {
    let quota = Quota {
        messages: None,
        octets: Some(Octets(100)),
    };
    let maildrop = maildrop_with(fixture, quota).await;
    assert_eq!(attempt(fixture, maildrop, 60).await, Ok(()));
    assert_eq!(
        attempt(fixture, maildrop, 41).await,
        Err(StoreErrorKind::OverQuota)
    );
    assert_eq!(attempt(fixture, maildrop, 40).await, Ok(()));
    assert_eq!(
        attempt(fixture, maildrop, 1).await,
        Err(StoreErrorKind::OverQuota)
    );
    assert_eq!(sizes(fixture, maildrop).await, [60, 40]);
}

pub async fn deleted_messages_make_room(fixture: &mut impl MailIndexFixture) {
    let quota = Quota {
        messages: Some(2),
        octets: Some(Octets(100)),
    };
    let maildrop = maildrop_with(fixture, quota).await;
    deliver_all(fixture, maildrop, &[60, 40]).await;
    delete(fixture, maildrop, 1, [1]).await;
    assert_eq!(
        attempt(fixture, maildrop, 61).await,
        Err(StoreErrorKind::OverQuota)
    );
    assert_eq!(attempt(fixture, maildrop, 60).await, Ok(()));
    assert_eq!(sizes(fixture, maildrop).await, [40, 60]);
}

pub async fn racing_deliveries_keep_the_quota(fixture: &mut impl MailIndexFixture) {
    let quota = Quota {
        messages: None,
        octets: Some(Octets(100)),
    };
    let maildrop = maildrop_with(fixture, quota).await;
    let mut racers = Vec::new();
    for _ in 0..16 {
        let blob = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
        let index = fixture.index();
        racers.push(tokio::spawn(async move {
            index.deliver(maildrop, message(blob, 30)).await
        }));
    }
    let mut n_delivered = 0;
    for racer in racers {
        match kind(racer.await.unwrap()) {
            Ok(_) => n_delivered += 1,
            Err(kind) => assert_eq!(kind, StoreErrorKind::OverQuota),
        }
    }
    assert_eq!(n_delivered, 3);
    assert_eq!(usage(fixture, maildrop).await, (3, 90));
}

pub async fn delivery_does_not_wait_for_the_session(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let fence = open(fixture, maildrop, 1).await;
    list(fixture, &fence).await;
    let delivery = deliver(fixture, maildrop, 10);
    let delivered = tokio::time::timeout(Duration::from_secs(20), delivery).await;
    assert!(delivered.is_ok(), "delivery waits for the session to end");
    let still = fixture.locks().probe(&[fence]).await.unwrap();
    assert!(still.is_empty(), "delivery took the maildrop from its session");
    assert_eq!(sizes(fixture, maildrop).await, [10]);
}

pub async fn delivery_without_a_reservation_is_refused(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let blob = crate::sample::blob_key(maildrop.tenant().get(), 77);
    let answer = fixture.index().deliver(maildrop, message(blob, 10)).await;
    assert_eq!(kind(answer), Err(StoreErrorKind::NotFound));
    assert!(sizes(fixture, maildrop).await.is_empty());
}

pub async fn delivery_takes_the_reservation_once(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let blob = deliver(fixture, maildrop, 10).await;
    let answer = fixture.index().deliver(maildrop, message(blob, 10)).await;
    assert_eq!(kind(answer), Err(StoreErrorKind::NotFound));
    assert_eq!(sizes(fixture, maildrop).await, [10]);
}

pub async fn delivery_on_anothers_reservation_is_refused(fixture: &mut impl MailIndexFixture) {
    let (mine, theirs) = (maildrop(fixture).await, maildrop(fixture).await);
    let blob = fixture.index().reserve(theirs, STORAGE).await.unwrap();
    assert_eq!(blob.tenant, theirs.tenant());
    let answer = fixture.index().deliver(mine, message(blob, 10)).await;
    assert_eq!(kind(answer), Err(StoreErrorKind::NotFound));
    assert!(sizes(fixture, mine).await.is_empty());
    fixture.index().deliver(theirs, message(blob, 10)).await.unwrap();
}

pub async fn delivery_to_an_unknown_maildrop_is_refused(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let blob = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
    let answer = fixture
        .index()
        .deliver(unknown(maildrop), message(blob, 10))
        .await;
    assert_eq!(kind(answer), Err(StoreErrorKind::NoSuchMaildrop));
}

pub async fn reservation_for_an_unknown_maildrop_is_refused(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let answer = fixture.index().reserve(unknown(maildrop), STORAGE).await;
    assert_eq!(kind(answer), Err(StoreErrorKind::NoSuchMaildrop));
}

pub async fn reserved_keys_are_never_alike(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let mut keys = HashSet::new();
    for _ in 0..200 {
        let key = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
        assert!(keys.insert(key), "{key} came twice");
    }
}

pub async fn a_refused_delivery_adds_nothing(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let kept = unique_id("kept");
    deliver_as(fixture, maildrop, &kept).await.unwrap();
    let blob = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
    let clash = NewMessage {
        unique_id: Some(kept),
        ..message(blob, 10)
    };
    let answer = fixture.index().deliver(maildrop, clash).await;
    assert_eq!(kind(answer), Err(StoreErrorKind::Conflict));
    assert_eq!(usage(fixture, maildrop).await, (1, 100));
    // The reservation still stands, so the sender may try again under another unique-id.
    fixture
        .index()
        .deliver(maildrop, message(blob, 10))
        .await
        .unwrap();
    assert_eq!(sizes(fixture, maildrop).await, [100, 10]);
}

pub async fn fresh_unique_ids_are_never_alike(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let mut seen = HashSet::new();
    for _ in 0..200 {
        let blob = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
        // The very same message each time: identical mails are two mails.
        let delivered = fixture
            .index()
            .deliver(maildrop, message(blob, 10))
            .await
            .unwrap();
        assert!(seen.insert(delivered.unique_id), "a unique-id came twice");
    }
}

pub async fn a_unique_id_of_70_octets_is_kept(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let every_octet: String = ('!'..='~').collect();
    let longest = [
        every_octet.chars().take(70).collect(),
        every_octet.chars().skip(24).collect(),
        "!".to_owned(),
    ];
    for text in &longest {
        let id = unique_id(text);
        assert_eq!(deliver_as(fixture, maildrop, &id).await.unwrap(), id);
    }
    let fence = open(fixture, maildrop, 1).await;
    let listing = list(fixture, &fence).await;
    let shown: Vec<&str> = listing.snapshot.iter().map(|entry| entry.unique_id).collect();
    assert_eq!(shown, longest);
}

pub async fn unique_ids_differ_by_case(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_as(fixture, maildrop, &unique_id("abc")).await.unwrap();
    deliver_as(fixture, maildrop, &unique_id("ABC")).await.unwrap();
}

pub async fn a_unique_id_in_use_is_a_conflict(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let id = unique_id("0000012345");
    deliver_as(fixture, maildrop, &id).await.unwrap();
    let answer = deliver_as(fixture, maildrop, &id).await;
    assert_eq!(kind(answer), Err(StoreErrorKind::Conflict));
}

pub async fn a_unique_id_of_a_deleted_message_is_a_conflict(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let id = unique_id("0000012345");
    deliver_as(fixture, maildrop, &id).await.unwrap();
    delete(fixture, maildrop, 1, [1]).await;
    let answer = deliver_as(fixture, maildrop, &id).await;
    assert_eq!(kind(answer), Err(StoreErrorKind::Conflict));
}

pub async fn a_unique_id_of_a_collected_message_is_a_conflict(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let id = unique_id("0000012345");
    deliver_as(fixture, maildrop, &id).await.unwrap();
    delete(fixture, maildrop, 1, [1]).await;
    let due: Vec<_> = condemned(fixture, far(fixture)).await.into_iter().collect();
    collected(fixture, &due).await;
    let answer = deliver_as(fixture, maildrop, &id).await;
    assert_eq!(kind(answer), Err(StoreErrorKind::Conflict));
}

pub async fn the_same_unique_id_fits_another_maildrop(fixture: &mut impl MailIndexFixture) {
    let tenant = fixture.tenant(Duration::ZERO).await;
    for _ in 0..2 {
        let maildrop = fixture.maildrop(tenant, Quota::default()).await;
        deliver_as(fixture, maildrop, &unique_id("1")).await.unwrap();
    }
}
