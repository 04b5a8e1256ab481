//! A message as it arrived, into the form that is stored and sent.
//!
//! | arrived | stored | why |
//! |---|---|---|
//! | CRLF | CRLF | |
//! | bare LF | CRLF | what every sender of it means |
//! | CR CR LF | one CRLF | a CRLF that was translated twice; two line ends would make the first header line the last |
//! | bare CR | CRLF | RFC 5322 section 2.3 forbids it, and some clients end a line there, so it must not survive |
//! | no line end at the end | CRLF added | RFC 1939 section 3 |
//! | NUL, octets above 0x7F | kept | the message is not ours to repair |
//! | nothing | nothing | |
//!
//! A longer run of CRs before LF is read from its end: the last two and the LF are one line end, each CR before them
//! is a bare one. The canonical form of a canonical message is itself.

use crate::Measured;
use crate::meter::Meter;

const CRLF: &[u8] = b"\r\n";

/// Makes a message canonical while it arrives in chunks of any size, and measures it.
///
/// Holds back at most two CRs; the result does not depend on where the chunks are cut.
#[derive(Debug)]
pub struct Canonicalizer {
    /// CRs that are not written yet, because the next octets say what they are: 0, 1 or 2.
    held_crs: usize,
    meter: Meter,
}

impl Canonicalizer {
    /// Starts before the first octet.
    pub fn new() -> Self {
        Self {
            held_crs: 0,
            meter: Meter::new(),
        }
    }

    /// Appends the canonical form of the next octets to `out`: at most twice as many, and four more.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.reserve(input.len());
        let mut rest = input;
        while !rest.is_empty() {
            let run = if self.held_crs == 0 {
                canonical_run(rest)
            } else {
                0
            };
            out.extend_from_slice(&rest[..run]);
            rest = &rest[run..];
            if let Some((&octet, after)) = rest.split_first() {
                self.step(octet, out);
                rest = after;
            }
        }
        self.meter.update(&out[start..]);
    }

    /// Ends the message, and tells what is known of it.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Measured {
        let start = out.len();
        let line_is_open = self.held_crs == 0 && !self.meter.at_line_start();
        self.end_lines_at_held_crs(out);
        if line_is_open {
            out.extend_from_slice(CRLF);
        }
        self.meter.update(&out[start..]);
        self.meter.finish()
    }

    /// Takes one octet where the form is not canonical, or not known to be.
    fn step(&mut self, octet: u8, out: &mut Vec<u8>) {
        match (octet, self.held_crs) {
            (b'\r', 0 | 1) => self.held_crs += 1,
            (b'\r', _) => out.extend_from_slice(CRLF),
            (b'\n', _) => {
                self.held_crs = 0;
                out.extend_from_slice(CRLF);
            }
            _ => {
                self.end_lines_at_held_crs(out);
                out.push(octet);
            }
        }
    }

    fn end_lines_at_held_crs(&mut self, out: &mut Vec<u8>) {
        for _ in 0..std::mem::take(&mut self.held_crs) {
            out.extend_from_slice(CRLF);
        }
    }
}

impl Default for Canonicalizer {
    fn default() -> Self {
        Self::new()
    }
}

/// How many octets are canonical as they stand, up to the first CR or LF that is not part of a whole CRLF.
fn canonical_run(octets: &[u8]) -> usize {
    let mut run = 0;
    while let Some(found) = memchr::memchr2(b'\r', b'\n', &octets[run..]) {
        if !octets[run + found..].starts_with(CRLF) {
            return run + found;
        }
        run += found + CRLF.len();
    }
    octets.len()
}
