//! Mail systems that break one promise each.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use restante_conformance::foreign_maildrops_cases;
use restante_store::{
    BlobReader, BytesReader, ForeignEntry, ForeignMaildrops, MemoryForeignMaildrops, Owner, StoreError,
};
use restante_types::{Fence, MaildropId, Octets, SessionId, TenantId, UniqueId};

use crate::assert_bitten;
use crate::fixture::MemoryForeign;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Break {
    ListIsCut,
    NewestFirst,
    SizesAreRound,
    UniqueIdsByPlace,
    StartIsTheEnd,
    AbsentIsEmpty,
    RemovesNothing,
    RemovesOneTooMany,
    RemovalOfGoneFails,
    OneMaildropForAll,
    OneTenantForAll,
    TakesWhatEndsEarly,
}

#[derive(Debug)]
struct Broken {
    how: Break,
    beneath: MemoryForeignMaildrops,
}

impl Broken {
    fn owner(&self, owner: &Owner) -> Owner {
        let first = TenantId::new(1).unwrap();
        let maildrop = match self.how {
            Break::OneMaildropForAll => MaildropId::new(owner.maildrop.tenant(), 1).unwrap(),
            Break::OneTenantForAll => MaildropId::new(first, owner.maildrop.number()).unwrap(),
            _ => owner.maildrop,
        };
        Owner {
            maildrop,
            ..owner.clone()
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken")
    }
}

#[async_trait]
impl ForeignMaildrops for Broken {
    async fn list(&self, owner: &Owner) -> Result<Vec<ForeignEntry>, StoreError> {
        let mut entries = self.beneath.list(&self.owner(owner)).await?;
        match self.how {
            Break::ListIsCut => entries.truncate(1_000),
            Break::NewestFirst => entries.reverse(),
            Break::SizesAreRound => {
                for entry in &mut entries {
                    entry.octets = Octets(entry.octets.get() / 1_024 * 1_024);
                }
            }
            Break::UniqueIdsByPlace => {
                for (nth, entry) in entries.iter_mut().enumerate() {
                    entry.unique_id = UniqueId::new(format!("message-{nth}")).unwrap();
                }
            }
            _ => {}
        }
        Ok(entries)
    }

    async fn open(
        &self,
        owner: &Owner,
        id: &str,
        octets: Option<Octets>,
    ) -> Result<Box<dyn BlobReader>, StoreError> {
        let opened = self.beneath.open(&self.owner(owner), id, octets).await;
        match (self.how, octets) {
            (Break::AbsentIsEmpty, _) if opened.is_err() => Ok(Box::new(BytesReader::default())),
            (Break::StartIsTheEnd, Some(_)) => {
                Ok(Box::new(BytesReader::from(Bytes::from_static(b"the end"))))
            }
            _ => opened,
        }
    }

    async fn remove(
        &self,
        owner: &Owner,
        fence: &Fence,
        session: SessionId,
        ids: &[&str],
    ) -> Result<(), StoreError> {
        let owner = self.owner(owner);
        let entries = self.beneath.list(&owner).await?;
        let mut ids = ids.to_vec();
        match self.how {
            Break::RemovesNothing => return Ok(()),
            Break::RemovesOneTooMany => ids.extend(entries.last().map(|entry| entry.id.as_str())),
            Break::RemovalOfGoneFails => {
                for id in &ids {
                    drop(self.beneath.open(&owner, id, None).await?);
                }
            }
            _ => {}
        }
        self.beneath.remove(&owner, fence, session, &ids).await
    }

    async fn append(
        &self,
        owner: &Owner,
        octets: Octets,
        body: &mut dyn BlobReader,
    ) -> Result<UniqueId, StoreError> {
        let owner = self.owner(owner);
        if self.how == Break::UniqueIdsByPlace {
            self.beneath.append(&owner, octets, body).await?;
            let nth = self.beneath.list(&owner).await?.len() - 1;
            return Ok(UniqueId::new(format!("message-{nth}")).unwrap());
        }
        if self.how == Break::TakesWhatEndsEarly {
            let mut all = Vec::new();
            while let Ok(Some(piece)) = body.next().await {
                all.extend_from_slice(&piece);
            }
            let mut body = BytesReader::from(Bytes::from(all.clone()));
            return self.beneath.append(&owner, Octets::of(&all), &mut body).await;
        }
        self.beneath.append(&owner, octets, body).await
    }
}

/// The cases that notice it. One function for all mutants: to compile all cases for each takes minutes.
async fn bitten(how: Break) -> Vec<&'static str> {
    let open = move || async move {
        MemoryForeign(Arc::new(Broken {
            how,
            beneath: MemoryForeignMaildrops::new(),
        }))
    };
    foreign_maildrops_cases! { emit_bites { open } }
}

macro_rules! mutant {
    ($name:ident: $how:ident, [$($case:literal),+ $(,)?]) => {
        #[tokio::test(start_paused = true)]
        async fn $name() {
            assert_bitten(&bitten(Break::$how).await, &[$($case),+]);
        }
    };
}

mutant!(a_list_that_is_cut_is_noticed: ListIsCut, ["a_list_goes_past_many_pages"]);
mutant!(the_newest_first_is_noticed: NewestFirst, ["messages_come_in_the_order_of_arrival", "two_lists_agree"]);
mutant!(round_sizes_are_noticed: SizesAreRound, [
    "a_message_is_listed_as_it_was_appended", "messages_come_back_to_the_octet",
]);
mutant!(unique_ids_by_place_are_noticed: UniqueIdsByPlace, [
    "unique_ids_are_never_used_again", "removal_takes_the_marked_and_no_other",
]);
mutant!(a_start_that_is_none_is_noticed: StartIsTheEnd, ["the_start_of_a_message_is_its_start"]);
mutant!(an_absent_message_taken_for_an_empty_one_is_noticed: AbsentIsEmpty, [
    "an_unknown_message_is_not_found", "a_removed_message_is_not_found",
]);
mutant!(a_removal_that_does_nothing_is_noticed: RemovesNothing, [
    "removal_takes_the_marked_and_no_other", "removal_of_all_empties_the_maildrop",
]);
mutant!(a_removal_of_one_too_many_is_noticed: RemovesOneTooMany, ["removal_takes_the_marked_and_no_other"]);
mutant!(a_removal_that_fails_on_absence_is_noticed: RemovalOfGoneFails, [
    "removal_twice_is_the_same_as_once", "removal_of_what_is_gone_removes_the_rest",
]);
mutant!(one_maildrop_for_all_is_noticed: OneMaildropForAll, ["accounts_do_not_meet"]);
mutant!(one_tenant_for_all_is_noticed: OneTenantForAll, ["tenants_do_not_meet"]);
mutant!(a_message_taken_in_part_is_noticed: TakesWhatEndsEarly, [
    "a_body_that_ends_early_adds_nothing", "a_body_that_fails_adds_nothing",
]);
