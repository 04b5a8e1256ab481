//! Dot-unstuffing: the body of a multi-line reply or of LMTP's DATA, out of the octets on the wire.
//!
//! Only CRLF, dot, CRLF ends a body. `\n.\n`, `\n.\r\n` and `\r.\r\n` are text: taking them for the end is what SMTP
//! smuggling is made of (CVE-2023-51747).

/// Unstuffs one body that arrives in chunks of any size.
#[derive(Debug)]
pub struct DotUnstuffer {
    place: Place,
}

/// What was read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// CRLF, or nothing yet.
    LineStart,
    /// A dot at the start of a line; not written.
    Dot,
    /// A dot at the start of a line and CR; neither is written.
    DotCr,
    /// CR within or after a line.
    Cr,
    Inside,
    Finished,
}

/// What became of the octets that were pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Unstuffed {
    /// How many octets belong to the body and its terminator; the rest belongs to what follows.
    pub consumed: usize,
    /// Whether the terminator has been read.
    pub finished: bool,
}

impl DotUnstuffer {
    /// Starts before the first octet, as if after CRLF.
    pub const fn new() -> Self {
        Self {
            place: Place::LineStart,
        }
    }

    /// Appends what the octets say to `out`. Once finished, consumes nothing.
    ///
    /// At most one CR is held back between two calls.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Unstuffed {
        let mut consumed = 0;
        while consumed < input.len() && self.place != Place::Finished {
            if self.place == Place::Inside {
                let run = memchr::memchr(b'\r', &input[consumed..]).unwrap_or(input.len() - consumed);
                out.extend_from_slice(&input[consumed..consumed + run]);
                consumed += run;
            }
            if let Some(&octet) = input.get(consumed) {
                self.step(octet, out);
                consumed += 1;
            }
        }
        Unstuffed {
            consumed,
            finished: self.place == Place::Finished,
        }
    }

    fn step(&mut self, octet: u8, out: &mut Vec<u8>) {
        let held_back = match (self.place, octet) {
            (Place::LineStart, b'.') => Some(Place::Dot),
            (Place::Dot, b'\r') => Some(Place::DotCr),
            (Place::DotCr, b'\n') => Some(Place::Finished),
            _ => None,
        };
        if let Some(place) = held_back {
            self.place = place;
            return;
        }
        if self.place == Place::DotCr {
            out.push(b'\r');
        }
        self.place = match (self.place, octet) {
            (Place::Cr, b'\n') => Place::LineStart,
            (_, b'\r') => Place::Cr,
            _ => Place::Inside,
        };
        out.push(octet);
    }
}

impl Default for DotUnstuffer {
    fn default() -> Self {
        Self::new()
    }
}
