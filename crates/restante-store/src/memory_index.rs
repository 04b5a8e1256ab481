//! The index in memory. Complete: quota, tombstones, reservations, the log of updates, fences; but forgotten when
//! the process ends. Start at [`MemoryMailIndex`].

mod custody;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use restante_lock::LockTable;
use restante_session::DeleteSet;
use restante_types::{Clock, Fence, MaildropId, MessageId, SessionId, TenantId, UniqueId};

use crate::{
    BlobKey, BlobLedger, BodyRef, Committed, Condemned, Delivered, Listing, ListingBuilder, MailIndex,
    NewMessage, Quota, REPEAT_WINDOW, StorageId, StoreError, StoreErrorKind, Usage, fresh_unique_id,
};

const STORE: &str = "memory";

/// Keeps maildrops in memory: for tests, and for a demonstration that may forget.
///
/// One mutex guards everything, so each call is one atomic step; nobody waits while holding it.
pub struct MemoryMailIndex {
    table: Arc<LockTable>,
    clock: Arc<dyn Clock>,
    grace: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    maildrops: HashMap<MaildropId, Maildrop>,
    reservations: HashMap<BlobKey, Reservation>,
    tombstones: BTreeMap<MessageId, Tombstone>,
    /// Blobs that messages have left for another storage, and since when they may be removed.
    left: HashMap<BlobKey, (StorageId, SystemTime)>,
    updates: HashMap<SessionId, Update>,
    last_message: i64,
    stopped: Option<SystemTime>,
}

#[derive(Default)]
struct Maildrop {
    quota: Quota,
    retention: Duration,
    usage: Usage,
    messages: BTreeMap<MessageId, Message>,
    /// Of all messages that ever were here: no unique-id comes twice.
    unique_ids: HashSet<UniqueId>,
    /// By digest, the messages of which another may be a repeat.
    recent: HashMap<[u8; 32], Recent>,
}

struct Recent {
    unique_id: UniqueId,
    received: SystemTime,
}

struct Message {
    unique_id: UniqueId,
    needs_utf8: bool,
    received: SystemTime,
    sha256: [u8; 32],
    body: BodyRef,
}

struct Reservation {
    maildrop: MaildropId,
    storage: StorageId,
    since: SystemTime,
    condemned: bool,
}

struct Tombstone {
    maildrop: MaildropId,
    message: Message,
    deleted: SystemTime,
    condemned: bool,
}

struct Update {
    maildrop: MaildropId,
    n_deleted: usize,
}

impl MemoryMailIndex {
    /// How long a reservation is honoured unless [`MemoryMailIndex::with_grace`] says otherwise.
    pub const GRACE: Duration = Duration::from_hours(1);

    /// An index without maildrops. Fences are compared with `table`, which the lock manager shares.
    pub fn new(table: Arc<LockTable>, clock: Arc<dyn Clock>) -> Self {
        Self {
            table,
            clock,
            grace: Self::GRACE,
            state: Mutex::default(),
        }
    }

    /// Changes how long a reservation is honoured.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Adds an empty maildrop, or changes the quota and the retention of one that is there.
    pub fn add_maildrop(&self, maildrop: MaildropId, quota: Quota, retention: Duration) {
        let mut state = self.lock();
        let maildrop = state.maildrops.entry(maildrop).or_default();
        maildrop.quota = quota;
        maildrop.retention = retention;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Changes are made after everything that can fail, so a panic leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn maildrop(&mut self, id: MaildropId, op: &'static str) -> Result<&mut Maildrop, StoreError> {
        self.maildrops
            .get_mut(&id)
            .ok_or_else(|| StoreError::new(StoreErrorKind::NoSuchMaildrop, op, STORE))
    }

    fn receipt(&self, maildrop: MaildropId, session: SessionId) -> Option<Committed> {
        self.updates
            .get(&session)
            .filter(|update| update.maildrop == maildrop)
            .map(|update| Committed::attest(update.n_deleted))
    }

    /// Answers how many messages this call removed.
    fn remove(&mut self, id: MaildropId, deletes: &DeleteSet, now: SystemTime) -> Result<usize, StoreError> {
        let ids = deletes.iter().map(|entry| entry.id);
        self.bury(id, ids, now)
    }

    /// Makes tombstones of those messages that are still there; answers how many.
    fn bury(
        &mut self,
        id: MaildropId,
        messages: impl Iterator<Item = MessageId>,
        now: SystemTime,
    ) -> Result<usize, StoreError> {
        let maildrop = self.maildrop(id, "commit")?;
        let removed: Vec<(MessageId, Message)> = messages
            .filter_map(|id| Some((id, maildrop.messages.remove(&id)?)))
            .collect();
        for (_, message) in &removed {
            maildrop.usage.messages -= 1;
            maildrop.usage.octets = maildrop.usage.octets - message.body.octets;
        }
        let n_removed = removed.len();
        let tombstones = removed.into_iter().map(|(key, message)| {
            let tombstone = Tombstone {
                maildrop: id,
                message,
                deleted: now,
                condemned: false,
            };
            (key, tombstone)
        });
        self.tombstones.extend(tombstones);
        Ok(n_removed)
    }
}

impl Maildrop {
    fn listing(&self) -> Result<Listing, StoreError> {
        let mut listing = ListingBuilder::with_capacity(self.messages.len());
        for (id, message) in &self.messages {
            listing
                .push(*id, &message.unique_id, message.needs_utf8, message.body)
                .map_err(|error| {
                    StoreError::new(StoreErrorKind::Invalid, "snapshot", STORE).because(error)
                })?;
        }
        Ok(listing.finish())
    }

