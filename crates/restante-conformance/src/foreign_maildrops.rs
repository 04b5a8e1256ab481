//! Cases of other mail systems: stable names, exact octets, and a removal that takes what it was told to.
#![expect(missing_docs, reason = "the name of a case is the promise it checks")]

use std::num::NonZeroU64;

use async_trait::async_trait;
use bytes::Bytes;
use restante_store::{
    BlobReader, BytesReader, ForeignEntry, ForeignMaildrops, Owner, StoreError, StoreErrorKind,
};
use restante_types::{Fence, MaildropId, Octets, TenantId, UniqueId};

use crate::ForeignMaildropsFixture;
use crate::sample::{mail as message, session};

/// The only list of these cases.
#[doc(hidden)]
#[macro_export]
macro_rules! foreign_maildrops_cases {
    ($then:ident { $($arg:tt)* }) => { $crate::$then! { { $($arg)* } foreign_maildrops:
        an_empty_maildrop_lists_nothing,
        a_message_is_listed_as_it_was_appended,
        messages_come_back_to_the_octet,
        messages_come_in_the_order_of_arrival,
        a_list_goes_past_many_pages,
        two_lists_agree,
        the_start_of_a_message_is_its_start,
        an_unknown_message_is_not_found,
        removal_takes_the_marked_and_no_other,
        removal_of_all_empties_the_maildrop,
        removal_twice_is_the_same_as_once,
        removal_of_what_is_gone_removes_the_rest,
        a_removed_message_is_not_found,
        unique_ids_are_never_used_again,
        accounts_do_not_meet,
        tenants_do_not_meet,
        a_body_that_ends_early_adds_nothing,
        a_body_that_fails_adds_nothing,
        racing_appends_are_all_there,
        a_restart_keeps_messages_elsewhere,
    } };
}

fn owner(tenant: i64, account: i64) -> Owner {
    let tenant = TenantId::new(tenant).unwrap();
    Owner {
        maildrop: MaildropId::new(tenant, account).unwrap(),
        name: format!("user{account}@tenant{tenant}.test"),
    }
}

fn alice() -> Owner {
    owner(1, 7)
}

fn fence(owner: &Owner, token: u64) -> Fence {
    Fence {
        maildrop: owner.maildrop,
        token: NonZeroU64::new(token).unwrap(),
    }
}

async fn append(system: &dyn ForeignMaildrops, owner: &Owner, message: &Bytes) -> UniqueId {
    let mut body = BytesReader::in_pieces(message.clone(), 100_000);
    system
        .append(owner, Octets::of(message), &mut body)
        .await
        .unwrap()
}

async fn read(
    system: &dyn ForeignMaildrops,
    owner: &Owner,
    id: &str,
    octets: Option<u64>,
) -> Result<Vec<u8>, StoreErrorKind> {
    let collected = async {
        let mut reader = system.open(owner, id, octets.map(Octets)).await?;
        let mut all = Vec::new();
        while let Some(piece) = reader.next().await? {
            assert!(!piece.is_empty(), "an empty piece");
            all.extend_from_slice(&piece);
        }
        Ok(all)
    };
    collected.await.map_err(|error: StoreError| error.kind)
}

async fn list(system: &dyn ForeignMaildrops, owner: &Owner) -> Vec<ForeignEntry> {
    system.list(owner).await.unwrap()
}

/// Appends messages of some 200 octets; answers the list.
async fn fill(system: &dyn ForeignMaildrops, owner: &Owner, n: usize) -> Vec<ForeignEntry> {
    for nth in 0..n {
        append(system, owner, &message(nth, 200)).await;
    }
    list(system, owner).await
}

async fn remove(system: &dyn ForeignMaildrops, owner: &Owner, token: u64, entries: &[&ForeignEntry]) {
    let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    system
        .remove(owner, &fence(owner, token), session(1), &ids)
        .await
        .unwrap();
}

pub async fn an_empty_maildrop_lists_nothing(fixture: &mut impl ForeignMaildropsFixture) {
    let system = fixture.system();
    assert_eq!(list(&*system, &alice()).await, []);
}

pub async fn a_message_is_listed_as_it_was_appended(fixture: &mut impl ForeignMaildropsFixture) {
    let (system, owner, message) = (fixture.system(), alice(), message(1, 5_000));
    let unique_id = append(&*system, &owner, &message).await;
    let entries = list(&*system, &owner).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (&entries[0].unique_id, entries[0].octets),
        (&unique_id, Octets::of(&message))
    );
}

