//! Line ends of a message, all of them made CRLF: by the same rules as the host's own deliveries.
//!
//! A bare LF or CR becomes CRLF; CR CR LF, a CRLF that was translated twice, becomes one CRLF; a last line without an
//! end gets one.

const CRLF: &[u8] = b"\r\n";

/// Takes a message in pieces; the result does not depend on where they are cut.
#[derive(Debug, Default)]
pub struct Lines {
    /// CRs that are not written yet, because the next octets say what they are: 0, 1 or 2.
    held_crs: usize,
    line_is_open: bool,
}

impl Lines {
    /// Appends the canonical form of the next octets.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len());
        for &octet in input {
            match (octet, self.held_crs) {
                (b'\r', 0 | 1) => self.held_crs += 1,
                (b'\r', _) => self.end_line(out),
                (b'\n', _) => {
                    self.held_crs = 0;
                    self.end_line(out);
                }
                _ => {
                    self.release(out);
                    out.push(octet);
                    self.line_is_open = true;
                }
            }
        }
    }

    /// Ends the message.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.release(out);
        if self.line_is_open {
            self.end_line(out);
        }
    }

    fn release(&mut self, out: &mut Vec<u8>) {
        for _ in 0..std::mem::take(&mut self.held_crs) {
            self.end_line(out);
        }
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(CRLF);
        self.line_is_open = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: [(&str, &str); 14] = [
        ("", ""),
        ("\r\n", "\r\n"),
        ("a\r\nb\r\n", "a\r\nb\r\n"),
        ("a\nb\n", "a\r\nb\r\n"),
        ("a\n\nb", "a\r\n\r\nb\r\n"),
        ("a\rb", "a\r\nb\r\n"),
        ("a\r\r\nb\r\n", "a\r\nb\r\n"),
        ("a\r\r\r\nb\r\n", "a\r\n\r\nb\r\n"),
        ("a\r\rb\r\n", "a\r\n\r\nb\r\n"),
        ("a\r", "a\r\n"),
        ("a\r\r", "a\r\n\r\n"),
        ("a", "a\r\n"),
        ("\0\u{ff}", "\0\u{ff}\r\n"),
        ("\n", "\r\n"),
    ];

    #[test]
    fn every_line_ends_with_crlf_wherever_it_is_cut() {
        for (input, expected) in CASES {
            for size in 1..=input.len().max(1) {
                let (mut lines, mut out) = (Lines::default(), Vec::new());
                for piece in input.as_bytes().chunks(size) {
                    lines.push(piece, &mut out);
                }
                lines.finish(&mut out);
                assert_eq!(out, expected.as_bytes(), "{input:?} in pieces of {size}");
            }
        }
    }
}
