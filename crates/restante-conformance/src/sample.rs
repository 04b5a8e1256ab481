//! Sample messages, sessions and bodies.

use std::fmt::Write as _;
use std::time::SystemTime;

use bytes::Bytes;
use restante_message::Measured;
use restante_store::{BlobKey, NewMessage, StorageId};
use restante_types::{Octets, SessionId, TenantId, UniqueId};

/// The storage that sample messages name.
pub(crate) const STORAGE: StorageId = StorageId(1);

/// A session's name; equal numbers, equal names.
pub(crate) fn session(n: u8) -> SessionId {
    SessionId::from_octets([n; 16])
}

pub(crate) fn unique_id(text: &str) -> UniqueId {
    UniqueId::new(text).unwrap()
}

/// A message of that size; no two sizes measure alike in any field.
pub(crate) fn message(blob: BlobKey, octets: u64) -> NewMessage {
    NewMessage {
        storage: STORAGE,
        blob,
        measured: Measured {
            octets: Octets(octets),
            header_octets: Octets(octets / 2),
            has_dot_lines: octets % 2 == 1,
            header_is_8bit: false,
            // Past i64::MAX, as half of all digests are.
            crc64: octets.wrapping_sub(1),
            header_crc64: octets.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 << 63,
            sha256: [7; 32],
        },
        unique_id: None,
        received: SystemTime::UNIX_EPOCH,
        needs_utf8: octets.is_multiple_of(3),
        deduplicate: false,
    }
}

/// `octets` octets in which every position shows in the value.
pub(crate) fn content(octets: usize) -> Bytes {
    let mut state = 0x2545_F491_u32;
    (0..octets)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect()
}

pub(crate) fn blob_key(tenant: i64, number: u128) -> BlobKey {
    BlobKey {
        tenant: TenantId::new(tenant).unwrap(),
        number,
    }
}

/// A message of at least `octets` octets, all of whose lines end with CRLF.
pub fn mail(nth: usize, octets: usize) -> Bytes {
    let mut text = format!("Subject: message {nth}\r\n\r\n");
    let mut line = 0;
    while text.len() < octets {
        line += 1;
        writeln!(text, "line {line} of message {nth}, which has some octets\r").unwrap();
    }
    text.into()
}
