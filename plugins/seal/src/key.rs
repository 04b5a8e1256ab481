//! A key that seals the keys of blobs.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::restante::storage::types::Error;
use crate::secret::SECRET;

/// Octets of a key's id.
pub const ID: usize = 8;
/// Octets of the key of a blob.
pub const DATA_KEY: usize = 32;
/// Octets of the nonce that a data key is sealed with: so many that random ones never meet.
pub const NONCE: usize = 24;
/// Octets that sealing adds.
pub const TAG: usize = 16;

pub struct Key {
    /// Tells keys apart, and tells nobody the key.
    pub id: [u8; ID],
    cipher: XChaCha20Poly1305,
}

impl Key {
    pub fn new(secret: &[u8; SECRET]) -> Self {
        let hash: [u8; 32] = Sha256::new()
            .chain_update("restante seal key id")
            .chain_update(secret)
            .finalize()
            .into();
        let mut id = [0; ID];
        id.copy_from_slice(&hash[..ID]);
        Self {
            id,
            cipher: XChaCha20Poly1305::new(secret.into()),
        }
    }

    /// Seals a data key, bound to `bound`.
    pub fn wrap(&self, nonce: &[u8; NONCE], data_key: &[u8], bound: &[u8]) -> Result<Vec<u8>, Error> {
        let payload = Payload {
            msg: data_key,
            aad: bound,
        };
        self.cipher
            .encrypt(nonce.into(), payload)
            .map_err(|_| Error::Invalid("the data key cannot be sealed".to_owned()))
    }

    /// Opens what `wrap` sealed, if it is that.
    pub fn unwrap(&self, nonce: &[u8; NONCE], wrapped: &[u8], bound: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let payload = Payload {
            msg: wrapped,
            aad: bound,
        };
        self.cipher
            .decrypt(nonce.into(), payload)
            .ok()
            .map(Zeroizing::new)
    }
}
