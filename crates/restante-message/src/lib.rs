//! The canonical form of a message, computed once at delivery.
//!
//! The wire form is fixed here: CRLF line ends, exact octets, where the header ends, whether any line starts with
//! a dot, digests. So STAT, LIST and UIDL never touch a body. Parses no MIME. Start at `Canonicalizer`.

mod measured;
pub use measured::Measured;
