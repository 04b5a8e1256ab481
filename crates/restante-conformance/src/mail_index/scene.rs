//! What a session, a sender and the collector do, in a line each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use restante_session::DeleteSet;
use restante_store::{
    BlobKey, Committed, Condemned, Listing, MailIndex, NewMessage, Quota, StoreError, StoreErrorKind,
};
use restante_types::{Fence, MaildropId, MessageNumber, UniqueId};

use crate::MailIndexFixture;
use crate::sample::{STORAGE, message, session};

pub(super) const DAY: Duration = Duration::from_hours(24);

/// The session that looks at the result of a case.
const LATER: u8 = 250;

/// A maildrop without quota whose deleted messages are kept for a day.
pub(super) async fn maildrop(fixture: &impl MailIndexFixture) -> MaildropId {
    maildrop_with(fixture, Quota::default()).await
}

pub(super) async fn maildrop_with(fixture: &impl MailIndexFixture, quota: Quota) -> MaildropId {
    let tenant = fixture.tenant(DAY).await;
    fixture.maildrop(tenant, quota).await
}

pub(super) async fn open(fixture: &impl MailIndexFixture, maildrop: MaildropId, n: u8) -> Fence {
    fixture.locks().open(maildrop, session(n)).await.unwrap()
}

pub(super) async fn release(fixture: &impl MailIndexFixture, fence: &Fence) {
    fixture.locks().release(fence).await.unwrap();
}

/// Takes the maildrop away from whoever holds it and opens it for session `n`.
pub(super) async fn take_over(fixture: &impl MailIndexFixture, maildrop: MaildropId, n: u8) -> Fence {
    fixture.locks().supersede(maildrop).await.unwrap();
    open(fixture, maildrop, n).await
}

pub(super) async fn list(fixture: &impl MailIndexFixture, fence: &Fence) -> Listing {
    fixture.index().snapshot(fence).await.unwrap()
}

/// Delivers a message of `octets` and answers its blob.
pub(super) async fn deliver(fixture: &impl MailIndexFixture, maildrop: MaildropId, octets: u64) -> BlobKey {
    let blob = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
    fixture
        .index()
        .deliver(maildrop, message(blob, octets))
        .await
        .unwrap();
    blob
}

/// Delivers messages of these sizes in this order.
pub(super) async fn deliver_all(
    fixture: &impl MailIndexFixture,
    maildrop: MaildropId,
    sizes: &[u64],
) -> Vec<BlobKey> {
    let mut blobs = Vec::new();
    for octets in sizes {
        blobs.push(deliver(fixture, maildrop, *octets).await);
    }
    blobs
}

/// Delivers a message that keeps a unique-id.
pub(super) async fn deliver_as(
    fixture: &impl MailIndexFixture,
    maildrop: MaildropId,
    unique_id: &UniqueId,
) -> Result<UniqueId, StoreError> {
    let blob = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
    let message = NewMessage {
        unique_id: Some(unique_id.clone()),
        ..message(blob, 100)
    };
    let delivered = fixture.index().deliver(maildrop, message).await?;
    Ok(delivered.unique_id)
}

/// The sizes that a later session sees. Takes the maildrop over.
pub(super) async fn sizes(fixture: &impl MailIndexFixture, maildrop: MaildropId) -> Vec<u64> {
    let fence = take_over(fixture, maildrop, LATER).await;
    let listing = list(fixture, &fence).await;
    release(fixture, &fence).await;
    listing.snapshot.iter().map(|entry| entry.octets.get()).collect()
}

/// Marks the messages of these numbers.
pub(super) fn marks(listing: Listing, numbers: impl IntoIterator<Item = u32>) -> DeleteSet {
    let numbers = numbers.into_iter().filter_map(MessageNumber::new);
    DeleteSet::of(listing.snapshot, numbers)
}

/// Opens the maildrop and marks messages.
pub(super) async fn open_and_mark(
    fixture: &impl MailIndexFixture,
    maildrop: MaildropId,
    n: u8,
    numbers: impl IntoIterator<Item = u32>,
) -> (Fence, DeleteSet) {
    let fence = open(fixture, maildrop, n).await;
    let deletes = marks(list(fixture, &fence).await, numbers);
    (fence, deletes)
}

pub(super) async fn commit(
    fixture: &impl MailIndexFixture,
    fence: &Fence,
    n: u8,
    deletes: &DeleteSet,
) -> Result<Committed, StoreErrorKind> {
    kind(fixture.index().commit(fence, session(n), deletes).await)
}

/// Deletes messages in a session of its own.
pub(super) async fn delete(
    fixture: &impl MailIndexFixture,
    maildrop: MaildropId,
    n: u8,
    numbers: impl IntoIterator<Item = u32>,
) {
    let (fence, deletes) = open_and_mark(fixture, maildrop, n, numbers).await;
    commit(fixture, &fence, n, &deletes).await.unwrap();
    release(fixture, &fence).await;
}

/// The blobs condemned as of `now`, however many.
pub(super) async fn condemned(fixture: &impl MailIndexFixture, now: SystemTime) -> BTreeSet<BlobKey> {
    let condemned = fixture.ledger().condemned(now, 1_000).await.unwrap();
    condemned.into_iter().map(|one| one.blob).collect()
}

pub(super) async fn collected(fixture: &impl MailIndexFixture, blobs: &[BlobKey]) {
    let blobs: Vec<Condemned> = blobs
        .iter()
        .map(|blob| Condemned {
            storage: STORAGE,
            blob: *blob,
        })
        .collect();
    fixture.ledger().collected(&blobs).await.unwrap();
}

/// When everything deleted or reserved so far is due.
pub(super) fn far(fixture: &impl MailIndexFixture) -> SystemTime {
    fixture.now() + DAY * 2 + fixture.grace()
}

pub(super) fn kind<T>(answer: Result<T, StoreError>) -> Result<T, StoreErrorKind> {
    answer.map_err(|error| error.kind)
}

pub(super) fn index(fixture: &impl MailIndexFixture) -> Arc<dyn MailIndex> {
    fixture.index()
}
