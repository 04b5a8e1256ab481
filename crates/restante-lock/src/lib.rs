//! One session per maildrop over all frontends, with fencing tokens.
//!
//! Safety is the token, compared by storage in the step that deletes; everything else here only decides who may
//! open next. Start at [`LockManager`].

mod desk;
mod guard;
mod manager;
mod memory;

pub use desk::{HeldMaildrop, LockDesk};
pub use guard::{MaildropLock, fresh_session_id};
pub use manager::{LockError, LockManager};
pub use memory::{CommitPin, LockTable, MemoryLockManager};
