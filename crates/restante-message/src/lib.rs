//! The canonical form of a message, computed once at delivery.
//!
//! The wire form is fixed here: CRLF line ends, exact octets, where the header ends, whether any line starts with
//! a dot, digests. So STAT, LIST and UIDL never touch a body. Parses no MIME. Start at [`Canonicalizer`];
//! [`BodyCheck`] compares a body on its way out with what was measured.

mod body_check;
mod canonical;
mod measured;
mod meter;

pub use body_check::{BodyCheck, FullCheck};
pub use canonical::Canonicalizer;
pub use measured::Measured;
