//! Locks of one process: a table in memory.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use restante_types::{Fence, MaildropId, SessionId};

use crate::{LockError, LockManager};

/// How many openings one incarnation of the process can count.
const TOKENS_PER_INCARNATION: u64 = 1 << 40;

/// Who holds which maildrop, and the counter of tokens.
///
/// Shared by the lock manager, which opens and releases, and the index of the same process, which asks in the
/// step that deletes ([`LockTable::begin_commit`]). Tokens carry the incarnation of the process in their high bits,
/// so they grow over restarts without a write per login.
#[derive(Debug)]
pub struct LockTable {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    last_token: u64,
    held: HashMap<MaildropId, Holder>,
}

#[derive(Debug)]
struct Holder {
    token: NonZeroU64,
    session: SessionId,
    committing: bool,
}

impl LockTable {
    /// A table for one incarnation: a number that is larger at every start of the process, counted durably.
    ///
    /// # Errors
    /// `incarnation` is past the largest token, about 8 million starts.
    pub fn new(incarnation: u64) -> Result<Self, LockError> {
        let first = incarnation
            .checked_mul(TOKENS_PER_INCARNATION)
            .filter(|first| i64::try_from(*first).is_ok())
            .ok_or_else(|| LockError::Unavailable("all fencing tokens are used up".into()))?;
        Ok(Self {
            inner: Mutex::new(Inner {
                last_token: first,
                held: HashMap::new(),
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held leaves a table that is still whole: each change is one assignment.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, maildrop: MaildropId, session: SessionId) -> Result<Fence, LockError> {
        let mut inner = self.lock();
        if inner.held.contains_key(&maildrop) {
            return Err(LockError::InUse);
        }
        inner.last_token += 1;
        let token = NonZeroU64::new(inner.last_token).expect("counts up from zero");
        inner.held.insert(
            maildrop,
            Holder {
                token,
                session,
                committing: false,
            },
        );
        Ok(Fence { maildrop, token })
    }

    fn release(&self, fence: &Fence) {
        let mut inner = self.lock();
        if inner
            .held
            .get(&fence.maildrop)
            .is_some_and(|holder| holder.token == fence.token)
        {
            inner.held.remove(&fence.maildrop);
        }
    }

    fn supersede(&self, maildrop: MaildropId) -> Result<bool, LockError> {
        let mut inner = self.lock();
        if inner.held.get(&maildrop).is_some_and(|holder| holder.committing) {
            return Err(LockError::InUse);
        }
        Ok(inner.held.remove(&maildrop).is_some())
    }

    /// Whether this fence still holds its maildrop.
    pub fn holds(&self, fence: &Fence) -> bool {
        self.lock()
            .held
            .get(&fence.maildrop)
            .is_some_and(|holder| holder.token == fence.token)
    }

    /// The session that holds a maildrop.
    pub fn holder(&self, maildrop: MaildropId) -> Option<SessionId> {
        self.lock().held.get(&maildrop).map(|holder| holder.session)
    }

    /// Pins the maildrop to this fence while its deletions are written: nobody can open it in between. `None` if
    /// a later session holds it or nobody does.
    pub fn begin_commit(self: &Arc<Self>, fence: &Fence) -> Option<CommitPin> {
        let mut inner = self.lock();
        let holder = inner
            .held
            .get_mut(&fence.maildrop)
            .filter(|holder| holder.token == fence.token)?;
        holder.committing = true;
        Some(CommitPin {
            table: Arc::clone(self),
            fence: *fence,
        })
    }

    /// Ends a fence for good: no commit under it begins any more, and its maildrop is free.
    ///
    /// # Errors
    /// [`LockError::InUse`] while such a commit is being written.
    pub fn end(&self, fence: &Fence) -> Result<(), LockError> {
        let mut inner = self.lock();
        match inner.held.get(&fence.maildrop) {
            Some(holder) if holder.token == fence.token && holder.committing => Err(LockError::InUse),
            Some(holder) if holder.token == fence.token => {
                inner.held.remove(&fence.maildrop);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Keeps a maildrop pinned to its fence until dropped.
#[derive(Debug)]
pub struct CommitPin {
    table: Arc<LockTable>,
    fence: Fence,
}

impl Drop for CommitPin {
    fn drop(&mut self) {
        let mut inner = self.table.lock();
        if let Some(holder) = inner
            .held
            .get_mut(&self.fence.maildrop)
            .filter(|h| h.token == self.fence.token)
        {
            holder.committing = false;
        }
    }
}

/// The lock of a single process. Complete: what one process can promise, it promises.
#[derive(Clone, Debug)]
pub struct MemoryLockManager {
    table: Arc<LockTable>,
}

impl MemoryLockManager {
    /// Locks in `table`, which the index of this process shares.
    pub fn new(table: Arc<LockTable>) -> Self {
        Self { table }
    }
}

impl fmt::Display for MemoryLockManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

#[async_trait]
impl LockManager for MemoryLockManager {
    async fn open(&self, maildrop: MaildropId, session: SessionId) -> Result<Fence, LockError> {
        self.table.open(maildrop, session)
    }

    async fn probe(&self, fences: &[Fence]) -> Result<Vec<Fence>, LockError> {
        Ok(fences
            .iter()
            .filter(|fence| !self.table.holds(fence))
            .copied()
            .collect())
    }

    async fn release(&self, fence: &Fence) -> Result<(), LockError> {
        self.table.release(fence);
        Ok(())
    }

    async fn supersede(&self, maildrop: MaildropId) -> Result<bool, LockError> {
        self.table.supersede(maildrop)
    }

    async fn heartbeat(&self) -> Result<(), LockError> {
        Ok(())
    }
}