pub async fn messages_come_back_to_the_octet(fixture: &mut impl ForeignMaildropsFixture) {
    let (system, owner) = (fixture.system(), alice());
    let sizes = [50, 1_000, 262_100, 262_144, 300_000, 2_000_000];
    let messages: Vec<Bytes> = (0..).zip(sizes).map(|(nth, size)| message(nth, size)).collect();
    for message in &messages {
        append(&*system, &owner, message).await;
    }
    for (entry, message) in list(&*system, &owner).await.iter().zip(&messages) {
        let came = read(&*system, &owner, &entry.id, None).await.unwrap();
        assert_eq!((entry.octets, came.len()), (Octets::of(message), message.len()));
        assert!(came == *message, "octets differ");
    }
}

pub async fn messages_come_in_the_order_of_arrival(fixture: &mut impl ForeignMaildropsFixture) {
    let (system, owner) = (fixture.system(), alice());
    let mut unique_ids = Vec::new();
    for nth in 0..12 {
        unique_ids.push(append(&*system, &owner, &message(nth, 100)).await);
    }
    let listed: Vec<UniqueId> = list(&*system, &owner)
        .await
        .into_iter()
        .map(|entry| entry.unique_id)
        .collect();
    assert_eq!(listed, unique_ids);
}

pub async fn a_list_goes_past_many_pages(fixture: &mut impl ForeignMaildropsFixture) {
    let (system, owner) = (fixture.system(), alice());
    let entries = fill(&*system, &owner, 2_100).await;
    assert_eq!(entries.len(), 2_100);
    let mut ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 2_100, "an id is listed twice");
}

pub async fn two_lists_agree(fixture: &mut impl ForeignMaildropsFixture) {
    let (system, owner) = (fixture.system(), alice());
    let before = fill(&*system, &owner, 5).await;
    append(&*system, &owner, &message(9, 100)).await;
    assert_eq!(list(&*system, &owner).await[..5], before);
}

pub async fn the_start_of_a_message_is_its_start(fixture: &mut impl ForeignMaildropsFixture) {
    let (system, owner, message) = (fixture.system(), alice(), message(1, 500_000));
    append(&*system, &owner, &message).await;
    let id = list(&*system, &owner).await[0].id.clone();
    for octets in [1_u64, 1_000, 300_000, 10_000_000] {
        let start = read(&*system, &owner, &id, Some(octets)).await.unwrap();
        assert!(start.len() as u64 >= octets.min(message.len() as u64), "{octets}");
        assert!(message.starts_with(&start), "{octets}");
    }
}

pub async fn an_unknown_message_is_not_found(fixture: &mut impl ForeignMaildropsFixture) {
    let (system, owner) = (fixture.system(), alice());
    let answer = read(&*system, &owner, "no-such-message", None).await;
    assert_eq!(answer, Err(StoreErrorKind::NotFound));
}

pub async fn removal_takes_the_marked_and_no_other(fixture: &mut impl ForeignMaildropsFixture) {
    let (system, owner) = (fixture.system(), alice());
    let entries = fill(&*system, &owner, 5).await;
    remove(&*system, &owner, 1, &[&entries[1], &entries[3]]).await;
    let left = [&entries[0], &entries[2], &entries[4]].map(Clone::clone);
    assert_eq!(list(&*system, &owner).await, left);
}

pub async fn removal_of_all_empties_the_maildrop(fixture: &mut impl ForeignMaildropsFixture) {
    let (system, owner) = (fixture.system(), alice());
    let entries = fill(&*system, &owner, 60).await;
    remove(&*system, &owner, 1, &entries.iter().collect::<Vec<_>>()).await;
    assert_eq!(list(&*system, &owner).await, []);
}

pub async fn removal_twice_is_the_same_as_once(fixture: &mut impl ForeignMaildropsFixture) {
    let (system, owner) = (fixture.system(), alice());
    let entries = fill(&*system, &owner, 3).await;
    remove(&*system, &owner, 1, &[&entries[0]]).await;
    remove(&*system, &owner, 1, &[&entries[0]]).await;
    assert_eq!(list(&*system, &owner).await, entries[1..]);
}

pub async fn removal_of_what_is_gone_removes_the_rest(fixture: &mut impl ForeignMaildropsFixture) {
    let (system, owner) = (fixture.system(), alice());
    let entries = fill(&*system, &owner, 3).await;
    remove(&*system, &owner, 1, &[&entries[1]]).await;
    remove(&*system, &owner, 2, &[&entries[0], &entries[1]]).await;
    assert_eq!(list(&*system, &owner).await, entries[2..]);
}

