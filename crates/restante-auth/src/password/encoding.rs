//! Hexadecimal, base64 and HMAC, for stored hashes and keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_PAD_INDIFFERENT;
use hmac::{Hmac, KeyInit, Mac};
use restante_types::Secret;
use sha2::Sha256;

/// The octets of a hexadecimal text of either case.
pub(crate) fn hex_decode(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    let octet = |&[high, low]: &[u8; 2]| Some((nibble(high)? << 4) | nibble(low)?);
    pairs.iter().map(octet).collect()
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Octets as lower-case hexadecimal text.
pub(super) fn hex_encode(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |octet: &u8| [octet >> 4, octet & 15].map(|nibble| char::from(DIGITS[usize::from(nibble)]));
    octets.iter().flat_map(digits).collect()
}

/// The octets of a base64 text, with or without its padding.
pub(super) fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD_PAD_INDIFFERENT.decode(text).ok()
}

/// Octets as padded base64.
pub(super) fn base64_encode(octets: &[u8]) -> String {
    STANDARD_PAD_INDIFFERENT.encode(octets)
}

/// HMAC-SHA-256 of the parts, one after the other.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Secret<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    for part in parts {
        mac.update(part);
    }
    Secret::new(mac.finalize().into_bytes().into())
}
