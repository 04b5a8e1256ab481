//! Keepers that break one promise each.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use restante_conformance::mail_index_cases;
use restante_store::{
    BlobKey, Custody, MailIndex, MemoryMailIndex, StorageId, StoreError, StoredMessage, Usage,
};
use restante_types::{MaildropId, MessageId};

use crate::assert_bitten;
use crate::fixture::MemoryIndex;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Break {
    TotalForgetsMaildrops,
    TellsTheLivingOnly,
    TellsOthersToo,
    PagesOverlap,
    TellsArrivalWrongly,
    NamesNothingReserved,
    NamesForAnyStorage,
    RestoresNothing,
    RestoresUnknownMaildrops,
    MovesToAnotherTime,
    MovesWithoutReservation,
    MovesTwice,
    MovesWithoutKeeping,
    MovesInWordsOnly,
    StopsNothing,
}

#[derive(Debug)]
struct Broken {
    how: Break,
    inner: Arc<MemoryMailIndex>,
}

#[async_trait]
impl Custody for Broken {
    async fn total(&self) -> Result<Usage, StoreError> {
        let total = self.inner.total().await?;
        Ok(match self.how {
            Break::TotalForgetsMaildrops => Usage {
                messages: total.messages.min(1),
                ..total
            },
            _ => total,
        })
    }

    async fn stored(
        &self,
        maildrop: Option<MaildropId>,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let maildrop = maildrop.filter(|_| self.how != Break::TellsOthersToo);
        let after = match self.how {
            // Goes on at the last one of the page before, until there is nothing new.
            Break::PagesOverlap => after.and_then(|after| MessageId::new(after.get() - 1)),
            _ => after,
        };
        let mut messages = self.inner.stored(maildrop, after, limit).await?;
        match self.how {
            Break::TellsTheLivingOnly => messages.retain(|message| message.deleted.is_none()),
            Break::TellsArrivalWrongly => {
                for message in &mut messages {
                    message.received += Duration::from_secs(1);
                }
            }
            Break::PagesOverlap if messages.len() < 2 => messages.clear(),
            _ => {}
        }
        Ok(messages)
    }

    async fn unnamed(&self, storage: StorageId, blobs: &[BlobKey]) -> Result<Vec<BlobKey>, StoreError> {
        let mut unnamed = self.inner.unnamed(storage, blobs).await?;
        match self.how {
            Break::NamesNothingReserved => {
                let stored = self.inner.stored(None, None, 100).await?;
                let is_message = |blob: &&BlobKey| stored.iter().any(|it| it.body.blob == **blob);
                unnamed = blobs.iter().filter(|blob| !is_message(blob)).copied().collect();
            }
            Break::NamesForAnyStorage => {
                let stored = self.inner.stored(None, None, 100).await?;
                unnamed.retain(|blob| stored.iter().all(|it| it.body.blob != *blob));
            }
            _ => {}
        }
        Ok(unnamed)
    }

    async fn restore(&self, maildrop: MaildropId, messages: &[MessageId]) -> Result<usize, StoreError> {
        match self.how {
            Break::RestoresNothing => Ok(messages.len()),
            Break::RestoresUnknownMaildrops => Ok(self.inner.restore(maildrop, messages).await.unwrap_or(0)),
            _ => self.inner.restore(maildrop, messages).await,
        }
    }

    async fn collection_stopped(&self) -> Result<Option<SystemTime>, StoreError> {
        self.inner.collection_stopped().await
    }

    async fn stop_collection(&self, is_stopped: bool) -> Result<(), StoreError> {
        match self.how {
            Break::StopsNothing => Ok(()),
            _ => self.inner.stop_collection(is_stopped).await,
        }
    }

    async fn reserve_for(&self, message: &StoredMessage, storage: StorageId) -> Result<BlobKey, StoreError> {
        match self.how {
            Break::MovesToAnotherTime => self.inner.reserve(message.maildrop, storage).await,
            _ => self.inner.reserve_for(message, storage).await,
        }
    }

