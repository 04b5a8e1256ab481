//! Whether a body on its way out is the one that was measured.

use std::fmt;

use crc64fast_nvme::Digest;
use restante_types::Octets;

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
            crc64: Digest::new(),
        }
    }

    /// Takes the next octets, before dot-stuffing.
    pub fn update(&mut self, octets: &[u8]) {
        self.octets += Octets::of(octets);
        self.crc64.write(octets);
    }

    /// How many octets have passed.
    pub const fn octets(&self) -> Octets {
        self.octets
    }

    /// CRC-64/NVME of the octets that have passed.
    pub fn crc64(&self) -> u64 {
        self.crc64.sum64()
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
}
