//! What proves that a session still holds its maildrop.

use std::fmt;
use std::num::NonZeroU64;

use crate::MaildropId;

/// The fencing token of one opening of one maildrop.
///
/// A later opening of the same maildrop has a larger token. Storage compares the token in the very step that
/// removes messages, so a session that lost its lock cannot delete, whatever its own clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The maildrop that was opened.
    pub maildrop: MaildropId,
    /// Grows with every opening; never reused.
    pub token: NonZeroU64,
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.maildrop, self.token)
    }
}

/// Names one session over all frontends and all time: 128 random bits, shown as 32 hex digits.
///
/// It keys the log of committed deletions, which makes UPDATE idempotent.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// Takes 16 random octets.
    pub const fn from_octets(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The 16 octets, as a database keeps them.
    pub const fn octets(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}
