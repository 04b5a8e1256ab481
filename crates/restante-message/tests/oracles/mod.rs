//! What must hold for any message. Shared by the fuzz target, the corpus replay and the property tests.
#![allow(dead_code, reason = "each user needs a part")]

use restante_message::{BodyCheck, Canonicalizer, Measured};
use restante_types::Octets;

/// The first octet chooses the chunk size; the rest is a message.
pub(crate) fn canonical(data: &[u8]) {
    let Some((&choice, message)) = data.split_first() else {
        return;
    };
    let (stored, measured) = canonicalized(message, usize::from(choice) + 1);
    assert_eq!(stored, naive(message));
    assert_eq!(
        (stored.clone(), measured),
        canonicalized(message, message.len().max(1))
    );
    assert_eq!(
        (stored.clone(), measured),
        canonicalized(&stored, 3),
        "canonical stays as it is"
    );
    measured_right(&stored, &measured);
}

pub(crate) fn canonicalized(message: &[u8], chunk: usize) -> (Vec<u8>, Measured) {
    let mut stored = Vec::new();
    let mut canonicalizer = Canonicalizer::new();
    for part in message.chunks(chunk) {
        let before = stored.len();
        canonicalizer.push(part, &mut stored);
        assert!(stored.len() - before <= 2 * part.len() + 4, "bounded output");
    }
    let measured = canonicalizer.finish(&mut stored);
    (stored, measured)
}

/// The table of `canonical.rs`, with the whole message at hand.
fn naive(message: &[u8]) -> Vec<u8> {
    let mut stored = Vec::new();
    let mut at = 0;
    while at < message.len() {
        let rest = &message[at..];
        let (text, read): (&[u8], usize) = match rest {
            [b'\r', b'\r', b'\n', ..] => (b"\r\n", 3),
            [b'\r', b'\n', ..] => (b"\r\n", 2),
            [b'\r' | b'\n', ..] => (b"\r\n", 1),
            _ => (&rest[..1], 1),
        };
        stored.extend_from_slice(text);
        at += read;
    }
    if !stored.is_empty() && !stored.ends_with(b"\r\n") {
        stored.extend_from_slice(b"\r\n");
    }
    stored
}

fn measured_right(stored: &[u8], measured: &Measured) {
    let lines = || stored.split_inclusive(|&octet| octet == b'\n');
    let mut header = 0;
    for line in lines() {
        header += line.len();
        if line == b"\r\n" {
            break;
        }
    }
    assert_eq!(measured.octets, Octets::of(stored));
    assert_eq!(measured.header_octets, Octets::of(&stored[..header]));
    assert_eq!(measured.header_is_8bit, !stored[..header].is_ascii());
    assert_eq!(measured.has_dot_lines, lines().any(|line| line.starts_with(b".")));
    assert_eq!(measured.crc64, crc64(stored));
    assert_eq!(measured.header_crc64, crc64(&stored[..header]));
}

fn crc64(octets: &[u8]) -> u64 {
    let mut check = BodyCheck::new();
    check.update(octets);
    assert_eq!(check.octets(), Octets::of(octets));
    check.crc64()
}
