//! Dot-stuffing, RFC 1939 section 3: a body can never look like its own end.
//!
//! A line begins after any LF, not only after CRLF. Canonical bodies have no other line ends, so for them this is the
//! letter of the RFC. A body that is not canonical (a foreign store) could hide `\n.\r\n` from the RFC's rule, and
//! clients that split at LF would take it for the end and what follows for replies; a doubled dot is the lesser harm.

use memchr::memmem;

/// Stuffs one body that arrives in chunks of any size.
#[derive(Debug)]
pub struct DotStuffer {
    tail: Tail,
}

/// How the body so far ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// With CRLF, or it is empty: both stand at the start of a line.
    CrLf,
    /// With LF alone.
    BareLf,
    Cr,
    Inside,
}

impl Tail {
    const fn is_line_start(self) -> bool {
        matches!(self, Self::CrLf | Self::BareLf)
    }

    fn after(self, octets: &[u8]) -> Self {
        match octets {
            [] => self,
            [.., b'\r', b'\n'] => Self::CrLf,
            [b'\n'] if self == Self::Cr => Self::CrLf,
            [.., b'\n'] => Self::BareLf,
            [.., b'\r'] => Self::Cr,
            _ => Self::Inside,
        }
    }
}

impl DotStuffer {
    /// Starts before the first octet, at the start of a line.
    pub const fn new() -> Self {
        Self { tail: Tail::CrLf }
    }

    /// Takes the next octets of the body as they are, if there is nothing to stuff in them: then they are to be sent
    /// unchanged, and are not to be [stuffed](Self::stuff). Else `false`, and nothing is changed.
    pub fn pass(&mut self, octets: &[u8]) -> bool {
        let begins_with_dot = self.tail.is_line_start() && octets.first() == Some(&b'.');
        let passes = !begins_with_dot && memmem::find(octets, b"\n.").is_none();
        if passes {
            self.tail = self.tail.after(octets);
        }
        passes
    }

    /// Appends the next octets of the body to `out`, stuffed. At most doubles them.
    pub fn stuff(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        out.reserve(octets.len());
        if self.tail.is_line_start() && octets.first() == Some(&b'.') {
            out.push(b'.');
        }
        let mut copied = 0;
        for lf in memmem::find_iter(octets, b"\n.") {
            out.extend_from_slice(&octets[copied..=lf]);
            out.push(b'.');
            copied = lf + 1;
        }
        out.extend_from_slice(&octets[copied..]);
        self.tail = self.tail.after(octets);
    }

    /// Ends the body: CRLF if it did not end with one, then the terminator.
    pub fn finish(self, out: &mut Vec<u8>) {
        if self.tail != Tail::CrLf {
            out.extend_from_slice(b"\r\n");
        }
        crate::response::terminator(out);
    }
}

impl Default for DotStuffer {
    fn default() -> Self {
        Self::new()
    }
}
