//! What a lock promises.

use std::fmt::{Debug, Display};

use async_trait::async_trait;
use restante_types::{Fence, MaildropId, SessionId};

/// Why a maildrop could not be opened or kept.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another live session holds the maildrop.
    #[error("the maildrop is held by another session")]
    InUse,
    /// A later session holds the maildrop now.
    #[error("a later session holds the maildrop")]
    Superseded,
    /// It cannot be known who holds it. Nothing was opened.
    #[error("the lock manager cannot be asked: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer to an opening was lost: the session may hold the maildrop or not.
    #[error("the lock manager's answer was lost: {0}")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Grants maildrops to sessions, one at a time.
#[async_trait]
pub trait LockManager: Display + Debug + Send + Sync {
    /// Opens the maildrop for `session`. The token is larger than every token granted for it before, also before
    /// a restart.
    ///
    /// # Errors
    /// [`LockError::InUse`] while a live session holds it; [`LockError::Unknown`]: to be followed by
    /// [`LockManager::abandon`].
    ///
    /// # Cancel safety
    /// A cancelled call may have opened the maildrop: [`MaildropLock::open`](crate::MaildropLock::open) sees to it
    /// that it is released.
    async fn open(&self, maildrop: MaildropId, session: SessionId) -> Result<Fence, LockError>;

    /// Which of `fences` have been superseded.
    ///
    /// # Errors
    /// [`LockError::Unavailable`].
    async fn probe(&self, fences: &[Fence]) -> Result<Vec<Fence>, LockError>;

    /// Gives the maildrop back. Does nothing if a later session holds it or nobody does.
    ///
    /// # Errors
    /// [`LockError::Unavailable`]: the maildrop is free once this frontend's lease ends.
    async fn release(&self, fence: &Fence) -> Result<(), LockError>;

    /// Gives the maildrop back if it was opened for `session`, whose opening ended with [`LockError::Unknown`]. An
    /// opening that is still on its way to the database may come after this.
    ///
    /// # Errors
    /// [`LockError::Unavailable`]: it is to be tried again.
    async fn abandon(&self, maildrop: MaildropId, session: SessionId) -> Result<(), LockError> {
        // For those whose answers are never lost.
        let _ = (maildrop, session);
        Ok(())
    }

    /// Frees the maildrop although its session may live; that session can delete nothing any more. For operators.
    /// `false` if nobody held it.
    ///
    /// # Errors
    /// [`LockError::Unavailable`]; [`LockError::InUse`] while the session's deletions are being written.
    async fn supersede(&self, maildrop: MaildropId) -> Result<bool, LockError>;

    /// Tells the other frontends that this one lives. Costs the same however many sessions there are.
    ///
    /// # Errors
    /// [`LockError::Unavailable`].
    async fn heartbeat(&self) -> Result<(), LockError>;
}