    /// The unique-id of the message that this one repeats.
    fn repeated(&self, message: &NewMessage) -> Option<UniqueId> {
        let first = self.recent.get(&message.measured.sha256)?;
        (message.deduplicate && !is_past(message.received, first.received, REPEAT_WINDOW))
            .then(|| first.unique_id.clone())
    }

    fn admit(&self, message: &NewMessage, unique_id: &UniqueId) -> Result<(), StoreError> {
        let refuse = |kind| Err(StoreError::new(kind, "deliver", STORE));
        if !self.quota.admits(self.usage, message.measured.octets) {
            return refuse(StoreErrorKind::OverQuota);
        }
        if self.unique_ids.contains(unique_id) {
            return refuse(StoreErrorKind::Conflict);
        }
        Ok(())
    }

    fn add(&mut self, id: MessageId, message: &NewMessage, unique_id: UniqueId) {
        self.usage.messages += 1;
        self.usage.octets += message.measured.octets;
        self.unique_ids.insert(unique_id.clone());
        if message.deduplicate {
            let first = Recent {
                unique_id: unique_id.clone(),
                received: message.received,
            };
            self.recent.insert(message.measured.sha256, first);
        }
        self.messages.insert(
            id,
            Message {
                unique_id,
                needs_utf8: message.needs_utf8,
                received: message.received,
                sha256: message.measured.sha256,
                body: BodyRef {
                    storage: message.storage,
                    blob: message.blob,
                    octets: message.measured.octets,
                    header_octets: message.measured.header_octets,
                    crc64: message.measured.crc64,
                    header_crc64: message.measured.header_crc64,
                    has_dot_lines: message.measured.has_dot_lines,
                },
            },
        );
    }
}

impl fmt::Display for MemoryMailIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

impl fmt::Debug for MemoryMailIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryMailIndex({} maildrops)", self.lock().maildrops.len())
    }
}

#[async_trait]
impl MailIndex for MemoryMailIndex {
    async fn snapshot(&self, fence: &Fence) -> Result<Listing, StoreError> {
        let mut state = self.lock();
        let maildrop = state.maildrop(fence.maildrop, "snapshot")?;
        if !self.table.holds(fence) {
            return Err(StoreError::new(StoreErrorKind::Fenced, "snapshot", STORE));
        }
        maildrop.listing()
    }

    async fn commit(
        &self,
        fence: &Fence,
        session: SessionId,
        deletes: &DeleteSet,
    ) -> Result<Committed, StoreError> {
        let mut state = self.lock();
        if let Some(first) = state.receipt(fence.maildrop, session) {
            return Ok(first);
        }
        let fenced = || StoreError::new(StoreErrorKind::Fenced, "commit", STORE);
        let _pin = self.table.begin_commit(fence).ok_or_else(fenced)?;
        let n_deleted = state.remove(fence.maildrop, deletes, self.clock.wall())?;
        let maildrop = fence.maildrop;
        state.updates.insert(session, Update { maildrop, n_deleted });
        Ok(Committed::attest(n_deleted))
    }

    async fn outcome(&self, fence: &Fence, session: SessionId) -> Result<Option<Committed>, StoreError> {
        let state = self.lock();
        // First nobody can commit any more, then the log is read: the answer stays true.
        self.table
            .end(fence)
            .map_err(|error| StoreError::new(StoreErrorKind::Unknown, "outcome", STORE).because(error))?;
        Ok(state.receipt(fence.maildrop, session))
    }

    async fn reserve(&self, maildrop: MaildropId, storage: StorageId) -> Result<BlobKey, StoreError> {
        let mut state = self.lock();
        state.maildrop(maildrop, "reserve")?;
        let since = self.clock.wall();
        let key = BlobKey::fresh(maildrop.tenant(), since)?;
        let reservation = Reservation {
            maildrop,
            storage,
            since,
            condemned: false,
        };
        state.reservations.insert(key, reservation);
        Ok(key)
    }

