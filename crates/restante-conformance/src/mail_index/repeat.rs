//! De-duplication: which deliveries are repeats, and what they leave.
#![expect(missing_docs, reason = "the name of a case is the promise it checks")]

use std::time::{Duration, SystemTime};

use restante_store::{Delivered, NewMessage, Quota, REPEAT_WINDOW};
use restante_types::{MaildropId, Octets, UniqueId};

use super::scene::{collected, condemned, delete, far, kind, maildrop, maildrop_with, sizes};
use crate::MailIndexFixture;
use crate::sample::{STORAGE, message};

const FIRST: [u8; 32] = [1; 32];
const SECOND: [u8; 32] = [2; 32];

async fn sample(fixture: &impl MailIndexFixture, maildrop: MaildropId, sha256: [u8; 32]) -> NewMessage {
    let blob = fixture.index().reserve(maildrop, STORAGE).await.unwrap();
    let mut message = message(blob, 10);
    message.measured.sha256 = sha256;
    message.received = start(fixture);
    message.deduplicate = true;
    message
}

/// When the first message of a case arrived.
fn start(fixture: &impl MailIndexFixture) -> SystemTime {
    fixture.now()
}

async fn deliver(fixture: &impl MailIndexFixture, maildrop: MaildropId, sha256: [u8; 32]) -> Delivered {
    let message = sample(fixture, maildrop, sha256).await;
    fixture.index().deliver(maildrop, message).await.unwrap()
}

fn repeat_of(first: &Delivered) -> Delivered {
    Delivered {
        is_repeat: true,
        ..first.clone()
    }
}

pub async fn a_repeat_adds_nothing_and_is_answered_as_the_first(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let first = deliver(fixture, maildrop, FIRST).await;
    assert!(!first.is_repeat);
    for _ in 0..2 {
        assert_eq!(deliver(fixture, maildrop, FIRST).await, repeat_of(&first));
    }
    assert_eq!(sizes(fixture, maildrop).await, [10]);
    let (usage, _) = fixture.index().usage(maildrop).await.unwrap();
    assert_eq!((usage.messages, usage.octets), (1, Octets(10)));
}

pub async fn another_digest_or_another_maildrop_is_no_repeat(fixture: &mut impl MailIndexFixture) {
    let (mine, theirs) = (maildrop(fixture).await, maildrop(fixture).await);
    let mut unique_ids: Vec<UniqueId> = Vec::new();
    for (maildrop, sha256) in [(mine, FIRST), (mine, SECOND), (theirs, FIRST)] {
        let delivered = deliver(fixture, maildrop, sha256).await;
        assert!(!delivered.is_repeat);
        unique_ids.push(delivered.unique_id);
    }
    assert_eq!(sizes(fixture, mine).await, [10, 10]);
    assert_eq!(sizes(fixture, theirs).await, [10]);
    assert_eq!(deliver(fixture, mine, FIRST).await.unique_id, unique_ids[0]);
    assert_eq!(deliver(fixture, theirs, FIRST).await.unique_id, unique_ids[2]);
}

pub async fn only_what_came_to_be_deduplicated_is_or_has_a_repeat(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    for (deduplicate, is_repeat) in [(false, false), (true, false), (false, false), (true, true)] {
        let message = NewMessage {
            deduplicate,
            ..sample(fixture, maildrop, FIRST).await
        };
        let delivered = fixture.index().deliver(maildrop, message).await.unwrap();
        assert_eq!(delivered.is_repeat, is_repeat);
    }
    assert_eq!(sizes(fixture, maildrop).await, [10, 10, 10]);
}

pub async fn a_repeat_of_a_message_that_was_fetched_and_deleted_adds_nothing(
    fixture: &mut impl MailIndexFixture,
) {
    let maildrop = maildrop(fixture).await;
    let first = deliver(fixture, maildrop, FIRST).await;
    delete(fixture, maildrop, 1, [1]).await;
    assert_eq!(deliver(fixture, maildrop, FIRST).await, repeat_of(&first));
    assert!(sizes(fixture, maildrop).await.is_empty());
}

pub async fn after_a_day_it_is_a_message_again(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let first = deliver(fixture, maildrop, FIRST).await;
    let mut later = Vec::new();
    for age in [
        REPEAT_WINDOW / 2,
        REPEAT_WINDOW + Duration::from_secs(1),
        REPEAT_WINDOW + Duration::from_secs(2),
    ] {
        let message = NewMessage {
            received: start(fixture) + age,
            ..sample(fixture, maildrop, FIRST).await
        };
        later.push(fixture.index().deliver(maildrop, message).await.unwrap());
    }
    assert_eq!(later[0], repeat_of(&first));
    assert!(!later[1].is_repeat && later[1].unique_id != first.unique_id);
    assert_eq!(later[2], repeat_of(&later[1]));
    assert_eq!(sizes(fixture, maildrop).await, [10, 10]);
}

pub async fn a_repeat_needs_no_room(fixture: &mut impl MailIndexFixture) {
    let quota = Quota {
        messages: Some(1),
        octets: Some(Octets(10)),
    };
    let maildrop = maildrop_with(fixture, quota).await;
    let first = deliver(fixture, maildrop, FIRST).await;
    assert_eq!(deliver(fixture, maildrop, FIRST).await, repeat_of(&first));
    let other = sample(fixture, maildrop, SECOND).await;
    let refused = kind(fixture.index().deliver(maildrop, other).await);
    assert_eq!(refused, Err(restante_store::StoreErrorKind::OverQuota));
}

pub async fn of_racing_repeats_one_is_delivered(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let mut racers = Vec::new();
    for _ in 0..8 {
        let message = sample(fixture, maildrop, FIRST).await;
        let index = fixture.index();
        racers.push(tokio::spawn(
            async move { index.deliver(maildrop, message).await },
        ));
    }
    let mut answers = Vec::new();
    for racer in racers {
        answers.push(racer.await.unwrap().unwrap());
    }
    assert_eq!(answers.iter().filter(|answer| !answer.is_repeat).count(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| answer.unique_id == answers[0].unique_id)
    );
    assert_eq!(sizes(fixture, maildrop).await, [10]);
}

pub async fn the_octets_of_a_repeat_go_to_the_collector(fixture: &mut impl MailIndexFixture) {
    let maildrop = maildrop(fixture).await;
    let first = deliver(fixture, maildrop, FIRST).await;
    let again = sample(fixture, maildrop, FIRST).await;
    let blob = again.blob;
    assert_eq!(
        fixture.index().deliver(maildrop, again).await.unwrap(),
        repeat_of(&first)
    );
    let due: Vec<_> = condemned(fixture, far(fixture)).await.into_iter().collect();
    assert_eq!(due, [blob]);
    collected(fixture, &due).await;
    assert_eq!(sizes(fixture, maildrop).await, [10]);
}
