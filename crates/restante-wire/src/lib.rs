//! The POP3 grammar in both directions, without I/O.
//!
//! RFC 1939 with the extensions of RFC 2449, 2595, 3206, 5034 and 6856: octets become lines, lines become commands,
//! values become reply lines, bodies are dot-stuffed and cut. Knows no session state and no clock, and decides
//! nothing: whether a command is allowed now is the session's matter. Start at [`LineFramer`] and
//! [`Command::parse`]; [`response`] is the other direction.

mod arguments;
mod capability;
mod command;
mod framer;
mod line_writer;
mod reply;
mod resp_code;
pub mod response;
mod stuffing;
mod top;
mod unstuffing;
mod verb;

pub use capability::{Capability, Expire};
pub use command::{Command, ParseError};
pub use framer::{Line, LineError, LineFramer, LineKind, LineLimits};
pub use reply::Reply;
pub use resp_code::RespCode;
pub use stuffing::DotStuffer;
pub use top::TopCutter;
pub use unstuffing::{DotUnstuffer, Unstuffed};
pub use verb::Verb;
