//! The index: which messages exist, in which order, and their removal.

use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use restante_message::Measured;
use restante_session::{DeleteSet, Snapshot, SnapshotBuilder, SnapshotError};
use restante_types::{Fence, MaildropId, MessageId, MessageNumber, Octets, SessionId, TenantId, UniqueId};

use crate::{BlobKey, StorageId, StoreError};

/// Receipt for a durable UPDATE. The `+OK` of a QUIT that deletes cannot be written without one.
#[derive(Debug, PartialEq, Eq)]
pub struct Committed {
    n_deleted: usize,
}

impl Committed {
    /// Only for implementations of [`MailIndex::commit`] and [`MailIndex::outcome`], after the database said that
    /// the deletion is durable. `cargo xtask tidy` lists who calls it.
    pub const fn attest(n_deleted: usize) -> Self {
        Self { n_deleted }
    }

    /// How many messages were removed.
    pub const fn n_deleted(&self) -> usize {
        self.n_deleted
    }
}

impl restante_session::Removed for Committed {
    fn n_deleted(&self) -> usize {
        self.n_deleted
    }
}

/// Where the octets of a message are, and what they must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyRef {
    /// Which storage keeps them.
    pub storage: StorageId,
    /// Under which key.
    pub blob: BlobKey,
    /// Length of the whole message.
    pub octets: Octets,
    /// Length of the header section with the empty line that ends it.
    pub header_octets: Octets,
    /// CRC-64/NVME of the whole message.
    pub crc64: u64,
    /// CRC-64/NVME of the first `header_octets`.
    pub header_crc64: u64,
    /// Whether any line starts with a dot and must be stuffed.
    pub has_dot_lines: bool,
}

/// What [`MailIndex::snapshot`] answers: what the session numbers, and where each body lies.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The messages, as the pure session sees them.
    pub snapshot: Arc<Snapshot>,
    /// Their bodies, in the same order.
    pub bodies: Vec<BodyRef>,
    /// The maildrop's revision, where the index counts it.
    pub revision: Option<u64>,
}

/// What tells whether a listing that was read earlier is still the maildrop's.
#[derive(Clone, Copy, Debug)]
pub struct MaildropState {
    /// How much it holds.
    pub usage: Usage,
    /// How often its messages were changed otherwise than by a delivery: removed, restored, or moved elsewhere.
    pub revision: u64,
    /// Its last message. Its blob's key is random: it tells apart what came after a database was put back to an
    /// earlier time from what had come before.
    pub last: Option<(MessageId, BlobKey)>,
}

impl Listing {
    /// Whether a maildrop that stands so has exactly these messages.
    pub fn is_of(&self, state: &MaildropState) -> bool {
        self.revision == Some(state.revision) && self.usage() == state.usage && self.last() == state.last
    }

    /// Whether the last message of an earlier listing is in its place here too.
    pub fn goes_on(&self, known: &Self) -> bool {
        match known.bodies.len().checked_sub(1) {
            Some(last) => self.bodies.get(last) == known.bodies.last(),
            None => true,
        }
    }

    /// How much these messages are.
    pub fn usage(&self) -> Usage {
        Usage {
            messages: u64::try_from(self.bodies.len()).unwrap_or(u64::MAX),
            octets: self.snapshot.octets(),
        }
    }

    /// Memory that it takes.
    pub fn octets_in_memory(&self) -> usize {
        self.snapshot.octets_in_memory() + self.bodies.capacity() * size_of::<BodyRef>()
    }

    fn last(&self) -> Option<(MessageId, BlobKey)> {
        let number = MessageNumber::from_index(self.bodies.len().checked_sub(1)?)?;
        Some((self.snapshot.entry(number)?.id, self.body(number)?.blob))
    }

    /// Where the body of a message lies.
    pub fn body(&self, number: MessageNumber) -> Option<&BodyRef> {
        self.bodies.get(number.index())
    }
}

/// Room made in advance for a listing at most, whatever the counter says.
const MOST_IN_ADVANCE: u64 = 1 << 20;

/// Collects a [`Listing`] in POP3 order.
#[derive(Debug, Default)]
pub struct ListingBuilder {
    snapshot: SnapshotBuilder,
    bodies: Vec<BodyRef>,
    revision: Option<u64>,
}

