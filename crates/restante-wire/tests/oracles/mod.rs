//! What must hold for any input. Shared by the fuzz targets, the corpus replay and the property tests.
#![allow(dead_code, reason = "each user needs a part")]

use restante_wire::{
    Command, DotStuffer, DotUnstuffer, LineError, LineFramer, LineKind, LineLimits, TopCutter, Verb,
};

const LIMITS: LineLimits = LineLimits {
    command: 32,
    sasl: 80,
    accept_bare_lf: true,
};

/// The first octet chooses chunk size, kind and line ends; the rest is the stream.
pub(crate) fn framing(data: &[u8]) {
    let Some((&choice, stream)) = data.split_first() else {
        return;
    };
    let limits = LineLimits {
        accept_bare_lf: choice & 0x80 == 0,
        ..LIMITS
    };
    let kind = if choice & 0x40 == 0 {
        LineKind::Command
    } else {
        LineKind::Sasl
    };
    let expected = naive_lines(stream, limits, kind);
    for chunk in [usize::from(choice & 0x3F) + 1, 1, stream.len().max(1)] {
        assert_eq!(framed(stream, limits, kind, chunk), expected, "chunk {chunk}");
    }
}

/// What a framer makes of a stream that arrives in chunks of this size.
pub(crate) fn framed(
    stream: &[u8],
    limits: LineLimits,
    kind: LineKind,
    chunk: usize,
) -> Vec<Result<Vec<u8>, LineError>> {
    let mut framer = LineFramer::new(limits);
    framer.expect(kind);
    let mut lines = Vec::new();
    for mut rest in stream.chunks(chunk) {
        loop {
            let taken = framer.push(rest);
            rest = &rest[taken..];
            let announced = framer.has_line();
            let line = framer.next_line();
            assert_eq!(line.is_some(), announced);
            match line {
                Some(Ok(line)) => lines.push(Ok(line.to_vec())),
                Some(Err(error)) => {
                    assert_eq!(framer.push(b"x"), 0);
                    assert!(framer.next_line().is_none() && !framer.is_empty());
                    lines.push(Err(error));
                    return lines;
                }
                None if rest.is_empty() => break,
                None => assert!(taken > 0, "a framer without a line takes octets"),
            }
        }
    }
    lines
}

fn naive_lines(stream: &[u8], limits: LineLimits, kind: LineKind) -> Vec<Result<Vec<u8>, LineError>> {
    let limit = if kind == LineKind::Sasl {
        limits.sasl
    } else {
        limits.command
    };
    let mut lines = Vec::new();
    let mut line = Vec::new();
    for &octet in stream {
        line.push(octet);
        let ended = octet == b'\n' && (limits.accept_bare_lf || line.ends_with(b"\r\n"));
        if line.len() > limit || (line.len() == limit && !ended) {
            lines.push(Err(LineError::TooLong));
            return lines;
        }
        if ended {
            line.pop();
            if line.ends_with(b"\r") {
                line.pop();
            }
            lines.push(Ok(std::mem::take(&mut line)));
        }
    }
    lines
}

/// The data is a line.
pub(crate) fn command(line: &[u8]) {
    let Ok(command) = Command::parse(line) else {
        return;
    };
    assert!(!line.iter().any(u8::is_ascii_control), "{command:?}");
    let word = line.split(|&octet| octet == b' ').next().unwrap_or_default();
    assert!(command.verb().as_str().as_bytes().eq_ignore_ascii_case(word));
    assert!(Verb::ALL.contains(&command.verb()));
    if let Command::Pass(secret) = &command {
        assert_eq!(secret.expose().as_slice(), &line[5..]);
        assert_eq!(format!("{command:?}"), "Pass(***)");
    }
}

/// The first octet chooses chunk size and TOP lines; the rest is a body.
pub(crate) fn stuffing(data: &[u8]) {
    let Some((&choice, body)) = data.split_first() else {
        return;
    };
    let chunk = usize::from(choice & 0x0F) + 1;
    let wire = stuffed(body, chunk);
    assert_eq!(wire, stuffed(body, body.len().max(1)), "chunks change nothing");
    never_ends_early(&wire);
    if !has_bare_lf(body) {
        let mut expected = body.to_vec();
        if !body.is_empty() && !body.ends_with(b"\r\n") {
            expected.extend_from_slice(b"\r\n");
        }
        assert_eq!(unstuffed(&wire, chunk), Some((expected, wire.len())));
    }
    top(body, u64::from(choice >> 4), chunk);
}

fn has_bare_lf(body: &[u8]) -> bool {
    body.iter()
        .enumerate()
        .any(|(at, &octet)| octet == b'\n' && (at == 0 || body[at - 1] != b'\r'))
}

/// A client that ends lines at LF finds the terminator only at the end.
fn never_ends_early(wire: &[u8]) {
    let last = wire.len() - 3;
    assert_eq!(&wire[last..], b".\r\n");
    let mut start = 0;
    for line in wire[..last].split_inclusive(|&octet| octet == b'\n') {
        assert!(!matches!(line, b".\n" | b".\r\n"), "terminator at {start}");
        start += line.len();
    }
    assert_eq!(
        unstuffed(wire, wire.len()).map(|(_, consumed)| consumed),
        Some(wire.len())
    );
}

pub(crate) fn stuffed(body: &[u8], chunk: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut stuffer = DotStuffer::new();
    for part in body.chunks(chunk) {
        stuffer.stuff(part, &mut wire);
    }
    stuffer.finish(&mut wire);
    wire
}

/// The body and the octets consumed, `None` if the terminator is missing.
pub(crate) fn unstuffed(wire: &[u8], chunk: usize) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut unstuffer = DotUnstuffer::new();
    let mut consumed = 0;
    for part in wire.chunks(chunk) {
        let step = unstuffer.push(part, &mut body);
        consumed += step.consumed;
        if step.finished {
            return Some((body, consumed));
        }
        assert_eq!(step.consumed, part.len());
    }
    None
}

fn top(message: &[u8], lines: u64, chunk: usize) {
    let mut cutter = TopCutter::new(lines);
    let passed: usize = message.chunks(chunk).map(|part| cutter.cut(part)).sum();
    assert_eq!(passed, naive_top(message, lines));
}

fn naive_top(message: &[u8], lines: u64) -> usize {
    let mut passed = 0;
    let mut left = None;
    for line in message.split_inclusive(|&octet| octet == b'\n') {
        if left == Some(0) {
            break;
        }
        passed += line.len();
        left = match left {
            Some(left) => Some(left - 1),
            None if matches!(line, b"\n" | b"\r\n") => Some(lines),
            None => None,
        };
    }
    passed
}
