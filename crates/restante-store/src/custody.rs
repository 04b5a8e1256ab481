//! What an operator's tools ask of an index: to look through what is stored, to bring back what was deleted, to move
//! octets from one storage to another. No session and no delivery needs it. Start at [`Custody`].

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use restante_types::{MaildropId, MessageId, Octets, TenantId, UniqueId};

use crate::{BlobKey, BodyRef, StorageId, StoreError, Usage};

/// A message as the index has it, deleted or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its place in the order of POP3.
    pub id: MessageId,
    /// Whose it is.
    pub maildrop: MaildropId,
    /// What clients know it by.
    pub unique_id: UniqueId,
    /// Where its octets are.
    pub body: BodyRef,
    /// SHA-256 of the whole message.
    pub sha256: [u8; 32],
    /// When it arrived.
    pub received: SystemTime,
    /// When it was deleted, while its tenant's retention lasts; `None` for one that clients see.
    pub deleted: Option<SystemTime>,
}

/// The columns of a message as SQL databases keep them: id, tenant, maildrop, unique-id, octets, octets of the header
/// section, whether lines start with a dot, the two checksums as signed numbers, SHA-256, storage, number of the blob,
/// and in microseconds since 1970 when it arrived and was deleted.
pub type StoredRow = (
    i64,
    i64,
    i64,
    String,
    i64,
    i64,
    bool,
    i64,
    i64,
    Vec<u8>,
    i64,
    Vec<u8>,
    i64,
    Option<i64>,
);

impl StoredMessage {
    /// Reads the columns of a message.
    ///
    /// # Errors
    /// The name of the one that no version of this program writes so.
    pub fn from_row(row: StoredRow) -> Result<Self, &'static str> {
        let (
            id,
            tenant,
            maildrop,
            unique_id,
            octets,
            header_octets,
            has_dot_lines,
            crc64,
            header_crc64,
            sha256,
            storage,
            blob,
            received,
            deleted,
        ) = row;
        let tenant = TenantId::new(tenant).ok_or("tenant")?;
        let number = blob.try_into().map_err(|_| "blob")?;
        let count = |value: i64| u64::try_from(value).map(Octets).map_err(|_| "octets");
        let time = |micros: i64| {
            u64::try_from(micros)
                .map(|micros| SystemTime::UNIX_EPOCH + Duration::from_micros(micros))
                .map_err(|_| "time")
        };
        Ok(Self {
            id: MessageId::new(id).ok_or("message")?,
            maildrop: MaildropId::new(tenant, maildrop).ok_or("maildrop")?,
            unique_id: UniqueId::new(unique_id).map_err(|_| "unique-id")?,
            body: BodyRef {
                storage: StorageId(storage),
                blob: BlobKey {
                    tenant,
                    number: u128::from_be_bytes(number),
                },
                octets: count(octets)?,
                header_octets: count(header_octets)?,
                crc64: crc64.cast_unsigned(),
                header_crc64: header_crc64.cast_unsigned(),
                has_dot_lines,
            },
            sha256: sha256.try_into().map_err(|_| "sha256")?,
            received: time(received)?,
            deleted: deleted.map(time).transpose()?,
        })
    }
}

/// The keeper's side of a [`MailIndex`](crate::MailIndex). Every call may be made while sessions, deliveries and the
/// collector go on.
#[async_trait]
pub trait Custody: Debug + Send + Sync {
    /// How much all maildrops hold, deleted messages left out: to tell how far a long work has come.
    async fn total(&self) -> Result<Usage, StoreError>;

    /// At most `limit` messages, of one maildrop or of all, whose id is larger than `after`, in the order of ids;
    /// deleted ones too. None at the end.
    async fn stored(
        &self,
        maildrop: Option<MaildropId>,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError>;

    /// Those of `blobs`, which a storage has, that nothing in the index names: no message, deleted or not, no
    /// reservation, and not the list of what is to be removed.
    async fn unnamed(&self, storage: StorageId, blobs: &[BlobKey]) -> Result<Vec<BlobKey>, StoreError>;

    /// Makes deleted messages visible again, at the place in the order and under the unique-id that they had; the
    /// maildrop's quota does not stop it. Answers how many: one that is not deleted, or whose octets are given up
    /// already, is left as it is.
    ///
    /// # Errors
    /// `NoSuchMaildrop`.
    async fn restore(&self, maildrop: MaildropId, messages: &[MessageId]) -> Result<usize, StoreError>;

    /// Since when nothing is condemned any more, on no frontend; `None` while the collector works.
    async fn collection_stopped(&self) -> Result<Option<SystemTime>, StoreError>;

    /// Stops, or lets go on, the condemning of blobs on all frontends: from the return of this on
    /// [`BlobLedger::condemned`](crate::BlobLedger::condemned) answers none, and deleted messages can be restored
    /// however old they are.
    async fn stop_collection(&self, is_stopped: bool) -> Result<(), StoreError>;

    /// Records that a message's octets are about to be written to another storage, and answers the key for them,
    /// which tells the same time of arrival. As [`MailIndex::reserve`](crate::MailIndex::reserve) for a delivery.
    async fn reserve_for(&self, message: &StoredMessage, storage: StorageId) -> Result<BlobKey, StoreError>;

    /// Makes the octets at `blob` of `storage` the message's, and gives up the old ones `keep` from now: sessions
    /// that have listed the message go on reading them. `false` if the message is not any more what `message` says,
    /// because it was moved or collected meanwhile: then nothing is changed.
    ///
    /// # Errors
    /// `NotFound` if the reservation is gone, because the move took longer than the grace time.
    async fn relocate(
        &self,
        message: &StoredMessage,
        storage: StorageId,
        blob: BlobKey,
        keep: Duration,
    ) -> Result<bool, StoreError>;
}
