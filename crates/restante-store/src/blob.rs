//! Blobs: immutable octets under keys that the server made.

use std::fmt::{self, Debug, Display, Write as _};

use async_trait::async_trait;
use bytes::Bytes;
use restante_types::{Octets, TenantId};

use crate::{StoreError, StoreErrorKind};

/// Which of the configured storages keeps a blob. Recorded with every message, so that a tenant's choice can
/// change while older messages stay where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageId(pub i64);

/// Names a blob: the tenant and 128 bits that are never used twice. No client's string is ever part of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobKey {
    /// The tenant whose mail it is.
    pub tenant: TenantId,
    /// A ULID: 48 bits of time, 80 bits of chance.
    pub number: u128,
}

impl BlobKey {
    /// Room for every path: the tenant's number has at most 20 digits.
    const PATH_OCTETS: usize = 20 + 1 + 2 + 1 + 32;

    /// A key that no other call has made or will make.
    ///
    /// # Errors
    /// The operating system gave no random octets.
    pub fn fresh(tenant: TenantId, at: std::time::SystemTime) -> Result<Self, StoreError> {
        Ok(Self {
            tenant,
            number: crate::unique::fresh_ulid(at)?.0,
        })
    }

    /// When the key was made, to the millisecond: when the message came.
    pub fn made_at(&self) -> std::time::SystemTime {
        let millis = u64::try_from(self.number >> 80).unwrap_or(u64::MAX);
        std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(millis)
    }

    /// The path of an object: `<tenant>/<shard>/<key>`, the shard being the last octet of the key in hex.
    pub fn path(&self) -> String {
        let mut path = String::with_capacity(Self::PATH_OCTETS);
        let shard = self.number & 0xff;
        // Writing to a string does not fail.
        write!(path, "{}/{shard:02x}/{:032x}", self.tenant, self.number).ok();
        path
    }

    /// The reverse of [`BlobKey::path`]; `None` for every other text.
    pub fn from_path(path: &str) -> Option<Self> {
        let mut parts = path.split('/');
        let tenant = TenantId::new(parts.next()?.parse().ok()?)?;
        let number = u128::from_str_radix(parts.nth(1)?, 16).ok()?;
        Some(Self { tenant, number }).filter(|key| key.path() == path)
    }
}

impl Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:032x}", self.tenant, self.number)
    }
}

impl Debug for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobKey({self})")
    }
}

/// A part of a blob: `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OctetRange {
    /// The first octet.
    pub start: Octets,
    /// The octet after the last one.
    pub end: Octets,
}

impl OctetRange {
    /// The first `octets` of a blob.
    pub const fn first(octets: Octets) -> Self {
        Self {
            start: Octets::ZERO,
            end: octets,
        }
    }

    /// How many octets it spans.
    pub fn len(self) -> Octets {
        self.end.saturating_sub(self.start)
    }

    /// Whether it spans none.
    pub fn is_empty(self) -> bool {
        self.len() == Octets::ZERO
    }
}

/// Octets in order, a piece at a time.
#[async_trait]
pub trait BlobReader: Send {
    /// The next piece, never empty; `None` once everything promised has come.
    ///
    /// # Errors
    /// A blob that ends early is an error, never an end.
    ///
    /// # Cancel safety
    /// A cancelled call leaves the reader unusable; drop it.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError>;
}

/// Keeps immutable octets. Decides nothing about which messages exist.
///
/// `Display` names the store in logs, without secrets.
#[async_trait]
pub trait BlobStore: Display + Debug + Send + Sync {
    /// Stores exactly `octets` octets from `body` under `key`; they are durable when this returns.
    ///
    /// Atomic: nobody ever reads a part of it. A failed or cancelled put leaves nothing that `get` finds, or the
    /// whole blob; either way `delete` removes it.
    ///
    /// # Errors
    /// `Conflict` if the key is taken, the store being untouched; `Damaged` if `body` ends early or runs on past
    /// `octets`; whatever `body` fails with.
    async fn put(&self, key: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError>;

    /// Opens `range` of a blob. Every octet of it comes, or an error.
    ///
    /// # Errors
    /// `NotFound` if there is no such blob; `Damaged` if it is shorter than `range.end`.
    async fn get(&self, key: &BlobKey, range: OctetRange) -> Result<Box<dyn BlobReader>, StoreError>;

    /// Removes a blob, durably. Removing one that is not there is success.
    ///
    /// # Errors
    /// When it cannot be known that the blob is gone.
    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError>;

    /// At most `limit` blobs that come after `after` in an order of the store's own; none at the end. For audits: what
    /// is put or removed meanwhile may be listed or not, and so may what a put that came to nothing has left.
    ///
    /// # Errors
    /// `Unsupported` if the storage cannot say what it holds.
    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        let _ = (after, limit);
        Err(StoreError::new(StoreErrorKind::Unsupported, "list", "blobs"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_back_and_no_other_text_is() {
        let key = BlobKey {
            tenant: TenantId::new(7).unwrap(),
            number: 0x0199_8F2D << 96 | 0xA7,
        };
        assert_eq!(BlobKey::from_path(&key.path()), Some(key));
        let path = key.path();
        for other in [
            "",
            "7",
            "7/a7",
            "probe/x",
            "0/a7/00",
            &path.to_uppercase(),
            &format!("0{path}"),
            &format!("{path}/"),
            &path.replace("/a7/", "/a8/"),
            &format!("/{path}"),
            &format!("+{path}"),
        ] {
            assert_eq!(BlobKey::from_path(other), None, "{other}");
        }
    }
}