    async fn deliver(&self, maildrop: MaildropId, message: NewMessage) -> Result<Delivered, StoreError> {
        let unique_id = match &message.unique_id {
            Some(kept) => kept.clone(),
            None => fresh_unique_id(self.clock.wall())?,
        };
        let mut state = self.lock();
        let known = state.maildrop(maildrop, "deliver")?;
        if let Some(unique_id) = known.repeated(&message) {
            return Ok(Delivered {
                unique_id,
                is_repeat: true,
            });
        }
        known.admit(&message, &unique_id)?;
        let reserved = state.reservations.get(&message.blob).is_some_and(|reservation| {
            !reservation.condemned
                && reservation.maildrop == maildrop
                && reservation.storage == message.storage
        });
        if !reserved {
            return Err(StoreError::new(StoreErrorKind::NotFound, "deliver", STORE)
                .because("the blob is not reserved for this maildrop"));
        }
        let id = MessageId::new(state.last_message + 1)
            .ok_or_else(|| StoreError::new(StoreErrorKind::Full, "deliver", STORE))?;
        state.last_message = id.get();
        state.reservations.remove(&message.blob);
        state
            .maildrop(maildrop, "deliver")?
            .add(id, &message, unique_id.clone());
        Ok(Delivered {
            unique_id,
            is_repeat: false,
        })
    }

    async fn usage(&self, maildrop: MaildropId) -> Result<(Usage, Quota), StoreError> {
        let mut state = self.lock();
        let maildrop = state.maildrop(maildrop, "usage")?;
        Ok((maildrop.usage, maildrop.quota))
    }
}

/// Whether more than `wait` has gone by since `start`.
fn is_past(now: SystemTime, start: SystemTime, wait: Duration) -> bool {
    now.duration_since(start).is_ok_and(|age| age > wait)
}

#[async_trait]
impl BlobLedger for MemoryMailIndex {
    async fn condemned(&self, now: SystemTime, limit: usize) -> Result<Vec<Condemned>, StoreError> {
        let mut state = self.lock();
        if state.stopped.is_some() {
            return Ok(Vec::new());
        }
        let left = state.left.iter().filter(|(_, (_, since))| *since <= now);
        let left = left.map(|(blob, (storage, _))| Condemned {
            storage: *storage,
            blob: *blob,
        });
        let mut condemned: Vec<Condemned> = left.take(limit).collect();
        let State {
            maildrops,
            tombstones,
            ..
        } = &mut *state;
        for tombstone in tombstones.values_mut() {
            if condemned.len() == limit {
                break;
            }
            let kept = maildrops
                .get(&tombstone.maildrop)
                .map_or(Duration::ZERO, |it| it.retention);
            if tombstone.condemned || is_past(now, tombstone.deleted, kept) {
                tombstone.condemned = true;
                condemned.push(Condemned {
                    storage: tombstone.message.body.storage,
                    blob: tombstone.message.body.blob,
                });
            }
        }
        for (blob, reservation) in &mut state.reservations {
            if condemned.len() == limit {
                break;
            }
            if reservation.condemned || is_past(now, reservation.since, self.grace) {
                reservation.condemned = true;
                condemned.push(Condemned {
                    storage: reservation.storage,
                    blob: *blob,
                });
            }
        }
        Ok(condemned)
    }

    async fn expire(&self, tenant: TenantId, before: SystemTime, limit: usize) -> Result<usize, StoreError> {
        let (mut state, now) = (self.lock(), self.clock.wall());
        let due: Vec<(MaildropId, MessageId)> = state
            .maildrops
            .iter()
            .filter(|(id, _)| id.tenant() == tenant)
            .flat_map(|(id, maildrop)| {
                maildrop
                    .messages
                    .iter()
                    .map(move |(key, message)| (*id, *key, message))
            })
            .filter(|(_, _, message)| message.received < before)
            .map(|(id, key, _)| (id, key))
            .take(limit)
            .collect();
        for (id, message) in &due {
            state.bury(*id, std::iter::once(*message), now)?;
        }
        Ok(due.len())
    }

    async fn collected(&self, blobs: &[Condemned]) -> Result<(), StoreError> {
        let mut state = self.lock();
        for Condemned { blob, .. } in blobs {
            state.left.remove(blob);
            state
                .tombstones
                .retain(|_, tombstone| !tombstone.condemned || tombstone.message.body.blob != *blob);
            if state
                .reservations
                .get(blob)
                .is_some_and(|reservation| reservation.condemned)
            {
                state.reservations.remove(blob);
            }
        }
        Ok(())
    }
}
