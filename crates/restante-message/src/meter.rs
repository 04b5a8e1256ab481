//! Measures canonical octets as they are made.
//!
//! Relies on the canonical form: the only line end is CRLF, and it never lies across two updates.

use std::fmt;

use memchr::memmem;
use restante_types::Octets;
use sha2::{Digest as _, Sha256};

use crate::{BodyCheck, Measured};

pub(crate) struct Meter {
    whole: BodyCheck,
    sha256: Sha256,
    /// Octets and CRC-64 of the header section, once its end has been seen.
    header: Option<(Octets, u64)>,
    header_is_8bit: bool,
    has_dot_lines: bool,
    at_line_start: bool,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            whole: BodyCheck::new(),
            sha256: Sha256::new(),
            header: None,
            header_is_8bit: false,
            has_dot_lines: false,
            at_line_start: true,
        }
    }

    pub(crate) fn update(&mut self, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        self.sha256.update(octets);
        self.has_dot_lines = self.has_dot_lines
            || (self.at_line_start && octets[0] == b'.')
            || memmem::find(octets, b"\n.").is_some();
        let body = self.update_header(octets);
        self.whole.update(body);
        self.at_line_start = octets.ends_with(b"\n");
    }

    /// Whether the next octet begins a line; so does the first of all.
    pub(crate) const fn at_line_start(&self) -> bool {
        self.at_line_start
    }

    pub(crate) fn finish(self) -> Measured {
        let octets = self.whole.octets();
        let crc64 = self.whole.crc64();
        let (header_octets, header_crc64) = self.header.unwrap_or((octets, crc64));
        Measured {
            octets,
            header_octets,
            has_dot_lines: self.has_dot_lines,
            header_is_8bit: self.header_is_8bit,
            crc64,
            header_crc64,
            sha256: self.sha256.finalize().into(),
        }
    }

    /// Takes what belongs to the header section and returns the rest.
    fn update_header<'a>(&mut self, octets: &'a [u8]) -> &'a [u8] {
        if self.header.is_some() {
            return octets;
        }
        let end = self.header_end(octets);
        let (header, body) = octets.split_at(end.unwrap_or(octets.len()));
        self.header_is_8bit |= !header.is_ascii();
        self.whole.update(header);
        if end.is_some() {
            self.header = Some((self.whole.octets(), self.whole.crc64()));
        }
        body
    }

    /// Where the first empty line ends.
    fn header_end(&self, octets: &[u8]) -> Option<usize> {
        if self.at_line_start && octets.starts_with(b"\r\n") {
            return Some(2);
        }
        memmem::find(octets, b"\n\r\n").map(|lf| lf + 3)
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter")
            .field("whole", &self.whole)
            .finish_non_exhaustive()
    }
}
