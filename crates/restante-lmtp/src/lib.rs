//! Delivery in, by LMTP (RFC 2033).
//!
//! A mail transfer agent hands messages over; each recipient gets an answer of its own, and `250` means that the
//! message is durable in the maildrop. Adds nothing to a message, queues nothing, sends nothing onward, and knows no
//! socket and no TLS: it serves any stream. Start at [`LmtpService`]; the protocol without I/O is in `session`.

mod command;
mod connection;
mod line;
mod path;
mod reply;
mod service;
mod session;
mod trace;

pub use connection::{LmtpConnection, LmtpEnd, LmtpSummary};
pub use service::{LmtpService, LmtpSettings, refusal_line};
