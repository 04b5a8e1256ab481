//! Command lines out of the octets on the wire.
//!
//! Stands apart from POP3's framer because the octets behind a line may be a message, which is taken from the same
//! buffer without being looked at. Start at [`LineTaker::take`].

use bytes::{Buf, BytesMut};

/// What the buffer begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// A line, without its CRLF.
    Line(BytesMut),
    /// The end of a line that was too long; nothing of it is kept.
    TooLong,
    /// A line that ends with LF alone: what follows cannot be trusted to be what the sender meant.
    BareLf,
    /// No whole line yet.
    More,
}

/// Takes lines of a bounded length.
#[derive(Debug)]
pub(crate) struct LineTaker {
    limit: usize,
    skipping: bool,
}

impl LineTaker {
    /// `limit` is the longest line in octets, CRLF included.
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            limit,
            skipping: false,
        }
    }

    /// Takes the next line off `input`. What is left of an unfinished line is shorter than the limit.
    pub(crate) fn take(&mut self, input: &mut BytesMut) -> Taken {
        let Some(end) = memchr::memchr(b'\n', input) else {
            if self.skipping || input.len() >= self.limit {
                self.skipping = true;
                input.clear();
            }
            return Taken::More;
        };
        if std::mem::take(&mut self.skipping) || end + 1 > self.limit {
            input.advance(end + 1);
            return Taken::TooLong;
        }
        let mut line = input.split_to(end + 1);
        if line.ends_with(b"\r\n") {
            line.truncate(end - 1);
            Taken::Line(line)
        } else {
            Taken::BareLf
        }
    }

    /// Whether a line has begun of which nothing is kept.
    pub(crate) const fn is_skipping(&self) -> bool {
        self.skipping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_once_it_is_whole() {
        let mut taker = LineTaker::new(16);
        let mut input = BytesMut::from(&b"NOOP\r"[..]);
        assert_eq!(taker.take(&mut input), Taken::More);
        input.extend_from_slice(b"\nQ");
        assert_eq!(taker.take(&mut input), Taken::Line(BytesMut::from(&b"NOOP"[..])));
        assert_eq!(&input[..], b"Q");
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_taken_and_one_more_is_not() {
        let mut taker = LineTaker::new(6);
        let mut input = BytesMut::from(&b"NOOP\r\nNOOP \r\nQ\r\n"[..]);
        assert_eq!(taker.take(&mut input), Taken::Line(BytesMut::from(&b"NOOP"[..])));
        assert_eq!(taker.take(&mut input), Taken::TooLong);
        assert_eq!(taker.take(&mut input), Taken::Line(BytesMut::from(&b"Q"[..])));
    }

    #[test]
    fn an_endless_line_keeps_nothing_and_its_end_is_no_command() {
        let mut taker = LineTaker::new(16);
        let mut input = BytesMut::new();
        for _ in 0..1000 {
            input.extend_from_slice(&[b'x'; 100]);
            assert_eq!(taker.take(&mut input), Taken::More);
            assert!(input.is_empty());
        }
        input.extend_from_slice(b"QUIT\r\nNOOP\r\n");
        assert_eq!(taker.take(&mut input), Taken::TooLong);
        assert_eq!(taker.take(&mut input), Taken::Line(BytesMut::from(&b"NOOP"[..])));
    }

    #[test]
    fn lf_alone_is_told_apart() {
        let mut taker = LineTaker::new(16);
        assert_eq!(taker.take(&mut BytesMut::from(&b"\n"[..])), Taken::BareLf);
        assert_eq!(
            taker.take(&mut BytesMut::from(&b"NOOP\nNOOP\r\n"[..])),
            Taken::BareLf
        );
    }
}
