//! Names that are never used twice.

use std::time::SystemTime;

use restante_types::UniqueId;
use ulid::Ulid;

use crate::{StoreError, StoreErrorKind};

pub(crate) fn fresh_ulid(at: SystemTime) -> Result<Ulid, StoreError> {
    let mut chance = [0; 16];
    getrandom::fill(&mut chance).map_err(|error| {
        StoreError::new(StoreErrorKind::Unavailable, "random", "system").because(error.to_string())
    })?;
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    Ok(Ulid::from_parts(
        u64::try_from(since).unwrap_or(u64::MAX),
        u128::from_ne_bytes(chance),
    ))
}

/// A fresh unique-id: a ULID, 26 characters.
///
/// Never made from the message, its headers or its place, so it stays when any of these change.
///
/// # Errors
/// The operating system gave no random octets.
pub fn fresh_unique_id(at: SystemTime) -> Result<UniqueId, StoreError> {
    Ok(UniqueId::new(fresh_ulid(at)?.to_string()).expect("a ULID is 26 letters and digits"))
}
