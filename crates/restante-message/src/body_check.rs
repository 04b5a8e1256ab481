//! Whether a body on its way out is the one that was measured.

use std::fmt;

use crc_fast::{CrcAlgorithm, Digest};
use restante_types::Octets;
use sha2::{Digest as _, Sha256};

/// Counts and digests the octets of a body as they pass.
///
/// Compare with [`crate::Measured`] before the terminator is written: with `octets` and `crc64` for a whole message,
/// with `header_octets` and `header_crc64` for a header section.
#[derive(Clone)]
pub struct BodyCheck {
    octets: Octets,
    crc64: Digest,
}

impl BodyCheck {
    /// Starts before the first octet.
    pub fn new() -> Self {
        Self {
            octets: Octets::ZERO,
            crc64: Digest::new(CrcAlgorithm::Crc64Nvme),
        }
    }

    /// Takes the next octets, before dot-stuffing.
    pub fn update(&mut self, octets: &[u8]) {
        self.octets += Octets::of(octets);
        self.crc64.update(octets);
    }

    /// How many octets have passed.
    pub const fn octets(&self) -> Octets {
        self.octets
    }

    /// CRC-64/NVME of the octets that have passed.
    pub fn crc64(&self) -> u64 {
        self.crc64.finalize()
    }
}

impl Default for BodyCheck {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for BodyCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyCheck")
            .field("octets", &self.octets)
            .field("crc64", &format_args!("{:016x}", self.crc64()))
            .finish()
    }
}

/// Compares a whole body with everything that was measured, SHA-256 too: dearer than [`BodyCheck`], for audits and
/// copies.
#[derive(Clone, Debug, Default)]
pub struct FullCheck {
    check: BodyCheck,
    sha256: Sha256,
}

impl FullCheck {
    /// Starts before the first octet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next octets, before dot-stuffing.
    pub fn update(&mut self, octets: &[u8]) {
        self.check.update(octets);
        self.sha256.update(octets);
    }

    /// How many octets have passed.
    pub const fn octets(&self) -> Octets {
        self.check.octets()
    }

    /// Whether what has passed is a message that was measured so.
    pub fn is(self, octets: Octets, crc64: u64, sha256: &[u8; 32]) -> bool {
        self.check.octets() == octets
            && self.check.crc64() == crc64
            && self.sha256.finalize()[..] == sha256[..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_is_crc_64_nvme() {
        let mut check = BodyCheck::new();
        check.update(b"1234");
        check.update(b"56789");
        assert_eq!(check.crc64(), 0xAE8B_1486_0A79_9888);
        assert_eq!(check.octets(), Octets(9));
    }

    #[test]
    fn a_full_check_looks_at_each_of_the_three() {
        let sha256 = Sha256::digest(b"123456789").into();
        let crc64 = 0xAE8B_1486_0A79_9888;
        let check = || {
            let mut check = FullCheck::new();
            check.update(b"1234");
            check.update(b"56789");
            check
        };
        assert!(check().is(Octets(9), crc64, &sha256));
        assert!(!check().is(Octets(8), crc64, &sha256));
        assert!(!check().is(Octets(9), crc64 ^ 1, &sha256));
        assert!(!check().is(Octets(9), crc64, &[0; 32]));
    }
}
