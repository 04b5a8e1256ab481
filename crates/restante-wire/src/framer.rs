//! Octets into lines, holding at most one line.
//!
//! Reads no socket and parses nothing. What does not fit is left with the caller, so a client that pipelines is
//! slowed down by TCP instead of being buffered here. Start at [`LineFramer::push`].

use std::fmt;
use std::ops::Deref;

use zeroize::{Zeroize, Zeroizing};

/// The smallest buffer that is allocated, in octets: most commands fit.
const SMALLEST_BUFFER: usize = 64;

/// How long a line may be, and what ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineLimits {
    /// Longest command line in octets, line end included. RFC 2449 section 4 asks for at least 255.
    pub command: usize,
    /// Longest SASL response in octets, line end included (RFC 5034 section 4); tokens need several thousand. Also
    /// holds for AUTH itself: RFC 5034 wants a long initial response sent separately, but clients with tokens do not.
    pub sasl: usize,
    /// Whether LF without CR ends a line too. If not, such an LF stays in the line and the parser refuses it.
    pub accept_bare_lf: bool,
}

impl Default for LineLimits {
    fn default() -> Self {
        Self {
            command: 512,
            sasl: 16_384,
            accept_bare_lf: true,
        }
    }
}

/// Which limit holds for the next line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineKind {
    /// A command.
    #[default]
    Command,
    /// A SASL response, after `+ `.
    Sasl,
}

/// Why no line can be had any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The line has passed its limit. It is not cut: no part of it is ever a command.
    #[error("line too long")]
    TooLong,
}

/// One line without its line end. Wiped when dropped, because it may be a password.
pub struct Line(Zeroizing<Vec<u8>>);

impl Deref for Line {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({} octets)", self.0.len())
    }
}

/// Splits octets into lines.
///
/// Memory is bounded by the limit of the expected line. It is wiped as lines are taken, and given back when nothing
/// is buffered, so an idle session costs no heap.
pub struct LineFramer {
    limits: LineLimits,
    kind: LineKind,
    /// Taken octets are `..head` (wiped already), buffered ones are `head..`.
    buffer: Zeroizing<Vec<u8>>,
    head: usize,
    /// No line end lies in `head..searched`.
    searched: usize,
    poisoned: bool,
}

impl LineFramer {
    /// Starts with an empty buffer and expects a command.
    pub fn new(limits: LineLimits) -> Self {
        Self {
            limits,
            kind: LineKind::Command,
            buffer: Zeroizing::new(Vec::new()),
            head: 0,
            searched: 0,
            poisoned: false,
        }
    }

    /// Takes as many octets as fit, and returns how many. The caller keeps the rest and pushes it again after
    /// [`LineFramer::next_line`].
    ///
    /// Takes at least one octet unless there is something for `next_line` to return. After
    /// [`LineError::TooLong`] it takes nothing.
    pub fn push(&mut self, octets: &[u8]) -> usize {
        if self.poisoned {
            return 0;
        }
        let buffered = self.buffer.len() - self.head;
        let taken = octets.len().min(self.limit().saturating_sub(buffered));
        if taken > 0 {
            self.make_room(taken);
            self.buffer.extend_from_slice(&octets[..taken]);
        }
        taken
    }

    /// Says what the next line is. Octets that are buffered already are measured by the new limit.
    pub const fn expect(&mut self, kind: LineKind) {
        self.kind = kind;
    }

    /// Takes the next line, `None` if more octets are needed.
    ///
    /// # Errors
    /// [`LineError::TooLong`] once, as soon as the line cannot end within its limit; then `None` for ever.
    pub fn next_line(&mut self) -> Option<Result<Line, LineError>> {
        let end = self.line_end();
        self.searched = end.unwrap_or(self.buffer.len());
        if self.too_long(end) {
            self.poisoned = true;
            self.release();
            return Some(Err(LineError::TooLong));
        }
        end.map(|lf| Ok(self.take_line(lf)))
    }

    /// Whether [`LineFramer::next_line`] has something to return.
    pub fn has_line(&self) -> bool {
        let end = self.line_end();
        end.is_some() || self.too_long(end)
    }

    /// Whether no octet is buffered and none was thrown away: STLS asks this before the stream changes.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && !self.poisoned
    }

    fn limit(&self) -> usize {
        match self.kind {
            LineKind::Command if !self.begins_with_auth() => self.limits.command,
            LineKind::Command | LineKind::Sasl => self.limits.sasl,
        }
    }

    fn begins_with_auth(&self) -> bool {
        const AUTH: &[u8] = b"AUTH ";
        self.buffer[self.head..]
            .get(..AUTH.len())
            .is_some_and(|verb| verb.eq_ignore_ascii_case(AUTH))
    }

    /// Where the LF of the first buffered line stands.
    fn line_end(&self) -> Option<usize> {
        memchr::memchr_iter(b'\n', &self.buffer[self.searched..])
            .map(|found| self.searched + found)
            .find(|&lf| self.limits.accept_bare_lf || (lf > self.head && self.buffer[lf - 1] == b'\r'))
    }

    fn too_long(&self, end: Option<usize>) -> bool {
        // A line that fills the limit and has not ended would pass it with its LF.
        let octets = end.map_or(self.buffer.len() + 1, |lf| lf + 1) - self.head;
        !self.poisoned && octets > self.limit()
    }

    fn take_line(&mut self, lf: usize) -> Line {
        let line = &mut self.buffer[self.head..lf];
        let text = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        line.zeroize();
        self.head = lf + 1;
        self.searched = self.head;
        if self.head == self.buffer.len() {
            self.release();
        }
        Line(Zeroizing::new(text))
    }

    /// Gives the memory back; `Zeroizing` wipes it.
    fn release(&mut self) {
        self.buffer = Zeroizing::new(Vec::new());
        self.head = 0;
        self.searched = 0;
    }

    /// Moves the buffered octets so that `more` fit behind them. `Vec` would leave a copy of them behind when it
    /// grows, so growing is done here.
    fn make_room(&mut self, more: usize) {
        if self.buffer.capacity() - self.buffer.len() >= more {
            return;
        }
        let buffered = &self.buffer[self.head..];
        let capacity = (buffered.len() + more).max(SMALLEST_BUFFER).next_power_of_two();
        let mut roomier = Vec::with_capacity(capacity);
        roomier.extend_from_slice(buffered);
        self.buffer = Zeroizing::new(roomier);
        self.searched -= self.head;
        self.head = 0;
    }
}

impl fmt::Debug for LineFramer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineFramer")
            .field("kind", &self.kind)
            .field("buffered", &(self.buffer.len() - self.head))
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}