impl ListingBuilder {
    /// An empty listing with room for `messages`.
    pub fn with_capacity(messages: usize) -> Self {
        Self {
            snapshot: SnapshotBuilder::with_capacity(messages),
            bodies: Vec::with_capacity(messages),
            revision: None,
        }
    }

    /// An empty listing of a maildrop that holds so much.
    pub fn of(usage: Usage, revision: u64) -> Self {
        let room = usize::try_from(usage.messages.min(MOST_IN_ADVANCE)).unwrap_or_default();
        Self {
            revision: Some(revision),
            ..Self::with_capacity(room)
        }
    }

    /// Goes on where an earlier listing ended, if only deliveries can have changed the maildrop since: with all of its
    /// messages but the last, and the key from which on messages are to be read. `None` if nothing can be kept.
    pub fn after(known: &Listing, state: &MaildropState) -> Option<(Self, MessageId)> {
        let only_grew =
            known.revision == Some(state.revision) && known.usage().messages <= state.usage.messages;
        let (last, _) = known.last().filter(|_| only_grew)?;
        let kept = known.bodies.len() - 1;
        let room = usize::try_from(state.usage.messages.min(MOST_IN_ADVANCE)).unwrap_or_default();
        let more = room.saturating_sub(kept);
        let mut bodies = Vec::with_capacity(kept + more);
        bodies.extend_from_slice(&known.bodies[..kept]);
        let builder = Self {
            snapshot: SnapshotBuilder::first_of(&known.snapshot, kept, more),
            bodies,
            revision: known.revision,
        };
        Some((builder, last))
    }

    /// Adds the next message.
    ///
    /// # Errors
    /// As [`SnapshotBuilder::push`].
    pub fn push(
        &mut self,
        id: MessageId,
        unique_id: &UniqueId,
        needs_utf8: bool,
        body: BodyRef,
    ) -> Result<(), SnapshotError> {
        self.snapshot.push(id, body.octets, unique_id, needs_utf8)?;
        self.bodies.push(body);
        Ok(())
    }

    /// The finished listing.
    pub fn finish(mut self) -> Listing {
        self.bodies.shrink_to_fit();
        Listing {
            snapshot: Arc::new(self.snapshot.finish()),
            bodies: self.bodies,
            revision: self.revision,
        }
    }
}

/// A message whose octets are stored, about to become visible.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The storage that has its octets.
    pub storage: StorageId,
    /// Their key, from [`MailIndex::reserve`].
    pub blob: BlobKey,
    /// What was measured when they were stored.
    pub measured: Measured,
    /// The unique-id to keep, for mail that moves here from another server; `None` makes a fresh one.
    pub unique_id: Option<UniqueId>,
    /// When it arrived.
    pub received: SystemTime,
    /// Whether it may be shown to clients in UTF-8 mode only (delivered with SMTPUTF8, 8-bit header).
    pub needs_utf8: bool,
    /// Whether it is looked for among those that came with this set and were received less than [`REPEAT_WINDOW`]
    /// before it, and remembered for those that follow.
    pub deduplicate: bool,
}

/// How long a message that came with [`NewMessage::deduplicate`] is remembered, whatever becomes of it.
pub const REPEAT_WINDOW: Duration = Duration::from_hours(24);

/// What became of a delivery. Either way the sender need not try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The message's unique-id; of a repeat, that of the message it repeats.
    pub unique_id: UniqueId,
    /// Nothing was added: the maildrop has taken a message with the same octets (SHA-256) already.
    pub is_repeat: bool,
}

/// How much a maildrop holds: deleted messages do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Messages.
    pub messages: u64,
    /// Their octets.
    pub octets: Octets,
}

/// How much a maildrop may hold. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Messages.
    pub messages: Option<u64>,
    /// Their octets.
    pub octets: Option<Octets>,
}

impl Quota {
    /// Whether a maildrop that holds `usage` may take a message of `octets`.
    pub fn admits(&self, usage: Usage, octets: Octets) -> bool {
        self.messages.is_none_or(|limit| usage.messages < limit)
            && self.octets.is_none_or(|limit| usage.octets + octets <= limit)
    }
}

