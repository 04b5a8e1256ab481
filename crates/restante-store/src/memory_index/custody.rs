//! The keeper's side of the index in memory.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use restante_types::{MaildropId, MessageId};

use super::{MemoryMailIndex, Message, Reservation, STORE, State};
use crate::{BlobKey, Custody, StorageId, StoreError, StoreErrorKind, StoredMessage, Usage};

#[async_trait]
impl Custody for MemoryMailIndex {
    async fn total(&self) -> Result<Usage, StoreError> {
        let state = self.lock();
        let usages = state.maildrops.values().map(|maildrop| maildrop.usage);
        Ok(usages.fold(Usage::default(), |sum, usage| Usage {
            messages: sum.messages + usage.messages,
            octets: sum.octets + usage.octets,
        }))
    }

    async fn stored(
        &self,
        maildrop: Option<MaildropId>,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let state = self.lock();
        let mut messages: Vec<StoredMessage> = state
            .all()
            .filter(|message| maildrop.is_none_or(|maildrop| message.maildrop == maildrop))
            .filter(|message| after.is_none_or(|after| message.id > after))
            .collect();
        messages.sort_unstable_by_key(|message| message.id);
        messages.truncate(limit);
        Ok(messages)
    }

    async fn unnamed(&self, storage: StorageId, blobs: &[BlobKey]) -> Result<Vec<BlobKey>, StoreError> {
        let state = self.lock();
        let is_named = |blob: &BlobKey| {
            let is_message = |it: StoredMessage| it.body.blob == *blob && it.body.storage == storage;
            let is_condemned = |it: &super::Tombstone| {
                let body = it.message.body;
                body.blob == *blob && body.storage == storage
            };
            state.all().any(is_message)
                || state.tombstones.values().any(is_condemned)
                || state
                    .reservations
                    .get(blob)
                    .is_some_and(|it| it.storage == storage)
                || state.left.get(blob).is_some_and(|(left, _)| *left == storage)
        };
        Ok(blobs.iter().filter(|blob| !is_named(blob)).copied().collect())
    }

    async fn restore(&self, maildrop: MaildropId, messages: &[MessageId]) -> Result<usize, StoreError> {
        let mut state = self.lock();
        state.maildrop(maildrop, "restore")?;
        let mut n_restored = 0;
        for id in messages {
            let is_there = |it: &super::Tombstone| it.maildrop == maildrop && !it.condemned;
            if !state.tombstones.get(id).is_some_and(is_there) {
                continue;
            }
            let Some(tombstone) = state.tombstones.remove(id) else {
                continue;
            };
            let maildrop = state.maildrop(maildrop, "restore")?;
            maildrop.usage.messages += 1;
            maildrop.usage.octets += tombstone.message.body.octets;
            maildrop.messages.insert(*id, tombstone.message);
            n_restored += 1;
        }
        Ok(n_restored)
    }

    async fn collection_stopped(&self) -> Result<Option<SystemTime>, StoreError> {
        Ok(self.lock().stopped)
    }

    async fn stop_collection(&self, is_stopped: bool) -> Result<(), StoreError> {
        let (mut state, now) = (self.lock(), self.clock.wall());
        state.stopped = is_stopped.then(|| state.stopped.unwrap_or(now));
        Ok(())
    }

    async fn reserve_for(&self, message: &StoredMessage, storage: StorageId) -> Result<BlobKey, StoreError> {
        let mut state = self.lock();
        let maildrop = message.maildrop;
        state.maildrop(maildrop, "reserve")?;
        let key = BlobKey::fresh(maildrop.tenant(), message.body.blob.made_at())?;
        let reservation = Reservation {
            maildrop,
            storage,
            since: self.clock.wall(),
            condemned: false,
        };
        state.reservations.insert(key, reservation);
        Ok(key)
    }

    async fn relocate(
        &self,
        message: &StoredMessage,
        storage: StorageId,
        blob: BlobKey,
        keep: Duration,
    ) -> Result<bool, StoreError> {
        let (mut state, now) = (self.lock(), self.clock.wall());
        let is_reserved = state
            .reservations
            .get(&blob)
            .is_some_and(|it| !it.condemned && it.storage == storage && it.maildrop == message.maildrop);
        let Some(stored) = state.find(message) else {
            return Ok(false);
        };
        if !is_reserved {
            return Err(StoreError::new(StoreErrorKind::NotFound, "relocate", STORE)
                .because("the blob is not reserved for this message"));
        }
        (stored.body.storage, stored.body.blob) = (storage, blob);
        state.reservations.remove(&blob);
        state
            .left
            .insert(message.body.blob, (message.body.storage, now + keep));
        Ok(true)
    }
}

impl State {
    /// Every message, deleted or not, in no order.
    fn all(&self) -> impl Iterator<Item = StoredMessage> {
        let live = self.maildrops.iter().flat_map(|(maildrop, it)| {
            it.messages
                .iter()
                .map(|(id, message)| stored(*id, *maildrop, message, None))
        });
        let deleted = self
            .tombstones
            .iter()
            .filter(|(_, it)| !it.condemned)
            .map(|(id, it)| stored(*id, it.maildrop, &it.message, Some(it.deleted)));
        live.chain(deleted)
    }

    /// The message, if its octets are still where `message` says.
    fn find(&mut self, message: &StoredMessage) -> Option<&mut Message> {
        let deleted = self.tombstones.get_mut(&message.id).filter(|it| !it.condemned);
        let found = match deleted {
            Some(tombstone) => Some(&mut tombstone.message),
            None => self
                .maildrops
                .get_mut(&message.maildrop)?
                .messages
                .get_mut(&message.id),
        };
        found.filter(|it| it.body.blob == message.body.blob && it.body.storage == message.body.storage)
    }
}

fn stored(
    id: MessageId,
    maildrop: MaildropId,
    message: &Message,
    deleted: Option<SystemTime>,
) -> StoredMessage {
    StoredMessage {
        id,
        maildrop,
        unique_id: message.unique_id.clone(),
        body: message.body,
        sha256: message.sha256,
        received: message.received,
        deleted,
    }
}
