//! Streams cut at every place give the same lines and the same bodies.

mod oracles;

use oracles::{framed, stuffed, unstuffed};
use proptest::prelude::*;
use restante_wire::{DotStuffer, DotUnstuffer, LineError, LineFramer, LineKind, LineLimits, TopCutter};

/// Octets that matter to lines and dots, often.
fn nasty() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a'), any::<u8>()];
    proptest::collection::vec(octet, 0..200)
}

proptest! {
    #[test]
    fn any_stream_is_framed_as_the_model_says(data in nasty()) {
        oracles::framing(&data);
    }

    #[test]
    fn any_body_survives_stuffing(data in nasty()) {
        oracles::stuffing(&data);
    }

    #[test]
    fn any_line_is_parsed_or_refused(line in "(?s)(PASS|pass|RETR|TOP|LIST|AUTH|USER|LANG|QUIT|X)? {0,2}.{0,20}") {
        oracles::command(line.as_bytes());
    }
}

#[test]
fn bodies_are_stuffed_the_same_at_every_split() {
    let golden: [(&[u8], &[u8]); 9] = [
        (b"", b".\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"..\r\n", b"...\r\n.\r\n"),
        (b".\r\n+OK 5\r\n", b"..\r\n+OK 5\r\n.\r\n"),
        (b"a\r\n.b\r\n.\r\n", b"a\r\n..b\r\n..\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"a\r", b"a\r\r\n.\r\n"),
        (b"a\n.\r\nb\n", b"a\n..\r\nb\n\r\n.\r\n"),
    ];
    for (body, wire) in golden {
        for first in 0..=body.len() {
            for second in first..=body.len() {
                let mut out = Vec::new();
                let mut stuffer = DotStuffer::new();
                stuffer.stuff(&body[..first], &mut out);
                stuffer.stuff(&body[first..second], &mut out);
                stuffer.stuff(&body[second..], &mut out);
                stuffer.finish(&mut out);
                assert_eq!(out, wire, "{body:?} at {first}, {second}");
                let mut out = Vec::new();
                let mut stuffer = DotStuffer::new();
                for piece in [&body[..first], &body[first..second], &body[second..]] {
                    if stuffer.pass(piece) {
                        out.extend_from_slice(piece);
                    } else {
                        let before = out.len();
                        stuffer.stuff(piece, &mut out);
                        assert!(out.len() - before > piece.len(), "{body:?} at {first}, {second}");
                    }
                }
                stuffer.finish(&mut out);
                assert_eq!(out, wire, "{body:?} at {first}, {second}, passed where it can be");
            }
        }
    }
}

#[test]
fn a_million_dots_survive() {
    let mut body = vec![b'.'; 1_000_000];
    body.extend_from_slice(b"\r\n");
    let wire = stuffed(&body, 4096);
    assert_eq!(wire.len(), body.len() + 4);
    assert_eq!(unstuffed(&wire, 4095), Some((body, wire.len())));
}

#[test]
fn only_crlf_dot_crlf_ends_a_body() {
    let golden: [(&[u8], &[u8]); 8] = [
        (b"a\n.\nb\r\n.\r\nnext", b"a\n.\nb\r\n"),
        (b"a\r.\r\nb\r\n.\r\nnext", b"a\r.\r\nb\r\n"),
        (b"a\n.\r\nb\r\n.\r\nnext", b"a\n.\r\nb\r\n"),
        (b"a\r\n.\nb\r\n.\r\nnext", b"a\r\n\nb\r\n"),
        (b"a\r\n.\r\r\nb\r\n.\r\nnext", b"a\r\n\r\r\nb\r\n"),
        (b"..\r\n.\rx\r\n.\r\nnext", b".\r\n\rx\r\n"),
        (b"a\r\n.\n.\r\nb\r\n.\r\nnext", b"a\r\n\n.\r\nb\r\n"),
        (b"a\r\n\n.\r\nb\r\n.\r\nnext", b"a\r\n\n.\r\nb\r\n"),
    ];
    for (wire, body) in golden {
        for split in 0..=wire.len() {
            let mut out = Vec::new();
            let mut unstuffer = DotUnstuffer::new();
            let first = unstuffer.push(&wire[..split], &mut out);
            let second = unstuffer.push(&wire[split..], &mut out);
            assert!(second.finished);
            assert_eq!(
                first.consumed + second.consumed,
                wire.len() - 4,
                "{wire:?} at {split}"
            );
            assert_eq!(out, body, "{wire:?} at {split}");
        }
    }
}

#[test]
fn top_ends_at_the_same_octet_at_every_split() {
    let message = b"A: b\r\n c\r\n\r\none\r\n\r\nthree";
    let golden = [(0, 12), (1, 17), (2, 19), (3, 24), (u64::MAX, 24)];
    for (lines, expected) in golden {
        for split in 0..=message.len() {
            let mut cutter = TopCutter::new(lines);
            let passed = cutter.cut(&message[..split]) + cutter.cut(&message[split..]);
            assert_eq!(passed, expected, "{lines} lines at {split}");
            assert_eq!(cutter.is_done(), lines <= 2);
        }
    }
}

#[test]
fn top_of_a_message_without_body_is_the_message() {
    let mut cutter = TopCutter::new(0);
    assert_eq!(cutter.cut(b"A: b\r\nC: d\r\n"), 12);
    assert!(!cutter.is_done());
    let mut cutter = TopCutter::new(0);
    assert_eq!(cutter.cut(b"\r\nbody\r\n"), 2);
    assert!(cutter.is_done());
}

fn texts(lines: Vec<Result<Vec<u8>, LineError>>) -> Vec<String> {
    lines
        .into_iter()
        .map(|line| {
            line.map_or_else(
                |error| error.to_string(),
                |line| String::from_utf8_lossy(&line).into_owned(),
            )
        })
        .collect()
}

#[test]
fn lines_end_at_lf_and_keep_their_bare_crs() {
    let stream = b"NOOP\r\nrEtR 1\nPASS a\rb\r\n\r\r\n\n\rQUIT\r\n";
    for chunk in 1..=stream.len() {
        let lines = framed(stream, LineLimits::default(), LineKind::Command, chunk);
        assert_eq!(texts(lines), ["NOOP", "rEtR 1", "PASS a\rb", "\r", "", "\rQUIT"]);
    }
}

#[test]
fn bare_lf_ends_no_line_if_it_is_not_accepted() {
    let limits = LineLimits {
        accept_bare_lf: false,
        ..LineLimits::default()
    };
    let lines = framed(b"NOOP\nQUIT\r\n\nSTAT\r\n", limits, LineKind::Command, 3);
    assert_eq!(texts(lines), ["NOOP\nQUIT", "\nSTAT"]);
}

#[test]
fn line_of_512_octets_is_accepted_and_of_513_is_not() {
    for (octets, expected) in [(512, true), (513, false), (65_536, false)] {
        let mut stream = vec![b'x'; octets - 2];
        stream.extend_from_slice(b"\r\n");
        for chunk in [1, 100, 512, 513, octets] {
            let lines = framed(&stream, LineLimits::default(), LineKind::Command, chunk);
            assert_eq!(lines.len(), 1);
            assert_eq!(lines[0].is_ok(), expected, "{octets} in chunks of {chunk}");
        }
    }
}

#[test]
fn sasl_line_has_its_own_limit() {
    let mut framer = LineFramer::new(LineLimits::default());
    let token = vec![b'x'; 16_382];
    framer.expect(LineKind::Sasl);
    assert_eq!(framer.push(&token), token.len());
    assert!(framer.next_line().is_none());
    assert_eq!(framer.push(b"\r\nNOOP\r\n"), 2);
    assert_eq!(framer.next_line().unwrap().unwrap().len(), token.len());
    framer.expect(LineKind::Command);
    assert_eq!(framer.push(&token), 512);
    assert_eq!(framer.next_line().unwrap().unwrap_err(), LineError::TooLong);
}

#[test]
fn pipelined_octets_show_until_they_are_taken() {
    let mut framer = LineFramer::new(LineLimits::default());
    assert!(framer.is_empty());
    assert_eq!(framer.push(b"STLS\r\nCA"), 8);
    assert_eq!(&*framer.next_line().unwrap().unwrap(), b"STLS");
    assert!(!framer.is_empty());
    assert!(!framer.has_line());
    assert_eq!(framer.push(b"PA\r\n"), 4);
    assert_eq!(&*framer.next_line().unwrap().unwrap(), b"CAPA");
    assert!(framer.is_empty());
}

#[test]
fn debug_shows_no_octets() {
    let mut framer = LineFramer::new(LineLimits::default());
    framer.push(b"PASS hunter2\r\n");
    assert!(!format!("{framer:?}").contains("hunter2"));
    assert_eq!(
        format!("{:?}", framer.next_line().unwrap().unwrap()),
        "Line(12 octets)"
    );
}
