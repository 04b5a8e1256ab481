//! Which passwords were right, and which were wrong, a short while ago: as keyed hashes, in memory only.
//!
//! A right one spares the hash, not the look-up: the key contains the version of the credential, which is read at
//! every login. Start at [`VerifyCache::check`] and [`VerifyCache::is_repeated_failure`].

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use restante_types::{AccountId, Secret};
use sha2::Sha256;
use tokio::time::Instant;
use tracing::error;

use crate::NameKey;
use crate::password::HashError;

/// How long a password that was right is known as such.
const RIGHT_FOR: Duration = Duration::from_mins(10);
/// How long a password that was wrong is known as such.
const WRONG_FOR: Duration = Duration::from_mins(1);
/// Wrong passwords remembered per account.
const WRONG_PER_ACCOUNT: usize = 8;
/// Right passwords, and accounts with wrong ones, that are remembered; the least recently used goes.
const ENTRIES: u64 = 100_000;

/// A password of an account, at one version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CachedCredential {
    /// Whose it is.
    pub(crate) account: AccountId,
    /// Changes with the password.
    pub(crate) version: i64,
}

/// A keyed hash of a password that was tried for a name. Means nothing outside this process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TriedMac([u8; 16]);

#[derive(Clone, Copy)]
struct Right {
    account: AccountId,
    expires: Instant,
}

/// The last wrong passwords of one account, the oldest replaced first.
#[derive(Clone, Copy, Default)]
struct Wrong {
    tried: [Option<(TriedMac, Instant)>; WRONG_PER_ACCOUNT],
    next: usize,
}

/// What hashing has shown lately.
pub(crate) struct VerifyCache {
    key: Secret<[u8; 32]>,
    right: Cache<[u8; 32], Right>,
    wrong: Cache<NameKey, Wrong>,
    mixed_up: AtomicU64,
}

impl VerifyCache {
    /// An empty cache under a random key.
    ///
    /// # Errors
    /// [`HashError::Failed`]: the system gives no random octets.
    pub(crate) fn new() -> Result<Self, HashError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|_| HashError::Failed)?;
        // Least recently used, not least frequently: a flood of names must not keep out what was just verified.
        Ok(Self {
            key: Secret::new(key),
            right: Cache::builder()
                .max_capacity(ENTRIES)
                .time_to_live(RIGHT_FOR)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            wrong: Cache::builder()
                .max_capacity(ENTRIES)
                .time_to_live(WRONG_FOR)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            mixed_up: AtomicU64::new(0),
        })
    }

    /// Whether this password was right for this credential within the last ten minutes.
    pub(crate) fn check(&self, credential: &CachedCredential, secret: &[u8]) -> bool {
        let key = self.right_key(credential, secret);
        let Some(right) = self.right.get(&key) else {
            return false;
        };
        if right.account != credential.account {
            // Cannot be unless code or memory is broken. Nobody gets in by it.
            self.right.invalidate(&key);
            let count = self.mixed_up.fetch_add(1, Ordering::Relaxed) + 1;
            error!(account = %credential.account, count, "the verify cache answered for another account");
            return false;
        }
        Instant::now() < right.expires
    }

    /// Takes note that this password is right.
    pub(crate) fn insert(&self, credential: &CachedCredential, secret: &[u8]) {
        let right = Right {
            account: credential.account,
            expires: Instant::now() + RIGHT_FOR,
        };
        self.right.insert(self.right_key(credential, secret), right);
    }

    /// By what a password tried for a name is remembered, should it be wrong.
    pub(crate) fn mac(&self, name: NameKey, secret: &[u8]) -> TriedMac {
        let digest = self.digest(b"wrong", &[&name.0], secret);
        let mut mac = [0; 16];
        mac.copy_from_slice(&digest[..16]);
        TriedMac(mac)
    }

    /// Whether this password was wrong for this name within the last minute. Such a one is no new guess: it costs no
    /// hash and no penalty.
    pub(crate) fn is_repeated_failure(&self, name: NameKey, mac: TriedMac) -> bool {
        let now = Instant::now();
        let wrong = self.wrong.get(&name).unwrap_or_default();
        wrong
            .tried
            .iter()
            .flatten()
            .any(|(tried, expires)| *tried == mac && now < *expires)
    }

    /// Takes note that this password is wrong.
    pub(crate) fn note_failure(&self, name: NameKey, mac: TriedMac) {
        let expires = Instant::now() + WRONG_FOR;
        self.wrong.entry(name).and_upsert_with(|known| {
            let mut wrong = known.map_or_else(Wrong::default, moka::Entry::into_value);
            wrong.tried[wrong.next] = Some((mac, expires));
            wrong.next = (wrong.next + 1) % WRONG_PER_ACCOUNT;
            wrong
        });
    }

    fn right_key(&self, credential: &CachedCredential, secret: &[u8]) -> [u8; 32] {
        let account = credential.account;
        let parts = [account.tenant().get(), account.number(), credential.version].map(i64::to_be_bytes);
        self.digest(b"right", &[&parts[0], &parts[1], &parts[2]], secret)
    }

    /// Of every part its length goes before it, so that no two different lists of parts are hashed alike.
    fn digest(&self, purpose: &[u8], parts: &[&[u8]], secret: &[u8]) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.key.expose()).expect("HMAC takes keys of every length");
        for part in [purpose].iter().chain(parts).chain([&secret]) {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            mac.update(&length.to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for VerifyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyCache")
            .field("right", &self.right.entry_count())
            .field("wrong", &self.wrong.entry_count())
            .finish_non_exhaustive()
    }
}
