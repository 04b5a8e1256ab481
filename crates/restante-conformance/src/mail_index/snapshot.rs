//! What a session sees.
#![expect(missing_docs, reason = "the name of a case is the promise it checks")]

use restante_session::DeleteSet;
use restante_store::{BodyRef, NewMessage, Quota, StoreErrorKind};
use restante_types::{MaildropId, MessageNumber, Octets};

use super::scene::{
    DAY, deliver, deliver_all, deliver_as, kind, list, maildrop, open, release, sizes, take_over,
};
use crate::MailIndexFixture;
use crate::sample::{STORAGE, message, unique_id};

pub async fn an_empty_maildrop_has_no_messages(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let fence = open(fixture, maildrop, 1).await;
    let listing = list(fixture, &fence).await;
    assert!(listing.snapshot.is_empty() && listing.bodies.is_empty());
}

pub async fn a_message_comes_back_as_it_was_measured(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    for octets in [0, 3, u64::from(u32::MAX) + 2] {
        let blob = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
        let sent = message(blob, octets);
        let delivered = fixture.index().deliver(maildrop, sent.clone()).await.unwrap();
        let fence = take_over(fixture, maildrop, 1).await;
        let listing = list(fixture, &fence).await;
        let number = MessageNumber::from_index(listing.snapshot.len() - 1).unwrap();
        let entry = listing.snapshot.entry(number).unwrap();
        assert_eq!(entry.unique_id, delivered.unique_id.as_str());
        assert_eq!(entry.octets, Octets(octets));
        assert_eq!(entry.needs_utf8, sent.needs_utf8);
        assert_eq!(listing.body(number), Some(&body_of(&sent)));
    }
}

fn body_of(message: &NewMessage) -> BodyRef {
    BodyRef {
        storage: message.storage,
        blob: message.blob,
        octets: message.measured.octets,
        header_octets: message.measured.header_octets,
        crc64: message.measured.crc64,
        header_crc64: message.measured.header_crc64,
        has_dot_lines: message.measured.has_dot_lines,
    }
}

pub async fn messages_come_in_the_order_of_delivery(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    // Neither the order of sizes nor that of unique-ids.
    for text in ["m", "z", "a", "Z", "0", "~"] {
        deliver_as(fixture, maildrop, &unique_id(text)).await.unwrap();
    }
    let fence = open(fixture, maildrop, 1).await;
    let listing = list(fixture, &fence).await;
    let order: Vec<&str> = listing.snapshot.iter().map(|entry| entry.unique_id).collect();
    assert_eq!(order, ["m", "z", "a", "Z", "0", "~"]);
}

pub async fn a_hundred_thousand_messages_come_in_order_with_their_sizes(fixture: &mut impl MailIndexFixture) {
    const MESSAGES: u64 = 100_000;
    // Together about 5 TiB, each of a size of its own.
    const STEP: u64 = 1_009;
    let maildrop = maildrop(fixture).await;
    let sizes: Vec<u64> = (0..MESSAGES).map(|n| n * STEP).collect();
    fixture.fill(maildrop, &sizes).await;
    let fence = open(fixture, maildrop, 1).await;
    let listing = list(fixture, &fence).await;
    assert_eq!(listing.snapshot.len() as u64, MESSAGES);
    assert_eq!(listing.bodies.len() as u64, MESSAGES);
    let expected = (0..MESSAGES).map(|n| Octets(n * STEP));
    assert!(
        listing
            .snapshot
            .iter()
            .map(|entry| entry.octets)
            .eq(expected.clone())
    );
    assert!(listing.bodies.iter().map(|body| body.octets).eq(expected));
    let total = Octets(STEP * MESSAGES * (MESSAGES - 1) / 2);
    assert_eq!(listing.snapshot.octets(), total);
    let (usage, _) = fixture.index().usage(maildrop).await.unwrap();
    assert_eq!((usage.messages, usage.octets), (MESSAGES, total));
}

