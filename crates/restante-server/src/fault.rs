//! From a trouble below to what a client may know of it.

use restante_auth::Verdict;
use restante_lock::LockError;
use restante_session::Refusal;
use restante_store::{StoreError, StoreErrorKind};

use crate::ports::Proofs;

/// A login's verdict, as the session takes it.
pub(crate) fn verdict(
    verdict: Verdict,
) -> Result<<Proofs as restante_session::Receipts>::Authenticated, Refusal> {
    match verdict {
        Verdict::Granted(authenticated) => Ok(authenticated),
        Verdict::Refused => Err(Refusal::Credentials),
        Verdict::Busy => Err(Refusal::TooManyAttempts),
        Verdict::Unavailable => Err(Refusal::Unavailable),
    }
}

/// Why a SCRAM exchange cannot go on. Nothing was evaluated.
pub(crate) const fn no_salt(verdict: &Verdict) -> Refusal {
    match verdict {
        Verdict::Busy => Refusal::TooManyAttempts,
        _ => Refusal::Unavailable,
    }
}

/// Why a maildrop cannot be opened.
pub(crate) const fn open(error: &LockError) -> Refusal {
    match error {
        LockError::InUse | LockError::Superseded => Refusal::InUse,
        LockError::Unavailable(_) | LockError::Unknown(_) => Refusal::Unavailable,
    }
}

/// Why a body cannot be had: not before an operator has mended something, or not now.
pub(crate) const fn body(error: &StoreError) -> Refusal {
    match error.kind {
        StoreErrorKind::NotFound | StoreErrorKind::Denied | StoreErrorKind::Invalid => Refusal::BodyMissing,
        StoreErrorKind::Damaged => Refusal::BodyDamaged,
        _ => Refusal::BodyUnavailable,
    }
}
