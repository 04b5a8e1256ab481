//! Proofs that the session demands and cannot make.

use restante_types::AccountId;

/// The types of the proofs. The floors above decide what they are and who can make them; the session only hands
/// them on or consumes them.
pub trait Receipts: std::fmt::Debug {
    /// Proof that credentials were verified; made by the authenticator alone.
    type Authenticated: Access + std::fmt::Debug;
    /// Proof that a body came complete and undamaged; made by the reader that checked it.
    type Verified: std::fmt::Debug;
    /// Proof that the deletions are durable; made by the index alone.
    type Committed: Removed + std::fmt::Debug;
}

/// What a verified client may open.
pub trait Access {
    /// Whose maildrop it is.
    fn account(&self) -> AccountId;

    /// The server's own proof that it knows the credentials, where the mechanism has one (SCRAM, RFC 5802 section 3).
    fn server_signature(&self) -> Option<&[u8]> {
        None
    }
}

/// What a durable UPDATE did.
pub trait Removed {
    /// How many messages were removed.
    fn n_deleted(&self) -> usize;
}

impl<T: Access> Access for Box<T> {
    fn account(&self) -> AccountId {
        (**self).account()
    }

    fn server_signature(&self) -> Option<&[u8]> {
        (**self).server_signature()
    }
}
