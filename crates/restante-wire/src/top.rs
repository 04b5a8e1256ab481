//! Where TOP ends, RFC 1939 section 7.

/// Finds the part of a message that TOP sends: the header section, the empty line, and some lines of the body.
///
/// Works on the octets before dot-stuffing, in chunks of any size. A line ends with LF.
#[derive(Debug)]
pub struct TopCutter {
    /// Lines of the body that may still pass.
    lines: u64,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the start of a header line.
    HeaderStart,
    /// At the start of a header line, after CR.
    HeaderCr,
    /// Within a header line.
    Header,
    Body,
}

impl TopCutter {
    /// Wants this many lines of the body.
    pub const fn new(lines: u64) -> Self {
        Self {
            lines,
            place: Place::HeaderStart,
        }
    }

    /// How many octets of this chunk belong to the answer: all of them until the end is found, then none.
    pub fn cut(&mut self, chunk: &[u8]) -> usize {
        let mut passed = 0;
        while passed < chunk.len() && !self.is_done() {
            passed += self.pass(&chunk[passed..]);
        }
        passed
    }

    /// Whether the answer is complete, so that nothing more need be read.
    pub const fn is_done(&self) -> bool {
        matches!(self.place, Place::Body) && self.lines == 0
    }

    /// Passes at least one octet, at most up to the end of a line.
    fn pass(&mut self, octets: &[u8]) -> usize {
        let (place, passed) = match (self.place, octets.first()) {
            (Place::HeaderStart, Some(b'\r')) => (Place::HeaderCr, 1),
            (Place::HeaderStart | Place::HeaderCr, Some(b'\n')) => (Place::Body, 1),
            (place, _) => match memchr::memchr(b'\n', octets) {
                Some(lf) => (self.line_ended(), lf + 1),
                None if place == Place::Body => (Place::Body, octets.len()),
                None => (Place::Header, octets.len()),
            },
        };
        self.place = place;
        passed
    }

    const fn line_ended(&mut self) -> Place {
        match self.place {
            Place::Body => {
                self.lines -= 1;
                Place::Body
            }
            _ => Place::HeaderStart,
        }
    }
}
