//! What is known of a message without reading it again.

use restante_types::Octets;

/// Measured over the canonical octets of a message, once, at delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Length of the whole message: what LIST answers and RETR sends, before dot-stuffing.
    pub octets: Octets,
    /// Length of the header section with the empty line that ends it; the whole message if it has none.
    pub header_octets: Octets,
    /// Whether any line starts with a dot, the first line included.
    pub has_dot_lines: bool,
    /// Whether the header section has an octet above 0x7F.
    pub header_is_8bit: bool,
    /// CRC-64/NVME of the whole message: checked by every RETR.
    pub crc64: u64,
    /// CRC-64/NVME of the header section: checked by every `TOP n 0`.
    pub header_crc64: u64,
    /// SHA-256 of the whole message: for audit and de-duplication.
    pub sha256: [u8; 32],
}
