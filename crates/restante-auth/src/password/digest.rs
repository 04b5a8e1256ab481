//! `{SHA256}` and its kin, the plain digest of a password; `{SSHA256}` and its kin, the digest of password and salt.

use std::marker::PhantomData;

use sha2::Digest;
use subtle::ConstantTimeEq;

use super::HashError;
use super::schemes::{Parsed, Stored};

const MAX_SALT_OCTETS: usize = 64;

struct DigestHash<D> {
    expected: Vec<u8>,
    /// Empty where the scheme has none.
    salt: Vec<u8>,
    digest: PhantomData<D>,
}

pub(super) fn parse<D: Digest + 'static>(octets: &[u8]) -> Parsed {
    split::<D>(octets, 0)
}

pub(super) fn parse_salted<D: Digest + 'static>(octets: &[u8]) -> Parsed {
    // What follows the digest is the salt. Without one it is some other scheme's.
    match octets.len().checked_sub(<D as Digest>::output_size()) {
        Some(salt_octets @ 1..=MAX_SALT_OCTETS) => split::<D>(octets, salt_octets),
        _ => Err(HashError::Malformed),
    }
}

fn split<D: Digest + 'static>(octets: &[u8], salt_octets: usize) -> Parsed {
    match octets.split_at_checked(<D as Digest>::output_size()) {
        Some((expected, salt)) if salt.len() == salt_octets => Ok(Box::new(DigestHash::<D> {
            expected: expected.to_vec(),
            salt: salt.to_vec(),
            digest: PhantomData,
        })),
        _ => Err(HashError::Malformed),
    }
}

impl<D: Digest> Stored for DigestHash<D> {
    fn matches(&self, raw: &[u8]) -> Result<bool, HashError> {
        let computed = D::new().chain_update(raw).chain_update(&self.salt).finalize();
        Ok(computed.as_slice().ct_eq(&self.expected).into())
    }
}
