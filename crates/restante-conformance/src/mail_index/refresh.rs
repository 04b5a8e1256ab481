//! A listing that is brought up to date: always what a session would see that knows no earlier one.
#![expect(missing_docs, reason = "the name of a case is the promise it checks")]

use std::sync::Arc;

use restante_store::{BlobKey, Listing, ListingBuilder, NewMessage, StoreErrorKind};
use restante_types::{Fence, MaildropId, UniqueId};

use super::custody::{HOUR, relocate, stored};
use super::scene::{DAY, delete, deliver, deliver_all, kind, list, maildrop, open, release, take_over};
use crate::MailIndexFixture;
use crate::sample::{STORAGE, message};

/// The session that looks.
const LOOKING: u8 = 200;

/// Brings every earlier listing up to date, and answers how the maildrop stands.
async fn looked_at(
    fixture: &impl MailIndexFixture,
    maildrop: MaildropId,
    earlier: &mut Vec<Arc<Listing>>,
) -> Arc<Listing> {
    let fence = open(fixture, maildrop, LOOKING).await;
    let now = Arc::new(list(fixture, &fence).await);
    for known in &*earlier {
        assert_eq!(refreshed(fixture, &fence, known).await, now, "{known:?}");
    }
    release(fixture, &fence).await;
    earlier.push(Arc::clone(&now));
    now
}

async fn refreshed(fixture: &impl MailIndexFixture, fence: &Fence, known: &Arc<Listing>) -> Arc<Listing> {
    fixture.index().refresh(fence, known).await.unwrap()
}

pub async fn a_refresh_after_deliveries_and_deletions_is_a_snapshot(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let mut earlier = vec![Arc::default()];
    looked_at(fixture, maildrop, &mut earlier).await;
    deliver(fixture, maildrop, 10).await;
    looked_at(fixture, maildrop, &mut earlier).await;
    looked_at(fixture, maildrop, &mut earlier).await;
    deliver_all(fixture, maildrop, &[20, 30, 40]).await;
    looked_at(fixture, maildrop, &mut earlier).await;
    delete(fixture, maildrop, 1, [2]).await;
    looked_at(fixture, maildrop, &mut earlier).await;
    // As many messages and octets as before.
    deliver(fixture, maildrop, 20).await;
    looked_at(fixture, maildrop, &mut earlier).await;
    delete(fixture, maildrop, 2, [4]).await;
    looked_at(fixture, maildrop, &mut earlier).await;
    delete(fixture, maildrop, 3, [1, 2, 3]).await;
    looked_at(fixture, maildrop, &mut earlier).await;
    deliver_all(fixture, maildrop, &[10, 20, 30, 40]).await;
    let last = looked_at(fixture, maildrop, &mut earlier).await;
    assert_eq!(last.bodies.len(), 4);
}

pub async fn a_refresh_sees_what_others_change(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let mut earlier = vec![Arc::default()];
    // Of one size, so that neither the number of messages nor of octets tells, behind one that stays the last.
    let now = fixture.now();
    for (octets, received) in [(10, now - DAY * 20), (10, now), (10, now), (10, now), (99, now)] {
        let blob = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
        let message = NewMessage {
            received,
            ..message(blob, octets)
        };
        fixture.index().deliver(maildrop, message).await.unwrap();
    }
    looked_at(fixture, maildrop, &mut earlier).await;
    delete(fixture, maildrop, 1, [2]).await;
    looked_at(fixture, maildrop, &mut earlier).await;
    let all = stored(fixture, None).await;
    delete(fixture, maildrop, 2, [2]).await;
    let custody = fixture.custody();
    assert_eq!(custody.restore(maildrop, &[all[1].id]).await.unwrap(), 1);
    looked_at(fixture, maildrop, &mut earlier).await;
    let before = stored(fixture, None).await;
    let (_, moved) = relocate(fixture, &before[3], fixture.other_storage().await, HOUR).await;
    assert!(moved);
    looked_at(fixture, maildrop, &mut earlier).await;
    let (ledger, before) = (fixture.ledger(), now - DAY * 5);
    assert_eq!(ledger.expire(maildrop.tenant(), before, 10).await.unwrap(), 1);
    let last = looked_at(fixture, maildrop, &mut earlier).await;
    let bodies = last.bodies.iter().map(|body| body.octets.get());
    assert_eq!(bodies.collect::<Vec<_>>(), [10, 10, 99]);
}

pub async fn a_listing_of_another_past_is_not_gone_on_with(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver_all(fixture, maildrop, &[10, 20, 30]).await;
    let fence = open(fixture, maildrop, 1).await;
    let now = Arc::new(list(fixture, &fence).await);
    // As if the database had been put back after these, and others had come since under the same keys.
    for (from, n) in [(2, 3), (1, 3), (0, 3), (1, 2), (0, 1)] {
        let known = Arc::new(otherwise(&now, from, n));
        assert_eq!(
            refreshed(fixture, &fence, &known).await,
            now,
            "{n} from {from} on"
        );
    }
}

/// The first `n` messages, with other octets from one on.
fn otherwise(listing: &Listing, from: usize, n: usize) -> Listing {
    let mut other = ListingBuilder::default();
    for (nth, (entry, body)) in listing.snapshot.iter().zip(&listing.bodies).take(n).enumerate() {
        let mut body = *body;
        if nth >= from {
            body.blob = BlobKey {
                number: body.blob.number ^ 1,
                ..body.blob
            };
        }
        let unique_id = UniqueId::new(entry.unique_id).unwrap();
        other.push(entry.id, &unique_id, entry.needs_utf8, body).unwrap();
    }
    Listing {
        revision: listing.revision,
        ..other.finish()
    }
}

pub async fn a_refresh_of_a_superseded_fence_sees_nothing(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    deliver(fixture, maildrop, 10).await;
    let first = open(fixture, maildrop, 1).await;
    let known = Arc::new(list(fixture, &first).await);
    take_over(fixture, maildrop, 2).await;
    let answer = fixture.index().refresh(&first, &known).await;
    assert_eq!(kind(answer).unwrap_err(), StoreErrorKind::Fenced);
}
