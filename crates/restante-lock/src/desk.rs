//! What an operator sees of the locks of all frontends.

use std::fmt::Debug;
use std::time::SystemTime;

use async_trait::async_trait;
use restante_types::{MaildropId, SessionId};

use crate::LockError;

/// A maildrop that a session holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldMaildrop {
    /// The maildrop.
    pub maildrop: MaildropId,
    /// Its account's name, where the lock manager can tell.
    pub name: Option<String>,
    /// Who holds it.
    pub session: SessionId,
    /// On which frontend.
    pub frontend: String,
    /// Since when.
    pub opened: SystemTime,
    /// Whether that frontend gives signs of life. If not, whoever opens the maildrop next gets it.
    pub is_alive: bool,
}

/// Shows which maildrops are held, and frees them. Beside [`LockManager`](crate::LockManager), whose tokens it moves
/// on: a session that loses its maildrop here can delete nothing any more.
#[async_trait]
pub trait LockDesk: Debug + Send + Sync {
    /// At most `limit` held maildrops after one, in the order of their numbers; only this one, if `maildrop` is given.
    ///
    /// # Errors
    /// [`LockError::Unavailable`].
    async fn held(
        &self,
        maildrop: Option<MaildropId>,
        after: Option<MaildropId>,
        limit: usize,
    ) -> Result<Vec<HeldMaildrop>, LockError>;

    /// Frees a maildrop of exactly this session; `false` if it does not hold it any more.
    ///
    /// # Errors
    /// [`LockError::Unavailable`].
    async fn free(&self, held: &HeldMaildrop) -> Result<bool, LockError>;
}
