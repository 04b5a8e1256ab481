//! The mover: takes the octets of messages from one storage to another, while mail is read and delivered.
//!
//! Nothing that a client sees changes, the unique-ids least of all. The order is that of a delivery: reservation, blob,
//! index row; whatever stops half-way leaves a reservation, which the collector clears away, and the message where it
//! was. Start at [`Mover::run`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use restante_message::FullCheck;
use restante_types::{MaildropId, Octets};

use crate::{
    BlobReader, BlobStores, Custody, OctetRange, StorageId, StoreError, StoreErrorKind, StoredMessage,
};

/// How long the old octets are kept: longer than the longest session, which may have listed the message before.
const KEEP: Duration = Duration::from_hours(24);
/// How many messages are on their way at once.
const CONCURRENCY: usize = 4;
/// How many rows are asked for at once.
const BATCH: usize = 500;

/// What became of a message.
#[derive(Debug)]
pub enum MoveEvent {
    /// It is in the new storage now; so many octets.
    Moved(Octets),
    /// It was there already.
    There(Octets),
    /// It was moved or collected by somebody else meanwhile.
    Gone(Octets),
    /// It is where it was.
    Failed(Box<StoredMessage>, StoreError),
}

/// Moves messages to one storage.
#[derive(Clone, Debug)]
pub struct Mover {
    custody: Arc<dyn Custody>,
    stores: Arc<BlobStores>,
    to: StorageId,
}

impl Mover {
    /// Moves what `custody` knows to the storage `to`.
    pub const fn new(custody: Arc<dyn Custody>, stores: Arc<BlobStores>, to: StorageId) -> Self {
        Self { custody, stores, to }
    }

    /// Moves the messages of a maildrop, deleted ones too, and tells of each. It may be stopped at any time and run
    /// again: what is there already is passed over.
    ///
    /// # Errors
    /// The index cannot be read. What a storage fails with is told, and the others go on.
    ///
    /// # Cancel safety
    /// Each message is moved or not.
    pub async fn run(
        &self,
        maildrop: MaildropId,
        tell: &mut (dyn FnMut(MoveEvent) + Send),
    ) -> Result<(), StoreError> {
        let mut last = None;
        loop {
            let page = self.custody.stored(Some(maildrop), last, BATCH).await?;
            let Some(end) = page.last() else {
                return Ok(());
            };
            last = Some(end.id);
            let moves: Vec<_> = page.into_iter().map(|message| self.move_one(message)).collect();
            let mut outcomes = stream::iter(moves).buffer_unordered(CONCURRENCY);
            while let Some(event) = outcomes.next().await {
                tell(event);
            }
        }
    }

    async fn move_one(&self, message: StoredMessage) -> MoveEvent {
        let octets = message.body.octets;
        if message.body.storage == self.to {
            return MoveEvent::There(octets);
        }
        match self.copy(&message).await {
            Ok(true) => MoveEvent::Moved(octets),
            Ok(false) => MoveEvent::Gone(octets),
            Err(error) => MoveEvent::Failed(Box::new(message), error),
        }
    }

    async fn copy(&self, message: &StoredMessage) -> Result<bool, StoreError> {
        let body = &message.body;
        let (from, to) = (self.stores.get(body.storage)?, self.stores.get(self.to)?);
        let blob = self.custody.reserve_for(message, self.to).await?;
        let reader = from.get(&body.blob, OctetRange::first(body.octets)).await?;
        let mut reader = Checked {
            reader,
            message,
            check: FullCheck::new(),
        };
        to.put(&blob, body.octets, &mut reader).await?;
        self.custody.relocate(message, self.to, blob, KEEP).await
    }
}

/// Passes a body on, and ends it with an error if it is not the one that was delivered.
struct Checked<'a> {
    reader: Box<dyn BlobReader>,
    message: &'a StoredMessage,
    check: FullCheck,
}

#[async_trait]
impl BlobReader for Checked<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(piece) = self.reader.next().await? else {
            let (body, check) = (&self.message.body, self.check.clone());
            if check.is(body.octets, body.crc64, &self.message.sha256) {
                return Ok(None);
            }
            return Err(StoreError::new(StoreErrorKind::Damaged, "move", "body")
                .because("the octets are not those that were delivered"));
        };
        self.check.update(&piece);
        Ok(Some(piece))
    }
}

#[cfg(test)]
mod tests;