pub async fn a_snapshot_stays_while_mail_arrives(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20]).await;
    let fence = open(fixture, maildrop, 1).await;
    let listing = list(fixture, &fence).await;
    deliver(fixture, maildrop, 30).await;
    assert_eq!(
        (listing.snapshot.len(), listing.snapshot.octets()),
        (2, Octets(30))
    );
    assert_eq!(sizes(fixture, maildrop).await, [10, 20, 30]);
}

pub async fn two_snapshots_of_one_session_agree(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20, 30]).await;
    let fence = open(fixture, maildrop, 1).await;
    let (first, second) = (list(fixture, &fence).await, list(fixture, &fence).await);
    assert_eq!(first.snapshot, second.snapshot);
    assert_eq!(first.bodies, second.bodies);
}

pub async fn a_released_fence_sees_nothing(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let first = open(fixture, maildrop, 1).await;
    release(fixture, &first).await;
    open(fixture, maildrop, 2).await;
    let answer = fixture.index().snapshot(&first).await;
    assert_eq!(kind(answer).unwrap_err(), StoreErrorKind::Fenced);
}

pub async fn a_superseded_fence_sees_nothing(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let first = open(fixture, maildrop, 1).await;
    let second = take_over(fixture, maildrop, 2).await;
    let answer = fixture.index().snapshot(&first).await;
    assert_eq!(kind(answer).unwrap_err(), StoreErrorKind::Fenced);
    list(fixture, &second).await;
}

pub async fn a_fence_for_an_unknown_maildrop_sees_nothing(fixture: &mut impl MailIndexFixture) {
    let known = maildrop(fixture).await;
    let mut fence = open(fixture, known, 1).await;
    fence.maildrop = MaildropId::new(known.tenant(), i64::MAX).unwrap();
    let answer = kind(fixture.index().snapshot(&fence).await).unwrap_err();
    assert!(
        matches!(answer, StoreErrorKind::NoSuchMaildrop | StoreErrorKind::Fenced),
        "{answer}"
    );
}

pub async fn two_tenants_do_not_meet(fixture: &mut impl MailIndexFixture) {
    let (one, two) = (fixture.tenant(DAY).await, fixture.tenant(DAY).await);
    let first = fixture.maildrop(one, Quota::default()).await;
    let second = fixture.maildrop(two, Quota::default()).await;
    deliver_all(fixture, first, &[10, 20]).await;
    deliver(fixture, second, 30).await;
    let fence = open(fixture, first, 1).await;
    let listing = list(fixture, &fence).await;
    assert!(listing.bodies.iter().all(|body| body.blob.tenant == one));
    // A maildrop of the same number that belongs to the other tenant is another maildrop.
    let stranger = MaildropId::new(two, first.number()).unwrap();
    if stranger != second {
        assert!(fixture.index().usage(stranger).await.is_err());
        let mut wrong = fence;
        wrong.maildrop = stranger;
        assert!(fixture.index().snapshot(&wrong).await.is_err());
        let deletes = DeleteSet::of(listing.snapshot, [MessageNumber::FIRST]);
        let session = crate::sample::session(1);
        assert!(fixture.index().commit(&wrong, session, &deletes).await.is_err());
    }
    assert_eq!(sizes(fixture, first).await, [10, 20]);
    assert_eq!(sizes(fixture, second).await, [30]);
}

pub async fn a_restart_keeps_messages(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20]).await;
    let fence = open(fixture, maildrop, 1).await;
    let before = list(fixture, &fence).await;
    fixture.restart().await;
    let fence = open(fixture, maildrop, 2).await;
    let after = list(fixture, &fence).await;
    assert_eq!(before.snapshot, after.snapshot);
    assert_eq!(before.bodies, after.bodies);
    let (usage, _) = fixture.index().usage(maildrop).await.unwrap();
    assert_eq!((usage.messages, usage.octets), (2, Octets(30)));
}
