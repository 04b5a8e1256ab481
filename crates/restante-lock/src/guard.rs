//! A held lock that cannot be forgotten.

use std::sync::Arc;
use std::time::Duration;

use restante_types::{Fence, MaildropId, SessionId};
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use crate::{LockError, LockManager};

/// How long a lock manager may take to answer. A session must not hang on it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first and the longest pause between attempts to give a maildrop back. As long as this frontend lives nobody else
/// may take it, so it has to be given back however long the lock manager is away.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// By then its longest time is over and anybody may take it.
const LONGEST: Duration = Duration::from_hours(3);
/// How long after it was given back an opening may still arrive that was on its way.
const AFTERTHOUGHT: Duration = Duration::from_secs(20);

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
/// or a cancelled task, is released in the background, and so is one that could not be released: until the lock manager
/// can be asked again.
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
            let fence = match manager.open(maildrop, session).await {
                Ok(fence) => fence,
                Err(error) => {
                    if matches!(error, LockError::Unknown(_)) {
                        tokio::spawn(abandon(manager, maildrop, session));
                    }
                    return Err(error);
                }
            };
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
    /// [`LockError::Unavailable`]: it is tried again in the background.
    ///
    /// # Cancel safety
    /// A cancelled call is made again in the background.
    pub async fn release(mut self) -> Result<(), LockError> {
        let result = timeout(PATIENCE, self.manager.release(&self.fence)).await;
        // Otherwise the drop of `self` tries again.
        self.released = matches!(result, Ok(Ok(())));
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
            until_done(fence.maildrop, || manager.release(&fence)).await;
        });
    }
}

/// Gives back what an opening may have taken whose answer was lost.
async fn abandon(manager: Arc<dyn LockManager>, maildrop: MaildropId, session: SessionId) {
    until_done(maildrop, || manager.abandon(maildrop, session)).await;
    sleep(AFTERTHOUGHT).await;
    until_done(maildrop, || manager.abandon(maildrop, session)).await;
}

async fn until_done<F>(maildrop: MaildropId, give_back: impl Fn() -> F)
where
    F: Future<Output = Result<(), LockError>>,
{
    let (mut pause, longest) = PAUSES;
    let until = Instant::now() + LONGEST;
    while let Err(error) = give_back().await {
        if Instant::now() > until {
            warn!(%maildrop, %error, "maildrop not released; it is free when its longest time is over");
            return;
        }
        if pause == PAUSES.0 {
            warn!(%maildrop, %error, "maildrop not released, trying again");
        }
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

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

    /// A manager that cannot be asked, or whose answers are lost, for the first calls.
    #[derive(Debug)]
    struct Troubled {
        inner: MemoryLockManager,
        n_troubles: AtomicUsize,
    }

    impl Troubled {
        fn new(n_troubles: usize) -> Arc<Self> {
            Arc::new(Self {
                inner: MemoryLockManager::new(Arc::new(LockTable::new(1).unwrap())),
                n_troubles: AtomicUsize::new(n_troubles),
            })
        }

        fn is_troubled(&self) -> bool {
            let less = |n: usize| n.checked_sub(1);
            self.n_troubles
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                .is_ok()
        }
    }

    impl std::fmt::Display for Troubled {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("troubled")
        }
    }

    #[async_trait::async_trait]
    impl LockManager for Troubled {
        async fn open(&self, maildrop: MaildropId, session: SessionId) -> Result<Fence, LockError> {
            let opened = self.inner.open(maildrop, session).await;
            if opened.is_ok() && self.is_troubled() {
                return Err(LockError::Unknown("lost".into()));
            }
            opened
        }

        async fn probe(&self, fences: &[Fence]) -> Result<Vec<Fence>, LockError> {
            self.inner.probe(fences).await
        }

        async fn release(&self, fence: &Fence) -> Result<(), LockError> {
            if self.is_troubled() {
                return Err(LockError::Unavailable("away".into()));
            }
            self.inner.release(fence).await
        }

        async fn abandon(&self, maildrop: MaildropId, _session: SessionId) -> Result<(), LockError> {
            if self.is_troubled() {
                return Err(LockError::Unavailable("away".into()));
            }
            self.inner.supersede(maildrop).await.map(|_| ())
        }

        async fn supersede(&self, maildrop: MaildropId) -> Result<bool, LockError> {
            self.inner.supersede(maildrop).await
        }

        async fn heartbeat(&self) -> Result<(), LockError> {
            self.inner.heartbeat().await
        }
    }

    async fn is_free_in_the_end(manager: Arc<Troubled>, maildrop: MaildropId) -> bool {
        let session = SessionId::from_octets([2; 16]);
        for _ in 0..100 {
            sleep(Duration::from_secs(1)).await;
            if manager.inner.open(maildrop, session).await.is_ok() {
                return true;
            }
        }
        false
    }

    #[tokio::test(start_paused = true)]
    async fn a_maildrop_is_given_back_however_long_the_manager_is_away() {
        let manager = Troubled::new(0);
        let maildrop = MaildropId::new(TenantId::new(1).unwrap(), 1).unwrap();
        let session = SessionId::from_octets([1; 16]);
        let lock = MaildropLock::open(Arc::clone(&manager) as _, maildrop, session)
            .await
            .unwrap();
        manager.n_troubles.store(7, Ordering::SeqCst);
        assert!(matches!(lock.release().await, Err(LockError::Unavailable(_))));
        assert!(is_free_in_the_end(manager, maildrop).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_unsure_opening_has_taken_is_given_back() {
        let manager = Troubled::new(4);
        let maildrop = MaildropId::new(TenantId::new(1).unwrap(), 1).unwrap();
        let session = SessionId::from_octets([1; 16]);
        let opened = MaildropLock::open(Arc::clone(&manager) as _, maildrop, session).await;
        assert!(matches!(opened, Err(LockError::Unknown(_))));
        assert!(is_free_in_the_end(manager, maildrop).await);
    }
}