pub async fn a_removed_message_is_not_found(fixture: &mut impl ForeignMaildropsFixture) {
    let (system, owner) = (fixture.system(), alice());
    let entries = fill(&*system, &owner, 2).await;
    remove(&*system, &owner, 1, &[&entries[0]]).await;
    let answer = read(&*system, &owner, &entries[0].id, None).await;
    assert_eq!(answer, Err(StoreErrorKind::NotFound));
    read(&*system, &owner, &entries[1].id, None).await.unwrap();
}

pub async fn unique_ids_are_never_used_again(fixture: &mut impl ForeignMaildropsFixture) {
    let (system, owner, message) = (fixture.system(), alice(), message(1, 100));
    let mut seen = Vec::new();
    for token in 1..=4 {
        let unique_id = append(&*system, &owner, &message).await;
        assert!(!seen.contains(&unique_id), "{unique_id} came again");
        seen.push(unique_id);
        let entries = list(&*system, &owner).await;
        remove(&*system, &owner, token, &[&entries[0]]).await;
    }
}

pub async fn accounts_do_not_meet(fixture: &mut impl ForeignMaildropsFixture) {
    let system = fixture.system();
    apart(&*system, &alice(), &owner(1, 8)).await;
}

pub async fn tenants_do_not_meet(fixture: &mut impl ForeignMaildropsFixture) {
    let system = fixture.system();
    apart(&*system, &alice(), &owner(2, 7)).await;
}

async fn apart(system: &dyn ForeignMaildrops, one: &Owner, other: &Owner) {
    let entries = fill(system, one, 2).await;
    assert_eq!(list(system, other).await, []);
    let answer = read(system, other, &entries[0].id, None).await;
    assert_eq!(answer, Err(StoreErrorKind::NotFound));
    remove(system, other, 1, &[&entries[0]]).await;
    assert_eq!(list(system, one).await, entries);
}

pub async fn a_body_that_ends_early_adds_nothing(fixture: &mut impl ForeignMaildropsFixture) {
    let (system, owner, message) = (fixture.system(), alice(), message(1, 1_000));
    let octets = Octets(message.len() as u64 + 1);
    let error = system
        .append(&owner, octets, &mut BytesReader::from(message))
        .await
        .unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Damaged);
    assert_eq!(list(&*system, &owner).await, []);
}

pub async fn a_body_that_fails_adds_nothing(fixture: &mut impl ForeignMaildropsFixture) {
    struct Failing(Option<Bytes>);
    #[async_trait]
    impl BlobReader for Failing {
        async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
            match self.0.take() {
                Some(piece) => Ok(Some(piece)),
                None => Err(StoreError::new(StoreErrorKind::Unavailable, "get", "body")),
            }
        }
    }
    let (system, owner, message) = (fixture.system(), alice(), message(1, 1_000));
    let octets = Octets(message.len() as u64 * 2);
    let error = system
        .append(&owner, octets, &mut Failing(Some(message)))
        .await
        .unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unavailable);
    assert_eq!(list(&*system, &owner).await, []);
}

pub async fn racing_appends_are_all_there(fixture: &mut impl ForeignMaildropsFixture) {
    let (system, owner) = (fixture.system(), alice());
    let mut appends = Vec::new();
    for nth in 0..8 {
        let (system, owner) = (fixture.system(), owner.clone());
        appends.push(tokio::spawn(async move {
            append(&*system, &owner, &message(nth, 300)).await
        }));
    }
    let mut appended = Vec::new();
    for unique_id in appends {
        appended.push(unique_id.await.unwrap());
    }
    let mut listed: Vec<UniqueId> = list(&*system, &owner)
        .await
        .into_iter()
        .map(|entry| entry.unique_id)
        .collect();
    appended.sort();
    listed.sort();
    assert_eq!(listed, appended);
}

pub async fn a_restart_keeps_messages_elsewhere(fixture: &mut impl ForeignMaildropsFixture) {
    let owner = alice();
    let entries = fill(&*fixture.system(), &owner, 3).await;
    fixture.restart().await;
    let system = fixture.system();
    assert_eq!(list(&*system, &owner).await, entries);
    let came = read(&*system, &owner, &entries[2].id, None).await.unwrap();
    assert!(came == message(2, 200));
}
