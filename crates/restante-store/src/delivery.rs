//! Delivery: a spooled message becomes a message of a maildrop.
//!
//! The order is the promise: reservation, blob, index row, and only then success. Whatever stops half-way leaves a
//! reservation, which the collector clears away; nothing is removed here, so no removal can race a delivery.
//! Never waits for a session's lock. Start at [`Deliverer::deliver`].

use std::sync::Arc;
use std::time::Duration;

use restante_types::{Clock, MaildropId, Octets, UniqueId};
use tokio::time::timeout;

use crate::{
    BlobStores, Delivered, MailIndex, NewMessage, Owner, Spooled, StorageId, StoreError, StoreErrorKind,
    failpoint,
};

/// How long one delivery may take. Far below the grace time of a reservation, which is an hour.
const DEADLINE: Duration = Duration::from_mins(15);

/// Where a message goes, and as what.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Who receives it.
    pub maildrop: MaildropId,
    /// The account's name, by which another mail system knows it.
    pub name: Arc<str>,
    /// The storage that takes its octets.
    pub storage: StorageId,
    /// As [`NewMessage::needs_utf8`].
    pub needs_utf8: bool,
    /// As [`NewMessage::unique_id`].
    pub unique_id: Option<UniqueId>,
    /// As [`NewMessage::deduplicate`].
    pub deduplicate: bool,
}

impl Delivery {
    /// An ordinary one to the account `name`: a fresh unique-id, and identical messages are two messages.
    pub fn new(maildrop: MaildropId, name: impl Into<Arc<str>>, storage: StorageId) -> Self {
        Self {
            maildrop,
            name: name.into(),
            storage,
            needs_utf8: false,
            unique_id: None,
            deduplicate: false,
        }
    }
}

/// Delivers messages into maildrops.
#[derive(Clone, Debug)]
pub struct Deliverer {
    index: Arc<dyn MailIndex>,
    stores: Arc<BlobStores>,
    clock: Arc<dyn Clock>,
    deadline: Duration,
}

impl Deliverer {
    /// Delivers into `index` and `stores`; `clock` gives the time of arrival that is recorded. A delivery may take
    /// 15 minutes.
    pub fn new(index: Arc<dyn MailIndex>, stores: Arc<BlobStores>, clock: Arc<dyn Clock>) -> Self {
        Self {
            index,
            stores,
            clock,
            deadline: DEADLINE,
        }
    }

    /// Lets one delivery take this long. Keep it far below the grace time of reservations.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The storages that take messages.
    pub fn stores(&self) -> &BlobStores {
        &self.stores
    }

    /// Whether the maildrop has room for a message of `octets` in `storage`: a courtesy, [`Deliverer::deliver`] decides.
    /// Another mail system is not asked, it has rules of its own.
    ///
    /// # Errors
    /// `OverQuota` if it has not; otherwise as [`MailIndex::usage`].
    pub async fn check_room(
        &self,
        maildrop: MaildropId,
        storage: StorageId,
        octets: Octets,
    ) -> Result<(), StoreError> {
        if self.stores.foreign(storage).is_some() {
            return Ok(());
        }
        let (usage, quota) = self.index.usage(maildrop).await?;
        if quota.admits(usage, octets) {
            Ok(())
        } else {
            Err(StoreError::new(StoreErrorKind::OverQuota, "deliver", "quota"))
        }
    }

    /// Delivers `message`; it is durable and visible to later sessions when this returns `Ok`.
    ///
    /// # Errors
    /// `OverQuota`; `Conflict` if the unique-id was ever used in this maildrop; `Invalid` if the storage is not
    /// configured; `Timeout` or `Unknown`: the message may have been delivered, and trying again may deliver it
    /// twice; else whatever the storage fails with, the message not being delivered.
    ///
    /// # Cancel safety
    /// A cancelled call has delivered the message or not.
    pub async fn deliver(&self, delivery: Delivery, message: &Spooled) -> Result<Delivered, StoreError> {
        timeout(self.deadline, Box::pin(self.deliver_in_steps(delivery, message)))
            .await
            .unwrap_or_else(|_| Err(StoreError::new(StoreErrorKind::Timeout, "deliver", "delivery")))
    }

    async fn deliver_in_steps(&self, delivery: Delivery, message: &Spooled) -> Result<Delivered, StoreError> {
        let Delivery {
            maildrop, storage, ..
        } = delivery;
        let measured = *message.measured();
        if let Some(system) = self.stores.foreign(storage) {
            let owner = Owner {
                maildrop,
                name: delivery.name.to_string(),
            };
            let unique_id = system
                .append(&owner, measured.octets, &mut message.reader())
                .await?;
            return Ok(Delivered {
                unique_id,
                is_repeat: false,
            });
        }
        let store = self.stores.get(storage)?;
        // Of one that may be a repeat only the index knows whether it needs room.
        if !delivery.deduplicate {
            self.check_room(maildrop, storage, measured.octets).await?;
        }
        let blob = self.index.reserve(maildrop, storage).await?;
        failpoint("deliver.reserved");
        store.put(&blob, measured.octets, &mut message.reader()).await?;
        failpoint("deliver.stored");
        let message = NewMessage {
            storage,
            blob,
            measured,
            unique_id: delivery.unique_id,
            received: self.clock.wall(),
            needs_utf8: delivery.needs_utf8,
            deduplicate: delivery.deduplicate,
        };
        let delivered = self.index.deliver(maildrop, message).await;
        failpoint("deliver.indexed");
        delivered
    }
}

#[cfg(test)]
mod tests;
