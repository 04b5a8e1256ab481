//! A held lock that cannot be forgotten.

use std::sync::Arc;
use std::time::Duration;

use restante_types::{Fence, MaildropId, SessionId};
use tokio::time::timeout;
use tracing::warn;

use crate::{LockError, LockManager};

/// How long a lock manager may take to answer. A session must not hang on it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A name for a session that no other session has; `None` if the system gives no random octets.
pub fn fresh_session_id() -> Option<SessionId> {
    let mut octets = [0; 16];
    getrandom::fill(&mut octets)
        .ok()
        .map(|()| SessionId::from_octets(octets))
}

/// A maildrop held by a session of this process.
///
/// [`MaildropLock::release`] gives it back and waits until it is free. A lock that is dropped instead, by a panic
/// or a cancelled task, is released in the background.
#[derive(Debug)]
pub struct MaildropLock {
    manager: Arc<dyn LockManager>,
    fence: Fence,
    released: bool,
}

impl MaildropLock {
    /// Opens a maildrop.
    ///
    /// # Errors
    /// As [`LockManager::open`].
    ///
    /// # Cancel safety
    /// Safe: the opening runs to its end on a task of its own, and a lock that nobody waits for any more is
    /// released.
    pub async fn open(
        manager: Arc<dyn LockManager>,
        maildrop: MaildropId,
        session: SessionId,
    ) -> Result<Self, LockError> {
        let opening = tokio::spawn(async move {
            let fence = manager.open(maildrop, session).await?;
            Ok(Self {
                manager,
                fence,
                released: false,
            })
        });
        match timeout(PATIENCE, opening).await {
            Ok(opened) => opened.map_err(|error| LockError::Unavailable(error.into()))?,
            Err(late) => Err(LockError::Unavailable(late.into())),
        }
    }

    /// The fencing token to show to storage.
    pub const fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Gives the maildrop back; it is free when this returns.
    ///
    /// # Errors
    /// [`LockError::Unavailable`]: it becomes free when this frontend's lease ends.
    ///
    /// # Cancel safety
    /// A cancelled call is made again in the background.
    pub async fn release(mut self) -> Result<(), LockError> {
        let result = timeout(PATIENCE, self.manager.release(&self.fence)).await;
        // Late: the drop of `self` tries once more in the background.
        self.released = result.is_ok();
        result.unwrap_or_else(|late| Err(LockError::Unavailable(late.into())))
    }
}

impl Drop for MaildropLock {
    fn drop(&mut self) {
        if self.released {
            return;
        }
        let (manager, fence) = (Arc::clone(&self.manager), self.fence);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            warn!(%fence, "lock dropped outside the runtime; the maildrop is free when the lease ends");
            return;
        };
        runtime.spawn(async move {
            if let Err(error) = manager.release(&fence).await {
                warn!(%fence, %error, "maildrop not released; it is free when the lease ends");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use restante_types::TenantId;

    use super::*;
    use crate::{LockTable, MemoryLockManager};

    fn manager() -> Arc<dyn LockManager> {
        Arc::new(MemoryLockManager::new(Arc::new(LockTable::new(1).unwrap())))
    }

    #[tokio::test]
    async fn a_dropped_lock_frees_its_maildrop() {
        let manager = manager();
        let maildrop = MaildropId::new(TenantId::new(1).unwrap(), 1).unwrap();
        let session = SessionId::from_octets([1; 16]);
        let lock = MaildropLock::open(Arc::clone(&manager), maildrop, session)
            .await
            .unwrap();
        let second = MaildropLock::open(Arc::clone(&manager), maildrop, session).await;
        assert!(matches!(second, Err(LockError::InUse)));
        drop(lock);
        tokio::task::yield_now().await;
        MaildropLock::open(manager, maildrop, session)
            .await
            .unwrap()
            .release()
            .await
            .unwrap();
    }
}