/// The truth about which messages exist. Decides nothing about octets.
///
/// An implementation must be safe against every other frontend that uses the same index at the same time.
#[async_trait]
pub trait MailIndex: Display + Debug + Send + Sync {
    /// The messages of the maildrop in POP3 order.
    ///
    /// Never short: one row that cannot be read fails the call, because a client that sees fewer messages than
    /// exist forgets what it has fetched.
    ///
    /// # Errors
    /// `Fenced` if a later session holds the maildrop.
    async fn snapshot(&self, fence: &Fence) -> Result<Listing, StoreError>;

    /// The same for somebody who has an earlier listing of this maildrop: what cannot have changed since is not read
    /// again. Answers `known` itself if nothing has.
    ///
    /// # Errors
    /// As [`MailIndex::snapshot`].
    async fn refresh(&self, fence: &Fence, known: &Arc<Listing>) -> Result<Arc<Listing>, StoreError> {
        let _ = known;
        self.snapshot(fence).await.map(Arc::new)
    }

    /// Removes exactly the messages of `deletes`, or nothing, and returns once that is durable.
    ///
    /// The fence's token is compared in the same atomic step. Idempotent per session: a second call for a session
    /// that has committed answers with the first receipt and removes nothing. A message of the set that is gone
    /// already counts as removed by whoever removed it. The session's lock may or may not be released.
    ///
    /// # Errors
    /// `Fenced`: a later session holds the maildrop, nothing was removed. `Timeout` or `Unknown`: ask
    /// [`MailIndex::outcome`]. Any other kind: nothing was removed.
    ///
    /// # Cancel safety
    /// A cancelled call has an unknown outcome.
    async fn commit(
        &self,
        fence: &Fence,
        session: SessionId,
        deletes: &DeleteSet,
    ) -> Result<Committed, StoreError>;

    /// What became of a commit whose answer was lost, decided once and for all before this returns: after
    /// `Ok(None)` nothing was removed and no commit under `fence` can succeed any more.
    ///
    /// # Errors
    /// The outcome stays unknown.
    async fn outcome(&self, fence: &Fence, session: SessionId) -> Result<Option<Committed>, StoreError>;

    /// Records, durably, that a blob is about to be written for this maildrop, and answers its key.
    ///
    /// The collector removes the blob unless [`MailIndex::deliver`] makes a message of it within the grace time.
    ///
    /// # Errors
    /// `NoSuchMaildrop`.
    async fn reserve(&self, maildrop: MaildropId, storage: StorageId) -> Result<BlobKey, StoreError>;

    /// Makes a message visible to later sessions; durable when this returns. Never waits for a session's lock.
    ///
    /// A repeat (see [`NewMessage::deduplicate`]) adds nothing, needs no room, and leaves its reservation to the
    /// collector. Of two that race, one is the repeat.
    ///
    /// # Errors
    /// `OverQuota`; `Conflict` if the unique-id was ever used in this maildrop; `NotFound` if the reservation is
    /// gone, because delivery took longer than the grace time; `NoSuchMaildrop`.
    async fn deliver(&self, maildrop: MaildropId, message: NewMessage) -> Result<Delivered, StoreError>;

    /// How much the maildrop holds and may hold, without reading its messages.
    ///
    /// # Errors
    /// `NoSuchMaildrop`.
    async fn usage(&self, maildrop: MaildropId) -> Result<(Usage, Quota), StoreError>;
}

/// A blob that no message needs any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condemned {
    /// Which storage keeps it.
    pub storage: StorageId,
    /// Its key.
    pub blob: BlobKey,
}

/// The one-way road of blobs out of storage: what is listed here is never a message again.
#[async_trait]
pub trait BlobLedger: Display + Debug + Send + Sync {
    /// At most `limit` blobs whose message was deleted longer ago than its tenant's retention, or whose
    /// reservation is older than the grace time, as of `now`. From then on none of them can become a message.
    async fn condemned(&self, now: SystemTime, limit: usize) -> Result<Vec<Condemned>, StoreError>;

    /// Removes at most `limit` messages of a tenant that were received before a time, as UPDATE would: they become
    /// tombstones until the retention ends. Answers how many. For a tenant whose messages expire (EXPIRE, RFC 2449
    /// section 6.7). A session that has them in its snapshot goes on reading them.
    async fn expire(&self, tenant: TenantId, before: SystemTime, limit: usize) -> Result<usize, StoreError>;

    /// Forgets blobs that were removed from their storage.
    async fn collected(&self, blobs: &[Condemned]) -> Result<(), StoreError>;
}
