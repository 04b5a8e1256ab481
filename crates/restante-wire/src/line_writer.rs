//! One reply line, kept within the rules whatever it is made of.

use std::fmt;

/// The longest reply line in octets, CRLF included, RFC 2449 section 4.
const MAX_OCTETS: usize = 512;

/// Decimal digits of `u64::MAX`.
const MAX_DIGITS: usize = 20;

/// Appends one line to `out`.
///
/// Control characters are left out, so no text can begin a second line, and what passes 510 octets is cut off
/// between two characters.
pub(crate) struct LineWriter<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> LineWriter<'a> {
    pub(crate) const fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start }
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        self.append(text);
        self
    }

    pub(crate) fn number(self, mut number: u64) -> Self {
        let mut digits = [b'0'; MAX_DIGITS];
        let mut first = MAX_DIGITS;
        loop {
            first -= 1;
            digits[first] += u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
            if number == 0 {
                break;
            }
        }
        if self.room() >= MAX_DIGITS - first {
            self.out.extend_from_slice(&digits[first..]);
        }
        self
    }

    pub(crate) fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }

    fn room(&self) -> usize {
        (self.start + MAX_OCTETS - 2).saturating_sub(self.out.len())
    }

    fn append(&mut self, text: &str) {
        // Nearly every text is fixed and short; only an odd one is walked through.
        if text.len() <= self.room() && !text.bytes().any(|octet| octet.is_ascii_control()) {
            self.out.extend_from_slice(text.as_bytes());
            return;
        }
        for character in text.chars().filter(|character| !character.is_ascii_control()) {
            if character.len_utf8() > self.room() {
                break;
            }
            self.out
                .extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

impl fmt::Write for LineWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.append(text);
        Ok(())
    }
}
