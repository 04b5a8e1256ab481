//! The canonical form, at every split.

mod oracles;

use oracles::canonicalized;
use proptest::prelude::*;
use restante_message::{Canonicalizer, Measured};
use restante_types::Octets;

proptest! {
    #[test]
    fn any_message_is_stored_as_the_model_says(data in proptest::collection::vec(
        prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a'), any::<u8>()], 0..200
    )) {
        oracles::canonical(&data);
    }
}

/// Stores a message cut in three at every pair of places; all must agree.
fn stored(message: &[u8]) -> (Vec<u8>, Measured) {
    let whole = canonicalized(message, message.len().max(1));
    for first in 0..=message.len() {
        for second in first..=message.len() {
            let mut out = Vec::new();
            let mut canonicalizer = Canonicalizer::new();
            for part in [&message[..first], &message[first..second], &message[second..]] {
                canonicalizer.push(part, &mut out);
            }
            let measured = canonicalizer.finish(&mut out);
            assert_eq!((out, measured), whole, "{message:?} at {first}, {second}");
        }
    }
    whole
}

#[test]
fn every_kind_of_line_end_becomes_crlf() {
    let golden: [(&[u8], &[u8]); 18] = [
        (b"", b""),
        (b"a", b"a\r\n"),
        (b"\r", b"\r\n"),
        (b"\n", b"\r\n"),
        (b"\r\n", b"\r\n"),
        (b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a\nb\n\nc", b"a\r\nb\r\n\r\nc\r\n"),
        (b"a\rb", b"a\r\nb\r\n"),
        (b"a\r\r\nb\r\r\n", b"a\r\nb\r\n"),
        (b"a\r\rb", b"a\r\n\r\nb\r\n"),
        (b"a\r\r\r\nb", b"a\r\n\r\nb\r\n"),
        (b"a\r\r", b"a\r\n\r\n"),
        (b"a\n\rb", b"a\r\n\r\nb\r\n"),
        (b"a\n\r\nb", b"a\r\n\r\nb\r\n"),
        (b"a\0b\r\n", b"a\0b\r\n"),
        (b"\xff\xfe\r\n", b"\xff\xfe\r\n"),
        (b"a\n.\nb", b"a\r\n.\r\nb\r\n"),
        (b"a\r.\r\nb", b"a\r\n.\r\nb\r\n"),
    ];
    for (message, expected) in golden {
        assert_eq!(stored(message).0, expected, "{message:?}");
    }
}

#[test]
fn header_ends_with_the_first_empty_line() {
    let golden: [(&[u8], u64); 7] = [
        (b"", 0),
        (b"\r\nbody\r\n", 2),
        (b"A: b\r\n\r\nbody\r\n\r\nmore\r\n", 8),
        (b"A: b\n\nbody\n", 8),
        (b"A: b\r\r\nC: d\r\r\n\r\r\nbody", 14),
        (b"A: b\r\nC: d", 12),
        (b"A: b\r\n \r\nC: d\r\n", 15),
    ];
    for (message, octets) in golden {
        assert_eq!(stored(message).1.header_octets, Octets(octets), "{message:?}");
    }
}

#[test]
fn dot_lines_are_seen_wherever_they_begin() {
    let golden: [(&[u8], bool); 7] = [
        (b".", true),
        (b".\r\n+OK 5\r\n", true),
        (b"a\n..b", true),
        (b"a\r.b", true),
        (b"a.\r\nb.", false),
        (b"", false),
        (b"\r\n.", true),
    ];
    for (message, expected) in golden {
        assert_eq!(stored(message).1.has_dot_lines, expected, "{message:?}");
    }
}

#[test]
fn only_the_header_decides_whether_the_header_is_8bit() {
    assert!(stored(b"A: \xc3\xa9\r\n\r\nb\r\n").1.header_is_8bit);
    assert!(!stored(b"A: b\r\n\r\n\xc3\xa9\r\n").1.header_is_8bit);
}

#[test]
fn digests_are_of_the_stored_octets() {
    let (_, measured) = stored(b"");
    assert_eq!(measured.octets, Octets::ZERO);
    assert_eq!(measured.sha256[..4], [0xe3, 0xb0, 0xc4, 0x42]);
    let (_, from_lf) = stored(b"A: b\n\nbody\n");
    let (_, from_crlf) = stored(b"A: b\r\n\r\nbody\r\n");
    assert_eq!(from_lf, from_crlf);
    assert_ne!(from_lf.crc64, from_lf.header_crc64);
}

#[test]
fn a_million_header_lines_are_one_header() {
    let message = b"X-Nested: yes\n".repeat(1_000_000);
    let (_, measured) = canonicalized(&message, 65_536);
    assert_eq!(measured.octets, Octets(15_000_000));
    assert_eq!(measured.header_octets, measured.octets);
}

#[test]
fn a_line_without_end_is_not_held() {
    let mut canonicalizer = Canonicalizer::new();
    let mut out = Vec::new();
    for _ in 0..1000 {
        out.clear();
        canonicalizer.push(&[b'x'; 10_000], &mut out);
        assert_eq!(out.len(), 10_000);
    }
    assert_eq!(canonicalizer.finish(&mut out).octets, Octets(10_000_002));
}