    async fn relocate(
        &self,
        message: &StoredMessage,
        storage: StorageId,
        blob: BlobKey,
        keep: Duration,
    ) -> Result<bool, StoreError> {
        match self.how {
            Break::MovesInWordsOnly => Ok(true),
            Break::MovesWithoutKeeping => self.inner.relocate(message, storage, blob, Duration::ZERO).await,
            Break::MovesTwice => {
                let now = self.inner.stored(Some(message.maildrop), None, 100).await?;
                let newest = now
                    .into_iter()
                    .find(|it| it.id == message.id)
                    .unwrap_or(message.clone());
                self.inner.relocate(&newest, storage, blob, keep).await
            }
            Break::MovesWithoutReservation => {
                let moved = self.inner.relocate(message, storage, blob, keep).await;
                Ok(moved.unwrap_or(true))
            }
            _ => self.inner.relocate(message, storage, blob, keep).await,
        }
    }
}

/// The cases that notice it. One function for all mutants: to compile all cases for each takes minutes.
async fn bitten(how: Break) -> Vec<&'static str> {
    let open = move || async move { MemoryIndex::open().await.kept_by(|inner| Broken { how, inner }) };
    mail_index_cases! { emit_bites { open } }
}

macro_rules! mutant {
    ($name:ident: $how:ident, [$($case:literal),+ $(,)?]) => {
        #[tokio::test(start_paused = true)]
        async fn $name() {
            assert_bitten(&bitten(Break::$how).await, &[$($case),+]);
        }
    };
}

mutant!(a_total_of_some_is_noticed: TotalForgetsMaildrops, ["the_total_counts_what_is_there"]);
mutant!(a_keeper_of_the_living_is_noticed: TellsTheLivingOnly, ["every_message_is_told_once_deleted_or_not"]);
mutant!(a_keeper_that_tells_others_is_noticed: TellsOthersToo, ["of_one_maildrop_others_are_left_out"]);
mutant!(pages_that_overlap_are_noticed: PagesOverlap, ["every_message_is_told_once_deleted_or_not"]);
mutant!(a_wrong_time_of_arrival_is_noticed: TellsArrivalWrongly, [
    "a_stored_message_is_told_as_it_was_delivered",
]);
mutant!(reservations_that_nobody_names_are_noticed: NamesNothingReserved, [
    "what_nothing_names_is_found_and_nothing_else",
]);
mutant!(names_of_another_storage_are_noticed: NamesForAnyStorage, [
    "what_nothing_names_is_found_and_nothing_else",
]);
mutant!(restoring_nothing_is_noticed: RestoresNothing, [
    "restored_messages_are_back_at_their_place", "what_is_condemned_cannot_be_restored",
]);
mutant!(restoring_where_nothing_is_is_noticed: RestoresUnknownMaildrops, [
    "restoring_in_an_unknown_maildrop_is_refused",
]);
mutant!(a_move_that_forgets_the_arrival_is_noticed: MovesToAnotherTime, [
    "a_moved_message_differs_in_its_place_alone",
]);
mutant!(a_move_without_a_reservation_is_noticed: MovesWithoutReservation, [
    "a_move_without_a_reservation_is_refused",
]);
mutant!(a_second_move_is_noticed: MovesTwice, [
    "a_message_that_was_moved_meanwhile_is_not_moved_again", "of_racing_moves_one_is_done",
]);
mutant!(old_octets_given_up_at_once_are_noticed: MovesWithoutKeeping, [
    "a_moved_message_s_old_octets_are_kept_for_a_while",
]);
mutant!(a_move_that_is_none_is_noticed: MovesInWordsOnly, ["a_moved_message_differs_in_its_place_alone"]);
mutant!(a_stop_that_stops_nothing_is_noticed: StopsNothing, [
    "while_collection_is_stopped_nothing_is_condemned",
]);
